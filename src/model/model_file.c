/* model_file.c: a model's parameters from and to files, in Hugging Face's names and PEFT's for adapters. */
#include "model/model.h"

#include <stdio.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

enum { NAME = 160, CHUNK_VALUES = 1 << 22 };

/* One tensor of a file: rows [row, row + rows) of a parameter. rows 0: a vector. */
typedef struct file_tensor {
    char name[NAME];
    int param;
    int64_t row, rows, cols;
} file_tensor;

typedef ag_status (*tensor_visitor)(void *user, const file_tensor *tensor, ag_error *err);

static ag_status visit(tensor_visitor f, void *user, const ag_model *m, int param, int64_t row, int64_t rows,
                       ag_error *err, const char *name)
{
    file_tensor t = {.param = param, .row = row, .rows = rows, .cols = m->params[param].cols};
    snprintf(t.name, sizeof t.name, "%s", name);
    return f(user, &t, err);
}

/* The biases of a fused matrix lie in one vector; a piece of it is columns [row, row + rows). */
static ag_status visit_linear(tensor_visitor f, void *user, const ag_model *m, const ag_linear *l, int layer,
                              ag_error *err)
{
    char name[NAME];
    for (int p = 0; p < l->pieces; p++) {
        snprintf(name, sizeof name, "model.layers.%d.%s.weight", layer, l->piece[p].file_name);
        AG_TRY(visit(f, user, m, l->weight, l->piece[p].row, l->piece[p].rows, err, name));
        if (l->bias < 0) continue;
        snprintf(name, sizeof name, "model.layers.%d.%s.bias", layer, l->piece[p].file_name);
        file_tensor t = {.param = l->bias, .row = l->piece[p].row, .rows = 0, .cols = l->piece[p].rows};
        memcpy(t.name, name, sizeof name);
        AG_TRY(f(user, &t, err));
    }
    return AG_OK;
}

/* Every tensor of the base model, in file order. */
static ag_status visit_model(tensor_visitor f, void *user, const ag_model *m, ag_error *err)
{
    char name[NAME];
    AG_TRY(visit(f, user, m, m->embed, 0, m->config.vocab, err, "model.embed_tokens.weight"));
    for (int i = 0; i < m->config.layers; i++) {
        const ag_layer *l = &m->layers[i];
        const struct {
            int param;
            const char *name;
        } vectors[] = {{l->norm1, "input_layernorm"},
                       {l->q_norm, "self_attn.q_norm"},
                       {l->k_norm, "self_attn.k_norm"},
                       {l->norm2, "post_attention_layernorm"}};
        for (size_t v = 0; v < sizeof vectors / sizeof *vectors; v++) {
            if (vectors[v].param < 0) continue;
            snprintf(name, sizeof name, "model.layers.%d.%s.weight", i, vectors[v].name);
            AG_TRY(visit(f, user, m, vectors[v].param, 0, 0, err, name));
        }
        const ag_linear *linears[] = {&l->qkv, &l->out, &l->gate_up, &l->down};
        for (size_t k = 0; k < 4; k++) AG_TRY(visit_linear(f, user, m, linears[k], i, err));
    }
    AG_TRY(visit(f, user, m, m->final_norm, 0, 0, err, "model.norm.weight"));
    if (m->head != m->embed) AG_TRY(visit(f, user, m, m->head, 0, m->config.vocab, err, "lm_head.weight"));
    return AG_OK;
}

/* Every LoRA pair, under PEFT's names. */
static ag_status visit_adapter(tensor_visitor f, void *user, const ag_model *m, ag_error *err)
{
    char name[NAME];
    for (int i = 0; i < m->config.layers; i++) {
        const ag_layer *l = &m->layers[i];
        const ag_linear *linears[] = {&l->qkv, &l->out, &l->gate_up, &l->down};
        for (size_t k = 0; k < 4; k++) {
            for (int p = 0; p < linears[k]->pieces; p++) {
                const char *piece = linears[k]->piece[p].file_name;
                snprintf(name, sizeof name, "base_model.model.model.layers.%d.%s.lora_A.weight", i, piece);
                AG_TRY(visit(f, user, m, linears[k]->lora_a[p], 0, m->lora_rank, err, name));
                snprintf(name, sizeof name, "base_model.model.model.layers.%d.%s.lora_B.weight", i, piece);
                AG_TRY(visit(f, user, m, linears[k]->lora_b[p], 0, linears[k]->piece[p].rows, err, name));
            }
        }
    }
    return AG_OK;
}

