/* facts_text.c: texts to words; see facts_text.h.
 *
 * The rules are few and the same on both sides of every comparison, so that where they are crude (a model number
 * that is cut in two) they are crude alike for the query and the product.
 */
#include "rules/facts_text.h"

#include <string.h>

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* What a code point past ASCII is for the splitter. */
typedef enum point_kind { POINT_WORD, POINT_ALONE, POINT_GAP, POINT_CURRENCY } point_kind;

static point_kind kind_of(uint32_t c)
{
    static const struct {
        uint32_t lo, hi;
        point_kind kind;
    } table[] = {
        {0x80, 0xA2, POINT_GAP},          {0xA3, 0xA3, POINT_CURRENCY},    {0xA4, 0xA4, POINT_GAP},
        {0xA5, 0xA5, POINT_CURRENCY},     {0xA6, 0xA9, POINT_GAP},         {0xAB, 0xB1, POINT_GAP},
        {0xB4, 0xB4, POINT_GAP},          {0xB6, 0xB8, POINT_GAP},         {0xBB, 0xBF, POINT_GAP},
        {0xD7, 0xD7, POINT_GAP},          {0xF7, 0xF7, POINT_GAP},         {0x2000, 0x209F, POINT_GAP},
        {0x20A0, 0x20CF, POINT_CURRENCY}, {0x2100, 0x2BFF, POINT_GAP},     {0x3000, 0x3004, POINT_GAP},
        {0x3008, 0x3020, POINT_GAP},      {0x3040, 0x30FF, POINT_ALONE},   {0x3400, 0x9FFF, POINT_ALONE},
        {0xF900, 0xFAFF, POINT_ALONE},    {0x20000, 0x3FFFF, POINT_ALONE}, {0xFFFD, 0xFFFD, POINT_GAP},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (c >= table[i].lo && c <= table[i].hi) return table[i].kind;
    return POINT_WORD;
}

/* Appends one word; its normal form is raw[at..at+len) after plural and number rules. */
static ag_status add_word(ag_words *w, size_t at, size_t len, bool number, bool english, ag_error *err)
{
    if (len == 0) return AG_OK;
    if (!ag_grow(&w->items, &w->cap, w->count + 1, sizeof *w->items)) return ag_fail_memory(err, "words");
    if (w->count) ag_str_addc(&w->text, ' ');
    ag_word *word = &w->items[w->count++];
    *word = (ag_word){
        .at = (uint32_t)w->text.len, .raw_at = (uint32_t)at, .raw_len = (uint32_t)len, .number = number};
    const char *s = w->raw.data + at;
    if (number) {
        const char *point = memchr(s, '.', len), *comma = memchr(s, ',', len);
        size_t after = comma ? len - (size_t)(comma - s) - 1 : 0;
        bool thousands = comma && (after == 3 || point || memchr(comma + 1, ',', after));
        size_t start = w->text.len;
        for (size_t i = 0; i < len; i++) {
            if (s[i] != ',')
                ag_str_addc(&w->text, s[i]);
            else if (!thousands)
                ag_str_addc(&w->text, '.');
        }
        if (!w->text.failed && memchr(w->text.data + start, '.', w->text.len - start)) {
            while (w->text.data[w->text.len - 1] == '0') w->text.len--;
            if (w->text.data[w->text.len - 1] == '.') w->text.len--;
            w->text.data[w->text.len] = '\0';
        }
    } else {
        bool plain = english && len > 3 && s[len - 1] == 's';
        for (size_t i = 0; plain && i < len; i++) plain = is_letter((unsigned char)s[i]);
        char before = len > 1 ? s[len - 2] : '\0';
        if (!plain || before == 's' || before == 'u' || before == 'i') {
            ag_str_addn(&w->text, s, len);
        } else if (before == 'e' && len > 4 && s[len - 3] == 'i') {
            ag_str_addn(&w->text, s, len - 3);
            ag_str_addc(&w->text, 'y');
        } else if (before == 'e' && len > 4 &&
                   (s[len - 3] == 'x' || s[len - 3] == 'z' || (s[len - 3] == 's' && s[len - 4] == 's') ||
                    (s[len - 3] == 'h' && (s[len - 4] == 'c' || s[len - 4] == 's')))) {
            ag_str_addn(&w->text, s, len - 2);
        } else {
            ag_str_addn(&w->text, s, len - 1);
        }
    }
    word->len = (uint32_t)(w->text.len - word->at);
    return ag_str_ok(&w->text, err);
}

/* The end of the run that starts at i: a number (digits, inner points and commas), or letters, digits and the
 * word characters of other scripts. */
static size_t run_end(const char *s, size_t n, size_t i, bool *number)
{
    *number = is_digit((unsigned char)s[i]);
    if (*number) {
        while (i < n && (is_digit((unsigned char)s[i]) ||
                         ((s[i] == '.' || s[i] == ',') && i + 1 < n && is_digit((unsigned char)s[i + 1]))))
            i++;
        return i;
    }
    while (i < n) {
        unsigned char c = (unsigned char)s[i];
        if (is_letter(c) || is_digit(c)) {
            i++;
        } else if (c >= 0x80) {
            size_t next = i;
            if (kind_of(ag_utf8_next(s, n, &next)) != POINT_WORD) break;
            i = next;
        } else {
            break;
        }
    }
    return i;
}

ag_status ag_words_split(ag_words *w, const char *text, bool english, ag_error *err)
{
    ag_str_clear(&w->text);
    ag_str_clear(&w->raw);
    w->count = 0;
    size_t length = strlen(text);
    if (length > UINT32_MAX / 2) return ag_fail(err, AG_ERR_INPUT, "a text of %zu bytes is too long", length);
    ag_status status = ag_text_fold(&w->raw, text, length, err);
    const char *s = w->raw.data;
    size_t n = w->raw.len, i = 0;
    while (status == AG_OK && i < n) {
        unsigned char c = (unsigned char)s[i];
        size_t start = i;
        bool number = false;
        if (c == '$') {
            i++;
            status = add_word(w, start, 1, false, false, err);
            if (status == AG_OK) w->items[w->count - 1].currency = true;
            continue;
        }
        if (c == '\'' && start > 0 && i + 1 < n && s[i + 1] == 's' &&
            (i + 2 == n || !is_letter((unsigned char)s[i + 2])) && english) {
            i += 2; /* the genitive says nothing */
            continue;
        }
        if (c < 0x80 && !is_letter(c) && !is_digit(c)) {
            i++;
            continue;
        }
        if (c >= 0x80) {
            point_kind kind = kind_of(ag_utf8_next(s, n, &i));
            if (kind == POINT_GAP) {
                /* ' as U+2019 */
                if (english && i - start == 3 && memcmp(s + start, "\xE2\x80\x99", 3) == 0 && i < n &&
                    s[i] == 's' && (i + 1 == n || !is_letter((unsigned char)s[i + 1])))
                    i++;
                continue;
            }
            if (kind != POINT_WORD) {
                status = add_word(w, start, i - start, false, false, err);
                if (status == AG_OK) w->items[w->count - 1].currency = kind == POINT_CURRENCY;
                continue;
            }
            i = start;
        }
        i = run_end(s, n, i, &number);
        status = add_word(w, start, i - start, number, english, err);
    }
    return status;
}

void ag_words_free(ag_words *w)
{
    ag_str_free(&w->text);
    ag_str_free(&w->raw);
    ag_free(w->items);
    *w = (ag_words){0};
}

const char *ag_words_slice(const ag_words *w, size_t from, size_t n, size_t *len)
{
    if (n == 0) return *len = 0, "";
    const ag_word *first = &w->items[from], *last = &w->items[from + n - 1];
    *len = last->at + last->len - first->at;
    return w->text.data + first->at;
}

const char *ag_words_raw(const ag_words *w, size_t from, size_t n, size_t *len)
{
    if (n == 0) return *len = 0, "";
    const ag_word *first = &w->items[from], *last = &w->items[from + n - 1];
    *len = last->raw_at + last->raw_len - first->raw_at;
    return w->raw.data + first->raw_at;
}

long ag_words_find(const ag_words *w, const char *part, size_t len, size_t from)
{
    if (len == 0) return -1;
    for (size_t i = from; i < w->count; i++) {
        size_t at = w->items[i].at;
        if (w->text.data[at] != part[0]) continue;
        if (w->text.len - at < len) return -1;
        char end = w->text.data[at + len];
        if ((end == ' ' || end == '\0') && memcmp(w->text.data + at, part, len) == 0) return (long)i;
    }
    return -1;
}

ag_status ag_words_normal(ag_str *out, const char *text, bool english, ag_error *err)
{
    ag_words words = {0};
    ag_status status = ag_words_split(&words, text, english, err);
    if (status == AG_OK) {
        ag_str_addn(out, ag_str_text(&words.text), words.text.len);
        status = ag_str_ok(out, err);
    }
    ag_words_free(&words);
    return status;
}
