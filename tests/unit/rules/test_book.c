/* test_book.c: rulebooks in: round trips of random books in several scripts, every default, every refusal with its
 * place, hostile files, and every allocation failing in turn.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/digest.h"
#include "base/file.h"
#include "unit/rules/random_book.h"

#define BOOK(name) AGRL_SOURCE_DIR "/rules/" name

static ag_book *parse(const char *text)
{
    ag_book *book = NULL;
    ag_error err = {0};
    if (ag_book_parse(&book, text, strlen(text), "b", &err) != AG_OK) fail_msg("%s", err.message);
    return book;
}

/* --- what is read ------------------------------------------------------------------------------------------- */

static void test_random(void **state)
{
    (void)state;
    int criteria[RB_CRITERIA + 1] = {0}, tiers[RB_TIERS + 1] = {0};
    for (uint64_t i = 0; i < 1500; i++) {
        ag_rng rng = ag_rng_at(3, AG_RNG_TEST, i, 0, 0, 0);
        random_book b;
        ag_str yaml = {0};
        ag_error err = {0};
        ag_book *book = NULL;
        rb_make(&b, &rng, RB_CRITERIA);
        rb_yaml(&yaml, &b);
        ag_str_add(&yaml, "rules:\n");
        for (int t = 0; t < b.tiers; t++) {
            char id[16];
            snprintf(id, sizeof(id), "R%d", t);
            rb_rule(&yaml, id, t ? "query.type == x" : NULL, b.tier[t]);
        }
        if (ag_book_parse(&book, ag_str_text(&yaml), yaml.len, "random.yaml", &err) != AG_OK)
            fail_msg("%s\n%s", err.message, ag_str_text(&yaml));
        assert_int_equal(book->tier_count, b.tiers);
        for (int t = 0; t < b.tiers; t++) {
            assert_string_equal(book->tiers[t].id, b.tier[t]);
            assert_string_equal(book->tiers[t].name, b.tier[t]);
            assert_true(book->tiers[t].gain == b.gain[t] && book->tiers[t].good == (t == 0));
            assert_int_equal(ag_book_tier(book, b.tier[t]), t);
            assert_int_equal(book->rules[t].cap, t);
            assert_true((book->rules[t].condition == NULL) == (t == 0));
        }
        assert_int_equal(book->criterion_count, b.criteria);
        for (int c = 0; c < b.criteria; c++) {
            const ag_criterion *made = &book->criteria[c];
            assert_string_equal(made->id, b.criterion[c].id);
            assert_int_equal(ag_book_criterion(book, made->id), c);
            assert_int_equal(made->per_asked, b.criterion[c].per_asked);
            assert_true(made->weight == b.criterion[c].weight);
            assert_int_equal(made->verdict_count, b.criterion[c].count);
            for (int v = 0; v < made->verdict_count; v++) {
                assert_string_equal(made->verdicts[v], b.criterion[c].verdicts[v]);
                assert_int_equal(ag_criterion_verdict(made, b.criterion[c].verdicts[v]), v);
            }
        }
        assert_int_equal(book->attribute_count, b.attributes + 1);
        for (int a = 0; a < b.attributes; a++) {
            assert_string_equal(ag_book_attribute(book, b.attribute[a])->name, b.attribute[a]);
            assert_int_equal(ag_book_attribute(book, b.attribute[a])->core, b.core[a]);
        }
        criteria[b.criteria]++, tiers[b.tiers]++;
        ag_book_free(book);
        ag_str_free(&yaml);
    }
    for (int c = 0; c <= RB_CRITERIA; c++) assert_true(criteria[c] > 0);
    for (int t = 2; t <= RB_TIERS; t++) assert_true(tiers[t] > 0);
}

