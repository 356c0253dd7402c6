/* ranking_run.c: a run against its qrels: every measure of every query, their means with intervals, as JSON and as a table. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/cell.h"
#include "eval/ranking.h"
#include "eval/resample.h"

/* --- values of queries ---------------------------------------------------------------------------------- */

static int highest_first(const void *pa, const void *pb)
{
    double a = *(const double *)pa, b = *(const double *)pb;
    return (a < b) - (a > b);
}

/* The documents of the run with the grades of the qrels; both are sorted by document. */
static void join(ag_ranked *docs, const ag_trec_query *run, const ag_trec_query *qrels)
{
    size_t j = 0;
    for (size_t i = 0; i < run->count; i++) {
        const ag_trec_doc *doc = &run->docs[i];
        while (j < qrels->count && strcmp(qrels->docs[j].id, doc->id) < 0) j++;
        bool judged = j < qrels->count && strcmp(qrels->docs[j].id, doc->id) == 0;
        docs[i] = (ag_ranked){doc->id, doc->value, judged ? fmax(0, qrels->docs[j].value) : 0, judged};
    }
}

static ag_status check_grades(const ag_trec *qrels, const ag_rank_measure *measures, size_t count,
                              ag_error *err)
{
    for (size_t m = 0; m < count; m++) {
        double most = measures[m].kind->max_grade;
        for (size_t q = 0; most > 0 && q < qrels->count; q++)
            for (size_t d = 0; d < qrels->queries[q].count; d++) {
                const ag_trec_doc *doc = &qrels->queries[q].docs[d];
                if (doc->value > most)
                    return ag_fail(
                        err, AG_ERR_INPUT,
                        "%s:%ld: relevance %g, but %s is for grades up to %g: leave it out of --measures",
                        qrels->path, doc->line, doc->value, measures[m].name, most);
            }
    }
    return AG_OK;
}

/* Room for the documents and grades of the largest query. */
static bool make_room(ag_ranked **docs, double **grades, const ag_trec *qrels, const ag_trec *run)
{
    size_t most_docs = 0, most_grades = 0;
    for (size_t q = 0; q < run->count; q++)
        if (run->queries[q].count > most_docs) most_docs = run->queries[q].count;
    for (size_t q = 0; q < qrels->count; q++)
        if (qrels->queries[q].count > most_grades) most_grades = qrels->queries[q].count;
    *docs = ag_calloc(most_docs, sizeof **docs);
    *grades = ag_calloc(most_grades, sizeof **grades);
    return *docs && *grades;
}

ag_status ag_rank_evaluate(ag_rank_values *values, const ag_trec *qrels, const ag_trec *run,
                           const ag_rank_measure *measures, size_t count, ag_error *err)
{
    size_t n = qrels->count;
    ag_ranked *docs = NULL;
    double *grades = NULL;
    *values = (ag_rank_values){.queries = n, .values = ag_calloc(count * n, sizeof(double))};
    ag_status status = check_grades(qrels, measures, count, err);
    bool room = make_room(&docs, &grades, qrels, run);
    if (!status && (!room || !values->values)) status = ag_fail_memory(err, "values of measures");
    for (size_t q = 0; q < n && !status; q++) {
        const ag_trec_query *judged = &qrels->queries[q], *returned = ag_trec_find(run, judged->id);
        for (size_t d = 0; d < judged->count; d++) grades[d] = judged->docs[d].value;
        qsort(grades, judged->count, sizeof *grades, highest_first);
        values->without_relevant += grades[0] < 1;
        values->missing += returned == NULL;
        if (!returned) continue;
        ag_ranking ranking = {docs, returned->count, grades, judged->count};
        join(docs, returned, judged);
        for (size_t m = 0; m < count; m++) {
            if (m == 0 || measures[m].kind->order != measures[m - 1].kind->order)
                qsort(docs, returned->count, sizeof *docs, measures[m].kind->order);
            values->values[m * n + q] = measures[m].kind->of(&ranking, &measures[m]);
        }
    }
    if (!status && values->missing == n)
        status = ag_fail(err, AG_ERR_INPUT,
                         "none of the %zu queries of '%s' (the first is '%s') is in '%s' (the first is '%s')",
                         run->count, run->path, run->queries[0].id, qrels->path, qrels->queries[0].id);
    if (!status) values->unjudged = run->count - (n - values->missing);
    ag_free(docs);
    ag_free(grades);
    return status;
}

/* --- means and intervals -------------------------------------------------------------------------------- */

/* Sum of the values, each as often as `times` says (NULL: once), over their number. */
static double mean(const double *values, const uint32_t *times, size_t n)
{
    double sum = 0;
    for (size_t q = 0; q < n; q++) sum += times ? times[q] * values[q] : values[q];
    return sum / (double)n;
}

