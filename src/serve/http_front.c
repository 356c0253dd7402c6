/* http_front.c: the clients' sockets, from accept to close, in one thread.
 *
 * What a client sends is checked by http_framing.c before any of it goes on, so libmicrohttpd sees whole heads and well-framed bodies only.
 * Each client's bytes go to it through a socket pair, one request at a time: the next one waits here until the answer is with the
 * client. So a refusal comes behind the answers to what was right, and it is known at all times whose turn it is. All buffers are
 * bounded; who does not read is not read from.
 * The thread is the server's; after it has ended, the one that stops the server.
 */
#include "serve/http_parts.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"

enum { OUT_BYTES = 32 << 10, EVENTS = 64, TURNS = 32 }; /* TURNS: of a link, until another one has its */
static const double LINGER = 1;    /* seconds that a client gets to read the last answer and to close */
static const double LAST_CALL = 1; /* that an idle connection may still send a request after the stop */
static const double LOOK = 0.02;   /* between looks for those that are late */

static const ag_http_refusal late = {408, "late", "the request took too long to arrive"},
                             incomplete = {400, "incomplete", "the connection ended before the request did"};
const ag_http_refusal ag_http_busy = {503, "busy",
                                      "the server has no memory or thread for this request; try again"},
                      ag_http_left = {499, "client_left", "the client left"}, ag_http_ours = {200, "", ""};

bool ag_http_claim(ag_http_link *l, const ag_http_refusal *why)
{
    const ag_http_refusal *open = NULL;
    return atomic_compare_exchange_strong(&l->verdict, &open, why);
}

/* --- bytes ---------------------------------------------------------------------------------------------------- */

typedef enum moved { BLOCKED, MOVED, ENDED, BROKEN } moved;

static moved outcome(ssize_t n)
{
    if (n > 0) return MOVED;
    if (n == 0) return ENDED;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? BLOCKED : BROKEN;
}

/* *quiet: nothing is there until epoll says otherwise. */
static moved fill(ag_http_bytes *b, int fd, bool *quiet)
{
    if (b->at > 0 && b->at + b->len == b->cap) {
        memmove(b->data, b->data + b->at, b->len);
        b->at = 0;
    }
    if (b->len == b->cap || *quiet) return BLOCKED;
    ssize_t n = recv(fd, b->data + b->at + b->len, b->cap - b->at - b->len, MSG_DONTWAIT);
    if (n > 0) b->len += (size_t)n;
    moved m = outcome(n);
    *quiet = m == BLOCKED;
    return m;
}

static void drop(ag_http_bytes *b, size_t n)
{
    b->len -= n;
    b->at = b->len > 0 ? b->at + n : 0;
}

static moved flush(ag_http_bytes *b, int fd)
{
    if (b->len == 0) return BLOCKED;
    ssize_t n = send(fd, b->data + b->at, b->len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) drop(b, (size_t)n);
    return outcome(n);
}

/* --- a link's stages ----------------------------------------------------------------------------------------- */

static void enter(ag_http_link *l, ag_http_stage stage, double now)
{
    l->stage = stage;
    l->since = now;
}

static void leave(ag_http_link *l, double now)
{
    shutdown(l->client, SHUT_WR);
    if (l->library >= 0) shutdown(l->library, SHUT_WR);
    enter(l, AG_HTTP_LEAVING, now);
}

/* The client cannot be answered any more. */
static void lose(ag_http_link *l, double now)
{
    ag_http_claim(l, &ag_http_left);
    atomic_store(&l->lost, true);
    atomic_store(&l->gone, true);
    l->out.len = 0;
    l->ended = true;
    leave(l, now);
}

