/* synth_parts.h: what the files of the generator share: the catalogue by side and category, and one query's making. */
#ifndef AG_DATA_SYNTH_PARTS_H
#define AG_DATA_SYNTH_PARTS_H

#include "base/rng.h"
#include "data/synth.h"
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
} ag_shelf;

ag_status ag_shelf_build(ag_shelf *shelf, ag_error *err);
void ag_shelf_free(ag_shelf *shelf);

/* Makes the query of one stream; *made false when this seed leads to none (try the next). Text is the arena's. */
ag_status ag_synth_make_query(ag_synth_query *query, bool *made, const ag_shelf *shelf, int part,
                              ag_synth_type type, uint64_t number, ag_arena *arena, ag_error *err);

/* --- words (synth_words.c) --------------------------------------------------------------------------------- */

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

ag_status ag_synth_word_wish(ag_wish *wish, const ag_shelf *shelf, ag_rng *rng, ag_arena *arena,
                             ag_error *err);
/* A random phrase of a kind, or `otherwise`. */
const char *ag_synth_phrase(const ag_shelf *shelf, ag_rng *rng, const char *kind, const char *otherwise);

#endif
