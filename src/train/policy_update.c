/* policy_update.c: from the answers of a step to updates of the optimizer: which of them take part, with which prompt, credit and
 * weight; their old and reference log-probabilities; forests, loss on the host, backward (METHOD.md section 9).
 */
#include "train/policy_step.h"

#include <math.h>
#include <string.h>
#include "base/mem.h"
#include "train/reference.h"

/* An answer on its way through the update. */
typedef struct answer {
    const ag_rollout *rollout; /* NULL: a gold answer */
    int32_t chosen;            /* tokens that were not forced: those of the passage */
    double *advantage;         /* [chosen], like all arrays here */
    double *old, *reference;   /* reference: NULL when not needed */
    double coefficient;        /* of its tokens' losses */
} answer;

/* A better and a worse answer. */
typedef struct preferred {
    size_t better, worse;
    double slope;
} preferred;

typedef struct updater {
    ag_policy_step *s;
    answer *answers;
    ag_passage *passages; /* of each answer */
    size_t *end;          /* of each trained group: one past its last answer */
    preferred *pairs;     /* of methods that prefer; those of a group are between its pair_end's */
    size_t *pair_end;
    size_t count, groups, pair_count;
    bool one;    /* the update's own forward gives the old log-probabilities */
    size_t from; /* answer that the first passage of the running batch is of */
} updater;

/* --- which answers take part ------------------------------------------------------------------------------------ */

/* Tokens of prompt and answer behind each other; the answer's chosen ones are wanted. */
static ag_status lay_out(updater *u, const int32_t *prompt, int32_t prompt_count, const int32_t *tokens,
                         const uint8_t *forced, int32_t count, const ag_asked *asked)
{
    ag_arena *m = &u->s->arena;
    answer *a = &u->answers[u->count];
    ag_passage *p = &u->passages[u->count];
    int32_t n = prompt_count + count;
    int32_t *all = ag_arena_alloc(m, (size_t)n, sizeof *all);
    uint8_t *wanted = ag_arena_alloc(m, (size_t)n, 1);
    bool ok = all && wanted;
    for (int32_t k = 0; k < count && ok; k++) {
        wanted[prompt_count + k] = !forced[k];
        a->chosen += !forced[k];
    }
    double **const arrays[] = {&a->advantage, &a->old, &p->logprob, &p->entropy, &p->slope};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        ok = (*arrays[i] = ag_arena_alloc(m, (size_t)a->chosen + 1, sizeof(double))) && ok;
    if (u->s->t->reference && !(a->reference = ag_arena_alloc(m, (size_t)a->chosen + 1, sizeof(double))))
        ok = false;
    if (!ok) return ag_fail_memory(u->s->err, "answers");
    memcpy(all, prompt, (size_t)prompt_count * sizeof *all);
    memcpy(all + prompt_count, tokens, (size_t)count * sizeof *all);
    p->tokens = all;
    p->wanted = wanted;
    p->count = n;
    p->targets = a->chosen;
    p->answer = prompt_count;
    p->asked = u->s->stage->grammar ? asked : NULL;
    u->count++;
    return AG_OK;
}

/* Credit of each token: by field, a good answer's wrong fields and a bad one's right fields get none. */
static ag_status set_credit(updater *u, const ag_rollout *r, double *advantage)
{
    const ag_trainer *t = u->s->t;
    bool by_field = (u->s->method->parts & AG_METHOD_ADVANTAGES) && ag_streq(u->s->stage->credit, "field");
    int8_t *right = ag_calloc((size_t)r->count + 1, sizeof *right);
    ag_status status = right ? ag_rollout_fields(r, t->book, t->pool->items[r->pair], t->opened.tokenizer,
                                                 right, u->s->err)
                             : ag_fail_memory(u->s->err, "answers");
    for (int32_t k = 0, c = 0; status == AG_OK && k < r->count; k++)
        if (!r->forced[k]) advantage[c++] = by_field && r->advantage * right[k] < 0 ? 0 : r->advantage;
    ag_free(right);
    return status;
}

