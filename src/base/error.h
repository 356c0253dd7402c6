/* error.h: status and error text. See include/agrl.h for the codes.
 *
 * A function that can fail returns ag_status and takes `ag_error *err` last. The place that detects the
 * failure writes the message with ag_fail; callers pass the status up and may put a place in front of it with
 * ag_error_prefix. `err` may be NULL everywhere.
 */
#ifndef AG_BASE_ERROR_H
#define AG_BASE_ERROR_H

#include "agrl.h"

#define AG_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Writes one line into err (newlines become spaces, control bytes '?'), cut at its size; returns code. */
ag_status ag_fail(ag_error *err, ag_status code, const char *format, ...) AG_PRINTF(3, 4);

/* AG_ERR_MEMORY with "out of memory: <what>". */
ag_status ag_fail_memory(ag_error *err, const char *what);

/* AG_ERR_IO with "<what> '<path>': <strerror(errno)>". */
ag_status ag_fail_errno(ag_error *err, const char *what, const char *path);

/* Puts "<prefix>: " in front of the message that is already there. */
void ag_error_prefix(ag_error *err, const char *format, ...) AG_PRINTF(2, 3);

/* Calls and passes a failure up: for straight lines of calls in functions that own nothing at that point. */
#define AG_TRY(call)                                                                                         \
    do {                                                                                                     \
        ag_status try_status_ = (call);                                                                      \
        if (try_status_ != AG_OK) return try_status_;                                                        \
    } while (0)

/* A short name of a status, for example "input". */
const char *ag_status_name(ag_status code);

#endif
