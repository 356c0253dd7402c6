/* GGUF: damaged and hostile files end in one message, blocks dequantise to the numbers of the gguf package,
 * and models and tokenizers come out in Hugging Face terms.
 */
#include "unit/model/model_help.h"

#include <math.h>

#include "model/gguf.h"
#include "model/weights.h"

/* --- a file by hand
 * --------------------------------------------------------------------------------------- */

static void put_text(bytes *b, const char *s)
{
    put_le(b, strlen(s), 8);
    put(b, s, strlen(s));
}

static void put_header(bytes *b, uint32_t version, uint64_t tensors, uint64_t keys)
{
    b->len = 0;
    put(b, "GGUF", 4);
    put_le(b, version, 4);
    put_le(b, tensors, 8);
    put_le(b, keys, 8);
}

static void put_u32(bytes *b, const char *key, uint32_t x)
{
    put_text(b, key);
    put_le(b, AG_GGUF_U32, 4);
    put_le(b, x, 4);
}

static void put_f32(bytes *b, const char *key, float x)
{
    put_text(b, key);
    put_le(b, AG_GGUF_F32, 4);
    put_le(b, ag_bits_of_float(x), 4);
}

static void put_string(bytes *b, const char *key, const char *value)
{
    put_text(b, key);
    put_le(b, AG_GGUF_STRING, 4);
    put_text(b, value);
}

static void put_array(bytes *b, const char *key, uint32_t item, uint64_t count)
{
    put_text(b, key);
    put_le(b, AG_GGUF_ARRAY, 4);
    put_le(b, item, 4);
    put_le(b, count, 8);
}

static void put_tensor(bytes *b, const char *name, uint64_t rows, uint64_t cols, uint32_t type,
                       uint64_t offset)
{
    put_text(b, name);
    put_le(b, 2, 4);
    put_le(b, cols, 8);
    put_le(b, rows, 8);
    put_le(b, type, 4);
    put_le(b, offset, 8);
}

static void put_data(bytes *b, size_t n)
{
    while (b->len % 32 != 0) put_le(b, 0, 1);
    for (size_t i = 0; i < n; i++) put_le(b, i * 91 + 7, 1);
}

/* Keys of every type, three tensors. */
static void make_good(bytes *b)
{
    put_header(b, 3, 3, 8);
    put_string(b, "general.architecture", "llama");
    put_u32(b, "n", 7);
    put_f32(b, "x", 0.25f);
    put_text(b, "yes");
    put_le(b, AG_GGUF_BOOL, 4);
    put_le(b, 1, 1);
    put_array(b, "texts", AG_GGUF_STRING, 2);
    put_text(b, "one");
    put_text(b, "");
    put_array(b, "list", AG_GGUF_I32, 2);
    put_le(b, (uint32_t)-1, 4);
    put_le(b, 3, 4);
    put_text(b, "minus");
    put_le(b, AG_GGUF_I64, 4);
    put_le(b, (uint64_t)-9, 8);
    put_text(b, "double");
    put_le(b, AG_GGUF_F64, 4);
    put_le(b, 0x3ff8000000000000, 8);
    put_tensor(b, "a", 2, 4, 0, 0);
    put_tensor(b, "q", 2, 32, 8, 64);
    put_tensor(b, "h", 1, 3, 1, 32);
    put_data(b, 64 + 68);
}

/* Reads from a block of exactly that size, with all keys and weights. */
static ag_status read_bytes(const unsigned char *data, size_t n, ag_error *err)
{
    ag_tensors table = {0};
    ag_gguf gguf;
    ag_config config;
    ag_tokenizer *tokenizer = NULL;
    unsigned char *copy = exact(data, n);
    ag_status status = ag_gguf_read(&gguf, &table, copy, n, "f.gguf", err);
    for (size_t i = 0; i < table.count && status == AG_OK; i++) {
        const ag_tensor *t = &table.items[i];
        float *out = malloc((size_t)(t->rows * t->cols) * sizeof *out + 1);
        if (t->rows * t->cols > 0) ag_stored_to_float(t->type, t->data, t->rows * t->cols, out);
        free(out);
    }
    if (status == AG_OK) {
        status = ag_gguf_model(&gguf, &table, &config, err);
        if (status == AG_OK) status = ag_gguf_tokenizer(&gguf, &tokenizer, err);
        if (status == AG_OK) status = ag_tensors_sort(&table, err);
        ag_gguf_free(&gguf);
    }
    ag_tokenizer_free(tokenizer);
    ag_tensors_free(&table);
    free(copy);
    return status;
}

