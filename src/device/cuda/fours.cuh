/* fours.cuh: V neighbours of a matrix at a time, 8, 4 or 1: what works an element at a time is bound by memory, and moves faster in pieces of
 * 16 bytes; finding a piece's place costs as much as a few elements. The sums and products of an element are the same either way.
 */
#ifndef AG_DEVICE_CUDA_FOURS_CUH
#define AG_DEVICE_CUDA_FOURS_CUH

#include "device/cuda/mma.cuh"

template <int V> struct ag_some {
    float x[V];
};

/* Elements i to i + V of reals or bf16 at p. */
template <int V> static __device__ inline ag_some<V> ag_load_some(const void *p, ag_dtype type, int64_t i)
{
    ag_some<V> r;
    if constexpr (V == 1) {
        r.x[0] = ag_load(p, type, i);
    } else if constexpr (V == 8) {
        if (type == AG_BF16) {
            uint4 pairs = *(const uint4 *)((const __nv_bfloat16 *)p + i);
            const uint32_t pair[4] = {pairs.x, pairs.y, pairs.z, pairs.w};
#pragma unroll
            for (int e = 0; e < 8; e++)
                r.x[e] = __uint_as_float(e % 2 ? pair[e / 2] & 0xffff0000u : pair[e / 2] << 16);
        } else {
            ag_some<4> low = ag_load_some<4>(p, type, i), high = ag_load_some<4>(p, type, i + 4);
#pragma unroll
            for (int e = 0; e < 8; e++) r.x[e] = e < 4 ? low.x[e % 4] : high.x[e % 4];
        }
    } else if (type == AG_BF16) {
        uint2 pairs = *(const uint2 *)((const __nv_bfloat16 *)p +
                                       i); /* a bf16 is the upper half of a float */
        r.x[0] = __uint_as_float(pairs.x << 16), r.x[1] = __uint_as_float(pairs.x & 0xffff0000u);
        r.x[2] = __uint_as_float(pairs.y << 16), r.x[3] = __uint_as_float(pairs.y & 0xffff0000u);
    } else {
        float4 four = *(const float4 *)((const float *)p + i);
        r.x[0] = four.x, r.x[1] = four.y, r.x[2] = four.z, r.x[3] = four.w;
    }
    return r;
}

template <int V>
static __device__ inline void ag_store_some(void *p, ag_dtype type, int64_t i, const ag_some<V> &s)
{
    if constexpr (V == 1)
        ag_store(p, type, i, s.x[0]);
    else if constexpr (V == 8) {
        if (type == AG_BF16)
            *(uint4 *)((__nv_bfloat16 *)p + i) = make_uint4(ag_pack(s.x[0], s.x[1]), ag_pack(s.x[2], s.x[3]),
                                                            ag_pack(s.x[4], s.x[5]), ag_pack(s.x[6], s.x[7]));
        else {
            *(float4 *)((float *)p + i) = make_float4(s.x[0], s.x[1], s.x[2], s.x[3]);
            *(float4 *)((float *)p + i + 4) = make_float4(s.x[4], s.x[5], s.x[6], s.x[7]);
        }
    } else if (type == AG_BF16)
        *(uint2 *)((__nv_bfloat16 *)p + i) = make_uint2(ag_pack(s.x[0], s.x[1]), ag_pack(s.x[2], s.x[3]));
    else
        *(float4 *)((float *)p + i) = make_float4(s.x[0], s.x[1], s.x[2], s.x[3]);
}

/* Do rows that are `ld` apart begin where four elements can be moved whole? */
static inline bool ag_in_fours(const void *p, ag_dtype type, int64_t ld)
{
    return ld % 4 == 0 && (uintptr_t)p % (size_t)(4 * ag_cuda_size(type)) == 0;
}

/* How many can be moved whole, for AG_LAUNCH_WIDEST: 8, in pieces of 16 bytes, 4 or 1. */
static inline int ag_widest(const void *p, ag_dtype type, int64_t ld)
{
    if (ld % 8 == 0 && (uintptr_t)p % 16 == 0) return 8;
    return ag_in_fours(p, type, ld) ? 4 : 1;
}
static inline int ag_least(int a, int b)
{
    return a < b ? a : b;
}

/* The kernel of that name by fours on `wide` blocks, or one by one on `narrow` ones; and for n elements, four a thread or one. */
#define AG_LAUNCH_EITHER(fours, kernel, wide, narrow, d, ...)                                                \
    do {                                                                                                     \
        if (fours)                                                                                           \
            AG_LAUNCH(kernel<4>, wide, AG_CUDA_THREADS, 0, d, __VA_ARGS__);                                  \
        else                                                                                                 \
            AG_LAUNCH(kernel<1>, narrow, AG_CUDA_THREADS, 0, d, __VA_ARGS__);                                \
    } while (0)
#define AG_LAUNCH_FOURS(fours, kernel, n, d, ...)                                                            \
    AG_LAUNCH_EITHER(fours, kernel, ag_cuda_grid((n) / 4), ag_cuda_grid(n), d, __VA_ARGS__)
#define AG_LAUNCH_WIDEST(widest, kernel, n, d, ...)                                                          \
    do {                                                                                                     \
        if ((widest) == 8)                                                                                   \
            AG_LAUNCH(kernel<8>, ag_cuda_grid((n) / 8), AG_CUDA_THREADS, 0, d, __VA_ARGS__);                 \
        else                                                                                                 \
            AG_LAUNCH_FOURS((widest) == 4, kernel, n, d, __VA_ARGS__);                                       \
    } while (0)

#endif
