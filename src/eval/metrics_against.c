/* metrics_against.c: a judge beside another on the same pairs: differences of the metrics that people compare judges by, paired by the draws of
 * query groups.
 */
#include <math.h>

#include "eval/cell.h"
#include "eval/resample.h"

static const char *const compared[] = {"accuracy", "macro_f1", "kappa", "acc2", "ndcg"};
enum { COMPARED = sizeof compared / sizeof compared[0] };

static ag_status check_paired(const ag_records *first, const ag_judge_runs *judge, ag_error *err)
{
    for (size_t r = 0; r < judge->count; r++) AG_TRY(ag_records_paired(first, &judge->runs[r], err));
    return AG_OK;
}

/* The row of each metric. */
static json_t *tests_json(const ag_difference *difference, double (*values)[2])
{
    double p[COMPARED];
    json_t *tests = json_object();
    for (int m = 0; m < COMPARED; m++) p[m] = difference[m].p;
    ag_holm(p, COMPARED);
    for (int m = 0; m < COMPARED; m++) {
        const ag_difference *d = &difference[m];
        json_t *row = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "value", ag_real_json(values[m][1]),
                                "other", ag_real_json(values[m][0]), "difference", ag_real_json(d->value),
                                "low", ag_real_json(d->low), "high", ag_real_json(d->high), "p",
                                ag_real_json(p[m]), "detectable", ag_real_json(d->detectable));
        if (json_object_set_new(tests, compared[m], row) == 0) continue;
        json_decref(tests);
        return NULL;
    }
    return tests;
}

ag_status ag_against_json(json_t **json, const char *name, const ag_judge_runs *judge,
                          const ag_judge_runs *other, int draws, uint64_t seed, ag_error *err)
{
    ag_difference difference[COMPARED];
    double values[COMPARED][2];
    ag_groups *own = NULL, *theirs = NULL;
    *json = NULL;
    size_t pairs = judge->runs->count;
    AG_TRY(check_paired(judge->runs, judge, err));
    AG_TRY(check_paired(judge->runs, other, err));
    ag_status status = ag_runs_collect(&own, judge->runs, judge->count, NULL, pairs, err);
    if (status == AG_OK) status = ag_runs_collect(&theirs, other->runs, other->count, NULL, pairs, err);
    for (int m = 0; m < COMPARED && status == AG_OK; m++)
        status = ag_runs_compare(&difference[m], values[m], ag_metric_find(compared[m]),
                                 &(ag_runs){theirs, other->count}, &(ag_runs){own, judge->count}, draws, seed,
                                 err);
    ag_runs_free(own, judge->count);
    ag_runs_free(theirs, other->count);
    if (status != AG_OK) return status;
    *json = json_pack("{s:o, s:I, s:I, s:i, s:o}", "judged", ag_text_json(name), "runs",
                      (json_int_t)judge->count, "other_runs", (json_int_t)other->count, "draws", draws,
                      "metrics", tests_json(difference, values));
    return *json ? AG_OK : ag_fail_memory(err, "comparison");
}

void ag_against_table(ag_str *out, const json_t *against)
{
    const char *name = json_string_value(json_object_get(against, "judged"));
    if (!name) return;
    ag_str_add(out, "\nAgainst ");
    ag_cell_add(out, name, ag_cell_columns(name) < 80 ? ag_cell_columns(name) : 80);
    json_int_t runs = json_integer_value(json_object_get(against, "runs")),
               other_runs = json_integer_value(json_object_get(against, "other_runs"));
    if (runs > 1 || other_runs > 1)
        ag_str_addf(out, ": means over %lld and %lld runs", (long long)runs, (long long)other_runs);
    ag_str_add(
        out,
        "\n                               value   other  difference     95 % interval       p  detectable\n");
    for (int m = 0; m < COMPARED; m++) {
        const json_t *row = json_object_get(json_object_get(against, "metrics"), compared[m]);
        ag_cell_add(out, ag_metric_find(compared[m])->title, 28);
        ag_cell_number(out, json_object_get(row, "value"), 8);
        ag_cell_number(out, json_object_get(row, "other"), 8);
        ag_cell_number(out, json_object_get(row, "difference"), 12);
        ag_cell_interval(out, row);
        ag_cell_number(out, json_object_get(row, "p"), 8);
        ag_cell_number(out, json_object_get(row, "detectable"), 12);
        ag_str_addc(out, '\n');
    }
    ag_str_add(out, "Paired by bootstrap draws of query groups, p by Holm over the rows.\n");
}
