/* pair.c: the pair format (DESIGN: "Pair"), from JSON to ag_pair.
 *
 * One function a part of the format; each reports "file:line: part must be ..." and, where a name is
 * unknown, the nearest known one. The JSON stays with the pair, so that what agrl does not know passes
 * through untouched.
 */
#include "data/pair.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "data/pair_parts.h"
#include "data/ratings.h"

typedef struct parser {
    ag_pair *pair;
    const ag_book *book; /* may be NULL */
    ag_aggregate aggregate;
    const char *where;
    ag_error *err;
} parser;

static ag_status AG_PRINTF(2, 3) fail_at(const parser *p, const char *format, ...)
{
    va_list args;
    ag_str text = {0};
    va_start(args, format);
    ag_str_vaddf(&text, format, args);
    va_end(args);
    ag_status status = text.failed ? ag_fail_memory(p->err, "message")
                                   : ag_fail(p->err, AG_ERR_INPUT, "%s: %s", p->where, text.data);
    ag_str_free(&text);
    return status;
}

static ag_status no_memory(const parser *p)
{
    ag_fail_memory(p->err, "pair");
    ag_error_prefix(p->err, "%s", p->where);
    return AG_ERR_MEMORY;
}

static void *take(parser *p, size_t count, size_t size)
{
    return ag_arena_alloc(&p->pair->arena, count, size);
}

/* A required key is not there: names a key of the object that looks like it. */
static ag_status missing(const parser *p, const json_t *object, const char *part, const char *key)
{
    const char *names[128];
    char hint[128] = "";
    size_t n = 0;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        if (n == 128) break;
        names[n++] = name;
    }
    const char *nearest = ag_nearest(key, names, n);
    if (nearest && !ag_streq(nearest, key)) snprintf(hint, sizeof hint, " (is '%.90s' meant?)", nearest);
    return fail_at(p, "no '%s%s%s'%s", part, *part ? "." : "", key, hint);
}

/* --- scalars
 * ------------------------------------------------------------------------------------------------ */

bool ag_scalar_text(ag_str *out, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING: ag_str_addn(out, json_string_value(value), json_string_length(value)); return true;
    case JSON_INTEGER: ag_str_addf(out, "%lld", (long long)json_integer_value(value)); return true;
    case JSON_REAL: ag_json_number(out, json_real_value(value)); return true;
    case JSON_TRUE: ag_str_add(out, "true"); return true;
    case JSON_FALSE: ag_str_add(out, "false"); return true;
    default: return false;
    }
}

/* A scalar as text of at most `max` bytes in the arena. `what` names it in messages. */
static ag_status scalar(parser *p, const json_t *value, const char *what, size_t max, const char **text)
{
    ag_str s = {0};
    ag_status status = AG_OK;
    if (!ag_scalar_text(&s, value))
        status = fail_at(p, "%s must be a string, number or boolean", what);
    else if (s.failed || !(*text = ag_arena_strndup(&p->pair->arena, ag_str_text(&s), s.len)))
        status = no_memory(p);
    else if (s.len > max)
        status = fail_at(p, "%s is longer than %zu bytes", what, max);
    ag_str_free(&s);
    return status;
}

/* Only white space (of any script this is rare; ASCII is what files have). */
static bool blank(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '\0';
}

/* A string member; absent or null leaves *text. An empty optional one counts as absent. */
static ag_status string_member(parser *p, const json_t *object, const char *part, const char *key, size_t max,
                               bool required, const char **text)
{
    char what[96];
    const json_t *value = json_object_get(object, key);
    snprintf(what, sizeof what, "%s%s%s", part, *part ? "." : "", key);
    if (!value && required) return missing(p, object, part, key);
    if ((!value || json_is_null(value)) && !required) return AG_OK;
    if (!json_is_string(value)) return fail_at(p, "%s must be a string", what);
    if (blank(json_string_value(value))) return required ? fail_at(p, "%s is empty", what) : AG_OK;
    return scalar(p, value, what, max, text);
}

