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

/* What a hinted, invented example answers is what its hint says, derived by rules that the data shows; where the hint says no
 * verdicts, at most one differs from the item's. */
static void check_hinted(const rig *r, size_t sequence, int said[4])
{
    ag_str text = {0}, hint = {0};
    char id_said[8], tier_said[8];
    ag_answer a;
    int tier, rule, differ = 0;
    const ag_asked *asked = &r->pairs[0]->asked;
    const ag_gold *gold = &r->pairs[sequence == 0 ? 0 : 3]->gold;
    text_of(r, sequence, ANSWER, &text);
    text_of(r, sequence, PROMPT, &hint);
    const char *in = strstr(ag_str_text(&hint), "\nHint:");
    assert_non_null(in);
    const char *rule_line = strstr(in, "\nRule: ");
    if (rule_line && sscanf(rule_line, "\nRule: %7[^,], at most %7[^:]", id_said, tier_said) == 2 &&
        ag_book_rule(r->book, id_said) < 0) { /* a rule that no book has: the answer copies it */
        char head[16], tail[32];
        snprintf(head, sizeof head, "%s\n", tier_said);
        snprintf(tail, sizeof tail, "\nrule=%s", id_said); /* and no reason, which would be another's */
        assert_true(strncmp(ag_str_text(&text), head, strlen(head)) == 0);
        assert_true(text.len > strlen(tail) && !strcmp(ag_str_text(&text) + text.len - strlen(tail), tail));
        said[3]++;
        goto out;
    }
    ag_str_add(&text, "\nwhy=it is so"); /* which no invented fact is trained to give */
    assert_true(ag_answer_parse(r->book, asked, text.data, text.len, &a, NULL));
    ag_derive(r->book, asked, &a.verdicts, &tier, &rule);
    assert_true(a.tier == tier && a.rule == rule);
    const char *id = r->book->rules[rule].id;
    assert_true(!strcmp(id, "R0") || !strcmp(id, "R3"));
    char all[128], line[64];
    for (int c = 0; c < 2; c++) differ += a.verdicts.v[c][0] != gold->verdicts.v[c][0];
    snprintf(all, sizeof all, "Verdicts: cat=%s; attr=colour:%s",
             r->book->criteria[0].verdicts[a.verdicts.v[0][0]],
             r->book->criteria[1].verdicts[a.verdicts.v[1][0]]);
    if (strstr(in, all)) {
        said[0]++;
    } else {
        assert_int_equal(differ, 1);
        snprintf(line, sizeof line, strstr(in, "\nTier: ") ? "\nTier: %s" : "\nRule: %s, ",
                 strstr(in, "\nTier: ") ? r->book->tiers[tier].id : id);
        if (!strstr(in, line)) fail_msg("no '%s' in: %s", line, in);
        said[strstr(in, "\nTier: ") ? 2 : 1]++;
    }
out:
    ag_str_free(&text);
    ag_str_free(&hint);
}

static void test_hints(void **state)
{
    (void)state;
    rig r;
    ag_error err = {0};
    int said[4] = {0};
    open_rig(&r, AG_AGGREGATE_GIVEN, 1);
    for (uint64_t seed = 0; seed < 80; seed++) {
        ag_dataset_free(&r.d);
        r.o.seed = seed;
        assert_ok(ag_dataset_build(&r.d, &r.list, &r.o, &err));
        assert_int_equal(r.d.hinted, 2);
        for (size_t i = 0; i < r.d.count; i += 2) check_hinted(&r, i, said);
    }
    for (int k = 0; k < 4; k++)
        assert_true(said[k] >= 8); /* verdicts, the rule alone, the tier alone, a new rule */
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers), cmocka_unit_test(test_soft),
                                       cmocka_unit_test(test_hints)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
