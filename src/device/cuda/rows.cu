/* rows.cu: operations of the cuda backend that work an element or a row at a time.
 *
 * Norms give a group of a row to a warp, or to a block where it is wide. Sums over rows (weights of norms, biases) go
 * through a number of parts that depends on sizes alone; the last block adds them in order, in the same launch.
 */
#include "device/cuda/cuda.cuh"

enum { THREADS = AG_CUDA_THREADS, WARPS = AG_CUDA_WARPS, NARROW = 256, MAX_PARTS = 128 };

static __global__ void embed(ag_embed_args x, int32_t *fault)
{
    AG_CUDA_EACH(at, x.rows * x.width)
    {
        int64_t i, j;
        ag_cuda_place(at, x.width, &i, &j);
        int32_t id = x.ids[i];
        bool known = id >= 0 && id < x.vocab;
        if (!known && j == 0) *fault = id < 0 ? id : id + 1;
        ((float *)x.out)[at] = known ? ag_load(x.table, x.type, id * x.width + j) : 0;
    }
}

ag_status ag_cuda_embed(ag_device *d, const ag_embed_args *x, ag_error *err)
{
    ag_cuda *c = ag_cuda_of(d);
    if (x->rows == 0) return AG_OK;
    AG_LAUNCH(embed, ag_cuda_grid(x->rows * x->width), THREADS, 0, c->stream, *x, c->fault_device);
    return AG_LAUNCHED("embed");
}

/* dst[index[i]] += src[i] in row order: the block of the first row with an index adds all rows that have it. */
static __global__ void add_rows(float *dst, const float *src, const int32_t *index, int64_t rows,
                                int64_t width, int64_t dst_ld, int64_t src_ld)
{
    __shared__ int counts[WARPS];
    __shared__ int found[THREADS];
    int64_t own = blockIdx.x;
    int32_t id = index[own];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (int64_t base = 0; base < own; base += THREADS)
        if (__syncthreads_or(base + threadIdx.x < own && index[base + threadIdx.x] == id)) return;
    for (int64_t base = own; base < rows; base += THREADS) {
        bool same = base + threadIdx.x < rows && index[base + threadIdx.x] == id;
        unsigned vote = __ballot_sync(~0u, same);
        if (lane == 0) counts[warp] = __popc(vote);
        if (!__syncthreads_or(same)) continue;
        int at = __popc(vote & ((1u << lane) - 1)), total = 0;
        for (int w = 0; w < WARPS; w++) {
            if (w < warp) at += counts[w];
            total += counts[w];
        }
        if (same) found[at] = threadIdx.x;
        __syncthreads();
        for (int64_t j = threadIdx.x; j < width; j += THREADS) {
            float sum = dst[id * dst_ld + j];
            for (int k = 0; k < total; k++) sum += src[(base + found[k]) * src_ld + j];
            dst[id * dst_ld + j] = sum;
        }
        __syncthreads();
    }
}

ag_status ag_cuda_embed_grad(ag_device *d, const ag_embed_grad_args *x, ag_error *err)
{
    if (x->rows == 0) return AG_OK;
    AG_LAUNCH(add_rows, (unsigned)x->rows, THREADS, 0, ag_cuda_of(d)->stream, (float *)x->dtable,
              (const float *)x->dout, x->ids, x->rows, x->width, x->width, x->width);
    return AG_LAUNCHED("embed_grad");
}

static __global__ void move_rows(ag_rows_args x)
{
    bool gather = x.kind == AG_ROWS_GATHER;
    AG_CUDA_EACH(at, x.rows * x.width)
    {
        int64_t i, j;
        ag_cuda_place(at, x.width, &i, &j);
        int64_t other = x.index[i];
        ag_store(x.dst, x.dst_type, (gather ? i : other) * x.dst_ld + j,
                 ag_load(x.src, x.src_type, (gather ? other : i) * x.src_ld + j));
    }
}

