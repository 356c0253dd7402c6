/* save.c: writing tokenizer.json and tokenizer_config.json. The test is that Hugging Face's own library loads
 * them as they are and gives the same ids, so every part that a tokenizer was read from is written back.
 */
#include <string.h>
#include "base/file.h"
#include "text/tok.h"

/* Names of ids as vocabulary files write them. */
static void add_name(ag_str *s, const ag_tok_entry *e)
{
    if (e->raw)
        ag_str_addn(s, e->bytes, e->len);
    else
        ag_alphabet_encode(s, e->bytes, e->len);
}

static void quote_text(ag_str *out, const char *text)
{
    ag_json_quote(out, text, strlen(text));
}

static void add_added(ag_str *out, const ag_tokenizer *t)
{
    const char *sep = "\n";

    ag_str_add(out, "  \"added_tokens\": [");
    for (int id = 0; id < t->vocab; id++) {
        const ag_tok_entry *e = &t->tokens[id];
        if (e->bytes == NULL || !e->added) continue;
        ag_str_addf(out, "%s    {\"id\": %d, \"content\": ", sep, id);
        ag_json_quote(out, e->bytes, e->len);
        ag_str_addf(out,
                    ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": %s, "
                    "\"special\": %s}",
                    e->normalized ? "true" : "false", e->special ? "true" : "false");
        sep = ",\n";
    }
    ag_str_add(out, "\n  ],\n");
}

#define BYTE_LEVEL                                                                                           \
    "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": "

static void add_step(ag_str *out, const ag_step *step)
{
    switch (step->kind) {
    case AG_STEP_DIGITS:
        ag_str_addf(out, "{\"type\": \"Digits\", \"individual_digits\": %s}",
                    step->individual ? "true" : "false");
        break;
    case AG_STEP_SPLIT:
        ag_str_addf(out, "{\"type\": \"Split\", \"pattern\": {\"%s\": ", step->literal ? "String" : "Regex");
        quote_text(out, step->pattern);
        ag_str_addf(out, "}, \"behavior\": \"%s\", \"invert\": %s}", step->drop_gaps ? "Removed" : "Isolated",
                    step->drop_gaps ? "true" : "false");
        break;
    case AG_STEP_BYTES: ag_str_add(out, BYTE_LEVEL "true}"); break;
    }
}

static void add_pre(ag_str *out, const ag_pre *pre)
{
    bool bytes = false;

    ag_str_add(out, "  \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [\n");
    for (int i = 0; i < pre->count; i++) {
        ag_str_add(out, i > 0 ? ",\n    " : "    ");
        add_step(out, &pre->steps[i]);
        bytes = pre->steps[i].kind == AG_STEP_BYTES;
    }
    if (!bytes) ag_str_addf(out, "%s    " BYTE_LEVEL "false}", pre->count > 0 ? ",\n" : "");
    ag_str_add(out, "\n  ]},\n");
}

