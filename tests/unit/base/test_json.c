/* JSON: places of errors, refusals, numbers that come back the same, typed members, memory. */
#include "unit/base/test_help.h"

#include <limits.h>
#include <locale.h>
#include <math.h>

#include "base/json.h"
#include "base/rng.h"

static json_t *parse(const char *text)
{
    json_t *json;
    ag_error err = {0};
    if (ag_json_parse(&json, text, strlen(text), "t", 1, &err) != AG_OK) fail_msg("%s", err.message);
    return json;
}

static void check_refused(const char *text, size_t n, long line, const char *place)
{
    json_t *json;
    ag_error err = {0};
    if (ag_json_parse(&json, text, n, "data.jsonl", line, &err) != AG_ERR_INPUT)
        fail_msg("not refused: %s", text);
    assert_null(json);
    if (strncmp(err.message, place, strlen(place)) != 0)
        fail_msg("'%s' does not start with '%s'", err.message, place);
}

static void test_refusals(void **state)
{
    (void)state;
    check_refused("{\"a\": }", 7, 12, "data.jsonl:12:7: ");
    check_refused("{\"a\": 1,\n \"b\" 2}", 16, 1, "data.jsonl:2:");
    check_refused("", 0, 5, "data.jsonl:5:");
    check_refused("  ", 2, 5, "data.jsonl:5:");
    check_refused("{} x", 4, 1, "data.jsonl:1:4: ");
    check_refused("{} {}", 5, 1, "data.jsonl:1:4: ");
    check_refused("{\"a\":1,\"a\":2}", 13, 3, "data.jsonl:3:");
    check_refused("\"a\0b\"", 5, 1, "data.jsonl:1:");
    check_refused("\"a\\u0000b\"", 10, 1, "data.jsonl:1:");
    check_refused("\"a\xFF\"", 4, 1, "data.jsonl:1:");
    check_refused("\"\\ud800\"", 8, 1, "data.jsonl:1:");
    check_refused("[1,]", 4, 1, "data.jsonl:1:");
    check_refused("{'a':1}", 7, 1, "data.jsonl:1:");
    check_refused("NaN", 3, 1, "data.jsonl:1:");
    check_refused("1e999", 5, 1, "data.jsonl:1:");
    check_refused("123456789012345678901234567890", 30, 1, "data.jsonl:1:");
    check_refused("tru", 3, 1, "data.jsonl:1:");
    char deep[6001];
    memset(deep, '[', 3000);
    memset(deep + 3000, ']', 3000);
    check_refused(deep, 6000, 1, "data.jsonl:1:");
}

static void test_scalars_are_texts_too(void **state)
{
    (void)state;
    static const char *const texts[] = {"1", "\"x\"", "null", "true", "[]", " {} \n"};
    for (size_t i = 0; i < 6; i++) json_decref(parse(texts[i]));
}

static void check_dump(const char *text, const char *expected)
{
    json_t *json = parse(text);
    ag_str s = {0};
    assert_ok(ag_json_dump(&s, json, NULL));
    assert_string_equal(ag_str_text(&s), expected);
    ag_str_free(&s);
    json_decref(json);
}

static void test_dump(void **state)
{
    (void)state;
    check_dump("{ \"z\": 1, \"a\": [ true, false, null ], \"m\": {} }",
               "{\"z\":1,\"a\":[true,false,null],\"m\":{}}");
    check_dump("[0.1, 49.9, 1.0, -0.0, 1e300, 1e-7, 3, -5, 9007199254740993, 0.30000000000000004]",
               "[0.1,49.9,1.0,-0.0,1e300,1e-7,3,-5,9007199254740993,0.30000000000000004]");
    check_dump("\"q\\\"b\\\\n\\n\\t\\u0001/h\xC3\xA9\\ud83d\\ude00\"",
               "\"q\\\"b\\\\n\\n\\t\\u0001/h\xC3\xA9\xF0\x9F\x98\x80\"");
    check_dump("[]", "[]");
    /* A file of depth that the parser takes is also written. */
    char deep[4001];
    memset(deep, '[', 2000);
    memset(deep + 2000, ']', 2000);
    deep[4000] = '\0';
    check_dump(deep, deep);
    json_t *json = json_array();
    for (int i = 0; i < 3000; i++) {
        json_t *outer = json_array();
        json_array_append_new(outer, json);
        json = outer;
    }
    ag_str s = {0};
    ag_error err = {0};
    assert_int_equal(ag_json_dump(&s, json, &err), AG_ERR_INPUT);
    ag_str_free(&s);
    json_decref(json);
}

