/* book_attributes.c: the `attributes` of a rulebook: what a query may ask for, where an item's value stands, and when
 * two values are the same.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rules/book_parse.h"

static const char *const importance_names[] = {"minor", "core"};
static const char *const compare_names[] = {"text", "number", "set", "code"}; /* order of ag_compare */

/* `near: 10%` or `near: 0.5` (in base units). */
static ag_status read_near(ag_book_reader *r, const ag_yaml *node, ag_attribute *attribute)
{
    char number[64];
    const char *text = NULL;
    if (!node) return AG_OK;
    AG_TRY(ag_book_text(r, node, "near", &text));
    size_t n = strlen(text);
    attribute->near_relative = n > 1 && text[n - 1] == '%';
    if (attribute->near_relative) n--;
    if (n >= sizeof(number)) n = 0;
    memcpy(number, text, n);
    number[n] = '\0';
    if (!ag_number_parse(number, &attribute->near) || attribute->near < 0)
        return ag_yaml_fail(r->err, r->where, node,
                            "near must be a number from 0, or a percentage such as 10%%");
    if (attribute->near_relative) attribute->near /= 100;
    return AG_OK;
}

static ag_status read_synonyms(ag_book_reader *r, const ag_yaml *node, ag_attribute *attribute)
{
    if (!node) return AG_OK;
    if (node->kind != AG_YAML_LIST)
        return ag_yaml_fail(r->err, r->where, node,
                            "synonyms must be a list of groups: [[navy, dark blue], ...]");
    attribute->synonyms = ag_arena_alloc(&r->book->arena, (size_t)node->count, sizeof(*attribute->synonyms));
    if (!attribute->synonyms) return ag_book_memory(r);
    for (int g = 0; g < node->count; g++) {
        const ag_yaml *group = node->values[g];
        const char **items = NULL;
        int count = 0;
        if (group->kind != AG_YAML_LIST || group->count < 2)
            return ag_yaml_fail(r->err, r->where, group,
                                "a group of synonyms is a list of two or more texts");
        AG_TRY(ag_book_texts(r, group, "a synonym", &items, &count));
        attribute->synonyms[attribute->synonym_count++] = items; /* one longer than count: NULL ends it */
    }
    return AG_OK;
}

/* A map from one text to one or several, flattened into pairs. */
static ag_status read_pairs(ag_book_reader *r, const ag_yaml *node, const char *what, const char ***left,
                            const char ***right, int *count)
{
    size_t total = 0, n = 0;
    if (!node) return AG_OK;
    if (node->kind != AG_YAML_MAP) return ag_yaml_fail(r->err, r->where, node, "%s must be a map", what);
    for (int i = 0; i < node->count; i++)
        total += node->values[i]->kind == AG_YAML_SCALAR ? 1 : (size_t)node->values[i]->count;
    *left = ag_arena_alloc(&r->book->arena, total, sizeof(**left));
    *right = ag_arena_alloc(&r->book->arena, total, sizeof(**right));
    if (!*left || !*right) return ag_book_memory(r);
    for (int i = 0; i < node->count; i++) {
        const char **values = NULL;
        int value_count = 0;
        AG_TRY(ag_book_texts(r, node->values[i], what, &values, &value_count));
        for (int v = 0; v < value_count; v++) {
            (*left)[n] = node->keys[i]->text;
            (*right)[n++] = values[v];
        }
    }
    *count = (int)n;
    return AG_OK;
}

static ag_status read_units(ag_book_reader *r, const ag_yaml *node, ag_attribute *attribute)
{
    if (!node) return AG_OK;
    if (node->kind != AG_YAML_MAP)
        return ag_yaml_fail(r->err, r->where, node, "units must be a map: {ml: 0.001, l: 1}");
    if (attribute->compare != AG_COMPARE_NUMBER)
        return ag_yaml_fail(r->err, r->where, node, "units are for attributes with `compare: number`");
    attribute->units = ag_arena_alloc(&r->book->arena, (size_t)node->count, sizeof(*attribute->units));
    if (!attribute->units) return ag_book_memory(r);
    for (int i = 0; i < node->count; i++) {
        ag_unit *unit = &attribute->units[i];
        unit->name = node->keys[i]->text;
        AG_TRY(ag_yaml_double(node->values[i], r->where, "the factor of a unit", &unit->factor, r->err));
        if (!(unit->factor > 0))
            return ag_yaml_fail(r->err, r->where, node->values[i], "the factor of a unit must be above 0");
    }
    attribute->unit_count = node->count;
    return AG_OK;
}

