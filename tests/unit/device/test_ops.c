/* Every operation of device.h: each kernel variant of `cpu` that this processor can run against `ref`, over
 * sizes that are 1, odd, prime and larger than a tile; and `cpu` with one number of threads against another,
 * which must not change a byte. Operations with attention plans are in attention_cases.h, the head's in head_cases.h.
 */
#include "unit/device/ops_rig.h"

#include "unit/device/attention_cases.h"
#include "unit/device/head_cases.h"

/* The kernels with the vectors of AVX-512, in whatever instructions this processor has: so their paths are
 * tested everywhere. */
#define AG_ISA    wide
#define AG_VECTOR 64
extern const ag_cpu_kernels ag_cpu_kernels_wide;
#include "device/cpu/kernels.c"

/* What the device on trial keeps of activations, of types where it makes a difference. */
static ag_dtype kept_type(const rig *r, int type)
{
    return ag_kept_type(r->d[1], TYPES[type], 64);
}

static void matmul_case(rig *r, int64_t m, int64_t n, int64_t k, int flags, int type)
{
    bool ta = flags & 1, tb = flags & 2, adds = flags & 4,
         apart = adds && flags & 2; /* apart: what is added is another matrix */
    int64_t pad = flags & 16 ? 5 : 0, lda = (ta ? m : k) + pad, ldb = (tb ? k : n) + 2 * pad, ldc = n + pad;
    LABEL(r, "matmul %ldx%ldx%ld flags %d %s", (long)m, (long)n, (long)k, flags, TYPE_NAMES[type]);
    buffer a = normals(r, TYPES[type], (ta ? k : m) * lda, 1),
           b = normals(r, TYPES[type], (tb ? n : k) * ldb, 1);
    ag_dtype c_type = flags & 32 ? AG_BF16 : AG_F32;
    buffer plus = adds ? normals(r, c_type, m * ldc, 1) : poison(r, c_type, m * ldc),
           c = apart ? poison(r, c_type, m * ldc) : plus;
    BOTH(r, matmul, .c = c.at[s], .plus = adds ? plus.at[s] : NULL, .a = a.at[s], .b = b.at[s],
         .type = TYPES[type], .c_type = c_type, .m = m, .n = n, .k = k, .lda = lda, .ldb = ldb, .ldc = ldc,
         .transpose_a = ta, .transpose_b = tb, .alpha = flags & 8 ? 0.37 : 1);
    /* what is added to bf16 may have been rounded to it before */
    check_rows(r, "c", c, m, n, ldc, adds && c_type == AG_BF16 ? 5e-3 : FP32_BOUND, 0);
    rig_clear(r);
}

static void matmul_cases(rig *r)
{
    static const int64_t shapes[][3] = {
        {1, 1, 1},   {1, 7, 3},      {2, 1, 16},     {3, 5, 1},     {7, 13, 17},    {16, 16, 16},
        {1, 97, 64}, {31, 33, 29},   {64, 64, 127},  {65, 130, 67}, {128, 50, 257}, {5, 300, 64},
        {0, 4, 4},   {390, 400, 21}, {100, 500, 37}, {32, 50, 80},  {9, 97, 33},    {145, 490, 8}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int flags = r->exact || shapes[i][0] * shapes[i][1] > 20000 ? 11 : 0; flags < 32; flags++)
            for (int type = 0; type < 2; type++)
                for (int kept = 0; kept <= (type && kept_type(r, type) == AG_BF16); kept++)
                    matmul_case(r, shapes[i][0], shapes[i][1], shapes[i][2], flags + 32 * kept, type);
}

