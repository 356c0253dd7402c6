/* cmd_export.c: `agrl export`: judgements of a judge, or the gold of pairs, as lists that search teams' tools read. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "data/export.h"
#include "eval/judged.h"

typedef struct settings {
    const char *judged, *data, *rules, *out, *queries, *tag, *grades, *aggregate;
    bool soft;
} settings;

typedef struct job {
    settings set;
    const ag_export_format *format;
    ag_book *book;
    ag_pair_list pairs;
    ag_judgement *judged; /* NULL: gold */
    size_t judged_count;
    ag_export list;
    ag_str description;
} job;

static bool by_gain(const job *j)
{
    return ag_streq(j->set.grades, "gain");
}

/* Expected gains in place of grades? */
static bool by_expected(const job *j)
{
    return j->set.soft || (j->format->flags & AG_EXPORT_RUN);
}

/* --- what is refused before anything is read ------------------------------------------------------------ */

static bool is_stdin(const char *path)
{
    return path && strcmp(path, "-") == 0;
}

static ag_status check_options(const job *j, ag_error *err)
{
    const settings *s = &j->set;
    bool trec = j->format->flags & AG_EXPORT_TREC, run = j->format->flags & AG_EXPORT_RUN;
    bool whole = j->format->flags & AG_EXPORT_WHOLE;
    const struct {
        bool wrong;
        const char *message;
    } rows[] = {
        {!s->data, "--data is missing: the pairs that were judged, or pairs with gold tiers"},
        {!s->rules, "--rules is missing: the rulebook whose tiers become grades"},
        {run && !s->judged, "a run needs --judged FILE (agrl judge --out): gold tiers do not rank"},
        {s->queries && !trec, "--queries is for qrels and run; this format holds the texts itself"},
        {s->tag && !run, "--tag is the name of a run; leave it out"},
        {s->tag && !ag_export_is_word(s->tag), "--tag must be one word: blanks divide the columns of a run"},
        {s->grades && run, "--grades is not for a run: its scores are expected gains"},
        {s->soft && whole, "qrels hold whole grades: leave --soft out, or export quepid or opensearch"},
        {s->soft && !s->judged, "--soft needs --judged FILE: gold tiers have no probabilities"},
        {s->soft && s->grades && !by_gain(j), "--soft writes expected gains: leave --grades out"},
        {s->aggregate && s->judged, "--judged and --aggregate exclude each other: ratings become gold"},
        {is_stdin(s->data) && is_stdin(s->judged),
         "--data and --judged cannot both come from standard input"},
        {s->queries && (strcmp(s->out, s->queries) == 0 || ag_path_same(s->out, s->queries)),
         "--out and --queries are the same file"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].wrong) return ag_fail(err, AG_ERR_USAGE, "%s", rows[i].message);
    return AG_OK;
}

static ag_status check_outputs(const settings *s, ag_error *err)
{
    const char *const outs[] = {s->out, s->queries};
    for (int i = 0; i < 2; i++) {
        AG_TRY(ag_path_out_ready(outs[i], err));
        AG_TRY(ag_path_distinct(outs[i], s->data, err));
        AG_TRY(ag_path_distinct(outs[i], s->judged, err));
        AG_TRY(ag_path_distinct(outs[i], s->rules, err));
    }
    return AG_OK;
}

/* The gains as grades: where they must be whole numbers, and where two tiers share one. */
static ag_status check_gains(const job *j, ag_error *err)
{
    for (int t = 0; t < j->book->tier_count && by_gain(j); t++) {
        const ag_tier *tier = &j->book->tiers[t];
        if ((j->format->flags & AG_EXPORT_WHOLE) && tier->gain != floor(tier->gain))
            return ag_fail(err, AG_ERR_USAGE,
                           "%s: the gain %g of tier '%s' is no whole number, as grades of qrels must be: "
                           "leave --grades out",
                           j->book->path, tier->gain, tier->id);
        if (t && tier->gain == tier[-1].gain && !by_expected(j))
            ag_warn("tiers '%s' and '%s' have the same gain: their judgements cannot be told apart",
                    tier[-1].id, tier->id);
    }
    return AG_OK;
}

