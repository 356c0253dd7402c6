/* Generation against a loop that knows no cache: for each token a pass over the whole sequence, the whole
 * vocabulary as targets, and a draw by definition. Prompts that are beginnings of each other, copies, and
 * single tokens; forced tokens; every way to cut the work into batches.
 */
#include "unit/model/fixture.h"

#include "model/generate.h"
#include "unit/device/naive_sampler.h"

enum { VOCAB = 37, PROMPTS = 9, MOST = 40, MAX_NEW = 12, END = 5 };

typedef struct setup {
    ag_device *d, *judge; /* on trial; `ref` for the naive loop */
    ag_model *m, *judge_model;
    ag_pass *pass;
    int32_t text[PROMPTS][40];
    ag_generate_prompt prompts[PROMPTS];
    int total;
} setup;

/* 0 and 1 the same; 2 and 3 go on from 0; 4 is a beginning of 0; 5 one token; 6 without samples; 7 long; 8
 * starts like 7. */
static setup make_setup(const char *device, tiny_kind kind, bool common)
{
    static const int count[PROMPTS] = {9, 9, 10, 17, 4, 1, 3, 38, 25},
                     samples[PROMPTS] = {3, 2, 1, 2, 4, 3, 0, 1, 2};
    setup s = {.d = open_device(device), .judge = open_device("ref")};
    s.m = tiny_model(s.d, kind, s.d->real, false);
    s.judge_model = tiny_model(s.judge, kind, AG_F32, false);
    s.pass = make_pass(s.judge_model, MAX_TOKENS, VOCAB, false, AG_RECOMPUTE_NONE);
    for (int p = 0; p < PROMPTS; p++) {
        ag_rng r = ag_rng_at(31, AG_RNG_TEST, p < 5 ? 0 : p < 7 ? (uint64_t)p : 7, 0, 0, 0);
        for (int t = 0; t < count[p]; t++) s.text[p][t] = (int32_t)ag_rng_below(&r, VOCAB);
        if (p == 8) s.text[p][20] = (s.text[7][20] + 1) % VOCAB;
        if (common) s.text[p][0] = 3;
        s.prompts[p] = (ag_generate_prompt){s.text[p], count[p], samples[p], 1000 + (uint64_t)p};
        s.total += samples[p];
    }
    for (int p = 0; p < PROMPTS; p++)
        s.prompts[p].tokens = NULL; /* set where the struct lies at last: aim() */
    return s;
}

static void aim(setup *s)
{
    for (int p = 0; p < PROMPTS; p++) s->prompts[p].tokens = s->text[p];
}

static void close_setup(setup *s)
{
    ag_pass_free(s->pass);
    ag_model_free(s->judge_model);
    ag_device_close(s->judge);
    ag_model_free(s->m);
    ag_device_close(s->d);
}

/* --- a made-up grammar: a function of the sample, its length and its last token
 * ------------------------------- */
typedef struct grammar {
    int count[PROMPTS][8];
    int32_t last[PROMPTS][8];
    const int *name; /* name[prompt]: what the prompt is called, when prompts are given in another order */
} grammar;

static int allowed_after(int prompt, int sample, int count, int32_t last, uint32_t *bits)
{
    ag_rng r = ag_rng_at(41, AG_RNG_TEST, (uint64_t)prompt, (uint64_t)sample, (uint64_t)count,
                         (uint64_t)last + 1);
    bool forced = count == 0 ? prompt % 3 == 1 : ag_rng_below(&r, 3) == 0;
    int want = forced ? 1 : 2 + (int)ag_rng_below(&r, 9), n = 0;
    if (prompt == 4 && sample == 1 && count < 3) want = 1; /* one sample is complete before its first draw */
    while (n < want) {
        uint32_t id = ag_rng_below(&r, VOCAB);
        if (prompt == 4 && sample == 1 && count == 2) id = END;
        if (id == END && want == 1 && count < 2) continue;
        if (bits[id / 32] >> (id % 32) & 1) continue;
        bits[id / 32] |= 1u << (id % 32);
        n++;
    }
    return n;
}

