/* fuzz_answer.c: the answer parser on any bytes. The first byte picks a book and how many entries are asked; what is
 * accepted must be written back byte for byte, less a why line that the book does not ask for, and its verdict must be
 * printable JSON.
 */
#include <stdlib.h>
#include <string.h>

#include "rules/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char head[] = "rulebook: f\nversion: \"1\"\nlanguage: en\ninstruction: x\n";
static const char rest[] =
    "tiers:\n  - {id: \"1\", name: a, gain: 2, good: true}\n  - {id: \"10\", name: b, gain: 0, good: false}\n"
    "criteria:\n  - {id: c, name: c, verdicts: [Y, N], weight: 0.1, from: none}\n"
    "  - {id: a, name: a, per: asked, verdicts: [Y, YY], weight: 0.1, from: none}\n"
    "rules:\n  - {id: R1, when: \"c == N\", cap: \"10\", text: x}\n"
    "reward: {tier: 1.0, rule: 0.1, format_penalty: 0.5}\n";
static const char *const orders[] = {"order: respond_then_think\nwhy: none\n",
                                     "order: think_then_respond\nwhy: required\n",
                                     "order: verdicts_then_tier\nwhy: required\nwhy_chars: 4\n"};

static ag_book *books[3];

static void open_books(void)
{
    for (int i = 0; i < 3 && !books[i]; i++) {
        ag_str yaml = {0};
        ag_str_add(&yaml, head);
        ag_str_add(&yaml, orders[i]);
        ag_str_add(&yaml, rest);
        if (ag_book_parse(&books[i], ag_str_text(&yaml), yaml.len, "fuzz", NULL)) abort();
        ag_str_free(&yaml);
    }
}

/* Is `back` what the accepted text is written back as: the text, less its why line where the book asks for none? */
static bool written_back(const ag_book *book, const ag_answer *answer, const char *text, size_t len,
                         const ag_str *back)
{
    size_t from = len, to = len;
    if (answer->why && !book->why_required) {
        from = (size_t)(answer->why - text) - strlen("\nwhy=");
        to = (size_t)(answer->why - text) + answer->why_len;
    }
    return back->len == from + len - to && !memcmp(ag_str_text(back), text, from) &&
           !memcmp(ag_str_text(back) + from, text + to, len - to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ag_ask entries[2] = {{.id = "p", .name = "p"}, {.id = "p#2", .name = "p"}};
    ag_asked asked = {.source = AG_ASKED_GIVEN, .entries = entries};
    if (!size) return 0;
    open_books();
    const ag_book *book = books[data[0] % 3];
    asked.count = data[0] / 3 % 3;
    const char *text = (const char *)data + 1;
    size_t len = size - 1;
    ag_reward_options options;
    ag_verdict verdict;
    ag_str refusal = {0}, back = {0};
    ag_reward_defaults(&options, book);
    ag_verify(book, &asked, NULL, text, len, &options, &verdict, &refusal);
    json_t *line = ag_verdict_to_json(book, &asked, &verdict, NULL, ag_str_text(&refusal));
    if (!line) abort();
    if (verdict.format) {
        if (refusal.len || ag_answer_render(&back, book, &asked, &verdict.answer, NULL)) abort();
        if (!written_back(book, &verdict.answer, text, len, &back)) abort();
    } else if (!refusal.len || !ag_utf8_valid(refusal.data, refusal.len, NULL)) {
        abort();
    }
    json_decref(line);
    ag_str_free(&refusal);
    ag_str_free(&back);
    return 0;
}
