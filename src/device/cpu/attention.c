/* attention.c: forest attention of the cpu backend, forward and backward.
 *
 * Work is cut into tiles of 64 query rows. A tile walks the blocks of its plan that touch it (its ancestors, each once) in
 * chunks of keys; chunks of scores live on the thread's stack-sized scratch, so memory stays linear in tokens and cost
 * follows the sum of path lengths. Heads that share a key head share the transposed keys. The backward pass gives each of a
 * fixed number of slices of tiles its own dk and dv, added in order at the end: no atomics, the same bytes whatever the
 * number of threads. Flash attention (Dao et al. 2022) is the idea; trees and slices are ours.
 */
#include "device/cpu/cpu.h"

#include <math.h>
#include <string.h>
#include "base/mem.h"

enum { CHUNK = 128, TILE = AG_ATTENTION_TILE, VECTORS = 32 };

/* Scores of n keys are computed for a whole number of vectors: columns past n are there (a chunk is wide) and never read. */
static int padded(int n)
{
    return (n + VECTORS - 1) / VECTORS * VECTORS;
}

static int64_t key_end(const ag_attention_block *block, int64_t q)
{
    int64_t end = (int64_t)block->k0 + block->diagonal + (q - block->q0) + 1;
    return end < block->k1 ? end : block->k1;
}

/* The rows [r0, r1) of a tile that a block serves and the keys that the last of them reaches. */
typedef struct span {
    int64_t r0, r1, k0, k1;
} span;

static span block_span(const ag_attention_block *block, int64_t tile_begin, int64_t tile_end)
{
    span s = {block->q0 > tile_begin ? block->q0 : tile_begin, block->q1 < tile_end ? block->q1 : tile_end,
              block->k0, block->k1};
    if (s.r1 > s.r0) s.k1 = key_end(block, s.r1 - 1);
    return s;
}

static int64_t tile_end(const ag_attention_plan *plan, int tile)
{
    int64_t end = (int64_t)(tile + 1) * TILE;
    return end < plan->rows ? end : plan->rows;
}

/* Scratch of one thread. */
typedef struct forward_scratch {
    float *keys, *scores, *sum, *max,
        *total; /* keys [dim, CHUNK]; scores [TILE, CHUNK]; sum [heads, TILE, dim]; [heads, TILE] */
} forward_scratch;

/* Adds keys [k0, k0 + n) to the running softmax of rows [s.r0, s.r1) of one head. */
static void forward_chunk(const ag_cpu_kernels *k, const ag_attention_args *x,
                          const ag_attention_block *block, span s, int64_t k0, int n, int64_t first, int head,
                          int kv, const forward_scratch *f, float *max, float *total, float *sum)
{
    int dim = x->head_dim, rows = (int)(s.r1 - s.r0);
    const float *values = (const float *)x->v + k0 * x->kv_ld + kv * dim;
    k->gemm(rows, padded(n), dim, (const float *)x->q + s.r0 * x->q_ld + head * dim, x->q_ld, 1, f->keys,
            CHUNK, f->scores, CHUNK, false);
    for (int i = 0; i < rows; i++) {
        float *score = f->scores + i * CHUNK;
        int64_t at = s.r0 - first + i, live = key_end(block, s.r0 + i) - k0;
        if (live > n) live = n;
        if (live > 0) {
            float high = k->max(score, live) * (float)x->scale;
            if (high > max[at]) {
                float shrink = expf(max[at] - high);
                total[at] *= shrink;
                k->scale(sum + at * dim, dim, shrink);
                max[at] = high;
            }
            total[at] += k->exp_sum(score, score, live, (float)x->scale, max[at]);
        }
        if (live < n)
            memset(score + (live > 0 ? live : 0), 0, (size_t)(n - (live > 0 ? live : 0)) * sizeof *score);
    }
    k->gemm(rows, dim, n, f->scores, CHUNK, 1, values, x->kv_ld, sum + (s.r0 - first) * dim, dim, true);
}

