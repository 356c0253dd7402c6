/* plan.h: what a side-by-side study would cost and tell, before anybody judges. */
#ifndef AG_SXS_PLAN_H
#define AG_SXS_PLAN_H

#include "sxs/log.h"

typedef struct ag_sxs_wish {
    double precision; /* wanted half-width of the net preference's interval over all traffic; 0: none */
    long n;           /* or the number of queries; 0: not given */
    double sd;        /* of an answer's value, which is -1, 0 or 1; 1 is the most that it can be */
    long judges;      /* a query */
} ag_sxs_wish;

/* The n that a wish comes to: n itself, or the smallest that gives the precision. AG_ERR_USAGE when it cannot be had. */
ag_status ag_sxs_plan_size(size_t *n, const ag_sxs_log *log, const ag_sxs_wish *wish, ag_error *err);

/* {"k", "queries", "same", "same_traffic", "differ", "missing": {"old", "new"}, "unknown": {"old", "new"}, "sd", "judges",
 *  "strata": [{"stratum", "queries", "traffic", "differ", "differ_traffic"}], "rows": [{"n", "answers", "half_width", "detectable"}],
 *  "precision", "wanted": n or null}. detectable: the net preference that such a study finds with power 0.8. New reference. */
ag_status ag_sxs_plan_json(json_t **json, const ag_sxs_log *log, const ag_sxs_wish *wish, ag_error *err);
ag_status ag_sxs_plan_table(ag_str *out, const json_t *json, ag_error *err);

#endif
