/* test_http_log.c: what the HTTP server writes down of requests, and the file of its token. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "http_help.h"

static void on_any(void *user, const ag_http_request *q, ag_http_response *r)
{
    (void)user, (void)q;
    ag_str_add(&r->text, "{}");
}

static const ag_http_route routes[] = {
    {"GET", "/echo", on_any, NULL, 0, 0, NULL},
    {"POST", "/echo", on_any, "application/json|text/csv", 0, 0, NULL},
    {"GET", "/open", on_any, NULL, AG_HTTP_OPEN | AG_HTTP_QUIET, 0, NULL},
    {0},
};

static ag_http *start(const char *log)
{
    ag_error err = {0};
    ag_http *http = NULL;
    ag_http_options o = {.listen = "127.0.0.1:0", .log = log};
    if (ag_http_start(&http, &o, routes, &err) != AG_OK) fail_msg("%s", err.message);
    return http;
}

static void test_log_and_token_file(void **state)
{
    (void)state;
    char dir[] = "/tmp/agrl-http-XXXXXX", *text, *token;
    size_t n;
    ag_error err = {0};
    assert_non_null(mkdtemp(dir));
    char *log = ag_path_join(dir, "log"), *file = ag_path_join(dir, "token");
    ag_http *h = start(log);
    ask(h, "GET /echo?secret=1 HTTP/1.1\r\nX-Request-Id: r1\r\n" HEAD "\r\n", NULL);
    ask(h, "GET /open HTTP/1.1\r\n" HEAD "\r\n", NULL);
    ask(h, "GET /%FF%22 HTTP/1.1\r\n" HEAD "\r\n", NULL);
    ask(h, "rubbish\r\n\r\n", NULL);
    /* Refused in the middle of its body, after the library had its head: one line, with its path and the right status. */
    int fd = connect_to(h);
    send_text(fd,
              "POST /echo HTTP/1.1\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n" HEAD "\r\n");
    nap(0.1);
    send_text(fd, "3\r\nabc\r\nzz\r\n");
    ag_str out = {0};
    read_all(fd, &out, 5);
    assert_int_equal(status_of(&out), 400);
    close(fd);
    ag_str_free(&out);
    assert_int_equal(ag_http_stop(h, 5), 0);
    assert_int_equal(ag_file_read(log, 0, &text, &n, &err), AG_OK);
    const char *line_at = strstr(text, "\"method\":\"POST\",\"path\":\"/echo\",\"status\":400,");
    assert_non_null(line_at);
    assert_non_null(strstr(line_at, "a chunk must be"));
    assert_null(strstr(strstr(line_at, "a chunk must be") + 1, "a chunk must be"));
    assert_null(strstr(text, "secret"));
    assert_null(strstr(text, "/open"));
    int lines = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        json_t *json = NULL;
        if (ag_json_parse(&json, line, strlen(line), "log", 1, &err) != AG_OK) fail_msg("%s", err.message);
        assert_true(json_is_string(json_object_get(json, "time")));
        assert_true(json_is_integer(json_object_get(json, "status")));
        if (lines == 0) assert_string_equal(json_string_value(json_object_get(json, "id")), "r1");
        json_decref(json);
    }
    assert_true(lines >= 2);
    ag_free(text);
    static const char *const bad[] = {"", "short", "0123456789 abcdef", "0123456789abcdef\nmore",
                                      "0123456789abcd\xC3\xA4"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(ag_file_write(dir, "token", bad[i], strlen(bad[i]), &err), AG_OK);
        assert_int_equal(ag_http_token_read(&token, file, &err), AG_ERR_INPUT);
        assert_null(token);
    }
    assert_int_equal(ag_file_write(dir, "token", "0123456789abcdef\r\n", 18, &err), AG_OK);
    assert_int_equal(ag_http_token_read(&token, file, &err), AG_OK);
    assert_string_equal(token, "0123456789abcdef");
    ag_free(token);
    assert_int_equal(ag_dir_remove(dir, &err), AG_OK);
    ag_free(log);
    ag_free(file);
}

/* A log that nobody reads holds nobody up, and says later what is missing. */
static void test_log_unread(void **state)
{
    (void)state;
    int ends[2];
    char path[64], bytes[1 << 16];
    ag_str out = {0};
    assert_int_equal(pipe(ends), 0);
    fcntl(ends[0], F_SETPIPE_SZ, 4096);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[1]);
    ag_http *h = start(path);
    for (int i = 0; i < 100; i++) {
        int fd = connect_to(h);
        send_text(fd, i % 2 ? "nonsense\r\n\r\n"
                            : "GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        read_all(fd, &out, 5);
        assert_int_equal(status_of(&out), i % 2 ? 400 : 404);
        close(fd);
    }
    ssize_t n = read(ends[0], bytes, sizeof bytes);
    assert_in_range(n, 1, 4096);
    assert_int_equal(bytes[n - 1], '\n'); /* whole lines */
    int fd = connect_to(h);
    send_text(fd, "nonsense\r\n\r\n");
    read_all(fd, &out, 5);
    close(fd);
    n = read(ends[0], bytes, sizeof bytes - 1);
    bytes[n > 0 ? n : 0] = '\0';
    const char *lost = strstr(bytes, "{\"log_lines_lost\":");
    assert_non_null(lost);
    assert_in_range(atoi(lost + 18), 50, 100);
    ag_http_stop(h, 1);
    close(ends[0]);
    close(ends[1]);
    ag_str_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_and_token_file),
        cmocka_unit_test(test_log_unread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
