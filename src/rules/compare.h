/* compare.h: how an item stands to what was asked, with the way there: which comparator was needed and which of the
 * item's values decided. facts.h has the short form.
 */
#ifndef AG_RULES_COMPARE_H
#define AG_RULES_COMPARE_H

#include "rules/facts.h"

/* Comparators that a verdict needed, beyond equal words. */
typedef enum ag_skill {
    AG_SKILL_UNITS = 1, /* numbers in different units */
    AG_SKILL_SYNONYMS = 2,
    AG_SKILL_HIERARCHY = 4, /* parents and covers, of values and of categories */
    AG_SKILL_TEXT = 8       /* found in the title or description only */
} ag_skill;
enum { AG_SKILL_COUNT = 4 };
extern const char *const ag_skill_names[AG_SKILL_COUNT]; /* "units", "synonyms", "hierarchy", "text" */

typedef struct ag_match {
    ag_relation relation;
    unsigned skills;   /* ag_skill bits */
    const char *value; /* the item's value that decided (borrowed), or NULL */
} ag_match;

ag_status ag_facts_match(ag_match *match, const ag_facts *facts, const ag_book *book, const ag_ask *ask,
                         const ag_item *item, const ag_item *reference, ag_error *err);
/* relation AG_REL_COUNT: the facts file leaves it open (`unclear`), so no verdict follows. */
ag_status ag_facts_match_category(ag_match *match, const ag_facts *facts, const char *wanted,
                                  const char *item, ag_error *err);

/* ag_facts_gold, and the comparators that its verdicts needed (bits; may be NULL). */
ag_status ag_facts_gold_skills(ag_gold *gold, unsigned *skills, const ag_facts *facts, const ag_book *book,
                               const ag_asked *asked, const ag_item *item, const char *wanted_category,
                               const ag_item *reference, ag_arena *arena, ag_error *err);

/* A quantity in a text ("1.5 l", "500ml", "19.90") in the attribute's base unit; *unit the row of its units, -1
 * when none was written. False when the text has no number, or one in an unknown unit. */
bool ag_quantity_parse(const ag_attribute *attribute, const char *text, double *value, int *unit);

/* What else a value is called, and what it belongs to: what a generator of queries draws from. Values are borrowed.
 * kind: AG_SKILL_SYNONYMS its synonyms, AG_SKILL_HIERARCHY the wider values that it satisfies. At most `max`. */
ag_status ag_facts_other_values(const ag_facts *facts, const ag_book *book, const char *attribute,
                                const char *value, ag_skill kind, const char **values, int max, int *count,
                                ag_error *err);
/* The same for categories: synonyms, or wider categories. */
ag_status ag_facts_other_categories(const ag_facts *facts, const char *category, ag_skill kind,
                                    const char **names, int max, int *count, ag_error *err);
/* The categories of the facts file, by number. */
int ag_facts_category_count(const ag_facts *facts);
const char *ag_facts_category_name(const ag_facts *facts, int number);
/* The number of the category that a name or synonym means, -1 for none. */
ag_status ag_facts_category_index(const ag_facts *facts, const char *name, int *index, ag_error *err);
/* What the knowledge rows of the facts file say: `number` of them, each with its phrases and what it asks for. */
int ag_facts_knowledge_count(const ag_facts *facts);
const char *ag_facts_knowledge(const ag_facts *facts, int row, int phrase, const ag_ask **asked,
                               int *asked_count);
/* Does the row speak of this category? */
bool ag_facts_knowledge_applies(const ag_facts *facts, int row, const char *category);
/* The attribute that "for my X" asks. */
const char *ag_facts_compatibility(const ag_facts *facts);
/* The phrases of one kind as the file writes them (kind is a key of `phrases`); *count 0 when it has none. */
const char *const *ag_facts_phrases(const ag_facts *facts, const char *kind, int *count);

#endif
