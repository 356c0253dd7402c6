/* book.h: a rulebook, compiled. One YAML file (DESIGN.md section 4 is its format, docs/RULEBOOK.md in the project)
 * becomes these tables; everything that agrl knows of a shop's idea of relevance is read from them.
 *
 * A book is immutable after loading and may be shared by threads.
 */
#ifndef AG_RULES_BOOK_H
#define AG_RULES_BOOK_H

#include <stddef.h>
#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "rules/case.h"

typedef enum ag_order { AG_RESPOND_THEN_THINK, AG_THINK_THEN_RESPOND, AG_VERDICTS_THEN_TIER } ag_order;

typedef struct ag_tier {
    const char *id, *name;
    double gain; /* of NDCG */
    bool good;   /* Acc@2, P@k, GoodRate */
} ag_tier;

/* How a catalogue fact stands to what was asked. Category relations and attribute relations share the list. */
typedef enum ag_relation {
    AG_REL_SAME,
    AG_REL_NARROWER,
    AG_REL_SIBLING,
    AG_REL_RELATED,
    AG_REL_ELSE, /* from: category  */
    AG_REL_EQUAL,
    AG_REL_NEAR,
    AG_REL_MISSING,
    AG_REL_OTHER, /* from: attribute */
    AG_REL_COUNT
} ag_relation;
extern const char *const ag_relation_names[AG_REL_COUNT];

typedef enum ag_fact_source { AG_FROM_NONE, AG_FROM_CATEGORY, AG_FROM_ATTRIBUTE } ag_fact_source;

typedef struct ag_criterion {
    const char *id, *name;
    bool per_asked;
    const char **verdicts; /* best first */
    int verdict_count;
    double weight; /* of its reward term */
    ag_fact_source from;
    int map[AG_REL_COUNT]; /* verdict for a relation; -1 where the book maps none */
} ag_criterion;

typedef struct ag_condition ag_condition; /* a compiled `when` (rules/when.h) */

typedef struct ag_rule {
    const char *id, *text, *when;
    ag_condition *condition; /* NULL: otherwise */
    int cap;                 /* tier index */
    int line, column;
} ag_rule;

/* CODE: as TEXT, but only values that look like part numbers or models (a digit, at most three words) are values. */
typedef enum ag_compare { AG_COMPARE_TEXT, AG_COMPARE_NUMBER, AG_COMPARE_SET, AG_COMPARE_CODE } ag_compare;

typedef struct ag_unit {
    const char *name;
    double factor; /* value in this unit * factor = value in the attribute's base unit */
} ag_unit;

typedef struct ag_attribute {
    const char *name; /* "default" is row 0 */
    bool core;
    bool
        missing_unclear; /* catalogues leave it out where it would be known: what is missing gets no verdict from facts */
    ag_compare compare;
    double near; /* a number's tolerance; relative (0.1 for 10%) when near_relative, else in base units */
    bool near_relative;
    const char **fields, **weak_fields; /* item fields to look in; none given: the attribute's own name */
    int field_count, weak_count;
    const char ***synonyms; /* groups; each ends with NULL */
    int synonym_count;
    const char **child, **parent; /* parents: child -> parent, pairwise */
    int parent_count;
    const char **cover, **covered; /* covers: a value that satisfies others (unisex covers women) */
    int cover_count;
    ag_unit *units;
    int unit_count;
} ag_attribute;

typedef struct ag_book {
    ag_arena arena; /* owns all below */
    const char *path, *name, *version, *language, *instruction;
    const char *facts_path; /* resolved beside the book; NULL: none */
    ag_order order;
    bool why_required;
    int why_chars;
    ag_tier *tiers;
    int tier_count;
    ag_criterion *criteria;
    int criterion_count;
    ag_attribute *attributes;
    int attribute_count;
    ag_rule *rules;
    int rule_count;
    double weight_tier, weight_rule, format_penalty;
    char digest[65]; /* SHA-256 of the file and its facts file */
} ag_book;

/* Loads and compiles. Errors carry file:line:column and, for an unknown name, the nearest known one. Also checks
 * ids (DESIGN.md section 4), caps, map targets, that exactly the needed keys are there, and reward dominance is left to the
 * trainer. *book: ag_book_free. */
ag_status ag_book_load(ag_book **book, const char *path, ag_error *err);
ag_status ag_book_parse(ag_book **book, const char *text, size_t len, const char *path, ag_error *err);
void ag_book_free(ag_book *book);

/* Index by id, or -1. */
int ag_book_tier(const ag_book *book, const char *id);
int ag_book_criterion(const ag_book *book, const char *id);
int ag_book_rule(const ag_book *book, const char *id);
int ag_criterion_verdict(const ag_criterion *criterion, const char *verdict);
/* The attribute's row, or row 0 ("default") for a name without one. */
const ag_attribute *ag_book_attribute(const ag_book *book, const char *name);
/* Does a value look like a part number or model (AG_COMPARE_CODE)? */
bool ag_value_is_code(const char *value);
/* Is the book's language English? Then words are compared without their plural endings. */
bool ag_book_english(const ag_book *book);

/* Fills id (name, name#2, ...), core and negated of every entry from the book where the pair did not set them.
 * importance: -1 from the book, 0 minor, 1 core, one an entry (may be NULL: all -1). Ids must be unique and free of
 * reserved characters: else AG_ERR_INPUT. */
ag_status ag_asked_resolve(const ag_book *book, ag_asked *asked, const int *importance, ag_arena *arena,
                           ag_error *err);

/* Is every verdict that derive needs present? (All single criteria, and each asked entry of the others.) */
bool ag_verdicts_complete(const ag_book *book, const ag_asked *asked, const ag_verdicts *verdicts);

/* The derived tier and deciding rule: the worst cap among the rules that hold (the best tier if none does), and the
 * first rule in the book that holds with that cap (-1 if none). Deterministic and total on complete verdicts;
 * an absent verdict satisfies no comparison. */
void ag_derive(const ag_book *book, const ag_asked *asked, const ag_verdicts *verdicts, int *tier, int *rule);

/* `agrl rules check`: enumerates the verdict space for entry patterns of 0 to 3 asked attributes (core, minor,
 * negated; each query type the book names), or samples `samples` points past `bound`, and appends a report to `out`:
 * rules that never hold, hold but never decide, worse verdicts that raise the tier (with an example), tiers never
 * reached. *problems counts them. */
ag_status ag_book_check(const ag_book *book, long bound, long samples, ag_str *out, int *problems,
                        ag_error *err);

#endif
