/* matmul.c: matrix products of the cpu backend by oneDNN. fp32 goes straight to its sgemm. bf16 inputs are widened to
 * fp32 first (an exact conversion) where the processor has no bf16 products: slower, with the meaning of bf16 kept.
 */
#include "device/cpu/cpu.h"

#include <dnnl.h>
#include <omp.h>

/* rows x cols of bf16 (leading dimension ld) as packed floats. */
static void widen(ag_device *d, float *dst, const uint16_t *src, int64_t rows, int64_t cols, int64_t ld)
{
    ag_cpu *cpu = ag_cpu_of(d);
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int64_t i = 0; i < rows; i++) cpu->k->from_bf16(dst + i * cols, src + i * ld, cols);
}

static ag_status widened(ag_device *d, int slot, const void **matrix, int64_t *ld, int64_t rows, int64_t cols, ag_error *err)
{
    float *wide;
    ag_status status = ag_cpu_scratch(d, slot, (size_t)(rows * cols), &wide, err);
    if (status != AG_OK) return status;
    widen(d, wide, *matrix, rows, cols, *ld);
    *matrix = wide;
    *ld = cols;
    return AG_OK;
}

ag_status ag_cpu_matmul(ag_device *d, const ag_matmul_args *x, ag_error *err)
{
    const void *a = x->a, *b = x->b;
    int64_t lda = x->lda, ldb = x->ldb;
    if (x->m == 0 || x->n == 0) return AG_OK;
    if (x->type == AG_BF16) {
        ag_status status = widened(d, 0, &a, &lda, x->transpose_a ? x->k : x->m, x->transpose_a ? x->m : x->k, err);
        if (status == AG_OK)
            status = widened(d, 1, &b, &ldb, x->transpose_b ? x->n : x->k, x->transpose_b ? x->k : x->n, err);
        if (status != AG_OK) return status;
    }
    omp_set_num_threads(ag_cpu_of(d)->threads); /* oneDNN's regions follow the setting of the calling thread */
    dnnl_status_t result = dnnl_sgemm(x->transpose_a ? 'T' : 'N', x->transpose_b ? 'T' : 'N', x->m, x->n, x->k, (float)x->alpha,
                                      a, lda, b, ldb, x->accumulate ? 1.0f : 0.0f, x->c, x->ldc);
    if (result != dnnl_success)
        return ag_fail(err, result == dnnl_out_of_memory ? AG_ERR_MEMORY : AG_ERR_INTERNAL,
                       "oneDNN product of %lld x %lld x %lld failed with status %d", (long long)x->m, (long long)x->n,
                       (long long)x->k, (int)result);
    return AG_OK;
}
