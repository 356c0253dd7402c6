/* head.cu: the vocabulary head of the cuda backend: log-probabilities, their gradient and sampling, a chunk of rows at a
 * time, so that [rows, vocabulary] exists only where the caller keeps probabilities. A block takes a row. Where head_bf16.cu can, logits are
 * written to memory for sampling alone.
 */
#include "device/cuda/fours.cuh"
#include "device/cuda/head.cuh"

#ifndef AG_CUDA_CHUNK_ROWS /* tests make it small */
#define AG_CUDA_CHUNK_ROWS 1024
#endif

enum {
    THREADS = AG_CUDA_THREADS,
    WARPS = AG_CUDA_WARPS,
    BATCH = 4 /* pieces of a row that a thread has on their way */
};

static int64_t chunk_rows(const ag_head_args *x)
{
    return x->rows < AG_CUDA_CHUNK_ROWS ? x->rows : AG_CUDA_CHUNK_ROWS;
}

/* Of what was kept, the gradient wants a number a row, and behind them rows of h. */
static size_t factors_of(int64_t rows)
{
    return (size_t)(rows + 63) / 64 * 64;
}

size_t ag_cuda_head_bytes(int64_t rows, int64_t width, int64_t vocab)
{
    const ag_head_args x = {.rows = rows, .vocab = vocab};
    size_t chunk = (size_t)(chunk_rows(&x) * vocab), logits = chunk * sizeof(float),
           tiles = ag_cuda_head_tiles_bytes(rows, vocab);
    return (logits > tiles ? logits : tiles) + chunk * sizeof(__nv_bfloat16) +
           (factors_of(rows) + (size_t)(rows * width)) * sizeof(float);
}

/* logits [n, vocab] = h W^T / temperature for rows [row, row + n), before masks. */
static ag_status chunk_logits(ag_device *d, const ag_head_args *x, int64_t row, int64_t n, float *logits,
                              ag_error *err)
{
    ag_matmul_args product = {};
    product.c = logits;
    product.a = (const char *)x->h + row * x->width * ag_cuda_size(x->type);
    product.b = x->w;
    product.type = x->type;
    product.m = n, product.n = x->vocab, product.k = x->width;
    product.lda = product.ldb = x->width;
    product.ldc = x->vocab;
    product.transpose_b = true;
    product.alpha = 1 / x->temperature;
    return ag_cuda_matmul(d, &product, err);
}

/* One row of a chunk: its logits and the mask that applies, NULL for none. */
typedef struct row {
    float *logits;
    const uint32_t *mask;
    int64_t vocab;
} row;

static __device__ row row_of(const ag_head_args &x, float *logits, int64_t first)
{
    return {logits + blockIdx.x * x.vocab, ag_head_mask(x, first + blockIdx.x), x.vocab};
}

static __device__ inline float logit(const row &r, int64_t j)
{
    return ag_head_allows(r.mask, j) ? r.logits[j] : -INFINITY;
}

/* This thread's next BATCH pieces of V logits from j on, `step` apart; -INFINITY where masked and from `end` on. */
template <int V>
static __device__ inline void take_batch(ag_some<V> (&piece)[BATCH], const row &r, int64_t j, int64_t step,
                                         int64_t end)
{
#pragma unroll
    for (int u = 0; u < BATCH; u++, j += step) {
        bool is = j < end;
        uint32_t allowed = is ? ~0u : 0;
        if (is) piece[u] = ag_load_some<V>(r.logits, AG_F32, j);
        if (is && r.mask) allowed = r.mask[j / 32] >> (j % 32);
        for (int e = 0; e < V; e++)
            if (!(allowed >> e & 1)) piece[u].x[e] = -INFINITY;
    }
}

/* Where the weights of a row are to be kept, NULL for nowhere: from element `at` on. */
typedef struct keep {
    void *weights;
    ag_dtype type;
    int64_t at;
} keep;

/* What a row adds up to: weights are exp(logit - reference). */
typedef struct row_sums {
    float reference, max, lse, entropy;
} row_sums;

/* Reads the row once: the reference is the largest of its first logits, as good as the largest of all unless that lies far above it: then
 * it is read again. */