static void test_defaults(void **state)
{
    (void)state;
    ag_book *book = parse("rulebook: small\n"
                          "tiers: [{id: A}, {id: B}, {id: C}, {id: D}]\n"
                          "criteria: [{id: cat, verdicts: [YES, NO]}]\n"
                          "rules: [{id: R1, when: cat == NO, cap: D}]\n"
                          "why: null\n");
    assert_string_equal(book->name, "small");
    assert_string_equal(book->version, "1");
    assert_string_equal(book->language, "en");
    assert_int_equal(book->order, AG_RESPOND_THEN_THINK);
    assert_false(book->why_required);
    assert_int_equal(book->why_chars, 160);
    assert_null(book->facts_path);
    assert_true(book->weight_tier == 1.0 && book->weight_rule == 0.1 && book->format_penalty == 0.5);
    assert_true(book->tiers[0].gain == 7 && book->tiers[1].gain == 3 && book->tiers[2].gain == 1);
    assert_true(book->tiers[3].gain == 0 && book->tiers[1].good && !book->tiers[2].good);
    assert_string_equal(book->tiers[2].name, "C");
    assert_true(book->criteria[0].weight == 0.2 && book->criteria[0].from == AG_FROM_NONE);
    for (int r = 0; r < AG_REL_COUNT; r++) assert_int_equal(book->criteria[0].map[r], -1);
    assert_int_equal(book->attribute_count, 1);
    assert_string_equal(book->attributes[0].name, "default");
    assert_false(book->attributes[0].core);
    assert_string_equal(book->rules[0].text, "cat == NO");
    assert_true(book->rules[0].line == 4 && book->rules[0].column == 9);
    assert_ptr_equal(ag_book_attribute(book, "anything"), &book->attributes[0]);
    assert_int_equal(ag_book_rule(book, "R2"), -1);
    ag_book_free(book);
}

static void test_everything(void **state)
{
    (void)state;
    ag_book *book = parse(
        "rulebook: full\nversion: 2.1\nlanguage: de\norder: think_then_respond\nwhy: required\nwhy_chars: "
        "99\n"
        "instruction: |\n  Erste Zeile.\n  Zweite.\n\n"
        "tiers:\n  - {id: gut, name: \"Sehr\\n gut\", gain: 2.5, good: yes}\n  - {id: schlecht, gain: -1, "
        "good: no}\n"
        "criteria:\n"
        "  - {id: kat, verdicts: [A, B, C], from: category, map: {same: A, narrower: B, else: C}}\n"
        "  - {id: attr, per: asked, verdicts: [M, P], weight: 0, from: attribute, map: {equal: M, near: P}}\n"
        "facts: sub/facts.yaml\n"
        "attributes:\n"
        "  default: {importance: core, compare: set}\n"
        "  plain:\n"
        "  price: {compare: number, near: 12.5%, units: {ct: 0.01, eur: 1}}\n"
        "  length: {compare: number, near: 0.5}\n"
        "  colour: {importance: minor, fields: colour, weak_fields: [title, text], synonyms: [[navy, dark "
        "blue, night]],\n"
        "           parents: {navy: blue, teal: [blue, green]}, covers: {unisex: [women, men]}}\n"
        "rules:\n"
        "  - {id: R1, when: otherwise, cap: gut, text: \" viel\\n  Text \"}\n"
        "reward: {tier: 2, rule: 0, format_penalty: 0.25}\n");
    assert_string_equal(book->version, "2.1");
    assert_string_equal(book->language, "de");
    assert_int_equal(book->order, AG_THINK_THEN_RESPOND);
    assert_true(book->why_required && book->why_chars == 99);
    assert_string_equal(book->instruction, "Erste Zeile.\nZweite.");
    assert_string_equal(book->tiers[0].name, "Sehr gut");
    assert_true(book->tiers[0].gain == 2.5 && book->tiers[0].good && book->tiers[1].gain == -1);
    assert_int_equal(book->criteria[0].map[AG_REL_NARROWER], 1);
    assert_int_equal(book->criteria[0].map[AG_REL_SIBLING], 2); /* by else */
    assert_int_equal(book->criteria[0].map[AG_REL_EQUAL], -1);
    assert_int_equal(book->criteria[1].map[AG_REL_NEAR], 1);
    assert_int_equal(book->criteria[1].map[AG_REL_MISSING], -1);
    assert_true(book->criteria[1].weight == 0 && book->criteria[1].per_asked);
    assert_string_equal(book->facts_path, "./sub/facts.yaml");
    assert_true(ag_book_attribute(book, "plain")->core &&
                ag_book_attribute(book, "plain")->compare == AG_COMPARE_SET);
    const ag_attribute *price = ag_book_attribute(book, "price");
    assert_true(price->compare == AG_COMPARE_NUMBER && price->near_relative && price->near == 0.125);
    assert_int_equal(price->unit_count, 2);
    assert_string_equal(price->units[0].name, "ct");
    assert_true(price->units[0].factor == 0.01);
    const ag_attribute *length = ag_book_attribute(book, "length");
    assert_true(!length->near_relative && length->near == 0.5);
    const ag_attribute *colour = ag_book_attribute(book, "colour");
    assert_true(!colour->core && colour->field_count == 1 && colour->weak_count == 2);
    assert_string_equal(colour->fields[0], "colour");
    assert_string_equal(colour->weak_fields[1], "text");
    assert_int_equal(colour->synonym_count, 1);
    assert_string_equal(colour->synonyms[0][2], "night");
    assert_null(colour->synonyms[0][3]);
    assert_int_equal(colour->parent_count, 3);
    assert_string_equal(colour->child[2], "teal");
    assert_string_equal(colour->parent[2], "green");
    assert_int_equal(colour->cover_count, 2);
    assert_string_equal(colour->cover[1], "unisex");
    assert_string_equal(colour->covered[1], "men");
    assert_string_equal(book->rules[0].text, "viel Text");
    assert_true(book->weight_tier == 2 && book->weight_rule == 0 && book->format_penalty == 0.25);
    ag_book_free(book);
}

