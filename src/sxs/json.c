/* json.c: answers as rows of sums, the figures as a table of small functions, and the report of a study as JSON; see sxs.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "eval/resample.h"
#include "sxs/parts.h"
#include "sxs/sums.h"

const char *const ag_sxs_kind_names[AG_SXS_KINDS] = {"main", "repeat", "gold"};
const char *const ag_sxs_both_names[AG_SXS_BOTHS] = {"", "good", "bad"};

void ag_sxs_study_free(ag_sxs_study *study)
{
    ag_arena_free(&study->arena);
    *study = (ag_sxs_study){.path = NULL};
}

int ag_sxs_score(const ag_sxs_answer *answer)
{
    return answer->new_left ? -answer->preference : answer->preference;
}

void ag_sxs_check(ag_sxs_checked *checked, const ag_sxs_study *study)
{
    memset(checked, 0, study->judge_count * sizeof *checked);
    for (size_t i = 0; i < study->answer_count; i++) {
        const ag_sxs_answer *a = &study->answers[i];
        ag_sxs_checked *c = &checked[a->judge];
        if (a->skipped) {
            c->skipped++;
        } else if (a->kind == AG_SXS_GOLD) {
            c->gold++;
            c->passed += ag_sxs_score(a) > 0;
        } else if (a->kind == AG_SXS_REPEAT) {
            c->repeats++;
        } else {
            c->answered++;
        }
    }
    for (size_t j = 0; j < study->judge_count; j++) {
        ag_sxs_checked *c = &checked[j];
        c->out = c->gold > 0 && c->gold >= (size_t)study->gold_least &&
                 (double)c->passed < study->gold_cutoff * (double)c->gold;
    }
}

/* --- answers as rows ------------------------------------------------------------------------------------ */

enum {
    ONE,
    BETTER,
    WORSE,
    MUCH_BETTER,
    MUCH_WORSE,
    BOTH_GOOD,
    BOTH_BAD,
    SCORE,
    QUERY_GOOD, /* two of each from here */
    ITEMS_GOOD = QUERY_GOOD + AG_SXS_SYSTEMS,
    ITEMS = ITEMS_GOOD + AG_SXS_SYSTEMS,
    COLUMNS = ITEMS + AG_SXS_SYSTEMS
};
_Static_assert((int)COLUMNS <= (int)AG_SXS_COLUMNS, "columns");

static void fill_row(ag_sxs_row *row, const ag_sxs_study *study, const ag_sxs_answer *a)
{
    int score = ag_sxs_score(a);
    *row = (ag_sxs_row){{0}};
    row->x[ONE] = 1;
    row->x[BETTER] = score > 0;
    row->x[WORSE] = score < 0;
    row->x[MUCH_BETTER] = score == 2;
    row->x[MUCH_WORSE] = score == -2;
    row->x[BOTH_GOOD] = a->both == AG_SXS_BOTH_GOOD;
    row->x[BOTH_BAD] = a->both == AG_SXS_BOTH_BAD;
    row->x[SCORE] = score / 2.0;
    for (int s = 0; s < AG_SXS_SYSTEMS; s++) {
        row->x[QUERY_GOOD + s] = a->good[s] >= study->good_at_least;
        row->x[ITEMS_GOOD + s] = a->good[s];
        row->x[ITEMS + s] = a->shown[s];
    }
}

/* Standard deviation of an answer's direction (-1, 0, 1), for the plan of the next study. */
static double direction_sd(const double *x, double same)
{
    double decided = x[BETTER] + x[WORSE], all = x[ONE] + same, mean = (x[BETTER] - x[WORSE]) / all;
    return x[ONE] > 0 ? sqrt(fmax(0, decided / all - mean * mean)) : NAN;
}

static double share(double part, double all)
{
    return all > 0 ? part / all : NAN;
}

/* A share of answered traffic and of `same`; without an answer there is none. */
static double over(const double *x, double part, double same)
{
    return x[ONE] > 0 ? part / (x[ONE] + same) : NAN;
}

