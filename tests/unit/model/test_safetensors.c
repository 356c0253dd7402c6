/* safetensors: damaged and hostile files of every kind end in one message, and what is written reads back. */
#include "unit/model/model_help.h"

#include <math.h>

#include "model/safetensors.h"
#include "model/weights.h"

/* A file of a header (' for ") and n data bytes. */
static void make_file(bytes *b, const char *header, size_t n)
{
    b->len = 0;
    put_le(b, strlen(header), 8);
    for (const char *p = header; *p; p++) {
        char c = *p == '\'' ? '"' : *p;
        put(b, &c, 1);
    }
    for (size_t i = 0; i < n; i++) put_le(b, i * 37 + 11, 1);
}

/* Reads bytes from a block of exactly that size, and every weight that it was told of. */
static ag_status read_bytes(const unsigned char *data, size_t n, ag_error *err)
{
    ag_tensors table = {0};
    unsigned char *copy = exact(data, n);
    ag_status status = ag_safetensors_read(&table, copy, n, "f.safetensors", err);
    if (status == AG_OK) status = ag_tensors_sort(&table, err);
    for (size_t i = 0; i < table.count && status == AG_OK; i++) {
        const ag_tensor *t = &table.items[i];
        float *out = malloc((size_t)(t->rows * t->cols) * sizeof *out + 1);
        if (t->rows * t->cols > 0) ag_stored_to_float(t->type, t->data, t->rows * t->cols, out);
        free(out);
    }
    ag_tensors_free(&table);
    free(copy);
    return status;
}

static const char good[] =
    "{'__metadata__':{'format':'pt'},'b':{'dtype':'BF16','shape':[2,3],'data_offsets':[8,20]},"
    "'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]},"
    "'c':{'dtype':'F16','shape':[],'data_offsets':[20,22]}}";

static void test_good(void **state)
{
    (void)state;
    bytes b;
    ag_tensors table = {0};
    ag_error err = {0};
    make_file(&b, good, 22);
    assert_ok(ag_safetensors_read(&table, b.data, b.len, "f", &err));
    assert_ok(ag_tensors_sort(&table, &err));
    assert_int_equal(table.count, 3);
    const ag_tensor *t = ag_tensors_find(&table, "b");
    assert_non_null(t);
    assert_true(t->rows == 2 && t->cols == 3 && t->type == AG_STORED_BF16);
    t = ag_tensors_find(&table, "a");
    assert_true(t->rows == 1 && t->cols == 2 && t->type == AG_STORED_F32);
    t = ag_tensors_find(&table, "c");
    assert_true(t->rows == 1 && t->cols == 1 && t->type == AG_STORED_F16);
    assert_null(ag_tensors_find(&table, "d"));
    ag_tensors_free(&table);
    assert_ok(read_bytes(b.data, b.len, &err));
    make_file(&b, "{}", 0);
    assert_ok(read_bytes(b.data, b.len, &err));
    make_file(&b, "{'e':{'dtype':'F32','shape':[0,5],'data_offsets':[0,0]}}", 0);
    assert_ok(read_bytes(b.data, b.len, &err));
}

static void test_truncated(void **state)
{
    (void)state;
    bytes b;
    make_file(&b, good, 22);
    for (size_t n = 0; n < b.len; n++) {
        ag_error err = {0};
        if (read_bytes(b.data, n, &err) != AG_ERR_INPUT) fail_msg("accepted when cut at %zu", n);
        assert_says(err, "f.safetensors");
    }
    b.len++; /* a byte too many belongs to nothing */
    assert_int_equal(read_bytes(b.data, b.len, NULL), AG_ERR_INPUT);
}

static void test_flipped(void **state)
{
    (void)state;
    bytes b, c;
    uint32_t seed = 12345;
    make_file(&b, good, 22);
    for (int i = 0; i < 20000; i++) {
        ag_error err = {0};
        c = b;
        int flips = 1 + (int)(noise(&seed) % 3);
        for (int k = 0; k < flips; k++)
            c.data[noise(&seed) % c.len] ^= (unsigned char)(1 + noise(&seed) % 255);
        ag_status status = read_bytes(c.data, c.len, &err);
        if (status != AG_OK && status != AG_ERR_INPUT) fail_msg("status %d: %s", (int)status, err.message);
        if (status != AG_OK) assert_says(err, "f.safetensors");
    }
}

