/* test_cache.c: the cache of judgements: what is found and what is not, several processes and threads at once, kills, full disks, and
 * files that are none.
 */
#include "unit/eval/eval_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "eval/cache.h"

static char folder[] = "/tmp/agrl-cache-XXXXXX";
enum { TIERS = 4, BIG = 1 << 26 };

static char *path_of(const char *name)
{
    char *path = ag_path_join(folder, name);
    assert_non_null(path);
    return path;
}

static ag_cache *open_cache(const char *path, int64_t bytes)
{
    ag_error err = {0};
    ag_cache *c;
    if (ag_cache_open(&c, path, bytes, &err)) fail_msg("%s", err.message);
    return c;
}

static ag_cache_key key_of(uint64_t i)
{
    ag_cache_key k;
    for (int w = 0; w < 4; w++) {
        uint64_t x = ag_hash64(&(uint64_t){4 * i + (uint64_t)w}, 8);
        memcpy(k.bytes + 8 * w, &x, 8);
    }
    return k;
}

/* A judgement that is a function of its number. */
static ag_judgement judgement_of(uint64_t i, char text[64])
{
    ag_judgement j = {.finished = i % 3 == 0, .loss = {(int)i, (int)(i % 5), -1}};
    for (int t = 0; t < TIERS; t++) j.probability[t] = 1.0 / (double)(i + 3 + (uint64_t)t);
    snprintf(text, 64, "2\ncat=SAME\nrule=R%llu\xC3\xA9", (unsigned long long)i);
    j.answer = i % 2 ? text : NULL;
    return j;
}

static void put(ag_cache *c, uint64_t i)
{
    ag_error err = {0};
    char text[64];
    ag_cache_key k = key_of(i);
    ag_judgement j = judgement_of(i, text);
    const bool hit = false;
    if (ag_cache_put(c, &k, 1, TIERS, &j, &hit, &err)) fail_msg("%s", err.message);
}

/* Is number i there? Then it must be what was put. */
static bool there(ag_cache *c, uint64_t i)
{
    ag_error err = {0};
    char text[64];
    ag_cache_key k = key_of(i);
    ag_judgement want = judgement_of(i, text), got;
    bool hit;
    if (ag_cache_get(c, &k, 1, TIERS, &got, &hit, &err)) fail_msg("%s", err.message);
    if (!hit) return false;
    assert_memory_equal(got.probability, want.probability, sizeof got.probability);
    assert_int_equal(got.finished, want.finished);
    assert_memory_equal(&got.loss, &want.loss, sizeof got.loss);
    if (want.answer)
        assert_string_equal(got.answer, want.answer);
    else
        assert_null(got.answer);
    ag_free(got.answer);
    return true;
}

static void touch(ag_cache *c, uint64_t i)
{
    ag_error err = {0};
    ag_cache_key k = key_of(i);
    ag_judgement none = {0};
    const bool hit = true;
    assert_int_equal(ag_cache_put(c, &k, 1, TIERS, &none, &hit, &err), AG_OK);
}

static void no_trouble(ag_cache *c)
{
    ag_error what;
    if (ag_cache_trouble(c, &what)) fail_msg("%s", what.message);
}

static int64_t size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

static void test_round_trip(void **state)
{
    (void)state;
    char *path = path_of("a.db");
    ag_cache *c = open_cache(path, BIG);
    for (uint64_t i = 0; i < 300; i++) {
        assert_false(there(c, i));
        put(c, i);
        assert_true(there(c, i));
    }
    ag_cache_close(c);
    c = open_cache(path, BIG);
    for (uint64_t i = 0; i < 300; i++) assert_true(there(c, i));
    assert_false(there(c, 300));
    no_trouble(c);
    ag_cache_close(c);
    ag_free(path);
}

