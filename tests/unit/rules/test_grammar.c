/* test_grammar.c: the token automaton against brute force: it allows what some valid answer goes on with, and nothing
 * else.
 */
#include "unit/rules/answer_help.h"

static const char sample_text[] =
    "10\n100\nkind=NOTHING\nattr=colour:MATCHING;colour#2:MATCH\nrule=R11\nrule=R10\nwhy=a "
    "reason é 理由\n2\ncat=SAME\nmaterial:CONFLICT\n";

/* --- the set of all answers --------------------------------------------------------------------------------- */

typedef struct answers {
    ag_tokens *list;
    size_t count, cap;
} answers;

static int compare_tokens(const void *pa, const void *pb)
{
    const ag_tokens *a = pa, *b = pb;
    for (size_t i = 0; i < a->len && i < b->len; i++) {
        if (a->ids[i] != b->ids[i]) return a->ids[i] < b->ids[i] ? -1 : 1;
    }
    return a->len < b->len ? -1 : a->len > b->len;
}

static void add_answer(answers *all, const ag_book *book, const ag_asked *asked, const ag_tokenizer *t,
                       const ag_answer *answer)
{
    ag_segment segments[128];
    ag_tokens ids = {0};
    int n = ag_answer_segments(book, asked, answer, segments);
    assert_int_equal(segments[n - 1].part, AG_PART_END);
    assert_ok(ag_answer_encode(t, segments, n, end_of(t), &ids, NULL, NULL));
    assert_true(ag_grow(&all->list, &all->cap, all->count + 1, sizeof *all->list));
    all->list[all->count++] = ids;
}

/* Every answer of the book: under verdicts_then_tier those whose tier and rule are the derived ones. */
static void list_answers(answers *all, const ag_book *book, const ag_asked *asked, const ag_tokenizer *t)
{
    ag_verdicts v;
    verdicts_first(book, asked, &v);
    bool none = true;
    for (int r = 0; r < book->rule_count; r++) none = none && book->rules[r].condition;
    do {
        ag_answer answer = {.verdicts = v};
        if (book->order == AG_VERDICTS_THEN_TIER) {
            ag_derive(book, asked, &v, &answer.tier, &answer.rule);
            add_answer(all, book, asked, t, &answer);
            continue;
        }
        for (answer.tier = 0; answer.tier < book->tier_count; answer.tier++) {
            for (answer.rule = none ? -1 : 0; answer.rule < book->rule_count; answer.rule++) {
                add_answer(all, book, asked, t, &answer);
            }
        }
    } while (verdicts_next(book, asked, &v));
    qsort(all->list, all->count, sizeof *all->list, compare_tokens);
}

static void free_answers(answers *all)
{
    for (size_t i = 0; i < all->count; i++) ag_tokens_free(&all->list[i]);
    ag_free(all->list);
}

/* --- brute force --------------------------------------------------------------------------------------------- */

typedef struct check {
    const ag_grammar *grammar;
    const ag_tokenizer *tokenizer;
    const answers *all;
    uint32_t *words, *want;
    int vocab;
    long prefixes, forced;
} check;

static bool bit(const uint32_t *words, int32_t id)
{
    return words[id / 32] >> (id % 32) & 1;
}