static void embed_cases(rig *r)
{
    static const int64_t sizes[][3] = {{0, 4, 3},     {1, 1, 1},      {5, 7, 11},
                                       {64, 16, 300}, {129, 100, 31}, {3, 193, 2}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int type = 0; type < 2; type++) {
            int64_t rows = sizes[i][0], width = sizes[i][1], vocab = sizes[i][2];
            LABEL(r, "embed %ldx%ld of %ld %s", (long)rows, (long)width, (long)vocab, TYPE_NAMES[type]);
            buffer table = normals(r, TYPES[type], vocab * width, 1),
                   ids = random_ints(r, rows, (int32_t)vocab);
            buffer out = poison(r, AG_F32, rows * width);
            BOTH(r, embed, out.at[s], table.at[s], TYPES[type], ids.at[s], rows, width, vocab);
            check_rows(r, "out", out, rows, width, width, 0, 0);
            rig_clear(r);
        }
    }
}

static void embed_grad_cases(rig *r)
{
    static const int64_t sizes[][3] = {{0, 4, 3},      {1, 1, 1},    {5, 7, 11},     {300, 16, 7},
                                       {129, 100, 31}, {40, 193, 1}, {512, 4, 1},    {513, 301, 3},
                                       {20, 1028, 3},  {1300, 8, 4}, {5000, 3, 3000}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t rows = sizes[i][0], width = sizes[i][1], vocab = sizes[i][2];
        if (SMALL_GRID && rows > 1300) continue;
        /* shift: of the table, in floats: off the addresses that four can be read from at once */
        for (int shift = 0; shift < 2; shift++) {
            LABEL(r, "embed_grad %ldx%ld of %ld + %d", (long)rows, (long)width, (long)vocab, shift);
            buffer table = normals(r, AG_F32, vocab * width + shift, 1),
                   ids = random_ints(r, rows, (int32_t)vocab);
            buffer dout = normals(r, AG_F32, rows * width, 1);
            BOTH(r, embed_grad, (float *)table.at[s] + shift, dout.at[s], ids.at[s], rows, width, vocab);
            check_rows(r, "dtable", table, 1, table.n, table.n, 0, 0); /* rows are added in their order */
            rig_clear(r);
        }
    }
}

static const int64_t NORMS[][3] = {/* rows, heads, width */ {0, 1, 8},
                                   {1, 1, 1},
                                   {2, 3, 7},
                                   {5, 1, 64},
                                   {67, 4, 16},
                                   {3, 1, 577},
                                   {130, 1, 33},
                                   {17, 9, 64},
                                   {3, 1, 132},
                                   {9, 2, 384},
                                   {4, 1, 508},
                                   {140, 1, 640},
                                   {2, 1, 768},
                                   {6, 1, 896},
                                   {40, 1, 1024},
                                   {5, 2, 1025},
                                   {8300, 1, 40}};

static void rmsnorm_cases(rig *r)
{
    for (size_t i = 0; i < sizeof NORMS / sizeof *NORMS; i++) {
        for (int variant = 0; variant < 6; variant++) { /* bit 0: bf16 out; 4 and 5: in place */
            static const int64_t pads[] = {0, 0, 9, 9, 4, 9};
            int64_t rows = NORMS[i][0], heads = NORMS[i][1], width = NORMS[i][2], pad = pads[variant];
            bool in_place = variant >= 4, wants_rstd = variant != 1;
            ag_dtype type = variant & 1 && !in_place ? AG_BF16 : AG_F32;
            int64_t x_ld = heads * width + pad, out_ld = in_place ? x_ld : heads * width + 2 * pad;
            LABEL(r, "rmsnorm %ldx%ldx%ld variant %d", (long)rows, (long)heads, (long)width, variant);
            buffer x = normals(r, AG_F32, rows * x_ld, 3), weight = normals(r, AG_F32, width, 1);
            buffer out = in_place ? x : poison(r, type, rows * out_ld),
                   rstd = poison(r, AG_F32, rows * heads);
            BOTH(r, rmsnorm, .out = out.at[s], .out_type = type, .x = x.at[s], .weight = weight.at[s],
                 .rstd = wants_rstd ? rstd.at[s] : NULL, .rows = rows, .heads = heads, .width = width,
                 .x_ld = x_ld, .out_ld = out_ld, .eps = 1e-5);
            check_rows(r, "out", out, rows, heads * width, out_ld, FP32_BOUND, 0);
            if (wants_rstd) check(r, "rstd", rstd);
            rig_clear(r);
        }
    }
}

