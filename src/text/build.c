/* build.c: filling a tokenizer's tables, step by step and with every check: whatever file the vocabulary
 * comes from, a tokenizer that passes here has ids in range, one meaning an id, and merges that only make
 * longer tokens.
 */
#include <string.h>
#include "text/tok.h"

ag_status ag_tok_new(ag_tokenizer **tokenizer, ag_error *err)
{
    ag_tokenizer *t = ag_calloc(1, sizeof *t);

    *tokenizer = t;
    if (t == NULL) return ag_fail_memory(err, "tokenizer");
    t->arena.name = "tokenizer";
    t->unk = t->bos = t->eos = t->pad = -1;
    for (int b = 0; b < 256; b++) t->byte_id[b] = -1;
    return AG_OK;
}

void ag_tokenizer_free(ag_tokenizer *t)
{
    if (t == NULL) return;
    ag_free(t->tokens);
    ag_free(t->by_bytes);
    ag_free(t->pairs);
    ag_free(t->slots);
    ag_trie_free(&t->plain);
    ag_trie_free(&t->normalized);
    ag_pre_free(&t->pre);
    ag_arena_free(&t->arena);
    ag_free(t);
}

/* The entry of id, made if it is not there yet. */
static ag_status entry_at(ag_tokenizer *t, long id, ag_tok_entry **entry, ag_error *err)
{
    if (id < 0 || id >= AG_TOK_VOCAB_MAX)
        return ag_fail(err, AG_ERR_INPUT, "token id %ld is not in 0..%d", id, AG_TOK_VOCAB_MAX - 1);
    if (!ag_grow(&t->tokens, &t->token_cap, (size_t)id + 1, sizeof *t->tokens))
        return ag_fail_memory(err, "vocabulary");
    if (id >= t->vocab) {
        memset(t->tokens + t->vocab, 0, ((size_t)id + 1 - (size_t)t->vocab) * sizeof *t->tokens);
        t->vocab = (int)id + 1;
    }
    *entry = &t->tokens[id];
    return AG_OK;
}

ag_status ag_tok_set(ag_tokenizer *t, long id, const char *name, size_t len, bool raw, ag_error *err)
{
    ag_tok_entry *e = NULL;
    ag_status st;
    char *bytes;
    long n = -1;

    if (!ag_utf8_valid(name, len, NULL)) return ag_fail(err, AG_ERR_INPUT, "token %ld is not UTF-8", id);
    if (len > UINT32_MAX / 4) return ag_fail(err, AG_ERR_INPUT, "token %ld is too long", id);
    st = entry_at(t, id, &e, err);
    if (st != AG_OK) return st;
    if (e->bytes != NULL)
        return ag_fail(err, AG_ERR_INPUT, "id %ld is given to two tokens, one is '%.60s'", id, name);
    bytes = ag_arena_alloc(&t->arena, len + 1, 1);
    if (bytes == NULL) return ag_fail_memory(err, "vocabulary");
    if (!raw) n = ag_alphabet_decode(name, len, bytes);
    if (n < 0) {
        memcpy(bytes, name, len);
        n = (long)len;
        raw = true;
    }
    bytes[n] = '\0';
    *e = (ag_tok_entry){.bytes = bytes, .len = (uint32_t)n, .raw = raw};
    return AG_OK;
}

/* Is the token's name, as a vocabulary file writes it, this text? */
static bool named(const ag_tok_entry *e, const char *text, size_t len)
{
    size_t at = 0, i = 0;

    if (e->raw) return e->len == len && memcmp(e->bytes, text, len) == 0;
    while (at < len && i < e->len)
        if (ag_utf8_next(text, len, &at) != ag_alphabet_char((unsigned char)e->bytes[i++])) return false;
    return at == len && i == e->len;
}

