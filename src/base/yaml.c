/* yaml.c: YAML as a tree that knows where each node was written, from the events of libyaml. Rulebooks and
 * run files are written by hand, so what would surprise their author is refused at its place: a key given
 * twice, an alias, a tag, a second document.
 */
#include "base/yaml.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "base/file.h"
#include "base/rng.h"

enum { MAX_DEPTH = 64, MAX_NODES = 1000000 };

typedef struct reader {
    yaml_parser_t parser;
    ag_arena *arena;
    const char *text, *where;
    size_t len;
    size_t mark_byte, mark_index; /* the same place, in bytes and in characters; moves forward only */
    long nodes;
    ag_error *err;
} reader;

/* --- errors at a place ---------------------------------------------------------------------------------- */

static ag_status fail_at_mark(reader *r, yaml_mark_t mark, const char *message)
{
    return ag_fail(r->err, AG_ERR_INPUT, "%s:%zu:%zu: %s", r->where, mark.line + 1, mark.column + 1, message);
}

/* The same for a byte offset; wrong bytes count as one character each. */
static ag_status fail_at_byte(reader *r, size_t offset, const char *message)
{
    size_t line = 1, start = 0;
    if (offset > r->len) offset = r->len;
    for (size_t i = 0; i < offset; i++)
        if (r->text[i] == '\n') line++, start = i + 1;
    size_t column = ag_utf8_count(r->text + start, offset - start) + 1;
    return ag_fail(r->err, AG_ERR_INPUT, "%s:%zu:%zu: %s", r->where, line, column, message);
}

static ag_status fail_memory(reader *r)
{
    ag_fail_memory(r->err, "YAML");
    ag_error_prefix(r->err, "%s", r->where);
    return AG_ERR_MEMORY;
}

/* What libyaml found wrong. */
static ag_status fail_parser(reader *r)
{
    const yaml_parser_t *p = &r->parser;
    char message[512];
    const char *problem = p->problem ? p->problem : "not YAML";
    if (p->error == YAML_MEMORY_ERROR) return fail_memory(r);
    if (p->error == YAML_READER_ERROR) return fail_at_byte(r, p->problem_offset, problem);
    if (p->context)
        snprintf(message, sizeof message, "%s (%s that began at line %zu)", problem, p->context,
                 p->context_mark.line + 1);
    else
        snprintf(message, sizeof message, "%s", problem);
    return fail_at_mark(r, p->problem_mark, message);
}

/* The next event; the caller deletes it when AG_OK. */
static ag_status next_event(reader *r, yaml_event_t *event)
{
    return yaml_parser_parse(&r->parser, event) ? AG_OK : fail_parser(r);
}

/* --- nodes ---------------------------------------------------------------------------------------------- */

/* libyaml drops the tag "!" of a plain scalar without a word, but its start is the tag's. */
static bool starts_with_tag(reader *r, yaml_mark_t mark)
{
    while (r->mark_index < mark.index && r->mark_byte < r->len) {
        ag_utf8_next(r->text, r->len, &r->mark_byte);
        r->mark_index++;
    }
    return r->mark_byte < r->len && r->text[r->mark_byte] == '!';
}

static ag_status refuse_extras(reader *r, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (event->type) {
    case YAML_ALIAS_EVENT: return fail_at_mark(r, event->start_mark, "aliases (*name) are not supported");
    case YAML_SCALAR_EVENT: anchor = event->data.scalar.anchor, tag = event->data.scalar.tag; break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor, tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor, tag = event->data.mapping_start.tag;
        break;
    default: return fail_at_mark(r, event->start_mark, "not expected here");
    }
    if (anchor) return fail_at_mark(r, event->start_mark, "anchors (&name) are not supported");
    if (tag || starts_with_tag(r, event->start_mark))
        return fail_at_mark(r, event->start_mark, "tags (!name) are not supported");
    return AG_OK;
}

static ag_status fill_scalar(reader *r, const yaml_event_t *event, ag_yaml *node)
{
    const char *value = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    if (len > 0 && memchr(value, '\0', len)) return fail_at_mark(r, event->start_mark, "NUL byte in text");
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = ag_arena_strndup(r->arena, value, len);
    node->len = len;
    return node->text ? AG_OK : fail_memory(r);
}

