/* test_synth_catalogue.c: the generator over a catalogue as shops have it (here the invented shop's products, found by
 * search): labels follow from what is emitted, nothing that is hidden is paired, slips leave codes alone, real queries are
 * used where they are read to the end, shares follow them, and the reader's sheet says nothing of the labels.
 */
#include "unit/data/synth_help.h"

#include <math.h>

#include "data/synth_parts.h"
#include "rules/facts_text.h"

static int setup(void **state)
{
    (void)state;
    if (open_shop(1500) != 0) return -1;
    for (size_t i = 0; i < item_count; i++) {
        if (i % 3 == 0) { /* the category of some is only known by reading, and of a few not at all */
            items[i].kind = i % 12 ? items[i].category : NULL;
            items[i].category = NULL;
        }
        if (ag_lexicon_add_item(lexicon, &items[i], NULL) != AG_OK) return -1;
    }
    return 0;
}

static ag_synth_options usual(void)
{
    ag_synth_options o;
    ag_synth_defaults(&o);
    o.pairs = 1500;
    o.catalogue = true;
    o.disturbed = 0.125;
    o.asked_parsed = 0.3;
    memcpy(o.type_share, ag_synth_catalogue_shares, sizeof o.type_share);
    return o;
}

/* Is a word of the query (in lower case) in the product's own words? */
static bool shares_word(const char *query, const ag_item *item)
{
    ag_words a = {0}, b = {0};
    ag_str text = {0};
    bool shared = false;
    ag_str_addf(&text, "%s %s", item->title, item->description ? item->description : "");
    for (int i = 0; i < item->field_count; i++)
        for (int k = 0; k < item->fields[i].count; k++) ag_str_addf(&text, " %s", item->fields[i].values[k]);
    if (item->brand) ag_str_addf(&text, " %s", item->brand);
    if (item->category) ag_str_addf(&text, " %s", item->category);
    assert_int_equal(ag_words_split(&a, query, true, NULL), AG_OK);
    assert_int_equal(ag_words_split(&b, ag_str_text(&text), true, NULL), AG_OK);
    for (size_t i = 0; i < a.count; i++)
        for (size_t k = 0; k < b.count && !shared; k++)
            shared = a.items[i].len == b.items[k].len &&
                     memcmp(a.text.data + a.items[i].at, b.text.data + b.items[k].at, a.items[i].len) == 0;
    ag_words_free(&a);
    ag_words_free(&b);
    ag_str_free(&text);
    return shared;
}

static void check_pair(const ag_synth_pair *p, ag_arena *scratch)
{
    const ag_synth_query *q = p->query;
    const ag_asked *asked = p->parsed ? &q->parsed : &q->asked;
    ag_gold again;
    assert_int_equal(
        ag_facts_gold(&again, facts, book, asked, p->item, q->wanted, q->reference, scratch, NULL), AG_OK);
    if (again.tier != p->gold.tier || again.rule != p->gold.rule)
        fail_msg("'%s' and '%s': tier %d, then %d", q->text, p->item->title, p->gold.tier, again.tier);
    ag_match m = {.relation = AG_REL_ELSE};
    const char *kind = ag_item_kind(p->item);
    if (kind && strcmp(q->wanted, ag_any_kind) != 0)
        assert_int_equal(ag_facts_match_category(&m, facts, q->wanted, kind, NULL), AG_OK);
    bool same = m.relation == AG_REL_SAME || m.relation == AG_REL_NARROWER;
    if (q->hidden && same) fail_msg("'%s' is not sold, and '%s' is one", q->text, p->item->title);
    if (same && q->more) { /* the words stand in its title as well */
        ag_words more = {0}, title = {0};
        assert_int_equal(ag_words_split(&more, q->more, true, NULL), AG_OK);
        assert_int_equal(ag_words_split(&title, p->item->title, true, NULL), AG_OK);
        for (size_t i = 0; i < more.count; i++)
            if (ag_words_find(&title, more.text.data + more.items[i].at, more.items[i].len, 0) < 0)
                fail_msg("'%s' says '%s', and '%s' does not", q->text, q->more, p->item->title);
        ag_words_free(&more);
        ag_words_free(&title);
    }
    if (!same && !shares_word(q->text, p->item))
        fail_msg("'%s' finds '%s', which has no word of it", q->text, p->item->title);
}

