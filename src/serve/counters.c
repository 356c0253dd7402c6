/* counters.c: see counters.h. */
#include "serve/counters.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"

enum { ROUTES_MAX = 64, STATUSES_MAX = 24, BUCKETS = 13 };
static const double bounds[BUCKETS] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60};

typedef struct route_counts {
    const char *path;
    int status[STATUSES_MAX];
    uint64_t by_status[STATUSES_MAX];
    uint64_t bucket[BUCKETS], count;
    double sum;
} route_counts;

struct ag_counters {
    pthread_mutex_t lock;
    route_counts routes[ROUTES_MAX];
    int count;
    uint64_t aborted;
    double start;
};

static route_counts *find_route(ag_counters *m, const char *path)
{
    for (int i = 0; i < m->count; i++)
        if (strcmp(m->routes[i].path, path) == 0) return &m->routes[i];
    return NULL;
}

ag_status ag_counters_create(ag_counters **counters, const ag_http_route *routes, ag_error *err)
{
    ag_counters *m = *counters = ag_calloc(1, sizeof *m);
    if (!m) return ag_fail_memory(err, "counters");
    pthread_mutex_init(&m->lock, NULL);
    m->routes[m->count++].path = "-";
    for (; routes->method && m->count < ROUTES_MAX; routes++)
        if (!find_route(m, routes->path)) m->routes[m->count++].path = routes->path;
    m->start = (double)time(NULL);
    return AG_OK;
}

void ag_counters_free(ag_counters *m)
{
    if (!m) return;
    pthread_mutex_destroy(&m->lock);
    ag_free(m);
}

void ag_counters_observe(void *counters, const ag_http_record *x)
{
    ag_counters *m = counters;
    pthread_mutex_lock(&m->lock);
    route_counts *r = find_route(m, x->route);
    if (!r) r = &m->routes[0];
    int s = 0;
    while (s < STATUSES_MAX - 1 && r->status[s] && r->status[s] != x->status) s++;
    if (!r->status[s]) r->status[s] = x->status;
    r->by_status[s]++;
    for (int b = 0; b < BUCKETS; b++) r->bucket[b] += x->seconds <= bounds[b];
    r->count++;
    r->sum += x->seconds;
    m->aborted += x->aborted;
    pthread_mutex_unlock(&m->lock);
}

static void head(ag_str *out, const char *name, const char *type, const char *help)
{
    ag_str_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(ag_str *out, const char *name, const char *type, const char *help, double value)
{
    head(out, name, type, help);
    ag_str_addf(out, "%s %.17g\n", name, value);
}

static void write_requests(ag_counters *m, ag_str *out)
{
    head(out, "agrl_http_requests_total", "counter", "Requests by route and status.");
    for (int i = 0; i < m->count; i++)
        for (int s = 0; s < STATUSES_MAX && m->routes[i].status[s]; s++)
            ag_str_addf(out, "agrl_http_requests_total{route=\"%s\",status=\"%d\"} %llu\n", m->routes[i].path,
                        m->routes[i].status[s], (unsigned long long)m->routes[i].by_status[s]);
    head(out, "agrl_http_request_seconds", "histogram",
         "First line of a request to last byte of its answer.");
    for (int i = 0; i < m->count; i++) {
        const route_counts *r = &m->routes[i];
        if (r->count == 0) continue;
        for (int b = 0; b < BUCKETS; b++)
            ag_str_addf(out, "agrl_http_request_seconds_bucket{route=\"%s\",le=\"%g\"} %llu\n", r->path,
                        bounds[b], (unsigned long long)r->bucket[b]);
        ag_str_addf(out, "agrl_http_request_seconds_bucket{route=\"%s\",le=\"+Inf\"} %llu\n", r->path,
                    (unsigned long long)r->count);
        ag_str_addf(out, "agrl_http_request_seconds_sum{route=\"%s\"} %.9g\n", r->path, r->sum);
        ag_str_addf(out, "agrl_http_request_seconds_count{route=\"%s\"} %llu\n", r->path,
                    (unsigned long long)r->count);
    }
    one(out, "agrl_http_aborted_total", "counter", "Requests whose client left before it had the answer.",
        (double)m->aborted);
}

static double resident_bytes(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f) return 0;
    if (fscanf(f, "%*d %ld", &pages) != 1) pages = 0;
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void write_engine(const ag_engine_stats *s, ag_str *out)
{
    one(out, "agrl_queue_requests", "gauge", "Requests that wait for the judge or are with it.",
        (double)s->waiting_jobs);
    one(out, "agrl_queue_pairs", "gauge", "Pairs of these requests.", (double)s->waiting_pairs);
    one(out, "agrl_queue_refused_total", "counter", "Requests refused because the queue was full.",
        (double)s->outcomes[AG_ENGINE_FULL]);
    one(out, "agrl_queue_late_total", "counter", "Requests given up at their time limit.",
        (double)s->outcomes[AG_ENGINE_LATE]);
    one(out, "agrl_queue_left_total", "counter", "Requests dropped because their client had left.",
        (double)s->outcomes[AG_ENGINE_GONE]);
    one(out, "agrl_batches_total", "counter", "Calls of the judge.", (double)s->batches);
    one(out, "agrl_pairs_judged_total", "counter", "Pairs judged.", (double)s->work.pairs);
    one(out, "agrl_tokens_computed_total", "counter", "Tokens that went through the model.",
        (double)s->work.computed);
    one(out, "agrl_tokens_shared_total", "counter",
        "Tokens of prompts and answers that did not, because others had the same beginning.",
        s->work.tokens > s->work.computed ? (double)(s->work.tokens - s->work.computed) : 0);
}

void ag_counters_write(ag_counters *m, const ag_engine_stats *stats, int connections, ag_str *out)
{
    one(out, "agrl_up", "gauge", "1 when the model is loaded.", stats != NULL);
    pthread_mutex_lock(&m->lock);
    write_requests(m, out);
    pthread_mutex_unlock(&m->lock);
    one(out, "agrl_http_connections", "gauge", "Open connections.", connections);
    if (stats) write_engine(stats, out);
    one(out, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes());
    one(out, "process_start_time_seconds", "gauge", "Start of the process, seconds since 1970.", m->start);
}
