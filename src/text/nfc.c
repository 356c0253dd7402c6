/* nfc.c: Unicode normalization form C, for tokenizers that ask for it (Qwen). utf8proc brings the tables and
 * the composition; the canonical ordering of combining marks is done here, because utf8proc's own is an
 * insertion sort and a text of nothing but combining marks would take quadratic time.
 */
#include <string.h>
#include <utf8proc.h>
#include "text/tok.h"

/* Ranges of characters that stay as they are and never join the one before them; a mark after them may change
 * them. Not all there are, but those that make up most text. U+11A7 is there because utf8proc (2.6) drops it
 * after a Hangul syllable; standing outside, it never meets one. */
static bool inert(uint32_t c)
{
    static const uint32_t ranges[][2] = {
        {0x388, 0x482},   {0x48a, 0x52f},    {0x5d0, 0x5ea},   {0x620, 0x64a},   {0x660, 0x66f},
        {0x11a7, 0x11a7}, {0x1e00, 0x1eff},  {0x2010, 0x20cf}, {0x2190, 0x2328}, {0x2500, 0x25ff},
        {0x3001, 0x3029}, {0x3041, 0x3096},  {0x30a1, 0x30fa}, {0x3400, 0x9fff}, {0xac00, 0xd7a3},
        {0xff01, 0xff5e}, {0x1f300, 0x1faff}};

    if (c < 0x300) return true;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges && c >= ranges[i][0]; i++)
        if (c <= ranges[i][1]) return true;
    return false;
}

bool ag_nfc_quick(const char *text, size_t len)
{
    size_t at = 0;

    while (at < len) {
        if ((unsigned char)text[at] < 0xcc) { /* up to U+02FF */
            at++;
            continue;
        }
        if (!inert(ag_utf8_next(text, len, &at))) return false;
    }
    return true;
}

static int class_of(int32_t c)
{
    return c < 0x300 ? 0 : utf8proc_get_property(c)->combining_class;
}

/* Sorts a run of combining marks by class, equal classes in their order: counting sort where it pays. */
static void order_marks(int32_t *c, size_t n, int32_t *spare)
{
    size_t start[257] = {0};

    if (n < 2) return;
    if (n <= 16) {
        for (size_t i = 1; i < n; i++) {
            int32_t x = c[i];
            int k = class_of(x);
            size_t j = i;
            for (; j > 0 && class_of(c[j - 1]) > k; j--) c[j] = c[j - 1];
            c[j] = x;
        }
        return;
    }
    for (size_t i = 0; i < n; i++) start[class_of(c[i]) + 1]++;
    for (int k = 0; k < 256; k++) start[k + 1] += start[k];
    for (size_t i = 0; i < n; i++) spare[start[class_of(c[i])]++] = c[i];
    memcpy(c, spare, n * sizeof *c);
}

typedef struct work {
    int32_t *chars, *spare;
    size_t chars_cap, spare_cap;
} work;

/* Canonical decomposition of text into w->chars (at most four characters for one). */
static ag_status decompose(work *w, const char *text, size_t len, size_t *count, ag_error *err)
{
    size_t at = 0, n = 0;

    while (at < len) {
        if (!ag_grow(&w->chars, &w->chars_cap, n + 8, sizeof *w->chars))
            return ag_fail_memory(err, "normalization");
        int boundary = 0;
        int32_t c = (int32_t)ag_utf8_next(text, len, &at);
        utf8proc_ssize_t room = (utf8proc_ssize_t)(w->chars_cap - n);
        utf8proc_ssize_t k = utf8proc_decompose_char(c, w->chars + n, room,
                                                     UTF8PROC_DECOMPOSE | UTF8PROC_STABLE, &boundary);
        if (k < 0 || k > room) return ag_fail(err, AG_ERR_INTERNAL, "U+%04X does not decompose", (unsigned)c);
        n += (size_t)k;
    }
    *count = n;
    return AG_OK;
}

static ag_status normalize(work *w, ag_str *out, const char *text, size_t len, ag_error *err)
{
    size_t n = 0;
    ag_status st = decompose(w, text, len, &n, err);

    if (st != AG_OK) return st;
    if (!ag_grow(&w->spare, &w->spare_cap, n, sizeof *w->spare)) return ag_fail_memory(err, "normalization");
    for (size_t i = 0; i < n;) {
        size_t j = i;
        while (j < n && class_of(w->chars[j]) != 0) j++;
        order_marks(w->chars + i, j - i, w->spare);
        i = j + 1;
    }
    utf8proc_ssize_t left = utf8proc_normalize_utf32(w->chars, (utf8proc_ssize_t)n,
                                                     UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    for (utf8proc_ssize_t i = 0; i < left; i++) {
        char c[4];
        int k = ag_utf8_put((uint32_t)w->chars[i], c);
        ag_str_addn(out, c, (size_t)k);
    }
    return AG_OK;
}

/* Stretches that have to be looked at begin at the inert character before the first one that is not and end
 * before the next inert one; all else is copied. */
ag_status ag_nfc_append(ag_str *out, const char *text, size_t len, ag_error *err)
{
    work w = {0};
    size_t copied = 0, at = 0, last = 0; /* last: where the character before `at` begins */
    ag_status st = AG_OK;

    while (st == AG_OK && at < len) {
        size_t here = at;
        if (inert(ag_utf8_next(text, len, &at))) {
            last = here;
            continue;
        }
        size_t end = at;
        while (end < len) {
            size_t after = end;
            if (inert(ag_utf8_next(text, len, &after))) break;
            end = after;
        }
        ag_str_addn(out, text + copied, last - copied);
        st = normalize(&w, out, text + last, end - last, err);
        copied = last = at = end;
    }
    ag_str_addn(out, text + copied, len - copied);
    ag_free(w.chars);
    ag_free(w.spare);
    return st == AG_OK ? ag_str_ok(out, err) : st;
}
