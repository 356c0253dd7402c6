/* tensors.h: the table of tensors that the readers of both formats fill, and that weights.c serves from.
 *
 * Private to src/model. A row points into the mapped file; the reader that adds a row has checked that the
 * bytes lie inside it. Names live in the table's arena.
 */
#ifndef AG_MODEL_TENSORS_H
#define AG_MODEL_TENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/mem.h"
#include "model/dequant.h"

typedef struct ag_tensor {
    const char *name; /* Hugging Face spelling */
    const char *kind; /* the type as the file spells it, for messages */
    const char *path; /* the file, for messages */
    ag_stored type;
    int64_t rows, cols; /* a vector is one row; more than two dimensions are flattened into rows */
    const unsigned char *data;
    uint64_t bytes;
    int interleaved; /* rows a head of a q or k projection stored for interleaved RoPE, or 0 */
    bool expected;   /* the model's shape asks for it */
} ag_tensor;

typedef struct ag_tensors {
    ag_arena arena;
    ag_tensor *items;
    size_t count, capacity;
} ag_tensors;

/* Copies the row and the name (len bytes). */
ag_status ag_tensors_add(ag_tensors *table, const ag_tensor *row, const char *name, size_t len,
                         ag_error *err);
/* No two of the tensors from `first` on share a byte; with `dense` they also cover [start, start + size)
 * without a gap. Leaves these rows sorted by place. */
ag_status ag_tensors_check_places(ag_tensors *table, size_t first, const unsigned char *start, uint64_t size,
                                  bool dense, const char *path, ag_error *err);
/* Sorts by name; two of the same name are AG_ERR_INPUT. */
ag_status ag_tensors_sort(ag_tensors *table, ag_error *err);
/* After ag_tensors_sort; NULL when absent. */
ag_tensor *ag_tensors_find(const ag_tensors *table, const char *name);
void ag_tensors_free(ag_tensors *table);

/* a * b + c in *out, false when that does not fit. */
static inline bool ag_mul_add(uint64_t a, uint64_t b, uint64_t c, uint64_t *out)
{
    return !__builtin_mul_overflow(a, b, out) && !__builtin_add_overflow(*out, c, out);
}

#endif
