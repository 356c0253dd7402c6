/* sums.c: the bootstrap by rescaled weights, in one pass over the answers a draw; see sxs.h and sums.h. */
#include "sxs/sums.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "eval/resample.h"

/* A cell as it was answered. */
typedef struct cell_state {
    size_t n;             /* queries with answers */
    double first, second; /* square roots of 1 - f and f */
    double scale;         /* makes this draw's weights add up to the cell's traffic */
    double traffic;
    size_t drawn;
} cell_state;

typedef struct work {
    const ag_sxs_data *data;
    cell_state *cells;
    uint32_t *members; /* queries by cell: cell c has members[start[c] .. start[c] + n) */
    size_t *start;
    double *factor;    /* of each query in this draw */
    uint32_t *times;   /* each query of a cell was drawn */
    ag_sxs_row *means; /* of each query's answers */
} work;

static void set_cells(work *w)
{
    const ag_sxs_data *d = w->data;
    for (size_t c = 0; c < d->cell_count; c++)
        w->cells[c] = (cell_state){.traffic = d->cells[c].traffic, .second = d->cells[c].fraction};
    for (size_t q = 0; q < d->cluster_count; q++) {
        cell_state *cell = &w->cells[d->clusters[q].cell];
        cell->n++;
        if (d->clusters[q].n < 2) cell->second = 0;
    }
    for (size_t c = 0, at = 0; c < d->cell_count; c++) {
        cell_state *cell = &w->cells[c];
        if (cell->n < d->cells[c].n) cell->second = 0; /* not all of the sample was judged: no full cell */
        double f = fmin(1, fmax(0, cell->second));
        cell->first = sqrt(1 - f);
        cell->second = sqrt(f);
        w->start[c] = at;
        at += cell->n;
    }
    for (size_t q = 0; q < d->cluster_count; q++) {
        uint32_t c = d->clusters[q].cell;
        w->members[w->start[c] + w->cells[c].drawn++] = (uint32_t)q;
    }
}

/* Factors of all queries in draw `at` (0: the sample), and each cell's scale. */
static void draw_queries(work *w, uint64_t seed, size_t at)
{
    const ag_sxs_data *d = w->data;
    for (size_t c = 0; c < d->cell_count; c++) {
        const uint32_t *members = w->members + w->start[c];
        cell_state *cell = &w->cells[c];
        double sum = 0, n = (double)cell->n;
        ag_rng rng = ag_rng_at(seed, AG_RNG_BOOTSTRAP, at, c, 1, 0);
        for (size_t i = 0; i < cell->n; i++) w->times[i] = 0;
        for (size_t i = 1; at > 0 && i < cell->n; i++) w->times[ag_rng_below(&rng, (uint32_t)cell->n)]++;
        for (size_t i = 0; i < cell->n; i++) {
            double factor = 1;
            if (at > 0 && cell->n > 1) factor += cell->first * (w->times[i] * n / (n - 1) - 1);
            w->factor[members[i]] = factor;
            sum += factor * d->clusters[members[i]].weight;
        }
        cell->scale = sum > 0 ? cell->traffic / sum : 0;
    }
}

/* Adds to x, n times, what an answer drawn from a query that is drawn from the cell differs by from that query's mean. */
static void add_residuals(double *x, const work *w, const cell_state *cell, const uint32_t *members, size_t n,
                          ag_rng *rng)
{
    const ag_sxs_data *d = w->data;
    for (size_t i = 0; i < n; i++) {
        uint32_t from = members[ag_rng_below(rng, (uint32_t)cell->n)];
        const ag_sxs_cluster *source = &d->clusters[from];
        const double *row = d->rows[source->from + ag_rng_below(rng, (uint32_t)source->n)].x;
        double scale = sqrt((double)source->n / ((double)source->n - 1));
        for (int c = 0; c < d->columns; c++) x[c] += scale * (row[c] - w->means[from].x[c]);
    }
}

static void add_query(double *values, const work *w, size_t q, uint64_t seed, size_t at)
{
    const ag_sxs_data *d = w->data;
    const ag_sxs_cluster *cluster = &d->clusters[q];
    const cell_state *cell = &w->cells[cluster->cell];
    double weight = cluster->weight * cell->scale, noise[AG_SXS_COLUMNS] = {0};
    if (at > 0 && cell->second > 0) {
        ag_rng rng = ag_rng_at(seed, AG_RNG_BOOTSTRAP, at, q, 2, 0);
        add_residuals(noise, w, cell, w->members + w->start[cluster->cell], cluster->n, &rng);
    }
    for (int x = 0; x < d->columns; x++) {
        double sum = weight *
                     (w->factor[q] * w->means[q].x[x] + cell->second * noise[x] / (double)cluster->n);
        values[x] += sum;
        for (int domain = 1; domain < d->domains; domain++)
            if (cluster->domains >> (domain - 1) & 1) values[domain * d->columns + x] += sum;
    }
}

