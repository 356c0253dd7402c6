/* contest_json.c: compare.json: everything that a contest measured. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "eval/contest_parts.h"
#include "eval/tally.h"

const char *const ag_contest_metrics[] = {"macro_f1", "self_consistency", "adherence", "compliant",
                                          "format",   "accuracy",         NULL};
const char *const ag_contest_parts[AG_CONTEST_PARTS] = {"slice", "rest", "all"};

static ag_status no_memory(ag_error *err)
{
    return ag_fail_memory(err, "comparison as JSON");
}

json_t *ag_range_json(ag_range r)
{
    return json_pack("{s:o, s:o, s:o}", "mean", ag_real_json(r.mean), "low", ag_real_json(r.low), "high",
                     ag_real_json(r.high));
}

/* A range with the value of each seed. */
static json_t *values_json(const double *values, size_t n)
{
    json_t *json = ag_range_json(ag_range_of(values, n)), *list = json_array();
    bool ok = json && list;
    for (size_t i = 0; i < n && ok; i++) ok = json_array_append_new(list, ag_real_json(values[i])) == 0;
    ok = ok && json_object_set(json, "values", list) == 0;
    json_decref(list);
    if (ok) return json;
    json_decref(json);
    return NULL;
}

/* --- reading -------------------------------------------------------------------------------------------------- */

const json_t *ag_json_path(const json_t *object, ...)
{
    va_list keys;
    const char *key;
    va_start(keys, object);
    while (object && (key = va_arg(keys, const char *))) object = json_object_get(object, key);
    va_end(keys);
    return object;
}

double ag_json_real(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

const json_t *ag_contest_row_of(const json_t *rows, const char *name)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        const char *own = json_string_value(json_object_get(row, "name"));
        if (own && strcmp(own, name) == 0) return row;
    }
    return NULL;
}

double ag_contest_best(const json_t *rows, const char *group, const char *key, bool higher)
{
    double low = INFINITY, high = -INFINITY;
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        double mean = ag_json_real(ag_json_path(row, group, key, NULL), "mean");
        if (isnan(mean)) continue;
        low = fmin(low, mean);
        high = fmax(high, mean);
    }
    return high > low ? higher ? high : low : NAN;
}

void ag_contest_p(char text[16], double p)
{
    snprintf(text, 16, p < 0.0005 ? "<.001" : "%.3f", p);
}

/* --- rows ------------------------------------------------------------------------------------------------------- */

static ag_status metrics_json(json_t *row, const ag_contest *c, const ag_contest_row *r, ag_error *err)
{
    enum { MOST = 16 };
    const ag_metric *metrics[MOST];
    size_t n = 0, seeds = r->seed_count;
    for (const char *const *name = ag_contest_metrics; *name && n < MOST; name++) {
        metrics[n] = ag_metric_find(*name);
        n += metrics[n] != c->metric;
    }
    json_t *json = json_object();
    double *values = ag_calloc(n * seeds, sizeof *values);
    ag_status status = json && values ? AG_OK : no_memory(err);
    if (status == AG_OK)
        status = ag_contest_values(values, r, metrics, n, (ag_pick){NULL, r->seeds[0].count}, err);
    for (size_t m = 0; m < n && status == AG_OK; m++)
        if (!ag_json_set(json, metrics[m]->name, values_json(values + m * seeds, seeds)))
            status = no_memory(err);
    if (status == AG_OK && r->copied && !ag_json_set(json, "copy_rate", values_json(r->copied, seeds)))
        status = no_memory(err);
    if (status == AG_OK && json_object_set(row, "metrics", json)) status = no_memory(err);
    json_decref(json);
    ag_free(values);
    return status;
}

