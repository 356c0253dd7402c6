/* test_passage.c: losses through a two-layer model in double precision against central differences, in all modes of an answer
 * (METHOD.md section 14, test 2): plain, trained with its hint, transferred with weights; clipped and dual-clipped tokens, whose
 * gradient is exactly 0; preferences; any cut into forests and ranks.
 */
#include "unit/model/fixture.h"

#include "train/loss.h"
#include "train/passage.h"

enum { ANSWERS = 6, PROMPT = 7, HINT = 4, LENGTH = 6, MOST = PROMPT + HINT + LENGTH };

typedef struct problem {
    ag_trainer t;
    ag_settings settings;
    ag_passage passages[ANSWERS];
    int32_t tokens[ANSWERS][MOST];
    uint8_t wanted[ANSWERS][MOST];
    double now[ANSWERS][LENGTH], entropy[ANSWERS][LENGTH], slope[ANSWERS][LENGTH], old[ANSWERS][LENGTH],
        reference[ANSWERS][LENGTH], weight[ANSWERS][LENGTH], advantage[ANSWERS][LENGTH];
    bool weighted[ANSWERS], preferring;
    ag_surrogate_options options;
    ag_loss_sums sums;
} problem;

static double sum_of(const double *x)
{
    double sum = 0;
    for (int t = 0; t < LENGTH; t++) sum += x[t];
    return sum;
}

/* Answers 0 and 1 as a pair, 2 and 3, 4 and 5: the loss and, into slopes, its derivative. */
static double preferences(problem *p)
{
    double loss = 0;
    for (int i = 0; i < ANSWERS; i += 2) {
        double slope;
        loss += ag_preference_loss(0.5, 1.0 / 3, sum_of(p->now[i]), sum_of(p->reference[i]),
                                   sum_of(p->now[i + 1]), sum_of(p->reference[i + 1]), &slope, NULL);
        for (int t = 0; t < LENGTH; t++) {
            p->slope[i][t] = slope;
            p->slope[i + 1][t] = -slope;
        }
    }
    return loss;
}

static void answer_loss(problem *p, size_t i)
{
    ag_sequence_loss(&p->options,
                     &(ag_loss_sequence){.count = LENGTH,
                                         .advantage = p->advantage[i],
                                         .weight = p->weighted[i] ? p->weight[i] : NULL,
                                         .now = p->now[i],
                                         .old = p->old[i],
                                         .reference = p->options.beta > 0 ? p->reference[i] : NULL,
                                         .coefficient = 1.0 / (ANSWERS * LENGTH)},
                     p->slope[i], &p->sums);
}

static ag_status set_slopes(void *user, size_t from, size_t to, ag_error *err)
{
    (void)err;
    problem *p = user;
    for (size_t i = from; i < to && !p->preferring; i++) answer_loss(p, i);
    return AG_OK;
}

static void run(problem *p, ag_passage_loss loss)
{
    ag_error err = {0};
    ag_step_result result = {0};
    p->sums = (ag_loss_sums){0};
    must(ag_passages_run(&p->t, p->passages, ANSWERS, 0.8, loss, p, &result, &err));
}

static double loss_now(problem *p)
{
    run(p, NULL);
    if (p->preferring) return preferences(p);
    for (size_t i = 0; i < ANSWERS; i++) answer_loss(p, i);
    return p->sums.loss;
}

static double loss_moved(problem *p, int param, double *values, size_t at, double by)
{
    ag_error err = {0};
    double kept = values[at];
    values[at] += by;
    must(ag_param_set(p->t.model, param, values, &err));
    values[at] = kept;
    return loss_now(p);
}

/* The gradient that backward gives against differences at a few elements of every parameter. */
static void check_gradient(problem *p, const char *what)
{
    ag_error err = {0};
    ag_model *m = p->t.model;
    ag_device *d = m->device;
    ag_rng r = ag_rng_at(3, AG_RNG_TEST, 1, 0, 0, 0);
    must(d->zero(d, m->grads, (size_t)m->train_count * sizeof(double), &err));
    if (p->preferring) loss_now(p); /* the slopes of a pair need both answers */
    run(p, set_slopes);
    double *g = ag_calloc((size_t)m->train_count, sizeof *g);
    must(d->download(d, g, m->grads, (size_t)m->train_count * sizeof *g, &err));
    for (int i = 0; i < m->param_count; i++) {
        size_t n = (size_t)(m->params[i].rows * m->params[i].cols);
        double *values = ag_calloc(n, sizeof *values);
        must(ag_param_get(m, i, values, &err));
        for (int k = 0; k < (SLOW_BUILD ? 1 : 3); k++) {
            size_t at = ag_rng_below(&r, (uint32_t)n);
            const double h = 1e-4;
            double want = (8 * (loss_moved(p, i, values, at, h) - loss_moved(p, i, values, at, -h)) -
                           (loss_moved(p, i, values, at, 2 * h) - loss_moved(p, i, values, at, -2 * h))) /
                          (12 * h);
            double got = g[m->params[i].train + (int64_t)at];
            if (fabs(got - want) > 1e-7 * fmax(1e-2, fabs(want)))
                fail_msg("%s, %s[%zu]: gradient %.12g, central difference %.12g", what, m->params[i].name, at,
                         got, want);
        }
        must(ag_param_set(m, i, values, &err));
        ag_free(values);
    }
    ag_free(g);
}

