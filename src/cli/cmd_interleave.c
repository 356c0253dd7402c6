/* cmd_interleave.c: `agrl interleave`: what the clicks on lists that mix two rankings say. No model, no rulebook. */
#include <string.h>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/print.h"
#include "eval/interleave.h"

/* "A=bm25,B=neural", in either order; text is cut up. */
static ag_status read_names(const char *names[AG_TEAMS], char *text, ag_error *err)
{
    char *rest = text;
    names[AG_TEAM_A] = names[AG_TEAM_B] = NULL;
    for (char *part; (part = strsep(&rest, ","));) {
        int team = part[0] == 'A' ? AG_TEAM_A : part[0] == 'B' ? AG_TEAM_B : AG_TEAMS;
        if (team == AG_TEAMS || part[1] != '=' || !part[2] || names[team])
            return ag_fail(err, AG_ERR_USAGE, "--names: '%s' does not belong here; write A=NAME,B=NAME",
                           part);
        names[team] = part + 2;
    }
    if (!names[AG_TEAM_A] || !names[AG_TEAM_B])
        return ag_fail(err, AG_ERR_USAGE, "--names needs both teams: A=NAME,B=NAME");
    if (strcmp(names[AG_TEAM_A], names[AG_TEAM_B]) == 0)
        return ag_fail(err, AG_ERR_USAGE, "--names: both teams are called '%s'", names[AG_TEAM_A]);
    return AG_OK;
}

static void note(const ag_interleave *log)
{
    const size_t *first = log->ranks[0].shown;
    double p = ag_sign_test(first[AG_TEAM_A], first[AG_TEAM_B]);
    if (p < AG_INTERLEAVE_UNFAIR)
        ag_warn(
            "A has %zu of %zu first positions, which a fair coin gives once in %.3g logs: who drew first was "
            "not left to chance, and the preference follows it",
            first[AG_TEAM_A], log->impressions, 1 / p);
    if (log->not_drafted)
        ag_warn("%zu lists are no team draft (the first is %s:%ld): one team has two results of a round "
                "while the "
                "other has more to come",
                log->not_drafted, log->path, log->not_drafted_line);
    if (log->clicked == 0) ag_warn("no impression has a click: there is no preference to measure");
}

int ag_cmd_interleave(int argc, char **argv)
{
    static const ag_usage usage = {
        "agrl interleave LOG [options]",
        "Which of two rankings shoppers prefer, from a click log of lists that mix both by team draft: wins, "
        "ties, "
        "the preference delta_AB with its interval, a sign test, clicks by rank, and whether the draft was "
        "fair. "
        "LOG has one impression a line (JSONL, plain or gz; - is standard input): {\"query\": ..., \"list\": "
        "[{\"id\": ..., \"team\": \"A\"}, ...], \"clicks\": [positions from 1, or ids]}. "
        "docs/INTERLEAVING.md "
        "explains it.",
        1, 1};
    const char *named = NULL, *by = "query", *names[AG_TEAMS] = {"A", "B"};
    long draws = 1000, seed = 1;
    bool as_json = false;
    const ag_option options[] = {
        {"names", AG_OPT_STRING, &named, "A=NAME,B=NAME", "what the two teams are called", 0, 0},
        {"by", AG_OPT_CHOICE, &by, "query|user|session", "what the interval is over (query)", 0, 0},
        {"draws", AG_OPT_INT, &draws, "N", "bootstrap draws of the interval; 0: none", 0, 100000},
        {"seed", AG_OPT_INT, &seed, "N", "seed of the draws", 0, 9e15},
        {"json", AG_OPT_FLAG, &as_json, NULL, "one JSON object", 0, 0},
        {0},
    };
    char **args, *text = NULL;
    int nargs, unit = 0, code = ag_options_parse(&usage, options, argc, argv, &args, &nargs);
    if (code >= 0) return code;
    ag_error err = {0};
    ag_interleave log = {.path = NULL};
    json_t *json = NULL;
    ag_status status = AG_OK;
    while (unit < AG_BY_COUNT - 1 && strcmp(by, ag_interleave_by_names[unit]) != 0) unit++;
    if (named) {
        text = ag_strdup(named);
        status = text ? read_names(names, text, &err) : ag_fail_memory(&err, "names");
    }
    if (status == AG_OK) status = ag_interleave_load(&log, args[0], (ag_interleave_by)unit, &err);
    if (status == AG_OK) status = ag_interleave_json(&json, &log, names, (int)draws, (uint64_t)seed, &err);
    if (status == AG_OK) note(&log);
    if (status == AG_OK) status = ag_print_result(json, as_json, ag_interleave_table, &err);
    json_decref(json);
    ag_interleave_free(&log);
    ag_free(text);
    return status == AG_OK ? 0 : ag_cli_fail(&err);
}
