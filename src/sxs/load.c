/* load.c: a study's file into memory, for its report and for the one who runs it; see store.h. */
#include <stdlib.h>
#include <string.h>

#include "sxs/store_parts.h"

/* --- a study -------------------------------------------------------------------------------------------- */

/* Fills row number `at` of an array from a statement's row. */
typedef ag_status (*row_reader)(ag_sxs_study *study, size_t at, sqlite3_stmt *s, ag_error *err);

static ag_status read_rows(ag_sxs_study *study, const ag_sxs_db *db, const char *count_sql, const char *sql,
                           void *array, size_t *count, size_t size, row_reader read, ag_error *err)
{
    sqlite3_stmt *s = NULL;
    sqlite3_int64 n;
    bool row = true;
    void **block = array;
    size_t at = 0;
    AG_TRY(ag_sxs_db_int(db, &n, 0, err, count_sql, ""));
    if (!(*block = ag_arena_alloc(&study->arena, (size_t)n + 1, size))) return ag_fail_memory(err, "study");
    AG_TRY(ag_sxs_db_prepare(db, &s, err, sql, ""));
    ag_status status = AG_OK;
    while (status == AG_OK && (status = ag_sxs_db_step(db, s, &row, err)) == AG_OK && row && at < (size_t)n)
        status = read(study, at++, s, err);
    sqlite3_finalize(s);
    *count = at;
    return status;
}

/* A text of a row, kept; NULL stays NULL. */
static ag_status text(const char **value, ag_sxs_study *study, sqlite3_stmt *s, int column, ag_error *err)
{
    const char *found = (const char *)sqlite3_column_text(s, column);
    *value = found ? ag_arena_strdup(&study->arena, found) : NULL;
    return found && !*value ? ag_fail_memory(err, "study") : AG_OK;
}

static ag_status read_cell(ag_sxs_study *study, size_t at, sqlite3_stmt *s, ag_error *err)
{
    (void)err;
    study->cells[at] = (ag_sxs_cell){sqlite3_column_double(s, 0), (size_t)sqlite3_column_int64(s, 1),
                                     (size_t)sqlite3_column_int64(s, 2), sqlite3_column_double(s, 3)};
    return AG_OK;
}

static ag_status read_same(ag_sxs_study *study, size_t at, sqlite3_stmt *s, ag_error *err)
{
    study->same[at] = (ag_sxs_same){NULL, sqlite3_column_double(s, 1), sqlite3_column_double(s, 2),
                                    (size_t)sqlite3_column_int64(s, 3)};
    return text(&study->same[at].type, study, s, 0, err);
}

static ag_status read_types(ag_sxs_query *q, ag_sxs_study *study, const char *types, ag_error *err)
{
    json_t *json = NULL, *one;
    size_t i;
    AG_TRY(ag_json_parse(&json, types ? types : "[]", strlen(types ? types : "[]"), study->path, 1, err));
    const char **list = ag_arena_alloc(&study->arena, json_array_size(json) + 1, sizeof *list);
    bool good = list != NULL;
    json_array_foreach(json, i, one)
    {
        const char *name = json_string_value(one);
        if (good && name) good = (list[q->type_count++] = ag_arena_strdup(&study->arena, name)) != NULL;
    }
    q->types = list;
    json_decref(json);
    return good ? AG_OK : ag_fail_memory(err, "study");
}

static ag_status read_query(ag_sxs_study *study, size_t at, sqlite3_stmt *s, ag_error *err)
{
    ag_sxs_query *q = &study->queries[at];
    *q = (ag_sxs_query){.traffic = sqlite3_column_double(s, 4),
                        .pi = sqlite3_column_double(s, 5),
                        .cell = (uint32_t)sqlite3_column_int64(s, 6),
                        .gold = sqlite3_column_int(s, 7) != 0};
    if (q->cell >= study->cell_count || !(q->pi > 0))
        return ag_fail(err, AG_ERR_INPUT, "%s: damaged: query %zu has no cell", study->path, at + 1);
    AG_TRY(text(&q->id, study, s, 0, err));
    AG_TRY(text(&q->text, study, s, 1, err));
    AG_TRY(text(&q->stratum, study, s, 2, err));
    return read_types(q, study, (const char *)sqlite3_column_text(s, 3), err);
}

static ag_status read_judge(ag_sxs_study *study, size_t at, sqlite3_stmt *s, ag_error *err)
{
    study->judges[at].model = sqlite3_column_int(s, 1) != 0;
    return text(&study->judges[at].name, study, s, 0, err);
}