static void rmsnorm_grad_cases(rig *r)
{
    for (size_t i = 0; i < sizeof NORMS / sizeof *NORMS; i++) {
        for (int at = 0; at < (kept_type(r, 1) == AG_BF16 ? 24 : 12); at++) {
            /* bit 0: accumulates; bit 1: no dweight; 4 and 5: dx is dy; from 6 on the same with rows that pieces of four can be moved of;
             * from 12 on the same with dy of bf16, and where it is dx that too */
            int variant = at % 6, pad = at % 12 < 6 ? 1 : 4;
            int64_t rows = NORMS[i][0], heads = NORMS[i][1], width = NORMS[i][2], n = heads * width,
                    x_ld = n + 3 * pad, dy_ld = n + pad;
            bool in_place = variant >= 4, accumulate = variant & 1 && !in_place, weights = !(variant & 2),
                 narrows = variant & 1;
            ag_dtype dy_type = at < 12 ? AG_F32 : AG_BF16, dx_type = in_place ? dy_type : AG_F32;
            int64_t dx_ld = in_place ? dy_ld : n + 2 * pad;
            LABEL(r, "rmsnorm_grad %ldx%ldx%ld variant %d", (long)rows, (long)heads, (long)width, at);
            buffer x = normals(r, AG_F32, rows * x_ld, 2), weight = normals(r, AG_F32, width, 1),
                   dy = normals(r, dy_type, rows * dy_ld, 1);
            buffer rstd = poison(r, AG_F32, rows * heads), out = poison(r, AG_F32, rows * n),
                   dweight = normals(r, AG_F32, width, 1);
            buffer dx = in_place     ? dy
                        : accumulate ? normals(r, AG_F32, rows * dx_ld, 1)
                                     : poison(r, AG_F32, rows * dx_ld);
            buffer narrow = poison(r, AG_BF16, rows * n);
            BOTH(r, rmsnorm, .out = out.at[s], .out_type = AG_F32, .x = x.at[s], .weight = weight.at[s],
                 .rstd = rstd.at[s], .rows = rows, .heads = heads, .width = width, .x_ld = x_ld, .out_ld = n,
                 .eps = 1e-5);
            share(r, rstd);
            BOTH(r, rmsnorm_grad, .dx = dx.at[s], .dweight = weights ? dweight.at[s] : NULL,
                 .narrow = narrows ? narrow.at[s] : NULL, .dx_type = dx_type, .dy_type = dy_type,
                 .dy = dy.at[s], .x = x.at[s], .weight = weight.at[s], .rstd = rstd.at[s], .rows = rows,
                 .heads = heads, .width = width, .x_ld = x_ld, .dy_ld = dy_ld, .dx_ld = dx_ld,
                 .accumulate = accumulate);
            check_rows(r, "dx", dx, rows, n, dx_ld, FP32_BOUND, CANCELS);
            check(r, "dweight", dweight);
            if (narrows) check_rows(r, "narrow", narrow, rows, n, n, FP32_BOUND, CANCELS);
            rig_clear(r);
        }
    }
}

