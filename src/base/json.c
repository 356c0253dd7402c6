/* json.c: jansson with our allocations, error messages and spelling of numbers. */
#include "base/json.h"

#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

/* jansson reports some failed allocations as errors of the text, so the allocator itself remembers. Worse, the
 * parser of jansson 2.14 frees twice or reads what it freed when certain allocations fail: while it runs, what our
 * allocator refuses comes from calloc, so that it finishes, and the caller throws away what it made. */
static _Thread_local bool out_of_memory, parsing;

static void *json_alloc(size_t size)
{
    void *block = ag_calloc(size, 1);
    if (block) return block;
    out_of_memory = true;
    return parsing ? calloc(size ? size : 1, 1) : NULL;
}

static void set_allocator(void)
{
    json_set_alloc_funcs(json_alloc, ag_free);
}

/* Before the first use here. What jansson allocated earlier is still released rightly: ag_free is free. */
static void setup(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_allocator);
}

ag_status ag_json_parse(json_t **json, const char *text, size_t len, const char *where, long line,
                        ag_error *err)
{
    json_error_t problem;
    setup();
    out_of_memory = false;
    parsing = true;
    *json = json_loadb(len ? text : "", len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
    parsing = false;
    if (*json && !out_of_memory) return AG_OK;
    json_decref(*json);
    *json = NULL;
    if (out_of_memory) {
        ag_fail_memory(err, "JSON");
        ag_error_prefix(err, "%s:%ld", where, line);
        return AG_ERR_MEMORY;
    }
    long at = line + (problem.line > 0 ? problem.line - 1 : 0);
    if (json_error_code(&problem) == json_error_null_character)
        return ag_fail(err, AG_ERR_INPUT, "%s:%ld:%d: a NUL character (\\u0000) in a text", where, at,
                       problem.column > 0 ? problem.column : 1);
    return ag_fail(err, AG_ERR_INPUT, "%s:%ld:%d: %s", where, at, problem.column > 0 ? problem.column : 1,
                   problem.text);
}

ag_status ag_json_load(json_t **json, const char *path, ag_error *err)
{
    char *text;
    size_t len;
    *json = NULL;
    ag_status status = ag_file_read(path, 0, &text, &len, err);
    if (status != AG_OK) return status;
    bool mark = len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0; /* a byte order mark */
    size_t skip = mark ? 3 : 0;
    status = ag_json_parse(json, text + skip, len - skip, strcmp(path, "-") == 0 ? "<stdin>" : path, 1, err);
    ag_free(text);
    return status;
}

/* --- writing -------------------------------------------------------------------------------------------- */

void ag_json_quote(ag_str *out, const char *text, size_t n)
{
    ag_str_addc(out, '"');
    for (size_t at = 0; at < n;) {
        size_t from = at;
        while (at < n && (unsigned char)text[at] >= 0x20 && (unsigned char)text[at] < 0x80 &&
               text[at] != '"' && text[at] != '\\')
            at++;
        if (at > from) {
            ag_str_addn(out, text + from, at - from);
            continue;
        }
        uint32_t c = ag_utf8_next(text, n, &at);
        char put[4];
        switch (c) {
        case '"': ag_str_add(out, "\\\""); break;
        case '\\': ag_str_add(out, "\\\\"); break;
        case '\n': ag_str_add(out, "\\n"); break;
        case '\r': ag_str_add(out, "\\r"); break;
        case '\t': ag_str_add(out, "\\t"); break;
        case '\b': ag_str_add(out, "\\b"); break;
        case '\f': ag_str_add(out, "\\f"); break;
        default:
            if (c < 0x20)
                ag_str_addf(out, "\\u%04x", (unsigned)c);
            else
                ag_str_addn(out, put, (size_t)ag_utf8_put(c, put));
        }
    }
    ag_str_addc(out, '"');
}

/* The fewest digits that read back as x. At 15 digits or fewer every decimal number survives the way
 * through a normal double and back, and %g drops final zeros, so only 15, 16 and 17 need trying; below the
 * normal range precision is less, and all are tried. */
static void shortest(double x, char text[40])
{
    for (int digits = fabs(x) < 2.3e-308 ? 1 : 15; digits <= 17; digits++) {
        snprintf(text, 40, "%.*g", digits, x);
        if (strtod(text, NULL) == x) break;
    }
    /* In some locales the decimal point is something else; "e+05" is "e5" for less. */
    char *to = text;
    bool exponent = false, leading = false;
    for (const char *from = text; *from; from++) {
        char c = *from;
        if (exponent && c == '+') continue;
        if (leading && c == '0' && from[1]) continue;
        if (c == 'e')
            exponent = leading = true;
        else if (exponent && c != '-')
            leading = false;
        bool known = (c >= '0' && c <= '9') || c == '-' || c == 'e';
        if (!known && (to == text || to[-1] == '.')) continue; /* a point of several bytes */
        *to++ = known ? c : '.';
    }
    *to = '\0';
}

void ag_json_number(ag_str *out, double x)
{
    char text[40];
    if (!isfinite(x)) {
        ag_str_add(out, "null");
    } else if (x == floor(x) && fabs(x) < 1e15) {
        ag_str_addf(out, "%lld", (long long)x);
    } else {
        shortest(x, text);
        ag_str_add(out, text);
    }
}

/* A real stays a real for whoever reads it: 2.0, not 2. */
static void dump_real(ag_str *out, double x)
{
    size_t from = out->len;
    if (x == 0 && signbit(x)) ag_str_addc(out, '-');
    ag_json_number(out, x);
    if (isfinite(x) && !out->failed && !strpbrk(out->data + from, ".e")) ag_str_add(out, ".0");
}

enum { DUMP_DEPTH = 2048 }; /* what the parser takes */

static ag_status dump(ag_str *out, const json_t *json, int depth, ag_error *err)
{
    ag_status status = AG_OK;
    const char *key;
    json_t *value;
    size_t i;
    if (depth > DUMP_DEPTH) return ag_fail(err, AG_ERR_INPUT, "JSON nested deeper than %d", DUMP_DEPTH);
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        ag_str_addc(out, '{');
        bool first = true;
        /* jansson iterates through a pointer that is not const, but changes nothing. */
        json_object_foreach((json_t *)(uintptr_t)json, key, value)
        {
            if (!first) ag_str_addc(out, ',');
            first = false;
            ag_json_quote(out, key, strlen(key));
            ag_str_addc(out, ':');
            if ((status = dump(out, value, depth + 1, err)) != AG_OK) return status;
        }
        ag_str_addc(out, '}');
        break;
    case JSON_ARRAY:
        ag_str_addc(out, '[');
        json_array_foreach(json, i, value)
        {
            if (i > 0) ag_str_addc(out, ',');
            if ((status = dump(out, value, depth + 1, err)) != AG_OK) return status;
        }
        ag_str_addc(out, ']');
        break;
    case JSON_STRING: ag_json_quote(out, json_string_value(json), json_string_length(json)); break;
    case JSON_INTEGER: ag_str_addf(out, "%lld", (long long)json_integer_value(json)); break;
    case JSON_REAL: dump_real(out, json_real_value(json)); break;
    case JSON_TRUE: ag_str_add(out, "true"); break;
    case JSON_FALSE: ag_str_add(out, "false"); break;
    case JSON_NULL: ag_str_add(out, "null"); break;
    }
    return status;
}

