/* rederive.c: verdicts read once with the old book, carried over by name, and derived under both; see rederive.h. */
#include "eval/rederive.h"

#include <stdio.h>
#include <string.h>

#include "data/table.h"

const char *const ag_rederive_state_names[AG_REDERIVE_STATES] = {"refused",    "no_pair", "asked_differs",
                                                                 "incomplete", "unread",  "missing"};
const char *const ag_rederive_state_texts[AG_REDERIVE_STATES] = {
    "answer not in the format",
    "no pair of this id",
    "the pair asks for something else than was judged",
    "no verdict that the old book needs",
    "verdict that the new book cannot read",
    "no verdict that the new book needs"};

void ag_rederive_begin(ag_rederive *r, const ag_book *old, const ag_book *new)
{
    *r = (ag_rederive){.old = old, .new = new, .texts = {.name = "judged pairs"}};
    for (int c = 0; c < old->criterion_count; c++) {
        const ag_criterion *was = &old->criteria[c];
        int to = ag_book_criterion(new, was->id);
        if (to >= 0 && new->criteria[to].per_asked != was->per_asked) to = -1;
        r->criterion[c] = to;
        for (int v = 0; v < was->verdict_count; v++)
            r->verdict[c][v] = (int8_t)(to < 0 ? -1
                                               : ag_criterion_verdict(&new->criteria[to], was->verdicts[v]));
    }
}

void ag_rederive_free(ag_rederive *r)
{
    ag_free(r->rows);
    ag_free(r->left_out);
    ag_arena_free(&r->texts);
    *r = (ag_rederive){0};
}

/* --- left out ------------------------------------------------------------------------------------------- */

/* There are few different reasons, so that the row is simply searched for. */
static ag_status leave_out(ag_rederive *r, ag_rederive_state state, const char *name, ag_error *err)
{
    for (size_t i = 0; i < r->left_out_count; i++) {
        if (r->left_out[i].state != state || !ag_streq(r->left_out[i].name, name)) continue;
        r->left_out[i].pairs++;
        return AG_OK;
    }
    char *copy = name ? ag_arena_strdup(&r->texts, name) : NULL;
    if ((name && !copy) ||
        !ag_grow(&r->left_out, &r->left_out_capacity, r->left_out_count + 1, sizeof *r->left_out))
        return ag_fail_memory(err, "judged pairs");
    r->left_out[r->left_out_count++] = (ag_rederive_left_out){state, copy, 1};
    return AG_OK;
}

/* --- one pair ------------------------------------------------------------------------------------------- */

/* How many verdicts a criterion needs. */
static int needed(const ag_criterion *criterion, const ag_asked *asked)
{
    return criterion->per_asked ? asked->count : 1;
}

/* The verdicts of the old entries in the new book's numbers, at their own places; true when they are all there and can be read, else why
 * not and the name at fault. */
static bool carry(const ag_rederive *r, const ag_asked *asked, const ag_verdicts *from, ag_verdicts *to,
                  ag_rederive_state *state, char name[256])
{
    ag_verdicts_clear(to);
    for (int c = 0; c < r->old->criterion_count; c++) {
        const ag_criterion *criterion = &r->old->criteria[c];
        for (int a = 0; a < needed(criterion, asked); a++) {
            int v = from->v[c][a], now = v < 0 ? -1 : r->verdict[c][v];
            if (now >= 0) {
                to->v[r->criterion[c]][a] = (int8_t)now;
                continue;
            }
            *state = v < 0 ? AG_REDERIVE_INCOMPLETE : AG_REDERIVE_UNREAD;
            if (v < 0 || r->criterion[c] < 0)
                snprintf(name, 256, "%.250s", criterion->id);
            else
                snprintf(name, 256, "%.120s=%.120s", criterion->id, criterion->verdicts[v]);
            return false;
        }
    }
    return true;
}