/* which: bit 0: the backward; bit 1: bf16; from 4 on, the last third of the groups and as many behind them go to a store. */
static void rope_case(rig *r, const int64_t *size, int which)
{
    bool inverse = which & 1, stores = which & 4;
    ag_dtype type = TYPES[which >> 1 & 1];
    int64_t rows = size[0], heads = size[1], dim = size[2], stored = 2 * ((heads + 2) / 3),
            first = heads - stored / 2, groups = stores ? first + stored : heads,
            ld = groups * dim + (inverse ? 0 : 11), slots = rows + 3;
    LABEL(r, "rope %ldx%ldx%ld variant %d", (long)rows, (long)heads, (long)dim, which);
    int32_t slot[200];
    for (int64_t i = 0; i < rows; i++) slot[i] = (int32_t)((i * 7 + 2) % slots);
    if (slots % 7 == 0)
        for (int64_t i = 0; i < rows; i++) slot[i] = (int32_t)(slots - 1 - i);
    buffer x = normals(r, type, rows * ld, 1), table = normals(r, AG_F32, 50 * dim, 1),
           positions = random_ints(r, rows, 50), at = ints(r, slot, rows),
           store = normals(r, type, slots * stored * dim, 1);
    BOTH(r, rope, .x = x.at[s], .type = type, .table = table.at[s], .positions = positions.at[s],
         .rows = rows, .heads = heads, .head_dim = dim, .ld = ld, .inverse = inverse,
         .store = stores ? store.at[s] : NULL, .slots = at.at[s], .first_stored = first, .stored = stored);
    check_rows(r, "x", x, rows, groups * dim, ld, FP32_BOUND, 0);
    check_rows(r, "store", store, slots, stored * dim, stored * dim, FP32_BOUND, 0);
    rig_clear(r);
}

static void rope_cases(rig *r)
{
    static const int64_t sizes[][3] = {{1, 1, 2}, {3, 2, 8}, {65, 5, 16}, {130, 3, 64}, {7, 4, 6}, {0, 1, 4}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int which = 0; which < 8; which++)
            if (!(which & 2) || kept_type(r, 1) == AG_BF16) rope_case(r, sizes[i], which);
}

static const int64_t PLANES[][2] = {/* rows, width */ {0, 5},
                                    {1, 1},
                                    {3, 7},
                                    {64, 16},
                                    {65, 31},
                                    {2, 1543},
                                    {301, 5},
                                    {18, 96},
                                    {70, 260},
                                    {300, 132}};
enum { PLANE_COUNT = sizeof PLANES / sizeof *PLANES };

/* The types of what goes in and comes out, of those that the device on trial has. */
static int plane_types(const rig *r)
{
    return kept_type(r, 1) == AG_BF16 ? 3 : 2;
}

static void swiglu_cases(rig *r)
{
    for (int i = 0; i < PLANE_COUNT; i++) {
        for (int which = 0; which < plane_types(r); which++) {
            int64_t rows = PLANES[i][0], width = PLANES[i][1];
            ag_dtype in = TYPES[which == 2], out_type = TYPES[which > 0];
            LABEL(r, "swiglu %ldx%ld types %d", (long)rows, (long)width, which);
            buffer x = normals(r, in, rows * 2 * width, i % 2 ? 3 : 60),
                   out = poison(r, out_type, rows * width);
            BOTH(r, swiglu, out.at[s], out_type, in, x.at[s], rows, width);
            check_rows(r, "out", out, rows, width, width, FP32_BOUND, 1e-3);
            rig_clear(r);
        }
    }
}

static void swiglu_grad_cases(rig *r)
{
    for (int i = 0; i < PLANE_COUNT; i++) {
        for (int which = 0; which < plane_types(r); which++) {
            int64_t rows = PLANES[i][0], width = PLANES[i][1];
            ag_dtype in = TYPES[which == 2], out_type = TYPES[which > 0];
            LABEL(r, "swiglu_grad %ldx%ld types %d", (long)rows, (long)width, which);
            buffer x = normals(r, in, rows * 2 * width, i % 2 ? 3 : 60),
                   dout = normals(r, in, rows * width, 1);
            buffer dx = poison(r, out_type, rows * 2 * width);
            BOTH(r, swiglu_grad, dx.at[s], out_type, in, dout.at[s], x.at[s], rows, width);
            check_rows(r, "dgate_up", dx, rows, 2 * width, 2 * width, FP32_BOUND, 1e-3);
            rig_clear(r);
        }
    }
}

