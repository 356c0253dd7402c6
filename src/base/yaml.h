/* yaml.h: a YAML file as a tree in which every node knows its line and column (libyaml events).
 *
 * Strings only: a scalar keeps its text, and the reader decides what it means. Anchors, aliases, tags, several
 * documents, duplicate keys, nesting deeper than 64, more than a million nodes and NUL bytes are refused.
 */
#ifndef AG_BASE_YAML_H
#define AG_BASE_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

typedef enum ag_yaml_kind { AG_YAML_SCALAR, AG_YAML_LIST, AG_YAML_MAP } ag_yaml_kind;

typedef struct ag_yaml ag_yaml;
struct ag_yaml {
    ag_yaml_kind kind;
    int line, column; /* from 1 */
    bool quoted;      /* scalar was quoted or a block: never null, number or boolean */
    const char *text; /* scalar: its text, NUL terminated; else NULL */
    size_t len;
    int count;        /* list: items; map: entries */
    ag_yaml **values; /* items, or the values of entries */
    ag_yaml **keys;   /* map: the keys (scalars) in file order */
};

/* Parses text into nodes that live in `arena`. `where` is the file name for messages:
 * "<where>:<line>:<column>: ...". An empty document is an empty map. */
ag_status ag_yaml_parse(ag_yaml **root, ag_arena *arena, const char *text, size_t len, const char *where,
                        ag_error *err);
ag_status ag_yaml_load(ag_yaml **root, ag_arena *arena, const char *path, ag_error *err);

/* The value of a key in a map, or NULL. Linear search. */
const ag_yaml *ag_yaml_get(const ag_yaml *map, const char *key);
/* A plain scalar that is empty, ~ or null. */
bool ag_yaml_is_null(const ag_yaml *node);
/* AG_ERR_INPUT at the node's place: "<where>:<line>:<column>: <message>". */
ag_status ag_yaml_fail(ag_error *err, const char *where, const ag_yaml *node, const char *format, ...)
    AG_PRINTF(4, 5);
/* Typed readings of a node; wrong type or range fails at its place, naming `what`. Numbers must be finite. */
ag_status ag_yaml_string(const ag_yaml *node, const char *where, const char *what, const char **value,
                         ag_error *err);
ag_status ag_yaml_double(const ag_yaml *node, const char *where, const char *what, double *value,
                         ag_error *err);
ag_status ag_yaml_int(const ag_yaml *node, const char *where, const char *what, long lo, long hi, long *value,
                      ag_error *err);
ag_status ag_yaml_bool(const ag_yaml *node, const char *where, const char *what, bool *value, ag_error *err);
/* Every key of the map is one of names[0..n); else fails at the key, naming the nearest. */
ag_status ag_yaml_known_keys(const ag_yaml *map, const char *where, const char *const *names, size_t n,
                             ag_error *err);

/* Appends a scalar so that it reads back as the same string (quoted where needed). */
void ag_yaml_quote(ag_str *out, const char *text);

#endif
