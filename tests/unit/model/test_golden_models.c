/* Log-probabilities against PyTorch's, made by tests/golden/models/make.py and tests/golden/smollm2/make.py:
 * small random models of every family from safetensors and GGUF, and SmolLM2-135M where it has been pulled.
 */
#include "unit/model/fixture.h"

#include "model/session.h"

typedef struct golden {
    json_t *json;
    int n;
    int32_t tokens[1024];
    double logprob[1024]; /* of token i + 1 */
} golden;

static golden load_answers(const char *path, int most)
{
    golden g = {.json = load_golden(path)};
    json_t *tokens = json_object_get(g.json, "tokens"), *logprobs = json_object_get(g.json, "logprobs");
    g.n = (int)json_array_size(tokens);
    if (g.n > most) g.n = most;
    assert_in_range(g.n, 2, 1024);
    for (int i = 0; i < g.n; i++)
        g.tokens[i] = (int32_t)json_integer_value(json_array_get(tokens, (size_t)i));
    for (int i = 0; i + 1 < g.n; i++) g.logprob[i] = json_number_value(json_array_get(logprobs, (size_t)i));
    return g;
}

static ag_model *read_model(ag_device *d, const char *path, ag_dtype type, int positions)
{
    ag_error err = {0};
    ag_weights *weights = NULL;
    ag_config config;
    ag_model *m = NULL;
    must(ag_weights_open(&weights, path, &config, &err));
    must(
        ag_model_create(&m, &config, d, &(ag_model_options){.type = type, .max_positions = positions}, &err));
    must(ag_model_read(m, weights, &err));
    ag_weights_close(weights);
    return m;
}

/* Mean and largest difference of the log-probabilities of the text, by a pass. */
static void differences(ag_model *m, const golden *g, double *mean, double *largest)
{
    ag_error err = {0};
    ag_forest_builder b = {0};
    ag_forest f;
    uint8_t wanted[1024];
    double got[1024];
    memset(wanted, 1, sizeof wanted);
    must(ag_forest_add(&b, g->tokens, g->n, wanted, 0, true, 0, &err));
    must(ag_forest_finish(&f, &b, &err));
    ag_pass *pass = make_pass(m, f.count, f.target_count, false, AG_RECOMPUTE_NONE);
    must(ag_pass_forward(pass, &f, &err));
    must(ag_pass_logprob(pass, 1, NULL, got, NULL, &err));
    *mean = *largest = 0;
    for (int i = 0; i + 1 < g->n; i++) {
        double difference = fabs(got[i] - g->logprob[i]);
        *mean += difference / (g->n - 1);
        if (!(difference <= *largest)) *largest = difference;
    }
    ag_pass_free(pass);
    ag_forest_free(&f);
    ag_forest_builder_free(&b);
}

/* By way of the cache, in chunks of 48 tokens. */
static double session_difference(ag_model *m, const golden *g)
{
    ag_error err = {0};
    ag_session *s;
    uint8_t wanted[1024];
    double got[1024], largest = 0;
    memset(wanted, 1, sizeof wanted);
    wanted[0] = 0;
    must(ag_session_create(&s, m, g->n, 48, &err));
    must(ag_session_score(s, &(ag_query_sequence){g->tokens, wanted, g->n, got}, 1, 1, &err));
    for (int i = 0; i + 1 < g->n; i++)
        if (!(fabs(got[i] - g->logprob[i]) <= largest)) largest = fabs(got[i] - g->logprob[i]);
    ag_session_free(s);
    return largest;
}

