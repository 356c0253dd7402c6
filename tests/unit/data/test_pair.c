/* test_pair.c: the pair format: every part read, written back, refused; ratings; files of pairs; hostile
 * input. */
#include "data_help.h"

#include <zlib.h>

#include "base/digest.h"
#include "data/ratings.h"

static const char full[] =
    "{\"id\": \"q12-p7\", \"query\": \"red leather boots not suede\", \"type\": \"negation\", \"locale\": "
    "\"us\", \"mine\": [1, "
    "{\"x\": 2.50}], \"item\": {\"id\": \"p7\", \"title\": \"Boots\", \"brand\": \"Acme\", \"category\": "
    "\"boots\", \"price\": 49.9, "
    "\"description\": \"Nice.\", \"extra\": null, \"attributes\": {\"colour\": \"red\", \"size\": [41, 42.5, "
    "\"43\"], "
    "\"waterproof\": true, \"none\": null, \"empty\": \"\", \"no\": []}}, "
    "\"asked\": [{\"name\": \"colour\", \"op\": \"is\", \"value\": \"red\"}, {\"name\": \"colour\", \"op\": "
    "\"not\", \"value\": [\"blue\", "
    "7]}, {\"name\": \"brand\", \"value\": \"Acme\"}, {\"name\": \"price\", \"op\": \"at_most\", \"value\": "
    "50, \"importance\": \"core\", "
    "\"id\": \"budget\"}], \"gold\": {\"tier\": \"2\", \"verdicts\": {\"cat\": \"SAME\", \"attr\": "
    "{\"colour\": \"MATCH\", "
    "\"colour#2\": \"CONFLICT\"}}, \"rule\": \"R5\", \"why\": \"The item is blue.\", \"by\": \"x\"}, "
    "\"ratings\": [{\"by\": \"r1\", \"tier\": \"2\"}, {\"by\": \"r2\", \"tier\": 3}, {\"by\": \"r3\", "
    "\"tier\": null}, \"4\"]}";

static void test_every_part(void **state)
{
    (void)state;
    ag_book *book = test_book();
    ag_pair *p = pair_of(full, book, AG_AGGREGATE_GIVEN);
    assert_string_equal(p->id, "q12-p7");
    assert_string_equal(p->where, "file:7");
    assert_string_equal(p->query, "red leather boots not suede");
    assert_string_equal(p->locale, "us");
    assert_string_equal(p->item.id, "p7");
    assert_string_equal(p->item.title, "Boots");
    assert_string_equal(p->item.brand, "Acme");
    assert_string_equal(p->item.category, "boots");
    assert_string_equal(p->item.description, "Nice.");
    assert_true(p->item.has_price && p->item.price == 49.9);
    assert_int_equal(p->item.field_count, 3); /* null, empty and [] say nothing */
    assert_string_equal(p->item.fields[1].name, "size");
    assert_int_equal(p->item.fields[1].count, 3);
    assert_string_equal(p->item.fields[1].values[0], "41");
    assert_string_equal(p->item.fields[1].values[1], "42.5");
    assert_string_equal(p->item.fields[2].values[0], "true");

    assert_int_equal(p->asked.source, AG_ASKED_GIVEN);
    assert_int_equal(p->asked.count, 4);
    assert_string_equal(p->asked.types[0], "negation");
    const ag_ask *a = p->asked.entries;
    assert_string_equal(a[0].id, "colour");
    assert_string_equal(a[1].id, "colour#2");
    assert_int_equal(a[1].op, AG_OP_NOT);
    assert_true(a[1].negated && !a[0].negated && !a[0].core && a[2].core && a[3].core);
    assert_int_equal(a[1].value_count, 2);
    assert_string_equal(a[1].values[1], "7");
    assert_int_equal(a[2].op, AG_OP_IS);
    assert_string_equal(a[3].id, "budget");

    assert_int_equal(p->gold.tier, 2);
    assert_int_equal(p->gold.rule, 1);
    assert_string_equal(p->gold.why, "The item is blue.");
    assert_int_equal(p->gold.verdicts.v[0][0], 0);
    assert_int_equal(p->gold.verdicts.v[1][0], 0);
    assert_int_equal(p->gold.verdicts.v[1][1], 2);
    assert_int_equal(p->gold.verdicts.v[1][2], -1);
    assert_null(p->gold.soft);
    assert_int_equal(p->rating_count, 4);
    assert_string_equal(p->ratings[0].by, "r1");
    assert_int_equal(p->ratings[1].tier, 1);
    assert_int_equal(p->ratings[2].tier, -1);
    assert_null(p->ratings[3].by);
    assert_int_equal(p->ratings[3].tier, 0);
    ag_pair_free(p);

    p = pair_of(full, NULL, AG_AGGREGATE_MAJORITY); /* no book: gold and ratings are absent, ids are not */
    assert_int_equal(p->gold.tier, -1);
    assert_int_equal(p->rating_count, 0);
    assert_string_equal(p->asked.entries[1].id, "colour#2");
    ag_pair_free(p);
    ag_book_free(book);
}

