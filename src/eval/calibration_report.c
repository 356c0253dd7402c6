/* calibration_report.c: see calibration_report.h. */
#include "eval/calibration_report.h"

#include <math.h>
#include <string.h>
#include "data/split.h"
#include "eval/tally.h"

static const char *const metric_names[] = {"nll", "brier", "ece", "accuracy", "macro_f1", "ndcg", NULL};

/* Three versions of the same probabilities. */
enum { BEFORE, AFTER, CROSS, VERSIONS };
static const char *const version_names[VERSIONS] = {"before", "after", "cross_fitted"};

typedef struct work {
    const ag_calibration_input *in;
    size_t n;
    int tiers, folds;
    size_t groups;
    bool soft;
    ag_arena arena;
    ag_calibration_data data;
    double *probability[VERSIONS], *target; /* [n][tiers] */
    double fold_temperature[AG_CALIBRATION_FOLDS];
    uint8_t *part;
    ag_record *records[VERSIONS]; /* [n] */
    json_t *json, *warnings;
} work;

static ag_status warn(work *w, const char *format, ...) AG_PRINTF(2, 3);
static ag_status warn(work *w, const char *format, ...)
{
    ag_str text = {0};
    va_list args;
    va_start(args, format);
    ag_str_vaddf(&text, format, args);
    va_end(args);
    bool good = !text.failed && json_array_append_new(w->warnings, json_string(ag_str_text(&text))) == 0;
    ag_str_free(&text);
    return good ? AG_OK : AG_ERR_MEMORY;
}

static ag_status put(json_t *object, const char *key, json_t *value, ag_error *err)
{
    return ag_json_set(object, key, value) ? AG_OK : ag_fail_memory(err, "calibration report");
}

/* --- pairs to numbers --------------------------------------------------------------------------------------------- */

static ag_status prepare(work *w, ag_error *err)
{
    size_t k = (size_t)w->tiers;
    for (int v = 0; v < VERSIONS; v++) {
        w->probability[v] = ag_arena_alloc(&w->arena, w->n, k * sizeof(double));
        w->records[v] = ag_arena_alloc(&w->arena, w->n, sizeof(ag_record));
        if (!w->probability[v] || !w->records[v]) return ag_fail_memory(err, "calibration");
    }
    w->target = ag_arena_alloc(&w->arena, w->n, k * sizeof(double));
    w->part = ag_arena_alloc(&w->arena, w->n, 1);
    if (!w->target || !w->part) return ag_fail_memory(err, "calibration");
    for (size_t i = 0; i < w->n; i++) {
        const ag_gold *gold = &w->in->pairs->items[i]->gold;
        if (gold->tier < 0)
            return ag_fail(err, AG_ERR_INPUT, "%s: no gold tier", w->in->pairs->items[i]->where);
        if (w->in->judged[i].calibrated)
            return ag_fail(err, AG_ERR_INPUT,
                           "%s: the judgement is calibrated already; judge with --calibration off",
                           w->in->pairs->items[i]->where);
        memcpy(w->probability[BEFORE] + i * k, w->in->judged[i].probability, k * sizeof(double));
        if (gold->soft)
            memcpy(w->target + i * k, gold->soft, k * sizeof(double));
        else
            w->target[i * k + (size_t)gold->tier] = 1;
        w->soft = w->soft || gold->soft;
        AG_TRY(ag_record_fill(&w->records[BEFORE][i], w->in->book, w->in->pairs->items[i], &w->in->judged[i],
                              &w->arena, err));
    }
    w->data = (ag_calibration_data){w->tiers, w->n, w->probability[BEFORE], w->target,
                                    w->in->temperature_only};
    return AG_OK;
}

/* Too little to fit on is refused, little is warned of. */
static ag_status check_counts(work *w, ag_error *err)
{
    json_t *gold = json_object();
    ag_status status = put(w->json, "gold", gold, err);
    if (status == AG_OK && w->n < (size_t)(AG_CALIBRATION_LEAST_PAIRS * w->tiers))
        status = ag_fail(
            err, AG_ERR_INPUT,
            "%zu pairs with gold tiers are too few to calibrate %d tiers on: %d are the least, hundreds "
            "are wanted",
            w->n, w->tiers, AG_CALIBRATION_LEAST_PAIRS * w->tiers);
    for (int t = 0; t < w->tiers && status == AG_OK; t++) {
        const char *id = w->in->book->tiers[t].id;
        size_t hard = 0;
        double share = 0;
        for (size_t i = 0; i < w->n; i++) {
            hard += w->in->pairs->items[i]->gold.tier == t;
            share += w->target[i * (size_t)w->tiers + (size_t)t];
        }
        status = put(gold, id, json_integer((json_int_t)hard), err);
        if (status == AG_OK && share <= 0)
            status = warn(w,
                          "no pair has gold tier '%s': nothing but the ridge holds its bias; judge little by "
                          "its probability",
                          id);
        else if (status == AG_OK && share < AG_CALIBRATION_LEAST_PAIRS)
            status = warn(w, "only %g pairs have gold tier '%s': its bias is a rough guess", share, id);
    }
    return status == AG_ERR_MEMORY ? ag_fail_memory(err, "calibration report") : status;
}