#define ONE(dtype, shape, offsets) "{'a':{'dtype':'" dtype "','shape':" shape ",'data_offsets':" offsets "}}"

static void test_hostile(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t n;
        const char *says;
    } rows[] = {
        {ONE("F32", "[2]", "[0,8]"), 4, "outside"},
        {ONE("F32", "[2]", "[0,4]"), 4, "8 bytes by its shape"},
        {ONE("F32", "[2]", "[8,0]"), 8, "outside"},
        {ONE("F32", "[2]", "[-8,0]"), 8, "outside"},
        {ONE("F32", "[2]", "[0,8,8]"), 8, "data_offsets"},
        {ONE("F32", "[2]", "['0',8]"), 8, "outside"},
        {ONE("F32", "[2]", "[0,9223372036854775807]"), 8, "outside"},
        {ONE("F32", "[4611686018427387904,4]", "[0,0]"), 0, "shape"},
        {ONE("F32", "[9223372036854775807]", "[0,0]"), 0, "shape"},
        {ONE("F32", "[4294967296,4294967296]", "[0,0]"), 0, "shape"},
        {ONE("F32", "[4294967296,4294967296,0]", "[0,0]"), 0, "shape"},
        {ONE("F32", "[-2]", "[0,8]"), 8, "shape"},
        {ONE("F32", "[2.0]", "[0,8]"), 8, "shape"},
        {ONE("F32", "[[2]]", "[0,8]"), 8, "shape"},
        {ONE("F32", "2", "[0,8]"), 8, "shape"},
        {ONE("F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]"), 8, "shape"},
        {ONE("F33", "[2]", "[0,8]"), 8, "unknown type 'F33'"},
        {"{'a':{'shape':[2],'data_offsets':[0,8]}}", 8, "dtype"},
        {"{'a':[]}", 0, "dtype"},
        {"[]", 0, "object"},
        {"{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]},'b':{'dtype':'F32','shape':[1],'data_offsets'"
         ":[4,8]}}",
         8, "overlap"},
        {"{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]},'b':{'dtype':'F32','shape':[2],'data_offsets'"
         ":[0,8]}}",
         8, "overlap"},
        {"{'a':{'dtype':'F32','shape':[1],'data_offsets':[0,4]},'b':{'dtype':'F32','shape':[1],'data_offsets'"
         ":[8,12]}}",
         12, "before tensor 'b'"},
        {ONE("F32", "[1]", "[0,4]"), 9, "last 5 bytes"},
        {"{'a':{'dtype':'F32','shape':[1],'data_offsets':[0,4]},'a':{'dtype':'F32','shape':[1],'data_offsets'"
         ":[4,8]}}",
         8, "f.safetensors:1:"},
        {"{'a':1} x", 0, "f.safetensors:1:"},
        {"{'a\\u0000b':1}", 0, "f.safetensors:1:"},
    };
    bytes b;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ag_error err = {0};
        make_file(&b, rows[i].header, rows[i].n);
        if (read_bytes(b.data, b.len, &err) != AG_ERR_INPUT) fail_msg("accepted: %s", rows[i].header);
        assert_says(err, rows[i].says);
        assert_says(err, "f.safetensors");
    }
    static const uint64_t lengths[] = {UINT64_MAX, (uint64_t)1 << 63, ((uint64_t)1 << 63) - 1, UINT64_MAX - 7,
                                       1000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        b.len = 0;
        put_le(&b, lengths[i], 8);
        put(&b, "{}", 2);
        assert_int_equal(read_bytes(b.data, b.len, NULL), AG_ERR_INPUT);
    }
    /* Nesting to no end. */
    b.len = 0;
    put_le(&b, 60000, 8);
    for (int i = 0; i < 60000; i++) put(&b, "[", 1);
    assert_int_equal(read_bytes(b.data, b.len, NULL), AG_ERR_INPUT);
    /* F64 has its place checked and is known not to be readable. */
    make_file(&b, ONE("F64", "[1]", "[0,8]"), 8);
    assert_ok(read_bytes(b.data, b.len, NULL));
}