static void test_defaults(void **state)
{
    (void)state;
    ag_book *book = test_book();
    const char item[] = "{\"title\":\"t\",\"price\":\"12.50\"}";
    ag_pair *p = pair_of("{\"query\": \"q\", \"item\": {\"title\": \"t\", \"price\": \"12.50\"}, \"x\": 1}",
                         book, 0);
    ag_sha256 s;
    unsigned char digest[32];
    char hex[65];
    ag_sha256_begin(&s);
    ag_sha256_add(&s, "q\n", 2);
    ag_sha256_add(&s, item, strlen(item));
    ag_sha256_end(&s, digest);
    ag_sha256_hex(digest, hex);
    assert_int_equal(strlen(p->id), 16);
    assert_memory_equal(p->id, hex, 16);
    assert_true(p->item.has_price && p->item.price == 12.5);
    assert_int_equal(p->asked.source, AG_ASKED_UNKNOWN);
    assert_int_equal(p->asked.count, 0);
    assert_int_equal(p->gold.tier, -1);
    assert_null(p->locale);
    ag_pair_free(p);

    p = pair_of("{\"id\": 12, \"query\": \"q\", \"item\": {\"title\": \"t\", \"price\": \"\", \"locale\": "
                "\"de\"}, \"asked\": [], "
                "\"type\": [\"a\", \"b\", \"a\"], \"gold\": null, \"ratings\": null}",
                book, 0);
    assert_string_equal(p->id, "12");
    assert_string_equal(p->locale, "de");
    assert_false(p->item.has_price);
    assert_int_equal(p->asked.source, AG_ASKED_GIVEN);
    assert_int_equal(p->asked.count, 0);
    assert_int_equal(p->asked.type_count, 2);
    ag_pair_free(p);
    ag_book_free(book);
}

/* What is written reads as the same pair, and is written the same again. */
static void check_round_trip(const char *line, const ag_book *book, ag_aggregate aggregate)
{
    ag_pair *a = pair_of(line, book, aggregate);
    char *first = text_of(a, book);
    ag_pair *b = pair_of(first, book, aggregate);
    char *second = text_of(b, book);
    assert_string_equal(first, second);
    assert_string_equal(a->id, b->id);
    assert_int_equal(a->asked.source, b->asked.source);
    assert_int_equal(a->asked.count, b->asked.count);
    for (int i = 0; i < a->asked.count; i++) {
        assert_string_equal(a->asked.entries[i].id, b->asked.entries[i].id);
        assert_int_equal(a->asked.entries[i].core, b->asked.entries[i].core);
    }
    assert_memory_equal(&a->gold.verdicts, &b->gold.verdicts, sizeof a->gold.verdicts);
    assert_int_equal(a->gold.tier, b->gold.tier);
    assert_int_equal(a->gold.rule, b->gold.rule);
    ag_free(first);
    ag_free(second);
    ag_pair_free(a);
    ag_pair_free(b);
}

