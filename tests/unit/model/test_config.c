/* config.json: what is read, what is refused, and that what is written reads back. */
#include "unit/model/model_help.h"

#include "model/config.h"

static const char base[] =
    "{'model_type':'llama','vocab_size':100,'hidden_size':64,'intermediate_size':96,'num_hidden_layers':2,"
    "'num_attention_heads':4,'num_key_value_heads':2,'bos_token_id':1,'eos_token_id':[2,3],'rms_norm_eps':1e-"
    "5}";

/* JSON with ' for ". */
static json_t *json_of(const char *text)
{
    char *copy = strdup(text);
    json_t *json;
    ag_error err = {0};
    for (char *p = copy; *p; p++)
        if (*p == '\'') *p = '"';
    if (ag_json_parse(&json, copy, strlen(copy), "test", 1, &err) != AG_OK)
        fail_msg("%s: %s", copy, err.message);
    free(copy);
    return json;
}

/* The base with members of `changes` put over it. */
static ag_status read_with(const char *changes, ag_config *c, ag_error *err)
{
    json_t *json = json_of(base), *over = json_of(changes);
    json_object_update(json, over);
    ag_status status = ag_config_from_json(c, json, "dir/config.json", err);
    json_decref(json);
    json_decref(over);
    return status;
}

static void assert_same(const ag_config *a, const ag_config *b)
{
    assert_int_equal(a->family, b->family);
    assert_int_equal(a->vocab, b->vocab);
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->layers, b->layers);
    assert_int_equal(a->heads, b->heads);
    assert_int_equal(a->kv_heads, b->kv_heads);
    assert_int_equal(a->head_dim, b->head_dim);
    assert_int_equal(a->ff, b->ff);
    assert_int_equal(a->max_positions, b->max_positions);
    assert_true(a->rope_theta == b->rope_theta && a->norm_eps == b->norm_eps);
    assert_int_equal(a->rope_llama3, b->rope_llama3);
    assert_true(a->rope_factor == b->rope_factor && a->rope_low == b->rope_low &&
                a->rope_high == b->rope_high);
    assert_int_equal(a->rope_original, b->rope_original);
    assert_true(a->tied == b->tied && a->qkv_bias == b->qkv_bias && a->qk_norm == b->qk_norm);
    assert_true(a->bos == b->bos && a->eos == b->eos && a->pad == b->pad);
}

static void test_defaults(void **state)
{
    (void)state;
    ag_config c;
    ag_error err = {0};
    assert_ok(read_with("{}", &c, &err));
    assert_int_equal(c.head_dim, 16);
    assert_int_equal(c.max_positions, 2048);
    assert_int_equal(c.bos, 1);
    assert_int_equal(c.eos, 2); /* the first of the list */
    assert_int_equal(c.pad, -1);
    assert_false(c.tied);
    assert_true(c.rope_theta == 10000.0 && c.norm_eps == 1e-5);
    assert_ok(read_with("{'num_key_value_heads':null}", &c, &err));
    assert_int_equal(c.kv_heads, 4);
    assert_ok(read_with("{'model_type':'qwen3'}", &c, &err));
    assert_int_equal(c.head_dim, 128);
    assert_true(c.qk_norm && !c.qkv_bias);
    assert_ok(
        read_with("{'model_type':'qwen2','use_sliding_window':false,'sliding_window':32768}", &c, &err));
    assert_true(c.qkv_bias && !c.qk_norm);
    assert_int_equal(c.max_positions, 32768);
}

