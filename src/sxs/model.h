/* model.h: the answer that a model's judgements of single items come to, side by side.
 *
 * The side with the greater discounted cumulative gain (Jaervelin and Kekaelaeinen 2002; expected gains, log2 of rank + 1) is better. The
 * difference is measured in shares of the best that the items of both sides could give: below AG_SXS_MODEL_SAME it is "the same", from
 * AG_SXS_MODEL_MUCH on "much better". "The same" is "both good" when at least half of the items shown are good.
 */
#ifndef AG_SXS_MODEL_H
#define AG_SXS_MODEL_H

#include <stdint.h>
#include "base/json.h"

#define AG_SXS_MODEL_SAME 0.02
#define AG_SXS_MODEL_MUCH 0.25

/* What a model says of an item. */
typedef struct ag_sxs_opinion {
    int64_t item;
    double gain; /* expected, at least 0 */
    bool good;
} ag_sxs_opinion;

/* The answer to a task (both as in sxs/store.h). `opinions` has each item of the task once, in any order; one that lacks is
 * AG_ERR_INPUT. New reference. */
ag_status ag_sxs_model_answer(json_t **answer, const json_t *task, const ag_sxs_opinion *opinions,
                              size_t count, ag_error *err);

#endif
