/* rollout.h: answers that the policy samples, with all that training and people need to know of each: the prompt as sampled and as
 * trained, token ids, their log-probabilities at sampling, the hint's level, the policy's version, and the verdict.
 *
 * A plain rollout is sampled from the prompt that is trained; a guided one from a prompt with a hint (METHOD.md section 8).
 */
#ifndef AG_TRAIN_ROLLOUT_H
#define AG_TRAIN_ROLLOUT_H

#include "base/comm.h"
#include "eval/judge.h"

/* With which prompt an answer is trained (METHOD.md section 9). */
typedef enum ag_rollout_mode {
    AG_ROLLOUT_PLAIN,   /* sampled without a hint */
    AG_ROLLOUT_HINTED,  /* sampled with a hint and trained with it */
    AG_ROLLOUT_TRANSFER /* sampled with a hint and trained without, weighed by how likely it is then */
} ag_rollout_mode;

typedef struct ag_rollout {
    size_t pair;                            /* of the pool */
    int32_t sample;                         /* number in its group */
    int32_t draw;                           /* how often this step drew the pair before */
    int level;                              /* of the hint; 0: none */
    bool reveals;                           /* the hint gives the tier away */
    int64_t version;                        /* updates that the policy had had */
    const char *hint;                       /* NULL: none */
    const int32_t *prompt, *sampled_prompt; /* as trained and as sampled (the same without a hint) */
    int32_t prompt_count, sampled_prompt_count;
    const int32_t *tokens;
    const double *logprob; /* at sampling, under mask and temperature */
    const uint8_t *forced; /* tokens that the grammar left no choice */
    int32_t count;
    bool finished; /* ends with the end token; else it was cut */
    const char *text;
    size_t text_len;
    ag_verdict verdict;
    const char *refusal; /* why it is no answer, or NULL */
    double advantage;
    bool trained; /* in this step's update */
    ag_rollout_mode mode;
    double *weight; /* TRANSFER: constant weight of each token that was chosen; NULL: 1 */
    double reliance,
        geo; /* with a hint, where it came to be looked at: mean of log p(without) - log p(with) of a token; exp of it */
} ag_rollout;

/* All rollouts of a step; the arena owns what they point to. Zeroed is empty; groups stand together. */
typedef struct ag_rollouts {
    ag_arena arena;
    ag_rollout *items;
    size_t count, cap;
    double temperature; /* of sampling */
    bool grammar;       /* sampled under it */
    const char *method; /* whose rewards these are, and what its gate left of them; written, not read */
    ag_gate gate;
    double gate_soft;
} ag_rollouts;

/* What sampling needs; all is borrowed. */
typedef struct ag_sampler {
    ag_comm *comm; /* the ranks that split the requests */
    ag_session *session;
    const ag_tokenizer *tokenizer;
    const ag_book *book;
    const ag_prompt_options *prompt;
    const ag_pair_list *pool;
    int32_t end_id;
    ag_grammar *grammar; /* NULL: as the model writes */
    double temperature;
    uint64_t seed;
    int64_t step, version;
} ag_sampler;

/* `samples` answers to one pair's prompt. */
typedef struct ag_rollout_request {
    size_t pair;
    int32_t samples, draw;
    const char *hint; /* copied; NULL: plain */
    int level;
    bool reveals;
} ag_rollout_request;

/* Samples all requests together and appends the rollouts, request by request (the verdicts are not set yet). A token is a function
 * of (seed, step, pair id, draw, level, sample, position), never of what else is sampled. */
ag_status ag_rollouts_sample(ag_rollouts *rollouts, const ag_sampler *sampler,
                             const ag_rollout_request *requests, size_t n, ag_error *err);

/* Which field of the answer each token belongs to, and whether the answer got that field right: 1 right, -1 wrong, 0 of no
 * field or without gold. The tier's tokens are 0 too: they always count. right: [count], set. Nothing is known of an answer that
 * is not well-formed (all 0). */
ag_status ag_rollout_fields(const ag_rollout *rollout, const ag_book *book, const ag_pair *pair,
                            const ag_tokenizer *tokenizer, int8_t *right, ag_error *err);

/* Writes rollouts/step-N.jsonl.gz of a run folder. */
ag_status ag_rollouts_write(const ag_rollouts *rollouts, const ag_book *book, const ag_pair_list *pool,
                            const char *run_dir, int64_t step, ag_error *err);
/* Appends the rollouts of a file, or of all files of a rollouts folder in order of their steps, whose pairs are in `pool` (without
 * verdicts; the text is decoded from the tokens). AG_ERR_INPUT names file and line. */
ag_status ag_rollouts_read(ag_rollouts *rollouts, const char *path, const ag_tokenizer *tokenizer,
                           const ag_pair_list *pool, ag_error *err);
/* How a record was sampled, by its first group. */
typedef struct ag_recording {
    double temperature;
    bool grammar;
    size_t group; /* answers */
} ag_recording;
ag_status ag_rollouts_peek(ag_recording *how, const char *path, ag_error *err);
/* Removes the files of steps after `step`: a run that is continued writes them again. */
ag_status ag_rollouts_cut(const char *run_dir, int64_t step, ag_error *err);

void ag_rollouts_free(ag_rollouts *rollouts);

#endif
