/* out.c: writing files whole. The content goes to a file of another name in the same folder, which takes
 * the real name only after it is complete and on the disk; so a full disk, a kill or a power cut leaves the
 * old file. What is not a regular file (/dev/null, a pipe) is written in place: renaming over it would
 * replace it.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "base/mem.h"
#include "base/str.h"

enum { OUT_BUFFER = 64 << 10 };

struct ag_out {
    char *path;      /* what the caller named, for messages */
    char *target;    /* what is renamed over: path, or what it links to */
    char *temporary; /* NULL: written in place */
    int fd;
    bool standard, gzip;
    ag_error first; /* the error kept; code AG_OK while there is none */
    z_stream z;
    unsigned char *buffer, *packed;
    size_t used;
};

static const char *out_name(const ag_out *o)
{
    return o->standard ? "standard output" : o->path;
}

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

static void out_free(ag_out *o)
{
    if (!o) return;
    if (o->gzip) deflateEnd(&o->z);
    if (o->fd >= 0 && !o->standard) close(o->fd);
    ag_free(o->path);
    ag_free(o->target);
    ag_free(o->temporary);
    ag_free(o->buffer);
    ag_free(o->packed);
    ag_free(o);
}

void ag_out_abort(ag_out *o)
{
    if (o && o->temporary && o->fd >= 0) unlink(o->temporary);
    out_free(o);
}

/* --- opening -------------------------------------------------------------------------------------------- */

/* Opens a new file in the folder of target. The name is only told apart, never guessed at, by the numbers in
 * it: O_EXCL settles who gets it. */
static ag_status open_temporary(ag_out *o, mode_t mode, ag_error *err)
{
    static atomic_uint serial;
    ag_status status = AG_OK;
    char *dir = ag_path_dir(o->target), name[64];
    if (!dir) return ag_fail_memory(err, "file name");
    for (int tries = 0;; tries++) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        unsigned number = (unsigned)now.tv_nsec ^ (unsigned)now.tv_sec << 8 ^
                          atomic_fetch_add(&serial, 1) << 24;
        snprintf(name, sizeof name, ".agrl-%ld-%08x.tmp", (long)getpid(), number);
        ag_free(o->temporary);
        if (!(o->temporary = ag_path_join(dir, name))) {
            status = ag_fail_memory(err, "file name");
            goto out;
        }
        o->fd = open(o->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (o->fd >= 0) break;
        if (errno != EEXIST || tries == 100) {
            status = ag_fail_errno(err, "cannot create a file beside", o->path);
            goto out;
        }
    }
out:
    ag_free(dir);
    return status;
}

static ag_status open_target(ag_out *o, ag_error *err)
{
    struct stat st;
    bool in_place;
    AG_TRY(ag_path_target(&o->target, &in_place, o->path, err));
    if (in_place) {
        o->fd = open(o->path, O_WRONLY | O_CLOEXEC);
        return o->fd >= 0 ? AG_OK : ag_fail_errno(err, "cannot open", o->path);
    }
    bool exists = stat(o->path, &st) == 0;
    /* The old file's mode is kept, and the new one is never readable for more people than the old one. */
    ag_status status = open_temporary(o, exists ? st.st_mode & 0777 : 0666, err);
    if (status == AG_OK && exists) (void)!fchmod(o->fd, st.st_mode & 07777);
    return status;
}

ag_status ag_out_open(ag_out **out, const char *path, ag_error *err)
{
    ag_status status = AG_OK;
    size_t length = strlen(path);
    *out = NULL;
    ag_out *o = ag_calloc(1, sizeof *o);
    if (!o) return ag_fail_memory(err, "output buffer");
    o->fd = -1;
    o->standard = strcmp(path, "-") == 0;
    o->path = ag_strdup(path);
    o->buffer = ag_calloc(OUT_BUFFER, 1);
    if (!o->path || !o->buffer) {
        status = ag_fail_memory(err, "output buffer");
        goto out;
    }
    if (!o->standard && length >= 3 && strcmp(path + length - 3, ".gz") == 0) {
        o->packed = ag_calloc(OUT_BUFFER, 1);
        o->z.zalloc = zip_alloc;
        o->z.zfree = zip_free;
        /* zlib writes a header without time stamp and name unless it is given one. */
        if (!o->packed || deflateInit2(&o->z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
            status = ag_fail_memory(err, "gzip writer");
            goto out;
        }
        o->gzip = true;
    }
    if (o->standard) {
        fflush(stdout); /* what was printed before stays before */
        o->fd = STDOUT_FILENO;
    } else if ((status = open_target(o, err)) != AG_OK) {
        goto out;
    }
    *out = o;
    o = NULL;
out:
    ag_out_abort(o);
    return status;
}

/* --- writing -------------------------------------------------------------------------------------------- */

static void put_bytes(ag_out *o, const unsigned char *bytes, size_t n)
{
    while (n > 0 && o->first.code == AG_OK) {
        ssize_t done = write(o->fd, bytes, n);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) {
            ag_fail_errno(&o->first, "cannot write", out_name(o));
            return;
        }
        bytes += done;
        n -= (size_t)done;
    }
}

