/* api_chat.c: POST /v1/chat/completions in OpenAI's shape, for one pair: the last message holds a query and a product, the answer
 * is the judge's, under the rulebook's grammar. The rulebook is the system message: a client sends none, or the same, or one of those
 * that chat_score.h knows; another one would not be followed, and is refused.
 */
#include "serve/chat_score.h"
#include "serve/service.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/mem.h"

typedef enum chat_form { FORM_TEXT, FORM_JSON, FORM_SCHEMA, FORM_SCORE } chat_form;

/* What answers as JSON may hold, with the JSON types it may have. */
static const struct {
    const char *name, *types;
} members[] = {
    {"tier", "string"},           {"tier_name", "string"}, {"verdicts", "object"}, {"rule", "string|null"},
    {"rule_text", "string|null"}, {"why", "string|null"},  {"derived", "object"},  {"consistent", "boolean"},
};
enum { MEMBERS = sizeof members / sizeof *members };

typedef struct chat {
    chat_form form;
    bool wanted[MEMBERS]; /* of FORM_SCHEMA */
    ag_judge_drawing drawing;
    ag_pair *pair;
    char where[32]; /* the path of the content that holds it */
} chat;

static bool fail(ag_http_response *r, const char *param, const char *code, const char *message)
{
    ag_http_fail(r, 400, param, code, "'%s': %s", param, message);
    return false;
}

static int member(const char *name)
{
    for (int i = 0; i < MEMBERS; i++)
        if (strcmp(members[i].name, name) == 0) return i;
    return -1;
}

/* --- what is not supported -------------------------------------------------------------------------------------- */

