/* report_chart.c: axes, bands, lines and legend of a chart. */
#include "eval/report_chart.h"

#include <math.h>

enum { COLOURS = 8 };
enum { WIDTH = 560, HEIGHT = 250, LEFT = 54, RIGHT = 12, TOP = 10, BOTTOM = 30 };

typedef struct frame {
    double x0, x1, y0, y1;
} frame;

static double at_x(const frame *f, double x)
{
    return LEFT + (x - f->x0) / (f->x1 - f->x0) * (WIDTH - LEFT - RIGHT);
}

static double at_y(const frame *f, double y)
{
    return TOP + (f->y1 - y) / (f->y1 - f->y0) * (HEIGHT - TOP - BOTTOM);
}

/* A round step of an axis: 1, 2 or 5 times a power of ten, `ticks` of them or a few more. */
static double round_step(double range, int ticks)
{
    double step = pow(10, floor(log10(range / ticks))), times = range / ticks / step;
    return step * (times > 5 ? 10 : times > 2 ? 5 : times > 1 ? 2 : 1);
}

/* 1200000 as 1.2M, for axes that count tokens; small numbers as they are. */
static void add_short(ag_str *out, double x)
{
    static const struct {
        double by;
        const char *unit;
    } units[] = {{1e9, "G"}, {1e6, "M"}, {1e4, "k"}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (fabs(x) < units[i].by) continue;
        ag_str_addf(out, "%.4g%s", x / (*units[i].unit == 'k' ? 1e3 : units[i].by), units[i].unit);
        return;
    }
    ag_str_addf(out, "%.9g", x);
}

/* The ticks are counted, for a step may vanish beside large values. */
static void axes(ag_page *page, const frame *f, const char *x_name)
{
    ag_str *out = &page->out;
    double step = round_step(f->y1 - f->y0, 4), from = ceil(f->y0 / step) * step;
    for (int i = 0; i < 12 && from + i * step <= f->y1 + step * 1e-9; i++) {
        double y = from + i * step, shown = fabs(y) < step * 1e-9 ? 0 : y;
        ag_str_addf(out,
                    "<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>"
                    "<text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>\n",
                    LEFT, at_y(f, y), WIDTH - RIGHT, at_y(f, y), LEFT - 6, at_y(f, y) + 4, shown);
    }
    step = fmax(1, round_step(f->x1 - f->x0, 5)), from = ceil(f->x0 / step) * step;
    for (int i = 0; i < 12 && from + i * step <= f->x1 + step * 1e-9; i++) {
        ag_str_addf(out, "<text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">",
                    at_x(f, from + i * step), HEIGHT - BOTTOM + 18);
        add_short(out, from + i * step);
        ag_str_add(out, "</text>\n");
    }
    ag_str_addf(out, "<text class=\"tick\" x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", LEFT - 6,
                HEIGHT - BOTTOM + 18, x_name);
}

/* Colours that come a second time are dashed. */
static const char *again(int colour)
{
    return colour / COLOURS % 2 ? " again" : "";
}

