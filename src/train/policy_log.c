/* policy_log.c: what a sampling step came to (METHOD.md section 12): the reward and its terms, what became of groups, what replay did,
 * and how far the policy moved.
 */
#include "train/policy_step.h"

#include <math.h>
#include <stdio.h>

static bool put(json_t *o, const char *key, double value)
{
    return ag_json_set(o, key, isfinite(value) ? json_real(value) : json_null());
}

/* Means over the plain answers. */
typedef struct means {
    double n, reward, square, tier, gate, both, format, cut, tokens, rule, form, tier_term,
        criterion[AG_MAX_CRITERIA];
} means;

static void add_answer(means *m, const ag_policy_step *s, const ag_rollout *r)
{
    const ag_verdict *v = &r->verdict;
    bool right = ag_policy_right(s, r);
    m->reward += v->total / m->n;
    m->square += v->total * v->total / m->n;
    m->tier += right / m->n;
    m->gate += v->gate / m->n;
    m->both += (right && v->gate) / m->n;
    m->format += v->format / m->n;
    m->cut += !r->finished / m->n;
    m->tokens += r->count / m->n;
    m->rule += v->term_rule / m->n;
    m->form += v->term_format / m->n;
    m->tier_term += v->term_tier / m->n;
    for (int c = 0; c < s->t->book->criterion_count; c++) m->criterion[c] += v->term_criterion[c] / m->n;
}

static means means_of(const ag_policy_step *s)
{
    means m = {.n = (double)s->group_count * (double)s->stage->group};
    for (size_t g = 0; g < s->group_count; g++)
        for (long i = 0; i < s->stage->group; i++)
            add_answer(&m, s, &s->rollouts.items[s->groups[g].first + (size_t)i]);
    return m;
}

static json_t *terms_json(const ag_policy_step *s, const means *m)
{
    json_t *o = json_object();
    bool ok = o && put(o, "tier", m->tier_term) && put(o, "rule", m->rule) && put(o, "format", m->form);
    for (int c = 0; c < s->t->book->criterion_count; c++)
        ok = ok && put(o, s->t->book->criteria[c].id, m->criterion[c]);
    return ok ? o : NULL;
}

typedef struct row {
    const char *key;
    double value;
} row;

static bool put_rows(json_t *o, const row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!put(o, rows[i].key, rows[i].value)) return false;
    return true;
}

/* Prompts of the pool that were seen and never succeeded. */
static double never_solved(const ag_policy_step *s)
{
    const ag_memory *m = &s->t->memory;
    double none = 0;
    for (size_t i = 0; i < m->count; i++) none += m->items[i].visits > 0 && m->items[i].success == 0;
    return none;
}

/* Where hints would begin, over the prompts that were seen. */
static double mean_level(const ag_policy_step *s)
{
    const ag_memory *m = &s->t->memory;
    double levels = 0, seen = 0;
    for (size_t i = 0; i < m->count; i++) {
        levels += m->items[i].visits > 0 ? m->items[i].level : 0;
        seen += m->items[i].visits > 0;
    }
    return levels / seen;
}

/* Guided members by the level of their hint. */
static bool put_guided(json_t *o, const ag_policy_step *s)
{
    double guided[6] = {0};
    for (size_t g = 0; g < s->group_count; g++)
        for (long i = 0; i < s->stage->group; i++) {
            const ag_rollout *r = &s->rollouts.items[s->groups[g].members[i]];
            if (r->level > 0 && r->trained) guided[r->level]++;
        }
    for (int l = 1; l <= 5; l++) {
        char key[16];
        snprintf(key, sizeof key, "guided_%d", l);
        if (guided[l] > 0 && !put(o, key, guided[l])) return false;
    }
    return true;
}

static json_t *replay_json(const ag_policy_step *s)
{
    const ag_replay_counts *c = &s->replay;
    const row rows[] = {{"triggered", c->triggered},
                        {"rescued", c->rescued},
                        {"unsolved", c->unsolved},
                        {"level", mean_level(s)},
                        {"succeeded", c->succeeded},
                        {"leaked", c->leaked},
                        {"far", c->far},
                        {"reliance", c->reliance / c->looked},
                        {"effective", c->weights * c->weights / c->squares / c->weighed}};
    json_t *o = json_object();
    bool ok = o && put_rows(o, rows, sizeof rows / sizeof *rows) && put_guided(o, s);
    for (int l = 1; l <= 5 && ok; l++) {
        char key[16];
        snprintf(key, sizeof key, "level_%d", l);
        ok = c->tried[l] == 0 || put(o, key, c->helped[l] / c->tried[l]);
    }
    return ok ? o : NULL;
}

static void groups_without_signal(const ag_policy_step *s, double *dead, double *dead_right)
{
    *dead = *dead_right = 0;
    for (size_t g = 0; g < s->group_count; g++) {
        *dead += !s->groups[g].signal / (double)s->group_count;
        *dead_right += (!s->groups[g].signal && s->groups[g].success > 0.5) / (double)s->group_count;
    }
}

ag_status ag_policy_log(ag_policy_step *s)
{
    const means m = means_of(s);
    double sampled = 0, dead, dead_right;
    double compared = s->compared > 0 ? s->compared : NAN, seen = s->seen > 0 ? s->seen : NAN,
           tokens = s->sums.tokens > 0 ? s->sums.tokens : NAN;
    for (size_t i = 0; i < s->rollouts.count && !s->t->recorded_count; i++)
        sampled += s->rollouts.items[i].count;
    groups_without_signal(s, &dead, &dead_right);
    double guided = s->trained_answers > 0 ? s->guided_answers / s->trained_answers : 0;
    const row rows[] = {{"reward", m.reward},
                        {"reward_sd", sqrt(fmax(0, m.square - m.reward * m.reward))},
                        {"accuracy", m.both},
                        {"tier_accuracy", m.tier},
                        {"gate", m.gate},
                        {"gate_soft", s->reward.gate == AG_GATE_SOFT ? s->soft : 0},
                        {"format", m.format},
                        {"truncated", m.cut},
                        {"groups", (double)s->group_count},
                        {"dead_groups", dead},
                        {"dead_right", dead_right},
                        {"never_solved", never_solved(s)},
                        {"sampled_tokens", sampled},
                        {"answer_tokens", m.tokens},
                        {"trained_answers", s->trained_answers},
                        {"guided_share", guided},
                        {"updates", s->updates},
                        {"entropy", s->entropy / seen},
                        {"ratio", s->sums.ratio / tokens},
                        {"ratio_max", s->sums.ratio_largest},
                        {"clipped", s->sums.clipped / tokens},
                        {"kl", s->sums.kl3 / s->sums.referred},
                        {"mismatch", s->mismatch / compared},
                        {"mismatch_max", s->mismatch_most},
                        {"margin", s->margin / s->pairs},
                        {"right_pairs", s->right_pairs / s->pairs},
                        {"anchor", s->result->imitation}};
    json_t *o = json_object();
    bool ok = o && put_rows(o, rows, sizeof rows / sizeof *rows) &&
              ag_json_set(o, "reward_terms", terms_json(s, &m)) &&
              (!(s->method->parts & AG_METHOD_REPLAYS) || ag_json_set(o, "replay", replay_json(s)));
    if (!ok) {
        json_decref(o);
        return ag_fail_memory(s->err, "log");
    }
    s->result->log = o;
    s->result->reward = m.reward;
    s->result->accuracy = m.both;
    s->result->gate = m.gate;
    s->result->dead = dead;
    s->result->guided = guided;
    s->result->truncated = m.cut;
    s->result->sampled = (int64_t)sampled;
    return AG_OK;
}
