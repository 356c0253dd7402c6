/* norm.cu: RMSNorm, forward and backward, and sums over rows.
 *
 * A warp takes a group of a row into its registers, FOURS pieces of four elements a lane, and reads it once; groups of more than
 * MAX_FOURS * 128 elements, or that cannot be moved in fours, go to a block, which reads them twice.
 */
#include "device/cuda/fours.cuh"

enum {
    THREADS = AG_CUDA_THREADS,
    WARPS = AG_CUDA_WARPS,
    FORWARD_WARPS = 4,
    MAX_FOURS = 8,
    SUM_WARPS = 32,
    PART_ROWS = 32,
    MAX_PARTS = 256, /* of rows of more than NARROW elements, of others four times as many */
    NARROW = 256,
    MAX_WIDTH = 12288 - 32 /* a row in 48 KiB of shared memory, less what ag_block_reduce has */
};

/* Does a warp take groups of `width`? */
static bool in_warps(int64_t width)
{
    return width % 4 == 0 && width <= MAX_FOURS * 128;
}

/* The statement with the fewest FOURS that hold a group of `width`. */
#define WITH_FOURS(n, ...)                                                                                   \
    case n: {                                                                                                \
        enum { FOURS = n };                                                                                  \
        __VA_ARGS__;                                                                                         \
        break;                                                                                               \
    }
#define BY_FOURS(width, ...)                                                                                 \
    switch (((width) + 127) / 128) {                                                                         \
        WITH_FOURS(1, __VA_ARGS__)                                                                           \
        WITH_FOURS(2, __VA_ARGS__)                                                                           \
        WITH_FOURS(3, __VA_ARGS__)                                                                           \
        WITH_FOURS(4, __VA_ARGS__)                                                                           \
        WITH_FOURS(5, __VA_ARGS__)                                                                           \
        WITH_FOURS(6, __VA_ARGS__)                                                                           \
        WITH_FOURS(7, __VA_ARGS__)                                                                           \
        WITH_FOURS(8, __VA_ARGS__)                                                                           \
    }

unsigned ag_cuda_parts(int64_t rows, int64_t width)
{
    int64_t parts = (rows + PART_ROWS - 1) / PART_ROWS, most = width > NARROW ? MAX_PARTS : 4 * MAX_PARTS;
    return (unsigned)(parts < most ? parts : most);
}

/* A block adds 32 columns: each warp every so many parts of them, then the first warp what the warps have. */
static __global__ void add_parts(float *sum, const float *partial, int parts, int64_t width)
{
    ag_after_previous();
    __shared__ float share[SUM_WARPS][32];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int64_t j = blockIdx.x * (int64_t)32 + lane;
    float total = 0;
#pragma unroll 8
    for (int p = warp; p < parts; p += SUM_WARPS) total += j < width ? partial[p * width + j] : 0;
    share[warp][lane] = total;
    __syncthreads();
    if (warp != 0 || j >= width) return;
    for (int w = 1; w < SUM_WARPS; w++) total += share[w][lane];
    sum[j] += total;
}

ag_status ag_cuda_add_parts(ag_device *d, float *sum, const float *partial, unsigned parts, int64_t width,
                            ag_error *err)
{
    AG_LAUNCH(add_parts, (unsigned)((width + 31) / 32), SUM_WARPS * 32, 0, d, sum, partial, (int)parts,
              width);
    return AG_LAUNCHED("parts");
}

static __device__ inline float rstd_of(float squares, int64_t width, double eps)
{
    return rsqrtf(squares / (float)width + (float)eps);
}

/* Where piece p of a lane begins in its group. */
static __device__ inline int place(int p)
{
    return (p * 32 + (int)threadIdx.x % 32) * 4;
}

/* Is piece p of FOURS within its group? Only the last may not be. */
template <int FOURS> static __device__ inline bool within(int p, int64_t width)
{
    return p < FOURS - 1 || place(p) < (int)width;
}

