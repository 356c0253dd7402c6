/* sxs.h: a blinded side-by-side study of two rankings: what was judged, and what follows from it.
 *
 * A task shows a judge both lists of one query, left and right by a coin. The judge rates each item good or not, then says which side is
 * better, in five points, where "the same" is either "both good" or "both bad". docs/SXS.md explains how studies are made and read.
 *
 * Estimates are means over traffic. A judged query stands for weight_q = t_q / pi_q of it (sxs/design.h), its judges share that
 * evenly, and the weights of a cell are scaled so that they add up to the cell's known traffic (Hajek 1971; Deville and Saerndal 1992),
 * which also makes up for queries that nobody answered, as if they were like the others of their cell. Queries with equal lists count as
 * "the same" with all their traffic.
 *
 * Intervals are 95 % percentile intervals of a bootstrap in two stages, rescaled so that its variance is the textbook's for two-stage
 * samples, (1 - f) s_b^2 / n + f s_w^2 / (n J) (Cochran 1977, chapter 10; Rao and Wu 1988; Rao, Wu and Yue 1992). In each cell n - 1 of its n
 * queries are drawn with replacement, query q r_q times, and its weight is multiplied by 1 + sqrt(1 - f) (r_q n / (n - 1) - 1), f being
 * the cell's sampling fraction. Then J judges are drawn for each query: sqrt(f) times the mean of J residuals is added to its mean. A
 * residual is what a judge's answer differs by from the mean of its query, times sqrt(J / (J - 1)); they are drawn from all queries of
 * the cell, for two judges of one query tell little of how far judges differ (Davison and Hinkley 1997, section 3.8). The first stage
 * already holds the judges' differences as far as queries were left to chance; the second adds the rest, which is all of it where every
 * query of the cell was taken. Where some query of a cell has one judge only, or is not judged yet, f counts as 0. A cell with one judged
 * query keeps it in every draw and is counted in `lonely_cells`.
 */
#ifndef AG_SXS_SXS_H
#define AG_SXS_SXS_H

#include "base/json.h"
#include "eval/metrics.h"
#include "sxs/design.h"

enum { AG_SXS_OLD, AG_SXS_NEW, AG_SXS_SYSTEMS };
enum { AG_SXS_K_MOST = 50, AG_SXS_TEXT_MOST = 2000 }; /* items of a list; characters of a comment */

/* Why a judge was shown a query. Judges cannot tell. */
typedef enum ag_sxs_kind { AG_SXS_MAIN, AG_SXS_REPEAT, AG_SXS_GOLD, AG_SXS_KINDS } ag_sxs_kind;
extern const char *const ag_sxs_kind_names[AG_SXS_KINDS];

/* How "the same" was meant. */
typedef enum ag_sxs_both { AG_SXS_NEITHER, AG_SXS_BOTH_GOOD, AG_SXS_BOTH_BAD, AG_SXS_BOTHS } ag_sxs_both;
extern const char *const ag_sxs_both_names[AG_SXS_BOTHS]; /* "", "good", "bad" */

typedef struct ag_sxs_query {
    const char *id, *text, *stratum;
    const char *const *types;
    int type_count;
    double traffic, pi;
    uint32_t cell; /* of the design */
    bool gold;     /* a check with a known answer: the better list is the new one's; in no estimate */
} ag_sxs_query;

typedef struct ag_sxs_judge {
    const char *name;
    bool model;
} ag_sxs_judge;

/* One item rated in an answer. */
typedef struct ag_sxs_rating {
    const char *item;
    bool good;
} ag_sxs_rating;

typedef struct ag_sxs_answer {
    uint32_t query, judge; /* numbers in the study */
    ag_sxs_kind kind;
    bool new_left, skipped;
    int preference; /* as shown: -2 left much better .. 2 right much better */
    ag_sxs_both both;
    int good[AG_SXS_SYSTEMS], shown[AG_SXS_SYSTEMS]; /* items in each list */
    const ag_sxs_rating *ratings;                    /* each item once, whichever list has it */
    int rating_count;
    const char *comment; /* NULL: none */
} ag_sxs_answer;

/* Traffic of queries with equal lists, in all and by type. */
typedef struct ag_sxs_same {
    const char *type;      /* NULL: all */
    double traffic, total; /* of the same; of all queries */
    size_t queries;
} ag_sxs_same;

/* A study as it lies in its file. All text belongs to `arena`. */
typedef struct ag_sxs_study {
    ag_arena arena;
    const char *path, *names[AG_SXS_SYSTEMS];
    int k, good_at_least, judges_wanted; /* top k; a query is good with so many good items; judges a query */
    double gold_cutoff;                  /* share of checks that a judge must pass */
    int gold_least;                      /* checks before the cut-off counts */
    uint64_t seed;
    double precision, sd; /* what n was chosen for; 0: n was given */
    size_t log_queries;   /* in the log */
    ag_sxs_cell *cells;
    size_t cell_count;
    ag_sxs_query *queries;
    size_t query_count; /* drawn ones, then checks */
    ag_sxs_same *same;
    size_t same_count; /* the first is for all */
    ag_sxs_judge *judges;
    size_t judge_count;
    ag_sxs_answer *answers;
    size_t answer_count;
} ag_sxs_study;
void ag_sxs_study_free(ag_sxs_study *study);

/* The answer in the new system's favour: -2 .. 2. */
int ag_sxs_score(const ag_sxs_answer *answer);

/* A judge's checks; `out`: below the cut-off after gold_least or more. A check is passed when the better list was preferred. */
typedef struct ag_sxs_checked {
    size_t answered, skipped, repeats, gold, passed;
    bool out;
} ag_sxs_checked;
/* checked: one for each judge. */
void ag_sxs_check(ag_sxs_checked *checked, const ag_sxs_study *study);

/* Everything that `agrl sxs report` writes (docs/SXS.md lists it). `worst`: queries listed. New reference. */
ag_status ag_sxs_json(json_t **json, const ag_sxs_study *study, int draws, uint64_t seed, size_t worst,
                      ag_error *err);
/* The tables for a terminal, from that JSON. */
ag_status ag_sxs_table(ag_str *out, const json_t *json, ag_error *err);

#endif