static void test_shipped(void **state)
{
    (void)state;
    static const char *const paths[] = {BOOK("shop.yaml"), BOOK("general-4tier.yaml"), BOOK("esci.yaml")};
    for (int i = 0; i < 3; i++) {
        ag_book *book = NULL;
        ag_error err = {0};
        if (ag_book_load(&book, paths[i], &err) != AG_OK) fail_msg("%s", err.message);
        assert_int_equal(book->tier_count, 4);
        assert_int_equal(book->criterion_count, 2);
        assert_string_equal(book->path, paths[i]);
        assert_non_null(strstr(book->facts_path, "/rules/facts/"));
        assert_int_equal(strlen(book->digest), 64);
        ag_book_free(book);
    }
}

/* The digest is of the book's bytes and the facts file's. */
static void test_digest(void **state)
{
    (void)state;
    char dir[] = "/tmp/agrl-test-XXXXXX", book_path[64], facts_path[64], hex[65];
    static const char text[] = "rulebook: d\ntiers: [{id: A}, {id: B}]\nfacts: f.yaml\n";
    assert_non_null(mkdtemp(dir));
    snprintf(book_path, sizeof(book_path), "%s/b.yaml", dir);
    snprintf(facts_path, sizeof(facts_path), "%s/f.yaml", dir);
    for (int with_facts = 0; with_facts < 2; with_facts++) {
        const char *parts[2][2] = {{book_path, text}, {facts_path, "language: en\n"}};
        ag_sha256 sha;
        unsigned char digest[32];
        ag_book *book = NULL;
        ag_sha256_begin(&sha);
        for (int i = 0; i <= with_facts; i++) {
            FILE *file = fopen(parts[i][0], "wb");
            assert_non_null(file);
            fputs(parts[i][1], file);
            fclose(file);
            ag_sha256_add(&sha, parts[i][1], strlen(parts[i][1]));
        }
        ag_sha256_end(&sha, digest);
        ag_sha256_hex(digest, hex);
        assert_int_equal(ag_book_load(&book, book_path, NULL), AG_OK);
        assert_string_equal(book->digest, hex);
        assert_string_equal(book->facts_path, facts_path);
        ag_book_free(book);
    }
    unlink(book_path);
    unlink(facts_path);
    rmdir(dir);
}

/* --- what is refused ---------------------------------------------------------------------------------------- */

