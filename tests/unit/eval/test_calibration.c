/* test_calibration.c: the fit against an optimiser that knows no derivatives, conditions of the minimum and closed forms; the file
 * against damage; the report against plain loops.
 */
#include "unit/eval/eval_fixture.h"

#include <unistd.h>

#include "base/file.h"
#include "eval/calibration_report.h"

static char folder[] = "/tmp/agrl-calibration-XXXXXX";

/* Rows whose true probabilities are softmax of normal scores, and what a judge says of them: true ^ slope, shifted by tier. */
typedef struct made {
    ag_calibration_data data;
    double *truth, *said, *target; /* [n][tiers] */
} made;

static void normalise(double *p, int tiers)
{
    double total = 0;
    for (int t = 0; t < tiers; t++) total += p[t];
    for (int t = 0; t < tiers; t++) p[t] /= total;
}

/* soft: the targets are the true probabilities themselves; else tiers drawn from them. */
static void make(made *m, int tiers, size_t n, double slope, const double *shift, bool soft, uint64_t seed)
{
    m->truth = ag_calloc(n * (size_t)tiers, sizeof(double));
    m->said = ag_calloc(n * (size_t)tiers, sizeof(double));
    m->target = ag_calloc(n * (size_t)tiers, sizeof(double));
    for (size_t i = 0; i < n; i++) {
        ag_rng r = ag_rng_at(seed, AG_RNG_TEST, i, 7, 0, 0);
        double *truth = m->truth + i * (size_t)tiers, *said = m->said + i * (size_t)tiers,
               *target = m->target + i * (size_t)tiers;
        for (int t = 0; t < tiers; t++) truth[t] = exp(1.5 * ag_rng_normal(&r));
        normalise(truth, tiers);
        for (int t = 0; t < tiers; t++) said[t] = pow(truth[t], slope) * exp(shift ? shift[t] : 0);
        normalise(said, tiers);
        double u = ag_rng_double(&r);
        int drawn = 0;
        while (drawn < tiers - 1 && (u -= truth[drawn]) > 0) drawn++;
        if (soft)
            memcpy(target, truth, (size_t)tiers * sizeof *target);
        else
            target[drawn] = 1;
    }
    m->data = (ag_calibration_data){tiers, n, m->said, m->target, false};
}

static void unmake(made *m)
{
    ag_free(m->truth);
    ag_free(m->said);
    ag_free(m->target);
}

static ag_calibration fit(const ag_calibration_data *data)
{
    ag_error err = {0};
    ag_calibration c = {0};
    bool bounded;
    if (ag_calibration_fit(&c, &bounded, data, NULL, data->n, &err)) fail_msg("%s", err.message);
    assert_false(bounded);
    double sum = 0;
    for (int t = 0; t < c.tiers; t++) sum += c.bias[t];
    assert_near(sum, 0, 1e-12);
    return c;
}

/* The minimised function written anew; theta[0] is 1/T. */
static double loss(const ag_calibration_data *d, const double *theta)
{
    double sum = (theta[0] - 1) * (theta[0] - 1) * AG_CALIBRATION_RIDGE / 2;
    for (int t = 0; t < d->tiers; t++) sum += theta[1 + t] * theta[1 + t] * AG_CALIBRATION_RIDGE / 2;
    for (size_t i = 0; i < d->n; i++) {
        double z = 0;
        for (int t = 0; t < d->tiers; t++)
            z += pow(d->probability[i * (size_t)d->tiers + (size_t)t], theta[0]) * exp(theta[1 + t]);
        for (int t = 0; t < d->tiers; t++) {
            double p = pow(d->probability[i * (size_t)d->tiers + (size_t)t], theta[0]) * exp(theta[1 + t]) /
                       z;
            sum -= d->target[i * (size_t)d->tiers + (size_t)t] * log(p);
        }
    }
    return sum;
}