/* Rows [first, end) of a tile, for the heads of one key head. */
static void forward_rows(const ag_cpu *cpu, const ag_attention_args *x, int tile, int64_t first, int64_t end,
                         int kv, const forward_scratch *f)
{
    const ag_attention_plan *plan = x->plan;
    int dim = x->head_dim, heads = x->heads / x->kv_heads, head0 = kv * heads;
    for (int i = 0; i < heads * TILE; i++) f->max[i] = -INFINITY, f->total[i] = 0;
    memset(f->sum, 0, (size_t)(heads * TILE * dim) * sizeof *f->sum);
    for (int32_t b = plan->tile_first[tile]; b < plan->tile_first[tile + 1]; b++) {
        const ag_attention_block *block = &plan->blocks[plan->tile_block[b]];
        span s = block_span(block, first, end);
        for (int64_t k0 = s.k0; k0 < s.k1 && s.r0 < s.r1; k0 += CHUNK) {
            int n = (int)(s.k1 - k0 < CHUNK ? s.k1 - k0 : CHUNK);
            cpu->k->transpose(f->keys, CHUNK, (const float *)x->k + k0 * x->kv_ld + kv * dim, x->kv_ld, n,
                              dim);
            for (int h = 0; h < heads; h++)
                forward_chunk(cpu->k, x, block, s, k0, n, first, head0 + h, kv, f, f->max + h * TILE,
                              f->total + h * TILE, f->sum + h * TILE * dim);
        }
    }
    for (int h = 0; h < heads; h++) {
        for (int64_t q = first; q < end; q++) {
            int64_t at = h * TILE + q - first, out = q * x->out_ld + (head0 + h) * dim;
            float *sum = f->sum + at * dim, total = f->total[at];
            cpu->k->scale(sum, dim, total > 0 ? 1 / total : 0);
            if (x->out_type == AG_BF16)
                cpu->k->to_bf16((uint16_t *)x->out + out, sum, dim);
            else
                memcpy((float *)x->out + out, sum, (size_t)dim * sizeof *sum);
            if (x->lse)
                ((float *)x->lse)[(int64_t)(head0 + h) * plan->rows + q] = total > 0
                                                                               ? f->max[at] + logf(total)
                                                                               : 0;
        }
    }
}

ag_status ag_cpu_attention(ag_device *d, const ag_attention_args *x, ag_error *err)
{
    ag_cpu *cpu = ag_cpu_of(d);
    const ag_attention_plan *plan = x->plan;
    int dim = x->head_dim, group = x->heads / x->kv_heads, parts = 1;
    /* A decode step has few tiles: then parts of each are tasks, at the price of transposing shared keys for each part again. */
    while (parts < TILE / 4 && plan->tiles * x->kv_heads * parts < 3 * cpu->threads) parts *= 2;
    int64_t tasks = (int64_t)plan->tiles * parts * x->kv_heads;
    size_t each = (size_t)(dim * CHUNK + TILE * CHUNK + group * TILE * (dim + 2));
    float *memory;
    ag_status status = ag_cpu_scratch(d, 2, each * (size_t)cpu->threads, &memory, err);
    if (status != AG_OK) return status;
#pragma omp parallel num_threads(cpu->threads)
    {
        forward_scratch f;
        f.keys = memory + each * (size_t)ag_cpu_thread();
        f.scores = f.keys + dim * CHUNK;
        f.sum = f.scores + TILE * CHUNK;
        f.max = f.sum + group * TILE * dim;
        f.total = f.max + group * TILE;
#pragma omp for schedule(dynamic, 1)
        for (int64_t t = 0; t < tasks; t++) {
            int kv = (int)(t % x->kv_heads), tile = (int)(t / x->kv_heads / parts);
            int64_t part = t / x->kv_heads % parts, begin = (int64_t)tile * TILE,
                    rows = tile_end(plan, tile) - begin;
            forward_rows(cpu, x, tile, begin + ag_part_begin(rows, parts, part),
                         begin + ag_part_begin(rows, parts, part + 1), kv, &f);
        }
    }
    return AG_OK;
}

/* Scratch of one backward task. */
typedef struct backward_scratch {
    float *keys, *values; /* [dim, CHUNK], transposed */
    float *p, *dp;        /* [TILE, CHUNK] */
    float *dq, *delta;    /* [group, TILE, dim], [group, TILE] */
    float *dk, *dv;       /* [hi - lo, dim], of this slice */
    int64_t lo;           /* first key of dk and dv */
} backward_scratch;

