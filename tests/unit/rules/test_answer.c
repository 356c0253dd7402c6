/* test_answer.c: render, segments and parse: what is written is accepted, and nothing else is. */
#include "unit/rules/answer_help.h"

static const char *const respond = BOOK("respond_then_think", "none", FOUR);
static const char *const respond_why = BOOK("respond_then_think", "required", FOUR);
static const char *const think = BOOK("think_then_respond", "required\nwhy_chars: 20", FOUR);
static const char *const verdicts_first_book = BOOK("verdicts_then_tier", "required\nwhy_chars: 20", FOUR);

static ag_asked *two_asked(asks *a, const ag_book *book)
{
    asks_add(a, "colour", AG_OP_IS, "red");
    asks_add(a, "material", AG_OP_NOT, "suede");
    return asks_resolve(a, book);
}

static ag_answer example(void)
{
    ag_answer answer = {.tier = 2, .rule = 1};
    ag_verdicts_clear(&answer.verdicts);
    answer.verdicts.v[0][0] = 0;
    answer.verdicts.v[1][0] = 0;
    answer.verdicts.v[1][1] = 3;
    return answer;
}

static void check_render(const char *yaml, const char *why, const char *want)
{
    asks a = {0};
    ag_book *book = make_book(yaml);
    ag_asked *asked = two_asked(&a, book);
    ag_answer answer = example(), back;
    ag_str text = {0};
    answer.why = why;
    answer.why_len = why ? strlen(why) : 0;
    assert_ok(ag_answer_render(&text, book, asked, &answer, NULL));
    assert_string_equal(ag_str_text(&text), want);
    assert_true(ag_answer_parse(book, asked, text.data, text.len, &back, NULL));
    assert_int_equal(back.tier, 2);
    assert_int_equal(back.rule, 1);
    assert_true(same_verdicts(&back.verdicts, &answer.verdicts));
    ag_str_free(&text);
    ag_arena_free(&a.arena);
    ag_book_free(book);
}

static void test_render(void **state)
{
    (void)state;
    check_render(respond, NULL, "2\ncat=SAME\nattr=colour:MATCH;material:CONFLICT\nrule=R5");
    check_render(respond, "It is suede.", "2\ncat=SAME\nattr=colour:MATCH;material:CONFLICT\nrule=R5");
    check_render(respond_why, "It is suede.",
                 "2\ncat=SAME\nattr=colour:MATCH;material:CONFLICT\nrule=R5\nwhy=It is suede.");
    check_render(think, "It is suede.",
                 "cat=SAME\nattr=colour:MATCH;material:CONFLICT\nrule=R5\nwhy=It is suede.\n2");
    check_render(verdicts_first_book, "It is suede.",
                 "cat=SAME\nattr=colour:MATCH;material:CONFLICT\nrule=R5\n2\nwhy=It is suede.");
    /* Where a why is required there is a line for it, and what cannot stand in one is cut off. */
    check_render(think, NULL, "cat=SAME\nattr=colour:MATCH;material:CONFLICT\nrule=R5\nwhy=\n2");
    check_render(think, "one\ntwo", "cat=SAME\nattr=colour:MATCH;material:CONFLICT\nrule=R5\nwhy=one\n2");
    check_render(think, "aéaéaéaéaéaéaéaéaéaéX",
                 "cat=SAME\nattr=colour:MATCH;material:CONFLICT\nrule=R5\n"
                 "why=aéaéaéaéaéaéaéaéaéaé\n2");
    check_render(think, "bad \xFF byte",
                 "cat=SAME\nattr=colour:MATCH;material:CONFLICT\nrule=R5\nwhy=bad \n2");
}

static void test_nothing_asked(void **state)
{
    (void)state;
    asks a = {0};
    ag_book *book = make_book(respond);
    ag_asked *asked = asks_resolve(&a, book);
    ag_answer answer = {.tier = 0, .rule = 6}, back;
    ag_str text = {0};
    ag_verdicts_clear(&answer.verdicts);
    answer.verdicts.v[0][0] = 0;
    assert_ok(ag_answer_render(&text, book, asked, &answer, NULL));
    assert_string_equal(text.data, "4\ncat=SAME\nattr=-\nrule=R0");
    assert_true(ag_answer_parse(book, asked, text.data, text.len, &back, NULL));
    assert_int_equal(back.verdicts.v[1][0], -1);
    static const char *const wrong[] = {"4\ncat=SAME\nattr=\nrule=R0",
                                        "4\ncat=SAME\nattr=colour:MATCH\nrule=R0",
                                        "4\ncat=SAME\nattr=--\nrule=R0", "4\ncat=SAME\nrule=R0"};
    for (size_t i = 0; i < 4; i++) {
        assert_false(ag_answer_parse(book, asked, wrong[i], strlen(wrong[i]), &back, NULL));
    }
    ag_str_free(&text);
    ag_arena_free(&a.arena);
    ag_book_free(book);
}

