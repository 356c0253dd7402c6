/* session.c: inference over a tree of kept keys and values: a store of slots, nodes that own runs of them, and attention plans
 * in which every ancestor is one block for all rows below it.
 */
#include "model/session.h"

#include <string.h>
#include "base/mem.h"
#include "model/layers.h"

typedef struct node {
    int32_t parent, slot, capacity, length, start; /* start: position of the first token */
} node;

/* Rows of one node in the chunk that is being computed. */
typedef struct piece {
    int32_t node, row, count;
} piece;

/* Where a device records a step of decoding (device.h), its rows are made up to a multiple of this, so that the recording serves while
 * samples end; the made-up rows have slots of their own behind the store, attend nothing, and are not looked at. */
enum { STEP_ROWS = 16 };

struct ag_session {
    ag_model *model;
    int32_t slots, max_rows, used, kept, kept_cap;
    int32_t *prefix, prefix_len; /* the tokens of node 0 that ag_session_keep left there */
    uint64_t computed;
    node *nodes;
    size_t node_count, node_cap;
    void **store; /* per layer: device [slots, 2 kv_width] of the model's kept type (layers.h) */
    ag_layer_buffers buffers;
    ag_lora_scratch lora;
    ag_plan plan;
    void *x, *ids, *positions, *slot_of, *row_index; /* device */
    void *kept_x, *h, *logprob, *lse, *entropy, *first, *token, *uniform;
    void *drawn, *drawn_host; /* log-probabilities and then tokens of a draw: one download brings both */
    ag_mask_store masks;
    size_t token_cap;
    int32_t *host; /* [4 * max_rows]: ids, positions, slots, wanted rows */
    piece *pieces;
    int32_t *path, *path_row; /* open ancestors while blocks are made */
    size_t path_cap, path_row_cap;
};

size_t ag_session_bytes(const ag_config *c, int32_t slots, ag_dtype kept_type)
{
    return (size_t)slots * 2 * (size_t)c->kv_heads * (size_t)c->head_dim * (size_t)c->layers *
           ag_dtype_size(kept_type);
}

static ag_status alloc_kept(ag_session *s, int32_t rows, ag_error *err);

static ag_status session_alloc(ag_session *s, ag_error *err)
{
    ag_model *m = s->model;
    ag_device *d = m->device;
    size_t real = ag_dtype_size(d->real), rows = (size_t)s->max_rows;
    s->store = ag_calloc((size_t)m->config.layers, sizeof *s->store);
    s->host = ag_calloc(4 * rows, sizeof *s->host);
    s->pieces = ag_calloc(rows, sizeof *s->pieces);
    if (!s->store || !s->host || !s->pieces) return ag_fail_memory(err, "session");
    size_t slot = 2 * (size_t)m->config.kv_heads * (size_t)m->config.head_dim *
                  ag_dtype_size(ag_model_kept_type(m));
    for (int i = 0; i < m->config.layers; i++)
        AG_TRY(d->alloc(d, &s->store[i], ((size_t)s->slots + (d->graph_begin ? STEP_ROWS : 0)) * slot,
                        "keys and values", err));
    AG_TRY(ag_layer_buffers_alloc(&s->buffers, m, s->max_rows, false, err));
    AG_TRY(ag_lora_scratch_alloc(&s->lora, m, s->max_rows, false, err));
    AG_TRY(d->alloc(d, &s->x, rows * (size_t)m->config.width * real, "activations (residual)", err));
    AG_TRY(d->alloc(d, &s->ids, rows * 4, "tokens", err));
    AG_TRY(d->alloc(d, &s->positions, rows * 4, "tokens", err));
    AG_TRY(d->alloc(d, &s->slot_of, rows * 4, "tokens", err));
    AG_TRY(d->alloc(d, &s->row_index, rows * 4, "tokens", err));
    return alloc_kept(s, 64, err);
}

