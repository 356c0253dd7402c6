/* report_tables.c: the tables of numbers, read from the metrics' JSON. */
#include <math.h>
#include <string.h>

#include "eval/report_page.h"

/* Which rows to look at behind a metric of the set. */
static const struct {
    const char *metric, *set;
} metric_sets[] = {
    {"accuracy", "wrong"},
    {"macro_f1", "wrong"},
    {"kappa", "far"},
    {"acc2", "side"},
    {"mae", "far"},
    {"ndcg", "order"},
    {"format", "format"},
    {"self_consistency", "gate"},
    {"adherence", "adherence"},
    {"compliant", "compliant"},
    {"wrong_process", "lucky"},
    {"process", "process"},
    {"answer_accuracy", "answer"},
    {"headline_agreement", "differs"},
    {"verdicts", "verdicts"},
    {"rule", "rule"},
    {"nll", "sure"},
    {"brier", "sure"},
    {"ece", "sure"},
    {"doubtful_error", "doubt"},
};

static const char *set_of(const char *metric)
{
    for (size_t i = 0; i < sizeof metric_sets / sizeof metric_sets[0]; i++)
        if (strcmp(metric_sets[i].metric, metric) == 0) return metric_sets[i].set;
    return NULL;
}

static void value_link(ag_page *page, double value, const char *key)
{
    bool link = ag_page_link(page, key);
    ag_page_number(page, value, 3);
    if (link) ag_str_add(&page->out, "</a>");
}

static void interval_text(ag_page *page, const json_t *estimate)
{
    double low = ag_page_real(estimate, "low"), high = ag_page_real(estimate, "high");
    if (!isfinite(low))
        ag_str_add(&page->out, "<span class=\"none\">no interval</span>");
    else
        ag_str_addf(&page->out, "%.3f\u2009\u2013\u2009%.3f", low, high);
}

/* The value and its interval on a line from the worst to the best that the metric can be. */
static void interval_bar(ag_page *page, const ag_metric *metric, const json_t *estimate)
{
    double value = ag_page_real(estimate, "value"), low = ag_page_real(estimate, "low");
    double high = ag_page_real(estimate, "high"), from = fmin(metric->worst, metric->best);
    double to = fmax(metric->worst, metric->best);
    if (!isfinite(to)) to = fmax(1, 1.25 * (isfinite(high) ? high : value));
    double scale = 100 / (to - from);
    if (!isfinite(value)) return;
    if (!isfinite(low)) low = high = value;
    ag_str_addf(&page->out,
                "<span class=\"ci\" aria-hidden=\"true\" "
                "style=\"--l:%.2f%%;--w:%.2f%%;--v:%.2f%%\"><i></i><b></b></span>",
                (low - from) * scale, (high - low) * scale, (value - from) * scale);
}

void ag_page_tiles(ag_page *page)
{
    ag_str *out = &page->out;
    const json_t *overall = json_object_get(page->metrics, "overall");
    int shown = 0;
    for (const ag_metric *metric = ag_metrics; metric->name && overall; metric++) {
        const json_t *estimate = json_object_get(overall, metric->name);
        if (!metric->headline || !estimate || strcmp(metric->name, "ece") == 0 || shown == 8) continue;
        ag_str_add(out, shown++ ? "" : "<section class=\"tiles\" aria-label=\"Key figures\">");
        ag_str_addf(out, "<div class=\"tile\"><h3>%s</h3><p class=\"big\">", metric->title);
        value_link(page, ag_page_real(estimate, "value"), set_of(metric->name));
        ag_str_add(out, "</p>");
        interval_bar(page, metric, estimate);
        ag_str_add(out, "<p class=\"muted\">");
        interval_text(page, estimate);
        ag_str_add(out, "</p></div>\n");
    }
    if (shown) ag_str_add(out, "</section>\n");
}

void ag_page_table_open(ag_page *page, const char *label, const char *head)
{
    ag_str_addf(
        &page->out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"%s\"><table><thead><tr>%s</tr>"
        "</thead><tbody>\n",
        label, head);
}

