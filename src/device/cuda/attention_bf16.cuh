/* attention_bf16.cuh: what the tensor cores' kernels of attention share, forward (attention_bf16.cu) and backward (attention_bf16_grad.cu).
 *
 * A block of four warps has 64 query rows of a head (forward, dq) or 64 keys of a key head (dk, dv), 16 a warp, whose operands stay in
 * registers; what they meet passes by in shared memory, a chunk at a time, one on its way while the other is worked on. The plan's blocks
 * that touch a tile are its only work. Sums of products stand in registers as the next product wants them, so that softmax weights never
 * leave the lane (Dao 2023). A piece that every row reads needs no mask, and most do
 * not: that work is compiled twice.
 */
#ifndef AG_DEVICE_CUDA_ATTENTION_BF16_CUH
#define AG_DEVICE_CUDA_ATTENTION_BF16_CUH

#include "device/cuda/attention.cuh"
#include "device/cuda/mma.cuh"

enum { WARPS = 4, THREADS = WARPS * 32, ROWS = WARPS * 16 };
static_assert((int)ROWS == (int)AG_ATTENTION_TILE, "a block has a tile of the plan");

/* Of heads of K * 16: values between rows in shared memory (eight more than a row: eight rows never meet in a bank), and how many keys
 * or rows pass by at a time. */
template <int K> struct shape {
    enum { DIM = K * 16, PITCH = DIM + 8, CHUNK = K <= 4 ? 64 : 32 };
};

struct masked {
    enum { IS = 1 };
};
struct unmasked {
    enum { IS = 0 };
};

static const float LOG2E = AG_LOG2E, LN2 = 0.693147181f;

/* This warp's 16 of the block's staged rows, as left operands. */
template <int K> static __device__ void take_left(uint32_t (&left)[K][4], const __nv_bfloat16 *staged)
{
    for (int k = 0; k < K; k++)
        ag_left(left[k], staged + threadIdx.x / 32 * 16 * shape<K>::PITCH + k * 16, shape<K>::PITCH);
}

/* low and high, side by side [16, 16], = left [16, DIM] of (16 staged rows [16, DIM])'. */
template <int K>
static __device__ void product_by_column(float (&low)[4], float (&high)[4], const uint32_t (&left)[K][4],
                                         const __nv_bfloat16 *staged)
{
    for (int i = 0; i < 4; i++) low[i] = high[i] = 0;
#pragma unroll
    for (int k = 0; k < K; k++) {
        uint32_t right[4];
        ag_right_by_column(right, staged + k * 16, shape<K>::PITCH);
        ag_mma(low, left[k], right[0], right[1]);
        ag_mma(high, left[k], right[2], right[3]);
    }
}

/* sum [16, DIM] += weights [16, 16], low and high side by side, of 16 staged rows [16, DIM]. */
template <int K>
static __device__ void product_by_row(float (&sum)[K * 2][4], const float (&low)[4], const float (&high)[4],
                                      const __nv_bfloat16 *staged)
{
    uint32_t left[4];
    ag_left_of(left, low, high);
#pragma unroll
    for (int k = 0; k < K; k++) {
        uint32_t right[4];
        ag_right_by_row(right, staged + k * 16, shape<K>::PITCH);
        ag_mma(sum[2 * k], left, right[0], right[1]);
        ag_mma(sum[2 * k + 1], left, right[2], right[3]);
    }
}

/* The largest, or the sum, over the four lanes that share a row of a product. */
static __device__ inline float row_max(float x)
{
    x = fmaxf(x, __shfl_xor_sync(~0u, x, 1));
    return fmaxf(x, __shfl_xor_sync(~0u, x, 2));
}
static __device__ inline float row_sum(float x)
{
    x += __shfl_xor_sync(~0u, x, 1);
    return x + __shfl_xor_sync(~0u, x, 2);
}

/* Columns [column, column + DIM) of rows [row, row + n) of bf16, ld apart, on their way into `count` rows of shared memory; zeros from n on. */
template <int K, int count>
static __device__ void fetch(__nv_bfloat16 *to, const __nv_bfloat16 *from, int64_t ld, int64_t row,
                             int64_t column, int n)
{
    enum { PIECES = K * 2, ROUND = THREADS / PIECES }; /* of 16 bytes; rows at a time */
    int i = threadIdx.x / PIECES, j = threadIdx.x % PIECES * 8;
    if (THREADS % PIECES != 0 && i >= ROUND) return;
    from += (row + i) * ld + column + j;
    to += i * shape<K>::PITCH + j;
#pragma unroll
    for (int at = 0; at < count; at += ROUND) {
        if (count % ROUND != 0 && at + i >= count) return;
        ag_copy_later<16>(to + at * shape<K>::PITCH, from + at * ld, at + i < n);
    }
}

