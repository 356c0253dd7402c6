/* import.c: the table of formats, and what all importers share. */
#include "data/import.h"

#include <stdio.h>
#include <string.h>

#include "data/pair_parts.h"

/* --- the formats' own words
 * ---------------------------------------------------------------------------------- */

static const ag_label esci_labels[] = {{"Exact", 0}, {"E", 0}, {"Substitute", 1}, {"S", 1}, {"Complement", 2},
                                       {"C", 2},     {"I", 3}, {"Irrelevant", 3}, {NULL, 0}};
static const ag_label judgment_labels[] = {{"100", 0}, {"10", 1}, {"1", 2}, {"0", 3}, {NULL, 0}};
static const ag_label wands_labels[] = {{"Exact", 0}, {"Partial", 1}, {"Irrelevant", 2}, {NULL, 0}};
static const ag_label chorus_labels[] = {{"3", 0}, {"2", 1}, {"1", 2}, {"0", 3}, {NULL, 0}};

/* Bullet points before the description: they say more in fewer words, and a long text is cut from its end. */
static const ag_alias esci_columns[] = {{"example_id", "id"},
                                        {"query", "query"},
                                        {"product_locale", "locale"},
                                        {"esci_label", "tier"},
                                        {"product_id", "item.id"},
                                        {"product_title", "title"},
                                        {"product_text", "text"},
                                        {"product_brand", "brand"},
                                        {"product_bullet_point", "description"},
                                        {"product_description", "description"},
                                        {"product_color", "attributes.colour"},
                                        {"title", "title"},
                                        {"brand", "brand"},
                                        {"bullets", "description"},
                                        {"description", "description"},
                                        {"color", "attributes.colour"},
                                        {NULL, NULL}};
static const ag_alias chorus_columns[] = {{"query", "query"},
                                          {"docid", "item.id"},
                                          {"title", "title"},
                                          {"brand", "brand"},
                                          {"supplier", "brand"},
                                          {"price", "price_cents"},
                                          {"short_description", "description"},
                                          {"attrs", "attributes"},
                                          {"label", "tier"},
                                          {"ratings", "ratings"},
                                          {NULL, NULL}};

const ag_importer ag_importers[] = {
    {"esci", "Amazon Shopping Queries (Exact, Substitute, Complement, Irrelevant)",
     "CSV of the joined examples and products, or judgments as JSON with --catalogue", ag_import_esci,
     esci_columns, AG_RECORD_HTML, esci_labels, false, true},
    {"opensearch", "OpenSearch judgment lists (100, 10, 1, 0)",
     "JSON with judgmentRatings; needs --catalogue", ag_import_judgments, NULL, 0, judgment_labels, true,
     false},
    {"wands", "Wayfair WANDS (Exact, Partial, Irrelevant)",
     "label.csv (query.csv and product.csv beside it, or --queries and --catalogue), or rows of query, name, "
     "target",
     ag_import_wands, ag_record_columns, 0, wands_labels, false, true},
    {"chorus", "Chorus ratings over Icecat products (3 the best to 0)", "rated_pairs.jsonl", ag_import_rows,
     chorus_columns, AG_RECORD_ICECAT, chorus_labels, true, false},
    {"qrels", "TREC or BEIR relevance judgments",
     "query-id iteration document-id relevance; needs --queries, "
     "--catalogue and --labels",
     ag_import_qrels, NULL, 0, NULL, false, false},
    {"quepid", "Quepid's ratings", "CSV of query,docid,rating; needs --catalogue and --labels",
     ag_import_quepid, NULL, 0, NULL, false, true},
    {"csv", "any table of pairs; tiers by the book's ids or names, or --labels",
     "CSV or TSV, with --map where needed", ag_import_rows, ag_record_columns, 0, NULL, false, true},
    {"jsonl", "any JSON objects, or pairs of agrl's own (to split or filter them)",
     "JSONL, with --map where needed", ag_import_rows, ag_record_columns, 0, NULL, false, false},
    {NULL, NULL, NULL, NULL, NULL, 0, NULL, false, false},
};

/* --- shared steps
 * -------------------------------------------------------------------------------------------- */

