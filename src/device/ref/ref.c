/* ref.c: every operation of device.h in plain scalar C: its meaning, and the oracle that other backends are held to.
 *
 * Compiled twice: reals are float (device "ref") or double (device "ref64", for gradient tests). Nothing here is fast, and
 * nothing here should be: each function reads like the definition it implements.
 */
#include "device/device.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "device/sampling.h"

#if AG_REAL_DOUBLE
typedef double ag_real;
#define REAL_TYPE AG_F64
#define REF_NAME  "ref64"
#define REF_OPEN  ag_device_ref64_open
#else
typedef float ag_real;
#define REAL_TYPE AG_F32
#define REF_NAME  "ref"
#define REF_OPEN  ag_device_ref_open
#endif

static ag_real load(const void *p, ag_dtype type, int64_t i)
{
    if (type == AG_BF16) return (ag_real)ag_float_from_bf16(((const uint16_t *)p)[i]);
    return ((const ag_real *)p)[i];
}

static void store(void *p, ag_dtype type, int64_t i, ag_real x)
{
    if (type == AG_BF16)
        ((uint16_t *)p)[i] = ag_bf16_from_float((float)x);
    else
        ((ag_real *)p)[i] = x;
}

/* Sums are kept in double so that the oracle is closer to the truth than what it judges. */
static ag_status ref_matmul(ag_device *d, const ag_matmul_args *x, ag_error *err)
{
    (void)d, (void)err;
    for (int64_t i = 0; i < x->m; i++) {
        for (int64_t j = 0; j < x->n; j++) {
            double sum = 0;
            for (int64_t k = 0; k < x->k; k++)
                sum += (double)load(x->a, x->type, x->transpose_a ? k * x->lda + i : i * x->lda + k) *
                       (double)load(x->b, x->type, x->transpose_b ? j * x->ldb + k : k * x->ldb + j);
            int64_t at = i * x->ldc + j;
            double was = x->plus ? (double)load(x->plus, x->c_type, at) : 0;
            store(x->c, x->c_type, at, (ag_real)(x->alpha * sum + was));
        }
    }
    return AG_OK;
}

static ag_status ref_embed(ag_device *d, const ag_embed_args *x, ag_error *err)
{
    (void)d;
    for (int64_t i = 0; i < x->rows; i++) {
        if (x->ids[i] < 0 || x->ids[i] >= x->vocab)
            return ag_fail(err, AG_ERR_INTERNAL, "token id %d is outside the vocabulary", x->ids[i]);
        for (int64_t j = 0; j < x->width; j++)
            ((ag_real *)x->out)[i * x->width + j] = load(x->table, x->type, x->ids[i] * x->width + j);
    }
    return AG_OK;
}

static ag_status ref_embed_grad(ag_device *d, const ag_embed_grad_args *x, ag_error *err)
{
    (void)d, (void)err;
    for (int64_t i = 0; i < x->rows; i++)
        for (int64_t j = 0; j < x->width; j++)
            ((ag_real *)x->dtable)[x->ids[i] * x->width + j] += ((const ag_real *)x->dout)[i * x->width + j];
    return AG_OK;
}

static ag_status ref_rmsnorm(ag_device *d, const ag_rmsnorm_args *x, ag_error *err)
{
    (void)d, (void)err;
    const ag_real *in = x->x, *weight = x->weight;
    for (int64_t i = 0; i < x->rows; i++) {
        for (int64_t h = 0; h < x->heads; h++) {
            const ag_real *row = in + i * x->x_ld + h * x->width;
            double squares = 0;
            for (int64_t j = 0; j < x->width; j++) squares += (double)row[j] * row[j];
            ag_real rstd = (ag_real)(1.0 / sqrt(squares / x->width + x->eps));
            if (x->rstd) ((ag_real *)x->rstd)[i * x->heads + h] = rstd;
            for (int64_t j = 0; j < x->width; j++)
                store(x->out, x->out_type, i * x->out_ld + h * x->width + j, row[j] * rstd * weight[j]);
        }
    }
    return AG_OK;
}