static ag_status add_rollout(updater *u, ag_rollout *r)
{
    bool hinted = r->mode == AG_ROLLOUT_HINTED && (u->s->method->parts & AG_METHOD_WEIGHS);
    r->trained = true;
    answer *a = &u->answers[u->count];
    a->rollout = r;
    AG_TRY(lay_out(u, hinted ? r->sampled_prompt : r->prompt,
                   hinted ? r->sampled_prompt_count : r->prompt_count, r->tokens, r->forced, r->count,
                   &u->s->t->pool->items[r->pair]->asked));
    u->s->guided_answers += r->mode != AG_ROLLOUT_PLAIN;
    return set_credit(u, r, a->advantage);
}

/* The pair's gold answer behind a rollout's prompt; *added: there is one. */
static ag_status add_gold(updater *u, const ag_rollout *r, bool *added)
{
    const ag_trainer *t = u->s->t;
    const ag_pair *pair = t->pool->items[r->pair];
    const ag_gold *gold = &pair->gold;
    ag_answer gold_answer = {
        .tier = gold->tier, .rule = gold->rule, .verdicts = gold->verdicts, .why = gold->why};
    gold_answer.why_len = gold->why ? strlen(gold->why) : 0;
    *added = gold->tier >= 0 && gold->rule >= 0 &&
             ag_verdicts_complete(t->book, &pair->asked, &gold->verdicts);
    if (!*added) return AG_OK;
    ag_segment *segments = ag_calloc((size_t)ag_answer_segment_max(t->book, pair->asked.count),
                                     sizeof *segments);
    if (!segments) return ag_fail_memory(u->s->err, "answers");
    ag_tokens ids = {0}, of = {0};
    int n = ag_answer_segments(t->book, &pair->asked, &gold_answer, segments);
    ag_status status = ag_answer_encode(t->opened.tokenizer, segments, n, t->end_id, &ids, &of, u->s->err);
    uint8_t *forced = ag_calloc(ids.len + 1, 1);
    if (status == AG_OK && !forced) status = ag_fail_memory(u->s->err, "answers");
    if (status == AG_OK && u->s->stage->grammar) {
        ag_grammar_state state;
        ag_grammar_start(t->grammar, &pair->asked, &state);
        for (size_t k = 0; k < ids.len; k++) {
            forced[k] = ag_grammar_forced(t->grammar, &state) >= 0;
            ag_grammar_advance(t->grammar, &state, ids.ids[k]);
        }
    }
    if (status == AG_OK)
        status = lay_out(u, r->prompt, r->prompt_count, ids.ids, forced, (int32_t)ids.len, &pair->asked);
    ag_free(forced);
    ag_free(segments);
    ag_tokens_free(&ids);
    ag_tokens_free(&of);
    return status;
}

/* Each success against a failure of its own; or the gold answer against up to half the group's failures. */
static ag_status add_pairs(updater *u, const ag_group *g)
{
    ag_policy_step *s = u->s;
    long n = s->stage->group, worse = 0, most = s->method->pool ? (n + 1) / 2 : n;
    size_t gold = u->count;
    bool added = true;
    if (s->method->pool) AG_TRY(add_gold(u, &s->rollouts.items[g->first], &added));
    for (long better = 0, pairs = 0; added && better < n && pairs < most; better++) {
        ag_rollout *b = &s->rollouts.items[g->members[better]];
        if (!s->method->pool && b->advantage <= 0) continue;
        while (worse < n && s->rollouts.items[g->members[worse]].advantage > 0) worse++;
        if (worse == n) break;
        preferred *p = &u->pairs[u->pair_count++];
        *p = (preferred){.better = gold};
        if (!s->method->pool) {
            p->better = u->count;
            AG_TRY(add_rollout(u, b));
        }
        p->worse = u->count;
        AG_TRY(add_rollout(u, &s->rollouts.items[g->members[worse++]]));
        pairs++;
    }
    return AG_OK;
}

/* Guided answers are only praised; the bad ones of a rescued group may be left alone; rft learns from successes. */
static bool takes_part(const ag_policy_step *s, const ag_group *g, const ag_rollout *r)
{
    if (!(s->method->parts & AG_METHOD_ADVANTAGES)) return r->advantage > 0;
    bool drop = r->level > 0 || (g->guided > 0 && ag_streq(s->stage->rescued_negatives, "drop"));
    return !drop || r->advantage > 0;
}

