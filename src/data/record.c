/* record.c: columns to fields. Two passes over a record: first the map in its own order (so that
 * preference and the order of added-up descriptions are the map's), then what the map has not taken, in
 * the record's order.
 */
#include "data/record.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "data/pair_parts.h"

const ag_alias ag_record_columns[] = {
    {"id", "id"},
    {"pair_id", "id"},
    {"example_id", "id"},
    {"query", "query"},
    {"type", "type"},
    {"query_type", "type"},
    {"locale", "locale"},
    {"product_locale", "locale"},
    {"tier", "tier"},
    {"gold.tier", "tier"},
    {"label", "tier"},
    {"rule", "rule"},
    {"gold.rule", "rule"},
    {"why", "why"},
    {"gold.why", "why"},
    {"asked", "asked"},
    {"ratings", "ratings"},
    {"item_id", "item.id"},
    {"item.id", "item.id"},
    {"product_id", "item.id"},
    {"docid", "item.id"},
    {"title", "title"},
    {"item.title", "title"},
    {"product_title", "title"},
    {"product_name", "title"},
    {"name", "title"},
    {"brand", "brand"},
    {"item.brand", "brand"},
    {"product_brand", "brand"},
    {"category", "category"},
    {"item.category", "category"},
    {"product_category", "category"},
    {"price", "price"},
    {"item.price", "price"},
    {"product_price", "price"},
    {"description", "description"},
    {"item.description", "description"},
    {"product_description", "description"},
    {"url", "url"},
    {"image", "image"},
    {NULL, NULL},
};

typedef enum field_kind {
    TO_TOP_TEXT, /* scalar as text beside the query */
    TO_QUERY,
    TO_TYPE,
    TO_TIER,
    TO_GOLD_TEXT,
    TO_RATING,
    TO_RATINGS,
    TO_ASKED,
    TO_ITEM_TEXT,
    TO_PROSE, /* item text that may be HTML; adds up */
    TO_TITLE,
    TO_TEXT,
    TO_PRICE,
    TO_CENTS,
    TO_ATTRIBUTES,
    TO_ATTRIBUTE,
    TO_FEATURES,
    TO_KEEP,
    TO_ITEM_KEEP,
    TO_NOTHING
} field_kind;

typedef struct field {
    const char *name;
    field_kind kind;
    bool many;       /* several columns may give it */
    const char *key; /* in the JSON object; NULL: the name */
} field;

static const field fields[] = {
    {"id", TO_TOP_TEXT, false, NULL},       {"query", TO_QUERY, false, NULL},
    {"type", TO_TYPE, false, NULL},         {"locale", TO_TOP_TEXT, false, NULL},
    {"tier", TO_TIER, false, NULL},         {"rule", TO_GOLD_TEXT, false, NULL},
    {"why", TO_GOLD_TEXT, false, NULL},     {"rating", TO_RATING, true, NULL},
    {"ratings", TO_RATINGS, false, NULL},   {"asked", TO_ASKED, false, NULL},
    {"item.id", TO_ITEM_TEXT, false, "id"}, {"title", TO_TITLE, false, NULL},
    {"brand", TO_ITEM_TEXT, false, NULL},   {"category", TO_ITEM_TEXT, false, NULL},
    {"price", TO_PRICE, false, NULL},       {"price_cents", TO_CENTS, false, "price"},
    {"description", TO_PROSE, true, NULL},  {"text", TO_TEXT, false, NULL},
    {"features", TO_FEATURES, true, NULL},  {"attributes", TO_ATTRIBUTES, true, NULL},
    {"url", TO_ITEM_TEXT, false, NULL},     {"image", TO_ITEM_TEXT, false, NULL},
    {"keep", TO_KEEP, true, NULL},          {"item.keep", TO_ITEM_KEEP, true, NULL},
    {"-", TO_NOTHING, true, NULL},
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields, ENTRY_MAX = 256 };

