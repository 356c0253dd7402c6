/* config.c: reading and writing config.json, the presets, and counting weights.
 *
 * A config.json may ask for things that agrl does not do. Each key that is known to change the computation is
 * either read or refused; the keys that are neither are about training recipes, provenance and caching.
 */
#include "model/config.h"

#include <math.h>
#include <string.h>

#include "base/str.h"

enum {
    VOCAB_MAX = 1 << 20,
    WIDTH_MAX = 1 << 16,
    LAYERS_MAX = 1024,
    HEADS_MAX = 1024,
    HEAD_DIM_MAX = 1024,
    FF_MAX = 1 << 20,
    POSITIONS_MAX = 1 << 24
};

/* What transformers takes where the file is silent, and how it names the classes. */
static const struct {
    const char *model_type, *architecture;
    int max_positions, head_dim; /* head_dim 0: width / heads */
} families[] = {
    [AG_FAMILY_LLAMA] = {"llama", "LlamaForCausalLM", 2048, 0},
    [AG_FAMILY_QWEN2] = {"qwen2", "Qwen2ForCausalLM", 32768, 0},
    [AG_FAMILY_QWEN3] = {"qwen3", "Qwen3ForCausalLM", 32768, 128},
};
enum { FAMILIES = sizeof families / sizeof *families };

static const struct {
    const char *name;
    int width, layers, heads, kv_heads, ff;
} presets[] = {
    {"nano", 64, 2, 2, 1, 160},
    {"micro", 128, 4, 4, 2, 352},
    {"mini", 256, 6, 4, 2, 672},
    {"small", 512, 8, 8, 4, 1376},
};
enum { PRESETS = sizeof presets / sizeof *presets };

/* --- reading
 * ---------------------------------------------------------------------------------------------- */

/* A whole number of [1, hi]; absent is `otherwise`, or an error when that is 0. */
static ag_status read_size(const json_t *json, const char *key, int otherwise, int hi, int *value,
                           const char *where, ag_error *err)
{
    long x = otherwise;
    ag_status status = ag_json_get_int(json, key, 1, hi, &x, where, err);
    if (status == AG_OK && x == 0) status = ag_fail(err, AG_ERR_INPUT, "%s: '%s' is missing", where, key);
    if (status == AG_OK) *value = (int)x;
    return status;
}

/* A finite number of [lo, hi]. */
static ag_status read_number(const json_t *json, const char *key, double lo, double hi, double *value,
                             const char *where, ag_error *err)
{
    ag_status status = ag_json_get_double(json, key, value, where, err);
    if (status == AG_OK && !(*value >= lo && *value <= hi)) {
        status = ag_fail(err, AG_ERR_INPUT, "%s: '%s' must be from %g to %g", where, key, lo, hi);
    }
    return status;
}

/* A token id below vocab, or null; of a list (several end tokens) the first counts. */
static ag_status read_token(const json_t *json, const char *key, int vocab, int *id, const char *where,
                            ag_error *err)
{
    const json_t *value = json_object_get(json, key);
    if (json_is_array(value)) value = json_array_get(value, 0);
    *id = -1;
    if (!value || json_is_null(value)) return AG_OK;
    if (!json_is_integer(value) || json_integer_value(value) < -1 || json_integer_value(value) >= vocab) {
        return ag_fail(err, AG_ERR_INPUT, "%s: '%s' must be a token id below vocab_size (%d)", where, key,
                       vocab);
    }
    *id = (int)json_integer_value(value);
    return AG_OK;
}

static ag_status unsupported(const char *where, const char *key, ag_error *err)
{
    return ag_fail(err, AG_ERR_UNSUPPORTED, "%s: the model uses '%s', which agrl does not do", where, key);
}

