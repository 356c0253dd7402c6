/* attention.cu: forest attention of the cuda backend, forward and backward, in fp32.
 *
 * Training: a block takes 32 query rows of one head and walks the plan's blocks that touch them in chunks of 32 keys held in
 * shared memory; a warp has four rows, a lane one key for the scores and some columns for the sums; softmax is online
 * (Dao et al. 2022). Decode, where nearly every row has blocks of its own: a block a row and head, whose warps share the
 * keys out. The backward pass is two such walks: over the keys of query rows for dq, over the query rows of keys for dk and
 * dv. Where many queries read the same keys (a shared prompt), the query rows are cut into slices, whose sums are added in
 * order: no atomics, the same bytes on repeat.
 */
#include "device/cuda/attention.cuh"

enum {
    THREADS = AG_CUDA_THREADS,
    WARPS = AG_CUDA_WARPS,
    ROWS = 32,           /* rows or keys of a block */
    EACH = ROWS / WARPS, /* of a warp */
    CHUNK = 32,          /* keys or rows that pass by at a time: one a lane */
    ROW_WARPS = 4,       /* of the decode kernel */
    SLICE_ROWS = 256,
    MAX_SLICES = 16,
    LONG_ROWS = 2048,
    ENOUGH_BLOCKS = 1024,
};
static_assert(AG_ATTENTION_TILE % ROWS == 0, "a block's rows lie in one tile");

/* A tile in shared memory: rows of C * 32 columns, four more apart so that a row a lane, four columns at a time, never meet in
 * a bank. */
template <int C> struct tile {
    enum { PITCH = C * 32 + 4, SIZE = CHUNK * PITCH };
};

static __device__ inline float4 four(const float *p)
{
    return *(const float4 *)p;
}

static __device__ inline float add_dot(float sum, float4 a, float4 b)
{
    return sum + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}

static __device__ inline float part(float4 x, int i)
{
    return i == 0 ? x.x : i == 1 ? x.y : i == 2 ? x.z : x.w;
}

/* Rows [row, row + n) of a matrix into shared memory, CHUNK rows of C * 32 columns, zeros around them. */
template <int C>
static __device__ void stage(float *to, const float *from, int64_t row, int n, int64_t ld, int dim)
{
    for (int at = threadIdx.x; at < CHUNK * C * 32; at += THREADS) {
        int i = at / (C * 32), j = at % (C * 32);
        to[i * tile<C>::PITCH + j] = i < n && j < dim ? from[(row + i) * ld + j] : 0;
    }
}

/* sum [EACH, C * 32] += weights [EACH, n] x [n, C * 32] of a tile; a lane has every 32nd column. Weights from n on are zero. */
template <int C>
static __device__ inline void add_products(float (&sum)[EACH][C], const float *weights, const float *x, int n,
                                           int lane)
{
    for (int j = 0; j < n; j += 4) {
        float4 weight[EACH];
        for (int e = 0; e < EACH; e++) weight[e] = four(weights + e * CHUNK + j);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            for (int c = 0; c < C; c++) {
                float value = x[(j + i) * tile<C>::PITCH + c * 32 + lane];
                for (int e = 0; e < EACH; e++) sum[e][c] += part(weight[e], i) * value;
            }
        }
    }
}

static __device__ inline float shrink_of(float old_max, float new_max)
{
    return old_max == -INFINITY ? 0 : expf(old_max - new_max);
}

static __device__ void store_lse(const ag_attention_args &x, int64_t rows, int head, int64_t row, float max,
                                 float total)
{
    if (x.lse) ((float *)x.lse)[head * rows + row] = total > 0 ? max + logf(total) : 0;
}

