/* test_contest.c: contests against a recomputation from the records, draw by draw; and what they write. */
#include "eval_fixture.h"

#include <omp.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "eval/cell.h"
#include "eval/contest.h"
#include "eval/contest_parts.h"

enum { ROWS = 4, SEEDS = 3, GROUPS = 17, TIERS = 3, DRAWS = 400 };

/* Rows of judgements on the same pairs; groups of different sizes; row r is right more often than row r - 1. */
typedef struct world {
    fixture_book book;
    size_t count;
    char queries[GROUPS][8], ids[GROUPS * 9][8];
    const char *names[1], *values[GROUPS * 9][1];
    ag_record items[ROWS][SEEDS][GROUPS * 9];
    ag_records sets[ROWS][SEEDS];
    ag_contest_row rows[ROWS];
    ag_contest contest;
} world;

static const char *const row_names[ROWS] = {"one", "two", "three", "four"};

static void answer(ag_record *r, int tier, bool gate)
{
    r->answered = r->format = true;
    r->gate = gate;
    r->answer_tier = tier;
    r->derived_tier = gate ? tier : 0;
}

static world *make_world(const char *metric)
{
    world *w = ag_calloc(1, sizeof *w);
    assert_non_null(w);
    fixture_book_make(&w->book, TIERS);
    w->names[0] = "type";
    for (size_t g = 0; g < GROUPS; g++) {
        snprintf(w->queries[g], sizeof w->queries[g], "q%02d", (int)(g * 5 % GROUPS)); /* not in order */
        for (size_t k = 0; k < 1 + g % 9; k++, w->count++) {
            ag_rng rng = ag_rng_at(3, AG_RNG_TEST, g, k, 0, 0);
            int gold = (int)ag_rng_below(&rng, 4) % TIERS;
            snprintf(w->ids[w->count], sizeof w->ids[0], "p%d", (int)w->count);
            w->values[w->count][0] = g % 3 ? "plain" : "negation";
            for (int r = 0; r < ROWS; r++) {
                for (int s = 0; s < SEEDS; s++) {
                    bool right = ag_rng_double(&rng) < 0.35 + 0.15 * r;
                    ag_record *to = &w->items[r][s][w->count];
                    *to = fixture_record(w->queries[g], gold, right ? gold : (gold + 1 + s % 2) % TIERS);
                    to->id = w->ids[w->count];
                    to->slice_names = w->names;
                    to->slice_values = w->values[w->count];
                    to->slice_count = 1;
                    to->gold_rule = (int)(k % 2);
                    answer(to, to->tier, ag_rng_double(&rng) < 0.8);
                }
            }
        }
    }
    for (int r = 0; r < ROWS; r++) {
        for (int s = 0; s < SEEDS; s++) w->sets[r][s] = (ag_records){&w->book.book, w->items[r][s], w->count};
        w->rows[r] = (ag_contest_row){.name = row_names[r], .seeds = w->sets[r], .seed_count = SEEDS};
    }
    w->rows[0].seed_count = 1; /* a start that is not trained */
    w->contest = (ag_contest){.rows = w->rows,
                              .row_count = ROWS,
                              .against = 2,
                              .metric = ag_metric_find(metric),
                              .draws = DRAWS,
                              .seed = 7};
    assert_non_null(w->contest.metric);
    return w;
}

/* --- the oracle --------------------------------------------------------------------------------------------------- */

/* Macro F1 of records, each counted `times`, by its definition. */
static double naive_macro_f1(const ag_records *set, const int *times)
{
    double sum = 0;
    int occurring = 0;
    for (int k = 0; k < TIERS; k++) {
        double both = 0, gold = 0, said = 0;
        for (size_t i = 0; i < set->count; i++) {
            both += times[i] * (set->items[i].gold == k && set->items[i].tier == k);
            gold += times[i] * (set->items[i].gold == k);
            said += times[i] * (set->items[i].tier == k);
        }
        if (gold + said == 0) continue;
        occurring++;
        sum += 2 * both / (gold + said);
    }
    return sum / occurring;
}

