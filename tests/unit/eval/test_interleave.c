/* test_interleave.c: interleaving logs against counts by hand, tails of coins by plain sums, draws by plain loops, and logs of simulated
 * shoppers.
 */
#include "unit/eval/eval_fixture.h"

#include <unistd.h>

#include "base/file.h"
#include "eval/interleave.h"
#include "eval/resample.h"

static char folder[] = "/tmp/agrl-interleave-XXXXXX";

static char *file(const char *name, const char *text)
{
    ag_error err = {0};
    char *path = ag_path_join(folder, name);
    ag_out *out;
    if (ag_out_open(&out, path, &err)) fail_msg("%s", err.message);
    ag_out_write(out, text, strlen(text));
    if (ag_out_commit(out, &err)) fail_msg("%s", err.message);
    return path;
}

static void load(ag_interleave *log, const char *text, ag_interleave_by by)
{
    ag_error err = {0};
    char *path = file("log.gz", text);
    if (ag_interleave_load(log, path, by, &err)) fail_msg("%s", err.message);
    ag_free(path);
}

#define R(id, team) "{\"id\": \"" id "\", \"team\": \"" team "\"}"
#define LIST        "\"list\": [" R("x", "A") ", " R("y", "B") ", " R("z", "B") ", " R("w", "A") "]"

static void test_by_hand(void **state)
{
    (void)state;
    ag_interleave log;
    load(&log,
         "{\"query\": \"boots\", \"user\": 7, " LIST ", \"clicks\": [1]}\n"           /* A */
         "{\"query\": \"boot\", \"user\": \"7\", " LIST ", \"clicks\": [\"y\", 3]}\n" /* B */
         "\n"
         "{\"query\": \"tea\", \"user\": 8, " LIST ", \"clicks\": [\"x\", \"y\"]}\n"     /* tie */
         "{\"query\": \"tea\", \"user\": 8, " LIST ", \"clicks\": []}\n"                 /* none */
         "{\"query\": \"cup\", \"user\": 9, " LIST ", \"clicks\": [1, \"w\", \"y\"]}\n", /* A */
         AG_BY_QUERY);
    assert_int_equal(log.impressions, 5);
    assert_int_equal(log.clicked, 4);
    assert_int_equal(log.total.wins[AG_TEAM_A], 2);
    assert_int_equal(log.total.wins[AG_TEAM_B], 1);
    assert_int_equal(log.total.ties, 1);
    assert_near(ag_interleave_delta(&log.total), 2.5 / 4 - 0.5, 1e-15);
    assert_int_equal(log.group_count, 3); /* boots and boot are one */
    assert_int_equal(log.groups[0].wins[AG_TEAM_A], 1);
    assert_int_equal(log.groups[0].wins[AG_TEAM_B], 1);
    assert_int_equal(log.depth, 4);
    assert_int_equal(log.ranks[0].shown[AG_TEAM_A], 5);
    assert_int_equal(log.ranks[0].clicks[AG_TEAM_A], 3);
    assert_int_equal(log.ranks[1].clicks[AG_TEAM_B], 3);
    assert_int_equal(log.ranks[2].clicks[AG_TEAM_B], 1);
    assert_int_equal(log.ranks[3].clicks[AG_TEAM_A], 1);
    assert_int_equal(log.ranks[3].clicks[AG_TEAM_B], 0);
    assert_int_equal(log.not_drafted, 0);
    ag_interleave_free(&log);
    load(&log,
         "{\"query\": \"a\", \"user\": 7, " LIST ", \"clicks\": [1]}\n"
         "{\"query\": \"b\", \"user\": \"7\", " LIST ", \"clicks\": []}\n",
         AG_BY_USER);
    assert_int_equal(log.group_count, 1);
    ag_interleave_free(&log);
}

static void draft_of(const char *teams, bool drafted)
{
    ag_interleave log;
    ag_str line = {0};
    ag_str_add(&line, "{\"query\": \"q\", \"clicks\": [], \"list\": [");
    for (int i = 0; teams[i]; i++)
        ag_str_addf(&line, "%s{\"id\": \"%d\", \"team\": \"%c\"}", i ? ", " : "", i, teams[i]);
    ag_str_add(&line, "]}\n");
    load(&log, line.data, AG_BY_QUERY);
    if (log.not_drafted == drafted) fail_msg("%s", teams);
    assert_int_equal(log.not_drafted_line, drafted ? 0 : 1);
    assert_nan(ag_interleave_delta(&log.total));
    ag_interleave_free(&log);
    ag_str_free(&line);
}

static void test_draft(void **state)
{
    static const char *const good[] = {"A", "AB", "ABBA", "BABAA", "ABA", "ABAAAA", "AA", "BBBB"},
                             *const wrong[] = {"AAB", "AABB", "ABAAB", "ABBBBA"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) draft_of(good[i], true);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) draft_of(wrong[i], false);
}

