/* Passes over forests: sharing changes nothing but the cost. Loss and gradients of a forest equal those of
 * its sequences one by one, in one batch or in several, on every backend; masks and entropy are what their
 * definitions say; bf16 stays near fp32.
 */
#include "unit/model/fixture.h"

#include "model/layers.h"

typedef struct outcome {
    double *logprob[MAX_SEQUENCES]; /* [token] of each sequence */
    double *gradients;
} outcome;

/* The weight of a target in the loss: fixed by its place, whatever batch it is in. */
static double coefficient_of(const ag_target *t)
{
    ag_rng r = ag_rng_at(9, AG_RNG_TEST, (uint64_t)t->sample, (uint64_t)t->index, 0, 0);
    return ag_rng_normal(&r);
}

static void run_batch(ag_pass *pass, const ag_forest *f, outcome *out)
{
    ag_error err = {0};
    double *logprob = ag_calloc((size_t)f->target_count, sizeof *logprob),
           *coefficient = ag_calloc((size_t)f->target_count, sizeof *coefficient);
    must(ag_pass_forward(pass, f, &err));
    must(ag_pass_logprob(pass, 1.2, NULL, logprob, NULL, &err));
    for (int32_t t = 0; t < f->target_count; t++) {
        out->logprob[f->targets[t].sample][f->targets[t].index] = logprob[t];
        coefficient[t] = coefficient_of(&f->targets[t]);
    }
    must(ag_pass_backward(pass, coefficient, &err));
    ag_free(logprob);
    ag_free(coefficient);
}

/* Runs the sequences in batches cut at the places in `cuts` (ends with q->n). */
static outcome run_all(ag_model *m, const sequences *q, const int *cuts, bool shared, ag_recompute recompute)
{
    outcome out;
    int tokens = 0;
    for (int s = 0; s < q->n; s++) tokens += q->count[s];
    ag_pass *pass = make_pass(m, tokens, tokens, true, recompute);
    clear_gradients(m);
    for (int s = 0; s < MAX_SEQUENCES; s++) out.logprob[s] = ag_calloc(MAX_TOKENS, sizeof(double));
    for (int begin = 0; begin < q->n; begin = *cuts++) {
        ag_forest f = make_forest(q, begin, *cuts, shared);
        run_batch(pass, &f, &out);
        ag_forest_free(&f);
    }
    out.gradients = gradients_of(m);
    ag_pass_free(pass);
    return out;
}

static void free_outcome(outcome *o)
{
    for (int s = 0; s < MAX_SEQUENCES; s++) ag_free(o->logprob[s]);
    ag_free(o->gradients);
}

static void check_outcome(const ag_model *m, const sequences *q, const outcome *got, const outcome *want,
                          const char *what)
{
    for (int s = 0; s < q->n; s++)
        for (int t = 1; t < q->count[s]; t++)
            if (!(fabs(got->logprob[s][t] - want->logprob[s][t]) <= 1e-5))
                fail_msg("%s: log-probability of token %d of sequence %d: %.9g, expected %.9g", what, t, s,
                         got->logprob[s][t], want->logprob[s][t]);
    check_gradients(m, got->gradients, want->gradients, 1e-5, what);
}

