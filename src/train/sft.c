/* sft.c: supervised fine-tuning: one update. */
#include "train/trainer.h"

#include <math.h>
#include "base/mem.h"
#include "base/rng.h"

long ag_sft_steps(const ag_trainer *t, const ag_stage *stage)
{
    if (stage->steps > 0) return stage->steps;
    return (long)ceil(stage->epochs * (double)t->train.count / (double)stage->batch);
}

/* The example at a position of the endless shuffled stream: every pass over the data has its own order. */
static ag_status example_at(ag_trainer *t, int64_t position, const ag_example **example, ag_error *err)
{
    int64_t n = (int64_t)t->train.count, epoch = position / n;
    if (!t->order) {
        t->order = ag_calloc((size_t)n, sizeof *t->order);
        t->order_epoch = -1;
        if (!t->order) return ag_fail_memory(err, "order of pairs");
    }
    if (t->order_epoch != epoch) {
        for (int64_t i = 0; i < n; i++) t->order[i] = (uint32_t)i;
        ag_rng r = ag_rng_at((uint64_t)t->settings->seed, AG_RNG_SHUFFLE, (uint64_t)t->state.stage,
                             (uint64_t)epoch, 0, 0);
        ag_rng_shuffle(&r, t->order, (uint32_t)n);
        t->order_epoch = epoch;
    }
    *example = &t->train.examples[t->order[position % n]];
    return AG_OK;
}

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
            int32_t rows = ag_forest_rows(&t->builder), more = trained_tokens(s);
            if (rows > 0 &&
                (rows + ag_forest_cost(&t->builder, s->tokens, s->count, true) > t->settings->micro_tokens ||
                 targets + more > t->max_targets)) {
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
                                                 step, ag_sft_steps(t, stage))};
    const ag_example **examples = ag_calloc((size_t)stage->batch, sizeof *examples);
    if (!examples) return ag_fail_memory(err, "batch");
    denominators means = {.choice_weight = stage->choice_weight, .prompt_loss = stage->prompt_loss};
    ag_status status = AG_OK;
    for (long i = 0; i < stage->batch && status == AG_OK; i++) {
        status = example_at(t, (int64_t)(step - 1) * stage->batch + i, &examples[i], err);
        if (status != AG_OK) break;
        means.gold_tokens += examples[i]->form_tokens + stage->choice_weight * examples[i]->choice_tokens;
        means.prompt_tokens += examples[i]->prompt_tokens;
    }
    result->gold_tokens = means.gold_tokens;
    /* The denominator is known before the first forward, so any cut into forests or ranks gives the same loss and gradient. */
    if (status == AG_OK) status = run_update(t, examples, stage->batch, &means, result, err);
    if (status == AG_OK && t->comm->size > 1) status = sum_over_ranks(t->comm, result, err);
    if (status == AG_OK && !isfinite(result->loss))
        status = ag_fail(err, AG_ERR_INTERNAL, "the loss is not finite at step %ld; lower lr", step);
    if (status == AG_OK) {
        ag_update_rule rule = {.beta1 = stage->beta1,
                               .beta2 = stage->beta2,
                               .eps = stage->eps,
                               .weight_decay = stage->weight_decay,
                               .clip = stage->clip,
                               .muon = ag_streq(stage->optimizer, "muon"),
                               .momentum = stage->momentum};
        status = ag_optimizer_update(&t->optimizer, t->comm, &rule, result->lr, &result->grad_norm, err);
    }
    ag_free(examples);
    return status;
}
