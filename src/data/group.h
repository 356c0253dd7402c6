/* group.h: the words and stems behind the keys of query groups (group.c), for split.c and tests. */
#ifndef AG_DATA_GROUP_H
#define AG_DATA_GROUP_H

#include "base/error.h"
#include "base/str.h"

/* Stems an English word of n lower-case letters in place; returns the stem's length (never more than n). */
size_t ag_stem(char *word, size_t n);
/* Appends the folded words of a query, each closed by a NUL, unstemmed. */
ag_status ag_query_words(ag_str *out, const char *query, ag_error *err);
/* Appends the key of the set of words (as ag_query_words gives them; stemmed in place). */
ag_status ag_word_set_key(ag_str *out, char *words, size_t len, ag_error *err);

#endif
