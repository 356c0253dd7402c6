/* cmd_explain.c: `agrl explain`: why a sampled answer earned what it did, from a run's rollouts alone. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "rules/verify.h"

enum { TEXT_COLUMN = 13, WIDTH = 80 };

/* An answer with what its group and its run say of it: the group's first line, and reward.json (NULL where the folder has none). */
typedef struct rollout {
    json_t *line, *head, *verdict, *reward;
} rollout;

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

/* "  label      text", in lines that a terminal has room for. */
static void add_row(ag_str *out, const char *label, const ag_str *text)
{
    ag_str_addf(out, "  %-10s ", label);
    ag_str_add_wrapped(out, ag_str_text(text), TEXT_COLUMN, WIDTH);
    out->failed = out->failed || text->failed;
}

/* "tier 3 (shares 3 0.67, 2 0.33) by rule R7; cat SAME; attr colour CONFLICT, size MATCH" */
static void add_gold(ag_str *out, const rollout *r)
{
    const json_t *gold = json_object_get(r->head, "gold");
    const char *key, *name, *between;
    json_t *value, *verdict;
    ag_str text = {0};
    if (!gold) return;
    ag_str_addf(&text, "tier %s", text_of(gold, "tier"));
    between = " (shares ";
    json_object_foreach(json_object_get(gold, "shares"), name, value)
    {
        ag_str_addf(&text, "%s%s %.2f", between, name, json_number_value(value));
        between = ", ";
    }
    if (json_object_get(gold, "shares")) ag_str_addc(&text, ')');
    if (json_object_get(gold, "rule")) ag_str_addf(&text, " by rule %s", text_of(gold, "rule"));
    json_object_foreach(json_object_get(gold, "verdicts"), key, value)
    {
        ag_str_addf(&text, "; %s", key);
        if (json_is_string(value)) ag_str_addf(&text, " %s", json_string_value(value));
        between = " ";
        json_object_foreach(value, name, verdict)
        {
            ag_str_addf(&text, "%s%s %s", between, name, json_string_value(verdict));
            between = ", ";
        }
    }
    add_row(out, "gold", &text);
    ag_str_free(&text);
}

/* What a broken gate left at that step; nothing in rollouts that do not say it. */
static void add_gate_soft(ag_str *out, const rollout *r)
{
    const char *kind = json_string_value(json_object_get(r->head, "gate"));
    ag_str text = {0};
    if (ag_streq(kind, ag_gate_names[AG_GATE_OFF]))
        ag_str_add(&text, "the method has no gate");
    else if (ag_streq(kind, ag_gate_names[AG_GATE_KEEP_TIER]))
        ag_str_add(&text, "keep_tier: a broken gate leaves half of a right tier");
    else if (kind)
        ag_str_addf(&text, "gate_soft %.3f: the share that a broken gate leaves",
                    number_of(r->head, "gate_soft"));
    if (kind) add_row(out, "", &text);
    ag_str_free(&text);
}

static void add_gate(ag_str *out, const rollout *r)
{
    const json_t *verdict = r->verdict, *derived = json_object_get(verdict, "derived");
    ag_str text = {0};
    ag_str_addf(&text, "%s: its verdicts give tier %s by rule %s, and it says tier %s by rule %s",
                json_is_true(json_object_get(verdict, "gate")) ? "holds" : "broken", text_of(derived, "tier"),
                text_of(derived, "rule"), text_of(verdict, "tier"), text_of(verdict, "rule"));
    add_row(out, "gate", &text);
    add_gate_soft(out, r);
    ag_str_free(&text);
}

/* What each gold verdict of what is asked weighs in the score: rare ones more (reward.json). */
static void add_weights(ag_str *out, const rollout *r, const char *criterion)
{
    const json_t *weights = json_object_get(json_object_get(r->reward, "balance"), criterion);
    json_t *gold = json_object_get(json_object_get(json_object_get(r->head, "gold"), "verdicts"), criterion);
    const json_t *says = json_object_get(json_object_get(r->verdict, "verdicts"), criterion);
    const char *name;
    json_t *want;
    ag_str text = {0};
    json_object_foreach(gold, name, want)
    {
        const char *verdict = json_string_value(want);
        const json_t *weight = verdict ? json_object_get(weights, verdict) : NULL;
        if (!json_is_number(weight)) continue;
        ag_str_addf(&text, "%s%s %s weighs %.3f, %s", text.len ? "; " : "", name, verdict,
                    json_number_value(weight), ag_streq(verdict, text_of(says, name)) ? "met" : "missed");
    }
    if (text.len) add_row(out, "", &text);
    ag_str_free(&text);
}

/* Each term beside its score: what the gate took away shows as a score without its term. */
static void add_terms(ag_str *out, const rollout *r)
{
    const json_t *reward = json_object_get(r->verdict, "reward"),
                 *scores = json_object_get(r->verdict, "scores");
    const char *key;
    json_t *term;
    json_object_foreach(json_object_get(reward, "terms"), key, term)
    {
        const json_t *score = json_object_get(scores, key);
        ag_str_addf(out, "  %-10s %+.3f", key, json_number_value(term));
        if (json_is_number(score)) ag_str_addf(out, "   score %.3f", json_number_value(score));
        ag_str_addc(out, '\n');
        add_weights(out, r, key);
    }
    ag_str_addf(out, "  %-10s %+.3f\n", "reward", number_of(reward, "total"));
}

