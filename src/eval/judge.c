/* judge.c: prompts to tier probabilities and answers, in batches that share what they can. */
#include "eval/judge.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/digest.h"
#include "base/mem.h"

enum { PAIR_SLOTS = 128, LEAST_CHUNK = 16 }; /* pairs judged at a time: one for so many slots of the store */

struct ag_judge {
    ag_model *model;
    const ag_tokenizer *tokenizer;
    const ag_book *book;
    ag_judge_options options;
    ag_session *session;
    ag_grammar *grammar;
    int32_t end_id;
    ag_tokens tier_tokens; /* with what ends them, where that is needed */
    int tier_offset[AG_MAX_TIERS + 1];
    ag_judge_work work;
};

ag_status ag_judge_create(ag_judge **judge, ag_model *model, const ag_tokenizer *tokenizer,
                          const ag_book *book, const ag_judge_options *options, ag_error *err)
{
    ag_judge *j = *judge = ag_calloc(1, sizeof *j);
    if (!j) return ag_fail_memory(err, "judge");
    *j = (ag_judge){.model = model, .tokenizer = tokenizer, .book = book, .options = *options};
    if (!j->options.kv_slots) j->options.kv_slots = 8192;
    if (!j->options.max_rows) j->options.max_rows = 2048;
    ag_status status = ag_chat_end(tokenizer, options->format.prompt.chat, &j->end_id, err);
    if (status == AG_OK)
        status = ag_tier_tokens(book, tokenizer, j->end_id, &j->tier_tokens, j->tier_offset, err);
    if (status == AG_OK) status = ag_grammar_build(&j->grammar, book, tokenizer, j->end_id, err);
    if (status == AG_OK)
        status = ag_session_create(&j->session, model, j->options.kv_slots, j->options.max_rows, err);
    if (status != AG_OK) {
        ag_judge_free(j);
        *judge = NULL;
    }
    return status;
}

void ag_judge_free(ag_judge *j)
{
    if (!j) return;
    ag_session_free(j->session);
    ag_grammar_free(j->grammar);
    ag_tokens_free(&j->tier_tokens);
    ag_free(j);
}

void ag_judgements_free(ag_judgement *j, size_t n)
{
    for (size_t i = 0; j && i < n; i++) ag_free(j[i].answer);
    ag_free(j);
}

ag_session *ag_judge_session(const ag_judge *j)
{
    return j->session;
}

const ag_judge_options *ag_judge_options_of(const ag_judge *j)
{
    return &j->options;
}

const ag_book *ag_judge_book(const ag_judge *j)
{
    return j->book;
}

/* --- scoring tiers ---------------------------------------------------------------------------------------------- */

/* Prompt tokens of each input, then (think-first orders) the answer up to the tier. */
typedef struct prompts {
    ag_tokens *tokens;
    size_t n;
} prompts;

static void prompts_free(prompts *p)
{
    for (size_t i = 0; p->tokens && i < p->n; i++) ag_tokens_free(&p->tokens[i]);
    ag_free(p->tokens);
}

static ag_status encode_prompts(ag_judge *j, const ag_judge_input *inputs, size_t n, prompts *p,
                                ag_judgement *out, ag_error *err)
{
    p->n = n;
    p->tokens = ag_calloc(n, sizeof *p->tokens);
    if (!p->tokens) return ag_fail_memory(err, "prompts");
    for (size_t i = 0; i < n; i++) {
        AG_TRY(ag_prompt_encode(&p->tokens[i], j->book, j->tokenizer, &j->options.format.prompt,
                                inputs[i].query, inputs[i].item, inputs[i].asked, inputs[i].hint,
                                &out[i].loss, err));
        out[i].prompt_tokens = (int32_t)p->tokens[i].len;
    }
    j->work.pairs += n;
    return AG_OK;
}

void ag_judgement_decide(ag_judgement *d, const ag_book *book, const ag_decision *decision)
{
    static const ag_decision argmax;
    d->gain = ag_expected_gain(book, d->probability);
    d->tier = ag_decide(decision ? decision : &argmax, book, d->probability);
}

