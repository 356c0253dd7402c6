/* test_replay.c: adaptive guided replay (METHOD.md sections 7 and 8) with a sampler and a forward pass that do as the test says
 * (the linker puts them in the place of the engine's): which groups are replayed and from which level on, which answers help, and
 * whose place they take.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "train/policy_step.h"

#define SHOP_BOOK AGRL_SOURCE_DIR "/rules/shop.yaml"

enum { GROUP = 8, HINT_ANSWERS = 3, TOKENS = 5, PLAIN_PROMPT = 2, HINTED_PROMPT = 3, CALLS = 8 };

/* Gold: tier 3 by R7, for the colour is not the one that was asked. */
static const char line[] =
    "{\"id\": \"p\", \"query\": \"red boots\", \"item\": {\"title\": \"blue boots\"}, \"asked\": "
    "[{\"name\": \"colour\", \"value\": \"red\"}, {\"name\": \"size\", \"value\": \"42\"}, {\"name\": "
    "\"style\", \"value\": \"plain\"}], "
    "\"gold\": {\"tier\": \"3\", \"rule\": \"R7\", \"verdicts\": {\"cat\": \"SAME\", "
    "\"attr\": {\"colour\": \"CONFLICT\", \"size\": \"MATCH\", \"style\": \"MATCH\"}}}}";
#define GOOD "3\ncat=SAME\nattr=colour:CONFLICT;size:MATCH;style:MATCH\nrule=R7\nwhy=so it is"
/* Both follow, from verdicts that are not the gold ones: by another rule, and by the same. */
#define OTHER_RULE "3\ncat=SUBSTITUTE\nattr=colour:MATCH;size:MATCH;style:MATCH\nrule=R3\nwhy=so it is"
#define SAME_RULE  "3\ncat=SAME\nattr=colour:MATCH;size:MATCH;style:CONFLICT\nrule=R7\nwhy=so it is"
#define WRONG      "4\ncat=SAME\nattr=colour:MATCH;size:MATCH;style:MATCH\nrule=R0\nwhy=so it is"
#define WORSE      "1\ncat=DIFFERENT\nattr=colour:MATCH;size:MATCH;style:MATCH\nrule=R1\nwhy=so it is"
#define NOTHING    "boots"

/* --- the sampler and the forward pass ---------------------------------------------------------------------------- */

typedef const char *answer_of(int level, int sample, const char *hint);

static struct {
    answer_of *answer;
    int levels[CALLS], calls; /* of the hints that were asked for */
    char hints[CALLS][1000];
    double reliance[HINT_ANSWERS]; /* of each hinted answer: log p(without) - log p(with), a token */
} engine;

ag_status __wrap_ag_rollouts_sample(ag_rollouts *r, const ag_sampler *sampler,
                                    const ag_rollout_request *requests, size_t n, ag_error *err);
ag_status __wrap_ag_passages_run(ag_trainer *t, const ag_passage *passages, size_t n, double temperature,
                                 ag_passage_loss loss, void *user, ag_step_result *result, ag_error *err);
ag_session *__wrap_ag_judge_session(ag_judge *judge);

static void sample_one(ag_rollouts *r, const ag_rollout_request *q, int sample)
{
    static const int32_t prompt[] = {1, 2}, hinted[] = {1, 3, 2};
    static const uint8_t forced[TOKENS];
    int32_t *tokens = ag_arena_alloc(&r->arena, TOKENS, sizeof *tokens);
    assert_true(tokens && ag_grow(&r->items, &r->cap, r->count + 1, sizeof *r->items));
    for (int k = 0; k < TOKENS; k++) tokens[k] = sample;
    const char *text = ag_arena_strdup(&r->arena, engine.answer(q->level, sample, q->hint));
    r->items[r->count++] = (ag_rollout){.pair = q->pair,
                                        .sample = sample,
                                        .draw = q->draw,
                                        .level = q->level,
                                        .reveals = q->reveals,
                                        .hint = q->hint ? ag_arena_strdup(&r->arena, q->hint) : NULL,
                                        .prompt = prompt,
                                        .prompt_count = PLAIN_PROMPT,
                                        .sampled_prompt = q->hint ? hinted : prompt,
                                        .sampled_prompt_count = q->hint ? HINTED_PROMPT : PLAIN_PROMPT,
                                        .tokens = tokens,
                                        .forced = forced,
                                        .count = TOKENS,
                                        .finished = true,
                                        .text = text,
                                        .text_len = strlen(text)};
}