ag_status ag_session_create(ag_session **session, ag_model *model, int32_t slots, int32_t max_rows,
                            ag_error *err)
{
    ag_session *s = *session = ag_calloc(1, sizeof *s);
    if (!s) return ag_fail_memory(err, "session");
    s->model = model;
    s->slots = slots;
    s->max_rows = max_rows;
    ag_status status = session_alloc(s, err);
    if (status != AG_OK) {
        ag_session_free(s);
        *session = NULL;
    }
    return status;
}

static void release_kept(ag_session *s)
{
    ag_device *d = s->model->device;
    void **all[] = {&s->kept_x,       &s->h,       &s->lse,  &s->entropy, &s->first,
                    &s->masks.of_row, &s->uniform, &s->drawn};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        d->release(d, *all[i]);
        *all[i] = NULL;
    }
}

/* Room for the rows that a call wants back; what was kept before is kept. */
static ag_status alloc_kept(ag_session *s, int32_t rows, ag_error *err)
{
    ag_device *d = s->model->device;
    size_t real = ag_dtype_size(d->real), width = (size_t)s->model->config.width;
    if (rows <= s->kept_cap) return AG_OK;
    if (rows < 2 * s->kept_cap) rows = 2 * s->kept_cap;
    void *old = s->kept_x;
    s->kept_x = NULL;
    release_kept(s);
    size_t n = (size_t)rows;
    ag_status status = d->alloc(d, &s->kept_x, n * width * real, "kept rows", err);
    if (status == AG_OK && old) status = d->copy(d, s->kept_x, old, (size_t)s->kept * width * real, err);
    d->release(d, old);
    if (status == AG_OK)
        status = d->alloc(d, &s->h, n * width * ag_dtype_size(s->model->type), "kept rows", err);
    if (status == AG_OK) status = d->alloc(d, &s->lse, n * real, "kept rows", err);
    if (status == AG_OK) status = d->alloc(d, &s->entropy, n * real, "kept rows", err);
    if (status == AG_OK) status = d->alloc(d, &s->first, (n + 1) * 4, "kept rows", err);
    if (status == AG_OK) status = d->alloc(d, &s->masks.of_row, n * 4, "kept rows", err);
    if (status == AG_OK) status = d->alloc(d, &s->uniform, n * sizeof(double), "kept rows", err);
    if (status == AG_OK) status = d->alloc(d, &s->drawn, n * (real + sizeof(int32_t)), "kept rows", err);
    ag_free(s->drawn_host);
    s->drawn_host = ag_calloc(n, real + sizeof(int32_t));
    if (status == AG_OK && !s->drawn_host) status = ag_fail_memory(err, "kept rows");
    s->kept_cap = status == AG_OK ? rows : 0;
    return status;
}

void ag_session_free(ag_session *s)
{
    if (!s) return;
    ag_device *d = s->model->device;
    if (d->graph_forget) d->graph_forget(d);
    for (int i = 0; s->store && i < s->model->config.layers; i++) d->release(d, s->store[i]);
    ag_layer_buffers_release(&s->buffers, d);
    ag_lora_scratch_release(&s->lora, d);
    ag_plan_free(&s->plan);
    release_kept(s);
    void *all[] = {s->x, s->ids, s->positions, s->slot_of, s->row_index, s->logprob, s->token, s->masks.bits};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) d->release(d, all[i]);
    ag_free(s->drawn_host);
    ag_free(s->prefix);
    ag_free(s->store);
    ag_free(s->host);
    ag_free(s->pieces);
    ag_free(s->path);
    ag_free(s->path_row);
    ag_free(s->nodes);
    ag_free(s);
}

