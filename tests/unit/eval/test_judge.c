/* test_judge.c: a judge against definitions: P(tier) by one pass over each whole sequence, greedy answers by a loop that knows no
 * cache, explained answers by the parser, and records by hand. The models are random: what they say is
 * nonsense, but it must be the same nonsense.
 */
#include "unit/model/fixture.h"

#include "eval/judge.h"

static const char two_digits[] = "  - {id: \"4\", name: Excellent, gain: 7, good: true}\n"
                                 "  - {id: \"3\", name: Related, gain: 3, good: true}\n"
                                 "  - {id: \"1\", name: Irrelevant, gain: 0, good: false}\n",
                  nested[] = "  - {id: \"100\", name: Excellent, gain: 7, good: true}\n"
                             "  - {id: \"10\", name: Related, gain: 3, good: true}\n"
                             "  - {id: \"1\", name: Irrelevant, gain: 0, good: false}\n";

/* Three tiers, a single criterion and one for each asked entry. */
static ag_book *make_book(const char *order, const char *why, const char *tiers)
{
    static const char head[] = "rulebook: test\nversion: \"1\"\nlanguage: en\ninstruction: Judge.\n",
                      criteria[] =
                          "criteria:\n"
                          "  - {id: cat, name: category, verdicts: [SAME, OTHER], weight: 0.2, from: none}\n"
                          "  - {id: attr, name: attribute, per: asked, verdicts: [MATCH, UNKNOWN, "
                          "CONFLICT], weight: 0.2, from: none}\n"
                          "attributes:\n"
                          "  default: {importance: minor, compare: text}\n"
                          "  brand: {importance: core, compare: text}\n"
                          "  colour: {importance: minor, compare: set}\n";
    char text[4096];
    bool wide = tiers == nested;
    ag_book *book = NULL;
    ag_error err = {0};
    int n = snprintf(text, sizeof text,
                     "%sorder: %s\n%s\ntiers:\n%s%srules:\n"
                     "  - {id: R1, when: \"cat == OTHER\", cap: \"1\", text: a}\n"
                     "  - {id: R2, when: \"any(attr) == CONFLICT\", cap: \"%s\", text: b}\n"
                     "  - {id: R0, when: otherwise, cap: \"%s\", text: c}\n"
                     "reward: {tier: 1.0, rule: 0.1, format_penalty: 0.5}\n",
                     head, order, why, tiers, criteria, wide ? "10" : "3", wide ? "100" : "4");
    must(ag_book_parse(&book, text, (size_t)n, "test.yaml", &err));
    return book;
}

/* Texts for the tokenizer: the book's own, so that prompts are short. */
typedef struct texts {
    const char *text[3];
    int at;
} texts;

static ag_status next_text(void *user, const char **text, size_t *len, ag_error *err)
{
    texts *t = user;
    (void)err;
    *text = t->at < 3 ? t->text[t->at++] : NULL;
    *len = *text ? strlen(*text) : 0;
    return AG_OK;
}

enum { VOCAB = 600, ROWS = 512, PAIRS = 70 };

typedef struct setup {
    ag_device *device;
    ag_tokenizer *tokenizer;
    ag_model *model;
    ag_pass *pass;
    ag_book *book;
    ag_judge_options options;
    ag_judge *judge;
    int32_t end_id;
    ag_pair *pairs[PAIRS];
    ag_judge_input inputs[PAIRS];
} setup;

static void make_pairs(setup *s)
{
    static const char *const asked[] = {"", "{\"name\": \"colour\", \"op\": \"is\", \"value\": \"red\"}",
                                        ("{\"name\": \"colour\", \"op\": \"is\", \"value\": \"red\"}, "
                                         "{\"name\": \"brand\", \"op\": \"not\", \"value\": \"Acme\"}")};
    ag_error err = {0};
    for (int i = 0; i < PAIRS; i++) {
        char line[512];
        int n = snprintf(
            line, sizeof line,
            "{\"id\": \"p%d\", \"query\": \"%s boots %d\", \"item\": {\"title\": \"Boots %d of %s\", "
            "\"brand\": \"Acme\", \"attributes\": {\"colour\": \"%s\"}}, \"asked\": [%s]}",
            i, i % 2 ? "red" : "leather", i / 3, i, i % 5 ? "suede" : "red leather", i % 4 ? "red" : "blue",
            asked[i % 3]);
        must(ag_pair_parse(&s->pairs[i], line, (size_t)n, "pairs", i + 1, s->book, AG_AGGREGATE_GIVEN, &err));
        s->inputs[i] = (ag_judge_input){s->pairs[i]->query, &s->pairs[i]->item, &s->pairs[i]->asked,
                                        i % 7 == 3 ? "look at the colour" : NULL};
    }
}

