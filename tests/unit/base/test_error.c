/* Error text: one line, valid UTF-8, cut between characters. */
#include "unit/base/test_help.h"

#include <errno.h>

#include "base/error.h"
#include "base/str.h"

static void test_one_line(void **state)
{
    (void)state;
    ag_error err = {0};
    assert_int_equal(ag_fail(&err, AG_ERR_INPUT, "a\nb\tc\x1b[31m\x7f %d", 7), AG_ERR_INPUT);
    assert_string_equal(err.message, "a b c?[31m? 7");
    assert_int_equal(err.code, AG_ERR_INPUT);
    ag_fail(&err, AG_ERR_INPUT, "%s", "h\xC3\xA9 \xFF\xC3 \xC2\x9B \xE2\x80\xA8");
    assert_string_equal(err.message, "h\xC3\xA9 ?? ? ?");
    ag_fail(&err, AG_ERR_INPUT, "%s", "\xEF\xBF\xBD"); /* a real U+FFFD is no wrong byte */
    assert_string_equal(err.message, "\xEF\xBF\xBD");
}

static void test_cut(void **state)
{
    (void)state;
    ag_error err = {0};
    char text[4000];
    for (size_t i = 0; i < sizeof text - 1; i += 3) memcpy(text + i, "\xE2\x82\xAC", 3);
    text[sizeof text - 1] = '\0';
    for (int shift = 0; shift < 3; shift++) {
        ag_fail(&err, AG_ERR_INPUT, "%.*s%s", shift, "xx", text);
        assert_true(strlen(err.message) > sizeof err.message - 4);
        assert_true(ag_utf8_valid(err.message, strlen(err.message), NULL));
    }
    ag_error_prefix(&err, "%s", text);
    assert_true(ag_utf8_valid(err.message, strlen(err.message), NULL));
}

static void test_prefix(void **state)
{
    (void)state;
    ag_error err = {0};
    ag_fail(&err, AG_ERR_INPUT, "wrong");
    ag_error_prefix(&err, "file %s", "x");
    assert_string_equal(err.message, "file x: wrong");
    ag_fail(&err, AG_ERR_IO, "again: %s", err.message); /* an argument may be the old message */
    assert_string_equal(err.message, "again: file x: wrong");
    ag_error_prefix(NULL, "nobody listens");
    assert_int_equal(ag_fail(NULL, AG_ERR_USAGE, "x"), AG_ERR_USAGE);
}

static void test_ready_made(void **state)
{
    (void)state;
    ag_error err = {0};
    assert_int_equal(ag_fail_memory(&err, "weights"), AG_ERR_MEMORY);
    assert_string_equal(err.message, "out of memory: weights");
    errno = ENOENT;
    assert_int_equal(ag_fail_errno(&err, "cannot open", "a b"), AG_ERR_IO);
    assert_string_equal(err.message, "cannot open 'a b': No such file or directory");
    assert_int_equal(errno, ENOENT);
    assert_string_equal(ag_status_name(AG_OK), "ok");
    assert_string_equal(ag_status_name(AG_ERR_INPUT), "input");
    assert_string_equal(ag_status_name(AG_ERR_INTERNAL), "internal");
    assert_string_equal(ag_status_name((ag_status)99), "unknown");
    assert_string_equal(ag_version(), AGRL_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_line), cmocka_unit_test(test_cut),
                                       cmocka_unit_test(test_prefix), cmocka_unit_test(test_ready_made)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