ag_status ag_session_node(ag_session *s, int32_t parent, int32_t capacity, int32_t *id, ag_error *err)
{
    if (capacity < 0 || capacity > s->slots - s->used)
        return ag_fail(err, AG_ERR_MEMORY,
                       "no room for %d more tokens in a store of %d (%d used): raise kv_slots (--kv-slots)",
                       capacity, s->slots, s->used);
    if (!ag_grow(&s->nodes, &s->node_cap, s->node_count + 1, sizeof *s->nodes))
        return ag_fail_memory(err, "session");
    *id = (int32_t)s->node_count;
    s->nodes[s->node_count++] = (node){parent, s->used, capacity, 0, 0};
    s->used += capacity;
    return AG_OK;
}

int ag_session_vocab(const ag_session *s)
{
    return s->model->config.vocab;
}

ag_session_mark ag_session_here(const ag_session *s)
{
    return (ag_session_mark){(int32_t)s->node_count, s->used};
}

void ag_session_reset(ag_session *s, ag_session_mark mark)
{
    s->node_count = (size_t)mark.nodes;
    s->used = mark.slots;
}

int32_t ag_session_free_slots(const ag_session *s)
{
    return s->slots - s->used;
}

int32_t ag_session_length(const ag_session *s, int32_t id)
{
    while (id >= 0 && s->nodes[id].length == 0)
        id = s->nodes[id].parent; /* an empty node has not got its start yet */
    return id < 0 ? 0 : s->nodes[id].start + s->nodes[id].length;
}

/* Closes the open ancestors above `depth`: each becomes one block over the rows it served. */
static ag_status close_path(ag_session *s, size_t *open, size_t depth, int32_t row, ag_error *err)
{
    for (; *open > depth; --*open) {
        const node *n = &s->nodes[s->path[*open - 1]];
        int32_t q0 = s->path_row[*open - 1];
        if (n->length == 0 || row == q0) continue;
        AG_TRY(ag_plan_add(&s->plan, (ag_attention_block){q0, row, n->slot, n->slot + n->length, n->length},
                           err));
    }
    return AG_OK;
}

/* Blocks of a chunk: each piece attends itself causally and each ancestor whole. Ancestors stay open while consecutive pieces
 * share them. Lengths of nodes already include this chunk; a piece's own block reaches back over what its node held before. */
static ag_status plan_chunk(ag_session *s, int32_t pieces, int32_t live, int32_t rows, ag_error *err)
{
    size_t open = 0;
    ag_plan_begin(&s->plan, rows, s->slots);
    for (int32_t p = 0; p < pieces; p++) {
        const piece *now = &s->pieces[p];
        const node *own = &s->nodes[now->node];
        size_t depth = 0;
        for (int32_t a = own->parent; a >= 0; a = s->nodes[a].parent) depth++;
        if (!ag_grow(&s->path, &s->path_cap, depth + 1, sizeof *s->path) ||
            !ag_grow(&s->path_row, &s->path_row_cap, depth + 1, sizeof *s->path_row))
            return ag_fail_memory(err, "session");
        size_t shared = open < depth ? open : depth, level = depth;
        for (int32_t a = own->parent; a >= 0;
             a = s->nodes[a].parent) { /* how much of the open path is still ours */
            level--;
            if (level < open && s->path[level] != a && level < shared) shared = level;
        }
        AG_TRY(close_path(s, &open, shared, now->row, err));
        level = depth;
        for (int32_t a = own->parent; a >= 0; a = s->nodes[a].parent) {
            if (--level < shared) break;
            s->path[level] = a;
            s->path_row[level] = now->row;
        }
        open = depth;
        int32_t before = own->length - now->count;
        AG_TRY(ag_plan_add(
            &s->plan,
            (ag_attention_block){now->row, now->row + now->count, own->slot, own->slot + own->length, before},
            err));
    }
    AG_TRY(close_path(s, &open, 0, live, err));
    return ag_plan_upload(&s->plan, s->model->device, err);
}