/* y = x r w with r = (mean x^2 + eps)^(-1/2):  dx = r (w dy - x r^2 mean(w dy x)),  dw = sum dy x r. */
static ag_status ref_rmsnorm_grad(ag_device *d, const ag_rmsnorm_grad_args *x, ag_error *err)
{
    (void)d, (void)err;
    const ag_real *weight = x->weight;
    for (int64_t i = 0; i < x->rows; i++) {
        for (int64_t h = 0; h < x->heads; h++) {
            const ag_real *row = (const ag_real *)x->x + i * x->x_ld + h * x->width;
            int64_t dy_at = i * x->dy_ld + h * x->width, dx_at = i * x->dx_ld + h * x->width;
            ag_real r = ((const ag_real *)x->rstd)[i * x->heads + h];
            double dot = 0;
            for (int64_t j = 0; j < x->width; j++)
                dot += (double)load(x->dy, x->dy_type, dy_at + j) * weight[j] * row[j];
            ag_real mean = (ag_real)(dot / x->width);
            for (int64_t j = 0; j < x->width; j++) {
                ag_real dyj = load(x->dy, x->dy_type, dy_at + j);
                if (x->dweight) ((ag_real *)x->dweight)[j] += dyj * row[j] * r;
                ag_real g = r * (weight[j] * dyj - row[j] * r * r * mean);
                if (x->accumulate) g += load(x->dx, x->dx_type, dx_at + j);
                store(x->dx, x->dx_type, dx_at + j, g);
                if (x->narrow) store(x->narrow, AG_BF16, (i * x->heads + h) * x->width + j, g);
            }
        }
    }
    return AG_OK;
}

static ag_status ref_rope(ag_device *d, const ag_rope_args *x, ag_error *err)
{
    (void)d, (void)err;
    int64_t half = x->head_dim / 2, width = x->stored * x->head_dim;
    for (int64_t i = 0; i < x->rows; i++) {
        const ag_real *cosine = (const ag_real *)x->table + x->positions[i] * x->head_dim,
                      *sine = cosine + half;
        for (int64_t j = 0; x->store && j < width; j++)
            store(x->store, x->type, x->slots[i] * width + j,
                  load(x->x, x->type, i * x->ld + x->first_stored * x->head_dim + j));
        for (int64_t h = 0; h < x->heads; h++) {
            bool stored = x->store && h >= x->first_stored;
            void *to = stored ? x->store : x->x;
            int64_t at = stored ? x->slots[i] * width + (h - x->first_stored) * x->head_dim
                                : i * x->ld + h * x->head_dim;
            for (int64_t low = at; low < at + half; low++) {
                ag_real a = load(to, x->type, low), b = load(to, x->type, low + half), c = cosine[low - at],
                        s = x->inverse ? -sine[low - at] : sine[low - at];
                store(to, x->type, low, a * c - b * s);
                store(to, x->type, low + half, b * c + a * s);
            }
        }
    }
    return AG_OK;
}

/* Calls visit(key) for every key that row q attends, block by block. */
#define FOR_EACH_KEY(plan, q, key)                                                                           \
    for (int32_t b_ = 0; b_ < (plan)->block_count; b_++)                                                     \
        if ((q) >= (plan)->blocks[b_].q0 && (q) < (plan)->blocks[b_].q1)                                     \
            for (int64_t key = (plan)->blocks[b_].k0, end_ = key_end(&(plan)->blocks[b_], q); key < end_;    \
                 key++)

static int64_t key_end(const ag_attention_block *block, int64_t q)
{
    int64_t end = (int64_t)block->k0 + block->diagonal + (q - block->q0) + 1;
    return end < block->k1 ? end : block->k1;
}

static double dot(const double *a, const double *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* Attention reads a matrix [rows, width] often, and sums its gradient over many terms: both as doubles without gaps. NULL: no memory. */
static double *widen(const void *p, ag_dtype type, int64_t rows, int64_t width, int64_t ld)
{
    double *wide = ag_calloc((size_t)(rows * width), sizeof *wide);
    for (int64_t i = 0; wide && i < rows; i++)
        for (int64_t j = 0; j < width; j++) wide[i * width + j] = (double)load(p, type, i * ld + j);
    return wide;
}

static void narrow(void *p, ag_dtype type, int64_t rows, int64_t width, int64_t ld, const double *wide)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < width; j++) store(p, type, i * ld + j, (ag_real)wide[i * width + j]);
}