ag_status ag_tok_mark_added(ag_tokenizer *t, long id, const char *text, size_t len, bool special,
                            bool normalized, ag_error *err)
{
    ag_tok_entry *e = NULL;
    ag_status st;
    bool fresh;

    if (len == 0 || len > AG_TOK_CONTENT_MAX)
        return ag_fail(err, AG_ERR_INPUT, "added token %ld has %zu bytes, not 1 to %d", id, len,
                       AG_TOK_CONTENT_MAX);
    if (!ag_utf8_valid(text, len, NULL))
        return ag_fail(err, AG_ERR_INPUT, "added token %ld is not UTF-8", id);
    st = entry_at(t, id, &e, err);
    if (st != AG_OK) return st;
    if (ag_trie_exact(&t->plain, text, len) >= 0 || ag_trie_exact(&t->normalized, text, len) >= 0)
        return ag_fail(err, AG_ERR_INPUT, "added token '%.60s' is given twice", text);
    if (e->bytes != NULL && (e->added || !named(e, text, len)))
        return ag_fail(err, AG_ERR_INPUT, "added token '%.60s' has id %ld, which is '%.60s' already", text,
                       id, e->bytes);
    fresh = e->bytes == NULL;
    if (fresh || e->len != len || memcmp(e->bytes, text, len) != 0) {
        e->bytes = ag_arena_strndup(&t->arena, text, len);
        if (e->bytes == NULL) return ag_fail_memory(err, "vocabulary");
        e->len = (uint32_t)len;
        e->raw = true;
    }
    e->added = true;
    e->special = special;
    e->normalized = normalized;
    if (fresh) e->raw = true;
    if (!e->normalized) return ag_trie_add(&t->plain, e->bytes, e->len, (int32_t)id, err);
    ag_str nfc = {0};
    if (t->nfc)
        st = ag_nfc_append(&nfc, text, len, err);
    else
        ag_str_addn(&nfc, text, len);
    if (st == AG_OK) st = ag_str_ok(&nfc, err);
    if (st == AG_OK) st = ag_trie_add(&t->normalized, ag_str_text(&nfc), nfc.len, (int32_t)id, err);
    ag_str_free(&nfc);
    return st;
}

/* --- by bytes --------------------------------------------------------------------------------------------
 */

