/* attention_bf16.cu: forest attention on tensor cores: q, k, v and out are bf16, and softmax weights become it as they enter a product; sums, softmax
 * and everything else are fp32.
 *
 * Decode, where nearly every row has blocks of its own, is bound by reading keys and values: a block has eight rows, which mostly share a
 * prompt, and the heads that share a key head, as the rows of its products; its warps take turns at chunks of keys, each with buffers of
 * its own, and merge at the end.
 */
#include "device/cuda/attention_bf16.cuh"

template <typename S>
static __global__ void __launch_bounds__(THREADS, S::K <= 4 ? 4 : 1)
    forward(ag_attention_args x, ag_attention_plan plan)
{
    ag_after_previous();
    enum { K = S::K, CHUNK = S::CHUNK };
    AG_DYNAMIC_SHARED(__nv_bfloat16, dynamic);
    __nv_bfloat16 *memory = first_matrix<S>(dynamic);
    __shared__ ag_attention_block list[THREADS];
    const row_tile t = this_tile(x, plan.rows);
    int lane = threadIdx.x % 32;
    float max[2] = {-INFINITY, -INFINITY}, total[2] = {}, out[K * 2][4] = {},
          scale = (float)x.scale * AG_LOG2E;
    own_rows<S> query;
    stage_own<S>(query, 0, memory, (const __nv_bfloat16 *)x.q, x.q_ld, t.first, t.column,
                 (int)(t.end - t.first));
    auto work = [&](const __nv_bfloat16 *keys, const __nv_bfloat16 *values, const int(&seen)[2]) {
        if (!S::GROUP && !__ballot_sync(~0u, seen[0] > 0 || seen[1] > 0)) return;
        float score[CHUNK / 8][4];
        uint32_t weights[CHUNK / 16][4];
        begin_products<S>();
        product_by_column<S>(score, query, keys);
        finish_products<S>(score);
        auto weigh = [&](auto mask) {
            float high[2] = {-INFINITY, -INFINITY};
#pragma unroll
            for (int j = 0; j < CHUNK / 8; j++)
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    if (mask.IS && j * 8 + lane % 4 * 2 + i % 2 >= seen[i / 2]) score[j][i] = -INFINITY;
                    high[i / 2] = fmaxf(high[i / 2], score[j][i]);
                }
            bool rises = false;
#pragma unroll
            for (int h = 0; h < 2; h++) {
                high[h] = row_max(high[h]) * scale;
                rises |= high[h] > max[h];
            }
            if (__ballot_sync(~0u, rises))
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    high[h] = fmaxf(max[h], high[h]);
                    float shrink = high[h] == -INFINITY ? 1 : ag_exp2(max[h] - high[h]);
                    max[h] = high[h];
                    total[h] *= shrink;
#pragma unroll
                    for (int k = 0; k < K * 2; k++) out[k][2 * h] *= shrink, out[k][2 * h + 1] *= shrink;
                }
            for (int h = 0; h < 2; h++)
                high[h] = max[h] == -INFINITY ? 0 : max[h]; /* nothing read yet: weights of zero */
#pragma unroll
            for (int j = 0; j < CHUNK / 8; j++)
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    score[j][i] = ag_exp2(fmaf(score[j][i], scale, -high[i / 2]));
                    total[i / 2] += score[j][i];
                }
        };
        if (__ballot_sync(~0u, seen[0] < CHUNK || seen[1] < CHUNK))
            weigh(masked());
        else
            weigh(unmasked());
        left_of(weights, score);
        begin_products<S>();
        product_by_row<S>(out, weights, values);
        finish_products<S>(out);
    };
    __syncthreads(); /* the rows have been taken */
    each_chunk<S>(x, plan, t, list, memory, work);
