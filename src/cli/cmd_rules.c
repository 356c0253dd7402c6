/* cmd_rules.c: `agrl rules check|show|derive`: what a rulebook says, whether it makes sense, and what it concludes from
 * given verdicts; and the table of these commands, audit and diff. None of them needs a model.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/cmd_rules.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/print.h"
#include "data/pair.h"
#include "rules/facts.h"
#include "rules/prompt.h"

ag_status ag_rules_book(ag_book **book, const char *option, char **args, int nargs, ag_error *err)
{
    *book = NULL;
    if (option && nargs > 0)
        return ag_fail(err, AG_ERR_USAGE, "the rulebook is named twice: by --rules and as '%s'", args[0]);
    const char *path = option ? option : nargs > 0 ? args[0] : NULL;
    if (!path)
        return ag_fail(err, AG_ERR_USAGE, "which rulebook? give its file, for example rules/shop.yaml");
    return ag_book_load(book, path, err);
}

/* --- check -------------------------------------------------------------------------------------------------- */

/* {"rulebook", "version", "digest", "problems": n, "report": [line, ...]} */
static void check_json(ag_str *out, const ag_book *book, const char *report, int problems)
{
    ag_str_add(out, "{\"rulebook\":");
    ag_json_quote(out, book->name, strlen(book->name));
    ag_str_add(out, ",\"version\":");
    ag_json_quote(out, book->version, strlen(book->version));
    ag_str_addf(out, ",\"digest\":\"%s\",\"problems\":%d,\"report\":[", book->digest, problems);
    for (const char *line = report; *line;) {
        size_t n = strcspn(line, "\n");
        if (line != report) ag_str_addc(out, ',');
        ag_json_quote(out, line, n);
        line += n + (line[n] == '\n');
    }
    ag_str_add(out, "]}\n");
}

static int run_check(int argc, char **argv)
{
    static const ag_usage usage = {
        "agrl rules check BOOK [options]",
        "Looks for what is wrong with a rulebook: unknown names, rules that never hold or never decide, "
        "worse verdicts "
        "that raise the tier, tiers that nothing reaches. Exit code 1 when there is a problem.",
        0, 1};
    const char *rules = NULL;
    long bound = 200000, samples = 50000;
    bool json = false;
    const ag_option options[] = {
        {"rules", AG_OPT_STRING, &rules, "BOOK", "the rulebook, if it is not the argument", 0, 0},
        {"bound", AG_OPT_INT, &bound, "N", "look at every point up to this many, sample past it (200000)", 1,
         5e7},
        {"samples", AG_OPT_INT, &samples, "N", "points of a sample (50000)", 1, 1e8},
        {"json", AG_OPT_FLAG, &json, NULL, "one line of JSON", 0, 0},
        {0},
    };
    char **args;
    int nargs, problems = 0, code = ag_options_parse(&usage, options, argc, argv, &args, &nargs);
    if (code >= 0) return code;
    ag_error err = {0};
    ag_book *book = NULL;
    ag_facts *facts = NULL;
    ag_str report = {0}, line = {0};
    ag_status status = ag_rules_book(&book, rules, args, nargs, &err);
    if (status != AG_OK) goto out;
    if ((status = ag_facts_of_book(&facts, book, &err)) != AG_OK)
        goto out; /* its facts file must be right too */
    if ((status = ag_book_check(book, bound, samples, &report, &problems, &err)) != AG_OK) goto out;
    if (json) check_json(&line, book, ag_str_text(&report), problems);
    status = ag_print_text(json ? &line : &report, &err);
out:
    code = status != AG_OK ? ag_cli_fail(&err) : problems > 0;
    ag_str_free(&report);
    ag_str_free(&line);
    ag_facts_free(facts);
    ag_book_free(book);
    return code;
}

/* --- show --------------------------------------------------------------------------------------------------- */

static void show_tiers(ag_str *out, const ag_book *book)
{
    ag_str_add(out, "\ntiers, best first\n");
    for (int t = 0; t < book->tier_count; t++) {
        const ag_tier *tier = &book->tiers[t];
        ag_str_addf(out, "  %-4s %-14s gain %g%s\n", tier->id, tier->name, tier->gain,
                    tier->good ? ", good" : "");
    }
}

