/* contest_table.c: a contest on a terminal: at most 110 columns, whatever the names in it are. */
#include <math.h>
#include <string.h>

#include "eval/cell.h"
#include "eval/contest_parts.h"

enum { COLUMNS = 110, CELL = 8, COST = 7, BLOCK = 31 };

/* A column: where its range lies in a row ("group", "key"), or tokens and seconds. */
typedef struct column {
    const char *group, *key, *head;
    int width, better; /* better: 1 higher, -1 lower, 0 neither */
    enum { SHARE, TOKENS, SECONDS } kind;
} column;
enum { MAX_COLUMNS = 16 };

typedef struct table {
    ag_str *out;
    const json_t *contest, *rows, *seconds;
    column columns[MAX_COLUMNS];
    int count, name_width;
} table;

static const struct {
    const char *metric, *head;
} heads[] = {{"macro_f1", "macroF1"}, {"self_consistency", "self-c."},
             {"adherence", "adher."}, {"compliant", "compl."},
             {"format", "format"},    {"accuracy", "accur."},
             {"copy_rate", "copied"}};

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static const char *head_of(const char *metric)
{
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        if (strcmp(heads[i].metric, metric) == 0) return heads[i].head;
    return metric;
}

/* "slice" is called by what it is. */
static const char *part_name(const table *t, const char *part)
{
    return strcmp(part, "slice") == 0 ? text_of(t->contest, "slice") : part;
}

static void add_column(table *t, column c)
{
    if (t->count < MAX_COLUMNS) t->columns[t->count++] = c;
}

static void choose_columns(table *t)
{
    const char *metric = text_of(json_object_get(t->contest, "metric"), "name");
    bool higher = json_is_true(ag_json_path(t->contest, "metric", "higher_is_better", NULL));
    const json_t *tests = json_object_get(t->contest, "tests");
    size_t i;
    json_t *test;
    json_array_foreach(tests, i, test)
    {
        const char *part = text_of(test, "on");
        add_column(t, (column){"tested", part, part_name(t, part), CELL, higher ? 1 : -1, SHARE});
    }
    for (const char *const *name = ag_contest_metrics; *name; name++)
        if (strcmp(*name, metric) != 0)
            add_column(t, (column){"metrics", *name, head_of(*name), CELL, 1, SHARE});
    add_column(t, (column){"metrics", "copy_rate", head_of("copy_rate"), CELL, 0, SHARE});
    add_column(t, (column){"tokens", "sampled", "sampled", COST + 1, 0, TOKENS});
    add_column(t, (column){"tokens", "spent", "spent", COST, 0, TOKENS});
    if (t->seconds) add_column(t, (column){NULL, NULL, "seconds", COST + 1, 0, SECONDS});
}

/* The widest name, or what the columns leave of the line. */
static void measure_names(table *t)
{
    size_t i;
    json_t *row;
    int left = COLUMNS;
    for (int c = 0; c < t->count; c++) left -= t->columns[c].width;
    for (; left < 8 && t->count > 0; t->count--) left += t->columns[t->count - 1].width;
    t->name_width = 4;
    json_array_foreach(t->rows, i, row)
    {
        int wide = ag_cell_columns(text_of(row, "name"));
        if (wide > t->name_width) t->name_width = wide;
    }
    if (t->name_width > left) t->name_width = left;
}

/* 950, 12.3k, 1.20M */
static void tokens_text(char text[32], double n)
{
    static const struct {
        double from, by;
        const char *unit;
    } units[] = {{1e9, 1e9, "G"}, {1e6, 1e6, "M"}, {1e3, 1e3, "k"}, {0, 1, ""}};
    snprintf(text, 32, "-");
    for (size_t i = 0; i < sizeof units / sizeof *units && isfinite(n); i++) {
        if (n < units[i].from) continue;
        double x = n / units[i].by;
        snprintf(text, 32, "%.*f%s", units[i].by == 1 || x >= 100 ? 0 : x >= 10 ? 1 : 2, x, units[i].unit);
        return;
    }
}

static const json_t *range_at(const table *t, const json_t *row, const column *c)
{
    return c->kind == SECONDS ? json_object_get(t->seconds, text_of(row, "name"))
                              : ag_json_path(row, c->group, c->key, NULL);
}

/* ".79": without the 0, so that two of them fit a column. */
static void bound_text(char text[16], double x)
{
    char whole[16];
    snprintf(whole, sizeof whole, "%.2f", x);
    snprintf(text, 16, "%s%s", *whole == '-' ? "-" : "",
             strncmp(whole + (*whole == '-'), "0.", 2) == 0 ? whole + 1 + (*whole == '-')
             : strcmp(whole, "1.00") == 0                   ? "1.0"
                                                            : whole + (*whole == '-'));
}

static void mean_cell(const table *t, const json_t *row, const column *c)
{
    char text[48];
    double mean = ag_json_real(range_at(t, row, c), "mean");
    if (c->kind == TOKENS)
        tokens_text(text, mean);
    else if (isfinite(mean))
        snprintf(text, sizeof text, c->kind == SHARE ? "%.3f" : mean < 100 ? "%.1f" : "%.0f", mean);
    else
        snprintf(text, sizeof text, "-");
    if (c->kind == SHARE) {
        bool best = c->better && mean == ag_contest_best(t->rows, c->group, c->key, c->better > 0);
        ag_cell_add(t->out, text, -(c->width - 1));
        ag_str_add(t->out, best ? "*" : " ");
    } else {
        ag_cell_add(t->out, text, -c->width);
    }
}

