/* checkpoint.c: see checkpoint.h. */
#include "train/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"

static char *checkpoints_of(const char *run_dir)
{
    return ag_path_join(run_dir, "checkpoints");
}

char *ag_checkpoint_dir(const char *run_dir, int64_t step)
{
    char name[64], *parent = checkpoints_of(run_dir);
    snprintf(name, sizeof name, "step-%" PRId64, step);
    char *dir = parent ? ag_path_join(parent, name) : NULL;
    ag_free(parent);
    return dir;
}

/* The step of a folder's name, or -1. */
static int64_t step_of(const char *name)
{
    char *end;
    if (strncmp(name, "step-", 5) != 0 || name[5] == 0) return -1;
    int64_t step = strtoll(name + 5, &end, 10);
    return *end == 0 && step >= 0 ? step : -1;
}

static ag_status write_state(const char *dir, const ag_train_state *s, ag_error *err)
{
    json_t *json = json_pack(
        "{s:I, s:i, s:I, s:I, s:I, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I}, s:i, s:i, s:s}",
        "step", (json_int_t)s->step, "stage", s->stage, "stage_step", (json_int_t)s->stage_step,
        "optimizer_step", (json_int_t)s->optimizer_step, "best_step", (json_int_t)s->best_step, "best_value",
        s->best_value, "best_tie", s->best_tie, "tokens", (json_int_t)s->tokens, "unshared_tokens",
        (json_int_t)s->unshared, "pool_position", (json_int_t)s->pool_position, "sampled_tokens",
        (json_int_t)s->sampled, "spent", (json_int_t)s->spent, "stage_spent", (json_int_t)s->stage_spent,
        "logs", "metrics", (json_int_t)s->logs.metrics, "timing", (json_int_t)s->logs.timing, "events",
        (json_int_t)s->logs.events, "threads", s->threads, "ranks", s->ranks, "settings", s->settings);
    char *path = ag_path_join(dir, "state.json");
    ag_status status = json && path ? ag_json_save(path, json, err) : ag_fail_memory(err, "checkpoint");
    ag_free(path);
    json_decref(json);
    return status;
}

static ag_status read_long(const json_t *json, const char *key, int64_t *value, const char *path,
                           ag_error *err)
{
    long x = (long)*value;
    AG_TRY(ag_json_get_int(json, key, -1, 0x7fffffffffffffff, &x, path, err));
    *value = x;
    return AG_OK;
}

static ag_status read_state(const json_t *json, ag_train_state *s, const char *path, ag_error *err)
{
    int64_t stage = 0, threads = 0, ranks = 1;
    const char *digest = NULL;
    const json_t *logs = json_object_get(json, "logs");
    AG_TRY(read_long(json, "step", &s->step, path, err));
    AG_TRY(read_long(json, "stage", &stage, path, err));
    AG_TRY(read_long(json, "stage_step", &s->stage_step, path, err));
    AG_TRY(read_long(json, "optimizer_step", &s->optimizer_step, path, err));
    AG_TRY(read_long(json, "best_step", &s->best_step, path, err));
    AG_TRY(ag_json_get_double(json, "best_value", &s->best_value, path, err));
    AG_TRY(ag_json_get_double(json, "best_tie", &s->best_tie, path, err));
    AG_TRY(read_long(json, "tokens", &s->tokens, path, err));
    AG_TRY(read_long(json, "unshared_tokens", &s->unshared, path, err));
    AG_TRY(read_long(json, "pool_position", &s->pool_position, path, err));
    AG_TRY(read_long(json, "sampled_tokens", &s->sampled, path, err));
    AG_TRY(read_long(json, "spent", &s->spent, path, err));
    AG_TRY(read_long(json, "stage_spent", &s->stage_spent, path, err));
    AG_TRY(read_long(logs, "metrics", &s->logs.metrics, path, err));
    AG_TRY(read_long(logs, "timing", &s->logs.timing, path, err));
    AG_TRY(read_long(logs, "events", &s->logs.events, path, err));
    AG_TRY(read_long(json, "threads", &threads, path, err));
    AG_TRY(read_long(json, "ranks", &ranks, path, err));
    AG_TRY(ag_json_get_string(json, "settings", &digest, path, err));
    s->stage = (int)stage;
    s->threads = (int)threads;
    s->ranks = (int)ranks;
    snprintf(s->settings, sizeof s->settings, "%s", digest ? digest : "");
    return AG_OK;
}