ag_status ag_json_dump(ag_str *out, const json_t *json, ag_error *err)
{
    ag_status status = dump(out, json, 1, err);
    return status == AG_OK ? ag_str_ok(out, err) : status;
}

ag_status ag_json_write_line(ag_out *out, json_t *json, ag_error *err)
{
    ag_str line = {0};
    if (!json) return ag_fail_memory(err, "a line of JSON");
    ag_status status = dump(&line, json, 1, err);
    ag_str_addc(&line, '\n');
    if (status == AG_OK) status = ag_str_ok(&line, err);
    if (status == AG_OK) ag_out_write(out, line.data, line.len);
    json_decref(json);
    ag_str_free(&line);
    return status;
}

static ag_status dump_lines(ag_str *out, const json_t *json, ag_error *err)
{
    const char *key, *before = "{\n";
    json_t *value;
    if (!json_is_object(json) || json_object_size(json) == 0) return dump(out, json, 1, err);
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        ag_str_add(out, before);
        ag_str_add(out, "  ");
        ag_json_quote(out, key, strlen(key));
        ag_str_add(out, ": ");
        ag_status status = dump(out, value, 2, err);
        if (status != AG_OK) return status;
        before = ",\n";
    }
    ag_str_add(out, "\n}");
    return AG_OK;
}

