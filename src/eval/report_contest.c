/* report_contest.c: a contest as a page: the table, the tests, learning curves, slices, stability, costs, the plan. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "eval/contest_parts.h"
#include "eval/report_chart.h"

typedef struct sheet {
    ag_page page;
    const json_t *contest, *rows, *tests, *seconds;
    const char *plan;
    bool higher;
} sheet;

static ag_str *out_of(sheet *s)
{
    return &s->page.out;
}

static const char *part_name(const sheet *s, const char *part)
{
    return strcmp(part, "slice") == 0 ? ag_page_string(s->contest, "slice") : part;
}

static void head_cell(sheet *s, const char *text, const char *class)
{
    ag_str_addf(out_of(s), "<th scope=\"col\"%s%s%s>", class ? " class=\"" : "", class ? class : "",
                class ? "\"" : "");
    ag_page_text(&s->page, text);
    ag_str_add(out_of(s), "</th>");
}

/* A table whose head is written by cells that come after: closed by head_end. */
static void head_begin(sheet *s, const char *label)
{
    ag_str_add(out_of(s), "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"");
    ag_page_text(&s->page, label);
    ag_str_add(out_of(s), "\"><table><thead><tr>");
}

static void head_end(sheet *s)
{
    ag_str_add(out_of(s), "</tr></thead><tbody>\n");
}

static void row_name(sheet *s, const json_t *row, bool facts)
{
    const char *name = ag_page_string(row, "name"), *method = ag_page_string(row, "method"),
               *settings = ag_page_string(row, "settings");
    ag_str_add(out_of(s), strcmp(name, ag_page_string(s->contest, "against")) == 0 && facts
                              ? "<tr class=\"model\"><th scope=\"row\">"
                              : "<tr><th scope=\"row\">");
    ag_page_text(&s->page, name);
    if (facts && (strcmp(name, method) != 0 || *settings)) {
        ag_str_add(out_of(s), "<small>");
        ag_page_text(&s->page, strcmp(name, method) != 0 ? method : "");
        ag_str_add(out_of(s), strcmp(name, method) != 0 && *settings ? "; " : "");
        ag_page_text(&s->page, settings);
        ag_str_add(out_of(s), "</small>");
    }
    ag_str_add(out_of(s), "</th>");
}

/* The spread over seeds, where there is one. */
static void spread(sheet *s, const json_t *range, int digits)
{
    double low = ag_page_real(range, "low"), high = ag_page_real(range, "high");
    if (isfinite(low) && high > low)
        ag_str_addf(out_of(s), "<small>%.*f\u2009\u2013\u2009%.*f</small>", digits, low, digits, high);
}

static void range_cell(sheet *s, const json_t *range, int digits, bool best)
{
    ag_str_add(out_of(s), best ? "<td class=\"num best\">" : "<td class=\"num\">");
    ag_page_number(&s->page, ag_page_real(range, "mean"), digits);
    spread(s, range, digits == 3 ? 2 : digits); /* shares: a shorter line below them */
    ag_str_add(out_of(s), "</td>");
}

static bool is_best(const sheet *s, const json_t *row, const char *group, const char *key, bool higher)
{
    return ag_page_real(ag_json_path(row, group, key, NULL), "mean") ==
           ag_contest_best(s->rows, group, key, higher);
}

/* --- the table ------------------------------------------------------------------------------------------------ */

static void tested_cell(sheet *s, const json_t *row, const char *part)
{
    const json_t *range = ag_json_path(row, "tested", part, NULL),
                 *interval = json_object_get(range, "interval");
    double low = json_number_value(json_array_get(interval, 0)),
           high = json_number_value(json_array_get(interval, 1));
    bool best = is_best(s, row, "tested", part, s->higher),
         known = json_is_number(json_array_get(interval, 0));
    ag_str_add(out_of(s), best ? "<td class=\"num best\">" : "<td class=\"num\">");
    ag_page_number(&s->page, ag_page_real(range, "mean"), 3);
    if (known) ag_str_addf(out_of(s), "<small>[%.3f, %.3f]</small>", low, high);
    double from = ag_page_real(range, "low"), to = ag_page_real(range, "high");
    if (isfinite(from) && to > from)
        ag_str_addf(out_of(s), "<small>seeds %.3f\u2009\u2013\u2009%.3f</small>", from, to);
    ag_str_add(out_of(s), "</td>");
}

static void method_table(sheet *s)
{
    const char *metric = ag_page_string(json_object_get(s->contest, "metric"), "name");
    size_t i, t;
    json_t *row, *test;
    head_begin(s, "Methods");
    head_cell(s, "method", NULL);
    json_array_foreach(s->tests, t, test) head_cell(s, part_name(s, ag_page_string(test, "on")), "num");
    for (const char *const *name = ag_contest_metrics; *name; name++)
        if (strcmp(*name, metric) != 0) head_cell(s, ag_metric_find(*name)->title, "num");
    head_cell(s, "Copies false hints", "num");
    head_end(s);
    json_array_foreach(s->rows, i, row)
    {
        row_name(s, row, true);
        json_array_foreach(s->tests, t, test) tested_cell(s, row, ag_page_string(test, "on"));
        for (const char *const *name = ag_contest_metrics; *name; name++)
            if (strcmp(*name, metric) != 0)
                range_cell(s, ag_json_path(row, "metrics", *name, NULL), 3,
                           is_best(s, row, "metrics", *name, true));
        range_cell(s, ag_json_path(row, "metrics", "copy_rate", NULL), 3, false);
        ag_str_add(out_of(s), "</tr>\n");
    }
    ag_page_table_close(&s->page);
}

static void methods_section(sheet *s)
{
    const json_t *metric = json_object_get(s->contest, "metric"), *whole = NULL;
    size_t t;
    json_t *test;
    ag_str_add(out_of(s), "<section id=\"methods\"><h2>Methods</h2>\n<p class=\"note\">");
    ag_page_text(&s->page, ag_page_string(metric, "title"));
    ag_str_add(out_of(s), json_array_size(s->tests) > 1 ? " on the slice, on the rest and on all pairs"
                                                        : " on all pairs");
    ag_str_add(out_of(s),
               ", then other metrics on all pairs: means over seeds, the lowest and highest seed below "
               "them. In brackets the 95\u2009% interval of the mean over query groups. Bold: the best of "
               "its column. The row that the others are tested against is shaded.</p>\n");
    method_table(s);
    ag_str_add(out_of(s), "<p class=\"note\">");
    json_array_foreach(s->tests, t, test)
    {
        ag_str_add(out_of(s), t ? "; " : "");
        ag_page_text(&s->page, part_name(s, ag_page_string(test, "on")));
        ag_str_addf(out_of(s), ": %.0f pairs in %.0f query groups", ag_page_real(test, "records"),
                    ag_page_real(test, "groups"));
        whole = test;
    }
    ag_str_add(out_of(s), whole ? ".</p></section>\n" : "</p></section>\n");
}

/* --- tests ------------------------------------------------------------------------------------------------------ */

/* The largest distance from 0 that any interval of the tests reaches: the scale of all bars. */
static double reach(const sheet *s)
{
    double most = 0;
    size_t t, i;
    json_t *test, *d;
    json_array_foreach(s->tests, t, test) json_array_foreach(json_object_get(test, "rows"), i, d)
    {
        const double ends[] = {ag_page_real(d, "low"), ag_page_real(d, "high"), ag_page_real(d, "value")};
        for (int k = 0; k < 3; k++)
            if (isfinite(ends[k])) most = fmax(most, fabs(ends[k]));
    }
    return most > 0 ? most : 1;
}

static void difference_bar(sheet *s, double value, double low, double high, double scale)
{
    double unit = 50 / scale;
    ag_str_addf(out_of(s),
                "<span class=\"ci\" aria-hidden=\"true\" style=\"--l:%.2f%%;--w:%.2f%%;--v:%.2f%%\">"
                "<u></u><i></i><b></b></span>",
                50 + low * unit, (high - low) * unit, 50 + value * unit);
}

static void difference_cells(sheet *s, const json_t *d, double scale)
{
    double value = ag_page_real(d, "value"), low = ag_page_real(d, "low"), high = ag_page_real(d, "high"),
           holm = ag_page_real(d, "holm");
    ag_str_add(out_of(s), "<td class=\"diff\">");
    if (isfinite(low)) difference_bar(s, value, low, high, scale);
    if (isfinite(value))
        ag_str_addf(out_of(s), "<b>%+.3f</b>", value);
    else
        ag_page_number(&s->page, NAN, 3);
    if (isfinite(low)) ag_str_addf(out_of(s), "<small>[%+.3f, %+.3f]</small>", low, high);
    ag_str_add(out_of(s), holm < 0.05 ? "</td><td class=\"num best\">" : "</td><td class=\"num\">");
    char shown[16];
    ag_contest_p(shown, holm);
    if (isfinite(holm))
        ag_page_text(&s->page, shown);
    else
        ag_page_number(&s->page, holm, 3);
    ag_str_add(out_of(s), "</td>");
}

static void tests_table(sheet *s)
{
    double scale = reach(s);
    size_t i, t;
    json_t *row, *test;
    head_begin(s, "Differences");
    head_cell(s, "method", NULL);
    json_array_foreach(s->tests, t, test)
    {
        head_cell(s, part_name(s, ag_page_string(test, "on")), NULL);
        head_cell(s, "p", "num");
    }
    head_end(s);
    json_array_foreach(s->rows, i, row)
    {
        const char *name = ag_page_string(row, "name");
        if (strcmp(name, ag_page_string(s->contest, "against")) == 0) continue;
        row_name(s, row, false);
        json_array_foreach(s->tests, t, test)
            difference_cells(s, ag_contest_row_of(json_object_get(test, "rows"), name), scale);
        ag_str_add(out_of(s), "</tr>\n");
    }
    ag_page_table_close(&s->page);
}

static void tests_section(sheet *s)
{
    size_t t;
    json_t *test;
    const char *before =
        "<p class=\"note\">Smallest detectable difference (one test at 0.05 with power 0.8): ";
    if (json_array_size(s->rows) < 2) return;
    ag_str_add(out_of(s), "<section id=\"tests\"><h2>Differences from ");
    ag_page_text(&s->page, ag_page_string(s->contest, "against"));
    ag_str_add(out_of(s), "</h2>\n<p class=\"note\">");
    ag_page_text(&s->page, ag_page_string(json_object_get(s->contest, "metric"), "title"));
    ag_str_addf(
        out_of(s),
        ", mean over seeds: difference with 95\u2009%% interval and two-sided p of a paired bootstrap over "
        "query groups (%.0f draws), adjusted by Holm over the rows. The line in each bar is no difference; "
        "bold p is below 0.05.</p>\n",
        ag_page_real(s->contest, "draws"));
    tests_table(s);
    json_array_foreach(s->tests, t, test)
    {
        ag_str_add(out_of(s), t ? ", " : before);
        ag_page_text(&s->page, part_name(s, ag_page_string(test, "on")));
        ag_str_addc(out_of(s), ' ');
        ag_page_number(&s->page, ag_page_real(test, "detectable"), 3);
    }
    ag_str_add(out_of(s), ".</p></section>\n");
}

/* --- curves -------------------------------------------------------------------------------------------------------- */

/* The points of a row where both tokens and the metric are known; returns how many. */
static size_t curve_points(ag_chart_point *points, const json_t *row, const char *part)
{
    size_t i, n = 0;
    json_t *point;
    json_array_foreach(json_object_get(row, "curve"), i, point)
    {
        const json_t *y = json_object_get(point, part);
        double x = ag_json_real(json_object_get(point, "spent"), "mean"), mean = ag_json_real(y, "mean");
        if (points && isfinite(x) && isfinite(mean))
            points[n++] = (ag_chart_point){x, mean, ag_json_real(y, "low"), ag_json_real(y, "high")};
        else if (isfinite(x) && isfinite(mean))
            n++;
    }
    return n;
}

static void draw_part(sheet *s, const char *part)
{
    size_t rows = json_array_size(s->rows), i, at = 0, total = 0;
    json_t *row;
    json_array_foreach(s->rows, i, row) total += curve_points(NULL, row, part);
    if (total == 0) return;
    ag_chart_line *lines = ag_calloc(rows, sizeof *lines);
    ag_chart_point *points = ag_calloc(total, sizeof *points);
    ag_chart chart = {ag_page_string(json_object_get(s->contest, "metric"), "title"), part_name(s, part),
                      "tokens", lines, rows};
    if (!lines || !points) s->page.out.failed = true;
    json_array_foreach(s->rows, i, row)
    {
        if (!lines || !points) break;
        size_t n = curve_points(points + at, row, part);
        lines[i] = (ag_chart_line){.name = ag_page_string(row, "name"), .points = points + at, .count = n};
        if (n) lines[i].first = points[at].y, lines[i].last = points[at + n - 1].y;
        lines[i].band = json_array_size(json_object_get(row, "seeds")) > 1;
        at += n;
    }
    if (lines && points) ag_chart_draw(&s->page, &chart);
    ag_free(lines);
    ag_free(points);
}

static void curves_section(sheet *s)
{
    size_t i, known = 0;
    json_t *row;
    json_array_foreach(s->rows, i, row) known += curve_points(NULL, row, "all");
    if (known == 0) return;
    ag_str_add(out_of(s),
               "<section id=\"curves\"><h2>Learning curves</h2><p class=\"note\">At validation, by tokens "
               "spent (sampled and trained): the mean over seeds, in a band from the lowest to the "
               "highest.</p><div class=\"charts\">\n");
    for (int part = 0; part < AG_CONTEST_PARTS; part++) draw_part(s, ag_contest_parts[part]);
    ag_str_add(out_of(s), "</div></section>\n");
}

/* --- slices --------------------------------------------------------------------------------------------------------- */

static void slice_row(sheet *s, const json_t *value)
{
    size_t i;
    json_t *row;
    double low = INFINITY, high = -INFINITY;
    json_array_foreach(s->rows, i, row)
    {
        double mean = ag_json_real(ag_json_path(value, "rows", ag_page_string(row, "name"), NULL), "mean");
        if (isfinite(mean)) low = fmin(low, mean), high = fmax(high, mean);
    }
    ag_str_add(out_of(s), "<tr><th scope=\"row\">");
    ag_page_text(&s->page, ag_page_string(value, "value"));
    ag_str_addf(out_of(s), "</th><td class=\"num\">%.0f</td>", ag_page_real(value, "records"));
    json_array_foreach(s->rows, i, row)
    {
        const json_t *range = ag_json_path(value, "rows", ag_page_string(row, "name"), NULL);
        range_cell(s, range, 3, high > low && ag_json_real(range, "mean") == (s->higher ? high : low));
    }
    ag_str_add(out_of(s), "</tr>\n");
}

static void slices_section(sheet *s)
{
    const json_t *slices = json_object_get(s->contest, "slices");
    size_t i, v, r;
    json_t *slice, *value, *row;
    if (json_array_size(slices) == 0) return;
    ag_str_add(out_of(s), "<section id=\"slices\"><h2>Slices</h2><p class=\"note\">");
    ag_page_text(&s->page, ag_page_string(json_object_get(s->contest, "metric"), "title"));
    ag_str_add(out_of(s), ", mean over seeds. \u201crule\u201d is the gold deciding rule.</p>\n");
    json_array_foreach(slices, i, slice)
    {
        if (ag_slice_common(s->contest, slice)) continue; /* it says what the table of methods says */
        ag_str_add(out_of(s), "<h3>");
        ag_page_text(&s->page, ag_page_string(slice, "name"));
        ag_str_add(out_of(s), "</h3>");
        head_begin(s, ag_page_string(slice, "name"));
        head_cell(s, ag_page_string(slice, "name"), NULL);
        head_cell(s, "n", "num");
        json_array_foreach(s->rows, r, row) head_cell(s, ag_page_string(row, "name"), "num");
        head_end(s);
        json_array_foreach(json_object_get(slice, "values"), v, value) slice_row(s, value);
        ag_page_table_close(&s->page);
        if (ag_page_real(slice, "left_out") > 0)
            ag_str_addf(out_of(s), "<p class=\"note\">%.0f more values with fewer pairs are left out.</p>\n",
                        ag_page_real(slice, "left_out"));
    }
    ag_str_add(out_of(s), "</section>\n");
}

/* --- stability and costs --------------------------------------------------------------------------------------------- */

static bool trained(const json_t *row)
{
    return json_object_get(row, "stability") != NULL;
}

static bool any_trained(const sheet *s)
{
    size_t i;
    json_t *row;
    json_array_foreach(s->rows, i, row) if (trained(row)) return true;
    return false;
}

static void stability_section(sheet *s)
{
    static const struct {
        const char *key, *head;
        int digits;
    } columns[] = {{"reward_sd", "reward deviation", 3},
                   {"kl", "divergence from the start", 4},
                   {"grad_norm", "largest gradient norm", 2},
                   {"dead_groups", "groups without a signal", 3},
                   {"guided_share", "guided share", 3}};
    size_t i;
    json_t *row;
    if (!any_trained(s)) return;
    ag_str_add(out_of(s),
               "<section id=\"stability\"><h2>Stability</h2><p class=\"note\">Means over the steps of a run "
               "(of the gradient norm the largest), then over seeds, with the lowest and highest seed. "
               "Collapsed: seeds whose last validation macro F1 lies more than 0.1 below their own "
               "best.</p>\n");
    head_begin(s, "Stability");
    head_cell(s, "method", NULL);
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) head_cell(s, columns[c].head, "num");
    head_cell(s, "collapsed", "num");
    head_end(s);
    json_array_foreach(s->rows, i, row)
    {
        const json_t *stability = json_object_get(row, "stability");
        if (!trained(row)) continue;
        row_name(s, row, false);
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
            range_cell(s, json_object_get(stability, columns[c].key), columns[c].digits, false);
        double collapsed = ag_page_real(stability, "collapsed");
        ag_str_add(out_of(s), "<td class=\"num\">");
        if (isfinite(collapsed))
            ag_str_addf(out_of(s), "%.0f of %.0f", collapsed, ag_page_real(stability, "validated"));
        else
            ag_page_number(&s->page, NAN, 0);
        ag_str_add(out_of(s), "</td></tr>\n");
    }
    ag_page_table_close(&s->page);
    ag_str_add(out_of(s), "</section>\n");
}