/* Does the new book have all verdicts that it needs? Else the name at fault. */
static bool whole(const ag_rederive *r, const ag_asked *asked, const ag_verdicts *verdicts, char name[256])
{
    for (int c = 0; c < r->new->criterion_count; c++)
        for (int a = 0; a < needed(&r->new->criteria[c], asked); a++) {
            if (verdicts->v[c][a] >= 0) continue;
            snprintf(name, 256, "%.250s", r->new->criteria[c].id);
            return false;
        }
    return true;
}

/* The carried verdicts at the places of the new entries, and what facts change: where the old book's facts said what the verdict is, it
 * is what the new book's say; where there was no such request, too. True when a verdict was changed. */
static bool apply_facts(const ag_rederive *r, const ag_rederive_reading *reading, const ag_verdicts *given,
                        ag_verdicts *carried)
{
    ag_verdicts moved;
    bool changed = false;
    ag_verdicts_clear(&moved);
    for (int c = 0; c < r->old->criterion_count; c++) {
        int to = r->criterion[c];
        const ag_criterion *criterion = &r->old->criteria[c];
        for (int a = 0; to >= 0 && a < needed(criterion, &reading->asked); a++) {
            int was = criterion->per_asked ? reading->was[a] : 0, now = reading->after.v[to][a];
            if (was >= 0) moved.v[to][a] = carried->v[to][was];
            bool fact = was < 0 || (given->v[c][was] >= 0 && given->v[c][was] == reading->before.v[c][was]);
            if (!fact || now < 0 || now == moved.v[to][a]) continue;
            changed = changed || was >= 0;
            moved.v[to][a] = (int8_t)now;
        }
    }
    *carried = moved;
    return changed;
}

/* What the pair itself says of the importance of its entries; -1: the book's, which may differ between the books. */
static void own_importance(int importance[AG_MAX_ASKED], const ag_asked *asked, const json_t *pair)
{
    const json_t *list = json_object_get(pair, "asked");
    for (int a = 0; a < asked->count; a++) {
        const char *own = json_string_value(json_object_get(json_array_get(list, (size_t)a), "importance"));
        importance[a] = !own ? -1 : strcmp(own, "core") == 0;
    }
}

/* A copy in the arena that grows with the result; *text NULL stays NULL. */
static bool keep(ag_rederive *r, const char **text)
{
    return !*text || (*text = ag_arena_strdup(&r->texts, *text)) != NULL;
}

/* What is asked under the new book, as important as it says or the pair does, and the carried verdicts on it. pair NULL: not known. */
static ag_status renew(ag_rederive *r, ag_rederive_reading *now, ag_rederived *d, const ag_asked *asked,
                       const ag_pair *pair, const ag_verdicts *given, ag_verdicts *carried, ag_error *err)
{
    int importance[AG_MAX_ASKED];
    ag_arena scratch = {.name = "facts of a pair"};
    ag_status status = AG_OK;
    if (r->facts && pair) {
        status = ag_rederive_read(now, r, pair, &scratch, err);
        if (status == AG_OK) d->facts = apply_facts(r, now, given, carried);
    } else {
        now->asked = *asked;
        now->reread = false;
        for (int a = 0; a < asked->count; a++) now->entries[a] = asked->entries[a];
        now->asked.entries = now->entries;
    }
    own_importance(importance, &now->asked, pair ? pair->json : NULL);
    if (status == AG_OK) status = ag_asked_resolve(r->new, &now->asked, importance, &scratch, err);
    if (status == AG_OK) ag_derive(r->old, asked, given, &d->old_tier, &d->old_rule);
    if (status == AG_OK) ag_derive(r->new, &now->asked, carried, &d->new_tier, &d->new_rule);
    ag_arena_free(&scratch);
    return status;
}

