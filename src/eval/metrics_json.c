/* metrics_json.c: everything that is measured of a set, as one JSON object: what `agrl eval` writes, and all
 * that the terminal's table and the report need besides the rows.
 */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "eval/tally.h"

enum { MAX_MEASURES = 32 };

/* Shared failure: an object that could not be made. */
static ag_status no_memory(ag_error *err)
{
    return ag_fail_memory(err, "metrics as JSON");
}

json_t *ag_real_json(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

json_t *ag_text_json(const char *text)
{
    json_t *json = NULL;
    ag_str clean = {0};
    if (!text) return json_null();
    size_t n = strlen(text);
    if (ag_utf8_valid(text, n, NULL)) return json_stringn(text, n);
    for (size_t at = 0; at < n;) {
        char put[4];
        uint32_t c = ag_utf8_next(text, n, &at);
        ag_str_addn(&clean, put, (size_t)ag_utf8_put(c, put));
    }
    if (!clean.failed) json = json_stringn(ag_str_text(&clean), clean.len);
    ag_str_free(&clean);
    return json;
}

json_t *ag_estimate_json(const ag_estimate *e)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:I, s:I}", "value", ag_real_json(e->value), "low",
                     ag_real_json(e->low), "high", ag_real_json(e->high), "detectable",
                     ag_real_json(e->detectable), "records", (json_int_t)e->records, "groups",
                     (json_int_t)e->groups);
}

/* {name: estimate} of measures that are defined; with `all`, null ones too. */
static ag_status measures_json(json_t **json, const ag_measure *measures, const ag_estimate *estimates,
                               size_t n, bool all, ag_error *err)
{
    json_t *object = json_object();
    bool made = object != NULL;
    for (size_t i = 0; i < n && made; i++) {
        if (isnan(estimates[i].value) && !all) continue;
        made = json_object_set_new(object, measures[i].metric->name, ag_estimate_json(&estimates[i])) == 0;
    }
    *json = object;
    if (made) return AG_OK;
    json_decref(object);
    *json = NULL;
    return no_memory(err);
}

static bool named(const char *const *names, const char *name)
{
    for (; names && *names; names++)
        if (strcmp(*names, name) == 0) return true;
    return names == NULL;
}

ag_status ag_set_json(json_t **json, const ag_groups *groups, const char *const *names, int draws,
                      uint64_t seed, ag_error *err)
{
    ag_measure measures[MAX_MEASURES];
    ag_estimate estimates[MAX_MEASURES];
    size_t n = 0;
    *json = NULL;
    for (const ag_metric *metric = ag_metrics; metric->name && n < MAX_MEASURES; metric++)
        if (named(names, metric->name)) measures[n++] = (ag_measure){metric, 0};
    ag_status status = ag_bootstrap(estimates, measures, n, groups, draws, seed, err);
    if (status) return status;
    return measures_json(json, measures, estimates, n, false, err);
}

/* --- parts ---------------------------------------------------------------------------------------------- */

/* An array over the rows of a book's table (tiers or criteria): estimates of `table` for each index. */
static ag_status indexed_json(json_t **json, const ag_metric *table, int count, const ag_groups *groups,
                              int draws, uint64_t seed, ag_error *err)
{
    size_t each = 0, n = 0;
    while (table[each].name) each++;
    ag_measure *measures = ag_calloc(each * (size_t)count, sizeof *measures);
    ag_estimate *estimates = ag_calloc(each * (size_t)count, sizeof *estimates);
    json_t *rows = json_array();
    ag_status status = AG_OK;
    if (!measures || !estimates || !rows) {
        status = no_memory(err);
        goto out;
    }
    for (int index = 0; index < count; index++)
        for (size_t m = 0; m < each; m++) measures[n++] = (ag_measure){&table[m], index};
    status = ag_bootstrap(estimates, measures, n, groups, draws, seed, err);
    for (int index = 0; index < count && !status; index++) {
        json_t *row;
        status = measures_json(&row, measures + (size_t)index * each, estimates + (size_t)index * each, each,
                               true, err);
        if (!status && json_array_append_new(rows, row)) status = no_memory(err);
    }
out:
    ag_free(measures);
    ag_free(estimates);
    if (status) {
        json_decref(rows);
        rows = NULL;
    }
    *json = rows;
    return status;
}

/* What a failure left half made is not handed out. */
static ag_status drop_failed(json_t **json, ag_status status)
{
    if (status) {
        json_decref(*json);
        *json = NULL;
    }
    return status;
}

static ag_status tiers_json(json_t **json, const ag_groups *groups, const ag_tally *total, int draws,
                            uint64_t seed, ag_error *err)
{
    const ag_book *book = total->book;
    ag_status status = indexed_json(json, ag_tier_metrics, book->tier_count, groups, draws, seed, err);
    for (int k = 0; k < book->tier_count && !status; k++) {
        double gold = 0, predicted = 0;
        for (int j = 0; j < book->tier_count; j++) {
            gold += total->confusion[k * book->tier_count + j];
            predicted += total->confusion[j * book->tier_count + k];
        }
        json_t *facts = json_pack("{s:o, s:o, s:f, s:b, s:I, s:I}", "id", ag_text_json(book->tiers[k].id),
                                  "name", ag_text_json(book->tiers[k].name), "gain", book->tiers[k].gain,
                                  "good", book->tiers[k].good, "gold", (json_int_t)gold, "predicted",
                                  (json_int_t)predicted);
        if (!facts || json_object_update(json_array_get(*json, (size_t)k), facts)) status = no_memory(err);
        json_decref(facts);
    }
    return drop_failed(json, status);
}

