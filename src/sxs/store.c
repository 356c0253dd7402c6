/* store.c: making a study's file, opening and reading it; see store.h. */
#include "sxs/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "sxs/store_parts.h"

/* A system is 0 old or 1 new; nothing else of the file names it but `setting`. A check's better list is the new one. `failed` are people
 * below the cut-off: their answers do not count towards a query's judges. */
const char ag_sxs_schema[] =
    "CREATE TABLE setting(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE cell(cell INTEGER PRIMARY KEY, traffic REAL, population INTEGER, n INTEGER, fraction REAL);"
    "CREATE TABLE same(same INTEGER PRIMARY KEY, type TEXT, traffic REAL, total REAL, queries INTEGER);"
    "CREATE TABLE query(query INTEGER PRIMARY KEY, id TEXT, text TEXT, stratum TEXT, types TEXT, traffic "
    "REAL, "
    "pi REAL, cell INTEGER, gold INTEGER);"
    "CREATE TABLE item(item INTEGER PRIMARY KEY, id TEXT, view TEXT, whole TEXT);"
    "CREATE TABLE list(query INTEGER, system INTEGER, rank INTEGER, item INTEGER, "
    "PRIMARY KEY(query, system, rank)) WITHOUT ROWID;"
    "CREATE TABLE judge(judge INTEGER PRIMARY KEY, name TEXT UNIQUE, token TEXT UNIQUE, model INTEGER);"
    "CREATE TABLE task(task INTEGER PRIMARY KEY, judge INTEGER, query INTEGER, kind INTEGER, new_left "
    "INTEGER, "
    "UNIQUE(judge, query, kind));"
    "CREATE TABLE answer(task INTEGER PRIMARY KEY, skipped INTEGER, preference INTEGER, both INTEGER, "
    "comment TEXT);"
    "CREATE TABLE rating(task INTEGER, item INTEGER, good INTEGER, PRIMARY KEY(task, item)) WITHOUT ROWID;"
    "CREATE VIEW failed AS SELECT task.judge AS judge FROM task JOIN answer USING(task) JOIN judge "
    "USING(judge) "
    "WHERE task.kind = 2 AND NOT skipped AND NOT model GROUP BY task.judge HAVING count(*) >= "
    "max(1, (SELECT value FROM setting WHERE key = 'gold_least')) AND "
    "sum(CASE WHEN new_left THEN -preference ELSE preference END > 0) < "
    "(SELECT value FROM setting WHERE key = 'gold_cutoff') * count(*);";

/* --- making --------------------------------------------------------------------------------------------- */

static ag_status put_setting(const ag_sxs_db *db, const char *key, double value, ag_error *err)
{
    return ag_sxs_db_run(db, err, "INSERT INTO setting VALUES(?, ?)", "sd", key, value);
}

static ag_status put_settings(const ag_sxs_db *db, const ag_sxs_settings *s, size_t log_queries,
                              ag_error *err)
{
    AG_TRY(ag_sxs_db_run(db, err, "INSERT INTO setting VALUES('old', ?), ('new', ?), ('seed', ?)", "ssi",
                         s->names[AG_SXS_OLD], s->names[AG_SXS_NEW], (sqlite3_int64)s->seed));
    AG_TRY(put_setting(db, "k", s->k, err));
    AG_TRY(put_setting(db, "good_at_least", s->good_at_least, err));
    AG_TRY(put_setting(db, "judges", s->judges, err));
    AG_TRY(put_setting(db, "repeats", s->repeats, err));
    AG_TRY(put_setting(db, "checks", s->checks, err));
    AG_TRY(put_setting(db, "gold_cutoff", s->gold_cutoff, err));
    AG_TRY(put_setting(db, "gold_least", s->gold_least, err));
    AG_TRY(put_setting(db, "precision", s->precision, err));
    AG_TRY(put_setting(db, "sd", s->sd, err));
    return put_setting(db, "log_queries", (double)log_queries, err);
}

