/* load_json.c: reading Hugging Face's tokenizer.json.
 *
 * The file describes a pipeline of many possible parts. The parts that byte-level BPE models of our families
 * use are read; any other part that could change a token id is refused by name, so that a tokenizer that
 * loads is one that gives the same ids as its own library.
 */
#include <string.h>
#include "base/file.h"
#include "text/tok.h"

/* "type" of a part, or "" for something that is not an object with a type. */
static const char *type_of(const json_t *part)
{
    const char *type = json_string_value(json_object_get(part, "type"));

    return type != NULL ? type : "";
}

static bool absent(const json_t *x)
{
    return x == NULL || json_is_null(x);
}

static ag_status refuse(ag_error *err, const char *place, const char *what)
{
    return ag_fail(err, AG_ERR_UNSUPPORTED, "%s: '%.80s' is not supported", place, what);
}

/* --- normalizer ------------------------------------------------------------------------------------------
 */

static ag_status read_normalizer(ag_tokenizer *t, const json_t *part, ag_error *err)
{
    const json_t *list, *one;
    size_t i;

    if (absent(part)) return AG_OK;
    if (ag_streq(type_of(part), "NFC")) {
        t->nfc = true;
        return AG_OK;
    }
    list = json_object_get(part, "normalizers");
    if (!ag_streq(type_of(part), "Sequence") || !json_is_array(list))
        return refuse(err, "normalizer", type_of(part));
    json_array_foreach(list, i, one)
    {
        if (!ag_streq(type_of(one), "NFC")) return refuse(err, "normalizer", type_of(one));
        t->nfc = true;
    }
    return AG_OK;
}

/* --- pre-tokenizer ---------------------------------------------------------------------------------------
 */

static ag_status read_split(ag_tokenizer *t, const json_t *part, ag_error *err)
{
    const char *where = "pre_tokenizer.Split", *behavior = NULL, *text = NULL, *literal = NULL;
    const json_t *pattern = json_object_get(part, "pattern");
    bool invert = false, removed;
    ag_status st = ag_json_get_string(part, "behavior", &behavior, where, err);

    if (st == AG_OK) st = ag_json_get_bool(part, "invert", &invert, where, err);
    if (st == AG_OK && !json_is_object(pattern)) st = ag_fail(err, AG_ERR_INPUT, "%s: no 'pattern'", where);
    if (st == AG_OK) st = ag_json_get_string(pattern, "Regex", &text, where, err);
    if (st == AG_OK) st = ag_json_get_string(pattern, "String", &literal, where, err);
    if (st != AG_OK) return st;
    if ((text == NULL) == (literal == NULL))
        return ag_fail(err, AG_ERR_INPUT, "%s: 'pattern' must have a Regex or a String", where);
    removed = ag_streq(behavior, "Removed") && invert;
    if (!removed && !ag_streq(behavior, "Isolated"))
        return refuse(err, where, behavior != NULL ? behavior : "");
    st = ag_pre_split(&t->pre, text != NULL ? text : literal, text == NULL, removed, err);
    if (st != AG_OK) ag_error_prefix(err, "%s", where);
    return st;
}

static ag_status read_byte_level(ag_tokenizer *t, const json_t *part, ag_error *err)
{
    bool prefix = true, regex = true; /* what the library takes them for when they are not there */
    ag_status st = ag_json_get_bool(part, "add_prefix_space", &prefix, "pre_tokenizer.ByteLevel", err);

    if (st == AG_OK) st = ag_json_get_bool(part, "use_regex", &regex, "pre_tokenizer.ByteLevel", err);
    if (st != AG_OK) return st;
    if (prefix) return refuse(err, "pre_tokenizer.ByteLevel", "add_prefix_space");
    return regex ? ag_pre_bytes(&t->pre, err) : AG_OK;
}

static ag_status read_step(ag_tokenizer *t, const json_t *part, bool *bytes, ag_error *err)
{
    const char *type = type_of(part);
    bool individual = false;
    ag_status st;

    if (*bytes) return ag_fail(err, AG_ERR_UNSUPPORTED, "pre_tokenizer: '%.80s' after ByteLevel", type);
    if (ag_streq(type, "Split")) return read_split(t, part, err);
    if (ag_streq(type, "Digits")) {
        st = ag_json_get_bool(part, "individual_digits", &individual, "pre_tokenizer.Digits", err);
        return st == AG_OK ? ag_pre_digits(&t->pre, individual, err) : st;
    }
    if (!ag_streq(type, "ByteLevel")) return refuse(err, "pre_tokenizer", type);
    *bytes = true;
    return read_byte_level(t, part, err);
}

static ag_status read_pre(ag_tokenizer *t, const json_t *part, ag_error *err)
{
    bool bytes = false;
    const json_t *list = json_object_get(part, "pretokenizers"), *one;
    size_t i;
    ag_status st = AG_OK;

    if (absent(part))
        return ag_fail(err, AG_ERR_UNSUPPORTED, "pre_tokenizer: none; only byte level is supported");
    if (!ag_streq(type_of(part), "Sequence")) {
        st = read_step(t, part, &bytes, err);
    } else {
        if (!json_is_array(list))
            return ag_fail(err, AG_ERR_INPUT, "pre_tokenizer: 'pretokenizers' must be a list");
        json_array_foreach(list, i, one)
        {
            st = read_step(t, one, &bytes, err);
            if (st != AG_OK) return st;
        }
    }
    if (st == AG_OK && !bytes)
        return ag_fail(err, AG_ERR_UNSUPPORTED, "pre_tokenizer: only byte level is supported");
    return st;
}