template <int C>
static __global__ void __launch_bounds__(THREADS) forward_tile(ag_attention_args x, ag_attention_plan plan)
{
    ag_after_previous();
    AG_DYNAMIC_SHARED(float, memory);
    __shared__ ag_attention_block list[THREADS];
    float *query = memory, *keys = query + tile<C>::SIZE, *values = keys + tile<C>::SIZE,
          *share = values + tile<C>::SIZE;
    int dim = x.head_dim, head = blockIdx.y, kv = head / (x.heads / x.kv_heads), lane = threadIdx.x % 32,
        warp = threadIdx.x / 32, mine = warp * EACH, pitch = tile<C>::PITCH;
    int64_t first = blockIdx.x * (int64_t)ROWS, end = first + ROWS < plan.rows ? first + ROWS : plan.rows;
    float max[EACH], total[EACH], sum[EACH][C];
    for (int e = 0; e < EACH; e++) {
        max[e] = -INFINITY, total[e] = 0;
        for (int c = 0; c < C; c++) sum[e][c] = 0;
    }
    stage<C>(query, (const float *)x.q + head * dim, first, (int)(end - first), x.q_ld, dim);
    int32_t t = (int32_t)(first / AG_ATTENTION_TILE), last = plan.tile_first[t + 1];
    for (int32_t entry = plan.tile_first[t]; entry < last; entry += THREADS) {
        int count = ag_collect(list, plan, plan.tile_block, entry, last, {first, end}, {0, plan.keys});
        for (int k = 0; k < count; k++) {
            const ag_attention_block b = list[k];
            int64_t r0 = b.q0 > first ? b.q0 : first, r1 = b.q1 < end ? b.q1 : end,
                    stop = ag_key_end(b, r1 - 1);
            for (int64_t k0 = b.k0; k0 < stop; k0 += CHUNK) {
                int n = (int)(stop - k0 < CHUNK ? stop - k0 : CHUNK);
                __syncthreads();
                stage<C>(keys, (const float *)x.k + kv * dim, k0, n, x.kv_ld, dim);
                stage<C>(values, (const float *)x.v + kv * dim, k0, n, x.kv_ld, dim);
                __syncthreads();
                if (first + mine >= r1 || first + mine + EACH <= r0) continue;
                float score[EACH] = {};
                for (int j = 0; j < dim; j += 4) {
                    float4 key = four(keys + lane * pitch + j);
                    for (int e = 0; e < EACH; e++)
                        score[e] = add_dot(score[e], four(query + (mine + e) * pitch + j), key);
                }
                for (int e = 0; e < EACH; e++) {
                    int64_t row = first + mine + e,
                            live = row >= r0 && row < r1 ? ag_key_end(b, row) - k0 : 0;
                    bool seen = lane < live && lane < n;
                    float s = seen ? score[e] * (float)x.scale : -INFINITY,
                          high = fmaxf(max[e], ag_warp_reduce(s, ag_max())), p = 0;
                    if (high > -INFINITY) {
                        float shrink = shrink_of(max[e], high);
                        p = seen ? expf(s - high) : 0;
                        total[e] = total[e] * shrink + ag_warp_reduce(p, ag_add());
                        for (int c = 0; c < C; c++) sum[e][c] *= shrink;
                        max[e] = high;
                    }
                    share[(mine + e) * CHUNK + lane] = p;
                }
                __syncwarp();
                add_products<C>(sum, share + mine * CHUNK, values, n, lane);
            }
        }
    }
    for (int e = 0; e < EACH; e++) {
        int64_t row = first + mine + e;
        if (row >= end) break;
        float scale = total[e] > 0 ? 1 / total[e] : 0;
        for (int c = 0; c < C; c++)
            if (c * 32 + lane < dim)
                ag_store(x.out, x.out_type, row * x.out_ld + head * dim + c * 32 + lane, sum[e][c] * scale);
        if (lane == 0) store_lse(x, plan.rows, head, row, max[e], total[e]);
    }
}

static __device__ inline float score_by_lane(const float *query, const float *key, int dim, bool live)
{
    float score = 0;
#pragma unroll 8
    for (int j = 0; live && j < dim; j++) score += query[j] * key[j];
    return score;
}

/* The scores of n keys, one a lane: eight lanes read a key together, 16 bytes each. */
template <int C>
static __device__ inline float scores_by_fours(const float *query, const float *keys, int64_t ld, int dim,
                                               int n, int lane)
{
    float mine = 0;
    int among = lane % 8 * 4;
#pragma unroll
    for (int step = 0; step < CHUNK / 4; step++) {
        int k = step * 4 + lane / 8;
        float score = 0;
        for (int c = 0; c < C; c++)
            if (k < n && c * 32 + among < dim)
                score = add_dot(score, four(query + c * 32 + among), four(keys + k * ld + c * 32 + among));
        for (int far = 4; far; far /= 2) score += __shfl_xor_sync(~0u, score, far);
        score = __shfl_sync(~0u, score, lane % 4 * 8);
        if (lane / 4 == step) mine = score;
    }
    return mine;
}

