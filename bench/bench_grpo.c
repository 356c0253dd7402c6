/* bench_grpo.c: how long one step of GRPO takes: 2 prompts (or -n) of 600 tokens, the first 500 of all the same, 8 answers each of 80 free
 * tokens (no end token, no grammar), beta 0, one pass, AdamW with the gradient's norm clipped at 1.
 *
 * It is the step of train/policy.c without texts: sampling by ag_generate, forests, forward and backward by ag_passages_run, the loss by
 * ag_sequence_loss, with random token ids for prompts and random numbers for rewards. The first step is a warm-up; of the others
 * the one with the median time is reported. Prefill is timed by itself, outside of the steps: sampling of one token an answer.
 * Where the time goes is told by operation of the device (op_clock.h), means over the steps that count.
 * grpo.sh runs this beside grpo_trl.py, the same step in TRL.
 *
 * usage: bench_grpo [-d cpu|cuda] [-n PROMPTS] [-m ROWS] [-r none|head|layer] [-w] [MODEL [threads [fp32|bf16 [steps]]]]
 * -m: rows of a micro-batch of the update, for less memory (default: all rows of the step).
 * -r: what backward computes again (ag_recompute; default head).
 * -w: wait for each operation, so that a card's are told apart (op_clock.h); the whole takes longer then.
 * MODEL: a folder, a GGUF file or a name of `agrl pull` (default smollm2-135m); `random`: SmolLM2-135M's shape with random weights.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "model/generate.h"
#include "op_clock.h"
#include "shapes.h"
#include "train/advantage.h"
#include "train/loss.h"
#include "train/passage.h"

enum { GROUP = 8, PROMPT = 600, SHARED = 500, ANSWER = 80, MOST_PROMPTS = 512 };
enum { ROLLOUT, UPDATE, OTHER }; /* phases of op_clock.h */
enum { SESSION_ROWS = 1024 };

static size_t PROMPTS = 2, ANSWERS; /* of a step */
static int32_t MICRO_ROWS;          /* 0: all */
static ag_recompute RECOMPUTE = AG_RECOMPUTE_HEAD;

/* Tokens of a step's forest, all answers in it. */
static int32_t rows_of_step(void)
{
    return SHARED + (int32_t)PROMPTS * (PROMPT - SHARED) + (int32_t)ANSWERS * (ANSWER + 1) + 64;
}

/* Seconds. */
typedef struct timing {
    double prefill, rollout, forward, backward, optimizer, total;
    double cpu; /* of the step, all threads: they spin while they wait */
} timing;

typedef struct bench {
    ag_trainer t;
    ag_settings settings;
    ag_session *session;
    ag_step_result result;
    int32_t (*prompt)[PROMPT];
    int32_t (*tokens)[PROMPT + ANSWER];
    uint8_t wanted[PROMPT + ANSWER];
    ag_passage *passages;
    double (*logprob)[ANSWER], (*entropy)[ANSWER], (*slope)[ANSWER], (*sampled)[ANSWER], *advantage;
    ag_loss_sums sums;
    double looked;   /* when the log-probabilities stood */
    double mismatch; /* largest difference between log-probabilities at sampling and in training */
} bench;

static ag_error err;

static void must(ag_status status)
{
    if (status == AG_OK) return;
    fprintf(stderr, "bench: %s\n", err.message);
    exit(1);
}

/* OpenMP's threads wait as those of the program do (main.c). */
static void before_libraries(int argc, char **argv, char **environment)
{
    (void)argc, (void)argv, (void)environment;
    setenv("GOMP_SPINCOUNT", "10000", 0);
}
__attribute__((section(".preinit_array"), used)) static void (*const preinit)(int, char **,
                                                                              char **) = before_libraries;

static double cpu_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double peak_mib(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024;
}

/* --- the step --------------------------------------------------------------------------------------------------- */

static ag_generated *sample(bench *b, int32_t tokens, uint64_t step)
{
    ag_generate_prompt prompts[MOST_PROMPTS];
    ag_generated *made;
    for (size_t p = 0; p < PROMPTS; p++)
        prompts[p] = (ag_generate_prompt){b->prompt[p], PROMPT, GROUP, step * PROMPTS + p};
    must(ag_generate(
        b->session, prompts, PROMPTS,
        &(ag_generate_options){.max_new = tokens, .end_id = -1, .temperature = 1, .top_p = 1, .seed = 1},
        &made, &err));
    return made;
}

static void set_advantages(bench *b, uint64_t step)
{
    const ag_advantage_options o = {.norm = AG_NORM_STD, .sd_floor = 0.2, .wrong_cap = 0.5, .clamp = 2};
    ag_rng r = ag_rng_at(2, AG_RNG_TEST, step, 0, 0, 0);
    for (size_t p = 0; p < PROMPTS; p++) {
        double reward[GROUP];
        bool right[GROUP];
        for (int i = 0; i < GROUP; i++) {
            reward[i] = ag_rng_double(&r);
            right[i] = reward[i] > 0.5;
        }
        ag_advantages(&o, reward, right, GROUP, b->advantage + p * GROUP);
    }
}

