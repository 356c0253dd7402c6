/* design.c: strata share n by traffic, certain queries go apart, the rest is drawn systematically; see design.h. */
#include "sxs/design.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

static const double z95 = 1.959963984540054;

/* What sharing n needs of a stratum: its queries whose lists differ. */
typedef struct stratum {
    double traffic;
    size_t count, n;
} stratum;

static void count_strata(stratum *rows, const ag_sxs_unit *units, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (units[i].same) continue;
        rows[units[i].stratum].traffic += units[i].traffic;
        rows[units[i].stratum].count++;
    }
}

void ag_sxs_design_bounds(size_t *least, size_t *most, const ag_sxs_unit *units, size_t count, size_t strata)
{
    stratum rows[AG_SXS_STRATA] = {{0, 0, 0}};
    *least = *most = 0;
    count_strata(rows, units, count);
    for (size_t h = 0; h < strata; h++) {
        *least += rows[h].count < 2 ? rows[h].count : 2;
        *most += rows[h].count;
    }
    if (*most > AG_SXS_MOST) *most = AG_SXS_MOST;
}

/* One query after the other goes where the traffic of a drawn query is greatest. */
static void share_out(stratum *rows, size_t strata, size_t n)
{
    for (size_t h = 0; h < strata; h++) {
        rows[h].n = rows[h].count < 2 ? rows[h].count : 2;
        n -= rows[h].n;
    }
    for (; n > 0; n--) {
        size_t best = strata;
        double most = -1;
        for (size_t h = 0; h < strata; h++) {
            double claim = rows[h].traffic / ((double)rows[h].n + 0.5);
            if (rows[h].n < rows[h].count && claim > most) {
                most = claim;
                best = h;
            }
        }
        if (best == strata) return;
        rows[best].n++;
    }
}

/* Takes the queries of a stratum that n would draw more than once out of it, until there are none. */
static void set_certain(ag_sxs_design *d, const ag_sxs_unit *units, stratum *row, uint32_t h)
{
    for (bool again = true; again && row->n > 0;) {
        double traffic = row->traffic, n = (double)row->n;
        bool all = row->n >= row->count;
        again = false;
        for (size_t i = 0; i < d->count; i++) {
            if (units[i].same || units[i].stratum != h || d->pi[i] > 0) continue;
            if (!all && n * units[i].traffic < traffic) continue;
            d->pi[i] = 1;
            d->cell[i] = 0;
            row->traffic -= units[i].traffic;
            row->count--;
            row->n--;
            again = row->n > 0;
            if (row->n == 0) break;
        }
    }
}

/* Fills pi, cells and sums of the design from the shares of the strata. */
static void set_cells(ag_sxs_design *d, const ag_sxs_unit *units, stratum *rows)
{
    for (uint32_t h = 0; h < d->strata; h++) set_certain(d, units, &rows[h], h);
    for (size_t i = 0; i < d->count; i++) {
        const ag_sxs_unit *u = &units[i];
        d->traffic += u->traffic;
        d->same += u->same;
        if (u->same) d->traffic_same += u->traffic;
        if (u->same) continue;
        if (d->pi[i] == 0) d->cell[i] = u->stratum + 1;
        ag_sxs_cell *cell = &d->cells[d->cell[i]];
        cell->traffic += u->traffic;
        cell->population++;
        cell->n = d->cell[i] ? rows[u->stratum].n : cell->n + 1;
    }
    for (size_t i = 0; i < d->count; i++) {
        if (units[i].same) continue;
        ag_sxs_cell *cell = &d->cells[d->cell[i]];
        if (d->cell[i]) d->pi[i] = (double)cell->n * units[i].traffic / cell->traffic;
        if (cell->n) cell->fraction += d->pi[i] * d->pi[i] / (double)cell->n;
        if (d->cell[i] == 0) d->square_certain += pow(units[i].traffic / d->traffic, 2);
    }
}