static void costs_section(sheet *s)
{
    size_t i;
    json_t *row;
    if (!any_trained(s)) return;
    ag_str_add(out_of(s),
               "<section id=\"costs\"><h2>Tokens and seconds</h2><p class=\"note\">Of one run: means over "
               "seeds. Spent is sampled and trained together. Seconds are those of the machine that "
               "trained.</p>\n");
    ag_page_table_open(
        &s->page, "Tokens and seconds",
        "<th scope=\"col\">method</th><th scope=\"col\" class=\"num\">sampled</th><th scope=\"col\" "
        "class=\"num\">trained</th><th scope=\"col\" class=\"num\">spent</th><th scope=\"col\" "
        "class=\"num\">seconds</th>");
    json_array_foreach(s->rows, i, row)
    {
        const json_t *tokens = json_object_get(row, "tokens");
        if (!trained(row)) continue;
        row_name(s, row, false);
        range_cell(s, json_object_get(tokens, "sampled"), 0, false);
        range_cell(s, json_object_get(tokens, "trained"), 0, false);
        range_cell(s, json_object_get(tokens, "spent"), 0, false);
        range_cell(s, json_object_get(s->seconds, ag_page_string(row, "name")), 1, false);
        ag_str_add(out_of(s), "</tr>\n");
    }
    ag_page_table_close(&s->page);
    ag_str_add(out_of(s), "</section>\n");
}