static int grammar_allowed(void *user, size_t prompt, int32_t sample, uint32_t *bits)
{
    grammar *g = user;
    int p = g->name ? g->name[prompt] : (int)prompt;
    return allowed_after(p, sample, g->count[prompt][sample], g->last[prompt][sample], bits);
}

static void grammar_advance(void *user, size_t prompt, int32_t sample, int32_t id)
{
    grammar *g = user;
    g->count[prompt][sample]++;
    g->last[prompt][sample] = id;
}

/* --- the naive loop
 * ------------------------------------------------------------------------------------------ */

/* Probabilities of every token after a sequence, renormalised over the mask. */
static void next_probabilities(setup *s, const int32_t *tokens, int n, double temperature,
                               const uint32_t *bits, double *p)
{
    ag_error err = {0};
    ag_forest_builder b = {0};
    ag_forest f;
    int32_t text[MAX_TOKENS];
    uint8_t wanted[MAX_TOKENS] = {0};
    double sum = 0;
    memcpy(text, tokens, (size_t)n * sizeof *text);
    wanted[n] = 1;
    for (int32_t id = 0; id < VOCAB; id++) {
        text[n] = id;
        must(ag_forest_add(&b, text, n + 1, wanted, id, true, n + 1, &err));
    }
    must(ag_forest_finish(&f, &b, &err));
    must(ag_pass_forward(s->pass, &f, &err));
    must(ag_pass_logprob(s->pass, temperature, NULL, p, NULL, &err));
    for (int id = 0; id < VOCAB; id++)
        p[id] = !bits || bits[id / 32] >> (id % 32) & 1 ? exp(p[id]) : 0, sum += p[id];
    for (int id = 0; id < VOCAB; id++) p[id] /= sum;
    ag_forest_free(&f);
    ag_forest_builder_free(&b);
}

static ag_generated naive(setup *s, int prompt, int sample, const ag_generate_options *o)
{
    int n = s->prompts[prompt].count;
    int32_t text[MAX_TOKENS];
    ag_generated g = {ag_calloc(MAX_NEW, 4), ag_calloc(MAX_NEW, 8), ag_calloc(MAX_NEW, 1), 0, false};
    memcpy(text, s->text[prompt], (size_t)n * sizeof *text);
    while (g.count < o->max_new && !g.finished) {
        uint32_t bits[2] = {0};
        double p[VOCAB];
        int allowed = o->constraint
                          ? allowed_after(prompt, sample, g.count, g.count ? g.tokens[g.count - 1] : 0, bits)
                          : VOCAB;
        ag_rng r = ag_rng_at(o->seed, AG_RNG_SAMPLE, s->prompts[prompt].stream, (uint64_t)sample,
                             (uint64_t)g.count, 0);
        next_probabilities(s, text, n, o->temperature > 0 ? o->temperature : 1, o->constraint ? bits : NULL,
                           p);
        int id = naive_draw(p, VOCAB, o->temperature == 0, ag_rng_double(&r), o->top_k, o->top_p, o->min_p);
        g.logprob[g.count] = log(p[id]);
        g.forced[g.count] = allowed == 1;
        g.finished = id == o->end_id;
        text[n++] = g.tokens[g.count++] = id;
    }
    return g;
}

static void check_same(const ag_generated *got, const ag_generated *want, const char *what, int prompt,
                       int sample)
{
    if (got->count != want->count ||
        memcmp(got->tokens, want->tokens, (size_t)want->count * sizeof *want->tokens) != 0)
        fail_msg("%s: prompt %d, sample %d: other tokens (%d, expected %d)", what, prompt, sample, got->count,
                 want->count);
    assert_int_equal(got->finished, want->finished);
    assert_memory_equal(got->forced, want->forced, (size_t)want->count);
    for (int i = 0; i < want->count; i++)
        if (!(fabs(got->logprob[i] - want->logprob[i]) <= 1e-5))
            fail_msg("%s: prompt %d, sample %d, token %d: log-probability %.9g, expected %.9g", what, prompt,
                     sample, i, got->logprob[i], want->logprob[i]);
}

