/* validate.c: how good the model is now: NLL of gold answers, tiers from P(tier), format and consistency of greedy answers; no hints. */
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include "base/mem.h"

static ag_status gold_nll(ag_trainer *t, double *nll, ag_error *err)
{
    ag_dataset *d = &t->valid;
    ag_query_sequence *q = ag_calloc(d->sequence_count, sizeof *q);
    size_t total = 0;
    for (size_t i = 0; i < d->sequence_count; i++) total += (size_t)d->sequences[i].count;
    double *values = ag_calloc(total, sizeof *values), weight = 0, sum = 0;
    ag_status status = q && values ? AG_OK : ag_fail_memory(err, "validation");
    for (size_t i = 0, at = 0; i < d->sequence_count && status == AG_OK;
         at += (size_t)d->sequences[i++].count)
        q[i] = (ag_query_sequence){d->sequences[i].tokens, d->sequences[i].wanted, d->sequences[i].count,
                                   values + at};
    if (status == AG_OK) status = ag_judge_score(t->judge, q, d->sequence_count, err);
    for (size_t i = 0; i < d->sequence_count && status == AG_OK; i++) {
        size_t n = 0;
        for (int32_t k = 1; k < d->sequences[i].count; k++) n += d->sequences[i].wanted[k] != 0;
        for (size_t k = 0; k < n; k++) sum -= d->sequences[i].weight * q[i].logprob[k];
        weight += d->sequences[i].weight * (double)n;
    }
    *nll = weight > 0 ? sum / weight : NAN;
    ag_free(values);
    ag_free(q);
    return status;
}

static ag_status set_metric(json_t *json, const ag_records *records, const char *metric, double *value,
                            ag_error *err)
{
    ag_estimate e = {.value = NAN};
    const ag_metric *m = ag_metric_find(metric);
    if (!m) return ag_fail(err, AG_ERR_INTERNAL, "no metric '%s'", metric);
    AG_TRY(ag_metric_estimate(&e, m, records, 0, 0, err));
    if (value) *value = e.value;
    if (isfinite(e.value)) json_object_set_new(json, metric, json_real(e.value));
    return AG_OK;
}

/* Strict accuracy of the answered pairs of each gold rule: {"rule=R5": {"compliant": x, "n": k}, ...}. */
static ag_status set_slices(json_t *json, const ag_book *book, const ag_record *records, size_t n,
                            ag_arena *arena, ag_error *err)
{
    const ag_metric *m = ag_metric_find("compliant");
    ag_record *some = ag_arena_alloc(arena, n + 1, sizeof *some);
    json_t *slices = json_object();
    ag_status status = m && some && slices ? AG_OK : ag_fail_memory(err, "validation");
    for (int rule = 0; rule < book->rule_count && status == AG_OK; rule++) {
        ag_records set = {book, some, 0};
        ag_estimate e = {.value = NAN};
        char key[300];
        for (size_t i = 0; i < n; i++)
            if (records[i].answered && records[i].gold_rule == rule) some[set.count++] = records[i];
        if (set.count == 0) continue;
        status = ag_metric_estimate(&e, m, &set, 0, 0, err);
        snprintf(key, sizeof key, "rule=%s", book->rules[rule].id);
        if (status == AG_OK && isfinite(e.value) &&
            !ag_json_set(slices, key,
                         json_pack("{s:f, s:I}", "compliant", e.value, "n", (json_int_t)set.count)))
            status = ag_fail_memory(err, "validation");
    }
    if (status == AG_OK && json_object_size(slices) > 0) json_object_set(json, "slices", slices);
    json_decref(slices);
    return status;
}

static ag_status judge_pairs(ag_trainer *t, ag_validation *v, ag_arena *arena, ag_error *err)
{
    static const char *const names[] = {"accuracy", "acc2",      "kappa",     "ndcg",
                                        "format",   "adherence", "compliant", "verdicts"};
    size_t n = t->valid_pairs.count,
           answers = (size_t)t->settings->valid_answers < n ? (size_t)t->settings->valid_answers : n;
    ag_judge_input *inputs = ag_arena_alloc(arena, n, sizeof *inputs);
    ag_record *records = ag_arena_alloc(arena, n, sizeof *records);
    ag_judgement *judged = ag_calloc(n, sizeof *judged);
    ag_status status = inputs && records && judged ? AG_OK : ag_fail_memory(err, "validation");
    for (size_t i = 0; i < n && status == AG_OK; i++) {
        const ag_pair *p = t->valid_pairs.items[i];
        inputs[i] = (ag_judge_input){p->query, &p->item, &p->asked, NULL};
    }
    if (status == AG_OK)
        status = ag_judge_run(t->judge, inputs, answers, AG_ANSWER_GREEDY, NULL, judged, err);
    if (status == AG_OK)
        status = ag_judge_run(t->judge, inputs + answers, n - answers, AG_ANSWER_NONE, NULL, judged + answers,
                              err);
    for (size_t i = 0; i < n && status == AG_OK; i++)
        status = ag_record_fill(&records[i], t->book, t->valid_pairs.items[i], &judged[i], arena, err);
    ag_records set = {t->book, records, n};
    if (status == AG_OK) status = set_metric(v->json, &set, "macro_f1", &v->value, err);
    if (status == AG_OK) status = set_metric(v->json, &set, "self_consistency", &v->tie, err);
    for (size_t i = 0; i < sizeof names / sizeof *names && status == AG_OK; i++)
        status = set_metric(v->json, &set, names[i], NULL, err);
    if (status == AG_OK) status = set_slices(v->json, t->book, records, n, arena, err);
    ag_judgements_free(judged, judged ? n : 0);
    return status;
}

ag_status ag_validate(ag_trainer *t, ag_validation *v, ag_error *err)
{
    ag_arena arena = {.name = "validation"};
    *v = (ag_validation){.value = NAN, .tie = NAN, .json = json_object()};
    ag_status status = v->json ? gold_nll(t, &v->nll, err) : ag_fail_memory(err, "validation");
    if (status == AG_OK && isfinite(v->nll)) json_object_set_new(v->json, "nll", json_real(v->nll));
    if (status == AG_OK) status = judge_pairs(t, v, &arena, err);
    ag_arena_free(&arena);
    if (status != AG_OK) {
        json_decref(v->json);
        v->json = NULL;
    }
    return status;
}
