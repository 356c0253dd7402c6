/* device.c: choosing a backend by name, and the small helpers that every backend shares. */
#include "device/device.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"
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

/* The plugin beside the program that runs, or else where the system looks for libraries. It stays loaded. NULL: none. */
static void *load_plugin(const char *file, char *why, size_t n)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    char *slash = length > 0 ? memrchr(path, '/', (size_t)length) : NULL;
    void *plugin = NULL;
    if (slash && (size_t)(slash + 1 - path) + strlen(file) < sizeof path) {
        strcpy(slash + 1, file);
        if (access(path, F_OK) == 0) {
            plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
            if (!plugin) snprintf(why, n, "%s", dlerror());
            return plugin;
        }
    }
    plugin = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!plugin) snprintf(why, n, "this build has no %s", file);
    return plugin;
}

static ag_status open_cuda(ag_device **device, ag_error *err)
{
    char why[512];
    void *plugin = load_plugin("libagrl_cuda.so", why, sizeof why);
    if (!plugin) return ag_fail(err, AG_ERR_UNSUPPORTED, "device 'cuda': %s; use --device cpu", why);
    ag_status (*open)(ag_device **, size_t, ag_error *);
    *(void **)&open = dlsym(plugin, "ag_device_cuda_open");
    if (!open)
        return ag_fail(err, AG_ERR_UNSUPPORTED, "device 'cuda': the plugin has no ag_device_cuda_open");
    return open(device, sizeof **device, err);
}

ag_status ag_device_open(ag_device **device, const char *name, int threads, ag_error *err)
{
    *device = NULL;
    if (ag_streq(name, "cpu")) return ag_device_cpu_open(device, threads, err);
    if (ag_streq(name, "ref")) return ag_device_ref_open(device, err);
    if (ag_streq(name, "cuda")) return open_cuda(device, err);
    return ag_fail(err, AG_ERR_USAGE, "unknown device '%s'; use cpu or cuda", name);
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

ag_status ag_device_product(ag_device *d, ag_dtype type, void *c, int64_t ldc, ag_operand a, ag_operand b,
                            double alpha, bool accumulate, ag_error *err)
{
    return d->matmul(d,
                     &(ag_matmul_args){.c = c,
                                       .a = a.values,
                                       .b = b.values,
                                       .type = type,
                                       .m = a.transposed ? a.cols : a.rows,
                                       .n = b.transposed ? b.rows : b.cols,
                                       .k = a.transposed ? a.rows : a.cols,
                                       .lda = a.ld,
                                       .ldb = b.ld,
                                       .ldc = ldc,
                                       .transpose_a = a.transposed,
                                       .transpose_b = b.transposed,
                                       .accumulate = accumulate,
                                       .alpha = alpha},
                     err);
}
