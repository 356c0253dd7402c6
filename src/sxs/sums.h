/* sums.h: weighted sums over answers, in all and in bootstrap draws, from which every figure of a side-by-side study is a small
 * function. Private to sxs/; the bootstrap is described in sxs/sxs.h.
 */
#ifndef AG_SXS_SUMS_H
#define AG_SXS_SUMS_H

#include "eval/metrics.h"
#include "sxs/design.h"

enum { AG_SXS_COLUMNS = 20 };

/* A row is an answer; rows of one query stand together and weigh as much as the query in all. */
typedef struct ag_sxs_row {
    double x[AG_SXS_COLUMNS];
} ag_sxs_row;

/* A query with its rows [from, from + n), n >= 1. `domains`: bit d is set when it belongs to domain d + 1; all belong to domain 0. */
typedef struct ag_sxs_cluster {
    size_t from, n;
    double weight; /* t / pi */
    uint32_t cell;
    uint64_t domains;
} ag_sxs_cluster;
enum { AG_SXS_DOMAINS = 65 };

typedef struct ag_sxs_data {
    const ag_sxs_row *rows;
    const ag_sxs_cluster *clusters;
    size_t cluster_count;
    const ag_sxs_cell *cells; /* traffic and fraction are read; n is counted over the clusters */
    size_t cell_count;
    int columns, domains; /* domains counts domain 0 */
} ag_sxs_data;

/* Sums by draw and domain: of(draw, domain)[column]. Draw 0 is the sample itself. */
typedef struct ag_sxs_sums {
    double *values;
    size_t draws;
    int columns, domains;
    size_t lonely;                  /* cells with one query */
    bool drawn;                     /* some cell has two queries or more: draws differ */
    size_t queries[AG_SXS_DOMAINS]; /* of each domain */
} ag_sxs_sums;

/* draws >= 0; deterministic in seed. Freed with ag_sxs_sums_free, also after a failure. */
ag_status ag_sxs_sums_make(ag_sxs_sums *sums, const ag_sxs_data *data, int draws, uint64_t seed,
                           ag_error *err);
void ag_sxs_sums_free(ag_sxs_sums *sums);
const double *ag_sxs_sums_of(const ag_sxs_sums *sums, size_t draw, int domain);

/* A figure of sums; `extra` is the figure's own (known traffic). NAN where undefined. */
typedef double (*ag_sxs_figure)(const double *x, double extra);
/* Value from the sample, interval and detectable difference from the draws (NAN without them, when fewer than half are defined, and for
 * a domain of fewer than two queries). */
ag_status ag_sxs_estimate(ag_estimate *estimate, const ag_sxs_sums *sums, int domain, ag_sxs_figure figure,
                          double extra, ag_error *err);

#endif
