/* contest_slices.c: a contest by query type, deciding rule and every other slice; and by step: stability and learning curves. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "eval/contest_parts.h"
#include "eval/tally.h"

enum { MAX_VALUES = 50 }; /* of one slice */

/* --- slices -------------------------------------------------------------------------------------------------- */

typedef struct entry {
    const char *name, *value;
    size_t pair;
} entry;

static int by_value(const void *pa, const void *pb)
{
    const entry *a = pa, *b = pb;
    int order = strcmp(a->name, b->name);
    if (order == 0) order = strcmp(a->value, b->value);
    return order ? order : (a->pair > b->pair) - (a->pair < b->pair);
}

/* Entries of one name and value. */
typedef struct run {
    const entry *first;
    size_t n;
} run;

/* Names in order; of a name the values with most pairs first. */
static int by_size(const void *pa, const void *pb)
{
    const run *a = pa, *b = pb;
    int order = strcmp(a->first->name, b->first->name);
    if (order) return order;
    if (a->n != b->n) return a->n < b->n ? 1 : -1;
    return strcmp(a->first->value, b->first->value);
}

/* Every slice of every pair, once, sorted. *list: ag_free. */
static ag_status list_entries(entry **list, size_t *count, const ag_records *records, ag_error *err)
{
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < records->count; i++) n += (size_t)records->items[i].slice_count + 1;
    entry *e = *list = ag_calloc(n, sizeof *e);
    if (!e) return ag_fail_memory(err, "slices");
    n = 0;
    for (size_t i = 0; i < records->count; i++) {
        const ag_record *r = &records->items[i];
        if (r->gold_rule >= 0) e[n++] = (entry){"rule", records->book->rules[r->gold_rule].id, i};
        for (int s = 0; s < r->slice_count; s++)
            if (r->slice_names[s] && r->slice_values[s])
                e[n++] = (entry){r->slice_names[s], r->slice_values[s], i};
    }
    qsort(e, n, sizeof *e, by_value);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || by_value(&e[kept - 1], &e[i]) != 0) e[kept++] = e[i];
    *count = kept;
    return AG_OK;
}

/* {"value", "records", "rows": {name: range}} */
static ag_status value_json(json_t *values, const ag_contest *c, const run *at, size_t *scratch,
                            ag_error *err)
{
    json_t *rows = json_object();
    ag_pick pick = {scratch, at->n};
    ag_status status = rows ? AG_OK : ag_fail_memory(err, "slices");
    for (size_t i = 0; i < at->n; i++) scratch[i] = at->first[i].pair;
    for (size_t r = 0; r < c->row_count && status == AG_OK; r++) {
        const ag_contest_row *row = &c->rows[r];
        double *by_seed = ag_calloc(row->seed_count, sizeof *by_seed);
        status = by_seed ? ag_contest_values(by_seed, row, &c->metric, 1, pick, err)
                         : ag_fail_memory(err, "slices");
        if (status == AG_OK &&
            !ag_json_set(rows, row->name, ag_range_json(ag_range_of(by_seed, row->seed_count))))
            status = ag_fail_memory(err, "slices");
        ag_free(by_seed);
    }
    if (status == AG_OK &&
        json_array_append_new(values, json_pack("{s:o, s:I, s:O}", "value", ag_text_json(at->first->value),
                                                "records", (json_int_t)at->n, "rows", rows)))
        status = ag_fail_memory(err, "slices");
    json_decref(rows);
    return status;
}

static ag_status runs_json(json_t *slices, const ag_contest *c, const run *runs, size_t count,
                           size_t *scratch, ag_error *err)
{
    ag_status status = AG_OK;
    for (size_t from = 0, to; from < count && status == AG_OK; from = to) {
        json_t *values = json_array();
        for (to = from; to < count && strcmp(runs[to].first->name, runs[from].first->name) == 0; to++)
            if (to - from < MAX_VALUES && status == AG_OK && values)
                status = value_json(values, c, &runs[to], scratch, err);
        size_t shown = to - from < MAX_VALUES ? to - from : MAX_VALUES;
        if (status == AG_OK &&
            json_array_append_new(slices,
                                  json_pack("{s:o, s:O?, s:I}", "name", ag_text_json(runs[from].first->name),
                                            "values", values, "left_out", (json_int_t)(to - from - shown))))
            status = ag_fail_memory(err, "slices");
        json_decref(values);
    }
    return status;
}

