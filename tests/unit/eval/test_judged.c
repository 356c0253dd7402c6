/* test_judged.c: judgements read back: in the order of the pairs, whatever theirs is, and with every allocation failing in turn.
 * What is refused is in tests/e2e/test_judge.sh and test_export.sh.
 */
#include "unit/data/data_help.h"

#include "eval/judged.h"

typedef struct fixture {
    ag_book *book;
    ag_pair_list pairs;
    char path[160];
} fixture;

static ag_status load(void *context, ag_error *err)
{
    const fixture *f = context;
    ag_judgement *judged;
    ag_status status = ag_judged_load(&judged, &f->pairs, f->book, f->path, err);
    if (status == AG_OK) {
        assert_int_equal(judged[0].tier, 2);
        assert_int_equal(judged[1].tier, 0);
        assert_true(judged[1].gain == 5); /* 0.5 * 7 + 0.5 * 3; the better of equal tiers */
    } else
        assert_null(judged);
    ag_judgements_free(judged, judged ? f->pairs.count : 0);
    return status;
}

static void test_order(void **state)
{
    (void)state;
    static const char text[] =
        "{\"id\": \"b\", \"probabilities\": {\"4\": 0.5, \"3\": 0.5, \"2\": 0, \"1\": 0}}\n"
        "{\"id\": \"other\"}\n"
        "{\"id\": \"a\", \"probabilities\": {\"4\": 0, \"3\": 0, \"2\": 1, \"1\": 0}}\n";
    char folder[64];
    fixture f = {.book = test_book()};
    ag_pair *items[] = {pair_of("{\"id\": \"a\", \"query\": \"x\", \"item\": {\"title\": \"y\"}}", f.book,
                                AG_AGGREGATE_GIVEN),
                        pair_of("{\"id\": \"b\", \"query\": \"x\", \"item\": {\"title\": \"z\"}}", f.book,
                                AG_AGGREGATE_GIVEN)};
    f.pairs = (ag_pair_list){items, 2, 2};
    put_text(test_folder(folder), "judged", text, f.path);
    assert_ok(load(&f, NULL));
    sweep_memory(load, &f);
    ag_pair_free(items[0]);
    ag_pair_free(items[1]);
    ag_book_free(f.book);
    assert_ok(ag_dir_remove(folder, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
