/* layers.c: the linear layers, one transformer layer forward and what passes and sessions share, in terms of device
 * operations alone. */
#include "model/layers.h"

#include <math.h>

static const char *at(const void *base, ag_dtype type, int64_t element)
{
    return (const char *)base + element * (int64_t)ag_dtype_size(type);
}

static void *at_mut(void *base, ag_dtype type, int64_t element)
{
    return (char *)base + element * (int64_t)ag_dtype_size(type);
}

static ag_status cast(ag_device *d, void *dst, ag_dtype dst_type, const void *src, ag_dtype src_type,
                      int64_t n, ag_error *err)
{
    return d->cast(d, &(ag_cast_args){dst, src, dst_type, src_type, n}, err);
}

/* c = alpha a b + plus: operands of the model's type, c of c_type. */
static ag_status product_as(const ag_model *m, void *c, ag_dtype c_type, int64_t ldc, ag_operand a,
                            ag_operand b, double alpha, const void *plus, ag_error *err)
{
    return ag_device_product(m->device, m->type, c, c_type, ldc, a, b, alpha, plus, err);
}

/* The same into reals. */
static ag_status product(const ag_model *m, void *c, int64_t ldc, ag_operand a, ag_operand b, double alpha,
                         const void *plus, ag_error *err)
{
    return product_as(m, c, m->device->real, ldc, a, b, alpha, plus, err);
}

/* One piece's LoRA pair: A [rank, in] and B [out, rank]. */
static ag_operand lora_a(const ag_model *m, const ag_linear *l, int piece)
{
    return ag_operand_whole(ag_param_value(m, l->lora_a[piece]), m->lora_rank, l->in);
}

static ag_operand lora_b(const ag_model *m, const ag_linear *l, int piece)
{
    return ag_operand_whole(ag_param_value(m, l->lora_b[piece]), l->piece[piece].rows, m->lora_rank);
}

/* u = x A^T, then y[:, piece] += scale * u B^T. */
static ag_status lora_forward(const ag_model *m, const ag_linear *l, int piece, int64_t rows, const void *x,
                              void *y, const ag_lora_scratch *s, ag_error *err)
{
    ag_device *d = m->device;
    int64_t rank = m->lora_rank;
    AG_TRY(product(m, s->wide, rank, ag_operand_whole(x, rows, l->in),
                   ag_operand_transposed(lora_a(m, l, piece)), 1, NULL, err));
    AG_TRY(cast(d, s->narrow, m->type, s->wide, d->real, rows * rank, err));
    void *out = at_mut(y, d->real, l->piece[piece].row);
    return product(m, out, l->out, ag_operand_whole(s->narrow, rows, rank),
                   ag_operand_transposed(lora_b(m, l, piece)), m->lora_alpha / (double)rank, out, err);
}

ag_status ag_linear_forward(const ag_model *m, const ag_linear *l, int64_t rows, const void *x, void *y,
                            ag_dtype y_type, const void *plus, const ag_lora_scratch *lora, ag_error *err)
{
    ag_device *d = m->device;
    /* What LoRA adds is small: in a sum that has been rounded already it would vanish. */
    bool rounds_last = m->lora_rank > 0 && y_type != d->real;
    void *sum = rounds_last ? lora->sum : y;
    ag_dtype type = rounds_last ? d->real : y_type;
    ag_operand weight = ag_operand_whole(ag_param_value(m, l->weight), l->out, l->in);
    AG_TRY(product_as(m, sum, type, l->out, ag_operand_whole(x, rows, l->in), ag_operand_transposed(weight),
                      1, plus, err));
    if (l->bias >= 0)
        AG_TRY(d->bias(d, &(ag_bias_args){sum, type, ag_param_value(m, l->bias), rows, l->out, l->out}, err));
    for (int p = 0; m->lora_rank > 0 && p < l->pieces; p++)
        AG_TRY(lora_forward(m, l, p, rows, x, sum, lora, err));
    return rounds_last ? cast(d, y, y_type, sum, type, rows * l->out, err) : AG_OK;
}

