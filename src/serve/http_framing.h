/* http_framing.h: where the requests in a client's bytes begin and end, and whether they may be answered at all (RFC 9112).
 *
 * It does no input or output: bytes go in, and out comes how many of them may be passed on, are to be dropped, or why the connection must
 * be refused. What passes is plain: one head, then a body by Content-Length or in bare chunks. Empty lines before a request, blanks at
 * the ends of header lines, the extensions of chunks and trailers are dropped. A head passes whole or not at all. The result does not depend on how the bytes were cut.
 */
#ifndef AG_SERVE_HTTP_FRAMING_H
#define AG_SERVE_HTTP_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    AG_HTTP_PARTS_MAX = 256, /* header lines, query arguments and cookies of one head together */
    AG_HTTP_CHUNK_LINE = 256 /* bytes of a chunk's head with its extensions and the end of line */
};

typedef struct ag_http_refusal {
    int status;
    const char *code, *message; /* they go into JSON as they are */
} ag_http_refusal;

typedef enum ag_http_step {
    AG_HTTP_MORE,   /* what is there is no whole head, or no whole line within a body */
    AG_HTTP_PASS,   /* so many bytes go on */
    AG_HTTP_SKIP,   /* so many bytes are dropped */
    AG_HTTP_REFUSED /* see refusal; nothing of the connection counts any more */
} ag_http_step;

/* Zeroed but for head_max: the beginning of a connection. */
typedef struct ag_http_framing {
    size_t head_max; /* bytes of a head, and of trailers: 431; half of it for the request line: 414 */
    const ag_http_refusal *refusal;
    bool whole; /* the last byte of a request was passed; the next call begins another */
    bool head;  /* the request's method is HEAD */
    bool last;  /* the connection ends with its answer */
    /* The rest is its own. */
    int unit, after; /* what the next bytes belong to, and what comes behind an end of line */
    size_t skip;     /* bytes to drop next */
    size_t at,
        seen;      /* of a head: where its line at hand begins, or how much is to pass; what was looked at */
    size_t loose;  /* bytes of empty lines, or of trailers */
    uint64_t left; /* bytes of the body or chunk */
    int spaces, parts;
    bool old, kept, has_host, has_length, chunked; /* old: HTTP/1.0; kept: with Connection: keep-alive */
} ag_http_framing;

/* What is to be done with the first of these bytes; *count says with how many. They are offered again until they were passed or skipped. */
ag_http_step ag_http_framing_next(ag_http_framing *f, const char *bytes, size_t n, size_t *count);

#endif
