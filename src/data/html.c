/* html.c: catalogue texts written as HTML, to plain text. Not a browser: tags go, entities become
 * characters, runs of white space one space. A "<" that begins no tag stays ("screens < 15 inches").
 */
#include <stdlib.h>
#include <string.h>

#include "data/record.h"

enum { TAG_MAX = 2000 };

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Length of the tag or comment that begins at text (a '<'), or 0. */
static size_t tag_length(const char *text, size_t n)
{
    if (n < 3 || !(is_letter(text[1]) ||
                   ((text[1] == '/' || text[1] == '!') && (is_letter(text[2]) || text[2] == '-'))))
        return 0;
    const char *end = memchr(text, '>', n < TAG_MAX ? n : TAG_MAX);
    return end ? (size_t)(end - text) + 1 : 0;
}

/* The character of an entity at text (an '&'); *len its length. 0: none. */
static uint32_t entity(const char *text, size_t n, size_t *len)
{
    static const struct {
        const char *name;
        uint32_t c;
    } names[] = {
        {"amp", '&'},      {"lt", '<'},       {"gt", '>'},        {"quot", '"'},     {"apos", '\''},
        {"nbsp", ' '},     {"reg", 0xAE},     {"copy", 0xA9},     {"trade", 0x2122}, {"deg", 0xB0},
        {"ndash", 0x2013}, {"mdash", 0x2014}, {"lsquo", 0x2018},  {"rsquo", 0x2019}, {"ldquo", 0x201C},
        {"rdquo", 0x201D}, {"bull", 0x2022},  {"hellip", 0x2026}, {"frac12", 0xBD},  {"times", 0xD7},
        {"eacute", 0xE9},  {"egrave", 0xE8},  {"uuml", 0xFC},     {"ouml", 0xF6},    {"auml", 0xE4}};
    const char *end = memchr(text, ';', n < 12 ? n : 12);
    if (!end || end < text + 2) return 0;
    size_t body = (size_t)(end - text) - 1;
    *len = body + 2;
    if (text[1] == '#') {
        char digits[12] = "", *stop;
        bool hex = body > 2 && (text[2] == 'x' || text[2] == 'X');
        size_t skip = hex ? 3 : 2;
        memcpy(digits, text + skip, (size_t)(end - text) - skip);
        unsigned long c = strtoul(digits, &stop, hex ? 16 : 10);
        bool good = *digits && !*stop && *digits != '-' && *digits != '+' && c >= 32 && c <= 0x10FFFF;
        return good && !(c >= 0xD800 && c <= 0xDFFF) ? (uint32_t)c : 0;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i].name) == body && memcmp(names[i].name, text + 1, body) == 0) return names[i].c;
    return 0;
}

void ag_html_text(ag_str *out, const char *html, size_t n)
{
    bool space = false, any = false;
    for (size_t at = 0; at < n;) {
        size_t len = 0;
        uint32_t c;
        char put[4];
        if (html[at] == '<' && (len = tag_length(html + at, n - at)) > 0) {
            at += len;
            space = true;
            continue;
        }
        if (html[at] == '&' && (c = entity(html + at, n - at, &len)) != 0)
            at += len;
        else
            c = ag_utf8_next(html, n, &at);
        if (c <= ' ' || c == 0xA0) {
            space = true;
            continue;
        }
        if (space && any) ag_str_addc(out, ' ');
        space = false;
        any = true;
        ag_str_addn(out, put, (size_t)ag_utf8_put(c, put));
    }
}