/* Prompts [begin, end) in one call on a session of this size, against `want`. */
static void check_call(setup *s, const ag_generate_options *o, int begin, int end, int32_t slots,
                       int32_t max_rows, const ag_generated *want, const char *what)
{
    ag_error err = {0};
    ag_session *session;
    ag_generated *got;
    grammar g = {0};
    int name[PROMPTS], skipped = 0, n = 0;
    ag_generate_options options = *o;
    ag_constraint constraint = {&g, grammar_allowed, grammar_advance};
    for (int p = 0; p < PROMPTS; p++) name[p] = p + begin;
    g.name = name;
    if (o->constraint) options.constraint = &constraint;
    for (int p = 0; p < begin; p++) skipped += s->prompts[p].samples;
    must(ag_session_create(&session, s->m, slots, max_rows, &err));
    must(ag_generate(session, s->prompts + begin, (size_t)(end - begin), &options, &got, &err));
    assert_int_equal(ag_session_free_slots(session), slots);
    for (int p = begin; p < end; p++)
        for (int k = 0; k < s->prompts[p].samples; k++, n++)
            check_same(&got[n], &want[skipped + n], what, p, k);
    ag_generated_free(got, (size_t)n);
    ag_session_free(session);
}

static void check_options(setup *s, const ag_generate_options *o, const char *what)
{
    ag_generated *want = ag_calloc((size_t)s->total, sizeof *want);
    int n = 0, forced = 0, finished = 0;
    for (int p = 0; p < PROMPTS; p++) {
        for (int k = 0; k < s->prompts[p].samples; k++, n++) {
            want[n] = naive(s, p, k, o);
            finished += want[n].finished;
            for (int i = 0; i < want[n].count; i++) forced += want[n].forced[i];
        }
    }
    if (o->constraint) assert_true(forced > 3 && (finished > 0 || o->end_id < 0));
    check_call(s, o, 0, PROMPTS, 1000, 300, want, what);
    check_call(s, o, 0, PROMPTS, 1000, 1, want, what);
    check_call(s, o, 0, PROMPTS, 110, 7, want, what);                                  /* several batches */
    for (int p = 0; p < PROMPTS; p++) check_call(s, o, p, p + 1, 200, 16, want, what); /* each prompt alone */
    check_call(s, o, 2, 6, 300, 16, want, what);
    ag_generated_free(want, (size_t)s->total);
}

static void test_generation(void **state)
{
    grammar none = {0};
    ag_constraint constraint = {&none, grammar_allowed,
                                grammar_advance}; /* only its presence counts: see check_call */
    const struct {
        const char *what;
        ag_generate_options o;
    } rows[] = {
        {"greedy", {.max_new = 8, .end_id = -1, .top_p = 1}},
        {"greedy with an end", {.max_new = MAX_NEW, .end_id = END, .top_p = 1}},
        {"sampled", {.max_new = MAX_NEW, .end_id = END, .temperature = 1, .top_p = 1, .seed = 3}},
        {"hot, truncated",
         {.max_new = 6,
          .end_id = -1,
          .temperature = 1.4,
          .top_k = 12,
          .top_p = 0.9,
          .min_p = 0.02,
          .seed = 4}},
        {"forced",
         {.max_new = MAX_NEW,
          .end_id = END,
          .temperature = 0.8,
          .top_p = 1,
          .seed = 5,
          .constraint = &constraint}},
        {"forced, greedy", {.max_new = 7, .end_id = -1, .top_p = 1, .constraint = &constraint}},
        {"one token", {.max_new = 1, .end_id = -1, .temperature = 1, .top_p = 1, .constraint = &constraint}},
    };
    bool fast = strcmp(*state, "far") != 0 && !SLOW_BUILD;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!fast && i != 2 && i != 4) continue;
        setup s = make_setup(*state, (tiny_kind)(i % TINY_KINDS), i % 2);
        aim(&s);
        check_options(&s, &rows[i].o, rows[i].what);
        close_setup(&s);
    }
}

