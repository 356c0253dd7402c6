/* report_curves.c: learning curves: whatever numbers the training log holds, as inline SVG.
 *
 * A log may have a hundred thousand lines: points are put into buckets, drawn as the line of their means in a
 * band from the least to the largest. The script adds values under the pointer; without it the legend names
 * first, last, least and largest.
 */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "eval/report_chart.h"

enum { MAX_SERIES = 96, BUCKETS = 200, DEPTH = 4 };

typedef struct curve {
    char *key, *stage; /* "valid.nll"; "" without a stage */
    double *x, *y;
    size_t count, x_cap, y_cap;
    int chart;
} curve;

typedef struct curve_list {
    curve curves[MAX_SERIES];
    size_t count, left_out;
    bool failed; /* out of memory */
} curve_list;

/* Which chart a key belongs to: the first row that matches. A key that matches none has a chart of its
 * own. */
static const struct {
    const char *match;
    enum { WHOLE, PREFIX } how;
    const char *title;
} charts[] = {
    {"loss", WHOLE, "Loss"},
    {"valid.loss", WHOLE, "Loss"},
    {"valid.nll", WHOLE, "Loss"},
    {"nll", WHOLE, "Loss"},
    {"valid.", PREFIX, "Validation"},
    {"reward", PREFIX, "Reward"},
    {"lr", WHOLE, "Learning rate"},
    {"learning_rate", WHOLE, "Learning rate"},
    {"grad_norm", WHOLE, "Gradient norm"},
    {"kl", PREFIX, "Divergence"},
    {"entropy", PREFIX, "Entropy"},
};

static const char *chart_title(const char *key)
{
    for (size_t i = 0; i < sizeof charts / sizeof charts[0]; i++) {
        size_t n = strlen(charts[i].match);
        if (charts[i].how == WHOLE ? strcmp(charts[i].match, key) == 0
                                   : strncmp(charts[i].match, key, n) == 0)
            return charts[i].title;
    }
    return key;
}

/* --- reading -------------------------------------------------------------------------------------------- */

static curve *curve_of(curve_list *list, const char *stage, const char *key)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->curves[i].key, key) == 0 && strcmp(list->curves[i].stage, stage) == 0)
            return &list->curves[i];
    if (list->count == MAX_SERIES) {
        list->left_out++;
        return NULL;
    }
    curve *c = &list->curves[list->count];
    c->key = ag_strdup(key);
    c->stage = ag_strdup(stage);
    if (c->key && c->stage) {
        list->count++;
        return c;
    }
    ag_free(c->key);
    ag_free(c->stage);
    *c = (curve){0};
    list->failed = true;
    return NULL;
}

static void add_point(curve_list *list, const char *stage, const char *key, double x, double y)
{
    curve *c = curve_of(list, stage, key);
    if (!c) return;
    if (!ag_grow(&c->x, &c->x_cap, c->count + 1, sizeof *c->x) ||
        !ag_grow(&c->y, &c->y_cap, c->count + 1, sizeof *c->y)) {
        list->failed = true;
        return;
    }
    c->x[c->count] = x;
    c->y[c->count++] = y;
}

static bool is_axis(const char *key)
{
    return strcmp(key, "step") == 0 || strcmp(key, "stage") == 0 || strcmp(key, "method") == 0 ||
           strcmp(key, "seed") == 0;
}

static void add_numbers(curve_list *list, const char *stage, const char *prefix, const json_t *object,
                        double x, int depth)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        char name[96];
        if (!*prefix && is_axis(key)) continue;
        if (snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", key) >= (int)sizeof name)
            continue;
        if (json_is_number(value))
            add_point(list, stage, name, x, json_number_value(value));
        else if (json_is_object(value) && depth < DEPTH)
            add_numbers(list, stage, name, value, x, depth + 1);
    }
}

/* A damaged last line is a run that is still writing; any other is an error. */
static ag_status read_log(curve_list *list, const char *path, ag_error *err)
{
    ag_lines *lines = NULL;
    json_t *json;
    char *line;
    size_t len;
    ag_status status = ag_lines_open(&lines, path, err);
    if (status) return status;
    for (;;) {
        status = ag_lines_next(lines, &line, &len, err);
        if (status || !line) break;
        if (len == 0) continue;
        status = ag_json_parse(&json, line, len, path, ag_lines_number(lines), err);
        if (status == AG_ERR_INPUT) {
            ag_status end = ag_lines_next(lines, &line, &len, NULL);
            if (!end && !line) status = AG_OK;
            break;
        }
        if (status) break;
        const char *stage = json_string_value(json_object_get(json, "stage"));
        const json_t *step = json_object_get(json, "step");
        double x = json_is_number(step) ? json_number_value(step) : (double)ag_lines_number(lines);
        add_numbers(list, stage ? stage : "", "", json, x, 0);
        json_decref(json);
        if (list->failed) {
            status = ag_fail_memory(err, "learning curves");
            break;
        }
    }
    ag_lines_close(lines);
    return status;
}

