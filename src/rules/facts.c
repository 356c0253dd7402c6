/* facts.c: a facts file, read. What a language and a trade know: how categories and values relate, and the words by
 * which queries ask. docs/FACTS.md is the format. Errors name file, line and column, and the nearest known name.
 */
#include "rules/facts_read.h"

#include <string.h>

#include "base/file.h"
#include "base/yaml.h"
#include "rules/book_parse.h"

const char *const ag_phrase_names[AG_PHRASE_COUNT] = {
    "not",  "not_after",  "at_most", "at_most_after", "at_least", "at_least_after", "between", "join",
    "like", "like_after", "cheaper", "fits",          "question", "currency",       "or",      "filler"};

const char *const ag_why_names[AG_WHY_COUNT] = {
    "category_else", "category_sibling", "category_related", "other",       "not",         "missing", "near",
    "at_most",       "at_least",         "between",          "like_itself", "like_dearer", "best",    "rule"};

static const char *const why_defaults[AG_WHY_COUNT] = {
    "The query wants {wanted} and the item is from {category}.",
    "The query wants {wanted}; {category} only serve a similar need.",
    "The query wants {wanted}; {category} only go with them.",
    "The query asks for {name} {value} and the item has {item}.",
    "The query excludes {name} {value} and the item has {item}.",
    "The item does not state the requested {name}.",
    "The query asks for {name} {value} and the item's {item} comes close.",
    "The query allows {name} up to {value} and the item has {item}.",
    "The query wants {name} of at least {value} and the item has {item}.",
    "The query wants {name} between {value} and the item has {item}.",
    "The query wants an alternative to {value} and the item is {item}.",
    "The query wants something cheaper than {value} and the item is dearer.",
    "The item meets all that the query asks.",
    "{rule}"};

const char *ag_facts_why_text(const ag_facts *facts, ag_why why)
{
    return facts->why[why] ? facts->why[why] : why_defaults[why];
}

/* --- lists of texts ---------------------------------------------------------------------------------------- */

/* A scalar or a list of scalars as an array of non-empty texts in the arena. */
ag_status ag_facts_read_texts(ag_facts *f, const ag_yaml *node, const char *what, const char ***texts,
                              int *count, ag_error *err)
{
    int n = node->kind == AG_YAML_LIST ? node->count : 1;
    const char **list = ag_arena_alloc(&f->arena, (size_t)n + 1, sizeof *list);
    if (!list) return ag_fail_memory(err, what);
    for (int i = 0; i < n; i++) {
        const ag_yaml *item = node->kind == AG_YAML_LIST ? node->values[i] : node;
        const char *text;
        ag_status status = ag_yaml_string(item, f->path, what, &text, err);
        if (status != AG_OK) return status;
        if (!*text) return ag_yaml_fail(err, f->path, item, "%s must not be empty", what);
        if (!(list[i] = ag_arena_strdup(&f->arena, text))) return ag_fail_memory(err, what);
    }
    *texts = list;
    *count = n;
    return AG_OK;
}

ag_status ag_facts_need_map(const ag_facts *f, const ag_yaml *node, const char *what, ag_error *err)
{
    if (node->kind == AG_YAML_MAP) return AG_OK;
    return ag_yaml_fail(err, f->path, node, "%s must be a map", what);
}

/* --- values ------------------------------------------------------------------------------------------------ */

static const char *const value_keys[] = {"synonyms", "parents", "covers"};

/* How many relations a section of `values` can hold at most. */
static size_t relation_bound(const ag_yaml *section)
{
    size_t n = 0;
    for (int i = 0; section && i < section->count; i++)
        n += section->values[i]->kind == AG_YAML_LIST ? (size_t)section->values[i]->count : 1;
    return n;
}

static ag_status read_pairs(ag_facts *f, const ag_yaml *node, const char *what, ag_edge_kind kind,
                            ag_value_facts *v, ag_error *err)
{
    ag_status status = ag_facts_need_map(f, node, what, err);
    for (int i = 0; i < node->count && status == AG_OK; i++) {
        const char **to, *from = ag_arena_strdup(&f->arena, node->keys[i]->text);
        int n;
        if (!from) return ag_fail_memory(err, what);
        if ((status = ag_facts_read_texts(f, node->values[i], what, &to, &n, err)) != AG_OK) return status;
        for (int k = 0; k < n; k++, v->count++) {
            if (ag_streq(from, to[k]))
                return ag_yaml_fail(err, f->path, node->values[i], "%s: '%s' names itself", what, from);
            v->from[v->count] = from, v->to[v->count] = to[k], v->kind[v->count] = kind;
        }
    }
    return status;
}