/* An id: a string or a whole number, on one line. */
static ag_status id_member(parser *p, const json_t *object, const char *part, const char *key,
                           const char **text)
{
    char what[96];
    const json_t *value = json_object_get(object, key);
    snprintf(what, sizeof what, "%s%s%s", part, *part ? "." : "", key);
    if (!value || json_is_null(value)) return AG_OK;
    if (!json_is_string(value) && !json_is_integer(value))
        return fail_at(p, "%s must be a string or a whole number", what);
    ag_status status = scalar(p, value, what, AG_PAIR_ID_MAX, text);
    if (status != AG_OK) return status;
    if (blank(*text)) return fail_at(p, "%s is empty", what);
    for (const char *c = *text; *c; c++)
        if ((unsigned char)*c < 0x20) return fail_at(p, "%s has a line end or control byte in it", what);
    return AG_OK;
}

/* One scalar, or a list of them; nulls and empty strings say nothing and are left out. */
static ag_status value_list(parser *p, const json_t *value, const char *what, const char ***values,
                            int *count)
{
    bool list = json_is_array(value);
    size_t n = list ? json_array_size(value) : 1;
    *count = 0;
    if (n > AG_PAIR_VALUES_MAX) return fail_at(p, "%s has more than %d values", what, AG_PAIR_VALUES_MAX);
    const char **kept = take(p, n, sizeof *kept);
    if (!kept) return no_memory(p);
    for (size_t i = 0; i < n; i++) {
        const json_t *one = list ? json_array_get(value, i) : value;
        if (json_is_null(one)) continue;
        if (json_is_array(one) || json_is_object(one))
            return fail_at(p, "%s must be a string, number or boolean, or a list of these", what);
        ag_status status = scalar(p, one, what, AG_PAIR_TEXT_MAX, &kept[*count]);
        if (status != AG_OK) return status;
        if (!blank(kept[*count])) ++*count;
    }
    *values = kept;
    return AG_OK;
}

/* --- item
 * --------------------------------------------------------------------------------------------------- */

static ag_status parse_price(parser *p, const json_t *value)
{
    ag_item *item = &p->pair->item;
    double x = 0;
    if (!value || json_is_null(value)) return AG_OK;
    if (json_is_string(value) && blank(json_string_value(value))) return AG_OK;
    bool good = json_is_number(value);
    if (good)
        x = json_number_value(value);
    else if (json_is_string(value))
        good = ag_number_parse(json_string_value(value), &x);
    if (!good || !isfinite(x) || x < 0)
        return fail_at(
            p,
            "item.price must be a number of at least 0 in the catalogue's currency unit, such as 49.9%s%.40s",
            json_is_string(value) ? ", not " : "", json_is_string(value) ? json_string_value(value) : "");
    item->has_price = true;
    item->price = x;
    return AG_OK;
}

static ag_status parse_attributes(parser *p, const json_t *object)
{
    ag_item *item = &p->pair->item;
    const char *name;
    json_t *value;
    if (!object || json_is_null(object)) return AG_OK;
    if (!json_is_object(object)) return fail_at(p, "item.attributes must be an object of names and values");
    size_t n = json_object_size(object);
    if (n > AG_PAIR_FIELDS_MAX)
        return fail_at(p, "item.attributes has more than %d names", AG_PAIR_FIELDS_MAX);
    if (!(item->fields = take(p, n, sizeof *item->fields))) return no_memory(p);
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        char what[192];
        ag_field *field = &item->fields[item->field_count];
        snprintf(what, sizeof what, "item.attributes.%.120s", name);
        if (blank(name)) return fail_at(p, "item.attributes has an empty name");
        if (strlen(name) > AG_PAIR_ID_MAX) return fail_at(p, "%s...: the name is too long", what);
        if (json_is_object(value))
            return fail_at(p, "%s must be a string, number or boolean, or a list of these", what);
        ag_status status = value_list(p, value, what, &field->values, &field->count);
        if (status != AG_OK) return status;
        if (field->count == 0) continue;
        if (!(field->name = ag_arena_strdup(&p->pair->arena, name))) return no_memory(p);
        item->field_count++;
    }
    return AG_OK;
}