ag_status ag_cuda_rows(ag_device *d, const ag_rows_args *x, ag_error *err)
{
    cudaStream_t stream = ag_cuda_of(d)->stream;
    if (x->rows == 0 || x->width == 0) return AG_OK;
    if (x->kind == AG_ROWS_SCATTER_ADD)
        AG_LAUNCH(add_rows, (unsigned)x->rows, THREADS, 0, stream, (float *)x->dst, (const float *)x->src,
                  x->index, x->rows, x->width, x->dst_ld, x->src_ld);
    else
        AG_LAUNCH(move_rows, ag_cuda_grid(x->rows * x->width), THREADS, 0, stream, *x);
    return AG_LAUNCHED("rows");
}

/* The sum over the threads that share a group of a row. */
template <bool WIDE> static __device__ float group_sum(float x)
{
    return WIDE ? ag_block_reduce(x, ag_add()) : ag_warp_reduce(x, ag_add());
}

template <bool WIDE> static __global__ void rmsnorm(ag_rmsnorm_args x)
{
    int64_t group = WIDE ? blockIdx.x : blockIdx.x * (int64_t)WARPS + threadIdx.x / 32;
    if (group >= x.rows * x.heads) return;
    int me = WIDE ? threadIdx.x : threadIdx.x % 32, step = WIDE ? THREADS : 32;
    int64_t i = group / x.heads, h = group % x.heads, to = i * x.out_ld + h * x.width;
    const float *row = (const float *)x.x + i * x.x_ld + h * x.width, *weight = (const float *)x.weight;
    float squares = 0;
    for (int64_t j = me; j < x.width; j += step) squares += row[j] * row[j];
    float rstd = (float)(1.0 / sqrt(group_sum<WIDE>(squares) / (double)x.width + x.eps));
    if (x.rstd && me == 0) ((float *)x.rstd)[group] = rstd;
    for (int64_t j = me; j < x.width; j += step)
        ag_store(x.out, x.out_type, to + j, row[j] * rstd * weight[j]);
}

ag_status ag_cuda_rmsnorm(ag_device *d, const ag_rmsnorm_args *x, ag_error *err)
{
    int64_t groups = x->rows * x->heads;
    cudaStream_t stream = ag_cuda_of(d)->stream;
    if (groups == 0) return AG_OK;
    if (x->width > NARROW)
        AG_LAUNCH(rmsnorm<true>, (unsigned)groups, THREADS, 0, stream, *x);
    else
        AG_LAUNCH(rmsnorm<false>, (unsigned)((groups + WARPS - 1) / WARPS), THREADS, 0, stream, *x);
    return AG_LAUNCHED("rmsnorm");
}

/* The last block adds the parts of each column, always in the same order: a thread every so many of them where columns are few. */
static __device__ void add_parts(float *sum, const float *partial, int parts, int64_t width,
                                 unsigned *finished)
{
    __shared__ float share[THREADS];
    if (!ag_last_block(finished, parts)) return;
    int split = width < THREADS ? THREADS / (int)width : 1, columns = split > 1 ? (int)width : THREADS;
    int mine = threadIdx.x / columns, stop = mine < split ? parts : 0;
    for (int64_t j = threadIdx.x % columns; j < width; j += columns) {
        float total = 0;
#pragma unroll 16
        for (int p = mine; p < stop; p += split) total += __ldcg(partial + p * width + j);
        if (split > 1)
            share[threadIdx.x] = total;
        else
            sum[j] += total;
    }
    if (split == 1) return;
    __syncthreads();
    if (threadIdx.x >= width) return;
    float total = 0;
    for (int i = 0; i < split; i++) total += share[i * columns + threadIdx.x];
    sum[threadIdx.x] += total;
}

/* Part blockIdx.x takes a range of groups. `own` keeps dweight of a warp (of the block where WIDE), a column at a time by the
 * same thread. */