void ag_page_table_close(ag_page *page)
{
    ag_str_add(&page->out, "</tbody></table></div>\n");
}

static void overall_note(ag_page *page)
{
    const json_t *queries = json_object_get(page->metrics, "queries");
    double draws = ag_page_real(page->metrics, "draws"), ranked = ag_page_real(queries, "ranked");
    ag_str *out = &page->out;
    ag_str_add(out, "<p class=\"note\">");
    if (draws > 0)
        ag_str_addf(
            out,
            "Intervals are 95\u2009%% percentile intervals of %.0f bootstrap draws of query groups. "
            "\u201cDetectable\u201d is the smallest difference from another system that a paired test would "
            "find with power 0.8 at 0.05. ",
            draws);
    if (ranked > 0)
        ag_str_addf(out,
                    "NDCG@10 is a mean over %.0f queries, of which %.0f have gains that differ; %.0f without "
                    "a relevant "
                    "item are left out; a random order would reach %.3f. ",
                    ranked, ag_page_real(queries, "informative"), ag_page_real(queries, "without_relevant"),
                    ag_page_real(queries, "ndcg_random"));
    ag_str_add(
        out,
        "An underlined number leads to the rows behind it; for a share, to the rows that miss it.</p>\n");
}

static void number_cell(ag_page *page, const json_t *row, const char *name)
{
    ag_str_add(&page->out, "<td class=\"num\">");
    ag_page_number(page, ag_page_real(row, name), 3);
    ag_str_add(&page->out, "</td>");
}

void ag_page_overall(ag_page *page)
{
    ag_str *out = &page->out;
    const json_t *overall = json_object_get(page->metrics, "overall");
    if (json_object_size(overall) == 0) return;
    ag_str_add(out, "<section id=\"metrics\"><h2>Metrics</h2>\n");
    ag_page_table_open(page, "Metrics",
                       "<th scope=\"col\">metric</th><th scope=\"col\" class=\"num\">value</th><th "
                       "scope=\"col\">95\u2009% interval</th>"
                       "<th scope=\"col\" class=\"num\">detectable</th><th scope=\"col\" class=\"num\">n</th>"
                       "<th scope=\"col\" class=\"num\">groups</th>");
    for (const ag_metric *metric = ag_metrics; metric->name; metric++) {
        const json_t *estimate = json_object_get(overall, metric->name);
        if (!estimate) continue;
        ag_str_addf(
            out, "<tr><th scope=\"row\">%s%s<small>%s</small></th><td class=\"num value\">", metric->title,
            metric->higher_is_better ? "" : " <span class=\"muted\" title=\"lower is better\">\u2193</span>",
            metric->help);
        value_link(page, ag_page_real(estimate, "value"), set_of(metric->name));
        ag_str_add(out, "</td><td class=\"interval\">");
        interval_bar(page, metric, estimate);
        interval_text(page, estimate);
        ag_str_add(out, "</td>");
        number_cell(page, estimate, "detectable");
        ag_str_addf(out, "<td class=\"num\">%.0f</td><td class=\"num\">%.0f</td></tr>\n",
                    ag_page_real(estimate, "records"), ag_page_real(estimate, "groups"));
    }
    ag_page_table_close(page);
    overall_note(page);
    ag_str_add(out, "</section>\n");
}

