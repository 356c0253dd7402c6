/* trec_scan.c: columns between blanks, in the two forms that TREC gave the field. */
#include "data/trec_scan.h"

#include <string.h>

#include "base/file.h"
#include "base/str.h"

enum { COLUMNS = 6 };

const ag_trec_format ag_trec_qrels = {
    "'query-id iteration document-id relevance' (or three columns without iteration), with a number last",
    3,
    4,
    2,
    1,
    "score"};
const ag_trec_format ag_trec_run = {
    "'query-id Q0 document-id rank score tag', six columns with a finite number as score", 6, 6, 4, 2, NULL};

/* Splits at blanks in place; more than COLUMNS counts as COLUMNS + 1. */
static int split_columns(char *line, char *columns[COLUMNS])
{
    static const char blank[] = " \t\r";
    int n = 0;
    for (char *at = line + strspn(line, blank); *at; at += strspn(at, blank)) {
        if (n == COLUMNS) return n + 1;
        columns[n++] = at;
        at += strcspn(at, blank);
        if (*at) *at++ = '\0';
    }
    return n;
}

ag_status ag_trec_scan(const char *path, const ag_trec_format *format, ag_trec_visit visit, void *context,
                       ag_error *err)
{
    ag_lines *lines;
    char *text, *columns[COLUMNS];
    size_t len, bad;
    ag_status status = ag_lines_open(&lines, path, err);
    while (status == AG_OK && (status = ag_lines_next(lines, &text, &len, err)) == AG_OK && text) {
        ag_trec_line line = {.path = ag_lines_path(lines), .line = ag_lines_number(lines)};
        bool good = ag_utf8_valid(text, len, &bad);
        int n = split_columns(text, columns);
        if (n == 0) continue;
        if (line.line == 1 && n == 3 && format->header_third && strcmp(columns[2], format->header_third) == 0)
            continue;
        if (!good || n < format->least || n > format->most ||
            !ag_number_parse(columns[n - format->number], &line.number)) {
            status = ag_fail(err, AG_ERR_INPUT, "%s:%ld: not %s", line.path, line.line, format->form);
            break;
        }
        line.query = columns[0];
        line.doc = columns[n - format->doc];
        status = visit(context, &line, err);
    }
    ag_lines_close(lines);
    return status;
}
