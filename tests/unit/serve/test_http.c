/* test_http.c: the HTTP server by raw sockets: routing, checks, limits, late clients, the token, the stop. test_http_log.c has its log. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include "http_help.h"
#include "serve/http_parts.h"

static atomic_int seen[600];
static atomic_int aborted;

static void observe(void *user, const ag_http_record *r)
{
    (void)user;
    atomic_fetch_add(&seen[r->status], 1);
    if (r->aborted) atomic_fetch_add(&aborted, 1);
}

static void on_echo(void *user, const ag_http_request *q, ag_http_response *r)
{
    (void)user;
    const char *name = ag_http_query(q, "name"), *agent = ag_http_header(q, "USER-AGENT");
    r->content_type = "text/plain";
    ag_str_addf(&r->text, "%s %s rest=%s name=%s agent=%s type=%s body=%zu:", q->method, q->path, q->rest,
                name ? name : "-", agent ? agent : "-", q->content_type, q->body_len);
    ag_str_addn(&r->text, q->body, q->body_len);
}

static void on_slow(void *user, const ag_http_request *q, ag_http_response *r)
{
    (void)user, (void)q;
    nap(0.5);
    ag_str_add(&r->text, "slow");
}

static void on_gone(void *user, const ag_http_request *q, ag_http_response *r)
{
    atomic_int *told = user;
    for (int i = 0; i < 300 && !*told; i++) {
        nap(0.01);
        *told = ag_http_gone(q);
    }
    ag_str_add(&r->text, "gone");
}

static char big[8 << 20];

static void on_big(void *user, const ag_http_request *q, ag_http_response *r)
{
    (void)user, (void)q;
    r->fixed = big;
    r->fixed_len = sizeof big;
    ag_http_add_header(r, "Cache-Control", "max-age=60");
    ag_http_add_header(r, "X-Bad", "a\r\nX-Worse: b");
}

static atomic_int told_gone;
static const ag_http_route routes[] = {
    {"GET", "/echo", on_echo, NULL, 0, 0, NULL},
    {"POST", "/echo", on_echo, "application/json|text/csv", 0, 0, NULL},
    {"GET", "/items/*", on_echo, NULL, 0, 0, NULL},
    {"POST", "/small", on_echo, NULL, 0, 10, NULL},
    {"GET", "/open", on_echo, NULL, AG_HTTP_OPEN | AG_HTTP_QUIET, 0, NULL},
    {"GET", "/slow", on_slow, NULL, 0, 0, NULL},
    {"GET", "/gone", on_gone, NULL, 0, 0, &told_gone},
    {"GET", "/big", on_big, NULL, 0, 0, NULL},
    {0},
};

static ag_http *start(ag_http_options o)
{
    ag_error err = {0};
    ag_http *http = NULL;
    if (!o.listen) o.listen = "127.0.0.1:0";
    if (!o.log) o.log = "";
    o.observe = observe;
    if (ag_http_start(&http, &o, routes, &err) != AG_OK) fail_msg("%s", err.message);
    return http;
}

static void test_routes(void **state)
{
    (void)state;
    ag_http *h = start((ag_http_options){0});
    ag_str out = {0};
    assert_int_equal(ask(h, "GET /echo?name=J%C3%BCrg HTTP/1.1\r\nUser-Agent: x\r\n" HEAD "\r\n", &out), 200);
    assert_non_null(strstr(out.data, "GET /echo rest= name=J\xC3\xBCrg agent=x type= body=0:"));
    assert_int_equal(ask(h, "GET /items/a%20b/c HTTP/1.1\r\n" HEAD "\r\n", &out), 200);
    assert_non_null(strstr(out.data, "rest=a b/c "));
    assert_int_equal(ask(h,
                         "POST /echo HTTP/1.1\r\nContent-Type: Application/JSON; charset=utf-8\r\n"
                         "Content-Length: 4\r\n" HEAD "\r\nbody",
                         &out),
                     200);
    assert_non_null(strstr(out.data, "body=4:body"));
    assert_int_equal(
        ask(h,
            "POST /echo HTTP/1.1\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n" HEAD
            "\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
            &out),
        200);
    assert_non_null(strstr(out.data, "body=5:abcde"));
    assert_int_equal(ask(h, "HEAD /echo HTTP/1.1\r\n" HEAD "\r\n", &out), 200);
    assert_null(strstr(out.data, "rest="));
    assert_int_equal(ask(h, "GET /nothing HTTP/1.1\r\n" HEAD "\r\n", &out), 404);
    assert_non_null(strstr(out.data, "{\"error\":{\"message\":"));
    assert_int_equal(ask(h, "GET /../../etc/passwd HTTP/1.1\r\n" HEAD "\r\n", &out), 404);
    assert_int_equal(ask(h, "DELETE /echo HTTP/1.1\r\n" HEAD "\r\n", &out), 405);
    assert_non_null(strstr(out.data, "Allow: GET, HEAD, POST\r\n"));
    assert_int_equal(
        ask(h, "POST /echo HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n" HEAD "\r\nx", &out),
        415);
    assert_int_equal(ask(h, "POST /echo HTTP/1.1\r\nContent-Length: 1\r\n" HEAD "\r\nx", &out), 415);
    ag_str_free(&out);
    assert_int_equal(ag_http_stop(h, 5), 0);
}

static void test_safety(void **state)
{
    (void)state;
    ag_http *h = start((ag_http_options){.images = "https://img.example"});
    ag_str out = {0};
    assert_int_equal(ask(h, "GET /echo HTTP/1.1\r\nX-Request-Id: abc-1\r\n" HEAD "\r\n", &out), 200);
    assert_non_null(strstr(out.data, "X-Request-Id: abc-1\r\n"));
    assert_non_null(strstr(out.data, "X-Content-Type-Options: nosniff\r\n"));
    assert_non_null(strstr(out.data, "Cache-Control: no-store\r\n"));
    assert_non_null(
        strstr(out.data, "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
                         "img-src 'self' data: https://img.example;"));
    assert_null(strstr(out.data, "unsafe"));
    assert_int_equal(ask(h, "GET /echo HTTP/1.1\r\nX-Request-Id: a\"b\r\n" HEAD "\r\n", &out), 200);
    assert_null(strstr(out.data, "a\"b"));
    assert_non_null(strstr(out.data, "X-Request-Id: "));
    assert_int_equal(ask(h, "GET /big HTTP/1.1\r\n" HEAD "\r\n", &out), 200);
    assert_non_null(strstr(out.data, "Cache-Control: max-age=60\r\n"));
    assert_null(strstr(out.data, "X-Worse"));
    assert_true(out.len > sizeof big);
    static const char *const bad[] = {
        "GET /echo?name=%FF HTTP/1.1\r\n" HEAD "\r\n",
        "GET /%C3 HTTP/1.1\r\n" HEAD "\r\n",
        "GET /echo HTTP/1.1\r\nX: \xFF\r\n" HEAD "\r\n",
        "GET /echo%00x HTTP/1.1\r\n" HEAD "\r\n",
        "GET /echo?name=%00 HTTP/1.1\r\n" HEAD "\r\n",
        "GET /echo HTTP/1.1\r\n\r\n",
        "POST /echo HTTP/1.1\r\nContent-Type: text/csv\r\nContent-Length: x\r\n" HEAD "\r\n",
        "POST /echo HTTP/1.1\r\nContent-Type: text/csv\r\nContent-Length: -1\r\n" HEAD "\r\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int status = ask(h, bad[i], &out);
        if (status != 400) fail_msg("%d for %s", status, bad[i]);
    }
    /* Names that are not ours: a page elsewhere whose name was made to point here. */
    assert_int_equal(ask(h, "GET /echo HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", &out),
                     421);
    assert_int_equal(ask(h, "GET /echo HTTP/1.1\r\nHost: 127.0.0.1:99\r\nConnection: close\r\n\r\n", &out),
                     200);
    assert_int_equal(ask(h, "GET /echo HTTP/1.1\r\nHost: [::1]:99\r\nConnection: close\r\n\r\n", &out), 200);
    assert_int_equal(ask(h, "GET http://127.0.0.1%2Fevil.example/ HTTP/1.1\r\n" HEAD "\r\n", &out), 400);
    static const struct {
        const char *host;
        bool right;
    } hosts[] = {{"localhost", true},
                 {"127.0.0.1:", true},
                 {"shop:8080", true},
                 {"[::1]", true},
                 {"[::1]:1", true},
                 {"", false},
                 {"[", false},
                 {"[]", false},
                 {"[::1", false},
                 {"[::1]evil.example", false},
                 {"[::1]:x", false},
                 {"localhost:evil.example", false},
                 {"127.0.0.1:1:2", false},
                 {"evil.example:80", false},
                 {"127.0.0.1.evil.example", false}};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (ag_http_host_right(hosts[i].host, "shop") != hosts[i].right) fail_msg("%s", hosts[i].host);
    ag_str_free(&out);
    assert_int_equal(ag_http_stop(h, 5), 0);
}

