/* table.c: the report of a side-by-side study for a terminal, from its JSON; see sxs.h. */
#include <math.h>
#include <string.h>

#include "eval/cell.h"
#include "sxs/sxs.h"

static const json_t *at(const json_t *object, const char *section, const char *key)
{
    return json_object_get(json_object_get(object, section), key);
}

static long long count_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static void percent(ag_str *out, const json_t *number, int columns)
{
    char cell[32] = "-";
    if (json_is_number(number)) snprintf(cell, sizeof cell, "%.1f%%", 100 * json_number_value(number));
    ag_cell_add(out, cell, -columns);
}

/* "+12.5 %" with its interval: shares and their differences in percent. */
static void estimate(ag_str *out, const char *label, const json_t *e)
{
    const json_t *low = json_object_get(e, "low"), *high = json_object_get(e, "high");
    ag_cell_add(out, label, 44);
    percent(out, json_object_get(e, "value"), 9);
    if (json_is_number(low) && json_is_number(high))
        ag_str_addf(out, "  %6.1f .. %.1f", 100 * json_number_value(low), 100 * json_number_value(high));
    ag_str_addc(out, '\n');
}

/* Label of a figure; %s is a system's name. */
static const struct {
    const char *section, *key, *label, *name;
} rows[] = {
    {"preference", "better", "  %s better", "new"},
    {"preference", "same", "  the same", NULL},
    {"preference", "worse", "  %s better", "old"},
    {"preference", "net", "  net preference (better - worse)", NULL},
    {"preference", "score", "  mean preference (-100 .. 100)", NULL},
    {"preference", "much_better", "  %s much better", "new"},
    {"preference", "much_worse", "  %s much better", "old"},
    {"preference", "both_good", "  both good", NULL},
    {"preference", "both_bad", "  both bad", NULL},
    {"query_goodrate", "old", "  query GoodRate of %s", "old"},
    {"query_goodrate", "new", "  query GoodRate of %s", "new"},
    {"query_goodrate", "gain", "  query GoodRate, gain", NULL},
    {"item_goodrate", "old", "  item GoodRate of %s", "old"},
    {"item_goodrate", "new", "  item GoodRate of %s", "new"},
    {"item_goodrate", "gain", "  item GoodRate, gain", NULL},
};

static void part(ag_str *out, const json_t *json, const json_t *figures)
{
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        const json_t *e = at(figures, rows[r].section, rows[r].key);
        char label[128], name[32];
        const char *full = rows[r].name ? json_string_value(at(json, "names", rows[r].name)) : NULL;
        if (!e) continue;
        snprintf(name, sizeof name, "%.24s", full ? full : "");
        const char *mark = strstr(rows[r].label, "%s");
        if (mark)
            snprintf(label, sizeof label, "%.*s%s%s", (int)(mark - rows[r].label), rows[r].label, name,
                     mark + 2);
        else
            snprintf(label, sizeof label, "%s", rows[r].label);
        estimate(out, label, e);
    }
}

static void verdict(ag_str *out, const json_t *json)
{
    const json_t *net = at(json_object_get(json, "all"), "preference", "net"),
                 *low = json_object_get(net, "low"), *high = json_object_get(net, "high"),
                 *q = json_object_get(json, "queries");
    if (count_of(q, "answered") < count_of(q, "drawn")) ag_str_add(out, "not finished; so far: ");
    if (!json_is_number(low) || !json_is_number(high))
        ag_str_add(out, "no interval, too few queries were judged\n");
    else if (json_number_value(low) > 0)
        ag_str_addf(out, "%s is preferred\n", json_string_value(at(json, "names", "new")));
    else if (json_number_value(high) < 0)
        ag_str_addf(out, "%s is preferred\n", json_string_value(at(json, "names", "old")));
    else
        ag_str_addf(out, "no preference shown; a net preference of %.1f%% would probably have been\n",
                    100 * json_number_value(json_object_get(net, "detectable")));
}

static void agreement(ag_str *out, const json_t *json)
{
    static const struct {
        const char *section, *key, *label, *unit;
    } lines[] = {
        {"judges", "share", "two judges, same direction", "pairs"},
        {"judges", "alpha", "two judges, alpha of preference", "answers"},
        {"items", "share", "two judges, same rating of an item", "pairs"},
        {"items", "alpha", "two judges, alpha of ratings", "ratings"},
        {"self", "share", "with oneself, sides swapped", "repeats"},
        {"self", "same_side", "the same side again, sides swapped", "decided"},
        {"position", "left", "preferences for the left side", "decided"},
    };
    ag_str_add(out, "\njudges                                        value   95 % interval     over\n");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const json_t *e = at(json_object_get(json, "agreement"), lines[i].section, lines[i].key);
        ag_str_add(out, "  ");
        ag_cell_add(out, lines[i].label, 42);
        ag_cell_number(out, json_object_get(e, "value"), 7);
        ag_cell_interval(out, e);
        ag_str_addf(out, "  %lld %s\n", count_of(e, "over"), lines[i].unit);
    }
}

