/* sxs_site.h: the site on which people judge a side-by-side study.
 *
 *   GET  /, /sxs.css, /sxs.js   the page
 *   GET  /api/task              what the judge does next (sxs/store.h: ag_sxs_store_next)
 *   GET  /api/last              what the judge answered last, to change it (ag_sxs_store_last)
 *   POST /api/answer            an answer to it (ag_sxs_store_answer); 200 once it is on the disk
 *   GET  /api/open              {"open": may people come in by name?}
 *   POST /api/enter             {"name"} -> {"token"}, where they may
 * The header X-Judge carries the judge's secret; without a known one, 401. No answer names a system or says which list is whose, in what
 * order queries come, or why one is shown.
 */
#ifndef AG_SERVE_SXS_SITE_H
#define AG_SERVE_SXS_SITE_H

#include "sxs/store.h"
#include "serve/http.h"

typedef struct ag_sxs_site_options {
    const char *listen, *host, *log; /* as in http.h */
    bool open; /* whoever reaches the site comes in by name; then only loopback addresses are listened on */
    const char *const *images; /* hosts whose images are shown: HOST[:PORT] (https), or http://HOST[:PORT] */
    int image_count;
} ag_sxs_site_options;

typedef struct ag_sxs_site ag_sxs_site;
/* Serves in threads of its own; the store is borrowed. AG_ERR_USAGE for an address, or an image host, that is none. */
ag_status ag_sxs_site_start(ag_sxs_site **site, ag_sxs_store *store, const ag_sxs_site_options *options,
                            ag_error *err);
const char *ag_sxs_site_address(const ag_sxs_site *site);
/* Answers what had arrived, for `grace` seconds at most, and ends. Returns how many requests were cut off. Safe with NULL. */
int ag_sxs_site_stop(ag_sxs_site *site, double grace);

#endif
