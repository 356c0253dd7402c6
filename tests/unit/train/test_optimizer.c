/* The optimizer: the rate's schedule against hand values, clipping, Muon against its definition written out in double
 * precision, masters of bf16 weights, save and load. */
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
    must(ag_optimizer_update(&o, ag_comm_self(), &(ag_update_rule){.beta2 = 0.9, .eps = 1e-8, .clip = 0.5}, 0,
                             &norm, &err));
    assert_near(norm, want, 1e-4 * want);
    double *moment = values_of(m, o.m),
           *left = gradients_of(m); /* without beta1 the moment is the clipped gradient */
    assert_near(moment[1], 3 * 0.5 / want, 1e-6);
    assert_true(left[0] == 0 && left[m->train_count - 1] == 0);
    ag_free(moment);
    ag_free(left);
    fill_gradients(m, NAN);
    assert_int_equal(
        ag_optimizer_update(&o, ag_comm_self(),
                            &(ag_update_rule){.beta1 = 0.9, .beta2 = 0.9, .eps = 1e-8, .clip = 1}, 1, &norm,
                            &err),
        AG_ERR_INTERNAL);
    assert_int_equal(o.step, 1);
    ag_optimizer_free(&o);
    ag_model_free(m);
    ag_device_close(d);
}

/* c = a b, or with `transposed` a b'; all row-major. */
static double *product(const double *a, const double *b, int64_t m, int64_t k, int64_t n, bool transposed)
{
    double *c = ag_calloc((size_t)(m * n), sizeof *c);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            for (int64_t t = 0; t < k; t++)
                c[i * n + j] += a[i * k + t] * (transposed ? b[j * k + t] : b[t * n + j]);
    return c;
}

/* Newton-Schulz as Jordan et al. write it: always x x', the matrix as it is (their transposition only saves work). */
static void naive_orthogonal(double *x, int64_t rows, int64_t cols)
{
    double squares = 0;
    for (int64_t i = 0; i < rows * cols; i++) squares += x[i] * x[i];
    for (int64_t i = 0; i < rows * cols; i++) x[i] /= sqrt(squares) + 1e-7;
    for (int step = 0; step < 5; step++) {
        double *a = product(x, x, rows, cols, rows, true), *ax = product(a, x, rows, rows, cols, false),
               *aax = product(a, ax, rows, rows, cols, false);
        for (int64_t i = 0; i < rows * cols; i++) x[i] = 3.4445 * x[i] - 4.7750 * ax[i] + 2.0315 * aax[i];
        ag_free(a);
        ag_free(ax);
        ag_free(aax);
    }
}

static void naive_muon(double *w, double *moment, const double *g, int64_t rows, int64_t cols, double lr,
                       const ag_update_rule *u)
{
    double *x = ag_calloc((size_t)(rows * cols), sizeof *x);
    for (int64_t i = 0; i < rows * cols; i++) {
        moment[i] = u->momentum * moment[i] + (1 - u->momentum) * g[i];
        x[i] = u->momentum * moment[i] + (1 - u->momentum) * g[i];
    }
    naive_orthogonal(x, rows, cols);
    for (int64_t i = 0; i < rows * cols; i++) {
        w[i] -= lr * u->weight_decay * w[i];
        w[i] -= lr * 0.2 * sqrt((double)(rows > cols ? rows : cols)) * x[i];
    }
    ag_free(x);
}

static void draw_gradients(const ag_model *m, uint64_t step, double *g)
{
    ag_error err = {0};
    ag_rng r = ag_rng_at(5, AG_RNG_INIT, step, 0, 0, 0);
    for (int64_t i = 0; i < m->train_count; i++) g[i] = ag_rng_normal(&r);
    must(ag_device_put(m->device, m->grads, g, (size_t)m->train_count, &err));
}

