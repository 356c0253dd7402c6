/* generate.c: the sampling loop: a forest of prompts, then one step at a time for all live samples. */
#include "model/generate.h"

#include <string.h>
#include "base/mem.h"
#include "base/rng.h"

/* A sample that is being written. */
typedef struct live {
    size_t prompt, index; /* index of the prompt and of the result */
    int32_t sample, node;
    int32_t pending; /* tokens of the result not yet computed */
} live;

typedef struct generator {
    ag_session *session;
    const ag_generate_prompt *prompts;
    const ag_generate_options *o;
    ag_generated *out;
    live *live;
    size_t live_count;
    ag_run *runs;
    double *uniform, *logprob;
    int32_t *id, *mask_of;
    uint32_t *bits;
    int words;
} generator;

void ag_generated_free(ag_generated *g, size_t n)
{
    for (size_t i = 0; g && i < n; i++) {
        ag_free(g[i].tokens);
        ag_free(g[i].logprob);
        ag_free(g[i].forced);
    }
    ag_free(g);
}

/* Takes a token; returns false when the sample is complete. */
static bool take(generator *g, live *l, int32_t id, double logprob, bool forced)
{
    ag_generated *r = &g->out[l->index];
    r->tokens[r->count] = id;
    r->logprob[r->count] = logprob;
    r->forced[r->count++] = forced;
    l->pending++;
    if (g->o->constraint) g->o->constraint->advance(g->o->constraint->user, l->prompt, l->sample, id);
    r->finished = id == g->o->end_id;
    return !r->finished && r->count < g->o->max_new;
}

static int32_t only_bit(const uint32_t *bits, int words)
{
    for (int w = 0; w < words; w++)
        if (bits[w]) return w * 32 + __builtin_ctz(bits[w]);
    return -1;
}

/* Masks of the next draw; runs of forced tokens are taken at once. Returns false when the sample completed on the way. */
static bool prepare(generator *g, live *l, uint32_t *bits, ag_status *status, ag_error *err)
{
    const ag_constraint *c = g->o->constraint;
    while (c) {
        memset(bits, 0, (size_t)g->words * sizeof *bits);
        int n = c->allowed(c->user, l->prompt, l->sample, bits);
        if (n == 0) {
            *status = ag_fail(err, AG_ERR_INTERNAL, "the grammar allows no token");
            return false;
        }
        if (n > 1) break;
        if (!take(g, l, only_bit(bits, g->words), 0, true)) return false;
    }
    return true;
}

/* Draws for the rows that the last run kept (one a live sample, in order); keeps those that go on. */
static ag_status draw(generator *g, ag_error *err)
{
    const ag_generate_options *o = g->o;
    for (size_t i = 0; i < g->live_count; i++) {
        const live *l = &g->live[i];
        ag_rng r = ag_rng_at(o->seed, AG_RNG_SAMPLE, g->prompts[l->prompt].stream, (uint64_t)l->sample,
                             (uint64_t)g->out[l->index].count, 0);
        g->uniform[i] = ag_rng_double(&r);
        g->mask_of[i] = (int32_t)i;
    }
    ag_masks masks = {g->mask_of, g->bits, (int32_t)g->live_count};
    ag_draw how = {o->temperature, o->top_k, o->top_p, o->min_p, g->uniform, o->constraint ? &masks : NULL};
    AG_TRY(ag_session_sample(g->session, &how, g->id, g->logprob, err));
    size_t kept = 0;
    ag_status status = AG_OK;
    for (size_t i = 0; i < g->live_count && status == AG_OK; i++) {
        live l = g->live[i];
        if (take(g, &l, g->id[i], g->logprob[i], false) &&
            prepare(g, &l, g->bits + kept * (size_t)g->words, &status, err))
            g->live[kept++] = l;
    }
    g->live_count = kept;
    return status;
}

/* Computes the tokens that live samples have taken since. */
static ag_status advance(generator *g, ag_error *err)
{
    for (size_t i = 0; i < g->live_count; i++) {
        live *l = &g->live[i];
        const ag_generated *r = &g->out[l->index];
        g->runs[i] = (ag_run){l->node, r->tokens + r->count - l->pending, l->pending, 1};
        l->pending = 0;
    }
    return ag_session_run(g->session, g->runs, (int32_t)g->live_count, NULL, err);
}

/* Makes a sample below its prompt. A leading run of forced tokens is taken at once; a sample that is complete with it
 * does not come alive. */
