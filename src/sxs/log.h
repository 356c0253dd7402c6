/* log.h: what a side-by-side study is made from: a log of queries with their traffic, two rankings, and checks.
 *
 *   queries   JSONL: {"query": "red boots", "id": "q1", "traffic": 120, "stratum": "head", "type": "negation"}; all but `query` may be absent:
 *             id is then the text, traffic 1. `type` may be a list. Where no line has a stratum, queries are cut by traffic into head, torso
 *             and tail of a third of the traffic each (one stratum where all have the same traffic).
 *   rankings  a TREC run (best score first; equal scores as they stand in the file), or JSONL: {"query": ID, "list": ["p1", {"id": "p2"}]}.
 *   checks    JSONL: {"query": "red boots", "better": ["p1", ...], "worse": ["p9", ...]}.
 */
#ifndef AG_SXS_LOG_H
#define AG_SXS_LOG_H

#include "base/mem.h"
#include "data/catalogue.h"
#include "data/table.h"
#include "sxs/sxs.h"

/* Ids of a list, best first. */
typedef struct ag_sxs_list {
    const char **ids;
    int count;
} ag_sxs_list;

typedef struct ag_sxs_log_query {
    const char *id, *text, *stratum;
    const char **types;
    int type_count;
    double traffic;
    ag_sxs_list lists[AG_SXS_SYSTEMS]; /* top k; empty where a ranking lacks the query */
} ag_sxs_log_query;

typedef struct ag_sxs_check_query {
    const char *text;
    ag_sxs_list lists[AG_SXS_SYSTEMS]; /* the better one stands for the new system */
} ag_sxs_check_query;

typedef struct ag_sxs_log {
    ag_arena texts;
    int k;
    ag_sxs_log_query *queries;
    size_t count, capacity;
    ag_table ids;
    ag_sxs_unit *units; /* of each query */
    const char *strata[AG_SXS_STRATA], *types[64];
    size_t strata_count, type_count;
    size_t missing[AG_SXS_SYSTEMS]; /* queries that a ranking lacks */
    size_t unknown[AG_SXS_SYSTEMS]; /* queries of a ranking that the log lacks: not in the study */
    ag_sxs_check_query *checks;
    size_t check_count, check_capacity;
    ag_table shown; /* ids of items, by ag_sxs_log_want, in order of `wanted` */
    const char **wanted;
    char **items,
        **views; /* JSON of each wanted item, whole and what judges see; NULL: not in the catalogue */
    size_t wanted_count, wanted_capacity;
} ag_sxs_log;

/* Reads queries and both rankings; AG_ERR_INPUT names file and line. k: items compared, 1 to AG_SXS_K_MOST. Freed also after a
 * failure. */
ag_status ag_sxs_log_load(ag_sxs_log *log, const char *queries, const char *const runs[AG_SXS_SYSTEMS], int k,
                          ag_error *err);
ag_status ag_sxs_log_checks(ag_sxs_log *log, const char *path, ag_error *err);
void ag_sxs_log_free(ag_sxs_log *log);

/* Notes that these items are shown. */
ag_status ag_sxs_log_want(ag_sxs_log *log, const ag_sxs_list *list, ag_error *err);
/* Takes title, brand, price, currency, stock and image of wanted items from a catalogue. An item that is wanted and not there is
 * AG_ERR_INPUT: judges cannot rate an id. */
ag_status ag_sxs_log_items(ag_sxs_log *log, const ag_catalogue_file *catalogue, ag_error *err);

#endif