/* --- drawing -------------------------------------------------------------------------------------------- */

/* Points in order of the log, in at most BUCKETS runs of equal length. */
static size_t fill_buckets(ag_chart_point *buckets, const curve *c)
{
    size_t each = (c->count + BUCKETS - 1) / BUCKETS, n = 0, in = 0;
    for (size_t i = 0; i < c->count; i++) {
        ag_chart_point *b = &buckets[i / each];
        if (i % each == 0) {
            *b = (ag_chart_point){0, 0, c->y[i], c->y[i]};
            n = i / each + 1;
            in = 0;
        }
        in++;
        b->x += (c->x[i] - b->x) / (double)in;
        b->y += (c->y[i] - b->y) / (double)in;
        b->low = fmin(b->low, c->y[i]);
        b->high = fmax(b->high, c->y[i]);
    }
    return n;
}

static void draw_chart(ag_page *page, const curve_list *list, int chart)
{
    ag_chart_line *lines = ag_calloc(list->count, sizeof *lines);
    ag_chart_point *points = ag_calloc(list->count * BUCKETS, sizeof *points);
    ag_chart c = {.lines = lines, .x_name = "step"};
    if (!lines || !points) page->out.failed = true;
    for (size_t s = 0; s < list->count && lines && points; s++) {
        const curve *from = &list->curves[s];
        if (from->chart != chart) continue;
        ag_chart_point *to = points + s * BUCKETS;
        size_t n = fill_buckets(to, from);
        if (c.count == 0) c.title = chart_title(from->key), c.subtitle = from->stage;
        lines[c.count++] = (ag_chart_line){from->key,       to,         n,
                                           from->count > n, from->y[0], from->y[from->count - 1]};
    }
    if (c.count) ag_chart_draw(page, &c);
    ag_free(lines);
    ag_free(points);
}

/* Curves of one stage and one title share a chart. Values far past 1 would flatten the shares of
 * "Validation". */
static int sort_into_charts(curve_list *list)
{
    int count = 0;
    for (size_t s = 0; s < list->count; s++) {
        curve *c = &list->curves[s];
        const char *title = chart_title(c->key);
        double most = 0;
        for (size_t i = 0; i < c->count; i++) most = fmax(most, fabs(c->y[i]));
        bool alone = strcmp(title, "Validation") == 0 && most > 1.5;
        c->chart = -1;
        for (size_t o = 0; o < s && c->chart < 0 && !alone; o++)
            if (strcmp(chart_title(list->curves[o].key), title) == 0 &&
                strcmp(list->curves[o].stage, c->stage) == 0)
                c->chart = list->curves[o].chart;
        if (c->chart < 0) c->chart = count++;
    }
    return count;
}

/* Charts that have a row in the table come first, in its order; then the others as the log has them. */
static int chart_rank(const curve_list *list, int chart)
{
    int most = (int)(sizeof charts / sizeof charts[0]);
    for (size_t s = 0; s < list->count; s++) {
        if (list->curves[s].chart != chart) continue;
        for (int i = 0; i < most; i++)
            if (strcmp(charts[i].title, chart_title(list->curves[s].key)) == 0) return i;
    }
    return most;
}

static void draw_charts(ag_page *page, const curve_list *list, int count)
{
    int known = (int)(sizeof charts / sizeof charts[0]), others = 0;
    ag_str_add(&page->out, "<section id=\"curves\"><h2>Learning curves</h2><div class=\"charts\">\n");
    for (int rank = 0; rank < known; rank++)
        for (int chart = 0; chart < count; chart++)
            if (chart_rank(list, chart) == rank) draw_chart(page, list, chart);
    for (int chart = 0; chart < count; chart++) others += chart_rank(list, chart) == known;
    ag_str_add(&page->out, "</div>\n");
    if (others) {
        ag_str_addf(&page->out,
                    "<details class=\"more\"><summary>%d more from the log</summary><div class=\"charts\">\n",
                    others);
        for (int chart = 0; chart < count; chart++)
            if (chart_rank(list, chart) == known) draw_chart(page, list, chart);
        ag_str_add(&page->out, "</div></details>\n");
    }
    if (list->left_out)
        ag_str_addf(&page->out, "<p class=\"note\">Only the first %d numbers of the log are drawn.</p>\n",
                    MAX_SERIES);
    ag_str_add(&page->out, "</section>\n");
}

ag_status ag_page_curves(ag_page *page, ag_error *err)
{
    if (!page->input->metrics_jsonl) return AG_OK;
    curve_list *list = ag_calloc(1, sizeof *list);
    if (!list) return ag_fail_memory(err, "learning curves");
    ag_status status = read_log(list, page->input->metrics_jsonl, err);
    if (!status && list->count) draw_charts(page, list, sort_into_charts(list));
    for (size_t s = 0; s < list->count; s++) {
        ag_free(list->curves[s].key), ag_free(list->curves[s].stage);
        ag_free(list->curves[s].x), ag_free(list->curves[s].y);
    }
    ag_free(list);
    return status;
}
