/* cuda_runtime.h: what the kernels of src/device/cuda need of CUDA, on a processor: so that they are tested where there is no card.
 *
 * A block's threads are fibers that run one after another up to a barrier, a shuffle or their end; blocks run one after another. What
 * this finds: wrong arithmetic, reads and writes out of bounds (with the address sanitizer), barriers and shuffles that not all
 * threads reach, and, as threads can run in rising or falling order (AGRL_EMULATOR_ORDER=falling), most missing barriers. What it
 * does not find: what depends on real concurrency, on the compiler for the card, or on the card. Memory that nobody wrote is NaN.
 */
#ifndef AG_TESTS_CUDA_RUNTIME_H
#define AG_TESTS_CUDA_RUNTIME_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <functional>

#define __global__
#define __device__
#define __host__
#define __shared__   static
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)
#define __noinline__ __attribute__((noinline)) /* after the headers above, which use the word themselves */

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
/* Vectors: a card loads and stores them whole, at addresses that are multiples of their size. */
void emulator_misaligned(void);
template <size_t bytes> struct whole {
    whole() = default;
    whole(const whole &from) { check(&from); }
    whole &operator=(const whole &from)
    {
        check(this);
        check(&from);
        return *this;
    }
    static void check(const void *at)
    {
        uintptr_t address = (uintptr_t)at;
        asm("" : "+r"(address)); /* the type says that it is aligned: the compiler must not believe it */
        if (address % bytes) emulator_misaligned();
    }
};
template <typename T> struct __attribute__((aligned(2 * sizeof(T)))) vector2 : whole<2 * sizeof(T)> {
    T x, y;
    vector2(T x_ = 0, T y_ = 0) : x(x_), y(y_) {}
};
template <typename T> struct __attribute__((aligned(4 * sizeof(T)))) vector4 : whole<4 * sizeof(T)> {
    T x, y, z, w;
    vector4(T x_ = 0, T y_ = 0, T z_ = 0, T w_ = 0) : x(x_), y(y_), z(z_), w(w_) {}
};
typedef vector2<float> float2;
typedef vector2<unsigned> uint2;
typedef vector4<float> float4;
typedef vector4<unsigned> uint4;
static inline float2 make_float2(float x, float y)
{
    return {x, y};
}
static inline float4 make_float4(float x, float y, float z, float w)
{
    return {x, y, z, w};
}
static inline uint2 make_uint2(unsigned x, unsigned y)
{
    return {x, y};
}
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w)
{
    return {x, y, z, w};
}

extern dim3 threadIdx, blockIdx, blockDim, gridDim;
void *emulator_shared(void); /* of the block */
void emulator_launch(const void *name, dim3 grid, dim3 block, size_t shared,
                     const std::function<void()> &kernel);
template <typename F, typename... A>
static inline std::function<void()> emulator_bind(F kernel, A... arguments)
{
    return [=] { kernel(arguments...); };
}
#define AG_EMULATED
#define AG_LAUNCH(kernel, grid, block, shared, d, ...)                                                       \
    (void)(d), emulator_launch((const void *)kernel, grid, block, shared, emulator_bind(kernel, __VA_ARGS__))
/* Blocks that never waited for the kernel before theirs are refused: on a card they would run beside it. */
void cudaGridDependencySynchronize(void);
static inline void cudaTriggerProgrammaticLaunchCompletion(void) {}
/* While a stream records, what is issued to it runs later: true when it was taken. */
bool emulator_record(const std::function<void()> &work);
#define AG_DYNAMIC_SHARED(type, name) type *name = (type *)emulator_shared()

/* Every live thread of the block; returns how many said so. */
int emulator_block(bool vote);
static inline void __syncthreads(void)
{
    emulator_block(false);
}
static inline int __syncthreads_count(int vote)
{
    return emulator_block(vote != 0);
}

/* Every lane of the warp leaves `n` bytes (at most 64) and gets those of all 32. */
const char *emulator_warp(const void *mine, size_t n);
enum { EMULATOR_LANE_BYTES = 64 };
static inline void __syncwarp(unsigned mask = ~0u)
{
    (void)mask, emulator_warp("", 0);
}
template <typename T> static inline T emulator_lane(const char *lanes, unsigned lane)
{
    T x;
    memcpy(&x, lanes + (size_t)lane * EMULATOR_LANE_BYTES, sizeof x);
    return x;
}
template <typename T> static inline T __shfl_sync(unsigned mask, T x, unsigned lane)
{
    return (void)mask, emulator_lane<T>(emulator_warp(&x, sizeof x), lane % 32);
}
template <typename T> static inline T __shfl_xor_sync(unsigned mask, T x, unsigned by)
{
    return __shfl_sync(mask, x, (threadIdx.x % 32) ^ by);
}
static inline unsigned __ballot_sync(unsigned mask, int vote)
{
    const char *lanes = emulator_warp(&vote, sizeof vote);
    unsigned bits = 0;
    (void)mask;
    for (unsigned i = 0; i < 32; i++) bits |= (unsigned)(emulator_lane<int>(lanes, i) != 0) << i;
    return bits;
}

