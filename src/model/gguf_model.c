/* gguf_model.c: what a GGUF file says about its model, in the terms of a Hugging Face checkpoint: shape,
 * names of the tensors, tokenizer.
 *
 * Llama-architecture files hold the rows of q and k so that RoPE turns neighbouring rows (2i, 2i + 1); the
 * checkpoints they come from, and agrl, turn rows (i, i + head_dim / 2). The Qwen architectures are stored as
 * they are.
 */
#include "model/gguf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static const struct {
    const char *arch;
    ag_family family;
    bool interleaved;
} archs[] = {
    {"llama", AG_FAMILY_LLAMA, true},
    {"qwen2", AG_FAMILY_QWEN2, false},
    {"qwen3", AG_FAMILY_QWEN3, false},
};
enum { ARCHS = sizeof archs / sizeof *archs };

/* --- names
 * ------------------------------------------------------------------------------------------------ */

static const char *const layer_names[][2] = {
    {"attn_norm", "input_layernorm"},    {"ffn_norm", "post_attention_layernorm"},
    {"attn_q", "self_attn.q_proj"},      {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},      {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"}, {"attn_k_norm", "self_attn.k_norm"},
    {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};
static const char *const other_names[][2] = {
    {"token_embd.weight", "model.embed_tokens.weight"},
    {"output_norm.weight", "model.norm.weight"},
    {"output.weight", "lm_head.weight"},
};

/* The Hugging Face name of a tensor in `name`; false when the mapping does not know it. *stem: which row of
 * layer_names, or -1. */
static bool map_name(const char *gguf_name, char name[96], int *stem)
{
    unsigned layer;
    int used = 0;
    *stem = -1;
    for (size_t i = 0; i < sizeof other_names / sizeof *other_names; i++) {
        if (strcmp(gguf_name, other_names[i][0]) == 0) {
            snprintf(name, 96, "%s", other_names[i][1]);
            return true;
        }
    }
    if (sscanf(gguf_name, "blk.%4u.%n", &layer, &used) != 1 || used == 0) return false;
    const char *rest = gguf_name + used, *dot = strchr(rest, '.');
    if (!dot || (strcmp(dot, ".weight") != 0 && strcmp(dot, ".bias") != 0)) return false;
    for (size_t i = 0; i < sizeof layer_names / sizeof *layer_names; i++) {
        if (strlen(layer_names[i][0]) == (size_t)(dot - rest) &&
            strncmp(layer_names[i][0], rest, (size_t)(dot - rest)) == 0) {
            snprintf(name, 96, "model.layers.%u.%s%s", layer, layer_names[i][1], dot);
            *stem = (int)i;
            return true;
        }
    }
    return false;
}

static ag_status rename_tensors(ag_tensors *table, const ag_config *c, bool interleaved, ag_error *err)
{
    for (size_t i = 0; i < table->count; i++) {
        ag_tensor *t = &table->items[i];
        char name[96];
        int stem;
        if (!map_name(t->name, name, &stem)) continue;
        if (!(t->name = ag_arena_strdup(&table->arena, name))) return ag_fail_memory(err, "names of tensors");
        bool turned = stem >= 0 && (strcmp(layer_names[stem][0], "attn_q") == 0 ||
                                    strcmp(layer_names[stem][0], "attn_k") == 0);
        if (interleaved && turned) t->interleaved = c->head_dim;
    }
    return AG_OK;
}

static const ag_tensor *find_place(const ag_tensors *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->items[i].name, name) == 0) return &table->items[i];
    }
    return NULL;
}

/* --- shape
 * ------------------------------------------------------------------------------------------------ */

typedef struct reader {
    const ag_gguf *gguf;
    const char *arch;
    char name[96];
} reader;

static const char *full(reader *r, const char *key)
{
    snprintf(r->name, sizeof r->name, "%s.%s", r->arch, key);
    return r->name;
}

/* A size of [1, INT32_MAX]; `otherwise` when absent, an error when that is 0. */
static ag_status read_size(reader *r, const char *key, int otherwise, int *value, ag_error *err)
{
    int64_t x = otherwise;
    ag_status status = ag_gguf_int(r->gguf, full(r, key), 1, INT32_MAX, &x, err);
    if (status == AG_OK && x == 0) {
        status = ag_fail(err, AG_ERR_INPUT, "%s: key '%s' is missing", r->gguf->path, r->name);
    }
    if (status == AG_OK) *value = (int)x;
    return status;
}

/* The shortest decimal that is this float: 1e-05 rather than 9.999999747378752e-06, as in the model's own
 * config. */
static double shortest(double x)
{
    char text[32];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        double y = strtod(text, NULL);
        if ((float)y == (float)x) return y;
    }
    return x;
}

