/* test_bootstrap.c: do the intervals cover, are p values uniform when nothing differs, and is it quick? */
#include "eval_fixture.h"

#include <time.h>
#include "eval/resample.h"

/* Two judges on groups of pairs: the chance of a hit varies by group (so that pairs of a group hang
 * together). */
typedef struct system_pair {
    fixture_book book;
    ag_record *a, *b;
    char (*queries)[16];
    size_t count;
} system_pair;

static void pair_make(system_pair *s, size_t groups, size_t each, uint64_t round, double lead)
{
    fixture_book_make(&s->book, 4);
    s->count = groups * each;
    s->a = ag_calloc(s->count, sizeof *s->a);
    s->b = ag_calloc(s->count, sizeof *s->b);
    s->queries = ag_calloc(groups, sizeof *s->queries);
    for (size_t g = 0; g < groups; g++) {
        ag_rng rng = ag_rng_at(11, AG_RNG_TEST, round, g, 0, 0);
        double skill = 0.4 + 0.4 * ag_rng_double(&rng);
        snprintf(s->queries[g], sizeof s->queries[g], "q%u", (unsigned)g);
        for (size_t i = 0; i < each; i++) {
            int gold = (int)ag_rng_below(&rng, 4), miss = (gold + 1 + (int)ag_rng_below(&rng, 3)) % 4;
            s->a[g * each + i] = fixture_record(s->queries[g], gold,
                                                ag_rng_double(&rng) < skill ? gold : miss);
            s->b[g * each + i] = fixture_record(s->queries[g], gold,
                                                ag_rng_double(&rng) < skill + lead ? gold : miss);
        }
    }
}

static void pair_free(system_pair *s)
{
    ag_free(s->a), ag_free(s->b), ag_free(s->queries);
}

/* The true accuracy is 0.6; a 95 % interval should hold it about 95 times in 100 (a little less with 40
 * groups). */
static void test_coverage(void **state)
{
    int covered = 0, rounds = 300;
    (void)state;
    for (int round = 0; round < rounds; round++) {
        system_pair s;
        ag_estimate e;
        pair_make(&s, 40, 6, (uint64_t)round, 0);
        ag_records a = {&s.book.book, s.a, s.count};
        assert_int_equal(ag_metric_estimate(&e, ag_metric_find("accuracy"), &a, 400, (uint64_t)round, NULL),
                         AG_OK);
        assert_true(e.low <= e.value && e.value <= e.high);
        assert_int_equal(e.groups, 40);
        covered += e.low <= 0.6 && 0.6 <= e.high;
        pair_free(&s);
    }
    assert_in_range(covered, rounds * 88 / 100, rounds * 99 / 100);
}

/* The bootstrap's standard error of a mean of group means is known: sd / sqrt(groups) (times sqrt((g - 1)
 * / g)). */
static void test_detectable(void **state)
{
    fixture_book f;
    ag_record items[50];
    char queries[50][16];
    ag_records set = {&f.book, items, 50};
    ag_estimate e;
    (void)state;
    fixture_book_make(&f, 4);
    for (int i = 0; i < 50; i++) {
        snprintf(queries[i], sizeof queries[i], "q%d", i);
        items[i] = fixture_record(queries[i], 0, i < 20 ? 0 : 1);
    }
    assert_int_equal(ag_metric_estimate(&e, ag_metric_find("accuracy"), &set, 20000, 5, NULL), AG_OK);
    double error = sqrt(0.4 * 0.6 / 50);
    assert_near(e.detectable, 2.8015852 * error, 0.004);
    assert_near(e.low, 0.4 - 1.96 * error, 0.02);
    assert_near(e.high, 0.4 + 1.96 * error, 0.02);
}

/* Under no difference p is uniform: a tenth below 0.1, half below 0.5, roughly; under a real one it is
 * small. */
