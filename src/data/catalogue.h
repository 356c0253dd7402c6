/* catalogue.h: a shop's products: JSONL (agrl's items, Vespa's {"put", "fields"}, Icecat, BEIR), plain or gz, or CSV/TSV.
 *
 * A scan streams records of any size of file; ag_products keeps all of them as items, compactly, for what needs the
 * whole catalogue at hand. Catalogues are dirty: what cannot be used of a product is left out and counted, never
 * guessed at.
 */
#ifndef AG_DATA_CATALOGUE_H
#define AG_DATA_CATALOGUE_H

#include "base/json.h"
#include "base/mem.h"
#include "rules/case.h"

typedef struct ag_catalogue_file {
    const char *path;
    char delimiter; /* 0: by the header */
    bool keep_html; /* titles and descriptions are not HTML */
    const char *const
        *maps; /* "column=field" (data/record.h); go before the names that are understood by themselves */
    int map_count;
} ag_catalogue_file;

/* Called with each product as the JSON of an item (borrowed); `line` is where it stands. */
typedef ag_status (*ag_catalogue_visit)(void *context, const json_t *item, const char *path, long line,
                                        ag_error *err);
ag_status ag_catalogue_scan(const ag_catalogue_file *file, ag_catalogue_visit visit, void *context,
                            ag_error *err);

/* What was wrong with products; each row has a count and the first place. */
typedef enum ag_product_fault {
    AG_PRODUCT_NO_TITLE,   /* left out */
    AG_PRODUCT_REPEATED,   /* an id that was there already: the first one counts */
    AG_PRODUCT_NO_ID,      /* named after its line */
    AG_PRODUCT_VALUE,      /* a value that is an object or a list in a list: left out */
    AG_PRODUCT_ATTRIBUTES, /* more attributes than a product may have: the first ones count */
    AG_PRODUCT_LONG,       /* a text longer than a value may be: cut */
    AG_PRODUCT_PRICE,      /* a price that is no number of at least 0: left out */
    AG_PRODUCT_FAULTS
} ag_product_fault;

typedef struct ag_products {
    ag_arena arena; /* owns the items */
    ag_item *items;
    size_t count, cap;
    long faults[AG_PRODUCT_FAULTS];
    char first[AG_PRODUCT_FAULTS][96]; /* "file:line" */
} ag_products;

/* Reads all products of a file. A line that is no JSON, or no UTF-8, is an error with its place: the file is damaged. */
ag_status ag_products_load(ag_products *products, const ag_catalogue_file *file, ag_error *err);
/* One line for what the faults of a kind were ("12 products without a title left out (first: FILE:7)"); false when there
 * were none. */
bool ag_products_fault(const ag_products *products, ag_product_fault fault, ag_str *out);
void ag_products_free(ag_products *products);

#endif
