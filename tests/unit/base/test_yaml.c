/* YAML: the tree and its places, all refusals with line and column, typed readings, quoting, memory. */
#include "unit/base/test_help.h"

#include <limits.h>

#include "base/rng.h"
#include "base/yaml.h"

static ag_arena arena;

static int teardown(void **state)
{
    (void)state;
    ag_arena_free(&arena);
    return 0;
}

static ag_yaml *parse(const char *text)
{
    ag_yaml *root;
    ag_error err = {0};
    if (ag_yaml_parse(&root, &arena, text, strlen(text), "b.yaml", &err) != AG_OK)
        fail_msg("%s", err.message);
    return root;
}

static void test_tree(void **state)
{
    (void)state;
    ag_yaml *root = parse("# comment\n"
                          "rulebook: general\n"
                          "version: \"1.0\"\n"
                          "tiers:\n"
                          "  - {id: \"4\", good: true}\n"
                          "  - [a, b]\n"
                          "text: |\n"
                          "  two\n"
                          "  lines\n"
                          "h\xC3\xA9: x\n");
    assert_int_equal(root->kind, AG_YAML_MAP);
    assert_int_equal(root->count, 5);
    assert_int_equal(root->line, 2);
    const ag_yaml *n = ag_yaml_get(root, "rulebook");
    assert_string_equal(n->text, "general");
    assert_int_equal(n->len, 7);
    assert_false(n->quoted);
    assert_int_equal(n->line, 2);
    assert_int_equal(n->column, 11);
    assert_true(ag_yaml_get(root, "version")->quoted);
    const ag_yaml *tiers = ag_yaml_get(root, "tiers");
    assert_int_equal(tiers->kind, AG_YAML_LIST);
    assert_int_equal(tiers->count, 2);
    assert_null(tiers->text);
    n = ag_yaml_get(tiers->values[0], "good");
    assert_string_equal(n->text, "true");
    assert_int_equal(n->line, 5);
    assert_int_equal(n->column, 21);
    assert_string_equal(tiers->values[1]->values[1]->text, "b");
    n = ag_yaml_get(root, "text");
    assert_string_equal(n->text, "two\nlines\n");
    assert_true(n->quoted);
    assert_int_equal(ag_yaml_get(root, "h\xC3\xA9")->column, 5); /* columns count characters */
    assert_string_equal(root->keys[2]->text, "tiers");
    assert_null(ag_yaml_get(root, "absent"));
    assert_null(ag_yaml_get(tiers, "id"));
    assert_null(ag_yaml_get(NULL, "id"));
}

