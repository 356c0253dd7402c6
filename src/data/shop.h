/* shop.h: an invented shop: products with facts, for trying agrl without a catalogue and for its own tests.
 *
 * The shop only makes items; queries and labels come from synth.h, which treats it like any other catalogue. How its
 * categories and values relate stands in rules/facts/shop.yaml, what is relevant in rules/shop.yaml.
 */
#ifndef AG_DATA_SHOP_H
#define AG_DATA_SHOP_H

#include "base/error.h"
#include "base/mem.h"
#include "rules/case.h"

typedef struct ag_shop_options {
    long products;
    uint64_t seed;
    double missing;   /* share of facts that a product does not state */
    double text_only; /* share of facts that stand in the title only */
} ag_shop_options;

void ag_shop_defaults(ag_shop_options *options);
/* Invents the products; all memory is the arena's. The same options give the same products. */
ag_status ag_shop_invent(ag_item **items, size_t *count, const ag_shop_options *options, ag_arena *arena,
                         ag_error *err);

/* --- the tables (shop_tables.c) ---------------------------------------------------------------------------- */

enum { AG_SHOP_ATTRIBUTES = 6 };

/* One fact that products of a category have. */
typedef struct ag_shop_attribute {
    const char *name;
    const char *const *values; /* ends with NULL; quantities in the first unit of `units` */
    const char *const *units;  /* "l", "ml", or NULL */
    double per_second;         /* how many of the second unit are one of the first */
} ag_shop_attribute;

typedef struct ag_shop_category {
    const char *name, *noun; /* noun: in titles */
    double price;            /* of a mid-range product */
    ag_shop_attribute attributes[AG_SHOP_ATTRIBUTES];
    bool devices; /* products are the devices that others fit */
    int trade;    /* whose brands make it */
} ag_shop_category;

typedef struct ag_shop_brand {
    const char *name;
    int band; /* 0 budget, 1 mid, 2 premium */
    int trade;
} ag_shop_brand;

extern const ag_shop_category ag_shop_categories[];
extern const int ag_shop_category_count;
extern const ag_shop_brand ag_shop_brands[];
extern const int ag_shop_brand_count;
extern const char *const ag_shop_devices[]; /* "Zelo 5": brand and model; ends with NULL */
extern const char *const ag_shop_series[];
extern const char *const ag_shop_sentences[];
extern const int ag_shop_prices[]; /* what prices may be, rising; ends with 0 */

#endif
