/* runlog.h: what a run writes while it goes: metrics.jsonl (no clock values, the same bytes on repeat), timing.jsonl, and
 * TensorBoard events. Each is appended to and cut back to a checkpoint's place on resume.
 */
#ifndef AG_TRAIN_RUNLOG_H
#define AG_TRAIN_RUNLOG_H

#include <stdint.h>
#include "base/json.h"

typedef struct ag_runlog ag_runlog;
/* Byte positions of the logs, kept in checkpoints. */
typedef struct ag_runlog_place {
    int64_t metrics, timing, events;
} ag_runlog_place;

/* Opens the logs of a run folder, cut to `place` (all 0: from the start). */
ag_status ag_runlog_open(ag_runlog **log, const char *dir, ag_runlog_place place, ag_error *err);
/* One line of metrics.jsonl; numeric members (nested ones behind a slash) become TensorBoard scalars at `step`. */
ag_status ag_runlog_metrics(ag_runlog *log, int64_t step, const json_t *line, ag_error *err);
/* One line of timing.jsonl, of a length that does not depend on the clock: places of logs are part of a checkpoint's bytes. */
ag_status ag_runlog_timing(ag_runlog *log, int64_t step, double seconds, double tokens_per_second,
                           ag_error *err);
/* Where the logs end now, after flushing and syncing them. */
ag_status ag_runlog_sync(ag_runlog *log, ag_runlog_place *place, ag_error *err);
void ag_runlog_close(ag_runlog *log);

#endif
