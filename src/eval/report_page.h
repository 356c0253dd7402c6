/* report_page.h: what the parts of the report share: the page under construction, escaping, and the sets of
 * rows that numbers link to.
 *
 * Every number links to a named set of rows. A set is written out once, as a list of links to rows, in the
 * index at the foot of the page; so each number leads to its rows without a script, and the script turns the
 * same list into a filter.
 */
#ifndef AG_EVAL_REPORT_PAGE_H
#define AG_EVAL_REPORT_PAGE_H

#include "eval/report.h"
#include "eval/tally.h"

enum {
    AG_PAGE_ROWS = 2000,      /* rows embedded at most */
    AG_PAGE_QUERY_ROWS = 100, /* of one query */
    AG_PAGE_OPEN = 20         /* worst queries listed before the fold */
};

/* A named set of embedded rows. */
typedef struct ag_row_set {
    char key[40];             /* unique; the id in the page is "s-" and this */
    ag_str label;             /* what the rows have in common, as plain text */
    size_t *rows, count, cap; /* numbers of embedded rows, from 1 */
    size_t total;             /* rows in all, embedded or not */
} ag_row_set;

/* A query as the page shows it: a run of groups.order. */
typedef struct ag_page_query {
    size_t from, n, shown; /* shown: rows embedded, 0 none */
    size_t judged, wrong;
    double ndcg, random; /* NAN without a relevant item */
    double badness;
} ag_page_query;

typedef struct ag_page {
    ag_str out;
    const ag_report_input *input;
    const ag_records *records; /* NULL: a report without rows */
    const json_t *metrics;     /* NULL: a report without metrics */
    ag_groups groups;
    ag_page_query *queries; /* worst first */
    size_t query_count, embedded;
    size_t *number; /* of each record: its row's number on the page, 0 when it has none */
    ag_row_set *sets;
    size_t set_count, set_cap;
} ag_page;

/* Text and attribute values: markup characters escaped, control characters and wrong UTF-8 as U+FFFD.
 * NULL: nothing. */
void ag_page_text(ag_page *page, const char *text);
void ag_page_textn(ag_page *page, const char *text, size_t n);
/* A number with `digits` decimals, or a dash. */
void ag_page_number(ag_page *page, double x, int digits);
/* A count; links to its set when the set has rows on the page. key NULL: plain. */
void ag_page_count(ag_page *page, double n, const char *key);
/* Opens a link to a set and returns true when the set has rows on the page; the caller closes it with
 * </a>. */
bool ag_page_link(ag_page *page, const char *key);
/* The chip that shows a tier (index; -1: none). */
void ag_page_tier(ag_page *page, int tier);

/* The page's head up to its title; links to those sections that `body` has; body, foot and script, and the file, atomically. */
typedef struct ag_page_section {
    const char *id, *title;
} ag_page_section;
void ag_page_open(ag_page *page);
void ag_page_nav(ag_page *page, const char *body, const ag_page_section *sections, size_t count);
ag_status ag_page_finish(ag_page *page, const ag_str *body, const char *path, ag_error *err);

/* A table in a region that scrolls sideways on a narrow screen and can be reached by keyboard; head: the cells of its head. */
void ag_page_table_open(ag_page *page, const char *label, const char *head);
void ag_page_table_close(ag_page *page);

/* Reading the metrics. NAN and "" where absent. */
double ag_page_real(const json_t *object, const char *key);
const char *ag_page_string(const json_t *object, const char *key);

/* Chooses rows and fills sets. */
ag_status ag_page_rows_prepare(ag_page *page, ag_error *err);
ag_status ag_page_sets_prepare(ag_page *page, ag_error *err);
void ag_page_release(ag_page *page);

/* Sections, in the order of the page. Each writes nothing when there is nothing to show. */
void ag_page_tiles(ag_page *page);
void ag_page_overall(ag_page *page);
void ag_page_against(ag_page *page);
void ag_page_tiers(ag_page *page);
void ag_page_criteria(ag_page *page);
void ag_page_calibration(ag_page *page);
void ag_page_raters(ag_page *page);
void ag_page_slices(ag_page *page);
ag_status ag_page_curves(ag_page *page, ag_error *err);
void ag_page_queries(ag_page *page);
void ag_page_examples(ag_page *page);
void ag_page_settings(ag_page *page);
void ag_page_index(ag_page *page);

extern const char ag_report_style[], ag_report_script[];

#endif