/* --- no value may be its own ancestor ----------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int index_of(const char *const *names, int n, const char *name)
{
    const char *const *found = bsearch(&name, names, (size_t)n, sizeof(*names), by_text);
    return (int)(found - names); /* every name is there */
}

static const char *folded(ag_arena *arena, const char *text)
{
    ag_str out = {0};
    const char *copy = NULL;
    if (ag_text_fold(&out, text, strlen(text), NULL) == AG_OK && !out.failed)
        copy = ag_arena_strdup(arena, ag_str_text(&out));
    ag_str_free(&out);
    return copy;
}

/* Takes away, round by round, pairs whose child is no parent of a pair that is left; whatever stays lies on or above
 * a circle. `scratch` holds the work. *circle is an index of such a pair, or -1. */
static bool find_circle(ag_arena *scratch, const ag_attribute *attribute, int *circle)
{
    int n = attribute->parent_count, names = 0, head = 0, tail = 0;
    const char **name = ag_arena_alloc(scratch, 2 * (size_t)n, sizeof(*name));
    const char **child = ag_arena_alloc(scratch, (size_t)n, sizeof(*child));
    const char **parent = ag_arena_alloc(scratch, (size_t)n, sizeof(*parent));
    int *up = ag_arena_alloc(scratch, (size_t)n, sizeof(*up));           /* parent's number           */
    int *next = ag_arena_alloc(scratch, (size_t)n, sizeof(*next));       /* next pair of that child   */
    int *first = ag_arena_alloc(scratch, 2 * (size_t)n, sizeof(*first)); /* first pair of a child, +1 */
    int *below = ag_arena_alloc(scratch, 2 * (size_t)n, sizeof(*below)); /* pairs that name it parent */
    int *queue = ag_arena_alloc(scratch, 2 * (size_t)n, sizeof(*queue));
    bool *done = ag_arena_alloc(scratch, (size_t)n, sizeof(*done));
    if (!name || !child || !parent || !up || !next || !first || !below || !queue || !done) return false;
    for (int i = 0; i < n; i++) {
        name[2 * i] = child[i] = folded(scratch, attribute->child[i]);
        name[2 * i + 1] = parent[i] = folded(scratch, attribute->parent[i]);
        if (!child[i] || !parent[i]) return false;
    }
    qsort(name, 2 * (size_t)n, sizeof(*name), by_text);
    for (int i = 0; i < 2 * n; i++)
        if (names == 0 || strcmp(name[names - 1], name[i]) != 0) name[names++] = name[i];
    for (int i = 0; i < n; i++) {
        int c = index_of(name, names, child[i]);
        up[i] = index_of(name, names, parent[i]);
        below[up[i]]++;
        next[i] = first[c];
        first[c] = i + 1;
    }
    for (int i = 0; i < names; i++)
        if (below[i] == 0) queue[tail++] = i;
    for (; head < tail; head++)
        for (int e = first[queue[head]]; e; e = next[e - 1]) {
            done[e - 1] = true;
            if (--below[up[e - 1]] == 0) queue[tail++] = up[e - 1];
        }
    *circle = -1;
    for (int i = 0; i < n && *circle < 0; i++)
        if (!done[i]) *circle = i;
    return true;
}