ag_status __wrap_ag_rollouts_sample(ag_rollouts *r, const ag_sampler *sampler,
                                    const ag_rollout_request *requests, size_t n, ag_error *err)
{
    (void)sampler, (void)err;
    for (size_t i = 0; i < n; i++) {
        if (requests[i].level > 0) {
            assert_true(engine.calls < CALLS);
            engine.levels[engine.calls] = requests[i].level;
            snprintf(engine.hints[engine.calls++], sizeof engine.hints[0], "%s", requests[i].hint);
        }
        for (int k = 0; k < requests[i].samples; k++) sample_one(r, &requests[i], k);
    }
    return AG_OK;
}

ag_status __wrap_ag_passages_run(ag_trainer *t, const ag_passage *p, size_t n, double temperature,
                                 ag_passage_loss loss, void *user, ag_step_result *result, ag_error *err)
{
    (void)t, (void)temperature, (void)user, (void)result, (void)err;
    assert_true(loss == NULL);
    for (size_t i = 0; i < n; i++)
        for (int32_t k = 0; k < p[i].targets; k++)
            p[i].logprob[k] = -1 +
                              (p[i].answer == PLAIN_PROMPT ? engine.reliance[p[i].tokens[p[i].answer]] : 0);
    return AG_OK;
}

ag_session *__wrap_ag_judge_session(ag_judge *judge)
{
    (void)judge;
    return NULL;
}

/* --- a step with one group ------------------------------------------------------------------------------------------ */

typedef struct fixture {
    ag_settings settings;
    ag_trainer trainer;
    ag_stage stage;
    ag_policy_step step;
    ag_step_result result;
    ag_pair *pairs[1];
    ag_pair_list pool;
    uint32_t members[GROUP];
    ag_group group;
    ag_error err;
} fixture;

static const char *const plain[GROUP] = {WRONG, WORSE, WRONG, WRONG, WRONG, WRONG, WRONG, WRONG};

static void setup(fixture *f, const char *method, answer_of *answer)
{
    memset(f, 0, sizeof *f);
    memset(&engine, 0, sizeof engine);
    engine.answer = answer;
    f->stage = (ag_stage){.group = GROUP,
                          .temperature = 1,
                          .gate = "hard",
                          .norm = "std",
                          .sd_floor = 0.2,
                          .wrong_cap = 0.5,
                          .advantage_clamp = 2,
                          .hint_answers = HINT_ANSWERS,
                          .hint_level = 5,
                          .replay_most = 2,
                          .replay_warmup = 0.1,
                          .replay_tail = 0.15,
                          .guided_share = 1,
                          .guided_mode = "transfer",
                          .guided_weight = "none"};
    assert_int_equal(ag_book_load(&f->trainer.book, SHOP_BOOK, &f->err), AG_OK);
    assert_int_equal(
        ag_pair_parse(&f->pairs[0], line, strlen(line), "t", 1, f->trainer.book, AG_AGGREGATE_GIVEN, &f->err),
        AG_OK);
    f->pool = (ag_pair_list){f->pairs, 1, 1};
    f->settings.seed = 1;
    f->trainer.settings = &f->settings;
    f->trainer.pool = &f->pool;
    assert_int_equal(ag_memory_create(&f->trainer.memory, 1, f->trainer.book->tier_count, &f->err), AG_OK);
    f->step = (ag_policy_step){.t = &f->trainer,
                               .stage = &f->stage,
                               .method = ag_method_find(method),
                               .result = &f->result,
                               .groups = &f->group,
                               .group_count = 1,
                               .share = 0.5,
                               .err = &f->err};
    ag_reward_defaults(&f->step.reward, f->trainer.book);
}

/* The group's plain answers, and replay. */
static void replay_with(fixture *f, const char *const answers[GROUP])
{
    answer_of *hinted = engine.answer;
    f->group = (ag_group){.members = f->members};
    for (int i = 0; i < GROUP; i++) {
        ag_rollout_request q = {.samples = 1};
        sample_one(&f->step.rollouts, &q, i);
        ag_rollout *r = &f->step.rollouts.items[i];
        r->text = answers[i];
        r->text_len = strlen(answers[i]);
        assert_int_equal(ag_policy_verify(&f->step, r), AG_OK);
        f->group.success += ag_policy_success(&f->step, r) / (double)GROUP;
        f->members[i] = (uint32_t)i;
    }
    engine.answer = hinted;
    assert_int_equal(ag_policy_advantages(&f->step, &f->group), AG_OK);
    if (ag_policy_replay(&f->step, 0) != AG_OK) fail_msg("%s", f->err.message);
    assert_int_equal(ag_policy_remember(&f->step, &f->group), AG_OK);
}