/* --- the fits --------------------------------------------------------------------------------------------------------- */

static ag_status find_parts(work *w, ag_error *err)
{
    ag_split split;
    const char **queries = ag_arena_alloc(&w->arena, w->n, sizeof *queries);
    if (!queries) return ag_fail_memory(err, "calibration");
    for (size_t i = 0; i < w->n; i++) queries[i] = w->in->pairs->items[i]->query;
    AG_TRY(ag_split_folds(&split, AG_CALIBRATION_FOLDS, err));
    AG_TRY(ag_split_queries(&split, queries, NULL, w->n, w->in->seed, false, w->part, &w->groups, err));
    w->folds = w->groups < AG_CALIBRATION_FOLDS ? (int)w->groups : AG_CALIBRATION_FOLDS;
    if (w->folds == AG_CALIBRATION_FOLDS || w->folds < 2) return AG_OK;
    AG_TRY(ag_split_folds(&split, w->folds, err));
    return ag_split_queries(&split, queries, NULL, w->n, w->in->seed, false, w->part, NULL, err);
}

static ag_status fit(work *w, ag_calibration *c, ag_error *err)
{
    size_t k = (size_t)w->tiers;
    bool bounded;
    AG_TRY(ag_calibration_fit(c, &bounded, &w->data, NULL, w->n, err));
    if (bounded)
        return ag_fail(
            err, AG_ERR_INPUT,
            "the model's probabilities say nothing of these gold tiers: the best temperature is above %g. "
            "Nothing was stored; is it the model, rulebook and data that belong together?",
            AG_CALIBRATION_MAX_TEMPERATURE);
    c->decision = *w->in->decision;
    memcpy(w->probability[AFTER], w->probability[BEFORE], w->n * k * sizeof(double));
    for (size_t i = 0; i < w->n; i++) ag_calibration_apply(c, w->probability[AFTER] + i * k);
    if (w->folds >= 2)
        return ag_calibration_cross_fit(w->probability[CROSS], w->fold_temperature, &w->data, w->part,
                                        w->folds, err);
    memcpy(w->probability[CROSS], w->probability[AFTER], w->n * k * sizeof(double));
    return warn(w, "all queries are one group: there are no figures out of sample") == AG_OK
               ? AG_OK
               : ag_fail_memory(err, "calibration report");
}

/* The records of the other versions: other probabilities, and the tiers that `decision` makes of them. */
static void redecide(work *w, int version, const ag_decision *decision)
{
    for (size_t i = 0; i < w->n; i++) {
        ag_record *r = &w->records[version][i];
        *r = w->records[BEFORE][i];
        memcpy(r->probability, w->probability[version] + i * (size_t)w->tiers,
               (size_t)w->tiers * sizeof(double));
        r->tier = ag_decide(decision, w->in->book, r->probability);
    }
}

/* --- figures ------------------------------------------------------------------------------------------------------- */

static ag_records set_of(const work *w, int version)
{
    return (ag_records){w->in->book, w->records[version], w->n};
}

static ag_status add_metrics(work *w, int version, ag_error *err)
{
    ag_records set = set_of(w, version);
    ag_groups groups;
    json_t *metrics = NULL;
    AG_TRY(ag_groups_collect(&groups, &set, NULL, w->n, err));
    ag_status status = ag_set_json(&metrics, &groups, metric_names, w->in->draws, w->in->seed, err);
    if (status == AG_OK) status = put(w->json, version_names[version], metrics, err);
    ag_groups_free(&groups);
    return status;
}