static ag_status start_sample(generator *g, size_t prompt, size_t index, int32_t sample, int32_t parent,
                              ag_error *err)
{
    size_t n = (size_t)g->o->max_new;
    live l = {prompt, index, sample, -1, 0};
    ag_generated *r = &g->out[index];
    ag_status status = AG_OK;
    AG_TRY(ag_session_node(g->session, parent, 1 + g->o->max_new, &l.node, err));
    r->tokens = ag_calloc(n, sizeof *r->tokens);
    r->logprob = ag_calloc(n, sizeof *r->logprob);
    r->forced = ag_calloc(n, 1);
    if (!r->tokens || !r->logprob || !r->forced) return ag_fail_memory(err, "generated tokens");
    if (prepare(g, &l, g->bits + g->live_count * (size_t)g->words, &status, err))
        g->live[g->live_count++] = l;
    return status;
}

/* The first draw of every sample of a prompt reads the prompt's last row, or that of its last forced token. The prompt's last
 * token is computed once a sample, in the sample's own node: one cheap row, and every sample then owns its rows. */
static ag_status start_samples(generator *g, const ag_forest *f, const int32_t *node_of, size_t first,
                               const size_t *result_of, ag_error *err)
{
    int32_t segment = 0, runs = 0;
    g->live_count = 0;
    for (int32_t t = 0; t < f->target_count; t++) { /* targets are in order of rows: depth first */
        size_t prompt = first + (size_t)f->targets[t].sample;
        while (f->segments[segment].end <= f->targets[t].row) segment++;
        for (int32_t k = 0; k < g->prompts[prompt].samples; k++)
            AG_TRY(start_sample(g, prompt, result_of[prompt] + (size_t)k, k, node_of[segment], err));
    }
    for (size_t i = 0; i < g->live_count; i++) {
        live *l = &g->live[i];
        const ag_generate_prompt *p = &g->prompts[l->prompt];
        g->runs[runs++] = (ag_run){l->node, p->tokens + p->count - 1, 1, l->pending == 0};
        if (l->pending > 0) g->runs[runs++] = (ag_run){l->node, g->out[l->index].tokens, l->pending, 1};
        l->pending = 0;
    }
    return ag_session_run(g->session, g->runs, runs, NULL, err);
}

/* The prompts without their first `shared` tokens as a forest. The last token of each is left to its samples: in its place
 * stands a token that no other prompt can share, with the target that marks the prompt's end. */
static ag_status prompt_forest(const generator *g, int32_t shared, size_t first, size_t count, ag_forest *f,
                               ag_error *err)
{
    ag_forest_builder b = {0};
    ag_status status = AG_OK;
    for (size_t i = 0; i < count && status == AG_OK; i++) {
        const ag_generate_prompt *p = &g->prompts[first + i];
        int32_t n = p->count - shared;
        uint8_t *wanted = ag_calloc((size_t)n + 1, 1);
        int32_t *tokens = ag_calloc((size_t)n + 1, sizeof *tokens);
        if (wanted && tokens) {
            memcpy(tokens, p->tokens + shared, (size_t)(n - 1) * sizeof *tokens);
            tokens[n - 1] = -1;
            wanted[n] = 1;
            status = ag_forest_add(&b, tokens, n + 1, wanted, (int32_t)i, true, n - 1, err);
        } else
            status = ag_fail_memory(err, "prompts");
        ag_free(wanted);
        ag_free(tokens);
    }
    if (status == AG_OK) status = ag_forest_finish(f, &b, err);
    ag_forest_builder_free(&b);
    return status;
}

static ag_status run_batch(generator *g, int32_t root, int32_t shared, size_t first, size_t count,
                           const size_t *result_of, ag_error *err)
{
    ag_forest f = {0};
    int32_t *node_of = NULL, run_count = 0;
    ag_run *runs = NULL;
    ag_status status = prompt_forest(g, shared, first, count, &f, err);
    if (status == AG_OK) {
        node_of = ag_calloc((size_t)f.segment_count, sizeof *node_of);
        runs = ag_calloc((size_t)f.segment_count, sizeof *runs);
        if (!node_of || !runs) status = ag_fail_memory(err, "prompts");
    }
    for (int32_t i = 0; i < f.segment_count && status == AG_OK; i++) {
        const ag_segment_run *s = &f.segments[i];
        bool leaf = f.reach[s->begin] ==
                    s->end; /* ends with a prompt's last token, which its samples compute */
        int32_t n = s->end - s->begin - leaf, parent = s->parent < 0 ? root : node_of[s->parent];
        status = ag_session_node(g->session, parent, n, &node_of[i], err);
        if (status == AG_OK && n > 0) runs[run_count++] = (ag_run){node_of[i], f.ids + s->begin, n, 0};
    }
    if (status == AG_OK) status = ag_session_run(g->session, runs, run_count, NULL, err);
    if (status == AG_OK) status = start_samples(g, &f, node_of, first, result_of, err);
    while (status == AG_OK && g->live_count > 0) {
        status = draw(g, err);
        if (status == AG_OK && g->live_count > 0) status = advance(g, err);
    }
    ag_free(node_of);
    ag_free(runs);
    ag_forest_free(&f);
    return status;
}