/* The answers from..to share their first `depth` tokens, and `state` stands after these. */
static void check_prefix(check *c, size_t from, size_t to, size_t depth, const ag_grammar_state *state)
{
    size_t bytes = ((size_t)c->vocab + 31) / 32 * sizeof *c->want;
    int want = 0;
    int32_t only = -1;
    memset(c->want, 0, bytes);
    for (size_t i = from; i < to; i++) {
        if (c->all->list[i].len == depth) continue;
        int32_t id = c->all->list[i].ids[depth];
        if (!bit(c->want, id)) want++;
        c->want[id / 32] |= 1u << (id % 32);
        only = id;
    }
    memset(c->words, 0xAA, bytes);
    assert_int_equal(ag_grammar_allowed(c->grammar, state, c->words), want);
    assert_memory_equal(c->words, c->want, bytes);
    assert_int_equal(ag_grammar_forced(c->grammar, state), want == 1 ? only : -1);
    /* advance says the same of every id (asked where there is a choice, and now and then elsewhere). */
    for (int32_t id = 0; id < c->vocab && (want > 1 || c->prefixes % 16 == 0); id++) {
        ag_grammar_state next = *state;
        bool good = ag_grammar_advance(c->grammar, &next, id);
        if (good != bit(c->want, id)) fail_msg("token %d: advance %d, allowed %d", (int)id, good, !good);
        if (!good) assert_memory_equal(&next, state, sizeof next);
    }
    c->prefixes++;
    c->forced += want == 1;
    assert_int_equal(state->done, want == 0);
    for (size_t i = from; i < to;) {
        size_t end = i + 1;
        if (c->all->list[i].len == depth) {
            i++;
            continue;
        }
        int32_t id = c->all->list[i].ids[depth];
        while (end < to && c->all->list[end].ids[depth] == id) end++;
        ag_grammar_state next = *state;
        assert_true(ag_grammar_advance(c->grammar, &next, id));
        check_prefix(c, i, end, depth + 1, &next);
        i = end;
    }
}

static void check_book(const char *yaml, int merges, int asked_count)
{
    asks a = {0};
    ag_book *book = make_book(yaml);
    ag_tokenizer *t = make_tokenizer(sample_text, merges);
    for (int i = 0; i < asked_count; i++) asks_add(&a, "colour", i ? AG_OP_NOT : AG_OP_IS, "red");
    ag_asked *asked = asks_resolve(&a, book);
    ag_grammar *grammar = NULL;
    answers all = {0};
    check c = {.tokenizer = t, .all = &all, .vocab = ag_tokenizer_vocab(t)};
    ag_grammar_state state;
    ag_error err = {0};
    if (ag_grammar_build(&grammar, book, t, end_of(t), &err)) fail_msg("%s", err.message);
    assert_ok(ag_grammar_prepare(grammar, asked, NULL));
    assert_ok(ag_grammar_prepare(grammar, asked, NULL));
    list_answers(&all, book, asked, t);
    c.grammar = grammar;
    c.words = ag_calloc((size_t)c.vocab / 32 + 1, sizeof *c.words);
    c.want = ag_calloc((size_t)c.vocab / 32 + 1, sizeof *c.want);
    ag_grammar_start(grammar, asked, &state);
    check_prefix(&c, 0, all.count, 0, &state);
    assert_true(c.prefixes > c.forced && c.forced > 0);
    ag_free(c.words);
    ag_free(c.want);
    free_answers(&all);
    ag_grammar_free(grammar);
    ag_tokenizer_free(t);
    ag_arena_free(&a.arena);
    ag_book_free(book);
}

static void test_brute_force(void **state)
{
    (void)state;
    static const char *const books[] = {
        BOOK("respond_then_think", "none", PREFIXES), BOOK("think_then_respond", "none", PREFIXES),
        BOOK("verdicts_then_tier", "none", PREFIXES), BOOK("respond_then_think", "none", FOUR),
        BOOK("verdicts_then_tier", "none", FOUR),
        /* Without criteria. */
        BOOK("respond_then_think", "none",
             FOUR_TIERS "rules:\n  - {id: R0, when: otherwise, cap: \"4\", text: x}\n"),
        BOOK(
            "verdicts_then_tier", "none",
            "tiers:\n  - {id: a, name: a, gain: 1, good: true}\n  - {id: ab, name: b, gain: 0, good: false}\n"
            "criteria:\n  - {id: c, name: c, verdicts: [Y, YY, YYY], weight: 0.1, from: none}\n"
            "rules:\n  - {id: R1, when: \"c == YY\", cap: ab, text: x}\n")};
    static const int merges[] = {0, 60};
    for (size_t b = 0; b < sizeof books / sizeof *books; b++) {
        for (size_t m = 0; m < sizeof merges / sizeof *merges; m++) {
            for (int asked = 0; asked <= 2; asked++) check_book(books[b], merges[m], asked);
        }
    }
}

