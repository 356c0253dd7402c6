/* model.c: gains of items become a preference; see model.h. */
#include "sxs/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

static const ag_sxs_opinion *find(const ag_sxs_opinion *opinions, size_t count, const json_t *item)
{
    json_int_t number = json_integer_value(json_object_get(item, "item"));
    for (size_t i = 0; i < count; i++)
        if (opinions[i].item == number) return &opinions[i];
    return NULL;
}

static int highest_first(const void *pa, const void *pb)
{
    double a = *(const double *)pa, b = *(const double *)pb;
    return (a < b) - (a > b);
}

/* DCG of a side, with how many are shown and good. */
static ag_status side_gain(double *gain, size_t *shown, size_t *good, const json_t *list,
                           const ag_sxs_opinion *opinions, size_t count, ag_error *err)
{
    size_t i;
    json_t *item;
    *gain = 0;
    json_array_foreach(list, i, item)
    {
        const ag_sxs_opinion *o = find(opinions, count, item);
        if (!o) return ag_fail(err, AG_ERR_INPUT, "an item of the task was not judged");
        *gain += o->gain / log2((double)i + 2);
        *shown += 1;
        *good += o->good;
    }
    return AG_OK;
}

/* The greatest DCG of `depth` of the items. */
static ag_status ideal_gain(double *ideal, const ag_sxs_opinion *opinions, size_t count, size_t depth,
                            ag_error *err)
{
    double *gains = ag_calloc(count, sizeof *gains);
    if (!gains) return ag_fail_memory(err, "gains");
    for (size_t i = 0; i < count; i++) gains[i] = opinions[i].gain;
    qsort(gains, count, sizeof *gains, highest_first);
    *ideal = 0;
    for (size_t i = 0; i < count && i < depth; i++) *ideal += gains[i] / log2((double)i + 2);
    ag_free(gains);
    return AG_OK;
}

static json_t *ratings_json(const ag_sxs_opinion *opinions, size_t count)
{
    json_t *ratings = json_object();
    for (size_t i = 0; i < count; i++) {
        char key[32];
        snprintf(key, sizeof key, "%lld", (long long)opinions[i].item);
        if (!ratings || json_object_set_new(ratings, key, json_boolean(opinions[i].good)) == 0) continue;
        json_decref(ratings);
        return NULL;
    }
    return ratings;
}

ag_status ag_sxs_model_answer(json_t **answer, const json_t *task, const ag_sxs_opinion *opinions,
                              size_t count, ag_error *err)
{
    double left = 0, right = 0, ideal = 0;
    size_t shown = 0, good = 0;
    const json_t *lists[] = {json_object_get(task, "left"), json_object_get(task, "right")};
    size_t depth = json_array_size(lists[0]) > json_array_size(lists[1]) ? json_array_size(lists[0])
                                                                         : json_array_size(lists[1]);
    *answer = NULL;
    AG_TRY(side_gain(&left, &shown, &good, lists[0], opinions, count, err));
    AG_TRY(side_gain(&right, &shown, &good, lists[1], opinions, count, err));
    AG_TRY(ideal_gain(&ideal, opinions, count, depth, err));
    double difference = ideal > 0 ? (right - left) / ideal : 0, size = fabs(difference);
    int preference = size < AG_SXS_MODEL_SAME ? 0 : size < AG_SXS_MODEL_MUCH ? 1 : 2;
    *answer = json_pack("{s:O, s:i, s:o}", "task", json_object_get(task, "task"), "preference",
                        difference < 0 ? -preference : preference, "ratings", ratings_json(opinions, count));
    bool both = *answer && preference == 0;
    if (both && json_object_set_new(*answer, "both", json_string(2 * good >= shown ? "good" : "bad")) != 0) {
        json_decref(*answer);
        *answer = NULL;
    }
    return *answer ? AG_OK : ag_fail_memory(err, "an answer");
}