static void show_criteria(ag_str *out, const ag_book *book)
{
    static const char *const sources[] = {"people only", "the item's category", "the item's attributes"};
    if (book->criterion_count) ag_str_add(out, "\ncriteria, verdicts best first\n");
    for (int c = 0; c < book->criterion_count; c++) {
        const ag_criterion *criterion = &book->criteria[c];
        ag_str_addf(out, "  %-4s %s%s, weight %g, from %s\n      ", criterion->id, criterion->name,
                    criterion->per_asked ? ", one for each asked entry" : "", criterion->weight,
                    sources[criterion->from]);
        for (int v = 0; v < criterion->verdict_count; v++) {
            const char *separator = " (";
            ag_str_addf(out, "%s%s", v ? ", " : "", criterion->verdicts[v]);
            for (int r = 0; r < AG_REL_COUNT; r++) {
                if (criterion->map[r] != v) continue;
                ag_str_addf(out, "%s%s", separator, ag_relation_names[r]);
                separator = ", ";
            }
            if (*separator == ',') ag_str_addc(out, ')');
        }
        ag_str_addc(out, '\n');
    }
}

static void show_attributes(ag_str *out, const ag_book *book)
{
    static const char *const compares[] = {"text", "number", "set", "code"};
    ag_str_add(out, "\nattributes\n");
    for (int i = 0; i < book->attribute_count; i++) {
        const ag_attribute *a = &book->attributes[i];
        ag_str_addf(out, "  %-12s %s, %s", a->name, a->core ? "core" : "minor", compares[a->compare]);
        if (a->near > 0)
            ag_str_addf(out, ", near %g%s", a->near_relative ? a->near * 100 : a->near,
                        a->near_relative ? "%" : "");
        for (int f = 0; f < a->field_count; f++)
            ag_str_addf(out, "%s%s", f ? ", " : "; fields ", a->fields[f]);
        for (int f = 0; f < a->weak_count; f++)
            ag_str_addf(out, "%s%s", f ? ", " : "; weak fields ", a->weak_fields[f]);
        for (int u = 0; u < a->unit_count; u++)
            ag_str_addf(out, "%s%s=%g", u ? ", " : "; units ", a->units[u].name, a->units[u].factor);
        if (a->synonym_count) ag_str_addf(out, "; %d groups of synonyms", a->synonym_count);
        if (a->parent_count) ag_str_addf(out, "; %d parents", a->parent_count);
        if (a->cover_count) ag_str_addf(out, "; %d covers", a->cover_count);
        ag_str_addc(out, '\n');
    }
}

static void show_rules(ag_str *out, const ag_book *book)
{
    ag_str_add(out, "\nrules; each that holds caps the tier, among equal caps the first decides\n");
    for (int r = 0; r < book->rule_count; r++) {
        const ag_rule *rule = &book->rules[r];
        ag_str_addf(out, "  %-4s cap %s when %s\n       %s\n", rule->id, book->tiers[rule->cap].id,
                    rule->when, rule->text);
    }
}

static ag_status show_book(ag_str *out, const ag_book *book, ag_error *err)
{
    static const char *const orders[] = {"respond_then_think", "think_then_respond", "verdicts_then_tier"};
    ag_prompt_options options;
    ag_str_addf(out, "rulebook %s %s (%s)\nfile     %s\ndigest   %s\nfacts    %s%s\norder    %s\nwhy      ",
                book->name, book->version, book->language, book->path, book->digest,
                book->facts_path ? book->facts_path : "none",
                book->facts_path && !ag_path_exists(book->facts_path) ? " (not there)" : "",
                orders[book->order]);
    if (book->why_required)
        ag_str_addf(out, "required, up to %d characters\n", book->why_chars);
    else
        ag_str_add(out, "none\n");
    show_tiers(out, book);
    show_criteria(out, book);
    show_attributes(out, book);
    show_rules(out, book);
    ag_str_addf(out, "\nreward: tier %g, rule %g, format penalty %g\n\nprompt\n------\n", book->weight_tier,
                book->weight_rule, book->format_penalty);
    ag_prompt_defaults(&options);
    return ag_prompt_system(out, book, &options, err);
}

static int run_show(int argc, char **argv)
{
    static const ag_usage usage = {"agrl rules show BOOK [options]",
                                   "Prints the compiled rulebook: tiers, criteria, attributes, rules, "
                                   "reward, and the text that the model reads.",
                                   0, 1};
    const char *rules = NULL;
    bool prompt = false;
    const ag_option options[] = {
        {"rules", AG_OPT_STRING, &rules, "BOOK", "the rulebook, if it is not the argument", 0, 0},
        {"prompt", AG_OPT_FLAG, &prompt, NULL, "only the text that the model reads", 0, 0},
        {0},
    };
    char **args;
    int nargs, code = ag_options_parse(&usage, options, argc, argv, &args, &nargs);
    if (code >= 0) return code;
    ag_error err = {0};
    ag_book *book = NULL;
    ag_str text = {0};
    ag_prompt_options defaults;
    ag_status status = ag_rules_book(&book, rules, args, nargs, &err);
    if (status != AG_OK) goto out;
    ag_prompt_defaults(&defaults);
    status = prompt ? ag_prompt_system(&text, book, &defaults, &err) : show_book(&text, book, &err);
    if (status != AG_OK) goto out;
    if (text.len == 0 || text.data[text.len - 1] != '\n') ag_str_addc(&text, '\n');
    status = ag_print_text(&text, &err);
out:
    code = status != AG_OK ? ag_cli_fail(&err) : 0;
    ag_str_free(&text);
    ag_book_free(book);
    return code;
}