/* --- rows ----------------------------------------------------------------------------------------------- */

/* Without judgements, pairs without gold have nothing to list. */
static ag_status count_gold(const job *j, ag_error *err)
{
    size_t without = 0;
    for (size_t i = 0; i < j->pairs.count; i++) without += j->pairs.items[i]->gold.tier < 0;
    if (without == j->pairs.count)
        return ag_fail(err, AG_ERR_INPUT,
                       "%s: no pair has a gold tier; --judged FILE exports judgements, --aggregate ratings",
                       j->set.data);
    if (without) ag_warn("%s: %zu pairs without a gold tier are left out", j->set.data, without);
    return AG_OK;
}

static ag_status load(job *j, ag_error *err)
{
    const char *aggregate = j->set.aggregate ? j->set.aggregate : "given";
    AG_TRY(ag_book_load(&j->book, j->set.rules, err));
    AG_TRY(check_gains(j, err));
    AG_TRY(ag_pairs_load(&j->pairs, j->set.data, j->book, ag_aggregate_find(aggregate), err));
    if (j->pairs.count == 0) return ag_fail(err, AG_ERR_INPUT, "%s: no pairs", j->set.data);
    if (!j->set.judged) return count_gold(j, err);
    j->judged_count = j->pairs.count;
    return ag_judged_load(&j->judged, &j->pairs, j->book, j->set.judged, err);
}

/* What is listed of pair i. */
static double value_of(const job *j, size_t i)
{
    int tier = j->judged ? j->judged[i].tier : j->pairs.items[i]->gold.tier;
    if (by_expected(j)) return j->judged[i].gain;
    return tier < 0 ? NAN : ag_export_grade(j->book, tier, by_gain(j));
}

/* All pairs give a row, so that a query has the same number in the qrels of the gold and in a run. */
static ag_status make_rows(job *j, ag_error *err)
{
    ag_export *list = &j->list;
    list->count = j->pairs.count;
    list->rows = ag_calloc(list->count, sizeof *list->rows);
    if (!list->rows) return ag_fail_memory(err, "judgements");
    for (size_t i = 0; i < list->count; i++)
        list->rows[i] = (ag_export_row){.pair = j->pairs.items[i], .value = value_of(j, i)};
    return ag_export_arrange(list, j->format, err);
}

/* --- writing -------------------------------------------------------------------------------------------- */

/* "3=4,2=3,1=2,0=1": the grades as --labels of agrl import takes them; of tiers with one grade the best. */
static void add_labels(ag_str *out, const job *j)
{
    double last = NAN;
    for (int t = 0; t < j->book->tier_count; t++) {
        double grade = ag_export_grade(j->book, t, by_gain(j));
        if (grade == last) continue;
        if (t) ag_str_addc(out, ',');
        ag_json_number(out, grade);
        ag_str_addf(out, "=%s", j->book->tiers[t].id);
        last = grade;
    }
}

static ag_status describe_list(job *j, ag_error *err)
{
    ag_str *text = &j->description;
    ag_str_addf(text, "%s by rulebook %s %s: ", j->judged ? "judgements" : "gold tiers", j->book->name,
                j->book->version);
    if (by_expected(j))
        ag_str_add(text, "expected gains");
    else
        add_labels(text, j);
    j->list.name = j->book->name;
    j->list.description = ag_str_text(text);
    j->list.tag = j->set.tag ? j->set.tag : "agrl";
    return ag_str_ok(text, err);
}

