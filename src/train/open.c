/* open.c: what a run needs, from its settings: rules, data, device and model, encoded pairs, the memory plan, the engine; and its end. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "base/rng.h"
#include "train/methods.h"
#include "train/policy.h"
#include "train/reference.h"
#include "train/trainer.h"

void ag_trainer_say(const ag_trainer *t, const char *format, ...)
{
    char line[1024];
    va_list args;
    if (!t->hooks || !t->hooks->say) return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    t->hooks->say(t->hooks->user, line);
}

/* --- what a run's stages are made of --- */

static bool draws_from_pool(const ag_stage *stage)
{
    const ag_method *m = ag_method_find(stage->method);
    return m->pool || (m->parts & AG_METHOD_SAMPLES);
}

static bool replays(const ag_stage *stage)
{
    return ag_method_find(stage->method)->parts & AG_METHOD_REPLAYS;
}

static bool learns_pool_gold(const ag_stage *stage)
{
    const ag_method *m = ag_method_find(stage->method);
    return m->pool && (m->parts & AG_METHOD_IMITATES);
}

static bool learns_prompts(const ag_stage *stage)
{
    return stage->prompt_loss > 0;
}

static bool has_grammar(const ag_stage *stage)
{
    return ag_stage_samples(stage) && stage->grammar;
}

static bool any_stage(const ag_settings *s, bool (*has)(const ag_stage *))
{
    for (int i = 0; i < s->stage_count; i++)
        if (has(&s->stages[i])) return true;
    return false;
}

bool ag_trainer_replays(const ag_trainer *t)
{
    return any_stage(t->settings, replays);
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

static ag_model_options model_options(const ag_trainer *t, ag_dtype type)
{
    const ag_settings *s = t->settings;
    return (ag_model_options){.type = type,
                              .max_positions = (int)s->max_positions,
                              .train = true,
                              .lora_rank = (int)s->lora_rank,
                              .lora_alpha = s->lora_alpha};
}

/* What is wrong at a glance is said before data are read, which may take long. */
static ag_status check_inputs(const ag_trainer *t, ag_error *err)
{
    const ag_settings *s = t->settings;
    const ag_model_options options = model_options(t, AG_F32);
    const char *const files[] = {s->rules, s->train, s->pool, s->valid, s->lexicon};
    ag_config config;
    AG_TRY(*s->model ? ag_model_check(s->model, &options, err)
                     : ag_config_preset(&config, s->scratch_preset, err));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) AG_TRY(ag_path_in_ready(files[i], err));
    for (int i = 0; i < s->stage_count; i++) AG_TRY(ag_policy_check_recorded(&s->stages[i], err));
    return AG_OK;
}

static ag_status open_rules(ag_trainer *t, ag_error *err)
{
    const ag_settings *s = t->settings;
    AG_TRY(ag_book_load(&t->book, s->rules, err));
    for (int i = 0; i < s->stage_count; i++) AG_TRY(ag_policy_check(t->book, s->stages[i].method, err));
    AG_TRY(ag_facts_of_book(&t->facts, t->book, err));
    return ag_lexicon_open(&t->lexicon, t->facts, t->book, s->lexicon, err);
}

static ag_status load_pairs(ag_trainer *t, ag_pair_list *list, const char *path, ag_error *err)
{
    AG_TRY(ag_pairs_load(list, path, t->book, ag_aggregate_find(t->settings->aggregate), err));
    for (size_t i = 0; i < list->count; i++) AG_TRY(ag_pair_fill_asked(list->items[i], t->lexicon, err));
    return AG_OK;
}

/* Validation looks at the first pairs of a fixed shuffle. */
static ag_status choose_valid(ag_trainer *t, ag_error *err)
{
    ag_pair_list *list = &t->valid_pairs;
    size_t keep = (size_t)t->settings->valid_pairs;
    if (list->count <= keep) return AG_OK;
    uint32_t *order = ag_calloc(list->count, sizeof *order);
    ag_pair **chosen = ag_calloc(keep, sizeof *chosen);
    if (order && chosen) {
        ag_rng r = ag_rng_at((uint64_t)t->settings->seed, AG_RNG_SPLIT, 0, 0, 0, 0);
        for (size_t i = 0; i < list->count; i++) order[i] = (uint32_t)i;
        ag_rng_shuffle(&r, order, (uint32_t)list->count);
        for (size_t i = 0; i < list->count; i++) {
            if (i < keep)
                chosen[i] = list->items[order[i]];
            else
                ag_pair_free(list->items[order[i]]);
        }
        memcpy(list->items, chosen, keep * sizeof *chosen);
        list->count = keep;
    }
    bool ok = order && chosen;
    ag_free(order);
    ag_free(chosen);
    return ok ? AG_OK : ag_fail_memory(err, "validation pairs");
}

