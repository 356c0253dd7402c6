/* ranking.h: measures of a ranking against judgments, by the names of the Python package ir_measures and with the numbers that it
 * gives by default (it calls trec_eval for most, the script of MS MARCO for RR@k, gdeval for ERR@k).
 *
 * docs/METRICS.md defines each. A measure is a row of one table and one small function.
 */
#ifndef AG_EVAL_RANKING_H
#define AG_EVAL_RANKING_H

#include "base/json.h"
#include "eval/trec.h"

/* A document that was returned. */
typedef struct ag_ranked {
    const char *id;
    double score, grade; /* grade: 0 where it was not judged or below 0, which is not relevant either */
    bool judged;
} ag_ranked;

/* What was returned for one query, best first, and the grades of all that was judged for it, highest first. */
typedef struct ag_ranking {
    const ag_ranked *docs;
    size_t count;
    const double *grades;
    size_t judged;
} ag_ranking;

typedef struct ag_rank_measure ag_rank_measure;

typedef enum ag_rank_cut { AG_CUT_NONE, AG_CUT_MAY, AG_CUT_MUST } ag_rank_cut;

/* A row of the table. A name may have two rows, one with @k and one without. */
typedef struct ag_rank_kind {
    const char *name, *alias, *help;          /* alias may be NULL */
    ag_rank_cut cut;                          /* does it take @k? */
    bool rel;                                 /* does it take (rel=N)? */
    double max_grade;                         /* higher grades have no meaning for it; 0: none is too high */
    int (*order)(const void *, const void *); /* of ag_ranked: what comes first, and how ties are broken */
    double (*of)(const ag_ranking *ranking, const ag_rank_measure *measure); /* never NAN */
} ag_rank_kind;
extern const ag_rank_kind ag_rank_kinds[]; /* ends with name NULL */

struct ag_rank_measure {
    const ag_rank_kind *kind;
    size_t cut;    /* ranks that count; SIZE_MAX without @k */
    double rel;    /* the lowest grade that is relevant, at least 1 */
    char name[64]; /* as ir_measures writes it: "P(rel=2)@10" */
};

/* A list such as "nDCG@10, P(rel=2)@10 AP"; a measure that is named twice is taken once. *measures: ag_free. AG_ERR_USAGE for a
 * name that is none, and for a parameter that is missing or too many. */
ag_status ag_rank_measures_parse(ag_rank_measure **measures, size_t *count, const char *list, ag_error *err);

/* A line for each row of the table: "P[(rel=N)]@k: what it is". */
void ag_rank_measures_help(ag_str *out);

/* A value for each query of the qrels. */
typedef struct ag_rank_values {
    size_t queries;
    double *values;          /* [measure][query]; 0 for a query that the run lacks. ag_free */
    size_t missing;          /* queries that the run lacks */
    size_t unjudged;         /* queries of the run that the qrels lack: left out */
    size_t without_relevant; /* queries without a grade of 1 or more: 0 in every measure but Judged */
} ag_rank_values;
/* A run none of whose queries are in the qrels is AG_ERR_INPUT: the two do not belong together. */
ag_status ag_rank_evaluate(ag_rank_values *values, const ag_trec *qrels, const ag_trec *run,
                           const ag_rank_measure *measures, size_t count, ag_error *err);

/* Everything `agrl eval --run` writes: means with bootstrap intervals over queries, counts, and the values of each query. New
 * reference. */
ag_status ag_rank_json(json_t **json, const ag_trec *qrels, const ag_trec *run,
                       const ag_rank_measure *measures, size_t count, int draws, uint64_t seed,
                       ag_error *err);
/* The means as a table for a terminal. */
ag_status ag_rank_table(ag_str *out, const json_t *json, ag_error *err);

#endif