static void attend(const ag_attention_args *x, const double *q, const double *k, const double *v, double *sum)
{
    int dim = x->head_dim, group = x->heads / x->kv_heads;
    int64_t width = (int64_t)x->heads * dim, kv_width = (int64_t)x->kv_heads * dim;
    for (int64_t row = 0; row < x->plan->rows; row++) {
        for (int h = 0; h < x->heads; h++) {
            const double *query = q + row * width + h * dim;
            int64_t at = h / group * dim;
            double max = -INFINITY, total = 0;
            FOR_EACH_KEY(x->plan, row, key)
            max = fmax(max, x->scale * dot(query, k + key * kv_width + at, dim));
            for (int j = 0; j < dim; j++) sum[j] = 0;
            FOR_EACH_KEY(x->plan, row, key)
            {
                double p = exp(x->scale * dot(query, k + key * kv_width + at, dim) - max);
                total += p;
                for (int j = 0; j < dim; j++) sum[j] += p * v[key * kv_width + at + j];
            }
            for (int j = 0; j < dim; j++)
                store(x->out, x->out_type, row * x->out_ld + h * dim + j,
                      (ag_real)(total > 0 ? sum[j] / total : 0));
            if (x->lse)
                ((ag_real *)x->lse)[h * (int64_t)x->plan->rows + row] = (ag_real)(total > 0 ? max + log(total)
                                                                                            : 0);
        }
    }
}

static ag_status ref_attention(ag_device *d, const ag_attention_args *x, ag_error *err)
{
    (void)d;
    int64_t width = (int64_t)x->heads * x->head_dim, kv_width = (int64_t)x->kv_heads * x->head_dim;
    double *q = widen(x->q, x->in_type, x->plan->rows, width, x->q_ld),
           *k = widen(x->k, x->in_type, x->plan->keys, kv_width, x->kv_ld),
           *v = widen(x->v, x->in_type, x->plan->keys, kv_width, x->kv_ld),
           *sum = ag_calloc((size_t)x->head_dim, sizeof *sum);
    bool held = q && k && v && sum;
    if (held) attend(x, q, k, v, sum);
    ag_free(q);
    ag_free(k);
    ag_free(v);
    ag_free(sum);
    return held ? AG_OK : ag_fail_memory(err, "attention");
}

typedef struct gradients {
    double *q, *k, *v, *dout, *dq, *dk, *dv;
} gradients;

/* p = softmax(s), s = scale q.k:  dv += p do,  dp = do.v,  ds = p (dp - do.o),  dq += scale ds k,  dk += scale ds q. */
static void attend_backward(const ag_attention_grad_args *x, const gradients *g)
{
    int dim = x->head_dim, group = x->heads / x->kv_heads;
    int64_t width = (int64_t)x->heads * dim, kv_width = (int64_t)x->kv_heads * dim;
    for (int64_t row = 0; row < x->plan->rows; row++) {
        for (int h = 0; h < x->heads; h++) {
            int64_t at = row * width + h * dim;
            const double *query = g->q + at, *dout = g->dout + at;
            double lse = (double)((const ag_real *)x->lse)[h * (int64_t)x->plan->rows + row], delta = 0;
            for (int j = 0; j < dim; j++)
                delta += dout[j] * (double)load(x->out, x->out_type, row * x->out_ld + h * dim + j);
            FOR_EACH_KEY(x->plan, row, key)
            {
                int64_t kv = key * kv_width + h / group * dim;
                double p = exp(x->scale * dot(query, g->k + kv, dim) - lse),
                       ds = p * (dot(dout, g->v + kv, dim) - delta) * x->scale;
                for (int j = 0; j < dim; j++) {
                    g->dv[kv + j] += p * dout[j];
                    g->dq[at + j] += ds * g->k[kv + j];
                    g->dk[kv + j] += ds * query[j];
                }
            }
        }
    }
}

