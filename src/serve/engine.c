/* engine.c: the queue and the thread behind it: see engine.h. */
#include "serve/engine.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"

enum {
    MODES = 3, /* a tier, an answer explained, an answer written */
    FIRST_BATCHES = 4,
    TURN_BATCHES = 4, /* a request that took so many batches in a row goes to the end of the queue */
    STACK_BYTES = 8 << 20
};

/* The engine's side of a job. */
typedef struct ag_job_link {
    struct ag_job_link *next;
    int references; /* under the engine's lock once it is queued */
    size_t taken;   /* pairs handed to the judge */
    size_t turn;    /* of them since it last stood at the end of the queue */
    bool queued, finished, cancelled, stopped;
    pthread_cond_t done;
    pthread_mutex_t *lock; /* NULL before it is queued */
} ag_job_link;

/* A pair of the batch at hand. */
typedef struct entry {
    ag_job *job;
    size_t index;
    uint64_t query;
} entry;

struct ag_engine {
    ag_engine_backend backend;
    ag_engine_options options;
    pthread_mutex_t lock;
    pthread_cond_t work;
    pthread_t thread;
    ag_job **jobs; /* the queue, first come first */
    size_t job_count, job_cap;
    bool stopping;
    ag_engine_stats stats;
    double rate[MODES]; /* pairs a second, by what is wanted of them; 0: not known yet */
    size_t in_hand;     /* pairs being judged */
    int hand_mode;
    double hand_since; /* by ag_clock */
    entry *entries;    /* [batch_pairs], as the next two */
    ag_judge_input *inputs;
    ag_judgement *out;
};

/* --- jobs --------------------------------------------------------------------------------------------------- */

ag_job *ag_job_new(size_t count)
{
    pthread_condattr_t monotonic;
    ag_job *job = ag_calloc(1, sizeof *job);
    if (!job) return NULL;
    job->count = count;
    job->pairs = ag_calloc(count, sizeof *job->pairs);
    job->judged = ag_calloc(count, sizeof *job->judged);
    job->link = ag_calloc(1, sizeof *job->link);
    if (!job->pairs || !job->judged || !job->link) {
        ag_free(job->pairs);
        ag_free(job->judged);
        ag_free(job->link);
        ag_free(job);
        return NULL;
    }
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&job->link->done, &monotonic);
    pthread_condattr_destroy(&monotonic);
    job->link->references = 1;
    return job;
}

static void job_free(ag_job *job)
{
    for (size_t i = 0; i < job->count; i++) ag_pair_free(job->pairs[i]);
    ag_judgements_free(job->judged, job->count);
    ag_free(job->text.text);
    pthread_cond_destroy(&job->link->done);
    ag_free(job->link);
    ag_free(job->pairs);
    ag_free(job);
}

/* Under the lock: the last one out frees, after unlocking (the result says so). */
static bool drop_reference(ag_job *job)
{
    return --job->link->references == 0;
}

void ag_job_release(ag_job *job)
{
    if (!job) return;
    pthread_mutex_t *lock = job->link->lock;
    if (lock) pthread_mutex_lock(lock);
    bool last = drop_reference(job);
    if (lock) pthread_mutex_unlock(lock);
    if (last) job_free(job);
}

/* --- the queue (under the lock) ----------------------------------------------------------------------------- */

static void dequeue(ag_engine *e, size_t at)
{
    ag_job *job = e->jobs[at];
    memmove(e->jobs + at, e->jobs + at + 1, (e->job_count - at - 1) * sizeof *e->jobs);
    e->job_count--;
    e->stats.waiting_jobs--;
    e->stats.waiting_pairs -= job->count;
}

static void finish(ag_job *job)
{
    job->link->finished = true;
    pthread_cond_signal(&job->link->done);
}

