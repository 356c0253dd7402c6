/* rows.cu: operations of the cuda backend that work an element at a time, and what moves or adds rows. */
#include "device/cuda/fours.cuh"

enum { THREADS = AG_CUDA_THREADS, WARPS = AG_CUDA_WARPS };

template <int V> static __global__ void embed(ag_embed_args x, int32_t *fault)
{
    ag_after_previous();
    AG_CUDA_EACH(at, x.rows * x.width / V)
    {
        int64_t i, j;
        ag_cuda_place(at, x.width / V, &i, &j);
        int32_t id = x.ids[i];
        bool known = id >= 0 && id < x.vocab;
        if (!known && j == 0) *fault = id < 0 ? id : id + 1;
        ag_some<V> row = {};
        if (known) row = ag_load_some<V>(x.table, x.type, id * x.width + j * V);
        ag_store_some(x.out, AG_F32, at * V, row);
    }
}

ag_status ag_cuda_embed(ag_device *d, const ag_embed_args *x, ag_error *err)
{
    ag_cuda *c = ag_cuda_of(d);
    if (x->rows == 0) return AG_OK;
    bool fours = ag_in_fours(x->table, x->type, x->width) && ag_in_fours(x->out, AG_F32, x->width);
    AG_LAUNCH_FOURS(fours, embed, x->rows * x->width, d, *x, c->fault_device);
    return AG_LAUNCHED("embed");
}

/* The gradient of an embedding sorts its rows by token, those of one token in their order, so that a block can add them up. A row's key
 * is its token and its number; its place is the count of smaller keys: first within a tile of rows, then by a search in each tile. */
enum { TILE = 512 };
static __device__ inline int32_t token_of(int64_t key)
{
    return (int32_t)(key >> 32);
}
static __device__ inline int64_t row_of(int64_t key)
{
    return (int64_t)(uint32_t)key;
}

/* tiles: whole ones; what is beyond the rows comes last. */
static __global__ void sort_tiles(int64_t *tiles, const int32_t *ids, int64_t rows)
{
    ag_after_previous();
    __shared__ int64_t keys[TILE];
    int64_t row = (int64_t)blockIdx.x * TILE + threadIdx.x;
    int64_t key = (int64_t)(row < rows ? ids[row] : INT32_MAX) << 32 | row;
    keys[threadIdx.x] = key;
    __syncthreads();
    int place = 0;
#pragma unroll 16
    for (int k = 0; k < TILE; k++) place += keys[k] < key;
    tiles[(int64_t)blockIdx.x * TILE + place] = key;
}

static __global__ void merge_tiles(int64_t *sorted, const int64_t *tiles, int64_t count)
{
    ag_after_previous();
    int64_t key = tiles[(int64_t)blockIdx.x * TILE + threadIdx.x], place = 0;
#pragma unroll 4
    for (int64_t t = 0; t < count; t++) {
        const int64_t *tile = tiles + t * TILE;
        int smaller = 0;
#pragma unroll
        for (int step = TILE / 2; step > 0; step /= 2)
            if (tile[smaller + step - 1] < key) smaller += step;
        place += smaller + (tile[smaller] < key);
    }
    sorted[place] = key;
}

/* dtable[token] += dout[row] in row order: the block of a token's first row adds all of them. */
template <int V> static __global__ void add_rows(ag_embed_grad_args x, const int64_t *sorted)
{
    ag_after_previous();
    __shared__ int64_t found[THREADS];
    int64_t first = blockIdx.x;
    int32_t id = token_of(sorted[first]);
    if (first > 0 && token_of(sorted[first - 1]) == id) return;
    for (int64_t base = first;; base += THREADS) {
        int64_t at = base + threadIdx.x;
        bool same = at < x.rows && token_of(sorted[at]) == id;
        if (same) found[threadIdx.x] = row_of(sorted[at]);
        int total = __syncthreads_count(same);
        for (int64_t j = threadIdx.x * V; j < x.width; j += THREADS * V) {
            ag_some<V> sum = ag_load_some<V>(x.dtable, AG_F32, id * x.width + j);
#pragma unroll 8
            for (int k = 0; k < total; k++) {
                ag_some<V> row = ag_load_some<V>(x.dout, AG_F32, found[k] * x.width + j);
#pragma unroll
                for (int e = 0; e < V; e++) sum.x[e] += row.x[e];
            }
            ag_store_some(x.dtable, AG_F32, id * x.width + j, sum);
        }
        if (total < THREADS) return;
        __syncthreads();
    }
}