/* What training took: the same in each seed or not. */
static bool tokens_json(json_t *row, const ag_contest_row *r, double *values)
{
    json_t *tokens = json_object();
    bool ok = tokens != NULL;
    for (size_t s = 0; s < r->seed_count; s++) values[s] = r->dynamics[s].sampled;
    ok = ok && ag_json_set(tokens, "sampled", ag_range_json(ag_range_of(values, r->seed_count)));
    for (size_t s = 0; s < r->seed_count; s++)
        values[s] = r->dynamics[s].spent - (isnan(r->dynamics[s].sampled) ? 0 : r->dynamics[s].sampled);
    ok = ok && ag_json_set(tokens, "trained", ag_range_json(ag_range_of(values, r->seed_count)));
    for (size_t s = 0; s < r->seed_count; s++) values[s] = r->dynamics[s].spent;
    ok = ok && ag_json_set(tokens, "spent", ag_range_json(ag_range_of(values, r->seed_count)));
    ok = ok && json_object_set(row, "tokens", tokens) == 0;
    json_decref(tokens);
    return ok;
}

static ag_status row_json(json_t *rows, const ag_contest *c, const ag_contest_row *r, ag_error *err)
{
    json_t *row = json_object(), *seeds = json_array();
    double *values = ag_calloc(r->seed_count, sizeof *values);
    bool ok = row && seeds && values && ag_json_set(row, "name", ag_text_json(r->name)) &&
              ag_json_set(row, "method", ag_text_json(r->method)) &&
              ag_json_set(row, "settings", ag_text_json(r->settings));
    for (size_t s = 0; s < r->seed_count && ok && r->numbers; s++)
        ok = json_array_append_new(seeds, json_integer(r->numbers[s])) == 0;
    ok = ok && json_object_set(row, "seeds", seeds) == 0 && ag_json_set(row, "tested", json_object());
    ag_status status = ok ? metrics_json(row, c, r, err) : no_memory(err);
    if (status == AG_OK && r->dynamics) {
        ok = tokens_json(row, r, values) && ag_json_set(row, "stability", ag_contest_stability(r)) &&
             ag_json_set(row, "curve", ag_contest_curve(r));
        if (!ok) status = no_memory(err);
    }
    if (status == AG_OK && json_array_append(rows, row)) status = no_memory(err);
    json_decref(row);
    json_decref(seeds);
    ag_free(values);
    return status;
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static json_t *difference_json(const char *name, const ag_standing *s)
{
    const ag_difference *d = &s->difference;
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", ag_text_json(name), "value",
                     ag_real_json(d->value), "low", ag_real_json(d->low), "high", ag_real_json(d->high), "p",
                     ag_real_json(d->p), "holm", ag_real_json(s->holm), "detectable",
                     ag_real_json(d->detectable));
}

/* The standings go to two places: a row's own mean to the row, its difference to the test. largest: of the differences that can be
 * detected; where all rows say the same of every group there is none. */
static bool standings_json(json_t *rows, json_t *list, double *largest, const ag_contest *c,
                           const ag_standing *standings, const char *part)
{
    bool ok = true;
    for (size_t r = 0; r < c->row_count && ok; r++) {
        const ag_standing *s = &standings[r];
        json_t *own = values_json(s->values, c->rows[r].seed_count),
               *tested = json_object_get(json_array_get(rows, r), "tested");
        ok = own &&
             ag_json_set(own, "interval", json_pack("[o, o]", ag_real_json(s->low), ag_real_json(s->high)));
        ok = ok && json_object_set(tested, part, own) == 0;
        json_decref(own);
        if (r == c->against || !ok) continue;
        ok = json_array_append_new(list, difference_json(c->rows[r].name, s)) == 0;
        if (isfinite(s->difference.detectable)) *largest = fmax(*largest, s->difference.detectable);
    }
    return ok;
}

static size_t count_groups(const ag_records *records, ag_pick pick, ag_status *status, ag_error *err)
{
    ag_groups groups;
    *status = ag_groups_collect(&groups, records, pick.pick, pick.count, err);
    if (*status != AG_OK) return 0;
    size_t n = groups.count;
    ag_groups_free(&groups);
    return n;
}

