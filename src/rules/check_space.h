/* check_space.h: the points that `agrl rules check` looks at: asked entries, query types and verdicts, as far as the
 * book's rules can tell them apart. Private to check.c and check_space.c.
 */
#ifndef AG_RULES_CHECK_SPACE_H
#define AG_RULES_CHECK_SPACE_H

#include "base/rng.h"
#include "rules/when.h"

enum { AG_CHECK_NAMES = 64, AG_CHECK_KINDS = 4 * (AG_CHECK_NAMES + 1), AG_CHECK_ENTRIES = 3 };

/* What no rule mentions does not multiply the space: unused criteria are left out, and entries differ in importance,
 * negation or name only where some rule asks for it. */
typedef struct ag_check_space {
    const ag_book *book;
    bool used[AG_MAX_CRITERIA];
    bool entries_matter; /* some rule looks at asked entries */
    bool core_matters, negated_matters;
    const char *names[AG_CHECK_NAMES], *types[AG_CHECK_NAMES];
    int name_count, type_count;
    ag_ask kinds[AG_CHECK_KINDS];
    int kind_count;
    bool overflow;   /* names or types were left out: only samples reach them */
    int type_sets;   /* how many sets of types are tried */
    int max_entries; /* that samples have; more than 3 where a rule counts higher */
} ag_check_space;

/* One point, with storage for its entries. */
typedef struct ag_check_point {
    ag_ask entries[AG_MAX_ASKED];
    ag_asked asked;
    ag_verdicts verdicts;
} ag_check_point;

/* The axes of a point: each verdict that can vary. */
typedef struct ag_check_axis {
    int criterion, entry, radix;
} ag_check_axis;

void ag_check_space_make(ag_check_space *space, const ag_book *book);
/* Number of points with exactly n entries (as a double: it may be astronomic). */
double ag_check_space_size(const ag_check_space *space, int n);
void ag_check_types(const ag_check_space *space, int set, ag_asked *asked);
/* Axes of a point with its number of entries; returns how many (at most AG_MAX_CRITERIA * AG_MAX_ASKED). */
int ag_check_axes(const ag_check_space *space, int entries, ag_check_axis *axes);
/* A random point; half of them are bent towards making some rule hold, which blind draws rarely do. */
void ag_check_sample(const ag_check_space *space, ag_rng *rng, ag_check_point *point);

#endif
