/* policy.c: see policy.h. The step from top to bottom: draw prompts, sample groups, reward them, draw more while too few groups have a
 * signal, then update: forests of prompts and answers, log-probabilities, loss on the host, backward.
 */
#include "train/policy.h"

#include <math.h>
#include <string.h>
#include "base/mem.h"
#include "train/advantage.h"
#include "train/loss.h"
#include "train/methods.h"
#include "train/rollout.h"

/* Refills go on while fewer than this share of the prompts have a group with a signal. */
static const double enough_groups = 0.75;

typedef struct group {
    size_t first; /* rollout */
    bool signal;
    double right; /* share of answers with the right tier */
} group;

/* An answer on its way through the update. */
typedef struct answer {
    ag_rollout *rollout;
    int32_t *tokens; /* prompt and answer */
    uint8_t *wanted;
    int32_t count, chosen; /* chosen: tokens that were not forced */
    int32_t *place;        /* of each of the rollout's tokens among the chosen ones; -1: forced */
    double *advantage, *old, *now, *dnow; /* [chosen] */
} answer;

typedef struct policy_step {
    ag_trainer *t;
    const ag_stage *stage;
    const ag_method *method;
    ag_step_result *result;
    ag_rollouts rollouts;
    group *groups;
    size_t group_count, group_cap;
    answer *answers;
    size_t answer_count;
    ag_arena arena; /* of the answers */
    ag_reward_options reward;
    double soft; /* what the gate leaves now */
    ag_loss_sums sums;
    double entropy, mismatch, mismatch_most, compared;
    double updates;
    ag_error *err;
} policy_step;

/* --- rewards --------------------------------------------------------------------------------------------------- */

ag_status ag_policy_check(const ag_book *book, const char *method, ag_error *err)
{
    const ag_method *m = ag_method_find(method);
    double others = book->weight_rule;
    for (int c = 0; c < book->criterion_count; c++) others += book->criteria[c].weight;
    if (!m || !m->shaped || book->weight_tier > others) return AG_OK;
    return ag_fail(
        err, AG_ERR_INPUT,
        "%s: the reward of the tier (%g) must be larger than those of criteria and rule together (%g), "
        "or a wrong tier could earn more than a right one",
        book->path, book->weight_tier, others);
}

void ag_policy_balance(double weight[AG_MAX_CRITERIA][AG_MAX_VERDICTS], const ag_book *book,
                       const ag_pair_list *pool)
{
    for (int c = 0; c < book->criterion_count; c++) {
        double count[AG_MAX_VERDICTS] = {0}, all = 0, kinds = 0;
        for (size_t i = 0; i < pool->count; i++) {
            const ag_pair *p = pool->items[i];
            int entries = book->criteria[c].per_asked ? p->asked.count : 1;
            for (int a = 0; a < entries; a++) {
                int v = p->gold.verdicts.v[c][a];
                if (v < 0) continue;
                count[v]++;
                all++;
            }
        }
        for (int v = 0; v < book->criteria[c].verdict_count; v++) kinds += count[v] > 0;
        /* all / (kinds * count) has the mean 1 over the pool's verdicts. */
        for (int v = 0; v < AG_MAX_VERDICTS; v++) weight[c][v] = count[v] > 0 ? all / (kinds * count[v]) : 1;
    }
}

static void set_reward(policy_step *s, long step, long steps)
{
    ag_trainer *t = s->t;
    double anneal = s->stage->gate_anneal * (double)steps;
    ag_reward_defaults(&s->reward, t->book);
    s->reward.verdict_weight = (const double(*)[AG_MAX_VERDICTS])t->verdict_weight;
    if (!s->method->shaped) {
        s->reward.rule = 0;
        for (int c = 0; c < t->book->criterion_count; c++) s->reward.criterion[c] = 0;
    }
    s->soft = (double)(step - 1) < anneal ? s->stage->gate_soft * (1 - (double)(step - 1) / anneal) : 0;
    s->reward.gate_soft = s->soft;
    s->reward.gate = !s->method->gate                        ? AG_GATE_OFF
                     : ag_streq(s->stage->gate, "keep_tier") ? AG_GATE_KEEP_TIER
                     : s->soft > 0                           ? AG_GATE_SOFT
                                                             : AG_GATE_HARD;
}