static void set_tier(const ag_judge *j, ag_judgement *out, const double *logprob)
{
    int tiers = j->book->tier_count;
    double max = -INFINITY, total = 0;
    for (int t = 0; t < tiers; t++) max = fmax(max, logprob[t]);
    for (int t = 0; t < tiers; t++) total += out->probability[t] = exp(logprob[t] - max);
    for (int t = 0; t < tiers; t++) out->probability[t] /= total;
    out->calibrated = j->options.calibration != NULL;
    if (out->calibrated) ag_calibration_apply(j->options.calibration, out->probability);
    ag_judgement_decide(out, j->book, j->options.decision);
}

/* One sequence a tier a prompt, all wanted tokens being the tier's. */
static ag_status score_tiers(ag_judge *j, const prompts *p, ag_judgement *out, ag_error *err)
{
    int tiers = j->book->tier_count, tier_len = j->tier_offset[tiers];
    size_t n = p->n * (size_t)tiers;
    ag_arena arena = {.name = "tier sequences"};
    ag_query_sequence *sequences = ag_arena_alloc(&arena, n, sizeof *sequences);
    double *logprob = ag_arena_alloc(&arena, p->n * (size_t)tier_len, sizeof *logprob);
    ag_status status = sequences && logprob ? AG_OK : ag_fail_memory(err, "tier sequences");
    for (size_t i = 0; i < n && status == AG_OK; i++) {
        const ag_tokens *prompt = &p->tokens[i / (size_t)tiers];
        int t = (int)(i % (size_t)tiers), k = j->tier_offset[t + 1] - j->tier_offset[t];
        int32_t *tokens = ag_arena_alloc(&arena, prompt->len + (size_t)k, sizeof *tokens);
        uint8_t *wanted = ag_arena_alloc(&arena, prompt->len + (size_t)k, 1);
        if (!tokens || !wanted) {
            status = ag_fail_memory(err, "tier sequences");
            break;
        }
        memcpy(tokens, prompt->ids, prompt->len * sizeof *tokens);
        memcpy(tokens + prompt->len, j->tier_tokens.ids + j->tier_offset[t], (size_t)k * sizeof *tokens);
        memset(wanted + prompt->len, 1, (size_t)k);
        sequences[i] = (ag_query_sequence){tokens, wanted, (int32_t)prompt->len + k,
                                           logprob + i / (size_t)tiers * (size_t)tier_len +
                                               j->tier_offset[t]};
    }
    if (status == AG_OK) status = ag_session_score(j->session, sequences, n, 1, err);
    for (size_t i = 0; i < p->n && status == AG_OK; i++) {
        j->work.tokens += p->tokens[i].len;
        double sums[AG_MAX_TIERS] = {0};
        for (int t = 0; t < tiers; t++)
            for (int k = j->tier_offset[t]; k < j->tier_offset[t + 1]; k++)
                sums[t] += logprob[i * (size_t)tier_len + (size_t)k];
        set_tier(j, &out[i], sums);
    }
    ag_arena_free(&arena);
    return status;
}

/* --- answers -------------------------------------------------------------------------------------------------------- */

typedef struct masking {
    ag_judge *judge;
    ag_grammar_state *states; /* one a prompt: every prompt has one sample */
} masking;

static int masking_allowed(void *user, size_t prompt, int32_t sample, uint32_t *bits)
{
    (void)sample;
    masking *m = user;
    return ag_grammar_allowed(m->judge->grammar, &m->states[prompt], bits);
}

static void masking_advance(void *user, size_t prompt, int32_t sample, int32_t id)
{
    (void)sample;
    masking *m = user;
    ag_grammar_advance(m->judge->grammar, &m->states[prompt], id);
}

