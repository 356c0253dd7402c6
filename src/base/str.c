/* str.c: the growing string, UTF-8, the normal form of text, and edit distance. */
#include "base/str.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/mem.h"

/* --- the growing string --------------------------------------------------------------------------------- */

/* Room for n more bytes and the final NUL. */
static bool reserve(ag_str *s, size_t n)
{
    if (s->failed) return false;
    if (n > SIZE_MAX - s->len - 1 || !ag_grow(&s->data, &s->cap, s->len + n + 1, 1)) s->failed = true;
    return !s->failed;
}

void ag_str_addn(ag_str *s, const char *bytes, size_t n)
{
    if (!reserve(s, n)) return;
    if (n) memcpy(s->data + s->len, bytes, n);
    s->len += n;
    s->data[s->len] = '\0';
}

void ag_str_add(ag_str *s, const char *text)
{
    ag_str_addn(s, text, strlen(text));
}

void ag_str_addc(ag_str *s, char c)
{
    ag_str_addn(s, &c, 1);
}

void ag_str_vaddf(ag_str *s, const char *format, va_list args)
{
    va_list again;
    if (!reserve(s, 64)) return;
    va_copy(again, args);
    size_t room = s->cap - s->len;
    int n = vsnprintf(s->data + s->len, room, format, args);
    if (n >= 0 && (size_t)n >= room) {
        if (reserve(s, (size_t)n))
            n = vsnprintf(s->data + s->len, s->cap - s->len, format, again);
        else
            n = -1;
    }
    va_end(again);
    if (n < 0)
        s->failed = true;
    else
        s->len += (size_t)n;
    s->data[s->len] = '\0';
}

void ag_str_addf(ag_str *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    ag_str_vaddf(s, format, args);
    va_end(args);
}

void ag_str_add_wrapped(ag_str *s, const char *text, int indent, int width)
{
    int column = indent;
    for (const char *p = text; *p;) {
        if (*p == '\n') {
            ag_str_addc(s, '\n');
            column = 0;
            p++;
            continue;
        }
        if (*p == ' ') {
            p++;
            continue;
        }
        size_t n = strcspn(p, " \n");
        int word = (int)ag_utf8_count(p, n);
        if (column > indent && column + 1 + word > width) {
            ag_str_addc(s, '\n');
            column = 0;
        }
        if (column < indent) {
            ag_str_addf(s, "%*s", indent - column, "");
            column = indent;
        } else if (column > indent) {
            ag_str_addc(s, ' ');
            column++;
        }
        ag_str_addn(s, p, n);
        column += word;
        p += n;
    }
    ag_str_addc(s, '\n');
}

void ag_str_clear(ag_str *s)
{
    s->len = 0;
    if (s->data) s->data[0] = '\0';
}

void ag_str_free(ag_str *s)
{
    ag_free(s->data);
    *s = (ag_str){0};
}

const char *ag_str_text(const ag_str *s)
{
    return s->data ? s->data : "";
}

ag_status ag_str_ok(const ag_str *s, ag_error *err)
{
    return s->failed ? ag_fail_memory(err, "text") : AG_OK;
}

char *ag_str_take(ag_str *s)
{
    char *text = NULL;
    if (!s->data) ag_str_addn(s, "", 0);
    if (!s->failed) {
        text = s->data;
        s->data = NULL;
    }
    ag_str_free(s);
    return text;
}

/* --- UTF-8 ---------------------------------------------------------------------------------------------- */

/* Length of the well-formed sequence at p (n bytes left), or 0; *c is its code point. Unicode 15, table
 * 3-7. */
static int utf8_decode(const unsigned char *p, size_t n, uint32_t *c)
{
    unsigned char first = p[0], low = 0x80, high = 0xBF;
    int len;
    if (first < 0x80) {
        *c = first;
        return 1;
    }
    if (first >= 0xC2 && first <= 0xDF)
        len = 2, *c = first & 0x1Fu;
    else if ((first & 0xF0) == 0xE0)
        len = 3, *c = first & 0x0Fu;
    else if (first >= 0xF0 && first <= 0xF4)
        len = 4, *c = first & 0x07u;
    else
        return 0;
    if ((size_t)len > n) return 0;
    if (first == 0xE0)
        low = 0xA0; /* overlong */
    else if (first == 0xED)
        high = 0x9F; /* surrogates */
    else if (first == 0xF0)
        low = 0x90; /* overlong */
    else if (first == 0xF4)
        high = 0x8F; /* past U+10FFFF */
    for (int i = 1; i < len; i++) {
        if (p[i] < low || p[i] > high) return 0;
        *c = *c << 6 | (p[i] & 0x3Fu);
        low = 0x80, high = 0xBF;
    }
    return len;
}

bool ag_utf8_valid(const char *bytes, size_t n, size_t *bad)
{
    for (size_t at = 0; at < n;) {
        uint32_t c;
        int len = utf8_decode((const unsigned char *)bytes + at, n - at, &c);
        if (len == 0) {
            if (bad) *bad = at;
            return false;
        }
        at += (size_t)len;
    }
    return true;
}

uint32_t ag_utf8_next(const char *bytes, size_t n, size_t *at)
{
    uint32_t c;
    int len = utf8_decode((const unsigned char *)bytes + *at, n - *at, &c);
    *at += len ? (size_t)len : 1;
    return len ? c : 0xFFFD;
}

int ag_utf8_put(uint32_t c, char out[4])
{
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) c = 0xFFFD;
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

size_t ag_utf8_count(const char *bytes, size_t n)
{
    size_t count = 0;
    for (size_t at = 0; at < n; count++) ag_utf8_next(bytes, n, &at);
    return count;
}

/* --- the normal form ------------------------------------------------------------------------------------ */

