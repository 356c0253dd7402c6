/* rows.c: operations of the cpu backend that work a row or an element at a time. Sums over rows go through a fixed number
 * of parts that are added in order, so that results do not depend on the number of threads.
 */
#include "device/cpu/cpu.h"

#include <math.h>
#include <string.h>

enum { PARTS = 16, ELEMENTS = 16384 /* a parallel chunk */ };

#define PARALLEL(cpu) _Pragma("omp parallel for schedule(static) num_threads((cpu)->threads)")

static void store_row(const ag_cpu *cpu, void *out, ag_dtype type, int64_t at, const float *row, int64_t n)
{
    if (type == AG_BF16)
        cpu->k->to_bf16((uint16_t *)out + at, row, n);
    else
        memcpy((float *)out + at, row, (size_t)n * sizeof *row);
}

static void load_row(const ag_cpu *cpu, float *row, const void *in, ag_dtype type, int64_t at, int64_t n)
{
    if (type == AG_BF16)
        cpu->k->from_bf16(row, (const uint16_t *)in + at, n);
    else
        memcpy(row, (const float *)in + at, (size_t)n * sizeof *row);
}

ag_status ag_cpu_embed(ag_device *d, const ag_embed_args *x, ag_error *err)
{
    ag_cpu *cpu = ag_cpu_of(d);
    for (int64_t i = 0; i < x->rows; i++)
        if (x->ids[i] < 0 || x->ids[i] >= x->vocab)
            return ag_fail(err, AG_ERR_INTERNAL, "token id %d is outside the vocabulary", x->ids[i]);
    PARALLEL(cpu)
    for (int64_t i = 0; i < x->rows; i++)
        load_row(cpu, (float *)x->out + i * x->width, x->table, x->type, x->ids[i] * x->width, x->width);
    return AG_OK;
}

/* Each thread owns a range of columns, so rows add in order without a race. */
ag_status ag_cpu_embed_grad(ag_device *d, const ag_embed_grad_args *x, ag_error *err)
{
    (void)err;
    ag_cpu *cpu = ag_cpu_of(d);
    PARALLEL(cpu)
    for (int part = 0; part < cpu->threads; part++) {
        int64_t j0 = ag_part_begin(x->width, cpu->threads, part),
                j1 = ag_part_begin(x->width, cpu->threads, part + 1);
        for (int64_t i = 0; i < x->rows; i++)
            cpu->k->axpy((float *)x->dtable + x->ids[i] * x->width + j0,
                         (const float *)x->dout + i * x->width + j0, j1 - j0, 1);
    }
    return AG_OK;
}

ag_status ag_cpu_rmsnorm(ag_device *d, const ag_rmsnorm_args *x, ag_error *err)
{
    ag_cpu *cpu = ag_cpu_of(d);
    float *scratch = NULL;
    if (x->out_type == AG_BF16) {
        ag_status status = ag_cpu_scratch(d, 2, (size_t)(x->width * cpu->threads), &scratch, err);
        if (status != AG_OK) return status;
    }
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int part = 0; part < cpu->threads; part++) {
        int64_t n = x->rows * x->heads;
        for (int64_t g = ag_part_begin(n, cpu->threads, part); g < ag_part_begin(n, cpu->threads, part + 1);
             g++) {
            int64_t i = g / x->heads, h = g % x->heads, at = i * x->out_ld + h * x->width;
            const float *row = (const float *)x->x + i * x->x_ld + h * x->width;
            float rstd = (float)(1.0 / sqrt(cpu->k->dot(row, row, x->width) / (double)x->width + x->eps));
            if (x->rstd) ((float *)x->rstd)[g] = rstd;
            float *out = scratch ? scratch + part * x->width : (float *)x->out + at;
            cpu->k->norm_row(out, row, x->weight, x->width, rstd);
            if (scratch) cpu->k->to_bf16((uint16_t *)x->out + at, out, x->width);
        }
    }
    return AG_OK;
}

ag_status ag_cpu_rmsnorm_grad(ag_device *d, const ag_rmsnorm_grad_args *x, ag_error *err)
{
    ag_cpu *cpu = ag_cpu_of(d);
    float *partial = NULL;
    if (x->dweight) {
        ag_status status = ag_cpu_scratch(d, 2, (size_t)(PARTS * x->width), &partial, err);
        if (status != AG_OK) return status;
        memset(partial, 0, (size_t)(PARTS * x->width) * sizeof *partial);
    }
    int64_t n = x->rows * x->heads;
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int part = 0; part < PARTS; part++) {
        for (int64_t g = ag_part_begin(n, PARTS, part); g < ag_part_begin(n, PARTS, part + 1); g++) {
            int64_t i = g / x->heads, at = g % x->heads * x->width;
            float *dx = (float *)x->dx + i * x->dx_ld + at;
            cpu->k->norm_grad_row(dx, partial ? partial + part * x->width : NULL,
                                  (const float *)x->dy + i * x->dy_ld + at,
                                  (const float *)x->x + i * x->x_ld + at, x->weight, x->width,
                                  ((const float *)x->rstd)[g], x->accumulate);
            if (x->narrow) cpu->k->to_bf16((uint16_t *)x->narrow + g * x->width, dx, x->width);
        }
    }
    for (int part = 0; partial && part < PARTS; part++)
        cpu->k->axpy(x->dweight, partial + part * x->width, x->width, 1);
    return AG_OK;
}

