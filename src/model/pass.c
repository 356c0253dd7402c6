/* pass.c: forward, log-probabilities and backward of forest batches.
 *
 * The residual stream is kept as it enters each layer. Every layer keeps what its backward reads; or, with AG_RECOMPUTE_LAYER,
 * one set of buffers serves all layers, filled again from the kept input.
 */
#include "model/layers.h"

#include <math.h>
#include <string.h>

struct ag_pass {
    ag_model *model;
    ag_pass_options options;
    ag_layer_buffers *layers; /* one a layer, or one for all */
    int layer_sets;
    void **x; /* residual stream entering layer i; [layers] is what the last one leaves */
    int x_sets;
    ag_lora_scratch lora;
    void *ids, *positions; /* device int32 [rows] */
    ag_plan plan;
    /* head */
    void *row_index, *first, *token;        /* device int32: rows with targets, CSR of their targets */
    void *x_rows, *h, *rstd, *dh, *dx_rows; /* gathered residual, its norm */
    void *logprob, *lse, *entropy, *dlogprob;
    void *probability; /* [rows with targets, vocab] of the model's type, or NULL: they are computed again */
    void *reference;   /* with it: [rows with targets] */
    ag_mask_store masks;
    /* backward */
    void *dx, *dtmp, *dnarrow, *dqkv, *dqkv_narrow, *dattention, *dhidden,
        *dgate_up; /* dx real, what ends in narrow and dgate_up of the
                                                                                         model's type, the others kept */
    /* of the last forward */
    int64_t rows, target_rows, targets;
    double temperature;
    bool masked;
    int32_t *host;          /* scratch for target lists: [3 * max_targets + 1] */
    int32_t *target_row_of; /* [max_targets]: number of the target's row among rows with targets */
    void **owned[32];
    int owned_count;
};

static ag_status own(ag_pass *p, void **slot, int64_t elements, size_t size, const char *what, ag_error *err)
{
    ag_device *d = p->model->device;
    p->owned[p->owned_count++] = slot;
    return d->alloc(d, slot, (size_t)elements * size, what, err);
}

static ag_status alloc_head(ag_pass *p, ag_error *err)
{
    const ag_model *m = p->model;
    size_t real = ag_dtype_size(m->device->real), type = ag_dtype_size(m->type);
    int64_t n = p->options.max_targets, width = m->config.width,
            rows = n < p->options.max_rows ? n : p->options.max_rows; /* with targets, at most */
    AG_TRY(own(p, &p->row_index, n, 4, "targets", err));
    AG_TRY(own(p, &p->first, n + 1, 4, "targets", err));
    AG_TRY(own(p, &p->token, n, 4, "targets", err));
    AG_TRY(own(p, &p->x_rows, n * width, real, "head rows", err));
    AG_TRY(own(p, &p->h, n * width, type, "head rows", err));
    AG_TRY(own(p, &p->rstd, n, real, "head rows", err));
    AG_TRY(own(p, &p->logprob, n, real, "targets", err));
    AG_TRY(own(p, &p->lse, n, real, "targets", err));
    AG_TRY(own(p, &p->entropy, n, real, "targets", err));
    AG_TRY(own(p, &p->masks.of_row, n, 4, "targets", err));
    if (!p->options.train) return AG_OK;
    if (p->options.recompute == AG_RECOMPUTE_NONE) {
        AG_TRY(own(p, &p->probability, rows * m->config.vocab, type, "probabilities of the head", err));
        AG_TRY(own(p, &p->reference, rows, real, "probabilities of the head", err));
    }
    AG_TRY(own(p, &p->dlogprob, n, real, "targets", err));
    AG_TRY(own(p, &p->dh, n * width, real, "head rows", err));
    return own(p, &p->dx_rows, n * width, real, "head rows", err);
}

