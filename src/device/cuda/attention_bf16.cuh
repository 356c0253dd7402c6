/* attention_bf16.cuh: what the tensor cores' kernels of attention share, forward (attention_bf16.cu) and backward (attention_bf16_grad.cu).
 *
 * A block of four warps has 64 query rows of a head (forward, dq) or 64 keys of a key head (dk, dv), 16 a warp; what they meet passes by in
 * shared memory, a chunk at a time, one on its way while the other is worked on. The plan's blocks that touch a tile are its only work. Sums
 * of products stand in registers as the next product wants them, so that softmax weights never leave the lane (Dao 2023). A piece that every
 * row reads needs no mask, and most do not: what comes between the products is compiled twice.
 *
 * Each warp has its own products (mma.cuh), or the block is a warp group where the card has those and heads are of 64 or 128: then it takes a chunk
 * at once, and cannot leave out the pieces of it that none of a warp's rows reads.
 */
#ifndef AG_DEVICE_CUDA_ATTENTION_BF16_CUH
#define AG_DEVICE_CUDA_ATTENTION_BF16_CUH

#include "device/cuda/attention.cuh"
#include "device/cuda/mma.cuh"

enum { WARPS = 4, THREADS = WARPS * 32, ROWS = WARPS * 16 };
static_assert((int)ROWS == (int)AG_ATTENTION_TILE, "a block has a tile of the plan");

/* Of heads of k * 16: how many keys or rows pass by at a time, as a matrix in shared memory, and where a value lies in it. Rows are padded by
 * 16 bytes, or swapped about as warp groups want them: the pieces of eight rows never meet in a bank. */
template <int k, bool group> struct shape {
    enum {
        K = k,
        GROUP = group,
        DIM = K * 16,
        PITCH = GROUP ? 64 : DIM + 8,
        CHUNK = GROUP || K <= 4 ? 64 : 32,
        PANEL = CHUNK * PITCH, /* of a group: columns come by 64, panels one after the other */
        PANELS = GROUP ? DIM / PITCH : 1,
        MATRIX = PANELS * PANEL,
        ALIGN = GROUP ? 1024 : 16,
        CHUNKS = 4 * MATRIX /* two of two matrices */
    };
    /* Of shared memory, for a block that keeps so many tiles of its own there; what is lost at the beginning, too. */
    static constexpr size_t bytes(int kept)
    {
        return (size_t)(CHUNKS + (GROUP ? kept * MATRIX : 0)) * 2 + ALIGN - 16;
    }
    static __device__ int place(int row, int column)
    {
        return GROUP ? column / 64 * PANEL + ag_swapped(row, column % 64) : row * PITCH + column;
    }
};

/* Where a block's matrices begin. */
template <typename S> static __device__ __nv_bfloat16 *first_matrix(__nv_bfloat16 *memory)
{
    return memory + (S::ALIGN - (uint32_t)ag_shared_address(memory) % S::ALIGN) % S::ALIGN / 2;
}

struct masked {
    enum { IS = 1 };
};
struct unmasked {
    enum { IS = 0 };
};

/* This warp's 16 of the block's staged rows, as left operands. */
template <typename S> static __device__ void take_left(uint32_t (&left)[S::K][4], const __nv_bfloat16 *staged)
{
    int lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16 + lane % 16;
#pragma unroll
    for (int k = 0; k < S::K; k++) ag_load_tiles(left[k], staged + S::place(row, k * 16 + lane / 16 * 8));
}

/* A tile of the block's own rows, left operands all along: 16 in a warp's registers or, of a group, all in shared memory. */
template <typename S, bool group = S::GROUP> struct own_rows {
    uint32_t left[S::K][4];
};
template <typename S> struct own_rows<S, true> {
    const __nv_bfloat16 *staged;
};

