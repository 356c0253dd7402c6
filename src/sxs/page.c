/* page.c: tables of figures with their intervals; see page.h. */
#include "sxs/page.h"

#include <math.h>
#include <string.h>

#include "eval/report_page.h"

static const json_t *at(const json_t *object, const char *section, const char *key)
{
    return json_object_get(json_object_get(object, section), key);
}

static void percent(ag_page *page, const json_t *number)
{
    ag_page_number(page, json_is_number(number) ? 100 * json_number_value(number) : NAN, 1);
    if (json_is_number(number)) ag_str_add(&page->out, "&nbsp;%");
}

/* A row: what it is, its value and its interval. %s of the label is a system's name. */
static void row(ag_page *page, const char *label, const char *name, const json_t *e)
{
    const char *mark = strstr(label, "%s");
    const json_t *low = json_object_get(e, "low"), *high = json_object_get(e, "high");
    if (!e) return;
    ag_str_add(&page->out, "<tr><th>");
    ag_page_textn(page, label, mark ? (size_t)(mark - label) : strlen(label));
    if (mark) ag_page_text(page, name);
    if (mark) ag_page_text(page, mark + 2);
    ag_str_add(&page->out, "</th><td class=\"num value\">");
    percent(page, json_object_get(e, "value"));
    ag_str_add(&page->out, "</td><td class=\"num\">");
    percent(page, low);
    ag_str_add(&page->out, " .. ");
    percent(page, high);
    ag_str_add(&page->out, "</td></tr>\n");
}

static const struct {
    const char *section, *key, *label, *name;
} figures[] = {
    {"preference", "better", "%s better", "new"},
    {"preference", "same", "the same", "new"},
    {"preference", "worse", "%s better", "old"},
    {"preference", "net", "net preference (better \u2212 worse)", "new"},
    {"preference", "score", "mean preference, \u2212100 to 100", "new"},
    {"preference", "much_better", "%s much better", "new"},
    {"preference", "much_worse", "%s much better", "old"},
    {"preference", "both_good", "both good", "new"},
    {"preference", "both_bad", "both bad", "new"},
    {"query_goodrate", "old", "query GoodRate of %s", "old"},
    {"query_goodrate", "new", "query GoodRate of %s", "new"},
    {"query_goodrate", "gain", "query GoodRate, gain of %s", "new"},
    {"item_goodrate", "old", "item GoodRate of %s", "old"},
    {"item_goodrate", "new", "item GoodRate of %s", "new"},
    {"item_goodrate", "gain", "item GoodRate, gain of %s", "new"},
};

static void figure_table(ag_page *page, const json_t *json, const json_t *part, const char *label)
{
    ag_page_table_open(page, label,
                       "<th></th><th class=\"num\">value</th><th class=\"num\">95 % interval</th>");
    for (size_t f = 0; f < sizeof figures / sizeof *figures; f++)
        row(page, figures[f].label, json_string_value(at(json, "names", figures[f].name)),
            at(part, figures[f].section, figures[f].key));
    ag_page_table_close(page);
}

static void agreement(ag_page *page, const json_t *json)
{
    static const char *const lines[][3] = {
        {"judges", "share", "two judges, same direction"},
        {"judges", "alpha", "two judges, alpha of preference"},
        {"items", "share", "two judges, same rating of an item"},
        {"items", "alpha", "two judges, alpha of ratings"},
        {"self", "share", "with oneself, sides swapped"},
        {"self", "same_side", "the same side again, sides swapped"},
        {"position", "left", "preferences for the left side"},
    };
    ag_str_add(&page->out, "<section id=\"judges\"><h2>Judges</h2>\n");
    ag_page_table_open(page, "Agreement",
                       "<th></th><th class=\"num\">value</th><th class=\"num\">95 % interval</th>");
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        row(page, lines[i][2], NULL, at(json_object_get(json, "agreement"), lines[i][0], lines[i][1]));
    ag_page_table_close(page);
}

static void judges(ag_page *page, const json_t *json)
{
    size_t i;
    json_t *one;
    ag_str_add(&page->out, "<h3>Each judge</h3>\n");
    ag_page_table_open(page, "People and models",
                       "<th>judge</th><th class=\"num\">answered</th><th class=\"num\">skipped</th><th "
                       "class=\"num\">repeats</th><th class=\"num\">checks passed</th><th></th>");
    json_array_foreach(json_object_get(json, "judges"), i, one)
    {
        bool model = strcmp(ag_page_string(one, "kind"), "model") == 0;
        ag_str_add(&page->out, "<tr><th>");
        ag_page_text(page, ag_page_string(one, "judge"));
        ag_str_addf(
            &page->out,
            "</th><td class=\"num\">%.0f</td><td class=\"num\">%.0f</td><td class=\"num\">%.0f</td><td "
            "class=\"num\">%.0f of %.0f</td><td>%s</td></tr>\n",
            ag_page_real(one, "answered"), ag_page_real(one, "skipped"), ag_page_real(one, "repeats"),
            ag_page_real(one, "passed"), ag_page_real(one, "checks"),
            model                                            ? "a model: in no figure of people"
            : json_is_true(json_object_get(one, "left_out")) ? "left out: below the cut-off"
                                                             : "");
    }
    ag_page_table_close(page);
    ag_str_add(&page->out, "</section>\n");
}

