/* compare_category.c: how two categories stand to each other, and what else a category or value is called. */
#include "rules/facts_table.h"

#include <string.h>

ag_status ag_facts_category_index(const ag_facts *facts, const char *name, int *index, ag_error *err)
{
    ag_str normal = {0};
    ag_status status = ag_words_normal(&normal, name, facts->english, err);
    *index = status == AG_OK ? ag_map_get(&facts->category_index, ag_str_text(&normal), normal.len) : -1;
    ag_str_free(&normal);
    return status;
}

bool ag_facts_category_within(const ag_facts *facts, int category, int ancestor)
{
    const ag_category *c = &facts->categories[category];
    for (int i = 0; i < c->within_count; i++)
        if (c->within[i] == ancestor) return true;
    return false;
}

/* Does a (or what a belongs to) name b (or what b belongs to)? */
static bool names(const ag_facts *f, int a, int b, bool related)
{
    const ag_category *from = &f->categories[a];
    for (int i = 0; i < from->within_count; i++) {
        const ag_category *c = &f->categories[from->within[i]];
        int n = related ? c->related_count : c->sibling_count;
        const int *links = related ? c->related : c->siblings;
        if (n == 0 || ag_facts_category_within(f, b, from->within[i])) continue; /* of both: says nothing */
        for (int k = 0; k < n; k++)
            if (ag_facts_category_within(f, b, links[k]) && !ag_facts_category_within(f, a, links[k]))
                return true;
    }
    return false;
}

/* Do the facts leave open how the two stand (both ways, and for all that is below them)? */
static bool unclear(const ag_facts *f, int a, int b)
{
    const ag_category *from = &f->categories[a];
    for (int i = 0; i < from->within_count; i++) {
        const ag_category *c = &f->categories[from->within[i]];
        for (int k = 0; k < c->unclear_count; k++)
            if (ag_facts_category_within(f, b, c->unclear[k])) return true;
    }
    return false;
}

/* Links hold both ways. */
static bool linked(const ag_facts *f, int a, int b, bool related)
{
    return names(f, a, b, related) || names(f, b, a, related);
}

static bool share_members_parent(const ag_facts *f, int a, int b)
{
    const ag_category *c = &f->categories[a];
    for (int i = 0; i < c->within_count; i++)
        if (f->categories[c->within[i]].members_are_siblings && ag_facts_category_within(f, b, c->within[i]))
            return true;
    return false;
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
        } else if (share_members_parent(facts, w, i) || linked(facts, w, i, false)) {
            match->relation = AG_REL_SIBLING;
        } else if (linked(facts, w, i, true)) {
            match->relation = AG_REL_RELATED;
        } else if (unclear(facts, w, i) || unclear(facts, i, w)) {
            match->relation = AG_REL_COUNT;
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