/* A key given twice is found through a table of hashes, so that a hostile file costs no quadratic time. */
static ag_status check_keys(reader *r, const ag_yaml *map)
{
    ag_status status = AG_OK;
    size_t size = 4;
    if (map->count < 2) return AG_OK;
    while (size < 2 * (size_t)map->count) size *= 2;
    int *slots = ag_calloc(size, sizeof *slots); /* index of the key + 1 */
    if (!slots) return fail_memory(r);
    for (int i = 0; i < map->count; i++) {
        const ag_yaml *key = map->keys[i];
        size_t slot = ag_hash64(key->text, key->len) & (size - 1);
        for (; slots[slot]; slot = (slot + 1) & (size - 1)) {
            const ag_yaml *other = map->keys[slots[slot] - 1];
            if (!ag_streq(other->text, key->text)) continue;
            status = ag_yaml_fail(r->err, r->where, key, "'%s' is given twice (first at line %d)", key->text,
                                  other->line);
            goto out;
        }
        slots[slot] = i + 1;
    }
out:
    ag_free(slots);
    return status;
}

static ag_status read_node(reader *r, const yaml_event_t *event, int depth, ag_yaml **made);

/* The items of a list, or keys and values of a map, after its start event. */
static ag_status read_children(reader *r, ag_yaml *node, int depth)
{
    ag_status status = AG_OK;
    yaml_event_type_t end = node->kind == AG_YAML_LIST ? YAML_SEQUENCE_END_EVENT : YAML_MAPPING_END_EVENT;
    ag_yaml **held = NULL; /* items, or keys and values by turns */
    size_t cap = 0, count = 0;
    for (;;) {
        yaml_event_t event;
        if ((status = next_event(r, &event)) != AG_OK) goto out;
        bool ended = event.type == end, is_key = node->kind == AG_YAML_MAP && count % 2 == 0;
        if (!ended) {
            ag_yaml *child = NULL;
            status = refuse_extras(r, &event);
            if (status == AG_OK && is_key && event.type != YAML_SCALAR_EVENT)
                status = fail_at_mark(r, event.start_mark, "a key must be plain text, not a list or map");
            if (status == AG_OK) status = read_node(r, &event, depth, &child);
            if (status == AG_OK && !ag_grow(&held, &cap, count + 1, sizeof *held)) status = fail_memory(r);
            if (status == AG_OK) held[count++] = child;
        }
        yaml_event_delete(&event);
        if (status != AG_OK) goto out;
        if (ended) break;
    }
    size_t step = node->kind == AG_YAML_MAP ? 2 : 1, entries = count / step;
    node->count = (int)entries;
    node->values = ag_arena_alloc(r->arena, entries, sizeof *node->values);
    if (step == 2) node->keys = ag_arena_alloc(r->arena, entries, sizeof *node->keys);
    if (!node->values || (step == 2 && !node->keys)) {
        status = fail_memory(r);
        goto out;
    }
    for (size_t i = 0; i < entries; i++) {
        node->values[i] = held[i * step + step - 1];
        if (step == 2) node->keys[i] = held[i * step];
    }
    if (step == 2) status = check_keys(r, node);
out:
    ag_free(held);
    return status;
}

static ag_status read_node(reader *r, const yaml_event_t *event, int depth, ag_yaml **made)
{
    if (depth > MAX_DEPTH) return fail_at_mark(r, event->start_mark, "nested deeper than 64");
    if (++r->nodes > MAX_NODES) return fail_at_mark(r, event->start_mark, "more than a million nodes");
    ag_yaml *node = ag_arena_alloc(r->arena, 1, sizeof *node);
    if (!node) return fail_memory(r);
    node->line = (int)event->start_mark.line + 1;
    node->column = (int)event->start_mark.column + 1;
    *made = node;
    if (event->type == YAML_SCALAR_EVENT) {
        node->kind = AG_YAML_SCALAR;
        return fill_scalar(r, event, node);
    }
    node->kind = event->type == YAML_SEQUENCE_START_EVENT ? AG_YAML_LIST : AG_YAML_MAP;
    return read_children(r, node, depth + 1);
}

/* --- documents ------------------------------------------------------------------------------------------ */

/* Takes an event that only marks structure. */
static ag_status skip_event(reader *r, yaml_event_type_t expected, const char *otherwise)
{
    yaml_event_t event;
    ag_status status = next_event(r, &event);
    if (status != AG_OK) return status;
    if (event.type != expected) status = fail_at_mark(r, event.start_mark, otherwise);
    yaml_event_delete(&event);
    return status;
}

