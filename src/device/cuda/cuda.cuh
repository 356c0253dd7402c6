/* cuda.cuh: what the files of the cuda backend share: its state, errors, launches, and sums in a fixed order.
 *
 * All work goes to one stream. Nothing waits for it but download, sync and sum_squares. Sums never use atomics on floats:
 * warps add by a tree, blocks leave partial sums that the last block to finish adds in their order.
 */
#ifndef AG_DEVICE_CUDA_CUDA_CUH
#define AG_DEVICE_CUDA_CUDA_CUH

#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_runtime.h>
extern "C" {
#include "base/mem.h"
#include "device/device.h"
}

enum { AG_CUDA_THREADS = 256, AG_CUDA_WARPS = AG_CUDA_THREADS / 32 };

/* Scratch memory by use: a slot stays valid until somebody asks for more of it. */
typedef enum ag_cuda_slot {
    AG_CUDA_LOGITS,
    AG_CUDA_DLOGITS,
    AG_CUDA_PARTIAL,
    AG_CUDA_PRODUCTS,
    AG_CUDA_SLOTS
} ag_cuda_slot;

/* A recorded sequence of operations. It runs with the scratch memory of its time; once that grew it is recorded anew. */
enum { AG_CUDA_GRAPHS = 32, AG_CUDA_KEY = 128 };
typedef struct ag_cuda_graph {
    char key[AG_CUDA_KEY];
    size_t bytes;           /* of the key; 0: a free place */
    cudaGraphExec_t launch; /* NULL: seen once, and issued as it came */
    uint64_t used, scratch;
} ag_cuda_graph;

typedef struct ag_cuda {
    cudaStream_t stream;
    struct ag_cuda_products *products; /* matmul.cu */
    int card, processors, shared_most; /* bytes of shared memory that a block can have */
    unsigned early;                    /* 1: kernels are launched before the one before them has ended */
    bool groups;                       /* has products of warp groups (mma.cuh) */
    bool pools;                        /* memory is given and taken in the order of the stream */
    void *scratch[AG_CUDA_SLOTS];
    size_t scratch_bytes[AG_CUDA_SLOTS];
    uint64_t scratch_grown; /* how often */
    ag_cuda_graph graphs[AG_CUDA_GRAPHS], *recording;
    uint64_t graph_clock;
    unsigned *finished;         /* device: blocks that have left their partial sums */
    char *pinned, *pinned_back; /* host: ring of uploads on their way; what a download lands in */
    size_t pinned_used;
    int32_t *fault,
        *fault_device; /* host memory that kernels write: a token id outside the vocabulary, + 1 from 0 on */
} ag_cuda;

/* kernel<<<grid, block, shared, the stream of d>>>(arguments...), and a kernel's dynamic shared memory; tests/emulator has its own.
 * Every kernel begins with ag_after_previous(): from compute capability 9.0 on it is launched while the one before it still runs, so
 * that a chain of small kernels (a decode step has three hundred) does not pay for the way to the card each time. */
#ifndef AG_LAUNCH
#define AG_LAUNCH(kernel, grid, block, shared, d, ...)                                                       \
    ag_cuda_launch(ag_cuda_of(d), kernel, grid, block, shared, __VA_ARGS__)
#define AG_DYNAMIC_SHARED(type, name) extern __shared__ __align__(16) type name[]
#endif

/* Did the launch before this succeed? `err` is the caller's. */
#define AG_LAUNCHED(what) ag_cuda_check(cudaGetLastError(), what, err)

static inline ag_cuda *ag_cuda_of(ag_device *d)
{
    return (ag_cuda *)d->impl;
}

#ifndef AG_EMULATED
template <typename... P, typename... A>
static inline void ag_cuda_launch(ag_cuda *c, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared,
                                  A... arguments)
{
    cudaLaunchAttribute early = {};
    early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    early.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared;
    config.stream = c->stream;
    config.attrs = &early;
    config.numAttrs = c->early;
    cudaLaunchKernelEx(&config, kernel, (P)arguments...); /* AG_LAUNCHED hears of what went wrong */
}
#endif

/* Waits until the kernel before this one has ended and its results can be seen, and lets the next one come as soon as there is room. */
static __device__ inline void ag_after_previous(void)
{
#if defined(AG_EMULATED) || (defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900)
    cudaGridDependencySynchronize();
    cudaTriggerProgrammaticLaunchCompletion();
#endif
}

ag_status ag_cuda_check(cudaError_t status, const char *what, ag_error *err);
ag_status ag_cuda_scratch(ag_device *d, ag_cuda_slot slot, size_t bytes, void **memory, ag_error *err);
/* Lets a kernel have so much dynamic shared memory, besides what it declares. */
ag_status ag_cuda_allow_shared(const void *kernel, size_t bytes, ag_error *err);
/* Waits for the stream and reports what went wrong on it. */
ag_status ag_cuda_wait(ag_cuda *c, ag_error *err);

/* Scratch memory of the head's operations on so many rows, at most (head.cu). */
size_t ag_cuda_head_bytes(int64_t rows, int64_t width, int64_t vocab);

