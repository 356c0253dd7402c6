/* test_body.c: JSON bodies: what is refused, with which status and at which field. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "serve/body.h"

static ag_book *book;
static ag_facts *facts;
static ag_lexicon *lexicon;

static int open_book(void **state)
{
    ag_error err = {0};
    (void)state;
    return ag_book_load(&book, AGRL_SOURCE_DIR "/rules/shop.yaml", &err) != AG_OK ||
           ag_facts_of_book(&facts, book, &err) != AG_OK ||
           ag_lexicon_open(&lexicon, facts, book, NULL, &err) != AG_OK;
}

static int close_book(void **state)
{
    (void)state;
    ag_lexicon_free(lexicon);
    ag_facts_free(facts);
    ag_book_free(book);
    return 0;
}

/* The status and the member `param` of the error (in a buffer that the next call reuses). */
static int failed(ag_http_response *r, const char **param)
{
    static char text[256];
    ag_error err = {0};
    json_t *json = NULL;
    *param = NULL;
    int status = r->status;
    if (status) {
        if (ag_json_parse(&json, r->text.data, r->text.len, "error", 1, &err) != AG_OK)
            fail_msg("%s", err.message);
        const json_t *error = json_object_get(json, "error"), *p = json_object_get(error, "param");
        assert_true(json_is_string(json_object_get(error, "message")));
        assert_true(json_is_string(json_object_get(error, "type")));
        if (json_is_string(p)) {
            snprintf(text, sizeof text, "%s", json_string_value(p));
            *param = text;
        }
        json_decref(json);
    }
    ag_str_free(&r->text);
    memset(r, 0, sizeof *r);
    return status;
}

static int parse(const char *text, size_t n)
{
    ag_http_request q = {.body = text, .body_len = n};
    ag_http_response r = {0};
    json_t *json = NULL;
    const char *param;
    bool good = ag_body_parse(&json, &q, &r);
    assert_int_equal(good, r.status == 0);
    assert_int_equal(good, json != NULL);
    json_decref(json);
    return failed(&r, &param);
}

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
    } rows[] = {{"{}", 0},
                {"{\"a\": [1, 2.5e3, null, \"\\u00e4\"]}", 0},
                {"", 400},
                {"[]", 400},
                {"1", 400},
                {"{", 400},
                {"{\"a\": 1, \"a\": 2}", 400},
                {"{\"a\": 1e999}", 400},
                {"{\"a\": 99999999999999999999999}", 400},
                {"{\"a\": \"\\u0000\"}", 400},
                {"{\"a\": \"\\ud800\"}", 400},
                {"{\"a\": \"\xC3\"}", 400},
                {"{\"a\": \"\xED\xA0\x80\"}", 400},
                {"{\"a\": NaN}", 400},
                {"{} {}", 400},
                {"\xEF\xBB\xBF{}", 400}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int status = parse(rows[i].text, strlen(rows[i].text));
        if (status != rows[i].status) fail_msg("%d for %s", status, rows[i].text);
    }
    ag_str s = {0};
    for (int i = 0; i < 63; i++) ag_str_add(&s, i ? "[" : "{\"a\":");
    for (int i = 62; i >= 0; i--) ag_str_add(&s, i ? "]" : "}");
    assert_int_equal(parse(s.data, s.len), 0);
    for (int depth = 64; depth <= 65; depth++) {
        ag_str_clear(&s);
        for (int i = 0; i < depth; i++) ag_str_add(&s, i ? "[" : "{\"a\":");
        for (int i = depth - 1; i >= 0; i--) ag_str_add(&s, i ? "]" : "}");
        assert_int_equal(parse(s.data, s.len), depth == 64 ? 0 : 400);
    }
    ag_str_clear(&s);
    for (int i = 0; i < 100000; i++) ag_str_addc(&s, '[');
    assert_int_equal(parse(s.data, s.len), 400);
    ag_str_clear(&s);
    ag_str_add(&s, "{\"a\":[0");
    for (int i = 0; i < AG_BODY_VALUES; i++) ag_str_add(&s, ",0");
    ag_str_add(&s, "]}");
    assert_int_equal(parse(s.data, s.len), 413);
    ag_str_clear(&s); /* brackets in a text are text */
    ag_str_add(&s, "{\"a\":\"\\\"");
    for (int i = 0; i < 1000; i++) ag_str_add(&s, "[{,:");
    ag_str_add(&s, "\"}");
    assert_int_equal(parse(s.data, s.len), 0);
    ag_str_free(&s);
    assert_int_equal(parse("{}\0", 3), 400);
}