/* With u = x A^T and g = scale * dy[:, piece]:  dB += g^T u,  du = g B,  dA += du^T x,  dx += du A. */
static ag_status lora_backward(const ag_model *m, const ag_linear *l, int piece, int64_t rows, const void *x,
                               const void *dy, void *dx, ag_dtype dx_type, const ag_lora_scratch *s,
                               ag_error *err)
{
    ag_device *d = m->device;
    int64_t rank = m->lora_rank;
    double scale = m->lora_alpha / (double)rank;
    ag_operand a = lora_a(m, l, piece), b = lora_b(m, l, piece), in = ag_operand_whole(x, rows, l->in),
               u = ag_operand_whole(s->narrow, rows, rank), du = ag_operand_whole(s->grad_narrow, rows, rank);
    ag_operand g = {at(dy, m->type, l->piece[piece].row), rows, l->piece[piece].rows, l->out, false};
    void *db = ag_param_grad(m, l->lora_b[piece]), *da = ag_param_grad(m, l->lora_a[piece]);
    AG_TRY(product(m, s->wide, rank, in, ag_operand_transposed(a), 1, NULL, err));
    AG_TRY(cast(d, s->narrow, m->type, s->wide, d->real, rows * rank, err));
    AG_TRY(product(m, db, rank, ag_operand_transposed(g), u, scale, db, err));
    AG_TRY(product(m, s->grad_wide, rank, g, b, scale, NULL, err));
    AG_TRY(cast(d, s->grad_narrow, m->type, s->grad_wide, d->real, rows * rank, err));
    AG_TRY(product(m, da, l->in, ag_operand_transposed(du), in, 1, da, err));
    return dx ? product_as(m, dx, dx_type, l->in, du, a, 1, dx, err) : AG_OK;
}

ag_status ag_linear_backward(const ag_model *m, const ag_linear *l, int64_t rows, const void *x,
                             const void *dy, void *dx, ag_dtype dx_type, const ag_lora_scratch *lora,
                             ag_error *err)
{
    void *dw = ag_param_grad(m, l->weight);
    ag_operand g = ag_operand_whole(dy, rows, l->out);
    if (dw)
        AG_TRY(product(m, dw, l->in, ag_operand_transposed(g), ag_operand_whole(x, rows, l->in), 1, dw, err));
    if (dx)
        AG_TRY(product_as(m, dx, dx_type, l->in, g,
                          ag_operand_whole(ag_param_value(m, l->weight), l->out, l->in), 1, NULL, err));
    for (int p = 0; m->lora_rank > 0 && p < l->pieces; p++)
        AG_TRY(lora_backward(m, l, p, rows, x, dy, dx, dx_type, lora, err));
    return AG_OK;
}

/* RMSNorm over each head of q and of k (Qwen3), from the raw projections into qkv; v is copied. */
static ag_status head_norms(const ag_model *m, const ag_layer *layer, int64_t rows, const ag_layer_buffers *b,
                            ag_error *err)
{
    ag_device *d = m->device;
    ag_dtype kept = ag_model_kept_type(m);
    const ag_config *c = &m->config;
    int64_t q_width = (int64_t)c->heads * c->head_dim,
            width = q_width + 2 * (int64_t)c->kv_heads * c->head_dim;
    AG_TRY(cast(d, b->qkv, kept, b->qkv_raw, d->real, rows * width, err));
    AG_TRY(d->rmsnorm(d,
                      &(ag_rmsnorm_args){.out = b->qkv,
                                         .out_type = kept,
                                         .x = b->qkv_raw,
                                         .weight = ag_param_value(m, layer->q_norm),
                                         .rstd = b->rstd_q,
                                         .rows = rows,
                                         .heads = c->heads,
                                         .width = c->head_dim,
                                         .x_ld = width,
                                         .out_ld = width,
                                         .eps = c->norm_eps},
                      err));
    return d->rmsnorm(d,
                      &(ag_rmsnorm_args){.out = at_mut(b->qkv, kept, q_width),
                                         .out_type = kept,
                                         .x = at(b->qkv_raw, d->real, q_width),
                                         .weight = ag_param_value(m, layer->k_norm),
                                         .rstd = b->rstd_k,
                                         .rows = rows,
                                         .heads = c->kv_heads,
                                         .width = c->head_dim,
                                         .x_ld = width,
                                         .out_ld = width,
                                         .eps = c->norm_eps},
                      err);
}

