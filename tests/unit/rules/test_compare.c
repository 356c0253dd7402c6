/* test_compare.c: every op and comparator against tables written by hand, and number and hierarchy relations against
 * the sentences of the design computed the plain way over many random cases.
 */
#include "unit/rules/facts_help.h"

#include <math.h>
#include <stdio.h>

static const char *const rows =
    "  brand: {importance: core, compare: text, fields: [brand, supplier], weak_fields: [works_with, "
    "title]}\n"
    "  price: {importance: core, compare: number, near: 10%}\n"
    "  colour: {importance: minor, compare: set, fields: [colour, shade], synonyms: [[navy, dark blue], "
    "[grey, gray]],\n"
    "    parents: {navy: blue, midnight: navy, sky: blue, suede: leather}}\n"
    "  for: {importance: core, compare: set, covers: {unisex: [women, men], adults: unisex}}\n"
    "  volume: {importance: minor, compare: number, units: {ml: 0.001, cl: 0.01, l: 1}, near: 10%}\n"
    "  weight: {importance: minor, compare: number, units: {g: 0.001, kg: 1}, near: 0.2}\n"
    "  pack: {importance: minor, compare: number}\n"
    "  size: {importance: core, compare: set}\n"
    "  fits: {importance: core, compare: set, fields: [compatibility]}\n"
    "  model: {importance: core, compare: code, fields: [model, oem_code], weak_fields: [replaces]}\n";

static const char *const facts_text =
    "facts: t\nphrases: {not: [not, without, no], not_after: [free]}\n"
    "categories:\n  boots: {siblings: [trainers]}\n  trainers: {}\n  kettles: {}\n"
    "values:\n  colour:\n    synonyms: [[red, crimson]]\n    parents: {crimson: warm, teal: [blue, green]}\n"
    "  mood:\n    synonyms: [[happy, glad]]\n";

/* One row: an item with one field (or only a title), an entry, and how they must stand. */
typedef struct line {
    const char *field, *value; /* value "": the field is not there; several values apart by ^ */
    const char *title, *description;
    const char *name;
    ag_op op;
    const char *asked; /* several apart by ^ */
    ag_relation want;
    unsigned skills;
} line;

#define IS      AG_OP_IS
#define NOT     AG_OP_NOT
#define MOST    AG_OP_AT_MOST
#define LEAST   AG_OP_AT_LEAST
#define BETWEEN AG_OP_BETWEEN
#define EQ      AG_REL_EQUAL
#define NEAR    AG_REL_NEAR
#define GONE    AG_REL_MISSING
#define OTHER   AG_REL_OTHER
#define SYN     AG_SKILL_SYNONYMS
#define HIER    AG_SKILL_HIERARCHY
#define UNITS   AG_SKILL_UNITS
#define TEXT    AG_SKILL_TEXT

