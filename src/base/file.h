/* file.h: reading and writing files so that nothing half-written looks whole and nothing old is lost.
 *
 * "-" names standard input or output everywhere. Reading accepts gzip transparently.
 */
#ifndef AG_BASE_FILE_H
#define AG_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"

/* Reads a whole file (gunzipped if it is gzip). More than max_bytes (0: 1 GiB) is AG_ERR_INPUT. *data gets a
 * final NUL that *len does not count; freed with ag_free. */
ag_status ag_file_read(const char *path, size_t max_bytes, char **data, size_t *len, ag_error *err);

/* Lines of a text file, plain or gzip, streamed in constant memory. */
#define AG_LINE_MAX (16u << 20) /* a longer line is an error */
typedef struct ag_lines ag_lines;
ag_status ag_lines_open(ag_lines **lines, const char *path, ag_error *err);
/* Next line without its end (LF or CRLF); *line points into the reader until the next call and is NUL
 * terminated. *line is NULL at the end. A byte order mark at the start of the file is skipped. Too long a
 * line, a NUL byte, or damaged gzip data is AG_ERR_INPUT naming file and line. */
ag_status ag_lines_next(ag_lines *lines, char **line, size_t *len, ag_error *err);
long ag_lines_number(const ag_lines *lines);      /* of the line last returned, from 1 */
const char *ag_lines_path(const ag_lines *lines); /* for messages: "<stdin>" for "-" */
void ag_lines_close(ag_lines *lines);

/* A file written aside and put in place by rename. A path ending in .gz is written as gzip without time stamp,
 * so that the same content gives the same bytes. Errors of writes are kept and returned by commit. A link is
 * followed; what exists and is no regular file (/dev/null, a named pipe) is written in place. */
typedef struct ag_out ag_out;
ag_status ag_out_open(ag_out **out, const char *path, ag_error *err);
void ag_out_write(ag_out *out, const void *bytes, size_t n);
void ag_out_printf(ag_out *out, const char *format, ...) AG_PRINTF(2, 3);
/* The first n bytes of a text as a cell of a table: tabs and line ends become spaces. */
void ag_out_cell(ag_out *out, const char *text, size_t n);
/* Flushes what was written to standard output; for files does nothing. Returns the error kept so far. */
ag_status ag_out_flush(ag_out *out, ag_error *err);
/* Flush, sync, rename over `path`, sync the folder; on any failure the old file is still there and the new one is
 * gone. Frees out in every case. */
ag_status ag_out_commit(ag_out *out, ag_error *err);
/* Throws the new file away; safe with NULL. */
void ag_out_abort(ag_out *out);

/* Writes a whole file of a folder that way. */
ag_status ag_file_write(const char *dir, const char *name, const char *bytes, size_t n, ag_error *err);

/* Makes a folder and its parents; existing is fine. */
ag_status ag_dir_make(const char *path, ag_error *err);
/* fsync of a folder. */
ag_status ag_dir_sync(const char *path, ag_error *err);
/* Removes a folder and all in it; absent is fine. Does not follow links. */
ag_status ag_dir_remove(const char *path, ag_error *err);
bool ag_path_exists(const char *path);
bool ag_path_is_dir(const char *path);
/* The file that a write to `path` should replace: behind a link, what it points to (a link to nothing: the link itself).
 * *in_place: what is there is no regular file (a pipe, a device) and must be written as it is. A folder is AG_ERR_IO. *target:
 * ag_free. */
ag_status ag_path_target(char **target, bool *in_place, const char *path, ag_error *err);
/* Do both exist and are they one file, whatever their names? */
bool ag_path_same(const char *a, const char *b);
/* AG_ERR_USAGE when writing `out` would overwrite the input `in` (either may be NULL; "-" is never the same). */
ag_status ag_path_distinct(const char *out, const char *in, ag_error *err);
/* Before long work that reads `in` ("" or "-": fine): it must be there and may be read. Nothing is opened: it may be a pipe. */
ag_status ag_path_in_ready(const char *in, ag_error *err);
/* Before long work whose result goes to `out` (NULL or "-": fine): its folder must be there and it must not be a folder itself. */
ag_status ag_path_out_ready(const char *out, ag_error *err);
/* "dir/name" (one slash between), a name's leading "../" taken from a dir that is there; freed with ag_free; NULL when out of memory. */
char *ag_path_join(const char *dir, const char *name);
/* The part of path before its last slash ("." if none); freed with ag_free. */
char *ag_path_dir(const char *path);

#endif
