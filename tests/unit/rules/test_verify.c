/* test_verify.c: the verdict and the shaped reward: values by hand, and the orderings that METHOD.md promises by
 * enumeration of every answer.
 */
#include <math.h>

#include "unit/rules/answer_help.h"

static const char *const four = BOOK("respond_then_think", "none", FOUR);

typedef struct fixture {
    ag_book *book;
    asks a;
    ag_asked *asked;
    ag_reward_options options;
    ag_gold gold;
} fixture;

/* "red boots not suede": the item is red suede boots: tier 2 by R5. */
static void setup(fixture *f, int asked_count)
{
    memset(f, 0, sizeof *f);
    f->book = make_book(four);
    if (asked_count > 0) asks_add(&f->a, "colour", AG_OP_IS, "red");
    if (asked_count > 1) asks_add(&f->a, "material", AG_OP_NOT, "suede");
    f->asked = asks_resolve(&f->a, f->book);
    ag_reward_defaults(&f->options, f->book);
    f->gold.tier = asked_count > 1 ? 2 : 0;
    f->gold.rule = asked_count > 1 ? 1 : 6;
    verdicts_first(f->book, f->asked, &f->gold.verdicts);
    if (asked_count > 1) f->gold.verdicts.v[1][1] = 3;
}

static void teardown(fixture *f)
{
    ag_arena_free(&f->a.arena);
    ag_book_free(f->book);
}

static ag_verdict verify(const fixture *f, const char *text)
{
    ag_verdict v;
    ag_verify(f->book, f->asked, &f->gold, text, strlen(text), &f->options, &v, NULL);
    return v;
}

#define NEAR(x, y) assert_true(fabs((x) - (y)) < 1e-12)

static const char right[] = "2\ncat=SAME\nattr=colour:MATCH;material:CONFLICT\nrule=R5";
static const char tier_only[] =
    "2\ncat=SAME\nattr=colour:MATCH;material:MATCH\nrule=R0"; /* right tier, no gate */
static const char consistent[] =
    "4\ncat=SAME\nattr=colour:MATCH;material:MATCH\nrule=R0"; /* wrong tier, gate */
static const char wrong_rule[] = "2\ncat=SAME\nattr=colour:MATCH;material:CONFLICT\nrule=R4";

static void test_right(void **state)
{
    (void)state;
    fixture f;
    setup(&f, 2);
    ag_verdict v = verify(&f, right);
    assert_true(v.format && v.gate && v.has_gold && v.verdicts_known && v.verdicts_right);
    assert_int_equal(v.derived_tier, 2);
    assert_int_equal(v.derived_rule, 1);
    NEAR(v.term_tier, 1.0);
    NEAR(v.term_criterion[0], 0.2);
    NEAR(v.term_criterion[1], 0.2);
    NEAR(v.term_rule, 0.1);
    NEAR(v.total, 1.5);
    teardown(&f);
}

static void test_gates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double hard, soft, keep, off;
    } cases[] = {
        /* soft: 0.3 of what would be without a gate */
        {right, 1.5, 1.5, 1.5, 1.5},
        {tier_only, 0, 0.3 * 1.3, 0.5, 1.3},  /* tier, cat, half of attr */
        {wrong_rule, 0, 0.3 * 1.4, 0.5, 1.4}, /* all but the rule */
        {consistent, 0.3, 0.3, 0.3, 0.3},     /* cat and half of attr: 0.3 is allowed */
        {"1\ncat=SAME\nattr=colour:MATCH;material:CONFLICT\nrule=R5", 0, 0.3 * 0.5, 0, 0.5},
        {"2", -0.5, -0.5, -0.5, -0.5},
    };
    fixture f;
    setup(&f, 2);
    f.options.gate_soft = 0.3;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        f.options.gate = AG_GATE_HARD;
        NEAR(verify(&f, cases[i].text).total, cases[i].hard);
        f.options.gate = AG_GATE_SOFT;
        NEAR(verify(&f, cases[i].text).total, cases[i].soft);
        f.options.gate = AG_GATE_KEEP_TIER;
        NEAR(verify(&f, cases[i].text).total, cases[i].keep);
        f.options.gate = AG_GATE_OFF;
        NEAR(verify(&f, cases[i].text).total, cases[i].off);
    }
    teardown(&f);
}

