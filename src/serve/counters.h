/* counters.h: counters of the service as Prometheus text (exposition format 0.0.4). */
#ifndef AG_SERVE_COUNTERS_H
#define AG_SERVE_COUNTERS_H

#include "base/str.h"
#include "serve/engine.h"
#include "serve/http.h"

typedef struct ag_counters ag_counters;
/* Routes of the table that have metrics of their own; all else counts as "-". */
ag_status ag_counters_create(ag_counters **counters, const ag_http_route *routes, ag_error *err);
void ag_counters_free(ag_counters *counters);
/* For ag_http_options.observe; any thread. */
void ag_counters_observe(void *counters, const ag_http_record *record);
/* stats NULL: the model is not loaded yet. */
void ag_counters_write(ag_counters *counters, const ag_engine_stats *stats, int connections, ag_str *out);

#endif
