/* http_front.c: connections from accept to their first request line.
 *
 * libmicrohttpd closes a connection without a word when its request line is none (no space in it, a NUL in front, too many spaces). So
 * the first line is looked at here while it still lies in the socket (MSG_PEEK), and what is no HTTP, or does not come, is answered;
 * all else goes on to the library with nothing taken out. Later requests of a kept connection are the library's alone.
 * One thread: the accepter's, and after it has ended the one that stops the server.
 */
#include "serve/http_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"

enum { METHOD_MAX = 32, EVENTS = 64, PASS = 0, WAIT = -1 };
static const double LINGER =
    1; /* seconds that a client gets to read why it was refused, while what it sends is dropped */

struct ag_http_front {
    struct ag_http_front *next, *prev;
    struct sockaddr_storage peer;
    socklen_t peer_len;
    int fd;
    bool begun; /* bytes of a request line have come */
    bool leaving;
    double since; /* of its accept, its first byte, its answer */
};

/* --- the first line ----------------------------------------------------------------------------------------- */

static bool method_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

/* PASS, WAIT for more, or the status that refuses it: METHOD SP TARGET SP VERSION, empty lines before it allowed. */
int ag_http_check_line(const char *bytes, size_t n, size_t most)
{
    size_t i = 0, spaces = 0;
    while (i < n && (bytes[i] == '\r' || bytes[i] == '\n')) i++;
    size_t begin = i;
    while (i < n && method_char(bytes[i]) && i - begin < METHOD_MAX) i++;
    if (i == n) return n < most ? WAIT : 400;
    if (bytes[i] != ' ' || i == begin) return 400;
    for (; i < n; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == '\n' || (c == '\r' && i + 1 < n && bytes[i + 1] == '\n')) return spaces == 2 ? PASS : 400;
        if (c == '\r' && i + 1 == n) break;
        if (c < ' ' || c == 0x7F) return 400;
        if (c == ' ' && (bytes[i - 1] == ' ' || ++spaces > 2)) return 400;
    }
    return n < most ? WAIT : 414;
}

/* --- answers -------------------------------------------------------------------------------------------------- */

void ag_http_say(int fd, int status, const char *code, const char *message)
{
    ag_str body = {0}, text = {0};
    ag_str_addf(&body,
                "{\"error\":{\"message\":\"%s\",\"type\":\"invalid_request_error\",\"param\":null,"
                "\"code\":\"%s\"}}\n",
                message, code);
    ag_str_addf(&text,
                "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: application/json\r\n"
                "X-Content-Type-Options: nosniff\r\nContent-Length: %zu\r\n\r\n%s",
                status, MHD_get_reason_phrase_for((unsigned)status), body.len, ag_str_text(&body));
    if (!body.failed && !text.failed) {
        ssize_t ignored = send(fd, text.data, text.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)ignored;
    }
    ag_str_free(&body);
    ag_str_free(&text);
}

static void refuse(ag_http *h, ag_http_front *f, int status, double now)
{
    static const struct {
        int status;
        const char *code, *message;
    } rows[] = {
        {400, "not_http", "the request line must be METHOD PATH HTTP/1.1"},
        {408, "late", "the request took too long to arrive"},
        {414, "too_long", "the request line is longer than this server takes"},
    };
    size_t i = 0;
    while (rows[i].status != status) i++;
    char peer[64];
    ag_http_address_text((struct sockaddr *)&f->peer, false, peer, sizeof peer);
    ag_http_say(f->fd, status, rows[i].code, rows[i].message);
    ag_http_note(h, peer, status, rows[i].message, now - f->since);
    shutdown(f->fd, SHUT_WR);
    f->leaving = true;
    f->since = now;
}

/* --- the list ----------------------------------------------------------------------------------------------- */

static void unlink_front(ag_http *h, ag_http_front *f)
{
    if (f->prev)
        f->prev->next = f->next;
    else
        h->fronts = f->next;
    if (f->next) f->next->prev = f->prev;
    atomic_fetch_sub(&h->front_count, 1);
    ag_free(f);
}

static void drop(ag_http *h, ag_http_front *f)
{
    close(f->fd);
    unlink_front(h, f);
}

