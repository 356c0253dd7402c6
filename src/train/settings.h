/* settings.h: the settings of a run as rows of tables: name, type, default, bounds, help. The run file, --set, the resolved
 * config.yaml and the documentation (`agrl train --settings`) all come from these rows.
 *
 * A run file is YAML; nested maps and dotted names are the same thing (data.train). Paths in it are relative to its folder. `stages`
 * is a list; each has a `method` and that method's settings.
 */
#ifndef AG_TRAIN_SETTINGS_H
#define AG_TRAIN_SETTINGS_H

#include <stdbool.h>
#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/yaml.h"

enum { AG_MAX_STAGES = 16 };

typedef struct ag_stage {
    const char *method; /* a row of methods.h */
    double epochs;      /* passes over the training pairs; steps wins when > 0 */
    long steps;
    long batch;                /* pairs an update */
    double lr, min_lr, warmup; /* min_lr: share of lr at the end; warmup: share of steps */
    const char *schedule;      /* cosine, linear, constant */
    const char *optimizer;     /* adamw, muon */
    double weight_decay, beta1, beta2, eps, clip, momentum;
    double choice_weight, prompt_loss;  /* weights of the answer's choices and of prompt tokens in the loss */
    long valid_every, checkpoint_every; /* steps; 0: at the end only */
    bool valid_start;
    double budget; /* tokens sampled and trained; 0: none */
    /* of methods that sample; METHOD.md sections 5, 6 and 9 */
    long group; /* answers a prompt */
    double temperature;
    bool grammar;     /* the policy is the one under the answer's grammar */
    const char *gate; /* hard, keep_tier */
    double gate_soft,
        gate_anneal;    /* share that the gate leaves at first; share of the steps until it leaves nothing */
    const char *credit; /* field, sequence */
    const char *norm;   /* std, mean */
    double sd_floor, wrong_cap, advantage_clamp;
    const char *ratio; /* token, sequence */
    double clip_low, clip_high, clip_dual, beta, entropy;
    const char *aggregation; /* token_mean, sequence_mean, dr_grpo */
    double anchor;           /* weight of gold answers' cross-entropy */
    long anchor_batch;
    double preference;                    /* DPO's beta */
    long passes, mini_batches;            /* over a step's rollouts; updates a pass */
    long refills;                         /* more draws where groups have no signal */
    double draw_uncertain, draw_unsolved; /* shares of the prompts drawn by what is remembered of them */
    bool keep_rollouts;                   /* write rollouts/ */
    const char *rollouts;                 /* recorded ones to train on; empty: sample */
    /* of methods that replay; METHOD.md sections 7 to 9 */
    double trigger; /* share of successes up to which a prompt is replayed */
    long hint_answers, hint_level;
    double hint_dropout;
    long replay_most; /* 0: a quarter of the group */
    double replay_warmup, replay_tail, guided_share, geo_min;
    const char *guided_mode;   /* auto, hinted, transfer */
    const char *guided_weight; /* none, tis, seq, shaped, floor */
    double guided_cap, guided_gamma, guided_floor, guided_loss;
    const char *rescued_negatives; /* keep, drop */
} ag_stage;

typedef struct ag_settings {
    const char *model; /* folder, GGUF or pulled name; empty: from scratch */
    const char *scratch_preset;
    long scratch_vocab;
    const char *rules, *out, *device, *dtype, *save_dtype, *recompute;
    const char *train, *pool, *valid, *lexicon, *aggregate;
    const char *chat;
    long item_tokens, max_tokens;
    bool repeat_query, rules_in_prompt, mark_matches;
    long seed, threads, micro_tokens, max_positions, kv_slots, lora_rank;
    double lora_alpha;
    long valid_pairs, valid_answers;
    double hint_share, hint_counterfactual; /* share of prompts with a hint; of those, with invented facts */
    ag_stage stages[AG_MAX_STAGES];
    int stage_count;
    ag_arena arena; /* owns the text */
} ag_settings;

/* Reads the run file and applies `set` ("key=value", "stages.0.lr=1e-4"). Unknown keys are errors with the nearest name, values out
 * of bounds name the bound. Then checks what must hold between settings. */
ag_status ag_settings_load(ag_settings *settings, const char *path, const char *const *set, int set_count,
                           ag_error *err);
void ag_settings_free(ag_settings *settings);
/* Appends the names, ", " between them, of a stage's settings that its method does not have although somebody gave them: the run file
 * does for its own method, and --set names another. */
void ag_settings_left_out(ag_str *out, const ag_settings *settings, int stage);
/* Every value, as YAML that loads to the same settings from any folder: paths become absolute. */
ag_status ag_settings_write(ag_str *out, const ag_settings *settings, ag_error *err);
/* SHA-256 (hexadecimal) of every setting that results depend on: not of paths, nor of the number of threads. */
ag_status ag_settings_digest(char hex[65], const ag_settings *settings, ag_error *err);
/* Where a setting of this name belongs: a run or each of its stages; and whether its value is a path. Unknown: AG_ERR_USAGE behind
 * `where`, with the nearest name of both tables. */
typedef struct ag_setting_info {
    bool stage, path;
} ag_setting_info;
ag_status ag_setting_find(ag_setting_info *info, const char *name, const char *where, ag_error *err);
/* The tables as text for --settings: name, type, default, bounds, help. */
void ag_settings_help(ag_str *out);

#endif
