/* audit_json.c: an audit as one JSON object; see audit.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "eval/audit.h"
#include "eval/metrics_parts.h"
#include "rules/answer.h"
#include "rules/facts_kind.h"
#include "rules/verify.h"

enum { EVERY_RULE = -2 }; /* in place of a rule's index; -1 is no rule */

/* What is being written, and room for it. */
typedef struct writer {
    const ag_audit *audit;
    size_t examples;
    const ag_audit_case **cases; /* [examples] */
    const char **queries;        /* [cases of the audit] */
    double *sums;                /* of a tally */
    ag_error *err;
} writer;

/* Sets a new value (reference taken, also on failure). */
static bool set_new(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

static json_t *number(size_t n)
{
    return json_integer((json_int_t)n);
}

/* --- one case ---------------------------------------------------------------------------------------------- */

static json_t *derived_json(const writer *w, const ag_audit_case *c)
{
    const ag_answer answer = {.tier = c->tier, .rule = c->rule, .verdicts = c->verdicts};
    json_t *derived = json_object();
    if (derived && ag_answer_to_json(derived, w->audit->book, &c->pair->asked, &answer, w->err) == AG_OK)
        return derived;
    json_decref(derived);
    return NULL;
}

static json_t *case_json(const writer *w, const ag_audit_case *c)
{
    const ag_pair *pair = c->pair;
    int human = pair->gold.tier;
    json_t *o = json_object();
    bool good = o && set_new(o, "id", ag_text_json(pair->id)) &&
                set_new(o, "query", ag_text_json(pair->query)) &&
                set_new(o, "title", ag_text_json(pair->item.title)) &&
                set_new(o, "wanted", ag_text_json(c->wanted)) &&
                set_new(o, "category", ag_text_json(ag_item_kind(&pair->item))) &&
                set_new(o, "asked", ag_asked_to_json(&pair->asked)) &&
                set_new(o, "human", ag_text_json(human < 0 ? NULL : w->audit->book->tiers[human].id));
    if (good && ag_audit_counts(c)) good = set_new(o, "derived", derived_json(w, c));
    if (good) return o;
    json_decref(o);
    return NULL;
}

static json_t *cases_json(const writer *w, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count && list; i++) {
        if (json_array_append_new(list, case_json(w, w->cases[i])) == 0) continue;
        json_decref(list);
        list = NULL;
    }
    return list;
}

/* --- rows -------------------------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* How many different ones the first n of w->queries are. */
static size_t count_queries(writer *w, size_t n)
{
    size_t different = 0;
    qsort(w->queries, n, sizeof *w->queries, by_text);
    for (size_t i = 0; i < n; i++) different += i == 0 || strcmp(w->queries[i], w->queries[i - 1]) != 0;
    return different;
}

/* Counts of the cases that one rule (or any) decided. */
static json_t *row_json(writer *w, int rule)
{
    const ag_book *book = w->audit->book;
    int tiers = book->tier_count;
    size_t pairs = 0, near = 0;
    double difference = 0;
    memset(w->sums, 0, ag_tally_width(book) * sizeof *w->sums);
    ag_tally tally = ag_tally_view(book, w->sums);
    for (size_t i = 0; i < w->audit->count; i++) {
        const ag_audit_case *c = &w->audit->cases[i];
        if (!ag_audit_counts(c) || (rule != EVERY_RULE && c->rule != rule)) continue;
        w->queries[pairs++] = c->pair->query;
        tally.confusion[c->pair->gold.tier * tiers + c->tier]++;
        near += abs(ag_audit_difference(c)) <= 1;
        difference += ag_audit_difference(c);
    }
    json_t *row = json_object(), *counts = json_object();
    bool good = row && counts;
    for (int g = 0; g < tiers && good; g++) {
        double n = 0;
        for (int t = 0; t < tiers; t++) n += tally.confusion[g * tiers + t];
        good = set_new(counts, book->tiers[g].id, json_integer((json_int_t)n));
    }
    good = good && set_new(row, "pairs", number(pairs)) &&
           set_new(row, "queries", number(count_queries(w, pairs))) &&
           json_object_set(row, "tiers", counts) == 0 &&
           set_new(row, "agreement", ag_real_json(ag_metric_accuracy(&tally, 0))) &&
           set_new(row, "within_one", ag_real_json(ag_share((double)near, (double)pairs))) &&
           set_new(row, "difference", ag_real_json(ag_share(difference, (double)pairs)));
    if (good && rule == EVERY_RULE) good = set_new(row, "kappa", ag_real_json(ag_metric_kappa(&tally, 0)));
    json_decref(counts);
    if (good) return row;
    json_decref(row);
    return NULL;
}