static void judges(ag_str *out, const json_t *json)
{
    size_t i;
    json_t *row;
    ag_str_add(out, "\njudge                     answered  skipped  repeats  checks passed\n");
    json_array_foreach(json_object_get(json, "judges"), i, row)
    {
        ag_cell_add(out, text_of(row, "judge"), 24);
        ag_str_addf(out, "%10lld%9lld%9lld%8lld/%lld", count_of(row, "answered"), count_of(row, "skipped"),
                    count_of(row, "repeats"), count_of(row, "passed"), count_of(row, "checks"));
        if (strcmp(text_of(row, "kind"), "model") == 0)
            ag_str_add(out, "  a model: in no figure above");
        else if (json_is_true(json_object_get(row, "left_out")))
            ag_str_add(out, "  LEFT OUT: below the cut-off");
        ag_str_addc(out, '\n');
    }
}

static void types(ag_str *out, const json_t *json)
{
    size_t i;
    json_t *row;
    if (json_array_size(json_object_get(json, "types")) == 0) return;
    ag_str_add(out,
               "\nby type                  queries  traffic     net  95 % interval      GoodRate gain\n");
    json_array_foreach(json_object_get(json, "types"), i, row)
    {
        const json_t *net = at(row, "preference", "net"), *low = json_object_get(net, "low");
        ag_cell_add(out, text_of(row, "type"), 24);
        ag_str_addf(out, "%8lld", count_of(row, "queries"));
        percent(out, json_object_get(row, "traffic"), 9);
        percent(out, json_object_get(net, "value"), 8);
        if (json_is_number(low))
            ag_str_addf(out, "  %6.1f .. %5.1f", 100 * json_number_value(low),
                        100 * json_number_value(json_object_get(net, "high")));
        else
            ag_str_add(out, "               -");
        percent(out, json_object_get(at(row, "query_goodrate", "gain"), "value"), 12);
        ag_str_addc(out, '\n');
    }
}

static void models(ag_str *out, const json_t *json)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(json, "models"), i, row)
    {
        const json_t *with = json_object_get(row, "with_people");
        ag_str_addf(out, "\nmodel ");
        ag_cell_add(out, text_of(row, "judge"), 38);
        ag_str_addf(out, " %lld answers; not a person, in no other figure\n", count_of(row, "answers"));
        part(out, json, row);
        ag_str_addf(out, "  same direction as a person: ");
        ag_cell_number(out, json_object_get(with, "share"), 5);
        ag_str_addf(out, " of %lld pairs\n", count_of(with, "pairs"));
    }
}

static void worst(ag_str *out, const json_t *json)
{
    size_t i, c;
    json_t *row, *comment;
    if (json_array_size(json_object_get(json, "worst")) == 0) return;
    ag_str_addf(out, "\nwhere %s loses most                         score  good new/old  loss, of traffic\n",
                json_string_value(at(json, "names", "new")));
    json_array_foreach(json_object_get(json, "worst"), i, row)
    {
        ag_str_add(out, "  ");
        ag_cell_add(out, text_of(row, "query"), 40);
        ag_cell_number(out, json_object_get(row, "score"), 9);
        ag_str_addf(out, "  %5.1f/%-6.1f", json_number_value(json_object_get(row, "new_good")),
                    json_number_value(json_object_get(row, "old_good")));
        ag_str_addf(out, "  %15.2f%%\n", 100 * json_number_value(json_object_get(row, "lost")));
        json_array_foreach(json_object_get(row, "comments"), c, comment)
        {
            ag_str_add(out, "      ");
            ag_cell_add(out, json_string_value(comment), 90);
            ag_str_addc(out, '\n');
        }
    }
}

ag_status ag_sxs_table(ag_str *out, const json_t *json, ag_error *err)
{
    const json_t *q = json_object_get(json, "queries");
    ag_str_addf(out, "%lld of %lld drawn queries judged, %lld answers; ", count_of(q, "answered"),
                count_of(q, "drawn"), count_of(q, "answers"));
    ag_str_addf(out, "%lld queries in the log, %lld with equal lists (", count_of(q, "log"),
                count_of(q, "same"));
    ag_str_addf(out, "%.1f%% of traffic)\n", 100 * json_number_value(json_object_get(q, "same_traffic")));
    if (count_of(q, "unanswered_cells") > 0)
        ag_str_addf(out, "%lld of the strata have no answer yet: the figures leave them out\n",
                    count_of(q, "unanswered_cells"));
    if (count_of(q, "lonely_cells") > 0)
        ag_str_addf(out, "%lld of the strata have one answered query, whose variation no interval has\n",
                    count_of(q, "lonely_cells"));
    verdict(out, json);
    ag_str_add(out, "\nall traffic; equal lists are the same         value   95 % interval\n");
    part(out, json, json_object_get(json, "all"));
    ag_str_addf(out, "\nwhere the top %lld differ; a query is good with %lld good items\n",
                count_of(json, "k"), count_of(json, "good_at_least"));
    part(out, json, json_object_get(json, "differ"));
    const json_t *sd = json_object_get(at(json_object_get(json, "differ"), "preference", "sd"), "value");
    if (json_is_number(sd))
        ag_str_addf(out, "  (an answer's standard deviation, for the next plan's --sd: %.2f)\n",
                    json_number_value(sd));
    types(out, json);
    agreement(out, json);
    judges(out, json);
    models(out, json);
    worst(out, json);
    return ag_str_ok(out, err);
}
