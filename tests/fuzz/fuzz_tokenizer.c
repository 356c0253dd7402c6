/* fuzz_tokenizer.c: any bytes as a tokenizer.json: refused with one error, or a tokenizer that encodes and decodes. */
#include "fuzz/fuzz_file.h"

#include "text/tokenizer.h"

static const char sample[] =
    "Red shoes, size 42; caf\xC3\xA9 \xE9\x9D\xB4 \xF0\x9F\x91\x9F\n\n  it's <|end|>";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ag_tokenizer *t = NULL;
    ag_error err = {0};
    ag_tokens ids = {0};
    ag_str text = {0};
    ag_status status = ag_tokenizer_load(&t, fuzz_file(data, size), &err);
    if (status != AG_OK) {
        if ((status != AG_ERR_INPUT && status != AG_ERR_UNSUPPORTED) || !err.message[0] || t) abort();
        return 0;
    }
    if (ag_tokenizer_encode(t, sample, sizeof sample - 1, true, &ids, &err) == AG_OK) {
        for (size_t i = 0; i < ids.len; i++)
            if (ids.ids[i] < 0 || ids.ids[i] >= ag_tokenizer_vocab(t)) abort();
        if (ag_tokenizer_decode(t, ids.ids, ids.len, false, &text, &err) != AG_OK) abort();
    }
    ag_tokens_free(&ids);
    ag_str_free(&text);
    ag_tokenizer_free(t);
    return 0;
}
