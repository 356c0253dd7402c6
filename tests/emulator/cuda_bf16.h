/* cuda_bf16.h: bfloat16 for the emulator. */
#ifndef AG_TESTS_CUDA_BF16_H
#define AG_TESTS_CUDA_BF16_H

#include "cuda_runtime.h"
extern "C" {
#include "device/device.h"
}

struct __nv_bfloat16 {
    uint16_t bits;
};
static inline float __bfloat162float(__nv_bfloat16 x)
{
    return ag_float_from_bf16(x.bits);
}
static inline __nv_bfloat16 __float2bfloat16_rn(float x)
{
    return {ag_bf16_from_float(x)};
}

#include "emulator_mma.h"

#endif
