/* Gradients in double precision against central differences: every parameter of a tiny model of each family
 * and of a LoRA model, over a random forest with shared rows, several targets a row and random coefficients.
 *
 * Each parameter is moved along two directions (its gradient mixed with noise, so that all of its elements
 * count and nothing cancels) and at single elements. Differences are of fourth order: (8 (L(h) - L(-h)) -
 * (L(2h) - L(-2h))) / 12 h.
 */
#include "unit/model/fixture.h"

#define STEP  1e-3
#define BOUND 1e-6

typedef struct problem {
    ag_model *model;
    ag_pass *pass; /* forward only */
    ag_forest forest;
    ag_masks masks;
    double *coefficient, *logprob;
    double temperature;
} problem;

static double loss_at(problem *p)
{
    ag_error err = {0};
    must(ag_pass_forward(p->pass, &p->forest, &err));
    must(ag_pass_logprob(p->pass, p->temperature, &p->masks, p->logprob, NULL, &err));
    double sum = 0;
    for (int32_t t = 0; t < p->forest.target_count; t++) sum += p->coefficient[t] * p->logprob[t];
    return sum;
}

static double loss_moved(problem *p, int param, const double *values, const double *direction, double by)
{
    ag_error err = {0};
    size_t n = (size_t)(p->model->params[param].rows * p->model->params[param].cols);
    double *moved = ag_calloc(n, sizeof *moved);
    for (size_t j = 0; j < n; j++) moved[j] = values[j] + by * direction[j];
    must(ag_param_set(p->model, param, moved, &err));
    ag_free(moved);
    return loss_at(p);
}

static double difference(problem *p, int param, const double *values, const double *direction)
{
    double near = loss_moved(p, param, values, direction, STEP) -
                  loss_moved(p, param, values, direction, -STEP);
    double far = loss_moved(p, param, values, direction, 2 * STEP) -
                 loss_moved(p, param, values, direction, -2 * STEP);
    return (8 * near - far) / (12 * STEP);
}

static void check_direction(problem *p, int param, const double *values, const double *direction,
                            const double *g, double scale, const char *what)
{
    int64_t n = p->model->params[param].rows * p->model->params[param].cols;
    double expected = difference(p, param, values, direction), got = 0;
    for (int64_t j = 0; j < n; j++) got += g[j] * direction[j];
    if (!(fabs(got - expected) <= BOUND * fmax(fabs(expected), scale)))
        fail_msg("%s, %s: gradient %.12g, central difference %.12g", p->model->params[param].name, what, got,
                 expected);
}

static void check_param(problem *p, int param, const double *g, ag_rng *r)
{
    ag_error err = {0};
    int64_t n = p->model->params[param].rows * p->model->params[param].cols;
    double *values = ag_calloc((size_t)n, sizeof *values),
           *direction = ag_calloc((size_t)n, sizeof *direction), norm = 0;
    must(ag_param_get(p->model, param, values, &err));
    for (int64_t j = 0; j < n; j++) norm += g[j] * g[j];
    norm = sqrt(norm);
    if (!(norm > 1e-3)) fail_msg("%s: its gradient is %g", p->model->params[param].name, norm);
    for (int k = 0; k < 2; k++) {
        for (int64_t j = 0; j < n; j++) direction[j] = g[j] / norm + ag_rng_normal(r) / sqrt((double)n);
        check_direction(p, param, values, direction, g, norm, "a direction");
    }
    for (int k = 0; k < (SLOW_BUILD ? 1 : 4); k++) {
        memset(direction, 0, (size_t)n * sizeof *direction);
        direction[ag_rng_below(r, (uint32_t)n)] = 1;
        check_direction(p, param, values, direction, g, norm / sqrt((double)n), "an element");
    }
    must(ag_param_set(p->model, param, values, &err));
    ag_free(values);
    ag_free(direction);
}

static double *backward(problem *p, ag_recompute recompute)
{
    ag_error err = {0};
    ag_pass *pass = make_pass(p->model, p->forest.count, p->forest.target_count, true, recompute);
    clear_gradients(p->model);
    must(ag_pass_forward(pass, &p->forest, &err));
    must(ag_pass_logprob(pass, p->temperature, &p->masks, p->logprob, NULL, &err));
    must(ag_pass_backward(pass, p->coefficient, &err));
    ag_pass_free(pass);
    return gradients_of(p->model);
}

/* One mask for all: every third row is limited to tokens below 30 and those that are targets anyway. */
static void make_masks(problem *p, int32_t *of_row, uint32_t *bits)
{
    int32_t row = -1;
    bits[0] = 0x3fffffff;
    bits[1] = 0;
    for (int32_t t = 0; t < p->forest.target_count; t++) {
        if (t == 0 || p->forest.targets[t].row != p->forest.targets[t - 1].row) {
            row++;
            of_row[row] = row % 3 == 0 ? 0 : -1;
        }
        if (of_row[row] == 0)
            bits[p->forest.targets[t].token / 32] |= 1u << (p->forest.targets[t].token % 32);
    }
    p->masks = (ag_masks){of_row, bits, 1};
}

static void test_family(void **state)
{
    tiny_kind kind = *(const tiny_kind *)*state;
    static sequences q;
    int32_t of_row[MAX_SEQUENCES * MAX_TOKENS];
    uint32_t bits[2];
    ag_rng r = ag_rng_at(5, AG_RNG_TEST, kind, 0, 0, 0);
    ag_device *d = open_device("ref64");
    problem p = {.model = tiny_model(d, kind, AG_F64, true), .temperature = 0.8};
    random_sequences(&q, &r, 8, 14, p.model->config.vocab);
    p.forest = make_forest(&q, 0, q.n, true);
    make_masks(&p, of_row, bits);
    assert_true(p.forest.target_count > 20 && p.forest.count + q.n < p.forest.unshared);
    p.coefficient = ag_calloc((size_t)p.forest.target_count, sizeof *p.coefficient);
    p.logprob = ag_calloc((size_t)p.forest.target_count, sizeof *p.logprob);
    for (int32_t t = 0; t < p.forest.target_count; t++) p.coefficient[t] = ag_rng_normal(&r);
    p.pass = make_pass(p.model, p.forest.count, p.forest.target_count, false, AG_RECOMPUTE_NONE);

    double *g = backward(&p, AG_RECOMPUTE_NONE);
    for (int less = AG_RECOMPUTE_HEAD; less <= AG_RECOMPUTE_LAYER; less++) {
        double *again = backward(&p, (ag_recompute)less);
        assert_memory_equal(g, again, (size_t)p.model->train_count * sizeof *g);
        ag_free(again);
    }
    for (int i = 0; i < p.model->param_count; i++)
        if (p.model->params[i].train >= 0) check_param(&p, i, g + p.model->params[i].train, &r);
    ag_free(g);
    ag_free(p.coefficient);
    ag_free(p.logprob);
    ag_pass_free(p.pass);
    ag_forest_free(&p.forest);
    ag_model_free(p.model);
    ag_device_close(d);
}

int main(void)
{
    static tiny_kind kinds[] = {TINY_LLAMA, TINY_QWEN2, TINY_QWEN3, TINY_LORA};
    const struct CMUnitTest tests[] = {
        {"llama", test_family, NULL, NULL, &kinds[0]},
        {"qwen2", test_family, NULL, NULL, &kinds[1]},
        {"qwen3", test_family, NULL, NULL, &kinds[2]},
        {"lora", test_family, NULL, NULL, &kinds[3]},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
