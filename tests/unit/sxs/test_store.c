/* test_sxs_store.c: who is shown what, through a study's whole life in its file, and with memory running out anywhere. */
#include "unit/eval/eval_fixture.h"

#include <sqlite3.h>
#include <unistd.h>

#include "base/file.h"
#include "sxs/store.h"

static char folder[] = "/tmp/agrl-sxs-XXXXXX";

static char *put(const char *name, const ag_str *text)
{
    ag_error err = {0};
    char *path = ag_path_join(folder, name);
    if (ag_file_write(folder, name, ag_str_text(text), text->len, &err)) fail_msg("%s", err.message);
    return path;
}

/* Files of a log of n queries with one item on each side, and checks. */
typedef struct files {
    char *queries, *runs[2], *gold, *items;
} files;

static files make_files(int n, int checks)
{
    ag_str text[5] = {{0}};
    files f;
    for (int q = 0; q < n; q++) {
        ag_str_addf(&text[0],
                    "{\"id\": \"%d\", \"query\": \"query %d\", \"type\": \"t%d\", \"traffic\": %d}\n", q, q,
                    q % 2, 1 + q % 7);
        ag_str_addf(&text[1], "{\"query\": \"%d\", \"list\": [\"a%d\"]}\n", q, q);
        ag_str_addf(&text[2], "{\"query\": \"%d\", \"list\": [\"%c%d\"]}\n", q, q % 5 ? 'b' : 'a', q);
        ag_str_addf(&text[4], "{\"id\": \"a%d\", \"title\": \"A\"}\n{\"id\": \"b%d\", \"title\": \"B\"}\n", q,
                    q);
    }
    for (int c = 0; c < checks; c++)
        ag_str_addf(&text[3], "{\"query\": \"check %d\", \"better\": [\"b%d\"], \"worse\": [\"a%d\"]}\n", c,
                    c, c);
    f = (files){put("queries.jsonl", &text[0]),
                {put("old.jsonl", &text[1]), put("new.jsonl", &text[2])},
                put("gold.jsonl", &text[3]),
                put("items.jsonl", &text[4])};
    for (int i = 0; i < 5; i++) ag_str_free(&text[i]);
    return f;
}

static void free_files(files *f)
{
    ag_free(f->queries);
    ag_free(f->runs[0]);
    ag_free(f->runs[1]);
    ag_free(f->gold);
    ag_free(f->items);
}

static ag_status create(const char *path, const files *f, size_t n, const ag_sxs_settings *settings,
                        bool gold, ag_error *err)
{
    ag_sxs_log log = {.k = 0};
    ag_sxs_design design = {0};
    bool chosen[200];
    ag_status status = ag_sxs_log_load(&log, f->queries, (const char *const *)f->runs, settings->k, err);
    if (status == AG_OK && gold) status = ag_sxs_log_checks(&log, f->gold, err);
    if (status == AG_OK) status = ag_sxs_design_make(&design, log.units, log.count, log.strata_count, n, err);
    if (status == AG_OK) status = ag_sxs_design_draw(chosen, &design, log.units, settings->seed, err);
    for (size_t i = 0; i < log.count && status == AG_OK; i++)
        for (int s = 0; s < 2 && chosen[i] && status == AG_OK; s++)
            status = ag_sxs_log_want(&log, &log.queries[i].lists[s], err);
    for (size_t c = 0; c < log.check_count && status == AG_OK; c++)
        for (int s = 0; s < 2 && status == AG_OK; s++)
            status = ag_sxs_log_want(&log, &log.checks[c].lists[s], err);
    if (status == AG_OK) status = ag_sxs_log_items(&log, &(ag_catalogue_file){.path = f->items}, err);
    if (status == AG_OK) status = ag_sxs_store_create(path, &log, &design, chosen, settings, err);
    ag_sxs_design_free(&design);
    ag_sxs_log_free(&log);
    return status;
}

static const ag_sxs_settings defaults = {.names = {"old", "new"},
                                         .k = 1,
                                         .good_at_least = 1,
                                         .judges = 2,
                                         .repeats = 0.05,
                                         .checks = 0.1,
                                         .gold_cutoff = 0.7,
                                         .gold_least = 3,
                                         .seed = 9};

static ag_sxs_store *open_store(const char *path)
{
    ag_error err = {0};
    ag_sxs_store *store;
    if (ag_sxs_store_open(&store, path, &err)) fail_msg("%s", err.message);
    return store;
}

