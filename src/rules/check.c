/* check.c: what is wrong with a book that compiles: rules that never matter, tiers that nothing reaches, and worse
 * verdicts that are rewarded with a better tier.
 *
 * All are found by looking at every point that the rules can tell apart; where those are too many, at a sample. Worse
 * by one step on one axis is enough: any worse point is a chain of such steps.
 */
#include <string.h>

#include "rules/check_space.h"

enum { MAX_RAISES = 32, MAX_BOUND = 50000000 };

/* A worse verdict that raised the tier, with the point where it was seen first. */
typedef struct raise {
    int criterion, entry, verdict, rule_before, rule_after, tier_before, tier_after;
    ag_check_point point;
} raise;

typedef struct checker {
    const ag_book *book;
    ag_check_space space;
    long points;
    int complete_to; /* every point with up to so many entries was seen; -1: none */
    bool sampled;
    bool truth[AG_MAX_RULES];
    long holds[AG_MAX_RULES], decides[AG_MAX_RULES];
    int shadow[AG_MAX_RULES]; /* the rule that decided where this one held first */
    long reached[AG_MAX_TIERS];
    long undecided;
    ag_check_point undecided_point;
    raise *raises;
    int raise_count;
    bool more_raises;
} checker;

/* --- one point ---------------------------------------------------------------------------------------------- */

static void derive_only(const checker *k, const ag_check_point *point, int *tier, int *rule)
{
    ag_derive(k->book, &point->asked, &point->verdicts, tier, rule);
}

static void visit(checker *k, const ag_check_point *point, int *tier, int *rule)
{
    const ag_book *book = k->book;
    bool any = false;
    derive_only(k, point, tier, rule);
    for (int r = 0; r < book->rule_count; r++) {
        const ag_condition *condition = book->rules[r].condition;
        k->truth[r] = condition && ag_when_holds(condition, &point->asked, &point->verdicts);
        any |= k->truth[r];
    }
    for (int r = 0; r < book->rule_count; r++) {
        if (!k->truth[r] && (any || book->rules[r].condition)) continue;
        if (k->holds[r]++ == 0) k->shadow[r] = *rule;
    }
    if (*rule >= 0)
        k->decides[*rule]++;
    else if (k->undecided++ == 0)
        k->undecided_point = *point;
    k->reached[*tier]++;
    k->points++;
}

/* Tiers are numbered best first: a smaller number after a worse verdict is the fault. */
static void note_raise(checker *k, const ag_check_point *point, const ag_check_axis *axis, const int tiers[2],
                       const int rules[2])
{
    if (tiers[1] >= tiers[0]) return;
    for (int i = 0; i < k->raise_count; i++) {
        const raise *r = &k->raises[i];
        if (r->criterion == axis->criterion && r->rule_before == rules[0] && r->rule_after == rules[1])
            return;
    }
    if (k->raise_count == MAX_RAISES) {
        k->more_raises = true;
        return;
    }
    raise *r = &k->raises[k->raise_count++];
    *r = (raise){.criterion = axis->criterion,
                 .entry = axis->entry,
                 .verdict = point->verdicts.v[axis->criterion][axis->entry],
                 .tier_before = tiers[0],
                 .tier_after = tiers[1],
                 .rule_before = rules[0],
                 .rule_after = rules[1],
                 .point = *point};
}

/* --- every point of one pattern of entries ------------------------------------------------------------------ */

typedef struct outcome {
    int16_t tier, rule;
} outcome;

static void set_point(ag_check_point *point, const ag_check_axis *axes, int n, long index)
{
    for (int i = 0; i < n; i++) {
        point->verdicts.v[axes[i].criterion][axes[i].entry] = (int8_t)(index % axes[i].radix);
        index /= axes[i].radix;
    }
}

static void check_pattern(checker *k, ag_check_point *point, outcome *outcomes)
{
    ag_check_axis axes[AG_MAX_CRITERIA * AG_MAX_ASKED];
    int n = ag_check_axes(&k->space, point->asked.count, axes), tier, rule;
    long total = 1, stride = 1;
    for (int i = 0; i < n; i++) total *= axes[i].radix;
    for (long p = 0; p < total; p++) {
        set_point(point, axes, n, p);
        visit(k, point, &tier, &rule);
        outcomes[p] = (outcome){.tier = (int16_t)tier, .rule = (int16_t)rule};
    }
    for (int i = 0; i < n; stride *= axes[i].radix, i++)
        for (long p = 0; p + stride < total; p++) {
            if (p / stride % axes[i].radix == axes[i].radix - 1) continue; /* nothing is worse on this axis */
            const outcome *before = &outcomes[p], *after = &outcomes[p + stride];
            if (after->tier >= before->tier) continue;
            set_point(point, axes, n, p);
            note_raise(k, point, &axes[i], (const int[]){before->tier, after->tier},
                       (const int[]){before->rule, after->rule});
        }
}

