/* design.h: which queries of a log are shown to judges, and what their number buys.
 *
 * The estimand is a mean over traffic: sum of t_i y_i over sum of t_i, for all queries i of the log. Where both rankings give the same
 * list, y_i is 0 without asking anybody, so only queries whose lists differ are drawn. Their number n is shared among strata by
 * traffic (Sainte-Lague's divisors, at least two each); in a stratum a query is drawn with probability pi_i in proportion to its traffic
 * and without replacement, by systematic sampling of a shuffled list (Madow 1949; Hartley and Rao 1962). What n would draw more than
 * once is drawn for certain. The weight t_i / pi_i (Horvitz and Thompson 1952) is then the same for all drawn queries of a stratum but
 * the certain ones, which is what keeps intervals narrow.
 */
#ifndef AG_SXS_DESIGN_H
#define AG_SXS_DESIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

enum { AG_SXS_STRATA = 256, AG_SXS_MOST = 100000 }; /* strata; queries drawn at most */

/* A query of the log as sampling sees it. */
typedef struct ag_sxs_unit {
    double traffic;   /* > 0 */
    uint32_t stratum; /* below the number of strata */
    bool same;        /* both lists are equal: never drawn */
} ag_sxs_unit;

/* Queries that are drawn alike. Cell 0 has the certain ones of all strata, cell 1 + h the others of stratum h. */
typedef struct ag_sxs_cell {
    double traffic;    /* of all its queries in the log, drawn or not */
    size_t population; /* of its queries in the log */
    size_t n;          /* drawn */
    double fraction;   /* sum of pi^2 over n: the share of the cell that the sample is; 1 for the certain */
} ag_sxs_cell;

typedef struct ag_sxs_design {
    size_t count; /* of units */
    size_t strata, n;
    ag_sxs_cell *cells; /* [strata + 1] */
    double *pi;         /* of each unit; 0: same, 1: certain */
    uint32_t *cell;     /* of each unit; without meaning where pi is 0 */
    double traffic, traffic_same;
    size_t same;
    double square_certain; /* sum over certain queries of (traffic / traffic of the log)^2 */
} ag_sxs_design;

/* The design that draws n queries. AG_ERR_USAGE when n is too small for the strata or more than there are queries whose lists differ.
 * Freed with ag_sxs_design_free, also after a failure. */
ag_status ag_sxs_design_make(ag_sxs_design *design, const ag_sxs_unit *units, size_t count, size_t strata,
                             size_t n, ag_error *err);
void ag_sxs_design_free(ag_sxs_design *design);

/* The least and the most that can be drawn: two of each stratum (all of it where it has fewer), and all that differ. */
void ag_sxs_design_bounds(size_t *least, size_t *most, const ag_sxs_unit *units, size_t count, size_t strata);

/* chosen[i]: unit i is drawn. A function of the design and the seed. */
ag_status ag_sxs_design_draw(bool *chosen, const ag_sxs_design *design, const ag_sxs_unit *units,
                             uint64_t seed, ag_error *err);

/* Half the width of the 95 % interval of a mean over all traffic, if an answer's value has standard deviation `sd` and each query has
 * `judges`: 1.96 sd times the root of the sum over drawn queries of (weight / traffic of the log)^2 times the greater of 1 - f and
 * 1 / judges, f being the cell's fraction (1 - f counts as 1 for one judge). That is the most that the interval of sxs/sxs.h can be
 * wide, whichever part of sd^2 is between queries and which among judges of a query. */
double ag_sxs_half_width(const ag_sxs_design *design, double sd, long judges);

/* The smallest n whose half-width is at most `precision`; AG_ERR_USAGE, with what can be had, when no n is. */
ag_status ag_sxs_design_size(size_t *n, const ag_sxs_unit *units, size_t count, size_t strata,
                             double precision, double sd, long judges, ag_error *err);

#endif