static void backward_chunk(const ag_cpu_kernels *k, const ag_attention_grad_args *x,
                           const ag_attention_block *block, span s, int64_t k0, int n, int64_t first,
                           int head, int kv, const backward_scratch *f, float *dq, const float *delta)
{
    int dim = x->head_dim, rows = (int)(s.r1 - s.r0);
    const float *query = (const float *)x->q + s.r0 * x->q_ld + head * dim;
    const float *dout = (const float *)x->dout + s.r0 * x->dout_ld + head * dim;
    const float *lse = (const float *)x->lse + (int64_t)head * x->plan->rows + s.r0;
    k->gemm(rows, padded(n), dim, query, x->q_ld, 1, f->keys, CHUNK, f->p, CHUNK, false);
    k->gemm(rows, padded(n), dim, dout, x->dout_ld, 1, f->values, CHUNK, f->dp, CHUNK, false);
    for (int i = 0; i < rows; i++) {
        int64_t live = key_end(block, s.r0 + i) - k0;
        live = live < 0 ? 0 : live > n ? n : live;
        float *p = f->p + i * CHUNK, *dp = f->dp + i * CHUNK;
        k->exp_sum(p, p, live, (float)x->scale, lse[i]);
        k->softmax_grad(dp, p, live, delta[s.r0 - first + i], (float)x->scale);
        memset(p + live, 0, (size_t)(n - live) * sizeof *p);
        memset(dp + live, 0, (size_t)(n - live) * sizeof *dp);
    }
    k->gemm(rows, dim, n, f->dp, CHUNK, 1, (const float *)x->k + k0 * x->kv_ld + kv * dim, x->kv_ld,
            dq + (s.r0 - first) * dim, dim, true);
    k->gemm(n, dim, rows, f->dp, 1, CHUNK, query, x->q_ld, f->dk + (k0 - f->lo) * dim, dim, true);
    k->gemm(n, dim, rows, f->p, 1, CHUNK, dout, x->dout_ld, f->dv + (k0 - f->lo) * dim, dim, true);
}

static void tile_delta(const ag_cpu *cpu, const ag_attention_grad_args *x, int64_t first, int64_t end,
                       int head, float *delta, float *row)
{
    int dim = x->head_dim;
    for (int64_t q = first; q < end; q++) {
        const float *out = (const float *)x->out + q * x->out_ld + head * dim;
        if (x->out_type == AG_BF16) {
            cpu->k->from_bf16(row, (const uint16_t *)x->out + q * x->out_ld + head * dim, dim);
            out = row;
        }
        delta[q - first] = (float)cpu->k->dot((const float *)x->dout + q * x->dout_ld + head * dim, out, dim);
    }
}

static void backward_tile(const ag_cpu *cpu, const ag_attention_grad_args *x, int tile, int kv,
                          const backward_scratch *f)
{
    const ag_attention_plan *plan = x->plan;
    int dim = x->head_dim, group = x->heads / x->kv_heads;
    int64_t first = (int64_t)tile * TILE, end = tile_end(plan, tile);
    memset(f->dq, 0, (size_t)(group * TILE * dim) * sizeof *f->dq);
    for (int h = 0; h < group; h++) tile_delta(cpu, x, first, end, kv * group + h, f->delta + h * TILE, f->p);
    for (int32_t b = plan->tile_first[tile]; b < plan->tile_first[tile + 1]; b++) {
        const ag_attention_block *block = &plan->blocks[plan->tile_block[b]];
        span s = block_span(block, first, end);
        for (int64_t k0 = s.k0; k0 < s.k1 && s.r0 < s.r1; k0 += CHUNK) {
            int n = (int)(s.k1 - k0 < CHUNK ? s.k1 - k0 : CHUNK);
            cpu->k->transpose(f->keys, CHUNK, (const float *)x->k + k0 * x->kv_ld + kv * dim, x->kv_ld, n,
                              dim);
            cpu->k->transpose(f->values, CHUNK, (const float *)x->v + k0 * x->kv_ld + kv * dim, x->kv_ld, n,
                              dim);
            for (int h = 0; h < group; h++)
                backward_chunk(cpu->k, x, block, s, k0, n, first, kv * group + h, kv, f,
                               f->dq + h * TILE * dim, f->delta + h * TILE);
        }
    }
    for (int h = 0; h < group; h++)
        for (int64_t q = first; q < end; q++)
            memcpy((float *)x->dq + q * x->q_ld + (kv * group + h) * dim,
                   f->dq + (h * TILE + q - first) * dim, (size_t)dim * sizeof *f->dq);
}

/* Tiles [t0, t1) of a slice and the keys [lo, hi) that their blocks name. */
typedef struct slice {
    int t0, t1;
    int64_t lo, hi;
    size_t at; /* offset of this slice's dk in the partial sums, in rows of one key head */
} slice;

