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
template <typename S>
static __global__ void __launch_bounds__(THREADS)
    backward_queries(ag_attention_grad_args x, ag_attention_plan plan, float *deltas)
{
    ag_after_previous();
    enum { K = S::K, CHUNK = S::CHUNK, WIDE = S::GROUP ? CHUNK : 16 };
    AG_DYNAMIC_SHARED(__nv_bfloat16, dynamic);
    __nv_bfloat16 *memory = first_matrix<S>(dynamic);
    __shared__ ag_attention_block list[THREADS];
    const row_tile t = this_tile(x, plan.rows);
    int lane = threadIdx.x % 32;
    float scale = (float)x.scale, scale2 = scale * AG_LOG2E, dq[K * 2][4] = {}, lse[2], delta[2];
    own_rows<S> query, dout;
    {
        uint32_t o[K][4], d[K][4];
        int n = (int)(t.end - t.first);
        stage<S>(memory, (const __nv_bfloat16 *)x.out, x.out_ld, t.first, t.column, n);
        take_left<S>(o, memory);
        stage_own<S>(dout, 1, memory, (const __nv_bfloat16 *)x.dout, x.dout_ld, t.first, t.column, n);
        left_rows<S>(d, dout);
        row_dots<K>(delta, o, d);
        stage_own<S>(query, 0, memory, (const __nv_bfloat16 *)x.q, x.q_ld, t.first, t.column, n);
    }
    for (int h = 0; h < 2; h++) {
        int64_t at = t.head * (int64_t)plan.rows + t.row[h];
        lse[h] = t.row[h] < t.end ? ((const float *)x.lse)[at] * AG_LOG2E : 0;
        if (t.row[h] < t.end && lane % 4 == 0) deltas[at] = delta[h];
    }
    auto work = [&](const __nv_bfloat16 *keys, const __nv_bfloat16 *values, const int(&seen)[2]) {
        for (int j = 0; j < CHUNK; j += WIDE) {
            if (!S::GROUP && !__ballot_sync(~0u, seen[0] > j || seen[1] > j)) break;
            float score[WIDE / 8][4], dp[WIDE / 8][4];
            uint32_t ds[WIDE / 16][4];
            begin_products<S>();
            product_by_column<S>(score, query, keys + j * S::PITCH);
            product_by_column<S>(dp, dout, values + j * S::PITCH);
            finish_products<S>(score, dp);
            auto weigh = [&](auto mask) {
#pragma unroll
                for (int i = 0; i < WIDE / 2; i++) {
                    float &s = score[i / 4][i % 4], p = ag_exp2(fmaf(s, scale2, -lse[i % 4 / 2]));
                    s = p * (dp[i / 4][i % 4] - delta[i % 4 / 2]);
                    if (mask.IS && j + i / 4 * 8 + lane % 4 * 2 + i % 2 >= seen[i % 4 / 2]) s = 0;
                }
            };
            if (__ballot_sync(~0u, seen[0] < j + WIDE || seen[1] < j + WIDE))
                weigh(masked());
            else
                weigh(unmasked());
            left_of(ds, score);
            begin_products<S>();
            product_by_row<S>(dq, ds, keys + j * S::PITCH);
            finish_products<S>(dq);
        }
    };
    __syncthreads(); /* the rows have been taken */
    each_chunk<S>(x, plan, t, list, memory, work);
    store_rows<K>((__nv_bfloat16 *)x.dq, x.q_ld, t.column, t.row, t.end, dq, scale);
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

/* From which of a block's rows on they read: any of a warp's 16 keys, all of them, each of the lane's two. */
typedef struct key_readers {
    int any, all, of_key[2];
} key_readers;

static __device__ key_readers find_readers(const ag_attention_block &b, int own, const int (&key)[2])
{
    /* key k of the block is read from row k + before on */
    int64_t before = b.q0 - (int64_t)b.k0 - b.diagonal;
    auto from = [&](bool in, int k) { return in && k + before < INT32_MAX ? (int)(k + before) : INT32_MAX; };
    int lowest = own > b.k0 ? own : b.k0;
    key_readers r;
    r.any = from(lowest < b.k1 && lowest < own + 16, lowest);
    r.all = from(own >= b.k0 && own + 16 <= b.k1, own + 15);
    for (int h = 0; h < 2; h++) r.of_key[h] = from(key[h] >= b.k0 && key[h] < b.k1, key[h]);
    return r;
}

/* n floats on their way into `count` of shared memory; zeros from n on. */
template <int count> static __device__ void fetch_floats(float *to, const float *from, int n)
{
    bool is = threadIdx.x < n;
    if (threadIdx.x < count) ag_copy_later<4>(to + threadIdx.x, from + (is ? threadIdx.x : 0), is);
}

/* dv = p do,  dk = ds q  over the query rows of a slice and the heads that share the key head; rows of a product are keys here. A sequence's
 * first keys are read by most of its rows, so that tiles come from the first on. */
template <typename S>
static __global__ void __launch_bounds__(THREADS, S::K <= 4 ? 3 : 1)
    backward_keys(ag_attention_grad_args x, ag_attention_plan plan, const float *deltas, ag_slices s)
{
    ag_after_previous();
    enum { K = S::K, CHUNK = S::CHUNK, MATRIX = S::MATRIX, WIDE = S::GROUP ? CHUNK : 16 };
    AG_DYNAMIC_SHARED(__nv_bfloat16, dynamic);
    __nv_bfloat16 *memory = first_matrix<S>(dynamic);
    __shared__ ag_attention_block list[THREADS];
    __shared__ __align__(8) float lse[2][CHUNK], delta[2][CHUNK];
    int dim = x.head_dim, kv = blockIdx.x % x.kv_heads, group = x.heads / x.kv_heads, lane = threadIdx.x % 32,
        warp = threadIdx.x / 32;
    int64_t first = blockIdx.x / x.kv_heads * (int64_t)ROWS,
            end = first + ROWS < plan.keys ? first + ROWS : plan.keys;
    int own = (int)first + warp * 16,
        key[2] = {own + lane / 4, own + lane / 4 + 8}; /* the warp's keys, the lane's */
    ag_range rows = {blockIdx.y * s.rows, (blockIdx.y + 1) * s.rows};
    if (rows.end > plan.rows) rows.end = plan.rows;
    float scale = (float)x.scale, scale2 = scale * AG_LOG2E, dk[K * 2][4] = {}, dv[K * 2][4] = {};
    own_rows<S> keys, values;
    bool any = false;
    auto send = [&](const row_walk &w, int turn) {
        int n = w.r1 - w.q0 < CHUNK ? w.r1 - w.q0 : CHUNK;
        __nv_bfloat16 *to = memory + turn * 2 * MATRIX;
        fetch<S, CHUNK>(to, (const __nv_bfloat16 *)x.q, x.q_ld, w.q0, w.head * dim, n);
        fetch<S, CHUNK>(to + MATRIX, (const __nv_bfloat16 *)x.dout, x.dout_ld, w.q0, w.head * dim, n);
        int64_t at = w.head * (int64_t)plan.rows + w.q0;
        fetch_floats<CHUNK>(lse[turn], (const float *)x.lse + at, n);
        fetch_floats<CHUNK>(delta[turn], deltas + at, n);
        ag_copies_close();
    };
    for (int64_t entry = 0; entry < plan.block_count; entry += THREADS) {
        int count = ag_collect(list, plan, NULL, entry, plan.block_count, rows, {first, end}), turn = 0;
        int known = -1; /* whose readers are at hand */
        key_readers readers = {};
        row_walk now = {0, kv * group, 0, 0};
        bool more = open_block(now, list, count, rows, first);
        if (more && !any) {
            int n = (int)(end - first);
            stage_own<S>(keys, 0, memory, (const __nv_bfloat16 *)x.k, x.kv_ld, first, kv * dim, n);
            stage_own<S>(values, 1, memory, (const __nv_bfloat16 *)x.v, x.kv_ld, first, kv * dim, n);
            any = true;
            __syncthreads();
        }
        if (more) send(now, 0); /* ag_collect ends with a barrier: the last chunk has been worked on */
        for (; more; turn ^= 1) {
            row_walk next = now;
            if (++next.head == (kv + 1) * group) next.head = kv * group, next.q0 += CHUNK;
            more = next.q0 < next.r1 || (next.at++, open_block(next, list, count, rows, first));
            if (now.at != known) readers = find_readers(list[known = now.at], own, key);
            receive<S>(); /* and the other buffer has been worked on */
            if (more) send(next, turn ^ 1);
            const __nv_bfloat16 *query = memory + turn * 2 * MATRIX, *dout = query + MATRIX;
            int n = now.r1 - now.q0 < CHUNK ? now.r1 - now.q0 : CHUNK;
            for (int j = 0; j < n; j += WIDE) {
                int q0 = now.q0 + j;
                if (!S::GROUP && q0 + WIDE <= readers.any) continue;
                float p[WIDE / 8][4], ds[WIDE / 8][4];
                begin_products<S>();
                product_by_column<S>(p, keys, query + j * S::PITCH);
                product_by_column<S>(ds, values, dout + j * S::PITCH);
                finish_products<S>(p, ds);
                /* where no row is all is zero but p, and a key that only such rows would read may be anything */
                auto weigh = [&](auto mask) {
#pragma unroll
                    for (int i = 0; i < WIDE / 8; i++) {
                        int q = j + i * 8 + lane % 4 * 2;
                        float2 l = *(const float2 *)(lse[turn] + q), d = *(const float2 *)(delta[turn] + q);
#pragma unroll
                        for (int e = 0; e < 4; e++) {
                            p[i][e] = ag_exp2(fmaf(p[i][e], scale2, (e % 2 ? l.y : l.x) * -AG_LOG2E));
                            ds[i][e] = p[i][e] * (ds[i][e] - (e % 2 ? d.y : d.x));
                            if (mask.IS && (now.q0 + q + e % 2 < readers.of_key[e / 2] || q + e % 2 >= n))
                                p[i][e] = ds[i][e] = 0;
                        }
                    }
                };
                if (q0 < readers.all || (S::GROUP && j + WIDE > n))
                    weigh(masked());
                else
                    weigh(unmasked());
                uint32_t p_left[WIDE / 16][4], ds_left[WIDE / 16][4];
                left_of(p_left, p);
                left_of(ds_left, ds);
                begin_products<S>();
                product_by_row<S>(dv, p_left, dout + j * S::PITCH);
                product_by_row<S>(dk, ds_left, query + j * S::PITCH);
                finish_products<S>(dv, dk);
            }
            now = next;
        }
    }
    if (s.touched && threadIdx.x == 0) s.touched[(int64_t)blockIdx.y * gridDim.x + blockIdx.x] = any;
    if (s.touched && !any) return;
    int64_t ld = s.touched ? (int64_t)x.kv_heads * dim : x.kv_ld,
            at = s.touched ? blockIdx.y * plan.keys * ld : 0;
    store_slice<K>(s.dk, s.type, at, ld, kv * dim, key, end, dk, scale);
    store_slice<K>(s.dv, s.type, at, ld, kv * dim, key, end, dv, 1);
}

template <typename S>
static ag_status run_backward(ag_device *d, const ag_attention_grad_args *x, ag_error *err)
{
    const ag_attention_plan *plan = x->plan;
    size_t shared = S::bytes(2);
    float *deltas;
    ag_slices s;
    AG_TRY(ag_cuda_allow_shared((const void *)backward_queries<S>, shared, err));
    AG_TRY(ag_cuda_allow_shared((const void *)backward_keys<S>, shared, err));
    AG_TRY(ag_cuda_cut_slices(d, x, ROWS, &deltas, &s, err));
    dim3 key_grid((unsigned)((plan->keys + ROWS - 1) / ROWS * x->kv_heads), (unsigned)s.count);
    AG_LAUNCH(backward_queries<S>, tile_grid(plan->rows, x->heads), THREADS, shared, d, *x, *plan, deltas);
    AG_LAUNCH(backward_keys<S>, key_grid, THREADS, shared, d, *x, *plan, deltas, s);
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
