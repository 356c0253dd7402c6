/* test_copying.c: false hints: false indeed, the same for all, and put before the judge; and the share that follows them. */
#include "unit/model/fixture.h"

#include "base/rng.h"
#include "eval/copying.h"

enum { PAIRS = 12, VOCAB = 600 };

static ag_book *make_book(const char *caps)
{
    char text[2048];
    ag_book *book = NULL;
    ag_error err = {0};
    int n = snprintf(
        text, sizeof text,
        "rulebook: test\nversion: \"1\"\nlanguage: en\ninstruction: Judge.\norder: respond_then_think\nwhy: "
        "none\n"
        "tiers:\n  - {id: \"4\", name: Excellent, gain: 7, good: true}\n"
        "  - {id: \"3\", name: Related, gain: 3, good: true}\n"
        "  - {id: \"1\", name: Irrelevant, gain: 0, good: false}\n"
        "criteria:\n  - {id: cat, name: category, verdicts: [SAME, OTHER], weight: 0.2, from: none}\n"
        "  - {id: attr, name: attribute, per: asked, verdicts: [MATCH, UNKNOWN, CONFLICT], weight: 0.2, "
        "from: "
        "none}\n"
        "attributes:\n  default: {importance: minor, compare: text}\n"
        "rules:\n  - {id: R1, when: \"cat == OTHER\", cap: \"%c\", text: a}\n"
        "  - {id: R2, when: \"any(attr) == CONFLICT\", cap: \"%c\", text: b}\n"
        "  - {id: R0, when: otherwise, cap: \"4\", text: c}\n"
        "reward: {tier: 1.0, rule: 0.1, format_penalty: 0.5}\n",
        caps[0], caps[1]);
    must(ag_book_parse(&book, text, (size_t)n, "test.yaml", &err));
    return book;
}

/* Every third pair has a tier alone. */
static void make_pairs(ag_pair_list *list, const ag_book *book)
{
    ag_error err = {0};
    list->items = ag_calloc(PAIRS, sizeof *list->items);
    for (int i = 0; i < PAIRS; i++) {
        char line[512];
        int n = snprintf(
            line, sizeof line,
            "{\"id\": \"p%d\", \"query\": \"red boots %d\", \"item\": {\"title\": \"Boots %d\"}, \"asked\": "
            "[{\"name\": \"colour\", \"op\": \"is\", \"value\": \"red\"}], \"gold\": {\"tier\": \"4\"%s}}",
            i, i, i,
            i % 3 ? ", \"verdicts\": {\"cat\": \"SAME\", \"attr\": {\"colour\": \"MATCH\"}}, \"rule\": \"R0\""
                  : "");
        must(ag_pair_parse(&list->items[i], line, (size_t)n, "pairs", i + 1, book, AG_AGGREGATE_GIVEN, &err));
        list->count++;
    }
}

static void test_gold_is_false(void **state)
{
    ag_book *book = make_book("13"), *flat = make_book("44");
    ag_pair_list pairs = {0};
    ag_gold gold, again, other;
    int tiers[3] = {0}, differs = 0;
    (void)state;
    make_pairs(&pairs, book);
    for (int i = 0; i < PAIRS; i++) {
        int tier, rule;
        assert_true(ag_copy_gold(&gold, book, pairs.items[i], 1));
        assert_int_not_equal(gold.tier, pairs.items[i]->gold.tier);
        assert_true(ag_verdicts_complete(book, &pairs.items[i]->asked, &gold.verdicts));
        ag_derive(book, &pairs.items[i]->asked, &gold.verdicts, &tier, &rule);
        assert_int_equal(tier, gold.tier);
        assert_int_equal(rule, gold.rule);
        tiers[tier]++;
        assert_true(ag_copy_gold(&again, book, pairs.items[i], 1));
        assert_memory_equal(&gold.verdicts, &again.verdicts, sizeof gold.verdicts);
        assert_true(ag_copy_gold(&other, book, pairs.items[i], 2));
        differs += memcmp(&gold.verdicts, &other.verdicts, sizeof gold.verdicts) != 0;
    }
    assert_true(tiers[1] > 0 && tiers[2] > 0 && differs > 0);
    assert_false(ag_copy_gold(&gold, flat, pairs.items[0], 1)); /* its rules reach the best tier only */
    ag_pair_list_free(&pairs);
    ag_book_free(book);
    ag_book_free(flat);
}

