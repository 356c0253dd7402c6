/* test_book_diff.c: differences of two small books, each worked by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "rules/book_diff.h"

static const char old_text[] =
    "rulebook: small\n"
    "version: \"1\"\n"
    "tiers:\n"
    "  - {id: \"3\", name: Good, gain: 3, good: true}\n"
    "  - {id: \"2\", name: Fair, gain: 1, good: true}\n"
    "  - {id: \"1\", name: Bad, gain: 0, good: false}\n"
    "criteria:\n"
    "  - {id: cat, verdicts: [SAME, OTHER], from: none}\n"
    "  - {id: attr, per: asked, verdicts: [MATCH, CONFLICT], from: none}\n"
    "attributes:\n"
    "  brand: {importance: core}\n"
    "  price: {importance: minor, compare: number, near: 10%, units: {eur: 1, cent: 0.01}}\n"
    "rules:\n"
    "  - {id: R1, when: \"cat == OTHER\", cap: \"1\", text: Another need.}\n"
    "  - {id: R2, when: \"any(attr, core) == CONFLICT\", cap: \"2\", text: A core request.}\n"
    "  - {id: R3, when: \"any(attr) == CONFLICT\", cap: \"2\", text: A request.}\n"
    "  - {id: R0, when: otherwise, cap: \"3\", text: All is well.}\n";

static ag_book *parsed(const char *text)
{
    ag_error err = {0};
    ag_book *book;
    if (ag_book_parse(&book, text, strlen(text), "book.yaml", &err)) fail_msg("%s", err.message);
    return book;
}

/* The old text with `from` replaced by `to`, as often as it is there. */
static char *edited(const char *text, const char *from, const char *to)
{
    ag_str s = {0};
    const char *at;
    assert_non_null(strstr(text, from));
    for (; (at = strstr(text, from)); text = at + strlen(from)) {
        ag_str_addn(&s, text, (size_t)(at - text));
        ag_str_add(&s, to);
    }
    ag_str_add(&s, text);
    return ag_str_take(&s);
}

/* "kind id field: was -> now" of each change, '|' between. */
static void write_changes(ag_str *text, const ag_book_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        const ag_book_change *c = &changes->items[i];
        ag_str_addf(text, "%s%s %s %s: %s -> %s", i ? "|" : "", c->kind, c->id ? c->id : "-",
                    c->field ? c->field : "-", c->was ? c->was : "NULL", c->now ? c->now : "NULL");
    }
}

static void expect(const char *new_text, const char *want)
{
    ag_error err = {0};
    ag_book *old = parsed(old_text), *new = parsed(new_text);
    ag_book_changes changes;
    ag_str text = {0};
    if (ag_book_diff(&changes, &(ag_book_side){old, NULL}, &(ag_book_side){new, NULL}, &err))
        fail_msg("%s", err.message);
    write_changes(&text, &changes);
    assert_string_equal(ag_str_text(&text), want);
    bool facts = strncmp(want, "attribute", 9) == 0;
    assert_int_equal(ag_book_changes_facts(&changes), facts);
    ag_str_free(&text);
    ag_book_changes_free(&changes);
    ag_book_free(old);
    ag_book_free(new);
}

