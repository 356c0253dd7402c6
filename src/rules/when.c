/* when.c: does a compiled condition hold for these asked entries and verdicts?
 *
 * The meaning of every form is here and nowhere else; when_parse.c only translates.
 */
#include "rules/when.h"

#include <string.h>

static bool selects(const ag_selector *selector, const ag_ask *ask)
{
    if (selector->core && !ask->core) return false;
    if (selector->minor && ask->core) return false;
    if (selector->negated && !ask->negated) return false;
    if (selector->asserted && ask->negated) return false;
    for (int i = 0; i < selector->attribute_count; i++)
        if (strcmp(selector->attributes[i], ask->name) != 0) return false;
    return true;
}

/* An absent verdict (-1) satisfies no comparison, `!=` included. */
static bool satisfies(uint64_t mask, int8_t verdict)
{
    return verdict >= 0 && verdict < AG_MAX_VERDICTS && (mask >> verdict & 1) != 0;
}

static bool compares(ag_when_compare compare, double x, double bound)
{
    switch (compare) {
    case AG_IS_EQ: return x == bound;
    case AG_IS_NE: return x != bound;
    case AG_IS_GE: return x >= bound;
    case AG_IS_GT: return x > bound;
    case AG_IS_LE: return x <= bound;
    case AG_IS_LT: return x < bound;
    }
    return false;
}

static bool entries_hold(const ag_when_step *step, const ag_asked *asked, const ag_verdicts *verdicts)
{
    int selected = 0, met = 0;
    for (int a = 0; a < asked->count; a++) {
        if (!selects(&step->selector, &asked->entries[a])) continue;
        selected++;
        met += satisfies(step->mask, verdicts->v[step->criterion][a]);
    }
    switch (step->op) {
    case AG_WHEN_ANY: return met > 0;
    case AG_WHEN_ALL: return met == selected;
    case AG_WHEN_COUNT: return compares(step->compare, met, step->bound);
    default: return compares(step->compare, selected > 0 ? (double)met / selected : 0.0, step->bound);
    }
}

static bool has_type(const ag_when_step *step, const ag_asked *asked)
{
    for (int t = 0; t < asked->type_count; t++)
        for (int i = 0; i < step->type_count; i++)
            if (strcmp(asked->types[t], step->types[i]) == 0) return true;
    return false;
}

bool ag_when_holds(const ag_condition *condition, const ag_asked *asked, const ag_verdicts *verdicts)
{
    bool stack[AG_WHEN_STACK];
    int top = 0; /* the parser bounds how deep it gets */
    for (int i = 0; i < condition->count; i++) {
        const ag_when_step *step = &condition->steps[i];
        switch (step->op) {
        case AG_WHEN_VERDICT: stack[top++] = satisfies(step->mask, verdicts->v[step->criterion][0]); break;
        case AG_WHEN_ANY:
        case AG_WHEN_ALL:
        case AG_WHEN_COUNT:
        case AG_WHEN_SHARE: stack[top++] = entries_hold(step, asked, verdicts); break;
        case AG_WHEN_TYPE: stack[top++] = has_type(step, asked); break;
        case AG_WHEN_NO_TYPE: stack[top++] = !has_type(step, asked); break;
        case AG_WHEN_AND: top--, stack[top - 1] = stack[top - 1] && stack[top]; break;
        case AG_WHEN_OR: top--, stack[top - 1] = stack[top - 1] || stack[top]; break;
        case AG_WHEN_NOT: stack[top - 1] = !stack[top - 1]; break;
        }
    }
    return stack[0];
}
