/* import_catalogue.c: what judgments refer to: items of a catalogue and texts of queries, by id.
 *
 * A catalogue may be far larger than memory, so only the items that some judgment names are kept, as
 * compact JSON text; queries are small and all kept.
 */
#include <string.h>

#include "data/catalogue.h"
#include "data/import.h"
#include "data/table.h"

/* --- texts by id
 * -------------------------------------------------------------------------------------------- */

typedef struct texts {
    ag_table index;
    char **items;
    size_t count, cap;
} texts;

/* The slot of an id, made when it is new. */
static ag_status texts_slot(texts *t, const char *id, char ***slot, ag_error *err)
{
    uint32_t at = (uint32_t)t->count;
    if (t->count == UINT32_MAX) return ag_fail(err, AG_ERR_INPUT, "too many ids");
    if (!ag_grow(&t->items, &t->cap, t->count + 1, sizeof *t->items)) return ag_fail_memory(err, "ids");
    int added = ag_table_add(&t->index, ag_table_key(id, strlen(id)), &at);
    if (added < 0) return ag_fail_memory(err, "ids");
    if (added == 1) t->items[t->count++] = NULL;
    *slot = &t->items[at];
    return AG_OK;
}

static ag_status texts_put(char **slot, const json_t *json, ag_error *err)
{
    ag_str text = {0};
    ag_status status = ag_json_dump(&text, json, err);
    if (status == AG_OK) {
        ag_free(*slot);
        if (!(*slot = ag_str_take(&text))) status = ag_fail_memory(err, "catalogue");
    }
    ag_str_free(&text);
    return status;
}

static ag_status texts_get(const texts *t, const char *id, json_t **json, ag_error *err)
{
    int64_t at = ag_table_find(&t->index, ag_table_key(id, strlen(id)));
    *json = NULL;
    if (at < 0 || !t->items[at]) return AG_OK;
    return ag_json_parse(json, t->items[at], strlen(t->items[at]), "item", 1, err);
}

static void texts_free(texts *t)
{
    for (size_t i = 0; i < t->count; i++) ag_free(t->items[i]);
    ag_free(t->items);
    ag_table_free(&t->index);
}

/* --- catalogue
 * ---------------------------------------------------------------------------------------------- */

struct ag_catalogue {
    texts items;
};

ag_status ag_catalogue_create(ag_catalogue **catalogue, ag_error *err)
{
    *catalogue = ag_calloc(1, sizeof **catalogue);
    return *catalogue ? AG_OK : ag_fail_memory(err, "catalogue");
}

ag_status ag_catalogue_want(ag_catalogue *catalogue, const char *id, ag_error *err)
{
    char **slot = NULL;
    return texts_slot(&catalogue->items, id, &slot, err);
}

/* Keeps the item if its id is wanted. */
static ag_status keep_wanted(void *context, const json_t *item, const char *path, long line, ag_error *err)
{
    ag_catalogue *catalogue = context;
    const char *id = json_string_value(json_object_get(item, "id"));
    if (!id) return ag_fail(err, AG_ERR_INPUT, "%s:%ld: an item without an id", path, line);
    int64_t at = ag_table_find(&catalogue->items.index, ag_table_key(id, strlen(id)));
    return at < 0 ? AG_OK : texts_put(&catalogue->items.items[at], item, err);
}

ag_status ag_catalogue_load(ag_catalogue *catalogue, const char *path, char delimiter, bool keep_html,
                            ag_error *err)
{
    ag_catalogue_file file = {.path = path, .delimiter = delimiter, .keep_html = keep_html};
    return ag_catalogue_scan(&file, keep_wanted, catalogue, err);
}

ag_status ag_catalogue_get(const ag_catalogue *catalogue, const char *id, json_t **item, ag_error *err)
{
    return texts_get(&catalogue->items, id, item, err);
}

void ag_catalogue_free(ag_catalogue *catalogue)
{
    if (!catalogue) return;
    texts_free(&catalogue->items);
    ag_free(catalogue);
}

/* --- queries
 * ------------------------------------------------------------------------------------------------ */

struct ag_queries {
    texts items;
};

static const char *const id_names[] = {"query_id", "query-id", "qid", "_id", "id", "topic", NULL};
static const char *const text_names[] = {"query", "text", "queryText", "title", NULL};

/* The first of the names that the record has. */
static const char *name_in(const json_t *record, const char *const *names)
{
    while (*names && !json_object_get(record, *names)) names++;
    return *names;
}

