/* metrics_rank.c: how well the judge orders the items of a query: NDCG (Jarvelin and Kekalainen 2002) with
 * the gains of the book.
 *
 * A judge with few tiers ties many items. Their order is then an accident of the file, so a tied run gets the
 * mean over all its orders (McSherry and Najork 2008): each of its ranks earns the mean gain of the run.
 */
#include "eval/metrics_parts.h"

#include <math.h>
#include <stdlib.h>

/* Total orders, so that the result does not depend on the order of the input or on how qsort treats
 * equals. */
static int by_score(const void *pa, const void *pb)
{
    const ag_scored *a = pa, *b = pb;
    if (a->score != b->score) return a->score < b->score ? 1 : -1;
    return (a->gain < b->gain) - (a->gain > b->gain);
}

static int by_gain(const void *pa, const void *pb)
{
    const ag_scored *a = pa, *b = pb;
    return (a->gain < b->gain) - (a->gain > b->gain);
}

/* Sum of the discounts of ranks from..to-1, counted from 0 and cut at the depth. */
static double discounts(size_t from, size_t to)
{
    double sum = 0;
    for (size_t rank = from; rank < to && rank < AG_NDCG_DEPTH; rank++) sum += 1.0 / log2((double)rank + 2.0);
    return sum;
}

double ag_ndcg(ag_scored *items, size_t n, double *random)
{
    double dcg = 0, ideal = 0, all = 0;
    qsort(items, n, sizeof *items, by_score);
    for (size_t i = 0, next; i < n; i = next) {
        double gain = 0;
        for (next = i; next < n && items[next].score == items[i].score; next++) gain += items[next].gain;
        dcg += gain / (double)(next - i) * discounts(i, next);
        all += gain;
    }
    qsort(items, n, sizeof *items, by_gain);
    for (size_t i = 0; i < n && i < AG_NDCG_DEPTH; i++) ideal += items[i].gain * discounts(i, i + 1);
    if (random) *random = NAN;
    if (n == 0 || !(items[0].gain > 0) || !(ideal > 0)) return NAN;
    if (random) *random = all / (double)n * discounts(0, n) / ideal;
    return dcg / ideal;
}

double ag_metric_ndcg(const ag_tally *t, int index)
{
    (void)index;
    return ag_share(t->sum[AG_SUM_NDCG], t->sum[AG_SUM_QUERIES]);
}