template <int C>
static __global__ void __launch_bounds__(ROW_WARPS * 32)
    forward_row(ag_attention_args x, ag_attention_plan plan)
{
    ag_after_previous();
    __shared__ ag_attention_block list[ROW_WARPS * 32];
    __shared__ __align__(16) float query[C * 32];
    __shared__ float sums[ROW_WARPS][C * 32], maxes[ROW_WARPS], totals[ROW_WARPS];
    int dim = x.head_dim, head = blockIdx.y, kv = head / (x.heads / x.kv_heads), lane = threadIdx.x % 32,
        warp = threadIdx.x / 32, turn = 0;
    int64_t row = blockIdx.x;
    const float *keys = (const float *)x.k + kv * dim, *values = (const float *)x.v + kv * dim;
    float max = -INFINITY, total = 0, sum[C] = {};
    bool aligned = dim % 4 == 0 && x.kv_ld % 4 == 0 && (uintptr_t)x.k % 16 == 0;
    for (int j = threadIdx.x; j < dim; j += ROW_WARPS * 32)
        query[j] = ((const float *)x.q)[row * x.q_ld + head * dim + j];
    int32_t t = (int32_t)(row / AG_ATTENTION_TILE), last = plan.tile_first[t + 1];
    for (int32_t entry = plan.tile_first[t]; entry < last; entry += ROW_WARPS * 32) {
        int count = ag_collect(list, plan, plan.tile_block, entry, last, {row, row + 1}, {0, plan.keys});
        for (int k = 0; k < count; k++) {
            int64_t stop = ag_key_end(list[k], row);
            for (int64_t k0 = list[k].k0; k0 < stop; k0 += CHUNK) {
                if (turn++ % ROW_WARPS != warp) continue;
                int n = (int)(stop - k0 < CHUNK ? stop - k0 : CHUNK);
                const float *from = keys + k0 * x.kv_ld;
                float score = aligned ? scores_by_fours<C>(query, from, x.kv_ld, dim, n, lane)
                                      : score_by_lane(query, from + lane * x.kv_ld, dim, lane < n);
                float s = lane < n ? score * (float)x.scale : -INFINITY;
                float high = fmaxf(max, ag_warp_reduce(s, ag_max())), shrink = shrink_of(max, high),
                      p = lane < n ? expf(s - high) : 0;
                total = total * shrink + ag_warp_reduce(p, ag_add());
                max = high;
                for (int c = 0; c < C; c++) sum[c] *= shrink;
#pragma unroll 4
                for (int j = 0; j < n; j++) {
                    float weight = __shfl_sync(~0u, p, j);
                    for (int c = 0; c < C; c++)
                        if (c * 32 + lane < dim)
                            sum[c] += weight * values[(k0 + j) * x.kv_ld + c * 32 + lane];
                }
            }
        }
    }
    for (int c = 0; c < C; c++) sums[warp][c * 32 + lane] = sum[c];
    if (lane == 0) maxes[warp] = max, totals[warp] = total;
    __syncthreads();
    for (int w = 0; w < ROW_WARPS; w++) max = fmaxf(max, maxes[w]);
    total = 0;
    for (int w = 0; w < ROW_WARPS; w++) total += totals[w] * shrink_of(maxes[w], max);
    for (int j = threadIdx.x; j < dim; j += ROW_WARPS * 32) {
        float out = 0;
        for (int w = 0; w < ROW_WARPS; w++) out += sums[w][j] * shrink_of(maxes[w], max);
        ag_store(x.out, x.out_type, row * x.out_ld + head * dim + j, total > 0 ? out / total : 0);
    }
    if (threadIdx.x == 0) store_lse(x, plan.rows, head, row, max, total);
}

static ag_status check_heads(int dim, ag_error *err)
{
    if (dim <= 256) return AG_OK;
    return ag_fail(err, AG_ERR_UNSUPPORTED, "device 'cuda': heads of %d; at most 256", dim);
}