static void say(ag_http_link *l, const ag_http_refusal *why, double now)
{
    ag_http_response r = {0};
    ag_http_fail(&r, why->status, NULL, why->code, "%s", why->message);
    ag_http_bytes *out = &l->out;
    memmove(out->data, out->data + out->at, out->len);
    out->at = 0;
    int n = snprintf(out->data + out->len, out->cap - out->len,
                     "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: application/json\r\n"
                     "X-Content-Type-Options: nosniff\r\nContent-Length: %zu\r\n\r\n%s",
                     why->status, MHD_get_reason_phrase_for((unsigned)why->status), r.text.len,
                     l->framing.head ? "" : ag_str_text(&r.text));
    if (n > 0 && (size_t)n < out->cap - out->len) out->len += (size_t)n;
    ag_str_free(&r.text);
    l->deaf = l->said = true;
    if (l->library >= 0) shutdown(l->library, SHUT_WR);
    enter(l, AG_HTTP_WRITING, now);
}

/* Ours is the answer, unless the library's thread was first. It logs what it has begun. */
static void refuse(ag_http *h, ag_http_link *l, const ag_http_refusal *why, double now)
{
    if (l->passed && !ag_http_claim(l, why)) {
        l->deaf = l->stage == AG_HTTP_READING; /* of a whole request, the next one still counts */
        return;
    }
    if (!l->passed) ag_http_note(h, l->peer, why, now - l->begun);
    say(l, why, now);
}

/* --- to and from the library ------------------------------------------------------------------------------- */

/* The address that a connection of the library's has: it leads back to the link. */
typedef struct address {
    sa_family_t family;
    ag_http_link *link;
} address;

ag_http_link *ag_http_link_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    address from = {0};
    if (info && info->client_addr) memcpy(&from, info->client_addr, sizeof from);
    return from.link;
}

static bool watch(ag_http *h, int how, int fd, void *whose, uint32_t what)
{
    struct epoll_event event = {.events = what | EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = whose};
    return epoll_ctl(h->epoll_fd, how, fd, &event) == 0;
}

/* What epoll knows a link's other socket by: an address within it. */
static void *library_of(ag_http_link *l)
{
    return (char *)l + 1;
}

static bool open_library(ag_http *h, ag_http_link *l)
{
    struct sockaddr_un to = {0};
    address from = {.family = AF_UNIX, .link = l};
    int pair[2];
    memcpy(&to, &from, sizeof from);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) return false;
    bool watched = watch(h, EPOLL_CTL_ADD, pair[0], library_of(l), 0);
    if (!watched) close(pair[1]);
    if (watched && MHD_add_connection(h->daemon, pair[1], (struct sockaddr *)&to, sizeof to) == MHD_YES)
        l->library = pair[0];
    else
        close(pair[0]); /* the library has closed its end */
    return l->library >= 0;
}

/* Moves what may pass from `in` to `up`, to the end of the request at most. */
static ag_http_step gather(ag_http_link *l)
{
    ag_http_step step = AG_HTTP_SKIP;
    while (step == AG_HTTP_SKIP || (step == AG_HTTP_PASS && !l->framing.whole)) {
        size_t n;
        step = ag_http_framing_next(&l->framing, l->in.data + l->in.at, l->in.len, &n);
        if (step == AG_HTTP_PASS) {
            memcpy(l->up.data + l->up.len, l->in.data + l->in.at, n);
            l->up.len += n;
        }
        drop(&l->in, n);
    }
    return step;
}

/* From the client to the library, as far as the framing is right. */
static bool pass_on(ag_http *h, ag_http_link *l, double now)
{
    if (l->stage != AG_HTTP_READING || l->deaf) return false;
    if (l->up.len == 0) {
        const ag_http_refusal *why = NULL;
        ag_http_step step = gather(l);
        if (step == AG_HTTP_REFUSED) why = l->framing.refusal;
        if (step == AG_HTTP_MORE && !l->passed && l->up.len + l->in.len == 0) {
            enter(l, AG_HTTP_IDLE, now); /* empty lines alone are no request */
            return true;
        }
        if (step == AG_HTTP_MORE && l->ended) {
            why = &incomplete;
            atomic_store(&l->gone, true);
        }
        if (!why && l->up.len > 0 && l->library < 0 && !open_library(h, l)) why = &ag_http_busy;
        if (why) {
            refuse(h, l, why, now);
            return true;
        }
        if (l->up.len == 0) return false;
        atomic_store(&l->more, l->in.len > 0);
    }
    l->passed = true;
    moved m = flush(&l->up, l->library);
    if (m == BLOCKED && !l->pressed)
        l->pressed = watch(h, EPOLL_CTL_MOD, l->library, library_of(l), EPOLLOUT);
    if (m == BROKEN) l->deaf = true; /* it reads no more; what it has to say comes yet */
    if (l->up.len == 0 && l->framing.whole) {
        if (l->ended && l->in.len == 0) atomic_store(&l->gone, true);
        enter(l, AG_HTTP_HANDLING, now);
    }
    return m == MOVED;
}

