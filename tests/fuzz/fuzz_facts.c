/* fuzz_facts.c: any bytes as a facts file: refused with a place, or facts with which queries are read. */
#include "fuzz/fuzz_file.h"

#include "rules/facts.h"

static const char book_text[] =
    "rulebook: fuzz\nversion: \"1\"\nlanguage: en\norder: respond_then_think\nwhy: none\ninstruction: "
    "Judge.\n"
    "tiers:\n  - {id: \"2\", name: Good, gain: 1, good: true}\n  - {id: \"1\", name: Bad, gain: 0, good: "
    "false}\n"
    "criteria:\n"
    "  - {id: attr, name: attribute, per: asked, verdicts: [MATCH, CONFLICT], weight: 0.2, from: attribute,\n"
    "     map: {equal: MATCH, near: MATCH, missing: MATCH, other: CONFLICT}}\n"
    "attributes:\n  default: {importance: minor, compare: text}\n  price: {importance: core, compare: "
    "number}\n"
    "rules:\n  - {id: R1, when: \"any(attr) == CONFLICT\", cap: \"1\", text: a}\n"
    "  - {id: R0, when: otherwise, cap: \"2\", text: b}\n"
    "reward: {tier: 1.0, rule: 0.1, format_penalty: 0.5}\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ag_book *book;
    ag_facts *facts = NULL;
    ag_lexicon *lexicon = NULL;
    ag_error err = {0};
    if (!book && ag_book_parse(&book, book_text, sizeof book_text - 1, "fuzz.yaml", &err) != AG_OK) abort();
    ag_status status = ag_facts_load(&facts, fuzz_file(data, size), &err);
    if (status == AG_OK && (status = ag_lexicon_create(&lexicon, facts, book, &err)) == AG_OK) {
        static const char *const queries[] = {"boots under 40 euro, not suede", "case for my zelo 5",
                                              "alternative to boots but cheaper"};
        for (int i = 0; i < 3; i++) {
            ag_arena arena = {.name = "fuzz"};
            ag_asked asked = {0};
            const char *category;
            if (ag_asked_parse(&asked, &category, lexicon, queries[i], NULL, &arena, &err) != AG_OK) abort();
            ag_facts_category(facts, category ? category : "boots", "shoes");
            ag_arena_free(&arena);
        }
    } else if ((status != AG_ERR_INPUT && status != AG_ERR_UNSUPPORTED) || !err.message[0]) {
        abort();
    }
    ag_lexicon_free(lexicon);
    ag_facts_free(facts);
    return 0;
}
