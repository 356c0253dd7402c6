/* test_facts.c: the facts file: what is read, every refusal with its place, hostile files, failing allocations; how
 * categories relate, held against a search of the same graph done the slow way; and gold verdicts.
 */
#include "unit/rules/facts_help.h"

#include <stdio.h>

#include "rules/facts_table.h"

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

enum { SIBLINGS, RELATED, UNCLEAR, UNRELATED, LINKS };

typedef struct graph {
    bool parent[NODES][NODES], link[LINKS][NODES][NODES];
    int members[NODES]; /* a link, or -1 */
    bool wider_unclear;
} graph;

/* Levels from c up to an ancestor by the shortest way, or -1. */
static int levels(const graph *g, int c, int ancestor)
{
    int best = -1;
    if (c == ancestor) return 0;
    for (int p = 0; p < NODES; p++) {
        int more = g->parent[c][p] ? levels(g, p, ancestor) : -1;
        if (more >= 0 && (best < 0 || more + 1 < best)) best = more + 1;
    }
    return best;
}

static bool within(const graph *g, int c, int ancestor)
{
    return levels(g, c, ancestor) >= 0;
}

/* Every link between what a and b are or belong to, the nearest one, the kinds in their order. */
static ag_relation linked(const graph *g, int a, int b)
{
    static const ag_relation relations[LINKS] = {AG_REL_SIBLING, AG_REL_RELATED, AG_REL_COUNT, AG_REL_ELSE};
    ag_relation relation = AG_REL_ELSE;
    int best = 1000;
    for (int l = 0; l < LINKS; l++) {
        for (int m = 0; m < NODES; m++)
            if (g->members[m] == l && within(g, a, m) && within(g, b, m) &&
                levels(g, a, m) + levels(g, b, m) < best) {
                best = levels(g, a, m) + levels(g, b, m);
                relation = relations[l];
            }
        for (int x = 0; x < NODES; x++)
            for (int y = 0; y < NODES; y++)
                for (int turn = 0; turn < 2; turn++) {
                    int from = turn ? b : a, to = turn ? a : b;
                    if (!g->link[l][x][y] || !within(g, from, x) || !within(g, to, y)) continue;
                    if (l != UNCLEAR && (within(g, to, x) || within(g, from, y))) continue;
                    if (levels(g, from, x) + levels(g, to, y) >= best) continue;
                    best = levels(g, from, x) + levels(g, to, y);
                    relation = relations[l];
                }
    }
    return relation;
}

