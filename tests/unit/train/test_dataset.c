/* Training pairs as tokens: whole answers, tier only, soft gold, prompt tokens, hints that answers follow. */
#include "unit/base/test_help.h"

#include "train/dataset.h"

#define HEAD "{\"query\":\"red boots\",\"item\":{\"title\":\"Boots\",\"attributes\":{\"colour\":\"red\"}},"
#define ASK  "\"asked\":[{\"name\":\"colour\",\"value\":\"red\"}],"
static const char *const lines[] = {
    HEAD ASK "\"gold\":{\"tier\":\"4\",\"verdicts\":{\"cat\":\"SAME\",\"attr\":{\"colour\":\"MATCH\"}},"
             "\"rule\":\"R0\",\"why\":\"Red.\"}}",
    HEAD ASK "\"gold\":{\"tier\":\"2\"}}",
    HEAD ASK "\"x\":1}",
    HEAD ASK "\"gold\":{\"tier\":\"3\",\"verdicts\":{\"cat\":\"SUBSTITUTE\",\"attr\":{\"colour\":\"MATCH\"}},"
             "\"rule\":\"R3\"},\"ratings\":[\"3\",\"3\",\"3\",\"4\"]}",
};

typedef struct rig {
    ag_book *book;
    ag_pair *pairs[4];
    ag_pair_list list;
    ag_dataset_options o;
    ag_tokenizer *tokenizer;
    ag_dataset d;
} rig;

static void open_rig(rig *r, ag_aggregate aggregate, double share)
{
    ag_error err = {0};
    *r = (rig){.list = {.items = r->pairs, .count = 4}};
    assert_ok(ag_book_load(&r->book, AGRL_SOURCE_DIR "/rules/shop.yaml", &err));
    for (int i = 0; i < 4; i++)
        if (ag_pair_parse(&r->pairs[i], lines[i], strlen(lines[i]), "p", i + 1, r->book, aggregate, &err))
            fail_msg("%s", err.message);
    ag_prompt_defaults(&r->o.prompt);
    r->o.prompt.chat = AG_CHAT_CHATML;
    assert_ok(ag_dataset_tokenizer(&r->tokenizer, &r->list, r->book, &r->o.prompt, 400, &err));
    r->o.book = r->book;
    r->o.tokenizer = r->tokenizer;
    r->o.hint_share = share;
    r->o.hint_counterfactual = 1;
    assert_ok(ag_chat_end(r->tokenizer, AG_CHAT_CHATML, &r->o.end_id, &err));
    if (ag_dataset_build(&r->d, &r->list, &r->o, &err)) fail_msg("%s", err.message);
}

static void close_rig(rig *r)
{
    ag_dataset_free(&r->d);
    ag_tokenizer_free(r->tokenizer);
    for (int i = 0; i < 4; i++) ag_pair_free(r->pairs[i]);
    ag_book_free(r->book);
}

typedef enum piece { ANSWER, CHOICES, PROMPT } piece;

/* The text of the answer's trained tokens, of its choices among them, or of all tokens before the answer. */
static void text_of(const rig *r, size_t sequence, piece which, ag_str *out)
{
    ag_error err = {0};
    const ag_sequence *s = &r->d.sequences[sequence];
    ag_str_clear(out);
    for (int32_t i = 0; i < s->count; i++)
        if (which == PROMPT    ? i < s->count - s->answer
            : which == CHOICES ? s->wanted[i] == AG_WANTED_CHOICE
                               : s->wanted[i] == AG_WANTED_CHOICE || s->wanted[i] == AG_WANTED_FORM)
            assert_ok(ag_tokenizer_decode(r->tokenizer, &s->tokens[i], 1, false, out, &err));
}

static void test_answers(void **state)
{
    (void)state;
    rig r;
    ag_str text = {0};
    open_rig(&r, AG_AGGREGATE_GIVEN, 0);
    assert_int_equal(r.d.count, 3);
    assert_int_equal(r.d.dropped, 1);
    assert_int_equal(r.d.tier_only, 1);
    text_of(&r, 0, ANSWER, &text);
    assert_string_equal(ag_str_text(&text), "4\ncat=SAME\nattr=colour:MATCH\nrule=R0\nwhy=Red.<|im_end|>");
    text_of(&r, 0, CHOICES, &text);
    assert_string_equal(ag_str_text(&text), "4SAMEMATCHR0");
    const ag_sequence *s = &r.d.sequences[0];
    assert_true(r.d.examples[0].form_tokens + r.d.examples[0].choice_tokens == s->answer);
    text_of(&r, 1, ANSWER, &text);
    assert_string_equal(ag_str_text(&text), "2");
    assert_true(r.d.examples[1].choice_tokens == 1 && r.d.examples[1].form_tokens == 0);
    ag_dataset_want_prompts(&r.d); /* the prompts are the same: nothing differs before the answer */
    assert_true(r.d.examples[0].prompt_tokens == 0);
    ag_str_free(&text);
    close_rig(&r);
}

static void test_soft(void **state)
{
    (void)state;
    rig r;
    ag_str text = {0};
    open_rig(&r, AG_AGGREGATE_SOFT, 0);
    const ag_example *e = &r.d.examples[r.d.count - 1];
    assert_int_equal(e->count, 3);
    text_of(&r, e->first, ANSWER, &text);
    assert_string_equal(ag_str_text(&text), "4");
    assert_true(r.d.sequences[e->first].weight == 0.25 && r.d.sequences[e->first + 1].weight == 0.75);
    text_of(&r, e->first + 2, ANSWER, &text);
    assert_string_equal(ag_str_text(&text), "\ncat=SUBSTITUTE\nattr=colour:MATCH\nrule=R3\nwhy=<|im_end|>");
    ag_str_free(&text);
    close_rig(&r);
}

static void test_hints(void **state)
{
    (void)state;
    rig r;
    ag_str text = {0}, hint = {0};
    open_rig(&r, AG_AGGREGATE_GIVEN, 1);
    assert_int_equal(r.d.hinted, 2);
    for (size_t i = 0; i < r.d.count; i += 2) {
        ag_answer a;
        int tier, rule;
        text_of(&r, i, ANSWER, &text);
        text.data[text.len -= strlen("<|im_end|>")] = 0;
        assert_true(ag_answer_parse(r.book, &r.pairs[0]->asked, text.data, text.len, &a, NULL));
        ag_derive(r.book, &r.pairs[0]->asked, &a.verdicts, &tier, &rule);
        assert_true(a.tier == tier && a.rule == rule);
        const char *id = r.book->rules[rule].id; /* only rules that the data shows */
        assert_true(!strcmp(id, "R0") || !strcmp(id, "R3"));
        text_of(&r, i, PROMPT, &hint);
        char want[128];
        snprintf(want, sizeof want, "Verdicts: cat=%s; attr=colour:%s",
                 r.book->criteria[0].verdicts[a.verdicts.v[0][0]],
                 r.book->criteria[1].verdicts[a.verdicts.v[1][0]]);
        if (!strstr(ag_str_text(&hint), want)) fail_msg("no '%s' in: %s", want, ag_str_text(&hint));
    }
    ag_str_free(&text);
    ag_str_free(&hint);
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers), cmocka_unit_test(test_soft),
                                       cmocka_unit_test(test_hints)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