static void test_rope(void **state)
{
    (void)state;
    ag_config a, b;
    ag_error err = {0};
    assert_ok(read_with(
        "{'rope_theta':500000,'rope_scaling':{'rope_type':'llama3','factor':8.0,'low_freq_factor':1.0,"
        "'high_freq_factor':4.0,'original_max_position_embeddings':8192}}",
        &a, &err));
    assert_true(a.rope_llama3 && a.rope_factor == 8 && a.rope_low == 1 && a.rope_high == 4);
    assert_int_equal(a.rope_original, 8192);
    assert_ok(read_with(
        "{'rope_parameters':{'rope_theta':500000,'rope_type':'llama3','factor':8,'low_freq_factor':1,"
        "'high_freq_factor':4,'original_max_position_embeddings':8192}}",
        &b, &err));
    assert_same(&a, &b);
    assert_ok(read_with("{'rope_parameters':{'rope_type':'default','rope_theta':777.0}}", &a, &err));
    assert_true(!a.rope_llama3 && a.rope_theta == 777.0);
    assert_int_equal(read_with("{'rope_scaling':{'type':'linear','factor':2}}", &a, &err),
                     AG_ERR_UNSUPPORTED);
    assert_says(err, "linear");
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *changes;
        ag_status status;
        const char *says;
    } rows[] = {
        {"{'model_type':'mixtral'}", AG_ERR_UNSUPPORTED, "mixtral"},
        {"{'model_type':null}", AG_ERR_INPUT, "model_type"},
        {"{'model_type':7}", AG_ERR_INPUT, "model_type"},
        {"{'hidden_act':'gelu'}", AG_ERR_UNSUPPORTED, "hidden_act"},
        {"{'sliding_window':4096}", AG_ERR_UNSUPPORTED, "sliding_window"},
        {"{'use_sliding_window':true}", AG_ERR_UNSUPPORTED, "use_sliding_window"},
        {"{'attention_bias':true}", AG_ERR_UNSUPPORTED, "attention_bias"},
        {"{'mlp_bias':true}", AG_ERR_UNSUPPORTED, "mlp_bias"},
        {"{'num_local_experts':8}", AG_ERR_UNSUPPORTED, "num_local_experts"},
        {"{'quantization_config':{}}", AG_ERR_UNSUPPORTED, "quantization_config"},
        {"{'partial_rotary_factor':0.5}", AG_ERR_UNSUPPORTED, "partial_rotary_factor"},
        {"{'layer_types':['full_attention','sliding_attention']}", AG_ERR_UNSUPPORTED, "layer_types"},
        {"{'vocab_size':null}", AG_ERR_INPUT, "vocab_size"},
        {"{'vocab_size':0}", AG_ERR_INPUT, "vocab_size"},
        {"{'vocab_size':-5}", AG_ERR_INPUT, "vocab_size"},
        {"{'vocab_size':1048577}", AG_ERR_INPUT, "vocab_size"},
        {"{'vocab_size':100.5}", AG_ERR_INPUT, "vocab_size"},
        {"{'hidden_size':9223372036854775807}", AG_ERR_INPUT, "hidden_size"},
        {"{'num_hidden_layers':1025}", AG_ERR_INPUT, "num_hidden_layers"},
        {"{'num_attention_heads':5}", AG_ERR_INPUT, "num_attention_heads"},
        {"{'num_key_value_heads':3}", AG_ERR_INPUT, "heads"},
        {"{'head_dim':15}", AG_ERR_INPUT, "even"},
        {"{'head_dim':'16'}", AG_ERR_INPUT, "head_dim"},
        {"{'rms_norm_eps':2}", AG_ERR_INPUT, "rms_norm_eps"},
        {"{'rope_theta':0}", AG_ERR_INPUT, "rope_theta"},
        {"{'rope_scaling':3}", AG_ERR_INPUT, "rope_scaling"},
        {"{'rope_scaling':{'rope_type':'llama3','factor':8}}", AG_ERR_INPUT, "low_freq_factor"},
        {"{'rope_scaling':{'rope_type':'llama3','factor':8,'low_freq_factor':4,'high_freq_factor':4,"
         "'original_max_position_embeddings':8}}",
         AG_ERR_INPUT, "high_freq_factor"},
        {"{'eos_token_id':100}", AG_ERR_INPUT, "eos_token_id"},
        {"{'eos_token_id':[true]}", AG_ERR_INPUT, "eos_token_id"},
        {"{'pad_token_id':-2}", AG_ERR_INPUT, "pad_token_id"},
        {"{'tie_word_embeddings':'yes'}", AG_ERR_INPUT, "tie_word_embeddings"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ag_config c = {.vocab = 12345};
        ag_error err = {0};
        ag_status status = read_with(rows[i].changes, &c, &err);
        if (status != rows[i].status) fail_msg("%s: %d %s", rows[i].changes, (int)status, err.message);
        assert_says(err, rows[i].says);
        assert_says(err, "dir/config.json");
        assert_int_equal(c.vocab, 12345); /* untouched by a failure */
    }
    json_t *list = json_array();
    ag_config c;
    assert_int_equal(ag_config_from_json(&c, list, "x", NULL), AG_ERR_INPUT);
    json_decref(list);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const char *const names[] = {"llama-tied", "llama3-sharded", "qwen2", "qwen3"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[512];
        ag_config a, b;
        ag_error err = {0};
        snprintf(path, sizeof path, GOLDEN "/%s/config.json", names[i]);
        json_t *json = load_golden(path);
        assert_ok(ag_config_from_json(&a, json, path, &err));
        json_t *again = ag_config_to_json(&a, "bfloat16");
        assert_non_null(again);
        assert_string_equal(json_string_value(json_object_get(again, "torch_dtype")), "bfloat16");
        assert_ok(ag_config_from_json(&b, again, "again", &err));
        assert_same(&a, &b);
        assert_true(
            json_equal(json_object_get(json, "architectures"), json_object_get(again, "architectures")));
        json_decref(json);
        json_decref(again);
    }
}