/* `same`: traffic of queries whose lists are equal, 0 for figures over those that differ. */
static double better(const double *x, double same)
{
    return over(x, x[BETTER], same);
}
static double worse(const double *x, double same)
{
    return over(x, x[WORSE], same);
}
static double neither(const double *x, double same)
{
    return over(x, x[ONE] - x[BETTER] - x[WORSE] + same, same);
}
static double net(const double *x, double same)
{
    return over(x, x[BETTER] - x[WORSE], same);
}
static double score(const double *x, double same)
{
    return over(x, x[SCORE], same);
}
static double much_better(const double *x, double same)
{
    return over(x, x[MUCH_BETTER], same);
}
static double much_worse(const double *x, double same)
{
    return over(x, x[MUCH_WORSE], same);
}
static double both_good(const double *x, double same)
{
    return over(x, x[BOTH_GOOD], same);
}
static double both_bad(const double *x, double same)
{
    return over(x, x[BOTH_BAD], same);
}
static double query_old(const double *x, double same)
{
    return over(x, x[QUERY_GOOD], same);
}
static double query_new(const double *x, double same)
{
    return over(x, x[QUERY_GOOD + AG_SXS_NEW], same);
}
static double query_gain(const double *x, double same)
{
    return over(x, x[QUERY_GOOD + AG_SXS_NEW] - x[QUERY_GOOD], same);
}
static double item_old(const double *x, double same)
{
    (void)same;
    return share(x[ITEMS_GOOD], x[ITEMS]);
}
static double item_new(const double *x, double same)
{
    (void)same;
    return share(x[ITEMS_GOOD + AG_SXS_NEW], x[ITEMS + AG_SXS_NEW]);
}
static double item_gain(const double *x, double same)
{
    return item_new(x, same) - item_old(x, same);
}

enum { ALL = 1, DIFFER = 2, TYPES = 4, MODELS = 8 };

/* Where a figure stands in the report, and over which queries. */
static const struct {
    const char *section, *key;
    ag_sxs_figure of;
    unsigned where;
    double least, most; /* what it can be: an interval ends there */
} figures[] = {
    {"preference", "better", better, ALL | DIFFER | TYPES | MODELS, 0, 1},
    {"preference", "same", neither, ALL | DIFFER | TYPES | MODELS, 0, 1},
    {"preference", "worse", worse, ALL | DIFFER | TYPES | MODELS, 0, 1},
    {"preference", "net", net, ALL | DIFFER | TYPES | MODELS, -1, 1},
    {"preference", "score", score, ALL | DIFFER | TYPES | MODELS, -1, 1},
    {"preference", "much_better", much_better, DIFFER, 0, 1},
    {"preference", "much_worse", much_worse, DIFFER, 0, 1},
    {"preference", "both_good", both_good, DIFFER, 0, 1},
    {"preference", "both_bad", both_bad, DIFFER, 0, 1},
    {"preference", "sd", direction_sd, DIFFER, 0, 1},
    {"query_goodrate", "old", query_old, DIFFER | TYPES | MODELS, 0, 1},
    {"query_goodrate", "new", query_new, DIFFER | TYPES | MODELS, 0, 1},
    {"query_goodrate", "gain", query_gain, ALL | DIFFER | TYPES | MODELS, -1, 1},
    {"item_goodrate", "old", item_old, DIFFER | TYPES | MODELS, 0, 1},
    {"item_goodrate", "new", item_new, DIFFER | TYPES | MODELS, 0, 1},
    {"item_goodrate", "gain", item_gain, DIFFER | TYPES | MODELS, -1, 1},
};

/* --- selecting ------------------------------------------------------------------------------------------ */

/* The answers that some part of the report is about, by query. */
typedef struct picked {
    const ag_sxs_answer **answers;
    size_t count;
    ag_sxs_row *rows;
    ag_sxs_cluster *clusters;
    size_t cluster_count;
} picked;

