/* import_rows.c: formats whose rows hold query and label, and the product or its id. With a catalogue they are read twice, as judgments are
 * (import_join.c): once for the ids of products, once, with those items in memory, for the pairs.
 */
#include <string.h>

#include "data/import.h"
#include "data/pair_parts.h"

/* One way for all rows. */
typedef struct rows {
    ag_import *import;
    ag_record_map *map;
    ag_labels *labels;
    ag_catalogue *catalogue; /* NULL: rows hold all there is of their products */
    bool wanting;            /* the first of two readings: ids are noted, nothing is emitted */
} rows;

/* Do the values that --where names stand in the record? A table has all its columns in each record; in JSON an absent key is
 * another value. */
static ag_status chosen(const ag_import *import, const json_t *record, bool table, bool *pass,
                        const char *path, long line, ag_error *err)
{
    ag_str text = {0};
    ag_status status = AG_OK;
    *pass = true;
    for (int i = 0; i < import->where_count && *pass && status == AG_OK; i++) {
        char column[256];
        const char *eq = strchr(import->where[i], '=');
        size_t n = eq ? (size_t)(eq - import->where[i]) : 0;
        if (n == 0 || n >= sizeof column)
            return ag_fail(err, AG_ERR_USAGE, "--where '%.80s' is not COLUMN=VALUE", import->where[i]);
        memcpy(column, import->where[i], n);
        column[n] = '\0';
        const json_t *value = json_object_get(record, column);
        if (!value && table)
            return ag_fail(err, AG_ERR_INPUT, "%s:%ld: no column '%.80s' (--where)", path, line, column);
        ag_str_clear(&text);
        *pass = value && ag_scalar_text(&text, value) && ag_streq(ag_str_text(&text), eq + 1);
        status = ag_str_ok(&text, err);
    }
    ag_str_free(&text);
    return status;
}

/* What the row says of its product stays, the catalogue adds what it does not say; attributes one by one. *found: is the product there? */
static ag_status complete(const rows *r, json_t *item, const char *id, bool *found, ag_error *err)
{
    json_t *from = NULL, *own = json_object_get(item, "attributes");
    ag_status status = ag_catalogue_get(r->catalogue, id, &from, err);
    *found = from != NULL;
    bool good = status != AG_OK || !from || ag_object_add_missing(item, from);
    const json_t *more = json_object_get(from, "attributes");
    if (good && json_is_object(own) && json_is_object(more)) good = ag_object_add_missing(own, more);
    json_decref(from);
    return good ? status : ag_fail_memory(err, "pair");
}

/* A pair whose product is in the catalogue, or on the first reading its product's id. */
static ag_status join(const rows *r, json_t *json, ag_record_outcome outcome, const char *path, long line,
                      ag_error *err)
{
    json_t *item = json_object_get(json, "item");
    const char *id = json_string_value(json_object_get(item, "id"));
    bool found;
    if (outcome == AG_RECORD_LEFT_OUT)
        return r->wanting ? AG_OK : ag_import_emit(r->import, json, outcome, path, line, err);
    if (!id || !*id)
        return ag_fail(err, AG_ERR_INPUT,
                       "%s:%ld: no product id, by which --catalogue has the product; name its column with "
                       "--map COLUMN=item.id",
                       path, line);
    if (r->wanting) return ag_catalogue_want(r->catalogue, id, err);
    AG_TRY(complete(r, item, id, &found, err));
    if (!found) {
        ag_import_miss(r->import, &r->import->stats.no_product, "product", id);
        return AG_OK;
    }
    const char *title = json_string_value(json_object_get(item, "title"));
    return ag_import_emit(r->import, json, title && *title ? AG_RECORD_OK : AG_RECORD_NO_TITLE, path, line,
                          err);
}

/* The record that was read goes through --where, the map and the book. */
static ag_status one_record(const rows *r, json_t *record, bool table, const char *path, long line,
                            ag_error *err)
{
    ag_import *import = r->import;
    json_t *json = NULL;
    ag_record_outcome outcome = AG_RECORD_OK;
    bool pass;
    import->stats.read++;
    ag_status status = chosen(import, record, table, &pass, path, line, err);
    if (status != AG_OK) return status;
    if (!pass) {
        import->stats.filtered++;
        return AG_OK;
    }
    /* What holds an item already is a pair of agrl's own: files of pairs can be split and filtered here,
     * too. */
    if (json_is_object(json_object_get(record, "item")))
        json = json_incref(record);
    else
        status = ag_record_apply(r->map, record, r->labels, path, line, &json, &outcome, err);
    if (status == AG_OK)
        status = r->catalogue ? join(r, json, outcome, path, line, err)
                              : ag_import_emit(import, json, outcome, path, line, err);
    json_decref(json);
    return status;
}

