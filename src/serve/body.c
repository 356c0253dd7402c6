/* body.c: see body.h. */
#include "serve/body.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "eval/judge.h"

enum { TITLE_BYTES = 200 };

/* Counts nesting and values before anything is allocated for them. False: past a bound. */
static bool within_bounds(const char *text, size_t n, const char **what)
{
    int depth = 0;
    size_t values = 0;
    bool string = false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (string) {
            if (c == '\\') i++;
            if (c == '"') string = false;
            continue;
        }
        string = c == '"';
        if (c == '[' || c == '{') depth++;
        if (c == ']' || c == '}') depth--;
        values += c == ',' || c == ':' || c == '[' || c == '{';
        if (depth > AG_BODY_DEPTH) {
            *what = "nested deeper than 64 levels";
            return false;
        }
        if (values > AG_BODY_VALUES) {
            *what = "made of more values than this server takes; send fewer at a time";
            return false;
        }
    }
    return true;
}

bool ag_body_parse(json_t **json, const ag_http_request *q, ag_http_response *r)
{
    ag_error err = {0};
    const char *what = "";
    size_t bad = 0;
    *json = NULL;
    if (q->body_len == 0) {
        ag_http_fail(r, 400, NULL, "empty_body", "the body is empty; send a JSON object");
    } else if (!ag_utf8_valid(q->body, q->body_len, &bad)) {
        ag_http_fail(r, 400, NULL, "invalid_utf8", "the body is not valid UTF-8 at byte %zu", bad);
    } else if (!within_bounds(q->body, q->body_len, &what)) {
        ag_http_fail(r, *what == 'n' ? 400 : 413, NULL, "too_complex", "the body is %s", what);
    } else {
        ag_status status = ag_json_parse(json, q->body, q->body_len, "body", 1, &err);
        if (status == AG_OK && json_is_object(*json)) return true;
        if (status == AG_OK)
            ag_http_fail(r, 400, NULL, "invalid_type", "the body must be a JSON object");
        else
            ag_http_fail(r, status == AG_ERR_MEMORY ? 503 : 400, NULL, "invalid_json", "%s", err.message);
    }
    json_decref(*json);
    *json = NULL;
    return false;
}

const char *ag_body_path(char out[AG_BODY_PATH], const char *path, const char *key)
{
    snprintf(out, AG_BODY_PATH, "%.120s%s%.60s", path, *path ? "." : "", key);
    return out;
}

/* near_only: members that look like none of names are left alone. */
static bool check_known(const json_t *object, const char *path, const char *const *names, bool near_only,
                        ag_http_response *r)
{
    char where[AG_BODY_PATH];
    const char *key;
    json_t *value;
    size_t n = 0;
    while (names[n]) n++;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        bool known = false;
        for (size_t i = 0; i < n && !known; i++) known = strcmp(key, names[i]) == 0;
        const char *nearest = known ? NULL : ag_nearest(key, names, n);
        if (known || (near_only && !nearest)) continue;
        ag_http_fail(r, 400, ag_body_path(where, path, key), "unknown_parameter",
                     nearest ? "'%s' is not supported here; is '%s' meant?" : "'%s' is not supported here",
                     where, nearest);
        return false;
    }
    return true;
}

bool ag_body_known(const json_t *object, const char *path, const char *const *names, ag_http_response *r)
{
    return check_known(object, path, names, false, r);
}

static bool wrong_type(const char *path, const char *key, const char *must, ag_http_response *r)
{
    char where[AG_BODY_PATH];
    ag_body_path(where, path, key);
    ag_http_fail(r, 400, where, "invalid_type", "'%s' must be %s", where, must);
    return false;
}

bool ag_body_text(const json_t *object, const char *path, const char *key, bool required, const char **value,
                  ag_http_response *r)
{
    char where[AG_BODY_PATH];
    const json_t *v = json_object_get(object, key);
    if (!v || json_is_null(v)) {
        if (required)
            ag_http_fail(r, 400, ag_body_path(where, path, key), "missing", "'%s' is missing", where);
        return !required;
    }
    if (!json_is_string(v)) return wrong_type(path, key, "a string", r);
    *value = json_string_value(v);
    return true;
}

bool ag_body_int(const json_t *object, const char *path, const char *key, long long lo, long long hi,
                 long long *value, ag_http_response *r)
{
    char must[96];
    const json_t *v = json_object_get(object, key);
    if (!v || json_is_null(v)) return true;
    snprintf(must, sizeof must, "a whole number from %lld to %lld", lo, hi);
    if (!json_is_integer(v) || json_integer_value(v) < lo || json_integer_value(v) > hi)
        return wrong_type(path, key, must, r);
    *value = json_integer_value(v);
    return true;
}

