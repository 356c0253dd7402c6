/* csv.c: the reader of csv.h: a machine of four states that runs over the lines of the file.
 *
 * A row's bytes go one after the other into one buffer, each field closed by a NUL, with the starts beside
 * them; so a row costs no allocation once the buffers have grown.
 */
#include "data/csv.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

struct ag_csv {
    ag_lines *lines;
    char delimiter;
    ag_str bytes; /* of the row: field NUL field NUL ... */
    size_t *starts;
    size_t start_cap;
    ag_csv_field *fields;
    size_t field_cap, count; /* of the row */
    char **names;
    int columns;
    long line;
};

/* Where in a field the machine stands. */
typedef enum state { FIELD_START, IN_FIELD, IN_QUOTES, QUOTE_IN_QUOTES } state;

static ag_status bad(const ag_csv *csv, ag_error *err, const char *what)
{
    return ag_fail(err, AG_ERR_INPUT, "%s:%ld: %s", ag_csv_path(csv), csv->line, what);
}

static ag_status field_begin(ag_csv *csv, ag_error *err)
{
    if (csv->count == AG_CSV_COLUMNS_MAX)
        return ag_fail(err, AG_ERR_INPUT, "%s:%ld: more than %d columns", ag_csv_path(csv), csv->line,
                       AG_CSV_COLUMNS_MAX);
    if (!ag_grow(&csv->starts, &csv->start_cap, csv->count + 1, sizeof *csv->starts))
        return ag_fail_memory(err, "CSV row");
    csv->starts[csv->count++] = csv->bytes.len;
    return AG_OK;
}

static ag_status field_end(ag_csv *csv, ag_error *err)
{
    if (csv->bytes.len - csv->starts[csv->count - 1] > AG_CSV_FIELD_MAX)
        return ag_fail(err, AG_ERR_INPUT, "%s:%ld: field %zu is longer than %d bytes", ag_csv_path(csv),
                       csv->line, csv->count, AG_CSV_FIELD_MAX);
    ag_str_addc(&csv->bytes, '\0');
    return AG_OK;
}

/* Runs the machine over one line. Plain stretches are copied in one piece. */
static ag_status feed(ag_csv *csv, state *at, const char *line, size_t len, ag_error *err)
{
    const char stops[] = {csv->delimiter, '"', '\r', '\0'};
    ag_status status = AG_OK;
    for (size_t i = 0; i < len;) {
        char c = line[i];
        if (*at == IN_QUOTES) {
            const char *quote = memchr(line + i, '"', len - i);
            size_t n = quote ? (size_t)(quote - (line + i)) : len - i;
            ag_str_addn(&csv->bytes, line + i, n);
            i += n;
            if (!quote) break;
            *at = QUOTE_IN_QUOTES;
            i++;
        } else if (c == csv->delimiter) {
            if ((status = field_end(csv, err)) != AG_OK || (status = field_begin(csv, err)) != AG_OK)
                return status;
            *at = FIELD_START;
            i++;
        } else if (c == '\r') {
            return bad(csv, err,
                       "a carriage return outside quotes (save the file with LF or CRLF line ends)");
        } else if (c == '"' && *at == FIELD_START) {
            *at = IN_QUOTES;
            i++;
        } else {
            bool doubled = c == '"' && *at == QUOTE_IN_QUOTES;
            size_t n = c == '"' ? 1 : strcspn(line + i, stops);
            ag_str_addn(&csv->bytes, line + i, n);
            *at = doubled ? IN_QUOTES : IN_FIELD;
            i += n;
        }
    }
    return AG_OK;
}

static ag_status check_utf8(ag_csv *csv, ag_error *err)
{
    size_t wrong, f = 0;
    if (ag_utf8_valid(ag_str_text(&csv->bytes), csv->bytes.len, &wrong)) return AG_OK;
    while (f + 1 < csv->count && csv->starts[f + 1] <= wrong) f++;
    return ag_fail(
        err, AG_ERR_INPUT,
        "%s:%ld: field %zu%s%.60s%s is not UTF-8 (byte 0x%02X); convert the file, for example with iconv",
        ag_csv_path(csv), csv->line, f + 1, f < (size_t)csv->columns ? " (" : "",
        f < (size_t)csv->columns ? csv->names[f] : "", f < (size_t)csv->columns ? ")" : "",
        (unsigned)(unsigned char)csv->bytes.data[wrong]);
}

/* The next line that is not empty; *line NULL at the end. */
static ag_status next_line(ag_csv *csv, char **line, size_t *len, ag_error *err)
{
    do {
        ag_status status = ag_lines_next(csv->lines, line, len, err);
        if (status != AG_OK) return status;
        if (*line && *len > 0 && (*line)[*len - 1] == '\r' && *len == 1) *len = 0;
    } while (*line && *len == 0);
    return AG_OK;
}

