/* model.c: a model's parameter table, its buffers, and random weights. Files are in model_file.c. */
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"

enum { DEFAULT_POSITIONS = 4096 };

/* Adds a parameter; trainable ones get their place in the training buffers. Returns its index. */
static int add_param(ag_model *m, bool matrix, bool trainable, int64_t rows, int64_t cols, const char *format,
                     int layer)
{
    ag_param *p = &m->params[m->param_count];
    snprintf(p->name, sizeof p->name, format, layer);
    p->rows = rows;
    p->cols = cols;
    p->matrix = matrix;
    int64_t *count = matrix ? &m->matrix_count : &m->vector_count;
    p->offset = *count;
    *count += rows * cols;
    p->train = -1;
    if (trainable) {
        p->train = m->train_count;
        m->train_count += rows * cols;
    }
    return m->param_count++;
}

static void add_lora(ag_model *m, ag_linear *l, const char *name, int layer)
{
    for (int p = 0; p < l->pieces; p++) {
        char format[96];
        snprintf(format, sizeof format, "layers.%%d.%s.%d.lora_a", name, p);
        l->lora_a[p] = add_param(m, true, true, m->lora_rank, l->in, format, layer);
        snprintf(format, sizeof format, "layers.%%d.%s.%d.lora_b", name, p);
        l->lora_b[p] = add_param(m, true, true, l->piece[p].rows, m->lora_rank, format, layer);
    }
}

static void add_linear(ag_model *m, ag_linear *l, const char *name, int layer, bool bias)
{
    char format[96];
    bool train = m->lora_rank == 0;
    snprintf(format, sizeof format, "layers.%%d.%s", name);
    l->weight = add_param(m, true, train, l->out, l->in, format, layer);
    l->bias = -1;
    if (bias) {
        snprintf(format, sizeof format, "layers.%%d.%s.bias", name);
        l->bias = add_param(m, false, train, 1, l->out, format, layer);
    }
    if (m->lora_rank > 0) add_lora(m, l, name, layer);
}

static void add_layer(ag_model *m, int i)
{
    const ag_config *c = &m->config;
    ag_layer *layer = &m->layers[i];
    int64_t q = (int64_t)c->heads * c->head_dim, kv = (int64_t)c->kv_heads * c->head_dim;
    bool train = m->lora_rank == 0;
    layer->qkv = (ag_linear){
        .in = c->width,
        .out = q + 2 * kv,
        .pieces = 3,
        .piece = {{"self_attn.q_proj", 0, q}, {"self_attn.k_proj", q, kv}, {"self_attn.v_proj", q + kv, kv}}};
    layer->out = (ag_linear){
        .in = q, .out = c->width, .pieces = 1, .piece = {{"self_attn.o_proj", 0, c->width}}};
    layer->gate_up = (ag_linear){.in = c->width,
                                 .out = 2 * (int64_t)c->ff,
                                 .pieces = 2,
                                 .piece = {{"mlp.gate_proj", 0, c->ff}, {"mlp.up_proj", c->ff, c->ff}}};
    layer->down = (ag_linear){
        .in = c->ff, .out = c->width, .pieces = 1, .piece = {{"mlp.down_proj", 0, c->width}}};
    layer->norm1 = add_param(m, false, train, 1, c->width, "layers.%d.norm1", i);
    add_linear(m, &layer->qkv, "qkv", i, c->qkv_bias);
    layer->q_norm = c->qk_norm ? add_param(m, false, train, 1, c->head_dim, "layers.%d.q_norm", i) : -1;
    layer->k_norm = c->qk_norm ? add_param(m, false, train, 1, c->head_dim, "layers.%d.k_norm", i) : -1;
    add_linear(m, &layer->out, "out", i, false);
    layer->norm2 = add_param(m, false, train, 1, c->width, "layers.%d.norm2", i);
    add_linear(m, &layer->gate_up, "gate_up", i, false);
    add_linear(m, &layer->down, "down", i, false);
}

