/* test_metrics.c: every metric against scikit-learn's numbers, against brute force, and at its edges. */
#include "eval_fixture.h"

#include "base/json.h"

/* --- golden --------------------------------------------------------------------------------------------- */

typedef struct golden_case {
    fixture_book book;
    ag_records records;
    char (*queries)[16];
} golden_case;

static void golden_read(golden_case *c, const json_t *json)
{
    json_t *gold = json_object_get(json, "gold");
    size_t n = json_array_size(gold);
    int tiers = (int)json_integer_value(json_object_get(json, "tiers"));
    fixture_book_make(&c->book, tiers);
    c->records = (ag_records){&c->book.book, ag_calloc(n, sizeof *c->records.items), n};
    c->queries = ag_calloc(n, sizeof *c->queries);
    for (int k = 0; k < tiers; k++) {
        c->book.tiers[k].gain = json_number_value(json_array_get(json_object_get(json, "gains"), (size_t)k));
        c->book.tiers[k].good = json_is_true(json_array_get(json_object_get(json, "good"), (size_t)k));
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *p = json_array_get(json_object_get(json, "p"), i);
        ag_record *r = &c->records.items[i];
        snprintf(c->queries[i], sizeof c->queries[i], "q%d",
                 (int)json_integer_value(json_array_get(json_object_get(json, "query"), i)));
        *r = fixture_record(c->queries[i], (int)json_integer_value(json_array_get(gold, i)), -1);
        for (int k = 0; k < tiers; k++) {
            r->probability[k] = json_number_value(json_array_get(p, (size_t)k));
            if (r->tier < 0 || r->probability[k] > r->probability[r->tier]) r->tier = k;
        }
    }
}

static void golden_free(golden_case *c)
{
    ag_free(c->records.items);
    ag_free(c->queries);
}

static void assert_expected(double value, const json_t *expected)
{
    if (json_is_null(expected))
        assert_nan(value);
    else
        assert_near(value, json_number_value(expected), 1e-9);
}

static json_t *golden_load(void)
{
    json_t *cases;
    ag_error err = {0};
    if (ag_json_load(&cases, AGRL_SOURCE_DIR "/tests/golden/metrics/golden.json", &err))
        fail_msg("%s", err.message);
    return cases;
}

static void test_golden(void **state)
{
    json_t *cases = golden_load(), *json, *expected;
    const char *name;
    size_t i;
    (void)state;
    json_array_foreach(cases, i, json)
    {
        golden_case c;
        ag_groups groups;
        golden_read(&c, json);
        json_object_foreach(json_object_get(json, "expect"), name, expected)
            assert_expected(metric_of(&c.records, name), expected);
        assert_int_equal(ag_groups_collect(&groups, &c.records, NULL, c.records.count, NULL), AG_OK);
        double *sums = ag_calloc(groups.width, sizeof *sums);
        ag_groups_total(&groups, sums);
        ag_tally t = ag_tally_view(c.records.book, sums);
        for (int k = 0; k < c.book.book.tier_count; k++) {
            for (int m = 0; m < 3; m++)
                assert_expected(ag_tier_metrics[m].of(&t, k),
                                json_array_get(json_object_get(json, ag_tier_metrics[m].name), (size_t)k));
            for (int p = 0; p < c.book.book.tier_count; p++)
                assert_near(t.confusion[k * c.book.book.tier_count + p],
                            json_number_value(json_array_get(
                                json_array_get(json_object_get(json, "confusion"), (size_t)k), (size_t)p)),
                            0);
        }
        assert_near(t.sum[AG_SUM_INFORMATIVE], json_number_value(json_object_get(json, "informative")), 0);
        assert_near(t.sum[AG_SUM_IRRELEVANT], json_number_value(json_object_get(json, "without_relevant")),
                    0);
        ag_free(sums);
        ag_groups_free(&groups);
        golden_free(&c);
    }
    json_decref(cases);
}

