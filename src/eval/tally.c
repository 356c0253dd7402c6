/* tally.c: from records to sums by query group. */
#include "eval/tally.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t ag_tally_width(const ag_book *book)
{
    size_t tiers = (size_t)book->tier_count;
    return AG_SUM_COUNT + tiers * tiers + 3 * AG_CALIBRATION_BINS + 2 * (size_t)book->criterion_count;
}

ag_tally ag_tally_view(const ag_book *book, double *sums)
{
    size_t tiers = (size_t)book->tier_count;
    ag_tally t = {.book = book, .sum = sums, .confusion = sums + AG_SUM_COUNT};
    t.bin = (double(*)[3])(t.confusion + tiers * tiers);
    t.criterion = (double(*)[2])(t.bin + AG_CALIBRATION_BINS);
    return t;
}

size_t ag_tally_columns(size_t *columns, const ag_book *book, uint64_t reads)
{
    size_t tiers = (size_t)book->tier_count, at = 0, n = 0;
    const size_t sizes[] = {tiers * tiers, 3 * AG_CALIBRATION_BINS, 2 * (size_t)book->criterion_count};
    const uint64_t tables[] = {AG_READS_CONFUSION, AG_READS_BINS, AG_READS_CRITERIA};
    for (; at < AG_SUM_COUNT; at++)
        if (reads & AG_READS(at)) columns[n++] = at;
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (size_t end = at + sizes[t]; at < end; at++)
            if (reads & tables[t]) columns[n++] = at;
    return n;
}

bool ag_record_probable(const ag_record *record, int tiers)
{
    double total = 0;
    for (int k = 0; k < tiers; k++) total += record->probability[k];
    return isfinite(total) && total > 0;
}

double ag_record_score(const ag_record *record, const ag_book *book)
{
    double score = 0;
    if (!ag_record_probable(record, book->tier_count))
        return record->tier >= 0 ? book->tiers[record->tier].gain : NAN;
    for (int k = 0; k < book->tier_count; k++) score += record->probability[k] * book->tiers[k].gain;
    return score;
}

int ag_calibration_bin(double confidence)
{
    int bin = (int)ceil(confidence * AG_CALIBRATION_BINS) - 1;
    return bin < 0 ? 0 : bin >= AG_CALIBRATION_BINS ? AG_CALIBRATION_BINS - 1 : bin;
}

/* --- one record ----------------------------------------------------------------------------------------- */

/* -log of a probability that came out as 0 would make one record outweigh all others. */
static const double least_probability = 1e-12;

static void add_headline(ag_tally *t, const ag_record *r)
{
    int tiers = t->book->tier_count;
    if (r->gold < 0) return;
    t->sum[AG_SUM_GOLD]++;
    if (r->tier >= 0) {
        t->sum[AG_SUM_JUDGED]++;
        t->confusion[r->gold * tiers + r->tier]++;
    }
    if (!ag_record_probable(r, tiers)) return;
    double brier = 0, confidence = 0;
    int likeliest =
        0; /* the headline tier, unless that was decided by something else than the largest probability */
    for (int k = 0; k < tiers; k++) {
        double off = r->probability[k] - (k == r->gold);
        brier += off * off;
        confidence = fmax(confidence, r->probability[k]);
        if (r->probability[k] > r->probability[likeliest]) likeliest = k;
    }
    t->sum[AG_SUM_PROBABLE]++;
    t->sum[AG_SUM_NLL] -= log(fmax(r->probability[r->gold], least_probability));
    t->sum[AG_SUM_BRIER] += brier;
    if (confidence < AG_CONFIDENT) {
        t->sum[AG_SUM_DOUBTFUL]++;
        t->sum[AG_SUM_DOUBTFUL_BAD] += r->tier != r->gold;
    }
    double *bin = t->bin[ag_calibration_bin(confidence)];
    bin[0]++;
    bin[1] += confidence;
    bin[2] += likeliest == r->gold;
}

static void add_answer(ag_tally *t, const ag_record *r)
{
    if (!r->answered) return;
    t->sum[AG_SUM_ANSWERED]++;
    t->sum[AG_SUM_FORMAT] += r->format;
    t->sum[AG_SUM_GATE] += r->gate;
    t->sum[AG_SUM_PROCESS] += r->answer_tier >= 0 && r->answer_tier == r->derived_tier;
    if (r->tier >= 0) {
        t->sum[AG_SUM_HEADLINE]++;
        t->sum[AG_SUM_SAME] += r->answer_tier == r->tier;
    }
    if (r->gold >= 0) {
        bool hit = r->answer_tier == r->gold;
        t->sum[AG_SUM_ANSWERED_GOLD]++;
        t->sum[AG_SUM_ANSWER_HIT] += hit;
        t->sum[AG_SUM_COMPLIANT] += hit && r->gate;
        t->sum[AG_SUM_WRONG_PROCESS] += hit && !r->gate;
    }
    if (r->verdicts_known) {
        t->sum[AG_SUM_VERDICTS]++;
        t->sum[AG_SUM_ADHERENT] += r->gate && r->verdicts_right;
    }
    if (r->gold_rule >= 0) {
        t->sum[AG_SUM_RULE]++;
        t->sum[AG_SUM_RULE_HIT] += r->rule == r->gold_rule;
    }
    for (int c = 0; c < t->book->criterion_count; c++) {
        t->criterion[c][0] += r->verdict_count[c];
        t->criterion[c][1] += r->verdict_hits[c];
        t->sum[AG_SUM_VERDICT] += r->verdict_count[c];
        t->sum[AG_SUM_VERDICT_HIT] += r->verdict_hits[c];
    }
}

/* --- one query ------------------------------------------------------------------------------------------ */

