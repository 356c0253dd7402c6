/* synth.c: from queries to balanced, labelled pairs.
 *
 * Tests are made first and training last, so that what is withheld from sft changes nothing else: the other files keep
 * their bytes. Within a file each tier has a quota and rules take turns inside a tier; among the products that would do,
 * the one with the fewest facts off is taken, because a judge learns from near misses.
 */
#include "data/synth_parts.h"

#include <math.h>
#include <string.h>

#include "data/split.h"
#include "rules/facts_text.h"

const char *const ag_synth_part_names[AG_SYNTH_PARTS] = {"sft", "rl", "valid", "test", "test_unseen"};
const char *const ag_synth_type_names[AG_SYNTH_TYPES] = {"plain",     "negation", "alternative", "question",
                                                         "knowledge", "kind",     "attribute",   "brand",
                                                         "model",     "device",   "absent",      "real"};
const double ag_synth_catalogue_shares[AG_SYNTH_TYPES] = {
    [AG_SYNTH_NEGATION] = 0.02,  [AG_SYNTH_ALTERNATIVE] = 0.01, [AG_SYNTH_QUESTION] = 0.01,
    [AG_SYNTH_KNOWLEDGE] = 0.01, [AG_SYNTH_KIND] = 0.52,        [AG_SYNTH_ATTRIBUTE] = 0.14,
    [AG_SYNTH_BRAND] = 0.095,    [AG_SYNTH_MODEL] = 0.095,      [AG_SYNTH_DEVICE] = 0.05,
    [AG_SYNTH_ABSENT] = 0.05};

enum {
    CANDIDATES = 96,
    SAME_KIND = 48,
    OTHER_KIND = 12,
    SEARCHED = 200, /* results that are looked through for those that the file at hand may have */
    FOUND = 40,     /* of which this many are considered */
    NEAR_MISSES = 24,
    RELATIONS = 4,
    GIVE_UP = 1000, /* tries for a query of one type */
    QUERIES_A_PAIR = 4,
    QUERIES_MORE = 1000 /* at most this many queries for a part's pairs */
};

/* The price of "cheaper than X" must be clear to a reader: nothing within this share of X's. Over a catalogue nothing that is dearer or of another
 * kind either: who asks for an alternative may not mind the price, and X is not at hand. */
static const double like_margin = 0.12;

typedef struct candidate {
    const ag_item *item;
    ag_gold gold;
    unsigned skills;
    int off; /* verdicts that are not the best */
    bool relabelled;
    bool unseen_category;
} candidate;

typedef struct run {
    ag_synth *synth;
    ag_shelf *shelf;
    const ag_synth_options *options;
    ag_book reduced; /* the book without the withheld rule */
    int withheld;    /* rule index, or -1 */
    ag_map keys;     /* query keys -> part; AG_SYNTH_PARTS for refused ones */
    long tier_quota[AG_MAX_TIERS], tier_count[AG_MAX_TIERS],
        rule_count[AG_MAX_RULES]; /* of the part at hand */
    candidate candidates[CANDIDATES];
    int candidate_count;
    size_t next_real; /* of options.queries */
    long disturbed;   /* queries */
    ag_arena scratch;
    ag_error *err;
} run;

void ag_synth_defaults(ag_synth_options *o)
{
    *o = (ag_synth_options){.pairs = 14000,
                            .seed = 1,
                            .per_query = 5,
                            .part_share = {0.62, 0.20, 0.03, 0.10, 0.05},
                            .type_share = {0.44, 0.22, 0.12, 0.12, 0.10},
                            .unseen_products = 0.25,
                            .unseen_brands = 2,
                            .unseen_categories = 1,
                            .disturbed = 0.08};
}

/* --- query groups ------------------------------------------------------------------------------------------- */

/* The part that may have a query of a real catalogue: there are few ways to name a kind of thing, and each file gets its share
 * of them. */
static int part_of_key(const run *r, const ag_str *key)
{
    ag_rng rng = ag_rng_at(r->options->seed, AG_RNG_SYNTH, 8, ag_hash64(ag_str_text(key), key->len), 0, 0);
    double at = ag_rng_double(&rng);
    int part = 0;
    for (; part < AG_SYNTH_PARTS - 1; part++)
        if ((at -= r->options->part_share[part]) < 0) break;
    return part;
}

