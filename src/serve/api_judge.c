/* api_judge.c: POST /v1/judge and POST /v1/rerank. */
#include "serve/service.h"

#include <stdio.h>
#include <string.h>
#include "base/mem.h"

/* --- /v1/judge ---------------------------------------------------------------------------------------------- */

/* What did not fit into the prompt, only where something did not. */
static bool put_loss(json_t *o, const ag_prompt_loss *loss)
{
    if (!loss->description_tokens && !loss->attributes && !loss->title_tokens) return true;
    json_t *cut = json_object();
    return ag_json_set(o, "cut", cut) &&
           ag_json_set(cut, "description_tokens", json_integer(loss->description_tokens)) &&
           ag_json_set(cut, "attributes", json_integer(loss->attributes)) &&
           ag_json_set(cut, "title_tokens", json_integer(loss->title_tokens));
}

/* Under think-first orders an answer may end with another tier than the likeliest one, which stays the headline. */
static bool put_headline(json_t *o, const ag_book *book, const ag_judgement *d)
{
    json_t *written = json_object_get(o, "tier");
    const char *id = book->tiers[d->tier].id;
    if (strcmp(json_string_value(written), id) == 0) return true;
    return json_object_set(o, "answer_tier", written) == 0 && ag_json_set(o, "tier", json_string(id)) &&
           ag_json_set(o, "consistent", json_false());
}

static json_t *result_of(const ag_book *book, const ag_pair *p, const ag_judgement *d, ag_error *err)
{
    json_t *o = json_object(), *probabilities = json_object();
    bool good = ag_json_set(o, "id", json_string(p->id)) &&
                ag_json_set(o, "tier", json_string(book->tiers[d->tier].id)) &&
                ag_json_set(o, "tier_name", json_string(book->tiers[d->tier].name));
    for (int t = 0; t < book->tier_count && good && probabilities; t++)
        good = ag_json_set(probabilities, book->tiers[t].id, json_real(d->probability[t]));
    good = ag_json_set(o, "probabilities", probabilities) && good;
    good = good && ag_json_set(o, "gain", json_real(d->gain)) &&
           ag_json_set(o, "asked_source",
                       json_string(p->asked.source == AG_ASKED_GIVEN ? "given" : "parsed")) &&
           put_loss(o, &d->loss);
    if (good && d->answer) {
        good = ag_json_set(o, "asked", ag_asked_to_json(&p->asked)) &&
               ag_service_explain(o, book, &p->asked, d->answer, err) == AG_OK && put_headline(o, book, d);
    }
    if (good) return o;
    json_decref(o);
    return NULL;
}

static json_t *rulebook_name(const ag_book *book)
{
    return json_pack("{s:s, s:s, s:s}", "name", book->name, "version", book->version ? book->version : "",
                     "digest", book->digest);
}

static void answer_judged(ag_service *s, const ag_job *job, ag_http_response *r)
{
    ag_error err = {0};
    json_t *o = json_object(), *list = json_array();
    bool good = ag_json_set(o, "model", json_string(s->options.model)) &&
                ag_json_set(o, "rulebook", rulebook_name(s->book));
    good = ag_json_set(o, "results", list) && good;
    for (size_t i = 0; i < job->count && good; i++)
        good = json_array_append_new(list, result_of(s->book, job->pairs[i], &job->judged[i], &err)) == 0;
    if (good) {
        ag_service_answer(r, o);
        return;
    }
    json_decref(o);
    ag_http_fail(r, 500, NULL, NULL, "%s", err.message[0] ? err.message : "out of memory");
}

void ag_serve_judge(void *user, const ag_http_request *q, ag_http_response *r)
{
    static const char *const names[] = {"model", "pairs", "explain", NULL};
    ag_service *s = user;
    json_t *body = NULL;
    const json_t *pairs = NULL;
    ag_job *job = NULL;
    bool explain = true;
    if (!ag_service_check(s, r)) return;
    bool good = ag_body_parse(&body, q, r) && ag_body_known(body, "", names, r) &&
                ag_service_model(s, body, r) && ag_body_flag(body, "", "explain", &explain, r) &&
                ag_body_list(body, "", "pairs", s->options.max_pairs, &pairs, r);
    if (good && !(job = ag_job_new(json_array_size(pairs)))) {
        ag_http_fail(r, 503, NULL, NULL, "out of memory");
        good = false;
    }
    for (size_t i = 0; good && i < job->count; i++) {
        char path[32];
        snprintf(path, sizeof path, "pairs[%zu]", i);
        good = ag_body_pair(&job->pairs[i], json_array_get(pairs, i), path, s->book, s->lexicon, r);
    }
    json_decref(body);
    if (good) {
        job->explain = explain;
        if (ag_service_run(s, q, job, "pairs", r)) answer_judged(s, job, r);
    }
    ag_job_release(job);
}

/* --- /v1/rerank ----------------------------------------------------------------------------------------------- */

typedef struct rerank {
    const char *query;
    const json_t *documents;
    long long top_n;
    bool return_documents;
} rerank;

