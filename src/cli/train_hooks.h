/* train_hooks.h: how commands that train show it: lines and a progress bar on standard error, and Ctrl-C as a wish to stop. */
#ifndef AG_CLI_TRAIN_HOOKS_H
#define AG_CLI_TRAIN_HOOKS_H

#include "base/log.h"
#include "train/run.h"

typedef struct ag_train_view {
    ag_progress bar;
    const char *task; /* stands before the bar's label ("grpo, seed 2 (3 of 8)"); NULL: nothing */
    bool brief;       /* the bar alone: what a run says of itself is left to its folder */
    char label[160];
} ag_train_view;

/* Hooks that show a run in the view, which must outlive it. Stop follows ag_interrupted (cli/interrupt.h). */
ag_train_hooks ag_train_hooks_of(ag_train_view *view);
/* The bar's label for what is about to be shown: the task, then `label`. Valid until the next call. */
const char *ag_train_view_label(ag_train_view *view, const char *label);

#endif
