/* test_ranking.c: measures of a ranking against figures worked by hand, against the plainest loops, and at their edges. */
#include "unit/eval/eval_fixture.h"

#include "base/str.h"
#include "eval/ranking.h"

/* --- sets made by hand ---------------------------------------------------------------------------------- */

enum { MAX_DOCS = 24 };
static const char *const doc_ids[MAX_DOCS] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l",
                                              "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x"};

/* One file of up to four queries, each with values of some of the documents. */
typedef struct hand_made {
    ag_trec trec;
    ag_trec_query queries[4];
    ag_trec_doc docs[4][MAX_DOCS];
} hand_made;

/* Documents a, b, c, ... with these values; NAN: not in the file. */
static void put(hand_made *h, const char *id, const double *values, size_t n)
{
    uint32_t at = (uint32_t)h->trec.count;
    ag_trec_query *query = &h->queries[at];
    *query = (ag_trec_query){id, h->docs[at], 0, 0};
    for (size_t i = 0; i < n; i++)
        if (!isnan(values[i]))
            query->docs[query->count++] = (ag_trec_doc){doc_ids[i], values[i], (long)i + 1};
    h->trec.queries = h->queries;
    h->trec.path = "file";
    h->trec.count++;
    assert_int_equal(ag_table_add(&h->trec.index, ag_table_key(id, strlen(id)), &at), 1);
}

/* The value of one measure on query `q`. */
static double value_of(const char *name, const hand_made *qrels, const hand_made *run, size_t q)
{
    ag_error err = {0};
    ag_rank_measure *measures;
    ag_rank_values v;
    size_t n;
    if (ag_rank_measures_parse(&measures, &n, name, &err)) fail_msg("%s", err.message);
    assert_int_equal(n, 1);
    if (ag_rank_evaluate(&v, &qrels->trec, &run->trec, measures, n, &err)) fail_msg("%s", err.message);
    double value = v.values[q];
    ag_free(v.values);
    ag_free(measures);
    return value;
}

/* --- figures worked by hand ----------------------------------------------------------------------------- */

/* The run: a (grade 0), b (2), c (not judged), d (1), e (below 0); f (grade 3) and g (1) are not returned. */
static void test_by_hand(void **state)
{
    (void)state;
    hand_made qrels = {0}, run = {0};
    put(&qrels, "1", (double[]){0, 2, NAN, 1, -1, 3, 1}, 7);
    put(&run, "1", (double[]){9, 8, 7, 6, 5}, 5);
    double dcg = 2 / log2(3) + 1 / log2(5), ideal = 3 + 2 / log2(3) + 1 / log2(4) + 1 / log2(5);
    const struct {
        const char *measure;
        double value;
    } rows[] = {{"nDCG", dcg / ideal},
                {"nDCG@2", (2 / log2(3)) / (3 + 2 / log2(3))},
                {"NDCG@1", 0},
                {"P@2", 0.5},
                {"P@10", 0.2},
                {"P(rel=2)@2", 0.5},
                {"P(rel=2)@5", 0.2},
                {"R@2", 0.25},
                {"R@100", 0.5},
                {"R(rel=2)@100", 0.5},
                {"R(rel=4)@100", 0},
                {"AP", (1.0 / 2 + 2.0 / 4) / 4},
                {"AP@2", (1.0 / 2) / 4},
                {"AP(rel=2)", (1.0 / 2) / 2},
                {"RR", 0.5},
                {"RR@1", 0},
                {"RR@2", 0.5},
                {"RR(rel=3)", 0},
                {"ERR@1", 0},
                {"ERR@2", 3.0 / 16 / 2},
                {"ERR@10", 3.0 / 16 / 2 + 13.0 / 16 * 1 / 16 / 4},
                {"Success@1", 0},
                {"Success@2", 1},
                {"Success(rel=3)@10", 0},
                {"Judged", 0.8},
                {"Judged@3", 2.0 / 3},
                {"Judged@10", 0.8}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double got = value_of(rows[i].measure, &qrels, &run, 0);
        if (fabs(got - rows[i].value) > 1e-12)
            fail_msg("%s: %g, not %g", rows[i].measure, got, rows[i].value);
    }
    ag_table_free(&qrels.trec.index), ag_table_free(&run.trec.index);
}

