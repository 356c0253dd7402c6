/* cpu.c: the cpu backend: picks the kernels for this processor, holds its scratch, fills the table. */
#include "device/cpu/cpu.h"

#include <dnnl.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base/mem.h"
#include "device/cpu/onednn.h"

/* The kernels of this name, or the best when isa is NULL; NULL when this processor cannot run them. */
static const ag_cpu_kernels *find_kernels(const char *isa)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx512 && (!isa || strcmp(isa, "avx512") == 0)) return &ag_cpu_kernels_avx512;
    if (avx2 && (!isa || strcmp(isa, "avx2") == 0)) return &ag_cpu_kernels_avx2;
#endif
    return !isa || strcmp(isa, "base") == 0 ? &ag_cpu_kernels_base : NULL;
}

int ag_cpu_thread(void)
{
    return omp_get_thread_num();
}

ag_status ag_cpu_scratch(ag_device *d, int slot, size_t n, float **memory, ag_error *err)
{
    ag_cpu *cpu = ag_cpu_of(d);
    if (n > cpu->scratch_len[slot]) {
        free(cpu->scratch[slot]);
        cpu->scratch[slot] = NULL;
        cpu->scratch_len[slot] = 0;
        void *block = NULL;
        if (n > SIZE_MAX / 8 || posix_memalign(&block, 64, n * sizeof(float)) != 0)
            return ag_fail_memory(err, "scratch of the cpu device");
        cpu->scratch[slot] = block;
        cpu->scratch_len[slot] = n;
    }
    *memory = cpu->scratch[slot];
    return AG_OK;
}

/* Asks for pages of 2 MiB where a block is large. Of small ones the optimizer's moments alone take a quarter of a million faults at the first
 * step, twice as many where they are read before they are written, and a checkpoint takes four times as long to write. */
static void ask_large_pages(void *memory, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    const uintptr_t page = 2 << 20;
    uintptr_t begin = ((uintptr_t)memory + page - 1) / page * page,
              end = ((uintptr_t)memory + bytes) / page * page;
    if (begin < end)
        madvise((void *)begin, end - begin, MADV_HUGEPAGE); /* a wish: without it all works as well */
#endif
}

static ag_status cpu_alloc(ag_device *d, void **memory, size_t bytes, const char *what, ag_error *err)
{
    (void)d;
    *memory = ag_calloc(bytes ? bytes : 1, 1);
    if (!*memory) return ag_fail(err, AG_ERR_MEMORY, "out of memory: %zu bytes for %s", bytes, what);
    ask_large_pages(*memory, bytes);
    return AG_OK;
}

static void cpu_release(ag_device *d, void *memory)
{
    (void)d;
    ag_free(memory);
}

static ag_status cpu_move(ag_device *d, void *dst, const void *src, size_t bytes, ag_error *err)
{
    (void)d, (void)err;
    if (bytes) memmove(dst, src, bytes);
    return AG_OK;
}

static ag_status cpu_zero(ag_device *d, void *dst, size_t bytes, ag_error *err)
{
    (void)err;
    ag_cpu *cpu = ag_cpu_of(d);
    enum { PIECE = 1 << 20 };
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (size_t i = 0; i < bytes; i += PIECE)
        memset((char *)dst + i, 0, bytes - i < PIECE ? bytes - i : PIECE);
    return AG_OK;
}

static ag_status cpu_sync(ag_device *d, ag_error *err)
{
    (void)d, (void)err;
    return AG_OK;
}

static void cpu_close(ag_device *d)
{
    ag_cpu *cpu = ag_cpu_of(d);
    for (int i = 0; i < 3; i++) free(cpu->scratch[i]);
    ag_free(cpu);
    ag_free(d);
}

void ag_device_cpu_describe(char *text, size_t n)
{
    const dnnl_version_t *version = dnnl_version();
    snprintf(text, n, "%s kernels, %d processors, oneDNN %d.%d.%d", find_kernels(NULL)->isa,
             omp_get_num_procs(), version->major, version->minor, version->patch);
}

ag_status ag_device_cpu_open(ag_device **device, int threads, ag_error *err)
{
    return ag_device_cpu_open_isa(device, threads, NULL, err);
}

ag_status ag_device_cpu_open_isa(ag_device **device, int threads, const char *isa, ag_error *err)
{
    const ag_cpu_kernels *kernels = find_kernels(isa);
    *device = NULL;
    if (!kernels) return ag_fail(err, AG_ERR_UNSUPPORTED, "this processor has no '%s' kernels", isa);
    if (threads < 0 || threads > 1024)
        return ag_fail(err, AG_ERR_USAGE, "threads must be 0 (all) to 1024, not %d", threads);
    ag_device *d = ag_calloc(1, sizeof *d);
    ag_cpu *cpu = ag_calloc(1, sizeof *cpu);
    if (!d || !cpu) {
        ag_free(d);
        ag_free(cpu);
        return ag_fail_memory(err, "device");
    }
    cpu->k = kernels;
    cpu->threads = threads > 0 ? threads : omp_get_num_procs();
    *d = (ag_device){.name = "cpu",
                     .real = AG_F32,
                     .fast_bf16 = kernels == &ag_cpu_kernels_avx512 && ag_onednn_has_fast_bf16(),
                     .impl = cpu,
                     .alloc = cpu_alloc,
                     .release = cpu_release,
                     .upload = cpu_move,
                     .download = cpu_move,
                     .copy = cpu_move,
                     .zero = cpu_zero,
                     .sync = cpu_sync,
                     .close = cpu_close,
#define AG_FILL(op) .op = ag_cpu_##op,
                     AG_DEVICE_OPS(AG_FILL)
#undef AG_FILL
    };
    *device = d;
    return AG_OK;
}
