/* The optimizer: the rate's schedule against hand values, clipping, masters of bf16 weights, save and load. */
#include "unit/model/fixture.h"

#include "train/optimizer.h"

#define assert_near(got, want, bound) assert_true(fabs((got) - (want)) <= (bound))

static void test_schedule(void **state)
{
    (void)state;
    const double near = 1e-12;
    assert_near(ag_schedule("constant", 2, 0.1, 0, 1, 10), 2, near);
    assert_near(ag_schedule("linear", 2, 0.1, 0, 5, 10), 1.1, near);
    assert_near(ag_schedule("linear", 2, 0.1, 0, 10, 10), 0.2, near);
    assert_near(ag_schedule("cosine", 2, 0.1, 0, 5, 10), 1.1, near);
    assert_near(ag_schedule("cosine", 2, 0, 0.2, 6, 10), 1, near);
    assert_near(ag_schedule("cosine", 2, 0.1, 0.2, 1, 10), 1, near);
    assert_near(ag_schedule("cosine", 2, 0.1, 0.2, 2, 10), 2, near);
    assert_near(ag_schedule("constant", 7, 0.1, 0.07, 7, 100), 7, near); /* 7 steps, not 8 */
    assert_near(ag_schedule("linear", 2, 0.1, 1, 10, 10), 2, near);
}

static void fill_gradients(const ag_model *m, double value)
{
    ag_error err = {0};
    double *g = ag_calloc((size_t)m->train_count, sizeof *g);
    for (int64_t i = 0; i < m->train_count; i++) g[i] = i % 2 ? value : -value;
    must(ag_device_put(m->device, m->grads, g, (size_t)m->train_count, &err));
    ag_free(g);
}

static double *values_of(const ag_model *m, const void *at)
{
    ag_error err = {0};
    double *x = ag_calloc((size_t)m->train_count, sizeof *x);
    must(ag_device_get(m->device, x, at, (size_t)m->train_count, &err));
    return x;
}

static void test_clip(void **state)
{
    (void)state;
    ag_error err = {0};
    ag_device *d = open_device("ref");
    ag_model *m = tiny_model(d, TINY_LLAMA, AG_F32, true);
    ag_optimizer o;
    double norm;
    must(ag_optimizer_create(&o, m, &err));
    double want = 3 * sqrt((double)m->train_count);
    fill_gradients(m, 3);
    must(ag_optimizer_update(&o, ag_comm_self(), &(ag_adamw){0, 0.9, 1e-8, 0, 0.5}, 0, &norm, &err));
    assert_near(norm, want, 1e-4 * want);
    double *moment = values_of(m, o.m),
           *left = gradients_of(m); /* without beta1 the moment is the clipped gradient */
    assert_near(moment[1], 3 * 0.5 / want, 1e-6);
    assert_true(left[0] == 0 && left[m->train_count - 1] == 0);
    ag_free(moment);
    ag_free(left);
    fill_gradients(m, NAN);
    assert_int_equal(
        ag_optimizer_update(&o, ag_comm_self(), &(ag_adamw){0.9, 0.9, 1e-8, 0, 1}, 1, &norm, &err),
        AG_ERR_INTERNAL);
    assert_int_equal(o.step, 1);
    ag_optimizer_free(&o);
    ag_model_free(m);
    ag_device_close(d);
}

/* Steps far below a bf16 weight's precision add up in the masters; saved and loaded, all is as it was. */
static void test_masters_and_file(void **state)
{
    (void)state;
    ag_error err = {0};
    char folder[64];
    ag_device *d = open_device("ref");
    ag_model *m = tiny_model(d, TINY_LLAMA, AG_BF16, true), *other = tiny_model(d, TINY_LLAMA, AG_BF16, true);
    ag_optimizer o, p;
    const ag_adamw adamw = {0.9, 0.99, 1e-8, 0.1, 1};
    double norm;
    must(ag_optimizer_create(&o, m, &err));
    must(ag_optimizer_create(&p, other, &err));
    double *before = values_of(m, o.master);
    for (int i = 0; i < 3; i++) {
        fill_gradients(m, 0.1);
        must(ag_optimizer_update(&o, ag_comm_self(), &adamw, 1e-5, &norm, &err));
    }
    double *after = values_of(m, o.master);
    for (int64_t i = 0; i < m->train_count; i++) assert_true(after[i] != before[i]);
    test_folder(folder);
    must(ag_optimizer_save(&o, folder, &err));
    must(ag_optimizer_load(&p, folder, o.step, &err));
    assert_int_equal(p.step, 3);
    void *const pairs[3][2] = {{o.master, p.master}, {o.m, p.m}, {o.v, p.v}};
    for (int i = 0; i < 3; i++) {
        double *a = values_of(m, pairs[i][0]), *b = values_of(other, pairs[i][1]);
        assert_memory_equal(a, b, (size_t)m->train_count * sizeof *a);
        ag_free(a);
        ag_free(b);
    }
    for (int i = 0; i < m->param_count; i++) { /* the weights follow from the masters */
        size_t n = (size_t)(m->params[i].rows * m->params[i].cols);
        double *a = ag_calloc(n, sizeof *a), *b = ag_calloc(n, sizeof *b);
        must(ag_param_get(m, i, a, &err));
        must(ag_param_get(other, i, b, &err));
        assert_memory_equal(a, b, n * sizeof *a);
        ag_free(a);
        ag_free(b);
    }
    ag_free(before);
    ag_free(after);
    ag_optimizer_free(&o);
    ag_optimizer_free(&p);
    ag_model_free(m);
    ag_model_free(other);
    ag_device_close(d);
    assert_ok(ag_dir_remove(folder, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedule),
        cmocka_unit_test(test_clip),
        cmocka_unit_test(test_masters_and_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