/* Keys that must be absent, null, false or 0 (or 1 for factors), because they change the computation. */
static ag_status refuse_extras(const json_t *json, ag_family family, const char *where, ag_error *err)
{
    static const char *const keys[] = {
        "use_sliding_window",     "mlp_bias",
        "quantization_config",    "num_experts",
        "num_local_experts",      "n_routed_experts",
        "attn_logit_softcapping", "final_logit_softcapping",
        "is_encoder_decoder",     "add_cross_attention",
    };
    static const char *const factors[] = {"partial_rotary_factor", "logits_scaling", "residual_multiplier",
                                          "embedding_multiplier"};
    const json_t *value;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        value = json_object_get(json, keys[i]);
        bool off = !value || json_is_null(value) || json_is_false(value) ||
                   (json_is_number(value) && json_number_value(value) == 0);
        if (!off) return unsupported(where, keys[i], err);
    }
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
        value = json_object_get(json, factors[i]);
        if (value && !json_is_null(value) && !(json_is_number(value) && json_number_value(value) == 1)) {
            return unsupported(where, factors[i], err);
        }
    }
    /* Qwen2 always has its three biases, and has a window size even where windows are off. */
    if (family != AG_FAMILY_QWEN2 && json_is_true(json_object_get(json, "attention_bias"))) {
        return unsupported(where, "attention_bias", err);
    }
    if (family == AG_FAMILY_LLAMA && json_is_number(json_object_get(json, "sliding_window"))) {
        return unsupported(where, "sliding_window", err);
    }
    const json_t *types = json_object_get(json, "layer_types"), *type;
    size_t i;
    json_array_foreach(types, i, type)
    {
        const char *name = json_string_value(type);
        if (!name || strcmp(name, "full_attention") != 0) return unsupported(where, "layer_types", err);
    }
    const char *act = "silu";
    ag_status status = ag_json_get_string(json, "hidden_act", &act, where, err);
    if (status != AG_OK) return status;
    if (strcmp(act, "silu") != 0 && strcmp(act, "swish") != 0) return unsupported(where, "hidden_act", err);
    return AG_OK;
}

/* rope_theta and rope_scaling of checkpoints up to now, or the rope_parameters that newer ones put both
 * into. */
static ag_status read_rope(ag_config *c, const json_t *json, const char *where, ag_error *err)
{
    const json_t *rope = json_object_get(json, "rope_parameters");
    const char *type = NULL;
    ag_status status;
    c->rope_theta = 10000.0;
    if (!rope || json_is_null(rope)) rope = json_object_get(json, "rope_scaling");
    if (rope && !json_is_null(rope) && !json_is_object(rope)) {
        return ag_fail(err, AG_ERR_INPUT, "%s: 'rope_scaling' must be an object or null", where);
    }
    status = read_number(json, "rope_theta", 1.0, 1e15, &c->rope_theta, where, err);
    if (status != AG_OK || !json_is_object(rope)) return status;
    if ((status = read_number(rope, "rope_theta", 1.0, 1e15, &c->rope_theta, where, err)) != AG_OK)
        return status;
    if ((status = ag_json_get_string(rope, "type", &type, where, err)) != AG_OK) return status;
    if ((status = ag_json_get_string(rope, "rope_type", &type, where, err)) != AG_OK) return status;
    if (!type || strcmp(type, "default") == 0) {
        const json_t *partial = json_object_get(rope, "partial_rotary_factor");
        if (json_is_number(partial) && json_number_value(partial) != 1) {
            return unsupported(where, "partial_rotary_factor", err);
        }
        return AG_OK;
    }
    if (strcmp(type, "llama3") != 0) {
        return ag_fail(err, AG_ERR_UNSUPPORTED, "%s: RoPE scaling '%s' is not done by agrl (only 'llama3')",
                       where, type);
    }
    c->rope_llama3 = true;
    c->rope_factor = c->rope_low = c->rope_high = NAN; /* required: NaN fails the bounds */
    if ((status = read_number(rope, "factor", 1.0, 1e6, &c->rope_factor, where, err)) != AG_OK) return status;
    if ((status = read_number(rope, "low_freq_factor", 1e-6, 1e6, &c->rope_low, where, err)) != AG_OK)
        return status;
    if ((status = read_number(rope, "high_freq_factor", 1e-6, 1e6, &c->rope_high, where, err)) != AG_OK)
        return status;
    if (!(c->rope_high > c->rope_low)) {
        return ag_fail(err, AG_ERR_INPUT, "%s: 'high_freq_factor' must be above 'low_freq_factor'", where);
    }
    return read_size(rope, "original_max_position_embeddings", 0, POSITIONS_MAX, &c->rope_original, where,
                     err);
}