/* Every token of the vocabulary after the whole text: one kept row with all of them as targets. */
static double last_difference(ag_model *m, const golden *g)
{
    ag_error err = {0};
    ag_session *s;
    int32_t node, first[2] = {0, m->config.vocab}, token[1024];
    double got[1024], largest = 0;
    json_t *last = json_object_get(g->json, "last");
    assert_int_equal(json_array_size(last), m->config.vocab);
    for (int i = 0; i < m->config.vocab; i++) token[i] = i;
    must(ag_session_create(&s, m, g->n, g->n, &err));
    must(ag_session_node(s, -1, g->n, &node, &err));
    must(ag_session_run(s, &(ag_run){node, g->tokens, g->n, 1}, 1, NULL, &err));
    must(ag_session_logprob(s, 1, first, token, NULL, got, NULL, &err));
    for (int i = 0; i < m->config.vocab; i++) {
        double difference = fabs(got[i] - json_number_value(json_array_get(last, (size_t)i)));
        if (!(difference <= largest)) largest = difference;
    }
    ag_session_free(s);
    return largest;
}

typedef struct model_row {
    const char *model, *golden;
} model_row;

static void test_small_model(void **state)
{
    const model_row *row = *state;
    static const char *const devices[] = {"ref", "cpu"};
    char path[1024], answers[1024];
    snprintf(path, sizeof path, "%s/%s", GOLDEN, row->model);
    snprintf(answers, sizeof answers, "%s/%s", GOLDEN, row->golden);
    static golden g;
    g = load_answers(answers, 1024);
    for (int i = 0; i < 2; i++) {
        ag_device *d = open_device(devices[i]);
        ag_model *m = read_model(d, path, AG_F32, 0);
        double mean, largest;
        differences(m, &g, &mean, &largest);
        double cached = session_difference(m, &g), last = last_difference(m, &g);
        if (!(largest <= 1e-4 && cached <= 1e-4 && last <= 1e-4))
            fail_msg("%s on %s: largest difference %.3g, by session %.3g, of the last row %.3g", row->model,
                     devices[i], largest, cached, last);
        ag_model_free(m);
        ag_device_close(d);
    }
    json_decref(g.json);
}

/* The bounds are those that the engine promises: fp32 within 2e-3 everywhere, bf16 within 0.02 on average
 * and 0.3 at most. */
static void test_smollm2(void **state)
{
    (void)state;
    ag_error err = {0};
    char *path = NULL;
    double mean, largest;
    if (ag_model_locate("smollm2-135m", &path, &err) != AG_OK) {
        print_message("SmolLM2 is left out: %s\n", err.message);
        skip();
    }
    static golden g;
    g = load_answers(AGRL_SOURCE_DIR "/tests/golden/smollm2/golden.json", SLOW_BUILD ? 100 : 500);
    ag_device *d = open_device("cpu");
    ag_model *m = read_model(d, path, AG_F32, 512);
    differences(m, &g, &mean, &largest);
    double cached = session_difference(m, &g);
    print_message("SmolLM2-135M, fp32: mean difference %.2g, largest %.2g, by session %.2g\n", mean, largest,
                  cached);
    assert_true(largest <= 2e-3 && cached <= 2e-3);
    ag_model_free(m);
    m = read_model(d, path, AG_BF16, 512);
    differences(m, &g, &mean, &largest);
    print_message("SmolLM2-135M, bf16: mean difference %.2g, largest %.2g\n", mean, largest);
    assert_true(mean <= 0.02 && largest <= 0.3);
    ag_model_free(m);
    ag_device_close(d);
    json_decref(g.json);
    ag_free(path);
}

int main(void)
{
    static model_row rows[] = {
        {"llama-tied", "llama-tied/golden.json"},
        {"llama3-sharded", "llama3-sharded/golden.json"},
        {"qwen2", "qwen2/golden.json"},
        {"qwen3", "qwen3/golden.json"},
        {"llama-mixed.gguf", "llama-mixed.golden.json"},
        {"qwen2-q4.gguf", "qwen2-q4.golden.json"},
        {"qwen3-f16.gguf", "qwen3-f16.golden.json"},
    };
    enum { ROWS = sizeof rows / sizeof *rows };
    struct CMUnitTest tests[ROWS + 1];
    for (int i = 0; i < ROWS; i++)
        tests[i] = (struct CMUnitTest){rows[i].model, test_small_model, NULL, NULL, &rows[i]};
    tests[ROWS] = (struct CMUnitTest)cmocka_unit_test(test_smollm2);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
