/* http_text.c: the parts of the HTTP server that only look at text: addresses, tokens, hosts, types, routes, answers. */
#include "serve/http_parts.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "base/digest.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"

/* --- addresses ------------------------------------------------------------------------------------------ */

static bool loopback_address(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_INET) return ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)a)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
}

static bool read_port(const char *text, uint16_t *port)
{
    long value = 0;
    if (!*text || strlen(text) > 5 || text[strspn(text, "0123456789")]) return false;
    for (; *text; text++) value = value * 10 + (*text - '0');
    *port = (uint16_t)value;
    return value <= 65535;
}

ag_status ag_http_parse_address(const char *text, struct sockaddr_storage *address, socklen_t *len,
                                bool *loopback, ag_error *err)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    uint16_t port = 0;
    size_t n = colon ? (size_t)(colon - text) : 0;
    struct sockaddr_in *four = (struct sockaddr_in *)address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
    memset(address, 0, sizeof *address);
    if (!colon || n == 0 || n >= sizeof host || !read_port(colon + 1, &port)) goto bad;
    memcpy(host, text, n);
    host[n] = '\0';
    if (strcmp(host, "localhost") == 0) strcpy(host, "127.0.0.1");
    if (host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        if (inet_pton(AF_INET6, host + 1, &six->sin6_addr) != 1) goto bad;
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        *len = sizeof *six;
    } else {
        if (inet_pton(AF_INET, host, &four->sin_addr) != 1) goto bad;
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        *len = sizeof *four;
    }
    *loopback = loopback_address(address);
    return AG_OK;
bad:
    return ag_fail(err, AG_ERR_USAGE,
                   "'%s' is no address to listen on; write 127.0.0.1:8080, localhost:8080 or [::1]:8080",
                   text);
}

void ag_http_address_text(const struct sockaddr *address, bool port, char *out, size_t size)
{
    char host[64] = "?", service[8] = "?";
    socklen_t len = address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    getnameinfo(address, len, host, sizeof host, service, sizeof service, NI_NUMERICHOST | NI_NUMERICSERV);
    if (!port)
        snprintf(out, size, "%s", host);
    else
        snprintf(out, size, address->sa_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, service);
}

/* --- tokens, hosts, types ------------------------------------------------------------------------------- */

static void digest_text(const char *text, unsigned char digest[32])
{
    ag_sha256 s;
    ag_sha256_begin(&s);
    ag_sha256_add(&s, text, strlen(text));
    ag_sha256_end(&s, digest);
}

bool ag_http_token_right(const char *authorization, const char *token)
{
    unsigned char want[32], got[32], differ = 0;
    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0) return false;
    authorization += 7;
    digest_text(authorization + strspn(authorization, " "), got);
    digest_text(token, want);
    for (size_t i = 0; i < sizeof want; i++) differ |= want[i] ^ got[i];
    return differ == 0;
}

ag_status ag_http_token_read(char **token, const char *path, ag_error *err)
{
    char *text = NULL;
    size_t n;
    *token = NULL;
    AG_TRY(ag_file_read(path, 4096, &text, &n, err));
    size_t begin = strspn(text, "\r\n"), length = strcspn(text + begin, "\r\n");
    bool good = length >= 16 && length <= 512 && begin + length + strspn(text + begin + length, "\r\n") == n;
    for (size_t i = 0; i < length; i++) good = good && text[begin + i] > ' ' && text[begin + i] <= '~';
    ag_status status = AG_OK;
    if (!good)
        status = ag_fail(
            err, AG_ERR_INPUT,
            "%s: a token is one line of 16 to 512 visible ASCII characters; for example the output "
            "of `openssl rand -hex 24`",
            path);
    else if (!(*token = ag_strndup(text + begin, length)))
        status = ag_fail_memory(err, "token");
    ag_free(text);
    return status;
}

bool ag_http_host_right(const char *host, const char *allowed)
{
    char name[256];
    struct in_addr four;
    struct in6_addr six;
    if (!host) return true;
    bool bracket = host[0] == '[';
    host += bracket;
    size_t n = strcspn(host, bracket ? "]" : ":"), port = n + bracket;
    if (n == 0 || n >= sizeof name || (bracket && !host[n])) return false;
    if (host[port] && (host[port] != ':' || host[port + 1 + strspn(host + port + 1, "0123456789")]))
        return false;
    memcpy(name, host, n);
    name[n] = '\0';
    if (bracket) return inet_pton(AF_INET6, name, &six) == 1;
    return strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, &four) == 1 ||
           (allowed && strcasecmp(name, allowed) == 0);
}

