/* optimizer.c: see optimizer.h. */
#include "train/optimizer.h"

#include <math.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "train/buffers.h"

static char *at(void *base, const ag_optimizer *o, int64_t element)
{
    return (char *)base + (size_t)element * ag_dtype_size(o->model->device->real);
}

static ag_status take_masters(ag_optimizer *o, ag_error *err)
{
    ag_model *m = o->model;
    ag_device *d = m->device;
    for (int i = 0; i < m->param_count; i++) {
        const ag_param *p = &m->params[i];
        if (p->train < 0) continue;
        AG_TRY(d->cast(d,
                       &(ag_cast_args){at(o->master, o, p->train), ag_param_value(m, i), d->real,
                                       ag_param_type(m, i), p->rows * p->cols},
                       err));
    }
    return AG_OK;
}

/* A parameter's weights follow from its masters. */
static ag_status spread_master(const ag_optimizer *o, const void *masters, int param, ag_error *err)
{
    ag_model *m = o->model;
    ag_device *d = m->device;
    const ag_param *p = &m->params[param];
    return d->cast(d,
                   &(ag_cast_args){ag_param_value(m, param), at((void *)masters, o, p->train),
                                   ag_param_type(m, param), d->real, p->rows * p->cols},
                   err);
}

ag_status ag_optimizer_create(ag_optimizer *o, ag_model *model, ag_error *err)
{
    ag_device *d = model->device;
    size_t bytes = (size_t)model->train_count * ag_dtype_size(d->real);
    *o = (ag_optimizer){.model = model};
    o->master = model->masters;
    model->masters = NULL;
    ag_status status = AG_OK;
    if (!o->master) {
        status = d->alloc(d, &o->master, bytes, "master weights", err);
        if (status == AG_OK) status = take_masters(o, err);
    }
    if (status == AG_OK) status = d->alloc(d, &o->m, bytes, "first moments", err);
    if (status == AG_OK) status = d->alloc(d, &o->v, bytes, "second moments", err);
    if (status != AG_OK) ag_optimizer_free(o);
    return status;
}

void ag_optimizer_free(ag_optimizer *o)
{
    if (!o->model) return;
    ag_device *d = o->model->device;
    d->release(d, o->master);
    d->release(d, o->m);
    d->release(d, o->v);
    d->release(d, o->scratch);
    *o = (ag_optimizer){0};
}

ag_status ag_optimizer_reset(ag_optimizer *o, ag_error *err)
{
    ag_device *d = o->model->device;
    size_t bytes = (size_t)o->model->train_count * ag_dtype_size(d->real);
    o->step = 0;
    AG_TRY(d->zero(d, o->m, bytes, err));
    return d->zero(d, o->v, bytes, err);
}

/* Ranks hold their own parts of the sum; one rank has nothing to add. */
static ag_status sum_gradients(ag_optimizer *o, ag_comm *comm, ag_error *err)
{
    ag_model *m = o->model;
    ag_device *d = m->device;
    if (comm->size == 1) return AG_OK;
    if (d->real != AG_F32) return ag_fail(err, AG_ERR_UNSUPPORTED, "several ranks need a device of fp32");
    if (comm->sum_device) {
        AG_TRY(d->sync(d, err));
        return comm->sum_device(comm, m->grads, (size_t)m->train_count, err);
    }
    size_t bytes = (size_t)m->train_count * sizeof(float);
    float *host = ag_calloc((size_t)m->train_count, sizeof *host);
    if (!host) return ag_fail_memory(err, "gradients");
    ag_status status = d->download(d, host, m->grads, bytes, err);
    if (status == AG_OK) status = comm->sum_float(comm, host, (size_t)m->train_count, err);
    if (status == AG_OK) status = d->upload(d, m->grads, host, bytes, err);
    ag_free(host);
    return status;
}

/* --- Muon --------------------------------------------------------------------------------------------------------- */

/* Elements of the largest projection and of the largest product of one with itself. */
static void muon_sizes(const ag_model *m, int64_t *whole, int64_t *square)
{
    *whole = *square = 0;
    if (m->config.layers == 0) return;
    const ag_layer *layer = &m->layers[0];
    const ag_linear *const linears[] = {&layer->qkv, &layer->out, &layer->gate_up, &layer->down};
    for (size_t k = 0; k < sizeof linears / sizeof *linears; k++)
        for (int i = 0; i < linears[k]->pieces; i++) {
            int64_t rows = linears[k]->piece[i].rows, cols = linears[k]->in, s = rows < cols ? rows : cols;
            if (rows * cols > *whole) *whole = rows * cols;
            if (s * s > *square) *square = s * s;
        }
}

size_t ag_optimizer_muon_bytes(const ag_model *m)
{
    int64_t whole, square;
    muon_sizes(m, &whole, &square);
    return (size_t)(2 * whole + 2 * square) * ag_dtype_size(m->device->real);
}

