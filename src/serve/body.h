/* body.h: the JSON of request bodies. Whatever is wrong becomes the answer: 400 with the path of the field at fault
 * ("pairs[3].item.price"). Functions return false when they have made one.
 */
#ifndef AG_SERVE_BODY_H
#define AG_SERVE_BODY_H

#include "base/json.h"
#include "data/pair.h"
#include "rules/facts.h"
#include "serve/http.h"

enum {
    AG_BODY_DEPTH = 64,       /* nesting */
    AG_BODY_VALUES = 1 << 18, /* values of a body: each costs memory, however short it is */
    AG_BODY_PATH = 192        /* bytes of a field's path */
};

/* The body as a JSON object (new reference): valid UTF-8, within the bounds above. */
bool ag_body_parse(json_t **json, const ag_http_request *request, ag_http_response *response);
/* "path.key", or "key" at the top (path ""). */
const char *ag_body_path(char out[AG_BODY_PATH], const char *path, const char *key);
/* Every member is one of names (ends with NULL); the nearest known name is in the message. */
bool ag_body_known(const json_t *object, const char *path, const char *const *names,
                   ag_http_response *response);
/* Typed members. Absent or null leaves *value, unless `required`. */
bool ag_body_text(const json_t *object, const char *path, const char *key, bool required, const char **value,
                  ag_http_response *response);
bool ag_body_int(const json_t *object, const char *path, const char *key, long long lo, long long hi,
                 long long *value, ag_http_response *response);
bool ag_body_number(const json_t *object, const char *path, const char *key, double lo, double hi,
                    double *value, ag_http_response *response);
bool ag_body_flag(const json_t *object, const char *path, const char *key, bool *value,
                  ag_http_response *response);
/* A list of 1 to `most` values; more is 413. */
bool ag_body_list(const json_t *object, const char *path, const char *key, size_t most, const json_t **value,
                  ag_http_response *response);

/* An item from a text: its first line (cut at a word past 200 bytes) is the title, all of the text that the title leaves out the
 * description. New reference; NULL when out of memory. */
json_t *ag_item_of_text(const char *text);
/* A pair from {"query", "item": object or text, "asked"?, ...} (data/pair.h), with what is asked read from the query where it
 * is not given. Other members are passed over as in files, but for one that looks like a known one written wrongly. */
bool ag_body_pair(ag_pair **pair, const json_t *json, const char *path, const ag_book *book,
                  const ag_lexicon *lexicon, ag_http_response *response);

#endif