/* Puts a chunk's rows on the device: tokens, positions, slots, and which of them are wanted. */
static ag_status upload_chunk(ag_session *s, int32_t rows, const int32_t *wanted, int32_t n, ag_error *err)
{
    ag_device *d = s->model->device;
    size_t bytes = (size_t)rows * sizeof *s->host;
    AG_TRY(d->upload(d, s->ids, s->host, bytes, err));
    AG_TRY(d->upload(d, s->positions, s->host + s->max_rows, bytes, err));
    AG_TRY(d->upload(d, s->slot_of, s->host + 2 * s->max_rows, bytes, err));
    AG_TRY(alloc_kept(s, s->kept + n, err));
    return d->upload(d, s->row_index, wanted, (size_t)n * sizeof *wanted, err);
}

/* Computes an uploaded chunk and puts its n wanted rows behind those that are kept. */
static ag_status compute_chunk(ag_session *s, int32_t rows, int32_t n, ag_error *err)
{
    const ag_model *m = s->model;
    ag_device *d = m->device;
    int64_t width = m->config.width;
    AG_TRY(d->embed(
        d, &(ag_embed_args){s->x, ag_param_value(m, m->embed), m->type, s->ids, rows, width, m->config.vocab},
        err));
    for (int i = 0; i < m->config.layers; i++)
        AG_TRY(ag_layer_forward(m, &m->layers[i], rows, s->x, s->x, s->positions, &s->plan.view,
                                &(ag_keys){s->store[i], s->slot_of}, &s->buffers, &s->lora, err));
    if (n == 0) return AG_OK;
    return d->rows(
        d,
        &(ag_rows_args){.kind = AG_ROWS_GATHER,
                        .dst = (char *)s->kept_x + (size_t)s->kept * (size_t)width * ag_dtype_size(d->real),
                        .src = s->x,
                        .dst_type = d->real,
                        .src_type = d->real,
                        .index = s->row_index,
                        .rows = n,
                        .width = width,
                        .dst_ld = width,
                        .src_ld = width},
        err);
}

/* The same for a step of decoding, of which every row is wanted, through the device's recording of such a step. */
static ag_status compute_step(ag_session *s, int32_t rows, ag_error *err)
{
    struct { /* what the arguments depend on, besides what lives as long as the session */
        const void *session, *model, *kept_x, *blocks;
        int32_t rows, kept, block_count, tiles;
    } key;
    ag_device *d = s->model->device;
    bool replayed;
    s->plan.view.block_count = (int32_t)ag_plan_room(s->plan.count);
    memset(&key, 0, sizeof key);
    key.session = s, key.model = s->model, key.kept_x = s->kept_x, key.blocks = s->plan.view.blocks;
    key.rows = rows, key.kept = s->kept;
    key.block_count = s->plan.view.block_count, key.tiles = s->plan.view.tiles;
    AG_TRY(d->graph_begin(d, &key, sizeof key, &replayed, err));
    if (replayed) return AG_OK;
    ag_status status = compute_chunk(s, rows, rows, err);
    ag_error end = {0};
    ag_status ended = d->graph_end(d, status == AG_OK, &end);
    if (status == AG_OK && ended != AG_OK) *err = end;
    return status == AG_OK ? ended : status;
}

/* Rows up to a multiple of STEP_ROWS behind those of a step; returns their number. */
static int32_t fill_step(ag_session *s, int32_t rows)
{
    int32_t all = (rows + STEP_ROWS - 1) / STEP_ROWS * STEP_ROWS;
    if (all > s->max_rows) return rows;
    for (int32_t i = rows; i < all; i++) {
        s->host[i] = s->host[s->max_rows + i] = 0;
        s->host[2 * s->max_rows + i] = s->slots + i - rows;
        s->host[3 * s->max_rows + i] = i;
    }
    return all;
}

static ag_status norm_kept(ag_session *s, ag_error *err)
{
    const ag_model *m = s->model;
    ag_device *d = m->device;
    if (s->kept == 0) return AG_OK;
    return d->rmsnorm(d,
                      &(ag_rmsnorm_args){.out = s->h,
                                         .out_type = m->type,
                                         .x = s->kept_x,
                                         .weight = ag_param_value(m, m->final_norm),
                                         .rows = s->kept,
                                         .heads = 1,
                                         .width = m->config.width,
                                         .x_ld = m->config.width,
                                         .out_ld = m->config.width,
                                         .eps = m->config.norm_eps},
                      err);
}