static ag_status put_design(const ag_sxs_db *db, const ag_sxs_log *log, const ag_sxs_design *design,
                            ag_error *err)
{
    for (size_t c = 0; c <= design->strata; c++)
        AG_TRY(ag_sxs_db_run(db, err, "INSERT INTO cell VALUES(?, ?, ?, ?, ?)", "idiid", (sqlite3_int64)c,
                             design->cells[c].traffic, (sqlite3_int64)design->cells[c].population,
                             (sqlite3_int64)design->cells[c].n, design->cells[c].fraction));
    AG_TRY(ag_sxs_db_run(db, err, "INSERT INTO same VALUES(0, NULL, ?, ?, ?)", "ddi", design->traffic_same,
                         design->traffic, (sqlite3_int64)design->same));
    for (size_t t = 0; t < log->type_count; t++) {
        double same = 0, total = 0;
        sqlite3_int64 queries = 0;
        for (size_t i = 0; i < log->count; i++)
            for (int k = 0; k < log->queries[i].type_count; k++) {
                if (log->queries[i].types[k] != log->types[t]) continue;
                total += log->queries[i].traffic;
                if (!log->units[i].same) continue;
                same += log->queries[i].traffic;
                queries++;
            }
        AG_TRY(ag_sxs_db_run(db, err, "INSERT INTO same VALUES(?, ?, ?, ?, ?)", "isddi", (sqlite3_int64)t + 1,
                             log->types[t], same, total, queries));
    }
    return AG_OK;
}

static ag_status put_lists(const ag_sxs_db *db, const ag_sxs_log *log, sqlite3_int64 query,
                           const ag_sxs_list *lists, ag_error *err)
{
    for (int s = 0; s < AG_SXS_SYSTEMS; s++)
        for (int r = 0; r < lists[s].count; r++) {
            const char *id = lists[s].ids[r];
            int64_t item = ag_table_find(&log->shown, ag_table_key(id, strlen(id)));
            AG_TRY(ag_sxs_db_run(db, err, "INSERT INTO list VALUES(?, ?, ?, ?)", "iiii", query,
                                 (sqlite3_int64)s, (sqlite3_int64)r, (sqlite3_int64)item));
        }
    return AG_OK;
}

static ag_status put_query(const ag_sxs_db *db, const ag_sxs_log *log, const ag_sxs_design *design, size_t i,
                           sqlite3_int64 number, ag_error *err)
{
    const ag_sxs_log_query *q = &log->queries[i];
    json_t *types = json_array();
    ag_str text = {0};
    bool good = types != NULL;
    for (int t = 0; t < q->type_count && good; t++)
        good = json_array_append_new(types, json_string(q->types[t])) == 0;
    ag_status status = good ? ag_json_dump(&text, types, err) : ag_fail_memory(err, "queries");
    if (status == AG_OK)
        status = ag_sxs_db_run(db, err, "INSERT INTO query VALUES(?, ?, ?, ?, ?, ?, ?, ?, 0)", "issssddi",
                               number, q->id, q->text, q->stratum, ag_str_text(&text), q->traffic,
                               design->pi[i], (sqlite3_int64)design->cell[i]);
    if (status == AG_OK) status = put_lists(db, log, number, q->lists, err);
    json_decref(types);
    ag_str_free(&text);
    return status;
}

