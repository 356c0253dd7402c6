/* test_when.c: conditions against an evaluator of its own that works on words, over thousands of random trees written
 * out with random spacing, quotes and parentheses; and what must be refused, with its place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rules/when.h"
#include "unit/rules/random_book.h"

static void test_random(void **state)
{
    (void)state;
    static rb_pool pool;
    long held = 0, cases = 0;
    for (uint64_t i = 0; i < 4000; i++) {
        ag_rng rng = ag_rng_at(1, AG_RNG_TEST, i, 0, 0, 0);
        random_book b;
        ag_str yaml = {0}, when = {0};
        ag_error err = {0};
        ag_book *book = NULL;
        rb_make(&b, &rng, 4);
        pool.used = 0;
        const rb_node *tree = rb_tree(&b, &rng, &pool, 4);
        rb_write(&when, &rng, &b, tree, RB_OR);
        rb_yaml(&yaml, &b);
        ag_str_add(&yaml, "rules:\n");
        rb_rule(&yaml, "R1", ag_str_text(&when), b.tier[0]);
        if (ag_book_parse(&book, ag_str_text(&yaml), yaml.len, "random.yaml", &err) != AG_OK)
            fail_msg("%s\n%s\n%s", err.message, ag_str_text(&when), ag_str_text(&yaml));
        for (int j = 0; j < 40; j++) {
            rb_case k;
            ag_ask entries[8];
            ag_asked asked;
            ag_verdicts verdicts;
            rb_random_case(&b, &rng, &k);
            rb_case_structs(&b, &k, book, entries, &asked, &verdicts);
            bool expected = rb_holds(tree, &k);
            if (ag_when_holds(book->rules[0].condition, &asked, &verdicts) != expected)
                fail_msg("expected %d for %s", expected, ag_str_text(&when));
            held += expected;
            cases++;
        }
        ag_book_free(book);
        ag_str_free(&yaml);
        ag_str_free(&when);
    }
    assert_true(held > cases / 10 && held < cases - cases / 10); /* the test tells something */
}

/* A book with both kinds of criteria and the given `when`, in double quotes at column 13 of line 9. */
static ag_status compile(const char *when, ag_book **book, ag_error *err)
{
    ag_str yaml = {0};
    ag_str_add(&yaml, "rulebook: t\n"
                      "tiers: [{id: A}, {id: B}]\n"
                      "criteria:\n"
                      "  - {id: cat, verdicts: [SAME, OTHER]}\n"
                      "  - {id: attr, per: asked, verdicts: [MATCH, NO]}\n"
                      "attributes: {brand: {}, colour: {}}\n"
                      "rules:\n"
                      "  - id: R1\n"
                      "    when:   \"");
    ag_str_add(&yaml, when);
    ag_str_add(&yaml, "\"\n    cap: B\n");
    ag_status status = ag_book_parse(book, ag_str_text(&yaml), yaml.len, "b.yaml", err);
    ag_str_free(&yaml);
    return status;
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *when, *message;
    } rows[] = {
        {"", "b.yaml:9:14: rule 'R1': the condition is empty; write `otherwise` for the rule of last resort"},
        {"cat == SAM", "b.yaml:9:21: rule 'R1': unknown verdict 'SAM' of 'cat'; did you mean 'SAME'?"},
        {"cat == SAME and cta == OTHER",
         "b.yaml:9:30: rule 'R1': unknown criterion 'cta'; did you mean 'cat'?"},
        {"cat = SAME",
         "b.yaml:9:18: rule 'R1': expected '==', '!=' or 'in', found '=': write == for equality"},
        {"cat == SAME && cat == OTHER",
         "b.yaml:9:26: rule 'R1': expected 'and', 'or' or the end, found '&&': write and"},
        {"cat == SAME AND cat == OTHER",
         "b.yaml:9:26: rule 'R1': expected 'and', 'or' or the end, found 'AND': write and"},
        {"cat in SAME", "b.yaml:9:21: rule 'R1': expected '[' and a list of verdicts, found 'SAME'"},
        {"cat in [SAME", "b.yaml:9:26: rule 'R1': expected ',' or ']', but the condition ends here"},
        {"(cat == SAME", "b.yaml:9:26: rule 'R1': expected 'and', 'or' or ')', but the condition ends here"},
        {"cat == SAME)", "b.yaml:9:25: rule 'R1': expected 'and', 'or' or the end, found ')'"},
        {"attr == MATCH",
         "b.yaml:9:14: rule 'R1': 'attr' has a verdict for each asked entry: write any(attr) or all(attr)"},
        {"any(cat) == SAME",
         "b.yaml:9:18: rule 'R1': 'cat' has one verdict, not one for each asked entry: write cat == ..."},
        {"any(attr, brnd) == NO",
         "b.yaml:9:24: rule 'R1': unknown selector or attribute 'brnd'; did you mean 'brand'?"},
        {"any(attr, default) == NO", "b.yaml:9:24: rule 'R1': unknown selector or attribute 'default'; "
                                     "known: core, minor, negated, asserted, "
                                     "brand, colour"},
        {"count(attr, cor, NO) >= 1",
         "b.yaml:9:26: rule 'R1': unknown selector or attribute 'cor'; did you mean 'core'?"},
        {"count(attr, core, MACH) >= 1",
         "b.yaml:9:32: rule 'R1': unknown verdict 'MACH' of 'attr'; did you mean 'MATCH'?"},
        {"count(attr, NO) >= 1.5", "b.yaml:9:33: rule 'R1': a count is compared with a whole number from 0"},
        {"share(attr, NO) > 2",
         "b.yaml:9:32: rule 'R1': a share is compared with a number from 0 to 1, or a percentage"},
        {"share(attr, NO) > x", "b.yaml:9:32: rule 'R1': expected a number, found 'x'"},
        {"not", "b.yaml:9:17: rule 'R1': expected criterion, but the condition ends here"},
        {"cat == SAME or otherwise",
         "b.yaml:9:29: rule 'R1': 'otherwise' stands alone: it holds when no other rule does"},
        {"query.type == ", "b.yaml:9:28: rule 'R1': expected a query type, but the condition ends here"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ag_book *book = NULL;
        ag_error err = {0};
        assert_int_equal(compile(rows[i].when, &book, &err), AG_ERR_INPUT);
        assert_null(book);
        assert_string_equal(err.message, rows[i].message);
    }
}