/* `locale`, `url` and `image` may stand with the pair or with the item. */
static ag_status known_strings(parser *p, const json_t *object, const char *part)
{
    const char *unused;
    ag_status status = string_member(p, object, part, "locale", AG_PAIR_ID_MAX, false, &p->pair->locale);
    if (status == AG_OK) status = string_member(p, object, part, "url", AG_PAIR_TEXT_MAX, false, &unused);
    if (status == AG_OK) status = string_member(p, object, part, "image", AG_PAIR_TEXT_MAX, false, &unused);
    return status;
}

static ag_status parse_item(parser *p, const json_t *json)
{
    static const struct {
        const char *key;
        size_t at;
        bool required;
    } texts[] = {{"title", offsetof(ag_item, title), true},
                 {"brand", offsetof(ag_item, brand), false},
                 {"category", offsetof(ag_item, category), false},
                 {"description", offsetof(ag_item, description), false}};
    ag_item *item = &p->pair->item;
    const json_t *object = json_object_get(json, "item");
    ag_status status;
    if (!object) return missing(p, json, "", "item");
    if (!json_is_object(object)) return fail_at(p, "item must be an object with a title");
    if ((status = id_member(p, object, "item", "id", &item->id)) != AG_OK) return status;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *text = NULL;
        status = string_member(p, object, "item", texts[i].key, AG_PAIR_TEXT_MAX, texts[i].required, &text);
        if (status != AG_OK) return status;
        memcpy((char *)item + texts[i].at, &text, sizeof text);
    }
    if ((status = known_strings(p, object, "item")) != AG_OK) return status;
    if ((status = parse_price(p, json_object_get(object, "price"))) != AG_OK) return status;
    return parse_attributes(p, json_object_get(object, "attributes"));
}

/* --- asked
 * -------------------------------------------------------------------------------------------------- */

static ag_status check_values(parser *p, const ag_ask *ask, const char *what)
{
    double lo, hi;
    const char *op = ag_op_names[ask->op];
    bool one = ask->op == AG_OP_AT_MOST || ask->op == AG_OP_AT_LEAST;
    if (ask->value_count == 0) return fail_at(p, "%s.value is empty", what);
    if (one && ask->value_count != 1)
        return fail_at(p, "%s: %s takes one value, not %d", what, op, ask->value_count);
    if (ask->op != AG_OP_BETWEEN) return AG_OK;
    if (ask->value_count != 2)
        return fail_at(p, "%s: between takes a list of two values, not %d", what, ask->value_count);
    if (ag_number_parse(ask->values[0], &lo) && ag_number_parse(ask->values[1], &hi) && lo > hi)
        return fail_at(p, "%s: between takes the smaller value first", what);
    return AG_OK;
}

static ag_status parse_ask(parser *p, const json_t *entry, int index, ag_ask *ask, int *importance)
{
    char what[32];
    const char *op = NULL, *weight = NULL;
    ag_status status;
    snprintf(what, sizeof what, "asked[%d]", index);
    if (!json_is_object(entry)) return fail_at(p, "%s must be an object with name, op and value", what);
    if ((status = id_member(p, entry, what, "id", &ask->id)) != AG_OK) return status;
    if ((status = string_member(p, entry, what, "name", AG_PAIR_ID_MAX, true, &ask->name)) != AG_OK)
        return status;
    if ((status = string_member(p, entry, what, "op", 64, false, &op)) != AG_OK) return status;
    if ((status = string_member(p, entry, what, "importance", 64, false, &weight)) != AG_OK) return status;

    ask->op = AG_OP_IS;
    for (int i = 0; op && i < 6; i++) {
        if (ag_streq(op, ag_op_names[i])) {
            ask->op = (ag_op)i;
            break;
        }
        if (i == 5)
            return fail_at(p, "%s.op '%s' is none of is, not, at_most, at_least, between, like%s", what, op,
                           ag_suggest(op, ag_op_names, 6).text);
    }
    ask->negated = ask->op == AG_OP_NOT;

    *importance = -1;
    if (weight) *importance = ag_streq(weight, "core") ? 1 : ag_streq(weight, "minor") ? 0 : 2;
    if (*importance == 2) return fail_at(p, "%s.importance must be core or minor, not '%s'", what, weight);

    const json_t *value = json_object_get(entry, "value");
    if (!value) return missing(p, entry, what, "value");
    if (json_is_object(value)) return fail_at(p, "%s.value must be a scalar or a list", what);
    if ((status = value_list(p, value, what, &ask->values, &ask->value_count)) != AG_OK) return status;
    return check_values(p, ask, what);
}

