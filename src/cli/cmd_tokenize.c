/* cmd_tokenize.c: `agrl tokenize`: text to token ids and back, line by line, for holding a model's tokenizer
 * against other tools'.
 */
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "model/open.h"
#include "model/weights.h"
#include "text/tokenizer.h"

typedef struct settings {
    const char *model, *tokenizer, *pre;
    bool json, decode, plain;
} settings;

/* A folder's tokenizer.json, or its vocab.json and merges.txt; or a tokenizer.json by its own name. */
static ag_status open_path(ag_tokenizer **t, const settings *s, ag_error *err)
{
    char *json = ag_path_join(s->tokenizer, "tokenizer.json");
    char *vocab = ag_path_join(s->tokenizer, "vocab.json"),
         *merges = ag_path_join(s->tokenizer, "merges.txt");
    ag_status st;

    if (json == NULL || vocab == NULL || merges == NULL)
        st = ag_fail_memory(err, "path");
    else if (!ag_path_is_dir(s->tokenizer))
        st = ag_tokenizer_load(t, s->tokenizer, err);
    else if (ag_path_exists(json) || !ag_path_exists(vocab))
        st = ag_tokenizer_load(t, json, err);
    else if (s->pre == NULL)
        st = ag_fail(err, AG_ERR_USAGE,
                     "%s has vocab.json and merges.txt only; say how text is cut with --pre", s->tokenizer);
    else
        st = ag_tokenizer_load_vocab_merges(t, vocab, merges, s->pre, err);
    ag_free(json);
    ag_free(vocab);
    ag_free(merges);
    return st;
}

static ag_status open_model(ag_tokenizer **t, const char *name, ag_error *err)
{
    char *path = NULL;
    ag_weights *weights = NULL;
    ag_config config;
    ag_status st = ag_model_resolve(name, &path, err);

    if (st == AG_OK) st = ag_weights_open(&weights, path, &config, err);
    if (st == AG_OK) st = ag_weights_tokenizer(weights, t, err);
    ag_weights_close(weights);
    ag_free(path);
    return st;
}

/* The text of a line: itself, or what "text" holds where the line is a JSON object with it. *json (new) owns
 * it. */
static void text_of(const settings *s, char *line, size_t len, const char **text, size_t *text_len,
                    json_t **json)
{
    const json_t *value;

    *text = line;
    *text_len = len;
    *json = NULL;
    if (s->plain || len == 0 || line[0] != '{' || ag_json_parse(json, line, len, "", 1, NULL) != AG_OK)
        return;
    value = json_object_get(*json, "text");
    if (!json_is_string(value)) return;
    *text = json_string_value(value);
    *text_len = json_string_length(value);
}

static ag_status encode_line(const ag_tokenizer *t, const settings *s, char *line, size_t len, ag_str *out,
                             ag_error *err)
{
    ag_tokens ids = {0};
    json_t *json = NULL;
    const char *text;
    size_t text_len;
    ag_status st;

    text_of(s, line, len, &text, &text_len, &json);
    st = ag_tokenizer_encode(t, text, text_len, true, &ids, err);
    if (st == AG_OK) {
        if (s->json) ag_str_add(out, "{\"tokens\":[");
        for (size_t i = 0; i < ids.len; i++)
            ag_str_addf(out, "%s%d", i == 0 ? "" : s->json ? "," : " ", (int)ids.ids[i]);
        if (s->json) ag_str_add(out, "]}");
        ag_str_addc(out, '\n');
    }
    json_decref(json);
    ag_tokens_free(&ids);
    return st;
}

/* Ids of a line: {"tokens": [1, 2]}, [1, 2], or numbers with spaces or commas between. */
static ag_status ids_of(char *line, size_t len, const char *where, long number, ag_tokens *ids, ag_error *err)
{
    json_t *json = NULL;
    const json_t *list, *one;
    size_t i;
    ag_str text = {0};
    ag_status st;

    if (len == 0 || (line[0] != '{' && line[0] != '[')) {
        ag_str_addc(&text, '[');
        for (char *word = line, *rest = NULL; (word = strtok_r(word, " \t,", &rest)) != NULL; word = NULL)
            ag_str_addf(&text, "%s%s", text.len > 1 ? "," : "", word);
        ag_str_addc(&text, ']');
    } else {
        ag_str_addn(&text, line, len);
    }
    st = ag_str_ok(&text, err);
    if (st == AG_OK) st = ag_json_parse(&json, ag_str_text(&text), text.len, where, number, err);
    list = json_is_object(json) ? json_object_get(json, "tokens") : json;
    if (st == AG_OK && !json_is_array(list))
        st = ag_fail(err, AG_ERR_INPUT, "%s:%ld: no list of token ids", where, number);
    json_array_foreach(list, i, one)
    {
        json_int_t id = json_integer_value(one);
        int32_t small = id >= 0 && id <= INT32_MAX ? (int32_t)id : -1;
        if (st != AG_OK) break;
        if (!json_is_integer(one))
            st = ag_fail(err, AG_ERR_INPUT, "%s:%ld: a token id must be a number", where, number);
        else
            st = ag_tokens_add(ids, &small, 1, err);
    }
    json_decref(json);
    ag_str_free(&text);
    return st;
}

