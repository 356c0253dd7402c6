/* test_chat_score.c: veritail's messages: what is taken for one, the pair in it, the answer in its three lines. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>
#include "serve/chat_score.h"

#define SYSTEM                                                                                               \
    "You are an expert ecommerce search relevance judge. Score it.\n\nYou MUST respond in exactly this "     \
    "format:\n\nSCORE: <score>\nATTRIBUTES: <verdict>\nREASONING: <text>\n"
#define LAST "\n\nPlease evaluate the relevance of this product to the search query."
#define ITEM                                                                                                 \
    "- **Title**: Boots\n- **Description**: Warm.\nDry.\n- **Category**: shoes > boots\n- **Price**: $49.90" \
    "\n- **In Stock**: Yes\n- **Position in Results**: 1\n"

static void test_system(void **state)
{
    (void)state;
    assert_true(ag_score_asked(SYSTEM));
    assert_false(ag_score_asked("## Business Context\nWe sell pans.\n\n" SYSTEM)); /* would not be followed */
    assert_false(ag_score_asked("You are an expert ecommerce search relevance judge."));
    assert_false(ag_score_asked(""));
}

static void expect_pair(const char *text, const char *expected)
{
    json_t *pair = ag_score_pair(text), *want = expected ? json_loads(expected, 0, NULL) : NULL;
    if (expected) assert_non_null(want);
    if ((pair == NULL) != (want == NULL) || (pair && !json_equal(pair, want))) {
        char *got = pair ? json_dumps(pair, 0) : NULL;
        fail_msg("%s from %s", got ? got : "nothing", text);
    }
    json_decref(pair);
    json_decref(want);
}

static void test_pair(void **state)
{
    (void)state;
    static const char plain[] =
        "{\"query\": \"red boots\", \"item\": {\"title\": \"Boots\", \"description\": \"Warm.\\nDry.\", "
        "\"category\": \"shoes > boots\", \"price\": 49.9}}";
    expect_pair("## Search Query\nred boots\n\n## Product\n" ITEM LAST, plain);
    expect_pair("## Original Search Query\nred boots\n\n## Corrected Search Query (used for retrieval)\nred "
                "boats\n\n## Product\n" ITEM LAST,
                plain);
    expect_pair("## Search Query\nred boots\n\n## Product\n" ITEM
                "- **Attributes**:\n  - colour: red\n  - brand: Acme\n  - note: a: b\n  - none:\n  bad\n"
                "- **Metadata**:\n  - row: 7" LAST,
                "{\"query\": \"red boots\", \"item\": {\"title\": \"Boots\", \"description\": "
                "\"Warm.\\nDry.\", \"category\": "
                "\"shoes > boots\", \"price\": 49.9, \"brand\": \"Acme\", \"attributes\": {\"colour\": "
                "\"red\", \"note\": \"a: b\"}}}");
    expect_pair("## Search Query\nx\n\n## Product\n- **Title**: T\n- **Description**: \n- **Category**: \n- "
                "**Price**: "
                "$0.00\n- **In Stock**: No\n- **Position in Results**: 12\n" LAST,
                "{\"query\": \"x\", \"item\": {\"title\": \"T\"}}");
    expect_pair(
        "## Search Query\nx\n\n## Domain-Specific Scoring Guidance\nBe strict.\n\n## Product\n" ITEM LAST,
        NULL);
    expect_pair("## Search Query\nx\n\n## Product\n" ITEM, NULL);
    expect_pair("## Search Query\nx" LAST, NULL);
    expect_pair("## Search Query\nx\n\n## Product\n" LAST, NULL);
    expect_pair("## Search Query\nx\n\n## Product\n- **Title**: T" LAST, NULL);
    expect_pair("## Search Query\nx\n\n## Product\n- **Title**: T\n- **Description**: d\n- **Category**: "
                "c\n- **Price**: "
                "$dear\n- **In Stock**: No\n- **Position in Results**: 1\n" LAST,
                NULL);
    expect_pair("Query: x\nProduct: y", NULL);
    expect_pair("", NULL);
    expect_pair(LAST, NULL);
    /* Every beginning of a good message is taken or refused, never read past its end. */
    static const char good[] = "## Search Query\nq\n\n## Product\n" ITEM "- **Attributes**:\n  - a: b" LAST;
    for (size_t n = 0; n < sizeof good; n++) {
        char *part = strndup(good, n);
        json_decref(ag_score_pair(part));
        free(part);
    }
}

static void expect_text(const ag_book *book, const char *judgement, const char *expected)
{
    ag_str out = {0};
    json_t *json = json_loads(judgement, 0, NULL);
    assert_non_null(json);
    ag_score_write(&out, book, json);
    assert_string_equal(ag_str_text(&out), expected);
    ag_str_free(&out);
    json_decref(json);
}

static void test_answer(void **state)
{
    (void)state;
    ag_book *book;
    ag_error err = {0};
    if (ag_book_load(&book, AGRL_SOURCE_DIR "/rules/shop.yaml", &err) != AG_OK) fail_msg("%s", err.message);
    expect_text(book,
                "{\"tier\": \"4\", \"verdicts\": {\"cat\": \"SAME\", \"attr\": {}}, \"rule\": \"R0\", "
                "\"rule_text\": \"All is well.\"}",
                "SCORE: 3\nATTRIBUTES: n/a\nREASONING: (R0: All is well.)");
    expect_text(book,
                "{\"tier\": \"2\", \"verdicts\": {\"attr\": {\"colour\": \"MATCH\", \"size\": "
                "\"CONFLICT\"}}, \"rule\": \"R4\", \"rule_text\": null, \"why\": \"No.\"}",
                "SCORE: 1\nATTRIBUTES: mismatch\nREASONING: No. (R4)");
    expect_text(book,
                "{\"tier\": \"3\", \"verdicts\": {\"attr\": {\"colour\": \"MATCH\", \"size\": \"UNKNOWN\"}}, "
                "\"rule\": null}",
                "SCORE: 2\nATTRIBUTES: partial\nREASONING: Related");
    expect_text(book,
                "{\"tier\": \"1\", \"verdicts\": {\"attr\": {\"colour\": \"MATCH\"}}, \"rule\": null, "
                "\"why\": \"w\"}",
                "SCORE: 0\nATTRIBUTES: match\nREASONING: w");
    ag_book_free(book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_system), cmocka_unit_test(test_pair),
                                       cmocka_unit_test(test_answer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