/* *row: what was derived, or NULL when the pair was left out. */
static ag_status add(ag_rederive *r, const ag_rederived *texts, const ag_asked *asked, const ag_pair *pair,
                     const ag_verdicts *verdicts, const ag_rederived **row, ag_error *err)
{
    ag_rederive_state state = AG_REDERIVE_STATES;
    ag_rederive_reading now;
    ag_verdicts carried;
    ag_rederived d = *texts;
    char name[256];
    *row = NULL;
    if (!carry(r, asked, verdicts, &carried, &state, name)) return leave_out(r, state, name, err);
    AG_TRY(renew(r, &now, &d, asked, pair, verdicts, &carried, err));
    if (!whole(r, &now.asked, &carried, name)) return leave_out(r, AG_REDERIVE_MISSING, name, err);
    r->by_facts += d.facts;
    r->reread += now.reread;
    d.difference = r->new->tiers[d.new_tier].gain - r->old->tiers[d.old_tier].gain;
    /* Only of pairs with a difference the texts are ever shown. */
    bool shown = ag_rederived_tier_changes(r, &d) || ag_rederived_rule_changes(r, &d);
    if (!shown) d.id = d.query = d.title = NULL;
    if (!keep(r, &d.id) || !keep(r, &d.query) || !keep(r, &d.title) ||
        !ag_grow(&r->rows, &r->capacity, r->count + 1, sizeof *r->rows))
        return ag_fail_memory(err, "judged pairs");
    r->rows[r->count] = d;
    *row = &r->rows[r->count++];
    return AG_OK;
}

static const char *rule_name(const ag_book *book, int rule)
{
    return rule < 0 ? NULL : book->rules[rule].id;
}

bool ag_rederived_tier_changes(const ag_rederive *r, const ag_rederived *row)
{
    return strcmp(r->old->tiers[row->old_tier].id, r->new->tiers[row->new_tier].id) != 0;
}

bool ag_rederived_rule_changes(const ag_rederive *r, const ag_rederived *row)
{
    return !ag_streq(rule_name(r->old, row->old_rule), rule_name(r->new, row->new_rule));
}

static ag_rederived texts_of(const ag_pair *pair)
{
    return (ag_rederived){.id = pair->id, .query = pair->query, .title = pair->item.title};
}

ag_status ag_rederive_pairs(ag_rederive *r, const ag_pair_list *pairs, ag_error *err)
{
    const ag_rederived *row;
    for (size_t i = 0; i < pairs->count; i++) {
        const ag_pair *pair = pairs->items[i];
        ag_rederived texts = texts_of(pair);
        r->read++;
        AG_TRY(add(r, &texts, &pair->asked, pair, &pair->gold.verdicts, &row, err));
    }
    return AG_OK;
}

/* --- judged lines --------------------------------------------------------------------------------------- */

/* One line of a judge's file, and where it stands for messages. */
typedef struct line {
    json_t *json;
    const char *id; /* NULL: none */
    char where[512];
} line;

static ag_status unknown(const line *l, const char *name, const char *what, const char *const *names, int n,
                         ag_error *err)
{
    return ag_fail(err, AG_ERR_INPUT, "%s: verdicts: '%.80s' is no %s of the old book%s", l->where, name,
                   what, ag_suggest(name, names, (size_t)n).text);
}

/* null is absent. */
static ag_status read_verdict(const line *l, const ag_criterion *criterion, const json_t *value, int8_t *slot,
                              ag_error *err)
{
    const char *text = json_string_value(value);
    if (json_is_null(value)) return AG_OK;
    if (!text)
        return ag_fail(err, AG_ERR_INPUT, "%s: verdicts.%s: must be a verdict (a string)%s", l->where,
                       criterion->id, criterion->per_asked ? " for each asked id" : "");
    *slot = (int8_t)ag_criterion_verdict(criterion, text);
    if (*slot >= 0) return AG_OK;
    return unknown(l, text, "verdict", criterion->verdicts, criterion->verdict_count, err);
}

static int entry_of(const ag_asked *asked, const char *id)
{
    for (int a = 0; a < asked->count; a++)
        if (strcmp(asked->entries[a].id, id) == 0) return a;
    return -1;
}