/* Answers the judge's next task; false when there is none. `b` the side with item B is better, as it says; else the left one. */
static ag_status answer_next(bool *more, ag_sxs_store *store, int64_t judge, bool taste, bool skip,
                             ag_error *err)
{
    json_t *task = NULL, *answer = NULL;
    AG_TRY(ag_sxs_store_next(store, judge, &task, err));
    *more = json_object_get(task, "task") != NULL;
    if (!*more) {
        json_decref(task);
        return AG_OK;
    }
    const json_t *left = json_array_get(json_object_get(task, "left"), 0),
                 *right = json_array_get(json_object_get(task, "right"), 0);
    const char *title = json_string_value(json_object_get(right, "title"));
    char l[24], r[24];
    snprintf(l, sizeof l, "%lld", (long long)json_integer_value(json_object_get(left, "item")));
    snprintf(r, sizeof r, "%lld", (long long)json_integer_value(json_object_get(right, "item")));
    if (skip)
        answer = json_pack("{s:O, s:b}", "task", json_object_get(task, "task"), "skip", 1);
    else
        answer = json_pack("{s:O, s:i, s:{s:b, s:b}}", "task", json_object_get(task, "task"), "preference",
                           taste && *title == 'B' ? 1 : -1, "ratings", l, 1, r, 0);
    ag_status status = answer ? ag_sxs_store_answer(store, judge, answer, err)
                              : ag_fail_memory(err, "answer");
    json_decref(answer);
    json_decref(task);
    return status;
}

