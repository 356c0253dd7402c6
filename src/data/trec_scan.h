/* trec_scan.h: the lines of TREC's files, streamed: qrels (which document is how relevant to which query) and
 * runs (which documents a system returned, with its scores).
 */
#ifndef AG_DATA_TREC_SCAN_H
#define AG_DATA_TREC_SCAN_H

#include "base/error.h"

/* Texts live until the visit returns. */
typedef struct ag_trec_line {
    const char *query, *doc;
    double number; /* the grade or the score; finite */
    const char *path;
    long line;
} ag_trec_line;
typedef ag_status (*ag_trec_visit)(void *context, const ag_trec_line *line, ag_error *err);

typedef struct ag_trec_format {
    const char *form;         /* for messages */
    int least, most;          /* columns */
    int doc, number;          /* where they stand, counted from the last column, which is 1 */
    const char *header_third; /* a first line of three columns that ends so is a header; NULL: none */
} ag_trec_format;

extern const ag_trec_format ag_trec_qrels; /* "query iteration doc grade", or BEIR's "query doc grade" */
extern const ag_trec_format ag_trec_run;   /* "query Q0 doc rank score tag" */

/* Calls visit for every line that is not blank; gzip is taken. A line of another form is AG_ERR_INPUT. */
ag_status ag_trec_scan(const char *path, const ag_trec_format *format, ag_trec_visit visit, void *context,
                       ag_error *err);

#endif