static ag_status alloc_backward(ag_pass *p, ag_error *err)
{
    const ag_model *m = p->model;
    const ag_config *c = &m->config;
    ag_dtype kept_type = ag_model_kept_type(m);
    size_t real = ag_dtype_size(m->device->real), type = ag_dtype_size(m->type),
           kept = ag_dtype_size(kept_type);
    int64_t n = p->options.max_rows, q = (int64_t)c->heads * c->head_dim,
            qkv = q + 2 * (int64_t)c->kv_heads * c->head_dim;
    AG_TRY(own(p, &p->dx, n * c->width, real, "gradients of activations", err));
    AG_TRY(own(p, &p->dtmp, n * c->width, kept, "gradients of activations", err));
    AG_TRY(own(p, &p->dnarrow, m->type == m->device->real ? 0 : n * c->width, type,
               "gradients of activations", err));
    AG_TRY(own(p, &p->dqkv, n * qkv, kept, "gradients of activations", err));
    AG_TRY(
        own(p, &p->dqkv_narrow, m->type == kept_type ? 0 : n * qkv, type, "gradients of activations", err));
    AG_TRY(own(p, &p->dattention, n * q, kept, "gradients of activations", err));
    AG_TRY(own(p, &p->dhidden, n * c->ff, kept, "gradients of activations", err));
    return own(p, &p->dgate_up, n * 2 * c->ff, type, "gradients of activations", err);
}

static ag_status alloc_pass(ag_pass *p, ag_error *err)
{
    ag_model *m = p->model;
    const ag_pass_options *o = &p->options;
    p->layer_sets = o->train && o->recompute != AG_RECOMPUTE_LAYER ? m->config.layers : 1;
    p->x_sets = o->train ? m->config.layers + 1 : 1;
    p->layers = ag_calloc((size_t)p->layer_sets, sizeof *p->layers);
    p->x = ag_calloc((size_t)p->x_sets, sizeof *p->x);
    p->host = ag_calloc(3 * (size_t)o->max_targets + 1, sizeof *p->host);
    p->target_row_of = ag_calloc((size_t)o->max_targets, sizeof *p->target_row_of);
    if (!p->layers || !p->x || !p->host || !p->target_row_of) return ag_fail_memory(err, "pass");
    for (int i = 0; i < p->layer_sets; i++)
        AG_TRY(ag_layer_buffers_alloc(&p->layers[i], m, o->max_rows, o->train, err));
    for (int i = 0; i < p->x_sets; i++)
        AG_TRY(
            m->device->alloc(m->device, &p->x[i],
                             (size_t)o->max_rows * (size_t)m->config.width * ag_dtype_size(m->device->real),
                             "activations (residual)", err));
    AG_TRY(ag_lora_scratch_alloc(&p->lora, m, o->max_rows, o->train, err));
    AG_TRY(own(p, &p->ids, o->max_rows, 4, "tokens", err));
    AG_TRY(own(p, &p->positions, o->max_rows, 4, "tokens", err));
    AG_TRY(alloc_head(p, err));
    return o->train ? alloc_backward(p, err) : AG_OK;
}

ag_status ag_pass_create(ag_pass **pass, ag_model *model, const ag_pass_options *options, ag_error *err)
{
    ag_pass *p = *pass = ag_calloc(1, sizeof *p);
    if (!p) return ag_fail_memory(err, "pass");
    p->model = model;
    p->options = *options;
    ag_status status = alloc_pass(p, err);
    if (status != AG_OK) {
        ag_pass_free(p);
        *pass = NULL;
    }
    return status;
}

void ag_pass_free(ag_pass *p)
{
    if (!p) return;
    ag_device *d = p->model->device;
    for (int i = 0; p->layers && i < p->layer_sets; i++) ag_layer_buffers_release(&p->layers[i], d);
    for (int i = 0; p->x && i < p->x_sets; i++) d->release(d, p->x[i]);
    for (int i = 0; i < p->owned_count; i++) d->release(d, *p->owned[i]);
    d->release(d, p->masks.bits);
    ag_lora_scratch_release(&p->lora, d);
    ag_plan_free(&p->plan);
    ag_free(p->layers);
    ag_free(p->x);
    ag_free(p->host);
    ag_free(p->target_row_of);
    ag_free(p);
}