static double naive_compliant(const ag_records *set, const int *times)
{
    double hits = 0, all = 0;
    for (size_t i = 0; i < set->count; i++) {
        all += times[i];
        hits += times[i] * (set->items[i].answer_tier == set->items[i].gold && set->items[i].gate);
    }
    return hits / all;
}

typedef double naive_metric(const ag_records *set, const int *times);

static double naive_mean(const ag_contest_row *row, const int *times, naive_metric *metric)
{
    double sum = 0;
    for (size_t s = 0; s < row->seed_count; s++) sum += metric(&row->seeds[s], times);
    return sum / (double)row->seed_count;
}

/* How often each picked record is in draw d: its group as often as the group is drawn; the groups sorted by name. */
static void naive_draw(int *times, const ag_records *set, const bool *picked, uint64_t seed, int d)
{
    char names[GROUPS][8];
    int count = 0, drawn[GROUPS] = {0};
    for (int q = 0; q < GROUPS; q++) {
        bool found = false;
        char name[8];
        snprintf(name, sizeof name, "q%02d", q);
        for (size_t i = 0; i < set->count; i++) found |= picked[i] && !strcmp(set->items[i].query, name);
        if (found) memcpy(names[count++], name, sizeof name);
    }
    ag_rng rng = ag_rng_at(seed, AG_RNG_BOOTSTRAP, (uint64_t)d, 0, 0, 0);
    for (int g = 0; g < count; g++) drawn[ag_rng_below(&rng, (uint32_t)count)]++;
    for (size_t i = 0; i < set->count; i++) {
        times[i] = 0;
        for (int g = 0; g < count && picked[i]; g++)
            if (!strcmp(set->items[i].query, names[g])) times[i] = drawn[g];
    }
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double naive_quantile(const double *sorted, double share)
{
    double at = share * (DRAWS - 1);
    int below = (int)at;
    return sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]);
}

/* Differences from row `against` on every draw, and what follows from them. */
static void naive_test(ag_difference *out, const world *w, const bool *picked, naive_metric *metric, int row)
{
    static int times[GROUPS * 9];
    static double diffs[DRAWS];
    const ag_contest *c = &w->contest;
    int far = 0;
    for (size_t i = 0; i < w->count; i++) times[i] = picked[i];
    out->value = naive_mean(&w->rows[row], times, metric) - naive_mean(&w->rows[c->against], times, metric);
    for (int d = 0; d < DRAWS; d++) {
        naive_draw(times, &w->sets[0][0], picked, c->seed, d);
        diffs[d] = naive_mean(&w->rows[row], times, metric) - naive_mean(&w->rows[c->against], times, metric);
        far += fabs(diffs[d] - out->value) >= fabs(out->value) - 1e-9;
    }
    out->p = (far + 1.0) / (DRAWS + 1.0);
    qsort(diffs, DRAWS, sizeof *diffs, by_size);
    out->low = naive_quantile(diffs, 0.025);
    out->high = naive_quantile(diffs, 0.975);
}

static void compare_with_oracle(const char *name, naive_metric *metric, const char *slice, bool inside)
{
    world *w = make_world(name);
    ag_error err = {0};
    ag_standing *s;
    ag_pick pick = {NULL, w->count};
    bool picked[GROUPS * 9] = {false};
    double p[ROWS], sorted[ROWS];
    if (slice) assert_int_equal(ag_slice_pick(&pick, &w->sets[0][0], slice, inside, &err), AG_OK);
    for (size_t i = 0; i < pick.count; i++) picked[pick.pick ? pick.pick[i] : i] = true;
    if (ag_contest_test(&s, &w->contest, pick, &err)) fail_msg("%s", err.message);
    int n = 0;
    for (int r = 0; r < ROWS; r++) {
        ag_difference d;
        if (r == (int)w->contest.against) {
            assert_nan(s[r].difference.p);
            assert_nan(s[r].holm);
            continue;
        }
        naive_test(&d, w, picked, metric, r);
        assert_near(s[r].difference.value, d.value, 1e-12);
        assert_near(s[r].difference.low, d.low, 1e-12);
        assert_near(s[r].difference.high, d.high, 1e-12);
        assert_near(s[r].difference.p, d.p, 1e-12);
        p[r] = d.p;
        sorted[n++] = d.p;
    }
    /* Holm by its definition: the k-th smallest times the number of tests not yet passed, never falling. */
    qsort(sorted, (size_t)n, sizeof *sorted, by_size);
    for (int r = 0; r < ROWS; r++) {
        double adjusted = 0;
        if (r == (int)w->contest.against) continue;
        for (int k = 0; k < n; k++)
            if (sorted[k] <= p[r]) adjusted = fmax(adjusted, fmin(1, sorted[k] * (n - k)));
        assert_near(s[r].holm, adjusted, 1e-12);
    }
    ag_standings_free(s, ROWS);
    ag_free(pick.pick);
    ag_free(w);
}