static ag_status read_groups(ag_facts *f, const ag_yaml *node, ag_value_facts *v, ag_error *err)
{
    if (node->kind != AG_YAML_LIST)
        return ag_yaml_fail(err, f->path, node, "synonyms must be a list of lists: [[navy, dark blue]]");
    for (int i = 0; i < node->count; i++) {
        const char **names;
        int n;
        if (node->values[i]->kind != AG_YAML_LIST || node->values[i]->count < 2)
            return ag_yaml_fail(err, f->path, node->values[i],
                                "a group of synonyms is a list of two or more");
        ag_status status = ag_facts_read_texts(f, node->values[i], "synonyms", &names, &n, err);
        if (status != AG_OK) return status;
        for (int k = 1; k < n; k++, v->count++)
            v->from[v->count] = names[0], v->to[v->count] = names[k], v->kind[v->count] = AG_EDGE_SYNONYM;
    }
    return AG_OK;
}

/* What a query asks for is named in answers, so a name here must be one that a book would accept. */
static ag_status check_asked_name(const ag_facts *f, const ag_yaml *node, const char *name, ag_error *err)
{
    const char *problem = ag_id_problem(name);
    return problem ? ag_yaml_fail(err, f->path, node, "the name '%s' %s", name, problem) : AG_OK;
}

static ag_status read_values(ag_facts *f, const ag_yaml *node, ag_error *err)
{
    ag_status status = ag_facts_need_map(f, node, "values", err);
    if (status != AG_OK) return status;
    ag_value_facts *all = ag_arena_alloc(&f->arena, (size_t)(f->value_count + node->count), sizeof *all);
    if (!all) return ag_fail_memory(err, "values");
    if (f->value_count) memcpy(all, f->values, (size_t)f->value_count * sizeof *all);
    f->values = all;
    for (int i = 0; i < node->count && status == AG_OK; i++, f->value_count++) {
        const ag_yaml *of = node->values[i];
        ag_value_facts *v = &f->values[f->value_count];
        if ((status = check_asked_name(f, node->keys[i], node->keys[i]->text, err)) != AG_OK ||
            (status = ag_facts_need_map(f, of, node->keys[i]->text, err)) != AG_OK ||
            (status = ag_yaml_known_keys(of, f->path, value_keys, sizeof value_keys / sizeof *value_keys,
                                         err)) != AG_OK)
            break;
        const ag_yaml *synonyms = ag_yaml_get(of, "synonyms"), *parents = ag_yaml_get(of, "parents");
        const ag_yaml *covers = ag_yaml_get(of, "covers");
        size_t bound = relation_bound(synonyms) + relation_bound(parents) + relation_bound(covers);
        v->attribute = ag_arena_strdup(&f->arena, node->keys[i]->text);
        v->from = ag_arena_alloc(&f->arena, bound, sizeof *v->from);
        v->to = ag_arena_alloc(&f->arena, bound, sizeof *v->to);
        v->kind = ag_arena_alloc(&f->arena, bound, sizeof *v->kind);
        if (!v->attribute || !v->from || !v->to || !v->kind) status = ag_fail_memory(err, "values");
        if (status == AG_OK && synonyms) status = read_groups(f, synonyms, v, err);
        if (status == AG_OK && parents) status = read_pairs(f, parents, "parents", AG_EDGE_PARENT, v, err);
        if (status == AG_OK && covers) status = read_pairs(f, covers, "covers", AG_EDGE_COVER, v, err);
    }
    return status;
}

/* --- phrases ----------------------------------------------------------------------------------------------- */

