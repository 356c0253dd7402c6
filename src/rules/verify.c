/* verify.c: the verdict on an answer and its shaped reward (METHOD.md sections 4 and 5).
 *
 * Terms are what the total is the sum of: what the gate takes away is taken from them, and the scores keep what the
 * answer got right. So a rollout's reward can always be explained term by term.
 */
#include "rules/verify.h"

#include <math.h>
#include <string.h>

/* gate: keep_tier, as shares of the tier's weight: what a right tier keeps when the gate is broken, and the most
 * that the sub-scores of a wrong tier may come to. */
static const double kept_tier = 0.5, wrong_tier_most = 0.3;

void ag_reward_defaults(ag_reward_options *options, const ag_book *book)
{
    memset(options, 0, sizeof *options);
    options->tier = book->weight_tier;
    options->rule = book->weight_rule;
    options->format_penalty = book->format_penalty;
    for (int c = 0; c < book->criterion_count; c++) options->criterion[c] = book->criteria[c].weight;
    options->gate = AG_GATE_HARD;
}

/* --- scores ------------------------------------------------------------------------------------------------ */

static double tier_score(const ag_gold *gold, const ag_answer *answer)
{
    if (gold->soft) return gold->soft[answer->tier];
    return gold->tier == answer->tier;
}

/* Share of the criterion's gold verdicts that the answer met, weighted; NAN when there are none. */
static double criterion_score(const ag_verdict *v, const ag_gold *gold, int c, int entries,
                              const ag_reward_options *options)
{
    double met = 0, all = 0;
    for (int a = 0; a < entries; a++) {
        int want = gold->verdicts.v[c][a];
        if (want < 0) continue;
        double weight = options->verdict_weight ? options->verdict_weight[c][want] : 1;
        all += weight;
        if (v->answer.verdicts.v[c][a] == want) met += weight;
    }
    return all > 0 ? met / all : NAN;
}

/* Notes whether gold had verdicts and whether the answer met every one (whatever they weigh). */
static void compare_verdicts(ag_verdict *v, const ag_gold *gold, int c, int entries)
{
    for (int a = 0; a < entries; a++) {
        int want = gold->verdicts.v[c][a];
        if (want < 0) continue;
        if (!v->verdicts_known) v->verdicts_right = true;
        v->verdicts_known = true;
        if (v->answer.verdicts.v[c][a] != want) v->verdicts_right = false;
    }
}

static void clear_scores(ag_verdict *v)
{
    v->has_gold = v->verdicts_right = v->verdicts_known = false;
    v->score_tier = v->score_rule = NAN;
    v->term_tier = v->term_rule = v->term_format = v->total = 0;
    for (int c = 0; c < AG_MAX_CRITERIA; c++) {
        v->score_criterion[c] = NAN;
        v->term_criterion[c] = 0;
    }
}

static void set_scores(const ag_book *book, const ag_asked *asked, const ag_gold *gold,
                       const ag_reward_options *options, ag_verdict *v)
{
    v->has_gold = gold->tier >= 0 || gold->soft;
    if (v->has_gold) v->score_tier = tier_score(gold, &v->answer);
    if (gold->rule >= 0) v->score_rule = gold->rule == v->answer.rule;
    for (int c = 0; c < book->criterion_count; c++) {
        int entries = book->criteria[c].per_asked ? asked->count : 1;
        v->score_criterion[c] = criterion_score(v, gold, c, entries, options);
        compare_verdicts(v, gold, c, entries);
    }
}

/* --- reward ------------------------------------------------------------------------------------------------ */

/* weight * score into *term; a masked score moves its weight to *tier_weight. */
static void add_term(double weight, double score, double *term, double *tier_weight)
{
    if (isnan(score)) {
        *tier_weight += weight;
    } else {
        *term = weight * score;
    }
}

static void scale_terms(const ag_book *book, ag_verdict *v, double tier, double others)
{
    v->term_tier *= tier;
    v->term_rule *= others;
    for (int c = 0; c < book->criterion_count; c++) v->term_criterion[c] *= others;
}

static double sub_terms(const ag_book *book, const ag_verdict *v)
{
    double sum = v->term_rule;
    for (int c = 0; c < book->criterion_count; c++) sum += v->term_criterion[c];
    return sum;
}

static void apply_keep_tier(const ag_book *book, const ag_gold *gold, const ag_reward_options *options,
                            ag_verdict *v)
{
    double most = wrong_tier_most * options->tier, sub = sub_terms(book, v);
    if (!v->gate) {
        scale_terms(book, v, 0, 0);
        v->term_tier = kept_tier * options->tier * v->score_tier;
    } else if (v->answer.tier != gold->tier && sub > most) {
        scale_terms(book, v, 1, most / sub);
    }
}

void ag_reward(const ag_book *book, const ag_asked *asked, const ag_gold *gold,
               const ag_reward_options *options, ag_verdict *v)
{
    double tier_weight = options->tier;
    clear_scores(v);
    if (!v->format) {
        v->has_gold = gold && (gold->tier >= 0 || gold->soft);
        v->total = v->term_format = 0 - options->format_penalty;
        return;
    }
    if (!gold) return;
    set_scores(book, asked, gold, options, v);
    if (!v->has_gold) return;
    add_term(options->rule, v->score_rule, &v->term_rule, &tier_weight);
    for (int c = 0; c < book->criterion_count; c++) {
        add_term(options->criterion[c], v->score_criterion[c], &v->term_criterion[c], &tier_weight);
    }
    v->term_tier = tier_weight * v->score_tier;
    switch (options->gate) {
    case AG_GATE_HARD:
        if (!v->gate) scale_terms(book, v, 0, 0);
        break;
    case AG_GATE_SOFT:
        if (!v->gate) scale_terms(book, v, options->gate_soft, options->gate_soft);
        break;
    case AG_GATE_KEEP_TIER: apply_keep_tier(book, gold, options, v); break;
    case AG_GATE_OFF: break;
    }
    v->total = v->term_tier + sub_terms(book, v);
}

void ag_verify(const ag_book *book, const ag_asked *asked, const ag_gold *gold, const char *text, size_t len,
               const ag_reward_options *options, ag_verdict *verdict, ag_str *refusal)
{
    memset(verdict, 0, sizeof *verdict);
    verdict->format = ag_answer_parse(book, asked, text, len, &verdict->answer, refusal);
    verdict->derived_tier = verdict->derived_rule = -1;
    if (verdict->format) {
        const ag_answer *answer = &verdict->answer;
        ag_derive(book, asked, &answer->verdicts, &verdict->derived_tier, &verdict->derived_rule);
        verdict->gate = verdict->derived_tier == answer->tier && verdict->derived_rule == answer->rule;
    }
    ag_reward(book, asked, gold, options, verdict);
}