static bool fetch_answer(ag_http *h, ag_http_link *l, double now)
{
    bool answered = l->answered;
    if (l->library < 0 || l->over) return false;
    if (l->said || l->stage == AG_HTTP_LEAVING) { /* nobody hears it */
        char bytes[4096];
        moved m = outcome(recv(l->library, bytes, sizeof bytes, MSG_DONTWAIT));
        l->over = m == ENDED || m == BROKEN;
        return m != BLOCKED;
    }
    moved m = fill(&l->out, l->library, &l->library_quiet);
    if (m == MOVED && l->stage != AG_HTTP_WRITING && atomic_load(&l->verdict)) enter(l, AG_HTTP_WRITING, now);
    if (m == BLOCKED && answered && l->out.len == 0) l->drained = true;
    if (m == MOVED || m == BLOCKED) return m == MOVED;
    l->over = true;
    if (l->passed && l->stage != AG_HTTP_WRITING) { /* it had no memory or thread */
        ag_http_claim(l, &ag_http_busy);
        if (!atomic_load(&l->started)) ag_http_note(h, l->peer, &ag_http_busy, now - l->begun);
        say(l, &ag_http_busy, now);
    }
    return true;
}

/* --- to and from the client -------------------------------------------------------------------------------- */

static bool hear_client(ag_http *h, ag_http_link *l, double now)
{
    if (l->client < 0 || l->ended) return false;
    if (l->deaf || l->stage == AG_HTTP_LEAVING) drop(&l->in, l->in.len);
    moved m = fill(&l->in, l->client, &l->client_quiet);
    if (m == BROKEN) lose(l, now);
    if (m == ENDED) l->ended = true;
    if (m == MOVED && l->stage == AG_HTTP_IDLE) {
        l->begun = now;
        enter(l, AG_HTTP_READING, now);
    }
    /* Who reads the answer only behind a long body gets the time for it: a close before would be a reset. */
    if (m == MOVED && l->stage == AG_HTTP_LEAVING && now - l->begun < h->options.read_seconds) l->since = now;
    if (l->stage != AG_HTTP_READING) atomic_store(&l->more, l->in.len > 0);
    if (l->ended && l->in.len == 0) atomic_store(&l->gone, true);
    return m != BLOCKED;
}

static bool tell_client(ag_http_link *l, double now)
{
    if (l->client < 0) return false;
    moved m = flush(&l->out, l->client);
    if (m == BROKEN) lose(l, now);
    return m != BLOCKED;
}

/* The next request, or the end. */
static bool turn(ag_http_link *l, double now)
{
    if (l->stage == AG_HTTP_LEAVING || l->out.len > 0) return false;
    bool last = l->drained && (l->framing.last || atomic_load(&l->last));
    if (l->over || l->said || last || (l->stage == AG_HTTP_IDLE && l->ended)) {
        leave(l, now);
        return true;
    }
    if (!l->drained) return false;
    l->answered = l->drained = l->passed = false;
    atomic_store(&l->verdict, NULL);
    atomic_store(&l->more, false);
    atomic_store(&l->handled, false);
    l->begun = now;
    enter(l, l->in.len > 0 ? AG_HTTP_READING : AG_HTTP_IDLE, now);
    return true;
}

/* --- the list ------------------------------------------------------------------------------------------------ */