template <int C> static ag_status forward(ag_device *d, const ag_attention_args *x, ag_error *err)
{
    const ag_attention_plan *plan = x->plan;
    if ((int64_t)plan->block_count * 4 > plan->rows) {
        dim3 grid((unsigned)plan->rows, (unsigned)x->heads);
        AG_LAUNCH(forward_row<C>, grid, ROW_WARPS * 32, 0, d, *x, *plan);
    } else {
        dim3 grid((unsigned)((plan->rows + ROWS - 1) / ROWS), (unsigned)x->heads);
        size_t shared = (3 * tile<C>::SIZE + ROWS * CHUNK) * sizeof(float);
        AG_TRY(ag_cuda_allow_shared((const void *)forward_tile<C>, shared, err));
        AG_LAUNCH(forward_tile<C>, grid, THREADS, shared, d, *x, *plan);
    }
    return AG_LAUNCHED("attention");
}

ag_status ag_cuda_attention(ag_device *d, const ag_attention_args *x, ag_error *err)
{
    if (x->plan->rows == 0) return AG_OK;
    if (x->in_type == AG_BF16) return ag_cuda_attention_bf16(d, x, err);
    AG_TRY(check_heads(x->head_dim, err));
    if (x->head_dim <= 32) return forward<1>(d, x, err);
    if (x->head_dim <= 64) return forward<2>(d, x, err);
    if (x->head_dim <= 128) return forward<4>(d, x, err);
    return forward<8>(d, x, err);
}

/* p = softmax(s), s = scale q.k:  dp = do.v,  ds = p (dp - do.o) scale,  dq = ds k. Leaves delta = do.o [heads, rows]. */
template <int C>
static __global__ void __launch_bounds__(THREADS)
    backward_queries(ag_attention_grad_args x, ag_attention_plan plan, float *deltas)
{
    ag_after_previous();
    AG_DYNAMIC_SHARED(float, memory);
    __shared__ ag_attention_block list[THREADS];
    float *query = memory, *dout = query + tile<C>::SIZE, *keys = dout + tile<C>::SIZE,
          *values = keys + tile<C>::SIZE, *share = values + tile<C>::SIZE;
    int dim = x.head_dim, head = blockIdx.y, kv = head / (x.heads / x.kv_heads), lane = threadIdx.x % 32,
        warp = threadIdx.x / 32, mine = warp * EACH, pitch = tile<C>::PITCH;
    int64_t first = blockIdx.x * (int64_t)ROWS, end = first + ROWS < plan.rows ? first + ROWS : plan.rows;
    float dq[EACH][C] = {}, delta[EACH], lse[EACH];
    stage<C>(query, (const float *)x.q + head * dim, first, (int)(end - first), x.q_ld, dim);
    stage<C>(dout, (const float *)x.dout + head * dim, first, (int)(end - first), x.dout_ld, dim);
    __syncthreads();
    for (int e = 0; e < EACH; e++) {
        int64_t row = first + mine + e;
        float dot = 0;
        for (int j = lane; j < dim && row < end; j += 32)
            dot += dout[(mine + e) * pitch + j] * ag_load(x.out, x.out_type, row * x.out_ld + head * dim + j);
        delta[e] = ag_warp_reduce(dot, ag_add());
        lse[e] = row < end ? ((const float *)x.lse)[head * (int64_t)plan.rows + row] : 0;
        if (row < end && lane == 0) deltas[head * (int64_t)plan.rows + row] = delta[e];
    }
    int32_t t = (int32_t)(first / AG_ATTENTION_TILE), last = plan.tile_first[t + 1];
    for (int32_t entry = plan.tile_first[t]; entry < last; entry += THREADS) {
        int count = ag_collect(list, plan, plan.tile_block, entry, last, {first, end}, {0, plan.keys});
        for (int k = 0; k < count; k++) {
            const ag_attention_block b = list[k];
            int64_t r0 = b.q0 > first ? b.q0 : first, r1 = b.q1 < end ? b.q1 : end,
                    stop = ag_key_end(b, r1 - 1);
            for (int64_t k0 = b.k0; k0 < stop; k0 += CHUNK) {
                int n = (int)(stop - k0 < CHUNK ? stop - k0 : CHUNK);
                __syncthreads();
                stage<C>(keys, (const float *)x.k + kv * dim, k0, n, x.kv_ld, dim);
                stage<C>(values, (const float *)x.v + kv * dim, k0, n, x.kv_ld, dim);
                __syncthreads();
                if (first + mine >= r1 || first + mine + EACH <= r0) continue;
                float score[EACH] = {}, dp[EACH] = {};
                for (int j = 0; j < dim; j += 4) {
                    float4 key = four(keys + lane * pitch + j), value = four(values + lane * pitch + j);
                    for (int e = 0; e < EACH; e++) {
                        score[e] = add_dot(score[e], four(query + (mine + e) * pitch + j), key);
                        dp[e] = add_dot(dp[e], four(dout + (mine + e) * pitch + j), value);
                    }
                }
                for (int e = 0; e < EACH; e++) {
                    int64_t row = first + mine + e,
                            live = row >= r0 && row < r1 ? ag_key_end(b, row) - k0 : 0;
                    bool seen = lane < live && lane < n;
                    float p = seen ? expf(score[e] * (float)x.scale - lse[e]) : 0;
                    share[(mine + e) * CHUNK + lane] = seen ? p * (dp[e] - delta[e]) * (float)x.scale : 0;
                }
                __syncwarp();
                add_products<C>(dq, share + mine * CHUNK, keys, n, lane);
            }
        }
    }
    for (int e = 0; e < EACH; e++)
        for (int c = 0; c < C; c++)
            if (first + mine + e < end && c * 32 + lane < dim)
                ((float *)x.dq)[(first + mine + e) * x.q_ld + head * dim + c * 32 + lane] = dq[e][c];
}

