/* step.c: what the steps of all methods share: how many there are, the shuffled stream they draw from, where a batch is cut into
 * forests, and the optimizer's update.
 */
#include "train/trainer.h"

#include <math.h>
#include "base/mem.h"
#include "base/rng.h"
#include "train/methods.h"

bool ag_stage_samples(const ag_stage *stage)
{
    return ag_method_find(stage->method)->kind == AG_METHOD_POLICY;
}

long ag_stage_steps(const ag_trainer *t, const ag_stage *stage)
{
    if (stage->steps > 0) return stage->steps;
    size_t count = ag_stage_samples(stage) ? t->pool->count : t->train.count;
    return (long)ceil(stage->epochs * (double)count / (double)stage->batch);
}

ag_status ag_stream_at(ag_stream *s, const ag_trainer *t, ag_stream_kind kind, size_t count, int64_t position,
                       size_t *index, ag_error *err)
{
    int64_t n = (int64_t)count, epoch = position / n;
    if (!s->order) {
        s->order = ag_calloc(count, sizeof *s->order);
        s->epoch = -1;
        if (!s->order) return ag_fail_memory(err, "order of pairs");
    }
    if (s->epoch != epoch) {
        for (int64_t i = 0; i < n; i++) s->order[i] = (uint32_t)i;
        ag_rng r = ag_rng_at((uint64_t)t->settings->seed, AG_RNG_SHUFFLE, (uint64_t)t->state.stage,
                             (uint64_t)epoch, (uint64_t)kind, 0);
        ag_rng_shuffle(&r, s->order, (uint32_t)n);
        s->epoch = epoch;
    }
    *index = s->order[position % n];
    return AG_OK;
}

bool ag_forest_is_full(const ag_trainer *t, const int32_t *tokens, int32_t count, int32_t targets)
{
    int32_t rows = ag_forest_rows(&t->builder);
    return rows > 0 && (rows + ag_forest_cost(&t->builder, tokens, count, true) > t->settings->micro_tokens ||
                        targets > t->max_targets);
}

ag_status ag_stage_update(ag_trainer *t, const ag_stage *stage, double lr, double *norm, ag_error *err)
{
    const ag_update_rule rule = {.beta1 = stage->beta1,
                                 .beta2 = stage->beta2,
                                 .eps = stage->eps,
                                 .weight_decay = stage->weight_decay,
                                 .clip = stage->clip,
                                 .muon = ag_streq(stage->optimizer, "muon"),
                                 .momentum = stage->momentum};
    return ag_optimizer_update(&t->optimizer, t->comm, &rule, lr, norm, err);
}