ag_status ag_sxs_design_make(ag_sxs_design *design, const ag_sxs_unit *units, size_t count, size_t strata,
                             size_t n, ag_error *err)
{
    stratum rows[AG_SXS_STRATA] = {{0, 0, 0}};
    size_t least, most;
    *design = (ag_sxs_design){.count = count, .strata = strata, .n = n};
    ag_sxs_design_bounds(&least, &most, units, count, strata);
    if (most == 0)
        return ag_fail(err, AG_ERR_INPUT,
                       "the two rankings give the same list for every query: there is "
                       "nothing to compare");
    if (n < least)
        return ag_fail(err, AG_ERR_USAGE, "%zu queries are too few: two of each of %zu strata are %zu", n,
                       strata, least);
    if (n > most)
        return ag_fail(err, AG_ERR_USAGE, "%zu queries are more than the %zu whose lists differ", n, most);
    design->cells = ag_calloc(strata + 1, sizeof *design->cells);
    design->pi = ag_calloc(count, sizeof *design->pi);
    design->cell = ag_calloc(count, sizeof *design->cell);
    if (!design->cells || !design->pi || !design->cell) return ag_fail_memory(err, "design of a study");
    count_strata(rows, units, count);
    share_out(rows, strata, n);
    set_cells(design, units, rows);
    return AG_OK;
}

void ag_sxs_design_free(ag_sxs_design *design)
{
    ag_free(design->cells);
    ag_free(design->pi);
    ag_free(design->cell);
    *design = (ag_sxs_design){0};
}

/* Systematic sampling of a cell: units in a drawn order lie on a line, each as long as its pi; marks lie on it one apart from a drawn
 * start. */
static void draw_cell(bool *chosen, const ag_sxs_design *d, uint32_t *order, uint32_t cell, uint64_t seed)
{
    uint32_t count = 0;
    size_t taken = 0, n = d->cells[cell].n;
    ag_rng rng = ag_rng_at(seed, AG_RNG_SXS, 0, cell, 0, 0);
    for (size_t i = 0; i < d->count; i++)
        if (d->pi[i] > 0 && d->cell[i] == cell) order[count++] = (uint32_t)i;
    if (n == 0 || count == 0) return;
    ag_rng_shuffle(&rng, order, count);
    double mark = ag_rng_double(&rng), end = 0;
    for (uint32_t k = 0; k < count && taken < n; k++) {
        end += d->pi[order[k]];
        if (k + 1 == count) end = (double)n; /* whatever rounding has left */
        if (mark >= end) continue;
        chosen[order[k]] = true;
        taken++;
        mark += 1;
    }
}

ag_status ag_sxs_design_draw(bool *chosen, const ag_sxs_design *design, const ag_sxs_unit *units,
                             uint64_t seed, ag_error *err)
{
    uint32_t *order = ag_calloc(design->count, sizeof *order);
    if (!order) return ag_fail_memory(err, "sample of queries");
    for (size_t i = 0; i < design->count; i++) chosen[i] = !units[i].same && design->cell[i] == 0;
    for (uint32_t c = 1; c <= design->strata; c++) draw_cell(chosen, design, order, c, seed);
    ag_free(order);
    return AG_OK;
}

double ag_sxs_half_width(const ag_sxs_design *design, double sd, long judges)
{
    double noise = 1 / (double)judges, square = design->square_certain * noise;
    for (size_t c = 1; c <= design->strata; c++) {
        const ag_sxs_cell *cell = &design->cells[c];
        double most = judges > 1 ? fmax(1 - cell->fraction, noise) : 1;
        if (cell->n) square += pow(cell->traffic / design->traffic, 2) / (double)cell->n * most;
    }
    return z95 * sd * sqrt(square);
}

static ag_status half_width_of(double *half, const ag_sxs_unit *units, size_t count, size_t strata, size_t n,
                               double sd, long judges, ag_error *err)
{
    ag_sxs_design design;
    ag_status status = ag_sxs_design_make(&design, units, count, strata, n, err);
    if (status == AG_OK) *half = ag_sxs_half_width(&design, sd, judges);
    ag_sxs_design_free(&design);
    return status;
}

ag_status ag_sxs_design_size(size_t *n, const ag_sxs_unit *units, size_t count, size_t strata,
                             double precision, double sd, long judges, ag_error *err)
{
    size_t low, high;
    double half = 0;
    ag_sxs_design_bounds(&low, &high, units, count, strata);
    AG_TRY(half_width_of(&half, units, count, strata, high, sd, judges, err));
    if (half > precision)
        return ag_fail(err, AG_ERR_USAGE,
                       "all %zu queries whose lists differ give +-%.3g, not +-%.3g: take more judges, a "
                       "longer log or a wider interval",
                       high, half, precision);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        AG_TRY(half_width_of(&half, units, count, strata, middle, sd, judges, err));
        if (half <= precision)
            high = middle;
        else
            low = middle + 1;
    }
    *n = low;
    return AG_OK;
}
