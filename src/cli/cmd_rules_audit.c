/* cmd_rules_audit.c: `agrl rules audit`: a rulebook held against pairs that people judged. No model. */
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "cli/cmd_rules.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/print.h"
#include "eval/audit.h"

typedef struct settings {
    const char *rules, *judged, *lexicon, *aggregate;
    long worst;
    bool json;
} settings;

/* The lexicon of a file, else what the judged items say. */
static ag_status open_lexicon(ag_lexicon **lexicon, const ag_facts *facts, const ag_book *book,
                              const char *path, const ag_pair_list *pairs, ag_error *err)
{
    ag_status status = ag_lexicon_open(lexicon, facts, book, path, err);
    if (status == AG_OK && !path) status = ag_audit_lexicon(*lexicon, pairs, err);
    return status;
}

static size_t state_pairs(const json_t *json, ag_audit_state state)
{
    return (size_t)json_integer_value(
        json_object_get(json_object_get(json, "states"), ag_audit_state_names[state]));
}

/* What was left out, one note; an audit of nothing is a failure. */
static ag_status note_left_out(const json_t *json, const settings *s, ag_error *err)
{
    ag_str text = {0};
    size_t all = 0;
    for (int k = AG_AUDIT_NO_TIER; k < AG_AUDIT_STATES; k++) {
        size_t n = state_pairs(json, (ag_audit_state)k);
        if (n) ag_str_addf(&text, "%s%zu for %s", all ? ", " : "", n, ag_audit_state_texts[k]);
        all += n;
    }
    ag_status status = ag_str_ok(&text, err);
    const char *advice = state_pairs(json, AG_AUDIT_NO_TIER) && strcmp(s->aggregate, "given") == 0
                             ? "; --aggregate takes tiers from ratings"
                             : "";
    if (status == AG_OK && json_integer_value(json_object_get(json, "audited")) == 0)
        status = ag_fail(err, AG_ERR_INPUT, "%s: no pair to audit by; left out: %s%s", s->judged,
                         all ? ag_str_text(&text) : "none, it is empty", advice);
    else if (status == AG_OK && all)
        ag_say("left out: %zu pairs: %s%s", all, ag_str_text(&text), advice);
    ag_str_free(&text);
    return status;
}

static ag_status audit(const ag_book *book, const settings *s, ag_error *err)
{
    ag_facts *facts = NULL;
    ag_lexicon *lexicon = NULL;
    ag_pair_list pairs = {0};
    ag_audit *result = NULL;
    json_t *json = NULL;
    ag_status status = ag_facts_of_book(&facts, book, err);
    if (status == AG_OK)
        status = ag_pairs_load(&pairs, s->judged, book, ag_aggregate_find(s->aggregate), err);
    if (status == AG_OK) status = ag_audit_kinds(&pairs, facts, err);
    if (status == AG_OK) status = open_lexicon(&lexicon, facts, book, s->lexicon, &pairs, err);
    if (status == AG_OK) status = ag_audit_run(&result, book, facts, lexicon, &pairs, err);
    if (status == AG_OK) status = ag_audit_json(&json, result, (int)s->worst, err);
    if (status == AG_OK) status = note_left_out(json, s, err);
    if (status == AG_OK) status = ag_print_result(json, s->json, ag_audit_table, err);
    json_decref(json);
    ag_audit_free(result);
    ag_lexicon_free(lexicon);
    ag_pair_list_free(&pairs);
    ag_facts_free(facts);
    return status;
}

int ag_cmd_rules_audit(int argc, char **argv)
{
    static const ag_usage usage = {"agrl rules audit BOOK --judged FILE [options]",
                                   "Holds a rulebook against pairs that people judged, without a model. Each "
                                   "pair's tier follows by the rules "
                                   "from its own verdicts, or from what the catalogue's facts say. For each "
                                   "deciding rule: the tiers that "
                                   "people gave, how often they are the rule's, and the worst examples. "
                                   "docs/RULEBOOK.md explains the table.",
                                   0, 1};
    settings s = {.aggregate = "given", .worst = 3};
    const ag_option options[] = {
        {"judged", AG_OPT_STRING, &s.judged, "FILE", "pairs with tiers or ratings (needed)", 0, 0},
        {"rules", AG_OPT_STRING, &s.rules, "BOOK", "the rulebook, if it is not the argument", 0, 0},
        {"lexicon", AG_OPT_STRING, &s.lexicon, "FILE",
         "the catalogue's values, as `agrl synth` writes them (default: those of the judged items)", 0, 0},
        {"aggregate", AG_OPT_CHOICE, &s.aggregate, "given|majority|median",
         "how ratings become a tier (given)", 0, 0},
        {"worst", AG_OPT_INT, &s.worst, "N", "examples of each rule (3)", 0, AG_AUDIT_EXAMPLES},
        {"json", AG_OPT_FLAG, &s.json, NULL, "one JSON object", 0, 0},
        {0},
    };
    char **args;
    int nargs, code = ag_options_parse(&usage, options, argc, argv, &args, &nargs);
    if (code >= 0) return code;
    ag_error err = {0};
    ag_book *book = NULL;
    ag_status status = s.judged ? ag_rules_book(&book, s.rules, args, nargs, &err)
                                : ag_fail(&err, AG_ERR_USAGE,
                                          "audit needs --judged FILE: pairs that people judged");
    if (status == AG_OK) status = audit(book, &s, &err);
    ag_book_free(book);
    return status == AG_OK ? 0 : ag_cli_fail(&err);
}
