/* emulator_mma.h: the operations of src/device/cuda/mma.cuh, written from their definition: every lane looks at what all lanes hold. */
#ifndef AG_TESTS_EMULATOR_MMA_H
#define AG_TESTS_EMULATOR_MMA_H

#define AG_MMA

static inline float emulator_half(uint32_t both, int which)
{
    return __uint_as_float(which ? both & 0xffff0000u : both << 16);
}

static inline void ag_mma(float (&sum)[4], const uint32_t (&left)[4], uint32_t right0, uint32_t right1)
{
    struct held {
        uint32_t left[4], right[2];
    } mine = {{left[0], left[1], left[2], left[3]}, {right0, right1}};
    const char *lanes = emulator_warp(&mine, sizeof mine);
    int lane = (int)threadIdx.x % 32;
    for (int i = 0; i < 4; i++) {
        int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
        for (int k = 0; k < 16; k++) {
            unsigned among = (unsigned)(k % 8 / 2);
            held a = emulator_lane<held>(lanes, (unsigned)(row % 8 * 4) + among),
                 b = emulator_lane<held>(lanes, (unsigned)(column * 4) + among);
            sum[i] += emulator_half(a.left[row / 8 + k / 8 * 2], k % 2) *
                      emulator_half(b.right[k / 8], k % 2);
        }
    }
}

static inline void emulator_tiles(uint32_t (&tile)[4], const __nv_bfloat16 *row, bool turned)
{
    if ((uintptr_t)row % 16) fprintf(stderr, "emulator: a row of a tile that is not aligned\n"), abort();
    const char *lanes = emulator_warp(&row, sizeof row);
    unsigned lane = threadIdx.x % 32, g = lane / 4, t = lane % 4 * 2;
    for (unsigned m = 0; m < 4; m++) {
        uint32_t value[2];
        for (unsigned i = 0; i < 2; i++) {
            unsigned r = turned ? t + i : g, c = turned ? g : t + i;
            value[i] = emulator_lane<const __nv_bfloat16 *>(lanes, m * 8 + r)[c].bits;
        }
        tile[m] = value[0] | value[1] << 16;
    }
    __syncwarp(); /* all have read before any goes on */
}

static inline void ag_load_tiles(uint32_t (&tile)[4], const __nv_bfloat16 *row)
{
    emulator_tiles(tile, row, false);
}
static inline void ag_load_turned(uint32_t (&tile)[4], const __nv_bfloat16 *row)
{
    emulator_tiles(tile, row, true);
}

static inline float ag_exp2(float x)
{
    return exp2f(x);
}

/* Copies happen when they are waited for: who looks earlier sees what was there before. */
void emulator_copy(void *to, const void *from, int bytes, bool is);
void emulator_copies_close(void);
void emulator_copies_wait(int open);
template <int bytes> static inline void ag_copy_later(void *to, const void *from, bool is)
{
    emulator_copy(to, from, bytes, is);
}
static inline void ag_copies_close(void)
{
    emulator_copies_close();
}
template <int open> static inline void ag_copies_wait(void)
{
    emulator_copies_wait(open);
}

static inline uint32_t ag_pack(float first, float second)
{
    return __float2bfloat16_rn(first).bits | (uint32_t)__float2bfloat16_rn(second).bits << 16;
}

#endif