template <bool WIDE>
static __global__ void rmsnorm_grad(ag_rmsnorm_grad_args x, float *partial, unsigned *finished)
{
    AG_DYNAMIC_SHARED(float, own);
    int64_t groups = x.rows * x.heads, begin = groups * blockIdx.x / gridDim.x,
            end = groups * (blockIdx.x + 1) / gridDim.x;
    int warp = threadIdx.x / 32, me = WIDE ? threadIdx.x : threadIdx.x % 32, step = WIDE ? THREADS : 32;
    float *dweight = own + (WIDE ? 0 : warp * x.width);
    const float *weight = (const float *)x.weight;
    if (partial)
        for (int64_t j = me; j < x.width; j += step) dweight[j] = 0;
    for (int64_t group = WIDE ? begin : begin + warp; group < end; group += WIDE ? 1 : WARPS) {
        int64_t i = group / x.heads, at = group % x.heads * x.width;
        const float *row = (const float *)x.x + i * x.x_ld + at, *dy = (const float *)x.dy + i * x.dy_ld + at;
        float *dx = (float *)x.dx + i * x.dx_ld + at;
        float r = ((const float *)x.rstd)[group], dot = 0;
        for (int64_t j = me; j < x.width; j += step) dot += dy[j] * weight[j] * row[j];
        float mean = group_sum<WIDE>(dot) / (float)x.width;
        for (int64_t j = me; j < x.width; j += step) {
            float dyj = dy[j], g = r * (weight[j] * dyj - row[j] * r * r * mean);
            if (partial) dweight[j] += dyj * row[j] * r;
            dx[j] = x.accumulate ? dx[j] + g : g;
        }
    }
    if (!partial) return;
    __syncthreads();
    for (int64_t j = threadIdx.x; j < x.width; j += THREADS) {
        float sum = own[j];
        for (int w = 1; w < (WIDE ? 1 : WARPS); w++) sum += own[w * x.width + j];
        partial[blockIdx.x * x.width + j] = sum;
    }
    add_parts((float *)x.dweight, partial, gridDim.x, x.width, finished);
}

ag_status ag_cuda_rmsnorm_grad(ag_device *d, const ag_rmsnorm_grad_args *x, ag_error *err)
{
    ag_cuda *c = ag_cuda_of(d);
    int64_t groups = x->rows * x->heads, each = x->width > NARROW ? 4 : 4 * WARPS;
    if (groups == 0) return AG_OK;
    if (x->width > 12288)
        return ag_fail(err, AG_ERR_UNSUPPORTED, "device 'cuda': a norm over more than 12288");
    unsigned parts = (unsigned)((groups + each - 1) / each);
    if (x->dweight && parts > MAX_PARTS) parts = MAX_PARTS;
    void *partial = NULL;
    size_t shared = 0;
    if (x->dweight) {
        AG_TRY(ag_cuda_scratch(d, AG_CUDA_PARTIAL, parts * (size_t)x->width * sizeof(float), &partial, err));
        shared = (size_t)x->width * sizeof(float) * (x->width > NARROW ? 1 : WARPS);
    }
    if (x->width > NARROW)
        AG_LAUNCH(rmsnorm_grad<true>, parts, THREADS, shared, c->stream, *x, (float *)partial, c->finished);
    else
        AG_LAUNCH(rmsnorm_grad<false>, parts, THREADS, shared, c->stream, *x, (float *)partial, c->finished);
    return AG_LAUNCHED("rmsnorm_grad");
}

static __global__ void rope(ag_rope_args x)
{
    int64_t half = x.head_dim / 2;
    AG_CUDA_EACH(at, x.rows * x.heads * half)
    {
        int64_t i, h, j, pair;
        ag_cuda_place(at, half, &pair, &j);
        ag_cuda_place(pair, x.heads, &i, &h);
        const float *table = (const float *)x.table + x.positions[i] * x.head_dim;
        float *v = (float *)x.x + i * x.ld + h * x.head_dim + j;
        float a = v[0], b = v[half], cosine = table[j], sine = x.inverse ? -table[j + half] : table[j + half];
        v[0] = a * cosine - b * sine;
        v[half] = b * cosine + a * sine;
    }
}

ag_status ag_cuda_rope(ag_device *d, const ag_rope_args *x, ag_error *err)
{
    int64_t n = x->rows * x->heads * (x->head_dim / 2);
    if (n == 0) return AG_OK;
    AG_LAUNCH(rope, ag_cuda_grid(n), THREADS, 0, ag_cuda_of(d)->stream, *x);
    return AG_LAUNCHED("rope");
}

