/* file.c: reading, plain or gzip, whole or line by line. What is gzip is told by its first two bytes, never
 * by its name, and a file may be several gzip members after each other (what `cat a.gz b.gz` makes).
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/mem.h"

/* --- a source of bytes ---------------------------------------------------------------------------------- */

enum { SOURCE_BUFFER = 64 << 10 };

typedef struct source {
    const char *name; /* for messages */
    int fd;
    bool standard;     /* fd is standard input, not ours to close */
    bool ended;        /* nothing more comes from fd */
    bool gzip, inside; /* inside: in the middle of a gzip member */
    bool broken;       /* the gzip data is damaged; stays so */
    z_stream z;
    unsigned char *buffer;
    size_t at, end; /* unread bytes of buffer */
} source;

static voidpf zip_alloc(voidpf opaque, uInt items, uInt size)
{
    (void)opaque;
    return ag_calloc(items, size);
}

static void zip_free(voidpf opaque, voidpf block)
{
    (void)opaque;
    ag_free(block);
}

static void source_close(source *s)
{
    if (s->gzip) inflateEnd(&s->z);
    if (s->fd >= 0 && !s->standard) close(s->fd);
    ag_free(s->buffer);
    s->gzip = false;
    s->fd = -1;
    s->buffer = NULL;
}

/* Adds what one read gives to the buffer, which must have room. */
static ag_status source_fill(source *s, ag_error *err)
{
    if (s->at == s->end) s->at = s->end = 0;
    for (;;) {
        ssize_t n = read(s->fd, s->buffer + s->end, SOURCE_BUFFER - s->end);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return ag_fail_errno(err, "cannot read", s->name);
        if (n == 0) s->ended = true;
        s->end += (size_t)n;
        return AG_OK;
    }
}

/* On failure the caller still calls source_close. */
static ag_status source_open(source *s, const char *path, ag_error *err)
{
    ag_status status;
    memset(s, 0, sizeof *s);
    s->standard = strcmp(path, "-") == 0;
    s->name = s->standard ? "standard input" : path;
    s->fd = s->standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0) return ag_fail_errno(err, "cannot open", path);
    if (!(s->buffer = ag_calloc(SOURCE_BUFFER, 1))) return ag_fail_memory(err, "read buffer");
    while (s->end < 2 && !s->ended)
        if ((status = source_fill(s, err)) != AG_OK) return status;
    if (s->end >= 2 && s->buffer[0] == 0x1F && s->buffer[1] == 0x8B) {
        s->z.zalloc = zip_alloc;
        s->z.zfree = zip_free;
        int code = inflateInit2(&s->z, 15 + 16);
        if (code == Z_MEM_ERROR) return ag_fail_memory(err, "gzip reader");
        if (code != Z_OK) return ag_fail(err, AG_ERR_INTERNAL, "zlib does not start: %s", zError(code));
        s->gzip = s->inside = true;
    }
    return AG_OK;
}

/* Between members: more data, zero padding up to the end, or rubbish. Sets s->inside when a member begins. */
static ag_status source_next_member(source *s, ag_error *err)
{
    ag_status status;
    while (s->end - s->at < 2 && !s->ended) {
        if (s->at > 0) { /* keeps room behind a single byte */
            memmove(s->buffer, s->buffer + s->at, s->end - s->at);
            s->end -= s->at;
            s->at = 0;
        }
        if ((status = source_fill(s, err)) != AG_OK) return status;
    }
    if (s->end - s->at >= 2 && s->buffer[s->at] == 0x1F && s->buffer[s->at + 1] == 0x8B) {
        s->inside = true;
        return inflateReset(&s->z) == Z_OK ? AG_OK : ag_fail(err, AG_ERR_INTERNAL, "zlib does not restart");
    }
    for (; s->at < s->end; s->at++) {
        if (s->buffer[s->at] != 0) {
            s->broken = true;
            return ag_fail(err, AG_ERR_INPUT, "'%s': bytes that are not gzip after the gzip data", s->name);
        }
    }
    return AG_OK;
}

/* Up to n bytes to `bytes`; *got is 0 only at the end. */
static ag_status source_read(source *s, void *bytes, size_t n, size_t *got, ag_error *err)
{
    ag_status status;
    *got = 0;
    if (s->broken) return ag_fail(err, AG_ERR_INPUT, "'%s': damaged gzip data", s->name);
    while (*got == 0 && n > 0) {
        if (s->at == s->end && !s->ended && (status = source_fill(s, err)) != AG_OK) return status;
        if (!s->gzip) {
            size_t held = s->end - s->at;
            if (held == 0) return AG_OK;
            *got = held < n ? held : n;
            memcpy(bytes, s->buffer + s->at, *got);
            s->at += *got;
            return AG_OK;
        }
        if (!s->inside) {
            if ((status = source_next_member(s, err)) != AG_OK) return status;
            if (!s->inside && s->at == s->end && s->ended) return AG_OK;
            continue;
        }
        if (s->at == s->end && s->ended) {
            s->broken = true;
            return ag_fail(err, AG_ERR_INPUT, "'%s': gzip data ends in the middle", s->name);
        }
        size_t room = n < (1u << 30) ? n : 1u << 30;
        s->z.next_in = s->buffer + s->at;
        s->z.avail_in = (uInt)(s->end - s->at);
        s->z.next_out = bytes;
        s->z.avail_out = (uInt)room;
        int code = inflate(&s->z, Z_NO_FLUSH);
        s->at = s->end - s->z.avail_in;
        *got = room - s->z.avail_out;
        if (code == Z_STREAM_END) {
            s->inside = false;
        } else if (code == Z_MEM_ERROR) {
            return ag_fail_memory(err, "gzip reader");
        } else if (code != Z_OK && code != Z_BUF_ERROR) {
            s->broken = true;
            return ag_fail(err, AG_ERR_INPUT, "'%s': damaged gzip data: %s", s->name,
                           s->z.msg ? s->z.msg : zError(code));
        }
    }
    return AG_OK;
}