/* --- NDCG by enumerating orders ------------------------------------------------------------------------- */

/* Sum of the DCG of every order of items in which scores do not rise, and how many there are. */
static void each_order(const ag_scored *items, bool *used, int n, int rank, double last, double dcg,
                       double *sum, double *count)
{
    if (rank == n) {
        *sum += dcg;
        *count += 1;
        return;
    }
    double best = -INFINITY;
    for (int i = 0; i < n; i++)
        if (!used[i] && items[i].score > best) best = items[i].score;
    if (best > last) return;
    for (int i = 0; i < n; i++) {
        if (used[i] || items[i].score != best) continue;
        used[i] = true;
        each_order(items, used, n, rank + 1, best,
                   dcg + (rank < AG_NDCG_DEPTH ? items[i].gain / log2(rank + 2) : 0), sum, count);
        used[i] = false;
    }
}

static double mean_dcg(const ag_scored *items, int n)
{
    bool used[16] = {0};
    double sum = 0, count = 0;
    each_order(items, used, n, 0, INFINITY, 0, &sum, &count);
    return sum / count;
}

static void test_ndcg_orders(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 300; round++) {
        ag_rng rng = ag_rng_at(7, AG_RNG_TEST, round, 0, 0, 0);
        ag_scored items[7], same[7], ideal[7];
        int n = 1 + (int)ag_rng_below(&rng, 7);
        double most = 0, random, value;
        for (int i = 0; i < n; i++) {
            items[i] = (ag_scored){ag_rng_below(&rng, 3), ag_rng_below(&rng, 3)};
            same[i] = (ag_scored){0, items[i].gain};
            ideal[i] = (ag_scored){items[i].gain, items[i].gain};
            most = fmax(most, items[i].gain);
        }
        double expected = mean_dcg(items, n), any = mean_dcg(same, n), best = mean_dcg(ideal, n);
        value = ag_ndcg(items, (size_t)n, &random);
        if (most == 0) {
            assert_nan(value);
            assert_nan(random);
            continue;
        }
        assert_near(value, expected / best, 1e-12);
        assert_near(random, any / best, 1e-12);
    }
}

/* Ties that straddle the depth: 12 items of one score, one of them relevant. */
static void test_ndcg_depth(void **state)
{
    ag_scored items[12] = {{0}};
    double expected = 0, random;
    (void)state;
    items[4].gain = 3;
    for (int rank = 0; rank < 10; rank++) expected += 1 / log2(rank + 2) / 12;
    assert_near(ag_ndcg(items, 12, &random), expected, 1e-12);
    assert_near(random, expected, 1e-12);
    assert_nan(ag_ndcg(items, 0, NULL));
}

/* The value does not depend on the order of the records, and queries of one group stay queries. */
static void test_ndcg_order_of_input(void **state)
{
    fixture_book f;
    ag_record items[6], turned[6];
    (void)state;
    fixture_book_make(&f, 4);
    for (int i = 0; i < 6; i++) {
        items[i] = fixture_record(i < 3 ? "red shoes" : "shoes red", i % 3, (i + 1) % 3);
        items[i].group = "red shoes";
    }
    for (int i = 0; i < 6; i++) turned[i] = items[(i * 5 + 2) % 6];
    ag_records a = {&f.book, items, 6}, b = {&f.book, turned, 6};
    double value = metric_of(&a, "ndcg");
    assert_near(value, metric_of(&b, "ndcg"), 0);
    /* gains 7, 3, 1 for gold 0, 1, 2, ranked by the gains of tiers 1, 2, 0: the last, the first, the
     * second */
    double best = 7 + 3 / log2(3) + 0.5, got = 1 + 7 / log2(3) + 1.5;
    assert_near(value, got / best, 1e-12);
    ag_estimate e;
    assert_int_equal(ag_metric_estimate(&e, ag_metric_find("ndcg"), &a, 10, 1, NULL), AG_OK);
    assert_int_equal(e.records, 2);
    assert_int_equal(e.groups, 1);
    assert_nan(e.low);
}

