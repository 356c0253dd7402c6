/* The rig of the operations test: two devices side by side. Each buffer lives on both with the same bytes,
 * each operation runs on both, and what comes out is compared. d[0] is the judge (ref), d[1] the one on
 * trial; or, to show that bytes do not depend on threads, both are `cpu`.
 */
#ifndef AG_TESTS_OPS_RIG_H
#define AG_TESTS_OPS_RIG_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "device/cpu/cpu.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SMALL_GRID 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SMALL_GRID 1
#endif
#ifndef SMALL_GRID
#define SMALL_GRID 0
#endif

/* fp32 keeps 24 bits: a sum of k random terms is off by about sqrt(k) * 6e-8 of its size, 4e-6 for the
 * longest sums here. */
#define FP32_BOUND 1e-5
/* Attention whose products may be of bf16: scores of order two are off by some thousandths, and so are softmax weights. */
#define BF16_BOUND 2e-2
/* Gradients that are differences of terms of order one may be nothing but rounding: their norm counts as at
 * least this. */
#define CANCELS 0.3

enum { MAX_HELD = 64 };

typedef struct buffer {
    void *at[2];
    ag_dtype type; /* of reals; integers are compared through `ints` */
    int64_t n;
} buffer;

typedef struct rig {
    ag_device *d[2];
    ag_rng rng;
    buffer held[MAX_HELD];
    int held_count;
    int part;   /* of the cases, where an operation has several */
    bool exact; /* the same bytes are asked for */
    bool show;  /* tell how close it came: */
    long checks;
    double worst; /* error of the norm */
    char label[256];
} rig;

