/* cache.c: the file of a cache: opening, looking up, keeping, removing. cache_judge.c makes the keys. */
#include "eval/cache.h"

#include <pthread.h>
#include <sqlite3.h>
#include <string.h>
#include <time.h>
#include "base/file.h"
#include "base/rng.h"

enum {
    APPLICATION = 0x6167726c, /* "agrl" */
    VERSION = 1,
    BUSY_MILLISECONDS = 2000,
    RETRY_SECONDS = 60,
    EVICT_ROWS = 256, /* removed at a time */
    FOREIGN = -1      /* beside SQLite's codes: somebody else's database */
};

typedef enum query { GET, TOUCH, KEEP, CLOCK, EVICT, QUERIES } query;
static const char *const texts[QUERIES] = {
    "SELECT value FROM judgements WHERE key = ?1",
    "UPDATE judgements SET used = ?2 WHERE key = ?1",
    "INSERT OR REPLACE INTO judgements (key, used, value) VALUES (?1, ?2, ?3)",
    "SELECT coalesce(max(used), 0) + 1 FROM judgements",
    "DELETE FROM judgements WHERE key IN (SELECT key FROM judgements WHERE used < ?1 ORDER BY used LIMIT ?2)",
};

struct ag_cache {
    pthread_mutex_t lock;
    char *path;
    int64_t max_bytes;
    sqlite3 *db; /* NULL while it could not be opened */
    sqlite3_stmt *queries[QUERIES];
    double retry, retry_writing; /* when to try again; 0: there is no trouble */
    bool told;                   /* of the trouble */
    ag_error trouble;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- what SQLite says ------------------------------------------------------------------------------------------------ */

/* May the next minute be better? Else the file is not what it should be. */
static bool passes(int code)
{
    if (code == FOREIGN) return false;
    switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_PROTOCOL: return true;
    default: return false;
    }
}

/* A failed call of SQLite: AG_OK with trouble noted where the cache may be left out, else an error. */
static ag_status failed(ag_cache *c, int code, bool writing, ag_error *err)
{
    const char *text = c->db && sqlite3_errcode(c->db) != SQLITE_OK ? sqlite3_errmsg(c->db)
                       : code == FOREIGN ? "another program or another version wrote it"
                                         : sqlite3_errstr(code);
    if (code != FOREIGN && (code & 0xFF) == SQLITE_NOMEM) return ag_fail_memory(err, "cache");
    if (!passes(code))
        return ag_fail(err, AG_ERR_INPUT,
                       "%s: not a cache of judgements, or damaged (%s); remove it or name another", c->path,
                       text);
    ag_fail(&c->trouble, AG_ERR_IO, "%s: %s; %s", c->path, text,
            writing ? "new judgements are not kept for now" : "judging without the cache for now");
    *(writing ? &c->retry_writing : &c->retry) = now() + RETRY_SECONDS;
    return AG_OK;
}

static ag_status damaged(const ag_cache *c, ag_error *err)
{
    return ag_fail(err, AG_ERR_INPUT, "%s: a kept judgement is damaged; remove the file or name another",
                   c->path);
}

/* One number of a statement without parameters. */
static int number_of(sqlite3 *db, const char *sql, int64_t *value)
{
    sqlite3_stmt *s = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &s, NULL);
    if (code == SQLITE_OK && (code = sqlite3_step(s)) == SQLITE_ROW) {
        *value = sqlite3_column_int64(s, 0);
        code = SQLITE_OK;
    }
    int end = sqlite3_finalize(s);
    return code == SQLITE_OK ? end : code;
}