/* --- whole files ---------------------------------------------------------------------------------------- */

ag_status ag_file_read(const char *path, size_t max_bytes, char **data, size_t *len, ag_error *err)
{
    source s;
    struct stat st;
    char *bytes = NULL;
    size_t cap = 0, used = 0, got = 0;
    ag_status status = source_open(&s, path, err);
    *data = NULL;
    *len = 0;
    if (status != AG_OK) goto out;
    if (max_bytes == 0) max_bytes = (size_t)1 << 30;
    if (!s.gzip && fstat(s.fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
        (size_t)st.st_size <= max_bytes) {
        /* Two bytes more: the final NUL, and one that lets the last read find the end. */
        if (!ag_grow(&bytes, &cap, (size_t)st.st_size + 2, 1)) goto memory;
    }
    for (;;) {
        if (used > max_bytes) {
            status = ag_fail(err, AG_ERR_INPUT, "'%s': more than %zu bytes", s.name, max_bytes);
            goto out;
        }
        if (!ag_grow(&bytes, &cap, used + 2, 1)) goto memory;
        size_t room = cap - used - 1;
        if (room > max_bytes - used + 1) room = max_bytes - used + 1;
        if ((status = source_read(&s, bytes + used, room, &got, err)) != AG_OK) goto out;
        if (got == 0) break;
        used += got;
    }
    bytes[used] = '\0';
    *data = bytes;
    *len = used;
    bytes = NULL;
    goto out;
memory:
    status = ag_fail(err, AG_ERR_MEMORY, "out of memory: contents of '%s'", s.name);
out:
    source_close(&s);
    ag_free(bytes);
    return status;
}

/* --- lines ---------------------------------------------------------------------------------------------- */

struct ag_lines {
    source s;
    char *path;
    char *buffer;
    size_t cap, start, end; /* bytes not handed out yet */
    bool ended;
    long number;
};

ag_status ag_lines_open(ag_lines **lines, const char *path, ag_error *err)
{
    ag_status status;
    *lines = NULL;
    ag_lines *l = ag_calloc(1, sizeof *l);
    if (!l) return ag_fail_memory(err, "line reader");
    l->s.fd = -1;
    if (!(l->path = ag_strdup(path)) || !ag_grow(&l->buffer, &l->cap, SOURCE_BUFFER, 1)) {
        status = ag_fail_memory(err, "line reader");
        goto out;
    }
    if ((status = source_open(&l->s, l->path, err)) != AG_OK) goto out;
    *lines = l;
    l = NULL;
out:
    ag_lines_close(l);
    return status;
}

/* Reads more behind `end`, making room in front and then behind. */
static ag_status lines_more(ag_lines *l, ag_error *err)
{
    if (l->start > 0) {
        memmove(l->buffer, l->buffer + l->start, l->end - l->start);
        l->end -= l->start;
        l->start = 0;
    }
    if (l->end + 1 >= l->cap && !ag_grow(&l->buffer, &l->cap, l->cap + 1, 1)) {
        ag_fail_memory(err, "line");
        ag_error_prefix(err, "%s:%ld", ag_lines_path(l), l->number + 1);
        return AG_ERR_MEMORY;
    }
    size_t got;
    ag_status status = source_read(&l->s, l->buffer + l->end, l->cap - l->end - 1, &got, err);
    if (status != AG_OK) {
        ag_error_prefix(err, "%s:%ld", ag_lines_path(l), l->number + 1);
        return status;
    }
    l->end += got;
    l->ended = got == 0;
    return AG_OK;
}

ag_status ag_lines_next(ag_lines *l, char **line, size_t *len, ag_error *err)
{
    size_t seen = 0; /* bytes from start already searched */
    char *newline;
    *line = NULL;
    *len = 0;
    for (;;) {
        newline = l->end > l->start + seen
                      ? memchr(l->buffer + l->start + seen, '\n', l->end - l->start - seen)
                      : NULL;
        seen = l->end - l->start;
        if (newline || l->ended) break;
        if (seen > AG_LINE_MAX + 1) break; /* one for the CR of a longest line */
        ag_status status = lines_more(l, err);
        if (status != AG_OK) return status;
    }
    if (!newline && seen == 0) return AG_OK;

    char *text = l->buffer + l->start;
    size_t n = newline ? (size_t)(newline - text) : seen;
    if (newline && n > 0 && text[n - 1] == '\r') n--;
    if (n > AG_LINE_MAX)
        return ag_fail(err, AG_ERR_INPUT, "%s:%ld: the line is longer than %u bytes", ag_lines_path(l),
                       l->number + 1, AG_LINE_MAX);
    l->start += newline ? (size_t)(newline - text) + 1 : n;
    l->number++;
    text[n] = '\0';
    if (memchr(text, '\0', n))
        return ag_fail(err, AG_ERR_INPUT, "%s:%ld: the line contains a NUL byte", ag_lines_path(l),
                       l->number);
    if (l->number == 1 && n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) text += 3, n -= 3;
    *line = text;
    *len = n;
    return AG_OK;
}

long ag_lines_number(const ag_lines *l)
{
    return l->number;
}

const char *ag_lines_path(const ag_lines *l)
{
    return l->s.standard ? "<stdin>" : l->path;
}

void ag_lines_close(ag_lines *l)
{
    if (!l) return;
    source_close(&l->s);
    ag_free(l->buffer);
    ag_free(l->path);
    ag_free(l);
}