/* One coordinate after another, each by golden section: slow, and without a derivative. */
static void descend(const ag_calibration_data *d, double *theta)
{
    const double golden = 0.6180339887498949;
    for (int round = 0; round < 200; round++)
        for (int u = 0; u <= d->tiers; u++) {
            double low = theta[u] - 2, high = theta[u] + 2;
            for (int k = 0; k < 60; k++) {
                double a = high - golden * (high - low), b = low + golden * (high - low), fa, fb;
                theta[u] = a, fa = loss(d, theta);
                theta[u] = b, fb = loss(d, theta);
                if (fa < fb)
                    high = b;
                else
                    low = a;
            }
            theta[u] = (low + high) / 2;
        }
}

static void test_against_descent(void **state)
{
    (void)state;
    const double shift[] = {0.4, -0.2, -0.5};
    for (int soft = 0; soft < 2; soft++) {
        made m;
        double theta[4] = {1, 0, 0, 0};
        make(&m, 3, 40, 1.8, shift, soft, 3);
        ag_calibration c = fit(&m.data);
        descend(&m.data, theta);
        assert_near(1 / c.temperature, theta[0], 1e-5);
        double mean = (theta[1] + theta[2] + theta[3]) / 3; /* the ridge alone pulls it to 0, slowly here */
        for (int t = 0; t < 3; t++) assert_near(c.bias[t], theta[1 + t] - mean, 1e-5);
        const double ours[] = {1 / c.temperature, c.bias[0], c.bias[1], c.bias[2]};
        assert_true(loss(&m.data, ours) <= loss(&m.data, theta) + 1e-9);
        assert_near(ag_calibration_loss(&c, &m.data, AG_CALIBRATION_RIDGE) * 40, loss(&m.data, ours), 1e-9);
        unmake(&m);
    }
}

/* At the minimum what is said and what is gold agree in each tier's sum and in the sum of log P, but for the ridge. */
static void test_conditions(void **state)
{
    (void)state;
    for (int tiers = 2; tiers <= 7; tiers++) {
        made m;
        make(&m, tiers, 300, 0.3 * tiers, NULL, false, (uint64_t)tiers);
        ag_calibration c = fit(&m.data);
        double slope = AG_CALIBRATION_RIDGE * (1 / c.temperature - 1), sum[7];
        for (int t = 0; t < tiers; t++) sum[t] = AG_CALIBRATION_RIDGE * c.bias[t];
        for (size_t i = 0; i < m.data.n; i++) {
            double p[7];
            memcpy(p, m.said + i * (size_t)tiers, (size_t)tiers * sizeof *p);
            ag_calibration_apply(&c, p);
            for (int t = 0; t < tiers; t++) {
                double off = p[t] - m.target[i * (size_t)tiers + (size_t)t];
                sum[t] += off;
                slope += off * log(m.said[i * (size_t)tiers + (size_t)t]);
            }
        }
        assert_near(slope, 0, 1e-6);
        for (int t = 0; t < tiers; t++) assert_near(sum[t], 0, 1e-6);
        unmake(&m);
    }
}

static void test_recovery(void **state)
{
    (void)state;
    static const struct {
        double slope, shift[4];
    } rows[] = {{2, {0, 0, 0, 0}}, {0.5, {0, 0, 0, 0}}, {3, {1, 0.5, -0.5, -1}}, {1, {-2, 0, 1, 1}}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int soft = 0; soft < 2; soft++) {
            made m;
            make(&m, 4, 20000, rows[i].slope, rows[i].shift, soft, 11);
            ag_calibration c = fit(&m.data);
            /* said = truth ^ slope x e ^ shift, so truth = said ^ (1 / slope) x e ^ (-shift / slope); hard labels are noisy. */
            assert_near(c.temperature, rows[i].slope, (soft ? 1e-4 : 0.06) * rows[i].slope);
            for (int t = 0; t < 4; t++)
                assert_near(c.bias[t], -rows[i].shift[t] / rows[i].slope, soft ? 5e-4 : 0.06);
            if (soft)
                for (size_t k = 0; k < 50; k++) {
                    double p[4];
                    memcpy(p, m.said + 4 * k, sizeof p);
                    ag_calibration_apply(&c, p);
                    for (int t = 0; t < 4; t++) assert_near(p[t], m.truth[4 * k + (size_t)t], 1e-4);
                }
            unmake(&m);
        }
}