static ag_status read_answer(ag_sxs_study *study, size_t at, sqlite3_stmt *s, ag_error *err)
{
    ag_sxs_answer *a = &study->answers[at];
    *a = (ag_sxs_answer){.judge = (uint32_t)(sqlite3_column_int64(s, 1) - 1),
                         .query = (uint32_t)(sqlite3_column_int64(s, 2) - 1),
                         .kind = (ag_sxs_kind)sqlite3_column_int(s, 3),
                         .new_left = sqlite3_column_int(s, 4) != 0,
                         .skipped = sqlite3_column_int(s, 5) != 0,
                         .preference = sqlite3_column_int(s, 6),
                         .both = (ag_sxs_both)sqlite3_column_int(s, 7)};
    if (a->judge >= study->judge_count || a->query >= study->query_count)
        return ag_fail(err, AG_ERR_INPUT, "%s: damaged: an answer of nobody, or to no query", study->path);
    return text(&a->comment, study, s, 8, err);
}

/* Ratings of one answer, with how many of them were good and shown in each list. `rated`: the ratings of a task; `held`: items of the
 * query's lists with their ratings. */
static ag_status read_ratings(ag_sxs_study *study, ag_sxs_answer *a, sqlite3_int64 task, const ag_sxs_db *db,
                              ag_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    sqlite3_int64 n;
    AG_TRY(ag_sxs_db_int(db, &n, 0, err, "SELECT count(*) FROM rating WHERE task = ?", "i", task));
    ag_sxs_rating *list = ag_arena_alloc(&study->arena, (size_t)n + 1, sizeof *list);
    if (!list) return ag_fail_memory(err, "study");
    AG_TRY(ag_sxs_db_prepare(
        db, &s, err,
        "SELECT item.id, good, max(system = 0), max(system = 1) FROM rating JOIN task USING(task) "
        "JOIN list USING(query, item) JOIN item USING(item) WHERE task = ? GROUP BY item.item ORDER "
        "BY item.item",
        "i", task));
    ag_status status = AG_OK;
    while (status == AG_OK && (status = ag_sxs_db_step(db, s, &row, err)) == AG_OK && row &&
           a->rating_count < (int)n) {
        ag_sxs_rating *r = &list[a->rating_count++];
        status = text(&r->item, study, s, 0, err);
        r->good = sqlite3_column_int(s, 1) != 0;
        for (int system = 0; system < AG_SXS_SYSTEMS; system++) {
            int in = sqlite3_column_int(s, 2 + system) != 0;
            a->shown[system] += in;
            a->good[system] += in && r->good;
        }
    }
    sqlite3_finalize(s);
    a->ratings = list;
    return status;
}

static ag_status load(ag_sxs_study *study, ag_sxs_store *store, ag_error *err)
{
    const ag_sxs_db *db = &store->db;
    const ag_sxs_settings *set = &store->settings;
    sqlite3_int64 log_queries;
    study->path = ag_arena_strdup(&study->arena, store->path);
    for (int s = 0; s < AG_SXS_SYSTEMS; s++) study->names[s] = ag_arena_strdup(&study->arena, set->names[s]);
    if (!study->path || !study->names[0] || !study->names[1]) return ag_fail_memory(err, "study");
    AG_TRY(
        ag_sxs_db_int(db, &log_queries, 0, err, "SELECT value FROM setting WHERE key = 'log_queries'", ""));
    study->log_queries = (size_t)log_queries;
    study->k = set->k;
    study->good_at_least = set->good_at_least;
    study->judges_wanted = set->judges;
    study->gold_cutoff = set->gold_cutoff;
    study->gold_least = set->gold_least;
    study->seed = set->seed;
    study->precision = set->precision;
    study->sd = set->sd;
    AG_TRY(read_rows(study, db, "SELECT count(*) FROM cell",
                     "SELECT traffic, population, n, fraction FROM cell ORDER BY cell", &study->cells,
                     &study->cell_count, sizeof *study->cells, read_cell, err));
    AG_TRY(read_rows(study, db, "SELECT count(*) FROM same",
                     "SELECT type, traffic, total, queries FROM same ORDER BY same", &study->same,
                     &study->same_count, sizeof *study->same, read_same, err));
    if (study->same_count == 0 || study->same_count > 65)
        return ag_fail(err, AG_ERR_INPUT, "%s: damaged: it has no traffic", study->path);
    AG_TRY(read_rows(study, db, "SELECT count(*) FROM query",
                     "SELECT id, text, stratum, types, traffic, pi, cell, gold FROM query ORDER BY query",
                     &study->queries, &study->query_count, sizeof *study->queries, read_query, err));
    AG_TRY(read_rows(study, db, "SELECT count(*) FROM judge", "SELECT name, model FROM judge ORDER BY judge",
                     &study->judges, &study->judge_count, sizeof *study->judges, read_judge, err));
    return read_rows(
        study, db, "SELECT count(*) FROM answer",
        "SELECT task, judge, query, kind, new_left, skipped, preference, both, comment FROM answer JOIN "
        "task USING(task) ORDER BY task",
        &study->answers, &study->answer_count, sizeof *study->answers, read_answer, err);
}