static void test_round_trip(void **state)
{
    (void)state;
    static const char *const lines[] = {
        full,
        "{\"query\": \"q\", \"item\": {\"title\": \"t\"}}",
        "{\"query\": \"q\", \"item\": {\"title\": \"t\"}, \"asked\": [], \"type\": [\"plain\"]}",
        "{\"query\": \"q\", \"item\": {\"title\": \"t\"}, \"asked\": null, \"asked_source\": \"parsed\", "
        "\"gold\": {}}",
        "{\"query\": \"q\", \"item\": {\"title\": \"t\"}, \"asked\": [{\"name\": \"a\", \"op\": \"between\", "
        "\"value\": [1, 2]}, "
        "{\"name\": \"b\", \"op\": \"like\", \"value\": \"x\"}], \"asked_source\": \"parsed\", \"gold\": "
        "{\"verdicts\": {\"cat\": null, "
        "\"attr\": {\"a\": \"MATCH\", \"b\": null}}, \"note\": 1}}",
        "{\"query\": \"\\u00e9\\ud83d\\ude00\", \"item\": {\"title\": \"\\\"\\n\\t\"}, \"ratings\": [\"4\", "
        "3, null], \"k\": 1e300, "
        "\"n\": -0.0, \"i\": 9007199254740993}",
    };
    ag_book *book = test_book();
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        for (int g = 0; g < 4; g++) check_round_trip(lines[i], book, (ag_aggregate)g);

    ag_pair *p = pair_of(full, book, AG_AGGREGATE_GIVEN);
    char *text = text_of(p, book);
    assert_non_null(strstr(text, "\"mine\":[1,{\"x\":2.5}]"));
    assert_non_null(strstr(text, "\"extra\":null"));
    assert_non_null(strstr(text, "\"value\":50,")); /* still a number */
    assert_non_null(strstr(text, "\"by\":\"x\""));
    ag_free(text);
    /* What changes is written: here another value asked, and no gold. */
    const char *blue[] = {"blue"};
    p->asked.entries[0].values = blue;
    p->asked.source = AG_ASKED_PARSED;
    p->gold.tier = p->gold.rule = -1;
    p->gold.why = NULL;
    ag_verdicts_clear(&p->gold.verdicts);
    text = text_of(p, book);
    ag_pair *q = pair_of(text, book, AG_AGGREGATE_GIVEN);
    assert_int_equal(q->asked.source, AG_ASKED_PARSED);
    assert_string_equal(q->asked.entries[0].values[0], "blue");
    assert_int_equal(q->gold.tier, -1);
    assert_int_equal(q->gold.verdicts.v[0][0], -1);
    ag_free(text);
    ag_pair_free(p);
    ag_pair_free(q);
    ag_book_free(book);
}

