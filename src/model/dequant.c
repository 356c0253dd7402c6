/* dequant.c: see dequant.h. The block layouts are those of GGML, written down from the format itself: a block
 * is 32 weights of one row, its scale first. In the 4-bit types byte j holds weight j in the low half and
 * weight j + 16 in the high half.
 */
#include "model/dequant.h"

enum { BLOCK = 32 };

static const struct {
    const char *name;
    int block, bytes;
} types[] = {
    [AG_STORED_F32] = {"F32", 1, 4},
    [AG_STORED_F16] = {"F16", 1, 2},
    [AG_STORED_BF16] = {"BF16", 1, 2},
    [AG_STORED_Q8_0] = {"Q8_0", BLOCK, 34},
    [AG_STORED_Q4_0] = {"Q4_0", BLOCK, 18},
    [AG_STORED_Q4_1] = {"Q4_1", BLOCK, 20},
    [AG_STORED_OTHER] = {"another type", 1, 0},
};

const char *ag_stored_name(ag_stored type)
{
    return types[type].name;
}

int ag_stored_block(ag_stored type)
{
    return types[type].block;
}

int ag_stored_bytes(ag_stored type)
{
    return types[type].bytes;
}

float ag_half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t exponent = h >> 10 & 31, mantissa = h & 0x3ff;
    if (exponent == 31) return ag_float_of_bits(sign | 0x7f800000 | mantissa << 13);
    if (exponent > 0) return ag_float_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);
    /* Subnormal: mantissa * 2^-24, exact in float. */
    float value = (float)mantissa * 0x1p-24f;
    return sign ? -value : value;
}

uint16_t ag_float_to_bf16(float f)
{
    uint32_t bits = ag_bits_of_float(f);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Scale times a small integer is exact in float (11 + 8 bits), so no order of operations can change a
 * result. */
static void blocks_to_float(ag_stored type, const unsigned char *src, int64_t n, float *dst)
{
    int bytes = types[type].bytes;
    for (int64_t i = 0; i < n; i += BLOCK, src += bytes, dst += BLOCK) {
        float scale = ag_half_to_float(ag_le16(src));
        if (type == AG_STORED_Q8_0) {
            for (int j = 0; j < BLOCK; j++) dst[j] = scale * (float)(int8_t)src[2 + j];
            continue;
        }
        bool offset = type == AG_STORED_Q4_1;
        const unsigned char *q = src + (offset ? 4 : 2);
        float add = offset ? ag_half_to_float(ag_le16(src + 2)) : 0.0f;
        int centre = offset ? 0 : 8;
        for (int j = 0; j < BLOCK / 2; j++) {
            dst[j] = scale * (float)((q[j] & 15) - centre) + add;
            dst[j + BLOCK / 2] = scale * (float)((q[j] >> 4) - centre) + add;
        }
    }
}

void ag_stored_to_float(ag_stored type, const unsigned char *src, int64_t n, float *dst)
{
    switch (type) {
    case AG_STORED_F32:
        for (int64_t i = 0; i < n; i++) dst[i] = ag_float_of_bits(ag_le32(src + 4 * i));
        break;
    case AG_STORED_F16:
        for (int64_t i = 0; i < n; i++) dst[i] = ag_half_to_float(ag_le16(src + 2 * i));
        break;
    case AG_STORED_BF16:
        for (int64_t i = 0; i < n; i++) dst[i] = ag_float_of_bits((uint32_t)ag_le16(src + 2 * i) << 16);
        break;
    case AG_STORED_Q8_0:
    case AG_STORED_Q4_0:
    case AG_STORED_Q4_1: blocks_to_float(type, src, n, dst); break;
    case AG_STORED_OTHER: break;
    }
}