static void teardown(fixture *f)
{
    ag_rollouts_free(&f->step.rollouts);
    ag_memory_free(&f->trainer.memory);
    ag_pair_free(f->pairs[0]);
    ag_book_free(f->trainer.book);
}

static const char *good(int level, int sample, const char *hint)
{
    (void)level, (void)sample, (void)hint;
    return GOOD;
}

static const char *good_from_four(int level, int sample, const char *hint)
{
    (void)hint;
    return level == 0 ? WRONG : level >= 4 && sample < 2 ? GOOD : WRONG;
}

static const char *never(int level, int sample, const char *hint)
{
    (void)level, (void)sample, (void)hint;
    return WRONG;
}

static const char *made_up(int level, int sample, const char *hint)
{
    (void)level, (void)hint;
    return sample % 2 ? OTHER_RULE : SAME_RULE;
}

/* One of three speaks of its hint where the format leaves room for words. */
static const char *leaking(int level, int sample, const char *hint)
{
    (void)level, (void)hint;
    return sample > 0
               ? GOOD
               : "3\ncat=SAME\nattr=colour:CONFLICT;size:MATCH;style:MATCH\nrule=R7\nwhy=as the hint says";
}

/* --- tests -------------------------------------------------------------------------------------------------------------- */

/* `successes` of eight plain answers: is the group replayed? */
static bool replayed(double trigger, int successes, double share)
{
    fixture f;
    const char *answers[GROUP];
    setup(&f, "agrl", good);
    f.stage.trigger = trigger;
    f.step.share = share;
    for (int i = 0; i < GROUP; i++) answers[i] = i < successes ? GOOD : WRONG;
    replay_with(&f, answers);
    bool was = engine.calls > 0;
    assert_true(f.step.replay.triggered == was);
    teardown(&f);
    return was;
}

static void test_trigger(void **state)
{
    (void)state;
    for (int share = 0; share < GROUP; share++) /* up to and with that share of successes */
        for (int n = 0; n <= GROUP; n++)
            assert_int_equal(replayed((double)share / GROUP, n, 0.5), n <= share);
    assert_false(replayed(0, 0, 0.09)); /* before the warm-up's end */
    assert_true(replayed(0, 0, 0.1));
    assert_true(replayed(0, 0, 0.84));
    assert_false(replayed(0, 0, 0.85)); /* the tail */
}

/* Hints come from the remembered level on, and what helped is remembered. */
static void test_levels(void **state)
{
    (void)state;
    fixture f;
    setup(&f, "agrl", good_from_four);
    replay_with(&f, plain);
    for (int i = 0; i < engine.calls; i++) assert_int_equal(engine.levels[i], i + 1);
    assert_int_equal(engine.calls, 4);
    assert_int_equal(f.trainer.memory.items[0].level, 4); /* not all of its answers were right */
    teardown(&f);

    setup(&f, "agrl", good_from_four);
    f.trainer.memory.items[0].level = 4;
    replay_with(&f, plain);
    assert_int_equal(engine.calls, 1);
    assert_int_equal(engine.levels[0], 4);
    teardown(&f);

    setup(&f, "agrl", good); /* all are: one level less the next time */
    f.trainer.memory.items[0].level = 3;
    replay_with(&f, plain);
    assert_int_equal(engine.calls, 1);
    assert_int_equal(f.trainer.memory.items[0].level, 2);
    teardown(&f);

    setup(&f, "agrl", never);
    f.stage.hint_level = 3;
    replay_with(&f, plain);
    assert_int_equal(engine.levels[engine.calls - 1], 3);
    assert_int_equal(f.trainer.memory.items[0].level, 3);
    assert_int_equal(f.trainer.memory.items[0].unsolved, 1);
    assert_string_equal(f.trainer.memory.items[0].answer,
                        WRONG); /* what it says most often in place of the gold */
    assert_int_equal(f.group.guided, 0);
    teardown(&f);
}

/* A hint names what most failures had wrong and nothing else. */
static void test_targets(void **state)
{
    (void)state;
    fixture f;
    setup(&f, "agrl", never);
    f.stage.hint_level = 3;
    replay_with(&f, plain);
    for (int i = 0; i < engine.calls; i++) {
        assert_non_null(strstr(engine.hints[i], "colour"));
        assert_null(strstr(engine.hints[i], "size"));
    }
    teardown(&f);
    static const char *const formless[GROUP] = {NOTHING, NOTHING, NOTHING, NOTHING,
                                                NOTHING, NOTHING, NOTHING, NOTHING};
    setup(&f, "agrl", never); /* nobody knows what they had wrong */
    f.stage.hint_level = 1;
    replay_with(&f, formless);
    assert_non_null(strstr(engine.hints[0], "colour"));
    assert_non_null(strstr(engine.hints[0], "size"));
    teardown(&f);
}

