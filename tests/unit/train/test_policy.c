/* test_policy.c: class balance, dominance of the tier's reward, and which tokens of an answer belong to a right or wrong field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "train/policy.h"
#include "train/rollout.h"

#define SHOP_BOOK AGRL_SOURCE_DIR "/rules/shop.yaml"

static ag_book *shop(void)
{
    ag_book *book = NULL;
    assert_int_equal(ag_book_load(&book, SHOP_BOOK, NULL), AG_OK);
    return book;
}

static ag_pair *pair_of(const ag_book *book, const char *line)
{
    ag_pair *pair = NULL;
    ag_error err = {0};
    if (ag_pair_parse(&pair, line, strlen(line), "t", 1, book, AG_AGGREGATE_GIVEN, &err) != AG_OK)
        fail_msg("%s", err.message);
    return pair;
}

static const char right_line[] = "{\"query\": \"red boots\", \"item\": {\"title\": \"boots\"}, \"asked\": "
                                 "[{\"name\": \"colour\", \"value\": \"red\"}, "
                                 "{\"name\": \"size\", \"value\": \"42\"}], \"gold\": {\"tier\": \"3\", "
                                 "\"rule\": \"R7\", \"verdicts\": {\"cat\": \"SAME\", "
                                 "\"attr\": {\"colour\": \"CONFLICT\", \"size\": \"MATCH\"}}}}";

static void test_balance(void **state)
{
    (void)state;
    ag_book *book = shop();
    ag_pair *p = pair_of(book, right_line), *items[] = {p, p, p};
    ag_pair_list pool = {items, 3, 3};
    double w[AG_MAX_CRITERIA][AG_MAX_VERDICTS], sum = 0;
    ag_policy_balance(w, book, &pool);
    int attr = 1, match = p->gold.verdicts.v[1][1], conflict = p->gold.verdicts.v[1][0];
    assert_true(book->criteria[attr].per_asked);
    assert_true(w[attr][match] == 1 && w[attr][conflict] == 1); /* as many of each */
    p->gold.verdicts.v[1][1] = (int8_t)conflict;
    ag_pair *q = pair_of(book, right_line);
    items[2] = q; /* five conflicts and one match */
    ag_policy_balance(w, book, &pool);
    assert_true(w[attr][match] == 5 * w[attr][conflict]);
    for (int i = 0; i < 3; i++)
        for (int a = 0; a < 2; a++) sum += w[attr][items[i]->gold.verdicts.v[1][a]];
    assert_true(sum > 6 - 1e-9 && sum < 6 + 1e-9);
    ag_pair_free(p);
    ag_pair_free(q);
    ag_book_free(book);
}

static void test_dominance(void **state)
{
    (void)state;
    ag_error err = {0};
    ag_book *book = shop();
    assert_int_equal(ag_policy_check(book, "rrs", &err), AG_OK);
    book->weight_tier = book->weight_rule + book->criteria[0].weight + book->criteria[1].weight;
    assert_int_equal(ag_policy_check(book, "rrs", &err), AG_ERR_INPUT);
    assert_non_null(strstr(err.message, "must be larger"));
    assert_int_equal(ag_policy_check(book, "grpo", &err), AG_OK); /* its reward has one term */
    assert_int_equal(ag_policy_check(book, "sft", &err), AG_OK);
    ag_book_free(book);
}

/* Bytes as tokens: each is of the field that it stands in. */
static void test_fields(void **state)
{
    (void)state;
    static const char text[] = "3\ncat=SAME\nattr=colour:MATCH;size:MATCH\nrule=R7\nwhy=so it is";
    ag_book *book = shop();
    ag_pair *pair = pair_of(book, right_line);
    ag_tokenizer *tokenizer = NULL;
    ag_tokens ids = {0};
    ag_reward_options options;
    ag_rollout r = {.text = text, .text_len = sizeof text - 1, .finished = true};
    int8_t right[128];
    ag_prompt_options prompt;
    ag_pair *items[] = {pair};
    ag_pair_list list = {items, 1, 1};
    ag_prompt_defaults(&prompt);
    prompt.chat = AG_CHAT_CHATML;
    assert_int_equal(ag_dataset_tokenizer(&tokenizer, &list, book, &prompt, 400, NULL), AG_OK);
    assert_int_equal(ag_tokenizer_encode(tokenizer, text, sizeof text - 1, false, &ids, NULL), AG_OK);
    r.tokens = ids.ids;
    r.count = (int32_t)ids.len;
    ag_reward_defaults(&options, book);
    ag_verify(book, &pair->asked, &pair->gold, text, sizeof text - 1, &options, &r.verdict, NULL);
    assert_true(r.verdict.format);
    assert_int_equal(ag_rollout_fields(&r, book, pair, tokenizer, right, NULL), AG_OK);
    size_t at = 0;
    for (int32_t t = 0; t < r.count; t++) {
        size_t len;
        assert_non_null(ag_tokenizer_bytes(tokenizer, r.tokens[t], &len));
        bool wrong = false, good = false;
        for (size_t k = at; k < at + len; k++) {
            const char *colour = strstr(text, "MATCH"), *size = strstr(colour + 1, "MATCH"),
                       *cat = strstr(text, "SAME"), *rule = strstr(text, "R7"), *here = text + k;
            wrong |= here >= colour && here < colour + 5;
            good |= (here >= size && here < size + 5) || (here >= cat && here < cat + 4) ||
                    (here >= rule && here < rule + 2);
        }
        if (right[t] != (wrong ? -1 : good ? 1 : 0))
            fail_msg("token %d at byte %d: %d", (int)t, (int)at, right[t]);
        at += len;
    }
    r.verdict.format = false; /* nothing is known of what is no answer */
    assert_int_equal(ag_rollout_fields(&r, book, pair, tokenizer, right, NULL), AG_OK);
    for (int32_t t = 0; t < r.count; t++) assert_int_equal(right[t], 0);
    ag_tokens_free(&ids);
    ag_tokenizer_free(tokenizer);
    ag_pair_free(pair);
    ag_book_free(book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_balance), cmocka_unit_test(test_dominance),
                                       cmocka_unit_test(test_fields)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
