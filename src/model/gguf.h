/* gguf.h: the reader of a GGUF file that lies in memory: the container (gguf.c), and what it says about a
 * model (gguf_model.c).
 *
 * Format, versions 2 and 3, little-endian: "GGUF", version, number of tensors, number of keys, the keys
 * (name, type, value), the tensors (name, dimensions, type, offset), then their data, each at a multiple of
 * the alignment.
 */
#ifndef AG_MODEL_GGUF_H
#define AG_MODEL_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "model/config.h"
#include "model/tensors.h"
#include "text/tokenizer.h"

enum ag_gguf_type {
    AG_GGUF_U8,
    AG_GGUF_I8,
    AG_GGUF_U16,
    AG_GGUF_I16,
    AG_GGUF_U32,
    AG_GGUF_I32,
    AG_GGUF_F32,
    AG_GGUF_BOOL,
    AG_GGUF_STRING,
    AG_GGUF_ARRAY,
    AG_GGUF_U64,
    AG_GGUF_I64,
    AG_GGUF_F64,
    AG_GGUF_TYPES
};

/* One key. A string is `count` bytes at `data`; an array is `count` values of type `item` at `data`. */
typedef struct ag_gguf_key {
    const char *name; /* not NUL terminated */
    uint64_t name_len;
    uint32_t type, item;
    const unsigned char *data;
    uint64_t count;
} ag_gguf_key;

typedef struct ag_gguf {
    const char *path;
    ag_gguf_key *keys; /* sorted by name */
    size_t count, capacity;
} ag_gguf;

/* Reads keys and tensors; the tensors keep GGUF's names. `path` and the bytes must outlive gguf and table. */
ag_status ag_gguf_read(ag_gguf *gguf, ag_tensors *table, const unsigned char *bytes, uint64_t size,
                       const char *path, ag_error *err);
void ag_gguf_free(ag_gguf *gguf);

const ag_gguf_key *ag_gguf_find(const ag_gguf *gguf, const char *name);
/* Typed values. Absent leaves *value as it is; a wrong type or range is AG_ERR_INPUT naming file and key. */
ag_status ag_gguf_int(const ag_gguf *gguf, const char *name, int64_t lo, int64_t hi, int64_t *value,
                      ag_error *err);
ag_status ag_gguf_number(const ag_gguf *gguf, const char *name, double *value, ag_error *err);
ag_status ag_gguf_bool(const ag_gguf *gguf, const char *name, bool *value, ag_error *err);
/* A copy in the arena. */
ag_status ag_gguf_string(const ag_gguf *gguf, const char *name, ag_arena *arena, const char **value,
                         ag_error *err);
/* An array of strings, copied into the arena; absent gives NULL and 0. */
ag_status ag_gguf_strings(const ag_gguf *gguf, const char *name, ag_arena *arena, const char *const **values,
                          int *count, ag_error *err);

/* The shape of the model; the tensors get their Hugging Face names and know whether their rows are
 * interleaved. */
ag_status ag_gguf_model(ag_gguf *gguf, ag_tensors *table, ag_config *config, ag_error *err);
/* Its tokenizer. */
ag_status ag_gguf_tokenizer(const ag_gguf *gguf, ag_tokenizer **tokenizer, ag_error *err);

#endif