/* Before the first of a run's tokens is taken: by then its ancestors hold theirs. */
static ag_status begin_run(ag_session *s, const ag_run *run, ag_error *err)
{
    node *n = &s->nodes[run->node];
    if (n->length == 0) n->start = ag_session_length(s, run->node);
    if (run->count > n->capacity - n->length)
        return ag_fail(err, AG_ERR_INTERNAL, "a node of %d tokens cannot take %d more after %d", n->capacity,
                       run->count, n->length);
    if (n->start + n->length + run->count > s->model->rope_positions)
        return ag_fail(err, AG_ERR_INPUT,
                       "a sequence of more than %d tokens; raise max_positions or shorten the prompt",
                       s->model->rope_positions);
    for (int32_t i = 0; i < run->count; i++)
        if (run->tokens[i] < 0 || run->tokens[i] >= s->model->config.vocab)
            return ag_fail(err, AG_ERR_INPUT, "token id %d is outside the model's vocabulary of %d",
                           run->tokens[i], s->model->config.vocab);
    return AG_OK;
}

/* Takes up to max_rows tokens from the runs that are left; *run and *done say where to go on. */
static ag_status take_chunk(ag_session *s, const ag_run *runs, int32_t n, int32_t *run, int32_t *done,
                            int32_t *rows, int32_t *pieces, int32_t *wanted, ag_error *err)
{
    int32_t *ids = s->host, *positions = ids + s->max_rows, *slots = positions + s->max_rows,
            *want = slots + s->max_rows;
    *rows = *pieces = *wanted = 0;
    while (*run < n && *rows < s->max_rows) {
        const ag_run *r = &runs[*run];
        if (*done == 0) AG_TRY(begin_run(s, r, err));
        node *own = &s->nodes[r->node];
        int32_t take = r->count - *done < s->max_rows - *rows ? r->count - *done : s->max_rows - *rows;
        for (int32_t i = 0; i < take; i++) {
            ids[*rows + i] = r->tokens[*done + i];
            positions[*rows + i] = own->start + own->length + i;
            slots[*rows + i] = own->slot + own->length + i;
            if (r->want == 2 || (r->want == 1 && *done + i + 1 == r->count)) want[(*wanted)++] = *rows + i;
        }
        piece *last = *pieces > 0 ? &s->pieces[*pieces - 1] : NULL;
        if (last && last->node == r->node)
            last->count += take;
        else if (take > 0)
            s->pieces[(*pieces)++] = (piece){r->node, *rows, take};
        own->length += take;
        *rows += take;
        *done += take;
        if (*done == r->count) ++*run, *done = 0;
    }
    return AG_OK;
}

ag_status ag_session_run(ag_session *s, const ag_run *runs, int32_t n, int32_t *rows_out, ag_error *err)
{
    int32_t run = 0, done = 0, rows, pieces, wanted;
    s->kept = 0;
    while (run < n) {
        AG_TRY(take_chunk(s, runs, n, &run, &done, &rows, &pieces, &wanted, err));
        if (rows == 0) continue;
        bool step = s->model->device->graph_begin && pieces == rows && wanted == rows;
        int32_t all = step ? fill_step(s, rows) : rows;
        AG_TRY(plan_chunk(s, pieces, rows, all, err));
        AG_TRY(upload_chunk(s, all, s->host + 3 * s->max_rows, step ? all : wanted, err));
        AG_TRY(step ? compute_step(s, all, err) : compute_chunk(s, rows, wanted, err));
        s->kept += wanted;
        s->computed += (uint64_t)rows;
    }
    if (rows_out) *rows_out = s->kept;
    return norm_kept(s, err);
}

uint64_t ag_session_computed(const ag_session *s)
{
    return s->computed;
}