static void test_oracle(void **state)
{
    (void)state;
    compare_with_oracle("macro_f1", naive_macro_f1, NULL, true);
    compare_with_oracle("compliant", naive_compliant, NULL, true);
    compare_with_oracle("macro_f1", naive_macro_f1, "type=negation", true);
    compare_with_oracle("compliant", naive_compliant, "rule=R1", false);
}

/* --- each mistake by itself ------------------------------------------------------------------------------------------ */

/* Three runs are not a run on three times the pairs: macro F1 of the pooled records is another number. */
static void test_seeds_are_averaged(void **state)
{
    world *w = make_world("macro_f1");
    ag_standing *s;
    ag_record *pooled = ag_calloc(SEEDS * w->count, sizeof *pooled);
    double sum = 0, low = 1, high = 0;
    (void)state;
    assert_int_equal(ag_contest_test(&s, &w->contest, (ag_pick){NULL, w->count}, NULL), AG_OK);
    for (int k = 0; k < SEEDS; k++) {
        double one = metric_of(&w->sets[3][k], "macro_f1");
        sum += one / SEEDS, low = fmin(low, one), high = fmax(high, one);
        memcpy(pooled + (size_t)k * w->count, w->items[3][k], w->count * sizeof *pooled);
        assert_near(s[3].values[k], one, 0);
    }
    assert_near(s[3].range.mean, sum, 1e-15);
    assert_near(s[3].range.low, low, 0);
    assert_near(s[3].range.high, high, 0);
    double all = metric_of(&(ag_records){&w->book.book, pooled, SEEDS * w->count}, "macro_f1");
    assert_true(fabs(all - sum) > 1e-4);
    assert_true(s[3].low < s[3].range.mean && s[3].range.mean < s[3].high);
    ag_standings_free(s, ROWS);
    ag_free(pooled);
    ag_free(w);
}

/* Pairs of a group are right or wrong together: the error is that of 60 groups, not of 600 pairs. */
static void test_queries_stay_together(void **state)
{
    enum { G = 60, EACH = 10 };
    fixture_book f;
    static ag_record a[G * EACH], b[G * EACH];
    static char queries[G][8], ids[G * EACH][8];
    ag_standing *s;
    double wins = 0;
    (void)state;
    fixture_book_make(&f, 2);
    for (int g = 0; g < G; g++) {
        snprintf(queries[g], sizeof queries[g], "q%d", g);
        bool win = g % 3 == 0;
        wins += win;
        for (int k = 0; k < EACH; k++) {
            int i = g * EACH + k;
            snprintf(ids[i], sizeof ids[i], "%d", i);
            a[i] = fixture_record(queries[g], 0, 1);
            b[i] = fixture_record(queries[g], 0, win ? 0 : 1);
            a[i].id = b[i].id = ids[i];
        }
    }
    ag_records sets[] = {{&f.book, a, G * EACH}, {&f.book, b, G * EACH}};
    ag_contest_row rows[] = {{.name = "a", .seeds = &sets[0], .seed_count = 1},
                             {.name = "b", .seeds = &sets[1], .seed_count = 1}};
    ag_contest c = {.rows = rows,
                    .row_count = 2,
                    .against = 0,
                    .metric = ag_metric_find("accuracy"),
                    .draws = 20000,
                    .seed = 1};
    assert_int_equal(ag_contest_test(&s, &c, (ag_pick){NULL, G * EACH}, NULL), AG_OK);
    double share = wins / G, error = sqrt(share * (1 - share) / G);
    assert_near(s[1].difference.value, share, 1e-12);
    assert_near(s[1].difference.detectable, 2.8015852 * error, 0.004);
    assert_near(s[1].difference.low, share - 1.96 * error, 0.02);
    ag_standings_free(s, 2);
}

