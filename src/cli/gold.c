/* gold.c: see gold.h. */
#include "cli/gold.h"

#include "base/log.h"
#include "base/mem.h"

ag_status ag_gold_load(ag_pair_list *pairs, const ag_book *book, const ag_lexicon *lexicon, const char *data,
                       const char *aggregate, long limit, ag_error *err)
{
    size_t kept = 0, without = 0;
    AG_TRY(ag_pairs_load(pairs, data, book, ag_aggregate_find(aggregate), err));
    for (size_t i = 0; i < pairs->count; i++) {
        ag_pair *p = pairs->items[i];
        bool keep = p->gold.tier >= 0 && (limit == 0 || kept < (size_t)limit);
        without += p->gold.tier < 0;
        if (keep)
            pairs->items[kept++] = p;
        else
            ag_pair_free(p);
    }
    pairs->count = kept;
    if (without) ag_warn("%s: %zu pairs without a gold tier are left out", data, without);
    if (kept == 0) return ag_fail(err, AG_ERR_INPUT, "%s: no pair has a gold tier", data);
    for (size_t i = 0; i < kept; i++) AG_TRY(ag_pair_fill_asked(pairs->items[i], lexicon, err));
    return AG_OK;
}

static ag_status tick(void *user, size_t done, size_t total, ag_error *err)
{
    (void)total, (void)err;
    ag_progress_update(user, (double)done, NULL);
    return AG_OK;
}

ag_status ag_gold_judge(ag_judgement **judged, ag_judge *judge, const ag_pair_list *pairs, long answers,
                        ag_error *err)
{
    size_t n = pairs->count, with = answers < 0 || (size_t)answers > n ? n : (size_t)answers;
    ag_judge_input *inputs = ag_calloc(n, sizeof *inputs);
    *judged = ag_calloc(n, sizeof **judged);
    ag_status status = inputs && *judged ? AG_OK : ag_fail_memory(err, "judgements");
    for (size_t i = 0; i < n && status == AG_OK; i++)
        inputs[i] = (ag_judge_input){pairs->items[i]->query, &pairs->items[i]->item, &pairs->items[i]->asked,
                                     NULL};
    ag_progress bar;
    ag_judge_progress progress = {tick, &bar};
    if (status == AG_OK) {
        ag_progress_begin(&bar, "judging", (double)n, 0);
        status = ag_judge_run(judge, inputs, with, AG_ANSWER_GREEDY, &progress, *judged, err);
        if (status == AG_OK)
            status = ag_judge_run(judge, inputs + with, n - with, AG_ANSWER_NONE, &progress, *judged + with,
                                  err);
        ag_progress_end(&bar, NULL);
    }
    ag_free(inputs);
    return status;
}