#pragma unroll
    for (int h = 0; h < 2; h++) {
        float sum = row_sum(total[h]), share = sum > 0 ? 1 / sum : 0;
        if (t.row[h] >= t.end) continue;
        uint32_t *to = (uint32_t *)((__nv_bfloat16 *)x.out + t.row[h] * x.out_ld + t.column) + lane % 4;
#pragma unroll
        for (int k = 0; k < K * 2; k++) to[k * 4] = ag_pack(out[k][2 * h] * share, out[k][2 * h + 1] * share);
        if (x.lse && lane % 4 == 0)
            ((float *)x.lse)[t.head * (int64_t)plan.rows + t.row[h]] = sum > 0 ? max[h] * AG_LN2 + logf(sum)
                                                                               : 0;
    }
}

/* --- decode ------------------------------------------------------------------------------------------------------------ */

enum { DECODE_ROWS = 8, DECODE_HEADS = 4 };

/* Warps, keys at a time and shared memory of a block: two buffers of two matrices a warp. SMALL: for cards with 99 KiB a block. */
template <int K, bool SMALL> struct decode_shape {
    enum {
        WARPS = K > 4 && SMALL ? 4 : 8,
        THREADS = WARPS * 32,
        KEYS = K > 4 || SMALL ? 16 : 32,
        MATRIX = KEYS * shape<K, false>::PITCH,
        BYTES = WARPS * 4 * MATRIX * 2
    };
};

/* Softmax sums of T * 2 heads by 8 rows, a warp's share of the keys. A lane has row lane / 4 of all heads. */
template <int K, int T> struct sums {
    float max[T * 2], total[T * 2], out[T][K * 2][4];
};

/* Adds what another warp left at `from` (laid out by lane) to mine. */
template <int K, int T> static __device__ void leave(float *to, const sums<K, T> &s)
{
    int lane = threadIdx.x % 32;
    for (int h = 0; h < T * 2; h++) to[h * 32 + lane] = s.max[h], to[(T * 2 + h) * 32 + lane] = s.total[h];
    to += T * 4 * 32;
#pragma unroll
    for (int i = 0; i < T; i++)
#pragma unroll
        for (int k = 0; k < K * 2; k++)
#pragma unroll
            for (int e = 0; e < 4; e++) to[((i * K * 2 + k) * 4 + e) * 32 + lane] = s.out[i][k][e];
}
template <int K, int T> static __device__ void merge(sums<K, T> &s, const float *from)
{
    int lane = threadIdx.x % 32;
    const float *out = from + T * 4 * 32;
#pragma unroll
    for (int i = 0; i < T; i++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            int head = i * 2 + h;
            float other = from[head * 32 + lane], high = fmaxf(s.max[head], other);
            float mine = high == -INFINITY ? 0 : ag_exp2(s.max[head] - high),
                  theirs = high == -INFINITY ? 0 : ag_exp2(other - high);
            s.max[head] = high;
            s.total[head] = s.total[head] * mine + from[(T * 2 + head) * 32 + lane] * theirs;
#pragma unroll
            for (int k = 0; k < K * 2; k++)
#pragma unroll
                for (int e = 2 * h; e < 2 * h + 2; e++)
                    s.out[i][k][e] = s.out[i][k][e] * mine +
                                     out[((i * K * 2 + k) * 4 + e) * 32 + lane] * theirs;
        }
}
/* Of one warp's sums, left for another. */
template <int K, int T> struct left_sums {
    enum { FLOATS = T * 4 * 32 + T * K * 2 * 4 * 32 };
};