static ag_status read_good(void *context, ag_error *err)
{
    bytes *b = context;
    return read_bytes(b->data, b->len, err);
}

static void test_memory(void **state)
{
    (void)state;
    bytes b;
    make_file(&b, good, 22);
    sweep_memory(read_good, &b);
}

/* --- writing
 * ---------------------------------------------------------------------------------------------- */

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        uint16_t half;
        float value;
    } halves[] = {{0x0000, 0.0f},     {0x3c00, 1.0f},      {0xc000, -2.0f},
                  {0x7bff, 65504.0f}, {0x0001, 0x1p-24f},  {0x03ff, 0x3ffp-24f},
                  {0x0400, 0x1p-14f}, {0x8001, -0x1p-24f}, {0x3555, 0x1.554p-2f}};
    for (size_t i = 0; i < sizeof halves / sizeof *halves; i++) {
        assert_true(ag_half_to_float(halves[i].half) == halves[i].value);
    }
    assert_true(isinf(ag_half_to_float(0x7c00)) && ag_half_to_float(0xfc00) < 0 &&
                isnan(ag_half_to_float(0x7e01)));
    assert_true(signbit(ag_half_to_float(0x8000)));
    assert_int_equal(ag_float_to_bf16(1.0f), 0x3f80);
    assert_int_equal(ag_float_to_bf16(ag_float_of_bits(0x3f808000)), 0x3f80); /* tie to even, down */
    assert_int_equal(ag_float_to_bf16(ag_float_of_bits(0x3f818000)), 0x3f82); /* tie to even, up */
    assert_int_equal(ag_float_to_bf16(ag_float_of_bits(0x3f808001)), 0x3f81);
    assert_int_equal(ag_float_to_bf16(ag_float_of_bits(0x7f7fffff)), 0x7f80); /* up to infinity */
    assert_int_equal(ag_float_to_bf16(-INFINITY), 0xff80);
    assert_int_equal(ag_float_to_bf16(ag_float_of_bits(0x7f800001)) & 0x7fc0, 0x7fc0); /* NaN stays NaN */
}

static ag_status write_some(void *context, ag_error *err)
{
    const char *path = context;
    ag_weights_out *out = NULL;
    float values[12];
    for (int i = 0; i < 12; i++) values[i] = (float)i * 1.37f - 5;
    ag_status status = ag_weights_create(&out, path, err);
    if (status != AG_OK) return status;
    if ((status = ag_weights_declare(out, "a", 3, 4, AG_WEIGHTS_F32, err)) != AG_OK) goto fail;
    if ((status = ag_weights_declare(out, "empty", 0, 0, AG_WEIGHTS_F32, err)) != AG_OK) goto fail;
    if ((status = ag_weights_declare(out, "b \"q\"", 0, 7, AG_WEIGHTS_BF16, err)) != AG_OK) goto fail;
    if ((status = ag_weights_write(out, values, 5, err)) != AG_OK) goto fail;
    if ((status = ag_weights_write(out, values + 5, 7, err)) != AG_OK) goto fail;
    if ((status = ag_weights_write(out, values, 7, err)) != AG_OK) goto fail;
    return ag_weights_finish(out, err);
fail:
    ag_weights_abort(out);
    return status;
}