void ag_page_against(ag_page *page)
{
    ag_str *out = &page->out;
    const json_t *against = json_object_get(page->metrics, "against"),
                 *rows = json_object_get(against, "metrics");
    if (!against) return;
    ag_str_add(out, "<section id=\"against\"><h2>Against ");
    ag_page_text(page, ag_page_string(against, "judged"));
    ag_str_add(out, "</h2>\n");
    json_int_t runs = json_integer_value(json_object_get(against, "runs")),
               other_runs = json_integer_value(json_object_get(against, "other_runs"));
    if (runs > 1 || other_runs > 1)
        ag_str_addf(out, "<p>Means over %lld runs of this judge and %lld of the other.</p>\n",
                    (long long)runs, (long long)other_runs);
    ag_page_table_open(
        page, "Against another judge",
        "<th scope=\"col\">metric</th><th scope=\"col\" class=\"num\">value</th><th scope=\"col\" "
        "class=\"num\">other</th><th scope=\"col\" class=\"num\">difference</th><th scope=\"col\">"
        "95\u2009% interval</th><th scope=\"col\" class=\"num\">p</th><th scope=\"col\" "
        "class=\"num\">detectable</th>");
    for (const ag_metric *metric = ag_metrics; metric->name; metric++) {
        const json_t *row = json_object_get(rows, metric->name);
        if (!row) continue;
        ag_str_addf(out, "<tr><th scope=\"row\">%s</th>", metric->title);
        number_cell(page, row, "value");
        number_cell(page, row, "other");
        number_cell(page, row, "difference");
        ag_str_add(out, "<td class=\"interval\">");
        interval_text(page, row);
        ag_str_add(out, "</td>");
        number_cell(page, row, "p");
        number_cell(page, row, "detectable");
        ag_str_add(out, "</tr>\n");
    }
    ag_page_table_close(page);
    ag_str_add(
        out,
        "<p class=\"note\">Differences are paired by bootstrap draws of query groups, p is corrected by Holm "
        "over the rows.</p></section>\n");
}

/* --- tiers ---------------------------------------------------------------------------------------------- */

static void tier_head(ag_page *page, const json_t *tier, size_t k, size_t count)
{
    ag_str_addf(&page->out, "<span class=\"tier\" style=\"--t:%.3f\">",
                (double)k / (count > 1 ? (double)(count - 1) : 1));
    ag_page_text(page, ag_page_string(tier, "id"));
    ag_str_add(&page->out, "</span>");
}

static void tier_cell(ag_page *page, const json_t *tier, const char *metric, const char *set, size_t k)
{
    char key[40];
    snprintf(key, sizeof key, "%s-%u", set, (unsigned)k);
    ag_str_add(&page->out, "<td class=\"num\">");
    value_link(page, ag_page_real(json_object_get(tier, metric), "value"), key);
    ag_str_add(&page->out, "</td>");
}

static void tier_count(ag_page *page, const json_t *tier, const char *count, const char *set, size_t k)
{
    char key[40];
    snprintf(key, sizeof key, "%s-%u", set, (unsigned)k);
    ag_str_add(&page->out, "<td class=\"num\">");
    ag_page_count(page, ag_page_real(tier, count), key);
    ag_str_add(&page->out, "</td>");
}

static void tier_table(ag_page *page, const json_t *tiers)
{
    size_t k, count = json_array_size(tiers);
    json_t *tier;
    ag_page_table_open(
        page, "Tiers",
        "<th scope=\"col\">tier</th><th scope=\"col\" class=\"num\">gain</th><th scope=\"col\">good</th>"
        "<th scope=\"col\" class=\"num\">gold</th><th scope=\"col\" class=\"num\">predicted</th>"
        "<th scope=\"col\" class=\"num\">precision</th><th scope=\"col\" class=\"num\">recall</th>"
        "<th scope=\"col\" class=\"num\">F1</th><th scope=\"col\">95\u2009% interval of F1</th>");
    json_array_foreach(tiers, k, tier)
    {
        ag_str_add(&page->out, "<tr><th scope=\"row\">");
        tier_head(page, tier, k, count);
        ag_str_addc(&page->out, ' ');
        ag_page_text(page, ag_page_string(tier, "name"));
        ag_str_addf(&page->out, "</th><td class=\"num\">%g</td><td>%s</td>", ag_page_real(tier, "gain"),
                    json_is_true(json_object_get(tier, "good")) ? "yes" : "no");
        tier_count(page, tier, "gold", "gold", k);
        tier_count(page, tier, "predicted", "pred", k);
        tier_cell(page, tier, "precision", "fp", k);
        tier_cell(page, tier, "recall", "fn", k);
        tier_cell(page, tier, "f1", "off", k);
        ag_str_add(&page->out, "<td class=\"interval\">");
        interval_bar(page, &ag_tier_metrics[2], json_object_get(tier, "f1"));
        interval_text(page, json_object_get(tier, "f1"));
        ag_str_add(&page->out, "</td></tr>\n");
    }
    ag_page_table_close(page);
}