template <int V> static __device__ row_sums sum_row(const row &r, bool entropy, keep k)
{
    enum { FAR = 20 };
    ag_some<V> piece[BATCH];
    row_sums s = {-INFINITY, 0, 0, 0};
    /* of weights, and of weights times their powers of 2; the reference as such a power */
    float sum, weighted, base;
    take_batch<V>(piece, r, (int64_t)threadIdx.x * V, THREADS * V, r.vocab);
    for (int u = 0; u < BATCH; u++)
        for (int e = 0; e < V; e++) s.reference = fmaxf(s.reference, piece[u].x[e]);
    s.reference = ag_block_reduce(s.reference, ag_max());
    for (;; s.reference = s.max) {
        s.max = -INFINITY, sum = weighted = 0, base = s.reference * AG_LOG2E;
        for (int64_t j = (int64_t)threadIdx.x * V; j < r.vocab; j += BATCH * THREADS * V) {
            take_batch<V>(piece, r, j, THREADS * V, r.vocab);
#pragma unroll
            for (int u = 0; u < BATCH; u++) {
                int64_t to = j + u * THREADS * V;
                for (int e = 0; e < V; e++) {
                    float power = fmaf(piece[u].x[e], AG_LOG2E, -base), weight = ag_exp2(power);
                    s.max = fmaxf(s.max, piece[u].x[e]);
                    sum += weight;
                    if (entropy && weight > 0) weighted += weight * power;
                    piece[u].x[e] = weight;
                }
                if (k.weights && to < r.vocab) ag_store_some(k.weights, k.type, k.at + to, piece[u]);
            }
        }
        s.max = ag_block_reduce(s.max, ag_max());
        if (!(s.max - s.reference > FAR)) break;
    }
    sum = ag_block_reduce(sum, ag_add());
    s.reference = base * AG_LN2;
    s.lse = s.reference + logf(sum);
    if (s.lse < s.max) s.lse = s.max; /* by rounding: no probability is above 1 */
    if (entropy) s.entropy = logf(sum) - ag_block_reduce(weighted, ag_add()) / sum * AG_LN2;
    if (s.entropy < 0) s.entropy = 0;
    return s;
}

/* The kernel of that name, a block for each of n rows. */
#define LAUNCH_ROWS(fours, kernel, n, d, ...)                                                                \
    AG_LAUNCH_EITHER(fours, kernel, (unsigned)(n), (unsigned)(n), d, __VA_ARGS__)

template <int V>
static __global__ void __launch_bounds__(THREADS, 4)
    logprob(ag_head_logprob_args x, float *logits, int64_t first)
{
    ag_after_previous();
    row r = row_of(x.head, logits, first);
    int64_t i = first + blockIdx.x;
    row_sums s = sum_row<V>(r, x.entropy != NULL, {x.probability, x.head.type, i * r.vocab});
    if (threadIdx.x == 0) {
        ((float *)x.lse)[i] = s.lse;
        if (x.entropy) ((float *)x.entropy)[i] = s.entropy;
        if (x.probability) ((float *)x.reference)[i] = s.reference;
    }
    for (int32_t t = x.head.first[i] + threadIdx.x; t < x.head.first[i + 1]; t += THREADS)
        ((float *)x.logprob)[t] = logit(r, x.head.target[t]) - s.lse;
}

ag_status ag_cuda_head_logprob(ag_device *d, const ag_head_logprob_args *x, ag_error *err)
{
    const ag_head_args *head = &x->head;
    if (head->rows == 0) return AG_OK;
    if (ag_cuda_head_tiles_can(d, head, x->probability)) return ag_cuda_head_tiles(d, x, err);
    int64_t step = chunk_rows(head);
    void *logits;
    AG_TRY(ag_cuda_scratch(d, AG_CUDA_LOGITS, (size_t)(step * head->vocab) * sizeof(float), &logits, err));
    bool fours = ag_in_fours(logits, AG_F32, head->vocab) &&
                 (!x->probability || ag_in_fours(x->probability, head->type, head->vocab));
    for (int64_t at = 0; at < head->rows; at += step) {
        int64_t n = head->rows - at < step ? head->rows - at : step;
        AG_TRY(chunk_logits(d, head, at, n, (float *)logits, err));
        LAUNCH_ROWS(fours, logprob, n, d, *x, (float *)logits, at);
        AG_TRY(AG_LAUNCHED("head_logprob"));
    }
    return AG_OK;
}

