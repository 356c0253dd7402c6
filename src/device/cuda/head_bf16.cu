/* head_bf16.cu: a bf16 head by warp groups, with logits that never leave the processor (head.cu writes them to memory and reads them back,
 * which takes longer than the product).
 *
 * A block has a tile of rows and of tokens at a time, keeps their logits in registers, and leaves of each row the sum of exp(logit -
 * reference) and, where wanted, these weights. For log-probabilities the reference of a row is the largest logit among its targets, which the
 * others exceed by no more than the log of how unlikely that one is: sums overflow only of rows whose targets are all less likely than 2^-80.
 * Those are computed anew by the kernel that adds up the tiles of a row, in their order.
 */
#include "device/cuda/fours.cuh"
#include "device/cuda/head.cuh"

#ifndef AG_CUDA_SIDE_BY_SIDE /* tests make it small */
#define AG_CUDA_SIDE_BY_SIDE 32
#endif

/* Columns of h and W pass by in stages: AHEAD are on their way, one is worked on, and the one before it may still be read by products that have
 * not ended. SIDE_BY_SIDE tiles of rows take the same tokens before the next tokens come, so that h stays in the cache. */
enum {
    GROUPS = 2, /* of four warps, with 64 rows each */
    THREADS = GROUPS * 128,
    ROWS = GROUPS * 64,
    TOKENS = 256,
    DEPTH = 64,
    STAGES = 4,
    AHEAD = STAGES - 2,
    LEFT = ROWS * DEPTH,
    STAGE = LEFT + TOKENS * DEPTH,
    PIECES = DEPTH / 8,       /* of 16 bytes, of a row */
    ROUND = THREADS / PIECES, /* rows that the block copies at once */
    SIDE_BY_SIDE = AG_CUDA_SIDE_BY_SIDE,
    WARPS = AG_CUDA_WARPS, /* of the other kernels' blocks */
    SUMMED = 32            /* rows of a block that adds up */
};
static const size_t SHARED = (size_t)STAGES * STAGE * sizeof(__nv_bfloat16) + 1024 - 16;
static const float FAR = 80; /* powers of 2 */

typedef struct weighing {
    ag_head_logprob_args x;
    float scale;      /* of products to logits, as powers of 2 */
    float *reference; /* [rows] */
    float *sums,
        *weighted; /* [token_tiles, rows] or NULL: of weights, and of weights times their power of 2 */
    int row_tiles, token_tiles;
} weighing;

/* Where the tile of that number begins. */
typedef struct tile {
    int64_t row, token;
} tile;

static __device__ tile tile_of(const weighing &f, int number)
{
    int all = SIDE_BY_SIDE * f.token_tiles, before = number / all * SIDE_BY_SIDE, left = f.row_tiles - before,
        width = left < SIDE_BY_SIDE ? left : SIDE_BY_SIDE, at = number % all;
    return {(int64_t)(before + at % width) * ROWS, (int64_t)(at / width) * TOKENS};
}

/* What a thread copies next: a piece of every row of h and W that is ROUND from the last. */
typedef struct copying {
    int number;           /* of the tile */
    int64_t column;       /* where what passes by begins */
    int64_t rows, tokens; /* from the thread's first on to the end; not more than there are */
    const __nv_bfloat16 *h, *w;
} copying;

static __device__ void begin_tile(copying &c, const weighing &f)
{
    const ag_head_args &x = f.x.head;
    if (c.number >= f.row_tiles * f.token_tiles) return;
    tile t = tile_of(f, c.number);
    int64_t i = threadIdx.x / PIECES, j = threadIdx.x % PIECES * 8;
    c.column = 0;
    c.rows = x.rows - t.row - i, c.tokens = x.vocab - t.token - i;
    c.h = (const __nv_bfloat16 *)x.h + (t.row + i) * x.width + j;
    c.w = (const __nv_bfloat16 *)x.w + (t.token + i) * x.width + j;
}