/* Continuations of the prompts. masks NULL: as the model writes; how NULL: greedy. */
static ag_status continue_prompts(ag_judge *j, const prompts *p, const ag_judge_input *inputs, masking *masks,
                                  const ag_judge_drawing *how, ag_generated **out, ag_error *err)
{
    ag_generate_prompt *g = ag_calloc(p->n, sizeof *g);
    if (!g) return ag_fail_memory(err, "prompts");
    int32_t most = 0;
    for (size_t i = 0; i < p->n; i++) {
        int32_t limit = ag_answer_limit(j->book, inputs[i].asked);
        g[i] = (ag_generate_prompt){p->tokens[i].ids, (int32_t)p->tokens[i].len, 1, i};
        if (limit > most) most = limit;
    }
    ag_constraint constraint = {masks, masking_allowed, masking_advance};
    ag_generate_options o = {
        .max_new = most, .end_id = j->end_id, .top_p = 1, .constraint = masks ? &constraint : NULL};
    if (how) {
        o.temperature = how->temperature;
        o.top_p = how->top_p;
        o.seed = how->seed;
        if (how->max_new > 0 && how->max_new < most) o.max_new = how->max_new;
    }
    ag_status status = ag_generate(j->session, g, p->n, &o, out, err);
    for (size_t i = 0; i < p->n && status == AG_OK; i++)
        j->work.tokens += p->tokens[i].len + (uint64_t)(*out)[i].count;
    ag_free(g);
    return status;
}

/* Text of an answer: forced tokens that stand at the end of the prompt, then the generated ones without the end. */
static ag_status answer_text(const ag_judge *j, const int32_t *before, size_t before_len,
                             const ag_generated *g, char **text, ag_error *err)
{
    ag_str s = {0};
    int32_t n = g->finished ? g->count - 1 : g->count;
    ag_status status = ag_tokenizer_decode(j->tokenizer, before, before_len, false, &s, err);
    if (status == AG_OK) status = ag_tokenizer_decode(j->tokenizer, g->tokens, (size_t)n, false, &s, err);
    if (status == AG_OK) status = ag_str_ok(&s, err);
    if (status == AG_OK) {
        *text = ag_str_take(&s);
        if (!*text) *text = ag_strdup("");
        if (!*text) status = ag_fail_memory(err, "answer");
    }
    ag_str_free(&s);
    return status;
}

static ag_status greedy_answers(ag_judge *j, const prompts *p, const ag_judge_input *inputs,
                                ag_judgement *out, ag_error *err)
{
    ag_generated *g = NULL;
    ag_status status = continue_prompts(j, p, inputs, NULL, NULL, &g, err);
    for (size_t i = 0; i < p->n && status == AG_OK; i++) {
        out[i].finished = g[i].finished;
        status = answer_text(j, NULL, 0, &g[i], &out[i].answer, err);
    }
    ag_generated_free(g, p->n);
    return status;
}

/* States of the grammar at the start of each answer. */
static ag_status start_states(ag_judge *j, const ag_judge_input *inputs, size_t n, masking *m, ag_error *err)
{
    m->judge = j;
    m->states = ag_calloc(n, sizeof *m->states);
    if (!m->states) return ag_fail_memory(err, "grammar states");
    for (size_t i = 0; i < n; i++) {
        AG_TRY(ag_grammar_prepare(j->grammar, inputs[i].asked, err));
        ag_grammar_start(j->grammar, inputs[i].asked, &m->states[i]);
    }
    return AG_OK;
}

/* Puts the judged tier's tokens behind the prompt and moves the grammar over them. They are the scored ones: with what ends them,
 * where one tier begins another, so that the answer cannot go on to that other. */
static ag_status force_tier(ag_judge *j, prompts *p, masking *m, const ag_judgement *out, size_t *before,
                            ag_error *err)
{
    for (size_t i = 0; i < p->n; i++) {
        int t = out[i].tier;
        const int32_t *ids = j->tier_tokens.ids + j->tier_offset[t];
        before[i] = (size_t)(j->tier_offset[t + 1] - j->tier_offset[t]);
        for (size_t k = 0; k < before[i]; k++)
            if (!ag_grammar_advance(j->grammar, &m->states[i], ids[k]))
                return ag_fail(err, AG_ERR_INTERNAL, "the grammar refuses tier '%s'", j->book->tiers[t].id);
        AG_TRY(ag_tokens_add(&p->tokens[i], ids, before[i], err));
    }
    return AG_OK;
}

