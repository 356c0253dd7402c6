/* catalogue.c: products out of the files that shops have; see catalogue.h. */
#include "data/catalogue.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "data/pair_parts.h"
#include "data/record.h"
#include "data/table.h"

/* --- records ------------------------------------------------------------------------------------------------- */

/* What the catalogues of the field call their fields, the most exact first. Icecat's prices are in cents, and nothing
 * else says so: its rows begin one earlier. */
static const ag_alias icecat_columns[] = {
    {"price", "price_cents"},
    {"id", "item.id"},
    {"_id", "item.id"},
    {"product_id", "item.id"},
    {"item_id", "item.id"},
    {"docid", "item.id"},
    {"asin", "item.id"},
    {"title", "title"},
    {"product_title", "title"},
    {"product_name", "title"},
    {"name", "title"},
    {"brand", "brand"},
    {"product_brand", "brand"},
    {"supplier", "brand"},
    {"manufacturer", "brand"},
    {"category", "category"},
    {"product_class", "category"},
    {"price", "price"},
    {"bullets", "description"},
    {"product_bullet_point", "description"},
    {"description", "description"},
    {"product_description", "description"},
    {"short_description", "description"},
    {"text", "description"},
    {"color", "attributes.colour"},
    {"colour", "attributes.colour"},
    {"product_color", "attributes.colour"},
    {"attributes", "attributes"},
    {"attrs", "attributes"},
    {"product_features", "features"},
    {"url", "url"},
    {"image", "image"},
    {NULL, NULL},
};

static const ag_alias *const catalogue_columns = icecat_columns + 1;

typedef struct scanner {
    ag_record_map *map, *icecat;
    bool table; /* which is nobody's format: no Icecat */
    ag_catalogue_visit visit;
    void *context;
    ag_error *err;
} scanner;

static ag_status visit_record(scanner *s, const json_t *record, const char *path, long line)
{
    json_t *item = NULL;
    ag_record_outcome outcome;
    const json_t *fields = json_object_get(record,
                                           "fields"); /* Vespa's feed: {"put": ..., "fields": {...}} */
    if (json_is_object(fields)) record = fields;
    bool icecat = !s->table && json_object_get(record, "supplier") && json_object_get(record, "ean");
    ag_status status = ag_record_apply(icecat ? s->icecat : s->map, record, NULL, path, line, &item, &outcome,
                                       s->err);
    if (status == AG_OK) status = s->visit(s->context, item, path, line, s->err);
    json_decref(item);
    return status;
}

static ag_status scan_csv(scanner *s, const ag_catalogue_file *file)
{
    ag_csv *csv;
    json_t *record;
    ag_status status = ag_csv_open(&csv, file->path, file->delimiter, s->err);
    if (status == AG_OK) status = ag_record_map_check(s->map, csv, s->err);
    while (status == AG_OK && (status = ag_record_from_csv(&record, csv, s->err)) == AG_OK && record) {
        status = visit_record(s, record, ag_csv_path(csv), ag_csv_line(csv));
        json_decref(record);
    }
    ag_csv_close(csv);
    return status;
}

static ag_status scan_jsonl(scanner *s, const ag_catalogue_file *file)
{
    ag_lines *lines;
    json_t *record;
    ag_status status = ag_lines_open(&lines, file->path, s->err);
    while (status == AG_OK && (status = ag_record_from_lines(&record, lines, s->err)) == AG_OK && record) {
        status = visit_record(s, record, ag_lines_path(lines), ag_lines_number(lines));
        json_decref(record);
    }
    ag_lines_close(lines);
    return status == AG_OK ? ag_record_map_used(s->map, s->icecat, file->path, s->err) : status;
}

ag_status ag_catalogue_scan(const ag_catalogue_file *file, ag_catalogue_visit visit, void *context,
                            ag_error *err)
{
    scanner s = {.visit = visit, .context = context, .err = err, .table = ag_csv_is_name(file->path)};
    unsigned flags = AG_RECORD_ITEM | AG_RECORD_ICECAT | (file->keep_html ? 0u : AG_RECORD_HTML);
    ag_status status = ag_record_map_create(&s.map, catalogue_columns, flags, err);
    if (status == AG_OK) status = ag_record_map_create(&s.icecat, icecat_columns, flags, err);
    for (int i = 0; i < file->map_count && status == AG_OK; i++) {
        status = ag_record_map_add(s.map, file->maps[i], err);
        if (status == AG_OK) status = ag_record_map_add(s.icecat, file->maps[i], err);
    }
    if (status == AG_OK) status = s.table ? scan_csv(&s, file) : scan_jsonl(&s, file);
    ag_record_map_free(s.map);
    ag_record_map_free(s.icecat);
    return status;
}