/* The next columns of both on their way to a stage, in rows that are swapped about; zeros beyond their ends. */
static __device__ void send(copying &c, const weighing &f, __nv_bfloat16 *stage)
{
    int64_t width = f.x.head.width;
    if (c.number < f.row_tiles * f.token_tiles) {
        int i = threadIdx.x / PIECES, j = threadIdx.x % PIECES * 8;
        bool inside = c.column + j < width;
        __nv_bfloat16 *to = stage + ag_swapped(i, j);
#pragma unroll
        for (int at = 0; at < ROWS; at += ROUND)
            ag_copy_later<16>(to + at * DEPTH, c.h + at * width, inside && at < c.rows);
#pragma unroll
        for (int at = 0; at < TOKENS; at += ROUND)
            ag_copy_later<16>(to + LEFT + at * DEPTH, c.w + at * width, inside && at < c.tokens);
        c.column += DEPTH, c.h += DEPTH, c.w += DEPTH;
        if (c.column >= width) {
            c.number += gridDim.x;
            begin_tile(c, f);
        }
    }
    ag_copies_close(); /* an empty one, too: they are counted */
}

/* A thread's two rows of a tile. */
typedef struct two_rows {
    int64_t row[2];
    bool is[2];
    bool sought;        /* a target of theirs lies in the tile, and its log-probability is wanted */
    bool limited;       /* not all tokens of the tile are allowed */
    float reference[2]; /* as powers of 2 */
    const uint32_t *mask[2];
} two_rows;

static __device__ two_rows look_at_rows(const weighing &f, tile t)
{
    const ag_head_args &x = f.x.head;
    two_rows r;
    r.sought = false, r.limited = t.token + TOKENS > x.vocab;
    for (int h = 0; h < 2; h++) {
        r.row[h] = t.row + threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4 + h * 8;
        r.is[h] = r.row[h] < x.rows;
        r.reference[h] = r.is[h] ? f.reference[r.row[h]] * AG_LOG2E : 0;
        r.mask[h] = r.is[h] ? ag_head_mask(x, r.row[h]) : NULL;
        r.limited = r.limited || r.mask[h];
        if (!r.is[h] || !f.x.logprob) continue;
        for (int32_t at = x.first[r.row[h]]; at < x.first[r.row[h] + 1]; at++)
            r.sought = r.sought || (x.target[at] >= t.token && x.target[at] < t.token + TOKENS);
    }
    return r;
}

/* The largest, or the sum, over the four lanes that share a row. */
template <typename Op> static __device__ inline float over_row(float x, Op op)
{
    x = op(x, __shfl_xor_sync(~0u, x, 1));
    return op(x, __shfl_xor_sync(~0u, x, 2));
}

/* Leaves the logits of targets, as powers of 2, where their log-probabilities will be. */
static __device__ void leave_targets(const weighing &f, const two_rows &r, int64_t token,
                                     const float (&sum)[TOKENS / 8][4])
{
    const ag_head_args &x = f.x.head;
#pragma unroll
    for (int h = 0; h < 2; h++) {
        if (!r.is[h]) continue;
        for (int32_t at = x.first[r.row[h]]; at < x.first[r.row[h] + 1]; at++) {
            int64_t place = x.target[at] - token;
            if (place < 0 || place >= TOKENS || place % 8 / 2 != threadIdx.x % 4) continue;
            float logit = 0;
#pragma unroll
            for (int i = 0; i < TOKENS / 8; i++)
                if (i == place / 8) logit = place % 2 ? sum[i][h * 2 + 1] : sum[i][h * 2];
            ((float *)f.x.logprob)[at] = ag_head_allows(r.mask[h], x.target[at]) ? logit * f.scale
                                                                                 : -INFINITY;
        }
    }
}

/* Four pieces of a row, which four lanes have two values of each: lane t gets all of piece t. */
static __device__ void turn(uint32_t (&piece)[4])
{
    int lane = threadIdx.x % 4;
#pragma unroll
    for (int step = 1; step < 4; step *= 2)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            if (i & step) continue;
            bool upper = lane & step;
            uint32_t other = __shfl_xor_sync(~0u, upper ? piece[i] : piece[i | step], step);
            if (upper)
                piece[i] = other;
            else
                piece[i | step] = other;
        }
}