static ag_status read_family(ag_config *c, const json_t *json, const char *where, ag_error *err)
{
    const char *type = NULL;
    if (!json_is_object(json)) return ag_fail(err, AG_ERR_INPUT, "%s: must be a JSON object", where);
    ag_status status = ag_json_get_string(json, "model_type", &type, where, err);
    if (status != AG_OK) return status;
    if (!type) return ag_fail(err, AG_ERR_INPUT, "%s: 'model_type' is missing", where);
    for (int f = 0; f < FAMILIES; f++) {
        if (strcmp(families[f].model_type, type) == 0) {
            c->family = (ag_family)f;
            c->qkv_bias = c->family == AG_FAMILY_QWEN2;
            c->qk_norm = c->family == AG_FAMILY_QWEN3;
            return AG_OK;
        }
    }
    return ag_fail(err, AG_ERR_UNSUPPORTED,
                   "%s: models of type '%s' are not supported (llama, qwen2, qwen3 are)", where, type);
}

static ag_status read_sizes(ag_config *c, const json_t *json, const char *where, ag_error *err)
{
    ag_status status;
    const struct {
        const char *key;
        int otherwise, hi, *value;
    } first[] = {
        {"vocab_size", 0, VOCAB_MAX, &c->vocab},
        {"hidden_size", 0, WIDTH_MAX, &c->width},
        {"intermediate_size", 0, FF_MAX, &c->ff},
        {"num_hidden_layers", 0, LAYERS_MAX, &c->layers},
        {"num_attention_heads", 0, HEADS_MAX, &c->heads},
        {"max_position_embeddings", families[c->family].max_positions, POSITIONS_MAX, &c->max_positions},
    };
    for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
        status = read_size(json, first[i].key, first[i].otherwise, first[i].hi, first[i].value, where, err);
        if (status != AG_OK) return status;
    }
    status = read_size(json, "num_key_value_heads", c->heads, HEADS_MAX, &c->kv_heads, where, err);
    if (status != AG_OK) return status;
    int head_dim = families[c->family].head_dim ? families[c->family].head_dim : c->width / c->heads;
    bool given = json_is_integer(json_object_get(json, "head_dim"));
    if (!given && families[c->family].head_dim == 0 && c->width % c->heads != 0) {
        return ag_fail(err, AG_ERR_INPUT,
                       "%s: 'hidden_size' (%d) is not a multiple of 'num_attention_heads' (%d)", where,
                       c->width, c->heads);
    }
    return read_size(json, "head_dim", head_dim, HEAD_DIM_MAX, &c->head_dim, where, err);
}

ag_status ag_config_check(const ag_config *c, const char *where, ag_error *err)
{
    const struct {
        const char *name;
        int value, hi;
    } sizes[] = {{"vocabulary", c->vocab, VOCAB_MAX},   {"width", c->width, WIDTH_MAX},
                 {"layers", c->layers, LAYERS_MAX},     {"heads", c->heads, HEADS_MAX},
                 {"kv heads", c->kv_heads, HEADS_MAX},  {"head size", c->head_dim, HEAD_DIM_MAX},
                 {"feed-forward width", c->ff, FF_MAX}, {"positions", c->max_positions, POSITIONS_MAX}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (sizes[i].value < 1 || sizes[i].value > sizes[i].hi) {
            return ag_fail(err, AG_ERR_INPUT, "%s: %s must be from 1 to %d, not %d", where, sizes[i].name,
                           sizes[i].hi, sizes[i].value);
        }
    }
    if (c->heads % c->kv_heads != 0) {
        return ag_fail(err, AG_ERR_INPUT, "%s: %d attention heads cannot share %d key-value heads evenly",
                       where, c->heads, c->kv_heads);
    }
    if (c->head_dim % 2 != 0) {
        return ag_fail(err, AG_ERR_INPUT, "%s: the size of a head (%d) must be even", where, c->head_dim);
    }
    if (!(c->rope_theta >= 1 && c->rope_theta <= 1e15) || !(c->norm_eps >= 0 && c->norm_eps < 1)) {
        return ag_fail(err, AG_ERR_INPUT, "%s: rope_theta or rms_norm_eps is out of range", where);
    }
    return AG_OK;
}