/* keep_tier caps what a consistent answer of the wrong tier earns with its sub-scores. */
static void test_keep_tier_cap(void **state)
{
    (void)state;
    fixture f;
    setup(&f, 2);
    f.options.gate = AG_GATE_KEEP_TIER;
    f.gold.tier = 3; /* people said Irrelevant, though every verdict says R5 */
    ag_verdict v = verify(&f, right);
    NEAR(v.total, 0.3);
    NEAR(v.term_criterion[0], 0.3 * 0.2 / 0.5);
    NEAR(v.term_rule, 0.3 * 0.1 / 0.5);
    NEAR(v.term_tier, 0);
    f.options.gate = AG_GATE_HARD;
    NEAR(verify(&f, right).total, 0.5);
    teardown(&f);
}

/* Absent gold is masked, and its weight moves to the tier. */
static void test_masks(void **state)
{
    (void)state;
    fixture f;
    setup(&f, 2);
    f.gold.rule = -1;
    f.gold.verdicts.v[0][0] = -1;
    ag_verdict v = verify(&f, right);
    assert_true(isnan(v.score_rule) && isnan(v.score_criterion[0]));
    NEAR(v.term_tier, 1.3);
    NEAR(v.total, 1.5);
    assert_true(v.verdicts_known && v.verdicts_right);
    f.gold.verdicts.v[1][0] = -1; /* one of two entries known: the mean is over that one */
    v = verify(&f, "2\ncat=SAME\nattr=colour:UNKNOWN;material:CONFLICT\nrule=R5");
    NEAR(v.score_criterion[1], 1);
    f.gold.verdicts.v[1][1] = -1;
    v = verify(&f, right);
    assert_true(isnan(v.score_criterion[1]));
    assert_false(v.verdicts_known || v.verdicts_right);
    NEAR(v.term_tier, 1.5);
    NEAR(verify(&f, tier_only).total, 0);
    f.gold.tier = -1; /* no gold at all */
    v = verify(&f, right);
    assert_false(v.has_gold);
    assert_true(v.gate && isnan(v.score_tier));
    NEAR(v.total, 0);
    ag_verify(f.book, f.asked, NULL, right, strlen(right), &f.options, &v, NULL);
    assert_true(v.gate && !v.has_gold && isnan(v.score_tier));
    teardown(&f);
    /* Nothing asked: the per-asked criterion is masked though its gold row holds values. */
    setup(&f, 0);
    f.gold.verdicts.v[1][0] = 0;
    v = verify(&f, "4\ncat=SAME\nattr=-\nrule=R0");
    assert_true(isnan(v.score_criterion[1]));
    NEAR(v.term_tier, 1.2);
    NEAR(v.total, 1.5);
    teardown(&f);
}

static void test_soft_gold(void **state)
{
    (void)state;
    fixture f;
    double soft[] = {0, 0.25, 0.75, 0};
    setup(&f, 2);
    f.gold.soft = soft;
    NEAR(verify(&f, right).score_tier, 0.75);
    NEAR(verify(&f, right).total, 0.75 + 0.5);
    NEAR(verify(&f, consistent).score_tier, 0);
    f.options.gate = AG_GATE_KEEP_TIER;
    NEAR(verify(&f, tier_only).total, 0.5 * 0.75);
    teardown(&f);
}

/* Rare gold verdicts weigh more: half right is not 0.5 but the weight of what was right. */
static void test_balance(void **state)
{
    (void)state;
    fixture f;
    double weights[AG_MAX_CRITERIA][AG_MAX_VERDICTS] = {{0}};
    setup(&f, 2);
    for (int v = 0; v < 4; v++) weights[0][v] = weights[1][v] = v == 3 ? 3 : 1;
    f.options.verdict_weight = (const double(*)[AG_MAX_VERDICTS])weights;
    NEAR(verify(&f, consistent).score_criterion[1], 0.25); /* the CONFLICT was missed */
    NEAR(verify(&f, "2\ncat=SAME\nattr=colour:UNKNOWN;material:CONFLICT\nrule=R5").score_criterion[1], 0.75);
    NEAR(verify(&f, right).score_criterion[1], 1);
    ag_verdict v = verify(&f, consistent);
    assert_true(v.verdicts_known);
    assert_false(v.verdicts_right);
    weights[1][3] = 0; /* a verdict that weighs nothing must still be right */
    v = verify(&f, consistent);
    NEAR(v.score_criterion[1], 1);
    assert_false(v.verdicts_right);
    teardown(&f);
}

