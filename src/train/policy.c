/* policy.c: see policy.h. The step from top to bottom: draw prompts, sample groups, reward them, replay those that fail, draw more while
 * too few groups have a signal; then update and log.
 */
#include "train/policy_step.h"

#include <math.h>
#include <string.h>
#include "base/mem.h"
#include "train/advantage.h"

/* Refills go on while fewer than this share of the prompts have a group with a signal. */
static const double enough_groups = 0.75;

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

/* By the book, with the verdicts of what is asked in balance: what the stages of a run have in common. */
static ag_reward_options balanced_reward(const ag_trainer *t)
{
    ag_reward_options o;
    ag_reward_defaults(&o, t->book);
    o.verdict_weight = (const double(*)[AG_MAX_VERDICTS])t->verdict_weight;
    return o;
}

ag_status ag_policy_write_reward(const ag_trainer *t, ag_error *err)
{
    const ag_reward_options o = balanced_reward(t);
    char *path = ag_path_join(t->settings->out, "reward.json");
    json_t *json = ag_reward_to_json(t->book, &o);
    ag_status status = path && json ? ag_json_save(path, json, err) : ag_fail_memory(err, "reward");
    json_decref(json);
    ag_free(path);
    return status;
}

static void set_reward(ag_policy_step *s)
{
    ag_trainer *t = s->t;
    const ag_stage *stage = s->stage;
    s->reward = balanced_reward(t);
    if (!s->method->shaped) {
        s->reward.rule = 0;
        for (int c = 0; c < t->book->criterion_count; c++) s->reward.criterion[c] = 0;
    }
    bool soft = (s->method->parts & AG_METHOD_GATES) && s->share < stage->gate_anneal;
    s->soft = soft ? stage->gate_soft * (1 - s->share / stage->gate_anneal) : 0;
    s->reward.gate_soft = s->soft;
    s->reward.gate = !(s->method->parts & AG_METHOD_GATES) ? AG_GATE_OFF
                     : ag_streq(stage->gate, "keep_tier")  ? AG_GATE_KEEP_TIER
                     : s->soft > 0                         ? AG_GATE_SOFT
                                                           : AG_GATE_HARD;
}

/* What was cut is no answer, whatever it says so far. */
ag_status ag_policy_verify(ag_policy_step *s, ag_rollout *r)
{
    const ag_pair *p = s->t->pool->items[r->pair];
    ag_str refusal = {0};
    ag_verify(s->t->book, &p->asked, &p->gold, r->text, r->finished ? r->text_len : 0, &s->reward,
              &r->verdict, &refusal);
    const char *why = r->finished ? ag_str_text(&refusal) : "cut before its end";
    bool ok = !refusal.failed &&
              (r->verdict.format || (r->refusal = ag_arena_strdup(&s->rollouts.arena, why)));
    ag_str_free(&refusal);
    return ok ? AG_OK : ag_fail_memory(s->err, "rewards");
}

bool ag_policy_gold_complete(const ag_book *book, const ag_pair *p)
{
    return p->gold.tier >= 0 && p->gold.rule >= 0 && ag_verdicts_complete(book, &p->asked, &p->gold.verdicts);
}

bool ag_policy_gold_against(const ag_book *book, const ag_pair *p)
{
    int tier, rule;
    if (p->gold.tier < 0 || !ag_verdicts_complete(book, &p->asked, &p->gold.verdicts)) return false;
    ag_derive(book, &p->asked, &p->gold.verdicts, &tier, &rule);
    return tier != p->gold.tier || (p->gold.rule >= 0 && rule != p->gold.rule);
}

/* Of raters' shares, a tier that as many chose as any other. */
bool ag_policy_right(const ag_policy_step *s, const ag_rollout *r)
{
    const ag_gold *gold = &s->t->pool->items[r->pair]->gold;
    double most = 1;
    if (!r->verdict.format) return false;
    for (int t = 0; gold->soft && t < s->t->book->tier_count; t++)
        most = t == 0 ? gold->soft[0] : fmax(most, gold->soft[t]);
    return r->verdict.score_tier >= most;
}

/* A gate alone is not enough where the gold verdicts are known: a model that is told the tier can make up verdicts that lead to it. */
bool ag_policy_success(const ag_policy_step *s, const ag_rollout *r)
{
    const ag_verdict *v = &r->verdict;
    if (!ag_policy_right(s, r)) return false;
    return !s->method->gate || (v->gate && (!v->verdicts_known || v->verdicts_right) &&
                                (isnan(v->score_rule) || v->score_rule == 1));
}

