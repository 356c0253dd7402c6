/* generate.h: sampling continuations of many prompts at once.
 *
 * Prompts that begin alike are computed once; all live samples advance together; finished ones leave the batch. A draw is a
 * function of (seed, the prompt's stream, sample, position), never of what else is in the batch.
 */
#ifndef AG_MODEL_GENERATE_H
#define AG_MODEL_GENERATE_H

#include "model/session.h"

typedef struct ag_generate_prompt {
    const int32_t *tokens;
    int32_t count;
    int32_t samples; /* continuations wanted */
    uint64_t stream; /* names the random stream: a hash of step, prompt id, draw and hint level */
} ag_generate_prompt;

/* Which tokens a sample may take. Called with (prompt, sample): allowed sets the bits of allowed ids (all arrive clear) and
 * returns their number; advance is told of every token taken, forced ones too. NULL functions: no constraint. */
typedef struct ag_constraint {
    void *user;
    int (*allowed)(void *user, size_t prompt, int32_t sample, uint32_t *bits);
    void (*advance)(void *user, size_t prompt, int32_t sample, int32_t id);
} ag_constraint;

typedef struct ag_generate_options {
    int32_t max_new;    /* tokens, the end included */
    int32_t end_id;     /* -1: none */
    double temperature; /* 0: greedy */
    int top_k;
    double top_p, min_p;
    uint64_t seed;
    const ag_constraint *constraint; /* NULL: none */
    ag_status (*progress)(void *user, size_t prompts_done,
                          ag_error *err); /* between batches; may be NULL; an error stops */
    void *progress_user;
} ag_generate_options;

/* One continuation. `finished`: it ends with the end token (which is counted); else it was cut at max_new. logprob[i] is the
 * log-probability of token i under mask and temperature; forced tokens have forced[i] set and log-probability 0. */
typedef struct ag_generated {
    int32_t *tokens;
    double *logprob;
    uint8_t *forced;
    int32_t count;
    bool finished;
} ag_generated;

/* *out: an array of the sum of `samples`, prompt by prompt; released with ag_generated_free. */
ag_status ag_generate(ag_session *session, const ag_generate_prompt *prompts, size_t n,
                      const ag_generate_options *options, ag_generated **out, ag_error *err);
void ag_generated_free(ag_generated *generated, size_t n);

#endif