/* Jobs whose requests have given up leave the queue; ones that took their turn go to its end. */
static void tidy(ag_engine *e)
{
    for (size_t i = 0; i < e->job_count;) {
        ag_job *job = e->jobs[i];
        if (!job->link->cancelled && job->status == AG_OK && job->link->taken < job->count) {
            i++;
            continue;
        }
        dequeue(e, i);
        finish(job);
        if (drop_reference(job)) job_free(job);
    }
    if (e->job_count > 1 && e->jobs[0]->link->turn >= TURN_BATCHES * e->options.batch_pairs) {
        ag_job *first = e->jobs[0];
        first->link->turn = 0;
        memmove(e->jobs, e->jobs + 1, (e->job_count - 1) * sizeof *e->jobs);
        e->jobs[e->job_count - 1] = first;
    }
}

static ag_judge_answer answer_of(const ag_job *job)
{
    return job->explain ? AG_ANSWER_EXPLAIN : AG_ANSWER_NONE;
}

static int mode_of(const ag_job *job)
{
    return job->write ? 2 : job->explain;
}

static double seconds_for(const ag_engine *e, const ag_job *job)
{
    double rate = e->rate[mode_of(job)];
    return rate > 0 ? (double)(job->count - job->link->taken) / rate : 0;
}

/* What is being judged counts as well; when it takes longer than it should, all that waits will. */
static double seconds_waiting(const ag_engine *e)
{
    double seconds = 0, slower = 1;
    for (size_t i = 0; i < e->job_count; i++) seconds += seconds_for(e, e->jobs[i]);
    if (e->in_hand > 0 && e->rate[e->hand_mode] > 0) {
        double expected = (double)e->in_hand / e->rate[e->hand_mode], spent = ag_clock() - e->hand_since;
        if (spent < expected)
            seconds += expected - spent;
        else
            slower = spent / expected;
    }
    return seconds * slower;
}

/* A full batch that was slow is believed at once: the machine has other work. Small ones are slow by nature. */
static void learn_rate(ag_engine *e, int mode, size_t n, double rate)
{
    double *mean = &e->rate[mode];
    bool believed = *mean <= 0 || (rate < *mean && 2 * n >= e->options.batch_pairs);
    *mean = believed ? rate : 0.8 * *mean + 0.2 * rate;
}

/* Fills the batch from the jobs that want what the first one wants. */
static size_t take_batch(ag_engine *e)
{
    size_t n = 0;
    const ag_job *first = e->jobs[0];
    for (size_t i = 0; i < e->job_count && n < e->options.batch_pairs; i++) {
        ag_job *job = e->jobs[i];
        if (mode_of(job) != mode_of(first)) continue;
        for (; job->link->taken < job->count && n < e->options.batch_pairs; n++) {
            const char *query = job->pairs[job->link->taken]->query;
            e->entries[n] = (entry){job, job->link->taken++, ag_hash64(query, strlen(query))};
            job->link->turn++;
        }
        if (job->write) break;
    }
    return n;
}

/* --- judging (without the lock) ------------------------------------------------------------------------------ */

/* Entries of one query next to each other, in the order in which the queries and their entries came. */
static void group_queries(entry *e, size_t n)
{
    for (size_t i = 1, end = 1; i < n; i = ++end) {
        for (; end < n; end++) {
            size_t next = end;
            while (next < n && e[next].query != e[end - 1].query) next++;
            if (next == n) break;
            entry moved = e[next];
            memmove(e + end + 1, e + end, (next - end) * sizeof *e);
            e[end] = moved;
        }
    }
}

static ag_judge_input input_of(const entry *x)
{
    const ag_pair *p = x->job->pairs[x->index];
    return (ag_judge_input){p->query, &p->item, &p->asked, NULL};
}

static void keep_failure(const entry *x, ag_status status, const ag_error *err)
{
    ag_job *job = x->job;
    if (job->status != AG_OK) return;
    job->status = status;
    job->err = *err;
    job->bad = x->index;
}

