/* kernels.c: the inner loops of kernels.h in portable vector C (GCC and Clang vector extensions), compiled once an
 * instruction set with AG_ISA and AG_VECTOR (bytes). The compiler turns the vector type into SSE, AVX2, AVX-512 or NEON.
 */
#include "device/cpu/kernels.h"

#include <math.h>
#include <string.h>
#include "device/device.h"

enum { LANES = AG_VECTOR / 4, GEMM_ROWS = AG_VECTOR == 64 ? 12 : 6, GEMM_COLS = 2 * LANES };

typedef float vf __attribute__((vector_size(AG_VECTOR)));
typedef int32_t vi __attribute__((vector_size(AG_VECTOR)));
typedef uint32_t vu __attribute__((vector_size(AG_VECTOR)));
typedef double vd __attribute__((vector_size(2 * AG_VECTOR)));

#define INLINE static inline __attribute__((always_inline))

INLINE vf load(const float *p)
{
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void store(float *p, vf v)
{
    memcpy(p, &v, sizeof v);
}

/* The first n lanes, others zero. */
INLINE vf load_part(const float *p, int64_t n)
{
    vf v = {0};
    memcpy(&v, p, (size_t)n * sizeof *p);
    return v;
}

INLINE void store_part(float *p, vf v, int64_t n)
{
    memcpy(p, &v, (size_t)n * sizeof *p);
}

INLINE vf splat(float x)
{
    return x - (vf){0};
}

INLINE vf vmax(vf a, vf b)
{
    vi m = a > b;
    return (vf)(((vi)a & m) | ((vi)b & ~m));
}

INLINE vf vmin(vf a, vf b)
{
    vi m = a < b;
    return (vf)(((vi)a & m) | ((vi)b & ~m));
}

/* A fixed order, so that the sum does not depend on the compiler. */
INLINE float vsum(vf v)
{
    float sum = 0;
    for (int i = 0; i < LANES; i++) sum += v[i];
    return sum;
}

/* e^x to about 1 ulp: x = n ln2 + r with |r| <= ln2/2, a polynomial of degree 6 for e^r, and n into the exponent.
 * Below -87.3 the result is flushed towards the smallest normal number times a vanishing factor: in effect 0. */
INLINE vf vexp(vf x)
{
    const float round = 12582912.0f; /* 1.5 * 2^23 */
    vi tiny = x < -87.3f;
    x = vmin(vmax(x, splat(-87.3f)), splat(88.0f));
    vf t = x * 1.44269504088896341f + round;
    vf n = t - round;
    vf r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    vf p = splat(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    vi exponent = ((vi)t - (int32_t)0x4b400000 + 127) << 23;
    vf y = p * (vf)exponent;
    return (vf)((vi)y & ~tiny);
}

INLINE float multiply_add(float a, float b, float sum)
{
#ifdef __FMA__
    return __builtin_fmaf(a, b, sum);
#else
    return a * b + sum;
#endif
}

/* One block of `rows` (a constant after inlining) by two vectors of columns. */
INLINE void gemm_block(int rows, int k, const float *a, int64_t a_row, int64_t a_col, const float *b,
                       int64_t ldb, float *c, int64_t ldc, bool accumulate)
{
    vf sum[GEMM_ROWS][2];
    for (int i = 0; i < rows; i++) {
        sum[i][0] = accumulate ? load(c + i * ldc) : splat(0);
        sum[i][1] = accumulate ? load(c + i * ldc + LANES) : splat(0);
    }
    for (int p = 0; p < k; p++) {
        vf b0 = load(b + p * ldb), b1 = load(b + p * ldb + LANES);
        for (int i = 0; i < rows; i++) {
            vf x = splat(a[i * a_row + p * a_col]);
            sum[i][0] += x * b0;
            sum[i][1] += x * b1;
        }
    }
    for (int i = 0; i < rows; i++) {
        store(c + i * ldc, sum[i][0]);
        store(c + i * ldc + LANES, sum[i][1]);
    }
}

INLINE void gemm_columns(int rows, int n, int k, const float *a, int64_t a_row, int64_t a_col, const float *b,
                         int64_t ldb, float *c, int64_t ldc, bool accumulate)
{
    int j = 0;
    for (; j + GEMM_COLS <= n; j += GEMM_COLS)
        gemm_block(rows, k, a, a_row, a_col, b + j, ldb, c + j, ldc, accumulate);
    for (; j < n; j++) { /* a ragged edge: plain loops, rounded as vectors are */
        for (int i = 0; i < rows; i++) {
            float sum = accumulate ? c[i * ldc + j] : 0;
            for (int p = 0; p < k; p++) sum = multiply_add(a[i * a_row + p * a_col], b[p * ldb + j], sum);
            c[i * ldc + j] = sum;
        }
    }
}

static void gemm(int m, int n, int k, const float *a, int64_t a_row, int64_t a_col, const float *b,
                 int64_t ldb, float *c, int64_t ldc, bool accumulate)
{
    int i = 0;
#define ROWS(r)                                                                                              \
    for (; i + (r) <= m; i += (r))                                                                           \
        gemm_columns(r, n, k, a + i * a_row, a_row, a_col, b, ldb, c + i * ldc, ldc, accumulate);
#if AG_VECTOR == 64
    ROWS(12)
#endif
    ROWS(6)
    ROWS(4)
    ROWS(2)
    ROWS(1)
#undef ROWS
}

/* Two vectors, lane by lane in turn: of their lower halves, of their upper halves. */
#if AG_VECTOR == 64
#define LOWER 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define UPPER 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif AG_VECTOR == 32
#define LOWER 0, 8, 1, 9, 2, 10, 3, 11
#define UPPER 4, 12, 5, 13, 6, 14, 7, 15
#else
#define LOWER 0, 4, 1, 5
#define UPPER 2, 6, 3, 7
#endif
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vi){__VA_ARGS__})
#endif