static void types(ag_page *page, const json_t *json)
{
    size_t i;
    json_t *one;
    if (json_array_size(json_object_get(json, "types")) == 0) return;
    ag_str_add(&page->out, "<section id=\"types\"><h2>By type of query</h2>\n");
    ag_page_table_open(page, "Types",
                       "<th>type</th><th class=\"num\">queries judged</th><th class=\"num\">traffic</th><th "
                       "class=\"num\">net preference</th><th class=\"num\">95 % interval</th><th "
                       "class=\"num\">query GoodRate, "
                       "gain</th>");
    json_array_foreach(json_object_get(json, "types"), i, one)
    {
        const json_t *net = at(one, "preference", "net");
        const json_t *cells[] = {json_object_get(one, "traffic"), json_object_get(net, "value"), NULL,
                                 json_object_get(at(one, "query_goodrate", "gain"), "value")};
        ag_str_add(&page->out, "<tr><th>");
        ag_page_text(page, ag_page_string(one, "type"));
        ag_str_addf(&page->out, "</th><td class=\"num\">%.0f", ag_page_real(one, "queries"));
        for (int c = 0; c < 4; c++) {
            ag_str_add(&page->out, "</td><td class=\"num\">");
            percent(page, c == 2 ? json_object_get(net, "low") : cells[c]);
            if (c == 2) ag_str_add(&page->out, " .. ");
            if (c == 2) percent(page, json_object_get(net, "high"));
        }
        ag_str_add(&page->out, "</td></tr>\n");
    }
    ag_page_table_close(page);
    ag_str_add(&page->out, "</section>\n");
}

static void models(ag_page *page, const json_t *json)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(json, "models"), i, one)
    {
        ag_str_add(&page->out, "<section><h2>Model ");
        ag_page_text(page, ag_page_string(one, "judge"));
        ag_str_add(&page->out,
                   "</h2><p class=\"note\">Not a person; in no other figure. Same direction as a person in ");
        percent(page, at(one, "with_people", "share"));
        ag_str_addf(&page->out, " of %.0f pairs of answers.</p>\n",
                    ag_page_real(json_object_get(one, "with_people"), "pairs"));
        figure_table(page, json, one, "Model");
        ag_str_add(&page->out, "</section>\n");
    }
}

static void worst(ag_page *page, const json_t *json)
{
    size_t i, c;
    json_t *one, *comment;
    if (json_array_size(json_object_get(json, "worst")) == 0) return;
    ag_str_add(&page->out, "<section id=\"worst\"><h2>Where ");
    ag_page_text(page, json_string_value(at(json, "names", "new")));
    ag_str_add(&page->out, " loses most</h2>\n");
    ag_page_table_open(
        page, "Queries",
        "<th>query</th><th class=\"num\">mean preference</th><th class=\"num\">good items, new</th><th "
        "class=\"num\">old</th><th class=\"num\">loss, of all traffic</th><th>comments</th>");
    json_array_foreach(json_object_get(json, "worst"), i, one)
    {
        ag_str_add(&page->out, "<tr><th>");
        ag_page_text(page, ag_page_string(one, "query"));
        ag_str_addf(
            &page->out,
            "</th><td class=\"num\">%.2f</td><td class=\"num\">%.1f</td><td class=\"num\">%.1f</td><td "
            "class=\"num\">",
            ag_page_real(one, "score"), ag_page_real(one, "new_good"), ag_page_real(one, "old_good"));
        percent(page, json_object_get(one, "lost"));
        ag_str_add(&page->out, "</td><td>");
        json_array_foreach(json_object_get(one, "comments"), c, comment)
        {
            if (c) ag_str_add(&page->out, "<br>");
            ag_page_text(page, json_string_value(comment));
        }
        ag_str_add(&page->out, "</td></tr>\n");
    }
    ag_page_table_close(page);
    ag_str_add(&page->out, "</section>\n");
}

ag_status ag_sxs_page(const char *path, const json_t *json, ag_error *err)
{
    ag_report_input input = {.title = "Side by side"};
    ag_page page = {.input = &input};
    ag_str title = {0}, none = {0};
    const json_t *q = json_object_get(json, "queries");
    ag_str_addf(&title, "%s against %s, side by side", json_string_value(at(json, "names", "new")),
                json_string_value(at(json, "names", "old")));
    input.title = ag_str_text(&title);
    ag_page_open(&page);
    ag_str_addf(&page.out,
                "<p class=\"meta\"><span><b>%.0f</b> of %.0f drawn queries judged</span><span><b>%.0f</b> "
                "answers</span><span><b>%.0f</b> queries in the log</span><span>lists equal for <b>",
                ag_page_real(q, "answered"), ag_page_real(q, "drawn"), ag_page_real(q, "answers"),
                ag_page_real(q, "log"));
    percent(&page, json_object_get(q, "same_traffic"));
    ag_str_add(&page.out,
               "</b> of the traffic</span></p></header>\n<main>\n<section id=\"all\"><h2>All traffic</h2>"
               "<p class=\"note\">Queries with equal lists count as the same.</p>\n");
    figure_table(&page, json, json_object_get(json, "all"), "All traffic");
    ag_str_addf(&page.out,
                "</section>\n<section id=\"differ\"><h2>Where the top %.0f differ</h2><p class=\"note\">A "
                "query is good "
                "with at least %.0f good items.</p>\n",
                ag_page_real(json, "k"), ag_page_real(json, "good_at_least"));
    figure_table(&page, json, json_object_get(json, "differ"), "Where lists differ");
    ag_str_add(&page.out, "</section>\n");
    types(&page, json);
    agreement(&page, json);
    judges(&page, json);
    models(&page, json);
    worst(&page, json);
    ag_status status = ag_str_ok(&title, err);
    if (status == AG_OK) status = ag_page_finish(&page, &none, path, err);
    ag_str_free(&page.out);
    ag_str_free(&title);
    return status;
}
