/* optimizer.h: AdamW over a model's trainable parameters, with fp32 masters where the weights are narrower.
 *
 * One buffer each for masters and both moments, laid out like the model's gradients. Weight decay touches matrices only.
 */
#ifndef AG_TRAIN_OPTIMIZER_H
#define AG_TRAIN_OPTIMIZER_H

#include "base/comm.h"
#include "model/model.h"

typedef struct ag_optimizer {
    ag_model *model;
    void *master; /* device real [train_count]; the weights in full precision */
    void *m, *v;  /* device real [train_count] */
    int64_t step; /* updates made */
} ag_optimizer;

typedef struct ag_adamw {
    double beta1, beta2, eps, weight_decay, clip;
} ag_adamw;

/* Masters are taken from the model's weights; moments are zero. */
ag_status ag_optimizer_create(ag_optimizer *optimizer, ag_model *model, ag_error *err);
void ag_optimizer_free(ag_optimizer *optimizer);
/* Moments and step back to zero (a new stage). */
ag_status ag_optimizer_reset(ag_optimizer *optimizer, ag_error *err);
/* Sums gradients over ranks, clips their norm, updates masters and weights, zeroes the gradients. *norm: before clipping. A norm that
 * is not finite is AG_ERR_INTERNAL and changes nothing. */
ag_status ag_optimizer_update(ag_optimizer *optimizer, ag_comm *comm, const ag_adamw *adamw, double lr,
                              double *norm, ag_error *err);
/* state/optimizer.safetensors: moments, and masters where the weights file cannot hold them. */
ag_status ag_optimizer_save(const ag_optimizer *optimizer, const char *dir, ag_error *err);
ag_status ag_optimizer_load(ag_optimizer *optimizer, const char *dir, int64_t step, ag_error *err);

/* The rate at `step` (from 1) of `steps`. */
double ag_schedule(const char *schedule, double lr, double min_lr, double warmup, long step, long steps);

#endif
