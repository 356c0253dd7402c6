/* tally.h: what metrics are made of: sums over records, held once for each query group.
 *
 * Every metric here is a function of a few sums (counts, a confusion matrix, calibration bins, sums of
 * per-query values). Sums add up, so a bootstrap draw of groups costs one pass over the groups' sums,
 * whatever the number of records or metrics.
 */
#ifndef AG_EVAL_TALLY_H
#define AG_EVAL_TALLY_H

#include "eval/metrics.h"

enum { AG_CALIBRATION_BINS = 15, AG_NDCG_DEPTH = 10 };
#define AG_CONFIDENT 0.7 /* below it a judgement counts as doubtful */

/* One number each, summed over the records of a set. */
typedef enum ag_sum {
    AG_SUM_RECORDS,
    AG_SUM_GOLD,         /* records with a gold tier */
    AG_SUM_JUDGED,       /* of those, with a headline tier: what the confusion matrix holds */
    AG_SUM_PROBABLE,     /* records with gold and probabilities */
    AG_SUM_NLL,          /* -log P(gold) */
    AG_SUM_BRIER,        /* squared distance of P from the gold tier */
    AG_SUM_DOUBTFUL,     /* PROBABLE ones whose largest probability is below AG_CONFIDENT */
    AG_SUM_DOUBTFUL_BAD, /* of those, with the wrong headline tier */
    AG_SUM_ANSWERED,
    AG_SUM_FORMAT,
    AG_SUM_GATE,
    AG_SUM_PROCESS,  /* answers whose tier is the one that the rules derive from its verdicts */
    AG_SUM_HEADLINE, /* answered ones with a headline tier */
    AG_SUM_SAME,     /* of those, the answer's tier is the headline tier */
    AG_SUM_ANSWERED_GOLD,
    AG_SUM_ANSWER_HIT,    /* of those, the answer's tier is gold */
    AG_SUM_COMPLIANT,     /* and the gate held */
    AG_SUM_WRONG_PROCESS, /* and the gate did not hold */
    AG_SUM_VERDICTS,      /* answered ones with gold verdicts */
    AG_SUM_ADHERENT,      /* of those, gate held and every gold verdict met */
    AG_SUM_RULE,          /* answered ones with a gold rule */
    AG_SUM_RULE_HIT,
    AG_SUM_VERDICT, /* gold verdicts of all criteria together */
    AG_SUM_VERDICT_HIT,
    AG_SUM_QUERIES, /* queries with a relevant item: what NDCG is a mean over */
    AG_SUM_NDCG,
    AG_SUM_NDCG_RANDOM, /* the same under a random order */
    AG_SUM_INFORMATIVE, /* of QUERIES, those whose gains differ, so that order matters */
    AG_SUM_IRRELEVANT,  /* queries with gold but no relevant item, left out of NDCG */
    AG_SUM_COUNT
} ag_sum;

/* A view of one vector of sums. */
struct ag_tally {
    const ag_book *book;
    double *sum;            /* [AG_SUM_COUNT] */
    double *confusion;      /* [gold tier][headline tier] */
    double (*bin)[3];       /* [AG_CALIBRATION_BINS]: records, sum of confidence, hits */
    double (*criterion)[2]; /* [criterion]: gold verdicts, met ones */
};
/* Parts of a tally as bits, for ag_metric.reads: a single sum, or a whole table. */
#define AG_READS(sum)      (UINT64_C(1) << (sum))
#define AG_READS_CONFUSION AG_READS(61)
#define AG_READS_BINS      AG_READS(62)
#define AG_READS_CRITERIA  AG_READS(63)
_Static_assert(AG_SUM_COUNT <= 61, "a bit for each sum");

size_t ag_tally_width(const ag_book *book);
/* The places of the parts in a vector of sums, in rising order, into columns[ag_tally_width]; returns how many. */
size_t ag_tally_columns(size_t *columns, const ag_book *book, uint64_t reads);
ag_tally ag_tally_view(const ag_book *book, double *sums);

/* Records by group: `order` holds the picked records sorted by group, query and place, group g is
 * order[start[g]] .. order[start[g + 1] - 1], and sums + g * width are its sums. */
typedef struct ag_groups {
    const ag_records *records;
    size_t count, width;
    size_t *order, *start;
    double *sums;
} ag_groups;
/* pick: indices of the records to take (NULL: all `n` of them). A record whose indices do not fit the book is
 * AG_ERR_INTERNAL. */
ag_status ag_groups_collect(ag_groups *groups, const ag_records *records, const size_t *pick, size_t n,
                            ag_error *err);
void ag_groups_free(ag_groups *groups);
/* Adds the sums of all groups. */
void ag_groups_total(const ag_groups *groups, double *sums);

/* Does the record carry probabilities? */
bool ag_record_probable(const ag_record *record, int tiers);
/* What items of a query are ranked by: expected gain, or the gain of the headline tier; NAN without
 * either. */
double ag_record_score(const ag_record *record, const ag_book *book);
/* The calibration bin of a confidence: bin b holds (b / bins, (b + 1) / bins]. */
int ag_calibration_bin(double confidence);

/* NDCG at AG_NDCG_DEPTH of one query's items, ties as the mean over their orders; *random (may be NULL):
 * over all orders. NAN when no item has a positive gain. Sorts items. */
typedef struct ag_scored {
    double score, gain;
} ag_scored;
double ag_ndcg(ag_scored *items, size_t n, double *random);

/* Which number to estimate: a metric and, where its table has one, a tier or criterion. */
typedef struct ag_measure {
    const ag_metric *metric;
    int index;
} ag_measure;
/* Estimates of several numbers from the same draws. draws 0: values only, intervals NAN. */
ag_status ag_bootstrap(ag_estimate *estimates, const ag_measure *measures, size_t n, const ag_groups *groups,
                       int draws, uint64_t seed, ag_error *err);

/* {"value", "low", "high", "detectable", "records", "groups"}; NULL when out of memory. New reference. */
json_t *ag_estimate_json(const ag_estimate *estimate);
/* A JSON string of text that may be NULL (null) or not UTF-8 (U+FFFD). */
json_t *ag_text_json(const char *text);
json_t *ag_real_json(double x); /* null when not finite */
/* {metric: estimate} of the named metrics (NULL: all of ag_metrics) that are defined on the groups. New
 * reference. */
ag_status ag_set_json(json_t **json, const ag_groups *groups, const char *const *names, int draws,
                      uint64_t seed, ag_error *err);
/* The members "raters" and "slices" of the metrics; null without ratings. New references. */
ag_status ag_raters_json(json_t **json, const ag_records *records, int draws, uint64_t seed, ag_error *err);
ag_status ag_slices_json(json_t **json, const ag_records *records, int draws, uint64_t seed, ag_error *err);

#endif
