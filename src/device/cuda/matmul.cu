/* matmul.cu: matrix products by cuBLASLt. The algorithm of a product is one that its heuristic offers for that shape, by rules and never by
 * timing: the same bytes on repeat. fp32 stays fp32 (no TF32); bf16 products are summed in fp32. What was found for a shape is kept,
 * because the same ones come again in every layer and step.
 */
#include "device/cuda/cuda.cuh"

#include <math.h>
#include <string.h>

enum { MOST_ALIGNED = 256, OFFERED = 8 };

/* A product's shape, and what its operands' addresses are multiples of; align_plus 0: nothing is added. */
typedef struct shape {
    int64_t m, n, k, lda, ldb, ldc;
    int32_t type, c_type, transpose_a, transpose_b, align_a, align_b, align_c, align_plus;
} shape;
static_assert(sizeof(shape) == 6 * sizeof(int64_t) + 8 * sizeof(int32_t), "shapes are compared as bytes");

/* cuBLAS counts columns first: row-major C = A B is column-major C' = B' A'. So `left` is B. */
typedef struct product {
    shape of;
    bool known;
    cublasLtMatmulDescOpaque_t operation;
    cublasLtMatrixLayoutOpaque_t left, right, sum;
    cublasLtMatmulAlgo_t algorithm;
} product;

/* A shape has one place; another that falls there takes it. */
enum { PLACES = 1024 };
struct ag_cuda_products {
    cublasLtHandle_t handle;
    void *workspace;
    product places[PLACES];
};

static ag_status check(cublasStatus_t status, const char *what, ag_error *err)
{
    if (status == CUBLAS_STATUS_SUCCESS) return AG_OK;
    return ag_fail(err, AG_ERR_INTERNAL, "device 'cuda': cuBLASLt: %s: %s", what,
                   cublasLtGetStatusString(status));
}

ag_status ag_cuda_products_open(ag_device *d, ag_error *err)
{
    ag_cuda *c = ag_cuda_of(d);
    c->products = (struct ag_cuda_products *)ag_calloc(1, sizeof *c->products);
    if (!c->products) return ag_fail_memory(err, "device");
    AG_TRY(check(cublasLtCreate(&c->products->handle), "start", err));
    return ag_cuda_scratch(d, AG_CUDA_PRODUCTS, AG_CUDA_WORKSPACE, &c->products->workspace, err);
}

void ag_cuda_products_close(ag_device *d)
{
    ag_cuda *c = ag_cuda_of(d);
    if (!c->products) return;
    if (c->products->handle) cublasLtDestroy(c->products->handle);
    ag_free(c->products);
    c->products = NULL;
}

static int32_t alignment(const void *p)
{
    uintptr_t at = (uintptr_t)p | MOST_ALIGNED;
    return (int32_t)(at & -at);
}

static shape shape_of(const ag_matmul_args *x)
{
    shape s;
    s.m = x->m, s.n = x->n, s.k = x->k, s.lda = x->lda, s.ldb = x->ldb, s.ldc = x->ldc;
    s.type = x->type, s.c_type = x->c_type, s.transpose_a = x->transpose_a, s.transpose_b = x->transpose_b;
    s.align_a = alignment(x->a), s.align_b = alignment(x->b), s.align_c = alignment(x->c);
    s.align_plus = x->plus ? alignment(x->plus) : 0;
    return s;
}

/* FNV-1a over the shape's bytes (Fowler, Noll, Vo). */
static product *place_of(struct ag_cuda_products *all, const shape *s)
{
    const unsigned char *bytes = (const unsigned char *)s;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < sizeof *s; i++) hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return &all->places[(hash ^ hash >> 32) % PLACES];
}