/* Files a query under its keys; *fresh false when another part or the same query has them. */
static ag_status claim(run *r, const char *text, int part, bool *fresh)
{
    ag_str set = {0}, joined = {0};
    ag_status status = ag_query_keys(&set, &joined, text, r->err);
    *fresh = false;
    if (status == AG_OK) {
        if (r->options->catalogue && part < AG_SYNTH_PARTS && part_of_key(r, &set) != part) goto out;
        int a = ag_map_get(&r->keys, ag_str_text(&set), set.len);
        /* The second key is marked so that it never meets a first one by chance. */
        ag_str_addc(&joined, '\x1f');
        if ((status = ag_str_ok(&joined, r->err)) != AG_OK) goto out;
        int b = ag_map_get(&r->keys, ag_str_text(&joined), joined.len);
        if (a >= 0 || (b >= 0 && b != part)) goto out;
        if (!ag_map_put(&r->keys, ag_str_text(&set), set.len, part, NULL) ||
            !ag_map_put(&r->keys, ag_str_text(&joined), joined.len, part, NULL))
            status = ag_fail_memory(r->err, "query groups");
        else
            *fresh = true;
    }
out:
    ag_str_free(&set);
    ag_str_free(&joined);
    return status;
}

/* Longer chains of look-alike queries are seen only with all queries at hand. Where one crosses two parts, the part that
 * was made first keeps it. */
static ag_status drop_mixed_groups(run *r)
{
    ag_synth *s = r->synth;
    ag_status status = AG_OK;
    const char **texts = ag_calloc(s->query_count + 1, sizeof *texts);
    uint32_t *group = ag_calloc(s->query_count + 1, sizeof *group);
    if (!texts || !group) status = ag_fail_memory(r->err, "query groups");
    for (size_t i = 0; i < s->query_count && status == AG_OK; i++) texts[i] = s->queries[i].text;
    if (status == AG_OK) status = ag_query_groups(texts, s->query_count, group, r->err);
    for (int p = 0; p < AG_SYNTH_PARTS && status == AG_OK; p++) {
        size_t n = 0;
        for (size_t k = 0; k < s->pair_count[p]; k++) {
            size_t q = (size_t)(s->pairs[p][k].query - s->queries);
            if (s->queries[group[q]].part == p) s->pairs[p][n++] = s->pairs[p][k];
        }
        s->pair_count[p] = n;
    }
    ag_free(texts);
    ag_free(group);
    return status;
}

/* --- candidates --------------------------------------------------------------------------------------------- */

static ag_status relabel(run *r, const ag_synth_query *q, const ag_asked *asked, const ag_item *item,
                         ag_gold *gold, ag_arena *arena)
{
    ag_status status = ag_facts_gold(gold, r->shelf->facts, &r->reduced, asked, item, q->wanted, q->reference,
                                     arena, r->err);
    if (status == AG_OK && gold->rule >= r->withheld) gold->rule++; /* back to the book's numbers */
    return status;
}

static int verdicts_off(const ag_book *book, const ag_asked *asked, const ag_gold *gold)
{
    int off = 0;
    for (int c = 0; c < book->criterion_count; c++)
        for (int a = 0; a < (book->criteria[c].per_asked ? asked->count : 1); a++)
            off += gold->verdicts.v[c][a] > 0;
    return off;
}

/* May the product stand beside the query at all? Of what is hidden, only what is surely something else; of a kind that the query
 * says more of, only what says so too. */
static ag_status in_question(bool *yes, const run *r, const ag_synth_query *q, const ag_item *item, int kind)
{
    ag_match m = {.relation = AG_REL_COUNT};
    *yes = true;
    if (!q->hidden && !q->more) return AG_OK;
    ag_status status = kind < 0 ? AG_OK
                                : ag_facts_match_category(&m, r->shelf->facts, q->wanted,
                                                          r->shelf->kinds[kind].name, r->err);
    bool of_it = m.relation == AG_REL_SAME || m.relation == AG_REL_NARROWER;
    if (q->hidden) *yes = !of_it && m.relation != AG_REL_COUNT;
    if (status == AG_OK && q->more && of_it) {
        bool english = ag_book_english(r->shelf->book);
        ag_words title = {0}, more = {0};
        status = ag_words_split(&title, item->title, english, r->err);
        if (status == AG_OK) status = ag_words_split(&more, q->more, english, r->err);
        for (size_t i = 0; i < more.count && status == AG_OK; i++)
            *yes &= ag_words_find(&title, more.text.data + more.items[i].at, more.items[i].len, 0) >= 0;
        ag_words_free(&more);
        ag_words_free(&title);
    }
    return status;
}

