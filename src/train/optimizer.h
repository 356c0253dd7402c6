/* optimizer.h: AdamW, or Muon for the layers' matrices, over a model's trainable parameters, with fp32 masters where the
 * weights are narrower.
 *
 * One buffer each for masters and both moments, laid out like the model's gradients. Weight decay touches matrices only.
 */
#ifndef AG_TRAIN_OPTIMIZER_H
#define AG_TRAIN_OPTIMIZER_H

#include "base/comm.h"
#include "model/model.h"

typedef struct ag_optimizer {
    ag_model *model;
    void *master;  /* device real [train_count]; the weights in full precision */
    void *m, *v;   /* device real [train_count] */
    int64_t step;  /* updates made */
    void *scratch; /* of Muon: device real; NULL until its first update */
} ag_optimizer;

/* AdamW (Loshchilov and Hutter 2019) everywhere; or Muon (Jordan et al. 2024) for the matrices of the layers, each projection of its
 * own: Nesterov momentum, orthogonalised by five Newton-Schulz steps, times 0.2 sqrt(max(rows, columns)), which gives
 * updates the size of AdamW's, so that both share one learning rate (Liu et al. 2025, arXiv 2502.16982, equation 4). Embeddings,
 * head, norms and biases stay with AdamW. */
typedef struct ag_update_rule {
    double beta1, beta2, eps, weight_decay, clip;
    bool muon;
    double momentum; /* Muon's */
} ag_update_rule;

/* Masters are taken from the model's weights; moments are zero. */
ag_status ag_optimizer_create(ag_optimizer *optimizer, ag_model *model, ag_error *err);
void ag_optimizer_free(ag_optimizer *optimizer);
/* Moments and step back to zero (a new stage). */
ag_status ag_optimizer_reset(ag_optimizer *optimizer, ag_error *err);
/* Sums gradients over ranks, clips their norm, updates masters and weights, zeroes the gradients. *norm: before clipping. A norm that
 * is not finite is AG_ERR_INTERNAL and changes nothing. Muon with LoRA is AG_ERR_UNSUPPORTED. */
ag_status ag_optimizer_update(ag_optimizer *optimizer, ag_comm *comm, const ag_update_rule *rule, double lr,
                              double *norm, ag_error *err);
/* The model's weights follow from these values (device real [train_count]): the masters, or another policy's. */
ag_status ag_optimizer_spread(ag_optimizer *optimizer, const void *masters, ag_error *err);
/* Bytes of Muon's scratch, for the memory plan. */
size_t ag_optimizer_muon_bytes(const ag_model *model);
/* state/optimizer.safetensors: moments, and masters where the weights file cannot hold them. */
ag_status ag_optimizer_save(const ag_optimizer *optimizer, const char *dir, ag_error *err);
ag_status ag_optimizer_load(ag_optimizer *optimizer, const char *dir, int64_t step, ag_error *err);

/* The rate at `step` (from 1) of `steps`. */
double ag_schedule(const char *schedule, double lr, double min_lr, double warmup, long step, long steps);

#endif