static ag_status attention_part(const ag_model *m, const ag_layer *layer, int64_t rows,
                                const int32_t *positions, const ag_attention_plan *plan, const ag_keys *keys,
                                const ag_layer_buffers *b, const ag_lora_scratch *lora, ag_error *err)
{
    ag_device *d = m->device;
    const ag_config *c = &m->config;
    ag_dtype kept = ag_model_kept_type(m);
    int64_t q_width = (int64_t)c->heads * c->head_dim, kv_width = (int64_t)c->kv_heads * c->head_dim,
            width = q_width + 2 * kv_width;
    AG_TRY(ag_linear_forward(m, &layer->qkv, rows, b->norm1, c->qk_norm ? b->qkv_raw : b->qkv,
                             c->qk_norm ? d->real : kept, NULL, lora, err));
    if (c->qk_norm) AG_TRY(head_norms(m, layer, rows, b, err));
    bool stored = keys && keys->store;
    AG_TRY(d->rope(d,
                   &(ag_rope_args){.x = b->qkv,
                                   .type = kept,
                                   .table = m->rope,
                                   .positions = positions,
                                   .rows = rows,
                                   .heads = c->heads + c->kv_heads,
                                   .head_dim = c->head_dim,
                                   .ld = width,
                                   .store = stored ? keys->store : NULL,
                                   .slots = stored ? keys->slots : NULL,
                                   .first_stored = c->heads,
                                   .stored = 2 * c->kv_heads},
                   err));
    const char *k = stored ? keys->store : at(b->qkv, kept, q_width);
    return d->attention(d,
                        &(ag_attention_args){.out = b->attention,
                                             .lse = b->lse,
                                             .out_type = m->type,
                                             .in_type = kept,
                                             .q = b->qkv,
                                             .k = k,
                                             .v = at(k, kept, kv_width),
                                             .q_ld = width,
                                             .kv_ld = stored ? 2 * kv_width : width,
                                             .out_ld = q_width,
                                             .heads = c->heads,
                                             .kv_heads = c->kv_heads,
                                             .head_dim = c->head_dim,
                                             .scale = 1 / sqrt((double)c->head_dim),
                                             .plan = plan},
                        err);
}

static ag_status norm(const ag_model *m, int weight, int64_t rows, const void *x, void *out, void *rstd,
                      ag_error *err)
{
    ag_device *d = m->device;
    int64_t width = m->config.width;
    return d->rmsnorm(d,
                      &(ag_rmsnorm_args){.out = out,
                                         .out_type = m->type,
                                         .x = x,
                                         .weight = ag_param_value(m, weight),
                                         .rstd = rstd,
                                         .rows = rows,
                                         .heads = 1,
                                         .width = width,
                                         .x_ld = width,
                                         .out_ld = width,
                                         .eps = m->config.norm_eps},
                      err);
}

ag_status ag_layer_forward(const ag_model *m, const ag_layer *layer, int64_t rows, const void *x_in,
                           void *x_out, const int32_t *positions, const ag_attention_plan *plan,
                           const ag_keys *keys, const ag_layer_buffers *b, const ag_lora_scratch *lora,
                           ag_error *err)
{
    ag_device *d = m->device;
    ag_dtype kept = ag_model_kept_type(m);
    AG_TRY(norm(m, layer->norm1, rows, x_in, b->norm1, b->rstd1, err));
    AG_TRY(attention_part(m, layer, rows, positions, plan, keys, b, lora, err));
    AG_TRY(ag_linear_forward(m, &layer->out, rows, b->attention, b->mid, d->real, x_in, lora, err));
    AG_TRY(norm(m, layer->norm2, rows, b->mid, b->norm2, b->rstd2, err));
    AG_TRY(ag_linear_forward(m, &layer->gate_up, rows, b->norm2, b->gate_up, kept, NULL, lora, err));
    AG_TRY(d->swiglu(d, &(ag_swiglu_args){b->hidden, m->type, kept, b->gate_up, rows, m->config.ff}, err));
    return ag_linear_forward(m, &layer->down, rows, b->hidden, x_out, d->real, b->mid, lora, err);
}

/* --- buffers: one row of a table each ------------------------------------------------------------------------ */
typedef struct buffer_row {
    void **memory;
    int64_t per_row;
    ag_dtype type;
    const char *what;
} buffer_row;

static ag_status alloc_rows(ag_device *d, const buffer_row *table, size_t n, int64_t rows, ag_error *err)
{
    for (size_t i = 0; i < n; i++) {
        *table[i].memory = NULL;
        if (table[i].per_row == 0) continue;
        AG_TRY(d->alloc(d, table[i].memory, (size_t)(rows * table[i].per_row) * ag_dtype_size(table[i].type),
                        table[i].what, err));
    }
    return AG_OK;
}