static ag_status read_document(reader *r, ag_yaml **root)
{
    yaml_event_t event;
    ag_status status = skip_event(r, YAML_STREAM_START_EVENT, "not YAML");
    if (status != AG_OK || (status = next_event(r, &event)) != AG_OK) return status;
    bool empty = event.type == YAML_STREAM_END_EVENT;
    yaml_event_delete(&event);
    if (!empty) {
        if ((status = next_event(r, &event)) != AG_OK) return status;
        if ((status = refuse_extras(r, &event)) == AG_OK) status = read_node(r, &event, 1, root);
        yaml_event_delete(&event);
        if (status != AG_OK) return status;
        if ((status = skip_event(r, YAML_DOCUMENT_END_EVENT, "not expected here")) != AG_OK) return status;
        status = skip_event(r, YAML_STREAM_END_EVENT, "a second document; one file holds one");
        if (status != AG_OK) return status;
        const ag_yaml *node = *root;
        empty = node->kind == AG_YAML_SCALAR && !node->quoted && node->len == 0; /* "---" and no more */
    }
    if (!empty) return AG_OK;
    if (!(*root = ag_arena_alloc(r->arena, 1, sizeof **root))) return fail_memory(r);
    (*root)->kind = AG_YAML_MAP;
    (*root)->line = (*root)->column = 1;
    return AG_OK;
}

ag_status ag_yaml_parse(ag_yaml **root, ag_arena *arena, const char *text, size_t len, const char *where,
                        ag_error *err)
{
    reader r = {.arena = arena, .text = text, .len = len, .where = where, .err = err};
    size_t bad;
    *root = NULL;
    if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) r.text += 3, r.len -= 3; /* a byte order mark */
    if (r.len == 0) r.text = "";
    const char *nul = memchr(r.text, '\0', r.len);
    if (nul) return fail_at_byte(&r, (size_t)(nul - r.text), "NUL byte");
    if (!ag_utf8_valid(r.text, r.len, &bad)) return fail_at_byte(&r, bad, "not UTF-8");
    if (r.len > INT_MAX) return ag_fail(err, AG_ERR_INPUT, "%s: more than 2 GiB", where);
    if (!yaml_parser_initialize(&r.parser)) return fail_memory(&r);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)r.text, r.len);
    ag_yaml *made = NULL;
    ag_status status = read_document(&r, &made);
    yaml_parser_delete(&r.parser);
    if (status == AG_OK) *root = made;
    return status;
}

ag_status ag_yaml_load(ag_yaml **root, ag_arena *arena, const char *path, ag_error *err)
{
    char *text;
    size_t len;
    *root = NULL;
    ag_status status = ag_file_read(path, 0, &text, &len, err);
    if (status != AG_OK) return status;
    status = ag_yaml_parse(root, arena, text, len, strcmp(path, "-") == 0 ? "<stdin>" : path, err);
    ag_free(text);
    return status;
}

/* --- reading nodes -------------------------------------------------------------------------------------- */

const ag_yaml *ag_yaml_get(const ag_yaml *map, const char *key)
{
    if (!map || map->kind != AG_YAML_MAP) return NULL;
    for (int i = 0; i < map->count; i++)
        if (strcmp(map->keys[i]->text, key) == 0) return map->values[i];
    return NULL;
}

bool ag_yaml_is_null(const ag_yaml *node)
{
    if (!node || node->kind != AG_YAML_SCALAR || node->quoted) return false;
    const char *t = node->text;
    return *t == '\0' || strcmp(t, "~") == 0 || strcmp(t, "null") == 0 || strcmp(t, "Null") == 0 ||
           strcmp(t, "NULL") == 0;
}

ag_status ag_yaml_fail(ag_error *err, const char *where, const ag_yaml *node, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!node) return ag_fail(err, AG_ERR_INPUT, "%s: %s", where, text);
    return ag_fail(err, AG_ERR_INPUT, "%s:%d:%d: %s", where, node->line, node->column, text);
}

/* The text of a plain scalar that may be a number or boolean, else NULL. */
static const char *plain_text(const ag_yaml *node)
{
    return node && node->kind == AG_YAML_SCALAR && !node->quoted ? node->text : NULL;
}

ag_status ag_yaml_string(const ag_yaml *node, const char *where, const char *what, const char **value,
                         ag_error *err)
{
    if (!node) return ag_yaml_fail(err, where, node, "%s is missing", what);
    if (node->kind != AG_YAML_SCALAR || ag_yaml_is_null(node))
        return ag_yaml_fail(err, where, node, "%s must be text", what);
    *value = node->text;
    return AG_OK;
}

ag_status ag_yaml_double(const ag_yaml *node, const char *where, const char *what, double *value,
                         ag_error *err)
{
    const char *text = plain_text(node);
    if (!node) return ag_yaml_fail(err, where, node, "%s is missing", what);
    if (!text || !ag_number_parse(text, value))
        return ag_yaml_fail(err, where, node, "%s must be a number", what);
    return AG_OK;
}