static ag_status masked_answers(ag_judge *j, prompts *p, const ag_judge_input *inputs, bool tier_first,
                                ag_judgement *out, ag_error *err)
{
    masking m = {0};
    ag_generated *g = NULL;
    size_t *before = ag_calloc(p->n, sizeof *before);
    ag_status status = before ? start_states(j, inputs, p->n, &m, err) : ag_fail_memory(err, "answers");
    if (status == AG_OK && tier_first) status = force_tier(j, p, &m, out, before, err);
    if (status == AG_OK) status = continue_prompts(j, p, inputs, &m, NULL, &g, err);
    for (size_t i = 0; i < p->n && status == AG_OK; i++) {
        ag_free(out[i].answer);
        out[i].answer = NULL;
        out[i].finished = g[i].finished;
        status = answer_text(j, p->tokens[i].ids + p->tokens[i].len - before[i], before[i], &g[i],
                             &out[i].answer, err);
    }
    ag_generated_free(g, p->n);
    ag_free(m.states);
    ag_free(before);
    return status;
}

/* Think-first orders: the masked answer's tokens before its tier go behind the prompt, so that the tier can be scored. */
static ag_status append_thinking(ag_judge *j, prompts *p, const ag_judge_input *inputs,
                                 const ag_judgement *out, ag_error *err)
{
    for (size_t i = 0; i < p->n; i++) {
        ag_answer answer;
        ag_tokens ids = {0}, segment_of = {0};
        if (!ag_answer_parse(j->book, inputs[i].asked, out[i].answer, strlen(out[i].answer), &answer, NULL))
            return ag_fail(err, AG_ERR_INTERNAL, "a masked answer is not in the format: %.80s",
                           out[i].answer);
        ag_segment *segments = ag_calloc((size_t)ag_answer_segment_max(j->book, inputs[i].asked->count),
                                         sizeof *segments);
        if (!segments) return ag_fail_memory(err, "answer");
        int n = ag_answer_segments(j->book, inputs[i].asked, &answer, segments), before = 0;
        while (before < n && segments[before].part != AG_PART_TIER) before++;
        ag_status status = ag_answer_encode(j->tokenizer, segments, before, j->end_id, &ids, &segment_of,
                                            err);
        if (status == AG_OK) status = ag_tokens_add(&p->tokens[i], ids.ids, ids.len, err);
        ag_free(segments);
        ag_tokens_free(&ids);
        ag_tokens_free(&segment_of);
        AG_TRY(status);
    }
    return AG_OK;
}

static ag_status judge_chunk(ag_judge *j, const ag_judge_input *inputs, size_t n, ag_judge_answer answer,
                             ag_judgement *out, ag_error *err)
{
    prompts p = {0};
    bool tier_first = j->book->order == AG_RESPOND_THEN_THINK;
    ag_status status = encode_prompts(j, inputs, n, &p, out, err);
    if (status == AG_OK && answer == AG_ANSWER_GREEDY) status = greedy_answers(j, &p, inputs, out, err);
    if (status == AG_OK && tier_first) {
        status = score_tiers(j, &p, out, err);
        if (status == AG_OK && answer == AG_ANSWER_EXPLAIN)
            status = masked_answers(j, &p, inputs, true, out, err);
    } else if (status == AG_OK) { /* the thinking comes first and is part of the question */
        ag_judgement *thought = ag_calloc(n, sizeof *thought);
        status = thought ? masked_answers(j, &p, inputs, false, thought, err)
                         : ag_fail_memory(err, "answers");
        if (status == AG_OK) status = append_thinking(j, &p, inputs, thought, err);
        if (status == AG_OK) status = score_tiers(j, &p, out, err);
        for (size_t i = 0; i < n && status == AG_OK && answer == AG_ANSWER_EXPLAIN; i++) {
            out[i].answer = thought[i].answer;
            out[i].finished = thought[i].finished;
            thought[i].answer = NULL;
        }
        ag_judgements_free(thought, thought ? n : 0);
    }
    prompts_free(&p);
    return status;
}

