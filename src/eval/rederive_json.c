/* rederive_json.c: what two rulebooks make of the same verdicts as one JSON object; see rederive.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/metrics_parts.h"
#include "eval/rederive.h"

static json_t *count_json(size_t n)
{
    return json_integer((json_int_t)n);
}

static const char *tier_id(const ag_book *book, int tier)
{
    return book->tiers[tier].id;
}

static const char *rule_id(const ag_book *book, int rule)
{
    return rule < 0 ? NULL : book->rules[rule].id;
}

/* Appends a new value; false when there was no memory for either. */
static bool append(json_t *list, json_t *value)
{
    return json_array_append_new(list, value) == 0;
}

/* The list, or NULL when it was not made whole. */
static json_t *whole(json_t *list, bool good)
{
    if (good) return list;
    json_decref(list);
    return NULL;
}

/* --- pairs ---------------------------------------------------------------------------------------------- */

json_t *ag_rederived_json(const ag_rederive *r, const ag_rederived *d)
{
    return json_pack("{s:o, s:o, s:o, s:{s:o, s:o}, s:{s:o, s:o}, s:b, s:o}", "id", ag_text_json(d->id),
                     "query", ag_text_json(d->query), "title", ag_text_json(d->title), "old", "tier",
                     ag_text_json(tier_id(r->old, d->old_tier)), "rule",
                     ag_text_json(rule_id(r->old, d->old_rule)), "new", "tier",
                     ag_text_json(tier_id(r->new, d->new_tier)), "rule",
                     ag_text_json(rule_id(r->new, d->new_rule)), "facts", d->facts, "difference",
                     ag_real_json(d->difference));
}

/* The largest change of gain first, then the order of the file. */
static int by_difference(const void *pa, const void *pb)
{
    const ag_rederived *a = *(const ag_rederived *const *)pa, *b = *(const ag_rederived *const *)pb;
    double x = fabs(a->difference), y = fabs(b->difference);
    return x != y ? (x < y) - (x > y) : (a > b) - (a < b);
}

static json_t *most_json(const ag_rederive *r, size_t limit)
{
    const ag_rederived **rows = ag_calloc(r->count, sizeof *rows);
    json_t *list = json_array();
    size_t n = 0;
    bool good = rows && list;
    for (size_t i = 0; i < r->count && good; i++)
        if (ag_rederived_tier_changes(r, &r->rows[i])) rows[n++] = &r->rows[i];
    if (good) qsort(rows, n, sizeof *rows, by_difference);
    for (size_t i = 0; i < n && i < limit && good; i++) good = append(list, ag_rederived_json(r, rows[i]));
    ag_free(rows);
    return whole(list, good);
}

/* --- transitions ---------------------------------------------------------------------------------------- */

/* From one part of the old book to one of the new one. */
typedef struct transition {
    int old, new;
    size_t pairs, changed; /* changed: of those, with another tier */
} transition;

static int by_pairs(const void *pa, const void *pb)
{
    const transition *a = pa, *b = pb;
    if (a->pairs != b->pairs) return a->pairs < b->pairs ? 1 : -1;
    return a->old != b->old ? a->old - b->old : a->new - b->new;
}

/* All transitions that occurred, the most frequent first. rules: between rules, of pairs of which anything changes; else between
 * tiers. *list: ag_free; NULL when out of memory. */
static size_t transitions(transition **list, const ag_rederive *r, bool rules)
{
    size_t width = 1 + (size_t)(rules ? r->new->rule_count : r->new->tier_count);
    size_t cells = width * (1 + (size_t)(rules ? r->old->rule_count : r->old->tier_count)), n = 0;
    transition *all = *list = ag_calloc(cells, sizeof *all);
    for (size_t i = 0; i < r->count && all; i++) {
        const ag_rederived *d = &r->rows[i];
        bool tier = ag_rederived_tier_changes(r, d);
        if (!tier && !(rules && ag_rederived_rule_changes(r, d))) continue;
        int old = rules ? d->old_rule : d->old_tier, new = rules ? d->new_rule : d->new_tier;
        transition *t = &all[(size_t)(old + 1) * width + (size_t)(new + 1)]; /* row and column 0: no rule */
        *t = (transition){old, new, t->pairs + 1, t->changed + tier};
    }
    for (size_t i = 0; i < cells && all; i++)
        if (all[i].pairs) all[n++] = all[i];
    if (all) qsort(all, n, sizeof *all, by_pairs);
    return n;
}