static ag_relation slow_relation(graph *g, int w, int i)
{
    if (w == i) return AG_REL_SAME;
    if (within(g, i, w)) return AG_REL_NARROWER;
    if (within(g, w, i)) return g->wider_unclear ? AG_REL_COUNT : AG_REL_SIBLING;
    return linked(g, w, i);
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
    long seen[AG_REL_COUNT + 1] = {0};
    for (uint64_t n = 0; n < 80; n++) {
        ag_rng rng = ag_rng_at(5, AG_RNG_TEST, n, 0, 0, 0);
        graph g = {0};
        ag_str y = {0};
        g.wider_unclear = ag_rng_below(&rng, 2);
        ag_str_addf(&y, "facts: t\nwider: %s\ncategories:\n", g.wider_unclear ? "unclear" : "sibling");
        for (int i = 0; i < NODES; i++) {
            for (int j = 0; j < NODES; j++) {
                g.parent[i][j] = j < i && ag_rng_below(&rng, 9) == 0; /* only to smaller ones: no cycles */
                for (int l = 0; l < LINKS; l++) g.link[l][i][j] = j != i && ag_rng_below(&rng, 18) == 0;
            }
            g.members[i] = ag_rng_below(&rng, 6) ? -1 : ag_rng_below(&rng, 2) ? UNCLEAR : SIBLINGS;
            ag_str_addf(&y, "  c%d:\n    synonyms: [s%d]\n", i, i);
            add_links(&y, "parents", g.parent[i]);
            add_links(&y, "siblings", g.link[SIBLINGS][i]);
            add_links(&y, "related", g.link[RELATED][i]);
            add_links(&y, "unclear", g.link[UNCLEAR][i]);
            add_links(&y, "unrelated", g.link[UNRELATED][i]);
            if (g.members[i] >= 0)
                ag_str_addf(&y, "    members: %s\n", g.members[i] == UNCLEAR ? "unclear" : "siblings");
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
    assert_true(seen[AG_REL_COUNT] > 20);
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
        {"categories:\n  a: {members: cousins}\n", ":2:16: members can be 'siblings' or 'unclear'"},
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
        {"type_fields: {a: b}\n", ":1:14: "},
        {"type_fields: [a, '']\n", ":1:18: type_fields must not be empty"},
        {"aside: [for, '?!']\n", ":1:14: aside: '?!' is not one word"},
        {"aside: [made for]\n", ":1:9: aside: 'made for' is not one word"},
        {"vague:\n  - kit\n  - spare part\n", ":3:5: vague: 'spare part' is not one word"},
        {"vague: [[kit]]\n", ":1:9: "},
        {"vage: [kit]\n", "did you mean 'vague'"},
        {"wider: open\n", ":1:8: wider can be 'sibling' or 'unclear', not 'open'"},
        {"wider: [unclear]\n", ":1:8: "},
        {"categories:\n  a: {unclear: [bb]}\n  b: {}\n", ":2:17: unclear: unknown category 'bb'"},
        {"categories:\n  a: {unclear: [a]}\n", ":2:17: unclear: 'a' names itself"},
        {"categories:\n  a: {unclaer: [b]}\n  b: {}\n", "did you mean 'unclear'"},
        {"base: [a]\n", ":1:7: "},
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

/* A pair whose category the facts leave open gets no verdict of category, and so no tier; both ways. */
static void test_gold_open(void **state)
{
    (void)state;
    ag_arena arena = {.name = "t"};
    ag_book *book = help_book("");
    ag_facts *f = help_facts("wider: unclear\ncategories:\n  cable: {}\n  usb cable: {parents: [cable]}\n"
                             "  long usb cable: {parents: [usb cable]}\n  charger: {unclear: [usb cable]}\n"
                             "  car charger: {parents: [charger]}\n  mouse: {}\n");
    static const struct {
        const char *wanted, *item;
        int verdict;
    } cases[] = {{"cable", "usb cable", 0},
                 {"usb cable", "cable", -1},
                 {"charger", "usb cable", -1},
                 {"usb cable", "charger", -1},
                 {"long usb cable", "cable", -1},
                 {"car charger", "usb cable", -1},
                 {"long usb cable", "car charger", -1},
                 {"cable", "charger", 3},
                 {"mouse", "charger", 3},
                 {"*", "mouse", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ag_item item = {.title = "x", .category = cases[i].item};
        ag_ask none[1] = {{0}};
        ag_gold gold = gold_of(f, book, none, 0, &item, cases[i].wanted, &arena);
        if (gold.verdicts.v[0][0] != cases[i].verdict)
            fail_msg("%s / %s: %d", cases[i].wanted, cases[i].item, gold.verdicts.v[0][0]);
        assert_int_equal(gold.tier < 0, cases[i].verdict < 0);
        assert_int_equal(gold.why == NULL, cases[i].verdict < 0);
    }
    ag_facts_free(f);
    f = help_facts("wider: sibling\ncategories:\n  cable: {}\n  usb cable: {parents: [cable]}\n");
    assert_int_equal(ag_facts_category(f, "usb cable", "cable"), AG_REL_SIBLING);
    ag_facts_free(f);
    ag_book_free(book);
    ag_arena_free(&arena);
}

/* --- a file that builds on another ---------------------------------------------------------------------------- */

typedef struct family {
    char folder[64], path[96];
} family;

/* Writes NAME.yaml in the family's folder; its path stays in family->path. */
static void put(family *at, const char *name, const char *text)
{
    snprintf(at->path, sizeof at->path, "%s/%s.yaml", at->folder, name);
    FILE *file = fopen(at->path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void begin(family *at)
{
    strcpy(at->folder, "/tmp/agrl-facts-XXXXXX");
    assert_non_null(mkdtemp(at->folder));
}

static void end(family *at)
{
    assert_int_equal(ag_dir_remove(at->folder, NULL), AG_OK);
}

static void must_fail(const family *at, ag_status want, const char *part)
{
    ag_facts *f = NULL;
    ag_error err = {0};
    assert_int_equal(ag_facts_load(&f, at->path, &err), want);
    if (!strstr(err.message, part)) fail_msg("%s\nlacks %s", err.message, part);
    assert_null(f);
}

static const char base_text[] =
    "facts: base\ntext_fields: [title]\ntype_fields: [type]\naside: [for]\nvague: [kit]\nwider: unclear\n"
    "compatibility: suits\ncategories:\n  cable: {}\n  usb cable: {parents: [cable], synonyms: [usb lead]}\n"
    "  mouse: {}\nvalues:\n  colour:\n    synonyms: [[navy, dark blue]]\nphrases: {not: [without], like: "
    "[like]}\n"
    "knowledge:\n  - {phrases: [for travel], asked: [{name: size, value: small}]}\n"
    "why: {missing: base missing, best: base best}\n";

static const char child_text[] =
    "facts: child\nbase: base.yaml\ntype_fields: [kind]\nvague: [set]\nwider: sibling\n"
    "categories:\n  usb lead: {synonyms: [usb wire], related: [mouse]}\n  trackball: {siblings: [mouse]}\n"
    "values:\n  colour:\n    parents: {navy: blue}\nphrases: {not: [minus]}\nwhy: {best: child best}\n"
    "knowledge:\n  - {phrases: [for home], asked: [{name: size, value: big}]}\n";

static void test_base(void **state)
{
    (void)state;
    family at;
    ag_facts *f = NULL;
    ag_error err = {0};
    begin(&at);
    put(&at, "base", base_text);
    put(&at, "child", child_text);
    if (ag_facts_load(&f, at.path, &err) != AG_OK) fail_msg("%s", err.message);
    /* Single keys go before the base's; what the file does not name stays. */
    assert_string_equal(f->name, "child");
    assert_string_equal(f->path, at.path);
    assert_string_equal(f->compatibility, "suits");
    assert_true(f->text_title && !f->text_description && !f->wider_unclear);
    assert_int_equal(f->type_field_count, 1);
    assert_string_equal(f->type_fields[0], "kind");
    assert_string_equal(ag_facts_why_text(f, AG_WHY_MISSING), "base missing");
    assert_string_equal(ag_facts_why_text(f, AG_WHY_BEST), "child best");
    /* Lists and maps add up. */
    assert_int_equal(f->aside.count, 1);
    assert_int_equal(f->vague.count, 2);
    assert_int_equal(f->phrase_count[AG_PHRASE_NOT], 2);
    assert_int_equal(f->phrase_count[AG_PHRASE_LIKE], 1);
    assert_int_equal(f->knowledge_count, 2);
    assert_int_equal(f->category_count, 4);
    assert_int_equal(ag_facts_category(f, "usb cable", "usb wires"), AG_REL_SAME);
    assert_int_equal(ag_facts_category(f, "cable", "usb wire"), AG_REL_NARROWER);
    assert_int_equal(ag_facts_category(f, "usb wire", "cable"), AG_REL_SIBLING);
    assert_int_equal(ag_facts_category(f, "mouse", "usb lead"), AG_REL_RELATED);
    assert_int_equal(ag_facts_category(f, "mouse", "trackball"), AG_REL_SIBLING);
    ag_book *book = help_book("");
    const char *dark[] = {"dark blue"}, *blue[] = {"blue"};
    ag_field field = {"colour", dark, 1};
    ag_item item = {.title = "x", .fields = &field, .field_count = 1};
    ag_ask ask = {.name = "colour", .op = AG_OP_IS, .values = blue, .value_count = 1};
    assert_int_equal(ag_facts_compare(f, book, &ask, &item, NULL), AG_REL_EQUAL); /* by both files together */
    ag_book_free(book);
    ag_facts_free(f);

    /* By absolute path, from another folder, over three files. */
    char text[256];
    snprintf(text, sizeof text, "%s/below", at.folder);
    assert_int_equal(ag_dir_make(text, NULL), AG_OK);
    put(&at, "below/last", "base: ../child.yaml\n");
    snprintf(text, sizeof text, "base: %s\ncategories:\n  mice: {synonyms: [rodent]}\n", at.path);
    put(&at, "absolute", text);
    if (ag_facts_load(&f, at.path, &err) != AG_OK) fail_msg("%s", err.message);
    assert_string_equal(f->name, "child");
    assert_int_equal(f->category_count, 5); /* no plural rule makes one mouse of "mice" */
    ag_facts_free(f);
    end(&at);
}

static void test_base_refusals(void **state)
{
    (void)state;
    family at;
    ag_facts *f = NULL;
    ag_error err = {0};
    begin(&at);
    put(&at, "lone", "facts: t\nbase: gone.yaml\n");
    must_fail(&at, AG_ERR_IO, "/gone.yaml");
    put(&at, "self", "base: self.yaml\n");
    must_fail(&at, AG_ERR_INPUT, "self.yaml: base: more than 8 files build on each other");
    put(&at, "one", "base: two.yaml\n");
    put(&at, "two", "base: one.yaml\n");
    must_fail(&at, AG_ERR_INPUT, "base: more than 8 files build on each other");
    put(&at, "base", "categories:\n  cable: {}\n  mouse: {synonyms: [pointer]}\n");
    put(&at, "c1", "base: base.yaml\ncategories:\n  hub: {synonyms: [pointer]}\n");
    must_fail(&at, AG_ERR_INPUT, "c1.yaml:3:");
    must_fail(&at, AG_ERR_INPUT, "'pointer' already names the category 'mouse'");
    put(&at, "c2", "base: base.yaml\ncategories:\n  hub: {parents: [cabel]}\n");
    must_fail(&at, AG_ERR_INPUT, "c2.yaml:3:19: parents: unknown category 'cabel'; did you mean 'cable'?");
    put(&at, "c3",
        "base: base.yaml\ncategories:\n  cable: {parents: [mouse]}\n  mouse: {parents: [cable]}\n");
    must_fail(&at, AG_ERR_INPUT, "c3.yaml:3:3: the parents of 'cable' lead back to it");
    put(&at, "c4", "base: base.yaml\ncategories:\n  hub: {}\n  hubs: {}\n");
    must_fail(&at, AG_ERR_INPUT, "c4.yaml:4:3: 'hubs' already names the category 'hub'");
    put(&at, "de", "facts: t\nbase: base.yaml\nlanguage: de\n");
    must_fail(&at, AG_ERR_INPUT, "de.yaml:3:11: language 'de', but the base's is 'en'");
    put(&at, "base", "categories:\n  cable: {parent: []}\n"); /* the base's mistakes have the base's place */
    put(&at, "c5", "base: base.yaml\nwider: no\n");
    must_fail(&at, AG_ERR_INPUT, "base.yaml:2:11: ");
    static const char inside[] = "facts: t\nbase: base.yaml\n";
    assert_int_equal(ag_facts_parse(&f, inside, strlen(inside), "memory", &err), AG_ERR_INPUT);
    assert_string_equal(err.message, "memory: base: only a file can build on another");
    assert_null(f);
    end(&at);
}

static void digest_of(const char *path, char digest[65])
{
    ag_book *book = NULL;
    ag_error err = {0};
    if (ag_book_load(&book, path, &err) != AG_OK) fail_msg("%s", err.message);
    memcpy(digest, book->digest, 65);
    ag_book_free(book);
}

/* The digest of a book names its facts file and all that this builds on. */
static void test_base_digest(void **state)
{
    (void)state;
    family at;
    char before[65], after[65], path[96];
    begin(&at);
    put(&at, "root", base_text);
    put(&at, "middle", "base: root.yaml\n");
    put(&at, "facts", "facts: t\nbase: middle.yaml\n");
    put(&at, "book", "rulebook: d\ntiers: [{id: A}, {id: B}]\nfacts: facts.yaml\n");
    strcpy(path, at.path);
    digest_of(path, before);
    digest_of(path, after);
    assert_string_equal(before, after);
    static const struct {
        const char *name, *text;
    } changes[] = {
        {"root", "facts: other\n"},
        {"middle", "base: root.yaml\nwider: unclear\n"},
        {"facts", "facts: u\nbase: middle.yaml\n"},
        {"middle", "facts: m\n"}, /* no longer builds on root */
        {"middle", "base: gone.yaml\n"},
        {"middle", "base: facts.yaml\n"}}; /* round and round: the facts are refused, the book is not */
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        put(&at, changes[i].name, changes[i].text);
        digest_of(path, after);
        if (strcmp(before, after) == 0) fail_msg("change %zu changes nothing", i);
        memcpy(before, after, sizeof before);
    }
    put(&at, "root", "facts: nobody's\n");
    digest_of(path, after);
    assert_string_equal(before, after);
    end(&at);
}

static void test_base_memory(void **state)
{
    (void)state;
    family at;
    begin(&at);
    put(&at, "base", base_text);
    put(&at, "child", child_text);
    for (int all_after = 0; all_after < 2; all_after++)
        for (long n = 1;; n++) {
            ag_facts *f = NULL;
            ag_error err = {0};
            ag_mem_fail_at(n, all_after);
            ag_status status = ag_facts_load(&f, at.path, &err);
            ag_mem_fail_at(0, false);
            if (status == AG_OK) {
                ag_facts_free(f);
                assert_true(n > 100);
                break;
            }
            assert_int_equal(status, AG_ERR_MEMORY);
            assert_null(f);
        }
    end(&at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),       cmocka_unit_test(test_map),
        cmocka_unit_test(test_categories),  cmocka_unit_test(test_category_brute),
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_diamonds),
        cmocka_unit_test(test_mutations),   cmocka_unit_test(test_memory),
        cmocka_unit_test(test_gold),        cmocka_unit_test(test_gold_open),
        cmocka_unit_test(test_base),        cmocka_unit_test(test_base_refusals),
        cmocka_unit_test(test_base_digest), cmocka_unit_test(test_base_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