/* Lists the rows that have targets and the targets of each; uploads them. */
static ag_status upload_targets(ag_pass *p, const ag_forest *f, ag_error *err)
{
    ag_device *d = p->model->device;
    int32_t *rows = p->host, *first = rows + p->options.max_targets,
            *token = first + p->options.max_targets + 1;
    int32_t n = 0;
    for (int32_t t = 0; t < f->target_count; t++) {
        if (t == 0 || f->targets[t].row != f->targets[t - 1].row) {
            rows[n] = f->targets[t].row;
            first[n++] = t;
        }
        token[t] = f->targets[t].token;
        p->target_row_of[t] = n - 1;
    }
    first[n] = f->target_count;
    p->target_rows = n;
    p->targets = f->target_count;
    AG_TRY(d->upload(d, p->row_index, rows, (size_t)n * sizeof *rows, err));
    AG_TRY(d->upload(d, p->first, first, ((size_t)n + 1) * sizeof *first, err));
    return d->upload(d, p->token, token, (size_t)f->target_count * sizeof *token, err);
}

static ag_status check_forest(const ag_pass *p, const ag_forest *f, ag_error *err)
{
    const ag_model *m = p->model;
    if (f->count > p->options.max_rows || f->target_count > p->options.max_targets)
        return ag_fail(err, AG_ERR_INTERNAL,
                       "a batch of %d tokens and %d targets does not fit a pass of %d and %d", f->count,
                       f->target_count, p->options.max_rows, p->options.max_targets);
    for (int32_t i = 0; i < f->count; i++) {
        if (f->ids[i] < 0 || f->ids[i] >= m->config.vocab)
            return ag_fail(err, AG_ERR_INPUT, "token id %d is outside the model's vocabulary of %d",
                           f->ids[i], m->config.vocab);
        if (f->pos[i] >= m->rope_positions)
            return ag_fail(err, AG_ERR_INPUT,
                           "a sequence of more than %d tokens; raise max_positions or shorten the prompt",
                           m->rope_positions);
    }
    return AG_OK;
}

/* Rows with targets: gathered out of all rows, or scattered back among them. */
static ag_status move_target_rows(ag_pass *p, ag_rows_kind kind, void *dst, const void *src, ag_error *err)
{
    ag_device *d = p->model->device;
    int64_t width = p->model->config.width;
    return d->rows(d,
                   &(ag_rows_args){.kind = kind,
                                   .dst = dst,
                                   .src = src,
                                   .dst_type = d->real,
                                   .src_type = d->real,
                                   .index = p->row_index,
                                   .rows = p->target_rows,
                                   .width = width,
                                   .dst_ld = width,
                                   .src_ld = width},
                   err);
}

/* The rows with targets, normed: what the head reads. */
static ag_status gather_rows(ag_pass *p, const void *x, ag_error *err)
{
    const ag_model *m = p->model;
    ag_device *d = m->device;
    int64_t width = m->config.width;
    AG_TRY(move_target_rows(p, AG_ROWS_GATHER, p->x_rows, x, err));
    return d->rmsnorm(d,
                      &(ag_rmsnorm_args){.out = p->h,
                                         .out_type = m->type,
                                         .x = p->x_rows,
                                         .weight = ag_param_value(m, m->final_norm),
                                         .rstd = p->rstd,
                                         .rows = p->target_rows,
                                         .heads = 1,
                                         .width = width,
                                         .x_ld = width,
                                         .out_ld = width,
                                         .eps = m->config.norm_eps},
                      err);
}