static __global__ void swiglu(ag_swiglu_args x)
{
    AG_CUDA_EACH(at, x.rows * x.width)
    {
        int64_t i, j;
        ag_cuda_place(at, x.width, &i, &j);
        const float *gate = (const float *)x.gate_up + i * 2 * x.width + j;
        ag_store(x.out, x.out_type, at, gate[0] / (1 + expf(-gate[0])) * gate[x.width]);
    }
}

ag_status ag_cuda_swiglu(ag_device *d, const ag_swiglu_args *x, ag_error *err)
{
    if (x->rows * x->width == 0) return AG_OK;
    AG_LAUNCH(swiglu, ag_cuda_grid(x->rows * x->width), THREADS, 0, ag_cuda_of(d)->stream, *x);
    return AG_LAUNCHED("swiglu");
}

static __global__ void swiglu_grad(ag_swiglu_grad_args x)
{
    AG_CUDA_EACH(at, x.rows * x.width)
    {
        int64_t i, j;
        ag_cuda_place(at, x.width, &i, &j);
        int64_t to = i * 2 * x.width + j;
        float gate = ((const float *)x.gate_up)[to], up = ((const float *)x.gate_up)[to + x.width],
              dy = ((const float *)x.dout)[at], s = 1 / (1 + expf(-gate));
        ag_store(x.dgate_up, x.type, to, dy * up * s * (1 + gate * (1 - s)));
        ag_store(x.dgate_up, x.type, to + x.width, dy * gate * s);
    }
}

ag_status ag_cuda_swiglu_grad(ag_device *d, const ag_swiglu_grad_args *x, ag_error *err)
{
    if (x->rows * x->width == 0) return AG_OK;
    AG_LAUNCH(swiglu_grad, ag_cuda_grid(x->rows * x->width), THREADS, 0, ag_cuda_of(d)->stream, *x);
    return AG_LAUNCHED("swiglu_grad");
}

static __global__ void bias(ag_bias_args x)
{
    AG_CUDA_EACH(at, x.rows * x.width)
    {
        int64_t i, j;
        ag_cuda_place(at, x.width, &i, &j);
        ((float *)x.x)[i * x.ld + j] += ((const float *)x.bias)[j];
    }
}

ag_status ag_cuda_bias(ag_device *d, const ag_bias_args *x, ag_error *err)
{
    if (x->rows * x->width == 0) return AG_OK;
    AG_LAUNCH(bias, ag_cuda_grid(x->rows * x->width), THREADS, 0, ag_cuda_of(d)->stream, *x);
    return AG_LAUNCHED("bias");
}

static __global__ void bias_grad(ag_bias_grad_args x, float *partial, unsigned *finished)
{
    int64_t begin = x.rows * blockIdx.x / gridDim.x, end = x.rows * (blockIdx.x + 1) / gridDim.x;
    for (int64_t j = threadIdx.x; j < x.width; j += THREADS) {
        float sum = 0;
#pragma unroll 8
        for (int64_t i = begin; i < end; i++) sum += ((const float *)x.dx)[i * x.ld + j];
        partial[blockIdx.x * x.width + j] = sum;
    }
    add_parts((float *)x.dbias, partial, gridDim.x, x.width, finished);
}

ag_status ag_cuda_bias_grad(ag_device *d, const ag_bias_grad_args *x, ag_error *err)
{
    ag_cuda *c = ag_cuda_of(d);
    if (x->rows * x->width == 0) return AG_OK;
    unsigned parts = (unsigned)((x->rows + 31) / 32 < MAX_PARTS ? (x->rows + 31) / 32 : MAX_PARTS);
    void *partial;
    AG_TRY(ag_cuda_scratch(d, AG_CUDA_PARTIAL, parts * (size_t)x->width * sizeof(float), &partial, err));
    AG_LAUNCH(bias_grad, parts, THREADS, 0, c->stream, *x, (float *)partial, c->finished);
    return AG_LAUNCHED("bias_grad");
}

typedef struct adamw_numbers {
    float lr, beta1, rest1, beta2, rest2, eps, decay, grad_scale, correct1, correct2;
} adamw_numbers;

