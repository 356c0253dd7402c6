/* test_help.h: what the tests of base share: the includes that cmocka wants, folders to write in, and the
 * sweep that makes each allocation of a piece of code fail in turn.
 */
#ifndef AG_TEST_HELP_H
#define AG_TEST_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"

/* A fresh folder for one test; ends with assert_ok(ag_dir_remove(...)). */
__attribute__((unused)) static char *test_folder(char name[64])
{
    const char *base = getenv("TMPDIR");
    snprintf(name, 64, "%.40s/agrl-test-XXXXXX", base && *base ? base : "/tmp");
    assert_non_null(mkdtemp(name));
    return name;
}

#define assert_ok(call) assert_int_equal((call), AG_OK)

/* The message of a failure contains the text. */
#define assert_says(err, text)                                                                               \
    do {                                                                                                     \
        if (!strstr((err).message, (text))) fail_msg("'%s' does not say '%s'", (err).message, (text));       \
    } while (0)

/* Writes bytes to a file by plain means. */
__attribute__((unused)) static void put_file(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* Runs `work(context, &err)` with allocation 1 failing, then 2, ... until it needs no more. Each failing
 * run must come to AG_ERR_MEMORY with a message, the last one to AG_OK. Twice: one failure, and all after
 * it too. */
__attribute__((unused)) static void sweep_memory(ag_status (*work)(void *context, ag_error *err),
                                                 void *context)
{
    for (int all_after = 0; all_after < 2; all_after++) {
        for (long n = 1;; n++) {
            ag_error err = {0};
            ag_mem_fail_at(n, all_after);
            ag_status status = work(context, &err);
            long made = ag_mem_fail_at(0, false);
            if (made < n) {
                assert_int_equal(status, AG_OK);
                assert_true(n > 1);
                break;
            }
            if (status != AG_ERR_MEMORY)
                fail_msg("allocation %ld failed: status %d, message '%s'", n, (int)status, err.message);
            assert_int_equal(err.code, AG_ERR_MEMORY);
            assert_says(err, "out of memory");
        }
    }
}

#endif
