/* dataset.h: training pairs as token sequences with the tokens that are trained.
 *
 * An example has one sequence, or, with soft gold, one more for each tier that raters gave (the tier's tokens weigh their share).
 * A pair without complete gold verdicts and rule trains the tier's tokens only.
 */
#ifndef AG_TRAIN_DATASET_H
#define AG_TRAIN_DATASET_H

#include "data/pair.h"
#include "rules/answer.h"
#include "rules/facts.h"
#include "rules/prompt.h"

typedef enum ag_wanted {
    AG_WANTED_FORM = 1, /* of the answer: labels, names, the reason, the end */
    AG_WANTED_CHOICE,   /* of the answer: tier, verdicts, rule */
    AG_WANTED_PROMPT    /* of the prompt (ag_dataset_want_prompts) */
} ag_wanted;

typedef struct ag_sequence {
    int32_t *tokens;
    uint8_t *wanted; /* trained tokens: an ag_wanted each; 0: not trained */
    int32_t count;
    int32_t answer; /* how many of the last tokens are the answer */
    double weight;  /* of each trained answer token */
} ag_sequence;

typedef struct ag_example {
    size_t first, count; /* sequences */
    double form_tokens,
        choice_tokens;    /* sums of weights of trained answer tokens: its part of their denominator */
    double prompt_tokens; /* trained prompt tokens: its part of theirs */
} ag_example;

typedef struct ag_dataset {
    ag_arena arena;
    ag_sequence *sequences;
    size_t sequence_count, sequence_cap;
    ag_example *examples;
    size_t count, cap;
    size_t tier_only, dropped, hinted,
        truncated; /* pairs: tier tokens only; no usable gold; with hint; text lost */
    int32_t longest;
} ag_dataset;

typedef struct ag_dataset_options {
    const ag_book *book;
    const ag_tokenizer *tokenizer;
    ag_prompt_options prompt;
    int32_t end_id;
    double hint_share, hint_counterfactual;
    uint64_t seed;
} ag_dataset_options;

/* Encodes all pairs (asked must be filled). */
ag_status ag_dataset_build(ag_dataset *dataset, const ag_pair_list *pairs, const ag_dataset_options *options,
                           ag_error *err);
/* Marks the prompt tokens of each example as trained, but for the beginning that all prompts share. */
void ag_dataset_want_prompts(ag_dataset *dataset);
void ag_dataset_free(ag_dataset *dataset);

/* Trains a tokenizer on the prompts and answers of pairs. Special tokens are those of the ChatML template. */
ag_status ag_dataset_tokenizer(ag_tokenizer **tokenizer, const ag_pair_list *pairs, const ag_book *book,
                               const ag_prompt_options *prompt, int vocab, ag_error *err);

#endif
