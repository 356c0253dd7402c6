/* facts_gold.c: the label that the catalogue supports: verdicts by comparison, tier and rule by derive, and a reason.
 *
 * The reason speaks of the deciding fact: the first verdict which, were it the best, would leave the rule undecided.
 * That is asked of derive itself, so it holds for any book.
 */
#include "rules/facts_table.h"

#include <string.h>

#include "rules/facts_kind.h"

typedef struct gold_work {
    const ag_facts *facts;
    const ag_book *book;
    const ag_asked *asked;
    const ag_item *item;
    const char *wanted;
    ag_match category;
    ag_match entries[AG_MAX_ASKED];
} gold_work;

static int map_relation(const ag_criterion *c, ag_relation relation)
{
    if (relation == AG_REL_COUNT) return -1; /* left open */
    if (c->map[relation] >= 0) return c->map[relation];
    return c->from == AG_FROM_CATEGORY ? c->map[AG_REL_ELSE] : -1;
}

/* AG_REL_COUNT where the book says that a missing value tells nothing. */
static ag_relation relation_of_entry(const gold_work *w, int entry)
{
    ag_relation relation = w->entries[entry].relation;
    bool open = relation == AG_REL_MISSING &&
                ag_book_attribute(w->book, w->asked->entries[entry].name)->missing_unclear;
    return open ? AG_REL_COUNT : relation;
}

static ag_status fill_verdicts(gold_work *w, ag_gold *gold, const ag_item *reference, unsigned *skills,
                               ag_error *err)
{
    ag_status status = AG_OK;
    bool category = false, attribute = false;
    const char *of = ag_item_kind(w->item);
    for (int c = 0; c < w->book->criterion_count; c++) {
        category |= w->book->criteria[c].from == AG_FROM_CATEGORY;
        attribute |= w->book->criteria[c].from == AG_FROM_ATTRIBUTE;
    }
    bool any = w->wanted && strcmp(w->wanted, ag_any_kind) == 0;
    category = category && w->wanted && *w->wanted && (any || (of && *of));
    if (category && any) {
        w->category = (ag_match){.relation = AG_REL_SAME, .value = of};
    } else if (category) {
        status = ag_facts_match_category(&w->category, w->facts, w->wanted, of, err);
        *skills |= w->category.skills;
    }
    for (int a = 0; a < w->asked->count && status == AG_OK && attribute; a++) {
        status = ag_facts_match(&w->entries[a], w->facts, w->book, &w->asked->entries[a], w->item, reference,
                                err);
        *skills |= w->entries[a].skills;
    }
    for (int c = 0; c < w->book->criterion_count && status == AG_OK; c++) {
        const ag_criterion *criterion = &w->book->criteria[c];
        if (criterion->from == AG_FROM_CATEGORY && category)
            for (int a = 0; a < (criterion->per_asked ? w->asked->count : 1); a++)
                gold->verdicts.v[c][a] = (int8_t)map_relation(criterion, w->category.relation);
        else if (criterion->from == AG_FROM_ATTRIBUTE && criterion->per_asked)
            for (int a = 0; a < w->asked->count; a++)
                gold->verdicts.v[c][a] = (int8_t)map_relation(criterion, relation_of_entry(w, a));
    }
    return status;
}

/* Finds the deciding fact: *criterion -1 when no single one decides. */
static void deciding_fact(const gold_work *w, const ag_gold *gold, int *criterion, int *entry)
{
    ag_verdicts v = gold->verdicts;
    *criterion = -1;
    for (int c = 0; c < w->book->criterion_count; c++) {
        int n = w->book->criteria[c].per_asked ? w->asked->count : 1;
        for (int a = 0; a < n; a++) {
            int8_t was = v.v[c][a];
            int tier, rule;
            if (was <= 0) continue;
            v.v[c][a] = 0;
            ag_derive(w->book, w->asked, &v, &tier, &rule);
            v.v[c][a] = was;
            if (rule == gold->rule) continue;
            *criterion = c;
            *entry = a;
            return;
        }
    }
}

static ag_why why_of_entry(const ag_ask *ask, ag_relation relation)
{
    if (ask->op == AG_OP_LIKE && relation == AG_REL_OTHER) return AG_WHY_LIKE_ITSELF;
    if (ask->op == AG_OP_LIKE && relation == AG_REL_NEAR) return AG_WHY_LIKE_DEARER;
    if (relation == AG_REL_MISSING) return AG_WHY_MISSING;
    if (relation == AG_REL_NEAR) return AG_WHY_NEAR;
    switch (ask->op) {
    case AG_OP_NOT: return AG_WHY_NOT;
    case AG_OP_AT_MOST: return AG_WHY_AT_MOST;
    case AG_OP_AT_LEAST: return AG_WHY_AT_LEAST;
    case AG_OP_BETWEEN: return AG_WHY_BETWEEN;
    default: return AG_WHY_OTHER;
    }
}

