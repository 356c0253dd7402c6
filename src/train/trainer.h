/* trainer.h: the state of a run while it goes. Private to train/: open.c opens it, run.c goes through its stages, sft.c and policy.c compute
 * its steps, validate.c measures it. */
#ifndef AG_TRAIN_TRAINER_H
#define AG_TRAIN_TRAINER_H

#include "eval/judge.h"
#include "model/open.h"
#include "train/checkpoint.h"
#include "train/dataset.h"
#include "train/memory.h"
#include "train/rollout.h"
#include "train/run.h"

/* An endless stream of shuffled indices: every pass over what it draws from has its own order. Zeroed is unused. */
typedef struct ag_stream {
    uint32_t *order; /* of the epoch at hand */
    int64_t epoch;   /* -1: none */
} ag_stream;
typedef enum ag_stream_kind { AG_STREAM_TRAIN, AG_STREAM_POOL } ag_stream_kind; /* names the random numbers */

typedef struct ag_trainer {
    const ag_settings *settings;
    const ag_train_hooks *hooks;
    const ag_train_tried
        *known; /* of a run that is only planned: the training set is not read, these are its measures */
    ag_comm *comm;
    ag_device *device;
    ag_opened opened; /* model and tokenizer */
    ag_model *model;
    ag_optimizer optimizer;
    ag_pass *pass;
    int32_t max_rows, max_targets;
    ag_book *book;
    ag_facts *facts;
    ag_lexicon *lexicon;
    ag_judge_format format;
    int32_t end_id;
    ag_pair_list train_pairs, valid_pairs;
    ag_dataset train, valid;
    ag_pair_list pool_pairs;
    ag_pair_list *
        pool; /* what methods that sample draw prompts from: pool_pairs or train_pairs; NULL: no such stage */
    ag_dataset pool_set;              /* gold of the pool, for methods that learn from it */
    ag_memory memory;                 /* of the pool's prompts, where a stage samples */
    int32_t pool_prompt, pool_answer; /* longest prompt, the longest hint too; longest answer */
    int32_t pool_longest;             /* prompt and answer, the longest hint too */
    ag_grammar *grammar;              /* of answers; NULL: no stage samples under it */
    void *reference; /* device real [train_count]: weights that the stage began with; NULL: not needed */
    double verdict_weight[AG_MAX_CRITERIA][AG_MAX_VERDICTS]; /* class balance of the pool */
    ag_rollouts recorded;    /* of a stage that trains on rollouts of a file */
    size_t *recorded_groups; /* where each group of plain answers begins in them */
    size_t recorded_count;
    ag_judge *judge;
    ag_runlog *log;
    ag_train_state state;
    ag_forest_builder builder;
    ag_stream train_stream, pool_stream; /* of examples and of prompts */
    double rate;                         /* unique tokens a second of the last step */
} ag_trainer;

/* What one step came to. */
typedef struct ag_step_result {
    double loss, imitation, prompt_loss, gold_tokens, grad_norm, lr;
    int64_t tokens, unshared; /* rows computed; tokens without sharing */
    int64_t sampled, trained; /* answer tokens: what a budget counts */
    json_t *log;              /* more for the log, or NULL; owned */
    /* of methods that sample: means, the shares of groups without a signal, of guided answers and of cut ones */
    double reward, accuracy, gate, dead, guided, truncated;
} ag_step_result;

/* --- opening and closing (open.c) ------------------------------------------------------------------------------- */

/* A line for whoever started the run. */
void ag_trainer_say(const ag_trainer *t, const char *format, ...) AG_PRINTF(2, 3);
/* Rules, data, device, model, encoded pairs, memory plan, engine; `tried`, of a run that is only planned, is read and set (run.h), or NULL.
 * Whatever comes of it, ag_trainer_close. */
ag_status ag_trainer_open(ag_trainer *t, ag_train_tried *tried, ag_error *err);
void ag_trainer_close(ag_trainer *t);
/* Does any stage replay? */
bool ag_trainer_replays(const ag_trainer *t);

/* --- what all methods share (step.c) -------------------------------------------------------------------------- */

/* Does the stage's method sample? */
bool ag_stage_samples(const ag_stage *stage);
/* Steps of a stage. */
long ag_stage_steps(const ag_trainer *t, const ag_stage *stage);
/* *index: which of `count` things stands at a position of the stream. */
ag_status ag_stream_at(ag_stream *stream, const ag_trainer *t, ag_stream_kind kind, size_t count,
                       int64_t position, size_t *index, ag_error *err);
/* The learning rate of a step (from 1), and the share of the stage that lies before it: by steps, or by what is spent of the budget
 * where that is further. */
double ag_stage_rate(const ag_trainer *t, const ag_stage *stage, long step);
double ag_stage_share(const ag_trainer *t, const ag_stage *stage, long step);
/* What a step came to, for the line of a terminal: with the bar's count and time it fits into 80 columns. */
enum { AG_NOTE = 192 };
void ag_step_note(char note[AG_NOTE], const ag_stage *stage, const ag_step_result *result, double seconds);
/* One update of the optimizer by the stage's settings; *norm: the gradient's, before clipping. */
ag_status ag_stage_update(ag_trainer *t, const ag_stage *stage, double lr, double *norm, ag_error *err);

/* --- methods --------------------------------------------------------------------------------------------------- */

/* Adds the gradient of `scale` times the cross-entropy of n examples' gold tokens (mean over them; choices weigh `choice`, prompt
 * tokens have their own mean times `prompt`); sets result's imitation, prompt_loss and gold_tokens, adds to its counts. */
typedef struct ag_sft_weights {
    double choice, prompt, scale;
} ag_sft_weights;
ag_status ag_sft_gradient(ag_trainer *t, const ag_dataset *set, const size_t *examples, long n,
                          const ag_sft_weights *weights, ag_step_result *result, ag_error *err);
/* One SFT update. */
ag_status ag_sft_step(ag_trainer *t, const ag_stage *stage, long step, ag_step_result *result, ag_error *err);

typedef struct ag_validation {
    double nll;   /* of gold answer tokens */
    double value; /* what chooses the best checkpoint: macro-F1 */
    double tie;   /* then: self-consistency */
    json_t *json; /* everything, for the log; owned */
} ag_validation;
ag_status ag_validate(ag_trainer *t, ag_validation *validation, ag_error *err);

#endif
