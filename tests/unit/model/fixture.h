/* fixture.h: what the tests of the engine share: tiny models of each family, batches of sequences that begin
 * alike, and comparisons. Weights are drawn large, so that attention is far from uniform and a wrong key
 * shows.
 */
#ifndef AG_TEST_ENGINE_FIXTURE_H
#define AG_TEST_ENGINE_FIXTURE_H

#include "unit/model/model_help.h"

#include <math.h>

#include "base/rng.h"
#include "model/model.h"

#define FIXTURE __attribute__((unused)) static

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLOW_BUILD 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SLOW_BUILD 1
#endif
#ifndef SLOW_BUILD
#define SLOW_BUILD 0
#endif

/* A call that must succeed; fails with the error's own message. Needs `ag_error err` in scope. */
#define must(call)                                                                                           \
    do {                                                                                                     \
        if ((call) != AG_OK) fail_msg("%s: %s", #call, err.message);                                         \
    } while (0)

/* --- models
 * ------------------------------------------------------------------------------------------------- */
typedef enum tiny_kind { TINY_LLAMA, TINY_QWEN2, TINY_QWEN3, TINY_LORA, TINY_KINDS } tiny_kind;
FIXTURE const char *const TINY_NAMES[] = {"llama", "qwen2", "qwen3", "llama with LoRA"};

/* Grouped queries everywhere; llama tied, qwen2 with biases and a head of its own, qwen3 with norms on q and
 * k and heads that do not add up to the width. */
FIXTURE ag_config tiny_config(tiny_kind kind)
{
    ag_config c = {.family = AG_FAMILY_LLAMA,
                   .vocab = 37,
                   .width = 24,
                   .layers = 2,
                   .heads = 6,
                   .kv_heads = 2,
                   .head_dim = 4,
                   .ff = 20,
                   .max_positions = 96,
                   .rope_theta = 100,
                   .norm_eps = 1e-5,
                   .tied = true,
                   .bos = -1,
                   .eos = -1,
                   .pad = -1};
    if (kind == TINY_QWEN2) {
        c.family = AG_FAMILY_QWEN2;
        c.qkv_bias = true;
        c.tied = false;
    } else if (kind == TINY_QWEN3) {
        c.family = AG_FAMILY_QWEN3;
        c.qk_norm = true;
        c.heads = 4;
        c.head_dim = 10;
        c.layers = 3;
    }
    return c;
}

/* Values that depend on the parameter's name alone, so that every device gets the same model. */
FIXTURE void fill_tiny(ag_model *m)
{
    ag_error err = {0};
    for (int i = 0; i < m->param_count; i++) {
        const ag_param *p = &m->params[i];
        ag_rng r = ag_rng_at(11, AG_RNG_TEST, ag_hash64(p->name, strlen(p->name)), 0, 0, 0);
        size_t n = (size_t)(p->rows * p->cols);
        double *values = ag_calloc(n, sizeof *values);
        for (size_t j = 0; j < n; j++) {
            double x = ag_rng_normal(&r);
            double gain = strstr(p->name, "lora_b") ? 0.2 : 0.9;
            values[j] = p->matrix                 ? x * gain / sqrt((double)p->cols)
                        : strstr(p->name, "bias") ? 0.5 * x
                                                  : 1 + 0.3 * x;
        }
        must(ag_param_set(m, i, values, &err));
        ag_free(values);
    }
}

/* head_dim 0: the kind's own, which no card's tensor cores take. */
FIXTURE ag_model *tiny_model_of(ag_device *d, tiny_kind kind, int head_dim, ag_dtype type, bool train)
{
    ag_error err = {0};
    ag_model *m = NULL;
    ag_config config = tiny_config(kind);
    if (head_dim) config.head_dim = head_dim;
    ag_model_options options = {
        .type = type, .train = train, .lora_rank = kind == TINY_LORA ? 3 : 0, .lora_alpha = 5};
    must(ag_model_create(&m, &config, d, &options, &err));
    fill_tiny(m);
    return m;
}

FIXTURE ag_model *tiny_model(ag_device *d, tiny_kind kind, ag_dtype type, bool train)
{
    return tiny_model_of(d, kind, 0, type, train);
}

FIXTURE ag_device *open_device(const char *name)
{
    ag_error err = {0};
    ag_device *d = NULL;
    if (strcmp(name, "far") == 0)
        must(ag_device_far_open(&d, &err));
    else if (strcmp(name, "ref64") == 0)
        must(ag_device_ref64_open(&d, &err));
    else if (ag_device_open(&d, name, 2, &err) == AG_ERR_UNSUPPORTED && strcmp(name, "cuda") == 0) {
        print_message("left out: %s\n", err.message);
        skip();
    } else if (!d)
        fail_msg("%s", err.message);
    return d;
}

/* --- batches of sequences
 * ----------------------------------------------------------------------------------- */
enum { MAX_SEQUENCES = 32, MAX_TOKENS = 96 };

typedef struct sequences {
    int n;
    int32_t count[MAX_SEQUENCES];
    int32_t tokens[MAX_SEQUENCES][MAX_TOKENS];
    uint8_t wanted[MAX_SEQUENCES][MAX_TOKENS];
} sequences;

/* n sequences of up to `longest` tokens, most of which begin like an earlier one; a few are the same
 * throughout or the beginning of another. About half of the tokens are wanted. */
FIXTURE void random_sequences(sequences *q, ag_rng *r, int n, int longest, int vocab)
{
    memset(q, 0, sizeof *q);
    q->n = n;
    for (int s = 0; s < n; s++) {
        int shared = 0;
        q->count[s] = 1 + (int)ag_rng_below(r, (uint32_t)longest);
        if (s > 0 && ag_rng_below(r, 5) != 0) {
            int from = (int)ag_rng_below(r, (uint32_t)s);
            shared = (int)ag_rng_below(r, (uint32_t)q->count[from] + 1);
            if (ag_rng_below(r, 6) == 0) q->count[s] = shared = q->count[from]; /* a copy */
            memcpy(q->tokens[s], q->tokens[from], (size_t)shared * sizeof q->tokens[0][0]);
            if (shared > q->count[s]) q->count[s] = shared; /* a beginning, or more */
        }
        for (int t = shared; t < q->count[s]; t++)
            q->tokens[s][t] = (int32_t)ag_rng_below(r, (uint32_t)vocab);
        for (int t = 1; t < q->count[s]; t++) q->wanted[s][t] = ag_rng_below(r, 2) == 0;
    }
}

/* The forest of sequences [begin, end), their beginnings shared or not. */
FIXTURE ag_forest make_forest(const sequences *q, int begin, int end, bool shared)
{
    ag_error err = {0};
    ag_forest f = {0};
    ag_forest_builder b = {0};
    ag_forest_begin(&b);
    for (int s = begin; s < end; s++)
        must(ag_forest_add(&b, q->tokens[s], q->count[s], q->wanted[s], s, true, shared ? q->count[s] : 0,
                           &err));
    must(ag_forest_finish(&f, &b, &err));
    ag_forest_builder_free(&b);
    return f;
}

/* --- passes and comparisons
 * --------------------------------------------------------------------------------- */
FIXTURE ag_pass *make_pass(ag_model *m, int32_t rows, int32_t targets, bool train, ag_recompute recompute)
{
    ag_error err = {0};
    ag_pass *p = NULL;
    must(ag_pass_create(
        &p, m,
        &(ag_pass_options){.max_rows = rows, .max_targets = targets, .train = train, .recompute = recompute},
        &err));
    return p;
}

FIXTURE double *gradients_of(const ag_model *m)
{
    ag_error err = {0};
    double *g = ag_calloc((size_t)m->train_count, sizeof *g);
    must(ag_device_get(m->device, g, m->grads, (size_t)m->train_count, &err));
    return g;
}

FIXTURE void clear_gradients(const ag_model *m)
{
    ag_error err = {0};
    must(m->device->zero(m->device, m->grads, (size_t)m->train_count * ag_dtype_size(m->device->real), &err));
}

/* |a - b| / |b| over n values. */
FIXTURE double norm_error(const double *a, const double *b, int64_t n)
{
    double error = 0, norm = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(a[i]) || isnan(b[i])) return INFINITY;
        error += (a[i] - b[i]) * (a[i] - b[i]);
        norm += b[i] * b[i];
    }
    return error == 0 ? 0 : sqrt(error / norm);
}

/* Every trained parameter's gradient by itself, relative to its norm. */
FIXTURE void check_gradients(const ag_model *m, const double *got, const double *want, double bound,
                             const char *what)
{
    for (int i = 0; i < m->param_count; i++) {
        const ag_param *p = &m->params[i];
        if (p->train < 0) continue;
        double error = norm_error(got + p->train, want + p->train, p->rows * p->cols);
        if (!(error <= bound))
            fail_msg("%s: gradient of %s: relative error %.3g, allowed %.3g", what, p->name, error, bound);
    }
}

#endif