static void explain(ag_str *out, const rollout *r)
{
    const json_t *line = r->line;
    long level = (long)number_of(line, "level");
    const char *mode = json_string_value(json_object_get(line, "mode"));
    ag_str text = {0};
    ag_str_addf(out, "%s  draw %ld  sample %ld", text_of(line, "id"), (long)number_of(line, "draw"),
                (long)number_of(line, "sample"));
    if (level > 0) ag_str_addf(out, "  with a hint of level %ld", level);
    ag_str_addf(out, "  policy after %ld updates\n", (long)number_of(line, "version"));
    add_answer(out, text_of(line, "text"));
    add_gold(out, r);
    if (json_is_true(json_object_get(r->verdict, "format"))) {
        add_gate(out, r);
    } else {
        ag_str_add(&text, text_of(r->verdict, "refused"));
        add_row(out, "no answer", &text);
    }
    add_terms(out, r);
    ag_str_clear(&text);
    ag_str_addf(&text, "to be trained %s its hint; a token is e^%.2f as likely without it",
                ag_streq(mode, "transfer") ? "without" : "with", number_of(line, "reliance"));
    if (mode) add_row(out, "guided", &text);
    ag_str_clear(&text);
    ag_str_addf(&text, "%+.3f%s%s", number_of(line, "advantage"),
                json_is_true(json_object_get(line, "trained")) ? "" : ", not trained",
                json_is_true(json_object_get(line, "trained")) || level > 0
                    ? ""
                    : ": its group has no signal, or guided answers stand in its place");
    add_row(out, "advantage", &text);
    ag_str_addc(out, '\n');
    out->failed = out->failed || text.failed;
    ag_str_free(&text);
}

static bool wanted(const filter *f, const json_t *line)
{
    const json_t *verdict = json_object_get(line, "verdict");
    if (f->id && strcmp(text_of(line, "id"), f->id) != 0) return false;
    if (f->sample >= 0 && (long)number_of(line, "sample") != f->sample) return false;
    return !f->wrong || !json_is_true(json_object_get(verdict, "gate")) ||
           number_of(json_object_get(verdict, "scores"), "tier") < 1;
}

/* reward.json beside the rollouts folder; a file that lies elsewhere is explained without. */
static ag_status open_reward(json_t **reward, const char *path, ag_error *err)
{
    char *dir = ag_path_dir(path), *file = dir ? ag_path_join(dir, "../reward.json") : NULL;
    ag_status status = file ? AG_OK : ag_fail_memory(err, "rollouts");
    if (status == AG_OK && ag_path_exists(file)) status = ag_json_load(reward, file, err);
    ag_free(dir);
    ag_free(file);
    return status;
}

static ag_status show(const rollout *r, ag_error *err)
{
    ag_str out = {0};
    explain(&out, r);
    ag_status status = ag_str_ok(&out, err);
    if (status == AG_OK) fputs(ag_str_text(&out), stdout);
    ag_str_free(&out);
    return status;
}

static ag_status explain_file(const char *path, const filter *f, long *shown, ag_error *err)
{
    ag_lines *lines = NULL;
    rollout r = {0};
    char *text;
    size_t len;
    ag_status status = open_reward(&r.reward, path, err);
    if (status == AG_OK) status = ag_lines_open(&lines, path, err);
    while (status == AG_OK && *shown < f->most &&
           (status = ag_lines_next(lines, &text, &len, err)) == AG_OK && text) {
        status = ag_json_parse(&r.line, text, len, ag_lines_path(lines), ag_lines_number(lines), err);
        r.verdict = json_object_get(r.line, "verdict");
        if (status == AG_OK && !json_is_object(r.verdict))
            status = ag_fail(err, AG_ERR_INPUT, "%s:%ld: not a rollout: it has no \"verdict\"",
                             ag_lines_path(lines), ag_lines_number(lines));
        if (status == AG_OK && json_object_get(r.line, "prompt")) {
            json_decref(r.head);
            r.head = json_incref(r.line);
        }
        if (status == AG_OK && wanted(f, r.line)) {
            status = show(&r, err);
            ++*shown;
        }
        json_decref(r.line);
        r.line = NULL;
    }
    json_decref(r.head);
    json_decref(r.reward);
    ag_lines_close(lines);
    return status;
}

int ag_cmd_explain(int argc, char **argv)
{
    static const ag_usage usage = {"agrl explain ROLLOUTS... [options]",
                                   "Shows why sampled answers earned what they did: the text, the gold "
                                   "answer, what its verdicts lead to, whether the gate "
                                   "held and what a broken one left at that step, and the reward term by "
                                   "term. ROLLOUTS are files of a run's "
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