ag_status ag_json_save(const char *path, const json_t *json, ag_error *err)
{
    ag_str text = {0};
    ag_out *out = NULL;
    ag_status status = dump_lines(&text, json, err);
    ag_str_addc(&text, '\n');
    if (status == AG_OK) status = ag_str_ok(&text, err);
    if (status == AG_OK) status = ag_out_open(&out, path, err);
    if (status == AG_OK) {
        ag_out_write(out, text.data, text.len);
        status = ag_out_commit(out, err);
    }
    ag_str_free(&text);
    return status;
}

bool ag_json_set(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

/* --- typed members -------------------------------------------------------------------------------------- */

static ag_status wrong_type(const char *where, const char *key, const char *must, ag_error *err)
{
    return ag_fail(err, AG_ERR_INPUT, "%s: '%s' must be %s", where, key, must);
}

/* The member, or NULL when it is absent or null. */
static const json_t *member(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

ag_status ag_json_get_int(const json_t *object, const char *key, long lo, long hi, long *value,
                          const char *where, ag_error *err)
{
    const json_t *v = member(object, key);
    if (!v) return AG_OK;
    long long x = 0;
    bool whole = false;
    if (json_is_integer(v)) {
        x = json_integer_value(v);
        whole = true;
    } else if (json_is_real(v)) { /* other writers spell 3 as 3.0 */
        double real = json_real_value(v);
        whole = real == floor(real) && fabs(real) < 0x1p53;
        if (whole) x = (long long)real;
    }
    if (whole && x >= lo && x <= hi) {
        *value = (long)x;
        return AG_OK;
    }
    if (lo == LONG_MIN && hi == LONG_MAX) return wrong_type(where, key, "a whole number", err);
    if (hi == LONG_MAX)
        return ag_fail(err, AG_ERR_INPUT, "%s: '%s' must be a whole number of at least %ld", where, key, lo);
    return ag_fail(err, AG_ERR_INPUT, "%s: '%s' must be a whole number from %ld to %ld", where, key, lo, hi);
}

ag_status ag_json_get_double(const json_t *object, const char *key, double *value, const char *where,
                             ag_error *err)
{
    const json_t *v = member(object, key);
    if (!v) return AG_OK;
    if (!json_is_number(v)) return wrong_type(where, key, "a number", err);
    *value = json_number_value(v);
    return AG_OK;
}

ag_status ag_json_get_bool(const json_t *object, const char *key, bool *value, const char *where,
                           ag_error *err)
{
    const json_t *v = member(object, key);
    if (!v) return AG_OK;
    if (!json_is_boolean(v)) return wrong_type(where, key, "true or false", err);
    *value = json_is_true(v);
    return AG_OK;
}

ag_status ag_json_get_string(const json_t *object, const char *key, const char **value, const char *where,
                             ag_error *err)
{
    const json_t *v = member(object, key);
    if (!v) return AG_OK;
    if (!json_is_string(v)) return wrong_type(where, key, "a string", err);
    *value = json_string_value(v);
    return AG_OK;
}