ag_status ag_cpu_rope(ag_device *d, const ag_rope_args *x, ag_error *err)
{
    (void)err;
    ag_cpu *cpu = ag_cpu_of(d);
    int64_t half = x->head_dim / 2, width = x->stored * x->head_dim;
    PARALLEL(cpu)
    for (int64_t i = 0; i < x->rows; i++) {
        const float *table = (const float *)x->table + x->positions[i] * x->head_dim;
        float *row = (float *)x->x + i * x->ld, *kept = NULL;
        if (x->store) {
            kept = (float *)x->store + x->slots[i] * width;
            memcpy(kept, row + x->first_stored * x->head_dim, (size_t)width * sizeof *kept);
        }
        for (int64_t h = 0; h < x->heads; h++) {
            bool stored = kept && h >= x->first_stored;
            float *v = stored ? kept + (h - x->first_stored) * x->head_dim : row + h * x->head_dim;
            cpu->k->rope_row(v, v + half, table, table + half, half, x->inverse ? -1.0f : 1.0f);
        }
    }
    return AG_OK;
}

ag_status ag_cpu_swiglu(ag_device *d, const ag_swiglu_args *x, ag_error *err)
{
    ag_cpu *cpu = ag_cpu_of(d);
    float *scratch = NULL;
    if (x->out_type == AG_BF16) {
        ag_status status = ag_cpu_scratch(d, 2, (size_t)(x->width * cpu->threads), &scratch, err);
        if (status != AG_OK) return status;
    }
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int part = 0; part < cpu->threads; part++) {
        for (int64_t i = ag_part_begin(x->rows, cpu->threads, part);
             i < ag_part_begin(x->rows, cpu->threads, part + 1); i++) {
            const float *gate = (const float *)x->gate_up + i * 2 * x->width;
            float *out = scratch ? scratch + part * x->width : (float *)x->out + i * x->width;
            cpu->k->swiglu(out, gate, gate + x->width, x->width);
            if (scratch) cpu->k->to_bf16((uint16_t *)x->out + i * x->width, out, x->width);
        }
    }
    return AG_OK;
}

ag_status ag_cpu_swiglu_grad(ag_device *d, const ag_swiglu_grad_args *x, ag_error *err)
{
    ag_cpu *cpu = ag_cpu_of(d);
    float *scratch = NULL;
    if (x->type == AG_BF16) {
        ag_status status = ag_cpu_scratch(d, 2, (size_t)(2 * x->width * cpu->threads), &scratch, err);
        if (status != AG_OK) return status;
    }
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int part = 0; part < cpu->threads; part++) {
        for (int64_t i = ag_part_begin(x->rows, cpu->threads, part);
             i < ag_part_begin(x->rows, cpu->threads, part + 1); i++) {
            const float *gate = (const float *)x->gate_up + i * 2 * x->width;
            float *out = scratch ? scratch + part * 2 * x->width : (float *)x->dgate_up + i * 2 * x->width;
            cpu->k->swiglu_grad(out, out + x->width, (const float *)x->dout + i * x->width, gate,
                                gate + x->width, x->width);
            if (scratch) cpu->k->to_bf16((uint16_t *)x->dgate_up + i * 2 * x->width, out, 2 * x->width);
        }
    }
    return AG_OK;
}

ag_status ag_cpu_bias(ag_device *d, const ag_bias_args *x, ag_error *err)
{
    (void)err;
    ag_cpu *cpu = ag_cpu_of(d);
    PARALLEL(cpu)
    for (int64_t i = 0; i < x->rows; i++) cpu->k->axpy((float *)x->x + i * x->ld, x->bias, x->width, 1);
    return AG_OK;
}

ag_status ag_cpu_bias_grad(ag_device *d, const ag_bias_grad_args *x, ag_error *err)
{
    ag_cpu *cpu = ag_cpu_of(d);
    float *partial;
    ag_status status = ag_cpu_scratch(d, 2, (size_t)(PARTS * x->width), &partial, err);
    if (status != AG_OK) return status;
    memset(partial, 0, (size_t)(PARTS * x->width) * sizeof *partial);
    PARALLEL(cpu)
    for (int part = 0; part < PARTS; part++)
        for (int64_t i = ag_part_begin(x->rows, PARTS, part); i < ag_part_begin(x->rows, PARTS, part + 1);
             i++)
            cpu->k->axpy(partial + part * x->width, (const float *)x->dx + i * x->ld, x->width, 1);
    for (int part = 0; part < PARTS; part++) cpu->k->axpy(x->dbias, partial + part * x->width, x->width, 1);
    return AG_OK;
}

