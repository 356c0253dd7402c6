/* str.h: a growing string, UTF-8 helpers and the text normalisation that queries and values share.
 *
 * ag_str keeps a final NUL after `len` bytes. When memory runs out `failed` becomes true and stays so; further
 * appends do nothing. Check it once at the end with ag_str_ok.
 */
#ifndef AG_BASE_STR_H
#define AG_BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

typedef struct ag_str {
    char *data; /* NULL only while empty */
    size_t len, cap;
    bool failed;
} ag_str;

void ag_str_add(ag_str *s, const char *text);
void ag_str_addn(ag_str *s, const char *bytes, size_t n);
void ag_str_addc(ag_str *s, char c);
void ag_str_addf(ag_str *s, const char *format, ...) AG_PRINTF(2, 3);
void ag_str_vaddf(ag_str *s, const char *format, va_list args);
/* Appends text broken at spaces into lines of at most `width` columns, and a newline. The text begins at column `indent`, where the cursor
 * stands; following lines are indented to it. Newlines in the text are kept; a longer word stands alone. */
void ag_str_add_wrapped(ag_str *s, const char *text, int indent, int width);
void ag_str_clear(ag_str *s); /* keeps the memory */
void ag_str_free(ag_str *s);
/* The text, never NULL ("" while empty). */
const char *ag_str_text(const ag_str *s);
/* AG_ERR_MEMORY when an append failed. */
ag_status ag_str_ok(const ag_str *s, ag_error *err);
/* Hands the text to the caller (ag_free) and empties s; NULL when an append failed. */
char *ag_str_take(ag_str *s);

/* True when the bytes are UTF-8 without surrogates, overlong forms or values past U+10FFFF; else *bad (may be
 * NULL) is the offset of the first wrong byte. */
bool ag_utf8_valid(const char *bytes, size_t n, size_t *bad);
/* Decodes the code point at *at (< n) and advances; a wrong byte gives U+FFFD and advances by one. */
uint32_t ag_utf8_next(const char *bytes, size_t n, size_t *at);
/* Writes code point c as 1 to 4 bytes; returns how many. */
int ag_utf8_put(uint32_t c, char out[4]);
/* Number of code points. */
size_t ag_utf8_count(const char *bytes, size_t n);

/* Normal form for comparing queries and values: NFKC, case folded, runs of white space one space, ends
 * trimmed. Wrong bytes count as U+FFFD. Appends to out. */
ag_status ag_text_fold(ag_str *out, const char *text, size_t n, ag_error *err);

/* Edit distance (insert, delete, replace; bytes), for "did you mean". */
int ag_edit_distance(const char *a, const char *b);
/* The nearest of names[0..n) within a third of the word's length (at least 2 edits), or NULL. */
const char *ag_nearest(const char *word, const char *const *names, size_t n);
/* The end of a message about a word that is none of the names: "; did you mean 'NEAREST'?", or "" where none is near or word is NULL.
 * A long name is cut. For use within the call that writes the message: ag_suggest(...).text. */
typedef struct ag_suggestion {
    char text[256];
} ag_suggestion;
ag_suggestion ag_suggest(const char *word, const char *const *names, size_t n);

/* Equal strings; NULL equals only NULL. */
bool ag_streq(const char *a, const char *b);

/* True when the whole text is one finite decimal number ("-1", "0.5", "1e-3"), whatever the locale says about
 * decimal points. Else *value stays as it is. */
bool ag_number_parse(const char *text, double *value);

#endif
