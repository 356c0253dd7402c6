/* settings.c: the tables of settings, and the one way in which a value is read, checked and written. */
#include "train/settings.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/digest.h"
#include "base/file.h"
#include "base/json.h"
#include "train/methods.h"

typedef enum kind { TEXT, PATH, CHOICE, WHOLE, NUMBER, SWITCH } kind;

typedef struct row {
    const char *name;
    kind kind;
    size_t offset;
    const char *standard; /* default, as it would be written */
    double lo, hi;        /* of numbers */
    const char *choices;  /* separated by '|' */
    const char *help;
    int parts; /* of a stage's setting: the parts of methods that read it (methods.h); 0: all */
} row;

#define RUN(member)   offsetof(ag_settings, member)
#define STAGE(member) offsetof(ag_stage, member)

enum { /* parts of methods */
       ALL = 0,
       IMITATES = AG_METHOD_IMITATES,
       SAMPLES = AG_METHOD_SAMPLES,
       ADVANTAGES = AG_METHOD_ADVANTAGES,
       GATES = AG_METHOD_GATES,
       REPLAYS = AG_METHOD_REPLAYS,
       WEIGHS = AG_METHOD_WEIGHS,
       PREFERS = AG_METHOD_PREFERS
};

static const row run_rows[] = {
    {"model", TEXT, RUN(model), "", 0, 0, NULL,
     "what to start from: a folder, a .gguf file or a pulled model's name; empty: from scratch", ALL},
    {"scratch.preset", TEXT, RUN(scratch_preset), "mini", 0, 0, NULL,
     "shape of a model trained from scratch: nano, micro, mini, small", ALL},
    {"scratch.vocab", WHOLE, RUN(scratch_vocab), "2048", 300, 262144, NULL,
     "vocabulary of the tokenizer trained on the training pairs", ALL},
    {"rules", PATH, RUN(rules), NULL, 0, 0, NULL, "the rulebook", ALL},
    {"data.train", PATH, RUN(train), NULL, 0, 0, NULL, "training pairs (JSONL, CSV, gz)", ALL},
    {"data.pool", PATH, RUN(pool), "", 0, 0, NULL,
     "pairs whose prompts methods that sample draw from; empty: the training pairs", ALL},
    {"data.valid", PATH, RUN(valid), "", 0, 0, NULL,
     "validation pairs; empty: none, and the last checkpoint is the best", ALL},
    {"data.lexicon", PATH, RUN(lexicon), "", 0, 0, NULL,
     "what the parser of asked knows of the catalogue (agrl synth writes one)", ALL},
    {"data.aggregate", CHOICE, RUN(aggregate), "given", 0, 0, "given|majority|median|soft",
     "how ratings become gold", ALL},
    {"prompt.chat", CHOICE, RUN(chat), "auto", 0, 0, "auto|chatml|llama3|none", "chat template", ALL},
    {"prompt.item_tokens", WHOLE, RUN(item_tokens), "300", 8, 100000, NULL, "token budget of an item", ALL},
    {"prompt.max_tokens", WHOLE, RUN(max_tokens), "0", 0, 1000000, NULL,
     "token budget of a prompt, not counting its hint; 0: none", ALL},
    {"prompt.repeat_query", SWITCH, RUN(repeat_query), "true", 0, 0, NULL,
     "write the query again after the item", ALL},
    {"prompt.rules", SWITCH, RUN(rules_in_prompt), "true", 0, 0, NULL, "write the rules into the prompt",
     ALL},
    {"prompt.mark_matches", SWITCH, RUN(mark_matches), "false", 0, 0, NULL,
     "put a * behind words that query and item share: a small model need not learn to compare", ALL},
    {"out", PATH, RUN(out), NULL, 0, 0, NULL, "the run's folder", ALL},
    {"seed", WHOLE, RUN(seed), "1", 0, 9e15, NULL, "every random choice follows from it", ALL},
    {"device", CHOICE, RUN(device), "cpu", 0, 0, "cpu|cuda|ref", "where tensors live", ALL},
    {"dtype", CHOICE, RUN(dtype), "auto", 0, 0, "auto|fp32|bf16",
     "type of weights in products; auto: bf16 where the device has such products", ALL},
    {"save_dtype", CHOICE, RUN(save_dtype), "auto", 0, 0, "auto|fp32|bf16",
     "type of weights in checkpoints' model files; auto: as in products. fp32 keeps all that training knows, "
     "for a "
     "run that goes on from it",
     ALL},
    {"threads", WHOLE, RUN(threads), "0", 0, 1024, NULL, "processor threads; 0: all", ALL},
    {"micro_tokens", WHOLE, RUN(micro_tokens), "4096", 16, 1e8, NULL,
     "tokens of one forward and backward; a batch is cut into as many as it takes", ALL},
    {"max_positions", WHOLE, RUN(max_positions), "0", 0, 1e7, NULL,
     "longest sequence; 0: 4096 or the model's own, the smaller", ALL},
    {"kv_slots", WHOLE, RUN(kv_slots), "8192", 64, 1e8, NULL,
     "tokens kept at once while generating and judging", ALL},
    {"recompute", CHOICE, RUN(recompute), "head", 0, 0, "none|head|layer",
     "none: nothing is computed twice; steps are 3 to 10 % shorter, for memory of micro_tokens x vocabulary "
     "values; head: the head's probabilities are computed again in backward; layer: each layer's rest too",
     ALL},
    {"lora.rank", WHOLE, RUN(lora_rank), "0", 0, 1024, NULL,
     "rank of LoRA pairs on all linear layers; 0: full fine-tuning", ALL},
    {"lora.alpha", NUMBER, RUN(lora_alpha), "16", 1e-6, 1e6, NULL, "scale of LoRA: alpha / rank", ALL},
    {"valid.pairs", WHOLE, RUN(valid_pairs), "400", 1, 1e8, NULL,
     "validation pairs judged each time (the first of a fixed shuffle)", ALL},
    {"valid.answers", WHOLE, RUN(valid_answers), "200", 0, 1e8, NULL,
     "of those, how many also write whole answers (format, self-consistency)", ALL},
    {"hints.share", NUMBER, RUN(hint_share), "0", 0, 1, NULL,
     "share of prompts that carry a hint (so that replay can be understood later)", ALL},
    {"hints.counterfactual", NUMBER, RUN(hint_counterfactual), "0.7", 0, 1, NULL,
     "of the hinted prompts, the share with invented verdicts that the answer follows", ALL},
};

