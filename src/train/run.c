/* run.c: the run folder, the stages and their steps; open.c opens and closes what they work with. */
#include "train/run.h"

#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "train/policy.h"
#include "train/reference.h"
#include "train/rollout.h"
#include "train/trainer.h"

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

/* Is there room for the run where it is to be? */
static ag_status check_folder(const ag_trainer *t, const ag_train_options *o, ag_error *err)
{
    const char *out = t->settings->out;
    if (ag_path_exists(out) && !ag_path_is_dir(out))
        return ag_fail(err, AG_ERR_USAGE, "out: '%s' is there and is no folder", out);
    if (o->resume || o->plan_only || t->comm->rank > 0) return AG_OK;
    char *logs = ag_path_join(out, "metrics.jsonl");
    ag_status status = logs ? AG_OK : ag_fail_memory(err, "run folder");
    if (status == AG_OK && ag_path_exists(logs))
        status = ag_fail(err, AG_ERR_USAGE,
                         "%s already holds a run; continue it with --resume or choose another out", out);
    ag_free(logs);
    return status;
}

/* Makes or continues the folder; loads the newest checkpoint's weights, moments and counters. */
static ag_status open_folder(ag_trainer *t, const ag_train_options *o, ag_error *err)
{
    const char *out = t->settings->out;
    ag_str yaml = {0};
    char digest[65], *dir = NULL, *state = NULL;
    int threads = t->settings->threads > 0 ? (int)t->settings->threads : omp_get_num_procs();
    int64_t newest = -1;
    ag_status status = ag_settings_write(&yaml, t->settings, err);
    if (status == AG_OK) status = ag_settings_digest(digest, t->settings, err);
    bool writes = t->comm->rank == 0; /* the others hold the same state, and leave the folder alone */
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
        if (status == AG_OK) ag_trainer_say(t, "continuing %s at step %" PRId64, out, t->state.step);
    } else if (status == AG_OK) {
        t->state = (ag_train_state){
            .best_step = -1, .threads = threads, .ranks = t->comm->size, .best_value = -1, .best_tie = -1};
        memcpy(t->state.settings, digest, sizeof digest);
    }
    if (status == AG_OK && writes) status = ag_rollouts_cut(out, t->state.step, err);
    if (status == AG_OK && writes)
        status = ag_file_write(out, "config.yaml", ag_str_text(&yaml), yaml.len, err);
    if (status == AG_OK && writes && t->memory.count) status = ag_policy_write_reward(t, err);
    if (status == AG_OK && writes) status = ag_runlog_open(&t->log, out, t->state.logs, err);
    ag_str_free(&yaml);
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
    if (ag_trainer_replays(t))
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
    ag_trainer_say(t, "step %" PRId64 ": validation loss %.4f, macro-F1 %.3f, self-consistency %.3f%s",
                   t->state.step, v.nll, value, tie,
                   !start && t->state.best_step == t->state.step ? " (best so far)" : "");
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

/* One step, its counts and its log. */
static ag_status one_step(ag_trainer *t, const ag_stage *stage, char note[AG_NOTE], ag_error *err)
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
    ag_step_note(note, stage, &r, seconds);
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
    char note[AG_NOTE];
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

ag_status ag_train_run(const ag_settings *settings, const ag_train_options *options,
                       const ag_train_hooks *hooks, ag_error *err)
{
    ag_trainer t = {
        .settings = settings, .hooks = hooks, .comm = options->comm ? options->comm : ag_comm_self()};
    ag_status status = check_folder(&t, options, err);
    if (status == AG_OK) status = ag_trainer_open(&t, options->plan_only ? options->tried : NULL, err);
    if (status == AG_OK && !options->plan_only) {
        status = open_folder(&t, options, err);
        if (status == AG_OK) status = run_stages(&t, err);
    }
    ag_trainer_close(&t);
    return status;
}