/* Adds to the phrases of one kind; several languages may each give their own. */
static ag_status add_phrases(ag_facts *f, const ag_yaml *node, ag_phrase kind, ag_error *err)
{
    const char **texts, **all;
    int n;
    ag_str normal = {0};
    ag_status status = ag_facts_read_texts(f, node, ag_phrase_names[kind], &texts, &n, err);
    for (int i = 0; i < n && status == AG_OK; i++) {
        const ag_yaml *at = node->kind == AG_YAML_LIST ? node->values[i] : node;
        ag_str_clear(&normal);
        if ((status = ag_words_normal(&normal, texts[i], f->english, err)) != AG_OK) break;
        if (normal.len == 0) {
            status = ag_yaml_fail(err, f->path, at, "phrase '%s' has no letters or digits", texts[i]);
            break;
        }
        ag_map_entry *e = ag_map_put(&f->phrases, normal.data, normal.len, 0, NULL);
        if (!e)
            status = ag_fail_memory(err, "phrases");
        else
            e->value |= 1 << kind;
    }
    ag_str_free(&normal);
    if (status != AG_OK) return status;
    int before = f->phrase_count[kind];
    if (!(all = ag_arena_alloc(&f->arena, (size_t)(before + n), sizeof *all)))
        return ag_fail_memory(err, "phrases");
    if (before) memcpy(all, f->phrase_text[kind], (size_t)before * sizeof *all);
    if (n) memcpy(all + before, texts, (size_t)n * sizeof *all);
    f->phrase_text[kind] = all;
    f->phrase_count[kind] = before + n;
    return AG_OK;
}

static ag_status read_phrases(ag_facts *f, const ag_yaml *node, ag_error *err)
{
    ag_status status = ag_facts_need_map(f, node, "phrases", err);
    if (status == AG_OK) status = ag_yaml_known_keys(node, f->path, ag_phrase_names, AG_PHRASE_COUNT, err);
    for (int i = 0; i < AG_PHRASE_COUNT && status == AG_OK; i++) {
        const ag_yaml *list = ag_yaml_get(node, ag_phrase_names[i]);
        if (list) status = add_phrases(f, list, (ag_phrase)i, err);
    }
    return status;
}

static ag_status read_why(ag_facts *f, const ag_yaml *node, ag_error *err)
{
    ag_status status = ag_facts_need_map(f, node, "why", err);
    if (status == AG_OK) status = ag_yaml_known_keys(node, f->path, ag_why_names, AG_WHY_COUNT, err);
    for (int i = 0; i < AG_WHY_COUNT && status == AG_OK; i++) {
        const ag_yaml *text = ag_yaml_get(node, ag_why_names[i]);
        const char *s;
        if (!text) continue;
        if ((status = ag_yaml_string(text, f->path, ag_why_names[i], &s, err)) != AG_OK) break;
        if (strchr(s, '\n')) return ag_yaml_fail(err, f->path, text, "a reason is one line");
        if (!(f->why[i] = ag_arena_strdup(&f->arena, s))) return ag_fail_memory(err, "why");
    }
    return status;
}

/* --- knowledge --------------------------------------------------------------------------------------------- */

static const char *const knowledge_keys[] = {"phrases", "asked", "categories"};
static const char *const asked_keys[] = {"name", "op", "value"};

static ag_status read_ask(ag_facts *f, const ag_yaml *node, ag_ask *ask, ag_error *err)
{
    const char *text;
    ag_status status = ag_facts_need_map(f, node, "an entry of asked", err);
    if (status == AG_OK) status = ag_yaml_known_keys(node, f->path, asked_keys, 3, err);
    if (status != AG_OK) return status;
    const ag_yaml *name = ag_yaml_get(node, "name"), *op = ag_yaml_get(node, "op"),
                  *value = ag_yaml_get(node, "value");
    if (!name || !value)
        return ag_yaml_fail(err, f->path, node, "an entry of asked needs 'name' and 'value'");
    if ((status = ag_yaml_string(name, f->path, "name", &text, err)) != AG_OK) return status;
    if ((status = check_asked_name(f, name, text, err)) != AG_OK) return status;
    if (!(ask->name = ag_arena_strdup(&f->arena, text))) return ag_fail_memory(err, "asked");
    if (op) {
        if ((status = ag_yaml_string(op, f->path, "op", &text, err)) != AG_OK) return status;
        int k = 0;
        while (k < 6 && strcmp(ag_op_names[k], text) != 0) k++;
        if (k == 6) {
            ag_suggestion near = ag_suggest(text, ag_op_names, 6);
            return ag_yaml_fail(err, f->path, op, "unknown op '%s'%s", text,
                                *near.text ? near.text : "; did you mean 'is'?");
        }
        ask->op = (ag_op)k;
    }
    if ((status = ag_facts_read_texts(f, value, "value", &ask->values, &ask->value_count, err)) != AG_OK)
        return status;
    if (ask->value_count == 0) return ag_yaml_fail(err, f->path, value, "value must not be empty");
    if (ask->op == AG_OP_BETWEEN && ask->value_count != 2)
        return ag_yaml_fail(err, f->path, value, "between needs exactly two values");
    ask->negated = ask->op == AG_OP_NOT;
    return AG_OK;
}

