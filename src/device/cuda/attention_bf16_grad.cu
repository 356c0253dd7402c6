/* attention_bf16_grad.cu: forest attention's backward pass on tensor cores. q, k, v and dout are rounded to bf16 once, softmax weights and their
 * gradients as they enter a product; sums and everything else are fp32. One pass over the keys gives dq, one over the rows dk and dv.
 */
#include "device/cuda/attention_bf16.cuh"

/* deltas [heads, rows] = dout . out, a warp a row and head; dout rounded as in the products, so that what cancels there cancels here. */
static __global__ void row_deltas(ag_attention_grad_args x, int64_t rows, float *deltas)
{
    ag_after_previous();
    int64_t at = blockIdx.x * (int64_t)WARPS + threadIdx.x / 32, row = at % rows, head = at / rows;
    int lane = threadIdx.x % 32;
    if (at >= rows * x.heads) return;
    const float *dout = (const float *)x.dout + row * x.dout_ld + head * x.head_dim;
    const __nv_bfloat16 *out = (const __nv_bfloat16 *)x.out + row * x.out_ld + head * x.head_dim;
    float sum = 0;
    for (int j = lane; j < x.head_dim; j += 32)
        sum += __bfloat162float(__float2bfloat16_rn(dout[j])) * __bfloat162float(out[j]);
    sum = ag_warp_reduce(sum, ag_add());
    if (lane == 0) deltas[at] = sum;
}

/* What passes by in the backward pass is rounded once, for all blocks that read it: [rows, width] without gaps. */
typedef struct rounded {
    const float *from;
    __nv_bfloat16 *to;
    int64_t rows, width, ld;
} rounded;
typedef struct operands {
    rounded query, dout, keys, values;
} operands;

static __device__ void round_rows(const rounded &m)
{
    AG_CUDA_EACH(at, m.rows * (m.width / 4))
    {
        int64_t i, j;
        ag_cuda_place(at, m.width / 4, &i, &j);
        ag_store_some(m.to, AG_BF16, at * 4, ag_load_some<4>(m.from, AG_F32, i * m.ld + j * 4));
    }
}
static __global__ void round_operands(operands all)
{
    ag_after_previous();
    round_rows(blockIdx.y == 0   ? all.query
               : blockIdx.y == 1 ? all.dout
               : blockIdx.y == 2 ? all.keys
                                 : all.values);
}

/* Columns [column, column + DIM) of rows [row, row + n) on their way into `rows` rows of shared memory; zeros from n on. */
template <int K>
static __device__ void fetch(__nv_bfloat16 *to, const rounded &m, int64_t row, int64_t column, int n,
                             int rows)
{
    const __nv_bfloat16 *from = m.to + row * m.width + column;
    for (int at = threadIdx.x; at < rows * K * 2; at += THREADS) {
        int i = at / (K * 2), j = at % (K * 2) * 8;
        ag_copy_later<16>(to + i * shape<K>::PITCH + j, from + (i < n ? i : 0) * m.width + j, i < n);
    }
}

/* This warp's 16 of the block's n rows from `row` on, as left operands; `memory` is free again at the next barrier. */
template <int K>
static __device__ void fetch_left(uint32_t (&left)[K][4], __nv_bfloat16 *memory, const rounded &m,
                                  int64_t row, int64_t column, int n)
{
    __syncthreads(); /* what was here has been taken */
    fetch<K>(memory, m, row, column, n, ROWS);
    ag_copies_close();
    ag_copies_wait<0>();
    __syncthreads();
    take_left<K>(left, memory);
}

/* Two chunks of two matrices: one on its way while the other is worked on. */
template <int K> struct buffers {
    enum { MATRIX = shape<K>::CHUNK * shape<K>::PITCH, BYTES = 4 * MATRIX * 2 };
};

/* Where a block of backward_queries is: keys [k0, stop) by block `at` of its list of `count`. */
typedef struct key_walk {
    int at;
    int64_t k0, stop;
} key_walk;