static void pass_on(ag_http *h, ag_http_front *f)
{
    ag_http_front copy = *f;
    epoll_ctl(h->epoll_fd, EPOLL_CTL_DEL, copy.fd, NULL);
    unlink_front(h, f); /* first: at no time is a connection counted twice */
    ag_http_change_pending(h, 1);
    if (MHD_add_connection(h->daemon, copy.fd, (struct sockaddr *)&copy.peer, copy.peer_len) != MHD_YES)
        ag_http_change_pending(h, -1); /* the library has closed it */
}

/* What lies in the socket is thrown away. False: the client has closed. */
static bool discard(int fd)
{
    char bytes[4096];
    for (int i = 0; i < 64; i++) { /* whoever sends without end waits for its turn */
        ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
        if (n == 0) return false;
    }
    return true;
}

static void look(ag_http *h, ag_http_front *f, bool ended, double now)
{
    if (f->leaving) {
        if (!discard(f->fd)) drop(h, f);
        return;
    }
    ssize_t n = recv(f->fd, h->peek, h->peek_bytes, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    if (n <= 0) {
        drop(h, f);
        return;
    }
    if (!f->begun) f->since = now;
    f->begun = true;
    int status = ag_http_check_line(h->peek, (size_t)n, h->peek_bytes);
    if (status == WAIT && ended) status = 400;
    if (status == PASS)
        pass_on(h, f);
    else if (status != WAIT)
        refuse(h, f, status, now);
}

static bool take_waiting(ag_http *h, double now)
{
    while (h->listen_fd >= 0 && ag_http_held(h) < h->options.connections) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};
        ag_http_front *f = ag_calloc(1, sizeof *f);
        if (!f) return true;
        f->peer_len = sizeof f->peer;
        f->since = now;
        f->fd = accept4(h->listen_fd, (struct sockaddr *)&f->peer, &f->peer_len,
                        SOCK_CLOEXEC | SOCK_NONBLOCK);
        int wrong = errno;
        event.data.ptr = f;
        if (f->fd < 0 || epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, f->fd, &event) != 0) {
            bool accepted = f->fd >= 0;
            if (accepted) close(f->fd);
            ag_free(f);
            if (!accepted) return wrong != EAGAIN && wrong != EWOULDBLOCK;
            continue;
        }
        f->next = h->fronts;
        if (h->fronts) h->fronts->prev = f;
        h->fronts = f;
        atomic_fetch_add(&h->front_count, 1);
    }
    return h->listen_fd >= 0;
}

/* idle: seconds for a connection without a byte; counted from `from` at the earliest. */
static void drop_late(ag_http *h, double now, double idle, double from)
{
    for (ag_http_front *f = h->fronts, *next; f; f = next) {
        next = f->next;
        double since = !f->begun && f->since < from ? from : f->since;
        double limit = f->leaving ? LINGER : f->begun ? h->options.read_seconds : idle;
        if (now - since < limit) continue;
        if (f->begun && !f->leaving)
            refuse(h, f, 408, now);
        else
            drop(h, f);
    }
}

bool ag_http_front_step(ag_http *h, int wait_ms, double idle, double from)
{
    struct epoll_event events[EVENTS];
    bool more = take_waiting(h, ag_clock());
    int n = epoll_wait(h->epoll_fd, events, EVENTS, wait_ms);
    double now = ag_clock();
    for (int i = 0; i < n; i++)
        if (events[i].data.ptr)
            look(h, events[i].data.ptr, (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0, now);
    drop_late(h, now, idle, from);
    return more;
}

ag_status ag_http_front_open(ag_http *h, ag_error *err)
{
    struct epoll_event listener = {.events = EPOLLIN | EPOLLET};
    h->peek_bytes = h->options.header_bytes / 2;
    h->peek = ag_calloc(h->peek_bytes, 1);
    if (!h->peek) return ag_fail_memory(err, "server");
    h->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (h->epoll_fd < 0 || epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, h->listen_fd, &listener) != 0)
        return ag_fail_errno(err, "cannot wait for", h->options.listen);
    return AG_OK;
}

int ag_http_front_close(ag_http *h)
{
    int lost = 0;
    while (h->fronts) {
        lost += h->fronts->begun && !h->fronts->leaving;
        drop(h, h->fronts);
    }
    if (h->epoll_fd >= 0) close(h->epoll_fd);
    h->epoll_fd = -1;
    ag_free(h->peek);
    h->peek = NULL;
    return lost;
}