static ag_status add_group(updater *u, const ag_group *g)
{
    ag_policy_step *s = u->s;
    size_t before = u->count;
    if (s->method->parts & AG_METHOD_PREFERS) AG_TRY(add_pairs(u, g));
    for (long i = 0; i < s->stage->group && !(s->method->parts & AG_METHOD_PREFERS); i++) {
        ag_rollout *r = &s->rollouts.items[g->members[i]];
        if (takes_part(s, g, r)) AG_TRY(add_rollout(u, r));
    }
    if (u->count == before) return AG_OK;
    u->end[u->groups] = u->count;
    u->pair_end[u->groups++] = u->pair_count;
    return AG_OK;
}

/* The answers of groups with a signal; the others have no gradient and no part in any mean. */
static ag_status begin(updater *u)
{
    ag_policy_step *s = u->s;
    size_t n = s->group_count * (size_t)s->stage->group * 2 + 1;
    u->answers = ag_calloc(n, sizeof *u->answers);
    u->passages = ag_calloc(n, sizeof *u->passages);
    u->pairs = ag_calloc(n, sizeof *u->pairs);
    u->end = ag_calloc(s->group_count + 1, sizeof *u->end);
    u->pair_end = ag_calloc(s->group_count + 1, sizeof *u->pair_end);
    if (!u->answers || !u->passages || !u->pairs || !u->end || !u->pair_end)
        return ag_fail_memory(s->err, "answers");
    for (size_t g = 0; g < s->group_count; g++)
        if (s->groups[g].signal) AG_TRY(add_group(u, &s->groups[g]));
    return AG_OK;
}

static void end(updater *u)
{
    ag_free(u->answers);
    ag_free(u->passages);
    ag_free(u->pairs);
    ag_free(u->end);
    ag_free(u->pair_end);
}

/* --- losses ------------------------------------------------------------------------------------------------------ */

/* The first look at an answer: its log-probabilities are the old ones, and those of plain and hinted answers are what sampling said.
 * Of a recorded answer, sampled by another policy, those of sampling are the old ones. */
static void first_look(ag_policy_step *s, answer *a, const ag_passage *p)
{
    const ag_rollout *r = a->rollout;
    bool recorded = s->t->recorded_count > 0 && r && r->mode != AG_ROLLOUT_TRANSFER;
    memcpy(a->old, p->logprob, (size_t)a->chosen * sizeof *a->old);
    for (int32_t k = 0, c = 0; recorded && k < r->count; k++)
        if (!r->forced[k]) a->old[c++] = r->logprob[k];
    for (int32_t k = 0; k < a->chosen; k++) s->entropy += p->entropy[k];
    s->seen += a->chosen;
    for (int32_t k = 0, c = 0; r && r->mode != AG_ROLLOUT_TRANSFER && k < r->count; k++) {
        if (r->forced[k]) continue;
        double off = fabs(p->logprob[c++] - r->logprob[k]);
        s->compared++;
        s->mismatch += off;
        s->mismatch_most = fmax(s->mismatch_most, off);
    }
}

static void surrogate_loss(const ag_policy_step *s, answer *a, const ag_passage *p, ag_loss_sums *sums)
{
    const ag_stage *stage = s->stage;
    bool plain = a->rollout->mode == AG_ROLLOUT_PLAIN, own = a->rollout->mode != AG_ROLLOUT_TRANSFER;
    const ag_surrogate_options o = {.ratio = ag_streq(stage->ratio, "sequence") ? AG_RATIO_SEQUENCE
                                                                                : AG_RATIO_TOKEN,
                                    .clip_low = stage->clip_low,
                                    .clip_high = stage->clip_high,
                                    .clip_dual = stage->clip_dual,
                                    .beta = plain ? stage->beta : 0,
                                    .entropy = own ? stage->entropy : 0};
    ag_sequence_loss(&o,
                     &(ag_loss_sequence){.count = (size_t)a->chosen,
                                         .advantage = a->advantage,
                                         .weight = a->rollout->weight,
                                         .now = p->logprob,
                                         .old = a->old,
                                         .reference = plain ? a->reference : NULL,
                                         .entropy = own && stage->entropy > 0 ? p->entropy : NULL,
                                         .coefficient = a->coefficient},
                     p->slope, sums);
}

