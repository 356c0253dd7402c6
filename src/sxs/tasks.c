/* tasks.c: who judges, what comes next for a judge, and what was answered; see store.h.
 *
 * What comes next, first that applies: the task that was shown and not answered; a check or a repeat that is due; of the queries that
 * lack judges, one with the fewest, in an order of the judge's own; the checks and repeats that are left. A judge's n-th check is due after
 * (n - u) / share queries, with u a number of the judge's own in [0, 1), and so for repeats, so that shares are kept exactly. Sides,
 * orders and u are functions of the study's seed, the judge and the query.
 */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/rng.h"
#include "sxs/store_parts.h"

enum { REPEAT_GAP = 5 }; /* tasks between a query and its repeat, while there are others */
enum { SIDES = 1, ORDER, CHECKS, REPEATS, WHICH }; /* streams; 0 is the design's */

static ag_rng stream(const ag_sxs_store *store, int what, int64_t judge, int64_t query)
{
    return ag_rng_at(store->settings.seed, AG_RNG_SXS, (uint64_t)what, (uint64_t)judge, (uint64_t)query, 0);
}

/* --- judges --------------------------------------------------------------------------------------------- */

static ag_status check_name(const char *name, ag_error *err)
{
    size_t len = strlen(name);
    bool good = len > 0 && ag_utf8_valid(name, len, NULL) && ag_utf8_count(name, len) <= AG_SXS_NAME_MOST &&
                name[0] != ' ' && name[len - 1] != ' ';
    for (size_t i = 0; i < len && good; i++) good = (unsigned char)name[i] >= ' ' && name[i] != 0x7f;
    if (good) return AG_OK;
    return ag_fail(err, AG_ERR_USAGE, "a judge's name has 1 to %d characters, without space at its ends",
                   AG_SXS_NAME_MOST);
}

