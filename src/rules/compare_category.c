/* compare_category.c: how two categories stand to each other, and what else a category or value is called. */
#include "rules/facts_table.h"

#include <limits.h>
#include <string.h>

ag_status ag_facts_category_index(const ag_facts *facts, const char *name, int *index, ag_error *err)
{
    ag_str normal = {0};
    ag_status status = ag_words_normal(&normal, name, facts->english, err);
    *index = status == AG_OK ? ag_map_get(&facts->category_index, ag_str_text(&normal), normal.len) : -1;
    ag_str_free(&normal);
    return status;
}

/* How many levels `ancestor` is above the category (0: it is the category), or -1. */
static int levels(const ag_facts *facts, int category, int ancestor)
{
    const ag_category *c = &facts->categories[category];
    for (int i = 0; i < c->within_count; i++)
        if (c->within[i] == ancestor) return c->depth[i];
    return -1;
}

bool ag_facts_category_within(const ag_facts *facts, int category, int ancestor)
{
    return levels(facts, category, ancestor) >= 0;
}

/* The distance over which a (or what a belongs to) names b (or what b belongs to) in a kind of link: levels above both together;
 * INT_MAX when it does not. */
static int distance(const ag_facts *f, int a, int b, ag_link link)
{
    const ag_category *from = &f->categories[a];
    int best = INT_MAX;
    for (int i = 0; i < from->within_count; i++) {
        int x = from->within[i];
        const ag_links *links = &f->categories[x].links[link];
        /* A link of what both belong to says nothing of the two, but that it is open stays open. */
        bool open = link == AG_LINK_UNCLEAR;
        if (links->count == 0 || (!open && ag_facts_category_within(f, b, x))) continue;
        for (int k = 0; k < links->count; k++) {
            int up = levels(f, b, links->to[k]);
            if (up < 0 || (!open && ag_facts_category_within(f, a, links->to[k]))) continue;
            if (from->depth[i] + up < best) best = from->depth[i] + up;
        }
    }
    return best;
}

/* The same for a category that both belong to and whose members are so linked. */
static int members_distance(const ag_facts *f, int a, int b, ag_link link)
{
    const ag_category *c = &f->categories[a];
    int best = INT_MAX;
    for (int i = 0; i < c->within_count; i++) {
        int up = f->categories[c->within[i]].members == (int)link ? levels(f, b, c->within[i]) : -1;
        if (up >= 0 && c->depth[i] + up < best) best = c->depth[i] + up;
    }
    return best;
}

/* Links hold both ways, and the nearest one counts: what a category says itself goes before what those above it say. */
static ag_relation linked(const ag_facts *f, int a, int b)
{
    static const ag_relation relations[AG_LINKS] = {[AG_LINK_SIBLINGS] = AG_REL_SIBLING,
                                                    [AG_LINK_RELATED] = AG_REL_RELATED,
                                                    [AG_LINK_UNCLEAR] = AG_REL_COUNT,
                                                    [AG_LINK_UNRELATED] = AG_REL_ELSE};
    ag_relation relation = AG_REL_ELSE;
    int best = INT_MAX;
    for (int l = 0; l < AG_LINKS; l++) {
        int there = distance(f, a, b, (ag_link)l), back = distance(f, b, a, (ag_link)l),
            members = members_distance(f, a, b, (ag_link)l);
        int least = there < back ? there : back;
        if (members < least) least = members;
        if (least < best) {
            best = least;
            relation = relations[l];
        }
    }
    return relation;
}

ag_status ag_facts_match_category(ag_match *match, const ag_facts *facts, const char *wanted,
                                  const char *item, ag_error *err)
{
    int w, i;
    ag_str a = {0}, b = {0};
    *match = (ag_match){.relation = AG_REL_ELSE, .value = item};
    ag_status status = ag_words_normal(&a, wanted, facts->english, err);
    if (status == AG_OK) status = ag_words_normal(&b, item, facts->english, err);
    if (status != AG_OK) goto out;
    bool same = a.len == b.len && a.len && memcmp(a.data, b.data, a.len) == 0;
    w = ag_map_get(&facts->category_index, ag_str_text(&a), a.len);
    i = ag_map_get(&facts->category_index, ag_str_text(&b), b.len);
    if (same || (w >= 0 && w == i)) {
        match->relation = AG_REL_SAME;
        if (!same) match->skills = AG_SKILL_SYNONYMS;
    } else if (w >= 0 && i >= 0) {
        if (ag_facts_category_within(facts, i, w)) {
            match->relation = AG_REL_NARROWER;
            match->skills = AG_SKILL_HIERARCHY;
        } else if (ag_facts_category_within(facts, w, i)) {
            match->relation = facts->wider_unclear ? AG_REL_COUNT : AG_REL_SIBLING;
        } else {
            match->relation = linked(facts, w, i);
        }
    }
out:
    ag_str_free(&a);
    ag_str_free(&b);
    return status;
}