static ag_status read_knowledge(ag_facts *f, const ag_yaml *node, ag_error *err)
{
    if (node->kind != AG_YAML_LIST) return ag_yaml_fail(err, f->path, node, "knowledge must be a list");
    ag_knowledge *all = ag_arena_alloc(&f->arena, (size_t)(f->knowledge_count + node->count), sizeof *all);
    if (!all) return ag_fail_memory(err, "knowledge");
    if (f->knowledge_count) memcpy(all, f->knowledge, (size_t)f->knowledge_count * sizeof *all);
    f->knowledge = all;
    for (int i = 0; i < node->count; i++, f->knowledge_count++) {
        ag_knowledge *k = &f->knowledge[f->knowledge_count];
        const ag_yaml *row = node->values[i];
        ag_status status = ag_facts_need_map(f, row, "an entry of knowledge", err);
        if (status == AG_OK) status = ag_yaml_known_keys(row, f->path, knowledge_keys, 3, err);
        if (status != AG_OK) return status;
        const ag_yaml *phrases = ag_yaml_get(row, "phrases"), *asked = ag_yaml_get(row, "asked");
        const ag_yaml *categories = ag_yaml_get(row, "categories");
        if (!phrases || !asked)
            return ag_yaml_fail(err, f->path, row, "an entry of knowledge needs 'phrases' and 'asked'");
        if (asked->kind != AG_YAML_LIST || asked->count > AG_MAX_ASKED)
            return ag_yaml_fail(err, f->path, asked, "asked must be a list of at most %d entries",
                                AG_MAX_ASKED);
        status = ag_facts_read_texts(f, phrases, "phrases", &k->phrases, &k->phrase_count, err);
        if (status == AG_OK && categories)
            status = ag_facts_read_texts(f, categories, "categories", &k->categories, &k->category_count,
                                         err);
        if (status == AG_OK &&
            !(k->asked = ag_arena_alloc(&f->arena, (size_t)asked->count, sizeof *k->asked)))
            status = ag_fail_memory(err, "knowledge");
        for (int a = 0; a < asked->count && status == AG_OK; a++, k->asked_count++)
            status = read_ask(f, asked->values[a], &k->asked[a], err);
        if (status != AG_OK) return status;
    }
    return AG_OK;
}

/* --- the file ---------------------------------------------------------------------------------------------- */

static ag_status read_text_fields(ag_facts *f, const ag_yaml *node, ag_error *err)
{
    const char **names;
    int n;
    if (node->kind == AG_YAML_LIST && node->count == 0) {
        f->text_title = f->text_description = false;
        return AG_OK;
    }
    ag_status status = ag_facts_read_texts(f, node, "text_fields", &names, &n, err);
    f->text_title = f->text_description = false;
    for (int i = 0; i < n && status == AG_OK; i++) {
        if (strcmp(names[i], "title") == 0)
            f->text_title = true;
        else if (strcmp(names[i], "description") == 0)
            f->text_description = true;
        else
            status = ag_yaml_fail(err, f->path, node, "text_fields can be title and description, not '%s'",
                                  names[i]);
    }
    return status;
}

static ag_status read_type_fields(ag_facts *f, const ag_yaml *node, ag_error *err)
{
    return ag_facts_read_texts(f, node, "type_fields", &f->type_fields, &f->type_field_count, err);
}

/* Words in normal form, added to a set that is asked for one word at a time. */
static ag_status add_words(ag_facts *f, const ag_yaml *node, const char *what, ag_map *set, ag_error *err)
{
    const char **texts;
    int n;
    ag_str normal = {0};
    ag_status status = ag_facts_read_texts(f, node, what, &texts, &n, err);
    for (int i = 0; i < n && status == AG_OK; i++) {
        const ag_yaml *at = node->kind == AG_YAML_LIST ? node->values[i] : node;
        ag_str_clear(&normal);
        if ((status = ag_words_normal(&normal, texts[i], f->english, err)) != AG_OK) break;
        if (normal.len == 0 || strchr(normal.data, ' '))
            status = ag_yaml_fail(err, f->path, at, "%s: '%s' is not one word", what, texts[i]);
        else if (!ag_map_put(set, normal.data, normal.len, 1, NULL))
            status = ag_fail_memory(err, what);
    }
    ag_str_free(&normal);
    return status;
}

static ag_status read_aside(ag_facts *f, const ag_yaml *node, ag_error *err)
{
    return add_words(f, node, "aside", &f->aside, err);
}