/* sum [16, N * 8] = own [16, DIM] of (N * 8 staged rows [., DIM])'; to be finished where warps are a group. */
template <typename S, int N>
static __device__ void product_by_column(float (&sum)[N][4], const own_rows<S> &own,
                                         const __nv_bfloat16 *staged)
{
    if constexpr (S::GROUP) {
#pragma unroll
        for (int k = 0; k < S::K; k++)
            ag_group_by_column(sum, own.staged + k / 4 * S::PANEL, staged + k / 4 * S::PANEL, k % 4, k > 0);
    } else {
#pragma unroll
        for (int i = 0; i < N; i += 2) {
            for (int e = 0; e < 4; e++) sum[i][e] = sum[i + 1][e] = 0;
#pragma unroll
            for (int k = 0; k < S::K; k++) {
                uint32_t right[4];
                ag_right_by_column(right, staged + i * 8 * S::PITCH + k * 16, S::PITCH);
                ag_mma(sum[i], own.left[k], right[0], right[1]);
                ag_mma(sum[i + 1], own.left[k], right[2], right[3]);
            }
        }
    }
}

/* Sums [16, N * 8] as the left operands of the next product. */
template <int N> static __device__ void left_of(uint32_t (&left)[N / 2][4], const float (&sum)[N][4])
{
#pragma unroll
    for (int i = 0; i < N / 2; i++) ag_left_of(left[i], sum[2 * i], sum[2 * i + 1]);
}

/* sum [16, DIM] += weights [16, N * 16] of N * 16 staged rows [., DIM]; to be finished where warps are a group. */
template <typename S, int N>
static __device__ void product_by_row(float (&sum)[S::K * 2][4], const uint32_t (&weights)[N][4],
                                      const __nv_bfloat16 *staged)
{
#pragma unroll
    for (int i = 0; i < N; i++) {
        if constexpr (S::GROUP) {
#pragma unroll
            for (int panel = 0; panel < S::PANELS; panel++)
                ag_group_by_row(*(float(*)[8][4])sum[panel * 8], weights[i],
                                staged + panel * S::PANEL + i * 16 * S::PITCH);
        } else {
#pragma unroll
            for (int k = 0; k < S::K; k++) {
                uint32_t right[4];
                ag_right_by_row(right, staged + i * 16 * S::PITCH + k * 16, S::PITCH);
                ag_mma(sum[2 * k], weights[i], right[0], right[1]);
                ag_mma(sum[2 * k + 1], weights[i], right[2], right[3]);
            }
        }
    }
}

/* Around products of a group, of which all sums are named; where each warp has its own nothing is to be done. */
template <typename S> static __device__ void begin_products(void)
{
    if constexpr (S::GROUP) ag_group_begin();
}
template <int N> static __device__ void finish_panels(float (&sum)[N][4])
{
#pragma unroll
    for (int i = 0; i < N; i += 8) ag_group_finish(*(float(*)[8][4])sum[i]);
}
template <typename S, typename... Sums> static __device__ void finish_products(Sums &...sums)
{
    if constexpr (S::GROUP) {
        ag_group_close();
        (finish_panels(sums), ...);
    }
}

/* The largest, or the sum, over the four lanes that share a row of a product. */
static __device__ inline float row_max(float x)
{
    x = fmaxf(x, __shfl_xor_sync(~0u, x, 1));
    return fmaxf(x, __shfl_xor_sync(~0u, x, 2));
}
static __device__ inline float row_sum(float x)
{
    x += __shfl_xor_sync(~0u, x, 1);
    return x + __shfl_xor_sync(~0u, x, 2);
}

/* Columns [column, column + DIM) of rows [row, row + n) of bf16, ld apart, on their way into `count` rows of shared memory; zeros from n on. */
template <typename S, int count>
static __device__ void fetch(__nv_bfloat16 *to, const __nv_bfloat16 *from, int64_t ld, int64_t row,
                             int64_t column, int n)
{
    enum { PIECES = S::K * 2, ROUND = THREADS / PIECES }; /* of 16 bytes; rows at a time */
    static_assert(!S::GROUP || ROUND % 8 == 0, "rows of a thread are swapped alike");
    int i = threadIdx.x / PIECES, j = threadIdx.x % PIECES * 8;
    if (THREADS % PIECES != 0 && i >= ROUND) return;
    int64_t step = ROUND * ld;
    from += (row + i) * ld + column + j;
    to += S::place(i, j);
    auto copy = [&](auto cut) {
#pragma unroll
        for (int at = 0; at < count; at += ROUND, from += step)
            if (count % ROUND == 0 || at + i < count)
                ag_copy_later<16>(to + at * S::PITCH, from, !cut.IS || at + i < n);
    };
    if (n == count)
        copy(unmasked());
    else
        copy(masked());
}

