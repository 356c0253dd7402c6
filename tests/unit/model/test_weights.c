/* Opening models: the golden folders and files, what is checked against the config, shards, names,
 * tokenizers. */
#include "unit/model/model_help.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/pullable.h"
#include "model/weights.h"

static void open_golden(const char *name, ag_weights **w, ag_config *c)
{
    char path[512];
    ag_error err = {0};
    snprintf(path, sizeof path, GOLDEN "/%s", name);
    if (ag_weights_open(w, path, c, &err) != AG_OK) fail_msg("%s", err.message);
}

/* Copies a file of the golden models into dir. */
static void copy_golden(const char *from, const char *dir, const char *name)
{
    char path[512], *data, *to = ag_path_join(dir, name);
    size_t len;
    snprintf(path, sizeof path, GOLDEN "/%s", from);
    assert_ok(ag_file_read(path, 0, &data, &len, NULL));
    put_file(to, data, len);
    ag_free(data);
    ag_free(to);
}

static void write_text(const char *dir, const char *name, const char *text)
{
    char *to = ag_path_join(dir, name);
    put_file(to, text, strlen(text));
    ag_free(to);
}

static void test_rows(void **state)
{
    (void)state;
    static const char *const names[] = {"llama-tied", "llama3-sharded", "qwen2", "qwen3"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        ag_weights *w;
        ag_config c;
        ag_error err = {0};
        char path[512];
        const char *tensor, *key;
        json_t *rows, *values;
        open_golden(names[k], &w, &c);
        snprintf(path, sizeof path, GOLDEN "/%s/golden.json", names[k]);
        json_t *golden = load_golden(path);
        json_object_foreach(json_object_get(golden, "rows"), tensor, rows)
        {
            json_t *shape = json_object_get(rows, "shape");
            size_t dimensions = json_array_size(shape);
            int64_t n = dimensions == 2 ? json_integer_value(json_array_get(shape, 0)) : 1;
            int64_t cols = json_integer_value(json_array_get(shape, dimensions - 1));
            float *got = malloc((size_t)cols * sizeof *got);
            json_object_foreach(rows, key, values)
            {
                if (strcmp(key, "shape") == 0) continue;
                assert_ok(ag_weights_read(w, tensor, n, cols, atoi(key), 1, got, &err));
                for (int64_t i = 0; i < cols; i++) {
                    assert_true(got[i] == (float)json_real_value(json_array_get(values, (size_t)i)));
                }
            }
            free(got);
        }
        json_decref(golden);
        ag_weights_close(w);
    }
}

/* The tensors add up to the number of weights, in HF folders and GGUF files alike. */
static void test_counts(void **state)
{
    (void)state;
    static const char *const names[] = {"llama-tied",       "llama3-sharded", "qwen2",         "qwen3",
                                        "llama-mixed.gguf", "qwen2-q4.gguf",  "qwen3-f16.gguf"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        ag_weights *w;
        ag_config c;
        long sum = 0;
        open_golden(names[k], &w, &c);
        for (int i = 0; i < ag_weights_count(w); i++) {
            int64_t rows, cols;
            if (strcmp(ag_weights_name(w, i), "rope_freqs.weight") == 0) continue;
            assert_true(ag_weights_find(w, ag_weights_name(w, i), &rows, &cols));
            sum += (long)(rows * cols);
        }
        assert_int_equal(sum, ag_config_parameters(&c));
        ag_weights_close(w);
    }
}

static void test_gguf_config(void **state)
{
    (void)state;
    ag_weights *w;
    ag_config c;
    open_golden("llama-mixed.gguf", &w, &c);
    assert_true(c.family == AG_FAMILY_LLAMA && c.tied && !c.qkv_bias && !c.qk_norm);
    assert_true(c.rope_llama3 && c.rope_factor == 8 && c.rope_low == 1 && fabs(c.rope_high - 4) < 1e-3);
    assert_int_equal(c.rope_original, 64);
    assert_true(c.bos == 0 && c.eos == 1 && c.pad == -1 && c.vocab == 266 && c.max_positions == 128);
    ag_weights_close(w);
    open_golden("qwen2-q4.gguf", &w, &c);
    assert_true(c.family == AG_FAMILY_QWEN2 && c.tied && c.qkv_bias && c.head_dim == 8 &&
                c.rope_theta == 1e6);
    ag_weights_close(w);
    open_golden("qwen3-f16.gguf", &w, &c);
    assert_true(c.family == AG_FAMILY_QWEN3 && !c.tied && c.qk_norm && c.head_dim == 16 && c.heads == 4);
    ag_weights_close(w);
}

