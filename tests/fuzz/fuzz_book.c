/* fuzz_book.c: any bytes as a rulebook: either a book that can be used, or one error. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "rules/book.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ag_book *book = NULL;
    ag_error err = {0};
    ag_status status = ag_book_parse(&book, (const char *)data, size, "/fuzz/book.yaml", &err);
    if (status != AG_OK) {
        if (book || err.message[0] == '\0' || status == AG_ERR_INTERNAL) abort();
        return 0;
    }
    ag_ask entries[2] = {{.id = "a", .name = "brand", .core = true},
                         {.id = "b", .name = "b", .negated = true}};
    ag_asked asked = {.source = AG_ASKED_GIVEN, .entries = entries, .count = 2};
    ag_verdicts verdicts;
    int tier, rule, problems;
    ag_str report = {0};
    for (int v = 0; v < 3; v++) {
        ag_verdicts_clear(&verdicts);
        for (int c = 0; c < book->criterion_count; c++)
            for (int a = 0; a < 2; a++)
                if (v < book->criteria[c].verdict_count) verdicts.v[c][a] = (int8_t)v;
        ag_derive(book, &asked, &verdicts, &tier, &rule);
        if (tier < 0 || tier >= book->tier_count || rule >= book->rule_count) abort();
    }
    if (ag_book_check(book, 200, 20, &report, &problems, &err) != AG_OK || problems < 0) abort();
    ag_str_free(&report);
    ag_book_free(book);
    return 0;
}
