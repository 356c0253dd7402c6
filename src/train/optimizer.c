/* optimizer.c: see optimizer.h. */
#include "train/optimizer.h"

#include <math.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/layers.h"

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

ag_status ag_optimizer_create(ag_optimizer *o, ag_model *model, ag_error *err)
{
    ag_device *d = model->device;
    size_t bytes = (size_t)model->train_count * ag_dtype_size(d->real);
    *o = (ag_optimizer){.model = model};
    ag_status status = d->alloc(d, &o->master, bytes, "master weights", err);
    if (status == AG_OK) status = d->alloc(d, &o->m, bytes, "first moments", err);
    if (status == AG_OK) status = d->alloc(d, &o->v, bytes, "second moments", err);
    if (status == AG_OK) status = take_masters(o, err);
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
    size_t bytes = (size_t)m->train_count * sizeof(float);
    float *host = ag_calloc((size_t)m->train_count, sizeof *host);
    if (!host) return ag_fail_memory(err, "gradients");
    ag_status status = d->download(d, host, m->grads, bytes, err);
    if (status == AG_OK) status = comm->sum_float(comm, host, (size_t)m->train_count, err);
    if (status == AG_OK) status = d->upload(d, m->grads, host, bytes, err);
    ag_free(host);
    return status;
}

ag_status ag_optimizer_update(ag_optimizer *o, ag_comm *comm, const ag_adamw *a, double lr, double *norm,
                              ag_error *err)
{
    ag_model *m = o->model;
    ag_device *d = m->device;
    double squares;
    AG_TRY(sum_gradients(o, comm, err));
    AG_TRY(d->sum_squares(d, &(ag_sum_squares_args){m->grads, m->train_count, &squares}, err));
    *norm = sqrt(squares);
    if (!isfinite(*norm))
        return ag_fail(err, AG_ERR_INTERNAL, "the gradient is not finite; lower the learning rate");
    double scale = a->clip > 0 && *norm > a->clip ? a->clip / *norm : 1;
    o->step++;
    for (int i = 0; i < m->param_count; i++) {
        const ag_param *p = &m->params[i];
        if (p->train < 0) continue;
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
    return d->zero(d, m->grads, (size_t)m->train_count * ag_dtype_size(d->real), err);
}

enum { PIECE = 1 << 22 };

typedef struct tensor {
    const char *name;
    void *data;
} tensor;

static int tensors_of(const ag_optimizer *o, tensor out[3])
{
    int n = 0;
    out[n++] = (tensor){"first_moments", o->m};
    out[n++] = (tensor){"second_moments", o->v};
    out[n++] = (tensor){"master_weights", o->master};
    return n;
}

ag_status ag_optimizer_save(const ag_optimizer *o, const char *dir, ag_error *err)
{
    ag_device *d = o->model->device;
    tensor list[3];
    int n = tensors_of(o, list);
    int64_t count = o->model->train_count;
    ag_weights_out *out = NULL;
    char *path = ag_path_join(dir, "optimizer.safetensors");
    float *values = ag_calloc(PIECE, sizeof *values);
    ag_status status = path && values ? AG_OK : ag_fail_memory(err, "checkpoint");
    if (status == AG_OK && d->real != AG_F32)
        status = ag_fail(err, AG_ERR_UNSUPPORTED, "checkpoints need a device of fp32");
    if (status == AG_OK) status = ag_weights_create(&out, path, err);
    for (int i = 0; i < n && status == AG_OK; i++)
        status = ag_weights_declare(out, list[i].name, 0, count, AG_WEIGHTS_F32, err);
    for (int i = 0; i < n && status == AG_OK; i++) {
        for (int64_t k = 0; k < count && status == AG_OK; k += PIECE) {
            int64_t piece = count - k < PIECE ? count - k : PIECE;
            status = d->download(d, values, (const float *)list[i].data + k, (size_t)piece * sizeof *values,
                                 err);
            if (status == AG_OK) status = ag_weights_write(out, values, piece, err);
        }
    }
    if (status == AG_OK)
        status = ag_weights_finish(out, err);
    else if (out)
        ag_weights_abort(out);
    ag_free(values);
    ag_free(path);
    return status;
}

/* Weights follow from the masters. */
static ag_status spread_masters(ag_optimizer *o, ag_error *err)
{
    ag_model *m = o->model;
    ag_device *d = m->device;
    for (int i = 0; i < m->param_count; i++) {
        const ag_param *p = &m->params[i];
        if (p->train < 0) continue;
        AG_TRY(d->cast(d,
                       &(ag_cast_args){ag_param_value(m, i), at(o->master, o, p->train), ag_param_type(m, i),
                                       d->real, p->rows * p->cols},
                       err));
    }
    return AG_OK;
}

ag_status ag_optimizer_load(ag_optimizer *o, const char *dir, int64_t step, ag_error *err)
{
    ag_device *d = o->model->device;
    tensor list[3];
    int n = tensors_of(o, list);
    int64_t count = o->model->train_count;
    ag_weights *in = NULL;
    char *path = ag_path_join(dir, "optimizer.safetensors");
    float *values = ag_calloc((size_t)count, sizeof *values);
    ag_status status = path && values ? ag_weights_open(&in, path, NULL, err)
                                      : ag_fail_memory(err, "checkpoint");
    for (int i = 0; i < n && status == AG_OK; i++) {
        status = ag_weights_read(in, list[i].name, 1, count, 0, 1, values, err);
        if (status == AG_OK) status = d->upload(d, list[i].data, values, (size_t)count * sizeof *values, err);
    }
    if (status == AG_OK) status = spread_masters(o, err);
    o->step = step;
    ag_weights_close(in);
    ag_free(values);
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