/* Old rows go, used ones stay, the file stays within its bound, also when the bound shrinks. */
static void test_bound(void **state)
{
    (void)state;
    enum { BOUND = 1 << 19, MANY = 12000 };
    char *path = path_of("bound.db");
    ag_cache *c = open_cache(path, BOUND);
    for (uint64_t i = 0; i < MANY; i += 60) {
        ag_error err = {0};
        ag_cache_key keys[60];
        ag_judgement out[60];
        char text[60][64];
        bool hit[60] = {0};
        for (uint64_t k = 0; k < 60; k++) {
            keys[k] = key_of(i + k);
            out[k] = judgement_of(i + k, text[k]);
        }
        if (ag_cache_put(c, keys, 60, TIERS, out, hit, &err)) fail_msg("%s", err.message);
        touch(c, 7);
    }
    size_t kept = 0;
    for (uint64_t i = 0; i < MANY; i++) kept += there(c, i);
    assert_true(kept > 1000 && kept < MANY / 2);
    assert_true(there(c, 7));
    assert_false(there(c, 8));
    assert_true(there(c, MANY - 1));
    for (uint64_t i = MANY - 500; i < MANY; i++) assert_true(there(c, i));
    no_trouble(c);
    ag_cache_close(c);
    assert_true(size_of(path) <= BOUND);
    assert_true(size_of(path) > BOUND / 2);
    c = open_cache(path, AG_CACHE_LEAST_BYTES);
    put(c, MANY);
    assert_true(there(c, MANY));
    assert_true(there(c, 7));
    ag_cache_close(c);
    assert_true(size_of(path) <= AG_CACHE_LEAST_BYTES);
    ag_free(path);
}

/* --- several at once ------------------------------------------------------------------------------------------------ */

/* Children open the file for themselves; all begin on a file that is not there, and some meet it half made. */
static void meet(const char *path)
{
    enum { CHILDREN = 4, EACH = 30 };
    pid_t pids[CHILDREN];
    for (int child = 0; child < CHILDREN; child++) {
        pids[child] = fork();
        assert_true(pids[child] >= 0);
        if (pids[child] > 0) continue;
        ag_error err = {0};
        ag_cache *c;
        int code = ag_cache_open(&c, path, BIG, &err) == AG_OK ? 0 : 1;
        for (uint64_t i = 0; code == 0 && i < EACH; i++) {
            /* A third of the numbers are everybody's. */
            uint64_t number = i % 3 == 0 ? i : (uint64_t)child * 1000 + i;
            char text[64];
            ag_cache_key k = key_of(number);
            ag_judgement j = judgement_of(number, text);
            const bool hit = false;
            if (ag_cache_put(c, &k, 1, TIERS, &j, &hit, &err) != AG_OK) code = 2;
        }
        if (code == 0 && ag_cache_trouble(c, &err)) code = 3;
        if (code == 0) ag_cache_close(c);
        if (code) print_error("child %d: %s\n", child, err.message);
        _exit(code);
    }
    for (int child = 0; child < CHILDREN; child++) {
        int status;
        assert_int_equal(waitpid(pids[child], &status, 0), pids[child]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    ag_cache *c = open_cache(path, BIG);
    for (int child = 0; child < CHILDREN; child++)
        for (uint64_t i = 0; i < EACH; i++)
            assert_true(there(c, i % 3 == 0 ? i : (uint64_t)child * 1000 + i));
    ag_cache_close(c);
}

static void test_processes(void **state)
{
    (void)state;
    for (int round = 0; round < 25; round++) {
        char name[32];
        snprintf(name, sizeof name, "shared%d.db", round);
        char *path = path_of(name);
        meet(path);
        ag_free(path);
    }
}

typedef struct worker {
    ag_cache *cache;
    uint64_t first;
    int failed;
} worker;

static void *work(void *user)
{
    worker *w = user;
    for (uint64_t i = 0; i < 100; i++) {
        ag_error err;
        char text[64];
        ag_cache_key k = key_of(w->first + i);
        ag_judgement j = judgement_of(w->first + i, text), got;
        bool hit = false;
        if (ag_cache_put(w->cache, &k, 1, TIERS, &j, &hit, &err)) w->failed++;
        if (ag_cache_get(w->cache, &k, 1, TIERS, &got, &hit, &err) || !hit) w->failed++;
        ag_free(got.answer);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    char *path = path_of("threads.db");
    ag_cache *c = open_cache(path, BIG);
    pthread_t threads[THREADS];
    worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){c, (uint64_t)i * 50, 0}; /* they meet in half of theirs */
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].failed, 0);
    }
    for (uint64_t i = 0; i < 250; i++) assert_true(there(c, i));
    no_trouble(c);
    ag_cache_close(c);
    ag_free(path);
}