/* a and b tie; c is behind them only in double precision. */
static void test_ties(void **state)
{
    (void)state;
    hand_made qrels = {0}, run = {0};
    put(&qrels, "1", (double[]){1, 0, 0}, 3);
    put(&run, "1", (double[]){1 + 1e-9, 1 + 1e-9, 1}, 3);
    assert_near(value_of("RR", &qrels, &run, 0), 1.0 / 3, 1e-12);     /* c b a */
    assert_near(value_of("RR@3", &qrels, &run, 0), 1, 1e-12);         /* a b c */
    assert_near(value_of("ERR@3", &qrels, &run, 0), 1.0 / 32, 1e-12); /* b a c */
    ag_table_free(&qrels.trec.index), ag_table_free(&run.trec.index);
}

/* Query 1 is in both, 2 only in the qrels, 3 has nothing relevant, 4 only in the run. */
static void test_queries(void **state)
{
    (void)state;
    ag_error err = {0};
    hand_made qrels = {0}, run = {0};
    ag_rank_measure *measures;
    ag_rank_values v;
    size_t n;
    put(&qrels, "1", (double[]){1, 0}, 2);
    put(&qrels, "2", (double[]){1}, 1);
    put(&qrels, "3", (double[]){0, -1}, 2);
    put(&run, "4", (double[]){2}, 1);
    put(&run, "3", (double[]){2, 1}, 2);
    put(&run, "1", (double[]){2, 1}, 2);
    assert_int_equal(ag_rank_measures_parse(&measures, &n, "AP, P@2\tJudged@5,MAP", &err), AG_OK);
    assert_int_equal(n, 3);
    assert_string_equal(measures[0].name, "AP");
    assert_int_equal(ag_rank_evaluate(&v, &qrels.trec, &run.trec, measures, n, &err), AG_OK);
    const double want[] = {1, 0, 0, 0.5, 0, 0, 1, 0, 1};
    for (size_t i = 0; i < 9; i++) assert_near(v.values[i], want[i], 1e-12);
    assert_int_equal(v.queries, 3);
    assert_int_equal(v.missing, 1);
    assert_int_equal(v.unjudged, 1);
    assert_int_equal(v.without_relevant, 1);
    ag_free(v.values);

    json_t *json, *again;
    assert_int_equal(ag_rank_json(&json, &qrels.trec, &run.trec, measures, n, 2000, 1, &err), AG_OK);
    assert_int_equal(ag_rank_json(&again, &qrels.trec, &run.trec, measures, n, 2000, 1, &err), AG_OK);
    assert_true(json_equal(json, again));
    const json_t *ap = json_object_get(json_object_get(json, "measures"), "AP");
    assert_near(json_number_value(json_object_get(ap, "value")), 1.0 / 3, 1e-12);
    assert_near(json_number_value(json_object_get(ap, "low")), 0, 1e-12);
    assert_near(json_number_value(json_object_get(ap, "high")), 1, 1e-12);
    const json_t *three = json_object_get(json_object_get(json, "per_query"), "3");
    assert_near(json_number_value(json_object_get(three, "Judged@5")), 1, 0);
    ag_str table = {0};
    assert_int_equal(ag_rank_table(&table, json, &err), AG_OK);
    assert_non_null(strstr(ag_str_text(&table), "AP                     0.333   0.000 ..  1.000"));
    assert_non_null(strstr(ag_str_text(&table), "Queries that the run lacks, counted as 0: 1\n"));
    ag_str_free(&table);
    json_decref(json), json_decref(again);
    ag_free(measures);
    ag_table_free(&qrels.trec.index), ag_table_free(&run.trec.index);
}

