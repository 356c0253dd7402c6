/* dequant.h: how numbers are stored in model files, and turning them into floats.
 *
 * Private to src/model. Files are little-endian whatever the machine, so everything is read byte by byte; the
 * compilers turn that into plain loads where they can.
 */
#ifndef AG_MODEL_DEQUANT_H
#define AG_MODEL_DEQUANT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

typedef enum ag_stored {
    AG_STORED_F32,
    AG_STORED_F16,
    AG_STORED_BF16,
    AG_STORED_Q8_0, /* 32 weights: f16 scale d, int8 q; w = d q */
    AG_STORED_Q4_0, /* 32 weights: f16 scale d, 4-bit q; w = d (q - 8) */
    AG_STORED_Q4_1, /* 32 weights: f16 scale d, f16 offset m, 4-bit q; w = d q + m */
    AG_STORED_OTHER /* known to exist, not read */
} ag_stored;

/* "F32", "Q4_1"... */
const char *ag_stored_name(ag_stored type);
/* Weights a block and bytes a block; 0 bytes for AG_STORED_OTHER. */
int ag_stored_block(ag_stored type);
int ag_stored_bytes(ag_stored type);

/* n weights (a multiple of the block) at src as floats. src needs no alignment. */
void ag_stored_to_float(ag_stored type, const unsigned char *src, int64_t n, float *dst);

/* Little-endian numbers in files. */
static inline uint16_t ag_le16(const unsigned char *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t ag_le32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t ag_le64(const unsigned char *p)
{
    return (uint64_t)ag_le32(p) | (uint64_t)ag_le32(p + 4) << 32;
}
static inline float ag_float_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}
static inline uint32_t ag_bits_of_float(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* IEEE half precision, exactly (subnormals, infinities and NaN included). */
float ag_half_to_float(uint16_t h);
/* Round to nearest, ties to even; a NaN stays a (quiet) NaN. */
uint16_t ag_float_to_bf16(float f);

#endif
