/* run.h: a training run from its settings to its folder (DESIGN.md section 4: config.yaml, metrics.jsonl, checkpoints/...).
 *
 * One step: choose pairs, build forests, forward, log-probabilities, loss on the host, backward; then one update. The order of pairs is a
 * function of seed and position, so a run continued from a checkpoint is the run that never stopped.
 */
#ifndef AG_TRAIN_RUN_H
#define AG_TRAIN_RUN_H

#include "base/comm.h"
#include "train/dataset.h"
#include "train/settings.h"

/* How a run talks to whoever started it; all may be NULL. */
typedef struct ag_train_hooks {
    void *user;
    void (*say)(void *user, const char *line);
    void (*begin)(void *user, const char *label, double total, double done);
    void (*progress)(void *user, double done, const char *note);
    void (*end)(void *user);
    bool (*stop)(
        void *user); /* asked after each step: true writes a checkpoint and returns AG_ERR_INTERRUPTED */
} ag_train_hooks;

/* The measures of an encoded training set, which depends on no stage: of several runs that are only planned, and differ in their stages, one
 * has to read it. Zeroed before the first run; ag_train_tried_free after the last. */
typedef struct ag_train_tried {
    char *settings;    /* all but the stages and the run folder */
    size_t pair_count; /* pairs in the file */
    ag_dataset train;  /* its counts and its longest, without sequences */
} ag_train_tried;
void ag_train_tried_free(ag_train_tried *tried);

typedef struct ag_train_options {
    bool resume;           /* continue the newest checkpoint of the run folder */
    bool allow_inexact;    /* continue with another number of threads */
    ag_comm *comm;         /* ranks that work on the run together; NULL: it is alone */
    bool plan_only;        /* print the memory plan and stop before anything is loaded to train */
    ag_train_tried *tried; /* with plan_only: what a run before this one learned; or NULL */
} ag_train_options;

ag_status ag_train_run(const ag_settings *settings, const ag_train_options *options,
                       const ag_train_hooks *hooks, ag_error *err);

#endif
