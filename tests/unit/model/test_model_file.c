/* Models to files and back: every parameter of every family returns as it was, rounded once where the file's
 * type is narrower; masters are written in place of the weights they belong to; adapters carry their LoRA
 * pairs and nothing else.
 */
#include "unit/model/fixture.h"

/* The value that a file of this type gives back. */
static double rounded(double x, ag_weights_type type)
{
    return type == AG_WEIGHTS_BF16 ? (double)ag_float_from_bf16(ag_bf16_from_float((float)x))
                                   : (double)(float)x;
}

static double *values_of(const ag_model *m, int param)
{
    ag_error err = {0};
    double *values = ag_calloc((size_t)(m->params[param].rows * m->params[param].cols), sizeof *values);
    must(ag_param_get(m, param, values, &err));
    return values;
}

/* `master` (host, or NULL) stands for the trained parameters of `from`. */
static void check_params(const ag_model *got, const ag_model *from, const double *master,
                         ag_weights_type type, bool lora_only)
{
    for (int i = 0; i < from->param_count; i++) {
        const ag_param *p = &from->params[i];
        if (lora_only != (strstr(p->name, "lora") != NULL)) continue;
        double *want = values_of(from, i), *have = values_of(got, ag_model_find(got, p->name));
        for (int64_t j = 0; j < p->rows * p->cols; j++) {
            double x = rounded(master && p->train >= 0 ? master[p->train + j] : want[j], type);
            if (have[j] != x) fail_msg("%s[%ld]: %.9g, expected %.9g", p->name, (long)j, have[j], x);
        }
        ag_free(want);
        ag_free(have);
    }
}

static ag_model *read_back(ag_device *d, const char *folder, ag_dtype type)
{
    ag_error err = {0};
    ag_weights *weights = NULL;
    ag_config config;
    ag_model *m = NULL;
    must(ag_weights_open(&weights, folder, &config, &err));
    must(ag_model_create(&m, &config, d, &(ag_model_options){.type = type}, &err));
    must(ag_model_read(m, weights, &err));
    ag_weights_close(weights);
    return m;
}

/* On the device named in *state: each family, both types of files, with masters and without. */
static void test_whole_models(void **state)
{
    ag_error err = {0};
    char folder[64], path[128];
    test_folder(folder);
    for (int i = 0; i < 3 * 4; i++) {
        tiny_kind kind = (tiny_kind)(i / 4);
        ag_weights_type type = i & 1 ? AG_WEIGHTS_BF16 : AG_WEIGHTS_F32;
        bool mastered = i & 2;
        ag_device *d = open_device(*state);
        ag_model *m = tiny_model(d, kind, mastered ? AG_BF16 : d->real, true);
        double *master = ag_calloc((size_t)m->train_count, sizeof *master);
        void *on_device = NULL;
        ag_rng r = ag_rng_at(51, AG_RNG_TEST, (uint64_t)i, 0, 0, 0);
        for (int64_t j = 0; j < m->train_count; j++) master[j] = ag_rng_normal(&r);
        must(d->alloc(d, &on_device, (size_t)m->train_count * ag_dtype_size(d->real), "masters", &err));
        must(ag_device_put(d, on_device, master, (size_t)m->train_count, &err));
        for (int64_t j = 0; j < m->train_count; j++) master[j] = (float)master[j];
        snprintf(path, sizeof path, "%s/%d", folder, i);
        must(ag_model_save(m, path, mastered ? on_device : NULL, type, NULL, &err));
        ag_model *again = read_back(d, path, d->real);
        assert_int_equal(again->config.family, m->config.family);
        assert_int_equal(again->config.tied, m->config.tied);
        assert_int_equal(again->param_count, m->param_count);
        check_params(again, m, mastered ? master : NULL, type, false);
        ag_free(master);
        d->release(d, on_device);
        ag_model_free(again);
        ag_model_free(m);
        ag_device_close(d);
    }
    must(ag_dir_remove(folder, &err));
}

static void test_adapters(void **state)
{
    ag_error err = {0};
    char folder[64], path[128];
    test_folder(folder);
    ag_device *d = open_device(*state);
    ag_config config = tiny_config(TINY_LORA);
    ag_model *m = tiny_model(d, TINY_LORA, d->real, true), *again = NULL;
    must(ag_model_save(m, folder, NULL, AG_WEIGHTS_F32, "base", &err));
    must(ag_model_create(&again, &config, d,
                         &(ag_model_options){.type = d->real, .lora_rank = 3, .lora_alpha = 5}, &err));
    must(ag_model_randomize(again, 1, &err));
    must(ag_model_read_adapter(again, folder, &err));
    check_params(again, m, NULL, AG_WEIGHTS_F32, true);
    snprintf(path, sizeof path, "%s/adapter_config.json", folder);
    json_t *json = load_golden(path);
    assert_int_equal(json_integer_value(json_object_get(json, "r")), 3);
    assert_true(json_number_value(json_object_get(json, "lora_alpha")) == 5);
    assert_int_equal(json_array_size(json_object_get(json, "target_modules")), 7);
    assert_string_equal(json_string_value(json_object_get(json, "base_model_name_or_path")), "base");
    json_decref(json);
    ag_model_free(again);
    must(ag_model_create(&again, &config, d,
                         &(ag_model_options){.type = d->real, .lora_rank = 4, .lora_alpha = 5}, &err));
    assert_int_equal(ag_model_read_adapter(again, folder, &err), AG_ERR_INPUT); /* another rank */
    ag_model_free(again);
    ag_model_free(m);
    ag_device_close(d);
    must(ag_dir_remove(folder, &err));
}

typedef struct save_case {
    ag_model *m;
    char folder[64];
} save_case;

static ag_status save_work(void *context, ag_error *err)
{
    const save_case *c = context;
    return ag_model_save(c->m, c->folder, NULL, AG_WEIGHTS_BF16, "base", err);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    ag_error err = {0};
    static const tiny_kind kinds[] = {TINY_QWEN2, TINY_LORA};
    for (int i = 0; i < 2; i++) {
        ag_device *d = open_device("cpu");
        save_case c = {.m = tiny_model(d, kinds[i], AG_BF16, false)};
        test_folder(c.folder);
        sweep_memory(save_work, &c);
        must(ag_dir_remove(c.folder, &err));
        ag_model_free(c.m);
        ag_device_close(d);
    }
}

int main(void)
{
    static char cpu[] = "cpu", far[] = "far", ref64[] = "ref64";
    const struct CMUnitTest tests[] = {
        {"whole_models/cpu", test_whole_models, NULL, NULL, cpu},
        {"whole_models/far", test_whole_models, NULL, NULL, far},
        {"whole_models/ref64", test_whole_models, NULL, NULL, ref64},
        {"adapters/cpu", test_adapters, NULL, NULL, cpu},
        {"adapters/far", test_adapters, NULL, NULL, far},
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