/* --- why ------------------------------------------------------------------------------------------------------ */

/* Can these bytes go on to valid UTF-8? By trying, not by an automaton of our own. */
static bool can_go_on(const char *bytes, size_t n)
{
    static const unsigned char tails[] = {0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF};
    char text[8];
    size_t from;
    if (ag_utf8_valid(bytes, n, &from)) return true;
    if (from + 3 < n) return false; /* what is wrong is not the last character */
    bytes += from;
    n -= from;
    memcpy(text, bytes, n);
    for (int k = 0, tries = 6; tries <= 6 * 6 * 6; tries *= 6, k++) {
        for (int i = 0; i < tries; i++) {
            text[n] = (char)tails[i % 6];
            text[n + 1] = (char)tails[i / 6 % 6];
            text[n + 2] = (char)tails[i / 36];
            if (ag_utf8_valid(text, n + 1 + (size_t)k, NULL)) return true;
        }
    }
    return false;
}

/* Characters begun. */
static int begun(const char *bytes, size_t n)
{
    int count = 0;
    for (size_t i = 0; i < n; i++) count += ((unsigned char)bytes[i] & 0xC0) != 0x80;
    return count;
}

/* What the definition says of token id after `text` of the why. */
static bool allowed_by_definition(const ag_tokenizer *t, const ag_str *text, int why_chars, int32_t id)
{
    size_t n = 0;
    const char *bytes = ag_tokenizer_bytes(t, id, &n);
    char both[4096];
    if (!bytes || !n || ag_tokenizer_is_special(t, id) || memchr(bytes, '\n', n)) return false;
    if (text->len) memcpy(both, text->data, text->len);
    memcpy(both + text->len, bytes, n);
    return can_go_on(both, text->len + n) && begun(both, text->len + n) <= why_chars;
}

/* A random walk: before every token of the why the allowed set is compared with the definition; at the end the text
 * must be an answer. Returns how many tokens had an unfinished character before them. */