#define HEAD      "rulebook: t\ntiers: [{id: A}, {id: B}]\n"
#define CRITERION "criteria: [{id: c, verdicts: [X, Y]}]\n"

static const struct {
    const char *text, *message;
} refused[] = {
    {"", "b:1:1: 'rulebook' is missing: the book's name"},
    {"[]", "b:1:1: a rulebook is a map of keys (rulebook, tiers, rules, ...)"},
    {"rulebook: ''\n", "b:1:11: the book's name is empty"},
    {"rulebook: t\n", "b:1:1: 'tiers' is missing: a list of two or more, best first"},
    {"rulebook: t\nteirs: []\n", "b:2:1: unknown key 'teirs'; did you mean 'tiers'?"},
    {"rulebook: t\ntiers: 3\n", "b:2:8: tiers must be a list"},
    {"rulebook: t\ntiers: [{id: A}]\n", "b:2:8: tiers has 1 entries; at least 2 are needed"},
    {"rulebook: t\ntiers: [{id: A}, {id: A}]\n", "b:2:23: tier 'A' is given twice"},
    {"rulebook: t\ntiers: [{id: A}, {name: B}]\n", "b:2:18: a tier's id is missing"},
    {"rulebook: t\ntiers: [{id: A, gian: 1}, {id: B}]\n", "b:2:17: unknown key 'gian'; did you mean 'gain'?"},
    {"rulebook: t\ntiers: [{id: A, gain: .inf}, {id: B, gain: 0}]\n", "b:2:23: gain must be a number"},
    {"rulebook: t\ntiers: [{id: A, gain: nan}, {id: B, gain: 0}]\n", "b:2:23: gain must be a number"},
    {"rulebook: t\ntiers: [{id: A, gain: 1}, {id: B}]\n",
     "b:2:27: tier 'B' has no gain, but others have one"},
    {"rulebook: t\ntiers: [{id: A, gain: 1}, {id: B, gain: 2}]\n",
     "b:2:41: tiers stand best first, but tier 'B' has a larger gain than 'A' before it"},
    {"rulebook: t\ntiers: [{id: A, good: maybe}, {id: B}]\n", "b:2:23: good must be true or false"},
    {"rulebook: t\ntiers: [{id: 'A;'}, {id: B}]\n",
     "b:2:14: a tier's id 'A;' contains one of the reserved characters : ; = # , [ ] +"},
    {"rulebook: t\ntiers: [{id: ' A'}, {id: B}]\n", "b:2:14: a tier's id ' A' begins or ends with a space"},
    {"rulebook: t\ntiers: [{id: \"A\xE3\x80\x80\"}, {id: B}]\n",
     "b:2:14: a tier's id 'A\xE3\x80\x80' begins or ends with a space"},
    {"rulebook: t\ntiers: [{id: \"A\\nB\"}, {id: B}]\n",
     "b:2:14: a tier's id 'A B' contains a control character"},
    {"rulebook: t\ntiers: [{id: in}, {id: B}]\n", "b:2:14: a tier's id 'in' is a reserved word"},
    {"rulebook: t\ntiers: [{id: ''}, {id: B}]\n", "b:2:14: a tier's id '' is empty"},
    {HEAD "order: backwards\n",
     "b:3:8: order 'backwards' is not one of respond_then_think, think_then_respond, verdicts_then_tier"},
    {HEAD "order: respond_than_think\n",
     "b:3:8: order 'respond_than_think' is not one of respond_then_think, think_then_respond, "
     "verdicts_then_tier; did you mean 'respond_then_think'?"},
    {HEAD "why_chars: 0\n", "b:3:12: why_chars must be a whole number from 1 to 10000"},
    {HEAD "criteria: {}\n", "b:3:11: criteria must be a list"},
    {HEAD "criteria: [x]\n", "b:3:12: must be a map (key: value)"},
    {HEAD "criteria: [{id: c}]\n", "b:3:12: criterion 'c' needs `verdicts`: a list, best first"},
    {HEAD "criteria: [{id: c, verdicts: []}]\n",
     "b:3:30: criterion 'c' needs `verdicts`: a list, best first"},
    {HEAD "criteria: [{id: c, verdicts: [X, Y, X]}]\n", "b:3:37: verdict 'X' is given twice"},
    {HEAD "criteria: [{id: rule, verdicts: [X]}]\n",
     "b:3:17: a criterion cannot be called 'rule': answers and verdicts use that word"},
    {HEAD "criteria: [{id: c, verdicts: [X]}, {id: c, verdicts: [X]}]\n",
     "b:3:41: criterion 'c' is given twice"},
    {HEAD "criteria: [{id: c, verdicts: [X], weight: -1}]\n", "b:3:43: weight must not be negative"},
    {HEAD "criteria: [{id: c, verdicts: [X], per: item}]\n",
     "b:3:40: per 'item' is not one of single, asked"},
    {HEAD "criteria: [{id: c, verdicts: [X], from: attribute}]\n",
     "b:3:41: `from: attribute` needs `per: asked`"},
    {HEAD "criteria: [{id: c, per: asked, verdicts: [X], from: category}]\n",
     "b:3:53: `from: category` is one fact an item; it cannot be `per: asked`"},
    {HEAD "criteria: [{id: c, verdicts: [X], map: {same: X}}]\n",
     "b:3:40: `map` needs `from: category` or `from: attribute`"},
    {HEAD "criteria: [{id: c, verdicts: [X], from: category, map: {equal: X}}]\n",
     "b:3:57: unknown key 'equal'"},
    {HEAD "criteria: [{id: c, verdicts: [SAME], from: category, map: {same: SAM}}]\n",
     "b:3:66: 'SAM' is no verdict of 'c'; did you mean 'SAME'?"},
    {HEAD CRITERION "rules: [{id: R, when: otherwise}]\n", "b:4:9: rule 'R' has no `cap`: the id of a tier"},
    {HEAD CRITERION "rules: [{id: R, cap: A}]\n", "b:4:9: rule 'R' has no `when`"},
    {HEAD CRITERION "rules: [{id: R, when: otherwise, cap: E}]\n", "b:4:39: cap 'E' is no tier's id"},
    {"rulebook: t\ntiers: [{id: '1', name: Good}, {id: B}]\nrules: [{id: R, when: otherwise, cap: "
     "Good}]\n",
     "b:3:39: cap 'Good' is a tier's name; its id is '1'"},
    {HEAD CRITERION "rules: [{id: R, when: c == Y, cap: A}, {id: R, when: c == X, cap: A}]\n",
     "b:4:45: rule 'R' is given twice"},
    {HEAD CRITERION "rules: [{id: R, when: otherwise, cap: A}, {id: S, when: otherwise, cap: A}]\n",
     "b:4:43: rule 'S' is `otherwise`, but rule 'R' is already"},
    {HEAD "attributes: []\n", "b:3:13: attributes must be a map (name: {...})"},
    {HEAD "attributes: {'a+b': {}}\n",
     "b:3:14: an attribute's name 'a+b' contains one of the reserved characters : ; = # , [ ] +"},
    {HEAD "attributes: {a: {near: -1}}\n",
     "b:3:24: near must be a number from 0, or a percentage such as 10%"},
    {HEAD "attributes: {a: {near: '%'}}\n",
     "b:3:24: near must be a number from 0, or a percentage such as 10%"},
    {HEAD "attributes: {a: {compare: fuzzy}}\n",
     "b:3:27: compare 'fuzzy' is not one of text, number, set, code"},
    {HEAD "attributes: {a: {units: {g: 1}}}\n", "b:3:25: units are for attributes with `compare: number`"},
    {HEAD "attributes: {a: {compare: number, units: {g: 0}}}\n",
     "b:3:46: the factor of a unit must be above 0"},
    {HEAD "attributes: {a: {synonyms: [[x]]}}\n",
     "b:3:29: a group of synonyms is a list of two or more texts"},
    {HEAD "attributes: {a: {parents: {x: y, y: [q, z], z: ' X'}}}\n",
     "b:3:27: parents go round in a circle at 'x: y'"},
    {HEAD "attributes: {a: {parents: {x: X}}}\n", "b:3:27: parents go round in a circle at 'x: X'"},
    {HEAD "reward: {tier: -0.1}\n", "b:3:16: tier must not be negative"},
    {HEAD "reward: {teir: 1}\n", "b:3:10: unknown key 'teir'; did you mean 'tier'?"},
    {HEAD "facts: [a]\n", "b:3:8: facts must be text"},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        ag_book *book = (ag_book *)&book;
        ag_error err = {0};
        ag_status status = ag_book_parse(&book, refused[i].text, strlen(refused[i].text), "b", &err);
        if (status != AG_ERR_INPUT) fail_msg("status %d for\n%s", (int)status, refused[i].text);
        assert_null(book);
        assert_string_equal(err.message, refused[i].message);
    }
}