static void test_accepted(void **state)
{
    (void)state;
    static const char *const rows[] = {"otherwise",
                                       "  otherwise ",
                                       "not not cat==SAME",
                                       "not(cat == SAME)",
                                       "count(attr, NO) > 0",
                                       "count(attr, core+brand, [NO,MATCH]) <= 3",
                                       "share(attr,NO)>=50%",
                                       "query.type!=alternative",
                                       "query.type in [a, 'b c', d]",
                                       "all(attr, core+minor+negated+asserted+brand+colour) in [MATCH,NO]",
                                       "cat in[SAME]or(cat!=SAME)and any( attr )==NO"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ag_book *book = NULL;
        ag_error err = {0};
        if (compile(rows[i], &book, &err) != AG_OK) fail_msg("%s: %s", rows[i], err.message);
        ag_book_free(book);
    }
}

static void test_depth(void **state)
{
    (void)state;
    static const struct {
        const char *open, *close;
        int times;
        ag_status status;
    } rows[] = {{"(", ")", AG_WHEN_DEPTH, AG_OK},
                {"(", ")", AG_WHEN_DEPTH + 1, AG_ERR_INPUT},
                {"not ", "", AG_WHEN_DEPTH, AG_OK},
                {"not ", "", AG_WHEN_DEPTH + 1, AG_ERR_INPUT},
                {"(", ")", 3000, AG_ERR_INPUT},
                {"(", "", 8000, AG_ERR_INPUT},
                {"not(", ")", 1000, AG_ERR_INPUT},
                {"(", ")", 1000000, AG_ERR_INPUT},
                /* the deepest stack: both operands of or and of and wait on each level */
                {"cat == SAME or cat == SAME and (", ")", AG_WHEN_DEPTH, AG_OK},
                {"cat == SAME and not (", ")", AG_WHEN_DEPTH / 2, AG_OK}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ag_str when = {0};
        ag_book *book = NULL;
        ag_error err = {0};
        for (int k = 0; k < rows[i].times; k++) ag_str_add(&when, rows[i].open);
        ag_str_add(&when, "cat == SAME");
        for (int k = 0; k < rows[i].times; k++) ag_str_add(&when, rows[i].close);
        assert_int_equal(compile(ag_str_text(&when), &book, &err), rows[i].status);
        if (book) {
            ag_verdicts verdicts = {0};
            ag_asked asked = {0};
            ag_when_holds(book->rules[0].condition, &asked, &verdicts);
        }
        ag_book_free(book);
        ag_str_free(&when);
    }
}

/* The place of an error inside every style of YAML scalar. */
static void test_places(void **state)
{
    (void)state;
    static const struct {
        const char *when;
        int line, column;
    } rows[] = {
        {"when: cat == SAM", 6, 18},
        {"when: 'cat == SAM'", 6, 19},
        {"when: \"cat == SAM\"", 6, 19},
        {"when: \"cat\\x20==\\u0020SAM\"", 6, 27},
        {"when: query.type == é and cat == SAM", 6, 38},
        {"when: \"cat == OTHER or\n      cat == SAM\"", 7, 14},
        {"when: cat == OTHER or\n      cat == SAM", 7, 14},
        {"when: >\n      cat == OTHER or\n      cat == SAM", 8, 14},
        {"when: |\n      cat == OTHER or\n        cat == SAM", 8, 16},
        {"when: 'query.type == \"it''s\" and cat == SAM'", 6, 45},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ag_str yaml = {0};
        ag_book *book = NULL;
        ag_error err = {0};
        char place[64];
        ag_str_addf(
            &yaml,
            "rulebook: t\ntiers: [{id: A}, {id: B}]\ncriteria: [{id: cat, verdicts: [SAME, OTHER]}]\nrules:\n"
            "  - id: R\n    %s\n    cap: B\n",
            rows[i].when);
        assert_int_equal(ag_book_parse(&book, ag_str_text(&yaml), yaml.len, "b", &err), AG_ERR_INPUT);
        snprintf(place, sizeof(place), "b:%d:%d: rule 'R': unknown verdict 'SAM' of 'cat'", rows[i].line,
                 rows[i].column);
        if (strncmp(err.message, place, strlen(place)) != 0)
            fail_msg("%s\nis not %s\n%s", err.message, place, rows[i].when);
        ag_str_free(&yaml);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random), cmocka_unit_test(test_refused), cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_depth),  cmocka_unit_test(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
