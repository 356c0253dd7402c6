/* asked_units.h: a query cut into units of meaning, longest match first. What asked_parse.c reads its sentences from. */
#ifndef AG_RULES_ASKED_UNITS_H
#define AG_RULES_ASKED_UNITS_H

#include "rules/lexicon.h"

enum { AG_QUERY_WORDS = 256 }; /* of a query; later words are not read */

/* A run of words that means something, or one word that does not. */
typedef struct ag_unit_of_query {
    int phrase;              /* bits of 1 << ag_phrase, 0 for none */
    const ag_lexicon *in[2]; /* where its lexemes are: the catalogue's, the item's */
    int lexeme[2];           /* first lexeme there, or -1 */
    bool number;             /* a number, with its unit when one follows */
    bool currency;           /* the number had a currency sign or word */
    bool dash;               /* "-" stands between this and the unit before */
    const char *unit;        /* NULL: none */
    size_t from, count;      /* words */
    size_t number_words;     /* of a number: without currency words */
    size_t number_from;
} ag_query_unit;

typedef struct ag_query_units {
    ag_words words;
    ag_query_unit items[AG_QUERY_WORDS];
    int count;
} ag_query_units;

ag_status ag_query_cut(ag_query_units *units, const ag_lexicon *lexicon, const ag_lexicon *overlay,
                       const char *query, ag_error *err);
/* The n-th lexeme of a unit with a meaning (both lexicons), or NULL. */
const ag_lexeme *ag_unit_lexeme(const ag_query_unit *unit, ag_meaning meaning, int n);
void ag_query_units_free(ag_query_units *units);

#endif
