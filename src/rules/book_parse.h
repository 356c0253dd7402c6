/* book_parse.h: what the files that compile a rulebook share. Not for other rooms.
 *
 * book.c opens and looks up, book_parse.c reads the YAML tree, book_attributes.c its attributes, book_place.c finds
 * where a character of a `when` was written.
 */
#ifndef AG_RULES_BOOK_PARSE_H
#define AG_RULES_BOOK_PARSE_H

#include "base/yaml.h"
#include "rules/book.h"

enum { AG_MAX_ATTRIBUTES = 1024 };

/* The book under construction and where its text came from. All memory is the book's arena's. */
typedef struct ag_book_reader {
    ag_book *book;
    const char *text, *where;
    size_t len;
    ag_error *err;
} ag_book_reader;

/* Everything of the YAML tree into the book; attributes before rules, since conditions name them. */
ag_status ag_book_read(ag_book_reader *r, const ag_yaml *root);
ag_status ag_book_read_attributes(ag_book_reader *r, const ag_yaml *node);

/* The value of a key; NULL when it is absent or null. */
const ag_yaml *ag_book_member(const ag_yaml *map, const char *key);
/* Text; an absent node leaves *value as it is. */
ag_status ag_book_text(ag_book_reader *r, const ag_yaml *node, const char *what, const char **value);
/* One of names[0..n); an absent node leaves *index as it is. */
ag_status ag_book_choice(ag_book_reader *r, const ag_yaml *node, const char *what, const char *const *names,
                         int n, int *index);
/* A list of text, or one text for a list of one. An absent node gives none. */
ag_status ag_book_texts(ag_book_reader *r, const ag_yaml *node, const char *what, const char ***items,
                        int *count);
/* Is the node's text fit to be an id? Else fails at its place. */
ag_status ag_book_id(ag_book_reader *r, const ag_yaml *node, const char *what, const char **id);
ag_status ag_book_memory(ag_book_reader *r);

/* Why `id` cannot be an id ("contains ':'"), or NULL when it can. */
const char *ag_id_problem(const char *id);

/* Line and column (from 1, in characters) of byte `offset` of a scalar's text, as far as they can be followed
 * through quotes, escapes, folded lines and blocks. */
void ag_book_place(const ag_book_reader *r, const ag_yaml *scalar, size_t offset, int *line, int *column);

#endif
