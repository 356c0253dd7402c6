/* policy_step.h: what the parts of one sampling step share. policy.c samples groups and rewards them, replay.c samples again with
 * hints where a group fails, policy_update.c trains on the answers, policy_log.c says what happened. Private to them.
 */
#ifndef AG_TRAIN_POLICY_STEP_H
#define AG_TRAIN_POLICY_STEP_H

#include "train/loss.h"
#include "train/methods.h"
#include "train/passage.h"
#include "train/policy.h"
#include "train/rollout.h"

/* The answers to one draw of a prompt. */
typedef struct ag_group {
    size_t pair;
    int32_t draw;
    size_t first; /* its plain rollouts are first .. first + group - 1 */
    uint32_t *
        members; /* [group] rollouts that the update sees: the plain ones, or guided ones in the place of some */
    int guided;     /* of the members */
    int level;      /* of their hint */
    bool signal;    /* its members' rewards differ: they can teach something */
    double success; /* share of the plain answers */
} ag_group;

/* What replay did in a step. */
typedef struct ag_replay_counts {
    double triggered, rescued, unsolved; /* groups */
    double tried[6], helped[6];          /* groups by level of the hint, and those that it gave a success */
    double succeeded, leaked,
        far;                 /* guided answers: successes; with words of the hint; too unlikely without it */
    double reliance, looked; /* sum over successes that were looked at, and their number */
    double weights, squares, weighed; /* sums over tokens of TRANSFER answers */
} ag_replay_counts;

typedef struct ag_policy_step {
    ag_trainer *t;
    const ag_stage *stage;
    const ag_method *method;
    ag_step_result *result;
    ag_rollouts rollouts;
    ag_group *groups;
    size_t group_count, group_cap;
    ag_arena arena; /* of members and answers */
    ag_reward_options reward;
    double soft;  /* what the gate leaves now */
    double share; /* of the stage that is behind */
    long step;    /* of the stage, from 1 */
    ag_replay_counts replay;
    ag_loss_sums sums;
    double entropy, seen, mismatch, mismatch_most,
        compared; /* seen, compared: tokens of the sums beside them */
    double trained_answers, guided_answers, updates, margin, pairs, right_pairs;
    ag_error *err;
} ag_policy_step;

/* The sampler of this step. */
ag_sampler ag_policy_sampler(const ag_policy_step *step);
/* Verdict and reward of a rollout. */
ag_status ag_policy_verify(ag_policy_step *step, ag_rollout *rollout);
/* Does the answer have the gold tier? */
bool ag_policy_right(const ag_policy_step *step, const ag_rollout *rollout);
/* Is the answer right; and, where the method asks for a gate, consistent, with the gold verdicts and rule where they are known? */
bool ag_policy_success(const ag_policy_step *step, const ag_rollout *rollout);
/* Advantages of a group's members, and whether it has a signal. */
ag_status ag_policy_advantages(ag_policy_step *step, ag_group *group);
/* Puts a guided rollout in the place of the group's plain member with the lowest reward. */
void ag_policy_admit(ag_policy_step *step, ag_group *group, uint32_t rollout);
/* Advantages of a group with guided members; without any useful one it is as it was. */
ag_status ag_policy_settle(ag_policy_step *step, ag_group *group);
/* Replays the groups from `from` on that fail (replay.c). */
ag_status ag_policy_replay(ag_policy_step *step, size_t from);
/* What a group's plain answers tell of its prompt, after replay. */
ag_status ag_policy_remember(ag_policy_step *step, const ag_group *group);
/* All updates of the step (policy_update.c). */
ag_status ag_policy_update(ag_policy_step *step);
/* What the step came to, into result (policy_log.c). */
ag_status ag_policy_log(ag_policy_step *step);

#endif