static ag_status stop_after_first(void *user, size_t done, ag_error *err)
{
    *(size_t *)user = done;
    return ag_fail(err, AG_ERR_INTERRUPTED, "stopped");
}

static int allow_nothing(void *user, size_t prompt, int32_t sample, uint32_t *bits)
{
    (void)user, (void)prompt, (void)sample, (void)bits;
    return 0;
}

static void test_refusals(void **state)
{
    (void)state;
    ag_error err = {0};
    setup s = make_setup("cpu", TINY_LLAMA, false);
    aim(&s);
    ag_session *session;
    ag_generated *got = NULL;
    size_t done = 0;
    grammar g = {0};
    ag_constraint nothing = {&g, allow_nothing, grammar_advance};
    ag_generate_options o = {.max_new = 8, .end_id = -1, .top_p = 1};
    must(ag_session_create(&session, s.m, 90, 16, &err));
    must(ag_generate(session, s.prompts, 0, &o, &got, &err));
    assert_null(got);
    o.max_new = 60;
    assert_int_equal(ag_generate(session, s.prompts, PROMPTS, &o, &got, &err), AG_ERR_MEMORY);
    o.max_new = 0;
    assert_int_equal(ag_generate(session, s.prompts, PROMPTS, &o, &got, &err), AG_ERR_USAGE);
    o.max_new = 8;
    o.constraint = &nothing;
    assert_int_equal(ag_generate(session, s.prompts, 1, &o, &got, &err), AG_ERR_INTERNAL);
    o.constraint = NULL;
    o.progress = stop_after_first;
    o.progress_user = &done;
    assert_int_equal(ag_generate(session, s.prompts, PROMPTS, &o, &got, &err), AG_ERR_INTERRUPTED);
    assert_true(done > 0 && done < PROMPTS);
    ag_generate_prompt empty = {s.text[0], 0, 1, 1};
    assert_int_equal(ag_generate(session, &empty, 1, &o, &got, &err), AG_ERR_INPUT);
    assert_null(got);
    assert_int_equal(ag_session_free_slots(session), 90);
    ag_session_free(session);
    close_setup(&s);
}

static ag_status generate_work(void *context, ag_error *err)
{
    setup *s = context;
    grammar g = {0};
    ag_constraint constraint = {&g, grammar_allowed, grammar_advance};
    ag_generate_options o = {
        .max_new = 3, .end_id = END, .temperature = 1, .top_p = 1, .constraint = &constraint};
    ag_session *session = NULL;
    ag_generated *got = NULL;
    ag_status status = ag_session_create(&session, s->m, 110, 16, err);
    if (status == AG_OK) status = ag_generate(session, s->prompts, PROMPTS, &o, &got, err);
    if (status == AG_OK)
        ag_generated_free(got, (size_t)s->total);
    else
        assert_null(got);
    ag_session_free(session);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    setup s = make_setup("cpu", TINY_LLAMA, true);
    aim(&s);
    sweep_memory(generate_work, &s);
    close_setup(&s);
}

/* Takes a pattern of test names to run. */
int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    static char cpu[] = "cpu", far[] = "far", cuda[] = "cuda";
    const struct CMUnitTest tests[] = {
        {"generation/cpu", test_generation, NULL, NULL, cpu},
        {"generation/far", test_generation, NULL, NULL, far},
        {"generation/cuda", test_generation, NULL, NULL, cuda},
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
