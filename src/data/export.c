/* export.c: see export.h. First what all lists share (who is which query, what is refused), then the formats. */
#include "data/export.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/pair_parts.h"
#include "data/table.h"

double ag_export_grade(const ag_book *book, int tier, bool gain)
{
    return gain ? book->tiers[tier].gain : book->tier_count - 1 - tier;
}

/* Not only the ASCII ones: Python's split() takes all of these for blanks. */
bool ag_export_is_word(const char *text)
{
    size_t n = strlen(text), at = 0;
    while (at < n) {
        uint32_t c = ag_utf8_next(text, n, &at);
        if (c <= 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
            c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000)
            return false;
    }
    return n > 0;
}

static ag_status check_word(const ag_pair *pair, const char *what, const char *id, ag_error *err)
{
    if (ag_export_is_word(id)) return AG_OK;
    return ag_fail(err, AG_ERR_INPUT,
                   "%s: the %s '%.200s' has a blank, and blanks divide the columns of TREC files: rename it, "
                   "or export quepid or opensearch",
                   pair->where, what, id);
}

/* --- queries -------------------------------------------------------------------------------------------- */

static ag_status own_query_id(ag_export *list, ag_export_row *row, ag_error *err)
{
    ag_str text = {0};
    const json_t *value = json_object_get(row->pair->json, "query_id");
    if (!value || json_is_null(value)) return AG_OK;
    if (!json_is_string(value) && !json_is_integer(value))
        return ag_fail(err, AG_ERR_INPUT, "%s: query_id must be a string or a whole number",
                       row->pair->where);
    ag_scalar_text(&text, value);
    ag_status status = ag_str_ok(&text, err);
    if (status == AG_OK && text.len) { /* an empty cell of a table says nothing */
        status = check_word(row->pair, "query id", text.data, err);
        if (status == AG_OK && !(row->query_id = ag_arena_strdup(&list->arena, text.data)))
            status = ag_fail_memory(err, "query ids");
    }
    ag_str_free(&text);
    return status;
}

/* Fills query_id of the rows: their own, else that of another row with the same text. ids: all that are taken. */
static ag_status find_query_ids(ag_export *list, ag_table *ids, ag_error *err)
{
    ag_table texts = {0};
    ag_status status = AG_OK;
    for (size_t i = 0; i < list->count && status == AG_OK; i++) {
        ag_export_row *row = &list->rows[i];
        const char *text = row->pair->query;
        uint32_t first = (uint32_t)i, unused = (uint32_t)i;
        if ((status = own_query_id(list, row, err)) != AG_OK || !row->query_id) continue;
        if (ag_table_add(ids, ag_table_key(row->query_id, strlen(row->query_id)), &first) < 0 ||
            ag_table_add(&texts, ag_table_key(text, strlen(text)), &unused) < 0)
            status = ag_fail_memory(err, "query ids");
        else if (strcmp(list->rows[first].pair->query, text) != 0)
            status = ag_fail(err, AG_ERR_INPUT,
                             "%s: the query id '%.200s' has another text at %s: give each text its own",
                             row->pair->where, row->query_id, list->rows[first].pair->where);
    }
    for (size_t i = 0; i < list->count && status == AG_OK; i++) {
        ag_export_row *row = &list->rows[i];
        if (row->query_id) continue;
        int64_t other = ag_table_find(&texts, ag_table_key(row->pair->query, strlen(row->pair->query)));
        if (other >= 0) row->query_id = list->rows[other].query_id;
    }
    ag_table_free(&texts);
    return status;
}

/* Queries in the order of their first row: by id where there is one, else by text. */
static ag_status number_queries(ag_export *list, ag_error *err)
{
    ag_table by_id = {0}, by_text = {0};
    ag_status status = AG_OK;
    for (size_t i = 0; i < list->count && status == AG_OK; i++) {
        ag_export_row *row = &list->rows[i];
        const char *key = row->query_id ? row->query_id : row->pair->query;
        uint32_t number = (uint32_t)list->query_count;
        int added = ag_table_add(row->query_id ? &by_id : &by_text, ag_table_key(key, strlen(key)), &number);
        row->query = number;
        if (added == 0) continue;
        if (added < 0 ||
            !ag_grow(&list->queries, &list->query_cap, list->query_count + 1, sizeof *list->queries))
            status = ag_fail_memory(err, "queries");
        else
            list->queries[list->query_count++] = (ag_export_query){row->query_id, row->pair->query};
    }
    ag_table_free(&by_id);
    ag_table_free(&by_text);
    return status;
}

