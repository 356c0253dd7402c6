/* decision.c: see decision.h. */
#include "eval/decision.h"

#include <math.h>
#include <string.h>
#include "base/yaml.h"

const char *const ag_decide_names[AG_DECIDE_COUNT] = {"argmax", "gain", "threshold", "cost"};

ag_decide_by ag_decide_find(const char *name)
{
    int i = 0;
    while (i < AG_DECIDE_COUNT && !ag_streq(name, ag_decide_names[i])) i++;
    return (ag_decide_by)i;
}

/* --- deciding --------------------------------------------------------------------------------------------------- */

double ag_expected_gain(const ag_book *book, const double *probability)
{
    double gain = 0;
    for (int t = 0; t < book->tier_count; t++) gain += probability[t] * book->tiers[t].gain;
    return gain;
}

/* The tier with the least loss; the better one among equals. */
static int least(const double *loss, int tiers)
{
    int best = 0;
    for (int t = 1; t < tiers; t++)
        if (loss[t] < loss[best]) best = t;
    return best;
}

static int by_argmax(const ag_decision *d, const ag_book *book, const double *p)
{
    int best = 0;
    (void)d;
    for (int t = 1; t < book->tier_count; t++)
        if (p[t] > p[best]) best = t;
    return best;
}

static int by_gain(const ag_decision *d, const ag_book *book, const double *p)
{
    double off[AG_MAX_TIERS], gain = ag_expected_gain(book, p);
    (void)d;
    for (int t = 0; t < book->tier_count; t++) off[t] = fabs(book->tiers[t].gain - gain);
    return least(off, book->tier_count);
}

/* 0.4 + 0.3 + 0.2 reaches 0.9. */
static const double rounding = 1e-12;

static int by_threshold(const ag_decision *d, const ag_book *book, const double *p)
{
    double sum = 0;
    int t = 0;
    for (; t < book->tier_count - 1; t++)
        if ((sum += p[t]) >= d->threshold - rounding) break;
    return t;
}

static int by_cost(const ag_decision *d, const ag_book *book, const double *p)
{
    double expected[AG_MAX_TIERS] = {0};
    for (int said = 0; said < book->tier_count; said++)
        for (int t = 0; t < book->tier_count; t++) expected[said] += p[t] * d->cost[t][said];
    return least(expected, book->tier_count);
}

int ag_decide(const ag_decision *d, const ag_book *book, const double *probability)
{
    static int (*const rows[AG_DECIDE_COUNT])(const ag_decision *, const ag_book *,
                                              const double *) = {by_argmax, by_gain, by_threshold, by_cost};
    return rows[d->by](d, book, probability);
}

/* --- files ------------------------------------------------------------------------------------------------------- */

static ag_status read_cost_row(ag_decision *d, const ag_book *book, int tier, const ag_yaml *row,
                               const char *path, ag_error *err)
{
    if (row->kind != AG_YAML_MAP)
        return ag_yaml_fail(err, path, row,
                            "the costs of tier '%s' must be a map from the tier said to a cost",
                            book->tiers[tier].id);
    for (int i = 0; i < row->count; i++)
        if (ag_book_tier(book, row->keys[i]->text) < 0)
            return ag_yaml_fail(err, path, row->keys[i], "the rulebook has no tier '%.80s'",
                                row->keys[i]->text);
    for (int said = 0; said < book->tier_count; said++) {
        const ag_yaml *value = ag_yaml_get(row, book->tiers[said].id);
        if (!value)
            return ag_yaml_fail(err, path, row, "true tier '%s' has no cost of saying '%s'",
                                book->tiers[tier].id, book->tiers[said].id);
        AG_TRY(ag_yaml_double(value, path, "a cost", &d->cost[tier][said], err));
        if (d->cost[tier][said] < 0)
            return ag_yaml_fail(err, path, value,
                                "a cost must not be negative; the best that saying a tier can "
                                "do is cost 0");
    }
    return AG_OK;
}

