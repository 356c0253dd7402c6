/* test_audit.c: an audit against counts made by hand and by the plainest loops, over verdicts that pairs bring themselves
 * and over verdicts from a small facts file.
 */
#include "unit/eval/eval_fixture.h"

#include "eval/audit.h"

static const char book_text[] =
    "rulebook: small\n"
    "version: \"2\"\n"
    "tiers:\n"
    "  - {id: \"4\", name: Excellent, gain: 7, good: true}\n"
    "  - {id: \"3\", name: Related, gain: 3, good: true}\n"
    "  - {id: \"2\", name: Mismatch, gain: 1, good: false}\n"
    "  - {id: \"1\", name: Irrelevant, gain: 0, good: false}\n"
    "criteria:\n"
    "  - {id: cat, verdicts: [SAME, SUBSTITUTE, DIFFERENT], from: category,\n"
    "     map: {same: SAME, narrower: SAME, sibling: SUBSTITUTE, else: DIFFERENT}}\n"
    "  - {id: attr, per: asked, verdicts: [MATCH, UNKNOWN, CONFLICT], from: attribute,\n"
    "     map: {equal: MATCH, missing: UNKNOWN, other: CONFLICT}}\n"
    "attributes:\n"
    "  brand: {importance: core}\n"
    "  colour: {importance: minor}\n"
    "rules:\n"
    "  - {id: R1, when: \"cat == DIFFERENT\", cap: \"1\", text: Another need.}\n"
    "  - {id: R2, when: \"any(attr, core) == CONFLICT\", cap: \"2\", text: Another brand.}\n"
    "  - {id: R3, when: \"any(attr) == CONFLICT\", cap: \"3\", text: Another colour.}\n"
    "  - {id: R4, when: \"cat == SUBSTITUTE\", cap: \"3\", text: Serves the same need.}\n"
    "  - {id: R5, when: \"any(attr, core) == UNKNOWN\", cap: \"4\", text: Not said.}\n";

static const char facts_text[] = "facts: small\n"
                                 "language: en\n"
                                 "categories:\n"
                                 "  lamps: {synonyms: [lights], siblings: [lanterns], unclear: [bulbs]}\n"
                                 "  lanterns: {}\n"
                                 "  bulbs: {}\n"
                                 "  chairs: {}\n";

typedef struct fixture {
    ag_book *book;
    ag_facts *facts;
    ag_lexicon *lexicon;
    ag_pair_list pairs;
} fixture;

static void must(ag_status status, const ag_error *err)
{
    if (status != AG_OK) fail_msg("%s", err->message);
}

static void add_line(fixture *f, const char *line, ag_aggregate aggregate)
{
    ag_error err = {0};
    assert_true(ag_grow(&f->pairs.items, &f->pairs.cap, f->pairs.count + 1, sizeof *f->pairs.items));
    must(ag_pair_parse(&f->pairs.items[f->pairs.count], line, strlen(line), "file", (long)f->pairs.count + 1,
                       f->book, aggregate, &err),
         &err);
    f->pairs.count++;
}

static void fixture_open(fixture *f)
{
    ag_error err = {0};
    memset(f, 0, sizeof *f);
    must(ag_book_parse(&f->book, book_text, strlen(book_text), "book.yaml", &err), &err);
    must(ag_facts_parse(&f->facts, facts_text, strlen(facts_text), "facts.yaml", &err), &err);
    must(ag_lexicon_create(&f->lexicon, f->facts, f->book, &err), &err);
}

static void fixture_close(fixture *f)
{
    ag_pair_list_free(&f->pairs);
    ag_lexicon_free(f->lexicon);
    ag_facts_free(f->facts);
    ag_book_free(f->book);
}

static ag_audit *run(fixture *f)
{
    ag_error err = {0};
    ag_audit *audit = NULL;
    must(ag_audit_kinds(&f->pairs, f->facts, &err), &err);
    must(ag_audit_lexicon(f->lexicon, &f->pairs, &err), &err);
    must(ag_audit_run(&audit, f->book, f->facts, f->lexicon, &f->pairs, &err), &err);
    return audit;
}

/* --- what becomes of a pair -------------------------------------------------------------------------------- */