/* --- model -----------------------------------------------------------------------------------------------
 */

static ag_status model_options(ag_tokenizer *t, const json_t *model, const char **unk, ag_error *err)
{
    const char *type = json_string_value(json_object_get(model, "type")), *prefix = NULL, *suffix = NULL;
    bool fallback = false;
    double dropout = 0;
    ag_status st;

    if (!json_is_object(model)) return ag_fail(err, AG_ERR_INPUT, "'model' must be an object");
    if (type != NULL && !ag_streq(type, "BPE")) return refuse(err, "model", type);
    st = ag_json_get_string(model, "continuing_subword_prefix", &prefix, "model", err);
    if (st == AG_OK) st = ag_json_get_string(model, "end_of_word_suffix", &suffix, "model", err);
    if (st == AG_OK) st = ag_json_get_string(model, "unk_token", unk, "model", err);
    if (st == AG_OK) st = ag_json_get_bool(model, "byte_fallback", &fallback, "model", err);
    if (st == AG_OK) st = ag_json_get_bool(model, "fuse_unk", &t->fuse_unk, "model", err);
    if (st == AG_OK) st = ag_json_get_bool(model, "ignore_merges", &t->ignore_merges, "model", err);
    if (st == AG_OK) st = ag_json_get_double(model, "dropout", &dropout, "model", err);
    if (st != AG_OK) return st;
    if (prefix != NULL && prefix[0] != '\0') return refuse(err, "model", "continuing_subword_prefix");
    if (suffix != NULL && suffix[0] != '\0') return refuse(err, "model", "end_of_word_suffix");
    if (fallback) return refuse(err, "model", "byte_fallback");
    return dropout != 0 ? refuse(err, "model", "dropout") : AG_OK;
}

ag_status ag_tok_read_vocab(ag_tokenizer *t, const json_t *vocab, ag_error *err)
{
    const char *name;
    json_t *id;

    if (!json_is_object(vocab)) return ag_fail(err, AG_ERR_INPUT, "the vocabulary must be an object");
    json_object_foreach((json_t *)vocab, name, id)
    {
        ag_status st;
        if (!json_is_integer(id))
            return ag_fail(err, AG_ERR_INPUT, "token '%.60s': the id must be a whole number", name);
        st = ag_tok_set(t, (long)json_integer_value(id), name, strlen(name), false, err);
        if (st != AG_OK) return st;
    }
    return AG_OK;
}

static ag_status read_merges(ag_tokenizer *t, const json_t *merges, ag_error *err)
{
    const json_t *one;
    size_t i;

    if (!json_is_array(merges)) return ag_fail(err, AG_ERR_INPUT, "model: 'merges' must be a list");
    json_array_foreach(merges, i, one)
    {
        const json_t *l = json_array_get(one, 0), *r = json_array_get(one, 1);
        ag_status st;
        if (json_is_string(one))
            st = ag_tok_merge_line(t, json_string_value(one), json_string_length(one), err);
        else if (json_array_size(one) == 2 && json_is_string(l) && json_is_string(r))
            st = ag_tok_merge(t, json_string_value(l), json_string_length(l), json_string_value(r),
                              json_string_length(r), err);
        else
            st = ag_fail(err, AG_ERR_INPUT, "merge %zu must be \"left right\" or [left, right]", i + 1);
        if (st != AG_OK) {
            ag_error_prefix(err, "model.merges");
            return st;
        }
    }
    return AG_OK;
}

/* --- added tokens and post processor ---------------------------------------------------------------------
 */

ag_status ag_tok_read_added(ag_tokenizer *t, long id, const json_t *token, ag_error *err)
{
    static const char *const unsupported[] = {"single_word", "lstrip", "rstrip"};
    const char *content = NULL, *where = "added token";
    bool special = false, normalized = false, flag;
    ag_status st = ag_json_get_string(token, "content", &content, where, err);

    if (st == AG_OK && content == NULL)
        st = ag_fail(err, AG_ERR_INPUT, "added token %ld has no 'content'", id);
    if (st == AG_OK) st = ag_json_get_bool(token, "special", &special, where, err);
    normalized = !special;
    if (st == AG_OK) st = ag_json_get_bool(token, "normalized", &normalized, where, err);
    for (size_t i = 0; st == AG_OK && i < 3; i++) {
        flag = false;
        st = ag_json_get_bool(token, unsupported[i], &flag, where, err);
        if (st == AG_OK && flag) st = refuse(err, content, unsupported[i]);
    }
    return st == AG_OK ? ag_tok_mark_added(t, id, content, strlen(content), special, normalized, err) : st;
}