/* q1, q2, ... for the queries without id; a number whose name is taken is passed over. */
static ag_status name_queries(ag_export *list, ag_table *ids, ag_error *err)
{
    for (size_t q = 0; q < list->query_count; q++) {
        char name[32];
        int added = 0;
        if (list->queries[q].id) continue;
        for (size_t number = q + 1; added == 0; number++) {
            uint32_t unused = 0;
            snprintf(name, sizeof name, "q%zu", number);
            added = ag_table_add(ids, ag_table_key(name, strlen(name)), &unused);
        }
        if (added < 0 || !(list->queries[q].id = ag_arena_strdup(&list->arena, name)))
            return ag_fail_memory(err, "query ids");
    }
    return AG_OK;
}

/* --- the order of the list ------------------------------------------------------------------------------ */

static int by_query(const void *pa, const void *pb)
{
    const ag_export_row *a = pa, *b = pb;
    if (a->query != b->query) return a->query < b->query ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

static int by_score(const void *pa, const void *pb)
{
    const ag_export_row *a = pa, *b = pb;
    if (a->query != b->query) return a->query < b->query ? -1 : 1;
    if (a->value != b->value) return a->value > b->value ? -1 : 1;
    return strcmp(a->pair->item.id, b->pair->item.id);
}

static ag_status check_items(const ag_export *list, bool words, ag_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        const ag_pair *pair = list->rows[i].pair;
        if (!pair->item.id)
            return ag_fail(err, AG_ERR_INPUT,
                           "%s: the item has no id, and lists name documents by it: give every item one",
                           pair->where);
        if (words) AG_TRY(check_word(pair, "item id", pair->item.id, err));
    }
    return AG_OK;
}

/* Readers refuse a document that a query has twice, or take the last one without a word. */
static ag_status refuse_repeats(const ag_export *list, ag_error *err)
{
    ag_table seen = {0};
    ag_str key = {0};
    ag_status status = AG_OK;
    for (size_t i = 0; i < list->count && status == AG_OK; i++) {
        const ag_pair *pair = list->rows[i].pair;
        uint32_t first = (uint32_t)i;
        ag_str_clear(&key);
        ag_str_addf(&key, "%zu %s", list->rows[i].query, pair->item.id);
        if ((status = ag_str_ok(&key, err)) != AG_OK) break;
        int added = ag_table_add(&seen, ag_table_key(key.data, key.len), &first);
        if (added < 0)
            status = ag_fail_memory(err, "items");
        else if (added == 0)
            status = ag_fail(err, AG_ERR_INPUT,
                             "%s: the item '%.200s' stands at %s for the same query: leave one of them out",
                             pair->where, pair->item.id, list->rows[first].pair->where);
    }
    ag_table_free(&seen);
    ag_str_free(&key);
    return status;
}

static void drop_unlisted(ag_export *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++)
        if (!isnan(list->rows[i].value)) list->rows[kept++] = list->rows[i];
    list->count = kept;
}

/* Is row i of an arranged list the first of its query? */
static bool opens_query(const ag_export *list, size_t i)
{
    return i == 0 || list->rows[i - 1].query != list->rows[i].query;
}

ag_status ag_export_arrange(ag_export *list, const ag_export_format *format, ag_error *err)
{
    bool trec = format->flags & AG_EXPORT_TREC;
    ag_table ids = {0};
    for (size_t i = 0; i < list->count; i++) list->rows[i].place = i;
    ag_status status = trec ? find_query_ids(list, &ids, err) : AG_OK;
    if (status == AG_OK) status = number_queries(list, err);
    if (status == AG_OK) status = name_queries(list, &ids, err);
    drop_unlisted(list);
    if (status == AG_OK) status = check_items(list, trec, err);
    if (status == AG_OK) status = refuse_repeats(list, err);
    if (status == AG_OK)
        qsort(list->rows, list->count, sizeof *list->rows,
              format->flags & AG_EXPORT_RUN ? by_score : by_query);
    for (size_t i = 0; i < list->count; i++) list->listed += opens_query(list, i);
    ag_table_free(&ids);
    return status;
}

void ag_export_free(ag_export *list)
{
    ag_free(list->queries);
    ag_arena_free(&list->arena);
    *list = (ag_export){0};
}

/* --- the formats ---------------------------------------------------------------------------------------- */

/* Writes the line and empties it. */
static void put(ag_out *out, ag_str *line)
{
    ag_out_write(out, ag_str_text(line), line->len);
    ag_str_clear(line);
}

static void write_qrels(const ag_export *list, ag_out *out, ag_str *line)
{
    for (size_t i = 0; i < list->count; i++) {
        const ag_export_row *row = &list->rows[i];
        ag_str_addf(line, "%s 0 %s ", list->queries[row->query].id, row->pair->item.id);
        ag_json_number(line, row->value);
        ag_str_addc(line, '\n');
        put(out, line);
    }
}

