/* matmul.c: matrix products of the cpu backend by oneDNN. bf16 inputs are multiplied as they are where the processor can, and
 * widened to fp32 first (an exact conversion) elsewhere: the same meaning at half the speed or less.
 *
 * C is cut into tiles of a fixed size and each tile is computed by one thread. So every sum has one order, whatever the number of
 * threads; and threads never wait for each other inside of a product, which matters when the processors are shared.
 */
#include "device/cpu/cpu.h"

#include <omp.h>
#include <string.h>

#include "device/cpu/onednn.h"

/* rows x cols of bf16 (leading dimension ld) as packed floats. */
static void widen(ag_device *d, float *dst, const uint16_t *src, int64_t rows, int64_t cols, int64_t ld)
{
    ag_cpu *cpu = ag_cpu_of(d);
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int64_t i = 0; i < rows; i++) cpu->k->from_bf16(dst + i * cols, src + i * ld, cols);
}

static ag_status widened(ag_device *d, int slot, const void **matrix, int64_t *ld, int64_t rows, int64_t cols,
                         ag_error *err)
{
    float *wide;
    ag_status status = ag_cpu_scratch(d, slot, (size_t)(rows * cols), &wide, err);
    if (status != AG_OK) return status;
    widen(d, wide, *matrix, rows, cols, *ld);
    *matrix = wide;
    *ld = cols;
    return AG_OK;
}

/* C in tiles of rows x cols, those at its lower and right edge smaller. */
typedef struct tiling {
    int64_t rows, cols, down, across;
} tiling;

/* The size of C's tiles, from its shape alone: large ones are fastest, but there must be some to share out. */
static tiling cut_tiles(int64_t m, int64_t n)
{
    enum { LARGEST = 384, SMALLEST = 64, TILES = 8 };
    tiling t = {.rows = m < LARGEST ? m : LARGEST, .cols = n < LARGEST ? n : LARGEST};
    while (((m + t.rows - 1) / t.rows) * ((n + t.cols - 1) / t.cols) < TILES) {
        int64_t *larger = t.rows > t.cols ? &t.rows : &t.cols;
        if (*larger <= SMALLEST) break;
        *larger = (*larger + 1) / 2;
    }
    t.down = (m + t.rows - 1) / t.rows;
    t.across = (n + t.cols - 1) / t.cols;
    return t;
}

/* The product of one tile, its sizes and pointers set. */
static ag_matmul_args tile_of(const ag_matmul_args *x, const tiling *t, int64_t number)
{
    int64_t i = number % t->down * t->rows, j = number / t->down * t->cols;
    int64_t size = x->type == AG_BF16 ? 2 : 4;
    ag_matmul_args part = *x;
    part.m = x->m - i < t->rows ? x->m - i : t->rows;
    part.n = x->n - j < t->cols ? x->n - j : t->cols;
    part.a = (const char *)x->a + (x->transpose_a ? i : i * x->lda) * size;
    part.b = (const char *)x->b + (x->transpose_b ? j * x->ldb : j) * size;
    part.c = (float *)x->c + i * x->ldc + j;
    return part;
}

/* The shapes of a tiling: whole tiles, and those at the lower edge, the right edge and the corner. */
enum { SHAPES = 4 };
static int shape_of(const tiling *t, int64_t number)
{
    return (number % t->down == t->down - 1) + 2 * (number / t->down == t->across - 1);
}

/* All tiles of C: floats, or, with a product for each shape of tile, bf16; each thread has `each` floats of scratch. */
static ag_status compute_tiles(const ag_cpu *cpu, const ag_matmul_args *x, const tiling *t,
                               ag_onednn_product *const *product, float *scratch, size_t each, ag_error *err)
{
    ag_status worst = AG_OK;
#pragma omp parallel num_threads(cpu->threads)
    {
        /* A team of one is no parallel region to oneDNN, which would then count on threads that it may not get. */
        omp_set_num_threads(1);
#pragma omp for schedule(dynamic, 1)
        for (int64_t i = 0; i < t->down * t->across; i++) {
            ag_error why = {0};
            ag_matmul_args part = tile_of(x, t, i);
            ag_status status = product ? ag_onednn_run(product[shape_of(t, i)], part.c, part.a, part.b,
                                                       scratch + each * (size_t)ag_cpu_thread(), &why)
                                       : ag_onednn_f32(&part, &why);
            if (status == AG_OK) continue;
#pragma omp critical
            {
                worst = why.code;
                if (err) *err = why;
            }
        }
    }
    return worst;
}