/* Books past the bounds of case.h; just below them all is well. */
static void test_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *before, *item, *after;
        int most;
    } rows[] = {
        {"rulebook: t\ntiers:\n", "  - {id: t%d}\n", "", AG_MAX_TIERS},
        {HEAD "criteria:\n", "  - {id: c%d, verdicts: [X]}\n", "", AG_MAX_CRITERIA},
        {HEAD "criteria:\n  - id: c\n    verdicts:\n", "      - v%d\n", "", AG_MAX_VERDICTS},
        {HEAD "rules:\n", "  - {id: R%d, when: query.type == x, cap: A}\n", "", AG_MAX_RULES},
        {HEAD "attributes:\n", "  a%d: {}\n", "", 1024},
        {HEAD "rules: [{id: R, cap: A, when: 'query.type in [", "x%d, ", "y]'}]\n", AG_MAX_VERDICTS - 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (int over = 0; over < 3; over++) {
            ag_str text = {0};
            ag_book *book = NULL;
            ag_error err = {0};
            int n = over < 2 ? rows[i].most + over : 100000;
            ag_str_add(&text, rows[i].before);
            for (int k = 0; k < n; k++) {
                char item[96];
                const char *mark = strstr(rows[i].item, "%d");
                snprintf(item, sizeof(item), "%.*s%d%s", (int)(mark - rows[i].item), rows[i].item, k,
                         mark + 2);
                ag_str_add(&text, item);
            }
            ag_str_add(&text, rows[i].after);
            ag_status status = ag_book_parse(&book, ag_str_text(&text), text.len, "b", &err);
            if (status != (over ? AG_ERR_INPUT : AG_OK)) fail_msg("row %zu, %d items: %s", i, n, err.message);
            ag_book_free(book);
            ag_str_free(&text);
        }
}

/* --- hostile files ------------------------------------------------------------------------------------------ */

/* Success, or one AG_ERR_INPUT with a place. */
static void try_text(const char *text, size_t len)
{
    ag_book *book = NULL;
    ag_error err = {0};
    int line, column, used = 0;
    ag_status status = ag_book_parse(&book, text, len, "hostile", &err);
    if (status == AG_OK) {
        ag_book_free(book);
        return;
    }
    assert_null(book);
    if (status != AG_ERR_INPUT || sscanf(err.message, "hostile:%d:%d: %n", &line, &column, &used) != 2 ||
        used == 0)
        fail_msg("status %d: %s", (int)status, err.message);
}

static void test_truncated(void **state)
{
    (void)state;
    char *text;
    size_t len;
    assert_int_equal(ag_file_read(BOOK("shop.yaml"), 0, &text, &len, NULL), AG_OK);
    for (size_t n = 0; n <= len; n++) {
        char *cut = ag_strndup(text, n); /* its own block, so that a read past the end is seen */
        try_text(cut, n);
        ag_free(cut);
    }
    ag_free(text);
}

static void test_mutated(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "[",   "]", "{",     "}",    ": ",    "\n",    "- ",   "\"",    "'",    "&a ", "*a", "!t ",
        "|\n", "%", "\0",    "\xff", "(",     ")",     "not ", " and ", "any(", "==",  "é",  "\xE2\x80\xA8",
        "\t",  "#", "1e999", "? ",   "---\n", "\\x00", "<<: "};
    enum { PIECES = sizeof(pieces) / sizeof(pieces[0]) };
    char *text;
    size_t len;
    assert_int_equal(ag_file_read(BOOK("shop.yaml"), 0, &text, &len, NULL), AG_OK);
    for (uint64_t i = 0; i < 6000; i++) {
        ag_rng rng = ag_rng_at(4, AG_RNG_TEST, i, 0, 0, 0);
        ag_str changed = {0};
        size_t at = 0;
        int changes = 1 + (int)ag_rng_below(&rng, 4);
        for (int c = 0; c < changes; c++) {
            size_t next = at + ag_rng_below(&rng, (uint32_t)(len - at) + 1);
            ag_str_addn(&changed, text + at, next - at);
            at = next;
            switch (ag_rng_below(&rng, 4)) {
            case 0: ag_str_addc(&changed, (char)ag_rng_below(&rng, 256)); break;
            case 1: at += ag_rng_below(&rng, 20); break; /* a hole */
            case 2:
                ag_str_addn(&changed, text + next / 2, next - next / 2 < 60 ? next - next / 2 : 60);
                break;
            default: {
                const char *piece = pieces[ag_rng_below(&rng, PIECES)];
                ag_str_addn(&changed, piece, *piece ? strlen(piece) : 1);
            }
            }
            if (at > len) at = len;
        }
        ag_str_addn(&changed, text + at, len - at);
        try_text(ag_str_text(&changed), changed.len);
        ag_str_free(&changed);
    }
    ag_free(text);
}

