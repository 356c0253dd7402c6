/* http.h: an HTTP/1.1 server as a table of routes, over libmicrohttpd. TLS is left to a proxy in front.
 *
 * A connection has a thread of its own (at most `connections` of them), so a handler may block. What reaches a handler is
 * whole and checked: the framing, the body within its limit and of a type that the route takes, header and query text valid UTF-8, the token
 * right. All else is answered here, as JSON: 400, 401, 404, 405, 408, 413, 414, 415, 417, 421, 431, 501, 503, 505. Every answer carries the
 * safety headers (a Content-Security-Policy without inline code) and a request id, but for refusals of what is no well-framed request or
 * does not arrive in time. One JSON line a request is the log.
 */
#ifndef AG_SERVE_HTTP_H
#define AG_SERVE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "base/str.h"

typedef struct ag_http_pair {
    const char *name, *value; /* UTF-8, never NULL */
} ag_http_pair;

/* A request, whole. All of it is borrowed and lives until the handler returns. */
typedef struct ag_http_request {
    const char *method; /* "GET" for HEAD as well */
    const char *path;   /* decoded, without the query */
    const char *rest;   /* what stands in place of the route's final '*'; "" for other routes */
    const char *body;   /* NUL terminated behind body_len; "" when there is none */
    size_t body_len;
    const char *content_type; /* as sent; "" when absent */
    const ag_http_pair *query, *headers;
    size_t query_count, header_count;
    const char *peer;     /* numeric address */
    const char *id;       /* X-Request-Id: the client's when it is fit to be repeated, else ours */
    double start;         /* ag_clock() when its first line arrived */
    const void *internal; /* for ag_http_gone */
} ag_http_request;

/* The value of a query parameter (names exact) or header (names without case); NULL when absent. */
const char *ag_http_query(const ag_http_request *request, const char *name);
const char *ag_http_header(const ag_http_request *request, const char *name);
/* Did the client hang up? Cheap; a handler that waits may ask now and then. */
bool ag_http_gone(const ag_http_request *request);

enum { AG_HTTP_HEADERS_MAX = 8 };
/* The answer, zeroed before the handler. The body is `text` (freed by the server) or, when `fixed` is set, bytes that outlive the
 * server. */
typedef struct ag_http_response {
    int status;               /* 0: 200 */
    const char *content_type; /* outlives the server; NULL: application/json */
    ag_str text;
    const char *fixed;
    size_t fixed_len;
    ag_http_pair headers[AG_HTTP_HEADERS_MAX]; /* by ag_http_add_header */
    int header_count;
    char note[200]; /* for the log: why, or "" */
    char scratch[512];
    size_t scratch_used;
} ag_http_response;

/* Adds a header; the value is copied. Lines ends and what does not fit are dropped whole (then nothing is added). Content-Type
 * and Connection are the server's. */
void ag_http_add_header(ag_http_response *response, const char *name, const char *value);
/* Makes the answer an error: {"error": {"message": ..., "type": ..., "param": ..., "code": ...}}, the shape that OpenAI's clients
 * read; type follows from the status; param (a field's path) and code may be NULL (null). Throws away what `text` held. */
void ag_http_fail(ag_http_response *response, int status, const char *param, const char *code,
                  const char *format, ...) AG_PRINTF(5, 6);

/* Runs on the connection's thread, many at a time. `user` is the route's. */
typedef void (*ag_http_handler)(void *user, const ag_http_request *request, ag_http_response *response);

enum {
    AG_HTTP_OPEN = 1, /* no token needed (a page's files, health) */
    AG_HTTP_QUIET = 2 /* not logged when it succeeds (health, metrics) */
};

typedef struct ag_http_route {
    const char *method; /* GET (HEAD comes with it), POST, PUT, PATCH or DELETE; NULL ends the table */
    const char *path; /* exact, or with a final '*' for all that begins so; the first row that fits counts */
    ag_http_handler handler;
    const char *accepts; /* content types of the body, separated by '|', without parameters; NULL: any */
    unsigned flags;
    size_t body_bytes; /* limit of this route; 0: the server's */
    void *user;
} ag_http_route;

/* What one request came to, for metrics. */
typedef struct ag_http_record {
    const char *route; /* path of the route's row; "-" when none fits */
    const char *method;
    int status;
    double seconds; /* from the first line to the last byte of the answer */
    bool aborted;   /* the client left before it had the answer */
} ag_http_record;

typedef struct ag_http_options {
    const char *listen; /* "HOST:PORT", "[V6]:PORT"; HOST an address or localhost; port 0: any that is free */
    const char *token;  /* bearer token; NULL: none, and then only loopback addresses may be listened on */
    const char *
        host; /* without a token: a name that Host may carry beside addresses and localhost (a proxy's); or NULL */
    const char *
        images; /* further sources of images for the content-security policy ("https://img.shop.example"); or NULL */
    const char *log;      /* file that log lines are appended to; NULL: stderr; "": no log */
    size_t body_bytes;    /* of one request: 413; 0: 4 MiB */
    size_t body_total;    /* of all requests together: 503; 0: 64 MiB */
    size_t header_bytes;  /* of a head: 431; half of it for its request line: 414; 0: 32 KiB */
    int connections;      /* more wait to be accepted; 0: 256 */
    double idle_seconds;  /* a connection without a request is closed; 0: 30 */
    double read_seconds;  /* first line to last byte of the body: 408; 0: 20 */
    double write_seconds; /* for the answer; 0: 60 */
    void (*observe)(void *user,
                    const ag_http_record *record); /* after each request, any thread; NULL: none */
    void *observe_user;
} ag_http_options;

typedef struct ag_http ag_http;
/* Listens and serves in threads of its own. Options and their texts are copied; the routes are borrowed. AG_ERR_USAGE for an address
 * that is none or public without a token; AG_ERR_IO when it cannot listen. */
ag_status ag_http_start(ag_http **http, const ag_http_options *options, const ag_http_route *routes,
                        ag_error *err);
/* "127.0.0.1:8080": with the port that was taken. Lives as long as the server. */
const char *ag_http_address(const ag_http *http);
/* Connections at present, for metrics. */
int ag_http_connections(ag_http *http);
/* Takes no new connections, answers every request that had arrived (at most `grace` seconds; of those that a client sent without
 * waiting for answers, the ones read so far), closes and frees. Returns how many requests were cut off: 0 after a clean stop. Safe
 * with NULL. */
int ag_http_stop(ag_http *http, double grace);

/* Reads a token file: one line of 16 to 512 visible ASCII characters; ends of line around it are dropped. *token: ag_free. */
ag_status ag_http_token_read(char **token, const char *path, ag_error *err);

#endif
