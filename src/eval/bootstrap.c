/* bootstrap.c: intervals and paired tests by resampling query groups (Efron and Tibshirani 1993).
 *
 * Pairs of one query are not independent, so whole groups are drawn. Draw d is a function of (seed, d) alone:
 * every metric, and both systems of a comparison, see the same draws.
 */
#include "base/rng.h"
#include "eval/tally.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DRAWS = 100000 };

/* z(0.975) + z(0.8): the distance, in standard errors, that a two-sided test at 0.05 finds with power 0.8. */
static const double detectable_errors = 1.959963984540054 + 0.8416212335729143;

static int by_size(const void *pa, const void *pb)
{
    double a = *(const double *)pa, b = *(const double *)pb;
    return (a > b) - (a < b);
}

/* Quantile of sorted values by linear interpolation (type 7 of Hyndman and Fan 1996). */
static double quantile(const double *sorted, size_t n, double share)
{
    double at = share * (double)(n - 1);
    size_t below = (size_t)at;
    if (below + 1 >= n) return sorted[n - 1];
    return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

/* Interval and standard deviation of the draws where the metric was defined; NAN when that is fewer than
 * half of them. Sorts the draws; *kept is how many were defined. */
static double spread(double *draws, size_t n, double *low, double *high, size_t *kept)
{
    double mean = 0, square = 0;
    size_t used = 0;
    *low = *high = NAN;
    for (size_t i = 0; i < n; i++)
        if (isfinite(draws[i])) draws[used++] = draws[i];
    *kept = used;
    if (used < 2 || used * 2 < n) return NAN;
    qsort(draws, used, sizeof *draws, by_size);
    *low = quantile(draws, used, 0.025);
    *high = quantile(draws, used, 0.975);
    for (size_t i = 0; i < used; i++) mean += draws[i] / (double)used;
    for (size_t i = 0; i < used; i++) square += (draws[i] - mean) * (draws[i] - mean);
    return sqrt(square / (double)(used - 1));
}

/* How often each group is in draw d. */
static void draw_groups(uint32_t *times, size_t groups, uint64_t seed, int d)
{
    ag_rng rng = ag_rng_at(seed, AG_RNG_BOOTSTRAP, (uint64_t)d, 0, 0, 0);
    memset(times, 0, groups * sizeof *times);
    for (size_t g = 0; g < groups; g++) times[ag_rng_below(&rng, (uint32_t)groups)]++;
}

static void add_drawn(double *restrict sums, const ag_groups *groups, const uint32_t *times)
{
    size_t width = groups->width;
    memset(sums, 0, width * sizeof *sums);
    for (size_t g = 0; g < groups->count; g++) {
        const double *restrict row = groups->sums + g * width;
        double weight = times[g];
        if (times[g] == 0) continue;
        for (size_t w = 0; w < width; w++) sums[w] += weight * row[w];
    }
}

static ag_status check_draws(int draws, const ag_groups *groups, ag_error *err)
{
    if (draws < 0 || draws > MAX_DRAWS)
        return ag_fail(err, AG_ERR_USAGE, "bootstrap draws must be 0 to %d, not %d", (int)MAX_DRAWS, draws);
    if (groups->count > UINT32_MAX)
        return ag_fail(err, AG_ERR_UNSUPPORTED, "too many query groups to resample");
    return AG_OK;
}

/* The count behind a number and the groups that it lies in. */
static void count_support(ag_estimate *estimate, const ag_measure *m, const ag_groups *groups)
{
    double total = 0;
    for (size_t g = 0; g < groups->count; g++) {
        ag_tally t = ag_tally_view(groups->records->book, groups->sums + g * groups->width);
        bool criterion = m->metric == ag_criterion_metrics;
        double n = criterion ? t.criterion[m->index][0] : t.sum[m->metric->over];
        total += n;
        estimate->groups += n > 0;
    }
    estimate->records = (size_t)total;
}

ag_status ag_bootstrap(ag_estimate *estimates, const ag_measure *measures, size_t n, const ag_groups *groups,
                       int draws, uint64_t seed, ag_error *err)
{
    const ag_book *book = groups->records->book;
    double *sums = ag_calloc(groups->width, sizeof *sums), *samples = NULL;
    uint32_t *times = ag_calloc(groups->count, sizeof *times);
    ag_status status = check_draws(draws, groups, err);
    if (status) goto out;
    samples = ag_calloc(n * (size_t)draws, sizeof *samples);
    if (!sums || !times || !samples) {
        status = ag_fail_memory(err, "bootstrap draws");
        goto out;
    }
    ag_groups_total(groups, sums);
    ag_tally t = ag_tally_view(book, sums);
    for (size_t m = 0; m < n; m++) {
        estimates[m] = (ag_estimate){measures[m].metric->of(&t, measures[m].index), NAN, NAN, NAN, 0, 0};
        count_support(&estimates[m], &measures[m], groups);
    }
    if (groups->count < 2) goto out; /* one group says nothing of how much groups differ */
    for (int d = 0; d < draws; d++) {
        draw_groups(times, groups->count, seed, d);
        add_drawn(sums, groups, times);
        for (size_t m = 0; m < n; m++)
            samples[m * (size_t)draws + (size_t)d] = measures[m].metric->of(&t, measures[m].index);
    }
    for (size_t m = 0; m < n; m++) {
        size_t kept;
        ag_estimate *e = &estimates[m];
        if (e->groups < 2 || isnan(e->value)) continue;
        e->detectable = detectable_errors *
                        spread(samples + m * (size_t)draws, (size_t)draws, &e->low, &e->high, &kept);
    }
out:
    ag_free(sums);
    ag_free(times);
    ag_free(samples);
    return status;
}

ag_status ag_metric_estimate(ag_estimate *estimate, const ag_metric *metric, const ag_records *records,
                             int draws, uint64_t seed, ag_error *err)
{
    ag_groups groups;
    ag_measure measure = {metric, 0};
    ag_status status = ag_groups_collect(&groups, records, NULL, records->count, err);
    if (status) return status;
    status = ag_bootstrap(estimate, &measure, 1, &groups, draws, seed, err);
    ag_groups_free(&groups);
    return status;
}

/* --- two systems ---------------------------------------------------------------------------------------- */

static ag_status check_paired(const ag_records *a, const ag_records *b, ag_error *err)
{
    if (a->count != b->count)
        return ag_fail(err, AG_ERR_USAGE, "paired comparison: %zu pairs on one side and %zu on the other",
                       a->count, b->count);
    if (a->book->tier_count != b->book->tier_count)
        return ag_fail(err, AG_ERR_USAGE, "paired comparison: %d tiers on one side and %d on the other",
                       a->book->tier_count, b->book->tier_count);
    for (size_t i = 0; i < a->count; i++) {
        const ag_record *x = &a->items[i], *y = &b->items[i];
        if (ag_streq(x->id, y->id) && ag_streq(x->group, y->group) && ag_streq(x->query, y->query)) continue;
        return ag_fail(err, AG_ERR_USAGE,
                       "paired comparison: pair %zu is '%s' on one side and '%s' on the other, or its "
                       "query or group differs",
                       i + 1, x->id ? x->id : "", y->id ? y->id : "");
    }
    return AG_OK;
}

/* Two-sided p value of "no difference": how often the draws stray from the measured difference at least as
 * far as that lies from zero (Efron and Tibshirani 1993, section 16; the added ones keep it above 0,
 * Davison and Hinkley 1997). */
static double p_value(const double *draws, size_t n, double value)
{
    size_t far = 0;
    double reach = fabs(value) * (1 - 1e-12); /* equal up to rounding counts as far */
    for (size_t i = 0; i < n; i++) far += fabs(draws[i] - value) >= reach;
    return (double)(far + 1) / (double)(n + 1);
}

ag_status ag_metric_compare(ag_difference *difference, const ag_metric *metric, const ag_records *a,
                            const ag_records *b, int draws, uint64_t seed, ag_error *err)
{
    ag_groups ga = {0}, gb = {0};
    double *sa = NULL, *sb = NULL, *samples = NULL;
    uint32_t *times = NULL;
    size_t kept = 0;
    *difference = (ag_difference){NAN, NAN, NAN, NAN, NAN};
    ag_status status = check_paired(a, b, err);
    if (!status) status = ag_groups_collect(&ga, a, NULL, a->count, err);
    if (!status) status = ag_groups_collect(&gb, b, NULL, b->count, err);
    if (!status) status = check_draws(draws, &ga, err);
    if (status) goto out;
    sa = ag_calloc(ga.width, sizeof *sa);
    sb = ag_calloc(gb.width, sizeof *sb);
    times = ag_calloc(ga.count, sizeof *times);
    samples = ag_calloc((size_t)draws, sizeof *samples);
    if (!sa || !sb || !times || !samples) {
        status = ag_fail_memory(err, "bootstrap draws");
        goto out;
    }
    ag_groups_total(&ga, sa);
    ag_groups_total(&gb, sb);
    ag_tally ta = ag_tally_view(a->book, sa), tb = ag_tally_view(b->book, sb);
    difference->value = metric->of(&tb, 0) - metric->of(&ta, 0);
    if (ga.count < 2 || isnan(difference->value)) goto out;
    for (int d = 0; d < draws; d++) {
        draw_groups(times, ga.count, seed, d);
        add_drawn(sa, &ga, times);
        add_drawn(sb, &gb, times);
        samples[d] = metric->of(&tb, 0) - metric->of(&ta, 0);
    }
    double error = spread(samples, (size_t)draws, &difference->low, &difference->high, &kept);
    if (isnan(error)) goto out;
    difference->p = p_value(samples, kept, difference->value);
    difference->detectable = detectable_errors * error;
out:
    ag_groups_free(&ga);
    ag_groups_free(&gb);
    ag_free(sa);
    ag_free(sb);
    ag_free(times);
    ag_free(samples);
    return status;
}

/* Holm 1979: the k-th smallest of n is multiplied by n - k + 1, and none may fall below the one before it.
 * A table of p values is short, so the next smallest is simply searched for. A value is marked done by its
 * sign. */
void ag_holm(double *p, size_t n)
{
    size_t left = 0;
    double floor = 0;
    for (size_t i = 0; i < n; i++) left += !isnan(p[i]);
    for (; left > 0; left--) {
        size_t least = n;
        for (size_t i = 0; i < n; i++)
            if (!isnan(p[i]) && !signbit(p[i]) && (least == n || p[i] < p[least])) least = i;
        if (least == n) break; /* a negative p value is no p value */
        floor = fmax(floor, fmin(1, p[least] * (double)left));
        p[least] = -floor;
    }
    for (size_t i = 0; i < n; i++)
        if (!isnan(p[i])) p[i] = fabs(p[i]);
}