static json_t *transitions_json(const ag_rederive *r, bool rules)
{
    transition *all;
    const char *(*id)(const ag_book *, int) = rules ? rule_id : tier_id;
    size_t n = transitions(&all, r, rules);
    json_t *list = json_array();
    bool good = list && all;
    for (size_t i = 0; i < n && good; i++) {
        json_t *row = json_pack("{s:o, s:o, s:o, s:o}", "old", ag_text_json(id(r->old, all[i].old)), "new",
                                ag_text_json(id(r->new, all[i].new)), "pairs", count_json(all[i].pairs),
                                "share", ag_real_json((double)all[i].pairs / (double)r->count));
        if (row && rules && !ag_json_set(row, "changed", count_json(all[i].changed))) {
            json_decref(row);
            row = NULL;
        }
        good = append(list, row);
    }
    ag_free(all);
    return whole(list, good);
}

/* --- all ------------------------------------------------------------------------------------------------ */

static json_t *left_out_json(const ag_rederive *r)
{
    json_t *list = json_array();
    bool good = list != NULL;
    for (size_t i = 0; i < r->left_out_count && good; i++) {
        const ag_rederive_left_out *l = &r->left_out[i];
        good = append(list, json_pack("{s:s, s:s, s:o, s:o}", "state", ag_rederive_state_names[l->state],
                                      "text", ag_rederive_state_texts[l->state], "name",
                                      ag_text_json(l->name), "pairs", count_json(l->pairs)));
    }
    return whole(list, good);
}

static json_t *judged_json(const ag_rederive *r, size_t limit)
{
    size_t changed = 0, better = 0, worse = 0, rule_only = 0;
    for (size_t i = 0; i < r->count; i++) {
        const ag_rederived *d = &r->rows[i];
        bool tier = ag_rederived_tier_changes(r, d);
        changed += tier;
        better += tier && d->difference > 0;
        worse += tier && d->difference < 0;
        rule_only += !tier && ag_rederived_rule_changes(r, d);
    }
    double share = r->count ? (double)changed / (double)r->count : NAN;
    json_t *o = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "pairs",
                          count_json(r->read), "compared", count_json(r->count), "changed",
                          count_json(changed), "share", ag_real_json(share), "better", count_json(better),
                          "worse", count_json(worse), "rule_only", count_json(rule_only), "assumed",
                          count_json(r->assumed), "differs", count_json(r->differs), "facts",
                          count_json(r->by_facts), "reread", count_json(r->reread));
    bool good = o && ag_json_set(o, "tiers", transitions_json(r, false)) &&
                ag_json_set(o, "rules", transitions_json(r, true)) &&
                ag_json_set(o, "left_out", left_out_json(r)) && ag_json_set(o, "most", most_json(r, limit));
    return whole(o, good);
}

static json_t *book_json(const ag_book *book)
{
    return json_pack("{s:o, s:o, s:s}", "rulebook", ag_text_json(book->name), "version",
                     ag_text_json(book->version), "digest", book->digest);
}

static json_t *changes_json(const ag_book_changes *changes)
{
    json_t *list = json_array();
    bool good = list != NULL;
    for (size_t i = 0; i < changes->count && good; i++) {
        const ag_book_change *c = &changes->items[i];
        good = append(list, json_pack("{s:s, s:o, s:o, s:o, s:o}", "kind", c->kind, "id", ag_text_json(c->id),
                                      "field", ag_text_json(c->field), "old", ag_text_json(c->was), "new",
                                      ag_text_json(c->now)));
    }
    return whole(list, good);
}

ag_status ag_rederive_json(json_t **json, const ag_book *old, const ag_book *new,
                           const ag_book_changes *changes, const ag_rederive *r, size_t limit, ag_error *err)
{
    json_t *o = json_object();
    bool good = o && ag_json_set(o, "old", book_json(old)) && ag_json_set(o, "new", book_json(new)) &&
                ag_json_set(o, "book", changes_json(changes)) &&
                ag_json_set(o, "judged", r ? judged_json(r, limit) : json_null());
    *json = whole(o, good);
    return good ? AG_OK : ag_fail_memory(err, "rules diff");
}
