/* replay.c: adaptive guided replay (METHOD.md sections 7 and 8): a prompt whose answers all fail is sampled again with the weakest
 * hint that helps, and some of its failures make room for the answers that this gave.
 */
#include "train/policy_step.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/rng.h"

/* A group on its way through replay. */
typedef struct rescue {
    ag_group *group;
    ag_prompt_memory *memory;
    ag_hint_fields wrong; /* what most of its failures got wrong */
    int level;            /* tried now */
    bool done;            /* it has successes, or no level is left */
    uint32_t
        *kept; /* [hint_answers] rollouts with a hint that succeeded; those to look at, then those to use */
    int kept_count;
    ag_str hint;
    bool reveals;
} rescue;

typedef struct replay {
    ag_policy_step *s;
    rescue *items;
    size_t count;
} replay;

/* --- which groups, and what they got wrong ---------------------------------------------------------------------- */

static bool triggers(const ag_policy_step *s, const ag_group *g)
{
    const ag_stage *stage = s->stage;
    const char *id = s->t->pool->items[g->pair]->id;
    if (s->share < stage->replay_warmup || s->share >= 1 - stage->replay_tail || g->success > stage->trigger)
        return false;
    ag_rng r = ag_rng_at((uint64_t)s->t->settings->seed, AG_RNG_REPLAY, (uint64_t)s->t->state.step,
                         ag_hash64(id, strlen(id)), (uint64_t)g->draw, 0);
    return ag_rng_double(&r) >= stage->hint_dropout;
}

/* Fields that more than half of the well-formed failures got wrong; all fields where none is well-formed. */
static void find_wrong(const ag_policy_step *s, const ag_group *g, ag_hint_fields *wrong)
{
    const ag_pair *p = s->t->pool->items[g->pair];
    const ag_book *book = s->t->book;
    int failures = 0, misses[AG_MAX_CRITERIA][AG_MAX_ASKED] = {{0}};
    for (long i = 0; i < s->stage->group; i++) {
        const ag_rollout *r = &s->rollouts.items[g->first + (size_t)i];
        if (!r->verdict.format || ag_policy_success(s, r)) continue;
        failures++;
        for (int c = 0; c < book->criterion_count; c++)
            for (int a = 0; a < (book->criteria[c].per_asked ? p->asked.count : 1); a++)
                misses[c][a] += p->gold.verdicts.v[c][a] >= 0 &&
                                r->verdict.answer.verdicts.v[c][a] != p->gold.verdicts.v[c][a];
    }
    for (int c = 0; c < AG_MAX_CRITERIA; c++)
        for (int a = 0; a < AG_MAX_ASKED; a++)
            wrong->wrong[c][a] = failures == 0 || 2 * misses[c][a] > failures;
}

static ag_status choose_groups(replay *r, size_t from)
{
    ag_policy_step *s = r->s;
    r->items = ag_calloc(s->group_count - from + 1, sizeof *r->items);
    if (!r->items) return ag_fail_memory(s->err, "replay");
    for (size_t i = from; i < s->group_count; i++) {
        ag_group *g = &s->groups[i];
        ag_prompt_memory *m = &s->t->memory.items[g->pair];
        if (triggers(s, g)) {
            rescue *x = &r->items[r->count++];
            long most = s->stage->hint_level;
            *x = (rescue){.group = g, .memory = m, .level = m->level < most ? m->level : (int)most};
            x->done = ag_policy_gold_against(s->t->book,
                                             s->t->pool->items[g->pair]); /* no answer can succeed */
            x->kept = ag_calloc((size_t)s->stage->hint_answers, sizeof *x->kept);
            if (!x->kept) return ag_fail_memory(s->err, "replay");
            find_wrong(s, g, &x->wrong);
        }
    }
    s->replay.triggered += (double)r->count;
    return AG_OK;
}

/* --- hints, weakest first ---------------------------------------------------------------------------------------- */

/* Another pair, whose hint has nothing to do with this prompt. */
static size_t other_pair(const ag_policy_step *s, const rescue *x)
{
    size_t n = s->t->pool->count;
    const char *id = s->t->pool->items[x->group->pair]->id;
    ag_rng r = ag_rng_at((uint64_t)s->t->settings->seed, AG_RNG_REPLAY, (uint64_t)s->t->state.step,
                         ag_hash64(id, strlen(id)), (uint64_t)x->group->draw, 1);
    size_t other = n > 1 ? ag_rng_below(&r, (uint32_t)n - 1) : 0;
    return other + (other >= x->group->pair && n > 1);
}

