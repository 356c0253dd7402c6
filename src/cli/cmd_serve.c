/* cmd_serve.c: `agrl serve`: the judge behind HTTP. It listens at once, loads the model (/health is 503 until then), serves, and on
 * SIGTERM or Ctrl-C answers what has arrived before it ends.
 */
#include <malloc.h>
#include <string.h>
#include <time.h>
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/judge_open.h"
#include "serve/service.h"

typedef struct serving {
    ag_model_choice choice;
    const char *rules, *lexicon, *catalogue, *token_file, *name;
    ag_option_list maps;
    bool no_log;
    long queue_pairs, max_pairs, body_mb, memory_mb, connections;
    double drain;
    ag_http_options http_options;
    ag_service_options service_options;
    ag_decide_choice decide;
    ag_cache_choice cache;
    ag_judge_setup setup;
    ag_products products;
    ag_bm25 *index;
    ag_engine *engine;
    ag_service *service;
    ag_http *http;
    char *token, *model_name;
    ag_str system_text;
} serving;

/* The last part of what --model says, without slashes behind. */
static char *name_of(const char *model)
{
    size_t n = strlen(model);
    while (n > 1 && model[n - 1] == '/') n--;
    size_t begin = n;
    while (begin > 0 && model[begin - 1] != '/') begin--;
    return ag_strndup(model + begin, n - begin);
}

static ag_status load_catalogue(serving *s, ag_error *err)
{
    ag_str fault = {0};
    if (!s->catalogue) return AG_OK;
    ag_catalogue_file file = {.path = s->catalogue, .maps = s->maps.items, .map_count = s->maps.count};
    AG_TRY(ag_products_load(&s->products, &file, err));
    for (int f = 0; f < AG_PRODUCT_FAULTS; f++) {
        ag_str_clear(&fault);
        if (ag_products_fault(&s->products, (ag_product_fault)f, &fault)) ag_warn("%s", ag_str_text(&fault));
    }
    ag_str_free(&fault);
    return ag_bm25_build(&s->index, s->products.items, s->products.count, ag_book_english(s->setup.book),
                         err);
}

/* What the engine calls: the judge, behind the cache; answers that are written on request are not looked up. */
static ag_status judge_pairs(void *user, const ag_judge_input *inputs, size_t n, ag_judge_answer answer,
                             ag_judgement *out, ag_error *err)
{
    return ag_setup_run(user, inputs, n, answer, out, NULL, err);
}

static ag_status write_answer(void *user, const ag_judge_input *input, const ag_judge_drawing *drawing,
                              ag_judge_text *out, ag_error *err)
{
    const ag_judge_setup *setup = user;
    return ag_judge_write(setup->judge, input, drawing, out, err);
}

static ag_judge_work work_done(void *user)
{
    const ag_judge_setup *setup = user;
    return ag_judge_work_done(setup->judge);
}

static ag_status load(serving *s, ag_error *err)
{
    double begin = ag_clock();
    AG_TRY(ag_setup_model(&s->setup, &s->choice, err));
    AG_TRY(ag_setup_rules(&s->setup, s->rules, s->lexicon, err));
    AG_TRY(ag_setup_calibration(&s->setup, &s->decide, err));
    AG_TRY(ag_setup_judge(&s->setup, &s->choice, err));
    AG_TRY(ag_setup_cache(&s->setup, &s->choice, &s->cache, err));
    AG_TRY(load_catalogue(s, err));
    if (ag_interrupted()) return AG_OK;
    AG_TRY(ag_judge_keep_rules(s->setup.judge, err));
    long batch = s->choice.kv_slots / 128;
    ag_engine_options options = {.queue_pairs = (size_t)s->queue_pairs,
                                 .batch_pairs = batch > 64 ? (size_t)batch : 64};
    ag_engine_backend backend = {&s->setup, judge_pairs, write_answer, work_done};
    AG_TRY(ag_engine_start(&s->engine, &backend, &options, err));
    AG_TRY(ag_prompt_system(&s->system_text, s->setup.book,
                            &ag_judge_options_of(s->setup.judge)->format.prompt, err));
    ag_service_ready(s->service, s->setup.book, ag_str_text(&s->system_text), s->setup.lexicon, s->engine,
                     s->catalogue ? &s->products : NULL, s->index);
    ag_say("ready after %.1f s: model %s, rulebook %s%s", ag_clock() - begin, s->service_options.model,
           s->setup.book->name, s->catalogue ? ", catalogue" : "");
    return AG_OK;
}