/* --- products ------------------------------------------------------------------------------------------------ */

typedef struct reader {
    ag_products *to;
    ag_table ids;
    const char *path;
    long line;
    ag_str text;
    ag_error *err;
} reader;

/* Of a long path the end says most. */
static void fault(reader *r, ag_product_fault kind)
{
    enum { LONGEST = 64 };
    size_t n = strlen(r->path), from = n > LONGEST ? n - LONGEST : 0;
    while (((unsigned char)r->path[from] & 0xC0) == 0x80) from++; /* not inside a character */
    if (r->to->faults[kind]++ == 0)
        snprintf(r->to->first[kind], sizeof r->to->first[kind], "%s%s:%ld", from ? "..." : "", r->path + from,
                 r->line);
}

static ag_status no_memory(reader *r)
{
    return ag_fail_memory(r->err, "catalogue");
}

/* A scalar as text in the arena; *text NULL when it is none or says nothing. */
static ag_status keep_text(reader *r, const json_t *value, const char **text)
{
    *text = NULL;
    if (!value || json_is_null(value)) return AG_OK;
    ag_str_clear(&r->text);
    if (!ag_scalar_text(&r->text, value)) {
        fault(r, AG_PRODUCT_VALUE);
        return AG_OK;
    }
    if (r->text.failed) return no_memory(r);
    size_t n = r->text.len;
    if (strspn(ag_str_text(&r->text), " \t\r\n") == n) return AG_OK;
    if (n > AG_PAIR_TEXT_MAX) {
        fault(r, AG_PRODUCT_LONG);
        n = AG_PAIR_TEXT_MAX;
        while (n && ((unsigned char)r->text.data[n] & 0xC0) == 0x80) n--; /* not inside a character */
    }
    if (memchr(r->text.data, '\0', n)) { /* JSON can hold it, a text here cannot */
        fault(r, AG_PRODUCT_VALUE);
        return AG_OK;
    }
    *text = ag_arena_strndup(&r->to->arena, r->text.data, n);
    return *text ? AG_OK : no_memory(r);
}

static ag_status keep_values(reader *r, const json_t *value, ag_field *field)
{
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    ag_status status = AG_OK;
    if (n > AG_PAIR_VALUES_MAX) {
        fault(r, AG_PRODUCT_VALUE);
        return AG_OK;
    }
    if (!(field->values = ag_arena_alloc(&r->to->arena, n, sizeof *field->values))) return no_memory(r);
    for (size_t i = 0; i < n && status == AG_OK; i++) {
        const char *text;
        status = keep_text(r, json_is_array(value) ? json_array_get(value, i) : value, &text);
        if (text) field->values[field->count++] = text;
    }
    return status;
}

static ag_status keep_attributes(reader *r, const json_t *object, ag_item *item)
{
    const char *name;
    json_t *value;
    size_t n = json_object_size(object);
    if (n > AG_PAIR_FIELDS_MAX) {
        fault(r, AG_PRODUCT_ATTRIBUTES);
        n = AG_PAIR_FIELDS_MAX;
    }
    if (!(item->fields = ag_arena_alloc(&r->to->arena, n, sizeof *item->fields))) return no_memory(r);
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        if ((size_t)item->field_count == n) break;
        ag_field *field = &item->fields[item->field_count];
        *field = (ag_field){0};
        if (strspn(name, " \t\r\n") == strlen(name) || strlen(name) > AG_PAIR_ID_MAX) {
            fault(r, AG_PRODUCT_VALUE);
            continue;
        }
        ag_status status = keep_values(r, value, field);
        if (status != AG_OK) return status;
        if (field->count == 0) continue;
        if (!(field->name = ag_arena_strdup(&r->to->arena, name))) return no_memory(r);
        item->field_count++;
    }
    return AG_OK;
}

