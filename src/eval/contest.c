/* contest.c: the tests of a contest. */
#include "eval/contest.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "eval/resample.h"

ag_range ag_range_of(const double *values, size_t n)
{
    ag_range r = {NAN, NAN, NAN};
    double sum = 0, low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) return r;
        sum += values[i];
        low = fmin(low, values[i]);
        high = fmax(high, values[i]);
    }
    return n ? (ag_range){sum / (double)n, low, high} : r;
}

/* --- slices ------------------------------------------------------------------------------------------------- */

bool ag_in_slice(const ag_record *r, const ag_book *book, const char *slice)
{
    const char *equals = strchr(slice, '=');
    size_t n = equals ? (size_t)(equals - slice) : 0;
    if (!equals) return false;
    if (n == 4 && strncmp(slice, "rule", n) == 0)
        return r->gold_rule >= 0 && strcmp(book->rules[r->gold_rule].id, equals + 1) == 0;
    for (int s = 0; s < r->slice_count; s++) {
        const char *name = r->slice_names[s], *value = r->slice_values[s];
        if (name && value && strlen(name) == n && strncmp(name, slice, n) == 0 &&
            strcmp(value, equals + 1) == 0)
            return true;
    }
    return false;
}

ag_status ag_slice_pick(ag_pick *pick, const ag_records *records, const char *slice, bool inside,
                        ag_error *err)
{
    *pick = (ag_pick){ag_calloc(records->count, sizeof *pick->pick), 0};
    if (!pick->pick) return ag_fail_memory(err, "slice");
    for (size_t i = 0; i < records->count; i++)
        if (ag_in_slice(&records->items[i], records->book, slice) == inside) pick->pick[pick->count++] = i;
    return AG_OK;
}

/* --- rows ------------------------------------------------------------------------------------------------------ */

ag_status ag_contest_check(const ag_contest *c, ag_error *err)
{
    const ag_records *first = &c->rows[0].seeds[0];
    for (size_t r = 0; r < c->row_count; r++) {
        for (size_t s = 0; s < c->rows[r].seed_count; s++) {
            ag_status status = ag_records_paired(first, &c->rows[r].seeds[s], err);
            if (status == AG_OK) continue;
            ag_error_prefix(err, "%s and %s", c->rows[0].name, c->rows[r].name);
            return status;
        }
    }
    return AG_OK;
}

ag_status ag_contest_values(double *values, const ag_contest_row *row, const ag_metric *const *metrics,
                            size_t metric_count, ag_pick pick, ag_error *err)
{
    ag_status status = AG_OK;
    for (size_t s = 0; s < row->seed_count && status == AG_OK; s++) {
        ag_groups groups;
        status = ag_groups_collect(&groups, &row->seeds[s], pick.pick, pick.count, err);
        for (size_t m = 0; m < metric_count && status == AG_OK; m++)
            status = ag_runs_value(&values[m * row->seed_count + s], &(ag_runs){&groups, 1}, metrics[m], err);
        ag_groups_free(&groups);
    }
    return status;
}

/* The values of a row, and its sums into the panel, which the first row makes. */
static ag_status measure(ag_standing *standing, ag_panel *panel, const ag_contest *c, size_t r,
                         const size_t *seed_counts, ag_pick pick, ag_error *err)
{
    const ag_contest_row *row = &c->rows[r];
    ag_groups *groups = NULL;
    standing->low = standing->high = standing->holm = NAN;
    standing->difference = (ag_difference){NAN, NAN, NAN, NAN, NAN};
    standing->values = ag_calloc(row->seed_count, sizeof *standing->values);
    ag_status status = standing->values
                           ? ag_runs_collect(&groups, row->seeds, row->seed_count, pick.pick, pick.count, err)
                           : ag_fail_memory(err, "rows");
    for (size_t s = 0; s < row->seed_count && status == AG_OK; s++)
        status = ag_runs_value(&standing->values[s], &(ag_runs){&groups[s], 1}, c->metric, err);
    if (status == AG_OK && r == 0)
        status = ag_panel_make(panel, c->metric, row->seeds->book, groups->count, seed_counts, c->row_count,
                               err);
    if (status == AG_OK) {
        standing->range = ag_range_of(standing->values, row->seed_count);
        ag_panel_put(panel, r, &(ag_runs){groups, row->seed_count});
    }
    ag_runs_free(groups, row->seed_count);
    return status;
}

/* The interval of each row's mean. A row without a mean has no draws; one group says nothing of how much groups differ. scratch: as many
 * as draws. */
static ag_status draw(ag_standing *standings, double *samples, double *scratch, const ag_contest *c,
                      const ag_panel *panel, ag_error *err)
{
    size_t n = (size_t)c->draws, kept;
    bool any = panel->groups >= 2;
    if (any) AG_TRY(ag_panel_draw(samples, panel, c->draws, c->seed, err));
    for (size_t r = 0; r < c->row_count; r++) {
        double *own = samples + r * n;
        if (!any || isnan(standings[r].range.mean)) {
            for (size_t d = 0; d < n; d++) own[d] = NAN;
            continue;
        }
        memcpy(scratch, own, n * sizeof *own);
        ag_draws_spread(scratch, n, &standings[r].low, &standings[r].high, &kept);
    }
    return AG_OK;
}

ag_status ag_contest_test(ag_standing **standings, const ag_contest *c, ag_pick pick, ag_error *err)
{
    size_t draws = (size_t)c->draws, rows = c->row_count;
    double *samples = ag_calloc((rows + 1) * draws, sizeof *samples), *p = ag_calloc(rows, sizeof *p);
    size_t *seed_counts = ag_calloc(rows, sizeof *seed_counts);
    ag_standing *all = ag_calloc(rows, sizeof *all);
    ag_panel panel = {0};
    ag_status status = samples && p && seed_counts && all ? AG_OK : ag_fail_memory(err, "bootstrap draws");
    for (size_t r = 0; r < rows && status == AG_OK; r++) seed_counts[r] = c->rows[r].seed_count;
    for (size_t r = 0; r < rows && status == AG_OK; r++)
        status = measure(&all[r], &panel, c, r, seed_counts, pick, err);
    if (status == AG_OK) status = draw(all, samples, samples + rows * draws, c, &panel, err);
    for (size_t r = 0; r < rows && status == AG_OK; r++) {
        p[r] = NAN;
        if (r == c->against) continue;
        ag_draws_difference(&all[r].difference, all[r].range.mean - all[c->against].range.mean,
                            samples + c->against * draws, samples + r * draws, draws);
        p[r] = all[r].difference.p;
    }
    if (status == AG_OK) ag_holm(p, rows);
    for (size_t r = 0; r < rows && status == AG_OK; r++) all[r].holm = p[r];
    ag_panel_free(&panel);
    ag_free(seed_counts);
    ag_free(samples);
    ag_free(p);
    if (status != AG_OK) {
        ag_standings_free(all, rows);
        all = NULL;
    }
    *standings = all;
    return status;
}

void ag_standings_free(ag_standing *standings, size_t n)
{
    for (size_t i = 0; standings && i < n; i++) ag_free(standings[i].values);
    ag_free(standings);
}