/* --- answers -------------------------------------------------------------------------------------------- */

static void test_process(void **state)
{
    fixture_book f;
    ag_record items[6];
    ag_records set = {&f.book, items, 6};
    (void)state;
    fixture_book_make(&f, 4);
    for (int i = 0; i < 6; i++) items[i] = fixture_record("q", 1, 1);
    /* 0: all right. 1: right tier, gate broken. 2: gate holds, wrong tier and verdicts. 3: not in the format.
     * 4: no gold, consistent tier, wrong rule. 5: never answered. */
    for (int i = 0; i < 5; i++) items[i].answered = true;
    for (int i = 0; i < 3; i++) items[i].format = items[i].verdicts_known = true;
    items[0].gate = items[0].verdicts_right = true;
    items[0].answer_tier = items[0].derived_tier = 1;
    items[0].gold_rule = items[0].rule = 1;
    items[1].answer_tier = 1, items[1].derived_tier = 2, items[1].verdicts_right = true;
    items[1].gold_rule = 1, items[1].rule = 0;
    items[2].answer_tier = items[2].derived_tier = 3, items[2].gate = true;
    items[4].gold = -1, items[4].format = true, items[4].answer_tier = items[4].derived_tier = 0;
    for (int i = 0; i < 3; i++) {
        items[i].verdict_count[0] = 1, items[i].verdict_hits[0] = i != 2;
        items[i].verdict_count[1] = 2, items[i].verdict_hits[1] = i;
    }
    assert_near(metric_of(&set, "format"), 4.0 / 5, 1e-15);
    assert_near(metric_of(&set, "self_consistency"), 2.0 / 5, 1e-15);
    assert_near(metric_of(&set, "process"), 3.0 / 5, 1e-15);
    assert_near(metric_of(&set, "adherence"), 1.0 / 3, 1e-15);
    assert_near(metric_of(&set, "compliant"), 1.0 / 4, 1e-15);
    assert_near(metric_of(&set, "wrong_process"), 1.0 / 4, 1e-15);
    assert_near(metric_of(&set, "answer_accuracy"), 2.0 / 4, 1e-15);
    assert_near(metric_of(&set, "headline_agreement"), 2.0 / 5, 1e-15);
    assert_near(metric_of(&set, "rule"), 1.0 / 2, 1e-15);
    assert_near(metric_of(&set, "verdicts"), 5.0 / 9, 1e-15);

    json_t *json;
    ag_error err = {0};
    if (ag_metrics_json(&json, &set, 20, 3, &err)) fail_msg("%s", err.message);
    const json_t *criteria = json_object_get(json, "criteria");
    for (int c = 0; c < 2; c++) {
        const json_t *e = json_object_get(json_array_get(criteria, (size_t)c), "accuracy");
        assert_near(json_number_value(json_object_get(e, "value")), c ? 3.0 / 6 : 2.0 / 3, 1e-15);
        assert_int_equal(json_integer_value(json_object_get(e, "records")), c ? 6 : 3);
    }
    json_decref(json);
}

/* --- edges ---------------------------------------------------------------------------------------------- */

static void test_empty(void **state)
{
    fixture_book f;
    ag_records set = {&f.book, NULL, 0};
    json_t *json;
    ag_error err = {0};
    ag_str table = {0};
    (void)state;
    fixture_book_make(&f, 4);
    for (const ag_metric *m = ag_metrics; m->name; m++) assert_nan(metric_of(&set, m->name));
    if (ag_metrics_json(&json, &set, 50, 1, &err)) fail_msg("%s", err.message);
    assert_int_equal(json_object_size(json_object_get(json, "overall")), 0);
    assert_int_equal(ag_metrics_table(&table, json, &err), AG_OK);
    ag_str_free(&table);
    json_decref(json);
}