/* Weights of the tile's logits: stored where they are wanted, and added up. cut: some tokens are not allowed. */
template <bool entropy, bool cut>
static __device__ void weigh(const weighing &f, const two_rows &r, int64_t first_token,
                             float (&sum)[TOKENS / 8][4])
{
    const ag_head_args &x = f.x.head;
    int lane = threadIdx.x % 4;
    float total[2][2] = {}, weighted[2] = {}; /* in two chains: a sum waits for the one before it */
#pragma unroll
    for (int q = 0; q < TOKENS / 32; q++) {
        int64_t token = first_token + q * 32;
        uint32_t pair[2][4];
#pragma unroll
        for (int h = 0; h < 2; h++) {
            uint32_t allowed = ~0u;
            if (cut) {
                allowed = token + 32 <= x.vocab ? ~0u : token < x.vocab ? (1u << (x.vocab - token)) - 1 : 0;
                if (allowed && r.mask[h]) allowed &= r.mask[h][token / 32];
                allowed >>= lane * 2;
            }
#pragma unroll
            for (int i = 0; i < 4; i++) {
                float weight[2];
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    float power = fmaf(sum[q * 4 + i][h * 2 + e], f.scale, -r.reference[h]);
                    weight[e] = ag_exp2(power);
                    if (cut && !(allowed >> (i * 8 + e) & 1)) weight[e] = 0;
                    total[h][e] += weight[e];
                    if (entropy && weight[e] > 0) weighted[h] += weight[e] * power;
                }
                pair[h][i] = ag_pack(weight[0], weight[1]);
            }
        }
        if (!f.x.probability) continue;
#pragma unroll
        for (int h = 0; h < 2; h++) {
            turn(pair[h]);
            if (r.is[h] && (!cut || token + lane * 8 < x.vocab))
                __stcs((uint4 *)((__nv_bfloat16 *)f.x.probability + r.row[h] * x.vocab + token + lane * 8),
                       make_uint4(pair[h][0], pair[h][1], pair[h][2], pair[h][3]));
        }
    }
    if (!f.sums) return;
#pragma unroll
    for (int h = 0; h < 2; h++) {
        float all = over_row(total[h][0] + total[h][1], ag_add());
        if (entropy) weighted[h] = over_row(weighted[h], ag_add());
        if (!r.is[h] || lane != 0) continue;
        int64_t at = first_token / TOKENS * x.rows + r.row[h];
        f.sums[at] = all;
        if (entropy) f.weighted[at] = weighted[h];
    }
}

template <bool entropy> static __global__ void __launch_bounds__(THREADS, 1) head_tiles(weighing f)
{
    AG_DYNAMIC_SHARED(__nv_bfloat16, memory);
    ag_after_previous();
    __nv_bfloat16 *ring = memory + (1024 - (uint32_t)ag_shared_address(memory) % 1024) % 1024 / 2;
    int group = threadIdx.x / 128, stage = 0;
    copying next;
    next.number = blockIdx.x;
    begin_tile(next, f);
    for (int i = 0; i < AHEAD; i++) send(next, f, ring + i * STAGE);
    for (int number = blockIdx.x; number < f.row_tiles * f.token_tiles; number += gridDim.x) {
        tile t = tile_of(f, number);
        two_rows r;
        float sum[TOKENS / 8][4];
        for (int64_t column = 0; column < f.x.head.width; column += DEPTH) {
            const __nv_bfloat16 *left = ring + stage * STAGE + group * 64 * DEPTH,
                                *right = ring + stage * STAGE + LEFT;
            ag_copies_wait<AHEAD - 1>();
            ag_group_see_copies();
            __syncthreads(); /* all have finished with the columns before the last, too */
            ag_group_begin();
#pragma unroll
            for (int k = 0; k < DEPTH / 16; k++) ag_group_by_column(sum, left, right, k, column > 0 || k > 0);
            ag_group_close();
            send(next, f, ring + (stage + AHEAD) % STAGES * STAGE);
            if (column == 0) r = look_at_rows(f, t); /* beside the products */
            ag_group_wait<1>();
            stage = (stage + 1) % STAGES;
        }
        ag_group_finish(sum);
        if (__ballot_sync(~0u, r.sought)) leave_targets(f, r, t.token, sum);
        if (__ballot_sync(~0u, r.limited))
            weigh<entropy, true>(f, r, t.token, sum);
        else
            weigh<entropy, false>(f, r, t.token, sum);
    }
    ag_copies_wait<0>();
}

