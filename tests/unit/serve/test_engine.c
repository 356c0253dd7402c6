/* test_engine.c: the queue with a judge that is not one: order, batches, bounds, failures, giving up, stopping. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "serve/engine.h"

static void nap(double seconds)
{
    nanosleep(&(struct timespec){(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)}, NULL);
}

/* Writes down what it was given; its judgement of a pair is a number made of query and title. */
typedef struct fake {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool closed; /* judging waits until it is opened */
    int calls, writes;
    size_t sizes[1000];
    char order[40000]; /* queries in the order of judging, calls separated by | */
    atomic_int inside;
} fake;

static double value_of(const ag_judge_input *x)
{
    return (double)(ag_hash64(x->query, strlen(x->query)) % 1000) +
           (double)(ag_hash64(x->item->title, strlen(x->item->title)) % 1000) / 1000;
}

static ag_status fake_judge(void *user, const ag_judge_input *in, size_t n, ag_judge_answer answer,
                            ag_judgement *out, ag_error *err)
{
    fake *f = user;
    assert_int_equal(atomic_fetch_add(&f->inside, 1), 0); /* one thread */
    pthread_mutex_lock(&f->lock);
    while (f->closed) pthread_cond_wait(&f->opened, &f->lock);
    f->sizes[f->calls++ % 1000] = n;
    ag_status status = AG_OK;
    for (size_t i = 0; i < n; i++) {
        if (strlen(f->order) < sizeof f->order - 64) strcat(strcat(f->order, in[i].query), " ");
        out[i].gain = value_of(&in[i]);
        if (answer == AG_ANSWER_EXPLAIN) out[i].answer = ag_strdup(in[i].query);
        if (strcmp(in[i].item->title, "bad") == 0)
            status = ag_fail(err, AG_ERR_INPUT, "bad item for %s", in[i].query);
    }
    if (strlen(f->order) < sizeof f->order - 64) strcat(f->order, "| ");
    pthread_mutex_unlock(&f->lock);
    atomic_fetch_sub(&f->inside, 1);
    return status;
}

static ag_status fake_write(void *user, const ag_judge_input *in, const ag_judge_drawing *drawing,
                            ag_judge_text *out, ag_error *err)
{
    fake *f = user;
    (void)err;
    f->writes++;
    out->text = ag_strdup(in->query);
    out->answer_tokens = (int32_t)drawing->seed;
    return AG_OK;
}

static ag_judge_work fake_work(void *user)
{
    fake *f = user;
    return (ag_judge_work){.pairs = (uint64_t)f->calls, .tokens = 10, .computed = 4};
}

static void shut(fake *f, bool closed)
{
    pthread_mutex_lock(&f->lock);
    f->closed = closed;
    pthread_cond_broadcast(&f->opened);
    pthread_mutex_unlock(&f->lock);
}

static fake *start(ag_engine **engine, size_t queue, size_t batch)
{
    ag_error err = {0};
    fake *f = calloc(1, sizeof *f);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->opened, NULL);
    ag_engine_backend backend = {f, fake_judge, fake_write, fake_work};
    ag_engine_options options = {queue, batch};
    assert_int_equal(ag_engine_start(engine, &backend, &options, &err), AG_OK);
    return f;
}

static ag_job *job_of(const char *queries, const char *title, bool explain)
{
    ag_error err = {0};
    size_t n = strlen(queries);
    ag_job *job = ag_job_new(n);
    assert_non_null(job);
    job->explain = explain;
    for (size_t i = 0; i < n; i++) {
        char line[200];
        int k = snprintf(line, sizeof line,
                         "{\"query\": \"%c\", \"item\": {\"title\": \"%s\"}, \"asked\": []}", queries[i],
                         title);
        assert_int_equal(
            ag_pair_parse(&job->pairs[i], line, (size_t)k, "x", 1, NULL, AG_AGGREGATE_GIVEN, &err), AG_OK);
    }
    return job;
}

typedef struct caller {
    ag_engine *engine;
    ag_job *job;
    double seconds;
    atomic_bool leave;
    ag_engine_outcome outcome;
    pthread_t thread;
    double at;
} caller;