static void test_empty(void **state)
{
    (void)state;
    static const char *const texts[] = {"",      "\n",          "# only a comment\n",
                                        "---\n", "--- \n...\n", "\xEF\xBB\xBF"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ag_yaml *root = parse(texts[i]);
        assert_int_equal(root->kind, AG_YAML_MAP);
        assert_int_equal(root->count, 0);
    }
    assert_int_equal(parse("[]")->kind, AG_YAML_LIST);
    assert_int_equal(parse("x")->kind, AG_YAML_SCALAR);
    assert_true(ag_yaml_is_null(parse("~")));
    assert_string_equal(ag_yaml_get(parse("\xEF\xBB\xBF"
                                          "a: b\r\n"),
                                    "a")
                            ->text,
                        "b"); /* BOM and CRLF */
    assert_int_equal(parse("{}")->count, 0);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"a: 1\nb: 2\na: 3\n", "b.yaml:3:1: 'a' is given twice (first at line 1)"},
        {"x: {k: 1, k: 2}\n", "b.yaml:1:11: 'k' is given twice (first at line 1)"},
        {"a: &x 1\n", "b.yaml:1:4: anchors (&name) are not supported"},
        {"a: &x [1]\n", "b.yaml:1:4: anchors"},
        {"a: &x {b: 1}\n", "b.yaml:1:4: anchors"},
        {"a: 1\nb: *x\n", "b.yaml:2:4: aliases (*name) are not supported"},
        {"a: !!str 1\n", "b.yaml:1:4: tags (!name) are not supported"},
        {"a: ! 1\n", "b.yaml:1:4: tags"},
        {"a: ! \"1\"\n", "b.yaml:1:4: tags"},
        {"\xC3\xA9: \xC3\xA9\nb: ! 1\n", "b.yaml:2:4: tags"},
        {"a: !x [1]\n", "b.yaml:1:4: tags"},
        {"a: !!map {b: 1}\n", "b.yaml:1:4: tags"},
        {"!!map\na: 1\n", "b.yaml:1:1: tags"},
        {"a: 1\n---\nb: 2\n", "b.yaml:2:1: a second document"},
        {"a: 1\n...\n---\nb: 2\n", "b.yaml:3:1: a second document"},
        {"[a]: 1\n", "b.yaml:1:1: a key must be plain text"},
        {"? {a: b}\n: 1\n", "b.yaml:1:3: a key must be plain text"},
        {"a: \"x\\0y\"\n", "b.yaml:1:4: NUL byte in text"},
        {"a: x\x01y\n", "b.yaml:1:5: control characters are not allowed"},
        {"a: 1\nb: h\xC3\xA9\xFF\n", "b.yaml:2:6: not UTF-8"},
        {"a: b: c\n", "b.yaml:1:5: mapping values are not allowed in this context"},
        {"a: [1, 2\n",
         "b.yaml:2:1: did not find expected ',' or ']' (while parsing a flow sequence that began at line 1)"},
        {"a: \"x\n", "b.yaml:2:1: found unexpected end of stream"},
        {"a:\n\t- b\n", "b.yaml:2:1: found character that cannot start any token"},
        {"a: 1\n b: 2\n", "b.yaml:2:"},
        {"@x\n", "b.yaml:1:1: "},
        {"%YAML 3.0\n---\na: 1\n", "b.yaml:1:1: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ag_error err = {0};
        ag_yaml *root;
        ag_status status = ag_yaml_parse(&root, &arena, cases[i].text, strlen(cases[i].text), "b.yaml", &err);
        if (status != AG_ERR_INPUT) fail_msg("not refused: %s", cases[i].text);
        assert_null(root);
        if (strncmp(err.message, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("'%s' does not start with '%s'", err.message, cases[i].message);
    }
    ag_error err = {0};
    ag_yaml *root;
    assert_int_equal(ag_yaml_parse(&root, &arena, "a: b\nc: \0d\n", 11, "b.yaml", &err), AG_ERR_INPUT);
    assert_string_equal(err.message, "b.yaml:2:4: NUL byte");
    /* What only looks like a tag or an alias is text. */
    root = parse("a: \"!x\"\nb: x!y\nc: '*z'\nd: \"&\"\ne: |\n  ! x\n");
    assert_string_equal(ag_yaml_get(root, "a")->text, "!x");
    assert_string_equal(ag_yaml_get(root, "b")->text, "x!y");
}

static void test_depth(void **state)
{
    (void)state;
    ag_error err = {0};
    ag_yaml *root;
    char text[200002];
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    assert_ok(ag_yaml_parse(&root, &arena, text, 128, "b.yaml", &err));
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    assert_int_equal(ag_yaml_parse(&root, &arena, text, 130, "b.yaml", &err), AG_ERR_INPUT);
    assert_string_equal(err.message, "b.yaml:1:65: nested deeper than 64");
    memset(text, '[', 200000); /* hostile depth costs neither stack nor time */
    assert_int_equal(ag_yaml_parse(&root, &arena, text, 200000, "b.yaml", &err), AG_ERR_INPUT);
    for (size_t i = 0; i < 200000; i += 2) memcpy(text + i, "- ", 2);
    assert_int_equal(ag_yaml_parse(&root, &arena, text, 200000, "b.yaml", &err), AG_ERR_INPUT);
}

static void test_size(void **state)
{
    (void)state;
    ag_error err = {0};
    ag_yaml *root;
    ag_str text = {0};
    for (int i = 0; i < 100000; i++) ag_str_addf(&text, "key%d: %d\n", i, i); /* no quadratic time */
    assert_ok(ag_yaml_parse(&root, &arena, text.data, text.len, "b.yaml", &err));
    assert_int_equal(root->count, 100000);
    ag_str_add(&text, "key77777: again\n");
    assert_int_equal(ag_yaml_parse(&root, &arena, text.data, text.len, "b.yaml", &err), AG_ERR_INPUT);
    assert_string_equal(err.message, "b.yaml:100001:1: 'key77777' is given twice (first at line 77778)");
    ag_str_clear(&text);
    ag_str_addc(&text, '[');
    for (int i = 0; i < 1000001; i++) ag_str_add(&text, "x,");
    ag_str_addc(&text, ']');
    assert_int_equal(ag_yaml_parse(&root, &arena, text.data, text.len, "b.yaml", &err), AG_ERR_INPUT);
    assert_says(err, "more than a million nodes");
    ag_str_free(&text);
    ag_arena_free(&arena);
}

static void test_null(void **state)
{
    (void)state;
    ag_yaml *root = parse("[~, null, NULL, \"\", '~', none, \"null\", [], {}]");
    assert_int_equal(root->count, 9);
    for (int i = 0; i < root->count; i++) assert_int_equal(ag_yaml_is_null(root->values[i]), i < 3);
    assert_true(ag_yaml_is_null(ag_yaml_get(parse("a:\nb: 1\n"), "a")));
    assert_false(ag_yaml_is_null(NULL));
}

static void test_typed(void **state)
{
    (void)state;
    ag_error err = {0};
    ag_yaml *root = parse("s: text\ni: -12\nq: \"5\"\nd: 1e-3\nt: Yes\nf: off\nn: null\nl: [1]\nh: 0x10\ne: "
                          "99999999999999999999\nw: 1.5\nv: .nan\n");
    const char *s = NULL;
    long i = 7;
    double d = 7;
    bool b = false;
#define NODE(key) ag_yaml_get(root, key), "b.yaml", "'" key "'"
    assert_ok(ag_yaml_string(NODE("s"), &s, &err));
    assert_string_equal(s, "text");
    assert_ok(ag_yaml_string(NODE("i"), &s, &err));
    assert_string_equal(s, "-12");
    assert_int_equal(ag_yaml_string(NODE("n"), &s, &err), AG_ERR_INPUT);
    assert_string_equal(err.message, "b.yaml:7:4: 'n' must be text");
    assert_int_equal(ag_yaml_string(NODE("l"), &s, &err), AG_ERR_INPUT);
    assert_int_equal(ag_yaml_string(NODE("none"), &s, &err), AG_ERR_INPUT);
    assert_string_equal(err.message, "b.yaml: 'none' is missing");

    assert_ok(ag_yaml_int(NODE("i"), -12, 12, &i, &err));
    assert_int_equal(i, -12);
    assert_int_equal(ag_yaml_int(NODE("i"), 0, 12, &i, &err), AG_ERR_INPUT);
    assert_string_equal(err.message, "b.yaml:2:4: 'i' must be a whole number from 0 to 12");
    assert_int_equal(ag_yaml_int(NODE("i"), 1, LONG_MAX, &i, &err), AG_ERR_INPUT);
    assert_string_equal(err.message, "b.yaml:2:4: 'i' must be a whole number of at least 1");
    static const char *const no_int[] = {"q", "d", "s", "n", "l", "h", "e", "w", "none"};
    for (size_t k = 0; k < sizeof no_int / sizeof *no_int; k++)
        assert_int_equal(ag_yaml_int(ag_yaml_get(root, no_int[k]), "b", "x", LONG_MIN, LONG_MAX, &i, &err),
                         AG_ERR_INPUT);
    assert_int_equal(i, -12);

    assert_ok(ag_yaml_double(NODE("d"), &d, &err));
    assert_true(d == 1e-3);
    assert_ok(ag_yaml_double(NODE("i"), &d, &err));
    assert_true(d == -12);
    static const char *const no_double[] = {"q", "s", "n", "l", "h", "t", "v", "none"};
    for (size_t k = 0; k < sizeof no_double / sizeof *no_double; k++)
        assert_int_equal(ag_yaml_double(ag_yaml_get(root, no_double[k]), "b", "x", &d, &err), AG_ERR_INPUT);
    assert_int_equal(ag_yaml_double(NODE("s"), &d, &err), AG_ERR_INPUT);
    assert_string_equal(err.message, "b.yaml:1:4: 's' must be a number");

    assert_ok(ag_yaml_bool(NODE("t"), &b, &err));
    assert_true(b);
    assert_ok(ag_yaml_bool(NODE("f"), &b, &err));
    assert_false(b);
    static const char *const no_bool[] = {"q", "s", "n", "l", "i", "none"};
    for (size_t k = 0; k < sizeof no_bool / sizeof *no_bool; k++)
        assert_int_equal(ag_yaml_bool(ag_yaml_get(root, no_bool[k]), "b", "x", &b, &err), AG_ERR_INPUT);
#undef NODE
}

static void test_known_keys(void **state)
{
    (void)state;
    static const char *const names[] = {"model", "seed", "learning_rate"};
    ag_error err = {0};
    assert_ok(ag_yaml_known_keys(parse("seed: 1\nmodel: x\n"), "b.yaml", names, 3, &err));
    assert_ok(ag_yaml_known_keys(parse(""), "b.yaml", names, 3, &err));
    assert_int_equal(ag_yaml_known_keys(parse("seed: 1\n\nlerning_rate: x\n"), "b.yaml", names, 3, &err),
                     AG_ERR_INPUT);
    assert_string_equal(err.message, "b.yaml:3:1: unknown key 'lerning_rate'; did you mean 'learning_rate'?");
    assert_int_equal(ag_yaml_known_keys(parse("colour: 1\n"), "b.yaml", names, 3, &err), AG_ERR_INPUT);
    assert_string_equal(err.message, "b.yaml:1:1: unknown key 'colour'");
    assert_int_equal(ag_yaml_known_keys(parse("- a\n"), "b.yaml", names, 3, &err), AG_ERR_INPUT);
}

/* What is quoted reads back as the same text, as a string, alone, in lists and maps, as value and as key. */
static void check_quote(const char *text)
{
    ag_str q = {0}, all = {0};
    ag_yaml_quote(&q, text);
    ag_str_addf(&all, "- %s\n- [%s, %s]\n- {%s: %s}\n- k: %s\n", q.data, q.data, q.data, q.data, q.data,
                q.data);
    ag_yaml *root = parse(ag_str_text(&all));
    const ag_yaml *inner = root->values[2];
    if (strcmp(root->values[0]->text, text) != 0 || strcmp(root->values[1]->values[1]->text, text) != 0 ||
        strcmp(inner->keys[0]->text, text) != 0 || strcmp(inner->values[0]->text, text) != 0 ||
        strcmp(root->values[3]->values[0]->text, text) != 0)
        fail_msg("'%s' was written as %s", text, q.data);
    bool b;
    double d;
    const ag_yaml *node = root->values[0];
    assert_false(ag_yaml_is_null(node));
    assert_int_equal(ag_yaml_bool(node, "", "", &b, NULL), AG_ERR_INPUT);
    assert_int_equal(ag_yaml_double(node, "", "", &d, NULL), AG_ERR_INPUT);
    ag_str_free(&q);
    ag_str_free(&all);
}

static void test_quote(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "plain",
                                        "two words",
                                        " edge",
                                        "edge ",
                                        "null",
                                        "~",
                                        "true",
                                        "No",
                                        "12",
                                        "1e3",
                                        "a: b",
                                        "a #b",
                                        "#a",
                                        "- a",
                                        "-",
                                        "?",
                                        "? a",
                                        "{a}",
                                        "[a]",
                                        "a, b",
                                        "*a",
                                        "&a",
                                        "!a",
                                        "|",
                                        ">",
                                        "@a",
                                        "`a",
                                        "%a",
                                        "\"q\"",
                                        "it's",
                                        "a\\b",
                                        "a\nb\n",
                                        "\ttab",
                                        "a\rb",
                                        "\x7f\x01",
                                        "---",
                                        "...",
                                        "a:",
                                        "http://x/y?z=1",
                                        "/a/b.c",
                                        "Y",
                                        "=",
                                        "\xC2\x85",
                                        "\xE2\x80\xA8",
                                        "\xEF\xBB\xBF",
                                        "h\xC3\xA9",
                                        "\xF0\x9F\x98\x80",
                                        "1:30",
                                        "0x1F",
                                        "2001-01-01",
                                        ".5"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) check_quote(texts[i]);
    for (uint32_t c = 1; c <= 0x10FFFF; c += c < 0x3100 || (c >= 0xD7F0 && c < 0x10010) ? 1 : 997) {
        char put[16] = "a";
        if (c >= 0xD800 && c <= 0xDFFF) continue;
        ag_utf8_put(c, put + 1);
        strcat(put, "b");
        check_quote(put);
        if (c % 1024 == 0) ag_arena_free(&arena);
    }
    ag_rng r = ag_rng_at(1, AG_RNG_TEST, 0, 0, 0, 0);
    for (int i = 0; i < 3000; i++) {
        static const char letters[] = "ab -:#,[]{}'\"\\\n\t|>&*!%@?0~.";
        char text[12] = "";
        for (uint32_t k = 0, n = ag_rng_below(&r, 11); k < n; k++)
            text[k] = letters[ag_rng_below(&r, sizeof letters - 1)];
        check_quote(text);
    }
    ag_str s = {0};
    ag_yaml_quote(&s, "a\xFF"); /* a wrong byte is written as U+FFFD, so that the file can be read */
    assert_string_equal(parse(ag_str_text(&s))->text, "a\xEF\xBF\xBD");
    ag_str_clear(&s);
    ag_yaml_quote(&s, "general-4tier");
    assert_string_equal(s.data, "general-4tier"); /* no quotes where none are needed */
    ag_str_free(&s);
}