template <int FOURS, ag_dtype OUT> static __global__ void rmsnorm(ag_rmsnorm_args x)
{
    ag_after_previous();
    int64_t group = blockIdx.x * (int64_t)FORWARD_WARPS + threadIdx.x / 32, i, h;
    if (group >= x.rows * x.heads) return;
    ag_cuda_place(group, x.heads, &i, &h);
    int64_t from = i * x.x_ld + h * x.width, to = i * x.out_ld + h * x.width;
    ag_some<4> v[FOURS] = {}, w[FOURS]; /* all are on their way before the first is used */
    float squares = 0;
#pragma unroll
    for (int p = 0; p < FOURS; p++)
        if (within<FOURS>(p, x.width)) {
            v[p] = ag_load_some<4>(x.x, AG_F32, from + place(p));
            w[p] = ag_load_some<4>(x.weight, AG_F32, place(p));
        }
#pragma unroll
    for (int p = 0; p < FOURS; p++)
        for (int e = 0; e < 4; e++) squares += v[p].x[e] * v[p].x[e];
    float rstd = rstd_of(ag_warp_reduce(squares, ag_add()), x.width, x.eps);
    if (x.rstd && threadIdx.x % 32 == 0) ((float *)x.rstd)[group] = rstd;
#pragma unroll
    for (int p = 0; p < FOURS; p++)
        if (within<FOURS>(p, x.width)) {
            for (int e = 0; e < 4; e++) v[p].x[e] *= rstd * w[p].x[e];
            ag_store_some(x.out, OUT, to + place(p), v[p]);
        }
}

static __global__ void rmsnorm_wide(ag_rmsnorm_args x)
{
    ag_after_previous();
    int64_t i = blockIdx.x / x.heads, h = blockIdx.x % x.heads, to = i * x.out_ld + h * x.width;
    const float *row = (const float *)x.x + i * x.x_ld + h * x.width, *weight = (const float *)x.weight;
    float squares = 0;
    for (int64_t j = threadIdx.x; j < x.width; j += THREADS) squares += row[j] * row[j];
    float rstd = rstd_of(ag_block_reduce(squares, ag_add()), x.width, x.eps);
    if (x.rstd && threadIdx.x == 0) ((float *)x.rstd)[blockIdx.x] = rstd;
    for (int64_t j = threadIdx.x; j < x.width; j += THREADS)
        ag_store(x.out, x.out_type, to + j, row[j] * rstd * weight[j]);
}

ag_status ag_cuda_rmsnorm(ag_device *d, const ag_rmsnorm_args *x, ag_error *err)
{
    int64_t groups = x->rows * x->heads;
    unsigned blocks = (unsigned)((groups + FORWARD_WARPS - 1) / FORWARD_WARPS);
    if (groups == 0) return AG_OK;
    if (!in_warps(x->width) || !ag_in_fours(x->x, AG_F32, x->x_ld) ||
        !ag_in_fours(x->out, x->out_type, x->out_ld) || !ag_in_fours(x->weight, AG_F32, 0))
        AG_LAUNCH(rmsnorm_wide, (unsigned)groups, THREADS, 0, d, *x);
    else if (x->out_type == AG_BF16)
        BY_FOURS(x->width, AG_LAUNCH((rmsnorm<FOURS, AG_BF16>), blocks, FORWARD_WARPS * 32, 0, d, *x))
    else
        BY_FOURS(x->width, AG_LAUNCH((rmsnorm<FOURS, AG_F32>), blocks, FORWARD_WARPS * 32, 0, d, *x))
    return AG_LAUNCHED("rmsnorm");
}

/* What a warp has of its next group in shared memory: x, dy and dx, each FOURS * 128 elements. A lane copies and reads none but its own
 * pieces, so that it waits for no other. */
