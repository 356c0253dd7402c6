/* page.h: the report of a side-by-side study as one HTML file that opens without network. */
#ifndef AG_SXS_PAGE_H
#define AG_SXS_PAGE_H

#include "base/json.h"

/* From the JSON of ag_sxs_json, in the look of the other reports (no script). Written atomically. */
ag_status ag_sxs_page(const char *path, const json_t *json, ag_error *err);

#endif