/* Is the product of X's kind, and cheaper? */
static ag_status is_cheaper_kind(bool *yes, const run *r, const ag_item *x, const ag_item *item,
                                 double dearer)
{
    ag_match m = {.relation = AG_REL_ELSE};
    const char *of_x = ag_item_kind(x), *kind = ag_item_kind(item);
    ag_status status = of_x && kind ? ag_facts_match_category(&m, r->shelf->facts, of_x, kind, r->err)
                                    : AG_OK;
    *yes = item->has_price && dearer < 0 && (m.relation == AG_REL_SAME || m.relation == AG_REL_NARROWER);
    return status;
}

/* Labels one product and keeps it if the file at hand may have it. */
static ag_status consider(run *r, const ag_synth_query *q, uint32_t index, bool wanted_unseen)
{
    const ag_item *item = &r->shelf->items[index];
    candidate *c = &r->candidates[r->candidate_count];
    for (int i = 0; i < r->candidate_count; i++)
        if (r->candidates[i].item == item) return AG_OK;
    int kind = r->shelf->kind_of[index];
    *c = (candidate){.item = item,
                     .unseen_category = wanted_unseen || (kind >= 0 && r->shelf->kinds[kind].unseen)};
    if (q->part == AG_SYNTH_UNSEEN && !c->unseen_category && !r->shelf->unseen_brand[index]) return AG_OK;
    bool may;
    ag_status status = in_question(&may, r, q, item, kind);
    if (status != AG_OK || !may) return status;
    const ag_item *x = q->reference;
    if (x && !ag_streq(x->brand, item->brand)) {
        double dearer = item->has_price ? item->price / x->price - 1 : -1;
        bool sure = fabs(dearer) >= like_margin;
        if (r->options->catalogue && sure) status = is_cheaper_kind(&sure, r, x, item, dearer);
        if (status != AG_OK || !sure) return status;
    }
    status = ag_facts_gold_skills(&c->gold, &c->skills, r->shelf->facts, r->shelf->book, &q->asked, item,
                                  q->wanted, x, &r->scratch, r->err);
    if (status != AG_OK || c->gold.tier < 0) return status;
    if (q->part == AG_SYNTH_SFT) {
        bool rule = r->withheld >= 0 && c->gold.rule == r->withheld;
        if ((rule && !r->options->relabel) || (c->skills & r->options->withhold_skills)) {
            r->synth->withheld++;
            return AG_OK;
        }
        c->relabelled = rule;
    }
    c->off = verdicts_off(r->shelf->book, &q->asked, &c->gold);
    r->candidate_count++;
    return AG_OK;
}

/* Random products of the categories in `kinds`. */
static ag_status draw_from(run *r, const ag_synth_query *q, const int *kinds, int n, int want,
                           bool wanted_unseen, ag_rng *rng)
{
    ag_side own = ag_synth_side(q->part);
    int start = r->candidate_count;
    ag_status status = AG_OK;
    for (int tries = 0; n > 0 && tries < want * 3 && r->candidate_count - start < want && status == AG_OK;
         tries++) {
        const ag_kind *kind = &r->shelf->kinds[kinds[ag_rng_below(rng, (uint32_t)n)]];
        ag_side side = own;
        if (own == AG_SIDE_UNSEEN && (kind->count[own] == 0 || ag_rng_double(rng) < 0.4)) side = AG_SIDE_TEST;
        if (kind->count[side] == 0) continue;
        status = consider(r, q, kind->items[side][ag_rng_below(rng, (uint32_t)kind->count[side])],
                          wanted_unseen);
    }
    return status;
}