template <int FOURS, ag_dtype DX, ag_dtype DY> struct stage {
    enum { N = FOURS * 128, DY_AT = N * 4, DX_AT = DY_AT + N * ag_cuda_size(DY) };
    enum { BYTES = DX_AT + N * ag_cuda_size(DX) };
};

/* Copies the lane's pieces of a group that begins at element `at`. */
template <int FOURS, ag_dtype TYPE>
static __device__ inline void fetch(char *to, const void *from, int64_t at, int64_t width)
{
    enum { BYTES = ag_cuda_size(TYPE) };
    const char *begin = (const char *)from + at * BYTES;
#pragma unroll
    for (int p = 0; p < FOURS; p++)
        if (within<FOURS>(p, width))
            ag_copy_later<4 * BYTES>(to + place(p) * BYTES, begin + place(p) * BYTES, true);
}

/* Part blockIdx.x takes a range of groups, its warps in turns; a lane keeps dweight of its columns. While a warp works on a group, its next
 * one is on its way. */
template <int FOURS, ag_dtype DX, ag_dtype DY>
static __global__ void __launch_bounds__(THREADS, FOURS * 128 <= NARROW ? 4 : 2)
    rmsnorm_grad(ag_rmsnorm_grad_args x, float *partial)
{
    ag_after_previous();
    typedef stage<FOURS, DX, DY> S;
    AG_DYNAMIC_SHARED(char, memory);
    int64_t groups = x.rows * x.heads, end = groups * (blockIdx.x + 1) / gridDim.x,
            group = groups * blockIdx.x / gridDim.x + threadIdx.x / 32, i, h;
    char *own = memory + threadIdx.x / 32 * S::BYTES;
    for (int b = threadIdx.x % 32 * 4; b < S::BYTES; b += 128) /* beyond `width` it stays so */
        *(float *)(own + b) = 0;
    __syncwarp();
    float rstd = 0;
    auto fetch_sources = [&] {
        if (group < end) {
            ag_cuda_place(group, x.heads, &i, &h);
            fetch<FOURS, AG_F32>(own, x.x, i * x.x_ld + h * x.width, x.width);
            fetch<FOURS, DY>(own + S::DY_AT, x.dy, i * x.dy_ld + h * x.width, x.width);
            rstd = ((const float *)x.rstd)[group];
        }
        ag_copies_close();
    };
    auto fetch_dx = [&] {
        if (group < end && x.accumulate)
            fetch<FOURS, DX>(own + S::DX_AT, x.dx, i * x.dx_ld + h * x.width, x.width);
        ag_copies_close();
    };
    fetch_sources();
    fetch_dx();
    ag_some<4> dweight[FOURS] = {};
    while (group < end) {
        int64_t to = i * x.dx_ld + h * x.width, narrow = group * x.width;
        ag_some<4> v[FOURS], g[FOURS]; /* v: x, normed; g: dy, times weight, gradient of x */
        ag_copies_wait<1>();
#pragma unroll
        for (int p = 0; p < FOURS; p++) {
            v[p] = ag_load_some<4>(own, AG_F32, place(p));
            g[p] = ag_load_some<4>(own + S::DY_AT, DY, place(p));
        }
        float r = rstd, dot = 0;
        group += WARPS;
        fetch_sources();
#pragma unroll
        for (int p = 0; p < FOURS; p++) {
            ag_some<4> weight = {};
            if (within<FOURS>(p, x.width)) weight = ag_load_some<4>(x.weight, AG_F32, place(p));
            for (int e = 0; e < 4; e++) {
                v[p].x[e] *= r;
                dweight[p].x[e] += g[p].x[e] * v[p].x[e];
                g[p].x[e] *= weight.x[e];
                dot += g[p].x[e] * v[p].x[e];
            }
        }
        float mean = ag_warp_reduce(dot, ag_add()) / (float)x.width;
        ag_copies_wait<1>();
#pragma unroll
        for (int p = 0; p < FOURS; p++) {
            ag_some<4> dx = ag_load_some<4>(own + S::DX_AT, DX, place(p));
            for (int e = 0; e < 4; e++) g[p].x[e] = dx.x[e] + r * (g[p].x[e] - v[p].x[e] * mean);
        }
        fetch_dx();
#pragma unroll
        for (int p = 0; p < FOURS; p++)
            if (within<FOURS>(p, x.width)) {
                ag_store_some(x.dx, DX, to + place(p), g[p]);
                if (x.narrow) ag_store_some(x.narrow, AG_BF16, narrow + place(p), g[p]);
            }
    }
    if (!partial) return;
    float *share = (float *)memory; /* [WARPS, FOURS * 128] */
    __syncthreads();
    for (int p = 0; p < FOURS; p++)
        ag_store_some(share + threadIdx.x / 32 * S::N, AG_F32, place(p), dweight[p]);
    ag_leave_part(partial + blockIdx.x * x.width, share, S::N, x.width);
}

