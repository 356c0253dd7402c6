/* http.c: the life of requests: see http.h.
 *
 * http_front.c has the clients, their framing and all limits of time; libmicrohttpd parses, has a thread for each connection, and writes
 * into the front's socket pair. What comes here is whole and well framed.
 */
#include "serve/http_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    STACK_BYTES = 1 << 20,
    SWALLOW_BYTES =
        64 << 20, /* a body that is refused is still read up to here, so that the client reads the answer */
    ID_MAX = 128
};
static const double SETTLE = 0.2; /* seconds that connections half made get to be finished when we stop */

/* A request from its first line to the end of its answer. */
typedef struct exchange {
    ag_http *http;
    ag_http_link *link;
    struct MHD_Connection *mhd;
    double start;
    const ag_http_route *route;
    const char *rest;
    ag_str body;
    size_t declared, held; /* bytes: Content-Length; our part of body_held */
    ag_http_response response;
    bool refused; /* response is the answer, whatever the body says */
    int status;
    size_t bytes_out;
    const char *peer;
    char method[16], id[ID_MAX + 1], *path;
    ag_http_pair *query, *headers;
    size_t query_count, query_cap, header_count, header_cap;
    bool bad_text, out_of_memory;
} exchange;

/* --- the log ---------------------------------------------------------------------------------------------------- */

/* Neither a full disk nor a pipe that nobody reads may stop the service: what cannot be written is lost, and counted. */
static void write_line(ag_http *h, ag_str *line)
{
    struct pollfd room = {.fd = h->log_fd, .events = POLLOUT};
    pthread_mutex_lock(&h->log_lock);
    bool ready = poll(&room, 1, 0) == 1 && (room.revents & POLLOUT);
    if (ready && h->log_lost > 0) ag_str_addf(line, "{\"log_lines_lost\":%llu}\n", h->log_lost);
    if (ready && !line->failed && write(h->log_fd, line->data, line->len) == (ssize_t)line->len)
        h->log_lost = 0;
    else
        h->log_lost++;
    pthread_mutex_unlock(&h->log_lock);
}

static void log_line(exchange *x, double seconds, bool aborted)
{
    char when[40];
    struct timespec now;
    struct tm utc;
    ag_str s = {0};
    const char *path = x->path ? x->path : "";
    size_t n = strlen(path);
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc);
    ag_str_addf(&s, "{\"time\":\"%s.%03ldZ\",\"id\":", when, now.tv_nsec / 1000000);
    ag_json_quote(&s, x->id, strlen(x->id));
    ag_str_addf(&s, ",\"peer\":\"%s\",\"method\":", x->peer);
    ag_json_quote(&s, x->method, strlen(x->method));
    ag_str_add(&s, ",\"path\":");
    ag_json_quote(&s, path, n < 200 ? n : 200);
    ag_str_addf(&s, ",\"status\":%d,\"bytes_in\":%zu,\"bytes_out\":%zu,\"ms\":%.1f", x->status, x->body.len,
                x->bytes_out, 1000 * seconds);
    if (aborted) ag_str_add(&s, ",\"aborted\":true");
    if (x->response.note[0]) {
        ag_str_add(&s, ",\"note\":");
        ag_json_quote(&s, x->response.note, strlen(x->response.note));
    }
    ag_str_add(&s, "}\n");
    if (!s.failed) write_line(x->http, &s);
    ag_str_free(&s);
}

void ag_http_note(ag_http *h, const char *peer, const ag_http_refusal *why, double seconds)
{
    exchange x = {.http = h, .peer = peer, .status = why->status};
    snprintf(x.response.note, sizeof x.response.note, "%s", why->message);
    snprintf(x.id, sizeof x.id, "%016llx-%llx", h->id_salt,
             (unsigned long long)atomic_fetch_add(&h->next_id, 1));
    if (h->log_fd >= 0) log_line(&x, seconds, false);
    if (h->options.observe)
        h->options.observe(h->options.observe_user, &(ag_http_record){"-", "", why->status, seconds, false});
}

/* --- one request --------------------------------------------------------------------------------------------------- */

static void exchange_free(exchange *x)
{
    atomic_fetch_sub(&x->http->body_held, x->held);
    ag_str_free(&x->body);
    ag_str_free(&x->response.text);
    ag_free(x->query);
    ag_free(x->headers);
    ag_free(x->path);
    ag_free(x);
}