/* Without biases: the slope where the derivative by it is 0, found by bisection. */
static void test_temperature_only(void **state)
{
    (void)state;
    const double shift[] = {1, 0, -1};
    made m;
    double low = 0.05, high = 20;
    make(&m, 3, 200, 1.5, shift, false, 8);
    m.data.temperature_only = true;
    ag_calibration c = fit(&m.data);
    for (int t = 0; t < 3; t++) assert_near(c.bias[t], 0, 0);
    for (int k = 0; k < 100; k++) {
        double a = (low + high) / 2, sum = AG_CALIBRATION_RIDGE * (a - 1);
        for (size_t i = 0; i < 200; i++) {
            double z = 0, off = 0;
            for (size_t t = 0; t < 3; t++) z += pow(m.said[3 * i + t], a);
            for (size_t t = 0; t < 3; t++)
                off += (pow(m.said[3 * i + t], a) / z - m.target[3 * i + t]) * log(m.said[3 * i + t]);
            sum += off;
        }
        if (sum < 0)
            low = a;
        else
            high = a;
    }
    assert_near(1 / c.temperature, low, 1e-8);
    unmake(&m);
}

/* All right and sure, all of one tier, a tier that is never gold, probabilities of 0: the ridge holds. */
static void test_edges(void **state)
{
    (void)state;
    enum { N = 60, K = 3 };
    double p[N][K], q[N][K];
    for (int kind = 0; kind < 4; kind++) {
        memset(p, 0, sizeof p);
        memset(q, 0, sizeof q);
        for (int i = 0; i < N; i++) {
            int gold = kind == 1 ? 0 : kind == 2 ? i % 2 : i % K;
            for (int t = 0; t < K; t++) p[i][t] = t == gold ? 0.8 : 0.1;
            if (kind == 3) p[i][0] = p[i][1] = p[i][2] = 0, p[i][gold] = 1;
            q[i][gold] = 1;
        }
        ag_calibration_data d = {K, N, &p[0][0], &q[0][0], false};
        ag_calibration c = fit(&d);
        assert_true(c.temperature > 0.01 && c.temperature <= 1.0001);
        for (int t = 0; t < K; t++) assert_true(fabs(c.bias[t]) < 10);
        ag_calibration same = c;
        same.temperature = 1;
        memset(same.bias, 0, sizeof same.bias);
        assert_true(ag_calibration_loss(&c, &d, 0) <= ag_calibration_loss(&same, &d, 0) + 1e-12);
        for (int i = 0; i < N; i++) {
            ag_calibration_apply(&c, p[i]);
            assert_near(p[i][0] + p[i][1] + p[i][2], 1, 1e-12);
        }
    }
}

/* A judge that is wrong whenever it is sure: no temperature helps. */
static void test_bounded(void **state)
{
    (void)state;
    enum { N = 100, K = 2 };
    double p[N][K], q[N][K];
    memset(q, 0, sizeof q);
    for (int i = 0; i < N; i++) {
        p[i][0] = i % 2 ? 0.9 : 0.2;
        p[i][1] = 1 - p[i][0];
        q[i][i % 2] = 1;
    }
    ag_error err = {0};
    ag_calibration c = {0};
    bool bounded = false;
    ag_calibration_data d = {K, N, &p[0][0], &q[0][0], false};
    assert_int_equal(ag_calibration_fit(&c, &bounded, &d, NULL, N, &err), AG_OK);
    assert_true(bounded);
    assert_near(c.temperature, AG_CALIBRATION_MAX_TEMPERATURE, 1e-9);
}

static void test_apply(void **state)
{
    (void)state;
    ag_calibration c = {.tiers = 3, .temperature = 1};
    double p[] = {0.5, 0.3, 0.2}, q[] = {0.64, 0.32, 0.04}, zero[] = {1, 0, 0};
    ag_calibration_apply(&c, p);
    assert_near(p[0], 0.5, 1e-15);
    assert_near(p[2], 0.2, 1e-15);
    c.temperature = 2; /* square roots: 0.8, 0.5657, 0.2 */
    ag_calibration_apply(&c, q);
    assert_near(q[0], 0.8 / (1 + sqrt(0.32)), 1e-15);
    assert_near(q[2], 0.2 / (1 + sqrt(0.32)), 1e-15);
    c = (ag_calibration){.tiers = 3, .temperature = 10, .bias = {-1, 0.5, 0.5}};
    ag_calibration_apply(&c, zero); /* 1e-30 ^ 0.1 = 1e-3 */
    assert_near(zero[1] / zero[0], 1e-3 * exp(1.5), 1e-12);
}