static __device__ bool open_block(key_walk &w, const ag_attention_block *list, int count, int64_t end)
{
    for (; w.at < count; w.at++) {
        const ag_attention_block &b = list[w.at];
        w.k0 = b.k0, w.stop = ag_key_end(b, (b.q1 < end ? b.q1 : end) - 1);
        if (w.k0 < w.stop) return true;
    }
    return false;
}

/* p = softmax(s), s = scale q.k:  dp = do.v,  ds = p (dp - delta) scale,  dq = ds k. */
template <int K>
static __global__ void __launch_bounds__(THREADS)
    backward_queries(ag_attention_grad_args x, ag_attention_plan plan, operands o, const float *deltas)
{
    ag_after_previous();
    enum { CHUNK = shape<K>::CHUNK, PITCH = shape<K>::PITCH, MATRIX = buffers<K>::MATRIX };
    AG_DYNAMIC_SHARED(__nv_bfloat16, memory);
    __shared__ ag_attention_block list[THREADS];
    int dim = x.head_dim, head = blockIdx.y, kv = head / (x.heads / x.kv_heads), lane = threadIdx.x % 32,
        warp = threadIdx.x / 32;
    int64_t first = blockIdx.x * (int64_t)ROWS, end = first + ROWS < plan.rows ? first + ROWS : plan.rows;
    int64_t row[2] = {first + warp * 16 + lane / 4, first + warp * 16 + lane / 4 + 8};
    float scale = (float)x.scale, dq[K * 2][4] = {}, lse[2], delta[2];
    uint32_t query[K][4], dout[K][4];
    fetch_left<K>(query, memory, o.query, first, head * dim, (int)(end - first));
    fetch_left<K>(dout, memory, o.dout, first, head * dim, (int)(end - first));
    for (int h = 0; h < 2; h++) {
        bool is = row[h] < end;
        lse[h] = is ? ((const float *)x.lse)[head * (int64_t)plan.rows + row[h]] * LOG2E : 0;
        delta[h] = is ? deltas[head * (int64_t)plan.rows + row[h]] : 0;
    }
    auto send = [&](const key_walk &w, __nv_bfloat16 *to) {
        int n = (int)(w.stop - w.k0 < CHUNK ? w.stop - w.k0 : CHUNK);
        fetch<K>(to, o.keys, w.k0, kv * dim, n, CHUNK);
        fetch<K>(to + MATRIX, o.values, w.k0, kv * dim, n, CHUNK);
        ag_copies_close();
    };
    int32_t t = (int32_t)blockIdx.x, last = plan.tile_first[t + 1];
    for (int32_t entry = plan.tile_first[t]; entry < last; entry += THREADS) {
        int count = ag_collect(list, plan, plan.tile_block, entry, last, {first, end}, {0, plan.keys}),
            turn = 0;
        key_walk now = {0, 0, 0};
        bool more = open_block(now, list, count, end);
        if (more) send(now, memory); /* ag_collect ends with a barrier: the last chunk has been worked on */
        for (; more; turn ^= 1) {
            key_walk next = now;
            next.k0 += CHUNK;
            more = next.k0 < next.stop || (next.at++, open_block(next, list, count, end));
            __syncthreads(); /* the other buffer has been worked on */
            if (more) {
                send(next, memory + (turn ^ 1) * 2 * MATRIX);
                ag_copies_wait<1>();
            } else
                ag_copies_wait<0>();
            __syncthreads();
            const ag_attention_block b = list[now.at];
            const __nv_bfloat16 *keys = memory + turn * 2 * MATRIX, *values = keys + MATRIX;
            int n = (int)(now.stop - now.k0 < CHUNK ? now.stop - now.k0 : CHUNK);
            int seen[2] = {keys_seen(b, row[0], now.k0, n), keys_seen(b, row[1], now.k0, n)};
            for (int j = 0; j < CHUNK; j += 16) {
                if (!__ballot_sync(~0u, seen[0] > j || seen[1] > j)) break;
                float score[2][4], dp[2][4];
                product_by_column<K>(score[0], score[1], query, keys + j * PITCH);
                product_by_column<K>(dp[0], dp[1], dout, values + j * PITCH);
#pragma unroll
                for (int i = 0; i < 8; i++) {
                    int side = i / 4, h = i % 4 / 2;
                    bool read = j + side * 8 + lane % 4 * 2 + i % 2 < seen[h];
                    float p = exp2f(score[side][i % 4] * scale * LOG2E - lse[h]);
                    score[side][i % 4] = read ? p * (dp[side][i % 4] - delta[h]) * scale : 0;
                }
                product_by_row<K>(dq, score[0], score[1], keys + j * PITCH);
            }
            now = next;
        }
    }
#pragma unroll
    for (int h = 0; h < 2; h++) {
        if (row[h] >= end) continue;
        float2 *to = (float2 *)((float *)x.dq + row[h] * x.q_ld + head * dim) + lane % 4;
#pragma unroll
        for (int k = 0; k < K * 2; k++) to[k * 4] = make_float2(dq[k][2 * h], dq[k][2 * h + 1]);
    }
}