static void plan_section(sheet *s)
{
    if (!s->plan) return;
    ag_str_add(
        out_of(s),
        "<section id=\"plan\"><h2>Plan</h2><details><summary>What was compared, as resolved</summary><pre>");
    ag_page_text(&s->page, s->plan);
    ag_str_add(out_of(s), "</pre></details></section>\n");
}

/* --- the page ---------------------------------------------------------------------------------------------------------- */

static void facts(sheet *s)
{
    const json_t *book = json_object_get(s->contest, "rulebook");
    ag_str_add(out_of(s), "<p class=\"meta\"><span>rulebook <b>");
    ag_page_text(&s->page, ag_page_string(book, "name"));
    ag_str_addc(out_of(s), ' ');
    ag_page_text(&s->page, ag_page_string(book, "version"));
    ag_str_addf(out_of(s), "</b></span><span><b>%.0f</b> test pairs</span><span><b>%zu</b> methods</span>",
                ag_page_real(s->contest, "records"), json_array_size(s->rows));
    if (*ag_page_string(s->contest, "slice")) {
        ag_str_add(out_of(s), "<span>slice <b>");
        ag_page_text(&s->page, ag_page_string(s->contest, "slice"));
        ag_str_add(out_of(s), "</b></span>");
    }
    ag_str_add(out_of(s), "</p>\n");
}