static const row stage_rows[] = {
    {"method", TEXT, STAGE(method), NULL, 0, 0, NULL, "what the stage does: one of the methods below", ALL},
    {"epochs", NUMBER, STAGE(epochs), "2", 0, 1e6, NULL, "passes over the training pairs", ALL},
    {"steps", WHOLE, STAGE(steps), "0", 0, 1e9, NULL, "updates; 0: as many as epochs ask for", ALL},
    {"batch", WHOLE, STAGE(batch), "32", 1, 1e6, NULL,
     "pairs an update; of methods that sample: prompts a step", ALL},
    {"lr", NUMBER, STAGE(lr), "1e-4", 0, 10, NULL, "learning rate at its highest", ALL},
    {"min_lr", NUMBER, STAGE(min_lr), "0.1", 0, 1, NULL, "share of lr that is left at the end", ALL},
    {"warmup", NUMBER, STAGE(warmup), "0.05", 0, 1, NULL, "share of the steps in which the rate rises from 0",
     ALL},
    {"schedule", CHOICE, STAGE(schedule), "cosine", 0, 0, "cosine|linear|constant",
     "how the rate falls after warm-up", ALL},
    {"optimizer", CHOICE, STAGE(optimizer), "adamw", 0, 0, "adamw|muon",
     "muon: orthogonalised momentum for the layers' matrices (several times fewer steps from scratch), AdamW "
     "for "
     "the rest",
     ALL},
    {"momentum", NUMBER, STAGE(momentum), "0.95", 0, 0.99999, NULL, "Muon: decay of the momentum", ALL},
    {"weight_decay", NUMBER, STAGE(weight_decay), "0", 0, 10, NULL,
     "decoupled decay of matrices (never of norms and biases)", ALL},
    {"beta1", NUMBER, STAGE(beta1), "0.9", 0, 0.99999, NULL, "AdamW: decay of the first moment", ALL},
    {"beta2", NUMBER, STAGE(beta2), "0.999", 0, 0.9999999, NULL, "AdamW: decay of the second moment", ALL},
    {"eps", NUMBER, STAGE(eps), "1e-8", 1e-20, 1, NULL, "AdamW: keeps the division finite", ALL},
    {"clip", NUMBER, STAGE(clip), "1", 0, 1e9, NULL, "largest norm of the gradient; 0: no clipping", ALL},
    {"choice_weight", NUMBER, STAGE(choice_weight), "1", 0.01, 100, NULL,
     "weight of the answer's choices (tier, verdicts, rule) in the loss; its other tokens weigh 1", IMITATES},
    {"prompt_loss", NUMBER, STAGE(prompt_loss), "0", 0, 1, NULL,
     "weight of the prompt's own tokens (behind what all prompts share) in the loss: for models trained from "
     "scratch; 0: answers only",
     IMITATES},
    {"valid_every", WHOLE, STAGE(valid_every), "0", 0, 1e9, NULL,
     "steps between validations; 0: at the end of the stage", ALL},
    {"checkpoint_every", WHOLE, STAGE(checkpoint_every), "0", 0, 1e9, NULL,
     "steps between checkpoints; 0: at each validation", ALL},
    {"valid_start", SWITCH, STAGE(valid_start), "false", 0, 0, NULL, "validate before the first step, too",
     ALL},
    {"budget", NUMBER, STAGE(budget), "0", 0, 1e15, NULL,
     "tokens to sample and to train on, hinted and refilled ones too: the stage ends with the step that "
     "reaches "
     "it, and rates follow the share that is spent; 0: none",
     ALL},
    {"group", WHOLE, STAGE(group), "8", 2, 1024, NULL, "answers sampled for each prompt", SAMPLES},
    {"temperature", NUMBER, STAGE(temperature), "1", 0.05, 10, NULL,
     "of sampling, and of the policy that is trained", SAMPLES},
    {"grammar", SWITCH, STAGE(grammar), "false", 0, 0, NULL,
     "sample, and train, the policy under the answer's grammar: only what is well-formed", SAMPLES},
    {"gate", CHOICE, STAGE(gate), "hard", 0, 0, "hard|keep_tier",
     "what is left of an answer whose tier does not follow from its verdicts: nothing, or half of a right "
     "tier",
     GATES},
    {"gate_soft", NUMBER, STAGE(gate_soft), "0.3", 0, 1, NULL,
     "hard gate: share of the reward that it leaves at first", GATES},
    {"gate_anneal", NUMBER, STAGE(gate_anneal), "0.1", 0, 1, NULL,
     "share of the steps over which gate_soft falls to 0", GATES},
    {"credit", CHOICE, STAGE(credit), "field", 0, 0, "field|sequence",
     "field: a good answer's wrong fields are not praised, a bad one's right fields not blamed", ADVANTAGES},
    {"norm", CHOICE, STAGE(norm), "std", 0, 0, "std|mean",
     "advantages: reward less the group's mean, divided by its deviation or not", ADVANTAGES},
    {"sd_floor", NUMBER, STAGE(sd_floor), "0.2", 1e-6, 10, NULL, "smallest deviation that std divides by",
     ADVANTAGES},
    {"wrong_cap", NUMBER, STAGE(wrong_cap), "0.5", 0, 100, NULL,
     "largest advantage of an answer with a wrong tier", ADVANTAGES},
    {"advantage_clamp", NUMBER, STAGE(advantage_clamp), "2", 1e-6, 100, NULL, "bound of every advantage",
     ADVANTAGES},
    {"ratio", CHOICE, STAGE(ratio), "token", 0, 0, "token|sequence",
     "importance ratio of each token, or one for the answer (GSPO)", ADVANTAGES},
    {"clip_low", NUMBER, STAGE(clip_low), "0.2", 0, 1, NULL, "ratios count down to 1 less this", ADVANTAGES},
    {"clip_high", NUMBER, STAGE(clip_high), "0.28", 0, 100, NULL, "and up to 1 plus this", ADVANTAGES},
    {"clip_dual", NUMBER, STAGE(clip_dual), "3", 1, 1e9, NULL, "bad answers are pushed away up to this ratio",
     ADVANTAGES},
    {"beta", NUMBER, STAGE(beta), "0", 0, 100, NULL,
     "weight of the KL term (k2) that holds plain answers near the policy that the stage began with; 0: that "
     "policy is not kept and not asked, and kl in metrics.jsonl is null",
     ADVANTAGES},
    {"entropy", NUMBER, STAGE(entropy), "0", 0, 10, NULL, "weight of the entropy that the loss rewards",
     ADVANTAGES},
    {"aggregation", CHOICE, STAGE(aggregation), "token_mean", 0, 0, "token_mean|sequence_mean|dr_grpo",
     "the loss is a mean over tokens, over answers of their means, or over answers with one constant length",
     ADVANTAGES},
    {"anchor", NUMBER, STAGE(anchor), "0", 0, 100, NULL,
     "weight of the cross-entropy of training pairs' gold answers beside the loss", ADVANTAGES},
    {"anchor_batch", WHOLE, STAGE(anchor_batch), "16", 1, 1e6, NULL, "pairs of the anchor an update",
     ADVANTAGES},
    {"preference", NUMBER, STAGE(preference), "0.1", 1e-6, 100, NULL,
     "DPO's beta: how far preferences may move the policy", PREFERS},
    {"passes", WHOLE, STAGE(passes), "1", 1, 100, NULL, "passes over a step's answers", SAMPLES},
    {"mini_batches", WHOLE, STAGE(mini_batches), "1", 1, 1000, NULL, "updates a pass", SAMPLES},
    {"refills", WHOLE, STAGE(refills), "3", 0, 100, NULL,
     "how often more prompts are drawn while less than three quarters of the groups have a signal", SAMPLES},
    {"draw_uncertain", NUMBER, STAGE(draw_uncertain), "0", 0, 1, NULL,
     "share of the prompts that are drawn by how open their success is; those not seen yet are the most open",
     SAMPLES},
    {"draw_unsolved", NUMBER, STAGE(draw_unsolved), "0", 0, 1, NULL,
     "share of the prompts that are drawn from those that never succeeded yet; the others come in turn",
     SAMPLES},
    {"keep_rollouts", SWITCH, STAGE(keep_rollouts), "true", 0, 0, NULL, "write every rollout to rollouts/",
     SAMPLES},
    {"rollouts", PATH, STAGE(rollouts), "", 0, 0, NULL,
     "train on recorded answers (a file, or a run's rollouts folder) in place of sampling; prompts, hints "
     "and their weights are the record's, whatever the settings of drawing, replay and guided answers say",
     SAMPLES},
    {"trigger", NUMBER, STAGE(trigger), "0", 0, 0.9999, NULL,
     "replay: a prompt is sampled again with hints when at most this share of its answers succeed", REPLAYS},
    {"hint_answers", WHOLE, STAGE(hint_answers), "4", 1, 1024, NULL, "answers sampled with a hint, a level",
     REPLAYS},
    {"hint_level", WHOLE, STAGE(hint_level), "5", 1, 5, NULL,
     "highest level of hints: 1 names fields, 2 quotes evidence, 3 gives verdicts, 4 the rule, 5 the answer",
     REPLAYS},
    {"hint_dropout", NUMBER, STAGE(hint_dropout), "0.1", 0, 1, NULL,
     "share of failing prompts that get no hint this time", REPLAYS},
    {"replay_most", WHOLE, STAGE(replay_most), "0", 0, 1024, NULL,
     "plain answers of a group that guided ones replace; 0: a quarter of the group", REPLAYS},
    {"replay_warmup", NUMBER, STAGE(replay_warmup), "0.1", 0, 1, NULL,
     "share of the steps before the first hint", REPLAYS},
    {"replay_tail", NUMBER, STAGE(replay_tail), "0.15", 0, 1, NULL, "share of the steps after the last one",
     REPLAYS},
    {"guided_share", NUMBER, STAGE(guided_share), "0.25", 0, 1, NULL,
     "guided answers may have at most this share of the tokens of a step's groups that have a signal",
     REPLAYS},
    {"geo_min", NUMBER, STAGE(geo_min), "0.05", 0, 1, NULL,
     "guided answers less likely than this without their hint (a token, geometric mean, against with it) are "
     "not trained on",
     REPLAYS},
    {"guided_mode", CHOICE, STAGE(guided_mode), "transfer", 0, 0, "auto|hinted|transfer",
     "which prompt a guided answer is trained with: with its hint, without, or auto: without where the hint "
     "gives the tier away",
     WEIGHS},
    {"guided_weight", CHOICE, STAGE(guided_weight), "none", 0, 0, "none|tis|seq|shaped|floor",
     "transfer: weight of a token by how much less likely it is without the hint", WEIGHS},
    {"guided_cap", NUMBER, STAGE(guided_cap), "0", 0, 1e9, NULL,
     "transfer: largest weight; 0: 5 of seq, 2 of the others", WEIGHS},
    {"guided_gamma", NUMBER, STAGE(guided_gamma), "0.1", 1e-6, 10, NULL, "transfer: shaped's emphasis",
     WEIGHS},
    {"guided_floor", NUMBER, STAGE(guided_floor), "0.1", 0, 1, NULL, "transfer: floor's smallest weight",
     WEIGHS},
    {"guided_loss", NUMBER, STAGE(guided_loss), "1", 0, 100, NULL, "weight of guided answers in the loss",
     WEIGHS},
    {"rescued_negatives", CHOICE, STAGE(rescued_negatives), "keep", 0, 0, "keep|drop",
     "bad answers of a group that has guided ones: pushed away, or left alone", WEIGHS},
};