#define ITEM       "\"item\": {\"title\": \"t\"}"
#define ASK(entry) "{\"query\": \"q\", " ITEM ", \"asked\": [" entry "]}"
#define GOLD(gold)                                                                                           \
    "{\"query\": \"q\", " ITEM ", \"asked\": [{\"name\": \"colour\", \"value\": 1}], \"gold\": {" gold "}}"

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"{", "file:7:"},
        {"[]", "file:7: a pair must be a JSON object"},
        {"null", "must be a JSON object"},
        {"{\"query\": \"q\"} x", "file:7:"},
        {"{\"query\": \"q\", \"query\": \"r\", " ITEM "}", "duplicate"},
        {"{" ITEM "}", "no 'query'"},
        {"{\"qurey\": \"q\", " ITEM "}", "is 'qurey' meant?"},
        {"{\"query\": 1, " ITEM "}", "query must be a string"},
        {"{\"query\": null, " ITEM "}", "query must be a string"},
        {"{\"query\": \" \", " ITEM "}", "query is empty"},
        {"{\"query\": \"a\\u0000b\", " ITEM "}", "file:7:"},
        {"{\"query\": \"q\"}", "no 'item'"},
        {"{\"query\": \"q\", \"item\": \"t\"}", "item must be an object"},
        {"{\"query\": \"q\", \"item\": {\"titel\": \"t\"}}", "no 'item.title' (is 'titel' meant?)"},
        {"{\"query\": \"q\", \"item\": {\"title\": \"t\", \"brand\": 3}}", "item.brand must be a string"},
        {"{\"query\": \"q\", \"item\": {\"title\": \"t\", \"price\": \"9,90\"}}",
         "item.price must be a number"},
        {"{\"query\": \"q\", \"item\": {\"title\": \"t\", \"price\": -1}}", "item.price"},
        {"{\"query\": \"q\", \"item\": {\"title\": \"t\", \"price\": [1]}}", "item.price"},
        {"{\"query\": \"q\", \"item\": {\"title\": \"t\", \"price\": 1e999}}", "file:7:"},
        {"{\"query\": \"q\", \"item\": {\"title\": \"t\", \"price\": 99999999999999999999}}", "file:7:"},
        {"{\"query\": \"q\", \"item\": {\"title\": \"t\", \"attributes\": []}}",
         "item.attributes must be an object"},
        {"{\"query\": \"q\", \"item\": {\"title\": \"t\", \"attributes\": {\"a\": {}}}}",
         "item.attributes.a must be"},
        {"{\"query\": \"q\", \"item\": {\"title\": \"t\", \"attributes\": {\"a\": [[1]]}}}",
         "item.attributes.a must be"},
        {"{\"query\": \"q\", \"item\": {\"title\": \"t\", \"attributes\": {\"\": 1}}}", "empty name"},
        {"{\"query\": \"q\", \"item\": {\"title\": \"t\", \"id\": true}}", "item.id must be"},
        {"{\"query\": \"q\", \"id\": 1.5, " ITEM "}", "id must be"},
        {"{\"query\": \"q\", \"id\": \"a\\nb\", " ITEM "}", "id has a line end"},
        {"{\"query\": \"q\", \"id\": \"\", " ITEM "}", "id is empty"},
        {"{\"query\": \"q\", \"url\": 1, " ITEM "}", "url must be a string"},
        {"{\"query\": \"q\", \"type\": 1, " ITEM "}", "type must be"},
        {"{\"query\": \"q\", \"type\": [\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\"], " ITEM "}",
         "more than 8"},
        {"{\"query\": \"q\", " ITEM ", \"asked\": {}}", "asked must be a list"},
        {"{\"query\": \"q\", " ITEM ", \"asked_source\": \"guess\"}", "asked_source must be"},
        {ASK("1"), "asked[0] must be an object"},
        {ASK("{\"value\": 1}"), "no 'asked[0].name'"},
        {ASK("{\"name\": \"a\", \"vlaue\": 1}"), "is 'vlaue' meant?"},
        {ASK("{\"name\": \"a\", \"value\": []}"), "asked[0].value is empty"},
        {ASK("{\"name\": \"a\", \"value\": {}}"), "asked[0].value must be"},
        {ASK("{\"name\": \"a\", \"value\": 1, \"op\": \"at_mots\"}"), "did you mean 'at_most'?"},
        {ASK("{\"name\": \"a\", \"value\": [1, 2], \"op\": \"at_most\"}"), "at_most takes one value, not 2"},
        {ASK("{\"name\": \"a\", \"value\": 1, \"op\": \"between\"}"), "between takes a list of two"},
        {ASK("{\"name\": \"a\", \"value\": [2, 1], \"op\": \"between\"}"), "smaller value first"},
        {ASK("{\"name\": \"a\", \"value\": 1, \"importance\": \"high\"}"),
         "importance must be core or minor"},
        {ASK("{\"name\": \"a\", \"id\": \"x\", \"value\": 1}, {\"name\": \"b\", \"id\": \"x\", \"value\": "
             "1}"),
         "file:7: asked"},
        {ASK("{\"name\": \"a;b\", \"value\": 1}"), "file:7: asked"},
        {GOLD("\"tier\": \"5\""), "gold.tier '5' is not a tier of the book (4, 3, 2, 1)"},
        {GOLD("\"tier\": 2.0"), "gold.tier must be"},
        {GOLD("\"verdicts\": []"), "gold.verdicts must be an object"},
        {GOLD("\"verdicts\": {\"cta\": \"SAME\"}"), "did you mean 'cat'?"},
        {GOLD("\"verdicts\": {\"cat\": \"SMAE\"}"), "did you mean 'SAME'?"},
        {GOLD("\"verdicts\": {\"cat\": {}}"), "gold.verdicts.cat must be a verdict"},
        {GOLD("\"verdicts\": {\"attr\": \"MATCH\"}"), "gold.verdicts.attr must be an object"},
        {GOLD("\"verdicts\": {\"attr\": {\"color\": \"MATCH\"}}"), "did you mean 'colour'?"},
        {GOLD("\"verdicts\": {\"attr\": {\"colour\": 1}}"), "gold.verdicts.attr.colour must be"},
        {GOLD("\"rule\": \"R9\""), "gold.rule 'R9' is not a rule of the book"},
        {GOLD("\"why\": \"a\\nb\""), "gold.why must be one line"},
        {"{\"query\": \"q\", " ITEM ", \"gold\": {\"verdicts\": {\"attr\": {\"a\": \"MATCH\"}}}}",
         "has no 'asked' list"},
        {"{\"query\": \"q\", " ITEM ", \"gold\": 3}", "gold must be an object"},
        {"{\"query\": \"q\", " ITEM ", \"ratings\": {}}", "ratings must be a list"},
        {"{\"query\": \"q\", " ITEM ", \"ratings\": [\"7\"]}", "ratings[0] '7' is not a tier"},
        {"{\"query\": \"q\", " ITEM ", \"ratings\": [true]}", "ratings[0] must be"},
        {"{\"query\": \"q\", " ITEM ", \"ratings\": [{\"teir\": \"4\"}]}", "is 'teir' meant?"},
    };
    ag_book *book = test_book();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ag_pair *pair = (ag_pair *)1;
        ag_error err = {0};
        ag_status status = ag_pair_parse(&pair, cases[i].line, strlen(cases[i].line), "file", 7, book,
                                         AG_AGGREGATE_GIVEN, &err);
        if (status != AG_ERR_INPUT) fail_msg("taken: %s", cases[i].line);
        assert_null(pair);
        assert_says(err, cases[i].says);
        assert_memory_equal(err.message, "file:7:", 7);
    }
    ag_book_free(book);
}

