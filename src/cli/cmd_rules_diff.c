/* cmd_rules_diff.c: `agrl rules diff`: two rulebooks, and what becomes of judged pairs when one takes the other's place. No
 * model. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/cmd_rules.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/print.h"
#include "eval/audit.h"
#include "eval/judge.h"
#include "eval/rederive.h"

typedef struct settings {
    const char *old, *new, *judged, *data, *lexicon, *out;
    long limit; /* -1: not given */
    bool json;
} settings;

enum { LISTED = 20 };

static ag_status check(const settings *s, ag_error *err)
{
    const char *inputs[] = {s->old, s->new, s->judged, s->data, s->lexicon};
    int standard = 0;
    if (!s->data && s->lexicon)
        return ag_fail(err, AG_ERR_USAGE, "--lexicon is for the pairs of --data, which is not given");
    if (!s->data && !s->judged && (s->out || s->limit >= 0))
        return ag_fail(err, AG_ERR_USAGE, "--%s is about judged pairs: give --judged FILE or --data PAIRS",
                       s->out ? "out" : "limit");
    if (s->out && strcmp(s->out, "-") == 0)
        return ag_fail(err, AG_ERR_USAGE, "--out needs a file: standard output has the report");
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        standard += inputs[i] && strcmp(inputs[i], "-") == 0;
        AG_TRY(ag_path_distinct(s->out, inputs[i], err));
    }
    if (standard > 1)
        return ag_fail(err, AG_ERR_USAGE, "only one file can come from standard input, not %d", standard);
    return ag_path_out_ready(s->out, err);
}

/* Both books' facts, and what each makes of the catalogue's values. */
typedef struct catalogues {
    ag_facts *old_facts, *new_facts;
    ag_lexicon *old, *new;
    ag_rederive_facts both;
} catalogues;

static void catalogues_free(catalogues *c)
{
    ag_lexicon_free(c->old);
    ag_lexicon_free(c->new);
    ag_facts_free(c->old_facts);
    ag_facts_free(c->new_facts);
}

/* The values of a lexicon file, or else of the pairs' items. */
static ag_status open_lexicon(ag_lexicon **lexicon, const ag_facts *facts, const ag_book *book,
                              const ag_pair_list *pairs, const char *path, ag_error *err)
{
    AG_TRY(ag_lexicon_open(lexicon, facts, book, path, err));
    return path ? AG_OK : ag_audit_lexicon(*lexicon, pairs, err);
}

/* Fills what is asked where the pairs do not say it, as every command does; facts_change: what both books' facts say will be asked, too. */
static ag_status read_pairs(ag_rederive *r, ag_pair_list *pairs, catalogues *c, bool facts_change,
                            const settings *s, ag_error *err)
{
    AG_TRY(ag_pairs_load(pairs, s->data, r->old, AG_AGGREGATE_GIVEN, err));
    bool needed = facts_change || s->lexicon;
    for (size_t i = 0; i < pairs->count; i++) needed |= pairs->items[i]->asked.source == AG_ASKED_UNKNOWN;
    if (!needed) return AG_OK;
    AG_TRY(open_lexicon(&c->old, c->old_facts, r->old, pairs, s->lexicon, err));
    for (size_t i = 0; i < pairs->count; i++) AG_TRY(ag_pair_fill_asked(pairs->items[i], c->old, err));
    if (!facts_change) return AG_OK;
    AG_TRY(open_lexicon(&c->new, c->new_facts, r->new, pairs, s->lexicon, err));
    c->both = (ag_rederive_facts){c->old_facts, c->new_facts, c->old, c->new};
    r->facts = &c->both;
    return AG_OK;
}

static ag_status rederive(ag_rederive *r, ag_pair_list *pairs, catalogues *c, bool facts_change,
                          const settings *s, ag_error *err)
{
    if (s->data) AG_TRY(read_pairs(r, pairs, c, facts_change, s, err));
    AG_TRY(s->judged ? ag_rederive_judged(r, s->judged, s->data ? pairs : NULL, err)
                     : ag_rederive_pairs(r, pairs, err));
    if (r->read == 0)
        return ag_fail(err, AG_ERR_INPUT, "%s: empty: no judged pair", s->judged ? s->judged : s->data);
    return AG_OK;
}

/* Every pair whose tier or rule changes, a line each. */
static ag_status write_rows(const ag_rederive *r, const char *path, ag_error *err)
{
    ag_out *out = NULL;
    ag_status status = ag_out_open(&out, path, err);
    for (size_t i = 0; i < r->count && status == AG_OK; i++) {
        const ag_rederived *row = &r->rows[i];
        if (ag_rederived_tier_changes(r, row) || ag_rederived_rule_changes(r, row))
            status = ag_json_write_line(out, ag_rederived_json(r, row), err);
    }
    if (status == AG_OK) return ag_out_commit(out, err);
    ag_out_abort(out);
    return status;
}