enum { RUN_ROWS = sizeof run_rows / sizeof *run_rows, STAGE_ROWS = sizeof stage_rows / sizeof *stage_rows };
enum { MOST_ROWS = RUN_ROWS > STAGE_ROWS ? RUN_ROWS : STAGE_ROWS };

static bool in_choices(const char *choices, const char *value)
{
    size_t n = strcspn(value, "|");
    if (value[n]) return false;
    for (const char *c = choices; c; c = strchr(c, '|') ? strchr(c, '|') + 1 : NULL)
        if (strncmp(c, value, n) == 0 && (c[n] == '|' || c[n] == 0)) return true;
    return false;
}

/* Paths are kept relative to the run file's folder unless absolute. */
static ag_status set_text(ag_settings *s, const row *r, char *at, const char *value, const char *base,
                          ag_error *err)
{
    char *joined = NULL;
    if (r->kind == PATH && *value && *value != '/' && !ag_streq(value, "-") && base && !ag_streq(base, ".")) {
        joined = ag_path_join(base, value);
        if (!joined) return ag_fail_memory(err, "settings");
        value = joined;
    }
    char *copy = ag_arena_strdup(&s->arena, value);
    ag_free(joined);
    if (!copy) return ag_fail_memory(err, "settings");
    memcpy(at, &copy, sizeof copy);
    return AG_OK;
}