static void confusion_row(ag_page *page, const json_t *tiers, const json_t *row, size_t g)
{
    ag_str *out = &page->out;
    size_t p, count = json_array_size(row);
    json_t *value;
    double total = 0;
    char key[40];
    json_array_foreach(row, p, value) total += json_number_value(value);
    ag_str_add(out, "<tr><th scope=\"row\">");
    tier_head(page, json_array_get(tiers, g), g, count);
    ag_str_addc(out, ' ');
    ag_page_text(page, ag_page_string(json_array_get(tiers, g), "name"));
    ag_str_add(out, "</th>");
    json_array_foreach(row, p, value)
    {
        double n = json_number_value(value), share = total > 0 ? n / total : 0;
        snprintf(key, sizeof key, "cell-%u-%u", (unsigned)g, (unsigned)p);
        ag_str_addf(out, "<td class=\"cell%s%s\" style=\"--p:%.3f\">", p == g ? " hit" : "",
                    share > 0.68 ? " full" : "", share);
        ag_page_count(page, n, key);
        ag_str_addf(out, "<small>%.0f\u2009%%</small></td>", 100 * share);
    }
    ag_str_addf(out, "<td class=\"num total\">%.0f</td></tr>\n", total);
}

static void confusion_table(ag_page *page, const json_t *tiers, const json_t *rows)
{
    ag_str *out = &page->out;
    size_t k, count = json_array_size(tiers);
    json_t *tier, *row;
    ag_str_add(out, "<h3>Confusion matrix</h3><p class=\"note\">Rows are gold, columns predicted; shares are "
                    "of the row.</p>"
                    "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Confusion "
                    "matrix\"><table class=\"confusion\">"
                    "<thead><tr><th scope=\"col\">gold \u2193 predicted \u2192</th>");
    json_array_foreach(tiers, k, tier)
    {
        ag_str_add(out, "<th scope=\"col\" class=\"mid\">");
        tier_head(page, tier, k, count);
        ag_str_add(out, "</th>");
    }
    ag_str_add(out, "<th scope=\"col\" class=\"num\">all</th></tr></thead><tbody>\n");
    json_array_foreach(rows, k, row) confusion_row(page, tiers, row, k);
    ag_str_add(out, "</tbody></table></div>\n");
}

void ag_page_tiers(ag_page *page)
{
    const json_t *tiers = json_object_get(page->metrics, "tiers"),
                 *rows = json_object_get(page->metrics, "confusion");
    if (!(ag_page_real(page->metrics, "judged") > 0)) return;
    ag_str_add(&page->out, "<section id=\"tiers\"><h2>Tiers</h2>\n");
    tier_table(page, tiers);
    confusion_table(page, tiers, rows);
    ag_str_add(&page->out, "</section>\n");
}

void ag_page_criteria(ag_page *page)
{
    size_t c;
    json_t *criterion;
    bool any = false;
    json_array_foreach(json_object_get(page->metrics, "criteria"), c, criterion)
    {
        const json_t *estimate = json_object_get(criterion, "accuracy");
        char key[40];
        if (!isfinite(ag_page_real(estimate, "value"))) continue;
        if (!any) {
            ag_str_add(&page->out, "<section id=\"criteria\"><h2>Criteria</h2>\n");
            ag_page_table_open(
                page, "Criteria",
                "<th scope=\"col\">criterion</th><th scope=\"col\" class=\"num\">gold verdicts</th>"
                "<th scope=\"col\" class=\"num\">met</th><th scope=\"col\">95\u2009% interval</th>");
        }
        any = true;
        ag_str_add(&page->out, "<tr><th scope=\"row\"><code>");
        ag_page_text(page, ag_page_string(criterion, "id"));
        ag_str_add(&page->out, "</code> ");
        ag_page_text(page, ag_page_string(criterion, "name"));
        ag_str_addf(&page->out, "</th><td class=\"num\">%.0f</td><td class=\"num\">",
                    ag_page_real(estimate, "records"));
        snprintf(key, sizeof key, "verdict-%u", (unsigned)c);
        value_link(page, ag_page_real(estimate, "value"), key);
        ag_str_add(&page->out, "</td><td class=\"interval\">");
        interval_bar(page, ag_criterion_metrics, estimate);
        interval_text(page, estimate);
        ag_str_add(&page->out, "</td></tr>\n");
    }
    if (!any) return;
    ag_page_table_close(page);
    ag_str_add(&page->out, "</section>\n");
}