ag_status ag_session_keep(ag_session *s, const int32_t *tokens, int32_t n, ag_error *err)
{
    int32_t id, *copy;
    if (s->node_count > (size_t)(s->prefix_len > 0))
        return ag_fail(err, AG_ERR_INTERNAL, "a prefix can be kept only while the store is empty");
    ag_session_reset(s, (ag_session_mark){0, 0});
    ag_free(s->prefix);
    s->prefix = NULL;
    s->prefix_len = 0;
    if (n == 0) return AG_OK;
    if (!(copy = ag_calloc((size_t)n, sizeof *copy))) return ag_fail_memory(err, "session");
    memcpy(copy, tokens, (size_t)n * sizeof *copy);
    ag_status status = ag_session_node(s, -1, n, &id, err);
    if (status == AG_OK) status = ag_session_run(s, &(ag_run){id, copy, n, 0}, 1, NULL, err);
    if (status != AG_OK) {
        ag_session_reset(s, (ag_session_mark){0, 0});
        ag_free(copy);
        return status;
    }
    s->prefix = copy;
    s->prefix_len = n;
    return AG_OK;
}

ag_status ag_session_root(ag_session *s, const int32_t *tokens, int32_t n, int32_t *id, ag_error *err)
{
    int32_t kept = s->prefix_len;
    bool ours = kept > 0 && kept <= n && memcmp(tokens, s->prefix, (size_t)kept * sizeof *tokens) == 0;
    *id = ours ? 0 : -1;
    if (!ours) kept = 0;
    if (n == kept) return AG_OK;
    AG_TRY(ag_session_node(s, *id, n - kept, id, err));
    return ag_session_run(s, &(ag_run){*id, tokens + kept, n - kept, 0}, 1, NULL, err);
}

/* token and logprob arrays hold one entry a target. */
static ag_status reserve_targets(ag_session *s, size_t n, ag_error *err)
{
    ag_device *d = s->model->device;
    if (n == 0) n = 1;
    if (n <= s->token_cap) return AG_OK;
    d->release(d, s->token);
    d->release(d, s->logprob);
    s->token = s->logprob = NULL;
    s->token_cap = 0;
    AG_TRY(d->alloc(d, &s->token, n * 4, "targets", err));
    AG_TRY(d->alloc(d, &s->logprob, n * ag_dtype_size(d->real), "targets", err));
    s->token_cap = n;
    return AG_OK;
}

static ag_head_args head_args(const ag_session *s, double temperature, const ag_masks *masks)
{
    const ag_model *m = s->model;
    return (ag_head_args){.h = s->h,
                          .w = ag_param_value(m, m->head),
                          .type = m->type,
                          .rows = s->kept,
                          .width = m->config.width,
                          .vocab = m->config.vocab,
                          .temperature = temperature,
                          .first = s->first,
                          .target = s->token,
                          .mask_of = masks ? s->masks.of_row : NULL,
                          .masks = s->masks.bits};
}

ag_status ag_session_logprob(ag_session *s, double temperature, const int32_t *first, const int32_t *token,
                             const ag_masks *masks, double *logprob, double *entropy, ag_error *err)
{
    ag_device *d = s->model->device;
    size_t targets = (size_t)first[s->kept];
    if (s->kept == 0) return AG_OK;
    AG_TRY(reserve_targets(s, targets, err));
    AG_TRY(ag_masks_upload(&s->masks, d, masks, s->kept, s->model->config.vocab, err));
    AG_TRY(d->upload(d, s->first, first, ((size_t)s->kept + 1) * sizeof *first, err));
    AG_TRY(d->upload(d, s->token, token, targets * sizeof *token, err));
    ag_head_args head = head_args(s, temperature, masks);
    head.targets = (int64_t)targets;
    AG_TRY(d->head_logprob(
        d, &(ag_head_logprob_args){head, s->logprob, s->lse, entropy ? s->entropy : NULL, NULL, NULL}, err));
    AG_TRY(ag_device_get(d, logprob, s->logprob, targets, err));
    return entropy ? ag_device_get(d, entropy, s->entropy, (size_t)s->kept, err) : AG_OK;
}