static ag_status load_ratings(ag_sxs_study *study, const ag_sxs_db *db, ag_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    size_t at = 0;
    AG_TRY(ag_sxs_db_prepare(db, &s, err, "SELECT task FROM answer ORDER BY task", ""));
    ag_status status = AG_OK;
    while (status == AG_OK && at < study->answer_count &&
           (status = ag_sxs_db_step(db, s, &row, err)) == AG_OK && row) {
        ag_sxs_answer *a = &study->answers[at++];
        if (!a->skipped) status = read_ratings(study, a, sqlite3_column_int64(s, 0), db, err);
    }
    sqlite3_finalize(s);
    return status;
}

ag_status ag_sxs_store_load(ag_sxs_study *study, ag_sxs_store *store, ag_error *err)
{
    *study = (ag_sxs_study){.arena = {.name = "study"}};
    pthread_mutex_lock(&store->mutex);
    ag_status status = ag_sxs_db_script(&store->db, "BEGIN", err); /* one view of it all */
    if (status == AG_OK) {
        status = load(study, store, err);
        if (status == AG_OK) status = load_ratings(study, &store->db, err);
        status = ag_sxs_db_end(&store->db, status, err);
    }
    pthread_mutex_unlock(&store->mutex);
    return status;
}

/* --- the state of the work ------------------------------------------------------------------------------ */

static ag_status put_judges(json_t *list, const ag_sxs_db *db, ag_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    AG_TRY(ag_sxs_db_prepare(
        db, &s, err,
        "SELECT name, model, token, (SELECT count(*) FROM task JOIN answer USING(task) WHERE "
        "task.judge = judge.judge AND NOT skipped) FROM judge ORDER BY judge",
        ""));
    ag_status status = AG_OK;
    while (status == AG_OK && (status = ag_sxs_db_step(db, s, &row, err)) == AG_OK && row) {
        bool model = sqlite3_column_int(s, 1) != 0;
        json_t *one = json_pack("{s:s, s:s, s:I}", "judge", (const char *)sqlite3_column_text(s, 0), "kind",
                                model ? "model" : "person", "answered",
                                (json_int_t)sqlite3_column_int64(s, 3));
        bool good = one != NULL;
        if (good && !model)
            good = json_object_set_new(one, "token", json_string((const char *)sqlite3_column_text(s, 2))) ==
                   0;
        if (json_array_append_new(list, one) != 0 || !good) status = ag_fail_memory(err, "study");
    }
    sqlite3_finalize(s);
    return status;
}

ag_status ag_sxs_store_state(json_t **json, ag_sxs_store *store, ag_error *err)
{
    sqlite3_int64 queries = 0, answers = 0;
    const ag_sxs_db *db = &store->db;
    json_t *judges = json_array();
    *json = NULL;
    pthread_mutex_lock(&store->mutex);
    ag_status status = judges ? AG_OK : ag_fail_memory(err, "study");
    if (status == AG_OK)
        status = ag_sxs_db_int(db, &queries, 0, err, "SELECT count(*) FROM query WHERE NOT gold", "");
    if (status == AG_OK)
        status = ag_sxs_db_int(
            db, &answers, 0, err,
            "SELECT count(*) FROM answer JOIN task USING(task) JOIN judge USING(judge) WHERE kind = 0 "
            "AND NOT skipped AND NOT model",
            "");
    if (status == AG_OK) status = put_judges(judges, db, err);
    pthread_mutex_unlock(&store->mutex);
    if (status == AG_OK) {
        *json = json_pack("{s:I, s:I, s:I, s:O}", "queries", (json_int_t)queries, "answers_wanted",
                          (json_int_t)(queries * store->settings.judges), "answers", (json_int_t)answers,
                          "judges", judges);
        if (!*json) status = ag_fail_memory(err, "study");
    }
    json_decref(judges);
    return status;
}
