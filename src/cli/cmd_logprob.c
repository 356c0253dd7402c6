/* cmd_logprob.c: `agrl logprob` and `agrl generate`: instruments that others' tools can be held against. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/judge_open.h"
#include "model/generate.h"

/* The tokens of a JSON line: "tokens" as they are, or "text" (special tokens in it count as such). */
static ag_status line_tokens(const json_t *json, const ag_tokenizer *tokenizer, const char *where,
                             ag_tokens *tokens, ag_error *err)
{
    const json_t *list = json_object_get(json, "tokens"), *item;
    const char *text = NULL;
    size_t i;
    if (json_is_array(list)) {
        json_array_foreach(list, i, item)
        {
            if (!json_is_integer(item) || json_integer_value(item) < 0 ||
                json_integer_value(item) >= ag_tokenizer_vocab(tokenizer))
                return ag_fail(err, AG_ERR_INPUT,
                               "%s: 'tokens' must be ids of tokens, whole numbers from 0 to %d", where,
                               ag_tokenizer_vocab(tokenizer) - 1);
            int32_t id = (int32_t)json_integer_value(item);
            AG_TRY(ag_tokens_add(tokens, &id, 1, err));
        }
        return AG_OK;
    }
    AG_TRY(ag_json_get_string(json, "text", &text, where, err));
    if (!text) return ag_fail(err, AG_ERR_INPUT, "%s: a line needs 'text' or 'tokens'", where);
    return ag_tokenizer_encode(tokenizer, text, json_string_length(json_object_get(json, "text")), true,
                               tokens, err);
}

static ag_status answer_logprob(ag_session *session, const ag_tokens *t, ag_error *err)
{
    ag_str out = {0};
    double *logprob = ag_calloc(t->len + 1, sizeof *logprob);
    uint8_t *wanted = ag_calloc(t->len + 1, 1);
    ag_status status = logprob && wanted ? AG_OK : ag_fail_memory(err, "log-probabilities");
    for (size_t i = 1; status == AG_OK && i < t->len; i++) wanted[i] = 1;
    if (status == AG_OK && t->len > 1)
        status = ag_session_score(session, &(ag_query_sequence){t->ids, wanted, (int32_t)t->len, logprob}, 1,
                                  1, err);
    if (status == AG_OK) {
        ag_str_add(&out, "{\"tokens\": [");
        for (size_t i = 0; i < t->len; i++) ag_str_addf(&out, "%s%d", i ? ", " : "", t->ids[i]);
        ag_str_add(&out, "], \"logprobs\": [");
        for (size_t i = 0; i + 1 < t->len; i++) {
            if (i) ag_str_add(&out, ", ");
            ag_json_number(&out, logprob[i]);
        }
        ag_str_add(&out, "]}");
        status = ag_str_ok(&out, err);
        if (status == AG_OK) puts(ag_str_text(&out));
    }
    ag_str_free(&out);
    ag_free(logprob);
    ag_free(wanted);
    return status;
}

typedef struct generation {
    double temperature, top_p, min_p;
    long max_new, top_k, samples, seed;
} generation;

static ag_status answer_generate(ag_session *session, const ag_tokenizer *tokenizer, const generation *g,
                                 long line, const ag_tokens *t, ag_error *err)
{
    ag_generate_prompt prompt = {t->ids, (int32_t)t->len, (int32_t)g->samples, (uint64_t)line};
    ag_generate_options o = {.max_new = (int32_t)g->max_new,
                             .end_id = ag_tokenizer_eos(tokenizer),
                             .temperature = g->temperature,
                             .top_k = (int)g->top_k,
                             .top_p = g->top_p,
                             .min_p = g->min_p,
                             .seed = (uint64_t)g->seed};
    ag_generated *out = NULL;
    AG_TRY(ag_generate(session, &prompt, 1, &o, &out, err));
    ag_status status = AG_OK;
    for (long s = 0; s < g->samples && status == AG_OK; s++) {
        ag_str text = {0}, dump = {0};
        status = ag_tokenizer_decode(tokenizer, out[s].tokens, (size_t)(out[s].count - out[s].finished),
                                     false, &text, err);
        ag_str_add(&dump, "{\"text\": ");
        ag_json_quote(&dump, ag_str_text(&text), text.len);
        ag_str_add(&dump, ", \"tokens\": [");
        for (int32_t i = 0; i < out[s].count; i++)
            ag_str_addf(&dump, "%s%d", i ? ", " : "", out[s].tokens[i]);
        ag_str_add(&dump, "], \"logprobs\": [");
        for (int32_t i = 0; i < out[s].count; i++) {
            if (i) ag_str_add(&dump, ", ");
            ag_json_number(&dump, out[s].logprob[i]);
        }
        ag_str_addf(&dump, "], \"finished\": %s}", out[s].finished ? "true" : "false");
        if (status == AG_OK) status = ag_str_ok(&dump, err);
        if (status == AG_OK) puts(ag_str_text(&dump));
        ag_str_free(&text);
        ag_str_free(&dump);
    }
    ag_generated_free(out, (size_t)g->samples);
    return status;
}

