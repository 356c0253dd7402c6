/* policy.h: one step of a method that samples: prompts, answers, rewards, advantages, and the updates they lead to (METHOD.md
 * sections 5, 6, 9 and 10; GRPO: Shao et al. 2024, arXiv 2402.03300). Private to train/.
 */
#ifndef AG_TRAIN_POLICY_H
#define AG_TRAIN_POLICY_H

#include "train/trainer.h"

/* What the book's rewards must keep for a method: a right tier is worth more than everything else together (METHOD.md section 5).
 * AG_ERR_INPUT names the weights. */
ag_status ag_policy_check(const ag_book *book, const char *method, ag_error *err);
/* Are gold tier, rule and all verdicts known? */
bool ag_policy_gold_complete(const ag_book *book, const ag_pair *pair);
/* Do gold verdicts, all known, lead to another tier than the gold one, or by another rule? No answer can succeed then: labels or book
 * are wrong. */
bool ag_policy_gold_against(const ag_book *book, const ag_pair *pair);
/* Class balance of `per: asked` verdicts over the pool: 1 / share of each gold verdict, scaled to a mean of 1 over the pool. */
void ag_policy_balance(double weight[AG_MAX_CRITERIA][AG_MAX_VERDICTS], const ag_book *book,
                       const ag_pair_list *pool);

/* reward.json of a run folder: the book's weights and the balance of the pool's verdicts, from which rewards can be added up again. */
ag_status ag_policy_write_reward(const ag_trainer *t, ag_error *err);

/* Is there a record where the stage names one, sampled with its settings? Its first group is looked at, no pair or model is needed. */
ag_status ag_policy_check_recorded(const ag_stage *stage, ag_error *err);
/* Reads the rollouts that a stage trains on in place of sampling, where it names any, and drops those of the stage before. */
ag_status ag_policy_open_recorded(ag_trainer *t, const ag_stage *stage, ag_error *err);
void ag_policy_close_recorded(ag_trainer *t);

ag_status ag_policy_step_run(ag_trainer *t, const ag_stage *stage, long step, ag_step_result *result,
                             ag_error *err);

#endif
