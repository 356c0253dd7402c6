/* model.h: a transformer's parameters on a device, and passes over them.
 *
 * Parameters live in two buffers: matrices (inputs of products, of the model's type) and vectors (norm weights and biases,
 * real). Projections that read the same input are stored as one matrix: q, k, v as `qkv`; gate and up as `gate_up`; files hold
 * them apart. Full fine-tuning trains every parameter; LoRA (Hu et al. 2021) freezes them and adds low-rank pairs A, B to each
 * linear layer: y += (alpha / rank) B A x.
 */
#ifndef AG_MODEL_MODEL_H
#define AG_MODEL_MODEL_H

#include "device/device.h"
#include "model/config.h"
#include "model/forest.h"
#include "model/weights.h"

typedef struct ag_param {
    char name[96];      /* "layers.3.qkv", "layers.3.qkv.lora_a", "embed", "norm", ... */
    int64_t rows, cols; /* vectors: rows 1 */
    bool matrix;        /* in the matrix buffer; else in the vector buffer */
    int64_t offset;     /* in elements, in its buffer */
    int64_t train;      /* offset in the training buffers, or -1: frozen */
} ag_param;

/* A piece of a fused matrix as files name it: output rows [row, row + rows) of the fused matrix. */
typedef struct ag_piece {
    const char *file_name; /* "self_attn.q_proj" */
    int64_t row, rows;
} ag_piece;

enum { AG_MAX_PIECES = 3 };
/* One linear layer: y = x W^T. Indices of parameters; -1: none. */
typedef struct ag_linear {
    int weight, bias;
    int64_t in, out;
    int pieces;
    ag_piece piece[AG_MAX_PIECES];
    int lora_a[AG_MAX_PIECES], lora_b[AG_MAX_PIECES]; /* A [rank, in], B [piece rows, rank] */
} ag_linear;

typedef struct ag_layer {
    int norm1, norm2, q_norm, k_norm;
    ag_linear qkv, out, gate_up, down;
} ag_layer;

typedef struct ag_model {
    ag_config config;
    ag_device *device;
    ag_dtype type; /* of matrices and of the inputs of products */
    ag_param *params;
    int param_count;
    ag_layer *layers;
    int embed, final_norm, head; /* head == embed when tied */
    void *matrices, *vectors;    /* device */
    int64_t matrix_count, vector_count, train_count;
    void *grads; /* device, real [train_count]; NULL when not training */
    /* device, real [train_count], or NULL: the trained weights as the file has them, where matrices are rounded to a narrower
     * type. Waits for an optimizer to take it. */
    void *masters;
    void *rope; /* device, real [max_positions, head_dim] */
    int rope_positions;
    int lora_rank; /* 0: none */
    double lora_alpha;
} ag_model;

typedef struct ag_model_options {
    ag_dtype type;     /* AG_BF16 or the device's real */
    int max_positions; /* rope table; 0: 4096 or the model's, the smaller */
    bool train;        /* allocate gradients */
    int lora_rank;     /* > 0: freeze everything else */
    double lora_alpha;
} ag_model_options;

/* An empty model of this shape (weights zero). The device must outlive it. */
ag_status ag_model_create(ag_model **model, const ag_config *config, ag_device *device,
                          const ag_model_options *options, ag_error *err);
/* Random weights: normal with deviation 0.02 (projections back into the residual stream divided by sqrt(2 * layers)), norms 1,
 * biases 0, LoRA A normal / sqrt(in), B zero: a function of seed and each parameter's name. */