/* A forest against its sequences, micro-batches of all sizes, and recompute, on the device named in *state. */
static void test_sharing(void **state)
{
    const char *name = *state;
    static sequences q;
    bool slow = SLOW_BUILD || strcmp(name, "cpu") != 0;
    ag_device *d = open_device(name);
    for (int kind = 0; kind < TINY_KINDS; kind++) {
        ag_rng r = ag_rng_at(4, AG_RNG_TEST, (uint64_t)kind, 0, 0, 0);
        ag_model *m = tiny_model(d, (tiny_kind)kind, d->real, true);
        int n = slow ? 10 : MAX_SEQUENCES, one_by_one[MAX_SEQUENCES], all[] = {n},
            uneven[] = {1, n / 3, n - 2, n};
        random_sequences(&q, &r, n, slow ? 20 : 70, m->config.vocab);
        for (int s = 0; s < n; s++) one_by_one[s] = s + 1;
        outcome want = run_all(m, &q, one_by_one, false, AG_RECOMPUTE_HEAD),
                forest = run_all(m, &q, all, true, AG_RECOMPUTE_HEAD);
        check_outcome(m, &q, &forest, &want, "forest");
        outcome micro = run_all(m, &q, uneven, true, AG_RECOMPUTE_NONE),
                packed = run_all(m, &q, all, false, AG_RECOMPUTE_LAYER);
        check_outcome(m, &q, &micro, &want, "micro-batches, all kept");
        check_outcome(m, &q, &packed, &want, "unshared in one batch, recomputed");
        free_outcome(&want);
        free_outcome(&forest);
        free_outcome(&micro);
        free_outcome(&packed);
        ag_model_free(m);
    }
    ag_device_close(d);
}

/* The device named in *state against ref, whatever is computed again; `far` is ref. */
static void test_agrees_with_ref(void **state)
{
    static sequences q;
    enum { REF = AG_RECOMPUTE_LAYER + 1, OUTCOMES };
    int cuts[] = {8};
    for (int kind = 0; kind < TINY_KINDS; kind++) {
        outcome out[OUTCOMES];
        ag_model *m[OUTCOMES];
        ag_device *d[OUTCOMES];
        for (int i = 0; i < OUTCOMES; i++) {
            ag_rng r = ag_rng_at(6, AG_RNG_TEST, (uint64_t)kind, 0, 0, 0);
            d[i] = open_device(i == REF ? "ref" : *state);
            m[i] = tiny_model(d[i], (tiny_kind)kind, AG_F32, true);
            random_sequences(&q, &r, 8, 24, m[i]->config.vocab);
            out[i] = run_all(m[i], &q, cuts, true, i == REF ? AG_RECOMPUTE_HEAD : (ag_recompute)i);
        }
        for (int i = 0; i < REF; i++) {
            check_outcome(m[REF], &q, &out[i], &out[REF], *state);
            if (strcmp(*state, "far") == 0 && i != AG_RECOMPUTE_NONE) /* probabilities are kept in fp32 */
                assert_memory_equal(out[i].gradients, out[REF].gradients,
                                    (size_t)m[REF]->train_count * sizeof(double));
        }
        for (int i = 0; i < OUTCOMES; i++) {
            free_outcome(&out[i]);
            ag_model_free(m[i]);
            ag_device_close(d[i]);
        }
    }
}

/* bf16 weights and inputs of products against fp32, and the device named in *state against ref in the same type, whatever is
 * computed again. */
static void test_bf16(void **state)
{
    static sequences q;
    enum { REF = AG_RECOMPUTE_LAYER + 1, WIDE, OUTCOMES };
    int cuts[] = {8};
    for (int at = 0; at < 2 * TINY_KINDS; at++) {
        int kind = at % TINY_KINDS, head_dim = at < TINY_KINDS ? 0 : 16; /* 16: what a card keeps as bf16 */
        outcome out[OUTCOMES];
        ag_model *m[OUTCOMES];
        ag_device *d[OUTCOMES];
        for (int i = 0; i < OUTCOMES; i++) {
            d[i] = open_device(i < REF ? *state : "ref");
            ag_rng r = ag_rng_at(6, AG_RNG_TEST, (uint64_t)kind, 0, 0, 0);
            m[i] = tiny_model_of(d[i], (tiny_kind)kind, head_dim, i == WIDE ? AG_F32 : AG_BF16, true);
            random_sequences(&q, &r, 8, 24, m[i]->config.vocab);
            out[i] = run_all(m[i], &q, cuts, true, i < REF ? (ag_recompute)i : AG_RECOMPUTE_HEAD);
        }
        double mean = 0;
        int n = 0;
        for (int s = 0; s < q.n; s++)
            for (int t = 1; t < q.count[s]; t++)
                if (q.wanted[s][t]) mean += fabs(out[REF].logprob[s][t] - out[WIDE].logprob[s][t]), n++;
        assert_true(mean / n > 1e-6 && mean / n < 0.05);
        check_gradients(m[WIDE], out[REF].gradients, out[WIDE].gradients, 0.15, "bf16 against fp32");
        for (int i = 0; i < REF; i++)
            check_gradients(m[WIDE], out[i].gradients, out[REF].gradients, 0.05, "bf16 against ref");
        for (int i = 0; i < OUTCOMES; i++) {
            free_outcome(&out[i]);
            ag_model_free(m[i]);
            ag_device_close(d[i]);
        }
    }
}