static void end_exchange(exchange *x, double seconds, bool aborted)
{
    ag_http *h = x->http;
    if (h->log_fd >= 0 && !(x->route && (x->route->flags & AG_HTTP_QUIET) && x->status < 400))
        log_line(x, seconds, aborted);
    if (h->options.observe)
        h->options.observe(
            h->options.observe_user,
            &(ag_http_record){x->route ? x->route->path : "-", x->method, x->status, seconds, aborted});
    exchange_free(x);
}

static void on_completed(void *user, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode code)
{
    exchange *x = *context;
    (void)mhd;
    if (!x) return;
    ag_http_link *l = x->link;
    ag_http_claim(l, &ag_http_busy);
    const ag_http_refusal *verdict = atomic_load(&l->verdict);
    if (verdict != &ag_http_ours) {
        x->status = verdict->status;
        snprintf(x->response.note, sizeof x->response.note, "%s", verdict->message);
    }
    bool aborted = verdict == &ag_http_ours
                       ? code != MHD_REQUEST_TERMINATED_COMPLETED_OK || atomic_load(&l->lost)
                       : atomic_load(&l->gone);
    *context = NULL;
    end_exchange(x, ag_clock() - x->start, aborted);
    ag_http_front_tell(user, l, AG_HTTP_ANSWERED);
}

/* A connection's link is known to the library from here to there. */
static void on_connection(void *user, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        ag_http_link *l = *context = ag_http_link_of(mhd);
        atomic_store(&l->started, true);
    } else {
        ag_http_front_tell(user, *context, AG_HTTP_CLOSED);
    }
}

static enum MHD_Result take_value(void *user, enum MHD_ValueKind kind, const char *name, const char *value)
{
    exchange *x = user;
    bool header = kind == MHD_HEADER_KIND;
    ag_http_pair **list = header ? &x->headers : &x->query;
    size_t *count = header ? &x->header_count : &x->query_count;
    if (!value) value = "";
    if (!ag_utf8_valid(name, strlen(name), NULL) || !ag_utf8_valid(value, strlen(value), NULL))
        x->bad_text = true;
    if (!ag_grow(list, header ? &x->header_cap : &x->query_cap, *count + 1, sizeof **list)) {
        x->out_of_memory = true;
        return MHD_NO;
    }
    (*list)[(*count)++] = (ag_http_pair){name, value};
    return MHD_YES;
}

static const char *header_of(exchange *x, const char *name)
{
    return ag_http_header(&(ag_http_request){.headers = x->headers, .header_count = x->header_count}, name);
}