static void test_round_trip(void **state)
{
    (void)state;
    char dir[64], *data;
    char *path = ag_path_join(test_folder(dir), "x.safetensors");
    ag_weights *w;
    ag_error err = {0};
    float got[12];
    size_t len;
    int64_t rows, cols;
    assert_ok(write_some(path, &err));
    assert_ok(ag_file_read(path, 0, &data, &len, &err));
    assert_int_equal((8 + ag_le64((unsigned char *)data)) % 8, 0);
    ag_free(data);
    if (ag_weights_open(&w, path, NULL, &err) != AG_OK) fail_msg("%s", err.message);
    assert_int_equal(ag_weights_count(w), 3);
    assert_string_equal(ag_weights_name(w, 0), "a");
    assert_true(ag_weights_find(w, "b \"q\"", &rows, &cols) && rows == 1 && cols == 7);
    assert_false(ag_weights_find(w, "b", NULL, NULL));
    assert_ok(ag_weights_read(w, "a", 3, 4, 1, 2, got, &err));
    for (int i = 0; i < 8; i++) assert_true(got[i] == (float)(i + 4) * 1.37f - 5);
    assert_ok(ag_weights_read(w, "b \"q\"", 1, 7, 0, 1, got, &err));
    for (int i = 0; i < 7; i++) {
        float value = (float)i * 1.37f - 5;
        assert_true(got[i] == ag_float_of_bits((uint32_t)ag_float_to_bf16(value) << 16));
    }
    assert_int_equal(ag_weights_read(w, "a", 4, 3, 0, 1, got, &err), AG_ERR_INPUT);
    assert_says(err, "'a' must be 4 x 3 but is 3 x 4");
    assert_int_equal(ag_weights_read(w, "z", 4, 3, 0, 1, got, &err), AG_ERR_INPUT);
    assert_says(err, "'z' is missing");
    assert_int_equal(ag_weights_read(w, "a", 3, 4, 2, 2, got, &err), AG_ERR_INTERNAL);
    assert_int_equal(ag_weights_tokenizer(w, &(ag_tokenizer *){NULL}, &err), AG_ERR_INPUT);
    ag_weights_close(w);
    sweep_memory(write_some, path);
    ag_free(path);
    assert_ok(ag_dir_remove(dir, NULL));
}

static void test_misuse(void **state)
{
    (void)state;
    char dir[64];
    char *path = ag_path_join(test_folder(dir), "x.safetensors");
    ag_weights_out *out;
    ag_error err = {0};
    float v[4] = {0};
    assert_ok(ag_weights_create(&out, path, &err));
    assert_ok(ag_weights_declare(out, "a", 0, 3, AG_WEIGHTS_BF16, &err));
    assert_int_equal(ag_weights_declare(out, "a", 0, 3, AG_WEIGHTS_BF16, &err), AG_ERR_INTERNAL);
    assert_int_equal(ag_weights_declare(out, "f", 0, 3, AG_WEIGHTS_F32, &err), AG_ERR_INTERNAL);
    assert_int_equal(ag_weights_declare(out, "g", INT64_MAX, INT64_MAX, AG_WEIGHTS_BF16, &err),
                     AG_ERR_INTERNAL);
    assert_int_equal(ag_weights_declare(out, "g", -1, 2, AG_WEIGHTS_BF16, &err), AG_ERR_INTERNAL);
    assert_int_equal(ag_weights_write(out, v, 4, &err), AG_ERR_INTERNAL);
    assert_ok(ag_weights_write(out, v, 2, &err));
    assert_int_equal(ag_weights_declare(out, "h", 0, 3, AG_WEIGHTS_BF16, &err), AG_ERR_INTERNAL);
    assert_int_equal(ag_weights_finish(out, &err), AG_ERR_INTERNAL); /* one float short */
    assert_says(err, "'a' was declared but not written");
    assert_false(ag_path_exists(path));
    assert_ok(ag_weights_create(&out, path, &err));
    assert_ok(ag_weights_finish(out, &err)); /* no tensors */
    assert_true(ag_path_exists(path));
    assert_int_equal(ag_weights_create(&out, "/nowhere/at/all", &err), AG_ERR_IO);
    ag_weights_abort(NULL);
    ag_free(path);
    assert_ok(ag_dir_remove(dir, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),       cmocka_unit_test(test_truncated), cmocka_unit_test(test_flipped),
        cmocka_unit_test(test_hostile),    cmocka_unit_test(test_memory),    cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_misuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
