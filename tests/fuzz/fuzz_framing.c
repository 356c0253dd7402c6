/* fuzz_framing.c: any bytes as a client's requests: one result, however they are cut; and what passes is right by itself and
 * passes again unchanged.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "serve/http_framing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD_MAX = 2048 };

typedef struct outcome {
    ag_str passed;
    const ag_http_refusal *refusal;
    int whole;
    size_t rest;
} outcome;

/* They arrive in parts of `part` bytes. */
static outcome feed(const char *bytes, size_t n, size_t part)
{
    ag_http_framing f = {.head_max = HEAD_MAX};
    outcome o = {0};
    size_t at = 0, count;
    for (size_t there = part < n ? part : n;; there = n - there > part ? there + part : n) {
        ag_http_step step;
        while ((step = ag_http_framing_next(&f, bytes + at, there - at, &count)) != AG_HTTP_MORE) {
            o.refusal = f.refusal;
            if (step == AG_HTTP_REFUSED) return o;
            if (count == 0 || count > there - at) abort();
            if (step == AG_HTTP_PASS) {
                ag_str_addn(&o.passed, bytes + at, count);
                o.whole += f.whole;
            }
            at += count;
        }
        if (there - at > HEAD_MAX) abort(); /* no reader needs more room than a head's */
        if (there == n) break;
    }
    o.rest = n - at;
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    outcome all = feed(bytes, size, size + 1);
    static const size_t parts[] = {1, 2, 7, 64, 1000};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        outcome o = feed(bytes, size, parts[i]);
        if (o.refusal != all.refusal || o.whole != all.whole || o.rest != all.rest ||
            o.passed.len != all.passed.len ||
            memcmp(ag_str_text(&o.passed), ag_str_text(&all.passed), o.passed.len) != 0)
            abort();
        ag_str_free(&o.passed);
    }
    outcome again = feed(ag_str_text(&all.passed), all.passed.len, all.passed.len + 1);
    if (again.refusal || again.whole != all.whole || again.rest || again.passed.len != all.passed.len)
        abort();
    ag_str_free(&again.passed);
    ag_str_free(&all.passed);
    return 0;
}