ag_status ag_config_from_json(ag_config *config, const json_t *json, const char *where, ag_error *err)
{
    ag_config c = {.norm_eps = 1e-6};
    ag_status status;
    if ((status = read_family(&c, json, where, err)) != AG_OK) return status;
    if ((status = refuse_extras(json, c.family, where, err)) != AG_OK) return status;
    if ((status = read_sizes(&c, json, where, err)) != AG_OK) return status;
    if ((status = read_rope(&c, json, where, err)) != AG_OK) return status;
    if ((status = ag_json_get_double(json, "rms_norm_eps", &c.norm_eps, where, err)) != AG_OK) return status;
    if ((status = ag_json_get_bool(json, "tie_word_embeddings", &c.tied, where, err)) != AG_OK) return status;
    if ((status = read_token(json, "bos_token_id", c.vocab, &c.bos, where, err)) != AG_OK) return status;
    if ((status = read_token(json, "eos_token_id", c.vocab, &c.eos, where, err)) != AG_OK) return status;
    if ((status = read_token(json, "pad_token_id", c.vocab, &c.pad, where, err)) != AG_OK) return status;
    if ((status = ag_config_check(&c, where, err)) != AG_OK) return status;
    *config = c;
    return AG_OK;
}

/* --- writing
 * ---------------------------------------------------------------------------------------------- */

static json_t *token_json(int id)
{
    return id < 0 ? json_null() : json_integer(id);
}

json_t *ag_config_to_json(const ag_config *c, const char *torch_dtype)
{
    json_t *rope = json_null();
    if (c->rope_llama3) {
        rope = json_pack("{s:s, s:f, s:f, s:f, s:i}", "rope_type", "llama3", "factor", c->rope_factor,
                         "low_freq_factor", c->rope_low, "high_freq_factor", c->rope_high,
                         "original_max_position_embeddings", c->rope_original);
    }
    return json_pack(
        "{s:[s], s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:o, s:f, s:s, s:b, s:b, s:o, s:o,"
        " s:o, s:s}",
        "architectures", families[c->family].architecture, "model_type", families[c->family].model_type,
        "vocab_size", c->vocab, "hidden_size", c->width, "intermediate_size", c->ff, "num_hidden_layers",
        c->layers, "num_attention_heads", c->heads, "num_key_value_heads", c->kv_heads, "head_dim",
        c->head_dim, "max_position_embeddings", c->max_positions, "rope_theta", c->rope_theta, "rope_scaling",
        rope, "rms_norm_eps", c->norm_eps, "hidden_act", "silu", "tie_word_embeddings", (int)c->tied,
        "use_cache", 1, "bos_token_id", token_json(c->bos), "eos_token_id", token_json(c->eos),
        "pad_token_id", token_json(c->pad), "torch_dtype", torch_dtype);
}

/* --- presets and counts
 * ----------------------------------------------------------------------------------- */

ag_status ag_config_preset(ag_config *config, const char *name, ag_error *err)
{
    const char *names[PRESETS];
    for (int i = 0; i < PRESETS; i++) {
        names[i] = presets[i].name;
        if (strcmp(presets[i].name, name) != 0) continue;
        *config = (ag_config){.family = AG_FAMILY_QWEN3,
                              .qk_norm = true,
                              .width = presets[i].width,
                              .layers = presets[i].layers,
                              .heads = presets[i].heads,
                              .kv_heads = presets[i].kv_heads,
                              .head_dim = presets[i].width / presets[i].heads,
                              .ff = presets[i].ff,
                              .max_positions = 4096,
                              .rope_theta = 10000.0,
                              .norm_eps = 1e-5,
                              .tied = true,
                              .bos = -1,
                              .eos = -1,
                              .pad = -1};
        return AG_OK;
    }
    return ag_fail(err, AG_ERR_USAGE, "no preset '%s' (nano, micro, mini, small)%s", name,
                   ag_suggest(name, names, PRESETS).text);
}

long ag_config_parameters(const ag_config *c)
{
    long q = (long)c->heads * c->head_dim, kv = (long)c->kv_heads * c->head_dim, width = c->width;
    long layer = width * (2 * q + 2 * kv) + 3 * width * c->ff + 2 * width;
    if (c->qkv_bias) layer += q + 2 * kv;
    if (c->qk_norm) layer += 2L * c->head_dim;
    return (c->tied ? 1 : 2) * (long)c->vocab * width + c->layers * layer + width;
}
