/* test_sxs.c: designs against their definition and by drawing often; estimates against sums by hand, their intervals against the
 * textbook's variance and by simulated studies whose truth is known; agreement against all pairs.
 */
#include "unit/eval/eval_fixture.h"

#include "sxs/sxs.h"
#include "sxs/model.h"
#include "sxs/sums.h"

/* --- designs -------------------------------------------------------------------------------------------- */

/* Traffic that falls with the rank; a third of the lists are the same; strata by turns. */
static void make_units(ag_sxs_unit *units, size_t n, size_t strata, bool flat)
{
    for (size_t i = 0; i < n; i++)
        units[i] = (ag_sxs_unit){flat ? 2 : 100.0 / (double)(i + 1), (uint32_t)(i % strata), i % 3 == 2};
}

static void design_of(ag_sxs_design *d, const ag_sxs_unit *units, size_t count, size_t strata, size_t n)
{
    ag_error err = {0};
    if (ag_sxs_design_make(d, units, count, strata, n, &err)) fail_msg("%s", err.message);
}

static void test_design(void **state)
{
    enum { N = 90, STRATA = 2 };
    ag_sxs_unit units[N];
    (void)state;
    make_units(units, N, STRATA, false);
    for (size_t n = 4; n <= 60; n++) {
        ag_sxs_design d;
        double pi[STRATA + 1] = {0}, square[STRATA + 1] = {0}, traffic[STRATA + 1] = {0};
        size_t drawn = 0, population[STRATA + 1] = {0};
        design_of(&d, units, N, STRATA, n);
        for (size_t c = 0; c <= STRATA; c++) drawn += d.cells[c].n;
        assert_int_equal(drawn, n);
        for (size_t i = 0; i < N; i++) {
            assert_true(units[i].same == (d.pi[i] == 0));
            if (units[i].same) continue;
            assert_true(d.cell[i] == 0 ? d.pi[i] == 1 : d.pi[i] < 1 && d.cell[i] == units[i].stratum + 1);
            pi[d.cell[i]] += d.pi[i];
            square[d.cell[i]] += d.pi[i] * d.pi[i];
            traffic[d.cell[i]] += units[i].traffic;
            population[d.cell[i]]++;
        }
        for (size_t c = 0; c <= STRATA; c++) {
            const ag_sxs_cell *cell = &d.cells[c];
            assert_near(pi[c], (double)cell->n, 1e-9);
            assert_near(traffic[c], cell->traffic, 1e-9);
            assert_int_equal(population[c], cell->population);
            if (cell->n) assert_near(cell->fraction, square[c] / (double)cell->n, 1e-12);
        }
        /* Among those left to chance, pi goes by traffic. */
        for (size_t i = 0; i < N; i++)
            if (d.pi[i] > 0 && d.pi[i] < 1)
                assert_near(d.pi[i],
                            (double)d.cells[d.cell[i]].n * units[i].traffic / d.cells[d.cell[i]].traffic,
                            1e-12);
        ag_sxs_design_free(&d);
    }
}

static void test_draws(void **state)
{
    enum { N = 40, DRAWS = 4000, SAMPLE = 14 };
    ag_sxs_unit units[N];
    ag_sxs_design d;
    ag_error err = {0};
    size_t times[N] = {0};
    double sum = 0, squares = 0, truth = 0;
    (void)state;
    make_units(units, N, 2, false);
    design_of(&d, units, N, 2, SAMPLE);
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        bool chosen[N], again[N];
        size_t count = 0;
        double estimate = 0;
        assert_int_equal(ag_sxs_design_draw(chosen, &d, units, seed, &err), AG_OK);
        assert_int_equal(ag_sxs_design_draw(again, &d, units, seed, &err), AG_OK);
        assert_memory_equal(chosen, again, sizeof chosen);
        for (size_t i = 0; i < N; i++) {
            times[i] += chosen[i];
            count += chosen[i];
            if (chosen[i]) estimate += units[i].traffic / d.pi[i] * (double)(i % 5);
        }
        assert_int_equal(count, SAMPLE);
        sum += estimate;
        squares += estimate * estimate;
    }
    for (size_t i = 0; i < N; i++) {
        double share = (double)times[i] / DRAWS, error = sqrt(d.pi[i] * (1 - d.pi[i]) / DRAWS);
        assert_near(share, d.pi[i], 4.5 * error + 1e-12);
        if (!units[i].same) truth += units[i].traffic * (double)(i % 5);
    }
    double mean = sum / DRAWS, error = sqrt((squares / DRAWS - mean * mean) / DRAWS);
    assert_near(mean, truth, 4 * error); /* weights t / pi leave no bias */
    ag_sxs_design_free(&d);
}

