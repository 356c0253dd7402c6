/* sft.c: supervised fine-tuning: one update. */
#include "train/trainer.h"

#include <math.h>
#include "base/mem.h"

/* The loss is a mean over answer tokens, in which choices weigh choice_weight, plus prompt_loss times a mean over prompt
 * tokens; each mean has its own denominator. */
typedef struct denominators {
    double gold_tokens, choice_weight, prompt_tokens, prompt_loss;
} denominators;

/* Forward and backward of what the builder holds; sequence numbers of its targets index `sequences`. */
static ag_status run_forest(ag_trainer *t, const denominators *n, ag_step_result *result, ag_error *err)
{
    ag_forest f = {0};
    AG_TRY(ag_forest_finish(&f, &t->builder, err));
    double *logprob = ag_calloc((size_t)f.target_count, sizeof *logprob);
    ag_status status = logprob ? ag_pass_forward(t->pass, &f, err) : ag_fail_memory(err, "log-probabilities");
    if (status == AG_OK) status = ag_pass_logprob(t->pass, 1, NULL, logprob, NULL, err);
    for (int32_t i = 0; i < f.target_count && status == AG_OK; i++) {
        const ag_sequence *s = &t->train.sequences[f.targets[i].sample];
        uint8_t wanted = s->wanted[f.targets[i].index];
        bool prompt = wanted == AG_WANTED_PROMPT;
        double weight = prompt ? 1 / n->prompt_tokens : s->weight / n->gold_tokens;
        if (wanted == AG_WANTED_CHOICE) weight *= n->choice_weight;
        *(prompt ? &result->prompt_loss : &result->loss) -= weight * logprob[i];
        logprob[i] = prompt ? -weight * n->prompt_loss : -weight; /* dL/dlogp */
    }
    if (status == AG_OK) status = ag_pass_backward(t->pass, logprob, err);
    result->tokens += f.count;
    result->unshared += f.unshared;
    ag_free(logprob);
    ag_forest_free(&f);
    return status;
}

static int32_t trained_tokens(const ag_sequence *s)
{
    int32_t n = 0;
    for (int32_t i = 0; i < s->count; i++) n += s->wanted[i] != 0;
    return n;
}

/* Cuts an update's sequences into forests of at most micro_tokens rows (one sequence always fits). */
static ag_status run_update(ag_trainer *t, const ag_example *const *examples, long n,
                            const denominators *means, ag_step_result *result, ag_error *err)
{
    int32_t targets = 0;
    ag_forest_begin(&t->builder);
    for (long i = 0; i < n; i++) {
        if (i % t->comm->size != t->comm->rank) continue;
        for (size_t k = examples[i]->first; k < examples[i]->first + examples[i]->count; k++) {
            const ag_sequence *s = &t->train.sequences[k];
            int32_t more = trained_tokens(s);
            if (ag_forest_is_full(t, s->tokens, s->count, targets + more)) {
                AG_TRY(run_forest(t, means, result, err));
                ag_forest_begin(&t->builder);
                targets = 0;
            }
            AG_TRY(
                ag_forest_add(&t->builder, s->tokens, s->count, s->wanted, (int32_t)k, true, s->count, err));
            targets += more;
        }
    }
    return ag_forest_rows(&t->builder) > 0 ? run_forest(t, means, result, err) : AG_OK;
}

static ag_status sum_over_ranks(ag_comm *comm, ag_step_result *r, ag_error *err)
{
    double sums[] = {r->loss, r->prompt_loss, (double)r->tokens, (double)r->unshared};
    ag_status status = comm->sum_double(comm, sums, sizeof sums / sizeof *sums, err);
    r->loss = sums[0];
    r->prompt_loss = sums[1];
    r->tokens = (int64_t)sums[2];
    r->unshared = (int64_t)sums[3];
    return status;
}

ag_status ag_sft_step(ag_trainer *t, const ag_stage *stage, long step, ag_step_result *result, ag_error *err)
{
    *result = (ag_step_result){.lr = ag_schedule(stage->schedule, stage->lr, stage->min_lr, stage->warmup,
                                                 step, ag_stage_steps(t, stage))};
    const ag_example **examples = ag_calloc((size_t)stage->batch, sizeof *examples);
    if (!examples) return ag_fail_memory(err, "batch");
    denominators means = {.choice_weight = stage->choice_weight, .prompt_loss = stage->prompt_loss};
    ag_status status = AG_OK;
    for (long i = 0; i < stage->batch && status == AG_OK; i++) {
        size_t index = 0;
        status = ag_stream_at(&t->train_stream, t, AG_STREAM_TRAIN, t->train.count,
                              (int64_t)(step - 1) * stage->batch + i, &index, err);
        if (status != AG_OK) break;
        examples[i] = &t->train.examples[index];
        means.gold_tokens += examples[i]->form_tokens + stage->choice_weight * examples[i]->choice_tokens;
        means.prompt_tokens += examples[i]->prompt_tokens;
    }
    result->gold_tokens = means.gold_tokens;
    /* The denominator is known before the first forward, so any cut into forests or ranks gives the same loss and gradient. */
    if (status == AG_OK) status = run_update(t, examples, stage->batch, &means, result, err);
    if (status == AG_OK && t->comm->size > 1) status = sum_over_ranks(t->comm, result, err);
    if (status == AG_OK && !isfinite(result->loss))
        status = ag_fail(err, AG_ERR_INTERNAL, "the loss is not finite at step %ld; lower lr", step);
    if (status == AG_OK) status = ag_stage_update(t, stage, result->lr, &result->grad_norm, err);
    ag_free(examples);
    return status;
}