static void test_segments(void **state)
{
    (void)state;
    asks a = {0};
    ag_book *book = make_book(respond);
    ag_asked *asked = two_asked(&a, book);
    ag_answer answer = example();
    ag_segment segments[64];
    static const struct {
        const char *text;
        char tail;
        ag_part part;
        int criterion, asked;
    } want[] = {
        {"2", 0, AG_PART_TIER, -1, -1},           {"\n", 0, AG_PART_FORM, -1, -1},
        {"cat", '=', AG_PART_FORM, -1, -1},       {"SAME", 0, AG_PART_CRITERION, 0, -1},
        {"\n", 0, AG_PART_FORM, -1, -1},          {"attr", '=', AG_PART_FORM, -1, -1},
        {"colour", 0, AG_PART_FORM, -1, -1},      {":", 0, AG_PART_FORM, -1, -1},
        {"MATCH", 0, AG_PART_CRITERION, 1, 0},    {";", 0, AG_PART_FORM, -1, -1},
        {"material", 0, AG_PART_FORM, -1, -1},    {":", 0, AG_PART_FORM, -1, -1},
        {"CONFLICT", 0, AG_PART_CRITERION, 1, 1}, {"\n", 0, AG_PART_FORM, -1, -1},
        {"rule=", 0, AG_PART_FORM, -1, -1},       {"R5", 0, AG_PART_RULE, -1, -1},
        {NULL, 0, AG_PART_END, -1, -1},
    };
    int n = ag_answer_segments(book, asked, &answer, segments);
    assert_int_equal(n, (int)(sizeof want / sizeof *want));
    for (int i = 0; i < n; i++) {
        if (want[i].text) {
            assert_int_equal(segments[i].len, strlen(want[i].text));
            assert_memory_equal(segments[i].text, want[i].text, segments[i].len);
        } else {
            assert_null(segments[i].text);
        }
        assert_int_equal(segments[i].tail, want[i].tail);
        assert_int_equal(segments[i].part, want[i].part);
        assert_int_equal(segments[i].criterion, want[i].criterion);
        assert_int_equal(segments[i].asked, want[i].asked);
    }
    assert_true(n <= ag_answer_segment_max(book, 2));
    /* A pair of which only the tier is known: the tier's segment, and the list stops. */
    ag_verdicts_clear(&answer.verdicts);
    answer.rule = -1;
    n = ag_answer_segments(book, asked, &answer, segments);
    assert_int_equal(n, 3);
    assert_int_equal(segments[0].part, AG_PART_TIER);
    assert_int_equal(ag_answer_render(&(ag_str){0}, book, asked, &answer, NULL), AG_ERR_INPUT);
    ag_arena_free(&a.arena);
    ag_book_free(book);
}