typedef struct entry {
    const char *column;
    const field *to;
    const char *name; /* of attributes.NAME and rating.NAME */
    bool user, used;
    char *owned; /* a user's text */
} entry;

struct ag_record_map {
    entry entries[ENTRY_MAX];
    int count, users;
    unsigned flags;
};

static const field attribute_field = {"attributes.NAME", TO_ATTRIBUTE, true, NULL};
static const field rating_field = {"rating.NAME", TO_RATING, true, NULL};

/* The field of a name; *rest is the NAME of attributes.NAME and rating.NAME. NULL: unknown. */
static const field *find_field(const char *name, const char **rest)
{
    *rest = NULL;
    if (strncmp(name, "attributes.", 11) == 0 && name[11]) {
        *rest = name + 11;
        return &attribute_field;
    }
    if (strncmp(name, "rating.", 7) == 0 && name[7]) {
        *rest = name + 7;
        return &rating_field;
    }
    for (int i = 0; i < FIELD_COUNT; i++)
        if (strcmp(fields[i].name, name) == 0) return &fields[i];
    return NULL;
}

/* --- the map
 * ------------------------------------------------------------------------------------------------ */

ag_status ag_record_map_create(ag_record_map **result, const ag_alias *aliases, unsigned flags, ag_error *err)
{
    *result = NULL;
    ag_record_map *map = ag_calloc(1, sizeof *map);
    if (!map) return ag_fail_memory(err, "column map");
    map->flags = flags;
    for (; aliases->column; aliases++) {
        entry *e = &map->entries[map->count];
        e->column = aliases->column;
        e->to = find_field(aliases->field, &e->name);
        if (!e->to || ++map->count == ENTRY_MAX) {
            ag_record_map_free(map);
            return ag_fail(err, AG_ERR_INTERNAL, "column map: bad field '%s'", aliases->field);
        }
    }
    *result = map;
    return AG_OK;
}

ag_status ag_record_map_add(ag_record_map *map, const char *spec, ag_error *err)
{
    const char *eq = strrchr(spec, '='), *names[FIELD_COUNT], *rest;
    if (!eq || eq == spec || !eq[1])
        return ag_fail(err, AG_ERR_USAGE, "--map '%.80s' is not COLUMN=FIELD", spec);
    const field *to = find_field(eq + 1, &rest);
    if (!to) {
        for (int i = 0; i < FIELD_COUNT; i++) names[i] = fields[i].name;
        return ag_fail(err, AG_ERR_USAGE, "--map '%.80s': there is no field '%.60s'%s", spec, eq + 1,
                       ag_suggest(eq + 1, names, FIELD_COUNT).text);
    }
    if (map->count == ENTRY_MAX) return ag_fail(err, AG_ERR_USAGE, "--map: more than %d columns", ENTRY_MAX);
    char *owned = ag_strdup(spec);
    if (!owned) return ag_fail_memory(err, "column map");
    owned[eq - spec] = '\0';
    for (int i = 0; i < map->users; i++) {
        if (strcmp(map->entries[i].column, owned) != 0) continue;
        ag_free(owned);
        return ag_fail(err, AG_ERR_USAGE, "--map names the column of '%.80s' twice", spec);
    }
    /* Users' entries stay in their order, before the others. */
    memmove(&map->entries[map->users + 1], &map->entries[map->users],
            sizeof(entry) * (size_t)(map->count - map->users));
    entry *e = &map->entries[map->users++];
    map->count++;
    *e = (entry){.column = owned, .to = to, .user = true, .owned = owned};
    find_field(owned + (eq - spec) + 1, &e->name);
    return AG_OK;
}

static bool gives(const ag_record_map *map, const ag_csv *csv, const char *field_name, const char *or_name)
{
    for (int i = 0; i < map->count; i++) {
        const char *name = map->entries[i].to->name;
        if ((ag_streq(name, field_name) || ag_streq(name, or_name)) &&
            ag_csv_column(csv, map->entries[i].column) >= 0)
            return true;
    }
    return false;
}