/* Products of the kinds that stand in each relation to the wanted one. */
static ag_status gather_kinds(run *r, const ag_synth_query *q, const int *wants, ag_rng *rng)
{
    const ag_shelf *s = r->shelf;
    int *kinds = ag_calloc(s->kind_count * RELATIONS + 1, sizeof *kinds), n[RELATIONS] = {0};
    bool unseen = false;
    ag_status status = kinds ? AG_OK : ag_fail_memory(r->err, "categories");
    for (size_t k = 0; k < s->kind_count && status == AG_OK; k++) {
        ag_match m;
        status = ag_facts_match_category(&m, s->facts, q->wanted, s->kinds[k].name, r->err);
        int g = m.relation == AG_REL_SAME || m.relation == AG_REL_NARROWER ? 0
                : m.relation == AG_REL_SIBLING                             ? 1
                : m.relation == AG_REL_RELATED                             ? 2
                                                                           : 3;
        /* A group that is asked for has unseen members as well as seen ones; only a category of its own is unseen. */
        if (m.relation == AG_REL_SAME) unseen |= s->kinds[k].unseen;
        if (m.relation != AG_REL_COUNT) kinds[(size_t)g * s->kind_count + (size_t)n[g]++] = (int)k;
    }
    for (int g = 0; g < RELATIONS && status == AG_OK; g++)
        status = draw_from(r, q, kinds + (size_t)g * s->kind_count, n[g], wants[g], unseen, rng);
    ag_free(kinds);
    return status;
}

/* What a shop's search finds for the words of the query, and products of the wanted kind, which are one fact off. */
static ag_status gather_found(run *r, const ag_synth_query *q, ag_rng *rng)
{
    static const int wants[RELATIONS] = {NEAR_MISSES, 0, 0, 0};
    const ag_shelf *s = r->shelf;
    ag_side own = ag_synth_side(q->part);
    uint32_t found[SEARCHED];
    int n = 0;
    ag_status status = ag_bm25_search(s->search, q->text, found, SEARCHED, &n, r->err);
    for (int i = 0; i < n && r->candidate_count < FOUND && status == AG_OK; i++)
        if (s->side_of[found[i]] == own || (own == AG_SIDE_UNSEEN && s->side_of[found[i]] == AG_SIDE_TEST))
            status = consider(r, q, found[i], false);
    if (status == AG_OK && strcmp(q->wanted, ag_any_kind) != 0) status = gather_kinds(r, q, wants, rng);
    return status;
}

static ag_status gather(run *r, const ag_synth_query *q, ag_rng *rng)
{
    static const int wants[RELATIONS] = {SAME_KIND, OTHER_KIND, OTHER_KIND, OTHER_KIND};
    r->candidate_count = 0;
    return r->shelf->search ? gather_found(r, q, rng) : gather_kinds(r, q, wants, rng);
}

/* --- choosing ------------------------------------------------------------------------------------------------ */

/* The candidate to take next, or -1: of the tier that lacks most, of its rarest rule, with the fewest facts off. */
static int choose(const run *r)
{
    int best = -1;
    double best_need = 0;
    for (int i = 0; i < r->candidate_count; i++) {
        const candidate *c = &r->candidates[i];
        int t = c->gold.tier;
        if (!c->item || r->tier_count[t] >= r->tier_quota[t]) continue;
        double need = 1.0 - (double)r->tier_count[t] / (double)r->tier_quota[t];
        if (best >= 0) {
            const candidate *b = &r->candidates[best];
            if (need < best_need) continue;
            if (need == best_need || t == b->gold.tier) {
                long mine = c->gold.rule >= 0 ? r->rule_count[c->gold.rule] : 0;
                long its = b->gold.rule >= 0 ? r->rule_count[b->gold.rule] : 0;
                if (mine > its || (mine == its && c->off >= b->off)) continue;
            }
        }
        best = i;
        best_need = need;
    }
    return best;
}

/* With the parser's reading in place of the query's own: only when it leads to the same tier by the same rule. Else the
 * words that the parser missed decide, and a label without them would teach the wrong thing. */
static ag_status try_parsed(run *r, ag_synth_pair *pair)
{
    const ag_synth_query *q = pair->query;
    ag_gold gold;
    ag_status status = ag_facts_gold(&gold, r->shelf->facts, r->shelf->book, &q->parsed, pair->item,
                                     q->wanted, q->reference, &r->synth->arena, r->err);
    if (status == AG_OK && pair->relabelled && gold.rule == r->withheld)
        status = relabel(r, q, &q->parsed, pair->item, &gold, &r->synth->arena);
    if (status != AG_OK) return status;
    if (gold.tier != pair->gold.tier || gold.rule != pair->gold.rule) {
        r->synth->parser_missed++;
        return AG_OK;
    }
    pair->gold = gold;
    pair->parsed = true;
    r->synth->parsed_asked++;
    return AG_OK;
}

