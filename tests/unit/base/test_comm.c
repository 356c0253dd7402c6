/* The communicator of one rank changes nothing. */
#include "unit/base/test_help.h"

#include <stdlib.h>
#include "base/comm.h"

static void test_self(void **state)
{
    (void)state;
    ag_comm *c = ag_comm_self();
    ag_error err = {0};
    double d[2] = {1.5, 2};
    float f[1] = {3};
    assert_int_equal(c->rank, 0);
    assert_int_equal(c->size, 1);
    assert_ok(c->sum_double(c, d, 2, &err));
    assert_ok(c->sum_float(c, f, 1, &err));
    assert_ok(c->share(c, d, (size_t[]){sizeof d}, &err));
    assert_true(d[0] == 1.5 && d[1] == 2 && f[0] == 3);
}

/* Shares are whole, behind each other, and even. */
static void test_shares(void **state)
{
    (void)state;
    for (size_t n = 0; n < 20; n++)
        for (int size = 1; size < 8; size++) {
            size_t at = 0, from, to;
            for (int rank = 0; rank < size; rank++, at = to) {
                ag_comm_share(rank, size, n, &from, &to);
                assert_int_equal(from, at);
                assert_true(to - from == n / (size_t)size || to - from == n / (size_t)size + 1);
            }
            assert_int_equal(at, n);
        }
}

/* One of several, where no MPI is, is not taken for one that is alone. */
static void test_launched(void **state)
{
    (void)state;
    static const char *const names[] = {
        "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "PMI_SIZE", "PMI_RANK", "PMIX_RANK",
        "SLURM_STEP_NUM_TASKS"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
    assert_false(ag_comm_launched());
    setenv("SLURM_STEP_NUM_TASKS", "4", 1); /* a batch script's own step */
    assert_false(ag_comm_launched());
    setenv("PMI_SIZE", "1", 1);
    setenv("PMI_RANK", "0", 1);
    unsetenv("SLURM_STEP_NUM_TASKS");
    assert_false(ag_comm_launched());
    ag_comm *c;
    ag_error err = {0};
    assert_ok(ag_comm_open(&c, &err));
    assert_ptr_equal(c, ag_comm_self());
    setenv("OMPI_COMM_WORLD_SIZE", "2", 1);
    setenv("OMPI_COMM_WORLD_RANK", "1", 1);
    assert_true(ag_comm_launched());
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_self), cmocka_unit_test(test_shares),
                                       cmocka_unit_test(test_launched)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