/* Waits for all copies of the block's threads; then its products can have what they brought. */
template <typename S> static __device__ void receive(void)
{
    ag_copies_wait<0>();
    if constexpr (S::GROUP) ag_group_see_copies();
    __syncthreads();
}

/* The block's n rows from `row` on, into `memory`; it is free again at the next barrier. */
template <typename S>
static __device__ void stage(__nv_bfloat16 *memory, const __nv_bfloat16 *from, int64_t ld, int64_t row,
                             int64_t column, int n)
{
    __syncthreads(); /* what was here has been taken */
    fetch<S, ROWS>(memory, from, ld, row, column, n);
    ag_copies_close();
    receive<S>();
}

/* The same, as the block's tile number `which`. memory: first_matrix. */
template <typename S>
static __device__ void stage_own(own_rows<S> &own, int which, __nv_bfloat16 *memory,
                                 const __nv_bfloat16 *from, int64_t ld, int64_t row, int64_t column, int n)
{
    if constexpr (S::GROUP) {
        static_assert((int)S::CHUNK == (int)ROWS, "a tile is as large as a chunk");
        memory += S::CHUNKS + which * S::MATRIX;
        own.staged = memory;
    }
    stage<S>(memory, from, ld, row, column, n);
    if constexpr (!S::GROUP) take_left<S>(own.left, memory);
}

/* The warp's 16 rows of such a tile, in registers. */
template <typename S> static __device__ void left_rows(uint32_t (&left)[S::K][4], const own_rows<S> &own)
{
    if constexpr (S::GROUP)
        take_left<S>(left, own.staged);
    else
#pragma unroll
        for (int k = 0; k < S::K; k++)
#pragma unroll
            for (int i = 0; i < 4; i++) left[k][i] = own.left[k][i];
}

/* A piece of the keys that a block's rows read: [k0, stop), by block `at` of its list of `count`. */
typedef struct key_walk {
    int at, k0, stop;
} key_walk;

static __device__ inline bool open_block(key_walk &w, const ag_attention_block *list, int count, int64_t end)
{
    for (; w.at < count; w.at++) {
        const ag_attention_block &b = list[w.at];
        w.k0 = b.k0, w.stop = (int)ag_key_end(b, (b.q1 < end ? b.q1 : end) - 1);
        if (w.k0 < w.stop) return true;
    }
    return false;
}

/* One past the last key that row q reads by block b; not beyond its first key where it reads none. */
static __device__ inline int keys_end(const ag_attention_block &b, int q)
{
    return q < b.q0 || q >= b.q1 ? b.k0 : (int)ag_key_end(b, q);
}

/* What a block of forward or dq works on. Tiles come from the last to the first, each with all of its heads: a sequence's last rows read the
 * most keys, and where blocks with little to do come last no processor waits long for the others. */
typedef struct row_tile {
    int tile, head, column, kv_column; /* where the columns of the head and of its key head begin */
    int64_t first, end;                /* rows */
    int row[2];                        /* the thread's */
} row_tile;

/* x: the arguments of either pass. */
template <typename X> static __device__ row_tile this_tile(const X &x, int64_t rows)
{
    row_tile t;
    t.head = (int)(blockIdx.x % x.heads);
    t.tile = (int)((gridDim.x - 1 - blockIdx.x) / x.heads);
    t.column = t.head * x.head_dim, t.kv_column = t.head / (x.heads / x.kv_heads) * x.head_dim;
    t.first = t.tile * (int64_t)ROWS, t.end = t.first + ROWS < rows ? t.first + ROWS : rows;
    t.row[0] = (int)t.first + threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4, t.row[1] = t.row[0] + 8;
    return t;
}
static inline unsigned tile_grid(int64_t rows, int heads)
{
    return (unsigned)((rows + ROWS - 1) / ROWS * heads);
}