/* sums[i] becomes lane i of sums[0]: pairs are shuffled into each other and added, which settles a bit of i a round. */
INLINE vf sum_each(vf sums[LANES])
{
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            sums[i] = SHUFFLE(sums[i], sums[i + half], LOWER) + SHUFFLE(sums[i], sums[i + half], UPPER);
    return sums[0];
}

/* As many sums as a vector has lanes are made at a time. */
enum { DOT_COLS = AG_VECTOR == 16 ? 2 : 4, DOT_ROWS = LANES / DOT_COLS };

INLINE void dots_block(int rows, int cols, int k, const float *a, int64_t lda, const float *b, int64_t ldb,
                       float *c, int64_t ldc, bool accumulate)
{
    vf sums[LANES] = {0};
    int p = 0;
    for (; p + LANES <= k; p += LANES) {
        vf x[DOT_ROWS];
        for (int i = 0; i < rows; i++) x[i] = load(a + i * lda + p);
        for (int j = 0; j < cols; j++) {
            vf y = load(b + j * ldb + p);
            for (int i = 0; i < rows; i++) sums[i * DOT_COLS + j] += x[i] * y;
        }
    }
    for (int i = 0; i < rows && p < k; i++)
        for (int j = 0; j < cols; j++)
            sums[i * DOT_COLS + j] += load_part(a + i * lda + p, k - p) * load_part(b + j * ldb + p, k - p);
    vf total = sum_each(sums);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++)
            c[i * ldc + j] = total[i * DOT_COLS + j] + (accumulate ? c[i * ldc + j] : 0);
}

static void dots(int m, int n, int k, const float *a, int64_t lda, const float *b, int64_t ldb, float *c,
                 int64_t ldc, bool accumulate)
{
    for (int j = 0; j < n;) {
        int i = 0, cols = n - j >= DOT_COLS ? DOT_COLS : 1;
#define BLOCK(r, cols)                                                                                       \
    for (; i + (r) <= m; i += (r))                                                                           \
        dots_block(r, cols, k, a + i * lda, lda, b + j * ldb, ldb, c + i * ldc + j, ldc, accumulate);
        if (cols == DOT_COLS) {
            BLOCK(DOT_ROWS, DOT_COLS)
            BLOCK(1, DOT_COLS)
        } else {
            BLOCK(DOT_ROWS, 1)
            BLOCK(1, 1)
        }
#undef BLOCK
        j += cols;
    }
}

