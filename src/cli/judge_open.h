/* judge_open.h: what eval, judge and the server open: a device, a model with its tokenizer and format, a book, a parser. */
#ifndef AG_CLI_JUDGE_OPEN_H
#define AG_CLI_JUDGE_OPEN_H

#include "cli/options.h"
#include "eval/cache.h"
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

/* How one tier comes of the probabilities; the same in judge, eval and calibrate. */
typedef struct ag_decide_choice {
    const char *calibration, *decide, *costs;
    double threshold; /* outside (0, 1): not given */
} ag_decide_choice;
#define AG_DECIDE_CHOICE_DEFAULTS                                                                            \
    {                                                                                                        \
        "auto", NULL, NULL, -1                                                                               \
    }
#define AG_CALIBRATION_OPTION(choice)                                                                        \
    {                                                                                                        \
        "calibration", AG_OPT_CHOICE, &(choice).calibration, "auto|off",                                     \
            "the model's calibration.json (agrl calibrate), where it has one; off: without (default auto)",  \
            0, 0                                                                                             \
    }
#define AG_DECIDE_DEFAULT "how the tier is chosen (default: as the calibration says, else argmax)"
#define AG_DECIDE_OPTIONS(choice, what)                                                                      \
    {"decide", AG_OPT_CHOICE, &(choice).decide, AG_DECIDE_CHOICES, what, 0, 0},                              \
        {"threshold",                                                                                        \
         AG_OPT_NUMBER,                                                                                      \
         &(choice).threshold,                                                                                \
         "X",                                                                                                \
         "of --decide threshold: the best tier that the pair reaches with probability X",                    \
         0.001,                                                                                              \
         0.999},                                                                                             \
    {                                                                                                        \
        "costs", AG_OPT_STRING, &(choice).costs, "FILE",                                                     \
            "of --decide cost: YAML or JSON, true tier: {tier said: cost}", 0, 0                             \
    }

/* Where judgements that were made before are looked up, and new ones kept. */
typedef struct ag_cache_choice {
    const char *path; /* NULL: nowhere */
    long megabytes;
} ag_cache_choice;
enum { AG_CACHE_MEGABYTES = 1024 };
#define AG_CACHE_CHOICE_DEFAULTS                                                                             \
    {                                                                                                        \
        NULL, AG_CACHE_MEGABYTES                                                                             \
    }
#define AG_CACHE_OPTIONS(choice)                                                                             \
    {"cache",                                                                                                \
     AG_OPT_STRING,                                                                                          \
     &(choice).path,                                                                                         \
     "FILE",                                                                                                 \
     "look judgements up here first, and keep new ones; several processes may share it",                     \
     0,                                                                                                      \
     0},                                                                                                     \
    {                                                                                                        \
        "cache-mb", AG_OPT_INT, &(choice).megabytes, "N", "how large it may grow", 1, 1 << 20                \
    }

typedef struct ag_judge_setup {
    ag_device *device;
    ag_opened opened;
    ag_book *book;
    ag_facts *facts;
    ag_lexicon *lexicon;
    bool calibrated;            /* calibration is one, and the judge uses it */
    ag_calibration calibration; /* of the model's folder */
    ag_decision decision;       /* argmax unless something else was asked for */
    char model_digest[65];      /* ag_judge_model_digest; "" until something needed it */
    ag_judge *judge;
    ag_cache *cache;   /* NULL: none */
    char identity[65]; /* of the judge, in the cache */
} ag_judge_setup;

/* Device, model and tokenizer alone. A model named but not pulled yet is pulled after saying so. */
ag_status ag_setup_model(ag_judge_setup *setup, const ag_model_choice *choice, ag_error *err);
/* The book, its facts and the lexicon: `lexicon` NULL takes the model's own when it has one. rules NULL: AG_ERR_USAGE. */
ag_status ag_setup_rules(ag_judge_setup *setup, const char *rules, const char *lexicon, ag_error *err);
/* Do the options belong together? Needs nothing else. */
ag_status ag_decide_check(const ag_decide_choice *choice, ag_error *err);
/* The decision that the options name, argmax without. After ag_setup_rules. */
ag_status ag_setup_decision(ag_judge_setup *setup, const ag_decide_choice *choice, ag_error *err);
/* The model's calibration unless that is off, and the decision: the options', else the calibration's. A calibration of other weights,
 * another prompt format or another rulebook is AG_ERR_INPUT. After ag_setup_model and ag_setup_rules, before ag_setup_judge; who
 * leaves it out gets a judge without. Says on stderr what is used. */
ag_status ag_setup_calibration(ag_judge_setup *setup, const ag_decide_choice *choice, ag_error *err);
/* Fills setup->model_digest: reads all of the model's files. */
ag_status ag_setup_digest(ag_judge_setup *setup, ag_error *err);
/* Where the calibration of the opened model lies: in its folder, or beside a .gguf file as FILE.calibration.json. *path: ag_free. */
ag_status ag_setup_calibration_path(char **path, const ag_judge_setup *setup, ag_error *err);
/* The judge over both, with the format that the model was trained with. */
ag_status ag_setup_judge(ag_judge_setup *setup, const ag_model_choice *choice, ag_error *err);
/* Do the options belong together? Needs nothing else. */
ag_status ag_cache_check(const ag_cache_choice *cache, ag_error *err);
/* The cache that the options name, if they do. After ag_setup_judge. */
ag_status ag_setup_cache(ag_judge_setup *setup, const ag_model_choice *choice, const ag_cache_choice *cache,
                         ag_error *err);
/* ag_judge_run through the cache where there is one (ag_cache_judge); warns, once, of a cache that is out of use. */
ag_status ag_setup_run(ag_judge_setup *setup, const ag_judge_input *inputs, size_t n, ag_judge_answer answer,
                       ag_judgement *out, size_t *hits, ag_error *err);
void ag_setup_close(ag_judge_setup *setup);

#endif