bool ag_http_type_right(const char *type, const char *accepts)
{
    size_t n = strcspn(type, "; \t");
    while (*accepts) {
        size_t k = strcspn(accepts, "|");
        if (n == k && strncasecmp(type, accepts, k) == 0) return true;
        accepts += k + (accepts[k] == '|');
    }
    return false;
}

const char *ag_http_path_of(const char *url, char **host)
{
    static const char scheme[] = "http://";
    *host = NULL;
    if (strncasecmp(url, scheme, sizeof scheme - 1) != 0) return url;
    url += sizeof scheme - 1;
    size_t n = strcspn(url, "/");
    *host = ag_strndup(url, n);
    return url[n] ? url + n : "/";
}

/* --- routes ----------------------------------------------------------------------------------------------- */

static bool path_fits(const char *row, const char *path, const char **rest)
{
    size_t n = strlen(row);
    *rest = "";
    if (row[n - 1] != '*') return strcmp(row, path) == 0;
    if (strncmp(row, path, n - 1) != 0) return false;
    *rest = path + n - 1;
    return true;
}

static void allow_method(char allow[64], const char *method)
{
    size_t n = strlen(allow);
    if (!strstr(allow, method)) snprintf(allow + n, 64 - n, "%s%s", n ? ", " : "", method);
}

const ag_http_route *ag_http_find_route(const ag_http_route *routes, const char *method, const char *path,
                                        const char **rest, char allow[64])
{
    if (strcmp(method, "HEAD") == 0) method = "GET";
    allow[0] = '\0';
    for (const ag_http_route *r = routes; r->method; r++) {
        if (!path_fits(r->path, path, rest)) continue;
        if (strcmp(r->method, method) == 0) return r;
        allow_method(allow, r->method);
        if (strcmp(r->method, "GET") == 0) allow_method(allow, "HEAD");
    }
    *rest = "";
    return NULL;
}

/* --- requests and answers ----------------------------------------------------------------------------------- */

const char *ag_http_query(const ag_http_request *r, const char *name)
{
    for (size_t i = 0; i < r->query_count; i++)
        if (strcmp(r->query[i].name, name) == 0) return r->query[i].value;
    return NULL;
}

const char *ag_http_header(const ag_http_request *r, const char *name)
{
    for (size_t i = 0; i < r->header_count; i++)
        if (strcasecmp(r->headers[i].name, name) == 0) return r->headers[i].value;
    return NULL;
}

bool ag_http_gone(const ag_http_request *r)
{
    const ag_http_link *link = r->internal;
    return link && atomic_load(&link->gone);
}

void ag_http_add_header(ag_http_response *r, const char *name, const char *value)
{
    size_t a = strlen(name) + 1, b = strlen(value) + 1;
    if (r->header_count == AG_HTTP_HEADERS_MAX || r->scratch_used + a + b > sizeof r->scratch ||
        strpbrk(name, "\r\n") || strpbrk(value, "\r\n"))
        return;
    char *at = r->scratch + r->scratch_used;
    memcpy(at, name, a);
    memcpy(at + a, value, b);
    r->headers[r->header_count++] = (ag_http_pair){at, at + a};
    r->scratch_used += a + b;
}

static const char *error_type(int status)
{
    static const struct {
        int status;
        const char *type;
    } rows[] = {{401, "authentication_error"}, {403, "permission_error"}, {429, "rate_limit_error"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].status == status) return rows[i].type;
    return status >= 500 ? "server_error" : "invalid_request_error";
}

static void quote_or_null(ag_str *out, const char *text)
{
    if (text)
        ag_json_quote(out, text, strlen(text));
    else
        ag_str_add(out, "null");
}

void ag_http_fail(ag_http_response *r, int status, const char *param, const char *code, const char *format,
                  ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->note, sizeof r->note, format, args);
    va_end(args);
    ag_str message = {0};
    va_start(args, format);
    ag_str_vaddf(&message, format, args);
    va_end(args);
    r->status = status;
    r->content_type = NULL;
    r->fixed = NULL;
    ag_str_clear(&r->text);
    ag_str_add(&r->text, "{\"error\":{\"message\":");
    quote_or_null(&r->text, ag_str_text(&message));
    ag_str_addf(&r->text, ",\"type\":\"%s\",\"param\":", error_type(status));
    quote_or_null(&r->text, param);
    ag_str_add(&r->text, ",\"code\":");
    quote_or_null(&r->text, code);
    ag_str_add(&r->text, "}}\n");
    ag_str_free(&message);
}
