/* test_rederive.c: verdicts under two books against rules written out in C, over every verdict there is; judged files; what is left out
 * and what is refused.
 */
#include "unit/eval/eval_fixture.h"

#include <unistd.h>

#include "base/file.h"
#include "eval/judge.h"
#include "eval/rederive.h"

static const char *const HEAD = "rulebook: small\n"
                                "version: \"1\"\n"
                                "tiers:\n"
                                "  - {id: \"3\", name: Good, gain: 5, good: true}\n"
                                "  - {id: \"2\", name: Fair, gain: 2, good: true}\n"
                                "  - {id: \"1\", name: Bad, gain: 0, good: false}\n";
static const char *const OLD =
    "criteria:\n"
    "  - {id: cat, verdicts: [SAME, NEAR, OTHER], from: none}\n"
    "  - {id: attr, per: asked, verdicts: [MATCH, UNKNOWN, CONFLICT], from: none}\n"
    "attributes:\n"
    "  brand: {importance: core}\n"
    "  colour: {importance: minor}\n"
    "rules:\n"
    "  - {id: R1, when: \"cat == OTHER\", cap: \"1\", text: Another need.}\n"
    "  - {id: R2, when: \"any(attr, core) == CONFLICT\", cap: \"2\", text: A core request.}\n"
    "  - {id: R3, when: \"cat == NEAR\", cap: \"2\", text: Near.}\n"
    "  - {id: R0, when: otherwise, cap: \"3\", text: All is well.}\n";
/* The verdicts stand in another order, colour is core, R2 caps lower, R3 is gone and R5 is new. */
static const char *const NEW =
    "criteria:\n"
    "  - {id: attr, per: asked, verdicts: [MATCH, CONFLICT, UNKNOWN], from: none}\n"
    "  - {id: cat, verdicts: [SAME, NEAR, OTHER], from: none}\n"
    "attributes:\n"
    "  brand: {importance: core}\n"
    "  colour: {importance: core}\n"
    "rules:\n"
    "  - {id: R2, when: \"any(attr, core) == CONFLICT\", cap: \"1\", text: A core request.}\n"
    "  - {id: R1, when: \"cat == OTHER\", cap: \"1\", text: Another need.}\n"
    "  - {id: R5, when: \"any(attr) == UNKNOWN\", cap: \"2\", text: Not said.}\n"
    "  - {id: R0, when: otherwise, cap: \"3\", text: All is well.}\n";

static char folder[] = "/tmp/agrl-rederive-XXXXXX";

static ag_book *book(const char *rest)
{
    ag_error err = {0};
    ag_book *made;
    ag_str text = {0};
    ag_str_addf(&text, "%s%s", HEAD, rest);
    if (ag_book_parse(&made, text.data, text.len, "book.yaml", &err)) fail_msg("%s", err.message);
    ag_str_free(&text);
    return made;
}

static void add_pair(ag_pair_list *list, const ag_book *b, const char *line)
{
    ag_error err = {0};
    assert_true(ag_grow(&list->items, &list->cap, list->count + 1, sizeof *list->items));
    if (ag_pair_parse(&list->items[list->count], line, strlen(line), "pairs", (long)list->count + 1, b,
                      AG_AGGREGATE_GIVEN, &err))
        fail_msg("%s", err.message);
    list->count++;
}

static const char *const cats[] = {"SAME", "NEAR", "OTHER"}, *const attrs[] = {"MATCH", "UNKNOWN",
                                                                               "CONFLICT"};