/* As ag_bootstrap does it, with queries for groups. */
static ag_status estimate(ag_estimate *estimates, const ag_rank_values *v, size_t count, int draws,
                          uint64_t seed, ag_error *err)
{
    size_t n = v->queries, kept;
    uint32_t *times = NULL;
    double *samples = NULL;
    AG_TRY(ag_draws_check(draws, n, err));
    for (size_t m = 0; m < count; m++)
        estimates[m] = (ag_estimate){mean(v->values + m * n, NULL, n), NAN, NAN, NAN, n, n};
    if (n < 2) return AG_OK; /* one query says nothing of how much queries differ */
    times = ag_calloc(n, sizeof *times);
    samples = ag_calloc(count * (size_t)draws, sizeof *samples);
    ag_status status = times && samples ? AG_OK : ag_fail_memory(err, "bootstrap draws");
    for (int d = 0; d < draws && !status; d++) {
        ag_draw_groups(times, n, seed, d);
        for (size_t m = 0; m < count; m++)
            samples[m * (size_t)draws + (size_t)d] = mean(v->values + m * n, times, n);
    }
    for (size_t m = 0; m < count && !status; m++) {
        double *of = samples + m * (size_t)draws;
        estimates[m].detectable = ag_detectable_errors * ag_draws_spread(of, (size_t)draws, &estimates[m].low,
                                                                         &estimates[m].high, &kept);
    }
    ag_free(times);
    ag_free(samples);
    return status;
}

/* --- JSON ----------------------------------------------------------------------------------------------- */

/* {measure: value} of one query; NULL when out of memory. */
static json_t *query_json(const ag_rank_values *v, const ag_rank_measure *measures, size_t count, size_t q)
{
    json_t *object = json_object();
    bool made = object != NULL;
    for (size_t m = 0; m < count && made; m++)
        made = ag_json_set(object, measures[m].name, json_real(v->values[m * v->queries + q]));
    if (made) return object;
    json_decref(object);
    return NULL;
}

static json_t *head_json(const ag_trec *qrels, const ag_trec *run, const ag_rank_values *v, int draws,
                         uint64_t seed)
{
    return json_pack("{s:o, s:o, s:{s:I, s:I, s:I, s:I}, s:i, s:I}", "run", ag_text_json(run->path), "qrels",
                     ag_text_json(qrels->path), "queries", "measured", (json_int_t)v->queries, "not_in_run",
                     (json_int_t)v->missing, "not_in_qrels", (json_int_t)v->unjudged, "without_relevant",
                     (json_int_t)v->without_relevant, "draws", draws, "seed", (json_int_t)(seed & INT64_MAX));
}

ag_status ag_rank_json(json_t **json, const ag_trec *qrels, const ag_trec *run,
                       const ag_rank_measure *measures, size_t count, int draws, uint64_t seed, ag_error *err)
{
    ag_rank_values v;
    json_t *all = NULL;
    ag_estimate *estimates = ag_calloc(count, sizeof *estimates);
    *json = NULL;
    ag_status status = ag_rank_evaluate(&v, qrels, run, measures, count, err);
    if (!status && !estimates) status = ag_fail_memory(err, "means of measures");
    if (!status) status = estimate(estimates, &v, count, draws, seed, err);
    if (status) goto out;
    json_t *means = json_object(), *queries = json_object();
    all = head_json(qrels, run, &v, draws, seed);
    bool made = all && means && queries;
    for (size_t m = 0; m < count && made; m++)
        made = ag_json_set(means, measures[m].name, ag_estimate_json(&estimates[m]));
    for (size_t q = 0; q < v.queries && made; q++)
        made = ag_json_set(queries, qrels->queries[q].id, query_json(&v, measures, count, q));
    made = made && json_object_set(all, "measures", means) == 0 &&
           json_object_set(all, "per_query", queries) == 0;
    json_decref(means);
    json_decref(queries);
    if (!made) {
        json_decref(all);
        all = NULL;
        status = ag_fail_memory(err, "measures as JSON");
    }
out:
    ag_free(v.values);
    ag_free(estimates);
    *json = all;
    return status;
}

/* --- table ---------------------------------------------------------------------------------------------- */

static void add_count(ag_str *out, const char *what, const json_t *queries, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(queries, key));
    if (n) ag_str_addf(out, "%s: %" JSON_INTEGER_FORMAT "\n", what, n);
}

ag_status ag_rank_table(ag_str *out, const json_t *json, ag_error *err)
{
    const char *name;
    json_t *estimate_of;
    const json_t *queries = json_object_get(json, "queries");
    json_int_t draws = json_integer_value(json_object_get(json, "draws"));
    ag_str_add(out, "Measure                 mean     95 % interval  detectable  queries\n");
    json_object_foreach(json_object_get(json, "measures"), name, estimate_of)
    {
        ag_cell_add(out, name, 20);
        ag_cell_number(out, json_object_get(estimate_of, "value"), 8);
        ag_cell_interval(out, estimate_of);
        ag_cell_number(out, json_object_get(estimate_of, "detectable"), 12);
        ag_cell_number(out, json_object_get(estimate_of, "records"), 9);
        ag_str_addc(out, '\n');
    }
    ag_str_addc(out, '\n');
    add_count(out, "Queries that the run lacks, counted as 0", queries, "not_in_run");
    add_count(out, "Queries without a relevant document, counted as 0", queries, "without_relevant");
    add_count(out, "Queries of the run that the qrels lack, left out", queries, "not_in_qrels");
    if (draws)
        ag_str_addf(
            out,
            "Intervals: %" JSON_INTEGER_FORMAT
            " bootstrap draws of queries. Detectable: smallest difference that\na paired test would find "
            "(power 0.8, 0.05).\n",
            draws);
    return ag_str_ok(out, err);
}
