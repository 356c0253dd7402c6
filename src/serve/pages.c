/* pages.c: the files under src/serve/page become part of the program: the assembler reads them, so they stay ordinary files. */
#include "serve/embed.h"
#include "serve/service.h"

AG_EMBED(ag_page_html, AG_PAGE_DIR "/index.html");
AG_EMBED(ag_page_css, AG_PAGE_DIR "/page.css");
AG_EMBED(ag_page_js, AG_PAGE_DIR "/page.js");
AG_EMBED(ag_page_table_js, AG_PAGE_DIR "/table.js");
AG_EMBED(ag_openapi_json, AG_PAGE_DIR "/openapi.json");

const ag_page_file ag_page_files[] = {
    {"/", "text/html; charset=utf-8", ag_page_html, ag_page_html_end},
    {"/page.css", "text/css; charset=utf-8", ag_page_css, ag_page_css_end},
    {"/page.js", "text/javascript; charset=utf-8", ag_page_js, ag_page_js_end},
    {"/table.js", "text/javascript; charset=utf-8", ag_page_table_js, ag_page_table_js_end},
    {"/openapi.json", "application/json", ag_openapi_json, ag_openapi_json_end},
    {NULL, NULL, NULL, NULL},
};
