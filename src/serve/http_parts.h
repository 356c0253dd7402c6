/* http_parts.h: what the files of the HTTP server share. */
#ifndef AG_SERVE_HTTP_PARTS_H
#define AG_SERVE_HTTP_PARTS_H

#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include "serve/http.h"

typedef enum ag_http_state {
    AG_HTTP_IDLE,     /* no request line yet: may be closed without a word */
    AG_HTTP_READING,  /* request line to the body's last byte */
    AG_HTTP_HANDLING, /* in the handler */
    AG_HTTP_WRITING   /* the answer is on its way */
} ag_http_state;

struct exchange; /* a request: http.c */

/* An open connection; in the server's list from accept to close. */
typedef struct ag_http_link {
    struct ag_http_link *next, *prev;
    int fd;
    ag_http_state state;
    double since;             /* of the state */
    bool cut;                 /* closed by us for being late */
    struct exchange *current; /* the request at hand; of the connection's own thread */
} ag_http_link;

typedef struct ag_http_front ag_http_front; /* a connection that has not shown its request line yet */

struct ag_http {
    ag_http_options options;
    const ag_http_route *routes;
    char *token, *host, *policy;
    char address[80];
    struct MHD_Daemon *daemon;
    int listen_fd, log_fd, epoll_fd;
    ag_http_front *fronts; /* of the accepter's thread, like the next two */
    char *peek;
    size_t peek_bytes;
    atomic_int front_count;
    atomic_size_t body_held;
    atomic_ullong next_id;
    unsigned long long id_salt;
    atomic_bool stopping;
    pthread_mutex_t lock; /* of what follows */
    ag_http_link *links;
    int link_count, pending; /* pending: given to the library, but not yet among the links */
    pthread_cond_t wake;
    bool reaper_stop, reaper_runs, accepter_runs;
    pthread_t reaper, accepter;
    pthread_mutex_t log_lock;
};

/* Connections at present, wherever they are. */
int ag_http_held(ag_http *h);
void ag_http_change_pending(ag_http *h, int by);
/* Log and metrics hear of a request that the library never saw. */
void ag_http_note(ag_http *h, const char *peer, int status, const char *why, double seconds);

/* --- http_front.c --- */
ag_status ag_http_front_open(ag_http *h, ag_error *err);
/* Takes connections that wait and looks at those that are there, for at most wait_ms. One without a byte is closed after `idle` seconds,
 * counted from `from` (by ag_clock) at the earliest. True: more may wait to be accepted. */
bool ag_http_front_step(ag_http *h, int wait_ms, double idle, double from);
/* Closes what is left; how many were sending a request. */
int ag_http_front_close(ag_http *h);
/* The first line of a request in `bytes`, of which there are `most` at most: 0 good, -1 not whole yet, else the status of its refusal. */
int ag_http_check_line(const char *bytes, size_t n, size_t most);
/* Sends an error as a whole answer, without waiting; code and message go into JSON as they are. */
void ag_http_say(int fd, int status, const char *code, const char *message);

/* "HOST:PORT" to a socket address; *loopback: only this machine can reach it. */
ag_status ag_http_parse_address(const char *text, struct sockaddr_storage *address, socklen_t *len,
                                bool *loopback, ag_error *err);
/* The numeric form, with the port when `port`. */
void ag_http_address_text(const struct sockaddr *address, bool port, char *out, size_t size);
/* Does "Bearer X" carry the token? Takes the same time wherever they differ. */
bool ag_http_token_right(const char *authorization, const char *token);
/* May a Host header's value be answered without a token? Addresses, localhost and `allowed`: a page of some other name
 * that was made to point here must not use the reader's browser. */
bool ag_http_host_right(const char *host, const char *allowed);
/* Is `type` (parameters ignored) one of accepts ("a/b|c/d")? */
bool ag_http_type_right(const char *type, const char *accepts);
/* The row for a request, or NULL. *rest as in the request. When the path fits rows of other methods only, allow gets them. */
const ag_http_route *ag_http_find_route(const ag_http_route *routes, const char *method, const char *path,
                                        const char **rest, char allow[64]);

#endif
