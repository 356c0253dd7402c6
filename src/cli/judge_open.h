/* judge_open.h: what eval, judge and the server open: a device, a model with its tokenizer and format, a book, a parser. */
#ifndef AG_CLI_JUDGE_OPEN_H
#define AG_CLI_JUDGE_OPEN_H

#include "cli/options.h"
#include "eval/judge.h"
#include "model/open.h"

/* The options that mean the same in every command that runs a model. */
typedef struct ag_model_choice {
    const char *model, *device, *dtype;
    long threads, kv_slots, max_positions;
} ag_model_choice;
/* Rows of the option table; put them into a command's own. */
#define AG_MODEL_OPTIONS(choice)                                                                             \
    {                                                                                                        \
        "model",                                                                                             \
        AG_OPT_STRING,                                                                                       \
        &(choice).model,                                                                                     \
        "M",                                                                                                 \
        "folder, .gguf file, run folder or pulled model's name",                                             \
        0,                                                                                                   \
        0},                                                                                                  \
        {"device", AG_OPT_CHOICE, &(choice).device, "cpu|cuda", "where tensors live (default cpu)", 0, 0},   \
        {"dtype",                                                                                            \
         AG_OPT_CHOICE,                                                                                      \
         &(choice).dtype,                                                                                    \
         "auto|fp32|bf16",                                                                                   \
         "type of weights in products (default auto)",                                                       \
         0,                                                                                                  \
         0},                                                                                                 \
        {"threads", AG_OPT_INT, &(choice).threads, "N", "processor threads; 0: all", 0, 1024},               \
        {"kv-slots", AG_OPT_INT, &(choice).kv_slots, "N", "tokens kept at once", 64, 100000000},             \
    {                                                                                                        \
        "max-positions", AG_OPT_INT, &(choice).max_positions, "N",                                           \
            "longest sequence; 0: 4096 or the model's own", 0, 10000000                                      \
    }
#define AG_MODEL_CHOICE_DEFAULTS                                                                             \
    {                                                                                                        \
        NULL, "cpu", "auto", 0, 8192, 0                                                                      \
    }

typedef struct ag_judge_setup {
    ag_device *device;
    ag_opened opened;
    ag_book *book;
    ag_facts *facts;
    ag_lexicon *lexicon;
    ag_judge *judge;
} ag_judge_setup;

/* Device, model and tokenizer alone. A model named but not pulled yet is pulled after saying so. */
ag_status ag_setup_model(ag_judge_setup *setup, const ag_model_choice *choice, ag_error *err);
/* The book, its facts and the lexicon: `lexicon` NULL takes the model's own when it has one. rules NULL: AG_ERR_USAGE. */
ag_status ag_setup_rules(ag_judge_setup *setup, const char *rules, const char *lexicon, ag_error *err);
/* The judge over both, with the format that the model was trained with. */
ag_status ag_setup_judge(ag_judge_setup *setup, const ag_model_choice *choice, ag_error *err);
void ag_setup_close(ag_judge_setup *setup);

#endif