/* --- derive ------------------------------------------------------------------------------------------------- */

/* What is compared does not matter here, so an entry may leave its value out; the parser of pairs wants one. */
static bool default_values(json_t *asked)
{
    size_t i;
    json_t *entry;
    json_array_foreach(asked, i, entry)
    {
        if (!json_is_object(entry) || json_object_get(entry, "value")) continue;
        const char *op = json_string_value(json_object_get(entry, "op"));
        if (!ag_json_set(entry, "value",
                         op && strcmp(op, "between") == 0 ? json_pack("[ss]", "0", "0") : json_string("-")))
            return false;
    }
    return true;
}

/* "-" is how an answer says that nothing is asked. */
static bool default_verdicts(json_t *verdicts)
{
    const char *id;
    json_t *value;
    void *next;
    json_object_foreach_safe(verdicts, next, id, value)
    {
        if (json_is_string(value) && strcmp(json_string_value(value), "-") == 0 &&
            json_object_del(verdicts, id) != 0)
            return false;
    }
    return true;
}

/* The line as a pair, so that asked entries, types and verdicts have one parser. A line that is a pair already gives
 * its gold verdicts. */
static ag_status as_pair(json_t **made, json_t *line, const char *where, ag_error *err)
{
    static const char *const keys[] = {"verdicts", "asked", "type"};
    json_t *verdicts = json_object_get(line, "verdicts"), *gold = json_object_get(line, "gold");
    *made = NULL;
    if (!json_is_object(line))
        return ag_fail(err, AG_ERR_INPUT,
                       "%s: must be an object: {\"verdicts\": {...}, \"asked\": [...], \"type\": ...}",
                       where);
    if (!verdicts) verdicts = json_object_get(gold, "verdicts");
    if (!verdicts) {
        const char *first = json_object_iter_key(json_object_iter(line));
        return ag_fail(err, AG_ERR_INPUT, "%s: 'verdicts' is missing%s", where,
                       ag_suggest(first, keys, 3).text);
    }
    json_t *pair = json_pack("{s:s, s:{s:s}, s:{s:O}}", "query", "-", "item", "title", "-", "gold",
                             "verdicts", verdicts);
    bool good = pair && default_verdicts(verdicts) && default_values(json_object_get(line, "asked"));
    for (int k = 1; k < 3 && good; k++)
        if (json_object_get(line, keys[k]))
            good = json_object_set(pair, keys[k], json_object_get(line, keys[k])) == 0;
    if (good) {
        *made = pair;
        return AG_OK;
    }
    json_decref(pair);
    return ag_fail_memory(err, "derive");
}

/* The parser speaks of the pair's gold verdicts; the line has none but its own. */
static void drop_gold(ag_error *err)
{
    char *gold = strstr(err->message, "gold.verdicts");
    if (gold) memmove(gold, gold + 5, strlen(gold + 5) + 1);
}

/* Names the first verdict that is missing. */
static ag_status check_complete(const ag_book *book, const ag_pair *pair, const char *where, ag_error *err)
{
    const ag_asked *asked = &pair->asked;
    if (ag_verdicts_complete(book, asked, &pair->gold.verdicts)) return AG_OK;
    for (int c = 0; c < book->criterion_count; c++) {
        const ag_criterion *criterion = &book->criteria[c];
        if (!criterion->per_asked && pair->gold.verdicts.v[c][0] < 0)
            return ag_fail(err, AG_ERR_INPUT, "%s: verdicts: '%s' is missing", where, criterion->id);
        for (int a = 0; criterion->per_asked && a < asked->count; a++)
            if (pair->gold.verdicts.v[c][a] < 0)
                return ag_fail(err, AG_ERR_INPUT, "%s: verdicts.%s: '%s' is asked but has no verdict", where,
                               criterion->id, asked->entries[a].id);
    }
    return ag_fail(err, AG_ERR_INTERNAL, "%s: verdicts are incomplete", where);
}

