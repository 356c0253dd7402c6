/* http_framing.c: see http_framing.h. A function for each unit of a request; each looks at whole lines, or at the bytes of a body. */
#include "serve/http_framing.h"

#include <string.h>
#include <strings.h>

enum { METHOD_MAX = 32, HEX_MAX = 15, DECIMAL_MAX = 18 }; /* digits of a number that fits */

static const ag_http_refusal
    bad_line = {400, "not_http", "the request line must be METHOD PATH HTTP/1.1"},
    long_line = {414, "too_long", "the request line is longer than this server takes"},
    many_arguments = {414, "too_many", "the query has more arguments than this server takes"},
    bad_version = {505, "unknown_version", "this server speaks HTTP/1.1"},
    bad_target = {400, "invalid_path", "the path must begin with / or http:// and hold no NUL"},
    no_target = {501, "unknown_method", "this server takes no CONNECT and no OPTIONS for *"},
    bad_header = {400, "invalid_header", "a header line must be NAME: VALUE without control characters"},
    folded = {400, "invalid_header", "a header must stand on one line"},
    long_head = {431, "too_large", "the headers are larger than this server takes"},
    many_headers = {431, "too_many", "there are more headers or cookies than this server takes"},
    no_host = {400, "no_host", "a request of HTTP/1.1 must have a Host"},
    two_hosts = {400, "two_hosts", "Host stands there twice"},
    bad_host = {400, "invalid_host", "Host is no host"},
    bad_length = {400, "invalid_length", "Content-Length must be a decimal number"},
    two_lengths = {400, "two_lengths", "the length of the body is said twice"},
    too_large = {413, "too_large", "the body is larger than this server takes"},
    bad_coding = {501, "unknown_coding", "the only Transfer-Encoding taken is chunked"},
    old_coding = {400, "unknown_coding", "HTTP/1.0 has no Transfer-Encoding"},
    bad_expect = {417, "unknown_expectation", "the only Expect taken is 100-continue"},
    bad_chunk =
        {400, "invalid_chunk",
         "a chunk must be its length in hexadecimal, an end of line, that many bytes, an end of line"},
    long_trailers = {431, "too_large", "the trailers are larger than this server takes"};

static ag_http_step refuse(ag_http_framing *f, const ag_http_refusal *why)
{
    f->refusal = why;
    return AG_HTTP_REFUSED;
}

/* --- characters ----------------------------------------------------------------------------------------------- */

static bool token_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static bool control_char(char c)
{
    return ((unsigned char)c < ' ' && c != '\t') || c == 0x7F;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool clean(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (control_char(text[i])) return false;
    return true;
}

static bool same(const char *text, size_t n, const char *word)
{
    return n == strlen(word) && strncasecmp(text, word, n) == 0;
}

static size_t count_of(const char *text, size_t n, const char *any)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += text[i] != '\0' && strchr(any, text[i]) != NULL;
    return count;
}

/* Bytes before the first `c`, or all. */
static size_t length_to(const char *text, size_t n, char c)
{
    const char *at = memchr(text, c, n);
    return at ? (size_t)(at - text) : n;
}

/* --- the request line --------------------------------------------------------------------------------------- */

static bool host_chars(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7F ||
            strchr("/\\@?#\"<>^`{|}", text[i]))
            return false;
    return true;
}

/* A path, or a whole address: http://HOST, of which a path or a query may follow. The host has no %: decoded, it might be another one. */
static bool target_right(const char *target, size_t n)
{
    static const char scheme[] = "http://";
    size_t at = sizeof scheme - 1, host = 0;
    if (*target == '/') return true;
    if (n <= at || strncasecmp(target, scheme, at) != 0) return false;
    while (at + host < n && target[at + host] != '/' && target[at + host] != '?') host++;
    return host > 0 && host_chars(target + at, host) && !memchr(target + at, '%', host);
}

