/* safetensors.c: reading safetensors headers. Nothing in the header is believed before it is compared with
 * the size of the file; no allocation is larger than a small multiple of what the file really holds.
 */
#include "model/safetensors.h"

#include <string.h>

#include "base/json.h"

/* The reference implementation refuses longer headers too. */
#define HEADER_MAX 100000000u

/* Everything that the format can hold, so that the size of each tensor can be checked; read are the first
 * three. */
static const struct {
    const char *name;
    ag_stored type;
    int bytes;
} dtypes[] = {
    {"F32", AG_STORED_F32, 4},    {"F16", AG_STORED_F16, 2},       {"BF16", AG_STORED_BF16, 2},
    {"F64", AG_STORED_OTHER, 8},  {"I64", AG_STORED_OTHER, 8},     {"U64", AG_STORED_OTHER, 8},
    {"I32", AG_STORED_OTHER, 4},  {"U32", AG_STORED_OTHER, 4},     {"I16", AG_STORED_OTHER, 2},
    {"U16", AG_STORED_OTHER, 2},  {"I8", AG_STORED_OTHER, 1},      {"U8", AG_STORED_OTHER, 1},
    {"BOOL", AG_STORED_OTHER, 1}, {"F8_E4M3", AG_STORED_OTHER, 1}, {"F8_E5M2", AG_STORED_OTHER, 1},
    {"C64", AG_STORED_OTHER, 8},
};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

/* A JSON integer that is not negative. */
static bool count_of(const json_t *value, uint64_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

/* Rows, columns and the number of weights of a shape; false when it is no shape or overflows. */
static bool read_shape(const json_t *shape, ag_tensor *t, uint64_t *weights)
{
    uint64_t rows = 1, cols = 1, n;
    if (!json_is_array(shape) || json_array_size(shape) > 8) return false;
    for (size_t i = 0; i < json_array_size(shape); i++) {
        if (!count_of(json_array_get(shape, i), &n)) return false;
        if (!ag_mul_add(rows, cols, 0, &rows)) return false;
        cols = n;
    }
    if (!ag_mul_add(rows, cols, 0, weights) || *weights > INT64_MAX || rows > INT64_MAX) return false;
    t->rows = (int64_t)rows;
    t->cols = (int64_t)cols;
    return true;
}

/* One entry of the header. `data` is the data section of `size` bytes. */
static ag_status read_entry(ag_tensors *table, const char *name, const json_t *entry,
                            const unsigned char *data, uint64_t size, const char *path, ag_error *err)
{
    ag_tensor t = {.path = path};
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    uint64_t from, to, weights, bytes;
    int d = 0;
    if (!json_is_object(entry) || !dtype || !json_is_array(offsets) || json_array_size(offsets) != 2) {
        return ag_fail(err, AG_ERR_INPUT, "%s: tensor '%s' must have dtype, shape and two data_offsets", path,
                       name);
    }
    while (d < DTYPES && strcmp(dtypes[d].name, dtype) != 0) d++;
    if (d == DTYPES) {
        return ag_fail(err, AG_ERR_INPUT, "%s: tensor '%s' is of the unknown type '%s'", path, name, dtype);
    }
    if (!read_shape(json_object_get(entry, "shape"), &t, &weights) ||
        !ag_mul_add(weights, (uint64_t)dtypes[d].bytes, 0, &bytes)) {
        return ag_fail(err, AG_ERR_INPUT, "%s: tensor '%s' has a shape that is not one or is too large", path,
                       name);
    }
    if (!count_of(json_array_get(offsets, 0), &from) || !count_of(json_array_get(offsets, 1), &to) ||
        from > to || to > size) {
        return ag_fail(err, AG_ERR_INPUT,
                       "%s: the data of tensor '%s' lie outside the file; is it truncated?", path, name);
    }
    if (to - from != bytes) {
        return ag_fail(err, AG_ERR_INPUT, "%s: tensor '%s' takes %llu bytes by its shape but has %llu", path,
                       name, (unsigned long long)bytes, (unsigned long long)(to - from));
    }
    t.type = dtypes[d].type;
    t.kind = dtypes[d].name;
    t.data = data + from;
    t.bytes = bytes;
    return ag_tensors_add(table, &t, name, strlen(name), err);
}

ag_status ag_safetensors_read(ag_tensors *table, const unsigned char *bytes, uint64_t size, const char *path,
                              ag_error *err)
{
    json_t *header = NULL, *entry;
    const char *name;
    ag_status status = AG_OK;
    size_t first = table->count;
    uint64_t length = size >= 8 ? ag_le64(bytes) : 0;

    if (size < 8 || length > size - 8) {
        return ag_fail(err, AG_ERR_INPUT, "%s: not a safetensors file, or truncated: %s", path,
                       size < 8 ? "shorter than 8 bytes" : "its header would end behind the end of the file");
    }
    if (length > HEADER_MAX) {
        return ag_fail(err, AG_ERR_INPUT, "%s: the header is longer than %u bytes", path, HEADER_MAX);
    }
    status = ag_json_parse(&header, (const char *)bytes + 8, (size_t)length, path, 1, err);
    if (status != AG_OK) goto out;
    if (!json_is_object(header)) {
        status = ag_fail(err, AG_ERR_INPUT, "%s: the header must be a JSON object", path);
        goto out;
    }
    const unsigned char *data = bytes + 8 + length;
    json_object_foreach(header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) continue;
        status = read_entry(table, name, entry, data, size - 8 - length, path, err);
        if (status != AG_OK) goto out;
    }
    status = ag_tensors_check_places(table, first, data, size - 8 - length, true, path, err);
out:
    json_decref(header);
    return status;
}