/* Adds T * 2 heads of 8 rows over a chunk: `seen` of its keys are the row's. */
template <int K, int T, int KEYS>
static __device__ void add_chunk(sums<K, T> &s, const uint32_t (&query)[T][K][4], const __nv_bfloat16 *keys,
                                 const __nv_bfloat16 *values, int seen, float scale)
{
    enum { PITCH = shape<K, false>::PITCH };
    int t = threadIdx.x % 4;
    float score[T][KEYS / 8][4] = {};
#pragma unroll
    for (int j = 0; j < KEYS / 16; j++)
#pragma unroll
        for (int k = 0; k < K; k++) {
            uint32_t right[4];
            ag_right_by_column(right, keys + j * 16 * PITCH + k * 16, PITCH);
#pragma unroll
            for (int i = 0; i < T; i++) {
                ag_mma(score[i][2 * j], query[i][k], right[0], right[1]);
                ag_mma(score[i][2 * j + 1], query[i][k], right[2], right[3]);
            }
        }
#pragma unroll
    for (int i = 0; i < T; i++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            float high = s.max[i * 2 + h], total = 0;
#pragma unroll
            for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
                for (int e = 2 * h; e < 2 * h + 2; e++) {
                    score[i][j][e] = j * 8 + 2 * t + e % 2 < seen ? score[i][j][e] * scale : -INFINITY;
                    high = fmaxf(high, score[i][j][e]);
                }
            high = row_max(high);
            float shrink = high == -INFINITY ? 1 : ag_exp2(s.max[i * 2 + h] - high);
            s.max[i * 2 + h] = high;
            if (high == -INFINITY) high = 0; /* nothing read yet: weights of zero */
#pragma unroll
            for (int j = 0; j < KEYS / 8; j++)
#pragma unroll
                for (int e = 2 * h; e < 2 * h + 2; e++)
                    total += score[i][j][e] = ag_exp2(score[i][j][e] - high);
            s.total[i * 2 + h] = s.total[i * 2 + h] * shrink + total;
#pragma unroll
            for (int k = 0; k < K * 2; k++)
#pragma unroll
                for (int e = 2 * h; e < 2 * h + 2; e++) s.out[i][k][e] *= shrink;
        }
#pragma unroll
    for (int j = 0; j < KEYS / 16; j++) {
        uint32_t weights[T][4];
        for (int i = 0; i < T; i++) ag_left_of(weights[i], score[i][2 * j], score[i][2 * j + 1]);
#pragma unroll
        for (int k = 0; k < K; k++) {
            uint32_t right[4];
            ag_right_by_row(right, values + j * 16 * PITCH + k * 16, PITCH);
#pragma unroll
            for (int i = 0; i < T; i++) {
                ag_mma(s.out[i][2 * k], weights[i], right[0], right[1]);
                ag_mma(s.out[i][2 * k + 1], weights[i], right[2], right[3]);
            }
        }
    }
}

/* Nothing summed yet; and heads h0 .. h1 of the lane's row as left operands, two to a tile. */
template <int K, int T>
static __device__ void begin_heads(sums<K, T> &s, uint32_t (&query)[T][K][4], const ag_attention_args &x,
                                   int64_t row, int64_t end, int h0, int h1)
{
    const __nv_bfloat16 *q = (const __nv_bfloat16 *)x.q + row * x.q_ld + threadIdx.x % 4 * 2;
#pragma unroll
    for (int i = 0; i < T; i++) {
        s.max[2 * i] = s.max[2 * i + 1] = -INFINITY, s.total[2 * i] = s.total[2 * i + 1] = 0;
#pragma unroll
        for (int k = 0; k < K * 2; k++) s.out[i][k][0] = s.out[i][k][1] = s.out[i][k][2] = s.out[i][k][3] = 0;
#pragma unroll
        for (int k = 0; k < K; k++)
#pragma unroll
            for (int e = 0; e < 4; e++) {
                int head = h0 + i * 2 + e % 2;
                query[i][k][e] = 0;
                if (row < end && head < h1)
                    query[i][k][e] = *(const uint32_t *)(q + head * x.head_dim + k * 16 + e / 2 * 8);
            }
    }
}