static void choose_id(exchange *x)
{
    const char *given = header_of(x, "X-Request-Id");
    size_t n = given ? strlen(given) : 0;
    if (n >= 1 && n <= ID_MAX &&
        strspn(given, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:") == n)
        memcpy(x->id, given, n + 1);
    else
        snprintf(x->id, sizeof x->id, "%016llx-%llx", x->http->id_salt,
                 (unsigned long long)atomic_fetch_add(&x->http->next_id, 1));
}

static void refuse(exchange *x, int status, const char *code, const char *message)
{
    if (x->refused) return;
    x->refused = true;
    ag_http_fail(&x->response, status, NULL, code, "%s", message);
}

static size_t body_limit(const exchange *x)
{
    return x->route && x->route->body_bytes ? x->route->body_bytes : x->http->options.body_bytes;
}

/* The checks that need no body, in the order in which a client should hear of them. */
static void check_head(exchange *x, const char *host, const char *allow)
{
    ag_http *h = x->http;
    const ag_http_route *r = x->route;
    const char *length = header_of(x, "Content-Length"), *type = header_of(x, "Content-Type");
    if (length) x->declared = strtoull(length, NULL, 10);
    if (x->out_of_memory || !x->path) refuse(x, 503, NULL, "out of memory");
    if (x->bad_text || (x->path && !ag_utf8_valid(x->path, strlen(x->path), NULL)))
        refuse(x, 400, "invalid_utf8", "the request line or a header is not valid UTF-8");
    if (!h->token && !ag_http_host_right(host, h->host))
        refuse(x, 421, "unknown_host",
               "this server has no token and answers to addresses and localhost only");
    if (h->token && !(r && (r->flags & AG_HTTP_OPEN)) &&
        !ag_http_token_right(header_of(x, "Authorization"), h->token)) {
        refuse(x, 401, "invalid_token", "send the server's token as Authorization: Bearer TOKEN");
        ag_http_add_header(&x->response, "WWW-Authenticate", "Bearer");
    }
    if (!r && *allow) {
        refuse(x, 405, "method_not_allowed", "this path does not take that method");
        ag_http_add_header(&x->response, "Allow", allow);
    }
    if (!r) refuse(x, 404, "not_found", "there is nothing at this path");
    if (r && r->accepts && !ag_http_type_right(type ? type : "", r->accepts)) {
        refuse(x, 415, "unsupported_media_type",
               "the Content-Type of this request's body is not one it takes");
        ag_http_add_header(&x->response, "Accept", r->accepts);
    }
    if (x->declared > body_limit(x)) refuse(x, 413, "too_large", "the body is larger than this server takes");
}

/* Everything of a request but its body. */
static exchange *begin(ag_http *h, ag_http_link *l, struct MHD_Connection *mhd, const char *url,
                       const char *method)
{
    char allow[64] = "", *host = NULL;
    exchange *x = ag_calloc(1, sizeof *x);
    if (!x) return NULL;
    *x = (exchange){.http = h, .link = l, .mhd = mhd, .start = l->begun, .peer = l->peer, .rest = ""};
    snprintf(x->method, sizeof x->method, "%s", method);
    x->path = ag_strdup(ag_http_path_of(url, &host));
    MHD_get_connection_values(mhd, MHD_HEADER_KIND, take_value, x);
    MHD_get_connection_values(mhd, MHD_GET_ARGUMENT_KIND, take_value, x);
    choose_id(x);
    if (x->path) x->route = ag_http_find_route(h->routes, method, x->path, &x->rest, allow);
    check_head(x, host ? host : header_of(x, "Host"), allow);
    ag_free(host);
    return x;
}

static void take_body(exchange *x, const char *bytes, size_t n)
{
    ag_http *h = x->http;
    if (x->refused) return;
    if (x->body.len + n > body_limit(x)) {
        refuse(x, 413, "too_large", "the body is larger than this server takes");
    } else if (atomic_fetch_add(&h->body_held, n) + n > h->options.body_total) {
        atomic_fetch_sub(&h->body_held, n);
        refuse(x, 503, "busy", "the server holds as many request bodies as it may; try again");
        ag_http_add_header(&x->response, "Retry-After", "1");
    } else {
        x->held += n;
        ag_str_addn(&x->body, bytes, n);
        if (x->body.failed) refuse(x, 503, NULL, "out of memory");
    }
}

static void safety_headers(const exchange *x, struct MHD_Response *answer)
{
    const struct {
        const char *name, *value;
    } rows[] = {
        {"Content-Security-Policy", x->http->policy},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"X-Frame-Options", "DENY"},
        {"X-Request-Id", x->id},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        MHD_add_response_header(answer, rows[i].name, rows[i].value);
}

/* Queues the answer that x->response holds. */
static enum MHD_Result answer(exchange *x)
{
    ag_http_response *r = &x->response;
    struct MHD_Response *m;
    bool cached = false;
    if (!r->fixed && r->text.failed) ag_http_fail(r, 503, NULL, NULL, "out of memory");
    x->status = r->status ? r->status : 200;
    if (r->fixed) {
        x->bytes_out = r->fixed_len;
        m = MHD_create_response_from_buffer(r->fixed_len, (void *)(uintptr_t)r->fixed,
                                            MHD_RESPMEM_PERSISTENT);
    } else {
        x->bytes_out = r->text.len;
        m = MHD_create_response_from_buffer(r->text.len, (void *)(uintptr_t)ag_str_text(&r->text),
                                            MHD_RESPMEM_PERSISTENT); /* the exchange outlives it */
    }
    if (!m) return MHD_NO;
    MHD_add_response_header(m, "Content-Type", r->content_type ? r->content_type : "application/json");
    safety_headers(x, m);
    for (int i = 0; i < r->header_count; i++) {
        MHD_add_response_header(m, r->headers[i].name, r->headers[i].value);
        cached = cached || strcasecmp(r->headers[i].name, "Cache-Control") == 0;
    }
    if (!cached) MHD_add_response_header(m, "Cache-Control", "no-store");
    if (atomic_load(&x->http->stopping) && !atomic_load(&x->link->more)) atomic_store(&x->link->last, true);
    if (atomic_load(&x->link->last)) MHD_add_response_header(m, "Connection", "close");
    enum MHD_Result result = ag_http_claim(x->link, &ag_http_ours)
                                 ? MHD_queue_response(x->mhd, (unsigned)x->status, m)
                                 : MHD_NO;
    MHD_destroy_response(m);
    return result;
}

static void handle(exchange *x)
{
    const char *type = header_of(x, "Content-Type");
    ag_http_request request = {
        .method = strcmp(x->method, "HEAD") == 0 ? "GET" : x->method,
        .path = x->path,
        .rest = x->rest,
        .body = ag_str_text(&x->body),
        .body_len = x->body.len,
        .content_type = type ? type : "",
        .query = x->query,
        .headers = x->headers,
        .query_count = x->query_count,
        .header_count = x->header_count,
        .peer = x->peer,
        .id = x->id,
        .start = x->start,
        .internal = x->link,
    };
    x->route->handler(x->route->user, &request, &x->response);
}

/* libmicrohttpd calls it when the headers are there, for each piece of the body, and when all of it is there. */
static enum MHD_Result on_request(void *user, struct MHD_Connection *mhd, const char *url, const char *method,
                                  const char *version, const char *piece, size_t *piece_len, void **context)
{
    exchange *x = *context;
    (void)version;
    if (!x) {
        ag_http_link *l = ag_http_link_of(mhd);
        *context = x = begin(user, l, mhd, url, method);
        if (!x) { /* the front answers */
            ag_http_note(user, l->peer, &ag_http_busy, ag_clock() - l->begun);
            return MHD_NO;
        }
        /* A client that waits for leave to send, or would send without end, hears at once. */
        if (!x->refused || (x->declared <= SWALLOW_BYTES && !header_of(x, "Expect"))) return MHD_YES;
        atomic_store(&x->link->last, true);
        return answer(x);
    }
    if (*piece_len > 0) {
        take_body(x, piece, *piece_len);
        *piece_len = 0;
        return MHD_YES;
    }
    atomic_store(&x->link->handled, true);
    if (!x->refused) handle(x);
    return answer(x);
}

/* --- start and stop -------------------------------------------------------------------------------------------------- */

static ag_status open_socket(ag_http *h, ag_error *err)
{
    struct sockaddr_storage address;
    socklen_t len;
    bool loopback;
    int on = 1;
    AG_TRY(ag_http_parse_address(h->options.listen, &address, &len, &loopback, err));
    if (!loopback && !h->token)
        return ag_fail(
            err, AG_ERR_USAGE,
            "refusing to listen on %s without a token: others could reach it; give --token-file, or "
            "listen on 127.0.0.1 behind a proxy",
            h->options.listen);
    h->listen_fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (h->listen_fd < 0) return ag_fail_errno(err, "cannot open a socket for", h->options.listen);
    setsockopt(h->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(h->listen_fd, (struct sockaddr *)&address, len) != 0 || listen(h->listen_fd, 511) != 0)
        return ag_fail_errno(err, "cannot listen on", h->options.listen);
    if (getsockname(h->listen_fd, (struct sockaddr *)&address, &len) != 0)
        return ag_fail_errno(err, "cannot listen on", h->options.listen);
    ag_http_address_text((struct sockaddr *)&address, true, h->address, sizeof h->address);
    return AG_OK;
}

static ag_status copy_options(ag_http *h, const ag_http_options *o, ag_error *err)
{
    ag_str policy = {0};
    h->options = *o;
    if (!o->body_bytes) h->options.body_bytes = 4 << 20;
    if (!o->body_total) h->options.body_total = 64 << 20;
    if (!o->header_bytes) h->options.header_bytes = 32 << 10;
    if (o->connections <= 0) h->options.connections = 256;
    if (o->idle_seconds <= 0) h->options.idle_seconds = 30;
    if (o->read_seconds <= 0) h->options.read_seconds = 20;
    if (o->write_seconds <= 0) h->options.write_seconds = 60;
    ag_str_addf(&policy,
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:%s%s; "
                "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
                o->images ? " " : "", o->images ? o->images : "");
    h->policy = ag_str_take(&policy);
    if (o->token) h->token = ag_strdup(o->token);
    if (o->host) h->host = ag_strdup(o->host);
    if (!h->policy || (o->token && !h->token) || (o->host && !h->host)) return ag_fail_memory(err, "server");
    if (!o->log)
        h->log_fd = dup(STDERR_FILENO);
    else if (*o->log && (h->log_fd = open(o->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640)) < 0)
        return ag_fail_errno(err, "cannot open the log", o->log);
    return AG_OK;
}

static void quiet(void *user, const char *format, va_list args)
{
    (void)user, (void)format, (void)args;
}

/* The front has checked everything, so the library need not be strict. A connection's memory holds a head twice (as sent, and the cookies
 * again), a node for each part of it, and the answer's head; half of it is for what is read. So whatever the front lets through has room. */
static ag_status start_daemon(ag_http *h, ag_error *err)
{
    enum { NODE = 72, ANSWER_HEAD = 4096 };
    h->daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC |
            MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG,
        0, NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, quiet, NULL, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)h->options.connections + 8, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        2 * (h->options.header_bytes + NODE * AG_HTTP_PARTS_MAX + ANSWER_HEAD), MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)STACK_BYTES, MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, h, MHD_OPTION_END);
    return h->daemon ? AG_OK : ag_fail_errno(err, "cannot serve on", h->options.listen);
}