static void test_half_width(void **state)
{
    enum { N = 300 };
    ag_sxs_unit units[N];
    ag_sxs_design d;
    ag_error err = {0};
    size_t n, least, most;
    (void)state;
    make_units(units, N, 1, true);
    design_of(&d, units, N, 1, 80);
    double f = 80 / 200.0, differ = 200 / 300.0;
    assert_near(ag_sxs_half_width(&d, 0.7, 1), 1.959963984540054 * 0.7 * differ / sqrt(80), 1e-12);
    assert_near(ag_sxs_half_width(&d, 0.7, 2), 1.959963984540054 * 0.7 * differ * sqrt((1 - f) / 80), 1e-12);
    assert_near(d.traffic_same / d.traffic, 1 - differ, 1e-12);
    ag_sxs_design_free(&d);
    design_of(&d, units, N, 1,
              150); /* three quarters of what differs: now the judges are what is uncertain */
    assert_near(ag_sxs_half_width(&d, 1, 2), 1.959963984540054 * differ * sqrt(0.5 / 150), 1e-12);
    ag_sxs_design_free(&d);
    make_units(units, N, 3, false);
    ag_sxs_design_bounds(&least, &most, units, N, 3);
    assert_int_equal(most, 200);
    design_of(&d, units, N, 3, most);
    double best = ag_sxs_half_width(&d, 1, 2);
    ag_sxs_design_free(&d);
    for (double precision = best * 1.001; precision < 2 * best; precision += best / 9) {
        double half;
        assert_int_equal(ag_sxs_design_size(&n, units, N, 3, precision, 1, 2, &err), AG_OK);
        design_of(&d, units, N, 3, n);
        half = ag_sxs_half_width(&d, 1, 2);
        ag_sxs_design_free(&d);
        assert_true(half <= precision);
        if (n == least) continue;
        design_of(&d, units, N, 3, n - 1);
        assert_true(ag_sxs_half_width(&d, 1, 2) > precision);
        ag_sxs_design_free(&d);
    }
    assert_int_equal(ag_sxs_design_size(&n, units, N, 3, 0.0001, 1, 2, &err), AG_ERR_USAGE);
    assert_int_equal(ag_sxs_design_make(&d, units, N, 3, 201, &err), AG_ERR_USAGE);
    ag_sxs_design_free(&d);
    assert_int_equal(ag_sxs_design_make(&d, units, N, 3, 1, &err), AG_ERR_USAGE);
    ag_sxs_design_free(&d);
    for (size_t i = 0; i < N; i++) units[i].same = true;
    assert_int_equal(ag_sxs_design_make(&d, units, N, 3, 9, &err), AG_ERR_INPUT);
    ag_sxs_design_free(&d);
}

/* --- studies by hand ------------------------------------------------------------------------------------ */

enum { MOST = 4000 };

/* A study in memory whose parts a test fills. */
typedef struct fixture {
    ag_sxs_study study;
    ag_sxs_query queries[600];
    ag_sxs_judge judges[8];
    ag_sxs_answer answers[MOST];
    ag_sxs_cell cells[8];
    ag_sxs_same same[3];
} fixture;

