/* ratings.h: from what several people said of a pair to one gold tier. */
#ifndef AG_DATA_RATINGS_H
#define AG_DATA_RATINGS_H

#include "data/pair.h"

/* The tier that the ratings come to; ratings of -1 (cannot judge) do not count. -1 when none counts or for
 * AG_AGGREGATE_GIVEN. Tiers are indices, best first, below `tiers`.
 *
 * median: of an even number the lower, that is the worse, of the two in the middle. majority: the most
 * frequent; several equally frequent: the median (as above) of those, each once. soft: `share` (may be
 * NULL; tiers entries, summing to 1) gets each tier's share of the raters; the tier is the majority's. The
 * other kinds leave `share` alone. */
int ag_ratings_tier(const ag_rating *ratings, int count, int tiers, ag_aggregate aggregate, double *share);

#endif
