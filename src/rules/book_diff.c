/* book_diff.c: two books side by side. A kind of part is a row of a table: how many there are, their ids, and their fields as
 * text; one loop compares any kind. facts_diff.c has the kinds of a facts file.
 */
#include "rules/book_diff_parts.h"

#include <stdio.h>
#include <string.h>

static void add_list(ag_str *out, const char *const *items, int n)
{
    for (int i = 0; i < n; i++) ag_str_addf(out, "%s%s", i ? ", " : "", items[i]);
}

/* --- the book itself ---------------------------------------------------------------------------------------- */

int ag_diff_one(const ag_book_side *side)
{
    (void)side;
    return 1;
}

static void book_name(ag_str *out, const ag_book_side *side, int i)
{
    (void)i;
    ag_str_add(out, side->book->name);
}

static void book_version(ag_str *out, const ag_book_side *side, int i)
{
    (void)i;
    ag_str_add(out, side->book->version);
}

static void book_language(ag_str *out, const ag_book_side *side, int i)
{
    (void)i;
    ag_str_add(out, side->book->language);
}

static void book_order(ag_str *out, const ag_book_side *side, int i)
{
    static const char *const orders[] = {"respond_then_think", "think_then_respond", "verdicts_then_tier"};
    (void)i;
    ag_str_add(out, orders[side->book->order]);
}

static void book_why(ag_str *out, const ag_book_side *side, int i)
{
    (void)i;
    if (side->book->why_required)
        ag_str_addf(out, "required, up to %d characters", side->book->why_chars);
    else
        ag_str_add(out, "none");
}

static void book_instruction(ag_str *out, const ag_book_side *side, int i)
{
    (void)i;
    ag_str_add(out, side->book->instruction ? side->book->instruction : "");
}

static void book_reward(ag_str *out, const ag_book_side *side, int i)
{
    (void)i;
    ag_str_addf(out, "tier %g, rule %g, format penalty %g", side->book->weight_tier, side->book->weight_rule,
                side->book->format_penalty);
}

/* --- tiers -------------------------------------------------------------------------------------------------- */

static int tier_count(const ag_book_side *side)
{
    return side->book->tier_count;
}

static const char *tier_id(const ag_book_side *side, int i)
{
    return side->book->tiers[i].id;
}

static void tier_name(ag_str *out, const ag_book_side *side, int i)
{
    ag_str_add(out, side->book->tiers[i].name);
}

static void tier_gain(ag_str *out, const ag_book_side *side, int i)
{
    ag_str_addf(out, "%g", side->book->tiers[i].gain);
}

static void tier_good(ag_str *out, const ag_book_side *side, int i)
{
    ag_str_add(out, side->book->tiers[i].good ? "true" : "false");
}

/* --- criteria ----------------------------------------------------------------------------------------------- */

static int criterion_count(const ag_book_side *side)
{
    return side->book->criterion_count;
}

static const char *criterion_id(const ag_book_side *side, int i)
{
    return side->book->criteria[i].id;
}

static void criterion_verdicts(ag_str *out, const ag_book_side *side, int i)
{
    add_list(out, side->book->criteria[i].verdicts, side->book->criteria[i].verdict_count);
}

static void criterion_name(ag_str *out, const ag_book_side *side, int i)
{
    ag_str_add(out, side->book->criteria[i].name);
}

static void criterion_per(ag_str *out, const ag_book_side *side, int i)
{
    ag_str_add(out, side->book->criteria[i].per_asked ? "asked" : "pair");
}

static void criterion_weight(ag_str *out, const ag_book_side *side, int i)
{
    ag_str_addf(out, "%g", side->book->criteria[i].weight);
}

static void criterion_from(ag_str *out, const ag_book_side *side, int i)
{
    static const char *const sources[] = {"none", "category", "attribute"};
    ag_str_add(out, sources[side->book->criteria[i].from]);
}

static void criterion_map(ag_str *out, const ag_book_side *side, int i)
{
    const ag_criterion *c = &side->book->criteria[i];
    const char *separator = "";
    for (int r = 0; r < AG_REL_COUNT; r++) {
        if (c->map[r] < 0) continue;
        ag_str_addf(out, "%s%s: %s", separator, ag_relation_names[r], c->verdicts[c->map[r]]);
        separator = ", ";
    }
}

/* --- attributes --------------------------------------------------------------------------------------------- */

static int attribute_count(const ag_book_side *side)
{
    return side->book->attribute_count;
}

static const char *attribute_id(const ag_book_side *side, int i)
{
    return side->book->attributes[i].name;
}

static void attribute_importance(ag_str *out, const ag_book_side *side, int i)
{
    ag_str_add(out, side->book->attributes[i].core ? "core" : "minor");
}

static void attribute_compare(ag_str *out, const ag_book_side *side, int i)
{
    static const char *const compares[] = {"text", "number", "set", "code"};
    ag_str_add(out, compares[side->book->attributes[i].compare]);
}