/* First element of a tensor inside its parameter. */
static int64_t tensor_offset(const ag_model *m, const file_tensor *t)
{
    return t->rows == 0 ? t->row : t->row * m->params[t->param].cols;
}

typedef struct reader {
    ag_model *model;
    const ag_weights *weights;
} reader;

/* n floats to device memory in another type. */
static ag_status upload_as(ag_device *d, void *dst, ag_dtype type, const float *values, int64_t n,
                           ag_error *err)
{
    if (type == AG_F32) return d->upload(d, dst, values, (size_t)n * sizeof *values, err);
    void *converted = ag_calloc((size_t)n, ag_dtype_size(type));
    if (!converted) return ag_fail_memory(err, "weights");
    for (int64_t i = 0; i < n; i++) {
        if (type == AG_BF16)
            ((uint16_t *)converted)[i] = ag_bf16_from_float(values[i]);
        else
            ((double *)converted)[i] = values[i];
    }
    ag_status status = d->upload(d, dst, converted, (size_t)n * ag_dtype_size(type), err);
    ag_free(converted);
    return status;
}

static ag_status upload_floats(ag_model *m, const file_tensor *t, int64_t first, const float *values,
                               int64_t n, ag_error *err)
{
    ag_device *d = m->device;
    ag_dtype type = ag_param_type(m, t->param);
    int64_t at = tensor_offset(m, t) + first, train = m->params[t->param].train;
    AG_TRY(upload_as(d, (char *)ag_param_value(m, t->param) + (size_t)at * ag_dtype_size(type), type, values,
                     n, err));
    if (!m->masters || train < 0) return AG_OK;
    return upload_as(d, (char *)m->masters + (size_t)(train + at) * ag_dtype_size(d->real), d->real, values,
                     n, err);
}

static ag_status read_tensor(void *user, const file_tensor *t, ag_error *err)
{
    reader *r = user;
    int64_t rows = t->rows ? t->rows : 1, step = CHUNK_VALUES / t->cols > 0 ? CHUNK_VALUES / t->cols : 1;
    if (step > rows) step = rows;
    float *values = ag_calloc((size_t)(step * t->cols), sizeof *values);
    if (!values) return ag_fail_memory(err, "weights");
    ag_status status = AG_OK;
    for (int64_t row = 0; row < rows && status == AG_OK; row += step) {
        int64_t n = rows - row < step ? rows - row : step;
        status = ag_weights_read(r->weights, t->name, rows, t->cols, row, n, values, err);
        if (status == AG_OK) status = upload_floats(r->model, t, row * t->cols, values, n * t->cols, err);
    }
    ag_free(values);
    return status;
}

ag_status ag_model_read(ag_model *m, const ag_weights *weights, ag_error *err)
{
    ag_device *d = m->device;
    if (m->grads && m->type != d->real && m->lora_rank == 0 && !m->masters)
        AG_TRY(
            d->alloc(d, &m->masters, (size_t)m->train_count * ag_dtype_size(d->real), "master weights", err));
    return visit_model(read_tensor, &(reader){m, weights}, m, err);
}

typedef struct writer {
    const ag_model *model;
    ag_weights_out *out;
    ag_weights_type type;
    const void *master;
} writer;

static ag_status declare_tensor(void *user, const file_tensor *t, ag_error *err)
{
    writer *w = user;
    return ag_weights_declare(w->out, t->name, t->rows, t->cols, w->type, err);
}

/* Values of a tensor: from the optimizer's masters where there are any, else as the model holds them. */
static ag_status fetch_floats(const writer *w, const file_tensor *t, int64_t first, float *values, int64_t n,
                              ag_error *err)
{
    const ag_model *m = w->model;
    ag_device *d = m->device;
    const ag_param *p = &m->params[t->param];
    bool master = w->master && p->train >= 0;
    ag_dtype type = master ? d->real : ag_param_type(m, t->param);
    const char *src = master ? (const char *)w->master + (size_t)p->train * ag_dtype_size(type)
                             : ag_param_value(m, t->param);
    src += (size_t)(tensor_offset(m, t) + first) * ag_dtype_size(type);
    if (type == AG_F32) return d->download(d, values, src, (size_t)n * sizeof *values, err);
    void *raw = ag_calloc((size_t)n, ag_dtype_size(type));
    if (!raw) return ag_fail_memory(err, "weights");
    ag_status status = d->download(d, raw, src, (size_t)n * ag_dtype_size(type), err);
    for (int64_t i = 0; i < n; i++)
        values[i] = type == AG_BF16 ? ag_float_from_bf16(((uint16_t *)raw)[i]) : (float)((double *)raw)[i];
    ag_free(raw);
    return status;
}

