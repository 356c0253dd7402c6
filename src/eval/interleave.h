/* interleave.h: which of two rankings shoppers prefer, from the clicks on lists that mix both by team draft (Radlinski, Kurup and
 * Joachims 2008, "How does clickthrough data reflect retrieval quality?"): each result was put there by one team, and its clicks are
 * that team's. The preference is that of Chapelle, Joachims, Radlinski and Yue 2012, "Large-scale validation and analysis of
 * interleaved search evaluation".
 */
#ifndef AG_EVAL_INTERLEAVE_H
#define AG_EVAL_INTERLEAVE_H

#include "base/json.h"
#include "data/table.h"
#include "eval/metrics.h"

enum { AG_TEAM_A, AG_TEAM_B, AG_TEAMS };
enum { AG_INTERLEAVE_RANKS = 1000 }; /* the longest list */

/* What stands or falls together in a bootstrap draw: impressions of one query are no independent votes, nor are those of one user. */
typedef enum ag_interleave_by { AG_BY_QUERY, AG_BY_USER, AG_BY_SESSION, AG_BY_COUNT } ag_interleave_by;
extern const char *const ag_interleave_by_names[AG_BY_COUNT]; /* the keys of a line, too */

/* Impressions that had a click, by who got more of them. */
typedef struct ag_interleave_score {
    size_t wins[AG_TEAMS], ties;
} ag_interleave_score;

typedef struct ag_interleave_rank {
    size_t shown[AG_TEAMS], clicks[AG_TEAMS];
} ag_interleave_rank;

typedef struct ag_interleave {
    ag_arena texts;
    const char *path;
    ag_interleave_by by;
    size_t impressions, clicked; /* clicked: with at least one click */
    ag_interleave_score total;
    ag_interleave_rank ranks[AG_INTERLEAVE_RANKS]; /* ranks[0] is the first position */
    size_t depth;                                  /* of the longest list */
    size_t
        not_drafted; /* lists that no team draft makes: one team drew twice in a round while the other had results left */
    long not_drafted_line; /* the first of them */
    ag_interleave_score *groups;
    size_t group_count, group_capacity;
    ag_table group_index, ids;
} ag_interleave;

/* Reads a log, one impression a line (docs/INTERLEAVING.md), plain or gzip. A line of another form, a result or a click twice in an impression,
 * an impression's id twice, and an empty file are AG_ERR_INPUT with file:line. Safe to free in every case. */
ag_status ag_interleave_load(ag_interleave *log, const char *path, ag_interleave_by by, ag_error *err);
void ag_interleave_free(ag_interleave *log);

/* delta_AB = (wins of A + ties / 2) / (wins of both + ties) - 1/2, from -0.5 to 0.5; NAN without clicks. */
double ag_interleave_delta(const ag_interleave_score *score);
/* The same with its 95 % percentile interval over bootstrap draws of groups. draws 0 or one group: no interval. */
ag_status ag_interleave_estimate(ag_estimate *estimate, const ag_interleave *log, int draws, uint64_t seed,
                                 ag_error *err);

/* Two-sided exact sign test (Dixon and Mood 1946): how likely a split of a + b fair coins at least as uneven as (a, b) is. NAN for
 * none. */
double ag_sign_test(size_t a, size_t b);
/* 95 % interval of a share of k in n >= 1 independent trials (Wilson 1927). */
void ag_share_interval(size_t k, size_t n, double *low, double *high);

/* Below it the share of first positions that A drew is no fair coin's. */
#define AG_INTERLEAVE_UNFAIR 0.001

/* {"log", "names": {"A", "B"}, "impressions", "clicked", "clicks": {"A", "B"}, "wins": {"A", "B"}, "ties", "by",
 *  "delta": {"value", "low", "high", "detectable", "records", "groups"}, "draws", "seed", "sign_test": {"decided", "p"},
 *  "first": {"A", "B", "share", "low", "high", "p", "fair"}, "not_team_draft": {"impressions", "line"},
 *  "ranks": [{"rank", "shown": {"A", "B"}, "clicks": {"A", "B"}}...]}: ranks up to the longest list. New reference. */
ag_status ag_interleave_json(json_t **json, const ag_interleave *log, const char *const names[AG_TEAMS],
                             int draws, uint64_t seed, ag_error *err);
/* The tables for a terminal, from that JSON. */
ag_status ag_interleave_table(ag_str *out, const json_t *json, ag_error *err);

#endif