static void test_limits(void **state)
{
    (void)state;
    ag_http *h = start((ag_http_options){.body_bytes = 100, .body_total = 200, .header_bytes = 4096});
    ag_str out = {0}, text = {0};
    assert_int_equal(ask(h, "POST /small HTTP/1.1\r\nContent-Length: 10\r\n" HEAD "\r\n0123456789", &out),
                     200);
    assert_int_equal(ask(h, "POST /small HTTP/1.1\r\nContent-Length: 11\r\n" HEAD "\r\n01234567890", &out),
                     413);
    assert_int_equal(ask(h,
                         "POST /small HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" HEAD
                         "\r\n8\r\nabcdefgh\r\n8\r\nabcdefgh\r\n0\r\n\r\n",
                         &out),
                     413);
    assert_int_equal(ask(h, "POST /small HTTP/1.1\r\nContent-Length: 1073741824\r\n" HEAD "\r\nx", &out),
                     413);
    assert_int_equal(
        ask(h, "POST /small HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n" HEAD "\r\nx", &out),
        413);
    assert_int_equal(
        ask(h, "POST /small HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n" HEAD "\r\n",
            &out),
        413);
    ag_str_add(&text, "GET /echo HTTP/1.1\r\n" HEAD);
    for (int i = 0; i < 2000; i++) ag_str_addf(&text, "X-%d: y\r\n", i);
    ag_str_add(&text, "\r\n");
    int status = ask(h, text.data, &out);
    assert_true(status == 431 || status == 413);
    ag_str_clear(&text);
    ag_str_add(&text, "GET /");
    for (int i = 0; i < 5000; i++) ag_str_addc(&text, 'a');
    ag_str_add(&text, " HTTP/1.1\r\n" HEAD "\r\n");
    status = ask(h, text.data, &out);
    assert_true(status == 414 || status == 431);
    /* Two bodies of 90 bytes are held, a third does not fit. */
    int held[2];
    char part[91];
    memset(part, 'x', 90);
    part[90] = '\0';
    for (int i = 0; i < 2; i++) {
        held[i] = connect_to(h);
        send_text(held[i],
                  "POST /echo HTTP/1.1\r\nContent-Type: text/csv\r\nContent-Length: 95\r\n" HEAD "\r\n");
        send_text(held[i], part);
    }
    nap(0.2);
    ag_str_clear(&text);
    ag_str_addf(
        &text, "POST /echo HTTP/1.1\r\nContent-Type: text/csv\r\nContent-Length: 90\r\n" HEAD "\r\n%s", part);
    assert_int_equal(ask(h, text.data, &out), 503);
    assert_non_null(strstr(out.data, "Retry-After: 1\r\n"));
    for (int i = 0; i < 2; i++) {
        send_text(held[i], "yyyyy");
        read_all(held[i], &out, 5);
        assert_int_equal(status_of(&out), 200);
        close(held[i]);
    }
    assert_int_equal(ask(h, text.data, &out), 200);
    ag_str_free(&out);
    ag_str_free(&text);
    assert_int_equal(ag_http_stop(h, 5), 0);
}

