/* contest_parts.h: what the files that write a contest share: which columns its table has, and readings of its JSON. Private to eval/. */
#ifndef AG_EVAL_CONTEST_PARTS_H
#define AG_EVAL_CONTEST_PARTS_H

#include "eval/contest.h"

/* Columns of the table behind those of the tested metric: rows of ag_metrics by name; ends with NULL. */
extern const char *const ag_contest_metrics[];
/* Where the metric is tested: "slice", "rest", "all"; the first two only with a slice. */
enum { AG_CONTEST_PARTS = 3 };
extern const char *const ag_contest_parts[AG_CONTEST_PARTS];

/* {"mean", "low", "high"} with null where undefined. New reference. */
json_t *ag_range_json(ag_range range);
/* The member "slices": by slice name and value, n and each row's range. New reference. */
ag_status ag_contest_slices(json_t **json, const ag_contest *contest, ag_error *err);
/* The member "curve" of a trained row: the metric at validation by tokens spent, over the steps that all its seeds have. New reference;
 * NULL when out of memory. */
json_t *ag_contest_curve(const ag_contest_row *row);
/* The member "stability" of a trained row. New reference; NULL when out of memory. */
json_t *ag_contest_stability(const ag_contest_row *row);

/* object.a.b..., or NULL; ends with NULL. */
const json_t *ag_json_path(const json_t *object, ...);
/* A number of the object, or NAN. */
double ag_json_real(const json_t *object, const char *key);
/* The row of this name. */
const json_t *ag_contest_row_of(const json_t *rows, const char *name);
/* The best mean of a column, row.group.key.mean, so that tables can mark it; NAN where all rows have the same. */
double ag_contest_best(const json_t *rows, const char *group, const char *key, bool higher);
/* A p value as it is shown: three decimals, "<.001" below them. */
void ag_contest_p(char text[16], double p);

#endif
