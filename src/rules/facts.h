/* facts.h: from catalogue facts to verdicts, and from a query's words to what it asks for.
 *
 * The facts file (YAML) holds what a language and a trade know: synonyms, phrases and negators, and how categories relate.
 * compare says how an item stands to an asked entry; the parser fills `asked` and `type` where they are
 * unknown. Both are deterministic and need no model. DESIGN.md section 4 ("Facts to verdicts", "asked absent").
 */
#ifndef AG_RULES_FACTS_H
#define AG_RULES_FACTS_H

#include "base/json.h"
#include "rules/book.h"

/* Categories form a graph: parents (narrower), siblings (same need), related (complements). */
typedef struct ag_facts ag_facts;
ag_status ag_facts_load(ag_facts **facts, const char *path, ag_error *err);
/* The same from memory; `path` is the name in messages. */
ag_status ag_facts_parse(ag_facts **facts, const char *text, size_t len, const char *path, ag_error *err);
/* The file that a facts file builds on (its key `base`), or NULL. *base: ag_free. */
ag_status ag_facts_base(char **base, const char *path, ag_error *err);
/* An empty one (no facts file). */
ag_status ag_facts_empty(ag_facts **facts, ag_error *err);
/* The facts file that a book names, or an empty one. */
ag_status ag_facts_of_book(ag_facts **facts, const ag_book *book, ag_error *err);
void ag_facts_free(ag_facts *facts);

/* How category `item` stands to the wanted category: SAME, NARROWER, SIBLING, RELATED, ELSE, or AG_REL_COUNT where the
 * facts leave it open. Synonyms count as the same. */
ag_relation ag_facts_category(const ag_facts *facts, const char *wanted, const char *item);

/* How the item stands to one entry: EQUAL, NEAR, MISSING or OTHER. `reference` is the product that a `like` entry names
 * (NULL when the catalogue does not know it: then MISSING unless the item's own name or brand matches). */
ag_relation ag_facts_compare(const ag_facts *facts, const ag_book *book, const ag_ask *ask,
                             const ag_item *item, const ag_item *reference);

/* All gold verdicts that the catalogue supports: criteria from category (needs wanted_category, else absent) and from
 * attribute; `from: none` stays absent. Then tier and rule by derive when complete. evidence (may be NULL) gets, for
 * the deciding fact, a short plain reason in the book's language's fixed phrases (English unless the facts file gives its own). */
ag_status ag_facts_gold(ag_gold *gold, const ag_facts *facts, const ag_book *book, const ag_asked *asked,
                        const ag_item *item, const char *wanted_category, const ag_item *reference,
                        ag_arena *arena, ag_error *err);

/* What the parser knows of a catalogue: values of each attribute, brands, categories, product names. Built once. */
typedef struct ag_lexicon ag_lexicon;
ag_status ag_lexicon_create(ag_lexicon **lexicon, const ag_facts *facts, const ag_book *book, ag_error *err);
ag_status ag_lexicon_add_item(ag_lexicon *lexicon, const ag_item *item, ag_error *err);
ag_status ag_lexicon_save(const ag_lexicon *lexicon, const char *path,
                          ag_error *err); /* JSON, sorted, stable */
ag_status ag_lexicon_load(ag_lexicon **lexicon, const ag_facts *facts, const ag_book *book, const char *path,
                          ag_error *err);
/* The lexicon in a file, or, with path NULL or "", one that knows only what facts and book say. */
ag_status ag_lexicon_open(ag_lexicon **lexicon, const ag_facts *facts, const ag_book *book, const char *path,
                          ag_error *err);
void ag_lexicon_free(ag_lexicon *lexicon);

/* The parser: longest match of catalogue (or this item's) values, synonyms, phrases ("under 50", "for my ...") and negators
 * ("not", "without"). item may be NULL (then only the lexicon knows values). Fills source = PARSED, entries, types; text in
 * `arena`; *category (may be NULL) the wanted category or NULL. */
ag_status ag_asked_parse(ag_asked *asked, const char **category, const ag_lexicon *lexicon, const char *query,
                         const ag_item *item, ag_arena *arena, ag_error *err);

/* asked entries as the JSON array of the pair format. New reference. */
json_t *ag_asked_to_json(const ag_asked *asked);

#endif
