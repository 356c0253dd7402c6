/* test_check.c: `agrl rules check` against known mistakes, and on random books against a search that knows nothing of its
 * short cuts: every entry of every kind, every verdict, every set of types.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "rules/when.h"
#include "unit/rules/random_book.h"

static ag_book *parse(const char *text)
{
    ag_book *book = NULL;
    ag_error err = {0};
    if (ag_book_parse(&book, text, strlen(text), "b.yaml", &err) != AG_OK)
        fail_msg("%s\n%s", err.message, text);
    return book;
}

/* The report; *problems its number of problems. Freed by the caller. */
static char *check(const ag_book *book, long bound, long samples, int *problems)
{
    ag_str out = {0};
    ag_error err = {0};
    assert_int_equal(ag_book_check(book, bound, samples, &out, problems, &err), AG_OK);
    return ag_str_take(&out);
}

static void test_shipped(void **state)
{
    (void)state;
    static const char *const names[] = {"shop", "general-4tier", "esci"};
    for (int i = 0; i < 3; i++) {
        char path[512];
        ag_book *book = NULL;
        int problems;
        snprintf(path, sizeof(path), "%s/rules/%s.yaml", AGRL_SOURCE_DIR, names[i]);
        assert_int_equal(ag_book_load(&book, path, NULL), AG_OK);
        for (int sampled = 0; sampled < 2; sampled++) {
            char *report = check(book, sampled ? 1 : 200000, 20000, &problems);
            if (problems) fail_msg("%s", report);
            assert_true((strstr(report, "a sample with") != NULL) == sampled);
            ag_free(report);
        }
        ag_book_free(book);
    }
}

#define HEAD                                                                                                 \
    "rulebook: t\ntiers: [{id: A}, {id: B}, {id: C}]\n"                                                      \
    "criteria:\n  - {id: cat, verdicts: [X, Y, Z]}\n  - {id: attr, per: asked, verdicts: [M, N]}\nrules:\n"

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *rules;
        int problems;
        const char *report;
    } rows[] = {
        {"  - {id: R1, when: cat == Z, cap: C}\n  - {id: R2, when: cat == Y, cap: B}\n"
         "  - {id: R0, when: otherwise, cap: A}\n",
         0, "note: no rule looks at criterion 'attr'\nno problems\n"},
        {"  - {id: R1, when: cat == Z, cap: C}\n  - {id: R2, when: cat == Y, cap: B}\n"
         "  - {id: R3, when: cat == Y and cat == Z, cap: B}\n  - {id: R0, when: otherwise, cap: A}\n",
         1, "problem: b.yaml:9:5: rule R3 never holds\n"},
        {"  - {id: R1, when: \"cat in [Y, Z]\", cap: C}\n  - {id: R2, when: cat == Y, cap: B}\n"
         "  - {id: R0, when: otherwise, cap: A}\n",
         2, "problem: b.yaml:8:5: rule R2 holds but never decides; where it holds, R1 decides\n"},
        {"  - {id: R1, when: \"cat in [Y, Z]\", cap: C}\n  - {id: R0, when: otherwise, cap: A}\n", 1,
         "problem: tier B (B) is never reached\n"},
        {"  - {id: R1, when: cat == Y, cap: C}\n  - {id: R2, when: cat == Z, cap: B}\n"
         "  - {id: R0, when: otherwise, cap: A}\n",
         1,
         "problem: a worse verdict raises the tier: cat from Y to Z turns tier C (R1) into B (R2); for "
         "example at cat=Y\n"},
        {"  - {id: R1, when: cat == Z, cap: C}\n  - {id: R2, when: cat == Y, cap: B}\n", 1,
         "problem: no rule decides, so an answer has none to name; add a rule `when: otherwise`; for example "
         "at cat=X\n"},
        {"  - {id: R1, when: \"any(attr, core) == M\", cap: C}\n  - {id: R2, when: \"any(attr, core) == N\", "
         "cap: B}\n"
         "  - {id: R0, when: otherwise, cap: A}\n",
         1,
         "problem: a worse verdict raises the tier: attr [any attribute] (core) from M to N turns tier C "
         "(R1) into B "
         "(R2); for example at attr=[any attribute] (core):M\n"},
        {"  - {id: R1, when: query.type == q and query.type == r and cat == Z, cap: C}\n"
         "  - {id: R2, when: cat == Z, cap: B}\n  - {id: R0, when: otherwise, cap: A}\n",
         0, "no problems\n"},
        {"  - {id: R1, when: \"count(attr, N) >= 7\", cap: C}\n  - {id: R2, when: \"share(attr, N) > 0.85\", "
         "cap: B}\n"
         "  - {id: R0, when: otherwise, cap: A}\n",
         0, "a sample with up to 10 asked entries"},
        {"  - {id: R1, when: \"count(attr, N) >= 33\", cap: C}\n  - {id: R2, when: cat == Y or cat == Z, "
         "cap: B}\n"
         "  - {id: R0, when: otherwise, cap: A}\n",
         2, "problem: b.yaml:7:5: rule R1 never holds"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ag_str text = {0};
        int problems;
        ag_str_add(&text, HEAD);
        ag_str_add(&text, rows[i].rules);
        ag_book *book = parse(ag_str_text(&text));
        char *report = check(book, 200000, 20000, &problems);
        if (problems != rows[i].problems || !strstr(report, rows[i].report))
            fail_msg("row %zu, %d problems:\n%s", i, problems, report);
        ag_free(report);
        ag_book_free(book);
        ag_str_free(&text);
    }
}

