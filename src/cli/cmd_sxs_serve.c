/* cmd_sxs_serve.c: `agrl sxs serve`: the judges' site until Ctrl-C or SIGTERM. */
#include <stdio.h>
#include <time.h>

#include "base/log.h"
#include "cli/cmd_sxs.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "serve/sxs_site.h"

enum { GRACE = 10 }; /* seconds for requests that had arrived */

int ag_cmd_sxs_serve(int argc, char **argv)
{
    static const ag_usage usage = {
        "agrl sxs serve STUDY [options]",
        "Serves the site on which people judge a study, each by the link of 'agrl sxs invite', many at once; "
        "whoever stops goes on "
        "later. An answer is on the disk before it is acknowledged. TLS is left to a proxy.",
        1, 1};
    ag_sxs_site_options options = {.listen = "127.0.0.1:8081", .log = ""};
    ag_option_list images = {.count = 0};
    const ag_option table[] = {
        {"listen", AG_OPT_STRING, &options.listen, "ADDRESS", "host and port", 0, 0},
        {"open", AG_OPT_FLAG, &options.open, NULL,
         "people come in by name, without a link (loopback addresses only)", 0, 0},
        {"image-host", AG_OPT_LIST, &images, "HOST", "show images from this host", 0, 0},
        {"host", AG_OPT_STRING, &options.host, "NAME",
         "with --open: the name by which a proxy reaches the site", 0, 0},
        {"log", AG_OPT_STRING, &options.log, "FILE", "a JSON line for each request, appended", 0, 0},
        {0}};
    char **args;
    int nargs, code = ag_options_parse(&usage, table, argc, argv, &args, &nargs);
    if (code >= 0) return code;
    ag_error err = {0};
    ag_sxs_store *store = NULL;
    ag_sxs_site *site = NULL;
    options.images = images.items;
    options.image_count = images.count;
    ag_status status = AG_OK;
    if (options.host && !options.open)
        status = ag_fail(&err, AG_ERR_USAGE, "--host is for --open: links work under any name");
    if (status == AG_OK) status = ag_sxs_store_open(&store, args[0], &err);
    if (status == AG_OK) status = ag_interrupt_begin(&err);
    if (status == AG_OK) status = ag_sxs_site_start(&site, store, &options, &err);
    if (status == AG_OK)
        ag_say("the study is at http://%s/%s; Ctrl-C ends", ag_sxs_site_address(site),
               options.open ? "" : " for the links of 'agrl sxs invite'");
    while (status == AG_OK && !ag_interrupted()) nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    int cut = ag_sxs_site_stop(site, GRACE);
    if (cut) ag_warn("%d requests were cut off", cut);
    ag_sxs_store_close(store);
    return status == AG_OK ? 0 : ag_cli_fail(&err);
}
