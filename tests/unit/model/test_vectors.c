/* test_vectors.c: vocabularies out of GGUF files against expected ids: GPT-2's and StarCoder's (without
 * weights, outside the project) and SmolLM2's (from the pulled model). Each test skips, saying so, where its
 * file is missing.
 */
#include "unit/text/text_help.h"
#include "model/gguf.h"

static ag_tokenizer *load(const char *path)
{
    ag_tokenizer *t = NULL;
    ag_gguf gguf = {0};
    ag_tensors table = {0};
    ag_error err = {0};
    size_t len = 0;

    need_file(path);
    char *bytes = read_text(path, &len);
    check_ok(ag_gguf_read(&gguf, &table, (const unsigned char *)bytes, len, path, &err), &err);
    check_ok(ag_gguf_tokenizer(&gguf, &t, &err), &err);
    ag_gguf_free(&gguf);
    ag_tensors_free(&table);
    ag_free(bytes);
    return t;
}

static ag_tokenizer *load_smollm2(void)
{
    const char *root = getenv("AGRL_HOME"), *home = getenv("HOME");
    char path[512];

    if (root != NULL)
        snprintf(path, sizeof path, "%s/models/smollm2-135m/smollm2-135m.gguf", root);
    else
        snprintf(path, sizeof path, "%s/.cache/agrl/models/smollm2-135m/smollm2-135m.gguf",
                 home != NULL ? home : "");
    return load(path);
}

static void test_gpt2(void **state)
{
    ag_tokenizer *t = load(SHARED "vectors/ggml-vocab-gpt-2.gguf");

    (void)state;
    assert_int_equal(ag_tokenizer_vocab(t), 50257);
    check_vectors(t, "gpt-2");
    check_golden(t, "gpt-2", true);
    check_round_trips(t, 2000);
    write_peer(t, "gpt-2");
    ag_tokenizer_free(t);
}

static void test_starcoder(void **state)
{
    ag_tokenizer *t = load(SHARED "vectors/ggml-vocab-starcoder.gguf");

    (void)state;
    check_vectors(t, "starcoder");
    check_golden(t, "starcoder", false); /* its vocabulary lacks some control bytes */
    write_peer(t, "starcoder");
    ag_tokenizer_free(t);
}

/* SmolLM2's vocabulary has 235 of the 256 bytes; text made of those comes back as it was. */
static void test_smollm2(void **state)
{
    ag_tokenizer *t = load_smollm2();
    ag_tokens ids = {0};
    ag_str back = {0};
    ag_error err = {0};
    int present = 0;
    const char *text = "Crème brûlée 42 \xe6\x88\x91 \xf0\x9f\x91\xa2\n\tif (x) { }";

    (void)state;
    assert_int_equal(ag_tokenizer_vocab(t), 49152);
    assert_int_equal(ag_tokenizer_bos(t), 1);
    assert_int_equal(ag_tokenizer_eos(t), 2);
    check_golden(t, "smollm2", false);
    for (int b = 0; b < 256; b++) {
        char c = (char)b;
        present += ag_tokenizer_find(t, &c, 1) >= 0;
    }
    assert_int_equal(present, 235);
    check_ok(ag_tokenizer_encode(t, text, strlen(text), false, &ids, &err), &err);
    check_ok(ag_tokenizer_decode(t, ids.ids, ids.len, true, &back, &err), &err);
    assert_string_equal(ag_str_text(&back), text);
    write_peer(t, "smollm2");
    ag_tokens_free(&ids);
    ag_str_free(&back);
    ag_tokenizer_free(t);
}

static void test_smollm2_saved(void **state)
{
    char dir[] = "/tmp/agrl_test_XXXXXX";
    ag_tokenizer *t = load_smollm2(), *again = NULL;
    ag_error err = {0};

    (void)state;
    assert_non_null(mkdtemp(dir));
    check_ok(ag_tokenizer_save(t, dir, &err), &err);
    ag_tokenizer_free(t);
    char *path = ag_path_join(dir, "tokenizer.json");
    check_ok(ag_tokenizer_load(&again, path, &err), &err);
    check_golden(again, "smollm2", false);
    assert_int_equal(ag_tokenizer_eos(again), 2);
    ag_tokenizer_free(again);
    ag_free(path);
    check_ok(ag_dir_remove(dir, &err), &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gpt2), cmocka_unit_test(test_starcoder),
                                       cmocka_unit_test(test_smollm2), cmocka_unit_test(test_smollm2_saved)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
