/* run.c: opens a run, goes through its stages, closes it. */
#include "train/run.h"

#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "train/methods.h"
#include "train/policy.h"
#include "train/reference.h"
#include "train/rollout.h"
#include "train/trainer.h"

static void say(const ag_trainer *t, const char *format, ...) AG_PRINTF(2, 3);
static void say(const ag_trainer *t, const char *format, ...)
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

/* --- opening ------------------------------------------------------------------------------------------------------ */

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

/* What stages need of the pool's gold; pairs whose gold verdicts lead to another tier than their gold one are said. */
static ag_status check_gold(const ag_trainer *t, ag_error *err)
{
    size_t complete = 0, against = 0, n = t->pool ? t->pool->count : 0;
    for (size_t i = 0; i < n; i++) {
        complete += ag_policy_gold_complete(t->book, t->pool->items[i]);
        against += ag_policy_gold_against(t->book, t->pool->items[i]);
    }
    for (int i = 0; i < t->settings->stage_count; i++) {
        const ag_method *m = ag_method_find(t->settings->stages[i].method);
        if (m->pool && (m->parts & AG_METHOD_PREFERS) && complete == 0)
            return ag_fail(err, AG_ERR_INPUT, "%s: no pair of the pool has gold verdicts and a rule",
                           m->name);
        if (m->hints == AG_HINT_SHUFFLED && n < 2)
            return ag_fail(err, AG_ERR_INPUT, "%s: the pool must have two pairs or more", m->name);
    }
    if (against)
        say(t, "%zu pairs of the pool have gold verdicts that do not lead to their gold tier", against);
    return AG_OK;
}

static ag_status open_data(ag_trainer *t, ag_error *err)
{
    const ag_settings *s = t->settings;
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
    if (any_stage(s, ag_stage_samples)) AG_TRY(ag_memory_create(&t->memory, t->pool->count, err));
    say(t, "%zu training pairs, %zu validation pairs", pairs, t->valid_pairs.count);
    if (t->pool == &t->pool_pairs) say(t, "%zu pairs to draw prompts from", t->pool->count);
    return AG_OK;
}

static ag_model_options model_options(const ag_trainer *t, ag_dtype type)
{
    const ag_settings *s = t->settings;
    return (ag_model_options){.type = type,
                              .max_positions = (int)s->max_positions,
                              .train = true,
                              .lora_rank = (int)s->lora_rank,
                              .lora_alpha = s->lora_alpha};
}

/* A shape by preset, a tokenizer from the pairs, random weights. */
static ag_status open_scratch(ag_trainer *t, const ag_model_options *options, ag_error *err)
{
    const ag_settings *s = t->settings;
    ag_config config;
    AG_TRY(ag_config_preset(&config, s->scratch_preset, err));
    say(t, "training a tokenizer of %ld tokens", s->scratch_vocab);
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
    if (t->comm->size > 1) say(t, "%d ranks; gradients are summed by %s", t->comm->size, how);
    return AG_OK;
}