static void bury(ag_http *h, ag_http_link *l)
{
    if (l->prev)
        l->prev->next = l->next;
    else
        h->links = l->next;
    if (l->next) l->next->prev = l->prev;
    if (l->library >= 0) close(l->library);
    if (l->client >= 0) close(l->client);
    l->dead = true;
    l->next = h->dead; /* events of this step may still name it */
    h->dead = l;
    atomic_fetch_sub(&h->link_count, 1);
}

static void free_dead(ag_http *h)
{
    while (h->dead) {
        ag_http_link *l = h->dead;
        h->dead = l->next;
        ag_free(l);
    }
}

/* Does the library still know of it? */
static bool inside(ag_http_link *l)
{
    return l->library >= 0 && !l->closed && !(l->over && !atomic_load(&l->started));
}

static void settle(ag_http *h, ag_http_link *l)
{
    if (l->stage != AG_HTTP_LEAVING) return;
    if (l->ended && l->client >= 0) {
        close(l->client);
        l->client = -1;
    }
    if (l->client < 0 && !inside(l)) bury(h, l);
}

/* Moves what can be moved. */
static void work(ag_http *h, ag_http_link *l, double now)
{
    bool any = true;
    for (int i = 0; i < TURNS && any; i++) {
        any = hear_client(h, l, now);
        any = pass_on(h, l, now) || any;
        any = fetch_answer(h, l, now) || any;
        any = tell_client(l, now) || any;
        any = turn(l, now) || any;
    }
    if (any && l->client >= 0) watch(h, EPOLL_CTL_MOD, l->client, l, EPOLLOUT); /* again */
    if (any && l->client < 0) watch(h, EPOLL_CTL_MOD, l->library, library_of(l), EPOLLOUT);
    settle(h, l);
}

