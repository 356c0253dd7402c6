/* head.c: the vocabulary head of the cpu backend: log-probabilities, their gradient and sampling, a chunk of rows at a time,
 * so that [rows, vocabulary] exists only where the caller keeps probabilities.
 */
#include "device/cpu/cpu.h"

#include <math.h>
#include <string.h>
#include "base/mem.h"
#include "device/sampling.h"

enum { HEAD_ROWS = 64, DRAW_BLOCK = 512 };

/* logits [n, vocab] = h W^T for rows [row, row + n), before temperature; masked tokens -infinity. */
static ag_status chunk_logits(ag_device *d, const ag_head_args *x, int64_t row, int64_t n, float *logits,
                              ag_error *err)
{
    ag_cpu *cpu = ag_cpu_of(d);
    ag_matmul_args product = {.c = logits,
                              .a = (const char *)x->h + row * x->width * (int64_t)ag_dtype_size(x->type),
                              .b = x->w,
                              .type = x->type,
                              .m = n,
                              .n = x->vocab,
                              .k = x->width,
                              .lda = x->width,
                              .ldb = x->width,
                              .ldc = x->vocab,
                              .transpose_b = true,
                              .alpha = 1};
    ag_status status = ag_cpu_matmul(d, &product, err);
    if (status != AG_OK || !x->mask_of) return status;
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
    for (int64_t i = 0; i < n; i++) {
        if (x->mask_of[row + i] < 0) continue;
        const uint32_t *mask = x->masks + (int64_t)x->mask_of[row + i] * ((x->vocab + 31) / 32);
        for (int64_t j = 0; j < x->vocab; j++)
            if (!(mask[j / 32] >> (j % 32) & 1)) logits[i * x->vocab + j] = -INFINITY;
    }
    return AG_OK;
}

static float row_lse(const ag_cpu_kernels *k, const float *logits, int64_t n, float scale, float *entropy)
{
    float max = k->max(logits, n) * scale;
    double sum, weighted = 0;
    k->exp_moments(logits, n, scale, max, &sum, entropy ? &weighted : NULL);
    if (entropy) *entropy = (float)(log(sum) - weighted / sum);
    return max + (float)log(sum);
}

/* The probabilities of row i, whose reference is lse itself; its logits are lost. */
static void keep_row(const ag_cpu_kernels *k, const ag_head_logprob_args *x, int64_t i, float *logit,
                     float lse)
{
    int64_t vocab = x->head.vocab;
    bool narrow = x->head.type == AG_BF16;
    ((float *)x->reference)[i] = lse;
    k->exp_sum(narrow ? logit : (float *)x->probability + i * vocab, logit, vocab,
               (float)(1 / x->head.temperature), lse);
    if (narrow) k->to_bf16((uint16_t *)x->probability + i * vocab, logit, vocab);
}

ag_status ag_cpu_head_logprob(ag_device *d, const ag_head_logprob_args *x, ag_error *err)
{
    ag_cpu *cpu = ag_cpu_of(d);
    const ag_head_args *head = &x->head;
    float *logits, scale = (float)(1 / head->temperature);
    ag_status status = ag_cpu_scratch(d, 2, (size_t)(HEAD_ROWS * head->vocab), &logits, err);
    for (int64_t row = 0; row < head->rows && status == AG_OK; row += HEAD_ROWS) {
        int64_t n = head->rows - row < HEAD_ROWS ? head->rows - row : HEAD_ROWS;
        if ((status = chunk_logits(d, head, row, n, logits, err)) != AG_OK) break;
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
        for (int64_t i = row; i < row + n; i++) {
            float *logit = logits + (i - row) * head->vocab;
            float lse = row_lse(cpu->k, logit, head->vocab, scale,
                                x->entropy ? (float *)x->entropy + i : NULL);
            ((float *)x->lse)[i] = lse;
            for (int32_t t = head->first[i]; t < head->first[i + 1]; t++)
                ((float *)x->logprob)[t] = logit[head->target[t]] * scale - lse;
            if (x->probability) keep_row(cpu->k, x, i, logit, lse);
        }
    }
    return status;
}

