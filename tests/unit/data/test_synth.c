/* test_synth.c: the generator on the invented shop: every emitted label follows again from what is emitted, files share no
 * query group, balance, withholding, the parser's figures, the same bytes from the same seed.
 */
#include "unit/data/synth_help.h"

#include "data/pair.h"
#include "data/split.h"

static int setup(void **state)
{
    (void)state;
    if (open_shop(2400) != 0) return -1;
    for (size_t i = 0; i < item_count; i++)
        if (ag_lexicon_add_item(lexicon, &items[i], NULL) != AG_OK) return -1;
    return 0;
}

static ag_synth_options small(void)
{
    ag_synth_options o;
    ag_synth_defaults(&o);
    o.pairs = 2000;
    o.asked_parsed = 0.5;
    return o;
}

static long count_rule(const ag_synth *s, int part, const char *rule)
{
    long n = 0;
    for (size_t i = 0; i < s->pair_count[part]; i++)
        n += s->pairs[part][i].gold.rule == ag_book_rule(book, rule);
    return n;
}

/* --- the shop ------------------------------------------------------------------------------------------------ */

static void test_shop(void **state)
{
    (void)state;
    long per_category[64] = {0}, with_fits = 0;
    double low = 1e9, high = 0;
    assert_true(ag_shop_category_count >= 12);
    for (size_t i = 0; i < item_count; i++) {
        const ag_item *it = &items[i];
        int c = 0;
        while (c < ag_shop_category_count && strcmp(ag_shop_categories[c].name, it->category) != 0) c++;
        assert_true(c < ag_shop_category_count);
        per_category[c]++;
        assert_true(it->id && *it->title && it->brand && *it->description);
        assert_non_null(strstr(it->title, it->brand));
        for (int k = 0; k < it->field_count; k++) with_fits += strcmp(it->fields[k].name, "fits") == 0;
        if (it->has_price && c == 0) {
            low = it->price < low ? it->price : low;
            high = it->price > high ? it->price : high;
        }
        int known = -1; /* every category of the shop is in its facts file */
        const char *names[8];
        assert_int_equal(
            ag_facts_other_categories(facts, it->category, AG_SKILL_SYNONYMS, names, 8, &known, NULL), AG_OK);
        assert_int_equal(ag_facts_category(facts, it->category, it->category), AG_REL_SAME);
    }
    for (int c = 0; c < ag_shop_category_count; c++) assert_true(per_category[c] > 50);
    assert_true(with_fits > 100);
    assert_true(high > 3 * low); /* brands have their price bands */
}

/* A larger shop begins like a smaller one, another seed is another shop. */
static void test_shop_seed(void **state)
{
    (void)state;
    ag_shop_options o;
    ag_arena a = {.name = "a"};
    ag_item *one, *two;
    size_t n;
    ag_shop_defaults(&o);
    o.products = 300;
    assert_int_equal(ag_shop_invent(&one, &n, &o, &a, NULL), AG_OK);
    for (size_t i = 0; i < n; i++) assert_string_equal(one[i].title, items[i].title);
    o.seed = 2;
    assert_int_equal(ag_shop_invent(&two, &n, &o, &a, NULL), AG_OK);
    int same = 0;
    for (size_t i = 0; i < n; i++) same += strcmp(one[i].title, two[i].title) == 0;
    assert_true(same < 30);
    o.products = 0;
    assert_int_equal(ag_shop_invent(&two, &n, &o, &a, NULL), AG_ERR_USAGE);
    ag_arena_free(&a);
}

/* --- labels -------------------------------------------------------------------------------------------------- */

static void reference_of(const json_t *line, ag_item *x)
{
    const json_t *r = json_object_get(line, "reference"), *price;
    *x = (ag_item){.title = ""};
    if (!r) return;
    x->id = json_string_value(json_object_get(r, "id"));
    x->title = json_string_value(json_object_get(r, "title"));
    x->brand = json_string_value(json_object_get(r, "brand"));
    x->category = json_string_value(json_object_get(r, "category"));
    price = json_object_get(r, "price");
    x->has_price = price != NULL;
    x->price = json_number_value(price);
}

