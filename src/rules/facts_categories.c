/* facts_categories.c: the categories of a facts file: names, links, and what stands above each. */
#include "rules/facts_read.h"

#include <string.h>

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
    ag_status status = ag_facts_read_texts(f, node, what, &names, &n, err);
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
            ag_suggestion near = ag_suggest(known ? names[i] : NULL, known, (size_t)f->category_count);
            status = ag_yaml_fail(err, f->path, at, "%s: unknown category '%s'%s", what, names[i],
                                  *near.text ? near.text : "; every category needs an entry of its own");
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
    ag_status status = ag_facts_read_texts(f, node, "titles", &names, &n, err);
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

/* Adds names to a list that the category has. */
static ag_status read_names(ag_facts *f, const ag_yaml *node, const char *key, int self, const char ***list,
                            int *count, ag_error *err)
{
    const char **names, **all;
    int n;
    ag_status status = ag_facts_read_texts(f, node, key, &names, &n, err);
    if (status != AG_OK) return status;
    if (!(all = ag_arena_alloc(&f->arena, (size_t)(*count + n), sizeof *all)))
        return ag_fail_memory(err, key);
    if (*count) memcpy(all, *list, (size_t)*count * sizeof *all);
    *list = all;
    for (int k = 0; k < n && status == AG_OK; k++) {
        all[(*count)++] = names[k];
        status = name_category(f, node, names[k], self, NULL, err);
    }
    return status;
}

/* Names that only queries use: no title means the category by them. */
static ag_status read_queries(ag_facts *f, const ag_yaml *node, int self, ag_error *err)
{
    ag_category *c = &f->categories[self];
    int before = c->query_count;
    ag_status status = read_names(f, node, "queries", self, &c->queries, &c->query_count, err);
    for (int k = before; k < c->query_count && status == AG_OK; k++)
        status = for_queries(f, c->queries[k], err);
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

ag_status ag_facts_read_categories(ag_facts *f, const ag_yaml *node, ag_error *err)
{
    int known = f->category_count, *index = NULL;
    const ag_yaml **at = NULL;
    ag_status status = ag_facts_need_map(f, node, "categories", err);
    if (status == AG_OK) status = grow_categories(f, node->count, err);
    if (status != AG_OK) return status;
    index = ag_calloc((size_t)node->count + 1, sizeof *index);
    at = ag_calloc((size_t)(known + node->count) + 1, sizeof *at);
    if (!index || !at) status = ag_fail_memory(err, "categories");
    for (int i = 0; i < known && status == AG_OK; i++) at[i] = node;
    for (int i = 0; i < node->count && status == AG_OK; i++) {
        const ag_yaml *value = node->values[i], *synonyms = NULL, *queries = NULL;
        if (!ag_yaml_is_null(value)) {
            if ((status = ag_facts_need_map(f, value, node->keys[i]->text, err)) == AG_OK)
                status = ag_yaml_known_keys(value, f->path, category_keys,
                                            sizeof category_keys / sizeof *category_keys, err);
            synonyms = status == AG_OK ? ag_yaml_get(value, "synonyms") : NULL;
            queries = status == AG_OK ? ag_yaml_get(value, "queries") : NULL;
        }
        int before = f->category_count;
        if (status == AG_OK) status = open_category(f, node->keys[i], &index[i], err);
        if (status == AG_OK && index[i] >= known && f->category_count == before)
            status = ag_yaml_fail(err, f->path, node->keys[i], "'%s' already names the category '%s'",
                                  node->keys[i]->text, f->categories[index[i]].name);
        if (status == AG_OK) at[index[i]] = node->keys[i];
        ag_category *c = &f->categories[index[i]];
        if (status == AG_OK && synonyms)
            status = read_names(f, synonyms, "synonyms", index[i], &c->synonyms, &c->synonym_count, err);
        if (status == AG_OK && queries) status = read_queries(f, queries, index[i], err);
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
