/* text_help.h: what the tests of tokenizers share: the vectors and golden ids, random bytes, small
 * vocabularies. */
#ifndef AG_TEST_TEXT_HELP_H
#define AG_TEST_TEXT_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "text/tokenizer.h"

#define SHARED AGRL_SOURCE_DIR "/../shared/data/tokenizers/"
#define GOLDEN AGRL_SOURCE_DIR "/tests/golden/tokenizer/"

/* Skips the test, saying why, unless the file is there. */
static inline void need_file(const char *path)
{
    if (ag_path_exists(path)) return;
    print_message("skipped: %s is not here\n", path);
    skip();
}

static inline char *read_text(const char *path, size_t *len)
{
    ag_error err = {0};
    char *text = NULL;

    if (ag_file_read(path, 0, &text, len, &err) != AG_OK) fail_msg("%s", err.message);
    return text;
}

static inline void check_ok(ag_status st, const ag_error *err)
{
    if (st != AG_OK) fail_msg("%s", err->message);
}

/* Ids of one line "1 2 3"; returns the start of the next line. */
static inline char *read_ids(char *line, ag_tokens *ids)
{
    ids->len = 0;
    while (*line != '\0' && *line != '\n') {
        char *end;
        int32_t id = (int32_t)strtol(line, &end, 10);
        if (end == line) break;
        check_ok(ag_tokens_add(ids, &id, 1, NULL), NULL);
        line = end;
    }
    while (*line != '\0' && *line != '\n') line++;
    return *line == '\n' ? line + 1 : line;
}

/* Encodes with specials and compares; then decodes and, where `exact`, compares that with the text. */
static inline void check_ids(const ag_tokenizer *t, const char *text, size_t len, const ag_tokens *want,
                             bool exact)
{
    ag_tokens got = {0};
    ag_str back = {0};
    ag_error err = {0};

    check_ok(ag_tokenizer_encode(t, text, len, true, &got, &err), &err);
    for (size_t i = 0; i < got.len || i < want->len; i++)
        if (i >= got.len || i >= want->len || got.ids[i] != want->ids[i])
            fail_msg("'%.200s': token %zu is %d, not %d", text, i, i < got.len ? (int)got.ids[i] : -1,
                     i < want->len ? (int)want->ids[i] : -1);
    check_ok(ag_tokenizer_decode(t, got.ids, got.len, false, &back, &err), &err);
    if (exact) {
        assert_int_equal(back.len, len);
        assert_memory_equal(ag_str_text(&back), text, len);
    }
    ag_str_free(&back);
    ag_tokens_free(&got);
}

/* The vectors of NAME: texts separated by a line, ids of one text a line. */
static inline void check_vectors(const ag_tokenizer *t, const char *name)
{
    static const char mark[] = "\n__ggml_vocab_test__\n";
    char path[512];
    size_t len = 0, ids_len = 0;
    ag_tokens want = {0};
    int n = 0;

    snprintf(path, sizeof path, SHARED "vectors/ggml-vocab-%s.gguf.inp", name);
    char *text = read_text(path, &len), *at = text, *end;
    snprintf(path, sizeof path, SHARED "vectors/ggml-vocab-%s.gguf.out", name);
    char *ids = read_text(path, &ids_len), *line = ids;
    while ((end = strstr(at, mark)) != NULL) {
        line = read_ids(line, &want);
        check_ids(t, at, (size_t)(end - at), &want, true);
        at = end + strlen(mark);
        n++;
    }
    if (*at != '\0') {
        line = read_ids(line, &want);
        check_ids(t, at, strlen(at), &want, true);
        n++;
    }
    assert_true(*line == '\0');
    print_message("%s: %d vectors\n", name, n);
    ag_tokens_free(&want);
    ag_free(ids);
    ag_free(text);
}

/* The golden ids of NAME: for each line of mixed.txt and for the whole of it. */
static inline void check_golden(const ag_tokenizer *t, const char *name, bool exact)
{
    char path[512];
    size_t len = 0, ids_len = 0, tokens = 0;
    ag_tokens want = {0};
    char *text = read_text(GOLDEN "mixed.txt", &len), *at = text, *end;

    snprintf(path, sizeof path, GOLDEN "%s.ids", name);
    char *ids = read_text(path, &ids_len), *line = ids;
    while ((end = strchr(at, '\n')) != NULL) {
        line = read_ids(line, &want);
        check_ids(t, at, (size_t)(end - at), &want, exact);
        at = end + 1;
    }
    line = read_ids(line, &want);
    check_ids(t, text, len, &want, exact);
    tokens = want.len;
    assert_true(*line == '\0');
    print_message("%s: golden ids of %zu bytes, %zu tokens\n", name, len, tokens);
    ag_tokens_free(&want);
    ag_free(ids);
    ag_free(text);
}

/* Random bytes in three tempers: any byte, pieces of valid text with a wrong byte here and there, few
 * letters. */