/* What LoRA adds to a linear is small: much less than a step of bf16 at what it is added to. It must not vanish there, however results are
 * kept; on average over many it is what it is. */
static void test_small_lora(void **state)
{
    enum { ROWS = 64, RANK = 3 };
    ag_error err = {0};
    ag_device *d = open_device(*state);
    ag_model *m = tiny_model_of(d, TINY_LORA, 16, AG_BF16, false);
    const ag_linear *l = &m->layers[0].gate_up;
    ag_dtype kept = ag_model_kept_type(m);
    size_t n = (size_t)(ROWS * l->out);
    ag_lora_scratch scratch;
    must(ag_lora_scratch_alloc(&scratch, m, ROWS, false, &err));
    ag_rng r = ag_rng_at(21, AG_RNG_TEST, 0, 0, 0, 0);
    uint16_t *x = ag_calloc((size_t)(ROWS * l->in), sizeof *x), *read = ag_calloc(n, sizeof *read);
    double *y[2] = {ag_calloc(n, sizeof(double)), ag_calloc(n, sizeof(double))},
           *adds = ag_calloc(n, sizeof(double));
    void *dx, *dy;
    for (int i = 0; i < ROWS * l->in; i++) x[i] = ag_bf16_from_float((float)ag_rng_normal(&r));
    must(d->alloc(d, &dx, (size_t)(ROWS * l->in) * sizeof *x, "test", &err));
    must(d->alloc(d, &dy, n * sizeof(float), "test", &err));
    must(d->upload(d, dx, x, (size_t)(ROWS * l->in) * sizeof *x, &err));
    for (int small = 0; small < 2; small++) {
        for (int p = 0; p < l->pieces; p++) {
            int64_t rows = l->piece[p].rows;
            double *a = ag_calloc((size_t)(RANK * l->in), sizeof *a),
                   *b = ag_calloc((size_t)(rows * RANK), sizeof *b);
            for (int64_t i = 0; i < RANK * l->in; i++) a[i] = ag_rng_normal(&r) / 5;
            for (int64_t i = 0; i < rows * RANK; i++) b[i] = small ? 2e-4 * ag_rng_normal(&r) : 0;
            must(ag_param_set(m, l->lora_a[p], a, &err));
            must(ag_param_set(m, l->lora_b[p], b, &err));
            for (int64_t i = 0; small && i < ROWS; i++)
                for (int64_t j = 0; j < rows; j++)
                    for (int k = 0; k < RANK; k++) {
                        double u = 0;
                        for (int64_t c = 0; c < l->in; c++)
                            u += (double)ag_float_from_bf16(x[i * l->in + c]) * a[k * l->in + c];
                        adds[i * l->out + l->piece[p].row + j] += m->lora_alpha / RANK * u * b[j * RANK + k];
                    }
            ag_free(a);
            ag_free(b);
        }
        must(ag_linear_forward(m, l, ROWS, dx, dy, kept, NULL, &scratch, &err));
        if (kept == AG_BF16) {
            must(d->download(d, read, dy, n * sizeof *read, &err));
            for (size_t i = 0; i < n; i++) y[small][i] = (double)ag_float_from_bf16(read[i]);
        } else
            must(ag_device_get(d, y[small], dy, n, &err));
    }
    double along = 0, square = 0;
    for (size_t i = 0; i < n; i++) along += (y[1][i] - y[0][i]) * adds[i], square += adds[i] * adds[i];
    if (!(fabs(along / square - 1) < 0.25))
        fail_msg("%.3f of what LoRA adds (%.2g on average) arrives", along / square,
                 sqrt(square / (double)n));
    print_message("%s: %.3f of what LoRA adds arrives\n", (const char *)*state, along / square);
    d->release(d, dx);
    d->release(d, dy);
    ag_lora_scratch_release(&scratch, d);
    void *all[] = {x, read, y[0], y[1], adds};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) ag_free(all[i]);
    ag_model_free(m);
    ag_device_close(d);
}

