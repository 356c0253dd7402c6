/* record.h: a row of a table or a JSON object of somebody's format becomes a pair (or an item), by a map from
 * columns to fields. All importers of rows are such maps; so is reading pairs from CSV.
 *
 * Fields: id, query, type, locale, tier, rule, why, rating (or rating.NAME), ratings, asked (JSON text),
 * item.id, title, brand, category, price, price_cents, description (several columns add up), text (title
 * and description in one: used where no title is), attributes (an object), attributes.NAME, features ("a :
 * b | c : d"), url, image, keep (passes through beside the query), item.keep (passes through inside the
 * item), - (dropped).
 */
#ifndef AG_DATA_RECORD_H
#define AG_DATA_RECORD_H

#include "base/file.h"
#include "base/json.h"
#include "data/csv.h"
#include "data/labels.h"

typedef struct ag_alias {
    const char *column, *field;
} ag_alias;

/* Names of columns that are understood without a map; ends with a NULL column. Where two columns give the
 * same field, the one that stands first here counts and the other passes through. */
extern const ag_alias ag_record_columns[];

enum {
    AG_RECORD_ITEM = 1, /* the record is an item of a catalogue: what is not mapped stays inside the item */
    AG_RECORD_HTML = 2, /* title, description and text are HTML and become plain */
    AG_RECORD_LABELLED = 4, /* a table of these has labels: a header without them is a mistake */
    AG_RECORD_ICECAT = 8,   /* members attr_t_x, attr_n_x, attr_b_x are attributes named x */
    AG_RECORD_JOINED = 16   /* a catalogue has the products: their ids are needed, titles are not */
};

typedef struct ag_record_map ag_record_map;
/* aliases must outlive the map. */
ag_status ag_record_map_create(ag_record_map **map, const ag_alias *aliases, unsigned flags, ag_error *err);
/* A user's "column=field"; goes before all that is there. */
ag_status ag_record_map_add(ag_record_map *map, const char *spec, ag_error *err);
/* Are all columns of ag_record_map_add in the header, and query and title (ITEM: title; JOINED: query and
 * item.id) given by some column? */
ag_status ag_record_map_check(const ag_record_map *map, const ag_csv *csv, ag_error *err);
/* The same for records that have no header, after the last one: did each column of ag_record_map_add occur,
 * here or in the other map (or NULL) that got the same ones? */
ag_status ag_record_map_used(const ag_record_map *map, const ag_record_map *other, const char *path,
                             ag_error *err);
void ag_record_map_free(ag_record_map *map);

/* The next row as {column: text}, columns without a name left out; *record NULL at the end. New reference. */
ag_status ag_record_from_csv(json_t **record, ag_csv *csv, ag_error *err);
/* The next line's JSON value, blank lines passed over; *record NULL at the end. New reference. */
ag_status ag_record_from_lines(json_t **record, ag_lines *lines, ag_error *err);

typedef enum ag_record_outcome {
    AG_RECORD_OK,
    AG_RECORD_NO_TITLE, /* the pair was made, but its item has no title */
    AG_RECORD_LEFT_OUT  /* its label says so (labels.h): *json is NULL */
} ag_record_outcome;

/* Makes a pair's JSON; an item's with AG_RECORD_ITEM. What it makes is checked by ag_pair_from_json, not
 * here. labels may be NULL: tiers stand as they are. New reference. */
ag_status ag_record_apply(ag_record_map *map, const json_t *record, const ag_labels *labels, const char *path,
                          long line, json_t **json, ag_record_outcome *outcome, ag_error *err);

/* HTML to plain text: tags become spaces, the usual entities characters, white space one space. Appends. */
void ag_html_text(ag_str *out, const char *html, size_t n);

#endif