static fixture *make_study(void)
{
    fixture *f = calloc(1, sizeof *f);
    f->study = (ag_sxs_study){.path = "study",
                              .names = {"old", "new"},
                              .k = 3,
                              .good_at_least = 2,
                              .judges_wanted = 2,
                              .gold_cutoff = 0.7,
                              .gold_least = 3,
                              .cells = f->cells,
                              .queries = f->queries,
                              .same = f->same,
                              .judges = f->judges,
                              .answers = f->answers};
    return f;
}

static void add_judge(fixture *f, const char *name, bool model)
{
    f->judges[f->study.judge_count++] = (ag_sxs_judge){name, model};
}

static ag_sxs_answer *add_answer(fixture *f, uint32_t query, uint32_t judge, ag_sxs_kind kind, bool new_left,
                                 int score)
{
    ag_sxs_answer *a = &f->answers[f->study.answer_count++];
    assert_true(f->study.answer_count <= MOST);
    *a = (ag_sxs_answer){.query = query,
                         .judge = judge,
                         .kind = kind,
                         .new_left = new_left,
                         .preference = new_left ? -score : score,
                         .shown = {3, 3},
                         .both = score ? AG_SXS_NEITHER : AG_SXS_BOTH_BAD};
    return a;
}

static json_t *report_of(const fixture *f, int draws)
{
    ag_error err = {0};
    json_t *json = NULL;
    if (ag_sxs_json(&json, &f->study, draws, 1, 5, &err)) fail_msg("%s", err.message);
    return json;
}

