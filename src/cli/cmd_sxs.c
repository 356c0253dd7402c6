/* cmd_sxs.c: `agrl sxs`: blinded side-by-side comparison of two rankings by people. Its commands, and the small ones of them. */
#include "cli/cmd_sxs.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/print.h"
#include "sxs/page.h"
#include "sxs/store.h"

int ag_cmd_sxs_invite(int argc, char **argv)
{
    static const ag_usage usage = {"agrl sxs invite STUDY [NAME...] [options]",
                                   "Prints a link for each person named, made when the name is new; without "
                                   "names, the links of all. A link is the "
                                   "judge's secret: who has it judges under that name.",
                                   1, 1000};
    const char *url = "http://127.0.0.1:8081";
    bool as_json = false;
    const ag_option options[] = {{"url", AG_OPT_STRING, &url, "URL", "where people reach the site", 0, 0},
                                 {"json", AG_OPT_FLAG, &as_json, NULL, "one JSON object", 0, 0},
                                 {0}};
    char **args, token[AG_SXS_TOKEN];
    int nargs, code = ag_options_parse(&usage, options, argc, argv, &args, &nargs);
    if (code >= 0) return code;
    ag_error err = {0};
    ag_sxs_store *store = NULL;
    json_t *json = NULL, *row;
    ag_str text = {0};
    size_t i, slash = strlen(url);
    int64_t judge;
    while (slash > 0 && url[slash - 1] == '/') slash--;
    ag_status status = ag_sxs_store_open(&store, args[0], &err);
    for (int n = 1; n < nargs && status == AG_OK; n++)
        status = ag_sxs_store_invite(store, args[n], false, token, &judge, &err);
    if (status == AG_OK) status = ag_sxs_store_state(&json, store, &err);
    json_array_foreach(json_object_get(json, "judges"), i, row)
    {
        const char *secret = json_string_value(json_object_get(row, "token")),
                   *name = json_string_value(json_object_get(row, "judge"));
        bool wanted = nargs == 1;
        for (int n = 1; n < nargs; n++) wanted = wanted || strcmp(args[n], name) == 0;
        if (secret && wanted) ag_str_addf(&text, "%.*s/#%s\t%s\n", (int)slash, url, secret, name);
    }
    if (status == AG_OK && as_json) {
        ag_str_clear(&text);
        status = ag_json_dump(&text, json, &err);
        ag_str_addc(&text, '\n');
    }
    if (status == AG_OK) status = ag_print_text(&text, &err);
    ag_str_free(&text);
    json_decref(json);
    ag_sxs_store_close(store);
    return status == AG_OK ? 0 : ag_cli_fail(&err);
}

int ag_cmd_sxs_report(int argc, char **argv)
{
    static const ag_usage usage = {
        "agrl sxs report STUDY [options]",
        "What people said: better, same and worse by traffic, GoodRate of queries and items, agreement, by "
        "type, and where the "
        "new ranking loses most. May be asked while judges are at work. docs/SXS.md explains each figure.",
        1, 1};
    long draws = 1000, seed = 1, worst = 20;
    bool as_json = false;
    const char *html = NULL;
    const ag_option options[] = {
        {"draws", AG_OPT_INT, &draws, "N", "bootstrap draws of the intervals; 0: none", 0, 100000},
        {"seed", AG_OPT_INT, &seed, "N", "seed of the draws", 0, 9e15},
        {"worst", AG_OPT_INT, &worst, "N", "queries listed where the new ranking loses", 0, 100000},
        {"html", AG_OPT_STRING, &html, "FILE", "write a page that opens without network, too", 0, 0},
        {"json", AG_OPT_FLAG, &as_json, NULL, "one JSON object", 0, 0},
        {0}};
    char **args;
    int nargs, code = ag_options_parse(&usage, options, argc, argv, &args, &nargs);
    if (code >= 0) return code;
    ag_error err = {0};
    ag_sxs_store *store = NULL;
    ag_sxs_study study = {.path = NULL};
    json_t *json = NULL;
    ag_status status = ag_path_out_ready(html, &err);
    if (status == AG_OK && html && ag_path_same(html, args[0]))
        status = ag_fail(&err, AG_ERR_USAGE, "--html is the study itself");
    if (status == AG_OK) status = ag_sxs_store_open(&store, args[0], &err);
    if (status == AG_OK) status = ag_sxs_store_load(&study, store, &err);
    if (status == AG_OK) status = ag_sxs_json(&json, &study, (int)draws, (uint64_t)seed, (size_t)worst, &err);
    if (status == AG_OK && html) status = ag_sxs_page(html, json, &err);
    if (status == AG_OK) status = ag_print_result(json, as_json, ag_sxs_table, &err);
    json_decref(json);
    ag_sxs_study_free(&study);
    ag_sxs_store_close(store);
    return status == AG_OK ? 0 : ag_cli_fail(&err);
}

int ag_cmd_sxs(int argc, char **argv)
{
    static const ag_command commands[] = {
        {"plan", "what a study would tell, by the number of queries judged", ag_cmd_sxs_plan, NULL},
        {"create", "draw queries and make a study's file", ag_cmd_sxs_create, NULL},
        {"invite", "links for the people who judge", ag_cmd_sxs_invite, NULL},
        {"serve", "the site on which they judge", ag_cmd_sxs_serve, NULL},
        {"judge", "let a model judge as well, apart from the people", ag_cmd_sxs_judge, NULL},
        {"report", "what they said", ag_cmd_sxs_report, NULL},
        {NULL, NULL, NULL, NULL},
    };
    return ag_cli_group("sxs", commands, "docs/SXS.md goes through a study.", argc, argv);
}