static void test_changes(void **state)
{
    static const struct {
        const char *from, *to, *want;
    } cases[] = {
        {"rules:", "# a comment\nrules:", ""},
        {"cap: \"2\", text: A request.", "cap: \"1\", text: A request.", "rule R3 cap: 2 -> 1"},
        {"text: A request.", "text: Any request.", "rule R3 text: A request. -> Any request."},
        {"any(attr) == CONFLICT", "all(attr) == CONFLICT",
         "rule R3 when: any(attr) == CONFLICT -> all(attr) == CONFLICT"},
        {"id: R3", "id: R4",
         "rule R3 -: any(attr) == CONFLICT -> NULL|rule R4 -: NULL -> any(attr) == CONFLICT"},
        {"OTHER", "DIFFERENT",
         "criterion cat verdicts: SAME, OTHER -> SAME, DIFFERENT|rule R1 when: cat == OTHER -> cat == "
         "DIFFERENT"},
        {"gain: 1", "gain: 2", "tier 2 gain: 1 -> 2"},
        {"name: Bad", "name: Poor", "tier 1 name: Bad -> Poor"},
        {"importance: core", "importance: minor", "attribute brand importance: core -> minor"},
        {"near: 10%", "near: 5", "attribute price near: 10% -> 5"},
        {"cent: 0.01", "dime: 0.1", "attribute price units: eur: 1, cent: 0.01 -> eur: 1, dime: 0.1"},
        {"  brand: {importance: core}\n", "", "attribute brand -: core -> NULL"},
        {"version: \"1\"", "version: \"2\"", "book - version: 1 -> 2"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = edited(old_text, cases[i].from, cases[i].to);
        expect(text, cases[i].want);
        ag_free(text);
    }
}

static void test_order(void **state)
{
    (void)state;
    const char *second =
                   "  - {id: R2, when: \"any(attr, core) == CONFLICT\", cap: \"2\", text: A core request.}\n",
               *last = "  - {id: R0,";
    char *without = edited(old_text, second, ""), *both = NULL;
    ag_str moved = {0};
    ag_str_addf(&moved, "%s%s", second, last);
    both = edited(without, last, ag_str_text(&moved));
    expect(both, "rule - order: R1 R2 R3 R0 -> R1 R3 R2 R0");
    ag_str_free(&moved);
    ag_free(without);
    ag_free(both);
}

/* --- facts files -------------------------------------------------------------------------------------------- */

static const char old_facts[] =
    "facts: shop\n"
    "language: en\n"
    "aside: [for, with]\n"
    "categories:\n"
    "  coats: {synonyms: [overcoats, parkas], related: [scarves], members: siblings}\n"
    "  jackets: {siblings: [coats]}\n"
    "  scarves: {titles: [shawl]}\n"
    "values:\n"
    "  colour: {synonyms: [[grey, gray]], parents: {navy: blue, teal: [blue, green]}}\n"
    "phrases:\n"
    "  not: [without, no]\n"
    "knowledge:\n"
    "  - {phrases: [for rain, in rain], categories: [coats], asked: [{name: lining, value: wax}]}\n"
    "  - {phrases: [for rain], asked: [{name: hood, op: not, value: [small, none]}]}\n";

static ag_facts *facts_of(const char *text)
{
    ag_error err = {0};
    ag_facts *facts;
    if (ag_facts_parse(&facts, text, strlen(text), "facts.yaml", &err)) fail_msg("%s", err.message);
    return facts;
}

static void expect_facts(const ag_facts *old, const ag_facts *new, const char *want)
{
    ag_error err = {0};
    ag_book *book = parsed(old_text);
    ag_book_changes changes;
    ag_str text = {0};
    if (ag_book_diff(&changes, &(ag_book_side){book, old}, &(ag_book_side){book, new}, &err))
        fail_msg("%s", err.message);
    write_changes(&text, &changes);
    assert_string_equal(ag_str_text(&text), want);
    assert_int_equal(ag_book_changes_facts(&changes), *want != 0);
    ag_str_free(&text);
    ag_book_changes_free(&changes);
    ag_book_free(book);
}

static void test_facts(void **state)
{
    static const struct {
        const char *from, *to, *want;
    } cases[] = {
        {"categories:", "# a comment\ncategories:", ""},
        {"[overcoats, parkas]", "[parkas, overcoats]", ""}, /* an order that says nothing */
        {"[blue, green]", "[green, blue]", ""},
        {"facts: shop", "facts: store", "facts - name: shop -> store"},
        {"aside: [for, with]", "aside: [for]", "facts - aside: for, with -> for"},
        {"aside:",
         "vague: [kit]\ntext_fields: []\ntype_fields: [type, art]\nwider: unclear\ncompatibility: "
         "suits\naside:",
         "facts - text_fields: title, description -> |facts - type_fields:  -> type, art|facts - "
         "compatibility: fits -> "
         "suits|facts - wider: sibling -> unclear|facts - vague:  -> kit"},
        {", parkas", "", "category coats synonyms: overcoats, parkas -> overcoats"},
        {"{siblings: [coats]}", "{parents: [coats], queries: [blazer]}",
         "category jackets parents:  -> coats|category jackets siblings: coats -> |category jackets queries: "
         " -> blazer"},
        {"related: [scarves], members: siblings", "unrelated: [scarves], members: unclear",
         "category coats related: scarves -> |category coats unrelated:  -> scarves|category coats members: "
         "siblings -> "
         "unclear"},
        {"{titles: [shawl]}", "{unclear: [coats]}",
         "category scarves unclear:  -> coats|category scarves titles: shawl -> "},
        {"  scarves: {", "  hats: {parents: [coats]}\n  scarves: {", "category hats -: NULL -> coats"},
        {"synonyms: [[grey, gray]], ", "", "values colour synonyms: grey = gray -> "},
        {"navy: blue, ", "",
         "values colour parents: navy: blue, teal: blue, teal: green -> teal: blue, teal: green"},
        {"phrases:\n", "  fit: {covers: {unisex: women}}\nphrases:\n", "values fit -: NULL -> "},
        {"[without, no]", "[without, no, sans]", "phrases not phrases: no, without -> no, sans, without"},
        {"value: wax", "value: oil",
         "knowledge for rain says: for rain means hood not small | none, for rain, in rain [coats] means "
         "lining is wax -> for "
         "rain means hood not small | none, for rain, in rain [coats] means lining is oil"},
        {"knowledge:", "why: {best: All well.}\nknowledge:",
         "why best text: The item meets all that the query asks. -> All well."},
    };
    (void)state;
    ag_facts *old = facts_of(old_facts), *none = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = edited(old_facts, cases[i].from, cases[i].to);
        ag_facts *new = facts_of(text);
        expect_facts(old, new, cases[i].want);
        ag_facts_free(new);
        ag_free(text);
    }
    /* one without the other is not looked at; none at all is as good as an empty file */
    expect_facts(old, NULL, "");
    assert_int_equal(ag_facts_empty(&none, NULL), AG_OK);
    ag_facts *bare = facts_of("facts: x\n");
    expect_facts(none, bare, "facts - name:  -> x");
    ag_facts_free(bare);
    ag_facts_free(none);
    ag_facts_free(old);
}

