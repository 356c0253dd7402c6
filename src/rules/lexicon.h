/* lexicon.h: the parser's dictionary from the inside: phrases of one or more words and what each may mean.
 *
 * Shared by lexicon.c (which fills it) and asked_parse.c (which reads it).
 */
#ifndef AG_RULES_LEXICON_H
#define AG_RULES_LEXICON_H

#include "rules/facts_table.h"

enum { AG_LEXICON_WORDS = 8 }; /* longest phrase, in words */

typedef enum ag_meaning {
    AG_MEANS_VALUE, /* of an attribute */
    AG_MEANS_CATEGORY,
    AG_MEANS_PRODUCT,   /* a product's name: what "alternative to" may name */
    AG_MEANS_KNOWLEDGE, /* a row of the facts file's knowledge */
    AG_MEANS_NAME       /* the name of an attribute: "size", "pack" */
} ag_meaning;

typedef struct ag_lexeme {
    ag_meaning meaning;
    const char *attribute; /* of VALUE and NAME */
    const char *display;   /* VALUE, CATEGORY (canonical), PRODUCT */
    const char *category;  /* of PRODUCT, or NULL */
    long count;            /* items that have it */
    int row;               /* of KNOWLEDGE */
    int next;              /* another meaning of the same phrase, or -1 */
} ag_lexeme;

struct ag_lexicon {
    ag_arena arena;
    const ag_facts *facts;
    const ag_book *book;
    ag_map phrases; /* normal form -> first lexeme */
    ag_lexeme *lexemes;
    size_t count, cap;
    ag_map usual; /* category's normal form, 0x1F, attribute -> position in usual_count */
    long *usual_count;
    size_t usual_cap;
    ag_words words; /* scratch of the adding functions */
};

/* A lexicon without the words of facts and book: for the values of one item. */
ag_status ag_lexicon_bare(ag_lexicon **lexicon, const ag_facts *facts, const ag_book *book, ag_error *err);
/* First lexeme of a phrase in normal form, or -1. */
int ag_lexicon_find(const ag_lexicon *lexicon, const char *normal, size_t len);
/* How many items of a category state an attribute. */
long ag_lexicon_usual(const ag_lexicon *lexicon, const char *category, const char *attribute);
/* Too short or too bare a phrase to mean a value by itself ("m", "42"): needs the attribute's name before it. */
bool ag_lexicon_needs_name(const char *normal, size_t len);

#endif