/* --- orderings by enumeration --------------------------------------------------------------------------------- */

typedef struct extremes {
    double most[2][2], least[2][2]; /* [gate][tier right] */
} extremes;

/* Every answer against this gold. */
static void enumerate(const fixture *f, extremes *e)
{
    ag_verdict v = {.format = true};
    for (int i = 0; i < 4; i++) {
        e->most[i / 2][i % 2] = -INFINITY;
        e->least[i / 2][i % 2] = INFINITY;
    }
    verdicts_first(f->book, f->asked, &v.answer.verdicts);
    do {
        ag_derive(f->book, f->asked, &v.answer.verdicts, &v.derived_tier, &v.derived_rule);
        for (v.answer.tier = 0; v.answer.tier < f->book->tier_count; v.answer.tier++) {
            for (v.answer.rule = 0; v.answer.rule < f->book->rule_count; v.answer.rule++) {
                v.gate = v.answer.tier == v.derived_tier && v.answer.rule == v.derived_rule;
                ag_reward(f->book, f->asked, &f->gold, &f->options, &v);
                bool good = v.answer.tier == f->gold.tier;
                double *most = &e->most[v.gate][good], *least = &e->least[v.gate][good];
                if (v.total > *most) *most = v.total;
                if (v.total < *least) *least = v.total;
                NEAR(v.total,
                     v.term_tier + v.term_rule + v.term_criterion[0] + v.term_criterion[1] + v.term_format);
                assert_true(v.total >= 0 && v.total <= 1.5 + 1e-12);
            }
        }
    } while (verdicts_next(f->book, f->asked, &v.answer.verdicts));
}

static void check_orderings(fixture *f)
{
    extremes e;
    f->options.gate = AG_GATE_HARD;
    enumerate(f, &e);
    assert_true(e.least[1][1] > e.most[1][0]); /* at equal gate a right tier beats the best wrong one */
    assert_true(e.most[0][1] == 0 && e.most[0][0] == 0 && e.least[0][0] == 0);
    assert_true(e.least[1][0] >= 0); /* a broken gate never beats a compliant answer */
    f->options.gate = AG_GATE_OFF;
    enumerate(f, &e);
    for (int g = 0; g < 2; g++) assert_true(e.least[g][1] > e.most[g][0]);
    f->options.gate = AG_GATE_SOFT;
    f->options.gate_soft = 0.3;
    enumerate(f, &e);
    for (int g = 0; g < 2; g++) assert_true(e.least[g][1] > e.most[g][0]);
    f->options.gate = AG_GATE_KEEP_TIER;
    enumerate(f, &e);
    NEAR(e.most[0][1], 0.5);
    NEAR(e.least[0][1], 0.5);
    NEAR(e.most[0][0], 0);
    assert_true(e.most[1][0] <= 0.3 + 1e-12);
    assert_true(e.least[1][1] > 0.5);
}

static void test_dominance(void **state)
{
    (void)state;
    fixture f;
    for (int asked = 0; asked <= 2; asked++) {
        setup(&f, asked);
        ag_verdicts all = f.gold.verdicts;
        verdicts_first(f.book, f.asked, &all);
        do { /* every gold, and each of its parts masked */
            for (int mask = 0; mask < 8; mask++) {
                f.gold.verdicts = all;
                ag_derive(f.book, f.asked, &all, &f.gold.tier, &f.gold.rule);
                if (mask & 1) f.gold.rule = -1;
                if (mask & 2) f.gold.verdicts.v[0][0] = -1;
                if (mask & 4) f.gold.verdicts.v[1][0] = -1;
                check_orderings(&f);
            }
        } while (asked < 2 && verdicts_next(f.book, f.asked, &all));
        teardown(&f);
    }
}

/* --- JSON -------------------------------------------------------------------------------------------------------- */

