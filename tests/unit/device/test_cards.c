/* test_cards.c: sums over the cards of this machine by NCCL (libagrl_nccl.so), a process each; with one card the sum of one. Skipped
 * where there is no card or no NCCL. The processes are forked before anything opens a card.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/plugin.h"
#include "device/device.h"

enum { N = 1 << 20, MOST = 8, NO_CARD = 77 };

static int from_first[MOST][2]; /* pipes: what the first rank says to each other */

/* Only the first rank has something to share. */
static ag_status share(ag_comm *c, void *all, const size_t *bytes, ag_error *err)
{
    for (int r = 1; r < c->size; r++) {
        if (bytes[r] != 0) return ag_fail(err, AG_ERR_INTERNAL, "only the first rank speaks here");
        if (c->rank == 0 && write(from_first[r][1], all, bytes[0]) != (ssize_t)bytes[0])
            return ag_fail(err, AG_ERR_IO, "pipe");
        if (c->rank == r && read(from_first[r][0], all, bytes[0]) != (ssize_t)bytes[0])
            return ag_fail(err, AG_ERR_IO, "pipe");
    }
    return AG_OK;
}

/* Card `rank` of `size`: everybody adds its number to every element; returns 0 where the sum is right. */
static ag_status sum_on_card(ag_device *d, ag_comm *c, ag_error *err)
{
    ag_status (*join)(ag_comm *, size_t, int, ag_error *);
    void *function, *values = NULL;
    float *host = ag_calloc(N, sizeof *host);
    AG_TRY(ag_plugin_open(&function, "libagrl_nccl.so", "ag_comm_nccl_join", "NCCL", err));
    *(void **)&join = function;
    AG_TRY(join(c, sizeof *c, c->rank, err));
    for (int i = 0; i < N; i++) host[i] = (float)(i % 100) + (float)c->rank;
    AG_TRY(d->alloc(d, &values, N * sizeof *host, "test", err));
    for (int again = 0; again < 3; again++) {
        AG_TRY(d->upload(d, values, host, N * sizeof *host, err));
        AG_TRY(d->sync(d, err));
        AG_TRY(c->sum_device(c, values, N, err));
        float *got = ag_calloc(N, sizeof *got);
        AG_TRY(d->download(d, got, values, N * sizeof *got, err));
        for (int i = 0; i < N; i++) {
            float want = (float)(c->size * (i % 100) + c->size * (c->size - 1) / 2);
            if (fabsf(got[i] - want) > 0)
                return ag_fail(err, AG_ERR_INTERNAL, "element %d: %g in place of %g", i, got[i], want);
        }
        ag_free(got);
    }
    d->release(d, values);
    c->close_device(c);
    ag_free(host);
    return AG_OK;
}

static int child(int rank, int size)
{
    char name[16];
    ag_device *d;
    ag_error err = {0};
    ag_comm c = {.rank = rank, .size = size, .local = rank, .share = share};
    alarm(120); /* where one fails, the others would wait for it */
    snprintf(name, sizeof name, "cuda:%d", rank);
    if (ag_device_open(&d, name, 0, &err) != AG_OK) return NO_CARD;
    ag_status status = sum_on_card(d, &c, &err);
    ag_device_close(d);
    if (status == AG_OK) return 0;
    fprintf(stderr, "rank %d of %d: %s\n", rank, size, err.message);
    return status == AG_ERR_UNSUPPORTED ? NO_CARD : 1;
}

static int card_count(void)
{
    int status = 0;
    pid_t probe = fork();
    if (probe == 0) {
        int n = 0;
        for (; n < MOST; n++) {
            char name[16];
            ag_device *d;
            ag_error err = {0};
            snprintf(name, sizeof name, "cuda:%d", n);
            if (ag_device_open(&d, name, 0, &err) != AG_OK) break;
            ag_device_close(d);
        }
        _exit(n);
    }
    return waitpid(probe, &status, 0) == probe && WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

static void test_sums(void **state)
{
    (void)state;
    int cards = card_count(), left_out = 0;
    if (cards == 0) {
        print_message("left out: no card\n");
        skip();
    }
    for (int r = 1; r < cards; r++) assert_int_equal(pipe(from_first[r]), 0);
    pid_t pid[MOST];
    for (int r = 0; r < cards; r++)
        if ((pid[r] = fork()) == 0) _exit(child(r, cards));
    for (int r = 0; r < cards; r++) {
        int status;
        assert_int_equal(waitpid(pid[r], &status, 0), pid[r]);
        assert_true(WIFEXITED(status));
        left_out += WEXITSTATUS(status) == NO_CARD;
        assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == NO_CARD);
    }
    print_message("%d cards\n", cards);
    if (left_out == cards) skip();
    assert_int_equal(left_out, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sums)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