/* The one place where text becomes a value. `where` says which file and line, or --set. */
static ag_status set_value(ag_settings *s, const row *r, char *base_address, const char *value,
                           const char *base, const char *where, ag_error *err)
{
    char *at = base_address + r->offset;
    double number;
    switch (r->kind) {
    case CHOICE:
        if (!in_choices(r->choices, value))
            return ag_fail(err, AG_ERR_USAGE, "%s: %s must be one of %s, not '%s'", where, r->name,
                           r->choices, value);
        return set_text(s, r, at, value, base, err);
    case TEXT:
    case PATH: return set_text(s, r, at, value, base, err);
    case SWITCH:
        if (!ag_streq(value, "true") && !ag_streq(value, "false"))
            return ag_fail(err, AG_ERR_USAGE, "%s: %s must be true or false, not '%s'", where, r->name,
                           value);
        *(bool *)(void *)at = ag_streq(value, "true");
        return AG_OK;
    case WHOLE:
    case NUMBER: break;
    }
    if (!ag_number_parse(value, &number))
        return ag_fail(err, AG_ERR_USAGE, "%s: %s must be a number, not '%s'", where, r->name, value);
    if (number < r->lo || number > r->hi)
        return ag_fail(err, AG_ERR_USAGE, "%s: %s must be between %g and %g, not %s", where, r->name, r->lo,
                       r->hi, value);
    if (r->kind == NUMBER)
        *(double *)(void *)at = number;
    else if (number != floor(number))
        return ag_fail(err, AG_ERR_USAGE, "%s: %s must be a whole number, not %s", where, r->name, value);
    else
        *(long *)(void *)at = (long)number;
    return AG_OK;
}

