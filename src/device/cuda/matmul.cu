/* matmul.cu: matrix products by cuBLAS, whose heuristic (never a timing) chooses the algorithm: the same bytes on repeat.
 * fp32 stays fp32 (no TF32); bf16 products are summed in fp32.
 */
#include "device/cuda/cuda.cuh"

/* cuBLAS counts columns first: row-major C = A B is column-major C' = B' A'. */
ag_status ag_cuda_matmul(ag_device *d, const ag_matmul_args *x, ag_error *err)
{
    ag_cuda *c = ag_cuda_of(d);
    if (x->m == 0 || x->n == 0) return AG_OK;
    if (x->m > INT32_MAX || x->n > INT32_MAX || x->k > INT32_MAX || x->lda > INT32_MAX ||
        x->ldb > INT32_MAX || x->ldc > INT32_MAX)
        return ag_fail(err, AG_ERR_UNSUPPORTED, "device 'cuda': a matrix of more than 2^31 rows");
    float alpha = (float)x->alpha, beta = x->accumulate ? 1 : 0;
    cudaDataType type = x->type == AG_BF16 ? CUDA_R_16BF : CUDA_R_32F;
    cublasStatus_t status = cublasGemmEx(
        c->blas, x->transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N, x->transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N,
        (int)x->n, (int)x->m, (int)x->k, &alpha, x->b, type, (int)x->ldb, x->a, type, (int)x->lda, &beta,
        x->c, CUDA_R_32F, (int)x->ldc, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
    if (status == CUBLAS_STATUS_SUCCESS) return AG_OK;
    return ag_fail(err, AG_ERR_INTERNAL, "device 'cuda': matrix product %ldx%ldx%ld: %s", (long)x->m,
                   (long)x->n, (long)x->k, cublasGetStatusString(status));
}