static void test_cross_fit(void **state)
{
    (void)state;
    enum { N = 200, K = 3, FOLDS = 4 };
    made m;
    uint8_t part[N];
    double out[N * K], temperatures[FOLDS];
    ag_error err = {0};
    make(&m, K, N, 2, NULL, false, 5);
    for (size_t i = 0; i < N; i++) part[i] = (uint8_t)((i / 7) % FOLDS);
    assert_int_equal(ag_calibration_cross_fit(out, temperatures, &m.data, part, FOLDS, &err), AG_OK);
    for (int f = 0; f < FOLDS; f++) {
        /* The same rows copied out, so that nothing of the part can be seen. */
        double p[N * K], q[N * K];
        size_t n = 0;
        for (size_t i = 0; i < N; i++) {
            if (part[i] == f) continue;
            memcpy(p + n * K, m.said + i * K, K * sizeof *p);
            memcpy(q + n * K, m.target + i * K, K * sizeof *q);
            n++;
        }
        ag_calibration_data d = {K, n, p, q, false};
        ag_calibration c = fit(&d);
        assert_near(c.temperature, temperatures[f], 1e-12);
        for (size_t i = 0; i < N; i++) {
            if (part[i] != f) continue;
            memcpy(p, m.said + i * K, K * sizeof *p);
            ag_calibration_apply(&c, p);
            for (size_t t = 0; t < K; t++) assert_near(out[i * K + t], p[t], 1e-12);
        }
    }
    memset(part, 1, sizeof part);
    assert_int_equal(ag_calibration_cross_fit(out, NULL, &m.data, part, 2, &err), AG_ERR_INTERNAL);
    unmake(&m);
}

/* --- the file ------------------------------------------------------------------------------------------------------ */

