/* http_help.h: a raw HTTP client for tests: bytes out, bytes in, nothing understood. */
#ifndef AG_TESTS_HTTP_HELP_H
#define AG_TESTS_HTTP_HELP_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "base/log.h"
#include "serve/http.h"

/* What ends most requests. */
#define HEAD "Host: localhost\r\nConnection: close\r\n"

static inline void nap(double seconds)
{
    nanosleep(&(struct timespec){(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)}, NULL);
}

static inline int connect_to(const ag_http *http)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    const char *colon = strrchr(ag_http_address(http), ':');
    a.sin_port = htons((uint16_t)atoi(colon + 1));
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static inline void send_bytes(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t k = send(fd, bytes, n, MSG_NOSIGNAL);
        if (k <= 0) return;
        bytes += k;
        n -= (size_t)k;
    }
}

static inline void send_text(int fd, const char *text)
{
    send_bytes(fd, text, strlen(text));
}

/* Reads until the other side closes, or `seconds` pass without a byte. */
static inline void read_all(int fd, ag_str *out, double seconds)
{
    char buffer[4096];
    struct pollfd p = {fd, POLLIN, 0};
    ag_str_clear(out);
    while (poll(&p, 1, (int)(1000 * seconds)) > 0) {
        ssize_t n = recv(fd, buffer, sizeof buffer, 0);
        if (n <= 0) return;
        ag_str_addn(out, buffer, (size_t)n);
    }
}

static inline int status_of(const ag_str *answer)
{
    int status = 0;
    sscanf(ag_str_text(answer), "HTTP/1.%*d %d", &status);
    return status;
}

/* One request on a connection of its own; the answer goes to out (may be NULL). Returns its status; 0: none. */
static inline int ask_bytes(const ag_http *http, const char *bytes, size_t n, ag_str *out)
{
    ag_str own = {0};
    int fd = connect_to(http);
    if (fd < 0) return -1;
    send_bytes(fd, bytes, n);
    read_all(fd, out ? out : &own, 10);
    close(fd);
    int status = status_of(out ? out : &own);
    ag_str_free(&own);
    return status;
}

static inline int ask(const ag_http *http, const char *text, ag_str *out)
{
    return ask_bytes(http, text, strlen(text), out);
}

#endif
