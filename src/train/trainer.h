/* trainer.h: the state of a run while it goes. Private to train/: run.c opens it, sft.c computes its steps, validate.c measures it. */
#ifndef AG_TRAIN_TRAINER_H
#define AG_TRAIN_TRAINER_H

#include "eval/judge.h"
#include "model/open.h"
#include "train/checkpoint.h"
#include "train/dataset.h"
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
    int32_t pool_longest;                                    /* prompt and answer */
    double verdict_weight[AG_MAX_CRITERIA][AG_MAX_VERDICTS]; /* class balance of the pool */
    ag_judge *judge;
    ag_runlog *log;
    ag_train_state state;
    ag_forest_builder builder;
    ag_stream train_stream, pool_stream; /* of examples and of prompts */
    double rate;                         /* unique tokens a second of the last step */
} ag_trainer;

/* What one step came to. */
typedef struct ag_step_result {
    double loss, prompt_loss, gold_tokens, grad_norm, lr;
    int64_t tokens, unshared; /* rows computed; tokens without sharing */
    json_t *log;              /* more for the log, or NULL; owned */
    double reward, accuracy, gate,
        dead; /* of methods that sample: means, and the share of groups without a signal */
} ag_step_result;

/* --- what all methods share (step.c) -------------------------------------------------------------------------- */

/* Does the stage's method sample? */
bool ag_stage_samples(const ag_stage *stage);
/* Steps of a stage. */
long ag_stage_steps(const ag_trainer *t, const ag_stage *stage);
/* *index: which of `count` things stands at a position of the stream. */
ag_status ag_stream_at(ag_stream *stream, const ag_trainer *t, ag_stream_kind kind, size_t count,
                       int64_t position, size_t *index, ag_error *err);
/* Would one more sequence make the builder's forest larger than micro_tokens, or its targets (`targets` with the sequence's) more than
 * fit? Never of an empty forest: one sequence always fits. */
bool ag_forest_is_full(const ag_trainer *t, const int32_t *tokens, int32_t count, int32_t targets);
/* One update of the optimizer by the stage's settings; *norm: the gradient's, before clipping. */
ag_status ag_stage_update(ag_trainer *t, const ag_stage *stage, double lr, double *norm, ag_error *err);

/* --- methods --------------------------------------------------------------------------------------------------- */

/* One SFT update: cross-entropy of gold answer tokens, mean over the update's gold tokens. */
ag_status ag_sft_step(ag_trainer *t, const ag_stage *stage, long step, ag_step_result *result, ag_error *err);

typedef struct ag_validation {
    double nll;   /* of gold answer tokens */
    double value; /* what chooses the best checkpoint: macro-F1 */
    double tie;   /* then: self-consistency */
    json_t *json; /* everything, for the log; owned */
} ag_validation;
ag_status ag_validate(ag_trainer *t, ag_validation *validation, ag_error *err);

#endif
