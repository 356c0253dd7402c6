/* kernels.h: the inner loops of the cpu backend, as a table that kernels.c fills once an instruction set.
 *
 * All run on one thread, on float, without allocation. Rows are contiguous; lengths are arbitrary.
 */
#ifndef AG_DEVICE_CPU_KERNELS_H
#define AG_DEVICE_CPU_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct ag_cpu_kernels {
    const char *isa;
    /* C[m,n] = A B (+ C when accumulate); A(i,p) = a[i * a_row + p * a_col]; B and C row-major. */
    void (*gemm)(int m, int n, int k, const float *a, int64_t a_row, int64_t a_col, const float *b,
                 int64_t ldb, float *c, int64_t ldc, bool accumulate);
    /* C[m,n] = A B^T (+ C when accumulate), all row-major: for few rows of A, over which B is read once. */
    void (*dots)(int m, int n, int k, const float *a, int64_t lda, const float *b, int64_t ldb, float *c,
                 int64_t ldc, bool accumulate);
    /* dst[j * ld_dst + i] = src[i * ld_src + j] for i < rows, j < cols. */
    void (*transpose)(float *dst, int64_t ld_dst, const float *src, int64_t ld_src, int rows, int cols);
    float (*max)(const float *x, int64_t n);
    /* dst = exp(scale * x - shift); returns the sum. dst may be x. */
    float (*exp_sum)(float *dst, const float *x, int64_t n, float scale, float shift);
    /* Sum of exp(scale * x - shift) in double and, when wanted, of that times (scale * x - shift). */
    void (*exp_moments)(const float *x, int64_t n, float scale, float shift, double *sum, double *weighted);
    double (*dot)(const float *a, const float *b, int64_t n);
    void (*scale)(float *x, int64_t n, float factor);
    void (*axpy)(float *y, const float *x, int64_t n, float alpha);
    /* p holds probabilities, dp becomes p * (dp - delta) * scale. */
    void (*softmax_grad)(float *dp, const float *p, int64_t n, float delta, float scale);
    void (*norm_row)(float *out, const float *x, const float *weight, int64_t n, float rstd);
    /* dx (+)= r (w dy - x r^2 mean); dw += dy x r when dw is given. */
    void (*norm_grad_row)(float *dx, float *dw, const float *dy, const float *x, const float *weight,
                          int64_t n, float rstd, bool accumulate);
    void (*rope_row)(float *a, float *b, const float *cosine, const float *sine, int64_t half, float sign);
    void (*swiglu)(float *out, const float *gate, const float *up, int64_t n);
    void (*swiglu_grad)(float *dgate, float *dup, const float *dout, const float *gate, const float *up,
                        int64_t n);
    /* rest1 and rest2 are 1 - beta1 and 1 - beta2, which fp32 could not take from the betas without losing five digits. */
    void (*adamw)(float *w, float *m, float *v, const float *g, int64_t n, float lr, float beta1, float rest1,
                  float beta2, float rest2, float eps, float decay, float grad_scale, float correct1,
                  float correct2);
    void (*to_bf16)(uint16_t *dst, const float *src, int64_t n);
    void (*from_bf16)(float *dst, const uint16_t *src, int64_t n);
} ag_cpu_kernels;

extern const ag_cpu_kernels ag_cpu_kernels_base, ag_cpu_kernels_avx2, ag_cpu_kernels_avx512;

#endif