/* y = alpha x, n reals. */
static ag_status scaled(ag_device *d, void *y, const void *x, double alpha, int64_t n, ag_error *err)
{
    AG_TRY(d->zero(d, y, (size_t)n * ag_dtype_size(d->real), err));
    return d->axpy(d, &(ag_axpy_args){y, x, alpha, n}, err);
}

/* Five steps x <- (a + b (x x') + c (x x')^2) x push every singular value of a matrix of norm 1 towards 1. The result is in *x;
 * y, p and q are scratch. */
static ag_status orthogonalise(ag_device *d, void **x, void **y, void *p, void *q, int64_t rows, int64_t cols,
                               ag_error *err)
{
    static const double a = 3.4445, b = -4.7750, c = 2.0315;
    int64_t s = rows < cols ? rows : cols;
    bool wide = rows <= cols; /* the square is x x'; else x' x, from the other side */
    double squares;
    AG_TRY(d->sum_squares(d, &(ag_sum_squares_args){*x, rows * cols, &squares}, err));
    AG_TRY(scaled(d, *y, *x, 1 / (sqrt(squares) + 1e-7), rows * cols, err));
    for (int i = 0; i < 5; i++) {
        void *from = *y, *to = *x;
        ag_operand z = ag_operand_whole(from, rows, cols), zt = ag_operand_transposed(z),
                   square = ag_operand_whole(p, s, s), sum = ag_operand_whole(q, s, s);
        AG_TRY(ag_device_product(d, d->real, p, d->real, s, wide ? z : zt, wide ? zt : z, 1, NULL, err));
        AG_TRY(ag_device_product(d, d->real, q, d->real, s, square, square, c, NULL, err));
        AG_TRY(d->axpy(d, &(ag_axpy_args){q, p, b, s * s}, err));
        AG_TRY(
            ag_device_product(d, d->real, to, d->real, cols, wide ? sum : z, wide ? z : sum, 1, NULL, err));
        AG_TRY(d->axpy(d, &(ag_axpy_args){to, from, a, rows * cols}, err));
        *x = from;
        *y = to;
    }
    void *result = *y;
    *y = *x;
    *x = result;
    return AG_OK;
}

/* One projection: `offset` is its first element among the trained ones. */
static ag_status muon_piece(ag_optimizer *o, const ag_update_rule *u, int64_t offset, int64_t rows,
                            int64_t cols, double lr, double scale, ag_error *err)
{
    ag_model *m = o->model;
    ag_device *d = m->device;
    int64_t whole, square, n = rows * cols;
    muon_sizes(m, &whole, &square);
    void *x = o->scratch, *y = at(x, o, whole), *p = at(x, o, 2 * whole), *q = at(p, o, square);
    void *w = at(o->master, o, offset), *moment = at(o->m, o, offset);
    const void *g = at(m->grads, o, offset);
    double fresh = (1 - u->momentum) * scale;
    AG_TRY(d->axpy(d, &(ag_axpy_args){moment, moment, u->momentum - 1, n}, err));
    AG_TRY(d->axpy(d, &(ag_axpy_args){moment, g, fresh, n}, err));
    AG_TRY(scaled(d, x, moment, u->momentum, n, err)); /* Nesterov: look ahead by this gradient */
    AG_TRY(d->axpy(d, &(ag_axpy_args){x, g, fresh, n}, err));
    AG_TRY(orthogonalise(d, &x, &y, p, q, rows, cols, err));
    if (u->weight_decay > 0) AG_TRY(d->axpy(d, &(ag_axpy_args){w, w, -lr * u->weight_decay, n}, err));
    double size = 0.2 * sqrt((double)(rows > cols ? rows : cols));
    return d->axpy(d, &(ag_axpy_args){w, x, -lr * size, n}, err);
}

static ag_status muon_linear(ag_optimizer *o, const ag_update_rule *u, const ag_linear *linear, double lr,
                             double scale, ag_error *err)
{
    int64_t first = o->model->params[linear->weight].train;
    for (int i = 0; i < linear->pieces; i++)
        AG_TRY(muon_piece(o, u, first + linear->piece[i].row * linear->in, linear->piece[i].rows, linear->in,
                          lr, scale, err));
    return spread_master(o, o->master, linear->weight, err);
}

static ag_status muon_update(ag_optimizer *o, const ag_update_rule *u, double lr, double scale, ag_error *err)
{
    ag_model *m = o->model;
    ag_device *d = m->device;
    if (!o->scratch) AG_TRY(d->alloc(d, &o->scratch, ag_optimizer_muon_bytes(m), "Muon", err));
    for (int i = 0; i < m->config.layers; i++) {
        const ag_layer *layer = &m->layers[i];
        AG_TRY(muon_linear(o, u, &layer->qkv, lr, scale, err));
        AG_TRY(muon_linear(o, u, &layer->out, lr, scale, err));
        AG_TRY(muon_linear(o, u, &layer->gate_up, lr, scale, err));
        AG_TRY(muon_linear(o, u, &layer->down, lr, scale, err));
    }
    return AG_OK;
}