static void add_post(ag_str *out, const ag_tokenizer *t)
{
    const ag_tok_entry *e = t->add_bos ? &t->tokens[t->bos] : NULL;
    ag_str name = {0};

    if (e == NULL) {
        ag_str_add(out, "  \"post_processor\": " BYTE_LEVEL "true},\n");
        return;
    }
    add_name(&name, e);
    ag_str_add(
        out,
        "  \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": ");
    ag_json_quote(out, ag_str_text(&name), name.len);
    ag_str_add(
        out,
        ", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}],\n    \"pair\": ["
        "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}],\n"
        "    \"special_tokens\": {");
    ag_json_quote(out, ag_str_text(&name), name.len);
    ag_str_add(out, ": {\"id\": ");
    ag_json_quote(out, ag_str_text(&name), name.len);
    ag_str_addf(out, ", \"ids\": [%d], \"tokens\": [", (int)t->bos);
    ag_json_quote(out, ag_str_text(&name), name.len);
    ag_str_add(out, "]}}},\n");
    if (name.failed) out->failed = true;
    ag_str_free(&name);
}

static void add_model(ag_str *out, const ag_tokenizer *t)
{
    ag_str name = {0};
    const char *sep = "\n";

    ag_str_add(out, "  \"model\": {\n    \"type\": \"BPE\", \"dropout\": null, \"unk_token\": ");
    if (t->unk >= 0) {
        add_name(&name, &t->tokens[t->unk]);
        ag_json_quote(out, ag_str_text(&name), name.len);
    } else {
        ag_str_add(out, "null");
    }
    ag_str_addf(out,
                ", \"continuing_subword_prefix\": null, \"end_of_word_suffix\": null, \"fuse_unk\": %s,\n"
                "    \"byte_fallback\": false, \"ignore_merges\": %s,\n    \"vocab\": {",
                t->fuse_unk ? "true" : "false", t->ignore_merges ? "true" : "false");
    /* Added tokens stand in the vocabulary too: the library takes their ids from it and would else number
     * them by their order. */
    for (int id = 0; id < t->vocab; id++) {
        if (t->tokens[id].bytes == NULL) continue;
        ag_str_clear(&name);
        add_name(&name, &t->tokens[id]);
        ag_str_addf(out, "%s      ", sep);
        ag_json_quote(out, ag_str_text(&name), name.len);
        ag_str_addf(out, ": %d", id);
        sep = ",\n";
    }
    ag_str_add(out, "\n    },\n    \"merges\": [");
    sep = "\n";
    for (size_t i = 0; i < t->pair_count; i++) {
        ag_str_clear(&name);
        add_name(&name, &t->tokens[t->pairs[i][0]]);
        ag_str_addc(&name, ' ');
        add_name(&name, &t->tokens[t->pairs[i][1]]);
        ag_str_addf(out, "%s      ", sep);
        ag_json_quote(out, ag_str_text(&name), name.len);
        sep = ",\n";
    }
    ag_str_add(out, "\n    ]\n  }\n}\n");
    if (name.failed) out->failed = true;
    ag_str_free(&name);
}

static ag_status write_file(const char *dir, const char *name, const ag_str *text, ag_error *err)
{
    ag_out *out = NULL;
    char *path = NULL;
    ag_status st = ag_str_ok(text, err);

    if (st != AG_OK) return st;
    path = ag_path_join(dir, name);
    st = path != NULL ? ag_out_open(&out, path, err) : ag_fail_memory(err, "path");
    if (st == AG_OK) {
        ag_out_write(out, text->data, text->len);
        st = ag_out_commit(out, err);
    }
    ag_free(path);
    return st;
}

static void add_named(ag_str *out, const ag_tokenizer *t, const char *key, int32_t id)
{
    ag_str name = {0};

    ag_str_addf(out, "  \"%s\": ", key);
    if (id < 0) {
        ag_str_add(out, "null,\n");
        return;
    }
    add_name(&name, &t->tokens[id]);
    ag_json_quote(out, ag_str_text(&name), name.len);
    ag_str_add(out, ",\n");
    if (name.failed) out->failed = true;
    ag_str_free(&name);
}

static void add_config(ag_str *out, const ag_tokenizer *t)
{
    ag_str_add(out, "{\n");
    add_named(out, t, "bos_token", t->bos);
    add_named(out, t, "eos_token", t->eos);
    add_named(out, t, "pad_token", t->pad);
    ag_str_add(out, "  \"clean_up_tokenization_spaces\": false,\n");
    if (t->chat_template != NULL) {
        ag_str_add(out, "  \"chat_template\": ");
        quote_text(out, t->chat_template);
        ag_str_add(out, ",\n");
    }
    ag_str_add(out, "  \"tokenizer_class\": \"PreTrainedTokenizerFast\"\n}\n");
}

ag_status ag_tokenizer_save(const ag_tokenizer *t, const char *dir, ag_error *err)
{
    ag_str text = {0};
    ag_status st = ag_dir_make(dir, err);

    if (st != AG_OK) return st;
    ag_str_add(&text, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n");
    add_added(&text, t);
    ag_str_addf(&text, "  \"normalizer\": %s,\n", t->nfc ? "{\"type\": \"NFC\"}" : "null");
    add_pre(&text, &t->pre);
    add_post(&text, t);
    ag_str_add(&text, "  \"decoder\": " BYTE_LEVEL "true},\n");
    add_model(&text, t);
    st = write_file(dir, "tokenizer.json", &text, err);
    if (st == AG_OK) {
        ag_str_clear(&text);
        add_config(&text, t);
        st = write_file(dir, "tokenizer_config.json", &text, err);
    }
    ag_str_free(&text);
    return st;
}
