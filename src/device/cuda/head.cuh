/* head.cuh: what the files of the vocabulary head share: head.cu, and head_bf16.cu, which has no logits in memory. */
#ifndef AG_DEVICE_CUDA_HEAD_CUH
#define AG_DEVICE_CUDA_HEAD_CUH

#include "device/cuda/cuda.cuh"

/* The mask that applies to a row, NULL for none; and whether it allows a token. */
static __device__ inline const uint32_t *ag_head_mask(const ag_head_args &x, int64_t row)
{
    int32_t mask = x.mask_of ? x.mask_of[row] : -1;
    return mask < 0 ? NULL : x.masks + mask * ((x.vocab + 31) / 32);
}
static __device__ inline bool ag_head_allows(const uint32_t *mask, int64_t token)
{
    return !mask || (mask[token / 32] >> (token % 32) & 1);
}

/* head_bf16.cu. Has the card what it takes, and do all rows begin where 16 bytes can be moved at once? weights: NULL where none are kept. */
bool ag_cuda_head_tiles_can(ag_device *d, const ag_head_args *x, const void *weights);
/* head_logprob, and its scratch memory (AG_CUDA_LOGITS), at most. */
ag_status ag_cuda_head_tiles(ag_device *d, const ag_head_logprob_args *x, ag_error *err);
size_t ag_cuda_head_tiles_bytes(int64_t rows, int64_t vocab);
/* weights [rows, vocab], bf16: exp(logit - reference), 0 for masked tokens. reference: real [rows]. */
ag_status ag_cuda_head_weights(ag_device *d, const ag_head_args *x, const void *reference, void *weights,
                               ag_error *err);

#endif