ag_status ag_judge_run(ag_judge *j, const ag_judge_input *inputs, size_t n, ag_judge_answer answer,
                       const ag_judge_progress *progress, ag_judgement *out, ag_error *err)
{
    size_t chunk = (size_t)j->options.kv_slots / PAIR_SLOTS;
    if (chunk < LEAST_CHUNK) chunk = LEAST_CHUNK;
    memset(out, 0, n * sizeof *out);
    for (size_t i = 0; i < n; i += chunk) {
        size_t count = n - i < chunk ? n - i : chunk;
        AG_TRY(judge_chunk(j, inputs + i, count, answer, out + i, err));
        ag_grammar_forget(j->grammar);
        if (progress && progress->tick) AG_TRY(progress->tick(progress->user, i + count, n, err));
    }
    return AG_OK;
}

/* --- one answer as asked for ------------------------------------------------------------------------------------- */

/* Behind the tier's tokens that are forced, if any, `drawing` tells how much is still to come. */
static ag_status write_answer(ag_judge *j, prompts *p, const ag_judge_input *input, bool greedy,
                              const ag_judge_drawing *drawing, ag_judge_text *out, ag_error *err)
{
    masking m = {0};
    ag_judgement judged = {0};
    ag_generated *g = NULL;
    ag_judge_drawing how = *drawing;
    size_t before = 0;
    bool tier_first = greedy && j->book->order == AG_RESPOND_THEN_THINK;
    ag_status status = tier_first ? score_tiers(j, p, &judged, err) : AG_OK;
    if (status == AG_OK) status = start_states(j, input, 1, &m, err);
    if (status == AG_OK && tier_first) status = force_tier(j, p, &m, &judged, &before, err);
    if (how.max_new > 0 && (size_t)how.max_new < before) before = (size_t)how.max_new;
    bool room = how.max_new == 0 || (size_t)how.max_new > before;
    if (how.max_new > 0) how.max_new -= (int32_t)before;
    if (status == AG_OK && room) status = continue_prompts(j, p, input, &m, &how, &g, err);
    if (status == AG_OK) {
        ag_generated none = {0};
        const ag_generated *rest = g ? g : &none;
        const int32_t *forced = p->tokens[0].ids + out->prompt_tokens;
        out->answer_tokens = (int32_t)before + rest->count;
        out->finished = rest->finished;
        status = answer_text(j, forced, before, rest, &out->text, err);
    }
    ag_generated_free(g, 1);
    ag_free(m.states);
    return status;
}

ag_status ag_judge_write(ag_judge *j, const ag_judge_input *input, const ag_judge_drawing *drawing,
                         ag_judge_text *out, ag_error *err)
{
    prompts p = {0};
    ag_judgement unused = {0};
    *out = (ag_judge_text){0};
    ag_status status = encode_prompts(j, input, 1, &p, &unused, err);
    if (status == AG_OK) {
        out->prompt_tokens = (int32_t)p.tokens[0].len;
        status = write_answer(j, &p, input, drawing->temperature == 0, drawing, out, err);
    }
    prompts_free(&p);
    ag_grammar_forget(j->grammar);
    return status;
}

/* --- what all prompts share ------------------------------------------------------------------------------------------- */

/* Prompts whose queries have nothing in common but that they are queries. */
ag_status ag_judge_keep_rules(ag_judge *j, ag_error *err)
{
    static const char *const queries[] = {"a", "Zebra", "1", "\"", "\xC3\xA9", "(", "-"};
    enum { QUERIES = sizeof queries / sizeof *queries };
    ag_item item = {.title = "x"};
    ag_asked asked = {.source = AG_ASKED_GIVEN};
    ag_judge_input inputs[QUERIES];
    ag_judgement unused[QUERIES];
    ag_judge_work work = j->work;
    prompts p = {0};
    memset(unused, 0, sizeof unused);
    for (int i = 0; i < QUERIES; i++) inputs[i] = (ag_judge_input){queries[i], &item, &asked, NULL};
    ag_status status = encode_prompts(j, inputs, QUERIES, &p, unused, err);
    size_t shared = status == AG_OK ? p.tokens[0].len : 0;
    for (int i = 1; i < QUERIES && status == AG_OK; i++) {
        size_t k = 0;
        while (k < shared && k < p.tokens[i].len && p.tokens[i].ids[k] == p.tokens[0].ids[k]) k++;
        shared = k;
    }
    if (status == AG_OK) status = ag_session_keep(j->session, p.tokens[0].ids, (int32_t)shared, err);
    prompts_free(&p);
    j->work = work; /* these were no pairs of anybody's */
    return status;
}