/* The container only. */
static ag_status read_container(const unsigned char *data, size_t n, ag_error *err)
{
    ag_tensors table = {0};
    ag_gguf gguf;
    unsigned char *copy = exact(data, n);
    ag_status status = ag_gguf_read(&gguf, &table, copy, n, "f.gguf", err);
    if (status == AG_OK) ag_gguf_free(&gguf);
    ag_tensors_free(&table);
    free(copy);
    return status;
}

static void test_values(void **state)
{
    (void)state;
    bytes b;
    ag_tensors table = {0};
    ag_gguf g;
    ag_error err = {0};
    ag_arena arena = {0};
    int64_t n = -1;
    double x = -1;
    bool yes = false;
    const char *text = NULL;
    const char *const *texts;
    int count;
    make_good(&b);
    if (ag_gguf_read(&g, &table, b.data, b.len, "f.gguf", &err) != AG_OK) fail_msg("%s", err.message);
    assert_int_equal(g.count, 8);
    assert_ok(ag_gguf_int(&g, "n", 0, 7, &n, &err));
    assert_int_equal(n, 7);
    assert_ok(ag_gguf_int(&g, "minus", -10, 7, &n, &err));
    assert_int_equal(n, -9);
    assert_ok(ag_gguf_int(&g, "absent", 0, 7, &n, &err));
    assert_int_equal(n, -9);
    assert_int_equal(ag_gguf_int(&g, "n", 8, 9, &n, &err), AG_ERR_INPUT);
    assert_says(err, "f.gguf: key 'n' must be a whole number from 8 to 9");
    assert_int_equal(ag_gguf_int(&g, "x", 0, 9, &n, &err), AG_ERR_INPUT);
    assert_ok(ag_gguf_number(&g, "x", &x, &err));
    assert_true(x == 0.25);
    assert_ok(ag_gguf_number(&g, "double", &x, &err));
    assert_true(x == 1.5);
    assert_int_equal(ag_gguf_number(&g, "texts", &x, &err), AG_ERR_INPUT);
    assert_ok(ag_gguf_bool(&g, "yes", &yes, &err));
    assert_true(yes);
    assert_int_equal(ag_gguf_bool(&g, "n", &yes, &err), AG_ERR_INPUT);
    assert_ok(ag_gguf_string(&g, "general.architecture", &arena, &text, &err));
    assert_string_equal(text, "llama");
    assert_int_equal(ag_gguf_string(&g, "n", &arena, &text, &err), AG_ERR_INPUT);
    assert_ok(ag_gguf_strings(&g, "texts", &arena, &texts, &count, &err));
    assert_int_equal(count, 2);
    assert_string_equal(texts[0], "one");
    assert_string_equal(texts[1], "");
    assert_int_equal(ag_gguf_strings(&g, "list", &arena, &texts, &count, &err), AG_ERR_INPUT);
    assert_ok(ag_tensors_sort(&table, &err));
    const ag_tensor *q = ag_tensors_find(&table, "q");
    assert_true(q && q->rows == 2 && q->cols == 32 && q->bytes == 68 && q->type == AG_STORED_Q8_0);
    ag_arena_free(&arena);
    ag_gguf_free(&g);
    ag_tensors_free(&table);
}

static void test_truncated(void **state)
{
    (void)state;
    bytes b;
    make_good(&b);
    for (size_t n = 0; n < b.len; n++) {
        ag_error err = {0};
        if (read_container(b.data, n, &err) != AG_ERR_INPUT) fail_msg("accepted when cut at %zu", n);
        assert_says(err, "f.gguf");
    }
    assert_ok(read_container(b.data, b.len, NULL));
}

/* A whole model with its tokenizer, cut and damaged; the bytes of weights are left alone, for any are
 * valid. */
