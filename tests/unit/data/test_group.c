/* test_group.c: which queries count as the same, and that splits never part them. */
#include "data_help.h"

#include "data/group.h"
#include "data/split.h"

static void test_stems(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"boots", "boot"},         {"boxes", "box"},   {"box", "box"},
        {"dresses", "dress"},      {"dress", "dress"}, {"berries", "berri"},
        {"berry", "berri"},        {"ties", "tie"},    {"tie", "tie"},
        {"running", "run"},        {"runs", "run"},    {"hoping", "hope"},
        {"hopes", "hope"},         {"hopping", "hop"}, {"sized", "size"},
        {"size", "size"},          {"tables", "tabl"}, {"table", "tabl"},
        {"shoes", "shoe"},         {"shoe", "shoe"},   {"agreed", "agre"},
        {"feed", "feed"},          {"sing", "sing"},   {"red", "red"},
        {"ring", "ring"},          {"virus", "virus"}, {"toy", "toi"},
        {"toys", "toi"},           {"sky", "sky"},     {"falling", "fall"},
        {"plated", "plate"},       {"gas", "ga"},      {"is", "is"},
        {"general", "general"},    {"été", "été"},     {"mp3s", "mp3s"},
        {"controlled", "control"}, {"cables", "cabl"}, {"cable", "cabl"},
        {"wireless", "wireless"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char word[32];
        strcpy(word, cases[i][0]);
        word[ag_stem(word, strlen(word))] = '\0';
        assert_string_equal(word, cases[i][1]);
    }
    ag_rng rng = ag_rng_at(1, AG_RNG_TEST, 0, 0, 0, 0);
    for (int i = 0; i < 200000; i++) { /* any letters: never longer, never empty */
        char word[12];
        size_t n = 1 + ag_rng_below(&rng, 10);
        for (size_t k = 0; k < n; k++) word[k] = "aeiouybdghlnrstz"[ag_rng_below(&rng, 16)];
        size_t stem = ag_stem(word, n);
        assert_true(stem >= 1 && stem <= n);
    }
}

/* Are two queries of a list (with a third that may join compounds) in one group? */
static bool together(const char *a, const char *b)
{
    const char *queries[] = {a, b};
    uint32_t group[2];
    assert_ok(ag_query_groups(queries, 2, group, NULL));
    assert_int_equal(group[0], 0);
    return group[1] == 0;
}