static bool has_part(const ag_stage *stage, int parts)
{
    const ag_method *m = stage->method ? ag_method_find(stage->method) : NULL;
    return !m || (parts & m->parts);
}

static bool has_setting(const ag_stage *stage, const row *r)
{
    return !r->parts || has_part(stage, r->parts);
}

/* A setting that the stage's method does not have is a mistake, not a thing to ignore. */
static ag_status check_part(const row *r, const ag_stage *stage, const char *where, ag_error *err)
{
    if (has_setting(stage, r)) return AG_OK;
    return ag_fail(err, AG_ERR_USAGE, "%s: method %s has no setting '%s'", where, stage->method, r->name);
}

static const row *find_row(const row *rows, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].name, name) == 0) return &rows[i];
    return NULL;
}

static ag_status unknown_key(const row *rows, size_t n, const char *name, const char *where, ag_error *err)
{
    if (rows == stage_rows && (ag_streq(name, "top_k") || ag_streq(name, "top_p") || ag_streq(name, "min_p")))
        return ag_fail(
            err, AG_ERR_USAGE,
            "%s: '%s': training never truncates sampling: the policy that is trained would not be the one "
            "that was sampled",
            where, name);
    const char *names[MOST_ROWS + 1];
    for (size_t i = 0; i < n; i++) names[i] = rows[i].name;
    if (rows == run_rows) names[n++] = "stages";
    return ag_fail(err, AG_ERR_USAGE, "%s: unknown setting '%s'%s", where, name,
                   ag_suggest(name, names, n).text);
}

static ag_status set_defaults(ag_settings *s, const row *rows, size_t n, char *base, ag_error *err)
{
    for (size_t i = 0; i < n; i++) {
        ag_status status = rows[i].standard
                               ? set_value(s, &rows[i], base, rows[i].standard, NULL, "default", err)
                               : AG_OK;
        if (status != AG_OK) return status;
    }
    return AG_OK;
}

static ag_status read_map(ag_settings *s, const row *rows, size_t n, char *base, const ag_yaml *map,
                          const char *prefix, const char *path, const char *dir, bool *seen, ag_error *err);