/* dv = p do,  dk = ds q  over the query rows of a slice and the heads that share the key head. */
template <int C>
static __global__ void __launch_bounds__(THREADS)
    backward_keys(ag_attention_grad_args x, ag_attention_plan plan, const float *deltas, ag_slices s)
{
    ag_after_previous();
    AG_DYNAMIC_SHARED(float, memory);
    __shared__ ag_attention_block list[THREADS];
    __shared__ float lse[CHUNK], delta[CHUNK];
    float *keys = memory, *values = keys + tile<C>::SIZE, *query = values + tile<C>::SIZE,
          *dout = query + tile<C>::SIZE, *share = dout + tile<C>::SIZE, *dshare = share + ROWS * CHUNK;
    int dim = x.head_dim, kv = blockIdx.y, group = x.heads / x.kv_heads, lane = threadIdx.x % 32,
        warp = threadIdx.x / 32, mine = warp * EACH, pitch = tile<C>::PITCH;
    int64_t first = blockIdx.x * (int64_t)ROWS, end = first + ROWS < plan.keys ? first + ROWS : plan.keys;
    ag_range rows = {blockIdx.z * s.rows, (blockIdx.z + 1) * s.rows};
    if (rows.end > plan.rows) rows.end = plan.rows;
    float dk[EACH][C] = {}, dv[EACH][C] = {};
    bool any = false;
    stage<C>(keys, (const float *)x.k + kv * dim, first, (int)(end - first), x.kv_ld, dim);
    stage<C>(values, (const float *)x.v + kv * dim, first, (int)(end - first), x.kv_ld, dim);
    for (int64_t entry = 0; entry < plan.block_count; entry += THREADS) {
        int count = ag_collect(list, plan, NULL, entry, plan.block_count, rows, {first, end});
        for (int k = 0; k < count; k++) {
            const ag_attention_block b = list[k];
            int64_t low = b.k0 > first ? b.k0 : first, sees = b.q0 + low - b.k0 - b.diagonal;
            int64_t r0 = b.q0 > rows.begin ? b.q0 : rows.begin, r1 = b.q1 < rows.end ? b.q1 : rows.end;
            if (sees > r0) r0 = sees; /* the first row that reaches the first of these keys */
            for (int64_t q0 = r0; q0 < r1; q0 += CHUNK) {
                int n = (int)(r1 - q0 < CHUNK ? r1 - q0 : CHUNK);
                any = true;
                for (int h = kv * group; h < (kv + 1) * group; h++) {
                    __syncthreads();
                    stage<C>(query, (const float *)x.q + h * dim, q0, n, x.q_ld, dim);
                    stage<C>(dout, (const float *)x.dout + h * dim, q0, n, x.dout_ld, dim);
                    if (threadIdx.x < n) {
                        lse[threadIdx.x] = ((const float *)x.lse)[h * (int64_t)plan.rows + q0 + threadIdx.x];
                        delta[threadIdx.x] = deltas[h * (int64_t)plan.rows + q0 + threadIdx.x];
                    }
                    __syncthreads();
                    float score[EACH] = {}, dp[EACH] = {};
                    for (int j = 0; j < dim; j += 4) {
                        float4 q = four(query + lane * pitch + j), g = four(dout + lane * pitch + j);
                        for (int e = 0; e < EACH; e++) {
                            score[e] = add_dot(score[e], four(keys + (mine + e) * pitch + j), q);
                            dp[e] = add_dot(dp[e], four(values + (mine + e) * pitch + j), g);
                        }
                    }
                    int64_t stop = ag_key_end(b, q0 + lane);
                    for (int e = 0; e < EACH; e++) {
                        int64_t key = first + mine + e;
                        bool seen = lane < n && key >= b.k0 && key < stop;
                        float p = seen ? expf(score[e] * (float)x.scale - lse[lane]) : 0;
                        share[(mine + e) * CHUNK + lane] = p;
                        dshare[(mine + e) * CHUNK + lane] = seen ? p * (dp[e] - delta[lane]) * (float)x.scale
                                                                 : 0;
                    }
                    __syncwarp();
                    add_products<C>(dk, dshare + mine * CHUNK, query, n, lane);
                    add_products<C>(dv, share + mine * CHUNK, dout, n, lane);
                }
            }
        }
    }
    if (s.touched && threadIdx.x == 0)
        s.touched[((int64_t)blockIdx.z * gridDim.x + blockIdx.x) * gridDim.y + kv] = any;
    if (s.touched && !any) return;
    int64_t ld = s.touched ? (int64_t)x.kv_heads * dim : x.kv_ld,
            at = s.touched ? blockIdx.z * plan.keys * ld : 0;
    for (int e = 0; e < EACH; e++) {
        for (int c = 0; c < C; c++) {
            int64_t key = first + mine + e;
            if (key >= end || c * 32 + lane >= dim) continue;
            ((float *)s.dk)[at + key * ld + kv * dim + c * 32 + lane] = dk[e][c];
            ((float *)s.dv)[at + key * ld + kv * dim + c * 32 + lane] = dv[e][c];
        }
    }
}

