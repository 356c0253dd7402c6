/* check_space.c: which verdicts, asked entries and query types a book can tell apart, and random ones of them. */
#include "rules/check_space.h"

#include <math.h>
#include <string.h>

/* These stand for every attribute that no rule names; reserved characters keep them from being one. */
static const char *const any_attribute = "[any attribute]", *const another_attribute = "[another attribute]";

/* False when there is no room for another one. */
static bool add_name(const char **names, int *count, const char *name)
{
    for (int i = 0; i < *count; i++)
        if (strcmp(names[i], name) == 0) return true;
    if (*count == AG_CHECK_NAMES) return false;
    names[(*count)++] = name;
    return true;
}

static void learn_step(ag_check_space *space, const ag_when_step *step)
{
    const ag_selector *selector = &step->selector;
    if (step->op >= AG_WHEN_AND) return;
    for (int i = 0; i < step->type_count; i++)
        if (!add_name(space->types, &space->type_count, step->types[i])) space->overflow = true;
    if (step->op == AG_WHEN_TYPE || step->op == AG_WHEN_NO_TYPE) return;
    space->used[step->criterion] = true;
    if (step->op == AG_WHEN_VERDICT) return;
    space->entries_matter = true;
    space->core_matters |= selector->core || selector->minor;
    space->negated_matters |= selector->negated || selector->asserted;
    for (int i = 0; i < selector->attribute_count; i++)
        if (!add_name(space->names, &space->name_count, selector->attributes[i])) space->overflow = true;
    int need = AG_CHECK_ENTRIES;
    if (step->op == AG_WHEN_COUNT && step->bound < AG_MAX_ASKED) need = (int)step->bound + 1;
    if (step->op == AG_WHEN_SHARE) need = 10;
    if (need > space->max_entries) space->max_entries = need;
}

static void make_kinds(ag_check_space *space)
{
    const char *unnamed = space->name_count > 0 ? another_attribute : any_attribute;
    for (int n = 0; n <= space->name_count; n++) {
        const char *name = n < space->name_count ? space->names[n] : unnamed;
        ag_ask kind = {.id = name, .name = name, .core = ag_book_attribute(space->book, name)->core};
        for (int core = 0; core <= space->core_matters; core++)
            for (int negated = 0; negated <= space->negated_matters; negated++) {
                if (space->core_matters) kind.core = core;
                kind.negated = negated;
                kind.op = negated ? AG_OP_NOT : AG_OP_IS;
                space->kinds[space->kind_count++] = kind;
            }
    }
}

void ag_check_space_make(ag_check_space *space, const ag_book *book)
{
    *space = (ag_check_space){.book = book};
    for (int r = 0; r < book->rule_count; r++)
        for (int i = 0; book->rules[r].condition && i < book->rules[r].condition->count; i++)
            learn_step(space, &book->rules[r].condition->steps[i]);
    make_kinds(space);
    /* no type, each type alone, and with two or more all of them at once */
    space->type_sets = 1 + space->type_count + (space->type_count > 1);
}

void ag_check_types(const ag_check_space *space, int set, ag_asked *asked)
{
    asked->type_count = 0;
    if (set == 0) return;
    if (set <= space->type_count) {
        asked->types[asked->type_count++] = space->types[set - 1];
        return;
    }
    for (int t = 0; t < space->type_count && t < AG_MAX_TYPES; t++)
        asked->types[asked->type_count++] = space->types[t];
}

double ag_check_space_size(const ag_check_space *space, int n)
{
    double single = 1, each = 1, patterns = 1;
    for (int c = 0; c < space->book->criterion_count; c++) {
        if (!space->used[c]) continue;
        *(space->book->criteria[c].per_asked ? &each : &single) *= space->book->criteria[c].verdict_count;
    }
    for (int i = 0; i < n; i++)
        patterns *= (double)(space->kind_count + i) / (i + 1); /* sets with repetition */
    return single * pow(each, n) * patterns * space->type_sets;
}

int ag_check_axes(const ag_check_space *space, int entries, ag_check_axis *axes)
{
    int n = 0;
    for (int c = 0; c < space->book->criterion_count; c++) {
        const ag_criterion *criterion = &space->book->criteria[c];
        int count = criterion->per_asked ? entries : 1;
        for (int e = 0; space->used[c] && e < count; e++)
            axes[n++] = (ag_check_axis){.criterion = c, .entry = e, .radix = criterion->verdict_count};
    }
    return n;
}

