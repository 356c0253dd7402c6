/* test_book_diff.c: differences of two small books, each worked by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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
static void expect(const char *new_text, const char *want)
{
    ag_error err = {0};
    ag_book *old = parsed(old_text), *new = parsed(new_text);
    ag_book_changes changes;
    ag_str text = {0};
    if (ag_book_diff(&changes, old, new, &err)) fail_msg("%s", err.message);
    for (size_t i = 0; i < changes.count; i++) {
        const ag_book_change *c = &changes.items[i];
        ag_str_addf(&text, "%s%s %s %s: %s -> %s", i ? "|" : "", c->kind, c->id ? c->id : "-",
                    c->field ? c->field : "-", c->was ? c->was : "NULL", c->now ? c->now : "NULL");
    }
    assert_string_equal(ag_str_text(&text), want);
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

/* Every allocation in turn fails. */
static void test_memory(void **state)
{
    (void)state;
    char *text = edited(old_text, "cap: \"2\"", "cap: \"1\"");
    ag_book *old = parsed(old_text), *new = parsed(text);
    for (long n = 1;; n++) {
        ag_error err = {0};
        ag_book_changes changes;
        ag_mem_fail_at(n, true);
        ag_status status = ag_book_diff(&changes, old, new, &err);
        ag_mem_fail_at(0, false);
        ag_book_changes_free(&changes);
        if (status == AG_OK) break;
        assert_int_equal(status, AG_ERR_MEMORY);
        assert_true(n < 1000);
    }
    ag_book_free(old);
    ag_book_free(new);
    ag_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_changes), cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
