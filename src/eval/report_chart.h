/* report_chart.h: a line chart as inline SVG, with a legend that gives its numbers without a script. */
#ifndef AG_EVAL_REPORT_CHART_H
#define AG_EVAL_REPORT_CHART_H

#include "eval/report_page.h"

typedef struct ag_chart_point {
    double x, y, low, high;
} ag_chart_point;

typedef struct ag_chart_line {
    const char *name;
    const ag_chart_point *points; /* in order of x */
    size_t count;
    bool band;          /* from low to high, behind the line */
    double first, last; /* for the legend */
} ag_chart_line;

typedef struct ag_chart {
    const char *title, *subtitle; /* subtitle may be NULL or "" */
    const char *x_name;
    const ag_chart_line *lines;
    size_t count;
} ag_chart;

/* Draws a chart that has at least one point. */
void ag_chart_draw(ag_page *page, const ag_chart *chart);

#endif