static ag_status ref_attention_grad(ag_device *d, const ag_attention_grad_args *x, ag_error *err)
{
    (void)d;
    int64_t rows = x->plan->rows, keys = x->plan->keys, width = (int64_t)x->heads * x->head_dim,
            kv_width = (int64_t)x->kv_heads * x->head_dim;
    gradients g = {widen(x->q, x->in_type, rows, width, x->q_ld),
                   widen(x->k, x->in_type, keys, kv_width, x->kv_ld),
                   widen(x->v, x->in_type, keys, kv_width, x->kv_ld),
                   widen(x->dout, x->in_type, rows, width, x->dout_ld),
                   ag_calloc((size_t)(rows * width), sizeof(double)),
                   ag_calloc((size_t)(keys * kv_width), sizeof(double)),
                   ag_calloc((size_t)(keys * kv_width), sizeof(double))};
    double *all[] = {g.q, g.k, g.v, g.dout, g.dq, g.dk, g.dv};
    bool held = true;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) held = held && all[i];
    if (held) {
        attend_backward(x, &g);
        narrow(x->dq, x->in_type, rows, width, x->q_ld, g.dq);
        narrow(x->dk, x->in_type, keys, kv_width, x->kv_ld, g.dk);
        narrow(x->dv, x->in_type, keys, kv_width, x->kv_ld, g.dv);
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) ag_free(all[i]);
    return held ? AG_OK : ag_fail_memory(err, "attention");
}

static ag_status ref_swiglu(ag_device *d, const ag_swiglu_args *x, ag_error *err)
{
    (void)d, (void)err;
    for (int64_t i = 0; i < x->rows; i++) {
        for (int64_t j = 0; j < x->width; j++) {
            double gate = load(x->gate_up, x->in_type, i * 2 * x->width + j),
                   up = load(x->gate_up, x->in_type, (i * 2 + 1) * x->width + j);
            store(x->out, x->out_type, i * x->width + j, (ag_real)(gate / (1 + exp(-gate)) * up));
        }
    }
    return AG_OK;
}

static ag_status ref_swiglu_grad(ag_device *d, const ag_swiglu_grad_args *x, ag_error *err)
{
    (void)d, (void)err;
    for (int64_t i = 0; i < x->rows; i++) {
        for (int64_t j = 0; j < x->width; j++) {
            int64_t at = i * 2 * x->width + j;
            double gate = load(x->gate_up, x->in_type, at), up = load(x->gate_up, x->in_type, at + x->width),
                   s = 1 / (1 + exp(-gate)), dy = load(x->dout, x->in_type, i * x->width + j);
            store(x->dgate_up, x->type, at, (ag_real)(dy * up * s * (1 + gate * (1 - s))));
            store(x->dgate_up, x->type, at + x->width, (ag_real)(dy * gate * s));
        }
    }
    return AG_OK;
}

static ag_status ref_bias(ag_device *d, const ag_bias_args *x, ag_error *err)
{
    (void)d, (void)err;
    for (int64_t i = 0; i < x->rows; i++)
        for (int64_t j = 0; j < x->width; j++)
            store(x->x, x->type, i * x->ld + j,
                  load(x->x, x->type, i * x->ld + j) + ((const ag_real *)x->bias)[j]);
    return AG_OK;
}

static ag_status ref_bias_grad(ag_device *d, const ag_bias_grad_args *x, ag_error *err)
{
    (void)d, (void)err;
    for (int64_t j = 0; j < x->width; j++) {
        double sum = 0;
        for (int64_t i = 0; i < x->rows; i++) sum += load(x->dx, x->type, i * x->ld + j);
        ((ag_real *)x->dbias)[j] += (ag_real)sum;
    }
    return AG_OK;
}

/* Logits of one row, after temperature; tokens outside the mask are -infinity. */
static void row_logits(const ag_head_args *x, int64_t row, double *logits)
{
    const uint32_t *mask = NULL;
    if (x->mask_of && x->mask_of[row] >= 0)
        mask = x->masks + (int64_t)x->mask_of[row] * ((x->vocab + 31) / 32);
    for (int64_t j = 0; j < x->vocab; j++) {
        if (mask && !(mask[j / 32] >> (j % 32) & 1)) {
            logits[j] = -INFINITY;
            continue;
        }
        double sum = 0;
        for (int64_t k = 0; k < x->width; k++)
            sum += (double)load(x->h, x->type, row * x->width + k) *
                   (double)load(x->w, x->type, j * x->width + k);
        logits[j] = sum / x->temperature;
    }
}

static double log_sum_exp(const double *logits, int64_t n)
{
    double max = -INFINITY, sum = 0;
    for (int64_t j = 0; j < n; j++) max = fmax(max, logits[j]);
    for (int64_t j = 0; j < n; j++) sum += exp(logits[j] - max);
    return max + log(sum);
}