/* OpenAI's parameters that this server cannot follow: only the value that changes nothing is taken. */
static bool check_neutral(const json_t *body, ag_http_response *r)
{
    static const struct {
        const char *key, *neutral, *why;
    } rows[] = {
        {"stream", "false", "streaming is not supported"},
        {"stream_options", "null", "streaming is not supported"},
        {"n", "1", "one answer at a time is given"},
        {"tools", "[]", "tools are not supported"},
        {"tool_choice", "\"none\"", "tools are not supported"},
        {"parallel_tool_calls", "null", "tools are not supported"},
        {"functions", "[]", "tools are not supported"},
        {"function_call", "\"none\"", "tools are not supported"},
        {"logprobs", "false", "log-probabilities are not given here; /v1/judge has each tier's probability"},
        {"top_logprobs", "0", "log-probabilities are not given here; /v1/judge has each tier's probability"},
        {"presence_penalty", "0", "penalties are not supported: the grammar decides what may follow"},
        {"frequency_penalty", "0", "penalties are not supported: the grammar decides what may follow"},
        {"logit_bias", "{}", "biases are not supported: the grammar decides what may follow"},
        {"stop", "null", "stop sequences are not supported: an answer ends where the grammar ends it"},
        {"modalities", "[\"text\"]", "only text is supported"},
        {"audio", "null", "only text is supported"},
        {"prediction", "null", "predictions are not supported"},
        {"store", "false", "nothing is stored"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const json_t *value = json_object_get(body, rows[i].key);
        if (!value || json_is_null(value)) continue;
        json_t *neutral = json_loads(rows[i].neutral, JSON_DECODE_ANY, NULL);
        bool same = neutral &&
                    (json_is_number(neutral)
                         ? json_is_number(value) && json_number_value(value) == json_number_value(neutral)
                         : json_equal(value, neutral));
        json_decref(neutral);
        if (!same) return fail(r, rows[i].key, "unsupported_parameter", rows[i].why);
    }
    return true;
}

/* --- response_format --------------------------------------------------------------------------------------------- */

/* Is a JSON type in a schema's "type" (a name or a list of names)? */
static bool allows_type(const json_t *type, const char *name, size_t n)
{
    if (json_is_string(type))
        return json_string_length(type) == n && strncmp(json_string_value(type), name, n) == 0;
    for (size_t i = 0; i < json_array_size(type); i++)
        if (allows_type(json_array_get(type, i), name, n)) return true;
    return false;
}

static bool allows_tiers(const json_t *list, const ag_book *book)
{
    for (int t = 0; t < book->tier_count; t++) {
        bool there = false;
        for (size_t i = 0; i < json_array_size(list); i++) {
            const char *text = json_string_value(json_array_get(list, i));
            there = there || (text && strcmp(text, book->tiers[t].id) == 0);
        }
        if (!there) return false;
    }
    return true;
}

/* Will what the judge gives for member m always fit the schema of that property? */
static bool check_property(const json_t *schema, int m, const char *path, const ag_book *book,
                           ag_http_response *r)
{
    static const char *const names[] = {"type", "enum", "title", "description", NULL};
    if (!json_is_object(schema)) return fail(r, path, "invalid_type", "must be an object");
    if (!ag_body_known(schema, path, names, r)) return false;
    const json_t *type = json_object_get(schema, "type"), *list = json_object_get(schema, "enum");
    for (const char *t = members[m].types; type && *t;) {
        size_t n = strcspn(t, "|");
        if (!allows_type(type, t, n)) {
            ag_http_fail(r, 400, path, "unsupported_schema", "'%s': this member's type is %s here", path,
                         members[m].types);
            return false;
        }
        t += n + (t[n] == '|');
    }
    if (list && (m != 0 || !allows_tiers(list, book)))
        return fail(r, path, "unsupported_schema",
                    "an enum is supported for 'tier' only, and must hold every tier's id");
    return true;
}

static bool unknown_member(ag_http_response *r, const char *path)
{
    return fail(
        r, path, "unsupported_schema",
        "an answer has the members tier, tier_name, verdicts, rule, rule_text, why, derived and consistent");
}

static bool read_schema(chat *c, const json_t *schema, const ag_book *book, ag_http_response *r)
{
    static const char *const names[] = {"type",  "properties",  "required", "additionalProperties",
                                        "title", "description", "$schema",  NULL};
    static const char path[] = "response_format.json_schema.schema";
    char where[AG_BODY_PATH];
    const char *key;
    json_t *value;
    if (!json_is_object(schema)) return fail(r, path, "invalid_type", "must be a JSON schema");
    if (!ag_body_known(schema, path, names, r)) return false;
    const json_t *type = json_object_get(schema, "type"), *properties = json_object_get(schema, "properties"),
                 *required = json_object_get(schema, "required");
    if (!type || !allows_type(type, "object", 6) || !json_is_object(properties))
        return fail(r, path, "unsupported_schema", "must be of type object and have properties");
    json_object_foreach((json_t *)(uintptr_t)properties, key, value)
    {
        int m = member(key);
        ag_body_path(where, "response_format.json_schema.schema.properties", key);
        if (m < 0) return unknown_member(r, where);
        if (!check_property(value, m, where, book, r)) return false;
        c->wanted[m] = true;
    }
    for (size_t i = 0; i < json_array_size(required); i++) {
        const char *name = json_string_value(json_array_get(required, i));
        int m = name ? member(name) : -1;
        if (m < 0 || !c->wanted[m])
            return fail(r, "response_format.json_schema.schema.required", "unsupported_schema",
                        "names what is not among the properties");
    }
    return true;
}

static bool read_form(chat *c, const json_t *body, const ag_book *book, ag_http_response *r)
{
    static const char *const names[] = {"type", "json_schema", NULL}, *const schema_names[] = {
                                                                          "name", "description", "schema",
                                                                          "strict", NULL};
    const json_t *format = json_object_get(body, "response_format"), *schema;
    const char *type = NULL;
    bool strict;
    if (!format || json_is_null(format)) return true;
    if (!json_is_object(format)) return fail(r, "response_format", "invalid_type", "must be an object");
    if (!ag_body_known(format, "response_format", names, r) ||
        !ag_body_text(format, "response_format", "type", true, &type, r))
        return false;
    schema = json_object_get(format, "json_schema");
    if (schema && strcmp(type, "json_schema") != 0)
        return fail(r, "response_format.json_schema", "unsupported_parameter", "needs the type json_schema");
    if (strcmp(type, "text") == 0) return true;
    c->form = strcmp(type, "json_object") == 0 ? FORM_JSON : FORM_SCHEMA;
    if (c->form == FORM_JSON) return true;
    if (strcmp(type, "json_schema") != 0)
        return fail(r, "response_format.type", "unsupported_parameter",
                    "must be text, json_object or json_schema");
    if (!json_is_object(schema))
        return fail(r, "response_format.json_schema", "missing", "must be an object");
    return ag_body_known(schema, "response_format.json_schema", schema_names, r) &&
           ag_body_flag(schema, "response_format.json_schema", "strict", &strict, r) &&
           read_schema(c, json_object_get(schema, "schema"), book, r);
}

/* --- the message --------------------------------------------------------------------------------------------------- */

/* Content is a text or a list of parts {"type": "text", "text": ...}. */
static bool read_content(const json_t *content, const char *path, ag_str *text, ag_http_response *r)
{
    if (json_is_string(content)) {
        ag_str_addn(text, json_string_value(content), json_string_length(content));
        return true;
    }
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i);
        const char *type = json_string_value(json_object_get(part, "type")),
                   *words = json_string_value(json_object_get(part, "text"));
        if (!type || strcmp(type, "text") != 0 || !words)
            return fail(r, path, "unsupported_parameter", "only parts of the type text are supported");
        ag_str_add(text, words);
    }
    if (!json_is_array(content))
        return fail(r, path, "invalid_type", "must be a text or a list of text parts");
    return true;
}