/* A child that tells each number when it is kept is killed at some point: all that it told are there, and the file is whole. */
static void test_kills(void **state)
{
    (void)state;
    char *path = path_of("killed.db");
    uint64_t next = 0;
    for (int round = 0; round < 12; round++) {
        int pipes[2];
        assert_int_equal(pipe(pipes), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            ag_cache *c = open_cache(path, BIG);
            for (uint64_t i = next;; i++) {
                put(c, i);
                if (write(pipes[1], &i, sizeof i) != sizeof i) _exit(1);
            }
        }
        close(pipes[1]);
        uint64_t told = 0;
        for (int i = 0; i < 5 + 7 * round; i++)
            if (read(pipes[0], &told, sizeof told) != sizeof told) break;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        while (read(pipes[0], &told, sizeof told) == sizeof told) {}
        close(pipes[0]);
        ag_cache *c = open_cache(path, BIG);
        for (uint64_t i = 0; i <= told; i++) assert_true(there(c, i));
        no_trouble(c);
        ag_cache_close(c);
        next = told + 1;
    }
    assert_true(next > 12);
    ag_free(path);
}

/* --- trouble --------------------------------------------------------------------------------------------------------- */

static sqlite3 *open_raw(const char *path)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

static void test_locked(void **state)
{
    (void)state;
    char *path = path_of("locked.db");
    ag_error what = {0};
    ag_cache *c = open_cache(path, BIG);
    put(c, 1);
    sqlite3 *db = open_raw(path);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    put(c, 2); /* not kept, and no failure */
    assert_true(ag_cache_trouble(c, &what));
    assert_non_null(strstr(what.message, "locked"));
    assert_false(ag_cache_trouble(c, &what));
    assert_true(there(c, 1)); /* who only reads is not in the way */
    assert_false(there(c, 2));
    put(c, 3); /* at once: no second wait */
    assert_false(there(c, 3));
    assert_false(ag_cache_trouble(c, &what));
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_close(db);
    ag_cache_close(c);
    ag_free(path);
}

/* In a child: no file may grow past a bound, as on a full disk. */
static void test_full_disk(void **state)
{
    (void)state;
    static const rlim_t bounds[] = {0, 3000, 20000, 60000, 200000};
    for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++) {
        char name[32];
        snprintf(name, sizeof name, "full%zu.db", b);
        char *path = path_of(name);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            ag_error err = {0};
            ag_cache *c;
            int code = 0;
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &(struct rlimit){bounds[b], bounds[b]});
            if (ag_cache_open(&c, path, BIG, &err) != AG_OK) _exit(1);
            for (uint64_t i = 0; code == 0 && i < 600; i++) {
                char text[64];
                ag_cache_key k = key_of(i);
                ag_judgement j = judgement_of(i, text), got;
                bool hit = false;
                if (ag_cache_put(c, &k, 1, TIERS, &j, &hit, &err) != AG_OK) code = 2;
                if (code == 0 && ag_cache_get(c, &k, 1, TIERS, &got, &hit, &err) != AG_OK) code = 3;
                if (code == 0 && hit && memcmp(got.probability, j.probability, sizeof j.probability) != 0)
                    code = 4;
                if (hit) ag_free(got.answer);
            }
            if (code == 0 && !ag_cache_trouble(c, &err)) code = 5;
            _exit(code);
        }
        int status;
        waitpid(pid, &status, 0);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        ag_cache *c = open_cache(path, BIG); /* the disk has room again */
        for (uint64_t i = 0; i < 600; i++) there(c, i);
        put(c, 1000);
        assert_true(there(c, 1000));
        no_trouble(c);
        ag_cache_close(c);
        ag_free(path);
    }
}