static ag_suggestion nearest_column(const ag_csv *csv, const char *name)
{
    const char *names[AG_CSV_COLUMNS_MAX];
    int n = ag_csv_column_count(csv);
    for (int c = 0; c < n; c++) names[c] = ag_csv_column_name(csv, c);
    return ag_suggest(name, names, (size_t)n);
}

ag_status ag_record_map_check(const ag_record_map *map, const ag_csv *csv, ag_error *err)
{
    static const struct {
        const char *field, *or_field;
        unsigned unless, only; /* flags with which it is not asked for; flags without which it is not */
        const char *name;
    } needed[] = {{"query", NULL, AG_RECORD_ITEM, 0, "query"},
                  {"title", "text", AG_RECORD_JOINED, 0, "title"},
                  {"item.id", NULL, 0, AG_RECORD_JOINED, "product id"},
                  {"tier", "ratings", AG_RECORD_ITEM, AG_RECORD_LABELLED, "label"}};
    for (int i = 0; i < map->users; i++) {
        const char *column = map->entries[i].column;
        if (ag_csv_column(csv, column) >= 0) continue;
        return ag_fail(err, AG_ERR_INPUT, "%s:1: no column '%.80s' (--map)%s", ag_csv_path(csv), column,
                       nearest_column(csv, column).text);
    }
    for (size_t k = 0; k < sizeof needed / sizeof *needed; k++) {
        if ((map->flags & needed[k].unless) || (map->flags & needed[k].only) != needed[k].only) continue;
        if (gives(map, csv, needed[k].field, needed[k].or_field)) continue;
        ag_str have = {0};
        for (int c = 0; c < ag_csv_column_count(csv) && have.len < 400; c++)
            ag_str_addf(&have, "%s%s", c ? ", " : "", ag_csv_column_name(csv, c));
        ag_status status = ag_fail(
            err, AG_ERR_INPUT,
            "%s:1: no column gives the %s (columns: %.400s); name one with --map COLUMN=%s", ag_csv_path(csv),
            needed[k].name, ag_str_text(&have), needed[k].field);
        ag_str_free(&have);
        return status;
    }
    return AG_OK;
}

ag_status ag_record_map_used(const ag_record_map *map, const ag_record_map *other, const char *path,
                             ag_error *err)
{
    for (int i = 0; i < map->users; i++)
        if (!map->entries[i].used && !(other && other->entries[i].used))
            return ag_fail(err, AG_ERR_INPUT, "%s: no record has '%.80s' (--map)", path,
                           map->entries[i].column);
    return AG_OK;
}

void ag_record_map_free(ag_record_map *map)
{
    if (!map) return;
    for (int i = 0; i < map->count; i++) ag_free(map->entries[i].owned);
    ag_free(map);
}

ag_status ag_record_from_csv(json_t **record, ag_csv *csv, ag_error *err)
{
    const ag_csv_field *cells;
    *record = NULL;
    ag_status status = ag_csv_next(csv, &cells, err);
    if (status != AG_OK || !cells) return status;
    json_t *object = json_object();
    for (int c = 0; object && c < ag_csv_column_count(csv); c++) {
        const char *name = ag_csv_column_name(csv, c);
        if (!*name) continue;
        if (json_object_set_new(object, name, json_stringn(cells[c].text, cells[c].len)) == 0) continue;
        json_decref(object);
        object = NULL;
    }
    *record = object;
    return object ? AG_OK : ag_fail_memory(err, "CSV row");
}

ag_status ag_record_from_lines(json_t **record, ag_lines *lines, ag_error *err)
{
    char *line;
    size_t len;
    *record = NULL;
    do {
        AG_TRY(ag_lines_next(lines, &line, &len, err));
        if (!line) return AG_OK;
    } while (strspn(line, " \t\r") == len);
    return ag_json_parse(record, line, len, ag_lines_path(lines), ag_lines_number(lines), err);
}