/* Methods without advantages learn from successes: from them alone (rft), or from them against failures (dpo). */
static ag_status mark_successes(const ag_policy_step *s, ag_group *g)
{
    long right = 0, n = s->stage->group;
    for (long i = 0; i < n; i++) {
        ag_rollout *r = &s->rollouts.items[g->members[i]];
        r->advantage = ag_policy_success(s, r);
        right += r->advantage > 0;
    }
    bool failures = right < n;
    bool gold = ag_policy_gold_complete(s->t->book, s->t->pool->items[g->pair]);
    g->signal = !(s->method->parts & AG_METHOD_PREFERS) ? right > 0
                : s->method->pool                       ? failures && gold
                                                        : failures && right > 0;
    return AG_OK;
}

ag_status ag_policy_advantages(ag_policy_step *s, ag_group *g)
{
    if (!(s->method->parts & AG_METHOD_ADVANTAGES)) return mark_successes(s, g);
    size_t n = (size_t)s->stage->group;
    double *reward = ag_calloc(n, sizeof *reward), *advantage = ag_calloc(n, sizeof *advantage);
    bool *right = ag_calloc(n, sizeof *right);
    const ag_advantage_options o = {.norm = ag_streq(s->stage->norm, "mean") ? AG_NORM_MEAN : AG_NORM_STD,
                                    .sd_floor = s->stage->sd_floor,
                                    .wrong_cap = s->stage->wrong_cap,
                                    .clamp = s->stage->advantage_clamp};
    bool ok = reward && advantage && right;
    for (size_t i = 0; i < n && ok; i++) {
        const ag_rollout *r = &s->rollouts.items[g->members[i]];
        reward[i] = r->verdict.total;
        right[i] = ag_policy_right(s, r);
    }
    if (ok) g->signal = ag_advantages(&o, reward, right, (int)n, advantage);
    for (size_t i = 0; i < n && ok; i++) s->rollouts.items[g->members[i]].advantage = advantage[i];
    ag_free(reward);
    ag_free(advantage);
    ag_free(right);
    return ok ? AG_OK : ag_fail_memory(s->err, "rewards");
}

/* --- prompts and groups ---------------------------------------------------------------------------------------- */

/* The rollouts from `first` on are the plain answers of new groups. */
static ag_status make_groups(ag_policy_step *s, size_t first)
{
    size_t n = (size_t)s->stage->group;
    for (; first < s->rollouts.count; first += n) {
        uint32_t *members = ag_arena_alloc(&s->arena, n, sizeof *members);
        if (!members || !ag_grow(&s->groups, &s->group_cap, s->group_count + 1, sizeof *s->groups))
            return ag_fail_memory(s->err, "groups");
        ag_group *g = &s->groups[s->group_count++];
        const ag_rollout *r = &s->rollouts.items[first];
        *g = (ag_group){.pair = r->pair, .draw = r->draw, .first = first, .members = members};
        for (size_t i = 0; i < n; i++) {
            members[i] = (uint32_t)(first + i);
            AG_TRY(ag_policy_verify(s, &s->rollouts.items[first + i]));
            g->success += ag_policy_success(s, &s->rollouts.items[first + i]) / (double)n;
        }
        AG_TRY(ag_policy_advantages(s, g));
    }
    return AG_OK;
}

static size_t groups_with_signal(const ag_policy_step *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->group_count; i++) n += s->groups[i].signal;
    return n;
}

/* How often this step has drawn the pair: sampled groups and requests. Each draw has random numbers of its own. */
static int32_t draws_of(const ag_policy_step *s, size_t pair, const ag_rollout_request *requests, size_t n)
{
    int32_t draws = 0;
    for (size_t g = 0; g < s->group_count; g++) draws += s->groups[g].pair == pair;
    for (size_t i = 0; i < n; i++) draws += requests[i].pair == pair;
    return draws;
}

ag_sampler ag_policy_sampler(const ag_policy_step *s)
{
    ag_trainer *t = s->t;
    return (ag_sampler){.comm = t->comm,
                        .session = ag_judge_session(t->judge),
                        .tokenizer = t->opened.tokenizer,
                        .book = t->book,
                        .prompt = &t->format.prompt,
                        .pool = t->pool,
                        .end_id = t->end_id,
                        .grammar = s->stage->grammar ? t->grammar : NULL,
                        .temperature = s->stage->temperature,
                        .seed = (uint64_t)t->settings->seed,
                        .step = t->state.step,
                        .version = t->optimizer.step};
}

/* The step's draw number `n`: by what is remembered of the prompts, or the pool's next in turn. */
static ag_status draw_prompt(ag_policy_step *s, size_t n, size_t *pair)
{
    ag_trainer *t = s->t;
    ag_rng rng = ag_rng_at((uint64_t)t->settings->seed, AG_RNG_SHUFFLE, (uint64_t)t->state.stage,
                           (uint64_t)t->state.step, n, 1);
    if (ag_memory_draw(&t->memory, s->stage->draw_uncertain, s->stage->draw_unsolved, &rng, pair))
        return AG_OK;
    return ag_stream_at(&t->pool_stream, t, AG_STREAM_POOL, t->pool->count, t->state.pool_position++, pair,
                        s->err);
}