static double real_at(const json_t *json, const char *a, const char *b, const char *c, const char *d)
{
    const json_t *value = json_object_get(json_object_get(json_object_get(json_object_get(json, a), b), c),
                                          d);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static double value_of(const json_t *json, const char *part, const char *section, const char *key)
{
    return real_at(json, part, section, key, "value");
}

/* Two certain queries, of traffic 30 and 20, and two drawn ones that stand for a traffic of 40; 10 is the same. */
static fixture *by_hand(void)
{
    static const char *const odd[] = {"odd"};
    fixture *f = make_study();
    f->study.cell_count = 2;
    f->cells[0] = (ag_sxs_cell){50, 2, 2, 1};
    f->cells[1] = (ag_sxs_cell){40, 10, 2, 0.25};
    f->study.same_count = 2;
    f->same[0] = (ag_sxs_same){NULL, 10, 100, 1};
    f->same[1] = (ag_sxs_same){"odd", 5, 60, 1};
    f->study.query_count = 5;
    f->queries[0] = (ag_sxs_query){"a", "red boots", "s", odd, 1, 30, 1, 0, false};
    f->queries[1] = (ag_sxs_query){"b", "tea", "s", NULL, 0, 20, 1, 0, false};
    f->queries[2] = (ag_sxs_query){"c", "cup", "s", odd, 1, 4, 0.2, 1, false};
    f->queries[3] = (ag_sxs_query){"d", "saw", "s", NULL, 0, 8, 0.4, 1, false};
    f->queries[4] = (ag_sxs_query){NULL, "check", NULL, NULL, 0, 0, 1, 0, true};
    add_judge(f, "ann", false);
    add_judge(f, "bob", false);
    add_answer(f, 0, 0, AG_SXS_MAIN, true, 2)->good[AG_SXS_NEW] = 3;
    add_answer(f, 0, 1, AG_SXS_MAIN, false, 0)->good[AG_SXS_NEW] = 1;
    add_answer(f, 1, 0, AG_SXS_MAIN, true, -1)->good[AG_SXS_OLD] = 2;
    add_answer(f, 1, 1, AG_SXS_MAIN, false, -2)->comment = "worse";
    add_answer(f, 2, 0, AG_SXS_MAIN, true, 1);
    add_answer(f, 3, 1, AG_SXS_MAIN, false, -1)->shown[AG_SXS_NEW] = 1;
    return f;
}

static void test_by_hand(void **state)
{
    (void)state;
    fixture *f = by_hand();
    json_t *json = report_of(f, 200);
    /* Weights: 30, 20, 20, 20, and 10 that is the same. */
    assert_near(value_of(json, "all", "preference", "better"), (15 + 20) / 100.0, 1e-12);
    assert_near(value_of(json, "all", "preference", "worse"), (20 + 20) / 100.0, 1e-12);
    assert_near(value_of(json, "all", "preference", "same"), 25 / 100.0, 1e-12);
    assert_near(value_of(json, "all", "preference", "net"), -5 / 100.0, 1e-12);
    assert_near(value_of(json, "all", "preference", "score"), (30 * 0.5 - 20 * 0.75 + 10 - 10) / 100.0,
                1e-12);
    assert_near(value_of(json, "differ", "preference", "net"), -5 / 90.0, 1e-12);
    assert_near(value_of(json, "differ", "preference", "both_bad"), 15 / 90.0, 1e-12);
    assert_near(value_of(json, "differ", "preference", "much_better"), 15 / 90.0, 1e-12);
    assert_near(value_of(json, "differ", "preference", "much_worse"), 10 / 90.0, 1e-12);
    assert_near(value_of(json, "differ", "preference", "sd"), sqrt(75 / 90.0 - 25 / 8100.0), 1e-12);
    assert_near(value_of(json, "differ", "query_goodrate", "new"), 15 / 90.0, 1e-12);
    assert_near(value_of(json, "differ", "query_goodrate", "old"), 10 / 90.0, 1e-12);
    assert_near(value_of(json, "all", "query_goodrate", "gain"), 5 / 100.0, 1e-12);
    assert_near(value_of(json, "differ", "item_goodrate", "new"), 30 * 2 / (70 * 3 + 20 * 1.0), 1e-12);
    assert_near(value_of(json, "differ", "item_goodrate", "old"), 20 / 270.0, 1e-12);
    const json_t *odd = json_array_get(json_object_get(json, "types"), 0);
    assert_near(json_number_value(
                    json_object_get(json_object_get(json_object_get(odd, "preference"), "net"), "value")),
                (15 + 20) / 55.0, 1e-12);
    const json_t *worst = json_object_get(json, "worst");
    assert_int_equal(json_array_size(worst), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(worst, 0), "id")), "b");
    assert_near(json_number_value(json_object_get(json_array_get(worst, 0), "lost")), 20 * 0.75 / 100, 1e-12);
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(json_array_get(worst, 0), "comments"), 0)), "worse");
    add_answer(f, 2, 0, AG_SXS_REPEAT, false, -2); /* repeats are for agreement alone */
    json_t *repeated = report_of(f, 200);
    assert_true(json_equal(json_object_get(json, "all"), json_object_get(repeated, "all")));
    assert_true(json_equal(json_object_get(json, "differ"), json_object_get(repeated, "differ")));
    assert_near(value_of(repeated, "agreement", "self", "share"), 0, 0);
    json_decref(repeated);
    double low = real_at(json, "all", "preference", "net", "low"),
           high = real_at(json, "all", "preference", "net", "high");
    assert_true(low < -0.05 && -0.05 < high);
    json_decref(json);
    free(f);
}