static void test_holm_is_applied(void **state)
{
    world *w = make_world("accuracy");
    ag_standing *s;
    double least = 2;
    int at = -1;
    (void)state;
    assert_int_equal(ag_contest_test(&s, &w->contest, (ag_pick){NULL, w->count}, NULL), AG_OK);
    for (int r = 0; r < ROWS; r++)
        if (!isnan(s[r].difference.p) && s[r].difference.p < least) least = s[r].difference.p, at = r;
    assert_true(least < 0.3);
    assert_near(s[at].holm, 3 * least, 1e-15);
    ag_standings_free(s, ROWS);
    ag_free(w);
}

/* The same bytes whatever the number of threads. NLL: sums that are no whole numbers. */
static void test_threads(void **state)
{
    static const char *const metrics[] = {"macro_f1", "nll", "ece"};
    (void)state;
    for (size_t m = 0; m < sizeof metrics / sizeof *metrics; m++) {
        world *w = make_world(metrics[m]);
        ag_str one = {0}, many = {0};
        int before = omp_get_max_threads();
        for (int r = 0; r < ROWS; r++)
            for (int s = 0; s < SEEDS; s++)
                for (size_t i = 0; i < w->count; i++) {
                    ag_rng rng = ag_rng_at(5, AG_RNG_TEST, (uint64_t)r, (uint64_t)s, i, 0);
                    double *p = w->items[r][s][i].probability;
                    p[0] = ag_rng_double(&rng), p[1] = (1 - p[0]) * 0.7, p[2] = 1 - p[0] - p[1];
                }
        for (int threads = 1; threads <= 7; threads += 3) {
            json_t *json;
            omp_set_num_threads(threads);
            assert_int_equal(ag_contest_json(&json, &w->contest, NULL), AG_OK);
            ag_str_clear(&many);
            assert_int_equal(ag_json_dump(threads == 1 ? &one : &many, json, NULL), AG_OK);
            if (threads > 1) assert_string_equal(ag_str_text(&one), ag_str_text(&many));
            json_decref(json);
        }
        omp_set_num_threads(before);
        ag_str_free(&one);
        ag_str_free(&many);
        ag_free(w);
    }
}