/* A batch failed: each pair alone, so that only the requests of the wrong ones fail. */
static void judge_alone(ag_engine *e, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        entry *x = &e->entries[i];
        ag_error err = {0};
        if (x->job->status != AG_OK) continue;
        ag_judge_input input = input_of(x);
        ag_judgement *out = &x->job->judged[x->index];
        ag_status status = e->backend.judge(e->backend.user, &input, 1, answer_of(x->job), out, &err);
        if (status != AG_OK) keep_failure(x, status, &err);
    }
}

static void run_batch(ag_engine *e, size_t n)
{
    ag_error err = {0};
    entry *first = &e->entries[0];
    if (first->job->write) {
        ag_judge_input input = input_of(first);
        ag_status status = e->backend.write(e->backend.user, &input, &first->job->drawing, &first->job->text,
                                            &err);
        if (status != AG_OK) keep_failure(first, status, &err);
        return;
    }
    group_queries(e->entries, n);
    for (size_t i = 0; i < n; i++) e->inputs[i] = input_of(&e->entries[i]);
    memset(e->out, 0, n * sizeof *e->out);
    ag_status status = e->backend.judge(e->backend.user, e->inputs, n, answer_of(first->job), e->out, &err);
    for (size_t i = 0; i < n; i++) {
        if (status == AG_OK)
            e->entries[i].job->judged[e->entries[i].index] = e->out[i];
        else
            ag_free(e->out[i].answer);
    }
    if (status != AG_OK) judge_alone(e, n);
}