static ag_status take(run *r, ag_synth_query *q, candidate *c, ag_rng *rng)
{
    ag_synth *s = r->synth;
    int p = q->part;
    ag_status status = AG_OK;
    if (!ag_grow(&s->pairs[p], &s->pair_cap[p], s->pair_count[p] + 1, sizeof *s->pairs[p]))
        return ag_fail_memory(r->err, "pairs");
    ag_synth_pair *pair = &s->pairs[p][s->pair_count[p]];
    size_t index = (size_t)(c->item - r->shelf->items);
    *pair = (ag_synth_pair){.query = q,
                            .item = c->item,
                            .gold = c->gold,
                            .skills = c->skills,
                            .relabelled = c->relabelled,
                            .unseen_product = r->shelf->side_of[index] != AG_SIDE_TRAIN,
                            .unseen_brand = r->shelf->unseen_brand[index],
                            .unseen_category = c->unseen_category};
    if (pair->gold.why && !(pair->gold.why = ag_arena_strdup(&s->arena, pair->gold.why)))
        return ag_fail_memory(r->err, "pairs");
    /* Relabelled pairs are chosen by what they are, so that there are as many of them as the rule would decide. */
    if (c->relabelled) status = relabel(r, q, &q->asked, c->item, &pair->gold, &s->arena);
    bool parsed = p == AG_SYNTH_SFT && ag_rng_double(rng) < r->options->asked_parsed;
    if (parsed && status == AG_OK) status = try_parsed(r, pair);
    s->pair_count[p]++;
    r->tier_count[c->gold.tier]++;
    if (c->gold.rule >= 0) r->rule_count[c->gold.rule]++;
    c->item = NULL; /* taken */
    return status;
}

/* --- one part ------------------------------------------------------------------------------------------------ */

static ag_status read_query(run *r, ag_synth_query *q)
{
    ag_synth *s = r->synth;
    ag_status status = ag_asked_parse(&q->parsed, &q->parsed_category, r->shelf->lexicon, q->text, NULL,
                                      &s->arena, r->err);
    if (status != AG_OK) return status;
    s->asked_entries += q->asked.count;
    s->parsed_entries += q->parsed.count;
    s->agreed_entries += ag_synth_agree(&q->asked, &q->parsed);
    return AG_OK;
}

static ag_status fill_query(run *r, ag_synth_query *q, uint64_t number, size_t full)
{
    ag_rng rng = ag_rng_at(r->options->seed, AG_RNG_SYNTH, 4, (uint64_t)q->part, number, 0);
    ag_status status = gather(r, q, &rng);
    size_t *count = &r->synth->pair_count[q->part];
    for (int k = 0; k < r->options->per_query && *count < full && status == AG_OK; k++) {
        int best = choose(r);
        if (best < 0) break;
        status = take(r, q, &r->candidates[best], &rng);
    }
    ag_arena_free(&r->scratch);
    return status;
}

static void set_quotas(run *r, int part)
{
    double sum = 0, at = 0;
    long given = 0, n = r->synth->wanted[part];
    int tiers = r->shelf->book->tier_count;
    memset(r->tier_count, 0, sizeof r->tier_count);
    memset(r->rule_count, 0, sizeof r->rule_count);
    for (int t = 0; t < tiers; t++) sum += r->options->tier_share[t];
    for (int t = 0; t < tiers; t++) {
        at += sum > 0 ? r->options->tier_share[t] / sum : 1.0 / tiers;
        long up_to = t == tiers - 1 ? n : lround(at * (double)n);
        r->tier_quota[t] = up_to - given;
        given = up_to;
    }
}

static bool can_be_made(const run *r, const int *failed, int type)
{
    return r->options->type_share[type] > 0 && failed[type] < GIVE_UP;
}

/* The query type that lacks most; one that the catalogue cannot make (no knowledge, no prices), or can make no more of, is given
 * up after many tries in a row, and the others share what it leaves. */
static int next_type(const run *r, const long *made, const int *failed)
{
    int best = -1;
    double best_lack = 0, all = 1, shares = 0;
    for (int t = 0; t < AG_SYNTH_TYPES; t++) {
        if (!can_be_made(r, failed, t)) continue;
        all += (double)made[t];
        shares += r->options->type_share[t];
    }
    for (int t = 0; t < AG_SYNTH_TYPES; t++) {
        if (!can_be_made(r, failed, t)) continue;
        double lack = r->options->type_share[t] / shares * all - (double)made[t];
        if (best >= 0 && lack <= best_lack) continue;
        best = t;
        best_lack = lack;
    }
    return best;
}

