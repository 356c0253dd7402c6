/* session.h: inference over a tree of kept keys and values.
 *
 * A session holds one store of slots. A node is a run of tokens below a parent node; a sample is a node with room to grow, a
 * kept prefix (a rulebook's text) a node that outlives others. All nodes given to one call advance together: shared ancestors
 * are read once for all rows below them. No gradients. Not thread safe.
 */
#ifndef AG_MODEL_SESSION_H
#define AG_MODEL_SESSION_H

#include "model/model.h"

typedef struct ag_session ag_session;

/* slots: tokens that may be kept at once; max_rows: tokens computed at once (larger calls are cut). */
ag_status ag_session_create(ag_session **session, ag_model *model, int32_t slots, int32_t max_rows,
                            ag_error *err);
void ag_session_free(ag_session *session);
int ag_session_vocab(const ag_session *session);
size_t ag_session_bytes(const ag_config *config, int32_t slots, ag_dtype kept_type);

/* A node with room for `capacity` tokens below `parent` (-1: a root). Fails with AG_ERR_MEMORY when the store is full. */
ag_status ag_session_node(ag_session *session, int32_t parent, int32_t capacity, int32_t *node,
                          ag_error *err);
/* Everything created after mark() is gone after reset(mark): nodes and slots are a stack. */
typedef struct ag_session_mark {
    int32_t nodes, slots;
} ag_session_mark;
ag_session_mark ag_session_here(const ag_session *session);
void ag_session_reset(ag_session *session, ag_session_mark mark);
int32_t ag_session_free_slots(const ag_session *session);
int32_t ag_session_length(const ag_session *session,
                          int32_t node); /* tokens from the root to the end of the node */

/* Computes tokens as a root that stays for the life of the session (a rulebook's text): ag_session_score and ag_generate build on
 * it whenever all that they are given begins with it. Only while nothing else is in the store; takes the place of what was
 * kept before; n = 0 keeps nothing. */
ag_status ag_session_keep(ag_session *session, const int32_t *tokens, int32_t n, ag_error *err);
/* A node whose path from the root is exactly tokens[0..n), computed but for what is kept; -1 for n = 0. */
ag_status ag_session_root(ag_session *session, const int32_t *tokens, int32_t n, int32_t *node,
                          ag_error *err);
/* Tokens computed so far, for counters. */
uint64_t ag_session_computed(const ag_session *session);

/* Appends tokens to nodes and computes them. Nodes must come in depth-first order (parents before children, siblings' subtrees
 * one after the other); several runs of one node follow each other. After an error reset to a mark. want: 0 nothing, 1 the last row, 2 every row. Wanted rows are kept, normed, for the next
 * logprob or sample call, in order; *rows (may be NULL) their number. */
typedef struct ag_run {
    int32_t node;
    const int32_t *tokens;
    int32_t count;
    int want;
} ag_run;
ag_status ag_session_run(ag_session *session, const ag_run *runs, int32_t n, int32_t *rows, ag_error *err);

/* Log-probabilities from the kept rows: targets of kept row i are token[first[i] .. first[i+1]). */
ag_status ag_session_logprob(ag_session *session, double temperature, const int32_t *first,
                             const int32_t *token, const ag_masks *masks, double *logprob, double *entropy,
                             ag_error *err);
/* One token a kept row. temperature 0 is greedy; uniform: one number in [0, 1) a row. */
typedef struct ag_draw {
    double temperature;
    int top_k;
    double top_p, min_p;
    const double *uniform;
    const ag_masks *masks; /* NULL: none */
} ag_draw;
ag_status ag_session_sample(ag_session *session, const ag_draw *draw, int32_t *id, double *logprob,
                            ag_error *err);

/* Computes a forest below `root` (-1: nothing) and returns the log-probability of each of its targets, in its order. The forest's
 * rows are kept only during the call. Forests larger than the free slots are an error. */
ag_status ag_session_forest(ag_session *session, int32_t root, const ag_forest *forest, double temperature,
                            double *logprob, ag_error *err);

/* Log-probabilities of many sequences' wanted tokens, whatever their number: cuts them into forests that fit, keeps their common
 * beginning in the store while it lasts. results[s] receives n_s values for sequence s: one a wanted token, in order. */
typedef struct ag_query_sequence {
    const int32_t *tokens;
    const uint8_t *wanted; /* [count]; token 0 cannot be wanted */
    int32_t count;
    double *logprob; /* one a wanted token */
} ag_query_sequence;
ag_status ag_session_score(ag_session *session, const ag_query_sequence *sequences, size_t n,
                           double temperature, ag_error *err);

#endif