static void check_json(const fixture *f, const char *text, const ag_gold *gold, const char *want)
{
    ag_verdict v;
    ag_str refusal = {0}, got = {0};
    ag_verify(f->book, f->asked, gold, text, strlen(text), &f->options, &v, &refusal);
    json_t *line = ag_verdict_to_json(f->book, f->asked, &v, "q12-p7", ag_str_text(&refusal));
    assert_ok(ag_json_dump(&got, line, NULL));
    assert_string_equal(ag_str_text(&got), want);
    json_decref(line);
    ag_str_free(&refusal);
    ag_str_free(&got);
}

static void test_json(void **state)
{
    (void)state;
    fixture f;
    setup(&f, 2);
    check_json(&f, "2\ncat=SAME\nattr=colour:MATCH;material:CONFLICT\nrule=R5\nwhy=Suede \"é\".", &f.gold,
               "{\"id\":\"q12-p7\",\"format\":true,\"tier\":\"2\",\"verdicts\":{\"cat\":\"SAME\",\"attr\":{"
               "\"colour\":\"MATCH\","
               "\"material\":\"CONFLICT\"}},\"rule\":\"R5\",\"why\":\"Suede "
               "\\\"é\\\".\",\"derived\":{\"tier\":\"2\",\"rule\":"
               "\"R5\"},\"gate\":true,\"scores\":{\"tier\":1.0,\"cat\":1.0,\"attr\":1.0,\"rule\":1.0},"
               "\"reward\":{\"terms\":{\"tier\":1.0,"
               "\"cat\":0.2,\"attr\":0.2,\"rule\":0.1},\"total\":1.5}}");
    check_json(&f, "2\ncat=SAME\nattr=colour:MATCH;colour:MATCH\nrule=R5", &f.gold,
               "{\"id\":\"q12-p7\",\"format\":false,\"refused\":\"line 3: attribute 'colour' given "
               "twice\",\"gate\":false,"
               "\"reward\":{\"terms\":{\"format\":-0.5},\"total\":-0.5}}");
    check_json(&f, right, NULL,
               "{\"id\":\"q12-p7\",\"format\":true,\"tier\":\"2\",\"verdicts\":{\"cat\":\"SAME\",\"attr\":{"
               "\"colour\":\"MATCH\","
               "\"material\":\"CONFLICT\"}},\"rule\":\"R5\",\"derived\":{\"tier\":\"2\",\"rule\":\"R5\"},"
               "\"gate\":true}");
    f.gold.rule = -1;
    check_json(&f, consistent, &f.gold,
               "{\"id\":\"q12-p7\",\"format\":true,\"tier\":\"4\",\"verdicts\":{\"cat\":\"SAME\",\"attr\":{"
               "\"colour\":\"MATCH\","
               "\"material\":\"MATCH\"}},\"rule\":\"R0\",\"derived\":{\"tier\":\"4\",\"rule\":\"R0\"},"
               "\"gate\":true,\"scores\":"
               "{\"tier\":0.0,\"cat\":1.0,\"attr\":0.5,\"rule\":null},\"reward\":{\"terms\":{\"tier\":0.0,"
               "\"cat\":0.2,\"attr\":0.1},"
               "\"total\":0.3}}");
    f.gold.verdicts.v[0][0] = -1;
    check_json(&f, consistent, &f.gold,
               "{\"id\":\"q12-p7\",\"format\":true,\"tier\":\"4\",\"verdicts\":{\"cat\":\"SAME\",\"attr\":{"
               "\"colour\":\"MATCH\","
               "\"material\":\"MATCH\"}},\"rule\":\"R0\",\"derived\":{\"tier\":\"4\",\"rule\":\"R0\"},"
               "\"gate\":true,\"scores\":"
               "{\"tier\":0.0,\"cat\":null,\"attr\":0.5,\"rule\":null},\"reward\":{\"terms\":{\"tier\":0.0,"
               "\"attr\":0.1},"
               "\"total\":0.1}}");
    teardown(&f);
    setup(&f, 0);
    check_json(&f, "4\ncat=SAME\nattr=-\nrule=R0", NULL,
               "{\"id\":\"q12-p7\",\"format\":true,\"tier\":\"4\",\"verdicts\":{\"cat\":\"SAME\",\"attr\":{}}"
               ",\"rule\":\"R0\","
               "\"derived\":{\"tier\":\"4\",\"rule\":\"R0\"},\"gate\":true}");
    teardown(&f);
}