static ag_status put_all(const ag_sxs_db *db, const ag_sxs_log *log, const ag_sxs_design *design,
                         const bool *chosen, const ag_sxs_settings *settings, ag_error *err)
{
    sqlite3_int64 number = 0;
    AG_TRY(
        ag_sxs_db_script(db, "PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL; BEGIN IMMEDIATE;", err));
    AG_TRY(ag_sxs_db_script(db, ag_sxs_schema, err));
    AG_TRY(put_settings(db, settings, log->count, err));
    AG_TRY(put_design(db, log, design, err));
    for (size_t i = 0; i < log->wanted_count; i++)
        AG_TRY(ag_sxs_db_run(db, err, "INSERT INTO item VALUES(?, ?, ?, ?)", "isss", (sqlite3_int64)i,
                             log->wanted[i], log->views[i], log->items[i]));
    for (size_t i = 0; i < log->count; i++)
        if (chosen[i]) AG_TRY(put_query(db, log, design, i, ++number, err));
    for (size_t c = 0; c < log->check_count; c++) {
        AG_TRY(ag_sxs_db_run(db, err, "INSERT INTO query VALUES(?, NULL, ?, NULL, '[]', 0, 1, 0, 1)", "is",
                             ++number, log->checks[c].text));
        AG_TRY(put_lists(db, log, number, log->checks[c].lists, err));
    }
    AG_TRY(ag_sxs_db_script(db, "PRAGMA application_id=1634169720; PRAGMA user_version=1;", err));
    return ag_sxs_db_script(db, "COMMIT", err);
}
_Static_assert(AG_SXS_APPLICATION == 1634169720 && AG_SXS_FORMAT == 1, "as the pragmas say");

