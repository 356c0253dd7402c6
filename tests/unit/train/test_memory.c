/* test_memory.c: what a run remembers of prompts: levels rise and decay, streaks end, what is saved comes back, and the list of
 * pairs for people (METHOD.md section 14, test 9; sections 7 and 8).
 */
#include "unit/base/test_help.h"

#include <math.h>

#include "train/memory.h"

enum { TIERS = 4 };
static const double none[TIERS];

#define SHOP_BOOK AGRL_SOURCE_DIR "/rules/shop.yaml"

static ag_pair *pair_of(const ag_book *book, const char *id)
{
    char line[600];
    ag_pair *pair = NULL;
    ag_error err = {0};
    snprintf(
        line, sizeof line,
        "{\"id\": \"%s\", \"query\": \"red boots\", \"item\": {\"title\": \"boots\"}, \"asked\": [{\"name\": "
        "\"colour\", \"value\": \"red\"}], \"gold\": {\"tier\": \"3\", \"rule\": \"R7\", \"verdicts\": "
        "{\"cat\": "
        "\"SAME\", \"attr\": {\"colour\": \"CONFLICT\"}}}}",
        id);
    if (ag_pair_parse(&pair, line, strlen(line), "t", 1, book, AG_AGGREGATE_GIVEN, &err) != AG_OK)
        fail_msg("%s", err.message);
    return pair;
}

static void test_levels(void **state)
{
    (void)state;
    ag_memory m = {0};
    assert_int_equal(ag_memory_create(&m, 2, TIERS, NULL), AG_OK);
    ag_prompt_memory *p = &m.items[0];
    assert_int_equal(p->level, 1);
    ag_memory_visit(&m, 0, 0, none);
    assert_true(p->success == 0 && p->visits == 1);
    p->level = 4; /* as replay leaves it */
    p->unsolved = 2;
    ag_memory_visit(&m, 0, 0, none);
    assert_true(p->level == 4 && p->unsolved == 2);
    ag_memory_visit(&m, 0, 1, none); /* 0.3: not yet above 0.35; but no longer a streak of failures */
    assert_true(fabs(p->success - 0.3) < 1e-12 && p->level == 4 && p->unsolved == 0);
    ag_memory_visit(&m, 0, 0.5, none); /* 0.36 */
    assert_true(fabs(p->success - 0.36) < 1e-12 && p->level == 3);
    for (int i = 0; i < 5; i++) ag_memory_visit(&m, 0, 1, none);
    assert_int_equal(p->level, 1); /* and never below */
    for (int i = 0; i < 40; i++) ag_memory_visit(&m, 0, 0, none);
    assert_true(p->success < 1e-6 && p->level == 1);
    ag_memory_free(&m);
}

/* Draws come as often as their weights say; what has none never comes. */
static void test_draws(void **state)
{
    enum { POOL = 6, DRAWS = 60000 };
    (void)state;
    ag_memory m = {0};
    int count[POOL] = {0}, in_turn = 0;
    assert_int_equal(ag_memory_create(&m, POOL, TIERS, NULL), AG_OK);
    for (int i = 0; i < 8; i++) {
        ag_memory_visit(&m, 0, 1, none);     /* surely right */
        ag_memory_visit(&m, 1, 0.5, none);   /* p = 1/2 */
        ag_memory_visit(&m, 2, 0.125, none); /* p = 1/8 */
        ag_memory_visit(&m, 3, 0, none);     /* never right */
        ag_memory_visit(&m, 4, 0, none);
    } /* the last one was not seen */
    const double open[POOL] = {0, 0.25, 7.0 / 64, 0, 0, 0.25};
    double total = 0;
    for (int i = 0; i < POOL; i++) {
        assert_true(fabs(ag_memory_uncertainty(&m.items[i]) - open[i]) < 1e-12);
        total += open[i];
    }
    ag_rng rng = ag_rng_at(1, AG_RNG_TEST, 0, 0, 0, 0);
    for (int i = 0; i < DRAWS; i++) {
        size_t at = POOL;
        if (ag_memory_draw(&m, 0.5, 0.2, &rng, &at))
            count[at]++;
        else
            in_turn += at == POOL;
    }
    assert_true(fabs(in_turn / (double)DRAWS - 0.3) < 0.01);
    for (int i = 0; i < POOL; i++) {
        double share = 0.5 * open[i] / total + (i == 3 || i == 4 ? 0.1 : 0);
        assert_true(fabs(count[i] / (double)DRAWS - share) < 0.01);
        assert_true(share > 0 || count[i] == 0);
    }
    for (int i = 1; i < POOL; i++)
        for (int k = 0; k < 40; k++) ag_memory_visit(&m, i, 1, none);
    size_t at = POOL;
    for (int i = 0; i < 1000; i++) assert_false(ag_memory_draw(&m, 0, 1, &rng, &at)); /* none is unsolved */
    assert_int_equal(at, POOL);
    ag_memory_free(&m);
}