static bool left(const void *user)
{
    return atomic_load(&((caller *)(uintptr_t)user)->leave);
}

static void *caller_main(void *user)
{
    caller *c = user;
    c->outcome = ag_engine_run(c->engine, c->job, ag_clock() + c->seconds, left, c);
    c->at = ag_clock();
    return NULL;
}

/* Calls from a thread of its own, and returns when it waits in the queue. */
static void call(caller *c, ag_engine *e, ag_job *job, double seconds)
{
    size_t before = ag_engine_stats_now(e).waiting_jobs;
    *c = (caller){.engine = e, .job = job, .seconds = seconds};
    pthread_create(&c->thread, NULL, caller_main, c);
    for (int i = 0; i < 200 && ag_engine_stats_now(e).waiting_jobs == before; i++) nap(0.005);
}

static void assert_judged(const ag_job *job)
{
    for (size_t i = 0; i < job->count; i++) {
        ag_judge_input in = {job->pairs[i]->query, &job->pairs[i]->item, NULL, NULL};
        assert_true(job->judged[i].gain == value_of(&in));
        if (job->explain)
            assert_string_equal(job->judged[i].answer, job->pairs[i]->query);
        else
            assert_null(job->judged[i].answer);
    }
}

/* What waits together is one call, its queries next to each other; the bound of a call is kept; other wishes wait their turn. */
static void test_batches(void **state)
{
    (void)state;
    ag_engine *e;
    fake *f = start(&e, 100, 8);
    caller c[6];
    shut(f, true);
    call(&c[0], e, job_of("x", "t", false), 60); /* alone with the judge */
    nap(0.05);
    call(&c[1], e, job_of("abca", "t", false), 60);
    call(&c[2], e, job_of("cb", "u", false), 60);
    call(&c[3], e, job_of("z", "u", true), 60);
    call(&c[4], e, job_of("aaaa", "v", false), 60);
    call(&c[5], e, job_of("z", "w", true), 60);
    assert_int_equal(ag_engine_stats_now(e).waiting_pairs, 13);
    shut(f, false);
    for (int i = 0; i < 6; i++) {
        pthread_join(c[i].thread, NULL);
        assert_int_equal(c[i].outcome, AG_ENGINE_DONE);
        assert_int_equal(c[i].job->status, AG_OK);
        assert_judged(c[i].job);
        ag_job_release(c[i].job);
    }
    assert_string_equal(f->order, "x | a a a a b b c c | z z | a a | ");
    ag_engine_stats stats = ag_engine_stats_now(e);
    assert_int_equal(stats.batches, 4);
    assert_int_equal(stats.waiting_jobs + stats.waiting_pairs, 0);
    assert_int_equal(stats.outcomes[AG_ENGINE_DONE], 6);
    assert_int_equal(stats.work.computed, 4);
    ag_engine_stop(e);
    free(f);
}

static void test_full(void **state)
{
    (void)state;
    ag_engine *e;
    fake *f = start(&e, 5, 8);
    caller c[2];
    ag_job *more = job_of("ab", "t", false), *one = job_of("a", "t", false), *none = ag_job_new(0);
    shut(f, true);
    call(&c[0], e, job_of("abcd", "t", false), 60);
    assert_int_equal(ag_engine_run(e, more, ag_clock() + 60, NULL, NULL), AG_ENGINE_FULL);
    call(&c[1], e, one, 60);
    shut(f, false);
    for (int i = 0; i < 2; i++) {
        pthread_join(c[i].thread, NULL);
        assert_int_equal(c[i].outcome, AG_ENGINE_DONE);
        ag_job_release(c[i].job);
    }
    assert_int_equal(ag_engine_run(e, more, ag_clock() + 60, NULL, NULL),
                     AG_ENGINE_DONE); /* it may come again */
    assert_judged(more);
    assert_int_equal(ag_engine_run(e, none, 0, NULL, NULL), AG_ENGINE_DONE);
    ag_job_release(more);
    ag_job_release(none);
    ag_engine_stop(e);
    free(f);
}

