/* lexicon.c: what the parser knows of a catalogue: the values of the book's attributes, categories, product names.
 *
 * Built once from the items, or loaded from the JSON that synth writes beside its pairs. Numbers of attributes that
 * compare as numbers are not listed: the parser reads them by their units.
 */
#include "rules/lexicon.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "rules/facts_kind.h"

enum { VALUE_BYTES = 64 };

ag_status ag_lexicon_bare(ag_lexicon **lexicon, const ag_facts *facts, const ag_book *book, ag_error *err)
{
    ag_lexicon *lx = ag_calloc(1, sizeof *lx);
    if (!lx) return ag_fail_memory(err, "lexicon");
    lx->arena.name = "lexicon";
    lx->facts = facts;
    lx->book = book;
    lx->phrases.arena = lx->usual.arena = &lx->arena;
    *lexicon = lx;
    return AG_OK;
}

ag_status ag_lexicon_open(ag_lexicon **lexicon, const ag_facts *facts, const ag_book *book, const char *path,
                          ag_error *err)
{
    return path && *path ? ag_lexicon_load(lexicon, facts, book, path, err)
                         : ag_lexicon_create(lexicon, facts, book, err);
}

void ag_lexicon_free(ag_lexicon *lx)
{
    if (!lx) return;
    ag_map_free(&lx->phrases);
    ag_map_free(&lx->usual);
    ag_free(lx->usual_count);
    ag_free(lx->lexemes);
    ag_words_free(&lx->words);
    ag_arena_free(&lx->arena);
    ag_free(lx);
}

int ag_lexicon_find(const ag_lexicon *lx, const char *normal, size_t len)
{
    return ag_map_get(&lx->phrases, normal, len);
}

bool ag_lexicon_needs_name(const char *normal, size_t len)
{
    size_t digits = 0;
    for (size_t i = 0; i < len; i++)
        digits += (normal[i] >= '0' && normal[i] <= '9') || normal[i] == '.' || normal[i] == ' ';
    return digits == len || (len <= 2 && (unsigned char)normal[0] < 0x80);
}

/* --- adding ------------------------------------------------------------------------------------------------ */

/* Adds a meaning to a phrase, or counts it. Of several spellings with one normal form the smallest is shown, so that
 * the order of items does not matter. */
static ag_status add(ag_lexicon *lx, const char *phrase, const ag_lexeme *meaning, ag_error *err)
{
    bool made;
    ag_status status = ag_words_split(&lx->words, phrase, lx->facts->english, err);
    if (status != AG_OK || lx->words.count == 0 || lx->words.count > AG_LEXICON_WORDS) return status;
    const char *normal = lx->words.text.data;
    size_t len = lx->words.text.len;
    if (meaning->meaning == AG_MEANS_VALUE && ag_map_find(&lx->facts->phrases, normal, len)) return AG_OK;
    if (!ag_grow(&lx->lexemes, &lx->cap, lx->count + 1, sizeof *lx->lexemes))
        return ag_fail_memory(err, "lexicon");
    ag_map_entry *e = ag_map_put(&lx->phrases, normal, len, -1, &made);
    if (!e) return ag_fail_memory(err, "lexicon");
    for (int i = e->value; i >= 0; i = lx->lexemes[i].next) {
        ag_lexeme *have = &lx->lexemes[i];
        if (have->meaning != meaning->meaning || have->row != meaning->row ||
            !ag_streq(have->attribute, meaning->attribute))
            continue;
        if (have->meaning == AG_MEANS_CATEGORY && !ag_streq(have->display, meaning->display)) continue;
        have->count += meaning->count;
        if (meaning->display && have->display && strcmp(meaning->display, have->display) < 0 &&
            !(have->display = ag_arena_strdup(&lx->arena, meaning->display)))
            return ag_fail_memory(err, "lexicon");
        return AG_OK;
    }
    ag_lexeme lexeme = *meaning;
    if ((lexeme.attribute && !(lexeme.attribute = ag_arena_strdup(&lx->arena, lexeme.attribute))) ||
        (lexeme.display && !(lexeme.display = ag_arena_strdup(&lx->arena, lexeme.display))) ||
        (lexeme.category && !(lexeme.category = ag_arena_strdup(&lx->arena, lexeme.category))))
        return ag_fail_memory(err, "lexicon");
    lexeme.next = e->value;
    e->value = (int)lx->count;
    lx->lexemes[lx->count++] = lexeme;
    return AG_OK;
}

static ag_status add_value(ag_lexicon *lx, const char *attribute, const char *value, long count,
                           ag_error *err)
{
    if (strlen(value) > VALUE_BYTES) return AG_OK; /* a sentence, which no query repeats */
    return add(
        lx, value,
        &(ag_lexeme){.meaning = AG_MEANS_VALUE, .attribute = attribute, .display = value, .count = count},
        err);
}

