/* comm.h: ranks that work on one run. Every normaliser and every gradient sum goes through here, so that one
 * rank and many are the same code.
 */
#ifndef AG_BASE_COMM_H
#define AG_BASE_COMM_H

#include <stddef.h>
#include "base/error.h"

typedef struct ag_comm {
    int rank, size;
    void *impl;
    ag_status (*sum_double)(struct ag_comm *c, double *values, size_t n, ag_error *err);
    ag_status (*sum_float)(struct ag_comm *c, float *values, size_t n, ag_error *err);
    ag_status (*broadcast)(struct ag_comm *c, void *bytes, size_t n, int root, ag_error *err);
    ag_status (*barrier)(struct ag_comm *c, ag_error *err);
} ag_comm;

/* The communicator of a program that is alone. Never fails; needs no release. */
ag_comm *ag_comm_self(void);

#endif