static void save(const char *folder, const char *name, const char *text)
{
    ag_error err = {0};
    if (ag_file_write(folder, name, text, strlen(text), &err)) fail_msg("%s", err.message);
}

/* A file in two: what its base says and what it adds make the same facts; parts of one attribute are one. */
static void test_facts_base(void **state)
{
    char folder[] = "/tmp/agrl-facts-XXXXXX", path[64];
    ag_facts *new;
    ag_error err = {0};
    (void)state;
    assert_non_null(mkdtemp(folder));
    char *base = edited(old_facts, ", parents: {navy: blue, teal: [blue, green]}", "");
    save(folder, "base.yaml", base);
    save(folder, "shop.yaml",
         "facts: shop\nlanguage: en\nbase: base.yaml\nvalues:\n  colour: {parents: {teal: [green, blue], "
         "navy: blue}}\n");
    snprintf(path, sizeof path, "%s/shop.yaml", folder);
    if (ag_facts_load(&new, path, &err)) fail_msg("%s", err.message);
    ag_facts *old = facts_of(old_facts);
    expect_facts(old, new, "");
    expect_facts(new, old, "");
    ag_facts_free(old);
    old = facts_of(base);
    expect_facts(old, new, "values colour parents:  -> navy: blue, teal: blue, teal: green");
    ag_facts_free(old);
    ag_facts_free(new);
    ag_free(base);
    assert_int_equal(ag_dir_remove(folder, &err), AG_OK);
}

/* Every allocation in turn fails. */
static void test_memory(void **state)
{
    (void)state;
    char *text = edited(old_text, "cap: \"2\"", "cap: \"1\"");
    ag_book *old = parsed(old_text), *new = parsed(text);
    char *more = edited(old_facts, "[without, no]", "[without, not]");
    ag_facts *before = facts_of(old_facts), *after = facts_of(more);
    for (long n = 1;; n++) {
        ag_error err = {0};
        ag_book_changes changes;
        ag_mem_fail_at(n, true);
        ag_status status = ag_book_diff(&changes, &(ag_book_side){old, before}, &(ag_book_side){new, after},
                                        &err);
        ag_mem_fail_at(0, false);
        ag_book_changes_free(&changes);
        if (status == AG_OK) break;
        assert_int_equal(status, AG_ERR_MEMORY);
        assert_true(n < 1000);
    }
    ag_book_free(old);
    ag_book_free(new);
    ag_facts_free(before);
    ag_facts_free(after);
    ag_free(text);
    ag_free(more);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_changes), cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_facts), cmocka_unit_test(test_facts_base),
                                       cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
