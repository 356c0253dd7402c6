/* service.c: the table of routes and what its handlers share: see service.h. */
#include "serve/service.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/mem.h"
#include "rules/verify.h"

static const ag_http_route rows[] = {
    {"POST", "/v1/judge", ag_serve_judge, "application/json", 0, 0, NULL},
    {"POST", "/v1/rerank", ag_serve_rerank, "application/json", 0, 0, NULL},
    {"POST", "/v2/rerank", ag_serve_rerank, "application/json", 0, 0, NULL},
    {"POST", "/v1/chat/completions", ag_serve_chat, "application/json", 0, 0, NULL},
    {"GET", "/v1/models", ag_serve_models, NULL, 0, 0, NULL},
    {"GET", "/v1/models/*", ag_serve_model, NULL, 0, 0, NULL},
    {"GET", "/v1/rulebook", ag_serve_rulebook, NULL, 0, 0, NULL},
    {"GET", "/v1/catalogue", ag_serve_catalogue, NULL, 0, 0, NULL},
    {"GET", "/health", ag_serve_health, NULL, AG_HTTP_OPEN | AG_HTTP_QUIET, 0, NULL},
    {"GET", "/metrics", ag_serve_metrics, NULL, AG_HTTP_QUIET, 0, NULL},
};

ag_status ag_service_create(ag_service **service, const ag_service_options *options, ag_error *err)
{
    size_t n = sizeof rows / sizeof *rows, files = 0;
    while (ag_page_files[files].path) files++;
    ag_service *s = *service = ag_calloc(1, sizeof *s);
    if (!s) return ag_fail_memory(err, "service");
    s->options = *options;
    if (!s->options.max_pairs) s->options.max_pairs = 1000;
    if (s->options.request_seconds <= 0) s->options.request_seconds = 60;
    s->created = (long long)time(NULL);
    pthread_mutex_init(&s->index_lock, NULL);
    s->routes = ag_calloc(n + files + 1, sizeof *s->routes);
    ag_status status = s->routes ? AG_OK : ag_fail_memory(err, "service");
    for (size_t i = 0; i < n && status == AG_OK; i++) {
        s->routes[i] = rows[i];
        s->routes[i].user = s;
    }
    for (size_t i = 0; i < files && status == AG_OK; i++)
        s->routes[n + i] = (ag_http_route){"GET",
                                           ag_page_files[i].path,
                                           ag_serve_file,
                                           NULL,
                                           AG_HTTP_OPEN,
                                           0,
                                           (void *)(uintptr_t)&ag_page_files[i]};
    if (status == AG_OK) status = ag_counters_create(&s->counters, s->routes, err);
    if (status == AG_OK) return AG_OK;
    ag_service_free(s);
    *service = NULL;
    return status;
}

void ag_service_ready(ag_service *s, const ag_book *book, const char *system_text, const ag_lexicon *lexicon,
                      ag_engine *engine, const ag_products *catalogue, ag_bm25 *index)
{
    s->book = book;
    s->system_text = system_text;
    s->lexicon = lexicon;
    s->engine = engine;
    s->catalogue = catalogue;
    s->index = index;
    atomic_store(&s->ready, true);
}

void ag_service_free(ag_service *s)
{
    if (!s) return;
    pthread_mutex_destroy(&s->index_lock);
    ag_counters_free(s->counters);
    ag_free(s->routes);
    ag_free(s);
}

bool ag_service_check(ag_service *s, ag_http_response *r)
{
    if (atomic_load(&s->ready)) return true;
    ag_http_fail(r, 503, NULL, "loading", "the model is being loaded; try again");
    ag_http_add_header(r, "Retry-After", "2");
    return false;
}

bool ag_service_model(ag_service *s, const json_t *body, ag_http_response *r)
{
    const char *name = NULL;
    if (!ag_body_text(body, "", "model", false, &name, r)) return false;
    if (!name || strcmp(name, s->options.model) == 0) return true;
    ag_http_fail(r, 404, "model", "model_not_found", "there is no model '%.100s' here; this server has '%s'",
                 name, s->options.model);
    return false;
}

