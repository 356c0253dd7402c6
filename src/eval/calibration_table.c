/* calibration_table.c: a calibration report as tables for a terminal. */
#include "eval/calibration_report.h"

#include "eval/cell.h"

enum { NAME = 22 };

static double number_of(const json_t *json, const char *key)
{
    return json_number_value(json_object_get(json, key));
}

static void percent(ag_str *out, const json_t *share, int columns)
{
    char text[32] = "-";
    if (json_is_number(share)) snprintf(text, sizeof text, "%.1f%%", 100 * json_number_value(share));
    ag_cell_add(out, text, -columns);
}

static void fit(ag_str *out, const json_t *json)
{
    const json_t *folds = json_object_get(json, "fold_temperatures"), *gold = json_object_get(json, "gold");
    json_t *bias = json_object_get(json, "bias"), *value;
    const char *tier;
    double least = 0, most = 0;
    ag_str_addf(out, "%.0f pairs in %.0f query groups\n\ntemperature  %.3f", number_of(json, "pairs"),
                number_of(json, "groups"), number_of(json, "temperature"));
    for (size_t f = 0; f < json_array_size(folds); f++) {
        double t = json_number_value(json_array_get(folds, f));
        least = f == 0 || t < least ? t : least;
        most = f == 0 || t > most ? t : most;
    }
    if (json_array_size(folds))
        ag_str_addf(out, "  (%.3f to %.3f with one part of the queries left out)", least, most);
    ag_str_add(out, "\n\ntier                       pairs    bias\n");
    json_object_foreach(bias, tier, value)
    {
        ag_cell_add(out, tier, NAME);
        ag_cell_number(out, json_object_get(gold, tier), 10);
        ag_str_addf(out, "%+8.3f\n", json_number_value(value));
    }
}

static void figures(ag_str *out, const json_t *json)
{
    static const char *const columns[] = {"before", "after", "cross_fitted"};
    ag_str_add(out, "\n");
    ag_cell_add(out, "", NAME);
    ag_str_add(out, "  before   after  unseen    change\n");
    json_t *value;
    const char *name;
    json_t *before = json_object_get(json, "before");
    json_object_foreach(before, name, value)
    {
        const ag_metric *metric = ag_metric_find(name);
        const json_t *change = json_object_get(json_object_get(json, "change"), name);
        ag_cell_add(out, metric ? metric->title : name, NAME);
        for (int c = 0; c < 3; c++) {
            const json_t *estimate = json_object_get(json_object_get(json, columns[c]), name);
            ag_cell_number(out, json_object_get(estimate, "value"), 8);
        }
        ag_cell_number(out, json_object_get(change, "value"), 10);
        ag_cell_interval(out, change);
        ag_str_addc(out, '\n');
    }
    const json_t *soft = json_object_get(json, "cross_entropy");
    if (json_is_object(soft)) {
        ag_cell_add(out, "Loss of shares", NAME);
        for (int c = 0; c < 3; c++) ag_cell_number(out, json_object_get(soft, columns[c]), 8);
        ag_str_addc(out, '\n');
    }
    ag_str_addf(
        out,
        "\nunseen: each pair by a fit on the other queries (%.0f parts); change: unseen against before, "
        "with 95 %% interval\n",
        number_of(json, "folds"));
}

static void decisions(ag_str *out, const json_t *rows)
{
    static const char *const keys[] = {"accuracy", "macro_f1", "kappa", "acc2"};
    size_t i;
    json_t *row;
    ag_str_add(out, "\n");
    ag_cell_add(out, "decision", NAME);
    ag_str_add(out, "accuracy macro F1   kappa   acc@2  good: said precision  recall\n");
    json_array_foreach(rows, i, row)
    {
        ag_cell_add(out, json_string_value(json_object_get(row, "decision")), NAME);
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            ag_cell_number(out, json_object_get(row, keys[k]), 8);
        percent(out, json_object_get(row, "good"), 12);
        percent(out, json_object_get(row, "precision"), 10);
        percent(out, json_object_get(row, "recall"), 8);
        ag_str_add(out, json_is_true(json_object_get(row, "stored")) ? "  stored\n" : "\n");
    }
}

static void curve(ag_str *out, const json_t *rows)
{
    size_t i;
    json_t *row;
    if (json_array_size(rows) == 0) return;
    ag_str_add(out, "\nthreshold   good: said  precision   recall  accuracy\n");
    json_array_foreach(rows, i, row)
    {
        ag_str_addf(out, "%9.3g", number_of(row, "threshold"));
        percent(out, json_object_get(row, "good"), 13);
        percent(out, json_object_get(row, "precision"), 11);
        percent(out, json_object_get(row, "recall"), 9);
        ag_cell_number(out, json_object_get(row, "accuracy"), 10);
        ag_str_addc(out, '\n');
    }
}

ag_status ag_calibration_table(ag_str *out, const json_t *json, ag_error *err)
{
    fit(out, json);
    figures(out, json);
    decisions(out, json_object_get(json, "decisions"));
    curve(out, json_object_get(json, "curve"));
    return ag_str_ok(out, err);
}
