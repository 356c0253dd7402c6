/* head.c: the vocabulary head of the cpu backend: log-probabilities, their gradient and sampling, a chunk of rows at a time,
 * so that [rows, vocabulary] never exists.
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
            const float *logit = logits + (i - row) * head->vocab;
            float lse = row_lse(cpu->k, logit, head->vocab, scale,
                                x->entropy ? (float *)x->entropy + i : NULL);
            ((float *)x->lse)[i] = lse;
            for (int32_t t = head->first[i]; t < head->first[i + 1]; t++)
                ((float *)x->logprob)[t] = logit[head->target[t]] * scale - lse;
        }
    }
    return status;
}

ag_status ag_cpu_head_grad(ag_device *d, const ag_head_grad_args *x, ag_error *err)
{
    ag_cpu *cpu = ag_cpu_of(d);
    const ag_head_args *head = &x->head;
    int64_t vocab = head->vocab, width = head->width;
    float *logits, scale = (float)(1 / head->temperature);
    const float *coefficient = x->dlogprob;
    ag_status status = ag_cpu_scratch(d, 2, (size_t)(HEAD_ROWS * (vocab + vocab / 2 + 1 + width)), &logits,
                                      err);
    uint16_t *narrow = (uint16_t *)(logits + HEAD_ROWS * vocab); /* dlogits in the type of the products */
    for (int64_t row = 0; row < head->rows && status == AG_OK; row += HEAD_ROWS) {
        int64_t n = head->rows - row < HEAD_ROWS ? head->rows - row : HEAD_ROWS;
        if ((status = chunk_logits(d, head, row, n, logits, err)) != AG_OK) break;
#pragma omp parallel for schedule(static) num_threads(cpu->threads)
        for (int64_t i = row; i < row + n; i++) {
            float *logit = logits + (i - row) * vocab, total = 0;
            for (int32_t t = head->first[i]; t < head->first[i + 1]; t++) total += coefficient[t];
            cpu->k->exp_sum(logit, logit, vocab, scale, ((const float *)x->lse)[i]);
            cpu->k->scale(logit, vocab, -total * scale);
            for (int32_t t = head->first[i]; t < head->first[i + 1]; t++)
                logit[head->target[t]] += coefficient[t] * scale;
            if (head->type == AG_BF16) cpu->k->to_bf16(narrow + (i - row) * vocab, logit, vocab);
        }
        const void *dlogits = head->type == AG_BF16 ? (const void *)narrow : logits;
        ag_matmul_args down = {.c = (float *)x->dh + row * width,
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
        status = ag_cpu_matmul(d, &down, err);
        if (status != AG_OK || !x->dw) continue;
        ag_matmul_args weight = {.c = x->dw,
                                 .a = dlogits,
                                 .b = (const char *)head->h +
                                      row * width * (int64_t)ag_dtype_size(head->type),
                                 .type = head->type,
                                 .m = vocab,
                                 .n = width,
                                 .k = n,
                                 .lda = vocab,
                                 .ldb = width,
                                 .ldc = width,
                                 .transpose_a = true,
                                 .plus = x->dw,
                                 .alpha = 1};
        status = ag_cpu_matmul(d, &weight, err);
    }
    return status;
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
