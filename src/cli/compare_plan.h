/* compare_plan.h: the plan of `agrl compare`: which methods, which seeds, from which run file, judged on which pairs.
 *
 * docs/COMPARE.md describes the file. Paths in it are relative to its folder. Everything that a plan can get wrong is found while it is read,
 * at its line and column, and is AG_ERR_USAGE.
 */
#ifndef AG_CLI_COMPARE_PLAN_H
#define AG_CLI_COMPARE_PLAN_H

#include "eval/metrics.h"
#include "train/settings.h"

enum { AG_PLAN_ROWS = 64, AG_PLAN_SEEDS = 64, AG_PLAN_SETS = 64 };

typedef struct ag_compare_row {
    const char *name, *method;
    bool trained;                   /* false: `sft` and `verdicts`, which are the start itself */
    bool derived;                   /* `verdicts`: tier and rule from the start's own verdicts */
    const char *sets[AG_PLAN_SETS]; /* its own settings, as --set takes them */
    int set_count;
    const char *own, *own_yaml; /* the same for people, and as members of the row's map */
    int line, column;
} ag_compare_row;

typedef struct ag_compare_plan {
    ag_arena arena; /* owns the text */
    const char *path, *run, *out, *test, *slice, *checkpoint;
    int slice_line, slice_column;
    const ag_metric *metric;
    long limit, draws;
    bool keep; /* the checkpoints of cells that are judged */
    long seeds[AG_PLAN_SEEDS];
    int seed_count;
    const char *sets[2 * AG_PLAN_SETS]; /* settings of all rows: the plan's `set`, then --set */
    int set_count;
    ag_compare_row rows[AG_PLAN_ROWS];
    int row_count, against;
} ag_compare_plan;

/* Reads a plan; `set`: KEY=VALUE settings of all rows, from the command line. */
ag_status ag_compare_plan_load(ag_compare_plan *plan, const char *path, const char *const *set, int set_count,
                               ag_error *err);
void ag_compare_plan_free(ag_compare_plan *plan);
/* The plan as YAML that loads to the same plan from any folder. */
ag_status ag_compare_plan_write(ag_str *out, const ag_compare_plan *plan, ag_error *err);
/* The settings of a row's run with a seed into folder `out`; row NULL: those of the run file alone, with what is set for all rows. */
ag_status ag_compare_settings(ag_settings *settings, const ag_compare_plan *plan, const ag_compare_row *row,
                              long seed, const char *out, ag_error *err);

#endif