static const struct {
    const char *line;
    ag_audit_state state;
    const char *wanted;
    int tier, rule;
} hand_made[] = {
    /* its own verdicts stand, whatever the facts would say */
    {"{\"query\": \"lamps\", \"item\": {\"id\": \"1\", \"title\": \"Chair\", \"category\": \"chairs\"}, "
     "\"asked\": [],"
     " \"gold\": {\"tier\": \"4\", \"verdicts\": {\"cat\": \"SUBSTITUTE\"}}}",
     AG_AUDIT_GIVEN, "lamps", 1, 3},
    /* the kind from the title, the wanted category from the query */
    {"{\"query\": \"lamps\", \"item\": {\"id\": \"2\", \"title\": \"Oak chair\"}, \"gold\": {\"tier\": "
     "\"1\"}}",
     AG_AUDIT_FACTS, "lamps", 3, 0},
    {"{\"query\": \"lights\", \"item\": {\"id\": \"3\", \"title\": \"Big lanterns\"}, \"gold\": {\"tier\": "
     "\"1\"}}",
     AG_AUDIT_FACTS, "lamps", 1, 3},
    /* the pair's own word for the category goes before the query's; verdicts that are incomplete do not count */
    {"{\"query\": \"lamps\", \"category\": \"chairs\", \"item\": {\"id\": \"4\", \"title\": \"Oak chair\"}, "
     "\"gold\": "
     "{\"tier\": \"3\"}}",
     AG_AUDIT_FACTS, "chairs", 0, -1},
    {"{\"query\": \"lamps\", \"item\": {\"id\": \"5\", \"title\": \"Lamp\", \"brand\": \"Norvik\"}, "
     "\"asked\": "
     "[{\"name\": \"brand\", \"value\": \"Acme\"}], \"gold\": {\"tier\": \"3\", \"verdicts\": {\"cat\": "
     "\"DIFFERENT\"}}}",
     AG_AUDIT_FACTS, "lamps", 2, 1},
    /* a query of a brand alone wants any kind */
    {"{\"query\": \"norvik\", \"item\": {\"id\": \"6\", \"title\": \"A thing\", \"brand\": \"Norvik\"}, "
     "\"gold\": "
     "{\"tier\": \"4\"}}",
     AG_AUDIT_FACTS, "*", 0, -1},
    {"{\"query\": \"norvik gizmo\", \"item\": {\"id\": \"6\", \"title\": \"A thing\", \"brand\": "
     "\"Norvik\"}, "
     "\"gold\": {\"tier\": \"4\"}}",
     AG_AUDIT_NO_WANTED, NULL, -1, -1},
    {"{\"query\": \"gizmo\", \"item\": {\"id\": \"7\", \"title\": \"A lamp\"}, \"gold\": {\"tier\": \"4\"}}",
     AG_AUDIT_NO_WANTED, NULL, -1, -1},
    {"{\"query\": \"lamps\", \"item\": {\"id\": \"8\", \"title\": \"A thing\"}, \"gold\": {\"tier\": \"4\"}}",
     AG_AUDIT_NO_KIND, "lamps", -1, -1},
    {"{\"query\": \"lamps\", \"item\": {\"id\": \"9\", \"title\": \"Two bulbs\"}, \"gold\": {\"tier\": "
     "\"4\"}}",
     AG_AUDIT_UNCLEAR, "lamps", -1, -1},
    /* no tier: people could not judge it */
    {"{\"query\": \"lamps\", \"item\": {\"id\": \"10\", \"title\": \"A lamp\"}, \"ratings\": [null]}",
     AG_AUDIT_NO_TIER, "lamps", -1, -1},
};
enum { HAND_MADE = sizeof hand_made / sizeof hand_made[0] };

static void test_states(void **state)
{
    fixture f;
    (void)state;
    fixture_open(&f);
    for (int i = 0; i < HAND_MADE; i++) add_line(&f, hand_made[i].line, AG_AGGREGATE_MEDIAN);
    ag_audit *audit = run(&f);
    assert_int_equal(audit->count, HAND_MADE);
    for (int i = 0; i < HAND_MADE; i++) {
        const ag_audit_case *c = &audit->cases[i];
        if (c->state != hand_made[i].state)
            fail_msg("%s: %s", hand_made[i].line, ag_audit_state_names[c->state]);
        if (hand_made[i].wanted)
            assert_string_equal(c->wanted, hand_made[i].wanted);
        else
            assert_null(c->wanted);
        assert_int_equal(c->tier, hand_made[i].tier);
        assert_int_equal(c->rule, hand_made[i].rule);
        assert_int_equal(ag_audit_counts(c), i < 6);
        assert_true(f.pairs.items[i]->asked.source != AG_ASKED_UNKNOWN);
    }
    ag_audit_free(audit);
    fixture_close(&f);
}