static void add_params(ag_model *m)
{
    const ag_config *c = &m->config;
    bool train = m->lora_rank == 0;
    m->embed = add_param(m, true, train, c->vocab, c->width, "embed", 0);
    for (int i = 0; i < c->layers; i++) add_layer(m, i);
    m->final_norm = add_param(m, false, train, 1, c->width, "norm", 0);
    m->head = c->tied ? m->embed : add_param(m, true, train, c->vocab, c->width, "head", 0);
}

/* Angles of Su et al. 2021, with the frequency bands of Llama 3.1 where the model asks for them: wavelengths longer than
 * original / low are divided by factor, shorter than original / high kept, between interpolated. */
static double rope_frequency(const ag_config *c, int i)
{
    double f = pow(c->rope_theta, -2.0 * i / c->head_dim);
    if (!c->rope_llama3) return f;
    double wavelength = 2 * 3.14159265358979323846 / f;
    if (wavelength > c->rope_original / c->rope_low) return f / c->rope_factor;
    if (wavelength < c->rope_original / c->rope_high) return f;
    double smooth = (c->rope_original / wavelength - c->rope_low) / (c->rope_high - c->rope_low);
    return (1 - smooth) * f / c->rope_factor + smooth * f;
}

static int rope_limit(const ag_config *config, const ag_model_options *options)
{
    int limit = options->max_positions ? options->max_positions : DEFAULT_POSITIONS;
    return limit < config->max_positions ? limit : config->max_positions;
}

static ag_status make_rope(ag_model *m, ag_error *err)
{
    ag_device *d = m->device;
    int half = m->config.head_dim / 2;
    size_t n = (size_t)m->rope_positions * (size_t)m->config.head_dim;
    double *table = ag_calloc(n, sizeof *table);
    if (!table) return ag_fail_memory(err, "RoPE table");
    for (int p = 0; p < m->rope_positions; p++) {
        for (int i = 0; i < half; i++) {
            double angle = p * rope_frequency(&m->config, i);
            table[(size_t)p * (size_t)(2 * half) + (size_t)i] = cos(angle);
            table[(size_t)p * (size_t)(2 * half) + (size_t)(half + i)] = sin(angle);
        }
    }
    ag_status status = d->alloc(d, &m->rope, n * ag_dtype_size(d->real), "RoPE table", err);
    if (status == AG_OK) status = ag_device_put(d, m->rope, table, n, err);
    ag_free(table);
    return status;
}

static ag_status alloc_buffers(ag_model *m, bool train, ag_error *err)
{
    ag_device *d = m->device;
    ag_status status = d->alloc(d, &m->matrices, (size_t)m->matrix_count * ag_dtype_size(m->type), "weights",
                                err);
    if (status == AG_OK)
        status = d->alloc(d, &m->vectors, (size_t)m->vector_count * ag_dtype_size(d->real),
                          "weights (norms and biases)", err);
    if (status == AG_OK && train)
        status = d->alloc(d, &m->grads, (size_t)m->train_count * ag_dtype_size(d->real), "gradients", err);
    return status;
}

ag_status ag_model_create(ag_model **model, const ag_config *config, ag_device *device,
                          const ag_model_options *options, ag_error *err)
{
    *model = NULL;
    if (options->type != AG_BF16 && options->type != device->real)
        return ag_fail(err, AG_ERR_INTERNAL, "device %s has no products of %s", device->name,
                       ag_dtype_name(options->type));
    if (options->lora_rank < 0 || options->lora_rank > 1024)
        return ag_fail(err, AG_ERR_USAGE, "lora rank must be 0 (full fine-tuning) to 1024, not %d",
                       options->lora_rank);
    ag_model *m = ag_calloc(1, sizeof *m);
    if (!m) return ag_fail_memory(err, "model");
    m->config = *config;
    m->device = device;
    m->type = options->type;
    m->lora_rank = options->lora_rank;
    m->lora_alpha = options->lora_alpha;
    m->rope_positions = rope_limit(config, options);
    m->layers = ag_calloc((size_t)config->layers, sizeof *m->layers);
    m->params = ag_calloc((size_t)config->layers * 24 + 4, sizeof *m->params);
    ag_status status = m->layers && m->params ? AG_OK : ag_fail_memory(err, "model");
    if (status == AG_OK) {
        add_params(m);
        status = alloc_buffers(m, options->train, err);
    }
    if (status == AG_OK) status = make_rope(m, err);
    if (status != AG_OK) {
        ag_model_free(m);
        return status;
    }
    *model = m;
    return AG_OK;
}