ag_status ag_model_randomize(ag_model *model, uint64_t seed, ag_error *err);
/* Only the LoRA pairs (A; B stays zero), for a model whose weights come from a file. */
ag_status ag_model_randomize_lora(ag_model *model, uint64_t seed, ag_error *err);
/* Weights from a file (LoRA pairs are left as they are); those of a model that trains narrower matrices go to masters too. */
ag_status ag_model_read(ag_model *model, const ag_weights *weights, ag_error *err);
/* LoRA pairs from an adapter folder written by ag_model_save. */
ag_status ag_model_read_adapter(ag_model *model, const char *dir, ag_error *err);
/* A Hugging Face folder's model files: config.json and model.safetensors; or, with LoRA, adapter_config.json and
 * adapter_model.safetensors (PEFT's names). `master` (host reads through device) are the values to write when given: device real
 * [train_count], from the optimizer; else the model's own. */
ag_status ag_model_save(const ag_model *model, const char *dir, const void *master, ag_weights_type type,
                        const char *base_model, ag_error *err);
void ag_model_free(ag_model *model);

/* Index of a parameter by name, or -1. */
int ag_model_find(const ag_model *model, const char *name);
/* Device address of a parameter's values, and of its gradient (NULL when frozen). */
void *ag_param_value(const ag_model *model, int param);
void *ag_param_grad(const ag_model *model, int param);
ag_dtype ag_param_type(const ag_model *model, int param);
/* Values of a parameter to and from the host, in its own precision. */
ag_status ag_param_get(const ag_model *model, int param, double *values, ag_error *err);
ag_status ag_param_set(ag_model *model, int param, const double *values, ag_error *err);

/* What backward computes a second time, for less memory. */
typedef enum ag_recompute {
    AG_RECOMPUTE_NONE, /* nothing: the head's probabilities of rows with targets are kept, in the model's type */
    AG_RECOMPUTE_HEAD, /* those */
    AG_RECOMPUTE_LAYER /* and all of a layer but its input */
} ag_recompute;
/* By its name in settings: "none", "head" or "layer"; false: not one of them. */
bool ag_recompute_named(ag_recompute *recompute, const char *name);

/* What a pass or session of this size needs, in bytes: for the memory plan. */
typedef struct ag_pass_options {
    int32_t max_rows;    /* tokens of the largest forest */
    int32_t max_targets; /* rows with targets, and targets, at most this many each */
    bool train;          /* keep what backward needs */
    ag_recompute recompute;
} ag_pass_options;
typedef struct ag_memory_need {
    size_t weights, gradients, activations, head, other;
} ag_memory_need;
ag_memory_need ag_model_memory(const ag_config *config, const ag_model_options *model,
                               const ag_pass_options *pass, const ag_device *device);

/* ag_kept_type (device.h) of the model's activations, and of what sessions store. */
static inline ag_dtype ag_model_kept_type(const ag_model *m)
{
    return ag_kept_type(m->device, m->type, m->config.head_dim);
}

/* A pass over forests: forward, log-probabilities of targets, backward. Not thread safe. */
typedef struct ag_pass ag_pass;
ag_status ag_pass_create(ag_pass **pass, ag_model *model, const ag_pass_options *options, ag_error *err);
void ag_pass_free(ag_pass *pass);
/* Runs a forest (at most max_rows tokens and max_targets targets; positions below max_positions). */
ag_status ag_pass_forward(ag_pass *pass, const ag_forest *forest, ag_error *err);
/* Log-probability of each target of the last forward, in the forest's order, and (may be NULL) the entropy of each target's
 * row. Host arrays [target_count]. Masks: see device.h; host arrays, one mask index a target ROW in order of rows, NULL: none. */
typedef struct ag_masks {
    const int32_t *of_row; /* [rows with targets], -1: all tokens allowed */
    const uint32_t *bits;  /* [count, (vocab + 31) / 32] */
    int32_t count;
} ag_masks;
ag_status ag_pass_logprob(ag_pass *pass, double temperature, const ag_masks *masks, double *logprob,
                          double *entropy, ag_error *err);
/* Adds to the model's gradients, given dL/dlogprob of each target (host). Once per forward, after ag_pass_logprob. */
ag_status ag_pass_backward(ag_pass *pass, const double *dlogprob, ag_error *err);

#endif