/* How many tokens all prompts begin with (the last token of each left out). */
static int32_t common_beginning(const ag_generate_prompt *p, size_t n)
{
    int32_t shared = p[0].count - 1;
    for (size_t i = 1; i < n; i++) {
        int32_t k = 0;
        while (k < shared && k < p[i].count - 1 && p[i].tokens[k] == p[0].tokens[k]) k++;
        shared = k;
    }
    return shared;
}

/* Prompts that fit the free slots together, counted without sharing. */
static size_t batch_size(const generator *g, size_t first, size_t n, int32_t shared, ag_error *err)
{
    int64_t room = ag_session_free_slots(g->session), need = 0;
    size_t count = 0;
    for (; first + count < n; count++) {
        const ag_generate_prompt *p = &g->prompts[first + count];
        need += p->count - shared + (int64_t)p->samples * (1 + g->o->max_new);
        if (need > room) break;
    }
    if (count == 0)
        ag_fail(
            err, AG_ERR_MEMORY,
            "a prompt of %d tokens with %d samples of %d needs more than the %lld free slots; raise kv_slots",
            g->prompts[first].count, g->prompts[first].samples, g->o->max_new, (long long)room);
    return count;
}

static ag_status generator_alloc(generator *g, size_t samples, int words, ag_error *err)
{
    g->words = words;
    g->live = ag_calloc(samples, sizeof *g->live);
    g->runs = ag_calloc(samples, 2 * sizeof *g->runs); /* a sample begins with two */
    g->uniform = ag_calloc(samples, sizeof *g->uniform);
    g->logprob = ag_calloc(samples, sizeof *g->logprob);
    g->id = ag_calloc(samples, sizeof *g->id);
    g->mask_of = ag_calloc(samples, sizeof *g->mask_of);
    g->bits = ag_calloc(g->o->constraint ? samples : 1, (size_t)words * sizeof *g->bits);
    if (!g->live || !g->runs || !g->uniform || !g->logprob || !g->id || !g->mask_of || !g->bits)
        return ag_fail_memory(err, "generation");
    return AG_OK;
}

static ag_status run_all(generator *g, size_t n, const size_t *result_of, ag_error *err)
{
    ag_session_mark mark = ag_session_here(g->session);
    int32_t root = -1, shared = common_beginning(g->prompts, n);
    ag_status status = ag_session_root(g->session, g->prompts[0].tokens, shared, &root, err);
    ag_session_mark prefix = ag_session_here(g->session);
    for (size_t first = 0; first < n && status == AG_OK;) {
        size_t count = batch_size(g, first, n, shared, err);
        if (count == 0)
            status = AG_ERR_MEMORY;
        else
            status = run_batch(g, root, shared, first, count, result_of, err);
        ag_session_reset(g->session, prefix);
        first += count;
        if (status == AG_OK && g->o->progress) status = g->o->progress(g->o->progress_user, first, err);
    }
    ag_session_reset(g->session, mark);
    return status;
}

ag_status ag_generate(ag_session *session, const ag_generate_prompt *prompts, size_t n,
                      const ag_generate_options *options, ag_generated **out, ag_error *err)
{
    *out = NULL;
    if (n == 0) return AG_OK;
    if (options->max_new < 1)
        return ag_fail(err, AG_ERR_USAGE, "max_new must be at least 1, not %d", options->max_new);
    generator g = {.session = session, .prompts = prompts, .o = options};
    size_t total = 0, *result_of = ag_calloc(n, sizeof *result_of);
    if (!result_of) return ag_fail_memory(err, "generation");
    ag_status status = AG_OK;
    for (size_t i = 0; i < n; i++) {
        if (prompts[i].count < 1) status = ag_fail(err, AG_ERR_INPUT, "an empty prompt");
        result_of[i] = total;
        total += (size_t)prompts[i].samples;
    }
    g.out = ag_calloc(total, sizeof *g.out);
    if (status == AG_OK && !g.out) status = ag_fail_memory(err, "generation");
    if (status == AG_OK) status = generator_alloc(&g, total, (ag_session_vocab(session) + 31) / 32, err);
    if (status == AG_OK) status = run_all(&g, n, result_of, err);
    void *all[] = {g.live, g.runs, g.uniform, g.logprob, g.id, g.mask_of, g.bits, result_of};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) ag_free(all[i]);
    if (status != AG_OK)
        ag_generated_free(g.out, total);
    else
        *out = g.out;
    return status;
}
