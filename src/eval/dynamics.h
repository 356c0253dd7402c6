/* dynamics.h: how a training run went, from its folder: metrics.jsonl and timing.jsonl, read to the end of a finished run.
 *
 * A line of metrics.jsonl is a step, with the numbers of its method, or a validation ("valid"). What a line does not say is unknown
 * (NAN), never 0.
 */
#ifndef AG_EVAL_DYNAMICS_H
#define AG_EVAL_DYNAMICS_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

/* A final macro F1 this far below the run's own best counts as a collapse. */
#define AG_COLLAPSE 0.1

/* One validation. */
typedef struct ag_dynamics_point {
    double step, spent; /* spent: tokens sampled and tokens trained until then */
    double macro_f1;
    double all, slice,
        rest; /* the metric asked for: on all pairs, on the slice, and on the other values of the slice's name */
} ag_dynamics_point;

typedef struct ag_dynamics {
    size_t steps;
    double reward_sd, kl, dead_groups, guided_share; /* means over the steps that say them */
    double grad_norm;                                /* largest */
    double sampled, spent;                           /* tokens in all */
    double seconds;
    ag_dynamics_point *points; /* in order of steps */
    size_t count, cap;
} ag_dynamics;

/* Reads a run folder. slice: "name=value", or NULL. The rest of a slice is the mean over the other values of its name, each weighing
 * its pairs. A folder without a log gives a run of which nothing is known. */
ag_status ag_dynamics_read(ag_dynamics *dynamics, const char *dir, const char *metric, const char *slice,
                           ag_error *err);
void ag_dynamics_free(ag_dynamics *dynamics);
/* 1 or 0; -1 when the run was never validated. */
int ag_dynamics_collapsed(const ag_dynamics *dynamics);

#endif