ag_relation ag_facts_category(const ag_facts *facts, const char *wanted, const char *item)
{
    ag_match match = {.relation = AG_REL_ELSE};
    return ag_facts_match_category(&match, facts, wanted, item, NULL) == AG_OK ? match.relation : AG_REL_ELSE;
}

/* --- what a generator of queries draws from ---------------------------------------------------------------- */

ag_status ag_facts_other_values(const ag_facts *facts, const ag_book *book, const char *attribute,
                                const char *value, ag_skill kind, const char **values, int max, int *count,
                                ag_error *err)
{
    const ag_graph *g;
    ag_reached reached;
    ag_str normal = {0};
    *count = 0;
    ag_status status = ag_facts_graph(facts, book, attribute, &g, err);
    if (status != AG_OK || !g) return status;
    status = ag_words_normal(&normal, value, facts->english, err);
    int node = status == AG_OK ? ag_map_get(&g->nodes, ag_str_text(&normal), normal.len) : -1;
    ag_str_free(&normal);
    if (node < 0) return status;
    bool synonyms = kind == AG_SKILL_SYNONYMS;
    ag_graph_reach(g, node, synonyms ? AG_EDGE_SYNONYM : AG_EDGE_SYNONYM | AG_EDGE_PARENT | AG_EDGE_COVER,
                   &reached);
    for (int i = 1; i < reached.count && *count < max; i++)
        if (synonyms || reached.skills[i] == AG_SKILL_HIERARCHY)
            values[(*count)++] = g->display[reached.node[i]];
    return AG_OK;
}

ag_status ag_facts_other_categories(const ag_facts *facts, const char *category, ag_skill kind,
                                    const char **names, int max, int *count, ag_error *err)
{
    int index;
    *count = 0;
    ag_status status = ag_facts_category_index(facts, category, &index, err);
    if (status != AG_OK || index < 0) return status;
    const ag_category *c = &facts->categories[index];
    if (kind == AG_SKILL_SYNONYMS) {
        for (int i = 0; i < c->synonym_count && *count < max; i++) names[(*count)++] = c->synonyms[i];
    } else {
        for (int i = 0; i < c->within_count && *count < max; i++)
            if (c->within[i] != index) names[(*count)++] = facts->categories[c->within[i]].name;
    }
    return AG_OK;
}

int ag_facts_knowledge_count(const ag_facts *facts)
{
    return facts->knowledge_count;
}

const char *ag_facts_knowledge(const ag_facts *facts, int row, int phrase, const ag_ask **asked,
                               int *asked_count)
{
    const ag_knowledge *k = &facts->knowledge[row];
    *asked = k->asked;
    *asked_count = k->asked_count;
    return phrase < k->phrase_count ? k->phrases[phrase] : NULL;
}

bool ag_facts_knowledge_applies(const ag_facts *facts, int row, const char *category)
{
    const ag_knowledge *k = &facts->knowledge[row];
    if (k->category_count == 0) return true;
    for (int i = 0; category && i < k->category_count; i++) {
        ag_relation relation = ag_facts_category(facts, k->categories[i], category);
        if (relation == AG_REL_SAME || relation == AG_REL_NARROWER) return true;
    }
    return false;
}

const char *ag_facts_compatibility(const ag_facts *facts)
{
    return facts->compatibility;
}

const char *const *ag_facts_phrases(const ag_facts *facts, const char *kind, int *count)
{
    *count = 0;
    for (int i = 0; i < AG_PHRASE_COUNT; i++) {
        if (strcmp(ag_phrase_names[i], kind) != 0) continue;
        *count = facts->phrase_count[i];
        return (const char *const *)facts->phrase_text[i];
    }
    return NULL;
}

int ag_facts_category_count(const ag_facts *facts)
{
    return facts->category_count;
}

const char *ag_facts_category_name(const ag_facts *facts, int number)
{
    return facts->categories[number].name;
}