static ag_status products_bf16(ag_device *d, const ag_matmul_args *x, const tiling *t, ag_error *err)
{
    const ag_cpu *cpu = ag_cpu_of(d);
    int64_t tiles = t->down * t->across, last[SHAPES] = {0, t->down - 1, tiles - t->down, tiles - 1};
    ag_onednn_product *product[SHAPES] = {0};
    float *scratch = NULL;
    size_t bytes, most = 0;
    ag_status status = AG_OK;
    for (int s = 0; s < SHAPES && status == AG_OK; s++) {
        if (shape_of(t, last[s]) != s) continue; /* no such tile */
        ag_matmul_args part = tile_of(x, t, last[s]);
        status = ag_onednn_bf16_create(&product[s], &part, &bytes, err);
        if (status == AG_OK && bytes > most) most = bytes;
    }
    size_t each = (most + 63) / 64 * 16; /* in floats */
    if (status == AG_OK) status = ag_cpu_scratch(d, 0, each * (size_t)cpu->threads + 1, &scratch, err);
    if (status == AG_OK) status = compute_tiles(cpu, x, t, product, scratch, each, err);
    for (int s = 0; s < SHAPES; s++) ag_onednn_free(product[s]);
    return status;
}

/* A step of decoding: a few rows against weights [n, k], which are read once, and widened in the cache. */
enum { FEW_ROWS = 32, WEIGHT_ROWS = 24 };

static bool is_few_rows(const ag_matmul_args *x)
{
    return x->m <= FEW_ROWS && x->transpose_b && !x->transpose_a && x->alpha == 1 && x->k > 0;
}

static ag_status products_of_few_rows(ag_device *d, const ag_matmul_args *x, ag_error *err)
{
    ag_cpu *cpu = ag_cpu_of(d);
    const void *a = x->a;
    int64_t lda = x->lda;
    float *wide = NULL;
    ag_status status = AG_OK;
    if (x->type == AG_BF16) {
        status = widened(d, 0, &a, &lda, x->m, x->k, err);
        if (status == AG_OK)
            status = ag_cpu_scratch(d, 1, (size_t)(cpu->threads * WEIGHT_ROWS * x->k), &wide, err);
        if (status != AG_OK) return status;
    }
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int64_t j = 0; j < x->n; j += WEIGHT_ROWS) {
        int64_t rows = x->n - j < WEIGHT_ROWS ? x->n - j : WEIGHT_ROWS, ldb = wide ? x->k : x->ldb;
        const float *b = (const float *)x->b + j * x->ldb;
        if (wide) {
            float *own = wide + ag_cpu_thread() * WEIGHT_ROWS * x->k;
            const uint16_t *from = (const uint16_t *)x->b + j * x->ldb;
            for (int64_t i = 0; i < rows; i++) cpu->k->from_bf16(own + i * x->k, from + i * x->ldb, x->k);
            b = own;
        }
        cpu->k->dots((int)x->m, (int)rows, (int)x->k, a, lda, b, ldb, (float *)x->c + j, x->ldc,
                     x->plus != NULL);
    }
    return AG_OK;
}

/* plus into C, which then accumulates. */
static void copy_rows(const ag_cpu *cpu, const ag_matmul_args *x)
{
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int64_t i = 0; i < x->m; i++)
        memcpy((float *)x->c + i * x->ldc, (const float *)x->plus + i * x->ldc, (size_t)x->n * sizeof(float));
}

ag_status ag_cpu_matmul(ag_device *d, const ag_matmul_args *x, ag_error *err)
{
    ag_matmul_args wide = *x;
    ag_status status = AG_OK;
    if (x->m == 0 || x->n == 0) return AG_OK;
    if (x->plus && x->plus != x->c) {
        copy_rows(ag_cpu_of(d), x);
        wide.plus = x->c;
        return ag_cpu_matmul(d, &wide, err);
    }
    tiling t = cut_tiles(x->m, x->n);
    if (x->type == AG_BF16 && d->fast_bf16 && x->alpha == 1 && x->k > 0) return products_bf16(d, x, &t, err);
    if (is_few_rows(x)) return products_of_few_rows(d, x, err);
    if (x->type == AG_BF16) {
        wide.type = AG_F32;
        status = widened(d, 0, &wide.a, &wide.lda, x->transpose_a ? x->k : x->m, x->transpose_a ? x->m : x->k,
                         err);
        if (status == AG_OK)
            status = widened(d, 1, &wide.b, &wide.ldb, x->transpose_b ? x->n : x->k,
                             x->transpose_b ? x->k : x->n, err);
    }
    return status == AG_OK ? compute_tiles(ag_cpu_of(d), &wide, &t, NULL, NULL, 0, err) : status;
}