static void refused(const char *path, ag_status code, const char *says)
{
    ag_error err = {0};
    ag_cache *c;
    assert_int_equal(ag_cache_open(&c, path, BIG, &err), code);
    assert_null(c);
    if (!strstr(err.message, says)) fail_msg("'%s' does not say '%s'", err.message, says);
}

static void test_foreign(void **state)
{
    (void)state;
    ag_error err = {0};
    ag_cache *c;
    char *path = path_of("text.db"), *data;
    size_t len;
    assert_int_equal(ag_file_write(folder, "text.db", "{\"query\": \"boots\"}\n", 19, &err), AG_OK);
    refused(path, AG_ERR_INPUT, "text.db");
    assert_int_equal(ag_file_read(path, 0, &data, &len, &err), AG_OK);
    assert_int_equal(len, 19);
    ag_free(data);
    ag_free(path);

    path = path_of("other.db");
    sqlite3 *db = open_raw(path);
    sqlite3_exec(db, "CREATE TABLE judgements (key, used, value); INSERT INTO judgements VALUES (1, 2, 3)",
                 NULL, NULL, NULL);
    sqlite3_close(db);
    int64_t size = size_of(path);
    refused(path, AG_ERR_INPUT, "another program");
    assert_int_equal(size_of(path), size);
    ag_free(path);

    path = path_of("later.db");
    ag_cache_close(open_cache(path, BIG));
    db = open_raw(path);
    sqlite3_exec(db, "PRAGMA user_version = 2", NULL, NULL, NULL);
    sqlite3_close(db);
    refused(path, AG_ERR_INPUT, "another version");
    ag_free(path);

    path = path_of("empty.db"); /* as mktemp makes them: free to use */
    close(open(path, O_CREAT | O_WRONLY, 0600));
    ag_cache_close(open_cache(path, BIG));
    ag_free(path);
    path = path_of("nowhere/a.db");
    refused(path, AG_ERR_IO, "no folder");
    ag_free(path);
    refused(folder, AG_ERR_IO, folder);
    refused("", AG_ERR_USAGE, "must be a file");
    refused("-", AG_ERR_USAGE, "must be a file");
    assert_int_equal(ag_cache_open(&c, "x", AG_CACHE_LEAST_BYTES - 1, &err), AG_ERR_USAGE);
}

