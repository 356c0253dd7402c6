/* rederive_table.c: the comparison of two rulebooks on a terminal; see rederive.h. */
#include <string.h>

#include "eval/cell.h"
#include "eval/rederive.h"

enum { KIND = 11, ID = 14, FIELD = 14, TEXT = 72, QUERY = 28, TITLE = 48 };

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "-";
}

static long long count_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

/* Text on a line of its own, as far as there is room and without spaces after it; nothing as a dash. */
static void add_line(ag_str *out, const char *text)
{
    if (!*text) text = "-";
    int columns = ag_cell_columns(text);
    ag_cell_add(out, text, columns < TEXT ? columns : TEXT);
    ag_str_addc(out, '\n');
}

/* --- the books ------------------------------------------------------------------------------------------ */

/* The part of a long text to show: from shortly before the byte where it first differs from the other. */
static const char *from_difference(const char *text, const char *other, ag_str *room)
{
    enum { BEFORE = 16 };
    size_t at = 0;
    while (text[at] && text[at] == other[at]) at++;
    if (ag_cell_columns(text) <= TEXT || at <= TEXT / 2) return text;
    at -= BEFORE;
    while (((unsigned char)text[at] & 0xc0) == 0x80) at--; /* to the start of a character */
    ag_str_clear(room);
    ag_str_addf(room, "\u2026%s", text + at);
    return ag_str_text(room);
}

/* "rule R3 cap", and below it what it was and is; an added or removed part on one line. */
static void change(ag_str *out, const json_t *c)
{
    ag_str room = {0};
    const char *was = json_string_value(json_object_get(c, "old")),
               *now = json_string_value(json_object_get(c, "new")),
               *field = json_string_value(json_object_get(c, "field"));
    ag_str_add(out, "  ");
    ag_cell_add(out, text_of(c, "kind"), KIND);
    ag_cell_add(out, text_of(c, "id"), ID);
    ag_cell_add(out, field ? field : was ? "removed" : "added", FIELD);
    if (was && now) {
        add_line(out, from_difference(was, now, &room));
        ag_cell_add(out, "", 2 + KIND + ID + FIELD - 3);
        ag_str_add(out, "-> ");
        add_line(out, from_difference(now, was, &room));
    } else {
        add_line(out, was ? was : now ? now : "");
    }
    out->failed |= room.failed;
    ag_str_free(&room);
}

static void books(ag_str *out, const json_t *json)
{
    size_t i;
    json_t *c;
    const json_t *changes = json_object_get(json, "book"), *old = json_object_get(json, "old"),
                 *new = json_object_get(json, "new");
    ag_str_addf(out, "old %s %s (%.12s), new %s %s (%.12s)\n", text_of(old, "rulebook"),
                text_of(old, "version"), text_of(old, "digest"), text_of(new, "rulebook"),
                text_of(new, "version"), text_of(new, "digest"));
    bool same = strcmp(text_of(old, "digest"), text_of(new, "digest")) == 0;
    if (json_array_size(changes) == 0)
        ag_str_addf(out, "\nno difference between the books%s\n", same ? "" : " but comments or layout");
    else
        ag_str_add(out, "\ndifferences of the books\n");
    json_array_foreach(changes, i, c) change(out, c);
}

/* --- transitions ---------------------------------------------------------------------------------------- */

static void share(ag_str *out, const json_t *row)
{
    const json_t *value = json_object_get(row, "share");
    if (json_is_number(value)) ag_str_addf(out, "%7.2f%%", 100 * json_number_value(value));
}

static void transitions(ag_str *out, const char *what, const json_t *rows, bool rules)
{
    size_t i;
    json_t *row;
    if (json_array_size(rows) == 0) return;
    ag_str_addc(out, '\n');
    ag_cell_add(out, what, 26);
    ag_str_addf(out, "  pairs   share%s\n", rules ? "  tier changes" : "");
    json_array_foreach(rows, i, row)
    {
        ag_str_add(out, "  ");
        ag_cell_add(out, text_of(row, "old"), 10);
        ag_str_add(out, " -> ");
        ag_cell_add(out, text_of(row, "new"), 10);
        ag_cell_number(out, json_object_get(row, "pairs"), 7);
        share(out, row);
        if (rules) ag_cell_number(out, json_object_get(row, "changed"), 14);
        ag_str_addc(out, '\n');
    }
}

/* --- pairs ---------------------------------------------------------------------------------------------- */

static void pair(ag_str *out, const json_t *p)
{
    const json_t *old = json_object_get(p, "old"), *new = json_object_get(p, "new");
    const char *query = json_string_value(json_object_get(p, "query"));
    ag_str_add(out, "  ");
    ag_cell_add(out, query ? query : text_of(p, "id"), QUERY);
    ag_str_add(out, "  ");
    ag_cell_add(out, text_of(p, "title"), TITLE);
    ag_str_addf(out, "  %s (%s) -> %s (%s), gain %+g\n", text_of(old, "tier"), text_of(old, "rule"),
                text_of(new, "tier"), text_of(new, "rule"),
                json_number_value(json_object_get(p, "difference")));
}

static void judged(ag_str *out, const json_t *j)
{
    size_t i;
    json_t *row;
    ag_str_addf(out, "\n%lld of %lld pairs compared: the tier of %lld changes", count_of(j, "compared"),
                count_of(j, "pairs"), count_of(j, "changed"));
    if (json_is_number(json_object_get(j, "share")))
        ag_str_addf(out, " (%.2f%%; %lld better, %lld worse)",
                    100 * json_number_value(json_object_get(j, "share")), count_of(j, "better"),
                    count_of(j, "worse"));
    ag_str_addf(out, ", of %lld more only the rule\n", count_of(j, "rule_only"));
    if (count_of(j, "facts"))
        ag_str_addf(out, "verdicts that change with the facts: of %lld pairs\n", count_of(j, "facts"));
    if (count_of(j, "reread"))
        ag_str_addf(out, "queries in which the new book reads other requests: of %lld pairs\n",
                    count_of(j, "reread"));
    json_array_foreach(json_object_get(j, "left_out"), i, row)
    {
        const char *name = json_string_value(json_object_get(row, "name"));
        ag_str_addf(out, "left out: %lld: %s%s%s\n", count_of(row, "pairs"), text_of(row, "text"),
                    name ? ": " : "", name ? name : "");
    }
    transitions(out, "tier", json_object_get(j, "tiers"), false);
    transitions(out, "rule", json_object_get(j, "rules"), true);
    if (json_array_size(json_object_get(j, "most"))) ag_str_add(out, "\nlargest changes of gain\n");
    json_array_foreach(json_object_get(j, "most"), i, row) pair(out, row);
}

ag_status ag_rederive_table(ag_str *out, const json_t *json, ag_error *err)
{
    const json_t *j = json_object_get(json, "judged");
    books(out, json);
    if (json_is_object(j)) judged(out, j);
    return ag_str_ok(out, err);
}