template <int FOURS, ag_dtype DX, ag_dtype DY>
static ag_status launch_grad(ag_device *d, const ag_rmsnorm_grad_args *x, unsigned parts, float *partial,
                             ag_error *err)
{
    size_t shared = (size_t)WARPS * stage<FOURS, DX, DY>::BYTES;
    AG_TRY(ag_cuda_allow_shared((const void *)rmsnorm_grad<FOURS, DX, DY>, shared, err));
    AG_LAUNCH((rmsnorm_grad<FOURS, DX, DY>), parts, THREADS, shared, d, *x, partial);
    return AG_OK;
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

ag_status ag_cuda_rmsnorm_grad(ag_device *d, const ag_rmsnorm_grad_args *x, ag_error *err)
{
    int64_t groups = x->rows * x->heads;
    if (groups == 0) return AG_OK;
    if (x->width > MAX_WIDTH)
        return ag_fail(err, AG_ERR_UNSUPPORTED, "device 'cuda': a norm over more than %d", MAX_WIDTH);
    if (x->dx_type == AG_BF16 && x->dy_type != AG_BF16)
        return ag_fail(err, AG_ERR_INTERNAL, "device 'cuda': a norm's gradient of bf16 from one of fp32");
    unsigned parts = ag_cuda_parts(groups, x->width);
    void *memory = NULL;
    if (x->dweight)
        AG_TRY(ag_cuda_scratch(d, AG_CUDA_PARTIAL, parts * (size_t)x->width * sizeof(float), &memory, err));
    float *partial = (float *)memory;
    if (!in_warps(x->width) || !ag_in_fours(x->x, AG_F32, x->x_ld) ||
        !ag_in_fours(x->dy, x->dy_type, x->dy_ld) || !ag_in_fours(x->dx, x->dx_type, x->dx_ld) ||
        !ag_in_fours(x->narrow, AG_BF16, 0) ||
        !ag_in_fours(x->weight, AG_F32, 0)) /* within 48 KiB, with what the kernel declares */
        AG_LAUNCH(rmsnorm_grad_wide, parts, THREADS, partial ? (size_t)x->width * sizeof(float) : 0, d, *x,
                  partial);
    else if (x->dy_type != AG_BF16)
        BY_FOURS(x->width, AG_TRY((launch_grad<FOURS, AG_F32, AG_F32>(d, x, parts, partial, err))))
    else if (x->dx_type != AG_BF16)
        BY_FOURS(x->width, AG_TRY((launch_grad<FOURS, AG_F32, AG_BF16>(d, x, parts, partial, err))))
    else
        BY_FOURS(x->width, AG_TRY((launch_grad<FOURS, AG_BF16, AG_BF16>(d, x, parts, partial, err))))
    AG_TRY(AG_LAUNCHED("rmsnorm_grad"));
    if (!partial) return AG_OK;
    return ag_cuda_add_parts(d, (float *)x->dweight, partial, parts, x->width, err);
}