/* Of row i: an entry of dlogits is this times p, and what the targets add. *largest: of those. */
static __device__ float row_factor(const ag_head_grad_args &x, int64_t i, float *largest)
{
    float total = 0, scale = (float)(1 / x.head.temperature);
    *largest = 0;
    for (int32_t t = x.head.first[i]; t < x.head.first[i + 1]; t++) {
        float g = ((const float *)x.dlogprob)[t];
        total += g;
        *largest = fmaxf(*largest, fabsf(g) * scale);
    }
    return -total * scale;
}

/* out[at + token] for the tokens that are row i's targets: what they add, and rest(t), which is factor * p of target t; times `by`. */
template <typename F>
static __device__ void put_targets(const ag_head_grad_args &x, int64_t i, void *out, int64_t at, float by,
                                   F rest)
{
    const float *coefficient = (const float *)x.dlogprob;
    int32_t t0 = x.head.first[i], t1 = x.head.first[i + 1];
    __syncthreads(); /* the row is there */
    for (int32_t t = t0 + threadIdx.x; t < t1; t += THREADS) {
        int32_t token = x.head.target[t], other = t0;
        while (x.head.target[other] != token) other++;
        if (other < t) continue; /* the first of the same token adds up all of them */
        float g = 0;
        for (; other < t1; other++)
            if (x.head.target[other] == token) g += coefficient[other];
        ag_store(out, x.head.type, at + token, (g * (float)(1 / x.head.temperature) + rest(t)) * by);
    }
}

/* dlogits of a chunk's rows from their logits, in place or, for bf16 products, elsewhere. */
template <int V> static __global__ void dlogits(ag_head_grad_args x, float *logits, void *out, int64_t first)
{
    ag_after_previous();
    row r = row_of(x.head, logits, first);
    int64_t i = first + blockIdx.x, at = blockIdx.x * r.vocab;
    float largest, lse = ((const float *)x.lse)[i], factor = row_factor(x, i, &largest);
    for (int64_t j = (int64_t)threadIdx.x * V; j < r.vocab; j += BATCH * THREADS * V) {
        ag_some<V> piece[BATCH];
        take_batch<V>(piece, r, j, THREADS * V, r.vocab);
        for (int u = 0; u < BATCH; u++) {
            int64_t to = j + u * THREADS * V;
            for (int e = 0; e < V; e++) piece[u].x[e] = factor * expf(piece[u].x[e] - lse);
            if (to < r.vocab) ag_store_some(out, x.head.type, at + to, piece[u]);
        }
    }
    put_targets(x, i, out, at, 1, [&](int32_t t) {
        int32_t token = x.head.target[t];
        return out == logits ? r.logits[token] : factor * expf(logit(r, token) - lse);
    });
}

/* What was kept of a row is its dlogits but for its targets and a factor: the former are put in, and the latter is left for what comes out of
 * the products with W, and goes into the row of h for those that sum over rows. Where it vanishes, the row is made whole. */
static __global__ void finish_kept(ag_head_grad_args x, float *factors, void *h)
{
    ag_after_previous();
    const float nothing = 1e-12f, least = 1e-35f;
    int64_t i = blockIdx.x, vocab = x.head.vocab, width = x.head.width, at = i * vocab;
    float largest, p_factor = row_factor(x, i, &largest),
                   factor = p_factor * expf(((const float *)x.reference)[i] - ((const float *)x.lse)[i]);
    if (!(fabsf(p_factor) > nothing * largest && fabsf(factor) >= least)) {
        factor = 1;
        for (int64_t j = threadIdx.x; j < vocab; j += THREADS)
            ag_store(x.probability, x.head.type, at + j, 0);
    }
    put_targets(x, i, x.probability, at, 1 / factor,
                [&](int32_t t) { return p_factor * expf(((const float *)x.logprob)[t]); });
    if (threadIdx.x == 0) factors[i] = factor;
    for (int64_t j = threadIdx.x; j < width && x.dw; j += THREADS)
        ag_store(h, x.head.type, i * width + j, factor * ag_load(x.head.h, x.head.type, i * width + j));
}