/* Adds {"query": text, and the record's other members} under the id. */
static ag_status queries_record(ag_queries *queries, const json_t *record, const char *path, long line,
                                ag_error *err)
{
    const char *id_name = name_in(record, id_names), *text_name = name_in(record, text_names), *name;
    const json_t *id = id_name ? json_object_get(record, id_name) : NULL;
    json_t *value, *kept = NULL;
    ag_str key = {0};
    char **slot = NULL;
    ag_status status = AG_OK;
    bool whole = json_is_integer(id);
    if (!text_name || !(whole || json_is_string(id)))
        return ag_fail(err, AG_ERR_INPUT,
                       "%s:%ld: a query needs an id (query_id, qid, _id) and a text (query, text)", path,
                       line);
    if (whole)
        ag_str_addf(&key, "%lld", (long long)json_integer_value(id));
    else
        ag_str_add(&key, json_string_value(id));
    if ((status = ag_str_ok(&key, err)) != AG_OK) goto out;
    if ((status = texts_slot(&queries->items, ag_str_text(&key), &slot, err)) != AG_OK) goto out;
    if (*slot) {
        status = ag_fail(err, AG_ERR_INPUT, "%s:%ld: query id '%.80s' twice", path, line, ag_str_text(&key));
        goto out;
    }
    if (!(kept = json_object()) || json_object_set(kept, "query", json_object_get(record, text_name)) != 0) {
        status = ag_fail_memory(err, "queries");
        goto out;
    }
    json_object_foreach((json_t *)(uintptr_t)record, name, value)
    {
        if (strcmp(name, text_name) == 0 || strcmp(name, "query") == 0 || json_is_null(value)) continue;
        const char *as = strcmp(name, id_name) == 0 ? "query_id" : name;
        if (json_object_set(kept, as, value) == 0) continue;
        status = ag_fail_memory(err, "queries");
        goto out;
    }
    status = texts_put(slot, kept, err);
out:
    json_decref(kept);
    ag_str_free(&key);
    return status;
}

static ag_status queries_jsonl(ag_queries *queries, const char *path, ag_error *err)
{
    ag_lines *lines;
    json_t *record;
    ag_status status = ag_lines_open(&lines, path, err);
    while (status == AG_OK && (status = ag_record_from_lines(&record, lines, err)) == AG_OK && record) {
        status = queries_record(queries, record, ag_lines_path(lines), ag_lines_number(lines), err);
        json_decref(record);
    }
    ag_lines_close(lines);
    return status;
}

static ag_status queries_csv(ag_queries *queries, const char *path, ag_error *err)
{
    ag_csv *csv;
    json_t *record;
    ag_status status = ag_csv_open(&csv, path, 0, err);
    while (status == AG_OK && (status = ag_record_from_csv(&record, csv, err)) == AG_OK && record) {
        status = queries_record(queries, record, ag_csv_path(csv), ag_csv_line(csv), err);
        json_decref(record);
    }
    ag_csv_close(csv);
    return status;
}

/* TREC topics: the id, a tab (or the first space), the text. */
static ag_status queries_plain(ag_queries *queries, const char *path, ag_error *err)
{
    ag_lines *lines;
    char *line;
    size_t len, bad;
    ag_status status = ag_lines_open(&lines, path, err);
    while (status == AG_OK && (status = ag_lines_next(lines, &line, &len, err)) == AG_OK && line) {
        if (strspn(line, " \t\r") == len) continue;
        size_t id = strcspn(line, strchr(line, '\t') ? "\t" : " ");
        long number = ag_lines_number(lines);
        if (id == 0 || id == len || !ag_utf8_valid(line, len, &bad)) {
            status = ag_fail(err, AG_ERR_INPUT, "%s:%ld: not a query id, a tab and a text in UTF-8",
                             ag_lines_path(lines), number);
            break;
        }
        json_t *record = json_object();
        if (record && json_object_set_new(record, "query_id", json_stringn(line, id)) == 0 &&
            json_object_set_new(record, "query", json_stringn(line + id + 1, len - id - 1)) == 0)
            status = queries_record(queries, record, ag_lines_path(lines), number, err);
        else
            status = ag_fail_memory(err, "queries");
        json_decref(record);
    }
    ag_lines_close(lines);
    return status;
}

/* Which of the three it is shows in the first line. */
static ag_status queries_kind(const char *path, char *kind, ag_error *err)
{
    ag_lines *lines;
    char *line = NULL;
    size_t len = 0;
    *kind = 'p';
    ag_status status = ag_lines_open(&lines, path, err);
    if (status == AG_OK) status = ag_lines_next(lines, &line, &len, err);
    if (line && line[strspn(line, " \t")] == '{') *kind = 'j';
    for (const char *const *id = id_names; line && *kind == 'p' && *id; id++) {
        size_t n = strlen(*id);
        size_t quote = line[0] == '"';
        if (len > n + quote && strncmp(line + quote, *id, n) == 0 && strchr("\t,;\"", line[n + quote]))
            *kind = 'c';
    }
    ag_lines_close(lines);
    return status;
}

ag_status ag_queries_load(ag_queries **result, const char *path, ag_error *err)
{
    char kind;
    *result = NULL;
    if (strcmp(path, "-") == 0)
        return ag_fail(err, AG_ERR_USAGE, "--queries must be a file, not standard input");
    ag_queries *queries = ag_calloc(1, sizeof *queries);
    if (!queries) return ag_fail_memory(err, "queries");
    ag_status status = queries_kind(path, &kind, err);
    if (status == AG_OK)
        status = kind == 'j'   ? queries_jsonl(queries, path, err)
                 : kind == 'c' ? queries_csv(queries, path, err)
                               : queries_plain(queries, path, err);
    if (status == AG_OK)
        *result = queries;
    else
        ag_queries_free(queries);
    return status;
}

ag_status ag_queries_get(const ag_queries *queries, const char *id, json_t **query, ag_error *err)
{
    return texts_get(&queries->items, id, query, err);
}

void ag_queries_free(ag_queries *queries)
{
    if (!queries) return;
    texts_free(&queries->items);
    ag_free(queries);
}