static void test_edges(void **state)
{
    world *w = make_world("accuracy");
    ag_standing *s;
    ag_error err = {0};
    ag_record moved = w->items[1][2][4];
    (void)state;
    /* nothing picked, one group picked: values without intervals */
    assert_int_equal(ag_contest_test(&s, &w->contest, (ag_pick){NULL, 0}, &err), AG_OK);
    assert_nan(s[0].range.mean);
    assert_nan(s[0].holm);
    ag_standings_free(s, ROWS);
    size_t one = 0;
    assert_int_equal(ag_contest_test(&s, &w->contest, (ag_pick){&one, 1}, &err), AG_OK);
    assert_true(isfinite(s[0].range.mean) && isfinite(s[0].difference.value));
    assert_nan(s[0].low);
    assert_nan(s[0].difference.p);
    ag_standings_free(s, ROWS);
    /* other pairs */
    w->items[1][2][4].id = "other";
    assert_int_equal(ag_contest_check(&w->contest, &err), AG_ERR_USAGE);
    assert_non_null(strstr(err.message, "one and two: paired comparison: pair 5"));
    w->items[1][2][4] = moved;
    assert_int_equal(ag_contest_check(&w->contest, &err), AG_OK);
    /* slices */
    assert_true(ag_in_slice(&w->items[0][0][0], &w->book.book, "type=negation"));
    assert_true(ag_in_slice(&w->items[0][0][0], &w->book.book, "rule=R1"));
    assert_false(ag_in_slice(&w->items[0][0][0], &w->book.book, "rule=R0"));
    assert_false(ag_in_slice(&w->items[0][0][0], &w->book.book, "typ=negation"));
    assert_false(ag_in_slice(&w->items[0][0][0], &w->book.book, "negation"));
    ag_pick in, out;
    assert_int_equal(ag_slice_pick(&in, &w->sets[1][1], "type=negation", true, &err), AG_OK);
    assert_int_equal(ag_slice_pick(&out, &w->sets[1][1], "type=negation", false, &err), AG_OK);
    assert_int_equal(in.count + out.count, w->count);
    for (size_t i = 0; i < in.count; i++) assert_string_equal(w->values[in.pick[i]][0], "negation");
    for (size_t i = 0; i < out.count; i++) assert_string_equal(w->values[out.pick[i]][0], "plain");
    ag_free(in.pick);
    ag_free(out.pick);
    ag_range r = ag_range_of((double[]){1, 2, 6}, 3);
    assert_near(r.mean, 3, 0);
    assert_near(r.low, 1, 0);
    assert_near(r.high, 6, 0);
    assert_nan(ag_range_of((double[]){1, NAN}, 2).mean);
    assert_nan(ag_range_of(NULL, 0).mean);
    ag_free(w);
}

/* --- logs ---------------------------------------------------------------------------------------------------------- */

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_dynamics(void **state)
{
    char dir[] = "/tmp/agrl-dynamics-XXXXXX";
    ag_dynamics d;
    ag_error err = {0};
    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(ag_dynamics_read(&d, dir, "compliant", NULL, &err), AG_OK); /* nothing there */
    assert_nan(d.spent);
    assert_nan(d.seconds);
    assert_int_equal(ag_dynamics_collapsed(&d), -1);
    ag_dynamics_free(&d);
    write_file(
        dir, "metrics.jsonl",
        "{\"step\":1,\"reward_sd\":0.2,\"grad_norm\":3,\"sampled_tokens\":100,\"spent\":150,\"kl\":0.1}\n"
        "{\"step\":2,\"reward_sd\":0.4,\"grad_norm\":1,\"sampled_tokens\":50,\"spent\":320}\n"
        "{\"step\":2,\"spent\":320,\"valid\":{\"macro_f1\":0.9,\"compliant\":0.5,\"slices\":"
        "{\"rule=R5\":{\"compliant\":0.1,\"n\":10},\"rule=R1\":{\"compliant\":0.4,\"n\":30},"
        "\"rule=R0\":{\"compliant\":0.8,\"n\":10},\"type=x\":{\"compliant\":0,\"n\":99}}}}\n"
        "{\"step\":3,\"reward_sd\":0.6,\"grad_norm\":2,\"sampled_tokens\":50,\"spent\":400}\n"
        "{\"step\":3,\"spent\":400,\"valid\":{\"macro_f1\":0.79,\"compliant\":0.6}}\n");
    write_file(dir, "timing.jsonl", "{\"step\":1,\"seconds\":1.5e0}\n{\"step\":2,\"seconds\":2e0}\n");
    assert_int_equal(ag_dynamics_read(&d, dir, "compliant", "rule=R5", &err), AG_OK);
    assert_int_equal(d.steps, 3);
    assert_near(d.reward_sd, 0.4, 1e-12);
    assert_near(d.kl, 0.1, 0);
    assert_near(d.grad_norm, 3, 0);
    assert_near(d.sampled, 200, 0);
    assert_near(d.spent, 400, 0);
    assert_near(d.seconds, 3.5, 1e-12);
    assert_nan(d.guided_share);
    assert_int_equal(d.count, 2);
    assert_near(d.points[0].spent, 320, 0);
    assert_near(d.points[0].slice, 0.1, 0);
    assert_near(d.points[0].rest, 0.5, 1e-12); /* (30 * 0.4 + 10 * 0.8) / 40 */
    assert_near(d.points[1].all, 0.6, 0);
    assert_nan(d.points[1].slice);
    assert_int_equal(ag_dynamics_collapsed(&d), 1);
    d.points[1].macro_f1 = 0.81;
    assert_int_equal(ag_dynamics_collapsed(&d), 0);
    ag_dynamics_free(&d);
    write_file(dir, "metrics.jsonl", "{\"step\":1}\n{\"step\":\n");
    assert_int_equal(ag_dynamics_read(&d, dir, "compliant", NULL, &err), AG_ERR_INPUT);
    assert_int_equal(ag_dir_remove(dir, &err), AG_OK);
}