bool ag_body_number(const json_t *object, const char *path, const char *key, double lo, double hi,
                    double *value, ag_http_response *r)
{
    char must[96];
    const json_t *v = json_object_get(object, key);
    if (!v || json_is_null(v)) return true;
    snprintf(must, sizeof must, "a number from %g to %g", lo, hi);
    if (!json_is_number(v) || !(json_number_value(v) >= lo && json_number_value(v) <= hi))
        return wrong_type(path, key, must, r);
    *value = json_number_value(v);
    return true;
}

bool ag_body_flag(const json_t *object, const char *path, const char *key, bool *value, ag_http_response *r)
{
    const json_t *v = json_object_get(object, key);
    if (!v || json_is_null(v)) return true;
    if (!json_is_boolean(v)) return wrong_type(path, key, "true or false", r);
    *value = json_is_true(v);
    return true;
}

bool ag_body_list(const json_t *object, const char *path, const char *key, size_t most, const json_t **value,
                  ag_http_response *r)
{
    char where[AG_BODY_PATH];
    const json_t *v = json_object_get(object, key);
    ag_body_path(where, path, key);
    if (!json_is_array(v))
        ag_http_fail(r, 400, where, v ? "invalid_type" : "missing",
                     v ? "'%s' must be a list" : "'%s' is missing", where);
    else if (json_array_size(v) == 0)
        ag_http_fail(r, 400, where, "empty", "'%s' is empty", where);
    else if (json_array_size(v) > most)
        ag_http_fail(r, 413, where, "too_many", "'%s' has %zu entries; this server takes %zu at a time",
                     where, json_array_size(v), most);
    else
        *value = v;
    return r->status == 0;
}

/* --- pairs -------------------------------------------------------------------------------------------------- */

json_t *ag_item_of_text(const char *text)
{
    text += strspn(text, " \t\r\n");
    size_t n = strcspn(text, "\r\n"), title = n;
    if (title > TITLE_BYTES) {
        title = TITLE_BYTES;
        while (title > 0 && text[title] != ' ') title--;
        if (title == 0)
            for (title = TITLE_BYTES; ((unsigned char)text[title] & 0xC0) == 0x80;) title--;
    }
    const char *rest = text + title + strspn(text + title, " \t\r\n");
    json_t *item = json_object();
    if (item && ag_json_set(item, "title", json_stringn(text, title)) &&
        (!*rest || ag_json_set(item, "description", json_string(rest))))
        return item;
    json_decref(item);
    return NULL;
}

/* The pair's reader says "pair:N: item.price must be ..." or "pair:N: no 'item.title' ...": the field at fault is the word there
 * that begins like a member of a pair. */
static void fail_pair(ag_http_response *r, const char *path, ag_status status, const char *message)
{
    static const char *const members[] = {"query",  "item", "asked",   "type", "id",
                                          "locale", "gold", "ratings", "url",  "image"};
    char field[96] = "", where[AG_BODY_PATH];
    const char *text = strstr(message, ": ");
    text = text ? text + 2 : message;
    const char *word = strncmp(text, "no '", 4) == 0 ? text + 4 : text;
    size_t n = strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.[]#-");
    for (size_t i = 0; i < sizeof members / sizeof *members && !*field; i++) {
        size_t k = strlen(members[i]);
        if (n >= k && n < sizeof field && strncmp(word, members[i], k) == 0 &&
            (n == k || strchr(".[", word[k])))
            snprintf(field, sizeof field, "%.*s", (int)n, word);
    }
    if (*field)
        ag_body_path(where, path, field);
    else
        snprintf(where, sizeof where, "%s", path);
    ag_http_fail(r, status == AG_ERR_MEMORY ? 503 : 400, *where ? where : NULL, "invalid_pair", "%s%s%s",
                 path, *path ? ": " : "", text);
}

bool ag_body_pair(ag_pair **pair, const json_t *json, const char *path, const ag_book *book,
                  const ag_lexicon *lexicon, ag_http_response *r)
{
    static const char *const names[] = {"id",   "query",   "item",  "asked", "asked_source", "type", "locale",
                                        "gold", "ratings", "slice", "url",   "image",        NULL};
    ag_error err = {0};
    *pair = NULL;
    if (!json_is_object(json)) {
        ag_http_fail(r, 400, path, "invalid_type", "'%s' must be an object with query and item", path);
        return false;
    }
    if (!check_known(json, path, names, true, r)) return false;
    json_t *copy = json_copy((json_t *)(uintptr_t)json); /* shallow */
    const char *text = json_string_value(json_object_get(json, "item"));
    ag_status status = copy && (!text || ag_json_set(copy, "item", ag_item_of_text(text)))
                           ? AG_OK
                           : ag_fail_memory(&err, "pair");
    if (status == AG_OK) status = ag_pair_from_json(pair, copy, "pair", 1, book, AG_AGGREGATE_GIVEN, &err);
    if (status == AG_OK) status = ag_pair_fill_asked(*pair, lexicon, &err);
    json_decref(copy);
    if (status == AG_OK) return true;
    fail_pair(r, path, status, err.message);
    ag_pair_free(*pair);
    *pair = NULL;
    return false;
}