/* Every verdict of two entries, of which colour may state its own importance: (tier, rule) by both books as the rules above say it. */
static void test_every_verdict(void **state)
{
    static const int old_caps[] = {2, 1, 1, 0},
                     new_caps[] = {2, 2, 1, 0}; /* of R1 R2 R3 R0, of R2 R1 R5 R0 */
    static const double gains[] = {5, 2, 0};
    (void)state;
    ag_book *old = book(OLD), *new = book(NEW);
    ag_pair_list pairs = {0};
    ag_error err = {0};
    ag_rederive r;
    for (int k = 0; k < 81; k++) {
        static const char *const own[] = {"", ", \"importance\": \"minor\"", ", \"importance\": \"core\""};
        ag_str line = {0};
        ag_str_addf(
            &line,
            "{\"id\": \"p%d\", \"query\": \"q\", \"item\": {\"title\": \"t\"}, \"asked\": [{\"name\": "
            "\"brand\", \"value\": \"x\"}, {\"name\": \"colour\", \"value\": \"y\"%s}], \"gold\": "
            "{\"verdicts\": {\"cat\": \"%s\", \"attr\": {\"brand\": \"%s\", \"colour\": \"%s\"}}}}",
            k, own[k / 27], cats[k % 3], attrs[k / 3 % 3], attrs[k / 9 % 3]);
        add_pair(&pairs, old, line.data);
        ag_str_free(&line);
    }
    ag_rederive_begin(&r, old, new);
    assert_int_equal(ag_rederive_pairs(&r, &pairs, &err), AG_OK);
    assert_int_equal(r.count, 81);
    assert_int_equal(r.left_out_count, 0);
    for (int k = 0; k < 81; k++) {
        int cat = k % 3, brand = k / 3 % 3, colour = k / 9 % 3, own = k / 27;
        bool core = brand == 2 || (own == 2 && colour == 2);
        int was = cat == 2 ? 0 : core ? 1 : cat == 1 ? 2 : 3;
        core = brand == 2 || (own != 1 && colour == 2);
        int now = core ? 0 : cat == 2 ? 1 : brand == 1 || colour == 1 ? 2 : 3;
        const ag_rederived *d = &r.rows[k];
        assert_int_equal(d->old_rule, was);
        assert_int_equal(d->new_rule, now);
        assert_int_equal(d->old_tier, old_caps[was]);
        assert_int_equal(d->new_tier, new_caps[now]);
        assert_near(d->difference, gains[new_caps[now]] - gains[old_caps[was]], 0);
        assert_int_equal(ag_rederived_tier_changes(&r, d), old_caps[was] != new_caps[now]);
        assert_int_equal(ag_rederived_rule_changes(&r, d),
                         strcmp(old->rules[was].id, new->rules[now].id) != 0);
    }
    ag_rederive_free(&r);
    ag_pair_list_free(&pairs);
    ag_book_free(old);
    ag_book_free(new);
}

static char *file(const char *text)
{
    ag_error err = {0};
    char *path = ag_path_join(folder, "judged");
    ag_out *out;
    if (ag_out_open(&out, path, &err)) fail_msg("%s", err.message);
    ag_out_write(out, text, strlen(text));
    if (ag_out_commit(out, &err)) fail_msg("%s", err.message);
    return path;
}

#define PAIR(id, asked)                                                                                      \
    "{\"id\": \"" id "\", \"query\": \"q\", \"item\": {\"title\": \"t\"}, \"asked\": [" asked "]}"
#define BRAND "{\"name\": \"brand\", \"op\": \"not\", \"value\": \"x\"}"

static void test_judged(void **state)
{
    (void)state;
    ag_book *old = book(OLD), *new = book(NEW);
    ag_pair_list pairs = {0};
    ag_error err = {0};
    ag_rederive r;
    add_pair(&pairs, old, PAIR("a", BRAND));
    add_pair(&pairs, old, PAIR("b", ""));
    add_pair(&pairs, old, PAIR("c", BRAND));
    add_pair(&pairs, old, PAIR("d", ""));
    char *path = file(
        "{\"id\": \"a\", \"verdicts\": {\"cat\": \"SAME\", \"attr\": {\"brand\": \"CONFLICT\"}}, "
        "\"derived\": {\"tier\": \"2\", \"rule\": \"R2\"}}\n"
        "\n"
        "{\"id\": \"b\", \"verdicts\": {\"cat\": \"NEAR\", \"attr\": {}}, \"derived\": {\"tier\": \"3\", "
        "\"rule\": \"R0\"}}\n"
        "{\"id\": \"c\", \"verdicts\": {\"cat\": \"SAME\", \"attr\": {}}}\n"
        "{\"id\": \"d\", \"verdicts\": {\"cat\": \"SAME\", \"attr\": {\"colour\": \"MATCH\"}}}\n"
        "{\"id\": \"e\", \"verdicts\": {\"cat\": \"SAME\"}}\n"
        "{\"id\": \"f\", \"format\": false, \"refused\": \"line 1\"}\n");
    ag_rederive_begin(&r, old, new);
    if (ag_rederive_judged(&r, path, &pairs, &err)) fail_msg("%s", err.message);
    assert_int_equal(r.read, 6);
    assert_int_equal(r.count, 2);
    assert_int_equal(r.assumed, 0);
    assert_int_equal(r.differs, 1); /* b */
    assert_string_equal(r.rows[0].id, "a");
    assert_string_equal(r.rows[0].title, "t");
    assert_int_equal(r.rows[0].new_tier, 2);
    assert_int_equal(r.rows[1].old_tier, 1);
    assert_int_equal(r.rows[1].new_tier, 0);
    assert_int_equal(r.left_out_count, 3);
    assert_int_equal(r.left_out[0].state, AG_REDERIVE_ASKED);
    assert_int_equal(r.left_out[0].pairs, 2);
    assert_int_equal(r.left_out[1].state, AG_REDERIVE_NO_PAIR);
    assert_int_equal(r.left_out[2].state, AG_REDERIVE_REFUSED);
    ag_rederive_free(&r);
    ag_rederive_begin(&r, old, new); /* alone: entries are what the verdicts name */
    if (ag_rederive_judged(&r, path, NULL, &err)) fail_msg("%s", err.message);
    assert_int_equal(r.count, 5);
    assert_int_equal(r.assumed, 5);
    ag_rederive_free(&r);
    ag_free(path);
    ag_pair_list_free(&pairs);
    ag_book_free(old);
    ag_book_free(new);
}