/* --- what is written -------------------------------------------------------------------------------------------------- */

static ag_dynamics fake_dynamics(double spent, double value)
{
    ag_dynamics d = {.steps = 10, .reward_sd = 0.3, .kl = NAN, .dead_groups = 0.1, .guided_share = NAN};
    d.grad_norm = 2, d.sampled = 0.6 * spent, d.spent = spent, d.seconds = 12;
    d.points = ag_calloc(4, sizeof *d.points);
    if ((long)spent % 2) d.points[d.count++] = (ag_dynamics_point){5, 0, 0.5, 0, 0, 0}; /* that others lack */
    for (int i = 0; i < 3; i++)
        d.points[d.count++] = (ag_dynamics_point){10 * i + 10,     spent * i / 2, 0.5,
                                                  value + 0.1 * i, value,         value};
    d.points[d.count - 1].step += spent > 1.2e6; /* runs end at steps of their own */
    return d;
}

typedef struct dressed {
    world *w;
    ag_dynamics dynamics[SEEDS];
    double copied[SEEDS];
    long numbers[SEEDS];
} dressed;

/* A contest with a slice, long and hostile names, and one row with logs. */
static dressed dress(const char *metric)
{
    dressed d = {.w = make_world(metric), .copied = {0.1, 0.2, 0.3}, .numbers = {1, 2, 3}};
    for (int s = 0; s < SEEDS; s++) d.dynamics[s] = fake_dynamics(1.2e6 + s, 0.3 + 0.1 * s);
    d.w->contest.slice = "type=negation";
    d.w->rows[1].name = "<b>\"quoted\" & a name that is far too long for any column";
    return d;
}

static void hang(dressed *d)
{
    d->w->rows[3].dynamics = d->dynamics;
    d->w->rows[3].copied = d->copied;
    d->w->rows[3].numbers = d->numbers;
    d->w->rows[3].method = "agrl";
    d->w->rows[3].settings = "lr: 1e-4";
}

static void undress(dressed *d)
{
    for (int s = 0; s < SEEDS; s++) ag_dynamics_free(&d->dynamics[s]);
    ag_free(d->w);
}

