/* cmd_calibrate.c: `agrl calibrate`: makes a judge's probabilities mean what they say, on pairs that people labelled. */
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/gold.h"
#include "cli/judge_open.h"
#include "cli/print.h"
#include "eval/calibration_report.h"
#include "eval/judged.h"

typedef struct calibrate_options {
    ag_model_choice choice;
    ag_decide_choice decide;
    const char *rules, *lexicon, *data, *judged, *aggregate;
    long limit, draws, seed, thresholds;
    bool temperature_only, dry_run, json;
} calibrate_options;

/* {metric: value} of {metric: estimate}; null stays null. New reference; NULL when out of memory. */
static json_t *values_of(json_t *estimates)
{
    json_t *values = json_is_object(estimates) ? json_object() : json_null(), *estimate;
    const char *name;
    bool good = values != NULL;
    json_object_foreach(estimates, name, estimate)
    {
        good = good && ag_json_set(values, name, json_incref(json_object_get(estimate, "value")));
    }
    if (good) return values;
    json_decref(values);
    return NULL;
}

/* What the file says of itself, for people. */
static json_t *about_fit(const calibrate_options *o, const json_t *report)
{
    static const char *const kept[] = {"pairs", "groups", "folds", "soft", "ridge", "seed"},
                             *const figures[] = {"before", "after", "cross_fitted"};
    json_t *about = json_object();
    bool good = about && ag_json_set(about, "data", json_string(o->data)) &&
                ag_json_set(about, "aggregate", json_string(o->aggregate));
    for (size_t i = 0; good && i < sizeof kept / sizeof *kept; i++)
        good = ag_json_set(about, kept[i], json_incref(json_object_get(report, kept[i])));
    for (size_t i = 0; good && i < sizeof figures / sizeof *figures; i++)
        good = ag_json_set(about, figures[i], values_of(json_object_get(report, figures[i])));
    if (good) return about;
    json_decref(about);
    return NULL;
}

static ag_status save(const ag_judge_setup *s, const ag_calibration *c, const calibrate_options *o,
                      const json_t *report, ag_error *err)
{
    char *path = NULL;
    json_t *about = about_fit(o, report);
    ag_status status = about ? ag_setup_calibration_path(&path, s, err) : ag_fail_memory(err, "calibration");
    if (status == AG_OK) status = ag_calibration_save(c, s->book, about, path, err);
    if (status == AG_OK) ag_say("stored in %s", path);
    json_decref(about);
    ag_free(path);
    return status;
}

static void print_warnings(const json_t *report)
{
    const json_t *list = json_object_get(report, "warnings");
    for (size_t i = 0; i < json_array_size(list); i++)
        ag_warn("%s", json_string_value(json_array_get(list, i)));
}

static ag_status check(const calibrate_options *o, ag_error *err)
{
    if (!o->data) return ag_fail(err, AG_ERR_USAGE, "--data is missing: development pairs with gold tiers");
    if (o->judged && !o->choice.model && !o->dry_run)
        return ag_fail(err, AG_ERR_USAGE,
                       "--model is missing: whose judgements these are, and where the calibration is stored "
                       "(or --dry-run)");
    AG_TRY(ag_path_distinct(o->judged, o->data, err));
    return ag_decide_check(&o->decide, err);
}

/* Model, rulebook and the judge as the model is: no calibration, argmax. */
static ag_status open_setup(ag_judge_setup *s, const calibrate_options *o, ag_error *err)
{
    if (o->choice.model || !o->judged) AG_TRY(ag_setup_model(s, &o->choice, err));
    AG_TRY(ag_setup_rules(s, o->rules, o->lexicon, err));
    if (!o->judged) AG_TRY(ag_setup_judge(s, &o->choice, err));
    return ag_setup_decision(s, &o->decide, err);
}

static ag_status store(ag_judge_setup *s, ag_calibration *c, const calibrate_options *o, const json_t *report,
                       ag_error *err)
{
    AG_TRY(ag_setup_digest(s, err));
    memcpy(c->model, s->model_digest, sizeof c->model);
    memcpy(c->rulebook, s->book->digest, sizeof c->rulebook);
    return save(s, c, o, report, err);
}

