/* test_http_framing.c: requests in a client's bytes: what passes, what is dropped, every refusal; however the bytes are cut. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include "base/str.h"
#include "serve/http_framing.h"

enum { HEAD_MAX = 8192 };

typedef struct outcome {
    ag_str passed;
    int whole, status; /* requests that ended; of the refusal, or 0 */
    size_t rest;       /* bytes that wait for more */
    const char *code;
} outcome;

/* What comes of bytes that arrive in two parts, or one by one (cut 0). */
static outcome feed(const char *bytes, size_t n, size_t cut, size_t head_max)
{
    ag_http_framing f = {.head_max = head_max};
    outcome o = {.code = ""};
    size_t at = 0, there = cut, count;
    for (;;) {
        if (cut == 0) there++;
        if (there > n) there = n;
        ag_http_step step;
        while ((step = ag_http_framing_next(&f, bytes + at, there - at, &count)) != AG_HTTP_MORE) {
            if (step == AG_HTTP_REFUSED) {
                o.status = f.refusal->status;
                o.code = f.refusal->code;
                assert_int_equal(ag_http_framing_next(&f, "GET", 3, &count), AG_HTTP_REFUSED);
                return o;
            }
            assert_true(count > 0 && count <= there - at);
            if (step == AG_HTTP_PASS) ag_str_addn(&o.passed, bytes + at, count);
            if (step == AG_HTTP_PASS && f.whole) o.whole++;
            at += count;
        }
        if (there == n) break;
        if (cut > 0) there = n;
    }
    o.rest = n - at;
    return o;
}

static void same(const outcome *a, const outcome *b, const char *text)
{
    if (a->whole != b->whole || a->status != b->status || strcmp(a->code, b->code) != 0 ||
        a->rest != b->rest || strcmp(ag_str_text(&a->passed), ag_str_text(&b->passed)) != 0)
        fail_msg("cut another way, another result: %d %d %s in place of %d %d %s for %s", b->whole, b->status,
                 b->code, a->whole, a->status, a->code, text);
}

/* The one result, whichever way the bytes are cut. */
static outcome result(const char *bytes, size_t n, size_t head_max)
{
    outcome all = feed(bytes, n, n, head_max);
    size_t step = n > 2000 ? n / 50 : 1;
    for (size_t cut = 0; cut < n; cut += step) {
        outcome parts = feed(bytes, n, cut, head_max);
        same(&all, &parts, bytes);
        ag_str_free(&parts.passed);
    }
    return all;
}

#define LINE    "POST /echo HTTP/1.1\r\n"
#define HOST    "Host: localhost\r\n"
#define CHUNKED LINE HOST "Transfer-Encoding: chunked\r\n\r\n"
#define GOOD    "GET / HTTP/1.1\r\n" HOST "\r\n"

static void test_passes(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        int whole;
        const char *passed; /* NULL: all of it */
    } rows[] = {
        {"", 0, NULL},
        {GOOD, 1, NULL},
        {GOOD GOOD GOOD, 3, NULL},
        {"\r\n\r\n" GOOD "\n" GOOD, 2, GOOD GOOD},
        {"GET / HTTP/1.1\nHost: x\n\n", 1, NULL},
        {"GET / HTTP/1.1\nHost: x\n\r\n", 1, NULL},
        {"GET / HTTP/1.0\r\n\r\n", 1, NULL},
        {"GET / HTTP/1.9\r\nHost:\r\n\r\n", 1, NULL},
        {"GET /\xC3\xA4?a=b&c HTTP/1.1\r\nHost: [::1]:80\r\nX:\t a\xFF b\r\nY:\r\n\r\n", 1, NULL},
        {LINE "Host: x \r\nX:\t\nTransfer-Encoding: chunked \t\r\n\r\n0\r\n\r\n", 1,
         LINE "Host: x\r\nX:\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {"GET http://localhost:80/x?y HTTP/1.1\r\n" HOST "\r\n", 1, NULL},
        {"GET HTTP://localhost HTTP/1.1\r\n" HOST "\r\n", 1, NULL},
        {LINE HOST "Content-Length: 0\r\n\r\n" GOOD, 2, NULL},
        {LINE HOST "content-length:005\r\nExpect: 100-Continue\r\n\r\nab\0\r\n" GOOD, 2, NULL},
        {LINE HOST "Content-Length: 5\r\n\r\nabcd", 0, NULL},
        {"GET / HTTP/1.0\r\nExpect: tea\r\n\r\n", 1, NULL},
        {CHUNKED "0\r\n\r\n" GOOD, 2, NULL},
        {CHUNKED "3\r\nabc\r\n00A\r\n0123456789\r\n000\r\n\r\n" GOOD, 2, NULL},
        {CHUNKED "3;a=\"b;c\"\r\nabc\r\n1 \t;x\r\nd\r\n0;last\r\n\r\n", 1,
         CHUNKED "3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"},
        {CHUNKED "1\r\na\r\n0\r\nX-Sum: 1\r\nContent-Length: 7\r\n\r\n" GOOD, 2,
         CHUNKED "1\r\na\r\n0\r\n\r\n" GOOD},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = strlen(rows[i].bytes);
        if (strstr(rows[i].bytes, "005")) n += 3 + strlen(GOOD); /* a NUL in the body */
        outcome o = result(rows[i].bytes, n, HEAD_MAX);
        if (o.whole != rows[i].whole || o.status != 0 || o.rest != 0)
            fail_msg("row %zu: %d whole, status %d, %zu bytes wait", i, o.whole, o.status, o.rest);
        const char *passed = rows[i].passed ? rows[i].passed : rows[i].bytes;
        assert_int_equal(o.passed.len, rows[i].passed ? strlen(passed) : n);
        assert_memory_equal(ag_str_text(&o.passed), passed, o.passed.len);
        ag_str_free(&o.passed);
    }
}