/* Reads lines and answers each; generation NULL: log-probabilities. */
static ag_status answer_lines(const ag_model_choice *choice, const generation *g, const char *path,
                              ag_error *err)
{
    ag_judge_setup setup = {0};
    ag_session *session = NULL;
    ag_lines *lines = NULL;
    ag_tokens tokens = {0};
    ag_status status = ag_setup_model(&setup, choice, err);
    if (status == AG_OK)
        status = ag_session_create(&session, setup.opened.model, (int32_t)choice->kv_slots, 2048, err);
    if (status == AG_OK) status = ag_lines_open(&lines, path, err);
    while (status == AG_OK) {
        char *line, where[1200];
        size_t len;
        json_t *json = NULL;
        status = ag_lines_next(lines, &line, &len, err);
        if (status != AG_OK || !line) break;
        snprintf(where, sizeof where, "%s:%ld", ag_lines_path(lines), ag_lines_number(lines));
        tokens.len = 0;
        status = ag_json_parse(&json, line, len, ag_lines_path(lines), ag_lines_number(lines), err);
        if (status == AG_OK) status = line_tokens(json, setup.opened.tokenizer, where, &tokens, err);
        if (status == AG_OK && tokens.len == 0 && g)
            status = ag_fail(err, AG_ERR_INPUT, "%s: an empty prompt", where);
        if (status == AG_OK)
            status = g ? answer_generate(session, setup.opened.tokenizer, g, ag_lines_number(lines), &tokens,
                                         err)
                       : answer_logprob(session, &tokens, err);
        json_decref(json);
    }
    ag_tokens_free(&tokens);
    ag_lines_close(lines);
    ag_session_free(session);
    ag_setup_close(&setup);
    return status;
}

int ag_cmd_logprob(int argc, char **argv)
{
    ag_model_choice choice = AG_MODEL_CHOICE_DEFAULTS;
    const ag_option options[] = {AG_MODEL_OPTIONS(choice), {NULL, AG_OPT_FLAG, NULL, NULL, NULL, 0, 0}};
    const ag_usage usage = {"agrl logprob --model M [FILE|-]",
                            "Answers each JSON line {\"text\": ...} or {\"tokens\": [...]} with its tokens "
                            "and the log-probability of each token "
                            "after the first.",
                            0, 1};
    char **args;
    int n, code = ag_options_parse(&usage, options, argc, argv, &args, &n);
    if (code >= 0) return code;
    ag_error err = {0};
    return answer_lines(&choice, NULL, n ? args[0] : "-", &err) == AG_OK ? 0 : ag_cli_fail(&err);
}

int ag_cmd_generate(int argc, char **argv)
{
    ag_model_choice choice = AG_MODEL_CHOICE_DEFAULTS;
    generation g = {.temperature = 0, .top_p = 1, .max_new = 128, .samples = 1, .seed = 1};
    const ag_option options[] = {
        AG_MODEL_OPTIONS(choice),
        {"max-new", AG_OPT_INT, &g.max_new, "N", "tokens to write at most", 1, 1000000},
        {"temperature", AG_OPT_NUMBER, &g.temperature, "T", "0: greedy", 0, 100},
        {"top-k", AG_OPT_INT, &g.top_k, "K", "draw from the K most probable tokens; 0: all", 0, 1000000},
        {"top-p", AG_OPT_NUMBER, &g.top_p, "P", "draw from the most probable tokens that hold this share", 0,
         1},
        {"min-p", AG_OPT_NUMBER, &g.min_p, "P",
         "draw from tokens at least this share as probable as the best", 0, 1},
        {"samples", AG_OPT_INT, &g.samples, "N", "continuations of each prompt", 1, 100000},
        {"seed", AG_OPT_INT, &g.seed, "N", "same seed, same text", 0, 9e15},
        {NULL, AG_OPT_FLAG, NULL, NULL, NULL, 0, 0}};
    const ag_usage usage = {"agrl generate --model M [options] [FILE|-]",
                            "Continues each JSON line {\"text\": ...} or {\"tokens\": [...]}: text, tokens "
                            "and log-probabilities, one line a sample.",
                            0, 1};
    char **args;
    int n, code = ag_options_parse(&usage, options, argc, argv, &args, &n);
    if (code >= 0) return code;
    ag_error err = {0};
    return answer_lines(&choice, &g, n ? args[0] : "-", &err) == AG_OK ? 0 : ag_cli_fail(&err);
}
