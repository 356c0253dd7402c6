/* answer_help.h: what the tests of answers, verdicts, prompts and hints share: books out of YAML text, asked entries,
 * a small trained tokenizer, and enumeration of verdicts.
 */
#ifndef AG_TEST_ANSWER_HELP_H
#define AG_TEST_ANSWER_HELP_H

#include "unit/base/test_help.h"

#include "base/rng.h"
#include "rules/answer.h"
#include "rules/prompt.h"
#include "rules/verify.h"

/* The head of every book; the order, why and the rest are added by the test. */
#define BOOK(order, why, rest)                                                                               \
    "rulebook: test\nversion: \"1\"\nlanguage: en\norder: " order "\nwhy: " why "\n"                         \
    "instruction: |\n  Judge the product.\n" rest "reward: {tier: 1.0, rule: 0.1, format_penalty: 0.5}\n"

/* The four-tier book of the design. */
#define FOUR_TIERS                                                                                           \
    "tiers:\n"                                                                                               \
    "  - {id: \"4\", name: Excellent, gain: 7, good: true}\n"                                                \
    "  - {id: \"3\", name: Related, gain: 3, good: true}\n"                                                  \
    "  - {id: \"2\", name: Mismatch, gain: 1, good: false}\n"                                                \
    "  - {id: \"1\", name: Irrelevant, gain: 0, good: false}\n"
#define FOUR_CRITERIA                                                                                        \
    "criteria:\n"                                                                                            \
    "  - {id: cat, name: category, verdicts: [SAME, SUBSTITUTE, COMPLEMENT, DIFFERENT], weight: 0.2,\n"      \
    "     from: category, map: {same: SAME, narrower: SAME, sibling: SUBSTITUTE, related: COMPLEMENT, "      \
    "else: DIFFERENT}}\n"                                                                                    \
    "  - {id: attr, name: requested attribute, per: asked, verdicts: [MATCH, PARTIAL, UNKNOWN, CONFLICT],\n" \
    "     weight: 0.2, from: attribute, map: {equal: MATCH, near: PARTIAL, missing: UNKNOWN, other: "        \
    "CONFLICT}}\n"                                                                                           \
    "attributes:\n"                                                                                          \
    "  default: {importance: minor, compare: text}\n"                                                        \
    "  brand: {importance: core, compare: text, fields: [brand, supplier], weak_fields: [title]}\n"          \
    "  colour: {importance: minor, compare: set, fields: [colour, product_colour]}\n"
#define FOUR_RULES                                                                                           \
    "rules:\n"                                                                                               \
    "  - {id: R1, when: \"cat == DIFFERENT\", cap: \"1\", text: \"A different product need is "              \
    "Irrelevant.\"}\n"                                                                                       \
    "  - {id: R5, when: \"any(attr, negated) == CONFLICT\", cap: \"2\", text: \"An excluded value is a "     \
    "Mismatch.\"}\n"                                                                                         \
    "  - {id: R4, when: \"any(attr, core+asserted) == CONFLICT\", cap: \"2\", text: \"A core conflict is a " \
    "Mismatch.\"}\n"                                                                                         \
    "  - {id: R2, when: \"cat == COMPLEMENT\", cap: \"2\", text: \"A complement is a Mismatch.\"}\n"         \
    "  - {id: R3, when: \"cat == SUBSTITUTE\", cap: \"3\", text: \"A substitute is Related.\"}\n"            \
    "  - {id: R7, when: \"any(attr, minor+asserted) == CONFLICT\", cap: \"3\", text: \"A minor conflict is " \
    "Related.\"}\n"                                                                                          \
    "  - {id: R0, when: otherwise, cap: \"4\", text: \"Else Excellent.\"}\n"
#define FOUR FOUR_TIERS FOUR_CRITERIA FOUR_RULES