ag_status ag_decision_read_costs(ag_decision *d, const ag_book *book, const char *path, ag_error *err)
{
    ag_arena arena = {.name = "costs"};
    ag_yaml *root = NULL;
    ag_status status = ag_yaml_load(&root, &arena, path, err);
    if (status == AG_OK && root->kind != AG_YAML_MAP)
        status = ag_yaml_fail(err, path, root,
                              "costs must be a map from the true tier to the costs of each tier said");
    for (int i = 0; status == AG_OK && i < root->count; i++) {
        int t = ag_book_tier(book, root->keys[i]->text);
        status = t < 0 ? ag_yaml_fail(err, path, root->keys[i], "the rulebook has no tier '%.80s'",
                                      root->keys[i]->text)
                       : read_cost_row(d, book, t, root->values[i], path, err);
    }
    for (int t = 0; status == AG_OK && t < book->tier_count; t++)
        if (!ag_yaml_get(root, book->tiers[t].id))
            status = ag_fail(err, AG_ERR_INPUT, "%s: no costs where the true tier is '%s'", path,
                             book->tiers[t].id);
    d->by = AG_DECIDE_COST;
    ag_arena_free(&arena);
    return status;
}

json_t *ag_decision_to_json(const ag_decision *d, const ag_book *book)
{
    json_t *json = json_object();
    bool good = json && ag_json_set(json, "by", json_string(ag_decide_names[d->by]));
    if (good && d->by == AG_DECIDE_THRESHOLD) good = ag_json_set(json, "threshold", json_real(d->threshold));
    if (good && d->by == AG_DECIDE_COST) {
        json_t *costs = json_object();
        good = ag_json_set(json, "cost", costs);
        for (int t = 0; good && t < book->tier_count; t++) {
            json_t *row = json_object();
            good = ag_json_set(costs, book->tiers[t].id, row);
            for (int said = 0; good && said < book->tier_count; said++)
                good = ag_json_set(row, book->tiers[said].id, json_real(d->cost[t][said]));
        }
    }
    if (good) return json;
    json_decref(json);
    return NULL;
}

static ag_status costs_from_json(ag_decision *d, const ag_book *book, const json_t *json, const char *where,
                                 ag_error *err)
{
    for (int t = 0; t < book->tier_count; t++) {
        const json_t *row = json_object_get(json, book->tiers[t].id);
        for (int said = 0; said < book->tier_count; said++) {
            double cost = -1;
            AG_TRY(ag_json_get_double(row, book->tiers[said].id, &cost, where, err));
            if (!(cost >= 0 && isfinite(cost)))
                return ag_fail(err, AG_ERR_INPUT, "%s: no cost of saying '%s' where the true tier is '%s'",
                               where, book->tiers[said].id, book->tiers[t].id);
            d->cost[t][said] = cost;
        }
    }
    return AG_OK;
}

ag_status ag_decision_from_json(ag_decision *d, const ag_book *book, const json_t *json, const char *where,
                                ag_error *err)
{
    const char *by = NULL;
    memset(d, 0, sizeof *d);
    AG_TRY(ag_json_get_string(json, "by", &by, where, err));
    ag_decide_by row = ag_decide_find(by);
    if (row == AG_DECIDE_COUNT)
        return ag_fail(err, AG_ERR_INPUT, "%s: 'by' of the decision must be one of " AG_DECIDE_CHOICES,
                       where);
    d->by = row;
    AG_TRY(ag_json_get_double(json, "threshold", &d->threshold, where, err));
    if (d->by == AG_DECIDE_THRESHOLD && !(d->threshold > 0 && d->threshold < 1))
        return ag_fail(err, AG_ERR_INPUT, "%s: 'threshold' of the decision must lie between 0 and 1", where);
    return d->by == AG_DECIDE_COST ? costs_from_json(d, book, json_object_get(json, "cost"), where, err)
                                   : AG_OK;
}

void ag_decision_text(ag_str *out, const ag_decision *d)
{
    ag_str_add(out, ag_decide_names[d->by]);
    if (d->by == AG_DECIDE_THRESHOLD) ag_str_addf(out, " %g", d->threshold);
}