/* The text of the weakest level from x->level on that has something to say; false when none has. */
static bool next_hint(ag_policy_step *s, rescue *x, ag_status *status)
{
    bool shuffled = s->method->hints == AG_HINT_SHUFFLED;
    const ag_pair *p = s->t->pool->items[shuffled ? other_pair(s, x) : x->group->pair];
    ag_hint_fields all, *fields = &x->wrong;
    memset(&all, 1, sizeof all);
    if (shuffled) fields = &all;
    for (; x->level <= s->stage->hint_level; x->level++) {
        ag_str_clear(&x->hint);
        *status = ag_hint_build(&x->hint, &x->reveals, s->t->book, &p->item, &p->asked, &p->gold, fields,
                                x->level, s->err);
        if (*status != AG_OK || x->hint.len > 0) return *status == AG_OK;
    }
    return false;
}

/* Answers of one level, all groups together; groups with a success are done. */
static ag_status try_level(replay *r, ag_rollout_request *requests, size_t *of)
{
    ag_policy_step *s = r->s;
    size_t n = 0, at = s->rollouts.count;
    ag_status status = AG_OK;
    for (size_t i = 0; i < r->count; i++) {
        rescue *x = &r->items[i];
        if (x->done) continue;
        if (!next_hint(s, x, &status)) {
            if (status != AG_OK) return status;
            x->done = true;
            continue;
        }
        of[n] = i;
        requests[n++] = (ag_rollout_request){.pair = x->group->pair,
                                             .samples = (int32_t)s->stage->hint_answers,
                                             .draw = x->group->draw,
                                             .hint = ag_str_text(&x->hint),
                                             .level = x->level,
                                             .reveals = x->reveals};
    }
    const ag_sampler sampler = ag_policy_sampler(s);
    if (n == 0) return AG_OK;
    AG_TRY(ag_rollouts_sample(&s->rollouts, &sampler, requests, n, s->err));
    for (size_t i = 0; i < n; i++) {
        rescue *x = &r->items[of[i]];
        for (long k = 0; k < s->stage->hint_answers; k++, at++) {
            ag_rollout *o = &s->rollouts.items[at];
            AG_TRY(ag_policy_verify(s, o));
            if (!ag_policy_success(s, o)) continue;
            const ag_answer *answer = &o->verdict.answer; /* only its reason has room for words of the hint */
            bool leaks = answer->why && ag_hint_leaks(o->hint, answer->why, answer->why_len);
            s->replay.leaked += leaks;
            if (!leaks) x->kept[x->kept_count++] = (uint32_t)at;
        }
        s->replay.tried[x->level]++;
        s->replay.helped[x->level] += x->kept_count > 0;
        s->replay.succeeded += x->kept_count;
        x->done = x->kept_count > 0;
        if (!x->done) x->level++;
    }
    return AG_OK;
}

static ag_status sample_with_hints(replay *r)
{
    ag_rollout_request *requests = ag_calloc(r->count + 1, sizeof *requests);
    size_t *of = ag_calloc(r->count + 1, sizeof *of);
    ag_status status = requests && of ? AG_OK : ag_fail_memory(r->s->err, "replay");
    for (long round = 0; round < r->s->stage->hint_level && status == AG_OK; round++)
        status = try_level(r, requests, of);
    ag_free(requests);
    ag_free(of);
    return status;
}

/* The level to begin with next time: one below where every answer succeeded. */
static void remember(replay *r)
{
    ag_policy_step *s = r->s;
    for (size_t i = 0; i < r->count; i++) {
        rescue *x = &r->items[i];
        if (x->kept_count > 0) {
            int level = x->level - (x->kept_count == s->stage->hint_answers);
            x->memory->level = level > 1 ? level : 1;
            x->memory->unsolved = 0;
            continue;
        }
        x->memory->level = (int)s->stage->hint_level;
        x->memory->unsolved++;
        s->replay.unsolved++;
    }
}

/* --- a look at the successes: log-probabilities with and without the hint ------------------------------------------- */