static void test_hostile(void **state)
{
    (void)state;
    static const char *const deep[] = {"[", "{a: ", "- ", "? "};
    for (int i = 0; i < 4; i++) {
        ag_str text = {0};
        ag_str_add(&text, "rulebook: t\ntiers: ");
        for (int k = 0; k < 20000; k++) ag_str_add(&text, deep[i]);
        try_text(ag_str_text(&text), text.len);
        ag_str_free(&text);
    }
    ag_str text = {0};
    for (int k = 0; k < 1000000; k++) ag_str_add(&text, "rulebook: ");
    try_text(ag_str_text(&text), text.len);
    ag_str_clear(&text);
    ag_str_add(&text, "rulebook: "); /* a name of 8 MB is odd, not wrong; an id of that size is */
    for (int k = 0; k < 1000000; k++) ag_str_add(&text, "longword");
    ag_str_add(&text, "\ntiers: [{id: A}, {id: ");
    for (int k = 0; k < 1000000; k++) ag_str_add(&text, "longword");
    ag_str_add(&text, "}]\n");
    try_text(ag_str_text(&text), text.len);
    ag_str_free(&text);
}

/* Every allocation fails once. */
static void test_memory(void **state)
{
    (void)state;
    char *text;
    size_t len;
    assert_int_equal(ag_file_read(BOOK("shop.yaml"), 0, &text, &len, NULL), AG_OK);
    for (int all_after = 0; all_after < 2; all_after++) {
        ag_status status = AG_ERR_MEMORY;
        long n = 1;
        for (; status != AG_OK; n++) {
            ag_book *book = NULL;
            ag_error err = {0};
            ag_mem_fail_at(n, all_after);
            status = ag_book_parse(&book, text, len, "b", &err);
            ag_mem_fail_at(0, false);
            if (status != AG_OK) {
                assert_int_equal(status, AG_ERR_MEMORY);
                assert_null(book);
                assert_non_null(strstr(err.message, "out of memory"));
            }
            ag_book_free(book);
        }
        assert_true(n > 20);
    }
    ag_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),  cmocka_unit_test(test_defaults),  cmocka_unit_test(test_everything),
        cmocka_unit_test(test_shipped), cmocka_unit_test(test_digest),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounds),  cmocka_unit_test(test_truncated), cmocka_unit_test(test_mutated),
        cmocka_unit_test(test_hostile), cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
