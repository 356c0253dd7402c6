/* layers.h: what passes and sessions share: one layer forward, given where its keys and values live. Private to model/. */
#ifndef AG_MODEL_LAYERS_H
#define AG_MODEL_LAYERS_H

#include "model/model.h"

/* Device buffers of one layer for up to max_rows tokens. Those that backward reads are kept per layer when training. Of the model's type
 * ("type"), its ag_kept_type ("kept") or real. */
typedef struct ag_layer_buffers {
    void *mid;           /* real [rows, width]: residual stream between attention and the feed-forward part */
    void *norm1, *norm2; /* type [rows, width] */
    void *rstd1, *rstd2; /* real [rows] */
    void *qkv_raw;       /* real: before q/k norms; NULL without them (then qkv is normed nowhere) */
    void *qkv;           /* kept [rows, (heads + 2 kv_heads) * head_dim] after norms and RoPE */
    void *rstd_q, *rstd_k;
    void *attention; /* type [rows, heads * head_dim] */
    void *lse;       /* real [heads, rows] */
    void *gate_up;   /* kept [rows, 2 ff] */
    void *hidden;    /* type [rows, ff] */
} ag_layer_buffers;

/* Where a layer's keys and values are read: the rows themselves (store NULL) or a store to which they are written first. */
typedef struct ag_keys {
    void *store;          /* kept [slots, 2 * kv_heads * head_dim]: k then v */
    const int32_t *slots; /* device: slot of each row */
} ag_keys;

ag_status ag_layer_buffers_alloc(ag_layer_buffers *b, const ag_model *model, int64_t rows, bool train,
                                 ag_error *err);
void ag_layer_buffers_release(ag_layer_buffers *b, ag_device *d);

/* x_out = layer(x_in); x_out may be x_in. lora_scratch: of NULLs without LoRA. */
typedef struct ag_lora_scratch {
    void *wide, *narrow; /* real and type [rows, rank] */
    void *grad_wide, *grad_narrow;
    void *sum; /* real [rows, out] of the widest linear whose result is kept narrower */
} ag_lora_scratch;
ag_status ag_layer_forward(const ag_model *model, const ag_layer *layer, int64_t rows, const void *x_in,
                           void *x_out, const int32_t *positions, const ag_attention_plan *plan,
                           const ag_keys *keys, const ag_layer_buffers *b, const ag_lora_scratch *lora,
                           ag_error *err);

/* y = x W^T (+ bias + LoRA) + plus (NULL: nothing; else real like y, of its shape, or y itself); x of the model's type, y of y_type (real or
 * kept). */
ag_status ag_linear_forward(const ag_model *model, const ag_linear *linear, int64_t rows, const void *x,
                            void *y, ag_dtype y_type, const void *plus, const ag_lora_scratch *lora,
                            ag_error *err);
/* dx (overwritten, of dx_type) and gradients of the weights; dy of the model's type. dx may be NULL. */
ag_status ag_linear_backward(const ag_model *model, const ag_linear *linear, int64_t rows, const void *x,
                             const void *dy, void *dx, ag_dtype dx_type, const ag_lora_scratch *lora,
                             ag_error *err);
ag_status ag_lora_scratch_alloc(ag_lora_scratch *s, const ag_model *model, int64_t rows, bool train,
                                ag_error *err);
void ag_lora_scratch_release(ag_lora_scratch *s, ag_device *d);

/* Grammar masks on the device. of_row is allocated by the owner, one entry a row; bits grow here. Both are the owner's to release. */
typedef struct ag_mask_store {
    void *of_row, *bits;
    size_t bytes; /* of bits */
} ag_mask_store;
/* Masks of the first `rows` rows; NULL: nothing to do. */
ag_status ag_masks_upload(ag_mask_store *s, ag_device *d, const ag_masks *masks, int64_t rows, int64_t vocab,
                          ag_error *err);

#endif