/* --- ratings
 * ------------------------------------------------------------------------------------------------- */

static int compare_int(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* By sorting and looking, in place of counting. */
static int naive_median(const int *values, int n)
{
    int sorted[16];
    if (n == 0) return -1;
    memcpy(sorted, values, sizeof(int) * (size_t)n);
    qsort(sorted, (size_t)n, sizeof(int), compare_int);
    return n % 2 ? sorted[n / 2] : sorted[n / 2 - 1] > sorted[n / 2] ? sorted[n / 2 - 1] : sorted[n / 2];
}

static int naive_majority(const int *values, int n)
{
    int most = 0, tied[16], ties = 0;
    for (int t = 0; t < 4; t++) {
        int c = 0;
        for (int i = 0; i < n; i++) c += values[i] == t;
        if (c > most) most = c, ties = 0;
        if (c == most && c > 0) tied[ties++] = t;
    }
    return naive_median(tied, ties);
}

static void test_ratings(void **state)
{
    (void)state;
    for (int n = 0; n <= 6; n++) {
        int combinations = 1;
        for (int i = 0; i < n; i++) combinations *= 5;
        for (int k = 0; k < combinations; k++) {
            ag_rating ratings[6] = {{0}};
            int values[6], used = 0, rest = k;
            for (int i = 0; i < n; i++, rest /= 5) {
                ratings[i].tier = rest % 5 - 1;
                if (ratings[i].tier >= 0) values[used++] = ratings[i].tier;
            }
            double share[4] = {-1, -1, -1, -1}, sum = 0;
            assert_int_equal(ag_ratings_tier(ratings, n, 4, AG_AGGREGATE_GIVEN, NULL), -1);
            assert_int_equal(ag_ratings_tier(ratings, n, 4, AG_AGGREGATE_MEDIAN, NULL),
                             naive_median(values, used));
            assert_int_equal(ag_ratings_tier(ratings, n, 4, AG_AGGREGATE_MAJORITY, NULL),
                             naive_majority(values, used));
            assert_int_equal(ag_ratings_tier(ratings, n, 4, AG_AGGREGATE_SOFT, share),
                             naive_majority(values, used));
            for (int t = 0; t < 4 && used; t++) {
                int c = 0;
                for (int i = 0; i < used; i++) c += values[i] == t;
                assert_true(share[t] == (double)c / used);
                sum += share[t];
            }
            if (used) assert_true(sum > 1 - 1e-12 && sum < 1 + 1e-12);
        }
    }
    ag_rating tied[] = {{NULL, 0}, {NULL, 1}}; /* the worse of two */
    assert_int_equal(ag_ratings_tier(tied, 2, 4, AG_AGGREGATE_MEDIAN, NULL), 1);
    assert_int_equal(ag_ratings_tier(tied, 2, 4, AG_AGGREGATE_MAJORITY, NULL), 1);
}

static void test_aggregate(void **state)
{
    (void)state;
    const char line[] = "{\"query\": \"q\", " ITEM
                        ", \"gold\": {\"tier\": 4, \"verdicts\": {\"cat\": \"SAME\"}, \"rule\": \"R0\", "
                        "\"why\": \"w\"}, \"ratings\": [1, 1, 4, null]}";
    ag_book *book = test_book();
    ag_pair *p = pair_of(line, book, AG_AGGREGATE_GIVEN);
    assert_int_equal(p->gold.tier, 0);
    assert_int_equal(p->gold.rule, 2);
    ag_pair_free(p);
    p = pair_of(line, book, AG_AGGREGATE_SOFT);
    assert_int_equal(p->gold.tier, 3); /* another tier: the old rule and reason no longer explain it */
    assert_int_equal(p->gold.rule, -1);
    assert_null(p->gold.why);
    assert_int_equal(p->gold.verdicts.v[0][0], 0);
    assert_true(p->gold.soft[3] == 2.0 / 3 && p->gold.soft[0] == 1.0 / 3 && p->gold.soft[1] == 0);
    ag_pair_free(p);
    p = pair_of("{\"query\": \"q\", " ITEM
                ", \"gold\": {\"tier\": 4, \"rule\": \"R0\"}, \"ratings\": [null]}",
                book, AG_AGGREGATE_MEDIAN);
    assert_int_equal(p->gold.tier, 0); /* nobody could judge: what was given stands */
    assert_int_equal(p->gold.rule, 2);
    ag_pair_free(p);
    ag_book_free(book);
}

/* --- files
 * --------------------------------------------------------------------------------------------------- */

static ag_status load(const char *path, const ag_book *book, size_t *count, ag_error *err)
{
    ag_pair_list list;
    ag_status status = ag_pairs_load(&list, path, book, AG_AGGREGATE_GIVEN, err);
    *count = list.count;
    ag_pair_list_free(&list);
    return status;
}

static void test_files(void **state)
{
    (void)state;
    char folder[64], path[160];
    ag_book *book = test_book();
    ag_error err = {0};
    size_t n;
    test_folder(folder);
    const char lines[] = "\xEF\xBB\xBF{\"query\": \"a\", " ITEM "}\r\n\n  \n{\"query\": \"b\", " ITEM
                         ", \"gold\": {\"tier\": 3}}";
    put_text(folder, "a.jsonl", lines, path);
    assert_ok(load(path, book, &n, &err));
    assert_int_equal(n, 2);

    snprintf(path, sizeof path, "%s/a.jsonl.gz", folder);
    gzFile gz = gzopen(path, "wb");
    gzwrite(gz, lines, sizeof lines - 1);
    gzclose(gz);
    assert_ok(load(path, book, &n, &err));
    assert_int_equal(n, 2);

    put_text(folder, "dup.jsonl",
             "{\"id\": \"x\", \"query\": \"a\", " ITEM "}\n{\"id\": \"x\", \"query\": \"b\", " ITEM "}\n",
             path);
    assert_int_equal(load(path, book, &n, &err), AG_ERR_INPUT);
    assert_says(err, "dup.jsonl:2: an earlier pair has the id 'x' too");
    assert_int_equal(n, 0);
    ag_pairs *pairs;
    ag_pair *pair;
    assert_ok(ag_pairs_open(&pairs, path, book, AG_AGGREGATE_GIVEN, false, &err));
    for (int i = 0; i < 2; i++) {
        assert_ok(ag_pairs_next(pairs, &pair, &err));
        assert_non_null(pair);
        ag_pair_free(pair);
    }
    assert_ok(ag_pairs_next(pairs, &pair, &err));
    assert_null(pair);
    ag_pairs_close(pairs);

    put_text(folder, "empty.jsonl", "", path);
    assert_ok(load(path, book, &n, &err));
    assert_int_equal(n, 0);

    put_text(folder, "t.csv",
             "query,title,tier,attributes.x,rating,price,other\nq1,\"A, b\",4,,3,9.90,o\nq2,B,,,,,\n", path);
    ag_pair_list list;
    assert_ok(ag_pairs_load(&list, path, book, AG_AGGREGATE_GIVEN, &err));
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0]->item.title, "A, b");
    assert_true(list.items[0]->item.price == 9.9);
    assert_int_equal(list.items[0]->gold.tier, 0);
    assert_string_equal(json_string_value(json_object_get(list.items[0]->json, "other")), "o");
    assert_int_equal(list.items[1]->gold.tier, -1);
    ag_pair_list_free(&list);
    put_text(folder, "bad.csv", "query,titel\nq1,A\n", path);
    assert_int_equal(load(path, book, &n, &err), AG_ERR_INPUT);
    assert_says(err, "bad.csv:1: no column gives the title");
    put_text(folder, "bad2.csv", "query,title,tier\nq1,A,9\n", path);
    assert_int_equal(load(path, book, &n, &err), AG_ERR_INPUT);
    assert_says(err, "bad2.csv:2: gold.tier '9'");
    put_text(folder, "bad3.csv", "query,title\nq1,\n", path);
    assert_int_equal(load(path, book, &n, &err), AG_ERR_INPUT);
    assert_says(err, "bad3.csv:2: no 'item.title'");
    assert_int_equal(load("/no/such.jsonl", book, &n, &err), AG_ERR_IO);
    assert_ok(ag_dir_remove(folder, NULL));
    ag_book_free(book);
}