static ag_status lay_out(const ag_policy_step *s, ag_passage *p, const ag_rollout *o, bool hinted,
                         ag_arena *arena)
{
    int32_t before = hinted ? o->sampled_prompt_count : o->prompt_count, n = before + o->count;
    int32_t *tokens = ag_arena_alloc(arena, (size_t)n, sizeof *tokens);
    uint8_t *wanted = ag_arena_alloc(arena, (size_t)n, 1);
    bool ok = tokens && wanted;
    *p = (ag_passage){.tokens = tokens, .wanted = wanted, .count = n, .answer = before};
    if (s->stage->grammar) p->asked = &s->t->pool->items[o->pair]->asked;
    for (int32_t k = 0; k < o->count && ok; k++) p->targets += wanted[before + k] = !o->forced[k];
    p->logprob = ag_arena_alloc(arena, (size_t)p->targets + 1, sizeof *p->logprob);
    if (!ok || !p->logprob) return ag_fail_memory(s->err, "replay");
    memcpy(tokens, hinted ? o->sampled_prompt : o->prompt, (size_t)before * sizeof *tokens);
    memcpy(tokens + before, o->tokens, (size_t)o->count * sizeof *tokens);
    return AG_OK;
}

/* Sets reliance, weights and mode of a success. */
static ag_status weigh(ag_policy_step *s, ag_rollout *o, const ag_passage *plain, const ag_passage *hinted)
{
    static const char *const names[] = {"none", "tis", "seq", "shaped", "floor"};
    const ag_stage *stage = s->stage;
    size_t n = (size_t)plain->targets;
    double difference = 0;
    for (size_t k = 0; k < n; k++) difference += (plain->logprob[k] - hinted->logprob[k]) / (double)n;
    o->reliance = difference;
    o->geo = ag_geometric_weight(plain->logprob, hinted->logprob, n);
    s->replay.reliance += difference;
    s->replay.looked++;
    bool transfer = !(s->method->parts & AG_METHOD_WEIGHS) || ag_streq(stage->guided_mode, "transfer") ||
                    (ag_streq(stage->guided_mode, "auto") && o->reveals);
    o->mode = transfer ? AG_ROLLOUT_TRANSFER : AG_ROLLOUT_HINTED;
    if (!transfer || !(s->method->parts & AG_METHOD_WEIGHS)) return AG_OK;
    ag_guided_options options = {
        .cap = stage->guided_cap, .gamma = stage->guided_gamma, .floor = stage->guided_floor};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (ag_streq(stage->guided_weight, names[i])) options.weight = (ag_guided_weight)i;
    o->weight = ag_arena_alloc(&s->rollouts.arena, n + 1, sizeof *o->weight);
    if (!o->weight) return ag_fail_memory(s->err, "replay");
    ag_guided_weights(&options, plain->logprob, hinted->logprob, n, o->weight);
    return AG_OK;
}

/* One forward over all successes, each with both prompts; those too unlikely without their hint are let go. */
static ag_status look(replay *r)
{
    ag_policy_step *s = r->s;
    ag_arena arena = {.name = "replay"};
    size_t n = 0, at = 0;
    for (size_t i = 0; i < r->count; i++) n += (size_t)r->items[i].kept_count;
    ag_passage *p = ag_calloc(2 * n + 1, sizeof *p);
    ag_status status = p ? AG_OK : ag_fail_memory(s->err, "replay");
    for (size_t i = 0; i < r->count; i++)
        for (int k = 0; k < r->items[i].kept_count && status == AG_OK; k++, at += 2) {
            const ag_rollout *o = &s->rollouts.items[r->items[i].kept[k]];
            status = lay_out(s, &p[at], o, false, &arena);
            if (status == AG_OK) status = lay_out(s, &p[at + 1], o, true, &arena);
        }
    if (status == AG_OK)
        status = ag_passages_run(s->t, p, 2 * n, s->stage->temperature, NULL, NULL, s->result, s->err);
    at = 0;
    for (size_t i = 0; i < r->count && status == AG_OK; i++) {
        rescue *x = &r->items[i];
        int left = 0;
        for (int k = 0; k < x->kept_count && status == AG_OK; k++, at += 2) {
            ag_rollout *o = &s->rollouts.items[x->kept[k]];
            status = weigh(s, o, &p[at], &p[at + 1]);
            bool far = o->geo < s->stage->geo_min;
            s->replay.far += far;
            if (!far) x->kept[left++] = x->kept[k];
        }
        x->kept_count = left;
    }
    ag_arena_free(&arena);
    ag_free(p);
    return status;
}

/* --- putting them in ------------------------------------------------------------------------------------------------ */

/* The least reliant first; the earlier among equals. */
static void rank(const ag_policy_step *s, rescue *x)
{
    for (int i = 1; i < x->kept_count; i++)
        for (int k = i; k > 0; k--) {
            uint32_t *a = &x->kept[k - 1], *b = &x->kept[k];
            if (s->rollouts.items[*b].reliance <= s->rollouts.items[*a].reliance) break;
            uint32_t swap = *a;
            *a = *b;
            *b = swap;
        }
}

