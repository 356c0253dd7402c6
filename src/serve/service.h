/* service.h: the judge as a web service: what the handlers share, and their table of routes. docs/SERVING.md is the manual. */
#ifndef AG_SERVE_SERVICE_H
#define AG_SERVE_SERVICE_H

#include <pthread.h>
#include <stdatomic.h>
#include "data/bm25.h"
#include "data/catalogue.h"
#include "serve/body.h"
#include "serve/engine.h"
#include "serve/http.h"
#include "serve/counters.h"

typedef struct ag_service_options {
    const char *model;      /* what clients call it */
    size_t max_pairs;       /* of one request; 0: 1000 */
    double request_seconds; /* from its arrival to its answer: 504; 0: 60 */
} ag_service_options;

typedef struct ag_service {
    ag_service_options options;
    long long created; /* seconds since 1970 */
    atomic_bool ready; /* what follows is there, and stays */
    const ag_book *book;
    const char *system_text; /* of the model's prompts: the rulebook's */
    const ag_lexicon *lexicon;
    ag_engine *engine;
    const ag_products *catalogue; /* NULL: none */
    ag_bm25 *index;
    pthread_mutex_t index_lock; /* the index holds the scores of the query at hand */
    ag_counters *counters;
    ag_http_route *routes;
    _Atomic(ag_http *) http; /* for the number of connections */
} ag_service;

/* Options' texts are borrowed. Routes answer 503 until ag_service_ready. */
ag_status ag_service_create(ag_service **service, const ag_service_options *options, ag_error *err);
/* All is borrowed and must outlive the HTTP server; catalogue and index may be NULL. */
void ag_service_ready(ag_service *service, const ag_book *book, const char *system_text,
                      const ag_lexicon *lexicon, ag_engine *engine, const ag_products *catalogue,
                      ag_bm25 *index);
/* After the HTTP server has stopped. Safe with NULL. */
void ag_service_free(ag_service *service);

/* --- what the handlers' files share --------------------------------------------------------------------------- */

/* False, with a 503 in the answer, while the model is being loaded. */
bool ag_service_check(ag_service *service, ag_http_response *response);
/* The request's "model" must be absent or ours: else 404. */
bool ag_service_model(ag_service *service, const json_t *body, ag_http_response *response);
/* Gives the job to the engine; false with the answer made when it did not come to its end, or when a pair failed (the field is then
 * list[bad], or list when it names one thing). */
bool ag_service_run(ag_service *service, const ag_http_request *request, ag_job *job, const char *list,
                    ag_http_response *response);
/* The answer is this JSON (its reference is taken; NULL: out of memory). */
void ag_service_answer(ag_http_response *response, json_t *json);
/* Verdicts, rule, reason and whether they are consistent, of an answer in the book's format, into an object. */
ag_status ag_service_explain(json_t *object, const ag_book *book, const ag_asked *asked, const char *answer,
                             ag_error *err);

void ag_serve_judge(void *service, const ag_http_request *request, ag_http_response *response);
void ag_serve_rerank(void *service, const ag_http_request *request, ag_http_response *response);
void ag_serve_chat(void *service, const ag_http_request *request, ag_http_response *response);
void ag_serve_models(void *service, const ag_http_request *request, ag_http_response *response);
void ag_serve_model(void *service, const ag_http_request *request, ag_http_response *response);
void ag_serve_health(void *service, const ag_http_request *request, ag_http_response *response);
void ag_serve_metrics(void *service, const ag_http_request *request, ag_http_response *response);
void ag_serve_rulebook(void *service, const ag_http_request *request, ag_http_response *response);
void ag_serve_catalogue(void *service, const ag_http_request *request, ag_http_response *response);

/* Files that are part of the program (pages.c); `user` of ag_serve_file's route is one of these. */
typedef struct ag_page_file {
    const char *path, *type, *bytes, *end;
} ag_page_file;
extern const ag_page_file ag_page_files[]; /* ends with a path of NULL */
void ag_serve_file(void *file, const ag_http_request *request, ag_http_response *response);

#endif