/* What {key} stands for, appended to out; an unknown key stays as written. */
static void fill_key(ag_str *out, const gold_work *w, const char *key, size_t len, const ag_ask *ask,
                     const ag_match *match, const char *rule)
{
    if (len == 4 && memcmp(key, "rule", 4) == 0) {
        ag_str_add(out, rule);
    } else if (len == 6 && memcmp(key, "wanted", 6) == 0) {
        ag_str_add(out, w->wanted ? w->wanted : "?");
    } else if (len == 8 && memcmp(key, "category", 8) == 0) {
        const char *kind = ag_item_kind(w->item);
        ag_str_add(out, kind ? kind : "?");
    } else if (len == 4 && memcmp(key, "name", 4) == 0 && ask) {
        ag_str_add(out, ask->name);
    } else if (len == 5 && memcmp(key, "value", 5) == 0 && ask) {
        for (int i = 0; i < ask->value_count; i++) {
            if (i) ag_str_add(out, ask->op == AG_OP_BETWEEN ? " and " : " or ");
            ag_str_add(out, ask->values[i]);
        }
    } else if (len == 4 && memcmp(key, "item", 4) == 0 && match) {
        if (match->value && strcmp(match->value, "price") == 0 && w->item->has_price)
            ag_str_addf(out, "%g", w->item->price);
        else
            ag_str_add(out, match->value ? match->value : "?");
    } else {
        ag_str_addc(out, '{');
        ag_str_addn(out, key, len);
        ag_str_addc(out, '}');
    }
}

/* One line of at most the book's why_chars characters. */
static void cut_line(ag_str *text, int chars)
{
    size_t at = 0;
    for (size_t i = 0; i < text->len; i++)
        if ((unsigned char)text->data[i] < 0x20) text->data[i] = ' ';
    for (int k = 0; k < chars && at < text->len; k++) ag_utf8_next(text->data, text->len, &at);
    if (at < text->len) {
        text->len = at;
        text->data[at] = '\0';
    }
}

static ag_status write_why(const gold_work *w, ag_gold *gold, ag_arena *arena, ag_error *err)
{
    ag_str text = {0};
    ag_why why = AG_WHY_RULE;
    const ag_ask *ask = NULL;
    const ag_match *match = NULL;
    const char *rule = gold->rule >= 0 && w->book->rules[gold->rule].text ? w->book->rules[gold->rule].text
                                                                          : "";
    int c, a;
    deciding_fact(w, gold, &c, &a);
    if (c < 0 && gold->tier == 0) {
        why = AG_WHY_BEST;
    } else if (c >= 0 && w->book->criteria[c].from == AG_FROM_CATEGORY) {
        ag_relation r = w->category.relation;
        why = r == AG_REL_SIBLING   ? AG_WHY_CATEGORY_SIBLING
              : r == AG_REL_RELATED ? AG_WHY_CATEGORY_RELATED
                                    : AG_WHY_CATEGORY_ELSE;
    } else if (c >= 0 && w->book->criteria[c].from == AG_FROM_ATTRIBUTE) {
        ask = &w->asked->entries[a];
        match = &w->entries[a];
        why = why_of_entry(ask, match->relation);
    }
    for (const char *s = ag_facts_why_text(w->facts, why); *s;) {
        const char *close = *s == '{' ? strchr(s, '}') : NULL;
        if (close) {
            fill_key(&text, w, s + 1, (size_t)(close - s - 1), ask, match, rule);
            s = close + 1;
        } else {
            ag_str_addc(&text, *s++);
        }
    }
    ag_status status = ag_str_ok(&text, err);
    if (status == AG_OK) {
        cut_line(&text, w->book->why_chars > 0 ? w->book->why_chars : 160);
        if (!(gold->why = ag_arena_strdup(arena, ag_str_text(&text)))) status = ag_fail_memory(err, "reason");
    }
    ag_str_free(&text);
    return status;
}

ag_status ag_facts_gold_skills(ag_gold *gold, unsigned *skills, const ag_facts *facts, const ag_book *book,
                               const ag_asked *asked, const ag_item *item, const char *wanted_category,
                               const ag_item *reference, ag_arena *arena, ag_error *err)
{
    gold_work w = {.facts = facts, .book = book, .asked = asked, .item = item, .wanted = wanted_category};
    unsigned needed = 0;
    *gold = (ag_gold){.tier = -1, .rule = -1};
    ag_verdicts_clear(&gold->verdicts);
    if (asked->source == AG_ASKED_UNKNOWN || asked->count > AG_MAX_ASKED)
        return ag_fail(err, AG_ERR_INTERNAL, "gold verdicts need what is asked");
    ag_status status = fill_verdicts(&w, gold, reference, &needed, err);
    if (status == AG_OK && ag_verdicts_complete(book, asked, &gold->verdicts)) {
        ag_derive(book, asked, &gold->verdicts, &gold->tier, &gold->rule);
        status = write_why(&w, gold, arena, err);
    }
    if (skills) *skills = needed;
    return status;
}

ag_status ag_facts_gold(ag_gold *gold, const ag_facts *facts, const ag_book *book, const ag_asked *asked,
                        const ag_item *item, const char *wanted_category, const ag_item *reference,
                        ag_arena *arena, ag_error *err)
{
    return ag_facts_gold_skills(gold, NULL, facts, book, asked, item, wanted_category, reference, arena, err);
}