ag_status ag_checkpoint_state(const char *run_dir, int64_t step, ag_train_state *state, ag_error *err)
{
    char *dir = ag_checkpoint_dir(run_dir, step), *path = dir ? ag_path_join(dir, "state/state.json") : NULL;
    json_t *json = NULL;
    *state = (ag_train_state){.best_step = -1};
    ag_status status = path ? ag_json_load(&json, path, err) : ag_fail_memory(err, "checkpoint");
    if (status == AG_OK && !json_is_object(json_object_get(json, "logs")))
        status = ag_fail(err, AG_ERR_INPUT, "%s: not a training state", path);
    if (status == AG_OK) status = read_state(json, state, path, err);
    json_decref(json);
    ag_free(path);
    ag_free(dir);
    return status;
}

/* All parts into a folder that nobody looks at yet. */
static ag_status write_parts(const char *dir, const ag_checkpoint_parts *p, const ag_train_state *state,
                             ag_error *err)
{
    char *inner = ag_path_join(dir, "state"), *lexicon = ag_path_join(dir, "lexicon.json");
    ag_status status = inner && lexicon ? ag_dir_make(inner, err) : ag_fail_memory(err, "checkpoint");
    if (status == AG_OK)
        status = ag_model_save(p->model, dir, p->optimizer->master, p->type, p->base_model, err);
    if (status == AG_OK) status = ag_tokenizer_save(p->tokenizer, dir, err);
    if (status == AG_OK) status = ag_judge_format_save(p->format, p->book, dir, err);
    if (status == AG_OK) status = ag_lexicon_save(p->lexicon, lexicon, err);
    if (status == AG_OK) status = ag_optimizer_save(p->optimizer, inner, err);
    if (status == AG_OK && p->memory) status = ag_memory_save(p->memory, p->pool, inner, err);
    if (status == AG_OK) status = write_state(inner, state, err);
    if (status == AG_OK) status = ag_dir_sync(inner, err);
    if (status == AG_OK) status = ag_dir_sync(dir, err);
    ag_free(inner);
    ag_free(lexicon);
    return status;
}

/* checkpoints/NAME -> step-N, replaced in one step. */
static ag_status point(const char *parent, const char *name, int64_t step, ag_error *err)
{
    char target[64], temporary[80];
    snprintf(target, sizeof target, "step-%" PRId64, step);
    snprintf(temporary, sizeof temporary, ".%s.tmp", name);
    char *from = ag_path_join(parent, temporary), *to = ag_path_join(parent, name);
    ag_status status = from && to ? AG_OK : ag_fail_memory(err, "checkpoint");
    if (status == AG_OK && unlink(from) != 0 && errno != ENOENT)
        status = ag_fail_errno(err, "cannot remove", from);
    if (status == AG_OK && (symlink(target, from) != 0 || rename(from, to) != 0))
        status = ag_fail_errno(err, "cannot link", to);
    ag_free(from);
    ag_free(to);
    return status;
}

/* Calls f with every entry of the checkpoints folder. */
typedef ag_status (*entry_visitor)(void *user, const char *parent, const char *name, ag_error *err);

static ag_status each_entry(const char *parent, entry_visitor f, void *user, ag_error *err)
{
    DIR *dir = opendir(parent);
    if (!dir) return errno == ENOENT ? AG_OK : ag_fail_errno(err, "cannot open", parent);
    ag_status status = AG_OK;
    for (struct dirent *e; status == AG_OK && (e = readdir(dir));) status = f(user, parent, e->d_name, err);
    closedir(dir);
    return status;
}

