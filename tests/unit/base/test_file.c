/* Reading: whole files and lines, plain, gzip and damaged, from files and from standard input. */
#include "unit/base/test_help.h"

#include <unistd.h>
#include <zlib.h>

static char folder[64];
static char path[128];

static int setup(void **state)
{
    (void)state;
    test_folder(folder);
    snprintf(path, sizeof path, "%s/input", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_ok(ag_dir_remove(folder, NULL));
    return 0;
}

static void put_gzip(const char *to, const char *mode, const void *bytes, size_t n)
{
    gzFile f = gzopen(to, mode);
    assert_non_null(f);
    assert_int_equal(gzwrite(f, bytes, (unsigned)n), (int)n);
    assert_int_equal(gzclose(f), Z_OK);
}

/* Text that does not compress to nothing. */
static char *noise(size_t n)
{
    char *text = ag_calloc(n + 1, 1);
    uint32_t x = 1;
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        text[i] = (x >> 24) % 40 == 0 ? '\n' : (char)('0' + (x >> 24) % 64);
    }
    return text;
}

static void check_whole(const char *expected, size_t n)
{
    char *data;
    size_t len;
    ag_error err = {0};
    assert_ok(ag_file_read(path, 0, &data, &len, &err));
    assert_int_equal(len, n);
    if (n) assert_memory_equal(data, expected, n);
    assert_int_equal(data[len], 0);
    ag_free(data);
}

static void test_read(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 3, 65535, 65536, 65537, 1000000};
    char *text = noise(1000000);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        put_file(path, text, sizes[i]);
        check_whole(text, sizes[i]);
        put_gzip(path, "wb", text, sizes[i]);
        check_whole(text, sizes[i]);
    }
    ag_free(text);
    put_file(path, "a\0b", 3); /* bytes are bytes */
    check_whole("a\0b", 3);
    put_file(path, "\x1f", 1); /* half of gzip's mark is no gzip */
    check_whole("\x1f", 1);
}

static void test_read_limit(void **state)
{
    (void)state;
    char *data, *text = noise(200000);
    size_t len;
    ag_error err = {0};
    for (int gzip = 0; gzip < 2; gzip++) {
        if (gzip)
            put_gzip(path, "wb", text, 200000);
        else
            put_file(path, text, 200000);
        assert_ok(ag_file_read(path, 200000, &data, &len, &err));
        assert_int_equal(len, 200000);
        ag_free(data);
        assert_int_equal(ag_file_read(path, 199999, &data, &len, &err), AG_ERR_INPUT);
        assert_says(err, "more than 199999 bytes");
        assert_null(data);
        assert_int_equal(ag_file_read(path, 1, &data, &len, &err), AG_ERR_INPUT);
    }
    ag_free(text);
    /* A small file that unpacks to much more than it may. */
    char *zeros = ag_calloc(1 << 24, 1);
    put_gzip(path, "wb9", zeros, 1 << 24);
    ag_free(zeros);
    assert_int_equal(ag_file_read(path, 1 << 20, &data, &len, &err), AG_ERR_INPUT);
}

static void test_read_refusals(void **state)
{
    (void)state;
    char *data;
    size_t len;
    ag_lines *lines;
    ag_error err = {0};
    assert_int_equal(ag_file_read("/nonexistent/x", 0, &data, &len, &err), AG_ERR_IO);
    assert_says(err, "cannot open '/nonexistent/x': No such file");
    assert_int_equal(ag_file_read(folder, 0, &data, &len, &err), AG_ERR_IO);
    assert_says(err, "Is a directory");
    assert_int_equal(ag_lines_open(&lines, "/nonexistent/x", &err), AG_ERR_IO);
    assert_null(lines);
    assert_int_equal(ag_lines_open(&lines, folder, &err), AG_ERR_IO);
    ag_lines_close(NULL);
}

/* Several members, padding, and what is not gzip behind them. */
static void test_members(void **state)
{
    (void)state;
    ag_error err = {0};
    char *data, *text = noise(150000);
    size_t len;
    put_gzip(path, "wb", text, 50000);
    put_gzip(path, "ab", text + 50000, 0);
    put_gzip(path, "ab", text + 50000, 100000);
    check_whole(text, 150000);
    FILE *f = fopen(path, "ab");
    for (int i = 0; i < 1000; i++) fputc(0, f);
    fclose(f);
    check_whole(text, 150000);
    f = fopen(path, "ab");
    fputs("rubbish", f);
    fclose(f);
    assert_int_equal(ag_file_read(path, 0, &data, &len, &err), AG_ERR_INPUT);
    assert_says(err, "not gzip after");
    ag_free(text);
}

