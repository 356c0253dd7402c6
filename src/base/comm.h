/* comm.h: ranks that work on one run: processes that `mpirun` or Slurm started together.
 *
 * All ranks hold the same state and make the same decisions from the same numbers; what they split is the work: the prompts of a
 * step that is sampled, the passages of an update. So there are three things to say to each other: counts, gradients, and what each
 * found in its share. Every call is made by all ranks in the same order, from one thread.
 */
#ifndef AG_BASE_COMM_H
#define AG_BASE_COMM_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

typedef struct ag_comm {
    int rank, size;
    int local; /* number of this rank among those of its machine */
    void *impl;
    /* Sums over the ranks, in an order that depends on their number alone; all get the same bytes. */
    ag_status (*sum_double)(struct ag_comm *c, double *values, size_t n, ag_error *err);
    ag_status (*sum_float)(struct ag_comm *c, float *values, size_t n, ag_error *err);
    /* `all` holds the ranks' pieces behind each other, bytes[rank] each; the own piece stands in its place, the others are set. */
    ag_status (*share)(struct ag_comm *c, void *all, const size_t *bytes, ag_error *err);
    /* As sum_float, of memory of the device, which has nothing else to do. NULL: by way of the host. */
    ag_status (*sum_device)(struct ag_comm *c, void *values, size_t n, ag_error *err);
    void (*close_device)(struct ag_comm *c);
    void (*close)(struct ag_comm *c, bool failed);
} ag_comm;

/* The communicator of a program that is alone. Never fails; needs no release. */
ag_comm *ag_comm_self(void);

/* Was this program started as one of several? */
bool ag_comm_launched(void);
/* The communicator of the ranks that were started together: of one that is alone, or by MPI (the plugin libagrl_mpi.so). Once a
 * program. AG_ERR_UNSUPPORTED: there are several and this build has no MPI. */
ag_status ag_comm_open(ag_comm **comm, ag_error *err);
/* `failed`: the others are ended, too; they would wait for ever. */
void ag_comm_close(ag_comm *comm, bool failed);

/* The share [from, to) of n things that a rank has: shares lie behind each other and differ by one at most. */
void ag_comm_share(int rank, int size, size_t n, size_t *from, size_t *to);

#endif
