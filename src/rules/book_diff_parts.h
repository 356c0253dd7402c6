/* book_diff_parts.h: kinds of parts of a book and of its facts file, as rows that one loop compares. Private to rules/. */
#ifndef AG_RULES_BOOK_DIFF_PARTS_H
#define AG_RULES_BOOK_DIFF_PARTS_H

#include "rules/book_diff.h"

typedef struct ag_diff_field {
    const char *name;
    void (*text)(ag_str *out, const ag_book_side *side, int i); /* of part i, the same for the same meaning */
} ag_diff_field;

enum { AG_DIFF_FIELDS = 16 };

/* Where several parts have one id, each gives the text of all of them. */
typedef struct ag_diff_kind {
    const char *name;
    int (*count)(const ag_book_side *side);
    const char *(*id)(const ag_book_side *side, int i); /* NULL: there is but one */
    bool ordered;                                       /* does their order mean something? */
    ag_diff_field fields[AG_DIFF_FIELDS + 1]; /* ends with name NULL; the first is what an added part shows */
} ag_diff_kind;

int ag_diff_one(const ag_book_side *side);
/* The kinds of a facts file; ends with name NULL. */
extern const ag_diff_kind ag_facts_kinds[];

#endif