static void set_means(work *w)
{
    const ag_sxs_data *d = w->data;
    for (size_t q = 0; q < d->cluster_count; q++)
        for (size_t j = 0; j < d->clusters[q].n; j++)
            for (int x = 0; x < d->columns; x++)
                w->means[q].x[x] += d->rows[d->clusters[q].from + j].x[x] / (double)d->clusters[q].n;
}

static bool make_room(work *w, ag_sxs_sums *sums)
{
    const ag_sxs_data *d = w->data;
    w->cells = ag_calloc(d->cell_count, sizeof *w->cells);
    w->start = ag_calloc(d->cell_count, sizeof *w->start);
    w->members = ag_calloc(d->cluster_count, sizeof *w->members);
    w->factor = ag_calloc(d->cluster_count, sizeof *w->factor);
    w->times = ag_calloc(d->cluster_count, sizeof *w->times);
    w->means = ag_calloc(d->cluster_count, sizeof *w->means);
    sums->values = ag_calloc((sums->draws + 1) * (size_t)(d->columns * d->domains), sizeof(double));
    return w->cells && w->start && w->members && w->factor && w->times && w->means && sums->values;
}

/* How much there is to draw from. */
static void count_queries(ag_sxs_sums *sums, const work *w)
{
    const ag_sxs_data *d = w->data;
    for (size_t c = 0; c < d->cell_count; c++) {
        sums->lonely += w->cells[c].n == 1;
        sums->drawn = sums->drawn || w->cells[c].n > 1;
    }
    for (size_t q = 0; q < d->cluster_count; q++)
        for (int domain = 0; domain < d->domains; domain++)
            sums->queries[domain] += domain == 0 || (d->clusters[q].domains >> (domain - 1) & 1);
}

ag_status ag_sxs_sums_make(ag_sxs_sums *sums, const ag_sxs_data *data, int draws, uint64_t seed,
                           ag_error *err)
{
    work w = {.data = data};
    *sums = (ag_sxs_sums){
        .draws = (size_t)(draws > 0 ? draws : 0), .columns = data->columns, .domains = data->domains};
    ag_status status = make_room(&w, sums) ? AG_OK : ag_fail_memory(err, "bootstrap draws");
    if (status == AG_OK) set_cells(&w);
    if (status == AG_OK) set_means(&w);
    if (status == AG_OK) count_queries(sums, &w);
    for (size_t at = 0; at <= sums->draws && status == AG_OK; at++) {
        double *values = sums->values + at * (size_t)(data->columns * data->domains);
        draw_queries(&w, seed, at);
        for (size_t q = 0; q < data->cluster_count; q++) add_query(values, &w, q, seed, at);
    }
    ag_free(w.cells);
    ag_free(w.start);
    ag_free(w.members);
    ag_free(w.factor);
    ag_free(w.times);
    ag_free(w.means);
    return status;
}

void ag_sxs_sums_free(ag_sxs_sums *sums)
{
    ag_free(sums->values);
    *sums = (ag_sxs_sums){0};
}

const double *ag_sxs_sums_of(const ag_sxs_sums *sums, size_t draw, int domain)
{
    return sums->values + (draw * (size_t)sums->domains + (size_t)domain) * (size_t)sums->columns;
}

ag_status ag_sxs_estimate(ag_estimate *estimate, const ag_sxs_sums *sums, int domain, ag_sxs_figure figure,
                          double extra, ag_error *err)
{
    size_t kept;
    *estimate = (ag_estimate){figure(ag_sxs_sums_of(sums, 0, domain), extra), NAN, NAN, NAN, 0, 0};
    if (sums->draws == 0 || !sums->drawn || sums->queries[domain] < 2) return AG_OK;
    double *samples = ag_calloc(sums->draws, sizeof *samples);
    if (!samples) return ag_fail_memory(err, "bootstrap draws");
    for (size_t d = 0; d < sums->draws; d++) samples[d] = figure(ag_sxs_sums_of(sums, d + 1, domain), extra);
    estimate->detectable = ag_detectable_errors *
                           ag_draws_spread(samples, sums->draws, &estimate->low, &estimate->high, &kept);
    ag_free(samples);
    return AG_OK;
}
