/* pair_json.c: ag_pair back to JSON.
 *
 * The line as read is the base, so that unknown keys pass through and a value keeps its JSON type (50
 * stays 50); only what has changed since is written anew.
 */
#include <stdint.h>
#include <string.h>

#include "data/pair.h"
#include "data/pair_parts.h"
#include "rules/facts.h"

bool ag_object_add_missing(json_t *object, const json_t *from)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)from, key, value)
    {
        if (!json_object_get(object, key) && json_object_set(object, key, value) != 0) return false;
    }
    return true;
}

/* Comparisons of what was read with what is held now. Without memory they cannot tell, and say so in
 * `failed`. */

/* Does a JSON scalar read as this text? */
static bool reads_as(const json_t *value, const char *text, bool *failed)
{
    ag_str s = {0};
    bool same = ag_scalar_text(&s, value) && ag_streq(ag_str_text(&s), text);
    *failed |= s.failed;
    ag_str_free(&s);
    return same;
}

/* null and empty values were left out when they were read. */
static bool says_nothing(const json_t *value)
{
    const char *text = json_string_value(value);
    return json_is_null(value) || (text && text[strspn(text, " \t\r\n")] == '\0');
}

static bool values_match(const json_t *value, const ag_ask *ask, bool *failed)
{
    int at = 0;
    if (!json_is_array(value)) return ask->value_count == 1 && reads_as(value, ask->values[0], failed);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *one = json_array_get(value, i);
        if (says_nothing(one)) continue;
        if (at == ask->value_count || !reads_as(one, ask->values[at++], failed)) return false;
    }
    return at == ask->value_count;
}

/* Is this the id that an entry of this name gets without one of its own: the name, or name#2 and so on? */
static bool is_default_id(const char *id, const char *name)
{
    size_t n = strlen(name);
    return strncmp(id, name, n) == 0 && (id[n] == '\0' || id[n] == '#');
}

/* Does the entry as read still say what the pair holds? Ids and importance that it leaves to the book are the
 * book's to fill in again. */
static bool ask_matches(const json_t *entry, const ag_ask *ask, const ag_book *book, bool *failed)
{
    const char *name = json_string_value(json_object_get(entry, "name"));
    const char *op = json_string_value(json_object_get(entry, "op"));
    const char *importance = json_string_value(json_object_get(entry, "importance"));
    const json_t *id = json_object_get(entry, "id");
    if (!name || !ag_streq(name, ask->name)) return false;
    if (!ag_streq(op ? op : "is", ag_op_names[ask->op])) return false;
    if (id && !json_is_null(id) ? !reads_as(id, ask->id, failed) : !is_default_id(ask->id, name))
        return false;
    if (importance && ag_streq(importance, "core") != ask->core) return false;
    if (!importance && book && ag_book_attribute(book, name)->core != ask->core) return false;
    return values_match(json_object_get(entry, "value"), ask, failed);
}

static bool asked_matches(const json_t *list, const ag_asked *asked, const ag_book *book, bool *failed)
{
    if (!json_is_array(list) || json_array_size(list) != (size_t)asked->count) return false;
    for (int i = 0; i < asked->count; i++)
        if (!ask_matches(json_array_get(list, (size_t)i), &asked->entries[i], book, failed)) return false;
    return true;
}

/* Sets a new reference under key; false when out of memory (a NULL value counts as that). */
static bool set_new(json_t *object, const char *key, json_t *value)
{
    return value && json_object_set_new(object, key, value) == 0;
}

static bool put_asked(json_t *out, const ag_pair *pair, const ag_book *book)
{
    const ag_asked *asked = &pair->asked;
    bool failed = false;
    if (asked->source == AG_ASKED_UNKNOWN) {
        json_object_del(out, "asked");
        json_object_del(out, "asked_source");
        return true;
    }
    bool same = asked_matches(json_object_get(out, "asked"), asked, book, &failed);
    if (failed || (!same && !set_new(out, "asked", ag_asked_to_json(asked)))) return false;
    if (asked->source == AG_ASKED_PARSED) return set_new(out, "asked_source", json_string("parsed"));
    json_object_del(out, "asked_source");
    return true;
}

