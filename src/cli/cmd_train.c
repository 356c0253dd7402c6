/* cmd_train.c: `agrl train`: a run file to a run folder, with a progress bar and a way to stop. */
#include <stdio.h>
#include "base/log.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/pull.h"
#include "cli/train_hooks.h"

/* The first of several ranks fetches the model and speaks for all. */
static ag_status train(const char *path, const ag_option_list *set, ag_train_options *options, ag_error *err)
{
    ag_settings settings;
    ag_train_view view = {.task = NULL};
    ag_train_hooks hooks = ag_train_hooks_of(&view);
    ag_status status = ag_settings_load(&settings, path, set->items, set->count, err);
    if (status != AG_OK) return status;
    status = ag_comm_open(&options->comm, err);
    bool first = !options->comm || options->comm->rank == 0;
    if (!first) hooks = (ag_train_hooks){.stop = hooks.stop};
    if (status == AG_OK && first) status = ag_pull_if_needed(settings.model, err);
    if (status == AG_OK && options->comm->size > 1) /* the others find it there */
        status = options->comm->sum_double(options->comm, &(double){0}, 1, err);
    if (status == AG_OK) status = ag_interrupt_begin(err);
    if (status == AG_OK) status = ag_train_run(&settings, options, &hooks, err);
    if (status == AG_OK && first && !options->plan_only) {
        ag_say("done: %s/checkpoints/best", settings.out);
        printf("%s\n", settings.out);
    }
    ag_settings_free(&settings);
    return status;
}

/* What several ranks end with: all together, or the one that failed ends the others. */
static int leave(ag_train_options *options, ag_status status, const ag_error *err)
{
    bool second = options->comm && options->comm->rank > 0 && status == AG_ERR_INTERRUPTED;
    int code = status == AG_OK ? 0 : second ? 1 : ag_cli_fail(err);
    ag_comm_close(options->comm, status != AG_OK && status != AG_ERR_INTERRUPTED);
    return code;
}

int ag_cmd_train(int argc, char **argv)
{
    ag_option_list set = {0};
    ag_train_options o = {0};
    bool settings = false;
    const ag_option options[] = {
        {"set", AG_OPT_LIST, &set, "KEY=VALUE",
         "change a setting of the run file (stages.0.lr=1e-4); may be repeated", 0, 0},
        {"resume", AG_OPT_FLAG, &o.resume, NULL, "continue the newest checkpoint of the run folder", 0, 0},
        {"allow-inexact", AG_OPT_FLAG, &o.allow_inexact, NULL,
         "continue with another number of threads: results differ in rounding", 0, 0},
        {"settings", AG_OPT_FLAG, &settings, NULL, "print every setting with its default, bounds and meaning",
         0, 0},
        {NULL, AG_OPT_FLAG, NULL, NULL, NULL, 0, 0}};
    const ag_usage usage = {
        "agrl train RUN.yaml [options]",
        "Trains a judge as the run file says, into its folder: checkpoints (Hugging Face "
        "folders), metrics.jsonl, TensorBoard "
        "events. Ctrl-C writes a checkpoint. Of methods that sample the line of a step says the mean "
        "reward (rew), the shares of answers whose tier is right and whose gate held (acc) and whose gate "
        "held (gate), of groups without a signal (dead), of guided answers among the trained ones "
        "(hint) and of answers that were cut (cut), and tokens a second.",
        0, 1};
    char **args;
    int n, code = ag_options_parse(&usage, options, argc, argv, &args, &n);
    if (code >= 0) return code;
    if (settings) {
        ag_str text = {0};
        ag_settings_help(&text);
        fputs(ag_str_text(&text), stdout);
        ag_str_free(&text);
        return 0;
    }
    ag_error err = {0};
    if (n != 1) {
        ag_fail(&err, AG_ERR_USAGE, "name a run file: agrl train RUN.yaml (agrl init writes one)");
        return ag_cli_fail(&err);
    }
    return leave(&o, train(args[0], &set, &o, &err), &err);
}

int ag_cmd_plan(int argc, char **argv)
{
    ag_option_list set = {0};
    const ag_option options[] = {
        {"set", AG_OPT_LIST, &set, "KEY=VALUE", "change a setting of the run file; may be repeated", 0, 0},
        {NULL, AG_OPT_FLAG, NULL, NULL, NULL, 0, 0}};
    const ag_usage usage = {"agrl plan RUN.yaml [options]",
                            "Says how much memory a run needs, by class of tensor, without training.", 1, 1};
    char **args;
    int n, code = ag_options_parse(&usage, options, argc, argv, &args, &n);
    if (code >= 0) return code;
    ag_error err = {0};
    ag_train_options o = {.plan_only = true};
    return leave(&o, train(args[0], &set, &o, &err), &err);
}