/* Reads each emitted line back through the pair format and derives its label again from nothing but the line. */
static void test_labels_follow(void **state)
{
    (void)state;
    ag_synth_options o = small();
    ag_synth *s = make(&o);
    long checked = 0, parsed = 0;
    for (int p = 0; p < AG_SYNTH_PARTS; p++) {
        assert_true((long)s->pair_count[p] >= s->wanted[p] - 2);
        for (size_t i = 0; i < s->pair_count[p]; i++) {
            json_t *line = ag_synth_pair_json(&s->pairs[p][i], book, (long)i);
            ag_pair *pair = NULL;
            ag_error err = {0};
            ag_gold again;
            ag_item reference;
            assert_non_null(line);
            if (ag_pair_from_json(&pair, line, "t", (long)i + 1, book, AG_AGGREGATE_GIVEN, &err) != AG_OK)
                fail_msg("%s", err.message);
            reference_of(line, &reference);
            const char *wanted = json_string_value(json_object_get(line, "category"));
            assert_int_equal(ag_facts_gold(&again, facts, book, &pair->asked, &pair->item, wanted,
                                           json_object_get(line, "reference") ? &reference : NULL,
                                           &pair->arena, &err),
                             AG_OK);
            assert_int_equal(again.tier, pair->gold.tier);
            assert_int_equal(again.rule, pair->gold.rule);
            for (int a = 0; a < pair->asked.count; a++)
                assert_int_equal(again.verdicts.v[1][a], pair->gold.verdicts.v[1][a]);
            assert_int_equal(again.verdicts.v[0][0], pair->gold.verdicts.v[0][0]);
            assert_string_equal(again.why, pair->gold.why);
            assert_true(*again.why && !strchr(again.why, '\n') &&
                        ag_utf8_count(again.why, strlen(again.why)) <= 160);
            parsed += s->pairs[p][i].parsed;
            checked++;
            ag_pair_free(pair);
            json_decref(line);
        }
    }
    assert_true(checked > 1950);
    assert_true(parsed > (long)(0.35 * (double)s->pair_count[AG_SYNTH_SFT]));
    ag_synth_free(s);
}

/* Every rule of the book decides some pair, every type and comparator occurs. */
static void test_coverage(void **state)
{
    (void)state;
    ag_synth_options o = small();
    ag_synth *s = make(&o);
    for (int r = 0; r < book->rule_count; r++) {
        assert_true(count_rule(s, AG_SYNTH_SFT, book->rules[r].id) > 5);
        assert_true(count_rule(s, AG_SYNTH_TEST, book->rules[r].id) > 0);
    }
    unsigned skills = 0;
    long types[AG_SYNTH_TYPES] = {0};
    for (size_t i = 0; i < s->pair_count[AG_SYNTH_SFT]; i++) {
        skills |= s->pairs[AG_SYNTH_SFT][i].skills;
        types[s->pairs[AG_SYNTH_SFT][i].query->type]++;
    }
    assert_int_equal(skills, AG_SKILL_UNITS | AG_SKILL_SYNONYMS | AG_SKILL_HIERARCHY | AG_SKILL_TEXT);
    for (int t = 0; t < AG_SYNTH_TYPES; t++) {
        double share = (double)types[t] / (double)s->pair_count[AG_SYNTH_SFT];
        assert_true(share > o.type_share[t] - 0.03 && share < o.type_share[t] + 0.03);
    }
    ag_synth_free(s);
}

static void test_balance(void **state)
{
    (void)state;
    ag_synth_options o = small();
    o.tier_share[0] = 0.4, o.tier_share[1] = 0.3, o.tier_share[2] = 0.2, o.tier_share[3] = 0.1;
    ag_synth *s = make(&o);
    for (int p = 0; p < AG_SYNTH_PARTS; p++) {
        long count[4] = {0};
        for (size_t i = 0; i < s->pair_count[p]; i++) count[s->pairs[p][i].gold.tier]++;
        for (int t = 0; t < 4; t++) {
            double share = (double)count[t] / (double)s->pair_count[p];
            assert_true(share > o.tier_share[t] - 0.02 && share < o.tier_share[t] + 0.02);
        }
    }
    ag_synth_free(s);
}

/* --- splits -------------------------------------------------------------------------------------------------- */