static const line lines[] = {
    /* devices: a list names its series once; plain numbers and other attributes need the whole name */
    {"compatibility", "Photo C5324, C5370, D5460", "x", NULL, "fits", IS, "photo d5460", EQ, 0},
    {"compatibility", "Photo C5324, C5370, D5460", "x", NULL, "fits", IS, "photo d546", OTHER, 0},
    {"compatibility", "Stylus 9000, 9100", "x", NULL, "fits", IS, "laser 9000", OTHER, 0},
    {"colour", "Photo C5324, D5460", "x", NULL, "colour", IS, "photo d5460", OTHER, 0},
    /* words: equal, synonym, descendant, ancestor, missing, other */
    {"colour", "navy", "x", NULL, "colour", IS, "navy", EQ, 0},
    {"colour", "Navy ", "x", NULL, "colour", IS, "NAVY", EQ, 0},
    {"colour", "dark blue", "x", NULL, "colour", IS, "navy", EQ, SYN},
    {"colour", "navy", "x", NULL, "colour", IS, "dark blue", EQ, SYN},
    {"colour", "dark blue", "x", NULL, "colour", IS, "blue", EQ, SYN | HIER},
    {"colour", "midnight", "x", NULL, "colour", IS, "blue", EQ, HIER},
    {"colour", "blue", "x", NULL, "colour", IS, "navy", NEAR, HIER},
    {"colour", "blue", "x", NULL, "colour", IS, "dark blue", NEAR, SYN | HIER},
    {"colour", "sky", "x", NULL, "colour", IS, "navy", OTHER, 0},
    {"colour", "green", "x", NULL, "colour", IS, "red", OTHER, 0},
    {"colour", "crimson", "x", NULL, "colour", IS, "red", EQ, SYN},     /* the facts file's own */
    {"colour", "red", "x", NULL, "colour", IS, "warm", EQ, SYN | HIER}, /* and both together */
    {"colour", "teal", "x", NULL, "colour", IS, "green", EQ, HIER},
    {"colour", "", "x", NULL, "colour", IS, "red", GONE, 0},
    {"shade", "red", "x", NULL, "colour", IS, "red", EQ, 0},
    {"tone", "red", "x", NULL, "colour", IS, "blue", GONE, 0}, /* not one of its fields */
    {"colour", "green^red", "x", NULL, "colour", IS, "red", EQ, 0},
    {"colour", "green, navy", "x", NULL, "colour", IS, "blue", EQ, HIER},
    {"colour", "green", "x", NULL, "colour", IS, "red^green", EQ, 0},
    {"colour", "blue", "x", NULL, "colour", IS, "red^navy", NEAR, HIER},
    {"mood", "glad", "x", NULL, "mood", IS, "happy", EQ,
     SYN}, /* an attribute that only the facts file knows */
    {"mood", "sad", "x", NULL, "mood", IS, "happy", OTHER, 0},
    /* texts */
    {"colour", "", "Navy boots", NULL, "colour", IS, "blue", EQ, TEXT | HIER},
    {"colour", "", "boots", "Comes in red.", "colour", IS, "red", EQ, TEXT},
    {"colour", "green", "red boots", NULL, "colour", IS, "red", EQ, TEXT},
    {"colour", "", "boots, not red", NULL, "colour", IS, "red", GONE, 0},
    {"colour", "", "boots without any red", NULL, "colour", IS, "red", EQ,
     TEXT}, /* only the words just before deny */
    {"colour", "", "red-free boots", NULL, "colour", IS, "red", GONE, 0},
    {"colour", "", "reddish boots", NULL, "colour", IS, "red", GONE, 0},
    {"size", "", "boots 42 m", NULL, "size", IS, "m", GONE, 0}, /* too bare to be searched */
    {"size", "", "boots 42 m", NULL, "size", IS, "42", GONE, 0},
    {"size", "42", "boots", NULL, "size", IS, "42", EQ, 0},
    {"size", "42", "boots", NULL, "size", IS, "43", OTHER, 0},
    /* weak fields: near at most, never other */
    {"brand", "HP", "x", NULL, "brand", IS, "hp", EQ, 0},
    {"supplier", "HP", "x", NULL, "brand", IS, "HP", EQ, 0},
    {"supplier", "Acme", "ink for HP", NULL, "brand", IS, "HP", OTHER,
     0}, /* two letters are not searched for */
    {"supplier", "Acme", "ink for Epson", NULL, "brand", IS, "Epson", NEAR, TEXT},
    {"works_with", "Epson", "ink", NULL, "brand", IS, "Epson", NEAR, 0},
    {"works_with", "Epson", "ink", NULL, "brand", IS, "Canon", GONE, 0},
    {"works_with", "Epson", "ink", "By Canon", "brand", IS, "Canon", GONE, 0},
    /* not */
    {"colour", "navy", "x", NULL, "colour", NOT, "blue", OTHER, HIER},
    {"colour", "red", "x", NULL, "colour", NOT, "blue", EQ, 0},
    {"colour", "", "x", NULL, "colour", NOT, "blue", GONE, 0},
    {"colour", "blue", "x", NULL, "colour", NOT, "navy", NEAR, HIER},
    {"colour", "red", "x", NULL, "colour", NOT, "blue^red", OTHER, 0},
    {"colour", "", "navy boots", NULL, "colour", NOT, "blue", OTHER, TEXT | HIER},
    {"volume", "2 l", "x", NULL, "volume", NOT, "2000 ml", OTHER, UNITS},
    /* covers: one way only */
    {"for", "unisex", "x", NULL, "for", IS, "women", EQ, HIER},
    {"for", "adults", "x", NULL, "for", IS, "men", EQ, HIER},
    {"for", "women", "x", NULL, "for", IS, "unisex", OTHER, 0},
    {"for", "women", "x", NULL, "for", IS, "men", OTHER, 0},
    /* numbers */
    {"volume", "1.5 l", "x", NULL, "volume", IS, "1.5 l", EQ, 0},
    {"volume", "1500 ml", "x", NULL, "volume", IS, "1.5 l", EQ, UNITS},
    {"volume", "150 cl", "x", NULL, "volume", IS, "1500ML", EQ, UNITS},
    {"volume", "1,5 l", "x", NULL, "volume", IS, "1.5", EQ, 0}, /* no unit: the base unit */
    {"volume", "1,500 ml", "x", NULL, "volume", IS, "1.5 l", EQ, UNITS},
    {"volume", "1.53 l", "x", NULL, "volume", IS, "1.5 l", EQ, 0}, /* 2 % */
    {"volume", "1.54 l", "x", NULL, "volume", IS, "1.5 l", NEAR, 0},
    {"volume", "1.65 l", "x", NULL, "volume", IS, "1.5 l", NEAR, 0}, /* 10 % */
    {"volume", "1.66 l", "x", NULL, "volume", IS, "1.5 l", OTHER, 0},
    {"volume", "1.34 l", "x", NULL, "volume", IS, "1.5 l", OTHER, 0},
    {"volume", "large", "x", NULL, "volume", IS, "1.5 l", GONE, 0},
    {"volume", "3 kg", "x", NULL, "volume", IS, "1.5 l", GONE, 0}, /* says nothing of litres */
    {"volume", "", "Kettle 1.5 l", NULL, "volume", IS, "1500 ml", EQ, TEXT | UNITS},
    {"volume", "", "Kettle 1.2 l", NULL, "volume", IS, "1500 ml", GONE, 0},
    {"volume", "", "Kettle X15l", NULL, "volume", IS, "15 l", GONE, 0},
    {"weight", "1.3 kg", "x", NULL, "weight", LEAST, "1 kg", EQ, 0},
    {"pack", "6", "x", NULL, "pack", IS, "6", EQ, 0},
    {"pack", "6 pcs", "x", NULL, "pack", IS, "4", OTHER, 0},
    {"pack", "6", "x", NULL, "pack", IS, "six", OTHER, 0},
    /* bounds: no 2 % here; missed by at most near is near */
    {"volume", "2 l", "x", NULL, "volume", MOST, "2 l", EQ, 0},
    {"volume", "2.01 l", "x", NULL, "volume", MOST, "2 l", NEAR, 0},
    {"volume", "2.2 l", "x", NULL, "volume", MOST, "2 l", NEAR, 0},
    {"volume", "2.21 l", "x", NULL, "volume", MOST, "2 l", OTHER, 0},
    {"volume", "500 ml", "x", NULL, "volume", MOST, "2 l", EQ, UNITS},
    {"volume", "1.8 l", "x", NULL, "volume", LEAST, "2 l", NEAR, 0},
    {"volume", "1.79 l", "x", NULL, "volume", LEAST, "2 l", OTHER, 0},
    {"volume", "", "x", NULL, "volume", LEAST, "2 l", GONE, 0},
    {"volume", "", "Jug 3 l", NULL, "volume", LEAST, "2 l", EQ, TEXT},
    {"volume", "1.5 l", "x", NULL, "volume", BETWEEN, "1 l^2 l", EQ, 0},
    {"volume", "1.5 l", "x", NULL, "volume", BETWEEN, "2 l^1 l", EQ, 0},
    {"volume", "2.2 l", "x", NULL, "volume", BETWEEN, "1 l^2 l", NEAR, 0},
    {"volume", "0.9 l", "x", NULL, "volume", BETWEEN, "1 l^2 l", NEAR, 0},
    {"volume", "0.89 l", "x", NULL, "volume", BETWEEN, "1 l^2 l", OTHER, 0},
    {"weight", "1.2 kg", "x", NULL, "weight", MOST, "1 kg", NEAR, 0}, /* near in base units */
    {"weight", "1.3 kg", "x", NULL, "weight", MOST, "1 kg", OTHER, 0},
    {"weight", "1.3 kg", "x", NULL, "weight", LEAST, "dear", GONE, 0},
    /* codes: a value that is none says nothing */
    {"model", "DV7-1211EA", "x", NULL, "model", IS, "dv7 1211ea", EQ, 0},
    {"model", "DV7-1212", "x", NULL, "model", IS, "DV7-1211", OTHER, 0},
    {"oem_code", "CE505A", "x", NULL, "model", IS, "ce505a", EQ, 0},
    {"model", "Pro series", "x", NULL, "model", IS, "CE505A", GONE, 0},
    {"model", "Pro series", "x", NULL, "model", IS, "Pro series", GONE, 0},
    {"model", "fits LP2200 and LP2300", "x", NULL, "model", IS, "LP2200", GONE, 0},
    {"model", "Pro^LP2300", "x", NULL, "model", IS, "LP2300", EQ, 0},
    {"model", "Pro^LP2300", "x", NULL, "model", IS, "LP2200", OTHER, 0},
    {"model", "LP2300, LP2200", "x", NULL, "model", IS, "LP2200", OTHER, 0}, /* no set: one value */
    {"model", "Pro series", "Acme LP2200 printer", NULL, "model", IS, "LP2200", EQ, TEXT},
    {"model", "LP2300", "Acme LP2200 printer", NULL, "model", IS, "LP2200", EQ, TEXT},
    {"model", "Pro series", "x", NULL, "model", NOT, "LP2200", GONE, 0},
    {"model", "LP2300", "x", NULL, "model", NOT, "LP2200", EQ, 0},
    {"model", "LP2200", "x", NULL, "model", NOT, "LP2200", OTHER, 0},
    {"replaces", "LP2200", "x", NULL, "model", IS, "LP2200", NEAR, 0},
    {"replaces", "Pro series", "x", NULL, "model", IS, "Pro series", GONE, 0},
    {"model", "LP2200", "x", NULL, "model", IS, "Pro series", OTHER, 0},
};

