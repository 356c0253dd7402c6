/* case.h: what a rulebook looks at: the item, what the query asks for, and verdicts about the two.
 *
 * Plain structs; all text is UTF-8, NUL terminated and lives in an arena that its maker names. Fixed bounds keep
 * verdicts a value that can be copied; a book or a pair past them is refused with a clear error.
 */
#ifndef AG_RULES_CASE_H
#define AG_RULES_CASE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    AG_MAX_TIERS = 32,
    AG_MAX_CRITERIA = 16,
    AG_MAX_VERDICTS = 64, /* of one criterion */
    AG_MAX_RULES = 512,
    AG_MAX_ASKED = 32, /* entries of one query */
    AG_MAX_TYPES = 8   /* types of one query */
};

/* A fact of an item: one field with one or more values. */
typedef struct ag_field {
    const char *name;
    const char **values;
    int count;
} ag_field;

typedef struct ag_item {
    const char *id, *title, *brand, *category, *description; /* title is never NULL; others may be */
    const char *
        kind; /* category as read off the texts where none is stated (facts_kind.h), or NULL; no prompt shows it */
    bool has_price;
    double price;
    ag_field *fields; /* attributes in catalogue order */
    int field_count;
} ag_item;

typedef enum ag_op { AG_OP_IS, AG_OP_NOT, AG_OP_AT_MOST, AG_OP_AT_LEAST, AG_OP_BETWEEN, AG_OP_LIKE } ag_op;
extern const char *const ag_op_names[6]; /* "is", "not", "at_most", "at_least", "between", "like" */

/* One thing that the query asks for. */
typedef struct ag_ask {
    const char *id;   /* what verdicts and answers call it; the name, or name#2 for its second entry */
    const char *name; /* the attribute's name in the book */
    ag_op op;
    const char **values; /* any of; between: exactly two */
    int value_count;
    bool core;    /* importance, from the entry or else from the book */
    bool negated; /* op is `not` (or `like`'s X itself is excluded: not negated) */
} ag_ask;

typedef enum ag_asked_source { AG_ASKED_UNKNOWN, AG_ASKED_GIVEN, AG_ASKED_PARSED } ag_asked_source;

/* Everything asked, in order, and the query's types. UNKNOWN: not given and not yet parsed (count is 0). */
typedef struct ag_asked {
    ag_asked_source source;
    ag_ask *entries;
    int count;
    const char *types[AG_MAX_TYPES];
    int type_count;
    int unread; /* PARSED: words of the query that the parser could not make anything of */
} ag_asked;

/* Verdict numbers: v[c][0] for a single criterion, v[c][a] for entry a of a `per: asked` one; -1 is absent.
 * Numbers index the criterion's verdicts, best first. */
typedef struct ag_verdicts {
    int8_t v[AG_MAX_CRITERIA][AG_MAX_ASKED];
} ag_verdicts;

/* All absent. */
void ag_verdicts_clear(ag_verdicts *verdicts);

/* What people or the catalogue say is right; absent parts are -1 or NULL. */
typedef struct ag_gold {
    int tier; /* index into the book's tiers, best first; -1 absent */
    ag_verdicts verdicts;
    int rule;        /* index into the book's rules; -1 absent */
    const char *why; /* NULL absent */
    double *soft;    /* share of raters for each tier (sums to 1), or NULL */
} ag_gold;

#endif