static setup open_setup(ag_book *book)
{
    static const char *const special[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
    setup s = {.device = open_device("cpu"), .book = book};
    ag_error err = {0};
    ag_config config;
    ag_str system = {0};
    texts t = {.text = {NULL, "Query: red leather boots\nProduct: Boots of red leather\nBrand: Acme\n",
                        "cat=SAME\nattr=colour:MATCH;brand:CONFLICT\nrule=R1"}};
    ag_prompt_defaults(&s.options.format.prompt);
    s.options.format.prompt.chat = AG_CHAT_CHATML;
    s.options.format.prompt.rules = false; /* short prompts */
    must(ag_prompt_system(&system, book, &s.options.format.prompt, &err));
    t.text[0] = ag_str_text(&system);
    must(ag_tokenizer_train(&s.tokenizer, next_text, &t, VOCAB, special, 3, &err));
    must(ag_config_preset(&config, "nano", &err));
    config.vocab = ag_tokenizer_vocab(s.tokenizer);
    must(ag_model_create(&s.model, &config, s.device, &(ag_model_options){.type = s.device->real}, &err));
    fill_tiny(s.model);
    s.pass = make_pass(s.model, ROWS, VOCAB, false, AG_RECOMPUTE_NONE);
    ag_str_free(&system);
    must(ag_chat_end(s.tokenizer, AG_CHAT_CHATML, &s.end_id, &err));
    must(ag_judge_create(&s.judge, s.model, s.tokenizer, s.book, &s.options, &err));
    make_pairs(&s);
    return s;
}

static void close_setup(setup *s)
{
    for (int i = 0; i < PAIRS; i++) ag_pair_free(s->pairs[i]);
    ag_judge_free(s->judge);
    ag_pass_free(s->pass);
    ag_model_free(s->model);
    ag_tokenizer_free(s->tokenizer);
    ag_device_close(s->device);
    ag_book_free(s->book);
}

static ag_judgement *run_judge(setup *s, int first, int n, ag_judge_answer answer)
{
    ag_error err = {0};
    ag_judgement *out = ag_calloc((size_t)n, sizeof *out);
    assert_non_null(out);
    must(ag_judge_run(s->judge, s->inputs + first, (size_t)n, answer, NULL, out, &err));
    return out;
}

static void assert_near(double a, double b, double tolerance, const char *what)
{
    if (!(fabs(a - b) <= tolerance)) fail_msg("%s: %.12g is not %.12g", what, a, b);
}

/* --- the naive judge ------------------------------------------------------------------------------------------------ */

/* The prompt's tokens in text; returns their number. */
static int prompt_of(setup *s, int pair, int32_t *text)
{
    ag_error err = {0};
    ag_tokens tokens = {0};
    const ag_judge_input *in = &s->inputs[pair];
    must(ag_prompt_encode(&tokens, s->book, s->tokenizer, &s->options.format.prompt, in->query, in->item,
                          in->asked, in->hint, NULL, &err));
    assert_true(tokens.len < ROWS - 160);
    memcpy(text, tokens.ids, tokens.len * sizeof *text);
    int n = (int)tokens.len;
    ag_tokens_free(&tokens);
    return n;
}

/* Sum of the log-probabilities of tokens [from, n). */
static double logprob_of(setup *s, const int32_t *text, int from, int n)
{
    ag_error err = {0};
    ag_forest_builder b = {0};
    ag_forest f;
    uint8_t wanted[ROWS] = {0};
    double logprob[ROWS], sum = 0;
    memset(wanted + from, 1, (size_t)(n - from));
    must(ag_forest_add(&b, text, n, wanted, 0, true, n, &err));
    must(ag_forest_finish(&f, &b, &err));
    must(ag_pass_forward(s->pass, &f, &err));
    must(ag_pass_logprob(s->pass, 1, NULL, logprob, NULL, &err));
    for (int i = 0; i < n - from; i++) sum += logprob[i];
    ag_forest_free(&f);
    ag_forest_builder_free(&b);
    return sum;
}

/* The token after a text: the most probable, the first among equals. */
static int32_t best_token(setup *s, int32_t *text, int n)
{
    ag_error err = {0};
    ag_forest_builder b = {0};
    ag_forest f;
    uint8_t wanted[ROWS] = {0};
    double logprob[VOCAB];
    int best = 0, vocab = ag_tokenizer_vocab(s->tokenizer);
    wanted[n] = 1;
    for (int32_t id = 0; id < vocab; id++) {
        text[n] = id;
        must(ag_forest_add(&b, text, n + 1, wanted, id, true, n + 1, &err));
    }
    must(ag_forest_finish(&f, &b, &err));
    must(ag_pass_forward(s->pass, &f, &err));
    must(ag_pass_logprob(s->pass, 1, NULL, logprob, NULL, &err));
    for (int id = 1; id < vocab; id++)
        if (logprob[id] > logprob[best]) best = id;
    ag_forest_free(&f);
    ag_forest_builder_free(&b);
    return best;
}

static int add_text(setup *s, const char *text, size_t len, int32_t *tokens, int n)
{
    ag_error err = {0};
    ag_tokens ids = {0};
    must(ag_tokenizer_encode(s->tokenizer, text, len, false, &ids, &err));
    memcpy(tokens + n, ids.ids, ids.len * sizeof *tokens);
    n += (int)ids.len;
    ag_tokens_free(&ids);
    return n;
}

/* Think-first orders: the segments of an answer that stand before its tier, each tokenised alone. */
static int add_thinking(setup *s, int pair, const char *answer, int32_t *tokens, int n)
{
    ag_answer parsed;
    ag_segment segments[64];
    const ag_asked *asked = s->inputs[pair].asked;
    assert_true(ag_answer_parse(s->book, asked, answer, strlen(answer), &parsed, NULL));
    assert_true(ag_answer_segment_max(s->book, asked->count) <= 64);
    int count = ag_answer_segments(s->book, asked, &parsed, segments);
    for (int i = 0; i < count && segments[i].part != AG_PART_TIER; i++) {
        char text[256];
        memcpy(text, segments[i].text, segments[i].len);
        if (segments[i].tail) text[segments[i].len] = segments[i].tail;
        n = add_text(s, text, segments[i].len + (segments[i].tail != 0), tokens, n);
    }
    return n;
}

static void assert_tiers(setup *s, int pair, const ag_judgement *j)
{
    int32_t text[ROWS];
    bool follow = strcmp(s->book->tiers[0].id, "100") == 0;
    int n = prompt_of(s, pair, text), best = 0;
    double p[AG_MAX_TIERS], total = 0, gain = 0;
    if (s->book->order != AG_RESPOND_THEN_THINK) n = add_thinking(s, pair, j->answer, text, n);
    for (int t = 0; t < s->book->tier_count; t++) {
        int end = add_text(s, s->book->tiers[t].id, strlen(s->book->tiers[t].id), text, n);
        bool last = s->book->order == AG_THINK_THEN_RESPOND ||
                    (s->book->order == AG_VERDICTS_THEN_TIER && !s->book->why_required);
        if (follow && last)
            text[end++] = s->end_id;
        else if (follow)
            end = add_text(s, "\n", 1, text, end);
        total += p[t] = exp(logprob_of(s, text, n, end));
    }
    for (int t = 0; t < s->book->tier_count; t++) {
        assert_near(j->probability[t], p[t] / total, 2e-5, s->pairs[pair]->id);
        gain += p[t] / total * s->book->tiers[t].gain;
        if (p[t] > p[best]) best = t;
    }
    assert_near(j->gain, gain, 2e-4, "gain");
    assert_int_equal(j->tier, best);
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static const char *const orders[] = {"respond_then_think", "think_then_respond", "verdicts_then_tier"};
static const char *const whys[] = {"why: none", "why: required\nwhy_chars: 30"};

static void test_tier_probabilities(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        setup s = open_setup(make_book(orders[0], whys[0], k ? nested : two_digits));
        ag_judgement *j = run_judge(&s, 0, 9, AG_ANSWER_NONE);
        for (int i = 0; i < 9; i++) {
            assert_null(j[i].answer);
            assert_tiers(&s, i, &j[i]);
        }
        ag_judgements_free(j, 9);
        close_setup(&s);
    }
}

/* Every order, with and without a why: answers are in the format, finished, and led by the judged tier. */
static void test_explained(void **state)
{
    (void)state;
    for (int k = 0; k < 12; k++) {
        int order = k % 3;
        setup s = open_setup(make_book(orders[order], whys[k / 3 % 2], k / 6 ? nested : two_digits));
        ag_judgement *j = run_judge(&s, 0, 6, AG_ANSWER_EXPLAIN), *none = run_judge(&s, 0, 6, AG_ANSWER_NONE);
        for (int i = 0; i < 6; i++) {
            ag_answer a;
            ag_str refusal = {0};
            assert_non_null(j[i].answer);
            if (!ag_answer_parse(s.book, s.inputs[i].asked, j[i].answer, strlen(j[i].answer), &a, &refusal))
                fail_msg("%s: %s", j[i].answer, ag_str_text(&refusal));
            assert_true(j[i].finished);
            if (order == 0) {
                const char *id = s.book->tiers[j[i].tier].id;
                assert_int_equal(strncmp(j[i].answer, id, strlen(id)), 0);
                assert_int_equal(j[i].answer[strlen(id)], '\n');
                assert_int_equal(a.tier, j[i].tier);
            }
            if (order == 2) { /* derive forces both */
                int tier, rule;
                ag_derive(s.book, s.inputs[i].asked, &a.verdicts, &tier, &rule);
                assert_int_equal(a.tier, tier);
                assert_int_equal(a.rule, rule);
            }
            assert_tiers(&s, i, &j[i]);
            for (int t = 0; t < s.book->tier_count; t++) /* the same without the answer */
                assert_near(none[i].probability[t], j[i].probability[t], 1e-9, orders[order]);
            assert_null(none[i].answer);
        }
        ag_judgements_free(j, 6);
        ag_judgements_free(none, 6);
        close_setup(&s);
    }
}

/* Makes the model like "0" better than a newline wherever it likes a newline. */
static void like_zero(setup *s)
{
    ag_error err = {0};
    const ag_param *p = &s->model->params[s->model->embed];
    double *values = ag_calloc((size_t)(p->rows * p->cols), sizeof *values);
    int32_t zero = ag_tokenizer_find(s->tokenizer, "0", 1), line = ag_tokenizer_find(s->tokenizer, "\n", 1);
    assert_non_null(values);
    assert_true(zero >= 0 && line >= 0);
    must(ag_param_get(s->model, s->model->embed, values, &err));
    for (int64_t i = 0; i < p->cols; i++) values[zero * p->cols + i] = 1.5 * values[line * p->cols + i];
    must(ag_param_set(s->model, s->model->embed, values, &err));
    ag_free(values);
}

/* Where tiers begin one another, the model may like a longer one better than the end of the judged one. */
static void test_explained_nested(void **state)
{
    (void)state;
    int temptations = 0;
    setup s = open_setup(make_book(orders[0], whys[0], nested));
    like_zero(&s);
    ag_judgement *j = run_judge(&s, 0, 16, AG_ANSWER_EXPLAIN);
    for (int i = 0; i < 16; i++) {
        ag_answer a;
        const ag_asked *asked = s.inputs[i].asked;
        assert_true(ag_answer_parse(s.book, asked, j[i].answer, strlen(j[i].answer), &a, NULL));
        assert_int_equal(a.tier, j[i].tier);
        if (j[i].tier == 0) continue;
        int32_t text[ROWS];
        const char *id = s.book->tiers[j[i].tier].id;
        int n = add_text(&s, id, strlen(id), text, prompt_of(&s, i, text));
        int more = add_text(&s, "0", 1, text, n);
        double longer = logprob_of(&s, text, n, more);
        more = add_text(&s, "\n", 1, text, n);
        temptations += longer > logprob_of(&s, text, n, more);
    }
    if (temptations == 0) fail_msg("no pair tells whether the judged tier is ended");
    ag_judgements_free(j, 16);
    close_setup(&s);
}

static void test_greedy(void **state)
{
    (void)state;
    for (int order = 0; order < 2; order++) {
        setup s = open_setup(make_book(orders[order], whys[0], two_digits));
        ag_judgement *j = run_judge(&s, 0, 3, AG_ANSWER_GREEDY);
        for (int i = 0; i < 3; i += 2) {
            ag_error err = {0};
            ag_str want = {0};
            int32_t text[ROWS], id = -1;
            int begin = prompt_of(&s, i, text), n = begin, most = 0;
            for (int k = 0; k < 3; k++) { /* the limit is that of the batch */
                int limit = ag_answer_limit(s.book, s.inputs[k].asked);
                if (limit > most) most = limit;
            }
            while (id != s.end_id && n - begin < most) {
                id = best_token(&s, text, n);
                text[n++] = id;
            }
            must(ag_tokenizer_decode(s.tokenizer, text + begin, (size_t)(n - begin - (id == s.end_id)), false,
                                     &want, &err));
            assert_string_equal(j[i].answer, ag_str_text(&want));
            assert_int_equal(j[i].finished, id == s.end_id);
            if (order == 0) assert_tiers(&s, i, &j[i]);
            ag_str_free(&want);
        }
        ag_judgements_free(j, 3);
        close_setup(&s);
    }
}

/* With the rules' tokens kept in the store answers are the same bytes, less is computed, and repetition gives the same bytes. */
static void test_kept_rules(void **state)
{
    (void)state;
    for (int order = 0; order < 3; order++) {
        ag_error err = {0};
        setup s = open_setup(make_book(orders[order], whys[1], two_digits));
        ag_judgement *plain = run_judge(&s, 0, 20, AG_ANSWER_EXPLAIN);
        ag_judge_work first = ag_judge_work_done(s.judge);
        int32_t room = ag_session_free_slots(ag_judge_session(s.judge));
        must(ag_judge_keep_rules(s.judge, &err));
        must(ag_judge_keep_rules(s.judge, &err)); /* in place of itself */
        int32_t kept = room - ag_session_free_slots(ag_judge_session(s.judge));
        ag_judge_work before = ag_judge_work_done(s.judge);
        ag_judgement *with = run_judge(&s, 0, 20, AG_ANSWER_EXPLAIN);
        ag_judge_work after = ag_judge_work_done(s.judge);
        ag_judgement *again = run_judge(&s, 0, 20, AG_ANSWER_EXPLAIN);
        if (kept < 20) fail_msg("only %d tokens are kept", kept);
        assert_int_equal(before.pairs, 20);
        assert_int_equal(after.pairs, 40);
        assert_int_equal(after.tokens - before.tokens, first.tokens);
        assert_int_equal(first.computed - (after.computed - before.computed), 2 * (uint64_t)kept);
        assert_int_equal(room - ag_session_free_slots(ag_judge_session(s.judge)), kept);
        for (int i = 0; i < 20; i++) {
            assert_string_equal(with[i].answer, plain[i].answer);
            assert_string_equal(with[i].answer, again[i].answer);
            assert_int_equal(with[i].tier, plain[i].tier);
            for (int t = 0; t < s.book->tier_count; t++) {
                assert_near(with[i].probability[t], plain[i].probability[t], 1e-5, "kept");
                assert_true(with[i].probability[t] == again[i].probability[t]);
            }
        }
        for (int i = 0; i < 20; i += 6) { /* alone, and with its query: more than the rules is shared */
            ag_judgement *few = run_judge(&s, i, 1 + i % 4, AG_ANSWER_EXPLAIN);
            assert_string_equal(few->answer, plain[i].answer);
            for (int t = 0; t < s.book->tier_count; t++)
                assert_near(few->probability[t], plain[i].probability[t], 1e-5, "kept, few");
            ag_judgements_free(few, 1 + (size_t)i % 4);
        }
        ag_judgements_free(plain, 20);
        ag_judgements_free(with, 20);
        ag_judgements_free(again, 20);
        close_setup(&s);
    }
}

/* Prompts that do not begin with what is kept are computed whole; a store too small to keep it says so and stays as it was. */
static void test_kept_other(void **state)
{
    (void)state;
    ag_error err = {0};
    setup s = open_setup(make_book(orders[0], whys[0], two_digits));
    static const int32_t other[] = {5, 6, 7};
    ag_judgement *plain = run_judge(&s, 0, 5, AG_ANSWER_NONE);
    must(ag_session_keep(ag_judge_session(s.judge), other, 3, &err));
    ag_judgement *with = run_judge(&s, 0, 5, AG_ANSWER_NONE);
    for (int i = 0; i < 5; i++)
        for (int t = 0; t < s.book->tier_count; t++)
            assert_true(with[i].probability[t] == plain[i].probability[t]);
    must(ag_session_keep(ag_judge_session(s.judge), NULL, 0, &err));
    assert_int_equal(ag_session_free_slots(ag_judge_session(s.judge)), 8192);
    int32_t *many = ag_calloc(9000, sizeof *many);
    assert_int_equal(ag_session_keep(ag_judge_session(s.judge), many, 9000, &err), AG_ERR_MEMORY);
    assert_int_equal(ag_session_free_slots(ag_judge_session(s.judge)), 8192);
    ag_free(many);
    ag_judgements_free(plain, 5);
    ag_judgements_free(with, 5);
    close_setup(&s);
}

static ag_judge_text write_one(setup *s, int pair, ag_judge_drawing drawing)
{
    ag_error err = {0};
    ag_judge_text out;
    must(ag_judge_write(s->judge, &s->inputs[pair], &drawing, &out, &err));
    return out;
}

/* Greedy writing is what explaining gives; drawing is a function of its seed and stays in the format; a limit cuts. */
static void test_write(void **state)
{
    (void)state;
    for (int order = 0; order < 3; order++) {
        setup s = open_setup(make_book(orders[order], whys[1], order ? two_digits : nested));
        int different = 0;
        for (int i = 0; i < 4; i++) {
            ag_judgement *want = run_judge(&s, i, 1, AG_ANSWER_EXPLAIN);
            ag_judge_text greedy = write_one(&s, i, (ag_judge_drawing){.top_p = 1});
            assert_string_equal(greedy.text, want->answer);
            assert_true(greedy.finished);
            int32_t prompt[ROWS];
            assert_int_equal(greedy.prompt_tokens, prompt_of(&s, i, prompt));
            for (int cut = 1; cut < greedy.answer_tokens; cut += 3) {
                ag_judge_text part = write_one(&s, i, (ag_judge_drawing){.top_p = 1, .max_new = cut});
                assert_false(part.finished);
                assert_int_equal(part.answer_tokens, cut);
                if (strncmp(part.text, greedy.text, strlen(part.text)) != 0) /* but for a cut character */
                    assert_non_null(strstr(part.text, "\xEF\xBF\xBD"));
                ag_free(part.text);
            }
            for (uint64_t seed = 1; seed < 4; seed++) {
                ag_judge_drawing how = {.temperature = 1, .top_p = 1, .seed = seed};
                ag_judge_text a = write_one(&s, i, how), b = write_one(&s, i, how);
                ag_answer parsed;
                assert_string_equal(a.text, b.text);
                assert_true(
                    ag_answer_parse(s.book, s.inputs[i].asked, a.text, strlen(a.text), &parsed, NULL));
                different += strcmp(a.text, greedy.text) != 0;
                ag_free(a.text);
                ag_free(b.text);
            }
            ag_free(greedy.text);
            ag_judgements_free(want, 1);
        }
        assert_true(different > 0);
        close_setup(&s);
    }
}

/* A pair alone is judged as among 70, in any place of them, and with a store that holds little more than a prompt. */
static void test_batches(void **state)
{
    static const int alone[] = {0, 1, 5, 62, 63, 64, 69};
    (void)state;
    setup s = open_setup(make_book(orders[0], whys[0], two_digits));
    ag_judgement *all = run_judge(&s, 0, PAIRS, AG_ANSWER_NONE);
    for (size_t k = 0; k < sizeof alone / sizeof *alone; k++) {
        ag_judgement *one = run_judge(&s, alone[k], 1, AG_ANSWER_NONE);
        for (int t = 0; t < s.book->tier_count; t++)
            assert_near(one->probability[t], all[alone[k]].probability[t], 1e-5, "alone");
        ag_judgements_free(one, 1);
    }
    ag_error err = {0};
    ag_judge *small = NULL;
    ag_judge_options options = s.options;
    ag_judgement *out = ag_calloc(PAIRS, sizeof *out);
    options.kv_slots = 400;
    options.max_rows = 37;
    must(ag_judge_create(&small, s.model, s.tokenizer, s.book, &options, &err));
    must(ag_judge_run(small, s.inputs, 20, AG_ANSWER_NONE, NULL, out, &err));
    for (int i = 0; i < 20; i++)
        for (int t = 0; t < s.book->tier_count; t++)
            assert_near(out[i].probability[t], all[i].probability[t], 1e-5, "a small store");
    ag_judgements_free(out, PAIRS);
    ag_judgements_free(all, PAIRS);
    ag_judge_free(small);
    close_setup(&s);
}

static ag_status stop_at(void *user, size_t done, size_t total, ag_error *err)
{
    size_t *last = user;
    assert_true(done > *last && done <= total);
    *last = done;
    return done < total ? AG_OK : ag_fail(err, AG_ERR_INTERRUPTED, "stopped");
}

static void test_progress_stops(void **state)
{
    (void)state;
    setup s = open_setup(make_book(orders[0], whys[0], two_digits));
    size_t last = 0;
    ag_error err = {0};
    ag_judgement out[PAIRS];
    ag_judge_progress progress = {stop_at, &last};
    assert_int_equal(ag_judge_run(s.judge, s.inputs, PAIRS, AG_ANSWER_NONE, &progress, out, &err),
                     AG_ERR_INTERRUPTED);
    assert_int_equal(last, PAIRS);
    close_setup(&s);
}

static void test_format_file(void **state)
{
    (void)state;
    char dir[64], path[160];
    ag_error err = {0};
    setup s = open_setup(make_book(orders[0], whys[0], two_digits));
    ag_judge_format got, want = {{.chat = AG_CHAT_CHATML,
                                  .item_tokens = 123,
                                  .max_tokens = 456,
                                  .repeat_query = false,
                                  .rules = false,
                                  .mark_matches = true}};
    test_folder(dir);
    must(ag_judge_format_load(&got, dir, s.tokenizer, &err)); /* none there: defaults */
    ag_prompt_options defaults;
    ag_prompt_defaults(&defaults);
    assert_int_equal(got.prompt.item_tokens, defaults.item_tokens);
    assert_int_equal(got.prompt.repeat_query, defaults.repeat_query);
    must(ag_judge_format_save(&want, s.book, dir, &err));
    must(ag_judge_format_load(&got, dir, s.tokenizer, &err));
    assert_int_equal(got.prompt.chat, AG_CHAT_CHATML);
    assert_int_equal(got.prompt.item_tokens, 123);
    assert_int_equal(got.prompt.max_tokens, 456);
    assert_false(got.prompt.repeat_query);
    assert_false(got.prompt.rules);
    assert_true(got.prompt.mark_matches);
    snprintf(path, sizeof path, "%s/agrl.json", dir);
    put_file(path, "{\"chat\": \"chat\"}", 16);
    assert_int_not_equal(ag_judge_format_load(&got, dir, s.tokenizer, &err), AG_OK);
    put_file(path, "{\"item_tokens\": 0}", 18);
    assert_int_not_equal(ag_judge_format_load(&got, dir, s.tokenizer, &err), AG_OK);
    assert_says(err, "item_tokens");
    assert_ok(ag_dir_remove(dir, &err));
    close_setup(&s);
}

static ag_pair *parse_pair(const char *line, const ag_book *book)
{
    ag_error err = {0};
    ag_pair *pair = NULL;
    must(ag_pair_parse(&pair, line, strlen(line), "pairs", 1, book, AG_AGGREGATE_GIVEN, &err));
    return pair;
}

static const char *slice_of(const ag_record *r, const char *name)
{
    for (int i = 0; i < r->slice_count; i++)
        if (strcmp(r->slice_names[i], name) == 0) return r->slice_values[i];
    return "";
}

static void test_records(void **state)
{
    (void)state;
    ag_error err = {0};
    ag_arena arena = {.name = "records"};
    ag_book *book = make_book(orders[0], whys[0], two_digits);
    ag_pair *p = parse_pair(
        "{\"id\": \"x\", \"query\": \"Red boots\", \"type\": [\"attribute\", \"brand\"], \"locale\": \"us\", "
        "\"item\": {\"title\": \"Boots\"}, \"slice\": {\"brand\": \"unseen\", \"n\": 3}, "
        "\"asked\": [{\"name\": \"colour\", \"op\": \"is\", \"value\": \"red\"}, "
        "{\"name\": \"brand\", \"op\": \"is\", \"value\": \"Acme\"}], "
        "\"gold\": {\"tier\": \"3\", \"rule\": \"R2\", \"verdicts\": {\"cat\": \"SAME\", "
        "\"attr\": {\"colour\": \"MATCH\", \"brand\": \"CONFLICT\"}}}, "
        "\"ratings\": [\"3\", null, \"4\"]}",
        book);
    static const char right[] = "3\ncat=SAME\nattr=colour:MATCH;brand:CONFLICT\nrule=R2",
                      half[] = "3\ncat=SAME\nattr=colour:CONFLICT;brand:UNKNOWN\nrule=R2",
                      broken[] = "4\ncat=SAME\nattr=colour:MATCH;brand:CONFLICT\nrule=R2",
                      wrong[] = "3\ncat=";
    struct {
        const char *answer;
        bool finished, format, gate, verdicts;
        int hits; /* of attr */
    } cases[] = {{right, true, true, true, true, 2},
                 {half, true, true, true, false, 0},
                 {broken, true, true, false, true, 2},
                 {wrong, true, false, false, false, 0},
                 {right, false, false, false, false, 0}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        ag_judgement j = {.probability = {0.2, 0.5, 0.3},
                          .tier = 1,
                          .answer = ag_strdup(cases[k].answer),
                          .finished = cases[k].finished};
        ag_record r;
        must(ag_record_fill(&r, book, p, &j, &arena, &err));
        assert_true(r.answered);
        assert_int_equal(r.format, cases[k].format);
        assert_int_equal(r.gate, cases[k].gate);
        assert_int_equal(r.verdicts_right, cases[k].verdicts);
        assert_int_equal(r.verdict_count[0], 1);
        assert_int_equal(r.verdict_hits[0], cases[k].format);
        assert_int_equal(r.verdict_count[1], 2);
        assert_int_equal(r.verdict_hits[1], cases[k].hits);
        assert_int_equal(r.answer_tier,
                         cases[k].format ? ag_book_tier(book, cases[k].answer[0] == '4' ? "4" : "3") : -1);
        assert_int_equal(r.derived_tier, cases[k].format ? 1 : -1);
        assert_int_equal(r.rule, cases[k].format ? 1 : -1);
        assert_int_equal(r.gold, 1);
        assert_int_equal(r.gold_rule, 1);
        assert_int_equal(r.tier, 1);
        assert_near(r.probability[1], 0.5, 0, "probability");
        assert_true(r.verdicts_known);
        ag_free(j.answer);
    }
    ag_judgement j = {.probability = {1}, .tier = 0};
    ag_record r;
    must(ag_record_fill(&r, book, p, &j, &arena, &err));
    assert_false(r.answered || r.format || r.gate);
    assert_int_equal(r.answer_tier, -1);
    assert_int_equal(r.slice_count, 5); /* two types, asked, locale, brand; a number is no slice */
    assert_string_equal(slice_of(&r, "type"), "attribute");
    assert_string_equal(slice_of(&r, "asked"), "given");
    assert_string_equal(slice_of(&r, "locale"), "us");
    assert_string_equal(slice_of(&r, "brand"), "unseen");
    assert_int_equal(r.rating_count, 3);
    assert_int_equal(r.ratings[0], 1);
    assert_int_equal(r.ratings[1], -1);
    assert_int_equal(r.ratings[2], 0);
    ag_str group = {0};
    must(ag_query_group(&group, "boots red", &err));
    assert_string_equal(r.group, ag_str_text(&group));
    ag_str_free(&group);
    ag_arena_free(&arena);
    ag_pair_free(p);
    ag_book_free(book);
}

static void test_fill_asked(void **state)
{
    (void)state;
    ag_error err = {0};
    ag_book *book = make_book(orders[0], whys[0], two_digits);
    ag_facts *facts = NULL;
    ag_lexicon *lexicon = NULL;
    must(ag_facts_empty(&facts, &err));
    must(ag_lexicon_create(&lexicon, facts, book, &err));
    ag_pair *p = parse_pair("{\"query\": \"red boots\", \"type\": \"mine\", \"item\": {\"title\": \"Boots\", "
                            "\"attributes\": {\"colour\": \"red\"}}}",
                            book);
    assert_int_equal(p->asked.source, AG_ASKED_UNKNOWN);
    must(ag_pair_fill_asked(p, lexicon, &err));
    assert_int_equal(p->asked.source, AG_ASKED_PARSED);
    assert_int_equal(p->asked.count, 1); /* the item's own value */
    assert_string_equal(p->asked.entries[0].name, "colour");
    assert_int_equal(p->asked.type_count, 1);
    assert_string_equal(p->asked.types[0], "mine");
    ag_pair_free(p);
    p = parse_pair(
        "{\"query\": \"red boots\", \"item\": {\"title\": \"Boots\", \"attributes\": {\"colour\": \"red\"}}, "
        "\"asked\": []}",
        book);
    must(ag_pair_fill_asked(p, lexicon, &err)); /* given: nothing is asked */
    assert_int_equal(p->asked.source, AG_ASKED_GIVEN);
    assert_int_equal(p->asked.count, 0);
    ag_pair_free(p);
    ag_lexicon_free(lexicon);
    ag_facts_free(facts);
    ag_book_free(book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tier_probabilities),
        cmocka_unit_test(test_explained),
        cmocka_unit_test(test_explained_nested),
        cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_kept_rules),
        cmocka_unit_test(test_kept_other),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_progress_stops),
        cmocka_unit_test(test_format_file),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_fill_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