static void test_late(void **state)
{
    (void)state;
    ag_http *h = start((ag_http_options){.idle_seconds = 0.4, .read_seconds = 0.6, .write_seconds = 0.6});
    ag_str out = {0};
    double t = ag_clock();
    int idle = connect_to(h), heads = connect_to(h), body = connect_to(h), reader = connect_to(h);
    send_text(heads, "GET /echo HTTP/1.1\r\nHost: loc");
    send_text(body, "POST /echo HTTP/1.1\r\nContent-Type: text/csv\r\nContent-Length: 95\r\n" HEAD "\r\n");
    int room = 4096;
    setsockopt(reader, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    send_text(reader, "GET /big HTTP/1.1\r\n" HEAD "\r\n");
    for (int i = 0; i < 12; i++) { /* a trickle does not count as progress */
        nap(0.1);
        send_text(body, "x");
    }
    read_all(idle, &out, 5);
    assert_int_equal(out.len, 0);
    read_all(heads, &out, 5);
    assert_int_equal(status_of(&out), 408);
    read_all(body, &out, 5);
    assert_int_equal(status_of(&out), 408);
    assert_true(ag_clock() - t < 3);
    /* The reader has read nothing of its answer and still holds its end, but not a thread of ours. */
    for (int i = 0; i < 100 && ag_http_connections(h) > 0; i++) nap(0.02);
    assert_int_equal(ag_http_connections(h), 0);
    close(idle), close(heads), close(body), close(reader);
    /* The handler's time is its own. */
    assert_int_equal(ask(h, "GET /slow HTTP/1.1\r\n" HEAD "\r\n", &out), 200);
    ag_str_free(&out);
    assert_int_equal(ag_http_stop(h, 5), 0);
}

static void test_token(void **state)
{
    (void)state;
    ag_http *h = start((ag_http_options){.token = "0123456789abcdef"});
    ag_str out = {0};
    assert_int_equal(ask(h, "GET /echo HTTP/1.1\r\n" HEAD "\r\n", &out), 401);
    assert_non_null(strstr(out.data, "WWW-Authenticate: Bearer"));
    assert_non_null(strstr(out.data, "authentication_error"));
    assert_int_equal(ask(h, "GET /nothing HTTP/1.1\r\n" HEAD "\r\n", &out), 401);
    assert_int_equal(ask(h, "GET /open HTTP/1.1\r\n" HEAD "\r\n", &out), 200);
    static const char *const wrong[] = {
        "Bearer 0123456789abcdeg", "Bearer 0123456789abcde",   "Bearer ",
        "Basic 0123456789abcdef",  "Bearer 0123456789abcdef0", "0123456789abcdef"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[256];
        snprintf(text, sizeof text, "GET /echo HTTP/1.1\r\nAuthorization: %s\r\n" HEAD "\r\n", wrong[i]);
        assert_int_equal(ask(h, text, &out), 401);
    }
    assert_int_equal(
        ask(h, "GET /echo HTTP/1.1\r\nAuthorization: bearer 0123456789abcdef\r\n" HEAD "\r\n", &out), 200);
    /* With a token any Host will do. */
    assert_int_equal(
        ask(h,
            "GET /echo HTTP/1.1\r\nAuthorization: Bearer 0123456789abcdef\r\nHost: shop.example\r\n"
            "Connection: close\r\n\r\n",
            &out),
        200);
    ag_str_free(&out);
    assert_int_equal(ag_http_stop(h, 5), 0);
}

static void test_addresses(void **state)
{
    (void)state;
    ag_error err = {0};
    struct sockaddr_storage a;
    socklen_t len;
    bool loopback;
    static const struct {
        const char *text;
        int good, loopback;
    } rows[] = {{"127.0.0.1:80", 1, 1},
                {"localhost:0", 1, 1},
                {"[::1]:80", 1, 1},
                {"127.9.9.9:1", 1, 1},
                {"0.0.0.0:80", 1, 0},
                {"[::]:80", 1, 0},
                {"192.168.1.1:80", 1, 0},
                {"[::ffff:127.0.0.1]:1", 1, 1},
                {"[::ffff:10.0.0.1]:1", 1, 0},
                {"", 0, 0},
                {"8080", 0, 0},
                {":8080", 0, 0},
                {"127.0.0.1", 0, 0},
                {"127.0.0.1:", 0, 0},
                {"127.0.0.1:65536", 0, 0},
                {"127.0.0.1:-1", 0, 0},
                {"127.0.0.1:1x", 0, 0},
                {"shop.example:80", 0, 0},
                {"::1:80", 0, 0},
                {"[::1:80", 0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ag_status s = ag_http_parse_address(rows[i].text, &a, &len, &loopback, &err);
        if ((s == AG_OK) != rows[i].good || (s == AG_OK && loopback != rows[i].loopback))
            fail_msg("%s", rows[i].text);
    }
    ag_http *h = NULL;
    ag_http_options o = {.listen = "0.0.0.0:0", .log = ""};
    assert_int_equal(ag_http_start(&h, &o, routes, &err), AG_ERR_USAGE);
    assert_null(h);
    assert_non_null(strstr(err.message, "without a token"));
    o.token = "0123456789abcdef";
    assert_int_equal(ag_http_start(&h, &o, routes, &err), AG_OK);
    ag_http_options same = {.listen = ag_http_address(h), .log = "", .token = o.token};
    ag_http *second = NULL;
    assert_int_equal(ag_http_start(&second, &same, routes, &err), AG_ERR_IO);
    assert_int_equal(ag_http_stop(h, 5), 0);
    ag_http_stop(NULL, 0);
}

/* --- the stop ------------------------------------------------------------------------------------------------ */

typedef struct client {
    ag_http *http;
    pthread_t thread;
    int answered, refused, lost;
} client;

/* Asks on new connections until they are refused. A connection that was made must bring an answer. */
static void *client_main(void *user)
{
    client *c = user;
    ag_str out = {0};
    for (;;) {
        int fd = connect_to(c->http);
        if (fd < 0) break;
        send_text(fd, "GET /echo HTTP/1.1\r\n" HEAD "\r\n");
        read_all(fd, &out, 10);
        close(fd);
        if (status_of(&out) == 200)
            c->answered++;
        else {
            c->lost++;
            break;
        }
    }
    ag_str_free(&out);
    return NULL;
}

static void test_stop(void **state)
{
    (void)state;
    ag_http *h = start((ag_http_options){.connections = 64});
    /* The server's struct is gone after the stop, so the clients get a copy of what they need of it. */
    static struct ag_http copy;
    memcpy(copy.address, h->address, sizeof copy.address);
    client clients[8];
    int slow = connect_to(h), kept = connect_to(h), answered = 0, lost = 0;
    ag_str out = {0};
    for (int i = 0; i < 8; i++) {
        clients[i] = (client){.http = &copy};
        pthread_create(&clients[i].thread, NULL, client_main, &clients[i]);
    }
    nap(0.3);
    send_text(slow, "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n");
    nap(0.2);
    assert_int_equal(ag_http_stop(h, 10), 0);
    read_all(slow, &out, 5);
    assert_int_equal(status_of(&out), 200);
    assert_non_null(strstr(out.data, "Connection: close\r\n"));
    read_all(kept, &out, 5);
    assert_int_equal(out.len, 0);
    for (int i = 0; i < 8; i++) {
        pthread_join(clients[i].thread, NULL);
        answered += clients[i].answered;
        lost += clients[i].lost;
    }
    close(slow), close(kept);
    assert_true(answered > 8);
    assert_true(lost <=
                1); /* a connection made between the last accept and the close is reset by the system */
    ag_str_free(&out);
}

/* Connections past the limit wait; none is closed without an answer. */
static void test_crowd(void **state)
{
    (void)state;
    ag_http *h = start((ag_http_options){.connections = 4, .idle_seconds = 0.5});
    int idle[4], fd[40];
    ag_str out = {0};
    for (int i = 0; i < 4; i++) idle[i] = connect_to(h);
    for (int i = 0; i < 40; i++) {
        fd[i] = connect_to(h);
        send_text(fd[i], "GET /echo HTTP/1.1\r\n" HEAD "\r\n");
    }
    for (int i = 0; i < 40; i++) {
        assert_true(ag_http_connections(h) <= 4);
        read_all(fd[i], &out, 10);
        assert_int_equal(status_of(&out), 200);
        close(fd[i]);
    }
    for (int i = 0; i < 4; i++) close(idle[i]);
    ag_str_free(&out);
    assert_int_equal(ag_http_stop(h, 5), 0);
}

static void test_gone(void **state)
{
    (void)state;
    ag_http *h = start((ag_http_options){0});
    int fd = connect_to(h), before = atomic_load(&aborted);
    send_text(fd, "GET /gone HTTP/1.1\r\n" HEAD "\r\n");
    nap(0.1);
    assert_int_equal(told_gone, 0);
    close(fd);
    for (int i = 0; i < 100 && !told_gone; i++) nap(0.02);
    assert_int_equal(told_gone, 1);
    fd = connect_to(h);
    send_text(fd, "POST /echo HTTP/1.1\r\nContent-Type: text/csv\r\nContent-Length: 95\r\n" HEAD "\r\nabc");
    nap(0.1);
    close(fd);
    for (int i = 0; i < 100 && atomic_load(&aborted) == before; i++) nap(0.02);
    assert_true(atomic_load(&aborted) > before);
    /* One that ended only its own side in the middle of a body hears of it. */
    ag_str out = {0};
    fd = connect_to(h);
    send_text(fd, "POST /echo HTTP/1.1\r\nContent-Type: text/csv\r\nContent-Length: 95\r\n" HEAD "\r\nabc");
    shutdown(fd, SHUT_WR);
    read_all(fd, &out, 5);
    assert_int_equal(status_of(&out), 400);
    assert_non_null(strstr(out.data, "\"code\":\"incomplete\""));
    close(fd);
    ag_str_free(&out);
    assert_int_equal(ag_http_stop(h, 5), 0);
}

/* Heads up to the limits of bytes and parts, for which the library must have room; those past them; and lengths that are said twice. */
static void test_heads(void **state)
{
    (void)state;
    ag_http *h = start((ag_http_options){0});
    ag_str out = {0}, raw = {0};
    bool full = false;
    for (int bytes = 31000; bytes < 33000; bytes += 100) {
        ag_str_clear(&raw);
        ag_str_add(&raw, "POST /echo HTTP/1.1\r\nContent-Type: text/csv\r\nContent-Length: 3\r\n" HEAD "X: ");
        while (raw.len < (size_t)bytes) ag_str_addc(&raw, 'y');
        ag_str_add(&raw, "\r\n\r\nabc");
        int fd = connect_to(h);
        send_text(fd, ag_str_text(&raw));
        read_all(fd, &out, 5);
        int status = status_of(&out);
        assert_true(status == 431 ||
                    (status == 200 && !full)); /* always answered: the longer ones with a refusal */
        full = status == 431;
        close(fd);
    }
    assert_true(full);
    static const struct {
        const char *before, *piece, *behind;
        int count;
    } most[] = {
        {"GET /echo?", "a=1&", " HTTP/1.1\r\n" HEAD "\r\n", AG_HTTP_PARTS_MAX - 3},
        {"GET /echo HTTP/1.1\r\n" HEAD, "X:\r\n", "\r\n", AG_HTTP_PARTS_MAX - 2},
        {"GET /echo HTTP/1.1\r\n" HEAD "Cookie: ", "a;", "\r\n\r\n", AG_HTTP_PARTS_MAX - 4},
        {"GET /echo HTTP/1.1\r\n" HEAD "Cookie: ",
         "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz="
         "abcdefghijklmnopqrstuvwxyzabcdefgh;",
         "\r\n\r\n", AG_HTTP_PARTS_MAX - 4},
    };
    for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
        ag_str_clear(&raw);
        ag_str_add(&raw, most[i].before);
        for (int k = 0; k < most[i].count; k++) ag_str_add(&raw, most[i].piece);
        ag_str_add(&raw, most[i].behind);
        int status = ask(h, ag_str_text(&raw), &out);
        if (status != 200) fail_msg("row %zu of the largest: %d: %s", i, status, ag_str_text(&out));
    }
    int before = atomic_load(&seen[431]);
    ag_str_clear(&raw);
    ag_str_add(&raw, "GET /echo?");
    for (int i = 0; i < 700; i++) ag_str_add(&raw, "a=1&");
    ag_str_add(&raw, " HTTP/1.1\r\n" HEAD "\r\n");
    for (int i = 0; i < 3;
         i++) { /* libmicrohttpd before 1.0 closes; that the request is freed is the sanitizer's to tell */
        int fd = connect_to(h);
        send_text(fd, ag_str_text(&raw));
        read_all(fd, &out, 5);
        close(fd);
    }
    for (int i = 0; i < 100 && atomic_load(&seen[431]) + atomic_load(&seen[414]) < before + 3; i++) nap(0.02);
    assert_true(atomic_load(&seen[431]) + atomic_load(&seen[414]) >= before + 3);
    static const char *const doubled[] = {"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n",
                                          "Content-Length: 3\r\nContent-Length: 4\r\n"};
    for (int i = 0; i < 2; i++) {
        ag_str_clear(&raw);
        ag_str_addf(&raw,
                    "POST /echo HTTP/1.1\r\nContent-Type: text/csv\r\n%s" HEAD "\r\n3\r\nabc\r\n0\r\n\r\n",
                    doubled[i]);
        int fd = connect_to(h);
        send_text(fd, ag_str_text(&raw));
        read_all(fd, &out, 5);
        assert_int_equal(status_of(&out), 400);
        close(fd);
    }
    ag_str_free(&out);
    ag_str_free(&raw);
    assert_int_equal(ag_http_stop(h, 5), 0);
}

/* What never becomes a request is answered, counted and logged all the same. */
static void test_front(void **state)
{
    (void)state;
    ag_http *h = start((ag_http_options){.read_seconds = 0.3, .idle_seconds = 0.3});
    int before = atomic_load(&seen[400]), late = atomic_load(&seen[408]), coding = atomic_load(&seen[501]);
    static const char *const bad[] = {"rubbish\r\n\r\n", "\x16\x03\x01\x02", "GET /open\r\n\r\n",
                                      "{\"a\": 1}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(ask(h, bad[i], NULL), 400);
    assert_int_equal(atomic_load(&seen[400]) - before, 4);
    assert_int_equal(ask(h, "GET /op", NULL), 408);
    assert_int_equal(ask(h, "\r\n", NULL), 0);
    assert_int_equal(atomic_load(&seen[408]) - late, 1);
    assert_int_equal(ask(h, "", NULL), 0);
    assert_int_equal(
        ask(h, "POST /echo HTTP/1.1\r\nTransfer-Encoding: gzip\r\nContent-Type: text/plain\r\n" HEAD "\r\nx",
            NULL),
        501);
    assert_int_equal(ask(h,
                         "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n"
                         "Content-Type: text/plain\r\n" HEAD "\r\n3\r\nabc\r\n0\r\n\r\n",
                         NULL),
                     400);
    assert_int_equal(ask(h, "\r\nGET /open HTTP/1.1\r\n" HEAD "\r\n", NULL), 200);
    assert_int_equal(ag_http_stop(h, 5), 0);
    assert_int_equal(atomic_load(&seen[501]) - coding, 1);
}

/* How often `word` stands in the text. */
static int times(const ag_str *text, const char *word)
{
    int n = 0;
    for (const char *at = ag_str_text(text); (at = strstr(at, word)) != NULL; at++) n++;
    return n;
}

#define GOOD "GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n"

/* Requests of one connection are answered in their order, and a refusal comes behind the answers to what was right. */
static void test_order(void **state)
{
    (void)state;
    ag_http *h = start((ag_http_options){.idle_seconds = 0.5});
    static const struct {
        const char *text;
        int good;
        const char *last; /* of the last answer; NULL: it is good */
    } rows[] = {
        {GOOD GOOD "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n" GOOD "GET /open HTTP/1.1\r\n" HEAD "\r\n",
         5, NULL},
        {GOOD GOOD "\x16\x03", 2, "HTTP/1.1 400 "},
        {GOOD "GET / HTTP/3.0\r\n", 1, "HTTP/1.1 505 "},
        {GOOD "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nTransfer-Encoding: "
              "chunked\r\n\r\n"
              "3\r\nabc\r\nzz\r\n",
         1, "HTTP/1.1 400 "},
        {"GET http://127.0.0.1/echo?name=a HTTP/1.1\r\nHost: shop.example\r\n\r\n"
         "GET http://shop.example/echo HTTP/1.1\r\n" HEAD "\r\n",
         1, "HTTP/1.1 421 "},
        {"GET http://localhost HTTP/1.1\r\n" HEAD "\r\n" GOOD, 0, "HTTP/1.1 404 "},
        {"GET /open HTTP/1.1\r\n" HEAD "\r\nrubbish", 1, NULL}, /* nothing behind the last request counts */
        {"GET /open HTTP/1.0\r\n\r\nrubbish", 1, NULL},
        {GOOD "\r\n", 1, NULL}, /* nor does an empty line begin another one */
        {"\r\n" GOOD "\n\r\n" GOOD "\r\n\r\n", 2, NULL},
        {"GET /open HTTP/1.0\r\nConnection: keep-alive\r\n\r\nrubbish\r\n", 1, "HTTP/1.1 400 "},
        {"POST /echo HTTP/1.1\r\nContent-Type: text/csv\r\nExpect: 100-continue\r\nContent-Length: 1\r\n" HEAD
         "\r\nx",
         1, NULL},
    };
    ag_str out = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ask(h, rows[i].text, &out);
        int good = times(&out, "HTTP/1.1 200 ") + times(&out, "HTTP/1.0 200 ");
        int all = times(&out, "HTTP/1.") - times(&out, "HTTP/1.1 100 ") -
                  times(&out, "METHOD PATH HTTP/1.1") - times(&out, "speaks HTTP/1.1");
        if (good != rows[i].good || all != good + (rows[i].last != NULL) ||
            (rows[i].last && !strstr(out.data, rows[i].last)))
            fail_msg("row %zu: %d good of %d: %s", i, good, all, ag_str_text(&out));
    }
    ag_str_free(&out);
    assert_int_equal(ag_http_stop(h, 5), 0);
}

/* Byte by byte, an urgent byte in between, and ends of the client's side at every place: always one answer. */
static void test_pieces(void **state)
{
    (void)state;
    static const char text[] =
        "POST /echo HTTP/1.1\r\nHost: x.x.x.x\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n";
    ag_http *h = start((ag_http_options){.host = "x.x.x.x", .connections = 8});
    ag_str out = {0};
    int fd = connect_to(h), on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        send_bytes(fd, text + i, 1);
        if (i == 30) send(fd, "!", 1, MSG_OOB);
    }
    shutdown(fd, SHUT_WR);
    read_all(fd, &out, 5);
    assert_int_equal(status_of(&out), 200);
    assert_non_null(strstr(out.data, "body=5:abcde"));
    close(fd);
    for (size_t n = 1; n < sizeof text; n++) {
        fd = connect_to(h);
        send_bytes(fd, text, n);
        shutdown(fd, SHUT_WR);
        read_all(fd, &out, 5);
        if (status_of(&out) != (n == sizeof text - 1 ? 200 : 400) || times(&out, "HTTP/1.1 ") != 1)
            fail_msg("%zu bytes: %s", n, ag_str_text(&out));
        close(fd);
    }
    ag_str_free(&out);
    assert_int_equal(ag_http_stop(h, 5), 0);
}