ag_status ag_contest_slices(json_t **json, const ag_contest *c, ag_error *err)
{
    const ag_records *records = &c->rows[0].seeds[0];
    entry *entries = NULL;
    size_t count = 0, n = 0;
    json_t *slices = json_array();
    ag_status status = list_entries(&entries, &count, records, err);
    run *runs = ag_calloc(count, sizeof *runs);
    size_t *scratch = ag_calloc(records->count, sizeof *scratch);
    if (status == AG_OK && (!runs || !scratch || !slices)) status = ag_fail_memory(err, "slices");
    for (size_t i = 0; i < count && status == AG_OK; i++) {
        bool same = i > 0 && strcmp(entries[i].name, entries[i - 1].name) == 0 &&
                    strcmp(entries[i].value, entries[i - 1].value) == 0;
        if (!same) runs[n++].first = &entries[i];
        runs[n - 1].n++;
    }
    if (status == AG_OK) {
        qsort(runs, n, sizeof *runs, by_size);
        status = runs_json(slices, c, runs, n, scratch, err);
    }
    ag_free(entries);
    ag_free(runs);
    ag_free(scratch);
    if (status != AG_OK) {
        json_decref(slices);
        slices = NULL;
    }
    *json = slices;
    return status;
}

/* --- by step ------------------------------------------------------------------------------------------------------ */

json_t *ag_contest_stability(const ag_contest_row *row)
{
    static const struct {
        const char *key;
        size_t offset;
    } numbers[] = {{"reward_sd", offsetof(ag_dynamics, reward_sd)},
                   {"kl", offsetof(ag_dynamics, kl)},
                   {"grad_norm", offsetof(ag_dynamics, grad_norm)},
                   {"dead_groups", offsetof(ag_dynamics, dead_groups)},
                   {"guided_share", offsetof(ag_dynamics, guided_share)}};
    json_t *json = json_object();
    double *values = ag_calloc(row->seed_count, sizeof *values);
    bool ok = json && values;
    json_int_t collapsed = 0, known = 0;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && ok; i++) {
        for (size_t s = 0; s < row->seed_count; s++)
            values[s] = *(const double *)(const void *)((const char *)&row->dynamics[s] + numbers[i].offset);
        ok = ag_json_set(json, numbers[i].key, ag_range_json(ag_range_of(values, row->seed_count)));
    }
    for (size_t s = 0; s < row->seed_count; s++) {
        int collapse = ag_dynamics_collapsed(&row->dynamics[s]);
        known += collapse >= 0;
        collapsed += collapse > 0;
    }
    ok = ok && ag_json_set(json, "collapsed", known ? json_integer(collapsed) : json_null()) &&
         ag_json_set(json, "validated", json_integer(known));
    ag_free(values);
    if (ok) return json;
    json_decref(json);
    return NULL;
}

static const ag_dynamics_point *point_at(const ag_dynamics *d, double step)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->points[i].step == step) return &d->points[i];
    return NULL;
}

/* The point of each seed that belongs to point i of the first: of the same step; the last ones belong together, for runs that end by
 * what they spent end at steps of their own. False when a seed lacks it. */
static bool points_at(const ag_dynamics_point **points, const ag_contest_row *row, size_t i)
{
    const ag_dynamics *first = &row->dynamics[0];
    for (size_t s = 0; s < row->seed_count; s++) {
        const ag_dynamics *d = &row->dynamics[s];
        bool last = i + 1 == first->count;
        points[s] = last && d->count ? &d->points[d->count - 1] : point_at(d, first->points[i].step);
        if (!points[s]) return false;
    }
    return true;
}

json_t *ag_contest_curve(const ag_contest_row *row)
{
    static const struct {
        const char *key;
        size_t offset;
    } lines[] = {{"step", offsetof(ag_dynamics_point, step)},
                 {"spent", offsetof(ag_dynamics_point, spent)},
                 {"all", offsetof(ag_dynamics_point, all)},
                 {"slice", offsetof(ag_dynamics_point, slice)},
                 {"rest", offsetof(ag_dynamics_point, rest)}};
    json_t *curve = json_array();
    double *values = ag_calloc(row->seed_count, sizeof *values);
    const ag_dynamics_point **points = ag_calloc(row->seed_count, sizeof *points);
    bool ok = curve && values && points;
    for (size_t i = 0; ok && i < row->dynamics[0].count; i++) {
        if (!points_at(points, row, i)) continue;
        json_t *point = json_object();
        ok = point != NULL;
        for (size_t k = 0; k < sizeof lines / sizeof *lines && ok; k++) {
            for (size_t s = 0; s < row->seed_count; s++)
                values[s] = *(const double *)(const void *)((const char *)points[s] + lines[k].offset);
            ok = ag_json_set(point, lines[k].key, ag_range_json(ag_range_of(values, row->seed_count)));
        }
        if (json_array_append_new(curve, point)) ok = false;
    }
    ag_free(values);
    ag_free(points);
    if (ok) return curve;
    json_decref(curve);
    return NULL;
}