static void test_p_values(void **state)
{
    int tenth = 0, half = 0, found = 0, rounds = 400;
    const ag_metric *metric = ag_metric_find("accuracy");
    (void)state;
    for (int round = 0; round < rounds; round++) {
        system_pair s;
        ag_difference d;
        pair_make(&s, 40, 6, 5000 + (uint64_t)round, 0);
        ag_records a = {&s.book.book, s.a, s.count}, b = {&s.book.book, s.b, s.count};
        assert_int_equal(ag_metric_compare(&d, metric, &a, &b, 300, (uint64_t)round, NULL), AG_OK);
        assert_true(d.p > 0 && d.p <= 1);
        tenth += d.p <= 0.1, half += d.p <= 0.5;
        pair_free(&s);
    }
    assert_in_range(tenth, rounds * 6 / 100, rounds * 16 / 100);
    assert_in_range(half, rounds * 42 / 100, rounds * 60 / 100);
    for (int round = 0; round < 50; round++) {
        system_pair s;
        ag_difference d;
        pair_make(&s, 60, 6, 9000 + (uint64_t)round, 0.2);
        ag_records a = {&s.book.book, s.a, s.count}, b = {&s.book.book, s.b, s.count};
        assert_int_equal(ag_metric_compare(&d, metric, &a, &b, 300, 1, NULL), AG_OK);
        found += d.p < 0.05 && d.low > 0;
        pair_free(&s);
    }
    assert_true(found > 40);
}

static void test_compare_edges(void **state)
{
    system_pair s;
    ag_difference d, back;
    ag_error err = {0};
    const ag_metric *metric = ag_metric_find("kappa");
    (void)state;
    pair_make(&s, 10, 4, 1, 0.1);
    ag_records a = {&s.book.book, s.a, s.count}, b = {&s.book.book, s.b, s.count};
    assert_int_equal(ag_metric_compare(&d, metric, &a, &a, 100, 1, &err), AG_OK);
    assert_near(d.value, 0, 0);
    assert_near(d.p, 1, 0);
    assert_int_equal(ag_metric_compare(&d, metric, &a, &b, 100, 1, &err), AG_OK);
    assert_int_equal(ag_metric_compare(&back, metric, &b, &a, 100, 1, &err), AG_OK);
    assert_near(d.value, -back.value, 1e-15);
    assert_near(d.low, -back.high, 1e-12);
    assert_near(d.p, back.p, 1e-12);
    assert_int_equal(ag_metric_compare(&d, metric, &a, &b, 0, 1, &err), AG_OK);
    assert_nan(d.p);
    b.count--;
    assert_int_equal(ag_metric_compare(&d, metric, &a, &b, 10, 1, &err), AG_ERR_USAGE);
    b.count++;
    s.b[3].id = "other";
    assert_int_equal(ag_metric_compare(&d, metric, &a, &b, 10, 1, &err), AG_ERR_USAGE);
    assert_non_null(strstr(err.message, "pair 4"));
    a.count = b.count = 0;
    assert_int_equal(ag_metric_compare(&d, metric, &a, &b, 10, 1, &err), AG_OK);
    assert_nan(d.value);
    pair_free(&s);
}