static void attribute_missing(ag_str *out, const ag_book_side *side, int i)
{
    ag_str_add(out, side->book->attributes[i].missing_unclear ? "unclear" : "verdict");
}

static void attribute_near(ag_str *out, const ag_book_side *side, int i)
{
    const ag_attribute *a = &side->book->attributes[i];
    ag_str_addf(out, "%g%s", a->near_relative ? a->near * 100 : a->near, a->near_relative ? "%" : "");
}

static void attribute_fields(ag_str *out, const ag_book_side *side, int i)
{
    add_list(out, side->book->attributes[i].fields, side->book->attributes[i].field_count);
}

static void attribute_weak_fields(ag_str *out, const ag_book_side *side, int i)
{
    add_list(out, side->book->attributes[i].weak_fields, side->book->attributes[i].weak_count);
}

static void attribute_synonyms(ag_str *out, const ag_book_side *side, int i)
{
    const ag_attribute *a = &side->book->attributes[i];
    for (int g = 0; g < a->synonym_count; g++)
        for (const char **word = a->synonyms[g]; *word; word++)
            ag_str_addf(out, "%s%s", word > a->synonyms[g] ? " = " : g ? ", " : "", *word);
}

static void attribute_parents(ag_str *out, const ag_book_side *side, int i)
{
    const ag_attribute *a = &side->book->attributes[i];
    for (int p = 0; p < a->parent_count; p++)
        ag_str_addf(out, "%s%s: %s", p ? ", " : "", a->child[p], a->parent[p]);
}

static void attribute_covers(ag_str *out, const ag_book_side *side, int i)
{
    const ag_attribute *a = &side->book->attributes[i];
    for (int c = 0; c < a->cover_count; c++)
        ag_str_addf(out, "%s%s: %s", c ? ", " : "", a->cover[c], a->covered[c]);
}

static void attribute_units(ag_str *out, const ag_book_side *side, int i)
{
    const ag_attribute *a = &side->book->attributes[i];
    for (int u = 0; u < a->unit_count; u++)
        ag_str_addf(out, "%s%s: %g", u ? ", " : "", a->units[u].name, a->units[u].factor);
}

/* --- rules -------------------------------------------------------------------------------------------------- */

static int rule_count(const ag_book_side *side)
{
    return side->book->rule_count;
}

static const char *rule_id(const ag_book_side *side, int i)
{
    return side->book->rules[i].id;
}

static void rule_when(ag_str *out, const ag_book_side *side, int i)
{
    ag_str_add(out, side->book->rules[i].when);
}

static void rule_cap(ag_str *out, const ag_book_side *side, int i)
{
    ag_str_add(out, side->book->tiers[side->book->rules[i].cap].id);
}

static void rule_text(ag_str *out, const ag_book_side *side, int i)
{
    ag_str_add(out, side->book->rules[i].text);
}

static const ag_diff_kind book_kinds[] = {
    {"book",
     ag_diff_one,
     NULL,
     false,
     {{"name", book_name},
      {"version", book_version},
      {"language", book_language},
      {"order", book_order},
      {"why", book_why},
      {"instruction", book_instruction},
      {"reward", book_reward}}},
    {"tier", tier_count, tier_id, true, {{"name", tier_name}, {"gain", tier_gain}, {"good", tier_good}}},
    {"criterion",
     criterion_count,
     criterion_id,
     true,
     {{"verdicts", criterion_verdicts},
      {"name", criterion_name},
      {"per", criterion_per},
      {"weight", criterion_weight},
      {"from", criterion_from},
      {"map", criterion_map}}},
    {"attribute",
     attribute_count,
     attribute_id,
     false,
     {{"importance", attribute_importance},
      {"compare", attribute_compare},
      {"missing", attribute_missing},
      {"near", attribute_near},
      {"fields", attribute_fields},
      {"weak_fields", attribute_weak_fields},
      {"synonyms", attribute_synonyms},
      {"parents", attribute_parents},
      {"covers", attribute_covers},
      {"units", attribute_units}}},
    {"rule", rule_count, rule_id, true, {{"when", rule_when}, {"cap", rule_cap}, {"text", rule_text}}},
    {0},
};

/* --- comparing ---------------------------------------------------------------------------------------------- */

static ag_status add(ag_book_changes *changes, ag_book_change change, ag_error *err)
{
    if (!ag_grow(&changes->items, &changes->capacity, changes->count + 1, sizeof *changes->items))
        return ag_fail_memory(err, "differences of rulebooks");
    changes->items[changes->count++] = change;
    return AG_OK;
}

/* The text in the arena; *text NULL stays NULL. */
static ag_status keep(ag_book_changes *changes, const char **text, ag_error *err)
{
    if (*text && !(*text = ag_arena_strdup(&changes->arena, *text)))
        return ag_fail_memory(err, "differences of rulebooks");
    return AG_OK;
}

static int find(const ag_diff_kind *k, const ag_book_side *side, const char *id)
{
    int n = k->count(side);
    for (int i = 0; i < n; i++)
        if (strcmp(k->id(side, i), id) == 0) return i;
    return -1;
}

