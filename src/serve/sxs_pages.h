/* sxs_pages.h: the files of the judges' site. Private to serve/. */
#ifndef AG_SERVE_SXS_PAGES_H
#define AG_SERVE_SXS_PAGES_H

#include "serve/embed.h"

enum { AG_SXS_HTML, AG_SXS_CSS, AG_SXS_JS, AG_SXS_FILES };
typedef struct ag_sxs_file {
    const char *type, *bytes, *end;
} ag_sxs_file;
extern const ag_sxs_file ag_sxs_files[AG_SXS_FILES];

#endif