static ag_status add_change(work *w, ag_error *err)
{
    ag_records a = set_of(w, BEFORE), b = set_of(w, CROSS);
    json_t *change = json_object();
    AG_TRY(put(w->json, "change", change, err));
    for (int m = 0; metric_names[m] && w->folds >= 2; m++) {
        ag_difference d;
        AG_TRY(
            ag_metric_compare(&d, ag_metric_find(metric_names[m]), &a, &b, w->in->draws, w->in->seed, err));
        json_t *json = json_object();
        AG_TRY(put(change, metric_names[m], json, err));
        AG_TRY(put(json, "value", ag_real_json(d.value), err));
        AG_TRY(put(json, "low", ag_real_json(d.low), err));
        AG_TRY(put(json, "high", ag_real_json(d.high), err));
        AG_TRY(put(json, "p", ag_real_json(d.p), err));
    }
    return AG_OK;
}

/* Mean -sum of share x log P: what is fitted when gold is soft. */
static double cross_entropy(const work *w, int version)
{
    double sum = 0;
    for (size_t i = 0; i < w->n * (size_t)w->tiers; i++)
        sum -= w->target[i] * log(fmax(w->probability[version][i], AG_CALIBRATION_LEAST));
    return sum / (double)w->n;
}

/* A calibration that does not help where it was not fitted should not pass in silence. */
static ag_status check_gain(work *w, ag_error *err)
{
    static const char *const names[] = {"nll", "brier"};
    for (size_t i = 0; i < sizeof names / sizeof *names && w->folds >= 2; i++) {
        double value[VERSIONS];
        for (int v = 0; v < VERSIONS; v++)
            value[v] = json_number_value(json_object_get(
                json_object_get(json_object_get(w->json, version_names[v]), names[i]), "value"));
        if (value[CROSS] < value[BEFORE]) continue;
        if (warn(w,
                 "on queries that it was not fitted on the calibration does not lower the %s (%.4f, before "
                 "%.4f): give it more "
                 "queries, %sor leave it out",
                 ag_metric_find(names[i])->title, value[CROSS], value[BEFORE],
                 w->in->temperature_only ? "" : "try --temperature-only, ") != AG_OK)
            return ag_fail_memory(err, "calibration report");
    }
    return AG_OK;
}

static ag_status add_cross_entropy(work *w, ag_error *err)
{
    json_t *json = w->soft ? json_object() : json_null();
    AG_TRY(put(w->json, "cross_entropy", json, err));
    for (int v = 0; v < VERSIONS && w->soft; v++)
        AG_TRY(put(json, version_names[v],
                   v == CROSS && w->folds < 2 ? json_null() : ag_real_json(cross_entropy(w, v)), err));
    return AG_OK;
}

/* How the calibrated records do under a decision: accuracy and the good tiers together. */
static ag_status add_decided(work *w, json_t *to, const ag_decision *decision, const char *const *metrics,
                             ag_error *err)
{
    double said = 0, right = 0, wanted = 0;
    const ag_tier *tiers = w->in->book->tiers;
    redecide(w, CROSS, decision);
    ag_records set = set_of(w, CROSS);
    for (size_t i = 0; i < w->n; i++) {
        bool good = tiers[w->records[CROSS][i].tier].good, gold = tiers[w->records[CROSS][i].gold].good;
        said += good;
        wanted += gold;
        right += good && gold;
    }
    AG_TRY(put(to, "precision", ag_real_json(said > 0 ? right / said : NAN), err));
    AG_TRY(put(to, "recall", ag_real_json(wanted > 0 ? right / wanted : NAN), err));
    AG_TRY(put(to, "good", ag_real_json(said / (double)w->n), err));
    for (int m = 0; metrics[m]; m++) {
        ag_estimate e;
        AG_TRY(ag_metric_estimate(&e, ag_metric_find(metrics[m]), &set, 0, 1, err));
        AG_TRY(put(to, metrics[m], ag_real_json(e.value), err));
    }
    return AG_OK;
}

static ag_status add_decision(work *w, json_t *list, const ag_decision *decision, bool stored, ag_error *err)
{
    static const char *const metrics[] = {"accuracy", "macro_f1", "kappa", "acc2", NULL};
    json_t *row = json_object();
    ag_str name = {0};
    if (!row || json_array_append_new(list, row) != 0) return ag_fail_memory(err, "calibration report");
    ag_decision_text(&name, decision);
    ag_status status = ag_str_ok(&name, err);
    if (status == AG_OK) status = put(row, "decision", json_string(ag_str_text(&name)), err);
    if (status == AG_OK) status = put(row, "stored", json_boolean(stored), err);
    ag_str_free(&name);
    return status == AG_OK ? add_decided(w, row, decision, metrics, err) : status;
}

static bool same_decision(const ag_decision *a, const ag_decision *b)
{
    return a->by == b->by && a->by != AG_DECIDE_COST &&
           (a->by != AG_DECIDE_THRESHOLD || a->threshold == b->threshold);
}