static ag_status read_number(reader *r, const char *key, double otherwise, double *value, ag_error *err)
{
    *value = otherwise;
    ag_status status = ag_gguf_number(r->gguf, full(r, key), value, err);
    if (status == AG_OK && fabs(*value) < 1e30) *value = shortest(*value);
    return status;
}

/* Keys that change the computation in a way that agrl does not do, unless they hold the value given here. */
static ag_status refuse_extras(reader *r, const ag_config *c, ag_error *err)
{
    const struct {
        const char *key;
        double neutral;
    } extras[] = {{"expert_count", 0},
                  {"attention.sliding_window", 0},
                  {"logit_scale", 1},
                  {"residual_scale", 1},
                  {"embedding_scale", 1},
                  {"attention.causal", 1},
                  {"rope.scale_linear", 1},
                  {"rope.scaling.attn_factor", 1},
                  {"rope.dimension_count", c->head_dim},
                  {"attention.value_length", c->head_dim}};
    ag_arena arena = {.name = "text of a GGUF file"};
    const char *scaling = "none";
    for (size_t i = 0; i < sizeof extras / sizeof *extras; i++) {
        const ag_gguf_key *key = ag_gguf_find(r->gguf, full(r, extras[i].key));
        double value = extras[i].neutral;
        if (key && key->type == AG_GGUF_BOOL) {
            value = key->data[0];
        } else {
            ag_status status = ag_gguf_number(r->gguf, r->name, &value, err);
            if (status != AG_OK) return status;
        }
        if (value != extras[i].neutral) {
            return ag_fail(err, AG_ERR_UNSUPPORTED, "%s: the model uses '%s' = %g, which agrl does not do",
                           r->gguf->path, r->name, value);
        }
    }
    ag_status status = ag_gguf_string(r->gguf, full(r, "rope.scaling.type"), &arena, &scaling, err);
    if (status == AG_OK && strcmp(scaling, "none") != 0) {
        status = ag_fail(err, AG_ERR_UNSUPPORTED, "%s: RoPE scaling '%.40s' is not done by agrl",
                         r->gguf->path, scaling);
    }
    ag_arena_free(&arena);
    return status;
}

/* What llama3 scaling divides frequency i by. */
static double llama3_factor(const ag_config *c, int i)
{
    double wavelength = 2 * M_PI * pow(c->rope_theta, 2.0 * i / c->head_dim);
    double smooth = (c->rope_original / wavelength - c->rope_low) / (c->rope_high - c->rope_low);
    smooth = fmin(fmax(smooth, 0), 1);
    return 1 / ((1 - smooth) / c->rope_factor + smooth);
}

/* GGUF keeps of llama3 scaling only the resulting divisors, one a frequency. The settings follow from them:
 * the largest is the factor, and between low and high the smoothing is a line in 1 / wavelength, of which two
 * points give all but a common scale, which is fixed by low_freq_factor = 1 as in every published model. With
 * fewer than two points there, 4 and 8192, again as published. The result must give back every divisor. */
static ag_status derive_llama3(ag_config *c, const ag_tensor *t, ag_error *err)
{
    int half = c->head_dim / 2, first = -1, last = -1;
    float divisors[1024];
    if (t->rows != 1 || t->cols != half || half > 1024) {
        return ag_fail(err, AG_ERR_INPUT, "%s: tensor 'rope_freqs.weight' must hold %d numbers", t->path,
                       half);
    }
    ag_stored_to_float(t->type, t->data, half, divisors);
    bool plain = true;
    c->rope_factor = 1;
    for (int i = 0; i < half; i++) {
        plain = plain && divisors[i] == 1.0f;
        if (divisors[i] > c->rope_factor) c->rope_factor = divisors[i];
    }
    if (plain) return AG_OK;
    double x[2] = {0}, y[2] = {0};
    for (int i = 0; i < half; i++) {
        if (!(divisors[i] > 1.0001f && divisors[i] < c->rope_factor * 0.9999)) continue;
        if (first < 0) first = i;
        last = i;
    }
    for (int k = 0; k < 2 && first >= 0; k++) {
        int i = k == 0 ? first : last;
        x[k] = 1 / (2 * M_PI * pow(c->rope_theta, 2.0 * i / c->head_dim));
        y[k] = (1.0 / divisors[i] - 1 / c->rope_factor) / (1 - 1 / c->rope_factor);
    }
    c->rope_llama3 = true;
    c->rope_factor = shortest(c->rope_factor);
    c->rope_low = 1;
    c->rope_high = 4;
    c->rope_original = 8192;
    double slope = last > first ? (y[0] - y[1]) / (x[0] - x[1]) : 0, base = slope * x[0] - y[0];
    if (slope > 0 && base > 1e-6 && slope / base < 1e9) {
        c->rope_high = round((1 + 1 / base) * 1000) / 1000;
        c->rope_original = (int)lround(slope / base);
    }
    for (int i = 0; i < half; i++) {
        if (!(fabs(llama3_factor(c, i) / divisors[i] - 1) < 1e-3)) {
            return ag_fail(
                err, AG_ERR_UNSUPPORTED,
                "%s: tensor 'rope_freqs.weight' is not llama3 scaling, the only one that agrl does", t->path);
        }
    }
    return AG_OK;
}