/* A square of vectors: shuffling its halves into each other turns it by one bit of the index a round. */
INLINE void transpose_square(vf rows[LANES])
{
    for (int bits = 1; bits < LANES; bits *= 2) {
        vf turned[LANES];
        for (int i = 0; i < LANES / 2; i++) {
            turned[2 * i] = SHUFFLE(rows[i], rows[i + LANES / 2], LOWER);
            turned[2 * i + 1] = SHUFFLE(rows[i], rows[i + LANES / 2], UPPER);
        }
        for (int i = 0; i < LANES; i++) rows[i] = turned[i];
    }
}

/* rows and cols: at most LANES. */
INLINE void transpose_part(float *dst, int64_t ld_dst, const float *src, int64_t ld_src, int rows, int cols)
{
    vf square[LANES] = {0};
    for (int i = 0; i < rows; i++) square[i] = load_part(src + i * ld_src, cols);
    transpose_square(square);
    for (int j = 0; j < cols; j++) store_part(dst + j * ld_dst, square[j], rows);
}

static void transpose(float *dst, int64_t ld_dst, const float *src, int64_t ld_src, int rows, int cols)
{
    for (int i = 0; i < rows; i += LANES) {
        for (int j = 0; j < cols; j += LANES) {
            int down = rows - i < LANES ? rows - i : LANES, across = cols - j < LANES ? cols - j : LANES;
            float *to = dst + j * ld_dst + i;
            const float *from = src + i * ld_src + j;
            if (down == LANES && across == LANES)
                transpose_part(to, ld_dst, from, ld_src, LANES, LANES);
            else
                transpose_part(to, ld_dst, from, ld_src, down, across);
        }
    }
}

static float row_max(const float *x, int64_t n)
{
    float max = -INFINITY;
    int64_t j = 0;
    if (n >= LANES) {
        vf m = load(x);
        for (j = LANES; j + LANES <= n; j += LANES) m = vmax(m, load(x + j));
        for (int i = 0; i < LANES; i++) max = m[i] > max ? m[i] : max;
    }
    for (; j < n; j++) max = x[j] > max ? x[j] : max;
    return max;
}

static float exp_sum(float *dst, const float *x, int64_t n, float scale, float shift)
{
    vf sum = {0};
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        vf e = vexp(load(x + j) * scale - shift);
        store(dst + j, e);
        sum += e;
    }
    float total = vsum(sum);
    if (j < n) {
        vf e = vexp(load_part(x + j, n - j) * scale - shift);
        store_part(dst + j, e, n - j);
        for (int i = 0; i < n - j; i++) total += e[i];
    }
    return total;
}

static void exp_moments(const float *x, int64_t n, float scale, float shift, double *sum, double *weighted)
{
    vd total = {0}, moment = {0};
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        vf z = load(x + j) * scale - shift;
        vf e = vexp(z);
        total += __builtin_convertvector(e, vd);
        if (weighted) moment += __builtin_convertvector(e * vmax(z, splat(-1e30f)), vd);
    }
    double s = 0, w = 0;
    for (int i = 0; i < LANES; i++) s += total[i], w += moment[i];
    for (; j < n; j++) {
        float z = x[j] * scale - shift;
        if (z < -87.3f) continue;
        s += exp((double)z);
        w += exp((double)z) * z;
    }
    *sum = s;
    if (weighted) *weighted = w;
}

static double row_dot(const float *a, const float *b, int64_t n)
{
    vd sum = {0};
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES)
        sum += __builtin_convertvector(load(a + j), vd) * __builtin_convertvector(load(b + j), vd);
    double total = 0;
    for (int i = 0; i < LANES; i++) total += sum[i];
    for (; j < n; j++) total += (double)a[j] * b[j];
    return total;
}

static void row_scale(float *x, int64_t n, float factor)
{
    for (int64_t j = 0; j < n; j++) x[j] *= factor;
}

static void row_axpy(float *y, const float *x, int64_t n, float alpha)
{
    for (int64_t j = 0; j < n; j++) y[j] += alpha * x[j];
}

static void softmax_grad(float *dp, const float *p, int64_t n, float delta, float scale)
{
    for (int64_t j = 0; j < n; j++) dp[j] = p[j] * (dp[j] - delta) * scale;
}

static void norm_row(float *out, const float *x, const float *weight, int64_t n, float rstd)
{
    for (int64_t j = 0; j < n; j++) out[j] = x[j] * rstd * weight[j];
}

