/* trainer.h: the state of a run while it goes. Private to train/: run.c opens it, sft.c computes its steps, validate.c measures it. */
#ifndef AG_TRAIN_TRAINER_H
#define AG_TRAIN_TRAINER_H

#include "eval/judge.h"
#include "model/open.h"
#include "train/checkpoint.h"
#include "train/dataset.h"
#include "train/run.h"

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
    uint32_t *pool_order;                                    /* as order, of the pool */
    int64_t pool_epoch;
    ag_judge *judge;
    ag_runlog *log;
    ag_train_state state;
    ag_forest_builder builder;
    uint32_t *order;     /* training examples of an epoch, shuffled */
    int64_t order_epoch; /* which epoch `order` is for; -1 none */
    double rate;         /* unique tokens a second of the last step */
} ag_trainer;

/* What one step came to. */
typedef struct ag_step_result {
    double loss, prompt_loss, gold_tokens, grad_norm, lr;
    int64_t tokens, unshared; /* rows computed; tokens without sharing */
    json_t *log;              /* more for the log, or NULL; owned */
    double reward, accuracy, gate,
        dead; /* of methods that sample: means, and the share of groups without a signal */
} ag_step_result;

/* Steps of a stage. */
long ag_sft_steps(const ag_trainer *t, const ag_stage *stage);
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