/* A row of probabilities becomes dlogits. */
static void row_dlogits(const ag_cpu_kernels *k, const ag_head_grad_args *x, int64_t i, float *p)
{
    const ag_head_args *head = &x->head;
    int32_t begin = head->first[i], end = head->first[i + 1];
    const float *coefficient = x->dlogprob;
    float total = 0, scale = (float)(1 / head->temperature);
    for (int32_t t = begin; t < end; t++) total += coefficient[t];
    if (x->probability) /* what was kept has been rounded */
        for (int32_t t = begin; t < end; t++) p[head->target[t]] = expf(((const float *)x->logprob)[t]);
    k->scale(p, head->vocab, -total * scale);
    for (int32_t t = begin; t < end; t++) p[head->target[t]] += coefficient[t] * scale;
}

/* dlogits of rows [at, at + n), of the products' type, into `to`: out of the probabilities that it holds, or of logits in `wide`, which `to`
 * may be. */
static void make_dlogits(const ag_cpu *cpu, const ag_head_grad_args *x, int64_t at, int64_t n, float *wide,
                         void *to)
{
    const ag_head_args *head = &x->head;
    int64_t vocab = head->vocab;
    bool narrow = head->type == AG_BF16, kept = x->probability != NULL;
    int threads = cpu->threads < HEAD_ROWS ? cpu->threads : HEAD_ROWS; /* each may have a row of `wide` */
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < n; i++) {
        float *row = wide + (kept ? ag_cpu_thread() : i) * vocab;
        uint16_t *rounded = (uint16_t *)to + i * vocab;
        if (!narrow) row = (float *)to + i * vocab;
        if (kept && narrow) cpu->k->from_bf16(row, rounded, vocab);
        if (!kept)
            cpu->k->exp_sum(row, row, vocab, (float)(1 / head->temperature), ((const float *)x->lse)[at + i]);
        row_dlogits(cpu->k, x, at + i, row);
        if (narrow) cpu->k->to_bf16(rounded, row, vocab);
    }
}

/* dh = dlogits W, dW += dlogits' h, of rows [at, at + n). */
static ag_status grad_products(ag_device *d, const ag_head_grad_args *x, const void *dlogits, int64_t at,
                               int64_t n, ag_error *err)
{
    const ag_head_args *head = &x->head;
    int64_t vocab = head->vocab, width = head->width;
    ag_matmul_args product = {.c = (float *)x->dh + at * width,
                              .a = dlogits,
                              .b = head->w,
                              .type = head->type,
                              .m = n,
                              .n = width,
                              .k = vocab,
                              .lda = vocab,
                              .ldb = width,
                              .ldc = width,
                              .alpha = 1};
    AG_TRY(ag_cpu_matmul(d, &product, err));
    if (!x->dw) return AG_OK;
    product.c = x->dw;
    product.b = (const char *)head->h + at * width * (int64_t)ag_dtype_size(head->type);
    product.m = vocab, product.k = n;
    product.transpose_a = true, product.plus = x->dw;
    return ag_cpu_matmul(d, &product, err);
}

ag_status ag_cpu_head_grad(ag_device *d, const ag_head_grad_args *x, ag_error *err)
{
    const ag_cpu *cpu = ag_cpu_of(d);
    const ag_head_args *head = &x->head;
    bool narrow = head->type == AG_BF16, kept = x->probability != NULL;
    /* products widen what they cannot read: a chunk at a time */
    int64_t step = kept && (!narrow || d->fast_bf16) ? head->rows : HEAD_ROWS;
    float *wide;
    AG_TRY(ag_cpu_scratch(d, 2, (size_t)((HEAD_ROWS + HEAD_ROWS / 2) * head->vocab), &wide, err));
    for (int64_t at = 0; at < head->rows; at += step) {
        int64_t n = head->rows - at < step ? head->rows - at : step;
        void *to = kept ? (char *)x->probability + at * head->vocab * (int64_t)ag_dtype_size(head->type)
                        : (char *)(narrow ? wide + HEAD_ROWS * head->vocab : wide);
        if (!kept) AG_TRY(chunk_logits(d, head, at, n, wide, err));
        make_dlogits(cpu, x, at, n, wide, to);
        AG_TRY(grad_products(d, x, to, at, n, err));
    }
    return AG_OK;
}

