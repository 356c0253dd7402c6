/* cell.c: text in the columns of a terminal. */
#include "eval/cell.h"

#include <string.h>
#include <utf8proc.h>

/* Columns that a code point takes; control characters are shown as '?', for names come from files. */
static int char_columns(uint32_t *c)
{
    int columns = utf8proc_charwidth((utf8proc_int32_t)*c);
    if (*c < 0x20 || (*c >= 0x7F && *c < 0xA0) || *c == 0x2028 || *c == 0x2029) *c = '?', columns = 1;
    return columns;
}

int ag_cell_columns(const char *text)
{
    int columns = 0;
    size_t n = strlen(text);
    for (size_t at = 0; at < n;) {
        uint32_t c = ag_utf8_next(text, n, &at);
        columns += char_columns(&c);
    }
    return columns;
}

void ag_cell_add(ag_str *out, const char *text, int columns)
{
    int room = columns < 0 ? -columns : columns, wide = ag_cell_columns(text), used = 0;
    size_t n = strlen(text);
    if (columns < 0)
        for (int i = wide; i < room; i++) ag_str_addc(out, ' ');
    for (size_t at = 0; at < n;) {
        char put[4];
        uint32_t c = ag_utf8_next(text, n, &at);
        int takes = char_columns(&c);
        if (wide > room && used + takes > room - 1) {
            ag_str_add(out, "\u2026");
            used++;
            break;
        }
        ag_str_addn(out, put, (size_t)ag_utf8_put(c, put));
        used += takes;
    }
    if (columns > 0)
        for (; used < room; used++) ag_str_addc(out, ' ');
}

void ag_cell_number(ag_str *out, const json_t *value, int columns)
{
    char text[32] = "-";
    if (json_is_integer(value))
        snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_number(value))
        snprintf(text, sizeof text, "%.3f", json_number_value(value));
    ag_cell_add(out, text, -columns);
}

void ag_cell_interval(ag_str *out, const json_t *estimate)
{
    const json_t *low = json_object_get(estimate, "low"), *high = json_object_get(estimate, "high");
    if (!json_is_number(low)) {
        ag_cell_add(out, "-", -18);
        return;
    }
    ag_cell_number(out, low, 8);
    ag_str_add(out, " .. ");
    ag_cell_number(out, high, 6);
}
