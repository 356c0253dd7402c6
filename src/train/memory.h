/* memory.h: what a run remembers of each prompt of the pool while it samples (METHOD.md section 8): how often it succeeded, the
 * level of hint that it needed, and whether anything ever helped. Part of a checkpoint's state.
 */
#ifndef AG_TRAIN_MEMORY_H
#define AG_TRAIN_MEMORY_H

#include "base/rng.h"
#include "data/pair.h"

typedef struct ag_prompt_memory {
    double success;   /* moving mean of the share of plain answers that succeeded */
    int64_t visits;   /* groups sampled */
    int64_t unsolved; /* visits at which no level of hint led to a success, since the last success */
    int level;        /* of the hint to begin with, from 1 */
    char *
        answer; /* the most frequent well-formed failure when it was last seen unsolved or disputed, or NULL; owned */
    double *
        said; /* [tiers] moving means of the shares of plain answers that say a tier and hold the gate; the memory's */
} ag_prompt_memory;

typedef struct ag_memory {
    ag_prompt_memory *items; /* [pool] */
    size_t count;
    int tiers;
    double *said; /* of all items */
} ag_memory;

ag_status ag_memory_create(ag_memory *memory, size_t pool, int tiers, ag_error *err);
void ag_memory_free(ag_memory *memory);
/* A group of a prompt was sampled: `success` of its plain answers, and the share of them that say each tier and hold the gate (said: [tiers]).
 * The means start at 0; with success above 0.35 the prompt needs one level less the next time. A success ends an unsolved streak. */
void ag_memory_visit(ag_memory *memory, size_t prompt, double success, const double *said);

/* Does the model, left alone, keep to another tier than the gold one? The tier that more than half of the plain answers say and derive, by
 * the moving means without their start at 0, where gold (or, of raters' shares, most of them) says another; *agree: that share. -1: no. */
int ag_memory_dispute(const ag_memory *memory, size_t prompt, const ag_gold *gold, double *agree);

/* How open it is whether a prompt's next answer succeeds: p (1 - p), p the moving mean without its start at 0; a prompt that was
 * not seen yet is as open as can be. */
double ag_memory_uncertainty(const ag_prompt_memory *prompt);
/* Draws a prompt (METHOD.md section 10): in a share `uncertain` of the draws by that measure; in a share `unsolved` one of those that
 * were seen and never succeeded without a hint, each as likely. False in all others, or where none is of the kind drawn: *prompt is
 * as it was, and the caller draws from the whole pool. */
bool ag_memory_draw(const ag_memory *memory, double uncertain, double unsolved, ag_rng *rng, size_t *prompt);

/* state/replay.json: the prompts that were visited, by their place in the pool. */
ag_status ag_memory_save(const ag_memory *memory, const ag_pair_list *pool, const char *dir, ag_error *err);
/* Without a file nothing is remembered; a pair that stands elsewhere in the pool is AG_ERR_INPUT. */
ag_status ag_memory_load(ag_memory *memory, const ag_pair_list *pool, const char *dir, ag_error *err);

/* unsolved.jsonl of a run folder: the prompts that no level of hint solved when they were last seen, the most often failed
 * first, then those whose gold tier the model disputes, the most agreed first: the pair with its gold, and what the model says in its
 * place. For people who can check the labels. */
ag_status ag_memory_write_unsolved(const ag_memory *memory, const ag_book *book, const ag_pair_list *pool,
                                   const char *run_dir, ag_error *err);

#endif