/* A line with `open` n times and `close` n times where the item's extra would be. */
static char *nested(size_t n)
{
    const char head[] = "{\"query\":\"q\",\"item\":{\"title\":\"t\"},\"x\":";
    char *line = ag_calloc(2 * n + sizeof head + 2, 1);
    strcpy(line, head);
    size_t at = strlen(line);
    memset(line + at, '[', n);
    memset(line + at + n, ']', n);
    strcpy(line + at + 2 * n, "}");
    return line;
}

static void test_hostile(void **state)
{
    (void)state;
    char folder[64], path[160];
    ag_book *book = test_book();
    ag_error err = {0};
    size_t n;
    test_folder(folder);
    snprintf(path, sizeof path, "%s/hostile.jsonl", folder);

    const char nul[] = "{\"query\": \"a\", " ITEM "}\n{\"query\": \"b\0\", " ITEM "}\n";
    put_file(path, nul, sizeof nul - 1);
    assert_int_equal(load(path, book, &n, &err), AG_ERR_INPUT);
    assert_says(err, "hostile.jsonl:2: the line contains a NUL byte");

    put_text(folder, "hostile.jsonl", "{\"query\": \"b\xff\", " ITEM "}\n", path);
    assert_int_equal(load(path, book, &n, &err), AG_ERR_INPUT);
    assert_says(err, "hostile.jsonl:1:");
    assert_says(err, "0xff");

    char *line = nested(1000000);
    assert_int_equal(load((put_text(folder, "hostile.jsonl", line, path), path), book, &n, &err),
                     AG_ERR_INPUT);
    assert_says(err, "hostile.jsonl:1:");
    ag_free(line);
    line = nested(1500); /* deep, but not too deep: passes through */
    ag_pair *pair = pair_of(line, book, AG_AGGREGATE_GIVEN);
    ag_free(text_of(pair, book));
    ag_pair_free(pair);
    ag_free(line);

    /* A line of 100 MB, plain and as 100 kB of gzip. */
    enum { CHUNK = 1 << 20 };
    char *block = ag_calloc(CHUNK, 1);
    memset(block, 'a', CHUNK);
    FILE *f = fopen(path, "wb");
    fputs("{\"query\": \"", f);
    for (int i = 0; i < 100; i++) assert_int_equal(fwrite(block, 1, CHUNK, f), CHUNK);
    fclose(f);
    assert_int_equal(load(path, book, &n, &err), AG_ERR_INPUT);
    assert_says(err, "hostile.jsonl:1: the line is longer than");
    gzFile gz = gzopen(path, "wb1");
    for (int i = 0; i < 100; i++) gzwrite(gz, block, CHUNK);
    gzclose(gz);
    assert_int_equal(load(path, book, &n, &err), AG_ERR_INPUT);
    assert_says(err, "longer than");
    ag_free(block);

    /* Too long a query within a line that is not too long. */
    ag_str s = {0};
    ag_str_add(&s, "{" ITEM ", \"query\": \"");
    for (int i = 0; i < 20000; i++) ag_str_addc(&s, 'q');
    ag_str_add(&s, "\"}");
    assert_int_equal(ag_pair_parse(&pair, s.data, s.len, "file", 1, book, 0, &err), AG_ERR_INPUT);
    assert_says(err, "query is longer than 16384 bytes");
    ag_str_clear(&s);
    ag_str_add(&s, "{\"query\": \"q\", " ITEM ", \"asked\": [");
    for (int i = 0; i < 33; i++) ag_str_addf(&s, "%s{\"name\": \"a%d\", \"value\": 1}", i ? "," : "", i);
    ag_str_add(&s, "]}");
    assert_int_equal(ag_pair_parse(&pair, s.data, s.len, "file", 1, book, 0, &err), AG_ERR_INPUT);
    assert_says(err, "asked has more than 32 entries");
    ag_str_free(&s);
    assert_ok(ag_dir_remove(folder, NULL));
    ag_book_free(book);
}

