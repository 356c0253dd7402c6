/* audit.c: the tier that a rulebook gives to pairs that people judged; see audit.h. */
#include "eval/audit.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rules/facts_kind.h"
#include "rules/facts_map.h"

const char *const ag_audit_state_names[AG_AUDIT_STATES] = {
    "given",   "facts",   "no_tier", "people_only", "no_wanted_category", "no_item_category",
    "unclear", "unmapped"};
const char *const ag_audit_state_texts[AG_AUDIT_STATES] = {
    "verdicts of the pair itself",
    "verdicts from catalogue facts",
    "no human tier",
    "a criterion that only people can judge",
    "no category read in the query",
    "no category of the item",
    "categories whose relation the facts file leaves open",
    "a relation that the book maps to no verdict"};

/* --- what is known of a pair ------------------------------------------------------------------------------- */

ag_status ag_audit_kinds(ag_pair_list *pairs, const ag_facts *facts, ag_error *err)
{
    ag_status status = AG_OK;
    for (size_t i = 0; i < pairs->count && status == AG_OK; i++) {
        ag_item *item = &pairs->items[i]->item;
        if (!ag_item_kind(item)) status = ag_facts_kind(&item->kind, facts, item, err);
    }
    return status;
}

ag_status ag_audit_lexicon(ag_lexicon *lexicon, const ag_pair_list *pairs, ag_error *err)
{
    ag_arena arena = {.name = "audit"};
    ag_map seen = {.arena = &arena};
    ag_status status = AG_OK;
    for (size_t i = 0; i < pairs->count && status == AG_OK; i++) {
        const ag_item *item = &pairs->items[i]->item;
        bool made = true;
        if (item->id && !ag_map_put(&seen, item->id, strlen(item->id), 0, &made))
            status = ag_fail_memory(err, "audit");
        else if (made)
            status = ag_lexicon_add_item(lexicon, item, err);
    }
    ag_map_free(&seen);
    ag_arena_free(&arena);
    return status;
}

/* What the query wants: the pair's own word for it, else what the parser reads. A query that was read to its end and names no
 * kind of thing wants any ("samsung"). Fills `asked` where it is unknown; a type that the pair names stays. */
static ag_status read_query(const char **wanted, ag_pair *pair, const ag_lexicon *lexicon, ag_error *err)
{
    ag_asked parsed = {0};
    const char *own = json_string_value(json_object_get(pair->json, "category"));
    if (own && *own && pair->asked.source != AG_ASKED_UNKNOWN) {
        *wanted = own;
        return AG_OK;
    }
    ag_status status = ag_asked_parse(&parsed, wanted, lexicon, pair->query, &pair->item, &pair->arena, err);
    if (status != AG_OK) return status;
    if (own && *own)
        *wanted = own;
    else if (!*wanted && parsed.count > 0 && parsed.unread == 0)
        *wanted = ag_any_kind;
    if (pair->asked.source != AG_ASKED_UNKNOWN) return AG_OK;
    if (pair->asked.type_count > 0) {
        memcpy(parsed.types, pair->asked.types, sizeof parsed.types);
        parsed.type_count = pair->asked.type_count;
    }
    pair->asked = parsed;
    return AG_OK;
}

static bool has_source(const ag_book *book, ag_fact_source from)
{
    for (int c = 0; c < book->criterion_count; c++)
        if (book->criteria[c].from == from) return true;
    return false;
}

/* Why the facts gave no complete verdicts. */
static ag_audit_state why_not(const ag_book *book, const ag_audit_case *c)
{
    if (has_source(book, AG_FROM_NONE)) return AG_AUDIT_PEOPLE;
    if (!has_source(book, AG_FROM_CATEGORY)) return AG_AUDIT_UNMAPPED;
    if (!c->wanted) return AG_AUDIT_NO_WANTED;
    if (!ag_item_kind(&c->pair->item) && strcmp(c->wanted, ag_any_kind) != 0) return AG_AUDIT_NO_KIND;
    for (int k = 0; k < book->criterion_count; k++)
        if (book->criteria[k].from == AG_FROM_CATEGORY && !book->criteria[k].per_asked &&
            c->verdicts.v[k][0] < 0)
            return AG_AUDIT_UNCLEAR;
    return AG_AUDIT_UNMAPPED;
}

