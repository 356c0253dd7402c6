/* The communicator of one rank changes nothing. */
#include "unit/base/test_help.h"

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
    assert_ok(c->broadcast(c, d, sizeof d, 0, &err));
    assert_ok(c->barrier(c, &err));
    assert_true(d[0] == 1.5 && d[1] == 2 && f[0] == 3);
    assert_int_equal(c->broadcast(c, d, sizeof d, 1, &err), AG_ERR_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_self)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
