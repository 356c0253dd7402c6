/* agree.c: do judges agree with each other and with themselves, and do they favour a side? See parts.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "sxs/parts.h"
#include "sxs/sums.h"

/* Sums that Krippendorff's alpha is made of: a unit's values enter when it has two or more. */
enum { PAIRS, AGREE, VALUES, WITHIN, FIRST, SECOND, UNIT_COLUMNS };
enum {
    PREFERENCES = 0,
    ITEMS = UNIT_COLUMNS,
    REPEATS = 2 * UNIT_COLUMNS,
    REPEATS_AGREE,
    REPEATS_SIDE,
    REPEATS_DECIDED,
    DECIDED,
    LEFT,
    COLUMNS
};
_Static_assert((int)COLUMNS <= (int)AG_SXS_COLUMNS, "columns");

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

/* Adds one unit's values: pairs of judges, pairs whose class is the same, and the parts of alpha. */
static void add_unit(double *x, const double *values, const int *classes, int n)
{
    double sum = 0, squares = 0;
    if (n < 2) return;
    for (int i = 0; i < n; i++) {
        sum += values[i];
        squares += values[i] * values[i];
        for (int j = 0; j < i; j++) {
            x[PAIRS]++;
            x[AGREE] += classes[i] == classes[j];
        }
    }
    x[VALUES] += n;
    x[WITHIN] += 2 * (n * squares - sum * sum) / (n - 1);
    x[FIRST] += sum;
    x[SECOND] += squares;
}

static double ratio(double part, double all)
{
    return all > 0 ? part / all : NAN;
}

static double alpha(const double *x)
{
    double n = x[VALUES], between = 2 * (n * x[SECOND] - x[FIRST] * x[FIRST]);
    return n > 1 && between > 1e-9 * n * n ? 1 - x[WITHIN] / n / (between / (n * (n - 1))) : NAN;
}

static double preference_share(const double *x, double extra)
{
    (void)extra;
    return ratio(x[AGREE], x[PAIRS]);
}
static double preference_alpha(const double *x, double extra)
{
    (void)extra;
    return alpha(x);
}
static double item_share(const double *x, double extra)
{
    (void)extra;
    return ratio(x[ITEMS + AGREE], x[ITEMS + PAIRS]);
}
static double item_alpha(const double *x, double extra)
{
    (void)extra;
    return alpha(x + ITEMS);
}
static double self_share(const double *x, double extra)
{
    (void)extra;
    return ratio(x[REPEATS_AGREE], x[REPEATS]);
}
static double side_share(const double *x, double extra)
{
    (void)extra;
    return ratio(x[REPEATS_SIDE], x[REPEATS_DECIDED]);
}
static double left_share(const double *x, double extra)
{
    (void)extra;
    return ratio(x[LEFT], x[DECIDED]);
}

static const struct {
    const char *section, *key;
    ag_sxs_figure of;
    int count; /* column whose sum is what the figure is over */
} figures[] = {
    {"judges", "share", preference_share, PAIRS},  {"judges", "alpha", preference_alpha, VALUES},
    {"items", "share", item_share, ITEMS + PAIRS}, {"items", "alpha", item_alpha, ITEMS + VALUES},
    {"self", "share", self_share, REPEATS},        {"self", "same_side", side_share, REPEATS_DECIDED},
    {"position", "left", left_share, DECIDED},
};

/* --- sums by query -------------------------------------------------------------------------------------- */

static int by_query(const void *pa, const void *pb)
{
    const ag_sxs_answer *a = *(const ag_sxs_answer *const *)pa, *b = *(const ag_sxs_answer *const *)pb;
    if (a->query != b->query) return a->query < b->query ? -1 : 1;
    if (a->judge != b->judge) return a->judge < b->judge ? -1 : 1;
    return (a->kind > b->kind) - (a->kind < b->kind); /* the repeat stands behind its main answer */
}

typedef struct named_rating {
    const char *item;
    int good;
} named_rating;

static int by_item(const void *pa, const void *pb)
{
    return strcmp(((const named_rating *)pa)->item, ((const named_rating *)pb)->item);
}

static ag_status add_items(double *x, const ag_sxs_answer *const *answers, size_t n, ag_error *err)
{
    size_t count = 0, most = 0;
    for (size_t i = 0; i < n; i++) most += (size_t)answers[i]->rating_count;
    named_rating *all = ag_calloc(most, sizeof *all);
    double *values = ag_calloc(most, sizeof *values);
    int *classes = ag_calloc(most, sizeof *classes);
    bool room = all && values && classes;
    for (size_t i = 0; i < n && room; i++)
        for (int r = 0; r < answers[i]->rating_count && answers[i]->kind == AG_SXS_MAIN; r++)
            all[count++] = (named_rating){answers[i]->ratings[r].item, answers[i]->ratings[r].good};
    if (room) qsort(all, count, sizeof *all, by_item);
    for (size_t from = 0, to; from < count && room; from = to) {
        for (to = from; to < count && strcmp(all[to].item, all[from].item) == 0; to++) {
            classes[to - from] = all[to].good;
            values[to - from] = all[to].good;
        }
        add_unit(x + ITEMS, values, classes, (int)(to - from));
    }
    ag_free(all);
    ag_free(values);
    ag_free(classes);
    return room ? AG_OK : ag_fail_memory(err, "ratings of a query");
}

