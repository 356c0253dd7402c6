/* audit_table.c: an audit on a terminal; see audit.h. */
#include <string.h>

#include "eval/audit.h"
#include "eval/cell.h"

enum { TITLE = 52, QUERY = 24, TIER = 6, TIER_COLUMNS = 8 };

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "-";
}

/* --- rows -------------------------------------------------------------------------------------------------- */

/* "rule cap  pairs queries | people's tiers | agreement, within one, difference". Books of many tiers go without the tiers. */
static void head(ag_str *out, const json_t *tiers)
{
    size_t k;
    json_t *id;
    ag_cell_add(out, "rule", 8);
    ag_cell_add(out, "cap", 5);
    ag_cell_add(out, "pairs", -7);
    ag_cell_add(out, "queries", -8);
    if (json_array_size(tiers) <= TIER_COLUMNS) {
        ag_str_add(out, "  |");
        json_array_foreach(tiers, k, id) ag_cell_add(out, json_string_value(id), -TIER);
        ag_str_add(out, "  |");
    }
    ag_str_add(out, "  agree  within 1  difference\n");
}

static void row(ag_str *out, const json_t *tiers, const json_t *r, const char *rule, const char *cap)
{
    size_t k;
    json_t *id;
    ag_cell_add(out, rule, 8);
    ag_cell_add(out, cap, 5);
    ag_cell_number(out, json_object_get(r, "pairs"), 7);
    ag_cell_number(out, json_object_get(r, "queries"), 8);
    if (json_array_size(tiers) <= TIER_COLUMNS) {
        const json_t *counts = json_object_get(r, "tiers");
        ag_str_add(out, "  |");
        json_array_foreach(tiers, k, id)
            ag_cell_number(out, json_object_get(counts, json_string_value(id)), TIER);
        ag_str_add(out, "  |");
    }
    ag_cell_number(out, json_object_get(r, "agreement"), 7);
    ag_cell_number(out, json_object_get(r, "within_one"), 10);
    const json_t *difference = json_object_get(r, "difference");
    char text[32] = "-";
    if (json_is_number(difference)) snprintf(text, sizeof text, "%+.3f", json_number_value(difference));
    ag_cell_add(out, text, -12);
    ag_str_addc(out, '\n');
}

/* --- cases ------------------------------------------------------------------------------------------------- */

/* "cat=SAME attr=brand:MATCH;length:UNKNOWN" */
static void verdicts(ag_str *out, const json_t *derived)
{
    const char *id, *name;
    json_t *verdict, *one;
    json_object_foreach(json_object_get(derived, "verdicts"), id, verdict)
    {
        const char *separator = "";
        ag_str_addf(out, " %s=", id);
        if (json_is_string(verdict)) ag_str_add(out, json_string_value(verdict));
        if (json_is_object(verdict) && json_object_size(verdict) == 0) ag_str_addc(out, '-');
        if (!json_is_object(verdict)) continue;
        json_object_foreach(verdict, name, one)
        {
            ag_str_addf(out, "%s%s:%s", separator, name, json_is_string(one) ? json_string_value(one) : "-");
            separator = ";";
        }
    }
}

static void one_case(ag_str *out, const json_t *c)
{
    const json_t *derived = json_object_get(c, "derived");
    ag_str_add(out, "  ");
    ag_cell_add(out, text_of(c, "query"), QUERY);
    ag_str_add(out, "  ");
    ag_cell_add(out, text_of(c, "title"), TITLE);
    ag_str_addf(out, "  people %s", text_of(c, "human"));
    if (derived) ag_str_addf(out, ", derived %s:", text_of(derived, "tier"));
    verdicts(out, derived);
    ag_str_addf(out, " (wanted %s, is %s)\n", text_of(c, "wanted"), text_of(c, "category"));
}

static void worst_cases(ag_str *out, const json_t *rules)
{
    size_t i, k;
    json_t *rule, *c;
    json_array_foreach(rules, i, rule)
    {
        const json_t *list = json_object_get(rule, "worst");
        if (json_array_size(list) == 0) continue;
        ag_str_addf(out, "\n%s, cap %s: %s\n", text_of(rule, "rule"), text_of(rule, "cap"),
                    text_of(rule, "text"));
        json_array_foreach(list, k, c) one_case(out, c);
    }
}

static void left_out(ag_str *out, const json_t *rows)
{
    size_t i, k;
    json_t *r, *c;
    json_array_foreach(rows, i, r)
    {
        ag_str_addf(out, "\nleft out: %s: %lld pairs of %lld queries\n", text_of(r, "text"),
                    (long long)json_integer_value(json_object_get(r, "pairs")),
                    (long long)json_integer_value(json_object_get(r, "queries")));
        json_array_foreach(json_object_get(r, "examples"), k, c) one_case(out, c);
    }
}

ag_status ag_audit_table(ag_str *out, const json_t *json, ag_error *err)
{
    size_t i;
    json_t *rule;
    const json_t *tiers = json_object_get(json, "tiers"), *all = json_object_get(json, "all"),
                 *states = json_object_get(json, "states"), *kappa = json_object_get(all, "kappa");
    ag_str_addf(out,
                "rulebook %s %s: %lld of %lld pairs have a tier and complete verdicts (%lld given, %lld from "
                "facts)\n\n",
                text_of(json, "rulebook"), text_of(json, "version"),
                (long long)json_integer_value(json_object_get(json, "audited")),
                (long long)json_integer_value(json_object_get(json, "pairs")),
                (long long)json_integer_value(json_object_get(states, ag_audit_state_names[AG_AUDIT_GIVEN])),
                (long long)json_integer_value(json_object_get(states, ag_audit_state_names[AG_AUDIT_FACTS])));
    head(out, tiers);
    json_array_foreach(json_object_get(json, "rules"), i, rule)
        row(out, tiers, rule, text_of(rule, "rule"), text_of(rule, "cap"));
    row(out, tiers, all, "all", "");
    ag_str_add(out, "\nweighted kappa ");
    ag_cell_number(out, kappa, 5);
    ag_str_add(out, "; a difference above 0: the rules are milder than people\n");
    worst_cases(out, json_object_get(json, "rules"));
    left_out(out, json_object_get(json, "left_out"));
    return ag_str_ok(out, err);
}