static ag_status read_stages(ag_settings *s, const ag_yaml *list, const char *path, const char *dir,
                             ag_error *err)
{
    if (list->kind != AG_YAML_LIST) return ag_yaml_fail(err, path, list, "stages must be a list");
    if (s->stage_count > 0) return ag_yaml_fail(err, path, list, "stages are given twice");
    if (list->count > AG_MAX_STAGES)
        return ag_yaml_fail(err, path, list, "more than %d stages", AG_MAX_STAGES);
    for (int i = 0; i < list->count; i++) {
        ag_stage *stage = &s->stages[s->stage_count++];
        bool seen[MOST_ROWS] = {false};
        ag_status status = set_defaults(s, stage_rows, STAGE_ROWS, (char *)stage, err);
        if (status == AG_OK && list->values[i]->kind != AG_YAML_MAP)
            status = ag_yaml_fail(err, path, list->values[i], "a stage must be a map with a method");
        if (status == AG_OK)
            status = read_map(s, stage_rows, STAGE_ROWS, (char *)stage, list->values[i], "", path, dir, seen,
                              err);
        for (size_t k = 0; k < STAGE_ROWS && status == AG_OK; k++)
            if (seen[k]) status = check_part(&stage_rows[k], stage, path, err);
        if (status != AG_OK) return status;
    }
    return AG_OK;
}

/* Fills rows from a map. seen: each row that the file gave: data.train and data: {train: ...} are the same key. */
static ag_status read_map(ag_settings *s, const row *rows, size_t n, char *base, const ag_yaml *map,
                          const char *prefix, const char *path, const char *dir, bool *seen, ag_error *err)
{
    for (int i = 0; i < map->count; i++) {
        char name[256], where[1200];
        const ag_yaml *value = map->values[i];
        snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", map->keys[i]->text);
        snprintf(where, sizeof where, "%s:%d:%d", path, map->keys[i]->line, map->keys[i]->column);
        const row *r = find_row(rows, n, name);
        ag_status status = AG_OK;
        if (r && seen[r - rows]) return ag_fail(err, AG_ERR_USAGE, "%s: %s is given twice", where, name);
        if (r) seen[r - rows] = true;
        if (r && ag_yaml_is_null(value)) continue; /* the default stays */
        if (r && value->kind == AG_YAML_SCALAR)
            status = set_value(s, r, base, value->text, dir, where, err);
        else if (r)
            status = ag_yaml_fail(err, path, value, "%s must be one value", name);
        else if (rows == run_rows && ag_streq(name, "stages"))
            status = read_stages(s, value, path, dir, err);
        else if (value->kind == AG_YAML_MAP)
            status = read_map(s, rows, n, base, value, name, path, dir, seen, err);
        else
            status = unknown_key(rows, n, name, where, err);
        if (status != AG_OK) return status;
    }
    return AG_OK;
}

/* "key=value" or "stages.N.key=value"; paths are relative to the current folder here. */
static ag_status apply_set(ag_settings *s, const char *text, ag_error *err)
{
    const char *equals = strchr(text, '=');
    char name[256];
    if (!equals || equals == text || (size_t)(equals - text) >= sizeof name)
        return ag_fail(err, AG_ERR_USAGE, "--set %s: expected key=value", text);
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = 0;
    if (ag_streq(name, "stages") || (strncmp(name, "stages.", 7) == 0 && !strchr(name + 7, '.')))
        return ag_fail(err, AG_ERR_USAGE, "--set %s: name a setting of a stage, for example stages.0.lr=1e-4",
                       text);
    if (strncmp(name, "stages.", 7) == 0) {
        char *end;
        long i = strtol(name + 7, &end, 10);
        if (end == name + 7 || *end != '.' || i < 0 || i >= s->stage_count)
            return ag_fail(err, AG_ERR_USAGE, "--set %s: there is no such stage (0 to %d)", text,
                           s->stage_count - 1);
        const row *r = find_row(stage_rows, STAGE_ROWS, end + 1);
        if (!r) return unknown_key(stage_rows, STAGE_ROWS, end + 1, "--set", err);
        ag_status status = set_value(s, r, (char *)&s->stages[i], equals + 1, NULL, "--set", err);
        return status == AG_OK ? check_part(r, &s->stages[i], "--set", err) : status;
    }
    const row *r = find_row(run_rows, RUN_ROWS, name);
    return r ? set_value(s, r, (char *)s, equals + 1, NULL, "--set", err)
             : unknown_key(run_rows, RUN_ROWS, name, "--set", err);
}

static const char *text_of(const void *base, const row *r)
{
    return *(const char *const *)(const void *)((const char *)base + r->offset);
}

