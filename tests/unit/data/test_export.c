/* test_export.c: the order of lists, names of queries, what is one word, and every allocation failing in turn.
 * What the lists say when they are read back is in tests/e2e/test_export.sh.
 */
#include "data_help.h"

#include <math.h>

#include "data/export.h"

static const char *const lines[] = {
    "{\"query\": \"none\", \"item\": {\"title\": \"not listed, and so needs no id\"}}",
    "{\"query\": \"b\", \"item\": {\"id\": \"2\", \"title\": \"x\"}}",
    "{\"query\": \"a, b\", \"item\": {\"id\": \"10\", \"title\": \"x\"}}",
    "{\"query\": \"b\", \"item\": {\"id\": \"10\", \"title\": \"x\"}}",
    "{\"query\": \"a, b\", \"query_id\": \"q1\", \"item\": {\"id\": \"2\", \"title\": \"x\"}}",
    "{\"query\": \"b\", \"item\": {\"id\": \"1\", \"title\": \"x\"}}",
};
enum { ROWS = sizeof lines / sizeof *lines };
static const double values[ROWS] = {NAN, 1, 2, 1, 0, 3};

typedef struct fixture {
    ag_pair *pairs[ROWS];
    const ag_export_format *format;
    char path[160];
} fixture;

static ag_status write_list(void *context, ag_error *err)
{
    const fixture *f = context;
    ag_export_row rows[ROWS] = {0};
    ag_export list = {.rows = rows, .count = ROWS, .tag = "t", .name = "n", .description = "d \"e\""};
    ag_out *out = NULL;
    for (int i = 0; i < ROWS; i++) rows[i] = (ag_export_row){.pair = f->pairs[i], .value = values[i]};
    ag_status status = ag_export_arrange(&list, f->format, err);
    if (status == AG_OK) status = ag_out_open(&out, f->path, err);
    if (status == AG_OK) status = ag_export_write(&list, f->format, out, err);
    if (status == AG_OK && f->format->flags & AG_EXPORT_TREC) ag_export_topics(&list, out);
    if (status == AG_OK)
        status = ag_out_commit(out, err);
    else
        ag_out_abort(out);
    ag_export_free(&list);
    return status;
}

static void test_lists(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
    } wanted[] = {
        {"qrels", "q3 0 2 1\nq3 0 10 1\nq3 0 1 3\nq1 0 10 2\nq1 0 2 0\nq3\tb\nq1\ta, b\n"},
        {"run", "q3 Q0 1 1 3 t\nq3 Q0 10 2 1 t\nq3 Q0 2 3 1 t\nq1 Q0 10 1 2 t\nq1 Q0 2 2 0 t\n"
                "q3\tb\nq1\ta, b\n"},
        {"quepid", "query,docid,rating\nb,2,1\nb,10,1\nb,1,3\n\"a, b\",10,2\n\"a, b\",2,0\n"},
        {"opensearch",
         "{\n\"name\": \"n\",\n\"description\": \"d \\\"e\\\"\",\n\"type\": \"IMPORT_JUDGMENT\",\n"
         "\"judgmentRatings\": [\n{\"query\": \"b\", \"ratings\": [\n"
         "{\"docId\": \"2\", \"rating\": \"1\"},\n{\"docId\": \"10\", \"rating\": \"1\"},\n"
         "{\"docId\": \"1\", \"rating\": \"3\"}\n]},\n{\"query\": \"a, b\", \"ratings\": [\n"
         "{\"docId\": \"10\", \"rating\": \"2\"},\n{\"docId\": \"2\", \"rating\": \"0\"}\n]}\n]\n}\n"},
    };
    char folder[64];
    fixture f;
    test_folder(folder);
    snprintf(f.path, sizeof f.path, "%s/list", folder);
    for (int i = 0; i < ROWS; i++) f.pairs[i] = pair_of(lines[i], NULL, AG_AGGREGATE_GIVEN);
    for (size_t w = 0; w < sizeof wanted / sizeof *wanted; w++) {
        char *text;
        size_t len;
        assert_ok(ag_export_find(&f.format, wanted[w].name, NULL));
        assert_ok(write_list(&f, NULL));
        assert_ok(ag_file_read(f.path, 0, &text, &len, NULL));
        assert_string_equal(text, wanted[w].text);
        ag_free(text);
        sweep_memory(write_list, &f);
    }
    for (int i = 0; i < ROWS; i++) ag_pair_free(f.pairs[i]);
    assert_ok(ag_dir_remove(folder, NULL));
}

static void test_words(void **state)
{
    (void)state;
    static const char *const words[] = {"a", "B07-1", "ü", "a\"b", "\xF0\x9F\x91\x9F", "a\xE2\x80\x8B"};
    static const char *const others[] = {"",          "a b",           "a\tb",         "a\n",      "\x7F",
                                         "a\xC2\xA0", "\xE3\x80\x80x", "\xE2\x80\xA8", "\xC2\x85", "\x1F"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) assert_true(ag_export_is_word(words[i]));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) assert_false(ag_export_is_word(others[i]));
}

static void test_grades(void **state)
{
    (void)state;
    ag_book *book = test_book();
    assert_int_equal(ag_export_grade(book, 0, false), 3);
    assert_int_equal(ag_export_grade(book, 0, true), 7);
    assert_int_equal(ag_export_grade(book, 3, false), 0);
    ag_book_free(book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lists), cmocka_unit_test(test_words),
                                       cmocka_unit_test(test_grades)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