/* --- prompts and groups ---------------------------------------------------------------------------------------- */

/* What was cut is no answer, whatever it says so far. */
static ag_status verify(policy_step *s, ag_rollout *r, const ag_pair *p)
{
    ag_str refusal = {0};
    ag_verify(s->t->book, &p->asked, &p->gold, r->text, r->finished ? r->text_len : 0, &s->reward,
              &r->verdict, &refusal);
    const char *why = r->finished ? ag_str_text(&refusal) : "cut before its end";
    bool ok = !refusal.failed &&
              (r->verdict.format || (r->refusal = ag_arena_strdup(&s->rollouts.arena, why)));
    ag_str_free(&refusal);
    return ok ? AG_OK : ag_fail_memory(s->err, "rewards");
}

/* Verdicts, rewards and advantages of the rollouts from `first` on, a group at a time. */
static ag_status judge_groups(policy_step *s, size_t first)
{
    int n = (int)s->stage->group;
    double *reward = ag_calloc((size_t)n, sizeof *reward),
           *advantage = ag_calloc((size_t)n, sizeof *advantage);
    bool *right = ag_calloc((size_t)n, sizeof *right);
    const ag_advantage_options o = {.norm = ag_streq(s->stage->norm, "mean") ? AG_NORM_MEAN : AG_NORM_STD,
                                    .sd_floor = s->stage->sd_floor,
                                    .wrong_cap = s->stage->wrong_cap,
                                    .clamp = s->stage->advantage_clamp};
    ag_status status = reward && advantage && right ? AG_OK : ag_fail_memory(s->err, "rewards");
    for (; first < s->rollouts.count && status == AG_OK; first += (size_t)n) {
        if (!ag_grow(&s->groups, &s->group_cap, s->group_count + 1, sizeof *s->groups)) {
            status = ag_fail_memory(s->err, "groups");
            break;
        }
        group *g = &s->groups[s->group_count++];
        *g = (group){.first = first};
        for (int i = 0; i < n; i++) {
            ag_rollout *r = &s->rollouts.items[first + (size_t)i];
            const ag_pair *p = s->t->pool->items[r->pair];
            status = verify(s, r, p);
            if (status != AG_OK) break;
            reward[i] = r->verdict.total;
            right[i] = r->verdict.format && r->verdict.score_tier >= 0.5;
            g->right += right[i] / (double)n;
        }
        g->signal = ag_advantages(&o, reward, right, n, advantage);
        for (int i = 0; i < n; i++) s->rollouts.items[first + (size_t)i].advantage = advantage[i];
    }
    ag_free(reward);
    ag_free(advantage);
    ag_free(right);
    return status;
}

static size_t groups_with_signal(const policy_step *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->group_count; i++) n += s->groups[i].signal;
    return n;
}

/* How often this step has drawn the pair: sampled groups and requests. Each draw has random numbers of its own. */
static int32_t draws_of(const policy_step *s, size_t pair, const ag_rollout_request *requests, size_t n)
{
    int32_t draws = 0;
    for (size_t g = 0; g < s->group_count; g++) draws += s->rollouts.items[s->groups[g].first].pair == pair;
    for (size_t i = 0; i < n; i++) draws += requests[i].pair == pair;
    return draws;
}