int ag_http_connections(ag_http *h)
{
    return atomic_load(&h->link_count);
}

static void *front_main(void *user)
{
    ag_http *h = user;
    while (!atomic_load(&h->stopping)) ag_http_front_step(h, 50);
    return NULL;
}

static ag_status start_front(ag_http *h, ag_error *err)
{
    int wrong = pthread_create(&h->front, NULL, front_main, h);
    h->front_runs = wrong == 0;
    return wrong == 0 ? AG_OK : ag_fail(err, AG_ERR_IO, "cannot start a thread: %s", strerror(wrong));
}

ag_status ag_http_start(ag_http **http, const ag_http_options *options, const ag_http_route *routes,
                        ag_error *err)
{
    ag_http *h = *http = ag_calloc(1, sizeof *h);
    if (!h) return ag_fail_memory(err, "server");
    h->listen_fd = h->log_fd = h->epoll_fd = h->wake_fd = -1;
    h->routes = routes;
    pthread_mutex_init(&h->lock, NULL);
    pthread_mutex_init(&h->log_lock, NULL);
    if (getrandom(&h->id_salt, sizeof h->id_salt, 0) != (ssize_t)sizeof h->id_salt)
        h->id_salt = (unsigned long long)(ag_clock() * 1e9);
    ag_status status = copy_options(h, options, err);
    if (status == AG_OK) status = open_socket(h, err);
    if (status == AG_OK) status = ag_http_front_open(h, err);
    if (status == AG_OK) status = start_daemon(h, err);
    if (status == AG_OK) status = start_front(h, err);
    if (status != AG_OK) {
        ag_http_stop(h, 0);
        *http = NULL;
    }
    return status;
}