/* Where a block of backward_keys is: rows [q0, r1) of a head by block `at` of its list of `count`. */
typedef struct row_walk {
    int at, head;
    int64_t q0, r1;
} row_walk;

static __device__ bool open_block(row_walk &w, const ag_attention_block *list, int count, ag_range rows,
                                  int64_t first)
{
    for (; w.at < count; w.at++) {
        const ag_attention_block &b = list[w.at];
        int64_t low = b.k0 > first ? b.k0 : first, sees = b.q0 + low - b.k0 - b.diagonal;
        w.q0 = b.q0 > rows.begin ? b.q0 : rows.begin, w.r1 = b.q1 < rows.end ? b.q1 : rows.end;
        if (sees > w.q0) w.q0 = sees; /* the first row that reaches the first of these keys */
        if (w.q0 < w.r1) return true;
    }
    return false;
}

/* dv = p do,  dk = ds q  over the query rows of a slice and the heads that share the key head; rows of a product are keys here. */
template <int K>
static __global__ void __launch_bounds__(THREADS)
    backward_keys(ag_attention_grad_args x, ag_attention_plan plan, operands o, const float *deltas,
                  ag_slices s)
{
    ag_after_previous();
    enum { CHUNK = shape<K>::CHUNK, PITCH = shape<K>::PITCH, MATRIX = buffers<K>::MATRIX };
    AG_DYNAMIC_SHARED(__nv_bfloat16, memory);
    __shared__ ag_attention_block list[THREADS];
    __shared__ float lse[2][CHUNK], delta[2][CHUNK];
    int dim = x.head_dim, kv = blockIdx.y, group = x.heads / x.kv_heads, lane = threadIdx.x % 32,
        warp = threadIdx.x / 32;
    int64_t first = blockIdx.x * (int64_t)ROWS, end = first + ROWS < plan.keys ? first + ROWS : plan.keys,
            own = first + warp * 16; /* of the warp's keys */
    int64_t key[2] = {own + lane / 4, own + lane / 4 + 8};
    ag_range rows = {blockIdx.z * s.rows, (blockIdx.z + 1) * s.rows};
    if (rows.end > plan.rows) rows.end = plan.rows;
    float scale = (float)x.scale, dk[K * 2][4] = {}, dv[K * 2][4] = {};
    uint32_t keys[K][4], values[K][4];
    bool any = false;
    auto send = [&](const row_walk &w, int turn) {
        int n = (int)(w.r1 - w.q0 < CHUNK ? w.r1 - w.q0 : CHUNK);
        __nv_bfloat16 *to = memory + turn * 2 * MATRIX;
        fetch<K>(to, o.query, w.q0, w.head * dim, n, CHUNK);
        fetch<K>(to + MATRIX, o.dout, w.q0, w.head * dim, n, CHUNK);
        if (threadIdx.x < CHUNK) {
            bool is = threadIdx.x < n;
            int64_t at = w.head * (int64_t)plan.rows + w.q0 + (is ? threadIdx.x : 0);
            ag_copy_later<4>(&lse[turn][threadIdx.x], (const float *)x.lse + at, is);
            ag_copy_later<4>(&delta[turn][threadIdx.x], deltas + at, is);
        }
        ag_copies_close();
    };
    for (int64_t entry = 0; entry < plan.block_count; entry += THREADS) {
        int count = ag_collect(list, plan, NULL, entry, plan.block_count, rows, {first, end}), turn = 0;
        row_walk now = {0, kv * group, 0, 0};
        bool more = open_block(now, list, count, rows, first);
        if (more && !any) {
            fetch_left<K>(keys, memory, o.keys, first, kv * dim, (int)(end - first));
            fetch_left<K>(values, memory, o.values, first, kv * dim, (int)(end - first));
            any = true;
            __syncthreads();
        }
        if (more) send(now, 0); /* ag_collect ends with a barrier: the last chunk has been worked on */
        for (; more; turn ^= 1) {
            row_walk next = now;
            if (++next.head == (kv + 1) * group) next.head = kv * group, next.q0 += CHUNK;
            more = next.q0 < next.r1 || (next.at++, open_block(next, list, count, rows, first));
            __syncthreads(); /* the other buffer has been worked on */
            if (more) {
                send(next, turn ^ 1);
                ag_copies_wait<1>();
            } else
                ag_copies_wait<0>();
            __syncthreads();
            const ag_attention_block b = list[now.at];
            const __nv_bfloat16 *query = memory + turn * 2 * MATRIX, *dout = query + MATRIX;
            int n = (int)(now.r1 - now.q0 < CHUNK ? now.r1 - now.q0 : CHUNK);
            for (int j = 0; j < n && own + 16 > b.k0; j += 16) {
                int stop = j + 16 < n ? j + 16 : n;
                if (ag_key_end(b, now.q0 + stop - 1) <= own)
                    continue; /* none of these rows reaches the warp's keys */
                float p[2][4], ds[2][4];
                product_by_column<K>(p[0], p[1], keys, query + j * PITCH);
                product_by_column<K>(ds[0], ds[1], values, dout + j * PITCH);
#pragma unroll
                for (int i = 0; i < 8; i++) {
                    int side = i / 4, e = i % 4, q = j + side * 8 + lane % 4 * 2 + i % 2;
                    int64_t k = key[e / 2];
                    bool read = q < n && k >= b.k0 && k < ag_key_end(b, now.q0 + q);
                    float weight = exp2f((p[side][e] * scale - lse[turn][q]) * LOG2E);
                    p[side][e] = read ? weight : 0;
                    ds[side][e] = read ? weight * (ds[side][e] - delta[turn][q]) * scale : 0;
                }
                product_by_row<K>(dv, p[0], p[1], dout + j * PITCH);
                product_by_row<K>(dk, ds[0], ds[1], query + j * PITCH);
            }
            now = next;
        }
    }
    if (s.touched && threadIdx.x == 0)
        s.touched[((int64_t)blockIdx.z * gridDim.x + blockIdx.x) * gridDim.y + kv] = any;
    if (s.touched && !any) return;
    int64_t ld = s.touched ? (int64_t)x.kv_heads * dim : x.kv_ld,
            at = s.touched ? blockIdx.z * plan.keys * ld : 0;
#pragma unroll
    for (int h = 0; h < 2; h++) {
        if (key[h] >= end) continue;
        int64_t to = at + key[h] * ld + kv * dim + lane % 4 * 2;
#pragma unroll
        for (int k = 0; k < K * 2; k++) {
            *(float2 *)(s.dk + to + k * 8) = make_float2(dk[k][2 * h], dk[k][2 * h + 1]);
            *(float2 *)(s.dv + to + k * 8) = make_float2(dv[k][2 * h], dv[k][2 * h + 1]);
        }
    }
}