ag_status ag_cuda_embed_grad(ag_device *d, const ag_embed_grad_args *x, ag_error *err)
{
    if (x->rows == 0) return AG_OK;
    unsigned count = (unsigned)((x->rows + TILE - 1) / TILE);
    void *memory;
    AG_TRY(ag_cuda_scratch(d, AG_CUDA_PARTIAL, (size_t)count * 2 * TILE * sizeof(int64_t), &memory, err));
    int64_t *tiles = (int64_t *)memory, *sorted = tiles + (int64_t)count * TILE;
    AG_LAUNCH(sort_tiles, count, TILE, 0, d, tiles, x->ids, x->rows);
    AG_LAUNCH(merge_tiles, count, TILE, 0, d, sorted, tiles, count);
    bool fours = ag_in_fours(x->dtable, AG_F32, x->width) && ag_in_fours(x->dout, AG_F32, x->width);
    AG_LAUNCH_EITHER(fours, add_rows, (unsigned)x->rows, (unsigned)x->rows, d, *x, sorted);
    return AG_LAUNCHED("embed_grad");
}

template <int V> static __global__ void move_rows(ag_rows_args x)
{
    ag_after_previous();
    bool gather = x.kind == AG_ROWS_GATHER;
    AG_CUDA_EACH(at, x.rows * x.width / V)
    {
        int64_t i, j;
        ag_cuda_place(at, x.width / V, &i, &j);
        int64_t other = x.index[i];
        ag_some<V> piece = ag_load_some<V>(x.src, x.src_type, (gather ? other : i) * x.src_ld + j * V);
        ag_store_some(x.dst, x.dst_type, (gather ? i : other) * x.dst_ld + j * V, piece);
    }
}

ag_status ag_cuda_rows(ag_device *d, const ag_rows_args *x, ag_error *err)
{
    if (x->rows == 0 || x->width == 0) return AG_OK;
    AG_LAUNCH_FOURS(x->width % 4 == 0 && ag_in_fours(x->src, x->src_type, x->src_ld) &&
                        ag_in_fours(x->dst, x->dst_type, x->dst_ld),
                    move_rows, x->rows * x->width, d, *x);
    return AG_LAUNCHED("rows");
}

/* Of a row, turned or stored. */
static __host__ __device__ int64_t rope_groups(const ag_rope_args &x)
{
    int64_t end = x.store ? x.first_stored + x.stored : 0;
    return end > x.heads ? end : x.heads;
}

template <int V> static __global__ void rope(ag_rope_args x)
{
    ag_after_previous();
    int64_t half = x.head_dim / 2, groups = rope_groups(x);
    AG_CUDA_EACH(at, x.rows * groups * half / V)
    {
        int64_t i, h, j, pair;
        ag_cuda_place(at, half / V, &pair, &j);
        ag_cuda_place(pair, groups, &i, &h);
        int64_t turn = x.positions[i] * x.head_dim + j * V, to = i * x.ld + h * x.head_dim + j * V;
        ag_some<V> a = ag_load_some<V>(x.x, x.type, to), b = ag_load_some<V>(x.x, x.type, to + half), low = a,
                   high = b;
        void *out = x.x;
        if (x.store && h >= x.first_stored) {
            out = x.store;
            to = (x.slots[i] * x.stored + h - x.first_stored) * x.head_dim + j * V;
        }
        if (h < x.heads) {
            ag_some<V> cosine = ag_load_some<V>(x.table, AG_F32, turn),
                       sine = ag_load_some<V>(x.table, AG_F32, turn + half);
            for (int e = 0; e < V; e++) {
                float s = x.inverse ? -sine.x[e] : sine.x[e];
                low.x[e] = a.x[e] * cosine.x[e] - b.x[e] * s;
                high.x[e] = b.x[e] * cosine.x[e] + a.x[e] * s;
            }
        }
        ag_store_some(out, x.type, to, low);
        ag_store_some(out, x.type, to + half, high);
    }
}

