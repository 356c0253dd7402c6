/* advantage.h: from the rewards of a group to advantages (METHOD.md section 6; group baseline: GRPO, Shao et al. 2024, arXiv
 * 2402.03300, section 4.1). Pure arithmetic on host arrays.
 */
#ifndef AG_TRAIN_ADVANTAGE_H
#define AG_TRAIN_ADVANTAGE_H

#include <stdbool.h>

typedef enum ag_advantage_norm { AG_NORM_STD, AG_NORM_MEAN } ag_advantage_norm;

typedef struct ag_advantage_options {
    ag_advantage_norm
        norm; /* STD: divided by the group's deviation, MEAN: only centred (Dr. GRPO, arXiv 2503.20783) */
    double sd_floor;  /* STD divides by no less: small differences of shaping stay small */
    double wrong_cap; /* advantage of an answer with a wrong tier at most */
    double clamp;     /* of every advantage, both ways */
} ag_advantage_options;

/* Advantages of the n answers of one group; right[i]: the tier is right. Returns false when all rewards are the same (such a
 * group has no signal; all advantages are 0). n >= 1. */
bool ag_advantages(const ag_advantage_options *options, const double *reward, const bool *right, int n,
                   double *advantage);

#endif