/* Every segment is tokenised alone, and the tokens say which segment they are of. */
static void test_encode(void **state)
{
    (void)state;
    asks a = {0};
    ag_book *book = make_book(respond);
    ag_asked *asked = two_asked(&a, book);
    ag_answer answer = example();
    ag_segment segments[64];
    ag_tokenizer *t = make_tokenizer("2\ncat=SAME\nattr=colour:MATCH;material:CONFLICT\nrule=R5\n", 60);
    ag_tokens ids = {0}, of = {0};
    ag_str text = {0}, want = {0};
    int n = ag_answer_segments(book, asked, &answer, segments), last = -1;
    assert_ok(ag_answer_encode(t, segments, n, end_of(t), &ids, &of, NULL));
    assert_int_equal(ids.len, of.len);
    assert_int_equal(ids.ids[ids.len - 1], end_of(t));
    assert_int_equal(of.ids[of.len - 1], n - 1);
    assert_ok(ag_tokenizer_decode(t, ids.ids, ids.len - 1, false, &text, NULL));
    assert_ok(ag_answer_render(&want, book, asked, &answer, NULL));
    assert_string_equal(text.data, want.data);
    for (size_t i = 0; i < of.len; i++) {
        assert_true(of.ids[i] == last || of.ids[i] == last + 1);
        last = of.ids[i];
    }
    /* "cat=" is one segment: its tokens are those of its text alone. */
    ag_tokens label = {0};
    assert_ok(ag_tokenizer_encode(t, "cat=", 4, false, &label, NULL));
    for (size_t i = 0, k = 0; i < of.len; i++) {
        if (of.ids[i] == 2) assert_int_equal(ids.ids[i], label.ids[k++]);
    }
    ag_tokens_free(&label);
    ag_tokens_free(&ids);
    ag_tokens_free(&of);
    ag_str_free(&text);
    ag_str_free(&want);
    ag_tokenizer_free(t);
    ag_arena_free(&a.arena);
    ag_book_free(book);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reason;
    } cases[] = {
        {"", "line 1: no tier is called ''"},
        {"2", "line 2: the answer ends where 'cat' should stand"},
        {"2\n", "line 2: 'cat=' should stand here, not ''"},
        {"5\ncat=SAME\nattr=colour:MATCH;material:MATCH\nrule=R5", "line 1: no tier is called '5'"},
        {" 2\ncat=SAME\nattr=colour:MATCH;material:MATCH\nrule=R5", "line 1: no tier"},
        {"2\r\ncat=SAME\nattr=colour:MATCH;material:MATCH\nrule=R5", "line 1: no tier is called '2?'"},
        {"2\n2\ncat=SAME\nattr=colour:MATCH;material:MATCH\nrule=R5", "line 2: 'cat=' should stand here"},
        {"2\ncat=Same\nattr=colour:MATCH;material:MATCH\nrule=R5",
         "line 2: no verdict of this criterion is called 'Same'"},
        {"2\ncat=SAME \nattr=colour:MATCH;material:MATCH\nrule=R5", "line 2: no verdict"},
        {"2\ncat=\nattr=colour:MATCH;material:MATCH\nrule=R5", "line 2: no verdict"},
        {"2\ncat=SAME\ncat=SAME\nattr=colour:MATCH;material:MATCH\nrule=R5",
         "line 3: 'attr=' should stand here"},
        {"2\ncat=SAME\nattr=colour:MATCH;colour:MATCH\nrule=R5", "line 3: attribute 'colour' given twice"},
        {"2\ncat=SAME\nattr=colour:MATCH;material:MATCH;material:MATCH\nrule=R5",
         "line 3: attribute 'material' given twice"},
        {"2\ncat=SAME\nattr=material:MATCH;colour:MATCH\nrule=R5",
         "line 3: attribute 'colour' is missing or out of order"},
        {"2\ncat=SAME\nattr=colour:MATCH\nrule=R5", "line 3: attribute 'material' is missing"},
        {"2\ncat=SAME\nattr=colour:MATCH;size:MATCH\nrule=R5", "line 3: attribute 'size' was not asked for"},
        {"2\ncat=SAME\nattr=colour:MATCH;material:MATCH;\nrule=R5", "line 3: name:verdict should stand here"},
        {"2\ncat=SAME\nattr=colour;material:MATCH\nrule=R5", "line 3: name:verdict should stand here"},
        {"2\ncat=SAME\nattr=-\nrule=R5", "line 3: name:verdict should stand here"},
        {"2\ncat=SAME\nattr=colour:MATCH; material:MATCH\nrule=R5",
         "line 3: attribute ' material' was not asked for"},
        {"2\ncat=SAME\nattr=colour:MATCH;material:MATCH",
         "line 4: the answer ends where 'rule' should stand"},
        {"2\ncat=SAME\nattr=colour:MATCH;material:MATCH\nrule=R9", "line 4: no rule is called 'R9'"},
        {"2\ncat=SAME\nattr=colour:MATCH;material:MATCH\nrule=-", "line 4: no rule is called '-'"},
        {"2\ncat=SAME\nattr=colour:MATCH;material:MATCH\nrule=R5\n", "line 5: a final newline"},
        {"2\ncat=SAME\nattr=colour:MATCH;material:MATCH\nrule=R5\nok", "line 5: the answer goes on: 'ok'"},
        {"2\ncat=SAME\nattr=colour:MATCH;material:MATCH\nrule=R5\nwhy=a\nwhy=b",
         "line 6: the answer goes on"},
        {"2\ncat=SAME\nattr=colour:MATCH;material:MATCH\nrule=R5\nwhy=\xC3",
         "line 5: the reason is not valid UTF-8"},
        {"cat=SAME\nattr=colour:MATCH;material:MATCH\nrule=R5\n2", "line 1: no tier"},
    };
    asks a = {0};
    ag_book *book = make_book(respond);
    ag_asked *asked = two_asked(&a, book);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ag_str reason = {0};
        ag_answer answer;
        assert_false(ag_answer_parse(book, asked, cases[i].text, strlen(cases[i].text), &answer, &reason));
        if (!strstr(ag_str_text(&reason), cases[i].reason)) {
            fail_msg("case %zu: '%s' does not say '%s'", i, ag_str_text(&reason), cases[i].reason);
        }
        assert_true(ag_utf8_valid(ag_str_text(&reason), reason.len, NULL));
        assert_false(ag_answer_parse(book, asked, cases[i].text, strlen(cases[i].text), &answer, NULL));
        ag_str_free(&reason);
    }
    ag_arena_free(&a.arena);
    ag_book_free(book);
}