/* A criterion that nobody but people can judge, and a relation that the book maps to nothing. */
static void test_no_verdicts(void **state)
{
    static const char line[] = "{\"query\": \"lamps\", \"item\": {\"title\": \"A lamp\"}, \"asked\": "
                               "[{\"name\": \"size\", \"value\": "
                               "\"xl\"}], \"gold\": {\"tier\": \"2\"}}";
    static const struct {
        const char *criterion;
        ag_audit_state state;
    } books[] = {
        {"{id: nice, verdicts: [YES, NO], from: none}", AG_AUDIT_PEOPLE},
        {"{id: attr, per: asked, verdicts: [YES, NO], from: attribute, map: {equal: YES, other: NO}}",
         AG_AUDIT_UNMAPPED}};
    (void)state;
    for (int i = 0; i < 2; i++) {
        fixture f = {0};
        ag_error err = {0};
        char text[512];
        int n = snprintf(text, sizeof text,
                         "rulebook: x\ntiers: [{id: \"2\"}, {id: \"1\"}]\ncriteria:\n  - %s\nrules: []\n",
                         books[i].criterion);
        must(ag_book_parse(&f.book, text, (size_t)n, "book.yaml", &err), &err);
        must(ag_facts_empty(&f.facts, &err), &err);
        must(ag_lexicon_create(&f.lexicon, f.facts, f.book, &err), &err);
        add_line(&f, line, AG_AGGREGATE_GIVEN);
        ag_audit *audit = run(&f);
        assert_int_equal(audit->cases[0].state, books[i].state);
        ag_audit_free(audit);
        fixture_close(&f);
    }
}

/* --- counts against loops ---------------------------------------------------------------------------------- */

enum { PAIRS = 300, RULES = 6 /* and none */ };

/* What the oracle knows of a pair: drawn verdicts, people's tier, and what follows by the rules as a person reads them. */
typedef struct drawn {
    int human, tier, rule, query;
} drawn;

static drawn draw(ag_rng *rng, int i, char *line, size_t size)
{
    static const char *const cats[] = {"SAME", "SUBSTITUTE", "DIFFERENT"}, *const attrs[] = {"MATCH",
                                                                                             "UNKNOWN",
                                                                                             "CONFLICT"};
    int cat = (int)ag_rng_below(rng, 3), brand = (int)ag_rng_below(rng, 3),
        colour = (int)ag_rng_below(rng, 3);
    drawn d = {
        .human = (int)ag_rng_below(rng, 4), .tier = 0, .rule = -1, .query = (int)ag_rng_below(rng, 20)};
    if (cat == 2)
        d.tier = 3, d.rule = 0;
    else if (brand == 2)
        d.tier = 2, d.rule = 1;
    else if (colour == 2)
        d.tier = 1, d.rule = 2;
    else if (cat == 1)
        d.tier = 1, d.rule = 3;
    else if (brand == 1)
        d.rule = 4;
    snprintf(line, size,
             "{\"id\": \"p%d\", \"query\": \"q%d\", \"item\": {\"title\": \"T\"}, \"asked\": [{\"name\": "
             "\"brand\", \"value\": \"a\"}, {\"name\": \"colour\", \"value\": \"b\"}], \"gold\": {\"tier\": "
             "\"%d\", \"verdicts\": {\"cat\": \"%s\", \"attr\": {\"brand\": \"%s\", \"colour\": \"%s\"}}}}",
             i, d.query, 4 - d.human, cats[cat], attrs[brand], attrs[colour]);
    return d;
}

static double number_of(const json_t *row, const char *key)
{
    const json_t *value = json_object_get(row, key);
    if (!json_is_number(value)) fail_msg("no number '%s'", key);
    return json_number_value(value);
}