static ag_status rows_of_csv(const rows *r, const char *path, ag_error *err)
{
    ag_csv *csv;
    json_t *record;
    ag_status status = ag_csv_open(&csv, path, r->import->delimiter, err);
    if (status == AG_OK) status = ag_record_map_check(r->map, csv, err);
    while (status == AG_OK && (status = ag_record_from_csv(&record, csv, err)) == AG_OK && record) {
        status = one_record(r, record, true, ag_csv_path(csv), ag_csv_line(csv), err);
        json_decref(record);
    }
    ag_csv_close(csv);
    return status;
}

static ag_status rows_of_jsonl(const rows *r, const char *path, ag_error *err)
{
    ag_lines *lines;
    json_t *record;
    ag_status status = ag_lines_open(&lines, path, err);
    while (status == AG_OK && (status = ag_record_from_lines(&record, lines, err)) == AG_OK && record) {
        status = one_record(r, record, false, ag_lines_path(lines), ag_lines_number(lines), err);
        json_decref(record);
    }
    ag_lines_close(lines);
    return status;
}

static ag_status read_files(const rows *r, const ag_importer *self, ag_error *err)
{
    ag_import *import = r->import;
    for (int i = 0; i < import->file_count; i++) {
        const char *path = import->files[i];
        bool table = ag_csv_is_name(path) || (self->table && !strstr(path, ".json"));
        AG_TRY(table ? rows_of_csv(r, path, err) : rows_of_jsonl(r, path, err));
        if (import->stats.read > 0) AG_TRY(ag_record_map_used(r->map, NULL, path, err));
    }
    return AG_OK;
}

/* Notes the ids of the products and reads those of the catalogue. */
static ag_status read_products(rows *r, const ag_importer *self, ag_error *err)
{
    ag_import *import = r->import;
    for (int i = 0; i < import->file_count; i++)
        if (strcmp(import->files[i], "-") == 0)
            return ag_fail(err, AG_ERR_USAGE,
                           "with --catalogue rows are read twice and cannot come from standard input");
    AG_TRY(ag_catalogue_create(&r->catalogue, err));
    r->wanting = true;
    AG_TRY(read_files(r, self, err));
    r->wanting = false;
    import->stats = (ag_import_stats){0};
    return ag_catalogue_load(r->catalogue, import->catalogue, import->delimiter, import->keep_html, err);
}

ag_status ag_import_rows(ag_import *import, const ag_importer *self, ag_error *err)
{
    rows r = {.import = import};
    unsigned flags = import->keep_html ? self->flags & ~(unsigned)AG_RECORD_HTML : self->flags;
    if (self->labels) flags |= AG_RECORD_LABELLED;
    if (import->catalogue) flags |= AG_RECORD_JOINED;
    if (import->queries)
        return ag_fail(err, AG_ERR_USAGE,
                       "--queries is for judgments that name their queries by id; rows of %s hold the text",
                       self->name);
    ag_status status = ag_record_map_create(&r.map, self->columns, flags, err);
    for (int i = 0; i < import->map_count && status == AG_OK; i++)
        status = ag_record_map_add(r.map, import->maps[i], err);
    if (status == AG_OK)
        status = ag_labels_create(&r.labels, import->book, self->name, self->labels, self->numbers,
                                  import->labels, err);
    if (status == AG_OK && import->catalogue) status = read_products(&r, self, err);
    if (status == AG_OK) status = read_files(&r, self, err);
    if (status == AG_OK && import->stats.written == 0 && import->stats.no_product > 0)
        status = ag_fail(err, AG_ERR_INPUT, "none of %ld rows found its product (%s is not in '%s')",
                         import->stats.read, import->stats.example, import->catalogue);
    ag_catalogue_free(r.catalogue);
    ag_record_map_free(r.map);
    ag_labels_free(r.labels);
    return status;
}