static ag_status listen_first(serving *s, ag_error *err)
{
    if (!s->choice.model)
        return ag_fail(err, AG_ERR_USAGE,
                       "--model is missing: a folder, a .gguf file, a run folder or a pulled model's name");
    if (!s->rules) return ag_fail(err, AG_ERR_USAGE, "--rules is missing: a rulebook (see rules/)");
    if (s->maps.count && !s->catalogue) return ag_fail(err, AG_ERR_USAGE, "--map is for --catalogue");
    if (s->max_pairs > s->queue_pairs)
        return ag_fail(err, AG_ERR_USAGE, "--max-pairs %ld is more than the queue holds (--queue-pairs %ld)",
                       s->max_pairs, s->queue_pairs);
    AG_TRY(ag_decide_check(&s->decide, err));
    AG_TRY(ag_cache_check(&s->cache, err));
    if (s->token_file) AG_TRY(ag_http_token_read(&s->token, s->token_file, err));
    s->model_name = s->name ? ag_strdup(s->name) : name_of(s->choice.model);
    if (!s->model_name) return ag_fail_memory(err, "name");
    s->service_options.model = s->model_name;
    s->service_options.max_pairs = (size_t)s->max_pairs;
    AG_TRY(ag_service_create(&s->service, &s->service_options, err));
    s->http_options.token = s->token;
    s->http_options.body_bytes = (size_t)s->body_mb << 20;
    s->http_options.body_total = (size_t)s->memory_mb << 20;
    s->http_options.connections = (int)s->connections;
    if (s->no_log) s->http_options.log = "";
    s->http_options.observe = ag_counters_observe;
    s->http_options.observe_user = s->service->counters;
    AG_TRY(ag_http_start(&s->http, &s->http_options, s->service->routes, err));
    atomic_store(&s->service->http, s->http);
    ag_say("listening on http://%s", ag_http_address(s->http));
    return AG_OK;
}

static ag_status run(serving *s, ag_error *err)
{
    ag_status status = ag_interrupt_begin(err);
#ifdef M_ARENA_MAX
    mallopt(M_ARENA_MAX, 2); /* a heap a connection's thread would keep what each of them once needed */
#endif
    if (status == AG_OK) status = listen_first(s, err);
    if (status == AG_OK) status = load(s, err);
    while (status == AG_OK && !ag_interrupted()) nanosleep(&(struct timespec){0, 50000000}, NULL);
    if (status == AG_OK) ag_say("stopping: answering what has arrived");
    if (s->service) atomic_store(&s->service->http, (ag_http *)NULL);
    int lost = ag_http_stop(s->http, s->drain);
    if (status == AG_OK && lost)
        status = ag_fail(err, AG_ERR_INTERRUPTED,
                         "%d requests were not answered within %g seconds (--drain-seconds)", lost, s->drain);
    ag_engine_stop(s->engine);
    ag_service_free(s->service);
    ag_bm25_free(s->index);
    ag_products_free(&s->products);
    ag_setup_close(&s->setup);
    ag_free(s->token);
    ag_free(s->model_name);
    ag_str_free(&s->system_text);
    return status;
}