static ag_status read_added_list(ag_tokenizer *t, const json_t *list, ag_error *err)
{
    const json_t *one;
    size_t i;

    if (absent(list)) return AG_OK;
    if (!json_is_array(list)) return ag_fail(err, AG_ERR_INPUT, "'added_tokens' must be a list");
    json_array_foreach(list, i, one)
    {
        const json_t *id = json_object_get(one, "id");
        ag_status st = json_is_integer(id) ? ag_tok_read_added(t, (long)json_integer_value(id), one, err)
                                           : ag_fail(err, AG_ERR_INPUT,
                                                     "entry %zu must be an object with a whole 'id'", i + 1);
        if (st != AG_OK) {
            ag_error_prefix(err, "added_tokens");
            return st;
        }
    }
    return AG_OK;
}

/* TemplateProcessing: nothing, or one start token, around the text. */
static ag_status read_template(ag_tokenizer *t, const json_t *part, ag_error *err)
{
    const json_t *list = json_object_get(part, "single"), *one;
    bool text_seen = false;
    size_t i;

    if (!json_is_array(list)) return ag_fail(err, AG_ERR_INPUT, "post_processor: 'single' must be a list");
    json_array_foreach(list, i, one)
    {
        const char *id = json_string_value(json_object_get(json_object_get(one, "SpecialToken"), "id"));
        if (json_object_get(one, "Sequence") != NULL) {
            text_seen = true;
            continue;
        }
        if (id == NULL)
            return ag_fail(err, AG_ERR_INPUT, "post_processor: entry %zu of 'single' is unknown", i + 1);
        if (text_seen || t->add_bos) return refuse(err, "post_processor", "more than a start token");
        t->bos = ag_tokenizer_find(t, id, strlen(id));
        if (t->bos < 0)
            return ag_fail(err, AG_ERR_INPUT, "post_processor: token '%.60s' is not in the vocabulary", id);
        t->add_bos = true;
    }
    return AG_OK;
}

static ag_status read_post(ag_tokenizer *t, const json_t *part, int depth, ag_error *err)
{
    const json_t *list = json_object_get(part, "processors"), *one;
    const char *type = type_of(part);
    size_t i;

    if (absent(part) || ag_streq(type, "ByteLevel")) return AG_OK; /* ByteLevel only trims offsets */
    if (ag_streq(type, "TemplateProcessing")) return read_template(t, part, err);
    if (!ag_streq(type, "Sequence") || !json_is_array(list) || depth > 4)
        return refuse(err, "post_processor", type);
    json_array_foreach(list, i, one)
    {
        ag_status st = read_post(t, one, depth + 1, err);
        if (st != AG_OK) return st;
    }
    return AG_OK;
}

static ag_status read_all(ag_tokenizer *t, const json_t *root, ag_error *err)
{
    const json_t *model = json_object_get(root, "model");
    const char *unk = NULL;
    ag_status st;

    if (!json_is_object(root)) return ag_fail(err, AG_ERR_INPUT, "a tokenizer must be an object");
    st = read_normalizer(t, json_object_get(root, "normalizer"), err);
    if (st == AG_OK) st = read_pre(t, json_object_get(root, "pre_tokenizer"), err);
    if (st == AG_OK) st = model_options(t, model, &unk, err);
    if (st == AG_OK) {
        st = ag_tok_read_vocab(t, json_object_get(model, "vocab"), err);
        if (st != AG_OK) ag_error_prefix(err, "model.vocab");
    }
    if (st == AG_OK) st = read_added_list(t, json_object_get(root, "added_tokens"), err);
    if (st == AG_OK) st = ag_tok_index(t, err);
    if (st == AG_OK) st = read_merges(t, json_object_get(model, "merges"), err);
    if (st == AG_OK) st = read_post(t, json_object_get(root, "post_processor"), 0, err);
    if (st == AG_OK && unk != NULL) {
        t->unk = ag_tokenizer_find(t, unk, strlen(unk));
        if (t->unk < 0)
            st = ag_fail(err, AG_ERR_INPUT, "model: unk_token '%.60s' is not in the vocabulary", unk);
    }
    return st;
}

ag_status ag_tokenizer_load(ag_tokenizer **tokenizer, const char *path, ag_error *err)
{
    json_t *root = NULL, *config = NULL;
    ag_tokenizer *t = NULL;
    char *dir = NULL;
    ag_status st = ag_json_load(&root, path, err);

    *tokenizer = NULL;
    if (st != AG_OK) goto out;
    st = ag_tok_new(&t, err);
    if (st == AG_OK) st = read_all(t, root, err);
    if (st == AG_OK) st = ag_tok_finish(t, err);
    if (st != AG_OK) {
        ag_error_prefix(err, "%s", path);
        goto out;
    }
    dir = ag_path_dir(path);
    st = dir != NULL ? ag_tok_config_added(t, dir, &config, err) : ag_fail_memory(err, "path");
    if (st == AG_OK) st = ag_tok_config_rest(t, dir, config, err);
    if (st != AG_OK) goto out;
    *tokenizer = t;
    t = NULL;
out:
    ag_tokenizer_free(t);
    ag_free(dir);
    json_decref(root);
    json_decref(config);
    return st;
}