/* The most frequent well-formed failure; the first among equals. */
static const char *usual_answer(const ag_policy_step *s, const ag_group *g)
{
    const char *usual = NULL;
    int most = 0;
    for (long i = 0; i < s->stage->group; i++) {
        const ag_rollout *r = &s->rollouts.items[g->first + (size_t)i];
        int same = 0;
        if (!r->verdict.format || ag_policy_success(s, r)) continue;
        for (long k = i; k < s->stage->group; k++)
            same += ag_streq(s->rollouts.items[g->first + (size_t)k].text, r->text);
        if (same > most) {
            most = same;
            usual = r->text;
        }
    }
    return usual;
}

ag_status ag_policy_remember(ag_policy_step *s, const ag_group *g)
{
    ag_memory *memory = &s->t->memory;
    ag_prompt_memory *m = &memory->items[g->pair];
    double said[AG_MAX_TIERS] = {0}, agree;
    for (long i = 0; i < s->stage->group; i++) {
        const ag_verdict *v = &s->rollouts.items[g->first + (size_t)i].verdict;
        if (v->gate) said[v->answer.tier] += 1 / (double)s->stage->group;
    }
    ag_memory_visit(memory, g->pair, g->success, said);
    if (m->unsolved == 0 && ag_memory_dispute(memory, g->pair, &s->t->pool->items[g->pair]->gold, &agree) < 0)
        return AG_OK;
    const char *usual = usual_answer(s, g);
    ag_free(m->answer);
    m->answer = usual ? ag_strdup(usual) : NULL;
    return usual && !m->answer ? ag_fail_memory(s->err, "replay memory") : AG_OK;
}

/* Draws `n` prompts from the pool, samples a group of answers to each, and replays those that fail. */
static ag_status sample_groups(ag_policy_step *s, size_t n)
{
    size_t first = s->rollouts.count, group = s->group_count;
    ag_rollout_request *requests = ag_calloc(n, sizeof *requests);
    const ag_sampler sampler = ag_policy_sampler(s);
    ag_status status = requests ? AG_OK : ag_fail_memory(s->err, "prompts");
    for (size_t i = 0; i < n && status == AG_OK; i++) {
        size_t pair = 0;
        status = draw_prompt(s, group + i, &pair);
        if (status == AG_OK)
            requests[i] = (ag_rollout_request){
                .pair = pair, .samples = (int32_t)s->stage->group, .draw = draws_of(s, pair, requests, i)};
    }
    if (status == AG_OK) status = ag_rollouts_sample(&s->rollouts, &sampler, requests, n, s->err);
    if (status == AG_OK) status = make_groups(s, first);
    if (status == AG_OK && (s->method->parts & AG_METHOD_REPLAYS)) status = ag_policy_replay(s, group);
    for (; group < s->group_count && status == AG_OK; group++)
        status = ag_policy_remember(s, &s->groups[group]);
    ag_free(requests);
    return status;
}

/* --- recorded answers ------------------------------------------------------------------------------------------- */

/* A record is trained on with the settings that it was sampled with. */
static ag_status check_way(const ag_stage *stage, const ag_recording *way, ag_error *err)
{
    if (way->temperature != stage->temperature || way->grammar != stage->grammar)
        return ag_fail(err, AG_ERR_USAGE, "%s: sampled at temperature %g, grammar %s; set both as they were",
                       stage->rollouts, way->temperature, way->grammar ? "true" : "false");
    if (way->group != (size_t)stage->group)
        return ag_fail(err, AG_ERR_USAGE, "%s: a group of %zu answers; set group: %zu", stage->rollouts,
                       way->group, way->group);
    return AG_OK;
}

ag_status ag_policy_check_recorded(const ag_stage *stage, ag_error *err)
{
    ag_recording way;
    if (!ag_stage_samples(stage) || !*stage->rollouts) return AG_OK;
    AG_TRY(ag_rollouts_peek(&way, stage->rollouts, err));
    return check_way(stage, &way, err);
}

ag_status ag_policy_open_recorded(ag_trainer *t, const ag_stage *stage, ag_error *err)
{
    const char *path = ag_stage_samples(stage) ? stage->rollouts : "";
    ag_policy_close_recorded(t);
    if (!*path) return AG_OK;
    AG_TRY(ag_rollouts_read(&t->recorded, path, t->opened.tokenizer, t->pool, err));
    const ag_rollouts *r = &t->recorded;
    t->recorded_groups = ag_calloc(r->count + 1, sizeof *t->recorded_groups);
    if (!t->recorded_groups) return ag_fail_memory(err, "rollouts");
    for (size_t i = 0; i < r->count;) {
        size_t k = i + 1;
        while (k < r->count && r->items[k].sample > 0) k++;
        if (r->items[i].level == 0) {
            t->recorded_groups[t->recorded_count++] = i;
            AG_TRY(check_way(stage, &(ag_recording){r->temperature, r->grammar, k - i}, err));
        }
        i = k;
    }
    return t->recorded_count ? AG_OK : ag_fail(err, AG_ERR_INPUT, "%s: no rollouts", path);
}