static void test_why_lines(void **state)
{
    (void)state;
    asks a = {0};
    ag_answer answer;
    ag_str reason = {0};
    ag_book *book = make_book(think);
    ag_asked *asked = asks_resolve(&a, book);
    static const char good[] = "cat=SAME\nattr=-\nrule=R0\nwhy=twenty characters oké\n4";
    static const char less[] = "cat=SAME\nattr=-\nrule=R0\nwhy=\n4";
    static const char more[] = "cat=SAME\nattr=-\nrule=R0\nwhy=twenty characters okéx\n4";
    static const char none[] = "cat=SAME\nattr=-\nrule=R0\n4";
    assert_false(ag_answer_parse(book, asked, good, sizeof good - 1, &answer, &reason));
    assert_non_null(strstr(reason.data, "longer than 20 characters"));
    static const char exact[] = "cat=SAME\nattr=-\nrule=R0\nwhy=twenty characters é\n4";
    assert_true(ag_answer_parse(book, asked, exact, sizeof exact - 1, &answer, NULL));
    assert_int_equal(answer.why_len, 20);
    static const char full[] = "cat=SAME\nattr=-\nrule=R0\nwhy=éééééééééééééééééééé\n4";
    assert_true(ag_answer_parse(book, asked, full, sizeof full - 1, &answer, NULL));
    assert_true(ag_answer_parse(book, asked, less, sizeof less - 1, &answer, NULL));
    assert_int_equal(answer.why_len, 0);
    assert_non_null(answer.why);
    assert_false(ag_answer_parse(book, asked, more, sizeof more - 1, &answer, NULL));
    ag_str_clear(&reason);
    assert_false(ag_answer_parse(book, asked, none, sizeof none - 1, &answer, &reason));
    assert_non_null(strstr(reason.data, "line 4: the book requires 'why='"));
    ag_str_free(&reason);
    ag_book_free(book);
    /* A book without why accepts the line in the place that its order gives it. */
    book = make_book(BOOK("think_then_respond", "none", FOUR));
    asked = asks_resolve(&a, book);
    assert_true(ag_answer_parse(book, asked, exact, sizeof exact - 1, &answer, NULL));
    assert_true(ag_answer_parse(book, asked, none, sizeof none - 1, &answer, NULL));
    assert_null(answer.why);
    ag_arena_free(&a.arena);
    ag_book_free(book);
}

/* derive(parse(render(v))) for every combination of verdicts, in every order, with 0 to 3 asked entries. */
static void check_all_verdicts(const char *yaml)
{
    static const char *const names[] = {"brand", "colour", "colour"};
    for (int asked_count = 0; asked_count <= 3; asked_count++) {
        asks a = {0};
        ag_book *book = make_book(yaml);
        for (int i = 0; i < asked_count; i++) asks_add(&a, names[i], i == 2 ? AG_OP_NOT : AG_OP_IS, "x");
        ag_asked *asked = asks_resolve(&a, book);
        ag_verdicts v;
        verdicts_first(book, asked, &v);
        do {
            ag_answer answer = {.verdicts = v}, back;
            ag_str text = {0}, reason = {0};
            int tier, rule;
            ag_derive(book, asked, &v, &answer.tier, &answer.rule);
            assert_ok(ag_answer_render(&text, book, asked, &answer, NULL));
            if (!ag_answer_parse(book, asked, text.data, text.len, &back, &reason))
                fail_msg("%s", reason.data);
            ag_derive(book, asked, &back.verdicts, &tier, &rule);
            assert_true(same_verdicts(&v, &back.verdicts));
            assert_int_equal(tier, back.tier);
            assert_int_equal(rule, back.rule);
            assert_int_equal(rule, answer.rule);
            ag_str_free(&text);
        } while (verdicts_next(book, asked, &v));
        ag_arena_free(&a.arena);
        ag_book_free(book);
    }
}