static double tokens_of(const ag_rollout *o)
{
    double n = 0;
    for (int32_t k = 0; k < o->count; k++) n += !o->forced[k];
    return n;
}

/* Tokens of the plain answers of groups that are trained or may come to be. */
static double trained_tokens(const replay *r)
{
    const ag_policy_step *s = r->s;
    double n = 0;
    for (size_t i = 0; i < s->group_count; i++) {
        bool counts = s->groups[i].signal;
        for (size_t k = 0; k < r->count; k++)
            counts = counts || (r->items[k].group == &s->groups[i] && r->items[k].kept_count > 0);
        for (long k = 0; k < s->stage->group && counts; k++)
            n += tokens_of(&s->rollouts.items[s->groups[i].first + (size_t)k]);
    }
    return n;
}

/* The member with the lowest reward that is no guided one; the last among equals. */
static long worst_plain(const ag_policy_step *s, const ag_group *g)
{
    long worst = -1;
    for (long i = 0; i < s->stage->group; i++) {
        const ag_rollout *o = &s->rollouts.items[g->members[i]];
        if (o->level == 0 &&
            (worst < 0 || o->verdict.total <= s->rollouts.items[g->members[worst]].verdict.total))
            worst = i;
    }
    return worst;
}

void ag_policy_admit(ag_policy_step *s, ag_group *g, uint32_t rollout)
{
    long worst = worst_plain(s, g);
    if (worst < 0) return;
    g->members[worst] = rollout;
    g->guided++;
}

/* Guided members without a positive advantage take no part. */
ag_status ag_policy_settle(ag_policy_step *s, ag_group *g)
{
    AG_TRY(ag_policy_advantages(s, g));
    int useful = 0;
    for (long i = 0; i < s->stage->group; i++) {
        const ag_rollout *o = &s->rollouts.items[g->members[i]];
        useful += o->level > 0 && o->advantage > 0;
    }
    g->guided = useful;
    if (useful > 0 && g->signal) return AG_OK;
    for (long i = 0; i < s->stage->group; i++) g->members[i] = (uint32_t)(g->first + (size_t)i);
    g->guided = g->level = 0;
    return ag_policy_advantages(s, g);
}

static ag_status replace(replay *r)
{
    ag_policy_step *s = r->s;
    long most = s->stage->replay_most > 0 ? s->stage->replay_most : s->stage->group / 4;
    double left = s->stage->guided_share * trained_tokens(r);
    for (size_t i = 0; i < s->group_count; i++)
        for (long k = 0; k < s->stage->group; k++) {
            const ag_rollout *o = &s->rollouts.items[s->groups[i].members[k]];
            if (o->level > 0) left -= tokens_of(o); /* of groups sampled before in this step */
        }
    for (size_t i = 0; i < r->count; i++) {
        rescue *x = &r->items[i];
        ag_group *g = x->group;
        rank(s, x);
        for (int k = 0; k < x->kept_count && g->guided < (most > 1 ? most : 1); k++) {
            double tokens = tokens_of(&s->rollouts.items[x->kept[k]]);
            if (tokens > left) break;
            left -= tokens;
            ag_policy_admit(s, g, x->kept[k]);
        }
        g->level = x->level;
        if (g->guided > 0) AG_TRY(ag_policy_settle(s, g));
        s->replay.rescued += g->guided > 0;
    }
    return AG_OK;
}

static void count_weights(ag_policy_step *s, size_t from)
{
    for (size_t i = from; i < s->group_count; i++)
        for (long k = 0; k < s->stage->group; k++) {
            const ag_rollout *o = &s->rollouts.items[s->groups[i].members[k]];
            if (o->mode != AG_ROLLOUT_TRANSFER || !o->weight) continue;
            for (int32_t t = 0; t < (int32_t)tokens_of(o); t++) {
                s->replay.weights += o->weight[t];
                s->replay.squares += o->weight[t] * o->weight[t];
                s->replay.weighed++;
            }
        }
}

ag_status ag_policy_replay(ag_policy_step *s, size_t from)
{
    replay r = {.s = s};
    ag_status status = choose_groups(&r, from);
    if (status == AG_OK && r.count > 0) {
        status = sample_with_hints(&r);
        if (status == AG_OK) remember(&r);
        if (status == AG_OK) status = look(&r);
        if (status == AG_OK) status = replace(&r);
        if (status == AG_OK) count_weights(s, from);
    }
    for (size_t i = 0; i < r.count; i++) {
        ag_free(r.items[i].kept);
        ag_str_free(&r.items[i].hint);
    }
    ag_free(r.items);
    return status;
}