/* With every token of the vocabulary a target, masked log-probabilities and entropies follow from the
 * unmasked ones. */
static void test_masks_and_entropy(void **state)
{
    ag_error err = {0};
    enum { ROWS = 3, VOCAB = 37, N = ROWS * VOCAB };
    ag_device *d = open_device(*state);
    ag_model *m = tiny_model(d, TINY_LLAMA, AG_F32, false);
    ag_forest_builder b = {0};
    ag_forest f;
    double plain[N], masked[N], entropy[N], plain_entropy[N];
    static const int32_t text[ROWS] = {3, 14, 15};
    for (int32_t row = 0; row < ROWS; row++) {
        for (int32_t id = 0; id < VOCAB; id++) {
            int32_t tokens[ROWS + 1] = {text[0], text[1], text[2]};
            uint8_t wanted[ROWS + 1] = {0};
            tokens[row + 1] = id;
            wanted[row + 1] = 1;
            must(ag_forest_add(&b, tokens, row + 2, wanted, id, true, row + 2, &err));
        }
    }
    must(ag_forest_finish(&f, &b, &err));
    assert_int_equal(f.target_count, N);
    static const int32_t of_row[ROWS] = {1, -1, 0};
    static const uint32_t bits[] = {0x00ff00f1, 0x15, 0x80000001, 0};
    ag_pass *pass = make_pass(m, f.count, N, false, AG_RECOMPUTE_NONE);
    must(ag_pass_forward(pass, &f, &err));
    must(ag_pass_logprob(pass, 0.7, NULL, plain, plain_entropy, &err));
    must(ag_pass_logprob(pass, 0.7, &(ag_masks){of_row, bits, 2}, masked, entropy, &err));
    for (int row = 0; row < ROWS; row++) {
        const uint32_t *mask = of_row[row] < 0 ? NULL : bits + 2 * of_row[row];
        double all = 0, mass = 0, h = 0, h_all = 0;
        for (int j = 0; j < VOCAB; j++) {
            double p = exp(plain[row * VOCAB + j]);
            all += p;
            h_all -= p * log(p);
            if (!mask || mask[j / 32] >> (j % 32) & 1) mass += p;
        }
        assert_true(fabs(all - 1) < 1e-5);
        for (int j = 0; j < VOCAB; j++) {
            if (mask && !(mask[j / 32] >> (j % 32) & 1)) continue;
            double want = plain[row * VOCAB + j] - log(mass);
            assert_true(fabs(masked[row * VOCAB + j] - want) < 1e-5);
            h -= exp(want) * want;
        }
        for (int j = 0; j < VOCAB; j++) {
            assert_true(fabs(entropy[row * VOCAB + j] - h) < 1e-5);
            assert_true(fabs(plain_entropy[row * VOCAB + j] - h_all) < 1e-5);
        }
    }
    ag_pass_free(pass);
    ag_forest_free(&f);
    ag_forest_builder_free(&b);
    ag_model_free(m);
    ag_device_close(d);
}

