/* trec.h: qrels and runs in memory: the documents of each query with their grades or scores. */
#ifndef AG_EVAL_TREC_H
#define AG_EVAL_TREC_H

#include "base/mem.h"
#include "data/table.h"
#include "data/trec_scan.h"

typedef struct ag_trec_doc {
    const char *id;
    double value; /* grade or score */
    long line;
} ag_trec_doc;

typedef struct ag_trec_query {
    const char *id;
    ag_trec_doc *docs; /* by id, each once */
    size_t count, capacity;
} ag_trec_query;

/* A file. A zeroed struct is empty. */
typedef struct ag_trec {
    const char *path;       /* for messages; NULL while empty */
    ag_trec_query *queries; /* in the order of the file */
    size_t count, capacity;
    ag_table index; /* of queries by id */
    ag_arena texts;
} ag_trec;

/* Both refuse a document that a query has twice and a file without a line. Grades must be whole numbers, as they are for trec_eval.
 * What was loaded until a failure is freed by ag_trec_free. */
ag_status ag_trec_load_qrels(ag_trec *qrels, const char *path, ag_error *err);
ag_status ag_trec_load_run(ag_trec *run, const char *path, ag_error *err);
void ag_trec_free(ag_trec *trec);

/* NULL when the file lacks the query. */
const ag_trec_query *ag_trec_find(const ag_trec *trec, const char *query);

#endif