/* Every multiset of kinds with `count` entries: kinds[e] never falls along e. */
static void check_entries(checker *k, int count, outcome *outcomes)
{
    ag_check_point point = {.asked = {.source = AG_ASKED_GIVEN, .count = count}};
    int kind[AG_CHECK_ENTRIES] = {0};
    point.asked.entries = point.entries;
    ag_verdicts_clear(&point.verdicts);
    for (;;) {
        for (int e = 0; e < count; e++) point.entries[e] = k->space.kinds[kind[e]];
        for (int set = 0; set < k->space.type_sets; set++) {
            ag_check_types(&k->space, set, &point.asked);
            check_pattern(k, &point, outcomes);
        }
        int e = count - 1;
        while (e >= 0 && kind[e] == k->space.kind_count - 1) e--;
        if (e < 0) return;
        for (int next = ++kind[e]; ++e < count;) kind[e] = next;
    }
}

static ag_status check_every(checker *k, long bound, ag_error *err)
{
    int most = k->space.entries_matter ? AG_CHECK_ENTRIES : 0;
    double total = 0;
    k->complete_to = -1;
    for (int n = 0; n <= most; n++) {
        total += ag_check_space_size(&k->space, n);
        if (total > (double)bound) break;
        k->complete_to = n;
    }
    k->sampled = k->complete_to < most || k->space.overflow || k->space.max_entries > AG_CHECK_ENTRIES;
    if (k->complete_to < 0) return AG_OK;
    double size = ag_check_space_size(&k->space, k->complete_to); /* at least one pattern's */
    outcome *outcomes = ag_calloc((size_t)size, sizeof(*outcomes));
    if (!outcomes) return ag_fail_memory(err, "rules check");
    for (int n = 0; n <= k->complete_to; n++) check_entries(k, n, outcomes);
    ag_free(outcomes);
    return AG_OK;
}

static void check_samples(checker *k, long samples)
{
    ag_check_axis axes[AG_MAX_CRITERIA * AG_MAX_ASKED];
    ag_check_point point;
    for (long s = 0; s < samples; s++) {
        ag_rng rng = ag_rng_at(0, AG_RNG_CHECK, (uint64_t)s, 0, 0, 0);
        int tiers[2], rules[2];
        ag_check_sample(&k->space, &rng, &point);
        visit(k, &point, &tiers[0], &rules[0]);
        int n = ag_check_axes(&k->space, point.asked.count, axes);
        for (int i = 0; i < n; i++) {
            int8_t *verdict = &point.verdicts.v[axes[i].criterion][axes[i].entry];
            if (*verdict == axes[i].radix - 1) continue;
            ++*verdict;
            derive_only(k, &point, &tiers[1], &rules[1]);
            --*verdict;
            note_raise(k, &point, &axes[i], tiers, rules);
        }
    }
}

/* --- the report --------------------------------------------------------------------------------------------- */

static const char *rule_name(const ag_book *book, int rule)
{
    return rule < 0 ? "no rule" : book->rules[rule].id;
}

static void write_entry(ag_str *out, const checker *k, const ag_ask *ask)
{
    ag_str_add(out, ask->name);
    if (k->space.core_matters) ag_str_add(out, ask->core ? " (core" : " (minor");
    if (k->space.negated_matters && ask->negated)
        ag_str_add(out, k->space.core_matters ? ", negated" : " (negated");
    if (k->space.core_matters || (k->space.negated_matters && ask->negated)) ag_str_add(out, ")");
}

/* The point as people write it; absent axes are those that no rule looks at. The asked entries behind `point` may have
 * moved with it, so its own storage is read. */
static void write_point(ag_str *out, const checker *k, const ag_check_point *point)
{
    const char *separator = "";
    for (int c = 0; c < k->book->criterion_count; c++) {
        const ag_criterion *criterion = &k->book->criteria[c];
        if (!k->space.used[c]) continue;
        ag_str_addf(out, "%s%s=", separator, criterion->id);
        separator = ", ";
        if (!criterion->per_asked) ag_str_add(out, criterion->verdicts[point->verdicts.v[c][0]]);
        for (int e = 0; criterion->per_asked && e < point->asked.count; e++) {
            if (e > 0) ag_str_add(out, ";");
            write_entry(out, k, &point->entries[e]);
            ag_str_addf(out, ":%s", criterion->verdicts[point->verdicts.v[c][e]]);
        }
        if (criterion->per_asked && point->asked.count == 0) ag_str_add(out, "-");
    }
    for (int t = 0; t < point->asked.type_count; t++) {
        ag_str_addf(out, "%squery.type=%s", separator, point->asked.types[t]);
        separator = ", ";
    }
    if (!*separator) ag_str_add(out, "any query");
}