static void test_same(void **state)
{
    (void)state;
    static const char *const same[][2] = {
        {"red boots", "Boots, RED"},
        {"red boots", "red  boot"},
        {"note book", "notebook"},
        {"cheap note book", "notebook cheap"},
        {"tom tom", "TomTom"},
        {"table cloth", "tablecloths"},
        {"wi-fi router", "wifi routers"},
        {"men's shoes", "mens shoe"},
        {"café chairs", "cafe chair"},
        {"red red boots", "boots red"},
        {"1.5 mm", "1,5 mm"},
        {"ｉｐｈｏｎｅ", "iPhone"},
        {"手机 壳", "手机壳"},
        {"Straße", "STRASSE"},
        {"3.5mm", "3.5 mm"},
        {"???", "???"},
        {"hdmi-kabel 2 m", "HDMI kabel 2m"},
        {"", "  "},
    };
    static const char *const other[][2] = {
        {"red boots", "blue boots"},
        {"1.5 mm", "15 mm"},
        {"iphone 12", "iphone 21"},
        {"note", "notebook"},
        {"boots", "boots red"},
        {"???", "!!!"},
        {"general", "generate"},
        {"手机", "手表"},
        {"3.5 mm", "35 mm"},
        {"кот", "кит"},
        {"q", ""},
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (!together(same[i][0], same[i][1]) || !together(same[i][1], same[i][0]))
            fail_msg("'%s' and '%s' are apart", same[i][0], same[i][1]);
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (together(other[i][0], other[i][1]))
            fail_msg("'%s' and '%s' are together", other[i][0], other[i][1]);

    ag_str key = {0};
    assert_ok(ag_query_group(&key, "Red Boots, red", NULL));
    assert_string_equal(key.data, "bootred");
    ag_str_free(&key);

    /* A chain: the first and the last share no key. */
    const char *chain[] = {"note book", "books", "notebook", "book, note", "book"};
    uint32_t group[5];
    assert_ok(ag_query_groups(chain, 5, group, NULL));
    assert_int_equal(group[0], 0);
    assert_int_equal(group[2], 0);
    assert_int_equal(group[3], 0);
    assert_int_equal(group[1], 1);
    assert_int_equal(group[4], 1);
}

enum { N = 600 };

/* Random queries over few words, so that many groups have several members. */
static void make_queries(char text[N][64], const char *queries[N], uint32_t weight[N])
{
    static const char *const words[] = {"red", "boots", "boot", "note", "book",   "notebook",
                                        "usb", "cable", "tv",   "wall", "mounts", "mount",
                                        "4k",  "case",  "lamp", "cover"};
    ag_rng rng = ag_rng_at(9, AG_RNG_TEST, 0, 0, 0, 0);
    for (int i = 0; i < N; i++) {
        text[i][0] = '\0';
        for (uint32_t k = 1 + ag_rng_below(&rng, 3); k > 0; k--) {
            strcat(text[i], words[ag_rng_below(&rng, 16)]);
            if (k > 1) strcat(text[i], ag_rng_below(&rng, 4) ? " " : "-");
        }
        queries[i] = text[i];
        weight[i] = 1 + ag_rng_below(&rng, 9);
    }
}

static void test_groups_are_an_equivalence(void **state)
{
    (void)state;
    static char text[N][64];
    const char *queries[N], *shuffled[N];
    uint32_t weight[N], group[N], order[N], again[N];
    make_queries(text, queries, weight);
    assert_ok(ag_query_groups(queries, N, group, NULL));
    for (int i = 0; i < N; i++) {
        assert_true(group[i] <= (uint32_t)i);
        assert_int_equal(group[group[i]], group[i]);
        order[i] = (uint32_t)i;
    }
    ag_rng rng = ag_rng_at(2, AG_RNG_TEST, 0, 0, 0, 0);
    ag_rng_shuffle(&rng, order, N);
    for (int i = 0; i < N; i++) shuffled[i] = queries[order[i]];
    assert_ok(ag_query_groups(shuffled, N, again, NULL));
    for (int i = 0; i < N; i++) /* the same partition, whatever the order */
        for (int j = 0; j < i; j++)
            assert_int_equal(group[order[i]] == group[order[j]], again[i] == again[j]);
    /* Whoever shares a key is together. */
    for (int i = 0; i < N; i++)
        for (int j = 0; j < i; j++) {
            ag_str a = {0}, b = {0}, c = {0}, d = {0};
            assert_ok(ag_query_keys(&a, &c, queries[i], NULL));
            assert_ok(ag_query_keys(&b, &d, queries[j], NULL));
            if (ag_streq(ag_str_text(&a), ag_str_text(&b)) || ag_streq(ag_str_text(&c), ag_str_text(&d)))
                assert_int_equal(group[i], group[j]);
            ag_str_free(&a), ag_str_free(&b), ag_str_free(&c), ag_str_free(&d);
        }
}

static void test_split(void **state)
{
    (void)state;
    static char text[N][64];
    const char *queries[N], *shuffled[N];
    uint32_t weight[N], group[N], order[N], shuffled_weight[N];
    uint8_t part[N], again[N];
    ag_split split;
    size_t groups;
    make_queries(text, queries, weight);
    assert_ok(ag_query_groups(queries, N, group, NULL));
    assert_ok(ag_split_parse(&split, "train=0.7,valid=0.1,test=0.2", NULL));
    for (int stable = 0; stable < 2; stable++) {
        double total = 0, got[3] = {0}, largest = 0, of_group[N] = {0};
        assert_ok(ag_split_queries(&split, queries, weight, N, 1, stable, part, &groups, NULL));
        for (int i = 0; i < N; i++) {
            assert_int_equal(part[i], part[group[i]]); /* no group on two sides */
            got[part[i]] += weight[i];
            total += weight[i];
            of_group[group[i]] += weight[i];
            if (of_group[group[i]] > largest) largest = of_group[group[i]];
            order[i] = (uint32_t)i;
        }
        for (int p = 0; p < 3 && !stable; p++) {
            double off = got[p] - split.shares[p] * total;
            assert_true(off <= largest && off >= -largest);
        }
        ag_rng rng = ag_rng_at(4, AG_RNG_TEST, 0, 0, 0, 0);
        ag_rng_shuffle(&rng, order, N);
        for (int i = 0; i < N; i++) {
            shuffled[i] = queries[order[i]];
            shuffled_weight[i] = weight[order[i]];
        }
        assert_ok(ag_split_queries(&split, shuffled, shuffled_weight, N, 1, stable, again, NULL, NULL));
        for (int i = 0; i < N; i++) assert_int_equal(again[i], part[order[i]]);
        assert_ok(ag_split_queries(&split, queries, weight, N, 2, stable, again, NULL, NULL));
        assert_memory_not_equal(part, again, N); /* another seed, another split */
    }
    /* stable: half of the queries, the same parts, where their groups are the same. */
    const char *few[] = {"alpha one", "beta two", "gamma three", "delta four", "epsilon five", "zeta six"};
    uint8_t some[3], all[6];
    assert_ok(ag_split_queries(&split, few, NULL, 6, 3, true, all, NULL, NULL));
    assert_ok(ag_split_queries(&split, few, NULL, 3, 3, true, some, NULL, NULL));
    assert_memory_equal(some, all, 3);
}

static void test_folds(void **state)
{
    (void)state;
    int counts[5] = {0};
    ag_split folds;
    assert_ok(ag_split_folds(&folds, 5, NULL));
    assert_string_equal(folds.names[4], "fold5");
    for (int i = 0; i < 20000; i++) {
        char name[32];
        snprintf(name, sizeof name, "group %d", i);
        int fold = ag_query_fold(name, 7, 5);
        assert_in_range(fold, 0, 4);
        assert_int_equal(fold, ag_query_fold(name, 7, 5));
        counts[fold]++;
    }
    for (int f = 0; f < 5; f++) assert_in_range(counts[f], 3800, 4200);
    ag_error err = {0};
    assert_int_equal(ag_split_folds(&folds, 1, &err), AG_ERR_USAGE);
    assert_int_equal(ag_split_folds(&folds, 17, &err), AG_ERR_USAGE);
}

static void test_split_text(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "sum to 0"},
        {"train", "'train' is not NAME=SHARE"},
        {"train=x", "is not NAME=SHARE"},
        {"train=0.8", "sum to 0.8"},
        {"a=0.5,a=0.5", "names 'a' twice"},
        {"a=0.5,b=-0.5,c=1", "'b=-0.5' is not"},
        {"a/b=1", "is not NAME="},
        {"a=1,", NULL},
        {"a=0.5,,b=0.5", "'' is not NAME="},
        {"=1", "is not NAME="},
        {"a=2,b=-1", "'a=2' is not"},
        {"a=1e400", "is not"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ag_split split;
        ag_error err = {0};
        ag_status status = ag_split_parse(&split, cases[i].text, &err);
        assert_int_equal(status, cases[i].says ? AG_ERR_USAGE : AG_OK);
        if (cases[i].says) assert_says(err, cases[i].says);
    }
}

static ag_status sweep_one(void *context, ag_error *err)
{
    static const char *const queries[] = {"red boots", "note book", "notebook", "Boots rêd", "a", "b"};
    uint8_t part[6];
    return ag_split_queries(context, queries, NULL, 6, 1, false, part, NULL, err);
}

static void test_memory(void **state)
{
    (void)state;
    ag_split split;
    assert_ok(ag_split_parse(&split, "train=0.5,test=0.5", NULL));
    sweep_memory(sweep_one, &split);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stems),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_groups_are_an_equivalence),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_folds),
        cmocka_unit_test(test_split_text),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
