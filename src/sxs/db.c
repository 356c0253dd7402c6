/* db.c: the few calls of SQLite that a study needs; see db.h. */
#include "sxs/db.h"

#include <stdarg.h>

ag_status ag_sxs_db_fail(const ag_sxs_db *db, const char *what, ag_error *err)
{
    int code = db->handle ? sqlite3_errcode(db->handle) : SQLITE_NOMEM;
    if (code == SQLITE_NOMEM) return ag_fail_memory(err, "side-by-side study");
    if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT)
        return ag_fail(err, AG_ERR_INPUT, "%s: cannot %s: it is no study, or damaged (%s)", db->path, what,
                       sqlite3_errmsg(db->handle));
    return ag_fail(err, AG_ERR_IO, "%s: cannot %s: %s", db->path, what, sqlite3_errmsg(db->handle));
}

static ag_status prepare(const ag_sxs_db *db, sqlite3_stmt **statement, ag_error *err, const char *sql,
                         const char *types, va_list args)
{
    int code = sqlite3_prepare_v2(db->handle, sql, -1, statement, NULL);
    for (int i = 1; code == SQLITE_OK && *types; i++, types++) {
        if (*types == 'i')
            code = sqlite3_bind_int64(*statement, i, va_arg(args, sqlite3_int64));
        else if (*types == 'd')
            code = sqlite3_bind_double(*statement, i, va_arg(args, double));
        else
            code = sqlite3_bind_text(*statement, i, va_arg(args, const char *), -1, SQLITE_STATIC);
    }
    if (code == SQLITE_OK) return AG_OK;
    ag_status status = ag_sxs_db_fail(db, "use it", err);
    sqlite3_finalize(*statement);
    *statement = NULL;
    return status;
}

ag_status ag_sxs_db_prepare(const ag_sxs_db *db, sqlite3_stmt **statement, ag_error *err, const char *sql,
                            const char *types, ...)
{
    va_list args;
    *statement = NULL;
    va_start(args, types);
    ag_status status = prepare(db, statement, err, sql, types, args);
    va_end(args);
    return status;
}

ag_status ag_sxs_db_step(const ag_sxs_db *db, sqlite3_stmt *statement, bool *row, ag_error *err)
{
    int code = sqlite3_step(statement);
    *row = code == SQLITE_ROW;
    return *row || code == SQLITE_DONE ? AG_OK : ag_sxs_db_fail(db, "use it", err);
}

ag_status ag_sxs_db_run(const ag_sxs_db *db, ag_error *err, const char *sql, const char *types, ...)
{
    va_list args;
    bool row;
    sqlite3_stmt *statement = NULL;
    va_start(args, types);
    ag_status status = prepare(db, &statement, err, sql, types, args);
    va_end(args);
    if (status == AG_OK) status = ag_sxs_db_step(db, statement, &row, err);
    sqlite3_finalize(statement);
    return status;
}

ag_status ag_sxs_db_int(const ag_sxs_db *db, sqlite3_int64 *value, sqlite3_int64 none, ag_error *err,
                        const char *sql, const char *types, ...)
{
    va_list args;
    bool row = false;
    sqlite3_stmt *statement = NULL;
    *value = none;
    va_start(args, types);
    ag_status status = prepare(db, &statement, err, sql, types, args);
    va_end(args);
    if (status == AG_OK) status = ag_sxs_db_step(db, statement, &row, err);
    if (status == AG_OK && row) *value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return status;
}

ag_status ag_sxs_db_script(const ag_sxs_db *db, const char *sql, ag_error *err)
{
    if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) == SQLITE_OK) return AG_OK;
    return ag_sxs_db_fail(db, "use it", err);
}

ag_status ag_sxs_db_end(const ag_sxs_db *db, ag_status status, ag_error *err)
{
    if (status == AG_OK) status = ag_sxs_db_script(db, "COMMIT", err);
    if (status != AG_OK) sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    return status;
}
