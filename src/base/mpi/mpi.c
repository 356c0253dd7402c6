/* mpi.c: the plugin libagrl_mpi.so: ranks by MPI (MPI-3). One communicator a program; calls come from one thread. */
#include <limits.h>
#include <mpi.h>
#include <stdlib.h>
#include "base/comm.h"

/* A message is counted in ints. */
enum { PIECE = 1 << 28 };

static ag_status check(int code, const char *what, ag_error *err)
{
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    if (code == MPI_SUCCESS) return AG_OK;
    if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) length = 0;
    return ag_fail(err, AG_ERR_INTERNAL, "ranks: %s: %.*s", what, length, text);
}

/* The sum is made in one place and sent from there: MPI_Allreduce may round differently from rank to rank. */
static ag_status sum(void *values, size_t n, size_t size, MPI_Datatype type, ag_error *err)
{
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    for (size_t at = 0; at < n; at += PIECE) {
        int count = n - at < PIECE ? (int)(n - at) : PIECE;
        void *piece = (char *)values + at * size;
        AG_TRY(check(
            MPI_Reduce(rank == 0 ? MPI_IN_PLACE : piece, piece, count, type, MPI_SUM, 0, MPI_COMM_WORLD),
            "sum", err));
        AG_TRY(check(MPI_Bcast(piece, count, type, 0, MPI_COMM_WORLD), "sum", err));
    }
    return AG_OK;
}

static ag_status sum_double(ag_comm *c, double *values, size_t n, ag_error *err)
{
    (void)c;
    return sum(values, n, sizeof *values, MPI_DOUBLE, err);
}

static ag_status sum_float(ag_comm *c, float *values, size_t n, ag_error *err)
{
    (void)c;
    return sum(values, n, sizeof *values, MPI_FLOAT, err);
}

static ag_status share(ag_comm *c, void *all, const size_t *bytes, ag_error *err)
{
    char *piece = all;
    for (int root = 0; root < c->size; piece += bytes[root++])
        for (size_t at = 0; at < bytes[root]; at += PIECE) {
            int count = bytes[root] - at < PIECE ? (int)(bytes[root] - at) : PIECE;
            AG_TRY(check(MPI_Bcast(piece + at, count, MPI_BYTE, root, MPI_COMM_WORLD), "share", err));
        }
    return AG_OK;
}

static void close_ranks(ag_comm *c, bool failed)
{
    (void)c;
    if (failed)
        MPI_Abort(MPI_COMM_WORLD, 1);
    else
        MPI_Finalize();
}

/* The plugin's one way in. table_bytes: size of the caller's ag_comm, which tells builds apart. */
ag_status ag_comm_mpi_open(ag_comm **comm, size_t table_bytes, ag_error *err);
ag_status ag_comm_mpi_open(ag_comm **comm, size_t table_bytes, ag_error *err)
{
    static ag_comm ranks = {
        .sum_double = sum_double, .sum_float = sum_float, .share = share, .close = close_ranks};
    int provided;
    MPI_Comm machine;
    if (table_bytes != sizeof ranks)
        return ag_fail(err, AG_ERR_UNSUPPORTED,
                       "several ranks: libagrl_mpi.so belongs to another build of agrl");
    AG_TRY(check(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided), "start", err));
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    AG_TRY(check(MPI_Comm_rank(MPI_COMM_WORLD, &ranks.rank), "start", err));
    AG_TRY(check(MPI_Comm_size(MPI_COMM_WORLD, &ranks.size), "start", err));
    AG_TRY(
        check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, ranks.rank, MPI_INFO_NULL, &machine),
              "start", err));
    AG_TRY(check(MPI_Comm_rank(machine, &ranks.local), "start", err));
    MPI_Comm_free(&machine);
    *comm = &ranks;
    return AG_OK;
}