static void test_quote(void **state)
{
    (void)state;
    ag_str s = {0};
    ag_json_quote(&s, "a\0\x1f\xFFz\"", 6);
    assert_string_equal(ag_str_text(&s), "\"a\\u0000\\u001f\xEF\xBF\xBDz\\\"\"");
    ag_str_free(&s);
    /* Every character comes back. */
    for (uint32_t c = 1; c < 0x10FFFF; c += c < 0x3000 ? 1 : 251) {
        char put[4], text[8];
        if (c >= 0xD800 && c <= 0xDFFF) continue;
        int n = ag_utf8_put(c, put);
        ag_json_quote(&s, put, (size_t)n);
        json_t *json = parse(ag_str_text(&s));
        snprintf(text, sizeof text, "%.*s", n, put);
        assert_string_equal(json_string_value(json), text);
        json_decref(json);
        ag_str_clear(&s);
    }
    ag_str_free(&s);
}

static void check_number(double x, const char *expected)
{
    ag_str s = {0};
    ag_json_number(&s, x);
    assert_string_equal(ag_str_text(&s), expected);
    ag_str_free(&s);
}

static void check_back(double x)
{
    ag_str s = {0};
    char longer[40];
    ag_json_number(&s, x);
    json_t *json = parse(ag_str_text(&s));
    if (json_number_value(json) != x) fail_msg("%.17g became %s", x, ag_str_text(&s));
    json_decref(json);
    snprintf(longer, sizeof longer, "%.17g", x);
    if (x != floor(x)) assert_true(s.len <= strlen(longer));
    ag_str_free(&s);
}

static void test_numbers(void **state)
{
    (void)state;
    check_number(0, "0");
    check_number(-0.0, "0");
    check_number(1, "1");
    check_number(-3, "-3");
    check_number(1e14, "100000000000000");
    check_number(1e15, "1e15");
    check_number(123456789012345678.0, "1.2345678901234568e17");
    check_number(0.1, "0.1");
    check_number(0.1 + 0.2, "0.30000000000000004");
    check_number(1.0 / 3, "0.3333333333333333");
    check_number(1e-5, "1e-5");
    check_number(2.5e-10, "2.5e-10");
    check_number(1e100, "1e100");
    check_number(5e-324, "5e-324");
    check_number(1.7976931348623157e308, "1.7976931348623157e308");
    check_number(NAN, "null");
    check_number(INFINITY, "null");
    ag_rng r = ag_rng_at(1, AG_RNG_TEST, 0, 0, 0, 0);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = ag_rng_u64(&r);
        double x;
        memcpy(&x, &bits, sizeof x);
        if (isfinite(x)) check_back(x);
        check_back(ag_rng_double(&r));
        check_back((double)(float)ag_rng_normal(&r));
        check_back(ag_rng_below(&r, 10000) / 100.0);
    }
    if (setlocale(LC_NUMERIC, "de_DE.UTF-8")) {
        check_number(0.5, "0.5");
        check_number(1.5e-7, "1.5e-7");
        setlocale(LC_NUMERIC, "C");
    }
}