/* Part i of one book and part j of the other, field by field; i or j -1: the part is not there, and its first field says what was
 * added or removed. */
static ag_status compare_part(ag_book_changes *changes, const ag_diff_kind *k, const ag_book_side *old, int i,
                              const ag_book_side *new, int j, ag_error *err)
{
    ag_str was = {0}, now = {0};
    ag_status status = AG_OK;
    bool whole = i < 0 || j < 0;
    const char *id = !k->id ? NULL : i >= 0 ? k->id(old, i) : k->id(new, j);
    for (const ag_diff_field *f = k->fields; f->name && status == AG_OK && !(whole && f > k->fields); f++) {
        ag_str_clear(&was);
        ag_str_clear(&now);
        if (i >= 0) f->text(&was, old, i);
        if (j >= 0) f->text(&now, new, j);
        if ((status = ag_str_ok(&was, err)) != AG_OK || (status = ag_str_ok(&now, err)) != AG_OK) break;
        ag_book_change change = {k->name, id, whole ? NULL : f->name, i >= 0 ? ag_str_text(&was) : NULL,
                                 j >= 0 ? ag_str_text(&now) : NULL};
        if (!whole && strcmp(change.was, change.now) == 0) continue;
        status = keep(changes, &change.was, err);
        if (status == AG_OK) status = keep(changes, &change.now, err);
        if (status == AG_OK) status = add(changes, change, err);
    }
    ag_str_free(&was);
    ag_str_free(&now);
    return status;
}

/* The ids of a book that the other one has too, in order. */
static void common(ag_str *out, const ag_diff_kind *k, const ag_book_side *side, const ag_book_side *other)
{
    int n = k->count(side);
    for (int i = 0; i < n; i++)
        if (find(k, other, k->id(side, i)) >= 0)
            ag_str_addf(out, "%s%s", out->len ? " " : "", k->id(side, i));
}

/* Tiers are best first, criteria are answered in their order, and among rules with the same cap the first decides. */
static ag_status compare_order(ag_book_changes *changes, const ag_diff_kind *k, const ag_book_side *old,
                               const ag_book_side *new, ag_error *err)
{
    ag_str was = {0}, now = {0};
    common(&was, k, old, new);
    common(&now, k, new, old);
    ag_status status = ag_str_ok(&was, err);
    if (status == AG_OK) status = ag_str_ok(&now, err);
    if (status == AG_OK && strcmp(ag_str_text(&was), ag_str_text(&now)) != 0) {
        ag_book_change change = {k->name, NULL, "order", ag_str_text(&was), ag_str_text(&now)};
        status = keep(changes, &change.was, err);
        if (status == AG_OK) status = keep(changes, &change.now, err);
        if (status == AG_OK) status = add(changes, change, err);
    }
    ag_str_free(&was);
    ag_str_free(&now);
    return status;
}

static ag_status compare_kind(ag_book_changes *changes, const ag_diff_kind *k, const ag_book_side *old,
                              const ag_book_side *new, ag_error *err)
{
    int before = k->count(old), after = k->count(new);
    if (!k->id) return compare_part(changes, k, old, 0, new, 0, err);
    for (int i = 0; i < before; i++) {
        if (find(k, old, k->id(old, i)) < i) continue; /* its text was that of all parts of this id */
        AG_TRY(compare_part(changes, k, old, i, new, find(k, new, k->id(old, i)), err));
    }
    for (int j = 0; j < after; j++)
        if (find(k, old, k->id(new, j)) < 0 && find(k, new, k->id(new, j)) == j)
            AG_TRY(compare_part(changes, k, old, -1, new, j, err));
    return k->ordered ? compare_order(changes, k, old, new, err) : AG_OK;
}

ag_status ag_book_diff(ag_book_changes *changes, const ag_book_side *old, const ag_book_side *new,
                       ag_error *err)
{
    *changes = (ag_book_changes){.arena = {.name = "differences of rulebooks"}};
    for (const ag_diff_kind *k = book_kinds; k->name; k++) AG_TRY(compare_kind(changes, k, old, new, err));
    if (!old->facts || !new->facts) return AG_OK;
    for (const ag_diff_kind *k = ag_facts_kinds; k->name; k++)
        AG_TRY(compare_kind(changes, k, old, new, err));
    return AG_OK;
}

bool ag_book_changes_facts(const ag_book_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        const ag_book_change *c = &changes->items[i];
        if (strcmp(c->kind, "attribute") == 0) return true;
        if (strcmp(c->kind, "criterion") == 0 && (ag_streq(c->field, "from") || ag_streq(c->field, "map")))
            return true;
        if (strcmp(c->kind, "book") == 0 && ag_streq(c->field, "language")) return true;
        for (const ag_diff_kind *k = ag_facts_kinds; k->name; k++)
            if (strcmp(c->kind, k->name) == 0) return true;
    }
    return false;
}

void ag_book_changes_free(ag_book_changes *changes)
{
    ag_free(changes->items);
    ag_arena_free(&changes->arena);
    *changes = (ag_book_changes){0};
}