bool ag_cuda_attention_grad_bf16_fits(const ag_attention_grad_args *x)
{
    return x->out_type == AG_BF16 && known_head(x->head_dim) && whole_pieces(x->q, x->q_ld, 4) &&
           whole_pieces(x->k, x->kv_ld, 4) && whole_pieces(x->v, x->kv_ld, 4) &&
           whole_pieces(x->dout, x->dout_ld, 4) && whole_pieces(x->dq, x->q_ld, 4) &&
           whole_pieces(x->dk, x->kv_ld, 4) && whole_pieces(x->dv, x->kv_ld, 4);
}

size_t ag_cuda_operands_bytes(int64_t rows, int64_t keys, int heads, int kv_heads, int head_dim)
{
    return (size_t)(2 * rows * heads + 2 * keys * kv_heads) * (size_t)head_dim * sizeof(__nv_bfloat16);
}

/* Shares scratch out among the rounded operands, and fills them. */
static ag_status cut_operands(ag_device *d, const ag_attention_grad_args *x, operands *o, ag_error *err)
{
    int64_t rows = x->plan->rows, keys = x->plan->keys, width = (int64_t)x->heads * x->head_dim,
            kv = (int64_t)x->kv_heads * x->head_dim;
    void *memory;
    AG_TRY(ag_cuda_scratch(d, AG_CUDA_OPERANDS,
                           ag_cuda_operands_bytes(rows, keys, x->heads, x->kv_heads, x->head_dim), &memory,
                           err));
    __nv_bfloat16 *to = (__nv_bfloat16 *)memory;
    o->query = {(const float *)x->q, to, rows, width, x->q_ld};
    o->dout = {(const float *)x->dout, to + rows * width, rows, width, x->dout_ld};
    o->keys = {(const float *)x->k, to + 2 * rows * width, keys, kv, x->kv_ld};
    o->values = {(const float *)x->v, to + 2 * rows * width + keys * kv, keys, kv, x->kv_ld};
    dim3 grid(ag_cuda_grid((rows > keys ? rows : keys) * width / 4), 4);
    AG_LAUNCH(round_operands, grid, AG_CUDA_THREADS, 0, d, *o);
    return AG_LAUNCHED("attention_grad");
}