/* Ids that begin other ids, one criterion of each kind, two rules deep; small enough to write out every answer. */
#define PREFIXES                                                                                             \
    "tiers:\n  - {id: \"10\", name: a, gain: 2, good: true}\n  - {id: \"1\", name: b, gain: 1, good: "       \
    "true}\n"                                                                                                \
    "  - {id: \"100\", name: c, gain: 0, good: false}\n"                                                     \
    "criteria:\n"                                                                                            \
    "  - {id: kind, name: kind, verdicts: [NO, NOT, NOTHING], weight: 0.1, from: none}\n"                    \
    "  - {id: attr, name: attribute, per: asked, verdicts: [MATCH, MATCHING], weight: 0.1, from: none}\n"    \
    "rules:\n"                                                                                               \
    "  - {id: R1, when: \"kind == NOTHING\", cap: \"100\", text: x}\n"                                       \
    "  - {id: R11, when: \"any(attr) == MATCHING\", cap: \"1\", text: x}\n"                                  \
    "  - {id: R10, when: \"kind == NOT\", cap: \"1\", text: x}\n"

__attribute__((unused)) static ag_book *make_book(const char *yaml)
{
    ag_error err = {0};
    ag_book *book = NULL;
    if (ag_book_parse(&book, yaml, strlen(yaml), "test.yaml", &err)) fail_msg("%s", err.message);
    return book;
}

/* Asked entries with room for the largest number. */
typedef struct asks {
    ag_asked asked;
    ag_ask entries[AG_MAX_ASKED];
    const char *values[AG_MAX_ASKED][2];
    ag_arena arena;
} asks;

__attribute__((unused)) static void asks_add(asks *a, const char *name, ag_op op, const char *value)
{
    int i = a->asked.count++;
    a->values[i][0] = value;
    a->entries[i] = (ag_ask){.name = name, .op = op, .values = a->values[i], .value_count = 1};
    a->asked.entries = a->entries;
    a->asked.source = AG_ASKED_GIVEN;
}

__attribute__((unused)) static ag_asked *asks_resolve(asks *a, const ag_book *book)
{
    ag_error err = {0};
    a->arena.name = "test";
    a->asked.source = AG_ASKED_GIVEN;
    if (ag_asked_resolve(book, &a->asked, NULL, &a->arena, &err)) fail_msg("%s", err.message);
    return &a->asked;
}

/* --- tokenizers ------------------------------------------------------------------------------------------- */

typedef struct one_text {
    const char *text;
    int times;
} one_text;

__attribute__((unused)) static ag_status next_text(void *user, const char **text, size_t *len, ag_error *err)
{
    one_text *one = user;
    (void)err;
    *text = one->times-- > 0 ? one->text : NULL;
    *len = *text ? strlen(*text) : 0;
    return AG_OK;
}

static const char *const special_tokens[] = {"<|im_start|>", "<|im_end|>"};

/* A tokenizer with `merges` merges from the text. Its end token is <|im_end|>. */
__attribute__((unused)) static ag_tokenizer *make_tokenizer(const char *text, int merges)
{
    ag_error err = {0};
    ag_tokenizer *t = NULL;
    one_text source = {text, 50};
    if (ag_tokenizer_train(&t, next_text, &source, 258 + merges, special_tokens, 2, &err))
        fail_msg("%s", err.message);
    return t;
}

__attribute__((unused)) static int32_t end_of(const ag_tokenizer *t)
{
    int32_t id = ag_tokenizer_find(t, "<|im_end|>", 10);
    assert_true(id >= 0);
    return id;
}

/* --- verdicts --------------------------------------------------------------------------------------------- */

__attribute__((unused)) static void verdicts_first(const ag_book *book, const ag_asked *asked, ag_verdicts *v)
{
    ag_verdicts_clear(v);
    for (int c = 0; c < book->criterion_count; c++) {
        int n = book->criteria[c].per_asked ? asked->count : 1;
        for (int a = 0; a < n; a++) v->v[c][a] = 0;
    }
}

/* The next combination; false after the last. */
__attribute__((unused)) static bool verdicts_next(const ag_book *book, const ag_asked *asked, ag_verdicts *v)
{
    for (int c = 0; c < book->criterion_count; c++) {
        int n = book->criteria[c].per_asked ? asked->count : 1;
        for (int a = 0; a < n; a++) {
            if (++v->v[c][a] < book->criteria[c].verdict_count) return true;
            v->v[c][a] = 0;
        }
    }
    return false;
}

__attribute__((unused)) static bool same_verdicts(const ag_verdicts *a, const ag_verdicts *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

#endif
