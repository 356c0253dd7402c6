/* sampling.c: see sampling.h. */
#include "device/sampling.h"

#include <math.h>
#include <stdlib.h>

typedef struct entry {
    double logit;
    int32_t id;
} entry;
_Static_assert(sizeof(entry) <= AG_SAMPLE_SCRATCH, "scratch holds one entry a token");

/* Largest first; the lower id first among equals. */
static int compare_entries(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->logit != y->logit) return x->logit < y->logit ? 1 : -1;
    return x->id < y->id ? -1 : 1;
}

/* The smallest logit that truncation keeps, with ties at the border cut by id through *last_id. */
static entry truncation_border(const double *logits, int64_t n, double lse, int top_k, double top_p,
                               double min_p, entry *sorted)
{
    for (int64_t j = 0; j < n; j++) sorted[j] = (entry){logits[j], (int32_t)j};
    qsort(sorted, (size_t)n, sizeof *sorted, compare_entries);
    int64_t keep = top_k > 0 && top_k < n ? top_k : n;
    double kept = 0, mass = 0;
    for (int64_t j = 0; j < keep; j++) kept += exp(sorted[j].logit - lse);
    for (int64_t j = 0; j < keep; j++) {
        if (j > 0 && sorted[j].logit - sorted[0].logit < log(min_p)) keep = j;
        mass += exp(sorted[j].logit - lse);
        if (mass >= top_p * kept && j + 1 < keep) keep = j + 1;
    }
    return sorted[keep - 1];
}

int32_t ag_sample_logits(const double *logits, int64_t n, double lse, bool greedy, double u, int top_k,
                         double top_p, double min_p, void *scratch, double *logprob)
{
    int64_t chosen = -1, best = 0;
    for (int64_t j = 1; j < n; j++)
        if (logits[j] > logits[best]) best = j;
    if (greedy)
        chosen = best;
    else {
        entry border = {-INFINITY, (int32_t)n};
        if (top_k > 0 || top_p < 1 || min_p > 0)
            border = truncation_border(logits, n, lse, top_k, top_p, min_p, scratch);
        double total = 0, sum = 0;
#define KEPT(j)                                                                                              \
    (isfinite(logits[j]) && (logits[j] > border.logit || (logits[j] == border.logit && (j) <= border.id)))
        for (int64_t j = 0; j < n; j++)
            if (KEPT(j)) total += exp(logits[j] - lse);
        for (int64_t j = 0; j < n; j++) {
            if (!KEPT(j)) continue;
            sum += exp(logits[j] - lse);
            chosen = j; /* the last kept one when rounding leaves sum below u * total */
            if (sum > u * total) break;
        }
#undef KEPT
        if (chosen < 0) chosen = best;
    }
    *logprob = logits[chosen] - lse;
    return (int32_t)chosen;
}
