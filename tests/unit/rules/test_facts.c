/* test_facts.c: the facts file: what is read, every refusal with its place, hostile files, failing allocations; how
 * categories relate, held against a search of the same graph done the slow way; and gold verdicts.
 */
#include "unit/rules/facts_help.h"

#include "rules/facts_map.h"
#include "rules/facts_text.h"

static void test_words(void **state)
{
    static const struct {
        const char *text, *normal;
    } cases[] = {{"Men's Running-Shoes, 1,5L", "men running shoe 1.5 l"},
                 {"DRESSES", "dress"},
                 {"watches boxes", "watch box"},
                 {"ladies glass bus", "lady glass bus"},
                 {"1,500 ml", "1500 ml"},
                 {"2.50 kg", "2.5 kg"},
                 {"10.00", "10"},
                 {"500ml", "500 ml"},
                 {"\xC3\x89lan caf\xC3\xA9s", "\xC3\xA9lan caf\xC3\xA9s"},
                 {"$20", "$ 20"},
                 {"", ""},
                 {"  --  ", ""},
                 {"\xE9\x9D\xB4\xE5\xAD\x90", "\xE9\x9D\xB4 \xE5\xAD\x90"},
                 {"women\xE2\x80\x99s", "women"},
                 {"X2 dv7-1211ea", "x2 dv7 1211 ea"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ag_str out = {0};
        assert_int_equal(ag_words_normal(&out, cases[i].text, true, NULL), AG_OK);
        assert_string_equal(ag_str_text(&out), cases[i].normal);
        ag_str_free(&out);
    }
    ag_words w = {0};
    assert_int_equal(ag_words_split(&w, "red boots and reddish red boot", true, NULL), AG_OK);
    assert_int_equal(ag_words_find(&w, "red boot", 8, 0), 0);
    assert_int_equal(ag_words_find(&w, "red boot", 8, 1), 4);
    assert_int_equal(ag_words_find(&w, "boot and red", 12, 0), -1);
    assert_int_equal(ag_words_find(&w, "green", 5, 0), -1);
    ag_words_free(&w);
}

static void test_map(void **state)
{
    (void)state;
    ag_arena arena = {.name = "t"};
    ag_map map = {.arena = &arena};
    char key[32];
    for (int i = 0; i < 5000; i++) {
        bool made;
        int n = snprintf(key, sizeof key, "key %d", i * 7);
        assert_int_equal(ag_map_get(&map, key, (size_t)n), -1);
        assert_non_null(ag_map_put(&map, key, (size_t)n, i, &made));
        assert_true(made);
        assert_int_equal(ag_map_put(&map, key, (size_t)n, 99999, &made)->value, i);
        assert_false(made);
    }
    for (int i = 0; i < 5000; i++) {
        int n = snprintf(key, sizeof key, "key %d", i * 7);
        assert_int_equal(ag_map_get(&map, key, (size_t)n), i);
        assert_string_equal(map.entries[i].key, key);
    }
    ag_map_free(&map);
    ag_arena_free(&arena);
}

/* --- categories --------------------------------------------------------------------------------------------- */

static void test_categories(void **state)
{
    (void)state;
    ag_facts *f = NULL;
    assert_int_equal(ag_facts_load(&f, SHOP_FACTS, NULL), AG_OK);
    static const struct {
        const char *wanted, *item;
        ag_relation relation;
    } cases[] = {{"trainers", "trainers", AG_REL_SAME},    {"sneakers", "trainers", AG_REL_SAME},
                 {"Sneaker", "TRAINERS", AG_REL_SAME},     {"shoes", "boots", AG_REL_NARROWER},
                 {"boots", "shoes", AG_REL_SIBLING},       {"trainers", "boots", AG_REL_SIBLING},
                 {"boots", "shoe cream", AG_REL_RELATED},  {"shoe polish", "trainers", AG_REL_RELATED},
                 {"boots", "kettles", AG_REL_ELSE},        {"kettles", "teapots", AG_REL_SIBLING},
                 {"unheard", "unheard", AG_REL_SAME},      {"unheard", "boots", AG_REL_ELSE},
                 {"chargers", "phone cases", AG_REL_ELSE}, {"smartphones", "chargers", AG_REL_RELATED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (ag_facts_category(f, cases[i].wanted, cases[i].item) != cases[i].relation)
            fail_msg("%s / %s", cases[i].wanted, cases[i].item);
    ag_facts_free(f);
}

enum { NODES = 12 };

typedef struct graph {
    bool parent[NODES][NODES], sibling[NODES][NODES], related[NODES][NODES], members[NODES];
} graph;

static bool within(const graph *g, int c, int ancestor)
{
    if (c == ancestor) return true;
    for (int p = 0; p < NODES; p++)
        if (g->parent[c][p] && within(g, p, ancestor)) return true;
    return false;
}

static bool joined(const graph *g, bool (*link)[NODES], int a, int b)
{
    for (int x = 0; x < NODES; x++)
        for (int y = 0; y < NODES; y++) {
            if (!link[x][y]) continue;
            if (within(g, a, x) && !within(g, b, x) && within(g, b, y) && !within(g, a, y)) return true;
            if (within(g, b, x) && !within(g, a, x) && within(g, a, y) && !within(g, b, y)) return true;
        }
    return false;
}

static ag_relation slow_relation(graph *g, int w, int i)
{
    if (w == i) return AG_REL_SAME;
    if (within(g, i, w)) return AG_REL_NARROWER;
    if (within(g, w, i)) return AG_REL_SIBLING;
    for (int m = 0; m < NODES; m++)
        if (g->members[m] && within(g, w, m) && within(g, i, m)) return AG_REL_SIBLING;
    if (joined(g, g->sibling, w, i)) return AG_REL_SIBLING;
    return joined(g, g->related, w, i) ? AG_REL_RELATED : AG_REL_ELSE;
}

static void add_links(ag_str *y, const char *key, const bool *row)
{
    bool any = false;
    for (int j = 0; j < NODES; j++) {
        if (!row[j]) continue;
        if (any)
            ag_str_add(y, ", ");
        else
            ag_str_addf(y, "    %s: [", key);
        any = true;
        ag_str_addf(y, "c%d", j);
    }
    if (any) ag_str_add(y, "]\n");
}

static void test_category_brute(void **state)
{
    (void)state;
    long seen[AG_REL_COUNT] = {0};
    for (uint64_t n = 0; n < 80; n++) {
        ag_rng rng = ag_rng_at(5, AG_RNG_TEST, n, 0, 0, 0);
        graph g = {0};
        ag_str y = {0};
        ag_str_add(&y, "facts: t\ncategories:\n");
        for (int i = 0; i < NODES; i++) {
            for (int j = 0; j < NODES; j++) {
                g.parent[i][j] = j < i && ag_rng_below(&rng, 9) == 0; /* only to smaller ones: no cycles */
                g.sibling[i][j] = j != i && ag_rng_below(&rng, 18) == 0;
                g.related[i][j] = j != i && ag_rng_below(&rng, 12) == 0;
            }
            g.members[i] = ag_rng_below(&rng, 6) == 0;
            ag_str_addf(&y, "  c%d:\n    synonyms: [s%d]\n", i, i);
            add_links(&y, "parents", g.parent[i]);
            add_links(&y, "siblings", g.sibling[i]);
            add_links(&y, "related", g.related[i]);
            if (g.members[i]) ag_str_add(&y, "    members: siblings\n");
        }
        ag_facts *f = help_facts(ag_str_text(&y));
        for (int i = 0; i < NODES; i++)
            for (int j = 0; j < NODES; j++) {
                char a[16], b[16];
                snprintf(a, sizeof a, "s%d", i);
                snprintf(b, sizeof b, "c%d", j);
                ag_relation want = slow_relation(&g, i, j);
                seen[want]++;
                if (ag_facts_category(f, a, b) != want) fail_msg("graph %d, %s, %s", (int)n, a, b);
            }
        ag_facts_free(f);
        ag_str_free(&y);
    }
    for (int r = AG_REL_SAME; r <= AG_REL_ELSE; r++) assert_true(seen[r] > 20);
}

/* --- refusals ------------------------------------------------------------------------------------------------ */

static void test_refusals(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"facts: t\ncategory: {}\n", ":2:1: "},
        {"- a\n", "must be a map"},
        {"categories: [a]\n", "must be a map"},
        {"categories:\n  boots: {parents: [shoe]}\n  shoes: {}\n", NULL}, /* plural: the same name */
        {"categories:\n  boots: {parents: [shoebox]}\n  shoes: {}\n",
         ":2:21: parents: unknown category 'shoebox'"},
        {"categories:\n  boots: {siblings: [trainrs]}\n  trainers: {}\n", "did you mean 'trainers'"},
        {"categories:\n  a: {parents: [b]}\n  b: {parents: [c]}\n  c: {parents: [a]}\n", "lead back to it"},
        {"categories:\n  a: {parents: [a]}\n", "names itself"},
        {"categories:\n  a: {synonyms: [b]}\n  b: {}\n", "already names"},
        {"categories:\n  a: {members: cousins}\n", ":2:16: members can only be 'siblings'"},
        {"categories:\n  a: {sibling: [b]}\n", "siblings"},
        {"categories:\n  '--': {}\n", "no letters or digits"},
        {"values:\n  colour: {synonyms: [navy, blue]}\n", "list of two or more"},
        {"values:\n  colour: {synonyms: navy}\n", "list of lists"},
        {"values:\n  colour: {parents: [navy]}\n", "must be a map"},
        {"values:\n  colour: {parents: {navy: navy}}\n", "names itself"},
        {"values:\n  colour: {parent: {navy: blue}}\n", "parents"},
        {"phrases: {nott: [not]}\n", "not"},
        {"phrases: {not: ['']}\n", "must not be empty"},
        {"phrases: {not: ['?!']}\n", "no letters or digits"},
        {"phrases: {not: {a: b}}\n", ":1:16: "},
        {"knowledge: {}\n", "must be a list"},
        {"knowledge:\n  - {phrases: [x]}\n", "needs 'phrases' and 'asked'"},
        {"knowledge:\n  - {phrases: [x], asked: [{name: a}]}\n", "needs 'name' and 'value'"},
        {"knowledge:\n  - {phrases: [x], asked: [{name: a, op: nott, value: b}]}\n", "did you mean 'not'"},
        {"knowledge:\n  - {phrases: [x], asked: [{name: a, op: between, value: 3}]}\n", "exactly two"},
        {"knowledge:\n  - {phrases: [x], asked: [{name: a, value: []}]}\n", "must not be empty"},
        {"knowledge:\n  - {phrases: [x], asked: [{name: 'a;b', value: c}]}\n", "the name 'a;b'"},
        {"why: {othr: x}\n", "other"},
        {"why: {other: \"a\\nb\"}\n", "one line"},
        {"text_fields: [titel]\n", "title and description"},
        {"also: {de: {phrase: {}}}\n", "phrases"},
        {"facts: [\n", ":"},
        {"facts: &a b\n", ":"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ag_facts *f = NULL;
        ag_error err = {0};
        ag_status status = help_load(&f, cases[i].text, &err);
        if (!cases[i].part) {
            if (status != AG_OK) fail_msg("%s", err.message);
            ag_facts_free(f);
            continue;
        }
        if (status != AG_ERR_INPUT) fail_msg("accepted: %s", cases[i].text);
        if (!strstr(err.message, cases[i].part)) fail_msg("%s\nlacks %s", err.message, cases[i].part);
        assert_null(f);
    }
    ag_facts *f = NULL;
    assert_int_equal(ag_facts_load(&f, "/nonexistent/facts.yaml", NULL), AG_ERR_IO);
}

/* A diamond of 60 levels has 2^60 ways up: reading and asking must not walk them. */
static void test_diamonds(void **state)
{
    (void)state;
    ag_str y = {0};
    ag_str_add(&y, "categories:\n  a0: {}\n  b0: {}\n");
    for (int i = 1; i < 60; i++)
        ag_str_addf(&y, "  a%d: {parents: [a%d, b%d]}\n  b%d: {parents: [a%d, b%d]}\n", i, i - 1, i - 1, i,
                    i - 1, i - 1);
    ag_facts *f = help_facts(ag_str_text(&y));
    assert_int_equal(ag_facts_category(f, "a0", "b59"), AG_REL_NARROWER);
    assert_int_equal(ag_facts_category(f, "a59", "b59"), AG_REL_ELSE);
    ag_facts_free(f);
    ag_str_clear(&y);
    ag_str_add(&y, "categories:\n  c0: {}\n");
    for (int i = 1; i < 1500; i++) ag_str_addf(&y, "  c%d: {parents: [c%d]}\n", i, i - 1);
    ag_error err = {0};
    f = NULL;
    ag_status status = help_load(&f, ag_str_text(&y), &err); /* deep but harmless in file order */
    if (status == AG_OK) assert_int_equal(ag_facts_category(f, "c0", "c1499"), AG_REL_NARROWER);
    ag_facts_free(f);
    ag_str_free(&y);
}

/* Random damage to a real file: an error or a facts file, never a crash. */
static void test_mutations(void **state)
{
    (void)state;
    char *text;
    size_t n;
    assert_int_equal(ag_file_read(SHOP_FACTS, 0, &text, &n, NULL), AG_OK);
    char *copy = malloc(n + 1);
    int refused = 0;
    for (uint64_t i = 0; i < 400; i++) {
        ag_rng rng = ag_rng_at(6, AG_RNG_TEST, i, 0, 0, 0);
        ag_facts *f = NULL;
        ag_error err = {0};
        size_t len = n;
        memcpy(copy, text, n + 1);
        for (int k = 0; k < 3; k++)
            copy[ag_rng_below(&rng, (uint32_t)n)] = "{}[]:,-\n \"'a#&\xff"[ag_rng_below(&rng, 15)];
        if (i % 4 == 0) len = ag_rng_below(&rng, (uint32_t)n);
        const char *path = help_file(copy, len);
        ag_status status = ag_facts_load(&f, path, &err);
        unlink(path);
        assert_true(status == AG_OK || status == AG_ERR_INPUT);
        if (status != AG_OK) assert_true(++refused && strlen(err.message) > 10);
        ag_facts_free(f);
    }
    assert_true(refused > 50);
    free(copy);
    ag_free(text);
}

static void test_memory(void **state)
{
    (void)state;
    for (long n = 1;; n++) {
        ag_facts *f = NULL;
        ag_error err = {0};
        ag_mem_fail_at(n, n % 2);
        ag_status status = ag_facts_load(&f, SHOP_FACTS, &err);
        ag_mem_fail_at(0, false);
        if (status == AG_OK) {
            ag_facts_free(f);
            assert_true(n > 20);
            break;
        }
        assert_int_equal(status, AG_ERR_MEMORY);
        assert_null(f);
    }
}

/* --- gold ---------------------------------------------------------------------------------------------------- */

static ag_gold gold_of(const ag_facts *f, const ag_book *book, const ag_ask *asks, int n, const ag_item *item,
                       const char *wanted, ag_arena *arena)
{
    ag_gold gold;
    ag_ask copy[4];
    ag_asked asked = {
        .source = AG_ASKED_GIVEN, .entries = copy, .count = n, .types = {"plain"}, .type_count = 1};
    memcpy(copy, asks, sizeof *asks * (size_t)n);
    assert_int_equal(ag_asked_resolve(book, &asked, NULL, arena, NULL), AG_OK);
    assert_int_equal(ag_facts_gold(&gold, f, book, &asked, item, wanted, NULL, arena, NULL), AG_OK);
    return gold;
}

static void test_gold(void **state)
{
    (void)state;
    ag_facts *f = NULL;
    ag_book *book = NULL;
    ag_arena arena = {.name = "t"};
    assert_int_equal(ag_book_load(&book, SHOP_BOOK, NULL), AG_OK);
    assert_int_equal(ag_facts_load(&f, SHOP_FACTS, NULL), AG_OK);
    const char *colour[] = {"navy"}, *material[] = {"suede"}, *blue[] = {"blue"}, *leather[] = {"leather"},
               *ten[] = {"10"};
    ag_field fields[] = {{"colour", colour, 1}, {"material", material, 1}};
    ag_item item = {.id = "p",
                    .title = "Norvik boots",
                    .brand = "Norvik",
                    .category = "boots",
                    .has_price = true,
                    .price = 50,
                    .fields = fields,
                    .field_count = 2};
    ag_ask asks[] = {{.name = "colour", .op = AG_OP_IS, .values = blue, .value_count = 1},
                     {.name = "material", .op = AG_OP_NOT, .values = leather, .value_count = 1},
                     {.name = "price", .op = AG_OP_AT_MOST, .values = ten, .value_count = 1}};
    ag_gold gold = gold_of(f, book, asks, 1, &item, "shoes", &arena);
    assert_int_equal(gold.tier, 0);
    assert_string_equal(book->rules[gold.rule].id, "R0");
    assert_string_equal(gold.why, "The item meets all that the query asks.");
    gold = gold_of(f, book, asks, 2, &item, "boots", &arena);
    assert_string_equal(book->rules[gold.rule].id, "R5");
    assert_string_equal(gold.why, "The query excludes material leather and the item has suede.");
    gold = gold_of(f, book, asks + 2, 1, &item, "boots", &arena);
    assert_string_equal(book->rules[gold.rule].id, "R4");
    assert_string_equal(gold.why, "The query allows price up to 10 and the item has 50.");
    gold = gold_of(f, book, asks, 1, &item, "trainers", &arena);
    assert_string_equal(book->rules[gold.rule].id, "R3");
    assert_string_equal(gold.why, "The query wants trainers; boots only serve a similar need.");
    gold = gold_of(f, book, asks, 1, &item, "kettles", &arena);
    assert_string_equal(book->rules[gold.rule].id, "R1");
    gold = gold_of(f, book, asks, 1, &item, NULL, &arena); /* nobody knows what is wanted */
    assert_int_equal(gold.tier, -1);
    assert_int_equal(gold.verdicts.v[0][0], -1);
    assert_int_equal(gold.verdicts.v[1][0], 0);
    ag_arena_free(&arena);
    ag_facts_free(f);
    ag_book_free(book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),      cmocka_unit_test(test_map),
        cmocka_unit_test(test_categories), cmocka_unit_test(test_category_brute),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_diamonds),
        cmocka_unit_test(test_mutations),  cmocka_unit_test(test_memory),
        cmocka_unit_test(test_gold)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
