/* The growing string, UTF-8, the normal form, nearest names, numbers. */
#include "unit/base/test_help.h"

#include <locale.h>

#include "base/str.h"

static void test_appending(void **state)
{
    (void)state;
    ag_error err = {0};
    ag_str s = {0};
    assert_string_equal(ag_str_text(&s), "");
    ag_str_addn(&s, NULL, 0);
    ag_str_add(&s, "ab");
    ag_str_addc(&s, 'c');
    ag_str_addn(&s, "d\0e", 3);
    assert_int_equal(s.len, 6);
    assert_memory_equal(s.data, "abcd\0e", 7);
    ag_str_clear(&s);
    assert_string_equal(ag_str_text(&s), "");
    for (int i = 0; i < 300; i++) ag_str_addf(&s, "%d,%s;", i, "xyz");
    assert_ok(ag_str_ok(&s, &err));
    assert_int_equal(s.len, strlen(s.data));
    assert_int_equal(strncmp(s.data + s.len - 8, "299,xyz;", 8), 0);
    ag_str_addf(&s, "%1000d", 5); /* longer than any room that is there */
    assert_int_equal(s.data[s.len - 1], '5');
    char *text = ag_str_take(&s);
    assert_null(s.data);
    assert_non_null(text);
    ag_free(text);
    text = ag_str_take(&s);
    assert_string_equal(text, "");
    ag_free(text);
}

static void test_failure_sticks(void **state)
{
    (void)state;
    ag_error err = {0};
    ag_str s = {0};
    ag_str_add(&s, "kept");
    ag_mem_fail_at(1, false);
    ag_str_addf(&s, "%500d", 1);
    ag_mem_fail_at(0, false);
    assert_true(s.failed);
    ag_str_add(&s, "x");
    assert_string_equal(ag_str_text(&s), "kept");
    assert_int_equal(ag_str_ok(&s, &err), AG_ERR_MEMORY);
    assert_null(ag_str_take(&s));
    assert_false(s.failed);
}

static void test_utf8_every_character(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        char put[4];
        size_t at = 0;
        int n = ag_utf8_put(c, put);
        bool surrogate = c >= 0xD800 && c <= 0xDFFF;
        if (!ag_utf8_valid(put, (size_t)n, NULL)) fail_msg("U+%04X", c);
        if (ag_utf8_next(put, (size_t)n, &at) != (surrogate ? 0xFFFD : c) || at != (size_t)n)
            fail_msg("U+%04X", c);
    }
    char put[4];
    assert_int_equal(ag_utf8_put(0x110000, put), 3); /* U+FFFD */
}