static int execute(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

/* Ends a transaction that failed; the code that is worth telling is the first one. */
static int roll_back(sqlite3 *db, int code)
{
    if (!sqlite3_get_autocommit(db)) execute(db, "ROLLBACK");
    return code;
}

/* --- opening ------------------------------------------------------------------------------------------------------- */

static void close_file(ag_cache *c)
{
    for (int q = 0; q < QUERIES; q++) {
        sqlite3_finalize(c->queries[q]);
        c->queries[q] = NULL;
    }
    sqlite3_close(c->db);
    c->db = NULL;
}

/* Whose file is it? *empty: nobody's yet. FOREIGN: of somebody else. Inside a transaction, for the file may be made right now. */
static int identify(sqlite3 *db, bool *empty)
{
    int64_t application = 0, version = 0, tables = 0;
    int code = number_of(db, "PRAGMA application_id", &application);
    if (code == SQLITE_OK) code = number_of(db, "PRAGMA user_version", &version);
    if (code == SQLITE_OK) code = number_of(db, "SELECT count(*) FROM sqlite_master", &tables);
    *empty = application == 0 && version == 0 && tables == 0;
    if (code == SQLITE_OK && !*empty && (application != APPLICATION || version != VERSION)) code = FOREIGN;
    return code;
}

/* Several processes may meet an empty file: the first one makes the table. */
static int make_tables(sqlite3 *db)
{
    bool empty;
    char stamp[96];
    int code = execute(db, "PRAGMA auto_vacuum = INCREMENTAL"); /* counts only before the first table */
    if (code == SQLITE_OK) code = execute(db, "BEGIN IMMEDIATE");
    if (code == SQLITE_OK) code = identify(db, &empty);
    if (code == SQLITE_OK && empty) {
        sqlite3_snprintf(sizeof stamp, stamp, "PRAGMA application_id = %d; PRAGMA user_version = %d",
                         APPLICATION, VERSION);
        code = execute(db,
                       "CREATE TABLE judgements (key BLOB PRIMARY KEY, used INTEGER NOT NULL, value BLOB NOT "
                       "NULL) WITHOUT ROWID; CREATE INDEX judgements_used ON judgements (used)");
        if (code == SQLITE_OK) code = execute(db, stamp);
    }
    if (code == SQLITE_OK) code = execute(db, "COMMIT");
    return roll_back(db, code);
}

/* The change to WAL needs the file alone, and SQLite does not wait for that by itself. */
static int use_log(sqlite3 *db)
{
    int code = SQLITE_BUSY;
    for (int waited = 0; code == SQLITE_BUSY && waited < BUSY_MILLISECONDS; waited += 20) {
        if (waited) sqlite3_sleep(20);
        code = execute(db, "PRAGMA journal_mode = WAL");
    }
    return code == SQLITE_OK ? execute(db, "PRAGMA synchronous = NORMAL") : code;
}

static ag_status open_file(ag_cache *c, ag_error *err)
{
    bool empty = false;
    int code = sqlite3_open_v2(c->path, &c->db,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK) code = sqlite3_busy_timeout(c->db, BUSY_MILLISECONDS);
    if (code == SQLITE_OK) code = execute(c->db, "BEGIN");
    if (code == SQLITE_OK) code = identify(c->db, &empty);
    if (code == SQLITE_OK) code = execute(c->db, "COMMIT");
    if (c->db) code = roll_back(c->db, code);
    if (code == SQLITE_OK && empty) code = make_tables(c->db);
    if (code == SQLITE_OK) code = use_log(c->db);
    for (int q = 0; q < QUERIES && code == SQLITE_OK; q++)
        code = sqlite3_prepare_v3(c->db, texts[q], -1, SQLITE_PREPARE_PERSISTENT, &c->queries[q], NULL);
    if (code == SQLITE_OK) return AG_OK;
    ag_status status = failed(c, code, false, err);
    close_file(c);
    return status;
}

/* Is the cache to be used now? Opens it again where that failed before. */
static ag_status ready(ag_cache *c, bool *yes, ag_error *err)
{
    *yes = false;
    if (c->retry > 0 && now() < c->retry) return AG_OK;
    c->retry = 0;
    if (!c->db) AG_TRY(open_file(c, err));
    *yes = c->db != NULL;
    return AG_OK;
}

ag_status ag_cache_open(ag_cache **cache, const char *path, int64_t max_bytes, ag_error *err)
{
    *cache = NULL;
    if (!*path || strcmp(path, "-") == 0)
        return ag_fail(err, AG_ERR_USAGE, "a cache must be a file, not '%s'", path);
    if (max_bytes < AG_CACHE_LEAST_BYTES)
        return ag_fail(err, AG_ERR_USAGE, "a cache of less than %d bytes holds nothing",
                       AG_CACHE_LEAST_BYTES);
    AG_TRY(ag_path_out_ready(path, err));
    ag_cache *c = ag_calloc(1, sizeof *c);
    ag_str name = {0};
    if (!c) return ag_fail_memory(err, "cache");
    ag_str_addf(&name, "%s%s", path[0] == ':' ? "./" : "",
                path); /* SQLite has names of its own that begin so */
    c->path = ag_str_take(&name);
    c->max_bytes = max_bytes;
    bool usable;
    ag_status status = c->path && pthread_mutex_init(&c->lock, NULL) == 0 ? AG_OK
                                                                          : ag_fail_memory(err, "cache");
    if (status != AG_OK) {
        ag_free(c->path);
        ag_free(c);
        return status;
    }
    status = ready(c, &usable, err);
    if (status != AG_OK) {
        ag_cache_close(c);
        return status;
    }
    *cache = c;
    return AG_OK;
}

void ag_cache_close(ag_cache *c)
{
    if (!c) return;
    close_file(c);
    pthread_mutex_destroy(&c->lock);
    ag_free(c->path);
    ag_free(c);
}

bool ag_cache_trouble(ag_cache *c, ag_error *what)
{
    pthread_mutex_lock(&c->lock);
    bool news = c->trouble.code != AG_OK && !c->told;
    if (news) *what = c->trouble;
    c->told = c->told || news;
    pthread_mutex_unlock(&c->lock);
    return news;
}

/* --- rows ---------------------------------------------------------------------------------------------------------- */

/* value: flags, 3 losses, the probabilities (all 8 bytes, little end first), the answer, and 8 bytes of a check over key and value. */
enum { HAS_ANSWER = 1, FINISHED = 2, WORDS = 4, WORD = 8 };

static void put_word(ag_str *s, uint64_t x)
{
    for (int i = 0; i < WORD; i++) ag_str_addc(s, (char)(x >> 8 * i & 0xFF));
}

static uint64_t get_word(const unsigned char *p)
{
    uint64_t x = 0;
    for (int i = 0; i < WORD; i++) x |= (uint64_t)p[i] << 8 * i;
    return x;
}

static uint64_t check_of(const ag_cache_key *key, const void *value, size_t n)
{
    return ag_hash64(value, n) ^ get_word(key->bytes);
}

static void write_value(ag_str *s, const ag_cache_key *key, int tiers, const ag_judgement *j)
{
    const int losses[] = {j->loss.description_tokens, j->loss.attributes, j->loss.title_tokens};
    ag_str_clear(s);
    put_word(s, (uint64_t)(j->answer ? HAS_ANSWER : 0) | (uint64_t)(j->finished ? FINISHED : 0));
    for (int i = 0; i < WORDS - 1; i++) put_word(s, (uint64_t)(int64_t)losses[i]);
    for (int t = 0; t < tiers; t++) {
        uint64_t bits;
        memcpy(&bits, &j->probability[t], sizeof bits);
        put_word(s, bits);
    }
    if (j->answer) ag_str_add(s, j->answer);
    if (!s->failed) put_word(s, check_of(key, s->data, s->len));
}

static ag_status read_value(const ag_cache *c, const ag_cache_key *key, int tiers, const unsigned char *p,
                            size_t n, ag_judgement *j, ag_error *err)
{
    size_t fixed = (size_t)(WORDS + tiers) * WORD, text = n - fixed - WORD;
    if (n < fixed + WORD || check_of(key, p, n - WORD) != get_word(p + n - WORD)) return damaged(c, err);
    uint64_t flags = get_word(p);
    j->finished = (flags & FINISHED) != 0;
    j->loss = (ag_prompt_loss){(int)get_word(p + WORD), (int)get_word(p + 2 * WORD),
                               (int)get_word(p + 3 * WORD)};
    for (int t = 0; t < tiers; t++) {
        uint64_t bits = get_word(p + (size_t)(WORDS + t) * WORD);
        memcpy(&j->probability[t], &bits, sizeof bits);
    }
    if (flags & HAS_ANSWER && !(j->answer = ag_strndup((const char *)p + fixed, text)))
        return ag_fail_memory(err, "answer");
    return AG_OK;
}

static int bind_key(sqlite3_stmt *s, const ag_cache_key *key)
{
    return sqlite3_bind_blob(s, 1, key->bytes, sizeof key->bytes, SQLITE_STATIC);
}

static ag_status get_one(ag_cache *c, const ag_cache_key *key, int tiers, ag_judgement *out, bool *hit,
                         ag_error *err)
{
    sqlite3_stmt *s = c->queries[GET];
    ag_status status = AG_OK;
    int code = bind_key(s, key);
    if (code == SQLITE_OK) code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        const void *value = sqlite3_column_blob(s, 0);
        status = value ? read_value(c, key, tiers, value, (size_t)sqlite3_column_bytes(s, 0), out, err)
                       : damaged(c, err);
        *hit = status == AG_OK;
    } else if (code != SQLITE_DONE)
        status = failed(c, code, false, err);
    sqlite3_reset(s);
    return status;
}