/* *known false: the pair does not ask for one of the entries that were judged. */
static ag_status read_verdicts(const ag_rederive *r, const line *l, const ag_asked *asked,
                               ag_verdicts *verdicts, bool *known, ag_error *err)
{
    const char *id, *entry, *names[AG_MAX_CRITERIA];
    json_t *value, *one;
    ag_verdicts_clear(verdicts);
    *known = true;
    for (int c = 0; c < r->old->criterion_count; c++) names[c] = r->old->criteria[c].id;
    json_object_foreach(json_object_get(l->json, "verdicts"), id, value)
    {
        int c = ag_book_criterion(r->old, id);
        if (c < 0) return unknown(l, id, "criterion", names, r->old->criterion_count, err);
        const ag_criterion *criterion = &r->old->criteria[c];
        if (!criterion->per_asked || !json_is_object(value)) {
            AG_TRY(read_verdict(l, criterion, criterion->per_asked ? json_true() : value, &verdicts->v[c][0],
                                err));
            continue;
        }
        json_object_foreach(value, entry, one)
        {
            int a = entry_of(asked, entry);
            *known = *known && a >= 0;
            if (a >= 0) AG_TRY(read_verdict(l, criterion, one, &verdicts->v[c][a], err));
        }
    }
    return AG_OK;
}

/* What is asked as far as the verdicts tell: an entry for each asked id, of the attribute that the id names. */
static ag_status asked_of_verdicts(ag_rederive *r, const line *l, ag_asked *asked,
                                   ag_ask entries[AG_MAX_ASKED], ag_error *err)
{
    const char *id, *entry;
    json_t *value, *one;
    *asked = (ag_asked){.source = AG_ASKED_GIVEN, .entries = entries};
    json_object_foreach(json_object_get(l->json, "verdicts"), id, value)
    {
        json_object_foreach(value, entry, one)
        {
            if (entry_of(asked, entry) >= 0) continue;
            if (asked->count == AG_MAX_ASKED)
                return ag_fail(err, AG_ERR_INPUT, "%s: more than %d asked entries", l->where, AG_MAX_ASKED);
            const char *mark = strchr(entry, '#');
            const char *name = ag_arena_strndup(&r->texts, entry,
                                                mark ? (size_t)(mark - entry) : strlen(entry));
            if (!name) return ag_fail_memory(err, "judged pairs");
            entries[asked->count++] = (ag_ask){.id = entry, .name = name};
        }
    }
    ag_status status = ag_asked_resolve(r->old, asked, NULL, &r->texts, err);
    if (status == AG_ERR_INPUT) ag_error_prefix(err, "%s", l->where);
    return status;
}

/* Does the line itself say that the old book derives something else? */
static bool differs(const ag_rederive *r, const line *l, const ag_rederived *row)
{
    const json_t *derived = json_object_get(l->json, "derived");
    const char *tier = json_string_value(json_object_get(derived, "tier"));
    const char *rule = json_string_value(json_object_get(derived, "rule"));
    return tier && (!ag_streq(tier, r->old->tiers[row->old_tier].id) ||
                    !ag_streq(rule, rule_name(r->old, row->old_rule)));
}

/* pair NULL: not known. */
static ag_status add_line(ag_rederive *r, const line *l, const ag_pair *pair, ag_error *err)
{
    ag_rederived texts = {.id = l->id};
    const ag_rederived *row = NULL;
    ag_asked guessed;
    ag_ask entries[AG_MAX_ASKED];
    ag_verdicts verdicts;
    bool known;
    if (pair)
        texts = texts_of(pair);
    else
        AG_TRY(asked_of_verdicts(r, l, &guessed, entries, err));
    const ag_asked *asked = pair ? &pair->asked : &guessed;
    AG_TRY(read_verdicts(r, l, asked, &verdicts, &known, err));
    /* An entry that the judge did not see is as telling as one that the pair lacks. */
    if (pair && known)
        for (int c = 0; c < r->old->criterion_count; c++)
            for (int a = 0; r->old->criteria[c].per_asked && a < asked->count; a++)
                known = known && verdicts.v[c][a] >= 0;
    if (!known) return leave_out(r, AG_REDERIVE_ASKED, NULL, err);
    AG_TRY(add(r, &texts, asked, pair, &verdicts, &row, err));
    r->assumed += !pair;
    r->differs += row && differs(r, l, row);
    return AG_OK;
}