static int split(char *text, const char **out)
{
    int n = 0;
    for (char *p = strtok(text, "^"); p; p = strtok(NULL, "^")) out[n++] = p;
    return n;
}

static void test_table(void **state)
{
    (void)state;
    ag_book *book = help_book(rows);
    ag_facts *f = help_facts(facts_text);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const line *l = &lines[i];
        char v[100], a[100];
        const char *values[8], *asked[8];
        strcpy(v, l->value);
        strcpy(a, l->asked);
        ag_field field = {l->field, values, split(v, values)};
        ag_item item = {.title = l->title,
                        .description = l->description,
                        .fields = &field,
                        .field_count = field.count > 0};
        ag_ask ask = {.name = l->name, .op = l->op, .values = asked, .value_count = split(a, asked)};
        ag_match m;
        assert_int_equal(ag_facts_match(&m, f, book, &ask, &item, NULL, NULL), AG_OK);
        if (m.relation != l->want || m.skills != l->skills)
            fail_msg("line %zu: %s=%s / %s %s %s: %s, skills %u; wanted %s, %u", i, l->field, l->value,
                     l->name, ag_op_names[l->op], l->asked, ag_relation_names[m.relation], m.skills,
                     ag_relation_names[l->want], l->skills);
        assert_int_equal(ag_facts_compare(f, book, &ask, &item, NULL), l->want);
    }
    ag_facts_free(f);
    ag_book_free(book);
}