ag_status ag_sxs_store_create(const char *path, const ag_sxs_log *log, const ag_sxs_design *design,
                              const bool *chosen, const ag_sxs_settings *settings, ag_error *err)
{
    ag_str aside = {0};
    ag_sxs_db db = {.path = path};
    if (ag_path_exists(path))
        return ag_fail(err, AG_ERR_USAGE,
                       "%s is there already: a study is never overwritten, choose another name", path);
    ag_str_addf(&aside, "%s.new-%ld", path, (long)getpid());
    ag_status status = ag_str_ok(&aside, err);
    if (status == AG_OK) {
        unlink(aside.data); /* of a process that had our number and died */
        if (sqlite3_open_v2(aside.data, &db.handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
            SQLITE_OK)
            status = ag_sxs_db_fail(&db, "make it", err);
    }
    if (status == AG_OK) status = put_all(&db, log, design, chosen, settings, err);
    sqlite3_close(db.handle);
    /* link, unlike rename, does not replace what came to be there meanwhile */
    if (status == AG_OK && link(aside.data, path) != 0) status = ag_fail_errno(err, "cannot make", path);
    if (aside.data) {
        unlink(aside.data);
        ag_str_add(&aside, "-journal");
        unlink(ag_str_text(&aside));
    }
    char *folder = status == AG_OK ? ag_path_dir(path) : NULL;
    if (status == AG_OK) status = folder ? ag_dir_sync(folder, err) : ag_fail_memory(err, "path");
    ag_free(folder);
    ag_str_free(&aside);
    return status;
}

/* --- opening -------------------------------------------------------------------------------------------- */

static ag_status get_number(const ag_sxs_db *db, const char *key, double *value, ag_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    ag_status status = ag_sxs_db_prepare(db, &s, err, "SELECT value FROM setting WHERE key = ?", "s", key);
    if (status == AG_OK) status = ag_sxs_db_step(db, s, &row, err);
    if (status == AG_OK && !row)
        status = ag_fail(err, AG_ERR_INPUT, "%s: it has no setting '%s'", db->path, key);
    if (status == AG_OK) *value = sqlite3_column_double(s, 0);
    sqlite3_finalize(s);
    return status;
}

static ag_status get_name(ag_sxs_store *store, const char *key, const char **name, ag_error *err)
{
    sqlite3_stmt *s = NULL;
    bool row = false;
    ag_status status = ag_sxs_db_prepare(&store->db, &s, err, "SELECT value FROM setting WHERE key = ?", "s",
                                         key);
    if (status == AG_OK) status = ag_sxs_db_step(&store->db, s, &row, err);
    const char *text = row ? (const char *)sqlite3_column_text(s, 0) : NULL;
    if (status == AG_OK && !(*name = ag_arena_strdup(&store->texts, text ? text : key)))
        status = ag_fail_memory(err, "study");
    sqlite3_finalize(s);
    return status;
}

static ag_status get_settings(ag_sxs_store *store, ag_error *err)
{
    ag_sxs_settings *s = &store->settings;
    const ag_sxs_db *db = &store->db;
    sqlite3_int64 seed;
    double k = 0, good = 0, judges = 0, least = 0;
    AG_TRY(get_name(store, "old", &s->names[AG_SXS_OLD], err));
    AG_TRY(get_name(store, "new", &s->names[AG_SXS_NEW], err));
    AG_TRY(ag_sxs_db_int(db, &seed, 0, err, "SELECT value FROM setting WHERE key = 'seed'", ""));
    AG_TRY(get_number(db, "k", &k, err));
    AG_TRY(get_number(db, "good_at_least", &good, err));
    AG_TRY(get_number(db, "judges", &judges, err));
    AG_TRY(get_number(db, "repeats", &s->repeats, err));
    AG_TRY(get_number(db, "checks", &s->checks, err));
    AG_TRY(get_number(db, "gold_cutoff", &s->gold_cutoff, err));
    AG_TRY(get_number(db, "gold_least", &least, err));
    AG_TRY(get_number(db, "precision", &s->precision, err));
    AG_TRY(get_number(db, "sd", &s->sd, err));
    s->k = (int)k;
    s->good_at_least = (int)good;
    s->judges = (int)judges;
    s->gold_least = (int)least;
    s->seed = (uint64_t)seed;
    return AG_OK;
}

static ag_status check_file(const ag_sxs_db *db, ag_error *err)
{
    sqlite3_int64 application, format;
    AG_TRY(ag_sxs_db_int(db, &application, 0, err, "PRAGMA application_id", ""));
    AG_TRY(ag_sxs_db_int(db, &format, 0, err, "PRAGMA user_version", ""));
    if (application != AG_SXS_APPLICATION)
        return ag_fail(err, AG_ERR_INPUT, "%s: no study; 'agrl sxs create' makes one", db->path);
    if (format != AG_SXS_FORMAT)
        return ag_fail(err, AG_ERR_INPUT, "%s: a study of format %lld, this program knows %d", db->path,
                       (long long)format, AG_SXS_FORMAT);
    return AG_OK;
}

ag_status ag_sxs_store_open(ag_sxs_store **out, const char *path, ag_error *err)
{
    *out = NULL;
    if (!ag_path_exists(path))
        return ag_fail(err, AG_ERR_IO, "%s: no such study; 'agrl sxs create' makes one", path);
    ag_sxs_store *store = ag_calloc(1, sizeof *store);
    if (!store || !(store->path = ag_strdup(path)) || pthread_mutex_init(&store->mutex, NULL) != 0) {
        if (store) ag_free(store->path);
        ag_free(store);
        return ag_fail_memory(err, "study");
    }
    store->texts.name = "study";
    store->db.path = store->path;
    ag_status status = AG_OK;
    if (sqlite3_open_v2(path, &store->db.handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL) !=
        SQLITE_OK)
        status = ag_sxs_db_fail(&store->db, "open it", err);
    if (status == AG_OK) sqlite3_busy_timeout(store->db.handle, 10000);
    if (status == AG_OK) status = check_file(&store->db, err);
    if (status == AG_OK)
        status = ag_sxs_db_script(&store->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;", err);
    if (status == AG_OK) status = get_settings(store, err);
    if (status == AG_OK)
        *out = store;
    else
        ag_sxs_store_close(store);
    return status;
}

void ag_sxs_store_close(ag_sxs_store *store)
{
    if (!store) return;
    sqlite3_close(store->db.handle);
    pthread_mutex_destroy(&store->mutex);
    ag_arena_free(&store->texts);
    ag_free(store->path);
    ag_free(store);
}