static const ag_http_refusal *check_target(ag_http_framing *f, const char *line, const char *target, size_t n)
{
    if (strncmp(line, "CONNECT ", 8) == 0 || (strncmp(line, "OPTIONS ", 8) == 0 && same(target, n, "*")))
        return &no_target;
    if (!target_right(target, n)) return &bad_target;
    for (size_t i = 0; i + 2 < n; i++)
        if (memcmp(target + i, "%00", 3) == 0) return &bad_target;
    size_t path = length_to(target, n, '?');
    if (path < n) f->parts += 1 + (int)count_of(target + path, n - path, "&");
    return f->parts > AG_HTTP_PARTS_MAX ? &many_arguments : NULL;
}

/* The line is METHOD SP TARGET SP VERSION, and its characters are right. */
static const ag_http_refusal *check_line(ag_http_framing *f, const char *line, size_t n)
{
    const char *target = line + length_to(line, n, ' ') + 1;
    size_t target_len = length_to(target, n - (size_t)(target - line), ' ');
    const char *version = target + target_len + 1;
    size_t version_len = n - (size_t)(version - line);
    f->head = strncmp(line, "HEAD ", 5) == 0;
    if (version_len != 8 || memcmp(version, "HTTP/", 5) != 0 || version[6] != '.') return &bad_line;
    if (count_of(version + 5, 1, "0123456789") + count_of(version + 7, 1, "0123456789") != 2)
        return &bad_line;
    if (version[5] != '1') return &bad_version;
    f->old = version[7] == '0';
    return check_target(f, line, target, target_len);
}

/* Character by character, so that what is no request is known as such before its end of line. */
static ag_http_step read_line(ag_http_framing *f, const char *bytes, size_t n)
{
    for (; f->seen < n; f->seen++) {
        size_t i = f->seen;
        char c = bytes[i], before = i > 0 ? bytes[i - 1] : '\0';
        if (before == '\r' && c != '\n') return refuse(f, &bad_line);
        if (c == '\n') {
            size_t length = before == '\r' ? i - 1 : i;
            if (f->spaces != 2) return refuse(f, &bad_line);
            const ag_http_refusal *why = check_line(f, bytes, length);
            if (why) return refuse(f, why);
            f->at = ++f->seen;
            return AG_HTTP_PASS;
        }
        if (i >= f->head_max / 2) return refuse(f, &long_line);
        if (c == ' ' && (i == 0 || before == ' ' || ++f->spaces > 2)) return refuse(f, &bad_line);
        if (f->spaces == 0 ? !token_char(c) || i >= METHOD_MAX : (control_char(c) && c != '\r') || c == '\t')
            return refuse(f, &bad_line);
    }
    return AG_HTTP_MORE;
}

/* --- headers ------------------------------------------------------------------------------------------------- */

static const ag_http_refusal *on_host(ag_http_framing *f, const char *value, size_t n)
{
    if (f->has_host) return &two_hosts;
    f->has_host = true;
    return host_chars(value, n) ? NULL : &bad_host;
}

static const ag_http_refusal *on_length(ag_http_framing *f, const char *value, size_t n)
{
    if (f->has_length || f->chunked) return &two_lengths;
    f->has_length = true;
    if (n == 0 || count_of(value, n, "0123456789") != n) return &bad_length;
    if (n > DECIMAL_MAX) return &too_large;
    for (size_t i = 0; i < n; i++) f->left = 10 * f->left + (uint64_t)(value[i] - '0');
    return NULL;
}

static const ag_http_refusal *on_coding(ag_http_framing *f, const char *value, size_t n)
{
    if (f->has_length || f->chunked) return &two_lengths;
    if (f->old) return &old_coding;
    f->chunked = true;
    return same(value, n, "chunked") ? NULL : &bad_coding;
}

static const ag_http_refusal *on_expect(ag_http_framing *f, const char *value, size_t n)
{
    return f->old || same(value, n, "100-continue") ? NULL : &bad_expect;
}

static const ag_http_refusal *on_cookie(ag_http_framing *f, const char *value, size_t n)
{
    f->parts += 1 + (int)count_of(value, n, ";,");
    return f->parts > AG_HTTP_PARTS_MAX ? &many_headers : NULL;
}