/* A gzip file cut or changed anywhere is refused, or is the same after all; never something else. */
static void test_damaged_gzip(void **state)
{
    (void)state;
    ag_error err = {0};
    char *data, *text = noise(3000), *raw;
    size_t len, size;
    put_gzip(path, "wb", text, 3000);
    FILE *f = fopen(path, "rb");
    raw = ag_calloc(10000, 1);
    size = fread(raw, 1, 10000, f);
    fclose(f);
    for (size_t cut = 3; cut < size; cut += cut < 40 ? 1 : 37) {
        put_file(path, raw, cut);
        if (ag_file_read(path, 0, &data, &len, &err) != AG_ERR_INPUT)
            fail_msg("cut at %zu of %zu", cut, size);
        assert_says(err, "gzip");
    }
    for (size_t at = 2; at < size; at += at < 40 || at + 9 > size ? 1 : 17) {
        raw[at] ^= 0x40;
        put_file(path, raw, size);
        ag_status status = ag_file_read(path, 0, &data, &len, &err);
        raw[at] ^= 0x40;
        if (status == AG_OK) { /* the time stamp and the like */
            assert_int_equal(len, 3000);
            assert_memory_equal(data, text, 3000);
            ag_free(data);
        } else {
            assert_int_equal(status, AG_ERR_INPUT);
        }
    }
    ag_free(raw);
    ag_free(text);
}

static ag_lines *open_lines(const char *bytes, size_t n)
{
    ag_lines *lines;
    ag_error err = {0};
    put_file(path, bytes, n);
    assert_ok(ag_lines_open(&lines, path, &err));
    return lines;
}

static void expect_line(ag_lines *lines, const char *expected)
{
    char *line;
    size_t len;
    ag_error err = {0};
    long before = ag_lines_number(lines);
    assert_ok(ag_lines_next(lines, &line, &len, &err));
    if (!expected) {
        assert_null(line);
        assert_int_equal(ag_lines_number(lines), before);
        return;
    }
    assert_non_null(line);
    assert_string_equal(line, expected);
    assert_int_equal(len, strlen(expected));
    assert_int_equal(ag_lines_number(lines), before + 1);
}