static void test_every_verdict(void **state)
{
    (void)state;
    check_all_verdicts(respond);
    check_all_verdicts(think);
    check_all_verdicts(verdicts_first_book);
    check_all_verdicts(BOOK("respond_then_think", "none", PREFIXES));
    check_all_verdicts(BOOK("verdicts_then_tier", "none", PREFIXES));
}

/* Cuts every valid answer at every byte, changes, doubles and drops bytes and lines: whatever is still accepted is written
 * back byte for byte. */
static void test_fuzz(void **state)
{
    (void)state;
    asks a = {0};
    ag_book *book = make_book(BOOK("respond_then_think", "required\nwhy_chars: 12", FOUR));
    ag_asked *asked = two_asked(&a, book);
    static const char valid[] = "2\ncat=SAME\nattr=colour:MATCH;material:CONFLICT\nrule=R5\nwhy=It is é.";
    static const char alphabet[] = "\n;:=-2R5SAMEwhy \xC3\xFF";
    const size_t n = sizeof valid - 1;
    ag_rng r = ag_rng_at(3, AG_RNG_TEST, 0, 0, 0, 0);
    int accepted = 0;
    for (size_t cut = 0; cut < n; cut++) {
        ag_answer answer;
        bool good = ag_answer_parse(book, asked, valid, cut, &answer, NULL);
        /* Only the reason may be cut short, between characters. */
        if (good != (cut >= n - 9 && cut != n - 2)) fail_msg("cut at %zu", cut);
    }
    for (int round = 0; round < 200000; round++) {
        char text[256];
        size_t len = n;
        memcpy(text, valid, n);
        for (int edits = 1 + (int)ag_rng_below(&r, 3); edits > 0; edits--) {
            size_t at = ag_rng_below(&r, (uint32_t)len), span = 1 + ag_rng_below(&r, 20);
            if (span > len - at) span = len - at;
            switch (ag_rng_below(&r, 4)) {
            case 0: text[at] = (char)ag_rng_below(&r, 256); break;
            case 1: text[at] = alphabet[ag_rng_below(&r, sizeof alphabet - 1)]; break;
            case 2: /* a piece twice */
                if (len + span > sizeof text) break;
                memmove(text + at + span, text + at, len - at);
                len += span;
                break;
            default:
                memmove(text + at, text + at + span, len - at - span);
                len -= span;
                if (!len) text[len++] = 'x';
                break;
            }
        }
        ag_answer answer;
        ag_str back = {0}, reason = {0};
        if (ag_answer_parse(book, asked, text, len, &answer, &reason)) {
            accepted++;
            assert_int_equal(reason.len, 0);
            assert_ok(ag_answer_render(&back, book, asked, &answer, NULL));
            assert_int_equal(back.len, len);
            assert_memory_equal(back.data, text, len);
        } else {
            assert_true(reason.len > 0 && ag_utf8_valid(reason.data, reason.len, NULL));
        }
        ag_str_free(&back);
        ag_str_free(&reason);
    }
    assert_true(accepted > 100);
    ag_arena_free(&a.arena);
    ag_book_free(book);
}