/* What would come too late is refused while something waits, and taken when nothing does. */
static void test_admission(void **state)
{
    (void)state;
    ag_engine *e;
    fake *f = start(&e, 1000, 4);
    caller c;
    shut(f, true);
    call(&c, e, job_of("abcd", "t", false), 60);
    nap(0.4); /* four pairs take this long: at most 10 a second */
    shut(f, false);
    pthread_join(c.thread, NULL);
    ag_job_release(c.job);
    ag_job *many = job_of("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "t", false),
           *other = job_of("aaaaaaaaaaaaaaaa", "t", true);
    ag_job *few = job_of("aaaa", "t", false);
    shut(f, true);
    call(&c, e, job_of("abcdefgh", "t", false), 60);
    assert_true(ag_engine_stats_now(e).seconds_waiting > 0.5); /* the four in hand and the four that wait */
    assert_int_equal(ag_engine_run(e, many, ag_clock() + 2, NULL, NULL), AG_ENGINE_FULL);
    assert_int_equal(ag_engine_run(e, other, ag_clock() + 2, NULL, NULL),
                     AG_ENGINE_LATE); /* their rate is not known */
    assert_int_equal(ag_engine_run(e, few, ag_clock() + 2, NULL, NULL),
                     AG_ENGINE_FULL); /* what is in hand takes several times as long as it should */
    shut(f, false);
    pthread_join(c.thread, NULL);
    ag_job_release(c.job);
    for (int i = 0; i < 200 && ag_engine_stats_now(e).waiting_jobs > 0; i++) nap(0.01);
    assert_int_equal(ag_engine_run(e, many, ag_clock() + 2, NULL, NULL), AG_ENGINE_DONE);
    ag_job_release(many);
    ag_job_release(other);
    ag_job_release(few);
    ag_engine_stop(e);
    free(f);
}

/* A wrong pair fails its own request, and says which. */
static void test_failures(void **state)
{
    (void)state;
    ag_engine *e;
    fake *f = start(&e, 100, 16);
    caller c[4];
    shut(f, true);
    call(&c[0], e, job_of("x", "t", false), 60);
    nap(0.05);
    call(&c[1], e, job_of("abc", "t", true), 60);
    ag_job *mixed = job_of("pqr", "t", true), *bad = job_of("r", "bad", true);
    ag_pair *swap = mixed->pairs[1];
    mixed->pairs[1] = bad->pairs[0];
    bad->pairs[0] = swap;
    call(&c[2], e, mixed, 60);
    call(&c[3], e, bad, 60); /* the good one now */
    shut(f, false);
    for (int i = 0; i < 4; i++) {
        pthread_join(c[i].thread, NULL);
        assert_int_equal(c[i].outcome, AG_ENGINE_DONE);
        assert_int_equal(c[i].job->status, i == 2 ? AG_ERR_INPUT : AG_OK);
        if (i != 2) assert_judged(c[i].job);
    }
    assert_int_equal(mixed->bad, 1);
    assert_string_equal(mixed->err.message, "bad item for r");
    for (int i = 0; i < 4; i++) ag_job_release(c[i].job);
    ag_engine_stop(e);
    free(f);
}

/* Late or left: the caller goes at once, queued or being judged, and nothing of its job is touched that it could see. */
static void test_giving_up(void **state)
{
    (void)state;
    ag_engine *e;
    fake *f = start(&e, 100, 4);
    caller c[4];
    shut(f, true);
    double begin = ag_clock();
    call(&c[0], e, job_of("aaaaaaaaaa", "t", true), 0.3); /* with the judge */
    nap(0.05);
    call(&c[1], e, job_of("b", "t", false), 0.3);
    call(&c[2], e, job_of("c", "t", false), 60);
    call(&c[3], e, job_of("d", "t", false), 60);
    atomic_store(&c[3].leave, true);
    for (int i = 0; i < 4; i++) {
        if (i == 2) continue;
        pthread_join(c[i].thread, NULL);
        assert_int_equal(c[i].outcome, i == 3 ? AG_ENGINE_GONE : AG_ENGINE_LATE);
        assert_true(c[i].at - begin < 2);
        ag_job_release(c[i].job);
    }
    shut(f, false);
    pthread_join(c[2].thread, NULL);
    assert_int_equal(c[2].outcome, AG_ENGINE_DONE);
    assert_judged(c[2].job);
    ag_job_release(c[2].job);
    assert_string_equal(f->order, "a a a a | c | "); /* the rest was not judged for nobody */
    assert_int_equal(ag_engine_stats_now(e).waiting_pairs, 0);
    ag_engine_stop(e);
    free(f);
}

/* A large request gives way to small ones after a few calls. */
static void test_turns(void **state)
{
    (void)state;
    ag_engine *e;
    fake *f = start(&e, 1000, 4);
    caller c[3];
    char many[201];
    memset(many, 'm', 200);
    many[200] = '\0';
    shut(f, true);
    call(&c[0], e, job_of(many, "t", false), 60);
    nap(0.05);
    call(&c[1], e, job_of("ssssss", "t", true), 60);
    shut(f, false);
    for (int i = 0; i < 2; i++) {
        pthread_join(c[i].thread, NULL);
        assert_int_equal(c[i].outcome, AG_ENGINE_DONE);
        assert_judged(c[i].job);
        ag_job_release(c[i].job);
    }
    const char *small = strchr(f->order, 's');
    assert_non_null(small);
    assert_int_equal(small - f->order, 4 * (8 + 2)); /* four calls of the large one came first */
    ag_engine_stop(e);
    free(f);
}

static void test_write_and_stop(void **state)
{
    (void)state;
    ag_engine *e;
    fake *f = start(&e, 100, 4);
    ag_job *job = job_of("w", "t", false);
    job->write = true;
    job->drawing.seed = 7;
    assert_int_equal(ag_engine_run(e, job, ag_clock() + 60, NULL, NULL), AG_ENGINE_DONE);
    assert_string_equal(job->text.text, "w");
    assert_int_equal(job->text.answer_tokens, 7);
    assert_int_equal(f->writes, 1);
    ag_job_release(job);
    ag_engine_stop(e);
    ag_engine_stop(NULL);
    ag_job_release(NULL);
    free(f);
}

/* Many callers at once: everyone gets their own results. */
enum { CALLERS = 16, ROUNDS = 60 };
static void *busy_main(void *user)
{
    caller *c = user;
    for (int i = 0; i < ROUNDS; i++) {
        char queries[8] = "";
        for (int k = 0; k <= i % 6; k++) queries[k] = (char)('a' + (i * 7 + k * 3) % 26);
        c->job = job_of(queries, i % 2 ? "t" : "u", i % 3 == 0);
        double seconds = i % 10 == 9 ? 0.0001 : 60; /* some give up */
        ag_engine_outcome outcome = ag_engine_run(c->engine, c->job, ag_clock() + seconds, NULL, NULL);
        if (outcome == AG_ENGINE_DONE) assert_judged(c->job);
        assert_true(outcome == AG_ENGINE_DONE ||
                    (seconds < 1 && (outcome == AG_ENGINE_LATE || outcome == AG_ENGINE_FULL)));
        ag_job_release(c->job);
    }
    return NULL;
}

static void test_many(void **state)
{
    (void)state;
    ag_engine *e;
    fake *f = start(&e, 10000, 16);
    caller c[CALLERS];
    for (int i = 0; i < CALLERS; i++) {
        c[i].engine = e;
        pthread_create(&c[i].thread, NULL, busy_main, &c[i]);
    }
    for (int i = 0; i < CALLERS; i++) pthread_join(c[i].thread, NULL);
    nap(0.1);
    ag_engine_stats stats = ag_engine_stats_now(e);
    assert_int_equal(stats.waiting_jobs + stats.waiting_pairs, 0);
    assert_int_equal(stats.outcomes[AG_ENGINE_DONE] + stats.outcomes[AG_ENGINE_LATE] +
                         stats.outcomes[AG_ENGINE_FULL],
                     CALLERS * ROUNDS);
    for (int i = 0; i < f->calls && i < 1000; i++) assert_true(f->sizes[i] >= 1 && f->sizes[i] <= 16);
    ag_engine_stop(e);
    free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches),        cmocka_unit_test(test_full),
        cmocka_unit_test(test_admission),      cmocka_unit_test(test_failures),
        cmocka_unit_test(test_giving_up),      cmocka_unit_test(test_turns),
        cmocka_unit_test(test_write_and_stop), cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
