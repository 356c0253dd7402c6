/* test_digest.c: the digest of a model's files: what changes it and what does not, and its parts worked anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/open.h"

static char folder[] = "/tmp/agrl-digest-XXXXXX";
enum { PART = 4 << 20 };

static void write_file(const char *dir, const char *name, const char *bytes, size_t n)
{
    ag_error err = {0};
    if (ag_file_write(dir, name, bytes, n, &err)) fail_msg("%s", err.message);
}

static void digest(char hex[65], char *path, char *base)
{
    ag_error err = {0};
    ag_opened o = {.path = path, .base_path = base};
    if (ag_opened_digest(hex, &o, &err)) fail_msg("%s", err.message);
}

static char *make_folder(const char *name)
{
    ag_error err = {0};
    char *dir = ag_path_join(folder, name);
    assert_int_equal(ag_dir_make(dir, &err), AG_OK);
    write_file(dir, "config.json", "{}", 2);
    write_file(dir, "model.safetensors", "weights", 7);
    return dir;
}

static void test_what_counts(void **state)
{
    (void)state;
    char a[65], b[65], *one = make_folder("one"), *two = make_folder("two");
    digest(a, one, NULL);
    digest(b, two, NULL);
    assert_string_equal(a, b);
    write_file(two, "calibration.json", "{}", 2);
    write_file(two, "agrl.json", "{}", 2);
    write_file(two, "notes.txt", "x", 1);
    digest(b, two, NULL);
    assert_string_equal(a, b);
    static const char *const names[] = {
        "config.json",         "model.safetensors",   "tokenizer.json",          "tokenizer_config.json",
        "adapter_config.json", "chat_template.jinja", "model-00002.safetensors", "m.gguf"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *dir = make_folder("changed");
        write_file(dir, names[i], "weighty", 7);
        digest(b, dir, NULL);
        assert_string_not_equal(a, b);
        ag_dir_remove(dir, NULL);
        ag_free(dir);
    }
    /* An adapter's base counts, and is not taken for the adapter. */
    write_file(two, "config.json", "{ }", 3);
    char with[65], swapped[65];
    digest(with, one, two);
    digest(swapped, two, one);
    assert_string_not_equal(with, a);
    assert_string_not_equal(with, swapped);
    ag_free(one);
    ag_free(two);
}

/* Ends of parts: SHA-256 over the SHA-256 of every 4 MiB. */
static void test_parts(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, PART - 1, PART, PART + 1, 2 * PART + 70000};
    char *bytes = ag_calloc(2 * PART + 70000, 1), *path = ag_path_join(folder, "big.gguf");
    for (size_t i = 0; i < 2 * PART + 70000; i++) bytes[i] = (char)(i * 2654435761u >> 13);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char hex[65], want[65];
        unsigned char part[32], all[32];
        ag_sha256 whole, s;
        ag_str text = {0};
        write_file(folder, "big.gguf", bytes, sizes[i]);
        digest(hex, path, NULL);
        ag_sha256_begin(&whole);
        for (size_t at = 0; at < sizes[i]; at += PART) {
            ag_sha256_begin(&s);
            ag_sha256_add(&s, bytes + at, sizes[i] - at < PART ? sizes[i] - at : PART);
            ag_sha256_end(&s, part);
            ag_sha256_add(&whole, part, 32);
        }
        ag_sha256_end(&whole, all);
        ag_sha256_hex(all, want);
        ag_str_addf(&text, "file %zu %s\n--\n", sizes[i], want);
        ag_sha256_begin(&s);
        ag_sha256_add(&s, ag_str_text(&text), text.len);
        ag_sha256_end(&s, all);
        ag_sha256_hex(all, want);
        assert_string_equal(hex, want);
        ag_str_free(&text);
    }
    ag_free(bytes);
    ag_free(path);
}

static void test_missing(void **state)
{
    (void)state;
    ag_error err = {0};
    char hex[65], *path = ag_path_join(folder, "nothing");
    ag_opened o = {.path = path};
    assert_int_equal(ag_opened_digest(hex, &o, &err), AG_ERR_IO);
    assert_non_null(strstr(err.message, "nothing"));
    ag_free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_counts),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_missing),
    };
    if (!mkdtemp(folder)) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ag_dir_remove(folder, NULL);
    return failed;
}