/* This warp's 16 of the block's n rows from `row` on, as left operands; `memory` is free again at the next barrier. */
template <int K>
static __device__ void fetch_left(uint32_t (&left)[K][4], __nv_bfloat16 *memory, const __nv_bfloat16 *from,
                                  int64_t ld, int64_t row, int64_t column, int n)
{
    __syncthreads(); /* what was here has been taken */
    fetch<K, ROWS>(memory, from, ld, row, column, n);
    ag_copies_close();
    ag_copies_wait<0>();
    __syncthreads();
    take_left<K>(left, memory);
}

/* Two chunks of two matrices. */
template <int K> struct buffers {
    enum { MATRIX = shape<K>::CHUNK * shape<K>::PITCH, BYTES = 4 * MATRIX * 2 };
};

/* A piece of the keys that a block's rows read: [k0, stop), by block `at` of its list of `count`. */
typedef struct key_walk {
    int at, k0, stop;
} key_walk;

static __device__ inline bool open_block(key_walk &w, const ag_attention_block *list, int count, int64_t end)
{
    for (; w.at < count; w.at++) {
        const ag_attention_block &b = list[w.at];
        w.k0 = b.k0, w.stop = (int)ag_key_end(b, (b.q1 < end ? b.q1 : end) - 1);
        if (w.k0 < w.stop) return true;
    }
    return false;
}

/* Walks over the keys that rows `rows` (the block's tile) read: send(k0, n, to) puts n of them and their values on their way into a buffer,
 * work(b, k0, n, keys, values) uses them, where b says which row reads which. The whole block calls it. */
template <int K, typename Send, typename Work>
static __device__ void each_chunk(const ag_attention_plan &plan, ag_range rows, ag_attention_block *list,
                                  __nv_bfloat16 *memory, Send send, Work work)
{
    enum { CHUNK = shape<K>::CHUNK, MATRIX = buffers<K>::MATRIX };
    int32_t t = (int32_t)blockIdx.x, last = plan.tile_first[t + 1];
    for (int32_t entry = plan.tile_first[t]; entry < last; entry += THREADS) {
        int count = ag_collect(list, plan, plan.tile_block, entry, last, rows, {0, plan.keys}), turn = 0;
        key_walk now = {0, 0, 0};
        auto length = [](const key_walk &w) { return w.stop - w.k0 < CHUNK ? w.stop - w.k0 : CHUNK; };
        bool more = open_block(now, list, count, rows.end);
        if (more)
            send(now.k0, length(now), memory); /* ag_collect ends with a barrier: both buffers are free */
        for (; more; turn ^= 1) {
            key_walk next = now;
            next.k0 += CHUNK;
            more = next.k0 < next.stop || (next.at++, open_block(next, list, count, rows.end));
            __syncthreads(); /* the other buffer has been worked on */
            if (more) {
                send(next.k0, length(next), memory + (turn ^ 1) * 2 * MATRIX);
                ag_copies_wait<1>();
            } else
                ag_copies_wait<0>();
            __syncthreads();
            const __nv_bfloat16 *keys = memory + turn * 2 * MATRIX;
            work(list[now.at], now.k0, length(now), keys, keys + MATRIX);
            now = next;
        }
    }
}

/* Row q of block b reads keys up to q + this. */
static __device__ inline int keys_ahead(const ag_attention_block &b)
{
    int64_t ahead = (int64_t)b.k0 + b.diagonal - b.q0;
    return ahead < INT32_MAX / 2 ? (int)ahead : INT32_MAX / 2;
}

/* How many of the n keys from k0 on the row reads, by block b. */
static __device__ inline int keys_seen(const ag_attention_block &b, int ahead, int row, int k0, int n)
{
    int seen = row + ahead + 1 - k0;
    return row < b.q0 || row >= b.q1 || seen < 0 ? 0 : seen < n ? seen : n;
}

/* Heads that the tensor cores' kernels take. */
static inline bool known_head(int dim)
{
    return dim == 16 || dim == 32 || dim == 64 || dim == 96 || dim == 128;
}

/* Do rows of bf16 begin where 16 bytes can be moved at once? */
static inline bool whole_pieces(const void *p, int64_t ld)
{
    return (uintptr_t)p % 16 == 0 && ld % 8 == 0;
}

static inline ag_status refuse_layout(ag_error *err)
{
    return ag_fail(err, AG_ERR_INTERNAL,
                   "device 'cuda': attention of bf16 with heads or rows that its kernels do not take");
}

#define BY_HEAD(run, d, x, err)                                                                              \
    ((x)->head_dim == 16   ? run<1>(d, x, err)                                                               \
     : (x)->head_dim == 32 ? run<2>(d, x, err)                                                               \
     : (x)->head_dim == 64 ? run<4>(d, x, err)                                                               \
     : (x)->head_dim == 96 ? run<6>(d, x, err)                                                               \
                           : run<8>(d, x, err))

#endif
