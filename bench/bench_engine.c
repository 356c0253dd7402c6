/* bench_engine.c: how fast the engine is against the matrix products that it cannot do without.
 *
 * For the shape of a model (random weights) it measures, in one run on one device: the rate of the library's products at
 * the model's own shapes; a training step and a prefill of `rows` tokens without sharing, in sequences of so many; decoding of samples below
 * prompts of 600 tokens. Each line prints model FLOP/s counted over unique tokens (2 per weight and token, 6 in training,
 * attention not counted) and its share of the products' rate.
 *
 * usage: bench_engine [-m smollm2-135m|qwen2.5-0.5b|qwen3-0.6b] [-d cpu|cuda] [-l TOKENS_A_SEQUENCE] [-p PROMPTS] [-s SAMPLES_A_PROMPT] [-r none|head|layer] [-h] [-w] [rows [threads [fp32|bf16]]]
 * Defaults: smollm2-135m, cpu, 256, 1, 32, head, 2048 rows. -r: what backward computes again (ag_recompute). -h: every token is trained, not the last
 * tenth of a sequence. -w: wait for each operation, and tell where the time goes (op_clock.h); the whole takes longer then.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "model/session.h"
#include "op_clock.h"
#include "shapes.h"

static ag_error err;

enum { FORWARD, BACKWARD, DECODE }; /* phases of op_clock.h */

static void must(ag_status status)
{
    if (status == AG_OK) return;
    fprintf(stderr, "bench: %s\n", err.message);
    exit(1);
}

static double weights_of_layers(const ag_config *c)
{
    double q = (double)c->heads * c->head_dim, qkv = q + 2.0 * c->kv_heads * c->head_dim;
    return c->layers * (c->width * qkv + q * c->width + 3.0 * c->width * c->ff);
}

/* FLOP/s of the device's products at the model's four shapes with m rows: best of several rounds. */
static double product_rate(ag_device *d, ag_dtype type, const ag_config *c, int64_t m)
{
    int64_t q = (int64_t)c->heads * c->head_dim, qkv = q + 2 * (int64_t)c->kv_heads * c->head_dim;
    const int64_t shapes[4][2] = {
        {qkv, c->width}, {c->width, q}, {2 * (int64_t)c->ff, c->width}, {c->width, c->ff}};
    double best = 0;
    void *x, *w, *y;
    must(d->alloc(d, &x, (size_t)(m * 2 * c->ff) * 4, "bench", &err));
    must(d->alloc(d, &w, (size_t)(2 * c->ff * c->width) * 4, "bench", &err));
    must(d->alloc(d, &y, (size_t)(m * 2 * c->ff) * 4, "bench", &err));
    for (int round = 0; round < 5; round++) {
        double flops = 0, start = ag_clock();
        for (int repeat = 0; repeat < (m < 256 ? 20 : 2); repeat++) {
            for (int s = 0; s < 4; s++) {
                must(d->matmul(d,
                               &(ag_matmul_args){.c = y,
                                                 .a = x,
                                                 .b = w,
                                                 .type = type,
                                                 .m = m,
                                                 .n = shapes[s][0],
                                                 .k = shapes[s][1],
                                                 .lda = shapes[s][1],
                                                 .ldb = shapes[s][1],
                                                 .ldc = shapes[s][0],
                                                 .transpose_b = true,
                                                 .alpha = 1},
                               &err));
                flops += 2.0 * (double)m * (double)shapes[s][0] * (double)shapes[s][1];
            }
        }
        must(d->sync(d, &err));
        double rate = flops / (ag_clock() - start);
        if (rate > best) best = rate;
    }
    d->release(d, x);
    d->release(d, w);
    d->release(d, y);
    return best;
}

static void line(const char *what, double flops, double tokens, double seconds, double rate)
{
    printf("%-34s %8.1f tokens/s  %7.1f GFLOP/s  %5.1f %% of the products' %.1f\n", what, tokens / seconds,
           flops / seconds / 1e9, 100 * flops / seconds / rate, rate / 1e9);
}