/* Slopes of the passages of a forest; passage i is of answer u->from + i. */
static ag_status set_slopes(void *user, size_t from, size_t to, ag_error *err)
{
    (void)err;
    updater *u = user;
    ag_policy_step *s = u->s;
    for (size_t i = u->from + from; i < u->from + to; i++) {
        answer *a = &u->answers[i];
        const ag_passage *p = &u->passages[i];
        if (u->one) first_look(s, a, p);
        if (s->method->parts & AG_METHOD_PREFERS) continue; /* set_preferences has been here */
        if (s->method->parts & AG_METHOD_ADVANTAGES)
            surrogate_loss(s, a, p, &s->sums);
        else
            s->sums.loss += ag_imitation_loss((size_t)a->chosen, a->coefficient, NULL, p->logprob, p->slope);
    }
    return AG_OK;
}

static double sum_of(const double *values, int32_t n)
{
    double sum = 0;
    for (int32_t i = 0; i < n; i++) sum += values[i];
    return sum;
}

/* DPO's slopes: a pair's two answers may lie in two forests, so their log-probabilities come from a forward of their own. */
static void set_preferences(updater *u, size_t from, size_t to)
{
    ag_policy_step *s = u->s;
    for (size_t i = from; i < to; i++) {
        const preferred *p = &u->pairs[i];
        for (int k = 0; k < 2; k++) {
            size_t at = k ? p->worse : p->better;
            memset(u->passages[at].slope, 0, (size_t)u->answers[at].chosen * sizeof(double));
        }
    }
    for (size_t i = from; i < to; i++) {
        const preferred *p = &u->pairs[i];
        const answer *b = &u->answers[p->better], *w = &u->answers[p->worse];
        const ag_passage *bp = &u->passages[p->better], *wp = &u->passages[p->worse];
        double slope, margin;
        s->sums.loss += ag_preference_loss(s->stage->preference, 1 / (double)(to - from),
                                           sum_of(bp->logprob, b->chosen), sum_of(b->reference, b->chosen),
                                           sum_of(wp->logprob, w->chosen), sum_of(w->reference, w->chosen),
                                           &slope, &margin);
        s->margin += margin;
        s->right_pairs += margin > 0;
        s->pairs++;
        for (int32_t k = 0; k < b->chosen; k++) bp->slope[k] += slope;
        for (int32_t k = 0; k < w->chosen; k++) wp->slope[k] -= slope;
    }
}

/* What each answer's tokens are multiplied by: the update's one denominator. */
static void set_coefficients(updater *u, size_t from, size_t to)
{
    const ag_stage *stage = u->s->stage;
    bool surrogate = u->s->method->parts & AG_METHOD_ADVANTAGES;
    double tokens = 0, longest = u->s->t->pool_answer, answers = (double)(to - from);
    for (size_t i = from; i < to; i++) tokens += u->answers[i].chosen;
    for (size_t i = from; i < to; i++) {
        answer *a = &u->answers[i];
        double guided = a->rollout && a->rollout->mode != AG_ROLLOUT_PLAIN && surrogate ? stage->guided_loss
                                                                                        : 1;
        a->coefficient = guided * (!surrogate || ag_streq(stage->aggregation, "token_mean") ? 1 / tokens
                                   : ag_streq(stage->aggregation, "sequence_mean") ? 1 / (answers * a->chosen)
                                                                                   : 1 / (answers * longest));
    }
}

/* --- updates ------------------------------------------------------------------------------------------------------ */

/* Forward of all answers without a gradient: old log-probabilities. */
static ag_status look_at_all(updater *u)
{
    ag_policy_step *s = u->s;
    AG_TRY(
        ag_passages_run(s->t, u->passages, u->count, s->stage->temperature, NULL, NULL, s->result, s->err));
    for (size_t i = 0; i < u->count; i++) first_look(s, &u->answers[i], &u->passages[i]);
    return AG_OK;
}

