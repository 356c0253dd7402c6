/* test_asked.c: what the parser reads in queries, against readings written by hand; that it is the same on any bytes
 * without a crash; lexicons saved and loaded; every allocation failing.
 */
#include "unit/rules/facts_help.h"

#include <stdio.h>

static ag_book *book;
static ag_facts *facts;
static ag_lexicon *lexicon;

/* A small catalogue: category, brand, model, then name=value fields. */
static const struct {
    const char *category, *brand, *model;
    const char *fields[4][2];
} catalogue[] = {
    {"boots", "Norvik", NULL, {{"colour", "red"}, {"material", "suede"}, {"size", "42"}, {"for", "women"}}},
    {"boots", "Brenna", NULL, {{"colour", "navy"}, {"material", "leather"}, {"size", "40"}, {"for", "men"}}},
    {"trainers", "Norvik", NULL, {{"colour", "mint"}, {"material", "mesh"}, {"size", "M"}, {NULL, NULL}}},
    {"kettles",
     "Lumio",
     NULL,
     {{"colour", "white"}, {"material", "stainless steel"}, {"volume", "1.5 l"}, {"power", "2 kw"}}},
    {"tea", "Fjorda", NULL, {{"flavour", "mint"}, {"weight", "100 g"}, {"pack", "3"}, {NULL, NULL}}},
    {"phones", "Zelo", "5", {{"colour", "black"}, {"weight", "150 g"}, {NULL, NULL}, {NULL, NULL}}},
    {"phone cases",
     "Jaxa",
     NULL,
     {{"fits", "Zelo 5"}, {"colour", "black"}, {"material", "silicone"}, {NULL, NULL}}},
};

