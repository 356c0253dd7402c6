/* json.h: jansson with our error messages. A json_t is reference counted: what a function here returns as new
 * belongs to the caller (json_decref); what it hands out from inside an object is borrowed.
 */
#ifndef AG_BASE_JSON_H
#define AG_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include "base/error.h"
#include "base/file.h"
#include "base/str.h"

/* Parses one JSON text. Duplicate keys, NUL bytes, invalid UTF-8, nesting past jansson's limit and trailing text
 * are AG_ERR_INPUT with "<where>:<line + offset>:<column>". `line` is added to the line inside the text
 * (pass the line number of a JSONL line, or 1). */
ag_status ag_json_parse(json_t **json, const char *text, size_t len, const char *where, long line,
                        ag_error *err);
/* Reads and parses a file (at most 1 GiB). */
ag_status ag_json_load(json_t **json, const char *path, ag_error *err);

/* Appends compact JSON in insertion order, with numbers as short as they round-trip. No newline. */
ag_status ag_json_dump(ag_str *out, const json_t *json, ag_error *err);
/* A line of JSON into a file that is being written; takes the value (NULL: there was no memory for it). */
ag_status ag_json_write_line(ag_out *out, json_t *json, ag_error *err);
/* Writes a file atomically: an object with one member a line, for people; anything else on one line. */
ag_status ag_json_save(const char *path, const json_t *json, ag_error *err);
/* A JSON string literal of the bytes (invalid UTF-8 as U+FFFD), for writers that print JSON by hand. */
void ag_json_quote(ag_str *out, const char *text, size_t n);
/* A number: integers without a point, others with the fewest digits that read back the same; not finite: null. */
void ag_json_number(ag_str *out, double x);

/* Sets a member and takes the value; false when there was no memory for either (a NULL value says so). */
bool ag_json_set(json_t *object, const char *key, json_t *value);

/* Typed members of an object. Absent or null leaves *value as it is and returns AG_OK; a wrong type is
 * AG_ERR_INPUT "<where>: '<key>' must be ...". */
ag_status ag_json_get_int(const json_t *object, const char *key, long lo, long hi, long *value,
                          const char *where, ag_error *err);
ag_status ag_json_get_double(const json_t *object, const char *key, double *value, const char *where,
                             ag_error *err);
ag_status ag_json_get_bool(const json_t *object, const char *key, bool *value, const char *where,
                           ag_error *err);
ag_status ag_json_get_string(const json_t *object, const char *key, const char **value, const char *where,
                             ag_error *err); /* borrowed */

#endif