static int by_query(const void *pa, const void *pb)
{
    const ag_sxs_answer *a = *(const ag_sxs_answer *const *)pa, *b = *(const ag_sxs_answer *const *)pb;
    if (a->query != b->query) return a->query < b->query ? -1 : 1;
    return a->judge < b->judge ? -1 : a->judge > b->judge;
}

/* Main answers of people who are not left out, or (model >= 0) of one model. */
static ag_status pick(picked *p, const ag_sxs_study *study, const ag_sxs_checked *checked, long model,
                      ag_error *err)
{
    size_t n = study->answer_count;
    *p = (picked){.answers = ag_calloc(n, sizeof *p->answers),
                  .rows = ag_calloc(n, sizeof *p->rows),
                  .clusters = ag_calloc(n, sizeof *p->clusters)};
    if (!p->answers || !p->rows || !p->clusters) return ag_fail_memory(err, "answers of a study");
    for (size_t i = 0; i < n; i++) {
        const ag_sxs_answer *a = &study->answers[i];
        if (a->skipped || a->kind != AG_SXS_MAIN || study->queries[a->query].gold) continue;
        if (model < 0 ? study->judges[a->judge].model || checked[a->judge].out : a->judge != (uint32_t)model)
            continue;
        p->answers[p->count++] = a;
    }
    qsort(p->answers, p->count, sizeof *p->answers, by_query);
    for (size_t i = 0; i < p->count; i++) {
        const ag_sxs_query *q = &study->queries[p->answers[i]->query];
        fill_row(&p->rows[i], study, p->answers[i]);
        if (i == 0 || p->answers[i]->query != p->answers[i - 1]->query)
            p->clusters[p->cluster_count++] = (ag_sxs_cluster){
                .from = i, .weight = q->traffic / q->pi, .cell = q->cell};
        p->clusters[p->cluster_count - 1].n++;
    }
    return AG_OK;
}

static void picked_free(picked *p)
{
    ag_free(p->answers);
    ag_free(p->rows);
    ag_free(p->clusters);
}

/* A query belongs to the domain of each of its types; study->same[d] is domain d. */
static void set_domains(picked *p, const ag_sxs_study *study)
{
    for (size_t c = 0; c < p->cluster_count; c++) {
        const ag_sxs_query *q = &study->queries[p->answers[p->clusters[c].from]->query];
        for (int t = 0; t < q->type_count; t++)
            for (size_t d = 1; d < study->same_count; d++)
                if (strcmp(study->same[d].type, q->types[t]) == 0)
                    p->clusters[c].domains |= (uint64_t)1 << (d - 1);
    }
}

static ag_status sums_of(ag_sxs_sums *sums, const picked *p, const ag_sxs_study *study, int domains,
                         int draws, uint64_t seed, ag_error *err)
{
    ag_sxs_data data = {.rows = p->rows,
                        .clusters = p->clusters,
                        .cluster_count = p->cluster_count,
                        .cells = study->cells,
                        .cell_count = study->cell_count,
                        .columns = COLUMNS,
                        .domains = domains};
    return ag_sxs_sums_make(sums, &data, draws, seed, err);
}

/* --- JSON ----------------------------------------------------------------------------------------------- */

/* A member of an object, which is made where it is absent. NULL: no memory. */
static json_t *member(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    if (value) return value;
    return ag_json_set(object, key, json_object()) ? json_object_get(object, key) : NULL;
}

json_t *ag_sxs_estimate_json(const ag_estimate *e)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "value", ag_real_json(e->value), "low", ag_real_json(e->low),
                     "high", ag_real_json(e->high), "detectable", ag_real_json(e->detectable));
}

