/* print.c: see print.h. */
#include "cli/print.h"

#include "base/file.h"

ag_status ag_print_text(const ag_str *text, ag_error *err)
{
    ag_out *out = NULL;
    ag_status status = ag_str_ok(text, err);
    if (status == AG_OK) status = ag_out_open(&out, "-", err);
    if (status != AG_OK) return status;
    ag_out_write(out, ag_str_text(text), text->len);
    return ag_out_commit(out, err);
}

ag_status ag_print_result(const json_t *result, bool as_json, ag_table_writer table, ag_error *err)
{
    ag_str text = {0};
    ag_status status = as_json ? ag_json_dump(&text, result, err) : table(&text, result, err);
    if (as_json) ag_str_addc(&text, '\n');
    if (status == AG_OK) status = ag_print_text(&text, err);
    ag_str_free(&text);
    return status;
}
