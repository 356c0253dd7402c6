/* policy.h: one step of a method that samples: prompts, answers, rewards, advantages, and the updates they lead to (METHOD.md
 * sections 5, 6, 9 and 10; GRPO: Shao et al. 2024, arXiv 2402.03300). Private to train/.
 */
#ifndef AG_TRAIN_POLICY_H
#define AG_TRAIN_POLICY_H

#include "train/trainer.h"

/* What the book's rewards must keep for a method: a right tier is worth more than everything else together (METHOD.md section 5).
 * AG_ERR_INPUT names the weights. */
ag_status ag_policy_check(const ag_book *book, const char *method, ag_error *err);
/* Class balance of `per: asked` verdicts over the pool: 1 / share of each gold verdict, scaled to a mean of 1 over the pool. */
void ag_policy_balance(double weight[AG_MAX_CRITERIA][AG_MAX_VERDICTS], const ag_book *book,
                       const ag_pair_list *pool);

ag_status ag_policy_step(ag_trainer *t, const ag_stage *stage, long step, ag_step_result *result,
                         ag_error *err);

#endif