static void test_codes(void **state)
{
    static const struct {
        const char *value;
        bool code;
    } cases[] = {{"", false},
                 {"Original", false},
                 {"CE505A", true},
                 {"42", true},
                 {"a1", true},
                 {"dv7-1211ea", true},
                 {"Pro X 2", true},
                 {"Pro X 2 b", false},
                 {"Pro  X  2", true},
                 {" X2 ", true},
                 {"123456789012345678901234", true},
                 {"1234567890123456789012345", false},
                 {"for X1 and X2", false},
                 {"\xC3\xA9tui 5", true},
                 {"V/VII", false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (ag_value_is_code(cases[i].value) != cases[i].code) fail_msg("'%s'", cases[i].value);
}

/* `missing: unclear`: what an item does not state gets no verdict, and so no label; what it states does. */
static void test_missing_unclear(void **state)
{
    (void)state;
    static const struct {
        const char *missing;
        int stated, silent; /* verdicts */
    } cases[] = {{"verdict", 0, 2}, {"unclear", 0, -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[128];
        snprintf(text, sizeof text, "  fits: {importance: core, compare: set, missing: %s}\n",
                 cases[i].missing);
        ag_book *book = help_book(text);
        ag_facts *f = help_facts(facts_text);
        ag_arena arena = {.name = "t"};
        const char *values[] = {"X100"};
        ag_field field = {"fits", values, 1};
        ag_item item = {.title = "x", .fields = &field, .field_count = 1}, silent = {.title = "x"};
        ag_ask ask = {.name = "fits", .op = AG_OP_IS, .values = values, .value_count = 1};
        ag_asked asked = {.source = AG_ASKED_GIVEN, .entries = &ask, .count = 1};
        ag_gold gold;
        assert_int_equal(ag_asked_resolve(book, &asked, NULL, &arena, NULL), AG_OK);
        int c = ag_book_criterion(book, "attr");
        assert_int_equal(ag_facts_gold(&gold, f, book, &asked, &item, "boots", NULL, &arena, NULL), AG_OK);
        assert_int_equal(gold.verdicts.v[c][0], cases[i].stated);
        assert_int_equal(ag_facts_gold(&gold, f, book, &asked, &silent, "boots", NULL, &arena, NULL), AG_OK);
        assert_int_equal(gold.verdicts.v[c][0], cases[i].silent);
        ag_facts_free(f);
        ag_book_free(book);
        ag_arena_free(&arena);
    }
}

/* What is no code is no value for the parser either. */
static void test_codes_parsed(void **state)
{
    (void)state;
    ag_book *book = help_book(rows);
    ag_facts *f = help_facts(facts_text);
    ag_lexicon *lexicon = NULL;
    ag_arena arena = {.name = "t"};
    const char *models[] = {"LP2200", "Pro series"};
    ag_field field = {"model", models, 2};
    ag_item item = {.title = "x", .fields = &field, .field_count = 1};
    ag_asked asked;
    assert_int_equal(ag_lexicon_create(&lexicon, f, book, NULL), AG_OK);
    assert_int_equal(ag_lexicon_add_item(lexicon, &item, NULL), AG_OK);
    assert_int_equal(ag_asked_parse(&asked, NULL, lexicon, "lp2200", NULL, &arena, NULL), AG_OK);
    assert_int_equal(asked.count, 1);
    assert_string_equal(asked.entries[0].name, "model");
    assert_int_equal(asked.unread, 0);
    assert_int_equal(ag_asked_parse(&asked, NULL, lexicon, "pro series", NULL, &arena, NULL), AG_OK);
    assert_int_equal(asked.count, 0);
    assert_true(asked.unread > 0);
    ag_lexicon_free(lexicon);
    ag_arena_free(&arena);
    ag_facts_free(f);
    ag_book_free(book);
}

static void test_price_and_like(void **state)
{
    (void)state;
    ag_book *book = help_book(rows);
    ag_facts *f = help_facts(facts_text);
    static const struct {
        double item, asked;
        ag_op op;
        ag_relation want;
    } prices[] = {{50, 50, MOST, EQ},    {55, 50, MOST, NEAR}, {56, 50, MOST, OTHER},
                  {45, 50, LEAST, NEAR}, {51, 50, IS, EQ},     {52, 50, IS, NEAR}};
    for (size_t i = 0; i < sizeof prices / sizeof *prices; i++) {
        char text[32];
        const char *values[] = {text};
        snprintf(text, sizeof text, "%g eur", prices[i].asked);
        ag_item item = {.title = "x 3000", .has_price = true, .price = prices[i].item};
        ag_ask ask = {.name = "price", .op = prices[i].op, .values = values, .value_count = 1};
        assert_int_equal(ag_facts_compare(f, book, &ask, &item, NULL), prices[i].want);
        item.has_price = false;
        assert_int_equal(ag_facts_compare(f, book, &ask, &item, NULL), GONE);
    }
    const char *norvik[] = {"Norvik"}, *trail[] = {"Norvik Trail"};
    ag_item reference = {.id = "r",
                         .title = "Norvik Trail boots",
                         .brand = "Norvik",
                         .category = "boots",
                         .has_price = true,
                         .price = 100};
    ag_item item = {.id = "i",
                    .title = "Pexa boots",
                    .brand = "Pexa",
                    .category = "boots",
                    .has_price = true,
                    .price = 40};
    ag_ask like = {.name = "brand", .op = AG_OP_LIKE, .values = norvik, .value_count = 1};
    assert_int_equal(ag_facts_compare(f, book, &like, &item, &reference), EQ);
    item.price = 140;
    assert_int_equal(ag_facts_compare(f, book, &like, &item, &reference), NEAR);
    item.price = 40;
    item.category = "trainers"; /* cheaper, but not of that kind */
    assert_int_equal(ag_facts_compare(f, book, &like, &item, &reference), NEAR);
    item.has_price = false;
    assert_int_equal(ag_facts_compare(f, book, &like, &item, &reference), GONE);
    assert_int_equal(ag_facts_compare(f, book, &like, &item, NULL), GONE);
    item.brand = "norvik";
    assert_int_equal(ag_facts_compare(f, book, &like, &item, &reference), OTHER);
    assert_int_equal(ag_facts_compare(f, book, &like, &item, NULL), OTHER);
    assert_int_equal(ag_facts_compare(f, book, &like, &reference, &reference), OTHER);
    item.brand = NULL;
    item.title = "Norvik Trail";
    like.values = trail;
    assert_int_equal(ag_facts_compare(f, book, &like, &item, NULL), OTHER);
    item.title = "Laces for Norvik Trail";
    assert_int_equal(ag_facts_compare(f, book, &like, &item, NULL), GONE);
    ag_facts_free(f);
    ag_book_free(book);
}

/* The design's sentences, computed on exact milli-units. */
static ag_relation slow_number(ag_op op, long item, long lo, long hi)
{
    long off = 0, nearest = lo;
    if (op == IS || op == NOT)
        off = labs(item - lo) * 100 <= 2 * lo ? 0 : labs(item - lo);
    else {
        bool low = op == LEAST || op == BETWEEN, high = op == MOST || op == BETWEEN;
        if (op == MOST) hi = lo;
        if (low && item < lo) off = lo - item;
        if (high && item > hi) off = item - hi, nearest = hi;
    }
    ag_relation r = off == 0 ? EQ : off * 10 <= nearest ? NEAR : OTHER;
    if (op == NOT) r = r == EQ ? OTHER : r == OTHER ? EQ : r;
    return r;
}

static void test_number_brute(void **state)
{
    (void)state;
    ag_book *book = help_book(rows);
    ag_facts *f = help_facts(facts_text);
    static const ag_op ops[] = {IS, NOT, MOST, LEAST, BETWEEN};
    long seen[AG_REL_COUNT] = {0};
    for (uint64_t i = 0; i < 20000; i++) {
        ag_rng rng = ag_rng_at(9, AG_RNG_TEST, i, 0, 0, 0);
        long asked = 100 + ag_rng_below(&rng, 3000), hi = asked + ag_rng_below(&rng, 500);
        long item = asked + (long)ag_rng_below(&rng, 600) - 300;
        ag_op op = ops[ag_rng_below(&rng, 5)];
        char a[32], b[32], v[32];
        const char *values[] = {v}, *wanted[] = {a, b};
        if (item < 1) continue;
        bool litres = ag_rng_below(&rng, 2), ask_litres = ag_rng_below(&rng, 2);
        snprintf(v, sizeof v, litres ? "%ld.%03ld l" : "%ld ml", litres ? item / 1000 : item, item % 1000);
        snprintf(a, sizeof a, ask_litres ? "%ld.%03ld l" : "%ld ml", ask_litres ? asked / 1000 : asked,
                 asked % 1000);
        snprintf(b, sizeof b, "%ld ml", hi);
        ag_field field = {"volume", values, 1};
        ag_item it = {.title = "x", .fields = &field, .field_count = 1};
        ag_ask ask = {.name = "volume", .op = op, .values = wanted, .value_count = op == BETWEEN ? 2 : 1};
        ag_match m;
        assert_int_equal(ag_facts_match(&m, f, book, &ask, &it, NULL, NULL), AG_OK);
        ag_relation want = slow_number(op, item, asked, hi);
        seen[want]++;
        if (m.relation != want)
            fail_msg("%s %s %s %s: %s", v, ag_op_names[op], a, b, ag_relation_names[m.relation]);
        assert_int_equal(m.skills & UNITS ? 1 : 0, litres != ask_litres);
    }
    assert_true(seen[EQ] > 1000 && seen[NEAR] > 1000 && seen[OTHER] > 1000);
    ag_facts_free(f);
    ag_book_free(book);
}

enum { VALUES = 9 };

/* Random forests of values with synonyms: equal exactly when some way up by synonyms and parents leads there. */
static void test_hierarchy_brute(void **state)
{
    (void)state;
    for (uint64_t g = 0; g < 60; g++) {
        ag_rng rng = ag_rng_at(10, AG_RNG_TEST, g, 0, 0, 0);
        bool up[VALUES][VALUES] = {{false}};
        ag_str y = {0};
        ag_str_add(&y, "values:\n  mood:\n    parents:\n      unused: nothing\n");
        for (int i = 0; i < VALUES; i++)
            for (int j = 0; j < i; j++) {
                if (ag_rng_below(&rng, 5) != 0) continue;
                up[i][j] = true;
                ag_str_addf(&y, "      v%d: v%d\n", i, j);
                break; /* one key a value */
            }
        ag_str_add(&y, "    synonyms: [[x, y]");
        for (int i = 0; i < VALUES; i++)
            if (ag_rng_below(&rng, 6) == 0 && i > 0) {
                up[i][0] = up[0][i] = true;
                ag_str_addf(&y, ", [v0, v%d]", i);
            }
        ag_str_add(&y, "]\n");
        for (int k = 0; k < VALUES; k++)
            for (int i = 0; i < VALUES; i++)
                for (int j = 0; j < VALUES; j++) up[i][j] |= up[i][k] && up[k][j];
        ag_book *book = help_book("");
        ag_facts *f = help_facts(ag_str_text(&y));
        for (int i = 0; i < VALUES; i++)
            for (int j = 0; j < VALUES; j++) {
                char v[16], a[16];
                const char *values[] = {v}, *asked[] = {a};
                snprintf(v, sizeof v, "v%d", i);
                snprintf(a, sizeof a, "v%d", j);
                ag_field field = {"mood", values, 1};
                ag_item item = {.title = "x", .fields = &field, .field_count = 1};
                ag_ask ask = {.name = "mood", .op = IS, .values = asked, .value_count = 1};
                ag_relation want = i == j || up[i][j] ? EQ : up[j][i] ? NEAR : OTHER;
                if (ag_facts_compare(f, book, &ask, &item, NULL) != want)
                    fail_msg("graph %d: item %s asked %s\n%s", (int)g, v, a, ag_str_text(&y));
            }
        ag_facts_free(f);
        ag_book_free(book);
        ag_str_free(&y);
    }
}

static void test_memory(void **state)
{
    (void)state;
    ag_book *book = help_book(rows);
    const char *values[] = {"\xC3\xA9"
                            "cru, navy"},
               *asked[] = {"dark blue"};
    ag_field field = {"colour", values, 1};
    ag_item item = {.title = "caf\xC3\xA9", .description = "x", .fields = &field, .field_count = 1};
    ag_ask ask = {.name = "colour", .op = IS, .values = asked, .value_count = 1};
    for (long n = 1;; n++) {
        ag_facts *f = help_facts(facts_text); /* new each time: the first comparison binds the book */
        ag_match m;
        ag_mem_fail_at(n, false);
        ag_status status = ag_facts_match(&m, f, book, &ask, &item, NULL, NULL);
        ag_mem_fail_at(0, false);
        ag_facts_free(f);
        if (status == AG_OK) {
            assert_int_equal(m.relation, EQ);
            assert_true(n > 10);
            break;
        }
        assert_int_equal(status, AG_ERR_MEMORY);
    }
    ag_book_free(book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),           cmocka_unit_test(test_codes),
        cmocka_unit_test(test_codes_parsed),    cmocka_unit_test(test_missing_unclear),
        cmocka_unit_test(test_price_and_like),  cmocka_unit_test(test_number_brute),
        cmocka_unit_test(test_hierarchy_brute), cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