static void test_damaged_model(void **state)
{
    (void)state;
    char *data;
    size_t len, header = 0;
    uint32_t seed = 99;
    ag_error err = {0};
    assert_ok(ag_file_read(GOLDEN "/llama-mixed.gguf", 0, &data, &len, &err));
    if (read_bytes((unsigned char *)data, len, &err) != AG_OK) fail_msg("%s", err.message);
    while (header + 4 < len && memcmp(data + header, "token_embd.weight", 17) != 0) header++;
    header += 3000; /* behind the list of tensors, or nearly */
    if (header > len) header = len;
    for (size_t n = 0; n < len; n += n < 600 ? 1 : 29) {
        if (read_bytes((unsigned char *)data, n, &err) != AG_ERR_INPUT)
            fail_msg("accepted when cut at %zu", n);
        assert_says(err, "f.gguf");
    }
    for (int i = 0; i < 6000; i++) {
        unsigned char *copy = exact(data, len);
        int flips = 1 + (int)(noise(&seed) % 3);
        for (int k = 0; k < flips; k++)
            copy[noise(&seed) % header] ^= (unsigned char)(1 + noise(&seed) % 255);
        memset(&err, 0, sizeof err);
        ag_status status = read_bytes(copy, len, &err);
        if (status != AG_OK && status != AG_ERR_INPUT && status != AG_ERR_UNSUPPORTED) {
            fail_msg("status %d: %s", (int)status, err.message);
        }
        if (status != AG_OK) assert_says(err, "f.gguf");
        free(copy);
    }
    ag_free(data);
}

static void refuse(const bytes *b, ag_status expected, const char *says)
{
    ag_error err = {0};
    ag_status status = read_container(b->data, b->len, &err);
    if (status != expected)
        fail_msg("%d in place of %d (%s): %s", (int)status, (int)expected, says, err.message);
    assert_says(err, says);
    assert_says(err, "f.gguf");
}

static void test_hostile_keys(void **state)
{
    (void)state;
    static const uint64_t huge[] = {UINT64_MAX, (uint64_t)1 << 63, (uint64_t)1 << 61, (uint64_t)1 << 32, 100};
    bytes b;
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        put_header(&b, 3, huge[i], 0);
        refuse(&b, AG_ERR_INPUT, "more than fit");
        put_header(&b, 3, 0, huge[i]);
        refuse(&b, AG_ERR_INPUT, "more than fit");
        for (uint32_t item = 0; item < AG_GGUF_TYPES; item++) {
            put_header(&b, 3, 0, 1);
            put_array(&b, "k", item, huge[i]);
            put_data(&b, 64);
            refuse(&b, AG_ERR_INPUT, "'k'");
        }
        put_header(&b, 3, 0, 1);
        put_array(&b, "k", AG_GGUF_STRING, 1);
        put_le(&b, huge[i], 8);
        refuse(&b, AG_ERR_INPUT, "'k'");
        put_header(&b, 3, 0, 1);
        put_text(&b, "k");
        put_le(&b, AG_GGUF_STRING, 4);
        put_le(&b, huge[i], 8);
        put_data(&b, 64);
        refuse(&b, AG_ERR_INPUT, "text");
        put_header(&b, 3, 0, 1);
        put_le(&b, huge[i], 8);
        put_data(&b, 64);
        refuse(&b, AG_ERR_INPUT, "key");
    }
    put_header(&b, 3, 0, 1); /* lists in lists in lists */
    put_array(&b, "deep", AG_GGUF_ARRAY, 1);
    for (int i = 0; i < 100; i++) {
        put_le(&b, AG_GGUF_ARRAY, 4);
        put_le(&b, 1, 8);
    }
    refuse(&b, AG_ERR_INPUT, "'deep'");
    put_header(&b, 3, 0, 1);
    put_text(&b, "odd");
    put_le(&b, 13, 4);
    put_data(&b, 8);
    refuse(&b, AG_ERR_INPUT, "'odd' is of the unknown type 13");
    put_header(&b, 3, 0, 2);
    put_u32(&b, "same", 1);
    put_u32(&b, "same", 1);
    refuse(&b, AG_ERR_INPUT, "'same' is there twice");
    put_header(&b, 3, 0, 1);
    put_u32(&b, "", 1);
    refuse(&b, AG_ERR_INPUT, "empty name");
    put_header(&b, 1, 0, 0);
    refuse(&b, AG_ERR_UNSUPPORTED, "version 1");
    put_header(&b, 0x03000000, 0, 0);
    refuse(&b, AG_ERR_UNSUPPORTED, "big-endian");
    put_header(&b, 2, 0, 0);
    assert_ok(read_container(b.data, b.len, NULL));
}