ag_status ag_yaml_int(const ag_yaml *node, const char *where, const char *what, long lo, long hi, long *value,
                      ag_error *err)
{
    const char *text = plain_text(node);
    if (!node) return ag_yaml_fail(err, where, node, "%s is missing", what);
    if (text) {
        const char *digits = text + (*text == '-' || *text == '+');
        bool whole = *digits && strspn(digits, "0123456789") == strlen(digits);
        errno = 0;
        long x = whole ? strtol(text, NULL, 10) : 0;
        if (whole && errno == 0 && x >= lo && x <= hi) {
            *value = x;
            return AG_OK;
        }
    }
    if (lo == LONG_MIN && hi == LONG_MAX)
        return ag_yaml_fail(err, where, node, "%s must be a whole number", what);
    if (hi == LONG_MAX)
        return ag_yaml_fail(err, where, node, "%s must be a whole number of at least %ld", what, lo);
    return ag_yaml_fail(err, where, node, "%s must be a whole number from %ld to %ld", what, lo, hi);
}

/* 1 or 0 for the words that YAML 1.1 reads as boolean, else -1. */
static int boolean_word(const char *text)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    for (int i = 0; i < 6; i++)
        if (strcasecmp(text, words[i]) == 0) return i % 2;
    return -1;
}

ag_status ag_yaml_bool(const ag_yaml *node, const char *where, const char *what, bool *value, ag_error *err)
{
    const char *text = plain_text(node);
    if (!node) return ag_yaml_fail(err, where, node, "%s is missing", what);
    int word = text ? boolean_word(text) : -1;
    if (word < 0) return ag_yaml_fail(err, where, node, "%s must be true or false", what);
    *value = word == 1;
    return AG_OK;
}

ag_status ag_yaml_known_keys(const ag_yaml *map, const char *where, const char *const *names, size_t n,
                             ag_error *err)
{
    if (!map || map->kind != AG_YAML_MAP) return ag_yaml_fail(err, where, map, "must be a map (key: value)");
    for (int i = 0; i < map->count; i++) {
        const char *key = map->keys[i]->text;
        bool known = false;
        for (size_t k = 0; k < n && !known; k++) known = strcmp(key, names[k]) == 0;
        if (known) continue;
        return ag_yaml_fail(err, where, map->keys[i], "unknown key '%s'%s", key,
                            ag_suggest(key, names, n).text);
    }
    return AG_OK;
}

/* --- writing -------------------------------------------------------------------------------------------- */

/* True when the text can stand bare anywhere, in lists and maps of either style, for any reader of YAML 1.1
 * or 1.2. Narrower than the standard: quotes never hurt. */
static bool may_be_plain(const char *text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static const char others[] = "0123456789_-./ ";
    size_t n = strlen(text);
    if (n == 0 || text[n - 1] == ' ' || !(strchr(letters, text[0]) || text[0] == '/')) return false;
    for (size_t i = 0; i < n; i++)
        if (!strchr(letters, text[i]) && !strchr(others, text[i])) return false;
    return boolean_word(text) < 0 && strcasecmp(text, "null") != 0 && strcasecmp(text, "y") != 0 &&
           strcasecmp(text, "n") != 0;
}

void ag_yaml_quote(ag_str *out, const char *text)
{
    size_t n = strlen(text);
    if (may_be_plain(text)) {
        ag_str_addn(out, text, n);
        return;
    }
    ag_str_addc(out, '"');
    for (size_t at = 0; at < n;) {
        char put[4];
        uint32_t c = ag_utf8_next(text, n, &at);
        /* Raw only what every reader takes as itself: not the line separators, not what cannot be seen. */
        bool raw = c >= 0x20 && c != 0x7F && !(c >= 0x80 && c < 0xA0) && c != 0x2028 && c != 0x2029 &&
                   c != 0xFEFF && c != 0xFFFE && c != 0xFFFF;
        if (c == '"' || c == '\\')
            ag_str_addf(out, "\\%c", (char)c);
        else if (c == '\n')
            ag_str_add(out, "\\n");
        else if (c == '\t')
            ag_str_add(out, "\\t");
        else if (raw)
            ag_str_addn(out, put, (size_t)ag_utf8_put(c, put));
        else if (c < 0x100)
            ag_str_addf(out, "\\x%02X", (unsigned)c);
        else
            ag_str_addf(out, "\\u%04X", (unsigned)c);
    }
    ag_str_addc(out, '"');
}
