/* head_cases.h: cases of the vocabulary head's log-probabilities and their gradient (test_ops.c); of sampling, the arguments. */
#ifndef AG_TESTS_HEAD_CASES_H
#define AG_TESTS_HEAD_CASES_H

#include "unit/device/ops_rig.h"

/* The arguments of a head: rows with none, one or several targets, some the same; masks that allow the
 * targets. */
typedef struct head_case {
    buffer h, w, first, target, mask_of, masks;
    int64_t rows, width, vocab, targets;
    double temperature;
    bool masked;
    ag_dtype type;
} head_case;

static buffer head_targets(rig *r, head_case *c, const uint32_t *bits, const int32_t *mask_of, int64_t words)
{
    int32_t *first = ag_calloc((size_t)c->rows + 1, sizeof *first),
            *target = ag_calloc((size_t)c->rows * 5, sizeof *target);
    for (int64_t i = 0; i < c->rows; i++) {
        int count = (int)ag_rng_below(&r->rng, 6);
        first[i + 1] = first[i];
        for (int k = 0; k < count; k++) {
            int32_t id = (int32_t)ag_rng_below(&r->rng, (uint32_t)c->vocab);
            if (k == 2) id = target[first[i + 1] - 1];
            while (c->masked && mask_of[i] >= 0 && !(bits[mask_of[i] * words + id / 32] >> (id % 32) & 1))
                id = (int32_t)((id + 1) % c->vocab);
            target[first[i + 1]++] = id;
        }
    }
    c->targets = first[c->rows];
    c->first = ints(r, first, c->rows + 1);
    buffer targets = ints(r, target, c->targets);
    ag_free(first);
    ag_free(target);
    return targets;
}

static head_case make_head(rig *r, const char *op, int64_t rows, int64_t width, int64_t vocab, int type,
                           bool masked, double temperature)
{
    enum { MASKS = 3 };
    head_case c = {.rows = rows,
                   .width = width,
                   .vocab = vocab,
                   .temperature = temperature,
                   .masked = masked,
                   .type = TYPES[type]};
    int64_t words = (vocab + 31) / 32;
    LABEL(r, "%s %ld rows, %ld wide, vocabulary %ld, %s, masks %d, temperature %g", op, (long)rows,
          (long)width, (long)vocab, TYPE_NAMES[type], masked, temperature);
    uint32_t *bits = ag_calloc((size_t)(MASKS * words), sizeof *bits);
    int32_t *mask_of = ag_calloc((size_t)rows, sizeof *mask_of);
    for (int64_t i = 0; i < rows; i++) mask_of[i] = (int32_t)ag_rng_below(&r->rng, MASKS + 1) - 1;
    for (int64_t k = 0; k < MASKS; k++) {
        for (int64_t j = 0; j < vocab; j++)
            if (k < 2 && ag_rng_below(&r->rng, k == 0 ? 2 : 17) == 0)
                bits[k * words + j / 32] |= 1u << (j % 32);
        int64_t j = (int64_t)ag_rng_below(
            &r->rng, (uint32_t)vocab); /* at least one; the last mask allows only this one */
        bits[k * words + j / 32] |= 1u << (j % 32);
    }
    c.h = normals(r, c.type, rows * width, 1);
    c.w = normals(r, c.type, vocab * width, 2 / sqrt((double)width));
    c.target = head_targets(r, &c, bits, mask_of, words);
    c.mask_of = ints(r, mask_of, rows);
    c.masks = ints(r, (const int32_t *)bits, MASKS * words);
    ag_free(bits);
    ag_free(mask_of);
    return c;
}

static ag_head_args head_of(const head_case *c, int s)
{
    return (ag_head_args){.h = c->h.at[s],
                          .w = c->w.at[s],
                          .type = c->type,
                          .rows = c->rows,
                          .width = c->width,
                          .vocab = c->vocab,
                          .temperature = c->temperature,
                          .first = c->first.at[s],
                          .target = c->target.at[s],
                          .targets = c->targets,
                          .mask_of = c->masked ? c->mask_of.at[s] : NULL,
                          .masks = c->masks.at[s]};
}

/* Row i's h points to the token, so that its logit is that. */
static void point(const head_case *c, void *h, const void *w, int64_t i, int64_t token, double logit)
{
    int64_t from = token * c->width;
    double square = 0;
    for (int64_t k = 0; k < c->width; k++) square += pow(load_host(w, c->type, from + k), 2);
    for (int64_t k = 0; k < c->width; k++)
        store_host(h, c->type, i * c->width + k, logit / square * load_host(w, c->type, from + k));
}

/* Of each row with targets, one token, of that logit, whose probability is near 1. */
static void make_sure(rig *r, const head_case *c, double logit)
{
    void *h = fetch(r, c->h, 0), *w = fetch(r, c->w, 0);
    int32_t *first = fetch(r, c->first, 0), *target = fetch(r, c->target, 0);
    for (int64_t i = 0; i < c->rows; i++) {
        if (first[i] == first[i + 1]) continue;
        point(c, h, w, i, target[first[i]], logit);
        for (int32_t t = first[i]; t < first[i + 1]; t++) target[t] = target[first[i]];
    }
    put(r, c->h, h);
    put(r, c->target, target);
    void *all[] = {h, w, first, target};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) ag_free(all[i]);
}

