/* when.h: a rule's condition, compiled from its `when` text (grammar: docs/RULEBOOK.md).
 *
 * A condition is a short postfix program: tests push a truth value, and/or/not combine the topmost ones. Verdicts are
 * bit masks, so `==`, `!=` and `in` are one test. Evaluation allocates nothing and cannot fail.
 */
#ifndef AG_RULES_WHEN_H
#define AG_RULES_WHEN_H

#include "rules/book.h"

enum {
    AG_WHEN_DEPTH = 64,   /* parentheses and `not` inside each other */
    AG_WHEN_BYTES = 8192, /* length of one condition's text */
    AG_WHEN_STACK = 3 * AG_WHEN_DEPTH + 4
};

typedef enum ag_when_op {
    AG_WHEN_VERDICT, /* a single criterion's verdict is in the mask       */
    AG_WHEN_ANY,     /* some selected entry's verdict is; false over none */
    AG_WHEN_ALL,     /* every selected entry's is; true over none         */
    AG_WHEN_COUNT,   /* how many are, against the bound                   */
    AG_WHEN_SHARE,   /* which share is, against the bound; 0 over none    */
    AG_WHEN_TYPE,    /* one of the query's types is in the list           */
    AG_WHEN_NO_TYPE, /* none is (`!=`)                                    */
    AG_WHEN_AND,
    AG_WHEN_OR,
    AG_WHEN_NOT
} ag_when_op;

typedef enum ag_when_compare { AG_IS_EQ, AG_IS_NE, AG_IS_GE, AG_IS_GT, AG_IS_LE, AG_IS_LT } ag_when_compare;

/* Which asked entries a test looks at: those to which every given word applies. */
typedef struct ag_selector {
    bool core, minor, negated, asserted;
    const char **attributes; /* names */
    int attribute_count;
} ag_selector;

typedef struct ag_when_step {
    ag_when_op op;
    int criterion;
    ag_selector selector;
    uint64_t mask; /* bit v: verdict number v satisfies the test */
    ag_when_compare compare;
    double bound;
    const char **types;
    int type_count;
} ag_when_step;

struct ag_condition {
    ag_when_step *steps;
    int count;
};

/* Compiles `text` against the book's criteria and attributes; all memory is the book's. *condition is NULL for
 * `otherwise`. On AG_ERR_INPUT the message has no place; *at is the byte of `text` where the trouble is. */
ag_status ag_when_compile(ag_condition **condition, ag_book *book, const char *text, size_t *at,
                          ag_error *err);

bool ag_when_holds(const ag_condition *condition, const ag_asked *asked, const ag_verdicts *verdicts);

#endif
