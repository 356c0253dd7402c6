/* import_join.c: judgments that name products, joined with a catalogue (and queries): once over the
 * judgments for the ids, once over the catalogue for the items, once more over the judgments for the
 * pairs, in their order.
 */
#include <string.h>

#include "data/import.h"
#include "data/pair_parts.h"

typedef struct joiner {
    ag_import *import;
    ag_catalogue *catalogue;
    ag_queries *queries; /* NULL where judgments hold the text */
    ag_labels *labels;
} joiner;

static ag_status want(void *context, const ag_judgment *judgment, ag_error *err)
{
    return ag_catalogue_want(context, judgment->doc, err);
}

/* The pair of one judgment; query is {"query": ..., more to pass through}. */
static ag_status build(const ag_judgment *judgment, const char *tier, json_t *query, json_t *item,
                       json_t **pair, ag_error *err)
{
    ag_str id = {0};
    json_t *json = json_object();
    if (judgment->id)
        ag_str_add(&id, judgment->id);
    else if (judgment->query_id)
        ag_str_addf(&id, "%s-%s", judgment->query_id, judgment->doc);
    bool good = json && !id.failed &&
                (id.len == 0 || json_object_set_new(json, "id", json_string(ag_str_text(&id))) == 0) &&
                json_object_set(json, "query", json_object_get(query, "query")) == 0 &&
                json_object_set(json, "item", item) == 0 &&
                json_object_set_new(json, "gold", json_pack("{s:s}", "tier", tier)) == 0 &&
                ag_object_add_missing(json, query);
    ag_str_free(&id);
    if (good) {
        *pair = json;
        return AG_OK;
    }
    json_decref(json);
    return ag_fail_memory(err, "pair");
}

static ag_status find_query(const joiner *j, const ag_judgment *judgment, json_t **query, ag_error *err)
{
    if (judgment->query) {
        *query = json_pack("{s:s}", "query", judgment->query);
        return *query ? AG_OK : ag_fail_memory(err, "pair");
    }
    return ag_queries_get(j->queries, judgment->query_id, query, err);
}

static ag_status emit_one(void *context, const ag_judgment *judgment, ag_error *err)
{
    const joiner *j = context;
    ag_import *import = j->import;
    json_t *item = NULL, *query = NULL, *pair = NULL;
    const char *tier;
    import->stats.read++;
    ag_status status = ag_labels_tier(j->labels, judgment->label, judgment->path, judgment->line, &tier, err);
    if (status != AG_OK) return status;
    if (!tier) {
        import->stats.left_out++;
        return AG_OK;
    }
    if ((status = find_query(j, judgment, &query, err)) != AG_OK) goto out;
    if (!query) {
        ag_import_miss(import, &import->stats.no_query, "query", judgment->query_id);
        goto out;
    }
    if ((status = ag_catalogue_get(j->catalogue, judgment->doc, &item, err)) != AG_OK) goto out;
    if (!item) {
        ag_import_miss(import, &import->stats.no_product, "product", judgment->doc);
        goto out;
    }
    if ((status = build(judgment, tier, query, item, &pair, err)) != AG_OK) goto out;
    bool titled = json_is_string(json_object_get(item, "title"));
    status = ag_import_emit(import, pair, titled ? AG_RECORD_OK : AG_RECORD_NO_TITLE, judgment->path,
                            judgment->line, err);
out:
    json_decref(query);
    json_decref(item);
    json_decref(pair);
    return status;
}

ag_status ag_import_scan_table(const ag_import *import, const char *path, const ag_judgment_columns *columns,
                               ag_judgment_visit visit, void *context, ag_error *err)
{
    const char *const needed[] = {columns->query, columns->doc, columns->label};
    const ag_csv_field *row;
    ag_csv *csv;
    int at[3];
    ag_status status = ag_csv_open(&csv, path, import->delimiter, err);
    if (status != AG_OK) return status;
    for (int i = 0; i < 3 && status == AG_OK; i++)
        if ((at[i] = ag_csv_column(csv, needed[i])) < 0)
            status = ag_fail(err, AG_ERR_INPUT, "%s:1: no column '%s'", ag_csv_path(csv), needed[i]);
    while (status == AG_OK && (status = ag_csv_next(csv, &row, err)) == AG_OK && row) {
        json_t *label = json_stringn(row[at[2]].text, row[at[2]].len);
        ag_judgment judgment = {
            .doc = row[at[1]].text, .label = label, .path = ag_csv_path(csv), .line = ag_csv_line(csv)};
        *(columns->by_id ? &judgment.query_id : &judgment.query) = row[at[0]].text;
        status = label ? visit(context, &judgment, err) : ag_fail_memory(err, "label");
        json_decref(label);
    }
    ag_csv_close(csv);
    return status;
}

ag_status ag_import_need_labels(const ag_import *import, const char *what, ag_error *err)
{
    const ag_book *book = import->book;
    if (import->labels) return AG_OK;
    return ag_fail(
        err, AG_ERR_USAGE,
        "the grades of %s differ from set to set: say what they are, for example --labels '1=%s,0=%s'", what,
        book->tiers[0].id, book->tiers[book->tier_count - 1].id);
}

ag_status ag_import_join(ag_import *import, const ag_importer *self, ag_judgment_scan scan,
                         const char *catalogue, const char *queries, ag_error *err)
{
    joiner j = {.import = import};
    ag_status status = AG_OK;
    if (!catalogue)
        return ag_fail(
            err, AG_ERR_USAGE,
            "%s: the judgments name products but hold no titles: give --catalogue FILE (JSONL or CSV with "
            "the same product ids)",
            import->files[0]);
    if (import->queries && !queries)
        return ag_fail(err, AG_ERR_USAGE,
                       "--queries is for judgments that name their queries by id; those of %s hold the text",
                       self->name);
    if (import->map_count || import->where_count)
        return ag_fail(err, AG_ERR_USAGE, "--map and --where are for rows with columns, not for %s",
                       self->name);
    for (int i = 0; i < import->file_count; i++)
        if (strcmp(import->files[i], "-") == 0)
            return ag_fail(err, AG_ERR_USAGE, "judgments are read twice and cannot come from standard input");
    if (queries && (status = ag_queries_load(&j.queries, queries, err)) != AG_OK) goto out;
    status = ag_labels_create(&j.labels, import->book, self->name, self->labels, self->numbers,
                              import->labels, err);
    if (status == AG_OK) status = ag_catalogue_create(&j.catalogue, err);
    for (int i = 0; i < import->file_count && status == AG_OK; i++)
        status = scan(import, import->files[i], want, j.catalogue, err);
    if (status == AG_OK)
        status = ag_catalogue_load(j.catalogue, catalogue, import->delimiter, import->keep_html, err);
    for (int i = 0; i < import->file_count && status == AG_OK; i++)
        status = scan(import, import->files[i], emit_one, &j, err);
    long missed = import->stats.no_product + import->stats.no_query;
    if (status == AG_OK && import->stats.written == 0 && missed > 0)
        status = ag_fail(err, AG_ERR_INPUT,
                         "none of %ld judgments found its query and product (%s is not in '%s')",
                         import->stats.read, import->stats.example,
                         strncmp(import->stats.example, "query", 5) == 0 ? queries : catalogue);
out:
    ag_labels_free(j.labels);
    ag_catalogue_free(j.catalogue);
    ag_queries_free(j.queries);
    return status;
}