/* The states by the name at fault. */
static void left_out(const char *new_rest, const char *verdicts, const char *asked, ag_rederive_state state,
                     const char *name)
{
    ag_book *old = book(OLD), *new = book(new_rest);
    ag_pair_list pairs = {0};
    ag_error err = {0};
    ag_rederive r;
    ag_str line = {0};
    ag_str_addf(&line,
                "{\"id\": \"p\", \"query\": \"q\", \"item\": {\"title\": \"t\"}, \"asked\": [%s], \"gold\": "
                "{\"verdicts\": {%s}}}",
                asked, verdicts);
    add_pair(&pairs, old, line.data);
    ag_rederive_begin(&r, old, new);
    if (ag_rederive_pairs(&r, &pairs, &err)) fail_msg("%s", err.message);
    assert_int_equal(r.count, name == NULL);
    assert_int_equal(r.left_out_count, name != NULL);
    if (name) assert_int_equal(r.left_out[0].state, state);
    if (name) assert_string_equal(r.left_out[0].name, name);
    ag_rederive_free(&r);
    ag_str_free(&line);
    ag_pair_list_free(&pairs);
    ag_book_free(old);
    ag_book_free(new);
}

#define R0   "rules:\n  - {id: R0, when: otherwise, cap: \"3\", text: Well.}\n"
#define CAT  "  - {id: cat, verdicts: [SAME, OTHER], from: none}\n"
#define ATTR "  - {id: attr, per: asked, verdicts: [MATCH, CONFLICT], from: none}\n"

static void test_left_out(void **state)
{
    static const char *const two = "criteria:\n" CAT ATTR R0, *const cat_only = "criteria:\n" CAT R0,
                             *const single = "criteria:\n" CAT
                                             "  - {id: attr, verdicts: [MATCH, CONFLICT], from: none}\n" R0,
                             *const three = "criteria:\n" CAT ATTR
                                            "  - {id: use, verdicts: [YES, NO], from: none}\n" R0;
    (void)state;
    left_out(two, "\"cat\": \"SAME\"", "", AG_REDERIVE_STATES, NULL);
    left_out(two, "\"cat\": \"NEAR\"", "", AG_REDERIVE_UNREAD, "cat=NEAR");
    left_out(two, "\"attr\": {}", "", AG_REDERIVE_INCOMPLETE, "cat");
    left_out(two, "\"cat\": \"SAME\"", BRAND, AG_REDERIVE_INCOMPLETE, "attr");
    left_out(two, "\"cat\": \"SAME\", \"attr\": {\"brand\": \"UNKNOWN\"}", BRAND, AG_REDERIVE_UNREAD,
             "attr=UNKNOWN");
    left_out(cat_only, "\"cat\": \"SAME\", \"attr\": {\"brand\": \"MATCH\"}", BRAND, AG_REDERIVE_UNREAD,
             "attr");
    left_out(cat_only, "\"cat\": \"SAME\"", "", AG_REDERIVE_STATES,
             NULL); /* nothing there that it must read */
    left_out(single, "\"cat\": \"SAME\", \"attr\": {\"brand\": \"MATCH\"}", BRAND, AG_REDERIVE_UNREAD,
             "attr");
    left_out(three, "\"cat\": \"SAME\"", "", AG_REDERIVE_MISSING, "use");
}