/* Log-probabilities of the policy that the stage began with. */
static ag_status look_with_reference(updater *u)
{
    ag_policy_step *s = u->s;
    AG_TRY(ag_reference_enter(s->t, s->err));
    ag_status status = ag_passages_run(s->t, u->passages, u->count, s->stage->temperature, NULL, NULL,
                                       s->result, s->err);
    for (size_t i = 0; i < u->count && status == AG_OK; i++)
        memcpy(u->answers[i].reference, u->passages[i].logprob,
               (size_t)u->answers[i].chosen * sizeof(double));
    ag_status back = ag_reference_leave(s->t, status == AG_OK ? s->err : NULL);
    return status == AG_OK ? back : status;
}

/* The gradient of gold answers beside the loss. */
static ag_status add_anchor(ag_policy_step *s)
{
    ag_trainer *t = s->t;
    const ag_stage *stage = s->stage;
    if (stage->anchor <= 0) return AG_OK;
    size_t *examples = ag_calloc((size_t)stage->anchor_batch, sizeof *examples);
    ag_status status = examples ? AG_OK : ag_fail_memory(s->err, "anchor");
    for (long i = 0; i < stage->anchor_batch && status == AG_OK; i++)
        status = ag_stream_at(&t->train_stream, t, AG_STREAM_TRAIN, t->train.count,
                              t->optimizer.step * stage->anchor_batch + i, &examples[i], s->err);
    if (status == AG_OK)
        status = ag_sft_gradient(t, &t->train, examples, stage->anchor_batch,
                                 &(ag_sft_weights){1, 0, stage->anchor}, s->result, s->err);
    ag_free(examples);
    return status;
}

/* One update from the trained groups from .. to-1. */
static ag_status update(updater *u, size_t from, size_t to)
{
    ag_policy_step *s = u->s;
    size_t first = from ? u->end[from - 1] : 0, last = u->end[to - 1];
    size_t pair = from ? u->pair_end[from - 1] : 0;
    double norm = 0;
    set_coefficients(u, first, last);
    if (s->method->parts & AG_METHOD_PREFERS) {
        AG_TRY(ag_passages_run(s->t, u->passages + first, last - first, s->stage->temperature, NULL, NULL,
                               s->result, s->err));
        set_preferences(u, pair, u->pair_end[to - 1]);
    }
    u->from = first;
    AG_TRY(ag_passages_run(s->t, u->passages + first, last - first, s->stage->temperature, set_slopes, u,
                           s->result, s->err));
    AG_TRY(add_anchor(s));
    if (!isfinite(s->sums.loss)) return ag_fail(s->err, AG_ERR_INTERNAL, "the loss is not finite; lower lr");
    AG_TRY(ag_stage_update(s->t, s->stage, s->result->lr, &norm, s->err));
    for (size_t i = first; i < last; i++) s->result->trained += u->answers[i].chosen;
    s->result->grad_norm = fmax(s->result->grad_norm, norm);
    s->updates++;
    return AG_OK;
}

/* With one pass of one mini-batch the old log-probabilities are those of the only forward; else a forward of all answers finds them
 * before the first update. Mini-batches hold whole groups. */
static ag_status update_all(updater *u)
{
    const ag_stage *stage = u->s->stage;
    size_t parts = (size_t)stage->mini_batches;
    if (u->groups == 0) return AG_OK; /* nobody's reward differs: nothing to learn in this step */
    if (u->s->t->reference) AG_TRY(look_with_reference(u));
    u->one = stage->passes == 1 && parts == 1;
    if (!u->one) AG_TRY(look_at_all(u));
    if (parts > u->groups) parts = u->groups;
    for (long pass = 0; pass < stage->passes; pass++)
        for (size_t p = 0; p < parts; p++)
            AG_TRY(update(u, u->groups * p / parts, u->groups * (p + 1) / parts));
    return AG_OK;
}

ag_status ag_policy_update(ag_policy_step *s)
{
    updater u = {.s = s};
    ag_status status = begin(&u);
    if (status == AG_OK) status = update_all(&u);
    s->trained_answers = (double)u.count;
    s->result->loss = s->updates > 0 ? s->sums.loss / s->updates : 0;
    end(&u);
    return status;
}
