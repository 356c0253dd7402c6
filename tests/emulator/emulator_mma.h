/* emulator_mma.h: the operations of src/device/cuda/mma.cuh, written from their definition: every lane looks at what all lanes hold. */
#ifndef AG_TESTS_EMULATOR_MMA_H
#define AG_TESTS_EMULATOR_MMA_H

#define AG_MMA

static inline uint32_t ag_shared_address(const void *p)
{
    return (uint32_t)(uintptr_t)p;
}

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

/* Products of a warp group, by its warps one by one; what they would read too early is not found here. */
static inline void ag_group_begin(void) {}
static inline void ag_group_close(void) {}
template <int open> static inline void ag_group_wait(void) {}
template <int N> static inline void ag_group_finish(float (&)[N][4]) {}
static inline void ag_group_see_copies(void) {}

/* A value of rows of 128 bytes: address bits 4 to 6 are found at their exclusive or with bits 7 to 9. */
static inline uint16_t emulator_swapped(const __nv_bfloat16 *rows, int row, int column)
{
    unsigned at = (unsigned)(row * 128 + column * 2);
    if ((uintptr_t)rows % 1024)
        fprintf(stderr, "emulator: a warp group's operand that is not aligned\n"), abort();
    return rows[(at ^ (at >> 3 & 0x70)) / 2].bits;
}

/* N * 8 columns; a block may be several groups. */
template <int N>
static inline void ag_group_by_column(float (&sum)[N][4], const __nv_bfloat16 *left,
                                      const __nv_bfloat16 *rows, int k, bool add)
{
    for (int i = 0; i < N * 4; i++) {
        int row = (int)(threadIdx.x / 32 % 4 * 16 + threadIdx.x % 32 / 4) + i % 4 / 2 * 8,
            column = i / 4 * 8 + (int)threadIdx.x % 4 * 2 + i % 2;
        if (!add) sum[i / 4][i % 4] = 0;
        for (int at = k * 16; at < k * 16 + 16; at++)
            sum[i / 4][i % 4] += __uint_as_float((uint32_t)emulator_swapped(left, row, at) << 16) *
                                 __uint_as_float((uint32_t)emulator_swapped(rows, column, at) << 16);
    }
}
static inline void ag_group_by_row(float (&sum)[8][4], const uint32_t (&left)[4], const __nv_bfloat16 *rows)
{
    struct held {
        uint32_t left[4];
    } mine = {{left[0], left[1], left[2], left[3]}};
    const char *lanes = emulator_warp(&mine, sizeof mine);
    unsigned lane = threadIdx.x % 32;
    for (int k = 0; k < 16; k++) {
        held a = emulator_lane<held>(lanes, lane / 4 * 4 + (unsigned)(k % 8 / 2));
        for (int i = 0; i < 32; i++)
            sum[i / 4][i % 4] +=
                emulator_half(a.left[i % 4 / 2 + k / 8 * 2], k % 2) *
                __uint_as_float((uint32_t)emulator_swapped(rows, k, i / 4 * 8 + (int)lane % 4 * 2 + i % 2)
                                << 16);
    }
    __syncwarp(); /* all have read before any goes on */
}

#endif
