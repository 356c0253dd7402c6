/* test_bm25.c: the retriever against the formula of bm25.h computed the plain way in double precision, over many random
 * small catalogues; and its edges.
 */
#include "data_help.h"

#include <math.h>

#include "data/bm25.h"

enum { MOST = 40, WORDS = 12, LONGEST = 200 };

static const char *const vocabulary[WORDS] = {"red",   "blue",  "mug",   "cable", "printer", "black",
                                              "toner", "phone", "cover", "ink",   "lamp",    "\xC3\xA9tui"};

/* A product's texts, and how often each word stands in it (title words twice). */
typedef struct document {
    char title[LONGEST], brand[LONGEST], category[LONGEST], description[LONGEST], value[2][LONGEST];
    const char *values[2];
    ag_field field;
    double tf[WORDS], length;
} document;

typedef struct corpus {
    document documents[MOST];
    ag_item items[MOST];
    int count;
} corpus;

/* Up to `most` random words, each written somehow (plural, capitals, with signs around); adds to the counts. */
static void write_words(ag_rng *rng, char text[LONGEST], int least, int most, double weight, document *d)
{
    static const char *const forms[] = {"%s", "%s", "%ss", "(%s)", "%s,", "%s's"};
    int n = least + (int)ag_rng_below(rng, (uint32_t)(most - least + 1));
    text[0] = '\0';
    for (int i = 0; i < n; i++) {
        uint32_t w = ag_rng_below(rng, WORDS), form = w == WORDS - 1 ? 0 : ag_rng_below(rng, 6);
        char one[32];
        snprintf(one, sizeof one, forms[form], vocabulary[w]); /* forms are constant */
        if (ag_rng_below(rng, 3) == 0 && one[0] >= 'a' && one[0] <= 'z') one[0] = (char)(one[0] - 32);
        snprintf(text + strlen(text), LONGEST - strlen(text), "%s%s", i ? " " : "", one);
        d->tf[w] += weight;
        d->length += weight;
    }
}

static void make_corpus(corpus *c, uint64_t seed)
{
    ag_rng rng = ag_rng_at(31, AG_RNG_TEST, seed, 0, 0, 0);
    memset(c, 0, sizeof *c);
    c->count = 1 + (int)ag_rng_below(&rng, MOST);
    for (int i = 0; i < c->count; i++) {
        document *d = &c->documents[i];
        if (i > 0 && ag_rng_below(&rng, 5) == 0) { /* a twin: they tie */
            *d = c->documents[ag_rng_below(&rng, (uint32_t)i)];
        } else {
            write_words(&rng, d->title, 0, 4, 2, d);
            write_words(&rng, d->brand, 0, 1, 1, d);
            write_words(&rng, d->category, 0, 1, 1, d);
            write_words(&rng, d->description, 0, 9, 1, d);
            for (int v = 0; v < 2; v++) write_words(&rng, d->value[v], 0, 2, 1, d);
        }
        d->values[0] = d->value[0];
        d->values[1] = d->value[1];
        d->field = (ag_field){"words of names do not count", d->values, 2};
        c->items[i] = (ag_item){.title = d->title,
                                .brand = *d->brand ? d->brand : NULL,
                                .category = *d->category ? d->category : NULL,
                                .description = d->description,
                                .fields = &d->field,
                                .field_count = 1};
    }
}

/* The formula, term by term. */
static double slow_score(const corpus *c, int which, const double query[WORDS])
{
    const double k1 = 1.2, b = 0.75;
    double mean = 0, score = 0;
    for (int i = 0; i < c->count; i++) mean += c->documents[i].length / c->count;
    for (int w = 0; w < WORDS; w++) {
        double n = 0, tf = c->documents[which].tf[w];
        for (int i = 0; i < c->count; i++) n += c->documents[i].tf[w] > 0;
        if (query[w] == 0 || tf == 0) continue;
        double idf = log(1 + (c->count - n + 0.5) / (n + 0.5));
        score += query[w] * idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * c->documents[which].length / mean));
    }
    return score;
}