static int walk(const ag_grammar *grammar, const ag_book *book, const ag_asked *asked, const ag_tokenizer *t,
                ag_rng *r, bool greedy_why)
{
    int vocab = ag_tokenizer_vocab(t), split = 0;
    uint32_t *words = ag_calloc((size_t)vocab / 32 + 1, sizeof *words);
    ag_grammar_state s;
    ag_str text = {0}, why = {0}, reason = {0};
    bool in_why = false;
    ag_grammar_start(grammar, asked, &s);
    for (int steps = 0; !s.done; steps++) {
        assert_true(steps < 2000);
        int n = ag_grammar_allowed(grammar, &s, words), count = 0;
        int32_t forced = ag_grammar_forced(grammar, &s), chosen = -1;
        assert_true(n > 0);
        if (in_why) {
            bool whole = ag_utf8_valid(ag_str_text(&why), why.len, NULL);
            split += !whole;
            int32_t after = book->order == AG_THINK_THEN_RESPOND ? ag_tokenizer_find(t, "\n", 1) : end_of(t);
            for (int32_t id = 0; id < vocab; id++) {
                bool want = id == after ? whole : allowed_by_definition(t, &why, book->why_chars, id);
                if (bit(words, id) != want) fail_msg("token %d after '%s'", (int)id, ag_str_text(&why));
            }
        }
        int pick = (int)ag_rng_below(r, (uint32_t)n);
        for (int32_t id = 0; id < vocab; id++) {
            if (!bit(words, id)) continue;
            if (count++ == pick) chosen = id;
        }
        assert_int_equal(count, n);
        if (n == 1) assert_int_equal(forced, chosen);
        if (n > 1) assert_int_equal(forced, -1);
        /* Prefer pieces of characters, so that splits happen. */
        for (int tries = 0; in_why && greedy_why && tries < 2000; tries++) {
            int32_t id = (int32_t)ag_rng_below(r, 256);
            size_t len = 0;
            const char *bytes = ag_tokenizer_bytes(t, id, &len);
            if (bit(words, id) && len == 1 && (unsigned char)*bytes >= 0x80) {
                chosen = id;
                break;
            }
        }
        assert_true(ag_grammar_advance(grammar, &s, chosen));
        if (!s.done) assert_ok(ag_tokenizer_decode(t, &chosen, 1, false, &text, NULL));
        /* By length: a reason may hold any byte but a newline, NUL too. */
        const char *label = text.len ? memmem(text.data, text.len, "why=", 4) : NULL;
        size_t rest = label ? (size_t)(text.data + text.len - label) : 0;
        in_why = label && !memchr(label, '\n', rest);
        ag_str_clear(&why);
        if (in_why) ag_str_addn(&why, label + 4, rest - 4);
    }
    ag_answer answer;
    if (!ag_answer_parse(book, asked, ag_str_text(&text), text.len, &answer, &reason)) {
        fail_msg("'%s': %s", ag_str_text(&text), ag_str_text(&reason));
    }
    if (book->order == AG_VERDICTS_THEN_TIER) {
        int tier, rule;
        ag_derive(book, asked, &answer.verdicts, &tier, &rule);
        assert_int_equal(tier, answer.tier);
        assert_int_equal(rule, answer.rule);
    }
    assert_int_equal(ag_grammar_allowed(grammar, &s, words), 0);
    assert_false(ag_grammar_advance(grammar, &s, end_of(t)));
    ag_free(words);
    ag_str_free(&text);
    ag_str_free(&why);
    ag_str_free(&reason);
    return split;
}

static void test_walks(void **state)
{
    (void)state;
    static const char *const books[] = {
        BOOK("respond_then_think", "required\nwhy_chars: 9", FOUR),
        BOOK("think_then_respond", "required\nwhy_chars: 40", PREFIXES),
        BOOK("verdicts_then_tier", "required\nwhy_chars: 1", FOUR),
        BOOK("verdicts_then_tier", "required\nwhy_chars: 24", PREFIXES),
        BOOK("think_then_respond", "none", FOUR),
    };
    int split = 0;
    for (size_t b = 0; b < sizeof books / sizeof *books; b++) {
        asks a = {0};
        ag_book *book = make_book(books[b]);
        ag_tokenizer *t = make_tokenizer(sample_text, 120);
        ag_grammar *grammar = NULL;
        asks_add(&a, "colour", AG_OP_IS, "red");
        asks_add(&a, "colour", AG_OP_NOT, "blue");
        ag_asked *asked = asks_resolve(&a, book);
        assert_ok(ag_grammar_build(&grammar, book, t, end_of(t), NULL));
        assert_ok(ag_grammar_prepare(grammar, asked, NULL));
        for (int i = 0; i < 30; i++) {
            ag_rng r = ag_rng_at(5, AG_RNG_TEST, b, (uint64_t)i, 0, 0);
            split += walk(grammar, book, asked, t, &r, i % 2 == 0);
        }
        ag_grammar_free(grammar);
        ag_tokenizer_free(t);
        ag_arena_free(&a.arena);
        ag_book_free(book);
    }
    assert_true(split > 100);
}