static int setup(void **state)
{
    (void)state;
    ag_error err = {0};
    if (ag_book_load(&book, SHOP_BOOK, &err) != AG_OK || ag_facts_load(&facts, SHOP_FACTS, &err) != AG_OK ||
        ag_lexicon_create(&lexicon, facts, book, &err) != AG_OK) {
        print_error("%s\n", err.message);
        return -1;
    }
    for (size_t i = 0; i < sizeof catalogue / sizeof *catalogue; i++) {
        ag_field fields[5];
        const char *values[5];
        ag_item item = {
            .title = "x", .brand = catalogue[i].brand, .category = catalogue[i].category, .fields = fields};
        for (int k = 0; k < 4 && catalogue[i].fields[k][0]; k++) {
            values[item.field_count] = catalogue[i].fields[k][1];
            fields[item.field_count] = (ag_field){catalogue[i].fields[k][0], &values[item.field_count], 1};
            item.field_count++;
        }
        if (catalogue[i].model) {
            values[item.field_count] = catalogue[i].model;
            fields[item.field_count] = (ag_field){"model", &values[item.field_count], 1};
            item.field_count++;
        }
        if (ag_lexicon_add_item(lexicon, &item, NULL) != AG_OK) return -1;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ag_lexicon_free(lexicon);
    ag_facts_free(facts);
    ag_book_free(book);
    return 0;
}

/* "colour is red; price between 20|40 / negation / boots" */
static void write_reading(ag_str *out, const ag_lexicon *lx, const char *query, const ag_item *item)
{
    ag_arena arena = {.name = "t"};
    ag_asked asked;
    const char *category;
    ag_error err = {0};
    if (ag_asked_parse(&asked, &category, lx, query, item, &arena, &err) != AG_OK)
        fail_msg("%s: %s", query, err.message);
    assert_int_equal(asked.source, AG_ASKED_PARSED);
    for (int i = 0; i < asked.count; i++) {
        const ag_ask *e = &asked.entries[i];
        assert_int_equal(e->negated, e->op == AG_OP_NOT);
        ag_str_addf(out, "%s%s %s ", i ? "; " : "", e->id, ag_op_names[e->op]);
        for (int v = 0; v < e->value_count; v++) ag_str_addf(out, "%s%s", v ? "|" : "", e->values[v]);
    }
    ag_str_add(out, " / ");
    for (int i = 0; i < asked.type_count; i++) ag_str_addf(out, "%s%s", i ? "," : "", asked.types[i]);
    ag_str_addf(out, " / %s", category ? category : "-");
    ag_arena_free(&arena);
}

static const struct {
    const char *query, *reading;
} readings[] = {
    {"red leather boots not suede",
     "colour is red; material is leather; material#2 not suede / negation / boots"},
    {"RED Boots", "colour is red / plain / boots"},
    {"sneakers", " / plain / trainers"},
    {"", " / plain / -"},
    {"boots under 50", "price at_most 50 / plain / boots"},
    {"boots under $50", "price at_most 50 / plain / boots"},
    {"boots 50 eur or less", "price at_most 50 / plain / boots"},
    {"boots between 20 and 40", "price between 20|40 / plain / boots"},
    {"boots from 20 to 40", "price between 20|40 / plain / boots"},
    {"boots 20-40 eur", "price between 20|40 / plain / boots"},
    {"boots from 20", "price at_least 20 / plain / boots"},
    {"boots size 42", "size is 42 / plain / boots"},
    {"trainers size m", "size is M / plain / trainers"},
    {"boots 42", " / plain / boots"}, /* a bare number could be anything */
    {"kettle at least 2 l", "volume at_least 2 l / plain / kettles"},
    {"kettle 2l", "volume is 2 l / plain / kettles"},
    {"kettle 1500ml or more", "volume at_least 1500 ml / plain / kettles"},
    {"kettle between 1 and 2 l", "volume between 1 l|2 l / plain / kettles"},
    {"kettle between 20 and 40", "price between 20|40 / plain / kettles"},
    {"kettle with 2 kw", "power is 2 kw / plain / kettles"},
    {"kettle in inox", "material is inox / plain / kettles"},
    {"tea pack of 3", "pack is 3 / plain / tea"},
    {"tea pack of at least 3", "pack at_least 3 / plain / tea"},
    {"mint tea", "flavour is mint / plain / tea"},          /* the same word, */
    {"mint trainers", "colour is mint / plain / trainers"}, /* by what is wanted */
    {"red or navy boots", "colour is red|navy / plain / boots"},
    {"boots not red or navy", "colour not red|navy / negation / boots"},
    {"suede-free boots", "material not suede / negation / boots"},
    {"boots without leather in red", "material not leather; colour is red / negation / boots"},
    {"not scratchy red boots", "colour is red / plain / boots"}, /* denies what nobody knows */
    {"boots for women", "for is women / plain / boots"},
    {"women's boots", "for is women / plain / boots"},
    {"ladies boots", "for is ladies / plain / boots"},
    {"case for my zelo 5", "fits is Zelo 5 / plain / -"},
    {"phone case for my zelo 5", "fits is Zelo 5 / plain / phone cases"},
    {"zelo 5 phone case", "fits is Zelo 5 / plain / phone cases"},
    {"phone case that fits galaxy s21", "fits is galaxy s21 / plain / phone cases"},
    {"zelo phone", "brand is Zelo / plain / phones"},
    {"alternative to norvik boots", "brand like Norvik / alternative / boots"},
    {"boots like norvik but cheaper", "brand like Norvik / alternative / boots"},
    {"cheaper than norvik boots", "brand like Norvik / alternative / boots"},
    {"boots cheaper than 50", "price at_most 50 / plain / boots"},
    {"alternative to zelo 5", "brand like Zelo 5 / alternative / phones"},
    {"norvik dupe", "brand like Norvik / alternative / -"},
    {"dupe for acme rocket 3000 boots", "brand like acme rocket 3000 / alternative / boots"},
    {"which red boots do you have?", "colour is red / question / boots"},
    {"red boots?", "colour is red / question / boots"},
    {"do you have boots not red", "colour not red / negation,question / boots"},
    {"vegan boots", "material not leather / knowledge / boots"},
    {"kettle for a large family", "volume at_least 1.5 l / knowledge / kettles"},
    {"tea for a large family", " / plain / tea"}, /* not what that phrase speaks of */
    {"red red boots", "colour is red / plain / boots"},
    {"shoes", " / plain / shoes"},
};

static void test_readings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        ag_str out = {0};
        write_reading(&out, lexicon, readings[i].query, NULL);
        if (strcmp(ag_str_text(&out), readings[i].reading) != 0)
            fail_msg("%s\n  read   %s\n  wanted %s", readings[i].query, ag_str_text(&out),
                     readings[i].reading);
        ag_str_free(&out);
    }
}

