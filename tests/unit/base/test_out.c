/* Writing: whole or not at all, whatever fails; the same bytes for the same content. */
#include "unit/base/test_help.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"

static char folder[64];
static char path[128];

static int setup(void **state)
{
    (void)state;
    test_folder(folder);
    snprintf(path, sizeof path, "%s/file", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_ok(ag_dir_remove(folder, NULL));
    return 0;
}

static int entries(const char *dir)
{
    DIR *d = opendir(dir);
    int n = 0;
    assert_non_null(d);
    while (readdir(d)) n++;
    closedir(d);
    return n - 2;
}

static void check_file(const char *name, const char *expected, size_t n)
{
    char *data;
    size_t len;
    assert_ok(ag_file_read(name, 0, &data, &len, NULL));
    assert_int_equal(len, n);
    assert_memory_equal(data, expected, n);
    ag_free(data);
}

static ag_status write_file(const char *name, const char *bytes, size_t n, ag_error *err)
{
    ag_out *out;
    ag_status status = ag_out_open(&out, name, err);
    if (status != AG_OK) return status;
    for (size_t at = 0; at < n; at += 1000) ag_out_write(out, bytes + at, n - at < 1000 ? n - at : 1000);
    return ag_out_commit(out, err);
}

static char *noise(size_t n)
{
    ag_rng r = ag_rng_at(1, AG_RNG_TEST, 0, 0, 0, 0);
    char *bytes = ag_calloc(n, 1);
    for (size_t i = 0; i < n; i++) bytes[i] = (char)ag_rng_u32(&r);
    return bytes;
}

static void test_write(void **state)
{
    (void)state;
    ag_out *out;
    ag_error err = {0};
    assert_ok(ag_out_open(&out, path, &err));
    ag_out_write(out, "hello", 5);
    ag_out_printf(out, " %d %s\n", 5, "x");
    ag_out_printf(out, "%600d", 7); /* longer than what is formatted in place */
    assert_ok(ag_out_flush(out, &err));
    assert_false(ag_path_exists(path)); /* nothing to be seen before commit */
    assert_int_equal(entries(folder), 1);
    assert_ok(ag_out_commit(out, &err));
    char expected[700];
    int n = snprintf(expected, sizeof expected, "hello 5 x\n%600d", 7);
    check_file(path, expected, (size_t)n);
    assert_int_equal(entries(folder), 1);

    assert_ok(ag_out_open(&out, path, &err));
    ag_out_printf(out, "other");
    ag_out_abort(out);
    ag_out_abort(NULL);
    check_file(path, expected, (size_t)n);
    assert_int_equal(entries(folder), 1);

    char *big = noise(1000003);
    assert_ok(write_file(path, big, 1000003, &err));
    check_file(path, big, 1000003);
    ag_free(big);
    assert_int_equal(unlink(path), 0);
}

static void test_gzip(void **state)
{
    (void)state;
    ag_error err = {0};
    char name[160], *big = noise(500000), *first, *second;
    FILE *f;
    snprintf(name, sizeof name, "%s.gz", path);
    memset(big, 'a', 250000);
    first = ag_calloc(1000000, 1);
    second = ag_calloc(1000000, 1);
    static const size_t sizes[] = {0, 1, 65536, 500000};
    for (size_t i = 0; i < 4; i++) {
        assert_ok(write_file(name, big, sizes[i], &err));
        check_file(name, big, sizes[i]);
        f = fopen(name, "rb");
        size_t n = fread(first, 1, 1000000, f);
        fclose(f);
        assert_true(n > 10 && (unsigned char)first[0] == 0x1F && (unsigned char)first[1] == 0x8B);
        assert_memory_equal(first + 4, "\0\0\0\0", 4); /* no time stamp */
        assert_ok(write_file(name, big, sizes[i], &err));
        f = fopen(name, "rb");
        assert_int_equal(fread(second, 1, 1000000, f), n);
        fclose(f);
        assert_memory_equal(first, second, n);
    }
    ag_free(big);
    ag_free(first);
    ag_free(second);
    assert_int_equal(unlink(name), 0);
}

static void test_modes_and_links(void **state)
{
    (void)state;
    ag_error err = {0};
    struct stat st;
    char link_name[160], target[160];
    mode_t mask = umask(022);
    assert_ok(write_file(path, "a", 1, &err));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(chmod(path, 0600), 0);
    assert_ok(write_file(path, "b", 1, &err)); /* a private file stays private */
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    umask(mask);

    snprintf(link_name, sizeof link_name, "%s-link", path);
    assert_int_equal(symlink("file", link_name), 0);
    assert_ok(write_file(link_name, "through", 7, &err));
    assert_int_equal(lstat(link_name, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    check_file(path, "through", 7);
    assert_int_equal(unlink(link_name), 0);

    snprintf(target, sizeof target, "%s/", folder);
    assert_int_equal(write_file(folder, "x", 1, &err), AG_ERR_IO);
    assert_says(err, "Is a directory");
    assert_int_equal(write_file(target, "x", 1, &err), AG_ERR_IO);
    snprintf(target, sizeof target, "%s/no/such/place", folder);
    assert_int_equal(write_file(target, "x", 1, &err), AG_ERR_IO);
    assert_says(err, "No such file");
    assert_int_equal(write_file("", "x", 1, &err), AG_ERR_IO);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(entries(folder), 0);
}

/* A name as long as a name may be has room for what is written aside. */
static void test_long_name(void **state)
{
    (void)state;
    char name[400];
    int n = snprintf(name, sizeof name, "%s/", folder);
    memset(name + n, 'n', 255);
    name[n + 255] = '\0';
    assert_ok(write_file(name, "x", 1, NULL));
    check_file(name, "x", 1);
    assert_int_equal(unlink(name), 0);
}

static void test_devices(void **state)
{
    (void)state;
    ag_error err = {0};
    struct stat st;
    char *big = noise(300000);
    assert_ok(write_file("/dev/null", big, 300000, &err));
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode)); /* not replaced by a file */
    if (stat("/dev/full", &st) == 0) {
        assert_int_equal(write_file("/dev/full", "x", 1, &err), AG_ERR_IO);
        assert_string_equal(err.message, "cannot write '/dev/full': No space left on device");
        assert_int_equal(write_file("/dev/full", big, 300000, &err), AG_ERR_IO);
        assert_int_equal(stat("/dev/full", &st), 0);
        assert_true(S_ISCHR(st.st_mode));
        ag_out *out;
        assert_ok(ag_out_open(&out, "/dev/full", &err));
        ag_out_printf(out, "x");
        assert_int_equal(ag_out_flush(out, &err), AG_ERR_IO);
        assert_int_equal(ag_out_commit(out, &err), AG_ERR_IO); /* the error is kept */
        assert_says(err, "No space");
    }
    ag_free(big);
}

/* The disk is full after each of many numbers of bytes: either all is there, or all is as it was. */
static void test_full_at_every_place(void **state)
{
    (void)state;
    struct rlimit old, limit;
    char *big = noise(300000), name[160];
    ag_error err = {0};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    for (int gzip = 0; gzip < 2; gzip++) {
        int failures = 0, successes = 0;
        snprintf(name, sizeof name, "%s%s", path, gzip ? ".gz" : "");
        assert_ok(write_file(name, "old", 3, &err));
        for (rlim_t bytes = 0; bytes < 310000; bytes += bytes < 3 ? 1 : 9973) {
            limit = (struct rlimit){.rlim_cur = bytes, .rlim_max = old.rlim_max};
            assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
            ag_status status = write_file(name, big, 300000, &err);
            assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
            assert_int_equal(entries(folder), 1);
            if (status == AG_OK) {
                successes++;
                check_file(name, big, 300000);
                assert_ok(write_file(name, "old", 3, &err));
            } else {
                failures++;
                assert_int_equal(status, AG_ERR_IO);
                assert_says(err, "File too large");
                check_file(name, "old", 3);
            }
        }
        assert_true(failures > 20 && successes > 0);
        assert_int_equal(unlink(name), 0);
    }
    signal(SIGXFSZ, handler);
    ag_free(big);
}

/* In a process of its own, since it needs a mount of its own: a file system of 64 KiB. */
static int on_small_disk(void)
{
    char name[160], *big = noise(300000), *data;
    ag_error err = {0};
    size_t len;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", folder, "tmpfs", 0, "size=64k") != 0)
        return 77;
    snprintf(name, sizeof name, "%s/x", folder);
    if (write_file(name, "old", 3, &err) != AG_OK) return 1;
    if (write_file(name, big, 300000, &err) != AG_ERR_IO || !strstr(err.message, "No space")) return 2;
    if (ag_file_read(name, 0, &data, &len, &err) != AG_OK || len != 3) return 3;
    if (entries(folder) != 1) return 4;
    if (write_file(name, big, 30000, &err) != AG_OK) return 5; /* the space of what failed is free again */
    ag_free(data);
    ag_free(big);
    return 0;
}

static void test_small_disk(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    if (child == 0) _exit(on_small_disk());
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) skip(); /* mounting needs rights that tests rarely have */
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_killed(void **state)
{
    (void)state;
    int status;
    assert_ok(write_file(path, "old", 3, NULL));
    pid_t child = fork();
    if (child == 0) {
        ag_out *out;
        char *big = noise(300000);
        if (ag_out_open(&out, path, NULL) == AG_OK) ag_out_write(out, big, 300000);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    check_file(path, "old", 3);
    assert_ok(ag_dir_remove(folder, NULL)); /* with what the killed one left, under a name that says so */
    assert_ok(ag_dir_make(folder, NULL));
}

static void test_standard_output(void **state)
{
    (void)state;
    ag_error err = {0};
    ag_out *out;
    char got[16] = {0};
    int ends[2], kept;
    fflush(stdout);
    kept = dup(STDOUT_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDOUT_FILENO);
    close(ends[1]);
    printf("1");
    ag_status opened = ag_out_open(&out, "-", &err);
    ag_out_printf(out, "2");
    ag_status flushed = ag_out_flush(out, &err);
    ag_out_printf(out, "3");
    ag_status committed = ag_out_commit(out, &err);
    printf("4");
    fflush(stdout);
    ssize_t n = read(ends[0], got, sizeof got - 1);
    close(ends[0]);
    /* Nobody reads any more. */
    void (*handler)(int) = signal(SIGPIPE, SIG_IGN);
    ag_status reopened = ag_out_open(&out, "-", &err);
    ag_out_printf(out, "5");
    ag_status broken = ag_out_commit(out, &err);
    signal(SIGPIPE, handler);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    assert_int_equal(n, 4);
    assert_string_equal(got, "1234");
    assert_int_equal(opened | flushed | committed | reopened, AG_OK);
    assert_int_equal(broken, AG_ERR_IO);
    assert_string_equal(err.message, "cannot write 'standard output': Broken pipe");
}

static ag_status out_work(void *context, ag_error *err)
{
    ag_out *out;
    ag_status status = ag_out_open(&out, context, err);
    if (status != AG_OK) return status;
    for (int i = 0; i < 100; i++) ag_out_printf(out, "%*d", 900, i);
    return ag_out_commit(out, err);
}

static void test_memory(void **state)
{
    (void)state;
    char name[160];
    snprintf(name, sizeof name, "%s.gz", path);
    sweep_memory(out_work, path);
    sweep_memory(out_work, name);
    assert_int_equal(entries(folder), 2); /* failures left nothing behind */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(name), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write),           cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_modes_and_links), cmocka_unit_test(test_long_name),
        cmocka_unit_test(test_devices),         cmocka_unit_test(test_full_at_every_place),
        cmocka_unit_test(test_small_disk),      cmocka_unit_test(test_killed),
        cmocka_unit_test(test_standard_output), cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