ag_status ag_pass_forward(ag_pass *p, const ag_forest *f, ag_error *err)
{
    const ag_model *m = p->model;
    ag_device *d = m->device;
    AG_TRY(check_forest(p, f, err));
    p->rows = f->count;
    AG_TRY(d->upload(d, p->ids, f->ids, (size_t)f->count * sizeof *f->ids, err));
    AG_TRY(d->upload(d, p->positions, f->pos, (size_t)f->count * sizeof *f->pos, err));
    AG_TRY(upload_targets(p, f, err));
    AG_TRY(ag_plan_forest(&p->plan, f, err));
    AG_TRY(ag_plan_upload(&p->plan, d, err));
    AG_TRY(d->embed(d,
                    &(ag_embed_args){p->x[0], ag_param_value(m, m->embed), m->type, p->ids, p->rows,
                                     m->config.width, m->config.vocab},
                    err));
    void *x = p->x[0];
    for (int i = 0; i < m->config.layers; i++) {
        void *next = p->x_sets > 1 ? p->x[i + 1] : x;
        AG_TRY(ag_layer_forward(m, &m->layers[i], p->rows, x, next, p->positions, &p->plan.view, NULL,
                                &p->layers[p->layer_sets > 1 ? i : 0], &p->lora, err));
        x = next;
    }
    return gather_rows(p, x, err);
}

static ag_head_args head_args(const ag_pass *p)
{
    const ag_model *m = p->model;
    return (ag_head_args){.h = p->h,
                          .w = ag_param_value(m, m->head),
                          .type = m->type,
                          .rows = p->target_rows,
                          .width = m->config.width,
                          .vocab = m->config.vocab,
                          .temperature = p->temperature,
                          .first = p->first,
                          .target = p->token,
                          .targets = p->targets,
                          .mask_of = p->masked ? p->masks.of_row : NULL,
                          .masks = p->masks.bits};
}

ag_status ag_pass_logprob(ag_pass *p, double temperature, const ag_masks *masks, double *logprob,
                          double *entropy, ag_error *err)
{
    ag_device *d = p->model->device;
    p->temperature = temperature;
    if (p->targets == 0) return AG_OK;
    p->masked = masks != NULL;
    AG_TRY(ag_masks_upload(&p->masks, d, masks, p->target_rows, p->model->config.vocab, err));
    AG_TRY(d->head_logprob(d,
                           &(ag_head_logprob_args){head_args(p), p->logprob, p->lse,
                                                   entropy ? p->entropy : NULL, p->probability, p->reference},
                           err));
    AG_TRY(ag_device_get(d, logprob, p->logprob, (size_t)p->targets, err));
    if (!entropy) return AG_OK;
    double *rows = ag_calloc((size_t)p->target_rows, sizeof *rows);
    if (!rows) return ag_fail_memory(err, "entropy");
    ag_status status = ag_device_get(d, rows, p->entropy, (size_t)p->target_rows, err);
    for (int64_t t = 0; t < p->targets; t++) entropy[t] = rows[p->target_row_of[t]];
    ag_free(rows);
    return status;
}

/* residual: dx is that of the residual stream, which it is added to. */
static ag_status norm_backward(const ag_pass *p, int weight, int64_t rows, void *dx, const void *dy,
                               ag_dtype dy_type, const void *x, const void *rstd, bool residual,
                               ag_error *err)
{
    const ag_model *m = p->model;
    int64_t width = m->config.width;
    bool narrow = residual && m->type != m->device->real;
    return m->device->rmsnorm_grad(m->device,
                                   &(ag_rmsnorm_grad_args){.dx = dx,
                                                           .dweight = ag_param_grad(m, weight),
                                                           .narrow = narrow ? p->dnarrow : NULL,
                                                           .dx_type = m->device->real,
                                                           .dy_type = dy_type,
                                                           .dy = dy,
                                                           .x = x,
                                                           .weight = ag_param_value(m, weight),
                                                           .rstd = rstd,
                                                           .rows = rows,
                                                           .heads = 1,
                                                           .width = width,
                                                           .x_ld = width,
                                                           .dy_ld = width,
                                                           .dx_ld = width,
                                                           .accumulate = residual},
                                   err);
}

/* The gradient of the residual stream as products read it: whoever changes dx leaves its rounding in dnarrow. */
static const void *residual_gradient(const ag_pass *p)
{
    return p->model->type == p->model->device->real ? p->dx : p->dnarrow;
}

