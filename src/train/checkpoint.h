/* checkpoint.h: a run's checkpoints: checkpoints/step-N/, a Hugging Face folder plus state/.
 *
 * A checkpoint is written aside, synced and renamed, so a kill at any instant leaves the previous one whole. `last` and `best` are
 * links to step folders. The last two and the best are kept.
 */
#ifndef AG_TRAIN_CHECKPOINT_H
#define AG_TRAIN_CHECKPOINT_H

#include "eval/judge.h"
#include "train/memory.h"
#include "train/optimizer.h"
#include "train/runlog.h"

/* Everything that a run continues from, beside weights and moments. */
typedef struct ag_train_state {
    int64_t step; /* updates made in the whole run */
    int stage;
    int64_t stage_step; /* in the stage */
    int64_t optimizer_step;
    int64_t best_step; /* -1: none yet */
    double best_value, best_tie;
    int64_t tokens, unshared;   /* computed; and what they would be without sharing */
    int64_t pool_position;      /* prompts drawn from the pool */
    int64_t sampled;            /* tokens sampled, guided and refilled ones too */
    int64_t spent, stage_spent; /* tokens sampled and trained: in the run, and in the stage */
    ag_runlog_place logs;
    int threads, ranks;
    char settings[65]; /* digest of the settings that results depend on */
} ag_train_state;

/* What goes into the model folder. */
typedef struct ag_checkpoint_parts {
    const ag_model *model;
    const ag_optimizer *optimizer;
    const ag_tokenizer *tokenizer;
    const ag_judge_format *format;
    const ag_book *book;
    const ag_lexicon *lexicon;
    const char *base_model;  /* of LoRA adapters */
    const ag_memory *memory; /* of methods that sample, or NULL */
    const ag_pair_list *pool;
    ag_weights_type type; /* of the model file's weights */
} ag_checkpoint_parts;

ag_status ag_checkpoint_save(const char *run_dir, const ag_checkpoint_parts *parts,
                             const ag_train_state *state, ag_error *err);
/* The newest whole checkpoint of a run; *step -1 when there is none. Leftovers of a kill are removed. */
ag_status ag_checkpoint_newest(const char *run_dir, int64_t *step, ag_error *err);
ag_status ag_checkpoint_state(const char *run_dir, int64_t step, ag_train_state *state, ag_error *err);
/* checkpoints/step-N of a run; ag_free. */
char *ag_checkpoint_dir(const char *run_dir, int64_t step);

#endif