/* Judges below the cut-off, models, checks, repeats and skipped tasks change no figure of people. */
static void test_left_out(void **state)
{
    (void)state;
    fixture *f = by_hand();
    json_t *plain = report_of(f, 50);
    add_judge(f, "careless", false);
    add_judge(f, "robot", true);
    add_judge(f, "new here", false);
    for (uint32_t q = 0; q < 4; q++) {
        add_answer(f, q, 2, AG_SXS_MAIN, true, 2);
        add_answer(f, q, 3, AG_SXS_MAIN, true, -2);
        add_answer(f, q, 0, AG_SXS_MAIN, true, -2)->skipped = true;
    }
    f->answers[f->study.answer_count - 2].preference = -2; /* the robot's on query 3 is for the new one */
    for (int i = 0; i < 3; i++) add_answer(f, 4, 2, AG_SXS_GOLD, true, i == 0 ? 1 : i == 1 ? 0 : -1);
    for (int i = 0; i < 10; i++) add_answer(f, 4, 0, AG_SXS_GOLD, false, i < 7 ? 1 : -2); /* 7 of 10 pass */
    for (int i = 0; i < 2; i++) add_answer(f, 4, 4, AG_SXS_GOLD, false, -2); /* two checks tell nothing yet */
    json_t *json = report_of(f, 50);
    for (const char *const *part =
             (const char *const[]){"all", "differ", "types", "worst", "agreement", NULL};
         *part; part++)
        if (!json_equal(json_object_get(plain, *part), json_object_get(json, *part))) fail_msg("%s", *part);
    const json_t *out = json_object_get(json, "left_out");
    assert_int_equal(json_array_size(out), 1);
    assert_string_equal(json_string_value(json_array_get(out, 0)), "careless");
    const json_t *robot = json_array_get(json_object_get(json, "models"), 0);
    assert_string_equal(json_string_value(json_object_get(robot, "judge")), "robot");
    assert_near(json_number_value(
                    json_object_get(json_object_get(json_object_get(robot, "preference"), "net"), "value")),
                (-30 - 20 - 20 + 20) / 100.0, 1e-12);
    /* With people: 0 to +, 0 to same, 1 twice worse as it, 2 better, 3 worse: 2 of 6. */
    const json_t *with = json_object_get(robot, "with_people");
    assert_int_equal(json_integer_value(json_object_get(with, "pairs")), 6);
    assert_near(json_number_value(json_object_get(with, "share")), 2 / 6.0, 1e-12);
    json_decref(plain);
    json_decref(json);
    free(f);
}

/* --- agreement ------------------------------------------------------------------------------------------ */

/* Krippendorff's alpha from all pairs of values: 1 - mean squared difference in units (each unit's pairs over m - 1) over that of all. */
static double brute_alpha(const double *values, const int *units, int n)
{
    double within = 0, between = 0;
    int count = 0;
    for (int i = 0; i < n; i++) {
        int m = 0;
        for (int j = 0; j < n; j++) m += units[j] == units[i];
        if (m < 2) continue;
        count++;
        for (int j = 0; j < n; j++)
            if (units[j] == units[i]) within += pow(values[i] - values[j], 2) / (m - 1);
    }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            int mi = 0, mj = 0;
            for (int k = 0; k < n; k++) {
                mi += units[k] == units[i];
                mj += units[k] == units[j];
            }
            if (mi > 1 && mj > 1) between += pow(values[i] - values[j], 2);
        }
    return 1 - within / count / (between / count / (count - 1));
}

