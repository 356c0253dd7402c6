/* test_derive.c: the derived tier and deciding rule of the default table, against the table written out by hand here, for
 * every verdict of up to two asked entries; asked entries' ids and importance; completeness.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rules/when.h"
#include "unit/rules/random_book.h"

static ag_book *load(const char *name)
{
    char path[512];
    ag_book *book = NULL;
    ag_error err = {0};
    snprintf(path, sizeof(path), "%s/rules/%s", AGRL_SOURCE_DIR, name);
    if (ag_book_load(&book, path, &err) != AG_OK) fail_msg("%s", err.message);
    return book;
}

enum { SAME, SUBSTITUTE, COMPLEMENT, DIFFERENT };
enum { MATCH, PARTIAL, UNKNOWN, CONFLICT };

/* The default table, by hand: cap as a tier index (0 is "4"), rule by name. */
static void by_hand(int cat, const ag_asked *asked, const int *attr, bool alternative, int *tier,
                    const char **rule)
{
    bool negated = false, core = false, unsure = false, minor = false, brand = false;
    for (int e = 0; e < asked->count; e++) {
        const ag_ask *ask = &asked->entries[e];
        if (attr[e] == CONFLICT && strcmp(ask->name, "brand") == 0) brand = true;
        if (attr[e] == CONFLICT && ask->negated) negated = true;
        if (attr[e] == CONFLICT && !ask->negated && ask->core) core = true;
        if (attr[e] == CONFLICT && !ask->negated && !ask->core) minor = true;
        if ((attr[e] == UNKNOWN || attr[e] == PARTIAL) && !ask->negated && ask->core) unsure = true;
    }
    if (cat == DIFFERENT)
        *tier = 3, *rule = "R1";
    else if (alternative && brand)
        *tier = 2, *rule = "R8";
    else if (negated)
        *tier = 2, *rule = "R5";
    else if (core)
        *tier = 2, *rule = "R4";
    else if (cat == COMPLEMENT)
        *tier = 2, *rule = "R2";
    else if (cat == SUBSTITUTE)
        *tier = 1, *rule = "R3";
    else if (unsure)
        *tier = 1, *rule = "R6";
    else if (minor)
        *tier = 1, *rule = "R7";
    else
        *tier = 0, *rule = "R0";
}

static void check_table(const ag_book *book)
{
    ag_ask kinds[8], entries[2];
    long checked = 0;
    for (int k = 0; k < 8; k++)
        kinds[k] = (ag_ask){
            .id = "x", .name = k & 1 ? "brand" : "colour", .core = (k & 2) != 0, .negated = (k & 4) != 0};
    for (int count = 0; count <= 2; count++)
        for (int pick = 0; pick < (count == 0 ? 1 : count == 1 ? 8 : 64); pick++)
            for (int point = 0; point < 4 * 16 * 3; point++) {
                ag_asked asked = {.source = AG_ASKED_GIVEN, .entries = entries, .count = count};
                int attr[2] = {point / 4 % 4, point / 16 % 4}, types = point / 64, tier, rule, expected;
                const char *name;
                ag_verdicts verdicts;
                ag_verdicts_clear(&verdicts);
                entries[0] = kinds[pick % 8], entries[1] = kinds[pick / 8];
                if (types == 1) asked.types[asked.type_count++] = "negation";
                if (types > 0) asked.types[asked.type_count++] = types == 1 ? "alternative" : "plain";
                verdicts.v[0][0] = (int8_t)(point % 4);
                for (int e = 0; e < count; e++) verdicts.v[1][e] = (int8_t)attr[e];
                assert_true(ag_verdicts_complete(book, &asked, &verdicts));
                ag_derive(book, &asked, &verdicts, &tier, &rule);
                by_hand(point % 4, &asked, attr, types == 1, &expected, &name);
                assert_int_equal(tier, expected);
                assert_string_equal(book->rules[rule].id, name);
                checked++;
            }
    assert_int_equal(checked, (1 + 8 + 64) * 192);
}

static void test_default_table(void **state)
{
    (void)state;
    static const char *const names[] = {"general-4tier.yaml", "shop.yaml"};
    for (int i = 0; i < 2; i++) {
        ag_book *book = load(names[i]);
        check_table(book);
        ag_book_free(book);
    }
}