static bool any_gradient(problem *p)
{
    ag_error err = {0};
    ag_model *m = p->t.model;
    ag_device *d = m->device;
    must(d->zero(d, m->grads, (size_t)m->train_count * sizeof(double), &err));
    run(p, set_slopes);
    double *g = ag_calloc((size_t)m->train_count, sizeof *g);
    bool any = false;
    must(d->download(d, g, m->grads, (size_t)m->train_count * sizeof *g, &err));
    for (int64_t i = 0; i < m->train_count; i++) any = any || g[i] != 0;
    ag_free(g);
    return any;
}

/* Two prompts; answers 0 to 2 under the first, the third with a hint between; 3 to 5 under the second, the last by weights. */
static void set_up(problem *p, int32_t micro_tokens)
{
    ag_error err = {0};
    ag_rng r = ag_rng_at(2, AG_RNG_TEST, 0, 0, 0, 0);
    memset(p, 0, sizeof *p);
    p->settings.micro_tokens = micro_tokens;
    p->t.settings = &p->settings;
    p->t.comm = ag_comm_self();
    p->t.max_rows = p->t.max_targets = 128;
    p->t.device = open_device("ref64");
    p->t.model = tiny_model(p->t.device, TINY_LLAMA, AG_F64, true);
    must(ag_pass_create(&p->t.pass, p->t.model, &(ag_pass_options){128, 128, true, AG_RECOMPUTE_HEAD}, &err));
    int32_t prompt[2][PROMPT];
    for (int k = 0; k < 2 * PROMPT; k++) prompt[k / PROMPT][k % PROMPT] = (int32_t)ag_rng_below(&r, 37);
    for (int i = 0; i < ANSWERS; i++) {
        int n = PROMPT;
        memcpy(p->tokens[i], prompt[i / 3], sizeof prompt[0]);
        for (int k = 0; i == 2 && k < HINT; k++) p->tokens[i][n++] = (int32_t)ag_rng_below(&r, 37);
        for (int k = 0; k < LENGTH; k++) {
            p->wanted[i][n] = 1;
            p->tokens[i][n++] = (int32_t)ag_rng_below(&r, 37);
            p->weight[i][k] = 2 * ag_rng_double(&r);
            p->advantage[i][k] = i == 1 || i == 4 ? -0.9 : 1.1;
        }
        p->weighted[i] = i == 5;
        p->passages[i] = (ag_passage){.tokens = p->tokens[i],
                                      .wanted = p->wanted[i],
                                      .count = n,
                                      .targets = LENGTH,
                                      .answer = n - LENGTH,
                                      .logprob = p->now[i],
                                      .entropy = p->entropy[i],
                                      .slope = p->slope[i]};
    }
    run(p, NULL);
    for (int i = 0; i < ANSWERS; i++)
        for (int t = 0; t < LENGTH; t++) { /* far enough from now that some tokens are clipped on each side */
            static const double off[] = {0.05, -0.05, 0.6, -0.6, 1.5, -1.5};
            p->old[i][t] = p->now[i][t] - off[(i + t) % 6];
            p->reference[i][t] = p->now[i][t] + 0.5 * ag_rng_normal(&r);
        }
    p->options = (ag_surrogate_options){.clip_low = 0.2, .clip_high = 0.28, .clip_dual = 3};
}

static void tear_down(problem *p)
{
    ag_pass_free(p->t.pass);
    ag_model_free(p->t.model);
    ag_device_close(p->t.device);
    ag_forest_builder_free(&p->t.builder);
}

