/* export.h: judgements as the lists that search teams' tools read. A table of formats, one small function each; what a format
 * cannot hold is refused before anything is written, so that every list reads back as the judgements that went in.
 */
#ifndef AG_DATA_EXPORT_H
#define AG_DATA_EXPORT_H

#include "data/pair.h"

typedef struct ag_export_row {
    const ag_pair *pair;
    double value; /* the grade, or the score of a run; NAN: nothing to list, but its query takes a number */
    /* set by ag_export_arrange: */
    const char *query_id; /* the pair's own, or that of another pair with its text; NULL: none */
    size_t query;         /* number in the list's queries */
    size_t place;         /* among the rows as they were given */
} ag_export_row;

typedef struct ag_export_query {
    const char *id, *text;
} ag_export_query;

/* A list to write. The caller sets what stands first and zeroes the rest. */
typedef struct ag_export {
    ag_export_row *rows;
    size_t count;
    const char *tag;                /* of a run */
    const char *name, *description; /* where a format holds them */
    ag_export_query *queries;       /* in the order of their first row */
    size_t query_count, query_cap;
    size_t listed; /* queries that have something to list */
    ag_arena arena;
} ag_export;

enum {
    AG_EXPORT_TREC = 1, /* columns between blanks, queries by id: their texts stand in a file of topics */
    AG_EXPORT_RUN = 2,  /* a ranking by score; else grades */
    AG_EXPORT_WHOLE = 4 /* grades are whole numbers */
};

typedef struct ag_export_format {
    const char *name, *summary;
    unsigned flags;
    void (*write)(const ag_export *list, ag_out *out, ag_str *line); /* line: room to work in */
} ag_export_format;

/* Ends with a name of NULL. */
extern const ag_export_format ag_export_formats[];
/* AG_ERR_USAGE for an unknown name, with the nearest. */
ag_status ag_export_find(const ag_export_format **format, const char *name, ag_error *err);

/* The grade of a tier: its gain, or its position from the worst (0) up. */
double ag_export_grade(const ag_book *book, int tier, bool gain);

/* Numbers the queries, drops the rows with nothing to list and brings the others into their order: by query as they first appear,
 * in a run by falling score and item id. A query is its text; where queries have ids, its pairs' own "query_id" if they have one, else q1, q2, ...
 * AG_ERR_INPUT for an item without id, a query and item that stand together twice, and ids that the format cannot hold. */
ag_status ag_export_arrange(ag_export *list, const ag_export_format *format, ag_error *err);
/* The arranged list; the queries that it lists as "id, tab, text". */
ag_status ag_export_write(const ag_export *list, const ag_export_format *format, ag_out *out, ag_error *err);
void ag_export_topics(const ag_export *list, ag_out *out);
void ag_export_free(ag_export *list);

/* Is it one word for every reader of TREC files: not empty, no blank (of Unicode) and no control character? */
bool ag_export_is_word(const char *text);

#endif