static void test_json(void **state)
{
    dressed d = dress("compliant");
    json_t *json, *again, *seconds;
    ag_error err = {0};
    (void)state;
    hang(&d);
    if (ag_contest_json(&json, &d.w->contest, &err)) fail_msg("%s", err.message);
    assert_int_equal(ag_contest_json(&again, &d.w->contest, &err), AG_OK);
    assert_true(json_equal(json, again));
    assert_int_equal(ag_contest_seconds(&seconds, &d.w->contest, &err), AG_OK);
    const json_t *rows = json_object_get(json, "rows"), *four = ag_contest_row_of(rows, "four"),
                 *all = ag_json_path(four, "tested", "all", NULL);
    int hits[GROUPS * 9];
    for (size_t i = 0; i < d.w->count; i++) hits[i] = 1;
    assert_near(ag_json_real(all, "mean"), naive_mean(&d.w->rows[3], hits, naive_compliant), 1e-12);
    assert_int_equal(json_array_size(json_object_get(all, "values")), SEEDS);
    assert_near(ag_json_real(ag_json_path(four, "metrics", "copy_rate", NULL), "mean"), 0.2, 1e-12);
    assert_near(ag_json_real(ag_json_path(four, "tokens", "trained", NULL), "low"), 0.4 * 1.2e6, 1);
    assert_null(ag_json_path(four, "metrics", "compliant", NULL)); /* it is the one that is tested */
    assert_null(json_object_get(ag_contest_row_of(rows, "one"), "stability"));
    assert_true(json_is_null(ag_json_path(four, "stability", "kl", "mean", NULL)));
    assert_int_equal(json_array_size(json_object_get(four, "curve")), 3);
    const json_t *last = json_array_get(json_object_get(four, "curve"), 2);
    assert_near(ag_json_real(json_object_get(last, "all"), "mean"), 0.6, 1e-12);
    assert_near(ag_json_real(json_object_get(last, "all"), "high"), 0.7, 1e-12);
    assert_near(ag_json_real(json_object_get(last, "step"), "low"), 30, 0);
    assert_near(ag_json_real(json_object_get(last, "step"), "high"), 31, 0);
    assert_int_equal(json_array_size(json_object_get(json, "tests")), 3);
    assert_near(ag_json_real(json_object_get(seconds, "four"), "mean"), 12, 0);
    assert_null(json_object_get(json, "seconds"));
    size_t i, total = 0;
    json_t *slice, *value;
    json_array_foreach(json_object_get(json, "slices"), i, slice)
    {
        size_t v;
        json_array_foreach(json_object_get(slice, "values"), v, value)
            total += (size_t)ag_json_real(value, "records");
    }
    assert_int_equal(total, 2 * d.w->count); /* each pair has a type and a rule */
    json_decref(json);
    json_decref(again);
    json_decref(seconds);
    undress(&d);
}

static void check_width(const char *text)
{
    for (const char *line = text, *end; *line; line = end + 1) {
        char one[1024];
        end = strchr(line, '\n');
        assert_non_null(end);
        snprintf(one, sizeof one, "%.*s", (int)(end - line), line);
        if (ag_cell_columns(one) > 110) fail_msg("%d columns: %s", ag_cell_columns(one), one);
    }
}

static void test_table(void **state)
{
    static const char *const metrics[] = {"compliant", "nll", "accuracy"};
    (void)state;
    for (size_t m = 0; m < sizeof metrics / sizeof *metrics; m++) {
        dressed d = dress(metrics[m]);
        json_t *json, *seconds;
        ag_str text = {0};
        hang(&d);
        if (m == 2) d.w->contest.slice = NULL;
        assert_int_equal(ag_contest_json(&json, &d.w->contest, NULL), AG_OK);
        assert_int_equal(ag_contest_seconds(&seconds, &d.w->contest, NULL), AG_OK);
        assert_int_equal(ag_contest_table(&text, json, seconds, NULL), AG_OK);
        check_width(ag_str_text(&text));
        assert_non_null(strstr(ag_str_text(&text), "1.20M"));
        assert_non_null(strstr(ag_str_text(&text), "Difference from three"));
        assert_true((strstr(ag_str_text(&text), "type=") != NULL) == (m != 2));
        ag_str_free(&text);
        json_decref(json);
        json_decref(seconds);
        undress(&d);
    }
}