/* A logit, as a power of 2; the whole warp calls it. */
static __device__ float logit_of(const weighing &f, int64_t row, int64_t token)
{
    const ag_head_args &x = f.x.head;
    float sum = 0;
    for (int64_t k = threadIdx.x % 32 * 8; k < x.width; k += 32 * 8) {
        ag_some<8> h = ag_load_some<8>(x.h, AG_BF16, row * x.width + k),
                   w = ag_load_some<8>(x.w, AG_BF16, token * x.width + k);
        for (int e = 0; e < 8; e++) sum += h.x[e] * w.x[e];
    }
    return ag_warp_reduce(sum, ag_add()) * f.scale;
}

/* A warp a row: the largest logit among its targets; without any, that of the first token that it allows. */
static __global__ void find_references(weighing f)
{
    ag_after_previous();
    const ag_head_args &x = f.x.head;
    int64_t row = blockIdx.x * (int64_t)WARPS + threadIdx.x / 32, token = 0;
    if (row >= x.rows) return;
    const uint32_t *mask = ag_head_mask(x, row);
    float most = -INFINITY;
    for (int32_t t = x.first[row]; t < x.first[row + 1]; t++)
        if (ag_head_allows(mask, x.target[t])) most = fmaxf(most, logit_of(f, row, x.target[t]));
    if (most == -INFINITY) {
        while (token < x.vocab - 1 && !ag_head_allows(mask, token)) token++;
        most = logit_of(f, row, token);
    }
    if (threadIdx.x % 32 == 0) f.reference[row] = most * AG_LN2;
}

/* What a row comes to. */
typedef struct row_total {
    float reference, sum, weighted;
} row_total;

/* The row anew, by the block, with its largest logit as the reference. */
static __device__ row_total again(const weighing &f, int64_t row)
{
    const ag_head_args &x = f.x.head;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const uint32_t *mask = ag_head_mask(x, row);
    row_total s = {-INFINITY, 0, 0};
    for (int64_t j = warp; j < x.vocab; j += WARPS)
        if (ag_head_allows(mask, j)) s.reference = fmaxf(s.reference, logit_of(f, row, j));
    s.reference = ag_block_reduce(s.reference, ag_max()) * AG_LN2;
    for (int64_t j = warp; j < x.vocab; j += WARPS) {
        float power = ag_head_allows(mask, j) ? logit_of(f, row, j) - s.reference * AG_LOG2E : -INFINITY,
              weight = ag_exp2(power);
        if (lane == 0) s.sum += weight;
        if (lane == 0 && weight > 0) s.weighted += weight * power;
        if (lane == 0 && f.x.probability) ag_store(f.x.probability, AG_BF16, row * x.vocab + j, weight);
    }
    s.sum = ag_block_reduce(s.sum, ag_add()), s.weighted = ag_block_reduce(s.weighted, ag_add());
    for (int32_t t = x.first[row] + warp; t < x.first[row + 1]; t += WARPS) {
        float logit = ag_head_allows(mask, x.target[t]) ? logit_of(f, row, x.target[t]) : -INFINITY;
        if (lane == 0) ((float *)f.x.logprob)[t] = logit;
    }
    __syncthreads();
    return s;
}

/* What rounding lets exceed 0; NaN stays. */
static __device__ float at_most_0(float x)
{
    return x > 0 ? 0 : x;
}

/* The row's results; the whole warp calls it. */
static __device__ void leave_row(const weighing &f, int64_t row, row_total s)
{
    int lane = threadIdx.x % 32;
    float log_sum = log2f(s.sum);
    if (lane == 0) {
        ((float *)f.x.lse)[row] = s.reference + log_sum * AG_LN2;
        if (f.x.probability) ((float *)f.x.reference)[row] = s.reference;
        if (f.x.entropy) ((float *)f.x.entropy)[row] = -at_most_0(s.weighted / s.sum - log_sum) * AG_LN2;
    }
    for (int32_t t = f.x.head.first[row] + lane; t < f.x.head.first[row + 1]; t += 32) {
        float *logprob = (float *)f.x.logprob + t;
        *logprob = at_most_0(*logprob - s.reference * AG_LOG2E - log_sum) * AG_LN2;
    }
}