/* What stages need of the pool's gold. A few pairs whose verdicts do not lead to their tier and rule are wrong labels, and said; many show
 * that they were labelled by another book. */
static ag_status check_gold(const ag_trainer *t, ag_error *err)
{
    enum { FEW = 20 }; /* one in so many */
    size_t complete = 0, known = 0, against = 0, n = t->pool ? t->pool->count : 0;
    for (size_t i = 0; i < n; i++) {
        const ag_pair *p = t->pool->items[i];
        complete += ag_policy_gold_complete(t->book, p);
        known += ag_verdicts_complete(t->book, &p->asked, &p->gold.verdicts);
        against += ag_policy_gold_against(t->book, p);
    }
    if (against * FEW > known)
        return ag_fail(
            err, AG_ERR_INPUT,
            "%s: by rulebook '%s' the gold verdicts of %zu of %zu pairs do not lead to their gold tier "
            "and rule: were they labelled by another book? 'agrl rules audit' shows where",
            *t->settings->pool ? t->settings->pool : t->settings->train, t->book->name, against, known);
    for (int i = 0; i < t->settings->stage_count; i++) {
        const ag_method *m = ag_method_find(t->settings->stages[i].method);
        if (m->pool && (m->parts & AG_METHOD_PREFERS) && complete == 0)
            return ag_fail(err, AG_ERR_INPUT, "%s: no pair of the pool has gold verdicts and a rule",
                           m->name);
        if (m->hints == AG_HINT_SHUFFLED && n < 2)
            return ag_fail(err, AG_ERR_INPUT, "%s: the pool must have two pairs or more", m->name);
    }
    if (against)
        ag_trainer_say(
            t, "%zu pairs of the pool have gold verdicts that do not lead to their gold tier and rule",
            against);
    return AG_OK;
}

/* Settings that a run does not use are not passed over in silence. */
static ag_status say_left_out(const ag_trainer *t, ag_error *err)
{
    ag_str names = {0};
    ag_status status = AG_OK;
    for (int i = 0; i < t->settings->stage_count && status == AG_OK; i++) {
        const ag_stage *stage = &t->settings->stages[i];
        ag_str_clear(&names);
        ag_settings_left_out(&names, t->settings, i);
        status = ag_str_ok(&names, err);
        if (status == AG_OK && names.len > 0)
            ag_trainer_say(t, "stage %d: method %s does not have, and leaves out: %s", i, stage->method,
                           ag_str_text(&names));
        if (ag_stage_samples(stage) && *stage->rollouts)
            ag_trainer_say(t, "stage %d: prompts, hints and their weights are those of %s", i,
                           stage->rollouts);
    }
    ag_str_free(&names);
    return status;
}

static ag_status open_data(ag_trainer *t, ag_error *err)
{
    const ag_settings *s = t->settings;
    AG_TRY(say_left_out(t, err));
    if (!t->known) AG_TRY(load_pairs(t, &t->train_pairs, s->train, err));
    size_t pairs = t->known ? t->known->pair_count : t->train_pairs.count;
    if (pairs == 0) return ag_fail(err, AG_ERR_INPUT, "%s: no pairs", s->train);
    if (*s->valid) {
        AG_TRY(load_pairs(t, &t->valid_pairs, s->valid, err));
        AG_TRY(choose_valid(t, err));
    }
    if (any_stage(s, draws_from_pool)) t->pool = *s->pool ? &t->pool_pairs : &t->train_pairs;
    if (!t->pool && *s->pool)
        return ag_fail(err, AG_ERR_USAGE, "data.pool is for sft+ and methods that sample; no stage has one");
    if (t->pool == &t->pool_pairs) AG_TRY(load_pairs(t, t->pool, s->pool, err));
    if (t->pool && t->pool->count == 0) return ag_fail(err, AG_ERR_INPUT, "%s: no pairs", s->pool);
    for (size_t i = 0; t->pool && i < t->pool->count; i++)
        if (t->pool->items[i]->gold.tier < 0 && !t->pool->items[i]->gold.soft)
            return ag_fail(err, AG_ERR_INPUT,
                           "%s: '%s' has no gold tier, and without one no answer has a reward",
                           t->pool->items[i]->where, t->pool->items[i]->id);
    if (t->pool) ag_policy_balance(t->verdict_weight, t->book, t->pool);
    AG_TRY(check_gold(t, err));
    if (any_stage(s, ag_stage_samples))
        AG_TRY(ag_memory_create(&t->memory, t->pool->count, t->book->tier_count, err));
    ag_trainer_say(t, "%zu training pairs, %zu validation pairs", pairs, t->valid_pairs.count);
    if (t->pool == &t->pool_pairs) ag_trainer_say(t, "%zu pairs to draw prompts from", t->pool->count);
    return AG_OK;
}

