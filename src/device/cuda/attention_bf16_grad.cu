/* attention_bf16_grad.cu: forest attention's backward pass on tensor cores. q, k, v, dout and their gradients are bf16, and softmax weights and
 * their gradients (before scale) become it as they enter a product; sums and everything else are fp32. One pass over the keys gives dq, one over the rows
 * dk and dv.
 */
#include "device/cuda/attention_bf16.cuh"

static __device__ inline void store_pair(float *to, float first, float second)
{
    *(float2 *)to = make_float2(first, second);
}
static __device__ inline void store_pair(__nv_bfloat16 *to, float first, float second)
{
    *(uint32_t *)to = ag_pack(first, second);
}

/* The lane's share of rows [16, DIM] of sums, times scale, to columns from `column` on of rows before `end`. */
template <int K, typename Real>
static __device__ void store_rows(Real *to, int64_t ld, int64_t column, const int (&row)[2], int64_t end,
                                  const float (&sum)[K * 2][4], float scale)
{
#pragma unroll
    for (int h = 0; h < 2; h++) {
        if (row[h] >= end) continue;
        Real *at = to + row[h] * ld + column + threadIdx.x % 4 * 2;
#pragma unroll
        for (int k = 0; k < K * 2; k++)
            store_pair(at + k * 8, sum[k][2 * h] * scale, sum[k][2 * h + 1] * scale);
    }
}

/* Into a slice, or into the gradient itself, from element `at` on. */
template <int K>
static __device__ void store_slice(void *to, ag_dtype type, int64_t at, int64_t ld, int64_t column,
                                   const int (&row)[2], int64_t end, const float (&sum)[K * 2][4],
                                   float scale)
{
    if (type == AG_BF16)
        store_rows<K>((__nv_bfloat16 *)to + at, ld, column, row, end, sum, scale);
    else
        store_rows<K>((float *)to + at, ld, column, row, end, sum, scale);
}

/* The sum of products of two left operands' rows lane / 4 and lane / 4 + 8; every lane of a row gets it. */
template <int K>
static __device__ void row_dots(float (&dot)[2], const uint32_t (&x)[K][4], const uint32_t (&y)[K][4])
{
    dot[0] = dot[1] = 0;
#pragma unroll
    for (int k = 0; k < K; k++)
#pragma unroll
        for (int i = 0; i < 4; i++) /* a bf16 is the upper half of a float */
            dot[i % 2] += __uint_as_float(x[k][i] << 16) * __uint_as_float(y[k][i] << 16) +
                          __uint_as_float(x[k][i] & 0xffff0000u) * __uint_as_float(y[k][i] & 0xffff0000u);
    for (int h = 0; h < 2; h++) dot[h] = row_sum(dot[h]);
}

/* p = softmax(s), s = scale q.k:  dp = do.v,  ds = p (dp - delta) scale,  dq = ds k. Leaves delta = do.o [heads, rows], where do is rounded as
 * in the products, so that what cancels there cancels here. */
