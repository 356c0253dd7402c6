/* rollout.c: see rollout.h. */
#include "train/rollout.h"

#include <string.h>
#include "base/rng.h"
#include "train/ranks.h"

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
    ag_status status = ag_tokenizer_decode(s->tokenizer, g->tokens, words, false, &text, NULL);
    if (status == AG_ERR_INPUT) { /* a token of the head that the tokenizer does not have: no answer */
        ag_str_clear(&text);
        status = AG_OK;
    }
    if (status != AG_OK) return ag_fail_memory(err, "rollouts");
    {
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

/* States of the grammar, one an answer. */
typedef struct masking {
    const ag_grammar *grammar;
    ag_grammar_state *states;
    size_t *first; /* of each request's answers */
} masking;

static int masking_allowed(void *user, size_t prompt, int32_t sample, uint32_t *bits)
{
    masking *m = user;
    return ag_grammar_allowed(m->grammar, &m->states[m->first[prompt] + (size_t)sample], bits);
}

static void masking_advance(void *user, size_t prompt, int32_t sample, int32_t id)
{
    masking *m = user;
    ag_grammar_advance(m->grammar, &m->states[m->first[prompt] + (size_t)sample], id);
}

static void masking_free(masking *m)
{
    ag_free(m->states);
    ag_free(m->first);
}

static ag_status masking_start(masking *m, const ag_sampler *s, const ag_rollout_request *requests, size_t n,
                               ag_error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++) total += (size_t)requests[i].samples;
    *m = (masking){s->grammar, ag_calloc(total + 1, sizeof *m->states), ag_calloc(n + 1, sizeof *m->first)};
    if (!m->states || !m->first) return ag_fail_memory(err, "rollouts");
    total = 0;
    for (size_t i = 0; i < n; i++) {
        const ag_asked *asked = &s->pool->items[requests[i].pair]->asked;
        AG_TRY(ag_grammar_prepare(s->grammar, asked, err));
        m->first[i] = total;
        for (int32_t k = 0; k < requests[i].samples; k++)
            ag_grammar_start(s->grammar, asked, &m->states[total++]);
    }
    return AG_OK;
}

ag_status ag_rollouts_sample(ag_rollouts *r, const ag_sampler *s, const ag_rollout_request *requests,
                             size_t n, ag_error *err)
{
    ag_rollout *begun = ag_calloc(n + 1, sizeof *begun);
    ag_generate_prompt *prompts = ag_calloc(n + 1, sizeof *prompts);
    ag_generated *made = NULL;
    size_t total = 0, at = 0;
    int32_t most = 0;
    masking masks = {0};
    const ag_constraint constraint = {&masks, masking_allowed, masking_advance};
    r->arena.name = "rollouts";
    r->temperature = s->temperature;
    r->grammar = s->grammar != NULL;
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
    ag_generate_options o = {.max_new = most,
                             .end_id = s->end_id,
                             .temperature = s->temperature,
                             .top_p = 1,
                             .seed = s->seed,
                             .constraint = s->grammar ? &constraint : NULL};
    if (status == AG_OK && s->grammar) status = masking_start(&masks, s, requests, n, err);
    if (status == AG_OK && n) status = ag_ranks_generate(s->comm, s->session, prompts, n, &o, &made, err);
    for (size_t i = 0; i < n && status == AG_OK; i++)
        for (int32_t k = 0; k < requests[i].samples && status == AG_OK; k++) {
            begun[i].sample = k;
            status = keep(r, s, &made[at++], &begun[i], err);
        }
    ag_generated_free(made, made ? total : 0);
    masking_free(&masks);
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
ag_status ag_rollout_fields(const ag_rollout *o, const ag_book *book, const ag_pair *pair,
                            const ag_tokenizer *tokenizer, int8_t *right, ag_error *err)
{
    ag_status status = AG_OK;
    memset(right, 0, (size_t)o->count);
    if (!o->verdict.format) return AG_OK;
    int most = ag_answer_segment_max(book, pair->asked.count);
    ag_segment *segments = ag_calloc((size_t)most, sizeof *segments);
    int8_t *of_byte = ag_calloc(o->text_len + 1, 1);
    if (!segments || !of_byte) {
        status = ag_fail_memory(err, "answers");
        goto out;
    }
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
    return status;
}