/* Items without a gold tier or a score take no part. scratch holds at least n. */
static void add_query(ag_tally *t, const ag_records *records, const size_t *order, size_t n,
                      ag_scored *scratch)
{
    size_t used = 0;
    double random, value, least = INFINITY, most = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        const ag_record *r = &records->items[order[i]];
        double score = ag_record_score(r, t->book);
        if (r->gold < 0 || isnan(score)) continue;
        double gain = t->book->tiers[r->gold].gain;
        scratch[used++] = (ag_scored){score, gain};
        least = fmin(least, gain), most = fmax(most, gain);
    }
    if (used == 0) return;
    value = ag_ndcg(scratch, used, &random);
    if (isnan(value)) {
        t->sum[AG_SUM_IRRELEVANT]++;
        return;
    }
    t->sum[AG_SUM_QUERIES]++;
    t->sum[AG_SUM_NDCG] += value;
    t->sum[AG_SUM_NDCG_RANDOM] += random;
    t->sum[AG_SUM_INFORMATIVE] += least < most;
}

/* --- groups --------------------------------------------------------------------------------------------- */

static bool tier_fits(int tier, int tiers)
{
    return tier >= -1 && tier < tiers;
}

static ag_status check(const ag_records *records, size_t i, ag_error *err)
{
    const ag_record *r = &records->items[i];
    int tiers = records->book->tier_count;
    const char *bad = NULL;
    if (!tier_fits(r->gold, tiers)) bad = "gold";
    if (!tier_fits(r->tier, tiers)) bad = "tier";
    if (r->answered && !tier_fits(r->answer_tier, tiers)) bad = "answer_tier";
    if (r->answered && !tier_fits(r->derived_tier, tiers)) bad = "derived_tier";
    for (int j = 0; j < r->rating_count; j++)
        if (!tier_fits(r->ratings[j], tiers)) bad = "ratings";
    if (!bad) return AG_OK;
    return ag_fail(err, AG_ERR_INTERNAL, "record %zu ('%s'): %s is not a tier of the rulebook", i + 1,
                   r->id ? r->id : "", bad);
}

typedef struct ag_place {
    const char *group, *query;
    size_t at;
} ag_place;

/* NULL sorts first and equals only NULL. */
static int text_order(const char *a, const char *b)
{
    if (!a || !b) return (a != NULL) - (b != NULL);
    return strcmp(a, b);
}

static int place_order(const void *pa, const void *pb)
{
    const ag_place *a = pa, *b = pb;
    int order = text_order(a->group, b->group);
    if (order == 0) order = text_order(a->query, b->query);
    return order ? order : (a->at > b->at) - (a->at < b->at);
}

/* Records without a group are grouped by query; without either each is a group of its own. */
static bool same_group(const ag_place *a, const ag_place *b)
{
    return a->group && b->group && strcmp(a->group, b->group) == 0;
}

static void collect_group(ag_groups *groups, size_t g, ag_scored *scratch)
{
    const ag_records *records = groups->records;
    ag_tally t = ag_tally_view(records->book, groups->sums + g * groups->width);
    size_t begin = groups->start[g], end = groups->start[g + 1];
    for (size_t i = begin; i < end; i++) {
        const ag_record *r = &records->items[groups->order[i]];
        t.sum[AG_SUM_RECORDS]++;
        add_headline(&t, r);
        add_answer(&t, r);
    }
    for (size_t i = begin, next; i < end; i = next) {
        const char *query = records->items[groups->order[i]].query;
        for (next = i + 1; next < end; next++)
            if (text_order(query, records->items[groups->order[next]].query) != 0) break;
        add_query(&t, records, groups->order + i, next - i, scratch);
    }
}

ag_status ag_groups_collect(ag_groups *groups, const ag_records *records, const size_t *pick, size_t n,
                            ag_error *err)
{
    ag_status status = AG_OK;
    ag_place *places = ag_calloc(n, sizeof *places);
    ag_scored *scratch = ag_calloc(n, sizeof *scratch);
    *groups = (ag_groups){.records = records, .width = ag_tally_width(records->book)};
    groups->order = ag_calloc(n, sizeof *groups->order);
    groups->start = ag_calloc(n + 1, sizeof *groups->start);
    if (!places || !scratch || !groups->order || !groups->start) {
        status = ag_fail_memory(err, "grouping of records");
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        size_t at = pick ? pick[i] : i;
        const ag_record *r = &records->items[at];
        status = check(records, at, err);
        if (status) goto out;
        places[i] = (ag_place){r->group ? r->group : r->query, r->query, at};
    }
    qsort(places, n, sizeof *places, place_order);
    for (size_t i = 0; i < n; i++) {
        groups->order[i] = places[i].at;
        if (i == 0 || !same_group(&places[i - 1], &places[i])) groups->start[groups->count++] = i;
    }
    groups->start[groups->count] = n;
    size_t cells;
    if (!__builtin_mul_overflow(groups->count, groups->width, &cells))
        groups->sums = ag_calloc(cells, sizeof *groups->sums);
    if (!groups->sums) {
        status = ag_fail_memory(err, "sums of query groups");
        goto out;
    }
    for (size_t g = 0; g < groups->count; g++) collect_group(groups, g, scratch);
out:
    ag_free(places);
    ag_free(scratch);
    if (status) ag_groups_free(groups);
    return status;
}

void ag_groups_free(ag_groups *groups)
{
    ag_free(groups->order);
    ag_free(groups->start);
    ag_free(groups->sums);
    *groups = (ag_groups){0};
}

void ag_groups_total(const ag_groups *groups, double *sums)
{
    memset(sums, 0, groups->width * sizeof *sums);
    for (size_t g = 0; g < groups->count; g++)
        for (size_t w = 0; w < groups->width; w++) sums[w] += groups->sums[g * groups->width + w];
}