/* A block adds what slices have of a key tile and a key head. */
static __global__ void add_slices(ag_attention_grad_args x, int64_t keys, ag_slices s)
{
    ag_after_previous();
    int64_t first = blockIdx.x * (int64_t)s.tile, width = (int64_t)x.kv_heads * x.head_dim;
    int n = (int)(keys - first < s.tile ? keys - first : s.tile) * x.head_dim;
    unsigned touched = 0;
    for (int i = 0; i < s.count; i++)
        touched |= (unsigned)s.touched[((int64_t)i * gridDim.x + blockIdx.x) * gridDim.y + blockIdx.y] << i;
    for (int e = threadIdx.x; e < n; e += THREADS) {
        int64_t key = first + e / x.head_dim, j = blockIdx.y * x.head_dim + e % x.head_dim;
        float dk = 0, dv = 0;
        for (int i = 0; i < s.count; i++)
            if (touched >> i & 1) {
                dk += ((const float *)s.dk)[(i * keys + key) * width + j];
                dv += ((const float *)s.dv)[(i * keys + key) * width + j];
            }
        ag_store(x.dk, x.in_type, key * x.kv_ld + j, dk);
        ag_store(x.dv, x.in_type, key * x.kv_ld + j, dv);
    }
}

static int64_t most_slices(int64_t rows)
{
    int64_t count = (rows + SLICE_ROWS - 1) / SLICE_ROWS;
    return count < MAX_SLICES ? count : MAX_SLICES;
}

/* So many that no block has long rows of its own, and that there is work for a card. */
static int slices_of(const ag_attention_plan *plan, int kv_heads, int tile)
{
    int64_t most = most_slices(plan->rows), blocks = (plan->keys + tile - 1) / tile * kv_heads,
            count = (plan->spread + LONG_ROWS - 1) / LONG_ROWS, few = ENOUGH_BLOCKS / blocks;
    if (count < few) count = few;
    return (int)(count < 1 ? 1 : count < most ? count : most);
}