template <int K, int T>
static __device__ void store_heads(const ag_attention_args &x, int64_t rows, int64_t row, int h0, int h1,
                                   const sums<K, T> &s)
{
    int lane = threadIdx.x % 32, dim = x.head_dim;
#pragma unroll
    for (int i = 0; i < T; i++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            int head = h0 + i * 2 + h;
            float total = s.total[i * 2 + h], share = total > 0 ? 1 / total : 0;
            if (head >= h1) continue;
            uint32_t *to = (uint32_t *)((__nv_bfloat16 *)x.out + row * x.out_ld + head * dim) + lane % 4;
#pragma unroll
            for (int k = 0; k < K * 2; k++)
                to[k * 4] = ag_pack(s.out[i][k][2 * h] * share, s.out[i][k][2 * h + 1] * share);
            if (x.lse && lane % 4 == 0)
                ((float *)x.lse)[head * rows + row] = total > 0 ? s.max[i * 2 + h] * AG_LN2 + logf(total) : 0;
        }
}

/* Heads of a key head come `each` to a block. */
template <int K, int T, bool SMALL>
static __global__ void __launch_bounds__(decode_shape<K, SMALL>::THREADS)
    decode(ag_attention_args x, ag_attention_plan plan, int each)
{
    ag_after_previous();
    typedef decode_shape<K, SMALL> form;
    enum {
        KEYS = form::KEYS,
        MATRIX = form::MATRIX,
        PITCH = shape<K, false>::PITCH,
        PART = left_sums<K, T>::FLOATS
    };
    AG_DYNAMIC_SHARED(__nv_bfloat16, memory);
    __shared__ ag_attention_block list[form::THREADS];
    int dim = x.head_dim, group = x.heads / x.kv_heads, parts = (group + each - 1) / each,
        kv = blockIdx.y / parts, h0 = kv * group + blockIdx.y % parts * each, h1 = h0 + each,
        lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    if (h1 > (kv + 1) * group) h1 = (kv + 1) * group;
    int64_t first = blockIdx.x * (int64_t)DECODE_ROWS,
            end = first + DECODE_ROWS < plan.rows ? first + DECODE_ROWS : plan.rows, row = first + lane / 4;
    const __nv_bfloat16 *keys = (const __nv_bfloat16 *)x.k + kv * dim,
                        *values = (const __nv_bfloat16 *)x.v + kv * dim;
    __nv_bfloat16 *mine = memory + warp * 4 * MATRIX;
    uint32_t query[T][K][4];
    sums<K, T> s;
    begin_heads<K, T>(s, query, x, row, end, h0, h1);
    auto length = [](const key_walk &w) { return w.stop - w.k0 < KEYS ? w.stop - w.k0 : KEYS; };
    auto send = [&](const key_walk &w, int buffer) {
        __nv_bfloat16 *to = mine + buffer * 2 * MATRIX;
        int n = length(w);
#pragma unroll 4
        for (int at = lane; at < KEYS * K * 2; at += 32) {
            int i = at / (K * 2), j = at % (K * 2) * 8;
            int64_t from = (w.k0 + i) * x.kv_ld + j;
            ag_copy_later<16>(to + i * PITCH + j, keys + from, i < n);
            ag_copy_later<16>(to + MATRIX + i * PITCH + j, values + from, i < n);
        }
        ag_copies_close();
    };
    int32_t t = (int32_t)(first / AG_ATTENTION_TILE), last = plan.tile_first[t + 1];
    int turn = 0; /* chunks before the one that a walk is at, of all warps */
    for (int32_t entry = plan.tile_first[t]; entry < last; entry += form::THREADS) {
        int count = ag_collect(list, plan, plan.tile_block, entry, last, {first, end}, {0, plan.keys});
        key_walk now = {0, 0, 0};
        bool more = open_block(now, list, count, end);
        /* to the next chunk that is this warp's, the one at hand among them where `on` is false */
        auto walk = [&](key_walk &w, bool on) {
            for (bool there = true; there; on = true) {
                if (on) {
                    turn++;
                    w.k0 += KEYS;
                    there = w.k0 < w.stop || (w.at++, open_block(w, list, count, end));
                }
                if (there && turn % form::WARPS == warp) return true;
            }
            return false;
        };
        more = more && walk(now, false);
        if (more) send(now, 0);
        for (int buffer = 0; more; buffer ^= 1) {
            key_walk next = now;
            more = walk(next, true);
            __syncwarp(); /* the other buffer has been worked on */
            if (more) {
                send(next, buffer ^ 1);
                ag_copies_wait<1>();
            } else
                ag_copies_wait<0>();
            __syncwarp();
            const ag_attention_block b = list[now.at];
            const __nv_bfloat16 *at = mine + buffer * 2 * MATRIX;
            add_chunk<K, T, KEYS>(s, query, at, at + MATRIX, keys_end(b, (int)row) - now.k0,
                                  (float)x.scale * AG_LOG2E);
            now = next;
        }
    }
    for (int h = 0; h < T * 2; h++) s.total[h] = row_sum(s.total[h]);
    for (int half = form::WARPS / 2; half; half /= 2) {
        float *part = (float *)memory + warp % half * PART;
        __syncthreads();
        if (warp >= half && warp < 2 * half) leave<K, T>(part, s);
        __syncthreads();
        if (warp < half) merge<K, T>(s, part);
    }
    if (warp == 0 && row < end) store_heads<K, T>(x, plan.rows, row, h0, h1, s);
}