static const struct {
    const char *bytes;
    int status;
    const char *code;
    size_t len; /* 0: to the NUL */
} refusals[] = {
    {"nothing\r\n", 400, "not_http", 0},
    {"GET /\r\n", 400, "not_http", 0},
    {"GET  / HTTP/1.1\r\n", 400, "not_http", 0},
    {"GET / x HTTP/1.1\r\n", 400, "not_http", 0},
    {" GET / HTTP/1.1\r\n", 400, "not_http", 0},
    {"\0GET / HTTP/1.1\r\n", 400, "not_http", 17},
    {"GET /\0 HTTP/1.1\r\n", 400, "not_http", 17},
    {"GET /a\tb HTTP/1.1\r\n", 400, "not_http", 0},
    {"GET /\x7F HTTP/1.1\r\n", 400, "not_http", 0},
    {"\x16\x03\x01", 400, "not_http", 0},
    {"GET /a\rb HTTP/1.1\r\n", 400, "not_http", 0},
    {"{", 400, "not_http", 0},
    {"\rGET / HTTP/1.1\r\n", 400, "not_http", 0},
    {"BREW /pot x/1\r\nmore", 400, "not_http", 0},
    {"GET / HTTP/1.\r\n", 400, "not_http", 0},
    {"GET / http/1.1\r\n", 400, "not_http", 0},
    {"GET / HTTP/11.1\r\n", 400, "not_http", 0},
    {"GET / HTTP/1.x\r\n", 400, "not_http", 0},
    {"GET / \r\n", 400, "not_http", 0},
    {"GET / HTTP/1.1 \r\n", 400, "not_http", 0},
    {"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ / HTTP/1.1\r\n", 400, "not_http", 0},
    {"GET / HTTP/2.0\r\n", 505, "unknown_version", 0},
    {"GET / HTTP/0.9\r\n", 505, "unknown_version", 0},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "unknown_version", 0},
    {"GET /a%00b HTTP/1.1\r\n", 400, "invalid_path", 0},
    {"GET /?a=%00 HTTP/1.1\r\n", 400, "invalid_path", 0},
    {"GET * HTTP/1.1\r\n", 400, "invalid_path", 0},
    {"GET echo HTTP/1.1\r\n", 400, "invalid_path", 0},
    {"GET ftp://x/ HTTP/1.1\r\n", 400, "invalid_path", 0},
    {"GET http:/// HTTP/1.1\r\n", 400, "invalid_path", 0},
    {"GET http:// HTTP/1.1\r\n", 400, "invalid_path", 0},
    {"GET http://me@x/ HTTP/1.1\r\n", 400, "invalid_path", 0},
    {"GET http://x%2Fy/ HTTP/1.1\r\n", 400, "invalid_path", 0},
    {"CONNECT localhost:80 HTTP/1.1\r\n", 501, "unknown_method", 0},
    {"OPTIONS * HTTP/1.1\r\n", 501, "unknown_method", 0},
    {"GET / HTTP/1.1\r\n\r\n", 400, "no_host", 0},
    {GOOD "GET / HTTP/1.1\r\n\r\n", 400, "no_host", 0},
    {LINE HOST HOST "\r\n", 400, "two_hosts", 0},
    {"GET / HTTP/1.0\r\n" HOST HOST "\r\n", 400, "two_hosts", 0},
    {LINE "Host: a b\r\n", 400, "invalid_host", 0},
    {LINE "Host: me@x\r\n", 400, "invalid_host", 0},
    {LINE "Host: x/y\r\n", 400, "invalid_host", 0},
    {LINE "Host: \xC3\xA4\r\n", 400, "invalid_host", 0},
    {LINE "nothing\r\n", 400, "invalid_header", 0},
    {LINE HOST ": x\r\n", 400, "invalid_header", 0},
    {LINE HOST "X : y\r\n", 400, "invalid_header", 0},
    {LINE HOST "X\t: y\r\n", 400, "invalid_header", 0},
    {LINE HOST "X y: z\r\n", 400, "invalid_header", 0},
    {LINE HOST "X\xC3\xA4: z\r\n", 400, "invalid_header", 0},
    {LINE HOST "X: a\r\n b\r\n", 400, "invalid_header", 0},
    {LINE " Host: x\r\n", 400, "invalid_header", 0},
    {LINE HOST "X: a\rb\r\n", 400, "invalid_header", 0},
    {LINE HOST "X: a\r\r\n", 400, "invalid_header", 0},
    {LINE HOST "\rX: a\r\n", 400, "invalid_header", 0},
    {LINE HOST "X: a\0b\r\n", 400, "invalid_header", sizeof LINE HOST "X: a\0b\r\n" - 1},
    {LINE HOST "X: \x01\r\n", 400, "invalid_header", 0},
    {LINE HOST "X: \x7F\r\n", 400, "invalid_header", 0},
    {LINE HOST "Content-Length: \r\n", 400, "invalid_length", 0},
    {LINE HOST "Content-Length: -5\r\n", 400, "invalid_length", 0},
    {LINE HOST "Content-Length: +5\r\n", 400, "invalid_length", 0},
    {LINE HOST "Content-Length: 0x5\r\n", 400, "invalid_length", 0},
    {LINE HOST "Content-Length: 5, 5\r\n", 400, "invalid_length", 0},
    {LINE HOST "Content-Length: 5 5\r\n", 400, "invalid_length", 0},
    {LINE HOST "Content-Length: 1234567890123456789\r\n", 413, "too_large", 0},
    {LINE HOST "Content-Length: 5\r\nContent-Length: 5\r\n", 400, "two_lengths", 0},
    {LINE HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400, "two_lengths", 0},
    {LINE HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400, "two_lengths", 0},
    {LINE HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400, "two_lengths", 0},
    {LINE HOST "Transfer-Encoding: gzip\r\n", 501, "unknown_coding", 0},
    {LINE HOST "Transfer-Encoding: gzip, chunked\r\n", 501, "unknown_coding", 0},
    {LINE HOST "Transfer-Encoding: chunked, chunked\r\n", 501, "unknown_coding", 0},
    {LINE HOST "Transfer-Encoding:\r\n", 501, "unknown_coding", 0},
    {LINE HOST "Transfer-Encoding: \x0B"
               "chunked\r\n",
     400, "invalid_header", 0},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", 400, "unknown_coding", 0},
    {LINE HOST "Expect: tea\r\n", 417, "unknown_expectation", 0},
    {CHUNKED "\r\n\r\n", 400, "invalid_chunk", 0},
    {CHUNKED "zz\r\n", 400, "invalid_chunk", 0},
    {CHUNKED "-5\r\n", 400, "invalid_chunk", 0},
    {CHUNKED "0x5\r\n", 400, "invalid_chunk", 0},
    {CHUNKED "5 \r\n", 400, "invalid_chunk", 0},
    {CHUNKED " 5\r\n", 400, "invalid_chunk", 0},
    {CHUNKED "5 5\r\n", 400, "invalid_chunk", 0},
    {CHUNKED ";a\r\n", 400, "invalid_chunk", 0},
    {CHUNKED "5\nabcde\r\n", 400, "invalid_chunk", 0},
    {CHUNKED "5;a\rb\r\n", 400, "invalid_chunk", 0},
    {CHUNKED "5;\x01\r\n", 400, "invalid_chunk", 0},
    {CHUNKED "2\r\nabc\r\n", 400, "invalid_chunk", 0},
    {CHUNKED "2\r\nab\n0\r\n", 400, "invalid_chunk", 0},
    {CHUNKED "2\r\nab\rX", 400, "invalid_chunk", 0},
    {CHUNKED "1\r\na\r\nq\r\n", 400, "invalid_chunk", 0},
    {CHUNKED "ffffffffffffffffff\r\n", 413, "too_large", 0},
    {CHUNKED "0\r\nnothing\r\n", 400, "invalid_header", 0},
    {CHUNKED "0\r\n: x\r\n", 400, "invalid_header", 0},
    {CHUNKED "0\r\nX: y\n\r\n", 400, "invalid_header", 0},
    {CHUNKED "0\r\n\n", 400, "invalid_header", 0},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        size_t n = refusals[i].len ? refusals[i].len : strlen(refusals[i].bytes);
        outcome o = result(refusals[i].bytes, n, HEAD_MAX);
        if (o.status != refusals[i].status || strcmp(o.code, refusals[i].code) != 0)
            fail_msg("row %zu: %d %s in place of %d %s for %s", i, o.status, o.code, refusals[i].status,
                     refusals[i].code, refusals[i].bytes);
        ag_str_free(&o.passed);
    }
}