/* Ids without a book: what ag_asked_resolve does with one, but for importance. */
static ag_status default_ids(parser *p)
{
    ag_asked *asked = &p->pair->asked;
    for (int i = 0; i < asked->count; i++) {
        ag_ask *ask = &asked->entries[i];
        int nth = 1;
        for (int j = 0; j < i; j++) nth += ag_streq(asked->entries[j].name, ask->name);
        if (!ask->id && nth == 1) ask->id = ask->name;
        if (!ask->id) {
            size_t size = strlen(ask->name) + 16;
            char *id = take(p, size, 1);
            if (!id) return no_memory(p);
            snprintf(id, size, "%s#%d", ask->name, nth);
            ask->id = id;
        }
    }
    for (int i = 0; i < asked->count; i++)
        for (int j = 0; j < i; j++)
            if (ag_streq(asked->entries[i].id, asked->entries[j].id))
                return fail_at(p, "asked[%d] and asked[%d] have the same id '%s'", j, i,
                               asked->entries[i].id);
    return AG_OK;
}

static ag_status parse_asked(parser *p, const json_t *json)
{
    ag_asked *asked = &p->pair->asked;
    const json_t *list = json_object_get(json, "asked");
    const char *source = NULL;
    int importance[AG_MAX_ASKED];
    ag_status status = string_member(p, json, "", "asked_source", 64, false, &source);
    if (status != AG_OK) return status;
    if (source && !ag_streq(source, "given") && !ag_streq(source, "parsed"))
        return fail_at(p, "asked_source must be given or parsed, not '%s'", source);
    if (!list || json_is_null(list)) return AG_OK; /* unknown */
    if (!json_is_array(list))
        return fail_at(p, "asked must be a list ([]: nothing is asked; absent: unknown)");
    size_t n = json_array_size(list);
    if (n > AG_MAX_ASKED) return fail_at(p, "asked has more than %d entries", AG_MAX_ASKED);
    if (!(asked->entries = take(p, n, sizeof *asked->entries))) return no_memory(p);
    for (size_t i = 0; i < n; i++) {
        status = parse_ask(p, json_array_get(list, i), (int)i, &asked->entries[i], &importance[i]);
        if (status != AG_OK) return status;
    }
    asked->count = (int)n;
    asked->source = source && ag_streq(source, "parsed") ? AG_ASKED_PARSED : AG_ASKED_GIVEN;
    if (!p->book) return default_ids(p);
    status = ag_asked_resolve(p->book, asked, importance, &p->pair->arena, p->err);
    if (status != AG_OK) ag_error_prefix(p->err, "%s: asked", p->where);
    return status;
}

static ag_status parse_types(parser *p, const json_t *json)
{
    ag_asked *asked = &p->pair->asked;
    const json_t *value = json_object_get(json, "type");
    bool list = json_is_array(value);
    if (!value || json_is_null(value)) return AG_OK;
    size_t n = list ? json_array_size(value) : 1;
    for (size_t i = 0; i < n; i++) {
        const json_t *one = list ? json_array_get(value, i) : value;
        const char *text = NULL;
        bool seen = false;
        if (!json_is_string(one)) return fail_at(p, "type must be a string or a list of strings");
        ag_status status = scalar(p, one, "type", AG_PAIR_ID_MAX, &text);
        if (status != AG_OK) return status;
        if (blank(text)) continue;
        for (int t = 0; t < asked->type_count; t++) seen |= ag_streq(asked->types[t], text);
        if (seen) continue;
        if (asked->type_count == AG_MAX_TYPES)
            return fail_at(p, "type has more than %d entries", AG_MAX_TYPES);
        asked->types[asked->type_count++] = text;
    }
    return AG_OK;
}

/* --- gold
 * --------------------------------------------------------------------------------------------------- */

