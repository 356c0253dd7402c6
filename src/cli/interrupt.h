/* interrupt.h: Ctrl-C and SIGTERM as a flag.
 *
 * No handler: handlers run on whatever thread is computing, and oneDNN's generated code does not survive that
 * (device/cpu/onednn.h). A thread of its own waits for the signals instead.
 */
#ifndef AG_CLI_INTERRUPT_H
#define AG_CLI_INTERRUPT_H

#include <stdbool.h>
#include "base/error.h"

/* From here on the first SIGINT or SIGTERM sets the flag and a second one ends the program. Call it once, before any other
 * thread starts: threads and processes started later do not receive these signals. */
ag_status ag_interrupt_begin(ag_error *err);
/* Whether one came. Any thread. */
bool ag_interrupted(void);

#endif