/* Without gold only what needs no gold is defined. */
static void test_no_gold(void **state)
{
    static const char *const defined[] = {"format", "self_consistency", "process", "headline_agreement",
                                          NULL};
    fixture_book f;
    ag_record items[3];
    ag_records set = {&f.book, items, 3};
    (void)state;
    fixture_book_make(&f, 4);
    for (int i = 0; i < 3; i++) {
        items[i] = fixture_record(NULL, -1, i);
        items[i].answered = true;
    }
    for (const ag_metric *m = ag_metrics; m->name; m++) {
        bool expect = false;
        for (int k = 0; defined[k]; k++) expect |= strcmp(defined[k], m->name) == 0;
        assert_int_equal(isnan(metric_of(&set, m->name)), !expect);
    }
}

/* One tier on both sides: everything is right, and kappa has nothing to say. */
static void test_single_tier(void **state)
{
    fixture_book f;
    ag_record items[4];
    ag_records set = {&f.book, items, 4};
    (void)state;
    fixture_book_make(&f, 4);
    for (int i = 0; i < 4; i++) items[i] = fixture_record(i < 2 ? "a" : "b", 1, 1);
    assert_near(metric_of(&set, "accuracy"), 1, 0);
    assert_near(metric_of(&set, "macro_f1"), 1, 0);
    assert_near(metric_of(&set, "ndcg"), 1, 0);
    assert_near(metric_of(&set, "nll"), 0, 0);
    assert_near(metric_of(&set, "ece"), 0, 0);
    assert_nan(metric_of(&set, "kappa"));
}

/* A probability of zero for gold is floored; records without probabilities or a tier take no part. */
static void test_probabilities(void **state)
{
    fixture_book f;
    ag_record items[4];
    ag_records set = {&f.book, items, 1};
    (void)state;
    fixture_book_make(&f, 3);
    items[0] = fixture_record("a", 0, 1);
    assert_near(metric_of(&set, "nll"), -log(1e-12), 1e-9);
    assert_near(metric_of(&set, "brier"), 2, 0);
    assert_near(metric_of(&set, "ece"), 1, 0);
    set.count = 3;
    items[1] = fixture_record("a", 0, 0);
    items[1].probability[0] = NAN;
    items[2] = fixture_record("a", 0, -1);
    assert_near(metric_of(&set, "brier"), 2, 0);
    assert_near(metric_of(&set, "accuracy"), 0.5, 0);
    items[3] = fixture_record("a", 0, 0);
    items[3].probability[0] = 0.6, items[3].probability[1] = 0.4;
    set.count = 4;
    assert_near(metric_of(&set, "doubtful_error"), 0, 0);
    assert_int_equal(ag_calibration_bin(0), 0);
    assert_int_equal(ag_calibration_bin(1.0 / 15), 0);
    assert_int_equal(ag_calibration_bin(0.0667), 1);
    assert_int_equal(ag_calibration_bin(1), 14);
    assert_int_equal(ag_calibration_bin(1.0000001), 14);
}

static void test_out_of_range(void **state)
{
    fixture_book f;
    ag_record item = fixture_record("q", 5, 0);
    ag_records set = {&f.book, &item, 1};
    ag_estimate e;
    ag_error err = {0};
    (void)state;
    fixture_book_make(&f, 4);
    assert_int_equal(ag_metric_estimate(&e, ag_metrics, &set, 10, 1, &err), AG_ERR_INTERNAL);
    assert_non_null(strstr(err.message, "gold"));
    item = fixture_record("q", 1, 0);
    assert_int_equal(ag_metric_estimate(&e, ag_metrics, &set, -1, 1, &err), AG_ERR_USAGE);
    assert_null(ag_metric_find("nonsense"));
}

/* --- JSON, raters, slices ------------------------------------------------------------------------------- */

enum { SET = 60 };

/* A set with everything in it. */
typedef struct full_set {
    fixture_book book;
    ag_record items[SET];
    int ratings[SET][3];
    const char *names[2], *values[SET][2];
    char ids[SET][16], queries[SET][16];
    ag_records records;
} full_set;

