/* resample.h: what one judge, two judges and a table of methods share of a bootstrap over query groups. Private to eval/.
 *
 * Draw d of a seed is the same draw of groups for every system and every metric, so differences of systems are paired. A draw adds up
 * the sums of the groups that it drew and never looks at a record.
 */
#ifndef AG_EVAL_RESAMPLE_H
#define AG_EVAL_RESAMPLE_H

#include "eval/tally.h"

enum { AG_MAX_DRAWS = 100000 };

/* z(0.975) + z(0.8): the distance, in standard errors, that a two-sided test at 0.05 finds with power 0.8. */
extern const double ag_detectable_errors;

/* The runs of one system, its seeds, as sums by group over the same pairs. What a draw says of the system is the mean over its runs:
 * runs are never pooled, for three runs on a thousand pairs are not three thousand pairs. */
typedef struct ag_runs {
    const ag_groups *groups; /* [count], with the same groups in the same order */
    size_t count;
} ag_runs;

/* Bounds of `draws`, and groups that can be drawn. */
ag_status ag_draws_check(int draws, size_t groups, ag_error *err);
/* times[g]: how often group g is in draw d. */
void ag_draw_groups(uint32_t *times, size_t groups, uint64_t seed, int d);
/* Mean over the runs of the metric on all groups; NAN where it is undefined for one of them. */
ag_status ag_runs_value(double *value, const ag_runs *runs, const ag_metric *metric, ag_error *err);
/* samples[d]: the same on draw d. */
ag_status ag_runs_draw(double *samples, const ag_runs *runs, const ag_metric *metric, int draws,
                       uint64_t seed, ag_error *err);
/* Interval and standard deviation of the draws where the metric was defined; NAN when that is fewer than half of them. Sorts the
 * draws; *kept is how many were defined. */
double ag_draws_spread(double *draws, size_t n, double *low, double *high, size_t *kept);
/* b - a from the measured difference and the draws of both systems. Overwrites b's draws. */
void ag_draws_difference(ag_difference *difference, double value, const double *a, double *b, size_t n);
/* The same pairs in the same order? Else AG_ERR_USAGE. */
ag_status ag_records_paired(const ag_records *a, const ag_records *b, ag_error *err);

#endif
