/* sft.c: supervised fine-tuning: one update; and the same gradient as an anchor beside another loss. */
#include "train/passage.h"

#include <math.h>
#include "base/mem.h"
#include "train/methods.h"

/* The loss is a mean over answer tokens, in which choices weigh choice_weight, plus prompt_loss times a mean over prompt tokens; each
 * mean has its own denominator, which is known before the first forward, so any cut into forests or ranks gives the same loss
 * and gradient. */
typedef struct lesson {
    const ag_dataset *set;
    const uint32_t *sequence; /* of each passage */
    const ag_passage *passages;
    double gold_tokens, choice_weight, prompt_tokens, prompt_loss, scale;
    double loss, loss_of_prompts;
} lesson;

static ag_status set_slopes(void *user, size_t from, size_t to, ag_error *err)
{
    (void)err;
    lesson *l = user;
    for (size_t i = from; i < to; i++) {
        const ag_sequence *s = &l->set->sequences[l->sequence[i]];
        const ag_passage *p = &l->passages[i];
        for (int32_t k = 0, at = 0; at < s->count; at++) {
            if (!s->wanted[at]) continue;
            bool prompt = s->wanted[at] == AG_WANTED_PROMPT;
            double weight = prompt ? 1 / l->prompt_tokens : s->weight / l->gold_tokens;
            if (s->wanted[at] == AG_WANTED_CHOICE) weight *= l->choice_weight;
            *(prompt ? &l->loss_of_prompts : &l->loss) -= weight * p->logprob[k];
            p->slope[k++] = -weight * l->scale * (prompt ? l->prompt_loss : 1);
        }
    }
    return AG_OK;
}

/* Passages of n examples. */
static ag_status make_passages(const ag_dataset *set, const size_t *examples, long n, ag_arena *arena,
                               ag_passage **passages, uint32_t **sequence, size_t *count, ag_error *err)
{
    size_t most = 1;
    *count = 0;
    for (long i = 0; i < n; i++) most += set->examples[examples[i]].count;
    *passages = ag_arena_alloc(arena, most, sizeof **passages);
    *sequence = ag_arena_alloc(arena, most, sizeof **sequence);
    bool ok = *passages && *sequence;
    for (long i = 0; i < n && ok; i++) {
        const ag_example *e = &set->examples[examples[i]];
        for (size_t k = e->first; k < e->first + e->count && ok; k++) {
            const ag_sequence *s = &set->sequences[k];
            ag_passage *p = &(*passages)[*count];
            *p = (ag_passage){
                .tokens = s->tokens, .wanted = s->wanted, .count = s->count, .answer = s->count - s->answer};
            for (int32_t at = 0; at < s->count; at++) p->targets += s->wanted[at] != 0;
            p->logprob = ag_arena_alloc(arena, (size_t)p->targets + 1, sizeof *p->logprob);
            p->slope = ag_arena_alloc(arena, (size_t)p->targets + 1, sizeof *p->slope);
            ok = p->logprob && p->slope;
            (*sequence)[(*count)++] = (uint32_t)k;
        }
    }
    return ok ? AG_OK : ag_fail_memory(err, "batch");
}

ag_status ag_sft_gradient(ag_trainer *t, const ag_dataset *set, const size_t *examples, long n,
                          const ag_sft_weights *weights, ag_step_result *result, ag_error *err)
{
    ag_arena arena = {.name = "batch"};
    ag_passage *passages = NULL;
    uint32_t *sequence = NULL;
    size_t count = 0;
    lesson l = {.set = set,
                .choice_weight = weights->choice,
                .prompt_loss = weights->prompt,
                .scale = weights->scale};
    for (long i = 0; i < n; i++) {
        const ag_example *e = &set->examples[examples[i]];
        l.gold_tokens += e->form_tokens + weights->choice * e->choice_tokens;
        l.prompt_tokens += e->prompt_tokens;
    }
    ag_status status = make_passages(set, examples, n, &arena, &passages, &sequence, &count, err);
    l.passages = passages;
    l.sequence = sequence;
    if (status == AG_OK) status = ag_passages_run(t, passages, count, 1, set_slopes, &l, result, err);
    for (size_t i = 0; i < count; i++)
        for (int32_t k = passages[i].answer; k < passages[i].count; k++)
            result->trained += passages[i].wanted[k] != 0;
    result->imitation = l.loss;
    result->prompt_loss = l.loss_of_prompts;
    result->gold_tokens = l.gold_tokens;
    ag_arena_free(&arena);
    return status;
}

ag_status ag_sft_step(ag_trainer *t, const ag_stage *stage, long step, ag_step_result *result, ag_error *err)
{
    bool pool = ag_method_find(stage->method)->pool;
    const ag_dataset *set = pool ? &t->pool_set : &t->train;
    *result = (ag_step_result){.lr = ag_stage_rate(t, stage, step)};
    size_t *examples = ag_calloc((size_t)stage->batch, sizeof *examples);
    if (!examples) return ag_fail_memory(err, "batch");
    ag_status status = AG_OK;
    for (long i = 0; i < stage->batch && status == AG_OK; i++)
        status = ag_stream_at(pool ? &t->pool_stream : &t->train_stream, t,
                              pool ? AG_STREAM_POOL : AG_STREAM_TRAIN, set->count,
                              (int64_t)(step - 1) * stage->batch + i, &examples[i], err);
    const ag_sft_weights weights = {stage->choice_weight, stage->prompt_loss, 1};
    if (status == AG_OK) status = ag_sft_gradient(t, set, examples, stage->batch, &weights, result, err);
    result->loss = result->imitation;
    if (status == AG_OK && !isfinite(result->loss))
        status = ag_fail(err, AG_ERR_INTERNAL, "the loss is not finite at step %ld; lower lr", step);
    if (status == AG_OK) status = ag_stage_update(t, stage, result->lr, &result->grad_norm, err);
    ag_free(examples);
    return status;
}