static void full_make(full_set *s)
{
    static const char *const types[] = {
        "plain", "negation", "caf\xC3\xA9 \xE5\x92\x96\xE5\x95\xA1 with a name that is far too long"};
    memset(s, 0, sizeof *s);
    fixture_book_make(&s->book, 4);
    s->records = (ag_records){&s->book.book, s->items, SET};
    s->names[0] = "type", s->names[1] = "bad \x1b[31m";
    for (int i = 0; i < SET; i++) {
        ag_rng rng = ag_rng_at(3, AG_RNG_TEST, (uint64_t)i, 0, 0, 0);
        ag_record *r = &s->items[i];
        int gold = (int)ag_rng_below(&rng, 4),
            tier = ag_rng_below(&rng, 3) ? gold : (int)ag_rng_below(&rng, 4);
        snprintf(s->ids[i], sizeof s->ids[i], "p%d", i);
        snprintf(s->queries[i], sizeof s->queries[i], "q%d", i % 9);
        *r = fixture_record(s->queries[i], gold, tier);
        r->id = s->ids[i];
        r->title = "<b>\"title\" & 'more'</b>";
        for (int k = 0; k < 4; k++) r->probability[k] = k == tier ? 0.7 : 0.1;
        for (int j = 0; j < 3; j++)
            s->ratings[i][j] = ag_rng_below(&rng, 4) ? gold : (int)ag_rng_below(&rng, 4) - (j == 2);
        r->ratings = s->ratings[i];
        r->rating_count = 3;
        s->values[i][0] = types[i % 3], s->values[i][1] = "\xff";
        r->slice_names = s->names;
        r->slice_values = s->values[i];
        r->slice_count = 2;
        r->answered = r->format = true;
        r->gate = i % 5 != 0;
        r->answer_tier = tier, r->derived_tier = tier;
        r->answer = "t0\ncat=SAME";
    }
}

static const json_t *find_row(const json_t *rows, const char *gold, const char *judge)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) if (strcmp(json_string_value(json_object_get(row, "gold")), gold) == 0 &&
                                         strcmp(json_string_value(json_object_get(row, "judge")), judge) ==
                                             0) return json_object_get(row, "metrics");
    fail_msg("no row %s | %s", gold, judge);
    return NULL;
}