/* Of every third row, two tokens of that logit, and of half of these rows of a third of it, which are no targets: twins, so that either is as
 * likely. A mask may forbid them. */
static void make_unlikely(rig *r, const head_case *c, double logit)
{
    void *h = fetch(r, c->h, 0), *w = fetch(r, c->w, 0);
    int32_t *first = fetch(r, c->first, 0), *target = fetch(r, c->target, 0), twin = (int32_t)c->vocab - 1;
    for (int64_t k = 0; k < c->width; k++)
        store_host(w, c->type, twin * c->width + k, load_host(w, c->type, k));
    for (int64_t i = 0; i < c->rows; i += 3) {
        bool sought = false;
        for (int32_t t = first[i]; t < first[i + 1]; t++)
            sought = sought || target[t] == 0 || target[t] == twin;
        if (!sought) point(c, h, w, i, 0, i % 2 ? logit / 3 : logit);
    }
    put(r, c->h, h);
    put(r, c->w, w);
    void *all[] = {h, w, first, target};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) ag_free(all[i]);
}

/* Of every other row: the targets' coefficients add up to nothing. */
static void cancel(rig *r, const head_case *c, buffer dlogprob)
{
    float *g = fetch(r, dlogprob, 0);
    int32_t *first = fetch(r, c->first, 0);
    for (int64_t i = 0; i < c->rows; i += 2) {
        float sum = 0;
        for (int32_t t = first[i]; t < first[i + 1] - 1; t++) sum += g[t];
        if (first[i] < first[i + 1]) g[first[i + 1] - 1] = -sum;
    }
    put(r, dlogprob, g);
    ag_free(g);
    ag_free(first);
}

static const int64_t HEADS[][3] = {/* rows, width, vocab */ {0, 4, 9},
                                   {1, 1, 1},
                                   {3, 7, 31},
                                   {64, 16, 33},
                                   {65, 17, 97},
                                   {130, 9, 60},
                                   {3, 33, 2053},
                                   {2, 8, 9236},
                                   {8, 5, 9240},
                                   {9, 8, 8},
                                   {260, 8, 520},
                                   {20, 136, 1336}};
/* The last three are for products in tiles, and not drawn from: there more uniform numbers fall where rounding decides. */
enum { HEAD_COUNT = sizeof HEADS / sizeof *HEADS, DRAWN_HEADS = HEAD_COUNT - 3 };

/* What was kept, times what makes it sum up to 1. */
static buffer whole_probabilities(rig *r, const head_case *c, buffer probability, buffer reference,
                                  buffer lse)
{
    buffer whole = poison(r, AG_F32, c->rows * c->vocab);
    for (int s = 0; s < 2; s++) {
        void *p = fetch(r, probability, s), *from = fetch(r, reference, s), *to = fetch(r, lse, s),
             *host = fetch(r, whole, s);
        for (int64_t i = 0; i < whole.n; i++) {
            double factor = exp(load_host(from, AG_F32, i / c->vocab) - load_host(to, AG_F32, i / c->vocab));
            store_host(host, AG_F32, i, factor * load_host(p, c->type, i));
        }
        ag_error err = {0};
        assert_int_equal(r->d[s]->upload(r->d[s], whole.at[s], host, (size_t)whole.n * sizeof(float), &err),
                         AG_OK);
        void *all[] = {p, from, to, host};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) ag_free(all[i]);
    }
    return whole;
}

/* Log-probabilities of rows that are not numbers are not finite, so that a run is told. flags: bit 0: bf16; 1: probabilities are kept. */
static void broken_head_case(rig *r, const int64_t *size, int flags)
{
    bool kept = flags & 2;
    head_case c = make_head(r, "head_logprob of broken rows", size[0], size[1], size[2], flags & 1, false, 1);
    void *h = fetch(r, c.h, 0);
    for (int64_t i = 0; i < c.rows; i += 5) store_host(h, c.type, i * c.width, NAN);
    put(r, c.h, h);
    buffer logprob = poison(r, AG_F32, c.targets), lse = poison(r, AG_F32, c.rows),
           reference = poison(r, AG_F32, c.rows), probability = poison(r, c.type, c.rows * c.vocab);
    BOTH(r, head_logprob, head_of(&c, s), logprob.at[s], lse.at[s], NULL, kept ? probability.at[s] : NULL,
         kept ? reference.at[s] : NULL);
    int32_t *first = fetch(r, c.first, 0);
    float *told = fetch(r, logprob, 1), *sums = fetch(r, lse, 1);
    for (int64_t i = 0; i < c.rows; i++) {
        bool broken = i % 5 == 0;
        if (!!isfinite(sums[i]) == broken) fail_msg("%s: lse of row %ld is %g", r->label, (long)i, sums[i]);
        for (int32_t t = first[i]; t < first[i + 1]; t++)
            if (!!isfinite(told[t]) == broken)
                fail_msg("%s: logprob of row %ld is %g", r->label, (long)i, told[t]);
    }
    r->checks += 2;
    void *all[] = {h, first, told, sums};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) ag_free(all[i]);
    rig_clear(r);
}