/* --- values
 * ------------------------------------------------------------------------------------------------- */

/* What is being made of one record. Steps return false when out of memory; other errors go to status. */
typedef struct maker {
    ag_record_map *map;
    const ag_labels *labels;
    const char *path;
    long line;
    ag_error *err;
    json_t *top, *item, *attributes, *gold, *ratings, *text;
    bool left_out;
} maker;

static ag_status memory(const maker *m)
{
    ag_fail_memory(m->err, "record");
    ag_error_prefix(m->err, "%s:%ld", m->path, m->line);
    return AG_ERR_MEMORY;
}

static ag_status set(const maker *m, json_t *object, const char *key, json_t *value)
{
    return value && json_object_set_new(object, key, value) == 0 ? AG_OK : memory(m);
}

/* A scalar as a JSON string; what is no scalar stays, for ag_pair_from_json to refuse with its own words. */
static json_t *as_text(const json_t *value)
{
    ag_str s = {0};
    json_t *text = NULL;
    if (json_is_string(value) || !ag_scalar_text(&s, value))
        text = json_incref((json_t *)(uintptr_t)value);
    else if (!s.failed)
        text = json_stringn(ag_str_text(&s), s.len);
    ag_str_free(&s);
    return text;
}

static bool is_empty(const json_t *value)
{
    if (!value || json_is_null(value)) return true;
    if (!json_is_string(value)) return false;
    const char *text = json_string_value(value);
    return text[strspn(text, " \t\r\n")] == '\0';
}

/* Text with HTML taken out where the map says so; the parts of a list go to lines of their own. */
static ag_status add_prose(const maker *m, ag_str *out, const json_t *value)
{
    size_t n = json_is_array(value) ? json_array_size(value) : 1;
    ag_str one = {0};
    for (size_t i = 0; i < n; i++) {
        const json_t *part = json_is_array(value) ? json_array_get(value, i) : value;
        ag_str_clear(&one);
        if (!ag_scalar_text(&one, part)) continue;
        if (out->len > 0) ag_str_addc(out, '\n');
        if (m->map->flags & AG_RECORD_HTML)
            ag_html_text(out, ag_str_text(&one), one.len);
        else
            ag_str_addn(out, ag_str_text(&one), one.len);
    }
    bool failed = one.failed || out->failed;
    ag_str_free(&one);
    return failed ? memory(m) : AG_OK;
}

static ag_status put_prose(const maker *m, json_t *object, const char *key, const json_t *value)
{
    ag_str text = {0};
    const json_t *before = json_object_get(object, key);
    if (json_is_object(value)) return set(m, object, key, json_incref((json_t *)(uintptr_t)value));
    if (json_is_string(before)) ag_str_addn(&text, json_string_value(before), json_string_length(before));
    ag_status status = add_prose(m, &text, value);
    if (status == AG_OK && text.len > 0) status = set(m, object, key, json_stringn(text.data, text.len));
    ag_str_free(&text);
    return status;
}

/* An attribute; a second value of the same name makes a list. */
static ag_status add_attribute(const maker *m, const char *name, json_t *value)
{
    json_t *before = json_object_get(m->attributes, name);
    if (!value) return memory(m);
    if (!before) return set(m, m->attributes, name, value);
    json_t *list = json_array(); /* json_copy would not say when memory runs out */
    json_t *both[] = {before, value};
    int failed = !list;
    for (int i = 0; i < 2 && !failed; i++)
        failed = json_is_array(both[i]) ? json_array_extend(list, both[i]) : json_array_append(list, both[i]);
    json_decref(value);
    if (failed) {
        json_decref(list);
        return memory(m);
    }
    return set(m, m->attributes, name, list);
}