static ag_status check(const ag_settings *s, const char *path, ag_error *err)
{
    for (size_t i = 0; i < RUN_ROWS; i++) {
        const char *value = run_rows[i].standard ? "given" : text_of(s, &run_rows[i]);
        if (!value || !*value)
            return ag_fail(err, AG_ERR_USAGE, "%s: '%s' is missing: %s", path, run_rows[i].name,
                           run_rows[i].help);
    }
    if (s->stage_count == 0)
        return ag_fail(err, AG_ERR_USAGE,
                       "%s: 'stages' is missing: a list of methods, for example - {method: sft}", path);
    for (int i = 0; i < s->stage_count; i++) {
        const ag_stage *stage = &s->stages[i];
        if (!stage->method) return ag_fail(err, AG_ERR_USAGE, "%s: stage %d has no method", path, i);
        if (!ag_method_find(stage->method)) return ag_method_unknown(stage->method, path, err);
        if (stage->steps == 0 && stage->epochs == 0)
            return ag_fail(err, AG_ERR_USAGE, "%s: stage %d has neither steps nor epochs", path, i);
        if (s->lora_rank > 0 && ag_streq(stage->optimizer, "muon"))
            return ag_fail(err, AG_ERR_USAGE,
                           "%s: stage %d: optimizer muon updates whole matrices; use adamw with lora.rank",
                           path, i);
        if (has_part(stage, SAMPLES) && stage->draw_uncertain + stage->draw_unsolved > 1)
            return ag_fail(err, AG_ERR_USAGE,
                           "%s: stage %d: draw_uncertain (%g) and draw_unsolved (%g) are shares: together at "
                           "most 1",
                           path, i, stage->draw_uncertain, stage->draw_unsolved);
        if (has_part(stage, REPLAYS) && stage->replay_most >= stage->group)
            return ag_fail(
                err, AG_ERR_USAGE,
                "%s: stage %d: replay_most (%ld) must be below group (%ld): some plain answers must be "
                "left",
                path, i, stage->replay_most, stage->group);
    }
    return AG_OK;
}

ag_status ag_settings_load(ag_settings *s, const char *path, const char *const *set, int set_count,
                           ag_error *err)
{
    *s = (ag_settings){.arena = {.name = "settings"}};
    ag_arena yaml = {.name = "run file"};
    ag_yaml *root = NULL;
    char *dir = ag_path_dir(path);
    ag_status status = dir ? set_defaults(s, run_rows, RUN_ROWS, (char *)s, err)
                           : ag_fail_memory(err, "settings");
    if (status == AG_OK) status = ag_yaml_load(&root, &yaml, path, err);
    if (status == AG_OK && root->kind != AG_YAML_MAP)
        status = ag_yaml_fail(err, path, root, "a run file is a map of settings");
    bool seen[MOST_ROWS] = {false};
    if (status == AG_OK) status = read_map(s, run_rows, RUN_ROWS, (char *)s, root, "", path, dir, seen, err);
    for (int i = 0; i < set_count && status == AG_OK; i++) status = apply_set(s, set[i], err);
    if (status == AG_OK) status = check(s, path, err);
    ag_arena_free(&yaml);
    ag_free(dir);
    if (status != AG_OK) ag_settings_free(s);
    return status;
}

void ag_settings_free(ag_settings *s)
{
    ag_arena_free(&s->arena);
    *s = (ag_settings){0};
}

ag_status ag_setting_find(ag_setting_info *info, const char *name, const char *where, ag_error *err)
{
    const char *names[RUN_ROWS + STAGE_ROWS];
    const row *of_run = find_row(run_rows, RUN_ROWS, name),
              *of_stage = find_row(stage_rows, STAGE_ROWS, name), *r = of_run ? of_run : of_stage;
    if (r) {
        *info = (ag_setting_info){.stage = r == of_stage, .path = r->kind == PATH};
        return AG_OK;
    }
    for (size_t i = 0; i < RUN_ROWS; i++) names[i] = run_rows[i].name;
    for (size_t i = 0; i < STAGE_ROWS; i++) names[RUN_ROWS + i] = stage_rows[i].name;
    return ag_fail(err, AG_ERR_USAGE, "%s: unknown setting '%s'%s", where, name,
                   ag_suggest(name, names, RUN_ROWS + STAGE_ROWS).text);
}

/* A path as it is found from anywhere. */
static void write_path(ag_str *out, const char *path)
{
    char here[4096];
    ag_str whole = {0};
    if (*path && *path != '/' && strcmp(path, "-") != 0 && getcwd(here, sizeof here))
        ag_str_addf(&whole, "%s/", here);
    ag_str_add(&whole, path);
    ag_yaml_quote(out, ag_str_text(&whole));
    out->failed = out->failed || whole.failed;
    ag_str_free(&whole);
}

