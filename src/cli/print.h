/* print.h: results on standard output. A write that fails is an error, as it is with files. */
#ifndef AG_CLI_PRINT_H
#define AG_CLI_PRINT_H

#include "base/json.h"
#include "base/str.h"

/* The text as it stands. */
ag_status ag_print_text(const ag_str *text, ag_error *err);

/* Appends a result as a table for people. */
typedef ag_status (*ag_table_writer)(ag_str *out, const json_t *result, ag_error *err);
/* A result as one line of JSON, or as the table that `table` makes of it. */
ag_status ag_print_result(const json_t *result, bool as_json, ag_table_writer table, ag_error *err);

#endif