ag_status ag_cpu_adamw(ag_device *d, const ag_adamw_args *x, ag_error *err)
{
    (void)err;
    ag_cpu *cpu = ag_cpu_of(d);
    float correct1 = (float)(1 - pow(x->beta1, (double)x->step)),
          correct2 = (float)(1 - pow(x->beta2, (double)x->step));
    PARALLEL(cpu)
    for (int64_t i = 0; i < x->n; i += ELEMENTS) {
        int64_t n = x->n - i < ELEMENTS ? x->n - i : ELEMENTS;
        float *w = (float *)x->w + i;
        cpu->k->adamw(w, (float *)x->m + i, (float *)x->v + i, (const float *)x->g + i, n, (float)x->lr,
                      (float)x->beta1, (float)(1 - x->beta1), (float)x->beta2, (float)(1 - x->beta2),
                      (float)x->eps, (float)x->decay, (float)x->grad_scale, correct1, correct2);
        if (x->copy) store_row(cpu, x->copy, x->copy_type, i, w, n);
    }
    return AG_OK;
}

ag_status ag_cpu_sum_squares(ag_device *d, const ag_sum_squares_args *x, ag_error *err)
{
    (void)err;
    ag_cpu *cpu = ag_cpu_of(d);
    double partial[PARTS] = {0}, sum = 0;
    PARALLEL(cpu)
    for (int part = 0; part < PARTS; part++) {
        int64_t begin = ag_part_begin(x->n, PARTS, part), end = ag_part_begin(x->n, PARTS, part + 1);
        partial[part] = cpu->k->dot((const float *)x->x + begin, (const float *)x->x + begin, end - begin);
    }
    for (int part = 0; part < PARTS; part++) sum += partial[part];
    *x->result = sum;
    return AG_OK;
}

ag_status ag_cpu_cast(ag_device *d, const ag_cast_args *x, ag_error *err)
{
    (void)err;
    ag_cpu *cpu = ag_cpu_of(d);
    PARALLEL(cpu)
    for (int64_t i = 0; i < x->n; i += ELEMENTS) {
        int64_t n = x->n - i < ELEMENTS ? x->n - i : ELEMENTS;
        if (x->dst_type == x->src_type)
            memcpy((char *)x->dst + i * (int64_t)ag_dtype_size(x->dst_type),
                   (const char *)x->src + i * (int64_t)ag_dtype_size(x->src_type),
                   (size_t)n * ag_dtype_size(x->dst_type));
        else if (x->dst_type == AG_BF16)
            cpu->k->to_bf16((uint16_t *)x->dst + i, (const float *)x->src + i, n);
        else
            cpu->k->from_bf16((float *)x->dst + i, (const uint16_t *)x->src + i, n);
    }
    return AG_OK;
}

static void move_row(const ag_cpu *cpu, const ag_rows_args *x, int64_t to, int64_t from)
{
    if (x->dst_type == x->src_type)
        memcpy((char *)x->dst + to * (int64_t)ag_dtype_size(x->dst_type),
               (const char *)x->src + from * (int64_t)ag_dtype_size(x->src_type),
               (size_t)x->width * ag_dtype_size(x->dst_type));
    else if (x->dst_type == AG_BF16)
        cpu->k->to_bf16((uint16_t *)x->dst + to, (const float *)x->src + from, x->width);
    else
        cpu->k->from_bf16((float *)x->dst + to, (const uint16_t *)x->src + from, x->width);
}

ag_status ag_cpu_rows(ag_device *d, const ag_rows_args *x, ag_error *err)
{
    (void)err;
    ag_cpu *cpu = ag_cpu_of(d);
    bool gather = x->kind == AG_ROWS_GATHER;
    PARALLEL(cpu)
    for (int64_t i = 0; i < x->rows; i++)
        move_row(cpu, x, (gather ? i : x->index[i]) * x->dst_ld, (gather ? x->index[i] : i) * x->src_ld);
    return AG_OK;
}

ag_status ag_cpu_axpy(ag_device *d, const ag_axpy_args *x, ag_error *err)
{
    (void)err;
    ag_cpu *cpu = ag_cpu_of(d);
    PARALLEL(cpu)
    for (int64_t i = 0; i < x->n; i += ELEMENTS)
        cpu->k->axpy((float *)x->y + i, (const float *)x->x + i, x->n - i < ELEMENTS ? x->n - i : ELEMENTS,
                     (float)x->alpha);
    return AG_OK;
}