static ag_status audit_pair(ag_audit_case *c, ag_pair *pair, const ag_book *book, const ag_facts *facts,
                            const ag_lexicon *lexicon, ag_error *err)
{
    ag_gold gold;
    *c = (ag_audit_case){.pair = pair, .tier = -1, .rule = -1};
    ag_verdicts_clear(&c->verdicts);
    bool given = pair->asked.source != AG_ASKED_UNKNOWN &&
                 ag_verdicts_complete(book, &pair->asked, &pair->gold.verdicts);
    AG_TRY(read_query(&c->wanted, pair, lexicon, err));
    if (pair->gold.tier < 0) {
        c->state = AG_AUDIT_NO_TIER;
        return AG_OK;
    }
    if (given) {
        c->state = AG_AUDIT_GIVEN;
        c->verdicts = pair->gold.verdicts;
        ag_derive(book, &pair->asked, &c->verdicts, &c->tier, &c->rule);
        return AG_OK;
    }
    AG_TRY(ag_facts_gold(&gold, facts, book, &pair->asked, &pair->item, c->wanted, NULL, &pair->arena, err));
    c->verdicts = gold.verdicts;
    c->tier = gold.tier;
    c->rule = gold.rule;
    c->state = gold.tier >= 0 ? AG_AUDIT_FACTS : why_not(book, c);
    return AG_OK;
}

ag_status ag_audit_run(ag_audit **audit, const ag_book *book, const ag_facts *facts,
                       const ag_lexicon *lexicon, ag_pair_list *pairs, ag_error *err)
{
    ag_status status = AG_OK;
    ag_audit *a = ag_calloc(1, sizeof *a);
    *audit = NULL;
    if (!a || !(a->cases = ag_calloc(pairs->count, sizeof *a->cases))) status = ag_fail_memory(err, "audit");
    for (size_t i = 0; i < pairs->count && status == AG_OK; i++)
        status = audit_pair(&a->cases[i], pairs->items[i], book, facts, lexicon, err);
    if (status != AG_OK) {
        ag_audit_free(a);
        return status;
    }
    a->book = book;
    a->count = pairs->count;
    *audit = a;
    return AG_OK;
}

void ag_audit_free(ag_audit *audit)
{
    if (audit) ag_free(audit->cases);
    ag_free(audit);
}

/* --- cases ------------------------------------------------------------------------------------------------- */

bool ag_audit_counts(const ag_audit_case *c)
{
    return c->state == AG_AUDIT_GIVEN || c->state == AG_AUDIT_FACTS;
}

int ag_audit_difference(const ag_audit_case *c)
{
    return c->pair->gold.tier - c->tier; /* tiers are numbered best first */
}

/* A list of examples on its way. */
typedef struct picker {
    const ag_audit_case **cases;
    size_t count, most;
} picker;

static bool has_query(const picker *p, const ag_audit_case *c, bool *same)
{
    bool query = false;
    *same = false;
    for (size_t i = 0; i < p->count; i++) {
        if (p->cases[i] == c) *same = true;
        if (strcmp(p->cases[i]->pair->query, c->pair->query) == 0) query = true;
    }
    return query;
}

/* Adds the cases that `fits` picks: first those of queries that are not there yet, then the rest. */
static void pick(picker *p, const ag_audit *audit, bool (*fits)(const ag_audit_case *c, int a, int b), int a,
                 int b)
{
    for (int fresh = 1; fresh >= 0; fresh--)
        for (size_t i = 0; i < audit->count && p->count < p->most; i++) {
            const ag_audit_case *c = &audit->cases[i];
            bool same;
            if (!fits(c, a, b) || (has_query(p, c, &same) && fresh) || same) continue;
            p->cases[p->count++] = c;
        }
}

static bool is_off(const ag_audit_case *c, int rule, int by)
{
    return ag_audit_counts(c) && c->rule == rule && abs(ag_audit_difference(c)) == by;
}

static bool has_state(const ag_audit_case *c, int state, int unused)
{
    (void)unused;
    return (int)c->state == state;
}

size_t ag_audit_worst(const ag_audit *audit, int rule, const ag_audit_case **cases, size_t most)
{
    picker p = {.cases = cases, .most = most};
    for (int by = audit->book->tier_count - 1; by > 0; by--) pick(&p, audit, is_off, rule, by);
    return p.count;
}

size_t ag_audit_left_out(const ag_audit *audit, ag_audit_state state, const ag_audit_case **cases,
                         size_t most)
{
    picker p = {.cases = cases, .most = most};
    pick(&p, audit, has_state, (int)state, 0);
    return p.count;
}
