/* rederive_facts.c: what catalogue facts say of a pair, and what is read in its query, under two books; see rederive.h. */
#include <string.h>

#include "eval/rederive.h"
#include "rules/facts_kind.h"

/* One book's view of a pair. */
typedef struct view {
    const ag_book *book;
    const ag_facts *facts;
    const ag_lexicon *lexicon;
} view;

/* What the query wants, by the rule of the audit: the pair's own word for it, else what is read; a query that was read to its end and
 * names no kind of thing wants any. `parsed` gets what was read. */
static ag_status read_query(const char **wanted, ag_asked *parsed, const view *v, const ag_pair *pair,
                            ag_arena *arena, ag_error *err)
{
    const char *own = json_string_value(json_object_get(pair->json, "category"));
    *wanted = NULL;
    AG_TRY(ag_asked_parse(parsed, wanted, v->lexicon, pair->query, &pair->item, arena, err));
    if (own && *own)
        *wanted = own;
    else if (!*wanted && parsed->count > 0 && parsed->unread == 0)
        *wanted = ag_any_kind;
    return AG_OK;
}

/* Verdicts of the facts on what is asked. */
static ag_status look(ag_verdicts *verdicts, const view *v, const ag_pair *pair, const ag_asked *asked,
                      const char *wanted, ag_arena *arena, ag_error *err)
{
    ag_item item = pair->item;
    ag_gold gold;
    item.kind = NULL; /* another book may have told it */
    if (!ag_item_kind(&item)) AG_TRY(ag_facts_kind(&item.kind, v->facts, &item, err));
    AG_TRY(ag_facts_gold(&gold, v->facts, v->book, asked, &item, wanted, NULL, arena, err));
    *verdicts = gold.verdicts;
    return AG_OK;
}

static bool same_request(const ag_ask *a, const ag_ask *b)
{
    if (a->op != b->op || a->value_count != b->value_count || !ag_streq(a->name, b->name)) return false;
    for (int i = 0; i < a->value_count; i++)
        if (!ag_streq(a->values[i], b->values[i])) return false;
    return true;
}

/* Which old entry each new one is; each old one is taken once. */
static void match(ag_rederive_reading *r, const ag_asked *old)
{
    bool taken[AG_MAX_ASKED] = {false};
    r->reread = r->asked.count != old->count;
    for (int a = 0; a < r->asked.count; a++) {
        r->was[a] = -1;
        for (int b = 0; b < old->count && r->was[a] < 0; b++)
            if (!taken[b] && same_request(&r->entries[a], &old->entries[b])) r->was[a] = b;
        if (r->was[a] >= 0) taken[r->was[a]] = true;
        r->reread = r->reread || r->was[a] < 0;
    }
}

/* A type that the pair names stays. */
static void keep_types(ag_asked *to, const ag_pair *pair)
{
    if (!json_object_get(pair->json, "type")) return;
    memcpy(to->types, pair->asked.types, sizeof to->types);
    to->type_count = pair->asked.type_count;
}

ag_status ag_rederive_read(ag_rederive_reading *reading, const ag_rederive *r, const ag_pair *pair,
                           ag_arena *arena, ag_error *err)
{
    const view old = {r->old, r->facts->old, r->facts->old_lexicon},
               new = {r->new, r->facts->new, r->facts->new_lexicon};
    const char *wanted_before, *wanted_after;
    ag_asked before = {0}, after = {0};
    AG_TRY(read_query(&wanted_before, &before, &old, pair, arena, err));
    AG_TRY(read_query(&wanted_after, &after, &new, pair, arena, err));
    if (pair->asked.source == AG_ASKED_PARSED) {
        reading->asked = after;
        keep_types(&reading->asked, pair);
    } else {
        reading->asked = pair->asked;
    }
    for (int a = 0; a < reading->asked.count; a++) reading->entries[a] = reading->asked.entries[a];
    reading->asked.entries = reading->entries;
    match(reading, &pair->asked);
    AG_TRY(look(&reading->before, &old, pair, &pair->asked, wanted_before, arena, err));
    return look(&reading->after, &new, pair, &reading->asked, wanted_after, arena, err);
}
