/* device.c: choosing a backend by name, and the small helpers that every backend shares. */
#include "device/device.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/plugin.h"
#include "base/str.h"

size_t ag_dtype_size(ag_dtype type)
{
    return type == AG_F64 ? 8 : type == AG_F32 ? 4 : 2;
}

const char *ag_dtype_name(ag_dtype type)
{
    static const char *const names[] = {"fp32", "fp64", "bf16"};
    return names[type];
}

/* "cuda" is the first card, "cuda:N" that of number N. */
static ag_status open_cuda(ag_device **device, int card, ag_error *err)
{
    void *function;
    ag_status (*open)(ag_device **, size_t, int, ag_error *);
    AG_TRY(ag_plugin_open(&function, "libagrl_cuda.so", "ag_device_cuda_open", "device 'cuda'", err));
    *(void **)&open = function;
    return open(device, ag_device_table_bytes(), card, err);
}

ag_status ag_device_open(ag_device **device, const char *name, int threads, ag_error *err)
{
    *device = NULL;
    if (ag_streq(name, "cpu")) return ag_device_cpu_open(device, threads, err);
    if (ag_streq(name, "ref")) return ag_device_ref_open(device, err);
    if (ag_streq(name, "cuda")) return open_cuda(device, 0, err);
    if (strncmp(name, "cuda:", 5) == 0 && name[5] >= '0' && name[5] <= '9')
        return open_cuda(device, atoi(name + 5), err);
    return ag_fail(err, AG_ERR_USAGE, "unknown device '%s'; use cpu or cuda", name);
}

ag_status ag_device_join(ag_device *d, ag_comm *comm, const char **how, ag_error *err)
{
    void *function;
    ag_status (*join)(ag_comm *, size_t, int, ag_error *);
    *how = "the host";
    if (comm->size == 1 || !ag_streq(d->name, "cuda")) return AG_OK;
    ag_error missing = {0};
    if (ag_plugin_open(&function, "libagrl_nccl.so", "ag_comm_nccl_join", "NCCL", &missing) != AG_OK) {
        *how = "the host: there is no libagrl_nccl.so";
        return AG_OK;
    }
    *how = "NCCL";
    *(void **)&join = function;
    return join(comm, sizeof *comm, comm->local, err);
}

void ag_device_close(ag_device *device)
{
    if (device) device->close(device);
}

ag_status ag_device_memory(ag_device *d, size_t *free, size_t *have, ag_error *err)
{
    if (d->memory) return d->memory(d, free, have, err);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    *free = (size_t)sysconf(_SC_AVPHYS_PAGES) * page;
    *have = (size_t)sysconf(_SC_PHYS_PAGES) * page;
    return AG_OK;
}

ag_status ag_device_put(ag_device *d, void *dst, const double *host, size_t n, ag_error *err)
{
    if (d->real == AG_F64) return d->upload(d, dst, host, n * sizeof *host, err);
    float *copy = ag_calloc(n, sizeof *copy);
    if (!copy) return ag_fail_memory(err, "upload buffer");
    for (size_t i = 0; i < n; i++) copy[i] = (float)host[i];
    ag_status status = d->upload(d, dst, copy, n * sizeof *copy, err);
    ag_free(copy);
    return status;
}

ag_status ag_device_get(ag_device *d, double *host, const void *src, size_t n, ag_error *err)
{
    if (d->real == AG_F64) return d->download(d, host, src, n * sizeof *host, err);
    float *copy = ag_calloc(n, sizeof *copy);
    if (!copy) return ag_fail_memory(err, "download buffer");
    ag_status status = d->download(d, copy, src, n * sizeof *copy, err);
    for (size_t i = 0; i < n; i++) host[i] = copy[i];
    ag_free(copy);
    return status;
}

ag_status ag_device_product(ag_device *d, ag_dtype type, void *c, ag_dtype c_type, int64_t ldc, ag_operand a,
                            ag_operand b, double alpha, const void *plus, ag_error *err)
{
    return d->matmul(d,
                     &(ag_matmul_args){.c = c,
                                       .a = a.values,
                                       .b = b.values,
                                       .type = type,
                                       .c_type = c_type,
                                       .m = a.transposed ? a.cols : a.rows,
                                       .n = b.transposed ? b.rows : b.cols,
                                       .k = a.transposed ? a.rows : a.cols,
                                       .lda = a.ld,
                                       .ldb = b.ld,
                                       .ldc = ldc,
                                       .transpose_a = a.transposed,
                                       .transpose_b = b.transposed,
                                       .plus = plus,
                                       .alpha = alpha},
                     err);
}