static void refused(const char *text, bool with_pairs, const char *says)
{
    ag_book *old = book(OLD), *new = book(NEW);
    ag_pair_list pairs = {0};
    ag_error err = {0};
    ag_rederive r;
    add_pair(&pairs, old, PAIR("a", BRAND));
    char *path = file(text);
    ag_rederive_begin(&r, old, new);
    assert_int_equal(ag_rederive_judged(&r, path, with_pairs ? &pairs : NULL, &err), AG_ERR_INPUT);
    if (!strstr(err.message, says)) fail_msg("'%s' does not say '%s'", err.message, says);
    ag_rederive_free(&r);
    ag_free(path);
    ag_pair_list_free(&pairs);
    ag_book_free(old);
    ag_book_free(new);
}

static void test_refused(void **state)
{
    (void)state;
    for (int p = 0; p < 2; p++) {
        refused("[]\n", p, "judged:1: must be an object");
        refused("\n{\n", p, "judged:2:");
        refused("{\"id\": \"a\", \"tier\": \"3\"}\n", p, "judged:1: no verdicts: `agrl judge --explain`");
        refused("{\"id\": \"a\", \"gold\": {}}\n", p, "goes to --data");
        refused("{\"id\": 1, \"verdicts\": {}}\n", p, "judged:1: 'id' must be");
        refused("{\"id\": \"a\", \"verdicts\": {\"kat\": \"SAME\"}}\n", p,
                "'kat' is no criterion of the old book; did you mean 'cat'?");
        refused("{\"id\": \"a\", \"verdicts\": {\"cat\": \"SAMEE\"}}\n", p,
                "'SAMEE' is no verdict of the old book; did you mean 'SAME'?");
        refused("{\"id\": \"a\", \"verdicts\": {\"cat\": {\"x\": 1}}}\n", p,
                "verdicts.cat: must be a verdict");
        refused("{\"id\": \"a\", \"verdicts\": {\"attr\": \"MATCH\"}}\n", p,
                "verdicts.attr: must be a verdict (a string) for each asked id");
        refused("{\"id\": \"a\", \"format\": false}\n{\"id\": \"a\", \"format\": false}\n", p,
                "judged:2: 'a' is in line 1 already");
    }
    refused("{\"verdicts\": {\"cat\": \"SAME\"}}\n", true, "judged:1: 'id' is missing");
    refused("{\"verdicts\": {\"attr\": {\"x;y\": \"MATCH\"}}}\n", false, "judged:1: ");
}

/* --- catalogue facts ---------------------------------------------------------------------------------------- */

static const char *const FACTS =
    "criteria:\n"
    "  - {id: cat, verdicts: [SAME, NEAR, OTHER], from: category, map: {same: SAME, narrower: SAME, sibling: "
    "NEAR, "
    "related: OTHER, else: OTHER}}\n"
    "  - {id: attr, per: asked, verdicts: [MATCH, UNKNOWN, CONFLICT], from: attribute, map: {equal: MATCH, "
    "near: "
    "MATCH, missing: UNKNOWN, other: CONFLICT}}\n"
    "attributes:\n"
    "  colour: {importance: core, compare: set}\n"
    "  lining: {importance: core}\n"
    "rules:\n"
    "  - {id: R1, when: \"cat == OTHER\", cap: \"1\", text: Another need.}\n"
    "  - {id: R2, when: \"any(attr) == CONFLICT\", cap: \"1\", text: A request.}\n"
    "  - {id: R3, when: \"cat == NEAR\", cap: \"2\", text: Near.}\n"
    "  - {id: R4, when: \"any(attr) == UNKNOWN\", cap: \"2\", text: Not said.}\n"
    "  - {id: R0, when: otherwise, cap: \"3\", text: All is well.}\n";
static const char old_facts[] =
    "facts: f\nlanguage: en\ncategories: {coats: {siblings: [jackets]}, jackets: {}, sofas: {}}\n"
    "phrases: {filler: [for]}\n";
/* Navy is dark blue, jackets are coats, and rain asks for a lining. */
static const char new_facts[] = "facts: f\nlanguage: en\ncategories: {coats: {}, jackets: {parents: "
                                "[coats]}, sofas: {}}\nphrases: {filler: [for]}\n"
                                "values: {colour: {synonyms: [[navy, dark blue]]}}\n"
                                "knowledge: [{phrases: [rain], asked: [{name: lining, value: wax}]}]\n";

