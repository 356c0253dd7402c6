/* metrics_slices.c: the same metrics over parts of the set: query types, where `asked` came from, seen and
 * unseen brands, whatever fields a record names.
 */
#include <stdlib.h>
#include <string.h>

#include "eval/tally.h"

enum { MAX_VALUES = 50 }; /* of one slice; a field with thousands of values tells nobody anything */

typedef struct slice_entry {
    const char *name, *value;
    size_t record;
} slice_entry;

static int entry_order(const void *pa, const void *pb)
{
    const slice_entry *a = pa, *b = pb;
    int order = strcmp(a->name, b->name);
    if (order == 0) order = strcmp(a->value, b->value);
    return order ? order : (a->record > b->record) - (a->record < b->record);
}

/* A run of entries with one name and value. */
typedef struct slice_run {
    size_t from, n;
    const slice_entry *entries;
} slice_run;

/* Most records first, then by value. */
static int run_order(const void *pa, const void *pb)
{
    const slice_run *a = pa, *b = pb;
    if (a->n != b->n) return a->n < b->n ? 1 : -1;
    return strcmp(a->entries[a->from].value, b->entries[b->from].value);
}

/* Sorted entries of all records, each once. */
static ag_status list_entries(slice_entry **entries, size_t *count, const ag_records *records, ag_error *err)
{
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < records->count; i++) n += (size_t)records->items[i].slice_count;
    slice_entry *list = ag_calloc(n, sizeof *list);
    *entries = list;
    if (!list) return ag_fail_memory(err, "slices");
    n = 0;
    for (size_t i = 0; i < records->count; i++) {
        const ag_record *r = &records->items[i];
        for (int s = 0; s < r->slice_count; s++)
            if (r->slice_names[s] && r->slice_values[s])
                list[n++] = (slice_entry){r->slice_names[s], r->slice_values[s], i};
    }
    qsort(list, n, sizeof *list, entry_order);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || entry_order(&list[kept - 1], &list[i]) != 0) list[kept++] = list[i];
    *count = kept;
    return AG_OK;
}

static ag_status value_json(json_t *values, const ag_records *records, const slice_run *run, size_t *pick,
                            int draws, uint64_t seed, ag_error *err)
{
    ag_groups groups;
    json_t *metrics = NULL;
    for (size_t i = 0; i < run->n; i++) pick[i] = run->entries[run->from + i].record;
    ag_status status = ag_groups_collect(&groups, records, pick, run->n, err);
    if (status) return status;
    status = ag_set_json(&metrics, &groups, NULL, draws, seed, err);
    if (status) goto out;
    json_t *row = json_pack("{s:o, s:I, s:I, s:O}", "value", ag_text_json(run->entries[run->from].value),
                            "records", (json_int_t)run->n, "groups", (json_int_t)groups.count, "metrics",
                            metrics);
    if (json_array_append_new(values, row)) status = ag_fail_memory(err, "slices");
out:
    json_decref(metrics);
    ag_groups_free(&groups);
    return status;
}

/* All values of one name: entries from..to-1. runs and pick have room for them. */
static ag_status name_json(json_t *slices, const ag_records *records, const slice_entry *entries, size_t from,
                           size_t to, slice_run *runs, size_t *pick, int draws, uint64_t seed, ag_error *err)
{
    size_t count = 0;
    ag_status status = AG_OK;
    json_t *values = json_array();
    for (size_t i = from; i < to; i++) {
        if (i == from || strcmp(entries[i - 1].value, entries[i].value) != 0)
            runs[count++] = (slice_run){i, 0, entries};
        runs[count - 1].n++;
    }
    qsort(runs, count, sizeof *runs, run_order);
    size_t shown = count < MAX_VALUES ? count : MAX_VALUES;
    for (size_t i = 0; i < shown && !status; i++)
        status = value_json(values, records, &runs[i], pick, draws, seed, err);
    if (!status) {
        json_t *row = json_pack("{s:o, s:O, s:I}", "name", ag_text_json(entries[from].name), "values", values,
                                "left_out", (json_int_t)(count - shown));
        if (json_array_append_new(slices, row)) status = ag_fail_memory(err, "slices");
    }
    json_decref(values);
    return status;
}

bool ag_slice_common(const json_t *metrics, const json_t *slice)
{
    const json_t *values = json_object_get(slice, "values");
    return json_array_size(values) == 1 &&
           json_integer_value(json_object_get(json_array_get(values, 0), "records")) ==
               json_integer_value(json_object_get(metrics, "records"));
}

ag_status ag_slices_json(json_t **json, const ag_records *records, int draws, uint64_t seed, ag_error *err)
{
    slice_entry *entries = NULL;
    slice_run *runs = NULL;
    size_t *pick = NULL, count = 0;
    json_t *slices = json_array();
    ag_status status = list_entries(&entries, &count, records, err);
    if (status) goto out;
    runs = ag_calloc(count, sizeof *runs);
    pick = ag_calloc(count, sizeof *pick);
    if (!runs || !pick || !slices) {
        status = ag_fail_memory(err, "slices");
        goto out;
    }
    for (size_t from = 0, to; from < count && !status; from = to) {
        for (to = from + 1; to < count; to++)
            if (strcmp(entries[to].name, entries[from].name) != 0) break;
        status = name_json(slices, records, entries, from, to, runs, pick, draws, seed, err);
    }
out:
    ag_free(entries);
    ag_free(runs);
    ag_free(pick);
    if (status) {
        json_decref(slices);
        slices = NULL;
    }
    *json = slices;
    return status;
}