/* --- launches -------------------------------------------------------------------------------------------------------- */

ag_dtype ag_cuda_kept_type(ag_dtype type, int head_dim)
{
    return type == AG_BF16 && known_head(head_dim) ? AG_BF16 : AG_F32;
}

template <int K, int T, bool SMALL>
static ag_status run_decode(ag_device *d, const ag_attention_args *x, int each, ag_error *err)
{
    typedef decode_shape<K, SMALL> form;
    const ag_attention_plan *plan = x->plan;
    int group = x->heads / x->kv_heads;
    size_t sums = (size_t)form::WARPS / 2 * left_sums<K, T>::FLOATS * sizeof(float),
           shared = form::BYTES > sums ? (size_t)form::BYTES : sums;
    dim3 grid((unsigned)((plan->rows + DECODE_ROWS - 1) / DECODE_ROWS),
              (unsigned)(x->kv_heads * ((group + each - 1) / each)));
    AG_TRY(ag_cuda_allow_shared((const void *)decode<K, T, SMALL>, shared, err));
    AG_LAUNCH((decode<K, T, SMALL>), grid, form::THREADS, shared, d, *x, *plan, each);
    return AG_LAUNCHED("attention");
}

template <int K, int T>
static ag_status choose_decode(ag_device *d, const ag_attention_args *x, int each, ag_error *err)
{
    enum { WHOLE = decode_shape<K, false>::BYTES };
    return ag_cuda_of(d)->shared_most >= WHOLE ? run_decode<K, T, false>(d, x, each, err)
                                               : run_decode<K, T, true>(d, x, each, err);
}

template <typename S> static ag_status run_forward(ag_device *d, const ag_attention_args *x, ag_error *err)
{
    enum { K = S::K };
    const ag_attention_plan *plan = x->plan;
    int group = x->heads / x->kv_heads;
    if ((int64_t)plan->block_count * 4 > plan->rows) /* a row has blocks of its own */
        return group > 2 ? choose_decode<K, 2>(d, x, group < DECODE_HEADS ? group : DECODE_HEADS, err)
                         : choose_decode<K, 1>(d, x, group, err);
    AG_TRY(ag_cuda_allow_shared((const void *)forward<S>, S::bytes(1), err));
    AG_LAUNCH(forward<S>, tile_grid(plan->rows, x->heads), THREADS, S::bytes(1), d, *x, *plan);
    return AG_LAUNCHED("attention");
}

ag_status ag_cuda_attention_bf16(ag_device *d, const ag_attention_args *x, ag_error *err)
{
    if (!known_head(x->head_dim) || !whole_pieces(x->q, x->q_ld) || !whole_pieces(x->k, x->kv_ld) ||
        !whole_pieces(x->v, x->kv_ld) || !whole_pieces(x->out, x->out_ld))
        return refuse_layout(err);
    return BY_HEAD(run_forward, d, x, err);
}