static int open_files(void)
{
    int n = 0;
    for (int fd = 0; fd < 1024; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* Without a descriptor for the library's pair the answer is 503, and no place among the connections is lost. */
static void test_no_room(void **state)
{
    (void)state;
    int before = open_files(), busy = atomic_load(&seen[503]);
    ag_http *h = start((ag_http_options){.connections = 4});
    struct rlimit was, few;
    ag_str out = {0};
    getrlimit(RLIMIT_NOFILE, &was);
    for (int i = 0; i < 12; i++) {
        for (int k = 0; k < 200 && ag_http_connections(h) > 0; k++) nap(0.01);
        int fd = connect_to(h);
        few = (struct rlimit){(rlim_t)fd + 3, was.rlim_max}; /* for what accept gives, and one more */
        if (i % 2 == 0) setrlimit(RLIMIT_NOFILE, &few);
        nap(0.02);
        send_text(fd, "GET /echo HTTP/1.1\r\n" HEAD "\r\n");
        read_all(fd, &out, 5);
        assert_int_equal(status_of(&out), i % 2 == 0 ? 503 : 200);
        close(fd);
        setrlimit(RLIMIT_NOFILE, &was);
    }
    ag_str_free(&out);
    assert_int_equal(ag_http_stop(h, 5), 0);
    assert_int_equal(atomic_load(&seen[503]) - busy, 6);
    assert_int_equal(open_files(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes),  cmocka_unit_test(test_safety), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_late),    cmocka_unit_test(test_token),  cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_stop),    cmocka_unit_test(test_crowd),  cmocka_unit_test(test_gone),
        cmocka_unit_test(test_heads),   cmocka_unit_test(test_order),  cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_no_room), cmocka_unit_test(test_front),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
