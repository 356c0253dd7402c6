/* cpu.h: what the files of the cpu backend share. */
#ifndef AG_DEVICE_CPU_CPU_H
#define AG_DEVICE_CPU_CPU_H

#include "device/cpu/kernels.h"
#include "device/device.h"

typedef struct ag_cpu {
    const ag_cpu_kernels *k;
    int threads;
    float *scratch[3]; /* grown on demand: 0 and 1 widened operands of a product, 2 the caller's */
    size_t scratch_len[3];
} ag_cpu;

static inline ag_cpu *ag_cpu_of(ag_device *d)
{
    return d->impl;
}

/* ag_device_cpu_open with kernels chosen by name ("base", "avx2", "avx512"; NULL: the best): tests run each of them.
 * AG_ERR_UNSUPPORTED when this processor cannot. */
ag_status ag_device_cpu_open_isa(ag_device **device, int threads, const char *isa, ag_error *err);

/* At least n floats that stay valid until the next call with the same slot. */
ag_status ag_cpu_scratch(ag_device *d, int slot, size_t n, float **memory, ag_error *err);
/* Number of the calling thread inside a parallel region. */
int ag_cpu_thread(void);

/* matmul.c, attention.c, head.c, rows.c */
#define AG_CPU_DECLARE(op) ag_status ag_cpu_##op(ag_device *d, const ag_##op##_args *args, ag_error *err);
AG_DEVICE_OPS(AG_CPU_DECLARE)
#undef AG_CPU_DECLARE

/* Work splits: [begin, end) of part i of `parts` over n. */
static inline int64_t ag_part_begin(int64_t n, int64_t parts, int64_t i)
{
    return n / parts * i + (n % parts < i ? n % parts : i);
}

#endif