static ag_status feed_forward_backward(ag_pass *p, const ag_layer *layer, const ag_layer_buffers *b,
                                       ag_error *err)
{
    const ag_model *m = p->model;
    ag_device *d = m->device;
    ag_dtype kept = ag_model_kept_type(m);
    AG_TRY(ag_linear_backward(m, &layer->down, p->rows, b->hidden, residual_gradient(p), p->dhidden, kept,
                              &p->lora, err));
    AG_TRY(d->swiglu_grad(
        d, &(ag_swiglu_grad_args){p->dgate_up, m->type, kept, p->dhidden, b->gate_up, p->rows, m->config.ff},
        err));
    AG_TRY(
        ag_linear_backward(m, &layer->gate_up, p->rows, b->norm2, p->dgate_up, p->dtmp, kept, &p->lora, err));
    return norm_backward(p, layer->norm2, p->rows, p->dx, p->dtmp, kept, b->mid, b->rstd2, true, err);
}

/* Through the norms of q and k, in place on dqkv. */
static ag_status head_norms_backward(ag_pass *p, const ag_layer *layer, const ag_layer_buffers *b,
                                     ag_error *err)
{
    const ag_model *m = p->model;
    const ag_config *c = &m->config;
    ag_device *d = m->device;
    ag_dtype kept = ag_model_kept_type(m);
    int64_t q = (int64_t)c->heads * c->head_dim, width = q + 2 * (int64_t)c->kv_heads * c->head_dim;
    const struct {
        int weight;
        int64_t at;
        int heads;
        const void *rstd;
    } parts[] = {{layer->q_norm, 0, c->heads, b->rstd_q}, {layer->k_norm, q, c->kv_heads, b->rstd_k}};
    for (int i = 0; i < 2; i++) {
        char *grad = (char *)p->dqkv + (size_t)parts[i].at * ag_dtype_size(kept);
        AG_TRY(d->rmsnorm_grad(
            d,
            &(ag_rmsnorm_grad_args){.dx = grad,
                                    .dweight = ag_param_grad(m, parts[i].weight),
                                    .dx_type = kept,
                                    .dy_type = kept,
                                    .dy = grad,
                                    .x = (char *)b->qkv_raw + (size_t)parts[i].at * ag_dtype_size(d->real),
                                    .weight = ag_param_value(m, parts[i].weight),
                                    .rstd = parts[i].rstd,
                                    .rows = p->rows,
                                    .heads = parts[i].heads,
                                    .width = c->head_dim,
                                    .x_ld = width,
                                    .dy_ld = width,
                                    .dx_ld = width},
            err));
    }
    return AG_OK;
}

