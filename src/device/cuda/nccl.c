/* nccl.c: the plugin libagrl_nccl.so: gradients of several cards summed by NCCL, over the links between them. */
#include <cuda_runtime.h>
#include <nccl.h>
#include "base/comm.h"
#include "base/mem.h"

typedef struct cards {
    ncclComm_t ranks;
    cudaStream_t stream;
} cards;

static ag_status check(ncclResult_t code, const char *what, ag_error *err)
{
    if (code == ncclSuccess) return AG_OK;
    return ag_fail(err, AG_ERR_INTERNAL, "NCCL: %s: %s", what, ncclGetErrorString(code));
}

static ag_status check_cuda(cudaError_t code, const char *what, ag_error *err)
{
    if (code == cudaSuccess) return AG_OK;
    return ag_fail(err, AG_ERR_INTERNAL, "NCCL: %s: %s", what, cudaGetErrorString(code));
}

static ag_status sum_device(ag_comm *c, void *values, size_t n, ag_error *err)
{
    cards *k = c->impl;
    AG_TRY(check(ncclAllReduce(values, values, n, ncclFloat, ncclSum, k->ranks, k->stream), "sum", err));
    return check_cuda(cudaStreamSynchronize(k->stream), "sum", err);
}

static void close_device(ag_comm *c)
{
    cards *k = c->impl;
    if (k->ranks) ncclCommDestroy(k->ranks);
    if (k->stream) cudaStreamDestroy(k->stream);
    ag_free(k);
    c->impl = NULL;
    c->sum_device = NULL;
    c->close_device = NULL;
}

/* The plugin's one way in: the ranks of `comm`, each with a card of its own, join. table_bytes: size of the caller's ag_comm. */
ag_status ag_comm_nccl_join(ag_comm *comm, size_t table_bytes, int card, ag_error *err);
ag_status ag_comm_nccl_join(ag_comm *comm, size_t table_bytes, int card, ag_error *err)
{
    ncclUniqueId id = {0};
    if (table_bytes != sizeof *comm)
        return ag_fail(err, AG_ERR_UNSUPPORTED, "NCCL: libagrl_nccl.so belongs to another build of agrl");
    if (comm->rank == 0) AG_TRY(check(ncclGetUniqueId(&id), "start", err));
    size_t *bytes = ag_calloc((size_t)comm->size, sizeof *bytes);
    cards *k = ag_calloc(1, sizeof *k);
    ag_status status = bytes && k ? AG_OK : ag_fail_memory(err, "NCCL");
    if (status == AG_OK) bytes[0] = sizeof id;
    if (status == AG_OK) status = comm->share(comm, &id, bytes, err);
    ag_free(bytes);
    if (status == AG_OK) status = check_cuda(cudaSetDevice(card), "start", err);
    if (status == AG_OK)
        status = check_cuda(cudaStreamCreateWithFlags(&k->stream, cudaStreamNonBlocking), "start", err);
    if (status == AG_OK)
        status = check(ncclCommInitRank(&k->ranks, comm->size, id, comm->rank), "start", err);
    if (status != AG_OK) {
        ag_free(k);
        return status;
    }
    comm->impl = k;
    comm->sum_device = sum_device;
    comm->close_device = close_device;
    return AG_OK;
}