/* Figures of a domain under their sections. */
static ag_status put_figures(json_t *object, const ag_sxs_sums *sums, int domain, unsigned where, double same,
                             ag_error *err)
{
    for (size_t f = 0; f < sizeof figures / sizeof *figures; f++) {
        ag_estimate estimate;
        if (!(figures[f].where & where)) continue;
        AG_TRY(ag_sxs_estimate(&estimate, sums, domain, figures[f].of, same, err));
        if (isfinite(estimate.low)) estimate.low = fmax(estimate.low, figures[f].least);
        if (isfinite(estimate.high)) estimate.high = fmin(estimate.high, figures[f].most);
        if (!ag_json_set(member(object, figures[f].section), figures[f].key, ag_sxs_estimate_json(&estimate)))
            return ag_fail_memory(err, "a side-by-side report");
    }
    return AG_OK;
}

/* A new object with figures, put under `key` (NULL: appended to `parent`, a list) after what `head` holds, which is taken. */
static ag_status add_figures(json_t *parent, const char *key, json_t *head, const ag_sxs_sums *sums,
                             int domain, unsigned where, double same, ag_error *err)
{
    if (!head || (key ? json_object_set_new(parent, key, head) : json_array_append_new(parent, head)) != 0)
        return ag_fail_memory(err, "a side-by-side report");
    return put_figures(head, sums, domain, where, same, err);
}

static ag_status put_types(json_t *json, const picked *p, const ag_sxs_sums *sums, const ag_sxs_study *study,
                           ag_error *err)
{
    json_t *list = json_array();
    if (!ag_json_set(json, "types", list)) return ag_fail_memory(err, "a side-by-side report");
    for (size_t d = 1; d < study->same_count; d++) {
        size_t queries = 0;
        const ag_sxs_same *same = &study->same[d];
        for (size_t c = 0; c < p->cluster_count; c++) queries += p->clusters[c].domains >> (d - 1) & 1;
        json_t *head = json_pack("{s:o, s:I, s:o, s:o}", "type", ag_text_json(same->type), "queries",
                                 (json_int_t)queries, "traffic",
                                 ag_real_json(share(same->total, study->same[0].total)), "same_traffic",
                                 ag_real_json(share(same->traffic, same->total)));
        AG_TRY(add_figures(list, NULL, head, sums, (int)d, TYPES, same->traffic, err));
    }
    return AG_OK;
}

static ag_status put_models(json_t *json, const ag_sxs_study *study, const ag_sxs_checked *checked,
                            const picked *people, int draws, uint64_t seed, ag_error *err)
{
    json_t *list = json_array();
    if (!ag_json_set(json, "models", list)) return ag_fail_memory(err, "a side-by-side report");
    for (size_t j = 0; j < study->judge_count; j++) {
        picked p;
        ag_sxs_sums sums = {0};
        if (!study->judges[j].model) continue;
        ag_status status = pick(&p, study, checked, (long)j, err);
        if (status == AG_OK) status = sums_of(&sums, &p, study, 1, draws, seed, err);
        size_t pairs = 0, agree = 0;
        for (size_t a = 0, b = 0; status == AG_OK && a < people->count; a++) {
            uint32_t query = people->answers[a]->query;
            while (b < p.count && p.answers[b]->query < query) b++;
            if (b == p.count || p.answers[b]->query != query) continue;
            int x = ag_sxs_score(people->answers[a]), y = ag_sxs_score(p.answers[b]);
            pairs++;
            agree += (x > 0) - (x < 0) == (y > 0) - (y < 0);
        }
        json_t *head = NULL;
        if (status == AG_OK)
            head = json_pack("{s:o, s:I, s:{s:I, s:o}}", "judge", ag_text_json(study->judges[j].name),
                             "answers", (json_int_t)p.count, "with_people", "pairs", (json_int_t)pairs,
                             "share", ag_real_json(share((double)agree, (double)pairs)));
        if (status == AG_OK)
            status = add_figures(list, NULL, head, &sums, 0, MODELS, study->same[0].traffic, err);
        ag_sxs_sums_free(&sums);
        picked_free(&p);
        AG_TRY(status);
    }
    return AG_OK;
}