ag_status ag_cuda_rope(ag_device *d, const ag_rope_args *x, ag_error *err)
{
    int64_t n = x->rows * rope_groups(*x) * (x->head_dim / 2);
    if (n == 0) return AG_OK;
    int64_t half = x->head_dim / 2;
    int widest = ag_least(ag_widest(x->x, x->type, x->ld), ag_widest(x->table, AG_F32, half));
    if (x->store) widest = ag_least(widest, ag_widest(x->store, x->type, half));
    AG_LAUNCH_WIDEST(widest, rope, n, d, *x);
    return AG_LAUNCHED("rope");
}

/* 1 / (1 + exp(-x)), to some 2^-20 of it. */
static __device__ inline float sigmoid(float x)
{
    return __fdividef(1, 1 + ag_exp2(x * -AG_LOG2E));
}

template <int V> static __global__ void swiglu(ag_swiglu_args x)
{
    ag_after_previous();
    AG_CUDA_EACH(at, x.rows * x.width / V)
    {
        int64_t i, j;
        ag_cuda_place(at, x.width / V, &i, &j);
        int64_t from = i * 2 * x.width + j * V;
        ag_some<V> gate = ag_load_some<V>(x.gate_up, x.in_type, from),
                   up = ag_load_some<V>(x.gate_up, x.in_type, from + x.width);
        for (int e = 0; e < V; e++) up.x[e] *= gate.x[e] * sigmoid(gate.x[e]);
        ag_store_some(x.out, x.out_type, at * V, up);
    }
}

ag_status ag_cuda_swiglu(ag_device *d, const ag_swiglu_args *x, ag_error *err)
{
    if (x->rows * x->width == 0) return AG_OK;
    int widest = ag_least(ag_widest(x->gate_up, x->in_type, x->width),
                          ag_widest(x->out, x->out_type, x->width));
    AG_LAUNCH_WIDEST(widest, swiglu, x->rows * x->width, d, *x);
    return AG_LAUNCHED("swiglu");
}

template <int V> static __global__ void swiglu_grad(ag_swiglu_grad_args x)
{
    ag_after_previous();
    AG_CUDA_EACH(at, x.rows * x.width / V)
    {
        int64_t i, j;
        ag_cuda_place(at, x.width / V, &i, &j);
        int64_t to = i * 2 * x.width + j * V;
        ag_some<V> gate = ag_load_some<V>(x.gate_up, x.in_type, to),
                   up = ag_load_some<V>(x.gate_up, x.in_type, to + x.width),
                   dy = ag_load_some<V>(x.dout, x.in_type, at * V);
        for (int e = 0; e < V; e++) {
            float s = sigmoid(gate.x[e]), dgate = dy.x[e] * up.x[e] * s * (1 + gate.x[e] * (1 - s));
            up.x[e] = dy.x[e] * gate.x[e] * s;
            gate.x[e] = dgate;
        }
        ag_store_some(x.dgate_up, x.type, to, gate);
        ag_store_some(x.dgate_up, x.type, to + x.width, up);
    }
}

ag_status ag_cuda_swiglu_grad(ag_device *d, const ag_swiglu_grad_args *x, ag_error *err)
{
    if (x->rows * x->width == 0) return AG_OK;
    int widest = ag_least(ag_widest(x->gate_up, x->in_type, x->width),
                          ag_widest(x->dout, x->in_type, x->width));
    widest = ag_least(widest, ag_widest(x->dgate_up, x->type, x->width));
    AG_LAUNCH_WIDEST(widest, swiglu_grad, x->rows * x->width, d, *x);
    return AG_LAUNCHED("swiglu_grad");
}

template <int V> static __global__ void bias(ag_bias_args x)
{
    ag_after_previous();
    AG_CUDA_EACH(at, x.rows * x.width / V)
    {
        int64_t i, j;
        ag_cuda_place(at, x.width / V, &i, &j);
        int64_t to = i * x.ld + j * V;
        ag_some<V> piece = ag_load_some<V>(x.x, x.type, to), more = ag_load_some<V>(x.bias, AG_F32, j * V);
        for (int e = 0; e < V; e++) piece.x[e] += more.x[e];
        ag_store_some(x.x, x.type, to, piece);
    }
}