void ag_model_free(ag_model *m)
{
    if (!m) return;
    ag_device *d = m->device;
    d->release(d, m->matrices);
    d->release(d, m->vectors);
    d->release(d, m->grads);
    d->release(d, m->masters);
    d->release(d, m->rope);
    ag_free(m->layers);
    ag_free(m->params);
    ag_free(m);
}

int ag_model_find(const ag_model *m, const char *name)
{
    for (int i = 0; i < m->param_count; i++)
        if (strcmp(m->params[i].name, name) == 0) return i;
    return -1;
}

ag_dtype ag_param_type(const ag_model *m, int param)
{
    return m->params[param].matrix ? m->type : m->device->real;
}

void *ag_param_value(const ag_model *m, int param)
{
    const ag_param *p = &m->params[param];
    char *base = p->matrix ? m->matrices : m->vectors;
    return base + (size_t)p->offset * ag_dtype_size(ag_param_type(m, param));
}

void *ag_param_grad(const ag_model *m, int param)
{
    const ag_param *p = &m->params[param];
    if (p->train < 0 || !m->grads) return NULL;
    return (char *)m->grads + (size_t)p->train * ag_dtype_size(m->device->real);
}

ag_status ag_param_get(const ag_model *m, int param, double *values, ag_error *err)
{
    size_t n = (size_t)(m->params[param].rows * m->params[param].cols);
    if (ag_param_type(m, param) != AG_BF16)
        return ag_device_get(m->device, values, ag_param_value(m, param), n, err);
    uint16_t *narrow = ag_calloc(n, sizeof *narrow);
    if (!narrow) return ag_fail_memory(err, "parameter");
    ag_status status = m->device->download(m->device, narrow, ag_param_value(m, param), n * sizeof *narrow,
                                           err);
    for (size_t i = 0; i < n; i++) values[i] = ag_float_from_bf16(narrow[i]);
    ag_free(narrow);
    return status;
}

ag_status ag_param_set(ag_model *m, int param, const double *values, ag_error *err)
{
    size_t n = (size_t)(m->params[param].rows * m->params[param].cols);
    if (ag_param_type(m, param) != AG_BF16)
        return ag_device_put(m->device, ag_param_value(m, param), values, n, err);
    uint16_t *narrow = ag_calloc(n, sizeof *narrow);
    if (!narrow) return ag_fail_memory(err, "parameter");
    for (size_t i = 0; i < n; i++) narrow[i] = ag_bf16_from_float((float)values[i]);
    ag_status status = m->device->upload(m->device, ag_param_value(m, param), narrow, n * sizeof *narrow,
                                         err);
    ag_free(narrow);
    return status;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n >= k && strcmp(text + n - k, end) == 0;
}

static ag_status randomize(ag_model *m, uint64_t seed, bool lora_only, ag_error *err)
{
    double residual = 1 / sqrt(2.0 * m->config.layers);
    ag_status status = AG_OK;
    for (int i = 0; i < m->param_count && status == AG_OK; i++) {
        const ag_param *p = &m->params[i];
        if (lora_only && !ends_with(p->name, "lora_a"))
            continue; /* B stays zero: the pair starts as nothing */
        int64_t n = p->rows * p->cols;
        double *values = ag_calloc((size_t)n, sizeof *values);
        if (!values) return ag_fail_memory(err, "parameter");
        ag_rng r = ag_rng_at(seed, AG_RNG_INIT, ag_hash64(p->name, strlen(p->name)), 0, 0, 0);
        double deviation = 0.02;
        if (ends_with(p->name, ".out") || ends_with(p->name, ".down")) deviation *= residual;
        if (ends_with(p->name, "lora_a")) deviation = 1 / sqrt((double)p->cols);
        if (ends_with(p->name, "lora_b") || ends_with(p->name, ".bias")) deviation = 0;
        for (int64_t j = 0; j < n; j++)
            values[j] = p->matrix || deviation == 0 ? deviation * ag_rng_normal(&r) : 1;
        status = ag_param_set(m, i, values, err);
        ag_free(values);
    }
    return status;
}