/* A shape by preset, a tokenizer from the pairs, random weights. */
static ag_status open_scratch(ag_trainer *t, const ag_model_options *options, ag_error *err)
{
    const ag_settings *s = t->settings;
    ag_config config;
    AG_TRY(ag_config_preset(&config, s->scratch_preset, err));
    ag_trainer_say(t, "training a tokenizer of %ld tokens", s->scratch_vocab);
    AG_TRY(ag_dataset_tokenizer(&t->opened.tokenizer, &t->train_pairs, t->book, &t->format.prompt,
                                (int)s->scratch_vocab, err));
    config.vocab = ag_tokenizer_vocab(t->opened.tokenizer);
    config.bos = ag_tokenizer_bos(t->opened.tokenizer);
    config.eos = ag_tokenizer_eos(t->opened.tokenizer);
    config.pad = ag_tokenizer_pad(t->opened.tokenizer);
    AG_TRY(ag_model_create(&t->opened.model, &config, t->device, options, err));
    return ag_model_randomize(t->opened.model, (uint64_t)s->seed, err);
}

/* Each of several ranks of a machine has a card of its own. */
static ag_status open_device(ag_trainer *t, ag_error *err)
{
    const ag_settings *s = t->settings;
    char card[32];
    const char *name = s->device, *how;
    if (t->comm->size > 1 && ag_streq(name, "cuda")) {
        snprintf(card, sizeof card, "cuda:%d", t->comm->local);
        name = card;
    }
    AG_TRY(ag_device_open(&t->device, name, (int)s->threads, err));
    AG_TRY(ag_device_join(t->device, t->comm, &how, err));
    if (t->comm->size > 1) ag_trainer_say(t, "%d ranks; gradients are summed by %s", t->comm->size, how);
    return AG_OK;
}

static ag_status open_model(ag_trainer *t, ag_error *err)
{
    const ag_settings *s = t->settings;
    ag_dtype type;
    AG_TRY(ag_dtype_choose(&type, s->dtype, t->device, err));
    ag_model_options options = model_options(t, type);
    ag_prompt_defaults(&t->format.prompt);
    t->format.prompt.item_tokens = (int)s->item_tokens;
    t->format.prompt.max_tokens = (int)s->max_tokens;
    t->format.prompt.repeat_query = s->repeat_query;
    t->format.prompt.rules = s->rules_in_prompt;
    t->format.prompt.mark_matches = s->mark_matches;
    bool scratch = !*s->model;
    if (scratch)
        AG_TRY(open_scratch(t, &options, err));
    else
        AG_TRY(ag_model_open(&t->opened, s->model, t->device, &options, err));
    t->model = t->opened.model;
    const char *chat = scratch && ag_streq(s->chat, "auto") ? "chatml" : s->chat;
    AG_TRY(ag_chat_choose(&t->format.prompt.chat, chat, t->opened.tokenizer, err));
    AG_TRY(ag_chat_end(t->opened.tokenizer, t->format.prompt.chat, &t->end_id, err));
    ag_trainer_say(t, "%s, %.1f million weights%s, %s on %s", scratch ? s->scratch_preset : s->model,
                   (double)(t->model->matrix_count + t->model->vector_count) / 1e6,
                   t->model->lora_rank ? " (LoRA)" : "", ag_dtype_name(type), s->device);
    return AG_OK;
}

/* What a forest must take: the longest prompt of the pool, with the longest hint where there are hints, and the longest answer that
 * sampling may write. */
