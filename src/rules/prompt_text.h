/* prompt_text.h: pieces of text that prompts and hints share. Internal to src/rules. */
#ifndef AG_RULES_PROMPT_TEXT_H
#define AG_RULES_PROMPT_TEXT_H

#include "rules/book.h"
#include "rules/facts_text.h"

/* Appends text as part of one line: control characters, line separators and runs of white space become one space, ends
 * are trimmed, wrong bytes become U+FFFD. Whatever a shopper or a seller typed, it cannot begin a line. At most
 * `chars` characters when that is not 0 (then "..." follows). */
void ag_prompt_fold(ag_str *out, const char *text, size_t chars);

/* The different words of a text, to be looked up. Zeroed is empty. */
typedef struct ag_word_ref {
    const char *text;
    size_t len;
} ag_word_ref;
typedef struct ag_word_set {
    ag_words words;
    ag_word_ref *sorted; /* slices of `words`, in order */
    size_t count;
} ag_word_set;
ag_status ag_word_set_make(ag_word_set *set, const char *text, bool english, ag_error *err);
void ag_word_set_free(ag_word_set *set);

/* Appends one line of text and marks with AG_PROMPT_MARK each run of characters without blanks whose words are all in `words` (in
 * their normal form: case and, in English, plurals do not matter); the mark stands before closing punctuation. Marks that the
 * text brings itself are left out, so nobody can forge one. */
#define AG_PROMPT_MARK '*'
void ag_prompt_mark(ag_str *out, const char *text, const ag_word_set *words, bool english);
/* The text without marks of its own. */
void ag_prompt_unmarked(ag_str *out, const char *text, size_t len);

/* Is this the name of an item field in which the asked attribute is looked for? Case does not matter (ASCII). */
bool ag_prompt_field_matches(const ag_book *book, const ag_ask *ask, const char *field);

/* "red, dark red" of a field. */
void ag_prompt_field_values(ag_str *out, const ag_field *field, size_t chars);

/* What the item itself says in its fixed fields (title, brand, category, price, description) under this name; false
 * when the name is none of them or the item does not say. */
bool ag_prompt_fixed_field(ag_str *out, const ag_item *item, const char *name, size_t chars);

#endif