/* "a : b | c : d"; a part without a colon says nothing and is left out. */
static ag_status add_features(const maker *m, const char *text)
{
    static const char space[] = " \t\n";
    ag_status status = AG_OK;
    while (*text && status == AG_OK) {
        size_t n = strcspn(text, "|"), colon = strcspn(text, ":|");
        if (colon < n) {
            const char *name = text + strspn(text, space), *value = text + colon + 1;
            size_t name_len = (size_t)(text + colon - name);
            value += strspn(value, space);
            size_t value_len = value < text + n ? (size_t)(text + n - value) : 0;
            while (name < text + colon && name_len > 0 && strchr(space, name[name_len - 1])) name_len--;
            while (value_len > 0 && strchr(space, value[value_len - 1])) value_len--;
            char *key = name < text + colon ? ag_strndup(name, name_len) : NULL;
            if (name < text + colon && !key) return memory(m);
            if (key && *key && value_len > 0) status = add_attribute(m, key, json_stringn(value, value_len));
            ag_free(key);
        }
        text += n + (text[n] == '|');
    }
    return status;
}

/* --- Icecat's attribute names
 * ------------------------------------------------------------------------------- */

static bool is_icecat(const char *name)
{
    return strncmp(name, "attr_", 5) == 0 && name[5] && strchr("tnb", name[5]) && name[6] == '_' && name[7];
}

/* Their texts spell a line end as a backslash and an n. */
static json_t *icecat_text(const char *text, size_t n)
{
    ag_str out = {0};
    for (size_t i = 0; i < n; i++) {
        bool end = text[i] == '\\' && i + 1 < n && text[i + 1] == 'n';
        ag_str_addc(&out, end ? '\n' : text[i]);
        i += end;
    }
    json_t *json = out.failed ? NULL : json_stringn(ag_str_text(&out), out.len);
    ag_str_free(&out);
    return json;
}

/* attr_t_battery_life__max_ is battery_life_max. */
static ag_status add_icecat(const maker *m, const char *name, const json_t *value)
{
    ag_str key = {0};
    bool text = name[5] == 't' && json_is_string(value);
    for (const char *c = name + 7; *c; c++)
        if (*c != '_' || (key.len > 0 && c[1] && c[1] != '_')) ag_str_addc(&key, *c);
    if (key.failed) {
        ag_str_free(&key);
        return memory(m);
    }
    ag_status status = AG_OK;
    json_t *list = text ? json_array() : NULL;
    /* Text lists several values as "AAC,MP3"; in "1,5" and "red, matt" the comma belongs to the value. */
    for (const char *at = text ? json_string_value(value) : ""; list && *at;) {
        size_t n = 0;
        while (at[n] && !(at[n] == ',' && at[n + 1] && at[n + 1] != ' ' &&
                          !(n > 0 && strchr("0123456789", at[n - 1]) && strchr("0123456789", at[n + 1]))))
            n++;
        if (json_array_append_new(list, icecat_text(at, n)) != 0) status = memory(m);
        at += n + (at[n] == ',');
    }
    json_t *result = text ? list : json_incref((json_t *)(uintptr_t)value);
    if (list && json_array_size(list) == 1) {
        result = json_incref(json_array_get(list, 0));
        json_decref(list);
    }
    bool nothing = key.len == 0 || (list && json_is_array(result) && json_array_size(result) == 0);
    if (status == AG_OK && !nothing)
        status = add_attribute(m, key.data, result);
    else
        json_decref(result);
    ag_str_free(&key);
    return status;
}

static ag_status add_attributes(const maker *m, const json_t *object)
{
    const char *name;
    json_t *value;
    if (!json_is_object(object))
        return set(m, m->item, "attributes", json_incref((json_t *)(uintptr_t)object));
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        ag_status status = (m->map->flags & AG_RECORD_ICECAT) && is_icecat(name)
                               ? add_icecat(m, name, value)
                               : add_attribute(m, name, json_incref(value));
        if (status != AG_OK) return status;
    }
    return AG_OK;
}