static json_t *rule_json(writer *w, int rule)
{
    const ag_book *book = w->audit->book;
    const ag_rule *r = rule < 0 ? NULL : &book->rules[rule];
    json_t *row = json_pack("{s:o, s:o, s:o}", "rule", ag_text_json(r ? r->id : NULL), "cap",
                            ag_text_json(book->tiers[r ? r->cap : 0].id), "text",
                            ag_text_json(r ? r->text : NULL));
    json_t *counts = row ? row_json(w, rule) : NULL;
    bool good = counts && json_object_update(row, counts) == 0;
    json_decref(counts);
    if (good)
        good = set_new(row, "worst", cases_json(w, ag_audit_worst(w->audit, rule, w->cases, w->examples)));
    if (good) return row;
    json_decref(row);
    return NULL;
}

/* One row a rule, in the book's order, and one for pairs where none holds, if there are any. */
static json_t *rules_json(writer *w)
{
    json_t *rows = json_array();
    bool none = false, good = rows != NULL;
    for (size_t i = 0; i < w->audit->count; i++)
        none |= ag_audit_counts(&w->audit->cases[i]) && w->audit->cases[i].rule < 0;
    for (int r = 0; r < w->audit->book->rule_count && good; r++)
        good = json_array_append_new(rows, rule_json(w, r)) == 0;
    if (good && none) good = json_array_append_new(rows, rule_json(w, -1)) == 0;
    if (good) return rows;
    json_decref(rows);
    return NULL;
}

/* --- pairs that are left out ------------------------------------------------------------------------------- */

static size_t state_count(writer *w, ag_audit_state state)
{
    size_t n = 0;
    for (size_t i = 0; i < w->audit->count; i++)
        if (w->audit->cases[i].state == state) w->queries[n++] = w->audit->cases[i].pair->query;
    return n;
}

static json_t *states_json(writer *w)
{
    json_t *states = json_object();
    for (int s = 0; s < AG_AUDIT_STATES && states; s++) {
        if (set_new(states, ag_audit_state_names[s], number(state_count(w, (ag_audit_state)s)))) continue;
        json_decref(states);
        states = NULL;
    }
    return states;
}

static json_t *left_out_json(writer *w)
{
    json_t *rows = json_array();
    bool good = rows != NULL;
    for (int s = AG_AUDIT_NO_TIER; s < AG_AUDIT_STATES && good; s++) {
        size_t n = state_count(w, (ag_audit_state)s);
        if (n == 0) continue;
        size_t queries = count_queries(w, n);
        json_t *row = json_pack("{s:s, s:s, s:o, s:o}", "state", ag_audit_state_names[s], "text",
                                ag_audit_state_texts[s], "pairs", number(n), "queries", number(queries));
        n = ag_audit_left_out(w->audit, (ag_audit_state)s, w->cases, w->examples);
        good = row && set_new(row, "examples", cases_json(w, n));
        if (good)
            good = json_array_append_new(rows, row) == 0;
        else
            json_decref(row);
    }
    if (good) return rows;
    json_decref(rows);
    return NULL;
}

/* --- all --------------------------------------------------------------------------------------------------- */

static json_t *tiers_json(const ag_book *book)
{
    json_t *tiers = json_array();
    for (int t = 0; t < book->tier_count && tiers; t++) {
        if (json_array_append_new(tiers, ag_text_json(book->tiers[t].id)) == 0) continue;
        json_decref(tiers);
        tiers = NULL;
    }
    return tiers;
}

static json_t *audit_json(writer *w)
{
    const ag_book *book = w->audit->book;
    size_t audited = 0;
    for (size_t i = 0; i < w->audit->count; i++) audited += ag_audit_counts(&w->audit->cases[i]);
    json_t *o = json_pack("{s:o, s:o, s:s, s:o, s:o}", "rulebook", ag_text_json(book->name), "version",
                          ag_text_json(book->version), "digest", book->digest, "pairs",
                          number(w->audit->count), "audited", number(audited));
    if (o && set_new(o, "tiers", tiers_json(book)) && set_new(o, "states", states_json(w)) &&
        set_new(o, "all", row_json(w, EVERY_RULE)) && set_new(o, "rules", rules_json(w)) &&
        set_new(o, "left_out", left_out_json(w)))
        return o;
    json_decref(o);
    return NULL;
}

ag_status ag_audit_json(json_t **json, const ag_audit *audit, int examples, ag_error *err)
{
    writer w = {.audit = audit, .err = err};
    ag_status status = AG_OK;
    w.examples = (size_t)(examples < 0 ? 0 : examples > AG_AUDIT_EXAMPLES ? AG_AUDIT_EXAMPLES : examples);
    w.cases = ag_calloc(w.examples, sizeof *w.cases);
    w.queries = ag_calloc(audit->count, sizeof *w.queries);
    w.sums = ag_calloc(ag_tally_width(audit->book), sizeof *w.sums);
    *json = w.cases && w.queries && w.sums ? audit_json(&w) : NULL;
    if (!*json) status = ag_fail_memory(err, "audit");
    ag_free(w.cases);
    ag_free(w.queries);
    ag_free(w.sums);
    return status;
}