/* A book without `otherwise`: no rule is an answer too, and the derived one is null. */
static void test_no_rule(void **state)
{
    (void)state;
    fixture f = {.book = make_book(BOOK("respond_then_think", "none", PREFIXES))};
    f.asked = asks_resolve(&f.a, f.book);
    ag_reward_defaults(&f.options, f.book);
    ag_verdict v;
    static const char text[] = "10\nkind=NO\nattr=-\nrule=-";
    ag_verify(f.book, f.asked, NULL, text, sizeof text - 1, &f.options, &v, NULL);
    assert_true(v.format && v.gate);
    assert_int_equal(v.derived_rule, -1);
    check_json(&f, text, NULL,
               "{\"id\":\"q12-p7\",\"format\":true,\"tier\":\"10\",\"verdicts\":{\"kind\":\"NO\",\"attr\":{}}"
               ",\"rule\":null,"
               "\"derived\":{\"tier\":\"10\",\"rule\":null},\"gate\":true}");
    teardown(&f);
}

/* Random bytes never pass and never crash. */
static void test_random_bytes(void **state)
{
    (void)state;
    fixture f;
    ag_rng r = ag_rng_at(11, AG_RNG_TEST, 0, 0, 0, 0);
    setup(&f, 2);
    for (int i = 0; i < 50000; i++) {
        char text[128];
        size_t n = ag_rng_below(&r, sizeof text);
        for (size_t k = 0; k < n; k++) text[k] = (char)ag_rng_below(&r, 256);
        ag_verdict v;
        ag_str reason = {0};
        ag_verify(f.book, f.asked, &f.gold, text, n, &f.options, &v, &reason);
        assert_false(v.format || v.gate);
        NEAR(v.total, -0.5);
        json_t *line = ag_verdict_to_json(f.book, f.asked, &v, NULL, ag_str_text(&reason));
        assert_non_null(line);
        json_decref(line);
        ag_str_free(&reason);
    }
    ag_verdict v;
    ag_verify(f.book, f.asked, &f.gold, NULL, 0, &f.options, &v, NULL);
    assert_false(v.format);
    teardown(&f);
}

/* The weights of the book, and those of verdicts where they are balanced: of what is asked only. */
static void test_reward_json(void **state)
{
    (void)state;
    static const double even[AG_MAX_CRITERIA][AG_MAX_VERDICTS] = {{9, 9, 9, 9}, {0.6, 3, 1, 1}};
    static const char *const want[] = {
        "{\"tier\":1.0,\"rule\":0.1,\"format_penalty\":0.5,\"criteria\":{\"cat\":0.2,\"attr\":0.2}}",
        "{\"tier\":1.0,\"rule\":0.1,\"format_penalty\":0.5,\"criteria\":{\"cat\":0.2,\"attr\":0.2},"
        "\"balance\":{\"attr\":{\"MATCH\":0.6,\"PARTIAL\":3.0,\"UNKNOWN\":1.0,\"CONFLICT\":1.0}}}"};
    fixture f;
    setup(&f, 2);
    for (int balanced = 0; balanced < 2; balanced++) {
        ag_str got = {0};
        f.options.verdict_weight = balanced ? even : NULL;
        json_t *json = ag_reward_to_json(f.book, &f.options);
        assert_ok(ag_json_dump(&got, json, NULL));
        assert_string_equal(ag_str_text(&got), want[balanced]);
        json_decref(json);
        ag_str_free(&got);
    }
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_right),         cmocka_unit_test(test_gates),
        cmocka_unit_test(test_keep_tier_cap), cmocka_unit_test(test_masks),
        cmocka_unit_test(test_soft_gold),     cmocka_unit_test(test_balance),
        cmocka_unit_test(test_dominance),     cmocka_unit_test(test_json),
        cmocka_unit_test(test_reward_json),   cmocka_unit_test(test_no_rule),
        cmocka_unit_test(test_random_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