ag_status ag_layer_buffers_alloc(ag_layer_buffers *b, const ag_model *m, int64_t rows, bool train,
                                 ag_error *err)
{
    const ag_config *c = &m->config;
    ag_dtype real = m->device->real, kept = ag_model_kept_type(m);
    int64_t qkv = (int64_t)(c->heads + 2 * c->kv_heads) * c->head_dim;
    const buffer_row table[] = {
        {&b->mid, c->width, real, "activations (residual)"},
        {&b->norm1, c->width, m->type, "activations (norm)"},
        {&b->norm2, c->width, m->type, "activations (norm)"},
        {&b->rstd1, train, real, "activations (norm)"},
        {&b->rstd2, train, real, "activations (norm)"},
        {&b->qkv_raw, c->qk_norm ? qkv : 0, real, "activations (qkv)"},
        {&b->qkv, qkv, kept, "activations (qkv)"},
        {&b->rstd_q, c->qk_norm ? c->heads : 0, real, "activations (norm)"},
        {&b->rstd_k, c->qk_norm ? c->kv_heads : 0, real, "activations (norm)"},
        {&b->attention, (int64_t)c->heads * c->head_dim, m->type, "activations (attention)"},
        {&b->lse, train ? c->heads : 0, real, "activations (attention)"},
        {&b->gate_up, 2 * (int64_t)c->ff, kept, "activations (feed-forward)"},
        {&b->hidden, c->ff, m->type, "activations (feed-forward)"},
    };
    return alloc_rows(m->device, table, sizeof table / sizeof *table, rows, err);
}

void ag_layer_buffers_release(ag_layer_buffers *b, ag_device *d)
{
    void **all[] = {&b->mid,    &b->norm1,  &b->norm2,     &b->rstd1, &b->rstd2,   &b->qkv_raw, &b->qkv,
                    &b->rstd_q, &b->rstd_k, &b->attention, &b->lse,   &b->gate_up, &b->hidden};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        d->release(d, *all[i]);
        *all[i] = NULL;
    }
}

ag_status ag_lora_scratch_alloc(ag_lora_scratch *s, const ag_model *m, int64_t rows, bool train,
                                ag_error *err)
{
    const ag_config *c = &m->config;
    int64_t qkv = (int64_t)(c->heads + 2 * c->kv_heads) * c->head_dim,
            widest = qkv > 2 * c->ff ? qkv : 2 * c->ff;
    bool sums = m->lora_rank > 0 && ag_model_kept_type(m) != m->device->real;
    const buffer_row table[] = {
        {&s->sum, sums ? widest : 0, m->device->real, "LoRA"},
        {&s->wide, m->lora_rank, m->device->real, "LoRA"},
        {&s->narrow, m->lora_rank, m->type, "LoRA"},
        {&s->grad_wide, train ? m->lora_rank : 0, m->device->real, "LoRA"},
        {&s->grad_narrow, train ? m->lora_rank : 0, m->type, "LoRA"},
    };
    return alloc_rows(m->device, table, sizeof table / sizeof *table, rows, err);
}

void ag_lora_scratch_release(ag_lora_scratch *s, ag_device *d)
{
    d->release(d, s->sum);
    d->release(d, s->wide);
    d->release(d, s->narrow);
    d->release(d, s->grad_wide);
    d->release(d, s->grad_narrow);
    *s = (ag_lora_scratch){0};
}

ag_status ag_masks_upload(ag_mask_store *s, ag_device *d, const ag_masks *masks, int64_t rows, int64_t vocab,
                          ag_error *err)
{
    if (!masks) return AG_OK;
    size_t bytes = (size_t)masks->count * (size_t)((vocab + 31) / 32) * sizeof *masks->bits;
    if (bytes > s->bytes) {
        d->release(d, s->bits);
        *s = (ag_mask_store){.of_row = s->of_row};
        AG_TRY(d->alloc(d, &s->bits, bytes, "grammar masks", err));
        s->bytes = bytes;
    }
    AG_TRY(d->upload(d, s->of_row, masks->of_row, (size_t)rows * sizeof *masks->of_row, err));
    return d->upload(d, s->bits, masks->bits, bytes, err);
}