static ag_status decode_line(const ag_tokenizer *t, const settings *s, char *line, size_t len,
                             const ag_lines *lines, ag_str *out, ag_error *err)
{
    ag_tokens ids = {0};
    ag_str text = {0};
    ag_status st = ids_of(line, len, ag_lines_path(lines), ag_lines_number(lines), &ids, err);

    if (st == AG_OK) {
        st = ag_tokenizer_decode(t, ids.ids, ids.len, false, &text, err);
        if (st != AG_OK) ag_error_prefix(err, "%s:%ld", ag_lines_path(lines), ag_lines_number(lines));
    }
    if (st == AG_OK && s->json) {
        ag_str_add(out, "{\"text\":");
        ag_json_quote(out, ag_str_text(&text), text.len);
        ag_str_add(out, "}\n");
    } else if (st == AG_OK) {
        ag_str_addn(out, ag_str_text(&text), text.len);
        ag_str_addc(out, '\n');
    }
    ag_str_free(&text);
    ag_tokens_free(&ids);
    return st;
}

static ag_status run(const settings *s, const char *path, ag_error *err)
{
    ag_tokenizer *t = NULL;
    ag_lines *lines = NULL;
    ag_out *out = NULL;
    ag_str answer = {0};
    ag_status st = s->tokenizer != NULL ? open_path(&t, s, err) : open_model(&t, s->model, err);

    if (st == AG_OK) st = ag_lines_open(&lines, path, err);
    if (st == AG_OK) st = ag_out_open(&out, "-", err);
    while (st == AG_OK) {
        char *line = NULL;
        size_t len = 0;
        st = ag_lines_next(lines, &line, &len, err);
        if (st != AG_OK || line == NULL) break;
        ag_str_clear(&answer);
        st = s->decode ? decode_line(t, s, line, len, lines, &answer, err)
                       : encode_line(t, s, line, len, &answer, err);
        if (st == AG_OK) st = ag_str_ok(&answer, err);
        if (st == AG_OK) ag_out_write(out, ag_str_text(&answer), answer.len);
    }
    if (out != NULL) { /* lines answered before an error are still answers */
        ag_status written = ag_out_commit(out, st == AG_OK ? err : NULL);
        if (st == AG_OK) st = written;
    }
    ag_lines_close(lines);
    ag_tokenizer_free(t);
    ag_str_free(&answer);
    return st;
}

int ag_cmd_tokenize(int argc, char **argv)
{
    settings s = {0};
    const ag_usage usage = {
        "agrl tokenize --model M | --tokenizer PATH [--json] [--decode] [FILE|-]",
        "Turns each line of text into token ids, or with --decode each line of ids into text. The text of "
        "special "
        "tokens counts as those tokens. A line that is a JSON object with \"text\" stands for that text; "
        "lines of ids may be numbers, [1,2] or {\"tokens\":[1,2]}.",
        0, 1};
    const ag_option options[] = {
        {"model", AG_OPT_STRING, &s.model, "M", "a model: folder, GGUF file or name of a pulled model", 0, 0},
        {"tokenizer", AG_OPT_STRING, &s.tokenizer, "PATH",
         "a tokenizer.json, a folder with one, or a folder with vocab.json and merges.txt", 0, 0},
        {"pre", AG_OPT_STRING, &s.pre, "NAME",
         "how text is cut, for vocab.json and merges.txt: gpt-2, smollm, starcoder, qwen2, llama-bpe", 0, 0},
        {"json", AG_OPT_FLAG, &s.json, NULL,
         "answer with JSON lines: {\"tokens\":[...]} or {\"text\":\"...\"}", 0, 0},
        {"decode", AG_OPT_FLAG, &s.decode, NULL, "from ids to text", 0, 0},
        {"plain", AG_OPT_FLAG, &s.plain, NULL, "every line is text as it is, JSON or not", 0, 0},
        {NULL, AG_OPT_FLAG, NULL, NULL, NULL, 0, 0},
    };
    ag_error err = {0};
    char **args = NULL;
    int nargs = 0, code = ag_options_parse(&usage, options, argc, argv, &args, &nargs);

    if (code >= 0) return code;
    if ((s.model == NULL) == (s.tokenizer == NULL)) {
        ag_fail(&err, AG_ERR_USAGE, "tokenize needs --model or --tokenizer, one of them");
        return ag_cli_fail(&err);
    }
    return run(&s, nargs > 0 ? args[0] : "-", &err) == AG_OK ? 0 : ag_cli_fail(&err);
}