static ag_status read_tokens(const ag_gguf *gguf, ag_config *c, ag_error *err)
{
    const struct {
        const char *key;
        int *id;
    } ids[] = {{"tokenizer.ggml.bos_token_id", &c->bos},
               {"tokenizer.ggml.eos_token_id", &c->eos},
               {"tokenizer.ggml.padding_token_id", &c->pad}};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        int64_t id = -1;
        ag_status status = ag_gguf_int(gguf, ids[i].key, -1, c->vocab - 1, &id, err);
        if (status != AG_OK) return status;
        *ids[i].id = (int)id;
    }
    const ag_gguf_key *tokens = ag_gguf_find(gguf, "tokenizer.ggml.tokens");
    if (tokens && tokens->type == AG_GGUF_ARRAY && tokens->count > (uint64_t)c->vocab) {
        return ag_fail(err, AG_ERR_INPUT, "%s: has %llu tokens but only %d rows of embeddings", gguf->path,
                       (unsigned long long)tokens->count, c->vocab);
    }
    return AG_OK;
}

static ag_status read_arch(const ag_gguf *gguf, int *row, ag_error *err)
{
    ag_arena arena = {.name = "text of a GGUF file"};
    const char *name = NULL;
    ag_status status = ag_gguf_string(gguf, "general.architecture", &arena, &name, err);
    if (status != AG_OK) goto out;
    if (!name) {
        status = ag_fail(err, AG_ERR_INPUT, "%s: key 'general.architecture' is missing", gguf->path);
        goto out;
    }
    for (*row = 0; *row < ARCHS; ++*row) {
        if (strcmp(archs[*row].arch, name) == 0) goto out;
    }
    status = ag_fail(err, AG_ERR_UNSUPPORTED,
                     "%s: models of type '%.40s' are not supported (llama, qwen2, qwen3 are)", gguf->path,
                     name);
out:
    ag_arena_free(&arena);
    return status;
}

static ag_status read_shape(reader *r, ag_config *c, ag_error *err)
{
    const struct {
        const char *key;
        int *value;
    } sizes[] = {{"embedding_length", &c->width},
                 {"block_count", &c->layers},
                 {"feed_forward_length", &c->ff},
                 {"attention.head_count", &c->heads},
                 {"context_length", &c->max_positions}};
    ag_status status;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if ((status = read_size(r, sizes[i].key, 0, sizes[i].value, err)) != AG_OK) return status;
    }
    if ((status = read_size(r, "attention.head_count_kv", c->heads, &c->kv_heads, err)) != AG_OK)
        return status;
    if (!ag_gguf_find(r->gguf, full(r, "attention.key_length")) && c->width % c->heads != 0) {
        return ag_fail(err, AG_ERR_INPUT,
                       "%s: key '%s' is missing, and %d heads do not share a width of %d evenly",
                       r->gguf->path, r->name, c->heads, c->width);
    }
    status = read_size(r, "attention.key_length", c->width / c->heads, &c->head_dim, err);
    if (status != AG_OK) return status;
    if ((status = read_number(r, "rope.freq_base", 10000.0, &c->rope_theta, err)) != AG_OK) return status;
    return read_number(r, "attention.layer_norm_rms_epsilon", -1, &c->norm_eps,
                       err); /* absent: refused below */
}