static cublasStatus_t describe(product *p)
{
    const shape *s = &p->of;
    cublasOperation_t left = s->transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                      right = s->transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    cudaDataType type = s->type == AG_BF16 ? CUDA_R_16BF : CUDA_R_32F,
                 sum = s->c_type == AG_BF16 ? CUDA_R_16BF : CUDA_R_32F;
    uint64_t n = (uint64_t)s->n, m = (uint64_t)s->m, k = (uint64_t)s->k;
    cublasStatus_t status = cublasLtMatmulDescInit(&p->operation, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasLtMatmulDescSetAttribute(&p->operation, CUBLASLT_MATMUL_DESC_TRANSA, &left,
                                                sizeof left);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasLtMatmulDescSetAttribute(&p->operation, CUBLASLT_MATMUL_DESC_TRANSB, &right,
                                                sizeof right);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasLtMatrixLayoutInit(&p->left, type, s->transpose_b ? k : n, s->transpose_b ? n : k,
                                          s->ldb);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasLtMatrixLayoutInit(&p->right, type, s->transpose_a ? m : k, s->transpose_a ? k : m,
                                          s->lda);
    if (status == CUBLAS_STATUS_SUCCESS) status = cublasLtMatrixLayoutInit(&p->sum, sum, n, m, s->ldc);
    return status;
}

/* A tile that is faster on Hopper than what the heuristic puts first (bench_products; docs/PERFORMANCE.md has the figures): for products of
 * bf16 operands that leave in bf16, and for a layer's that are added to the residual stream. Of weights' gradients none is. */
typedef struct tile {
    cublasLtMatmulTile_t id;
    int64_t n, m; /* as cuBLAS counts, columns first */
} tile;

static const tile *better_tile(const ag_cuda *c, const shape *s)
{
    static const tile leaves = {CUBLASLT_MATMUL_TILE_128x160, 128, 160},
                      added = {CUBLASLT_MATMUL_TILE_128x128, 128, 128};
    if (!c->groups || s->type != AG_BF16 || s->transpose_a) return NULL;
    if (s->c_type == AG_BF16) return &leaves;
    return s->transpose_b && s->align_plus ? &added : NULL;
}

static uint32_t config(const cublasLtMatmulAlgo_t *algorithm, cublasLtMatmulAlgoConfigAttributes_t which)
{
    uint32_t value = 0;
    size_t written;
    cublasLtMatmulAlgoConfigGetAttribute(algorithm, which, &value, sizeof value, &written);
    return value;
}

/* The first of those offered, or one with the better tile, unless that keeps less than 91 % as many of the processors busy: the last wave of
 * tiles may be a short one. What reaches over the edge counts as idle too, where the tile is known. */
static const cublasLtMatmulHeuristicResult_t *best_of(const ag_cuda *c, const shape *s, const tile *better,
                                                      const cublasLtMatmulHeuristicResult_t *offered,
                                                      int count)
{
    if (!better) return offered;
    int64_t tiles = ((s->n + better->n - 1) / better->n) * ((s->m + better->m - 1) / better->m),
            rounds = (tiles + c->processors - 1) / c->processors;
    double waves = offered->wavesCount * config(&offered->algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM),
           busy = (double)(s->n * s->m) / (double)(rounds * c->processors * better->n * better->m);
    if (!(busy > 0.91 * waves / ceil(waves))) return offered; /* also where waves are 0: not told */
    for (int i = 1; i < count; i++)
        if (offered[i].state == CUBLAS_STATUS_SUCCESS &&
            config(&offered[i].algo, CUBLASLT_ALGO_CONFIG_TILE_ID) == (uint32_t)better->id &&
            config(&offered[i].algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM) <= 1)
            return &offered[i];
    return offered;
}

static cublasStatus_t choose(const ag_cuda *c, product *p)
{
    const struct {
        cublasLtMatmulPreferenceAttributes_t which;
        uint32_t value;
    } aligned[] = {{CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, (uint32_t)p->of.align_b},
                   {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, (uint32_t)p->of.align_a},
                   {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
                    (uint32_t)(p->of.align_plus ? p->of.align_plus : p->of.align_c)},
                   {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, (uint32_t)p->of.align_c}};
    cublasLtMatmulPreferenceOpaque_t wishes;
    const tile *better = better_tile(c, &p->of);
    cublasLtMatmulHeuristicResult_t offered[OFFERED];
    uint64_t workspace = AG_CUDA_WORKSPACE;
    uint32_t parts = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE; /* of a sum are never added up in bf16 */
    int found = 0;
    cublasStatus_t status = cublasLtMatmulPreferenceInit(&wishes);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasLtMatmulPreferenceSetAttribute(&wishes, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                                      &workspace, sizeof workspace);
    if (status == CUBLAS_STATUS_SUCCESS && p->of.c_type == AG_BF16)
        status = cublasLtMatmulPreferenceSetAttribute(&wishes, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                                      &parts, sizeof parts);
    for (size_t i = 0; i < sizeof aligned / sizeof *aligned && status == CUBLAS_STATUS_SUCCESS; i++)
        status = cublasLtMatmulPreferenceSetAttribute(&wishes, aligned[i].which, &aligned[i].value,
                                                      sizeof aligned[i].value);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasLtMatmulAlgoGetHeuristic(c->products->handle, &p->operation, &p->left, &p->right,
                                                &p->sum, &p->sum, &wishes, better ? OFFERED : 1, offered,
                                                &found);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    if (found == 0) return CUBLAS_STATUS_NOT_SUPPORTED;
    const cublasLtMatmulHeuristicResult_t *best = best_of(c, &p->of, better, offered, found);
    p->algorithm = best->algo;
    return best->state;
}

ag_status ag_cuda_matmul(ag_device *d, const ag_matmul_args *x, ag_error *err)
{
    ag_cuda *c = ag_cuda_of(d);
    if (x->m == 0 || x->n == 0) return AG_OK;
    const shape s = shape_of(x);
    product *p = place_of(c->products, &s);
    float alpha = (float)x->alpha, beta = x->plus ? 1 : 0;
    const void *plus = x->plus ? x->plus : x->c;
    cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
    if (!p->known || memcmp(&p->of, &s, sizeof s) != 0) {
        p->of = s;
        status = describe(p);
        if (status == CUBLAS_STATUS_SUCCESS) status = choose(c, p);
        p->known = status == CUBLAS_STATUS_SUCCESS;
    }
    if (status == CUBLAS_STATUS_SUCCESS)
        status = cublasLtMatmul(c->products->handle, &p->operation, &alpha, x->b, &p->left, x->a, &p->right,
                                &beta, plus, &p->sum, x->c, &p->sum, &p->algorithm, c->products->workspace,
                                AG_CUDA_WORKSPACE, c->stream);
    if (status == CUBLAS_STATUS_SUCCESS) return AG_OK;
    return ag_fail(err, AG_ERR_INTERNAL, "device 'cuda': matrix product %ldx%ldx%ld: %s", (long)x->m,
                   (long)x->n, (long)x->k, cublasLtGetStatusString(status));
}
