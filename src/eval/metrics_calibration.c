/* metrics_calibration.c: do the probabilities mean what they say? */
#include "eval/metrics_parts.h"

#include <math.h>

double ag_metric_nll(const ag_tally *t, int index)
{
    (void)index;
    return ag_share(t->sum[AG_SUM_NLL], t->sum[AG_SUM_PROBABLE]);
}

double ag_metric_brier(const ag_tally *t, int index)
{
    (void)index;
    return ag_share(t->sum[AG_SUM_BRIER], t->sum[AG_SUM_PROBABLE]);
}

/* Expected calibration error (Guo et al. 2017): |hits - confidence| of each bin, weighted by its records. */
double ag_metric_ece(const ag_tally *t, int index)
{
    double off = 0;
    (void)index;
    for (int b = 0; b < AG_CALIBRATION_BINS; b++) off += fabs(t->bin[b][2] - t->bin[b][1]);
    return ag_share(off, t->sum[AG_SUM_PROBABLE]);
}

double ag_metric_doubtful_error(const ag_tally *t, int index)
{
    (void)index;
    return ag_share(t->sum[AG_SUM_DOUBTFUL_BAD], t->sum[AG_SUM_DOUBTFUL]);
}