/* By hand: moving means of a visit each (0.7 of what was, 0.3 of what is), over the weight of the visits so far. */
static void test_dispute(void **state)
{
    (void)state;
    ag_memory m = {0};
    ag_gold gold = {.tier = 0};
    double agree, shares[TIERS] = {0.25, 0, 0.5, 0.25}, level[TIERS] = {0.4, 0, 0.4, 0.2};
    assert_int_equal(ag_memory_create(&m, 3, TIERS, NULL), AG_OK);
    assert_int_equal(ag_memory_dispute(&m, 0, &gold, &agree), -1); /* not seen yet */
    ag_memory_visit(&m, 0, 0, (double[TIERS]){0, 0.25, 0.75, 0});
    assert_int_equal(ag_memory_dispute(&m, 0, &gold, &agree), 2);
    assert_true(fabs(agree - 0.75) < 1e-12);
    gold.tier = 2;
    assert_int_equal(ag_memory_dispute(&m, 0, &gold, &agree), -1);
    gold.soft = shares; /* of raters' shares, the tier of most of them */
    assert_int_equal(ag_memory_dispute(&m, 0, &gold, &agree), -1);
    shares[3] = 0.6;
    assert_int_equal(ag_memory_dispute(&m, 0, &gold, &agree), 2);
    gold.soft = level; /* as many say one as the other */
    assert_int_equal(ag_memory_dispute(&m, 0, &gold, &agree), -1);
    gold = (ag_gold){.tier = 3};
    ag_memory_visit(&m, 0, 0, (double[TIERS]){1, 0, 0, 0}); /* 0.3 / 0.51 against 0.1575 / 0.51 */
    assert_int_equal(ag_memory_dispute(&m, 0, &gold, &agree), 0);
    assert_true(fabs(agree - 0.3 / 0.51) < 1e-12);
    ag_memory_visit(&m, 1, 0, (double[TIERS]){0.5, 0, 0, 0.5}); /* half is not most */
    assert_int_equal(ag_memory_dispute(&m, 1, &gold, &agree), -1);
    ag_memory_free(&m);
}

static void test_saved(void **state)
{
    (void)state;
    ag_error err = {0};
    ag_memory m = {0}, n = {0};
    char name[64], *dir = test_folder(name);
    ag_book *book = NULL;
    assert_int_equal(ag_book_load(&book, SHOP_BOOK, NULL), AG_OK);
    ag_pair *items[] = {pair_of(book, "a"), pair_of(book, "b"), pair_of(book, "c"), pair_of(book, "d"),
                        pair_of(book, "e")};
    ag_pair_list pool = {items, 5, 5}, other = {items + 1, 4, 4};
    assert_int_equal(ag_memory_create(&m, 5, TIERS, NULL), AG_OK);
    ag_memory_visit(&m, 1, 1.0 / 3, (double[TIERS]){1.0 / 3, 0, 0.1, 0});
    ag_memory_visit(&m, 3, 0, none);
    m.items[3].level = 5;
    m.items[3].unsolved = 7;
    m.items[3].answer = ag_strdup("2\ncat=SAME\nattr=-\nrule=R4");
    assert_int_equal(ag_memory_save(&m, &pool, dir, &err), AG_OK);
    assert_int_equal(ag_memory_create(&n, 5, TIERS, NULL), AG_OK);
    if (ag_memory_load(&n, &pool, dir, &err) != AG_OK) fail_msg("%s", err.message);
    for (int i = 0; i < 5; i++) {
        const ag_prompt_memory *a = &m.items[i], *b = &n.items[i];
        assert_true(a->success == b->success && a->visits == b->visits && a->unsolved == b->unsolved &&
                    a->level == b->level);
        assert_memory_equal(a->said, b->said, TIERS * sizeof *a->said);
        assert_true((a->answer == NULL) == (b->answer == NULL));
        if (a->answer) assert_string_equal(a->answer, b->answer);
    }
    ag_memory_free(&n);
    assert_int_equal(ag_memory_create(&n, 4, TIERS, NULL), AG_OK); /* another pool */
    assert_int_equal(ag_memory_load(&n, &other, dir, &err), AG_ERR_INPUT);
    assert_non_null(strstr(err.message, "'b' is not pair 1 of the pool"));
    ag_memory_free(&n);
    assert_int_equal(ag_dir_remove(dir, NULL), AG_OK);
    assert_int_equal(ag_memory_create(&n, 5, TIERS, NULL),
                     AG_OK); /* a checkpoint of a run that sampled nothing */
    assert_int_equal(ag_memory_load(&n, &pool, dir, &err), AG_OK);
    assert_true(n.items[3].visits == 0);
    ag_memory_free(&n);
    ag_memory_free(&m);
    for (int i = 0; i < 5; i++) ag_pair_free(items[i]);
    ag_book_free(book);
}