const char *ag_http_address(const ag_http *h)
{
    return h->address;
}

/* From here on the system drops what opens connections and lets those half made be finished, so that none is reset when the
 * socket is closed: whoever tries in between tries again and is refused. Where filters are not to be had, the close is as usual. */
static void refuse_new(int fd)
{
    enum { FLAGS = 13, SYN = 2 }; /* a byte of the TCP header and a bit of it */
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xFFFFFFFF),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

/* What is asked gets its answer, and the last answer of each connection says so. How many requests had none in time. */
static int drain(ag_http *h, double grace)
{
    double begin = ag_clock();
    bool waiting = true;
    atomic_store(&h->stopping, true);
    pthread_join(h->front, NULL);
    h->stop_since = begin;
    refuse_new(h->listen_fd);
    while (ag_clock() - begin < grace && (waiting || ag_http_connections(h) > 0)) {
        bool more = ag_http_front_step(h, 10);
        if (waiting && !more && ag_clock() - begin > SETTLE) {
            waiting = false;
            close(h->listen_fd);
            h->listen_fd = -1;
        }
    }
    return ag_http_front_busy(h);
}

int ag_http_stop(ag_http *h, double grace)
{
    if (!h) return 0;
    int lost = h->front_runs ? drain(h, grace) : 0;
    ag_http_front_end(h);
    if (h->daemon) MHD_stop_daemon(h->daemon);
    ag_http_front_close(h);
    if (h->listen_fd >= 0) close(h->listen_fd);
    if (h->log_fd >= 0) close(h->log_fd);
    pthread_mutex_destroy(&h->lock);
    pthread_mutex_destroy(&h->log_lock);
    ag_free(h->token);
    ag_free(h->host);
    ag_free(h->policy);
    ag_free(h);
    return lost;
}
