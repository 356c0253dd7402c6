/* facts_graph.c: the values of an attribute as a graph, and the graphs of a book's attributes.
 *
 * A book names relations of values and so does a facts file; both are merged once per book and kept, because a
 * comparison is far cheaper than reading the two lists. What is kept is keyed by the book's digest, not by its address
 * alone, so that a freed book never lends its graphs to another.
 */
#include "rules/facts_table.h"

#include <string.h>

static const struct {
    ag_edge_kind kind, reverse;
} reverses[] = {
    {AG_EDGE_SYNONYM, AG_EDGE_SYNONYM}, {AG_EDGE_PARENT, AG_EDGE_CHILD}, {AG_EDGE_COVER, AG_EDGE_COVERED}};

ag_status ag_graph_node(ag_graph *g, ag_arena *arena, const char *value, bool english, int *node,
                        ag_error *err)
{
    ag_str normal = {0};
    bool made = false;
    g->nodes.arena = arena;
    ag_status status = ag_words_normal(&normal, value, english, err);
    if (status != AG_OK) goto out;
    int next = (int)g->nodes.count;
    if (!ag_grow(&g->display, &g->display_cap, (size_t)next + 1, sizeof *g->display) ||
        !ag_grow(&g->first, &g->first_cap, (size_t)next + 1, sizeof *g->first)) {
        status = ag_fail_memory(err, "values");
        goto out;
    }
    const char *copy = NULL;
    ag_map_entry *entry = ag_map_find(&g->nodes, ag_str_text(&normal), normal.len);
    if (!entry) {
        copy = ag_arena_strdup(arena, value);
        entry = copy ? ag_map_put(&g->nodes, ag_str_text(&normal), normal.len, next, &made) : NULL;
    }
    if (!entry) {
        status = ag_fail_memory(err, "values");
        goto out;
    }
    if (made) {
        g->display[next] = copy;
        g->first[next] = -1;
    }
    *node = entry->value;
out:
    ag_str_free(&normal);
    return status;
}

static ag_status add_edge(ag_graph *g, int from, int to, ag_edge_kind kind, ag_error *err)
{
    if (!ag_grow(&g->edges, &g->edge_cap, g->edge_count + 1, sizeof *g->edges))
        return ag_fail_memory(err, "relations of values");
    g->edges[g->edge_count] = (ag_edge){.to = to, .next = g->first[from], .kind = kind};
    g->first[from] = (int)g->edge_count++;
    return AG_OK;
}

ag_status ag_graph_edge(ag_graph *g, int from, int to, ag_edge_kind kind, ag_error *err)
{
    if (from == to) return AG_OK;
    ag_status status = add_edge(g, from, to, kind, err);
    for (size_t i = 0; status == AG_OK && i < sizeof reverses / sizeof *reverses; i++)
        if (reverses[i].kind == kind) status = add_edge(g, to, from, reverses[i].reverse, err);
    return status;
}

void ag_graph_reach(const ag_graph *g, int from, unsigned kinds, ag_reached *r)
{
    r->node[0] = from;
    r->skills[0] = 0;
    r->count = 1;
    for (int i = 0; i < r->count; i++) {
        for (int e = g->first[r->node[i]]; e >= 0; e = g->edges[e].next) {
            const ag_edge *edge = &g->edges[e];
            bool seen = false;
            if (!(edge->kind & kinds)) continue;
            for (int k = 0; k < r->count && !seen; k++) seen = r->node[k] == edge->to;
            if (seen || r->count == (int)(sizeof r->node / sizeof *r->node)) continue;
            r->node[r->count] = edge->to;
            r->skills[r->count++] = (unsigned char)(r->skills[i] |
                                                    (edge->kind == AG_EDGE_SYNONYM ? AG_SKILL_SYNONYMS
                                                                                   : AG_SKILL_HIERARCHY));
        }
    }
}

void ag_graph_free(ag_graph *g)
{
    ag_map_free(&g->nodes);
    ag_free(g->display);
    ag_free(g->first);
    ag_free(g->edges);
    *g = (ag_graph){0};
}

