/* pair_parts.h: what reading (pair.c) and writing (pair_json.c) of the pair format share, and its bounds. */
#ifndef AG_DATA_PAIR_PARTS_H
#define AG_DATA_PAIR_PARTS_H

#include "data/pair.h"

/* Bounds in bytes and numbers; a line is bounded by AG_LINE_MAX. They stop a hostile file, not a shop. */
enum {
    AG_PAIR_ID_MAX = 1 << 10,
    AG_PAIR_QUERY_MAX = 16 << 10,
    AG_PAIR_TEXT_MAX = 4 << 20, /* title, description, any value */
    AG_PAIR_FIELDS_MAX = 4096,  /* attributes of an item */
    AG_PAIR_VALUES_MAX = 4096,  /* values of one attribute or entry */
    AG_PAIR_RATINGS_MAX = 1024
};

/* Appends a string, number (shortest form) or boolean (true, false) as text. False for any other JSON. */
bool ag_scalar_text(ag_str *out, const json_t *value);
/* Adds the members of `from` that object lacks; false when out of memory (json_object_update_missing of
 * jansson 2.14 does not tell). */
bool ag_object_add_missing(json_t *object, const json_t *from);

#endif
