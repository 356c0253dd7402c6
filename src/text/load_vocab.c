/* load_vocab.c: vocabularies that come without a tokenizer.json: the arrays of a GGUF file, and GPT-2's pair
 * of files vocab.json and merges.txt. Both lack the pre-tokenizer and give its name.
 */
#include <string.h>
#include "base/file.h"
#include "text/tok.h"

/* Token types of GGUF. */
enum { TYPE_NORMAL = 1, TYPE_UNKNOWN = 2, TYPE_CONTROL = 3, TYPE_USER = 4, TYPE_BYTE = 6 };

static ag_status set_token(ag_tokenizer *t, const ag_vocab_source *s, int id, ag_error *err)
{
    const char *name = s->tokens[id];
    int type = s->types != NULL ? s->types[id] : TYPE_NORMAL;
    size_t len;

    if (name == NULL) return ag_fail(err, AG_ERR_INPUT, "token %d has no text", id);
    len = strlen(name);
    if (type < TYPE_NORMAL || type > TYPE_BYTE)
        return ag_fail(err, AG_ERR_INPUT, "token %d has type %d, not 1 to 6", id, type);
    if (type == TYPE_CONTROL || type == TYPE_USER || type == TYPE_UNKNOWN)
        return ag_tok_mark_added(t, id, name, len, type != TYPE_USER, false, err);
    return ag_tok_set(t, id, name, len, type == TYPE_BYTE, err);
}

static ag_status read_source(ag_tokenizer *t, const ag_vocab_source *s, ag_error *err)
{
    ag_status st = ag_pre_named(&t->pre, s->pre, &t->nfc, &t->ignore_merges, err);

    if (st == AG_OK && (s->vocab < 1 || s->vocab > AG_TOK_VOCAB_MAX))
        st = ag_fail(err, AG_ERR_INPUT, "a vocabulary of %d tokens, not 1 to %d", s->vocab, AG_TOK_VOCAB_MAX);
    for (int id = 0; id < s->vocab && st == AG_OK; id++) st = set_token(t, s, id, err);
    if (st == AG_OK) st = ag_tok_index(t, err);
    for (int i = 0; i < s->merge_count && st == AG_OK; i++) {
        if (s->merges[i] == NULL)
            st = ag_fail(err, AG_ERR_INPUT, "merge %d has no text", i + 1);
        else
            st = ag_tok_merge_line(t, s->merges[i], strlen(s->merges[i]), err);
    }
    if (st == AG_OK) st = ag_tok_check_id(t, s->bos, "the start token", err);
    if (st == AG_OK) st = ag_tok_check_id(t, s->eos, "the end token", err);
    if (st == AG_OK) st = ag_tok_check_id(t, s->pad, "the padding token", err);
    if (st != AG_OK) return st;
    t->bos = s->bos;
    t->eos = s->eos;
    t->pad = s->pad;
    t->add_bos = s->add_bos && s->bos >= 0;
    if (s->chat_template != NULL) {
        if (!ag_utf8_valid(s->chat_template, strlen(s->chat_template), NULL))
            return ag_fail(err, AG_ERR_INPUT, "the chat template is not UTF-8");
        t->chat_template = ag_arena_strdup(&t->arena, s->chat_template);
        if (t->chat_template == NULL) return ag_fail_memory(err, "chat template");
    }
    return ag_tok_finish(t, err);
}

ag_status ag_tokenizer_from_vocab(ag_tokenizer **tokenizer, const ag_vocab_source *source, ag_error *err)
{
    ag_tokenizer *t = NULL;
    ag_status st = ag_tok_new(&t, err);

    if (st == AG_OK) st = read_source(t, source, err);
    if (st != AG_OK) {
        ag_tokenizer_free(t);
        t = NULL;
    }
    *tokenizer = t;
    return st;
}

static ag_status read_merges_txt(ag_tokenizer *t, const char *path, ag_error *err)
{
    ag_lines *lines = NULL;
    char *line = NULL;
    size_t len = 0;
    ag_status st = ag_lines_open(&lines, path, err);

    while (st == AG_OK) {
        st = ag_lines_next(lines, &line, &len, err);
        if (st != AG_OK || line == NULL) break;
        if (len == 0 || strncmp(line, "#version", 8) == 0) continue;
        st = ag_tok_merge_line(t, line, len, err);
        if (st != AG_OK) ag_error_prefix(err, "%s:%ld", path, ag_lines_number(lines));
    }
    ag_lines_close(lines);
    return st;
}

ag_status ag_tokenizer_load_vocab_merges(ag_tokenizer **tokenizer, const char *vocab_path,
                                         const char *merges_path, const char *pre, ag_error *err)
{
    ag_tokenizer *t = NULL;
    json_t *vocab = NULL, *config = NULL;
    char *dir = NULL;
    ag_status st = ag_tok_new(&t, err);

    *tokenizer = NULL;
    if (st == AG_OK) st = ag_pre_named(&t->pre, pre, &t->nfc, &t->ignore_merges, err);
    if (st == AG_OK) st = ag_json_load(&vocab, vocab_path, err);
    if (st != AG_OK) goto out;
    st = ag_tok_read_vocab(t, vocab, err);
    if (st != AG_OK) {
        ag_error_prefix(err, "%s", vocab_path);
        goto out;
    }
    dir = ag_path_dir(vocab_path);
    st = dir != NULL ? ag_tok_config_added(t, dir, &config, err) : ag_fail_memory(err, "path");
    if (st != AG_OK) goto out;
    st = ag_tok_index(t, err);
    if (st != AG_OK) {
        ag_error_prefix(err, "%s", vocab_path);
        goto out;
    }
    st = read_merges_txt(t, merges_path, err);
    if (st == AG_OK) st = ag_tok_config_rest(t, dir, config, err);
    if (st == AG_OK) st = ag_tok_finish(t, err);
    if (st != AG_OK) goto out;
    *tokenizer = t;
    t = NULL;
out:
    ag_tokenizer_free(t);
    ag_free(dir);
    json_decref(vocab);
    json_decref(config);
    return st;
}