static ag_status relate(ag_graph *g, ag_facts *facts, const char *from, const char *to, ag_edge_kind kind,
                        ag_error *err)
{
    int a, b;
    ag_status status = ag_graph_node(g, &facts->arena, from, facts->english, &a, err);
    if (status == AG_OK) status = ag_graph_node(g, &facts->arena, to, facts->english, &b, err);
    return status == AG_OK ? ag_graph_edge(g, a, b, kind, err) : status;
}

static ag_status merge(ag_graph *g, ag_facts *facts, const ag_attribute *row, const char *name, ag_error *err)
{
    ag_status status = AG_OK;
    for (int i = 0; row && i < row->synonym_count && status == AG_OK; i++)
        for (int k = 1; row->synonyms[i][0] && row->synonyms[i][k] && status == AG_OK; k++)
            status = relate(g, facts, row->synonyms[i][0], row->synonyms[i][k], AG_EDGE_SYNONYM, err);
    for (int i = 0; row && i < row->parent_count && status == AG_OK; i++)
        status = relate(g, facts, row->child[i], row->parent[i], AG_EDGE_PARENT, err);
    for (int i = 0; row && i < row->cover_count && status == AG_OK; i++)
        status = relate(g, facts, row->cover[i], row->covered[i], AG_EDGE_COVER, err);
    for (int i = 0; i < facts->value_count && status == AG_OK; i++) {
        const ag_value_facts *v = &facts->values[i];
        if (!ag_streq(v->attribute, name)) continue;
        for (int k = 0; k < v->count && status == AG_OK; k++)
            status = relate(g, facts, v->from[k], v->to[k], v->kind[k], err);
    }
    return status;
}

static void bound_free(ag_bound *bound)
{
    if (!bound) return;
    for (int i = 0; bound->graphs && i < bound->count; i++) ag_graph_free(&bound->graphs[i]);
    ag_free(bound->graphs);
    ag_free(bound);
}

/* One graph a row of the book, then one for each attribute that only the facts file knows. */
static ag_status bind(ag_facts *facts, const ag_book *book, ag_bound **result, ag_error *err)
{
    ag_status status = AG_OK;
    int rows = book->attribute_count;
    ag_bound *bound = ag_calloc(1, sizeof *bound);
    if (!bound) return ag_fail_memory(err, "values");
    bound->count = rows + facts->value_count;
    bound->graphs = ag_calloc((size_t)bound->count, sizeof *bound->graphs);
    if (!bound->graphs) status = ag_fail_memory(err, "values");
    for (int i = 0; i < rows && status == AG_OK; i++)
        status = merge(&bound->graphs[i], facts, &book->attributes[i], book->attributes[i].name, err);
    for (int i = 0; i < facts->value_count && status == AG_OK; i++)
        status = merge(&bound->graphs[rows + i], facts, NULL, facts->values[i].attribute, err);
    if (status != AG_OK) {
        bound_free(bound);
        return status;
    }
    bound->book = book;
    memcpy(bound->digest, book->digest, sizeof bound->digest);
    bound->next = facts->bound;
    facts->bound = bound;
    *result = bound;
    return AG_OK;
}

ag_status ag_facts_graph(const ag_facts *facts, const ag_book *book, const char *attribute,
                         const ag_graph **graph, ag_error *err)
{
    ag_facts *owner = (ag_facts *)facts; /* only `bound` and the arena change, under the lock */
    ag_status status = AG_OK;
    const ag_graph *g = NULL;
    pthread_mutex_lock(&owner->lock);
    ag_bound *bound = owner->bound;
    while (bound && (bound->book != book || strcmp(bound->digest, book->digest) != 0)) bound = bound->next;
    if (!bound) status = bind(owner, book, &bound, err);
    pthread_mutex_unlock(&owner->lock);
    if (status != AG_OK) return status;
    const ag_attribute *row = ag_book_attribute(book, attribute);
    if (row != &book->attributes[0] || ag_streq(attribute, "default")) {
        g = &bound->graphs[row - book->attributes];
    } else {
        for (int i = 0; i < facts->value_count && !g; i++)
            if (ag_streq(facts->values[i].attribute, attribute))
                g = &bound->graphs[book->attribute_count + i];
    }
    *graph = g && g->nodes.count ? g : NULL;
    return AG_OK;
}

void ag_facts_unbind(ag_facts *facts)
{
    while (facts->bound) {
        ag_bound *next = facts->bound->next;
        bound_free(facts->bound);
        facts->bound = next;
    }
}
