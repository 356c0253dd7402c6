/* cmd_sxs_make.c: `agrl sxs plan` and `agrl sxs create`: what a study costs and tells, and its file. */
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/cmd_sxs.h"
#include "cli/options.h"
#include "cli/print.h"
#include "sxs/plan.h"
#include "sxs/store.h"

typedef struct making {
    const char *queries, *runs[AG_SXS_SYSTEMS], *catalogue, *gold, *out;
    ag_option_list maps;
    long k, good, seed;
    bool as_json;
    ag_sxs_wish wish;
    ag_sxs_settings settings;
    double gold_least;
    ag_sxs_log log;
} making;

#define MAKING_DEFAULTS                                                                                      \
    {                                                                                                        \
        .k = 10, .seed = 1, .wish = {.sd = 1, .judges = 2}, .gold_least = 3, .settings = {                   \
            .names = {"old", "new"},                                                                         \
            .repeats = 0.05,                                                                                 \
            .checks = 0.1,                                                                                   \
            .gold_cutoff = 0.7                                                                               \
        }                                                                                                    \
    }

/* Rows that both commands have. */
#define INPUT_OPTIONS(m)                                                                                     \
    {"queries",                                                                                              \
     AG_OPT_STRING,                                                                                          \
     &(m).queries,                                                                                           \
     "FILE",                                                                                                 \
     "the log: queries with traffic, strata and types (JSONL)",                                              \
     0,                                                                                                      \
     0},                                                                                                     \
        {"old",                                                                                              \
         AG_OPT_STRING,                                                                                      \
         &(m).runs[AG_SXS_OLD],                                                                              \
         "RUN",                                                                                              \
         "the ranking that there is (TREC run or JSONL)",                                                    \
         0,                                                                                                  \
         0},                                                                                                 \
        {"new", AG_OPT_STRING, &(m).runs[AG_SXS_NEW], "RUN", "the ranking that may replace it", 0, 0},       \
        {"k", AG_OPT_INT, &(m).k, "N", "how many results are compared", 1, AG_SXS_K_MOST},                   \
        {"precision",                                                                                        \
         AG_OPT_NUMBER,                                                                                      \
         &(m).wish.precision,                                                                                \
         "X",                                                                                                \
         "wanted half-width of the net preference, such as 0.05",                                            \
         0.001,                                                                                              \
         1},                                                                                                 \
        {"n", AG_OPT_INT, &(m).wish.n, "N", "or the number of queries to judge", 1, AG_SXS_MOST},            \
        {"sd",                                                                                               \
         AG_OPT_NUMBER,                                                                                      \
         &(m).wish.sd,                                                                                       \
         "X",                                                                                                \
         "standard deviation of an answer's value (an earlier study's report has it)",                       \
         0.01,                                                                                               \
         1},                                                                                                 \
    {                                                                                                        \
        "judges", AG_OPT_INT, &(m).wish.judges, "N", "people for each query", 1, 100                         \
    }

static ag_status load(making *m, ag_error *err)
{
    if (!m->queries || !m->runs[AG_SXS_OLD] || !m->runs[AG_SXS_NEW])
        return ag_fail(err, AG_ERR_USAGE, "--queries, --old and --new are needed");
    if (m->wish.n > 0 && m->wish.precision > 0)
        return ag_fail(err, AG_ERR_USAGE, "--n and --precision exclude each other");
    AG_TRY(ag_sxs_log_load(&m->log, m->queries, m->runs, (int)m->k, err));
    for (int s = 0; s < AG_SXS_SYSTEMS; s++) {
        if (m->log.missing[s])
            ag_warn("%s lacks %zu queries of the log: they count as without results", m->runs[s],
                    m->log.missing[s]);
        if (m->log.unknown[s])
            ag_warn("%s has %zu queries that the log lacks: left out", m->runs[s], m->log.unknown[s]);
    }
    return AG_OK;
}

int ag_cmd_sxs_plan(int argc, char **argv)
{
    static const ag_usage usage = {
        "agrl sxs plan --queries LOG --old RUN --new RUN [options]",
        "What a side-by-side study would tell: for how much of the traffic the two rankings differ, and how "
        "narrow the interval of the net preference gets by the number of queries judged. Nothing is written. "
        "docs/SXS.md describes the files.",
        0, 0};
    making m = MAKING_DEFAULTS;
    const ag_option options[] = {
        INPUT_OPTIONS(m), {"json", AG_OPT_FLAG, &m.as_json, NULL, "one JSON object", 0, 0}, {0}};
    char **args;
    int nargs, code = ag_options_parse(&usage, options, argc, argv, &args, &nargs);
    if (code >= 0) return code;
    ag_error err = {0};
    json_t *json = NULL;
    ag_status status = load(&m, &err);
    if (status == AG_OK) status = ag_sxs_plan_json(&json, &m.log, &m.wish, &err);
    if (status == AG_OK) status = ag_print_result(json, m.as_json, ag_sxs_plan_table, &err);
    json_decref(json);
    ag_sxs_log_free(&m.log);
    return status == AG_OK ? 0 : ag_cli_fail(&err);
}