typedef struct factual {
    ag_book *old, *new;
    ag_facts *before, *after;
    ag_rederive_facts both;
    ag_lexicon *old_lexicon, *new_lexicon;
} factual;

static factual factual_of(const char *old_text, const char *new_text)
{
    ag_error err = {0};
    factual f = {.old = book(FACTS), .new = book(FACTS)};
    if (ag_facts_parse(&f.before, old_text, strlen(old_text), "old", &err) ||
        ag_facts_parse(&f.after, new_text, strlen(new_text), "new", &err) ||
        ag_lexicon_create(&f.old_lexicon, f.before, f.old, &err) ||
        ag_lexicon_create(&f.new_lexicon, f.after, f.new, &err))
        fail_msg("%s", err.message);
    f.both = (ag_rederive_facts){f.before, f.after, f.old_lexicon, f.new_lexicon};
    return f;
}

static void factual_free(factual *f)
{
    ag_lexicon_free(f->old_lexicon);
    ag_lexicon_free(f->new_lexicon);
    ag_facts_free(f->before);
    ag_facts_free(f->after);
    ag_book_free(f->old);
    ag_book_free(f->new);
}

typedef struct pair_case {
    const char *query, *category, *colour, *lining, *asked; /* asked NULL: read in the query */
    const char *verdicts;
    int was, now; /* deciding rules; now -1: left out */
    bool facts, reread;
} pair_case;

#define NAVY "[{\"name\": \"colour\", \"value\": \"navy\"}]"

static const pair_case pair_cases[] = {
    /* a synonym that only the new file knows: the verdict was the facts', so it follows them */
    {"navy coats", "coats", "dark blue", NULL, NAVY,
     "\"cat\": \"SAME\", \"attr\": {\"colour\": \"CONFLICT\"}", 1, 4, true, false},
    /* the judge said something else than the facts: its word stays */
    {"navy coats", "coats", "dark blue", NULL, NAVY, "\"cat\": \"SAME\", \"attr\": {\"colour\": \"UNKNOWN\"}",
     3, 3, false, false},
    /* facts that do not change */
    {"navy coats", "coats", "navy", NULL, NAVY, "\"cat\": \"SAME\", \"attr\": {\"colour\": \"MATCH\"}", 4, 4,
     false, false},
    {"navy coats", "sofas", "red", NULL, NAVY, "\"cat\": \"OTHER\", \"attr\": {\"colour\": \"CONFLICT\"}", 0,
     0, false, false},
    /* a category that moves */
    {"coats", "jackets", NULL, NULL, "[]", "\"cat\": \"NEAR\"", 2, 4, true, false},
    {"coats", "jackets", NULL, NULL, "[]", "\"cat\": \"OTHER\"", 0, 0, false, false},
    /* a request that only the new file reads: its facts say how the item stands to it */
    {"coats for rain", "coats", NULL, "wax", NULL, "\"cat\": \"SAME\"", 4, 4, false, true},
    {"coats for rain", "coats", NULL, "silk", NULL, "\"cat\": \"SAME\"", 4, 1, false, true},
    {"coats for rain", "coats", NULL, NULL, NULL, "\"cat\": \"SAME\"", 4, 3, false, true},
    /* what the pair says is asked stays, whatever the query says */
    {"coats for rain", "coats", NULL, "silk", "[]", "\"cat\": \"SAME\"", 4, 4, false, false},
    {"coats", "coats", NULL, "silk", NULL, "\"cat\": \"SAME\"", 4, 4, false, false},
};
enum { PAIR_CASES = sizeof pair_cases / sizeof *pair_cases };

static void add_case(ag_pair_list *pairs, const factual *f, const pair_case *c, int number)
{
    ag_str line = {0};
    ag_error err = {0};
    ag_str_addf(&line,
                "{\"id\": \"p%d\", \"query\": \"%s\", \"category\": \"coats\", \"item\": {\"title\": "
                "\"thing\", \"category\": \"%s\", \"attributes\": {",
                number, c->query, c->category);
    if (c->colour) ag_str_addf(&line, "\"colour\": \"%s\"%s", c->colour, c->lining ? "," : "");
    if (c->lining) ag_str_addf(&line, "\"lining\": \"%s\"", c->lining);
    ag_str_add(&line, "}}");
    if (c->asked) ag_str_addf(&line, ", \"asked\": %s", c->asked);
    ag_str_addf(&line, ", \"gold\": {\"verdicts\": {%s}}}", c->verdicts);
    add_pair(pairs, f->old, line.data);
    if (ag_pair_fill_asked(pairs->items[pairs->count - 1], f->old_lexicon, &err)) fail_msg("%s", err.message);
    ag_str_free(&line);
}