ag_status ag_gguf_model(ag_gguf *gguf, ag_tensors *table, ag_config *config, ag_error *err)
{
    ag_config c = {0};
    int row;
    ag_status status = read_arch(gguf, &row, err);
    if (status != AG_OK) return status;
    reader r = {.gguf = gguf, .arch = archs[row].arch};
    const ag_tensor *embed = find_place(table, "token_embd.weight");
    const ag_tensor *factors = find_place(table, "rope_freqs.weight");
    c.family = archs[row].family;
    c.qkv_bias = c.family == AG_FAMILY_QWEN2;
    c.qk_norm = c.family == AG_FAMILY_QWEN3;
    /* A file without a head of its own uses the embedding. */
    c.tied = find_place(table, "output.weight") == NULL;
    if (!embed) return ag_fail(err, AG_ERR_INPUT, "%s: tensor 'token_embd.weight' is missing", gguf->path);
    c.vocab = embed->rows > INT32_MAX ? INT32_MAX : (int)embed->rows;
    if ((status = read_shape(&r, &c, err)) != AG_OK) return status;
    if ((status = ag_config_check(&c, gguf->path, err)) != AG_OK) return status;
    if ((status = refuse_extras(&r, &c, err)) != AG_OK) return status;
    if (factors && (status = derive_llama3(&c, factors, err)) != AG_OK) return status;
    if ((status = read_tokens(gguf, &c, err)) != AG_OK) return status;
    if ((status = rename_tensors(table, &c, archs[row].interleaved, err)) != AG_OK) return status;
    *config = c;
    return AG_OK;
}

/* --- tokenizer
 * -------------------------------------------------------------------------------------------- */

/* tokenizer.ggml.token_type as ints, in the arena. */
static ag_status read_types(const ag_gguf *gguf, int vocab, ag_arena *arena, const int **types, ag_error *err)
{
    const ag_gguf_key *key = ag_gguf_find(gguf, "tokenizer.ggml.token_type");
    *types = NULL;
    if (!key) return AG_OK;
    if (key->type != AG_GGUF_ARRAY || (key->item != AG_GGUF_I32 && key->item != AG_GGUF_U32) ||
        key->count != (uint64_t)vocab) {
        return ag_fail(err, AG_ERR_INPUT, "%s: key 'tokenizer.ggml.token_type' must hold %d whole numbers",
                       gguf->path, vocab);
    }
    int *list = ag_arena_alloc(arena, key->count, sizeof *list);
    if (!list) return ag_fail_memory(err, "types of tokens");
    for (int i = 0; i < vocab; i++) list[i] = (int)(int32_t)ag_le32(key->data + 4 * (size_t)i);
    *types = list;
    return AG_OK;
}

static ag_status read_source(const ag_gguf *gguf, ag_arena *arena, ag_vocab_source *s, ag_error *err)
{
    const char *model = NULL;
    ag_status status = ag_gguf_string(gguf, "tokenizer.ggml.model", arena, &model, err);
    if (status != AG_OK) return status;
    if (!model || strcmp(model, "gpt2") != 0) {
        return ag_fail(err, AG_ERR_UNSUPPORTED,
                       "%s: the tokenizer is '%.40s'; agrl reads byte-level BPE ('gpt2')", gguf->path,
                       model ? model : "missing");
    }
    status = ag_gguf_strings(gguf, "tokenizer.ggml.tokens", arena, &s->tokens, &s->vocab, err);
    if (status != AG_OK) return status;
    if (s->vocab == 0)
        return ag_fail(err, AG_ERR_INPUT, "%s: key 'tokenizer.ggml.tokens' is missing", gguf->path);
    if ((status = read_types(gguf, s->vocab, arena, &s->types, err)) != AG_OK) return status;
    status = ag_gguf_strings(gguf, "tokenizer.ggml.merges", arena, &s->merges, &s->merge_count, err);
    if (status != AG_OK) return status;
    s->pre = "default";
    if ((status = ag_gguf_string(gguf, "tokenizer.ggml.pre", arena, &s->pre, err)) != AG_OK) return status;
    /* Files of Llama 3 from before the key existed still mean a start token. */
    s->add_bos = strcmp(s->pre, "llama-bpe") == 0;
    if ((status = ag_gguf_bool(gguf, "tokenizer.ggml.add_bos_token", &s->add_bos, err)) != AG_OK)
        return status;
    status = ag_gguf_string(gguf, "tokenizer.chat_template", arena, &s->chat_template, err);
    if (status != AG_OK) return status;
    ag_config ids = {.vocab = s->vocab};
    if ((status = read_tokens(gguf, &ids, err)) != AG_OK) return status;
    s->bos = ids.bos;
    s->eos = ids.eos;
    s->pad = ids.pad;
    return AG_OK;
}

ag_status ag_gguf_tokenizer(const ag_gguf *gguf, ag_tokenizer **tokenizer, ag_error *err)
{
    ag_arena arena = {.name = "vocabulary of a GGUF file"};
    ag_vocab_source source = {0};
    *tokenizer = NULL;
    ag_status status = read_source(gguf, &arena, &source, err);
    if (status == AG_OK) {
        status = ag_tokenizer_from_vocab(tokenizer, &source, err);
        if (status != AG_OK) ag_error_prefix(err, "%s", gguf->path);
    }
    ag_arena_free(&arena);
    return status;
}