static void norm_grad_row(float *dx, float *dw, const float *dy, const float *x, const float *weight,
                          int64_t n, float rstd, bool accumulate)
{
    vd sum = {0};
    double dot = 0;
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES)
        sum += __builtin_convertvector(load(dy + j) * load(weight + j) * load(x + j), vd);
    for (int i = 0; i < LANES; i++) dot += sum[i];
    for (; j < n; j++) dot += (double)dy[j] * weight[j] * x[j];
    float factor = rstd * rstd * (float)(dot / (double)n);
    if (dw)
        for (j = 0; j < n; j++) dw[j] += dy[j] * x[j] * rstd;
    if (accumulate)
        for (j = 0; j < n; j++) dx[j] += rstd * (weight[j] * dy[j] - x[j] * factor);
    else
        for (j = 0; j < n; j++) dx[j] = rstd * (weight[j] * dy[j] - x[j] * factor);
}

static void rope_row(float *a, float *b, const float *cosine, const float *sine, int64_t half, float sign)
{
    for (int64_t j = 0; j < half; j++) {
        float x = a[j], y = b[j], s = sign * sine[j];
        a[j] = x * cosine[j] - y * s;
        b[j] = y * cosine[j] + x * s;
    }
}

INLINE vf sigmoid(vf x)
{
    return 1.0f / (1.0f + vexp(-x));
}

static void swiglu(float *out, const float *gate, const float *up, int64_t n)
{
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        vf g = load(gate + j);
        store(out + j, g * sigmoid(g) * load(up + j));
    }
    if (j < n) {
        vf g = load_part(gate + j, n - j);
        store_part(out + j, g * sigmoid(g) * load_part(up + j, n - j), n - j);
    }
}

static void swiglu_grad(float *dgate, float *dup, const float *dout, const float *gate, const float *up,
                        int64_t n)
{
    for (int64_t j = 0; j < n; j += LANES) {
        int64_t part = n - j < LANES ? n - j : LANES;
        vf g = load_part(gate + j, part), u = load_part(up + j, part), dy = load_part(dout + j, part);
        vf s = sigmoid(g);
        store_part(dgate + j, dy * u * s * (1.0f + g * (1.0f - s)), part);
        store_part(dup + j, dy * g * s, part);
    }
}

static void adamw(float *w, float *m, float *v, const float *g, int64_t n, float lr, float beta1, float rest1,
                  float beta2, float rest2, float eps, float decay, float grad_scale, float correct1,
                  float correct2)
{
    float inverse1 = 1 / correct1, inverse2 = 1 / correct2;
    for (int64_t j = 0; j < n; j++) {
        float x = g[j] * grad_scale;
        m[j] = beta1 * m[j] + rest1 * x;
        v[j] = beta2 * v[j] + rest2 * x * x;
        w[j] -= lr * (m[j] * inverse1 / (sqrtf(v[j] * inverse2) + eps) + decay * w[j]);
    }
}

static void to_bf16(uint16_t *dst, const float *src, int64_t n)
{
    for (int64_t j = 0; j < n; j++) dst[j] = ag_bf16_from_float(src[j]);
}

static void from_bf16(float *dst, const uint16_t *src, int64_t n)
{
    for (int64_t j = 0; j < n; j++) dst[j] = ag_float_from_bf16(src[j]);
}

#define NAME2(isa) ag_cpu_kernels_##isa
#define NAME(isa)  NAME2(isa)
#define TEXT2(isa) #isa
#define TEXT(isa)  TEXT2(isa)
const ag_cpu_kernels NAME(AG_ISA) = {
    .isa = TEXT(AG_ISA),
    .gemm = gemm,
    .dots = dots,
    .transpose = transpose,
    .max = row_max,
    .exp_sum = exp_sum,
    .exp_moments = exp_moments,
    .dot = row_dot,
    .scale = row_scale,
    .axpy = row_axpy,
    .softmax_grad = softmax_grad,
    .norm_row = norm_row,
    .norm_grad_row = norm_grad_row,
    .rope_row = rope_row,
    .swiglu = swiglu,
    .swiglu_grad = swiglu_grad,
    .adamw = adamw,
    .to_bf16 = to_bf16,
    .from_bf16 = from_bf16,
};