/* --- fields
 * ------------------------------------------------------------------------------------------------- */

static ag_status put_tier(maker *m, const json_t *value)
{
    const char *tier;
    if (!m->labels) return set(m, m->gold, "tier", as_text(value));
    ag_status status = ag_labels_tier(m->labels, value, m->path, m->line, &tier, m->err);
    if (status != AG_OK) return status;
    m->left_out |= !tier;
    return tier ? set(m, m->gold, "tier", json_string(tier)) : AG_OK;
}

/* One rating; empty is 'cannot judge'. by NULL: r1, r2, ... by place. */
static ag_status add_rating(maker *m, const char *by, const json_t *value)
{
    char place[16];
    const char *tier = NULL;
    json_t *text = NULL;
    snprintf(place, sizeof place, "r%zu", json_array_size(m->ratings) + 1);
    if (is_empty(value)) {
        text = json_null();
    } else if (m->labels) {
        ag_status status = ag_labels_tier(m->labels, value, m->path, m->line, &tier, m->err);
        if (status != AG_OK) return status;
        text = tier ? json_string(tier) : json_null();
    } else {
        text = as_text(value);
    }
    json_t *rating = text ? json_pack("{s:s, s:o}", "by", by ? by : place, "tier", text) : NULL;
    if (!rating || json_array_append_new(m->ratings, rating) != 0) return memory(m);
    return AG_OK;
}

static ag_status put_ratings(maker *m, const json_t *value)
{
    if (!json_is_array(value)) return add_rating(m, NULL, value);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *one = json_array_get(value, i);
        const json_t *tier = json_is_object(one) ? json_object_get(one, "tier") : one;
        ag_status status = add_rating(m, json_string_value(json_object_get(one, "by")), tier);
        if (status != AG_OK) return status;
    }
    return AG_OK;
}

/* A table spells several types as "negation|question". */
static ag_status put_type(const maker *m, const json_t *value)
{
    const char *text = json_string_value(value);
    if (!text || !strchr(text, '|')) return set(m, m->top, "type", as_text(value));
    json_t *list = json_array();
    while (list && *text) {
        size_t n = strcspn(text, "|");
        if (n > 0 && json_array_append_new(list, json_stringn(text, n)) != 0) {
            json_decref(list);
            return memory(m);
        }
        text += n + (text[n] == '|');
    }
    return set(m, m->top, "type", list);
}

static ag_status put_asked(const maker *m, const json_t *value)
{
    json_t *parsed;
    if (!json_is_string(value)) return set(m, m->top, "asked", json_incref((json_t *)(uintptr_t)value));
    ag_status status = ag_json_parse(&parsed, json_string_value(value), json_string_length(value), m->path,
                                     m->line, m->err);
    if (status != AG_OK) {
        ag_error_prefix(m->err, "asked");
        return status;
    }
    return set(m, m->top, "asked", parsed);
}

/* Text that is a number becomes one; other text stays for ag_pair_from_json to refuse. */
static ag_status put_price(const maker *m, const json_t *value, double unit)
{
    double x;
    bool number = json_is_number(value);
    if (number)
        x = json_number_value(value);
    else
        number = json_is_string(value) && ag_number_parse(json_string_value(value), &x);
    if (!number) return set(m, m->item, "price", json_incref((json_t *)(uintptr_t)value));
    x /= unit;
    bool whole = x < 1e15 && x > -1e15 && x == floor(x);
    return set(m, m->item, "price", whole ? json_integer((json_int_t)x) : json_real(x));
}

/* A member under its own name beside the query or in the item; names of the pair format that the map has
 * not taken are not what they look like and get another. */
