/* pairs.c: files of pairs, streamed line by line or row by row in constant memory (but for the digests of
 * ids). */
#include <string.h>

#include "data/csv.h"
#include "data/pair.h"
#include "data/record.h"
#include "data/table.h"

struct ag_pairs {
    ag_lines *lines; /* JSONL, or */
    ag_csv *csv;     /* a table, by `map` */
    ag_record_map *map;
    const ag_book *book;
    ag_aggregate aggregate;
    bool unique;
    ag_table ids;
};

ag_status ag_pairs_open(ag_pairs **result, const char *path, const ag_book *book, ag_aggregate aggregate,
                        bool unique, ag_error *err)
{
    ag_status status;
    *result = NULL;
    ag_pairs *pairs = ag_calloc(1, sizeof *pairs);
    if (!pairs) return ag_fail_memory(err, "pairs");
    pairs->book = book;
    pairs->aggregate = aggregate;
    pairs->unique = unique;
    if (ag_csv_is_name(path)) {
        if ((status = ag_record_map_create(&pairs->map, ag_record_columns, 0, err)) != AG_OK) goto out;
        if ((status = ag_csv_open(&pairs->csv, path, 0, err)) != AG_OK) goto out;
        if ((status = ag_record_map_check(pairs->map, pairs->csv, err)) != AG_OK) goto out;
    } else if ((status = ag_lines_open(&pairs->lines, path, err)) != AG_OK) {
        goto out;
    }
    *result = pairs;
    pairs = NULL;
out:
    ag_pairs_close(pairs);
    return status;
}

/* The next line that is not blank, as a pair. */
static ag_status next_line(ag_pairs *pairs, ag_pair **pair, ag_error *err)
{
    char *line;
    size_t len;
    do {
        ag_status status = ag_lines_next(pairs->lines, &line, &len, err);
        if (status != AG_OK || !line) return status;
    } while (strspn(line, " \t\r") == len);
    return ag_pair_parse(pair, line, len, ag_lines_path(pairs->lines), ag_lines_number(pairs->lines),
                         pairs->book, pairs->aggregate, err);
}

static ag_status next_row(ag_pairs *pairs, ag_pair **pair, ag_error *err)
{
    json_t *record = NULL, *json = NULL;
    ag_record_outcome outcome;
    ag_status status = ag_record_from_csv(&record, pairs->csv, err);
    if (status != AG_OK || !record) return status;
    const char *path = ag_csv_path(pairs->csv);
    long line = ag_csv_line(pairs->csv);
    status = ag_record_apply(pairs->map, record, NULL, path, line, &json, &outcome, err);
    if (status == AG_OK)
        status = ag_pair_from_json(pair, json, path, line, pairs->book, pairs->aggregate, err);
    json_decref(record);
    json_decref(json);
    return status;
}

ag_status ag_pairs_next(ag_pairs *pairs, ag_pair **pair, ag_error *err)
{
    *pair = NULL;
    ag_status status = pairs->csv ? next_row(pairs, pair, err) : next_line(pairs, pair, err);
    if (status != AG_OK || !*pair || !pairs->unique) return status;
    uint32_t unused = 0;
    int added = ag_table_add(&pairs->ids, ag_table_key((*pair)->id, strlen((*pair)->id)), &unused);
    if (added == 1) return AG_OK;
    status = added < 0 ? ag_fail_memory(err, "ids of pairs")
                       : ag_fail(err, AG_ERR_INPUT, "%s: an earlier pair has the id '%.200s' too",
                                 (*pair)->where, (*pair)->id);
    ag_pair_free(*pair);
    *pair = NULL;
    return status;
}

void ag_pairs_close(ag_pairs *pairs)
{
    if (!pairs) return;
    ag_lines_close(pairs->lines);
    ag_csv_close(pairs->csv);
    ag_record_map_free(pairs->map);
    ag_table_free(&pairs->ids);
    ag_free(pairs);
}

ag_status ag_pairs_load(ag_pair_list *list, const char *path, const ag_book *book, ag_aggregate aggregate,
                        ag_error *err)
{
    ag_pairs *pairs;
    ag_pair *pair = NULL;
    memset(list, 0, sizeof *list);
    ag_status status = ag_pairs_open(&pairs, path, book, aggregate, true, err);
    while (status == AG_OK && (status = ag_pairs_next(pairs, &pair, err)) == AG_OK && pair) {
        if (!ag_grow(&list->items, &list->cap, list->count + 1, sizeof *list->items)) {
            ag_pair_free(pair);
            status = ag_fail_memory(err, "pairs");
            break;
        }
        list->items[list->count++] = pair;
    }
    ag_pairs_close(pairs);
    if (status != AG_OK) ag_pair_list_free(list);
    return status;
}

void ag_pair_list_free(ag_pair_list *list)
{
    for (size_t i = 0; i < list->count; i++) ag_pair_free(list->items[i]);
    ag_free(list->items);
    memset(list, 0, sizeof *list);
}
