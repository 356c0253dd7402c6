/* reference.h: the policy that a stage began with, for KL terms and preferences: its weights beside the trained ones, put into the
 * model for a forward and taken out again. Private to train/.
 */
#ifndef AG_TRAIN_REFERENCE_H
#define AG_TRAIN_REFERENCE_H

#include "train/trainer.h"

/* Does the stage look at its first policy? */
bool ag_reference_needed(const ag_stage *stage);
/* At a stage's first step keeps the weights, in memory and in reference/stage-N.safetensors of the run folder; when a stage is
 * continued reads them back. Frees those of another stage. */
ag_status ag_reference_begin(ag_trainer *t, const ag_stage *stage, ag_error *err);
/* Between the two the model is the reference. */
ag_status ag_reference_enter(ag_trainer *t, ag_error *err);
ag_status ag_reference_leave(ag_trainer *t, ag_error *err);
void ag_reference_free(ag_trainer *t);

#endif