ag_status ag_cuda_bias(ag_device *d, const ag_bias_args *x, ag_error *err)
{
    if (x->rows * x->width == 0) return AG_OK;
    int widest = ag_least(ag_widest(x->x, x->type, x->ld), ag_widest(x->bias, AG_F32, x->width));
    AG_LAUNCH_WIDEST(widest, bias, x->rows * x->width, d, *x);
    return AG_LAUNCHED("bias");
}

/* Block (p, c): a part's rows, its warps in turns, of 32 * V columns. */
template <int V> static __global__ void bias_grad(ag_bias_grad_args x, float *partial)
{
    ag_after_previous();
    __shared__ __align__(16) float share[WARPS][32 * V];
    int64_t begin = x.rows * blockIdx.x / gridDim.x, end = x.rows * (blockIdx.x + 1) / gridDim.x,
            first = blockIdx.y * (int64_t)(32 * V);
    int own = threadIdx.x % 32 * V, warp = threadIdx.x / 32;
    ag_some<V> sum = {};
    if (first + own < x.width)
#pragma unroll 8
        for (int64_t i = begin + warp; i < end; i += WARPS) {
            ag_some<V> piece = ag_load_some<V>(x.dx, x.type, i * x.ld + first + own);
            for (int e = 0; e < V; e++) sum.x[e] += piece.x[e];
        }
    ag_store_some(share[warp], AG_F32, own, sum);
    int64_t rest = x.width - first;
    ag_leave_part(partial + blockIdx.x * x.width + first, share[0], 32 * V, rest < 32 * V ? rest : 32 * V);
}

ag_status ag_cuda_bias_grad(ag_device *d, const ag_bias_grad_args *x, ag_error *err)
{
    if (x->rows * x->width == 0) return AG_OK;
    unsigned parts = ag_cuda_parts(x->rows, x->width);
    void *partial;
    AG_TRY(ag_cuda_scratch(d, AG_CUDA_PARTIAL, parts * (size_t)x->width * sizeof(float), &partial, err));
    bool fours = x->width % 4 == 0 && ag_in_fours(x->dx, x->type, x->ld);
    dim3 wide(parts, (unsigned)((x->width + 127) / 128)), narrow(parts, (unsigned)((x->width + 31) / 32));
    AG_LAUNCH_EITHER(fours, bias_grad, wide, narrow, d, *x, (float *)partial);
    AG_TRY(AG_LAUNCHED("bias_grad"));
    return ag_cuda_add_parts(d, (float *)x->dbias, (const float *)partial, parts, x->width, err);
}

typedef struct adamw_numbers {
    float lr, beta1, rest1, beta2, rest2, eps, decay, grad_scale, correct1, correct2;
} adamw_numbers;

template <int V> static __global__ void adamw(ag_adamw_args x, adamw_numbers k)
{
    ag_after_previous();
    AG_CUDA_EACH(at, x.n / V)
    {
        int64_t i = at * V;
        ag_some<V> g = ag_load_some<V>(x.g, AG_F32, i), w = ag_load_some<V>(x.w, AG_F32, i),
                   m = ag_load_some<V>(x.m, AG_F32, i), v = ag_load_some<V>(x.v, AG_F32, i);
        for (int e = 0; e < V; e++) {
            float ge = g.x[e] * k.grad_scale;
            m.x[e] = k.beta1 * m.x[e] + k.rest1 * ge;
            v.x[e] = k.beta2 * v.x[e] + k.rest2 * ge * ge;
            w.x[e] -= k.lr * (m.x[e] / k.correct1 / (sqrtf(v.x[e] / k.correct2) + k.eps) + k.decay * w.x[e]);
        }
        ag_store_some(x.m, AG_F32, i, m);
        ag_store_some(x.v, AG_F32, i, v);
        ag_store_some(x.w, AG_F32, i, w);
        if (x.copy) ag_store_some(x.copy, x.copy_type, i, w);
    }
}

