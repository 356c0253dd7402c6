/* metrics_raters.c: how far people agree with the label, with the model and with each other.
 *
 * What people reach among themselves is the ceiling that a judge is read against. Every row of the result
 * compares two sides on the records that have ratings, as if one were gold and the other the judge, through
 * the same metrics as everything else.
 */
#include "eval/tally.h"

#include <stdio.h>
#include <string.h>

enum {
    MAX_NAMED = 12, /* raters with rows of their own; more are crowds, and count in the pooled row alone */
    MAX_PAIRED = 6  /* raters up to which each pair of them has a row */
};

/* A side of a comparison: LABEL, MODEL, MEDIAN, or the number of a rater. */
enum { SIDE_LABEL = -1, SIDE_MODEL = -2, SIDE_MEDIAN = -3, SIDE_RATERS = -4 };

static const char *const agreement_metrics[] = {"accuracy", "macro_f1", "kappa", "acc2", "mae", "ndcg", NULL};

/* Of an even number of ratings the worse of the two in the middle, so that doubt does not raise a tier. */
static int median_rating(const ag_record *r)
{
    int count[AG_MAX_TIERS] = {0}, n = 0;
    for (int j = 0; j < r->rating_count; j++)
        if (r->ratings[j] >= 0) count[r->ratings[j]]++, n++;
    for (int k = 0, below = 0; k < AG_MAX_TIERS && n > 0; k++) {
        below += count[k];
        if (below > n / 2) return k;
    }
    return -1;
}

static int side_tier(const ag_record *r, int side)
{
    if (side == SIDE_LABEL) return r->gold;
    if (side == SIDE_MODEL) return r->tier;
    if (side == SIDE_MEDIAN) return median_rating(r);
    return side < r->rating_count ? r->ratings[side] : -1;
}

static void side_name(char *name, size_t size, int side)
{
    static const char *const names[] = {NULL, "label", "model", "median of raters", "raters"};
    if (side < 0)
        snprintf(name, size, "%s", names[-side]);
    else
        snprintf(name, size, "rater %d", side + 1);
}

static ag_status add_row(json_t *rows, int gold, int judge, const ag_groups *groups, int draws, uint64_t seed,
                         ag_error *err)
{
    char gold_name[32], judge_name[32];
    json_t *metrics;
    ag_status status = ag_set_json(&metrics, groups, agreement_metrics, draws, seed, err);
    if (status) return status;
    side_name(gold_name, sizeof gold_name, gold);
    side_name(judge_name, sizeof judge_name, judge);
    json_t *row = json_pack("{s:s, s:s, s:O}", "gold", gold_name, "judge", judge_name, "metrics", metrics);
    json_decref(metrics);
    if (json_array_append_new(rows, row)) return ag_fail_memory(err, "agreement of raters");
    return AG_OK;
}

/* One row: copies of the rated records in which `gold` is gold and `judge` is the judge. */
static ag_status pair_json(json_t *rows, const ag_records *records, ag_record *copies, int gold, int judge,
                           int draws, uint64_t seed, ag_error *err)
{
    ag_records set = {records->book, copies, 0};
    ag_groups groups;
    for (size_t i = 0; i < records->count; i++) {
        const ag_record *r = &records->items[i];
        int gold_tier = side_tier(r, gold), judge_tier = side_tier(r, judge);
        if (r->rating_count == 0 || gold_tier < 0 || judge_tier < 0) continue;
        ag_record *copy = &copies[set.count++];
        *copy = (ag_record){
            .id = r->id, .query = r->query, .group = r->group, .gold = gold_tier, .tier = judge_tier};
        if (judge == SIDE_MODEL) memcpy(copy->probability, r->probability, sizeof copy->probability);
    }
    ag_status status = ag_groups_collect(&groups, &set, NULL, set.count, err);
    if (status) return status;
    status = add_row(rows, gold, judge, &groups, draws, seed, err);
    ag_groups_free(&groups);
    return status;
}

/* Raters against each other: every two ratings of a record, half in each direction, so that no rater
 * counts as gold. */
static ag_status pooled_json(json_t *rows, const ag_records *records, int draws, uint64_t seed, ag_error *err)
{
    ag_groups groups;
    int tiers = records->book->tier_count;
    ag_status status = ag_groups_collect(&groups, records, NULL, records->count, err);
    if (status) return status;
    memset(groups.sums, 0, groups.count * groups.width * sizeof *groups.sums);
    for (size_t g = 0; g < groups.count; g++) {
        ag_tally t = ag_tally_view(records->book, groups.sums + g * groups.width);
        for (size_t i = groups.start[g]; i < groups.start[g + 1]; i++) {
            const ag_record *r = &records->items[groups.order[i]];
            int count[AG_MAX_TIERS] = {0};
            for (int j = 0; j < r->rating_count; j++)
                if (r->ratings[j] >= 0) count[r->ratings[j]]++;
            for (int x = 0; x < tiers; x++) {
                for (int y = 0; y < tiers; y++) {
                    double pairs = 0.5 * count[x] * (count[y] - (x == y));
                    t.confusion[x * tiers + y] += pairs;
                    t.sum[AG_SUM_JUDGED] += pairs;
                }
            }
        }
    }
    status = add_row(rows, SIDE_RATERS, SIDE_RATERS, &groups, draws, seed, err);
    ag_groups_free(&groups);
    return status;
}

static ag_status rows_json(json_t *rows, const ag_records *records, ag_record *copies, int raters, int draws,
                           uint64_t seed, ag_error *err)
{
    ag_status status = pair_json(rows, records, copies, SIDE_LABEL, SIDE_MODEL, draws, seed, err);
    int named = raters <= MAX_NAMED ? raters : 0;
    for (int j = 0; j < named && !status; j++)
        status = pair_json(rows, records, copies, j, SIDE_MODEL, draws, seed, err);
    if (!status) status = pair_json(rows, records, copies, SIDE_MEDIAN, SIDE_MODEL, draws, seed, err);
    for (int j = 0; j < named && !status; j++)
        status = pair_json(rows, records, copies, SIDE_LABEL, j, draws, seed, err);
    if (!status) status = pair_json(rows, records, copies, SIDE_LABEL, SIDE_MEDIAN, draws, seed, err);
    if (!status && raters > 1) status = pooled_json(rows, records, draws, seed, err);
    for (int i = 0; raters <= MAX_PAIRED && i < raters; i++)
        for (int j = i + 1; j < raters && !status; j++)
            status = pair_json(rows, records, copies, i, j, draws, seed, err);
    return status;
}

ag_status ag_raters_json(json_t **json, const ag_records *records, int draws, uint64_t seed, ag_error *err)
{
    int raters = 0;
    size_t rated = 0;
    *json = NULL;
    for (size_t i = 0; i < records->count; i++) {
        if (records->items[i].rating_count > raters) raters = records->items[i].rating_count;
        rated += records->items[i].rating_count > 0;
    }
    if (raters == 0) {
        *json = json_null();
        return AG_OK;
    }
    json_t *rows = json_array();
    ag_record *copies = ag_calloc(rated, sizeof *copies);
    ag_status status = AG_OK;
    if (!rows || !copies) status = ag_fail_memory(err, "agreement of raters");
    if (!status) status = rows_json(rows, records, copies, raters, draws, seed, err);
    if (!status) {
        *json = json_pack("{s:i, s:I, s:O}", "count", raters, "records", (json_int_t)rated, "rows", rows);
        if (!*json) status = ag_fail_memory(err, "agreement of raters");
    }
    json_decref(rows);
    ag_free(copies);
    return status;
}