/* rows, width, ld, first element of x and of the bias: all that decides how many elements a backend moves at once. */
static void bias_case(rig *r, int type, const int64_t *size)
{
    int64_t rows = size[0], width = size[1], ld = size[2], at = size[3], bias_at = size[4];
    LABEL(r, "bias %ldx%ld from %ld and %ld on, rows of %ld, %s", (long)rows, (long)width, (long)at,
          (long)bias_at, (long)ld, TYPE_NAMES[type]);
    buffer x = normals(r, TYPES[type], at + rows * ld, 1), bias = normals(r, AG_F32, bias_at + width, 1);
    BOTH(r, bias, (char *)x.at[s] + (size_t)at * ag_dtype_size(TYPES[type]), TYPES[type],
         (float *)bias.at[s] + bias_at, rows, width, ld);
    check(r, "x", x);
    rig_clear(r);
}

static void bias_cases(rig *r)
{
    static const int64_t pieces[][5] = {/* of 8, 4 and 1 */ {9, 24, 24, 0, 0},
                                        {9, 24, 40, 8, 0},
                                        {9, 24, 24, 0, 4},
                                        {9, 24, 28, 0, 0},
                                        {9, 24, 32, 4, 0},
                                        {9, 20, 24, 0, 0},
                                        {9, 24, 24, 0, 2},
                                        {9, 24, 24, 1, 0},
                                        {9, 22, 24, 0, 0}};
    for (int type = 0; type <= (kept_type(r, 1) == AG_BF16); type++) {
        for (int i = 0; i < PLANE_COUNT; i++)
            bias_case(r, type, (int64_t[]){PLANES[i][0], PLANES[i][1], PLANES[i][1] + i % 3, 0, 0});
        for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) bias_case(r, type, pieces[i]);
    }
}

static void bias_grad_cases(rig *r)
{
    for (int i = 0; i < PLANE_COUNT; i++) {
        for (int type = 0; type <= (kept_type(r, 1) == AG_BF16); type++) {
            int64_t rows = PLANES[i][0], width = PLANES[i][1], ld = width + i % 3;
            LABEL(r, "bias_grad %ldx%ld %s", (long)rows, (long)width, TYPE_NAMES[type]);
            buffer dx = normals(r, TYPES[type], rows * ld, 1), dbias = normals(r, AG_F32, width, 1);
            BOTH(r, bias_grad, dbias.at[s], dx.at[s], TYPES[type], rows, width, ld);
            check(r, "dbias", dbias);
            rig_clear(r);
        }
    }
}

static void sample_cases(rig *r)
{
    static const struct {
        double temperature;
        int top_k;
        double top_p, min_p;
    } how[] = {{0, 0, 1, 0},     {1, 0, 1, 0},    {0.6, 0, 1, 0},      {1, 5, 1, 0},
               {1.3, 0, 0.8, 0}, {1, 0, 1, 0.05}, {0.9, 20, 0.9, 0.01}};
    for (int i = 0; i < DRAWN_HEADS; i++) {
        for (int flags = 0; flags < (int)(4 * (sizeof how / sizeof *how)); flags++) {
            head_case c = make_head(r, "sample", HEADS[i][0], HEADS[i][1], HEADS[i][2], flags & 1, flags & 2,
                                    how[flags / 4].temperature);
            double *uniform = ag_calloc((size_t)c.rows, sizeof *uniform);
            for (int64_t j = 0; j < c.rows; j++)
                uniform[j] = j == 0 ? 0 : j == 1 ? 0x1.fffffffffffffp-1 : ag_rng_double(&r->rng);
            buffer u = rig_buffer(r, AG_F64, c.rows, uniform), id = poison(r, AG_F32, c.rows),
                   logprob = poison(r, AG_F32, c.rows);
            BOTH(r, sample, .head = head_of(&c, s), .uniform = u.at[s], .top_k = how[flags / 4].top_k,
                 .top_p = how[flags / 4].top_p, .min_p = how[flags / 4].min_p, .id = id.at[s],
                 .logprob = logprob.at[s]);
            check_ints(r, "id", id);
            check_rows(r, "logprob", logprob, 1, c.rows, c.rows, FP32_BOUND, 1);
            ag_free(uniform);
            rig_clear(r);
        }
    }
}

