/* fuzz_facts.c: any bytes as a facts file, then (after a NUL byte) a query read and an item labelled with what that file
 * says. A file is refused with one error or serves; readings and labels are the same twice.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rules/compare.h"

static const char book_text[] =
    "rulebook: fuzz\nversion: \"1\"\nlanguage: en\norder: respond_then_think\nwhy: none\ninstruction: "
    "Judge.\n"
    "tiers:\n  - {id: \"2\", name: Good, gain: 1, good: true}\n  - {id: \"1\", name: Bad, gain: 0, good: "
    "false}\n"
    "criteria:\n  - {id: cat, name: category, verdicts: [SAME, OTHER], weight: 0.2, from: category,\n"
    "     map: {same: SAME, narrower: SAME, sibling: OTHER, related: OTHER, else: OTHER}}\n"
    "  - {id: attr, name: attribute, per: asked, verdicts: [MATCH, CONFLICT], weight: 0.2, from: attribute,\n"
    "     map: {equal: MATCH, near: MATCH, missing: MATCH, other: CONFLICT}}\n"
    "attributes:\n  default: {importance: minor, compare: text}\n  brand: {importance: core, compare: text}\n"
    "  price: {importance: core, compare: number, near: 10%}\n"
    "  colour: {importance: minor, compare: set, synonyms: [[navy, dark blue]], parents: {navy: blue}}\n"
    "  volume: {importance: minor, compare: number, units: {ml: 0.001, l: 1}}\n"
    "rules:\n  - {id: R1, when: \"cat == OTHER\", cap: \"1\", text: a}\n  - {id: R0, when: otherwise, cap: "
    "\"2\", text: b}\n"
    "reward: {tier: 1.0, rule: 0.1, format_penalty: 0.5}\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads the query and labels the item; returns a digest of both, -1 when the query was refused. */
static int label(const ag_facts *facts, const ag_book *book, const ag_lexicon *lexicon, const char *query,
                 const ag_item *item)
{
    ag_arena arena = {.name = "fuzz"};
    ag_asked asked;
    ag_gold gold;
    ag_error err = {0};
    const char *category = NULL;
    int result = -1;
    ag_status status = ag_asked_parse(&asked, &category, lexicon, query, item, &arena, &err);
    if (status == AG_OK) {
        json_t *json = ag_asked_to_json(&asked);
        if (ag_facts_gold(&gold, facts, book, &asked, item, category, item, &arena, &err) != AG_OK) abort();
        result = gold.tier * 1000 + gold.rule * 100 + asked.count;
        json_decref(json);
    } else if (status != AG_ERR_INPUT || !*err.message) {
        abort();
    }
    ag_arena_free(&arena);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ag_book *book;
    ag_error err = {0};
    ag_facts *facts = NULL;
    ag_lexicon *lexicon = NULL;
    if (!book && ag_book_parse(&book, book_text, sizeof book_text - 1, "fuzz", &err) != AG_OK) abort();
    const uint8_t *cut = memchr(data, 0, size);
    size_t n = cut ? (size_t)(cut - data) : size;
    char *query = calloc(size - n + 1, 1);
    if (cut) memcpy(query, cut + 1, size - n - 1); /* up to its own first NUL */
    ag_status status = ag_facts_parse(&facts, (const char *)data, n, "fuzz", &err);
    if (status == AG_OK) status = ag_lexicon_create(&lexicon, facts, book, &err);
    if (status == AG_OK) {
        const char *colours[] = {"navy, red", "\xC3\xA9"
                                              "cru"},
                   *volumes[] = {"1,5 l"};
        ag_field fields[] = {{"colour", colours, 2}, {"volume", volumes, 1}};
        ag_item item = {.title = "Norvik boots 2 l",
                        .brand = "Norvik",
                        .category = "boots",
                        .has_price = true,
                        .price = 50,
                        .description = "not red",
                        .fields = fields,
                        .field_count = 2};
        const char *queries[] = {query, "boots under 40 euro, not suede", "case for my zelo 5, red or navy",
                                 "alternative to boots but cheaper"};
        for (int i = 0; i < 4; i++) {
            int first = label(facts, book, lexicon, queries[i], &item);
            if (label(facts, book, lexicon, queries[i], &item) != first) abort();
        }
    } else if (status != AG_ERR_INPUT || !*err.message) {
        abort();
    }
    ag_lexicon_free(lexicon);
    ag_facts_free(facts);
    free(query);
    return 0;
}