static ag_status measure_pool(ag_trainer *t, ag_error *err)
{
    bool hints = any_stage(t->settings, replays);
    int32_t longest = 0, most_hint = 0, prompt = 0, most_answer = 0;
    ag_str hint = {0};
    ag_tokens ids = {0};
    ag_status status = AG_OK;
    ag_hint_fields all;
    memset(&all, 1, sizeof all);
    for (size_t i = 0; i < t->pool->count && status == AG_OK; i++) {
        const ag_pair *p = t->pool->items[i];
        bool reveals;
        ag_str_clear(&hint);
        for (int level = 5; hints && hint.len == 0 && level > 0 && status == AG_OK; level--)
            status = ag_hint_build(&hint, &reveals, t->book, &p->item, &p->asked, &p->gold, &all, level, err);
        ids.len = 0;
        if (status == AG_OK)
            status = ag_prompt_encode(&ids, t->book, t->opened.tokenizer, &t->format.prompt, p->query,
                                      &p->item, &p->asked, NULL, NULL, err);
        int32_t plain = (int32_t)ids.len, answer = ag_answer_limit(t->book, &p->asked);
        if (hint.len > 0 && status == AG_OK) {
            ids.len = 0;
            status = ag_prompt_encode(&ids, t->book, t->opened.tokenizer, &t->format.prompt, p->query,
                                      &p->item, &p->asked, ag_str_text(&hint), NULL, err);
            if ((int32_t)ids.len - plain > most_hint) most_hint = (int32_t)ids.len - plain;
        }
        if (plain + answer > longest) longest = plain + answer;
        if (plain > prompt) prompt = plain;
        if (answer > most_answer) most_answer = answer;
    }
    t->pool_longest = longest + most_hint; /* a hint may be another prompt's */
    t->pool_prompt = prompt + most_hint;
    t->pool_answer = most_answer;
    ag_tokens_free(&ids);
    ag_str_free(&hint);
    return status;
}

static ag_status encode_pairs(ag_trainer *t, ag_error *err)
{
    ag_dataset_options o = {.book = t->book,
                            .tokenizer = t->opened.tokenizer,
                            .prompt = t->format.prompt,
                            .end_id = t->end_id,
                            .hint_share = t->settings->hint_share,
                            .hint_counterfactual = t->settings->hint_counterfactual,
                            .seed = (uint64_t)t->settings->seed};
    if (t->known)
        t->train = t->known->train;
    else
        AG_TRY(ag_dataset_build(&t->train, &t->train_pairs, &o, err));
    if (t->train.count == 0)
        return ag_fail(err, AG_ERR_INPUT, "%s: no pair has a gold tier that can be trained",
                       t->settings->train);
    bool prompts = any_stage(t->settings, learns_prompts);
    if (prompts && !t->known) ag_dataset_want_prompts(&t->train);
    o.hint_share = 0;
    if (t->pool) AG_TRY(measure_pool(t, err));
    for (int i = 0; i < t->settings->stage_count;
         i++) /* what cannot be trained on is refused before the first step of any stage */
        AG_TRY(ag_policy_open_recorded(t, &t->settings->stages[i], err));
    if (any_stage(t->settings, learns_pool_gold)) {
        AG_TRY(ag_dataset_build(&t->pool_set, t->pool, &o, err));
        if (t->pool_set.count == 0)
            return ag_fail(err, AG_ERR_INPUT,
                           "sft+: no pair of the pool has a gold tier that can be trained");
        if (t->pool_set.longest > t->pool_longest) t->pool_longest = t->pool_set.longest;
        if (prompts) ag_dataset_want_prompts(&t->pool_set);
    }
    AG_TRY(ag_dataset_build(&t->valid, &t->valid_pairs, &o, err));
    ag_trainer_say(
        t,
        "%zu examples (%zu tier only, %zu hinted, %zu without gold left out, %zu with text cut), longest %d "
        "tokens",
        t->train.count, t->train.tier_only, t->train.hinted, t->train.dropped, t->train.truncated,
        t->train.longest);
    if (t->train.longest > t->model->rope_positions)
        return ag_fail(err, AG_ERR_INPUT,
                       "the longest example has %d tokens, the model takes %d; lower prompt.item_tokens or "
                       "raise max_positions",
                       t->train.longest, t->model->rope_positions);
    return AG_OK;
}

static ag_pass_options pass_options(const ag_trainer *t)
{
    ag_pass_options o = {.max_rows = t->max_rows, .max_targets = t->max_targets, .train = true};
    ag_recompute_named(&o.recompute, t->settings->recompute); /* the settings have checked the name */
    return o;
}