/* A field's value; a list in one text counts as its parts. */
static ag_status add_values(ag_lexicon *lx, const ag_attribute *row, const char *attribute, const char *value,
                            ag_error *err)
{
    char part[VALUE_BYTES + 1];
    ag_status status = AG_OK;
    if (row->compare == AG_COMPARE_CODE && !ag_value_is_code(value)) return AG_OK;
    if (row->compare != AG_COMPARE_SET || !strpbrk(value, ",;/|"))
        return add_value(lx, attribute, value, 1, err);
    for (const char *at = value; *at && status == AG_OK;) {
        at += strspn(at, " ");
        size_t whole = strcspn(at, ",;/|"), n = whole;
        while (n && at[n - 1] == ' ') n--;
        if (n && n < sizeof part) {
            memcpy(part, at, n);
            part[n] = '\0';
            status = add_value(lx, attribute, part, 1, err);
        }
        at += whole;
        if (*at) at++;
    }
    return status;
}

static ag_status usual_key(ag_str *key, const ag_lexicon *lx, const char *category, const char *attribute,
                           ag_error *err)
{
    ag_status status = ag_words_normal(key, category, lx->facts->english, err);
    ag_str_addc(key, '\x1f');
    ag_str_add(key, attribute);
    return status == AG_OK ? ag_str_ok(key, err) : status;
}

static ag_status add_usual(ag_lexicon *lx, const char *category, const char *attribute, long count,
                           ag_error *err)
{
    ag_str key = {0};
    ag_status status = usual_key(&key, lx, category, attribute, err);
    bool made = false;
    if (status == AG_OK) {
        bool room = ag_grow(&lx->usual_count, &lx->usual_cap, lx->usual.count + 1, sizeof *lx->usual_count);
        ag_map_entry *e = room ? ag_map_put(&lx->usual, key.data, key.len, (int)lx->usual.count, &made)
                               : NULL;
        if (!e)
            status = ag_fail_memory(err, "lexicon");
        else
            lx->usual_count[e->value] = (made ? 0 : lx->usual_count[e->value]) + count;
    }
    ag_str_free(&key);
    return status;
}

long ag_lexicon_usual(const ag_lexicon *lx, const char *category, const char *attribute)
{
    ag_str key = {0};
    int at = -1;
    if (usual_key(&key, lx, category, attribute, NULL) == AG_OK)
        at = ag_map_get(&lx->usual, key.data, key.len);
    ag_str_free(&key);
    return at < 0 ? 0 : lx->usual_count[at];
}

static bool is_number_row(const ag_attribute *row)
{
    return row->compare == AG_COMPARE_NUMBER;
}

/* Adds what the item says under one attribute. */
static ag_status add_attribute(ag_lexicon *lx, const ag_item *item, const ag_attribute *row,
                               const char *attribute, const char *field, ag_error *err)
{
    ag_status status = AG_OK;
    bool any = false;
    if (strcmp(field, "brand") == 0 && item->brand && *item->brand) {
        any = true;
        if (!is_number_row(row)) status = add_values(lx, row, attribute, item->brand, err);
    }
    for (int i = 0; i < item->field_count; i++) {
        if (strcmp(item->fields[i].name, field) != 0) continue;
        any = item->fields[i].count > 0;
        for (int k = 0; k < item->fields[i].count && status == AG_OK && !is_number_row(row); k++)
            status = add_values(lx, row, attribute, item->fields[i].values[k], err);
    }
    const char *kind = ag_item_kind(item);
    if (any && status == AG_OK && kind) status = add_usual(lx, kind, attribute, 1, err);
    return status;
}

/* Product names: the fields that name one, after the brand. Not titles: a short one ("Norvik tea") is what queries say
 * of many products, and a long one is what no query says. */
static ag_status add_products(ag_lexicon *lx, const ag_item *item, ag_error *err)
{
    ag_lexeme product = {.meaning = AG_MEANS_PRODUCT, .category = ag_item_kind(item), .count = 1};
    ag_str name = {0};
    ag_status status = AG_OK;
    for (int i = 0; i < item->field_count && status == AG_OK; i++) {
        const ag_field *f = &item->fields[i];
        if (strcmp(f->name, "model") != 0 && strcmp(f->name, "name") != 0) continue;
        for (int k = 0; k < f->count && status == AG_OK; k++) {
            ag_str_clear(&name);
            if (item->brand) ag_str_addf(&name, "%s ", item->brand);
            ag_str_add(&name, f->values[k]);
            product.display = ag_str_text(&name);
            if ((status = ag_str_ok(&name, err)) == AG_OK) status = add(lx, product.display, &product, err);
        }
    }
    ag_str_free(&name);
    return status;
}

