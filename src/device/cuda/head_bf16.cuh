/* head_bf16.cuh: a bf16 head without logits in memory, where a card has products of warp groups. */
#ifndef AG_DEVICE_CUDA_HEAD_BF16_CUH
#define AG_DEVICE_CUDA_HEAD_BF16_CUH

#include "device/cuda/cuda.cuh"

/* Has the card what it takes, and do all rows begin where 16 bytes can be moved at once? weights: NULL where none are kept. */
bool ag_cuda_head_tiles_can(ag_device *d, const ag_head_args *x, const void *weights);
/* head_logprob, and its scratch memory (AG_CUDA_LOGITS), at most. */
ag_status ag_cuda_head_tiles(ag_device *d, const ag_head_logprob_args *x, ag_error *err);
size_t ag_cuda_head_tiles_bytes(int64_t rows, int64_t vocab);
/* weights [rows, vocab], bf16: exp(logit - reference), 0 for masked tokens. reference: real [rows]. */
ag_status ag_cuda_head_weights(ag_device *d, const ag_head_args *x, const void *reference, void *weights,
                               ag_error *err);

#endif