static ag_status write_tensor(void *user, const file_tensor *t, ag_error *err)
{
    writer *w = user;
    int64_t n = (t->rows ? t->rows : 1) * t->cols, step = n < CHUNK_VALUES ? n : CHUNK_VALUES;
    float *values = ag_calloc((size_t)step, sizeof *values);
    if (!values) return ag_fail_memory(err, "weights");
    ag_status status = AG_OK;
    for (int64_t i = 0; i < n && status == AG_OK; i += step) {
        int64_t count = n - i < step ? n - i : step;
        status = fetch_floats(w, t, i, values, count, err);
        if (status == AG_OK) status = ag_weights_write(w->out, values, count, err);
    }
    ag_free(values);
    return status;
}

/* Takes json over. */
static ag_status write_json(const char *dir, const char *name, json_t *json, ag_error *err)
{
    char *path = ag_path_join(dir, name);
    ag_status status = path && json ? ag_json_save(path, json, err) : ag_fail_memory(err, name);
    ag_free(path);
    json_decref(json);
    return status;
}

static json_t *adapter_config(const ag_model *m, const char *base_model)
{
    json_t *modules = json_array();
    bool complete = modules != NULL;
    const ag_layer *l = &m->layers[0];
    const ag_linear *linears[] = {&l->qkv, &l->out, &l->gate_up, &l->down};
    for (size_t k = 0; k < 4; k++)
        for (int p = 0; p < linears[k]->pieces; p++)
            if (json_array_append_new(modules,
                                      json_string(strchr(linears[k]->piece[p].file_name, '.') + 1)) != 0)
                complete = false;
    if (!complete) {
        json_decref(modules);
        return NULL;
    }
    return json_pack("{s:s, s:s, s:s, s:i, s:f, s:f, s:s, s:b, s:o}", "peft_type", "LORA", "task_type",
                     "CAUSAL_LM", "base_model_name_or_path", base_model ? base_model : "", "r", m->lora_rank,
                     "lora_alpha", m->lora_alpha, "lora_dropout", 0.0, "bias", "none", "fan_in_fan_out", 0,
                     "target_modules", modules);
}

ag_status ag_model_save(const ag_model *m, const char *dir, const void *master, ag_weights_type type,
                        const char *base_model, ag_error *err)
{
    bool adapter = m->lora_rank > 0;
    ag_status (*all)(tensor_visitor, void *, const ag_model *, ag_error *) = adapter ? visit_adapter
                                                                                     : visit_model;
    writer w = {.model = m, .type = type, .master = master};
    char *path = ag_path_join(dir, adapter ? "adapter_model.safetensors" : "model.safetensors");
    ag_status status = path ? ag_dir_make(dir, err) : ag_fail_memory(err, "path");
    if (status == AG_OK) status = ag_weights_create(&w.out, path, err);
    if (status == AG_OK) status = all(declare_tensor, &w, m, err);
    if (status == AG_OK) status = all(write_tensor, &w, m, err);
    if (status == AG_OK) {
        status = ag_weights_finish(w.out, err);
        w.out = NULL;
    }
    if (w.out) ag_weights_abort(w.out);
    if (status == AG_OK)
        status = adapter ? write_json(dir, "adapter_config.json", adapter_config(m, base_model), err)
                         : write_json(dir, "config.json",
                                      ag_config_to_json(&m->config,
                                                        type == AG_WEIGHTS_BF16 ? "bfloat16" : "float32"),
                                      err);
    ag_free(path);
    return status;
}

ag_status ag_model_read_adapter(ag_model *m, const char *dir, ag_error *err)
{
    ag_weights *weights = NULL;
    char *path = ag_path_join(dir, "adapter_model.safetensors");
    ag_status status = path ? ag_weights_open(&weights, path, NULL, err) : ag_fail_memory(err, "path");
    if (status == AG_OK) status = visit_adapter(read_tensor, &(reader){m, weights}, m, err);
    ag_weights_close(weights);
    ag_free(path);
    return status;
}