/* Sends the buffer on; `flush` is a zlib flush mode. */
static void drain(ag_out *o, int flush)
{
    if (o->first.code != AG_OK) return;
    if (!o->gzip) {
        put_bytes(o, o->buffer, o->used);
    } else if (o->used > 0 || flush != Z_NO_FLUSH) {
        o->z.next_in = o->buffer;
        o->z.avail_in = (uInt)o->used;
        do {
            o->z.next_out = o->packed;
            o->z.avail_out = OUT_BUFFER;
            if (deflate(&o->z, flush) == Z_STREAM_ERROR) {
                ag_fail(&o->first, AG_ERR_INTERNAL, "gzip writer in a wrong state");
                return;
            }
            put_bytes(o, o->packed, OUT_BUFFER - o->z.avail_out);
        } while (o->z.avail_out == 0 && o->first.code == AG_OK);
    }
    o->used = 0;
}

void ag_out_write(ag_out *o, const void *bytes, size_t n)
{
    const unsigned char *from = bytes;
    while (n > 0 && o->first.code == AG_OK) {
        size_t part = OUT_BUFFER - o->used < n ? OUT_BUFFER - o->used : n;
        memcpy(o->buffer + o->used, from, part);
        o->used += part;
        from += part;
        n -= part;
        if (o->used == OUT_BUFFER) drain(o, Z_NO_FLUSH);
    }
}

void ag_out_cell(ag_out *o, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) ag_out_write(o, strchr("\t\r\n", text[i]) ? " " : &text[i], 1);
}

void ag_out_printf(ag_out *o, const char *format, ...)
{
    char small[512];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, format, args);
    if (n >= 0 && (size_t)n < sizeof small) {
        ag_out_write(o, small, (size_t)n);
    } else if (o->first.code == AG_OK) {
        ag_str text = {0};
        ag_str_vaddf(&text, format, again);
        if (ag_str_ok(&text, &o->first) == AG_OK) ag_out_write(o, text.data, text.len);
        ag_str_free(&text);
    }
    va_end(again);
    va_end(args);
}

static ag_status kept_error(const ag_out *o, ag_error *err)
{
    if (err && o->first.code != AG_OK) *err = o->first;
    return o->first.code;
}

ag_status ag_out_flush(ag_out *o, ag_error *err)
{
    if (!o->temporary) drain(o, Z_SYNC_FLUSH);
    return kept_error(o, err);
}

ag_status ag_out_commit(ag_out *o, ag_error *err)
{
    ag_status status;
    char *dir = NULL;
    drain(o, Z_FINISH);
    if ((status = kept_error(o, err)) != AG_OK || o->standard) goto out;
    if (o->temporary && fsync(o->fd) != 0) {
        status = ag_fail_errno(err, "cannot sync", out_name(o));
        goto out;
    }
    /* Found before the rename, after which nothing may fail that does not have to. */
    if (o->temporary && !(dir = ag_path_dir(o->target))) {
        status = ag_fail_memory(err, "file name");
        goto out;
    }
    int fd = o->fd;
    o->fd = -1;
    if (close(fd) != 0) { /* where some network file systems report a full disk */
        status = ag_fail_errno(err, "cannot close", out_name(o));
        if (o->temporary) unlink(o->temporary);
        goto out;
    }
    if (!o->temporary) goto out;
    if (rename(o->temporary, o->target) != 0) {
        status = ag_fail_errno(err, "cannot put in place", out_name(o));
        unlink(o->temporary);
        goto out;
    }
    status = ag_dir_sync(dir, err);
out:
    ag_free(dir);
    ag_out_abort(
        o); /* removes the new file only where its descriptor is still open: it was not put in place */
    return status;
}

ag_status ag_file_write(const char *dir, const char *name, const char *bytes, size_t n, ag_error *err)
{
    char *path = ag_path_join(dir, name);
    ag_out *out = NULL;
    ag_status status = path ? ag_out_open(&out, path, err) : ag_fail_memory(err, name);
    if (status == AG_OK) {
        ag_out_write(out, bytes, n);
        status = ag_out_commit(out, err);
    }
    ag_free(path);
    return status;
}