static ag_status ref_head_logprob(ag_device *d, const ag_head_logprob_args *x, ag_error *err)
{
    (void)d;
    const ag_head_args *head = &x->head;
    double *logits = ag_calloc((size_t)head->vocab, sizeof *logits);
    if (!logits) return ag_fail_memory(err, "logits");
    for (int64_t i = 0; i < head->rows; i++) {
        row_logits(head, i, logits);
        double lse = log_sum_exp(logits, head->vocab), entropy = 0;
        ((ag_real *)x->lse)[i] = (ag_real)lse;
        for (int32_t t = head->first[i]; t < head->first[i + 1]; t++)
            ((ag_real *)x->logprob)[t] = (ag_real)(logits[head->target[t]] - lse);
        for (int64_t j = 0; j < head->vocab; j++)
            if (isfinite(logits[j])) entropy -= exp(logits[j] - lse) * (logits[j] - lse);
        if (x->entropy) ((ag_real *)x->entropy)[i] = (ag_real)entropy;
        if (x->probability) ((ag_real *)x->reference)[i] = (ag_real)lse;
        for (int64_t j = 0; j < head->vocab && x->probability; j++)
            store(x->probability, head->type, i * head->vocab + j, (ag_real)exp(logits[j] - lse));
    }
    ag_free(logits);
    return AG_OK;
}

/* Of each token of a row: from its logits, or those that were kept, the targets' as they were before rounding. */
static void row_probabilities(const ag_head_grad_args *x, int64_t row, double *p)
{
    const ag_head_args *head = &x->head;
    if (!x->probability) row_logits(head, row, p);
    for (int64_t j = 0; j < head->vocab; j++)
        p[j] = x->probability ? (double)load(x->probability, head->type, row * head->vocab + j)
                              : exp(p[j] - ((const ag_real *)x->lse)[row]);
    if (x->probability)
        for (int32_t t = head->first[row]; t < head->first[row + 1]; t++)
            p[head->target[t]] = exp(((const ag_real *)x->logprob)[t]);
}

static ag_status ref_head_grad(ag_device *d, const ag_head_grad_args *x, ag_error *err)
{
    (void)d;
    const ag_head_args *head = &x->head;
    double *p = ag_calloc((size_t)head->vocab, sizeof *p);
    if (!p) return ag_fail_memory(err, "logits");
    const ag_real *coefficient = x->dlogprob;
    memset(x->dh, 0, (size_t)(head->rows * head->width) * sizeof(ag_real));
    for (int64_t i = 0; i < head->rows; i++) {
        row_probabilities(x, i, p);
        double total = 0;
        for (int32_t t = head->first[i]; t < head->first[i + 1]; t++) total += coefficient[t];
        for (int64_t j = 0; j < head->vocab; j++) {
            double g = -total * p[j];
            for (int32_t t = head->first[i]; t < head->first[i + 1]; t++)
                if (head->target[t] == j) g += coefficient[t];
            g /= head->temperature;
            if (g == 0) continue;
            for (int64_t k = 0; k < head->width; k++) {
                ((ag_real *)x->dh)[i * head->width + k] += (ag_real)(g * load(head->w, head->type,
                                                                              j * head->width + k));
                if (x->dw)
                    ((ag_real *)x->dw)[j * head->width + k] += (ag_real)(g * load(head->h, head->type,
                                                                                  i * head->width + k));
            }
        }
    }
    ag_free(p);
    return AG_OK;
}

static ag_status ref_sample(ag_device *d, const ag_sample_args *x, ag_error *err)
{
    (void)d;
    ag_head_args head = x->head;
    bool greedy = head.temperature == 0;
    if (greedy) head.temperature = 1;
    double *logits = ag_calloc((size_t)head.vocab, sizeof *logits);
    void *scratch = ag_calloc((size_t)head.vocab, AG_SAMPLE_SCRATCH);
    if (logits && scratch) {
        for (int64_t i = 0; i < head.rows; i++) {
            row_logits(&head, i, logits);
            double logprob;
            x->id[i] = ag_sample_logits(logits, head.vocab, log_sum_exp(logits, head.vocab), greedy,
                                        x->uniform[i], x->top_k, x->top_p, x->min_p, scratch, &logprob);
            ((ag_real *)x->logprob)[i] = (ag_real)logprob;
        }
    }
    ag_status status = logits && scratch ? AG_OK : ag_fail_memory(err, "logits");
    ag_free(logits);
    ag_free(scratch);
    return status;
}

