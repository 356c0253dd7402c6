/* mma.cuh: the tensor cores' product of bf16 tiles and its loads, by a warp, and copies to shared memory that go on beside it (PTX ISA,
 * mma.m16n8k16, ldmatrix and cp.async; compute capability 8.0 on).
 *
 * With g = lane / 4 and t = lane % 4, a lane holds of a left operand [16, 16] rows g and g + 8, of a right one [16, 8] column g, of the sum
 * [16, 8] rows g and g + 8, and of their other side places 2t, 2t + 1 and (operands) those 8 further. Two sums side by side are so a left
 * operand of the next product, once rounded.
 */
#ifndef AG_DEVICE_CUDA_MMA_CUH
#define AG_DEVICE_CUDA_MMA_CUH

#include "device/cuda/cuda.cuh"

#define AG_LOG2E 1.44269504f /* what turns a power of e into one of 2, for ag_exp2 */

#ifndef AG_MMA /* tests/emulator has its own */

/* sum += left right. */
static __device__ inline void ag_mma(float (&sum)[4], const uint32_t (&left)[4], uint32_t right0,
                                     uint32_t right1)
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "r"(right0), "r"(right1));
}

/* Four matrices [8, 8] in shared memory: lane i says where row i % 8 of matrix i / 8 lies, and gets of each row g, columns 2t and 2t + 1. */
static __device__ inline void ag_load_tiles(uint32_t (&tile)[4], const __nv_bfloat16 *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(tile[0]), "=r"(tile[1]), "=r"(tile[2]), "=r"(tile[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row)));
}

/* The same, of their transposes. */
static __device__ inline void ag_load_turned(uint32_t (&tile)[4], const __nv_bfloat16 *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(tile[0]), "=r"(tile[1]), "=r"(tile[2]), "=r"(tile[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row)));
}

/* Two values rounded to bf16, the first in the lower half. */
static __device__ inline uint32_t ag_pack(float first, float second)
{
    uint32_t both;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(second), "f"(first));
    return both;
}

/* 2 to the x, to some 2^-22 of it. */
static __device__ inline float ag_exp2(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/* A thread's copy of 4 or 16 bytes, aligned so, from global to shared memory; zeros where `is` is false (`from` must be an address all the
 * same). Copies since the last close are a group; a thread that waits for all but the last `open` groups sees its own; others see them
 * after a barrier. */
template <int bytes> static __device__ inline void ag_copy_later(void *to, const void *from, bool is)
{
    uint32_t at = (uint32_t)__cvta_generic_to_shared(to);
    if (bytes == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from), "r"(is ? 16 : 0)
                     : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(at), "l"(from), "r"(is ? 4 : 0)
                     : "memory");
}
static __device__ inline void ag_copies_close(void)
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int open> static __device__ inline void ag_copies_wait(void)
{
    asm volatile("cp.async.wait_group %0;" ::"n"(open) : "memory");
}

#endif

/* Operands from rows of `pitch` values in shared memory. Left: [16, 16]. Right: two [16, 8] side by side, in tile[0..1] and tile[2..3],
 * from rows that are their columns (by_column) or from rows that are theirs (by_row). */
static __device__ inline void ag_left(uint32_t (&tile)[4], const __nv_bfloat16 *from, int pitch)
{
    int lane = threadIdx.x % 32;
    ag_load_tiles(tile, from + (lane % 16) * pitch + lane / 16 * 8);
}
static __device__ inline void ag_right_by_column(uint32_t (&tile)[4], const __nv_bfloat16 *from, int pitch)
{
    int lane = threadIdx.x % 32;
    ag_load_tiles(tile, from + (lane % 8 + lane / 16 * 8) * pitch + lane / 8 % 2 * 8);
}
static __device__ inline void ag_right_by_row(uint32_t (&tile)[4], const __nv_bfloat16 *from, int pitch)
{
    int lane = threadIdx.x % 32;
    ag_load_turned(tile, from + (lane % 16) * pitch + lane / 16 * 8);
}

/* The left operand that two sums side by side are. */
static __device__ inline void ag_left_of(uint32_t (&tile)[4], const float (&low)[4], const float (&high)[4])
{
    tile[0] = ag_pack(low[0], low[1]);
    tile[1] = ag_pack(low[2], low[3]);
    tile[2] = ag_pack(high[0], high[1]);
    tile[3] = ag_pack(high[2], high[3]);
}

#endif
