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

/* Sums by group of n runs over the picked pairs (pick NULL: the first `count`). *groups: ag_runs_free, also after a failure. */
ag_status ag_runs_collect(ag_groups **groups, const ag_records *runs, size_t n, const size_t *pick,
                          size_t count, ag_error *err);
void ag_runs_free(ag_groups *groups, size_t n);
/* Bounds of `draws`, and groups that can be drawn. */
ag_status ag_draws_check(int draws, size_t groups, ag_error *err);
/* times[g]: how often group g is in draw d. */
void ag_draw_groups(uint32_t *times, size_t groups, uint64_t seed, int d);
/* Mean over the runs of the metric on all groups; NAN where it is undefined for one of them. */
ag_status ag_runs_value(double *value, const ag_runs *runs, const ag_metric *metric, ag_error *err);

/* Several systems side by side, reduced to the sums that one metric reads: what draws are added up from. */
typedef struct ag_panel {
    const ag_metric *metric;
    const ag_book *book;
    size_t system_count, groups, runs, width;
    size_t *first;   /* [system_count + 1]: the runs of system s are first[s] .. first[s + 1] - 1 */
    size_t *columns; /* [width]: their places in a tally */
    double *sums;    /* [groups][runs][width] */
} ag_panel;
/* run_counts[s]: how many runs system s has, each at least one. ag_panel_free, also after a failure. */
ag_status ag_panel_make(ag_panel *panel, const ag_metric *metric, const ag_book *book, size_t groups,
                        const size_t *run_counts, size_t system_count, ag_error *err);
/* Takes over the sums of a system's runs, which need not outlive the call; they have the panel's groups. */
void ag_panel_put(ag_panel *panel, size_t system, const ag_runs *runs);
/* samples[system * draws + d]: the mean over the system's runs of the metric on draw d. On as many threads as OpenMP gives: a draw is
 * a function of (seed, d) and of nothing else. */
ag_status ag_panel_draw(double *samples, const ag_panel *panel, int draws, uint64_t seed, ag_error *err);
void ag_panel_free(ag_panel *panel);
/* Interval and standard deviation of the draws where the metric was defined; NAN when that is fewer than half of them. Sorts the
 * draws; *kept is how many were defined. */
double ag_draws_spread(double *draws, size_t n, double *low, double *high, size_t *kept);
/* b - a from the measured difference and the draws of both systems. Overwrites b's draws. */
void ag_draws_difference(ag_difference *difference, double value, const double *a, double *b, size_t n);
/* b less a, and the mean over runs of each in values; both over the same groups. Interval, p and what can be detected as
 * ag_metric_compare says. */
ag_status ag_runs_compare(ag_difference *difference, double values[2], const ag_metric *metric,
                          const ag_runs *a, const ag_runs *b, int draws, uint64_t seed, ag_error *err);
/* The same pairs in the same order? Else AG_ERR_USAGE. */
ag_status ag_records_paired(const ag_records *a, const ag_records *b, ag_error *err);

#endif