/* Any bytes are either read or refused with a place; never a crash. A smaller sister of the fuzz program. */
static void test_random_bytes(void **state)
{
    (void)state;
    static const char seed_text[] =
        "a: [1, {b: \"x\\u00e9\", c: 'd'}]\ntext: |\n  two\n  lines\n- x\n? k\n: v\n";
    ag_rng r = ag_rng_at(2, AG_RNG_TEST, 0, 0, 0, 0);
    for (int i = 0; i < 5000; i++) {
        char text[sizeof seed_text];
        size_t n = sizeof seed_text - 1;
        ag_yaml *root;
        ag_error err = {0};
        memcpy(text, seed_text, sizeof text);
        for (uint32_t k = ag_rng_below(&r, 4); k < 6; k++) {
            size_t at = ag_rng_below(&r, (uint32_t)n);
            text[at] = ag_rng_below(&r, 2) ? seed_text[ag_rng_below(&r, (uint32_t)n)] : (char)ag_rng_u32(&r);
        }
        ag_status status = ag_yaml_parse(&root, &arena, text, n, "b.yaml", &err);
        assert_true(status == AG_OK ? root != NULL : status == AG_ERR_INPUT && root == NULL);
        if (status != AG_OK) assert_says(err, "b.yaml:");
        ag_arena_free(&arena);
    }
}

