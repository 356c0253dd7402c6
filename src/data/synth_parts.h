/* synth_parts.h: what the files of the generator share: the catalogue by side and category, and one query's making. */
#ifndef AG_DATA_SYNTH_PARTS_H
#define AG_DATA_SYNTH_PARTS_H

#include "base/rng.h"
#include "data/bm25.h"
#include "data/synth.h"
#include "rules/facts_kind.h"
#include "rules/facts_map.h"

/* Which files may use a product: training files, tests, or only the test of unseen brands and categories. */
typedef enum ag_side { AG_SIDE_TRAIN, AG_SIDE_TEST, AG_SIDE_UNSEEN, AG_SIDES } ag_side;

typedef struct ag_kind { /* a category of the catalogue */
    const char *name;
    uint32_t *items[AG_SIDES]; /* indices of its products */
    size_t count[AG_SIDES], cap[AG_SIDES];
    bool unseen;
} ag_kind;

/* Distinct values of an attribute in a category, most frequent facts first seen first. */
typedef struct ag_shelf {
    const ag_item *items;
    size_t count;
    const ag_facts *facts;
    const ag_book *book;
    const ag_lexicon *lexicon;
    const ag_synth_options *options;
    ag_arena arena;
    ag_kind *kinds;
    size_t kind_count, kind_cap;
    ag_map kind_index;
    int *kind_of;           /* of an item, -1 without category */
    unsigned char *side_of; /* of an item */
    unsigned char *unseen_brand;
    ag_bm25 *search; /* of a real catalogue, else NULL */
} ag_shelf;

/* One request on its way into the query's text. */
typedef struct ag_wish {
    const char *name;
    ag_op op;
    const char *values[2];
    int value_count;
    bool before;      /* the category */
    const char *text; /* as worded */
    bool cheaper;     /* like: "but cheaper" may follow */
    bool knowledge;   /* comes with the knowledge phrase, not with words of its own */
} ag_wish;

ag_status ag_shelf_build(ag_shelf *shelf, ag_error *err);
void ag_shelf_free(ag_shelf *shelf);

/* Makes the query of one stream; *made false when this seed leads to none (try the next). Text is the arena's. */
ag_status ag_synth_make_query(ag_synth_query *query, bool *made, const ag_shelf *shelf, int part,
                              ag_synth_type type, uint64_t number, ag_arena *arena, ag_error *err);

/* The same for the types of a real catalogue (synth_catalogue.c). */
ag_status ag_synth_catalogue_query(ag_synth_query *query, bool *made, const ag_shelf *shelf, int part,
                                   ag_synth_type type, uint64_t number, ag_arena *arena, ag_error *err);
/* One of options.queries, as the parser reads it; *made false when it does not read it to the end. */
ag_status ag_synth_real_query(ag_synth_query *query, bool *made, const ag_shelf *shelf, const char *text,
                              int part, ag_arena *arena, ag_error *err);
/* One disturbance of a query's words, of those that can happen to them; *name NULL when none can. */
ag_status ag_synth_disturb(const char **text, const char **name, ag_rng *rng, bool english, ag_arena *arena,
                           ag_error *err);
/* The random wishes that a shop's query is made of (synth_query.c): `count` values that the product states. Rows whose
 * names are in `skip` (ends with NULL) are not asked for. */
ag_status ag_synth_wishes(ag_wish *wishes, int *count, int most, const ag_shelf *shelf, const ag_item *item,
                          const ag_kind *kind, ag_side side, const char *const *skip, ag_rng *rng,
                          ag_arena *arena, ag_error *err);
/* Fills asked from wishes. */
ag_status ag_synth_set_asked(ag_synth_query *query, const ag_wish *wishes, int count, bool question,
                             bool knowledge, const ag_shelf *shelf, ag_arena *arena, ag_error *err);
/* The value that an item states for a row of the book, where a query can ask for it, or NULL. */
const char *ag_synth_stated(const ag_item *item, const ag_attribute *row);

/* --- words (synth_words.c) --------------------------------------------------------------------------------- */

ag_status ag_synth_word_wish(ag_wish *wish, const ag_shelf *shelf, ag_rng *rng, ag_arena *arena,
                             ag_error *err);
/* A random phrase of a kind, or `otherwise`. */
const char *ag_synth_phrase(const ag_shelf *shelf, ag_rng *rng, const char *kind, const char *otherwise);

#endif