static bool read_rerank(ag_service *s, const json_t *body, rerank *x, ag_http_response *r)
{
    static const char *const names[] = {"model", "query", "documents", "top_n", "return_documents", NULL};
    if (!ag_body_known(body, "", names, r) || !ag_service_model(s, body, r) ||
        !ag_body_text(body, "", "query", true, &x->query, r) ||
        !ag_body_list(body, "", "documents", s->options.max_pairs, &x->documents, r))
        return false;
    x->top_n = (long long)json_array_size(x->documents);
    return ag_body_int(body, "", "top_n", 1, 1000000, &x->top_n, r) &&
           ag_body_flag(body, "", "return_documents", &x->return_documents, r);
}

/* A document as a pair: a text, {"text": ...}, or an item. */
static bool read_document(ag_service *s, const rerank *x, size_t i, ag_pair **pair, ag_http_response *r)
{
    char path[48];
    const json_t *document = json_array_get(x->documents, i), *item = document;
    snprintf(path, sizeof path, "documents[%zu]", i);
    if (!json_is_string(document) && !json_is_object(document)) {
        ag_http_fail(r, 400, path, "invalid_type", "'%s' must be a text or an item", path);
        return false;
    }
    if (json_is_object(document) && json_is_string(json_object_get(document, "text")) &&
        !json_object_get(document, "title"))
        item = json_object_get(document, "text");
    json_t *json = json_pack("{s:s, s:O}", "query", x->query, "item", item);
    if (!json) {
        ag_http_fail(r, 503, NULL, NULL, "out of memory");
        return false;
    }
    bool good = ag_body_pair(pair, json, path, s->book, s->lexicon, r);
    json_decref(json);
    return good;
}

/* Expected gain as a share of the way from the least gain to the greatest. */
static double relevance(const ag_book *book, double gain)
{
    double lo = book->tiers[0].gain, hi = lo;
    for (int t = 1; t < book->tier_count; t++) {
        if (book->tiers[t].gain < lo) lo = book->tiers[t].gain;
        if (book->tiers[t].gain > hi) hi = book->tiers[t].gain;
    }
    double share = hi > lo ? (gain - lo) / (hi - lo) : 0;
    return share < 0 ? 0 : share > 1 ? 1 : share;
}

static int by_gain(const void *a, const void *b, void *user)
{
    size_t i = *(const size_t *)a, j = *(const size_t *)b;
    const ag_judgement *judged = user;
    if (judged[i].gain != judged[j].gain) return judged[i].gain > judged[j].gain ? -1 : 1;
    return i < j ? -1 : 1;
}

static json_t *ranked(const ag_service *s, const rerank *x, const ag_job *job, size_t i)
{
    json_t *o = json_object();
    json_t *document = json_array_get(x->documents, i);
    bool good = ag_json_set(o, "index", json_integer((json_int_t)i)) &&
                ag_json_set(o, "relevance_score", json_real(relevance(s->book, job->judged[i].gain)));
    if (good && x->return_documents)
        good = ag_json_set(o, "document",
                           json_is_string(document) ? json_pack("{s:O}", "text", document)
                                                    : json_incref(document));
    if (good) return o;
    json_decref(o);
    return NULL;
}

static void answer_ranked(ag_service *s, const ag_http_request *q, const rerank *x, const ag_job *job,
                          ag_http_response *r)
{
    json_t *o = json_object(), *list = json_array();
    size_t *order = ag_calloc(job->count, sizeof *order);
    long long tokens = 0;
    for (size_t i = 0; order && i < job->count; i++) {
        order[i] = i;
        tokens += job->judged[i].prompt_tokens;
    }
    if (order) qsort_r(order, job->count, sizeof *order, by_gain, job->judged);
    bool good = order && ag_json_set(o, "id", json_string(q->id)) &&
                ag_json_set(o, "model", json_string(s->options.model)) &&
                ag_json_set(o, "usage", json_pack("{s:I}", "total_tokens", (json_int_t)tokens));
    good = ag_json_set(o, "results", list) && good;
    for (size_t i = 0; good && i < job->count && (long long)i < x->top_n; i++)
        good = json_array_append_new(list, ranked(s, x, job, order[i])) == 0;
    ag_free(order);
    if (!good) {
        json_decref(o);
        o = NULL;
    }
    ag_service_answer(r, o);
}

void ag_serve_rerank(void *user, const ag_http_request *q, ag_http_response *r)
{
    ag_service *s = user;
    json_t *body = NULL;
    ag_job *job = NULL;
    rerank x = {0};
    if (!ag_service_check(s, r)) return;
    bool good = ag_body_parse(&body, q, r) && read_rerank(s, body, &x, r);
    if (good && !(job = ag_job_new(json_array_size(x.documents)))) {
        ag_http_fail(r, 503, NULL, NULL, "out of memory");
        good = false;
    }
    for (size_t i = 0; good && i < job->count; i++) good = read_document(s, &x, i, &job->pairs[i], r);
    if (good && ag_service_run(s, q, job, "documents", r)) answer_ranked(s, q, &x, job, r);
    ag_job_release(job);
    json_decref(body);
}