/* What --against prints is what the tests it is made of say. */
static void test_against(void **state)
{
    static const char *const names[] = {"accuracy", "macro_f1", "kappa", "acc2", "ndcg"};
    system_pair s;
    json_t *json;
    double p[5];
    (void)state;
    pair_make(&s, 30, 5, 3, 0.15);
    ag_records a = {&s.book.book, s.a, s.count}, b = {&s.book.book, s.b, s.count};
    assert_int_equal(
        ag_against_json(&json, "other.jsonl", &(ag_judge_runs){&b, 1}, &(ag_judge_runs){&a, 1}, 400, 7, NULL),
        AG_OK);
    assert_string_equal(json_string_value(json_object_get(json, "judged")), "other.jsonl");
    const json_t *rows = json_object_get(json, "metrics");
    assert_int_equal(json_object_size(rows), 5);
    for (int m = 0; m < 5; m++) {
        ag_difference d;
        assert_int_equal(ag_metric_compare(&d, ag_metric_find(names[m]), &a, &b, 400, 7, NULL), AG_OK);
        p[m] = d.p;
    }
    ag_holm(p, 5);
    for (int m = 0; m < 5; m++) {
        ag_estimate of_a, of_b;
        const json_t *row = json_object_get(rows, names[m]);
        assert_int_equal(ag_metric_estimate(&of_a, ag_metric_find(names[m]), &a, 0, 7, NULL), AG_OK);
        assert_int_equal(ag_metric_estimate(&of_b, ag_metric_find(names[m]), &b, 0, 7, NULL), AG_OK);
        if (isnan(of_a.value)) { /* no probabilities: no Acc@2 */
            assert_true(json_is_null(json_object_get(row, "value")) &&
                        json_is_null(json_object_get(row, "p")));
            continue;
        }
        assert_near(json_number_value(json_object_get(row, "value")), of_b.value, 1e-15);
        assert_near(json_number_value(json_object_get(row, "other")), of_a.value, 1e-15);
        assert_near(json_number_value(json_object_get(row, "difference")), of_b.value - of_a.value, 1e-12);
        assert_near(json_number_value(json_object_get(row, "p")), p[m], 1e-15);
    }
    assert_true(json_number_value(json_object_get(json_object_get(rows, "accuracy"), "difference")) > 0.05);
    json_decref(json);
    s.a[2].id = "other";
    ag_error err = {0};
    assert_int_equal(
        ag_against_json(&json, "x", &(ag_judge_runs){&b, 1}, &(ag_judge_runs){&a, 1}, 10, 1, &err),
        AG_ERR_USAGE);
    pair_free(&s);
}

/* Several runs of a judge: in every draw the mean over them counts, here by the plainest loops; and runs are not pooled. */
static void test_against_runs(void **state)
{
    enum { RUNS = 3, DRAWS = 200, GROUPS = 10, EACH = 15 }; /* q0 to q9: in their order as text */
    system_pair s[RUNS];
    ag_records own[RUNS], other[2];
    json_t *json;
    (void)state;
    for (uint64_t r = 0; r < RUNS; r++) {
        pair_make(&s[r], GROUPS, EACH, 3, 0.1);
        for (size_t i = 0; i < s[r].count; i++) /* each run is wrong elsewhere */
            if ((i * 7 + r * 5) % 11 == 0) s[r].b[i].tier = (s[r].b[i].gold + 1) % 4;
        own[r] = (ag_records){&s[r].book.book, s[r].b, s[r].count};
        if (r < 2) other[r] = (ag_records){&s[r].book.book, s[r].a, s[r].count};
    }
    assert_int_equal(ag_against_json(&json, "other", &(ag_judge_runs){own, RUNS}, &(ag_judge_runs){other, 2},
                                     DRAWS, 7, NULL),
                     AG_OK);
    assert_int_equal(json_integer_value(json_object_get(json, "runs")), RUNS);
    assert_int_equal(json_integer_value(json_object_get(json, "other_runs")), 2);
    const json_t *row = json_object_get(json_object_get(json, "metrics"), "accuracy");
    double measured = NAN, difference[DRAWS], low, high;
    uint32_t times[GROUPS];
    for (int d = -1; d < DRAWS; d++) { /* -1: the pairs as they are */
        double right[2] = {0}, total = 0;
        for (int g = 0; g < GROUPS; g++) times[g] = 1;
        if (d >= 0) ag_draw_groups(times, GROUPS, 7, d);
        for (size_t i = 0; i < GROUPS * EACH; i++) {
            total += times[i / EACH];
            for (int r = 0; r < RUNS; r++)
                right[1] += times[i / EACH] * (s[r].b[i].tier == s[r].b[i].gold) / (double)RUNS;
            for (int r = 0; r < 2; r++)
                right[0] += times[i / EACH] * (s[r].a[i].tier == s[r].a[i].gold) / 2.0;
        }
        *(d < 0 ? &measured : &difference[d]) = (right[1] - right[0]) / total;
    }
    size_t kept;
    ag_draws_spread(difference, DRAWS, &low, &high, &kept);
    assert_near(json_number_value(json_object_get(row, "difference")), measured, 1e-12);
    assert_near(json_number_value(json_object_get(row, "low")), low, 1e-12);
    assert_near(json_number_value(json_object_get(row, "high")), high, 1e-12);
    json_decref(json);
    for (int r = 0; r < RUNS; r++) pair_free(&s[r]);
}

