/* import_qrels.c: TREC qrels ("query-id iteration document-id relevance") and BEIR's three columns with a
 * header. */
#include <string.h>

#include "data/import.h"

enum { COLUMNS = 4 };

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

static ag_status scan_qrels(const ag_import *import, const char *path, ag_judgment_visit visit, void *context,
                            ag_error *err)
{
    ag_lines *lines;
    char *line, *columns[COLUMNS];
    size_t len, bad;
    (void)import;
    ag_status status = ag_lines_open(&lines, path, err);
    while (status == AG_OK && (status = ag_lines_next(lines, &line, &len, err)) == AG_OK && line) {
        double relevance;
        long number = ag_lines_number(lines);
        bool text = ag_utf8_valid(line, len, &bad);
        int n = split_columns(line, columns);
        if (n == 0) continue;
        if (number == 1 && n == 3 && strcmp(columns[2], "score") == 0) continue; /* BEIR's header */
        if (!text || n < 3 || n > COLUMNS || !ag_number_parse(columns[n - 1], &relevance)) {
            status = ag_fail(
                err, AG_ERR_INPUT,
                "%s:%ld: not 'query-id iteration document-id relevance' (or three columns without "
                "iteration), with a number last",
                ag_lines_path(lines), number);
            break;
        }
        json_t *label = json_real(relevance);
        ag_judgment judgment = {.query_id = columns[0],
                                .doc = columns[n - 2],
                                .label = label,
                                .path = ag_lines_path(lines),
                                .line = number};
        status = label ? visit(context, &judgment, err) : ag_fail_memory(err, "label");
        json_decref(label);
    }
    ag_lines_close(lines);
    return status;
}

ag_status ag_import_qrels(ag_import *import, const ag_importer *self, ag_error *err)
{
    if (!import->queries)
        return ag_fail(err, AG_ERR_USAGE,
                       "qrels hold query ids: give --queries FILE (id, tab, text; CSV; or JSONL)");
    if (!import->labels)
        return ag_fail(
            err, AG_ERR_USAGE,
            "the grades of qrels differ from set to set: say what they are, for example --labels '1=%s,0=%s'",
            import->book->tiers[0].id, import->book->tiers[import->book->tier_count - 1].id);
    return ag_import_join(import, self, scan_qrels, import->catalogue, import->queries, err);
}
