/* forest.c: sequences into a trie, the trie into rows in preorder, rows into attention blocks. */
#include "model/forest.h"

#include <string.h>

typedef struct ag_trie_node {
    int32_t token, parent, first_child, last_child, next;
    int32_t row; /* after layout */
} ag_trie_node;

typedef struct ag_trie_target {
    int32_t node, token, sample, index;
} ag_trie_target;

void ag_forest_begin(ag_forest_builder *b)
{
    b->node_count = b->target_count = 0;
    b->unshared = 0;
    b->first_root = b->last_root = -1;
}

int32_t ag_forest_rows(const ag_forest_builder *b)
{
    return (int32_t)b->node_count;
}

static int32_t find_child(const ag_forest_builder *b, int32_t parent, int32_t token)
{
    int32_t node = parent < 0 ? (b->node_count ? b->first_root : -1) : b->nodes[parent].first_child;
    while (node >= 0 && b->nodes[node].token != token) node = b->nodes[node].next;
    return node;
}

int32_t ag_forest_cost(const ag_forest_builder *b, const int32_t *tokens, int32_t n, bool trim)
{
    int32_t node = -1, t = 0, last = trim ? n - 1 : n;
    for (; t < last; t++) {
        int32_t child = find_child(b, node, tokens[t]);
        if (child < 0) break;
        node = child;
    }
    return last - t;
}

static ag_status add_child(ag_forest_builder *b, int32_t parent, int32_t token, int32_t *child, ag_error *err)
{
    if (b->node_count >= INT32_MAX / 2)
        return ag_fail(err, AG_ERR_MEMORY, "a batch of more than %d tokens", INT32_MAX / 2);
    if (!ag_grow(&b->nodes, &b->node_cap, b->node_count + 1, sizeof *b->nodes))
        return ag_fail_memory(err, "forest");
    if (b->node_count == 0) b->first_root = b->last_root = -1; /* a zeroed builder */
    int32_t node = (int32_t)b->node_count++;
    b->nodes[node] = (ag_trie_node){token, parent, -1, -1, -1, -1};
    int32_t *first = parent < 0 ? &b->first_root : &b->nodes[parent].first_child;
    int32_t *last = parent < 0 ? &b->last_root : &b->nodes[parent].last_child;
    if (*last < 0)
        *first = node;
    else
        b->nodes[*last].next = node;
    *last = node;
    *child = node;
    return AG_OK;
}

ag_status ag_forest_add(ag_forest_builder *b, const int32_t *tokens, int32_t n, const uint8_t *wanted,
                        int32_t sample, bool trim, int32_t max_shared, ag_error *err)
{
    int32_t node = -1, last = trim ? n - 1 : n;
    b->unshared += n;
    for (int32_t t = 0; t < n; t++) {
        if (wanted && wanted[t] && t > 0) {
            if (!ag_grow(&b->targets, &b->target_cap, b->target_count + 1, sizeof *b->targets))
                return ag_fail_memory(err, "forest");
            b->targets[b->target_count++] = (ag_trie_target){node, tokens[t], sample, t};
        }
        if (t >= last) break;
        int32_t child = t < max_shared ? find_child(b, node, tokens[t]) : -1;
        if (child < 0) {
            ag_status status = add_child(b, node, tokens[t], &child, err);
            if (status != AG_OK) return status;
        }
        node = child;
    }
    return AG_OK;
}

/* By row; in order of insertion within a row. */
static ag_status place_targets(ag_forest *f, const ag_forest_builder *b, ag_error *err)
{
    int32_t *start = ag_calloc((size_t)f->count + 1, sizeof *start);
    if (!start) return ag_fail_memory(err, "forest");
    for (size_t i = 0; i < b->target_count; i++) start[b->nodes[b->targets[i].node].row + 1]++;
    for (int32_t i = 0; i < f->count; i++) start[i + 1] += start[i];
    for (size_t i = 0; i < b->target_count; i++) {
        int32_t row = b->nodes[b->targets[i].node].row;
        f->targets[start[row]++] = (ag_target){row, b->targets[i].token, b->targets[i].sample,
                                               b->targets[i].index};
    }
    f->target_count = (int32_t)b->target_count;
    ag_free(start);
    return AG_OK;
}

static void lay_out(ag_forest *f, const ag_forest_builder *b)
{
    int32_t node = b->node_count ? b->first_root : -1;
    while (node >= 0) {
        ag_trie_node *n = &b->nodes[node];
        n->row = f->count;
        f->ids[f->count] = n->token;
        f->pos[f->count] = n->parent < 0 ? 0 : f->pos[b->nodes[n->parent].row] + 1;
        f->count++;
        if (n->first_child >= 0) {
            node = n->first_child;
            continue;
        }
        while (node >= 0) { /* the subtree of node is complete */
            f->reach[b->nodes[node].row] = f->count;
            if (b->nodes[node].next >= 0) {
                node = b->nodes[node].next;
                break;
            }
            node = b->nodes[node].parent;
        }
    }
}

/* A segment ends where a token has no child, or more than one. */
static void find_segments(ag_forest *f)
{
    for (int32_t i = 0; i < f->count;) {
        int32_t begin = i;
        while (i + 1 < f->count && f->reach[i] > i + 1 && f->reach[i + 1] == f->reach[i]) i++;
        int32_t parent = f->segment_count - 1; /* the nearest earlier segment whose reach covers this one */
        while (parent >= 0 && f->reach[f->segments[parent].begin] <= begin)
            parent = f->segments[parent].parent;
        f->segments[f->segment_count++] = (ag_segment_run){begin, ++i, parent};
    }
}