/* One operation on both sides; in the arguments `s` is the side, 0 or 1. */
#define BOTH(r, op, ...)                                                                                     \
    for (int s = 0; s < 2; s++) {                                                                            \
        ag_error err_ = {0};                                                                                 \
        if ((r)->d[s]->op((r)->d[s], &(ag_##op##_args){__VA_ARGS__}, &err_) != AG_OK)                        \
            fail_msg("%s on %s: %s", (r)->label, (r)->d[s]->name, err_.message);                             \
    }

#define LABEL(r, ...) snprintf((r)->label, sizeof(r)->label, __VA_ARGS__)

/* The same bytes into both sides of a buffer. */
static inline void put(rig *r, buffer b, const void *host)
{
    ag_error err = {0};
    for (int s = 0; s < 2; s++)
        assert_int_equal(r->d[s]->upload(r->d[s], b.at[s], host, (size_t)b.n * ag_dtype_size(b.type), &err),
                         AG_OK);
}

static inline buffer rig_buffer(rig *r, ag_dtype type, int64_t n, const void *host)
{
    buffer b = {.type = type, .n = n};
    ag_error err = {0};
    assert_true(r->held_count < MAX_HELD);
    size_t bytes = (size_t)n * ag_dtype_size(type);
    for (int s = 0; s < 2; s++)
        if (r->d[s]->alloc(r->d[s], &b.at[s], bytes, "test", &err) != AG_OK) fail_msg("%s", err.message);
    put(r, b, host);
    r->held[r->held_count++] = b;
    return b;
}

/* Releases every buffer: the end of a case. */
static inline void rig_clear(rig *r)
{
    for (int i = 0; i < r->held_count; i++)
        for (int s = 0; s < 2; s++) r->d[s]->release(r->d[s], r->held[i].at[s]);
    r->held_count = 0;
}

static inline void store_host(void *host, ag_dtype type, int64_t i, double x)
{
    if (type == AG_BF16)
        ((uint16_t *)host)[i] = ag_bf16_from_float((float)x);
    else
        ((float *)host)[i] = (float)x;
}

static inline double load_host(const void *host, ag_dtype type, int64_t i)
{
    return type == AG_BF16 ? (double)ag_float_from_bf16(((const uint16_t *)host)[i])
                           : (double)((const float *)host)[i];
}

/* n values of normal distribution times `scale`. */
static inline buffer normals(rig *r, ag_dtype type, int64_t n, double scale)
{
    void *host = ag_calloc((size_t)n, ag_dtype_size(type));
    for (int64_t i = 0; i < n; i++) store_host(host, type, i, scale * ag_rng_normal(&r->rng));
    buffer b = rig_buffer(r, type, n, host);
    ag_free(host);
    return b;
}

/* n values that nobody may read: NaN. */
static inline buffer poison(rig *r, ag_dtype type, int64_t n)
{
    void *host = ag_calloc((size_t)n, ag_dtype_size(type));
    for (int64_t i = 0; i < n; i++) store_host(host, type, i, NAN);
    buffer b = rig_buffer(r, type, n, host);
    ag_free(host);
    return b;
}

static inline buffer ints(rig *r, const int32_t *host, int64_t n)
{
    return rig_buffer(r, AG_F32, n, host);
}

/* n integers in 0..below-1. */
static inline buffer random_ints(rig *r, int64_t n, int32_t below)
{
    int32_t *host = ag_calloc((size_t)n, sizeof *host);
    for (int64_t i = 0; i < n; i++) host[i] = (int32_t)ag_rng_below(&r->rng, (uint32_t)below);
    buffer b = ints(r, host, n);
    ag_free(host);
    return b;
}

static const ag_dtype TYPES[] = {AG_F32, AG_BF16};
static const char *const TYPE_NAMES[] = {"fp32", "bf16"};

static inline void *fetch(rig *r, buffer b, int side)
{
    ag_error err = {0};
    void *host = ag_calloc((size_t)b.n, ag_dtype_size(b.type));
    assert_int_equal(
        r->d[side]->download(r->d[side], host, b.at[side], (size_t)b.n * ag_dtype_size(b.type), &err), AG_OK);
    return host;
}

/* What side 0 made becomes the input of both sides. */
static inline void share(rig *r, buffer b)
{
    void *host = fetch(r, b, 0);
    put(r, b, host);
    ag_free(host);
}

/* Compares rows x width elements, row distance ld. Relative to the norm and to the largest of the expected
 * values (never less than `floor`); a bf16 value may round to the neighbour instead. What lies between the
 * rows must be as it was poisoned, or equal on both sides. */
static inline void check_rows(rig *r, const char *what, buffer b, int64_t rows, int64_t width, int64_t ld,
                              double bound, double floor)
{
    void *want = fetch(r, b, 0), *got = fetch(r, b, 1);
    double error2 = 0, norm2 = 0, largest = floor, worst = 0;
    if (r->exact && memcmp(want, got, (size_t)b.n * ag_dtype_size(b.type)) != 0)
        fail_msg("%s: %s: other bytes", r->label, what);
    for (int64_t i = 0; i < b.n; i++) {
        double x = load_host(want, b.type, i), y = load_host(got, b.type, i);
        if (i >= rows * ld || i % ld >= width) {
            if (!(x == y || (isnan(x) && isnan(y))))
                fail_msg("%s: %s: wrote element %ld outside the rows", r->label, what, (long)i);
            continue;
        }
        if (isnan(x) || isnan(y))
            fail_msg("%s: %s[%ld,%ld]: %g, expected %g", r->label, what, (long)(i / ld), (long)(i % ld), y,
                     x);
        double difference = fabs(x - y);
        if (x == y) difference = 0; /* infinities */
        double allowed = b.type == AG_BF16 ? 0.0079 * fmax(fabs(x), fabs(y)) : 0;
        if (difference > worst && difference > allowed) worst = difference;
        if (fabs(x) > largest) largest = fabs(x);
        error2 += difference * difference;
        norm2 += x * x;
    }
    double loose = b.type == AG_BF16 ? fmax(1e-3, bound) : bound, norm = fmax(sqrt(norm2), floor);
    r->checks++;
    if (norm > 0) r->worst = fmax(r->worst, sqrt(error2) / norm);
    if (sqrt(error2) > loose * norm || worst > 2 * bound * largest)
        fail_msg("%s: %s: error %.3g of the norm, largest %.3g of %.3g", r->label, what, sqrt(error2) / norm,
                 worst, largest);
    ag_free(want);
    ag_free(got);
}

static inline void check(rig *r, const char *what, buffer b)
{
    check_rows(r, what, b, 1, b.n, b.n, FP32_BOUND, 0);
}

static inline void check_ints(rig *r, const char *what, buffer b)
{
    int32_t *want = fetch(r, b, 0), *got = fetch(r, b, 1);
    for (int64_t i = 0; i < b.n; i++)
        if (want[i] != got[i])
            fail_msg("%s: %s[%ld]: %d, expected %d", r->label, what, (long)i, got[i], want[i]);
    ag_free(want);
    ag_free(got);
}

#endif