static void test_labels(void **state)
{
    (void)state;
    ag_synth_options o = usual();
    ag_synth *s = make(&o);
    ag_arena scratch = {.name = "test"};
    long types[AG_SYNTH_TYPES] = {0}, total = 0, disturbed = 0, more = 0;
    for (int p = 0; p < AG_SYNTH_PARTS; p++)
        for (size_t i = 0; i < s->pair_count[p]; i++, total++) {
            check_pair(&s->pairs[p][i], &scratch);
            ag_arena_free(&scratch);
        }
    for (size_t i = 0; i < s->query_count; i++) {
        types[s->queries[i].type]++;
        disturbed += s->queries[i].disturbance != NULL;
        more += s->queries[i].more != NULL;
    }
    assert_true(more > 50);
    assert_true(total > 1300);
    for (int t = AG_SYNTH_KIND; t < AG_SYNTH_REAL; t++)
        if (types[t] == 0 && t != AG_SYNTH_MODEL) fail_msg("no query of type %s", ag_synth_type_names[t]);
    double share = (double)disturbed / (double)s->query_count;
    if (share < 0.06 || share > 0.2) fail_msg("%g of the queries are disturbed", share);
    ag_synth_free(s);
}

static void test_same_bytes(void **state)
{
    (void)state;
    ag_synth_options o = usual();
    o.pairs = 300;
    ag_synth *a = make(&o), *b = make(&o);
    for (int p = 0; p < AG_SYNTH_PARTS; p++) {
        assert_int_equal(a->pair_count[p], b->pair_count[p]);
        for (size_t i = 0; i < a->pair_count[p]; i++) {
            json_t *x = ag_synth_pair_json(&a->pairs[p][i], book, 1),
                   *y = ag_synth_pair_json(&b->pairs[p][i], book, 1);
            assert_true(json_equal(x, y));
            json_decref(x);
            json_decref(y);
        }
    }
    ag_synth_free(a);
    ag_synth_free(b);
}

/* The digits of a text, in order. */
static void digits_of(char *out, const char *text)
{
    for (; *text; text++)
        if (*text >= '0' && *text <= '9') *out++ = *text;
    *out = '\0';
}

static void test_disturb(void **state)
{
    (void)state;
    static const char *const texts[] = {"usb cable",
                                        "toner for laserjet 4000",
                                        "2 m hdmi cable",
                                        "wi-fi router",
                                        "dcp-7055w",
                                        "headphones",
                                        "a",
                                        "",
                                        "black leather boots",
                                        "naïve café"};
    ag_arena scratch = {.name = "test"};
    bool seen[256] = {0};
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
        for (uint64_t seed = 0; seed < 200; seed++) {
            const char *text = texts[t], *name, *again = texts[t], *name2;
            char before[64], after[64];
            ag_rng r = ag_rng_at(seed, AG_RNG_TEST, 1, 0, 0, 0), r2 = r;
            assert_int_equal(ag_synth_disturb(&text, &name, true, &r, &scratch, NULL), AG_OK);
            assert_int_equal(ag_synth_disturb(&again, &name2, true, &r2, &scratch, NULL), AG_OK);
            assert_string_equal(text, again);
            assert_true((name == NULL) == (strcmp(text, texts[t]) == 0));
            digits_of(before, texts[t]);
            digits_of(after, text);
            assert_string_equal(before, after);
            if (name) seen[(unsigned char)name[0] ^ (unsigned char)name[1]] = true;
        }
    int kinds = 0;
    for (int i = 0; i < 256; i++) kinds += seen[i];
    assert_int_equal(kinds, 6);
    for (uint64_t seed = 0; seed < 200; seed++) { /* the words of one name stay in their order */
        const char *text = "rack console", *name;
        ag_rng r = ag_rng_at(seed, AG_RNG_TEST, 3, 0, 0, 0);
        assert_int_equal(ag_synth_disturb(&text, &name, false, &r, &scratch, NULL), AG_OK);
        assert_true(!name || strcmp(name, "order") != 0);
    }
    const char *code = "dcp-7055w", *name;
    ag_rng r = ag_rng_at(1, AG_RNG_TEST, 2, 0, 0, 0);
    assert_int_equal(ag_synth_disturb(&code, &name, true, &r, &scratch, NULL), AG_OK);
    assert_null(name);
    ag_arena_free(&scratch);
}

