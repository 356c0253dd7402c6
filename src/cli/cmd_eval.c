/* cmd_eval.c: `agrl eval` and `agrl report`: how good a judge or a ranking is, as a table, as JSON and as a page. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/gold.h"
#include "cli/judge_open.h"
#include "cli/print.h"
#include "eval/judged.h"
#include "eval/ranking.h"
#include "eval/report.h"

typedef struct evaluation {
    ag_judge_setup setup;
    ag_pair_list pairs;
    ag_judgement *judged;
    ag_record *records;
    ag_arena arena;
    json_t *metrics;
} evaluation;

/* Judgements that were made before, by the decision asked for. */
static void redecide(evaluation *e, ag_judgement *judged)
{
    for (size_t i = 0; i < e->pairs.count; i++)
        ag_judgement_decide(&judged[i], e->setup.book, &e->setup.decision);
}

/* What is measured of each judgement. */
static ag_status fill_records(ag_record **records, evaluation *e, const ag_judgement *judged, ag_error *err)
{
    size_t n = e->pairs.count;
    *records = ag_arena_alloc(&e->arena, n, sizeof **records);
    if (!*records) return ag_fail_memory(err, "judgements");
    for (size_t i = 0; i < n; i++)
        AG_TRY(ag_record_fill(&(*records)[i], e->setup.book, e->pairs.items[i], &judged[i], &e->arena, err));
    return AG_OK;
}

/* config.yaml and metrics.jsonl of a run folder, when `dir` is one. */
typedef struct run_files {
    char *config, *metrics;
} run_files;

static ag_status find_run(const char *dir, run_files *files, ag_error *err)
{
    char *config = ag_path_join(dir, "config.yaml"), *metrics = ag_path_join(dir, "metrics.jsonl");
    size_t len;
    ag_status status = config && metrics ? AG_OK : ag_fail_memory(err, "path");
    *files = (run_files){0};
    if (status == AG_OK && ag_path_exists(config))
        status = ag_file_read(config, 1 << 20, &files->config, &len, err);
    if (status == AG_OK && ag_path_exists(metrics)) {
        files->metrics = metrics;
        metrics = NULL;
    }
    ag_free(config);
    ag_free(metrics);
    return status;
}

static ag_status write_report(const evaluation *e, const char *title, const char *run_dir, const char *path,
                              ag_error *err)
{
    run_files files = {0};
    ag_records set = {e->setup.book, e->records, e->pairs.count};
    ag_status status = run_dir ? find_run(run_dir, &files, err) : AG_OK;
    ag_report_input input = {title, files.config, files.metrics, e->metrics, &set};
    if (status == AG_OK) status = ag_report_write(path, &input, err);
    ag_free(files.config);
    ag_free(files.metrics);
    if (status == AG_OK) ag_say("report: %s", path);
    return status;
}

typedef struct eval_options {
    ag_model_choice choice;
    ag_decide_choice decide;
    const char *rules, *lexicon, *data, *report, *out, *aggregate;
    ag_option_list judged, against; /* runs of a judge; of the first of judged everything is measured */
    const char *run, *qrels, *measures;
    long limit, answers, draws, seed;
    bool json;
} eval_options;

/* What would fail only when everything is judged is looked at first. */
static ag_status check_outputs(const eval_options *o, ag_error *err)
{
    const char *const outs[] = {o->out, o->report};
    for (int i = 0; i < 2; i++) {
        AG_TRY(ag_path_out_ready(outs[i], err));
        AG_TRY(ag_path_distinct(outs[i], o->data, err));
        for (int k = 0; k < o->judged.count; k++) AG_TRY(ag_path_distinct(outs[i], o->judged.items[k], err));
        for (int k = 0; k < o->against.count; k++)
            AG_TRY(ag_path_distinct(outs[i], o->against.items[k], err));
    }
    if (o->out && o->report && (strcmp(o->out, o->report) == 0 || ag_path_same(o->out, o->report)))
        return ag_fail(err, AG_ERR_USAGE, "--out and --report are the same file");
    return AG_OK;
}

/* Records of the judgements in files [from, list->count) into sets. */
static ag_status load_runs(ag_records *sets, evaluation *e, const eval_options *o, const ag_option_list *list,
                           int from, ag_error *err)
{
    ag_status status = AG_OK;
    for (int i = from; i < list->count && status == AG_OK; i++) {
        ag_judgement *judged = NULL;
        ag_record *records = NULL;
        status = ag_judged_load(&judged, &e->pairs, e->setup.book, list->items[i], err);
        if (status == AG_OK && o->decide.decide) redecide(e, judged);
        if (status == AG_OK) status = fill_records(&records, e, judged, err);
        for (size_t k = 0; status == AG_OK && k < e->pairs.count; k++)
            records[k].answer = NULL; /* it goes with its judgement */
        sets[i] = (ag_records){e->setup.book, records, e->pairs.count};
        ag_judgements_free(judged, judged ? e->pairs.count : 0);
    }
    return status;
}