ag_status ag_contest_report(const char *path, const char *title, const json_t *contest, const json_t *seconds,
                            const char *plan, ag_error *err)
{
    static const ag_page_section sections[] = {
        {"methods", "Methods"}, {"tests", "Differences"},   {"curves", "Curves"},
        {"slices", "Slices"},   {"stability", "Stability"}, {"costs", "Tokens and seconds"},
        {"plan", "Plan"}};
    ag_report_input input = {.title = title};
    sheet s = {.page = {.input = &input},
               .contest = contest,
               .rows = json_object_get(contest, "rows"),
               .tests = json_object_get(contest, "tests"),
               .seconds = seconds,
               .plan = plan,
               .higher = json_is_true(ag_json_path(contest, "metric", "higher_is_better", NULL))};
    methods_section(&s);
    tests_section(&s);
    curves_section(&s);
    slices_section(&s);
    stability_section(&s);
    costs_section(&s);
    plan_section(&s);
    ag_str body = s.page.out; /* the head names the sections, so it is written when they are known */
    s.page.out = (ag_str){0};
    ag_status status = ag_str_ok(&body, err);
    if (status == AG_OK) {
        ag_page_open(&s.page);
        facts(&s);
        ag_page_nav(&s.page, ag_str_text(&body), sections, sizeof sections / sizeof *sections);
        status = ag_page_finish(&s.page, &body, path, err);
    }
    ag_str_free(&body);
    ag_page_release(&s.page);
    return status;
}
