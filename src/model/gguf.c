/* gguf.c: the GGUF container. Every count is compared with the bytes that are left before anything is
 * allocated or skipped, so a hostile header costs no more than reading the file.
 */
#include "model/gguf.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_MIN = 8 + 4 + 1,        /* fewest bytes of a key: an empty name, a type, one byte */
    TENSOR_MIN = 8 + 4 + 4 + 8, /* fewest bytes of a tensor: an empty name, no dimension, type, offset */
    DIMENSIONS_MAX = 4,
    ALIGNMENT_MAX = 1 << 20
};

static const unsigned char type_bytes[AG_GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

/* GGML's tensor types by number. Those not read are here for the message. */
static const struct {
    const char *name;
    ag_stored type;
} ggml_types[] = {
    [0] = {"F32", AG_STORED_F32},        [1] = {"F16", AG_STORED_F16},
    [2] = {"Q4_0", AG_STORED_Q4_0},      [3] = {"Q4_1", AG_STORED_Q4_1},
    [6] = {"Q5_0", AG_STORED_OTHER},     [7] = {"Q5_1", AG_STORED_OTHER},
    [8] = {"Q8_0", AG_STORED_Q8_0},      [9] = {"Q8_1", AG_STORED_OTHER},
    [10] = {"Q2_K", AG_STORED_OTHER},    [11] = {"Q3_K", AG_STORED_OTHER},
    [12] = {"Q4_K", AG_STORED_OTHER},    [13] = {"Q5_K", AG_STORED_OTHER},
    [14] = {"Q6_K", AG_STORED_OTHER},    [15] = {"Q8_K", AG_STORED_OTHER},
    [16] = {"IQ2_XXS", AG_STORED_OTHER}, [17] = {"IQ2_XS", AG_STORED_OTHER},
    [18] = {"IQ3_XXS", AG_STORED_OTHER}, [19] = {"IQ1_S", AG_STORED_OTHER},
    [20] = {"IQ4_NL", AG_STORED_OTHER},  [21] = {"IQ3_S", AG_STORED_OTHER},
    [22] = {"IQ2_S", AG_STORED_OTHER},   [23] = {"IQ4_XS", AG_STORED_OTHER},
    [24] = {"I8", AG_STORED_OTHER},      [25] = {"I16", AG_STORED_OTHER},
    [26] = {"I32", AG_STORED_OTHER},     [27] = {"I64", AG_STORED_OTHER},
    [28] = {"F64", AG_STORED_OTHER},     [29] = {"IQ1_M", AG_STORED_OTHER},
    [30] = {"BF16", AG_STORED_BF16},     [34] = {"TQ1_0", AG_STORED_OTHER},
    [35] = {"TQ2_0", AG_STORED_OTHER},   [39] = {"MXFP4", AG_STORED_OTHER},
};
enum { GGML_TYPES = sizeof ggml_types / sizeof *ggml_types };

/* --- reading in order
 * ------------------------------------------------------------------------------------- */

typedef struct cursor {
    const unsigned char *at;
    uint64_t left;
} cursor;

/* The next n bytes, or NULL when there are not so many. */
static const unsigned char *take(cursor *c, uint64_t n)
{
    const unsigned char *p = c->at;
    if (n > c->left) return NULL;
    c->at += n;
    c->left -= n;
    return p;
}

static bool take32(cursor *c, uint32_t *value)
{
    const unsigned char *p = take(c, 4);
    if (p) *value = ag_le32(p);
    return p != NULL;
}

static bool take64(cursor *c, uint64_t *value)
{
    const unsigned char *p = take(c, 8);
    if (p) *value = ag_le64(p);
    return p != NULL;
}

static bool take_string(cursor *c, const unsigned char **bytes, uint64_t *len)
{
    return take64(c, len) && (*bytes = take(c, *len)) != NULL;
}

static ag_status truncated(const ag_gguf *gguf, const char *what, ag_error *err)
{
    return ag_fail(err, AG_ERR_INPUT, "%s: ends in the middle of %s; the file is truncated or damaged",
                   gguf->path, what);
}

/* A name as bytes from the file, for messages: %.*s with a length that fits. */
static int shown(uint64_t len)
{
    return len > 80 ? 80 : (int)len;
}

/* Steps over the values of an array. */
static ag_status skip_array(const ag_gguf *gguf, cursor *c, const ag_gguf_key *key, ag_error *err)
{
    const unsigned char *bytes;
    uint64_t len;
    if (key->item == AG_GGUF_STRING) {
        if (key->count > c->left / 8) goto ends;
        for (uint64_t i = 0; i < key->count; i++) {
            if (!take_string(c, &bytes, &len)) goto ends;
        }
        return AG_OK;
    }
    if (key->item >= AG_GGUF_TYPES || key->item == AG_GGUF_ARRAY) {
        return ag_fail(err, AG_ERR_INPUT, "%s: key '%.*s' is an array of the unknown type %u", gguf->path,
                       shown(key->name_len), key->name, key->item);
    }
    if (key->count > c->left / type_bytes[key->item]) goto ends;
    take(c, key->count * type_bytes[key->item]);
    return AG_OK;
ends:
    return ag_fail(err, AG_ERR_INPUT,
                   "%s: key '%.*s' has more values than the file has bytes; is it truncated?", gguf->path,
                   shown(key->name_len), key->name);
}

static ag_status read_key(ag_gguf *gguf, cursor *c, ag_error *err)
{
    ag_gguf_key key = {0};
    const unsigned char *name;
    if (!take_string(c, &name, &key.name_len) || !take32(c, &key.type)) return truncated(gguf, "a key", err);
    key.name = (const char *)name;
    if (key.name_len == 0 || memchr(name, 0, key.name_len)) {
        return ag_fail(err, AG_ERR_INPUT, "%s: a key has an empty name or one with a NUL byte", gguf->path);
    }
    if (key.type == AG_GGUF_STRING) {
        if (!take_string(c, &key.data, &key.count)) return truncated(gguf, "a text", err);
    } else if (key.type == AG_GGUF_ARRAY) {
        if (!take32(c, &key.item) || !take64(c, &key.count)) return truncated(gguf, "an array", err);
        key.data = c->at;
        ag_status status = skip_array(gguf, c, &key, err);
        if (status != AG_OK) return status;
    } else if (key.type >= AG_GGUF_TYPES) {
        return ag_fail(err, AG_ERR_INPUT, "%s: key '%.*s' is of the unknown type %u", gguf->path,
                       shown(key.name_len), key.name, key.type);
    } else if (!(key.data = take(c, type_bytes[key.type]))) {
        return truncated(gguf, "a value", err);
    }
    if (!ag_grow(&gguf->keys, &gguf->capacity, gguf->count + 1, sizeof *gguf->keys)) {
        return ag_fail_memory(err, "keys of a GGUF file");
    }
    gguf->keys[gguf->count++] = key;
    return AG_OK;
}

static int compare_names(const char *a, uint64_t a_len, const char *b, uint64_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order ? order : a_len < b_len ? -1 : a_len > b_len;
}

static int by_name(const void *a, const void *b)
{
    const ag_gguf_key *x = a, *y = b;
    return compare_names(x->name, x->name_len, y->name, y->name_len);
}

static ag_status read_keys(ag_gguf *gguf, cursor *c, uint64_t count, ag_error *err)
{
    for (uint64_t i = 0; i < count; i++) {
        ag_status status = read_key(gguf, c, err);
        if (status != AG_OK) return status;
    }
    if (count > 0) qsort(gguf->keys, gguf->count, sizeof *gguf->keys, by_name);
    for (size_t i = 1; i < gguf->count; i++) {
        const ag_gguf_key *key = &gguf->keys[i];
        if (by_name(key - 1, key) == 0) {
            return ag_fail(err, AG_ERR_INPUT, "%s: key '%.*s' is there twice", gguf->path,
                           shown(key->name_len), key->name);
        }
    }
    return AG_OK;
}

/* One entry of the list of tensors; *offset is into the data section, whose place is not known yet. */
static ag_status read_tensor(const ag_gguf *gguf, ag_tensors *table, cursor *c, uint64_t *offset,
                             ag_error *err)
{
    ag_tensor t = {.path = gguf->path, .rows = 1, .cols = 1};
    const unsigned char *name;
    uint64_t len, dimension, rows = 1, bytes;
    uint32_t dimensions, type;
    if (!take_string(c, &name, &len) || !take32(c, &dimensions))
        return truncated(gguf, "the list of tensors", err);
    if (len == 0 || memchr(name, 0, len)) {
        return ag_fail(err, AG_ERR_INPUT, "%s: a tensor has an empty name or one with a NUL byte",
                       gguf->path);
    }
    if (dimensions > DIMENSIONS_MAX) {
        return ag_fail(err, AG_ERR_INPUT, "%s: tensor '%.*s' has %u dimensions", gguf->path, shown(len), name,
                       dimensions);
    }
    for (uint32_t i = 0; i < dimensions; i++) { /* columns come first */
        if (!take64(c, &dimension)) return truncated(gguf, "the list of tensors", err);
        if (dimension > INT64_MAX || (i > 0 && !ag_mul_add(rows, dimension, 0, &rows)) || rows > INT64_MAX) {
            return ag_fail(err, AG_ERR_INPUT, "%s: tensor '%.*s' is too large", gguf->path, shown(len), name);
        }
        if (i == 0) t.cols = (int64_t)dimension;
    }
    t.rows = (int64_t)rows;
    if (!take32(c, &type) || !take64(c, offset)) return truncated(gguf, "the list of tensors", err);
    const char *type_name = type < GGML_TYPES ? ggml_types[type].name : NULL;
    if (!type_name) {
        return ag_fail(err, AG_ERR_INPUT, "%s: tensor '%.*s' is of the unknown type %u", gguf->path,
                       shown(len), name, type);
    }
    if (ggml_types[type].type == AG_STORED_OTHER) {
        return ag_fail(err, AG_ERR_UNSUPPORTED,
                       "%s: tensor '%.*s' is stored as %s; agrl reads F32, F16, BF16, Q8_0, Q4_0 and Q4_1",
                       gguf->path, shown(len), name, type_name);
    }
    t.type = ggml_types[type].type;
    t.kind = type_name;
    uint64_t block = (uint64_t)ag_stored_block(t.type);
    if ((uint64_t)t.cols % block != 0) {
        return ag_fail(err, AG_ERR_INPUT, "%s: rows of tensor '%.*s' are no multiple of its blocks",
                       gguf->path, shown(len), name);
    }
    if (!ag_mul_add((uint64_t)t.cols / block, (uint64_t)ag_stored_bytes(t.type), 0, &bytes) ||
        !ag_mul_add(bytes, rows, 0, &t.bytes)) {
        return ag_fail(err, AG_ERR_INPUT, "%s: tensor '%.*s' is too large", gguf->path, shown(len), name);
    }
    return ag_tensors_add(table, &t, (const char *)name, len, err);
}

/* The tensors; their data begin at the first multiple of the alignment after the list. */
static ag_status read_tensors(ag_gguf *gguf, ag_tensors *table, cursor *c, uint64_t count,
                              const unsigned char *bytes, uint64_t size, ag_error *err)
{
    int64_t alignment = 32;
    uint64_t *offsets = NULL, start, place, end;
    size_t first = table->count;
    ag_status status = ag_gguf_int(gguf, "general.alignment", 1, ALIGNMENT_MAX, &alignment, err);
    if (status != AG_OK) return status;
    if (!(offsets = ag_calloc(count, sizeof *offsets))) return ag_fail_memory(err, "table of tensors");
    for (uint64_t i = 0; i < count; i++) {
        if ((status = read_tensor(gguf, table, c, &offsets[i], err)) != AG_OK) goto out;
    }
    start = (size - c->left + (uint64_t)alignment - 1) / (uint64_t)alignment * (uint64_t)alignment;
    for (uint64_t i = 0; i < count; i++) {
        ag_tensor *t = &table->items[first + i];
        if (!ag_mul_add(1, start, offsets[i], &place) || !ag_mul_add(1, place, t->bytes, &end) ||
            end > size) {
            status = ag_fail(err, AG_ERR_INPUT,
                             "%s: the data of tensor '%s' lie outside the file; is it truncated?", gguf->path,
                             t->name);
            goto out;
        }
        if (offsets[i] % (uint64_t)alignment != 0) {
            status = ag_fail(err, AG_ERR_INPUT, "%s: tensor '%s' does not begin at a multiple of %lld",
                             gguf->path, t->name, (long long)alignment);
            goto out;
        }
        t->data = bytes + place;
    }
    status = ag_tensors_check_places(table, first, bytes, size, false, gguf->path, err);
out:
    ag_free(offsets);
    return status;
}

ag_status ag_gguf_read(ag_gguf *gguf, ag_tensors *table, const unsigned char *bytes, uint64_t size,
                       const char *path, ag_error *err)
{
    cursor c = {bytes, size};
    uint32_t version;
    uint64_t tensors, keys;
    ag_status status;
    *gguf = (ag_gguf){.path = path};
    const unsigned char *magic = take(&c, 4);
    if (!magic || memcmp(magic, "GGUF", 4) != 0) {
        return ag_fail(err, AG_ERR_INPUT, "%s: not a GGUF file", path);
    }
    if (!take32(&c, &version)) return truncated(gguf, "the header", err);
    if (version != 2 && version != 3) {
        bool swapped = (version & 0xffff) == 0;
        return ag_fail(err, AG_ERR_UNSUPPORTED, "%s: GGUF %s is not supported (2 and 3, little-endian, are)",
                       path,
                       swapped        ? "of a big-endian machine"
                       : version == 1 ? "version 1"
                                      : "of this version");
    }
    if (!take64(&c, &tensors) || !take64(&c, &keys)) return truncated(gguf, "the header", err);
    if (keys > c.left / KEY_MIN || tensors > c.left / TENSOR_MIN) {
        return ag_fail(err, AG_ERR_INPUT,
                       "%s: says that it has %llu keys and %llu tensors, more than fit into it", path,
                       (unsigned long long)keys, (unsigned long long)tensors);
    }
    status = read_keys(gguf, &c, keys, err);
    if (status == AG_OK) status = read_tensors(gguf, table, &c, tensors, bytes, size, err);
    if (status != AG_OK) ag_gguf_free(gguf);
    return status;
}

void ag_gguf_free(ag_gguf *gguf)
{
    ag_free(gguf->keys);
    gguf->keys = NULL;
    gguf->count = gguf->capacity = 0;
}

/* --- values
 * ----------------------------------------------------------------------------------------------- */

const ag_gguf_key *ag_gguf_find(const ag_gguf *gguf, const char *name)
{
    ag_gguf_key key = {.name = name, .name_len = strlen(name)};
    if (gguf->count == 0) return NULL;
    return bsearch(&key, gguf->keys, gguf->count, sizeof key, by_name);
}

static ag_status wrong(const ag_gguf *gguf, const char *name, const char *what, ag_error *err)
{
    return ag_fail(err, AG_ERR_INPUT, "%s: key '%s' must be %s", gguf->path, name, what);
}

/* A whole number of any of the integer types; false for another type, and for U64 past INT64_MAX. */
static bool integer_of(uint32_t type, const unsigned char *p, int64_t *value)
{
    switch (type) {
    case AG_GGUF_U8: *value = p[0]; return true;
    case AG_GGUF_I8: *value = (int8_t)p[0]; return true;
    case AG_GGUF_U16: *value = ag_le16(p); return true;
    case AG_GGUF_I16: *value = (int16_t)ag_le16(p); return true;
    case AG_GGUF_U32: *value = ag_le32(p); return true;
    case AG_GGUF_I32: *value = (int32_t)ag_le32(p); return true;
    case AG_GGUF_I64: *value = (int64_t)ag_le64(p); return true;
    case AG_GGUF_U64: *value = (int64_t)ag_le64(p); return *value >= 0;
    default: return false;
    }
}

ag_status ag_gguf_int(const ag_gguf *gguf, const char *name, int64_t lo, int64_t hi, int64_t *value,
                      ag_error *err)
{
    const ag_gguf_key *key = ag_gguf_find(gguf, name);
    int64_t x;
    if (!key) return AG_OK;
    if (!integer_of(key->type, key->data, &x) || x < lo || x > hi) {
        return ag_fail(err, AG_ERR_INPUT, "%s: key '%s' must be a whole number from %lld to %lld", gguf->path,
                       name, (long long)lo, (long long)hi);
    }
    *value = x;
    return AG_OK;
}

ag_status ag_gguf_number(const ag_gguf *gguf, const char *name, double *value, ag_error *err)
{
    const ag_gguf_key *key = ag_gguf_find(gguf, name);
    int64_t integer;
    double x;
    if (!key) return AG_OK;
    if (key->type == AG_GGUF_F32) {
        x = ag_float_of_bits(ag_le32(key->data));
    } else if (key->type == AG_GGUF_F64) {
        uint64_t bits = ag_le64(key->data);
        memcpy(&x, &bits, sizeof x);
    } else if (integer_of(key->type, key->data, &integer)) {
        x = (double)integer;
    } else {
        return wrong(gguf, name, "a number", err);
    }
    if (!isfinite(x)) return wrong(gguf, name, "a finite number", err);
    *value = x;
    return AG_OK;
}

ag_status ag_gguf_bool(const ag_gguf *gguf, const char *name, bool *value, ag_error *err)
{
    const ag_gguf_key *key = ag_gguf_find(gguf, name);
    if (!key) return AG_OK;
    if (key->type != AG_GGUF_BOOL || key->data[0] > 1) return wrong(gguf, name, "true or false", err);
    *value = key->data[0] == 1;
    return AG_OK;
}

ag_status ag_gguf_string(const ag_gguf *gguf, const char *name, ag_arena *arena, const char **value,
                         ag_error *err)
{
    const ag_gguf_key *key = ag_gguf_find(gguf, name);
    if (!key) return AG_OK;
    if (key->type != AG_GGUF_STRING || memchr(key->data, 0, key->count)) {
        return wrong(gguf, name, "text without NUL bytes", err);
    }
    *value = ag_arena_strndup(arena, (const char *)key->data, key->count);
    return *value ? AG_OK : ag_fail_memory(err, "text of a GGUF file");
}

ag_status ag_gguf_strings(const ag_gguf *gguf, const char *name, ag_arena *arena, const char *const **values,
                          int *count, ag_error *err)
{
    const ag_gguf_key *key = ag_gguf_find(gguf, name);
    *values = NULL;
    *count = 0;
    if (!key) return AG_OK;
    if (key->type != AG_GGUF_ARRAY || key->item != AG_GGUF_STRING || key->count > INT_MAX) {
        return wrong(gguf, name, "a list of texts", err);
    }
    const char **list = ag_arena_alloc(arena, key->count, sizeof *list);
    if (!list) return ag_fail_memory(err, "texts of a GGUF file");
    const unsigned char *p = key->data; /* lengths were checked when the file was read */
    for (uint64_t i = 0; i < key->count; i++) {
        uint64_t len = ag_le64(p);
        if (memchr(p + 8, 0, len)) return wrong(gguf, name, "a list of texts without NUL bytes", err);
        list[i] = ag_arena_strndup(arena, (const char *)p + 8, len);
        if (!list[i]) return ag_fail_memory(err, "texts of a GGUF file");
        p += 8 + len;
    }
    *values = list;
    *count = (int)key->count;
    return AG_OK;
}
