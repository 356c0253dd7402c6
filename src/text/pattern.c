/* pattern.c: from the regular expressions of tokenizer.json files (Oniguruma's syntax, Unicode rules) to
 * PCRE2's.
 *
 * The two agree on what these patterns use, except for white space (PCRE2's \s has U+180E, Unicode's has not)
 * and a few escapes. What they agree on is let through, \s is written out, and everything else that could
 * mean something different is refused: token ids that are nearly right are worse than an error.
 */
#include <string.h>
#include "text/pre.h"

/* White_Space of Unicode, and all else, as ranges that stand inside a class. */
#define SPACE                                                                                                \
    "\\x{09}-\\x{0d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}"   \
    "\\x{3000}"
#define NOT_SPACE                                                                                            \
    "\\x{00}-\\x{08}\\x{0e}-\\x{1f}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}"       \
    "\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{d7ff}"        \
    "\\x{e000}-\\x{10ffff}"

typedef struct scan {
    const char *pattern;
    size_t len, at;
    bool in_class;
    ag_str *out;
    ag_error *err;
} scan;

static ag_status refuse(const scan *s, const char *what)
{
    return ag_fail(s->err, AG_ERR_UNSUPPORTED, "pre-tokenizer pattern, character %zu: %s is not supported",
                   s->at + 1, what);
}

/* \xHH, \uHHHH, \x{H...}, \u{H...}; s->at is at the x or u. */
static ag_status hex_escape(scan *s)
{
    const char *p = s->pattern + s->at + 1;
    size_t most = s->pattern[s->at] == 'x' ? 2 : 4, digits;
    bool braces = *p == '{';

    if (braces) p++;
    digits = strspn(p, "0123456789abcdefABCDEF");
    if (braces ? digits < 1 || digits > 6 || p[digits] != '}' : digits < most)
        return refuse(s, "an escape without its hexadecimal digits");
    if (!braces) digits = most;
    ag_str_addf(s->out, "\\x{%.*s}", (int)digits, p);
    s->at = (size_t)(p - s->pattern) + digits + (braces ? 1 : 0);
    return AG_OK;
}

/* \p{Name}, \P{Name}: general categories and scripts have the same names on both sides. */
static ag_status property_escape(scan *s)
{
    const char *p = s->pattern + s->at;
    size_t n = strcspn(p, "}");

    if (p[1] != '{' || p[n] != '}' || n > 40) return refuse(s, "a property without {name}");
    ag_str_addf(s->out, "\\%.*s", (int)n + 1, p);
    s->at += n + 1;
    return AG_OK;
}

static ag_status escape(scan *s)
{
    char c;

    if (++s->at >= s->len) return refuse(s, "a final backslash");
    c = s->pattern[s->at];
    if (c == 's' || c == 'S') {
        const char *set = c == 's' ? SPACE : NOT_SPACE;
        if (s->in_class)
            ag_str_add(s->out, set);
        else
            ag_str_addf(s->out, "[%s]", set);
    } else if (c == 'p' || c == 'P') {
        return property_escape(s);
    } else if (c == 'x' || c == 'u') {
        return hex_escape(s);
    } else if (strchr("rntfde", c) != NULL || c == 'D' || c == 'a') {
        ag_str_addf(s->out, "\\%c", c);
    } else if (c == 'v') {
        ag_str_add(s->out, "\\x{0b}");
    } else if ((unsigned char)c < 0x80 && strchr("'\"`~!@#$%^&*()-_=+[]{}\\|;:,.<>/? ", c) != NULL) {
        ag_str_addf(s->out, "\\%c", c);
    } else {
        return refuse(s, "this escape");
    }
    s->at++;
    return AG_OK;
}

/* Inside [...]: sets within sets and intersections are Oniguruma's alone. */
static ag_status class_char(scan *s)
{
    char c = s->pattern[s->at];

    if (c == '[') return refuse(s, "a set inside a set");
    if (c == '&' && s->pattern[s->at + 1] == '&') return refuse(s, "an intersection of sets");
    if (c == ']') s->in_class = false;
    ag_str_addc(s->out, c);
    s->at++;
    return AG_OK;
}

static ag_status open_class(scan *s)
{
    s->in_class = true;
    ag_str_addc(s->out, '[');
    s->at++;
    if (s->pattern[s->at] == '^') {
        ag_str_addc(s->out, '^');
        s->at++;
    }
    if (s->pattern[s->at] == ']') return refuse(s, "a set that begins with ]");
    return AG_OK;
}

static ag_status group(scan *s)
{
    static const char *const known[] = {"(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!", "(?>"};
    const char *p = s->pattern + s->at;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t n = strlen(known[i]);
        if (strncmp(p, known[i], n) != 0) continue;
        ag_str_addn(s->out, p, n);
        s->at += n;
        return AG_OK;
    }
    if (p[1] == '?' || p[1] == '*') return refuse(s, "this kind of group");
    ag_str_add(s->out, "(?:"); /* nobody reads captures */
    s->at++;
    return AG_OK;
}

static ag_status plain_char(scan *s)
{
    char c = s->pattern[s->at], next = s->pattern[s->at + 1];

    if (c == '[') return open_class(s);
    if (c == '(') return group(s);
    if (c == '^' || c == '$') return refuse(s, "an anchor");
    if (c == '}' && (next == '+' || next == '?')) return refuse(s, "a counted repeat followed by + or ?");
    ag_str_addc(s->out, c);
    s->at++;
    return AG_OK;
}

ag_status ag_pattern_translate(ag_str *out, const char *pattern, ag_error *err)
{
    scan s = {.pattern = pattern, .len = strlen(pattern), .out = out, .err = err};
    ag_status st = AG_OK;

    if (s.len > 16384) return ag_fail(err, AG_ERR_UNSUPPORTED, "pre-tokenizer pattern of %zu bytes", s.len);
    while (st == AG_OK && s.at < s.len) {
        if (pattern[s.at] == '\\')
            st = escape(&s);
        else
            st = s.in_class ? class_char(&s) : plain_char(&s);
    }
    return st == AG_OK ? ag_str_ok(out, err) : st;
}