static ag_status criteria_json(json_t **json, const ag_groups *groups, const ag_book *book, int draws,
                               uint64_t seed, ag_error *err)
{
    ag_status status = indexed_json(json, ag_criterion_metrics, book->criterion_count, groups, draws, seed,
                                    err);
    for (int c = 0; c < book->criterion_count && !status; c++) {
        json_t *facts = json_pack("{s:o, s:o}", "id", ag_text_json(book->criteria[c].id), "name",
                                  ag_text_json(book->criteria[c].name));
        if (!facts || json_object_update(json_array_get(*json, (size_t)c), facts)) status = no_memory(err);
        json_decref(facts);
    }
    return drop_failed(json, status);
}

static json_t *confusion_json(const ag_tally *t)
{
    int tiers = t->book->tier_count;
    json_t *rows = json_array();
    for (int g = 0; g < tiers && rows; g++) {
        json_t *row = json_array();
        bool made = row != NULL;
        for (int p = 0; p < tiers && made; p++)
            made = json_array_append_new(row, json_integer((json_int_t)t->confusion[g * tiers + p])) == 0;
        if (made && json_array_append(rows, row) == 0) {
            json_decref(row);
            continue;
        }
        json_decref(row);
        json_decref(rows);
        return NULL;
    }
    return rows;
}

static json_t *calibration_json(const ag_tally *t)
{
    json_t *bins = json_array();
    for (int b = 0; b < AG_CALIBRATION_BINS && bins; b++) {
        double n = t->bin[b][0];
        json_t *bin = json_pack("{s:f, s:f, s:I, s:o, s:o}", "low", (double)b / AG_CALIBRATION_BINS, "high",
                                (b + 1.0) / AG_CALIBRATION_BINS, "records", (json_int_t)n, "confidence",
                                ag_real_json(n > 0 ? t->bin[b][1] / n : NAN), "accuracy",
                                ag_real_json(n > 0 ? t->bin[b][2] / n : NAN));
        if (json_array_append_new(bins, bin)) {
            json_decref(bins);
            return NULL;
        }
    }
    return bins;
}

static json_t *queries_json(const ag_tally *t)
{
    double n = t->sum[AG_SUM_QUERIES];
    return json_pack("{s:I, s:I, s:I, s:o}", "ranked", (json_int_t)n, "without_relevant",
                     (json_int_t)t->sum[AG_SUM_IRRELEVANT], "informative",
                     (json_int_t)t->sum[AG_SUM_INFORMATIVE], "ndcg_random",
                     ag_real_json(n > 0 ? t->sum[AG_SUM_NDCG_RANDOM] / n : NAN));
}

static json_t *head_json(const ag_groups *groups, const ag_tally *t, int draws, uint64_t seed)
{
    const ag_book *book = t->book;
    return json_pack("{s:{s:o, s:o, s:s}, s:I, s:I, s:I, s:I, s:I, s:i, s:I}", "rulebook", "name",
                     ag_text_json(book->name), "version", ag_text_json(book->version), "digest", book->digest,
                     "records", (json_int_t)t->sum[AG_SUM_RECORDS], "groups", (json_int_t)groups->count,
                     "gold", (json_int_t)t->sum[AG_SUM_GOLD], "judged", (json_int_t)t->sum[AG_SUM_JUDGED],
                     "answered", (json_int_t)t->sum[AG_SUM_ANSWERED], "draws", draws, "seed",
                     (json_int_t)(seed & INT64_MAX));
}

/* Takes the reference of value, also on failure. */
static ag_status put(json_t *object, const char *key, json_t *value, ag_error *err)
{
    return json_object_set_new(object, key, value) ? no_memory(err) : AG_OK;
}

ag_status ag_metrics_json(json_t **json, const ag_records *records, int draws, uint64_t seed, ag_error *err)
{
    ag_groups groups = {0};
    json_t *all = NULL, *part = NULL;
    double *sums = NULL;
    *json = NULL;
    ag_status status = ag_groups_collect(&groups, records, NULL, records->count, err);
    if (status) return status;
    sums = ag_calloc(groups.width, sizeof *sums);
    if (!sums) {
        status = no_memory(err);
        goto out;
    }
    ag_groups_total(&groups, sums);
    ag_tally total = ag_tally_view(records->book, sums);
    all = head_json(&groups, &total, draws, seed);
    if (!all) status = no_memory(err);
    if (!status) status = ag_set_json(&part, &groups, NULL, draws, seed, err);
    if (!status) status = put(all, "overall", part, err);
    if (!status) status = put(all, "queries", queries_json(&total), err);
    if (!status) status = tiers_json(&part, &groups, &total, draws, seed, err);
    if (!status) status = put(all, "tiers", part, err);
    if (!status) status = criteria_json(&part, &groups, records->book, draws, seed, err);
    if (!status) status = put(all, "criteria", part, err);
    if (!status) status = put(all, "confusion", confusion_json(&total), err);
    if (!status) status = put(all, "calibration", calibration_json(&total), err);
    if (!status) status = ag_raters_json(&part, records, draws, seed, err);
    if (!status) status = put(all, "raters", part, err);
    if (!status) status = ag_slices_json(&part, records, draws, seed, err);
    if (!status) status = put(all, "slices", part, err);
out:
    ag_groups_free(&groups);
    ag_free(sums);
    if (status)
        json_decref(all);
    else
        *json = all;
    return status;
}