/* rule -2: all. */
static void check_row(const json_t *row, const drawn *d, int rule)
{
    static const char *const ids[] = {"4", "3", "2", "1"};
    int n = 0, queries = 0, tiers[4] = {0}, same = 0, near = 0, sum = 0;
    bool seen[20] = {false};
    for (int i = 0; i < PAIRS; i++) {
        if (rule != -2 && d[i].rule != rule) continue;
        n++;
        tiers[d[i].human]++;
        same += d[i].human == d[i].tier;
        near += abs(d[i].human - d[i].tier) <= 1;
        sum += d[i].human - d[i].tier;
        queries += !seen[d[i].query];
        seen[d[i].query] = true;
    }
    assert_true(n > 0);
    assert_int_equal(number_of(row, "pairs"), n);
    assert_int_equal(number_of(row, "queries"), queries);
    for (int t = 0; t < 4; t++) assert_int_equal(number_of(json_object_get(row, "tiers"), ids[t]), tiers[t]);
    assert_near(number_of(row, "agreement"), (double)same / n, 1e-12);
    assert_near(number_of(row, "within_one"), (double)near / n, 1e-12);
    assert_near(number_of(row, "difference"), (double)sum / n, 1e-12);
}

/* 1 - the mean squared distance over that of all ways to pair people's tiers with derived ones. */
static double plain_kappa(const drawn *d)
{
    double observed = 0, expected = 0;
    for (int i = 0; i < PAIRS; i++)
        for (int k = 0; k < PAIRS; k++) {
            double off = (d[i].human - d[k].tier) * (d[i].human - d[k].tier);
            expected += off / PAIRS;
            if (i == k) observed += off;
        }
    return 1 - observed / expected;
}

static void check_worst(const json_t *list, const drawn *d, int rule, int most)
{
    int before = 99, n = 0;
    bool taken[PAIRS] = {false};
    size_t k;
    json_t *c;
    for (int i = 0; i < PAIRS; i++) n += d[i].rule == rule && d[i].human != d[i].tier;
    assert_int_equal(json_array_size(list), n < most ? n : most);
    json_array_foreach(list, k, c)
    {
        int i = atoi(json_string_value(json_object_get(c, "id")) + 1);
        int off = abs(d[i].human - d[i].tier);
        assert_false(taken[i]);
        taken[i] = true;
        assert_int_equal(d[i].rule, rule);
        assert_true(off > 0 && off <= before);
        before = off;
        assert_int_equal(4 - d[i].human, atoi(json_string_value(json_object_get(c, "human"))));
    }
    for (int i = 0; i < PAIRS; i++) /* none that is left is further off */
        if (d[i].rule == rule && !taken[i] && n > most) assert_true(abs(d[i].human - d[i].tier) <= before);
}

static void test_counts(void **state)
{
    fixture f;
    drawn d[PAIRS];
    ag_rng rng = ag_rng_at(7, AG_RNG_CHECK, 0, 0, 0, 0);
    ag_error err = {0};
    json_t *json = NULL;
    char line[512];
    (void)state;
    fixture_open(&f);
    for (int i = 0; i < PAIRS; i++) {
        d[i] = draw(&rng, i, line, sizeof line);
        add_line(&f, line, AG_AGGREGATE_GIVEN);
    }
    ag_audit *audit = run(&f);
    must(ag_audit_json(&json, audit, 10, &err), &err);
    assert_int_equal(number_of(json, "audited"), PAIRS);
    assert_int_equal(number_of(json_object_get(json, "states"), "given"), PAIRS);
    check_row(json_object_get(json, "all"), d, -2);
    assert_near(number_of(json_object_get(json, "all"), "kappa"), plain_kappa(d), 1e-12);
    const json_t *rules = json_object_get(json, "rules");
    assert_int_equal(json_array_size(rules), RULES);
    for (int r = 0; r < RULES; r++) {
        const json_t *row = json_array_get(rules, (size_t)r);
        int rule = r < RULES - 1 ? r : -1;
        check_row(row, d, rule);
        check_worst(json_object_get(row, "worst"), d, rule, 10);
        const char *id = json_string_value(json_object_get(row, "rule"));
        if (rule >= 0)
            assert_string_equal(id, f.book->rules[rule].id);
        else
            assert_null(id);
    }
    json_decref(json);
    ag_audit_free(audit);
    fixture_close(&f);
}