static void test_refused(void **state)
{
    (void)state;
    ag_error err = {0};
    hand_made qrels = {0}, run = {0}, other = {0};
    ag_rank_measure *measures;
    ag_rank_values v;
    size_t n;
    put(&qrels, "1", (double[]){1, 5}, 2);
    put(&run, "1", (double[]){2}, 1);
    put(&other, "q1", (double[]){2}, 1);
    assert_int_equal(ag_rank_measures_parse(&measures, &n, "AP ERR@10", &err), AG_OK);
    assert_int_equal(ag_rank_evaluate(&v, &qrels.trec, &run.trec, measures, n, &err), AG_ERR_INPUT);
    assert_non_null(strstr(err.message, "file:2: relevance 5, but ERR@10 is for grades up to 4"));
    ag_free(v.values);
    assert_int_equal(ag_rank_evaluate(&v, &qrels.trec, &other.trec, measures, 1, &err), AG_ERR_INPUT);
    assert_non_null(strstr(err.message, "none of the 1 queries of 'file' (the first is 'q1') is in"));
    ag_free(v.values);
    ag_free(measures);
    ag_table_free(&qrels.trec.index), ag_table_free(&run.trec.index), ag_table_free(&other.trec.index);
}

/* --- names ---------------------------------------------------------------------------------------------- */

static void test_names(void **state)
{
    (void)state;
    const struct {
        const char *list, *says;
    } rows[] = {
        {"", "no measure is named"},
        {" , ", "no measure is named"},
        {"NDGC@10", "did you mean 'NDCG'?"},
        {"AP,exactness@3", "unknown measure 'exactness' (known: nDCG, P, R, AP, RR, ERR, Success, Judged)"},
        {"P", "measure 'P' needs a rank: P@10"},
        {"ERR", "needs a rank"},
        {"P@", "'P@': must look like"},
        {"P@0", "must look like"},
        {"P@-1", "must look like"},
        {"P@9999999999", "must look like"},
        {"P@10x", "must look like"},
        {"P(rel=0)@10", "must look like"},
        {"P(rel=2@10", "must look like"},
        {"P(level=2)@10", "must look like"},
        {"P@10(rel=2)", "must look like"},
        {"nDCG(rel=2)@10", "nDCG takes no rel"},
        {"Judged(rel=1)", "Judged takes no rel"},
        {"@10", "unknown measure ''"},
        {"PPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPPP@10", "is too long"}};
    ag_rank_measure *measures;
    size_t n;
    ag_error err = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(ag_rank_measures_parse(&measures, &n, rows[i].list, &err), AG_ERR_USAGE);
        if (!strstr(err.message, rows[i].says)) fail_msg("'%s' does not say '%s'", err.message, rows[i].says);
        assert_null(measures);
    }
    assert_int_equal(
        ag_rank_measures_parse(&measures, &n, "Precision(rel=2)@5,P(rel=1)@5 mrr@3 RR Judged", &err), AG_OK);
    const char *const names[] = {"P(rel=2)@5", "P@5", "RR@3", "RR", "Judged"};
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++) assert_string_equal(measures[i].name, names[i]);
    ag_free(measures);
}

/* --- the plainest loops --------------------------------------------------------------------------------- */

/* Rank of document i: how many come before it. The last id first among equals. */
static int rank_of(const double *scores, int n, int i)
{
    int rank = 1;
    for (int j = 0; j < n; j++)
        if (!isnan(scores[j])) rank += scores[j] > scores[i] || (scores[j] == scores[i] && j > i);
    return rank;
}

static bool hit(const double *grades, const double *scores, int i, double rel)
{
    return !isnan(scores[i]) && !isnan(grades[i]) && grades[i] >= rel;
}

static double plain_ap(const double *grades, const double *scores, int n, double rel, int cut)
{
    double sum = 0, all = 0;
    for (int i = 0; i < n; i++) {
        all += !isnan(grades[i]) && grades[i] >= rel;
        if (!hit(grades, scores, i, rel) || rank_of(scores, n, i) > cut) continue;
        double before = 0;
        for (int j = 0; j < n; j++)
            before += hit(grades, scores, j, rel) && rank_of(scores, n, j) <= rank_of(scores, n, i);
        sum += before / rank_of(scores, n, i);
    }
    return all > 0 ? sum / all : 0;
}

