/* Allocation: overflow, growth, the failure switch, arenas. */
#include "unit/base/test_help.h"

static void test_sizes(void **state)
{
    (void)state;
    unsigned char *p = ag_calloc(0, 8);
    assert_non_null(p);
    ag_free(p);
    volatile size_t huge = SIZE_MAX / 2 + 1; /* volatile: the compiler would warn about the constant */
    assert_null(ag_calloc(huge, 2));
    p = ag_calloc(100, 1);
    for (int i = 0; i < 100; i++) assert_int_equal(p[i], 0);
    memset(p, 7, 100);
    assert_null(ag_realloc(p, huge, 2));
    assert_null(ag_realloc(p, huge, 1));
    assert_int_equal(p[99], 7);
    p = ag_realloc(p, 1000, 1);
    assert_non_null(p);
    assert_int_equal(p[99], 7);
    p = ag_realloc(p, 0, 1);
    assert_non_null(p);
    ag_free(p);
    ag_free(NULL);
    assert_null(ag_strndup("x", SIZE_MAX));
}

static void test_grow(void **state)
{
    (void)state;
    int *items = NULL;
    size_t cap = 0, moves = 0, before = 0;
    for (int i = 0; i < 100000; i++) {
        assert_true(ag_grow(&items, &cap, (size_t)i + 1, sizeof *items));
        if (cap != before) moves++;
        before = cap;
        items[i] = i;
    }
    assert_true(moves < 40);
    for (int i = 0; i < 100000; i++) assert_int_equal(items[i], i);
    int *kept = items;
    assert_false(ag_grow(&items, &cap, SIZE_MAX / 2, sizeof *items));
    assert_ptr_equal(items, kept);
    assert_int_equal(cap, before);
    ag_mem_fail_at(1, false);
    assert_false(ag_grow(&items, &cap, cap + 1, sizeof *items));
    ag_mem_fail_at(0, false);
    assert_ptr_equal(items, kept);
    assert_int_equal(cap, before);
    ag_free(items);
}

static void test_strings(void **state)
{
    (void)state;
    char *a = ag_strdup("hello"), *b = ag_strndup("hello", 3), *c = ag_strndup(NULL, 0);
    assert_string_equal(a, "hello");
    assert_string_equal(b, "hel");
    assert_string_equal(c, "");
    ag_free(a);
    ag_free(b);
    ag_free(c);
}

static void test_failure_switch(void **state)
{
    (void)state;
    void *blocks[5];
    ag_mem_fail_at(3, false);
    for (int i = 0; i < 5; i++) blocks[i] = ag_calloc(1, 1);
    for (int i = 0; i < 5; i++) assert_true(i == 2 ? blocks[i] == NULL : blocks[i] != NULL);
    assert_int_equal(ag_mem_fail_at(2, true), 5);
    for (int i = 0; i < 5; i++) ag_free(blocks[i]);
    for (int i = 0; i < 5; i++) blocks[i] = ag_calloc(1, 1);
    for (int i = 0; i < 5; i++) assert_true(i >= 1 ? blocks[i] == NULL : blocks[i] != NULL);
    assert_int_equal(ag_mem_fail_at(0, false), 5);
    assert_int_equal(ag_mem_fail_at(0, false), 0);
    ag_free(blocks[0]);
}

static void test_arena(void **state)
{
    (void)state;
    ag_arena arena = {.name = "test"};
    unsigned char *blocks[3000];
    size_t sizes[3000], sum = 0;
    for (size_t i = 0; i < 3000; i++) {
        sizes[i] = i % 97 == 0 ? 100000 : i % 53;
        blocks[i] = ag_arena_alloc(&arena, sizes[i], 1);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(blocks[i][k], 0);
        memset(blocks[i], (int)(i % 255) + 1, sizes[i]);
        sum += sizes[i];
    }
    for (size_t i = 0; i < 3000; i++)
        for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(blocks[i][k], i % 255 + 1);
    assert_true(arena.bytes >= sum);
    assert_string_equal(ag_arena_strdup(&arena, "text"), "text");
    assert_string_equal(ag_arena_strndup(&arena, "text", 2), "te");
    assert_null(ag_arena_alloc(&arena, SIZE_MAX / 2, 4));
    assert_null(ag_arena_alloc(&arena, SIZE_MAX, 1));
    assert_null(ag_arena_strndup(&arena, "x", SIZE_MAX));
    ag_arena_free(&arena);
    assert_null(arena.head);
    assert_int_equal(arena.bytes, 0);
    assert_non_null(ag_arena_alloc(&arena, 1, 1)); /* usable again */
    ag_arena_free(&arena);
    ag_mem_fail_at(1, false);
    assert_null(ag_arena_alloc(&arena, 1, 1));
    ag_mem_fail_at(0, false);
    ag_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sizes), cmocka_unit_test(test_grow),
                                       cmocka_unit_test(test_strings), cmocka_unit_test(test_failure_switch),
                                       cmocka_unit_test(test_arena)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