/* --- samples ------------------------------------------------------------------------------------------------ */

static int verdict_of(uint64_t mask, int count, ag_rng *rng)
{
    int start = (int)ag_rng_below(rng, (uint32_t)count);
    for (int i = 0; i < count; i++)
        if (mask >> ((start + i) % count) & 1) return (start + i) % count;
    return start;
}

/* Makes one entry one that the step selects and counts. */
static void bend_entry(const ag_book *book, const ag_when_step *step, ag_rng *rng, ag_check_point *point,
                       int e)
{
    ag_ask *ask = &point->entries[e];
    const ag_selector *selector = &step->selector;
    if (selector->core || selector->minor) ask->core = selector->core;
    if (selector->negated || selector->asserted) {
        ask->negated = selector->negated;
        ask->op = ask->negated ? AG_OP_NOT : AG_OP_IS;
    }
    if (selector->attribute_count > 0) ask->id = ask->name = selector->attributes[0];
    point->verdicts.v[step->criterion][e] = (int8_t)verdict_of(
        step->mask, book->criteria[step->criterion].verdict_count, rng);
}

static void bend(const ag_check_space *space, const ag_rule *rule, ag_rng *rng, ag_check_point *point)
{
    for (int i = 0; i < rule->condition->count; i++) {
        const ag_when_step *step = &rule->condition->steps[i];
        int count = point->asked.count, changes = 1;
        if (step->op >= AG_WHEN_AND || ag_rng_below(rng, 10) == 0) continue; /* now and then a near miss */
        if (step->op == AG_WHEN_VERDICT)
            point->verdicts.v[step->criterion][0] = (int8_t)verdict_of(
                step->mask, space->book->criteria[step->criterion].verdict_count, rng);
        if (step->op == AG_WHEN_TYPE && point->asked.type_count < AG_MAX_TYPES)
            point->asked.types[point->asked.type_count++] =
                step->types[ag_rng_below(rng, (uint32_t)step->type_count)];
        if (step->op == AG_WHEN_NO_TYPE) point->asked.type_count = 0;
        if (step->op < AG_WHEN_ANY || step->op > AG_WHEN_SHARE || count == 0) continue;
        if (step->op == AG_WHEN_COUNT) changes = step->bound < count ? (int)step->bound : count;
        if (step->op == AG_WHEN_SHARE) changes = (int)ceil(step->bound * count);
        if (step->op == AG_WHEN_ALL) changes = count;
        for (int k = 0, e = (int)ag_rng_below(rng, (uint32_t)count); k < changes; k++, e = (e + 1) % count)
            bend_entry(space->book, step, rng, point, e);
    }
}

void ag_check_sample(const ag_check_space *space, ag_rng *rng, ag_check_point *point)
{
    ag_check_axis axes[AG_MAX_CRITERIA * AG_MAX_ASKED];
    const ag_book *book = space->book;
    int entries = space->entries_matter ? (int)ag_rng_below(rng, (uint32_t)space->max_entries + 1) : 0;
    bool alike = ag_rng_below(rng, 2) == 0;
    *point = (ag_check_point){.asked = {.source = AG_ASKED_GIVEN, .count = entries}};
    point->asked.entries = point->entries;
    ag_check_types(space, (int)ag_rng_below(rng, (uint32_t)space->type_sets), &point->asked);
    ag_verdicts_clear(&point->verdicts);
    for (int e = 0; e < entries; e++)
        point->entries[e] = e > 0 && alike ? point->entries[0]
                                           : space->kinds[ag_rng_below(rng, (uint32_t)space->kind_count)];
    int n = ag_check_axes(space, entries, axes);
    for (int i = 0; i < n; i++)
        point->verdicts.v[axes[i].criterion][axes[i].entry] = (int8_t)ag_rng_below(rng,
                                                                                   (uint32_t)axes[i].radix);
    if (book->rule_count == 0 || ag_rng_below(rng, 2) == 0) return;
    const ag_rule *rule = &book->rules[ag_rng_below(rng, (uint32_t)book->rule_count)];
    if (rule->condition) bend(space, rule, rng, point);
}