static size_t deltas_of(int64_t rows, int heads)
{
    return (size_t)(rows * heads + 3) / 4 * 4; /* the sums behind them are stored as float2 */
}

size_t ag_cuda_slices_bytes(int64_t rows, int64_t keys, int heads, int kv_heads, int head_dim, int tile)
{
    size_t count = (size_t)most_slices(rows), width = (size_t)kv_heads * (size_t)head_dim,
           sums = count > 1 ? count * (size_t)keys * width : 0, tiles = ((size_t)keys + tile - 1) / tile;
    return (deltas_of(rows, heads) + 2 * sums) * sizeof(float) + count * tiles * (size_t)kv_heads;
}

/* Shares the scratch out: deltas, then the sums of slices where there are several. */
ag_status ag_cuda_cut_slices(ag_device *d, const ag_attention_grad_args *x, int tile, float **deltas,
                             ag_slices *s, ag_error *err)
{
    const ag_attention_plan *plan = x->plan;
    size_t rows = deltas_of(plan->rows, x->heads), width = (size_t)x->kv_heads * x->head_dim;
    s->tile = tile;
    s->count = slices_of(plan, x->kv_heads, tile);
    s->rows = (plan->rows + s->count - 1) / s->count;
    size_t sums = s->count > 1 ? (size_t)s->count * plan->keys * width : 0;
    void *memory;
    AG_TRY(ag_cuda_scratch(
        d, AG_CUDA_PARTIAL,
        ag_cuda_slices_bytes(plan->rows, plan->keys, x->heads, x->kv_heads, x->head_dim, tile), &memory,
        err));
    *deltas = (float *)memory;
    s->type = sums ? AG_F32 : x->in_type;
    s->dk = sums ? *deltas + rows : x->dk;
    s->dv = sums ? *deltas + rows + sums : x->dv;
    s->touched = sums ? (uint8_t *)(*deltas + rows + 2 * sums) : NULL;
    return AG_OK;
}

ag_status ag_cuda_add_slices(ag_device *d, const ag_attention_grad_args *x, const ag_slices *s, ag_error *err)
{
    if (!s->touched) return AG_OK;
    dim3 grid((unsigned)((x->plan->keys + s->tile - 1) / s->tile), (unsigned)x->kv_heads);
    AG_LAUNCH(add_slices, grid, THREADS, 0, d, *x, x->plan->keys, *s);
    return AG_LAUNCHED("attention_grad");
}

template <int C> static ag_status backward(ag_device *d, const ag_attention_grad_args *x, ag_error *err)
{
    const ag_attention_plan *plan = x->plan;
    size_t shared = (4 * tile<C>::SIZE + 2 * ROWS * CHUNK) * sizeof(float);
    float *deltas;
    ag_slices s;
    AG_TRY(ag_cuda_allow_shared((const void *)backward_queries<C>, shared, err));
    AG_TRY(ag_cuda_allow_shared((const void *)backward_keys<C>, shared, err));
    AG_TRY(ag_cuda_cut_slices(d, x, ROWS, &deltas, &s, err));
    dim3 query_grid((unsigned)((plan->rows + ROWS - 1) / ROWS), (unsigned)x->heads);
    dim3 key_grid((unsigned)((plan->keys + ROWS - 1) / ROWS), (unsigned)x->kv_heads, (unsigned)s.count);
    AG_LAUNCH(backward_queries<C>, query_grid, THREADS, shared, d, *x, *plan, deltas);
    AG_LAUNCH(backward_keys<C>, key_grid, THREADS, shared, d, *x, *plan, deltas, s);
    AG_TRY(AG_LAUNCHED("attention_grad"));
    return ag_cuda_add_slices(d, x, &s, err);
}

ag_status ag_cuda_attention_grad(ag_device *d, const ag_attention_grad_args *x, ag_error *err)
{
    if (x->plan->rows == 0 || x->plan->keys == 0) return AG_OK;
    if (x->in_type == AG_BF16) return ag_cuda_attention_grad_bf16(d, x, err);
    AG_TRY(check_heads(x->head_dim, err));
    if (x->head_dim <= 32) return backward<1>(d, x, err);
    if (x->head_dim <= 64) return backward<2>(d, x, err);
    if (x->head_dim <= 128) return backward<4>(d, x, err);
    return backward<8>(d, x, err);
}
