/* test_decision.c: decisions against tables made by hand, cost files good and bad. */
#include "unit/eval/eval_fixture.h"

#include <unistd.h>

#include "base/file.h"
#include "eval/decision.h"

static char folder[] = "/tmp/agrl-decision-XXXXXX";

static char *file(const char *name, const char *text)
{
    ag_error err = {0};
    char *path = ag_path_join(folder, name);
    if (ag_file_write(folder, name, text, strlen(text), &err)) fail_msg("%s", err.message);
    return path;
}

/* Gains 7, 3, 1, 0. */
static void test_by_hand(void **state)
{
    (void)state;
    fixture_book f;
    fixture_book_make(&f, 4);
    static const struct {
        double p[4];
        int argmax, gain, at[3]; /* thresholds 0.3, 0.5, 0.9 */
    } rows[] = {
        {{1, 0, 0, 0}, 0, 0, {0, 0, 0}},
        {{0, 0, 0, 1}, 3, 3, {3, 3, 3}},
        {{0.4, 0.3, 0.2, 0.1}, 0, 1, {0, 1, 2}},     /* gain 3.9 */
        {{0.25, 0.25, 0.25, 0.25}, 0, 1, {1, 1, 3}}, /* gain 2.75 */
        {{0.2, 0.1, 0.1, 0.6}, 3, 2, {1, 3, 3}},     /* gain 1.8 */
        {{0.3, 0, 0.35, 0.35}, 2, 1, {0, 2, 3}},     /* gain 2.45; a tie of probabilities: the better tier */
        {{0.5, 0.3, 0.15, 0.05}, 0, 1, {0, 0, 2}},   /* gain 4.55 */
        {{0, 0.5, 0.5, 0}, 1, 1, {1, 1, 2}},         /* gain 2, as far from 3 as from 1 */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static const double thresholds[] = {0.3, 0.5, 0.9};
        ag_decision d = {0};
        assert_int_equal(ag_decide(&d, &f.book, rows[i].p), rows[i].argmax);
        d.by = AG_DECIDE_GAIN;
        assert_int_equal(ag_decide(&d, &f.book, rows[i].p), rows[i].gain);
        for (int k = 0; k < 3; k++) {
            d = (ag_decision){.by = AG_DECIDE_THRESHOLD, .threshold = thresholds[k]};
            assert_int_equal(ag_decide(&d, &f.book, rows[i].p), rows[i].at[k]);
        }
    }
    assert_near(ag_expected_gain(&f.book, rows[2].p), 3.9, 1e-15);
}

/* The worst tier is what is left, even if rounding keeps the sum below the threshold. */
static void test_threshold_end(void **state)
{
    (void)state;
    fixture_book f;
    fixture_book_make(&f, 3);
    const double p[] = {0.1, 0.2, 0.6999999};
    ag_decision d = {.by = AG_DECIDE_THRESHOLD, .threshold = 0.99999999};
    assert_int_equal(ag_decide(&d, &f.book, p), 2);
}

static void test_costs(void **state)
{
    (void)state;
    fixture_book f;
    fixture_book_make(&f, 3);
    ag_error err = {0};
    ag_decision d = {0}, e;
    /* Calling t2 a t0 costs 10; all other misses 1. */
    char *path = file("costs.yaml", "# true: said\nt0: {t0: 0, t1: 1, t2: 1}\nt1: {t0: 1, t1: 0, t2: 1}\n"
                                    "t2: {t0: 10, t1: 1, t2: 0}\n");
    assert_int_equal(ag_decision_read_costs(&d, &f.book, path, &err), AG_OK);
    ag_free(path);
    assert_int_equal(d.by, AG_DECIDE_COST);
    assert_near(d.cost[2][0], 10, 0);
    assert_near(d.cost[0][2], 1, 0);
    const struct {
        double p[3];
        int tier;
    } rows[] = {
        {{0.8, 0.1, 0.1}, 1},   /* costs 1.1, 0.9, 0.9 */
        {{0.9, 0.06, 0.04}, 0}, /* 0.46, 0.94, 0.96 */
        {{0.45, 0.5, 0.05}, 1}, /* 1.0, 0.5, 0.95 */
        {{0.1, 0.2, 0.7}, 2},   /* 7.2, 0.8, 0.3 */
        {{0, 0.5, 0.5}, 1},     /* 5.5, 0.5, 0.5: the better tier */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double best = INFINITY;
        int brute = 0;
        for (int said = 0; said < 3; said++) {
            double cost = 0;
            for (int t = 0; t < 3; t++) cost += rows[i].p[t] * d.cost[t][said];
            if (cost < best) best = cost, brute = said;
        }
        assert_int_equal(brute, rows[i].tier);
        assert_int_equal(ag_decide(&d, &f.book, rows[i].p), rows[i].tier);
    }
    path = file("costs.json",
                "{\"t0\": {\"t0\": 0, \"t1\": 1, \"t2\": 1}, \"t1\": {\"t0\": 1, \"t1\": 0, \"t2\": 1},\n"
                " \"t2\": {\"t0\": 10, \"t1\": 1, \"t2\": 0}}\n");
    memset(&e, 0, sizeof e);
    assert_int_equal(ag_decision_read_costs(&e, &f.book, path, &err), AG_OK);
    assert_memory_equal(&d, &e, sizeof d);
    ag_free(path);
}