static void one_tensor(bytes *b, uint64_t rows, uint64_t cols, uint32_t type, uint64_t offset)
{
    put_header(b, 3, 1, 0);
    put_tensor(b, "t", rows, cols, type, offset);
    put_data(b, 64);
}

static void test_hostile_tensors(void **state)
{
    (void)state;
    bytes b;
    one_tensor(&b, 4, 4, 0, 0);
    assert_ok(read_container(b.data, b.len, NULL));
    one_tensor(&b, 4, 4, 0, 32);
    refuse(&b, AG_ERR_INPUT, "'t' lie outside");
    one_tensor(&b, 1, 4, 0, 16);
    refuse(&b, AG_ERR_INPUT, "multiple of 32");
    one_tensor(&b, 1, 4, 0, UINT64_MAX - 31);
    refuse(&b, AG_ERR_INPUT, "outside");
    one_tensor(&b, 1, 4, 0, (uint64_t)1 << 63);
    refuse(&b, AG_ERR_INPUT, "outside");
    one_tensor(&b, (uint64_t)1 << 62, 4, 0, 0);
    refuse(&b, AG_ERR_INPUT, "too large");
    one_tensor(&b, UINT64_MAX, 1, 0, 0);
    refuse(&b, AG_ERR_INPUT, "too large");
    one_tensor(&b, 1, (uint64_t)1 << 63, 0, 0);
    refuse(&b, AG_ERR_INPUT, "too large");
    one_tensor(&b, (uint64_t)1 << 33, (uint64_t)1 << 31, 0, 0);
    refuse(&b, AG_ERR_INPUT, "too large");
    one_tensor(&b, 1, 33, 8, 0);
    refuse(&b, AG_ERR_INPUT, "multiple of its blocks");
    one_tensor(&b, 1, 256, 14, 0);
    refuse(&b, AG_ERR_UNSUPPORTED, "stored as Q6_K");
    one_tensor(&b, 1, 32, 4, 0);
    refuse(&b, AG_ERR_INPUT, "unknown type 4");
    one_tensor(&b, 1, 32, 4000000000u, 0);
    refuse(&b, AG_ERR_INPUT, "unknown type 4000000000");
    put_header(&b, 3, 2, 0);
    put_tensor(&b, "t", 2, 4, 0, 0);
    put_tensor(&b, "u", 2, 5, 0, 0);
    put_data(&b, 128);
    refuse(&b, AG_ERR_INPUT, "overlap");
    put_header(&b, 3, 2, 0);
    put_tensor(&b, "t", 3, 4, 0, 0);
    put_tensor(&b, "u", 2, 4, 0, 32);
    put_data(&b, 128);
    refuse(&b, AG_ERR_INPUT, "overlap");
    put_header(&b, 3, 1, 0);
    put_text(&b, "t");
    put_le(&b, 5, 4);
    put_data(&b, 128);
    refuse(&b, AG_ERR_INPUT, "5 dimensions");
    put_header(&b, 3, 1, 1);
    put_u32(&b, "general.alignment", 0);
    put_tensor(&b, "t", 1, 4, 0, 0);
    put_data(&b, 64);
    refuse(&b, AG_ERR_INPUT, "general.alignment");
}

/* The same name twice is only seen after sorting. */
static void test_same_tensor(void **state)
{
    (void)state;
    bytes b;
    ag_tensors table = {0};
    ag_gguf g;
    ag_error err = {0};
    put_header(&b, 3, 2, 0);
    put_tensor(&b, "t", 1, 4, 0, 0);
    put_tensor(&b, "t", 1, 4, 0, 32);
    put_data(&b, 64);
    assert_ok(ag_gguf_read(&g, &table, b.data, b.len, "f.gguf", &err));
    assert_int_equal(ag_tensors_sort(&table, &err), AG_ERR_INPUT);
    assert_says(err, "'t' is there twice");
    ag_gguf_free(&g);
    ag_tensors_free(&table);
}