ag_status ag_session_sample(ag_session *s, const ag_draw *draw, int32_t *id, double *logprob, ag_error *err)
{
    ag_device *d = s->model->device;
    size_t n = (size_t)s->kept, real = ag_dtype_size(d->real);
    if (n == 0) return AG_OK;
    AG_TRY(ag_masks_upload(&s->masks, d, draw->masks, s->kept, s->model->config.vocab, err));
    AG_TRY(d->upload(d, s->uniform, draw->uniform, n * sizeof *draw->uniform, err));
    AG_TRY(d->sample(d,
                     &(ag_sample_args){.head = head_args(s, draw->temperature, draw->masks),
                                       .uniform = s->uniform,
                                       .top_k = draw->top_k,
                                       .top_p = draw->top_p,
                                       .min_p = draw->min_p,
                                       .id = (int32_t *)((char *)s->drawn + n * real),
                                       .logprob = s->drawn},
                     err));
    AG_TRY(d->download(d, s->drawn_host, s->drawn, n * (real + sizeof *id), err));
    memcpy(id, (char *)s->drawn_host + n * real, n * sizeof *id);
    for (size_t i = 0; i < n; i++)
        logprob[i] = d->real == AG_F64 ? ((double *)s->drawn_host)[i] : (double)((float *)s->drawn_host)[i];
    return AG_OK;
}

/* The rows of a forest that have targets are wanted; wanting whole segments would keep far more. A segment is cut into runs at
 * wanted rows: want = 1 keeps the last row of a run. */
typedef struct forest_runs {
    ag_run *runs;
    size_t count, cap;
} forest_runs;

static ag_status cut_segment(forest_runs *r, const ag_forest *f, const ag_segment_run *segment,
                             int32_t node_id, int32_t *target, ag_error *err)
{
    int32_t begin = segment->begin;
    while (begin < segment->end) {
        while (*target < f->target_count && f->targets[*target].row < begin) ++*target;
        bool wanted = *target < f->target_count && f->targets[*target].row < segment->end;
        int32_t end = wanted ? f->targets[*target].row + 1 : segment->end;
        if (!ag_grow(&r->runs, &r->cap, r->count + 1, sizeof *r->runs)) return ag_fail_memory(err, "session");
        r->runs[r->count++] = (ag_run){node_id, f->ids + begin, end - begin, wanted};
        begin = end;
    }
    return AG_OK;
}

static ag_status run_forest(ag_session *s, int32_t root, const ag_forest *f, forest_runs *r, int32_t *node_of,
                            int32_t *first, int32_t *token, double temperature, double *logprob,
                            ag_error *err)
{
    int32_t target = 0, rows = 0;
    for (int32_t i = 0; i < f->segment_count; i++) {
        const ag_segment_run *segment = &f->segments[i];
        AG_TRY(ag_session_node(s, segment->parent < 0 ? root : node_of[segment->parent],
                               segment->end - segment->begin, &node_of[i], err));
        AG_TRY(cut_segment(r, f, segment, node_of[i], &target, err));
    }
    AG_TRY(ag_session_run(s, r->runs, (int32_t)r->count, &rows, err));
    int32_t row = 0;
    for (int32_t t = 0; t < f->target_count; t++) {
        if (t == 0 || f->targets[t].row != f->targets[t - 1].row) first[row++] = t;
        token[t] = f->targets[t].token;
    }
    first[row] = f->target_count;
    if (row != rows) return ag_fail(err, AG_ERR_INTERNAL, "a forest with %d target rows kept %d", row, rows);
    return ag_session_logprob(s, temperature, first, token, NULL, logprob, NULL, err);
}