static void test_groups_disjoint(void **state)
{
    (void)state;
    ag_synth_options o = small();
    ag_synth *s = make(&o);
    const char **queries = calloc(s->query_count, sizeof *queries);
    int *part = calloc(s->query_count, sizeof *part), *of_group = calloc(s->query_count, sizeof *of_group);
    uint32_t *group = calloc(s->query_count, sizeof *group);
    size_t n = 0;
    for (int p = 0; p < AG_SYNTH_PARTS; p++)
        for (size_t i = 0; i < s->pair_count[p]; i++) {
            const char *text = s->pairs[p][i].query->text;
            if (n && strcmp(queries[n - 1], text) == 0) continue;
            queries[n] = text;
            part[n++] = p;
        }
    assert_true(n > 300);
    assert_int_equal(ag_query_groups(queries, n, group, NULL), AG_OK);
    for (size_t i = 0; i < n; i++) of_group[i] = -1;
    for (size_t i = 0; i < n; i++) {
        if (of_group[group[i]] < 0) of_group[group[i]] = part[i];
        if (of_group[group[i]] != part[i]) fail_msg("'%s' is in two files", queries[i]);
    }
    free(queries);
    free(part);
    free(of_group);
    free(group);
    ag_synth_free(s);
}

/* Products of tests are never trained on; held-out brands and categories stand in test_unseen only. */
static void test_unseen(void **state)
{
    (void)state;
    ag_synth_options o = small();
    ag_synth *s = make(&o);
    long brands = 0, categories = 0;
    for (int p = 0; p < AG_SYNTH_PARTS; p++)
        for (size_t i = 0; i < s->pair_count[p]; i++) {
            const ag_synth_pair *pair = &s->pairs[p][i];
            assert_int_equal(pair->unseen_product, p == AG_SYNTH_TEST || p == AG_SYNTH_UNSEEN);
            assert_int_equal(pair->unseen_brand || pair->unseen_category, p == AG_SYNTH_UNSEEN);
            brands += pair->unseen_brand;
            categories += pair->unseen_category;
        }
    assert_true(brands > 10 && categories > 10);
    for (size_t i = 0; i < s->pair_count[AG_SYNTH_UNSEEN]; i++) {
        const ag_synth_pair *u = &s->pairs[AG_SYNTH_UNSEEN][i];
        for (size_t k = 0; u->unseen_brand && k < s->pair_count[AG_SYNTH_SFT]; k++)
            assert_string_not_equal(u->item->brand, s->pairs[AG_SYNTH_SFT][k].item->brand);
    }
    ag_synth_free(s);
}

static void test_refused(void **state)
{
    (void)state;
    ag_synth_options o = small();
    ag_synth *s = make(&o);
    const char *refused[50];
    for (int i = 0; i < 50; i++) refused[i] = s->queries[i * 3].text;
    o.refused = refused;
    o.refused_count = 50;
    ag_synth *t = make(&o);
    for (size_t i = 0; i < t->query_count; i++)
        for (int k = 0; k < 50; k++) {
            ag_str a = {0}, b = {0};
            assert_int_equal(ag_query_group(&a, t->queries[i].text, NULL), AG_OK);
            assert_int_equal(ag_query_group(&b, refused[k], NULL), AG_OK);
            assert_string_not_equal(ag_str_text(&a), ag_str_text(&b));
            ag_str_free(&a);
            ag_str_free(&b);
        }
    ag_synth_free(s);
    ag_synth_free(t);
}

/* --- withholding --------------------------------------------------------------------------------------------- */

static bool same_part(const ag_synth *a, const ag_synth *b, int p)
{
    if (a->pair_count[p] != b->pair_count[p]) return false;
    for (size_t i = 0; i < a->pair_count[p]; i++)
        if (a->pairs[p][i].item != b->pairs[p][i].item ||
            strcmp(a->pairs[p][i].query->text, b->pairs[p][i].query->text) != 0 ||
            a->pairs[p][i].gold.rule != b->pairs[p][i].gold.rule)
            return false;
    return true;
}

