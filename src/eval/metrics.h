/* metrics.h: what a judge is measured by: a table of metrics, one small function each, over plain records.
 *
 * docs/METRICS.md defines each metric, names its source and says what it does at the edges. The headline tier
 * of a record is the argmax of P(tier); format, gate and verdicts come from the greedy, unmasked answer.
 */
#ifndef AG_EVAL_METRICS_H
#define AG_EVAL_METRICS_H

#include "base/json.h"
#include "rules/book.h"

/* One judged pair. Text is borrowed and must outlive the record. Absent: -1, NULL, NAN. */
typedef struct ag_record {
    const char *id, *query, *group;   /* group: the query group's key; the unit of the bootstrap */
    const char *title, *answer;       /* for the report's worst queries; answer may be NULL */
    int gold;                         /* tier index; -1 without gold */
    int tier;                         /* argmax of P(tier) */
    double probability[AG_MAX_TIERS]; /* sums to 1; all 0 or NAN: the judge gives none */
    bool answered;                    /* a greedy answer was generated: the fields below are meaningful */
    bool format, gate;
    int answer_tier;  /* -1 when not in the format */
    int derived_tier; /* what the rules say of the answer's verdicts; -1 when not in the format */
    bool verdicts_known, verdicts_right;
    int gold_rule, rule;
    int verdict_count[AG_MAX_CRITERIA],
        verdict_hits[AG_MAX_CRITERIA]; /* per criterion: gold verdicts, met ones */
    const int *ratings;                /* one tier index a rater, -1 cannot judge; NULL none */
    int rating_count;
    const char *const *slice_names,
        *const *slice_values; /* for example type=negation, asked=given, brand=unseen */
    int slice_count;
} ag_record;

/* A set of records under one book. */
typedef struct ag_records {
    const ag_book *book;
    ag_record *items;
    size_t count;
} ag_records;

/* A metric: a value of sums over records (eval/tally.h), so that a bootstrap draw adds up the sums of the
 * groups that it drew and never looks at a record again. NAN where undefined (no record has what it
 * needs). */
typedef struct ag_tally ag_tally;
typedef struct ag_metric {
    const char *name, *title, *help; /* name: key in JSON; title: in tables */
    bool higher_is_better;
    bool headline;      /* shown in the short table */
    double worst, best; /* the ends of its range; INFINITY where it has none */
    int over;           /* the sum that counts what it is a mean over (ag_sum of eval/tally.h) */
    uint64_t reads; /* all that it reads of a tally (AG_READS_... of eval/tally.h): a draw adds up no more */
    double (*of)(const ag_tally *tally,
                 int index); /* index: tier or criterion in the tables that have one; else 0 */
} ag_metric;
extern const ag_metric ag_metrics[];           /* of a set; ends with name NULL */
extern const ag_metric ag_tier_metrics[];      /* of a tier: precision, recall, F1 */
extern const ag_metric ag_criterion_metrics[]; /* of a criterion: verdicts that were right */
/* A row of ag_metrics by name, or NULL. */
const ag_metric *ag_metric_find(const char *name);

/* An interval is 95 %, by percentiles of a bootstrap over query groups; NAN below two groups. `detectable` is the
 * smallest difference between this judge and another on the same set that a test finds with power 0.8 at 0.05, if
 * the two go up and down together by half. records is what the value is a mean over (records, queries, verdicts). */
typedef struct ag_estimate {
    double value, low, high, detectable;
    size_t records, groups;
} ag_estimate;

/* Value and interval of one metric by `draws` bootstrap draws of query groups (deterministic in seed).
 * draws 0: value only. */
ag_status ag_metric_estimate(ag_estimate *estimate, const ag_metric *metric, const ag_records *records,
                             int draws, uint64_t seed, ag_error *err);

/* Paired comparison of two systems on the same pairs (same ids in the same order): difference b - a with
 * interval, two-sided bootstrap p value over groups, and the smallest difference that this test finds with
 * power 0.8 at 0.05. */
typedef struct ag_difference {
    double value, low, high, p, detectable;
} ag_difference;
ag_status ag_metric_compare(ag_difference *difference, const ag_metric *metric, const ag_records *a,
                            const ag_records *b, int draws, uint64_t seed, ag_error *err);
/* Holm's step-down adjustment, in place; NAN (a test that could not be made) stays and does not count. */
void ag_holm(double *p, size_t n);

/* A judge beside another on the same pairs, for `agrl eval --against`: accuracy, macro-F1, kappa, Acc@2 and NDCG of both, the difference
 * (judge less other) with its interval, and p by Holm over the five. A judge may have several runs, its seeds: then of each the mean over
 * them counts, in every draw. name: of the other's first file. draws >= 1. New reference. */
typedef struct ag_judge_runs {
    const ag_records *runs;
    size_t count; /* at least 1 */
} ag_judge_runs;
ag_status ag_against_json(json_t **json, const char *name, const ag_judge_runs *judge,
                          const ag_judge_runs *other, int draws, uint64_t seed, ag_error *err);
/* Appends it as a table; nothing where `against` is NULL. */
void ag_against_table(ag_str *out, const json_t *against);

/* Everything `agrl eval` writes: overall, by slice, per tier, confusion matrix, calibration bins, raters'
 * agreement (each rater against the label and the model, rater-rater, the median of raters), seen and
 * unseen. New reference. */
ag_status ag_metrics_json(json_t **json, const ag_records *records, int draws, uint64_t seed, ag_error *err);
/* Has every pair the same value of this slice? Its figures are those of the whole set: tables only name it. */
bool ag_slice_common(const json_t *metrics, const json_t *slice);
/* The table for a terminal (UTF-8, at most 100 columns). */
ag_status ag_metrics_table(ag_str *out, const json_t *metrics, ag_error *err);

#endif
