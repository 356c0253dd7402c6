/* calibration_report.h: what `agrl calibrate` finds: the calibration of a judge, what it is worth on queries that it was not
 * fitted on, and what each decision makes of it.
 */
#ifndef AG_EVAL_CALIBRATION_REPORT_H
#define AG_EVAL_CALIBRATION_REPORT_H

#include "eval/judge.h"

enum { AG_CALIBRATION_LEAST_PAIRS = 10 }; /* for each tier of the book, on average; fewer are refused */

typedef struct ag_calibration_input {
    const ag_book *book;
    const ag_pair_list *pairs;   /* with gold tiers; those with gold.soft count by their shares */
    const ag_judgement *judged;  /* one a pair; calibrated ones are refused */
    const ag_decision *decision; /* what is stored; stands among the decisions */
    bool temperature_only;       /* no biases */
    int draws;                   /* of the bootstrap of the intervals */
    int thresholds;              /* points of the curve, at i / (thresholds + 1) */
    uint64_t seed;               /* of the parts and the draws */
} ag_calibration_input;

/* Fits on all pairs, and by cross-fitting over groups of queries (data/split.h) for honest figures. Sets tiers, temperature, bias and
 * decision; the digests are the caller's. Too few pairs, and a best temperature beyond the maximum, are AG_ERR_INPUT. *report: a new
 * reference:
 * {"pairs", "groups", "folds", "soft", "temperature", "fold_temperatures": [...], "bias": {tier: b}, "gold": {tier: pairs}, "ridge",
 *  "before", "after", "cross_fitted": {metric: estimate}, "change": {metric: {"value", "low", "high", "p"}} (cross_fitted - before),
 *  "cross_entropy": {"before", "after", "cross_fitted"} (soft gold only, else null),
 *  "decisions": [{"decision", "stored", "accuracy", "macro_f1", "kappa", "acc2", "precision", "recall", "good"}...], "curve":
 *  [{"threshold", "precision", "recall", "good", "accuracy"}...], "draws", "seed", "warnings": [text...]}
 * precision and recall are those of good tiers together, good the share of pairs that is called good; both lists are out of sample (in
 * sample, with a warning, where there is one query group only). Undefined numbers are null. */
ag_status ag_calibration_report(ag_calibration *calibration, json_t **report,
                                const ag_calibration_input *input, ag_error *err);
/* The tables for a terminal, from that JSON. */
ag_status ag_calibration_table(ag_str *out, const json_t *report, ag_error *err);

#endif