/* Draws `n` prompts from the pool and samples a group of answers to each. */
static ag_status sample_groups(policy_step *s, size_t n)
{
    ag_trainer *t = s->t;
    size_t first = s->rollouts.count;
    ag_rollout_request *requests = ag_calloc(n, sizeof *requests);
    const ag_sampler sampler = {.session = ag_judge_session(t->judge),
                                .tokenizer = t->opened.tokenizer,
                                .book = t->book,
                                .prompt = &t->format.prompt,
                                .pool = t->pool,
                                .end_id = t->end_id,
                                .temperature = s->stage->temperature,
                                .seed = (uint64_t)t->settings->seed,
                                .step = t->state.step,
                                .version = t->optimizer.step};
    ag_status status = requests ? AG_OK : ag_fail_memory(s->err, "prompts");
    for (size_t i = 0; i < n && status == AG_OK; i++) {
        size_t pair = 0;
        status = ag_stream_at(&t->pool_stream, t, AG_STREAM_POOL, t->pool->count, t->state.pool_position++,
                              &pair, s->err);
        if (status == AG_OK)
            requests[i] = (ag_rollout_request){
                .pair = pair, .samples = (int32_t)s->stage->group, .draw = draws_of(s, pair, requests, i)};
    }
    if (status == AG_OK) status = ag_rollouts_sample(&s->rollouts, &sampler, requests, n, s->err);
    if (status == AG_OK) status = judge_groups(s, first);
    ag_free(requests);
    return status;
}

static ag_status sample_all(policy_step *s)
{
    size_t batch = (size_t)s->stage->batch;
    ag_status status = sample_groups(s, batch);
    for (long refill = 0; refill < s->stage->refills && status == AG_OK; refill++) {
        size_t with = groups_with_signal(s);
        if ((double)with >= enough_groups * (double)batch) break;
        status = sample_groups(s, batch - with);
    }
    return status;
}

/* --- the update ------------------------------------------------------------------------------------------------ */

/* Credit of each token: by field, a good answer's wrong fields and a bad one's right fields get none. */
static void set_credit(policy_step *s, answer *a, const int8_t *right)
{
    const ag_rollout *r = a->rollout;
    bool by_field = ag_streq(s->stage->credit, "field");
    for (int32_t k = 0; k < r->count; k++) {
        if (r->forced[k]) continue;
        bool against = by_field && r->advantage * right[k] < 0;
        a->advantage[a->place[k]] = against ? 0 : r->advantage;
    }
}

static ag_status begin_answer(policy_step *s, ag_rollout *r)
{
    answer *a = &s->answers[s->answer_count];
    int32_t n = r->prompt_count + r->count;
    ag_arena *m = &s->arena;
    int8_t *right = ag_arena_alloc(m, (size_t)r->count + 1, sizeof *right);
    *a = (answer){.rollout = r,
                  .tokens = ag_arena_alloc(m, (size_t)n, sizeof *a->tokens),
                  .wanted = ag_arena_alloc(m, (size_t)n, 1),
                  .place = ag_arena_alloc(m, (size_t)r->count + 1, sizeof *a->place),
                  .count = n};
    for (int32_t k = 0; a->place && k < r->count; k++) a->place[k] = r->forced[k] ? -1 : a->chosen++;
    double **const arrays[] = {&a->advantage, &a->old, &a->now, &a->dnow};
    bool ok = right && a->tokens && a->wanted && a->place;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        ok = (*arrays[i] = ag_arena_alloc(m, (size_t)a->chosen + 1, sizeof(double))) && ok;
    if (!ok) return ag_fail_memory(s->err, "answers");
    memcpy(a->tokens, r->prompt, (size_t)r->prompt_count * sizeof *a->tokens);
    memcpy(a->tokens + r->prompt_count, r->tokens, (size_t)r->count * sizeof *a->tokens);
    for (int32_t k = 0; k < r->count; k++) a->wanted[r->prompt_count + k] = !r->forced[k];
    ag_rollout_fields(r, s->t->book, s->t->pool->items[r->pair], s->t->opened.tokenizer, right);
    set_credit(s, a, right);
    s->answer_count++;
    return AG_OK;
}