static const int64_t LENGTHS[] = {0, 1, 2, 15, 17, 1000, 16384, 16385, 40001};
enum { LENGTH_COUNT = sizeof LENGTHS / sizeof *LENGTHS };

static void adamw_cases(rig *r)
{
    for (int i = 0; i < LENGTH_COUNT; i++) {
        for (int variant = 0; variant < 4; variant++) {
            int64_t n = LENGTHS[i], step = variant == 0 ? 1 : variant == 1 ? 2 : 1000;
            ag_dtype type = variant & 1 ? AG_F32 : AG_BF16;
            LABEL(r, "adamw %ld step %ld variant %d", (long)n, (long)step, variant);
            float *squares = ag_calloc((size_t)n, sizeof *squares);
            for (int64_t j = 0; j < n; j++) squares[j] = (float)pow(ag_rng_normal(&r->rng), 2);
            /* Weights as small as their update: an error of the update cannot hide behind them. */
            buffer w = normals(r, AG_F32, n, 0.01), m = normals(r, AG_F32, n, variant ? 0.5 : 0),
                   g = normals(r, AG_F32, n, 2);
            if (variant == 0) memset(squares, 0, (size_t)n * sizeof *squares);
            buffer v = rig_buffer(r, AG_F32, n, squares), copy = poison(r, type, n);
            BOTH(r, adamw, .w = w.at[s], .m = m.at[s], .v = v.at[s], .copy = variant == 3 ? NULL : copy.at[s],
                 .g = g.at[s], .copy_type = type, .n = n, .lr = 0.01, .beta1 = 0.9, .beta2 = 0.999,
                 .eps = 1e-8, .decay = 0.1, .grad_scale = 0.3, .step = step);
            check(r, "m", m);
            check(r, "v", v);
            check(r, "w", w);
            if (variant != 3) check(r, "copy", copy);
            ag_free(squares);
            rig_clear(r);
        }
    }
}

static void sum_squares_cases(rig *r)
{
    for (int i = 0; i < LENGTH_COUNT; i++) {
        buffer x = normals(r, AG_F32, LENGTHS[i], 1e10);
        double sum[2] = {-1, -1};
        LABEL(r, "sum_squares %ld", (long)LENGTHS[i]);
        BOTH(r, sum_squares, x.at[s], LENGTHS[i], &sum[s]);
        if (fabs(sum[0] - sum[1]) > (r->exact ? 0 : 1e-13 * sum[0]))
            fail_msg("%s: %.17g, expected %.17g", r->label, sum[1], sum[0]);
        rig_clear(r);
    }
}

/* Values at which rounding to bf16 may go wrong: ties, borders of the exponent, infinities, denormals. */
static void cast_special(rig *r)
{
    static const uint32_t bits[] = {0x3f808000, 0x3f818000, 0x3f807fff, 0x3f808001, 0x7f7fffff, 0x7f800000,
                                    0xff800000, 0x00000001, 0x807fffff, 0x00008000, 0x00018000, 0x80000000,
                                    0x7f7f8000, 0xbf808000, 0x477fffff, 0x3effffff, 0};
    int64_t n = sizeof bits / sizeof *bits;
    LABEL(r, "cast of special values");
    buffer src = rig_buffer(r, AG_F32, n, bits), dst = poison(r, AG_BF16, n);
    BOTH(r, cast, dst.at[s], src.at[s], AG_BF16, AG_F32, n);
    check_rows(r, "dst", dst, 1, n, n, 0, 0);
    uint16_t *want = fetch(r, dst, 0), *got = fetch(r, dst, 1);
    assert_memory_equal(want, got, (size_t)n * 2);
    for (int64_t i = 0; i < n; i++) assert_int_equal(got[i] & 0x8000, bits[i] >> 16 & 0x8000);
    assert_int_equal(got[0], 0x3f80); /* ties to even */
    assert_int_equal(got[1], 0x3f82);
    assert_int_equal(got[4], 0x7f80);
    ag_free(want);
    ag_free(got);
    rig_clear(r);
}