ag_status ag_cache_get(ag_cache *c, const ag_cache_key *keys, size_t n, int tiers, ag_judgement *out,
                       bool *hit, ag_error *err)
{
    bool usable;
    memset(out, 0, n * sizeof *out);
    memset(hit, 0, n * sizeof *hit);
    pthread_mutex_lock(&c->lock);
    ag_status status = ready(c, &usable, err);
    for (size_t i = 0; i < n && status == AG_OK && usable && c->retry <= 0; i++)
        status = get_one(c, &keys[i], tiers, &out[i], &hit[i], err);
    pthread_mutex_unlock(&c->lock);
    return status;
}

/* --- keeping ------------------------------------------------------------------------------------------------------- */

static int run_write(sqlite3_stmt *s)
{
    int code = sqlite3_step(s), end = sqlite3_reset(s);
    return code == SQLITE_DONE ? end : code;
}

/* Removes the least recently used rows, those used now last, until what is left fits; then gives the room back if the file itself is
 * too large. */
static int evict(ag_cache *c, int64_t clock)
{
    sqlite3_stmt *s = c->queries[EVICT];
    for (;;) {
        int64_t pages = 0, unused = 0, size = 0;
        int code = number_of(c->db, "PRAGMA page_count", &pages);
        if (code == SQLITE_OK) code = number_of(c->db, "PRAGMA freelist_count", &unused);
        if (code == SQLITE_OK) code = number_of(c->db, "PRAGMA page_size", &size);
        if (code != SQLITE_OK) return code;
        if ((pages - unused) * size <= c->max_bytes)
            return pages * size > c->max_bytes ? execute(c->db, "PRAGMA incremental_vacuum") : SQLITE_OK;
        sqlite3_bind_int64(s, 1, clock);
        sqlite3_bind_int(s, 2, EVICT_ROWS);
        code = run_write(s);
        if (code != SQLITE_OK || sqlite3_changes(c->db) == 0) return code;
    }
}