/* flags: bit 0: bf16; 1: masks; 2: a temperature; 3: probabilities are kept; 4: a logit far above the others. */
static void head_logprob_cases(rig *r)
{
    enum { FAR = 100 }; /* exp(FAR) is infinite */
    for (int i = 0; i < HEAD_COUNT; i++) {
        for (int flags = 0; flags < 32; flags++) {
            bool keeps = flags & 8;
            head_case c = make_head(r, keeps ? "head_logprob that keeps" : "head_logprob", HEADS[i][0],
                                    HEADS[i][1], HEADS[i][2], flags & 1, flags & 2, flags & 4 ? 0.7 : 1);
            if (flags & 16) {
                make_sure(r, &c, FAR);
                make_unlikely(r, &c, FAR);
            }
            buffer reference = poison(r, AG_F32, c.rows);
            buffer logprob = poison(r, AG_F32, c.targets), lse = poison(r, AG_F32, c.rows),
                   entropy = poison(r, AG_F32, c.rows), probability = poison(r, c.type, c.rows * c.vocab);
            BOTH(r, head_logprob, head_of(&c, s), logprob.at[s], lse.at[s],
                 flags % 8 == 5 ? NULL : entropy.at[s], keeps ? probability.at[s] : NULL,
                 keeps ? reference.at[s] : NULL);
            /* Log-probabilities are differences of logits of that order: an absolute bound. */
            double order = flags & 16 ? FAR : 1;
            check_rows(r, "logprob", logprob, 1, c.targets, c.targets, FP32_BOUND, order);
            check_rows(r, "lse", lse, 1, c.rows, c.rows, FP32_BOUND, order);
            if (flags % 8 != 5) check_rows(r, "entropy", entropy, 1, c.rows, c.rows, FP32_BOUND, order);
            if (keeps) /* each is rounded on its own */
                check_rows(r, "probability", whole_probabilities(r, &c, probability, reference, lse), c.rows,
                           c.vocab, c.vocab, flags & 1 ? 4e-3 : FP32_BOUND * (flags & 16 ? 10 : 1), 1);
            rig_clear(r);
        }
        for (int flags = 0; flags < 4; flags++) broken_head_case(r, HEADS[i], flags);
    }
}

/* flags: bit 0: bf16; 1: masks; 2: a temperature; 3: of kept probabilities; 4: of targets whose probability is near 1. */
static void head_grad_case(rig *r, const int64_t *size, int flags)
{
    static const char *const names[] = {"head_grad", "head_grad of what was kept",
                                        "head_grad of sure targets",
                                        "head_grad of what was kept, sure targets"};
    bool bf16 = flags & 1, kept = flags & 8, sure = flags & 16;
    head_case c = make_head(r, names[flags / 8], size[0], size[1], size[2], bf16, flags & 2,
                            flags & 4 ? 0.7 : 1);
    double logit = c.vocab > 4096 ? 17 : 10;
    if (sure) make_sure(r, &c, logit);
    buffer logprob = poison(r, AG_F32, c.targets), lse = poison(r, AG_F32, c.rows),
           dlogprob = normals(r, AG_F32, c.targets, 1), probability = poison(r, c.type, c.rows * c.vocab);
    buffer dh = poison(r, AG_F32, c.rows * c.width), dw = normals(r, AG_F32, c.vocab * c.width, 1);
    buffer reference = poison(r, AG_F32, c.rows);
    cancel(r, &c, dlogprob);
    BOTH(r, head_logprob, head_of(&c, s), logprob.at[s], lse.at[s], NULL, kept ? probability.at[s] : NULL,
         kept ? reference.at[s] : NULL);
    share(r, lse);
    share(r, logprob);
    BOTH(r, head_grad, head_of(&c, s), lse.at[s], logprob.at[s], dlogprob.at[s], dh.at[s],
         flags % 8 == 6 ? NULL : dw.at[s], kept ? probability.at[s] : NULL, kept ? reference.at[s] : NULL);
    /* With bf16 products a backend may round dlogits to bf16, whose rounding errors of 2^-9 cancel less. In fp32 a logit of 10 is off by
     * 1e-6, and so is 1 - p. Where a vocabulary is large, a backend may not have seen the largest logit when it keeps the first weights. */
    double bound = bf16 ? (sure ? 2e-2 : 1e-2) : FP32_BOUND, terms = sure && !bf16 ? logit : 0;
    check_rows(r, "dh", dh, c.rows, c.width, c.width, bound, fmax(terms, CANCELS));
    check_rows(r, "dw", dw, c.vocab, c.width, c.width, bound, terms);
    rig_clear(r);
}

static void head_grad_cases(rig *r)
{
    for (int i = 0; i < HEAD_COUNT; i++)
        for (int flags = 0; flags < 32; flags++) head_grad_case(r, HEADS[i], flags);
}

#endif