static ag_status make_token(char token[AG_SXS_TOKEN], ag_error *err)
{
    unsigned char bytes[(AG_SXS_TOKEN - 1) / 2];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return ag_fail(err, AG_ERR_IO, "no random numbers for a judge's link: %s", strerror(errno));
    for (size_t i = 0; i < sizeof bytes; i++) {
        token[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        token[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    token[AG_SXS_TOKEN - 1] = '\0';
    return AG_OK;
}

static ag_status invite(ag_sxs_store *store, const char *name, bool model, char token[AG_SXS_TOKEN],
                        int64_t *judge, ag_error *err)
{
    const ag_sxs_db *db = &store->db;
    sqlite3_stmt *s = NULL;
    bool row;
    AG_TRY(ag_sxs_db_prepare(db, &s, err, "SELECT judge, token, model FROM judge WHERE name = ?", "s", name));
    ag_status status = ag_sxs_db_step(db, s, &row, err);
    if (status == AG_OK && row) {
        const char *old = (const char *)sqlite3_column_text(s, 1);
        *judge = sqlite3_column_int64(s, 0);
        strncpy(token, old ? old : "", AG_SXS_TOKEN - 1);
        token[AG_SXS_TOKEN - 1] = '\0';
        if ((sqlite3_column_int(s, 2) != 0) != model)
            status = ag_fail(err, AG_ERR_USAGE, "'%s' is the name of a %s in this study: choose another",
                             name, model ? "person" : "model");
    }
    sqlite3_finalize(s);
    if (status != AG_OK || row) return status;
    AG_TRY(make_token(token, err));
    AG_TRY(ag_sxs_db_run(db, err, "INSERT INTO judge(name, token, model) VALUES(?, ?, ?)", "ssi", name, token,
                         (sqlite3_int64)model));
    *judge = sqlite3_last_insert_rowid(db->handle);
    return AG_OK;
}

ag_status ag_sxs_store_invite(ag_sxs_store *store, const char *name, bool model, char token[AG_SXS_TOKEN],
                              int64_t *judge, ag_error *err)
{
    token[0] = '\0';
    *judge = 0;
    AG_TRY(check_name(name, err));
    pthread_mutex_lock(&store->mutex);
    ag_status status = ag_sxs_db_script(&store->db, "BEGIN IMMEDIATE", err);
    if (status == AG_OK)
        status = ag_sxs_db_end(&store->db, invite(store, name, model, token, judge, err), err);
    pthread_mutex_unlock(&store->mutex);
    return status;
}

ag_status ag_sxs_store_judge(ag_sxs_store *store, const char *token, int64_t *judge, ag_error *err)
{
    sqlite3_int64 found = 0;
    pthread_mutex_lock(&store->mutex);
    ag_status status = ag_sxs_db_int(&store->db, &found, 0, err,
                                     "SELECT judge FROM judge WHERE token = ? AND NOT model", "s", token);
    pthread_mutex_unlock(&store->mutex);
    *judge = found;
    return status;
}

/* --- what comes next ------------------------------------------------------------------------------------ */

/* A judge's tasks so far. */
typedef struct progress {
    sqlite3_int64 judge;
    bool model;
    sqlite3_int64 shown, answered, repeats, checks; /* main tasks, those answered, repeats, checks */
} progress;

typedef struct choice {
    sqlite3_int64 query; /* 0: none */
    ag_sxs_kind kind;
    bool new_left;
} choice;

static ag_status count_tasks(progress *p, const ag_sxs_db *db, ag_error *err)
{
    AG_TRY(ag_sxs_db_int(db, &p->shown, 0, err, "SELECT count(*) FROM task WHERE judge = ? AND kind = 0", "i",
                         p->judge));
    AG_TRY(ag_sxs_db_int(
        db, &p->answered, 0, err,
        "SELECT count(*) FROM task JOIN answer USING(task) WHERE judge = ? AND kind = 0 AND NOT "
        "skipped",
        "i", p->judge));
    AG_TRY(ag_sxs_db_int(db, &p->repeats, 0, err, "SELECT count(*) FROM task WHERE judge = ? AND kind = 1",
                         "i", p->judge));
    return ag_sxs_db_int(db, &p->checks, 0, err, "SELECT count(*) FROM task WHERE judge = ? AND kind = 2",
                         "i", p->judge);
}

static bool coin(const ag_sxs_store *store, sqlite3_int64 judge, sqlite3_int64 query)
{
    ag_rng rng = stream(store, SIDES, judge, query);
    return ag_rng_u32(&rng) & 1;
}

/* Is one more due, with `given` after n queries, at this share? */
static bool is_due(const ag_sxs_store *store, int what, sqlite3_int64 judge, double n, double share,
                   sqlite3_int64 given)
{
    ag_rng rng = stream(store, what, judge, 0);
    return floor(n * share + ag_rng_double(&rng)) > (double)given;
}

/* Of the rows (query) of a statement, the one that comes first in an order of the judge's own; 0: none. Rows with the smallest second
 * column go before others. */
static ag_status first_of(sqlite3_int64 *query, const ag_sxs_store *store, sqlite3_stmt *s, int what,
                          sqlite3_int64 judge, ag_error *err)
{
    uint64_t best = 0;
    sqlite3_int64 least = 0;
    bool row = true;
    *query = 0;
    while (true) {
        AG_TRY(ag_sxs_db_step(&store->db, s, &row, err));
        if (!row) return AG_OK;
        sqlite3_int64 q = sqlite3_column_int64(s, 0), rank = sqlite3_column_int64(s, 1);
        ag_rng rng = stream(store, what, judge, q);
        uint64_t place = ag_rng_u64(&rng);
        if (*query && (rank > least || (rank == least && place >= best))) continue;
        *query = q;
        least = rank;
        best = place;
    }
}

static ag_status choose_check(choice *c, const ag_sxs_store *store, const progress *p, ag_error *err)
{
    sqlite3_stmt *s = NULL;
    AG_TRY(ag_sxs_db_prepare(
        &store->db, &s, err,
        "SELECT query, 0 FROM query WHERE gold AND query NOT IN (SELECT query FROM task WHERE "
        "judge = ? AND kind = 2)",
        "i", p->judge));
    ag_status status = first_of(&c->query, store, s, ORDER, p->judge, err);
    sqlite3_finalize(s);
    c->kind = AG_SXS_GOLD;
    c->new_left = coin(store, p->judge, c->query);
    return status;
}

/* A query that the judge has answered and not yet met again; far enough back unless `any`. */
static ag_status choose_repeat(choice *c, const ag_sxs_store *store, const progress *p, bool any,
                               ag_error *err)
{
    sqlite3_stmt *s = NULL;
    sqlite3_int64 left;
    AG_TRY(ag_sxs_db_prepare(&store->db, &s, err,
                             "SELECT query, 0 FROM task AS t JOIN answer USING(task) WHERE judge = ?1 AND "
                             "kind = 0 AND NOT skipped "
                             "AND query NOT IN (SELECT query FROM task WHERE judge = ?1 AND kind = 1) AND "
                             "t.task <= (SELECT task FROM "
                             "task WHERE judge = ?1 ORDER BY task DESC LIMIT 1 OFFSET ?2)",
                             "ii", p->judge, (sqlite3_int64)(any ? 1 : REPEAT_GAP)));
    ag_status status = first_of(&c->query, store, s, WHICH, p->judge, err);
    sqlite3_finalize(s);
    if (status == AG_OK)
        status = ag_sxs_db_int(&store->db, &left, 0, err,
                               "SELECT new_left FROM task WHERE judge = ? AND query = ? AND kind = 0", "ii",
                               p->judge, c->query);
    c->kind = AG_SXS_REPEAT;
    if (status == AG_OK) c->new_left = !left;
    return status;
}

/* Queries that lack judges and that the judge (?1) has not met, with how many have them or are at it; ?2: judges wanted. Tasks that others
 * have open count, but do not keep a query from being judged when theirs is all that is left: they may never come back. */
#define LACKING                                                                                              \
    "SELECT q.query, count(t.task) FROM query AS q LEFT JOIN (SELECT task.task, task.query, answer.task AS " \
    "done FROM task LEFT JOIN answer USING(task) JOIN judge USING(judge) WHERE kind = 0 AND NOT model AND "  \
    "(skipped IS NULL OR NOT skipped) AND judge NOT IN (SELECT judge FROM failed)) AS t ON t.query = "       \
    "q.query WHERE NOT q.gold AND q.query NOT IN (SELECT query FROM task WHERE judge = ?1 AND kind = 0) "    \
    "GROUP BY q.query HAVING count(t.done) < ?2"

/* A model judges every query. */
static sqlite3_int64 judges_wanted(const ag_sxs_store *store, bool model)
{
    return model ? INT64_MAX : store->settings.judges;
}

static ag_status choose_main(choice *c, const ag_sxs_store *store, const progress *p, ag_error *err)
{
    sqlite3_stmt *s = NULL;
    AG_TRY(ag_sxs_db_prepare(&store->db, &s, err, LACKING, "ii", p->judge, judges_wanted(store, p->model)));
    ag_status status = first_of(&c->query, store, s, ORDER, p->judge, err);
    sqlite3_finalize(s);
    c->kind = AG_SXS_MAIN;
    c->new_left = coin(store, p->judge, c->query);
    return status;
}

static ag_status choose(choice *c, const ag_sxs_store *store, const progress *p, ag_error *err)
{
    const ag_sxs_settings *set = &store->settings;
    bool repeat = !p->model &&
                  is_due(store, REPEATS, p->judge, (double)p->answered, set->repeats, p->repeats);
    *c = (choice){0};
    if (is_due(store, CHECKS, p->judge, (double)p->shown, set->checks, p->checks))
        AG_TRY(choose_check(c, store, p, err));
    if (!c->query && repeat) AG_TRY(choose_repeat(c, store, p, false, err));
    if (!c->query) AG_TRY(choose_main(c, store, p, err));
    if (!c->query && p->shown > 0 && p->checks < set->gold_least) AG_TRY(choose_check(c, store, p, err));
    if (!c->query && repeat) AG_TRY(choose_repeat(c, store, p, true, err));
    return AG_OK;
}

/* The judge's open task, or a new one; 0: nothing left. */
static ag_status next_task(sqlite3_int64 *task, const ag_sxs_store *store, progress *p, ag_error *err)
{
    const ag_sxs_db *db = &store->db;
    choice c;
    AG_TRY(ag_sxs_db_int(
        db, task, 0, err,
        "SELECT task FROM task WHERE judge = ? AND task NOT IN (SELECT task FROM answer) ORDER BY "
        "task LIMIT 1",
        "i", p->judge));
    if (*task) return AG_OK;
    AG_TRY(count_tasks(p, db, err));
    AG_TRY(choose(&c, store, p, err));
    if (!c.query) return AG_OK;
    AG_TRY(ag_sxs_db_run(db, err, "INSERT INTO task(judge, query, kind, new_left) VALUES(?, ?, ?, ?)", "iiii",
                         p->judge, c.query, (sqlite3_int64)c.kind, (sqlite3_int64)c.new_left));
    *task = sqlite3_last_insert_rowid(db->handle);
    return AG_OK;
}

/* --- the task as JSON ----------------------------------------------------------------------------------- */

static ag_status put_side(json_t *json, const char *side, const ag_sxs_db *db, sqlite3_int64 query,
                          sqlite3_int64 system, ag_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = true;
    json_t *list = json_array();
    if (!ag_json_set(json, side, list)) return ag_fail_memory(err, "task");
    AG_TRY(ag_sxs_db_prepare(
        db, &s, err,
        "SELECT item, view FROM list JOIN item USING(item) WHERE query = ? AND system = ? ORDER "
        "BY rank",
        "ii", query, system));
    ag_status status = AG_OK;
    while (status == AG_OK && (status = ag_sxs_db_step(db, s, &row, err)) == AG_OK && row) {
        const char *view = (const char *)sqlite3_column_text(s, 1);
        json_t *item = NULL;
        status = ag_json_parse(&item, view ? view : "", view ? strlen(view) : 0, db->path, 1, err);
        bool good = status == AG_OK &&
                    json_object_set_new(item, "item", json_integer(sqlite3_column_int64(s, 0))) == 0;
        if (status == AG_OK && (!good || json_array_append(list, item) != 0))
            status = ag_fail_memory(err, "task");
        json_decref(item);
    }
    sqlite3_finalize(s);
    return status;
}

static ag_status put_task(json_t *json, const ag_sxs_store *store, sqlite3_int64 task, ag_error *err)
{
    const ag_sxs_db *db = &store->db;
    sqlite3_stmt *s = NULL;
    sqlite3_int64 query = 0, new_left = 0;
    bool row = false, good = false;
    AG_TRY(ag_sxs_db_prepare(db, &s, err,
                             "SELECT query, new_left, text FROM task JOIN query USING(query) WHERE task = ?",
                             "i", task));
    ag_status status = ag_sxs_db_step(db, s, &row, err);
    if (status == AG_OK && row) {
        query = sqlite3_column_int64(s, 0);
        new_left = sqlite3_column_int64(s, 1);
        good = ag_json_set(json, "task", json_integer(task)) &&
               ag_json_set(json, "query", json_string((const char *)sqlite3_column_text(s, 2))) &&
               ag_json_set(json, "k", json_integer(store->settings.k));
    }
    sqlite3_finalize(s);
    if (status == AG_OK && !good) status = ag_fail_memory(err, "task");
    if (status == AG_OK) status = put_side(json, "left", db, query, new_left ? AG_SXS_NEW : AG_SXS_OLD, err);
    if (status == AG_OK) status = put_side(json, "right", db, query, new_left ? AG_SXS_OLD : AG_SXS_NEW, err);
    return status;
}

/* The judge's name and progress; the same for every task. */
static ag_status put_judge(json_t **json, const ag_sxs_store *store, progress *p, ag_error *err)
{
    const ag_sxs_db *db = &store->db;
    sqlite3_stmt *s = NULL;
    bool row = false;
    AG_TRY(ag_sxs_db_prepare(
        db, &s, err,
        "SELECT name, model, (SELECT count(*) FROM task JOIN answer USING(task) WHERE judge = ?1 "
        "AND NOT skipped), (SELECT count(*) FROM task JOIN answer USING(task) WHERE judge = ?1 AND "
        "skipped) FROM judge WHERE judge = ?1",
        "i", p->judge));
    ag_status status = ag_sxs_db_step(db, s, &row, err);
    if (status == AG_OK && !row) status = ag_fail(err, AG_ERR_USAGE, "there is no such judge");
    if (status == AG_OK) {
        p->model = sqlite3_column_int(s, 1) != 0;
        *json = json_pack("{s:s, s:I, s:I}", "judge", (const char *)sqlite3_column_text(s, 0), "answered",
                          (json_int_t)sqlite3_column_int64(s, 2), "skipped",
                          (json_int_t)sqlite3_column_int64(s, 3));
        if (!*json) status = ag_fail_memory(err, "task");
    }
    sqlite3_finalize(s);
    return status;
}

static ag_status put_remaining(json_t *json, const ag_sxs_store *store, const progress *p, ag_error *err)
{
    sqlite3_int64 left = 0;
    AG_TRY(ag_sxs_db_int(&store->db, &left, 0, err, "SELECT count(*) FROM (" LACKING ")", "ii", p->judge,
                         judges_wanted(store, p->model)));
    return ag_json_set(json, "remaining", json_integer(left)) ? AG_OK : ag_fail_memory(err, "task");
}

static ag_status task_json(json_t **json, const ag_sxs_store *store, int64_t judge, ag_error *err)
{
    progress p = {.judge = judge};
    sqlite3_int64 task = 0;
    AG_TRY(put_judge(json, store, &p, err));
    AG_TRY(next_task(&task, store, &p, err));
    AG_TRY(put_remaining(*json, store, &p, err));
    return task ? put_task(*json, store, task, err) : AG_OK;
}

/* The task that the judge answered last; 0: none. Tasks are shown one after the other, so it is the one with the greatest number. */
static ag_status last_task(sqlite3_int64 *task, const ag_sxs_db *db, int64_t judge, ag_error *err)
{
    return ag_sxs_db_int(
        db, task, 0, err,
        "SELECT task FROM task JOIN answer USING(task) WHERE judge = ? ORDER BY task DESC LIMIT 1", "i",
        (sqlite3_int64)judge);
}

/* What was answered to a task, in the form in which it came. */
static ag_status put_stored(json_t *json, const ag_sxs_db *db, sqlite3_int64 task, ag_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    json_t *answer = NULL;
    AG_TRY(ag_sxs_db_prepare(
        db, &s, err, "SELECT skipped, preference, both, comment FROM answer WHERE task = ?", "i", task));
    ag_status status = ag_sxs_db_step(db, s, &row, err);
    if (status == AG_OK && row) {
        int both = sqlite3_column_int(s, 2);
        const char *comment = (const char *)sqlite3_column_text(s, 3);
        answer = json_pack("{s:b, s:i, s:s, s:s, s:o}", "skip", sqlite3_column_int(s, 0), "preference",
                           sqlite3_column_int(s, 1), "both",
                           ag_sxs_both_names[both < AG_SXS_BOTHS ? both : 0], "comment",
                           comment ? comment : "", "ratings", json_object());
    }
    sqlite3_finalize(s);
    if (status == AG_OK && !ag_json_set(json, "answer", answer)) status = ag_fail_memory(err, "task");
    AG_TRY(status);
    json_t *ratings = json_object_get(answer, "ratings");
    AG_TRY(ag_sxs_db_prepare(db, &s, err, "SELECT item, good FROM rating WHERE task = ?", "i", task));
    while (status == AG_OK && (status = ag_sxs_db_step(db, s, &row, err)) == AG_OK && row) {
        char key[32];
        snprintf(key, sizeof key, "%lld", (long long)sqlite3_column_int64(s, 0));
        if (json_object_set_new(ratings, key, json_boolean(sqlite3_column_int(s, 1))) != 0)
            status = ag_fail_memory(err, "task");
    }
    sqlite3_finalize(s);
    return status;
}

static ag_status last_json(json_t **json, const ag_sxs_store *store, int64_t judge, ag_error *err)
{
    progress p = {.judge = judge};
    sqlite3_int64 task = 0;
    AG_TRY(put_judge(json, store, &p, err));
    AG_TRY(put_remaining(*json, store, &p, err));
    AG_TRY(last_task(&task, &store->db, judge, err));
    if (!task) return AG_OK;
    AG_TRY(put_task(*json, store, task, err));
    return put_stored(*json, &store->db, task, err);
}

typedef ag_status (*json_maker)(json_t **json, const ag_sxs_store *store, int64_t judge, ag_error *err);

/* JSON made in a transaction of its own; none after a failure. */
static ag_status make_json(json_t **json, ag_sxs_store *store, int64_t judge, json_maker make, ag_error *err)
{
    *json = NULL;
    pthread_mutex_lock(&store->mutex);
    ag_status status = ag_sxs_db_script(&store->db, "BEGIN IMMEDIATE", err);
    if (status == AG_OK) status = ag_sxs_db_end(&store->db, make(json, store, judge, err), err);
    pthread_mutex_unlock(&store->mutex);
    if (status == AG_OK) return AG_OK;
    json_decref(*json);
    *json = NULL;
    return status;
}

ag_status ag_sxs_store_next(ag_sxs_store *store, int64_t judge, json_t **task, ag_error *err)
{
    return make_json(task, store, judge, task_json, err);
}

ag_status ag_sxs_store_last(ag_sxs_store *store, int64_t judge, json_t **task, ag_error *err)
{
    return make_json(task, store, judge, last_json, err);
}

ag_status ag_sxs_store_item(json_t **item, ag_sxs_store *store, int64_t number, ag_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    *item = NULL;
    pthread_mutex_lock(&store->mutex);
    ag_status status = ag_sxs_db_prepare(&store->db, &s, err, "SELECT whole FROM item WHERE item = ?", "i",
                                         (sqlite3_int64)number);
    if (status == AG_OK) status = ag_sxs_db_step(&store->db, s, &row, err);
    const char *text = status == AG_OK && row ? (const char *)sqlite3_column_text(s, 0) : NULL;
    if (text) status = ag_json_parse(item, text, strlen(text), store->path, 1, err);
    sqlite3_finalize(s);
    pthread_mutex_unlock(&store->mutex);
    return status;
}

/* --- answers -------------------------------------------------------------------------------------------- */

typedef struct answer {
    sqlite3_int64 task;
    bool skip;
    long preference;
    ag_sxs_both both;
    const char *comment;
    const json_t *ratings;
} answer;

static ag_status read_answer(answer *a, const json_t *json, ag_error *err)
{
    static const char where[] = "answer";
    const char *both = NULL;
    long task = 0, preference = LONG_MAX;
    *a = (answer){0};
    if (!json_is_object(json)) return ag_fail(err, AG_ERR_INPUT, "%s: must be an object", where);
    AG_TRY(ag_json_get_int(json, "task", 1, LONG_MAX, &task, where, err));
    AG_TRY(ag_json_get_bool(json, "skip", &a->skip, where, err));
    AG_TRY(ag_json_get_string(json, "comment", &a->comment, where, err));
    if (!task) return ag_fail(err, AG_ERR_INPUT, "%s: 'task' is missing", where);
    if (a->comment && ag_utf8_count(a->comment, strlen(a->comment)) > AG_SXS_TEXT_MOST)
        return ag_fail(err, AG_ERR_INPUT, "%s: 'comment' is longer than %d characters", where,
                       AG_SXS_TEXT_MOST);
    if (a->comment && !*a->comment) a->comment = NULL;
    a->task = task;
    if (a->skip) return AG_OK;
    AG_TRY(ag_json_get_int(json, "preference", -2, 2, &preference, where, err));
    AG_TRY(ag_json_get_string(json, "both", &both, where, err));
    if (preference == LONG_MAX) return ag_fail(err, AG_ERR_INPUT, "%s: 'preference' is missing", where);
    a->preference = preference;
    for (int b = 1; b < AG_SXS_BOTHS && both; b++)
        if (strcmp(both, ag_sxs_both_names[b]) == 0) a->both = (ag_sxs_both)b;
    if (both && !a->both) return ag_fail(err, AG_ERR_INPUT, "%s: 'both' must be \"good\" or \"bad\"", where);
    if ((a->preference == 0) != (a->both != AG_SXS_NEITHER))
        return ag_fail(err, AG_ERR_INPUT, "%s: 'both' goes with preference 0, and only with it", where);
    a->ratings = json_object_get(json, "ratings");
    if (!json_is_object(a->ratings))
        return ag_fail(err, AG_ERR_INPUT, "%s: 'ratings' must be an object", where);
    return AG_OK;
}

/* Ratings of the task's items, each once, none missing and none too many. */
static ag_status put_ratings(const ag_sxs_store *store, const answer *a, ag_error *err)
{
    const ag_sxs_db *db = &store->db;
    sqlite3_stmt *s = NULL;
    bool row = true;
    size_t count = 0;
    AG_TRY(ag_sxs_db_prepare(
        db, &s, err, "SELECT DISTINCT item FROM task JOIN list USING(query) WHERE task = ? ORDER BY item",
        "i", a->task));
    ag_status status = AG_OK;
    while (status == AG_OK && (status = ag_sxs_db_step(db, s, &row, err)) == AG_OK && row) {
        char key[32];
        snprintf(key, sizeof key, "%lld", (long long)sqlite3_column_int64(s, 0));
        const json_t *good = json_object_get(a->ratings, key);
        if (!json_is_boolean(good))
            status = ag_fail(err, AG_ERR_INPUT, "answer: ratings: item %s must be true or false", key);
        else
            status = ag_sxs_db_run(db, err, "INSERT INTO rating VALUES(?, ?, ?)", "iii", a->task,
                                   sqlite3_column_int64(s, 0), (sqlite3_int64)json_is_true(good));
        count++;
    }
    sqlite3_finalize(s);
    if (status == AG_OK && count != json_object_size(a->ratings))
        status = ag_fail(err, AG_ERR_INPUT, "answer: ratings: items that are not in the task");
    return status;
}

/* Is the stored answer the same one, sent again by a page that did not hear of us? */
static ag_status compare(const ag_sxs_store *store, const answer *a, ag_error *err)
{
    sqlite3_int64 same = 0;
    AG_TRY(ag_sxs_db_int(
        &store->db, &same, 0, err,
        "SELECT count(*) FROM answer WHERE task = ? AND skipped = ? AND preference = ? AND both = ?", "iiii",
        a->task, (sqlite3_int64)a->skip, (sqlite3_int64)a->preference, (sqlite3_int64)a->both));
    return same ? AG_OK
                : ag_fail(err, AG_ERR_USAGE,
                          "task %lld is answered, and is not the last one: it stays as it is",
                          (long long)a->task);
}

static ag_status put_answer(const ag_sxs_store *store, int64_t judge, const answer *a, ag_error *err)
{
    const ag_sxs_db *db = &store->db;
    sqlite3_int64 owner, done, last;
    AG_TRY(ag_sxs_db_int(db, &owner, 0, err, "SELECT judge FROM task WHERE task = ?", "i", a->task));
    if (owner == 0 || owner != judge)
        return ag_fail(err, AG_ERR_INPUT, "answer: task %lld is not this judge's", (long long)a->task);
    AG_TRY(ag_sxs_db_int(db, &done, 0, err, "SELECT task FROM answer WHERE task = ?", "i", a->task));
    AG_TRY(last_task(&last, db, judge, err));
    if (done && a->task != last) return compare(store, a, err);
    if (done) {
        AG_TRY(ag_sxs_db_run(db, err, "DELETE FROM rating WHERE task = ?", "i", a->task));
        AG_TRY(ag_sxs_db_run(db, err, "DELETE FROM answer WHERE task = ?", "i", a->task));
    }
    AG_TRY(ag_sxs_db_run(db, err, "INSERT INTO answer VALUES(?, ?, ?, ?, ?)", "iiiis", a->task,
                         (sqlite3_int64)a->skip, (sqlite3_int64)a->preference, (sqlite3_int64)a->both,
                         a->comment));
    return a->skip ? AG_OK : put_ratings(store, a, err);
}

ag_status ag_sxs_store_answer(ag_sxs_store *store, int64_t judge, const json_t *json, ag_error *err)
{
    answer a;
    AG_TRY(read_answer(&a, json, err));
    pthread_mutex_lock(&store->mutex);
    ag_status status = ag_sxs_db_script(&store->db, "BEGIN IMMEDIATE", err);
    if (status == AG_OK) status = ag_sxs_db_end(&store->db, put_answer(store, judge, &a, err), err);
    pthread_mutex_unlock(&store->mutex);
    return status;
}
