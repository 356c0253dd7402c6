/* bootstrap.c: intervals and paired tests by resampling query groups (Efron and Tibshirani 1993).
 *
 * Pairs of one query are not independent, so whole groups are drawn. Draw d is a function of (seed, d) alone:
 * every metric, and both systems of a comparison, see the same draws.
 */
#include "eval/resample.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

const double ag_detectable_errors = 1.959963984540054 + 0.8416212335729143;

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

double ag_draws_spread(double *draws, size_t n, double *low, double *high, size_t *kept)
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

void ag_draw_groups(uint32_t *times, size_t groups, uint64_t seed, int d)
{
    ag_rng rng = ag_rng_at(seed, AG_RNG_BOOTSTRAP, (uint64_t)d, 0, 0, 0);
    memset(times, 0, groups * sizeof *times);
    for (size_t g = 0; g < groups; g++) times[ag_rng_below(&rng, (uint32_t)groups)]++;
}

/* sums[width] of a draw from rows[groups][width]. */
static void add_drawn(double *restrict sums, const double *rows, size_t groups, size_t width,
                      const uint32_t *times)
{
    memset(sums, 0, width * sizeof *sums);
    for (size_t g = 0; g < groups; g++) {
        const double *restrict row = rows + g * width;
        double weight = times[g];
        if (times[g] == 0) continue;
        for (size_t w = 0; w < width; w++) sums[w] += weight * row[w];
    }
}