/* ESCI by a few cases. */
static void test_esci(void **state)
{
    (void)state;
    static const struct {
        const char *cat, *name, *attr;
        bool negated;
        const char *tier, *rule;
    } rows[] = {
        {"SAME", "brand", "MATCH", false, "E", "R0"},
        {"SAME", "brand", "UNKNOWN", false, "E", "R0"},
        {"SAME", "brand", "PARTIAL", false, "S", "R6"},
        {"SAME", "brand", "CONFLICT", false, "S", "R6"},
        {"SAME", "fits", "CONFLICT", false, "I", "R2"},
        {"SAME", "fits", "CONFLICT", true, "S", "R5"},
        {"SUBSTITUTE", "brand", "MATCH", false, "S", "R4"},
        {"COMPLEMENT", "brand", "CONFLICT", false, "C", "R3"},
        {"DIFFERENT", "fits", "CONFLICT", false, "I", "R1"},
    };
    ag_book *book = load("esci.yaml");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ag_ask entry = {.id = rows[i].name, .name = rows[i].name, .core = true, .negated = rows[i].negated};
        ag_asked asked = {.source = AG_ASKED_GIVEN, .entries = &entry, .count = 1};
        ag_verdicts verdicts;
        int tier, rule;
        ag_verdicts_clear(&verdicts);
        verdicts.v[0][0] = (int8_t)ag_criterion_verdict(&book->criteria[0], rows[i].cat);
        verdicts.v[1][0] = (int8_t)ag_criterion_verdict(&book->criteria[1], rows[i].attr);
        ag_derive(book, &asked, &verdicts, &tier, &rule);
        assert_string_equal(book->tiers[tier].id, rows[i].tier);
        assert_string_equal(book->rules[rule].id, rows[i].rule);
    }
    ag_book_free(book);
}

/* Random books with many rules: worst cap, first rule in the book among equals, otherwise only when alone. */
static void test_random(void **state)
{
    (void)state;
    enum { RULES = 9 };
    static rb_pool pool;
    static const char *const ids[RULES] = {"R0", "R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8"};
    for (uint64_t i = 0; i < 600; i++) {
        ag_rng rng = ag_rng_at(2, AG_RNG_TEST, i, 0, 0, 0);
        random_book b;
        const rb_node *tree[RULES];
        int cap[RULES], rules = (int)ag_rng_below(&rng, RULES + 1);
        int otherwise = ag_rng_below(&rng, 3) && rules ? (int)ag_rng_below(&rng, (uint32_t)rules) : -1;
        ag_str yaml = {0};
        ag_error err = {0};
        ag_book *book = NULL;
        pool.used = 0;
        rb_make(&b, &rng, RB_CRITERIA);
        rb_yaml(&yaml, &b);
        ag_str_add(&yaml, rules ? "rules:\n" : "rules: []\n");
        for (int r = 0; r < rules; r++) {
            ag_str when = {0};
            tree[r] = rb_tree(&b, &rng, &pool, 1);
            cap[r] = (int)ag_rng_below(&rng, (uint32_t)b.tiers);
            rb_write(&when, &rng, &b, tree[r], RB_OR);
            rb_rule(&yaml, ids[r], r == otherwise ? NULL : ag_str_text(&when), b.tier[cap[r]]);
            ag_str_free(&when);
        }
        if (ag_book_parse(&book, ag_str_text(&yaml), yaml.len, "random.yaml", &err) != AG_OK)
            fail_msg("%s\n%s", err.message, ag_str_text(&yaml));
        for (int j = 0; j < 50; j++) {
            rb_case k;
            ag_ask entries[8];
            ag_asked asked;
            ag_verdicts verdicts;
            int tier, rule, worst = -1, first = -1;
            rb_random_case(&b, &rng, &k);
            rb_case_structs(&b, &k, book, entries, &asked, &verdicts);
            for (int r = 0; r < rules; r++)
                if (r != otherwise && rb_holds(tree[r], &k) && cap[r] > worst) worst = cap[r];
            for (int r = rules - 1; r >= 0; r--)
                if (r != otherwise && rb_holds(tree[r], &k) && cap[r] == worst) first = r;
            if (first < 0 && otherwise >= 0) first = otherwise, worst = cap[otherwise];
            ag_derive(book, &asked, &verdicts, &tier, &rule);
            assert_int_equal(tier, worst < 0 ? 0 : worst);
            assert_int_equal(rule, first);
        }
        ag_book_free(book);
        ag_str_free(&yaml);
    }
}

