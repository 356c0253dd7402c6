/* log.h: what a command says on stderr, and the progress bar. Only commands and the training loop (through the
 * callbacks that commands give it) use this; library code returns errors instead.
 */
#ifndef AG_BASE_LOG_H
#define AG_BASE_LOG_H

#include <stdbool.h>
#include "base/error.h"

/* One line on stderr; clears a progress bar first. */
void ag_say(const char *format, ...) AG_PRINTF(1, 2);
/* The same with "agrl: warning: " in front. */
void ag_warn(const char *format, ...) AG_PRINTF(1, 2);
/* No output but errors (--quiet). */
void ag_log_quiet(bool quiet);

/* A progress bar on a terminal; on anything else a plain line at most every 10 s. One at a time. Where a terminal has no room for all, the
 * share and the rate go first, then double spaces and part of the label. */
typedef struct ag_progress {
    const char *label;
    double total; /* <= 0: unknown */
    double start, last_draw;
    double start_done; /* work done before this process (resume) */
} ag_progress;
void ag_progress_begin(ag_progress *p, const char *label, double total, double already_done);
/* done of total; `note` is shown at the right (rate, loss). Draws at most ten times a second. */
void ag_progress_update(ag_progress *p, double done, const char *note);
void ag_progress_end(ag_progress *p, const char *note);
/* The end of work that failed: takes the bar off a terminal and says nothing. */
void ag_progress_drop(void);

/* Seconds from an arbitrary start, monotonic. */
double ag_clock(void);

#endif
