/* plan.c: half-widths by number of queries, from the design that each number would have; see plan.h. */
#include "sxs/plan.h"

#include "eval/cell.h"
#include "eval/resample.h"

static const double z95 = 1.959963984540054;

ag_status ag_sxs_plan_size(size_t *n, const ag_sxs_log *log, const ag_sxs_wish *wish, ag_error *err)
{
    if (wish->n > 0) {
        ag_sxs_design design;
        ag_status status = ag_sxs_design_make(&design, log->units, log->count, log->strata_count,
                                              (size_t)wish->n, err);
        ag_sxs_design_free(&design);
        *n = (size_t)wish->n;
        return status;
    }
    return ag_sxs_design_size(n, log->units, log->count, log->strata_count, wish->precision, wish->sd,
                              wish->judges, err);
}

/* One row of what n buys. */
static ag_status add_row(json_t *rows, const ag_sxs_log *log, const ag_sxs_wish *wish, size_t n,
                         ag_error *err)
{
    ag_sxs_design design;
    ag_status status = ag_sxs_design_make(&design, log->units, log->count, log->strata_count, n, err);
    double half = status == AG_OK ? ag_sxs_half_width(&design, wish->sd, wish->judges) : 0;
    ag_sxs_design_free(&design);
    AG_TRY(status);
    json_t *row = json_pack("{s:I, s:I, s:f, s:f}", "n", (json_int_t)n, "answers",
                            (json_int_t)n * wish->judges, "half_width", half, "detectable",
                            half / z95 * ag_detectable_errors);
    return json_array_append_new(rows, row) == 0 ? AG_OK : ag_fail_memory(err, "a plan");
}

static ag_status put_rows(json_t *json, const ag_sxs_log *log, const ag_sxs_wish *wish, size_t wanted,
                          ag_error *err)
{
    size_t least, most, last = 0;
    json_t *rows = json_array();
    if (!ag_json_set(json, "rows", rows)) return ag_fail_memory(err, "a plan");
    ag_sxs_design_bounds(&least, &most, log->units, log->count, log->strata_count);
    for (size_t step = 25; last < most; step *= 2) {
        size_t n = step < least ? least : step > most ? most : step;
        if (wanted > last && wanted < n) AG_TRY(add_row(rows, log, wish, wanted, err));
        if (n > last) AG_TRY(add_row(rows, log, wish, n, err));
        last = n;
    }
    return AG_OK;
}

static ag_status put_strata(json_t *json, const ag_sxs_log *log, double all, ag_error *err)
{
    json_t *list = json_array();
    if (!ag_json_set(json, "strata", list)) return ag_fail_memory(err, "a plan");
    for (size_t h = 0; h < log->strata_count; h++) {
        double traffic = 0, differ_traffic = 0;
        json_int_t queries = 0, differ = 0;
        for (size_t i = 0; i < log->count; i++) {
            const ag_sxs_unit *u = &log->units[i];
            if (u->stratum != h) continue;
            queries++;
            traffic += u->traffic;
            differ += !u->same;
            if (!u->same) differ_traffic += u->traffic;
        }
        json_t *row = json_pack("{s:s, s:I, s:f, s:I, s:f}", "stratum", log->strata[h], "queries", queries,
                                "traffic", traffic / all, "differ", differ, "differ_traffic",
                                differ_traffic / all);
        if (json_array_append_new(list, row) != 0) return ag_fail_memory(err, "a plan");
    }
    return AG_OK;
}

ag_status ag_sxs_plan_json(json_t **json, const ag_sxs_log *log, const ag_sxs_wish *wish, ag_error *err)
{
    double all = 0, same_traffic = 0;
    json_int_t same = 0;
    size_t wanted = 0;
    *json = NULL;
    for (size_t i = 0; i < log->count; i++) {
        all += log->units[i].traffic;
        same += log->units[i].same;
        if (log->units[i].same) same_traffic += log->units[i].traffic;
    }
    if (wish->n > 0 || wish->precision > 0) AG_TRY(ag_sxs_plan_size(&wanted, log, wish, err));
    json_t *out = json_pack("{s:i, s:I, s:I, s:f, s:I, s:{s:I, s:I}, s:{s:I, s:I}, s:f, s:I, s:f, s:o}", "k",
                            log->k, "queries", (json_int_t)log->count, "same", same, "same_traffic",
                            same_traffic / all, "differ", (json_int_t)log->count - same, "missing", "old",
                            (json_int_t)log->missing[0], "new", (json_int_t)log->missing[1], "unknown", "old",
                            (json_int_t)log->unknown[0], "new", (json_int_t)log->unknown[1], "sd", wish->sd,
                            "judges", (json_int_t)wish->judges, "precision", wish->precision, "wanted",
                            wanted ? json_integer((json_int_t)wanted) : json_null());
    ag_status status = out ? put_strata(out, log, all, err) : ag_fail_memory(err, "a plan");
    if (status == AG_OK) status = put_rows(out, log, wish, wanted, err);
    if (status != AG_OK) json_decref(out);
    *json = status == AG_OK ? out : NULL;
    return status;
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

ag_status ag_sxs_plan_table(ag_str *out, const json_t *json, ag_error *err)
{
    size_t i;
    json_t *row;
    double wanted = number_of(json, "wanted");
    ag_str_addf(out, "%.0f queries; the top %.0f are equal for %.0f of them, with %.1f%% of the traffic\n\n",
                number_of(json, "queries"), number_of(json, "k"), number_of(json, "same"),
                100 * number_of(json, "same_traffic"));
    ag_str_add(out, "stratum                   queries  traffic   differ  their traffic\n");
    json_array_foreach(json_object_get(json, "strata"), i, row)
    {
        ag_cell_add(out, json_string_value(json_object_get(row, "stratum")), 24);
        ag_str_addf(out, "%9.0f%8.1f%%%9.0f%14.1f%%\n", number_of(row, "queries"),
                    100 * number_of(row, "traffic"), number_of(row, "differ"),
                    100 * number_of(row, "differ_traffic"));
    }
    ag_str_addf(out, "\nqueries judged   answers by %.0f   net preference within   found in 4 of 5 studies\n",
                number_of(json, "judges"));
    json_array_foreach(json_object_get(json, "rows"), i, row)
    {
        ag_str_addf(out, "%14.0f%15.0f%16s%5.1f%%%25.1f%%%s\n", number_of(row, "n"),
                    number_of(row, "answers"), "+-", 100 * number_of(row, "half_width"),
                    100 * number_of(row, "detectable"),
                    wanted > 0 && number_of(row, "n") == wanted ? "  <- wanted" : "");
    }
    ag_str_addf(out, "\nStandard deviation of an answer's value: %.3g%s.\n", number_of(json, "sd"),
                number_of(json, "sd") >= 1 ? ", the most there can be" : "");
    return ag_str_ok(out, err);
}