static ag_status add_decisions(work *w, ag_error *err)
{
    static const ag_decision plain[] = {
        {.by = AG_DECIDE_ARGMAX}, {.by = AG_DECIDE_GAIN}, {.by = AG_DECIDE_THRESHOLD, .threshold = 0.5}};
    json_t *list = json_array();
    bool seen = false;
    AG_TRY(put(w->json, "decisions", list, err));
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        bool stored = same_decision(&plain[i], w->in->decision);
        seen = seen || stored;
        AG_TRY(add_decision(w, list, &plain[i], stored, err));
    }
    return seen ? AG_OK : add_decision(w, list, w->in->decision, true, err);
}

static ag_status add_curve(work *w, ag_error *err)
{
    static const char *const metrics[] = {"accuracy", NULL};
    json_t *list = json_array();
    AG_TRY(put(w->json, "curve", list, err));
    for (int i = 1; i <= w->in->thresholds; i++) {
        ag_decision d = {.by = AG_DECIDE_THRESHOLD, .threshold = (double)i / (w->in->thresholds + 1)};
        json_t *row = json_object();
        if (!row || json_array_append_new(list, row) != 0) return ag_fail_memory(err, "calibration report");
        AG_TRY(put(row, "threshold", json_real(d.threshold), err));
        AG_TRY(add_decided(w, row, &d, metrics, err));
    }
    return AG_OK;
}

static ag_status add_fit(work *w, const ag_calibration *c, ag_error *err)
{
    json_t *bias, *folds;
    AG_TRY(put(w->json, "groups", json_integer((json_int_t)w->groups), err));
    AG_TRY(put(w->json, "folds", json_integer(w->folds < 2 ? 0 : w->folds), err));
    AG_TRY(put(w->json, "soft", json_boolean(w->soft), err));
    AG_TRY(put(w->json, "temperature", json_real(c->temperature), err));
    AG_TRY(put(w->json, "fold_temperatures", folds = json_array(), err));
    for (int f = 0; f < w->folds && w->folds >= 2; f++)
        if (json_array_append_new(folds, json_real(w->fold_temperature[f])) != 0)
            return ag_fail_memory(err, "calibration report");
    AG_TRY(put(w->json, "bias", bias = json_object(), err));
    for (int t = 0; t < w->tiers; t++)
        AG_TRY(put(bias, w->in->book->tiers[t].id, json_real(c->bias[t]), err));
    return put(w->json, "ridge", json_real(AG_CALIBRATION_RIDGE), err);
}

ag_status ag_calibration_report(ag_calibration *c, json_t **report, const ag_calibration_input *in,
                                ag_error *err)
{
    static const ag_decision argmax;
    work w = {
        .in = in, .n = in->pairs->count, .tiers = in->book->tier_count, .arena = {.name = "calibration"}};
    memset(c, 0, sizeof *c);
    *report = NULL;
    w.json = json_object();
    w.warnings = json_array();
    ag_status status = w.json && w.warnings ? AG_OK : ag_fail_memory(err, "calibration report");
    if (status == AG_OK) status = put(w.json, "pairs", json_integer((json_int_t)w.n), err);
    if (status == AG_OK) status = prepare(&w, err);
    if (status == AG_OK) status = check_counts(&w, err);
    if (status == AG_OK) status = find_parts(&w, err);
    if (status == AG_OK) status = fit(&w, c, err);
    if (status == AG_OK) status = add_fit(&w, c, err);
    for (int v = 0; v < VERSIONS && status == AG_OK; v++) {
        if (v != BEFORE) redecide(&w, v, &argmax);
        status = v == CROSS && w.folds < 2 ? put(w.json, version_names[v], json_null(), err)
                                           : add_metrics(&w, v, err);
    }
    if (status == AG_OK) status = add_change(&w, err);
    if (status == AG_OK) status = check_gain(&w, err);
    if (status == AG_OK) status = add_cross_entropy(&w, err);
    if (status == AG_OK) status = add_decisions(&w, err);
    if (status == AG_OK) status = add_curve(&w, err);
    if (status == AG_OK) status = put(w.json, "draws", json_integer(in->draws), err);
    if (status == AG_OK) status = put(w.json, "seed", json_integer((json_int_t)in->seed), err);
    if (status == AG_OK) status = put(w.json, "warnings", json_incref(w.warnings), err);
    if (status == AG_OK) *report = json_incref(w.json);
    json_decref(w.json);
    json_decref(w.warnings);
    ag_arena_free(&w.arena);
    return status;
}