static ag_status attention_backward(ag_pass *p, const ag_layer *layer, const ag_layer_buffers *b,
                                    const void *x_in, ag_error *err)
{
    const ag_model *m = p->model;
    const ag_config *c = &m->config;
    ag_device *d = m->device;
    ag_dtype kept = ag_model_kept_type(m);
    size_t size = ag_dtype_size(kept);
    int64_t q = (int64_t)c->heads * c->head_dim, kv = (int64_t)c->kv_heads * c->head_dim, width = q + 2 * kv;
    const char *qkv = b->qkv;
    char *dqkv = p->dqkv;
    const void *dy = dqkv;
    AG_TRY(ag_linear_backward(m, &layer->out, p->rows, b->attention, residual_gradient(p), p->dattention,
                              kept, &p->lora, err));
    AG_TRY(d->attention_grad(d,
                             &(ag_attention_grad_args){.dq = dqkv,
                                                       .dk = dqkv + (size_t)q * size,
                                                       .dv = dqkv + (size_t)(q + kv) * size,
                                                       .dout = p->dattention,
                                                       .out = b->attention,
                                                       .lse = b->lse,
                                                       .out_type = m->type,
                                                       .in_type = kept,
                                                       .q = qkv,
                                                       .k = qkv + (size_t)q * size,
                                                       .v = qkv + (size_t)(q + kv) * size,
                                                       .q_ld = width,
                                                       .kv_ld = width,
                                                       .out_ld = q,
                                                       .dout_ld = q,
                                                       .heads = c->heads,
                                                       .kv_heads = c->kv_heads,
                                                       .head_dim = c->head_dim,
                                                       .scale = 1 / sqrt((double)c->head_dim),
                                                       .plan = &p->plan.view},
                             err));
    AG_TRY(d->rope(d,
                   &(ag_rope_args){.x = dqkv,
                                   .type = kept,
                                   .table = m->rope,
                                   .positions = p->positions,
                                   .rows = p->rows,
                                   .heads = c->heads + c->kv_heads,
                                   .head_dim = c->head_dim,
                                   .ld = width,
                                   .inverse = true},
                   err));
    if (c->qk_norm) AG_TRY(head_norms_backward(p, layer, b, err));
    if (layer->qkv.bias >= 0 && ag_param_grad(m, layer->qkv.bias))
        AG_TRY(d->bias_grad(
            d, &(ag_bias_grad_args){ag_param_grad(m, layer->qkv.bias), dqkv, kept, p->rows, width, width},
            err));
    if (m->type != kept) {
        dy = p->dqkv_narrow;
        AG_TRY(d->cast(d, &(ag_cast_args){p->dqkv_narrow, dqkv, m->type, kept, p->rows * width}, err));
    }
    AG_TRY(ag_linear_backward(m, &layer->qkv, p->rows, b->norm1, dy, p->dtmp, kept, &p->lora, err));
    return norm_backward(p, layer->norm1, p->rows, p->dx, p->dtmp, kept, x_in, b->rstd1, true, err);
}

static ag_status head_backward(ag_pass *p, const double *dlogprob, ag_error *err)
{
    const ag_model *m = p->model;
    ag_device *d = m->device;
    int64_t width = m->config.width;
    AG_TRY(ag_device_put(d, p->dlogprob, dlogprob, (size_t)p->targets, err));
    AG_TRY(d->head_grad(d,
                        &(ag_head_grad_args){head_args(p), p->lse, p->logprob, p->dlogprob, p->dh,
                                             ag_param_grad(m, m->head), p->probability, p->reference},
                        err));
    AG_TRY(norm_backward(p, m->final_norm, p->target_rows, p->dx_rows, p->dh, d->real, p->x_rows, p->rstd,
                         false, err));
    AG_TRY(d->zero(d, p->dx, (size_t)(p->rows * width) * ag_dtype_size(d->real), err));
    AG_TRY(move_target_rows(p, AG_ROWS_SCATTER, p->dx, p->dx_rows, err));
    if (m->type == d->real) return AG_OK;
    return d->cast(d, &(ag_cast_args){p->dnarrow, p->dx, m->type, d->real, p->rows * width}, err);
}

ag_status ag_pass_backward(ag_pass *p, const double *dlogprob, ag_error *err)
{
    const ag_model *m = p->model;
    ag_device *d = m->device;
    if (!p->options.train || !m->grads)
        return ag_fail(err, AG_ERR_INTERNAL, "backward of a pass that was not made for training");
    if (p->targets == 0) return AG_OK;
    AG_TRY(head_backward(p, dlogprob, err));
    for (int i = m->config.layers - 1; i >= 0; i--) {
        const ag_layer_buffers *b = &p->layers[p->layer_sets > 1 ? i : 0];
        if (p->layer_sets == 1) /* again; what it leaves in x[i + 1] is what was there */
            AG_TRY(ag_layer_forward(m, &m->layers[i], p->rows, p->x[i], p->x[i + 1], p->positions,
                                    &p->plan.view, NULL, b, &p->lora, err));
        AG_TRY(feed_forward_backward(p, &m->layers[i], b, err));
        AG_TRY(attention_backward(p, &m->layers[i], b, p->x[i], err));
    }
    void *dembed = ag_param_grad(m, m->embed);
    if (!dembed) return AG_OK;
    return d->embed_grad(
        d, &(ag_embed_grad_args){dembed, p->dx, p->ids, p->rows, m->config.width, m->config.vocab}, err);
}