/* One byte of a kept judgement turns: found by its check. Pages that are no pages: found by SQLite. Never a wrong judgement. */
static void test_damage(void **state)
{
    (void)state;
    static const char *const changes[] = {
        "UPDATE judgements SET value = substr(value, 1, 40) || x'55' || substr(value, 42)",
        "UPDATE judgements SET value = substr(value, 1, 30)", "UPDATE judgements SET value = x''",
        "UPDATE judgements SET value = 'text'",
        "UPDATE judgements SET key = x'0123456789012345678901234567890123456789012345678901234567890123'"};
    char *path = path_of("damaged.db");
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        ag_error err = {0};
        ag_cache *c = open_cache(path, BIG);
        put(c, 5);
        ag_cache_close(c);
        sqlite3 *db = open_raw(path);
        assert_int_equal(sqlite3_exec(db, changes[i], NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        c = open_cache(path, BIG);
        ag_cache_key k = key_of(5);
        if (i == 4)
            memcpy(k.bytes,
                   "\x01\x23\x45\x67\x89\x01\x23\x45\x67\x89\x01\x23\x45\x67\x89\x01\x23\x45\x67\x89\x01\x23"
                   "\x45\x67\x89\x01\x23\x45\x67\x89\x01\x23",
                   32);
        ag_judgement got;
        bool hit = true;
        assert_int_equal(ag_cache_get(c, &k, 1, TIERS, &got, &hit, &err), AG_ERR_INPUT);
        assert_false(hit);
        assert_non_null(strstr(err.message, "damaged"));
        ag_cache_close(c);
        unlink(path);
    }
    ag_free(path);
    path = path_of("pages.db");
    ag_cache *c = open_cache(path, BIG);
    for (uint64_t i = 0; i < 400; i++) put(c, i);
    ag_cache_close(c);
    int64_t size = size_of(path);
    for (int round = 0; round < 40; round++) {
        char *copy = path_of("copy.db"), *data;
        size_t len;
        ag_error err = {0};
        assert_int_equal(ag_file_read(path, 0, &data, &len, &err), AG_OK);
        ag_rng r = ag_rng_at(3, AG_RNG_TEST, (uint64_t)round, 0, 0, 0);
        for (int k = 0; k < 30; k++)
            data[ag_rng_below(&r, (uint32_t)size)] ^= (char)(1 + ag_rng_below(&r, 255));
        if (round % 4 == 0) len = 1 + ag_rng_below(&r, (uint32_t)size);
        assert_int_equal(ag_file_write(folder, "copy.db", data, len, &err), AG_OK);
        ag_free(data);
        if (ag_cache_open(&c, copy, BIG, &err) == AG_OK) {
            for (uint64_t i = 0; i < 400; i++) {
                char text[64];
                ag_cache_key key = key_of(i);
                ag_judgement want = judgement_of(i, text), got;
                bool hit;
                ag_status status = ag_cache_get(c, &key, 1, TIERS, &got, &hit, &err);
                if (status == AG_OK && hit)
                    assert_memory_equal(got.probability, want.probability, sizeof got.probability);
                if (status != AG_OK) assert_int_equal(status, AG_ERR_INPUT);
                ag_free(got.answer);
            }
            ag_cache_close(c);
        } else
            assert_int_equal(err.code, AG_ERR_INPUT);
        unlink(copy);
        ag_free(copy);
    }
    ag_free(path);
}

static void test_memory(void **state)
{
    (void)state;
    char *path = path_of("memory.db");
    ag_cache_close(open_cache(path, BIG));
    for (long n = 1; n < 200; n++) {
        ag_error err = {0};
        ag_cache *c = NULL;
        char text[64];
        ag_cache_key k = key_of(1);
        ag_judgement j = judgement_of(1, text), got = {0};
        bool hit = false;
        ag_mem_fail_at(n, true);
        ag_status status = ag_cache_open(&c, path, BIG, &err);
        if (status == AG_OK) status = ag_cache_put(c, &k, 1, TIERS, &j, &hit, &err);
        if (status == AG_OK) status = ag_cache_get(c, &k, 1, TIERS, &got, &hit, &err);
        ag_mem_fail_at(0, false);
        ag_free(got.answer);
        ag_cache_close(c);
        if (status == AG_OK) {
            ag_free(path);
            return;
        }
        assert_int_equal(status, AG_ERR_MEMORY);
    }
    fail();
}

/* --- keys ------------------------------------------------------------------------------------------------------------ */

typedef struct asked_pair {
    ag_item item;
    ag_asked asked;
    ag_field fields[2];
    ag_ask entries[2];
    const char *values[2], *wanted[2];
    ag_decision decision;
    ag_judge_input input;
    ag_judge_answer answer;
    const char *identity;
} asked_pair;

static void plain_pair(asked_pair *p)
{
    memset(p, 0, sizeof *p);
    p->values[0] = "red", p->values[1] = "blue";
    p->wanted[0] = "red", p->wanted[1] = "green";
    p->fields[0] = (ag_field){"colour", p->values, 2};
    p->fields[1] = (ag_field){"size", p->values, 0};
    p->item = (ag_item){.id = "p1",
                        .title = "boots",
                        .brand = "Acme",
                        .has_price = true,
                        .price = 5,
                        .fields = p->fields,
                        .field_count = 2};
    p->entries[0] = (ag_ask){.id = "colour", .name = "colour", .values = p->wanted, .value_count = 1};
    p->entries[1] = (ag_ask){.id = "size", .name = "size", .values = p->wanted, .value_count = 2};
    p->asked = (ag_asked){
        .source = AG_ASKED_GIVEN, .entries = p->entries, .count = 2, .types = {"plain"}, .type_count = 1};
    p->input = (ag_judge_input){"red boots", &p->item, &p->asked, NULL};
    p->answer = AG_ANSWER_EXPLAIN;
    p->identity = "judge";
}

/* One thing changed at a time; 0 changes nothing. False past the last change. */
static bool change(asked_pair *p, int which)
{
    switch (which) {
    case 0: return true;
    case 1: p->input.query = "red boot"; return true;
    case 2: p->item.title = "boot"; return true;
    case 3: p->item.brand = NULL; return true;
    case 4: p->item.brand = ""; return true;
    case 5: p->item.brand = NULL, p->item.category = "Acme"; return true;
    case 6: p->item.description = "warm"; return true;
    case 7: p->item.price = 6; return true;
    case 8: p->item.has_price = false; return true;
    case 9: p->item.field_count = 1; return true;
    case 10: p->fields[0].name = "color"; return true;
    case 11: p->fields[0].count = 1, p->fields[1].count = 1; return true;
    case 12: p->values[0] = "redblue", p->values[1] = ""; return true;
    case 13: p->asked.count = 1; return true;
    case 14: p->entries[0].op = AG_OP_NOT; return true;
    case 15: p->entries[0].core = true; return true;
    case 16: p->entries[0].negated = true; return true;
    case 17: p->entries[0].value_count = 2; return true;
    case 18: p->asked.types[0] = "question"; return true;
    case 19: p->asked.type_count = 0; return true;
    case 20: p->input.hint = "look"; return true;
    case 21: p->answer = AG_ANSWER_NONE; return true;
    case 22: p->identity = "judge2"; return true;
    case 23: p->decision.by = AG_DECIDE_GAIN; return true;
    case 24: p->decision = (ag_decision){.by = AG_DECIDE_THRESHOLD, .threshold = 0.5}; return true;
    case 25: p->decision = (ag_decision){.by = AG_DECIDE_THRESHOLD, .threshold = 0.6}; return true;
    case 26: p->decision = (ag_decision){.by = AG_DECIDE_COST}; return true;
    case 27: p->decision = (ag_decision){.by = AG_DECIDE_COST, .cost = {{0, 1}}}; return true;
    case 28: p->entries[1].id = "size#2"; return true;
    case 29: p->input.query = "red bootsboots", p->item.title = ""; return true;
    default: return false;
    }
}

static ag_cache_key key_for(const asked_pair *p)
{
    ag_cache_key k;
    ag_cache_key_of(&k, p->identity, &p->decision, TIERS, &p->input, p->answer);
    return k;
}

static void test_keys(void **state)
{
    (void)state;
    ag_cache_key keys[64];
    asked_pair p;
    int n = 0;
    for (plain_pair(&p); change(&p, n); plain_pair(&p)) {
        keys[n] = key_for(&p);
        for (int k = 0; k < n; k++)
            if (memcmp(&keys[k], &keys[n], sizeof keys[n]) == 0)
                fail_msg("changes %d and %d have one key", k, n);
        n++;
    }
    assert_int_equal(n, 30);
    p.item.id = "other"; /* no prompt shows it */
    p.asked.source = AG_ASKED_PARSED;
    ag_cache_key same = key_for(&p);
    assert_memory_equal(&same, &keys[0], sizeof same);
    p.answer = AG_ANSWER_NONE; /* probabilities do not depend on the decision */
    p.decision.by = AG_DECIDE_GAIN;
    same = key_for(&p);
    assert_memory_equal(&same, &keys[21], sizeof same);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_bound),   cmocka_unit_test(test_processes),
        cmocka_unit_test(test_threads),    cmocka_unit_test(test_kills),   cmocka_unit_test(test_locked),
        cmocka_unit_test(test_full_disk),  cmocka_unit_test(test_foreign), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_memory),     cmocka_unit_test(test_keys),
    };
    if (!mkdtemp(folder)) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ag_dir_remove(folder, NULL);
    return failed;
}
