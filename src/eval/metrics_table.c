/* metrics_table.c: the metrics on a terminal: at most 100 columns, whatever the names in them are. */
#include <math.h>
#include <string.h>

#include "eval/cell.h"
#include "eval/tally.h"

enum { COLUMNS = 100, MAX_CONFUSION = 12 };

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static const json_t *value_of(const json_t *metrics, const char *name)
{
    return json_object_get(json_object_get(metrics, name), "value");
}

/* --- parts ---------------------------------------------------------------------------------------------- */

static void overall_table(ag_str *out, const json_t *metrics)
{
    const json_t *overall = json_object_get(metrics, "overall");
    ag_cell_add(out, "", 30);
    ag_str_add(out, "   value     95 % interval  detectable       n  groups\n");
    for (const ag_metric *metric = ag_metrics; metric->name; metric++) {
        const json_t *estimate = json_object_get(overall, metric->name);
        if (!estimate) continue;
        ag_cell_add(out, metric->title, 28);
        ag_str_add(out, metric->higher_is_better ? "  " : " \u2193");
        ag_cell_number(out, json_object_get(estimate, "value"), 8);
        ag_cell_interval(out, estimate);
        ag_cell_number(out, json_object_get(estimate, "detectable"), 12);
        ag_cell_number(out, json_object_get(estimate, "records"), 8);
        ag_cell_number(out, json_object_get(estimate, "groups"), 8);
        ag_str_addc(out, '\n');
    }
}

static void tier_table(ag_str *out, const json_t *metrics)
{
    size_t k;
    json_t *tier;
    ag_str_add(
        out,
        "\nTier                           gold  predicted  precision  recall      F1     95 % interval\n");
    json_array_foreach(json_object_get(metrics, "tiers"), k, tier)
    {
        const json_t *f1 = json_object_get(tier, "f1");
        ag_cell_add(out, text_of(tier, "id"), 6);
        ag_str_addc(out, ' ');
        ag_cell_add(out, text_of(tier, "name"), 20);
        ag_cell_number(out, json_object_get(tier, "gold"), 8);
        ag_cell_number(out, json_object_get(tier, "predicted"), 11);
        ag_cell_number(out, value_of(tier, "precision"), 11);
        ag_cell_number(out, value_of(tier, "recall"), 8);
        ag_cell_number(out, json_object_get(f1, "value"), 8);
        ag_cell_interval(out, f1);
        ag_str_addc(out, '\n');
    }
}

static void confusion_table(ag_str *out, const json_t *metrics)
{
    const json_t *tiers = json_object_get(metrics, "tiers"), *rows = json_object_get(metrics, "confusion");
    size_t n = json_array_size(rows);
    if (n == 0 || n > MAX_CONFUSION) return;
    ag_str_add(out, "\nGold \\ predicted  ");
    for (size_t k = 0; k < n; k++) ag_cell_add(out, text_of(json_array_get(tiers, k), "id"), -6);
    ag_str_addc(out, '\n');
    for (size_t g = 0; g < n; g++) {
        ag_cell_add(out, text_of(json_array_get(tiers, g), "id"), 18);
        for (size_t p = 0; p < n; p++) ag_cell_number(out, json_array_get(json_array_get(rows, g), p), 6);
        ag_str_addc(out, '\n');
    }
}

static void criteria_table(ag_str *out, const json_t *metrics)
{
    size_t c;
    json_t *criterion;
    bool any = false;
    json_array_foreach(json_object_get(metrics, "criteria"), c, criterion)
    {
        const json_t *estimate = json_object_get(criterion, "accuracy");
        if (!json_is_number(json_object_get(estimate, "value"))) continue;
        if (!any) ag_str_add(out, "\nCriterion                     verdicts  accuracy     95 % interval\n");
        any = true;
        ag_cell_add(out, text_of(criterion, "id"), 10);
        ag_str_addc(out, ' ');
        ag_cell_add(out, text_of(criterion, "name"), 17);
        ag_cell_number(out, json_object_get(estimate, "records"), 10);
        ag_cell_number(out, json_object_get(estimate, "value"), 10);
        ag_cell_interval(out, estimate);
        ag_str_addc(out, '\n');
    }
}

/* The columns that slices and raters share. */
static const char *const short_metrics[] = {"accuracy", "macro_f1", "kappa", "acc2", "ndcg"};
enum { SHORT_COUNT = sizeof short_metrics / sizeof short_metrics[0] };

static void short_row(ag_str *out, const json_t *metrics)
{
    for (int m = 0; m < SHORT_COUNT; m++) ag_cell_number(out, value_of(metrics, short_metrics[m]), 9);
}

