/* sxs_site.c: the routes of the judges' site; see sxs_site.h. */
#include "serve/sxs_site.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/json.h"
#include "base/mem.h"
#include "serve/sxs_pages.h"

enum { ANSWER_BYTES = 64 * 1024, ROUTES = 9, DESCRIPTION = 1500 };

struct ag_sxs_site {
    ag_http *http;
    ag_sxs_store *store;
    bool open;
    ag_str images; /* origins, separated by spaces */
    char secret
        [33]; /* no route needs it: links are the secrets here, but http.c wants one for public addresses */
    ag_http_route routes[ROUTES];
};

/* --- answers -------------------------------------------------------------------------------------------- */

static void fail(ag_http_response *response, const ag_error *err)
{
    int status = err->code == AG_ERR_INPUT ? 400 : err->code == AG_ERR_USAGE ? 409 : 500;
    /* What went wrong inside may name the study's file: that is for the log. */
    if (status == 500) {
        snprintf(response->note, sizeof response->note, "%.190s", err->message);
        ag_http_fail(response, status, NULL, NULL, "the study's file cannot be used at present");
    } else {
        ag_http_fail(response, status, NULL, NULL, "%s", err->message);
    }
}

static void send_json(ag_http_response *response, json_t *json)
{
    ag_error err = {0};
    ag_status status = json ? ag_json_dump(&response->text, json, &err) : ag_fail_memory(&err, "an answer");
    if (status != AG_OK) fail(response, &err);
    ag_http_add_header(response, "Cache-Control", "no-store");
    json_decref(json);
}

/* The judge of the request; 0 after answering 401 or 500. */
static int64_t judge_of(ag_sxs_site *site, const ag_http_request *request, ag_http_response *response)
{
    ag_error err = {0};
    int64_t judge = 0;
    const char *token = ag_http_header(request, "X-Judge");
    if (token && *token && ag_sxs_store_judge(site->store, token, &judge, &err) != AG_OK) {
        fail(response, &err);
        return 0;
    }
    if (!judge) ag_http_fail(response, 401, NULL, NULL, "no judge has this link");
    return judge;
}

/* --- images --------------------------------------------------------------------------------------------- */

/* Does the address begin with one of the origins, and go on with a path? */
static bool allowed(const ag_sxs_site *site, const char *url)
{
    for (const char *at = ag_str_text(&site->images); url && *at; at += strspn(at, " ")) {
        size_t n = strcspn(at, " ");
        if (strncmp(url, at, n) == 0 && url[n] == '/') return true;
        at += n;
    }
    return false;
}

/* Takes out of a list of items what judges do not need, or must not load. */
static void clean_items(const ag_sxs_site *site, const json_t *list)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        const char *text = json_string_value(json_object_get(item, "description"));
        if (!allowed(site, json_string_value(json_object_get(item, "image")))) json_object_del(item, "image");
        json_object_del(item, "category");
        if (!text || strlen(text) <= DESCRIPTION) continue;
        size_t n = DESCRIPTION;
        while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80) n--; /* whole characters */
        json_object_set_new(item, "description", json_stringn(text, n));
    }
}

/* --- routes --------------------------------------------------------------------------------------------- */

static void send_file(ag_http_response *response, int which)
{
    const ag_sxs_file *file = &ag_sxs_files[which];
    response->content_type = file->type;
    response->fixed = file->bytes;
    response->fixed_len = (size_t)(file->end - file->bytes);
    ag_http_add_header(response, "Cache-Control", "no-cache");
}

static void get_html(void *user, const ag_http_request *request, ag_http_response *response)
{
    (void)user;
    (void)request;
    send_file(response, AG_SXS_HTML);
}

static void get_css(void *user, const ag_http_request *request, ag_http_response *response)
{
    (void)user;
    (void)request;
    send_file(response, AG_SXS_CSS);
}

static void get_js(void *user, const ag_http_request *request, ag_http_response *response)
{
    (void)user;
    (void)request;
    send_file(response, AG_SXS_JS);
}

static void send_task(ag_sxs_site *site, const ag_http_request *request, ag_http_response *response,
                      bool last)
{
    ag_error err = {0};
    json_t *task = NULL;
    int64_t judge = judge_of(site, request, response);
    if (!judge) return;
    if ((last ? ag_sxs_store_last : ag_sxs_store_next)(site->store, judge, &task, &err) != AG_OK) {
        fail(response, &err);
        return;
    }
    clean_items(site, json_object_get(task, "left"));
    clean_items(site, json_object_get(task, "right"));
    send_json(response, task);
}

static void get_task(void *user, const ag_http_request *request, ag_http_response *response)
{
    send_task(user, request, response, false);
}

static void get_last(void *user, const ag_http_request *request, ag_http_response *response)
{
    send_task(user, request, response, true);
}