static ag_status test_json(json_t *rows, json_t *tests, const ag_contest *c, const char *part, ag_pick pick,
                           ag_error *err)
{
    ag_standing *standings = NULL;
    json_t *list = json_array();
    double largest = -INFINITY;
    ag_status status = list ? AG_OK : no_memory(err);
    size_t groups = status == AG_OK ? count_groups(&c->rows[0].seeds[0], pick, &status, err) : 0;
    if (status == AG_OK) status = ag_contest_test(&standings, c, pick, err);
    if (status == AG_OK && !standings_json(rows, list, &largest, c, standings, part)) status = no_memory(err);
    if (status == AG_OK) {
        json_t *test = json_pack("{s:s, s:I, s:I, s:o, s:O}", "on", part, "records", (json_int_t)pick.count,
                                 "groups", (json_int_t)groups, "detectable",
                                 ag_real_json(largest > 0 ? largest : NAN), "rows", list);
        if (json_array_append_new(tests, test)) status = no_memory(err);
    }
    json_decref(list);
    ag_standings_free(standings, c->row_count);
    return status;
}

static ag_status tests_json(json_t *all, json_t *rows, const ag_contest *c, ag_error *err)
{
    const ag_records *records = &c->rows[0].seeds[0];
    json_t *tests = json_array();
    ag_status status = tests ? AG_OK : no_memory(err);
    for (int i = 0; i < AG_CONTEST_PARTS && status == AG_OK; i++) {
        bool whole = strcmp(ag_contest_parts[i], "all") == 0,
             slice = strcmp(ag_contest_parts[i], "slice") == 0;
        ag_pick pick = {NULL, records->count};
        if (!whole && !c->slice) continue;
        if (!whole) status = ag_slice_pick(&pick, records, c->slice, slice, err);
        if (status == AG_OK) status = test_json(rows, tests, c, ag_contest_parts[i], pick, err);
        ag_free(pick.pick);
    }
    if (status == AG_OK && json_object_set(all, "tests", tests)) status = no_memory(err);
    json_decref(tests);
    return status;
}

/* --- the whole ------------------------------------------------------------------------------------------------------ */

static json_t *head_json(const ag_contest *c)
{
    const ag_records *records = &c->rows[0].seeds[0];
    const ag_book *book = records->book;
    return json_pack("{s:{s:o, s:o, s:s}, s:I, s:{s:s, s:s, s:b}, s:o, s:o, s:i, s:I}", "rulebook", "name",
                     ag_text_json(book->name), "version", ag_text_json(book->version), "digest", book->digest,
                     "records", (json_int_t)records->count, "metric", "name", c->metric->name, "title",
                     c->metric->title, "higher_is_better", c->metric->higher_is_better, "slice",
                     ag_text_json(c->slice), "against", ag_text_json(c->rows[c->against].name), "draws",
                     c->draws, "bootstrap_seed", (json_int_t)(c->seed & INT64_MAX));
}

ag_status ag_contest_json(json_t **json, const ag_contest *c, ag_error *err)
{
    json_t *all = NULL, *rows = json_array(), *slices = NULL;
    *json = NULL;
    ag_status status = ag_contest_check(c, err);
    if (status == AG_OK) all = head_json(c);
    if (status == AG_OK && (!all || !rows)) status = no_memory(err);
    for (size_t r = 0; r < c->row_count && status == AG_OK; r++) status = row_json(rows, c, &c->rows[r], err);
    if (status == AG_OK && json_object_set(all, "rows", rows)) status = no_memory(err);
    if (status == AG_OK) status = tests_json(all, rows, c, err);
    if (status == AG_OK) status = ag_contest_slices(&slices, c, err);
    if (status == AG_OK && !ag_json_set(all, "slices", slices)) status = no_memory(err);
    json_decref(rows);
    if (status != AG_OK)
        json_decref(all);
    else
        *json = all;
    return status;
}

ag_status ag_contest_seconds(json_t **json, const ag_contest *c, ag_error *err)
{
    json_t *all = json_object();
    bool ok = all != NULL;
    for (size_t r = 0; r < c->row_count && ok; r++) {
        const ag_contest_row *row = &c->rows[r];
        double *values = row->dynamics ? ag_calloc(row->seed_count, sizeof *values) : NULL;
        if (!row->dynamics) continue;
        for (size_t s = 0; values && s < row->seed_count; s++) values[s] = row->dynamics[s].seconds;
        ok = values && ag_json_set(all, row->name, ag_range_json(ag_range_of(values, row->seed_count)));
        ag_free(values);
    }
    if (ok) {
        *json = all;
        return AG_OK;
    }
    json_decref(all);
    *json = NULL;
    return no_memory(err);
}