/* The answers of groups with a signal; the others have no gradient and no part in any mean. */
static ag_status begin_answers(policy_step *s)
{
    ag_status status = AG_OK;
    s->answers = ag_calloc(s->rollouts.count + 1, sizeof *s->answers);
    if (!s->answers) return ag_fail_memory(s->err, "answers");
    for (size_t g = 0; g < s->group_count; g++)
        for (long i = 0; i < s->stage->group && s->groups[g].signal && status == AG_OK; i++) {
            ag_rollout *r = &s->rollouts.items[s->groups[g].first + (size_t)i];
            r->trained = true;
            status = begin_answer(s, r);
        }
    return status;
}

/* What an answer's tokens are multiplied by, given what the update holds. */
static double coefficient(const policy_step *s, const answer *a, double tokens, double answers,
                          double longest)
{
    if (ag_streq(s->stage->aggregation, "token_mean")) return 1 / tokens;
    if (ag_streq(s->stage->aggregation, "sequence_mean")) return 1 / (answers * (double)a->chosen);
    return 1 / (answers * longest);
}

/* One forest: log-probabilities of its answers into `now`; with `gradient` also the loss and backward. first: the first pass, whose
 * log-probabilities are the old ones and are held against those of sampling. */
static ag_status run_forest(policy_step *s, size_t from, size_t to, const double *factor, bool gradient,
                            bool first)
{
    ag_trainer *t = s->t;
    ag_forest f = {0};
    AG_TRY(ag_forest_finish(&f, &t->builder, s->err));
    double *value = ag_calloc((size_t)f.target_count, sizeof *value),
           *entropy = ag_calloc((size_t)f.target_count, sizeof *entropy);
    ag_status status = value && entropy ? ag_pass_forward(t->pass, &f, s->err)
                                        : ag_fail_memory(s->err, "log-probabilities");
    if (status == AG_OK)
        status = ag_pass_logprob(t->pass, s->stage->temperature, NULL, value, entropy, s->err);
    for (int32_t i = 0; i < f.target_count && status == AG_OK; i++) {
        answer *a = &s->answers[f.targets[i].sample];
        int32_t k = f.targets[i].index - a->rollout->prompt_count, c = a->place[k];
        a->now[c] = value[i];
        if (!first) continue;
        double off = fabs(value[i] - a->rollout->logprob[k]);
        a->old[c] = value[i];
        s->entropy += entropy[i];
        s->mismatch += off;
        s->mismatch_most = fmax(s->mismatch_most, off);
        s->compared++;
    }
    if (gradient && status == AG_OK) {
        const ag_surrogate_options o = {.ratio = ag_streq(s->stage->ratio, "sequence") ? AG_RATIO_SEQUENCE
                                                                                       : AG_RATIO_TOKEN,
                                        .clip_low = s->stage->clip_low,
                                        .clip_high = s->stage->clip_high,
                                        .clip_dual = s->stage->clip_dual};
        for (size_t i = from; i < to; i++) {
            answer *a = &s->answers[i];
            ag_sequence_loss(&o,
                             &(ag_loss_sequence){.count = (size_t)a->chosen,
                                                 .advantage = a->advantage,
                                                 .now = a->now,
                                                 .old = a->old,
                                                 .coefficient = factor[i]},
                             a->dnow, &s->sums);
        }
        for (int32_t i = 0; i < f.target_count; i++) {
            const answer *a = &s->answers[f.targets[i].sample];
            int32_t k = f.targets[i].index - a->rollout->prompt_count;
            value[i] = a->dnow[a->place[k]];
        }
        status = ag_pass_backward(t->pass, value, s->err);
    }
    s->result->tokens += f.count;
    s->result->unshared += f.unshared;
    ag_free(value);
    ag_free(entropy);
    ag_forest_free(&f);
    return status;
}