/* --- models
 * ----------------------------------------------------------------------------------------------- */

/* The smallest model that passes ag_gguf_model, but for one float key and one u32 key given here. */
static ag_status model_with(const char *u32_key, uint32_t u32, const char *f32_key, float f32,
                            const char *arch, ag_config *config, ag_error *err)
{
    static const struct {
        const char *key;
        uint32_t value;
    } keys[] = {{"llama.embedding_length", 32},    {"llama.block_count", 1},
                {"llama.feed_forward_length", 32}, {"llama.context_length", 64},
                {"llama.attention.head_count", 2}, {"llama.attention.head_count_kv", 1}};
    bytes b;
    ag_tensors table = {0};
    ag_gguf g;
    size_t n = sizeof keys / sizeof *keys;
    const char *eps = "llama.attention.layer_norm_rms_epsilon";
    bool has_u32 = !u32_key, has_f32 = !f32_key;
    for (size_t i = 0; i < n && u32_key; i++) has_u32 = has_u32 || strcmp(u32_key, keys[i].key) == 0;
    if (f32_key && strcmp(f32_key, eps) == 0) has_f32 = true;
    put_header(&b, 3, 1, n + 2 + !has_u32 + !has_f32);
    put_string(&b, "general.architecture", arch);
    for (size_t i = 0; i < n; i++) {
        bool this = u32_key && strcmp(u32_key, keys[i].key) == 0;
        put_u32(&b, keys[i].key, this ? u32 : keys[i].value);
    }
    put_f32(&b, eps, f32_key && strcmp(f32_key, eps) == 0 ? f32 : 1e-5f);
    if (!has_u32) put_u32(&b, u32_key, u32);
    if (!has_f32) put_f32(&b, f32_key, f32);
    put_tensor(&b, "token_embd.weight", 4, 32, 0, 0);
    put_data(&b, 512);
    ag_status status = ag_gguf_read(&g, &table, b.data, b.len, "f.gguf", err);
    if (status == AG_OK) {
        status = ag_gguf_model(&g, &table, config, err);
        ag_gguf_free(&g);
    }
    ag_tensors_free(&table);
    return status;
}

static void test_model_keys(void **state)
{
    (void)state;
    static const struct {
        const char *u32_key;
        uint32_t u32;
        const char *f32_key;
        float f32;
        ag_status status;
    } rows[] = {
        {NULL, 0, NULL, 0, AG_OK},
        {"llama.attention.head_count", 0, NULL, 0, AG_ERR_INPUT},
        {"llama.attention.head_count", 5, NULL, 0, AG_ERR_INPUT},
        {"llama.block_count", 4000000000u, NULL, 0, AG_ERR_INPUT},
        {"llama.block_count", 1025, NULL, 0, AG_ERR_INPUT},
        {"llama.embedding_length", 1 << 30, NULL, 0, AG_ERR_INPUT},
        {"llama.attention.key_length", 15, NULL, 0, AG_ERR_INPUT},
        {"llama.attention.value_length", 8, NULL, 0, AG_ERR_UNSUPPORTED},
        {"llama.rope.dimension_count", 8, NULL, 0, AG_ERR_UNSUPPORTED},
        {"llama.expert_count", 8, NULL, 0, AG_ERR_UNSUPPORTED},
        {"llama.attention.sliding_window", 8, NULL, 0, AG_ERR_UNSUPPORTED},
        {"tokenizer.ggml.eos_token_id", 4, NULL, 0, AG_ERR_INPUT},
        {"tokenizer.ggml.eos_token_id", 3, NULL, 0, AG_OK},
        {NULL, 0, "llama.rope.freq_base", NAN, AG_ERR_INPUT},
        {NULL, 0, "llama.rope.freq_base", -1, AG_ERR_INPUT},
        {NULL, 0, "llama.rope.freq_base", INFINITY, AG_ERR_INPUT},
        {NULL, 0, "llama.rope.scale_linear", 2, AG_ERR_UNSUPPORTED},
        {NULL, 0, "llama.attention.layer_norm_rms_epsilon", NAN, AG_ERR_INPUT},
        {NULL, 0, "llama.attention.layer_norm_rms_epsilon", -1, AG_ERR_INPUT},
        {NULL, 0, "llama.embedding_length", 32, AG_ERR_INPUT}, /* twice */
    };
    ag_config c;
    ag_error err = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ag_status status = model_with(rows[i].u32_key, rows[i].u32, rows[i].f32_key, rows[i].f32, "llama", &c,
                                      &err);
        if (status != rows[i].status) fail_msg("row %zu: %d %s", i, (int)status, err.message);
        if (status != AG_OK) assert_says(err, "f.gguf");
    }
    assert_ok(model_with(NULL, 0, NULL, 0, "llama", &c, &err));
    assert_true(c.tied && c.vocab == 4 && c.head_dim == 16 && c.norm_eps == 1e-5 && c.rope_theta == 10000);
    assert_int_equal(model_with(NULL, 0, NULL, 0, "gpt2", &c, &err), AG_ERR_UNSUPPORTED);
    assert_says(err, "'gpt2'");
}