template <int K> static ag_status run_backward(ag_device *d, const ag_attention_grad_args *x, ag_error *err)
{
    const ag_attention_plan *plan = x->plan;
    size_t shared = buffers<K>::BYTES;
    int64_t rows = (int64_t)plan->rows * x->heads;
    float *deltas;
    ag_slices s;
    operands o;
    AG_TRY(ag_cuda_allow_shared((const void *)backward_queries<K>, shared, err));
    AG_TRY(ag_cuda_allow_shared((const void *)backward_keys<K>, shared, err));
    AG_TRY(ag_cuda_cut_slices(d, x, ROWS, &deltas, &s, err));
    AG_TRY(cut_operands(d, x, &o, err));
    dim3 query_grid((unsigned)((plan->rows + ROWS - 1) / ROWS), (unsigned)x->heads);
    dim3 key_grid((unsigned)((plan->keys + ROWS - 1) / ROWS), (unsigned)x->kv_heads, (unsigned)s.count);
    AG_LAUNCH(row_deltas, (unsigned)((rows + WARPS - 1) / WARPS), THREADS, 0, d, *x, plan->rows, deltas);
    AG_LAUNCH(backward_queries<K>, query_grid, THREADS, shared, d, *x, *plan, o, deltas);
    AG_LAUNCH(backward_keys<K>, key_grid, THREADS, shared, d, *x, *plan, o, deltas, s);
    AG_TRY(AG_LAUNCHED("attention_grad"));
    return ag_cuda_add_slices(d, x, &s, err);
}

ag_status ag_cuda_attention_grad_bf16(ag_device *d, const ag_attention_grad_args *x, ag_error *err)
{
    return BY_HEAD(run_backward, d, x, err);
}
