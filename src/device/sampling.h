/* sampling.h: one draw from one row of logits on the host side of a backend (ref and cpu). */
#ifndef AG_DEVICE_SAMPLING_H
#define AG_DEVICE_SAMPLING_H

#include <stdbool.h>
#include <stdint.h>

enum { AG_SAMPLE_SCRATCH = 16 }; /* bytes of scratch a vocabulary entry needs */

/* logits [n] after temperature, -infinity where masked; lse their log-sum-exp. Truncation keeps the top_k largest (0: all), of
 * those the smallest set of probability top_p (1: all), of those the ones at least min_p times the largest. Draws by inverting
 * the cumulative distribution of what is left, in id order, at u in [0, 1). *logprob is before truncation. */
int32_t ag_sample_logits(const double *logits, int64_t n, double lse, bool greedy, double u, int top_k,
                         double top_p, double min_p, void *scratch, double *logprob);

#endif