ag_judge_work ag_judge_work_done(const ag_judge *j)
{
    ag_judge_work work = j->work;
    work.computed = ag_session_computed(j->session);
    return work;
}

ag_status ag_judge_score(ag_judge *j, const ag_query_sequence *sequences, size_t n, ag_error *err)
{
    return ag_session_score(j->session, sequences, n, 1, err);
}

/* --- the format file -------------------------------------------------------------------------------------------- */

ag_status ag_judge_format_save(const ag_judge_format *f, const ag_book *book, const char *dir, ag_error *err)
{
    const ag_prompt_options *p = &f->prompt;
    json_t *json = json_pack("{s:s, s:i, s:i, s:b, s:b, s:b, s:s, s:s, s:s}", "chat", ag_chat_name(p->chat),
                             "item_tokens", p->item_tokens, "max_tokens", p->max_tokens, "repeat_query",
                             p->repeat_query, "rules_in_prompt", p->rules, "mark_matches", p->mark_matches,
                             "rulebook", book->name, "rulebook_version", book->version, "rulebook_digest",
                             book->digest);
    char *path = ag_path_join(dir, "agrl.json");
    ag_status status = json && path ? ag_json_save(path, json, err) : ag_fail_memory(err, "agrl.json");
    ag_free(path);
    json_decref(json);
    return status;
}

void ag_judge_model_digest(char hex[65], const char *files_digest, const ag_judge_format *f)
{
    const ag_prompt_options *p = &f->prompt;
    char text[256];
    int n = snprintf(text, sizeof text, "%.64s %s %d %d %d %d %d", files_digest, ag_chat_name(p->chat),
                     p->item_tokens, p->max_tokens, p->repeat_query, p->rules, p->mark_matches);
    ag_sha256_of(hex, text, (size_t)n);
}

static ag_status read_format(ag_judge_format *f, const json_t *json, const char *path,
                             const ag_tokenizer *tokenizer, ag_error *err)
{
    long item_tokens = f->prompt.item_tokens, max_tokens = f->prompt.max_tokens;
    const char *chat = NULL;
    AG_TRY(ag_json_get_string(json, "chat", &chat, path, err));
    AG_TRY(ag_json_get_int(json, "item_tokens", 1, 1 << 20, &item_tokens, path, err));
    AG_TRY(ag_json_get_int(json, "max_tokens", 0, 1 << 20, &max_tokens, path, err));
    AG_TRY(ag_json_get_bool(json, "repeat_query", &f->prompt.repeat_query, path, err));
    AG_TRY(ag_json_get_bool(json, "rules_in_prompt", &f->prompt.rules, path, err));
    AG_TRY(ag_json_get_bool(json, "mark_matches", &f->prompt.mark_matches, path, err));
    f->prompt.item_tokens = (int)item_tokens;
    f->prompt.max_tokens = (int)max_tokens;
    return ag_chat_choose(&f->prompt.chat, chat, tokenizer, err);
}

ag_status ag_judge_format_load(ag_judge_format *f, const char *dir, const ag_tokenizer *tokenizer,
                               ag_error *err)
{
    ag_prompt_defaults(&f->prompt);
    char *path = ag_path_join(dir, "agrl.json");
    json_t *json = NULL;
    ag_status status = path ? AG_OK : ag_fail_memory(err, "agrl.json");
    if (status == AG_OK && !ag_path_exists(path))
        status = ag_chat_choose(&f->prompt.chat, NULL, tokenizer, err);
    else if (status == AG_OK) {
        status = ag_json_load(&json, path, err);
        if (status == AG_OK) status = read_format(f, json, path, tokenizer, err);
    }
    json_decref(json);
    ag_free(path);
    return status;
}