/* Draws, gathers what will be shown, and writes the study. */
static ag_status make_study(making *m, ag_sxs_design *design, bool *chosen, ag_error *err)
{
    ag_sxs_log *log = &m->log;
    AG_TRY(ag_sxs_design_draw(chosen, design, log->units, m->settings.seed, err));
    for (size_t i = 0; i < log->count; i++)
        for (int s = 0; s < AG_SXS_SYSTEMS && chosen[i]; s++)
            AG_TRY(ag_sxs_log_want(log, &log->queries[i].lists[s], err));
    for (size_t c = 0; c < log->check_count; c++)
        for (int s = 0; s < AG_SXS_SYSTEMS; s++) AG_TRY(ag_sxs_log_want(log, &log->checks[c].lists[s], err));
    ag_catalogue_file file = {.path = m->catalogue, .maps = m->maps.items, .map_count = m->maps.count};
    AG_TRY(ag_sxs_log_items(log, &file, err));
    return ag_sxs_store_create(m->out, log, design, chosen, &m->settings, err);
}

static ag_status create(making *m, ag_error *err)
{
    size_t n = 0;
    ag_sxs_design design = {0};
    bool *chosen = NULL;
    ag_sxs_settings *s = &m->settings;
    if (!m->catalogue) return ag_fail(err, AG_ERR_USAGE, "--catalogue is needed: judges see titles, not ids");
    if (m->wish.n == 0 && m->wish.precision <= 0)
        return ag_fail(err, AG_ERR_USAGE, "--precision or --n is needed; 'agrl sxs plan' shows what n buys");
    if (m->good > m->k) return ag_fail(err, AG_ERR_USAGE, "--good-at-least is more than --k");
    if (strcmp(s->names[AG_SXS_OLD], s->names[AG_SXS_NEW]) == 0)
        return ag_fail(err, AG_ERR_USAGE, "both rankings are called '%s'", s->names[AG_SXS_OLD]);
    if (ag_path_exists(m->out))
        return ag_fail(err, AG_ERR_USAGE, "%s is there already: choose another name", m->out);
    AG_TRY(ag_path_out_ready(m->out, err));
    AG_TRY(load(m, err));
    if (m->gold) AG_TRY(ag_sxs_log_checks(&m->log, m->gold, err));
    AG_TRY(ag_sxs_plan_size(&n, &m->log, &m->wish, err));
    s->k = (int)m->k;
    s->good_at_least = (int)(m->good ? m->good : (m->k + 1) / 2);
    s->judges = (int)m->wish.judges;
    s->gold_least = (int)m->gold_least;
    s->seed = (uint64_t)m->seed;
    s->precision = m->wish.precision;
    s->sd = m->wish.sd;
    ag_status status = ag_sxs_design_make(&design, m->log.units, m->log.count, m->log.strata_count, n, err);
    if (status == AG_OK && !(chosen = ag_calloc(m->log.count, sizeof *chosen)))
        status = ag_fail_memory(err, "sample of queries");
    if (status == AG_OK) status = make_study(m, &design, chosen, err);
    if (status == AG_OK)
        ag_say("%s: %zu queries for %ld people each, %zu checks; the net preference will be known within "
               "+-%.1f%%",
               m->out, n, m->wish.judges, m->log.check_count,
               100 * ag_sxs_half_width(&design, m->wish.sd, m->wish.judges));
    if (status == AG_OK && m->log.check_count == 0)
        ag_warn("no checks (--gold): careless judges cannot be told from careful ones");
    ag_sxs_design_free(&design);
    ag_free(chosen);
    return status;
}

int ag_cmd_sxs_create(int argc, char **argv)
{
    static const ag_usage usage = {
        "agrl sxs create STUDY --queries LOG --old RUN --new RUN --catalogue FILE (--precision X | --n N) "
        "[options]",
        "Makes a study: draws queries by traffic, and writes them with both lists and their items into "
        "STUDY, an "
        "SQLite file. Then 'agrl sxs invite' and 'agrl sxs serve'. docs/SXS.md describes the files.",
        1, 1};
    making m = MAKING_DEFAULTS;
    const ag_option options[] = {
        INPUT_OPTIONS(m),
        {"catalogue", AG_OPT_STRING, &m.catalogue, "FILE", "items with title, price, stock, image", 0, 0},
        {"map", AG_OPT_LIST, &m.maps, "COLUMN=FIELD",
         "a column of the catalogue by another name; may be repeated", 0, 0},
        {"gold", AG_OPT_STRING, &m.gold, "FILE", "checks with a known answer (JSONL)", 0, 0},
        {"gold-share", AG_OPT_NUMBER, &m.settings.checks, "X", "checks for each query shown", 0, 1},
        {"gold-cutoff", AG_OPT_NUMBER, &m.settings.gold_cutoff, "X",
         "judges who pass a smaller share are left out", 0, 1},
        {"gold-least", AG_OPT_NUMBER, &m.gold_least, "N", "checks before the cut-off counts", 1, 1000},
        {"good-at-least", AG_OPT_INT, &m.good, "N", "good items that make a query good; 0: half of k", 0,
         AG_SXS_K_MOST},
        {"repeats", AG_OPT_NUMBER, &m.settings.repeats, "X", "share shown again with sides swapped", 0, 0.5},
        {"old-name", AG_OPT_STRING, &m.settings.names[AG_SXS_OLD], "NAME", "in the report (old)", 0, 0},
        {"new-name", AG_OPT_STRING, &m.settings.names[AG_SXS_NEW], "NAME", "in the report (new)", 0, 0},
        {"seed", AG_OPT_INT, &m.seed, "N", "of the draw, of sides and orders", 0, 9e15},
        {0}};
    char **args;
    int nargs, code = ag_options_parse(&usage, options, argc, argv, &args, &nargs);
    if (code >= 0) return code;
    ag_error err = {0};
    m.out = args[0];
    ag_status status = create(&m, &err);
    ag_sxs_log_free(&m.log);
    return status == AG_OK ? 0 : ag_cli_fail(&err);
}