static ag_status open_model(ag_trainer *t, ag_error *err)
{
    const ag_settings *s = t->settings;
    ag_dtype type;
    AG_TRY(open_device(t, err));
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
    say(t, "%s, %.1f million weights%s, %s on %s", scratch ? s->scratch_preset : s->model,
        (double)(t->model->matrix_count + t->model->vector_count) / 1e6, t->model->lora_rank ? " (LoRA)" : "",
        ag_dtype_name(type), s->device);
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
    say(t,
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

/* What the run needs, a line a class, against what the machine has free. */
static ag_status plan_memory(const ag_trainer *t, ag_error *err)
{
    const ag_settings *s = t->settings;
    ag_model_options mo = model_options(t, t->model->type);
    ag_pass_options po = {t->max_rows, t->max_targets, true, ag_streq(s->recompute, "layer")};
    mo.lora_rank = t->model->lora_rank;
    ag_memory_need n = ag_model_memory(&t->model->config, &mo, &po, t->device->real);
    double mb = 1.0 / (1 << 20),
           kv = (double)ag_session_bytes(&t->model->config, (int32_t)s->kv_slots, t->device->real) * mb;
    double optimizer = 3.0 * (double)t->model->train_count * (double)ag_dtype_size(t->device->real) * mb;
    for (int i = 0; i < s->stage_count; i++)
        if (ag_streq(s->stages[i].optimizer, "muon")) {
            optimizer += (double)ag_optimizer_muon_bytes(t->model) * mb;
            break;
        }
    if (any_stage(s, ag_reference_needed))
        optimizer += (double)t->model->train_count * (double)ag_dtype_size(t->device->real) * mb;
    const ag_config *c = &t->model->config;
    const ag_scratch_shape shape = {t->max_rows, c->vocab, c->heads, c->kv_heads, c->head_dim};
    double scratch = t->device->scratch ? (double)t->device->scratch(t->device, &shape) * mb : 0;
    double total = (double)(n.weights + n.gradients + n.activations + n.head + n.other) * mb + kv +
                   optimizer + scratch;
    char operations[48] = "";
    if (scratch > 0) snprintf(operations, sizeof operations, ", operations %.0f", scratch);
    say(t,
        "memory: weights %.0f MiB, gradients %.0f, optimizer %.0f, activations %.0f, head %.0f, keys and "
        "values %.0f%s; total %.0f MiB",
        (double)n.weights * mb, (double)n.gradients * mb, optimizer, (double)n.activations * mb,
        (double)n.head * mb, kv, operations, total);
    size_t free, have;
    AG_TRY(ag_device_memory(t->device, &free, &have, err));
    if (total > 0.95 * (double)have * mb)
        return ag_fail(err, AG_ERR_MEMORY,
                       "the run needs %.0f MiB and device '%s' has %.0f (%.0f free); lower micro_tokens "
                       "(%ld) or kv_slots (%ld), or set recompute: layer",
                       total, t->device->name, (double)have * mb, (double)free * mb, s->micro_tokens,
                       s->kv_slots);
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
    ag_pass_options po = {t->max_rows, t->max_targets, true, ag_streq(s->recompute, "layer")};
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

static void close_trainer(ag_trainer *t)
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

/* --- the run folder ------------------------------------------------------------------------------------------------- */

static ag_status check_resume(ag_trainer *t, const ag_train_options *o, const char *digest, int threads,
                              ag_error *err)
{
    const char *out = t->settings->out;
    if (strcmp(t->state.settings, digest) != 0)
        return ag_fail(err, AG_ERR_USAGE,
                       "%s: the settings differ from those of the run that is to be continued (see its "
                       "config.yaml); use another out",
                       out);
    if (t->state.ranks != t->comm->size && !o->allow_inexact)
        return ag_fail(err, AG_ERR_USAGE,
                       "%s: the run had %d rank%s and now has %d: its bytes would differ; start %d or pass "
                       "--allow-inexact",
                       out, t->state.ranks, t->state.ranks == 1 ? "" : "s", t->comm->size, t->state.ranks);
    if (t->state.threads != threads && !o->allow_inexact)
        return ag_fail(err, AG_ERR_USAGE,
                       "%s: the run had %d threads and now has %d: its bytes would differ; set threads: %d "
                       "or pass --allow-inexact",
                       out, t->state.threads, threads, t->state.threads);
    return AG_OK;
}

/* Makes or continues the folder; loads the newest checkpoint's weights, moments and counters. */
static ag_status open_folder(ag_trainer *t, const ag_train_options *o, ag_error *err)
{
    const char *out = t->settings->out;
    ag_str yaml = {0};
    char digest[65], *logs = ag_path_join(out, "metrics.jsonl"), *dir = NULL, *state = NULL;
    int threads = t->settings->threads > 0 ? (int)t->settings->threads : omp_get_num_procs();
    int64_t newest = -1;
    ag_status status = logs ? ag_settings_write(&yaml, t->settings, err) : ag_fail_memory(err, "run folder");
    if (status == AG_OK) status = ag_settings_digest(digest, t->settings, err);
    bool writes = t->comm->rank == 0; /* the others hold the same state, and leave the folder alone */
    if (status == AG_OK && writes && !o->resume && ag_path_exists(logs))
        status = ag_fail(err, AG_ERR_USAGE,
                         "%s already holds a run; continue it with --resume or choose another out", out);
    if (status == AG_OK && writes) status = ag_dir_make(out, err);
    if (status == AG_OK && writes) status = ag_checkpoint_newest(out, &newest, err);
    double step = writes ? (double)newest : 0; /* it mends the folder, so the others hear it from the first */
    if (status == AG_OK) status = t->comm->sum_double(t->comm, &step, 1, err);
    newest = (int64_t)step;
    if (status == AG_OK && newest >= 0) {
        dir = ag_checkpoint_dir(out, newest);
        state = dir ? ag_path_join(dir, "state") : NULL;
        status = state ? ag_checkpoint_state(out, newest, &t->state, err) : ag_fail_memory(err, "run folder");
        if (status == AG_OK) status = check_resume(t, o, digest, threads, err);
        if (status == AG_OK) status = ag_optimizer_load(&t->optimizer, state, t->state.optimizer_step, err);
        if (status == AG_OK && t->memory.count) status = ag_memory_load(&t->memory, t->pool, state, err);
        if (status == AG_OK) say(t, "continuing %s at step %" PRId64, out, t->state.step);
    } else if (status == AG_OK) {
        t->state = (ag_train_state){
            .best_step = -1, .threads = threads, .ranks = t->comm->size, .best_value = -1, .best_tie = -1};
        memcpy(t->state.settings, digest, sizeof digest);
    }
    if (status == AG_OK && writes) status = ag_rollouts_cut(out, t->state.step, err);
    if (status == AG_OK && writes)
        status = ag_file_write(out, "config.yaml", ag_str_text(&yaml), yaml.len, err);
    if (status == AG_OK && writes) status = ag_runlog_open(&t->log, out, t->state.logs, err);
    ag_str_free(&yaml);
    ag_free(logs);
    ag_free(dir);
    ag_free(state);
    return status;
}

/* --- steps ---------------------------------------------------------------------------------------------------------- */

static ag_status log_step(ag_trainer *t, const ag_stage *stage, const ag_step_result *r, double seconds,
                          ag_error *err)
{
    json_t *line = json_pack("{s:I, s:s, s:f, s:f, s:f, s:I, s:I, s:I}", "step", (json_int_t)t->state.step,
                             "method", stage->method, "loss", r->loss, "lr", r->lr, "grad_norm", r->grad_norm,
                             "tokens", (json_int_t)r->tokens, "unshared_tokens", (json_int_t)r->unshared,
                             "spent", (json_int_t)t->state.spent);
    if (line && r->log) json_object_update(line, r->log);
    if (line && !r->log) json_object_set_new(line, "gold_tokens", json_real(r->gold_tokens));
    json_decref(r->log);
    if (t->comm->rank > 0) {
        json_decref(line);
        return AG_OK;
    }
    if (line && stage->prompt_loss > 0) json_object_set_new(line, "prompt_loss", json_real(r->prompt_loss));
    ag_status status = line ? ag_runlog_metrics(t->log, t->state.step, line, err)
                            : ag_fail_memory(err, "log");
    if (status == AG_OK)
        status = ag_runlog_timing(t->log, t->state.step, seconds, (double)r->tokens / seconds, err);
    json_decref(line);
    return status;
}

static ag_status save_checkpoint(ag_trainer *t, ag_error *err)
{
    t->state.optimizer_step = t->optimizer.step;
    if (t->comm->rank > 0) return AG_OK;
    AG_TRY(ag_runlog_sync(t->log, &t->state.logs, err));
    const char *type = t->settings->save_dtype;
    bool bf16 = ag_streq(type, "bf16") || (ag_streq(type, "auto") && t->model->type == AG_BF16);
    ag_checkpoint_parts parts = {.model = t->model,
                                 .optimizer = &t->optimizer,
                                 .tokenizer = t->opened.tokenizer,
                                 .format = &t->format,
                                 .book = t->book,
                                 .lexicon = t->lexicon,
                                 .base_model = t->opened.base,
                                 .memory = t->memory.count ? &t->memory : NULL,
                                 .pool = t->pool,
                                 .type = bf16 ? AG_WEIGHTS_BF16 : AG_WEIGHTS_F32};
    if (any_stage(t->settings, replays))
        AG_TRY(ag_memory_write_unsolved(&t->memory, t->book, t->pool, t->settings->out, err));
    return ag_checkpoint_save(t->settings->out, &parts, &t->state, err);
}

/* Measures the model and remembers whether it is the best so far; ties go to self-consistency, then to the later step. The start of a
 * stage is only measured: it is no checkpoint. */
static ag_status validate(ag_trainer *t, bool start, ag_error *err)
{
    ag_validation v;
    if (t->valid_pairs.count == 0) {
        if (!start) t->state.best_step = t->state.step;
        return AG_OK;
    }
    if (t->comm->rank > 0) return AG_OK; /* the first rank measures, and chooses */
    AG_TRY(ag_validate(t, &v, err));
    json_t *line = json_pack("{s:I, s:I, s:O}", "step", (json_int_t)t->state.step, "spent",
                             (json_int_t)t->state.spent, "valid", v.json);
    ag_status status = line ? ag_runlog_metrics(t->log, t->state.step, line, err)
                            : ag_fail_memory(err, "log");
    double value = isfinite(v.value) ? v.value : 0, tie = isfinite(v.tie) ? v.tie : 0;
    if (!start &&
        (value > t->state.best_value || (value == t->state.best_value && tie >= t->state.best_tie))) {
        t->state.best_value = value;
        t->state.best_tie = tie;
        t->state.best_step = t->state.step;
    }
    say(t, "step %" PRId64 ": validation loss %.4f, macro-F1 %.3f, self-consistency %.3f%s", t->state.step,
        v.nll, value, tie, !start && t->state.best_step == t->state.step ? " (best so far)" : "");
    json_decref(line);
    json_decref(v.json);
    return status;
}

static bool is_due(long step, long steps, long every)
{
    return step == steps || (every > 0 && step % every == 0);
}

/* Has the stage come to its end: by steps, or by its budget of tokens? */
static bool is_over(const ag_trainer *t, const ag_stage *stage, long steps)
{
    return t->state.stage_step >= steps ||
           (stage->budget > 0 && (double)t->state.stage_spent >= stage->budget);
}

static ag_status after_step(ag_trainer *t, const ag_stage *stage, long steps, ag_error *err)
{
    long step = (long)t->state.stage_step,
         every = stage->checkpoint_every > 0 ? stage->checkpoint_every : stage->valid_every;
    bool stop = t->hooks && t->hooks->stop && t->hooks->stop(t->hooks->user);
    if (t->comm->size > 1) { /* who heard it tells the others */
        double stops = stop;
        AG_TRY(t->comm->sum_double(t->comm, &stops, 1, err));
        stop = stops > 0;
    }
    bool last = is_over(t, stage, steps);
    if (last || is_due(step, steps, stage->valid_every)) AG_TRY(validate(t, false, err));
    bool best = t->state.best_step == t->state.step; /* what `best` points to must be there */
    bool ended = last && t->state.stage + 1 == t->settings->stage_count; /* there is nothing left to stop */
    if (last && !ended) { /* the next stage starts from here, with fresh moments */
        t->state.stage++;
        t->state.stage_step = t->state.stage_spent = 0;
        AG_TRY(ag_optimizer_reset(&t->optimizer, err));
    }
    if (stop || last || best || is_due(step, steps, every)) AG_TRY(save_checkpoint(t, err));
    if (stop && !ended)
        return ag_fail(err, AG_ERR_INTERRUPTED,
                       "stopped at step %" PRId64 "; continue with: agrl train %s/config.yaml --resume",
                       t->state.step, t->settings->out);
    return AG_OK;
}

/* What stands behind the bar. */
static void write_note(char note[192], const ag_step_result *r, bool samples, double seconds)
{
    double rate = (double)r->tokens / seconds;
    if (!samples) {
        snprintf(note, 192, "loss %.4f  %.0f tokens/s", r->loss, rate);
        return;
    }
    int n = snprintf(note, 192, "reward %.3f  right %.2f  gate %.2f  dead %.2f", r->reward, r->accuracy,
                     r->gate, r->dead);
    if (r->guided > 0) n += snprintf(note + n, 192 - (size_t)n, "  guided %.2f", r->guided);
    if (r->truncated > 0) n += snprintf(note + n, 192 - (size_t)n, "  cut %.2f", r->truncated);
    snprintf(note + n, 192 - (size_t)n, "  %.0f tokens/s", rate);
}

/* One step, its counts and its log. */
static ag_status one_step(ag_trainer *t, const ag_stage *stage, char note[192], ag_error *err)
{
    ag_step_result r;
    double start = ag_clock();
    bool samples = ag_stage_samples(stage);
    AG_TRY((samples ? ag_policy_step_run : ag_sft_step)(t, stage, (long)t->state.stage_step + 1, &r, err));
    double seconds = ag_clock() - start;
    t->state.step++;
    t->state.stage_step++;
    t->state.tokens += r.tokens;
    t->state.unshared += r.unshared;
    t->state.sampled += r.sampled;
    t->state.spent += r.sampled + r.trained;
    t->state.stage_spent += r.sampled + r.trained;
    write_note(note, &r, samples, seconds);
    return log_step(t, stage, &r, seconds, err);
}

static void stream_end(ag_stream *s)
{
    ag_free(s->order);
    *s = (ag_stream){0};
}

static ag_status run_stage(ag_trainer *t, ag_error *err)
{
    int number = t->state.stage;
    const ag_stage *stage = &t->settings->stages[number];
    const ag_train_hooks *h = t->hooks;
    long steps = ag_stage_steps(t, stage);
    char note[192];
    stream_end(&t->train_stream); /* each stage has its own orders, and may draw from another set */
    stream_end(&t->pool_stream);
    if (steps <= 0)
        return ag_fail(err, AG_ERR_USAGE, "stage %d (%s) has no steps: raise epochs or set steps", number,
                       stage->method);
    AG_TRY(ag_reference_begin(t, stage, err));
    AG_TRY(ag_policy_open_recorded(t, stage, err));
    if (stage->valid_start && t->state.stage_step == 0) AG_TRY(validate(t, true, err));
    if (h && h->begin) h->begin(h->user, stage->method, (double)steps, (double)t->state.stage_step);
    ag_status status = AG_OK;
    while (status == AG_OK && t->state.stage == number && !is_over(t, stage, steps)) {
        status = one_step(t, stage, note, err);
        if (status == AG_OK && h && h->progress) h->progress(h->user, (double)t->state.stage_step, note);
        if (status == AG_OK) status = after_step(t, stage, steps, err);
    }
    if (h && h->end) h->end(h->user);
    return status;
}

static ag_status run_stages(ag_trainer *t, ag_error *err)
{
    for (;;) {
        int number = t->state.stage;
        AG_TRY(run_stage(t, err));
        if (t->state.stage == number) return AG_OK;
    }
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

ag_status ag_train_run(const ag_settings *settings, const ag_train_options *options,
                       const ag_train_hooks *hooks, ag_error *err)
{
    ag_trainer t = {
        .settings = settings, .hooks = hooks, .comm = options->comm ? options->comm : ag_comm_self()};
    ag_status status = AG_OK;
    if (ag_path_exists(settings->out) && !ag_path_is_dir(settings->out))
        status = ag_fail(err, AG_ERR_USAGE, "out: '%s' is there and is no folder", settings->out);
    ag_train_tried *tried = options->plan_only ? options->tried : NULL;
    if (status == AG_OK && tried) status = recall_tried(&t, tried, err);
    if (status == AG_OK) status = open_rules(&t, err);
    if (status == AG_OK) status = open_data(&t, err);
    if (status == AG_OK) status = open_model(&t, err);
    if (status == AG_OK) status = encode_pairs(&t, err);
    if (status == AG_OK) status = open_engine(&t, err);
    if (status == AG_OK && tried) status = keep_tried(&t, tried, err);
    if (status == AG_OK && !options->plan_only) {
        status = open_folder(&t, options, err);
        if (status == AG_OK) status = run_stages(&t, err);
    }
    close_trainer(&t);
    return status;
}