/* A tier by id, a string or a whole number; null is -1. Without a book only the form is checked. */
static ag_status parse_tier(parser *p, const json_t *value, const char *what, int *tier)
{
    ag_str id = {0}, known = {0};
    ag_status status = AG_OK;
    const char *names[AG_MAX_TIERS];
    *tier = -1;
    if (!value || json_is_null(value)) return AG_OK;
    if (!json_is_string(value) && !json_is_integer(value))
        return fail_at(p, "%s must be a tier's id: a string or a whole number", what);
    if (!p->book) return AG_OK;
    if (!ag_scalar_text(&id, value) || id.failed) {
        status = no_memory(p);
        goto out;
    }
    if ((*tier = ag_book_tier(p->book, ag_str_text(&id))) >= 0) goto out;
    for (int t = 0; t < p->book->tier_count; t++) {
        names[t] = p->book->tiers[t].id;
        ag_str_addf(&known, "%s%s", t ? ", " : "", names[t]);
    }
    status = fail_at(p, "%s '%.80s' is not a tier of the book (%.300s)%s", what, ag_str_text(&id),
                     ag_str_text(&known),
                     ag_suggest(ag_str_text(&id), names, (size_t)p->book->tier_count).text);
out:
    ag_str_free(&id);
    ag_str_free(&known);
    return status;
}

/* One verdict of criterion c into *slot; null leaves it absent. */
static ag_status parse_verdict(parser *p, int c, const json_t *value, const char *what, int8_t *slot)
{
    if (json_is_null(value)) return AG_OK;
    if (!json_is_string(value)) return fail_at(p, "%s must be a verdict (a string) or null", what);
    if (!p->book) return AG_OK;
    const ag_criterion *criterion = &p->book->criteria[c];
    const char *text = json_string_value(value);
    int verdict = ag_criterion_verdict(criterion, text);
    if (verdict < 0)
        return fail_at(p, "%s: '%.80s' is not a verdict of criterion '%s'%s", what, text, criterion->id,
                       ag_suggest(text, criterion->verdicts, (size_t)criterion->verdict_count).text);
    *slot = (int8_t)verdict;
    return AG_OK;
}

/* {asked id: verdict, ...} of a `per: asked` criterion. */
static ag_status parse_asked_verdicts(parser *p, int c, const json_t *object, const char *what)
{
    const ag_asked *asked = &p->pair->asked;
    const char *id, *names[AG_MAX_ASKED];
    char part[224];
    json_t *value;
    if (json_is_null(object)) return AG_OK;
    if (!json_is_object(object)) return fail_at(p, "%s must be an object of asked ids and verdicts", what);
    for (int a = 0; a < asked->count; a++) names[a] = asked->entries[a].id;
    json_object_foreach((json_t *)(uintptr_t)object, id, value)
    {
        int a = 0;
        while (a < asked->count && !ag_streq(names[a], id)) a++;
        if (a == asked->count && asked->source == AG_ASKED_UNKNOWN)
            return fail_at(p, "%s judges '%.80s', but the pair has no 'asked' list", what, id);
        if (a == asked->count)
            return fail_at(p, "%s: nothing asked has the id '%.80s'%s", what, id,
                           ag_suggest(id, names, (size_t)asked->count).text);
        snprintf(part, sizeof part, "%.100s.%.100s", what, id);
        int8_t unused = -1, *slot = p->book ? &p->pair->gold.verdicts.v[c][a] : &unused;
        ag_status status = parse_verdict(p, c, value, part, slot);
        if (status != AG_OK) return status;
    }
    return AG_OK;
}

static ag_status parse_verdicts(parser *p, const json_t *object)
{
    const ag_book *book = p->book;
    const char *id, *names[AG_MAX_CRITERIA];
    char what[160];
    json_t *value;
    if (!object || json_is_null(object)) return AG_OK;
    if (!json_is_object(object)) return fail_at(p, "gold.verdicts must be an object of criteria");
    for (int c = 0; book && c < book->criterion_count; c++) names[c] = book->criteria[c].id;
    json_object_foreach((json_t *)(uintptr_t)object, id, value)
    {
        ag_status status;
        int8_t unused = -1;
        int c = book ? ag_book_criterion(book, id) : -1;
        if (book && c < 0)
            return fail_at(p, "gold.verdicts: '%.80s' is not a criterion of the book%s", id,
                           ag_suggest(id, names, (size_t)book->criterion_count).text);
        snprintf(what, sizeof what, "gold.verdicts.%.100s", id);
        if (book ? book->criteria[c].per_asked : json_is_object(value))
            status = parse_asked_verdicts(p, c, value, what);
        else
            status = parse_verdict(p, c, value, what, book ? &p->pair->gold.verdicts.v[c][0] : &unused);
        if (status != AG_OK) return status;
    }
    return AG_OK;
}

