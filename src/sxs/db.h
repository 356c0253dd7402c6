/* db.h: SQLite with our error messages, for the file of a side-by-side study. Private to sxs/. */
#ifndef AG_SXS_DB_H
#define AG_SXS_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include "base/error.h"

typedef struct ag_sxs_db {
    sqlite3 *handle;
    const char *path; /* borrowed; for messages */
} ag_sxs_db;

/* AG_ERR_IO "<path>: cannot <what>: <SQLite's message>"; AG_ERR_MEMORY when it had none. */
ag_status ag_sxs_db_fail(const ag_sxs_db *db, const char *what, ag_error *err);
/* A statement with its parameters: `types` has a letter for each, i (sqlite3_int64), d (double), s (const char *, NULL is null; it
 * must live until the statement ends). Freed with sqlite3_finalize. */
ag_status ag_sxs_db_prepare(const ag_sxs_db *db, sqlite3_stmt **statement, ag_error *err, const char *sql,
                            const char *types, ...);
/* *row: there is one more. */
ag_status ag_sxs_db_step(const ag_sxs_db *db, sqlite3_stmt *statement, bool *row, ag_error *err);
/* Runs a statement that gives no rows. */
ag_status ag_sxs_db_run(const ag_sxs_db *db, ag_error *err, const char *sql, const char *types, ...);
/* The first column of its first row; `none` without a row. */
ag_status ag_sxs_db_int(const ag_sxs_db *db, sqlite3_int64 *value, sqlite3_int64 none, ag_error *err,
                        const char *sql, const char *types, ...);
/* Several statements without parameters. */
ag_status ag_sxs_db_script(const ag_sxs_db *db, const char *sql, ag_error *err);
/* Ends a transaction: commits after AG_OK, else rolls back. Returns the status, or that of the commit. */
ag_status ag_sxs_db_end(const ag_sxs_db *db, ag_status status, ag_error *err);

#endif