static void test_presets(void **state)
{
    (void)state;
    static const char *const names[] = {"nano", "micro", "mini", "small"};
    static const int widths[] = {64, 128, 256, 512}, layers[] = {2, 4, 6, 8};
    ag_config c;
    ag_error err = {0};
    for (int i = 0; i < 4; i++) {
        assert_ok(ag_config_preset(&c, names[i], &err));
        assert_int_equal(c.width, widths[i]);
        assert_int_equal(c.layers, layers[i]);
        assert_int_equal(c.heads * c.head_dim, c.width);
        assert_true(c.head_dim >= 32 && c.head_dim <= 64 && c.ff % 32 == 0 && c.tied);
        assert_true(c.heads > c.kv_heads && c.heads % c.kv_heads == 0);
        assert_in_range(c.ff, c.width * 8 / 3 - 16, c.width * 8 / 3 + 16);
        assert_int_equal(c.vocab, 0); /* the caller's */
        assert_int_equal(ag_config_check(&c, "preset", &err), AG_ERR_INPUT);
        c.vocab = 1000;
        assert_ok(ag_config_check(&c, "preset", &err));
    }
    assert_int_equal(ag_config_preset(&c, "smal", &err), AG_ERR_USAGE);
    assert_says(err, "did you mean 'small'");
    assert_int_equal(ag_config_preset(&c, "gigantic", &err), AG_ERR_USAGE);
}

static ag_status read_again(void *context, ag_error *err)
{
    ag_config c;
    json_t *json = ag_config_to_json(context, "float32");
    if (!json) return ag_fail_memory(err, "config");
    ag_status status = ag_config_from_json(&c, json, "config.json", err);
    json_decref(json);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    ag_config c;
    json_t *setup = json_of("{}"); /* from here on jansson allocates where failures can be made */
    json_decref(setup);
    assert_ok(
        read_with("{'rope_scaling':{'rope_type':'llama3','factor':8,'low_freq_factor':1,'high_freq_factor':4,"
                  "'original_max_position_embeddings':8}}",
                  &c, NULL));
    sweep_memory(read_again, &c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),   cmocka_unit_test(test_rope),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_presets), cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