static const ag_http_refusal *on_connection(ag_http_framing *f, const char *value, size_t n)
{
    for (size_t at = 0, next; at < n; at = next + 1) {
        size_t end = next = at + length_to(value + at, n - at, ',');
        while (at < end && blank(value[at])) at++;
        while (at < end && blank(value[end - 1])) end--;
        f->last = f->last || same(value + at, end - at, "close");
        f->kept = f->kept || same(value + at, end - at, "keep-alive");
    }
    return NULL;
}

/* NAME: VALUE; the name ends at *colon. */
static const ag_http_refusal *check_field(const char *line, size_t n, size_t *colon)
{
    size_t k = 0;
    if (blank(line[0])) return &folded;
    while (k < n && token_char(line[k])) k++;
    *colon = k;
    return k > 0 && k < n && line[k] == ':' && clean(line, n) ? NULL : &bad_header;
}

static const ag_http_refusal *check_header(ag_http_framing *f, const char *line, size_t n)
{
    static const struct {
        const char *name;
        const ag_http_refusal *(*check)(ag_http_framing *f, const char *value, size_t n);
    } rows[] = {
        {"Host", on_host},     {"Content-Length", on_length}, {"Transfer-Encoding", on_coding},
        {"Expect", on_expect}, {"Cookie", on_cookie},         {"Connection", on_connection},
    };
    size_t colon;
    const ag_http_refusal *why = check_field(line, n, &colon);
    if (why) return why;
    if (++f->parts > AG_HTTP_PARTS_MAX) return &many_headers;
    const char *value = line + colon + 1, *end = line + n;
    while (value < end && blank(*value)) value++;
    while (value < end && blank(end[-1])) end--;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (same(line, colon, rows[i].name)) return rows[i].check(f, value, (size_t)(end - value));
    return NULL;
}

/* --- units --------------------------------------------------------------------------------------------------- */

enum { HEAD, HEAD_OUT, DATA, CHUNK, LINE_END, TRAILER };

/* Finds the end of the line that begins at *at; its length without the end, and where the next begins. */
static bool whole_line(const char *bytes, size_t n, size_t from, size_t at, size_t *length, size_t *next)
{
    const char *end = from < n ? memchr(bytes + from, '\n', n - from) : NULL;
    if (!end) return false;
    *next = (size_t)(end - bytes) + 1;
    *length = *next - 1 - at;
    if (*length > 0 && end[-1] == '\r') --*length;
    return true;
}

/* A checked head, of which f->at bytes are left, goes on without the blanks at the ends of its lines, for which not every library is
 * prepared. */
static ag_http_step pass_head(ag_http_framing *f, const char *bytes, size_t n, size_t *count)
{
    size_t length, next, text;
    for (size_t at = 0; at < f->at; at = next) {
        if (!whole_line(bytes, n, at, at, &length, &next)) break;
        for (text = length; text > 0 && blank(bytes[at + text - 1]); text--) {}
        if (text == length) continue;
        *count = at + text;
        f->skip = length - text;
        f->at -= at + length;
        return AG_HTTP_PASS;
    }
    *count = f->at;
    f->unit = f->chunked ? CHUNK : DATA;
    f->whole = !f->chunked && f->left == 0;
    return AG_HTTP_PASS;
}

static ag_http_step end_head(ag_http_framing *f, const char *bytes, size_t n, size_t *count)
{
    if (!f->has_host && !f->old) return refuse(f, &no_host);
    f->last = f->last || (f->old && !f->kept);
    f->loose = 0;
    f->at = n;
    f->unit = HEAD_OUT;
    return pass_head(f, bytes, n, count);
}