ag_status ag_cuda_adamw(ag_device *d, const ag_adamw_args *x, ag_error *err)
{
    if (x->n == 0) return AG_OK;
    adamw_numbers k = {(float)x->lr,
                       (float)x->beta1,
                       (float)(1 - x->beta1),
                       (float)x->beta2,
                       (float)(1 - x->beta2),
                       (float)x->eps,
                       (float)x->decay,
                       (float)x->grad_scale,
                       (float)(1 - pow(x->beta1, (double)x->step)),
                       (float)(1 - pow(x->beta2, (double)x->step))};
    bool fours = ag_in_fours(x->g, AG_F32, x->n) && ag_in_fours(x->w, AG_F32, x->n) &&
                 ag_in_fours(x->m, AG_F32, x->n) && ag_in_fours(x->v, AG_F32, x->n) &&
                 (!x->copy || ag_in_fours(x->copy, x->copy_type, x->n));
    AG_LAUNCH_FOURS(fours, adamw, x->n, d, *x, k);
    return AG_LAUNCHED("adamw");
}

static __global__ void sum_squares(const float *x, int64_t n, double *partial, unsigned *finished)
{
    ag_after_previous();
    double sum = 0;
    AG_CUDA_EACH(i, n) sum += (double)x[i] * x[i];
    sum = ag_block_reduce(sum, ag_add());
    if (threadIdx.x == 0) partial[1 + blockIdx.x] = sum;
    if (!ag_last_block(finished, gridDim.x)) return;
    sum = 0;
    for (int i = threadIdx.x; i < gridDim.x; i += THREADS) sum += __ldcg(partial + 1 + i);
    sum = ag_block_reduce(sum, ag_add());
    if (threadIdx.x == 0) partial[0] = sum;
}

ag_status ag_cuda_sum_squares(ag_device *d, const ag_sum_squares_args *x, ag_error *err)
{
    ag_cuda *c = ag_cuda_of(d);
    enum { MAX_BLOCKS = 1024 };
    void *partial;
    *x->result = 0;
    if (x->n == 0) return AG_OK;
    AG_TRY(ag_cuda_scratch(d, AG_CUDA_PARTIAL, (MAX_BLOCKS + 1) * sizeof(double), &partial, err));
    unsigned blocks = ag_cuda_grid((x->n + 7) / 8);
    if (blocks > MAX_BLOCKS) blocks = MAX_BLOCKS;
    AG_LAUNCH(sum_squares, blocks, THREADS, 0, d, (const float *)x->x, x->n, (double *)partial, c->finished);
    AG_TRY(AG_LAUNCHED("sum_squares"));
    return d->download(d, x->result, partial, sizeof *x->result, err);
}

template <int V> static __global__ void cast(ag_cast_args x)
{
    ag_after_previous();
    AG_CUDA_EACH(at, x.n / V)
    {
        ag_store_some(x.dst, x.dst_type, at * V, ag_load_some<V>(x.src, x.src_type, at * V));
    }
}

ag_status ag_cuda_cast(ag_device *d, const ag_cast_args *x, ag_error *err)
{
    if (x->n == 0) return AG_OK;
    bool fours = ag_in_fours(x->src, x->src_type, x->n) && ag_in_fours(x->dst, x->dst_type, x->n);
    AG_LAUNCH_FOURS(fours, cast, x->n, d, *x);
    return AG_LAUNCHED("cast");
}

template <int V> static __global__ void axpy(float *y, const float *x, float alpha, int64_t n)
{
    ag_after_previous();
    AG_CUDA_EACH(at, n / V)
    {
        ag_some<V> sum = ag_load_some<V>(y, AG_F32, at * V), more = ag_load_some<V>(x, AG_F32, at * V);
        for (int e = 0; e < V; e++) sum.x[e] += alpha * more.x[e];
        ag_store_some(y, AG_F32, at * V, sum);
    }
}

ag_status ag_cuda_axpy(ag_device *d, const ag_axpy_args *x, ag_error *err)
{
    if (x->n == 0) return AG_OK;
    bool fours = ag_in_fours(x->x, AG_F32, x->n) && ag_in_fours(x->y, AG_F32, x->n);
    AG_LAUNCH_FOURS(fours, axpy, x->n, d, (float *)x->y, (const float *)x->x, (float)x->alpha, x->n);
    return AG_LAUNCHED("axpy");
}