static void test_real_queries(void **state)
{
    (void)state;
    static const char *const real[] = {"boots", "zzz qqq unheard of", "kettles", "not", "trainers"};
    ag_synth_options o = usual();
    o.pairs = 200;
    o.queries = real;
    o.query_count = sizeof real / sizeof *real;
    o.type_share[AG_SYNTH_REAL] = 1;
    ag_synth *s = make(&o);
    int used = 0;
    for (size_t i = 0; i < s->query_count; i++)
        if (s->queries[i].type == AG_SYNTH_REAL) {
            used++;
            assert_true(strcmp(s->queries[i].text, "zzz qqq unheard of") != 0 &&
                        strcmp(s->queries[i].text, "not") != 0);
        }
    assert_int_equal(used, 3);
    assert_int_equal(s->real_read, 3);
    ag_synth_free(s);
}

static void test_fit(void **state)
{
    (void)state;
    const char *real[80];
    double shares[AG_SYNTH_TYPES], sum = 0;
    for (int i = 0; i < 80; i++) real[i] = i < 60 ? "boots" : i < 76 ? "boots not leather" : "qqq zzz";
    assert_int_equal(ag_synth_fit_shares(shares, facts, lexicon, real, 80, NULL), AG_OK);
    double rest = 1 - ag_synth_catalogue_shares[AG_SYNTH_ABSENT];
    for (int t = 0; t < AG_SYNTH_TYPES; t++) sum += shares[t];
    assert_true(fabs(sum - 1) < 1e-9);
    assert_true(fabs(shares[AG_SYNTH_KIND] - rest * 60 / 76) < 1e-9);
    assert_true(fabs(shares[AG_SYNTH_NEGATION] - rest * 16 / 76) < 1e-9);
    assert_int_equal(ag_synth_fit_shares(shares, facts, lexicon, real, 10, NULL), AG_OK); /* too few */
    assert_memory_equal(shares, ag_synth_catalogue_shares, sizeof shares);
}

static void test_audit(void **state)
{
    (void)state;
    ag_synth_options o = usual();
    o.pairs = 600;
    ag_synth *s = make(&o);
    char folder[] = "/tmp/agrl-audit-XXXXXX";
    assert_non_null(mkdtemp(folder));
    ag_error err = {0};
    if (ag_synth_write_audit(s, book, 60, 1, folder, &err) != AG_OK) fail_msg("%s", err.message);
    static const char *const names[] = {"audit.tsv", "audit-key.tsv"};
    for (int f = 0; f < 2; f++) {
        char *path = ag_path_join(folder, names[f]), *text, *line, *rest = NULL;
        size_t len;
        int rows = 0;
        assert_int_equal(ag_file_read(path, 0, &text, &len, &err), AG_OK);
        for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), rows++) {
            int tabs = 0;
            for (const char *c = line; *c; c++) tabs += *c == '\t';
            assert_int_equal(tabs, f == 0 ? 7 : 6);
            if (rows) assert_int_equal(atoi(line), rows);
            if (rows && f == 0) assert_non_null(strstr(line, "\t\t")); /* the reader's column is empty */
        }
        assert_int_equal(rows, 61);
        ag_free(text);
        ag_free(path);
    }
    ag_dir_remove(folder, &err);
    ag_synth_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels),  cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_disturb), cmocka_unit_test(test_real_queries),
        cmocka_unit_test(test_fit),     cmocka_unit_test(test_audit),
    };
    return cmocka_run_group_tests(tests, setup, close_shop);
}