static void test_gguf_tokenizer(void **state)
{
    (void)state;
    static const char *const names[] = {"llama-mixed.gguf", "qwen2-q4.gguf"};
    for (size_t k = 0; k < 2; k++) {
        ag_weights *w;
        ag_config c;
        ag_tokenizer *t;
        ag_tokens ids = {0};
        ag_str text = {0};
        ag_error err = {0};
        open_golden(names[k], &w, &c);
        if (ag_weights_tokenizer(w, &t, &err) != AG_OK) fail_msg("%s", err.message);
        ag_weights_close(w); /* the tokenizer stands by itself */
        assert_int_equal(ag_tokenizer_vocab(t), 266);
        assert_int_equal(ag_tokenizer_bos(t), 0);
        assert_int_equal(ag_tokenizer_eos(t), 1);
        assert_non_null(strstr(ag_tokenizer_chat_template(t), "content"));
        assert_ok(ag_tokenizer_encode(t, "in the<|end|>", 13, true, &ids, &err));
        assert_int_equal(ids.len, 3); /* in, " the", the end token */
        assert_int_equal(ids.ids[2], 1);
        assert_ok(ag_tokenizer_decode(t, ids.ids, ids.len, true, &text, &err));
        assert_string_equal(ag_str_text(&text), "in the");
        ag_str_free(&text);
        ag_tokens_free(&ids);
        ag_tokenizer_free(t);
    }
}

/* Opens dir, expecting a failure that says so. */
static void refuse(const char *dir, ag_status expected, const char *says)
{
    ag_weights *w;
    ag_config c = {.vocab = 4321};
    ag_error err = {0};
    ag_status status = ag_weights_open(&w, dir, &c, &err);
    if (status != expected)
        fail_msg("%d in place of %d (%s): %s", (int)status, (int)expected, says, err.message);
    assert_says(err, says);
    assert_null(w);
    assert_int_equal(c.vocab, 4321);
}

