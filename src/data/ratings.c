/* ratings.c: aggregation of ratings. Counting by tier makes every kind one pass over at most AG_MAX_TIERS
 * numbers and independent of the order of the raters.
 */
#include "data/ratings.h"

#include <string.h>

const char *const ag_aggregate_names[4] = {"given", "majority", "median", "soft"};

ag_aggregate ag_aggregate_find(const char *name)
{
    for (int i = 0; i < 4; i++)
        if (ag_streq(ag_aggregate_names[i], name)) return (ag_aggregate)i;
    return AG_AGGREGATE_GIVEN;
}

/* The lower median of a multiset given as counts: with n values, the one at place n / 2 counted from the
 * best. For an even n that is the worse of the two in the middle: in doubt a pair is not praised. */
static int median_of(const int counts[AG_MAX_TIERS], int tiers)
{
    int total = 0, seen = 0;
    for (int t = 0; t < tiers; t++) total += counts[t];
    for (int t = 0; t < tiers; t++) {
        seen += counts[t];
        if (seen > total / 2) return t;
    }
    return -1;
}

static int majority_of(const int counts[AG_MAX_TIERS], int tiers)
{
    int most = 1, tied[AG_MAX_TIERS] = {0};
    for (int t = 0; t < tiers; t++)
        if (counts[t] > most) most = counts[t];
    for (int t = 0; t < tiers; t++) tied[t] = counts[t] == most;
    return median_of(tied, tiers);
}

int ag_ratings_tier(const ag_rating *ratings, int count, int tiers, ag_aggregate aggregate, double *share)
{
    int counts[AG_MAX_TIERS] = {0}, total = 0;
    if (tiers > AG_MAX_TIERS) return -1;
    for (int i = 0; i < count; i++) {
        if (ratings[i].tier < 0 || ratings[i].tier >= tiers) continue;
        counts[ratings[i].tier]++;
        total++;
    }
    if (total == 0 || aggregate == AG_AGGREGATE_GIVEN) return -1;
    if (aggregate == AG_AGGREGATE_SOFT && share)
        for (int t = 0; t < tiers; t++) share[t] = (double)counts[t] / total;
    return aggregate == AG_AGGREGATE_MEDIAN ? median_of(counts, tiers) : majority_of(counts, tiers);
}
