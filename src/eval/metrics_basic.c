/* metrics_basic.c: is the tier right? All of these read the confusion matrix [gold][headline tier]. */
#include "eval/metrics_parts.h"

#include <math.h>

double ag_share(double part, double whole)
{
    return whole > 0 ? part / whole : NAN;
}

/* Row and column sums of a tier: how often it is gold and how often it is predicted. */
static double gold_count(const ag_tally *t, int tier)
{
    double sum = 0;
    for (int k = 0; k < t->book->tier_count; k++) sum += t->confusion[tier * t->book->tier_count + k];
    return sum;
}

static double predicted_count(const ag_tally *t, int tier)
{
    double sum = 0;
    for (int k = 0; k < t->book->tier_count; k++) sum += t->confusion[k * t->book->tier_count + tier];
    return sum;
}

static double hit_count(const ag_tally *t, int tier)
{
    return t->confusion[tier * t->book->tier_count + tier];
}

/* The mean of a cost (or credit) of (gold, predicted) over the matrix. */
static double mean_of(const ag_tally *t, double (*cost)(const ag_book *book, int gold, int predicted))
{
    double sum = 0, n = 0;
    int tiers = t->book->tier_count;
    for (int g = 0; g < tiers; g++) {
        for (int p = 0; p < tiers; p++) {
            double count = t->confusion[g * tiers + p];
            n += count;
            sum += count * cost(t->book, g, p);
        }
    }
    return ag_share(sum, n);
}

static double cost_hit(const ag_book *book, int gold, int predicted)
{
    (void)book;
    return gold == predicted;
}

static double cost_good(const ag_book *book, int gold, int predicted)
{
    return book->tiers[gold].good == book->tiers[predicted].good;
}

static double cost_distance(const ag_book *book, int gold, int predicted)
{
    (void)book;
    return fabs((double)gold - predicted);
}

double ag_metric_accuracy(const ag_tally *t, int index)
{
    (void)index;
    return mean_of(t, cost_hit);
}

double ag_metric_acc2(const ag_tally *t, int index)
{
    (void)index;
    return mean_of(t, cost_good);
}

double ag_metric_mae(const ag_tally *t, int index)
{
    (void)index;
    return mean_of(t, cost_distance);
}

double ag_metric_precision(const ag_tally *t, int tier)
{
    return ag_share(hit_count(t, tier), predicted_count(t, tier));
}

double ag_metric_recall(const ag_tally *t, int tier)
{
    return ag_share(hit_count(t, tier), gold_count(t, tier));
}

/* 2 P R / (P + R) without its 0 / 0: a tier that is gold or predicted but never both has F1 0. */
double ag_metric_f1(const ag_tally *t, int tier)
{
    return ag_share(2 * hit_count(t, tier), gold_count(t, tier) + predicted_count(t, tier));
}

/* The mean over the tiers that occur, as gold or as prediction. */
double ag_metric_macro_f1(const ag_tally *t, int index)
{
    double sum = 0, n = 0;
    (void)index;
    for (int k = 0; k < t->book->tier_count; k++) {
        double f1 = ag_metric_f1(t, k);
        if (isnan(f1)) continue;
        sum += f1;
        n++;
    }
    return ag_share(sum, n);
}

/* Cohen's kappa with quadratic weights: 1 - observed / expected disagreement. Undefined where no
 * disagreement is expected (both sides always say the same one tier). */
double ag_metric_kappa(const ag_tally *t, int index)
{
    double observed = 0, expected = 0, n = 0, gold[AG_MAX_TIERS], predicted[AG_MAX_TIERS];
    int tiers = t->book->tier_count;
    (void)index;
    for (int k = 0; k < tiers; k++) {
        gold[k] = gold_count(t, k);
        predicted[k] = predicted_count(t, k);
        n += gold[k];
    }
    if (!(n > 0)) return NAN;
    for (int g = 0; g < tiers; g++) {
        for (int p = 0; p < tiers; p++) {
            double weight = (double)(g - p) * (g - p);
            observed += weight * t->confusion[g * tiers + p];
            expected += weight * gold[g] * predicted[p] / n;
        }
    }
    return expected > 0 ? 1 - observed / expected : NAN;
}