ag_status ag_session_forest(ag_session *s, int32_t root, const ag_forest *f, double temperature,
                            double *logprob, ag_error *err)
{
    ag_session_mark mark = ag_session_here(s);
    forest_runs r = {0};
    int32_t *node_of = ag_calloc((size_t)f->segment_count, sizeof *node_of);
    int32_t *first = ag_calloc((size_t)f->target_count + 1, sizeof *first),
            *token = ag_calloc((size_t)f->target_count, sizeof *token);
    ag_status status = node_of && first && token ? AG_OK : ag_fail_memory(err, "session");
    if (status == AG_OK && f->target_count > 0)
        status = run_forest(s, root, f, &r, node_of, first, token, temperature, logprob, err);
    ag_session_reset(s, mark);
    ag_free(node_of);
    ag_free(first);
    ag_free(token);
    ag_free(r.runs);
    return status;
}

/* --- scoring many sequences ---------------------------------------------------------------------------------------- */

/* Tokens that all sequences begin with, none of them wanted and at least one token left for each. */
static int32_t common_beginning(const ag_query_sequence *q, size_t n)
{
    int32_t shared = q[0].count - 1;
    for (size_t i = 0; i < n; i++) {
        int32_t k = 0;
        while (k < shared && k < q[i].count - 1 && q[i].tokens[k] == q[0].tokens[k] && !(q[i].wanted[k + 1]))
            k++;
        shared = k;
    }
    return shared > 0 ? shared : 0;
}

/* One forest; its sequences lack the `shared` tokens that the store holds at `root`. */
static ag_status score_batch(ag_session *s, int32_t root, int32_t shared, const ag_forest_builder *b,
                             const ag_query_sequence *q, double temperature, ag_error *err)
{
    ag_forest f = {0};
    ag_status status = ag_forest_finish(&f, b, err);
    double *values = status == AG_OK ? ag_calloc((size_t)f.target_count, sizeof *values) : NULL;
    if (status == AG_OK && !values) status = ag_fail_memory(err, "session");
    if (status == AG_OK) status = ag_session_forest(s, root, &f, temperature, values, err);
    for (int32_t t = 0; status == AG_OK && t < f.target_count; t++) {
        const ag_query_sequence *sequence = &q[f.targets[t].sample];
        int32_t place = 0;
        for (int32_t k = 1; k < shared + f.targets[t].index; k++) place += sequence->wanted[k] != 0;
        sequence->logprob[place] = values[t];
    }
    ag_free(values);
    ag_forest_free(&f);
    return status;
}

ag_status ag_session_score(ag_session *s, const ag_query_sequence *q, size_t n, double temperature,
                           ag_error *err)
{
    if (n == 0) return AG_OK;
    ag_session_mark mark = ag_session_here(s);
    ag_forest_builder b = {0};
    int32_t root = -1, shared = n > 1 ? common_beginning(q, n) : 0;
    ag_status status = ag_session_root(s, q[0].tokens, shared, &root, err);
    int32_t room = ag_session_free_slots(s);
    ag_forest_begin(&b);
    for (size_t i = 0; i < n && status == AG_OK; i++) {
        int32_t cost = ag_forest_cost(&b, q[i].tokens + shared, q[i].count - shared, true);
        if (ag_forest_rows(&b) > 0 &&
            (ag_forest_rows(&b) + cost > room || ag_forest_rows(&b) + cost > 4 * s->max_rows)) {
            status = score_batch(s, root, shared, &b, q, temperature, err);
            ag_forest_begin(&b);
        }
        if (status == AG_OK)
            status = ag_forest_add(&b, q[i].tokens + shared, q[i].count - shared, q[i].wanted + shared,
                                   (int32_t)i, true, q[i].count, err);
    }
    if (status == AG_OK && ag_forest_rows(&b) > 0)
        status = score_batch(s, root, shared, &b, q, temperature, err);
    ag_session_reset(s, mark);
    ag_forest_builder_free(&b);
    return status;
}