/* The list takes its name last: topics without a list mislead nobody. */
static ag_status write_files(job *j, ag_error *err)
{
    ag_out *out = NULL, *topics = NULL;
    ag_status status = ag_out_open(&out, j->set.out, err);
    if (status == AG_OK && j->set.queries) status = ag_out_open(&topics, j->set.queries, err);
    if (status == AG_OK) status = ag_export_write(&j->list, j->format, out, err);
    if (status == AG_OK && topics) {
        ag_export_topics(&j->list, topics);
        status = ag_out_commit(topics, err);
        topics = NULL;
    }
    if (status == AG_OK) {
        status = ag_out_commit(out, err);
        out = NULL;
    }
    ag_out_abort(topics);
    ag_out_abort(out);
    return status;
}

static void say_result(const job *j)
{
    ag_str labels = {0};
    if (!by_expected(j)) {
        ag_str_add(&labels, "; agrl import reads them with --labels ");
        add_labels(&labels, j);
    }
    ag_say("%s: %zu judgements of %zu queries%s", j->format->name, j->list.count, j->list.listed,
           ag_str_text(&labels));
    ag_str_free(&labels);
}

static ag_status run(job *j, const char *format, ag_error *err)
{
    AG_TRY(ag_export_find(&j->format, format, err));
    AG_TRY(check_options(j, err));
    AG_TRY(check_outputs(&j->set, err));
    AG_TRY(load(j, err));
    AG_TRY(make_rows(j, err));
    AG_TRY(describe_list(j, err));
    AG_TRY(write_files(j, err));
    say_result(j);
    return AG_OK;
}

static void job_free(job *j)
{
    ag_free(j->list.rows);
    ag_export_free(&j->list);
    ag_judgements_free(j->judged, j->judged ? j->judged_count : 0);
    ag_pair_list_free(&j->pairs);
    ag_book_free(j->book);
    ag_str_free(&j->description);
}

int ag_cmd_export(int argc, char **argv)
{
    job j = {.set = {.out = "-"}};
    settings *s = &j.set;
    const ag_option options[] = {
        {"judged", AG_OPT_STRING, &s->judged, "FILE",
         "judgements (agrl judge --out); left out: the gold of the pairs", 0, 0},
        {"data", AG_OPT_STRING, &s->data, "PAIRS", "the pairs that were judged; items need ids", 0, 0},
        {"rules", AG_OPT_STRING, &s->rules, "BOOK", "the rulebook whose tiers become grades", 0, 0},
        {"out", AG_OPT_STRING, &s->out, "FILE", "the list (.gz: compressed; default: standard output)", 0, 0},
        {"queries", AG_OPT_STRING, &s->queries, "FILE",
         "the queries of qrels or a run, a line of id, tab, text each", 0, 0},
        {"grades", AG_OPT_CHOICE, &s->grades, "position|gain",
         "a tier's grade: its position from the worst (0) up, or its gain (default position)", 0, 0},
        {"soft", AG_OPT_FLAG, &s->soft, NULL,
         "the expected gain in place of the likeliest tier's grade (a run has it anyway)", 0, 0},
        {"tag", AG_OPT_STRING, &s->tag, "NAME", "the name of the run (default agrl)", 0, 0},
        {"aggregate", AG_OPT_CHOICE, &s->aggregate, "given|majority|median",
         "how ratings become gold (default given)", 0, 0},
        {0},
    };
    ag_str text = {0};
    ag_error err = {0};
    char **args;
    int nargs;
    ag_str_add(&text, "Writes judgements, or the gold of pairs, as a list that other tools read. Formats:");
    for (const ag_export_format *f = ag_export_formats; f->name; f++)
        ag_str_addf(&text, "\n  %-10s  %s", f->name, f->summary);
    const ag_usage usage = {
        "agrl export FORMAT [--judged FILE] --data PAIRS --rules BOOK [--out FILE] [options]",
        ag_str_text(&text), 1, 1};
    int code = ag_options_parse(&usage, options, argc, argv, &args, &nargs);
    if (code < 0) code = run(&j, args[0], &err) == AG_OK ? 0 : ag_cli_fail(&err);
    job_free(&j);
    ag_str_free(&text);
    return code;
}
