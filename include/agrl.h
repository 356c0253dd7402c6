/* agrl.h: the public C interface of libagrl.
 *
 * agrl turns a relevance rulebook, a catalogue and a few human labels into a small language model that
 * judges how well a product answers a query. This header is all that a program that embeds the judge needs:
 * status codes, the error record, and opaque handles. Every function returns an ag_status and, where it takes
 * an ag_error, fills it with one line that says what failed, where, and what to do.
 *
 * Ownership: a handle returned through a pointer belongs to the caller, who passes it to the matching _close.
 * Strings returned through a pointer are released with ag_string_free.
 * Threads: a handle is used by one thread at a time; different handles may be used by different threads.
 */
#ifndef AGRL_H
#define AGRL_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define AGRL_VERSION "0.1.0"

/* What a call came to. AG_OK is zero; everything else is a failure that ag_error describes. */
typedef enum ag_status {
    AG_OK = 0,
    AG_ERR_USAGE,       /* the caller asked for something that does not exist or contradicts itself  */
    AG_ERR_INPUT,       /* a file or a line of input is damaged, hostile or of the wrong form           */
    AG_ERR_IO,          /* the system could not open, read, write, rename or sync                       */
    AG_ERR_MEMORY,      /* an allocation failed, or a plan does not fit                                 */
    AG_ERR_UNSUPPORTED, /* well-formed, but not something that agrl does                                */
    AG_ERR_INTERRUPTED, /* the user asked to stop                                                       */
    AG_ERR_INTERNAL     /* a broken invariant: a defect of agrl                                         */
} ag_status;

/* The error of the first failure. `message` is one line of UTF-8 without a final newline. */
typedef struct ag_error {
    ag_status code;
    char message[1024];
} ag_error;

/* The version of the library that is running, for example "0.1.0". */
const char *ag_version(void);

#ifdef __cplusplus
}
#endif
#endif