static ag_bm25 *index_of(const ag_item *items, size_t count)
{
    ag_bm25 *index = NULL;
    assert_ok(ag_bm25_build(&index, items, count, true, NULL));
    return index;
}

static void check_query(const corpus *c, ag_bm25 *index, const char *text, const double query[WORDS], int max)
{
    uint32_t found[MOST];
    bool in[MOST] = {false};
    double scores[MOST];
    int count = -1, hits = 0;
    for (int i = 0; i < c->count; i++) hits += (scores[i] = slow_score(c, i, query)) > 0;
    assert_ok(ag_bm25_search(index, text, found, max, &count, NULL));
    assert_int_equal(count, hits < max ? hits : max);
    for (int i = 0; i < count; i++) {
        assert_true(found[i] < (uint32_t)c->count);
        assert_false(in[found[i]]);
        in[found[i]] = true;
        double mine = scores[found[i]], slack = 1e-5 * mine; /* scores are kept in single precision */
        assert_true(mine > 0);
        if (i + 1 == count) continue;
        double next = scores[found[i + 1]];
        if (next > mine + slack)
            fail_msg("'%s': %u (%g) before %u (%g)", text, found[i], mine, found[i + 1], next);
        if (next == mine &&
            memcmp(c->documents[found[i]].tf, c->documents[found[i + 1]].tf, sizeof c->documents[0].tf) == 0)
            assert_true(found[i] < found[i + 1]);
    }
    for (int i = 0; i < c->count && count > 0;
         i++) { /* what was left out is no better, and no earlier twin */
        uint32_t last = found[count - 1];
        if (in[i]) continue;
        assert_true(scores[i] <= scores[last] * (1 + 1e-5));
        if (memcmp(c->documents[i].tf, c->documents[last].tf, sizeof c->documents[0].tf) == 0)
            assert_true((uint32_t)i > last);
    }
}

static void test_formula(void **state)
{
    (void)state;
    static corpus c;
    long left_out = 0, words = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        make_corpus(&c, seed);
        ag_bm25 *index = index_of(c.items, (size_t)c.count);
        for (uint64_t q = 0; q < 12; q++) {
            ag_rng rng = ag_rng_at(32, AG_RNG_TEST, seed, q, 0, 0);
            document query = {.length = 0};
            char text[LONGEST];
            write_words(&rng, text, 1, 4, 1, &query);
            if (q % 3 == 0) strcat(text, " unheard 42");
            int max = 1 + (int)ag_rng_below(&rng, q % 2 ? MOST : 5);
            check_query(&c, index, text, query.tf, max);
            left_out += max < c.count;
            words += (long)query.length;
        }
        ag_bm25_free(index);
    }
    assert_true(left_out > 1000 && words > 5000);
}

