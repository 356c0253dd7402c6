/* test_qwen2.c: Qwen2's vocabulary from vocab.json and merges.txt against expected ids, and the same
 * vocabulary with Llama 3's way of cutting. The files lie outside the project; without them the tests say so
 * and skip. */
#include "unit/text/text_help.h"

static ag_tokenizer *load(const char *pre)
{
    ag_tokenizer *t = NULL;
    ag_error err = {0};

    need_file(SHARED "qwen2/vocab.json");
    check_ok(
        ag_tokenizer_load_vocab_merges(&t, SHARED "qwen2/vocab.json", SHARED "qwen2/merges.txt", pre, &err),
        &err);
    return t;
}

static void test_vectors(void **state)
{
    ag_tokenizer *t = load("qwen2");

    (void)state;
    check_vectors(t, "qwen2");
    ag_tokenizer_free(t);
}

static void test_golden(void **state)
{
    ag_tokenizer *t = load("qwen2");
    size_t len = 0;

    (void)state;
    assert_int_equal(ag_tokenizer_vocab(t), 151646);
    assert_int_equal(ag_tokenizer_eos(t), 151645);
    assert_int_equal(ag_tokenizer_pad(t), 151643);
    assert_int_equal(ag_tokenizer_bos(t), -1);
    assert_non_null(strstr(ag_tokenizer_chat_template(t), "im_start"));
    assert_string_equal(ag_tokenizer_bytes(t, 151645, &len), "<|im_end|>");
    check_golden(t, "qwen2", false); /* the text has decomposed characters, which NFC composes */
    write_peer(t, "qwen2");
    ag_tokenizer_free(t);
}

static void test_llama_pattern(void **state)
{
    ag_tokenizer *t = load("llama-bpe");

    (void)state;
    check_golden(t, "llama-bpe", true);
    check_round_trips(t, 1000);
    write_peer(t, "llama-bpe");
    ag_tokenizer_free(t);
    print_message("llama-bpe: no vocabulary of its own here, so its vectors are not run; the pattern and the "
                  "look-up of "
                  "whole pieces are checked over Qwen2's vocabulary\n");
}

static void test_save_again(void **state)
{
    char dir[] = "/tmp/agrl_test_XXXXXX";
    ag_tokenizer *t = load("qwen2"), *again = NULL;
    ag_error err = {0};

    (void)state;
    assert_non_null(mkdtemp(dir));
    check_ok(ag_tokenizer_save(t, dir, &err), &err);
    ag_tokenizer_free(t);
    char *path = ag_path_join(dir, "tokenizer.json");
    check_ok(ag_tokenizer_load(&again, path, &err), &err);
    check_vectors(again, "qwen2");
    check_golden(again, "qwen2", false);
    assert_int_equal(ag_tokenizer_eos(again), 151645);
    assert_non_null(strstr(ag_tokenizer_chat_template(again), "im_start"));
    ag_tokenizer_free(again);
    ag_free(path);
    check_ok(ag_dir_remove(dir, &err), &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors), cmocka_unit_test(test_golden),
                                       cmocka_unit_test(test_llama_pattern),
                                       cmocka_unit_test(test_save_again)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