static void test_agreement(void **state)
{
    (void)state;
    fixture *f = make_study();
    static ag_sxs_rating ratings[400];
    double values[120], item_values[400];
    int units[120], item_units[400], n = 0, items = 0, pairs = 0, agree = 0, decided = 0, left = 0;
    ag_rng rng = ag_rng_at(3, AG_RNG_TEST, 1, 0, 0, 0);
    f->study.cell_count = f->study.same_count = 1;
    f->cells[0] = (ag_sxs_cell){30, 30, 30, 1};
    f->same[0] = (ag_sxs_same){NULL, 0, 30, 0};
    for (int j = 0; j < 4; j++) add_judge(f, j == 0 ? "a" : "b", false);
    for (uint32_t q = 0; q < 30; q++) {
        f->queries[f->study.query_count++] = (ag_sxs_query){"q", "q", "s", NULL, 0, 1, 1, 0, false};
        int lean = (int)ag_rng_below(&rng, 5) - 2, from = n;
        for (uint32_t j = 0; j < 1 + ag_rng_below(&rng, 4); j++) {
            int score = ag_rng_below(&rng, 3) ? lean : (int)ag_rng_below(&rng, 5) - 2;
            ag_sxs_answer *a = add_answer(f, q, j, AG_SXS_MAIN, ag_rng_below(&rng, 2), score);
            a->ratings = ratings + items;
            for (int r = 0; r < 2; r++, items++) {
                ratings[items] = (ag_sxs_rating){r ? "x" : "y", (int)ag_rng_below(&rng, 4) > lean};
                item_values[items] = ratings[items].good;
                item_units[items] = (int)q * 2 + r;
            }
            a->rating_count = 2;
            decided += score != 0;
            left += a->preference < 0;
            values[n] = score;
            units[n++] = (int)q;
        }
        for (int i = from; i < n; i++)
            for (int k = from; k < i; k++) {
                pairs++;
                agree += (values[i] > 0) - (values[i] < 0) == (values[k] > 0) - (values[k] < 0);
            }
    }
    /* Three repeats: the same answer, the same side, and undecided. */
    ag_sxs_answer first = f->answers[0];
    for (int i = 0; i < 3; i++) {
        f->answers[0].new_left = true;
        f->answers[0].preference = -1;
        ag_sxs_answer *a = add_answer(f, 0, (uint32_t)0, AG_SXS_REPEAT, false, 0);
        a->preference = i == 0 ? 2 : i == 1 ? -1 : 0;
        a->judge = first.judge;
        json_t *json = report_of(f, 0);
        assert_near(value_of(json, "agreement", "self", "share"), i == 0, 1e-12);
        if (i < 2)
            assert_near(value_of(json, "agreement", "self", "same_side"), i == 1, 1e-12);
        else
            assert_nan(value_of(json, "agreement", "self", "same_side"));
        json_decref(json);
        f->study.answer_count--;
    }
    f->answers[0] = first;
    json_t *json = report_of(f, 300);
    assert_near(value_of(json, "agreement", "judges", "share"), (double)agree / pairs, 1e-12);
    assert_near(value_of(json, "agreement", "judges", "alpha"), brute_alpha(values, units, n), 1e-12);
    assert_near(value_of(json, "agreement", "items", "alpha"), brute_alpha(item_values, item_units, items),
                1e-12);
    assert_near(value_of(json, "agreement", "position", "left"), (double)left / decided, 1e-12);
    assert_int_equal(real_at(json, "agreement", "judges", "share", "over"), pairs);
    assert_true(real_at(json, "agreement", "judges", "alpha", "low") < brute_alpha(values, units, n));
    json_decref(json);
    free(f);
}

/* --- intervals ------------------------------------------------------------------------------------------ */

/* One cell of n queries of equal weight with two judges each: the bootstrap's variance is (1 - f) s_b^2 / n + f s_w^2 / (2 n). */
static void test_variance(void **state)
{
    enum { N = 40, DRAWS = 6000 };
    static ag_sxs_row rows[2 * N];
    ag_sxs_cluster clusters[N];
    (void)state;
    for (int turn = 0; turn < 4; turn++) {
        ag_error err = {0};
        ag_sxs_cell cell = {N, 60, N, turn / 3.0};
        double mean = 0, between = 0, within = 0, sum = 0, squares = 0;
        ag_rng rng = ag_rng_at(9, AG_RNG_TEST, (uint64_t)turn, 0, 0, 0);
        for (size_t q = 0; q < N; q++) {
            double own = ag_rng_normal(&rng);
            clusters[q] = (ag_sxs_cluster){2 * q, 2, 1, 0, 0};
            for (size_t j = 0; j < 2; j++) {
                rows[2 * q + j].x[0] = own + ag_rng_normal(&rng);
                rows[2 * q + j].x[1] = 1;
            }
            mean += (rows[2 * q].x[0] + rows[2 * q + 1].x[0]) / 2 / N;
            within += pow(rows[2 * q].x[0] - rows[2 * q + 1].x[0], 2) / 2 / N;
        }
        for (size_t q = 0; q < N; q++)
            between += pow((rows[2 * q].x[0] + rows[2 * q + 1].x[0]) / 2 - mean, 2) / (N - 1);
        ag_sxs_data data = {rows, clusters, N, &cell, 1, 2, 1};
        ag_sxs_sums sums;
        assert_int_equal(ag_sxs_sums_make(&sums, &data, DRAWS, 4, &err), AG_OK);
        assert_near(ag_sxs_sums_of(&sums, 0, 0)[0] / N, mean, 1e-12);
        for (size_t d = 1; d <= DRAWS; d++) {
            const double *x = ag_sxs_sums_of(&sums, d, 0);
            sum += x[0] / x[1];
            squares += pow(x[0] / x[1] - mean, 2);
        }
        double f = cell.fraction, want = (1 - f) * between / N + f * within / (2 * N);
        assert_near(sum / DRAWS, mean, 5 * sqrt(want / DRAWS));
        assert_near(squares / DRAWS, want, 0.08 * want);
        ag_sxs_sums_free(&sums);
    }
}