static void test_probes(void **state)
{
    ag_book *book = make_book("13"), *flat = make_book("44");
    ag_pair_list pairs = {0};
    ag_copy_probes probes, few;
    ag_error err = {0};
    (void)state;
    make_pairs(&pairs, book);
    must(ag_copy_probes_make(&probes, book, &pairs, 100, 1, &err));
    must(ag_copy_probes_make(&few, book, &pairs, 3, 1, &err));
    assert_int_equal(probes.count, PAIRS * 2 / 3); /* those with verdicts and rule */
    assert_int_equal(few.count, 3);
    for (size_t i = 0; i < probes.count; i++) {
        const ag_copy_probe *p = &probes.items[i];
        char answer[32];
        assert_int_not_equal(p->pair % 3, 0);
        snprintf(answer, sizeof answer, "\nAnswer:\n%s\n", book->tiers[p->tier].id);
        if (!strstr(p->hint, answer)) fail_msg("the hint does not give its tier: %s", p->hint);
        if (i < few.count) assert_string_equal(p->hint, few.items[i].hint);
    }
    int tiers[PAIRS];
    for (size_t i = 0; i < probes.count; i++) tiers[i] = i < 2 ? probes.items[i].tier : -1;
    assert_true(fabs(ag_copy_rate(&probes, tiers) - 2.0 / (double)probes.count) < 1e-12);
    for (size_t i = 0; i < probes.count; i++) tiers[i] = 0; /* gold: no hint says it */
    assert_true(ag_copy_rate(&probes, tiers) == 0);
    ag_copy_probes_free(&few);
    ag_copy_probes_free(&probes);
    must(ag_copy_probes_make(&probes, flat, &pairs, 100, 1, &err));
    assert_int_equal(probes.count, 0);
    assert_true(isnan(ag_copy_rate(&probes, tiers)));
    ag_copy_probes_free(&probes);
    ag_pair_list_free(&pairs);
    ag_book_free(book);
    ag_book_free(flat);
}

/* --- with a model ----------------------------------------------------------------------------------------------------- */

typedef struct texts {
    const char *text[2];
    int at;
} texts;

static ag_status next_text(void *user, const char **text, size_t *len, ag_error *err)
{
    texts *t = user;
    (void)err;
    *text = t->at < 2 ? t->text[t->at++] : NULL;
    *len = *text ? strlen(*text) : 0;
    return AG_OK;
}

/* A random model: what it says is nonsense, but it must be the nonsense that it says to the same prompts. */
static void test_judged_with_hint(void **state)
{
    static const char *const special[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
    ag_book *book = make_book("13");
    ag_device *device = open_device("cpu");
    ag_tokenizer *tokenizer;
    ag_model *model;
    ag_judge *judge;
    ag_judge_options options = {.kv_slots = 4096};
    ag_config config;
    ag_pair_list pairs = {0};
    ag_copy_probes probes;
    ag_error err = {0};
    texts t = {.text = {"Query: red boots\nProduct: Boots\nHint: check cat\nVerdicts: cat=SAME",
                        "attr=colour:MATCH"}};
    (void)state;
    ag_prompt_defaults(&options.format.prompt);
    options.format.prompt.chat = AG_CHAT_CHATML;
    options.format.prompt.rules = false;
    must(ag_tokenizer_train(&tokenizer, next_text, &t, VOCAB, special, 3, &err));
    must(ag_config_preset(&config, "nano", &err));
    config.vocab = ag_tokenizer_vocab(tokenizer);
    must(ag_model_create(&model, &config, device, &(ag_model_options){.type = device->real}, &err));
    fill_tiny(model);
    must(ag_judge_create(&judge, model, tokenizer, book, &options, &err));
    make_pairs(&pairs, book);
    must(ag_copy_probes_make(&probes, book, &pairs, 5, 1, &err));
    ag_judgement *out = ag_calloc(probes.count, sizeof *out), *by_hand = ag_calloc(probes.count, sizeof *out),
                 *plain = ag_calloc(probes.count, sizeof *out);
    must(ag_copy_judge(judge, &probes, &pairs, NULL, out, &err));
    for (size_t i = 0; i < probes.count; i++) {
        const ag_pair *p = pairs.items[probes.items[i].pair];
        ag_judge_input input = {p->query, &p->item, &p->asked, probes.items[i].hint};
        must(ag_judge_run(judge, &input, 1, AG_ANSWER_GREEDY, NULL, &by_hand[i], &err));
        input.hint = NULL;
        must(ag_judge_run(judge, &input, 1, AG_ANSWER_NONE, NULL, &plain[i], &err));
        assert_string_equal(out[i].answer, by_hand[i].answer);
        assert_true(fabs(out[i].probability[0] - by_hand[i].probability[0]) < 1e-4);
        assert_true(fabs(out[i].probability[0] - plain[i].probability[0]) > 1e-4);
    }
    ag_judgements_free(out, probes.count);
    ag_judgements_free(by_hand, probes.count);
    ag_judgements_free(plain, probes.count);
    ag_copy_probes_free(&probes);
    ag_pair_list_free(&pairs);
    ag_judge_free(judge);
    ag_model_free(model);
    ag_tokenizer_free(tokenizer);
    ag_device_close(device);
    ag_book_free(book);
}

static void test_out_of_memory(void **state)
{
    ag_book *book = make_book("13");
    ag_pair_list pairs = {0};
    ag_copy_probes probes;
    (void)state;
    make_pairs(&pairs, book);
    for (long n = 1; n < 2000; n++) {
        ag_error err = {0};
        ag_mem_fail_at(n, false);
        ag_status status = ag_copy_probes_make(&probes, book, &pairs, 3, 1, &err);
        ag_mem_fail_at(0, false);
        if (!status) {
            ag_copy_probes_free(&probes);
            ag_pair_list_free(&pairs);
            ag_book_free(book);
            return;
        }
        assert_int_equal(status, AG_ERR_MEMORY);
    }
    fail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gold_is_false),
        cmocka_unit_test(test_probes),
        cmocka_unit_test(test_judged_with_hint),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