/* --- a search without short cuts ---------------------------------------------------------------------------- */

typedef struct found {
    bool holds[AG_MAX_RULES], decides[AG_MAX_RULES], reached[AG_MAX_TIERS], undecided, raises;
} found;

/* Every verdict from axis `axis` on; axes run over the criteria and then, for one each asked entry, the entries. */
static void search_verdicts(const ag_book *book, ag_asked *asked, ag_verdicts *v, int c, int e, found *f)
{
    if (c < book->criterion_count) {
        int entries = book->criteria[c].per_asked ? asked->count : 1;
        if (e >= entries) {
            search_verdicts(book, asked, v, c + 1, 0, f);
            return;
        }
        for (int n = 0; n < book->criteria[c].verdict_count; n++) {
            v->v[c][e] = (int8_t)n;
            search_verdicts(book, asked, v, c, e + 1, f);
        }
        return;
    }
    int tier, rule, worse, ignored;
    bool any = false;
    ag_derive(book, asked, v, &tier, &rule);
    for (int r = 0; r < book->rule_count; r++)
        if (book->rules[r].condition && ag_when_holds(book->rules[r].condition, asked, v))
            any = f->holds[r] = true;
    for (int r = 0; r < book->rule_count; r++)
        if (!book->rules[r].condition && !any) f->holds[r] = true;
    f->reached[tier] = true;
    if (rule < 0)
        f->undecided = true;
    else
        f->decides[rule] = true;
    for (int k = 0; k < book->criterion_count; k++)
        for (int i = 0; i < (book->criteria[k].per_asked ? asked->count : 1); i++)
            for (int n = v->v[k][i] + 1; n < book->criteria[k].verdict_count;
                 n++) { /* any worse one, not the next */
                ag_verdicts changed = *v;
                changed.v[k][i] = (int8_t)n;
                ag_derive(book, asked, &changed, &worse, &ignored);
                if (worse < tier) f->raises = true;
            }
}

static void search_all(const random_book *b, const ag_book *book, found *f)
{
    ag_ask kinds[4 * (RB_ATTRIBUTES + 1)], entries[2];
    int kind_count = 4 * (b->attributes + 1);
    for (int k = 0; k < kind_count; k++) {
        const char *name = k / 4 < b->attributes ? b->attribute[k / 4] : "unlisted";
        kinds[k] = (ag_ask){.id = name, .name = name, .core = k & 1, .negated = (k & 2) != 0};
    }
    for (int set = 0; set < b->types + 2; set++) {
        ag_asked asked = {.source = AG_ASKED_GIVEN, .entries = entries};
        for (int t = 0; t < b->types; t++)
            if (set == t + 1 || set == b->types + 1) asked.types[asked.type_count++] = b->type[t];
        for (int count = 0; count <= 2; count++)
            for (int p = 0; p < kind_count * kind_count; p++) {
                ag_verdicts v;
                if ((count == 0 && p > 0) || (count == 1 && p >= kind_count)) break;
                ag_verdicts_clear(&v);
                asked.count = count;
                entries[0] = kinds[p % kind_count], entries[1] = kinds[p / kind_count];
                search_verdicts(book, &asked, &v, 0, 0, f);
            }
    }
}

/* What two entries show, three must show too; what the check denies, two may not show. The random conditions are kept to
 * forms that three entries do not make truer than two: one quantifier or a plain verdict. */
