/* facts_text.h: the one normal form in which values, phrases and queries meet: words, folded, plurals taken off.
 *
 * "Men's Running-Shoes, 1,5L" is the words  men running shoe 1.5 l. Comparing two values is comparing their joined
 * words; finding a value in a text is finding its words in a row.
 */
#ifndef AG_RULES_FACTS_TEXT_H
#define AG_RULES_FACTS_TEXT_H

#include "base/mem.h"
#include "base/str.h"

typedef struct ag_word {
    uint32_t at, len;         /* in `text`: the normal form */
    uint32_t raw_at, raw_len; /* in `raw`: as written, folded */
    bool number;              /* digits, perhaps with a decimal point */
    bool currency;            /* a currency sign, which binds to the number beside it */
} ag_word;

/* A text in words. Zeroed is valid; reuse one for many texts to save allocations. */
typedef struct ag_words {
    ag_str text, raw; /* words of `text` are separated by one space */
    ag_word *items;
    size_t count, cap;
} ag_words;

/* Splits a text (replacing what was there). `english`: take off plural endings and 's. */
ag_status ag_words_split(ag_words *words, const char *text, bool english, ag_error *err);
void ag_words_free(ag_words *words);

/* Where the words of `part` (in normal form, joined by spaces) stand in a row at or after word `from`, or -1. */
long ag_words_find(const ag_words *words, const char *part, size_t len, size_t from);
/* The words from..from+n-1 joined: a slice of `text`. */
const char *ag_words_slice(const ag_words *words, size_t from, size_t n, size_t *len);
/* The same as it was written (folded). */
const char *ag_words_raw(const ag_words *words, size_t from, size_t n, size_t *len);

/* Appends the normal form of a short text to out. */
ag_status ag_words_normal(ag_str *out, const char *text, bool english, ag_error *err);

#endif