/* What does not fit, or names no token, is refused; a batch without targets is no work. */
static void test_refusals(void **state)
{
    (void)state;
    ag_error err = {0};
    static sequences q = {.n = 1, .count = {90}};
    double none = 0;
    ag_device *d = open_device("cpu");
    ag_model *m = tiny_model(d, TINY_LLAMA, AG_F32, true);
    ag_pass *pass = make_pass(m, 100, 10, true, AG_RECOMPUTE_NONE);
    ag_forest f = make_forest(&q, 0, 1, true);
    must(ag_pass_forward(pass, &f, &err));
    must(ag_pass_logprob(pass, 1, NULL, &none, &none, &err));
    must(ag_pass_backward(pass, &none, &err));
    f.ids[7] = 37;
    assert_int_equal(ag_pass_forward(pass, &f, &err), AG_ERR_INPUT);
    f.ids[7] = -1;
    assert_int_equal(ag_pass_forward(pass, &f, &err), AG_ERR_INPUT);
    f.ids[7] = 0;
    f.pos[88] = 96;
    assert_int_equal(ag_pass_forward(pass, &f, &err), AG_ERR_INPUT);
    ag_forest_free(&f);
    memset(q.wanted, 1, sizeof q.wanted);
    f = make_forest(&q, 0, 1, true); /* 89 targets where 10 fit */
    assert_int_equal(ag_pass_forward(pass, &f, &err), AG_ERR_INTERNAL);
    ag_forest_free(&f);
    ag_pass_free(pass);
    pass = make_pass(m, 5, 100, false, AG_RECOMPUTE_NONE);
    f = make_forest(&q, 0, 1, true);
    assert_int_equal(ag_pass_forward(pass, &f, &err), AG_ERR_INTERNAL);
    assert_int_equal(ag_pass_backward(pass, &none, &err), AG_ERR_INTERNAL);
    ag_forest_free(&f);
    ag_pass_free(pass);
    ag_model_free(m);
    ag_device_close(d);
}

/* --- the memory plan
 * ----------------------------------------------------------------------------------------- */
static size_t allocated;
static ag_status (*plain_alloc)(ag_device *d, void **memory, size_t bytes, const char *what, ag_error *err);

static ag_status counting_alloc(ag_device *d, void **memory, size_t size, const char *what, ag_error *err)
{
    allocated += size;
    return plain_alloc(d, memory, size, what, err);
}

/* Never less than what is asked for, and at most 2 % more (scratch of the head apart). */
static void check_plan(size_t planned, const char *what, int i)
{
    if (planned < allocated || planned > allocated + allocated / 50)
        fail_msg("case %d: %zu bytes planned for %s, %zu allocated", i, planned, what, allocated);
}

static ag_dtype keeps_type(ag_dtype type, int head_dim)
{
    (void)head_dim;
    return type;
}

static void test_memory_plan(void **state)
{
    (void)state;
    ag_error err = {0};
    ag_device *d = open_device("cpu");
    plain_alloc = d->alloc;
    d->alloc = counting_alloc;
    for (int at = 0; at < 16 * (AG_RECOMPUTE_LAYER + 1); at++) {
        int i = at % 16;
        ag_config c = {.vocab = 300,
                       .width = 48,
                       .layers = 3,
                       .heads = 6,
                       .kv_heads = 2,
                       .head_dim = 8,
                       .ff = 100,
                       .max_positions = 5000,
                       .rope_theta = 1e4,
                       .norm_eps = 1e-5,
                       .tied = i & 1,
                       .qk_norm = i % 3 == 0,
                       .qkv_bias = i % 3 == 1};
        ag_model_options o = {.type = i & 2 ? AG_BF16 : AG_F32,
                              .max_positions = i & 4 ? 100 : 0,
                              .train = i % 8 < 5,
                              .lora_rank = i % 5 == 4 ? 8 : 0,
                              .lora_alpha = 1};
        ag_pass_options p = {.max_rows = 150,
                             .max_targets = i & 1 ? 70 : 200,
                             .train = i % 8 < 5,
                             .recompute = (ag_recompute)(at / 16)};
        d->kept_type = i & 8 ? keeps_type : NULL;
        ag_memory_need need = ag_model_memory(&c, &o, &p, d);
        ag_model *m;
        allocated = 0;
        must(ag_model_create(&m, &c, d, &o, &err));
        check_plan(need.weights + need.gradients + need.other, "the model", at);
        allocated = 0;
        ag_pass *pass = make_pass(m, p.max_rows, p.max_targets, p.train, p.recompute);
        check_plan(need.activations + need.head - 64 * 6 * (size_t)c.vocab, "a pass", at);
        ag_pass_free(pass);
        ag_model_free(m);
    }
    ag_device_close(d);
}