/* What ag_sample_logits draws without truncation: the sums of blocks find the block, its probabilities the token. p: n floats;
 * sums: one for each DRAW_BLOCK of them.
 */
static int32_t draw_untruncated(const ag_cpu_kernels *k, const float *logits, int64_t n, float scale,
                                float lse, double u, float *p, double *sums)
{
    int64_t blocks = (n + DRAW_BLOCK - 1) / DRAW_BLOCK, b = 0, last = 0;
    double total = 0, rest;
    for (int64_t i = 0; i < blocks; i++) {
        int64_t at = i * DRAW_BLOCK, len = n - at < DRAW_BLOCK ? n - at : DRAW_BLOCK;
        sums[i] = (double)k->exp_sum(p + at, logits + at, len, scale, lse);
        total += sums[i];
        if (sums[i] > 0) last = i;
    }
    for (rest = u * total; b < last && sums[b] <= rest; b++) rest -= sums[b];
    int64_t j = b * DRAW_BLOCK, end = n - j < DRAW_BLOCK ? n : j + DRAW_BLOCK, chosen = j;
    for (; j < end && rest >= 0; j++) { /* where rounding leaves the block's sum below rest: its last token */
        if (p[j] <= 0) continue;
        chosen = j;
        rest -= (double)p[j];
    }
    return (int32_t)chosen;
}

ag_status ag_cpu_sample(ag_device *d, const ag_sample_args *x, ag_error *err)
{
    ag_cpu *cpu = ag_cpu_of(d);
    ag_head_args head = x->head;
    bool greedy = head.temperature == 0, whole = !greedy && !x->top_k && x->top_p >= 1 && x->min_p <= 0;
    if (greedy) head.temperature = 1;
    float *logits, scale = (float)(1 / head.temperature);
    size_t row_bytes = (size_t)head.vocab * (sizeof(double) + AG_SAMPLE_SCRATCH);
    char *rows = ag_calloc((size_t)cpu->threads, row_bytes);
    if (!rows) return ag_fail_memory(err, "sampling rows");
    ag_status status = ag_cpu_scratch(d, 2, (size_t)(HEAD_ROWS * head.vocab), &logits, err);
    for (int64_t row = 0; row < head.rows && status == AG_OK; row += HEAD_ROWS) {
        int64_t n = head.rows - row < HEAD_ROWS ? head.rows - row : HEAD_ROWS;
        if ((status = chunk_logits(d, &head, row, n, logits, err)) != AG_OK) break;
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
        for (int64_t i = row; i < row + n; i++) {
            const float *logit = logits + (i - row) * head.vocab;
            double *wide = (double *)(rows + row_bytes * (size_t)ag_cpu_thread()), logprob;
            float lse = row_lse(cpu->k, logit, head.vocab, scale, NULL);
            if (whole) {
                x->id[i] = draw_untruncated(cpu->k, logit, head.vocab, scale, lse, x->uniform[i],
                                            (float *)(wide + head.vocab), wide);
                ((float *)x->logprob)[i] = logit[x->id[i]] * scale - lse;
                continue;
            }
            for (int64_t j = 0; j < head.vocab; j++) wide[j] = (double)logit[j] * scale;
            x->id[i] = ag_sample_logits(wide, head.vocab, lse, greedy, x->uniform[i], x->top_k, x->top_p,
                                        x->min_p, wide + head.vocab, &logprob);
            ((float *)x->logprob)[i] = (float)logprob;
        }
    }
    ag_free(rows);
    return status;
}
