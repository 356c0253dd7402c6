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

#define AG_LOG2E 1.44269504f  /* what turns a power of e into one of 2, for ag_exp2 */
#define AG_LN2   0.693147181f /* and back */

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

/* Of shared memory, in its own space. */
static __device__ inline uint32_t ag_shared_address(const void *p)
{
    return (uint32_t)__cvta_generic_to_shared(p);
}

/* Four matrices [8, 8] in shared memory: lane i says where row i % 8 of matrix i / 8 lies, and gets of each row g, columns 2t and 2t + 1. */
static __device__ inline void ag_load_tiles(uint32_t (&tile)[4], const __nv_bfloat16 *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(tile[0]), "=r"(tile[1]), "=r"(tile[2]), "=r"(tile[3])
                 : "r"(ag_shared_address(row)));
}

/* The same, of their transposes. */
static __device__ inline void ag_load_turned(uint32_t (&tile)[4], const __nv_bfloat16 *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(tile[0]), "=r"(tile[1]), "=r"(tile[2]), "=r"(tile[3])
                 : "r"(ag_shared_address(row)));
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

/* A thread's copy of 4, 8 or 16 bytes, aligned so, from global to shared memory; zeros where `is` is false (`from` must be an address all the
 * same). Copies since the last close are a group; a thread that waits for all but the last `open` groups sees its own; others see them
 * after a barrier. */