static void test_members(void **state)
{
    (void)state;
    ag_error err = {0};
    json_t *o = parse(
        "{\"i\": 5, \"r\": 3.0, \"f\": 2.5, \"b\": true, \"s\": \"x\", \"n\": null, \"big\": 1e300}");
    long i = 1;
    double d = 1;
    bool b = false;
    const char *s = "kept";
    assert_ok(ag_json_get_int(o, "i", 0, 10, &i, "w", &err));
    assert_int_equal(i, 5);
    assert_ok(ag_json_get_int(o, "r", 0, 10, &i, "w", &err));
    assert_int_equal(i, 3);
    assert_ok(ag_json_get_int(o, "n", 0, 10, &i, "w", &err));
    assert_ok(ag_json_get_int(o, "absent", 0, 10, &i, "w", &err));
    assert_int_equal(i, 3);
    assert_int_equal(ag_json_get_int(o, "i", 6, 10, &i, "w:7", &err), AG_ERR_INPUT);
    assert_string_equal(err.message, "w:7: 'i' must be a whole number from 6 to 10");
    assert_int_equal(ag_json_get_int(o, "i", 6, LONG_MAX, &i, "w:7", &err), AG_ERR_INPUT);
    assert_string_equal(err.message, "w:7: 'i' must be a whole number of at least 6");
    assert_int_equal(ag_json_get_int(o, "f", LONG_MIN, LONG_MAX, &i, "w", &err), AG_ERR_INPUT);
    assert_string_equal(err.message, "w: 'f' must be a whole number");
    assert_int_equal(ag_json_get_int(o, "s", 0, 10, &i, "w", &err), AG_ERR_INPUT);
    assert_int_equal(ag_json_get_int(o, "b", 0, 10, &i, "w", &err), AG_ERR_INPUT);
    assert_int_equal(ag_json_get_int(o, "big", LONG_MIN, LONG_MAX, &i, "w", &err), AG_ERR_INPUT);
    assert_int_equal(i, 3);
    assert_ok(ag_json_get_double(o, "f", &d, "w", &err));
    assert_true(d == 2.5);
    assert_ok(ag_json_get_double(o, "i", &d, "w", &err));
    assert_true(d == 5);
    assert_ok(ag_json_get_double(o, "n", &d, "w", &err));
    assert_int_equal(ag_json_get_double(o, "s", &d, "w", &err), AG_ERR_INPUT);
    assert_string_equal(err.message, "w: 's' must be a number");
    assert_true(d == 5);
    assert_ok(ag_json_get_bool(o, "b", &b, "w", &err));
    assert_true(b);
    assert_int_equal(ag_json_get_bool(o, "i", &b, "w", &err), AG_ERR_INPUT);
    assert_ok(ag_json_get_string(o, "n", &s, "w", &err));
    assert_string_equal(s, "kept");
    assert_ok(ag_json_get_string(o, "s", &s, "w", &err));
    assert_string_equal(s, "x");
    assert_int_equal(ag_json_get_string(o, "i", &s, "w", &err), AG_ERR_INPUT);
    assert_ok(ag_json_get_string(NULL, "s", &s, "w", &err));
    json_decref(o);
}

static void test_load(void **state)
{
    (void)state;
    char folder[64];
    ag_error err = {0};
    json_t *json;
    char *path = ag_path_join(test_folder(folder), "x.json");
    put_file(path, "\xEF\xBB\xBF{\"a\":1}\n", 11);
    assert_ok(ag_json_load(&json, path, &err));
    assert_true(json_is_object(json));
    json_decref(json);
    put_file(path, "{\n\n\"a\":x}", 9);
    assert_int_equal(ag_json_load(&json, path, &err), AG_ERR_INPUT);
    assert_says(err, "x.json:3:");
    assert_ok(ag_dir_remove(folder, &err));
    assert_int_equal(ag_json_load(&json, path, &err), AG_ERR_IO);
    assert_null(json);
    ag_free(path);
}

static const char big[] =
    "{\"id\": \"q12-p7\", \"query\": \"red \\u00e9 boots\", \"a\": [1, 2.5, -3e5, true, null, [], {}],"
    "\"k1\":1,\"k2\":2,\"k3\":3,\"k4\":4,\"k5\":5,\"k6\":6,\"k7\":7,\"k8\":8,\"k9\":9,\"k10\":{\"x\":\"y\"},"
    "\"long\": \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}";

static ag_status parse_work(void *context, ag_error *err)
{
    json_t *json;
    (void)context;
    ag_status status = ag_json_parse(&json, big, strlen(big), "t", 1, err);
    assert_true((status == AG_OK) == (json != NULL));
    json_decref(json);
    return status;
}

static ag_status dump_work(void *context, ag_error *err)
{
    ag_str s = {0};
    ag_status status = ag_json_dump(&s, context, err);
    if (status == AG_OK) assert_int_equal(s.data[s.len - 1], '}');
    ag_str_free(&s);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    sweep_memory(parse_work, NULL);
    json_t *json = parse(big);
    sweep_memory(dump_work, json);
    json_decref(json);
    ag_error err = {0};
    ag_mem_fail_at(1, true);
    ag_status status = ag_json_parse(&json, "{}", 2, "t", 4, &err);
    ag_mem_fail_at(0, false);
    assert_int_equal(status, AG_ERR_MEMORY);
    assert_string_equal(err.message, "t:4: out of memory: JSON");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_scalars_are_texts_too),
        cmocka_unit_test(test_dump),     cmocka_unit_test(test_quote),
        cmocka_unit_test(test_numbers),  cmocka_unit_test(test_members),
        cmocka_unit_test(test_load),     cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