/* Any script, two tiers to seven, no criteria to twelve. */
static void test_any_book(void **state)
{
    (void)state;
    static const char scripts[] =
        "rulebook: t\nversion: \"1\"\nlanguage: zh\norder: respond_then_think\nwhy: none\ninstruction: 判断\n"
        "tiers:\n  - {id: 优秀, name: 优秀, gain: 1, good: true}\n  - {id: \"\xD8\xB3\xD9\x8A\xD8\xA6\", "
        "name: s, gain: 0, "
        "good: false}\n"
        "criteria:\n  - {id: 类别, name: 类别, verdicts: [相同, 不同 ✗], weight: 0.1, from: none}\n"
        "rules:\n  - {id: 规则一, when: \"类别 == 相同\", cap: 优秀, text: 一}\n"
        "  - {id: Ω0, when: otherwise, cap: \"\xD8\xB3\xD9\x8A\xD8\xA6\", text: 二}\n"
        "reward: {tier: 1.0, rule: 0.1, format_penalty: 0.5}\n";
    check_all_verdicts(scripts);
    for (int tiers = 2; tiers <= 7; tiers++) {
        for (int criteria = 0; criteria <= 12; criteria += 3) {
            ag_str y = {0};
            ag_str_add(&y, "rulebook: t\nversion: \"1\"\nlanguage: en\norder: think_then_respond\nwhy: none\n"
                           "instruction: x\ntiers:\n");
            for (int i = 0; i < tiers; i++) {
                ag_str_addf(&y, "  - {id: t%d, name: n%d, gain: %d, good: %s}\n", i, i, tiers - i,
                            i ? "false" : "true");
            }
            if (criteria) ag_str_add(&y, "criteria:\n");
            for (int i = 0; i < criteria; i++) {
                ag_str_addf(&y, "  - {id: c%d, name: c%d, verdicts: [Y, N], weight: 0.01, from: none}\n", i,
                            i);
            }
            ag_str_add(&y, "rules:\n  - {id: R0, when: otherwise, cap: t0, text: x}\n"
                           "reward: {tier: 1.0, rule: 0.1, format_penalty: 0.5}\n");
            check_all_verdicts(y.data);
            ag_str_free(&y);
        }
    }
}

static void test_tier_tokens(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        int follow; /* 0 none, 1 newline, 2 end */
    } cases[] = {{BOOK("respond_then_think", "none", FOUR), 0},
                 {BOOK("respond_then_think", "none", PREFIXES), 1},
                 {BOOK("think_then_respond", "none", PREFIXES), 2},
                 {BOOK("verdicts_then_tier", "none", PREFIXES), 2},
                 {BOOK("verdicts_then_tier", "required", PREFIXES), 1}};
    ag_tokenizer *t = make_tokenizer("2\ncat=SAME\n", 10);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ag_book *book = make_book(cases[i].yaml);
        ag_tokens ids = {0};
        int offsets[AG_MAX_TIERS + 1];
        int32_t newline = ag_tokenizer_find(t, "\n", 1), want = cases[i].follow == 2 ? end_of(t) : newline;
        assert_ok(ag_tier_tokens(book, t, end_of(t), &ids, offsets, NULL));
        for (int k = 0; k < book->tier_count; k++) {
            int n = offsets[k + 1] - offsets[k],
                text = (int)strlen(book->tiers[k].id); /* digits stand apart */
            assert_int_equal(n, text + (cases[i].follow != 0));
            if (cases[i].follow) assert_int_equal(ids.ids[offsets[k + 1] - 1], want);
        }
        assert_int_equal(offsets[book->tier_count], ids.len);
        ag_tokens_free(&ids);
        ag_book_free(book);
    }
    ag_tokenizer_free(t);
}

typedef struct sweep {
    ag_book *book;
    ag_asked *asked;
    ag_tokenizer *tokenizer;
} sweep;

static ag_status sweep_work(void *context, ag_error *err)
{
    sweep *s = context;
    ag_str text = {0};
    ag_tokens ids = {0}, of = {0};
    ag_segment segments[64];
    ag_answer answer = example();
    int offsets[AG_MAX_TIERS + 1], n = ag_answer_segments(s->book, s->asked, &answer, segments);
    ag_status status = ag_answer_render(&text, s->book, s->asked, &answer, err);
    if (!status) status = ag_answer_encode(s->tokenizer, segments, n, end_of(s->tokenizer), &ids, &of, err);
    if (!status) status = ag_tier_tokens(s->book, s->tokenizer, end_of(s->tokenizer), &ids, offsets, err);
    ag_str_free(&text);
    ag_tokens_free(&ids);
    ag_tokens_free(&of);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    asks a = {0};
    sweep s = {.book = make_book(respond), .tokenizer = make_tokenizer("2\ncat=SAME\n", 10)};
    s.asked = two_asked(&a, s.book);
    sweep_memory(sweep_work, &s);
    ag_tokenizer_free(s.tokenizer);
    ag_arena_free(&a.arena);
    ag_book_free(s.book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_render),        cmocka_unit_test(test_nothing_asked),
        cmocka_unit_test(test_segments),      cmocka_unit_test(test_encode),
        cmocka_unit_test(test_refusals),      cmocka_unit_test(test_why_lines),
        cmocka_unit_test(test_every_verdict), cmocka_unit_test(test_fuzz),
        cmocka_unit_test(test_any_book),      cmocka_unit_test(test_tier_tokens),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