static void write_run(const ag_export *list, ag_out *out, ag_str *line)
{
    size_t rank = 0;
    for (size_t i = 0; i < list->count; i++) {
        const ag_export_row *row = &list->rows[i];
        rank = opens_query(list, i) ? 1 : rank + 1;
        ag_str_addf(line, "%s Q0 %s %zu ", list->queries[row->query].id, row->pair->item.id, rank);
        ag_json_number(line, row->value);
        ag_str_addf(line, " %s\n", list->tag);
        put(out, line);
    }
}

/* Blanks at the ends are quoted as well: some readers trim what is not. */
static void add_cell(ag_str *line, const char *text)
{
    size_t n = strlen(text);
    bool edge = n && (strchr(" \t", text[0]) || strchr(" \t", text[n - 1]));
    if (n && !edge && !strpbrk(text, "\",;\t\r\n")) {
        ag_str_add(line, text);
        return;
    }
    ag_str_addc(line, '"');
    for (; *text; text++) {
        if (*text == '"') ag_str_addc(line, '"');
        ag_str_addc(line, *text);
    }
    ag_str_addc(line, '"');
}

static void write_quepid(const ag_export *list, ag_out *out, ag_str *line)
{
    ag_str_add(line, "query,docid,rating\n");
    for (size_t i = 0; i < list->count; i++) {
        const ag_export_row *row = &list->rows[i];
        add_cell(line, row->pair->query);
        ag_str_addc(line, ',');
        add_cell(line, row->pair->item.id);
        ag_str_addc(line, ',');
        ag_json_number(line, row->value);
        ag_str_addc(line, '\n');
        put(out, line);
    }
}

static void add_string(ag_str *line, const char *before, const char *text)
{
    ag_str_add(line, before);
    ag_json_quote(line, text, strlen(text));
}

/* Ratings are strings there, too. */
static void write_opensearch(const ag_export *list, ag_out *out, ag_str *line)
{
    add_string(line, "{\n\"name\": ", list->name);
    add_string(line, ",\n\"description\": ", list->description);
    ag_str_add(line, ",\n\"type\": \"IMPORT_JUDGMENT\",\n\"judgmentRatings\": [");
    for (size_t i = 0; i < list->count; i++) {
        const ag_export_row *row = &list->rows[i];
        bool first = opens_query(list, i);
        if (first) {
            add_string(line, i ? "\n]},\n{\"query\": " : "\n{\"query\": ", row->pair->query);
            ag_str_add(line, ", \"ratings\": [");
        }
        add_string(line, first ? "\n{\"docId\": " : ",\n{\"docId\": ", row->pair->item.id);
        ag_str_add(line, ", \"rating\": \"");
        ag_json_number(line, row->value);
        ag_str_add(line, "\"}");
        put(out, line);
    }
    ag_str_add(line, list->count ? "\n]}\n]\n}\n" : "]\n}\n");
    put(out, line);
}

const ag_export_format ag_export_formats[] = {
    {"qrels", "TREC qrels: query-id 0 document-id grade", AG_EXPORT_TREC | AG_EXPORT_WHOLE, write_qrels},
    {"run", "a TREC run by expected gain: query-id Q0 document-id rank score tag",
     AG_EXPORT_TREC | AG_EXPORT_RUN, write_run},
    {"quepid", "Quepid's table: query,docid,rating", 0, write_quepid},
    {"opensearch", "a judgment list of OpenSearch's Search Relevance Workbench", 0, write_opensearch},
    {NULL, NULL, 0, NULL},
};

ag_status ag_export_find(const ag_export_format **format, const char *name, ag_error *err)
{
    const char *names[16];
    size_t n = 0;
    ag_str known = {0};
    for (const ag_export_format *f = ag_export_formats; f->name; f++) {
        if (strcmp(f->name, name) == 0) {
            *format = f;
            ag_str_free(&known);
            return AG_OK;
        }
        ag_str_addf(&known, "%s%s", n ? ", " : "", f->name);
        names[n++] = f->name;
    }
    ag_status status = ag_fail(err, AG_ERR_USAGE, "unknown format '%.60s' (known: %s)%s", name,
                               ag_str_text(&known), ag_suggest(name, names, n).text);
    ag_str_free(&known);
    return status;
}

ag_status ag_export_write(const ag_export *list, const ag_export_format *format, ag_out *out, ag_error *err)
{
    ag_str line = {0};
    format->write(list, out, &line);
    ag_status status = ag_str_ok(&line, err);
    ag_str_free(&line);
    return status;
}

void ag_export_topics(const ag_export *list, ag_out *out)
{
    for (size_t i = 0; i < list->count; i++) {
        const ag_export_query *query = &list->queries[list->rows[i].query];
        if (!opens_query(list, i)) continue;
        ag_out_printf(out, "%s\t", query->id);
        ag_out_cell(out, query->text, strlen(query->text));
        ag_out_printf(out, "\n");
    }
}
