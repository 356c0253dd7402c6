/* passage.h: sequences on their way through forward and backward, cut into forests of at most micro_tokens rows.
 *
 * What is learned from log-probabilities is host arithmetic in between: a passage's `logprob` is set by the forward, its `slope` by
 * the method, and backward reads it. Private to train/.
 */
#ifndef AG_TRAIN_PASSAGE_H
#define AG_TRAIN_PASSAGE_H

#include "train/trainer.h"

typedef struct ag_passage {
    const int32_t *tokens;
    const uint8_t *wanted;  /* [count] tokens whose log-probability is asked for; never the first */
    int32_t count, targets; /* tokens; of those, wanted ones */
    int32_t answer;         /* where the answer begins */
    const ag_asked *asked;  /* under the answer's grammar to what is asked here; NULL: any token may follow */
    double *logprob, *entropy,
        *slope; /* [targets] each, in order; entropy may be NULL, slope where nothing is learned */
} ag_passage;

/* Sets the slopes of passages from .. to-1, whose log-probabilities stand. */
typedef ag_status (*ag_passage_loss)(void *user, size_t from, size_t to, ag_error *err);

/* Forward of all passages and, where `loss` is given, backward into the model's gradients, forest by forest. One passage always
 * fits. Adds rows to result->tokens and result->unshared. Of several ranks each runs a share; the gradients are of its share, all else
 * is of all passages. */
ag_status ag_passages_run(ag_trainer *t, const ag_passage *passages, size_t n, double temperature,
                          ag_passage_loss loss, void *user, ag_step_result *result, ag_error *err);

#endif
