/* attention.cuh: what the fp32 kernels (attention.cu) and those of the tensor cores (attention_bf16.cu) share: the walk over a plan's
 * blocks, and the slices in which the backward pass sums what many query rows give to the same keys.
 */
#ifndef AG_DEVICE_CUDA_ATTENTION_CUH
#define AG_DEVICE_CUDA_ATTENTION_CUH

#include "device/cuda/cuda.cuh"

/* One past the last key of block b that row q reads. */
static __device__ inline int64_t ag_key_end(const ag_attention_block &b, int64_t q)
{
    int64_t end = (int64_t)b.k0 + b.diagonal + (q - b.q0) + 1;
    return end < b.k1 ? end : b.k1;
}

/* A span of rows or keys. */
typedef struct ag_range {
    int64_t begin, end;
} ag_range;

/* The blocks among the next blockDim.x entries (of index, or of all blocks where it is NULL) that touch `rows` and `keys`, in order: into
 * list, in shared memory; returns their number. The whole block calls it. */
static __device__ inline int ag_collect(ag_attention_block *list, const ag_attention_plan &plan,
                                        const int32_t *index, int64_t begin, int64_t end, ag_range rows,
                                        ag_range keys)
{
    __shared__ int counts[AG_CUDA_WARPS];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    int64_t at = begin + threadIdx.x;
    ag_attention_block b = {};
    bool touches = false;
    if (at < end) {
        b = plan.blocks[index ? index[at] : at];
        touches = b.q0 < rows.end && b.q1 > rows.begin && b.k0 < keys.end && b.k1 > keys.begin;
    }
    unsigned vote = __ballot_sync(~0u, touches);
    __syncthreads(); /* the last list has been read */
    if (lane == 0) counts[warp] = __popc(vote);
    __syncthreads();
    int slot = __popc(vote & ((1u << lane) - 1)), total = 0;
    for (int w = 0; w < warps; w++) {
        if (w < warp) slot += counts[w];
        total += counts[w];
    }
    if (touches) list[slot] = b;
    __syncthreads();
    return total;
}

/* Where the sums of slices lie: reals [slices, keys, kv_heads * dim] of dk, then of dv; touched [slices, key tiles, kv_heads] says
 * which were written. One slice writes to dk and dv themselves. */
typedef struct ag_slices {
    int count, tile; /* tile: keys of a key tile */
    int64_t rows;    /* of a slice */
    void *dk, *dv;
    ag_dtype type; /* of dk and dv */
    uint8_t *touched;
} ag_slices;

/* Shares the scratch out: deltas [heads, rows], then the sums of slices where there are several. */
ag_status ag_cuda_cut_slices(ag_device *d, const ag_attention_grad_args *x, int tile, float **deltas,
                             ag_slices *s, ag_error *err);
size_t ag_cuda_slices_bytes(int64_t rows, int64_t keys, int heads, int kv_heads, int head_dim, int tile);
/* Adds the slices in their order; nothing where there is one. */
ag_status ag_cuda_add_slices(ag_device *d, const ag_attention_grad_args *x, const ag_slices *s,
                             ag_error *err);

/* BF16 where the tensor cores' kernels take heads of that size: 16, 32, 64, 96, 128. */
ag_dtype ag_cuda_kept_type(ag_dtype type, int head_dim);

/* On tensor cores: everything of bf16 but lse, in rows that begin at 16 bytes. */
ag_status ag_cuda_attention_bf16(ag_device *d, const ag_attention_args *x, ag_error *err);
ag_status ag_cuda_attention_grad_bf16(ag_device *d, const ag_attention_grad_args *x, ag_error *err);

#endif