static uint64_t hash_bytes(const char *bytes, size_t len)
{
    uint64_t h = 0x9e3779b97f4a7c15u ^ len, word = 0;

    for (; len >= 8; bytes += 8, len -= 8) {
        memcpy(&word, bytes, 8);
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    word = 0;
    for (size_t i = 0; i < len; i++) word |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
    h = (h ^ word) * 0xff51afd7ed558ccdu;
    return h ^ h >> 32;
}

int32_t ag_tok_by_bytes(const ag_tokenizer *t, const char *bytes, size_t len)
{
    if (t->by_bytes == NULL) return -1;
    for (size_t i = hash_bytes(bytes, len) & t->by_bytes_mask;; i = (i + 1) & t->by_bytes_mask) {
        int32_t id = t->by_bytes[i] - 1;
        if (id < 0) return -1;
        if (t->tokens[id].len == len && memcmp(t->tokens[id].bytes, bytes, len) == 0) return id;
    }
}

ag_status ag_tok_index(ag_tokenizer *t, ag_error *err)
{
    size_t size = 512;

    while (size < (size_t)t->vocab * 2) size *= 2;
    t->by_bytes = ag_calloc(size, sizeof *t->by_bytes);
    if (t->by_bytes == NULL) return ag_fail_memory(err, "vocabulary");
    t->by_bytes_mask = size - 1;
    for (int id = 0; id < t->vocab; id++) {
        const ag_tok_entry *e = &t->tokens[id];
        int32_t other;
        if (e->bytes == NULL || e->raw || e->len == 0) continue;
        other = ag_tok_by_bytes(t, e->bytes, e->len);
        if (other >= 0)
            return ag_fail(err, AG_ERR_INPUT, "tokens %d and %d are the same text '%.60s'", (int)other, id,
                           e->bytes);
        size_t i = hash_bytes(e->bytes, e->len) & t->by_bytes_mask;
        while (t->by_bytes[i] != 0) i = (i + 1) & t->by_bytes_mask;
        t->by_bytes[i] = id + 1;
        if (e->len == 1) t->byte_id[(unsigned char)e->bytes[0]] = id;
    }
    return AG_OK;
}

/* --- merges ----------------------------------------------------------------------------------------------
 */

static ag_status part_id(const ag_tokenizer *t, const char *name, size_t len, char *bytes, long *n,
                         int32_t *id, ag_error *err)
{
    *n = ag_alphabet_decode(name, len, bytes);
    *id = *n > 0 ? ag_tok_by_bytes(t, bytes, (size_t)*n) : -1;
    if (*id < 0)
        return ag_fail(err, AG_ERR_INPUT, "merge %zu: token '%.*s' is not in the vocabulary",
                       t->pair_count + 1, (int)(len < 60 ? len : 60), name);
    return AG_OK;
}

ag_status ag_tok_merge(ag_tokenizer *t, const char *left, size_t left_len, const char *right,
                       size_t right_len, ag_error *err)
{
    char room[512], *bytes = room;
    long a = 0, b = 0;
    int32_t l = -1, r = -1, id;
    bool fresh = true;
    ag_status st;

    if (left_len > UINT32_MAX / 4 || right_len > UINT32_MAX / 4)
        return ag_fail(err, AG_ERR_INPUT, "a merge is too long");
    if (left_len + right_len > sizeof room) bytes = ag_calloc(left_len + right_len, 1);
    if (bytes == NULL) return ag_fail_memory(err, "merges");
    st = part_id(t, left, left_len, bytes, &a, &l, err);
    if (st == AG_OK) st = part_id(t, right, right_len, bytes + a, &b, &r, err);
    if (st != AG_OK) goto out;
    id = ag_tok_by_bytes(t, bytes, (size_t)(a + b));
    if (id < 0) {
        st = ag_fail(err, AG_ERR_INPUT, "merge %zu: what '%.*s' and '%.*s' make is not in the vocabulary",
                     t->pair_count + 1, (int)(left_len < 60 ? left_len : 60), left,
                     (int)(right_len < 60 ? right_len : 60), right);
        goto out;
    }
    if (!ag_grow(&t->pairs, &t->pair_cap, t->pair_count + 1, sizeof *t->pairs)) {
        st = ag_fail_memory(err, "merges");
        goto out;
    }
    /* A merge must not spell a control token out of ordinary text. Where specials count they are found before
     * merging, so leaving it out changes nothing there. */
    if (!t->tokens[id].special) st = ag_bpe_put(t, l, r, (uint32_t)t->pair_count, id, &fresh, err);
    if (st == AG_OK && !fresh)
        st = ag_fail(err, AG_ERR_INPUT, "merge %zu: '%.*s' and '%.*s' were merged before", t->pair_count + 1,
                     (int)(left_len < 60 ? left_len : 60), left, (int)(right_len < 60 ? right_len : 60),
                     right);
    if (st != AG_OK) goto out;
    t->pairs[t->pair_count][0] = l;
    t->pairs[t->pair_count][1] = r;
    t->pair_count++;
out:
    if (bytes != room) ag_free(bytes);
    return st;
}

ag_status ag_tok_merge_line(ag_tokenizer *t, const char *line, size_t len, ag_error *err)
{
    const char *space = memchr(line, ' ', len);
    size_t left = space != NULL ? (size_t)(space - line) : 0;

    if (space == NULL || left == 0 || left + 1 == len || memchr(space + 1, ' ', len - left - 1) != NULL)
        return ag_fail(err, AG_ERR_INPUT, "merge %zu: '%.*s' is not two tokens with a space between",
                       t->pair_count + 1, (int)(len < 60 ? len : 60), line);
    return ag_tok_merge(t, line, left, space + 1, len - left - 1, err);
}

ag_status ag_tok_check_id(const ag_tokenizer *t, long id, const char *what, ag_error *err)
{
    if (id >= -1 && id < t->vocab && (id < 0 || t->tokens[id].bytes != NULL)) return AG_OK;
    return ag_fail(err, AG_ERR_INPUT, "%s is token %ld, which the vocabulary does not have (%d tokens)", what,
                   id, t->vocab);
}

ag_status ag_tok_finish(ag_tokenizer *t, ag_error *err)
{
    ag_bpe_work work = {0};
    ag_tokens got = {0};
    ag_status st = AG_OK;

    if (t->vocab == 0) return ag_fail(err, AG_ERR_INPUT, "the vocabulary is empty");
    for (int id = 0; id < t->vocab && st == AG_OK; id++) {
        ag_tok_entry *e = &t->tokens[id];
        if (e->bytes == NULL || e->raw || e->special || e->len == 0) continue;
        e->direct = t->ignore_merges;
        if (t->ignore_merges) continue;
        /* Most pieces of a text are one token. Knowing which tokens their own bytes merge to spares the
         * merging. */
        got.len = 0;
        st = ag_bpe_merge(t, &work, e->bytes, e->len, &got, err);
        e->direct = st == AG_OK && got.len == 1 && got.ids[0] == id;
    }
    ag_bpe_work_free(&work);
    ag_tokens_free(&got);
    return st;
}