static ag_status read_vague(ag_facts *f, const ag_yaml *node, ag_error *err)
{
    return add_words(f, node, "vague", &f->vague, err);
}

static ag_status read_wider(ag_facts *f, const ag_yaml *node, ag_error *err)
{
    const char *text;
    ag_status status = ag_yaml_string(node, f->path, "wider", &text, err);
    if (status != AG_OK) return status;
    f->wider_unclear = strcmp(text, "unclear") == 0;
    if (!f->wider_unclear && strcmp(text, "sibling") != 0)
        return ag_yaml_fail(err, f->path, node, "wider can be 'sibling' or 'unclear', not '%s'", text);
    return AG_OK;
}

static ag_status read_name(ag_facts *f, const ag_yaml *root, const char *key, const char **value,
                           ag_error *err)
{
    const ag_yaml *node = ag_yaml_get(root, key);
    const char *text;
    if (!node) return AG_OK;
    ag_status status = ag_yaml_string(node, f->path, key, &text, err);
    if (status == AG_OK && !(*value = ag_arena_strdup(&f->arena, text))) status = ag_fail_memory(err, key);
    return status;
}

/* Further languages: phrases only, all understood at once. */
static ag_status read_also(ag_facts *f, const ag_yaml *node, ag_error *err)
{
    static const char *const keys[] = {"phrases"};
    ag_status status = ag_facts_need_map(f, node, "also", err);
    for (int i = 0; i < node->count && status == AG_OK; i++) {
        const ag_yaml *language = node->values[i];
        if ((status = ag_facts_need_map(f, language, "a language", err)) != AG_OK) break;
        if ((status = ag_yaml_known_keys(language, f->path, keys, 1, err)) != AG_OK) break;
        const ag_yaml *phrases = ag_yaml_get(language, "phrases");
        if (phrases) status = read_phrases(f, phrases, err);
    }
    return status;
}

/* A file that builds on another (`based`) must take off plurals as that one did: its words are in the maps already. */
static ag_status read_language(ag_facts *f, const ag_yaml *root, bool based, ag_error *err)
{
    const char *before = f->language;
    bool was = f->english;
    ag_status status = read_name(f, root, "language", &f->language, err);
    if (status != AG_OK) return status;
    f->english = strncmp(f->language, "en", 2) == 0;
    if (!based || f->english == was) return AG_OK;
    return ag_yaml_fail(err, f->path, ag_yaml_get(root, "language"), "language '%s', but the base's is '%s'",
                        f->language, before);
}

static ag_status read_root(ag_facts *f, const ag_yaml *root, bool based, ag_error *err)
{
    static const char *const keys[] = {"facts",   "base",      "language",   "text_fields", "type_fields",
                                       "aside",   "vague",     "categories", "values",      "compatibility",
                                       "phrases", "knowledge", "why",        "also",        "wider"};
    static const struct {
        const char *key;
        ag_status (*read)(ag_facts *f, const ag_yaml *node, ag_error *err);
    } sections[] = {{"text_fields", read_text_fields},
                    {"type_fields", read_type_fields},
                    {"aside", read_aside},
                    {"vague", read_vague},
                    {"wider", read_wider},
                    {"categories", ag_facts_read_categories},
                    {"values", read_values},
                    {"phrases", read_phrases},
                    {"knowledge", read_knowledge},
                    {"why", read_why},
                    {"also", read_also}};
    ag_status status = ag_facts_need_map(f, root, "a facts file", err);
    if (status == AG_OK) status = ag_yaml_known_keys(root, f->path, keys, sizeof keys / sizeof *keys, err);
    if (status == AG_OK) status = read_name(f, root, "facts", &f->name, err);
    if (status == AG_OK) status = read_language(f, root, based, err);
    if (status == AG_OK) status = read_name(f, root, "compatibility", &f->compatibility, err);
    const ag_yaml *compatibility = ag_yaml_get(root, "compatibility");
    if (status == AG_OK && compatibility) status = check_asked_name(f, compatibility, f->compatibility, err);
    for (size_t i = 0; i < sizeof sections / sizeof *sections && status == AG_OK; i++) {
        const ag_yaml *node = ag_yaml_get(root, sections[i].key);
        if (node && !ag_yaml_is_null(node)) status = sections[i].read(f, node, err);
    }
    return status;
}

