/* fuzz_pair.c: any bytes as a line of the pair format: refused with one error, or a pair that is written
 * and read again the same. The first byte chooses the aggregation and whether there is a book.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "data/pair.h"

static const char book_text[] =
    "rulebook: fuzz\nversion: \"1\"\nlanguage: en\norder: respond_then_think\nwhy: none\ninstruction: "
    "Judge.\n"
    "tiers:\n  - {id: \"2\", name: Good, gain: 1, good: true}\n  - {id: \"1\", name: Bad, gain: 0, good: "
    "false}\n"
    "criteria:\n"
    "  - {id: cat, name: category, verdicts: [SAME, OTHER], weight: 0.2, from: category,\n"
    "     map: {same: SAME, narrower: SAME, sibling: OTHER, related: OTHER, else: OTHER}}\n"
    "  - {id: attr, name: attribute, per: asked, verdicts: [MATCH, CONFLICT], weight: 0.2, from: attribute,\n"
    "     map: {equal: MATCH, near: MATCH, missing: MATCH, other: CONFLICT}}\n"
    "attributes:\n  default: {importance: minor, compare: text}\n"
    "rules:\n  - {id: R1, when: \"cat == OTHER\", cap: \"1\", text: a}\n  - {id: R0, when: otherwise, cap: "
    "\"2\", text: b}\n"
    "reward: {tier: 1.0, rule: 0.1, format_penalty: 0.5}\n";

static char *written(const ag_pair *pair, const ag_book *book)
{
    ag_str out = {0};
    json_t *json = ag_pair_to_json(pair, book);
    if (!json || ag_json_dump(&out, json, NULL) != AG_OK) abort();
    json_decref(json);
    return ag_str_take(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ag_book *book;
    ag_error err = {0};
    ag_pair *pair, *again;
    if (!book && ag_book_parse(&book, book_text, sizeof book_text - 1, "fuzz.yaml", &err) != AG_OK) abort();
    if (size < 1) return 0;
    const ag_book *with = data[0] & 4 ? NULL : book;
    ag_aggregate aggregate = (ag_aggregate)(data[0] & 3);
    ag_status status = ag_pair_parse(&pair, (const char *)data + 1, size - 1, "fuzz", 1, with, aggregate,
                                     &err);
    if (status != AG_OK) {
        if (status != AG_ERR_INPUT || !err.message[0] || pair) abort();
        return 0;
    }
    char *first = written(pair, with);
    if (ag_pair_parse(&again, first, strlen(first), "again", 1, with, aggregate, &err) != AG_OK) abort();
    char *second = written(again, with);
    if (strcmp(first, second) != 0) abort();
    ag_free(first);
    ag_free(second);
    ag_pair_free(pair);
    ag_pair_free(again);
    return 0;
}
