/* load_config.c: tokenizer_config.json and chat_template.jinja, which lie beside a vocabulary and say which
 * tokens begin and end a text, which ones pad, and how a chat is written.
 */
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "text/tok.h"

#define TEMPLATE_MAX (1u << 20)

/* "eos_token": "text" or {"content": "text"} or null. */
static ag_status read_named(const ag_tokenizer *t, const json_t *root, const char *key, int32_t *id,
                            ag_error *err)
{
    const json_t *value = json_object_get(root, key);
    const char *text;

    if (json_is_object(value)) value = json_object_get(value, "content");
    if (value == NULL || json_is_null(value)) return AG_OK;
    text = json_string_value(value);
    if (text == NULL) return ag_fail(err, AG_ERR_INPUT, "'%s' must be a string", key);
    *id = ag_tokenizer_find(t, text, strlen(text));
    if (*id < 0) return ag_fail(err, AG_ERR_INPUT, "%s '%.60s' is not in the vocabulary", key, text);
    return AG_OK;
}

static ag_status read_added_decoder(ag_tokenizer *t, const json_t *root, bool take, ag_error *err)
{
    json_t *tokens = json_object_get(root, "added_tokens_decoder"), *one;
    const char *key;

    if (tokens == NULL || json_is_null(tokens)) return AG_OK;
    if (!json_is_object(tokens))
        return ag_fail(err, AG_ERR_INPUT, "'added_tokens_decoder' must be an object");
    json_object_foreach(tokens, key, one)
    {
        char *end;
        long id = strtol(key, &end, 10);
        const char *text = json_string_value(json_object_get(one, "content"));
        ag_status st = AG_OK;
        if (*key == '\0' || *end != '\0' || text == NULL)
            return ag_fail(err, AG_ERR_INPUT, "added_tokens_decoder: '%.60s' must be an id with an object",
                           key);
        if (take)
            st = ag_tok_read_added(t, id, one, err);
        else if (ag_tokenizer_find(t, text, strlen(text)) != id)
            st = ag_fail(err, AG_ERR_INPUT, "'%.60s' has id %ld here, but not in tokenizer.json", text, id);
        if (st != AG_OK) {
            ag_error_prefix(err, "added_tokens_decoder");
            return st;
        }
    }
    return AG_OK;
}

/* A string, or a list of {"name", "template"} of which "default" counts. */
static ag_status read_template(ag_tokenizer *t, const json_t *root, ag_error *err)
{
    const json_t *value = json_object_get(root, "chat_template"), *one;
    const char *text = json_string_value(value);
    size_t i;

    if (value == NULL || json_is_null(value)) return AG_OK;
    json_array_foreach(value, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "name"));
        if (ag_streq(name, "default")) text = json_string_value(json_object_get(one, "template"));
    }
    if (text == NULL && !json_is_array(value))
        return ag_fail(err, AG_ERR_INPUT, "'chat_template' must be a string or a list of named templates");
    if (text == NULL) return AG_OK;
    t->chat_template = ag_arena_strdup(&t->arena, text);
    return t->chat_template != NULL ? AG_OK : ag_fail_memory(err, "chat template");
}

ag_status ag_tok_config_added(ag_tokenizer *t, const char *dir, json_t **root, ag_error *err)
{
    char *path = ag_path_join(dir, "tokenizer_config.json");
    ag_status st = path != NULL ? AG_OK : ag_fail_memory(err, "path");

    *root = NULL;
    if (st != AG_OK || !ag_path_exists(path)) goto out;
    st = ag_json_load(root, path, err);
    if (st != AG_OK) goto out;
    if (!json_is_object(*root)) st = ag_fail(err, AG_ERR_INPUT, "must be an object");
    if (st == AG_OK) st = read_added_decoder(t, *root, t->by_bytes == NULL, err);
    if (st != AG_OK) ag_error_prefix(err, "%s", path);
out:
    ag_free(path);
    if (st != AG_OK) {
        json_decref(*root);
        *root = NULL;
    }
    return st;
}

static ag_status read_jinja(ag_tokenizer *t, const char *dir, ag_error *err)
{
    char *path = ag_path_join(dir, "chat_template.jinja"), *text = NULL;
    size_t len = 0;
    ag_status st = path != NULL ? AG_OK : ag_fail_memory(err, "path");

    if (st != AG_OK || !ag_path_exists(path)) goto out;
    st = ag_file_read(path, TEMPLATE_MAX, &text, &len, err);
    if (st == AG_OK && (strlen(text) != len || !ag_utf8_valid(text, len, NULL)))
        st = ag_fail(err, AG_ERR_INPUT, "%s: not text", path);
    if (st != AG_OK) goto out;
    t->chat_template = ag_arena_strdup(&t->arena, text);
    if (t->chat_template == NULL) st = ag_fail_memory(err, "chat template");
out:
    ag_free(path);
    ag_free(text);
    return st;
}

ag_status ag_tok_config_rest(ag_tokenizer *t, const char *dir, const json_t *root, ag_error *err)
{
    ag_status st = AG_OK;

    if (root != NULL) {
        int32_t bos = t->bos;
        st = read_named(t, root, "bos_token", &bos, err);
        if (!t->add_bos) t->bos = bos; /* else the post processor has said which one it puts in front */
        if (st == AG_OK) st = read_named(t, root, "eos_token", &t->eos, err);
        if (st == AG_OK) st = read_named(t, root, "pad_token", &t->pad, err);
        if (st == AG_OK) st = read_template(t, root, err);
        if (st != AG_OK) ag_error_prefix(err, "%s/tokenizer_config.json", dir);
    }
    return st == AG_OK ? read_jinja(t, dir, err) : st;
}
