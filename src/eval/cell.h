/* cell.h: text in the columns of a terminal, for the tables that eval prints. */
#ifndef AG_EVAL_CELL_H
#define AG_EVAL_CELL_H

#include "base/json.h"
#include "base/str.h"

/* Columns that a text takes. */
int ag_cell_columns(const char *text);
/* Text in `columns` columns, cut with an ellipsis; negative: right aligned. Control characters are shown as '?', for
 * text comes from files. */
void ag_cell_add(ag_str *out, const char *text, int columns);
/* A JSON number right aligned: whole ones as they are, others with three decimals, "-" for anything else. */
void ag_cell_number(ag_str *out, const json_t *value, int columns);
/* "low" and "high" of an estimate: two spaces and "0.650 .. 0.770", 18 columns in all. */
void ag_cell_interval(ag_str *out, const json_t *estimate);

#endif