static void test_folders(void **state)
{
    (void)state;
    char dir[64], path[128];
    refuse("/nowhere/at/all", AG_ERR_IO, "/nowhere/at/all");
    test_folder(dir);
    refuse(dir, AG_ERR_INPUT, "neither a config.json nor a .gguf");
    copy_golden("llama-tied/config.json", dir, "config.json");
    refuse(dir, AG_ERR_INPUT, "no model.safetensors");
    write_text(dir, "model.safetensors", "");
    refuse(dir, AG_ERR_INPUT, "is empty");
    copy_golden("qwen3/model.safetensors", dir, "model.safetensors");
    refuse(dir, AG_ERR_INPUT, "must be 128 x 64 but is 64 x 32");
    copy_golden("llama-tied/model.safetensors", dir, "model.safetensors");
    copy_golden("qwen2/config.json", dir, "config.json");
    refuse(dir, AG_ERR_INPUT, "model.embed_tokens.weight");
    write_text(dir, "config.json", "{\"model_type\": ");
    refuse(dir, AG_ERR_INPUT, "config.json:1");
    /* A GGUF in a folder by itself, and under another name; two are one too many. */
    snprintf(path, sizeof path, "%s/config.json", dir);
    unlink(path);
    copy_golden("qwen2-q4.gguf", dir, "a.gguf");
    ag_weights *w;
    ag_config c;
    assert_ok(ag_weights_open(&w, dir, &c, NULL));
    ag_weights_close(w);
    copy_golden("qwen2-q4.gguf", dir, "plain");
    snprintf(path, sizeof path, "%s/plain", dir);
    assert_ok(ag_weights_open(&w, path, &c, NULL));
    ag_weights_close(w);
    copy_golden("qwen2-q4.gguf", dir, "b.gguf");
    refuse(dir, AG_ERR_INPUT, "several .gguf");
    write_text(dir, "plain", "hello");
    refuse(path, AG_ERR_INPUT, "a model is a folder");
    snprintf(path, sizeof path, "%s/pipe.gguf", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    refuse(path, AG_ERR_INPUT, "regular file");
    assert_ok(ag_dir_remove(dir, NULL));
}

/* A config that asks for other tensors than there are. */
static void test_misfits(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        int value;
        ag_status status;
        const char *says;
    } rows[] = {
        {"num_hidden_layers", 3, AG_ERR_INPUT, "'model.layers.2.input_layernorm.weight' is missing"},
        {"num_hidden_layers", 1, AG_ERR_UNSUPPORTED, "has no place"},
        {"vocab_size", 1048576, AG_ERR_INPUT, "must be 1048576 x 64"},
        {"hidden_size", 65536, AG_ERR_INPUT, "must be 128 x 65536"},
        {"intermediate_size", 1048576, AG_ERR_INPUT, "gate_proj"},
        {"num_key_value_heads", 4, AG_ERR_INPUT, "k_proj"},
        {"head_dim", 8, AG_ERR_INPUT, "q_proj"},
    };
    char dir[64], *path = ag_path_join(test_folder(dir), "config.json");
    copy_golden("llama-tied/model.safetensors", dir, "model.safetensors");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *json = load_golden(GOLDEN "/llama-tied/config.json");
        json_object_set_new(json, rows[i].key, json_integer(rows[i].value));
        assert_int_equal(json_dump_file(json, path, 0), 0);
        json_decref(json);
        refuse(dir, rows[i].status, rows[i].says);
    }
    json_t *json = load_golden(GOLDEN "/llama-tied/config.json");
    json_object_set_new(json, "tie_word_embeddings", json_false());
    assert_int_equal(json_dump_file(json, path, 0), 0);
    json_decref(json);
    refuse(dir, AG_ERR_INPUT, "'lm_head.weight' is missing");
    ag_free(path);
    assert_ok(ag_dir_remove(dir, NULL));
}

static void test_shards(void **state)
{
    (void)state;
    static const char *const files[] = {"config.json", "model-00001-of-00003.safetensors",
                                        "model-00002-of-00003.safetensors",
                                        "model-00003-of-00003.safetensors", "model.safetensors.index.json"};
    char dir[64], from[128], path[160];
    ag_weights *w;
    ag_config c;
    test_folder(dir);
    for (int i = 0; i < 5; i++) {
        snprintf(from, sizeof from, "llama3-sharded/%s", files[i]);
        copy_golden(from, dir, files[i]);
    }
    assert_ok(ag_weights_open(&w, dir, &c, NULL));
    assert_true(c.rope_llama3 && c.rope_original == 64 && !c.tied);
    ag_weights_close(w);
    const char *index = files[4];
    write_text(dir, index, "{}");
    refuse(dir, AG_ERR_INPUT, "weight_map");
    write_text(dir, index, "{\"weight_map\": {}}");
    refuse(dir, AG_ERR_INPUT, "weight_map");
    write_text(dir, index, "{\"weight_map\": {\"a\": 1}}");
    refuse(dir, AG_ERR_INPUT, "'a' must name a file");
    write_text(dir, index, "{\"weight_map\": {\"a\": \"../x.safetensors\"}}");
    refuse(dir, AG_ERR_INPUT, "'a' must name a file");
    write_text(dir, index, "{\"weight_map\": {\"a\": \"model.safetensors.index.json\"}}"); /* itself */
    refuse(dir, AG_ERR_INPUT, "not a safetensors file");
    write_text(dir, index, "{\"weight_map\": {\"a\": \"gone.safetensors\"}}");
    refuse(dir, AG_ERR_IO, "gone.safetensors");
    write_text(dir, index, "{\"weight_map\": {\"lm_head.weight\": \"model-00002-of-00003.safetensors\"}}");
    refuse(dir, AG_ERR_INPUT, "is not in 'model-00002-of-00003.safetensors'");
    snprintf(path, sizeof path, "%s/%s", dir, files[3]); /* the same tensors in two files */
    unlink(path);
    copy_golden("llama3-sharded/model-00001-of-00003.safetensors", dir, files[3]);
    copy_golden("llama3-sharded/model.safetensors.index.json", dir, index);
    refuse(dir, AG_ERR_INPUT, "is there twice");
    assert_ok(ag_dir_remove(dir, NULL));
}

