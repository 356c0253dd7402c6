/* fuzz_json.c: any bytes as JSON: refused with a place, or a value that is the same after writing and reading. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = NULL, *again = NULL;
    ag_str first = {0}, second = {0};
    ag_error err = {0};
    ag_status status = ag_json_parse(&json, (const char *)data, size, "fuzz.json", 1, &err);
    if (status != AG_OK) {
        if (json || status != AG_ERR_INPUT || strncmp(err.message, "fuzz.json:", 10) != 0) abort();
        return 0;
    }
    if (ag_json_dump(&first, json, &err) != AG_OK) abort();
    if (ag_json_parse(&again, ag_str_text(&first), first.len, "again", 1, &err) != AG_OK) abort();
    if (ag_json_dump(&second, again, &err) != AG_OK) abort();
    if (!json_equal(json, again) || first.len != second.len ||
        memcmp(first.data, second.data, first.len) != 0)
        abort();
    ag_str_free(&first);
    ag_str_free(&second);
    json_decref(json);
    json_decref(again);
    return 0;
}