int ag_cmd_serve(int argc, char **argv)
{
    serving s = {
        .choice = AG_MODEL_CHOICE_DEFAULTS,
        .decide = AG_DECIDE_CHOICE_DEFAULTS,
        .cache = AG_CACHE_CHOICE_DEFAULTS,
        .queue_pairs = 4096,
        .max_pairs = 1000,
        .body_mb = 4,
        .memory_mb = 64,
        .connections = 256,
        .drain = 60,
        .service_options = {.request_seconds = 60},
        .http_options = {
            .listen = "127.0.0.1:8080", .idle_seconds = 30, .read_seconds = 20, .write_seconds = 60}};
    ag_http_options *h = &s.http_options;
    const ag_option options[] = {
        AG_MODEL_OPTIONS(s.choice),
        {"rules", AG_OPT_STRING, &s.rules, "BOOK", "the rulebook", 0, 0},
        {"lexicon", AG_OPT_STRING, &s.lexicon, "FILE",
         "what the parser knows of the catalogue (default: the model's own)", 0, 0},
        AG_CALIBRATION_OPTION(s.decide),
        AG_DECIDE_OPTIONS(s.decide, AG_DECIDE_DEFAULT),
        AG_CACHE_OPTIONS(s.cache),
        {"catalogue", AG_OPT_STRING, &s.catalogue, "FILE", "products that the page can search", 0, 0},
        {"map", AG_OPT_LIST, &s.maps, "COLUMN=FIELD", "what a column of the catalogue is", 0, 0},
        {"listen", AG_OPT_STRING, &h->listen, "HOST:PORT", "address to listen on; port 0: any", 0, 0},
        {"token-file", AG_OPT_STRING, &s.token_file, "FILE",
         "clients must send the token in it; a public address needs one", 0, 0},
        {"host-name", AG_OPT_STRING, &h->host, "NAME",
         "without a token: the name under which a proxy in front passes requests on", 0, 0},
        {"name", AG_OPT_STRING, &s.name, "NAME",
         "what clients call the model (default: the last part of --model)", 0, 0},
        {"log", AG_OPT_STRING, &h->log, "FILE", "append a JSON line a request here (default: stderr)", 0, 0},
        {"no-log", AG_OPT_FLAG, &s.no_log, NULL, "no line a request", 0, 0},
        {"max-pairs", AG_OPT_INT, &s.max_pairs, "N", "pairs or documents of one request", 1, 1000000},
        {"queue-pairs", AG_OPT_INT, &s.queue_pairs, "N", "pairs that may wait; then 429", 1, 10000000},
        {"body-mb", AG_OPT_INT, &s.body_mb, "N", "largest body in MiB; then 413", 1, 1024},
        {"memory-mb", AG_OPT_INT, &s.memory_mb, "N", "all bodies together in MiB; then 503", 1, 1 << 20},
        {"connections", AG_OPT_INT, &s.connections, "N", "open at once; others wait", 1, 10000},
        {"request-seconds", AG_OPT_NUMBER, &s.service_options.request_seconds, "S",
         "from a request to its answer; then 504", 0.1, 86400},
        {"read-seconds", AG_OPT_NUMBER, &h->read_seconds, "S", "for a request to arrive; then 408", 0.1,
         86400},
        {"write-seconds", AG_OPT_NUMBER, &h->write_seconds, "S", "for an answer to be read", 0.1, 86400},
        {"idle-seconds", AG_OPT_NUMBER, &h->idle_seconds, "S", "for a connection without a request", 0.1,
         86400},
        {"drain-seconds", AG_OPT_NUMBER, &s.drain, "S", "for what has arrived to be answered after SIGTERM",
         0, 86400},
        {NULL, AG_OPT_FLAG, NULL, NULL, NULL, 0, 0}};
    const ag_usage usage = {
        "agrl serve --model M --rules BOOK [options]",
        "Serves a judge over HTTP: /v1/judge, /v1/rerank, /v1/chat/completions, /v1/models, /health, "
        "/metrics, /openapi.json, and a page at /. docs/SERVING.md is the manual.",
        0, 0};
    char **args;
    int n, code = ag_options_parse(&usage, options, argc, argv, &args, &n);
    if (code >= 0) return code;
    ag_error err = {0};
    if (s.no_log && h->log) {
        ag_fail(&err, AG_ERR_USAGE, "--log and --no-log exclude each other");
        return ag_cli_fail(&err);
    }
    return run(&s, &err) == AG_OK ? 0 : ag_cli_fail(&err);
}