static double value_in(const json_t *metrics, const char *name)
{
    const json_t *value = json_object_get(json_object_get(metrics, name), "value");
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void test_raters(void **state)
{
    full_set *s = ag_calloc(1, sizeof *s);
    json_t *json;
    ag_error err = {0};
    (void)state;
    full_make(s);
    s->items[7].rating_count = 0;
    if (ag_raters_json(&json, &s->records, 20, 1, &err)) fail_msg("%s", err.message);
    const json_t *rows = json_object_get(json, "rows");
    double label_hits[3] = {0}, label_n[3] = {0}, agree = 0, pairs = 0, median_hits = 0, median_n = 0, ab = 0,
           ab_n = 0;
    for (int i = 0; i < SET; i++) {
        int v[3], n = 0;
        if (i == 7) continue;
        for (int j = 0; j < 3; j++) {
            int rating = s->ratings[i][j];
            if (rating < 0) continue;
            v[n++] = rating;
            label_n[j]++, label_hits[j] += rating == s->items[i].gold;
            for (int k = 0; k < j; k++) {
                if (s->ratings[i][k] < 0) continue;
                pairs++, agree += s->ratings[i][k] == rating;
            }
        }
        if (s->ratings[i][0] >= 0 && s->ratings[i][1] >= 0)
            ab_n++, ab += s->ratings[i][0] == s->ratings[i][1];
        int median = n == 3 ? v[0] + v[1] + v[2] - (int)fmax(v[0], fmax(v[1], v[2])) -
                                  (int)fmin(v[0], fmin(v[1], v[2]))
                     : n == 2 ? (int)fmax(v[0], v[1])
                              : v[0];
        median_n++, median_hits += median == s->items[i].gold;
    }
    assert_near(value_in(find_row(rows, "label", "rater 1"), "accuracy"), label_hits[0] / label_n[0], 1e-12);
    assert_near(value_in(find_row(rows, "label", "rater 3"), "accuracy"), label_hits[2] / label_n[2], 1e-12);
    assert_near(value_in(find_row(rows, "raters", "raters"), "accuracy"), agree / pairs, 1e-12);
    assert_near(value_in(find_row(rows, "rater 1", "rater 2"), "accuracy"), ab / ab_n, 1e-12);
    assert_near(value_in(find_row(rows, "label", "median of raters"), "accuracy"), median_hits / median_n,
                1e-12);
    assert_int_equal(json_integer_value(json_object_get(
                         json_object_get(find_row(rows, "raters", "raters"), "accuracy"), "records")),
                     (json_int_t)pairs);
    assert_false(isnan(value_in(find_row(rows, "label", "model"), "ndcg")));
    assert_nan(value_in(find_row(rows, "raters", "raters"), "ndcg"));
    json_decref(json);
    ag_free(s);
}

static void test_slices(void **state)
{
    full_set *s = ag_calloc(1, sizeof *s);
    json_t *json;
    ag_error err = {0};
    double hits = 0;
    (void)state;
    full_make(s);
    if (ag_slices_json(&json, &s->records, 0, 1, &err)) fail_msg("%s", err.message);
    assert_int_equal(json_array_size(json), 2);
    const json_t *type = json_array_get(json, 1);
    assert_string_equal(json_string_value(json_object_get(type, "name")), "type");
    assert_int_equal(json_array_size(json_object_get(type, "values")), 3);
    const json_t *plain = json_array_get(json_object_get(type, "values"), 2);
    assert_string_equal(json_string_value(json_object_get(plain, "value")), "plain");
    assert_int_equal(json_integer_value(json_object_get(plain, "records")), 20);
    for (int i = 0; i < SET; i += 3) hits += s->items[i].gold == s->items[i].tier;
    assert_near(value_in(json_object_get(plain, "metrics"), "accuracy"), hits / 20, 1e-12);
    const json_t *bad = json_array_get(json_object_get(json_array_get(json, 0), "values"), 0);
    assert_string_equal(json_string_value(json_object_get(bad, "value")), "\xEF\xBF\xBD");
    json_decref(json);
    ag_free(s);
}

/* At most 100 columns, no control characters, the same every time. */
static void test_table(void **state)
{
    full_set *s = ag_calloc(1, sizeof *s);
    json_t *json, *again;
    ag_error err = {0};
    ag_str table = {0}, one = {0}, two = {0};
    (void)state;
    full_make(s);
    if (ag_metrics_json(&json, &s->records, 50, 1, &err)) fail_msg("%s", err.message);
    if (ag_metrics_json(&again, &s->records, 50, 1, &err)) fail_msg("%s", err.message);
    assert_int_equal(ag_json_dump(&one, json, &err), AG_OK);
    assert_int_equal(ag_json_dump(&two, again, &err), AG_OK);
    assert_string_equal(ag_str_text(&one), ag_str_text(&two));
    if (ag_metrics_table(&table, json, &err)) fail_msg("%s", err.message);
    assert_non_null(
        strstr(ag_str_text(&table), "\nAll pairs\n")); /* a slice with one value is named, not tabled */
    assert_true(ag_utf8_valid(table.data, table.len, NULL));
    const char *line = ag_str_text(&table);
    while (*line) {
        size_t len = strcspn(line, "\n");
        if (ag_utf8_count(line, len) > 100) fail_msg("too wide: %.*s", (int)len, line);
        for (size_t i = 0; i < len; i++) assert_true((unsigned char)line[i] >= 0x20);
        line += len + (line[len] == '\n');
    }
    assert_non_null(strstr(ag_str_text(&table), "Weighted kappa"));
    assert_non_null(strstr(ag_str_text(&table), "median of raters"));
    if (getenv("AGRL_TEST_SHOW")) print_message("%s", ag_str_text(&table));
    json_decref(json);
    json_decref(again);
    ag_str_free(&table), ag_str_free(&one), ag_str_free(&two);
    ag_free(s);
}

/* A draw adds up what a metric says that it reads: all else may be anything. */
static void check_reads(const ag_metric *table, const ag_book *book, int indices)
{
    size_t width = ag_tally_width(book);
    double *sums = ag_calloc(2 * width, sizeof *sums), *known = sums + width;
    size_t *columns = ag_calloc(width, sizeof *columns);
    for (const ag_metric *m = table; m->name; m++) {
        for (uint64_t round = 0; round < 8; round++) {
            ag_rng rng = ag_rng_at(11, AG_RNG_TEST, round, 0, 0, 0);
            size_t n = ag_tally_columns(columns, book, m->reads);
            for (size_t w = 0; w < width; w++) sums[w] = 1 + ag_rng_below(&rng, 1000), known[w] = NAN;
            for (size_t k = 0; k < n; k++) known[columns[k]] = sums[columns[k]];
            ag_tally all = ag_tally_view(book, sums), some = ag_tally_view(book, known);
            for (int i = 0; i < indices; i++) {
                assert_true(isfinite(m->of(&all, i)));
                if (m->of(&some, i) != m->of(&all, i)) fail_msg("%s reads more than it says", m->name);
            }
        }
    }
    ag_free(sums);
    ag_free(columns);
}

static void test_reads(void **state)
{
    (void)state;
    for (int tiers = 2; tiers <= 7; tiers++) {
        fixture_book f;
        fixture_book_make(&f, tiers);
        check_reads(ag_metrics, &f.book, 1);
        check_reads(ag_tier_metrics, &f.book, tiers);
        check_reads(ag_criterion_metrics, &f.book, f.book.criterion_count);
        size_t width = ag_tally_width(&f.book), *columns = ag_calloc(width, sizeof *columns);
        uint64_t all = AG_READS_CONFUSION | AG_READS_BINS | AG_READS_CRITERIA | (AG_READS(AG_SUM_COUNT) - 1);
        assert_int_equal(ag_tally_columns(columns, &f.book, all), width);
        for (size_t w = 0; w < width; w++) assert_int_equal(columns[w], w);
        ag_free(columns);
    }
}

/* Each allocation fails in turn: an error that says so, nothing leaked (the sanitizers look), nothing
 * half-made. */
static void test_out_of_memory(void **state)
{
    full_set *s = ag_calloc(1, sizeof *s);
    (void)state;
    full_make(s);
    s->records.count = 12;
    ag_mem_fail_at(0, false);
    for (long n = 1;; n += n < 400 ? 1 : 23) {
        ag_error err = {0};
        json_t *json = NULL;
        ag_str table = {0};
        ag_mem_fail_at(n, true);
        ag_status status = ag_metrics_json(&json, &s->records, 5, 1, &err);
        if (!status) status = ag_metrics_table(&table, json, &err);
        ag_mem_fail_at(0, false);
        ag_str_free(&table);
        json_decref(json);
        if (!status) break;
        assert_int_equal(status, AG_ERR_MEMORY);
        assert_true(err.message[0] != '\0');
        assert_true(n < 100000);
    }
    ag_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),        cmocka_unit_test(test_ndcg_orders),
        cmocka_unit_test(test_ndcg_depth),    cmocka_unit_test(test_ndcg_order_of_input),
        cmocka_unit_test(test_process),       cmocka_unit_test(test_empty),
        cmocka_unit_test(test_no_gold),       cmocka_unit_test(test_single_tier),
        cmocka_unit_test(test_probabilities), cmocka_unit_test(test_out_of_range),
        cmocka_unit_test(test_raters),        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_table),         cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
