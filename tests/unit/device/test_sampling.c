/* Draws from one row of logits: against the naive definition, and against the distribution that they claim. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/rng.h"
#include "device/sampling.h"
#include "unit/device/naive_sampler.h"

enum { MOST = 300 };

/* Random logits with ties and masked tokens; returns their log-sum-exp. */
static double random_logits(ag_rng *r, double *logits, double *p, int n, bool ties)
{
    double sum = 0;
    for (int j = 0; j < n; j++) {
        logits[j] = 2 * ag_rng_normal(r);
        if (ties) logits[j] = floor(logits[j]);
        if (j > 0 && ag_rng_below(r, 5) == 0) logits[j] = -INFINITY;
        sum += exp(logits[j]);
    }
    for (int j = 0; j < n; j++) p[j] = exp(logits[j]) / sum;
    return log(sum);
}

static void test_against_definition(void **state)
{
    (void)state;
    double logits[MOST], p[MOST], logprob, u;
    char scratch[MOST * AG_SAMPLE_SCRATCH];
    for (uint64_t round = 0; round < 3000; round++) {
        ag_rng r = ag_rng_at(1, AG_RNG_TEST, round, 0, 0, 0);
        int n = 1 + (int)ag_rng_below(&r, round % 3 ? 20 : MOST);
        double lse = random_logits(&r, logits, p, n, round % 2);
        int top_k = ag_rng_below(&r, 3) ? 0 : 1 + (int)ag_rng_below(&r, (uint32_t)n + 2);
        /* Sums of ties may meet top_p exactly; an irrational share keeps rounding out of it. */
        double top_p = ag_rng_below(&r, 3) ? 1 : 0.01 + 0.98 * ag_rng_double(&r),
               min_p = ag_rng_below(&r, 3) ? 0 : 0.3 * ag_rng_double(&r);
        u = round % 11 == 0 ? 0 : round % 11 == 1 ? 0x1.fffffffffffffp-1 : ag_rng_double(&r);
        bool greedy = round % 7 == 0;
        int32_t id = ag_sample_logits(logits, n, lse, greedy, u, top_k, top_p, min_p, scratch, &logprob);
        int want = naive_draw(p, n, greedy, u, top_k, top_p, min_p);
        if (id != want) fail_msg("round %d: drew %d, expected %d", (int)round, id, want);
        assert_true(fabs(logprob - log(p[want])) < 1e-12);
    }
}

/* Frequencies over evenly spaced numbers: exact but for the step. */
static void test_frequencies(void **state)
{
    (void)state;
    enum { N = 40, DRAWS = 20000 };
    double logits[N], p[N], logprob, total = 0;
    bool kept[N];
    int count[N] = {0};
    char scratch[N * AG_SAMPLE_SCRATCH];
    ag_rng r = ag_rng_at(2, AG_RNG_TEST, 0, 0, 0, 0);
    double lse = random_logits(&r, logits, p, N, false);
    naive_truncate(p, N, 30, 0.9, 0.01, kept);
    for (int j = 0; j < N; j++) total += kept[j] ? p[j] : 0;
    for (int i = 0; i < DRAWS; i++)
        count[ag_sample_logits(logits, N, lse, false, (double)i / DRAWS, 30, 0.9, 0.01, scratch, &logprob)]++;
    for (int j = 0; j < N; j++) assert_true(fabs(count[j] - (kept[j] ? DRAWS * p[j] / total : 0)) < 1.01);
}

/* One allowed token is drawn whatever the number; a draw never lands on a masked token. */
static void test_masked(void **state)
{
    (void)state;
    char scratch[8 * AG_SAMPLE_SCRATCH];
    double logprob, one[8];
    for (int j = 0; j < 8; j++) one[j] = j == 5 ? -3.5 : -INFINITY;
    for (int how = 0; how < 4; how++) {
        for (int i = 0; i <= 10; i++) {
            double u = i == 10 ? 0x1.fffffffffffffp-1 : i / 10.0;
            assert_int_equal(ag_sample_logits(one, 8, -3.5, how == 3, u, how == 1 ? 4 : 0, how == 2 ? 0.5 : 1,
                                              0, scratch, &logprob),
                             5);
            assert_true(logprob == 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_definition),
        cmocka_unit_test(test_frequencies),
        cmocka_unit_test(test_masked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