static void *engine_main(void *user)
{
    ag_engine *e = user;
    pthread_mutex_lock(&e->lock);
    for (;;) {
        tidy(e);
        while (e->job_count == 0 && !e->stopping) pthread_cond_wait(&e->work, &e->lock);
        if (e->stopping) break;
        tidy(e); /* those who gave up meanwhile */
        if (e->job_count == 0) continue;
        int mode = mode_of(e->jobs[0]);
        size_t n = take_batch(e);
        double begin = ag_clock();
        e->in_hand = n;
        e->hand_mode = mode;
        e->hand_since = begin;
        pthread_mutex_unlock(&e->lock);
        run_batch(e, n);
        double rate = (double)n / (ag_clock() - begin + 1e-9);
        ag_judge_work work = e->backend.work(e->backend.user);
        pthread_mutex_lock(&e->lock);
        learn_rate(e, mode, n, rate);
        e->in_hand = 0;
        e->stats.work = work;
        e->stats.batches++;
    }
    for (size_t i = e->job_count; i-- > 0;) {
        ag_job *job = e->jobs[i];
        job->link->stopped = true;
        dequeue(e, i);
        finish(job);
        if (drop_reference(job)) job_free(job);
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

/* --- callers ---------------------------------------------------------------------------------------------------- */

static size_t pairs_waiting(const ag_engine *e, int mode)
{
    size_t n = 0;
    for (size_t i = 0; i < e->job_count; i++) n += mode_of(e->jobs[i]) == mode ? e->jobs[i]->count : 0;
    return n;
}

/* What would most likely come too late is refused at once, while something waits: better now than after the wait, and no pair is
 * judged for nobody. Before anything of its kind was judged, a few batches may wait. */
static bool too_late(const ag_engine *e, const ag_job *job, double deadline)
{
    const double likely = 0.8; /* of the time that is left; the rest is for what we misjudge */
    size_t before = pairs_waiting(e, mode_of(job));
    if (before > 0 && e->rate[mode_of(job)] <= 0 &&
        before + job->count > FIRST_BATCHES * e->options.batch_pairs)
        return true;
    return e->job_count > 0 && seconds_waiting(e) + seconds_for(e, job) > likely * (deadline - ag_clock());
}

static ag_engine_outcome enqueue(ag_engine *e, ag_job *job, double deadline)
{
    if (e->stopping) return AG_ENGINE_STOPPED;
    if (job->count > e->options.queue_pairs - e->stats.waiting_pairs || too_late(e, job, deadline))
        return AG_ENGINE_FULL;
    if (!ag_grow(&e->jobs, &e->job_cap, e->job_count + 1, sizeof *e->jobs)) return AG_ENGINE_FULL;
    e->jobs[e->job_count++] = job;
    e->stats.waiting_jobs++;
    e->stats.waiting_pairs += job->count;
    job->link->lock = &e->lock;
    job->link->references++;
    pthread_cond_signal(&e->work);
    return AG_ENGINE_DONE;
}

static void wait_a_little(ag_engine *e, ag_job *job, double seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    long nanoseconds = until.tv_nsec + (long)(seconds * 1e9);
    until.tv_sec += nanoseconds / 1000000000;
    until.tv_nsec = nanoseconds % 1000000000;
    pthread_cond_timedwait(&job->link->done, &e->lock, &until);
}

ag_engine_outcome ag_engine_run(ag_engine *e, ag_job *job, double deadline, bool (*gone)(const void *user),
                                const void *user)
{
    if (job->count == 0) return AG_ENGINE_DONE;
    pthread_mutex_lock(&e->lock);
    ag_engine_outcome outcome = enqueue(e, job, deadline);
    while (outcome == AG_ENGINE_DONE && !job->link->finished) {
        double left = deadline - ag_clock();
        if (left <= 0)
            outcome = AG_ENGINE_LATE;
        else if (gone && gone(user))
            outcome = AG_ENGINE_GONE;
        else
            wait_a_little(e, job, left < 0.2 ? left : 0.2);
    }
    if (job->link->finished) outcome = job->link->stopped ? AG_ENGINE_STOPPED : AG_ENGINE_DONE;
    job->link->cancelled = outcome == AG_ENGINE_LATE || outcome == AG_ENGINE_GONE;
    e->stats.outcomes[outcome]++;
    pthread_mutex_unlock(&e->lock);
    return outcome;
}

ag_engine_stats ag_engine_stats_now(ag_engine *e)
{
    pthread_mutex_lock(&e->lock);
    ag_engine_stats stats = e->stats;
    stats.seconds_waiting = seconds_waiting(e);
    pthread_mutex_unlock(&e->lock);
    return stats;
}

static void engine_free(ag_engine *e)
{
    pthread_mutex_destroy(&e->lock);
    pthread_cond_destroy(&e->work);
    ag_free(e->jobs);
    ag_free(e->entries);
    ag_free(e->inputs);
    ag_free(e->out);
    ag_free(e);
}

ag_status ag_engine_start(ag_engine **engine, const ag_engine_backend *backend,
                          const ag_engine_options *options, ag_error *err)
{
    pthread_attr_t attributes;
    *engine = NULL;
    ag_engine *e = ag_calloc(1, sizeof *e);
    if (!e) return ag_fail_memory(err, "engine");
    e->backend = *backend;
    e->options = *options;
    if (!e->options.queue_pairs) e->options.queue_pairs = 4096;
    if (!e->options.batch_pairs) e->options.batch_pairs = 64;
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->work, NULL);
    e->entries = ag_calloc(e->options.batch_pairs, sizeof *e->entries);
    e->inputs = ag_calloc(e->options.batch_pairs, sizeof *e->inputs);
    e->out = ag_calloc(e->options.batch_pairs, sizeof *e->out);
    if (!e->entries || !e->inputs || !e->out) {
        engine_free(e);
        return ag_fail_memory(err, "engine");
    }
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int wrong = pthread_create(&e->thread, &attributes, engine_main, e);
    pthread_attr_destroy(&attributes);
    if (wrong != 0) {
        engine_free(e);
        return ag_fail(err, AG_ERR_IO, "cannot start a thread: %s", strerror(wrong));
    }
    *engine = e;
    return AG_OK;
}

void ag_engine_stop(ag_engine *e)
{
    if (!e) return;
    pthread_mutex_lock(&e->lock);
    e->stopping = true;
    pthread_cond_signal(&e->work);
    pthread_mutex_unlock(&e->lock);
    pthread_join(e->thread, NULL);
    engine_free(e);
}