static ag_status put_judges(json_t *json, const ag_sxs_study *study, const ag_sxs_checked *checked,
                            ag_error *err)
{
    json_t *list = json_array(), *out = json_array();
    bool good = list && out;
    for (size_t j = 0; j < study->judge_count && good; j++) {
        const ag_sxs_checked *c = &checked[j];
        json_t *row = json_pack(
            "{s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:b}", "judge", ag_text_json(study->judges[j].name), "kind",
            study->judges[j].model ? "model" : "person", "answered", (json_int_t)c->answered, "skipped",
            (json_int_t)c->skipped, "repeats", (json_int_t)c->repeats, "checks", (json_int_t)c->gold,
            "passed", (json_int_t)c->passed, "left_out", c->out);
        good = json_array_append_new(list, row) == 0;
        if (good && c->out && !study->judges[j].model)
            good = json_array_append_new(out, ag_text_json(study->judges[j].name)) == 0;
    }
    bool set = ag_json_set(json, "judges", list);
    set = ag_json_set(json, "left_out", out) && set;
    return good && set ? AG_OK : ag_fail_memory(err, "a side-by-side report");
}

/* --- where the new system loses ------------------------------------------------------------------------- */

typedef struct loss {
    size_t cluster;
    double score; /* mean over its judges, -1 .. 1 */
    double lost;  /* share of all traffic times score */
} loss;

static int most_lost(const void *pa, const void *pb)
{
    const loss *a = pa, *b = pb;
    if (a->lost != b->lost) return a->lost < b->lost ? -1 : 1;
    return a->cluster < b->cluster ? -1 : a->cluster > b->cluster;
}

static json_t *worst_row(const picked *p, const ag_sxs_study *study, const loss *l)
{
    const ag_sxs_cluster *c = &p->clusters[l->cluster];
    const ag_sxs_query *q = &study->queries[p->answers[c->from]->query];
    json_t *scores = json_array(), *comments = json_array();
    double good[AG_SXS_SYSTEMS] = {0};
    for (size_t i = c->from; i < c->from + c->n; i++) {
        const ag_sxs_answer *a = p->answers[i];
        json_array_append_new(scores, json_integer(ag_sxs_score(a)));
        if (a->comment) json_array_append_new(comments, ag_text_json(a->comment));
        for (int s = 0; s < AG_SXS_SYSTEMS; s++) good[s] += a->good[s] / (double)c->n;
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", ag_text_json(q->id), "query",
                     ag_text_json(q->text), "stratum", ag_text_json(q->stratum), "score",
                     ag_real_json(l->score), "lost", ag_real_json(-l->lost), "answers", scores, "old_good",
                     ag_real_json(good[AG_SXS_OLD]), "new_good", ag_real_json(good[AG_SXS_NEW]), "comments",
                     comments);
}

static ag_status put_worst(json_t *json, const picked *p, const ag_sxs_study *study, size_t worst,
                           ag_error *err)
{
    json_t *list = json_array();
    loss *losses = ag_calloc(p->cluster_count, sizeof *losses);
    bool good = ag_json_set(json, "worst", list) && losses;
    for (size_t c = 0; c < p->cluster_count && good; c++) {
        const ag_sxs_cluster *cluster = &p->clusters[c];
        losses[c].cluster = c;
        for (size_t i = 0; i < cluster->n; i++)
            losses[c].score += p->rows[cluster->from + i].x[SCORE] / (double)cluster->n;
        losses[c].lost = losses[c].score * cluster->weight / study->same[0].total;
    }
    if (good) qsort(losses, p->cluster_count, sizeof *losses, most_lost);
    for (size_t c = 0; c < p->cluster_count && c < worst && good && losses[c].score < 0; c++)
        good = json_array_append_new(list, worst_row(p, study, &losses[c])) == 0;
    ag_free(losses);
    return good ? AG_OK : ag_fail_memory(err, "a side-by-side report");
}

/* --- the whole ------------------------------------------------------------------------------------------ */