static void test_sign_test(void **state)
{
    (void)state;
    double row[61] = {1}; /* of Pascal's triangle, over 2^n */
    assert_nan(ag_sign_test(0, 0));
    for (int n = 1; n <= 60; n++) {
        for (int k = n; k >= 0; k--) row[k] = (k < n ? row[k] / 2 : 0) + (k > 0 ? row[k - 1] / 2 : 0);
        for (int k = 0; k <= n; k++) {
            double p = 0; /* all splits at least as uneven, from both ends */
            for (int j = 0; j <= n; j++) p += abs(2 * j - n) >= abs(2 * k - n) ? row[j] : 0;
            assert_near(ag_sign_test((size_t)k, (size_t)(n - k)), p, 1e-12);
        }
    }
    assert_near(ag_sign_test(500000, 500000), 1, 0);
    assert_near(ag_sign_test(498500, 501500), erfc(2999 / 1000.0 / sqrt(2)), 1e-5);
    assert_near(ag_sign_test(1000, 0), 0, 1e-300);
}

static void test_share_interval(void **state)
{
    /* Worked from the roots of (k/n - p)^2 = z^2 p (1 - p) / n. */
    static const size_t cases[][2] = {{0, 1}, {0, 10}, {1, 10}, {5, 10}, {10, 10}, {480, 1000}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double low, high, n = (double)cases[i][1], share = (double)cases[i][0] / n, z = 1.959963984540054;
        ag_share_interval(cases[i][0], cases[i][1], &low, &high);
        assert_true(0 <= low && low <= share && share <= high && high <= 1);
        assert_near((share - low) * (share - low), z * z * low * (1 - low) / n, 1e-12);
        assert_near((share - high) * (share - high), z * z * high * (1 - high) / n, 1e-12);
    }
}

/* --- intervals ------------------------------------------------------------------------------------------ */

/* A log of queries with a taste of their own; a shopper clicks one result. */
static void simulate(ag_str *text, ag_rng *rng, int queries, int impressions, double taste)
{
    for (int i = 0; i < impressions; i++) {
        int query = (int)ag_rng_below(rng, (uint32_t)queries), first = (int)ag_rng_below(rng, 2);
        double own = taste + (query % 2 ? 0.1 : -0.1);
        bool likes_a = ag_rng_double(rng) < own, clicks = ag_rng_double(rng) < 0.5;
        ag_str_addf(
            text,
            "{\"query\": \"q%d\", \"list\": [{\"id\": \"x\", \"team\": \"%c\"}, {\"id\": \"y\", \"team\": ",
            query, first ? 'A' : 'B');
        ag_str_addf(text, "\"%c\"}], \"clicks\": [", first ? 'B' : 'A');
        if (clicks) ag_str_addf(text, "%d", likes_a == (first == 1) ? 1 : 2);
        ag_str_add(text, "]}\n");
    }
}

static int by_size(const void *pa, const void *pb)
{
    double a = *(const double *)pa, b = *(const double *)pb;
    return (a > b) - (a < b);
}

static void test_interval(void **state)
{
    enum { DRAWS = 201 };
    (void)state;
    ag_error err = {0};
    ag_interleave log;
    ag_estimate e;
    ag_str text = {0};
    ag_rng rng = ag_rng_at(5, AG_RNG_TEST, 0, 0, 0, 0);
    double draws[DRAWS];
    simulate(&text, &rng, 12, 200, 0.6);
    load(&log, text.data, AG_BY_QUERY);
    assert_int_equal(ag_interleave_estimate(&e, &log, DRAWS, 9, &err), AG_OK);
    for (int d = 0; d < DRAWS; d++) { /* a vote a win, counted one by one */
        uint32_t times[64];
        double votes = 0, sum = 0;
        ag_draw_groups(times, log.group_count, 9, d);
        for (size_t g = 0; g < log.group_count; g++)
            for (uint32_t t = 0; t < times[g]; t++)
                for (size_t w = 0; w < log.groups[g].wins[0] + log.groups[g].wins[1]; w++, votes++)
                    sum += w < log.groups[g].wins[AG_TEAM_A] ? 0.5 : -0.5;
        draws[d] = sum / votes;
    }
    qsort(draws, DRAWS, sizeof *draws, by_size);
    assert_near(e.low, draws[5], 1e-12); /* 0.025 and 0.975 of 200 steps */
    assert_near(e.high, draws[195], 1e-12);
    assert_near(e.value, ag_interleave_delta(&log.total), 0);
    assert_int_equal(e.groups, 12);
    assert_int_equal(e.records, log.clicked);
    assert_int_equal(ag_interleave_estimate(&e, &log, 0, 9, &err), AG_OK);
    assert_nan(e.low);
    assert_int_equal(ag_interleave_estimate(&e, &log, -1, 9, &err), AG_ERR_USAGE);
    ag_interleave_free(&log);
    ag_str_free(&text);
}