static size_t cut_slices(const ag_attention_plan *plan, slice *slices)
{
    size_t rows = 0;
    for (int i = 0; i < AG_ATTENTION_SLICES; i++) {
        slice *s = &slices[i];
        *s = (slice){(int)ag_part_begin(plan->tiles, AG_ATTENTION_SLICES, i),
                     (int)ag_part_begin(plan->tiles, AG_ATTENTION_SLICES, i + 1), plan->keys, 0, rows};
        for (int32_t b = plan->tile_first[s->t0]; b < plan->tile_first[s->t1]; b++) {
            const ag_attention_block *block = &plan->blocks[plan->tile_block[b]];
            if (block->k0 < s->lo) s->lo = block->k0;
            if (block->k1 > s->hi) s->hi = block->k1;
        }
        if (s->hi > s->lo)
            rows += (size_t)(s->hi - s->lo);
        else
            s->hi = s->lo = 0;
    }
    return rows;
}

/* dk and dv of one key head: the slices' partial sums in order. */
static void add_slices(const ag_cpu *cpu, const ag_attention_grad_args *x, const slice *slices,
                       const float *partial, size_t rows, int64_t key, int kv)
{
    int dim = x->head_dim;
    float *dk = (float *)x->dk + key * x->kv_ld + kv * dim, *dv = (float *)x->dv + key * x->kv_ld + kv * dim;
    memset(dk, 0, (size_t)dim * sizeof *dk);
    memset(dv, 0, (size_t)dim * sizeof *dv);
    for (int i = 0; i < AG_ATTENTION_SLICES; i++) {
        if (key < slices[i].lo || key >= slices[i].hi) continue;
        const float *from = partial + (2 * (size_t)kv * rows + slices[i].at + (size_t)(key - slices[i].lo)) *
                                          (size_t)dim;
        cpu->k->axpy(dk, from, dim, 1);
        cpu->k->axpy(dv, from + rows * (size_t)dim, dim, 1);
    }
}

ag_status ag_cpu_attention_grad(ag_device *d, const ag_attention_grad_args *x, ag_error *err)
{
    ag_cpu *cpu = ag_cpu_of(d);
    int dim = x->head_dim, group = x->heads / x->kv_heads;
    slice slices[AG_ATTENTION_SLICES];
    size_t rows = cut_slices(x->plan, slices);
    size_t each = (size_t)(2 * dim * CHUNK + 2 * TILE * CHUNK + group * TILE * (dim + 1) + dim);
    size_t partials = 2 * rows * (size_t)(x->kv_heads * dim);
    float *memory;
    ag_status status = ag_cpu_scratch(d, 2, partials + each * (size_t)cpu->threads, &memory, err);
    if (status != AG_OK) return status;
#pragma omp parallel num_threads(cpu->threads)
    {
        backward_scratch f = {0};
        f.keys = memory + partials + each * (size_t)ag_cpu_thread();
        f.values = f.keys + dim * CHUNK;
        f.p = f.values + dim * CHUNK;
        f.dp = f.p + TILE * CHUNK;
        f.dq = f.dp + TILE * CHUNK;
        f.delta = f.dq + group * TILE * dim;
#pragma omp for schedule(dynamic, 1)
        for (int task = 0; task < AG_ATTENTION_SLICES * x->kv_heads; task++) {
            const slice *s = &slices[AG_ATTENTION_SLICES - 1 - task / x->kv_heads]; /* the costliest first */
            int kv = task % x->kv_heads;
            f.dk = memory + (2 * (size_t)kv * rows + s->at) * (size_t)dim;
            f.dv = f.dk + rows * (size_t)dim;
            f.lo = s->lo;
            memset(f.dk, 0, (size_t)((s->hi - s->lo) * dim) * sizeof *f.dk);
            memset(f.dv, 0, (size_t)((s->hi - s->lo) * dim) * sizeof *f.dv);
            for (int tile = s->t0; tile < s->t1; tile++) backward_tile(cpu, x, tile, kv, &f);
        }
#pragma omp for schedule(static)
        for (int64_t key = 0; key < x->plan->keys; key++)
            for (int kv = 0; kv < x->kv_heads; kv++) add_slices(cpu, x, slices, memory, rows, key, kv);
    }
    return AG_OK;
}
