/* cmd_compare.c: `agrl compare`: methods with several seeds from one start, judged on the same pairs, in one table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/compare_cells.h"
#include "cli/interrupt.h"
#include "cli/options.h"

typedef struct compare_options {
    ag_option_list set;
    const char *report;
    long jobs, cards;
    bool json, verbose;
} compare_options;

/* One comparison at a time works in a folder. *lock: a descriptor, closed by the caller. */
static ag_status claim_out(int *lock, const char *out, ag_error *err)
{
    AG_TRY(ag_dir_make(out, err));
    *lock = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*lock < 0) return ag_fail_errno(err, "cannot open", out);
    if (flock(*lock, LOCK_EX | LOCK_NB) != 0)
        return ag_fail(err, AG_ERR_IO, "%s: another agrl compare works there; wait for it", out);
    return AG_OK;
}

static ag_status save_json(const char *dir, const char *name, const json_t *json, ag_error *err)
{
    char *path = ag_path_join(dir, name);
    ag_status status = path ? ag_json_save(path, json, err) : ag_fail_memory(err, name);
    ag_free(path);
    return status;
}

static ag_status print(const json_t *contest, const json_t *seconds, bool json, const char *report,
                       ag_error *err)
{
    ag_str text = {0};
    ag_status status = json ? ag_json_dump(&text, contest, err)
                            : ag_contest_table(&text, contest, seconds, err);
    if (status == AG_OK) status = ag_str_ok(&text, err);
    if (status == AG_OK && json) printf("%s\n", ag_str_text(&text));
    if (status == AG_OK && !json) printf("%s\n%s\n", ag_str_text(&text), report);
    ag_str_free(&text);
    return status;
}

/* Everything is measured from what the cells left, whether they were made now or before. */
static ag_status conclude(const ag_comparison *c, const ag_str *yaml, const compare_options *o, ag_error *err)
{
    const ag_compare_plan *plan = c->plan;
    ag_compare_results results;
    json_t *json = NULL, *seconds = NULL;
    ag_str report = {0};
    AG_TRY(ag_compare_read(&results, c, err));
    ag_contest contest = {.rows = results.rows,
                          .row_count = results.row_count,
                          .against = (size_t)plan->against,
                          .metric = plan->metric,
                          .slice = plan->slice,
                          .draws = (int)plan->draws,
                          .seed = 1};
    if (o->report)
        ag_str_add(&report, o->report);
    else
        ag_str_addf(&report, "%s/report.html", plan->out);
    ag_status status = ag_str_ok(&report, err);
    if (status == AG_OK) status = ag_contest_json(&json, &contest, err);
    if (status == AG_OK) status = ag_contest_seconds(&seconds, &contest, err);
    if (status == AG_OK) status = save_json(plan->out, "compare.json", json, err);
    if (status == AG_OK) status = save_json(plan->out, "timing.json", seconds, err);
    if (status == AG_OK)
        status = ag_contest_report(report.data, plan->out, json, seconds, ag_str_text(yaml), err);
    if (status == AG_OK) status = print(json, seconds, o->json, report.data, err);
    json_decref(json);
    json_decref(seconds);
    ag_str_free(&report);
    ag_compare_results_free(&results);
    return status;
}

static ag_status compare(const char *path, const compare_options *o, ag_error *err)
{
    ag_compare_plan plan;
    ag_comparison c = {0};
    ag_str yaml = {0};
    int lock = -1;
    AG_TRY(ag_path_out_ready(o->report, err));
    AG_TRY(ag_path_distinct(o->report, path, err));
    if (o->cards > o->jobs)
        return ag_fail(err, AG_ERR_USAGE, "--cards %ld: a cell works on one card; give --jobs %ld or more",
                       o->cards, o->cards);
    if (o->cards > 1)
        AG_TRY(ag_compare_card((char[64]){0}, getenv("CUDA_VISIBLE_DEVICES"), (int)o->cards, 0, err));
    AG_TRY(ag_compare_plan_load(&plan, path, o->set.items, o->set.count, err));
    ag_status status = ag_compare_open(&c, &plan, err);
    if (status == AG_OK) status = ag_compare_plan_write(&yaml, &plan, err);
    if (status == AG_OK) status = ag_interrupt_begin(err);
    if (status == AG_OK) status = o->jobs > 1 ? ag_compare_try_apart(&c, err) : ag_compare_try(&c, err);
    if (status == AG_OK) status = claim_out(&lock, plan.out, err);
    if (status == AG_OK) status = ag_file_write(plan.out, "plan.yaml", ag_str_text(&yaml), yaml.len, err);
    if (status == AG_OK && c.without_gold)
        ag_warn("%s: %zu pairs without a gold tier are left out", plan.test, c.without_gold);
    if (status == AG_OK)
        status = ag_compare_run(&c, &(ag_compare_how){(int)o->jobs, (int)o->cards, !o->verbose}, err);
    if (status == AG_OK) status = conclude(&c, &yaml, o, err);
    if (lock >= 0) close(lock);
    ag_str_free(&yaml);
    ag_compare_close(&c);
    ag_compare_plan_free(&plan);
    return status;
}

int ag_cmd_compare(int argc, char **argv)
{
    compare_options o = {.jobs = 1, .cards = 1};
    const ag_option options[] = {
        {"set", AG_OPT_LIST, &o.set, "KEY=VALUE",
         "change a setting of the run file for all rows (threads=1, stages.0.lr=1e-5); may be repeated", 0,
         0},
        {"jobs", AG_OPT_INT, &o.jobs, "N", "cells trained at once, each in a process of its own", 1, 64},
        {"cards", AG_OPT_INT, &o.cards, "N", "deal them to N cards of this machine (device=cuda)", 1, 64},
        {"report", AG_OPT_STRING, &o.report, "FILE", "write the page here (default OUT/report.html)", 0, 0},
        {"json", AG_OPT_FLAG, &o.json, NULL, "print JSON: what OUT/compare.json holds", 0, 0},
        {"verbose", AG_OPT_FLAG, &o.verbose, NULL, "say what each run says", 0, 0},
        {NULL, AG_OPT_FLAG, NULL, NULL, NULL, 0, 0}};
    const ag_usage usage = {
        "agrl compare PLAN.yaml [options]",
        "Trains methods with several seeds from one model, judges the same test pairs with each, and writes "
        "one "
        "table with ranges, paired tests over query groups and learning curves (docs/COMPARE.md). What is "
        "done stays done: after Ctrl-C the same command goes on.",
        1, 1};
    char **args;
    int n, code = ag_options_parse(&usage, options, argc, argv, &args, &n);
    if (code >= 0) return code;
    ag_error err = {0};
    return compare(args[0], &o, &err) == AG_OK ? 0 : ag_cli_fail(&err);
}
