/* tok.h: what the files of this room share and nobody outside sees: the tokenizer's tables, and the steps by
 * which every source (tokenizer.json, GGUF, vocab.json with merges.txt, the trainer) fills them.
 *
 * The order of building: ag_tok_new, ag_tok_set for every token of the vocabulary, ag_tok_mark_added for
 * added tokens, ag_tok_index, ag_tok_merge in rank order, the pre-tokenizer, ag_tok_finish. After that
 * nothing changes, which is what makes a tokenizer safe to share between threads without a lock.
 */
#ifndef AG_TEXT_TOK_H
#define AG_TEXT_TOK_H

#include "base/json.h"
#include "base/mem.h"
#include "text/pre.h"
#include "text/tokenizer.h"

#define AG_TOK_VOCAB_MAX   (1 << 20) /* ids are below this; the model's config has the same bound */
#define AG_TOK_CONTENT_MAX 1024      /* bytes of an added token: bounds the work of matching at one place */

/* One id. */
typedef struct ag_tok_entry {
    const char *bytes; /* what the token stands for; NULL: the vocabulary has no such id */
    uint32_t len;
    bool raw;        /* its name is its text as it is, not in the alphabet of bytes: BPE never makes it */
    bool added;      /* found in the text before any splitting */
    bool special;    /* added, and a control token: never out of what a user typed */
    bool normalized; /* added, and looked for after normalization */
    bool direct;     /* a piece with exactly these bytes is this token: the answer without merging */
} ag_tok_entry;

/* (left, right) -> rank and result, open addressing. */
typedef struct ag_tok_slot {
    uint64_t key; /* left << 32 | right, plus 1 so that 0 is empty */
    uint32_t rank;
    int32_t id;
} ag_tok_slot;

/* Added tokens as a trie over bytes. Node 0 is the root. */
typedef struct ag_trie_node {
    int32_t id; /* token that ends here, or -1 */
    uint32_t child, sibling;
    unsigned char byte;
} ag_trie_node;
typedef struct ag_trie {
    ag_trie_node *nodes;
    size_t count, cap;
    uint32_t first[256]; /* child of the root by byte; 0: none */
} ag_trie;

struct ag_tokenizer {
    ag_arena arena; /* all texts */
    ag_tok_entry *tokens;
    size_t token_cap;
    int vocab;
    int32_t byte_id[256]; /* the token of a single byte, or -1 */
    int32_t *by_bytes;    /* hash table of ids + 1 by bytes, of the tokens that are not raw */
    size_t by_bytes_mask;
    int32_t (*pairs)[2]; /* merges in rank order, for saving */
    size_t pair_count, pair_cap;
    ag_tok_slot *slots;
    size_t slot_mask, slot_used;
    ag_trie plain, normalized; /* added tokens looked for in the text as it is, and after normalization */
    ag_pre pre;
    bool nfc, ignore_merges, add_bos, fuse_unk;
    int32_t unk, bos, eos, pad;
    const char *chat_template;
};

ag_status ag_tok_new(ag_tokenizer **tokenizer, ag_error *err);
/* Gives id its name. `raw` false: the name is in the alphabet of bytes if all its characters are, else raw.
 */
ag_status ag_tok_set(ag_tokenizer *t, long id, const char *name, size_t len, bool raw, ag_error *err);
/* Makes id (already set to the same name, or free) an added token with this text. */
ag_status ag_tok_mark_added(ag_tokenizer *t, long id, const char *text, size_t len, bool special,
                            bool normalized, ag_error *err);
/* Builds the table by bytes; names must all be set. */
ag_status ag_tok_index(ag_tokenizer *t, ag_error *err);
/* Adds the next merge by the names of its parts. */
ag_status ag_tok_merge(ag_tokenizer *t, const char *left, size_t left_len, const char *right,
                       size_t right_len, ag_error *err);
/* The same from "left right". */
ag_status ag_tok_merge_line(ag_tokenizer *t, const char *line, size_t len, ag_error *err);
ag_status ag_tok_finish(ag_tokenizer *t, ag_error *err);
/* Id by bytes of a token that is not raw, or -1. */
int32_t ag_tok_by_bytes(const ag_tokenizer *t, const char *bytes, size_t len);
/* An id given by a file: -1 or a token that exists. */
ag_status ag_tok_check_id(const ag_tokenizer *t, long id, const char *what, ag_error *err);
/* {"token": id, ...} as model.vocab and vocab.json have it. */
ag_status ag_tok_read_vocab(ag_tokenizer *t, const json_t *vocab, ag_error *err);
/* An added token as tokenizer.json and tokenizer_config.json describe it. */
ag_status ag_tok_read_added(ag_tokenizer *t, long id, const json_t *token, ag_error *err);
/* tokenizer_config.json of a folder in two steps: its added tokens (taken over before ag_tok_index, only
 * compared after it), then all else and chat_template.jinja. *root (new) is NULL where there is no such file.
 */
ag_status ag_tok_config_added(ag_tokenizer *t, const char *dir, json_t **root, ag_error *err);
ag_status ag_tok_config_rest(ag_tokenizer *t, const char *dir, const json_t *root, ag_error *err);

/* --- merging (bpe.c) --- */

typedef struct ag_bpe_work {
    int32_t *ids; /* symbols of the piece */
    uint32_t *rank, *next, *prev;
    uint64_t *heap;
    size_t ids_cap, rank_cap, next_cap, prev_cap, heap_cap;
} ag_bpe_work;
void ag_bpe_work_free(ag_bpe_work *w);
/* Appends the ids of one piece. */
ag_status ag_bpe_piece(const ag_tokenizer *t, ag_bpe_work *w, const char *bytes, size_t len, ag_tokens *out,
                       ag_error *err);
/* The same without the look-up of whole pieces: merging alone. */
ag_status ag_bpe_merge(const ag_tokenizer *t, ag_bpe_work *w, const char *bytes, size_t len, ag_tokens *out,
                       ag_error *err);
/* Puts a merge into the table. *fresh false: the pair was there already. */
ag_status ag_bpe_put(ag_tokenizer *t, int32_t left, int32_t right, uint32_t rank, int32_t id, bool *fresh,
                     ag_error *err);

/* --- the alphabet of bytes (alphabet.c): GPT-2's one printable character for each byte --- */

uint32_t ag_alphabet_char(unsigned char byte);
/* Decodes a name into out (room for len bytes). Returns the number of bytes, or -1 when a character is none
 * of the alphabet. */
long ag_alphabet_decode(const char *name, size_t len, char *out);
void ag_alphabet_encode(ag_str *out, const char *bytes, size_t len);

/* --- added tokens (added.c) --- */

ag_status ag_trie_add(ag_trie *trie, const char *text, size_t len, int32_t id, ag_error *err);
/* The leftmost, and there the longest, added token at or after `from`; its place in *start and *end. -1:
 * none. */
int32_t ag_trie_search(const ag_trie *trie, const char *text, size_t len, size_t from, size_t *start,
                       size_t *end);
/* The token that is exactly this text, or -1. */
int32_t ag_trie_exact(const ag_trie *trie, const char *text, size_t len);
void ag_trie_free(ag_trie *trie);

/* --- normalization (nfc.c) --- */

/* True when the text (valid UTF-8) is surely in NFC already; false when it has to be looked at. */
bool ag_nfc_quick(const char *text, size_t len);
/* Appends NFC of valid UTF-8; linear in the text but for sorting of combining marks, which is n log n. */
ag_status ag_nfc_append(ag_str *out, const char *text, size_t len, ag_error *err);

#endif