/* Gold verdicts, and a judge's lines with the same ones, under facts that differ; without the facts nothing changes. */
static void test_facts(void **state)
{
    ag_error err = {0};
    ag_str judged = {0};
    (void)state;
    factual f = factual_of(old_facts, new_facts);
    ag_pair_list pairs = {0};
    size_t by_facts = 0, reread = 0;
    for (int i = 0; i < PAIR_CASES; i++) {
        add_case(&pairs, &f, &pair_cases[i], i);
        by_facts += pair_cases[i].facts, reread += pair_cases[i].reread;
        ag_str_addf(&judged, "{\"id\": \"p%d\", \"verdicts\": {%s}}\n", i, pair_cases[i].verdicts);
    }
    char *path = file(judged.data);
    for (int mode = 0; mode < 4; mode++) {
        ag_rederive r;
        bool looks = mode < 2;
        ag_rederive_begin(&r, f.old, f.new);
        if (looks) r.facts = &f.both;
        if (mode % 2 ? ag_rederive_judged(&r, path, &pairs, &err) : ag_rederive_pairs(&r, &pairs, &err))
            fail_msg("%s", err.message);
        assert_int_equal(r.count, PAIR_CASES);
        assert_int_equal(r.by_facts, looks ? by_facts : 0);
        assert_int_equal(r.reread, looks ? reread : 0);
        for (int i = 0; i < PAIR_CASES; i++) {
            const pair_case *c = &pair_cases[i];
            if (r.rows[i].old_rule != c->was || r.rows[i].new_rule != (looks ? c->now : c->was) ||
                r.rows[i].facts != (looks && c->facts))
                fail_msg("pair %d, mode %d: rules %d and %d", i, mode, r.rows[i].old_rule,
                         r.rows[i].new_rule);
        }
        ag_rederive_free(&r);
    }
    ag_free(path);
    ag_str_free(&judged);
    ag_pair_list_free(&pairs);
    factual_free(&f);
    /* the same facts twice: nothing changes, whatever the verdicts */
    f = factual_of(new_facts, new_facts);
    pairs = (ag_pair_list){0};
    for (int i = 0; i < PAIR_CASES; i++)
        if (pair_cases[i].asked) add_case(&pairs, &f, &pair_cases[i], i);
    ag_rederive r;
    ag_rederive_begin(&r, f.old, f.new);
    r.facts = &f.both;
    assert_int_equal(ag_rederive_pairs(&r, &pairs, &err), AG_OK);
    assert_int_equal(r.by_facts + r.reread, 0);
    for (size_t i = 0; i < r.count; i++) assert_int_equal(r.rows[i].old_rule, r.rows[i].new_rule);
    ag_rederive_free(&r);
    ag_pair_list_free(&pairs);
    factual_free(&f);
}

/* A request that is not read any more takes its verdict with it; others keep theirs in the new order. */
static void test_requests_move(void **state)
{
    ag_error err = {0};
    (void)state;
    static const char
        less[] = "facts: f\nlanguage: en\ncategories: {coats: {}}\nvalues: {colour: {synonyms: [[navy, dark "
                 "blue], [red, scarlet]]}}\n",
        more[] =
            "facts: f\nlanguage: en\ncategories: {coats: {}}\nvalues: {colour: {synonyms: [[navy, dark "
            "blue], [red, scarlet]]}}\nknowledge: [{phrases: [rain], asked: [{name: lining, value: wax}]}]\n";
    static const pair_case c = {"rain coats navy",   "coats", "red", "silk", NULL,
                                "\"cat\": \"SAME\"", 1,       3,     false,  true};
    factual f = factual_of(more, less);
    ag_pair_list pairs = {0};
    ag_rederive r;
    add_case(&pairs, &f, &c, 0);
    assert_int_equal(pairs.items[0]->asked.count, 2);
    char *path = file(
        "{\"id\": \"p0\", \"verdicts\": {\"cat\": \"SAME\", \"attr\": {\"lining\": \"CONFLICT\", \"colour\": "
        "\"UNKNOWN\"}}}\n");
    ag_rederive_begin(&r, f.old, f.new);
    r.facts = &f.both;
    if (ag_rederive_judged(&r, path, &pairs, &err)) fail_msg("%s", err.message);
    assert_int_equal(r.count, 1);
    assert_int_equal(r.rows[0].old_rule, c.was);
    assert_int_equal(r.rows[0].new_rule, c.now); /* of the colour, whose verdict was the judge's own */
    assert_int_equal(r.reread, 1);
    ag_rederive_free(&r);
    ag_free(path);
    ag_pair_list_free(&pairs);
    factual_free(&f);
}