/* Results as text: "2 0 1". */
static const char *found_by(ag_bm25 *index, const char *query, int max)
{
    static char text[256];
    uint32_t found[16];
    int count = -1;
    text[0] = '\0';
    assert_ok(ag_bm25_search(index, query, found, max, &count, NULL));
    assert_true(count <= max || max < 0);
    for (int i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%u", i ? " " : "", found[i]);
    return text;
}

static void test_edges(void **state)
{
    (void)state;
    const char *red[] = {"red"};
    ag_field colour = {"colour", red, 1};
    ag_item items[] = {
        {.title = "Ink cartridge"},
        {.title = "Mug", .description = "A mug for boots, one of many boots"},
        {.title = "Boots"},
        {.title = "Boots"},
        {.title = "Lamp", .brand = "Acme", .category = "lights", .fields = &colour, .field_count = 1},
        {.title = ""}};
    ag_bm25 *index = index_of(items, 6);
    assert_string_equal(found_by(index, "boot", 9),
                        "2 3 1"); /* plurals; the title counts more; ties by place */
    assert_string_equal(found_by(index, "BOOTS!", 9), "2 3 1");
    assert_string_equal(found_by(index, "boots", 2), "2 3");
    assert_string_equal(found_by(index, "boots", 1), "2");
    assert_string_equal(found_by(index, "boots", 0), "");
    assert_string_equal(found_by(index, "", 9), "");
    assert_string_equal(found_by(index, " - ?! ", 9), "");
    assert_string_equal(found_by(index, "unheard of", 9), "1"); /* "of" */
    assert_string_equal(found_by(index, "unheard", 9), "");
    assert_string_equal(found_by(index, "acme", 9), "4");
    assert_string_equal(found_by(index, "light", 9), "4");
    assert_string_equal(found_by(index, "red", 9), "4");
    assert_string_equal(found_by(index, "colour", 9), ""); /* names of attributes are nobody's words */
    assert_string_equal(found_by(index, "ink boots", 9), "0 2 3 1");
    assert_string_equal(found_by(index, "boots ink ink", 9), "0 2 3 1");
    /* A search leaves nothing behind for the next. */
    for (int i = 0; i < 3; i++) assert_string_equal(found_by(index, "boot", 9), "2 3 1");
    ag_bm25_free(index);

    assert_ok(ag_bm25_build(&index, items, 6, false, NULL)); /* another language: the words as they stand */
    assert_string_equal(found_by(index, "boot", 9), "");
    assert_string_equal(found_by(index, "boots", 9), "2 3 1");
    ag_bm25_free(index);

    index = index_of(items, 0);
    assert_string_equal(found_by(index, "boots", 9), "");
    ag_bm25_free(index);
    index = index_of(items + 5, 1); /* products without a word */
    assert_string_equal(found_by(index, "boots", 9), "");
    ag_bm25_free(index);
    ag_bm25_free(NULL);
}

/* A word that all have still counts for something: the idf stays positive. */
static void test_common_word(void **state)
{
    (void)state;
    ag_item items[] = {{.title = "mug red"}, {.title = "mug"}, {.title = "mug blue mug"}};
    ag_bm25 *index = index_of(items, 3);
    assert_string_equal(found_by(index, "mug", 9), "1 2 0");
    ag_bm25_free(index);
}

static void test_determinism(void **state)
{
    (void)state;
    static corpus c;
    for (uint64_t seed = 1000; seed < 1030; seed++) {
        make_corpus(&c, seed);
        ag_bm25 *a = index_of(c.items, (size_t)c.count), *b = index_of(c.items, (size_t)c.count);
        for (int w = 0; w + 1 < WORDS; w++) {
            char query[64], first[256];
            snprintf(query, sizeof query, "%s %s", vocabulary[w], vocabulary[w + 1]);
            snprintf(first, sizeof first, "%s", found_by(a, query, 16));
            assert_string_equal(found_by(b, query, 16), first);
            snprintf(query, sizeof query, "%s %s", vocabulary[w + 1],
                     vocabulary[w]); /* the order says nothing */
            assert_string_equal(found_by(b, query, 16), first);
        }
        ag_bm25_free(a);
        ag_bm25_free(b);
    }
}

static ag_status build_and_search(void *context, ag_error *err)
{
    const corpus *c = context;
    ag_bm25 *index = NULL;
    uint32_t found[3];
    int count = 0;
    ag_status status = ag_bm25_build(&index, c->items, (size_t)c->count, true, err);
    if (status != AG_OK) {
        assert_null(index);
        return status;
    }
    status = ag_bm25_search(index, "Red \xC3\xA9tui mugs", found, 3, &count, err);
    if (status != AG_OK) assert_int_equal(count, 0);
    ag_bm25_free(index);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    static corpus c;
    make_corpus(&c, 7);
    sweep_memory(build_and_search, &c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_formula), cmocka_unit_test(test_edges),
                                       cmocka_unit_test(test_common_word), cmocka_unit_test(test_determinism),
                                       cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