/* Is the parameter a matrix of a layer? */
static bool of_layer(const ag_model *m, int param)
{
    return m->params[param].matrix && param != m->embed && param != m->head;
}

/* --- updates ------------------------------------------------------------------------------------------------------ */

ag_status ag_optimizer_update(ag_optimizer *o, ag_comm *comm, const ag_update_rule *a, double lr,
                              double *norm, ag_error *err)
{
    ag_model *m = o->model;
    ag_device *d = m->device;
    double squares;
    if (a->muon && m->lora_rank > 0)
        return ag_fail(err, AG_ERR_UNSUPPORTED,
                       "Muon updates whole matrices; use optimizer: adamw with LoRA");
    AG_TRY(sum_gradients(o, comm, err));
    AG_TRY(d->sum_squares(d, &(ag_sum_squares_args){m->grads, m->train_count, &squares}, err));
    *norm = sqrt(squares);
    if (!isfinite(*norm))
        return ag_fail(err, AG_ERR_INTERNAL, "the gradient is not finite; lower the learning rate");
    double scale = a->clip > 0 && *norm > a->clip ? a->clip / *norm : 1;
    o->step++;
    for (int i = 0; i < m->param_count; i++) {
        const ag_param *p = &m->params[i];
        if (p->train < 0 || (a->muon && of_layer(m, i))) continue;
        AG_TRY(d->adamw(d,
                        &(ag_adamw_args){.w = at(o->master, o, p->train),
                                         .m = at(o->m, o, p->train),
                                         .v = at(o->v, o, p->train),
                                         .copy = ag_param_value(m, i),
                                         .g = ag_param_grad(m, i),
                                         .copy_type = ag_param_type(m, i),
                                         .n = p->rows * p->cols,
                                         .lr = lr,
                                         .beta1 = a->beta1,
                                         .beta2 = a->beta2,
                                         .eps = a->eps,
                                         .decay = p->matrix ? a->weight_decay : 0,
                                         .grad_scale = scale,
                                         .step = o->step},
                        err));
    }
    if (a->muon) AG_TRY(muon_update(o, a, lr, scale, err));
    return d->zero(d, m->grads, (size_t)m->train_count * ag_dtype_size(d->real), err);
}

static int buffers_of(const ag_optimizer *o, ag_buffer out[3])
{
    int n = 0;
    out[n++] = (ag_buffer){"first_moments", o->m};
    out[n++] = (ag_buffer){"second_moments", o->v};
    out[n++] = (ag_buffer){"master_weights", o->master};
    return n;
}

ag_status ag_optimizer_save(const ag_optimizer *o, const char *dir, ag_error *err)
{
    ag_buffer list[3];
    int n = buffers_of(o, list);
    char *path = ag_path_join(dir, "optimizer.safetensors");
    ag_status status = path ? ag_buffers_save(o->model->device, path, list, n, o->model->train_count, err)
                            : ag_fail_memory(err, "checkpoint");
    ag_free(path);
    return status;
}

ag_status ag_optimizer_spread(ag_optimizer *o, const void *masters, ag_error *err)
{
    for (int i = 0; i < o->model->param_count; i++)
        if (o->model->params[i].train >= 0) AG_TRY(spread_master(o, masters, i, err));
    return AG_OK;
}

ag_status ag_optimizer_load(ag_optimizer *o, const char *dir, int64_t step, ag_error *err)
{
    ag_buffer list[3];
    int n = buffers_of(o, list);
    char *path = ag_path_join(dir, "optimizer.safetensors");
    ag_status status = path ? ag_buffers_load(o->model->device, path, list, n, o->model->train_count, err)
                            : ag_fail_memory(err, "checkpoint");
    if (status == AG_OK) status = ag_optimizer_spread(o, o->master, err);
    o->step = step;
    ag_free(path);
    return status;
}

double ag_schedule(const char *schedule, double lr, double min_lr, double warmup, long step, long steps)
{
    double rise = ceil(warmup * (double)steps - 1e-9),
           left = steps > rise ? ((double)step - rise) / ((double)steps - rise) : 1;
    if ((double)step <= rise) return lr * (double)step / rise;
    if (ag_streq(schedule, "constant")) return lr;
    double share = ag_streq(schedule, "linear") ? 1 - left : 0.5 * (1 + cos(3.14159265358979323846 * left));
    return lr * (min_lr + (1 - min_lr) * share);
}