static int write_all(ag_cache *c, const ag_cache_key *keys, size_t n, int tiers, const ag_judgement *out,
                     const bool *hit, ag_str *value)
{
    int64_t clock = 0;
    int code = execute(c->db, "BEGIN IMMEDIATE");
    sqlite3_stmt *s = c->queries[CLOCK];
    if (code == SQLITE_OK) {
        code = sqlite3_step(s);
        if (code == SQLITE_ROW) clock = sqlite3_column_int64(s, 0), code = SQLITE_OK;
        sqlite3_reset(s);
    }
    for (size_t i = 0; i < n && code == SQLITE_OK; i++) {
        s = c->queries[hit[i] ? TOUCH : KEEP];
        code = bind_key(s, &keys[i]);
        if (code == SQLITE_OK) code = sqlite3_bind_int64(s, 2, clock);
        if (code == SQLITE_OK && !hit[i]) {
            write_value(value, &keys[i], tiers, &out[i]);
            code = value->failed ? SQLITE_NOMEM
                                 : sqlite3_bind_blob(s, 3, value->data, (int)value->len, SQLITE_STATIC);
        }
        if (code == SQLITE_OK) code = run_write(s);
    }
    if (code == SQLITE_OK) code = evict(c, clock);
    if (code == SQLITE_OK) code = execute(c->db, "COMMIT");
    return roll_back(c->db, code);
}

ag_status ag_cache_put(ag_cache *c, const ag_cache_key *keys, size_t n, int tiers, const ag_judgement *out,
                       const bool *hit, ag_error *err)
{
    bool usable;
    ag_str value = {0};
    pthread_mutex_lock(&c->lock);
    ag_status status = ready(c, &usable, err);
    usable = usable && (c->retry_writing <= 0 || now() >= c->retry_writing);
    if (status == AG_OK && usable) {
        int code = write_all(c, keys, n, tiers, out, hit, &value);
        c->retry_writing = 0;
        if (code != SQLITE_OK) status = failed(c, code, true, err);
    }
    pthread_mutex_unlock(&c->lock);
    ag_str_free(&value);
    return status;
}