static void take_waiting(ag_http *h, double now)
{
    while (h->knock && h->listen_fd >= 0 && atomic_load(&h->link_count) < h->options.connections) {
        struct sockaddr_storage peer;
        socklen_t peer_len = sizeof peer;
        size_t in = h->options.header_bytes;
        ag_http_link *l = ag_realloc(
            NULL, 1, sizeof *l + 2 * in + OUT_BYTES); /* what no byte comes to stays untouched */
        if (!l) return;
        *l = (ag_http_link){.client = -1, .library = -1, .since = now, .framing.head_max = in};
        l->in = (ag_http_bytes){.data = (char *)(l + 1), .cap = in};
        l->up = (ag_http_bytes){.data = l->in.data + in, .cap = in};
        l->out = (ag_http_bytes){.data = l->up.data + in, .cap = OUT_BYTES};
        l->client = accept4(h->listen_fd, (struct sockaddr *)&peer, &peer_len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        int wrong = errno;
        if (l->client < 0 || !watch(h, EPOLL_CTL_ADD, l->client, l, EPOLLOUT)) {
            bool accepted = l->client >= 0;
            if (accepted) close(l->client);
            ag_free(l);
            if (accepted) continue;
            h->knock = wrong != EAGAIN && wrong != EWOULDBLOCK;
            return;
        }
        setsockopt(l->client, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        ag_http_address_text((struct sockaddr *)&peer, false, l->peer, sizeof l->peer);
        l->next = h->links;
        if (h->links) h->links->prev = l;
        h->links = l;
        atomic_fetch_add(&h->link_count, 1);
    }
}

/* --- time ---------------------------------------------------------------------------------------------------- */

/* The only limits of time: seconds in each stage, 0 for none. A handler's time is its own, once the library has come to it. */
static bool is_late(const ag_http *h, ag_http_link *l, double now)
{
    bool last_call = h->stop_since > 0 && l->stage == AG_HTTP_IDLE;
    const double limits[AG_HTTP_STAGES] = {
        [AG_HTTP_IDLE] = last_call ? LAST_CALL : h->options.idle_seconds,
        [AG_HTTP_READING] = h->options.read_seconds,
        [AG_HTTP_HANDLING] = atomic_load(&l->handled) ? 0 : h->options.read_seconds,
        [AG_HTTP_WRITING] = h->options.write_seconds,
        [AG_HTTP_LEAVING] = LINGER,
    };
    double since = last_call && l->since < h->stop_since ? h->stop_since : l->since;
    return limits[l->stage] > 0 && now - since >= limits[l->stage];
}

static void look(ag_http *h, double now)
{
    if (now - h->looked < LOOK) return;
    h->looked = now;
    for (ag_http_link *l = h->links, *next; l; l = next) {
        next = l->next;
        if (!is_late(h, l, now)) continue;
        l->client_quiet = false;
        work(h, l, now); /* a byte that came meanwhile counts */
        if (l->dead || !is_late(h, l, now)) continue;
        switch (l->stage) {
        case AG_HTTP_IDLE: leave(l, now); break;
        case AG_HTTP_READING:
        case AG_HTTP_HANDLING: refuse(h, l, &late, now); break;
        case AG_HTTP_WRITING: lose(l, now); break;
        default: l->ended = true; break;
        }
        work(h, l, now);
    }
}

void ag_http_front_tell(ag_http *h, ag_http_link *l, int news)
{
    pthread_mutex_lock(&h->lock);
    bool first = !h->told; /* or it will come to this one, too */
    l->news |= news;
    if (!l->told) {
        l->told = true;
        l->next_told = h->told;
        h->told = l;
    }
    pthread_mutex_unlock(&h->lock);
    if (first) eventfd_write(h->wake_fd, 1);
}

static ag_http_link *hear_library(ag_http *h)
{
    pthread_mutex_lock(&h->lock);
    ag_http_link *l = h->told;
    if (l) {
        h->told = l->next_told;
        l->told = false;
        l->library_quiet = false; /* the answer's last bytes may be there */
        l->answered = l->answered || (l->news & AG_HTTP_ANSWERED) != 0;
        l->closed = l->closed || (l->news & AG_HTTP_CLOSED) != 0;
        l->news = 0;
    }
    pthread_mutex_unlock(&h->lock);
    return l;
}

bool ag_http_front_step(ag_http *h, int wait_ms)
{
    struct epoll_event events[EVENTS];
    take_waiting(h, ag_clock());
    int n = epoll_wait(h->epoll_fd, events, EVENTS, wait_ms);
    double now = ag_clock();
    for (int i = 0; i < n; i++) {
        char *whose = events[i].data.ptr;
        bool library = (uintptr_t)whose % 2 != 0;
        ag_http_link *l = (void *)(whose - library);
        if (!whose) {
            h->knock = true;
        } else if (whose == (char *)h) {
            while ((l = hear_library(h)) != NULL) work(h, l, now);
        } else if (!l->dead) {
            *(library ? &l->library_quiet : &l->client_quiet) = false;
            work(h, l, now);
        }
    }
    look(h, now);
    free_dead(h);
    return h->knock && h->listen_fd >= 0;
}

ag_status ag_http_front_open(ag_http *h, ag_error *err)
{
    h->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    h->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (h->epoll_fd < 0 || h->wake_fd < 0 || !watch(h, EPOLL_CTL_ADD, h->listen_fd, NULL, 0) ||
        !watch(h, EPOLL_CTL_ADD, h->wake_fd, h, 0))
        return ag_fail_errno(err, "cannot wait for", h->options.listen);
    return AG_OK;
}

int ag_http_front_busy(const ag_http *h)
{
    int n = 0;
    for (const ag_http_link *l = h->links; l; l = l->next)
        n += l->stage != AG_HTTP_IDLE && l->stage != AG_HTTP_LEAVING && !l->said;
    return n;
}

void ag_http_front_end(ag_http *h)
{
    for (ag_http_link *l = h->links; l; l = l->next) lose(l, ag_clock());
}

void ag_http_front_close(ag_http *h)
{
    while (h->links) bury(h, h->links);
    free_dead(h);
    if (h->epoll_fd >= 0) close(h->epoll_fd);
    if (h->wake_fd >= 0) close(h->wake_fd);
    h->epoll_fd = h->wake_fd = -1;
}