/* Another judge's judgements of the same pairs, and how the two differ. */
static ag_status hold_against(evaluation *e, const eval_options *o, const ag_records *records, ag_error *err)
{
    size_t own = o->judged.count > 1 ? (size_t)o->judged.count : 1, other = (size_t)o->against.count;
    ag_records *sets = ag_calloc(own + other, sizeof *sets);
    json_t *against = NULL;
    if (!sets) return ag_fail_memory(err, "judgements");
    sets[0] = *records;
    ag_status status = load_runs(sets, e, o, &o->judged, 1, err);
    if (status == AG_OK) status = load_runs(sets + own, e, o, &o->against, 0, err);
    if (status == AG_OK)
        status = ag_against_json(&against, o->against.items[0], &(ag_judge_runs){sets, own},
                                 &(ag_judge_runs){sets + own, other}, (int)o->draws, (uint64_t)o->seed, err);
    if (status == AG_OK && json_object_set_new(e->metrics, "against", against) != 0)
        status = ag_fail_memory(err, "comparison");
    ag_free(sets);
    return status;
}

static ag_status evaluate(const eval_options *o, ag_error *err)
{
    evaluation e = {.arena = {.name = "evaluation"}};
    const char *judged = o->judged.count ? o->judged.items[0] : NULL;
    ag_status status = AG_OK;
    if (!o->data)
        status = ag_fail(err, AG_ERR_USAGE,
                         "--data is missing: pairs with gold tiers (or --run and --qrels: a ranking)");
    else if (judged && o->choice.model)
        status = ag_fail(err, AG_ERR_USAGE, "--judged and --model exclude each other");
    else if (judged && !ag_streq(o->decide.calibration, "auto"))
        status = ag_fail(err, AG_ERR_USAGE, "--judged and --calibration exclude each other");
    else if (o->judged.count > 1 && !o->against.count)
        status = ag_fail(
            err, AG_ERR_USAGE,
            "several --judged are runs to hold --against another judge's: give that, or one file");
    else if (o->against.count && o->draws == 0)
        status = ag_fail(err, AG_ERR_USAGE, "--against tests by bootstrap: it needs --draws");
    if (status == AG_OK) status = ag_decide_check(&o->decide, err);
    if (status == AG_OK) status = check_outputs(o, err);
    if (status == AG_OK && !judged) status = ag_setup_model(&e.setup, &o->choice, err);
    if (status == AG_OK) status = ag_setup_rules(&e.setup, o->rules, o->lexicon, err);
    if (status == AG_OK && judged) status = ag_setup_decision(&e.setup, &o->decide, err);
    if (status == AG_OK && !judged) status = ag_setup_calibration(&e.setup, &o->decide, err);
    if (status == AG_OK && !judged) status = ag_setup_judge(&e.setup, &o->choice, err);
    if (status == AG_OK)
        status = ag_gold_load(&e.pairs, e.setup.book, e.setup.lexicon, o->data, o->aggregate, o->limit, err);
    if (status == AG_OK)
        status = judged ? ag_judged_load(&e.judged, &e.pairs, e.setup.book, judged, err)
                        : ag_gold_judge(&e.judged, e.setup.judge, &e.pairs, o->answers, err);
    if (status == AG_OK && judged && o->decide.decide) redecide(&e, e.judged);
    if (status == AG_OK) status = fill_records(&e.records, &e, e.judged, err);
    ag_records set = {e.setup.book, e.records, e.pairs.count};
    if (status == AG_OK) status = ag_metrics_json(&e.metrics, &set, (int)o->draws, (uint64_t)o->seed, err);
    if (status == AG_OK && o->against.count) status = hold_against(&e, o, &set, err);
    if (status == AG_OK && o->out) status = ag_json_save(o->out, e.metrics, err);
    if (status == AG_OK && o->report)
        status = write_report(&e, judged ? judged : o->choice.model, judged ? NULL : o->choice.model,
                              o->report, err);
    if (status == AG_OK) status = ag_print_result(e.metrics, o->json, ag_metrics_table, err);
    json_decref(e.metrics);
    ag_judgements_free(e.judged, e.judged ? e.pairs.count : 0);
    ag_pair_list_free(&e.pairs);
    ag_arena_free(&e.arena);
    ag_setup_close(&e.setup);
    return status;
}