static double plain_ndcg(const double *grades, const double *scores, int n, int cut)
{
    double dcg = 0, ideal = 0;
    for (int i = 0; i < n; i++) {
        if (isnan(grades[i]) || !(grades[i] > 0)) continue;
        int place = rank_of(grades, n, i);
        if (place <= cut) ideal += grades[i] * log(2) / log(place + 1);
        if (!isnan(scores[i]) && rank_of(scores, n, i) <= cut)
            dcg += grades[i] * log(2) / log(rank_of(scores, n, i) + 1);
    }
    return ideal > 0 ? dcg / ideal : 0;
}

static double plain_recall(const double *grades, const double *scores, int n, double rel, int cut)
{
    double found = 0, all = 0;
    for (int i = 0; i < n; i++) {
        all += !isnan(grades[i]) && grades[i] >= rel;
        found += hit(grades, scores, i, rel) && rank_of(scores, n, i) <= cut;
    }
    return all > 0 ? found / all : 0;
}

static void test_brute_force(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 300; round++) {
        ag_rng rng = ag_rng_at(5, AG_RNG_TEST, round, 0, 0, 0);
        double grades[MAX_DOCS], scores[MAX_DOCS];
        int n = 1 + (int)ag_rng_below(&rng, MAX_DOCS), ties = 1 + (int)ag_rng_below(&rng, 12);
        for (int i = 0; i < n; i++) {
            grades[i] = ag_rng_below(&rng, 3) ? (double)ag_rng_below(&rng, 5) - 1 : NAN;
            scores[i] = ag_rng_below(&rng, 4) ? (double)ag_rng_below(&rng, (uint32_t)ties) : NAN;
        }
        grades[0] = scores[0] = 1; /* neither file is empty */
        hand_made qrels = {0}, run = {0};
        put(&qrels, "1", grades, (size_t)n);
        put(&run, "1", scores, (size_t)n);
        assert_near(value_of("AP", &qrels, &run, 0), plain_ap(grades, scores, n, 1, n), 1e-12);
        assert_near(value_of("AP(rel=2)@4", &qrels, &run, 0), plain_ap(grades, scores, n, 2, 4), 1e-12);
        assert_near(value_of("nDCG", &qrels, &run, 0), plain_ndcg(grades, scores, n, n), 1e-12);
        assert_near(value_of("nDCG@3", &qrels, &run, 0), plain_ndcg(grades, scores, n, 3), 1e-12);
        assert_near(value_of("R@5", &qrels, &run, 0), plain_recall(grades, scores, n, 1, 5), 1e-12);
        assert_near(value_of("R(rel=3)@5", &qrels, &run, 0), plain_recall(grades, scores, n, 3, 5), 1e-12);
        ag_table_free(&qrels.trec.index), ag_table_free(&run.trec.index);
    }
}

/* Every allocation in turn fails. */
static void test_memory(void **state)
{
    (void)state;
    hand_made qrels = {0}, run = {0};
    put(&qrels, "1", (double[]){1, 0}, 2);
    put(&qrels, "2", (double[]){1}, 1);
    put(&run, "1", (double[]){2, 1}, 2);
    for (long n = 1;; n++) {
        ag_error err = {0};
        ag_rank_measure *measures;
        size_t count;
        json_t *json = NULL;
        ag_str out = {0};
        ag_mem_fail_at(n, true);
        ag_status status = ag_rank_measures_parse(&measures, &count, "AP,P@5,RR@5", &err);
        if (status == AG_OK)
            status = ag_rank_json(&json, &qrels.trec, &run.trec, measures, count, 10, 1, &err);
        if (status == AG_OK) status = ag_rank_table(&out, json, &err);
        ag_mem_fail_at(0, false);
        ag_str_free(&out);
        json_decref(json);
        ag_free(measures);
        if (status == AG_OK) break;
        assert_int_equal(status, AG_ERR_MEMORY);
        assert_true(n < 1000);
    }
    ag_table_free(&qrels.trec.index), ag_table_free(&run.trec.index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_by_hand), cmocka_unit_test(test_ties),
                                       cmocka_unit_test(test_queries), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_names),   cmocka_unit_test(test_brute_force),
                                       cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
