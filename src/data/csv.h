/* csv.h: CSV and TSV files, streamed: RFC 4180 as Python's csv module and the files of the field speak it.
 *
 * Quoted fields may hold delimiters, doubled quotes and line ends (an LF inside the field, whatever the
 * file has); a quote inside an unquoted field is itself; text after a closing quote belongs to the field.
 * A byte order mark, CRLF and gzip are taken; empty lines are skipped. Refused, with file and line: a
 * quote that is never closed, a bare carriage return outside quotes, a row of another width than the
 * header, a column named twice, text that is not UTF-8, and what is past the bounds below.
 *
 * Which column means what is the business of data/record.h.
 */
#ifndef AG_DATA_CSV_H
#define AG_DATA_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

enum {
    AG_CSV_FIELD_MAX = 4 << 20,   /* bytes */
    AG_CSV_RECORD_MAX = 16 << 20, /* bytes of a row, all its lines */
    AG_CSV_COLUMNS_MAX = 1024
};

typedef struct ag_csv_field {
    const char *text; /* NUL terminated; never NULL */
    size_t len;
} ag_csv_field;

typedef struct ag_csv ag_csv;

/* Opens and reads the header. delimiter 0: the one of tab, comma and semicolon that the header has most of
 * (so a tab-separated ".csv" works). A file without a header is AG_ERR_INPUT. */
ag_status ag_csv_open(ag_csv **csv, const char *path, char delimiter, ag_error *err);
/* The header's names, trimmed. An empty name is a column without one (a written-out index). */
int ag_csv_column_count(const ag_csv *csv);
const char *ag_csv_column_name(const ag_csv *csv, int column);
/* Index of a column, or -1. */
int ag_csv_column(const ag_csv *csv, const char *name);
/* The next row, as many fields as the header; they live until the next call. *fields is NULL at the end. */
ag_status ag_csv_next(ag_csv *csv, const ag_csv_field **fields, ag_error *err);
/* The line on which the row last returned begins, from 1. */
long ag_csv_line(const ag_csv *csv);
const char *ag_csv_path(const ag_csv *csv);
void ag_csv_close(ag_csv *csv);

/* True for a name that ends in .csv, .tsv or .tab, with or without .gz behind. */
bool ag_csv_is_name(const char *path);

#endif