static ag_status pass_work(void *context, ag_error *err)
{
    const ag_forest *f = context;
    ag_config config = tiny_config(TINY_QWEN3);
    ag_device *d = NULL;
    ag_model *m = NULL;
    ag_pass *pass = NULL;
    double values[64] = {0}, entropy[64];
    int32_t of_row[64];
    uint32_t bits[2] = {~0u, ~0u};
    for (int i = 0; i < 64; i++) of_row[i] = 0;
    ag_status status = ag_device_cpu_open(&d, 1, err);
    if (status == AG_OK)
        status = ag_model_create(
            &m, &config, d,
            &(ag_model_options){.type = AG_F32, .train = true, .lora_rank = 2, .lora_alpha = 1}, err);
    if (status == AG_OK) status = ag_model_randomize(m, 1, err);
    if (status == AG_OK)
        status = ag_pass_create(&pass, m,
                                &(ag_pass_options){f->count, f->target_count, true, AG_RECOMPUTE_NONE}, err);
    if (status == AG_OK) status = ag_pass_forward(pass, f, err);
    if (status == AG_OK)
        status = ag_pass_logprob(pass, 1, &(ag_masks){of_row, bits, 1}, values, entropy, err);
    if (status == AG_OK) status = ag_pass_backward(pass, values, err);
    ag_pass_free(pass);
    ag_model_free(m);
    ag_device_close(d);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    static sequences q = {.n = 1, .count = {9}};
    memset(q.wanted, 1, sizeof q.wanted);
    ag_forest f = make_forest(&q, 0, 1, true);
    sweep_memory(pass_work, &f);
    ag_forest_free(&f);
}

/* Takes a pattern of test names to run. */
int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    static char ref[] = "ref", cpu[] = "cpu", far[] = "far", cuda[] = "cuda";
    const struct CMUnitTest tests[] = {
        {"sharing/ref", test_sharing, NULL, NULL, ref},
        {"sharing/cpu", test_sharing, NULL, NULL, cpu},
        {"sharing/far", test_sharing, NULL, NULL, far},
        {"sharing/cuda", test_sharing, NULL, NULL, cuda},
        {"agrees_with_ref/far", test_agrees_with_ref, NULL, NULL, far},
        {"agrees_with_ref/cpu", test_agrees_with_ref, NULL, NULL, cpu},
        {"agrees_with_ref/cuda", test_agrees_with_ref, NULL, NULL, cuda},
        {"bf16/cpu", test_bf16, NULL, NULL, cpu},
        {"bf16/cuda", test_bf16, NULL, NULL, cuda},
        {"small_lora/cpu", test_small_lora, NULL, NULL, cpu},
        {"small_lora/cuda", test_small_lora, NULL, NULL, cuda},
        {"masks_and_entropy/ref", test_masks_and_entropy, NULL, NULL, ref},
        {"masks_and_entropy/cpu", test_masks_and_entropy, NULL, NULL, cpu},
        {"masks_and_entropy/far", test_masks_and_entropy, NULL, NULL, far},
        {"masks_and_entropy/cuda", test_masks_and_entropy, NULL, NULL, cuda},
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_memory_plan),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