static void test_report(void **state)
{
    dressed d = dress("compliant");
    char path[] = "/tmp/agrl-contest-XXXXXX", *text;
    json_t *json, *seconds;
    ag_error err = {0};
    size_t len;
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    close(fd);
    hang(&d);
    assert_int_equal(ag_contest_json(&json, &d.w->contest, NULL), AG_OK);
    assert_int_equal(ag_contest_seconds(&seconds, &d.w->contest, NULL), AG_OK);
    if (ag_contest_report(path, "title <i>", json, seconds, "plan: <u>", &err)) fail_msg("%s", err.message);
    assert_int_equal(ag_file_read(path, 0, &text, &len, &err), AG_OK);
    assert_null(strstr(text, "<b>\"quoted"));
    assert_non_null(strstr(text, "&lt;b&gt;&quot;quoted&quot; &amp; a name"));
    assert_null(strstr(text, "<i>title"));
    assert_null(strstr(text, "plan: <u>"));
    assert_null(strstr(text, "http://www.w3.org/1999")); /* the script's name of SVG is the only address */
    static const char *const sections[] = {"methods",   "tests", "curves", "slices",
                                           "stability", "costs", "plan"};
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        char mark[64];
        snprintf(mark, sizeof mark, "<section id=\"%s\">", sections[i]);
        if (!strstr(text, mark)) fail_msg("no section %s", sections[i]);
        snprintf(mark, sizeof mark, "href=\"#%s\"", sections[i]);
        if (!strstr(text, mark)) fail_msg("no link to %s", sections[i]);
    }
    assert_non_null(strstr(text, "data-axis=\"tokens\""));
    ag_free(text);
    unlink(path);
    json_decref(json);
    json_decref(seconds);
    undress(&d);
}

static void test_out_of_memory(void **state)
{
    dressed d = dress("compliant");
    ag_error err;
    json_t *json;
    (void)state;
    hang(&d);
    d.w->contest.draws = 100;
    for (long n = 1; n < 5000; n += 1 + n / 40) {
        ag_mem_fail_at(n, false);
        ag_status status = ag_contest_json(&json, &d.w->contest, &err);
        long made = ag_mem_fail_at(0, false);
        if (!status) {
            assert_true(made < n);
            json_decref(json);
            undress(&d);
            return;
        }
        assert_int_equal(status, AG_ERR_MEMORY);
        assert_null(json);
    }
    fail();
}

/* Eight methods with three seeds on 2000 pairs, slice and rest and all: seconds. The bound is loose, for slow builds. */
static void test_quick(void **state)
{
    enum { N = 2000, R = 8, EACH = 4, FEW = 1000 };
    fixture_book f;
    ag_record *items = ag_calloc(R * SEEDS * N, sizeof *items);
    static char queries[N / EACH][8], ids[N][8];
    ag_records sets[R][SEEDS];
    ag_contest_row rows[R];
    struct timespec from, to;
    json_t *json;
    (void)state;
    fixture_book_make(&f, 4);
    for (int r = 0; r < R; r++) {
        for (int s = 0; s < SEEDS; s++) {
            ag_record *own = items + (r * SEEDS + s) * N;
            for (int i = 0; i < N; i++) {
                ag_rng rng = ag_rng_at(5, AG_RNG_TEST, (uint64_t)r, (uint64_t)s, (uint64_t)i, 0);
                snprintf(queries[i / EACH], sizeof queries[0], "q%d", i / EACH);
                snprintf(ids[i], sizeof ids[0], "%d", i);
                own[i] = fixture_record(queries[i / EACH], i % 4, (int)ag_rng_below(&rng, 4));
                own[i].id = ids[i];
                own[i].gold_rule = i % 7 == 0;
                answer(&own[i], own[i].tier, true);
            }
            sets[r][s] = (ag_records){&f.book, own, N};
        }
        rows[r] = (ag_contest_row){.name = ids[r], .seeds = sets[r], .seed_count = SEEDS};
    }
    ag_contest c = {.rows = rows,
                    .row_count = R,
                    .metric = ag_metric_find("compliant"),
                    .slice = "rule=R0",
                    .draws = FEW};
    clock_gettime(CLOCK_MONOTONIC, &from);
    assert_int_equal(ag_contest_json(&json, &c, NULL), AG_OK);
    clock_gettime(CLOCK_MONOTONIC, &to);
    double seconds = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
    print_message("8 methods, 3 seeds, 2000 pairs, %d draws of three parts: %.2f s\n", FEW, seconds);
    assert_true(seconds < 60);
    json_decref(json);
    ag_free(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oracle),
        cmocka_unit_test(test_seeds_are_averaged),
        cmocka_unit_test(test_queries_stay_together),
        cmocka_unit_test(test_holm_is_applied),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_dynamics),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