static void range_cell(const table *t, const json_t *row, const column *c)
{
    char text[48] = "", low[16], high[16];
    const json_t *range = range_at(t, row, c);
    double from = ag_json_real(range, "low"), to = ag_json_real(range, "high");
    if (c->kind == SHARE && isfinite(from) && to > from) {
        bound_text(low, from);
        bound_text(high, to);
        if (strcmp(low, high) != 0) snprintf(text, sizeof text, "%s-%s", low, high);
    }
    ag_cell_add(t->out, text, -c->width);
}

/* Ends a line without blanks. */
static void end_line(ag_str *out)
{
    while (!out->failed && out->len && out->data[out->len - 1] == ' ') out->data[--out->len] = 0;
    ag_str_addc(out, '\n');
}

static void print_rows(const table *t)
{
    size_t i;
    json_t *row;
    ag_cell_add(t->out, "", t->name_width);
    for (int c = 0; c < t->count; c++) {
        bool share = t->columns[c].kind == SHARE;
        ag_cell_add(t->out, t->columns[c].head, -(t->columns[c].width - share));
        if (share) ag_str_addc(t->out, ' ');
    }
    end_line(t->out);
    json_array_foreach(t->rows, i, row)
    {
        ag_cell_add(t->out, text_of(row, "name"), t->name_width);
        for (int c = 0; c < t->count; c++) mean_cell(t, row, &t->columns[c]);
        end_line(t->out);
        if (json_array_size(json_object_get(row, "seeds")) < 2) continue;
        ag_cell_add(t->out, "", t->name_width);
        for (int c = 0; c < t->count; c++) range_cell(t, row, &t->columns[c]);
        end_line(t->out);
    }
}

/* " +0.123 [-0.010, +0.256] 0.012*": as wide as BLOCK. */
static void difference_block(const table *t, const json_t *d)
{
    char text[96], shown[16];
    double value = ag_json_real(d, "value"), low = ag_json_real(d, "low"), high = ag_json_real(d, "high"),
           p = ag_json_real(d, "holm");
    if (!isfinite(value)) {
        snprintf(text, sizeof text, "-");
    } else if (!isfinite(low) || !isfinite(p)) {
        snprintf(text, sizeof text, "%+.3f", value);
    } else {
        ag_contest_p(shown, p);
        snprintf(text, sizeof text, "%+.3f [%+.3f, %+.3f] %s%s", value, low, high, shown,
                 p < 0.05 ? "*" : " ");
    }
    ag_str_addc(t->out, ' ');
    ag_cell_add(t->out, text, BLOCK - 1);
}

static void print_differences(const table *t)
{
    const json_t *tests = json_object_get(t->contest, "tests");
    size_t i, r;
    json_t *test, *row;
    int parts = (int)json_array_size(tests), left = COLUMNS - parts * BLOCK;
    int name = t->name_width < left ? t->name_width : left;
    ag_str_addf(t->out, "\nDifference from %s: %s, 95 %% interval, p by Holm over the rows\n",
                text_of(t->contest, "against"), text_of(json_object_get(t->contest, "metric"), "title"));
    ag_cell_add(t->out, "", name);
    json_array_foreach(tests, i, test)
    {
        char head[80];
        snprintf(head, sizeof head, "%.50s (%" JSON_INTEGER_FORMAT ")", part_name(t, text_of(test, "on")),
                 json_integer_value(json_object_get(test, "records")));
        ag_str_addc(t->out, ' ');
        ag_cell_add(t->out, head, BLOCK - 1);
    }
    end_line(t->out);
    json_array_foreach(t->rows, r, row)
    {
        if (strcmp(text_of(row, "name"), text_of(t->contest, "against")) == 0) continue;
        ag_cell_add(t->out, text_of(row, "name"), name);
        json_array_foreach(tests, i, test)
            difference_block(t, ag_contest_row_of(json_object_get(test, "rows"), text_of(row, "name")));
        end_line(t->out);
    }
}

static void print_foot(const table *t)
{
    const json_t *tests = json_object_get(t->contest, "tests"), *whole = NULL;
    size_t i;
    json_t *test;
    const char *before = "Smallest detectable difference: ";
    json_array_foreach(tests, i, test)
    {
        double d = ag_json_real(test, "detectable");
        ag_str_addf(t->out, "%s%s ", before, part_name(t, text_of(test, "on")));
        if (isfinite(d))
            ag_str_addf(t->out, "%.3f", d);
        else
            ag_str_addc(t->out, '-');
        before = ", ";
        whole = test;
    }
    ag_str_addf(t->out,
                " (one test at 0.05 with power 0.8).\n%" JSON_INTEGER_FORMAT " pairs in %" JSON_INTEGER_FORMAT
                " query groups, %" JSON_INTEGER_FORMAT
                " bootstrap draws of groups. Means over seeds, below them the lowest and\nthe highest seed; "
                "* best of a column, and p below 0.05. spent: tokens sampled and tokens trained.\n",
                json_integer_value(json_object_get(t->contest, "records")),
                json_integer_value(json_object_get(whole, "groups")),
                json_integer_value(json_object_get(t->contest, "draws")));
}

ag_status ag_contest_table(ag_str *out, const json_t *contest, const json_t *seconds, ag_error *err)
{
    table t = {.out = out, .contest = contest, .seconds = seconds, .rows = json_object_get(contest, "rows")};
    const json_t *metric = json_object_get(contest, "metric");
    choose_columns(&t);
    measure_names(&t);
    ag_str_addf(out, "%s%s\n", text_of(metric, "title"),
                json_array_size(json_object_get(contest, "tests")) > 1
                    ? " on the slice, the rest and all pairs; "
                      "then other metrics on all pairs"
                    : " on all pairs, then other metrics");
    print_rows(&t);
    print_differences(&t);
    print_foot(&t);
    return ag_str_ok(out, err);
}