/* Answers from..to-1 in forests of at most micro_tokens rows (one answer always fits). */
static ag_status run_answers(policy_step *s, size_t from, size_t to, const double *factor, bool gradient,
                             bool first)
{
    ag_trainer *t = s->t;
    size_t begun = from;
    int32_t targets = 0;
    ag_forest_begin(&t->builder);
    for (size_t i = from; i < to; i++) {
        const answer *a = &s->answers[i];
        if (ag_forest_is_full(t, a->tokens, a->count, targets + a->chosen)) {
            AG_TRY(run_forest(s, begun, i, factor, gradient, first));
            ag_forest_begin(&t->builder);
            begun = i;
            targets = 0;
        }
        AG_TRY(
            ag_forest_add(&t->builder, a->tokens, a->count, a->wanted, (int32_t)i, true, a->count, s->err));
        targets += a->chosen;
    }
    return ag_forest_rows(&t->builder) > 0 ? run_forest(s, begun, to, factor, gradient, first) : AG_OK;
}

/* One update of the optimizer from answers from..to-1. */
static ag_status update(policy_step *s, size_t from, size_t to, bool first)
{
    const ag_stage *stage = s->stage;
    double tokens = 0, longest = 0, *factor = ag_calloc(to + 1, sizeof *factor);
    if (!factor) return ag_fail_memory(s->err, "answers");
    for (size_t i = from; i < to; i++) {
        tokens += s->answers[i].chosen;
        longest = fmax(longest, s->answers[i].chosen);
    }
    for (size_t i = from; i < to; i++)
        factor[i] = coefficient(s, &s->answers[i], tokens, (double)(to - from), longest);
    ag_status status = run_answers(s, from, to, factor, true, first);
    if (status == AG_OK && !isfinite(s->sums.loss))
        status = ag_fail(s->err, AG_ERR_INTERNAL, "the loss is not finite; lower lr");
    if (status == AG_OK) {
        double norm;
        status = ag_stage_update(s->t, stage, s->result->lr, &norm, s->err);
        s->result->grad_norm = fmax(s->result->grad_norm, norm);
        s->updates++;
    }
    ag_free(factor);
    return status;
}

/* All updates of a step. With one pass of one mini-batch the old log-probabilities are those of the only forward; else a forward of
 * all answers finds them before the first update. Mini-batches hold whole groups. */
static ag_status update_all(policy_step *s)
{
    size_t groups = s->answer_count / (size_t)s->stage->group, parts = (size_t)s->stage->mini_batches;
    bool one = s->stage->passes == 1 && parts == 1;
    if (parts > groups) parts = groups;
    if (groups == 0) return AG_OK; /* nobody's reward differs: nothing to learn in this step */
    ag_status status = one ? AG_OK : run_answers(s, 0, s->answer_count, NULL, false, true);
    for (long pass = 0; pass < s->stage->passes; pass++)
        for (size_t p = 0; p < parts && status == AG_OK; p++)
            status = update(s, groups * p / parts * (size_t)s->stage->group,
                            groups * (p + 1) / parts * (size_t)s->stage->group, one);
    return status;
}

/* --- the log --------------------------------------------------------------------------------------------------- */

static bool put(json_t *o, const char *key, double value)
{
    return ag_json_set(o, key, isfinite(value) ? json_real(value) : json_null());
}

