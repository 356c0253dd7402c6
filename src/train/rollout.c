/* rollout.c: see rollout.h. */
#include "train/rollout.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/rng.h"

void ag_rollouts_free(ag_rollouts *r)
{
    ag_arena_free(&r->arena);
    ag_free(r->items);
    *r = (ag_rollouts){0};
}

/* --- sampling ------------------------------------------------------------------------------------------------- */

static uint64_t stream_of(const ag_sampler *s, const ag_rollout_request *q)
{
    const char *id = s->pool->items[q->pair]->id;
    struct {
        int64_t step;
        uint64_t pair;
        int64_t draw, level;
    } name = {s->step, ag_hash64(id, strlen(id)), q->draw, q->level};
    return ag_hash64(&name, sizeof name);
}

/* A prompt's tokens, kept in the arena. */
static ag_status encode(const ag_sampler *s, size_t pair, const char *hint, ag_arena *arena,
                        const int32_t **tokens, int32_t *count, ag_error *err)
{
    const ag_pair *p = s->pool->items[pair];
    ag_tokens ids = {0};
    ag_status status = ag_prompt_encode(&ids, s->book, s->tokenizer, s->prompt, p->query, &p->item, &p->asked,
                                        hint, NULL, err);
    int32_t *kept = status == AG_OK ? ag_arena_alloc(arena, ids.len, sizeof *kept) : NULL;
    if (status == AG_OK && !kept) status = ag_fail_memory(err, "rollouts");
    if (status == AG_OK) memcpy(kept, ids.ids, ids.len * sizeof *kept);
    *tokens = kept;
    *count = (int32_t)ids.len;
    ag_tokens_free(&ids);
    return status;
}

static void *copy(ag_arena *arena, const void *from, size_t n, size_t size)
{
    void *to = ag_arena_alloc(arena, n, size);
    if (to) memcpy(to, from, n * size);
    return to;
}

/* One continuation becomes a rollout. */
static ag_status keep(ag_rollouts *r, const ag_sampler *s, const ag_generated *g, const ag_rollout *begun,
                      ag_error *err)
{
    ag_str text = {0};
    size_t words = (size_t)(g->finished ? g->count - 1 : g->count), n = (size_t)g->count;
    if (!ag_grow(&r->items, &r->cap, r->count + 1, sizeof *r->items)) return ag_fail_memory(err, "rollouts");
    ag_rollout *o = &r->items[r->count];
    *o = *begun;
    o->count = g->count;
    o->finished = g->finished;
    ag_status status = ag_tokenizer_decode(s->tokenizer, g->tokens, words, false, &text, err);
    if (status == AG_OK) {
        o->tokens = copy(&r->arena, g->tokens, n, sizeof *g->tokens);
        o->logprob = copy(&r->arena, g->logprob, n, sizeof *g->logprob);
        o->forced = copy(&r->arena, g->forced, n, sizeof *g->forced);
        o->text = ag_arena_strndup(&r->arena, ag_str_text(&text), text.len);
        o->text_len = text.len;
        if (!o->tokens || !o->logprob || !o->forced || !o->text || text.failed)
            status = ag_fail_memory(err, "rollouts");
    }
    r->count += status == AG_OK;
    ag_str_free(&text);
    return status;
}

ag_status ag_rollouts_sample(ag_rollouts *r, const ag_sampler *s, const ag_rollout_request *requests,
                             size_t n, ag_error *err)
{
    ag_rollout *begun = ag_calloc(n + 1, sizeof *begun);
    ag_generate_prompt *prompts = ag_calloc(n + 1, sizeof *prompts);
    ag_generated *made = NULL;
    size_t total = 0, at = 0;
    int32_t most = 0;
    r->arena.name = "rollouts";
    ag_status status = begun && prompts ? AG_OK : ag_fail_memory(err, "rollouts");
    for (size_t i = 0; i < n && status == AG_OK; i++) {
        const ag_rollout_request *q = &requests[i];
        ag_rollout *b = &begun[i];
        int32_t limit = ag_answer_limit(s->book, &s->pool->items[q->pair]->asked);
        *b = (ag_rollout){.pair = q->pair,
                          .draw = q->draw,
                          .level = q->level,
                          .reveals = q->reveals,
                          .version = s->version};
        status = encode(s, q->pair, NULL, &r->arena, &b->prompt, &b->prompt_count, err);
        b->sampled_prompt = b->prompt;
        b->sampled_prompt_count = b->prompt_count;
        if (status == AG_OK && q->hint && !(b->hint = ag_arena_strdup(&r->arena, q->hint)))
            status = ag_fail_memory(err, "rollouts");
        if (status == AG_OK && q->hint)
            status = encode(s, q->pair, q->hint, &r->arena, &b->sampled_prompt, &b->sampled_prompt_count,
                            err);
        prompts[i] = (ag_generate_prompt){b->sampled_prompt, b->sampled_prompt_count, q->samples,
                                          stream_of(s, q)};
        total += (size_t)q->samples;
        if (limit > most) most = limit;
    }
    ag_generate_options o = {
        .max_new = most, .end_id = s->end_id, .temperature = s->temperature, .top_p = 1, .seed = s->seed};
    if (status == AG_OK && n) status = ag_generate(s->session, prompts, n, &o, &made, err);
    for (size_t i = 0; i < n && status == AG_OK; i++)
        for (int32_t k = 0; k < requests[i].samples && status == AG_OK; k++) {
            begun[i].sample = k;
            status = keep(r, s, &made[at++], &begun[i], err);
        }
    ag_generated_free(made, made ? total : 0);
    ag_free(begun);
    ag_free(prompts);
    return status;
}

