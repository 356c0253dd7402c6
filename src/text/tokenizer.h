/* tokenizer.h: byte-level BPE (Sennrich et al. 2016, on bytes as in GPT-2), read from Hugging Face tokenizer.json
 * or GGUF metadata, trained from text, written as tokenizer.json.
 *
 * A tokenizer is immutable after loading and may be used by several threads at once (the merge cache is per call
 * state or guarded). Token ids are int32, from 0.
 */
#ifndef AG_TEXT_TOKENIZER_H
#define AG_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/str.h"

typedef struct ag_tokenizer ag_tokenizer;

/* Token ids, growing. Zeroed is empty. */
typedef struct ag_tokens {
    int32_t *ids;
    size_t len, cap;
} ag_tokens;
ag_status ag_tokens_add(ag_tokens *t, const int32_t *ids, size_t n, ag_error *err);
void ag_tokens_free(ag_tokens *t);

/* Reads tokenizer.json (model type BPE, byte level; pre-tokenizers: ByteLevel with or without its regex, Split with
 * a regex, Digits, Sequences of these; normalizer null or NFC; added tokens; post processors are read only
 * for whether a start token is added). tokenizer_config.json beside it, if there, gives bos, eos, pad and the chat
 * template text. Anything that would change token ids and is not supported is AG_ERR_UNSUPPORTED. */
ag_status ag_tokenizer_load(ag_tokenizer **tokenizer, const char *tokenizer_json_path, ag_error *err);

/* GPT-2 style files: vocab.json and merges.txt with a named pre-tokenizer (below), for example of the Qwen2
 * folder. */
ag_status ag_tokenizer_load_vocab_merges(ag_tokenizer **tokenizer, const char *vocab_path,
                                         const char *merges_path, const char *pre, ag_error *err);

/* The vocabulary of a GGUF file: what model/gguf.c reads out of its metadata (tokenizer.ggml.*). All arrays
 * are borrowed during the call. `pre` is tokenizer.ggml.pre: smollm, gpt-2, qwen2, llama-bpe, starcoder;
 * "default" or unknown names are AG_ERR_UNSUPPORTED. */
typedef struct ag_vocab_source {
    const char *const *tokens; /* in the byte-to-unicode alphabet of GPT-2, as both formats store them */
    const int *types; /* GGUF: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte; or NULL */
    int vocab;
    const char *const *merges; /* "left right" */
    int merge_count;
    const char *pre;
    int bos, eos, pad; /* -1: none */
    bool add_bos;
    const char *chat_template; /* or NULL */
} ag_vocab_source;
ag_status ag_tokenizer_from_vocab(ag_tokenizer **tokenizer, const ag_vocab_source *source, ag_error *err);

/* Trains byte-level BPE with `vocab` tokens (256 bytes, merges, and the special tokens given) on documents that
 * `next` hands out one at a time (*text NULL at the end). Pre-tokenizer: GPT-2's pattern with every digit alone,
 * so that no merge contains a digit. Ties break by the pair's bytes: same input, same merges. */
typedef ag_status (*ag_text_source)(void *user, const char **text, size_t *len, ag_error *err);
ag_status ag_tokenizer_train(ag_tokenizer **tokenizer, ag_text_source next, void *user, int vocab,
                             const char *const *special, int special_count, ag_error *err);

/* Writes tokenizer.json and tokenizer_config.json into a folder (transformers loads them unchanged and gives the
 * same ids). Written atomically. */
ag_status ag_tokenizer_save(const ag_tokenizer *tokenizer, const char *dir, ag_error *err);
void ag_tokenizer_free(ag_tokenizer *tokenizer);

/* Appends the ids of text (any bytes). `special`: true: the text of added special tokens in it counts as those
 * tokens; false: it is ordinary text (what users type must never become control tokens; this goes for added tokens
 * that are not special, like <think>, too). No start token is added unless add_bos says so and `special` is true.
 * On failure `out` is as it was. */
ag_status ag_tokenizer_encode(const ag_tokenizer *tokenizer, const char *text, size_t len, bool special,
                              ag_tokens *out, ag_error *err);

/* Appends the bytes of ids to *text (ag_str); ids out of range are AG_ERR_INPUT. decode(encode(x)) == x for any
 * bytes, but for what the tokenizer itself gives up: NFC where it normalizes, and bytes that the vocabulary lacks
 * (SmolLM2's has 235 of 256), which become its unknown token or nothing, as in Hugging Face's library.
 * skip_special leaves control tokens out. */
ag_status ag_tokenizer_decode(const ag_tokenizer *tokenizer, const int32_t *ids, size_t n, bool skip_special,
                              ag_str *text, ag_error *err);

/* The raw bytes of one token (borrowed); a special token gives its text. NULL when out of range. */
const char *ag_tokenizer_bytes(const ag_tokenizer *tokenizer, int32_t id, size_t *len);
bool ag_tokenizer_is_special(const ag_tokenizer *tokenizer, int32_t id);
/* Id of a token given by its plain text (specials too), or -1. */
int32_t ag_tokenizer_find(const ag_tokenizer *tokenizer, const char *text, size_t len);
int ag_tokenizer_vocab(const ag_tokenizer *tokenizer);   /* ids are below this */
int32_t ag_tokenizer_bos(const ag_tokenizer *tokenizer); /* -1: none */
int32_t ag_tokenizer_eos(const ag_tokenizer *tokenizer);
int32_t ag_tokenizer_pad(const ag_tokenizer *tokenizer);
const char *ag_tokenizer_chat_template(const ag_tokenizer *tokenizer); /* Jinja text, or NULL */

#endif