/* One query of a type; over a catalogue some are disturbed. */
static ag_status make_query(run *r, ag_synth_query *q, bool *made, int part, ag_synth_type type,
                            uint64_t number)
{
    const ag_synth_options *o = r->options;
    ag_arena *arena = &r->synth->arena;
    *made = false;
    if (type == AG_SYNTH_REAL) {
        if (r->next_real == o->query_count) return AG_OK;
        return ag_synth_real_query(q, made, r->shelf, o->queries[r->next_real++], part, arena, r->err);
    }
    ag_status status = (type >= AG_SYNTH_KIND ? ag_synth_catalogue_query : ag_synth_make_query)(
        q, made, r->shelf, part, type, number, arena, r->err);
    if (status != AG_OK || !*made || !o->catalogue) return status;
    /* Clean queries run out first, since there are few ways to say a thing right: without a limit slips would fill the rest. */
    ag_rng rng = ag_rng_at(o->seed, AG_RNG_SYNTH, 6, (uint64_t)part, number, 0);
    bool room = (double)(r->disturbed + 1) <= o->disturbed * (double)(r->synth->query_count + 8);
    if (ag_rng_double(&rng) < o->disturbed && room)
        status = ag_synth_disturb(&q->text, &q->disturbance, q->asked.count > 0, &rng, arena, r->err);
    return status;
}

/* Queries until the part is full or, a long while later, the catalogue has no more to give. */
static ag_status fill_part(run *r, int part)
{
    ag_synth *s = r->synth;
    ag_status status = AG_OK;
    size_t full = (size_t)s->wanted[part];
    size_t most = QUERIES_MORE + full * QUERIES_A_PAIR, queries = 0;
    long by_type[AG_SYNTH_TYPES] = {0};
    int failed[AG_SYNTH_TYPES] = {0}, type;
    set_quotas(r, part);
    r->next_real = 0;
    for (uint64_t number = 0; s->pair_count[part] < full && queries < most && status == AG_OK; number++) {
        ag_synth_query made;
        bool good, fresh = false;
        if ((type = next_type(r, by_type, failed)) < 0) break;
        status = make_query(r, &made, &good, part, (ag_synth_type)type, number);
        if (status == AG_OK && good) status = claim(r, made.text, part, &fresh);
        failed[type] = fresh ? 0 : failed[type] + 1;
        if (type == AG_SYNTH_REAL && r->next_real == r->options->query_count) failed[type] = GIVE_UP;
        if (status != AG_OK || !fresh) continue;
        by_type[type]++;
        s->real_read += type == AG_SYNTH_REAL;
        queries++;
        if (s->query_count == s->query_cap)
            return ag_fail(r->err, AG_ERR_INTERNAL, "more queries than planned");
        ag_synth_query *q = &s->queries[s->query_count++];
        *q = made;
        r->disturbed += q->disturbance != NULL;
        status = read_query(r, q);
        if (status == AG_OK) status = fill_query(r, q, number, full);
    }
    return status;
}

/* --- the run ------------------------------------------------------------------------------------------------- */

static ag_status normalise(double *shares, int n, const char *what, ag_error *err)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        if (!(shares[i] >= 0) || !isfinite(shares[i]))
            return ag_fail(err, AG_ERR_USAGE, "%s: a share is negative", what);
        sum += shares[i];
    }
    if (sum <= 0) return ag_fail(err, AG_ERR_USAGE, "%s: all shares are 0", what);
    for (int i = 0; i < n; i++) shares[i] /= sum;
    return AG_OK;
}

static ag_status find_withheld(run *r, const ag_book *book)
{
    const char *id = r->options->withhold, *names[AG_MAX_RULES];
    r->withheld = -1;
    if (!id)
        return r->options->relabel ? ag_fail(r->err, AG_ERR_USAGE, "--relabel needs --withhold RULE") : AG_OK;
    r->withheld = ag_book_rule(book, id);
    if (r->withheld >= 0) return AG_OK;
    for (int i = 0; i < book->rule_count; i++) names[i] = book->rules[i].id;
    return ag_fail(r->err, AG_ERR_USAGE, "the rulebook has no rule '%s'%s", id,
                   ag_suggest(id, names, (size_t)book->rule_count).text);
}