template <int V>
static __global__ void scale_rows(float *x, const float *factors, int64_t rows, int64_t width)
{
    ag_after_previous();
    AG_CUDA_EACH(at, rows * width / V)
    {
        int64_t i, j;
        ag_cuda_place(at, width / V, &i, &j);
        ag_some<V> piece = ag_load_some<V>(x, AG_F32, at * V);
        for (int e = 0; e < V; e++) piece.x[e] *= factors[i];
        ag_store_some(x, AG_F32, at * V, piece);
    }
}

/* dh = dlogits W,  dW += dlogits' h, of n rows from `at` on; dlogits and h begin there. */
static ag_status grad_products(ag_device *d, const ag_head_grad_args *x, const void *dlogit, const void *h,
                               int64_t at, int64_t n, ag_error *err)
{
    const ag_head_args *head = &x->head;
    ag_matmul_args product = {};
    product.c = (float *)x->dh + at * head->width;
    product.a = dlogit;
    product.b = head->w;
    product.type = head->type;
    product.m = n, product.n = head->width, product.k = head->vocab;
    product.lda = head->vocab;
    product.ldb = product.ldc = head->width;
    product.alpha = 1;
    AG_TRY(ag_cuda_matmul(d, &product, err));
    if (!x->dw) return AG_OK;
    product.c = x->dw;
    product.b = h;
    product.m = head->vocab, product.k = n;
    product.transpose_a = true, product.plus = product.c;
    return ag_cuda_matmul(d, &product, err);
}

static ag_status kept_grad(ag_device *d, const ag_head_grad_args *x, ag_error *err)
{
    const ag_head_args *head = &x->head;
    int64_t rows = head->rows, width = head->width;
    void *memory;
    AG_TRY(ag_cuda_scratch(d, AG_CUDA_DLOGITS,
                           factors_of(rows) * sizeof(float) +
                               (size_t)(x->dw ? rows * width * ag_cuda_size(head->type) : 0),
                           &memory, err));
    float *factors = (float *)memory;
    void *h = factors + factors_of(rows);
    AG_LAUNCH(finish_kept, (unsigned)rows, THREADS, 0, d, *x, factors, h);
    AG_TRY(AG_LAUNCHED("head_grad"));
    AG_TRY(grad_products(d, x, x->probability, h, 0, rows, err));
    float *dh = (float *)x->dh;
    AG_LAUNCH_FOURS(ag_in_fours(dh, AG_F32, width), scale_rows, rows * width, d, dh, factors, rows, width);
    return AG_LAUNCHED("head_grad");
}

/* As if they had been kept, a chunk at a time, with lse as the reference. */
static ag_status weights_grad(ag_device *d, const ag_head_grad_args *x, ag_error *err)
{
    const ag_head_args *head = &x->head;
    int64_t step = 2 * chunk_rows(head); /* of half the size of logits */
    void *weights;
    AG_TRY(ag_cuda_scratch(d, AG_CUDA_LOGITS, (size_t)(step * head->vocab) * sizeof(__nv_bfloat16), &weights,
                           err));
    for (int64_t at = 0; at < head->rows; at += step) {
        ag_head_grad_args chunk = *x;
        chunk.head.h = (const __nv_bfloat16 *)head->h + at * head->width;
        chunk.head.rows = head->rows - at < step ? head->rows - at : step;
        chunk.head.first = head->first + at;
        if (head->mask_of) chunk.head.mask_of = head->mask_of + at;
        chunk.lse = chunk.reference = (const float *)x->lse + at;
        chunk.dh = (float *)x->dh + at * head->width;
        chunk.probability = weights;
        AG_TRY(ag_cuda_head_weights(d, &chunk.head, chunk.reference, weights, err));
        AG_TRY(kept_grad(d, &chunk, err));
    }
    return AG_OK;
}