ag_status ag_forest_finish(ag_forest *f, const ag_forest_builder *b, ag_error *err)
{
    *f = (ag_forest){.unshared = b->unshared};
    f->ids = ag_calloc(b->node_count, sizeof *f->ids);
    f->pos = ag_calloc(b->node_count, sizeof *f->pos);
    f->reach = ag_calloc(b->node_count, sizeof *f->reach);
    f->targets = ag_calloc(b->target_count, sizeof *f->targets);
    f->segments = ag_calloc(b->node_count, sizeof *f->segments);
    ag_status status = AG_OK;
    if (!f->ids || !f->pos || !f->reach || !f->targets || !f->segments)
        status = ag_fail_memory(err, "forest");
    if (status == AG_OK) {
        lay_out(f, b);
        find_segments(f);
        status = place_targets(f, b, err);
    }
    if (status != AG_OK) ag_forest_free(f);
    return status;
}

void ag_forest_free(ag_forest *f)
{
    ag_free(f->ids);
    ag_free(f->pos);
    ag_free(f->reach);
    ag_free(f->targets);
    ag_free(f->segments);
    *f = (ag_forest){0};
}

void ag_forest_builder_free(ag_forest_builder *b)
{
    ag_free(b->nodes);
    ag_free(b->targets);
    *b = (ag_forest_builder){0};
}

void ag_plan_begin(ag_plan *plan, int32_t rows, int32_t keys)
{
    plan->count = 0;
    plan->rows = rows;
    plan->keys = keys;
}

ag_status ag_plan_add(ag_plan *plan, ag_attention_block block, ag_error *err)
{
    if (!ag_grow(&plan->blocks, &plan->cap, plan->count + 1, sizeof *plan->blocks))
        return ag_fail_memory(err, "attention plan");
    plan->blocks[plan->count++] = block;
    return AG_OK;
}

ag_status ag_plan_forest(ag_plan *plan, const ag_forest *f, ag_error *err)
{
    ag_plan_begin(plan, f->count, f->count);
    for (int32_t s = 0; s < f->segment_count; s++) {
        ag_segment_run run = f->segments[s];
        ag_status status = ag_plan_add(
            plan, (ag_attention_block){run.begin, f->reach[run.begin], run.begin, run.end, 0}, err);
        if (status != AG_OK) return status;
    }
    return AG_OK;
}

ag_status ag_plan_upload(ag_plan *plan, ag_device *device, ag_error *err)
{
    int32_t tiles = (plan->rows + AG_ATTENTION_TILE - 1) / AG_ATTENTION_TILE;
    size_t touches = 0;
    int32_t spread = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const ag_attention_block *b = &plan->blocks[i];
        if (b->q1 <= b->q0) continue;
        touches += (size_t)((b->q1 - 1) / AG_ATTENTION_TILE - b->q0 / AG_ATTENTION_TILE + 1);
        if (b->q1 - b->q0 > spread) spread = b->q1 - b->q0;
    }
    size_t room = ag_plan_room(plan->count); /* the others are empty */
    size_t block_bytes = room * sizeof *plan->blocks,
           bytes = block_bytes + ((size_t)tiles + 1 + touches) * sizeof(int32_t);
    char *host = ag_calloc(bytes, 1);
    if (!host) return ag_fail_memory(err, "attention plan");
    int32_t *first = (int32_t *)(host + block_bytes), *list = first + tiles + 1;
    if (plan->count) memcpy(host, plan->blocks, plan->count * sizeof *plan->blocks);
    for (int pass = 0; pass < 2; pass++) { /* count, then place: first[t + 1] runs along while placing */
        for (size_t i = 0; i < plan->count; i++) {
            const ag_attention_block *b = &plan->blocks[i];
            if (b->q1 <= b->q0) continue;
            for (int32_t t = b->q0 / AG_ATTENTION_TILE; t <= (b->q1 - 1) / AG_ATTENTION_TILE; t++) {
                if (pass == 0)
                    first[t + 1]++;
                else
                    list[first[t]++] = (int32_t)i;
            }
        }
        if (pass == 0)
            for (int32_t t = 0; t < tiles; t++) first[t + 1] += first[t];
    }
    for (int32_t t = tiles; t > 0; t--) first[t] = first[t - 1];
    first[0] = 0;

    ag_status status = AG_OK;
    if (bytes > plan->memory_bytes || plan->device != device) {
        if (plan->device) plan->device->release(plan->device, plan->memory);
        plan->device = device;
        plan->memory = NULL;
        plan->memory_bytes = 0;
        status = device->alloc(device, &plan->memory, bytes + bytes / 2, "attention plan", err);
        if (status == AG_OK) plan->memory_bytes = bytes + bytes / 2;
    }
    if (status == AG_OK) status = device->upload(device, plan->memory, host, bytes, err);
    ag_free(host);
    if (status != AG_OK) return status;
    const char *base = plan->memory;
    plan->view = (ag_attention_plan){.blocks = (const ag_attention_block *)base,
                                     .tile_first = (const int32_t *)(base + block_bytes),
                                     .tile_block = (const int32_t *)(base + block_bytes) + tiles + 1,
                                     .block_count = (int32_t)plan->count,
                                     .tiles = tiles,
                                     .rows = plan->rows,
                                     .keys = plan->keys,
                                     .spread = spread};
    return AG_OK;
}

void ag_plan_free(ag_plan *plan)
{
    if (plan->device) plan->device->release(plan->device, plan->memory);
    ag_free(plan->blocks);
    *plan = (ag_plan){0};
}