/* The log-probabilities of the only forward are the old ones. */
static ag_status set_slopes(void *user, size_t from, size_t to, ag_error *why)
{
    (void)why;
    bench *b = user;
    const ag_surrogate_options o = {
        .ratio = AG_RATIO_TOKEN, .clip_low = 0.2, .clip_high = 0.28, .clip_dual = 3};
    b->looked = ag_clock();
    for (size_t i = from; i < to; i++) {
        double advantage[ANSWER];
        for (int k = 0; k < ANSWER; k++) {
            advantage[k] = b->advantage[i];
            b->mismatch = fmax(b->mismatch, fabs(b->logprob[i][k] - b->sampled[i][k]));
        }
        ag_sequence_loss(&o,
                         &(ag_loss_sequence){.count = ANSWER,
                                             .advantage = advantage,
                                             .now = b->logprob[i],
                                             .old = b->logprob[i],
                                             .coefficient = 1.0 / (double)(ANSWERS * ANSWER)},
                         b->slope[i], &b->sums);
    }
    return AG_OK;
}

static timing run_step(bench *b, uint64_t step)
{
    timing took;
    double start = ag_clock();
    ag_generated_free(sample(b, 1, step), ANSWERS);
    took.prefill = ag_clock() - start;

    if (step == 1) op_clock_reset();
    op_phase = ROLLOUT;
    took.cpu = cpu_clock();
    start = ag_clock();
    ag_generated *made = sample(b, ANSWER, step);
    for (size_t i = 0; i < ANSWERS; i++) {
        memcpy(b->tokens[i], b->prompt[i / GROUP], sizeof b->prompt[0]);
        memcpy(b->tokens[i] + PROMPT, made[i].tokens, ANSWER * sizeof *made[i].tokens);
        memcpy(b->sampled[i], made[i].logprob, sizeof b->sampled[i]);
    }
    ag_generated_free(made, ANSWERS);
    double sampled = ag_clock(), norm;
    op_phase = UPDATE;

    b->result = (ag_step_result){0};
    b->sums = (ag_loss_sums){0};
    set_advantages(b, step);
    must(ag_passages_run(&b->t, b->passages, ANSWERS, 1, set_slopes, b, &b->result, &err));
    double computed = ag_clock();
    must(ag_optimizer_update(&b->t.optimizer, b->t.comm,
                             &(ag_update_rule){.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .clip = 1}, 1e-6,
                             &norm, &err));
    double end = ag_clock();
    op_phase = OTHER;
    took.cpu = cpu_clock() - took.cpu;

    took.rollout = sampled - start;
    took.forward = b->looked - sampled;
    took.backward = computed - b->looked;
    took.optimizer = end - computed;
    took.total = end - start;
    return took;
}

/* --- the program ------------------------------------------------------------------------------------------------ */

static void print_step(const char *what, const timing *t)
{
    printf("%-8s %6.2f s: rollout %.2f (prefill %.2f, decode %.0f tokens/s), update %.2f (forward %.2f, "
           "backward "
           "%.2f, optimizer %.2f)\n",
           what, t->total, t->rollout, t->prefill, (double)ANSWERS * (ANSWER - 1) / (t->rollout - t->prefill),
           t->total - t->rollout, t->forward, t->backward, t->optimizer);
    fflush(stdout);
}

static int by_total(const void *a, const void *b)
{
    double x = ((const timing *)a)->total, y = ((const timing *)b)->total;
    return (x > y) - (x < y);
}

static void open_model(bench *b, const char *device, const char *name, int threads, const char *type_name)
{
    ag_trainer *t = &b->t;
    ag_dtype type;
    t->comm = ag_comm_self();
    must(ag_device_open(&t->device, device, threads, &err));
    op_clock_start(t->device);
    op_phase = OTHER;
    must(ag_dtype_choose(&type, type_name, t->device, &err));
    const ag_model_options options = {.type = type, .train = true};
    if (strcmp(name, "random") == 0) {
        must(ag_model_create(&t->opened.model, &smollm2, t->device, &options, &err));
        must(ag_model_randomize(t->opened.model, 1, &err));
    } else
        must(ag_model_open(&t->opened, name, t->device, &options, &err));
    t->model = t->opened.model;
    int32_t rows = rows_of_step(), at_once = MICRO_ROWS ? MICRO_ROWS : rows;
    must(ag_session_create(&b->session, t->model, rows, SESSION_ROWS, &err));
    t->max_rows = t->max_targets = at_once;
    b->settings.micro_tokens = at_once;
    t->settings = &b->settings;
    must(ag_pass_create(&t->pass, t->model, &(ag_pass_options){at_once, at_once, true, RECOMPUTE}, &err));
    must(ag_optimizer_create(&t->optimizer, t->model, &err));
}