static void test_complete(void **state)
{
    (void)state;
    ag_book *book = load("shop.yaml");
    ag_ask entries[2] = {{.id = "a", .name = "a"}, {.id = "b", .name = "b"}};
    ag_asked asked = {.entries = entries, .count = 2};
    ag_verdicts verdicts;
    ag_verdicts_clear(&verdicts);
    for (int c = 0; c < AG_MAX_CRITERIA; c++)
        for (int a = 0; a < AG_MAX_ASKED; a++) assert_int_equal(verdicts.v[c][a], -1);
    assert_false(ag_verdicts_complete(book, &asked, &verdicts));
    verdicts.v[0][0] = 0;
    asked.count = 0;
    assert_true(ag_verdicts_complete(book, &asked, &verdicts));
    asked.count = 2;
    verdicts.v[1][0] = 3;
    assert_false(ag_verdicts_complete(book, &asked, &verdicts));
    verdicts.v[1][1] = 3;
    assert_true(ag_verdicts_complete(book, &asked, &verdicts));
    verdicts.v[1][1] = 4;
    assert_false(ag_verdicts_complete(book, &asked, &verdicts));
    ag_book_free(book);
}

static void test_resolve(void **state)
{
    (void)state;
    ag_book *book = load("shop.yaml");
    ag_arena arena = {.name = "test"};
    ag_error err = {0};
    ag_ask e[4] = {{.name = "colour"},
                   {.name = "brand", .op = AG_OP_NOT},
                   {.name = "colour", .op = AG_OP_NOT},
                   {.name = "colour", .id = "shade"}};
    int importance[4] = {1, -1, -1, 0};
    ag_asked asked = {.entries = e, .count = 4};
    assert_int_equal(ag_asked_resolve(book, &asked, importance, &arena, &err), AG_OK);
    assert_string_equal(e[0].id, "colour");
    assert_string_equal(e[1].id, "brand");
    assert_string_equal(e[2].id, "colour#2");
    assert_string_equal(e[3].id, "shade");
    assert_true(e[0].core && e[1].core && !e[2].core && !e[3].core);
    assert_true(!e[0].negated && e[1].negated && e[2].negated && !e[3].negated);
    /* what was generated reads back */
    assert_int_equal(ag_asked_resolve(book, &asked, NULL, &arena, &err), AG_OK);
    assert_string_equal(e[2].id, "colour#2");

    static const struct {
        const char *name, *id, *message;
    } rows[] = {
        {"a:b", NULL,
         "the name of asked entry 1, 'a:b', contains one of the reserved characters : ; = # , [ ] +"},
        {"core", NULL, "the name of asked entry 1, 'core', is a reserved word"},
        {"x", "x#a",
         "the id of asked entry 1, 'x#a', contains one of the reserved characters : ; = # , [ ] +"},
        {"x", "y#2",
         "the id of asked entry 1, 'y#2', contains one of the reserved characters : ; = # , [ ] +"},
        {"x", " x", "the id of asked entry 1, ' x', begins or ends with a space"},
        {"x", "", "the id of asked entry 1, '', is empty"},
        {"", NULL, "asked entry 1 has no name"},
        {"x\n", NULL, "the name of asked entry 1, 'x ', contains a control character"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ag_ask one = {.name = rows[i].name, .id = rows[i].id};
        ag_asked single = {.entries = &one, .count = 1};
        assert_int_equal(ag_asked_resolve(book, &single, NULL, &arena, &err), AG_ERR_INPUT);
        assert_string_equal(err.message, rows[i].message);
    }
    ag_ask twice[2] = {{.name = "x", .id = "y"}, {.name = "y"}};
    asked = (ag_asked){.entries = twice, .count = 2};
    assert_int_equal(ag_asked_resolve(book, &asked, NULL, &arena, &err), AG_ERR_INPUT);
    static ag_ask many[AG_MAX_ASKED + 1];
    for (int i = 0; i <= AG_MAX_ASKED; i++) many[i].name = "x";
    asked = (ag_asked){.entries = many, .count = AG_MAX_ASKED + 1};
    assert_int_equal(ag_asked_resolve(book, &asked, NULL, &arena, &err), AG_ERR_INPUT);
    asked.count = AG_MAX_ASKED;
    assert_int_equal(ag_asked_resolve(book, &asked, NULL, &arena, &err), AG_OK);
    assert_string_equal(many[AG_MAX_ASKED - 1].id, "x#32");
    ag_arena_free(&arena);
    ag_book_free(book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default_table), cmocka_unit_test(test_esci),    cmocka_unit_test(test_random),
        cmocka_unit_test(test_complete),      cmocka_unit_test(test_resolve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
