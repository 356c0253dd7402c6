/* cmd_sxs_judge.c: `agrl sxs judge`: a model goes through a study as a judge does, seeing what a judge sees (and the items' attributes),
 * and its answers are kept apart as a model's.
 */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/cmd_sxs.h"
#include "cli/interrupt.h"
#include "cli/judge_open.h"
#include "sxs/model.h"
#include "sxs/store.h"

/* The items of one task as pairs. */
typedef struct task_pairs {
    ag_pair *pairs[2 * AG_SXS_K_MOST];
    ag_judge_input inputs[2 * AG_SXS_K_MOST];
    ag_sxs_opinion opinions[2 * AG_SXS_K_MOST];
    size_t count;
} task_pairs;

static void clear(task_pairs *t)
{
    for (size_t i = 0; i < t->count; i++) ag_pair_free(t->pairs[i]);
    memset(t, 0, sizeof *t);
}

static ag_status add_item(task_pairs *t, ag_judge_setup *setup, ag_sxs_store *store, const json_t *task,
                          int64_t number, ag_error *err)
{
    json_t *item = NULL;
    for (size_t i = 0; i < t->count; i++)
        if (t->opinions[i].item == number) return AG_OK;
    if (t->count == 2 * AG_SXS_K_MOST) return ag_fail(err, AG_ERR_INPUT, "a task with too many items");
    AG_TRY(ag_sxs_store_item(&item, store, number, err));
    if (!item) return ag_fail(err, AG_ERR_INPUT, "item %lld is not in the study", (long long)number);
    json_t *json = json_pack("{s:O, s:o}", "query", json_object_get(task, "query"), "item", item);
    if (!json) return ag_fail_memory(err, "a pair");
    ag_status status = ag_pair_from_json(&t->pairs[t->count], json, "study", 1, setup->book,
                                         AG_AGGREGATE_GIVEN, err);
    json_decref(json);
    AG_TRY(status);
    ag_pair *pair = t->pairs[t->count];
    t->opinions[t->count].item = number;
    t->count++;
    AG_TRY(ag_pair_fill_asked(pair, setup->lexicon, err));
    t->inputs[t->count - 1] = (ag_judge_input){pair->query, &pair->item, &pair->asked, NULL};
    return AG_OK;
}

static ag_status answer_task(task_pairs *t, ag_judge_setup *setup, ag_sxs_store *store, int64_t judge,
                             const json_t *task, ag_error *err)
{
    static const char *const sides[] = {"left", "right"};
    json_t *item, *answer = NULL;
    size_t i;
    for (int s = 0; s < 2; s++)
        json_array_foreach(json_object_get(task, sides[s]), i, item)
            AG_TRY(add_item(t, setup, store, task, json_integer_value(json_object_get(item, "item")), err));
    ag_judgement *judged = ag_calloc(t->count, sizeof *judged);
    ag_status status = judged ? AG_OK : ag_fail_memory(err, "judgements");
    if (status == AG_OK)
        status = ag_judge_run(setup->judge, t->inputs, t->count, AG_ANSWER_NONE, NULL, judged, err);
    for (i = 0; i < t->count && status == AG_OK; i++) {
        t->opinions[i].gain = judged[i].gain;
        t->opinions[i].good = setup->book->tiers[judged[i].tier].good;
    }
    ag_judgements_free(judged, t->count);
    AG_TRY(status);
    AG_TRY(ag_sxs_model_answer(&answer, task, t->opinions, t->count, err));
    status = ag_sxs_store_answer(store, judge, answer, err);
    json_decref(answer);
    return status;
}

static ag_status judge_all(ag_judge_setup *setup, ag_sxs_store *store, int64_t judge, ag_error *err)
{
    task_pairs *t = ag_calloc(1, sizeof *t);
    ag_progress bar;
    size_t done = 0;
    ag_status status = t ? AG_OK : ag_fail_memory(err, "a task");
    ag_progress_begin(&bar, "judging", 0, 0);
    while (status == AG_OK) {
        json_t *task = NULL;
        if (ag_interrupted()) status = ag_fail(err, AG_ERR_INTERRUPTED, "stopped; run it again to go on");
        if (status == AG_OK) status = ag_sxs_store_next(store, judge, &task, err);
        bool more = status == AG_OK && json_object_get(task, "task");
        if (more) status = answer_task(t, setup, store, judge, task, err);
        json_decref(task);
        if (t) clear(t);
        if (!more) break;
        ag_progress_update(&bar, (double)++done, NULL);
    }
    if (status == AG_OK)
        ag_progress_end(&bar, NULL);
    else
        ag_progress_drop();
    if (status == AG_OK) ag_say("%zu queries and checks judged", done);
    ag_free(t);
    return status;
}

int ag_cmd_sxs_judge(int argc, char **argv)
{
    static const ag_usage usage = {"agrl sxs judge STUDY --model M --rules BOOK [options]",
                                   "Lets a model judge the queries of a study and its checks. The report "
                                   "shows it apart from the people, in no figure of theirs. "
                                   "docs/SXS.md says how tiers become a preference.",
                                   1, 1};
    ag_model_choice choice = AG_MODEL_CHOICE_DEFAULTS;
    const char *rules = NULL, *lexicon = NULL, *name = NULL;
    const ag_option options[] = {
        AG_MODEL_OPTIONS(choice),
        {"rules", AG_OPT_STRING, &rules, "BOOK", "the rulebook", 0, 0},
        {"lexicon", AG_OPT_STRING, &lexicon, "FILE",
         "what the parser knows of the catalogue (default: the model's own)", 0, 0},
        {"as", AG_OPT_STRING, &name, "NAME", "its name in the report (default: what --model says)", 0, 0},
        {0}};
    char **args, token[AG_SXS_TOKEN];
    int nargs, code = ag_options_parse(&usage, options, argc, argv, &args, &nargs);
    if (code >= 0) return code;
    ag_error err = {0};
    ag_judge_setup setup = {0};
    ag_sxs_store *store = NULL;
    int64_t judge = 0;
    ag_status status = ag_sxs_store_open(&store, args[0], &err);
    if (status == AG_OK) status = ag_interrupt_begin(&err);
    if (status == AG_OK) status = ag_setup_model(&setup, &choice, &err);
    if (status == AG_OK) status = ag_setup_rules(&setup, rules, lexicon, &err);
    if (status == AG_OK) status = ag_setup_judge(&setup, &choice, &err);
    if (status == AG_OK)
        status = ag_sxs_store_invite(store, name ? name : choice.model, true, token, &judge, &err);
    if (status == AG_OK) status = judge_all(&setup, store, judge, &err);
    ag_setup_close(&setup);
    ag_sxs_store_close(store);
    return status == AG_OK ? 0 : ag_cli_fail(&err);
}
