/* model_help.h: what the tests of model share: golden files, a source of mutations, and bytes put together by
 * hand.
 */
#ifndef AG_TEST_MODEL_HELP_H
#define AG_TEST_MODEL_HELP_H

#include "unit/base/test_help.h"

#include "base/json.h"

#define GOLDEN AGRL_SOURCE_DIR "/tests/golden/models"

/* Deterministic noise (xorshift). */
__attribute__((unused)) static uint32_t noise(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* A growing block of bytes. */
typedef struct bytes {
    unsigned char data[1 << 16];
    size_t len;
} bytes;

__attribute__((unused)) static void put(bytes *b, const void *p, size_t n)
{
    assert_true(b->len + n <= sizeof b->data);
    memcpy(b->data + b->len, p, n);
    b->len += n;
}

/* A little-endian number of n bytes. */
__attribute__((unused)) static void put_le(bytes *b, uint64_t x, int n)
{
    for (int i = 0; i < n; i++) {
        unsigned char c = (unsigned char)(x >> (8 * i));
        put(b, &c, 1);
    }
}

/* A copy of exactly n bytes, so that a sanitizer sees the first read behind them. */
__attribute__((unused)) static unsigned char *exact(const void *p, size_t n)
{
    unsigned char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, p, n);
    return copy;
}

__attribute__((unused)) static json_t *load_golden(const char *path)
{
    json_t *json = NULL;
    ag_error err = {0};
    if (ag_json_load(&json, path, &err) != AG_OK) fail_msg("%s", err.message);
    return json;
}

#endif