static ag_http_step take_head(ag_http_framing *f, const char *bytes, size_t n, size_t *count)
{
    size_t length, next;
    if (f->seen == 0 && n > 0 &&
        (bytes[0] == '\r' || bytes[0] == '\n')) { /* an empty line before the request */
        if (bytes[0] == '\r' && n == 1) return AG_HTTP_MORE;
        *count = bytes[0] == '\r' ? 2 : 1;
        f->loose += *count;
        return bytes[*count - 1] == '\n' && f->loose < f->head_max ? AG_HTTP_SKIP : refuse(f, &bad_line);
    }
    if (f->at == 0) {
        ag_http_step step = read_line(f, bytes, n);
        if (step != AG_HTTP_PASS) return step;
    }
    while (whole_line(bytes, n, f->seen, f->at, &length, &next)) {
        if (next > f->head_max) return refuse(f, &long_head);
        if (length == 0) return end_head(f, bytes, next, count);
        const ag_http_refusal *why = check_header(f, bytes + f->at, length);
        if (why) return refuse(f, why);
        f->at = f->seen = next;
    }
    f->seen = n;
    return n < f->head_max ? AG_HTTP_MORE : refuse(f, &long_head);
}

static ag_http_step take_data(ag_http_framing *f, const char *bytes, size_t n, size_t *count)
{
    (void)bytes;
    *count = n < f->left ? n : (size_t)f->left;
    f->left -= *count;
    if (f->left == 0) {
        f->whole = !f->chunked;
        f->unit = LINE_END;
        f->after = CHUNK;
    }
    return *count > 0 ? AG_HTTP_PASS : AG_HTTP_MORE;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static ag_http_step take_chunk(ag_http_framing *f, const char *bytes, size_t n, size_t *count)
{
    size_t length, next, digits = 0, end;
    if (!whole_line(bytes, n < AG_HTTP_CHUNK_LINE ? n : AG_HTTP_CHUNK_LINE, 0, 0, &length, &next))
        return n < AG_HTTP_CHUNK_LINE ? AG_HTTP_MORE : refuse(f, &bad_chunk);
    for (f->left = 0; digits < length && hex_digit(bytes[digits]) >= 0; digits++)
        f->left = (f->left << 4) | (uint64_t)hex_digit(bytes[digits]);
    for (end = digits; end < length && blank(bytes[end]); end++) {}
    if (digits == 0 || next != length + 2 || !clean(bytes, length)) return refuse(f, &bad_chunk);
    if (digits < length && bytes[end] != ';') return refuse(f, &bad_chunk);
    if (digits > HEX_MAX) return refuse(f, &too_large);
    f->unit = LINE_END;
    f->after = f->left > 0 ? DATA : TRAILER;
    f->skip = length - digits;
    *count = digits;
    return AG_HTTP_PASS;
}

static ag_http_step take_line_end(ag_http_framing *f, const char *bytes, size_t n, size_t *count)
{
    if (n > 0 && bytes[0] != '\r') return refuse(f, &bad_chunk);
    if (n < 2) return AG_HTTP_MORE;
    if (bytes[1] != '\n') return refuse(f, &bad_chunk);
    f->unit = f->after;
    *count = 2;
    return AG_HTTP_PASS;
}

static ag_http_step take_trailer(ag_http_framing *f, const char *bytes, size_t n, size_t *count)
{
    size_t length, next, colon;
    bool there = whole_line(bytes, n, 0, 0, &length, &next);
    if (f->loose + (there ? next : n + 1) > f->head_max) return refuse(f, &long_trailers);
    if (!there) return AG_HTTP_MORE;
    if (next != length + 2) return refuse(f, &bad_header);
    *count = next;
    f->whole = length == 0;
    f->loose += next;
    if (f->whole) return AG_HTTP_PASS;
    const ag_http_refusal *why = check_field(bytes, length, &colon);
    return why ? refuse(f, why) : AG_HTTP_SKIP;
}

ag_http_step ag_http_framing_next(ag_http_framing *f, const char *bytes, size_t n, size_t *count)
{
    static ag_http_step (*const units[])(ag_http_framing *, const char *, size_t, size_t *) = {
        [HEAD] = take_head,   [HEAD_OUT] = pass_head,     [DATA] = take_data,
        [CHUNK] = take_chunk, [LINE_END] = take_line_end, [TRAILER] = take_trailer};
    *count = f->skip;
    f->skip = 0;
    if (*count > 0) return AG_HTTP_SKIP;
    if (f->refusal) return AG_HTTP_REFUSED;
    if (f->whole) *f = (ag_http_framing){.head_max = f->head_max};
    return units[f->unit](f, bytes, n, count);
}