/* What the run needs, a line a class, against what the machine has free. */
static ag_status plan_memory(const ag_trainer *t, ag_error *err)
{
    const ag_settings *s = t->settings;
    ag_model_options mo = model_options(t, t->model->type);
    ag_pass_options po = pass_options(t);
    mo.lora_rank = t->model->lora_rank;
    ag_memory_need n = ag_model_memory(&t->model->config, &mo, &po, t->device);
    double mb = 1.0 / (1 << 20), kv = (double)ag_session_bytes(&t->model->config, (int32_t)s->kv_slots,
                                                               ag_model_kept_type(t->model)) *
                                      mb;
    double optimizer = 3.0 * (double)t->model->train_count * (double)ag_dtype_size(t->device->real) * mb;
    for (int i = 0; i < s->stage_count; i++)
        if (ag_streq(s->stages[i].optimizer, "muon")) {
            optimizer += (double)ag_optimizer_muon_bytes(t->model) * mb;
            break;
        }
    if (any_stage(s, ag_reference_needed))
        optimizer += (double)t->model->train_count * (double)ag_dtype_size(t->device->real) * mb;
    const ag_config *c = &t->model->config;
    const ag_scratch_shape shape = {t->max_rows, c->width, c->vocab, c->heads, c->kv_heads, c->head_dim};
    double scratch = t->device->scratch ? (double)t->device->scratch(t->device, &shape) * mb : 0;
    double total = (double)(n.weights + n.gradients + n.activations + n.head + n.other) * mb + kv +
                   optimizer + scratch;
    char operations[48] = "";
    if (scratch > 0) snprintf(operations, sizeof operations, ", operations %.0f", scratch);
    ag_trainer_say(
        t,
        "memory: weights %.0f MiB, gradients %.0f, optimizer %.0f, activations %.0f, head %.0f, keys and "
        "values %.0f%s; total %.0f MiB",
        (double)n.weights * mb, (double)n.gradients * mb, optimizer, (double)n.activations * mb,
        (double)n.head * mb, kv, operations, total);
    size_t free, have;
    AG_TRY(ag_device_memory(t->device, &free, &have, err));
    if (total > 0.95 * (double)have * mb)
        return ag_fail(err, AG_ERR_MEMORY,
                       "the run needs %.0f MiB and device '%s' has %.0f (%.0f free); lower micro_tokens "
                       "(%ld) or kv_slots (%ld), or set recompute: %s",
                       total, t->device->name, (double)have * mb, (double)free * mb, s->micro_tokens,
                       s->kv_slots, ag_streq(s->recompute, "none") ? "head or layer" : "layer");
    return AG_OK;
}

/* A group of answers to the longest prompt must fit the store of keys and values, and its positions the model. */
static ag_status check_pool(const ag_trainer *t, ag_error *err)
{
    const ag_settings *s = t->settings;
    for (int i = 0; i < s->stage_count; i++) {
        const ag_stage *stage = &s->stages[i];
        if (!ag_stage_samples(stage)) continue;
        long answers = replays(stage) && stage->hint_answers > stage->group ? stage->hint_answers
                                                                            : stage->group;
        long need = t->pool_prompt + answers * (t->pool_answer + 1);
        if (need > s->kv_slots)
            return ag_fail(err, AG_ERR_USAGE,
                           "kv_slots: %ld is too small for %ld answers of up to %d tokens to a prompt of %d; "
                           "%ld will do",
                           s->kv_slots, answers, t->pool_answer, t->pool_prompt, need);
    }
    if (t->pool_longest > t->model->rope_positions)
        return ag_fail(err, AG_ERR_INPUT,
                       "the pool's longest prompt and answer have %d tokens, the model takes %d; lower "
                       "prompt.item_tokens or raise max_positions",
                       t->pool_longest, t->model->rope_positions);
    return AG_OK;
}