/* A text with `count` times `piece` in it. */
static int many(const char *before, const char *piece, int count, const char *behind, const char **code)
{
    ag_str text = {0};
    ag_str_add(&text, before);
    for (int i = 0; i < count; i++) ag_str_add(&text, piece);
    ag_str_add(&text, behind);
    outcome o = result(ag_str_text(&text), text.len, HEAD_MAX);
    int status = o.status ? o.status : o.whole == 1 && o.rest == 0 ? 200 : 0;
    *code = o.code;
    ag_str_free(&o.passed);
    ag_str_free(&text);
    return status;
}

static void test_limits(void **state)
{
    (void)state;
    const int line = (int)strlen(LINE HOST "X: \r\n\r\n"), part = AG_HTTP_PARTS_MAX;
    static const char tail[] = " HTTP/1.1\r\n" HOST "\r\n";
    const struct {
        const char *before, *piece;
        int most; /* so many pieces are taken; one more is refused */
        const char *behind;
        int status;
        const char *code;
        int endless; /* status when far too many come, and no end */
    } rows[] = {
        {LINE HOST "X: ", "y", HEAD_MAX - line, "\r\n\r\n", 431, "too_large", 431},
        {"GET /", "y", HEAD_MAX / 2 - 15, tail, 414, "too_long", 414},
        {"GET /?", "a&", part - 2, tail, 431, "too_many", 414},
        {LINE HOST, "X:\r\n", part - 1, "\r\n", 431, "too_many", 431},
        {LINE HOST "Cookie: ", "a=b;", part - 3, "\r\n\r\n", 431, "too_many", 431},
        {LINE HOST "Cookie: ", "a,", part - 3, "\r\n\r\n", 431, "too_many", 431},
        {CHUNKED "0;", "x", AG_HTTP_CHUNK_LINE - 4, "\r\n\r\n", 400, "invalid_chunk", 400},
        {CHUNKED "", "000", 5, "\r\n\r\n", 413, "too_large", 400},
        {CHUNKED "0\r\n", "X: abc\r\n", HEAD_MAX / 8 - 1, "\r\n", 431, "too_large", 431},
        {"", "\r\n", HEAD_MAX / 2 - 1, GOOD, 400, "not_http", 400},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *code;
        int most = many(rows[i].before, rows[i].piece, rows[i].most, rows[i].behind, &code);
        if (most != 200) fail_msg("row %zu: %d %s for what should just fit", i, most, code);
        int over = many(rows[i].before, rows[i].piece, rows[i].most + 1, rows[i].behind, &code);
        if (over != rows[i].status || strcmp(code, rows[i].code) != 0)
            fail_msg("row %zu: %d %s in place of %d %s", i, over, code, rows[i].status, rows[i].code);
        int endless = many(rows[i].before, rows[i].piece, 3 * HEAD_MAX, "", &code);
        if (endless != rows[i].endless) fail_msg("row %zu: %d without end", i, endless);
    }
}

/* Who may keep the connection. */
static void test_last(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        bool last, head;
    } rows[] = {
        {GOOD, false, false},
        {"HEAD / HTTP/1.1\r\n" HOST "\r\n", false, true},
        {"GET / HTTP/1.1\r\n" HOST "Connection: Close\r\n\r\n", true, false},
        {"GET / HTTP/1.1\r\n" HOST "Connection: keep-alive,\tclose ,x\r\n\r\n", true, false},
        {"GET / HTTP/1.1\r\n" HOST "Connection: closed\r\n\r\n", false, false},
        {"GET / HTTP/1.0\r\n\r\n", true, false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ag_http_framing f = {.head_max = HEAD_MAX};
        size_t count;
        assert_int_equal(ag_http_framing_next(&f, rows[i].bytes, strlen(rows[i].bytes), &count),
                         AG_HTTP_PASS);
        assert_true(f.whole && f.last == rows[i].last && f.head == rows[i].head);
        assert_int_equal(ag_http_framing_next(&f, "", 0, &count), AG_HTTP_MORE);
        assert_false(f.whole || f.last || f.head);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
