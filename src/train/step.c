/* step.c: what the steps of all methods share: how many there are, the shuffled stream they draw from, the rate, and the
 * optimizer's update.
 */
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include "base/mem.h"
#include "base/rng.h"
#include "train/methods.h"

bool ag_stage_samples(const ag_stage *stage)
{
    return ag_method_find(stage->method)->parts & AG_METHOD_SAMPLES;
}

long ag_stage_steps(const ag_trainer *t, const ag_stage *stage)
{
    if (stage->steps > 0) return stage->steps;
    const ag_method *m = ag_method_find(stage->method);
    size_t count = m->parts & AG_METHOD_SAMPLES ? t->pool->count
                   : m->pool                    ? t->pool_set.count
                                                : t->train.count;
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

double ag_stage_share(const ag_trainer *t, const ag_stage *stage, long step)
{
    double share = (double)(step - 1) / (double)ag_stage_steps(t, stage);
    if (stage->budget > 0) share = fmax(share, (double)t->state.stage_spent / stage->budget);
    return fmin(share, 1);
}

double ag_stage_rate(const ag_trainer *t, const ag_stage *stage, long step)
{
    long steps = ag_stage_steps(t, stage),
         at = 1 + (long)(ag_stage_share(t, stage, step) * (double)steps + 1e-9);
    return ag_schedule(stage->schedule, stage->lr, stage->min_lr, stage->warmup, at < steps ? at : steps,
                       steps);
}

void ag_step_note(char note[AG_NOTE], const ag_stage *stage, const ag_step_result *r, double seconds)
{
    double rate = (double)r->tokens / seconds;
    bool replays = ag_method_find(stage->method)->parts & AG_METHOD_REPLAYS;
    char speed[32], hint[24] = "";
    snprintf(speed, sizeof speed, rate < 9950 ? "%.0f tok/s" : "%.0fk tok/s",
             rate < 9950 ? rate : rate / 1e3);
    if (replays) snprintf(hint, sizeof hint, "hint %.0f%%  ", 100 * r->guided);
    if (ag_stage_samples(stage))
        snprintf(note, AG_NOTE, "rew %.2f  acc %.0f%%  gate %.0f%%  dead %.0f%%  %scut %.0f%%  %s", r->reward,
                 100 * r->accuracy, 100 * r->gate, 100 * r->dead, hint, 100 * r->truncated, speed);
    else
        snprintf(note, AG_NOTE, "loss %.4f  %s", r->loss, speed);
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