static void post_answer(void *user, const ag_http_request *request, ag_http_response *response)
{
    ag_sxs_site *site = user;
    ag_error err = {0};
    json_t *answer = NULL;
    int64_t judge = judge_of(site, request, response);
    if (!judge) return;
    ag_status status = ag_json_parse(&answer, request->body, request->body_len, "answer", 1, &err);
    if (status == AG_OK) status = ag_sxs_store_answer(site->store, judge, answer, &err);
    json_decref(answer);
    if (status == AG_OK)
        send_json(response, json_pack("{s:b}", "saved", 1));
    else
        fail(response, &err);
}

static void get_open(void *user, const ag_http_request *request, ag_http_response *response)
{
    const ag_sxs_site *site = user;
    (void)request;
    send_json(response, json_pack("{s:b}", "open", site->open));
}

static void post_enter(void *user, const ag_http_request *request, ag_http_response *response)
{
    ag_sxs_site *site = user;
    ag_error err = {0};
    json_t *json = NULL;
    char token[AG_SXS_TOKEN];
    int64_t judge;
    if (!site->open) {
        ag_http_fail(response, 403, NULL, NULL,
                     "this study is by invitation: please open the link that you were given");
        return;
    }
    ag_status status = ag_json_parse(&json, request->body, request->body_len, "body", 1, &err);
    const char *name = json_string_value(json_object_get(json, "name"));
    if (status == AG_OK && !name) status = ag_fail(&err, AG_ERR_INPUT, "body: 'name' must be a text");
    if (status == AG_OK) status = ag_sxs_store_invite(site->store, name, false, token, &judge, &err);
    if (status == AG_OK)
        send_json(response, json_pack("{s:s}", "token", token));
    else
        fail(response, &err);
    json_decref(json);
}

/* --- start and stop ------------------------------------------------------------------------------------- */

static const ag_http_route routes[ROUTES] = {
    {"GET", "/", get_html, NULL, AG_HTTP_OPEN, 0, NULL},
    {"GET", "/sxs.css", get_css, NULL, AG_HTTP_OPEN | AG_HTTP_QUIET, 0, NULL},
    {"GET", "/sxs.js", get_js, NULL, AG_HTTP_OPEN | AG_HTTP_QUIET, 0, NULL},
    {"GET", "/api/task", get_task, NULL, AG_HTTP_OPEN, 0, NULL},
    {"GET", "/api/last", get_last, NULL, AG_HTTP_OPEN, 0, NULL},
    {"POST", "/api/answer", post_answer, "application/json", AG_HTTP_OPEN, ANSWER_BYTES, NULL},
    {"GET", "/api/open", get_open, NULL, AG_HTTP_OPEN | AG_HTTP_QUIET, 0, NULL},
    {"POST", "/api/enter", post_enter, "application/json", AG_HTTP_OPEN, 4096, NULL},
    {NULL, NULL, NULL, NULL, 0, 0, NULL},
};

/* Origins as the policy and `allowed` take them. */
static ag_status read_images(ag_sxs_site *site, const ag_sxs_site_options *options, ag_error *err)
{
    for (int i = 0; i < options->image_count; i++) {
        const char *given = options->images[i];
        bool plain = strncmp(given, "http://", 7) == 0, secure = strncmp(given, "https://", 8) == 0;
        const char *host = given + (plain ? 7 : secure ? 8 : 0);
        if (!*host || host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:")])
            return ag_fail(err, AG_ERR_USAGE, "'%s' is no host for images: write img.shop.example", given);
        ag_str_addf(&site->images, "%s%s://%s", i ? " " : "", plain ? "http" : "https", host);
    }
    return ag_str_ok(&site->images, err);
}

static ag_status make_secret(char secret[33], ag_error *err)
{
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return ag_fail_errno(err, "cannot draw", "random numbers");
    for (int i = 0; i < 16; i++) snprintf(secret + 2 * i, 3, "%02x", bytes[i]);
    return AG_OK;
}

ag_status ag_sxs_site_start(ag_sxs_site **out, ag_sxs_store *store, const ag_sxs_site_options *options,
                            ag_error *err)
{
    ag_sxs_site *site = ag_calloc(1, sizeof *site);
    *out = NULL;
    if (!site) return ag_fail_memory(err, "the site");
    site->store = store;
    site->open = options->open;
    memcpy(site->routes, routes, sizeof routes);
    for (int i = 0; i < ROUTES; i++) site->routes[i].user = site;
    ag_status status = read_images(site, options, err);
    if (status == AG_OK) status = make_secret(site->secret, err);
    if (status == AG_OK) {
        ag_http_options http = {.listen = options->listen,
                                .host = options->host,
                                .log = options->log,
                                .token = site->open ? NULL : site->secret,
                                .images = site->images.len ? ag_str_text(&site->images) : NULL};
        status = ag_http_start(&site->http, &http, site->routes, err);
    }
    if (status == AG_OK)
        *out = site;
    else
        ag_sxs_site_stop(site, 0);
    return status;
}

const char *ag_sxs_site_address(const ag_sxs_site *site)
{
    return ag_http_address(site->http);
}

int ag_sxs_site_stop(ag_sxs_site *site, double grace)
{
    if (!site) return 0;
    int cut = ag_http_stop(site->http, grace);
    ag_str_free(&site->images);
    ag_free(site);
    return cut;
}