static ag_status begin(run *r, const ag_book *book, ag_synth_options *o)
{
    ag_synth *s = r->synth;
    long given = 0;
    double at = 0;
    ag_rule *rules = NULL;
    if (o->pairs < 1 || o->pairs > 100000000 || o->per_query < 1)
        return ag_fail(r->err, AG_ERR_USAGE, "pairs must be between 1 and 100000000, and at least 1 a query");
    ag_status status = normalise(o->part_share, AG_SYNTH_PARTS, "shares of the files", r->err);
    if (status == AG_OK)
        status = normalise(o->type_share, AG_SYNTH_TYPES, "shares of the query types", r->err);
    if (status == AG_OK) status = find_withheld(r, book);
    if (status != AG_OK) return status;
    if (r->withheld >= 0) {
        if (!(rules = ag_arena_alloc(&s->arena, (size_t)book->rule_count, sizeof *rules)))
            return ag_fail_memory(r->err, "rules");
        r->reduced = *book;
        r->reduced.rule_count--;
        memcpy(rules, book->rules, (size_t)r->withheld * sizeof *rules);
        memcpy(rules + r->withheld, book->rules + r->withheld + 1,
               (size_t)(book->rule_count - r->withheld - 1) * sizeof *rules);
        r->reduced.rules = rules;
    }
    for (int p = 0; p < AG_SYNTH_PARTS; p++) {
        at += o->part_share[p];
        long up_to = p == AG_SYNTH_PARTS - 1 ? o->pairs : lround(at * (double)o->pairs);
        s->wanted[p] = up_to - given;
        given = up_to;
        s->query_cap += QUERIES_MORE + (size_t)s->wanted[p] * QUERIES_A_PAIR;
    }
    /* Pairs point to queries, so the array must not move. Untouched pages cost nothing. */
    if (!(s->queries = ag_calloc(s->query_cap, sizeof *s->queries))) return ag_fail_memory(r->err, "queries");
    return AG_OK;
}

ag_status ag_synth_run(ag_synth **synth, const ag_item *items, size_t count, const ag_facts *facts,
                       const ag_book *book, const ag_lexicon *lexicon, const ag_synth_options *options,
                       ag_error *err)
{
    static const int order[AG_SYNTH_PARTS] = {AG_SYNTH_UNSEEN, AG_SYNTH_TEST, AG_SYNTH_VALID, AG_SYNTH_RL,
                                              AG_SYNTH_SFT};
    ag_synth_options o = *options;
    ag_shelf shelf = {
        .items = items, .count = count, .facts = facts, .book = book, .lexicon = lexicon, .options = &o};
    ag_arena keys = {.name = "query groups"};
    run *r = ag_calloc(1, sizeof *r);
    ag_synth *s = ag_calloc(1, sizeof *s);
    ag_status status = r && s ? AG_OK : ag_fail_memory(err, "generator");
    if (status != AG_OK) goto out;
    s->arena.name = "pairs";
    *r = (run){.synth = s,
               .shelf = &shelf,
               .options = &o,
               .keys = {.arena = &keys},
               .scratch = {.name = "candidates"},
               .err = err};
    status = begin(r, book, &o);
    if (status == AG_OK) status = ag_shelf_build(&shelf, err);
    for (size_t i = 0; i < o.refused_count && status == AG_OK; i++) {
        bool fresh;
        status = claim(r, o.refused[i], AG_SYNTH_PARTS, &fresh);
    }
    for (int i = 0; i < AG_SYNTH_PARTS && status == AG_OK; i++) status = fill_part(r, order[i]);
    if (status == AG_OK) status = drop_mixed_groups(r);
out:
    if (r) {
        ag_map_free(&r->keys);
        ag_arena_free(&r->scratch);
    }
    ag_arena_free(&keys);
    ag_shelf_free(&shelf);
    ag_free(r);
    if (status == AG_OK)
        *synth = s;
    else
        ag_synth_free(s);
    return status;
}

void ag_synth_free(ag_synth *s)
{
    if (!s) return;
    for (int p = 0; p < AG_SYNTH_PARTS; p++) ag_free(s->pairs[p]);
    ag_free(s->queries);
    ag_arena_free(&s->arena);
    ag_free(s);
}