static void test_lines(void **state)
{
    (void)state;
    static const struct {
        const char *text, *lines[5];
    } cases[] = {
        {"", {NULL}},
        {"\n", {"", NULL}},
        {"a", {"a", NULL}},
        {"a\n", {"a", NULL}},
        {"a\nb", {"a", "b", NULL}},
        {"a\r\n\r\nb\r\n", {"a", "", "b", NULL}},
        {"a\rb\n\r", {"a\rb", "\r", NULL}}, /* a CR alone ends nothing */
        {"\n\nx\n", {"", "", "x", NULL}},
        {"\xEF\xBB\xBFx\ny\n", {"x", "y", NULL}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ag_lines *lines = open_lines(cases[i].text, strlen(cases[i].text));
        for (int k = 0; k == 0 || cases[i].lines[k - 1]; k++) expect_line(lines, cases[i].lines[k]);
        expect_line(lines, NULL);
        assert_string_equal(ag_lines_path(lines), path);
        ag_lines_close(lines);
    }
}

/* All line lengths around the buffer's edges, plain and gzip, in LF and CRLF. */
static void test_lines_edges(void **state)
{
    (void)state;
    enum { LONGEST = 66000 };
    char *text = ag_calloc(700000, 1);
    for (int crlf = 0; crlf < 2; crlf++) {
        size_t used = 0, count = 0;
        for (size_t n = 0; n < LONGEST; n += n < 3 || (n > 65500 && n < 65600) ? 1 : 9000, count++) {
            if (used + n + 2 > 700000) break;
            memset(text + used, (int)('a' + count % 26), n);
            used += n;
            if (crlf) text[used++] = '\r';
            text[used++] = '\n';
        }
        for (int gzip = 0; gzip < 2; gzip++) {
            ag_lines *lines;
            char *line;
            size_t len, k = 0;
            if (gzip)
                put_gzip(path, "wb", text, used);
            else
                put_file(path, text, used);
            assert_ok(ag_lines_open(&lines, path, NULL));
            for (size_t n = 0; k < count; n += n < 3 || (n > 65500 && n < 65600) ? 1 : 9000, k++) {
                assert_ok(ag_lines_next(lines, &line, &len, NULL));
                assert_non_null(line);
                assert_int_equal(len, n);
                assert_int_equal(strlen(line), n);
                if (n) assert_true(line[0] == (char)('a' + k % 26) && line[n - 1] == line[0]);
            }
            expect_line(lines, NULL);
            ag_lines_close(lines);
        }
    }
    ag_free(text);
}

static void test_line_limit(void **state)
{
    (void)state;
    ag_error err = {0};
    char *text = ag_calloc(AG_LINE_MAX + 8, 1), *line;
    size_t len;
    memset(text, 'x', AG_LINE_MAX + 8);
    /* As long as allowed, in each of the three ways to end. */
    for (int ending = 0; ending < 3; ending++) {
        static const char *const ends[] = {"", "\n", "\r\n"};
        char *all = ag_calloc(AG_LINE_MAX + 8, 1);
        memcpy(all, text, AG_LINE_MAX);
        strcpy(all + AG_LINE_MAX, ends[ending]);
        ag_lines *lines = open_lines(all, strlen(all));
        assert_ok(ag_lines_next(lines, &line, &len, &err));
        assert_int_equal(len, AG_LINE_MAX);
        expect_line(lines, NULL);
        ag_lines_close(lines);
        ag_free(all);
    }
    for (int ending = 0; ending < 2; ending++) {
        memcpy(text, "ok\n", 3);
        if (ending) text[AG_LINE_MAX + 4] = '\n';
        ag_lines *lines = open_lines(text, AG_LINE_MAX + 5);
        expect_line(lines, "ok");
        for (int again = 0; again < 2; again++) {
            assert_int_equal(ag_lines_next(lines, &line, &len, &err), AG_ERR_INPUT);
            assert_null(line);
            assert_says(err, "input:2: the line is longer than 16777216 bytes");
        }
        ag_lines_close(lines);
    }
    ag_free(text);
}

static void test_line_nul(void **state)
{
    (void)state;
    ag_error err = {0};
    char *line;
    size_t len;
    ag_lines *lines = open_lines("a\nb\0c\nd\n", 8);
    expect_line(lines, "a");
    assert_int_equal(ag_lines_next(lines, &line, &len, &err), AG_ERR_INPUT);
    assert_says(err, "input:2: the line contains a NUL byte");
    assert_int_equal(ag_lines_number(lines), 2);
    expect_line(lines, "d"); /* whoever wants may go on behind it */
    expect_line(lines, NULL);
    ag_lines_close(lines);
}

static void test_line_gzip_damaged(void **state)
{
    (void)state;
    ag_error err = {0};
    char *line;
    size_t len;
    char *text = noise(200000);
    put_gzip(path, "wb", text, 200000);
    ag_free(text);
    assert_int_equal(truncate(path, 50000), 0);
    ag_lines *lines;
    assert_ok(ag_lines_open(&lines, path, &err));
    ag_status status;
    while ((status = ag_lines_next(lines, &line, &len, &err)) == AG_OK) assert_non_null(line);
    assert_int_equal(status, AG_ERR_INPUT);
    char expected[200];
    snprintf(expected, sizeof expected, "%s:%ld: ", path, ag_lines_number(lines) + 1);
    assert_says(err, expected);
    assert_says(err, "gzip data ends in the middle");
    assert_int_equal(ag_lines_next(lines, &line, &len, &err), AG_ERR_INPUT); /* stays so */
    ag_lines_close(lines);
}

static void test_standard_input(void **state)
{
    (void)state;
    ag_error err = {0};
    int kept = dup(STDIN_FILENO), ends[2];
    char *data;
    size_t len;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x\ny", 3), 3);
    close(ends[1]);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    ag_lines *lines;
    assert_ok(ag_lines_open(&lines, "-", &err));
    expect_line(lines, "x");
    assert_string_equal(ag_lines_path(lines), "<stdin>");
    expect_line(lines, "y");
    expect_line(lines, NULL);
    ag_lines_close(lines);
    assert_ok(ag_file_read("-", 0, &data, &len, &err)); /* still open, and at its end */
    assert_int_equal(len, 0);
    ag_free(data);
    dup2(kept, STDIN_FILENO);
    close(kept);
}

static ag_status read_work(void *context, ag_error *err)
{
    char *data;
    size_t len;
    (void)context;
    ag_status status = ag_file_read(path, 0, &data, &len, err);
    if (status == AG_OK) ag_free(data);
    return status;
}

static ag_status lines_work(void *context, ag_error *err)
{
    ag_lines *lines;
    char *line;
    size_t len;
    (void)context;
    ag_status status = ag_lines_open(&lines, path, err);
    if (status != AG_OK) return status;
    do {
        status = ag_lines_next(lines, &line, &len, err);
    } while (status == AG_OK && line);
    ag_lines_close(lines);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    char *text = noise(300000);
    memset(text, 'x', 200000);
    put_file(path, text, 300000);
    sweep_memory(read_work, NULL);
    sweep_memory(lines_work, NULL);
    put_gzip(path, "wb", text, 300000);
    sweep_memory(read_work, NULL);
    sweep_memory(lines_work, NULL);
    ag_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),           cmocka_unit_test(test_read_limit),
        cmocka_unit_test(test_read_refusals),  cmocka_unit_test(test_members),
        cmocka_unit_test(test_damaged_gzip),   cmocka_unit_test(test_lines),
        cmocka_unit_test(test_lines_edges),    cmocka_unit_test(test_line_limit),
        cmocka_unit_test(test_line_nul),       cmocka_unit_test(test_line_gzip_damaged),
        cmocka_unit_test(test_standard_input), cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