static ag_status ref_adamw(ag_device *d, const ag_adamw_args *x, ag_error *err)
{
    (void)d, (void)err;
    double correct1 = 1 - pow(x->beta1, (double)x->step), correct2 = 1 - pow(x->beta2, (double)x->step);
    ag_real *w = x->w, *m = x->m, *v = x->v;
    for (int64_t i = 0; i < x->n; i++) {
        double g = ((const ag_real *)x->g)[i] * x->grad_scale;
        m[i] = (ag_real)(x->beta1 * m[i] + (1 - x->beta1) * g);
        v[i] = (ag_real)(x->beta2 * v[i] + (1 - x->beta2) * g * g);
        double update = (m[i] / correct1) / (sqrt(v[i] / correct2) + x->eps) + x->decay * w[i];
        w[i] = (ag_real)(w[i] - x->lr * update);
        if (x->copy) store(x->copy, x->copy_type, i, w[i]);
    }
    return AG_OK;
}

static ag_status ref_sum_squares(ag_device *d, const ag_sum_squares_args *x, ag_error *err)
{
    (void)d, (void)err;
    double sum = 0;
    for (int64_t i = 0; i < x->n; i++) sum += (double)((const ag_real *)x->x)[i] * ((const ag_real *)x->x)[i];
    *x->result = sum;
    return AG_OK;
}

static ag_status ref_cast(ag_device *d, const ag_cast_args *x, ag_error *err)
{
    (void)d, (void)err;
    for (int64_t i = 0; i < x->n; i++) store(x->dst, x->dst_type, i, load(x->src, x->src_type, i));
    return AG_OK;
}

static ag_status ref_rows(ag_device *d, const ag_rows_args *x, ag_error *err)
{
    (void)d, (void)err;
    for (int64_t i = 0; i < x->rows; i++) {
        int64_t from = (x->kind == AG_ROWS_GATHER ? x->index[i] : i) * x->src_ld;
        int64_t to = (x->kind == AG_ROWS_GATHER ? i : x->index[i]) * x->dst_ld;
        for (int64_t j = 0; j < x->width; j++)
            store(x->dst, x->dst_type, to + j, load(x->src, x->src_type, from + j));
    }
    return AG_OK;
}

static ag_status ref_axpy(ag_device *d, const ag_axpy_args *x, ag_error *err)
{
    (void)d, (void)err;
    for (int64_t i = 0; i < x->n; i++)
        ((ag_real *)x->y)[i] += (ag_real)(x->alpha * ((const ag_real *)x->x)[i]);
    return AG_OK;
}

static ag_status ref_alloc(ag_device *d, void **memory, size_t bytes, const char *what, ag_error *err)
{
    (void)d;
    *memory = ag_calloc(bytes, 1);
    return *memory ? AG_OK : ag_fail(err, AG_ERR_MEMORY, "out of memory: %zu bytes for %s", bytes, what);
}

static void ref_release(ag_device *d, void *memory)
{
    (void)d;
    ag_free(memory);
}

static ag_status ref_move(ag_device *d, void *dst, const void *src, size_t bytes, ag_error *err)
{
    (void)d, (void)err;
    if (bytes) memmove(dst, src, bytes);
    return AG_OK;
}

static ag_status ref_zero(ag_device *d, void *dst, size_t bytes, ag_error *err)
{
    (void)d, (void)err;
    memset(dst, 0, bytes);
    return AG_OK;
}

static ag_status ref_sync(ag_device *d, ag_error *err)
{
    (void)d, (void)err;
    return AG_OK;
}

static void ref_close(ag_device *d)
{
    ag_free(d);
}

ag_status REF_OPEN(ag_device **device, ag_error *err)
{
    ag_device *d = *device = ag_calloc(1, sizeof *d);
    if (!d) return ag_fail_memory(err, "device");
    *d = (ag_device){.name = REF_NAME,
                     .real = REAL_TYPE,
                     .alloc = ref_alloc,
                     .release = ref_release,
                     .upload = ref_move,
                     .download = ref_move,
                     .copy = ref_move,
                     .zero = ref_zero,
                     .sync = ref_sync,
                     .close = ref_close,
#define AG_FILL(op) .op = ref_##op,
                     AG_DEVICE_OPS(AG_FILL)
#undef AG_FILL
    };
    return AG_OK;
}
