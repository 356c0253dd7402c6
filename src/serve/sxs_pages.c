/* sxs_pages.c: the files of the judges' site (src/serve/page/sxs.*) become part of the program. */
#include "serve/sxs_pages.h"

AG_EMBED(ag_sxs_html, AG_PAGE_DIR "/sxs.html");
AG_EMBED(ag_sxs_css, AG_PAGE_DIR "/sxs.css");
AG_EMBED(ag_sxs_js, AG_PAGE_DIR "/sxs.js");

const ag_sxs_file ag_sxs_files[AG_SXS_FILES] = {
    {"text/html; charset=utf-8", ag_sxs_html, ag_sxs_html_end},
    {"text/css; charset=utf-8", ag_sxs_css, ag_sxs_css_end},
    {"text/javascript; charset=utf-8", ag_sxs_js, ag_sxs_js_end},
};