/* --- raters and slices ---------------------------------------------------------------------------------- */

/* A metric's cell: value, interval under it; marked when the interval leaves out `whole` (the value of the
 * whole set). */
static void metric_cell(ag_page *page, const ag_metric *metric, const json_t *estimate, double whole)
{
    ag_str *out = &page->out;
    double low = ag_page_real(estimate, "low"), high = ag_page_real(estimate, "high");
    bool above = low > whole, below = high < whole, better = metric->higher_is_better ? above : below;
    ag_str_add(out, "<td class=\"num\">");
    ag_page_number(page, ag_page_real(estimate, "value"), 3);
    if (above || below)
        ag_str_addf(
            out,
            "<span class=\"mark %s\" title=\"the interval leaves out the value of the whole set\">%s</span>",
            better ? "up" : "down", above ? "\u25b2" : "\u25bc");
    if (isfinite(low)) ag_str_addf(out, "<small>%.2f\u2009\u2013\u2009%.2f</small>", low, high);
    ag_str_add(out, "</td>");
}

static const char *const rater_metrics[] = {"accuracy", "macro_f1", "kappa", "acc2", "mae", "ndcg", NULL};
static const char *const slice_metrics[] = {"accuracy", "macro_f1",         "kappa",     "acc2", "ndcg",
                                            "format",   "self_consistency", "adherence", NULL};

static void metric_heads(ag_page *page, const char *const *names)
{
    for (; *names; names++)
        ag_str_addf(&page->out, "<th scope=\"col\" class=\"num\">%s</th>", ag_metric_find(*names)->title);
    ag_str_add(&page->out, "</tr></thead><tbody>\n");
}

void ag_page_raters(ag_page *page)
{
    ag_str *out = &page->out;
    const json_t *raters = json_object_get(page->metrics, "raters"), *rows = json_object_get(raters, "rows");
    size_t i;
    json_t *row;
    if (json_array_size(rows) == 0) return;
    ag_str_addf(out,
                "<section id=\"raters\"><h2>Raters</h2><p class=\"note\">On the %.0f pairs that have "
                "ratings. What people reach "
                "among themselves is the ceiling for a judge; a label made from the ratings agrees with each "
                "of them more "
                "than a fresh rater would.</p>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
                "aria-label=\"Raters\">"
                "<table><thead><tr><th scope=\"col\">taken as gold</th><th scope=\"col\">judge</th>"
                "<th scope=\"col\" class=\"num\">n</th>",
                ag_page_real(raters, "records"));
    metric_heads(page, rater_metrics);
    json_array_foreach(rows, i, row)
    {
        const json_t *metrics = json_object_get(row, "metrics");
        bool model = strcmp(ag_page_string(row, "judge"), "model") == 0;
        ag_str_addf(out, "<tr%s><th scope=\"row\">", model ? " class=\"model\"" : "");
        ag_page_text(page, ag_page_string(row, "gold"));
        ag_str_add(out, "</th><td>");
        ag_page_text(page, ag_page_string(row, "judge"));
        ag_str_add(out, "</td><td class=\"num\">");
        ag_page_number(page, ag_page_real(json_object_get(metrics, "accuracy"), "records"), 0);
        ag_str_add(out, "</td>");
        for (const char *const *name = rater_metrics; *name; name++)
            metric_cell(page, ag_metric_find(*name), json_object_get(metrics, *name), NAN);
        ag_str_add(out, "</tr>\n");
    }
    ag_page_table_close(page);
    ag_str_add(out, "</section>\n");
}

