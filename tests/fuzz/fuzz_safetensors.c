/* fuzz_safetensors.c: any bytes as a safetensors file: refused, or every tensor lies inside the file. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/safetensors.h"

/* Reads the ends of each tensor, so that the sanitizer sees one that lies outside. */
static unsigned touch(const ag_tensors *table)
{
    unsigned sum = 0;
    for (size_t i = 0; i < table->count; i++) {
        const ag_tensor *t = &table->items[i];
        if (t->rows < 0 || t->cols < 0) abort();
        if (t->bytes) sum += t->data[0] + t->data[t->bytes - 1];
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ag_tensors table = {.arena = {.name = "fuzz"}};
    ag_error err = {0};
    ag_status status = ag_safetensors_read(&table, data, size, "fuzz.safetensors", &err);
    if (status == AG_OK) {
        volatile unsigned sum = touch(&table);
        (void)sum;
    } else if ((status != AG_ERR_INPUT && status != AG_ERR_UNSUPPORTED) || !err.message[0]) {
        abort();
    }
    ag_tensors_free(&table);
    return 0;
}
