/* labels.h: a data set's labels (Exact, 3, "Not relevant") as tiers of a book. */
#ifndef AG_DATA_LABELS_H
#define AG_DATA_LABELS_H

#include "base/json.h"
#include "rules/book.h"

/* What a data set calls its grades: rank 0 is the best; several spellings may share a rank. Ends with a
 * NULL name. */
typedef struct ag_label {
    const char *name;
    int rank;
} ag_label;

/* How labels become tiers where the user gives no map: by a tier's id or name first, then by rank when the
 * numbers of grades and tiers are equal. numbers: labels are numbers, which say nothing of tier ids, so by
 * rank only. */
typedef struct ag_labels ag_labels;

/* spec (may be NULL): "Exact=4,Substitute=3,...": then only these labels are known; "Label=-" leaves pairs
 * out. Without spec and table a label must be a tier's id or name. what: the data set's name for messages. */
ag_status ag_labels_create(ag_labels **labels, const ag_book *book, const char *what, const ag_label *table,
                           bool numbers, const char *spec, ag_error *err);
/* The tier's id for a label (a string or number; numbers compare as numbers: 100.000 is 100). *tier NULL:
 * leave out. The place goes in front of an error. */
ag_status ag_labels_tier(const ag_labels *labels, const json_t *label, const char *path, long line,
                         const char **tier, ag_error *err);
void ag_labels_free(ag_labels *labels);

#endif