static __global__ void add_tiles(weighing f)
{
    __shared__ float part[2][WARPS][SUMMED];
    ag_after_previous();
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int64_t rows = f.x.head.rows, first = blockIdx.x * (int64_t)SUMMED, row = first + lane;
    float sum = 0, weighted = 0;
    for (int64_t i = warp; i < f.token_tiles && row < rows; i += WARPS) {
        sum += f.sums[i * rows + row];
        if (f.weighted) weighted += f.weighted[i * rows + row];
    }
    part[0][warp][lane] = sum, part[1][warp][lane] = weighted;
    __syncthreads();
    for (int i = 0; i < SUMMED && first + i < rows; i++) {
        row_total s = {f.reference[first + i], 0, 0};
        for (int w = 0; w < WARPS; w++) s.sum += part[0][w][i], s.weighted += part[1][w][i];
        if (s.sum >= exp2f(FAR)) s = again(f, first + i);
        if (i % WARPS == warp) leave_row(f, first + i, s);
    }
}

static int tiles_of(int64_t n, int64_t tile)
{
    return (int)((n + tile - 1) / tile);
}

size_t ag_cuda_head_tiles_bytes(int64_t rows, int64_t vocab)
{
    return (size_t)rows * (size_t)(2 * tiles_of(vocab, TOKENS) + 1) * sizeof(float);
}

bool ag_cuda_head_tiles_can(ag_device *d, const ag_head_args *x, const void *weights)
{
    const ag_cuda *c = ag_cuda_of(d);
    const void *const pieces[] = {x->h, x->w, weights};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        if ((uintptr_t)pieces[i] % 16 != 0) return false;
    return c->groups && (size_t)c->shared_most >= SHARED && x->type == AG_BF16 && x->width % 8 == 0 &&
           x->vocab % 8 == 0;
}

static weighing weighing_of(const ag_head_logprob_args *x)
{
    weighing f = {};
    f.x = *x;
    f.scale = (float)(AG_LOG2E / x->head.temperature);
    f.row_tiles = tiles_of(x->head.rows, ROWS), f.token_tiles = tiles_of(x->head.vocab, TOKENS);
    return f;
}

/* On all processors, or on as many as there are tiles. */
template <bool entropy> static ag_status launch(ag_device *d, const weighing &f, ag_error *err)
{
    int tiles = f.row_tiles * f.token_tiles, most = ag_cuda_of(d)->processors;
    AG_TRY(ag_cuda_allow_shared((const void *)head_tiles<entropy>, SHARED, err));
    AG_LAUNCH(head_tiles<entropy>, (unsigned)(tiles < most ? tiles : most), THREADS, SHARED, d, f);
    return AG_LAUNCHED("head");
}

ag_status ag_cuda_head_tiles(ag_device *d, const ag_head_logprob_args *x, ag_error *err)
{
    int64_t rows = x->head.rows, vocab = x->head.vocab;
    void *memory;
    AG_TRY(ag_cuda_scratch(d, AG_CUDA_LOGITS, ag_cuda_head_tiles_bytes(rows, vocab), &memory, err));
    weighing f = weighing_of(x);
    f.reference = (float *)memory;
    f.sums = f.reference + rows;
    if (x->entropy) f.weighted = f.sums + f.token_tiles * rows;
    AG_LAUNCH(find_references, (unsigned)tiles_of(rows, WARPS), AG_CUDA_THREADS, 0, d, f);
    AG_TRY(AG_LAUNCHED("head"));
    AG_TRY(x->entropy ? launch<true>(d, f, err) : launch<false>(d, f, err));
    AG_LAUNCH(add_tiles, (unsigned)tiles_of(rows, SUMMED), AG_CUDA_THREADS, 0, d, f);
    return AG_LAUNCHED("head");
}

ag_status ag_cuda_head_weights(ag_device *d, const ag_head_args *head, const void *reference, void *weights,
                               ag_error *err)
{
    ag_head_logprob_args x = {};
    x.head = *head;
    x.probability = weights;
    weighing f = weighing_of(&x);
    f.reference = (float *)reference;
    return launch<false>(d, f, err);
}