static bool put_types(json_t *out, const ag_asked *asked)
{
    const json_t *was = json_object_get(out, "type");
    if (asked->type_count == 0) {
        json_object_del(out, "type");
        return true;
    }
    if (asked->type_count == 1) {
        const json_t *one = json_is_array(was) && json_array_size(was) == 1 ? json_array_get(was, 0) : was;
        if (json_is_string(one) && ag_streq(json_string_value(one), asked->types[0])) return true;
        return set_new(out, "type", json_string(asked->types[0]));
    }
    json_t *list = json_array();
    for (int t = 0; list && t < asked->type_count; t++) {
        if (json_array_append_new(list, json_string(asked->types[t])) == 0) continue;
        json_decref(list);
        return false;
    }
    return set_new(out, "type", list);
}

/* {asked id: verdict} of one `per: asked` criterion, of the verdicts that are present. */
static json_t *asked_verdicts(const ag_pair *pair, const ag_criterion *criterion, const int8_t *v)
{
    json_t *object = json_object();
    for (int a = 0; object && a < pair->asked.count; a++) {
        if (v[a] < 0) continue;
        if (set_new(object, pair->asked.entries[a].id, json_string(criterion->verdicts[v[a]]))) continue;
        json_decref(object);
        return NULL;
    }
    return object;
}

static bool put_verdicts(json_t *gold, const ag_pair *pair, const ag_book *book)
{
    json_t *verdicts = json_object();
    if (!verdicts) return false;
    for (int c = 0; c < book->criterion_count; c++) {
        const ag_criterion *criterion = &book->criteria[c];
        const int8_t *v = pair->gold.verdicts.v[c];
        json_t *value = NULL;
        if (criterion->per_asked) {
            if (!(value = asked_verdicts(pair, criterion, v))) goto fail;
            if (json_object_size(value) == 0) {
                json_decref(value);
                continue;
            }
        } else if (v[0] >= 0) {
            value = json_string(criterion->verdicts[v[0]]);
        } else {
            continue;
        }
        if (!set_new(verdicts, criterion->id, value)) goto fail;
    }
    if (json_object_size(verdicts) > 0) return set_new(gold, "verdicts", verdicts);
    json_decref(verdicts);
    json_object_del(gold, "verdicts");
    return true;
fail:
    json_decref(verdicts);
    return false;
}

static bool put_text(json_t *object, const char *key, const char *text)
{
    if (text) return set_new(object, key, json_string(text));
    json_object_del(object, key);
    return true;
}

json_t *ag_gold_to_json(const ag_pair *pair, const ag_book *book)
{
    const ag_gold *gold = &pair->gold;
    json_t *was = json_object_get(pair->json, "gold");
    json_t *object = json_object();
    if (!object) return NULL;
    bool good = (!json_is_object(was) || json_object_update(object, was) == 0) &&
                put_text(object, "tier", gold->tier >= 0 ? book->tiers[gold->tier].id : NULL) &&
                put_verdicts(object, pair, book) &&
                put_text(object, "rule", gold->rule >= 0 ? book->rules[gold->rule].id : NULL) &&
                put_text(object, "why", gold->why);
    if (good) return object;
    json_decref(object);
    return NULL;
}

static bool put_gold(json_t *out, const ag_pair *pair, const ag_book *book)
{
    json_t *object = ag_gold_to_json(pair, book);
    if (!object || json_object_size(object) > 0) return set_new(out, "gold", object);
    json_decref(object);
    json_object_del(out, "gold");
    return true;
}

json_t *ag_pair_to_json(const ag_pair *pair, const ag_book *book)
{
    json_t *out = json_object(); /* the id first, then the line in its own order */
    if (!out) return NULL;
    bool good = set_new(out, "id", json_string(pair->id)) && json_object_update(out, pair->json) == 0 &&
                set_new(out, "id", json_string(pair->id)) && put_types(out, &pair->asked) &&
                put_asked(out, pair, book) && (!book || put_gold(out, pair, book));
    if (good) return out;
    json_decref(out);
    return NULL;
}