/* What survives random damage is still a pair that round-trips; what does not gives one error with its
 * place. */
static void test_mutations(void **state)
{
    (void)state;
    ag_book *book = test_book();
    ag_rng rng = ag_rng_at(3, AG_RNG_TEST, 0, 0, 0, 0);
    int taken = 0;
    for (int i = 0; i < 12000; i++) {
        char line[sizeof full + 8];
        size_t len = sizeof full - 1;
        ag_error err = {0};
        ag_pair *pair;
        memcpy(line, full, len);
        len = mutate(&rng, line, len, sizeof line - 1);
        line[len] = '\0';
        ag_status status = ag_pair_parse(&pair, line, len, "file", 7, i % 5 ? book : NULL,
                                         (ag_aggregate)(i % 4), &err);
        if (status != AG_OK) {
            assert_int_equal(status, AG_ERR_INPUT);
            assert_memory_equal(err.message, "file:", 5); /* a line end in JSON moves the line */
            continue;
        }
        taken++;
        char *first = text_of(pair, i % 5 ? book : NULL);
        ag_pair *again = pair_of(first, i % 5 ? book : NULL, (ag_aggregate)(i % 4));
        char *second = text_of(again, i % 5 ? book : NULL);
        assert_string_equal(first, second);
        ag_free(first);
        ag_free(second);
        ag_pair_free(pair);
        ag_pair_free(again);
    }
    assert_true(taken > 400);
    ag_book_free(book);
}