/* No preference: about 95 of 100 intervals hold 0. A strong one: none does. */
static void test_coverage(void **state)
{
    enum { LOGS = 200 };
    (void)state;
    int covered = 0, found = 0;
    for (int l = 0; l < 2 * LOGS; l++) {
        ag_error err = {0};
        ag_interleave log;
        ag_estimate e;
        ag_str text = {0};
        ag_rng rng = ag_rng_at(6, AG_RNG_TEST, (uint64_t)l, 0, 0, 0);
        simulate(&text, &rng, 40, 400, l < LOGS ? 0.5 : 0.75);
        load(&log, text.data, AG_BY_QUERY);
        assert_int_equal(ag_interleave_estimate(&e, &log, 200, 1, &err), AG_OK);
        covered += l < LOGS && e.low <= 0 && 0 <= e.high;
        found += l >= LOGS && e.low > 0;
        ag_interleave_free(&log);
        ag_str_free(&text);
    }
    assert_in_range(covered, LOGS * 90 / 100, LOGS * 99 / 100);
    assert_int_equal(found, LOGS);
}

/* --- refused -------------------------------------------------------------------------------------------- */

static void refused(const char *text, const char *says)
{
    ag_error err = {0};
    ag_interleave log;
    char *path = file("bad", text);
    assert_int_equal(ag_interleave_load(&log, path, AG_BY_USER, &err), AG_ERR_INPUT);
    if (!strstr(err.message, says)) fail_msg("'%s' does not say '%s'", err.message, says);
    ag_interleave_free(&log);
    ag_free(path);
}

#define HEAD "{\"query\": \"q\", \"user\": 1, "

static void test_refused(void **state)
{
    (void)state;
    refused("", "bad: empty");
    refused("\n\n", "bad: empty");
    refused("[]\n", "bad:1: must be an object");
    refused("{\"query\": \"q\"}\n", "bad:1: 'list' must be");
    refused(HEAD "\"list\": [], \"clicks\": []}\n", "bad:1: 'list' must be");
    refused(HEAD LIST "}\n", "bad:1: 'clicks' must be a list");
    refused(HEAD "\"list\": [1], \"clicks\": []}\n", "bad:1: list: result 1 must be");
    refused(HEAD "\"list\": [{\"id\": 3, \"team\": \"A\"}], \"clicks\": []}\n",
            "bad:1: list: result 1 must be");
    refused(HEAD "\"list\": [{\"id\": \"x\", \"team\": \"C\"}], \"clicks\": []}\n",
            "the team of result 'x' must be \"A\" or \"B\"");
    refused(HEAD "\"list\": [" R("x", "A") ", " R("x", "B") "], \"clicks\": []}\n",
            "bad:1: list: 'x' is at positions 1 and 2");
    refused(HEAD LIST ", \"clicks\": [0]}\n", "clicks: position 0, but the list has 1 to 4");
    refused(HEAD LIST ", \"clicks\": [5]}\n", "clicks: position 5, but");
    refused(HEAD LIST ", \"clicks\": [-9223372036854775808]}\n", "clicks: position -9223372036854775808");
    refused(HEAD LIST ", \"clicks\": [1.5]}\n", "clicks: must be positions");
    refused(HEAD LIST ", \"clicks\": [\"v\"]}\n", "clicks: 'v' is not in the list");
    refused(HEAD LIST ", \"clicks\": [\"y\", 2]}\n", "clicks: 'y' twice");
    refused("{\"user\": 1, " LIST ", \"clicks\": []}\n", "bad:1: 'query' must be");
    refused("{\"query\": \" \", \"user\": 1, " LIST ", \"clicks\": []}\n", "bad:1: 'query' must be");
    refused("{\"query\": \"q\", " LIST ", \"clicks\": []}\n", "bad:1: 'user' must be a name");
    refused(HEAD "\"id\": \"i\", " LIST ", \"clicks\": []}\n\n" HEAD "\"id\": \"i\", " LIST
                 ", \"clicks\": []}\n",
            "bad:3: impression 'i' is in line 1 already");
}

/* Every allocation in turn fails: an error, and nothing left behind (the sanitizer looks). */
static void test_memory(void **state)
{
    (void)state;
    static const char *const names[] = {"A", "B"};
    char *path = file("m", HEAD LIST ", \"clicks\": [1]}\n"
                                     "{\"query\": \"r\", \"user\": 2, " LIST ", \"clicks\": [2]}\n");
    for (long n = 1;; n++) {
        ag_error err = {0};
        ag_interleave log;
        json_t *json = NULL;
        ag_mem_fail_at(n, true);
        ag_status status = ag_interleave_load(&log, path, AG_BY_QUERY, &err);
        if (status == AG_OK) status = ag_interleave_json(&json, &log, names, 10, 1, &err);
        ag_mem_fail_at(0, false);
        json_decref(json);
        ag_interleave_free(&log);
        if (status == AG_OK) break;
        assert_int_equal(status, AG_ERR_MEMORY);
        assert_true(n < 1000);
    }
    ag_free(path);
}

static int begin(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    return ag_dir_remove(folder, NULL) == AG_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),   cmocka_unit_test(test_draft),
        cmocka_unit_test(test_sign_test), cmocka_unit_test(test_share_interval),
        cmocka_unit_test(test_interval),  cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, begin, end);
}
