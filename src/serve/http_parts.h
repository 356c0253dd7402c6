/* http_parts.h: what the files of the HTTP server share. */
#ifndef AG_SERVE_HTTP_PARTS_H
#define AG_SERVE_HTTP_PARTS_H

#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include "serve/http.h"
#include "serve/http_framing.h"

typedef enum ag_http_stage {
    AG_HTTP_IDLE,     /* no byte of a request has come: may be closed without a word */
    AG_HTTP_READING,  /* a request's first byte to its last */
    AG_HTTP_HANDLING, /* all of it is with the library */
    AG_HTTP_WRITING,  /* the answer is on its way */
    AG_HTTP_LEAVING,  /* nothing more will be sent; what the client sends is dropped */
    AG_HTTP_STAGES
} ag_http_stage;

enum { AG_HTTP_ANSWERED = 1, AG_HTTP_CLOSED = 2 }; /* what the library tells of a connection */

typedef struct ag_http_bytes {
    char *data; /* len bytes at `at` are held */
    size_t at, len, cap;
} ag_http_bytes;

/* A client's connection, from accept to close. */
typedef struct ag_http_link {
    struct ag_http_link *next, *prev;
    int client,
        library; /* sockets, -1: none; library: our end of the pair whose other end libmicrohttpd has */
    char peer[64];
    ag_http_stage stage;
    double since; /* of the stage */
    double begun; /* when the request at hand began */
    ag_http_framing framing;
    ag_http_bytes in, up, out; /* from the client; checked, to the library; to the client */
    bool passed;               /* some of the request at hand went to the library */
    bool answered, closed;     /* the library is done with the request; with the connection */
    bool drained, over;        /* all of the answer was fetched; nothing more will come from the library */
    bool ended;                /* nothing more will come from the client */
    bool deaf, said;           /* what comes from the client is dropped; our own refusal is the answer */
    bool client_quiet, library_quiet; /* nothing is to be read there until epoll says so */
    bool pressed, dead;               /* the library was slow to take bytes once; to be freed */
    /* Shared with the library's threads. */
    _Atomic(const ag_http_refusal *) verdict; /* who answers the request: see ag_http_claim */
    atomic_bool started;                      /* the library has taken it */
    atomic_bool handled;                      /* all of the request was read */
    atomic_bool last;                         /* the connection ends with this answer */
    atomic_bool gone, lost,
        more; /* the client ended its side; cannot be answered; has sent a further request */
    struct ag_http_link *next_told; /* with `news`, of the server's lock */
    int news;
    bool told;
} ag_http_link;

struct ag_http {
    ag_http_options options;
    const ag_http_route *routes;
    char *token, *host, *policy;
    char address[80];
    struct MHD_Daemon *daemon;
    int listen_fd, log_fd, epoll_fd, wake_fd;
    ag_http_link *links, *dead; /* of the front's thread, like the next three */
    bool knock;                 /* clients may wait to be accepted */
    double looked;              /* when it last looked for those that are late */
    double stop_since;          /* 0: it does not stop */
    atomic_int link_count;
    atomic_size_t body_held;
    atomic_ullong next_id;
    unsigned long long id_salt;
    atomic_bool stopping;
    bool front_runs;
    pthread_t front;
    pthread_mutex_t lock; /* of the links that the library told something about */
    ag_http_link *told;
    pthread_mutex_t log_lock;
    unsigned long long log_lost; /* lines since the last that was written; of log_lock */
};

/* Log and metrics hear of a request that the library never saw. */
void ag_http_note(ag_http *h, const char *peer, const ag_http_refusal *why, double seconds);

/* --- http_front.c --- */
ag_status ag_http_front_open(ag_http *h, ag_error *err);
/* Takes connections that wait and serves those that are there, for at most wait_ms. True: more may wait to be accepted. */
bool ag_http_front_step(ag_http *h, int wait_ms);
/* How many requests are neither answered nor refused. */
int ag_http_front_busy(const ag_http *h);
/* Ends all connections; after the library has stopped, frees them. */
void ag_http_front_end(ag_http *h);
void ag_http_front_close(ag_http *h);
/* From the library's threads: AG_HTTP_ANSWERED or AG_HTTP_CLOSED, which is the last that is heard of a link. */
void ag_http_front_tell(ag_http *h, ag_http_link *l, int news);
/* A request gets one answer: the first who claims it gives it. True: it is ours. */
bool ag_http_claim(ag_http_link *l, const ag_http_refusal *why);
extern const ag_http_refusal ag_http_ours; /* a verdict: the library's thread has the answer */
extern const ag_http_refusal ag_http_busy; /* a verdict: it has none */
extern const ag_http_refusal ag_http_left; /* a verdict: there is nobody to be answered */
/* The link that a connection of the library's came from. */
ag_http_link *ag_http_link_of(struct MHD_Connection *mhd);

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
/* The path of a target that may be a whole address, http://HOST/PATH; *host: its HOST, which counts in place of the header's, or NULL
 * (ag_free). */
const char *ag_http_path_of(const char *url, char **host);
/* Is `type` (parameters ignored) one of accepts ("a/b|c/d")? */
bool ag_http_type_right(const char *type, const char *accepts);
/* The row for a request, or NULL. *rest as in the request. When the path fits rows of other methods only, allow gets them. */
const ag_http_route *ag_http_find_route(const ag_http_route *routes, const char *method, const char *path,
                                        const char **rest, char allow[64]);

#endif
