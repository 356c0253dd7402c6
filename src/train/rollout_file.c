/* rollout_file.c: rollouts in a run's folder: written a step a file, cut on resume, and read again to train on. */
#include "train/rollout.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static json_t *integers(const int32_t *values, int32_t n)
{
    json_t *list = json_array();
    for (int32_t i = 0; list && i < n; i++)
        if (json_array_append_new(list, json_integer(values[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *numbers(const double *values, int32_t n)
{
    json_t *list = json_array();
    for (int32_t i = 0; list && i < n; i++)
        if (json_array_append_new(list, json_real(values[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *marks(const uint8_t *values, int32_t n)
{
    json_t *list = json_array();
    for (int32_t i = 0; list && i < n; i++)
        if (values[i] && json_array_append_new(list, json_integer(i)) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static const char *const mode_names[] = {"plain", "hinted", "transfer"};

static int32_t chosen(const ag_rollout *o)
{
    int32_t n = 0;
    for (int32_t k = 0; k < o->count; k++) n += !o->forced[k];
    return n;
}

/* The pair's gold; where raters gave it, the share of each tier as well. */
static json_t *gold_json(const ag_book *book, const ag_pair *pair)
{
    json_t *gold = ag_gold_to_json(pair, book), *shares = pair->gold.soft ? json_object() : NULL;
    bool ok = gold && (shares || !pair->gold.soft);
    for (int t = 0; ok && shares && t < book->tier_count; t++)
        ok = ag_json_set(shares, book->tiers[t].id, json_real(pair->gold.soft[t]));
    if (ok && shares) ok = json_object_set(gold, "shares", shares) == 0;
    json_decref(shares);
    if (ok) return gold;
    json_decref(gold);
    return NULL;
}

/* What the answers of a group share: how they were sampled, and what they are rewarded by beside reward.json. */
static bool put_head(json_t *line, const ag_rollouts *r, const ag_rollout *o, const ag_book *book,
                     const ag_pair *pair)
{
    bool ok = ag_json_set(line, "temperature", json_real(r->temperature)) &&
              (!r->grammar || ag_json_set(line, "grammar", json_true())) &&
              ag_json_set(line, "method", json_string(r->method)) &&
              ag_json_set(line, "gate", json_string(ag_gate_names[r->gate])) &&
              (r->gate != AG_GATE_SOFT || ag_json_set(line, "gate_soft", json_real(r->gate_soft))) &&
              ag_json_set(line, "gold", gold_json(book, pair)) &&
              ag_json_set(line, "prompt", integers(o->prompt, o->prompt_count));
    if (!ok || !o->hint) return ok;
    return ag_json_set(line, "hint", json_string(o->hint)) &&
           ag_json_set(line, "reveals", json_boolean(o->reveals)) &&
           ag_json_set(line, "sampled_prompt", integers(o->sampled_prompt, o->sampled_prompt_count));
}

/* A line. */
static json_t *rollout_json(const ag_rollouts *r, const ag_rollout *o, const ag_book *book,
                            const ag_pair *pair)
{
    json_t *line = json_pack("{s:s, s:i, s:i, s:i, s:I, s:b, s:b, s:f}", "id", pair->id, "draw", (int)o->draw,
                             "sample", (int)o->sample, "level", o->level, "version", (json_int_t)o->version,
                             "finished", o->finished, "trained", o->trained, "advantage", o->advantage);
    bool ok = line != NULL;
    if (ok && o->sample == 0) ok = put_head(line, r, o, book, pair);
    if (ok && o->mode != AG_ROLLOUT_PLAIN)
        ok = ag_json_set(line, "mode", json_string(mode_names[o->mode])) &&
             ag_json_set(line, "reliance", json_real(o->reliance)) &&
             (!o->weight || ag_json_set(line, "weights", numbers(o->weight, chosen(o))));
    ok = ok && ag_json_set(line, "tokens", integers(o->tokens, o->count)) &&
         ag_json_set(line, "logprobs", numbers(o->logprob, o->count));
    if (ok && chosen(o) < o->count) ok = ag_json_set(line, "forced", marks(o->forced, o->count));
    json_t *text = memchr(o->text, 0, o->text_len) ? NULL : json_stringn(o->text, o->text_len);
    ok = ok && ag_json_set(line, "text", text ? text : json_null()); /* null: no valid text */
    ok = ok &&
         ag_json_set(line, "verdict", ag_verdict_to_json(book, &pair->asked, &o->verdict, NULL, o->refusal));
    if (ok) return line;
    json_decref(line);
    return NULL;
}

static char *file_of(const char *run_dir, int64_t step)
{
    char name[64];
    snprintf(name, sizeof name, "rollouts/step-%06" PRId64 ".jsonl.gz", step);
    return ag_path_join(run_dir, name);
}

ag_status ag_rollouts_write(const ag_rollouts *r, const ag_book *book, const ag_pair_list *pool,
                            const char *run_dir, int64_t step, ag_error *err)
{
    char *path = file_of(run_dir, step), *dir = path ? ag_path_dir(path) : NULL;
    ag_out *out = NULL;
    ag_status status = dir ? ag_dir_make(dir, err) : ag_fail_memory(err, "rollouts");
    if (status == AG_OK) status = ag_out_open(&out, path, err);
    for (size_t i = 0; i < r->count && status == AG_OK; i++)
        status = ag_json_write_line(out, rollout_json(r, &r->items[i], book, pool->items[r->items[i].pair]),
                                    err);
    if (status == AG_OK)
        status = ag_out_commit(out, err);
    else
        ag_out_abort(out);
    ag_free(path);
    ag_free(dir);
    return status;
}

ag_status ag_rollouts_cut(const char *run_dir, int64_t step, ag_error *err)
{
    char *folder = ag_path_join(run_dir, "rollouts");
    if (!folder) return ag_fail_memory(err, "rollouts");
    DIR *dir = opendir(folder);
    ag_status status = dir || errno == ENOENT ? AG_OK : ag_fail_errno(err, "cannot open", folder);
    for (struct dirent *e; dir && status == AG_OK && (e = readdir(dir));) {
        char *end;
        if (strncmp(e->d_name, "step-", 5) != 0) continue;
        long long of = strtoll(e->d_name + 5, &end, 10);
        if (!ag_streq(end, ".jsonl.gz") || of <= step) continue;
        char *path = ag_path_join(folder, e->d_name);
        if (!path)
            status = ag_fail_memory(err, "rollouts");
        else if (unlink(path) != 0)
            status = ag_fail_errno(err, "cannot remove", path);
        ag_free(path);
    }
    if (dir) closedir(dir);
    ag_free(folder);
    return status;
}

/* --- reading -------------------------------------------------------------------------------------------------- */

typedef struct reader {
    ag_rollouts *r;
    const ag_tokenizer *tokenizer;
    const ag_pair_list *pool;
    json_t *pairs;   /* id -> number in the pool */
    ag_rollout head; /* the first answer of the group at hand: its prompts are those of the others */
} reader;

static ag_status read_integers(reader *d, const json_t *list, const int32_t **values, int32_t *count,
                               const char *where, ag_error *err)
{
    size_t n = json_array_size(list);
    int32_t *to = ag_arena_alloc(&d->r->arena, n + 1, sizeof *to);
    if (!to) return ag_fail_memory(err, "rollouts");
    for (size_t i = 0; i < n; i++) {
        json_int_t x = json_integer_value(json_array_get(list, i));
        if (x < 0 || x >= ag_tokenizer_vocab(d->tokenizer))
            return ag_fail(err, AG_ERR_INPUT, "%s: token %lld is none of this model's", where, (long long)x);
        to[i] = (int32_t)x;
    }
    *values = to;
    *count = (int32_t)n;
    return AG_OK;
}

static ag_status read_numbers(reader *d, const json_t *list, size_t n, double **values, const char *what,
                              const char *where, ag_error *err)
{
    *values = ag_arena_alloc(&d->r->arena, n + 1, sizeof **values);
    if (!*values) return ag_fail_memory(err, "rollouts");
    if (json_array_size(list) != n)
        return ag_fail(err, AG_ERR_INPUT, "%s: '%s' must have %zu values", where, what, n);
    for (size_t i = 0; i < n; i++) (*values)[i] = json_number_value(json_array_get(list, i));
    return AG_OK;
}

/* How the group was sampled whose first line this is. */
static ag_status read_way(ag_recording *how, const json_t *line, const char *where, ag_error *err)
{
    if (!json_is_array(json_object_get(line, "prompt")))
        return ag_fail(err, AG_ERR_INPUT, "%s: not a rollout: the first of a group needs a 'prompt'", where);
    how->temperature = 1;
    how->grammar = json_is_true(json_object_get(line, "grammar"));
    return ag_json_get_double(line, "temperature", &how->temperature, where, err);
}

/* What the answers of a group share. */
static ag_status read_head(reader *d, const json_t *line, const char *where, ag_error *err)
{
    const char *id = NULL, *hint = NULL;
    long draw = 0, level = 0;
    ag_rollout *h = &d->head;
    *h = (ag_rollout){0};
    AG_TRY(ag_json_get_string(line, "id", &id, where, err));
    AG_TRY(ag_json_get_string(line, "hint", &hint, where, err));
    AG_TRY(ag_json_get_int(line, "draw", 0, 0x7fffffff, &draw, where, err));
    AG_TRY(ag_json_get_int(line, "level", 0, 5, &level, where, err));
    const json_t *pair = id ? json_object_get(d->pairs, id) : NULL;
    if (!pair)
        return ag_fail(err, AG_ERR_INPUT,
                       "%s: '%s' is not in the pool; train with the pool of the run that sampled", where,
                       id ? id : "?");
    ag_recording way;
    AG_TRY(read_way(&way, line, where, err));
    if (d->r->count > 0 && (way.temperature != d->r->temperature || way.grammar != d->r->grammar))
        return ag_fail(err, AG_ERR_INPUT, "%s: sampled in another way than the rollouts before it", where);
    d->r->temperature = way.temperature;
    d->r->grammar = way.grammar;
    h->pair = (size_t)json_integer_value(pair);
    h->draw = (int32_t)draw;
    h->level = (int)level;
    h->reveals = json_is_true(json_object_get(line, "reveals"));
    if (hint && !(h->hint = ag_arena_strdup(&d->r->arena, hint))) return ag_fail_memory(err, "rollouts");
    AG_TRY(read_integers(d, json_object_get(line, "prompt"), &h->prompt, &h->prompt_count, where, err));
    h->sampled_prompt = h->prompt;
    h->sampled_prompt_count = h->prompt_count;
    if (h->prompt_count == 0) return ag_fail(err, AG_ERR_INPUT, "%s: no 'prompt'", where);
    if (!hint) return AG_OK;
    return read_integers(d, json_object_get(line, "sampled_prompt"), &h->sampled_prompt,
                         &h->sampled_prompt_count, where, err);
}

static ag_status read_answer(reader *d, const json_t *line, ag_rollout *o, const char *where, ag_error *err)
{
    long sample = 0, version = 0;
    const json_t *forced = json_object_get(line, "forced"), *weights = json_object_get(line, "weights");
    const char *mode = json_string_value(json_object_get(line, "mode"));
    uint8_t *marked;
    double *logprob;
    ag_str text = {0};
    AG_TRY(ag_json_get_int(line, "sample", 0, 0x7fffffff, &sample, where, err));
    AG_TRY(ag_json_get_int(line, "version", 0, 0x7fffffffffffffff, &version, where, err));
    AG_TRY(read_integers(d, json_object_get(line, "tokens"), &o->tokens, &o->count, where, err));
    AG_TRY(read_numbers(d, json_object_get(line, "logprobs"), (size_t)o->count, &logprob, "logprobs", where,
                        err));
    o->forced = marked = ag_arena_alloc(&d->r->arena, (size_t)o->count + 1, 1);
    if (!marked) return ag_fail_memory(err, "rollouts");
    for (size_t i = 0; i < json_array_size(forced); i++) {
        json_int_t at = json_integer_value(json_array_get(forced, i));
        if (at >= 0 && at < o->count) marked[at] = 1;
    }
    o->logprob = logprob;
    o->sample = (int32_t)sample;
    o->version = version;
    o->finished = json_is_true(json_object_get(line, "finished"));
    o->trained = json_is_true(json_object_get(line, "trained"));
    for (int k = 0; mode && k < 3; k++)
        if (ag_streq(mode, mode_names[k])) o->mode = (ag_rollout_mode)k;
    if (weights) AG_TRY(read_numbers(d, weights, (size_t)chosen(o), &o->weight, "weights", where, err));
    size_t words = (size_t)(o->finished && o->count > 0 ? o->count - 1 : o->count);
    ag_status status = ag_tokenizer_decode(d->tokenizer, o->tokens, words, false, &text, err);
    if (status == AG_OK && !(o->text = ag_arena_strndup(&d->r->arena, ag_str_text(&text), text.len)))
        status = ag_fail_memory(err, "rollouts");
    o->text_len = text.len;
    ag_str_free(&text);
    return status;
}

static ag_status read_file(reader *d, const char *path, ag_error *err)
{
    ag_lines *lines = NULL;
    char *text, where[1200];
    size_t len;
    ag_status status = ag_lines_open(&lines, path, err);
    while (status == AG_OK && (status = ag_lines_next(lines, &text, &len, err)) == AG_OK && text) {
        json_t *line = NULL;
        snprintf(where, sizeof where, "%s:%ld", path, ag_lines_number(lines));
        status = ag_json_parse(&line, text, len, path, ag_lines_number(lines), err);
        if (status == AG_OK && json_object_get(line, "prompt")) status = read_head(d, line, where, err);
        if (status == AG_OK && !d->head.prompt)
            status = ag_fail(err, AG_ERR_INPUT, "%s: not a rollout: the first of a group needs a 'prompt'",
                             where);
        if (status == AG_OK && !ag_grow(&d->r->items, &d->r->cap, d->r->count + 1, sizeof *d->r->items))
            status = ag_fail_memory(err, "rollouts");
        if (status == AG_OK) {
            ag_rollout *o = &d->r->items[d->r->count];
            *o = d->head;
            status = read_answer(d, line, o, where, err);
            d->r->count += status == AG_OK;
        }
        json_decref(line);
    }
    ag_lines_close(lines);
    return status;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The files of a record: itself, or all step files of a rollouts folder in order of their steps (their names are numbers of one length). */
typedef struct files {
    char **names;
    size_t count, cap;
} files;

static ag_status add_file(files *f, char *name, ag_error *err)
{
    if (name && ag_grow(&f->names, &f->cap, f->count + 1, sizeof *f->names)) {
        f->names[f->count++] = name;
        return AG_OK;
    }
    ag_free(name);
    return ag_fail_memory(err, "rollouts");
}

static ag_status list_files(files *f, const char *path, ag_error *err)
{
    if (!ag_path_is_dir(path)) return add_file(f, ag_strdup(path), err);
    DIR *dir = opendir(path);
    ag_status status = dir ? AG_OK : ag_fail_errno(err, "cannot open", path);
    for (struct dirent *e; status == AG_OK && (e = readdir(dir));)
        if (strncmp(e->d_name, "step-", 5) == 0) status = add_file(f, ag_path_join(path, e->d_name), err);
    if (dir) closedir(dir);
    if (status == AG_OK && f->count == 0)
        status = ag_fail(err, AG_ERR_INPUT, "%s: no rollouts (step-N.jsonl.gz) in this folder", path);
    if (status == AG_OK) qsort(f->names, f->count, sizeof *f->names, by_name);
    return status;
}

static void files_free(files *f)
{
    for (size_t i = 0; i < f->count; i++) ag_free(f->names[i]);
    ag_free(f->names);
}

/* Reads on until the next group begins. */
static ag_status peek_file(ag_recording *how, const char *path, ag_error *err)
{
    ag_lines *lines = NULL;
    char *text, where[1200];
    size_t len;
    bool more = true;
    ag_status status = ag_lines_open(&lines, path, err);
    while (status == AG_OK && more && (status = ag_lines_next(lines, &text, &len, err)) == AG_OK && text) {
        json_t *line = NULL;
        status = ag_json_parse(&line, text, len, path, ag_lines_number(lines), err);
        more = how->group == 0 || json_integer_value(json_object_get(line, "sample")) > 0;
        snprintf(where, sizeof where, "%s:%ld", path, ag_lines_number(lines));
        if (status == AG_OK && how->group == 0) status = read_way(how, line, where, err);
        how->group += more;
        json_decref(line);
    }
    ag_lines_close(lines);
    if (status == AG_OK && how->group == 0) status = ag_fail(err, AG_ERR_INPUT, "%s: no rollouts", path);
    return status;
}

ag_status ag_rollouts_peek(ag_recording *how, const char *path, ag_error *err)
{
    files f = {0};
    *how = (ag_recording){0};
    ag_status status = list_files(&f, path, err);
    if (status == AG_OK) status = peek_file(how, f.names[0], err);
    files_free(&f);
    return status;
}

ag_status ag_rollouts_read(ag_rollouts *r, const char *path, const ag_tokenizer *tokenizer,
                           const ag_pair_list *pool, ag_error *err)
{
    files f = {0};
    reader d = {.r = r, .tokenizer = tokenizer, .pool = pool, .pairs = json_object()};
    r->arena.name = "rollouts";
    ag_status status = d.pairs ? AG_OK : ag_fail_memory(err, "rollouts");
    for (size_t i = 0; i < pool->count && status == AG_OK; i++)
        if (!ag_json_set(d.pairs, pool->items[i]->id, json_integer((json_int_t)i)))
            status = ag_fail_memory(err, "rollouts");
    if (status == AG_OK) status = list_files(&f, path, err);
    for (size_t i = 0; i < f.count && status == AG_OK; i++) status = read_file(&d, f.names[i], err);
    files_free(&f);
    json_decref(d.pairs);
    return status;
}