/* The budget of characters to the last: no token that begins one more, but those that finish one. */
static void test_budget(void **state)
{
    (void)state;
    asks a = {0};
    ag_book *book = make_book(BOOK("respond_then_think", "required\nwhy_chars: 2",
                                   FOUR_TIERS "rules:\n  - {id: R, when: otherwise, cap: \"4\", text: x}\n"));
    ag_asked *asked = asks_resolve(&a, book);
    ag_tokenizer *t = make_tokenizer("abc abc abc", 20);
    ag_grammar *g = NULL;
    ag_grammar_state s;
    ag_tokens ids = {0};
    uint32_t words[64];
    static const char head[] = "4\nrule=Rwhy=";
    assert_ok(ag_grammar_build(&g, book, t, end_of(t), NULL));
    ag_grammar_start(g, asked, &s);
    assert_int_equal(ag_grammar_forced(g, &s), -1); /* four tiers */
    assert_true(ag_grammar_advance(g, &s, ag_tokenizer_find(t, "4", 1)));
    int32_t id;
    int run = 0;
    while ((id = ag_grammar_forced(g, &s)) >= 0) {
        assert_true(ag_grammar_advance(g, &s, id));
        run++;
    }
    assert_true(run >= 4 && run <= (int)sizeof head);
    int32_t abc = ag_tokenizer_find(t, "abc", 3), ab = ag_tokenizer_find(t, "ab", 2),
            one = ag_tokenizer_find(t, "a", 1);
    assert_true(abc >= 0 && ab >= 0);
    ag_grammar_allowed(g, &s, words);
    assert_false(bit(words, abc));
    assert_true(bit(words, ab) && bit(words, one) && bit(words, end_of(t)));
    assert_true(ag_grammar_advance(g, &s, one));
    ag_grammar_allowed(g, &s, words);
    assert_false(bit(words, ab));
    assert_true(bit(words, one));
    int32_t lead = ag_tokenizer_find(t, "\xE2", 1), tail = ag_tokenizer_find(t, "\x82", 1);
    assert_true(ag_grammar_advance(g, &s, lead)); /* the second and last character begins */
    assert_int_equal(s.chars_left, 0);
    assert_int_equal(s.utf8_len, 1);
    assert_false(ag_grammar_advance(g, &s, end_of(t)));
    assert_false(ag_grammar_advance(g, &s, one));
    assert_true(ag_grammar_advance(g, &s, tail));
    assert_true(ag_grammar_advance(g, &s, tail));
    assert_int_equal(ag_grammar_forced(g, &s), end_of(t)); /* nothing else is left */
    assert_true(ag_grammar_advance(g, &s, end_of(t)));
    assert_true(s.done);
    ag_tokens_free(&ids);
    ag_grammar_free(g);
    ag_tokenizer_free(t);
    ag_book_free(book);
}

/* Tokens of many characters, on both sides of the budgets that have a bit set of their own. */
static void test_long_tokens(void **state)
{
    (void)state;
    asks a = {0};
    char word[65] = {0};
    ag_book *book = make_book(BOOK("respond_then_think", "required\nwhy_chars: 50",
                                   FOUR_TIERS "rules:\n  - {id: R, when: otherwise, cap: \"4\", text: x}\n"));
    ag_asked *asked = asks_resolve(&a, book);
    memset(word, 'a', 64);
    ag_tokenizer *t = make_tokenizer(word, 6); /* 2, 4, 8, 16, 32, 64 characters */
    ag_grammar *g = NULL;
    ag_grammar_state s;
    uint32_t words[64];
    assert_ok(ag_grammar_build(&g, book, t, end_of(t), NULL));
    ag_grammar_start(g, asked, &s);
    assert_true(ag_grammar_advance(g, &s, ag_tokenizer_find(t, "4", 1)));
    for (int32_t id; (id = ag_grammar_forced(g, &s)) >= 0;) assert_true(ag_grammar_advance(g, &s, id));
    for (int left = 50; left >= 0; left--) {
        assert_int_equal(s.chars_left, left);
        int n = ag_grammar_allowed(g, &s, words), bits = 0;
        for (int i = 0; i < 64 * 32 && i < ag_tokenizer_vocab(t); i++) bits += bit(words, i);
        assert_int_equal(bits, n);
        for (int len = 1; len <= 64; len *= 2) {
            int32_t id = ag_tokenizer_find(t, word, (size_t)len);
            assert_true(id >= 0);
            assert_int_equal(bit(words, id), len <= left);
        }
        if (left) assert_true(ag_grammar_advance(g, &s, ag_tokenizer_find(t, "a", 1)));
    }
    ag_grammar_free(g);
    ag_tokenizer_free(t);
    ag_book_free(book);
}