static __global__ void adamw(ag_adamw_args x, adamw_numbers k)
{
    float *w = (float *)x.w, *m = (float *)x.m, *v = (float *)x.v;
    AG_CUDA_EACH(i, x.n)
    {
        float g = ((const float *)x.g)[i] * k.grad_scale, wi = w[i];
        float mi = k.beta1 * m[i] + k.rest1 * g, vi = k.beta2 * v[i] + k.rest2 * g * g;
        m[i] = mi;
        v[i] = vi;
        wi -= k.lr * (mi / k.correct1 / (sqrtf(vi / k.correct2) + k.eps) + k.decay * wi);
        w[i] = wi;
        if (x.copy) ag_store(x.copy, x.copy_type, i, wi);
    }
}

ag_status ag_cuda_adamw(ag_device *d, const ag_adamw_args *x, ag_error *err)
{
    if (x->n == 0) return AG_OK;
    adamw_numbers k = {(float)x->lr,
                       (float)x->beta1,
                       (float)(1 - x->beta1),
                       (float)x->beta2,
                       (float)(1 - x->beta2),
                       (float)x->eps,
                       (float)x->decay,
                       (float)x->grad_scale,
                       (float)(1 - pow(x->beta1, (double)x->step)),
                       (float)(1 - pow(x->beta2, (double)x->step))};
    AG_LAUNCH(adamw, ag_cuda_grid(x->n), THREADS, 0, ag_cuda_of(d)->stream, *x, k);
    return AG_LAUNCHED("adamw");
}

static __global__ void sum_squares(const float *x, int64_t n, double *partial, unsigned *finished)
{
    double sum = 0;
    AG_CUDA_EACH(i, n) sum += (double)x[i] * x[i];
    sum = ag_block_reduce(sum, ag_add());
    if (threadIdx.x == 0) partial[1 + blockIdx.x] = sum;
    if (!ag_last_block(finished, gridDim.x)) return;
    sum = 0;
    for (int i = threadIdx.x; i < gridDim.x; i += THREADS) sum += __ldcg(partial + 1 + i);
    sum = ag_block_reduce(sum, ag_add());
    if (threadIdx.x == 0) partial[0] = sum;
}

ag_status ag_cuda_sum_squares(ag_device *d, const ag_sum_squares_args *x, ag_error *err)
{
    ag_cuda *c = ag_cuda_of(d);
    enum { MAX_BLOCKS = 1024 };
    void *partial;
    *x->result = 0;
    if (x->n == 0) return AG_OK;
    AG_TRY(ag_cuda_scratch(d, AG_CUDA_PARTIAL, (MAX_BLOCKS + 1) * sizeof(double), &partial, err));
    unsigned blocks = ag_cuda_grid((x->n + 7) / 8);
    if (blocks > MAX_BLOCKS) blocks = MAX_BLOCKS;
    AG_LAUNCH(sum_squares, blocks, THREADS, 0, c->stream, (const float *)x->x, x->n, (double *)partial,
              c->finished);
    AG_TRY(AG_LAUNCHED("sum_squares"));
    return d->download(d, x->result, partial, sizeof *x->result, err);
}

static __global__ void cast(ag_cast_args x)
{
    AG_CUDA_EACH(i, x.n) ag_store(x.dst, x.dst_type, i, ag_load(x.src, x.src_type, i));
}

ag_status ag_cuda_cast(ag_device *d, const ag_cast_args *x, ag_error *err)
{
    if (x->n == 0) return AG_OK;
    AG_LAUNCH(cast, ag_cuda_grid(x->n), THREADS, 0, ag_cuda_of(d)->stream, *x);
    return AG_LAUNCHED("cast");
}

static __global__ void axpy(float *y, const float *x, float alpha, int64_t n)
{
    AG_CUDA_EACH(i, n) y[i] += alpha * x[i];
}

ag_status ag_cuda_axpy(ag_device *d, const ag_axpy_args *x, ag_error *err)
{
    if (x->n == 0) return AG_OK;
    AG_LAUNCH(axpy, ag_cuda_grid(x->n), THREADS, 0, ag_cuda_of(d)->stream, (float *)x->y, (const float *)x->x,
              (float)x->alpha, x->n);
    return AG_LAUNCHED("axpy");
}