static void rater_table(ag_str *out, const json_t *metrics)
{
    size_t i;
    json_t *row;
    const json_t *rows = json_object_get(json_object_get(metrics, "raters"), "rows");
    if (json_array_size(rows) == 0) return;
    ag_str_add(out,
               "\nRaters: taken as gold | judged         n accuracy macro F1    kappa    Acc@2  NDCG@10\n");
    json_array_foreach(rows, i, row)
    {
        const json_t *values = json_object_get(row, "metrics");
        ag_cell_add(out, text_of(row, "gold"), 16);
        ag_str_add(out, " | ");
        ag_cell_add(out, text_of(row, "judge"), 16);
        ag_cell_number(out, json_object_get(json_object_get(values, "accuracy"), "records"), 6);
        short_row(out, values);
        ag_str_addc(out, '\n');
    }
}

static void slice_tables(ag_str *out, const json_t *metrics)
{
    size_t i, j;
    json_t *slice, *value;
    json_array_foreach(json_object_get(metrics, "slices"), i, slice)
    {
        if (ag_slice_common(metrics, slice)) continue;
        ag_str_addc(out, '\n');
        ag_cell_add(out, text_of(slice, "name"), 30);
        ag_str_add(out, "       n  groups accuracy macro F1    kappa    Acc@2  NDCG@10\n");
        json_array_foreach(json_object_get(slice, "values"), j, value)
        {
            ag_str_add(out, "  ");
            ag_cell_add(out, text_of(value, "value"), 28);
            ag_cell_number(out, json_object_get(value, "records"), 8);
            ag_cell_number(out, json_object_get(value, "groups"), 8);
            short_row(out, json_object_get(value, "metrics"));
            ag_str_addc(out, '\n');
        }
        json_int_t left = json_integer_value(json_object_get(slice, "left_out"));
        if (left) ag_str_addf(out, "  %" JSON_INTEGER_FORMAT " more values with fewer pairs\n", left);
    }
    const char *title = "\nAll pairs\n";
    json_array_foreach(json_object_get(metrics, "slices"), i, slice)
    {
        if (!ag_slice_common(metrics, slice)) continue;
        ag_str_addf(out, "%s  ", title);
        ag_cell_add(out, text_of(slice, "name"), 28);
        ag_str_addc(out, ' ');
        ag_cell_add(out, text_of(json_array_get(json_object_get(slice, "values"), 0), "value"), 60);
        ag_str_addc(out, '\n');
        title = "";
    }
}

static json_int_t count_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void foot(ag_str *out, const json_t *metrics)
{
    const json_t *queries = json_object_get(metrics, "queries");
    json_int_t ranked = count_of(queries, "ranked"), draws = count_of(metrics, "draws");
    ag_str_addc(out, '\n');
    if (ranked) {
        ag_str_addf(out,
                    "NDCG over %" JSON_INTEGER_FORMAT " queries, %" JSON_INTEGER_FORMAT
                    " of them informative (gains differ); random order ",
                    ranked, count_of(queries, "informative"));
        ag_cell_number(out, json_object_get(queries, "ndcg_random"), 5);
        ag_str_addf(out, ";\n%" JSON_INTEGER_FORMAT " without a relevant item left out. ",
                    count_of(queries, "without_relevant"));
    }
    if (draws)
        ag_str_addf(out, "Intervals: %" JSON_INTEGER_FORMAT " bootstrap draws of query groups.", draws);
    ag_str_add(out, "\n\u2193 lower is better. Detectable: smallest difference that a paired test would find "
                    "(power 0.8, 0.05).\n");
}

ag_status ag_metrics_table(ag_str *out, const json_t *metrics, ag_error *err)
{
    const json_t *book = json_object_get(metrics, "rulebook");
    ag_cell_add(out, text_of(book, "name"),
                ag_cell_columns(text_of(book, "name")) < 40 ? ag_cell_columns(text_of(book, "name")) : 40);
    ag_str_addf(out,
                ": %" JSON_INTEGER_FORMAT " pairs, %" JSON_INTEGER_FORMAT " with gold, %" JSON_INTEGER_FORMAT
                " query groups\n\n",
                count_of(metrics, "records"), count_of(metrics, "gold"), count_of(metrics, "groups"));
    overall_table(out, metrics);
    ag_against_table(out, json_object_get(metrics, "against"));
    tier_table(out, metrics);
    criteria_table(out, metrics);
    confusion_table(out, metrics);
    rater_table(out, metrics);
    slice_tables(out, metrics);
    foot(out, metrics);
    return ag_str_ok(out, err);
}