/* "Query: ..." on the first line, then "Product: ..." and all that follows. */
static json_t *pair_of_text(const char *text)
{
    static const char query[] = "Query:", product[] = "Product:";
    text += strspn(text, " \t\r\n");
    if (strncmp(text, query, sizeof query - 1) != 0) return NULL;
    const char *q = text + sizeof query - 1, *end = q + strcspn(q, "\r\n"), *p = end + strspn(end, " \t\r\n");
    if (strncmp(p, product, sizeof product - 1) != 0) return NULL;
    json_t *json = json_object();
    if (json && ag_json_set(json, "query", json_stringn(q, (size_t)(end - q))) &&
        ag_json_set(json, "item", json_string(p + sizeof product - 1)))
        return json;
    json_decref(json);
    return NULL;
}

static bool read_pair(chat *c, ag_service *s, const char *text, const char *path, ag_http_response *r)
{
    ag_error err = {0};
    json_t *json = NULL;
    if (text[strspn(text, " \t\r\n")] == '{') {
        if (ag_json_parse(&json, text, strlen(text), "content", 1, &err) != AG_OK) {
            ag_http_fail(r, 400, path, "invalid_json", "'%s': %s", path, err.message);
            return false;
        }
    } else {
        json = pair_of_text(text);
        if (!json) json = ag_score_pair(text);
    }
    if (!json)
        return fail(r, path, "invalid_pair",
                    "must be {\"query\": ..., \"item\": ...} as JSON, or a line 'Query: ...' and then "
                    "'Product: ...'");
    bool good = ag_body_pair(&c->pair, json, path, s->book, s->lexicon, r);
    json_decref(json);
    return good;
}

/* A message's role and content. */
static bool read_message(const json_t *message, const char *path, const char **role, ag_str *text,
                         ag_http_response *r)
{
    static const char *const names[] = {"role", "content", "name", NULL};
    char where[AG_BODY_PATH];
    if (!json_is_object(message)) return fail(r, path, "invalid_type", "must be an object");
    if (!ag_body_known(message, path, names, r) || !ag_body_text(message, path, "role", true, role, r))
        return false;
    if (json_object_get(message, "name"))
        return fail(r, ag_body_path(where, path, "name"), "unsupported_parameter", "names are not supported");
    if (!read_content(json_object_get(message, "content"), ag_body_path(where, path, "content"), text, r))
        return false;
    if (text->failed) ag_http_fail(r, 503, NULL, NULL, "out of memory");
    return !text->failed;
}