/* Names for the hint are gathered only for the message: a book has up to AG_MAX_RULES rules. */
static ag_status unknown_rule(parser *p, const char *rule)
{
    const char *names[AG_MAX_RULES];
    for (int r = 0; r < p->book->rule_count; r++) names[r] = p->book->rules[r].id;
    return fail_at(p, "gold.rule '%.80s' is not a rule of the book%s", rule,
                   ag_suggest(rule, names, (size_t)p->book->rule_count).text);
}

static ag_status parse_gold(parser *p, const json_t *json)
{
    ag_gold *gold = &p->pair->gold;
    const ag_book *book = p->book;
    const json_t *object = json_object_get(json, "gold");
    const char *rule = NULL, *why = NULL;
    ag_status status;
    if (!object || json_is_null(object)) return AG_OK;
    if (!json_is_object(object)) return fail_at(p, "gold must be an object (tier, verdicts, rule, why)");
    if ((status = parse_tier(p, json_object_get(object, "tier"), "gold.tier", &gold->tier)) != AG_OK)
        return status;
    if ((status = parse_verdicts(p, json_object_get(object, "verdicts"))) != AG_OK) return status;
    if ((status = string_member(p, object, "gold", "rule", AG_PAIR_ID_MAX, false, &rule)) != AG_OK)
        return status;
    if ((status = string_member(p, object, "gold", "why", AG_PAIR_TEXT_MAX, false, &why)) != AG_OK)
        return status;
    if (why && strpbrk(why, "\r\n")) return fail_at(p, "gold.why must be one line");
    if (!book) return AG_OK;
    if (why && book->why_required && ag_utf8_count(why, strlen(why)) > (size_t)book->why_chars)
        return fail_at(p, "gold.why has %zu characters; the book's why_chars allows %d",
                       ag_utf8_count(why, strlen(why)), book->why_chars);
    if (rule && (gold->rule = ag_book_rule(book, rule)) < 0) return unknown_rule(p, rule);
    gold->why = why;
    return AG_OK;
}

/* --- ratings
 * ------------------------------------------------------------------------------------------------ */

static ag_status parse_ratings(parser *p, const json_t *json)
{
    ag_pair *pair = p->pair;
    const json_t *list = json_object_get(json, "ratings");
    char what[48];
    if (!list || json_is_null(list)) return AG_OK;
    if (!json_is_array(list)) return fail_at(p, "ratings must be a list of tiers or of {by, tier}");
    size_t n = json_array_size(list);
    if (n > AG_PAIR_RATINGS_MAX) return fail_at(p, "ratings has more than %d entries", AG_PAIR_RATINGS_MAX);
    if (!(pair->ratings = take(p, n, sizeof *pair->ratings))) return no_memory(p);
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(list, i), *tier = one;
        ag_status status;
        snprintf(what, sizeof what, "ratings[%zu]", i);
        if (json_is_object(one)) {
            if ((status = id_member(p, one, what, "by", &pair->ratings[i].by)) != AG_OK) return status;
            if (!(tier = json_object_get(one, "tier"))) return missing(p, one, what, "tier");
        }
        if ((status = parse_tier(p, tier, what, &pair->ratings[i].tier)) != AG_OK) return status;
    }
    pair->rating_count = p->book ? (int)n : 0;
    return AG_OK;
}

/* Ratings become gold. When they say another tier than the gold that was given, the given rule and reason
 * explain a tier that no longer stands, and go; the verdicts are about the item and stay. */
static ag_status aggregate_ratings(parser *p)
{
    ag_pair *pair = p->pair;
    ag_gold *gold = &pair->gold;
    double *share = NULL;
    if (!p->book || p->aggregate == AG_AGGREGATE_GIVEN) return AG_OK;
    if (p->aggregate == AG_AGGREGATE_SOFT && !(share = take(p, (size_t)p->book->tier_count, sizeof *share)))
        return no_memory(p);
    int tier = ag_ratings_tier(pair->ratings, pair->rating_count, p->book->tier_count, p->aggregate, share);
    if (tier < 0) return AG_OK; /* nobody could judge: what was given stands */
    if (gold->tier >= 0 && tier != gold->tier) {
        gold->rule = -1;
        gold->why = NULL;
    }
    gold->tier = tier;
    gold->soft = share;
    return AG_OK;
}