/* The ids of the pairs, and those that were judged already. */
typedef struct ids {
    const ag_pair_list *pairs;
    ag_table index, judged;
} ids;

static ag_status index_pairs(ids *all, ag_error *err)
{
    for (size_t i = 0; all->pairs && i < all->pairs->count; i++) {
        const char *id = all->pairs->items[i]->id;
        uint32_t at = (uint32_t)i;
        if (i > UINT32_MAX || ag_table_add(&all->index, ag_table_key(id, strlen(id)), &at) < 0)
            return ag_fail_memory(err, "ids of pairs");
    }
    return AG_OK;
}

static ag_status check_line(line *l, ids *all, long number, ag_error *err)
{
    uint32_t first = (uint32_t)number;
    if (!json_is_object(l->json))
        return ag_fail(err, AG_ERR_INPUT, "%s: must be an object: {\"id\": ..., \"verdicts\": {...}}",
                       l->where);
    AG_TRY(ag_json_get_string(l->json, "id", &l->id, l->where, err));
    if (!l->id && all->pairs)
        return ag_fail(err, AG_ERR_INPUT, "%s: 'id' is missing, which tells the pair", l->where);
    int added = l->id ? ag_table_add(&all->judged, ag_table_key(l->id, strlen(l->id)), &first) : 1;
    if (added < 0) return ag_fail_memory(err, "judged ids");
    if (added == 0)
        return ag_fail(err, AG_ERR_INPUT, "%s: '%.80s' is in line %lu already: keep one of the two", l->where,
                       l->id, (unsigned long)first);
    return AG_OK;
}

static ag_status judged_line(ag_rederive *r, line *l, ids *all, long number, ag_error *err)
{
    const ag_pair *pair = NULL;
    AG_TRY(check_line(l, all, number, err));
    r->read++;
    if (json_is_false(json_object_get(l->json, "format")))
        return leave_out(r, AG_REDERIVE_REFUSED, NULL, err);
    if (!json_is_object(json_object_get(l->json, "verdicts")))
        return ag_fail(err, AG_ERR_INPUT, "%s: no verdicts: %s", l->where,
                       json_object_get(l->json, "gold")
                           ? "a file of pairs with gold verdicts goes to --data, without --judged"
                           : "`agrl judge --explain` and `agrl verify` write them");
    if (all->pairs) {
        int64_t at = ag_table_find(&all->index, ag_table_key(l->id, strlen(l->id)));
        if (at < 0) return leave_out(r, AG_REDERIVE_NO_PAIR, NULL, err);
        pair = all->pairs->items[at];
    }
    return add_line(r, l, pair, err);
}

ag_status ag_rederive_judged(ag_rederive *r, const char *path, const ag_pair_list *pairs, ag_error *err)
{
    ids all = {.pairs = pairs};
    ag_lines *lines = NULL;
    char *text;
    size_t len;
    ag_status status = index_pairs(&all, err);
    if (status == AG_OK) status = ag_lines_open(&lines, path, err);
    while (status == AG_OK && (status = ag_lines_next(lines, &text, &len, err)) == AG_OK && text) {
        line l = {0};
        long number = ag_lines_number(lines);
        if (text[strspn(text, " \t\r")] == '\0') continue;
        snprintf(l.where, sizeof l.where, "%.400s:%ld", ag_lines_path(lines), number);
        status = ag_json_parse(&l.json, text, len, ag_lines_path(lines), number, err);
        if (status == AG_OK) status = judged_line(r, &l, &all, number, err);
        json_decref(l.json);
    }
    ag_lines_close(lines);
    ag_table_free(&all.index);
    ag_table_free(&all.judged);
    return status;
}