static ag_status remove_entry(const char *parent, const char *name, ag_error *err)
{
    char *path = ag_path_join(parent, name);
    ag_status status = path ? ag_dir_remove(path, err) : ag_fail_memory(err, "checkpoint");
    ag_free(path);
    return status;
}

/* The two newest steps. */
static ag_status find_newest(void *user, const char *parent, const char *name, ag_error *err)
{
    (void)parent, (void)err;
    int64_t *newest = user, step = step_of(name);
    if (step > newest[0])
        newest[1] = newest[0], newest[0] = step;
    else if (step > newest[1] && step < newest[0])
        newest[1] = step;
    return AG_OK;
}

typedef struct keep {
    int64_t newest[2], best;
} keep;

static ag_status prune_entry(void *user, const char *parent, const char *name, ag_error *err)
{
    const keep *k = user;
    int64_t step = step_of(name);
    if (step < 0 || step == k->newest[0] || step == k->newest[1] || step == k->best) return AG_OK;
    return remove_entry(parent, name, err);
}

ag_status ag_checkpoint_save(const char *run_dir, const ag_checkpoint_parts *parts,
                             const ag_train_state *state, ag_error *err)
{
    char temporary[64], *parent = checkpoints_of(run_dir), *final = ag_checkpoint_dir(run_dir, state->step);
    snprintf(temporary, sizeof temporary, ".step-%" PRId64 ".tmp", state->step);
    char *aside = parent ? ag_path_join(parent, temporary) : NULL;
    keep k = {{-1, -1}, state->best_step};
    ag_status status = aside && final ? ag_dir_make(parent, err) : ag_fail_memory(err, "checkpoint");
    if (status == AG_OK) status = ag_dir_remove(aside, err);
    if (status == AG_OK) status = ag_dir_make(aside, err);
    if (status == AG_OK) status = write_parts(aside, parts, state, err);
    if (status == AG_OK && rename(aside, final) != 0)
        status = ag_fail_errno(err, "cannot rename into", final);
    if (status != AG_OK && aside) ag_dir_remove(aside, NULL);
    if (status == AG_OK) status = ag_dir_sync(parent, err);
    if (status == AG_OK) status = point(parent, "last", state->step, err);
    if (status == AG_OK)
        status = point(parent, "best", state->best_step >= 0 ? state->best_step : state->step, err);
    if (status == AG_OK) status = each_entry(parent, find_newest, k.newest, err);
    if (status == AG_OK) status = each_entry(parent, prune_entry, &k, err);
    ag_free(parent);
    ag_free(final);
    ag_free(aside);
    return status;
}

static ag_status remove_leftover(void *user, const char *parent, const char *name, ag_error *err)
{
    (void)user;
    size_t n = strlen(name);
    return name[0] == '.' && n > 4 && strcmp(name + n - 4, ".tmp") == 0 ? remove_entry(parent, name, err)
                                                                        : AG_OK;
}

/* A kill between the rename of a checkpoint and its links leaves the links behind: they are set again from its state. */
ag_status ag_checkpoint_newest(const char *run_dir, int64_t *step, ag_error *err)
{
    char *parent = checkpoints_of(run_dir);
    int64_t newest[2] = {-1, -1};
    ag_train_state state;
    ag_status status = parent ? each_entry(parent, remove_leftover, NULL, err)
                              : ag_fail_memory(err, "checkpoint");
    if (status == AG_OK) status = each_entry(parent, find_newest, newest, err);
    *step = newest[0];
    if (status == AG_OK && *step >= 0) {
        status = ag_checkpoint_state(run_dir, *step, &state, err);
        if (status == AG_OK) status = point(parent, "last", *step, err);
        if (status == AG_OK)
            status = point(parent, "best", state.best_step >= 0 ? state.best_step : *step, err);
        keep k = {{newest[0], newest[1]}, state.best_step};
        if (status == AG_OK) status = each_entry(parent, prune_entry, &k, err);
    }
    ag_free(parent);
    return status;
}