ag_status ag_lexicon_add_item(ag_lexicon *lx, const ag_item *item, ag_error *err)
{
    ag_status status = AG_OK;
    const ag_book *book = lx->book;
    for (int r = 1; r < book->attribute_count && status == AG_OK; r++) {
        const ag_attribute *row = &book->attributes[r];
        int n = row->field_count ? row->field_count : 1;
        for (int f = 0; f < n && status == AG_OK; f++)
            status = add_attribute(lx, item, row, row->name, row->field_count ? row->fields[f] : row->name,
                                   err);
    }
    /* A book that names no attribute asks for whatever the catalogue states. */
    for (int i = 0; i < item->field_count && status == AG_OK && book->attribute_count <= 1; i++)
        status = add_attribute(lx, item, &book->attributes[0], item->fields[i].name, item->fields[i].name,
                               err);
    const char *kind = ag_item_kind(item);
    if (status == AG_OK && kind) {
        int known = -1;
        status = ag_facts_category_index(lx->facts, kind, &known, err);
        const char *name = known >= 0 ? lx->facts->categories[known].name : kind;
        if (status == AG_OK)
            status = add(lx, kind, &(ag_lexeme){.meaning = AG_MEANS_CATEGORY, .display = name, .count = 1},
                         err);
    }
    return status == AG_OK ? add_products(lx, item, err) : status;
}

/* The words that facts and book bring: categories, related values, knowledge, names of attributes. */
ag_status ag_lexicon_create(ag_lexicon **lexicon, const ag_facts *facts, const ag_book *book, ag_error *err)
{
    ag_lexicon *lx = NULL;
    ag_status status = ag_lexicon_bare(&lx, facts, book, err);
    if (status != AG_OK) return status;
    for (int i = 0; i < facts->category_count && status == AG_OK; i++) {
        const ag_category *c = &facts->categories[i];
        ag_lexeme lexeme = {.meaning = AG_MEANS_CATEGORY, .display = c->name};
        status = add(lx, c->name, &lexeme, err);
        for (int k = 0; k < c->synonym_count && status == AG_OK; k++)
            status = add(lx, c->synonyms[k], &lexeme, err);
        for (int k = 0; k < c->query_count && status == AG_OK; k++)
            status = add(lx, c->queries[k], &lexeme, err);
    }
    for (int r = 1; r < book->attribute_count && status == AG_OK; r++) {
        const ag_attribute *row = &book->attributes[r];
        const ag_graph *g;
        status = add(lx, row->name, &(ag_lexeme){.meaning = AG_MEANS_NAME, .attribute = row->name}, err);
        if (status == AG_OK) status = ag_facts_graph(facts, book, row->name, &g, err);
        for (size_t k = 0; status == AG_OK && g && k < g->nodes.count; k++)
            status = add_value(lx, row->name, g->display[k], 0, err);
    }
    for (int i = 0; i < facts->knowledge_count && status == AG_OK; i++)
        for (int k = 0; k < facts->knowledge[i].phrase_count && status == AG_OK; k++)
            status = add(lx, facts->knowledge[i].phrases[k],
                         &(ag_lexeme){.meaning = AG_MEANS_KNOWLEDGE, .row = i}, err);
    if (status == AG_OK)
        *lexicon = lx;
    else
        ag_lexicon_free(lx);
    return status;
}

/* --- JSON -------------------------------------------------------------------------------------------------- */

/* Sets object[a][b] = value, making object[a] when needed. Takes the value. */
static bool set_in(json_t *object, const char *a, const char *b, json_t *value)
{
    json_t *inner = json_object_get(object, a);
    if (!inner) {
        inner = json_object();
        if (!inner || json_object_set_new(object, a, inner) != 0) {
            json_decref(value);
            return false;
        }
    }
    return json_object_set_new(inner, b, value) == 0;
}

