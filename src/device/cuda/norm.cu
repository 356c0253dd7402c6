/* norm.cu: RMSNorm, forward and backward, and sums over rows.
 *
 * A warp takes a group of a row into its registers, EACH elements a lane, and reads it once; groups of more than 32 * 32
 * elements go to a block, which reads them twice.
 */
#include "device/cuda/cuda.cuh"

enum {
    THREADS = AG_CUDA_THREADS,
    WARPS = AG_CUDA_WARPS,
    FORWARD_WARPS = 4,
    PART_ROWS = 32,
    MAX_PARTS = 256,
    MAX_WIDTH = 12288 - 32 /* a row in 48 KiB of shared memory, less what ag_block_reduce has */
};

/* What EACH there are, rising. */
#define EACH_OF(X) X(2) X(4) X(8) X(12) X(16) X(20) X(24) X(28) X(32)

unsigned ag_cuda_parts(int64_t rows)
{
    int64_t parts = (rows + PART_ROWS - 1) / PART_ROWS;
    return (unsigned)(parts < MAX_PARTS ? parts : MAX_PARTS);
}

/* A block adds 32 columns: each warp every so many parts of them, then the first warp what the warps have. */
static __global__ void add_parts(float *sum, const float *partial, int parts, int64_t width)
{
    ag_after_previous();
    __shared__ float share[WARPS][32];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int64_t j = blockIdx.x * (int64_t)32 + lane;
    float total = 0;
#pragma unroll 8
    for (int p = warp; p < parts; p += WARPS) total += j < width ? partial[p * width + j] : 0;
    share[warp][lane] = total;
    __syncthreads();
    if (warp != 0 || j >= width) return;
    for (int w = 1; w < WARPS; w++) total += share[w][lane];
    sum[j] += total;
}

ag_status ag_cuda_add_parts(ag_device *d, float *sum, const float *partial, unsigned parts, int64_t width,
                            ag_error *err)
{
    AG_LAUNCH(add_parts, (unsigned)((width + 31) / 32), THREADS, 0, d, sum, partial, (int)parts, width);
    return AG_LAUNCHED("parts");
}

template <int EACH, typename Out> static __global__ void rmsnorm(ag_rmsnorm_args x)
{
    ag_after_previous();
    int64_t group = blockIdx.x * (int64_t)FORWARD_WARPS + threadIdx.x / 32;
    if (group >= x.rows * x.heads) return;
    int64_t i, h;
    ag_cuda_place(group, x.heads, &i, &h);
    const float *row = (const float *)x.x + i * x.x_ld + h * x.width, *weight = (const float *)x.weight;
    Out *out = (Out *)x.out + i * x.out_ld + h * x.width;
    int lane = threadIdx.x % 32;
    float v[EACH], w[EACH], squares = 0; /* all are on their way before the first is used */
#pragma unroll
    for (int e = 0; e < EACH; e++) {
        int j = e * 32 + lane;
        v[e] = j < x.width ? row[j] : 0;
        w[e] = j < x.width ? weight[j] : 0;
    }
#pragma unroll
    for (int e = 0; e < EACH; e++) squares += v[e] * v[e];
    float rstd = (float)(1.0 / sqrt(ag_warp_reduce(squares, ag_add()) / (double)x.width + x.eps));
    if (x.rstd && lane == 0) ((float *)x.rstd)[group] = rstd;
#pragma unroll
    for (int e = 0; e < EACH; e++) {
        int j = e * 32 + lane;
        if (j < x.width) ag_set(out + j, v[e] * rstd * w[e]);
    }
}

static __global__ void rmsnorm_wide(ag_rmsnorm_args x)
{
    ag_after_previous();
    int64_t i = blockIdx.x / x.heads, h = blockIdx.x % x.heads, to = i * x.out_ld + h * x.width;
    const float *row = (const float *)x.x + i * x.x_ld + h * x.width, *weight = (const float *)x.weight;
    float squares = 0;
    for (int64_t j = threadIdx.x; j < x.width; j += THREADS) squares += row[j] * row[j];
    float rstd = (float)(1.0 / sqrt(ag_block_reduce(squares, ag_add()) / (double)x.width + x.eps));
    if (x.rstd && threadIdx.x == 0) ((float *)x.rstd)[blockIdx.x] = rstd;
    for (int64_t j = threadIdx.x; j < x.width; j += THREADS)
        ag_store(x.out, x.out_type, to + j, row[j] * rstd * weight[j]);
}