static void close_model(bench *b)
{
    ag_session_free(b->session);
    ag_pass_free(b->t.pass);
    ag_optimizer_free(&b->t.optimizer);
    ag_forest_builder_free(&b->t.builder);
    ag_opened_close(&b->t.opened);
    ag_device_close(b->t.device);
    void *all[] = {b->prompt,  b->tokens, b->passages, b->logprob,
                   b->entropy, b->slope,  b->sampled,  b->advantage};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) ag_free(all[i]);
}

static bool alloc_step(bench *b)
{
    b->prompt = ag_calloc(PROMPTS, sizeof *b->prompt);
    b->tokens = ag_calloc(ANSWERS, sizeof *b->tokens);
    b->passages = ag_calloc(ANSWERS, sizeof *b->passages);
    b->logprob = ag_calloc(ANSWERS, sizeof *b->logprob);
    b->entropy = ag_calloc(ANSWERS, sizeof *b->entropy);
    b->slope = ag_calloc(ANSWERS, sizeof *b->slope);
    b->sampled = ag_calloc(ANSWERS, sizeof *b->sampled);
    b->advantage = ag_calloc(ANSWERS, sizeof *b->advantage);
    return b->prompt && b->tokens && b->passages && b->logprob && b->entropy && b->slope && b->sampled &&
           b->advantage;
}

static void make_prompts(bench *b)
{
    ag_rng r = ag_rng_at(1, AG_RNG_TEST, 0, 0, 0, 0);
    for (size_t p = 0; p < PROMPTS; p++)
        for (int k = 0; k < PROMPT; k++)
            b->prompt[p][k] = p > 0 && k < SHARED
                                  ? b->prompt[0][k]
                                  : (int32_t)ag_rng_below(&r, (uint32_t)b->t.model->config.vocab);
    memset(b->wanted + PROMPT, 1, ANSWER);
    for (size_t i = 0; i < ANSWERS; i++)
        b->passages[i] = (ag_passage){.tokens = b->tokens[i],
                                      .wanted = b->wanted,
                                      .count = PROMPT + ANSWER,
                                      .targets = ANSWER,
                                      .answer = PROMPT,
                                      .logprob = b->logprob[i],
                                      .entropy = b->entropy[i],
                                      .slope = b->slope[i]};
}

int main(int argc, char **argv)
{
    const char *device = "cpu";
    int option;
    while ((option = getopt(argc, argv, "d:n:m:r:w")) != -1) {
        if (option == 'd') device = optarg;
        if (option == 'n') PROMPTS = (size_t)atoi(optarg);
        if (option == 'm') MICRO_ROWS = (int32_t)atoi(optarg);
        if (option == 'r') RECOMPUTE = recompute_named(optarg);
        if (option == 'w') op_clock_waits = true;
        if (option == '?') PROMPTS = 0;
    }
    argc -= optind, argv += optind;
    const char *name = argc > 0 ? argv[0] : "smollm2-135m", *type = argc > 2 ? argv[2] : "auto";
    int threads = argc > 1 ? atoi(argv[1]) : 0, steps = argc > 3 ? atoi(argv[3]) : 3;
    if (argc > 4 || threads < 0 || steps < 1 || PROMPTS < 1 || PROMPTS > MOST_PROMPTS || MICRO_ROWS < 0) {
        fprintf(stderr, "usage: bench_grpo [-d DEVICE] [-n PROMPTS] [-m ROWS] [-r none|head|layer] [-w] "
                        "[MODEL [THREADS [fp32|bf16 [STEPS]]]]\n");
        return 2;
    }
    ANSWERS = PROMPTS * GROUP;
    char text[128];
    double rollout = 0, update = 0;
    bench *b = ag_calloc(1, sizeof *b);
    timing *took = ag_calloc((size_t)steps, sizeof *took);
    if (!b || !took || !alloc_step(b)) return 1;
    open_model(b, device, name, threads, type);
    make_prompts(b);
    ag_device_cpu_describe(text, sizeof text);
    printf("agrl: %s, %s, %s, %s\n", name, ag_dtype_name(b->t.model->type), device, text);
    for (int step = 0; step <= steps; step++) {
        timing now = run_step(b, (uint64_t)step);
        if (step == 0) {
            printf("%-8s %6.2f s\n", "warm-up", now.total);
            continue;
        }
        print_step("step", &now);
        took[step - 1] = now;
        rollout += now.rollout;
        update += now.total - now.rollout;
    }
    qsort(took, (size_t)steps, sizeof *took, by_total);
    const timing *median = &took[steps / 2];
    op_clock_print("rollout:", ROLLOUT, rollout, steps);
    op_clock_print("update:", UPDATE, update, steps);
    print_step("median", median);
    printf("%zu answers of %d tokens; %lld rows for %lld tokens; log-probabilities off by %.2g at most\n",
           ANSWERS, ANSWER, (long long)b->result.tokens, (long long)b->result.unshared, b->mismatch);
    printf("result: seconds %.3f rollout %.3f update %.3f cpu %.3f peak_mib %.0f\n", median->total,
           median->rollout, median->total - median->rollout, median->cpu, peak_mib());
    close_model(b);
    ag_free(b);
    ag_free(took);
    return 0;
}