void ag_policy_close_recorded(ag_trainer *t)
{
    ag_rollouts_free(&t->recorded);
    ag_free(t->recorded_groups);
    t->recorded_groups = NULL;
    t->recorded_count = 0;
}

static ag_status append(ag_policy_step *s, const ag_rollout *o)
{
    ag_rollouts *r = &s->rollouts;
    if (!ag_grow(&r->items, &r->cap, r->count + 1, sizeof *r->items))
        return ag_fail_memory(s->err, "rollouts");
    r->items[r->count++] = *o;
    return AG_OK;
}

/* A recorded group, and the guided answers that were trained with it: those of its draw before the draw comes again. */
static ag_status take_group(ag_policy_step *s, size_t at)
{
    const ag_rollouts *r = &s->t->recorded;
    size_t n = (size_t)s->stage->group, begin = s->t->recorded_groups[at], first = s->rollouts.count;
    const ag_rollout *head = &r->items[begin];
    for (size_t i = 0; i < n; i++) {
        AG_TRY(append(s, &r->items[begin + i]));
        s->rollouts.items[first + i].trained = false;
    }
    AG_TRY(make_groups(s, first));
    if (!(s->method->parts & AG_METHOD_REPLAYS)) return AG_OK;
    for (size_t i = begin + n; i < r->count; i++) {
        const ag_rollout *o = &r->items[i];
        if (o->pair != head->pair || o->draw != head->draw) continue;
        if (o->level == 0) break;
        if (!o->trained) continue;
        AG_TRY(append(s, o));
        AG_TRY(ag_policy_verify(s, &s->rollouts.items[s->rollouts.count - 1]));
        s->rollouts.items[s->rollouts.count - 1].trained = false;
        ag_policy_admit(s, &s->groups[s->group_count - 1], (uint32_t)(s->rollouts.count - 1));
    }
    ag_group *g = &s->groups[s->group_count - 1];
    return g->guided > 0 ? ag_policy_settle(s, g) : AG_OK;
}

/* The step's share of the record, round and round. */
static ag_status take_recorded(ag_policy_step *s)
{
    for (long i = 0; i < s->stage->batch; i++)
        AG_TRY(take_group(s, (size_t)((s->step - 1) * s->stage->batch + i) % s->t->recorded_count));
    return AG_OK;
}

static ag_status sample_all(ag_policy_step *s)
{
    size_t batch = (size_t)s->stage->batch;
    if (s->t->recorded_count) return take_recorded(s);
    ag_status status = sample_groups(s, batch);
    for (long refill = 0; refill < s->stage->refills && status == AG_OK; refill++) {
        size_t with = groups_with_signal(s);
        if ((double)with >= enough_groups * (double)batch) break;
        status = sample_groups(s, batch - with);
    }
    return status;
}

/* --- the step -------------------------------------------------------------------------------------------------- */

ag_status ag_policy_step_run(ag_trainer *t, const ag_stage *stage, long step, ag_step_result *result,
                             ag_error *err)
{
    ag_policy_step *s = ag_calloc(1, sizeof *s);
    *result = (ag_step_result){.lr = ag_stage_rate(t, stage, step)};
    if (!s) return ag_fail_memory(err, "step");
    *s = (ag_policy_step){.t = t,
                          .stage = stage,
                          .method = ag_method_find(stage->method),
                          .result = result,
                          .arena = {.name = "answers"},
                          .share = ag_stage_share(t, stage, step),
                          .step = step,
                          .err = err};
    set_reward(s);
    s->rollouts.method = stage->method;
    s->rollouts.gate = s->reward.gate;
    s->rollouts.gate_soft = s->soft;
    ag_status status = sample_all(s);
    if (status == AG_OK) status = ag_policy_update(s);
    if (status == AG_OK) status = ag_policy_log(s);
    if (status == AG_OK && stage->keep_rollouts && t->comm->rank == 0)
        status = ag_rollouts_write(&s->rollouts, t->book, t->pool, t->settings->out, t->state.step + 1, err);
    if (status != AG_OK) {
        json_decref(result->log);
        result->log = NULL;
    }
    ag_rollouts_free(&s->rollouts);
    ag_arena_free(&s->arena);
    ag_free(s->groups);
    ag_free(s);
    return status;
}