static void test_deterministic(void **state)
{
    system_pair s;
    ag_estimate one, two, other;
    const ag_metric *metric = ag_metric_find("macro_f1");
    (void)state;
    pair_make(&s, 30, 5, 2, 0);
    ag_records a = {&s.book.book, s.a, s.count};
    assert_int_equal(ag_metric_estimate(&one, metric, &a, 200, 9, NULL), AG_OK);
    assert_int_equal(ag_metric_estimate(&two, metric, &a, 200, 9, NULL), AG_OK);
    assert_int_equal(ag_metric_estimate(&other, metric, &a, 200, 10, NULL), AG_OK);
    assert_memory_equal(&one, &two, sizeof one);
    assert_true(one.low != other.low || one.high != other.high);
    pair_free(&s);
}

static void test_holm(void **state)
{
    double p[] = {0.01, 0.04, 0.03, 0.005}, same[] = {0.02, 0.02, 0.9}, gaps[] = {NAN, 0.04, 0, NAN},
           big[] = {0.6, 0.7};
    (void)state;
    ag_holm(p, 4); /* by hand: 0.005 * 4, 0.01 * 3, 0.03 * 2, then not below that */
    assert_near(p[3], 0.02, 1e-15);
    assert_near(p[0], 0.03, 1e-15);
    assert_near(p[2], 0.06, 1e-15);
    assert_near(p[1], 0.06, 1e-15);
    ag_holm(same, 3);
    assert_near(same[0], 0.06, 1e-15);
    assert_near(same[1], 0.06, 1e-15);
    assert_near(same[2], 0.9, 1e-15);
    ag_holm(gaps, 4);
    assert_nan(gaps[0]);
    assert_near(gaps[1], 0.04, 1e-15);
    assert_near(gaps[2], 0, 0);
    ag_holm(big, 2);
    assert_near(big[0], 1, 0);
    assert_near(big[1], 1, 0);
    ag_holm(NULL, 0);
}

/* All metrics of 10 thousand records and a thousand draws: seconds. The bound is loose, for slow builds. */
static void test_quick(void **state)
{
    system_pair s;
    json_t *json;
    ag_error err = {0};
    struct timespec from, to;
    (void)state;
    pair_make(&s, 2000, 5, 3, 0);
    ag_records a = {&s.book.book, s.a, s.count};
    clock_gettime(CLOCK_MONOTONIC, &from);
    if (ag_metrics_json(&json, &a, 1000, 1, &err)) fail_msg("%s", err.message);
    clock_gettime(CLOCK_MONOTONIC, &to);
    double seconds = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
    print_message("10000 records, 1000 draws, all metrics: %.2f s\n", seconds);
    assert_true(seconds < 60);
    json_decref(json);
    pair_free(&s);
}

static void test_out_of_memory(void **state)
{
    system_pair s;
    ag_difference d;
    ag_error err;
    (void)state;
    pair_make(&s, 5, 2, 4, 0);
    ag_records a = {&s.book.book, s.a, s.count}, b = {&s.book.book, s.b, s.count};
    for (long n = 1; n < 100; n++) {
        ag_mem_fail_at(n, false);
        ag_status status = ag_metric_compare(&d, ag_metrics, &a, &b, 10, 1, &err);
        ag_mem_fail_at(0, false);
        if (!status) {
            pair_free(&s);
            return;
        }
        assert_int_equal(status, AG_ERR_MEMORY);
    }
    fail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coverage),      cmocka_unit_test(test_detectable),
        cmocka_unit_test(test_p_values),      cmocka_unit_test(test_compare_edges),
        cmocka_unit_test(test_deterministic), cmocka_unit_test(test_holm),
        cmocka_unit_test(test_against),       cmocka_unit_test(test_against_runs),
        cmocka_unit_test(test_quick),         cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
