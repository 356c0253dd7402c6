/* Random numbers: the published known answers of Philox, independence of streams, shapes of distributions. */
#include "unit/base/test_help.h"

#include <math.h>

#include "base/rng.h"

/* kat_vectors of Random123: counter, key, output of philox4x32 with 10 rounds. */
static void test_known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        ag_rng r = {0};
        memcpy(r.counter, known[i].counter, sizeof r.counter);
        memcpy(r.key, known[i].key, sizeof r.key);
        for (int k = 0; k < 4; k++) assert_int_equal(ag_rng_u32(&r), known[i].out[k]);
    }
}

/* The bytes of every run depend on these: a change of them is a change of all recorded results. */
static void test_streams_are_fixed(void **state)
{
    (void)state;
    ag_rng r = ag_rng_at(42, AG_RNG_SAMPLE, 1, 2, 3, 4);
    static const uint32_t first[6] = {0xbdc80c81, 0x37e048fa, 0x6cec762a, 0xca876b99, 0x26aba005, 0xc7b80afb};
    for (int i = 0; i < 6; i++) assert_int_equal(ag_rng_u32(&r), first[i]);
    assert_int_equal(ag_hash64("", 0), 0xefd01f60ba992926u);
    assert_int_equal(ag_hash64("agrl", 4), 0x250e6aefbf440c7au);
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Streams whose names differ in one place anywhere give different numbers, 32-bit halves included. */
static void test_streams_differ(void **state)
{
    (void)state;
    enum { EACH = 2000, ALL = 6 * EACH };
    uint64_t *first = ag_calloc(ALL, sizeof *first);
    size_t n = 0;
    for (uint64_t i = 0; i < EACH; i++) {
        uint64_t x = i < EACH / 2 ? i + 1 : (i + 1) << 32;
        ag_rng streams[6] = {
            ag_rng_at(x, AG_RNG_TEST, 0, 0, 0, 0), ag_rng_at(0, (ag_purpose)(1000 + i), 0, 0, 0, 0),
            ag_rng_at(0, AG_RNG_TEST, x, 0, 0, 0), ag_rng_at(0, AG_RNG_TEST, 0, x, 0, 0),
            ag_rng_at(0, AG_RNG_TEST, 0, 0, x, 0), ag_rng_at(0, AG_RNG_TEST, 0, 0, 0, x)};
        for (int k = 0; k < 6; k++) first[n++] = ag_rng_u64(&streams[k]);
    }
    qsort(first, n, sizeof *first, compare_u64);
    for (size_t i = 1; i < n; i++) assert_true(first[i] != first[i - 1]);
    ag_free(first);
}

/* Neighbouring streams are as good as one stream: bits are even and do not agree with the neighbour's. */
static void test_neighbours(void **state)
{
    (void)state;
    int ones[32] = {0}, agree[32] = {0}, n = 20000;
    uint32_t before = 0;
    for (int i = 0; i < n; i++) {
        ag_rng r = ag_rng_at(1, AG_RNG_TEST, 7, 0, 0, (uint64_t)i);
        uint32_t x = ag_rng_u32(&r);
        for (int b = 0; b < 32; b++) {
            ones[b] += x >> b & 1;
            agree[b] += ~(x ^ before) >> b & 1;
        }
        before = x;
    }
    for (int b = 0; b < 32; b++) {
        assert_true(fabs(ones[b] - n / 2.0) < 5 * sqrt(n / 4.0));
        assert_true(fabs(agree[b] - n / 2.0) < 5 * sqrt(n / 4.0));
    }
}

static void test_distributions(void **state)
{
    (void)state;
    ag_rng r = ag_rng_at(3, AG_RNG_TEST, 0, 0, 0, 0);
    int n = 200000;
    double sum = 0, square = 0, fourth = 0;
    for (int i = 0; i < n; i++) {
        double x = ag_rng_double(&r);
        assert_true(x >= 0 && x < 1);
        sum += x;
    }
    assert_true(fabs(sum / n - 0.5) < 5 * sqrt(1.0 / 12 / n));
    sum = 0;
    for (int i = 0; i < n; i++) {
        double x = ag_rng_normal(&r);
        assert_true(isfinite(x));
        sum += x;
        square += x * x;
        fourth += x * x * x * x;
    }
    assert_true(fabs(sum / n) < 5 / sqrt(n));
    assert_true(fabs(square / n - 1) < 5 * sqrt(2.0 / n));
    assert_true(fabs(fourth / n - 3) < 5 * sqrt(96.0 / n));
}

static void test_below(void **state)
{
    (void)state;
    ag_rng r = ag_rng_at(4, AG_RNG_TEST, 0, 0, 0, 0);
    int seen[7] = {0}, n = 70000;
    for (int i = 0; i < 100; i++) assert_int_equal(ag_rng_below(&r, 1), 0);
    for (int i = 0; i < n; i++) seen[ag_rng_below(&r, 7)]++;
    for (int i = 0; i < 7; i++) assert_true(abs(seen[i] - n / 7) < 5 * sqrt(n / 7.0));
    /* Just above half of the range plain multiplication would be grossly uneven. */
    uint32_t big = 0x80000001u;
    int low = 0;
    for (int i = 0; i < n; i++) {
        uint32_t x = ag_rng_below(&r, big);
        assert_true(x < big);
        low += x < big / 2;
    }
    assert_true(fabs(low - n / 2.0) < 5 * sqrt(n / 4.0));
}

static void test_shuffle(void **state)
{
    (void)state;
    int place[4][4] = {{0}}, n = 40000;
    for (int i = 0; i < n; i++) {
        uint32_t items[4] = {0, 1, 2, 3}, seen = 0;
        ag_rng r = ag_rng_at(5, AG_RNG_SHUFFLE, (uint64_t)i, 0, 0, 0);
        ag_rng_shuffle(&r, items, 4);
        for (int k = 0; k < 4; k++) {
            seen |= 1u << items[k];
            place[k][items[k]]++;
        }
        assert_int_equal(seen, 15);
    }
    for (int k = 0; k < 4; k++)
        for (int j = 0; j < 4; j++) assert_true(fabs(place[k][j] - n / 4.0) < 5 * sqrt(n * 3 / 16.0));
    ag_rng r = ag_rng_at(5, AG_RNG_SHUFFLE, 0, 0, 0, 0);
    ag_rng_shuffle(&r, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),  cmocka_unit_test(test_streams_are_fixed),
        cmocka_unit_test(test_streams_differ), cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_distributions),  cmocka_unit_test(test_below),
        cmocka_unit_test(test_shuffle)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