static bool gone(const void *request)
{
    return ag_http_gone(request);
}

/* How long a client should wait before it tries again: until half of what waits is done. */
static void add_retry_after(ag_service *s, ag_http_response *r)
{
    char text[16];
    ag_engine_stats stats = ag_engine_stats_now(s->engine);
    double seconds = stats.seconds_waiting / 2;
    snprintf(text, sizeof text, "%d", (int)fmin(fmax(ceil(seconds), 1), 60));
    ag_http_add_header(r, "Retry-After", text);
}

static void fail_job(const ag_job *job, const char *list, ag_http_response *r)
{
    char where[AG_BODY_PATH];
    int status = job->status == AG_ERR_INPUT || job->status == AG_ERR_MEMORY ? 400 : 500;
    snprintf(where, sizeof where, job->count > 1 ? "%s[%zu]" : "%s", list, job->bad);
    ag_http_fail(r, status, where, "cannot_judge", "%s: %s", where, job->err.message);
}

bool ag_service_run(ag_service *s, const ag_http_request *q, ag_job *job, const char *list,
                    ag_http_response *r)
{
    ag_engine_outcome outcome = ag_engine_run(s->engine, job, q->start + s->options.request_seconds, gone, q);
    switch (outcome) {
    case AG_ENGINE_DONE:
        if (job->status == AG_OK) return true;
        fail_job(job, list, r);
        break;
    case AG_ENGINE_FULL:
        ag_http_fail(r, 429, NULL, "queue_full", "too much is waiting to be judged; try again later");
        add_retry_after(s, r);
        break;
    case AG_ENGINE_LATE:
        ag_http_fail(r, 504, NULL, "time_limit",
                     "not done within %g seconds; send less at a time, or try again",
                     s->options.request_seconds);
        break;
    case AG_ENGINE_GONE: ag_http_fail(r, 499, NULL, "client_left", "the client left"); break;
    case AG_ENGINE_STOPPED:
    case AG_ENGINE_OUTCOMES: ag_http_fail(r, 503, NULL, "stopping", "the server is being stopped"); break;
    }
    return false;
}

void ag_service_answer(ag_http_response *r, json_t *json)
{
    ag_error err = {0};
    if (!json || ag_json_dump(&r->text, json, &err) != AG_OK)
        ag_http_fail(r, 503, NULL, NULL, "out of memory");
    else
        ag_str_addc(&r->text, '\n');
    json_decref(json);
}

static json_t *text_or_null(const char *text, size_t n)
{
    return text ? json_stringn(text, n) : json_null();
}

ag_status ag_service_explain(json_t *object, const ag_book *book, const ag_asked *asked, const char *answer,
                             ag_error *err)
{
    ag_reward_options options;
    ag_verdict v;
    ag_str refusal = {0};
    ag_reward_defaults(&options, book);
    ag_verify(book, asked, NULL, answer, strlen(answer), &options, &v, &refusal);
    ag_status status = v.format ? ag_answer_to_json(object, book, asked, &v.answer, err)
                                : ag_fail(err, AG_ERR_INTERNAL, "an answer out of format: %s",
                                          ag_str_text(&refusal));
    ag_str_free(&refusal);
    if (status != AG_OK) return status;
    const char *text = v.answer.rule >= 0 ? book->rules[v.answer.rule].text : NULL;
    json_t *derived = json_object();
    bool good = ag_json_set(object, "rule_text", text_or_null(text, text ? strlen(text) : 0)) &&
                ag_json_set(object, "why", text_or_null(v.answer.why, v.answer.why_len)) && derived &&
                ag_json_set(derived, "tier", json_string(book->tiers[v.derived_tier].id)) &&
                ag_json_set(derived, "rule",
                            v.derived_rule >= 0 ? json_string(book->rules[v.derived_rule].id) : json_null());
    good = ag_json_set(object, "derived", derived) && good;
    good = good && ag_json_set(object, "consistent", json_boolean(v.gate));
    return good ? AG_OK : ag_fail_memory(err, "verdicts");
}