/* The property White_Space of Unicode. */
static bool is_space(uint32_t c)
{
    return c == ' ' || (c >= 9 && c <= 13) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
           c == 0x3000;
}

/* Appends c, a space only in front of a later character and never first. */
static void add_folded(ag_str *out, uint32_t c, bool *any, bool *space)
{
    char put[4];
    if (is_space(c)) {
        *space = *any;
        return;
    }
    if (*space) ag_str_addc(out, ' ');
    ag_str_addn(out, put, (size_t)ag_utf8_put(c, put));
    *any = true;
    *space = false;
}

/* NFKC with case folding of the text, as code points in *points (ag_free). */
static ag_status fold_points(const char *text, size_t n, int32_t **points, size_t *count, ag_error *err)
{
    const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT |
                                      UTF8PROC_CASEFOLD;
    const char *mine = "text to compare";
    ag_status status = AG_OK;
    ag_str clean = {0};
    *points = NULL;
    if (!ag_utf8_valid(text, n, NULL)) { /* utf8proc refuses wrong bytes; here they become U+FFFD */
        for (size_t at = 0; at < n;) {
            char put[4];
            uint32_t c = ag_utf8_next(text, n, &at);
            ag_str_addn(&clean, put, (size_t)ag_utf8_put(c, put));
        }
        if ((status = ag_str_ok(&clean, err)) != AG_OK) goto out;
        text = clean.data;
        n = clean.len;
    }
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
    utf8proc_ssize_t size = (utf8proc_ssize_t)n, made = utf8proc_decompose(bytes, size, NULL, 0, options);
    if (made >= 0) {
        /* One element more: composing may be followed by a final zero. */
        if (!(*points = ag_calloc((size_t)made + 1, sizeof **points))) {
            status = ag_fail_memory(err, mine);
            goto out;
        }
        made = utf8proc_decompose(bytes, size, *points, made, options);
    }
    if (made >= 0) made = utf8proc_normalize_utf32(*points, made, options);
    if (made < 0) {
        status = made == UTF8PROC_ERROR_NOMEM
                     ? ag_fail_memory(err, mine)
                     : ag_fail(err, AG_ERR_INPUT, "text cannot be normalised: %s", utf8proc_errmsg(made));
        goto out;
    }
    *count = (size_t)made;
out:
    ag_str_free(&clean);
    if (status != AG_OK) {
        ag_free(*points);
        *points = NULL;
    }
    return status;
}

ag_status ag_text_fold(ag_str *out, const char *text, size_t n, ag_error *err)
{
    bool any = false, space = false;
    size_t ascii = 0;
    while (ascii < n && (unsigned char)text[ascii] < 0x80) ascii++;
    if (ascii == n) { /* most of a catalogue; the long way gives the same */
        for (size_t i = 0; i < n; i++) {
            char c = text[i];
            add_folded(out, (uint32_t)(c >= 'A' && c <= 'Z' ? c + 32 : c), &any, &space);
        }
        return ag_str_ok(out, err);
    }
    int32_t *points = NULL;
    size_t count = 0;
    ag_status status = fold_points(text, n, &points, &count, err);
    if (status != AG_OK) return status;
    for (size_t i = 0; i < count; i++) add_folded(out, (uint32_t)points[i], &any, &space);
    ag_free(points);
    return ag_str_ok(out, err);
}

/* --- nearest names, numbers ----------------------------------------------------------------------------- */

int ag_edit_distance(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);
    int small[128], *row = small;
    if (nb >= sizeof small / sizeof *small && !(row = ag_calloc(nb + 1, sizeof *row)))
        return (int)(na > nb ? na : nb); /* nothing in common: the answer that suggests nothing */
    for (size_t j = 0; j <= nb; j++) row[j] = (int)j;
    for (size_t i = 1; i <= na; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= nb; j++) {
            int best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    int distance = row[nb];
    if (row != small) ag_free(row);
    return distance;
}

const char *ag_nearest(const char *word, const char *const *names, size_t n)
{
    const char *nearest = NULL;
    size_t length = strlen(word), limit = length / 3 < 2 ? 2 : length / 3, best = limit + 1;
    for (size_t i = 0; i < n; i++) {
        size_t other = strlen(names[i]);
        size_t longer = length > other ? length : other, shorter = length < other ? length : other;
        if (longer - shorter >= best) continue; /* also keeps a hostile long word from costing time */
        size_t distance = (size_t)ag_edit_distance(word, names[i]);
        if (distance >= best || (distance > 0 && distance >= longer)) continue; /* all changed is not near */
        nearest = names[i];
        best = distance;
    }
    return nearest;
}

ag_suggestion ag_suggest(const char *word, const char *const *names, size_t n)
{
    enum { SHOWN = 200 };
    ag_suggestion s = {""};
    const char *nearest = word ? ag_nearest(word, names, n) : NULL;
    if (!nearest) return s;
    size_t len = strlen(nearest);
    if (len > SHOWN)
        for (len = SHOWN; len > 0 && ((unsigned char)nearest[len] & 0xC0) == 0x80;) len--;
    snprintf(s.text, sizeof s.text, "; did you mean '%.*s'?", (int)len, nearest);
    return s;
}

bool ag_streq(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static locale_t c_locale;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

bool ag_number_parse(const char *text, double *value)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    char *end;
    /* strtod also reads space, hexadecimal, inf and nan, which no format here has. */
    if (text[0] == '\0' || strspn(text, "0123456789+-.eE") != strlen(text)) return false;
    pthread_once(&once, make_c_locale);
    double x = c_locale ? strtod_l(text, &end, c_locale) : strtod(text, &end);
    if (*end != '\0' || !isfinite(x)) return false;
    *value = x;
    return true;
}