static const char book[] = "a: 1\nb: [x, y, {c: \"d\"}, []]\nc: {d: e, f: g, h: i}\nt: |\n  text\n"
                           "list: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]\n";

static ag_status parse_work(void *context, ag_error *err)
{
    ag_arena own = {.name = "test"};
    ag_yaml *root;
    (void)context;
    ag_status status = ag_yaml_parse(&root, &own, book, strlen(book), "b.yaml", err);
    assert_true((status == AG_OK) == (root != NULL));
    ag_arena_free(&own);
    return status;
}

static ag_status load_work(void *context, ag_error *err)
{
    ag_arena own = {.name = "test"};
    ag_yaml *root;
    ag_status status = ag_yaml_load(&root, &own, context, err);
    ag_arena_free(&own);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    char folder[64];
    ag_error err = {0};
    ag_yaml *root;
    char *path = ag_path_join(test_folder(folder), "x.yaml");
    put_file(path, book, strlen(book));
    sweep_memory(parse_work, NULL);
    sweep_memory(load_work, path);
    put_file(path, "a: 1\na: 2\n", 10);
    assert_int_equal(ag_yaml_load(&root, &arena, path, &err), AG_ERR_INPUT);
    assert_says(err, "x.yaml:2:1: 'a' is given twice");
    assert_ok(ag_dir_remove(folder, &err));
    assert_int_equal(ag_yaml_load(&root, &arena, path, &err), AG_ERR_IO);
    ag_free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(test_tree, teardown),
                                       cmocka_unit_test_teardown(test_empty, teardown),
                                       cmocka_unit_test_teardown(test_refusals, teardown),
                                       cmocka_unit_test_teardown(test_depth, teardown),
                                       cmocka_unit_test_teardown(test_size, teardown),
                                       cmocka_unit_test_teardown(test_null, teardown),
                                       cmocka_unit_test_teardown(test_typed, teardown),
                                       cmocka_unit_test_teardown(test_known_keys, teardown),
                                       cmocka_unit_test_teardown(test_quote, teardown),
                                       cmocka_unit_test_teardown(test_random_bytes, teardown),
                                       cmocka_unit_test_teardown(test_memory, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