static struct {
    const char *shape, *device;
    int32_t length, prompts, samples;
    bool every; /* token is trained */
    ag_recompute recompute;
} choice = {"smollm2-135m", "cpu", 256, 1, 32, false, AG_RECOMPUTE_HEAD};

/* Sequences of random tokens, nothing shared. */
static void make_forest(ag_forest *f, int32_t rows, int vocab)
{
    ag_forest_builder b = {0};
    ag_rng r = ag_rng_at(1, AG_RNG_TEST, 0, 0, 0, 0);
    int32_t n = choice.length, *tokens = ag_calloc((size_t)n + 1, sizeof *tokens);
    uint8_t *wanted = ag_calloc((size_t)n + 1, 1);
    ag_forest_begin(&b);
    for (int32_t made = 0; made + n <= rows; made += n) {
        for (int32_t i = 0; i <= n; i++) {
            tokens[i] = (int32_t)ag_rng_below(&r, (uint32_t)vocab);
            wanted[i] = i > 0 && (choice.every || i > n - n / 10);
        }
        must(ag_forest_add(&b, tokens, n + 1, wanted, 0, true, 0, &err));
    }
    must(ag_forest_finish(f, &b, &err));
    ag_forest_builder_free(&b);
    ag_free(tokens);
    ag_free(wanted);
}

static void bench_training(ag_model *m, int32_t rows, double rate)
{
    enum { ROUNDS = 3 };
    ag_pass *pass;
    ag_forest f;
    make_forest(&f, rows, m->config.vocab);
    must(ag_pass_create(&pass, m, &(ag_pass_options){rows, rows, true, choice.recompute}, &err));
    double *values = ag_calloc((size_t)f.target_count, sizeof *values), forward = 1e9, step = 1e9,
           spent[2] = {0};
    double head = 2.0 * m->config.vocab * m->config.width * f.target_count,
           layers = 2.0 * weights_of_layers(&m->config) * f.count;
    for (int round = 0; round < ROUNDS; round++) {
        if (round == 1) op_clock_reset();
        op_phase = FORWARD;
        double start = ag_clock();
        must(ag_pass_forward(pass, &f, &err));
        must(ag_pass_logprob(pass, 1, NULL, values, NULL, &err));
        double middle = ag_clock();
        op_phase = BACKWARD;
        for (int32_t i = 0; i < f.target_count; i++) values[i] = -1e-6;
        must(ag_pass_backward(pass, values, &err));
        must(m->device->sync(m->device, &err));
        double end = ag_clock();
        if (middle - start < forward) forward = middle - start;
        if (end - start < step) step = end - start;
        if (round > 0) spent[0] += middle - start, spent[1] += end - middle;
    }
    line("prefill", layers + head, f.count, forward, rate);
    line("training (forward and backward)", 3 * (layers + head), f.count, step, rate);
    if (op_clock_waits) {
        op_clock_print("forward, ms:", FORWARD, spent[0], (ROUNDS - 1) / 1e3);
        op_clock_print("backward, ms:", BACKWARD, spent[1], (ROUNDS - 1) / 1e3);
    }
    ag_free(values);
    ag_pass_free(pass);
    ag_forest_free(&f);
}