static ag_status read_model(void *context, ag_error *err)
{
    bytes *b = context;
    return read_bytes(b->data, b->len, err);
}

static void test_memory(void **state)
{
    (void)state;
    /* The container and the values; the allocations of a vocabulary are too many to fail each, and all
     * alike. */
    static bytes b;
    make_good(&b);
    for (long n = 1; n < 40; n++) {
        ag_error err = {0};
        ag_mem_fail_at(n, true);
        ag_status status = read_container(b.data, b.len, &err);
        ag_mem_fail_at(0, false);
        assert_true(status == AG_OK || status == AG_ERR_MEMORY);
    }
    char *data;
    size_t len;
    assert_ok(ag_file_read(GOLDEN "/qwen2-q4.gguf", 0, &data, &len, NULL));
    b.len = 0;
    put(&b, data, len);
    ag_free(data);
    for (long n = 1;; n += 1 + n / 40) {
        ag_error err = {0};
        ag_mem_fail_at(n, true);
        ag_status status = read_model(&b, &err);
        if (ag_mem_fail_at(0, false) < n) {
            assert_int_equal(status, AG_OK);
            break;
        }
        if (status != AG_ERR_MEMORY) fail_msg("allocation %ld: %d %s", n, (int)status, err.message);
    }
}

static void compare_rows(const char *name)
{
    char path[512];
    ag_weights *w;
    ag_config c;
    ag_error err = {0};
    const char *tensor, *key;
    json_t *rows, *values;
    snprintf(path, sizeof path, GOLDEN "/%s.golden.json", name);
    json_t *golden = load_golden(path);
    snprintf(path, sizeof path, GOLDEN "/%s.gguf", name);
    if (ag_weights_open(&w, path, &c, &err) != AG_OK) fail_msg("%s", err.message);
    json_object_foreach(json_object_get(golden, "rows"), tensor, rows)
    {
        json_t *shape = json_object_get(rows, "shape");
        size_t dimensions = json_array_size(shape);
        int64_t n = dimensions == 2 ? json_integer_value(json_array_get(shape, 0)) : 1;
        int64_t cols = json_integer_value(json_array_get(shape, dimensions - 1));
        float *got = malloc((size_t)(n * cols) * sizeof *got);
        if (ag_weights_read(w, tensor, n, cols, 0, n, got, &err) != AG_OK) fail_msg("%s", err.message);
        json_object_foreach(rows, key, values)
        {
            if (strcmp(key, "shape") == 0) continue;
            for (int64_t i = 0; i < cols; i++) {
                float want = (float)json_real_value(json_array_get(values, (size_t)i));
                float have = got[atoi(key) * cols + i];
                if (want != have) fail_msg("%s %s row %s: %g, not %g", name, tensor, key, have, want);
            }
        }
        free(got);
    }
    ag_weights_close(w);
    json_decref(golden);
}

static void test_golden(void **state)
{
    (void)state;
    compare_rows("llama-mixed");
    compare_rows("qwen2-q4");
    compare_rows("qwen3-f16");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),          cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_damaged_model),   cmocka_unit_test(test_hostile_keys),
        cmocka_unit_test(test_hostile_tensors), cmocka_unit_test(test_same_tensor),
        cmocka_unit_test(test_model_keys),      cmocka_unit_test(test_memory),
        cmocka_unit_test(test_golden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