template <int bytes> static __device__ inline void ag_copy_later(void *to, const void *from, bool is)
{
    uint32_t at = ag_shared_address(to);
    if (bytes == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from), "r"(is ? 16 : 0)
                     : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(at), "l"(from), "n"(bytes),
                     "r"(is ? bytes : 0)
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

/* Products of a warp group (PTX ISA, wgmma; compute capability 9.0a): four warps, which call these together, with 16 of 64 left rows each.
 * Operands are read from shared memory by a unit of its own, beside the threads, in rows of 64 values whose pieces of 16 bytes are swapped
 * about (ag_swapped), from a multiple of 1,024 bytes on; or the left one from registers. begin, products, close; their sums may be read after
 * finish, and until then neither they nor what they read may change. (What stays the same all along is kept in shared memory: ptxas 13.0
 * reuses the registers of a left operand that the next turn of a loop still needs.) */
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define AG_GROUP_ASM(...) asm volatile(__VA_ARGS__)
#else
#define AG_GROUP_ASM(...) __trap() /* never launched there: ag_cuda.groups */
#endif

static __device__ inline void ag_group_begin(void)
{
    AG_GROUP_ASM("wgmma.fence.sync.aligned;" ::: "memory");
}
static __device__ inline void ag_group_close(void)
{
    AG_GROUP_ASM("wgmma.commit_group.sync.aligned;" ::: "memory");
}
/* Waits for all but the last `open` closed: what the others read may change; their sums may be read only after finish. */
template <int open> static __device__ inline void ag_group_wait(void)
{
    AG_GROUP_ASM("wgmma.wait_group.sync.aligned %0;" ::"n"(open) : "memory");
}
template <int N> static __device__ inline void ag_group_finish(float (&sum)[N][4])
{
    ag_group_wait<0>();
#pragma unroll
    for (int i = 0; i < N * 4; i++) /* not read before */
        asm volatile("" : "+f"(sum[i / 4][i % 4])::"memory");
}

/* The thread's finished copies can be seen by products of a warp group, after a barrier. */
static __device__ inline void ag_group_see_copies(void)
{
    AG_GROUP_ASM("fence.proxy.async.shared::cta;" ::: "memory");
}

/* Describes an operand: where it begins, in rows of 128 bytes, swapped about; eight of them are 1,024 bytes. */
static __device__ inline uint64_t ag_group_operand(const __nv_bfloat16 *from)
{
    uint64_t eight_rows = 1024;
    return ag_shared_address(from) >> 4 | (eight_rows >> 4) << 16 | (eight_rows >> 4) << 32 | 1ull << 62;
}

#define AG_GROUP_SUM(s, i) "+f"(s[i][0]), "+f"(s[i][1]), "+f"(s[i][2]), "+f"(s[i][3])
#define AG_GROUP_SUMS(s, i)                                                                                  \
    AG_GROUP_SUM(s, i), AG_GROUP_SUM(s, i + 1), AG_GROUP_SUM(s, i + 2), AG_GROUP_SUM(s, i + 3),              \
        AG_GROUP_SUM(s, i + 4), AG_GROUP_SUM(s, i + 5), AG_GROUP_SUM(s, i + 6), AG_GROUP_SUM(s, i + 7)
/* The numbers of sums in the text of an instruction, ten at a time. */
#define AG_GROUP_ONES "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, "
#define AG_GROUP_TEN(t)                                                                                      \
    "%" #t "0, %" #t "1, %" #t "2, %" #t "3, %" #t "4, %" #t "5, %" #t "6, %" #t "7, %" #t "8, %" #t "9, "
#define AG_GROUP_MMA                                                                                         \
    "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" AG_GROUP_ONES AG_GROUP_TEN(1)                   \
        AG_GROUP_TEN(2) "%30, %31}, "
#define AG_GROUP_MMA_256                                                                                     \
    "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {" AG_GROUP_ONES AG_GROUP_TEN(1) AG_GROUP_TEN(2)  \
        AG_GROUP_TEN(3) AG_GROUP_TEN(4) AG_GROUP_TEN(5) AG_GROUP_TEN(6) AG_GROUP_TEN(7) AG_GROUP_TEN(8)      \
            AG_GROUP_TEN(9) AG_GROUP_TEN(10)                                                                 \
                AG_GROUP_TEN(11) "%120, %121, %122, %123, %124, %125, %126, %127}, "

/* sum [16, 64] = columns [16 * k, 16 * k + 16) of the warp's 16 of 64 left rows times those of 64 rows; added to what it is where `add`. */
static __device__ inline void ag_group_by_column(float (&sum)[8][4], const __nv_bfloat16 *left,
                                                 const __nv_bfloat16 *rows, int k, bool add)
{
    uint64_t l = ag_group_operand(left + k * 16), r = ag_group_operand(rows + k * 16);
    AG_GROUP_ASM("{.reg .pred add; setp.ne.b32 add, %34, 0; " AG_GROUP_MMA "%32, %33, add, 1, 1, 0, 0;}"
                 : AG_GROUP_SUMS(sum, 0)
                 : "l"(l), "l"(r), "r"((int)add));
}

/* The same of 256 rows, sum [16, 256]. */
static __device__ inline void ag_group_by_column(float (&sum)[32][4], const __nv_bfloat16 *left,
                                                 const __nv_bfloat16 *rows, int k, bool add)
{
    uint64_t l = ag_group_operand(left + k * 16), r = ag_group_operand(rows + k * 16);
    AG_GROUP_ASM(
        "{.reg .pred add; setp.ne.b32 add, %130, 0; " AG_GROUP_MMA_256 "%128, %129, add, 1, 1, 0, 0;}"
        : AG_GROUP_SUMS(sum, 0), AG_GROUP_SUMS(sum, 8), AG_GROUP_SUMS(sum, 16), AG_GROUP_SUMS(sum, 24)
        : "l"(l), "l"(r), "r"((int)add));
}

/* sum [16, 64] += left [16, 16] of 16 rows. */
static __device__ inline void ag_group_by_row(float (&sum)[8][4], const uint32_t (&left)[4],
                                              const __nv_bfloat16 *rows)
{
    uint64_t right = ag_group_operand(rows);
    AG_GROUP_ASM("{.reg .pred add; setp.ne.b32 add, 1, 0; " AG_GROUP_MMA
                 "{%32, %33, %34, %35}, %36, add, 1, 1, 1;}"
                 : AG_GROUP_SUMS(sum, 0)
                 : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "l"(right));
}

#endif

/* Where value `column` of row `row` lies in rows of 64 values whose pieces of 16 bytes are swapped about: piece p of row r at place p ^ r % 8, so
 * that pieces of eight rows never meet in a bank. */
static __device__ inline int ag_swapped(int row, int column)
{
    return row * 64 + (((column / 8) ^ (row % 8)) * 8 + column % 8);
}

/* Right operands from rows of `pitch` values in shared memory: two [16, 8] side by side, in tile[0..1] and tile[2..3], from rows that are
 * their columns (by_column) or from rows that are theirs (by_row). */
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