ag_status ag_import_emit(ag_import *import, json_t *json, ag_record_outcome outcome, const char *path,
                         long line, ag_error *err)
{
    ag_pair *pair;
    if (outcome == AG_RECORD_LEFT_OUT) {
        import->stats.left_out++;
        return AG_OK;
    }
    if (outcome == AG_RECORD_NO_TITLE) {
        import->stats.no_title++;
        return AG_OK;
    }
    ag_status status = ag_pair_from_json(&pair, json, path, line, import->book, import->aggregate, err);
    if (status != AG_OK) return status;
    status = import->emit(import->context, pair, err);
    if (status == AG_OK) import->stats.written++;
    ag_pair_free(pair);
    return status;
}

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

/* One way for both kinds of rows: the record that was read goes through --where, the map and the book. */
static ag_status one_record(ag_import *import, ag_record_map *map, const ag_labels *labels, json_t *record,
                            bool table, const char *path, long line, ag_error *err)
{
    json_t *json = NULL;
    ag_record_outcome outcome;
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
        return ag_import_emit(import, record, AG_RECORD_OK, path, line, err);
    status = ag_record_apply(map, record, labels, path, line, &json, &outcome, err);
    if (status == AG_OK) status = ag_import_emit(import, json, outcome, path, line, err);
    json_decref(json);
    return status;
}

static ag_status rows_of_csv(ag_import *import, ag_record_map *map, const ag_labels *labels, const char *path,
                             ag_error *err)
{
    ag_csv *csv;
    json_t *record;
    ag_status status = ag_csv_open(&csv, path, import->delimiter, err);
    if (status == AG_OK) status = ag_record_map_check(map, csv, err);
    while (status == AG_OK && (status = ag_record_from_csv(&record, csv, err)) == AG_OK && record) {
        status = one_record(import, map, labels, record, true, ag_csv_path(csv), ag_csv_line(csv), err);
        json_decref(record);
    }
    ag_csv_close(csv);
    return status;
}

static ag_status rows_of_jsonl(ag_import *import, ag_record_map *map, const ag_labels *labels,
                               const char *path, ag_error *err)
{
    ag_lines *lines;
    char *line;
    size_t len;
    ag_status status = ag_lines_open(&lines, path, err);
    while (status == AG_OK && (status = ag_lines_next(lines, &line, &len, err)) == AG_OK && line) {
        json_t *record;
        long number = ag_lines_number(lines);
        if (strspn(line, " \t\r") == len) continue;
        if ((status = ag_json_parse(&record, line, len, ag_lines_path(lines), number, err)) != AG_OK) break;
        status = one_record(import, map, labels, record, false, ag_lines_path(lines), number, err);
        json_decref(record);
    }
    ag_lines_close(lines);
    return status;
}

ag_status ag_import_rows(ag_import *import, const ag_importer *self, ag_error *err)
{
    ag_record_map *map = NULL;
    ag_labels *labels = NULL;
    unsigned flags = import->keep_html ? self->flags & ~(unsigned)AG_RECORD_HTML : self->flags;
    if (self->labels) flags |= AG_RECORD_LABELLED;
    ag_status status = ag_record_map_create(&map, self->columns, flags, err);
    for (int i = 0; i < import->map_count && status == AG_OK; i++)
        status = ag_record_map_add(map, import->maps[i], err);
    if (status == AG_OK)
        status = ag_labels_create(&labels, import->book, self->name, self->labels, self->numbers,
                                  import->labels, err);
    for (int i = 0; i < import->file_count && status == AG_OK; i++) {
        const char *path = import->files[i];
        bool table = ag_csv_is_name(path) || (self->table && !strstr(path, ".json"));
        status = table ? rows_of_csv(import, map, labels, path, err)
                       : rows_of_jsonl(import, map, labels, path, err);
        if (status == AG_OK && import->stats.read > 0) status = ag_record_map_used(map, NULL, path, err);
    }
    ag_record_map_free(map);
    ag_labels_free(labels);
    return status;
}

ag_status ag_import_run(ag_import *import, const char *format, ag_error *err)
{
    const char *names[32];
    size_t n = 0;
    for (const ag_importer *i = ag_importers; i->name; i++) {
        if (strcmp(i->name, format) == 0) return i->run(import, i, err);
        names[n++] = i->name;
    }
    ag_str known = {0};
    for (size_t i = 0; i < n; i++) ag_str_addf(&known, "%s%s", i ? ", " : "", names[i]);
    const char *nearest = ag_nearest(format, names, n);
    ag_status status = ag_fail(err, AG_ERR_USAGE, "unknown format '%.60s' (known: %s)%s%s%s", format,
                               ag_str_text(&known), nearest ? "; did you mean '" : "", nearest ? nearest : "",
                               nearest ? "'?" : "");
    ag_str_free(&known);
    return status;
}