static ag_status keep(const maker *m, json_t *object, const char *name, const json_t *value)
{
    static const char *const taken[2][16] = {
        {"id", "query", "type", "item", "asked", "asked_source", "gold", "ratings", "locale", "url", "image"},
        {"id", "title", "brand", "category", "price", "description", "attributes"}};
    const char *const *names = taken[object == m->item];
    char other[AG_PAIR_ID_MAX];
    for (int i = 0; names[i]; i++) {
        if (strcmp(names[i], name) != 0) continue;
        snprintf(other, sizeof other, "source_%s", name);
        name = other;
        break;
    }
    return set(m, object, name, json_incref((json_t *)(uintptr_t)value));
}

static ag_status put(maker *m, const entry *e, const json_t *value)
{
    const char *key = e->to->key ? e->to->key : e->to->name;
    switch (e->to->kind) {
    case TO_QUERY:
    case TO_TOP_TEXT: return set(m, m->top, key, as_text(value));
    case TO_TYPE: return put_type(m, value);
    case TO_TIER: return put_tier(m, value);
    case TO_GOLD_TEXT: return set(m, m->gold, key, as_text(value));
    case TO_RATING: return add_rating(m, e->name, value);
    case TO_RATINGS: return put_ratings(m, value);
    case TO_ASKED: return put_asked(m, value);
    case TO_ITEM_TEXT: return set(m, m->item, key, as_text(value));
    case TO_TITLE:
    case TO_PROSE: return put_prose(m, m->item, key, value);
    case TO_TEXT: m->text = json_incref((json_t *)(uintptr_t)value); return AG_OK;
    case TO_PRICE: return put_price(m, value, 1);
    case TO_CENTS: return put_price(m, value, 100);
    case TO_ATTRIBUTES: return add_attributes(m, value);
    case TO_ATTRIBUTE: return add_attribute(m, e->name, json_incref((json_t *)(uintptr_t)value));
    case TO_FEATURES:
        return json_is_string(value) ? add_features(m, json_string_value(value)) : add_attributes(m, value);
    case TO_KEEP: return keep(m, m->top, e->column, value);
    case TO_ITEM_KEEP: return keep(m, m->item, e->column, value);
    case TO_NOTHING: return AG_OK;
    }
    return AG_OK;
}

/* First line the title, the rest the description, when no column gave a title. */
static ag_status use_text(const maker *m)
{
    if (!m->text || !json_is_string(m->text) || !is_empty(json_object_get(m->item, "title"))) return AG_OK;
    const char *text = json_string_value(m->text);
    size_t n = strcspn(text, "\n");
    json_t *title = json_stringn(text, n), *rest = json_string(text + n + (text[n] == '\n'));
    ag_status status = title && rest ? put_prose(m, m->item, "title", title) : memory(m);
    if (status == AG_OK && !is_empty(rest) && !json_object_get(m->item, "description"))
        status = put_prose(m, m->item, "description", rest);
    json_decref(title);
    json_decref(rest);
    return status;
}

/* --- assembly
 * ----------------------------------------------------------------------------------------------- */

/* Members named in order first, then the rest as it stands. */
static json_t *in_order(const json_t *object, const char *const *order)
{
    json_t *out = json_object();
    for (; out && *order; order++) {
        json_t *value = json_object_get(object, *order);
        if (value && json_object_set(out, *order, value) != 0) goto fail;
    }
    if (out && !ag_object_add_missing(out, object)) goto fail;
    return out;
fail:
    json_decref(out);
    return NULL;
}