/* Without a catalogue the item's own values are known, and the facts' words. */
/* What is special to a shop of devices and part numbers. */
static void test_electronics(void **state)
{
    const char *devices[] = {"iPhone 7, iPhone 8"}, *black[] = {"Black"}, *reads[] = {"USB, memory cards"};
    static const struct {
        const char *query, *reading;
    } rows[] = {
        {"iphone 7", "brand is Apple / knowledge / smartphone"}, /* a device by itself is the thing */
        {"iphone 7 black", "brand is Apple; colour is Black / knowledge / smartphone"},
        {"iphone", "brand is Apple / knowledge / smartphone"},
        {"ipad keyboard", " / plain / keyboard"},            /* which need not be that maker's */
        {"apple", "brand is Apple / plain / -"},             /* a maker that the catalogue has not */
        {"iphone 7 sleeve", "fits is iPhone 7 / plain / -"}, /* beside an unknown word it is not */
        {"sleeve for iphone 7", "fits is iPhone 7 / plain / -"},
        {"phone case for iphone 8", "fits is iPhone 8 / plain / phone case"},
        {"memory card", " / plain / memory card"}, /* its own name is no request */
        {"card reader for memory cards", "interface is memory cards / plain / card reader"},
        {"usb hub with usb", "interface is USB / plain / usb hub"},
        {"tn-2110 toner", "model is tn-2110 / plain / toner"},
        {"toner TN2110", "model is tn2110 / plain / toner"},
        {"toner without tn-2110", "model not tn-2110 / negation / toner"},
        {"toner for tn-2110", "fits is tn-2110 / plain / toner"},
        {"toner qx5", " / plain / toner"},    /* too short */
        {"ppm a4", " / plain / -"},           /* a name for titles only */
        {"toner qx5yz", " / plain / toner"},  /* one digit */
        {"toner 2110cn", " / plain / toner"}, /* may be a quantity */
    };
    ag_book *b;
    ag_facts *f;
    ag_lexicon *lx;
    ag_field fields[] = {
        {"compatibility", devices, 1}, {"product_colour", black, 1}, {"interface", reads, 1}};
    ag_item item = {.title = "Acme case", .fields = fields, .field_count = 3};
    (void)state;
    assert_int_equal(ag_book_load(&b, AGRL_SOURCE_DIR "/rules/electronics.yaml", NULL), AG_OK);
    assert_int_equal(ag_facts_of_book(&f, b, NULL), AG_OK);
    assert_int_equal(ag_lexicon_create(&lx, f, b, NULL), AG_OK);
    assert_int_equal(ag_lexicon_add_item(lx, &item, NULL), AG_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ag_str reading = {0};
        write_reading(&reading, lx, rows[i].query, NULL);
        if (strcmp(ag_str_text(&reading), rows[i].reading) != 0)
            fail_msg("'%s': read '%s', not '%s'", rows[i].query, ag_str_text(&reading), rows[i].reading);
        ag_str_free(&reading);
    }
    ag_lexicon_free(lx);
    ag_facts_free(f);
    ag_book_free(b);
}

static void test_item_values(void **state)
{
    (void)state;
    ag_lexicon *bare;
    assert_int_equal(ag_lexicon_create(&bare, facts, book, NULL), AG_OK);
    const char *colours[] = {"ochre", "teal"};
    ag_field field = {"colour", colours, 2};
    ag_item item = {.title = "x", .brand = "Acme", .category = "lamps", .fields = &field, .field_count = 1};
    ag_str out = {0};
    write_reading(&out, bare, "acme teal lamp not navy", &item);
    assert_string_equal(ag_str_text(&out),
                        "brand is Acme; colour is teal; colour#2 not navy / negation / lamps");
    ag_str_clear(&out);
    write_reading(&out, bare, "acme teal lamp not navy", NULL);
    assert_string_equal(ag_str_text(&out), "colour not navy / negation / -");
    ag_str_free(&out);
    ag_lexicon_free(bare);
}

static void test_save_load(void **state)
{
    (void)state;
    char *a, *b;
    size_t na, nb;
    ag_lexicon *again = NULL;
    char path[64], second[64];
    strcpy(path, help_file("", 0));
    strcpy(second, help_file("", 0));
    ag_error err = {0};
    assert_int_equal(ag_lexicon_save(lexicon, path, &err), AG_OK);
    if (ag_lexicon_load(&again, facts, book, path, &err) != AG_OK) fail_msg("%s", err.message);
    assert_int_equal(ag_lexicon_save(again, second, &err), AG_OK);
    assert_int_equal(ag_file_read(path, 0, &a, &na, NULL), AG_OK);
    assert_int_equal(ag_file_read(second, 0, &b, &nb, NULL), AG_OK);
    assert_int_equal(na, nb);
    assert_memory_equal(a, b, na);
    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        ag_str out = {0};
        write_reading(&out, again, readings[i].query, NULL);
        assert_string_equal(ag_str_text(&out), readings[i].reading);
        ag_str_free(&out);
    }
    ag_lexicon_free(again);
    ag_free(a);
    ag_free(b);
    static const char *const bad[] = {"{}",
                                      "[]",
                                      "{\"lexicon\": 2}",
                                      "{\"lexicon\": 1, \"values\": []}",
                                      "{\"lexicon\": 1, \"values\": {\"colour\": 3}}",
                                      "{\"lexicon\": 1, \"values\": {\"colour\": {\"red\": -1}}}",
                                      "{\"lexicon\": 1, \"values\": {\"colour\": {\"red\": \"x\"}}}",
                                      "{\"lexicon\": 1, \"categories\": {\"a\": {}}}",
                                      "{\"lexicon\": 1, \"products\": {\"a\": 3}}",
                                      "{\"lexicon\": 1, \"usual\": {\"a\": 3}}",
                                      "{"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *file = help_file(bad[i], strlen(bad[i]));
        again = NULL;
        assert_int_equal(ag_lexicon_load(&again, facts, book, file, &err), AG_ERR_INPUT);
        assert_null(again);
        unlink(file);
    }
    unlink(path);
    unlink(second);
}