ag_status ag_draws_check(int draws, size_t groups, ag_error *err)
{
    if (draws < 0 || draws > AG_MAX_DRAWS)
        return ag_fail(err, AG_ERR_USAGE, "bootstrap draws must be 0 to %d, not %d", (int)AG_MAX_DRAWS,
                       draws);
    if (groups > UINT32_MAX) return ag_fail(err, AG_ERR_UNSUPPORTED, "too many query groups to resample");
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
    ag_status status = ag_draws_check(draws, groups->count, err);
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
        ag_draw_groups(times, groups->count, seed, d);
        add_drawn(sums, groups->sums, groups->count, groups->width, times);
        for (size_t m = 0; m < n; m++)
            samples[m * (size_t)draws + (size_t)d] = measures[m].metric->of(&t, measures[m].index);
    }
    for (size_t m = 0; m < n; m++) {
        size_t kept;
        ag_estimate *e = &estimates[m];
        if (e->groups < 2 || isnan(e->value)) continue;
        e->detectable = ag_detectable_errors *
                        ag_draws_spread(samples + m * (size_t)draws, (size_t)draws, &e->low, &e->high, &kept);
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

/* --- systems on the same pairs -------------------------------------------------------------------------- */

ag_status ag_records_paired(const ag_records *a, const ag_records *b, ag_error *err)
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

ag_status ag_runs_collect(ag_groups **groups, const ag_records *runs, size_t n, const size_t *pick,
                          size_t count, ag_error *err)
{
    *groups = ag_calloc(n, sizeof **groups);
    if (!*groups) return ag_fail_memory(err, "query groups");
    for (size_t r = 0; r < n; r++) AG_TRY(ag_groups_collect(&(*groups)[r], &runs[r], pick, count, err));
    return AG_OK;
}

void ag_runs_free(ag_groups *groups, size_t n)
{
    for (size_t r = 0; groups && r < n; r++) ag_groups_free(&groups[r]);
    ag_free(groups);
}

ag_status ag_runs_value(double *value, const ag_runs *runs, const ag_metric *metric, ag_error *err)
{
    const ag_groups *first = runs->groups;
    double *sums = ag_calloc(first->width, sizeof *sums), total = 0;
    if (!sums) return ag_fail_memory(err, "sums of query groups");
    ag_tally tally = ag_tally_view(first->records->book, sums);
    for (size_t r = 0; r < runs->count; r++) {
        ag_groups_total(&runs->groups[r], sums);
        total += metric->of(&tally, 0);
    }
    *value = total / (double)runs->count;
    ag_free(sums);
    return AG_OK;
}

ag_status ag_panel_make(ag_panel *panel, const ag_metric *metric, const ag_book *book, size_t groups,
                        const size_t *run_counts, size_t system_count, ag_error *err)
{
    size_t row, cells;
    *panel = (ag_panel){.metric = metric, .book = book, .system_count = system_count, .groups = groups};
    panel->first = ag_calloc(system_count + 1, sizeof *panel->first);
    panel->columns = ag_calloc(ag_tally_width(book), sizeof *panel->columns);
    if (!panel->first || !panel->columns) return ag_fail_memory(err, "sums of query groups");
    for (size_t s = 0; s < system_count; s++) panel->first[s + 1] = panel->first[s] + run_counts[s];
    panel->runs = panel->first[system_count];
    panel->width = ag_tally_columns(panel->columns, book, metric->reads);
    if (!__builtin_mul_overflow(panel->runs, panel->width, &row) &&
        !__builtin_mul_overflow(groups, row, &cells))
        panel->sums = ag_calloc(cells, sizeof *panel->sums);
    return panel->sums ? AG_OK : ag_fail_memory(err, "sums of query groups");
}

void ag_panel_put(ag_panel *panel, size_t system, const ag_runs *runs)
{
    for (size_t r = 0; r < runs->count; r++) {
        const ag_groups *from = &runs->groups[r];
        for (size_t g = 0; g < panel->groups; g++) {
            const double *sums = from->sums + g * from->width;
            double *to = panel->sums + (g * panel->runs + panel->first[system] + r) * panel->width;
            for (size_t w = 0; w < panel->width; w++) to[w] = sums[panel->columns[w]];
        }
    }
}

void ag_panel_free(ag_panel *panel)
{
    ag_free(panel->first);
    ag_free(panel->columns);
    ag_free(panel->sums);
    *panel = (ag_panel){0};
}

/* What a thread needs for a draw. */
typedef struct desk {
    uint32_t *times; /* [groups] */
    double *drawn;   /* [runs][width] */
    double *tally;   /* one vector of sums; places that the metric does not read stay 0 */
} desk;

static void desks_free(desk *desks, int count)
{
    for (int i = 0; desks && i < count; i++) {
        ag_free(desks[i].times);
        ag_free(desks[i].drawn);
        ag_free(desks[i].tally);
    }
    ag_free(desks);
}

static ag_status desks_make(desk **result, const ag_panel *p, int count, ag_error *err)
{
    desk *desks = *result = ag_calloc((size_t)count, sizeof *desks);
    bool ok = desks != NULL;
    for (int i = 0; i < count && ok; i++) {
        desks[i].times = ag_calloc(p->groups, sizeof *desks[i].times);
        desks[i].drawn = ag_calloc(p->runs * p->width, sizeof *desks[i].drawn);
        desks[i].tally = ag_calloc(ag_tally_width(p->book), sizeof *desks[i].tally);
        ok = desks[i].times && desks[i].drawn && desks[i].tally;
    }
    return ok ? AG_OK : ag_fail_memory(err, "bootstrap draws");
}

/* One draw, at samples[0], samples[stride], ... for the systems. */
static void draw_panel(double *samples, size_t stride, const ag_panel *p, desk *at, uint64_t seed, int d)
{
    ag_tally tally = ag_tally_view(p->book, at->tally);
    ag_draw_groups(at->times, p->groups, seed, d);
    add_drawn(at->drawn, p->sums, p->groups, p->runs * p->width, at->times);
    for (size_t s = 0; s < p->system_count; s++) {
        double total = 0;
        for (size_t r = p->first[s]; r < p->first[s + 1]; r++) {
            for (size_t w = 0; w < p->width; w++) at->tally[p->columns[w]] = at->drawn[r * p->width + w];
            total += p->metric->of(&tally, 0);
        }
        samples[s * stride] = total / (double)(p->first[s + 1] - p->first[s]);
    }
}

ag_status ag_panel_draw(double *samples, const ag_panel *panel, int draws, uint64_t seed, ag_error *err)
{
    int threads = omp_get_max_threads();
    desk *desks = NULL;
    AG_TRY(ag_draws_check(draws, panel->groups, err));
    ag_status status = desks_make(&desks, panel, threads, err);
    if (status == AG_OK) {
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int d = 0; d < draws; d++)
            draw_panel(samples + d, (size_t)draws, panel, &desks[omp_get_thread_num()], seed, d);
    }
    desks_free(desks, threads);
    return status;
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

void ag_draws_difference(ag_difference *difference, double value, const double *a, double *b, size_t n)
{
    size_t kept = 0;
    *difference = (ag_difference){value, NAN, NAN, NAN, NAN};
    if (isnan(value)) return;
    for (size_t d = 0; d < n; d++) b[d] -= a[d];
    double error = ag_draws_spread(b, n, &difference->low, &difference->high, &kept);
    if (isnan(error)) return;
    difference->p = p_value(b, kept, value);
    difference->detectable = ag_detectable_errors * error;
}

ag_status ag_runs_compare(ag_difference *difference, double values[2], const ag_metric *metric,
                          const ag_runs *a, const ag_runs *b, int draws, uint64_t seed, ag_error *err)
{
    const ag_runs *systems[2] = {a, b};
    const size_t run_counts[2] = {a->count, b->count}, groups = a->groups->count;
    const ag_book *book = a->groups->records->book;
    ag_panel panel = {0};
    double *samples = NULL;
    *difference = (ag_difference){NAN, NAN, NAN, NAN, NAN};
    AG_TRY(ag_draws_check(draws, groups, err));
    for (int s = 0; s < 2; s++) AG_TRY(ag_runs_value(&values[s], systems[s], metric, err));
    difference->value = values[1] - values[0];
    if (groups < 2 || isnan(difference->value)) return AG_OK;
    samples = ag_calloc(2 * (size_t)draws, sizeof *samples);
    ag_status status = samples ? ag_panel_make(&panel, metric, book, groups, run_counts, 2, err)
                               : ag_fail_memory(err, "bootstrap draws");
    if (status == AG_OK) {
        for (size_t s = 0; s < 2; s++) ag_panel_put(&panel, s, systems[s]);
        status = ag_panel_draw(samples, &panel, draws, seed, err);
    }
    if (status == AG_OK)
        ag_draws_difference(difference, difference->value, samples, samples + draws, (size_t)draws);
    ag_panel_free(&panel);
    ag_free(samples);
    return status;
}

ag_status ag_metric_compare(ag_difference *difference, const ag_metric *metric, const ag_records *a,
                            const ag_records *b, int draws, uint64_t seed, ag_error *err)
{
    ag_groups groups[2] = {{0}, {0}};
    double values[2];
    *difference = (ag_difference){NAN, NAN, NAN, NAN, NAN};
    ag_status status = ag_records_paired(a, b, err);
    if (!status) status = ag_groups_collect(&groups[0], a, NULL, a->count, err);
    if (!status) status = ag_groups_collect(&groups[1], b, NULL, b->count, err);
    if (!status)
        status = ag_runs_compare(difference, values, metric, &(ag_runs){&groups[0], 1},
                                 &(ag_runs){&groups[1], 1}, draws, seed, err);
    ag_groups_free(&groups[0]);
    ag_groups_free(&groups[1]);
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