static void test_withhold(void **state)
{
    (void)state;
    ag_synth_options o = small();
    ag_synth *plain = make(&o);
    o.withhold = "R5";
    ag_synth *without = make(&o);
    o.relabel = true;
    ag_synth *relabelled = make(&o);
    assert_true(count_rule(plain, AG_SYNTH_SFT, "R5") > 30);
    assert_int_equal(count_rule(without, AG_SYNTH_SFT, "R5"), 0);
    assert_int_equal(count_rule(relabelled, AG_SYNTH_SFT, "R5"), 0);
    for (int p = AG_SYNTH_RL; p < AG_SYNTH_PARTS; p++) {
        assert_true(count_rule(without, p, "R5") > 0);
        assert_true(same_part(plain, without, p) && same_part(plain, relabelled, p));
    }
    /* Relabelled: as many pairs as the rule decided; what decides is what the book without it says. */
    long changed = 0;
    int r5 = ag_book_rule(book, "R5");
    for (size_t i = 0; i < relabelled->pair_count[AG_SYNTH_SFT]; i++) {
        const ag_synth_pair *pair = &relabelled->pairs[AG_SYNTH_SFT][i];
        const ag_asked *asked = pair->parsed ? &pair->query->parsed : &pair->query->asked;
        int tier, rule;
        ag_derive(book, asked, &pair->gold.verdicts, &tier, &rule);
        assert_int_equal(rule == r5, pair->relabelled);
        if (!pair->relabelled) continue;
        changed++;
        ag_book rest = *book;
        ag_rule rules[AG_MAX_RULES];
        for (int k = 0, n = 0; k < book->rule_count; k++)
            if (k != r5) rules[n++] = book->rules[k];
        rest.rules = rules;
        rest.rule_count--;
        ag_derive(&rest, asked, &pair->gold.verdicts, &tier, &rule);
        assert_int_equal(pair->gold.tier, tier);
        assert_string_equal(book->rules[pair->gold.rule].id, rules[rule].id);
    }
    assert_int_equal(changed, count_rule(plain, AG_SYNTH_SFT, "R5"));
    ag_synth_free(plain);
    ag_synth_free(without);
    ag_synth_free(relabelled);
}

static void test_withhold_skill(void **state)
{
    (void)state;
    for (unsigned bit = 1; bit <= AG_SKILL_HIERARCHY; bit <<= 1) {
        ag_synth_options o = small();
        long others = 0;
        o.withhold_skills = bit;
        ag_synth *s = make(&o);
        for (size_t i = 0; i < s->pair_count[AG_SYNTH_SFT]; i++)
            assert_false(s->pairs[AG_SYNTH_SFT][i].skills & bit);
        for (int p = AG_SYNTH_RL; p < AG_SYNTH_PARTS; p++)
            for (size_t i = 0; i < s->pair_count[p]; i++) others += (s->pairs[p][i].skills & bit) != 0;
        assert_true(others > 10);
        ag_synth_free(s);
    }
}

/* --- the parser's figures ------------------------------------------------------------------------------------ */

static void test_parser(void **state)
{
    (void)state;
    ag_synth_options o = small();
    ag_synth *s = make(&o);
    double precision = (double)s->agreed_entries / (double)s->parsed_entries;
    double recall = (double)s->agreed_entries / (double)s->asked_entries;
    long types = 0, categories = 0;
    for (size_t i = 0; i < s->query_count; i++) {
        const ag_synth_query *q = &s->queries[i];
        bool same = q->asked.type_count == q->parsed.type_count;
        for (int t = 0; same && t < q->asked.type_count; t++)
            same = strcmp(q->asked.types[t], q->parsed.types[t]) == 0;
        types += same;
        categories += q->parsed_category &&
                      ag_facts_category(facts, q->wanted, q->parsed_category) == AG_REL_SAME;
    }
    print_message("parser on %zu queries: precision %.3f, recall %.3f, types %.3f, category %.3f\n",
                  s->query_count, precision, recall, (double)types / (double)s->query_count,
                  (double)categories / (double)s->query_count);
    assert_true(precision >= 0.9 && recall >= 0.9);
    assert_true((double)types >= 0.9 * (double)s->query_count &&
                (double)categories >= 0.9 * (double)s->query_count);
    ag_synth_free(s);
}

/* --- files, seeds, refusals ---------------------------------------------------------------------------------- */

static void write_to(const ag_synth_options *o, const char *dir)
{
    ag_synth *s = make(o);
    ag_error err = {0};
    if (ag_synth_write(s, book, dir, &err) != AG_OK) fail_msg("%s", err.message);
    ag_synth_free(s);
}