static void write_value(ag_str *out, const row *r, const void *base)
{
    const char *at = (const char *)base + r->offset;
    switch (r->kind) {
    case WHOLE: ag_str_addf(out, "%ld", *(const long *)(const void *)at); break;
    case SWITCH: ag_str_add(out, *(const bool *)(const void *)at ? "true" : "false"); break;
    case NUMBER: ag_json_number(out, *(const double *)(const void *)at); break;
    case PATH: write_path(out, text_of(base, r)); break;
    case TEXT:
    case CHOICE: ag_yaml_quote(out, text_of(base, r)); break;
    }
}

/* Which rows to write: all of them, or those that results depend on. */
static void write_rows(ag_str *out, const ag_settings *s, bool (*wanted)(const row *))
{
    for (size_t i = 0; i < RUN_ROWS; i++) {
        if (!wanted(&run_rows[i])) continue;
        ag_str_addf(out, "%s: ", run_rows[i].name);
        write_value(out, &run_rows[i], s);
        ag_str_addc(out, '\n');
    }
    ag_str_add(out, "stages:\n");
    for (int k = 0; k < s->stage_count; k++) {
        for (size_t i = 0; i < STAGE_ROWS; i++) {
            if (!has_setting(&s->stages[k], &stage_rows[i])) continue;
            ag_str_addf(out, "%s%s: ", i == 0 ? "  - " : "    ", stage_rows[i].name);
            write_value(out, &stage_rows[i], &s->stages[k]);
            ag_str_addc(out, '\n');
        }
    }
}

void ag_settings_left_out(ag_str *out, const ag_settings *s, int stage)
{
    ag_settings standard = {.arena = {.name = "settings"}};
    ag_str given = {0}, usual = {0};
    const char *between = "";
    out->failed |= set_defaults(&standard, stage_rows, STAGE_ROWS, (char *)&standard.stages[0], NULL) !=
                   AG_OK;
    for (size_t i = 0; i < STAGE_ROWS && !out->failed; i++) {
        const row *r = &stage_rows[i];
        if (has_setting(&s->stages[stage], r)) continue;
        ag_str_clear(&given);
        ag_str_clear(&usual);
        write_value(&given, r, &s->stages[stage]);
        write_value(&usual, r, &standard.stages[0]);
        out->failed |= given.failed || usual.failed;
        if (ag_streq(ag_str_text(&given), ag_str_text(&usual))) continue;
        ag_str_addf(out, "%s%s", between, r->name);
        between = ", ";
    }
    ag_str_free(&given);
    ag_str_free(&usual);
    ag_arena_free(&standard.arena);
}

static bool any_row(const row *r)
{
    return r != NULL;
}

static bool decides_results(const row *r)
{
    return r->kind != PATH && strcmp(r->name, "threads") != 0;
}

ag_status ag_settings_write(ag_str *out, const ag_settings *s, ag_error *err)
{
    write_rows(out, s, any_row);
    return ag_str_ok(out, err);
}

ag_status ag_settings_digest(char hex[65], const ag_settings *s, ag_error *err)
{
    ag_str text = {0};
    write_rows(&text, s, decides_results);
    ag_status status = ag_str_ok(&text, err);
    ag_sha256_of(hex, ag_str_text(&text), text.len);
    ag_str_free(&text);
    return status;
}

/* Which methods have a setting. */
static const char *readers(int parts)
{
    static const struct {
        int part;
        const char *text;
    } rows[] = {{IMITATES, "; sft and sft+"},
                {SAMPLES, "; methods that sample"},
                {ADVANTAGES, "; grpo, grpo-pr, rrs, agr, agrl, agr-shuffled"},
                {GATES, "; rrs, agrl, agr-shuffled"},
                {REPLAYS, "; agr, agrl, agr-shuffled, rft"},
                {WEIGHS, "; agr, agrl, agr-shuffled"},
                {PREFERS, "; dpo and dpo-gold"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].part == parts) return rows[i].text;
    return "";
}

static void help_rows(ag_str *out, const row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const row *r = &rows[i];
        ag_str_addf(out, "  %-22s %s", r->name, r->help);
        ag_str_add(out, " (");
        if (r->choices) ag_str_addf(out, "%s; ", r->choices);
        if (r->kind == WHOLE || r->kind == NUMBER) ag_str_addf(out, "%g to %g; ", r->lo, r->hi);
        if (!r->standard)
            ag_str_add(out, "required)\n");
        else
            ag_str_addf(out, "default %s)%s\n", *r->standard ? r->standard : "none", readers(r->parts));
    }
}

void ag_settings_help(ag_str *out)
{
    ag_str_add(out, "Settings of a run:\n");
    help_rows(out, run_rows, RUN_ROWS);
    ag_str_add(out, "Settings of each stage:\n");
    help_rows(out, stage_rows, STAGE_ROWS);
    ag_str_add(out, "Methods:\n");
    for (const ag_method *m = ag_methods; m->name; m++) ag_str_addf(out, "  %-22s %s\n", m->name, m->summary);
}