static void draw_line(ag_page *page, const ag_chart_line *line, const frame *f, int colour)
{
    ag_str *out = &page->out;
    const ag_chart_point *p = line->points;
    size_t n = line->count;
    ag_str_addf(out, "<g class=\"c%d%s\" data-name=\"", colour % COLOURS, again(colour));
    ag_page_text(page, line->name);
    ag_str_add(out, "\" data-x=\"");
    for (size_t i = 0; i < n; i++) ag_str_addf(out, "%s%.10g", i ? " " : "", p[i].x);
    ag_str_add(out, "\" data-y=\"");
    for (size_t i = 0; i < n; i++) ag_str_addf(out, "%s%.5g", i ? " " : "", p[i].y);
    ag_str_add(out, "\">");
    if (line->band && n > 1) {
        ag_str_add(out, "<polygon class=\"band\" points=\"");
        for (size_t i = 0; i < n; i++) ag_str_addf(out, "%.1f,%.1f ", at_x(f, p[i].x), at_y(f, p[i].high));
        for (size_t i = n; i-- > 0;) ag_str_addf(out, "%.1f,%.1f ", at_x(f, p[i].x), at_y(f, p[i].low));
        ag_str_add(out, "\"/>");
    }
    ag_str_add(out, "<polyline class=\"line\" points=\"");
    for (size_t i = 0; i < n; i++) ag_str_addf(out, "%.1f,%.1f ", at_x(f, p[i].x), at_y(f, p[i].y));
    ag_str_add(out, "\"/>");
    for (size_t i = 0; n <= 40 && i < n; i++)
        ag_str_addf(out, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.2\"/>", at_x(f, p[i].x),
                    at_y(f, p[i].y));
    ag_str_add(out, "</g>\n");
}

static void legend(ag_page *page, const ag_chart_line *line, int colour)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < line->count; i++)
        low = fmin(low, line->points[i].low), high = fmax(high, line->points[i].high);
    ag_str_addf(&page->out, "<li class=\"c%d%s\"><i></i><b>", colour % COLOURS, again(colour));
    ag_page_text(page, line->name);
    ag_str_addf(&page->out,
                "</b> last %.4g <span class=\"muted\">first %.4g, least %.4g, largest %.4g</span></li>",
                line->last, line->first, low, high);
}

static frame frame_of(const ag_chart *chart)
{
    frame f = {INFINITY, -INFINITY, INFINITY, -INFINITY};
    for (size_t s = 0; s < chart->count; s++) {
        const ag_chart_line *line = &chart->lines[s];
        for (size_t i = 0; i < line->count; i++) {
            const ag_chart_point *p = &line->points[i];
            f.x0 = fmin(f.x0, p->x), f.x1 = fmax(f.x1, p->x);
            f.y0 = fmin(f.y0, p->low), f.y1 = fmax(f.y1, p->high);
        }
    }
    double pad = 0.05 * (f.y1 - f.y0);
    if (!(pad > 0)) pad = fabs(f.y1) > 0 ? 0.05 * fabs(f.y1) : 1;
    bool above_zero = f.y0 >= 0;
    f.y0 -= pad, f.y1 += pad;
    if (above_zero && f.y0 < 0.35 * f.y1) f.y0 = 0; /* near zero anyway: show how near */
    if (!(f.x1 > f.x0)) f.x0 -= 1, f.x1 += 1;
    return f;
}

void ag_chart_draw(ag_page *page, const ag_chart *chart)
{
    ag_str *out = &page->out;
    frame f = frame_of(chart);
    ag_str_add(out, "<figure class=\"chart\"><figcaption><h3>");
    ag_page_text(page, chart->title);
    if (chart->subtitle && *chart->subtitle) {
        ag_str_add(out, " <span class=\"muted\">");
        ag_page_text(page, chart->subtitle);
        ag_str_add(out, "</span>");
    }
    ag_str_addf(out, "</h3></figcaption><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH,
                HEIGHT);
    ag_page_text(page, chart->title);
    ag_str_addf(out,
                " by %s\" data-axis=\"%s\" data-x0=\"%.17g\" data-x1=\"%.17g\" data-y0=\"%.17g\" "
                "data-y1=\"%.17g\">\n",
                chart->x_name, chart->x_name, f.x0, f.x1, f.y0, f.y1);
    axes(page, &f, chart->x_name);
    for (size_t s = 0; s < chart->count; s++)
        if (chart->lines[s].count) draw_line(page, &chart->lines[s], &f, (int)s);
    ag_str_add(out, "</svg><ul class=\"legend\">");
    for (size_t s = 0; s < chart->count; s++)
        if (chart->lines[s].count) legend(page, &chart->lines[s], (int)s);
    ag_str_add(out, "</ul></figure>\n");
}