static const char model_digest[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
                  other_digest[] = "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

static ag_calibration sample(fixture_book *f)
{
    fixture_book_make(f, 3);
    memcpy(f->book.digest, other_digest, 65);
    ag_calibration c = {.tiers = 3,
                        .temperature = 1.0 / 3,
                        .bias = {0.1, -0.3, 0.2},
                        .decision = {.by = AG_DECIDE_THRESHOLD, .threshold = 0.7}};
    memcpy(c.model, model_digest, 65);
    memcpy(c.rulebook, other_digest, 65);
    return c;
}

static void test_file(void **state)
{
    (void)state;
    fixture_book f;
    ag_error err = {0};
    ag_calibration c = sample(&f), back;
    bool found = true;
    char *path = ag_path_join(folder, "calibration.json");
    assert_int_equal(ag_calibration_load(&back, &found, &f.book, model_digest, path, &err), AG_OK);
    assert_false(found);
    json_t *about = json_pack("{s:i}", "pairs", 3);
    assert_int_equal(ag_calibration_save(&c, &f.book, about, path, &err), AG_OK);
    json_decref(about);
    if (ag_calibration_load(&back, &found, &f.book, model_digest, path, &err)) fail_msg("%s", err.message);
    assert_true(found);
    assert_memory_equal(&back, &c, sizeof c);
    ag_str a = {0}, b = {0};
    ag_calibration_digest(&a, &c);
    back.decision.threshold = 0.8; /* judges the same probabilities */
    ag_calibration_digest(&b, &back);
    assert_string_equal(ag_str_text(&a), ag_str_text(&b));
    back.bias[1] += 1e-12;
    ag_str_clear(&b);
    ag_calibration_digest(&b, &back);
    assert_string_not_equal(ag_str_text(&a), ag_str_text(&b));
    ag_str_free(&a);
    ag_str_free(&b);
    assert_int_equal(ag_calibration_load(&back, &found, &f.book, other_digest, path, &err), AG_ERR_INPUT);
    assert_non_null(strstr(err.message, "other weights"));
    memcpy(f.book.digest, model_digest, 65);
    assert_int_equal(ag_calibration_load(&back, &found, &f.book, model_digest, path, &err), AG_ERR_INPUT);
    assert_non_null(strstr(err.message, "another rulebook"));
    ag_free(path);
}

/* Every single member missing, of another type or out of bounds; every cut of the file. */
static void test_damage(void **state)
{
    (void)state;
    fixture_book f;
    ag_error err = {0};
    ag_calibration c = sample(&f), back;
    bool found;
    size_t len;
    char *path = ag_path_join(folder, "damaged.json"), *text;
    assert_int_equal(ag_calibration_save(&c, &f.book, NULL, path, &err), AG_OK);
    json_t *whole = NULL;
    assert_int_equal(ag_json_load(&whole, path, &err), AG_OK);
    static const struct {
        const char *key, *value;
    } bad[] = {{"calibration", "2"},
               {"calibration", "\"1\""},
               {"calibration", "null"},
               {"temperature", "0"},
               {"temperature", "-1"},
               {"temperature", "\"x\""},
               {"temperature", "null"},
               {"bias", "{}"},
               {"bias", "[0, 0, 0]"},
               {"bias", "{\"t0\": 0, \"t1\": 0, \"t9\": 0}"},
               {"bias", "{\"t0\": 0, \"t1\": 0, \"t2\": null}"},
               {"bias", "{\"t0\": 1.7e308, \"t1\": 1.7e308, \"t2\": 0}"},
               {"decision", "null"},
               {"decision", "{\"by\": \"luck\"}"},
               {"model_digest", "null"},
               {"model_digest", "\"12\""},
               {"rulebook_digest", "12"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *json = json_copy(whole);
        json_object_set_new(json, bad[i].key, json_loads(bad[i].value, JSON_DECODE_ANY, NULL));
        assert_int_equal(ag_json_save(path, json, &err), AG_OK);
        err.message[0] = '\0';
        if (ag_calibration_load(&back, &found, &f.book, model_digest, path, &err) != AG_ERR_INPUT)
            fail_msg("%s: %s is taken", bad[i].key, bad[i].value);
        assert_non_null(strstr(err.message, "damaged.json"));
        json_decref(json);
    }
    assert_int_equal(ag_json_save(path, whole, &err), AG_OK);
    assert_int_equal(ag_file_read(path, 0, &text, &len, &err), AG_OK);
    while (len > 0 && text[len - 1] == '\n') len--;
    for (size_t n = 0; n < len; n++) {
        assert_int_equal(ag_file_write(folder, "damaged.json", text, n, &err), AG_OK);
        assert_int_equal(ag_calibration_load(&back, &found, &f.book, model_digest, path, &err), AG_ERR_INPUT);
    }
    ag_free(text);
    ag_free(path);
    json_decref(whole);
}

static void test_memory(void **state)
{
    (void)state;
    fixture_book f;
    made m;
    ag_error err = {0};
    ag_calibration c = sample(&f), fitted = {0};
    bool bounded, found;
    uint8_t part[50];
    double out[150];
    make(&m, 3, 50, 2, NULL, false, 9);
    for (size_t i = 0; i < 50; i++) part[i] = i % 2;
    char *path = ag_path_join(folder, "memory.json");
    for (int kind = 0; kind < 4; kind++)
        for (long n = 1;; n++) {
            ag_status status;
            ag_mem_fail_at(n, true);
            switch (kind) {
            case 0: status = ag_calibration_fit(&fitted, &bounded, &m.data, NULL, 50, &err); break;
            case 1: status = ag_calibration_cross_fit(out, NULL, &m.data, part, 2, &err); break;
            case 2: status = ag_calibration_save(&c, &f.book, NULL, path, &err); break;
            default: status = ag_calibration_load(&fitted, &found, &f.book, model_digest, path, &err);
            }
            ag_mem_fail_at(0, false);
            if (status == AG_OK) break;
            assert_int_equal(status, AG_ERR_MEMORY);
            assert_true(n < 1000);
        }
    ag_free(path);
    unmake(&m);
}

/* --- the report ---------------------------------------------------------------------------------------------------- */

enum { PAIRS = 240, QUERIES = 30 };

typedef struct reported {
    fixture_book f;
    ag_pair_list pairs;
    ag_judgement judged[PAIRS];
    ag_decision decision;
} reported;

/* Gold and probabilities of the made rows; soft gold says the truth. queries: how many there are. */
static void report_open(reported *r, const made *m, int queries, bool soft)
{
    ag_error err = {0};
    memset(r, 0, sizeof *r);
    fixture_book_make(&r->f, 4);
    for (size_t i = 0; i < m->data.n; i++) {
        char line[256];
        int gold = 0;
        while (m->target[4 * i + (size_t)gold] < 0.5 && gold < 3) gold++;
        int n = snprintf(line, sizeof line,
                         "{\"id\": \"p%zu\", \"query\": \"query number %c%c\", \"item\": {\"title\": \"x\"}, "
                         "\"asked\": [], \"gold\": {\"tier\": \"t%d\"}}",
                         i, 'a' + (int)i % queries % 26, 'a' + (int)i % queries / 26, gold);
        if (!ag_grow(&r->pairs.items, &r->pairs.cap, i + 1, sizeof *r->pairs.items)) fail();
        if (ag_pair_parse(&r->pairs.items[i], line, (size_t)n, "made", (long)i + 1, &r->f.book,
                          AG_AGGREGATE_GIVEN, &err))
            fail_msg("%s", err.message);
        r->pairs.count++;
        if (soft) {
            double *share = ag_arena_alloc(&r->pairs.items[i]->arena, 4, sizeof *share);
            memcpy(share, m->truth + 4 * i, 4 * sizeof *share);
            r->pairs.items[i]->gold.soft = share;
        }
        memcpy(r->judged[i].probability, m->said + 4 * i, 4 * sizeof(double));
        ag_judgement_decide(&r->judged[i], &r->f.book, NULL);
    }
}

static void report_close(reported *r)
{
    ag_pair_list_free(&r->pairs);
}

static double figure(const json_t *report, const char *version, const char *metric)
{
    const json_t *value = json_object_get(json_object_get(json_object_get(report, version), metric), "value");
    if (!json_is_number(value)) fail_msg("no %s of %s", metric, version);
    return json_number_value(value);
}

static double nll_of(const made *m, const ag_calibration *c)
{
    double sum = 0;
    for (size_t i = 0; i < m->data.n; i++) {
        double p[4];
        memcpy(p, m->said + 4 * i, sizeof p);
        if (c) ag_calibration_apply(c, p);
        for (size_t t = 0; t < 4; t++)
            if (m->target[4 * i + t] > 0.5) sum -= log(p[t]);
    }
    return sum / (double)m->data.n;
}

static void test_report(void **state)
{
    (void)state;
    made m;
    reported r;
    ag_error err = {0};
    ag_calibration c;
    json_t *json = NULL, *row;
    size_t k;
    make(&m, 4, PAIRS, 2.5, NULL, false, 21);
    report_open(&r, &m, QUERIES, false);
    r.decision = (ag_decision){.by = AG_DECIDE_THRESHOLD, .threshold = 0.6};
    ag_calibration_input in = {&r.f.book, &r.pairs, r.judged, &r.decision, false, 50, 9, 1};
    if (ag_calibration_report(&c, &json, &in, &err)) fail_msg("%s", err.message);
    ag_calibration plain = fit(&m.data);
    assert_near(c.temperature, plain.temperature, 1e-12);
    assert_near(figure(json, "before", "nll"), nll_of(&m, NULL), 1e-12);
    assert_near(figure(json, "after", "nll"), nll_of(&m, &c), 1e-12);
    /* In sample flatters; out of sample still helps much with a judge that is sure by a factor of 2.5. */
    assert_true(figure(json, "after", "nll") < figure(json, "cross_fitted", "nll"));
    assert_true(figure(json, "cross_fitted", "nll") < figure(json, "before", "nll") - 0.1);
    assert_true(figure(json, "cross_fitted", "ece") < figure(json, "before", "ece"));
    assert_int_equal(json_integer_value(json_object_get(json, "groups")), QUERIES);
    assert_true(json_is_null(json_object_get(json, "cross_entropy")));
    assert_int_equal(json_array_size(json_object_get(json, "warnings")), 0);
    assert_int_equal(json_array_size(json_object_get(json, "decisions")), 4);
    double recall = 2, said = 2;
    json_array_foreach(json_object_get(json, "curve"), k, row)
    {
        /* A higher threshold never calls more pairs good. */
        double now = json_number_value(json_object_get(row, "recall")),
               share = json_number_value(json_object_get(row, "good"));
        assert_near(json_number_value(json_object_get(row, "threshold")), 0.1 * (double)(k + 1), 1e-12);
        assert_true(now <= recall && share <= said);
        recall = now, said = share;
    }
    assert_int_equal(k, 9);
    row = json_array_get(json_object_get(json, "decisions"), 3);
    assert_string_equal(json_string_value(json_object_get(row, "decision")), "threshold 0.6");
    assert_true(json_is_true(json_object_get(row, "stored")));
    /* The stored decision and the curve's point at 0.6 are one thing. */
    json_t *point = json_array_get(json_object_get(json, "curve"), 5);
    assert_near(json_number_value(json_object_get(row, "precision")),
                json_number_value(json_object_get(point, "precision")), 1e-12);
    ag_str table = {0};
    assert_int_equal(ag_calibration_table(&table, json, &err), AG_OK);
    assert_non_null(strstr(ag_str_text(&table), "temperature"));
    assert_non_null(strstr(ag_str_text(&table), "threshold 0.6"));
    ag_str_free(&table);
    json_decref(json);
    report_close(&r);
    unmake(&m);
}

static void test_report_memory(void **state)
{
    (void)state;
    made m;
    reported r;
    ag_error err = {0};
    make(&m, 4, 60, 2, NULL, false, 27);
    report_open(&r, &m, 3, false);
    ag_calibration_input in = {&r.f.book, &r.pairs, r.judged, &r.decision, false, 0, 2, 1};
    for (long n = 1;; n += 1 + n / 50) {
        ag_calibration c;
        json_t *json = NULL;
        ag_mem_fail_at(n, true);
        ag_status status = ag_calibration_report(&c, &json, &in, &err);
        ag_mem_fail_at(0, false);
        json_decref(json);
        if (status == AG_OK) break;
        assert_int_equal(status, AG_ERR_MEMORY);
        assert_null(json);
        assert_true(n < 1000000);
    }
    report_close(&r);
    unmake(&m);
}

/* Precision, recall and accuracy of a point of the curve by plain loops; with one group the figures are in sample. */
static void test_curve_by_hand(void **state)
{
    (void)state;
    made m;
    reported r;
    ag_error err = {0};
    ag_calibration c;
    json_t *json = NULL;
    make(&m, 4, 100, 1, NULL, false, 22);
    report_open(&r, &m, 1, false);
    ag_calibration_input in = {&r.f.book, &r.pairs, r.judged, &r.decision, false, 0, 3, 1};
    if (ag_calibration_report(&c, &json, &in, &err)) fail_msg("%s", err.message);
    assert_true(json_is_null(json_object_get(json, "cross_fitted")));
    assert_int_equal(json_array_size(json_object_get(json, "warnings")), 1);
    for (size_t k = 0; k < 3; k++) {
        double threshold = 0.25 * (double)(k + 1), said = 0, right = 0, wanted = 0, hits = 0;
        for (size_t i = 0; i < 100; i++) {
            double p[4], sum = 0;
            int tier = 0, gold = r.pairs.items[i]->gold.tier;
            memcpy(p, m.said + 4 * i, sizeof p);
            ag_calibration_apply(&c, p);
            for (; tier < 3; tier++)
                if ((sum += p[tier]) >= threshold) break;
            said += tier < 2, wanted += gold < 2, right += tier < 2 && gold < 2, hits += tier == gold;
        }
        const json_t *row = json_array_get(json_object_get(json, "curve"), k);
        assert_near(json_number_value(json_object_get(row, "precision")), right / said, 1e-12);
        assert_near(json_number_value(json_object_get(row, "recall")), right / wanted, 1e-12);
        assert_near(json_number_value(json_object_get(row, "good")), said / 100, 1e-12);
        assert_near(json_number_value(json_object_get(row, "accuracy")), hits / 100, 1e-12);
    }
    json_decref(json);
    report_close(&r);
    unmake(&m);
}

static void test_soft_report(void **state)
{
    (void)state;
    made m;
    reported r;
    ag_error err = {0};
    ag_calibration c;
    json_t *json = NULL;
    make(&m, 4, PAIRS, 2, NULL, false, 23);
    report_open(&r, &m, QUERIES, true);
    ag_calibration_input in = {&r.f.book, &r.pairs, r.judged, &r.decision, false, 0, 0, 1};
    if (ag_calibration_report(&c, &json, &in, &err)) fail_msg("%s", err.message);
    assert_near(c.temperature, 2, 0.01); /* the shares are the truth: only the ridge is in the way */
    const json_t *entropy = json_object_get(json, "cross_entropy");
    assert_true(json_number_value(json_object_get(entropy, "cross_fitted")) <
                json_number_value(json_object_get(entropy, "before")));
    json_decref(json);
    report_close(&r);
    unmake(&m);
}

static void test_refusals(void **state)
{
    (void)state;
    made m;
    reported r;
    ag_error err = {0};
    ag_calibration c;
    json_t *json = NULL;
    make(&m, 4, 39, 1, NULL, false, 24);
    report_open(&r, &m, 10, false);
    ag_calibration_input in = {&r.f.book, &r.pairs, r.judged, &r.decision, false, 0, 0, 1};
    assert_int_equal(ag_calibration_report(&c, &json, &in, &err), AG_ERR_INPUT);
    assert_non_null(strstr(err.message, "too few"));
    assert_null(json);
    report_close(&r);
    unmake(&m);
    /* A judge that says the opposite of the truth. */
    make(&m, 4, PAIRS, -2, NULL, false, 25);
    report_open(&r, &m, QUERIES, false);
    in = (ag_calibration_input){&r.f.book, &r.pairs, r.judged, &r.decision, false, 0, 0, 1};
    assert_int_equal(ag_calibration_report(&c, &json, &in, &err), AG_ERR_INPUT);
    assert_non_null(strstr(err.message, "say nothing"));
    report_close(&r);
    unmake(&m);
    /* A tier without pairs is a warning. */
    make(&m, 4, 200, 1, NULL, false, 26);
    for (size_t i = 0; i < 200; i++)
        if (m.target[4 * i + 1] > 0.5) m.target[4 * i + 1] = 0, m.target[4 * i] = 1;
    report_open(&r, &m, QUERIES, false);
    in = (ag_calibration_input){&r.f.book, &r.pairs, r.judged, &r.decision, false, 0, 0, 1};
    if (ag_calibration_report(&c, &json, &in, &err)) fail_msg("%s", err.message);
    const char *warning = json_string_value(json_array_get(json_object_get(json, "warnings"), 0));
    assert_non_null(warning);
    assert_non_null(strstr(warning, "no pair has gold tier 't1'"));
    assert_true(c.bias[1] < -1 && c.bias[1] > -10);
    json_decref(json);
    report_close(&r);
    unmake(&m);
}

/* The confidence is the likeliest tier's, so whether it was right is, too, whatever was decided. */
static void test_calibration_error_of_decisions(void **state)
{
    (void)state;
    fixture_book f;
    fixture_book_make(&f, 3);
    ag_record r = fixture_record("q", 0, 1);
    r.probability[0] = 0.6, r.probability[1] = 0.4;
    ag_records set = {&f.book, &r, 1};
    assert_near(metric_of(&set, "ece"), 0.4, 1e-15);
    assert_near(metric_of(&set, "accuracy"), 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_descent),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_recovery),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_temperature_only),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_apply),
        cmocka_unit_test(test_cross_fit),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_curve_by_hand),
        cmocka_unit_test(test_soft_report),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_report_memory),
        cmocka_unit_test(test_calibration_error_of_decisions),
    };
    if (!mkdtemp(folder)) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ag_dir_remove(folder, NULL);
    return failed;
}