/* matmul.cu: what products need besides the stream. */
ag_status ag_cuda_products_open(ag_device *d, ag_error *err);
void ag_cuda_products_close(ag_device *d);
enum { AG_CUDA_WORKSPACE = 32 << 20 }; /* bytes */

/* norm.cu: sums over rows go through parts, in how many depends on their sizes alone. Block p of them leaves partial[p, width]; then
 * sum[width] += the parts, always in the same order. */
unsigned ag_cuda_parts(int64_t rows, int64_t width);
ag_status ag_cuda_add_parts(ag_device *d, float *sum, const float *partial, unsigned parts, int64_t width,
                            ag_error *err);

/* graph.cu (device.h says what they do). */
ag_status ag_cuda_graph_begin(ag_device *d, const void *key, size_t bytes, bool *replayed, ag_error *err);
ag_status ag_cuda_graph_end(ag_device *d, bool keep, ag_error *err);
void ag_cuda_graph_forget(ag_device *d);

#define AG_CUDA_DECLARE(op) ag_status ag_cuda_##op(ag_device *d, const ag_##op##_args *args, ag_error *err);
AG_DEVICE_OPS(AG_CUDA_DECLARE)
#undef AG_CUDA_DECLARE

/* Bytes of a real or a bf16. */
static __host__ __device__ constexpr int64_t ag_cuda_size(ag_dtype type)
{
    return type == AG_BF16 ? 2 : 4;
}

/* Blocks for n elements, one a thread; kernels go on with a stride of the whole grid. */
static inline unsigned ag_cuda_grid(int64_t n)
{
    int64_t blocks = (n + AG_CUDA_THREADS - 1) / AG_CUDA_THREADS;
    return (unsigned)(blocks < 65535 ? blocks : 65535);
}

#define AG_CUDA_EACH(i, n)                                                                                   \
    for (int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x; i < (n);                                \
         i += (int64_t)gridDim.x * blockDim.x)

/* Row and column of element `at` of rows of `width`. Divisions of 64 bits take longer than what is computed here, so that one of 32 bits is
 * used where it does. */
static __device__ inline void ag_cuda_place(int64_t at, int64_t width, int64_t *row, int64_t *column)
{
    if (at <= UINT32_MAX && width <= UINT32_MAX) {
        uint32_t i = (uint32_t)at / (uint32_t)width;
        *row = i;
        *column = (uint32_t)at - i * (uint32_t)width;
    } else {
        *row = at / width;
        *column = at - *row * width;
    }
}

/* A real or a bf16 at index i. */
static __device__ inline float ag_load(const void *p, ag_dtype type, int64_t i)
{
    return type == AG_BF16 ? __bfloat162float(((const __nv_bfloat16 *)p)[i]) : ((const float *)p)[i];
}

static __device__ inline void ag_store(void *p, ag_dtype type, int64_t i, float x)
{
    if (type == AG_BF16)
        ((__nv_bfloat16 *)p)[i] = __float2bfloat16_rn(x);
    else
        ((float *)p)[i] = x;
}

typedef struct ag_add {
    template <typename T> __device__ T operator()(T a, T b) const { return a + b; }
} ag_add;
typedef struct ag_max {
    template <typename T> __device__ T operator()(T a, T b) const { return a > b ? a : b; }
} ag_max;

/* Every lane gets the result. */
template <typename T, typename Op> static __device__ inline T ag_warp_reduce(T x, Op op)
{
    for (int step = 16; step; step /= 2) x = op(x, __shfl_xor_sync(~0u, x, step));
    return x;
}

/* Every thread of a block of whole warps gets the result. */
template <typename T, typename Op> static __device__ inline T ag_block_reduce(T x, Op op)
{
    __shared__ T part[32];
    int warp = threadIdx.x / 32, warps = blockDim.x / 32;
    x = ag_warp_reduce(x, op);
    __syncthreads(); /* the last result has been read */
    if (threadIdx.x % 32 == 0) part[warp] = x;
    __syncthreads();
    x = part[0];
    for (int i = 1; i < warps; i++) x = op(x, part[i]);
    return x;
}

/* A block's part of sums over rows (ag_cuda_parts): partial[n] = what its warps have left in share[AG_CUDA_WARPS, pitch], added up. */
static __device__ inline void ag_leave_part(float *partial, const float *share, int pitch, int64_t n)
{
    __syncthreads();
    for (int j = threadIdx.x; j < n; j += AG_CUDA_THREADS) {
        float sum = share[j];
        for (int w = 1; w < AG_CUDA_WARPS; w++) sum += share[w * pitch + j];
        partial[j] = sum;
    }
}

/* True in the one block that comes last: it sees what all others wrote before they called this. */
static __device__ inline bool ag_last_block(unsigned *finished, unsigned blocks)
{
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        last = atomicAdd(finished, 1u) == blocks - 1;
        if (last) *finished = 0; /* for the next launch */
    }
    __syncthreads();
    __threadfence();
    return last;
}

#endif
