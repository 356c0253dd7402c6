/* facts_kind.h: what kind of thing an item is, where the catalogue has no category for it.
 *
 * Read off the title, the type fields and the description by the names that the facts file gives to categories. In a
 * title the thing stands last before the first comma, preposition or number ("HP 5 m laser printer cable, black, for
 * LaserJet"): what stands before it tells what it is for. Nothing is better than a guess: a title that ends in a word
 * that may be anything ("kit") or names two things at once gives no kind, and so no verdict of category.
 */
#ifndef AG_RULES_FACTS_KIND_H
#define AG_RULES_FACTS_KIND_H

#include "rules/facts.h"
#include "rules/facts_map.h"

/* *kind: the name of a category of the facts file (its own text), or NULL where the item does not say. Does not look at
 * item->category. */
ag_status ag_facts_kind(const char **kind, const ag_facts *facts, const ag_item *item, ag_error *err);

/* The last `words` words of the part of a title in which the thing is named (before the first number, preposition or comma),
 * as written (folded), appended to `phrase`; words of `values` (normal forms: colours and the like) at its end are left off.
 * Nothing where fewer are left, or where they end in a word that the facts file calls vague. */
ag_status ag_facts_head(ag_str *phrase, const ag_facts *facts, const ag_map *values, const char *title,
                        int words, ag_error *err);

/* The item's kind as its title words it: the name ("desk mount"), and up to `words` words that stand before it ("flat panel"), as
 * written (folded), appended to each. Words with digits and what parts a title end them; both stay empty where the title
 * does not name the kind. */
ag_status ag_facts_kind_words(ag_str *name, ag_str *before, const ag_facts *facts, const ag_item *item,
                              int words, ag_error *err);

/* A query that names no kind of thing wants this category: any will do. */
extern const char ag_any_kind[]; /* "*" */
/* What the item is: its category where it states one, else item->kind; NULL when neither is there. */
const char *ag_item_kind(const ag_item *item);

#endif