ag_status ag_facts_empty(ag_facts **facts, ag_error *err)
{
    ag_facts *f = ag_calloc(1, sizeof *f);
    if (!f) return ag_fail_memory(err, "facts");
    f->arena.name = "facts";
    f->category_index.arena = f->phrases.arena = f->aside.arena = f->vague.arena = f->only_queries.arena =
        f->only_titles.arena = &f->arena;
    f->path = f->name = "";
    f->language = "en";
    f->compatibility = "fits";
    f->english = f->text_title = f->text_description = true;
    if (pthread_mutex_init(&f->lock, NULL) != 0) {
        ag_free(f);
        return ag_fail_memory(err, "facts");
    }
    *facts = f;
    return AG_OK;
}

/* The file that `base` names, beside this one; *base NULL when there is none. The caller frees it. */
static ag_status base_of(const ag_yaml *root, const char *path, char **base, ag_error *err)
{
    const ag_yaml *node = root->kind == AG_YAML_MAP ? ag_yaml_get(root, "base") : NULL;
    const char *name;
    *base = NULL;
    if (!node || ag_yaml_is_null(node)) return AG_OK;
    ag_status status = ag_yaml_string(node, path, "base", &name, err);
    if (status != AG_OK) return status;
    char *dir = *name == '/' ? NULL : ag_path_dir(path);
    *base = *name == '/' ? ag_strndup(name, strlen(name)) : dir ? ag_path_join(dir, name) : NULL;
    ag_free(dir);
    return *base ? AG_OK : ag_fail_memory(err, "facts");
}

ag_status ag_facts_base(char **base, const char *path, ag_error *err)
{
    ag_arena nodes = {.name = "facts file"};
    ag_yaml *root;
    *base = NULL;
    ag_status status = ag_yaml_load(&root, &nodes, path, err);
    if (status == AG_OK) status = base_of(root, path, base, err);
    ag_arena_free(&nodes);
    return status;
}

/* Reads a file after the one it builds on. `text` NULL: from the disk. */
static ag_status read_file(ag_facts *f, const char *path, const char *text, size_t len, int depth,
                           ag_error *err)
{
    enum { DEEPEST = 8 };
    ag_arena nodes = {.name = "facts file"};
    ag_yaml *root;
    char *base = NULL;
    ag_status status = text ? ag_yaml_parse(&root, &nodes, text, len, path, err)
                            : ag_yaml_load(&root, &nodes, path, err);
    if (status == AG_OK) status = base_of(root, path, &base, err);
    if (status == AG_OK && base && text)
        status = ag_fail(err, AG_ERR_INPUT, "%s: base: only a file can build on another", path);
    if (status == AG_OK && base && depth == DEEPEST)
        status = ag_fail(err, AG_ERR_INPUT, "%s: base: more than %d files build on each other", path,
                         DEEPEST);
    if (status == AG_OK && base) status = read_file(f, base, NULL, 0, depth + 1, err);
    if (status == AG_OK && !(f->path = ag_arena_strdup(&f->arena, path)))
        status = ag_fail_memory(err, "facts");
    if (status == AG_OK) status = read_root(f, root, base != NULL, err);
    ag_free(base);
    ag_arena_free(&nodes);
    return status;
}

static ag_status build(ag_facts **facts, const char *path, const char *text, size_t len, ag_error *err)
{
    ag_facts *f = NULL;
    ag_status status = ag_facts_empty(&f, err);
    if (status == AG_OK) status = read_file(f, path, text, len, 0, err);
    if (status == AG_OK)
        *facts = f;
    else
        ag_facts_free(f);
    return status;
}

ag_status ag_facts_load(ag_facts **facts, const char *path, ag_error *err)
{
    return build(facts, path, NULL, 0, err);
}

ag_status ag_facts_parse(ag_facts **facts, const char *text, size_t len, const char *path, ag_error *err)
{
    return build(facts, path, text, len, err);
}

ag_status ag_facts_of_book(ag_facts **facts, const ag_book *book, ag_error *err)
{
    return book->facts_path ? ag_facts_load(facts, book->facts_path, err) : ag_facts_empty(facts, err);
}

void ag_facts_free(ag_facts *f)
{
    if (!f) return;
    ag_facts_unbind(f);
    ag_map_free(&f->category_index);
    ag_map_free(&f->phrases);
    ag_map_free(&f->aside);
    ag_map_free(&f->vague);
    ag_map_free(&f->only_queries);
    ag_map_free(&f->only_titles);
    pthread_mutex_destroy(&f->lock);
    ag_arena_free(&f->arena);
    ag_free(f);
}