ag_status ag_model_randomize(ag_model *m, uint64_t seed, ag_error *err)
{
    return randomize(m, seed, false, err);
}

ag_status ag_model_randomize_lora(ag_model *m, uint64_t seed, ag_error *err)
{
    return randomize(m, seed, true, err);
}

bool ag_recompute_named(ag_recompute *recompute, const char *name)
{
    static const char *const names[] = {"none", "head", "layer"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *recompute = (ag_recompute)i;
        return true;
    }
    return false;
}

/* Mirrors add_params, ag_layer_buffers_alloc and ag_pass_create; a test holds it to what they ask for. */
ag_memory_need ag_model_memory(const ag_config *c, const ag_model_options *o, const ag_pass_options *pass,
                               const ag_device *d)
{
    ag_dtype kept_type = ag_kept_type(d, o->type, c->head_dim);
    double type = (double)ag_dtype_size(o->type), kept = (double)ag_dtype_size(kept_type),
           full = (double)ag_dtype_size(d->real), rank = o->lora_rank;
    double width = c->width, ff = c->ff, q = (double)c->heads * c->head_dim,
           qkv = q + 2.0 * c->kv_heads * c->head_dim;
    double layer = width * qkv + q * width + 3 * width * ff,
           lora = rank * (3 * width + qkv + q + width + 2 * width + 2 * ff + ff + width);
    double matrices = (double)c->vocab * width * (c->tied ? 1 : 2) + c->layers * (layer + lora);
    double vectors = c->layers * (2 * width + (c->qk_norm ? 2 * c->head_dim : 0) + (c->qkv_bias ? qkv : 0)) +
                     width;
    double trained = rank > 0 ? c->layers * lora : matrices + vectors;
    bool train = pass && pass->train;
    double rows = pass ? pass->max_rows : 0, targets = pass ? pass->max_targets : 0;
    double buffers = full * width + kept * (qkv + 2 * ff) + type * (2 * width + q + ff);
    if (c->qk_norm) buffers += full * (qkv + c->heads + c->kv_heads);
    if (train) buffers += full * (c->heads + 2);
    double inputs = full * width * (train ? c->layers + 1 : 1) + (train ? 2 : 1) * rank * (full + type);
    if (rank > 0 && kept_type != d->real) inputs += full * fmax(qkv, 2 * ff);
    double backward = full * width + kept * (width + qkv + q + ff) +
                      type * ((o->type == d->real ? 0 : width) + (o->type == kept_type ? 0 : qkv) + 2 * ff);
    double sets = train && pass->recompute != AG_RECOMPUTE_LAYER ? c->layers : 1,
           probabilities = train && pass->recompute == AG_RECOMPUTE_NONE
                               ? fmin(rows, targets) * (c->vocab * type + full)
                               : 0;
    return (ag_memory_need){
        .weights = (size_t)(matrices * type + vectors * full),
        .gradients = o->train ? (size_t)(trained * full) : 0,
        .activations = (size_t)(rows * (buffers * sets + inputs + (train ? backward : 0) + 8)),
        .head = (size_t)(targets * (width * (full * (train ? 3 : 1) + type) + 5 * full + 16) + probabilities +
                         4 + 64.0 * c->vocab * 6),
        .other = (size_t)((double)rope_limit(c, o) * c->head_dim * full),
    };
}
