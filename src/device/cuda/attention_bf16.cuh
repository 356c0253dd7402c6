/* attention_bf16.cuh: what the tensor cores' kernels of attention share, forward (attention_bf16.cu) and backward (attention_bf16_grad.cu).
 *
 * A block of four warps has 64 query rows of a head (forward, dq) or 64 keys of a key head (dk, dv), 16 a warp, whose operands stay in
 * registers; what they meet passes by in shared memory, a chunk at a time. The plan's blocks that touch a tile are its only work. Sums of
 * products stand in registers as the next product wants them, so that softmax weights never leave the lane (Dao 2023).
 */
#ifndef AG_DEVICE_CUDA_ATTENTION_BF16_CUH
#define AG_DEVICE_CUDA_ATTENTION_BF16_CUH

#include "device/cuda/attention.cuh"
#include "device/cuda/fours.cuh"

enum { WARPS = 4, THREADS = WARPS * 32, ROWS = WARPS * 16 };
static_assert((int)ROWS == (int)AG_ATTENTION_TILE, "a block has a tile of the plan");

/* Of heads of K * 16: values between rows in shared memory (eight more than a row: eight rows never meet in a bank), and how many keys
 * or rows pass by at a time. */
template <int K> struct shape {
    enum { DIM = K * 16, PITCH = DIM + 8, CHUNK = K <= 4 ? 64 : 32 };
};

static const float LOG2E = 1.44269504f, LN2 = 0.693147181f;

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

/* How many of the n keys from k0 on the row reads, by block b. */
static __device__ inline int keys_seen(const ag_attention_block &b, int64_t row, int64_t k0, int n)
{
    if (row < b.q0 || row >= b.q1) return 0;
    int64_t seen = ag_key_end(b, row) - k0;
    return seen < 0 ? 0 : seen < n ? (int)seen : n;
}

static inline bool known_head(int dim)
{
    return dim == 16 || dim == 32 || dim == 64 || dim == 96 || dim == 128;
}

static inline bool whole_pieces(const void *p, int64_t ld, int bytes)
{
    return (uintptr_t)p % 16 == 0 && ld * bytes % 16 == 0;
}

#define BY_HEAD(run, d, x, err)                                                                              \
    ((x)->head_dim == 16   ? run<1>(d, x, err)                                                               \
     : (x)->head_dim == 32 ? run<2>(d, x, err)                                                               \
     : (x)->head_dim == 64 ? run<4>(d, x, err)                                                               \
     : (x)->head_dim == 96 ? run<6>(d, x, err)                                                               \
                           : run<8>(d, x, err))

#endif