static ag_status calibrate(const calibrate_options *o, ag_error *err)
{
    ag_judge_setup s = {0};
    ag_pair_list pairs = {0};
    ag_judgement *judged = NULL;
    json_t *report = NULL;
    ag_calibration c;
    ag_status status = check(o, err);
    if (status == AG_OK) status = open_setup(&s, o, err);
    if (status == AG_OK)
        status = ag_gold_load(&pairs, s.book, s.lexicon, o->data, o->aggregate, o->limit, err);
    if (status == AG_OK)
        status = o->judged ? ag_judged_load(&judged, &pairs, s.book, o->judged, err)
                           : ag_gold_judge(&judged, s.judge, &pairs, 0, err);
    ag_calibration_input input = {.book = s.book,
                                  .pairs = &pairs,
                                  .judged = judged,
                                  .decision = &s.decision,
                                  .temperature_only = o->temperature_only,
                                  .draws = (int)o->draws,
                                  .thresholds = (int)o->thresholds,
                                  .seed = (uint64_t)o->seed};
    if (status == AG_OK) status = ag_calibration_report(&c, &report, &input, err);
    if (status == AG_OK) print_warnings(report);
    if (status == AG_OK && !o->dry_run) status = store(&s, &c, o, report, err);
    if (status == AG_OK) status = ag_print_result(report, o->json, ag_calibration_table, err);
    json_decref(report);
    ag_judgements_free(judged, judged ? pairs.count : 0);
    ag_pair_list_free(&pairs);
    ag_setup_close(&s);
    return status;
}

int ag_cmd_calibrate(int argc, char **argv)
{
    calibrate_options o = {.choice = AG_MODEL_CHOICE_DEFAULTS,
                           .decide = AG_DECIDE_CHOICE_DEFAULTS,
                           .aggregate = "given",
                           .draws = 1000,
                           .seed = 1,
                           .thresholds = 9};
    const ag_option options[] = {
        AG_MODEL_OPTIONS(o.choice),
        {"rules", AG_OPT_STRING, &o.rules, "BOOK", "the rulebook", 0, 0},
        {"lexicon", AG_OPT_STRING, &o.lexicon, "FILE",
         "what the parser knows of the catalogue (default: the model's own)", 0, 0},
        {"data", AG_OPT_STRING, &o.data, "PAIRS",
         "development pairs with gold tiers, in the mix that the judge will meet", 0, 0},
        {"judged", AG_OPT_STRING, &o.judged, "FILE",
         "judgements of these pairs that the model made before (agrl judge --calibration off --out), in "
         "place of judging",
         0, 0},
        {"aggregate", AG_OPT_CHOICE, &o.aggregate, "given|majority|median|soft",
         "how ratings become gold; soft: the raters' shares (default given)", 0, 0},
        {"limit", AG_OPT_INT, &o.limit, "N", "only the first N pairs; 0: all", 0, 1e12},
        {"temperature-only", AG_OPT_FLAG, &o.temperature_only, NULL,
         "no biases: fewer numbers to fit, for few queries", 0, 0},
        AG_DECIDE_OPTIONS(o.decide, "what is stored as the judge's own decision (default argmax)"),
        {"thresholds", AG_OPT_INT, &o.thresholds, "N", "points of the curve of thresholds", 0, 999},
        {"draws", AG_OPT_INT, &o.draws, "N", "bootstrap draws; 0: no intervals", 0, 100000},
        {"seed", AG_OPT_INT, &o.seed, "N", "of the parts of the cross-fit and of the bootstrap", 0, 9e15},
        {"dry-run", AG_OPT_FLAG, &o.dry_run, NULL, "print, and store nothing", 0, 0},
        {"json", AG_OPT_FLAG, &o.json, NULL, "one JSON object", 0, 0},
        {NULL, AG_OPT_FLAG, NULL, NULL, NULL, 0, 0}};
    const ag_usage usage = {"agrl calibrate --model M --rules BOOK --data PAIRS [options]",
                            "Fits a temperature and a bias for each tier, so that the judge's probabilities "
                            "mean what they say, and stores them with the "
                            "model: agrl judge and agrl eval use them from then on (--calibration off: not). "
                            "--decide, --threshold and --costs "
                            "are stored as the decision that judge takes by itself. Figures before and "
                            "after, also on queries that the fit did not see, "
                            "and what each decision and threshold makes of precision and recall. "
                            "docs/CALIBRATION.md explains it.",
                            0, 0};
    char **args;
    int n, code = ag_options_parse(&usage, options, argc, argv, &args, &n);
    if (code >= 0) return code;
    ag_error err = {0};
    return calibrate(&o, &err) == AG_OK ? 0 : ag_cli_fail(&err);
}