static ag_status parse_and_write(void *context, ag_error *err)
{
    ag_pair *pair;
    ag_str out = {0};
    ag_status status = ag_pair_parse(&pair, full, strlen(full), "file", 7, context, AG_AGGREGATE_SOFT, err);
    if (status != AG_OK) return status;
    json_t *json = ag_pair_to_json(pair, context);
    status = json ? ag_json_dump(&out, json, err) : ag_fail_memory(err, "pair");
    if (status == AG_OK) { /* whole, or an error: never with something missing */
        assert_non_null(strstr(out.data, "\"value\":[\"blue\",7]"));
        assert_non_null(strstr(out.data, "\"by\":\"x\""));
        assert_non_null(strstr(out.data, "\"mine\""));
    }
    json_decref(json);
    ag_str_free(&out);
    ag_pair_free(pair);
    return status;
}

static ag_status load_file(void *context, ag_error *err)
{
    size_t n;
    ag_book *book = NULL;
    return load(context, book, &n, err);
}

static void test_memory(void **state)
{
    (void)state;
    char folder[64], path[160];
    ag_book *book = test_book();
    sweep_memory(parse_and_write, book);
    ag_book_free(book);
    test_folder(folder);
    put_text(folder, "a.csv", "query,title,x\na,\"b\nc\",1\nd,e,2\n", path);
    sweep_memory(load_file, path);
    put_text(folder, "a.jsonl", "{\"query\": \"a\", " ITEM "}\n{\"query\": \"b\", " ITEM "}\n", path);
    sweep_memory(load_file, path);
    assert_ok(ag_dir_remove(folder, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_part), cmocka_unit_test(test_defaults), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_errors),     cmocka_unit_test(test_ratings),  cmocka_unit_test(test_aggregate),
        cmocka_unit_test(test_files),      cmocka_unit_test(test_hostile),  cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