/* --- fields --------------------------------------------------------------------------------------------------- */

static int sign_of(bool known, bool right)
{
    return !known ? 0 : right ? 1 : -1;
}

/* Was the field of this segment answered right? */
static int right_of(const ag_segment *g, const ag_rollout *o, const ag_pair *pair)
{
    const ag_gold *gold = &pair->gold;
    const ag_answer *answer = &o->verdict.answer;
    if (g->part == AG_PART_RULE) return sign_of(gold->rule >= 0, gold->rule == answer->rule);
    if (g->part != AG_PART_CRITERION || g->criterion < 0) return 0;
    int a = g->asked < 0 ? 0 : g->asked, want = gold->verdicts.v[g->criterion][a];
    return sign_of(want >= 0, want == answer->verdicts.v[g->criterion][a]);
}

/* Fields are found by bytes: a sampled answer may be cut into other tokens than the grammar would cut it. A token that belongs to
 * two fields is wrong if either is. */
void ag_rollout_fields(const ag_rollout *o, const ag_book *book, const ag_pair *pair,
                       const ag_tokenizer *tokenizer, int8_t *right)
{
    memset(right, 0, (size_t)o->count);
    if (!o->verdict.format) return;
    int most = ag_answer_segment_max(book, pair->asked.count);
    ag_segment *segments = ag_calloc((size_t)most, sizeof *segments);
    int8_t *of_byte = ag_calloc(o->text_len + 1, 1);
    if (!segments || !of_byte) goto out; /* nothing is known then: credit goes by sequence */
    int n = ag_answer_segments(book, &pair->asked, &o->verdict.answer, segments);
    size_t at = 0;
    for (int i = 0; i < n && segments[i].text; i++) {
        size_t len = segments[i].len + (segments[i].tail != 0);
        for (size_t k = at; k < at + len && k < o->text_len; k++)
            of_byte[k] = (int8_t)right_of(&segments[i], o, pair);
        at += len;
    }
    at = 0;
    for (int32_t t = 0; t < o->count; t++) {
        size_t len = 0;
        if (!ag_tokenizer_bytes(tokenizer, o->tokens[t], &len)) break;
        for (size_t k = at; k < at + len && k < o->text_len; k++) {
            if (of_byte[k] < 0) right[t] = -1;
            if (of_byte[k] > 0 && right[t] == 0) right[t] = 1;
        }
        at += len;
    }
out:
    ag_free(segments);
    ag_free(of_byte);
}

/* --- files ---------------------------------------------------------------------------------------------------- */

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

/* A line. Prompts stand on the first rollout of a group only. */
static json_t *rollout_json(const ag_rollout *o, const ag_book *book, const ag_pair *pair)
{
    json_t *line = json_pack("{s:s, s:i, s:i, s:i, s:I, s:b, s:b, s:f}", "id", pair->id, "draw", (int)o->draw,
                             "sample", (int)o->sample, "level", o->level, "version", (json_int_t)o->version,
                             "finished", o->finished, "trained", o->trained, "advantage", o->advantage);
    bool ok = line != NULL;
    if (ok && o->sample == 0) {
        ok = ag_json_set(line, "prompt", integers(o->prompt, o->prompt_count));
        if (ok && o->hint)
            ok = ag_json_set(line, "hint", json_string(o->hint)) &&
                 ag_json_set(line, "reveals", json_boolean(o->reveals)) &&
                 ag_json_set(line, "sampled_prompt", integers(o->sampled_prompt, o->sampled_prompt_count));
    }
    ok = ok && ag_json_set(line, "tokens", integers(o->tokens, o->count)) &&
         ag_json_set(line, "logprobs", numbers(o->logprob, o->count));
    json_t *text = json_stringn(o->text, o->text_len);
    ok = ok && ag_json_set(line, "text", text ? text : json_null()); /* null: no valid UTF-8 */
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
    for (size_t i = 0; i < r->count && status == AG_OK; i++) {
        ag_str text = {0};
        json_t *line = rollout_json(&r->items[i], book, pool->items[r->items[i].pair]);
        status = line ? ag_json_dump(&text, line, err) : ag_fail_memory(err, "rollouts");
        if (status == AG_OK) ag_out_printf(out, "%s\n", ag_str_text(&text));
        ag_str_free(&text);
        json_decref(line);
    }
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