static bool same_text(const char *a, const char *b)
{
    static const char space[] = " \t\r\n";
    size_t n = strlen(a += strspn(a, space)), k = strlen(b += strspn(b, space));
    while (n && strchr(space, a[n - 1])) n--;
    while (k && strchr(space, b[k - 1])) k--;
    return n == k && memcmp(a, b, n) == 0;
}

/* The judge can follow its rulebook only: a system message is the rulebook's, or asks for a form of answer that is known. */
static bool read_system(chat *c, const ag_service *s, const char *text, ag_http_response *r)
{
    if (same_text(text, s->system_text)) return true;
    if (ag_score_asked(text)) {
        if (c->form == FORM_TEXT) c->form = FORM_SCORE;
        return true;
    }
    return fail(
        r, "messages[0].content", "unsupported_parameter",
        "this judge goes by its rulebook and would not follow another system message: leave it out, or "
        "send the member 'system' of GET /v1/rulebook");
}

static bool is_system(const json_t *message)
{
    const char *role = json_string_value(json_object_get(message, "role"));
    return role && (strcmp(role, "system") == 0 || strcmp(role, "developer") == 0);
}

static bool read_messages(chat *c, ag_service *s, const json_t *body, ag_http_response *r)
{
    const json_t *list = NULL;
    const char *role = NULL;
    ag_str text = {0};
    if (!ag_body_list(body, "", "messages", 64, &list, r)) return false;
    size_t n = json_array_size(list), at = is_system(json_array_get(list, 0));
    bool good = !at || (read_message(json_array_get(list, 0), "messages[0]", &role, &text, r) &&
                        read_system(c, s, ag_str_text(&text), r));
    if (good && n != at + 1)
        good = fail(
            r, "messages", "unsupported_parameter",
            "one user message is supported, behind a system message at most: a pair is judged by itself");
    snprintf(c->where, sizeof c->where, "messages[%zu].content", at);
    if (good) {
        ag_str_clear(&text);
        const char *path = at ? "messages[1]" : "messages[0]";
        good = read_message(json_array_get(list, at), path, &role, &text, r);
        if (good && strcmp(role, "user") != 0)
            good = fail(r, at ? "messages[1].role" : "messages[0].role", "unsupported_parameter",
                        "only a user message is supported");
        good = good && read_pair(c, s, ag_str_text(&text), c->where, r);
    }
    ag_str_free(&text);
    return good;
}

static bool read_drawing(chat *c, const json_t *body, ag_http_response *r)
{
    long long seed = 0, most = 0, most_too = 0;
    c->drawing = (ag_judge_drawing){.top_p = 1};
    if (!ag_body_number(body, "", "temperature", 0, 2, &c->drawing.temperature, r) ||
        !ag_body_number(body, "", "top_p", 0, 1, &c->drawing.top_p, r) ||
        !ag_body_int(body, "", "seed", INT64_MIN, INT64_MAX, &seed, r) ||
        !ag_body_int(body, "", "max_tokens", 1, 1 << 20, &most, r) ||
        !ag_body_int(body, "", "max_completion_tokens", 1, 1 << 20, &most_too, r))
        return false;
    if (most && most_too)
        return fail(r, "max_tokens", "unsupported_parameter",
                    "give max_tokens or max_completion_tokens, not both");
    if (c->drawing.top_p == 0)
        c->drawing.temperature = 0, c->drawing.top_p = 1; /* the likeliest token alone */
    c->drawing.seed = (uint64_t)seed;
    c->drawing.max_new = (int32_t)(most ? most : most_too);
    return true;
}

static bool read_chat(chat *c, ag_service *s, const json_t *body, ag_http_response *r)
{
    static const char *const names[] = {"model",
                                        "messages",
                                        "response_format",
                                        "temperature",
                                        "top_p",
                                        "seed",
                                        "max_tokens",
                                        "max_completion_tokens",
                                        "stream",
                                        "stream_options",
                                        "n",
                                        "tools",
                                        "tool_choice",
                                        "functions",
                                        "function_call",
                                        "logprobs",
                                        "top_logprobs",
                                        "presence_penalty",
                                        "frequency_penalty",
                                        "logit_bias",
                                        "stop",
                                        "store",
                                        "parallel_tool_calls",
                                        "modalities",
                                        "audio",
                                        "prediction",
                                        NULL};
    return ag_body_known(body, "", names, r) && ag_service_model(s, body, r) && check_neutral(body, r) &&
           read_drawing(c, body, r) && read_form(c, body, s->book, r) && read_messages(c, s, body, r);
}