template <int K>
static __global__ void __launch_bounds__(THREADS)
    backward_queries(ag_attention_grad_args x, ag_attention_plan plan, float *deltas)
{
    ag_after_previous();
    enum { CHUNK = shape<K>::CHUNK, PITCH = shape<K>::PITCH, MATRIX = buffers<K>::MATRIX };
    AG_DYNAMIC_SHARED(__nv_bfloat16, memory);
    __shared__ ag_attention_block list[THREADS];
    int dim = x.head_dim, head = blockIdx.y, kv = head / (x.heads / x.kv_heads) * dim,
        lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int64_t first = blockIdx.x * (int64_t)ROWS, end = first + ROWS < plan.rows ? first + ROWS : plan.rows;
    int row[2] = {(int)first + warp * 16 + lane / 4, (int)first + warp * 16 + lane / 4 + 8};
    float scale = (float)x.scale, scale2 = scale * LOG2E, dq[K * 2][4] = {}, lse[2], delta[2];
    uint32_t query[K][4], dout[K][4];
    auto take = [&](uint32_t(&left)[K][4], const void *from, int64_t ld) {
        fetch_left<K>(left, memory, (const __nv_bfloat16 *)from, ld, first, head * dim, (int)(end - first));
    };
    take(query, x.out, x.out_ld);
    take(dout, x.dout, x.dout_ld);
    row_dots<K>(delta, query, dout);
    take(query, x.q, x.q_ld);
    for (int h = 0; h < 2; h++) {
        int64_t at = head * (int64_t)plan.rows + row[h];
        lse[h] = row[h] < end ? ((const float *)x.lse)[at] * LOG2E : 0;
        if (row[h] < end && lane % 4 == 0) deltas[at] = delta[h];
    }
    auto send = [&](int k0, int n, __nv_bfloat16 *to) {
        fetch<K, CHUNK>(to, (const __nv_bfloat16 *)x.k, x.kv_ld, k0, kv, n);
        fetch<K, CHUNK>(to + MATRIX, (const __nv_bfloat16 *)x.v, x.kv_ld, k0, kv, n);
        ag_copies_close();
    };
    auto work = [&](const ag_attention_block &b, int k0, int n, const __nv_bfloat16 *keys,
                    const __nv_bfloat16 *values) {
        int ahead = keys_ahead(b),
            seen[2] = {keys_seen(b, ahead, row[0], k0, n), keys_seen(b, ahead, row[1], k0, n)};
        auto tile = [&](int j, auto mask) {
            float score[2][4], dp[2][4];
            product_by_column<K>(score[0], score[1], query, keys + j * PITCH);
            product_by_column<K>(dp[0], dp[1], dout, values + j * PITCH);
#pragma unroll
            for (int i = 0; i < 8; i++) {
                float p = ag_exp2(fmaf(score[i / 4][i % 4], scale2, -lse[i % 4 / 2]));
                score[i / 4][i % 4] = p * (dp[i / 4][i % 4] - delta[i % 4 / 2]);
                if (mask.IS && j + i / 4 * 8 + lane % 4 * 2 + i % 2 >= seen[i % 4 / 2])
                    score[i / 4][i % 4] = 0;
            }
            product_by_row<K>(dq, score[0], score[1], keys + j * PITCH);
        };
        for (int j = 0; j < CHUNK; j += 16) {
            if (!__ballot_sync(~0u, seen[0] > j || seen[1] > j)) break;
            if (__ballot_sync(~0u, seen[0] < j + 16 || seen[1] < j + 16))
                tile(j, masked());
            else
                tile(j, unmasked());
        }
    };
    __syncthreads(); /* the rows have been taken */
    each_chunk<K>(plan, {first, end}, list, memory, send, work);
    store_rows<K>((__nv_bfloat16 *)x.dq, x.q_ld, head * dim, row, end, dq, scale);
}

/* Where a block of backward_keys is: rows [q0, r1) of a head by block `at` of its list of `count`. */
typedef struct row_walk {
    int at, head, q0, r1;
} row_walk;

static __device__ bool open_block(row_walk &w, const ag_attention_block *list, int count, ag_range rows,
                                  int64_t first)
{
    for (; w.at < count; w.at++) {
        const ag_attention_block &b = list[w.at];
        int64_t low = b.k0 > first ? b.k0 : first,
                sees = b.q0 + low - b.k0 - b.diagonal, /* first to reach it */
            q0 = b.q0 > rows.begin ? b.q0 : rows.begin, r1 = b.q1 < rows.end ? b.q1 : rows.end;
        if (sees > q0) q0 = sees;
        w.q0 = (int)q0, w.r1 = (int)r1;
        if (q0 < r1) return true;
    }
    return false;
}

