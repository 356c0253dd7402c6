/* parts.h: what the files of the side-by-side report share. Private to sxs/. */
#ifndef AG_SXS_PARTS_H
#define AG_SXS_PARTS_H

#include "sxs/sxs.h"
#include "eval/tally.h"

/* {"value", "low", "high", "detectable"}; null where absent. */
json_t *ag_sxs_estimate_json(const ag_estimate *estimate);

/* Puts "agreement" into the report: judges with each other on the direction of a preference and on items, with themselves on swapped
 * repeats, and the share of preferences that went to the left. These describe the judges, so each judged query counts once, whatever its
 * traffic; a draw takes n - 1 of n queries, with all their answers. alpha is Krippendorff's (2004) for interval data: 1 - observed over
 * expected squared difference. People who are not left out only. */
ag_status ag_sxs_agreement(json_t *json, const ag_sxs_study *study, const ag_sxs_checked *checked, int draws,
                           uint64_t seed, ag_error *err);

#endif