/* --- the answer ---------------------------------------------------------------------------------------------------- */

/* The content: the answer's own text, or what its members become (nothing when the answer was cut). */
static ag_status content_of(const chat *c, const ag_book *book, const ag_pair *pair,
                            const ag_judge_text *text, ag_str *out, ag_error *err)
{
    if (c->form == FORM_TEXT) {
        ag_str_add(out, text->text);
        return ag_str_ok(out, err);
    }
    if (!text->finished) return AG_OK;
    json_t *all = json_object(), *o = json_object();
    ag_status status = all && o ? ag_service_explain(all, book, &pair->asked, text->text, err)
                                : ag_fail_memory(err, "answer");
    int tier = status == AG_OK ? ag_book_tier(book, json_string_value(json_object_get(all, "tier"))) : -1;
    if (tier >= 0 && !ag_json_set(all, "tier_name", json_string(book->tiers[tier].name)))
        status = ag_fail_memory(err, "answer");
    if (c->form == FORM_SCORE && status == AG_OK) ag_score_write(out, book, all);
    for (int m = 0; m < MEMBERS && status == AG_OK && c->form != FORM_SCORE; m++) {
        if (c->form == FORM_SCHEMA && !c->wanted[m]) continue;
        if (json_object_set(o, members[m].name, json_object_get(all, members[m].name)) != 0)
            status = ag_fail_memory(err, "answer");
    }
    if (status == AG_OK) status = c->form == FORM_SCORE ? ag_str_ok(out, err) : ag_json_dump(out, o, err);
    json_decref(all);
    json_decref(o);
    return status;
}

static void answer_chat(ag_service *s, const ag_http_request *q, const chat *c, const ag_job *job,
                        ag_http_response *r)
{
    ag_error err = {0};
    ag_str content = {0}, id = {0}, print = {0};
    const ag_judge_text *t = &job->text;
    json_int_t before = t->prompt_tokens, after = t->answer_tokens;
    ag_str_addf(&id, "chatcmpl-%s", q->id);
    ag_str_addf(&print, "agrl-%.12s", s->book->digest);
    if (content_of(c, s->book, job->pairs[0], t, &content, &err) != AG_OK)
        ag_http_fail(r, 500, NULL, NULL, "%s", err.message);
    else
        ag_service_answer(
            r,
            json_pack("{s:s, s:s, s:I, s:s, s:s, s:[{s:i, s:{s:s, s:s}, s:n, s:s}], s:{s:I, s:I, s:I}}", "id",
                      ag_str_text(&id), "object", "chat.completion", "created", (json_int_t)time(NULL),
                      "model", s->options.model, "system_fingerprint", ag_str_text(&print), "choices",
                      "index", 0, "message", "role", "assistant", "content", ag_str_text(&content),
                      "logprobs", "finish_reason", t->finished ? "stop" : "length", "usage", "prompt_tokens",
                      before, "completion_tokens", after, "total_tokens", before + after));
    ag_str_free(&content);
    ag_str_free(&id);
    ag_str_free(&print);
}

void ag_serve_chat(void *user, const ag_http_request *q, ag_http_response *r)
{
    ag_service *s = user;
    json_t *body = NULL;
    chat c = {0};
    if (!ag_service_check(s, r)) return;
    bool good = ag_body_parse(&body, q, r) && read_chat(&c, s, body, r);
    ag_job *job = good ? ag_job_new(1) : NULL;
    if (good && !job) ag_http_fail(r, 503, NULL, NULL, "out of memory");
    if (job) {
        job->pairs[0] = c.pair;
        job->write = true;
        job->drawing = c.drawing;
        if (ag_service_run(s, q, job, c.where, r)) answer_chat(s, q, &c, job, r);
        ag_job_release(job);
    } else {
        ag_pair_free(c.pair);
    }
    json_decref(body);
}
