/* import.h: data sets of the field as pairs. A table of importers; each reads files of one format and
 * emits pairs, in the order of the files, checked against the book.
 *
 * Formats whose rows hold query and item stream in constant memory. Formats that only name products
 * (judgments, qrels, WANDS as published), and rows where a catalogue is given, are read twice: first for the ids,
 * then, with those items of the catalogue in memory, for the pairs.
 */
#ifndef AG_DATA_IMPORT_H
#define AG_DATA_IMPORT_H

#include "data/labels.h"
#include "data/pair.h"
#include "data/record.h"

typedef struct ag_import_stats {
    long read; /* judgments or rows seen */
    long written;
    long filtered;     /* by --where */
    long left_out;     /* by a label mapped to - */
    long no_title;     /* the item has no title */
    long no_product;   /* not in the catalogue */
    long no_query;     /* not in the queries */
    char example[128]; /* an id of no_product or no_query */
} ag_import_stats;

typedef struct ag_import {
    const ag_book *book;
    ag_aggregate aggregate;
    const char *const *files;
    int file_count;
    const char *catalogue, *queries; /* NULL: none */
    const char *labels;              /* NULL: the format's own */
    const char *const *maps;         /* "column=field" */
    int map_count;
    const char *const *where; /* "column=value": all must hold */
    int where_count;
    char delimiter; /* 0: by the header */
    bool keep_html;
    /* Takes a pair (not its ownership). */
    ag_status (*emit)(void *context, const ag_pair *pair, ag_error *err);
    void *context;
    ag_import_stats stats;
} ag_import;

typedef struct ag_importer {
    const char *name, *summary, *files;
    ag_status (*run)(ag_import *import, const struct ag_importer *self, ag_error *err);
    const ag_alias *columns; /* of formats that are rows */
    unsigned flags;          /* AG_RECORD_* */
    const ag_label *labels;  /* NULL: tiers of the book */
    bool numbers;            /* the labels are numbers */
    bool table;              /* a file whose name does not say is CSV, not JSONL */
} ag_importer;

/* Ends with a name of NULL. */
extern const ag_importer ag_importers[];

/* Imports all files. AG_ERR_USAGE for an unknown format, with the nearest. */
ag_status ag_import_run(ag_import *import, const char *format, ag_error *err);

/* --- for the importers themselves
 * --------------------------------------------------------------------------- */

/* Rows (CSV, TSV, JSONL by the file's name) through self->columns. With a catalogue each row names its product (item.id): what the row
 * says of it stays, the catalogue adds the rest, and rows whose product it lacks are left out and counted. */
ag_status ag_import_rows(ag_import *import, const ag_importer *self, ag_error *err);
ag_status ag_import_esci(ag_import *import, const ag_importer *self, ag_error *err);
ag_status ag_import_judgments(ag_import *import, const ag_importer *self, ag_error *err);
ag_status ag_import_wands(ag_import *import, const ag_importer *self, ag_error *err);
ag_status ag_import_qrels(ag_import *import, const ag_importer *self, ag_error *err);
ag_status ag_import_quepid(ag_import *import, const ag_importer *self, ag_error *err);

/* Counts what is not there and keeps the first of its kind as the example. */
void ag_import_miss(ag_import *import, long *counter, const char *kind, const char *id);

/* Checks and emits one pair's JSON as ag_record_apply made it. */
ag_status ag_import_emit(ag_import *import, json_t *json, ag_record_outcome outcome, const char *path,
                         long line, ag_error *err);

/* One judgment that names its product, and its query by text or by id. Texts live until the visit returns. */
typedef struct ag_judgment {
    const char *id, *query, *query_id, *doc; /* id may be NULL; one of query and query_id is set */
    const json_t *label;
    const char *path;
    long line;
} ag_judgment;
typedef ag_status (*ag_judgment_visit)(void *context, const ag_judgment *judgment, ag_error *err);
/* Calls visit for every judgment of a file. */
typedef ag_status (*ag_judgment_scan)(const ag_import *import, const char *path, ag_judgment_visit visit,
                                      void *context, ag_error *err);
/* The judgments of a table: the columns of the query (or its id), the product and the label. */
typedef struct ag_judgment_columns {
    const char *query;
    bool by_id;
    const char *doc, *label;
} ag_judgment_columns;
ag_status ag_import_scan_table(const ag_import *import, const char *path, const ag_judgment_columns *columns,
                               ag_judgment_visit visit, void *context, ag_error *err);
/* For formats whose grades mean something else in every set: AG_ERR_USAGE without --labels. */
ag_status ag_import_need_labels(const ag_import *import, const char *what, ag_error *err);
/* Joins judgments with the catalogue and, where they have only ids, with the queries. */
ag_status ag_import_join(ag_import *import, const ag_importer *self, ag_judgment_scan scan,
                         const char *catalogue, const char *queries, ag_error *err);

/* Items of a catalogue by id: JSONL (agrl's items, Vespa's {"put", "fields"}, Icecat, BEIR) or CSV/TSV.
 * Only wanted ids are kept, as text. */
typedef struct ag_catalogue ag_catalogue;
ag_status ag_catalogue_create(ag_catalogue **catalogue, ag_error *err);
ag_status ag_catalogue_want(ag_catalogue *catalogue, const char *id, ag_error *err);
ag_status ag_catalogue_load(ag_catalogue *catalogue, const char *path, char delimiter, bool keep_html,
                            ag_error *err);
/* *item is NULL when there is none. New reference. */
ag_status ag_catalogue_get(const ag_catalogue *catalogue, const char *id, json_t **item, ag_error *err);
void ag_catalogue_free(ag_catalogue *catalogue);

/* Queries by id: CSV/TSV with columns query_id and query (or qid, id; text), two columns without a header,
 * or JSONL. Other columns of a header pass through to the pair. */
typedef struct ag_queries ag_queries;
ag_status ag_queries_load(ag_queries **queries, const char *path, ag_error *err);
/* {"query": ..., ...}; *query is NULL when there is none. New reference. */
ag_status ag_queries_get(const ag_queries *queries, const char *id, json_t **query, ag_error *err);
void ag_queries_free(ag_queries *queries);

#endif
