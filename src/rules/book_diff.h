/* book_diff.h: how two rulebooks differ, part by part: tiers, criteria, attributes, rules, and the book's own settings. What
 * follows for judged pairs is eval/rederive.h.
 */
#ifndef AG_RULES_BOOK_DIFF_H
#define AG_RULES_BOOK_DIFF_H

#include "rules/book.h"

/* One difference. `was` NULL: added; `now` NULL: removed; else the field changed, or, with the field "order", parts that both books
 * have stand in another order. */
typedef struct ag_book_change {
    const char *kind;  /* "book", "tier", "criterion", "attribute", "rule" */
    const char *id;    /* of the part; NULL for "book" and for an order */
    const char *field; /* what changed; NULL for a part added or removed */
    const char *was, *now;
} ag_book_change;

/* Texts live in the arena or in one of the books, which must outlive the changes. */
typedef struct ag_book_changes {
    ag_arena arena;
    ag_book_change *items;
    size_t count, capacity;
} ag_book_changes;

/* Compares the compiled tables, so that comments and layout make no difference; the content of a facts file is not looked at. Parts are
 * matched by id. *changes is safe to free in every case. */
ag_status ag_book_diff(ag_book_changes *changes, const ag_book *old, const ag_book *new, ag_error *err);
void ag_book_changes_free(ag_book_changes *changes);

#endif
