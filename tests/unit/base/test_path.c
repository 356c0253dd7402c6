/* Folders: made with parents, removed with contents, never through a link. */
#include "unit/base/test_help.h"

#include <sys/stat.h>
#include <unistd.h>

static void check_join(const char *dir, const char *name, const char *expected)
{
    char *path = ag_path_join(dir, name);
    assert_string_equal(path, expected);
    ag_free(path);
}

static void check_dir(const char *path, const char *expected)
{
    char *dir = ag_path_dir(path);
    assert_string_equal(dir, expected);
    ag_free(dir);
}

static void test_names(void **state)
{
    (void)state;
    check_join("a", "b", "a/b");
    check_join("a/", "b", "a/b");
    check_join("a//", "//b", "a/b");
    check_join("/", "b", "/b");
    check_join("", "b", "b");
    check_join(".", "b/c", "./b/c");
    check_dir("a", ".");
    check_dir("", ".");
    check_dir("a/b", "a");
    check_dir("/a", "/");
    check_dir("//a", "/");
    check_dir("a//b", "a");
    check_dir("a/b/", "a/b");
    check_dir("/a/b/c", "/a/b");
    ag_mem_fail_at(1, true);
    char *joined = ag_path_join("a", "b"), *dir = ag_path_dir("a/b");
    ag_mem_fail_at(0, false);
    assert_null(joined);
    assert_null(dir);
}

/* "../" goes up where it leads to what the name says, and nowhere else. */
static void test_join_up(void **state)
{
    (void)state;
    char folder[64], dir[200], other[200], link[200], expected[240];
    ag_error err = {0};
    test_folder(folder);
    snprintf(dir, sizeof dir, "%s/a/b", folder);
    snprintf(other, sizeof other, "%s/c", folder);
    snprintf(link, sizeof link, "%s/c/link", folder);
    assert_int_equal(ag_dir_make(dir, &err), AG_OK);
    assert_int_equal(ag_dir_make(other, &err), AG_OK);
    assert_int_equal(symlink(dir, link), 0);
    snprintf(expected, sizeof expected, "%s/a/x", folder);
    check_join(dir, "../x", expected);
    snprintf(expected, sizeof expected, "%s/x", folder);
    check_join(dir, "../../x", expected);
    snprintf(expected, sizeof expected, "%s/../x", link); /* that is a/x */
    check_join(link, "../x", expected);
    snprintf(expected, sizeof expected, "%s/no/../x", folder);
    snprintf(dir, sizeof dir, "%s/no", folder);
    check_join(dir, "../x", expected);
    check_join("..", "../x", "../../x");
    check_join(".", "../x", "./../x");
    check_join("/", "../x", "/../x");
    assert_int_equal(chdir(folder), 0);
    check_join("a", "../x", "x");
    check_join("a/b", "../../../x", "../x");
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(ag_dir_remove(folder, &err), AG_OK);
}

static void test_make(void **state)
{
    (void)state;
    char folder[64], path[200], file[200], below[240];
    ag_error err = {0};
    test_folder(folder);
    snprintf(path, sizeof path, "%s/a//b/c/", folder);
    assert_ok(ag_dir_make(path, &err));
    assert_ok(ag_dir_make(path, &err));
    assert_true(ag_path_is_dir(path) && ag_path_exists(path));
    assert_ok(ag_dir_make("/", &err));
    assert_ok(ag_dir_make(".", &err));
    assert_ok(ag_dir_sync(path, &err));
    snprintf(file, sizeof file, "%s/file", folder);
    put_file(file, "x", 1);
    assert_true(ag_path_exists(file));
    assert_false(ag_path_is_dir(file));
    assert_int_equal(ag_dir_make(file, &err), AG_ERR_IO);
    assert_says(err, "Not a directory");
    snprintf(below, sizeof below, "%s/below", file);
    assert_int_equal(ag_dir_make(below, &err), AG_ERR_IO);
    assert_int_equal(ag_dir_make("", &err), AG_ERR_IO);
    assert_int_equal(ag_dir_sync(file, &err), AG_ERR_IO);
    assert_int_equal(ag_dir_remove(file, &err), AG_ERR_IO);
    assert_true(ag_path_exists(file));
    assert_ok(ag_dir_remove(folder, &err));
    assert_ok(ag_dir_remove(folder, &err)); /* absent is fine */
    assert_false(ag_path_exists(folder));
}

static void test_remove_and_links(void **state)
{
    (void)state;
    char folder[64], kept[64], path[200], file[200];
    ag_error err = {0};
    test_folder(folder);
    test_folder(kept);
    snprintf(file, sizeof file, "%s/file", kept);
    put_file(file, "x", 1);
    snprintf(path, sizeof path, "%s/a/b", folder);
    assert_ok(ag_dir_make(path, &err));
    snprintf(path, sizeof path, "%s/a/b/link", folder);
    assert_int_equal(symlink(kept, path), 0);
    snprintf(path, sizeof path, "%s/a/dangling", folder);
    assert_int_equal(symlink("nowhere", path), 0);
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof path, "%s/a/%d", folder, i);
        put_file(path, "x", 1);
    }
    snprintf(path, sizeof path, "%s/", folder);
    assert_ok(ag_dir_remove(path, &err));
    assert_false(ag_path_exists(folder));
    assert_true(ag_path_exists(file));

    /* A link named itself goes away; what it points to stays, with a slash behind it too. */
    snprintf(path, sizeof path, "%s-link/", kept);
    path[strlen(path) - 1] = '\0';
    assert_int_equal(symlink(kept, path), 0);
    strcat(path, "/");
    assert_ok(ag_dir_remove(path, &err));
    assert_true(ag_path_exists(file));
    path[strlen(path) - 1] = '\0';
    assert_int_not_equal(unlink(path), 0);
    assert_ok(ag_dir_remove(kept, &err));
}

static ag_status work(void *context, ag_error *err)
{
    ag_status status = ag_dir_make(context, err);
    return status == AG_OK ? ag_dir_remove(context, err) : status;
}

static void test_memory(void **state)
{
    (void)state;
    char folder[64], path[200];
    snprintf(path, sizeof path, "%s/a/b", test_folder(folder));
    sweep_memory(work, path);
    assert_ok(ag_dir_remove(folder, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_join_up),
                                       cmocka_unit_test(test_make), cmocka_unit_test(test_remove_and_links),
                                       cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
