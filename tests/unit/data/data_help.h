/* data_help.h: what the tests of data share: a small book, pairs from text, files, and a source of
 * mutations. */
#ifndef AG_TEST_DATA_HELP_H
#define AG_TEST_DATA_HELP_H

#include "unit/base/test_help.h"

#include "base/rng.h"
#include "data/pair.h"

#define SAMPLES AGRL_SOURCE_DIR "/../shared/data/"

static const char book_text[] =
    "rulebook: test\n"
    "version: \"1\"\n"
    "language: en\n"
    "order: respond_then_think\n"
    "why: none\n"
    "instruction: Judge.\n"
    "tiers:\n"
    "  - {id: \"4\", name: Excellent, gain: 7, good: true}\n"
    "  - {id: \"3\", name: Related, gain: 3, good: true}\n"
    "  - {id: \"2\", name: Mismatch, gain: 1, good: false}\n"
    "  - {id: \"1\", name: Irrelevant, gain: 0, good: false}\n"
    "criteria:\n"
    "  - {id: cat, name: category, verdicts: [SAME, SUBSTITUTE, DIFFERENT], weight: 0.2, from: category,\n"
    "     map: {same: SAME, narrower: SAME, sibling: SUBSTITUTE, related: DIFFERENT, else: DIFFERENT}}\n"
    "  - {id: attr, name: attribute, per: asked, verdicts: [MATCH, UNKNOWN, CONFLICT], weight: 0.2, from: "
    "attribute,\n"
    "     map: {equal: MATCH, near: UNKNOWN, missing: UNKNOWN, other: CONFLICT}}\n"
    "attributes:\n"
    "  default: {importance: minor, compare: text}\n"
    "  brand: {importance: core, compare: text}\n"
    "rules:\n"
    "  - {id: R1, when: \"cat == DIFFERENT\", cap: \"1\", text: a}\n"
    "  - {id: R5, when: \"any(attr, negated) == CONFLICT\", cap: \"2\", text: b}\n"
    "  - {id: R0, when: otherwise, cap: \"4\", text: c}\n"
    "reward: {tier: 1.0, rule: 0.1, format_penalty: 0.5}\n";

__attribute__((unused)) static ag_book *test_book(void)
{
    ag_book *book = NULL;
    ag_error err = {0};
    if (ag_book_parse(&book, book_text, strlen(book_text), "test.yaml", &err) != AG_OK)
        fail_msg("%s", err.message);
    return book;
}

__attribute__((unused)) static ag_pair *pair_of(const char *line, const ag_book *book, ag_aggregate aggregate)
{
    ag_pair *pair = NULL;
    ag_error err = {0};
    ag_status status = ag_pair_parse(&pair, line, strlen(line), "file", 7, book, aggregate, &err);
    if (status != AG_OK) fail_msg("%s: %s", line, err.message);
    return pair;
}

/* The pair as text; ag_free. */
__attribute__((unused)) static char *text_of(const ag_pair *pair, const ag_book *book)
{
    ag_str out = {0};
    json_t *json = ag_pair_to_json(pair, book);
    assert_non_null(json);
    assert_ok(ag_json_dump(&out, json, NULL));
    json_decref(json);
    char *text = ag_str_take(&out);
    assert_non_null(text);
    return text;
}

__attribute__((unused)) static void put_text(const char *folder, const char *name, const char *text,
                                             char path[160])
{
    snprintf(path, 160, "%s/%s", folder, name);
    put_file(path, text, strlen(text));
}

/* One to three random edits of text[0..len); cap bytes of room. Returns the new length. */
__attribute__((unused)) static size_t mutate(ag_rng *rng, char *text, size_t len, size_t cap)
{
    static const char spice[] = "\"\",,:{}[]\\\n\r\t\0 0919eE.-+nul\xff\xc3\x80";
    for (uint32_t edits = 1 + ag_rng_below(rng, 3); edits > 0 && len > 1; edits--) {
        size_t at = ag_rng_below(rng, (uint32_t)len);
        char c = spice[ag_rng_below(rng, sizeof spice - 1)];
        switch (ag_rng_below(rng, 4)) {
        case 0: text[at] = c; break;
        case 1: text[at] = (char)ag_rng_below(rng, 256); break;
        case 2: memmove(text + at, text + at + 1, --len - at); break;
        default:
            if (len >= cap) break;
            memmove(text + at + 1, text + at, len - at);
            text[at] = c;
            len++;
        }
    }
    return len;
}

#endif