template <typename Out> static void launch(ag_device *d, const ag_rmsnorm_args *x, int64_t groups)
{
    unsigned blocks = (unsigned)((groups + FORWARD_WARPS - 1) / FORWARD_WARPS);
    if (x->width > 32 * 32) AG_LAUNCH(rmsnorm_wide, (unsigned)groups, THREADS, 0, d, *x);
#define CASE(each)                                                                                           \
    else if (x->width <= 32 * each) AG_LAUNCH((rmsnorm<each, Out>), blocks, 32 * FORWARD_WARPS, 0, d, *x);
    EACH_OF(CASE)
#undef CASE
}

ag_status ag_cuda_rmsnorm(ag_device *d, const ag_rmsnorm_args *x, ag_error *err)
{
    int64_t groups = x->rows * x->heads;
    if (groups == 0) return AG_OK;
    if (x->out_type == AG_BF16)
        launch<__nv_bfloat16>(d, x, groups);
    else
        launch<float>(d, x, groups);
    return AG_LAUNCHED("rmsnorm");
}

/* Part blockIdx.x takes a range of groups, its warps in turns; a lane keeps dweight of its columns. */
template <int EACH, typename Dx, typename Dy>
static __global__ void __launch_bounds__(THREADS, EACH <= 20 ? 2 : 1)
    rmsnorm_grad(ag_rmsnorm_grad_args x, float *partial)
{
    ag_after_previous();
    __shared__ float share[WARPS][32 * EACH];
    int64_t groups = x.rows * x.heads, begin = groups * blockIdx.x / gridDim.x,
            end = groups * (blockIdx.x + 1) / gridDim.x;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const float *weight = (const float *)x.weight;
    float dweight[EACH] = {};
    for (int64_t group = begin + warp; group < end; group += WARPS) {
        int64_t i, h;
        ag_cuda_place(group, x.heads, &i, &h);
        int64_t at = h * x.width;
        const float *row = (const float *)x.x + i * x.x_ld + at;
        const Dy *dy = (const Dy *)x.dy + i * x.dy_ld + at;
        Dx *dx = (Dx *)x.dx + i * x.dx_ld + at;
        float r = ((const float *)x.rstd)[group], v[EACH], g[EACH],
              dot = 0; /* v: normed, later dx as it was; g: gradient of it, later of x */
#pragma unroll
        for (int e = 0; e < EACH; e++) {
            int j = e * 32 + lane;
            bool is = j < x.width;
            v[e] = is ? row[j] * r : 0;
            g[e] = is ? ag_real(dy[j]) : 0;
        }
#pragma unroll
        for (int e = 0; e < EACH; e++) {
            int j = e * 32 + lane;
            dweight[e] += g[e] * v[e];
            g[e] *= j < x.width ? weight[j] : 0;
            dot += g[e] * v[e];
        }
        float mean = ag_warp_reduce(dot, ag_add()) / (float)x.width;
#pragma unroll
        for (int e = 0; e < EACH; e++) {
            int j = e * 32 + lane;
            g[e] = r * (g[e] - v[e] * mean);
            v[e] = x.accumulate && j < x.width ? ag_real(dx[j])
                                               : 0; /* all are read before the first is written */
        }
#pragma unroll
        for (int e = 0; e < EACH; e++) {
            int j = e * 32 + lane;
            v[e] += g[e];
            if (j < x.width) ag_set(dx + j, v[e]);
        }
        if (x.narrow)
#pragma unroll
            for (int e = 0; e < EACH; e++) {
                int j = e * 32 + lane;
                if (j < x.width) ag_store(x.narrow, AG_BF16, group * x.width + j, v[e]);
            }
    }
    if (!partial) return;
    for (int e = 0; e < EACH; e++) share[warp][e * 32 + lane] = dweight[e];
    __syncthreads();
    for (int j = threadIdx.x; j < x.width; j += THREADS) {
        float sum = share[0][j];
        for (int w = 1; w < WARPS; w++) sum += share[w][j];
        partial[blockIdx.x * x.width + j] = sum;
    }
}