static void bench_decode(ag_model *m, double rate)
{
    enum { PROMPT = 600, STEPS = 24 };
    ag_session *s;
    size_t n = (size_t)choice.prompts * (size_t)choice.samples;
    int32_t prompt[PROMPT], node, *children = ag_calloc(n, sizeof *children), *id = ag_calloc(n, sizeof *id);
    double *uniform = ag_calloc(n, sizeof *uniform), *logprob = ag_calloc(n, sizeof *logprob), best = 1e9;
    ag_run *runs = ag_calloc(n, sizeof *runs);
    char what[64];
    must(ag_session_create(&s, m, choice.prompts * PROMPT + (int32_t)n * (STEPS + 1), 1024, &err));
    for (int32_t p = 0; p < choice.prompts; p++) {
        for (int i = 0; i < PROMPT; i++) prompt[i] = (i * 7 + p * 13) % m->config.vocab;
        must(ag_session_node(s, -1, PROMPT, &node, &err));
        must(ag_session_run(s, &(ag_run){node, prompt, PROMPT, 0}, 1, NULL, &err));
        for (size_t i = (size_t)p * (size_t)choice.samples; i < ((size_t)p + 1) * (size_t)choice.samples;
             i++) {
            must(ag_session_node(s, node, STEPS + 1, &children[i], &err));
            id[i] = (int32_t)i;
        }
    }
    double spent = 0;
    op_phase = DECODE;
    for (int step = 0; step < STEPS; step++) {
        if (step == 1) op_clock_reset();
        double start = ag_clock();
        for (size_t i = 0; i < n; i++) runs[i] = (ag_run){children[i], &id[i], 1, 1};
        must(ag_session_run(s, runs, (int32_t)n, NULL, &err));
        for (size_t i = 0; i < n; i++) uniform[i] = ((double)i + 0.5) / (double)n;
        must(ag_session_sample(s, &(ag_draw){.temperature = 1, .top_p = 1, .uniform = uniform}, id, logprob,
                               &err));
        double seconds = ag_clock() - start;
        if (seconds < best) best = seconds;
        if (step > 0) spent += seconds;
    }
    double flops = 2.0 * (double)n *
                   (weights_of_layers(&m->config) + (double)m->config.vocab * m->config.width);
    snprintf(what, sizeof what, "decode, %zu samples below %d x 600", n, choice.prompts);
    line(what, flops, (double)n, best, rate);
    if (op_clock_waits) op_clock_print("step, ms:", DECODE, spent, (STEPS - 1) / 1e3);
    void *all[] = {children, id, uniform, logprob, runs};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) ag_free(all[i]);
    ag_session_free(s);
}

int main(int argc, char **argv)
{
    int option;
    bool known = true;
    while ((option = getopt(argc, argv, "m:d:l:p:s:r:hw")) != -1) {
        if (option == 'm') choice.shape = optarg;
        if (option == 'd') choice.device = optarg;
        if (option == 'l') choice.length = atoi(optarg);
        if (option == 'p') choice.prompts = atoi(optarg);
        if (option == 's') choice.samples = atoi(optarg);
        if (option == 'r') choice.recompute = recompute_named(optarg);
        if (option == 'h') choice.every = true;
        if (option == 'w') op_clock_waits = true;
        if (option == '?') known = false;
    }
    argc -= optind, argv += optind;
    int32_t rows = argc > 0 ? atoi(argv[0]) : 2048;
    const ag_config *shape = shape_named(choice.shape);
    if (!known || !shape || rows < choice.length || choice.length < 1 || choice.prompts < 1 ||
        choice.samples < 1) {
        fprintf(stderr, "usage: bench_engine [-m SHAPE] [-d DEVICE] [-l TOKENS] [-p PROMPTS] [-s SAMPLES] "
                        "[-r none|head|layer] [-h] [-w] [ROWS [THREADS [fp32|bf16]]]\n");
        return 2;
    }
    ag_device *d;
    ag_model *m;
    char text[128];
    must(ag_device_open(&d, choice.device, argc > 1 ? atoi(argv[1]) : 0, &err));
    ag_dtype type = argc > 2 && strcmp(argv[2], "bf16") == 0 ? AG_BF16 : AG_F32;
    must(ag_model_create(&m, shape, d, &(ag_model_options){.type = type, .train = true}, &err));
    must(ag_model_randomize(m, 1, &err));
    ag_device_cpu_describe(text, sizeof text);
    int32_t live = choice.prompts * choice.samples;
    printf("%s shape, %s, %s, %s\n", choice.shape, ag_dtype_name(type), choice.device, text);
    double large = product_rate(d, type, shape, rows), small = product_rate(d, type, shape, live);
    printf("products at %d rows %.1f GFLOP/s, at %d rows %.1f GFLOP/s\n", rows, large / 1e9, live,
           small / 1e9);
    op_clock_start(d);
    bench_training(m, rows, large);
    bench_decode(m, small);
    ag_model_free(m);
    ag_device_close(d);
    return 0;
}