static ag_status assemble(maker *m, json_t **json)
{
    static const char *const item_order[] = {"id",    "title",       "brand",      "category",
                                             "price", "description", "attributes", NULL};
    static const char *const pair_order[] = {"id",    "query", "type",    "locale", "item",
                                             "asked", "gold",  "ratings", NULL};
    ag_status status = use_text(m);
    if (status == AG_OK && json_object_size(m->attributes) > 0)
        status = set(m, m->item, "attributes", json_incref(m->attributes));
    if (status != AG_OK) return status;
    json_t *item = in_order(m->item, item_order);
    if (!item) return memory(m);
    if (m->map->flags & AG_RECORD_ITEM) {
        *json = item;
        return AG_OK;
    }
    if ((status = set(m, m->top, "item", item)) != AG_OK) return status;
    if (json_object_size(m->gold) > 0) status = set(m, m->top, "gold", json_incref(m->gold));
    if (status == AG_OK && json_array_size(m->ratings) > 0)
        status = set(m, m->top, "ratings", json_incref(m->ratings));
    if (status == AG_OK && !(*json = in_order(m->top, pair_order))) status = memory(m);
    return status;
}

/* What the map takes. */
static ag_status take_mapped(maker *m, const json_t *record, bool taken[ENTRY_MAX])
{
    uint64_t given = 0; /* fields that have a value, by their place in the table */
    for (int i = 0; i < m->map->count; i++) {
        entry *e = &m->map->entries[i];
        const json_t *value = json_object_get(record, e->column);
        bool rating = e->to->kind == TO_RATING;
        if (value) e->used = true;
        if (!value || (is_empty(value) && !rating)) continue;
        uint64_t bit = e->to >= fields && e->to < fields + FIELD_COUNT ? UINT64_C(1) << (e->to - fields) : 0;
        if (!e->to->many && (given & bit)) continue;
        bool again = false; /* a user's entry for this column goes before */
        for (int j = 0; j < i && !again; j++)
            again = taken[j] && strcmp(m->map->entries[j].column, e->column) == 0;
        if (again) continue;
        taken[i] = true;
        given |= bit;
        ag_status status = put(m, e, value);
        if (status != AG_OK) return status;
    }
    return AG_OK;
}

static ag_status take_rest(maker *m, const json_t *record, const bool taken[ENTRY_MAX])
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)record, name, value)
    {
        bool done = is_empty(value);
        for (int i = 0; i < m->map->count && !done; i++)
            done = taken[i] && strcmp(m->map->entries[i].column, name) == 0;
        if (done) continue;
        ag_status status;
        if ((m->map->flags & AG_RECORD_ICECAT) && is_icecat(name))
            status = add_icecat(m, name, value);
        else
            status = keep(m, m->map->flags & AG_RECORD_ITEM ? m->item : m->top, name, value);
        if (status != AG_OK) return status;
    }
    return AG_OK;
}

ag_status ag_record_apply(ag_record_map *map, const json_t *record, const ag_labels *labels, const char *path,
                          long line, json_t **json, ag_record_outcome *outcome, ag_error *err)
{
    bool taken[ENTRY_MAX] = {false};
    maker m = {.map = map, .labels = labels, .path = path, .line = line, .err = err};
    ag_status status;
    *json = NULL;
    *outcome = AG_RECORD_OK;
    if (!json_is_object(record))
        return ag_fail(err, AG_ERR_INPUT, "%s:%ld: a record must be a JSON object", path, line);
    m.top = json_object();
    m.item = json_object();
    m.attributes = json_object();
    m.gold = json_object();
    m.ratings = json_array();
    if (!m.top || !m.item || !m.attributes || !m.gold || !m.ratings) {
        status = memory(&m);
        goto out;
    }
    if ((status = take_mapped(&m, record, taken)) != AG_OK) goto out;
    if (m.left_out) {
        *outcome = AG_RECORD_LEFT_OUT;
        goto out;
    }
    if ((status = take_rest(&m, record, taken)) != AG_OK) goto out;
    if ((status = assemble(&m, json)) != AG_OK) goto out;
    if (is_empty(json_object_get(m.item, "title"))) *outcome = AG_RECORD_NO_TITLE;
out:
    json_decref(m.top);
    json_decref(m.item);
    json_decref(m.attributes);
    json_decref(m.gold);
    json_decref(m.ratings);
    json_decref(m.text);
    return status;
}