/* --- a run of any system against qrels: no model, no rulebook ------------------------------------------------------- */

static ag_status check_run(const eval_options *o, ag_error *err)
{
    const ag_model_choice plain = AG_MODEL_CHOICE_DEFAULTS;
    const ag_decide_choice undecided = AG_DECIDE_CHOICE_DEFAULTS;
    const struct {
        const char *name, *value;
    } others[] = {{"model", o->choice.model},
                  {"device", ag_streq(o->choice.device, plain.device) ? NULL : ""},
                  {"dtype", ag_streq(o->choice.dtype, plain.dtype) ? NULL : ""},
                  {"threads", o->choice.threads == plain.threads ? NULL : ""},
                  {"kv-slots", o->choice.kv_slots == plain.kv_slots ? NULL : ""},
                  {"max-positions", o->choice.max_positions == plain.max_positions ? NULL : ""},
                  {"aggregate", ag_streq(o->aggregate, "given") ? NULL : ""},
                  {"calibration", ag_streq(o->decide.calibration, undecided.calibration) ? NULL : ""},
                  {"decide", o->decide.decide},
                  {"threshold", o->decide.threshold == undecided.threshold ? NULL : ""},
                  {"costs", o->decide.costs},
                  {"judged", o->judged.count ? "" : NULL},
                  {"against", o->against.count ? "" : NULL},
                  {"rules", o->rules},
                  {"data", o->data},
                  {"lexicon", o->lexicon},
                  {"report", o->report},
                  {"limit", o->limit ? "" : NULL},
                  {"answers", o->answers >= 0 ? "" : NULL}};
    if (!o->run) return ag_fail(err, AG_ERR_USAGE, "--run is missing: the documents that a system returned");
    if (!o->qrels)
        return ag_fail(err, AG_ERR_USAGE, "--qrels is missing: the judgments that --run is held against");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (others[i].value)
            return ag_fail(err, AG_ERR_USAGE, "--run and --%s exclude each other", others[i].name);
    if (strcmp(o->run, "-") == 0 && strcmp(o->qrels, "-") == 0)
        return ag_fail(err, AG_ERR_USAGE, "--run and --qrels cannot both come from standard input");
    AG_TRY(ag_path_out_ready(o->out, err));
    AG_TRY(ag_path_distinct(o->out, o->run, err));
    return ag_path_distinct(o->out, o->qrels, err);
}

static ag_status evaluate_run(const eval_options *o, ag_error *err)
{
    ag_rank_measure *measures = NULL;
    size_t count = 0;
    ag_trec qrels = {0}, run = {0};
    json_t *metrics = NULL;
    ag_status status = check_run(o, err);
    if (status == AG_OK) status = ag_rank_measures_parse(&measures, &count, o->measures, err);
    if (status == AG_OK) status = ag_trec_load_qrels(&qrels, o->qrels, err);
    if (status == AG_OK) status = ag_trec_load_run(&run, o->run, err);
    if (status == AG_OK)
        status = ag_rank_json(&metrics, &qrels, &run, measures, count, (int)o->draws, (uint64_t)o->seed, err);
    if (status == AG_OK && o->out) status = ag_json_save(o->out, metrics, err);
    if (status == AG_OK) status = ag_print_result(metrics, o->json, ag_rank_table, err);
    json_decref(metrics);
    ag_trec_free(&qrels);
    ag_trec_free(&run);
    ag_free(measures);
    return status;
}

