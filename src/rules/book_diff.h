/* book_diff.h: how two rulebooks differ, part by part: tiers, criteria, attributes, rules, the book's own settings, and what their facts
 * files say. What follows for judged pairs is eval/rederive.h.
 */
#ifndef AG_RULES_BOOK_DIFF_H
#define AG_RULES_BOOK_DIFF_H

#include "rules/facts.h"

/* One difference. `was` NULL: added; `now` NULL: removed; else the field changed, or, with the field "order", parts that both books
 * have stand in another order. */
typedef struct ag_book_change {
    const char *
        kind; /* "book", "tier", "criterion", "attribute", "rule"; of facts files "facts", "category", "values", "phrases",
                        * "knowledge", "why" */
    const char *id;    /* of the part; NULL for "book", "facts" and for an order */
    const char *field; /* what changed; NULL for a part added or removed */
    const char *was, *now;
} ag_book_change;

/* Texts live in the arena or in one of the books, which must outlive the changes. */
typedef struct ag_book_changes {
    ag_arena arena;
    ag_book_change *items;
    size_t count, capacity;
} ag_book_changes;

/* A book and its facts (ag_facts_of_book). */
typedef struct ag_book_side {
    const ag_book *book;
    const ag_facts *facts;
} ag_book_side;

/* Compares the compiled tables, so that comments, layout and how a facts file is split into bases make no difference. Parts are matched
 * by id. Facts are compared where both sides have them. *changes is safe to free in every case. */
ag_status ag_book_diff(ag_book_changes *changes, const ag_book_side *old, const ag_book_side *new,
                       ag_error *err);
/* May catalogue facts or the parser say something else for it? */
bool ag_book_changes_facts(const ag_book_changes *changes);
void ag_book_changes_free(ag_book_changes *changes);

#endif
