/* copying.h: does a judge follow a hint that is wrong? A false gold is made for a pair (verdicts drawn at random, tier and rule derived,
 * until the tier is not the pair's), put into the prompt as a hint of the highest level, and the judge answers. The share of
 * answers with the hint's tier is the copy rate: near 0 for a judge that reads the item, near 1 for one that reads the hint.
 */
#ifndef AG_EVAL_COPYING_H
#define AG_EVAL_COPYING_H

#include "eval/judge.h"

enum { AG_COPY_PAIRS = 200, AG_COPY_LEVEL = 5 };

typedef struct ag_copy_probe {
    size_t pair; /* in the list */
    int tier;    /* of the false hint */
    const char *hint;
} ag_copy_probe;

typedef struct ag_copy_probes {
    ag_copy_probe *items;
    size_t count;
    ag_arena arena; /* owns all */
} ag_copy_probes;

/* Verdicts drawn at random with the tier and rule that follow from them, so that the tier is not `tier`; a function of seed and the pair's
 * id. False when no draw gave one, as in a book whose rules reach one tier only. */
bool ag_copy_gold(ag_gold *gold, const ag_book *book, const ag_pair *pair, uint64_t seed);
/* Probes for the first `most` pairs that have complete gold (verdicts, tier and rule). */
ag_status ag_copy_probes_make(ag_copy_probes *probes, const ag_book *book, const ag_pair_list *pairs,
                              size_t most, uint64_t seed, ag_error *err);
void ag_copy_probes_free(ag_copy_probes *probes);
/* Greedy answers to the hinted prompts; out: one judgement a probe. */
ag_status ag_copy_judge(ag_judge *judge, const ag_copy_probes *probes, const ag_pair_list *pairs,
                        const ag_judge_progress *progress, ag_judgement *out, ag_error *err);
/* Share of answers whose tier (tiers[i], -1: not in the format) is the hint's; NAN without probes. */
double ag_copy_rate(const ag_copy_probes *probes, const int *tiers);

#endif