/* n keys from k0 on and their values, of the tile's key head, on their way into a buffer. */
template <typename S, typename X>
static __device__ void send_keys(const X &x, const row_tile &t, int k0, int n, __nv_bfloat16 *to)
{
    fetch<S, S::CHUNK>(to, (const __nv_bfloat16 *)x.k, x.kv_ld, k0, t.kv_column, n);
    fetch<S, S::CHUNK>(to + S::MATRIX, (const __nv_bfloat16 *)x.v, x.kv_ld, k0, t.kv_column, n);
    ag_copies_close();
}

/* Walks over the keys that the tile's rows read: work(keys, values, seen) uses a chunk of them, of which the thread's two rows read the first
 * `seen` (more than there are: all; negative: none). The whole block calls it. */
template <typename S, typename X, typename Work>
static __device__ void each_chunk(const X &x, const ag_attention_plan &plan, const row_tile &t,
                                  ag_attention_block *list, __nv_bfloat16 *memory, Work work)
{
    enum { CHUNK = S::CHUNK, MATRIX = S::MATRIX };
    int32_t last = plan.tile_first[t.tile + 1];
    for (int32_t entry = plan.tile_first[t.tile]; entry < last; entry += THREADS) {
        int count = ag_collect(list, plan, plan.tile_block, entry, last, {t.first, t.end}, {0, plan.keys}),
            turn = 0;
        int known = -1, end[2] = {}; /* of list[known] */
        key_walk now = {0, 0, 0};
        auto length = [](const key_walk &w) { return w.stop - w.k0 < CHUNK ? w.stop - w.k0 : CHUNK; };
        bool more = open_block(now, list, count, t.end);
        /* ag_collect ends with a barrier: both buffers are free */
        if (more) send_keys<S>(x, t, now.k0, length(now), memory);
        for (; more; turn ^= 1) {
            key_walk next = now;
            next.k0 += CHUNK;
            more = next.k0 < next.stop || (next.at++, open_block(next, list, count, t.end));
            if (now.at != known) {
                known = now.at;
                for (int h = 0; h < 2; h++) end[h] = keys_end(list[known], t.row[h]);
            }
            const int seen[2] = {end[0] - now.k0, end[1] - now.k0};
            const __nv_bfloat16 *keys = memory + turn * 2 * MATRIX;
            receive<S>(); /* and the other buffer has been worked on */
            if (more) send_keys<S>(x, t, next.k0, length(next), memory + (turn ^ 1) * 2 * MATRIX);
            work(keys, keys + MATRIX, seen);
            now = next;
        }
    }
}

/* Heads that the tensor cores' kernels take. */
static inline bool known_head(int dim)
{
    return dim == 16 || dim == 32 || dim == 64 || dim == 96 || dim == 128;
}

/* Do rows of bf16 begin where 16 bytes can be moved at once? */
static inline bool whole_pieces(const void *p, int64_t ld)
{
    return (uintptr_t)p % 16 == 0 && ld % 8 == 0;
}

static inline ag_status refuse_layout(ag_error *err)
{
    return ag_fail(err, AG_ERR_INTERNAL,
                   "device 'cuda': attention of bf16 with heads or rows that its kernels do not take");
}

/* run<shape of the heads on this card>(d, x, err). */
#define BY_HEAD(run, d, x, err)                                                                              \
    ((x)->head_dim == 16                            ? run<shape<1, false>>(d, x, err)                        \
     : (x)->head_dim == 32                          ? run<shape<2, false>>(d, x, err)                        \
     : (x)->head_dim == 64 && ag_cuda_of(d)->groups ? run<shape<4, true>>(d, x, err)                         \
     : (x)->head_dim == 64                          ? run<shape<4, false>>(d, x, err)                        \
     : (x)->head_dim == 96                          ? run<shape<6, false>>(d, x, err)                        \
     : ag_cuda_of(d)->groups                        ? run<shape<8, true>>(d, x, err)                         \
                                                    : run<shape<8, false>>(d, x, err))

#endif
