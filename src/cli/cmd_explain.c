/* cmd_explain.c: `agrl explain`: why a sampled answer earned what it did, from a run's rollouts alone. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/options.h"

typedef struct filter {
    const char *id;
    long sample, most;
    bool wrong;
} filter;

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "-";
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

/* The answer as it was written, indented. */
static void add_answer(ag_str *out, const char *text)
{
    for (const char *at = text; *at;) {
        size_t n = strcspn(at, "\n");
        ag_str_add(out, "    | ");
        ag_str_addn(out, at, n);
        ag_str_addc(out, '\n');
        at += n + (at[n] != 0);
    }
}

static void add_gate(ag_str *out, const json_t *verdict)
{
    const json_t *derived = json_object_get(verdict, "derived");
    bool holds = json_is_true(json_object_get(verdict, "gate"));
    ag_str_addf(out,
                "  gate       %s: its verdicts give tier %s by rule %s, and it says tier %s by rule %s\n",
                holds ? "holds" : "broken", text_of(derived, "tier"), text_of(derived, "rule"),
                text_of(verdict, "tier"), text_of(verdict, "rule"));
}

/* Each term beside its score: what the gate took away shows as a score without its term. */
static void add_terms(ag_str *out, const json_t *verdict)
{
    const json_t *reward = json_object_get(verdict, "reward"), *scores = json_object_get(verdict, "scores");
    const char *key;
    json_t *term;
    json_object_foreach(json_object_get(reward, "terms"), key, term)
    {
        const json_t *score = json_object_get(scores, key);
        ag_str_addf(out, "  %-10s %+.3f", key, json_number_value(term));
        if (json_is_number(score)) ag_str_addf(out, "   score %.3f", json_number_value(score));
        ag_str_addc(out, '\n');
    }
    ag_str_addf(out, "  %-10s %+.3f\n", "reward", number_of(reward, "total"));
}

static void explain(ag_str *out, const json_t *line)
{
    const json_t *verdict = json_object_get(line, "verdict");
    long level = (long)number_of(line, "level");
    ag_str_addf(out, "%s  draw %ld  sample %ld", text_of(line, "id"), (long)number_of(line, "draw"),
                (long)number_of(line, "sample"));
    if (level > 0) ag_str_addf(out, "  with a hint of level %ld", level);
    ag_str_addf(out, "  policy after %ld updates\n", (long)number_of(line, "version"));
    add_answer(out, text_of(line, "text"));
    if (json_is_true(json_object_get(verdict, "format")))
        add_gate(out, verdict);
    else
        ag_str_addf(out, "  no answer  %s\n", text_of(verdict, "refused"));
    add_terms(out, verdict);
    const char *mode = json_string_value(json_object_get(line, "mode"));
    if (mode)
        ag_str_addf(out, "  guided     to be trained %s its hint; a token is e^%.2f as likely without it\n",
                    strcmp(mode, "transfer") == 0 ? "without" : "with", number_of(line, "reliance"));
    ag_str_addf(out, "  advantage  %+.3f%s\n\n", number_of(line, "advantage"),
                json_is_true(json_object_get(line, "trained")) ? ""
                : level > 0
                    ? "   not trained"
                    : "   not trained: its group has no signal, or guided answers stand in its place");
}

static bool wanted(const filter *f, const json_t *line)
{
    const json_t *verdict = json_object_get(line, "verdict");
    if (f->id && strcmp(text_of(line, "id"), f->id) != 0) return false;
    if (f->sample >= 0 && (long)number_of(line, "sample") != f->sample) return false;
    return !f->wrong || !json_is_true(json_object_get(verdict, "gate")) ||
           number_of(json_object_get(verdict, "scores"), "tier") < 1;
}

static ag_status explain_file(const char *path, const filter *f, long *shown, ag_error *err)
{
    ag_lines *lines = NULL;
    char *text;
    size_t len;
    ag_status status = ag_lines_open(&lines, path, err);
    while (status == AG_OK && *shown < f->most &&
           (status = ag_lines_next(lines, &text, &len, err)) == AG_OK && text) {
        json_t *line = NULL;
        status = ag_json_parse(&line, text, len, ag_lines_path(lines), ag_lines_number(lines), err);
        if (status == AG_OK && !json_is_object(json_object_get(line, "verdict")))
            status = ag_fail(err, AG_ERR_INPUT, "%s:%ld: not a rollout: it has no \"verdict\"",
                             ag_lines_path(lines), ag_lines_number(lines));
        if (status == AG_OK && wanted(f, line)) {
            ag_str out = {0};
            explain(&out, line);
            status = ag_str_ok(&out, err);
            if (status == AG_OK) fputs(ag_str_text(&out), stdout);
            ag_str_free(&out);
            ++*shown;
        }
        json_decref(line);
    }
    ag_lines_close(lines);
    return status;
}

int ag_cmd_explain(int argc, char **argv)
{
    static const ag_usage usage = {
        "agrl explain ROLLOUTS... [options]",
        "Shows why sampled answers earned what they did: the text, what its verdicts lead to "
        "and whether the gate held, and the reward term by term. ROLLOUTS are files of a run's "
        "rollouts folder.",
        1, -1};
    filter f = {.sample = -1, .most = 20};
    const ag_option options[] = {
        {"id", AG_OPT_STRING, &f.id, "ID", "only answers to this pair", 0, 0},
        {"sample", AG_OPT_INT, &f.sample, "N", "only this sample of each group, from 0", 0, 1e6},
        {"wrong", AG_OPT_FLAG, &f.wrong, NULL, "only answers whose tier is wrong or whose gate is broken", 0,
         0},
        {"limit", AG_OPT_INT, &f.most, "N", "at most so many", 1, 1e9},
        {0}};
    char **args;
    int nargs;
    long shown = 0;
    ag_error err = {0};
    int code = ag_options_parse(&usage, options, argc, argv, &args, &nargs);
    if (code >= 0) return code;
    for (int i = 0; i < nargs; i++)
        if (explain_file(args[i], &f, &shown, &err) != AG_OK) return ag_cli_fail(&err);
    if (shown == 0) fputs("no such rollout\n", stderr);
    return 0;
}