ag_status ag_cuda_head_grad(ag_device *d, const ag_head_grad_args *x, ag_error *err)
{
    const ag_head_args *head = &x->head;
    if (head->rows == 0) return AG_OK;
    if (x->probability) return kept_grad(d, x, err);
    if (ag_cuda_head_tiles_can(d, head, NULL)) return weights_grad(d, x, err);
    int64_t step = chunk_rows(head);
    void *logits, *out;
    AG_TRY(ag_cuda_scratch(d, AG_CUDA_LOGITS, (size_t)(step * head->vocab) * sizeof(float), &logits, err));
    out = logits;
    if (head->type == AG_BF16)
        AG_TRY(ag_cuda_scratch(d, AG_CUDA_DLOGITS, (size_t)(step * head->vocab) * 2, &out, err));
    for (int64_t at = 0; at < head->rows; at += step) {
        int64_t n = head->rows - at < step ? head->rows - at : step;
        AG_TRY(chunk_logits(d, head, at, n, (float *)logits, err));
        LAUNCH_ROWS(ag_in_fours(logits, AG_F32, head->vocab), dlogits, n, d, *x, (float *)logits, out, at);
        AG_TRY(AG_LAUNCHED("head_grad"));
        const char *h = (const char *)head->h + at * head->width * ag_cuda_size(head->type);
        AG_TRY(grad_products(d, x, out, h, at, n, err));
    }
    return AG_OK;
}

/* The order of tokens by falling logit, then by rising id, as one number: the larger is the earlier. */
static __device__ inline uint64_t rank_of(float x, int64_t id)
{
    uint32_t bits = __float_as_uint(x);
    bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return (uint64_t)bits << 32 | (uint32_t)(UINT32_MAX - (uint32_t)id);
}

/* The number of tokens, or their probability, at or before `border` (and before `within`). */
static __device__ __noinline__ double mass_before(const row &r, uint64_t border, uint64_t within, float lse,
                                                  bool count)
{
    double mass = 0;
    for (int64_t j = threadIdx.x; j < r.vocab; j += THREADS) {
        float x = logit(r, j);
        uint64_t rank = rank_of(x, j);
        if (rank >= border && rank >= within) mass += count ? 1 : (double)expf(x - lse);
    }
    return ag_block_reduce(mass, ag_add());
}

/* The last token of the shortest beginning of the order that reaches `enough`. */
static __device__ uint64_t border_of(const row &r, uint64_t within, float lse, bool count, double enough)
{
    uint64_t border = 0;
#pragma unroll 1
    for (int bit = 63; bit >= 0; bit--)
        if (mass_before(r, border | 1ull << bit, within, lse, count) >= enough) border |= 1ull << bit;
    return border;
}

/* What truncation leaves: top_k, of those top_p, of those the ones near the largest (log of min_p below it). */
typedef struct truncation {
    uint64_t border;
    float max, log_min_p;
} truncation;

static __device__ truncation truncate(const ag_sample_args &x, const row &r, float max, float lse)
{
    truncation cut = {0, max, x.min_p > 0 ? logf((float)x.min_p) : -INFINITY};
    if (x.top_k > 0 && x.top_k < r.vocab) cut.border = border_of(r, 0, lse, true, x.top_k);
    if (x.top_p < 1) {
        double kept = mass_before(r, 0, cut.border, lse, false);
        uint64_t border = border_of(r, cut.border, lse, false, x.top_p * kept);
        if (border > cut.border) cut.border = border;
    }
    return cut;
}

/* The weight of token j, of logit x, in the draw; -1 where masked or cut. */
static __device__ inline double weight_of(float x, const truncation &cut, float lse, int64_t j)
{
    bool kept = x > -INFINITY && (x - cut.max >= cut.log_min_p || x == cut.max) &&
                rank_of(x, j) >= cut.border;
    return kept ? (double)expf(x - lse) : -1;
}

/* Inverts the cumulative distribution in id order: the block's warps sum up parts of the ids, the part in which the draw falls is cut again,
 * and at last one warp goes through it. -1: nothing is kept. */