/* 0 or 1 by whether the said tier is the true one is argmax. */
static void test_plain_costs_are_argmax(void **state)
{
    (void)state;
    fixture_book f;
    fixture_book_make(&f, 5);
    ag_decision argmax = {0}, cost = {.by = AG_DECIDE_COST};
    for (int t = 0; t < 5; t++)
        for (int s = 0; s < 5; s++) cost.cost[t][s] = t != s;
    for (int i = 0; i < 500; i++) {
        ag_rng r = ag_rng_at(1, AG_RNG_TEST, (uint64_t)i, 0, 0, 0);
        double p[5], total = 0;
        for (int t = 0; t < 5; t++) total += p[t] = ag_rng_double(&r);
        for (int t = 0; t < 5; t++) p[t] /= total;
        assert_int_equal(ag_decide(&argmax, &f.book, p), ag_decide(&cost, &f.book, p));
    }
}

static void test_bad_costs(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "no costs where the true tier is 't0'"},
        {"[1, 2]", "must be a map"},
        {"t0: 1\nt1: {t0: 1, t1: 0}\n", "bad:1:5: the costs of tier 't0'"},
        {"t0: {t0: 0, t1: 1}\n", "no costs where the true tier is 't1'"},
        {"t0: {t0: 0}\nt1: {t0: 1, t1: 0}\n", "bad:1:5: true tier 't0' has no cost of saying 't1'"},
        {"t0: {t0: 0, t1: 1}\nt1: {t0: 1, t1: 0}\nt9: {t0: 1}\n", "bad:3:1: the rulebook has no tier 't9'"},
        {"t0: {t0: 0, t1: 1, x: 2}\nt1: {t0: 1, t1: 0}\n", "no tier 'x'"},
        {"t0: {t0: 0, t1: -1}\nt1: {t0: 1, t1: 0}\n", "must not be negative"},
        {"t0: {t0: 0, t1: much}\nt1: {t0: 1, t1: 0}\n", "bad:1:17"},
        {"t0: {t0: 0, t1: .inf}\nt1: {t0: 1, t1: 0}\n", "bad:1:17"},
        {"t0: {t0: 0, t0: 1}\n", "bad:1"},
        {"t0: {t0: 0, t1: 1}\nt0: {t0: 0, t1: 1}\n", "bad:2"},
        {"{", "bad:"},
    };
    fixture_book f;
    fixture_book_make(&f, 2);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ag_error err = {0};
        ag_decision d = {0};
        char *path = file("bad", bad[i].text);
        assert_int_equal(ag_decision_read_costs(&d, &f.book, path, &err), AG_ERR_INPUT);
        if (!strstr(err.message, bad[i].says)) fail_msg("'%s' does not say '%s'", err.message, bad[i].says);
        ag_free(path);
    }
}

static void round_trip(const ag_book *book, const ag_decision *d)
{
    ag_error err = {0};
    ag_decision back;
    json_t *json = ag_decision_to_json(d, book);
    assert_non_null(json);
    if (ag_decision_from_json(&back, book, json, "here", &err)) fail_msg("%s", err.message);
    assert_memory_equal(&back, d, sizeof back);
    json_decref(json);
}

static void test_json(void **state)
{
    (void)state;
    fixture_book f;
    fixture_book_make(&f, 3);
    ag_decision d = {0};
    round_trip(&f.book, &d);
    d.by = AG_DECIDE_GAIN;
    round_trip(&f.book, &d);
    round_trip(&f.book, &(ag_decision){.by = AG_DECIDE_THRESHOLD, .threshold = 0.7});
    d.by = AG_DECIDE_COST;
    d.cost[0][2] = 2.5;
    d.cost[2][1] = 1e300;
    round_trip(&f.book, &d);
    static const char *const bad[] = {
        "{}",
        "[]",
        "{\"by\": 1}",
        "{\"by\": \"luck\"}",
        "{\"by\": \"threshold\"}",
        "{\"by\": \"threshold\", \"threshold\": 1}",
        "{\"by\": \"threshold\", \"threshold\": \"0.5\"}",
        "{\"by\": \"cost\"}",
        "{\"by\": \"cost\", \"cost\": {\"t0\": {\"t0\": 0, \"t1\": 1, \"t2\": 1}}}",
        "{\"by\": \"cost\", \"cost\": [1]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ag_error err = {0};
        json_t *json = NULL;
        assert_int_equal(ag_json_parse(&json, bad[i], strlen(bad[i]), "bad", 1, &err), AG_OK);
        assert_int_equal(ag_decision_from_json(&d, &f.book, json, "here", &err), AG_ERR_INPUT);
        assert_non_null(strstr(err.message, "here"));
        json_decref(json);
    }
    for (int i = 0; i < AG_DECIDE_COUNT; i++) assert_int_equal(ag_decide_find(ag_decide_names[i]), i);
    assert_int_equal(ag_decide_find(NULL), AG_DECIDE_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),   cmocka_unit_test(test_threshold_end),
        cmocka_unit_test(test_costs),     cmocka_unit_test(test_plain_costs_are_argmax),
        cmocka_unit_test(test_bad_costs), cmocka_unit_test(test_json),
    };
    if (!mkdtemp(folder)) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ag_dir_remove(folder, NULL);
    return failed;
}
