/* safetensors_out.c: the writer declared in weights.h. The shapes are known before the data, so the header
 * goes first and the data follow in one pass; the file takes its name only when it is complete.
 */
#include "model/weights.h"

#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/dequant.h"
#include "model/tensors.h"

enum { CHUNK = 8192 }; /* floats converted at a time */

typedef struct declared {
    char *name;
    uint64_t rows, cols; /* rows 0: vector */
    ag_weights_type type;
    uint64_t count, offset;
} declared;

struct ag_weights_out {
    ag_out *file;
    char *path;
    declared *items;
    size_t count, capacity;
    uint64_t bytes; /* of the data section */
    bool started;   /* the header is written */
    size_t current; /* tensor being written */
    uint64_t done;  /* floats of it that are written */
    unsigned char chunk[CHUNK * 4];
};

static void out_free(ag_weights_out *out)
{
    for (size_t i = 0; i < out->count; i++) ag_free(out->items[i].name);
    ag_free(out->items);
    ag_free(out->path);
    ag_free(out);
}

ag_status ag_weights_create(ag_weights_out **result, const char *path, ag_error *err)
{
    ag_status status = AG_OK;
    ag_weights_out *out = ag_calloc(1, sizeof *out);
    *result = NULL;
    if (!out) return ag_fail_memory(err, "weights writer");
    if (!(out->path = ag_strdup(path))) status = ag_fail_memory(err, "weights writer");
    if (status == AG_OK) status = ag_out_open(&out->file, path, err);
    if (status != AG_OK) {
        out_free(out);
        return status;
    }
    *result = out;
    return AG_OK;
}

void ag_weights_abort(ag_weights_out *out)
{
    if (!out) return;
    ag_out_abort(out->file);
    out_free(out);
}

ag_status ag_weights_declare(ag_weights_out *out, const char *name, int64_t rows, int64_t cols,
                             ag_weights_type type, ag_error *err)
{
    uint64_t size = type == AG_WEIGHTS_F32 ? 4 : 2, count, bytes;
    if (out->started)
        return ag_fail(err, AG_ERR_INTERNAL, "%s: '%s' is declared after data", out->path, name);
    if (rows < 0 || cols < 0 || !ag_mul_add((uint64_t)(rows > 0 ? rows : 1), (uint64_t)cols, 0, &count) ||
        !ag_mul_add(count, size, out->bytes, &bytes) || bytes > INT64_MAX) {
        return ag_fail(err, AG_ERR_INTERNAL, "%s: '%s' has no sensible shape", out->path, name);
    }
    /* The format allows no gap, and readers that look at the bytes in place want each tensor aligned. */
    if (out->bytes % size != 0) {
        return ag_fail(err, AG_ERR_INTERNAL, "%s: declare '%s' before the 16-bit tensors", out->path, name);
    }
    for (size_t i = 0; i < out->count; i++) {
        if (strcmp(out->items[i].name, name) == 0) {
            return ag_fail(err, AG_ERR_INTERNAL, "%s: '%s' is declared twice", out->path, name);
        }
    }
    if (!ag_grow(&out->items, &out->capacity, out->count + 1, sizeof *out->items)) {
        return ag_fail_memory(err, "weights writer");
    }
    declared d = {ag_strdup(name), (uint64_t)rows, (uint64_t)cols, type, count, out->bytes};
    if (!d.name) return ag_fail_memory(err, "weights writer");
    out->items[out->count++] = d;
    out->bytes = bytes;
    return AG_OK;
}

static ag_status write_header(ag_weights_out *out, ag_error *err)
{
    ag_str header = {0};
    unsigned char length[8];
    ag_str_add(&header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < out->count; i++) {
        const declared *d = &out->items[i];
        bool f32 = d->type == AG_WEIGHTS_F32;
        ag_str_addc(&header, ',');
        ag_json_quote(&header, d->name, strlen(d->name));
        ag_str_addf(&header, ":{\"dtype\":\"%s\",\"shape\":[", f32 ? "F32" : "BF16");
        if (d->rows > 0) ag_str_addf(&header, "%llu,", (unsigned long long)d->rows);
        ag_str_addf(&header, "%llu],\"data_offsets\":[%llu,%llu]}", (unsigned long long)d->cols,
                    (unsigned long long)d->offset,
                    (unsigned long long)(d->offset + d->count * (f32 ? 4 : 2)));
    }
    ag_str_addc(&header, '}');
    while (header.len % 8 != 0 && !header.failed) ag_str_addc(&header, ' ');
    ag_status status = ag_str_ok(&header, err);
    if (status == AG_OK) {
        for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)header.len >> (8 * i));
        ag_out_write(out->file, length, sizeof length);
        ag_out_write(out->file, header.data, header.len);
        out->started = true;
    }
    ag_str_free(&header);
    return status;
}

/* Moves on from tensors that are complete. */
static void skip_complete(ag_weights_out *out)
{
    while (out->current < out->count && out->done == out->items[out->current].count) {
        out->current++;
        out->done = 0;
    }
}

static void write_chunk(ag_weights_out *out, ag_weights_type type, const float *values, size_t n)
{
    unsigned char *p = out->chunk;
    if (type == AG_WEIGHTS_F32) {
        for (size_t i = 0; i < n; i++, p += 4) {
            uint32_t bits = ag_bits_of_float(values[i]);
            for (int b = 0; b < 4; b++) p[b] = (unsigned char)(bits >> (8 * b));
        }
    } else {
        for (size_t i = 0; i < n; i++, p += 2) {
            uint16_t bits = ag_float_to_bf16(values[i]);
            p[0] = (unsigned char)bits;
            p[1] = (unsigned char)(bits >> 8);
        }
    }
    ag_out_write(out->file, out->chunk, (size_t)(p - out->chunk));
}

ag_status ag_weights_write(ag_weights_out *out, const float *values, int64_t n, ag_error *err)
{
    if (!out->started) {
        ag_status status = write_header(out, err);
        if (status != AG_OK) return status;
    }
    skip_complete(out);
    if (n == 0) return AG_OK;
    if (n < 0 || out->current == out->count || (uint64_t)n > out->items[out->current].count - out->done) {
        return ag_fail(err, AG_ERR_INTERNAL, "%s: more data than were declared for '%s'", out->path,
                       out->current < out->count ? out->items[out->current].name : "the file");
    }
    for (int64_t at = 0; at < n; at += CHUNK) {
        size_t part = (size_t)(n - at < CHUNK ? n - at : CHUNK);
        write_chunk(out, out->items[out->current].type, values + at, part);
    }
    out->done += (uint64_t)n;
    skip_complete(out);
    /* A full disk is reported at the tensor that met it, not gigabytes later. */
    return ag_out_flush(out->file, err);
}

ag_status ag_weights_finish(ag_weights_out *out, ag_error *err)
{
    ag_status status = out->started ? AG_OK : write_header(out, err);
    skip_complete(out);
    if (status == AG_OK && out->current < out->count) {
        status = ag_fail(err, AG_ERR_INTERNAL, "%s: '%s' was declared but not written", out->path,
                         out->items[out->current].name);
    }
    if (status == AG_OK) {
        status = ag_out_commit(out->file, err);
        out->file = NULL;
    }
    ag_weights_abort(out);
    return status;
}
