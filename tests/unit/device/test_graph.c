/* Recorded sequences of operations (device.h): the first time they run as they come, then they are recorded, then replayed, with what their
 * memory holds by then; a key of other bytes is another sequence; growing scratch memory does not mislead an old one. On cuda, where it is.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "device/device.h"

enum { N = 1000, WIDTH = 8, VOCAB = 40 };

typedef struct bench {
    ag_device *d;
    void *x, *y, *h, *w, *first, *target, *logprob, *lse;
} bench;

static void *space(ag_device *d, size_t bytes)
{
    ag_error err = {0};
    void *p = NULL;
    if (d->alloc(d, &p, bytes, "test", &err) != AG_OK) fail_msg("%s", err.message);
    return p;
}

/* A head over so many rows: what needs scratch memory. */
static ag_status head(bench *b, int64_t rows, ag_error *err)
{
    ag_head_args args = {.h = b->h,
                         .w = b->w,
                         .type = AG_F32,
                         .rows = rows,
                         .width = WIDTH,
                         .vocab = VOCAB,
                         .temperature = 1,
                         .first = b->first,
                         .target = b->target,
                         .targets = rows};
    return b->d->head_logprob(b->d, &(ag_head_logprob_args){args, b->logprob, b->lse, NULL, NULL, NULL}, err);
}

/* y += x and a head of `rows`, under a key; returns whether it was a replay. */
static bool sequence(bench *b, const char *key, int64_t rows)
{
    ag_error err = {0};
    bool replayed;
    if (b->d->graph_begin(b->d, key, strlen(key) + 1, &replayed, &err) != AG_OK) fail_msg("%s", err.message);
    if (replayed) return true;
    assert_int_equal(b->d->axpy(b->d, &(ag_axpy_args){b->y, b->x, 1, N}, &err), AG_OK);
    assert_int_equal(head(b, rows, &err), AG_OK);
    if (b->d->graph_end(b->d, true, &err) != AG_OK) fail_msg("%s", err.message);
    return false;
}

static void set(bench *b, void *at, float value)
{
    float host[N];
    ag_error err = {0};
    for (int i = 0; i < N; i++) host[i] = value;
    assert_int_equal(b->d->upload(b->d, at, host, sizeof host, &err), AG_OK);
}

static float get(bench *b, const void *at, int i)
{
    float host[N];
    ag_error err = {0};
    assert_int_equal(b->d->download(b->d, host, at, sizeof host, &err), AG_OK);
    return host[i];
}

static void test_sequences(void **state)
{
    (void)state;
    bench b = {0};
    ag_error err = {0};
    ag_status status = ag_device_open(&b.d, "cuda", 0, &err);
    if (status == AG_ERR_UNSUPPORTED) {
        print_message("left out: %s\n", err.message);
        skip();
    }
    assert_int_equal(status, AG_OK);
    void **all[] = {&b.x, &b.y, &b.h, &b.w, &b.first, &b.target, &b.logprob, &b.lse};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        *all[i] = space(b.d, (N + 1) * WIDTH * sizeof(float));
    int32_t first[N + 1], target[N];
    for (int i = 0; i <= N; i++) first[i] = i;
    for (int i = 0; i < N; i++) target[i] = i % VOCAB;
    assert_int_equal(b.d->upload(b.d, b.first, first, sizeof first, &err), AG_OK);
    assert_int_equal(b.d->upload(b.d, b.target, target, sizeof target, &err), AG_OK);
    set(&b, b.x, 1);
    assert_false(sequence(&b, "one", 10)); /* as it comes */
    assert_false(sequence(&b, "one", 10)); /* recorded, and run */
    assert_true(sequence(&b, "one", 10));
    assert_true(get(&b, b.y, N - 1) == 3);
    set(&b, b.x, 10);
    assert_true(sequence(&b, "one", 10));
    assert_true(get(&b, b.y, 0) == 13);
    assert_false(sequence(&b, "two", 900)); /* wants more scratch memory */
    assert_false(sequence(&b, "one", 10));  /* whose old recording is no good any more */
    assert_true(sequence(&b, "one", 10));
    assert_true(get(&b, b.y, 0) == 43);
    assert_true(fabsf(get(&b, b.logprob, 0) + logf(VOCAB)) < 1e-5f); /* h and w are zero */
    b.d->graph_forget(b.d);
    assert_false(sequence(&b, "one", 10));

    bool replayed; /* a sequence that failed is not kept */
    assert_int_equal(b.d->graph_begin(b.d, "one", 4, &replayed, &err), AG_OK);
    assert_false(replayed);
    assert_int_equal(b.d->axpy(b.d, &(ag_axpy_args){b.y, b.x, 1, N}, &err), AG_OK);
    assert_int_equal(b.d->graph_end(b.d, false, &err), AG_OK);
    assert_true(get(&b, b.y, 0) == 53); /* what was recorded and not kept has not run */
    assert_false(sequence(&b, "one", 10));
    for (char key[2] = "A"; key[0] < 'A' + 50; key[0]++)
        assert_false(sequence(&b, key, 10)); /* more than it keeps */
    assert_false(sequence(&b, "one", 10));
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) b.d->release(b.d, *all[i]);
    ag_device_close(b.d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sequences)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
