/* Five AdamW steps with clipping against PyTorch's (tests/golden/adamw/make.py): the loss before each step,
 * the norm of the gradient, the loss after the last. The steps here are the device's own operations, one
 * call a parameter.
 */
#include "unit/model/fixture.h"

typedef struct run {
    ag_device *d;
    ag_model *m;
    ag_pass *pass;
    ag_forest forest;
    json_t *golden;
    void *moment1, *moment2;
} run;

static double number(const run *r, const char *key)
{
    return json_number_value(json_object_get(r->golden, key));
}

static double listed(const run *r, const char *key, int i)
{
    return json_number_value(json_array_get(json_object_get(r->golden, key), (size_t)i));
}

static void load_model(run *r)
{
    ag_error err = {0};
    char path[1024];
    ag_config config;
    ag_weights *weights = NULL;
    snprintf(path, sizeof path, "%s/%s", GOLDEN, json_string_value(json_object_get(r->golden, "model")));
    must(ag_weights_open(&weights, path, &config, &err));
    must(ag_model_create(&r->m, &config, r->d, &(ag_model_options){.type = AG_F32, .train = true}, &err));
    must(ag_model_read(r->m, weights, &err));
    ag_weights_close(weights);
}

static void load_batch(run *r)
{
    ag_error err = {0};
    ag_forest_builder b = {0};
    json_t *batch = json_object_get(r->golden, "batch");
    for (size_t s = 0; s < json_array_size(batch); s++) {
        int32_t tokens[MAX_TOKENS];
        uint8_t wanted[MAX_TOKENS];
        int n = (int)json_array_size(json_array_get(batch, s));
        assert_in_range(n, 1, MAX_TOKENS);
        memset(wanted, 1, sizeof wanted);
        for (int t = 0; t < n; t++)
            tokens[t] = (int32_t)json_integer_value(json_array_get(json_array_get(batch, s), (size_t)t));
        must(ag_forest_add(&b, tokens, n, wanted, (int32_t)s, true, n, &err));
    }
    must(ag_forest_finish(&r->forest, &b, &err));
    ag_forest_builder_free(&b);
}

/* Mean cross-entropy; gradients too when asked. */
static double loss_of(run *r, bool backward)
{
    ag_error err = {0};
    int32_t n = r->forest.target_count;
    double *logprob = ag_calloc((size_t)n, sizeof *logprob), loss = 0;
    must(ag_pass_forward(r->pass, &r->forest, &err));
    must(ag_pass_logprob(r->pass, 1, NULL, logprob, NULL, &err));
    for (int32_t t = 0; t < n; t++) {
        loss -= logprob[t] / n;
        logprob[t] = -1.0 / n;
    }
    if (backward) {
        clear_gradients(r->m);
        must(ag_pass_backward(r->pass, logprob, &err));
    }
    ag_free(logprob);
    return loss;
}

static double update(run *r, int64_t step)
{
    ag_error err = {0};
    ag_device *d = r->d;
    double squares;
    must(d->sum_squares(d, &(ag_sum_squares_args){r->m->grads, r->m->train_count, &squares}, &err));
    double norm = sqrt(squares), scale = fmin(1, number(r, "clip") / (norm + 1e-6));
    for (int i = 0; i < r->m->param_count; i++) {
        const ag_param *p = &r->m->params[i];
        size_t at = (size_t)p->train * ag_dtype_size(d->real);
        must(d->adamw(d,
                      &(ag_adamw_args){.w = ag_param_value(r->m, i),
                                       .m = (char *)r->moment1 + at,
                                       .v = (char *)r->moment2 + at,
                                       .g = ag_param_grad(r->m, i),
                                       .n = p->rows * p->cols,
                                       .lr = number(r, "lr"),
                                       .beta1 = number(r, "beta1"),
                                       .beta2 = number(r, "beta2"),
                                       .eps = number(r, "eps"),
                                       .decay = p->matrix ? number(r, "weight_decay") : 0,
                                       .grad_scale = scale,
                                       .step = step},
                      &err));
    }
    return norm;
}

static void test_five_steps(void **state)
{
    ag_error err = {0};
    run r = {.d = open_device(*state),
             .golden = load_golden(AGRL_SOURCE_DIR "/tests/golden/adamw/golden.json")};
    load_model(&r);
    load_batch(&r);
    size_t size = (size_t)r.m->train_count * ag_dtype_size(r.d->real);
    r.pass = make_pass(r.m, r.forest.count, r.forest.target_count, true, AG_RECOMPUTE_NONE);
    must(r.d->alloc(r.d, &r.moment1, size, "moments", &err));
    must(r.d->alloc(r.d, &r.moment2, size, "moments", &err));
    int steps = (int)json_array_size(json_object_get(r.golden, "losses"));
    assert_int_equal(steps, 5);
    for (int i = 0; i < steps; i++) {
        double loss = loss_of(&r, true), norm = update(&r, i + 1);
        if (!(fabs(loss - listed(&r, "losses", i)) <= 1e-4))
            fail_msg("loss before step %d: %.7g, PyTorch %.7g", i + 1, loss, listed(&r, "losses", i));
        if (!(fabs(norm - listed(&r, "grad_norms", i)) <= 1e-4))
            fail_msg("norm at step %d: %.7g, PyTorch %.7g", i + 1, norm, listed(&r, "grad_norms", i));
    }
    assert_true(fabs(loss_of(&r, false) - number(&r, "final_loss")) <= 1e-4);
    r.d->release(r.d, r.moment1);
    r.d->release(r.d, r.moment2);
    ag_pass_free(r.pass);
    ag_forest_free(&r.forest);
    ag_model_free(r.m);
    ag_device_close(r.d);
    json_decref(r.golden);
}

/* Takes a pattern of test names to run. */
int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    static char ref[] = "ref", cpu[] = "cpu", far[] = "far", cuda[] = "cuda";
    const struct CMUnitTest tests[] = {
        {"ref", test_five_steps, NULL, NULL, ref},
        {"cpu", test_five_steps, NULL, NULL, cpu},
        {"far", test_five_steps, NULL, NULL, far},
        {"cuda", test_five_steps, NULL, NULL, cuda},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