static void report_head(ag_str *out, const checker *k, long bound)
{
    const ag_book *book = k->book;
    ag_str_addf(out, "%s: rulebook %s %s: %d tiers, %d criteria, %d rules\n", book->path, book->name,
                book->version, book->tier_count, book->criterion_count, book->rule_count);
    ag_str_addf(out, "checked %ld points: ", k->points);
    if (k->complete_to >= 0) ag_str_add(out, "every verdict");
    if (k->complete_to >= 0 && k->space.entries_matter)
        ag_str_addf(out, " for 0 to %d asked entries of %d kinds", k->complete_to, k->space.kind_count);
    if (k->complete_to >= 0 && k->space.type_count > 0)
        ag_str_addf(out, ", %d sets of query types", k->space.type_sets);
    if (k->sampled)
        ag_str_addf(out, "%sa sample with up to %d asked entries (past the bound of %ld points)",
                    k->complete_to >= 0 ? ", and " : "", k->space.entries_matter ? k->space.max_entries : 0,
                    bound);
    ag_str_addc(out, '\n');
}

static int report_rules(ag_str *out, const checker *k)
{
    const ag_book *book = k->book;
    int problems = 0;
    for (int i = 0; i < book->rule_count; i++) {
        const ag_rule *rule = &book->rules[i];
        if (k->decides[i] > 0) continue;
        problems++;
        ag_str_addf(out, "problem: %s:%d:%d: ", book->path, rule->line, rule->column);
        if (k->holds[i] == 0)
            ag_str_addf(out, "rule %s never holds%s\n", rule->id, k->sampled ? " in the points seen" : "");
        else
            ag_str_addf(out, "rule %s holds but never decides%s; where it holds, %s decides\n", rule->id,
                        k->sampled ? " in the points seen" : "", rule_name(book, k->shadow[i]));
    }
    return problems;
}

static int report_raises(ag_str *out, const checker *k)
{
    const ag_book *book = k->book;
    for (int i = 0; i < k->raise_count; i++) {
        const raise *r = &k->raises[i];
        const ag_criterion *criterion = &book->criteria[r->criterion];
        ag_str_addf(out, "problem: a worse verdict raises the tier: %s", criterion->id);
        if (criterion->per_asked) {
            ag_str_addc(out, ' ');
            write_entry(out, k, &r->point.entries[r->entry]);
        }
        ag_str_addf(out, " from %s to %s turns tier %s (%s) into %s (%s); for example at ",
                    criterion->verdicts[r->verdict], criterion->verdicts[r->verdict + 1],
                    book->tiers[r->tier_before].id, rule_name(book, r->rule_before),
                    book->tiers[r->tier_after].id, rule_name(book, r->rule_after));
        write_point(out, k, &r->point);
        ag_str_addc(out, '\n');
    }
    if (k->more_raises) ag_str_addf(out, "problem: more such cases than the %d shown\n", MAX_RAISES);
    return k->raise_count + k->more_raises;
}

static int report_rest(ag_str *out, const checker *k)
{
    const ag_book *book = k->book;
    int problems = 0;
    for (int t = 0; t < book->tier_count; t++) {
        if (k->reached[t] > 0) continue;
        problems++;
        ag_str_addf(out, "problem: tier %s (%s) is never reached%s\n", book->tiers[t].id, book->tiers[t].name,
                    k->sampled ? " in the points seen" : "");
    }
    if (k->undecided > 0) {
        problems++;
        ag_str_add(
            out, "problem: no rule decides, so an answer has none to name; add a rule `when: otherwise`; for "
                 "example at ");
        write_point(out, k, &k->undecided_point);
        ag_str_addc(out, '\n');
    }
    for (int c = 0; c < book->criterion_count; c++)
        if (!k->space.used[c])
            ag_str_addf(out, "note: no rule looks at criterion '%s'\n", book->criteria[c].id);
    return problems;
}

ag_status ag_book_check(const ag_book *book, long bound, long samples, ag_str *out, int *problems,
                        ag_error *err)
{
    *problems = 0;
    if (bound < 1) bound = 1;
    if (bound > MAX_BOUND) bound = MAX_BOUND;
    checker *k = ag_calloc(1, sizeof(*k)); /* too large for a stack */
    raise *raises = ag_calloc(MAX_RAISES, sizeof(*raises));
    ag_status status = k && raises ? AG_OK : ag_fail_memory(err, "rules check");
    if (status != AG_OK) goto out;
    k->book = book;
    k->raises = raises;
    ag_check_space_make(&k->space, book);
    if (k->space.max_entries < AG_CHECK_ENTRIES) k->space.max_entries = AG_CHECK_ENTRIES;
    if ((status = check_every(k, bound, err)) != AG_OK) goto out;
    if (k->sampled) check_samples(k, samples);

    report_head(out, k, bound);
    *problems += report_rules(out, k);
    *problems += report_raises(out, k);
    *problems += report_rest(out, k);
    if (*problems == 0)
        ag_str_add(out, "no problems\n");
    else
        ag_str_addf(out, "%d problem%s\n", *problems, *problems == 1 ? "" : "s");
    status = ag_str_ok(out, err);
out:
    ag_free(raises);
    ag_free(k);
    return status;
}
