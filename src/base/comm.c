/* comm.c: the communicator of one rank, and the way to that of several. What the first does is nothing, and that is the point: the
 * code that sums over ranks is the same whether there are others or not.
 */
#include "base/comm.h"

#include <stdlib.h>
#include "base/plugin.h"

static ag_status self_sum_double(ag_comm *c, double *values, size_t n, ag_error *err)
{
    (void)c, (void)values, (void)n, (void)err;
    return AG_OK;
}

static ag_status self_sum_float(ag_comm *c, float *values, size_t n, ag_error *err)
{
    (void)c, (void)values, (void)n, (void)err;
    return AG_OK;
}

static ag_status self_share(ag_comm *c, void *all, const size_t *bytes, ag_error *err)
{
    (void)c, (void)all, (void)bytes, (void)err;
    return AG_OK;
}

ag_comm *ag_comm_self(void)
{
    static ag_comm self = {
        .size = 1, .sum_double = self_sum_double, .sum_float = self_sum_float, .share = self_share};
    return &self;
}

bool ag_comm_launched(void)
{
    /* What mpirun (Open MPI; MPICH and Intel MPI) and srun say of the number of processes. A batch script of Slurm that starts one
     * program without srun has no PMI of its own. */
    static const char *const sizes[][2] = {{"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},
                                           {"PMI_SIZE", "PMI_RANK"},
                                           {"SLURM_STEP_NUM_TASKS", "PMIX_RANK"},
                                           {"SLURM_STEP_NUM_TASKS", "PMI_RANK"}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const char *size = getenv(sizes[i][0]);
        if (size && atoi(size) > 1 && getenv(sizes[i][1])) return true;
    }
    return false;
}

ag_status ag_comm_open(ag_comm **comm, ag_error *err)
{
    void *function;
    ag_status (*open)(ag_comm **, size_t, ag_error *);
    *comm = ag_comm_self();
    if (!ag_comm_launched()) return AG_OK;
    AG_TRY(ag_plugin_open(&function, "libagrl_mpi.so", "ag_comm_mpi_open", "several ranks", err));
    *(void **)&open = function;
    return open(comm, sizeof **comm, err);
}

void ag_comm_close(ag_comm *comm, bool failed)
{
    /* collective, too: the others would not come where one has failed */
    if (comm && comm->close_device && !failed) comm->close_device(comm);
    if (comm && comm->close) comm->close(comm, failed);
}

void ag_comm_share(int rank, int size, size_t n, size_t *from, size_t *to)
{
    *from = n * (size_t)rank / (size_t)size;
    *to = n * ((size_t)rank + 1) / (size_t)size;
}