/* The reward and its terms, what became of groups, and how far the policy moved. */
static ag_status write_log(policy_step *s)
{
    const ag_book *book = s->t->book;
    json_t *o = json_object(), *terms = json_object();
    double n = (double)s->rollouts.count, reward = 0, square = 0, tier = 0, gate = 0, both = 0, format = 0,
           cut = 0, tokens = 0, rule = 0, form = 0, tier_term = 0, criterion[AG_MAX_CRITERIA] = {0};
    size_t dead_right = 0, dead = 0;
    for (size_t i = 0; i < s->rollouts.count; i++) {
        const ag_rollout *r = &s->rollouts.items[i];
        const ag_verdict *v = &r->verdict;
        bool right = v->format && v->score_tier >= 0.5;
        reward += v->total / n;
        square += v->total * v->total / n;
        tier += right / n;
        gate += v->gate / n;
        both += (right && v->gate) / n;
        format += v->format / n;
        cut += !r->finished / n;
        tokens += r->count;
        rule += v->term_rule / n;
        form += v->term_format / n;
        tier_term += v->term_tier / n;
        for (int c = 0; c < book->criterion_count; c++) criterion[c] += v->term_criterion[c] / n;
    }
    for (size_t g = 0; g < s->group_count; g++) {
        dead += !s->groups[g].signal;
        dead_right += !s->groups[g].signal && s->groups[g].right > 0.5;
    }
    bool ok = o && terms && put(terms, "tier", tier_term) && put(terms, "rule", rule) &&
              put(terms, "format", form);
    for (int c = 0; c < book->criterion_count; c++) ok = ok && put(terms, book->criteria[c].id, criterion[c]);
    double groups = (double)s->group_count, chosen = s->compared > 0 ? s->compared : NAN,
           seen = s->sums.tokens > 0 ? s->sums.tokens : NAN;
    const struct {
        const char *key;
        double value;
    } rows[] = {{"reward", reward},
                {"reward_sd", sqrt(fmax(0, square - reward * reward))},
                {"accuracy", both},
                {"tier_accuracy", tier},
                {"gate", gate},
                {"gate_soft", s->reward.gate == AG_GATE_SOFT ? s->soft : 0},
                {"format", format},
                {"truncated", cut},
                {"groups", groups},
                {"dead_groups", (double)dead / groups},
                {"dead_right", (double)dead_right / groups},
                {"sampled_tokens", tokens},
                {"answer_tokens", tokens / n},
                {"trained_answers", (double)s->answer_count},
                {"updates", s->updates},
                {"entropy", s->entropy / chosen},
                {"ratio", s->sums.ratio / seen},
                {"ratio_max", s->sums.ratio_largest},
                {"clipped", s->sums.clipped / seen},
                {"mismatch", s->mismatch / chosen},
                {"mismatch_max", s->mismatch_most}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) ok = ok && put(o, rows[i].key, rows[i].value);
    ok = ok && json_object_set(o, "reward_terms", terms) == 0;
    json_decref(terms);
    if (!ok) {
        json_decref(o);
        return ag_fail_memory(s->err, "log");
    }
    s->result->log = o;
    s->result->reward = reward;
    s->result->accuracy = both;
    s->result->gate = gate;
    s->result->dead = (double)dead / groups;
    s->t->state.sampled += (int64_t)tokens;
    return AG_OK;
}

/* --- the step -------------------------------------------------------------------------------------------------- */

ag_status ag_policy_step(ag_trainer *t, const ag_stage *stage, long step, ag_step_result *result,
                         ag_error *err)
{
    long steps = ag_stage_steps(t, stage);
    policy_step *s = ag_calloc(1, sizeof *s);
    *result = (ag_step_result){
        .lr = ag_schedule(stage->schedule, stage->lr, stage->min_lr, stage->warmup, step, steps)};
    if (!s) return ag_fail_memory(err, "step");
    *s = (policy_step){.t = t,
                       .stage = stage,
                       .method = ag_method_find(stage->method),
                       .result = result,
                       .arena = {.name = "answers"},
                       .err = err};
    set_reward(s, step, steps);
    ag_status status = sample_all(s);
    if (status == AG_OK) status = begin_answers(s);
    if (status == AG_OK) status = update_all(s);
    if (status == AG_OK) status = write_log(s);
    if (status == AG_OK && stage->keep_rollouts)
        status = ag_rollouts_write(&s->rollouts, t->book, t->pool, t->settings->out, t->state.step + 1, err);
    result->loss = s->sums.loss;
    ag_rollouts_free(&s->rollouts);
    ag_arena_free(&s->arena);
    ag_free(s->groups);
    ag_free(s->answers);
    ag_free(s);
    return status;
}