/* Among equally bad ones, examples come from different queries. */
static void test_examples(void **state)
{
    static const char *const queries[] = {"a", "a", "a", "b", "c"}, *const wanted[] = {"0", "3", "4", "1"};
    const ag_audit_case *worst[8];
    fixture f;
    char line[512];
    (void)state;
    fixture_open(&f);
    for (int i = 0; i < 5; i++) {
        snprintf(line, sizeof line,
                 "{\"id\": \"%d\", \"query\": \"%s\", \"item\": {\"title\": \"T\"}, \"asked\": [], "
                 "\"gold\": {\"tier\": \"4\", \"verdicts\": {\"cat\": \"DIFFERENT\"}}}",
                 i, queries[i]);
        add_line(&f, line, AG_AGGREGATE_GIVEN);
    }
    ag_audit *audit = run(&f);
    assert_int_equal(ag_audit_worst(audit, 0, worst, 0), 0);
    assert_int_equal(ag_audit_worst(audit, 0, worst, 4), 4);
    for (int i = 0; i < 4; i++) assert_string_equal(worst[i]->pair->id, wanted[i]);
    assert_int_equal(ag_audit_worst(audit, 0, worst, 8), 5);
    assert_int_equal(ag_audit_worst(audit, 1, worst, 8), 0);
    assert_int_equal(ag_audit_left_out(audit, AG_AUDIT_NO_KIND, worst, 8), 0);
    assert_int_equal(ag_audit_left_out(audit, AG_AUDIT_GIVEN, worst, 2), 2);
    assert_string_equal(worst[1]->pair->query, "b");
    ag_audit_free(audit);
    fixture_close(&f);
}

/* --- the table, and memory --------------------------------------------------------------------------------- */

static void test_table(void **state)
{
    static const char *const parts[] = {
        "rulebook small 2: 6 of 11 pairs have a tier and complete verdicts (1 given, 5 from facts)\n",
        "\nR4      3          2       2  |     1     0     0     1  |  0.000     0.500      +0.500\n",
        "\nR5      4          0       0  |     0     0     0     0  |      -         -           -\n",
        "\n-       4          2       2  |     1     1     0     0  |  0.500     1.000      +0.500\n",
        "people 1, derived 3: cat=SUBSTITUTE attr=- (wanted lamps, is lanterns)\n",
        "\nleft out: no category of the item: 1 pairs of 1 queries\n"};
    fixture f;
    ag_error err = {0};
    json_t *json = NULL;
    ag_str out = {0};
    (void)state;
    fixture_open(&f);
    for (int i = 0; i < HAND_MADE; i++) add_line(&f, hand_made[i].line, AG_AGGREGATE_MEDIAN);
    ag_audit *audit = run(&f);
    must(ag_audit_json(&json, audit, 3, &err), &err);
    must(ag_audit_table(&out, json, &err), &err);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (!strstr(out.data, parts[i])) fail_msg("no '%s' in\n%s", parts[i], out.data);
    ag_str_free(&out);
    json_decref(json);
    ag_audit_free(audit);
    fixture_close(&f);
}

/* Whichever allocation fails: an error, nothing lost. */
static void test_memory(void **state)
{
    (void)state;
    for (long n = 1;; n++) {
        fixture f;
        ag_error err = {0};
        ag_audit *audit = NULL;
        json_t *json = NULL;
        ag_str out = {0};
        fixture_open(&f);
        for (int i = 0; i < HAND_MADE; i++) add_line(&f, hand_made[i].line, AG_AGGREGATE_MEDIAN);
        ag_mem_fail_at(n, true);
        ag_status status = ag_audit_kinds(&f.pairs, f.facts, &err);
        if (status == AG_OK) status = ag_audit_lexicon(f.lexicon, &f.pairs, &err);
        if (status == AG_OK) status = ag_audit_run(&audit, f.book, f.facts, f.lexicon, &f.pairs, &err);
        if (status == AG_OK) status = ag_audit_json(&json, audit, 3, &err);
        if (status == AG_OK) status = ag_audit_table(&out, json, &err);
        ag_mem_fail_at(0, false);
        ag_str_free(&out);
        json_decref(json);
        ag_audit_free(audit);
        fixture_close(&f);
        if (status == AG_OK) break;
        assert_int_equal(status, AG_ERR_MEMORY);
        assert_true(n < 100000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_states), cmocka_unit_test(test_no_verdicts),
                                       cmocka_unit_test(test_counts), cmocka_unit_test(test_examples),
                                       cmocka_unit_test(test_table),  cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