/* Unsolved ones first, the most often failed before the others; then the disputed ones, the most agreed first; nobody else. */
static void test_unsolved(void **state)
{
    enum { PAIRS = 6 };
    (void)state;
    static const char *const ids[PAIRS] = {"a", "b", "c", "d", "e", "f"}, order[] = "cafd";
    static const double says[PAIRS][TIERS] = {
        {0}, {0, 1, 0, 0}, {1, 0, 0, 0}, {0.625, 0, 0, 0}, {0.5, 0.5, 0, 0}, {0.125, 0, 0.875, 0}};
    ag_error err = {0};
    ag_book *book = NULL;
    assert_int_equal(ag_book_load(&book, SHOP_BOOK, NULL), AG_OK);
    ag_pair *items[PAIRS];
    for (int i = 0; i < PAIRS; i++) items[i] = pair_of(book, ids[i]);
    ag_pair_list pool = {items, PAIRS, PAIRS};
    ag_memory m = {0};
    char name[64], *dir = test_folder(name), *path = ag_path_join(dir, "unsolved.jsonl"), *text = NULL;
    size_t len;
    assert_int_equal(ag_memory_create(&m, PAIRS, TIERS, NULL), AG_OK);
    assert_int_equal(items[0]->gold.tier, 1); /* "3" */
    for (int i = 0; i < PAIRS; i++) ag_memory_visit(&m, (size_t)i, 0, says[i]);
    m.items[0].unsolved = 1;
    m.items[2].unsolved = 3;
    m.items[5].level = 5;
    m.items[2].answer = ag_strdup("4\ncat=SAME\nattr=colour:MATCH\nrule=R0\nwhy=it is so");
    assert_int_equal(ag_memory_write_unsolved(&m, book, &pool, dir, &err), AG_OK);
    assert_int_equal(ag_file_read(path, 0, &text, &len, &err), AG_OK);
    char *place, *lines[PAIRS + 1];
    size_t n = 0;
    for (char *l = strtok_r(text, "\n", &place); l && n <= PAIRS; l = strtok_r(NULL, "\n", &place))
        lines[n++] = l;
    assert_int_equal(n, sizeof order - 1);
    for (size_t i = 0; i < n; i++) {
        const char id[] = {'"', 'i', 'd', '"', ':', '"', order[i], '"', 0};
        if (!strstr(lines[i], id)) fail_msg("%s is not in line %zu: %s", id, i + 1, lines[i]);
    }
    assert_non_null(strstr(lines[0], "\"unsolved\":3"));
    assert_non_null(strstr(lines[0], "\"says\":{\"tier\":\"4\""));
    assert_non_null(strstr(lines[0], "\"gold\":{\"tier\":\"3\"")); /* beside the label */
    assert_non_null(strstr(lines[0], "\"disputed\":\"4\",\"agree\":1.0"));
    assert_null(strstr(lines[1], "\"disputed\""));
    assert_non_null(strstr(lines[2], "\"replay\":{\"unsolved\":0,\"visits\":1,\"success\":0.0,\"level\":5,"
                                     "\"disputed\":\"2\",\"agree\":0.875"));
    assert_non_null(strstr(lines[3], "\"disputed\":\"4\",\"agree\":0.625"));
    ag_free(text);
    ag_free(path);
    for (int i = 0; i < PAIRS; i++) ag_pair_free(items[i]);
    ag_memory_free(&m);
    ag_book_free(book);
    assert_int_equal(ag_dir_remove(dir, NULL), AG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_levels), cmocka_unit_test(test_draws),
                                       cmocka_unit_test(test_dispute), cmocka_unit_test(test_saved),
                                       cmocka_unit_test(test_unsolved)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