int ag_cmd_eval(int argc, char **argv)
{
    eval_options o = {.choice = AG_MODEL_CHOICE_DEFAULTS,
                      .decide = AG_DECIDE_CHOICE_DEFAULTS,
                      .aggregate = "given",
                      .measures = "nDCG@10,P@10,AP,RR,R@100",
                      .answers = -1,
                      .draws = 1000,
                      .seed = 1};
    ag_str measures = {0};
    ag_str_addf(
        &measures,
        "of --run, by the names of ir_measures (default %s); rel: the lowest grade that is relevant (1):",
        o.measures);
    ag_rank_measures_help(&measures);
    const ag_option options[] = {
        AG_MODEL_OPTIONS(o.choice),
        {"rules", AG_OPT_STRING, &o.rules, "BOOK", "the rulebook", 0, 0},
        {"lexicon", AG_OPT_STRING, &o.lexicon, "FILE",
         "what the parser knows of the catalogue (default: the model's own)", 0, 0},
        {"data", AG_OPT_STRING, &o.data, "PAIRS", "pairs with gold tiers", 0, 0},
        AG_CALIBRATION_OPTION(o.decide),
        AG_DECIDE_OPTIONS(o.decide, AG_DECIDE_DEFAULT),
        {"judged", AG_OPT_LIST, &o.judged, "FILE",
         "judgements made before (agrl judge --out), in place of a model", 0, 0},
        {"against", AG_OPT_LIST, &o.against, "FILE",
         "another judge's judgements of the same pairs: differences, paired over queries. With several files "
         "for either, the runs of "
         "one judge, of their means",
         0, 0},
        {"aggregate", AG_OPT_CHOICE, &o.aggregate, "given|majority|median|soft",
         "how ratings become gold (default given)", 0, 0},
        {"limit", AG_OPT_INT, &o.limit, "N", "only the first N pairs; 0: all", 0, 1e12},
        {"answers", AG_OPT_INT, &o.answers, "N", "whole answers for the first N pairs only; -1: all", -1,
         1e12},
        {"run", AG_OPT_STRING, &o.run, "FILE",
         "a TREC run (query Q0 doc rank score tag), in place of a judge", 0, 0},
        {"qrels", AG_OPT_STRING, &o.qrels, "FILE", "the judgments of --run (query iteration doc relevance)",
         0, 0},
        {"measures", AG_OPT_STRING, &o.measures, "LIST", ag_str_text(&measures), 0, 0},
        {"draws", AG_OPT_INT, &o.draws, "N", "bootstrap draws; 0: no intervals", 0, 100000},
        {"seed", AG_OPT_INT, &o.seed, "N", "of the bootstrap", 0, 9e15},
        {"report", AG_OPT_STRING, &o.report, "FILE", "write report.html here", 0, 0},
        {"out", AG_OPT_STRING, &o.out, "FILE", "write every number as JSON here", 0, 0},
        {"json", AG_OPT_FLAG, &o.json, NULL, "print JSON", 0, 0},
        {NULL, AG_OPT_FLAG, NULL, NULL, NULL, 0, 0}};
    const ag_usage usage = {"agrl eval --model M --rules BOOK --data PAIRS [options]\n"
                            "       agrl eval --run RUN --qrels QRELS [--measures LIST]",
                            "Measures a judge on labelled pairs: tiers by probability, and format, "
                            "self-consistency and rule adherence of greedy answers "
                            "without a grammar mask. Intervals are by bootstrap over queries. "
                            "With --run, measures the ranking of any system against qrels, as trec_eval and "
                            "ir_measures do.",
                            0, 0};
    char **args;
    int n, code = ag_options_parse(&usage, options, argc, argv, &args, &n);
    ag_str_free(&measures);
    if (code >= 0) return code;
    ag_error err = {0};
    ag_status status = o.run || o.qrels ? evaluate_run(&o, &err) : evaluate(&o, &err);
    return status == AG_OK ? 0 : ag_cli_fail(&err);
}

static ag_status report(const char *run_dir, const char *metrics_path, const char *out, ag_error *err)
{
    run_files files;
    json_t *metrics = NULL;
    char *path = out ? ag_strdup(out) : ag_path_join(run_dir, "report.html");
    ag_status status = path ? find_run(run_dir, &files, err) : ag_fail_memory(err, "path");
    if (status != AG_OK) {
        ag_free(path);
        return status;
    }
    if (!files.config && !files.metrics)
        status = ag_fail(err, AG_ERR_INPUT, "%s: not a run folder (no config.yaml, no metrics.jsonl)",
                         run_dir);
    if (status == AG_OK && metrics_path) status = ag_json_load(&metrics, metrics_path, err);
    ag_report_input input = {run_dir, files.config, files.metrics, metrics, NULL};
    if (status == AG_OK) status = ag_report_write(path, &input, err);
    if (status == AG_OK) printf("%s\n", path);
    json_decref(metrics);
    ag_free(files.config);
    ag_free(files.metrics);
    ag_free(path);
    return status;
}

int ag_cmd_report(int argc, char **argv)
{
    const char *out = NULL, *metrics = NULL;
    const ag_option options[] = {
        {"out", AG_OPT_STRING, &out, "FILE", "where to write (default RUN/report.html)", 0, 0},
        {"metrics", AG_OPT_STRING, &metrics, "FILE", "numbers of agrl eval --out", 0, 0},
        {NULL, AG_OPT_FLAG, NULL, NULL, NULL, 0, 0}};
    const ag_usage usage = {
        "agrl report RUN [options]",
        "Writes a run's page: settings, learning curves and, with --metrics, its evaluation.", 1, 1};
    char **args;
    int n, code = ag_options_parse(&usage, options, argc, argv, &args, &n);
    if (code >= 0) return code;
    ag_error err = {0};
    return report(args[0], metrics, out, &err) == AG_OK ? 0 : ag_cli_fail(&err);
}
