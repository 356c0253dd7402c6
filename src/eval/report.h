/* report.h: report.html: one file that opens from disk with no network, dark and light, printable.
 *
 * It shows the run's settings, learning curves (metrics.jsonl), the metrics table with intervals, the
 * confusion matrix, calibration, slices, worst queries and judged examples; behind every number the rows it
 * comes from.
 */
#ifndef AG_EVAL_REPORT_H
#define AG_EVAL_REPORT_H

#include "eval/metrics.h"

typedef struct ag_report_input {
    const char *title;
    const char *config_yaml;   /* resolved settings, or NULL */
    const char *metrics_jsonl; /* path of the training log, or NULL */
    const json_t *metrics;     /* of ag_metrics_json, or NULL */
    const ag_records
        *records; /* rows, or NULL: only what the report embeds is taken (worst queries, examples) */
} ag_report_input;

/* Writes the page atomically. */
ag_status ag_report_write(const char *path, const ag_report_input *input, ag_error *err);

#endif