/* --- the whole
 * ---------------------------------------------------------------------------------------------- */

/* The first 16 hexadecimal digits of the SHA-256 of the query, a newline and the item as compact JSON. */
static ag_status default_id(parser *p, const json_t *json)
{
    ag_str item = {0};
    ag_sha256 s;
    unsigned char digest[32];
    char hex[65];
    ag_status status = ag_json_dump(&item, json_object_get(json, "item"), p->err);
    if (status != AG_OK) goto out;
    ag_sha256_begin(&s);
    ag_sha256_add(&s, p->pair->query, strlen(p->pair->query));
    ag_sha256_add(&s, "\n", 1);
    ag_sha256_add(&s, item.data, item.len);
    ag_sha256_end(&s, digest);
    ag_sha256_hex(digest, hex);
    if (!(p->pair->id = ag_arena_strndup(&p->pair->arena, hex, 16))) status = no_memory(p);
out:
    ag_str_free(&item);
    return status;
}

static ag_status parse_all(parser *p, const json_t *json)
{
    ag_pair *pair = p->pair;
    ag_status status;
    if (!json_is_object(json)) return fail_at(p, "a pair must be a JSON object");
    status = string_member(p, json, "", "query", AG_PAIR_QUERY_MAX, true, &pair->query);
    if (status == AG_OK) status = known_strings(p, json, "");
    if (status == AG_OK) status = parse_item(p, json);
    if (status == AG_OK) status = id_member(p, json, "", "id", &pair->id);
    if (status == AG_OK) status = parse_types(p, json);
    if (status == AG_OK) status = parse_asked(p, json);
    if (status == AG_OK) status = parse_gold(p, json);
    if (status == AG_OK) status = parse_ratings(p, json);
    if (status == AG_OK) status = aggregate_ratings(p);
    if (status == AG_OK && !pair->id) status = default_id(p, json);
    return status;
}

ag_status ag_pair_from_json(ag_pair **result, json_t *json, const char *path, long number,
                            const ag_book *book, ag_aggregate aggregate, ag_error *err)
{
    ag_status status;
    parser p = {NULL, book, aggregate, NULL, err};
    *result = NULL;
    ag_pair *pair = ag_calloc(1, sizeof *pair);
    if (!pair) return ag_fail_memory(err, "pair");
    p.pair = pair;
    pair->arena.name = "pair";
    pair->json = json_incref(json);
    pair->gold.tier = pair->gold.rule = -1;
    ag_verdicts_clear(&pair->gold.verdicts);
    size_t size = strlen(path) + 32;
    char *where = ag_arena_alloc(&pair->arena, size, 1);
    if (!where) {
        status = ag_fail_memory(err, "pair");
        goto out;
    }
    snprintf(where, size, "%s:%ld", path, number);
    pair->where = p.where = where;
    if ((status = parse_all(&p, json)) != AG_OK) goto out;
    *result = pair;
    pair = NULL;
out:
    ag_pair_free(pair);
    return status;
}

ag_status ag_pair_parse(ag_pair **pair, const char *line, size_t len, const char *path, long number,
                        const ag_book *book, ag_aggregate aggregate, ag_error *err)
{
    json_t *json;
    *pair = NULL;
    if (len > AG_LINE_MAX)
        return ag_fail(err, AG_ERR_INPUT, "%s:%ld: the line is longer than %u bytes", path, number,
                       AG_LINE_MAX);
    ag_status status = ag_json_parse(&json, line, len, path, number, err);
    if (status != AG_OK) return status;
    status = ag_pair_from_json(pair, json, path, number, book, aggregate, err);
    json_decref(json);
    return status;
}

void ag_pair_free(ag_pair *pair)
{
    if (!pair) return;
    json_decref(pair->json);
    ag_arena_free(&pair->arena);
    ag_free(pair);
}