static void cast_cases(rig *r)
{
    cast_special(r);
    for (int i = 0; i < LENGTH_COUNT; i++) {
        for (int types = 0; types < 4; types++) {
            LABEL(r, "cast %ld types %d", (long)LENGTHS[i], types);
            buffer src = normals(r, TYPES[types & 1], LENGTHS[i], 1),
                   dst = poison(r, TYPES[types / 2], LENGTHS[i]);
            BOTH(r, cast, dst.at[s], src.at[s], TYPES[types / 2], TYPES[types & 1], LENGTHS[i]);
            check_rows(r, "dst", dst, 1, dst.n, dst.n, 0, 0);
            rig_clear(r);
        }
    }
}

static void rows_case(rig *r, int kind, int64_t rows, int64_t width, int types)
{
    bool gather = kind == AG_ROWS_GATHER;
    ag_dtype src_type = TYPES[types & 1], dst_type = TYPES[types / 2];
    int64_t other = rows + 7, src_rows = gather ? other : rows, dst_rows = gather ? rows : other,
            src_ld = width + (width % 8 ? 2 : 4), dst_ld = width + (width % 8 ? 1 : 8);
    LABEL(r, "rows kind %d %ldx%ld types %d", kind, (long)rows, (long)width, types);
    uint32_t *order = ag_calloc((size_t)other, sizeof *order);
    for (int64_t i = 0; i < other; i++) order[i] = (uint32_t)i;
    ag_rng_shuffle(&r->rng, order, (uint32_t)other);
    if (gather)
        for (int64_t i = 0; i < other; i += 2) order[i] = (uint32_t)(other / 3); /* rows may repeat */
    buffer index = ints(r, (int32_t *)order, rows), src = normals(r, src_type, src_rows * src_ld, 1);
    buffer dst = gather ? poison(r, dst_type, dst_rows * dst_ld) : normals(r, dst_type, dst_rows * dst_ld, 1);
    BOTH(r, rows, .kind = (ag_rows_kind)kind, .dst = dst.at[s], .src = src.at[s], .dst_type = dst_type,
         .src_type = src_type, .index = index.at[s], .rows = rows, .width = width, .dst_ld = dst_ld,
         .src_ld = src_ld);
    check_rows(r, "dst", dst, dst_rows, width, dst_ld, 0, 0);
    ag_free(order);
    rig_clear(r);
}

static void rows_cases(rig *r)
{
    for (int i = 0; i < PLANE_COUNT; i++)
        for (int kind = 0; kind < 2; kind++)
            for (int types = 0; types < 4; types++) rows_case(r, kind, PLANES[i][0], PLANES[i][1], types);
}

static void axpy_cases(rig *r)
{
    for (int i = 0; i < LENGTH_COUNT; i++) {
        LABEL(r, "axpy %ld", (long)LENGTHS[i]);
        buffer y = normals(r, AG_F32, LENGTHS[i], 1), x = normals(r, AG_F32, LENGTHS[i], 1);
        BOTH(r, axpy, y.at[s], x.at[s], -0.3, LENGTHS[i]);
        check(r, "y", y);
        rig_clear(r);
    }
}

/* --- every operation on every pair of devices
 * ---------------------------------------------------------------- */
typedef struct operation {
    const char *name;
    void (*cases)(rig *r);
    int part;
} operation;
static const operation OPERATIONS[] = {/* the slowest first */
                                       {"attention-wide", attention_cases, WIDE_PART},
                                       {"attention-large", attention_cases, LARGE_PART},
                                       {"attention-kept", attention_cases, KEPT_PART},
                                       {"attention_grad-wide", attention_grad_cases, WIDE_PART},
                                       {"attention_grad-large", attention_grad_cases, LARGE_PART},
                                       {"attention_grad-kept", attention_grad_cases, KEPT_PART},
#define ROW(op) {#op, op##_cases, 0},
                                       AG_DEVICE_OPS(ROW)
#undef ROW
};
enum { OPERATION_COUNT = sizeof OPERATIONS / sizeof *OPERATIONS };