static json_t *to_json(const ag_lexicon *lx)
{
    json_t *values = json_object(), *categories = json_object(), *usual = json_object(),
           *products = json_object();
    bool ok = values && categories && usual && products;
    for (size_t i = 0; i < lx->count && ok; i++) {
        const ag_lexeme *l = &lx->lexemes[i];
        if (l->count == 0) continue; /* of facts or book: comes from there again */
        if (l->meaning == AG_MEANS_VALUE)
            ok = set_in(values, l->attribute, l->display, json_integer(l->count));
        else if (l->meaning == AG_MEANS_CATEGORY)
            ok = json_object_set_new(categories, l->display, json_integer(l->count)) == 0;
        else if (l->meaning == AG_MEANS_PRODUCT)
            ok = json_object_set_new(products, l->display, json_string(l->category ? l->category : "")) == 0;
    }
    for (size_t i = 0; i < lx->usual.count && ok; i++) {
        const char *key = lx->usual.entries[i].key, *cut = strchr(key, '\x1f');
        char *category = ag_strndup(key, (size_t)(cut - key));
        ok = category &&
             set_in(usual, category, cut + 1, json_integer(lx->usual_count[lx->usual.entries[i].value]));
        ag_free(category);
    }
    json_t *root = ok ? json_pack("{s:i, s:O, s:O, s:O, s:O}", "lexicon", 1, "values", values, "categories",
                                  categories, "usual", usual, "products", products)
                      : NULL;
    json_decref(values);
    json_decref(categories);
    json_decref(usual);
    json_decref(products);
    return root;
}

ag_status ag_lexicon_save(const ag_lexicon *lx, const char *path, ag_error *err)
{
    ag_out *out;
    json_t *root = to_json(lx);
    char *text = root ? json_dumps(root, JSON_SORT_KEYS | JSON_INDENT(1)) : NULL;
    ag_status status = text ? ag_out_open(&out, path, err) : ag_fail_memory(err, "lexicon");
    if (text && status == AG_OK) {
        ag_out_printf(out, "%s\n", text);
        status = ag_out_commit(out, err);
    }
    free(text); /* jansson's own allocation */
    json_decref(root);
    return status;
}

static ag_status read_values(ag_lexicon *lx, const char *path, const char *section, const char *outer,
                             json_t *inner, ag_error *err)
{
    const char *key;
    json_t *n;
    ag_status status = AG_OK;
    if (!json_is_object(inner))
        return ag_fail(err, AG_ERR_INPUT, "%s: %s of '%s' must be an object", path, section, outer);
    json_object_foreach(inner, key, n)
    {
        if (!json_is_integer(n) || json_integer_value(n) < 0)
            return ag_fail(err, AG_ERR_INPUT, "%s: count of '%s' under '%s' must be a whole number", path,
                           key, outer);
        long count = (long)json_integer_value(n);
        status = *section == 'v' ? add_value(lx, outer, key, count, err)
                                 : add_usual(lx, outer, key, count, err);
        if (status != AG_OK) break;
    }
    return status;
}

static ag_status read_section(ag_lexicon *lx, const char *path, json_t *root, const char *section,
                              ag_error *err)
{
    json_t *object = json_object_get(root, section), *value;
    const char *key;
    ag_status status = AG_OK;
    if (!object) return AG_OK;
    if (!json_is_object(object))
        return ag_fail(err, AG_ERR_INPUT, "%s: '%s' must be an object", path, section);
    json_object_foreach(object, key, value)
    {
        if (*section == 'v' || *section == 'u') {
            status = read_values(lx, path, section, key, value, err);
        } else if (*section == 'c') {
            if (!json_is_integer(value))
                return ag_fail(err, AG_ERR_INPUT, "%s: count of category '%s' must be a whole number", path,
                               key);
            status = add(lx, key,
                         &(ag_lexeme){.meaning = AG_MEANS_CATEGORY,
                                      .display = key,
                                      .count = (long)json_integer_value(value)},
                         err);
        } else {
            const char *category = json_string_value(value);
            if (!category)
                return ag_fail(err, AG_ERR_INPUT, "%s: category of product '%s' must be a text", path, key);
            status = add(lx, key,
                         &(ag_lexeme){.meaning = AG_MEANS_PRODUCT,
                                      .display = key,
                                      .count = 1,
                                      .category = *category ? category : NULL},
                         err);
        }
        if (status != AG_OK) break;
    }
    return status;
}

ag_status ag_lexicon_load(ag_lexicon **lexicon, const ag_facts *facts, const ag_book *book, const char *path,
                          ag_error *err)
{
    static const char *const sections[] = {"values", "categories", "usual", "products"};
    json_t *root = NULL;
    ag_lexicon *lx = NULL;
    ag_status status = ag_json_load(&root, path, err);
    if (status != AG_OK) return status;
    if (!json_is_object(root) || json_integer_value(json_object_get(root, "lexicon")) != 1)
        status = ag_fail(err, AG_ERR_INPUT, "%s: not a lexicon of agrl (it needs \"lexicon\": 1)", path);
    if (status == AG_OK) status = ag_lexicon_create(&lx, facts, book, err);
    for (size_t i = 0; i < sizeof sections / sizeof *sections && status == AG_OK; i++)
        status = read_section(lx, path, root, sections[i], err);
    json_decref(root);
    if (status == AG_OK)
        *lexicon = lx;
    else
        ag_lexicon_free(lx);
    return status;
}