static json_t *head_json(const ag_sxs_study *study, const picked *p, const ag_sxs_sums *sums, int draws,
                         uint64_t seed)
{
    size_t drawn = 0, skipped = 0, lonely = sums->lonely, unanswered = 0;
    for (size_t q = 0; q < study->query_count; q++) drawn += !study->queries[q].gold;
    for (size_t a = 0; a < study->answer_count; a++)
        skipped += study->answers[a].skipped && !study->judges[study->answers[a].judge].model;
    for (size_t c = 0; c < study->cell_count; c++) {
        bool met = study->cells[c].n == 0;
        for (size_t i = 0; i < p->cluster_count && !met; i++) met = p->clusters[i].cell == c;
        unanswered += !met;
    }
    const ag_sxs_same *all = &study->same[0];
    return json_pack(
        "{s:o, s:{s:o, s:o}, s:i, s:i, s:i, s:o, s:{s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:I}, "
        "s:i, s:I}",
        "study", ag_text_json(study->path), "names", "old", ag_text_json(study->names[AG_SXS_OLD]), "new",
        ag_text_json(study->names[AG_SXS_NEW]), "k", study->k, "good_at_least", study->good_at_least,
        "judges_a_query", study->judges_wanted, "gold_cutoff", ag_real_json(study->gold_cutoff), "queries",
        "log", (json_int_t)study->log_queries, "same", (json_int_t)all->queries, "same_traffic",
        ag_real_json(share(all->traffic, all->total)), "drawn", (json_int_t)drawn, "answered",
        (json_int_t)p->cluster_count, "answers", (json_int_t)p->count, "skipped", (json_int_t)skipped,
        "lonely_cells", (json_int_t)lonely, "unanswered_cells", (json_int_t)unanswered, "draws", draws,
        "seed", (json_int_t)(seed & INT64_MAX));
}

static ag_status put_all(json_t **json, const ag_sxs_study *study, const ag_sxs_checked *checked, int draws,
                         uint64_t seed, size_t worst, ag_error *err)
{
    picked p;
    ag_sxs_sums sums = {0};
    json_t *out = NULL;
    ag_status status = pick(&p, study, checked, -1, err);
    if (status == AG_OK) set_domains(&p, study);
    if (status == AG_OK) status = sums_of(&sums, &p, study, (int)study->same_count, draws, seed, err);
    if (status == AG_OK && !(out = head_json(study, &p, &sums, draws, seed)))
        status = ag_fail_memory(err, "a side-by-side report");
    if (status == AG_OK) status = put_judges(out, study, checked, err);
    if (status == AG_OK)
        status = add_figures(out, "all", json_object(), &sums, 0, ALL, study->same[0].traffic, err);
    if (status == AG_OK) status = add_figures(out, "differ", json_object(), &sums, 0, DIFFER, 0, err);
    if (status == AG_OK) status = ag_sxs_agreement(out, study, checked, draws, seed, err);
    if (status == AG_OK) status = put_types(out, &p, &sums, study, err);
    if (status == AG_OK) status = put_models(out, study, checked, &p, draws, seed, err);
    if (status == AG_OK) status = put_worst(out, &p, study, worst, err);
    ag_sxs_sums_free(&sums);
    picked_free(&p);
    if (status != AG_OK) json_decref(out);
    *json = status == AG_OK ? out : NULL;
    return status;
}

ag_status ag_sxs_json(json_t **json, const ag_sxs_study *study, int draws, uint64_t seed, size_t worst,
                      ag_error *err)
{
    *json = NULL;
    if (draws < 0 || draws > AG_MAX_DRAWS)
        return ag_fail(err, AG_ERR_USAGE, "draws must be 0 to %d", AG_MAX_DRAWS);
    ag_sxs_checked *checked = ag_calloc(study->judge_count, sizeof *checked);
    if (!checked) return ag_fail_memory(err, "judges of a study");
    ag_sxs_check(checked, study);
    ag_status status = put_all(json, study, checked, draws, seed, worst, err);
    ag_free(checked);
    return status;
}
