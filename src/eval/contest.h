/* contest.h: methods against each other on the same test pairs. A row is a method with the records of one or more seeds; what is said of
 * it is the mean over its seeds, with the lowest and the highest beside it. docs/COMPARE.md says what the numbers mean.
 *
 * Tests are paired bootstraps over query groups: a draw of groups is the same for all rows, and a row's value on it is the mean over its
 * seeds of the metric on the draw. Holm's adjustment is over the rows of a table.
 */
#ifndef AG_EVAL_CONTEST_H
#define AG_EVAL_CONTEST_H

#include "eval/dynamics.h"
#include "eval/metrics.h"

typedef struct ag_contest_row {
    const char *name;
    const ag_records *seeds; /* [seed_count]; a method that is not trained has one */
    size_t seed_count;
    const char *method;          /* for the report: what it is, and its own settings as text; may be NULL */
    const char *settings;        /* the same */
    const double *copied;        /* copy rate of each seed, NAN unknown; or NULL */
    const ag_dynamics *dynamics; /* of each seed; NULL: not trained */
    const long *numbers;         /* of the seeds; NULL: not trained */
} ag_contest_row;

typedef struct ag_contest {
    const ag_contest_row *rows;
    size_t row_count, against; /* against: the row that the others are tested against */
    const ag_metric *metric;   /* what is tested */
    const char *slice;         /* "name=value", or NULL */
    int draws;
    uint64_t seed; /* of the bootstrap */
} ag_contest;

/* Some of the pairs, by index. pick NULL: the first `count`, in a contest all of them. */
typedef struct ag_pick {
    size_t *pick;
    size_t count;
} ag_pick;

/* Mean, lowest and highest over seeds; NAN when one of them is. */
typedef struct ag_range {
    double mean, low, high;
} ag_range;
ag_range ag_range_of(const double *values, size_t n);

/* A row in a test: its own mean with interval, and its difference from the row it is tested against (NAN in that row). */
typedef struct ag_standing {
    ag_range range;
    double *values;   /* of each seed; ag_standings_free */
    double low, high; /* interval of the mean */
    ag_difference difference;
    double holm; /* difference.p, adjusted over the rows */
} ag_standing;

/* Is a record part of "name=value"? `rule` is the gold deciding rule; any other name is one of the record's slices. */
bool ag_in_slice(const ag_record *record, const ag_book *book, const char *slice);
/* The pairs of a slice, or with `inside` false the others. pick->pick: ag_free. */
ag_status ag_slice_pick(ag_pick *pick, const ag_records *records, const char *slice, bool inside,
                        ag_error *err);

/* AG_ERR_USAGE when rows were not judged on the same pairs in the same order. */
ag_status ag_contest_check(const ag_contest *contest, ag_error *err);
/* values[metric * seed_count + seed] of a row on the picked pairs. */
ag_status ag_contest_values(double *values, const ag_contest_row *row, const ag_metric *const *metrics,
                            size_t metric_count, ag_pick pick, ag_error *err);
/* Tests all rows on the picked pairs. *standings: one a row; ag_standings_free. */
ag_status ag_contest_test(ag_standing **standings, const ag_contest *contest, ag_pick pick, ag_error *err);
void ag_standings_free(ag_standing *standings, size_t n);

/* Everything that is measured, as JSON (compare.json): rows with their metrics, tests, slices, stability, curves. The same records and
 * logs give the same bytes: clock values are not in it. New reference. */
ag_status ag_contest_json(json_t **json, const ag_contest *contest, ag_error *err);
/* {"name": {"mean", "low", "high"}}: seconds of training of each row that was trained. New reference. */
ag_status ag_contest_seconds(json_t **json, const ag_contest *contest, ag_error *err);

/* The tables for a terminal, at most 110 columns; seconds may be NULL. */
ag_status ag_contest_table(ag_str *out, const json_t *contest, const json_t *seconds, ag_error *err);
/* The page, written atomically: contest and seconds as above, plan: the plan's text. */
ag_status ag_contest_report(const char *path, const char *title, const json_t *contest, const json_t *seconds,
                            const char *plan, ag_error *err);

#endif