/* dv = p do,  dk = ds q  over the query rows of a slice and the heads that share the key head; rows of a product are keys here. */
template <int K>
static __global__ void __launch_bounds__(THREADS, K <= 4 ? 3 : 1)
    backward_keys(ag_attention_grad_args x, ag_attention_plan plan, const float *deltas, ag_slices s)
{
    ag_after_previous();
    enum { CHUNK = shape<K>::CHUNK, PITCH = shape<K>::PITCH, MATRIX = buffers<K>::MATRIX };
    AG_DYNAMIC_SHARED(__nv_bfloat16, memory);
    __shared__ ag_attention_block list[THREADS];
    __shared__ __align__(8) float lse[2][CHUNK], delta[2][CHUNK];
    int dim = x.head_dim, kv = blockIdx.y, group = x.heads / x.kv_heads, lane = threadIdx.x % 32,
        warp = threadIdx.x / 32;
    int64_t first = blockIdx.x * (int64_t)ROWS, end = first + ROWS < plan.keys ? first + ROWS : plan.keys;
    int own = (int)first + warp * 16,
        key[2] = {own + lane / 4, own + lane / 4 + 8}; /* the warp's keys, the lane's */
    ag_range rows = {blockIdx.z * s.rows, (blockIdx.z + 1) * s.rows};
    if (rows.end > plan.rows) rows.end = plan.rows;
    float scale = (float)x.scale, scale2 = scale * LOG2E, dk[K * 2][4] = {}, dv[K * 2][4] = {};
    uint32_t keys[K][4], values[K][4];
    bool any = false;
    auto send = [&](const row_walk &w, int turn) {
        int n = w.r1 - w.q0 < CHUNK ? w.r1 - w.q0 : CHUNK;
        __nv_bfloat16 *to = memory + turn * 2 * MATRIX;
        fetch<K, CHUNK>(to, (const __nv_bfloat16 *)x.q, x.q_ld, w.q0, w.head * dim, n);
        fetch<K, CHUNK>(to + MATRIX, (const __nv_bfloat16 *)x.dout, x.dout_ld, w.q0, w.head * dim, n);
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
            fetch_left<K>(keys, memory, (const __nv_bfloat16 *)x.k, x.kv_ld, first, kv * dim,
                          (int)(end - first));
            fetch_left<K>(values, memory, (const __nv_bfloat16 *)x.v, x.kv_ld, first, kv * dim,
                          (int)(end - first));
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
            int n = now.r1 - now.q0 < CHUNK ? now.r1 - now.q0 : CHUNK;
            int ahead = keys_ahead(b);
            bool in[2] = {key[0] >= b.k0 && key[0] < b.k1, key[1] >= b.k0 && key[1] < b.k1};
            /* where no row is all is zero, but for p */
            auto tile = [&](int j, auto mask) {
                float p[2][4], ds[2][4];
                product_by_column<K>(p[0], p[1], keys, query + j * PITCH);
                product_by_column<K>(ds[0], ds[1], values, dout + j * PITCH);
#pragma unroll
                for (int side = 0; side < 2; side++) {
                    int q = j + side * 8 + lane % 4 * 2;
                    float2 l = *(const float2 *)(lse[turn] + q), d = *(const float2 *)(delta[turn] + q);
#pragma unroll
                    for (int i = 0; i < 4; i++) {
                        p[side][i] = ag_exp2(fmaf(p[side][i], scale2, (i % 2 ? l.y : l.x) * -LOG2E));
                        ds[side][i] = p[side][i] * (ds[side][i] - (i % 2 ? d.y : d.x));
                        if (mask.IS &&
                            (!in[i / 2] || key[i / 2] > now.q0 + q + i % 2 + ahead || q + i % 2 >= n))
                            p[side][i] = ds[side][i] = 0;
                    }
                }
                product_by_row<K>(dv, p[0], p[1], dout + j * PITCH);
                product_by_row<K>(dk, ds[0], ds[1], query + j * PITCH);
            };
            for (int j = 0; j < n && own + 16 > b.k0 && own < b.k1; j += 16) {
                int q0 = now.q0 + j;
                if (own > q0 + 15 + ahead) continue; /* none of these rows reaches the warp's keys */
                if (own < b.k0 || own + 16 > b.k1 || own + 15 > q0 + ahead)
                    tile(j, masked());
                else
                    tile(j, unmasked());
            }
            now = next;
        }
    }
    if (s.touched && threadIdx.x == 0)
        s.touched[((int64_t)blockIdx.z * gridDim.x + blockIdx.x) * gridDim.y + kv] = any;
    if (s.touched && !any) return;
    int64_t ld = s.touched ? (int64_t)x.kv_heads * dim : x.kv_ld,
            at = s.touched ? blockIdx.z * plan.keys * ld : 0;
    store_slice<K>(s.dk, s.type, at, ld, kv * dim, key, end, dk, scale);
    store_slice<K>(s.dv, s.type, at, ld, kv * dim, key, end, dv, 1);
}

template <int K> static ag_status run_backward(ag_device *d, const ag_attention_grad_args *x, ag_error *err)
{
    const ag_attention_plan *plan = x->plan;
    size_t shared = buffers<K>::BYTES;
    float *deltas;
    ag_slices s;
    AG_TRY(ag_cuda_allow_shared((const void *)backward_queries<K>, shared, err));
    AG_TRY(ag_cuda_allow_shared((const void *)backward_keys<K>, shared, err));
    AG_TRY(ag_cuda_cut_slices(d, x, ROWS, &deltas, &s, err));
    dim3 query_grid((unsigned)((plan->rows + ROWS - 1) / ROWS), (unsigned)x->heads);
    dim3 key_grid((unsigned)((plan->keys + ROWS - 1) / ROWS), (unsigned)x->kv_heads, (unsigned)s.count);
    AG_LAUNCH(backward_queries<K>, query_grid, THREADS, shared, d, *x, *plan, deltas);
    AG_LAUNCH(backward_keys<K>, key_grid, THREADS, shared, d, *x, *plan, deltas, s);
    AG_TRY(AG_LAUNCHED("attention_grad"));
    return ag_cuda_add_slices(d, x, &s, err);
}

ag_status ag_cuda_attention_grad_bf16(ag_device *d, const ag_attention_grad_args *x, ag_error *err)
{
    if (!known_head(x->head_dim) || !whole_pieces(x->q, x->q_ld) || !whole_pieces(x->k, x->kv_ld) ||
        !whole_pieces(x->v, x->kv_ld) || !whole_pieces(x->dout, x->dout_ld) ||
        !whole_pieces(x->out, x->out_ld) || !whole_pieces(x->dq, x->q_ld) || !whole_pieces(x->dk, x->kv_ld) ||
        !whole_pieces(x->dv, x->kv_ld))
        return refuse_layout(err);
    return BY_HEAD(run_backward, d, x, err);
}