static void test_utf8_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n, bad, count;
    } wrong[] = {
        {"a\x80", 2, 1, 2},            /* stray */
        {"\xC3", 1, 0, 1},             /* cut */
        {"ab\xE2\x82", 4, 2, 4},       /* cut */
        {"\xC0\x80", 2, 0, 2},         /* overlong */
        {"\xC1\xBF", 2, 0, 2},         /* overlong */
        {"\xE0\x9F\xBF", 3, 0, 3},     /* overlong */
        {"\xF0\x8F\xBF\xBF", 4, 0, 4}, /* overlong */
        {"\xED\xA0\x80", 3, 0, 3},     /* surrogate */
        {"\xF4\x90\x80\x80", 4, 0, 4}, /* past U+10FFFF */
        {"\xF5\x80\x80\x80", 4, 0, 4}, /* past U+10FFFF */
        {"\xFE\xFF", 2, 0, 2},         /* never */
        {"\xE2\x28\xA1", 3, 0, 3},     /* wrong second */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        size_t bad = 99;
        assert_false(ag_utf8_valid(wrong[i].bytes, wrong[i].n, &bad));
        assert_int_equal(bad, wrong[i].bad);
        assert_int_equal(ag_utf8_count(wrong[i].bytes, wrong[i].n), wrong[i].count);
        size_t at = bad;
        assert_int_equal(ag_utf8_next(wrong[i].bytes, wrong[i].n, &at), 0xFFFD);
        assert_int_equal(at, bad + 1);
    }
    assert_true(ag_utf8_valid("", 0, NULL));
    assert_int_equal(ag_utf8_count("h\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 10), 4);
}

static void check_fold(const char *text, const char *folded)
{
    ag_str s = {0};
    ag_error err = {0};
    assert_ok(ag_text_fold(&s, text, strlen(text), &err));
    assert_string_equal(ag_str_text(&s), folded);
    ag_str_free(&s);
}

static void test_fold(void **state)
{
    (void)state;
    check_fold("", "");
    check_fold(" \t\r\n ", "");
    check_fold("  Red   Leather\tBOOTS \n", "red leather boots");
    check_fold("\xEF\xBC\xB2"
               "ed\xE3\x80\x80SHOES",
               "red shoes"); /* full width, ideographic space */
    check_fold("Stra\xC3\x9F"
               "e",
               "strasse");                     /* sharp s */
    check_fold("\xEF\xAC\x81ne", "fine");      /* the ligature fi */
    check_fold("Cafe\xCC\x81", "caf\xC3\xA9"); /* composed */
    check_fold("500\xC2\xA0ml", "500 ml");     /* no-break space */
    check_fold("\xCE\xA3\xCE\x8A\xCE\xA3\xCE\xA5\xCE\xA6\xCE\x9F\xCE\xA3",
               "\xCF\x83\xCE\xAF\xCF\x83\xCF\x85\xCF\x86\xCE\xBF\xCF\x83"); /* final sigma is folded too */
    check_fold("A\xFF"
               "B",
               "a\xEF\xBF\xBD"
               "b");
    check_fold("\xE8\x93\x9D\xE8\x89\xB2 \xEF\xBC\x91", "\xE8\x93\x9D\xE8\x89\xB2 1");
    check_fold("10 m\xC2\xB2", "10 m2");
    ag_str s = {0};
    ag_str_add(&s, "kept ");
    assert_ok(ag_text_fold(&s, " X", 2, NULL)); /* appends; its own ends are trimmed */
    assert_string_equal(s.data, "kept x");
    ag_str_free(&s);
}

/* Folding what is folded changes nothing, for every character, alone and between letters. */
static void test_fold_twice(void **state)
{
    (void)state;
    ag_str once = {0}, twice = {0};
    for (uint32_t c = 1; c <= 0x10FFFF; c++) {
        char text[8] = "a";
        size_t n = 1 + (size_t)ag_utf8_put(c, text + 1);
        text[n++] = 'b';
        ag_str_clear(&once);
        ag_str_clear(&twice);
        assert_ok(ag_text_fold(&once, text, n, NULL));
        assert_ok(ag_text_fold(&twice, once.data, once.len, NULL));
        if (!ag_streq(once.data, twice.data)) fail_msg("U+%04X: '%s' '%s'", c, once.data, twice.data);
    }
    ag_str_free(&once);
    ag_str_free(&twice);
}

static ag_status fold_work(void *context, ag_error *err)
{
    const char *text = context;
    ag_str s = {0};
    ag_status status = ag_text_fold(&s, text, strlen(text), err);
    ag_str_free(&s);
    return status;
}

static void test_fold_memory(void **state)
{
    (void)state;
    char plain[] = "Just ASCII", wide[] = "Caf\xC3\xA9 and more", wrong[] = "Caf\xC3 and more";
    sweep_memory(fold_work, plain);
    sweep_memory(fold_work, wide);
    sweep_memory(fold_work, wrong);
}

static void test_nearest(void **state)
{
    (void)state;
    assert_int_equal(ag_edit_distance("", ""), 0);
    assert_int_equal(ag_edit_distance("", "abc"), 3);
    assert_int_equal(ag_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(ag_edit_distance("flaw", "lawn"), 2);
    char x[301], y[301];
    memset(x, 'x', 300);
    memset(y, 'y', 300);
    x[300] = y[300] = '\0';
    assert_int_equal(ag_edit_distance(x, y), 300);
    y[0] = 'x';
    assert_int_equal(ag_edit_distance(x, y), 299);

    static const char *const names[] = {"model", "mode", "learning_rate", "seed", "id"};
    assert_string_equal(ag_nearest("modell", names, 5), "model");
    assert_string_equal(ag_nearest("mode", names, 5), "mode");
    assert_string_equal(ag_nearest("learnin_rat", names, 5), "learning_rate");
    assert_string_equal(ag_nearest("lerning-rate", names, 5), "learning_rate");
    assert_null(ag_nearest("colour", names, 5));
    assert_null(ag_nearest("xy", names, 5)); /* two edits would change all of it */
    assert_null(ag_nearest("x", NULL, 0));
    assert_null(ag_nearest(x, names, 5));
    assert_string_equal(ag_suggest("modell", names, 5).text, "; did you mean 'model'?");
    assert_string_equal(ag_suggest("colour", names, 5).text, "");
    assert_string_equal(ag_suggest(NULL, names, 5).text, "");
    assert_string_equal(ag_suggest("x", NULL, 0).text, "");
    memset(x, 'a',
           sizeof x - 1); /* a long name is cut between characters: byte 200 is in the middle of one */
    x[sizeof x - 1] = '\0';
    memcpy(x + 199, "\xC3\xA9", 2);
    const char *const one[] = {x};
    ag_suggestion cut = ag_suggest(x, one, 1);
    assert_int_equal(strlen(cut.text), strlen("; did you mean ''?") + 199);
    assert_true(ag_utf8_valid(cut.text, strlen(cut.text), NULL));
    assert_string_equal(cut.text + strlen(cut.text) - 3, "a'?");
    assert_true(ag_streq(NULL, NULL) && ag_streq("a", "a"));
    assert_false(ag_streq(NULL, "") || ag_streq("", NULL) || ag_streq("a", "b"));
}

static void test_numbers(void **state)
{
    (void)state;
    static const char *const good[] = {"0", "-1", "+2.5", ".5", "5.", "1e3", "1E-3"};
    static const double values[] = {0, -1, 2.5, 0.5, 5, 1000, 0.001};
    static const char *const bad[] = {"",    " 1",  "1 ", "0x10", "inf", "nan",  "1e999",
                                      "1,5", "--1", "e",  ".",    "1e",  "1.2.3"};
    for (int turn = 0; turn < 2; turn++) {
        double x = 7;
        for (size_t i = 0; i < 7; i++) {
            assert_true(ag_number_parse(good[i], &x));
            assert_true(x == values[i]);
        }
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            x = 7;
            if (ag_number_parse(bad[i], &x)) fail_msg("'%s'", bad[i]);
            assert_true(x == 7);
        }
        /* Again where the point is a comma, if there is such a locale here. */
        if (!setlocale(LC_NUMERIC, "de_DE.UTF-8")) break;
    }
    setlocale(LC_NUMERIC, "C");
}

/* At every width: the words in their order, lines that begin at the indent and are no wider than a word makes them, and none that would
 * have had room for the next word. */
static void test_wrapped(void **state)
{
    (void)state;
    static const char text[] = "red  boots from Mönchengladbach,\nnot of suede";
    for (int width = 4; width < 50; width++) {
        ag_str s = {0};
        char copy[400], *words[8], *got[8], *place, plain[] = "red boots from Mönchengladbach, not of suede";
        int n = 0, m = 0;
        ag_str_add_wrapped(&s, text, 3, width);
        assert_true(s.len < sizeof copy && s.data[s.len - 1] == '\n' && s.data[0] != ' ');
        memcpy(copy, s.data, s.len + 1);
        for (char *w = strtok_r(plain, " ", &place); w; w = strtok_r(NULL, " ", &place)) words[n++] = w;
        for (char *w = strtok_r(copy, " \n", &place); w && m < 8; w = strtok_r(NULL, " \n", &place))
            got[m++] = w;
        assert_int_equal(m, n);
        for (int i = 0; i < n; i++) assert_string_equal(got[i], words[i]);
        for (const char *line = s.data; *line; line += strcspn(line, "\n") + 1) {
            size_t len = strcspn(line, "\n"), indent = line == s.data ? 0 : 3;
            int wide = (int)ag_utf8_count(line, len) + (line == s.data ? 3 : 0);
            assert_true(strspn(line, " ") == indent);
            assert_true(wide <= width || !memchr(line + indent, ' ', len - indent));
            const char *next = line + len + 1 + strspn(line + len + 1, " ");
            bool kept = line + len > s.data && line[len - 1] == ','; /* the text's own end of a line */
            if (*next && !kept)
                assert_true(wide + 1 + (int)ag_utf8_count(next, strcspn(next, " \n")) > width);
        }
        ag_str_free(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appending),  cmocka_unit_test(test_failure_sticks),
        cmocka_unit_test(test_wrapped),    cmocka_unit_test(test_utf8_every_character),
        cmocka_unit_test(test_utf8_wrong), cmocka_unit_test(test_fold),
        cmocka_unit_test(test_fold_twice), cmocka_unit_test(test_fold_memory),
        cmocka_unit_test(test_nearest),    cmocka_unit_test(test_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