static ag_status derive_line(ag_out *out, const ag_book *book, const char *text, size_t len, const char *path,
                             long number, ag_error *err)
{
    json_t *line = NULL, *json = NULL;
    ag_pair *pair = NULL;
    ag_str result = {0};
    char where[512];
    int tier, rule;
    snprintf(where, sizeof(where), "%.400s:%ld", path, number);
    ag_status status = ag_json_parse(&line, text, len, path, number, err);
    if (status == AG_OK) status = as_pair(&json, line, where, err);
    if (status == AG_OK) {
        status = ag_pair_from_json(&pair, json, path, number, book, AG_AGGREGATE_GIVEN, err);
        if (status != AG_OK && json_object_get(line, "verdicts")) drop_gold(err);
    }
    if (status == AG_OK) status = check_complete(book, pair, where, err);
    if (status != AG_OK) goto out;
    ag_derive(book, &pair->asked, &pair->gold.verdicts, &tier, &rule);
    ag_str_add(&result, "{\"tier\":");
    ag_json_quote(&result, book->tiers[tier].id, strlen(book->tiers[tier].id));
    ag_str_add(&result, ",\"rule\":");
    if (rule >= 0)
        ag_json_quote(&result, book->rules[rule].id, strlen(book->rules[rule].id));
    else
        ag_str_add(&result, "null");
    ag_str_add(&result, "}\n");
    if ((status = ag_str_ok(&result, err)) == AG_OK) ag_out_write(out, ag_str_text(&result), result.len);
out:
    ag_str_free(&result);
    ag_pair_free(pair);
    json_decref(json);
    json_decref(line);
    return status;
}

static ag_status derive_file(const ag_book *book, const char *path, ag_error *err)
{
    ag_lines *lines = NULL;
    ag_out *out = NULL;
    char *text;
    size_t len;
    ag_status status = ag_lines_open(&lines, path, err);
    if (status == AG_OK) status = ag_out_open(&out, "-", err);
    while (status == AG_OK) {
        if ((status = ag_lines_next(lines, &text, &len, err)) != AG_OK || !text) break;
        if (text[strspn(text, " \t\r")] == '\0') continue;
        status = derive_line(out, book, text, len, ag_lines_path(lines), ag_lines_number(lines), err);
    }
    /* What was derived before a bad line stands; the exit code tells that more was to come. */
    ag_status written = out ? ag_out_commit(out, status == AG_OK ? err : NULL) : AG_OK;
    ag_lines_close(lines);
    return status != AG_OK ? status : written;
}

static int run_derive(int argc, char **argv)
{
    static const ag_usage usage = {"agrl rules derive --rules BOOK [FILE]",
                                   "Reads one {\"verdicts\": {...}, \"asked\": [...], \"type\": ...} a line, "
                                   "from standard input or a file, and "
                                   "writes the tier and the deciding rule that follow, {\"tier\": ..., "
                                   "\"rule\": ...}. Lines that are pairs give "
                                   "their gold verdicts.",
                                   0, 1};
    const char *rules = NULL;
    bool json = true;
    const ag_option options[] = {
        {"rules", AG_OPT_STRING, &rules, "BOOK", "the rulebook", 0, 0},
        {"json", AG_OPT_FLAG, &json, NULL, "JSON lines, which it writes anyway", 0, 0},
        {0},
    };
    char **args;
    int nargs, code = ag_options_parse(&usage, options, argc, argv, &args, &nargs);
    if (code >= 0) return code;
    ag_error err = {0};
    ag_book *book = NULL;
    ag_status status = rules
                           ? ag_book_load(&book, rules, &err)
                           : ag_fail(&err, AG_ERR_USAGE, "--rules BOOK is needed: the rulebook to derive by");
    if (status == AG_OK) status = derive_file(book, nargs > 0 ? args[0] : "-", &err);
    ag_book_free(book);
    return status == AG_OK ? 0 : ag_cli_fail(&err);
}

/* --- the commands under `agrl rules` ------------------------------------------------------------------------ */

int ag_cmd_rules(int argc, char **argv)
{
    static const ag_command commands[] = {
        {"check", "look for mistakes in a rulebook", run_check, NULL},
        {"show", "print a rulebook and the prompt it makes", run_show, NULL},
        {"derive", "tier and deciding rule of given verdicts", run_derive, NULL},
        {"audit", "hold a rulebook against pairs that people judged", ag_cmd_rules_audit, NULL},
        {"diff", "what changes for judged pairs when the rules change", ag_cmd_rules_diff, NULL},
        {NULL, NULL, NULL, NULL},
    };
    return ag_cli_group("rules", commands, "docs/RULEBOOK.md describes the format.", argc, argv);
}
