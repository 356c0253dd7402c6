/* loss.h: the policy-gradient loss of sampled answers and its gradient by log-probability (METHOD.md section 9).
 *
 * Plain arithmetic on host arrays between a forward and a backward. Clipped surrogate: PPO (Schulman et al. 2017, arXiv
 * 1707.06347, equation 7) with bounds of their own for each side (DAPO, arXiv 2503.14476) and dual clip (Ye et al. 2020, arXiv
 * 1912.09729); sequence ratio: GSPO (arXiv 2507.18071); weights of guided answers: this project's (LUFFY, arXiv 2504.14945, is
 * behind SHAPED).
 */
#ifndef AG_TRAIN_LOSS_H
#define AG_TRAIN_LOSS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum ag_ratio_kind { AG_RATIO_TOKEN, AG_RATIO_SEQUENCE } ag_ratio_kind;

typedef struct ag_surrogate_options {
    ag_ratio_kind ratio;
    double clip_low, clip_high; /* the ratio counts between 1 - low and 1 + high */
    double clip_dual;           /* for negative advantages the loss is at most -A * dual */
    double beta;                /* weight of k2 against the reference; 0: none */
    double entropy;             /* what the entropy is rewarded with */
} ag_surrogate_options;

/* One answer's tokens that were chosen (forced ones are left out). */
typedef struct ag_loss_sequence {
    size_t count;
    const double *advantage; /* of each token (credit by field gives some 0) */
    const double *weight;    /* constant behaviour weight of each token; NULL: 1 */
    const double *now, *old; /* log-probabilities of the policy that is trained, and at sampling */
    const double *reference; /* NULL: none (beta must be 0) */
    double coefficient;      /* what each token's loss is multiplied by: 1 / N for a mean over N tokens */
    const double *entropy;   /* of the policy at each token; NULL: none (options' entropy must be 0) */
} ag_loss_sequence;

/* Sums over tokens, for the log. */
typedef struct ag_loss_sums {
    double loss, policy,
        kl3; /* loss with coefficients; its policy part; k3 estimates of KL(policy || reference), unweighted */
    double ratio, ratio_largest; /* of ratios */
    double clipped;              /* tokens whose gradient the clip removed */
    double tokens, referred;     /* all; those with a reference */
} ag_loss_sums;

/* Loss and gradient of one answer: dnow[t] = dL / d now[t] (set), sums are added to. The entropy's gradient is an unbiased estimate at
 * ratio 1: with the entropy H as its baseline, (log p + H) grad log p of the sampled token has the mean -grad H. */
void ag_sequence_loss(const ag_surrogate_options *options, const ag_loss_sequence *sequence, double *dnow,
                      ag_loss_sums *sums);

/* Cross-entropy of an answer's tokens, each times `coefficient` (times weight[t], NULL: 1). Returns the loss; sets dnow. */
double ag_imitation_loss(size_t n, double coefficient, const double *weight, const double *now, double *dnow);

/* DPO (Rafailov et al. 2023, arXiv 2305.18290, equation 7) of one pair, times `coefficient`: the arguments are sums over each
 * answer's tokens. Returns the loss; *slope is its derivative by the log-probability of the better answer, and its negative that by
 * the worse one's; *margin (may be NULL) the difference of implied rewards. */
double ag_preference_loss(double beta, double coefficient, double better, double better_reference,
                          double worse, double worse_reference, double *slope, double *margin);

typedef enum ag_guided_weight {
    AG_WEIGHT_NONE,   /* 1 */
    AG_WEIGHT_TIS,    /* min(u, cap): truncated importance sampling */
    AG_WEIGHT_SEQ,    /* min(product of u, cap) for all tokens: unbiased up to truncation */
    AG_WEIGHT_SHAPED, /* min(u, cap) (1 + g) / (min(u, cap) + g): emphasis on rare tokens, 1 at u = 1 */
    AG_WEIGHT_FLOOR   /* u between floor and cap */
} ag_guided_weight;

typedef struct ag_guided_options {
    ag_guided_weight weight;
    double cap;   /* C; 0: 5 of SEQ, whose weights are products, and 2 of the others */
    double gamma; /* g of SHAPED */
    double floor; /* of FLOOR */
} ag_guided_options;

/* Behaviour weights of an answer that was sampled with a hint and is trained without: u_t = exp(plain[t] - hinted[t]), both
 * log-probabilities of the sampling policy. */
void ag_guided_weights(const ag_guided_options *options, const double *plain, const double *hinted, size_t n,
                       double *weight);
/* exp(mean of log u): how likely the answer is without its hint, a token. 1 for n = 0. */
double ag_geometric_weight(const double *plain, const double *hinted, size_t n);

#endif