/* The same words as another request: the old verdict is none of it. */
static void test_requests_turn(void **state)
{
    ag_error err = {0};
    (void)state;
#define COLOURS                                                                                              \
    "facts: f\nlanguage: en\ncategories: {coats: {}}\nvalues: {colour: {synonyms: [[navy, dark blue]]}}\n"
    static const pair_case c = {.query = "coats without navy",
                                .category = "coats",
                                .colour = "navy",
                                .verdicts = "\"cat\": \"SAME\""};
    factual f = factual_of(COLOURS, COLOURS "phrases: {not: [without]}\n");
    ag_pair_list pairs = {0};
    ag_rederive r;
    add_case(&pairs, &f, &c, 0);
    char *path = file(
        "{\"id\": \"p0\", \"verdicts\": {\"cat\": \"SAME\", \"attr\": {\"colour\": \"MATCH\"}}}\n");
    ag_rederive_begin(&r, f.old, f.new);
    r.facts = &f.both;
    if (ag_rederive_judged(&r, path, &pairs, &err)) fail_msg("%s", err.message);
    assert_int_equal(r.count, 1);
    assert_int_equal(r.rows[0].old_rule, 4);
    assert_int_equal(r.rows[0].new_rule, 1);
    assert_int_equal(r.reread, 1);
    ag_rederive_free(&r);
    ag_free(path);
    ag_pair_list_free(&pairs);
    factual_free(&f);
}

static void test_facts_memory(void **state)
{
    (void)state;
    factual f = factual_of(old_facts, new_facts);
    ag_pair_list pairs = {0};
    for (int i = 0; i < PAIR_CASES; i++) add_case(&pairs, &f, &pair_cases[i], i);
    for (long n = 1;; n += 1 + n / 60) {
        ag_error err = {0};
        ag_rederive r;
        ag_mem_fail_at(n, true);
        ag_rederive_begin(&r, f.old, f.new);
        r.facts = &f.both;
        ag_status status = ag_rederive_pairs(&r, &pairs, &err);
        ag_mem_fail_at(0, false);
        ag_rederive_free(&r);
        if (status == AG_OK) break;
        assert_int_equal(status, AG_ERR_MEMORY);
        assert_true(n < 100000);
    }
    ag_pair_list_free(&pairs);
    factual_free(&f);
}

/* Every allocation in turn fails: an error, and nothing left behind (the sanitizer looks). */
static void test_memory(void **state)
{
    (void)state;
    ag_book *old = book(OLD), *new = book(NEW);
    char *path = file(
        "{\"id\": \"a\", \"verdicts\": {\"cat\": \"NEAR\", \"attr\": {\"brand\": \"MATCH\"}}}\n");
    for (long n = 1;; n++) {
        ag_error err = {0};
        ag_rederive r;
        ag_book_changes changes = {0};
        json_t *json = NULL;
        ag_mem_fail_at(n, true);
        ag_rederive_begin(&r, old, new);
        ag_status status = ag_rederive_judged(&r, path, NULL, &err);
        if (status == AG_OK) status = ag_rederive_json(&json, old, new, &changes, &r, 5, &err);
        ag_mem_fail_at(0, false);
        json_decref(json);
        ag_rederive_free(&r);
        if (status == AG_OK) break;
        assert_int_equal(status, AG_ERR_MEMORY);
        assert_true(n < 1000);
    }
    ag_free(path);
    ag_book_free(old);
    ag_book_free(new);
}

static int begin(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    return ag_dir_remove(folder, NULL) == AG_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_verdict), cmocka_unit_test(test_judged),
        cmocka_unit_test(test_left_out),      cmocka_unit_test(test_refused),
        cmocka_unit_test(test_facts),         cmocka_unit_test(test_requests_move),
        cmocka_unit_test(test_requests_turn), cmocka_unit_test(test_facts_memory),
        cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, begin, end);
}
