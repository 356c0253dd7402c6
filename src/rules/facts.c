/* facts.c: a facts file, read. What a language and a trade know: how categories and values relate, and the words by
 * which queries ask. docs/FACTS.md is the format. Errors name file, line and column, and the nearest known name.
 */
#include "rules/facts_table.h"

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
static ag_status read_texts(ag_facts *f, const ag_yaml *node, const char *what, const char ***texts,
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

static ag_status need_map(const ag_facts *f, const ag_yaml *node, const char *what, ag_error *err)
{
    if (node->kind == AG_YAML_MAP) return AG_OK;
    return ag_yaml_fail(err, f->path, node, "%s must be a map", what);
}

/* --- categories -------------------------------------------------------------------------------------------- */

const char *const ag_link_names[AG_LINKS] = {"siblings", "related", "unclear", "unrelated"};
static const char *const category_keys[] = {"parents",  "siblings", "related", "unclear", "unrelated",
                                            "synonyms", "titles",   "queries", "members"};

static ag_status name_category(ag_facts *f, const ag_yaml *at, const char *name, int index,
                               const char **normal, ag_error *err)
{
    ag_str text = {0};
    bool made;
    ag_status status = ag_words_normal(&text, name, f->english, err);
    if (status != AG_OK) goto out;
    if (text.len == 0) {
        status = ag_yaml_fail(err, f->path, at, "category name '%s' has no letters or digits", name);
        goto out;
    }
    ag_map_entry *e = ag_map_put(&f->category_index, text.data, text.len, index, &made);
    if (!e)
        status = ag_fail_memory(err, "categories");
    else if (!made && e->value != index)
        status = ag_yaml_fail(err, f->path, at, "'%s' already names the category '%s'", name,
                              f->categories[e->value].name);
    else if (normal)
        *normal = e->key;
out:
    ag_str_free(&text);
    return status;
}

/* A list of other categories, added to the links that are there; both name and synonym will do. */
static ag_status read_links(ag_facts *f, const ag_yaml *node, const char *what, int self, ag_links *links,
                            ag_error *err)
{
    const char **names;
    int n;
    ag_status status = read_texts(f, node, what, &names, &n, err);
    if (status != AG_OK) return status;
    int *all = ag_arena_alloc(&f->arena, (size_t)(links->count + n), sizeof *all);
    if (!all) return ag_fail_memory(err, what);
    if (links->count) memcpy(all, links->to, (size_t)links->count * sizeof *all);
    links->to = all;
    for (int i = 0; i < n; i++) {
        const ag_yaml *at = node->kind == AG_YAML_LIST ? node->values[i] : node;
        int index;
        if ((status = ag_facts_category_index(f, names[i], &index, err)) != AG_OK) return status;
        if (index < 0) {
            const char **known = ag_calloc((size_t)f->category_count + 1, sizeof *known);
            for (int k = 0; known && k < f->category_count; k++) known[k] = f->categories[k].name;
            const char *near = known ? ag_nearest(names[i], known, (size_t)f->category_count) : NULL;
            status = near
                         ? ag_yaml_fail(err, f->path, at, "%s: unknown category '%s'; did you mean '%s'?",
                                        what, names[i], near)
                         : ag_yaml_fail(err, f->path, at,
                                        "%s: unknown category '%s'; every category needs an entry of its own",
                                        what, names[i]);
            ag_free(known);
            return status;
        }
        if (index == self) return ag_yaml_fail(err, f->path, at, "%s: '%s' names itself", what, names[i]);
        all[links->count++] = index;
    }
    return AG_OK;
}

static ag_status read_category(ag_facts *f, const ag_yaml *node, int self, ag_error *err)
{
    ag_category *c = &f->categories[self];
    ag_status status = AG_OK;
    const ag_yaml *value;
    if ((value = ag_yaml_get(node, "parents")))
        status = read_links(f, value, "parents", self, &c->parents, err);
    for (int i = 0; i < AG_LINKS && status == AG_OK; i++)
        if ((value = ag_yaml_get(node, ag_link_names[i])))
            status = read_links(f, value, ag_link_names[i], self, &c->links[i], err);
    if (status == AG_OK && (value = ag_yaml_get(node, "members"))) {
        const char *text;
        status = ag_yaml_string(value, f->path, "members", &text, err);
        c->members = status == AG_OK && strcmp(text, "unclear") == 0 ? AG_LINK_UNCLEAR : AG_LINK_SIBLINGS;
        if (status == AG_OK && strcmp(text, ag_link_names[c->members]) != 0)
            status = ag_yaml_fail(err, f->path, value, "members can be 'siblings' or 'unclear', not '%s'",
                                  text);
    }
    return status;
}

/* Depth-first over parents: 1 on the way, 2 done. */
static bool in_cycle(const ag_facts *f, int c, unsigned char *state, int depth)
{
    if (state[c] == 2) return false;
    if (state[c] == 1 || depth > 1000) return true;
    state[c] = 1;
    for (int i = 0; i < f->categories[c].parents.count; i++)
        if (in_cycle(f, f->categories[c].parents.to[i], state, depth + 1)) return true;
    state[c] = 2;
    return false;
}

/* The categories at and above c, nearest first. They are bounded in all, or a file of a few kilobytes could ask for
 * gigabytes. */
static ag_status collect_within(ag_facts *f, int c, int *queue, int *depth, int *mark, size_t *room,
                                ag_error *err)
{
    int n = 0;
    ag_category *self = &f->categories[c];
    queue[n] = c;
    depth[n++] = 0;
    mark[c] = c + 1;
    for (int i = 0; i < n; i++) {
        const ag_links *above = &f->categories[queue[i]].parents;
        for (int k = 0; k < above->count; k++) {
            if (mark[above->to[k]] == c + 1) continue;
            mark[above->to[k]] = c + 1;
            depth[n] = depth[i] + 1;
            queue[n++] = above->to[k];
        }
    }
    if ((size_t)n > *room) return ag_fail(err, AG_ERR_INPUT, "%s: too many categories above others", f->path);
    *room -= (size_t)n;
    self->within = ag_arena_alloc(&f->arena, (size_t)n, sizeof(int));
    self->depth = ag_arena_alloc(&f->arena, (size_t)n, sizeof(int));
    if (!self->within || !self->depth) return ag_fail_memory(err, "categories");
    memcpy(self->within, queue, (size_t)n * sizeof(int));
    memcpy(self->depth, depth, (size_t)n * sizeof(int));
    self->within_count = n;
    return AG_OK;
}

/* `at`: where each category is written, for messages. */
static ag_status link_categories(ag_facts *f, const ag_yaml *const *at, ag_error *err)
{
    size_t n = (size_t)f->category_count, room = 20000000;
    unsigned char *state = ag_calloc(n + 1, 1);
    int *queue = ag_calloc(n + 1, sizeof *queue), *depth = ag_calloc(n + 1, sizeof *depth),
        *mark = ag_calloc(n + 1, sizeof *mark);
    ag_status status = state && queue && depth && mark ? AG_OK : ag_fail_memory(err, "categories");
    for (int i = 0; i < f->category_count && status == AG_OK; i++)
        if (in_cycle(f, i, state, 0))
            status = ag_yaml_fail(err, f->path, at[i],
                                  "the parents of '%s' lead back to it (or are more than 1000 deep)",
                                  f->categories[i].name);
    for (int i = 0; i < f->category_count && status == AG_OK; i++)
        status = collect_within(f, i, queue, depth, mark, &room, err);
    ag_free(state);
    ag_free(queue);
    ag_free(depth);
    ag_free(mark);
    return status;
}

/* Remembers that no title means the category by this name. */
static ag_status for_queries(ag_facts *f, const char *name, ag_error *err)
{
    ag_str normal = {0};
    ag_status status = ag_words_normal(&normal, name, f->english, err);
    if (status == AG_OK && !ag_map_put(&f->only_queries, ag_str_text(&normal), normal.len, 1, NULL))
        status = ag_fail_memory(err, "categories");
    ag_str_free(&normal);
    return status;
}

/* Names that only titles mean the category by. */
static ag_status read_titles(ag_facts *f, const ag_yaml *node, int self, ag_error *err)
{
    const char **names;
    int n;
    ag_str normal = {0};
    ag_status status = read_texts(f, node, "titles", &names, &n, err);
    for (int k = 0; k < n && status == AG_OK; k++) {
        bool made = false;
        ag_str_clear(&normal);
        if ((status = ag_words_normal(&normal, names[k], f->english, err)) != AG_OK) break;
        int known = ag_map_get(&f->category_index, ag_str_text(&normal), normal.len);
        ag_map_entry *e = known < 0
                              ? ag_map_put(&f->only_titles, ag_str_text(&normal), normal.len, self, &made)
                              : NULL;
        if (known < 0 && !e)
            status = ag_fail_memory(err, "categories");
        else if (known >= 0 || e->value != self)
            status = ag_yaml_fail(err, f->path, node, "titles: '%s' already names the category '%s'",
                                  names[k], f->categories[known >= 0 ? known : e->value].name);
    }
    ag_str_free(&normal);
    return status;
}

/* Adds names to those that the category has: `synonyms`, or those of `queries`. */
static ag_status read_synonyms(ag_facts *f, const ag_yaml *node, const char *key, int self, ag_error *err)
{
    ag_category *c = &f->categories[self];
    const char **names, **all;
    int n;
    bool queries = strcmp(key, "queries") == 0;
    ag_status status = read_texts(f, node, key, &names, &n, err);
    if (status != AG_OK) return status;
    if (!(all = ag_arena_alloc(&f->arena, (size_t)(c->synonym_count + n), sizeof *all)))
        return ag_fail_memory(err, "synonyms");
    if (c->synonym_count) memcpy(all, c->synonyms, (size_t)c->synonym_count * sizeof *all);
    c->synonyms = all;
    for (int k = 0; k < n && status == AG_OK; k++) {
        all[c->synonym_count++] = names[k];
        status = name_category(f, node, names[k], self, NULL, err);
        if (status == AG_OK && queries) status = for_queries(f, names[k], err);
    }
    return status;
}

/* Room for a file's categories after those of its base. */
static ag_status grow_categories(ag_facts *f, int more, ag_error *err)
{
    ag_category *all = ag_arena_alloc(&f->arena, (size_t)(f->category_count + more), sizeof *all);
    if (!all) return ag_fail_memory(err, "categories");
    if (f->category_count) memcpy(all, f->categories, (size_t)f->category_count * sizeof *all);
    f->categories = all;
    return AG_OK;
}

/* The category of one entry: a new one, or one of the base that this entry adds to. */
static ag_status open_category(ag_facts *f, const ag_yaml *key, int *index, ag_error *err)
{
    ag_status status = ag_facts_category_index(f, key->text, index, err);
    if (status != AG_OK || *index >= 0) return status;
    *index = f->category_count;
    ag_category *c = &f->categories[f->category_count++];
    c->members = -1;
    if (!(c->name = ag_arena_strdup(&f->arena, key->text))) return ag_fail_memory(err, "categories");
    return name_category(f, key, c->name, *index, &c->normal, err);
}

static ag_status read_categories(ag_facts *f, const ag_yaml *node, ag_error *err)
{
    int known = f->category_count, *index = NULL;
    const ag_yaml **at = NULL;
    ag_status status = need_map(f, node, "categories", err);
    if (status == AG_OK) status = grow_categories(f, node->count, err);
    if (status != AG_OK) return status;
    index = ag_calloc((size_t)node->count + 1, sizeof *index);
    at = ag_calloc((size_t)(known + node->count) + 1, sizeof *at);
    if (!index || !at) status = ag_fail_memory(err, "categories");
    for (int i = 0; i < known && status == AG_OK; i++) at[i] = node;
    for (int i = 0; i < node->count && status == AG_OK; i++) {
        static const char *const names[] = {"synonyms", "queries"};
        const ag_yaml *value = node->values[i], *list[2] = {NULL, NULL};
        if (!ag_yaml_is_null(value)) {
            if ((status = need_map(f, value, node->keys[i]->text, err)) == AG_OK)
                status = ag_yaml_known_keys(value, f->path, category_keys,
                                            sizeof category_keys / sizeof *category_keys, err);
            for (int k = 0; k < 2 && status == AG_OK; k++) list[k] = ag_yaml_get(value, names[k]);
        }
        int before = f->category_count;
        if (status == AG_OK) status = open_category(f, node->keys[i], &index[i], err);
        if (status == AG_OK && index[i] >= known && f->category_count == before)
            status = ag_yaml_fail(err, f->path, node->keys[i], "'%s' already names the category '%s'",
                                  node->keys[i]->text, f->categories[index[i]].name);
        if (status == AG_OK) at[index[i]] = node->keys[i];
        for (int k = 0; k < 2 && status == AG_OK; k++)
            if (list[k]) status = read_synonyms(f, list[k], names[k], index[i], err);
    }
    for (int i = 0; i < node->count && status == AG_OK; i++) { /* all names are known now */
        if (ag_yaml_is_null(node->values[i])) continue;
        const ag_yaml *titles = ag_yaml_get(node->values[i], "titles");
        status = read_category(f, node->values[i], index[i], err);
        if (status == AG_OK && titles) status = read_titles(f, titles, index[i], err);
    }
    if (status == AG_OK) status = link_categories(f, at, err);
    ag_free(index);
    ag_free(at);
    return status;
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
    ag_status status = need_map(f, node, what, err);
    for (int i = 0; i < node->count && status == AG_OK; i++) {
        const char **to, *from = ag_arena_strdup(&f->arena, node->keys[i]->text);
        int n;
        if (!from) return ag_fail_memory(err, what);
        if ((status = read_texts(f, node->values[i], what, &to, &n, err)) != AG_OK) return status;
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
        ag_status status = read_texts(f, node->values[i], "synonyms", &names, &n, err);
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
    ag_status status = need_map(f, node, "values", err);
    if (status != AG_OK) return status;
    ag_value_facts *all = ag_arena_alloc(&f->arena, (size_t)(f->value_count + node->count), sizeof *all);
    if (!all) return ag_fail_memory(err, "values");
    if (f->value_count) memcpy(all, f->values, (size_t)f->value_count * sizeof *all);
    f->values = all;
    for (int i = 0; i < node->count && status == AG_OK; i++, f->value_count++) {
        const ag_yaml *of = node->values[i];
        ag_value_facts *v = &f->values[f->value_count];
        if ((status = check_asked_name(f, node->keys[i], node->keys[i]->text, err)) != AG_OK ||
            (status = need_map(f, of, node->keys[i]->text, err)) != AG_OK ||
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
    ag_status status = read_texts(f, node, ag_phrase_names[kind], &texts, &n, err);
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
    ag_status status = need_map(f, node, "phrases", err);
    if (status == AG_OK) status = ag_yaml_known_keys(node, f->path, ag_phrase_names, AG_PHRASE_COUNT, err);
    for (int i = 0; i < AG_PHRASE_COUNT && status == AG_OK; i++) {
        const ag_yaml *list = ag_yaml_get(node, ag_phrase_names[i]);
        if (list) status = add_phrases(f, list, (ag_phrase)i, err);
    }
    return status;
}

static ag_status read_why(ag_facts *f, const ag_yaml *node, ag_error *err)
{
    ag_status status = need_map(f, node, "why", err);
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
    ag_status status = need_map(f, node, "an entry of asked", err);
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
            const char *near = ag_nearest(text, ag_op_names, 6);
            return ag_yaml_fail(err, f->path, op, "unknown op '%s'; did you mean '%s'?", text,
                                near ? near : "is");
        }
        ask->op = (ag_op)k;
    }
    if ((status = read_texts(f, value, "value", &ask->values, &ask->value_count, err)) != AG_OK)
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
        ag_status status = need_map(f, row, "an entry of knowledge", err);
        if (status == AG_OK) status = ag_yaml_known_keys(row, f->path, knowledge_keys, 3, err);
        if (status != AG_OK) return status;
        const ag_yaml *phrases = ag_yaml_get(row, "phrases"), *asked = ag_yaml_get(row, "asked");
        const ag_yaml *categories = ag_yaml_get(row, "categories");
        if (!phrases || !asked)
            return ag_yaml_fail(err, f->path, row, "an entry of knowledge needs 'phrases' and 'asked'");
        if (asked->kind != AG_YAML_LIST || asked->count > AG_MAX_ASKED)
            return ag_yaml_fail(err, f->path, asked, "asked must be a list of at most %d entries",
                                AG_MAX_ASKED);
        status = read_texts(f, phrases, "phrases", &k->phrases, &k->phrase_count, err);
        if (status == AG_OK && categories)
            status = read_texts(f, categories, "categories", &k->categories, &k->category_count, err);
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
    ag_status status = read_texts(f, node, "text_fields", &names, &n, err);
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
    return read_texts(f, node, "type_fields", &f->type_fields, &f->type_field_count, err);
}

/* Words in normal form, added to a set that is asked for one word at a time. */
static ag_status add_words(ag_facts *f, const ag_yaml *node, const char *what, ag_map *set, ag_error *err)
{
    const char **texts;
    int n;
    ag_str normal = {0};
    ag_status status = read_texts(f, node, what, &texts, &n, err);
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
    ag_status status = need_map(f, node, "also", err);
    for (int i = 0; i < node->count && status == AG_OK; i++) {
        const ag_yaml *language = node->values[i];
        if ((status = need_map(f, language, "a language", err)) != AG_OK) break;
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
                    {"categories", read_categories},
                    {"values", read_values},
                    {"phrases", read_phrases},
                    {"knowledge", read_knowledge},
                    {"why", read_why},
                    {"also", read_also}};
    ag_status status = need_map(f, root, "a facts file", err);
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