template <int V> static __device__ int64_t draw(const row &r, const truncation &cut, float lse, double u)
{
    enum { LEVELS = 3 };
    __shared__ double sums[WARPS];
    __shared__ int64_t chosen;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int64_t begin = 0, end = r.vocab;
    double before = 0, wanted = 0;
    for (int level = 0; level < LEVELS; level++) {
        int64_t each = ((end - begin + WARPS - 1) / WARPS + 32 * V - 1) / (32 * V) * (32 * V),
                from = begin + warp * each, to = from + each < end ? from + each : end;
        double sum = 0;
        for (int64_t j = from + lane * V; j < to; j += BATCH * 32 * V) {
            ag_some<V> piece[BATCH];
            take_batch<V>(piece, r, j, 32 * V, to);
#pragma unroll
            for (int u = 0; u < BATCH; u++)
#pragma unroll
                for (int e = 0; e < V; e++)
                    sum += fmax(weight_of(piece[u].x[e], cut, lse, j + u * 32 * V + e), 0.0);
        }
        sum = ag_warp_reduce(sum, ag_add());
        if (lane == 0) sums[warp] = sum;
        __syncthreads();
        if (level == 0) {
            for (int w = 0; w < WARPS; w++) wanted += sums[w];
            wanted *= u;
        }
        int part = -1;
        double passed = before;
        for (int w = 0; w < WARPS;
             w++) { /* where rounding leaves all sums below what is wanted it is the last */
            if (sums[w] <= 0) continue;
            part = w, before = passed;
            if (passed + sums[w] > wanted) break;
            passed += sums[w];
        }
        __syncthreads(); /* the sums have been read */
        if (part < 0) return -1;
        begin += part * each;
        if (begin + each < end) end = begin + each;
    }
    if (warp == 0) {
        int64_t last = -1;
        for (int64_t j = begin + lane; j - lane < end; j += 32) {
            double weight = j < end ? weight_of(logit(r, j), cut, lse, j) : 0, upto = weight > 0 ? weight : 0;
            for (int step = 1; step < 32; step *= 2) {
                double less = __shfl_sync(~0u, upto, lane - step);
                if (lane >= step) upto += less;
            }
            unsigned kept = __ballot_sync(~0u, weight > 0),
                     past = __ballot_sync(~0u, weight > 0 && before + upto > wanted);
            if (kept) last = j - lane + (31 - __clz(kept));
            if (past) last = j - lane + (31 - __clz(past & (~past + 1)));
            if (past) break;
            before += __shfl_sync(~0u, upto, 31);
        }
        if (lane == 0) chosen = last;
    }
    __syncthreads();
    return chosen;
}

template <int V> static __global__ void sample(ag_sample_args x, bool greedy, float *logits, int64_t first)
{
    ag_after_previous();
    row r = row_of(x.head, logits, first);
    int64_t i = first + blockIdx.x, id = -1;
    row_sums s = sum_row<V>(r, false, {});
    if (!greedy) {
        truncation cut = truncate(x, r, s.max, s.lse);
        id = draw<V>(r, cut, s.lse, x.uniform[i]);
    }
    if (id < 0) { /* the lowest id of the largest */
        int64_t best = r.vocab;
        for (int64_t j = threadIdx.x; j < r.vocab && best == r.vocab; j += THREADS)
            if (logit(r, j) == s.max) best = j;
        id = -ag_block_reduce(-best, ag_max());
    }
    if (threadIdx.x == 0) {
        x.id[i] = (int32_t)id;
        ((float *)x.logprob)[i] = logit(r, id) - s.lse;
    }
}

ag_status ag_cuda_sample(ag_device *d, const ag_sample_args *x, ag_error *err)
{
    ag_head_args head = x->head;
    if (head.rows == 0) return AG_OK;
    bool greedy = head.temperature == 0;
    if (greedy) head.temperature = 1;
    int64_t step = chunk_rows(&head);
    void *logits;
    AG_TRY(ag_cuda_scratch(d, AG_CUDA_LOGITS, (size_t)(step * head.vocab) * sizeof(float), &logits, err));
    for (int64_t at = 0; at < head.rows; at += step) {
        int64_t n = head.rows - at < step ? head.rows - at : step;
        AG_TRY(chunk_logits(d, &head, at, n, (float *)logits, err));
        LAUNCH_ROWS(ag_in_fours(logits, AG_F32, head.vocab), sample, n, d, *x, greedy, (float *)logits, at);
        AG_TRY(AG_LAUNCHED("sample"));
    }
    return AG_OK;
}