static ag_status fill_row(ag_sxs_row *row, const ag_sxs_answer *const *answers, size_t n, ag_error *err)
{
    double *x = row->x, *values = ag_calloc(n, sizeof *values);
    int *classes = ag_calloc(n, sizeof *classes), count = 0;
    ag_status status = values && classes ? AG_OK : ag_fail_memory(err, "answers to a query");
    for (size_t i = 0; i < n && status == AG_OK; i++) {
        const ag_sxs_answer *a = answers[i], *before = i ? answers[i - 1] : NULL;
        if (a->preference != 0 && a->kind == AG_SXS_MAIN) {
            x[DECIDED]++;
            x[LEFT] += a->preference < 0;
        }
        if (a->kind == AG_SXS_MAIN) {
            values[count] = ag_sxs_score(a);
            classes[count++] = sign(ag_sxs_score(a));
        } else if (before && before->judge == a->judge && before->kind == AG_SXS_MAIN) {
            x[REPEATS]++;
            x[REPEATS_AGREE] += sign(ag_sxs_score(a)) == sign(ag_sxs_score(before));
            x[REPEATS_DECIDED] += a->preference != 0 && before->preference != 0;
            x[REPEATS_SIDE] += a->preference != 0 && sign(a->preference) == sign(before->preference);
        }
    }
    if (status == AG_OK) add_unit(x + PREFERENCES, values, classes, count);
    if (status == AG_OK) status = add_items(x, answers, n, err);
    ag_free(values);
    ag_free(classes);
    return status;
}

/* --- JSON ----------------------------------------------------------------------------------------------- */

static ag_status put(json_t *json, const ag_sxs_sums *sums, ag_error *err)
{
    json_t *object = json_object();
    if (!ag_json_set(json, "agreement", object)) return ag_fail_memory(err, "a side-by-side report");
    for (size_t f = 0; f < sizeof figures / sizeof *figures; f++) {
        ag_estimate estimate;
        json_t *section = json_object_get(object, figures[f].section);
        AG_TRY(ag_sxs_estimate(&estimate, sums, 0, figures[f].of, 0, err));
        json_t *value = ag_sxs_estimate_json(&estimate);
        double over = ag_sxs_sums_of(sums, 0, 0)[figures[f].count];
        bool good = value && json_object_set_new(value, "over", json_integer((json_int_t)llround(over))) == 0;
        if (!section && ag_json_set(object, figures[f].section, json_object()))
            section = json_object_get(object, figures[f].section);
        if (!ag_json_set(section, figures[f].key, value) || !good)
            return ag_fail_memory(err, "a side-by-side report");
    }
    return AG_OK;
}

ag_status ag_sxs_agreement(json_t *json, const ag_sxs_study *study, const ag_sxs_checked *checked, int draws,
                           uint64_t seed, ag_error *err)
{
    size_t n = study->answer_count, count = 0, clusters = 0;
    const ag_sxs_answer **answers = ag_calloc(n, sizeof *answers);
    ag_sxs_row *rows = ag_calloc(n, sizeof *rows);
    ag_sxs_cluster *list = ag_calloc(n, sizeof *list);
    ag_sxs_sums sums = {0};
    ag_status status = answers && rows && list ? AG_OK : ag_fail_memory(err, "answers of a study");
    for (size_t i = 0; i < n && status == AG_OK; i++) {
        const ag_sxs_answer *a = &study->answers[i];
        if (!a->skipped && a->kind != AG_SXS_GOLD && !study->judges[a->judge].model && !checked[a->judge].out)
            answers[count++] = a;
    }
    if (status == AG_OK) qsort(answers, count, sizeof *answers, by_query);
    for (size_t from = 0, to; from < count && status == AG_OK; from = to) {
        for (to = from; to < count && answers[to]->query == answers[from]->query;) to++;
        list[clusters] = (ag_sxs_cluster){.from = clusters, .n = 1, .weight = 1};
        status = fill_row(&rows[clusters++], answers + from, to - from, err);
    }
    ag_sxs_cell cell = {.traffic = (double)clusters, .population = clusters, .n = clusters};
    ag_sxs_data data = {.rows = rows,
                        .clusters = list,
                        .cluster_count = clusters,
                        .cells = &cell,
                        .cell_count = 1,
                        .columns = COLUMNS,
                        .domains = 1};
    if (status == AG_OK) status = ag_sxs_sums_make(&sums, &data, draws, seed, err);
    if (status == AG_OK) status = put(json, &sums, err);
    ag_sxs_sums_free(&sums);
    ag_free(answers);
    ag_free(rows);
    ag_free(list);
    return status;
}