/* The metrics that any value of the slice has; at most `slice_metrics`. */
static void defined_metrics(const json_t *slice, const char **names)
{
    size_t v;
    json_t *value;
    for (const char *const *name = slice_metrics; *name; name++) {
        bool defined = false;
        json_array_foreach(json_object_get(slice, "values"), v, value)
            defined |= json_object_get(json_object_get(value, "metrics"), *name) != NULL;
        if (defined) *names++ = *name;
    }
    *names = NULL;
}

static void slice_table(ag_page *page, const json_t *slice, size_t s)
{
    ag_str *out = &page->out;
    const char *names[sizeof slice_metrics / sizeof slice_metrics[0]];
    const json_t *overall = json_object_get(page->metrics, "overall");
    size_t v;
    json_t *value;
    char key[40];
    defined_metrics(slice, names);
    ag_str_add(out, "<h3>");
    ag_page_text(page, ag_page_string(slice, "name"));
    ag_str_add(out, "</h3><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Slices by ");
    ag_page_text(page, ag_page_string(slice, "name"));
    ag_str_add(out, "\"><table><thead><tr><th scope=\"col\">value</th><th scope=\"col\" class=\"num\">n</th>"
                    "<th scope=\"col\" class=\"num\">groups</th>");
    metric_heads(page, names);
    json_array_foreach(json_object_get(slice, "values"), v, value)
    {
        const json_t *metrics = json_object_get(value, "metrics");
        ag_str_add(out, "<tr><th scope=\"row\">");
        ag_page_text(page, ag_page_string(value, "value"));
        ag_str_add(out, "</th><td class=\"num\">");
        snprintf(key, sizeof key, "slice-%u-%u", (unsigned)s, (unsigned)v);
        ag_page_count(page, ag_page_real(value, "records"), key);
        ag_str_addf(out, "</td><td class=\"num\">%.0f</td>", ag_page_real(value, "groups"));
        for (const char **name = names; *name; name++)
            metric_cell(page, ag_metric_find(*name), json_object_get(metrics, *name),
                        ag_page_real(json_object_get(overall, *name), "value"));
        ag_str_add(out, "</tr>\n");
    }
    ag_page_table_close(page);
    double left = ag_page_real(slice, "left_out");
    if (left > 0)
        ag_str_addf(out, "<p class=\"note\">%.0f more values with fewer pairs are left out.</p>\n", left);
}

void ag_page_slices(ag_page *page)
{
    size_t s;
    json_t *slice;
    const json_t *slices = json_object_get(page->metrics, "slices");
    if (json_array_size(slices) == 0) return;
    ag_str_add(&page->out, "<section id=\"slices\"><h2>Slices</h2><p class=\"note\">\u25b2 and \u25bc mark "
                           "values whose interval "
                           "leaves out the value of the whole set.</p>\n");
    json_array_foreach(slices, s, slice)
    {
        if (!ag_slice_common(page->metrics, slice)) slice_table(page, slice, s);
    }
    const char *before = "<p class=\"note\">All pairs: ", *after = "";
    json_array_foreach(slices, s, slice)
    {
        const json_t *value = json_array_get(json_object_get(slice, "values"), 0);
        char key[40];
        if (!ag_slice_common(page->metrics, slice)) continue;
        snprintf(key, sizeof key, "slice-%u-0", (unsigned)s);
        ag_str_add(&page->out, before);
        ag_page_text(page, ag_page_string(slice, "name"));
        ag_str_addc(&page->out, ' ');
        ag_page_text(page, ag_page_string(value, "value"));
        ag_str_add(&page->out, " (");
        ag_page_count(page, ag_page_real(value, "records"), key);
        ag_str_addc(&page->out, ')');
        before = ", ";
        after = ".</p>\n";
    }
    ag_str_add(&page->out, after);
    ag_str_add(&page->out, "</section>\n");
}