/* A vocabulary whose continuation bytes are control tokens: a lead byte may begin only what can be finished. */
static void test_dead_ends(void **state)
{
    (void)state;
    char names[300][8];
    const char *tokens[300];
    int types[300], vocab = 256;
    for (unsigned b = 0, next = 0x100; b < 256; b++) {
        bool shown = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        memset(names[b], 0, sizeof names[b]);
        ag_utf8_put(shown ? b : next++, names[b]);
        types[b] = b >= 0x80 && b < 0xC0 ? 3 : 1;
    }
    /* C3 A9 as one token, A9 61 ("finish, and begin another"), and an end. */
    static const char *const more[] = {"\xC3\x83\xC2\xA9", "\xC2\xA9\x61", "<end>"};
    for (int i = 0; i < 3; i++) {
        strcpy(names[vocab], more[i]);
        types[vocab++] = i == 2 ? 3 : 1;
    }
    for (int i = 0; i < vocab; i++) tokens[i] = names[i];
    ag_vocab_source source = {
        .tokens = tokens, .types = types, .vocab = vocab, .pre = "gpt-2", .bos = -1, .eos = 258, .pad = -1};
    ag_error err = {0};
    ag_tokenizer *t = NULL;
    ag_grammar *g = NULL;
    asks a = {0};
    if (ag_tokenizer_from_vocab(&t, &source, &err)) fail_msg("%s", err.message);
    ag_book *book = make_book(BOOK("respond_then_think", "required\nwhy_chars: 2",
                                   FOUR_TIERS "rules:\n  - {id: R, when: otherwise, cap: \"4\", text: x}\n"));
    ag_asked *asked = asks_resolve(&a, book);
    if (ag_grammar_build(&g, book, t, 258, &err)) fail_msg("%s", err.message);
    ag_grammar_state s;
    uint32_t words[16];
    ag_grammar_start(g, asked, &s);
    assert_true(ag_grammar_advance(g, &s, '4'));
    for (int32_t id; (id = ag_grammar_forced(g, &s)) >= 0;) assert_true(ag_grammar_advance(g, &s, id));
    ag_grammar_allowed(g, &s, words);
    assert_true(bit(words, 'a') && bit(words, 256));
    assert_true(bit(words, 0xC3));  /* then "A9 61" finishes it within two characters */
    assert_false(bit(words, 0xE2)); /* needs two more bytes: nothing gives them */
    assert_false(bit(words, 257));
    assert_true(ag_grammar_advance(g, &s, 'a'));
    ag_grammar_allowed(g, &s, words);
    assert_false(bit(words, 0xC3)); /* one character left: "A9 61" would begin a third */
    assert_true(bit(words, 256));
    assert_false(ag_grammar_advance(g, &s, 0xC3));
    ag_grammar_free(g);
    ag_tokenizer_free(t);
    ag_book_free(book);
}