static int count(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *s;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    int n = sqlite3_column_int(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return n;
}

static int64_t invite(ag_sxs_store *store, const char *name, bool model)
{
    char token[AG_SXS_TOKEN];
    int64_t judge, found;
    ag_error err = {0};
    if (ag_sxs_store_invite(store, name, model, token, &judge, &err)) fail_msg("%s", err.message);
    assert_int_equal(strlen(token), AG_SXS_TOKEN - 1);
    assert_int_equal(ag_sxs_store_judge(store, token, &found, &err), AG_OK);
    assert_int_equal(found, model ? 0 : judge);
    return judge;
}

static void test_life(void **state)
{
    enum { JUDGES = 5 };
    (void)state;
    files f = make_files(100, 12);
    ag_error err = {0};
    int64_t judges[JUDGES];
    char *path = ag_path_join(folder, "life.db");
    if (create(path, &f, 60, &defaults, true, &err)) fail_msg("%s", err.message);
    assert_int_equal(create(path, &f, 60, &defaults, true, &err), AG_ERR_USAGE);
    ag_sxs_store *store = open_store(path);
    for (int j = 0; j < JUDGES; j++) {
        char name[8];
        snprintf(name, sizeof name, "j%d", j);
        judges[j] = invite(store, name, j == 4);
    }
    /* By turns, with the file closed now and then; the fourth judges carelessly, the third skips now and then. */
    bool more = true;
    for (int turn = 0; more; turn++) {
        more = false;
        if (turn % 10 == 3) {
            ag_sxs_store_close(store);
            store = open_store(path);
        }
        for (int j = 0; j < JUDGES; j++) {
            bool one = false;
            if (answer_next(&one, store, judges[j], j != 3, j == 2 && turn % 6 == 2, &err))
                fail_msg("%s", err.message);
            more = more || one;
        }
        assert_true(turn < 200);
    }
    assert_int_equal(
        count(path, "SELECT count(*) FROM task LEFT JOIN answer USING(task) WHERE preference IS NULL"), 0);
    assert_int_equal(count(path, "SELECT count(*) FROM query WHERE NOT gold"), 60);
    /* Two people a query, of those who are not left out; a skipped one is another's. */
    assert_int_equal(
        count(path,
              "SELECT count(*) FROM (SELECT query FROM task JOIN answer USING(task) WHERE kind = 0 AND NOT "
              "skipped AND judge IN (1, 2, 3) GROUP BY query HAVING count(*) != 2)"),
        0);
    assert_int_equal(count(path, "SELECT count(*) FROM failed"), 1);
    assert_int_equal(count(path, "SELECT judge FROM failed"), 4);
    /* Repeats: one for twenty answered, from a start of the judge's own; sides swapped; not of what was skipped. */
    for (int j = 1; j <= 4; j++) {
        char sql[200];
        snprintf(
            sql, sizeof sql,
            "SELECT count(*) FROM task JOIN answer USING(task) WHERE judge = %d AND kind = 0 AND NOT skipped",
            j);
        int answered = count(path, sql);
        snprintf(sql, sizeof sql, "SELECT count(*) FROM task WHERE judge = %d AND kind = 1", j);
        int repeats = count(path, sql);
        assert_true(repeats == answered / 20 || repeats == answered / 20 + 1);
        snprintf(sql, sizeof sql, "SELECT count(*) FROM task WHERE judge = %d AND kind = 2", j);
        int checks = count(path, sql);
        assert_true(checks >= 3 && checks <= 1 + (answered + 10) / 10);
    }
    assert_int_equal(
        count(path,
              "SELECT count(*) FROM task a JOIN task b USING(judge, query) WHERE a.kind = 0 AND b.kind = 1 "
              "AND (a.new_left = b.new_left OR b.task < a.task)"),
        0);
    /* The model: everything once, no repeats. */
    assert_int_equal(count(path, "SELECT count(*) FROM task WHERE judge = 5 AND kind = 0"), 60);
    assert_int_equal(count(path, "SELECT count(*) FROM task WHERE judge = 5 AND kind = 1"), 0);
    ag_sxs_study study;
    assert_int_equal(ag_sxs_store_load(&study, store, &err), AG_OK);
    assert_int_equal(study.answer_count, count(path, "SELECT count(*) FROM answer"));
    assert_int_equal(study.same[0].queries, 20);
    assert_int_equal(study.same_count, 3);
    for (size_t i = 0; i < study.answer_count; i++) {
        const ag_sxs_answer *a = &study.answers[i];
        if (a->skipped) continue;
        assert_int_equal(a->rating_count, 2);
        assert_int_equal(a->good[AG_SXS_OLD] + a->good[AG_SXS_NEW], 1); /* the left one is good */
        assert_int_equal(a->good[AG_SXS_NEW], a->new_left);
        if (a->judge < 3) assert_int_equal(ag_sxs_score(a), 1);
    }
    json_t *json = NULL;
    assert_int_equal(ag_sxs_json(&json, &study, 100, 1, 5, &err), AG_OK);
    const json_t *net = json_object_get(json_object_get(json_object_get(json, "all"), "preference"), "net");
    double same = study.same[0].traffic / study.same[0].total;
    assert_near(json_number_value(json_object_get(net, "value")), 1 - same, 1e-12);
    json_decref(json);
    ag_sxs_study_free(&study);
    ag_sxs_store_close(store);
    ag_free(path);
    free_files(&f);
}

/* A judge who never comes back keeps no query from the others. */
static void test_left_open(void **state)
{
    (void)state;
    files f = make_files(20, 1);
    ag_error err = {0};
    char *path = ag_path_join(folder, "open.db");
    ag_sxs_settings settings = defaults;
    settings.judges = 1;
    if (create(path, &f, 16, &settings, false, &err)) fail_msg("%s", err.message);
    ag_sxs_store *store = open_store(path);
    int64_t gone = invite(store, "gone", false), stays = invite(store, "stays", false);
    json_t *task = NULL, *again = NULL, *last = NULL;
    assert_int_equal(ag_sxs_store_last(store, gone, &last, &err), AG_OK);
    assert_null(json_object_get(last, "task"));
    json_decref(last);
    assert_int_equal(ag_sxs_store_next(store, gone, &task, &err), AG_OK);
    assert_int_equal(ag_sxs_store_next(store, gone, &again, &err), AG_OK);
    assert_true(json_equal(task, again));
    bool more = true;
    while (more)
        if (answer_next(&more, store, stays, true, false, &err)) fail_msg("%s", err.message);
    assert_int_equal(count(path, "SELECT count(DISTINCT query) FROM task JOIN answer USING(task)"), 16);
    assert_int_equal(ag_sxs_store_next(store, 77, &last, &err), AG_ERR_USAGE);
    assert_null(last);
    json_decref(task);
    json_decref(again);
    ag_sxs_store_close(store);
    ag_free(path);
    free_files(&f);
}

/* Every allocation fails in turn: an error each time, nothing half-made, nothing leaked (the sanitizers look). */
static void test_no_memory(void **state)
{
    (void)state;
    files f = make_files(8, 2);
    char *path = ag_path_join(folder, "memory.db");
    ag_error err = {0};
    ag_status status = AG_ERR_MEMORY;
    for (long n = 1; status != AG_OK && n < 5000; n += 1 + n / 40) {
        ag_mem_fail_at(n, false);
        status = create(path, &f, 6, &defaults, true, &err);
        ag_mem_fail_at(0, false);
        if (status != AG_OK) assert_int_equal(status, AG_ERR_MEMORY);
        assert_true(ag_path_exists(path) == (status == AG_OK));
    }
    assert_int_equal(status, AG_OK);
    status = AG_ERR_MEMORY;
    for (long n = 1; status != AG_OK && n < 2000; n++) {
        ag_sxs_store *store = NULL;
        ag_sxs_study study = {.path = NULL};
        json_t *json = NULL, *last = NULL;
        int64_t judge = 0;
        char token[AG_SXS_TOKEN];
        bool more;
        ag_mem_fail_at(n, false);
        status = ag_sxs_store_open(&store, path, &err);
        if (status == AG_OK) status = ag_sxs_store_invite(store, "ann", false, token, &judge, &err);
        if (status == AG_OK) status = answer_next(&more, store, judge, true, false, &err);
        if (status == AG_OK) status = ag_sxs_store_last(store, judge, &last, &err);
        if (status == AG_OK) status = ag_sxs_store_load(&study, store, &err);
        if (status == AG_OK) status = ag_sxs_json(&json, &study, 5, 1, 5, &err);
        ag_mem_fail_at(0, false);
        if (status != AG_OK) assert_int_equal(status, AG_ERR_MEMORY);
        json_decref(json);
        json_decref(last);
        ag_sxs_study_free(&study);
        ag_sxs_store_close(store);
    }
    assert_int_equal(status, AG_OK);
    ag_free(path);
    free_files(&f);
}

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    ag_error err;
    (void)state;
    return ag_dir_remove(folder, &err) == AG_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_left_open),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