static void test_modes(void **state)
{
    (void)state;
    static problem p;
    for (int micro = 0; micro < 2; micro++) {
        set_up(&p, micro ? 20 : 4096);
        check_gradient(&p, "clipped surrogate");
        run(&p, set_slopes);
        if (p.sums.clipped < 6 || p.sums.clipped > ANSWERS * LENGTH - 6)
            fail_msg("%g clipped", p.sums.clipped);
        p.options.beta = 0.3;
        check_gradient(&p, "with KL");
        p.options.ratio = AG_RATIO_SEQUENCE;
        check_gradient(&p, "ratio of the answer");
        p.preferring = true;
        check_gradient(&p, "preferences");
        tear_down(&p);
    }
}

/* Where every token is clipped, on either side or dually, no parameter has a gradient at all. */
static void test_clipped(void **state)
{
    (void)state;
    static problem p;
    set_up(&p, 4096);
    assert_true(any_gradient(&p));
    for (int dual = 0; dual < 2; dual++) {
        for (int i = 0; i < ANSWERS; i++)
            for (int t = 0; t < LENGTH; t++) {
                bool good = p.advantage[i][t] > 0;
                p.old[i][t] = p.now[i][t] + (good ? -0.3 : dual ? -1.2 : 0.3);
            }
        assert_false(any_gradient(&p));
        assert_true(p.sums.clipped == ANSWERS * LENGTH);
    }
    tear_down(&p);
}

/* What all ranks have to say: of each passage its log-probabilities, then its entropies. */
static double said[ANSWERS][2][LENGTH];

/* The others said this; this rank must have found the same of its own share. */
static ag_status say_to_others(ag_comm *c, void *all, const size_t *sizes, ag_error *err)
{
    (void)err;
    size_t before = 0, total = 0;
    for (int r = 0; r < c->size; r++) {
        if (r < c->rank) before += sizes[r];
        total += sizes[r];
    }
    assert_int_equal(total, sizeof said);
    for (size_t at = before / sizeof(double); at < (before + sizes[c->rank]) / sizeof(double); at++)
        assert_true(fabs(((double *)all)[at] - (&said[0][0][0])[at]) < 1e-12);
    memcpy(all, said, sizeof said);
    return AG_OK;
}

static ag_status add_nothing(ag_comm *c, double *values, size_t n, ag_error *err)
{
    (void)c, (void)values, (void)n, (void)err;
    return AG_OK;
}

/* The shares' gradients add up to the gradient, every rank ends with all log-probabilities and the whole loss. */
static void test_ranks(void **state)
{
    (void)state;
    static problem p;
    ag_error err = {0};
    set_up(&p, 4096);
    ag_device *d = p.t.device;
    size_t n = (size_t)p.t.model->train_count;
    double *whole = ag_calloc(n, sizeof *whole), *part = ag_calloc(n, sizeof *part);
    must(d->zero(d, p.t.model->grads, n * sizeof(double), &err));
    run(&p, set_slopes);
    double loss = p.sums.loss;
    must(d->download(d, whole, p.t.model->grads, n * sizeof *whole, &err));
    for (int i = 0; i < ANSWERS; i++) {
        memcpy(said[i][0], p.now[i], sizeof p.now[i]);
        memcpy(said[i][1], p.entropy[i], sizeof p.entropy[i]);
    }
    for (int size = 2; size <= ANSWERS + 2; size++) { /* some with nothing to do */
        double *sum = ag_calloc(n, sizeof *sum), most = 0;
        for (int rank = 0; rank < size; rank++) {
            ag_comm c = {.rank = rank, .size = size, .sum_double = add_nothing, .share = say_to_others};
            p.t.comm = &c;
            memset(p.now, 0, sizeof p.now);
            memset(p.entropy, 0, sizeof p.entropy);
            must(d->zero(d, p.t.model->grads, n * sizeof(double), &err));
            run(&p, set_slopes);
            assert_true(fabs(p.sums.loss - loss) < 1e-12);
            assert_true(p.now[0][0] == said[0][0][0] && p.entropy[5][LENGTH - 1] == said[5][1][LENGTH - 1]);
            must(d->download(d, part, p.t.model->grads, n * sizeof *part, &err));
            for (size_t i = 0; i < n; i++) sum[i] += part[i];
        }
        for (size_t i = 0; i < n; i++) most = fmax(most, fabs(sum[i] - whole[i]));
        if (most > 1e-12) fail_msg("%d ranks: a gradient off by %g", size, most);
        ag_free(sum);
    }
    ag_free(whole);
    ag_free(part);
    tear_down(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_modes), cmocka_unit_test(test_clipped),
                                       cmocka_unit_test(test_ranks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