/* A log whose every query has its own chances of better and worse, studied again and again: how often does the interval hold the truth? */
static double coverage(int studies, size_t n, uint32_t judges, double noise, double *width)
{
    enum { LOG = 240, STRATA = 2 };
    static ag_sxs_unit units[LOG];
    double lean[LOG], truth = 0, all = 0;
    int hit = 0;
    ag_sxs_design d;
    ag_error err = {0};
    ag_rng rng = ag_rng_at(77, AG_RNG_TEST, n, judges, 0, 0);
    for (size_t i = 0; i < LOG; i++) {
        units[i] = (ag_sxs_unit){200.0 / (double)(i + 10), (uint32_t)(i < 30 ? 0 : 1), i % 4 == 3};
        lean[i] = 0.3 + 0.8 * ag_rng_normal(&rng) - (i < 30 ? 0.4 : 0);
        all += units[i].traffic;
        /* a judge's answer is the sign of lean + noise, and the same within +-0.4 */
        if (!units[i].same)
            truth += units[i].traffic * (0.5 * erfc((0.4 - lean[i]) / noise / sqrt(2)) -
                                         0.5 * erfc((0.4 + lean[i]) / noise / sqrt(2)));
    }
    truth /= all;
    *width = 0;
    design_of(&d, units, LOG, STRATA, n);
    for (int s = 0; s < studies; s++) {
        bool chosen[LOG];
        fixture *f = make_study();
        f->study.cell_count = STRATA + 1;
        memcpy(f->cells, d.cells, (STRATA + 1) * sizeof *d.cells);
        f->study.same_count = 1;
        f->same[0] = (ag_sxs_same){NULL, d.traffic_same, d.traffic, d.same};
        for (uint32_t j = 0; j < judges; j++) add_judge(f, "j", false);
        assert_int_equal(ag_sxs_design_draw(chosen, &d, units, (uint64_t)s, &err), AG_OK);
        for (size_t i = 0; i < LOG; i++) {
            if (!chosen[i]) continue;
            uint32_t q = (uint32_t)f->study.query_count++;
            f->queries[q] = (ag_sxs_query){"q",     "q",       "s",  NULL, 0, units[i].traffic,
                                           d.pi[i], d.cell[i], false};
            for (uint32_t j = 0; j < judges; j++) {
                double x = lean[i] + noise * ag_rng_normal(&rng);
                add_answer(f, q, j, AG_SXS_MAIN, ag_rng_below(&rng, 2), x > 0.4 ? 1 : x < -0.4 ? -1 : 0);
            }
        }
        json_t *json = report_of(f, 300);
        double low = real_at(json, "all", "preference", "net", "low"),
               high = real_at(json, "all", "preference", "net", "high");
        hit += low <= truth && truth <= high;
        *width += (high - low) / 2 / studies;
        json_decref(json);
        free(f);
    }
    double promised = ag_sxs_half_width(&d, 1, (long)judges);
    assert_true(*width < promised);
    ag_sxs_design_free(&d);
    return (double)hit / studies;
}