static ag_status open_and_close(void *context, ag_error *err)
{
    ag_weights *w;
    ag_config c;
    ag_status status = ag_weights_open(&w, context, &c, err);
    ag_weights_close(w);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    char path[512];
    static const char *const names[] = {"llama-mixed.gguf", "qwen3", "llama3-sharded"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        snprintf(path, sizeof path, GOLDEN "/%s", names[k]);
        sweep_memory(open_and_close, path);
    }
}

/* --- writing a model again
 * -------------------------------------------------------------------------------- */

static void write_model(const ag_weights *w, const ag_config *c, const char *dir)
{
    char *path = ag_path_join(dir, "config.json");
    json_t *json = ag_config_to_json(c, "float32");
    ag_weights_out *out;
    ag_error err = {0};
    assert_int_equal(json_dump_file(json, path, JSON_INDENT(2)), 0);
    json_decref(json);
    ag_free(path);
    path = ag_path_join(dir, "model.safetensors");
    assert_ok(ag_weights_create(&out, path, &err));
    ag_free(path);
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < ag_weights_count(w); i++) {
            const char *name = ag_weights_name(w, i);
            int64_t rows, cols;
            assert_true(ag_weights_find(w, name, &rows, &cols));
            bool vector = strstr(name, "norm") || strstr(name, "bias");
            if (strcmp(name, "rope_freqs.weight") == 0) continue;
            if (pass == 0) {
                assert_ok(ag_weights_declare(out, name, vector ? 0 : rows, cols, AG_WEIGHTS_F32, &err));
                continue;
            }
            float *row = malloc((size_t)cols * sizeof *row);
            for (int64_t r = 0; r < rows; r++) {
                assert_ok(ag_weights_read(w, name, rows, cols, r, 1, row, &err));
                assert_ok(ag_weights_write(out, row, cols, &err));
            }
            free(row);
        }
    }
    assert_ok(ag_weights_finish(out, &err));
}

/* Every model, the GGUF files too, as a folder of our own that reads the same. With AGRL_TEST_KEEP=FOLDER the
 * models stay there, for tests/golden/models/peer.py. */
static void test_rewrite(void **state)
{
    (void)state;
    static const char *const names[] = {"llama-tied",       "llama3-sharded", "qwen2",         "qwen3",
                                        "llama-mixed.gguf", "qwen2-q4.gguf",  "qwen3-f16.gguf"};
    char temporary[64];
    const char *keep = getenv("AGRL_TEST_KEEP");
    const char *root = keep ? keep : test_folder(temporary);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        ag_weights *a, *b;
        ag_config c, d;
        ag_error err = {0};
        char *dir = ag_path_join(root, names[k]);
        assert_ok(ag_dir_make(dir, &err));
        open_golden(names[k], &a, &c);
        write_model(a, &c, dir);
        if (ag_weights_open(&b, dir, &d, &err) != AG_OK) fail_msg("%s", err.message);
        assert_int_equal(ag_config_parameters(&c), ag_config_parameters(&d));
        for (int i = 0; i < ag_weights_count(b); i++) {
            const char *name = ag_weights_name(b, i);
            int64_t rows, cols;
            assert_true(ag_weights_find(a, name, &rows, &cols));
            size_t n = (size_t)(rows * cols);
            float *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y);
            assert_ok(ag_weights_read(a, name, rows, cols, 0, rows, x, &err));
            assert_ok(ag_weights_read(b, name, rows, cols, 0, rows, y, &err));
            assert_memory_equal(x, y, n * sizeof *x);
            free(x);
            free(y);
        }
        ag_weights_close(a);
        ag_weights_close(b);
        ag_free(dir);
    }
    if (!keep) assert_ok(ag_dir_remove(temporary, NULL));
}