static ag_status check_parents(ag_book_reader *r, const ag_yaml *node, const ag_attribute *attribute)
{
    if (attribute->parent_count == 0) return AG_OK;
    ag_arena scratch = {.name = "parents"};
    int circle = -1;
    bool done = find_circle(&scratch, attribute, &circle);
    ag_arena_free(&scratch);
    if (!done) return ag_book_memory(r);
    if (circle < 0) return AG_OK;
    return ag_yaml_fail(r->err, r->where, node, "parents go round in a circle at '%s: %s'",
                        attribute->child[circle], attribute->parent[circle]);
}

/* --- one attribute, all attributes -------------------------------------------------------------------------- */

static ag_status read_attribute(ag_book_reader *r, const ag_yaml *node, ag_attribute *attribute)
{
    static const char *const keys[] = {"importance", "compare", "near",   "fields", "weak_fields",
                                       "synonyms",   "parents", "covers", "units",  "missing"};
    static const char *const missing_names[] = {"verdict", "unclear"};
    int core = attribute->core, compare = (int)attribute->compare, missing = 0;
    AG_TRY(ag_yaml_known_keys(node, r->where, keys, sizeof(keys) / sizeof(keys[0]), r->err));
    AG_TRY(ag_book_choice(r, ag_book_member(node, "importance"), "importance", importance_names, 2, &core));
    AG_TRY(ag_book_choice(r, ag_book_member(node, "compare"), "compare", compare_names, 4, &compare));
    AG_TRY(ag_book_choice(r, ag_book_member(node, "missing"), "missing", missing_names, 2, &missing));
    attribute->core = core == 1;
    attribute->missing_unclear = missing == 1;
    attribute->compare = (ag_compare)compare;
    AG_TRY(read_near(r, ag_book_member(node, "near"), attribute));
    AG_TRY(ag_book_texts(r, ag_book_member(node, "fields"), "fields", &attribute->fields,
                         &attribute->field_count));
    AG_TRY(ag_book_texts(r, ag_book_member(node, "weak_fields"), "weak_fields", &attribute->weak_fields,
                         &attribute->weak_count));
    AG_TRY(read_synonyms(r, ag_book_member(node, "synonyms"), attribute));
    AG_TRY(read_pairs(r, ag_book_member(node, "parents"), "parents", &attribute->child, &attribute->parent,
                      &attribute->parent_count));
    AG_TRY(check_parents(r, ag_book_member(node, "parents"), attribute));
    AG_TRY(read_pairs(r, ag_book_member(node, "covers"), "covers", &attribute->cover, &attribute->covered,
                      &attribute->cover_count));
    return read_units(r, ag_book_member(node, "units"), attribute);
}

ag_status ag_book_read_attributes(ag_book_reader *r, const ag_yaml *node)
{
    ag_book *book = r->book;
    int count = node ? node->count : 0;
    if (node && node->kind != AG_YAML_MAP)
        return ag_yaml_fail(r->err, r->where, node, "attributes must be a map (name: {...})");
    if (count > AG_MAX_ATTRIBUTES)
        return ag_yaml_fail(r->err, r->where, node, "more than %d attributes", AG_MAX_ATTRIBUTES);
    book->attributes = ag_arena_alloc(&book->arena, (size_t)count + 1, sizeof(*book->attributes));
    if (!book->attributes) return ag_book_memory(r);
    ag_attribute *row = book->attributes;
    row[0] = (ag_attribute){.name = "default", .compare = AG_COMPARE_TEXT};
    book->attribute_count = 1;
    const ag_yaml *general = node ? ag_book_member(node, "default") : NULL;
    if (general) AG_TRY(read_attribute(r, general, &row[0]));
    for (int i = 0; i < count; i++) {
        if (strcmp(node->keys[i]->text, "default") == 0) continue;
        ag_attribute *made = &row[book->attribute_count];
        AG_TRY(ag_book_id(r, node->keys[i], "an attribute's name", &made->name));
        made->core = row[0].core; /* importance and comparison come from `default`, all else does not */
        made->compare = row[0].compare;
        made->near = row[0].near;
        made->near_relative = row[0].near_relative;
        if (!ag_yaml_is_null(node->values[i])) AG_TRY(read_attribute(r, node->values[i], made));
        book->attribute_count++;
    }
    return AG_OK;
}
