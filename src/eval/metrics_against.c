/* metrics_against.c: a judge beside another on the same pairs: differences of the metrics that people compare judges by, paired by the draws of
 * query groups.
 */
#include <math.h>

#include "eval/cell.h"
#include "eval/tally.h"

static const char *const compared[] = {"accuracy", "macro_f1", "kappa", "acc2", "ndcg"};
enum { COMPARED = sizeof compared / sizeof compared[0] };

ag_status ag_against_json(json_t **json, const char *name, const ag_records *records,
                          const ag_records *others, int draws, uint64_t seed, ag_error *err)
{
    ag_difference difference[COMPARED];
    double p[COMPARED];
    *json = NULL;
    for (int m = 0; m < COMPARED; m++) {
        AG_TRY(ag_metric_compare(&difference[m], ag_metric_find(compared[m]), others, records, draws, seed,
                                 err));
        p[m] = difference[m].p;
    }
    ag_holm(p, COMPARED);
    json_t *tests = json_object(), *all = json_pack("{s:o, s:i, s:o}", "judged", ag_text_json(name), "draws",
                                                    draws, "metrics", tests);
    if (!all) return ag_fail_memory(err, "comparison");
    for (int m = 0; m < COMPARED; m++) {
        const ag_metric *metric = ag_metric_find(compared[m]);
        const ag_difference *d = &difference[m];
        ag_estimate value, other;
        ag_status status = ag_metric_estimate(&value, metric, records, 0, seed, err);
        if (status == AG_OK) status = ag_metric_estimate(&other, metric, others, 0, seed, err);
        json_t *row = status == AG_OK
                          ? json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "value",
                                      ag_real_json(value.value), "other", ag_real_json(other.value),
                                      "difference", ag_real_json(d->value), "low", ag_real_json(d->low),
                                      "high", ag_real_json(d->high), "p", ag_real_json(p[m]), "detectable",
                                      ag_real_json(d->detectable))
                          : NULL;
        if (status == AG_OK && json_object_set_new(tests, metric->name, row) != 0)
            status = ag_fail_memory(err, "comparison");
        if (status == AG_OK) continue;
        json_decref(all);
        return status;
    }
    *json = all;
    return AG_OK;
}

void ag_against_table(ag_str *out, const json_t *against)
{
    const char *name = json_string_value(json_object_get(against, "judged"));
    if (!name) return;
    ag_str_add(out, "\nAgainst ");
    ag_cell_add(out, name, ag_cell_columns(name) < 80 ? ag_cell_columns(name) : 80);
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