static json_t *json_of(const char *text)
{
    ag_error err = {0};
    json_t *json = NULL;
    if (ag_json_parse(&json, text, strlen(text), "test", 1, &err) != AG_OK) fail_msg("%s", err.message);
    return json;
}

static void test_members(void **state)
{
    (void)state;
    ag_http_response r = {0};
    const char *param, *text = "before";
    static const char *const names[] = {"text", "number", "list", "explain", NULL};
    long long whole = 7;
    double number = 7;
    bool flag = true;
    const json_t *list = NULL;
    json_t *o = json_of("{\"text\": 1, \"number\": \"x\", \"list\": [], \"explian\": true, \"null\": null, "
                        "\"many\": [1, 2, 3]}");
    assert_false(ag_body_known(o, "", names, &r));
    assert_non_null(strstr(r.text.data, "is 'explain' meant?"));
    assert_int_equal(failed(&r, &param), 400);
    assert_string_equal(param, "explian");
    assert_false(ag_body_text(o, "a[0]", "text", true, &text, &r));
    assert_int_equal(failed(&r, &param), 400);
    assert_string_equal(param, "a[0].text");
    assert_false(ag_body_text(o, "", "missing", true, &text, &r));
    failed(&r, &param);
    assert_string_equal(param, "missing");
    assert_true(ag_body_text(o, "", "missing", false, &text, &r));
    assert_true(ag_body_text(o, "", "null", false, &text, &r));
    assert_string_equal(text, "before");
    assert_false(ag_body_number(o, "", "number", 0, 1, &number, &r));
    failed(&r, &param);
    assert_false(ag_body_number(o, "", "text", 2, 3, &number, &r));
    failed(&r, &param);
    assert_true(ag_body_number(o, "", "text", 0, 3, &number, &r) && number == 1);
    assert_false(ag_body_int(o, "", "text", 2, 3, &whole, &r));
    failed(&r, &param);
    assert_true(ag_body_int(o, "", "null", 2, 3, &whole, &r) && whole == 7);
    assert_false(ag_body_flag(o, "", "text", &flag, &r));
    failed(&r, &param);
    assert_false(ag_body_list(o, "", "list", 9, &list, &r));
    assert_int_equal(failed(&r, &param), 400);
    assert_false(ag_body_list(o, "", "text", 9, &list, &r));
    assert_int_equal(failed(&r, &param), 400);
    assert_false(ag_body_list(o, "", "nothing", 9, &list, &r));
    assert_int_equal(failed(&r, &param), 400);
    assert_false(ag_body_list(o, "", "many", 2, &list, &r));
    assert_int_equal(failed(&r, &param), 413);
    assert_true(ag_body_list(o, "", "many", 3, &list, &r));
    assert_int_equal(json_array_size(list), 3);
    json_decref(o);
}