static inline int __clz(unsigned x)
{
    return x ? __builtin_clz(x) : 32;
}
static inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}
static inline void __threadfence(void) {}
template <typename T> static inline T atomicAdd(T *p, T x)
{
    T old = *p;
    *p += x;
    return old;
}
template <typename T> static inline T __ldcg(const T *p)
{
    return *p;
}
template <typename T> static inline void __stcs(T *p, const T &x)
{
    *p = x;
}
#define __expf expf
static inline float rsqrtf(float x)
{
    return 1 / sqrtf(x);
}
static inline float __fdividef(float a, float b)
{
    return a / b;
}
static inline uint32_t __float_as_uint(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}
static inline float __uint_as_float(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* --- the host's side ---------------------------------------------------------------------------------------------- */

typedef enum cudaError_t { cudaSuccess, cudaErrorMemoryAllocation = 2 } cudaError_t;
typedef struct emulator_stream *cudaStream_t;
typedef struct emulator_pool *cudaMemPool_t;
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum cudaDeviceAttr {
    cudaDevAttrComputeCapabilityMajor,
    cudaDevAttrComputeCapabilityMinor,
    cudaDevAttrMultiProcessorCount,
    cudaDevAttrMemoryPoolsSupported,
    cudaDevAttrMaxSharedMemoryPerBlockOptin
};
enum { cudaStreamNonBlocking = 1, cudaDeviceScheduleYield = 2, cudaHostAllocMapped = 2 };
enum cudaMemPoolAttr {
    cudaMemPoolAttrReleaseThreshold = 4,
    cudaMemPoolAttrReservedMemCurrent,
    cudaMemPoolAttrUsedMemCurrent = 7
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };

cudaError_t emulator_get(void **memory, size_t bytes);
static inline const char *cudaGetErrorString(cudaError_t e)
{
    return e == cudaSuccess ? "no error" : "out of memory";
}
static inline cudaError_t cudaGetLastError(void)
{
    return cudaSuccess;
}
static inline cudaError_t cudaGetDeviceCount(int *n)
{
    return *n = 1, cudaSuccess;
}
static inline cudaError_t cudaSetDevice(int)
{
    return cudaSuccess;
}
static inline cudaError_t cudaSetDeviceFlags(unsigned)
{
    return cudaSuccess;
}
static inline cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr which, int)
{
    const char *card = getenv("AGRL_EMULATOR_CARD"); /* less: without products of warp groups */
    bool less = card && strcmp(card, "less") == 0;
    const int values[] = {less ? 8 : 9, 0, 4, 1, less ? 99 << 10 : 227 << 10};
    return *value = values[which], cudaSuccess;
}
static inline cudaError_t cudaMemGetInfo(size_t *free, size_t *total)
{
    return *free = *total = (size_t)4 << 30, cudaSuccess;
}
static inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned)
{
    return *s = (cudaStream_t)8, cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream); /* not while it records */
static inline cudaError_t cudaStreamDestroy(cudaStream_t)
{
    return cudaSuccess;
}
static inline cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t *p, int)
{
    return *p = NULL, cudaSuccess;
}
static inline cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t, cudaMemPoolAttr, void *value)
{
    return *(uint64_t *)value = 0, cudaSuccess;
}
static inline cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void *)
{
    return cudaSuccess;
}
static inline cudaError_t cudaMalloc(void **memory, size_t bytes)
{
    return emulator_get(memory, bytes);
}
static inline cudaError_t cudaMallocAsync(void **memory, size_t bytes, cudaStream_t)
{
    return emulator_get(memory, bytes);
}
static inline cudaError_t cudaMallocHost(void **memory, size_t bytes)
{
    return emulator_get(memory, bytes);
}
static inline cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned)
{
    return emulator_get(memory, bytes);
}
static inline cudaError_t cudaHostGetDevicePointer(void **device, void *host, unsigned)
{
    return *device = host, cudaSuccess;
}
static inline cudaError_t cudaFree(void *memory)
{
    return free(memory), cudaSuccess;
}
static inline cudaError_t cudaFreeAsync(void *memory, cudaStream_t)
{
    return free(memory), cudaSuccess;
}
static inline cudaError_t cudaFreeHost(void *memory)
{
    return free(memory), cudaSuccess;
}
static inline cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, cudaMemcpyKind, cudaStream_t)
{
    if (!emulator_record([=] { memmove(to, from, n); })) memmove(to, from, n);
    return cudaSuccess;
}
static inline cudaError_t cudaMemsetAsync(void *to, int value, size_t n, cudaStream_t)
{
    if (!emulator_record([=] { memset(to, value, n); })) memset(to, value, n);
    return cudaSuccess;
}

typedef struct emulator_graph *cudaGraph_t;
typedef struct emulator_graph *cudaGraphExec_t;
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *launch, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t launch, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t launch);
cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute which, int bytes);

#endif