/* A column of dweight belongs to one thread. */
static __global__ void rmsnorm_grad_wide(ag_rmsnorm_grad_args x, float *partial)
{
    ag_after_previous();
    AG_DYNAMIC_SHARED(float, dweight);
    int64_t groups = x.rows * x.heads, begin = groups * blockIdx.x / gridDim.x,
            end = groups * (blockIdx.x + 1) / gridDim.x;
    const float *weight = (const float *)x.weight;
    if (partial)
        for (int64_t j = threadIdx.x; j < x.width; j += THREADS) dweight[j] = 0;
    for (int64_t group = begin; group < end; group++) {
        int64_t i = group / x.heads, at = group % x.heads * x.width;
        const float *row = (const float *)x.x + i * x.x_ld + at;
        int64_t dx = i * x.dx_ld + at, dy = i * x.dy_ld + at;
        float r = ((const float *)x.rstd)[group], dot = 0;
        for (int64_t j = threadIdx.x; j < x.width; j += THREADS)
            dot += ag_load(x.dy, x.dy_type, dy + j) * weight[j] * row[j] * r;
        float mean = ag_block_reduce(dot, ag_add()) / (float)x.width;
        for (int64_t j = threadIdx.x; j < x.width; j += THREADS) {
            float dyj = ag_load(x.dy, x.dy_type, dy + j), normed = row[j] * r,
                  value = r * (weight[j] * dyj - normed * mean);
            if (partial) dweight[j] += dyj * normed;
            if (x.accumulate) value += ag_load(x.dx, x.dx_type, dx + j);
            ag_store(x.dx, x.dx_type, dx + j, value);
            if (x.narrow) ag_store(x.narrow, AG_BF16, group * x.width + j, value);
        }
    }
    if (!partial) return;
    for (int64_t j = threadIdx.x; j < x.width; j += THREADS) partial[blockIdx.x * x.width + j] = dweight[j];
}

template <typename Dx, typename Dy>
static void launch_grad(ag_device *d, const ag_rmsnorm_grad_args *x, unsigned parts, float *partial)
{
    if (x->width > 32 * 32) /* within 48 KiB, with what the kernel declares */
        AG_LAUNCH(rmsnorm_grad_wide, parts, THREADS, partial ? (size_t)x->width * sizeof(float) : 0, d, *x,
                  partial);
#define CASE(each)                                                                                           \
    else if (x->width <= 32 * each)                                                                          \
        AG_LAUNCH((rmsnorm_grad<each, Dx, Dy>), parts, THREADS, 0, d, *x, partial);
    EACH_OF(CASE)
#undef CASE
}

ag_status ag_cuda_rmsnorm_grad(ag_device *d, const ag_rmsnorm_grad_args *x, ag_error *err)
{
    int64_t groups = x->rows * x->heads;
    if (groups == 0) return AG_OK;
    if (x->width > MAX_WIDTH)
        return ag_fail(err, AG_ERR_UNSUPPORTED, "device 'cuda': a norm over more than %d", MAX_WIDTH);
    if (x->dx_type == AG_BF16 && x->dy_type != AG_BF16)
        return ag_fail(err, AG_ERR_INTERNAL, "device 'cuda': a norm's gradient of bf16 from one of fp32");
    unsigned parts = ag_cuda_parts(groups);
    void *partial = NULL;
    if (x->dweight)
        AG_TRY(ag_cuda_scratch(d, AG_CUDA_PARTIAL, parts * (size_t)x->width * sizeof(float), &partial, err));
    if (x->dy_type != AG_BF16)
        launch_grad<float, float>(d, x, parts, (float *)partial);
    else if (x->dx_type != AG_BF16)
        launch_grad<float, __nv_bfloat16>(d, x, parts, (float *)partial);
    else
        launch_grad<__nv_bfloat16, __nv_bfloat16>(d, x, parts, (float *)partial);
    AG_TRY(AG_LAUNCHED("rmsnorm_grad"));
    if (!partial) return AG_OK;
    return ag_cuda_add_parts(d, (float *)x->dweight, (const float *)partial, parts, x->width, err);
}