/* One row into bytes and starts, from its first line on. */
static ag_status read_record(ag_csv *csv, char *line, size_t len, ag_error *err)
{
    state at = FIELD_START;
    ag_status status = AG_OK;
    csv->line = ag_lines_number(csv->lines);
    csv->count = 0;
    ag_str_clear(&csv->bytes);
    if ((status = field_begin(csv, err)) != AG_OK) return status;
    for (;;) {
        /* The reader leaves a CR at the end of a last line that has no LF. */
        bool final_cr = len > 0 && line[len - 1] == '\r';
        if ((status = feed(csv, &at, line, len - final_cr, err)) != AG_OK) return status;
        if (final_cr && at == IN_QUOTES) ag_str_addc(&csv->bytes, '\r');
        if (at != IN_QUOTES) break;
        ag_str_addc(&csv->bytes, '\n');
        if (csv->bytes.len > AG_CSV_RECORD_MAX)
            return bad(csv, err, "the row is longer than 16 MiB (is a quote in it never closed?)");
        if ((status = ag_lines_next(csv->lines, &line, &len, err)) != AG_OK) return status;
        if (!line) return bad(csv, err, "a quoted field that begins in this row is never closed");
    }
    if ((status = field_end(csv, err)) != AG_OK) return status;
    if ((status = ag_str_ok(&csv->bytes, err)) != AG_OK) return status;
    if ((status = check_utf8(csv, err)) != AG_OK) return status;
    if (!ag_grow(&csv->fields, &csv->field_cap, csv->count, sizeof *csv->fields))
        return ag_fail_memory(err, "CSV row");
    for (size_t f = 0; f < csv->count; f++) {
        size_t end = f + 1 < csv->count ? csv->starts[f + 1] : csv->bytes.len;
        csv->fields[f] = (ag_csv_field){csv->bytes.data + csv->starts[f], end - csv->starts[f] - 1};
    }
    return AG_OK;
}

/* The delimiter that stands most often outside quotes; the comma where none is more frequent. */
static char sniff(const char *line, size_t len)
{
    static const char known[] = {',', '\t', ';'};
    size_t counts[3] = {0};
    bool quoted = false;
    int best = 0;
    for (size_t i = 0; i < len; i++) {
        if (line[i] == '"') quoted = !quoted;
        for (int k = 0; k < 3; k++) counts[k] += !quoted && line[i] == known[k];
    }
    for (int k = 1; k < 3; k++)
        if (counts[k] > counts[best]) best = k;
    return known[best];
}

/* Copies the row just read as the names of the columns. */
static ag_status take_header(ag_csv *csv, ag_error *err)
{
    static const char space[] = " \t\n";
    if (!(csv->names = ag_calloc(csv->count, sizeof *csv->names))) return ag_fail_memory(err, "CSV header");
    for (size_t f = 0; f < csv->count; f++) {
        const char *name = csv->fields[f].text + strspn(csv->fields[f].text, space);
        size_t n = strlen(name);
        while (n > 0 && strchr(space, name[n - 1])) n--;
        if (!(csv->names[f] = ag_strndup(name, n))) return ag_fail_memory(err, "CSV header");
        csv->columns = (int)f + 1;
        for (size_t other = 0; n > 0 && other < f; other++)
            if (strcmp(csv->names[other], csv->names[f]) == 0)
                return ag_fail(err, AG_ERR_INPUT, "%s:%ld: columns %zu and %zu are both named '%.80s'",
                               ag_csv_path(csv), csv->line, other + 1, f + 1, csv->names[f]);
    }
    return AG_OK;
}

ag_status ag_csv_open(ag_csv **result, const char *path, char delimiter, ag_error *err)
{
    char *line;
    size_t len;
    ag_status status;
    *result = NULL;
    ag_csv *csv = ag_calloc(1, sizeof *csv);
    if (!csv) return ag_fail_memory(err, "CSV reader");
    csv->delimiter = delimiter;
    if ((status = ag_lines_open(&csv->lines, path, err)) != AG_OK) goto out;
    if ((status = next_line(csv, &line, &len, err)) != AG_OK) goto out;
    if (!line) {
        status = ag_fail(err, AG_ERR_INPUT, "%s: empty; the first line must name the columns",
                         ag_csv_path(csv));
        goto out;
    }
    if (!csv->delimiter) csv->delimiter = sniff(line, len);
    if ((status = read_record(csv, line, len, err)) != AG_OK) goto out;
    if ((status = take_header(csv, err)) != AG_OK) goto out;
    *result = csv;
    csv = NULL;
out:
    ag_csv_close(csv);
    return status;
}

ag_status ag_csv_next(ag_csv *csv, const ag_csv_field **fields, ag_error *err)
{
    char *line;
    size_t len;
    *fields = NULL;
    ag_status status = next_line(csv, &line, &len, err);
    if (status != AG_OK || !line) return status;
    if ((status = read_record(csv, line, len, err)) != AG_OK) return status;
    if (csv->count != (size_t)csv->columns)
        return ag_fail(err, AG_ERR_INPUT, "%s:%ld: the row has %zu field%s, the header %d", ag_csv_path(csv),
                       csv->line, csv->count, csv->count == 1 ? "" : "s", csv->columns);
    *fields = csv->fields;
    return AG_OK;
}

int ag_csv_column_count(const ag_csv *csv)
{
    return csv->columns;
}

const char *ag_csv_column_name(const ag_csv *csv, int column)
{
    return csv->names[column];
}

int ag_csv_column(const ag_csv *csv, const char *name)
{
    for (int c = 0; c < csv->columns; c++)
        if (strcmp(csv->names[c], name) == 0) return c;
    return -1;
}

long ag_csv_line(const ag_csv *csv)
{
    return csv->line;
}

const char *ag_csv_path(const ag_csv *csv)
{
    return ag_lines_path(csv->lines);
}

void ag_csv_close(ag_csv *csv)
{
    if (!csv) return;
    for (int c = 0; c < csv->columns; c++) ag_free(csv->names[c]);
    ag_free(csv->names);
    ag_free(csv->starts);
    ag_free(csv->fields);
    ag_str_free(&csv->bytes);
    ag_lines_close(csv->lines);
    ag_free(csv);
}

bool ag_csv_is_name(const char *path)
{
    static const char *const ends[] = {".csv", ".tsv", ".tab"};
    size_t n = strlen(path);
    if (n > 3 && strcasecmp(path + n - 3, ".gz") == 0) n -= 3;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (n >= 4 && strncasecmp(path + n - 4, ends[i], 4) == 0) return true;
    return false;
}
