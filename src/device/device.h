/* device.h: one table of operations on raw pointers and sizes. Model code knows nothing else of a machine.
 *
 * A backend fills an ag_device. Pointers named in argument structs are device memory unless marked host; host code never
 * dereferences them. Matrices are row-major; `ld` is the distance between rows in elements. `real` is the type of
 * everything that is not the input of a matrix product: F32, or F64 in the reference used for gradient tests. Every
 * operation returns a status and may run asynchronously until sync or download.
 *
 * `ref` (device/ref) is the meaning of each operation; tests/unit/device compares every backend with it. Threads: a device is
 * used by one host thread at a time.
 */
#ifndef AG_DEVICE_DEVICE_H
#define AG_DEVICE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/comm.h"
#include "base/error.h"

typedef enum ag_dtype { AG_F32, AG_F64, AG_BF16 } ag_dtype;
size_t ag_dtype_size(ag_dtype type);
const char *ag_dtype_name(ag_dtype type);

/* float <-> bfloat16, round to nearest even (NaN stays NaN). */
static inline uint16_t ag_bf16_from_float(float x)
{
    union {
        float f;
        uint32_t u;
    } v = {x};
    if ((v.u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((v.u >> 16) | 0x40u);
    return (uint16_t)((v.u + 0x7fffu + ((v.u >> 16) & 1u)) >> 16);
}
static inline float ag_float_from_bf16(uint16_t b)
{
    union {
        uint32_t u;
        float f;
    } v = {(uint32_t)b << 16};
    return v.f;
}

/* Where a field gives a type of what is read or written, BF16 is that and any other the backend's real; and but for products' operands,
 * norms' results, tables and weights BF16 is only what ag_kept_type gives. */

/* C[m,n] = alpha * op(A)[m,k] op(B)[k,n] + plus. A and B are of `type`, C and plus of c_type with ldc; plus NULL: nothing is added, C
 * itself: it accumulates, another matrix: must not overlap C.
 * transpose_a: A is stored [k,m]; transpose_b: B is stored [n,k]. Products of BF16 inputs are summed in fp32. */
typedef struct ag_matmul_args {
    void *c;
    const void *plus, *a, *b;
    ag_dtype type, c_type;
    int64_t m, n, k, lda, ldb, ldc;
    bool transpose_a, transpose_b;
    double alpha;
} ag_matmul_args;

/* out[i,:] = table[ids[i],:]; table [vocab,width] of `type`, out real. */
typedef struct ag_embed_args {
    void *out;
    const void *table;
    ag_dtype type;
    const int32_t *ids;
    int64_t rows, width, vocab;
} ag_embed_args;
/* dtable[ids[i],:] += dout[i,:] in row order (the same bytes for any number of threads). */
typedef struct ag_embed_grad_args {
    void *dtable;
    const void *dout;
    const int32_t *ids;
    int64_t rows, width, vocab;
} ag_embed_grad_args;

/* RMSNorm (Zhang and Sennrich 2019) over `width` elements, for each of `heads` groups of a row; group h of row i starts at
 * i * ld + h * width. out = x * rstd * weight; rstd = 1/sqrt(mean(x^2) + eps). rstd [rows, heads] may be NULL. out may be x when
 * out_type is real. */
typedef struct ag_rmsnorm_args {
    void *out;
    ag_dtype out_type;
    const void *x, *weight;
    void *rstd;
    int64_t rows, heads, width, x_ld, out_ld;
    double eps;
} ag_rmsnorm_args;
/* dx (+)= gradient, dweight += gradient (NULL: not wanted). dy and dx with their own types and ld; dx may be dy unless it
 * accumulates. narrow: dx rounded to bf16 too, in rows without gaps, or NULL. */
typedef struct ag_rmsnorm_grad_args {
    void *dx, *dweight, *narrow;
    ag_dtype dx_type, dy_type;
    const void *dy, *x, *weight, *rstd;
    int64_t rows, heads, width, x_ld, dy_ld, dx_ld;
    bool accumulate;
} ag_rmsnorm_grad_args;

/* Rotary position embedding (Su et al. 2021), half-split pairs (i, i + head_dim/2), in place on `heads` groups of a row.
 * table [positions, head_dim]: cosines then sines of the head_dim/2 angles of each position. inverse: the backward.
 * store (or NULL), of x's type: groups [first_stored, first_stored + stored), of which those from `heads` on are not turned, are left as they
 * are in x and go to row slots[i] of the store [slots, stored * head_dim]. Slots are distinct; heads <= first_stored + stored. */
typedef struct ag_rope_args {
    void *x;
    ag_dtype type; /* of x */
    const void *table;
    const int32_t *positions;
    int64_t rows, heads, head_dim, ld;
    bool inverse;
    void *store;
    const int32_t *slots;
    int64_t first_stored, stored;
} ag_rope_args;

/* Which keys a query row attends. Block b lets rows q in [q0, q1) attend keys k in [k0, min(k1, k0 + diagonal + (q - q0) + 1)).
 * The key sets of one row's blocks are disjoint. tile_first and tile_block list, for each tile of AG_ATTENTION_TILE query
 * rows, the blocks that touch it, in order. All arrays are device memory, made by model/forest.h. */
enum { AG_ATTENTION_TILE = 64, AG_ATTENTION_SLICES = 8 };
typedef struct ag_attention_block {
    int32_t q0, q1, k0, k1, diagonal;
} ag_attention_block;
typedef struct ag_attention_plan {
    const ag_attention_block *blocks;
    const int32_t *tile_first, *tile_block; /* tile_first [tiles + 1] */
    int32_t block_count, tiles, rows, keys; /* query rows; key rows that may be named */
    int32_t
        spread; /* of the rows of one block, at most: how a backend shares out the gradients of keys that many rows read */
} ag_attention_plan;

/* Softmax attention with grouped queries: head h reads key head h / (heads / kv_heads). q [rows, heads*head_dim], k and v
 * [keys, kv_heads*head_dim] of in_type, each with its ld; out of out_type. lse [heads, rows]: log of the softmax denominator
 * (may be NULL). A row that attends nothing gives zeros and lse 0. Where in_type is BF16 a backend may round softmax weights and, in the
 * gradient, the scores' gradient to bf16 as they enter a product; sums stay fp32. */
typedef struct ag_attention_args {
    void *out, *lse;
    ag_dtype out_type, in_type;
    const void *q, *k, *v;
    int64_t q_ld, kv_ld, out_ld;
    int heads, kv_heads, head_dim;
    double scale;
    const ag_attention_plan *plan; /* host struct of device arrays */
} ag_attention_args;
/* dq, dk, dv are overwritten, with the lds of q and k; like q, k, v and dout of in_type. */
typedef struct ag_attention_grad_args {
    void *dq, *dk, *dv;
    const void *dout, *out, *lse;
    ag_dtype out_type, in_type;
    const void *q, *k, *v;
    int64_t q_ld, kv_ld, out_ld, dout_ld;
    int heads, kv_heads, head_dim;
    double scale;
    const ag_attention_plan *plan;
} ag_attention_grad_args;

/* out[i,j] = silu(gate) * up; gate_up [rows, 2*width] of in_type holds gate then up. */
typedef struct ag_swiglu_args {
    void *out;
    ag_dtype out_type, in_type;
    const void *gate_up;
    int64_t rows, width;
} ag_swiglu_args;
typedef struct ag_swiglu_grad_args {
    void *dgate_up; /* of type */
    ag_dtype type, in_type;
    const void *dout, *gate_up; /* of in_type */
    int64_t rows, width;
} ag_swiglu_grad_args;

/* x[i,:] += bias. */
typedef struct ag_bias_args {
    void *x;
    ag_dtype type; /* of x */
    const void *bias;
    int64_t rows, width, ld;
} ag_bias_args;
/* dbias += sum over rows of dx. */
typedef struct ag_bias_grad_args {
    void *dbias;
    const void *dx;
    ag_dtype type; /* of dx */
    int64_t rows, width, ld;
} ag_bias_grad_args;

/* The vocabulary head on chosen rows, in chunks; logits = h W^T / temperature; [rows, vocab] never exists but where the caller brings it, as
 * `probability`. h [rows, width] and W [vocab, width] of `type`. Targets of row i are target[first[i] .. first[i+1]). A mask
 * (mask_of[i] >= 0) leaves only the tokens whose bit is set: the policy is renormalised over them. mask_of NULL: none. */
typedef struct ag_head_args {
    const void *h, *w;
    ag_dtype type;
    int64_t rows, width, vocab;
    double temperature;
    const int32_t *first, *target;
    int64_t targets;
    const int32_t *mask_of;
    const uint32_t *masks; /* [masks, (vocab + 31) / 32] */
} ag_head_args;
typedef struct ag_head_logprob_args {
    ag_head_args head;
    void *logprob;     /* real [targets] */
    void *lse;         /* real [rows]: log-sum-exp of the allowed logits */
    void *entropy;     /* real [rows] or NULL */
    void *probability; /* NULL, or of head.type [rows, vocab]: exp(logit - reference), 0 for masked tokens */
    void *reference;   /* real [rows], with probability: a number within 60 of lse; what suits the backend */
} ag_head_logprob_args;
/* dlogit = sum over the row's targets of dlogprob * (onehot - p) / temperature. dh [rows, width] real is overwritten; dw real
 * [vocab, width] accumulates (NULL: not wanted). With the probability that head_logprob left, logits are not computed again, and it is used
 * up. The dlogits of targets are made from logprob, for of a p near 1 rounding would leave nothing of 1 - p. */
typedef struct ag_head_grad_args {
    ag_head_args head;
    const void *lse, *logprob, *dlogprob; /* real, as head_logprob left the former */
    void *dh, *dw;
    void *probability;     /* NULL, or of head.type [rows, vocab], as this backend's head_logprob left it */
    const void *reference; /* real [rows], with probability */
} ag_head_grad_args;

/* Draws one token a row. uniform [rows] in [0,1), double, inverts the cumulative distribution in id order after mask, temperature
 * and truncation; temperature 0 is greedy (the lowest id among equals). logprob is after mask and temperature and before
 * truncation (top_k 0, top_p 1, min_p 0: none); greedy: at temperature 1. */
typedef struct ag_sample_args {
    ag_head_args head; /* first, target, targets unused */
    const double *uniform;
    int top_k;
    double top_p, min_p;
    int32_t *id;
    void *logprob; /* real [rows] */
} ag_sample_args;

/* AdamW (Loshchilov and Hutter 2019), decoupled decay: w -= lr * (mhat / (sqrt(vhat) + eps) + decay * w), gradient scaled by
 * grad_scale first. copy (of copy_type, may be NULL) receives the new weights rounded. */
typedef struct ag_adamw_args {
    void *w, *m, *v, *copy;
    const void *g;
    ag_dtype copy_type;
    int64_t n;
    double lr, beta1, beta2, eps, decay, grad_scale;
    int64_t step; /* from 1, for bias correction */
} ag_adamw_args;

/* *result (host) = sum of squares of n reals, in a fixed order, in double. Waits for the result. */
typedef struct ag_sum_squares_args {
    const void *x;
    int64_t n;
    double *result;
} ag_sum_squares_args;

/* dst[i] = src[i] in another type; BF16 rounds to nearest even. */
typedef struct ag_cast_args {
    void *dst;
    const void *src;
    ag_dtype dst_type, src_type;
    int64_t n;
} ag_cast_args;

/* Rows by index, converted between types. gather: dst[i] = src[index[i]]; scatter: dst[index[i]] = src[i], indices distinct. */
typedef enum ag_rows_kind { AG_ROWS_GATHER, AG_ROWS_SCATTER } ag_rows_kind;
typedef struct ag_rows_args {
    ag_rows_kind kind;
    void *dst;
    const void *src;
    ag_dtype dst_type, src_type;
    const int32_t *index;
    int64_t rows, width, dst_ld, src_ld;
} ag_rows_args;

/* y += alpha * x, n reals; x may be y. */
typedef struct ag_axpy_args {
    void *y;
    const void *x;
    double alpha;
    int64_t n;
} ag_axpy_args;

typedef struct ag_device ag_device;
#define AG_DEVICE_OPS(X)                                                                                     \
    X(matmul)                                                                                                \
    X(embed)                                                                                                 \
    X(embed_grad)                                                                                            \
    X(rmsnorm)                                                                                               \
    X(rmsnorm_grad)                                                                                          \
    X(rope)                                                                                                  \
    X(attention)                                                                                             \
    X(attention_grad)                                                                                        \
    X(swiglu)                                                                                                \
    X(swiglu_grad)                                                                                           \
    X(bias)                                                                                                  \
    X(bias_grad)                                                                                             \
    X(head_logprob)                                                                                          \
    X(head_grad)                                                                                             \
    X(sample)                                                                                                \
    X(adamw)                                                                                                 \
    X(sum_squares)                                                                                           \
    X(cast)                                                                                                  \
    X(rows)                                                                                                  \
    X(axpy)

/* Of a forward and backward: rows of a forest (targets of the head too), and of the model. */
typedef struct ag_scratch_shape {
    int64_t rows, width, vocab;
    int heads, kv_heads, head_dim;
} ag_scratch_shape;

struct ag_device {
    const char *name; /* "ref", "ref64", "far", "cpu", "cuda" */
    ag_dtype real;
    bool fast_bf16; /* has hardware products of bf16: the default type of weights */
    ag_dtype (*kept_type)(ag_dtype type, int head_dim); /* see ag_kept_type; NULL: real */
    void *impl;

    /* Memory. `what` names the allocation in plans and errors; zeroed. */
    ag_status (*alloc)(ag_device *d, void **memory, size_t bytes, const char *what, ag_error *err);
    void (*release)(ag_device *d, void *memory); /* NULL is fine */
    ag_status (*upload)(ag_device *d, void *dst, const void *host, size_t bytes, ag_error *err);
    ag_status (*download)(ag_device *d, void *host, const void *src, size_t bytes, ag_error *err); /* waits */
    ag_status (*copy)(ag_device *d, void *dst, const void *src, size_t bytes, ag_error *err);
    ag_status (*zero)(ag_device *d, void *dst, size_t bytes, ag_error *err);
    ag_status (*sync)(ag_device *d, ag_error *err);
    void (*close)(ag_device *d);

    /* In bytes: what is free now, and what this program can have in all. NULL: the machine's memory (ag_device_memory). */
    ag_status (*memory)(ag_device *d, size_t *free, size_t *have, ag_error *err);

    /* Bytes that operations of training take besides their arguments, at most, at that shape. NULL: nothing that counts. */
    size_t (*scratch)(ag_device *d, const ag_scratch_shape *shape);

    /* Sequences of operations that come again with the same arguments, launched as one; NULL where a backend gains nothing by it. `key` says
     * all that the arguments depend on. begin: *replayed: the sequence of that key has been issued, and the caller leaves it out; otherwise
     * the caller issues it, without uploads, downloads, sync or memory among it, and calls end (keep: all of it succeeded). forget: of all
     * keys, before memory that a sequence uses goes. */
    ag_status (*graph_begin)(ag_device *d, const void *key, size_t bytes, bool *replayed, ag_error *err);
    ag_status (*graph_end)(ag_device *d, bool keep, ag_error *err);
    void (*graph_forget)(ag_device *d);

#define AG_DECLARE(op) ag_status (*op)(ag_device * d, const ag_##op##_args *args, ag_error *err);
    AG_DEVICE_OPS(AG_DECLARE)
#undef AG_DECLARE
};

/* Of the table and of what its operations take: tells a plugin of another build. */
static inline size_t ag_device_table_bytes(void)
{
#define AG_BYTES(op) +sizeof(ag_##op##_args)
    return sizeof(ag_device) + sizeof(ag_scratch_shape) AG_DEVICE_OPS(AG_BYTES);
#undef AG_BYTES
}

/* Opens a backend by name. threads: 0 for all processors (cpu). "cuda" loads its plugin and fails clearly without one; "cuda:1" is the
 * second card. */
ag_status ag_device_open(ag_device **device, const char *name, int threads, ag_error *err);
void ag_device_close(ag_device *device);

/* Lets the ranks sum what lies on the device without the host, where the library for that is there (NCCL, of cards); *how says, in a
 * word, what sums gradients now. Collective; the communicator keeps it until it is closed. */
ag_status ag_device_join(ag_device *device, ag_comm *comm, const char **how, ag_error *err);
/* Bytes that are free where the device's tensors live, and that this program can have there in all. */
ag_status ag_device_memory(ag_device *device, size_t *free, size_t *have, ag_error *err);

/* The backends of this library. */
ag_status ag_device_ref_open(ag_device **device, ag_error *err);   /* scalar C, F32 */
ag_status ag_device_ref64_open(ag_device **device, ag_error *err); /* the same source in F64 */
ag_status ag_device_far_open(ag_device **device,
                             ag_error *err); /* ref over pages that host code cannot touch */
ag_status ag_device_cpu_open(ag_device **device, int threads, ag_error *err);

/* What the cpu backend found: "avx2, 2 threads, oneDNN 2.6.3", for doctor and logs. Appends to a buffer of n bytes. */
void ag_device_cpu_describe(char *text, size_t n);

/* A matrix as an operand of a product: rows x cols as it is stored, and whether its transpose is meant. */
typedef struct ag_operand {
    const void *values;
    int64_t rows, cols, ld;
    bool transposed;
} ag_operand;
static inline ag_operand ag_operand_whole(const void *values, int64_t rows, int64_t cols)
{
    return (ag_operand){values, rows, cols, cols, false};
}
static inline ag_operand ag_operand_transposed(ag_operand x)
{
    x.transposed = !x.transposed;
    return x;
}
/* matmul with its sizes taken from the operands: c = alpha a b + plus. */
ag_status ag_device_product(ag_device *d, ag_dtype type, void *c, ag_dtype c_type, int64_t ldc, ag_operand a,
                            ag_operand b, double alpha, const void *plus, ag_error *err);

/* Of what type a model whose products are of `type` keeps what they give to attention, SwiGLU and the norms' gradients: queries, keys and
 * values (in a session's store, too), gate and up, and the gradients of all these. BF16 halves the bytes that such operations, which
 * are bound by memory, move; the residual stream is real everywhere. A product is rounded once as it is written, and again where a bias
 * is added. */
static inline ag_dtype ag_kept_type(const ag_device *d, ag_dtype type, int head_dim)
{
    return d->kept_type ? d->kept_type(type, head_dim) : d->real;
}

/* Host reals to and from the device's type, through a temporary: for small arrays (targets, coefficients, tests). */
ag_status ag_device_put(ag_device *d, void *dst, const double *host, size_t n, ag_error *err);
ag_status ag_device_get(ag_device *d, double *host, const void *src, size_t n, ag_error *err);

#endif
