/* cmd_verify.c: `agrl verify`: answers against a rulebook, no model. It is the verifier and reward of the trainer
 * with a file in front, so that other people's judges can be held against the same rules.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "data/pair.h"
#include "rules/facts.h"
#include "rules/verify.h"

typedef struct verifier {
    ag_book *book;
    ag_facts *facts;
    ag_lexicon *lexicon;
    ag_reward_options reward;
    ag_aggregate aggregate;
} verifier;

static ag_status open_rules(verifier *v, const char *rules, const char *lexicon, ag_error *err)
{
    ag_status status = ag_book_load(&v->book, rules, err);
    if (status) return status;
    ag_reward_defaults(&v->reward, v->book);
    AG_TRY(ag_facts_of_book(&v->facts, v->book, err));
    return ag_lexicon_open(&v->lexicon, v->facts, v->book, lexicon, err);
}

static void close_rules(verifier *v)
{
    ag_lexicon_free(v->lexicon);
    ag_facts_free(v->facts);
    ag_book_free(v->book);
}

/* `asked` absent is unknown, and the one parser fills it, as everywhere. */
static ag_status know_asked(const verifier *v, ag_pair *pair, ag_error *err)
{
    if (pair->asked.source != AG_ASKED_UNKNOWN) return AG_OK;
    return ag_asked_parse(&pair->asked, NULL, v->lexicon, pair->query, &pair->item, &pair->arena, err);
}

static ag_status verdict_line(const verifier *v, const ag_pair *pair, const char *answer, size_t len,
                              ag_str *out, ag_error *err)
{
    ag_verdict verdict;
    ag_str refusal = {0};
    ag_verify(v->book, &pair->asked, &pair->gold, answer, len, &v->reward, &verdict, &refusal);
    ag_status status = ag_str_ok(&refusal, err);
    json_t *line = status
                       ? NULL
                       : ag_verdict_to_json(v->book, &pair->asked, &verdict, pair->id, ag_str_text(&refusal));
    const char *source = pair->asked.source == AG_ASKED_PARSED ? "parsed" : "given";
    if (!status && (!line || json_object_set_new(line, "asked_source", json_string(source)))) {
        status = ag_fail_memory(err, "verdict");
    }
    if (!status) status = ag_json_dump(out, line, err);
    json_decref(line);
    ag_str_free(&refusal);
    return status;
}

/* One line of input into one line of output. */
static ag_status verify_line(const verifier *v, const char *path, long number, const char *text, size_t len,
                             ag_out *out, ag_error *err)
{
    json_t *line = NULL, *json, *answer;
    ag_pair *pair = NULL;
    ag_str result = {0};
    ag_status status = ag_json_parse(&line, text, len, path, number, err);
    if (status) goto out;
    json = json_object_get(line, "pair");
    answer = json_object_get(line, "answer");
    if (!json_is_object(json) || !json_is_string(answer)) {
        status = ag_fail(err, AG_ERR_INPUT, "%s:%ld: a line must be {\"pair\": {...}, \"answer\": \"...\"}",
                         path, number);
        goto out;
    }
    status = ag_pair_from_json(&pair, json, path, number, v->book, v->aggregate, err);
    if (!status) status = know_asked(v, pair, err);
    if (!status) {
        status = verdict_line(v, pair, json_string_value(answer), json_string_length(answer), &result, err);
    }
    if (status) goto out;
    ag_str_addc(&result, '\n');
    status = ag_str_ok(&result, err);
    if (!status) ag_out_write(out, result.data, result.len);
out:
    ag_str_free(&result);
    ag_pair_free(pair);
    json_decref(line);
    return status;
}

static ag_status verify_file(const verifier *v, const char *path, const char *to, ag_error *err)
{
    ag_lines *lines = NULL;
    ag_out *out = NULL;
    char *line;
    size_t len;
    ag_status status = ag_lines_open(&lines, path, err);
    if (!status) status = ag_path_distinct(to, path, err);
    if (!status) status = ag_out_open(&out, to, err);
    while (!status && !(status = ag_lines_next(lines, &line, &len, err)) && line) {
        if (!line[strspn(line, " \t\r")]) continue;
        status = verify_line(v, ag_lines_path(lines), ag_lines_number(lines), line, len, out, err);
    }
    ag_lines_close(lines);
    if (!status) return ag_out_commit(out, err);
    if (!strcmp(to, "-") && out) ag_out_flush(out, NULL); /* what was verified before the bad line */
    ag_out_abort(out);
    return status;
}

int ag_cmd_verify(int argc, char **argv)
{
    static const ag_usage usage = {"agrl verify --rules BOOK [FILE|-]",
                                   "Holds answers against a rulebook, without a model. Reads JSONL "
                                   "{\"pair\": {...}, \"answer\": \"...\"} and writes a "
                                   "verdict a line: format, tier, verdicts, rule, the derived tier and rule, "
                                   "gate, scores, reward terms and total "
                                   "(with the hard gate), and the reason of a refusal.",
                                   0, 1};
    const char *rules = NULL, *lexicon = NULL, *to = "-", *aggregate = "given";
    const ag_option options[] = {{.name = "rules",
                                  .kind = AG_OPT_STRING,
                                  .value = &rules,
                                  .meta = "BOOK",
                                  .help = "the rulebook (YAML)"},
                                 {.name = "lexicon",
                                  .kind = AG_OPT_STRING,
                                  .value = &lexicon,
                                  .meta = "FILE",
                                  .help = "the catalogue's values, for pairs that do not say what is asked"},
                                 {.name = "aggregate",
                                  .kind = AG_OPT_CHOICE,
                                  .value = &aggregate,
                                  .meta = "given|majority|median|soft",
                                  .help = "how ratings become the gold tier (default given)"},
                                 {.name = "out",
                                  .kind = AG_OPT_STRING,
                                  .value = &to,
                                  .meta = "FILE",
                                  .help = "where to write (default -)"},
                                 {.name = NULL}};
    verifier v = {0};
    ag_error err = {0};
    char **args;
    int nargs, code = ag_options_parse(&usage, options, argc, argv, &args, &nargs);
    if (code >= 0) return code;
    if (!rules) {
        ag_fail(&err, AG_ERR_USAGE, "verify needs --rules BOOK");
        return ag_cli_fail(&err);
    }
    for (int a = 0; a < 4; a++) {
        if (!strcmp(aggregate, ag_aggregate_names[a])) v.aggregate = (ag_aggregate)a;
    }
    ag_status status = open_rules(&v, rules, lexicon, &err);
    if (!status) status = verify_file(&v, nargs ? args[0] : "-", to, &err);
    close_rules(&v);
    return status ? ag_cli_fail(&err) : 0;
}