static void test_same_bytes(void **state)
{
    (void)state;
    char dir[] = "/tmp/agrl-synth-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *one = ag_path_join(dir, "one"), *two = ag_path_join(dir, "two"),
         *three = ag_path_join(dir, "three");
    ag_synth_options o = small();
    write_to(&o, one);
    write_to(&o, two);
    write_to(&o, two); /* over what is there */
    o.seed = 2;
    write_to(&o, three);
    for (int p = 0; p < AG_SYNTH_PARTS; p++) {
        char name[32], *data[3];
        size_t n[3];
        snprintf(name, sizeof name, "%s.jsonl", ag_synth_part_names[p]);
        const char *dirs[3] = {one, two, three};
        for (int k = 0; k < 3; k++) {
            char *path = ag_path_join(dirs[k], name);
            assert_int_equal(ag_file_read(path, 0, &data[k], &n[k], NULL), AG_OK);
            ag_free(path);
        }
        assert_int_equal(n[0], n[1]);
        assert_memory_equal(data[0], data[1], n[0]);
        assert_true(n[0] != n[2] || memcmp(data[0], data[2], n[0]) != 0);
        for (int k = 0; k < 3; k++) ag_free(data[k]);
    }
    assert_int_equal(ag_dir_remove(dir, NULL), AG_OK);
    ag_free(one);
    ag_free(two);
    ag_free(three);
}

static void test_refusals(void **state)
{
    (void)state;
    ag_synth *s = NULL;
    ag_error err = {0};
    ag_synth_options o = small();
    o.withhold = "R55";
    assert_int_equal(ag_synth_run(&s, items, item_count, facts, book, lexicon, &o, &err), AG_ERR_USAGE);
    assert_non_null(strstr(err.message, "did you mean 'R5'"));
    o = small();
    o.relabel = true;
    assert_int_equal(ag_synth_run(&s, items, item_count, facts, book, lexicon, &o, &err), AG_ERR_USAGE);
    o = small();
    o.pairs = 0;
    assert_int_equal(ag_synth_run(&s, items, item_count, facts, book, lexicon, &o, &err), AG_ERR_USAGE);
    o = small();
    memset(o.type_share, 0, sizeof o.type_share);
    assert_int_equal(ag_synth_run(&s, items, item_count, facts, book, lexicon, &o, &err), AG_ERR_USAGE);
    o = small();
    o.part_share[0] = -1;
    assert_int_equal(ag_synth_run(&s, items, item_count, facts, book, lexicon, &o, &err), AG_ERR_USAGE);
    o = small();
    assert_int_equal(ag_synth_run(&s, items, 1, facts, book, lexicon, &o, &err), AG_ERR_INPUT);
    assert_int_equal(ag_synth_run(&s, items, 0, facts, book, lexicon, &o, &err), AG_ERR_INPUT);
    assert_null(s);
}

/* Odd catalogues end with fewer pairs, never with a crash: no attributes, no prices, one product a category. */
static void test_thin_catalogues(void **state)
{
    (void)state;
    ag_item thin[40];
    char ids[40][16];
    for (int i = 0; i < 40; i++) {
        snprintf(ids[i], sizeof ids[i], "t%d", i);
        thin[i] = (ag_item){.id = ids[i],
                            .title = "thing",
                            .category = i % 3 == 0   ? "boots"
                                        : i % 3 == 1 ? "kettles"
                                                     : NULL};
    }
    for (int n = 2; n <= 40; n += 19) {
        ag_synth_options o = small();
        ag_synth *s = NULL;
        ag_error err = {0};
        o.pairs = 200;
        ag_status status = ag_synth_run(&s, thin, (size_t)n, facts, book, lexicon, &o, &err);
        assert_true(status == AG_OK || status == AG_ERR_INPUT);
        ag_synth_free(s);
    }
}

static void test_memory(void **state)
{
    (void)state;
    ag_synth_options o = small();
    o.pairs = 30;
    o.withhold = "R5";
    o.relabel = true;
    for (long n = 1;; n += 1 + n / 8) {
        ag_synth *s = NULL;
        ag_mem_fail_at(n, true);
        ag_status status = ag_synth_run(&s, items, 200, facts, book, lexicon, &o, NULL);
        ag_mem_fail_at(0, false);
        if (status == AG_OK) {
            ag_synth_free(s);
            assert_true(n > 100);
            break;
        }
        assert_int_equal(status, AG_ERR_MEMORY);
        assert_null(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shop),          cmocka_unit_test(test_shop_seed),
        cmocka_unit_test(test_labels_follow), cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_balance),       cmocka_unit_test(test_groups_disjoint),
        cmocka_unit_test(test_unseen),        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_withhold),      cmocka_unit_test(test_withhold_skill),
        cmocka_unit_test(test_parser),        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_refusals),      cmocka_unit_test(test_thin_catalogues),
        cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, setup, close_shop);
}