static void test_pairs(void **state)
{
    (void)state;
    static const struct {
        const char *json, *param;
    } bad[] = {
        {"1", "pairs[3]"},
        {"{}", "pairs[3].query"},
        {"{\"query\": \"a\"}", "pairs[3].item"},
        {"{\"query\": 1, \"item\": \"x\"}", "pairs[3].query"},
        {"{\"query\": \" \", \"item\": \"x\"}", "pairs[3].query"},
        {"{\"query\": \"a\", \"item\": 1}", "pairs[3].item"},
        {"{\"query\": \"a\", \"item\": \"\"}", "pairs[3].item.title"},
        {"{\"query\": \"a\", \"item\": {}}", "pairs[3].item.title"},
        {"{\"query\": \"a\", \"item\": {\"title\": []}}", "pairs[3].item.title"},
        {"{\"query\": \"a\", \"item\": {\"title\": \"x\", \"price\": -1}}", "pairs[3].item.price"},
        {"{\"query\": \"a\", \"item\": {\"title\": \"x\", \"attributes\": []}}", "pairs[3].item.attributes"},
        {"{\"query\": \"a\", \"item\": {\"title\": \"x\", \"attributes\": {\"a\": {}}}}",
         "pairs[3].item.attributes.a"},
        {"{\"query\": \"a\", \"item\": \"x\", \"asked\": 1}", "pairs[3].asked"},
        {"{\"query\": \"a\", \"item\": \"x\", \"asked\": [{\"name\": \"b\", \"op\": \"iss\", \"value\": 1}]}",
         "pairs[3].asked[0].op"},
        {"{\"query\": \"a\", \"item\": \"x\", \"asked\": [{\"name\": \"b\"}]}", "pairs[3].asked[0].value"},
        {"{\"query\": \"a\", \"item\": \"x\", \"gold\": {\"tier\": \"9\"}}", "pairs[3].gold.tier"},
        {"{\"query\": \"a\", \"item\": \"x\", \"aksed\": []}", "pairs[3].aksed"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ag_http_response r = {0};
        ag_pair *pair;
        const char *param;
        ag_error err = {0};
        json_t *json = NULL;
        assert_int_equal(ag_json_parse(&json, bad[i].json, strlen(bad[i].json), "t", 1, &err), AG_OK);
        assert_false(ag_body_pair(&pair, json, "pairs[3]", book, lexicon, &r));
        assert_null(pair);
        assert_int_equal(failed(&r, &param), 400);
        if (!param || strcmp(param, bad[i].param) != 0)
            fail_msg("%s for %s", param ? param : "null", bad[i].json);
        json_decref(json);
    }
    ag_http_response r = {0};
    ag_pair *pair;
    json_t *json = json_of("{\"query\": \"red boots\", \"item\": {\"title\": \"Boots\", \"attributes\": "
                           "{\"colour\": \"red\"}}}");
    assert_true(ag_body_pair(&pair, json, "pairs[0]", book, lexicon, &r));
    assert_int_equal(pair->asked.source, AG_ASKED_PARSED);
    assert_int_equal(pair->asked.count, 1);
    assert_null(json_object_get(json, "asked")); /* the body is as it was */
    ag_pair_free(pair);
    json_decref(json);
    json = json_of("{\"query\": \"red boots\", \"item\": \"Boots\\nfine\", \"asked\": [], \"shelf\": 3}");
    assert_true(ag_body_pair(&pair, json, "pairs[0]", book, lexicon, &r));
    assert_int_equal(pair->asked.source, AG_ASKED_GIVEN);
    assert_string_equal(pair->item.title, "Boots");
    assert_string_equal(pair->item.description, "fine");
    assert_true(json_is_string(json_object_get(json, "item")));
    ag_pair_free(pair);
    json_decref(json);
}

/* Nothing of a text is lost or said twice, and no character is cut. */
static void test_item_of_text(void **state)
{
    (void)state;
    ag_str s = {0};
    for (int kind = 0; kind < 3; kind++) {
        for (int words = 0; words < 60; words++) {
            ag_str_clear(&s);
            for (int i = 0; i < words; i++)
                ag_str_add(&s, kind == 0   ? "word "
                               : kind == 1 ? "\xC3\xA4\xE2\x82\xAC\xC3\xB6\xE2\x82\xAC"
                                           : "line of it\n");
            json_t *item = ag_item_of_text(ag_str_text(&s));
            assert_non_null(item);
            const char *title = json_string_value(json_object_get(item, "title")),
                       *rest = json_string_value(json_object_get(item, "description"));
            assert_true(strlen(title) <= 206);
            size_t letters = 0, kept = 0;
            for (const char *c = ag_str_text(&s); *c; c++) letters += *c != ' ' && *c != '\n';
            for (const char *c = title; *c; c++) kept += *c != ' ';
            for (const char *c = rest ? rest : ""; *c; c++) kept += *c != ' ' && *c != '\n';
            assert_int_equal(letters, kept);
            json_decref(item);
        }
    }
    ag_str_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_item_of_text),
    };
    return cmocka_run_group_tests(tests, open_book, close_book);
}