static ag_status open_engine(ag_trainer *t, ag_error *err)
{
    const ag_settings *s = t->settings;
    t->max_rows = (int32_t)s->micro_tokens;
    if (t->max_rows < t->train.longest) t->max_rows = t->train.longest;
    if (t->max_rows < t->pool_longest) t->max_rows = t->pool_longest;
    t->max_targets = t->max_rows;
    if (any_stage(s, learns_prompts))
        t->max_targets = 2 * t->max_rows; /* a shared token is a target of each who shares it */
    enum { LEAVES = 256 };                /* room for the ends of answers that are scored beside each other */
    if (t->valid.count && t->valid.longest + LEAVES > s->kv_slots)
        return ag_fail(
            err, AG_ERR_USAGE,
            "kv_slots: %ld is too small to judge the validation pairs, the longest of which has %d tokens; "
            "%d will do",
            s->kv_slots, t->valid.longest, t->valid.longest + LEAVES);
    AG_TRY(check_pool(t, err));
    AG_TRY(plan_memory(t, err));
    ag_pass_options po = pass_options(t);
    AG_TRY(ag_pass_create(&t->pass, t->model, &po, err));
    AG_TRY(ag_optimizer_create(&t->optimizer, t->model, err));
    if (any_stage(s, has_grammar)) {
        AG_TRY(ag_grammar_build(&t->grammar, t->book, t->opened.tokenizer, t->end_id, err));
        for (size_t i = 0; i < t->pool->count; i++)
            AG_TRY(ag_grammar_prepare(t->grammar, &t->pool->items[i]->asked, err));
    }
    ag_judge_options jo = {.format = t->format, .kv_slots = (int32_t)s->kv_slots, .max_rows = 1024};
    return ag_judge_create(&t->judge, t->model, t->opened.tokenizer, t->book, &jo, err);
}

/* --- runs that are only planned --------------------------------------------------------------------------------------- */

void ag_train_tried_free(ag_train_tried *tried)
{
    ag_free(tried->settings);
    *tried = (ag_train_tried){0};
}

/* All settings outside the stages but the run folder: a few decide what the training set becomes, and which is not listed again here.
 * *text: ag_free. */
static ag_status settings_of_data(char **text, const ag_settings *s, ag_error *err)
{
    ag_settings rest = *s;
    ag_str yaml = {0};
    rest.stage_count = 0;
    rest.out = "";
    ag_status status = ag_settings_write(&yaml, &rest, err);
    *text = ag_str_take(&yaml);
    if (status == AG_OK && !*text) status = ag_fail_memory(err, "settings");
    return status;
}

/* Does the run need no more of the training set than what an earlier one found? A tokenizer is made from the pairs, and a pool may be
 * the pairs. */
static ag_status recall_tried(ag_trainer *t, const ag_train_tried *tried, ag_error *err)
{
    const ag_settings *s = t->settings;
    char *own = NULL;
    if (!tried->settings || !*s->model || (any_stage(s, draws_from_pool) && !*s->pool)) return AG_OK;
    ag_status status = settings_of_data(&own, s, err);
    if (status == AG_OK && ag_streq(own, tried->settings)) t->known = tried;
    ag_free(own);
    return status;
}

static ag_status keep_tried(const ag_trainer *t, ag_train_tried *tried, ag_error *err)
{
    if (t->known) return AG_OK;
    ag_train_tried_free(tried);
    tried->pair_count = t->train_pairs.count;
    tried->train = (ag_dataset){.count = t->train.count,
                                .tier_only = t->train.tier_only,
                                .dropped = t->train.dropped,
                                .hinted = t->train.hinted,
                                .truncated = t->train.truncated,
                                .longest = t->train.longest};
    return settings_of_data(&tried->settings, t->settings, err);
}

ag_status ag_trainer_open(ag_trainer *t, ag_train_tried *tried, ag_error *err)
{
    if (tried) AG_TRY(recall_tried(t, tried, err));
    AG_TRY(check_inputs(t, err));
    AG_TRY(open_device(t, err));
    AG_TRY(open_rules(t, err));
    AG_TRY(open_data(t, err));
    AG_TRY(open_model(t, err));
    AG_TRY(encode_pairs(t, err));
    AG_TRY(open_engine(t, err));
    return tried ? keep_tried(t, tried, err) : AG_OK;
}

void ag_trainer_close(ag_trainer *t)
{
    ag_runlog_close(t->log);
    ag_judge_free(t->judge);
    ag_pass_free(t->pass);
    ag_reference_free(t);
    ag_policy_close_recorded(t);
    ag_grammar_free(t->grammar);
    ag_memory_free(&t->memory);
    ag_dataset_free(&t->pool_set);
    ag_optimizer_free(&t->optimizer);
    ag_dataset_free(&t->train);
    ag_dataset_free(&t->valid);
    ag_opened_close(&t->opened);
    ag_device_close(t->device);
    ag_pair_list_free(&t->train_pairs);
    ag_pair_list_free(&t->valid_pairs);
    ag_pair_list_free(&t->pool_pairs);
    ag_free(t->pool_stream.order);
    ag_forest_builder_free(&t->builder);
    ag_lexicon_free(t->lexicon);
    ag_facts_free(t->facts);
    ag_book_free(t->book);
    ag_free(t->train_stream.order);
}