static inline size_t random_text(ag_rng *r, char *out, size_t most)
{
    static const char *const bits[] = {
        "the ", " 12",  "é",    "e\xcc\x81", "\xe6\x88\x91", "\xf0\x9f\x98\x80", "\n\n",       "   ",
        "'s",   "aaaa", "\xc3", "\xff",      "\xed\xa0\x80", "\xe2\x82",         "<|im_end|>", "<|im_",
        "\t",   "\r\n", ".",    "{}"};
    size_t len = ag_rng_below(r, (uint32_t)most), at = 0;
    uint32_t temper = ag_rng_below(r, 3);

    while (at < len) {
        const char *bit = bits[ag_rng_below(r, sizeof bits / sizeof *bits)];
        size_t n = strlen(bit);
        if (temper == 1 && at + n <= len) {
            memcpy(out + at, bit, n);
            at += n;
        } else {
            out[at++] = (char)(temper == 2 ? (uint32_t) "ab 1"[ag_rng_below(r, 4)] : ag_rng_below(r, 256));
        }
    }
    return len;
}

/* decode(encode(x)) == x for random bytes, with and without specials. */
static inline void check_round_trips(const ag_tokenizer *t, int rounds)
{
    ag_rng r = ag_rng_at(7, AG_RNG_TEST, 1, 0, 0, 0);
    char text[300];
    ag_tokens ids = {0};
    ag_str back = {0};
    ag_error err = {0};

    for (int i = 0; i < rounds; i++) {
        size_t len = random_text(&r, text, sizeof text);
        for (int special = 0; special < 2; special++) {
            ids.len = 0;
            ag_str_clear(&back);
            check_ok(ag_tokenizer_encode(t, text, len, special, &ids, &err), &err);
            check_ok(ag_tokenizer_decode(t, ids.ids, ids.len, false, &back, &err), &err);
            assert_int_equal(back.len, len);
            assert_memory_equal(ag_str_text(&back), text, len);
            for (size_t k = 0; !special && k < ids.len; k++)
                assert_false(ag_tokenizer_is_special(t, ids.ids[k]));
        }
    }
    ag_str_free(&back);
    ag_tokens_free(&ids);
}

/* For the comparison with Hugging Face's library (tests/golden/tokenizer/peer.py): when AGRL_PEER_DIR names a
 * folder, saves the tokenizer there with the ids of random texts. */
static inline void write_peer(const ag_tokenizer *t, const char *name)
{
    const char *root = getenv("AGRL_PEER_DIR");
    ag_rng r = ag_rng_at(9, AG_RNG_TEST, 2, 0, 0, 0);
    ag_error err = {0};
    ag_out *out = NULL;

    if (root == NULL) return;
    char *dir = ag_path_join(root, name), *path;
    check_ok(ag_tokenizer_save(t, dir, &err), &err);
    path = ag_path_join(dir, "ids.jsonl");
    check_ok(ag_out_open(&out, path, &err), &err);
    for (int i = 0; i < 3000; i++) {
        char text[200];
        ag_tokens ids = {0};
        ag_str line = {0};
        size_t len = random_text(&r, text, sizeof text);
        if (!ag_utf8_valid(text, len, NULL)) continue;
        check_ok(ag_tokenizer_encode(t, text, len, true, &ids, &err), &err);
        ag_str_add(&line, "{\"text\": ");
        ag_json_quote(&line, text, len);
        ag_str_add(&line, ", \"tokens\": [");
        for (size_t k = 0; k < ids.len; k++) ag_str_addf(&line, k ? ", %d" : "%d", (int)ids.ids[k]);
        ag_str_add(&line, "]}\n");
        ag_out_write(out, ag_str_text(&line), line.len);
        ag_str_free(&line);
        ag_tokens_free(&ids);
    }
    check_ok(ag_out_commit(out, &err), &err);
    ag_free(path);
    ag_free(dir);
}

/* A vocabulary for tests: the 256 bytes as ids 0..255, then what the merges make, then added tokens. Names
 * are in the alphabet of bytes; the caller frees with toy_free. */
typedef struct toy {
    char *names[512];
    int types[512];
    const char *merges[64];
    ag_vocab_source source;
} toy;

static inline void toy_add(toy *v, const char *name, int type)
{
    v->names[v->source.vocab] = ag_strdup(name);
    v->types[v->source.vocab++] = type;
}

static inline void toy_init(toy *v, const char *pre)
{
    memset(v, 0, sizeof *v);
    v->source.pre = pre;
    v->source.bos = v->source.eos = v->source.pad = -1;
    for (unsigned b = 0, next = 0x100; b < 256; b++) {
        bool shown = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        char name[5] = {0};
        ag_utf8_put(shown ? b : next++, name);
        toy_add(v, name, 1);
    }
    v->source.tokens = (const char *const *)v->names;
    v->source.types = v->types;
    v->source.merges = v->merges;
}

/* Adds "left right" and, if it is new, the token that it makes. */
static inline void toy_merge(toy *v, const char *merge)
{
    char name[64];
    const char *space = strchr(merge, ' ');

    snprintf(name, sizeof name, "%.*s%s", (int)(space - merge), merge, space + 1);
    v->merges[v->source.merge_count++] = merge;
    for (int i = 0; i < v->source.vocab; i++)
        if (strcmp(v->names[i], name) == 0) return; /* two ways to one token */
    toy_add(v, name, 1);
}

static inline void toy_free(toy *v)
{
    for (int i = 0; i < v->source.vocab; i++) ag_free(v->names[i]);
}

#endif