/* The right tier by verdicts that are not the gold ones is a success of a method without a gate alone. */
static void test_success(void **state)
{
    (void)state;
    fixture f;
    setup(&f, "agrl", made_up);
    replay_with(&f, plain);
    assert_int_equal(f.group.guided, 0);
    assert_true(f.step.replay.succeeded == 0);
    teardown(&f);
    setup(&f, "agr", made_up);
    replay_with(&f, plain);
    assert_int_equal(f.group.guided, 2);
    teardown(&f);
}

static void test_leak(void **state)
{
    (void)state;
    fixture f;
    setup(&f, "agrl", leaking);
    f.trainer.memory.items[0].level = 4;
    replay_with(&f, plain);
    assert_true(f.step.replay.leaked == 1);
    assert_true(f.step.replay.succeeded == 2);
    for (int i = 0; i < GROUP; i++) {
        const ag_rollout *o = &f.step.rollouts.items[f.members[i]];
        assert_true(o->level == 0 || o->sample > 0);
    }
    teardown(&f);
}

/* Those that need their hint least take the places of the lowest rewards; too unlikely ones and those past the share of tokens do not. */
static void test_replacement(void **state)
{
    (void)state;
    fixture f;
    setup(&f, "agrl", good);
    f.stage.replay_most = 1;
    f.stage.geo_min = 0.05;
    engine.reliance[0] = -1, engine.reliance[1] = -0.1, engine.reliance[2] = -2;
    replay_with(&f, plain);
    assert_int_equal(f.group.guided, 1);
    for (int i = 0; i < GROUP; i++) {
        const ag_rollout *o = &f.step.rollouts.items[f.members[i]];
        assert_int_equal(o->level > 0, i == 1); /* the only one with a wrong category, too */
        if (o->level > 0) assert_int_equal(o->sample, 1);
        if (o->level > 0)
            assert_true(o->advantage > 0 && o->mode == AG_ROLLOUT_TRANSFER && o->weight[0] == 1);
    }
    teardown(&f);

    setup(&f, "agrl", good); /* exp(-3.1) is below 0.05 */
    f.stage.geo_min = 0.05;
    engine.reliance[0] = -3.1, engine.reliance[1] = -3.1, engine.reliance[2] = -2.9;
    replay_with(&f, plain);
    assert_int_equal(f.group.guided, 1);
    assert_true(f.step.replay.far == 2);
    teardown(&f);

    for (int room = 0; room <= 2; room++) { /* eight answers of five tokens: room for so many guided ones */
        setup(&f, "agrl", good);
        f.stage.guided_share = room * 0.125 + 0.1;
        replay_with(&f, plain);
        assert_int_equal(f.group.guided, room);
        teardown(&f);
    }
}

/* A pair that its hints solve is disputed all the same where the answers without one agree on another tier; those that break the gate
 * say nothing. */
static void test_disputed(void **state)
{
    (void)state;
    static const char broken[] =
        "4\ncat=SAME\nattr=colour:CONFLICT;size:MATCH;style:MATCH\nrule=R0\nwhy=so it is";
    for (int consistent = 0; consistent <= GROUP; consistent++) {
        fixture f;
        const char *answers[GROUP];
        double agree;
        setup(&f, "agrl", good);
        for (int i = 0; i < GROUP; i++) answers[i] = i < consistent ? WRONG : broken;
        replay_with(&f, answers);
        const ag_memory *m = &f.trainer.memory;
        int other = ag_memory_dispute(m, 0, &f.pairs[0]->gold, &agree);
        assert_true(m->items[0].unsolved == 0 && m->items[0].visits == 1);
        assert_true(fabs(agree - consistent / (double)GROUP) < 1e-12);
        assert_int_equal(other, consistent > GROUP / 2 ? 0 : -1); /* "4" is the best tier */
        if (other < 0)
            assert_null(m->items[0].answer);
        else
            assert_string_equal(m->items[0].answer, WRONG);
        teardown(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_trigger), cmocka_unit_test(test_levels),
                                       cmocka_unit_test(test_targets), cmocka_unit_test(test_success),
                                       cmocka_unit_test(test_leak),    cmocka_unit_test(test_replacement),
                                       cmocka_unit_test(test_disputed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