static void test_locate(void **state)
{
    (void)state;
    char dir[64], *path = NULL, *home = getenv("AGRL_HOME") ? strdup(getenv("AGRL_HOME")) : NULL;
    ag_error err = {0};
    assert_int_equal(setenv("AGRL_HOME", test_folder(dir), 1), 0);
    assert_int_equal(ag_model_locate("smollm2-135m", &path, &err), AG_ERR_INPUT);
    assert_says(err, "agrl pull smollm2-135m");
    assert_int_equal(ag_model_locate("smollm2-135", &path, &err), AG_ERR_INPUT);
    assert_says(err, "did you mean 'smollm2-135m'");
    assert_int_equal(ag_model_locate("../other", &path, &err), AG_ERR_INPUT);
    assert_null(path);
    assert_ok(ag_model_locate(dir, &path, &err));
    assert_string_equal(path, dir);
    ag_free(path);
    assert_ok(ag_pullable_path("smollm2-135m", &path, &err));
    char *folder = ag_path_dir(path);
    assert_ok(ag_dir_make(folder, &err));
    put_file(path, "x", 1);
    char *found;
    assert_ok(ag_model_locate("smollm2-135m", &found, &err));
    assert_string_equal(found, path);
    ag_free(found);
    ag_free(folder);
    ag_free(path);
    if (home)
        setenv("AGRL_HOME", home, 1);
    else
        unsetenv("AGRL_HOME");
    free(home);
    assert_ok(ag_dir_remove(dir, NULL));
}

/* The real model, where it is installed. */
static void test_smollm2(void **state)
{
    (void)state;
    char *path;
    ag_weights *w;
    ag_config c;
    ag_tokenizer *t;
    ag_error err = {0};
    if (ag_model_locate("smollm2-135m", &path, NULL) != AG_OK) skip();
    if (ag_weights_open(&w, path, &c, &err) != AG_OK) fail_msg("%s", err.message);
    assert_true(c.width == 576 && c.layers == 30 && c.heads == 9 && c.kv_heads == 3 && c.ff == 1536 &&
                c.tied);
    assert_true(c.rope_theta == 100000 && c.norm_eps == 1e-5 && c.vocab == 49152 && c.eos == 2);
    assert_int_equal(ag_config_parameters(&c), 134515008);
    if (ag_weights_tokenizer(w, &t, &err) != AG_OK) fail_msg("%s", err.message);

    /* Its tokenizer gives the ids of the golden text. */
    json_t *golden = load_golden(AGRL_SOURCE_DIR "/tests/golden/smollm2/golden.json");
    json_t *want = json_object_get(golden, "tokens");
    char *text;
    size_t len;
    ag_tokens ids = {0};
    assert_ok(ag_file_read(AGRL_SOURCE_DIR "/tests/golden/smollm2/text.txt", 0, &text, &len, &err));
    assert_ok(ag_tokenizer_encode(t, text, len, false, &ids, &err));
    assert_true(ids.len >= json_array_size(want));
    for (size_t i = 0; i < json_array_size(want); i++) {
        assert_int_equal(ids.ids[i], json_integer_value(json_array_get(want, i)));
    }
    ag_tokens_free(&ids);
    ag_free(text);
    json_decref(golden);
    ag_tokenizer_free(t);
    ag_weights_close(w);
    ag_free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_gguf_config), cmocka_unit_test(test_gguf_tokenizer),
        cmocka_unit_test(test_folders),     cmocka_unit_test(test_misfits),
        cmocka_unit_test(test_shards),      cmocka_unit_test(test_memory),
        cmocka_unit_test(test_rewrite),     cmocka_unit_test(test_locate),
        cmocka_unit_test(test_smollm2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