/* An answer that begins like a valid one but is not: the automaton refuses the token where it parts. */
static void test_forced_tier(void **state)
{
    (void)state;
    asks a = {0};
    ag_book *book = make_book(BOOK("verdicts_then_tier", "none", FOUR));
    ag_asked *asked = asks_resolve(&a, book);
    ag_tokenizer *t = make_tokenizer(sample_text, 0); /* bytes */
    ag_grammar *g = NULL;
    ag_grammar_state s;
    assert_ok(ag_grammar_build(&g, book, t, end_of(t), NULL));
    ag_grammar_start(g, asked, &s);
    static const char text[] = "cat=COMPLEMENT\nattr=-\nrule=R";
    for (const char *c = text; *c; c++) assert_true(ag_grammar_advance(g, &s, ag_tokenizer_find(t, c, 1)));
    assert_int_equal(ag_grammar_forced(g, &s), ag_tokenizer_find(t, "2", 1));
    assert_false(ag_grammar_advance(g, &s, ag_tokenizer_find(t, "3", 1)));
    for (const char *c = "2\n2"; *c; c++) assert_true(ag_grammar_advance(g, &s, ag_tokenizer_find(t, c, 1)));
    assert_int_equal(ag_grammar_forced(g, &s), end_of(t));
    ag_grammar_free(g);
    ag_tokenizer_free(t);
    ag_book_free(book);
}

static void test_prepare(void **state)
{
    (void)state;
    asks a = {0};
    ag_book *book = make_book(BOOK("verdicts_then_tier", "none", FOUR));
    ag_tokenizer *t = make_tokenizer(sample_text, 50);
    ag_grammar *g = NULL;
    ag_grammar_state s;
    ag_error err = {0};
    uint32_t words[64];
    char names[AG_MAX_ASKED][16];
    assert_int_equal(ag_grammar_build(&g, book, t, -1, &err), AG_ERR_INPUT);
    assert_null(g);
    assert_int_equal(ag_grammar_build(&g, book, t, ag_tokenizer_vocab(t), &err), AG_ERR_INPUT);
    assert_ok(ag_grammar_build(&g, book, t, end_of(t), NULL));
    for (int i = 0; i < AG_MAX_ASKED; i++) {
        snprintf(names[i], sizeof names[i], "név%d", i);
        asks_add(&a, names[i], AG_OP_IS, "x");
    }
    ag_asked *asked = asks_resolve(&a, book);
    ag_grammar_start(g, asked, &s);
    assert_int_equal(ag_grammar_allowed(g, &s, words), 0); /* not prepared: nothing, and no crash */
    assert_ok(ag_grammar_prepare(g, asked, NULL));
    for (int round = 0; round < 2; round++) {
        ag_rng r = ag_rng_at(1, AG_RNG_TEST, 0, 0, 0, 0);
        walk(g, book, asked, t, &r, false);
        ag_grammar_forget(g);
        ag_grammar_start(g, asked, &s);
        assert_ok(ag_grammar_prepare(g, asked, NULL));
    }
    ag_grammar_free(g);
    ag_tokenizer_free(t);
    ag_arena_free(&a.arena);
    ag_book_free(book);
}

typedef struct sweep {
    ag_book *book;
    ag_asked *asked;
    ag_tokenizer *tokenizer;
} sweep;

static ag_status sweep_work(void *context, ag_error *err)
{
    sweep *s = context;
    ag_grammar *g = NULL;
    ag_status status = ag_grammar_build(&g, s->book, s->tokenizer, end_of(s->tokenizer), err);
    if (!status) status = ag_grammar_prepare(g, s->asked, err);
    ag_grammar_free(g);
    return status;
}

static void test_memory(void **state)
{
    (void)state;
    asks a = {0};
    sweep s = {.book = make_book(BOOK("respond_then_think", "required", FOUR)),
               .tokenizer = make_tokenizer(sample_text, 9)};
    asks_add(&a, "colour", AG_OP_IS, "red");
    s.asked = asks_resolve(&a, s.book);
    sweep_memory(sweep_work, &s);
    ag_tokenizer_free(s.tokenizer);
    ag_arena_free(&a.arena);
    ag_book_free(s.book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_brute_force), cmocka_unit_test(test_walks),
        cmocka_unit_test(test_budget),      cmocka_unit_test(test_long_tokens),
        cmocka_unit_test(test_dead_ends),   cmocka_unit_test(test_forced_tier),
        cmocka_unit_test(test_prepare),     cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