/* Three updates: each projection by itself as the definition says; everything else exactly as by AdamW. */
static void muon_on(const char *device, double bound)
{
    ag_error err = {0};
    ag_device *d = open_device(device);
    ag_model *m = tiny_model(d, TINY_QWEN3, d->real, true), *plain = tiny_model(d, TINY_QWEN3, d->real, true);
    ag_optimizer o, p;
    ag_update_rule rule = {0.9, 0.99, 1e-8, 0.1, 0, true, 0.95}, adamw = rule;
    adamw.muon = false;
    double norm;
    size_t n = (size_t)m->train_count;
    must(ag_optimizer_create(&o, m, &err));
    must(ag_optimizer_create(&p, plain, &err));
    double *want = values_of(m, o.master), *moment = ag_calloc(n, sizeof *moment),
           *g = ag_calloc(n, sizeof *g);
    for (uint64_t step = 0; step < 3; step++) {
        draw_gradients(plain, step, g);
        draw_gradients(m, step, g);
        must(ag_optimizer_update(&o, ag_comm_self(), &rule, 0.01, &norm, &err));
        must(ag_optimizer_update(&p, ag_comm_self(), &adamw, 0.01, &norm, &err));
        for (int i = 0; i < m->config.layers; i++) {
            const ag_layer *l = &m->layers[i];
            const ag_linear *const all[] = {&l->qkv, &l->out, &l->gate_up, &l->down};
            for (int k = 0; k < 4; k++)
                for (int j = 0; j < all[k]->pieces; j++) {
                    int64_t at = m->params[all[k]->weight].train + all[k]->piece[j].row * all[k]->in;
                    naive_muon(want + at, moment + at, g + at, all[k]->piece[j].rows, all[k]->in, 0.01,
                               &rule);
                }
        }
    }
    double *got = values_of(m, o.master), *other = values_of(plain, p.master);
    for (int i = 0; i < m->param_count; i++) {
        const ag_param *q = &m->params[i];
        bool layer = q->matrix && i != m->embed && i != m->head;
        double *weights = ag_calloc((size_t)(q->rows * q->cols), sizeof *weights);
        must(ag_param_get(m, i, weights, &err));
        for (int64_t k = 0; k < q->rows * q->cols; k++) {
            assert_near(got[q->train + k], (layer ? want : other)[q->train + k], bound);
            assert_true(weights[k] == got[q->train + k]);
        }
        ag_free(weights);
    }
    ag_free(got);
    ag_free(other);
    ag_free(want);
    ag_free(moment);
    ag_free(g);
    ag_optimizer_free(&o);
    ag_optimizer_free(&p);
    ag_model_free(m);
    ag_model_free(plain);
    ag_device_close(d);
}

static void test_muon(void **state)
{
    (void)state;
    muon_on("ref64", 1e-12);
    muon_on("cpu", 1e-5);
    muon_on("far", 1e-5);
}

static void test_muon_refuses_lora(void **state)
{
    (void)state;
    ag_error err = {0};
    ag_device *d = open_device("ref");
    ag_model *m = tiny_model(d, TINY_LORA, AG_F32, true);
    ag_optimizer o;
    double norm;
    must(ag_optimizer_create(&o, m, &err));
    fill_gradients(m, 1);
    assert_int_equal(ag_optimizer_update(&o, ag_comm_self(), &(ag_update_rule){.muon = true}, 1, &norm, &err),
                     AG_ERR_UNSUPPORTED);
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
    const ag_update_rule adamw = {.beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .weight_decay = 0.1, .clip = 1};
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

/* A file's weights reach the masters unrounded, whatever the type of the products. */
static void test_masters_of_a_file(void **state)
{
    (void)state;
    ag_error err = {0};
    char folder[64];
    test_folder(folder);
    ag_device *d = open_device("ref");
    ag_model *wide = tiny_model(d, TINY_QWEN2, AG_F32, true), *narrow;
    ag_weights *weights;
    ag_config config;
    ag_optimizer exact, o;
    must(ag_model_save(wide, folder, NULL, AG_WEIGHTS_F32, NULL, &err));
    must(ag_weights_open(&weights, folder, &config, &err));
    must(ag_model_create(&narrow, &config, d, &(ag_model_options){.type = AG_BF16, .train = true}, &err));
    must(ag_model_read(narrow, weights, &err));
    must(ag_optimizer_create(&exact, wide, &err));
    must(ag_optimizer_create(&o, narrow, &err));
    double *want = values_of(wide, exact.master), *got = values_of(narrow, o.master);
    assert_memory_equal(want, got, (size_t)wide->train_count * sizeof *want);
    ag_free(want);
    ag_free(got);
    ag_optimizer_free(&exact);
    ag_optimizer_free(&o);
    ag_weights_close(weights);
    ag_model_free(wide);
    ag_model_free(narrow);
    ag_device_close(d);
    assert_ok(ag_dir_remove(folder, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedule),
        cmocka_unit_test(test_clip),
        cmocka_unit_test(test_muon),
        cmocka_unit_test(test_muon_refuses_lora),
        cmocka_unit_test(test_masters_and_file),
        cmocka_unit_test(test_masters_of_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