static void test_coverage(void **state)
{
    static const struct {
        size_t n;
        uint32_t judges;
        double noise;
        double low, high;
    } cases[] = {
        {40, 1, 0.8, 0.91, 0.99},   {40, 2, 0.8, 0.91, 0.98},   {100, 2, 0.8, 0.915, 0.98},
        {100, 3, 0.3, 0.915, 0.98}, {180, 2, 0.8, 0.915, 0.98}, /* 180: all that differ */
    };
    (void)state;
    bool good = true;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double width, share = coverage(300, cases[i].n, cases[i].judges, cases[i].noise, &width);
        print_message("%zu queries, %u judges: %.1f%% of intervals hold the truth, half-width %.3f\n",
                      cases[i].n, cases[i].judges, 100 * share, width);
        good = good && cases[i].low <= share && share <= cases[i].high;
    }
    assert_true(good);
}

static void test_few(void **state)
{
    (void)state;
    fixture *f = by_hand();
    f->study.answer_count = 0;
    json_t *json = report_of(f, 50);
    assert_nan(value_of(json, "all", "preference", "net"));
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(json, "queries"), "unanswered_cells")), 2);
    json_decref(json);
    add_answer(f, 3, 0, AG_SXS_MAIN, true, 1);
    json = report_of(f, 50);
    assert_near(value_of(json, "all", "preference", "net"), 40 / 50.0,
                1e-12); /* the other cell is not there */
    assert_nan(real_at(json, "all", "preference", "net", "low"));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(json, "queries"), "lonely_cells")),
                     1);
    ag_str text = {0};
    ag_error err = {0};
    assert_int_equal(ag_sxs_table(&text, json, &err), AG_OK);
    assert_non_null(strstr(ag_str_text(&text), "too few"));
    ag_str_free(&text);
    json_decref(json);
    free(f);
}

/* --- a model's preference ------------------------------------------------------------------------------- */

static void model_case(const double *gains, int want, const char *both)
{
    /* items 0, 1 on the left; 1, 2 on the right */
    ag_sxs_opinion opinions[3];
    ag_error err = {0};
    json_t *task = json_pack("{s:i, s:[{s:i}, {s:i}], s:[{s:i}, {s:i}]}", "task", 7, "left", "item", 0,
                             "item", 1, "right", "item", 1, "item", 2),
           *answer = NULL;
    for (int i = 0; i < 3; i++) opinions[i] = (ag_sxs_opinion){i, gains[i], gains[i] >= 3};
    assert_int_equal(ag_sxs_model_answer(&answer, task, opinions, 3, &err), AG_OK);
    assert_int_equal(json_integer_value(json_object_get(answer, "preference")), want);
    const char *said = json_string_value(json_object_get(answer, "both"));
    assert_string_equal(said ? said : "", both);
    assert_true(json_is_true(json_object_get(json_object_get(answer, "ratings"), "0")) == (gains[0] >= 3));
    json_decref(answer);
    assert_int_equal(ag_sxs_model_answer(&answer, task, opinions, 2, &err), AG_ERR_INPUT);
    json_decref(task);
}

static void test_model(void **state)
{
    (void)state;
    model_case((double[]){7, 0, 0}, -2, "");
    model_case((double[]){0, 0, 7}, 2, "");
    model_case((double[]){5, 5, 5}, 0, "good");
    model_case((double[]){0, 0, 0}, 0, "bad");
    model_case((double[]){1, 1, 1}, 0, "bad");
    /* left 4 + 6 / log2 3, right 6 + 4 / log2 3, best 6 + 4 / log2 3: 2 (1 - 1 / log2 3) / 8.52 = 0.087 */
    model_case((double[]){4, 6, 4}, 1, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_design),   cmocka_unit_test(test_draws),    cmocka_unit_test(test_half_width),
        cmocka_unit_test(test_by_hand),  cmocka_unit_test(test_left_out), cmocka_unit_test(test_agreement),
        cmocka_unit_test(test_variance), cmocka_unit_test(test_coverage), cmocka_unit_test(test_few),
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
