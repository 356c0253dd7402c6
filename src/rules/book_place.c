/* book_place.c: where in the file a character of a YAML scalar was written.
 *
 * A `when` is compiled from its text after YAML took off quotes and joined lines, but its author wants the place in
 * the file. So the source is walked beside the text: wherever the two can be matched, the place is exact; where
 * they part (an escape that this walk does not know), the last place that matched is given.
 */
#include <string.h>

#include "rules/book_parse.h"

typedef struct walk {
    const char *text;
    size_t at, len;
    int line, column;
} walk;

/* Length of the line break at the cursor (YAML 1.1 knows five of them), 0 when there is none. */
static size_t line_break(const walk *w)
{
    static const char *const breaks[] = {"\r\n", "\n", "\r", "\xC2\x85", "\xE2\x80\xA8", "\xE2\x80\xA9"};
    for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
        size_t n = strlen(breaks[i]);
        if (w->len - w->at >= n && memcmp(w->text + w->at, breaks[i], n) == 0) return n;
    }
    return 0;
}

/* One character or line break on. */
static void step(walk *w)
{
    size_t n = line_break(w);
    if (n > 0) {
        w->at += n;
        w->line++;
        w->column = 1;
    } else if (w->at < w->len) {
        ag_utf8_next(w->text, w->len, &w->at);
        w->column++;
    }
}

static bool at_blank(const walk *w)
{
    return w->at < w->len && (w->text[w->at] == ' ' || w->text[w->at] == '\t' || line_break(w) > 0);
}

/* Over blanks, line breaks included. */
static void skip_blanks(walk *w)
{
    while (at_blank(w)) step(w);
}

/* To the content's first character: over the quote, or over a block's header line and indentation. */
static char enter(walk *w)
{
    char style = w->at < w->len ? w->text[w->at] : '\0';
    if (style == '"' || style == '\'') {
        step(w);
        return style;
    }
    if (style != '|' && style != '>') return '\0';
    while (w->at < w->len && line_break(w) == 0) step(w);
    skip_blanks(w);
    return style;
}

/* Over what stands for one decoded character `c` in the source; false when the two do not match. */
static bool follow(walk *w, char style, uint32_t c)
{
    if ((c == ' ' || c == '\n') && at_blank(w)) {
        walk ahead = *w;
        skip_blanks(&ahead);
        if (ahead.line != w->line && c == ' ') { /* a folded line break is one space, indentation and all */
            *w = ahead;
        } else {
            step(w);
            if (c == '\n') skip_blanks(w);
        }
        return true;
    }
    if (w->at >= w->len) return false;
    if (style == '"' && w->text[w->at] == '\\') {
        static const char sized[] = "xuU";
        step(w);
        const char *kind = w->at < w->len && w->text[w->at] ? strchr(sized, w->text[w->at]) : NULL;
        int digits = kind ? 2 << (kind - sized) : 0; /* \xNN, \uNNNN, \UNNNNNNNN */
        for (int i = 0; i <= digits; i++) step(w);
        return true;
    }
    if (c == ' ') return true; /* a block's own indentation, skipped with the line break before it */
    if (style == '\'' && c == '\'') step(w); /* written twice */
    size_t at = w->at;
    if (ag_utf8_next(w->text, w->len, &at) != c) return false;
    step(w);
    return true;
}

void ag_book_place(const ag_book_reader *r, const ag_yaml *scalar, size_t offset, int *line, int *column)
{
    walk w = {.text = r->text, .len = r->len, .line = 1, .column = 1};
    *line = scalar->line;
    *column = scalar->column;
    if (w.len >= 3 && memcmp(w.text, "\xEF\xBB\xBF", 3) == 0)
        w.at = 3; /* a byte order mark is no character */
    while (w.at < w.len && (w.line < scalar->line || w.column < scalar->column)) {
        if (w.line > scalar->line) return;
        step(&w);
    }
    char style = enter(&w);
    size_t at = 0;
    while (at < offset && at < scalar->len) {
        walk before = w;
        if (!follow(&w, style, ag_utf8_next(scalar->text, scalar->len, &at))) {
            w = before;
            break;
        }
    }
    *line = w.line;
    *column = w.column;
}