static void test_random(void **state)
{
    (void)state;
    static rb_pool pool;
    int faults = 0, sound = 0;
    for (uint64_t i = 0; i < 250; i++) {
        ag_rng rng = ag_rng_at(5, AG_RNG_TEST, i, 0, 0, 0);
        random_book b;
        ag_str yaml = {0};
        static found f;
        int rules = 1 + (int)ag_rng_below(&rng, 5), problems;
        do rb_make(&b, &rng, 2);
        while (b.criteria == 0 || b.tiers > 4 || b.attributes > 2 || b.types > 2);
        for (int c = 0; c < b.criteria; c++)
            if (b.criterion[c].count > 3) b.criterion[c].count = 3;
        rb_yaml(&yaml, &b);
        ag_str_add(&yaml, "rules:\n");
        for (int r = 0; r < rules; r++) {
            char id[16];
            ag_str when = {0};
            snprintf(id, sizeof(id), "R%d", r);
            rb_node *leaf;
            do {
                pool.used = 0;
                leaf = rb_leaf(&b, &rng, &pool);
            } while (leaf->kind == RB_COUNT || leaf->kind == RB_SHARE);
            rb_write(&when, &rng, &b, leaf, RB_OR);
            rb_rule(&yaml, id, r == rules - 1 && ag_rng_below(&rng, 3) ? NULL : ag_str_text(&when),
                    b.tier[ag_rng_below(&rng, (uint32_t)b.tiers)]);
            ag_str_free(&when);
        }
        ag_book *book = parse(ag_str_text(&yaml));
        memset(&f, 0, sizeof(f));
        search_all(&b, book, &f);
        char *report = check(book, 10000000, 1000, &problems);
        assert_null(strstr(report, "a sample with"));
        int expected = 0;
        for (int r = 0; r < book->rule_count; r++) {
            char never[64], shadowed[64];
            snprintf(never, sizeof(never), "rule R%d never holds", r);
            snprintf(shadowed, sizeof(shadowed), "rule R%d holds but never decides", r);
            bool reported = strstr(report, never) || strstr(report, shadowed);
            if (f.decides[r] && reported) fail_msg("R%d decides\n%s\n%s", r, ag_str_text(&yaml), report);
            if (f.holds[r] && strstr(report, never)) fail_msg("R%d holds\n%s", r, report);
            if (!f.decides[r] && !reported)
                fail_msg("R%d does not decide\n%s\n%s", r, ag_str_text(&yaml), report);
            expected += !f.decides[r];
        }
        for (int t = 0; t < book->tier_count; t++) expected += !f.reached[t];
        expected += f.undecided;
        assert_true((strstr(report, "no rule decides") != NULL) == f.undecided);
        if ((strstr(report, "raises the tier") != NULL) != f.raises)
            fail_msg("%s\n%s", ag_str_text(&yaml), report);
        if (f.raises ? problems <= expected : problems != expected)
            fail_msg("%d problems, %d expected\n%s\n%s", problems, expected, ag_str_text(&yaml), report);
        faults += f.raises, sound += problems == 0;
        ag_free(report);
        ag_book_free(book);
        ag_str_free(&yaml);
    }
    assert_true(faults > 20 && sound > 2);
}

/* The largest book, sampled, does not take long. */
static void test_large(void **state)
{
    (void)state;
    ag_str text = {0};
    int problems;
    ag_str_add(&text, "rulebook: t\ntiers: [{id: A}, {id: B}]\ncriteria:\n");
    for (int c = 0; c < AG_MAX_CRITERIA; c++) {
        ag_str_addf(&text, "  - {id: c%d, %sverdicts: [", c, c % 2 ? "per: asked, " : "");
        for (int v = 0; v < AG_MAX_VERDICTS; v++) ag_str_addf(&text, "V%d,", v);
        ag_str_add(&text, "]}\n");
    }
    ag_str_add(&text, "attributes:\n");
    for (int a = 0; a < 100; a++) ag_str_addf(&text, "  a%d:\n", a);
    ag_str_add(&text, "rules:\n");
    for (int r = 0; r < AG_MAX_RULES; r++)
        ag_str_addf(&text,
                    "  - {id: R%d, when: \"c%d == V%d and any(c%d, a%d+core) == V%d and query.type == t%d\", "
                    "cap: B}\n",
                    r, r % 8 * 2, r % 64, r % 8 * 2 + 1, r % 100, r % 63, r % 90);
    ag_book *book = parse(ag_str_text(&text));
    clock_t start = clock();
    char *report = check(book, 200000, 2000, &problems);
    assert_true((clock() - start) / CLOCKS_PER_SEC < 30);
    assert_non_null(strstr(report, "a sample with"));
    ag_free(report);
    ag_book_free(book);
    ag_str_free(&text);
}

static void test_memory(void **state)
{
    (void)state;
    ag_book *book = parse(HEAD "  - {id: R1, when: \"any(attr) == N\", cap: C}\n");
    ag_status status = AG_ERR_MEMORY;
    long n = 1;
    for (; status != AG_OK; n++) {
        ag_str out = {0};
        ag_error err = {0};
        int problems;
        ag_mem_fail_at(n, true);
        status = ag_book_check(book, 1000, 100, &out, &problems, &err);
        ag_mem_fail_at(0, false);
        if (status != AG_OK) assert_int_equal(status, AG_ERR_MEMORY);
        ag_str_free(&out);
    }
    assert_true(n > 3);
    ag_book_free(book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shipped), cmocka_unit_test(test_mistakes), cmocka_unit_test(test_random),
        cmocka_unit_test(test_large),   cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
