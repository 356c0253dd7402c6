/* fuzz_gguf.c: any bytes as a GGUF file: refused, or keys and tensors that lie inside it, a model's shape that keeps its
 * bounds, and a tokenizer that works.
 */
#include <stdint.h>
#include <stdlib.h>

#include "model/gguf.h"

static void check(ag_status status, const ag_error *err)
{
    if (status != AG_OK && ((status != AG_ERR_INPUT && status != AG_ERR_UNSUPPORTED) || !err->message[0]))
        abort();
}

static void use_tokenizer(const ag_tokenizer *t)
{
    ag_tokens ids = {0};
    ag_str text = {0};
    ag_error err = {0};
    check(ag_tokenizer_encode(t, "a query, 12 \xC3\xA9<|end|>", 19, true, &ids, &err), &err);
    check(ag_tokenizer_decode(t, ids.ids, ids.len, false, &text, &err), &err);
    ag_tokens_free(&ids);
    ag_str_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ag_gguf gguf = {0};
    ag_tensors table = {.arena = {.name = "fuzz"}};
    ag_config config;
    ag_tokenizer *tokenizer = NULL;
    ag_error err = {0};
    volatile unsigned sum = 0;
    ag_status status = ag_gguf_read(&gguf, &table, data, size, "fuzz.gguf", &err);
    check(status, &err);
    if (status == AG_OK) {
        for (size_t i = 0; i < table.count; i++) {
            const ag_tensor *t = &table.items[i];
            if (t->bytes) sum += t->data[0] + t->data[t->bytes - 1];
        }
        status = ag_gguf_tokenizer(&gguf, &tokenizer, &err);
        check(status, &err);
        if (status == AG_OK) use_tokenizer(tokenizer);
        ag_tokenizer_free(tokenizer);
        err = (ag_error){0};
        status = ag_gguf_model(&gguf, &table, &config, &err);
        check(status, &err);
        if (status == AG_OK && ag_config_check(&config, "fuzz.gguf", &err) != AG_OK) abort();
    }
    (void)sum;
    ag_gguf_free(&gguf);
    ag_tensors_free(&table);
    return 0;
}
