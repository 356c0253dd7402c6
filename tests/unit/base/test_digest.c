/* SHA-256 against the examples of FIPS 180-4, in pieces of every size, and of files. */
#include "unit/base/test_help.h"

#include "base/digest.h"

static void hex_of(const char *text, size_t n, size_t piece, char hex[65])
{
    ag_sha256 s;
    unsigned char digest[32];
    ag_sha256_begin(&s);
    for (size_t at = 0; at < n; at += piece) ag_sha256_add(&s, text + at, n - at < piece ? n - at : piece);
    ag_sha256_end(&s, digest);
    ag_sha256_hex(digest, hex);
}

static void test_known_answers(void **state)
{
    (void)state;
    char hex[65];
    hex_of("", 0, 1, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    ag_sha256_of(hex, "abc", 3);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    hex_of("abc", 3, 1, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const char *two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    for (size_t piece = 1; piece <= 56; piece++) {
        hex_of(two, 56, piece, hex);
        assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    }
    char *a = ag_calloc(1000000, 1);
    memset(a, 'a', 1000000);
    for (size_t piece = 61; piece < 200; piece += 33) {
        hex_of(a, 1000000, piece, hex);
        assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    }
    /* Every length around the padding's edges: in one piece and in bytes must agree. */
    for (size_t n = 0; n < 200; n++) {
        char other[65];
        hex_of(a, n, 1, hex);
        hex_of(a, n, 1000, other);
        assert_string_equal(hex, other);
    }
    ag_free(a);
}

static void test_file(void **state)
{
    (void)state;
    char dir[64], hex[65];
    ag_error err = {0};
    char *path = ag_path_join(test_folder(dir), "x");
    put_file(path, "abc", 3);
    assert_ok(ag_sha256_file(path, hex, &err));
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    put_file(path, "\x1f\x8b", 2); /* as it lies on disk, even where it looks like gzip */
    assert_ok(ag_sha256_file(path, hex, &err));
    assert_int_equal(ag_sha256_file(dir, hex, &err), AG_ERR_IO);
    assert_ok(ag_dir_remove(dir, &err));
    assert_int_equal(ag_sha256_file(path, hex, &err), AG_ERR_IO);
    assert_says(err, "No such file");
    ag_free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known_answers), cmocka_unit_test(test_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
