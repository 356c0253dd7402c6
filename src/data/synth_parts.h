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
    ag_map
        wordings; /* of a real catalogue: kinds as titles word them, with a word or two before -> a product, or -1 for several brands' */
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
/* Do titles of several brands word a kind so? Then it is what the thing is called, and no maker's series. */
bool ag_shelf_common_wording(const ag_shelf *shelf, const char *before, const char *name);
void ag_shelf_free(ag_shelf *shelf);
/* Which side a file's queries start from. */
ag_side ag_synth_side(int part);

/* --- one query (synth_query.c; synth_catalogue.c for real catalogues) --------------------------------------- */

enum { AG_SYNTH_WISHES = 8 };

/* A query on its way. The product it starts from (`seed`) must meet all that it asks. */
typedef struct ag_query_maker {
    const ag_shelf *shelf;
    const ag_item *seed;
    const ag_kind *kind;
    ag_side side;
    ag_rng rng;
    ag_arena *arena; /* owns the texts */
    ag_error *err;
    ag_wish wishes[AG_SYNTH_WISHES];
    int count;
    const ag_item *reference;
    bool question, knowledge;
} ag_query_maker;

/* Makes the query of one stream; *made false when this seed leads to none (try the next). Text is the arena's. */
ag_status ag_synth_make_query(ag_synth_query *query, bool *made, const ag_shelf *shelf, int part,
                              ag_synth_type type, uint64_t number, ag_arena *arena, ag_error *err);
/* The same for the types from AG_SYNTH_KIND on: what people type into a shop's box. */
ag_status ag_synth_catalogue_query(ag_synth_query *query, bool *made, const ag_shelf *shelf, int part,
                                   ag_synth_type type, uint64_t number, ag_arena *arena, ag_error *err);
/* A real query as the parser reads it; *made false when words of it are not read, or nothing is. */
ag_status ag_synth_real_query(ag_synth_query *query, bool *made, const ag_shelf *shelf, const char *text,
                              int part, ag_arena *arena, ag_error *err);

/* The value that an item's own fields state for a row of the book, or NULL. Not for prices. */
const char *ag_synth_stated(const ag_item *item, const ag_attribute *row);
/* Can a query ask for what the item states here? Sentences cannot be asked for. */
bool ag_synth_askable(const ag_item *item, const ag_attribute *row);
/* A base value as people write it: in one of the row's units (own_unit, or -1) where it stays short. NULL: no memory. */
const char *ag_synth_quantity(ag_query_maker *maker, const ag_attribute *row, double base, int own_unit);
/* The category as a query names it: its name, a synonym, or a wider one. */
ag_status ag_synth_name_category(ag_query_maker *maker, ag_synth_query *query);
/* Fills query->asked from the wishes, in their order. */
ag_status ag_synth_set_asked(ag_query_maker *maker, ag_synth_query *query);
/* Does the seed meet the query (best tier)? Queries that it does not meet are not made. */
ag_status ag_synth_meets(ag_query_maker *maker, const ag_synth_query *query, bool *meets);

/* One disturbance of a query's words, of those that can happen to them (synth_disturb.c); *name NULL when none can. `order`: its
 * words may change places (those of one name may not: a rack console is no console rack). */
ag_status ag_synth_disturb(const char **text, const char **name, bool order, ag_rng *rng, ag_arena *arena,
                           ag_error *err);

/* --- words (synth_words.c) --------------------------------------------------------------------------------- */

ag_status ag_synth_word_wish(ag_wish *wish, const ag_shelf *shelf, ag_rng *rng, ag_arena *arena,
                             ag_error *err);
/* A random phrase of a kind, or `otherwise`. */
const char *ag_synth_phrase(const ag_shelf *shelf, ag_rng *rng, const char *kind, const char *otherwise);

#endif