/* What weakens the numbers, a line each. */
static void note(const ag_rederive *r, bool facts_change)
{
    if (facts_change && !r->facts)
        ag_warn(
            "the books' facts differ; without --data PAIRS, which has the items, verdicts stay as they are");
    if (r->count == 0) ag_warn("no pair could be compared; the report says why");
    if (r->assumed)
        ag_warn("%zu judged lines without their pairs: what is asked counts as wanted, as important as the "
                "books say, the query type as unknown; --data PAIRS tells",
                r->assumed);
    if (r->differs)
        ag_warn("%zu judged lines derived another tier or rule than the old book does now: was it another "
                "book, or are these other pairs?",
                r->differs);
}

static ag_status diff(const ag_book *old, const ag_book *new, const settings *s, ag_error *err)
{
    ag_book_changes changes = {0};
    ag_pair_list pairs = {0};
    catalogues c = {0};
    ag_rederive r;
    json_t *json = NULL;
    bool judged = s->judged || s->data;
    ag_rederive_begin(&r, old, new);
    ag_status status = ag_facts_of_book(&c.old_facts, old, err);
    if (status == AG_OK) status = ag_facts_of_book(&c.new_facts, new, err);
    const ag_book_side before = {old, c.old_facts}, after = {new, c.new_facts};
    if (status == AG_OK) status = ag_book_diff(&changes, &before, &after, err);
    bool facts_change = ag_book_changes_facts(&changes);
    if (status == AG_OK && judged) status = rederive(&r, &pairs, &c, facts_change, s, err);
    if (status == AG_OK)
        status = ag_rederive_json(&json, old, new, &changes, judged ? &r : NULL,
                                  s->limit < 0 ? LISTED : (size_t)s->limit, err);
    if (status == AG_OK && s->out) status = write_rows(&r, s->out, err);
    if (status == AG_OK && judged) note(&r, facts_change);
    if (status == AG_OK) status = ag_print_result(json, s->json, ag_rederive_table, err);
    json_decref(json);
    ag_rederive_free(&r);
    ag_pair_list_free(&pairs);
    catalogues_free(&c);
    ag_book_changes_free(&changes);
    return status;
}

int ag_cmd_rules_diff(int argc, char **argv)
{
    static const ag_usage usage = {
        "agrl rules diff OLD NEW [--judged FILE] [--data PAIRS] [options]",
        "Says how two rulebooks and their facts files differ, and which judged "
        "pairs get another tier or deciding rule under the new "
        "one, without a model. "
        "Verdicts are those of --judged, which `agrl judge --explain` and `agrl "
        "verify` write, with --data for "
        "what is asked, queries and titles; "
        "without --judged the gold verdicts of --data; where the facts changed, "
        "verdicts of --data that came of them change, too. Pairs that the new book "
        "cannot read are counted and left "
        "out. docs/RULEBOOK.md explains the table.",
        2, 2};
    settings s = {.limit = -1};
    const ag_option options[] = {
        {"judged", AG_OPT_STRING, &s.judged, "FILE", "verdicts that a judge wrote under OLD (JSONL)", 0, 0},
        {"data", AG_OPT_STRING, &s.data, "PAIRS", "the pairs that were judged, or pairs with gold verdicts",
         0, 0},
        {"lexicon", AG_OPT_STRING, &s.lexicon, "FILE",
         "the catalogue's values, for pairs that do not say what is asked (default: those of the pairs' "
         "items)",
         0, 0},
        {"out", AG_OPT_STRING, &s.out, "FILE", "every pair whose tier or rule changes (JSONL)", 0, 0},
        {"limit", AG_OPT_INT, &s.limit, "N", "pairs to list, the largest changes of gain first (20)", 0, 1e6},
        {"json", AG_OPT_FLAG, &s.json, NULL, "one JSON object", 0, 0},
        {0},
    };
    char **args;
    int nargs, code = ag_options_parse(&usage, options, argc, argv, &args, &nargs);
    if (code >= 0) return code;
    ag_error err = {0};
    ag_book *old = NULL, *new = NULL;
    s.old = args[0];
    s.new = args[1];
    ag_status status = check(&s, &err);
    if (status == AG_OK) status = ag_book_load(&old, s.old, &err);
    if (status == AG_OK) status = ag_book_load(&new, s.new, &err);
    if (status == AG_OK) status = diff(old, new, &s, &err);
    ag_book_free(old);
    ag_book_free(new);
    return status == AG_OK ? 0 : ag_cli_fail(&err);
}