static ag_status keep_id(reader *r, const json_t *value, ag_item *item, bool *repeated)
{
    uint32_t at = 0;
    ag_status status = keep_text(r, value, &item->id);
    if (status != AG_OK) return status;
    if (!item->id || strlen(item->id) > AG_PAIR_ID_MAX || strpbrk(item->id, "\r\n\t")) {
        char name[32];
        fault(r, AG_PRODUCT_NO_ID);
        snprintf(name, sizeof name, "line-%ld", r->line);
        if (!(item->id = ag_arena_strdup(&r->to->arena, name))) return no_memory(r);
    }
    int added = ag_table_add(&r->ids, ag_table_key(item->id, strlen(item->id)), &at);
    if (added < 0) return no_memory(r);
    *repeated = added == 0;
    return AG_OK;
}

static ag_status keep_product(void *context, const json_t *json, const char *path, long line, ag_error *err)
{
    reader *r = context;
    ag_products *to = r->to;
    ag_item item = {0};
    bool repeated = false;
    r->path = path;
    r->line = line;
    r->err = err;
    ag_status status = keep_text(r, json_object_get(json, "title"), &item.title);
    if (status != AG_OK) return status;
    if (!item.title) {
        fault(r, AG_PRODUCT_NO_TITLE);
        return AG_OK;
    }
    if ((status = keep_id(r, json_object_get(json, "id"), &item, &repeated)) != AG_OK) return status;
    if (repeated) {
        fault(r, AG_PRODUCT_REPEATED);
        return AG_OK;
    }
    const struct {
        const char *key;
        const char **to;
    } texts[] = {{"brand", &item.brand}, {"category", &item.category}, {"description", &item.description}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts && status == AG_OK; i++)
        status = keep_text(r, json_object_get(json, texts[i].key), texts[i].to);
    const json_t *price = json_object_get(json, "price");
    if (price && !json_is_null(price)) {
        item.price = json_number_value(price);
        item.has_price = json_is_number(price) && isfinite(item.price) && item.price >= 0;
        if (!item.has_price) fault(r, AG_PRODUCT_PRICE);
    }
    const json_t *attributes = json_object_get(json, "attributes");
    if (status == AG_OK && json_is_object(attributes)) status = keep_attributes(r, attributes, &item);
    bool empty = json_is_array(attributes) && json_array_size(attributes) == 0; /* how PHP writes {} */
    if (attributes && !json_is_object(attributes) && !empty) fault(r, AG_PRODUCT_VALUE);
    if (status != AG_OK) return status;
    if (!ag_grow(&to->items, &to->cap, to->count + 1, sizeof *to->items)) return no_memory(r);
    to->items[to->count++] = item;
    return AG_OK;
}

ag_status ag_products_load(ag_products *products, const ag_catalogue_file *file, ag_error *err)
{
    reader r = {.to = products};
    *products = (ag_products){.arena = {.name = "catalogue"}};
    ag_status status = ag_catalogue_scan(file, keep_product, &r, err);
    if (status == AG_OK && products->count == 0)
        status = ag_fail(err, AG_ERR_INPUT,
                         "%s: no product with a title; --map COLUMN=title says which column it is",
                         file->path);
    ag_table_free(&r.ids);
    ag_str_free(&r.text);
    if (status != AG_OK) ag_products_free(products);
    return status;
}

bool ag_products_fault(const ag_products *p, ag_product_fault kind, ag_str *out)
{
    static const char *const texts[AG_PRODUCT_FAULTS] = {
        [AG_PRODUCT_NO_TITLE] = "products without a title left out",
        [AG_PRODUCT_REPEATED] = "products with an id that another one has left out",
        [AG_PRODUCT_NO_ID] = "products without a usable id named after their lines",
        [AG_PRODUCT_VALUE] = "values that are no text, number or boolean left out",
        [AG_PRODUCT_ATTRIBUTES] = "products with more attributes than can be used; the first ones are kept",
        [AG_PRODUCT_LONG] = "texts of more than 4 MiB cut",
        [AG_PRODUCT_PRICE] = "prices that are no number of at least 0 left out",
    };
    if (p->faults[kind] == 0) return false;
    ag_str_addf(out, "%ld %s (first: %s)", p->faults[kind], texts[kind], p->first[kind]);
    return true;
}

void ag_products_free(ag_products *p)
{
    ag_free(p->items);
    ag_arena_free(&p->arena);
    *p = (ag_products){0};
}