/* Any bytes: the same reading twice, within bounds. */
static void test_any_bytes(void **state)
{
    (void)state;
    static const char *const words[] = {"red",
                                        "not",
                                        "or",
                                        "boots",
                                        "under",
                                        "50",
                                        "l",
                                        "between",
                                        "and",
                                        "alternative to",
                                        "for my",
                                        "zelo",
                                        "5",
                                        "-",
                                        "?",
                                        "norvik",
                                        "size",
                                        "pack",
                                        "of",
                                        "free",
                                        "$",
                                        "2l",
                                        "dupe",
                                        "plus",
                                        "vegan",
                                        "\xFF",
                                        "\xE9\x9D\xB4",
                                        ",",
                                        "or less",
                                        "cheaper than"};
    for (uint64_t i = 0; i < 3000; i++) {
        ag_rng rng = ag_rng_at(11, AG_RNG_TEST, i, 0, 0, 0);
        ag_str query = {0}, a = {0}, b = {0};
        int n = (int)ag_rng_below(&rng, i % 50 == 0 ? 600 : 12);
        for (int k = 0; k < n; k++) {
            ag_str_add(&query, words[ag_rng_below(&rng, sizeof words / sizeof *words)]);
            if (ag_rng_below(&rng, 8)) ag_str_addc(&query, ' ');
        }
        write_reading(&a, lexicon, ag_str_text(&query), NULL);
        write_reading(&b, lexicon, ag_str_text(&query), NULL);
        assert_string_equal(ag_str_text(&a), ag_str_text(&b));
        ag_str_free(&query);
        ag_str_free(&a);
        ag_str_free(&b);
    }
}

static void test_memory(void **state)
{
    (void)state;
    static const char query[] =
        "caf\xC3\xA9 red boots not suede or leather between 20 and 40 for my acme phone?";
    const char *colours[] = {"ochre, teal"};
    ag_field field = {"colour", colours, 1};
    ag_item item = {.title = "x", .brand = "Acme", .category = "lamps", .fields = &field, .field_count = 1};
    for (long n = 1;; n++) {
        ag_arena arena = {.name = "t"};
        ag_asked asked;
        const char *category;
        ag_mem_fail_at(n, true);
        ag_status status = ag_asked_parse(&asked, &category, lexicon, query, &item, &arena, NULL);
        ag_mem_fail_at(0, false);
        ag_arena_free(&arena);
        if (status == AG_OK) {
            assert_true(n > 20);
            break;
        }
        assert_int_equal(status, AG_ERR_MEMORY);
        assert_int_equal(asked.source, AG_ASKED_UNKNOWN);
    }
    for (long n = 1;; n++) {
        ag_lexicon *lx = NULL;
        ag_mem_fail_at(n, false);
        ag_status status = ag_lexicon_create(&lx, facts, book, NULL);
        if (status == AG_OK) status = ag_lexicon_add_item(lx, &item, NULL);
        ag_mem_fail_at(0, false);
        ag_lexicon_free(lx);
        if (status == AG_OK) break;
        assert_int_equal(status, AG_ERR_MEMORY);
    }
}

static void test_json(void **state)
{
    (void)state;
    ag_arena arena = {.name = "t"};
    ag_asked asked;
    ag_str out = {0};
    assert_int_equal(ag_asked_parse(&asked, NULL, lexicon, "red or navy boots under 50", NULL, &arena, NULL),
                     AG_OK);
    json_t *json = ag_asked_to_json(&asked);
    assert_int_equal(ag_json_dump(&out, json, NULL), AG_OK);
    assert_string_equal(ag_str_text(&out),
                        "[{\"name\":\"colour\",\"op\":\"is\",\"value\":[\"red\",\"navy\"]},"
                        "{\"name\":\"price\",\"op\":\"at_most\",\"value\":\"50\"}]");
    json_decref(json);
    ag_str_free(&out);
    ag_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_readings),    cmocka_unit_test(test_electronics),
                                       cmocka_unit_test(test_item_values), cmocka_unit_test(test_save_load),
                                       cmocka_unit_test(test_any_bytes),   cmocka_unit_test(test_memory),
                                       cmocka_unit_test(test_json)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