/* Judge and trial: a cpu device by instruction set (NULL: the best) and threads, `cuda`, or `ref` (threads 0). */
typedef struct pair {
    const char *name, *isa[2];
    int threads[2];
} pair;
static const pair PAIRS[] = {
    {"ref-base", {"ref", "base"}, {0, 2}},     {"ref-avx2", {"ref", "avx2"}, {0, 2}},
    {"ref-avx512", {"ref", "avx512"}, {0, 2}}, {"ref-wide", {"ref", "wide"}, {0, 2}},
    {"threads-1-2", {NULL, NULL}, {1, 2}},     {"threads-1-3", {NULL, NULL}, {1, 3}},
    {"threads-2-2", {NULL, NULL}, {2, 2}},     {"ref-cuda", {"ref", "cuda"}, {0, 1}},
    {"cuda-again", {"cuda", "cuda"}, {1, 1}},
};
enum { PAIR_COUNT = sizeof PAIRS / sizeof *PAIRS };

typedef struct trial {
    const pair *pair;
    const operation *operation;
    char name[64];
} trial;
static trial TRIALS[PAIR_COUNT * OPERATION_COUNT];

static ag_status open_side(const pair *p, int side, ag_device **d, ag_error *err)
{
    if (p->isa[side] && strcmp(p->isa[side], "cuda") == 0) return ag_device_open(d, "cuda", 0, err);
    if (p->threads[side] == 0) return ag_device_ref_open(d, err);
    bool wide = p->isa[side] && strcmp(p->isa[side], "wide") == 0;
    ag_status status = ag_device_cpu_open_isa(d, p->threads[side], wide ? NULL : p->isa[side], err);
    if (status == AG_OK && wide) ag_cpu_of(*d)->k = &ag_cpu_kernels_wide;
    return status;
}

static bool show;

static void test_operation(void **state)
{
    const trial *t = *state;
    rig r = {.rng = ag_rng_at(7, AG_RNG_TEST, 0, 0, 0, 0),
             .part = t->operation->part,
             .exact = t->pair->threads[0] > 0,
             .show = show};
    ag_error err = {0};
    for (int s = 0; s < 2; s++) {
        ag_status status = open_side(t->pair, s, &r.d[s], &err);
        if (status == AG_ERR_UNSUPPORTED) {
            if (s == 1) ag_device_close(r.d[0]);
            if (t->operation == OPERATIONS) print_message("%s left out: %s\n", t->pair->name, err.message);
            skip();
        }
        if (status != AG_OK) fail_msg("%s", err.message);
    }
    t->operation->cases(&r);
    if (r.show)
        print_message("%s: %ld comparisons, error at most %.2g of the norm\n", t->name, r.checks, r.worst);
    ag_device_close(r.d[0]);
    ag_device_close(r.d[1]);
}

/* test_ops [PATTERN]: the tests of that name only ("*cuda*", for example), and how close they came. */
int main(int argc, char **argv)
{
    static struct CMUnitTest tests[PAIR_COUNT * OPERATION_COUNT];
    for (int i = 0; i < PAIR_COUNT * OPERATION_COUNT; i++) {
        trial *t = &TRIALS[i];
        *t = (trial){.pair = &PAIRS[i / OPERATION_COUNT], .operation = &OPERATIONS[i % OPERATION_COUNT]};
        snprintf(t->name, sizeof t->name, "%s/%s", t->pair->name, t->operation->name);
        tests[i] = (struct CMUnitTest){t->name, test_operation, NULL, NULL, t};
    }
    show = argc > 1;
    if (show) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
