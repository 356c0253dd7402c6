/* tokenizer.c: encoding and decoding.
 *
 * A text passes four sieves: added tokens in the text as it is; wrong bytes, each of which is a piece of its
 * own; normalization and the added tokens that are looked for after it; the pre-tokenizer, whose pieces are
 * merged. What a call needs lives in the call, so a tokenizer can be shared by threads.
 */
#include "text/tokenizer.h"

#include <string.h>
#include "text/tok.h"

#define TEXT_MAX ((size_t)1 << 30) /* bytes of one text: places in a piece are 32 bits */

typedef struct encoder {
    const ag_tokenizer *t;
    bool special;
    ag_tokens *out;
    ag_pre_work pre;
    ag_bpe_work bpe;
    ag_str nfc;
    ag_error *err;
} encoder;

ag_status ag_tokens_add(ag_tokens *t, const int32_t *ids, size_t n, ag_error *err)
{
    if (n > t->cap - t->len && !ag_grow(&t->ids, &t->cap, t->len + n, sizeof *t->ids))
        return ag_fail_memory(err, "tokens");
    if (n == 1)
        t->ids[t->len] = *ids; /* nearly every call */
    else if (n > 0)
        memcpy(t->ids + t->len, ids, n * sizeof *ids);
    t->len += n;
    return AG_OK;
}

void ag_tokens_free(ag_tokens *t)
{
    ag_free(t->ids);
    *t = (ag_tokens){0};
}

static ag_status encode_piece(void *user, const char *piece, size_t len, ag_error *err)
{
    encoder *e = user;

    return ag_bpe_piece(e->t, &e->bpe, piece, len, e->out, err);
}

static ag_status encode_pieces(encoder *e, const char *text, size_t len)
{
    return ag_pre_run(&e->t->pre, &e->pre, text, len, encode_piece, e, e->err);
}

/* A run of valid UTF-8 without added tokens of the first sieve. */
static ag_status encode_valid(encoder *e, const char *text, size_t len)
{
    size_t at = 0, start, end;
    int32_t id;
    ag_status st = AG_OK;

    if (len == 0) return AG_OK;
    if (e->t->nfc && !ag_nfc_quick(text, len)) {
        ag_str_clear(&e->nfc);
        st = ag_nfc_append(&e->nfc, text, len, e->err);
        if (st != AG_OK) return st;
        text = ag_str_text(&e->nfc);
        len = e->nfc.len;
    }
    if (e->special && e->t->normalized.count > 0) {
        while ((id = ag_trie_search(&e->t->normalized, text, len, at, &start, &end)) >= 0) {
            st = encode_pieces(e, text + at, start - at);
            if (st == AG_OK) st = ag_tokens_add(e->out, &id, 1, e->err);
            if (st != AG_OK) return st;
            at = end;
        }
    }
    return encode_pieces(e, text + at, len - at);
}

/* Any bytes without added tokens of the first sieve. */
static ag_status encode_bytes(encoder *e, const char *text, size_t len)
{
    ag_status st = AG_OK;

    while (st == AG_OK && len > 0) {
        size_t good = len;
        if (ag_utf8_valid(text, len, &good)) good = len;
        st = encode_valid(e, text, good);
        if (st == AG_OK && good < len) st = ag_bpe_piece(e->t, &e->bpe, text + good, 1, e->out, e->err);
        if (good < len) good++;
        text += good;
        len -= good;
    }
    return st;
}

ag_status ag_tokenizer_encode(const ag_tokenizer *t, const char *text, size_t len, bool special,
                              ag_tokens *out, ag_error *err)
{
    encoder e = {.t = t, .special = special, .out = out, .err = err};
    size_t at = 0, start, end, before = out->len;
    int32_t id;
    ag_status st = AG_OK;

    if (len > TEXT_MAX) return ag_fail(err, AG_ERR_INPUT, "a text of %zu bytes; the most is 1 GiB", len);
    if (special && t->add_bos && t->bos >= 0) st = ag_tokens_add(out, &t->bos, 1, err);
    while (st == AG_OK && special && (id = ag_trie_search(&t->plain, text, len, at, &start, &end)) >= 0) {
        st = encode_bytes(&e, text + at, start - at);
        if (st == AG_OK) st = ag_tokens_add(out, &id, 1, err);
        at = end;
    }
    if (st == AG_OK) st = encode_bytes(&e, text + at, len - at);
    if (st != AG_OK) out->len = before;
    ag_pre_work_free(&e.pre);
    ag_bpe_work_free(&e.bpe);
    ag_str_free(&e.nfc);
    return st;
}

ag_status ag_tokenizer_decode(const ag_tokenizer *t, const int32_t *ids, size_t n, bool skip_special,
                              ag_str *text, ag_error *err)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = 0;
        const char *bytes = ag_tokenizer_bytes(t, ids[i], &len);
        if (bytes == NULL)
            return ag_fail(err, AG_ERR_INPUT, "token %zu of the list: the vocabulary has no id %ld", i + 1,
                           (long)ids[i]);
        if (!(skip_special && t->tokens[ids[i]].special)) ag_str_addn(text, bytes, len);
    }
    return ag_str_ok(text, err);
}

const char *ag_tokenizer_bytes(const ag_tokenizer *t, int32_t id, size_t *len)
{
    if (id < 0 || id >= t->vocab || t->tokens[id].bytes == NULL) return NULL;
    *len = t->tokens[id].len;
    return t->tokens[id].bytes;
}

bool ag_tokenizer_is_special(const ag_tokenizer *t, int32_t id)
{
    return id >= 0 && id < t->vocab && t->tokens[id].special;
}

int32_t ag_tokenizer_find(const ag_tokenizer *t, const char *text, size_t len)
{
    int32_t id = ag_trie_exact(&t->plain, text, len);

    if (id < 0) id = ag_trie_exact(&t->normalized, text, len);
    return id >= 0 ? id : ag_tok_by_bytes(t, text, len);
}

int ag_tokenizer_vocab(const ag_tokenizer *t)
{
    return t->vocab;
}

int32_t ag_tokenizer_bos(const ag_tokenizer *t)
{
    return t->bos;
}

int32_t ag_tokenizer_eos(const ag_tokenizer *t)
{
    return t->eos;
}

int32_t ag_tokenizer_pad(const ag_tokenizer *t)
{
    return t->pad;
}

const char *ag_tokenizer_chat_template(const ag_tokenizer *t)
{
    return t->chat_template;
}
