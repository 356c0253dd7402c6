/* matmul.c: matrix products of the cpu backend by oneDNN's sgemm. bf16 inputs are widened to fp32 first (an exact
 * conversion): slower than bf16 products, with their meaning.
 *
 * C is cut into tiles of a fixed size and each tile is computed by one thread. So every sum has one order, whatever the number of
 * threads; and threads never wait for each other inside of a product, which matters when the processors are shared.
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

static ag_status widened(ag_device *d, int slot, const void **matrix, int64_t *ld, int64_t rows, int64_t cols,
                         ag_error *err)
{
    float *wide;
    ag_status status = ag_cpu_scratch(d, slot, (size_t)(rows * cols), &wide, err);
    if (status != AG_OK) return status;
    widen(d, wide, *matrix, rows, cols, *ld);
    *matrix = wide;
    *ld = cols;
    return AG_OK;
}

/* The size of C's tiles, from its shape alone: large ones are fastest, but there must be some to share out. */
static void choose_tile(int64_t m, int64_t n, int64_t *rows, int64_t *cols)
{
    enum { LARGEST = 384, SMALLEST = 64, TILES = 8 };
    *rows = m < LARGEST ? m : LARGEST;
    *cols = n < LARGEST ? n : LARGEST;
    while (((m + *rows - 1) / *rows) * ((n + *cols - 1) / *cols) < TILES) {
        int64_t *larger = *rows > *cols ? rows : cols;
        if (*larger <= SMALLEST) return;
        *larger = (*larger + 1) / 2;
    }
}

/* All tiles of C = alpha op(A) op(B) (+ C) on floats. */
static ag_status products(const ag_cpu *cpu, const ag_matmul_args *x, const float *a, int64_t lda,
                          const float *b, int64_t ldb, ag_error *err)
{
    int64_t rows, cols;
    choose_tile(x->m, x->n, &rows, &cols);
    int64_t down = (x->m + rows - 1) / rows, across = (x->n + cols - 1) / cols;
    dnnl_status_t worst = dnnl_success;
#pragma omp parallel num_threads(cpu->threads)
    {
        /* A team of one is no parallel region to oneDNN, which would then count on threads that it may not get. */
        omp_set_num_threads(1);
#pragma omp for schedule(dynamic, 1)
        for (int64_t t = 0; t < down * across; t++) {
            int64_t i = t % down * rows, j = t / down * cols;
            int64_t m = x->m - i < rows ? x->m - i : rows, n = x->n - j < cols ? x->n - j : cols;
            dnnl_status_t result = dnnl_sgemm(
                x->transpose_a ? 'T' : 'N', x->transpose_b ? 'T' : 'N', m, n, x->k, (float)x->alpha,
                x->transpose_a ? a + i : a + i * lda, lda, x->transpose_b ? b + j * ldb : b + j, ldb,
                x->accumulate ? 1.0f : 0.0f, (float *)x->c + i * x->ldc + j, x->ldc);
            if (result != dnnl_success) {
#pragma omp critical
                worst = result;
            }
        }
    }
    if (worst == dnnl_success) return AG_OK;
    return ag_fail(err, worst == dnnl_out_of_memory ? AG_ERR_MEMORY : AG_ERR_INTERNAL,
                   "oneDNN product of %lld x %lld x %lld failed with status %d", (long long)x->m,
                   (long long)x->n, (long long)x->k, (int)worst);
}

ag_status ag_cpu_matmul(ag_device *d, const ag_matmul_args *x, ag_error *err)
{
    const void *a = x->a, *b = x->b;
    int64_t lda = x->lda, ldb = x->ldb;
    if (x->m == 0 || x->n == 0) return AG_OK;
    if (x->type == AG_BF16) {
        ag_status status = widened(d, 0, &a, &lda, x->transpose_a ? x->k : x->m, x->transpose_a ? x->m : x->k,
                                   err);
        if (status == AG_OK)
            status = widened(d, 1, &b, &ldb, x->transpose_b ? x->n : x->k, x->transpose_b ? x->k : x->n, err);
        if (status != AG_OK) return status;
    }
    return products(ag_cpu_of(d), x, a, lda, b, ldb, err);
}
