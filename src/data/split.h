/* split.h: which side of a split a pair falls on. Splits go by groups of queries that mean the same text,
 * so that no spelling of a training query is met again in the test (DESIGN: "Splits go by query group").
 *
 * Two queries of a list are in one group when, after folding (base/str.h), dropping combining accents and
 * stemming English words,
 *   their token sets are equal ("red boots" and "Boots, red"), or
 *   they are equal without spaces ("note book" and "notebook"), or
 *   their token sets are equal once neighbours whose compound is a word of another query of the list are
 *   joined ("cheap note book" and "notebook cheap"),
 * or when a chain of such pairs connects them. ag_query_group alone sees one query and therefore only the
 * first of the three; whoever splits a file uses ag_query_groups.
 */
#ifndef AG_DATA_SPLIT_H
#define AG_DATA_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/str.h"

/* The keys of one query. Appended, each may be NULL. */
ag_status ag_query_keys(ag_str *token_set, ag_str *joined, const char *query, ag_error *err);

/* Groups of the n queries: group[i] is the index of the first query of query i's group. */
ag_status ag_query_groups(const char *const *queries, size_t n, uint32_t *group, ag_error *err);

enum { AG_SPLIT_MAX = 16 };

/* Named parts with shares that sum to 1, "train=0.8,valid=0.1,test=0.1". */
typedef struct ag_split {
    char names[AG_SPLIT_MAX][32];
    double shares[AG_SPLIT_MAX];
    int count;
} ag_split;
ag_status ag_split_parse(ag_split *split, const char *text, ag_error *err);
/* `folds` parts of equal share named fold1, fold2, ... */
ag_status ag_split_folds(ag_split *split, int folds, ag_error *err);

/* The part of a group on its own: depends on its name, the seed and the shares only, so that adding data
 * never moves a query. Shares hold on average. For `name` use the group's ag_query_group key. */
int ag_split_part(const ag_split *split, const char *name, uint64_t seed);

/* Parts of the n queries (part[i]) by their groups; weight[i] (may be NULL: 1) is how many pairs query i
 * has. stable: each group by ag_split_part of its smallest key. Else balanced: groups in random order,
 * each to the part that lacks most, so that the shares hold to within the weight of one group even with
 * few queries. The same queries, weights, shares and seed give the same parts in any order of the queries.
 * groups (may be NULL) gets the number of groups. */
ag_status ag_split_queries(const ag_split *split, const char *const *queries, const uint32_t *weight,
                           size_t n, uint64_t seed, bool stable, uint8_t *part, size_t *groups,
                           ag_error *err);

#endif
