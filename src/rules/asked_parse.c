/* asked_parse.c: what a query asks for, read from its units. One pass from left to right with a few pending words: a
 * negator, a bound, "like", "for my" wait for the value that they speak of and are forgotten when something else comes.
 *
 * What the parser does not understand it leaves out: a request that nobody found is better than one that nobody made.
 */
#include "rules/asked_units.h"

#include <string.h>

enum { NEGATION, ALTERNATIVE, QUESTION, KNOWLEDGE, TYPE_COUNT };
static const char *const type_names[TYPE_COUNT] = {"negation", "alternative", "question", "knowledge"};

typedef struct reader {
    const ag_lexicon *lx;
    ag_query_units *units;
    ag_arena *arena;
    ag_error *err;
    ag_asked *asked;
    const char *category;         /* wanted, or NULL */
    const ag_query_unit *device;  /* whose first words named it: "iphone 7" */
    const char *name;             /* pending: an attribute's name ("size") */
    const char *product_category; /* of the product that "like" named */
    bool unknown;                 /* there are words that nobody knows */
    bool type[TYPE_COUNT];
    bool negated, like, strong_like, fits, or_next, between;
    bool bounded;
    ag_op bound; /* pending when bounded */
    int last;    /* entry that the unit before made, or -1 */
    int skip;    /* units already read */
} reader;

static bool has(const ag_query_unit *u, ag_phrase phrase)
{
    return u->phrase & (1 << phrase);
}

static bool only_filler(const ag_query_unit *u)
{
    return u->phrase == 1 << AG_PHRASE_FILLER && u->lexeme[0] < 0 && u->lexeme[1] < 0;
}

static bool unknown_word(const ag_query_unit *u)
{
    return (u->phrase == 0 && u->lexeme[0] < 0 && u->lexeme[1] < 0) || u->number;
}

static void forget(reader *r)
{
    r->negated = r->like = r->strong_like = r->fits = r->or_next = r->bounded = r->between = false;
    r->name = NULL;
}

/* --- entries ----------------------------------------------------------------------------------------------- */

static bool same_text(const reader *r, const char *a, const char *b)
{
    ag_str x = {0}, y = {0};
    bool same = ag_words_normal(&x, a, r->lx->facts->english, NULL) == AG_OK &&
                ag_words_normal(&y, b, r->lx->facts->english, NULL) == AG_OK &&
                strcmp(ag_str_text(&x), ag_str_text(&y)) == 0;
    ag_str_free(&x);
    ag_str_free(&y);
    return same;
}

/* Adds an entry; a repetition is not another request. Text is copied. */
static ag_status emit(reader *r, const char *name, ag_op op, const char *a, const char *b)
{
    ag_asked *asked = r->asked;
    for (int i = 0; i < asked->count; i++) {
        const ag_ask *e = &asked->entries[i];
        if (e->op == op && strcmp(e->name, name) == 0 && e->value_count == (b ? 2 : 1) &&
            same_text(r, e->values[0], a) && (!b || same_text(r, e->values[1], b))) {
            r->last = i;
            return AG_OK;
        }
    }
    if (asked->count == AG_MAX_ASKED) return AG_OK;
    ag_ask *e = &asked->entries[asked->count];
    *e = (ag_ask){.op = op, .negated = op == AG_OP_NOT, .value_count = b ? 2 : 1};
    e->name = ag_arena_strdup(r->arena, name);
    e->values = ag_arena_alloc(r->arena, 8, sizeof *e->values); /* room for "red or blue or ..." */
    if (e->values) e->values[0] = ag_arena_strdup(r->arena, a);
    if (e->values && b) e->values[1] = ag_arena_strdup(r->arena, b);
    if (!e->name || !e->values || !e->values[0] || (b && !e->values[1]))
        return ag_fail_memory(r->err, "asked");
    r->last = asked->count++;
    if (op == AG_OP_NOT) r->type[NEGATION] = true;
    if (op == AG_OP_LIKE) r->type[ALTERNATIVE] = true;
    return AG_OK;
}

/* "red or blue": the second value joins the first entry. */
static ag_status join_value(reader *r, const char *value)
{
    ag_ask *e = &r->asked->entries[r->last];
    if (e->value_count >= 8) return AG_OK;
    if (!(e->values[e->value_count] = ag_arena_strdup(r->arena, value)))
        return ag_fail_memory(r->err, "asked");
    e->value_count++;
    return AG_OK;
}

static ag_status emit_raw(reader *r, const char *name, ag_op op, size_t from, size_t count)
{
    ag_str text = {0};
    size_t len;
    const char *raw = ag_words_raw(&r->units->words, from, count, &len);
    ag_str_addn(&text, raw, len);
    ag_status status = ag_str_ok(&text, r->err);
    if (status == AG_OK) status = emit(r, name, op, ag_str_text(&text), NULL);
    ag_str_free(&text);
    return status;
}

/* --- the wanted category ----------------------------------------------------------------------------------- */

/* What the first words of a unit mean, the longest that do, or NULL: "iphone 7", known as what things fit, is an iphone. */
static const ag_lexeme *in_front(const reader *r, const ag_query_unit *u, ag_meaning meaning)
{
    for (size_t n = u->count - 1; n > 0; n--) {
        size_t len;
        const char *normal = ag_words_slice(&r->units->words, u->from, n, &len);
        for (int i = ag_lexicon_find(r->lx, normal, len); i >= 0; i = r->lx->lexemes[i].next)
            if (r->lx->lexemes[i].meaning == meaning) return &r->lx->lexemes[i];
    }
    return NULL;
}

/* The first category that no "for", "not" or "fits" stands before; of several in a row the last, which is the head. Where there is
 * none, that of a device. */
static void find_category(reader *r)
{
    const ag_query_units *units = r->units;
    const char *any = NULL;
    bool blocked = false;
    for (int i = 0; i < units->count; i++) {
        const ag_query_unit *u = &units->items[i];
        const ag_lexeme *c = ag_unit_lexeme(u, AG_MEANS_CATEGORY, 0);
        if (c && !blocked) {
            r->category = c->display;
            for (int k = i + 1;
                 k < units->count && (c = ag_unit_lexeme(&units->items[k], AG_MEANS_CATEGORY, 0)); k++)
                r->category = c->display;
            return;
        }
        if (c && !any) any = c->display;
        if (has(u, AG_PHRASE_FITS) || has(u, AG_PHRASE_NOT))
            blocked = true;
        else if (!only_filler(u))
            blocked = false;
    }
    r->category = any;
    for (int i = 0; i < units->count; i++) r->unknown |= unknown_word(&units->items[i]);
    /* Unknown words may be the thing itself: "iphone 7 sleeve". */
    for (int i = 0; i < units->count && !r->category && !r->unknown; i++) {
        const ag_query_unit *u = &units->items[i];
        bool bound = i > 0 && (has(u - 1, AG_PHRASE_FITS) || has(u - 1, AG_PHRASE_NOT));
        if (bound || !ag_unit_lexeme(u, AG_MEANS_VALUE, 0)) continue;
        const ag_lexeme *c = in_front(r, u, AG_MEANS_CATEGORY);
        r->device = u;
        r->category = c ? c->display : NULL;
    }
}

/* --- values ------------------------------------------------------------------------------------------------ */

/* Which attribute a value speaks of: the one that was named, then what fits a device, then what the wanted category
 * usually states, then what the catalogue states most; names decide ties. */
static const ag_lexeme *choose_value(const reader *r, const ag_query_unit *u, int before)
{
    const ag_lexeme *best = NULL, *l;
    long best_score = -1;
    const char *compatibility = r->lx->facts->compatibility;
    bool product = ag_unit_lexeme(u, AG_MEANS_PRODUCT, 0) != NULL;
    const ag_lexeme *kind = ag_unit_lexeme(u, AG_MEANS_CATEGORY, 0);
    bool after_for = before >= 0 && (has(&r->units->items[before], AG_PHRASE_FITS) || r->fits);
    for (int n = 0; (l = ag_unit_lexeme(u, AG_MEANS_VALUE, n)); n++) {
        bool device = strcmp(l->attribute, compatibility) == 0;
        long usual = r->category ? ag_lexicon_usual(r->lx, r->category, l->attribute) : 0;
        /* A device by itself is wanted itself, not what fits it. */
        if (device && !after_for &&
            ((product && usual == 0) || kind || (!r->category && !r->unknown) || u == r->device))
            continue;
        /* The thing's own name is no request ("memory card" is what many readers read). */
        if (kind && kind->display == r->category && !r->name && !after_for && !r->negated) continue;
        long score = l->count + (usual ? 1000000000L + usual : 0) + (device && after_for ? 2000000000L : 0) +
                     (r->name && strcmp(r->name, l->attribute) == 0 ? 4000000000L : 0);
        if (score > best_score || (score == best_score && strcmp(l->attribute, best->attribute) < 0)) {
            best = l;
            best_score = score;
        }
    }
    return best;
}

static ag_status read_value(reader *r, const ag_query_unit *u, int index, bool *read)
{
    const ag_lexeme *product = ag_unit_lexeme(u, AG_MEANS_PRODUCT, 0);
    const ag_lexeme *value = choose_value(r, u, index - 1);
    ag_status status = AG_OK;
    *read = true;
    if (r->like && (product || (value && strcmp(value->attribute, "brand") == 0))) {
        const ag_lexeme *named = value && strcmp(value->attribute, "brand") == 0 ? value : product;
        if (product) r->product_category = product->category;
        status = emit(r, "brand", AG_OP_LIKE, named->display, NULL);
    } else if (value) {
        bool joins = r->or_next && r->last >= 0 &&
                     strcmp(r->asked->entries[r->last].name, value->attribute) == 0 &&
                     r->asked->entries[r->last].op <= AG_OP_NOT;
        if (joins)
            status = join_value(r, value->display);
        else
            status = emit(r, value->attribute, r->negated ? AG_OP_NOT : AG_OP_IS, value->display, NULL);
    } else {
        *read = false;
        return AG_OK;
    }
    forget(r);
    return status;
}

/* --- numbers ----------------------------------------------------------------------------------------------- */

static bool row_has_unit(const ag_attribute *row, const char *unit)
{
    for (int i = 0; i < row->unit_count; i++)
        if (strcmp(row->units[i].name, unit) == 0) return true;
    return false;
}

/* The attribute that a number speaks of, or NULL. */
static const char *number_attribute(const reader *r, const char *unit, bool currency)
{
    const ag_book *book = r->lx->book;
    const char *best = NULL;
    long best_score = -1;
    bool price = false;
    for (int i = 1; i < book->attribute_count; i++) {
        const ag_attribute *row = &book->attributes[i];
        if (row->compare != AG_COMPARE_NUMBER) continue;
        if (strcmp(row->name, "price") == 0) price = true;
        bool named = r->name && strcmp(r->name, row->name) == 0;
        if (unit ? !row_has_unit(row, unit) : !named) continue;
        long score = (named ? 1000000000L : 0) +
                     (r->category ? ag_lexicon_usual(r->lx, r->category, row->name) : 0);
        if (score > best_score) {
            best = row->name;
            best_score = score;
        }
    }
    if (best && !currency) return best;
    return !unit && price && (currency || r->bounded) ? "price" : NULL;
}

/* Is unit i a number that may close a range? */
static const ag_query_unit *range_end(const reader *r, int i, int *used)
{
    const ag_query_units *units = r->units;
    if (i + 1 < units->count && units->items[i + 1].number && units->items[i + 1].dash) {
        *used = 1;
        return &units->items[i + 1];
    }
    if (r->between && i + 2 < units->count && has(&units->items[i + 1], AG_PHRASE_JOIN) &&
        units->items[i + 2].number) {
        *used = 2;
        return &units->items[i + 2];
    }
    return NULL;
}

static ag_status number_text(reader *r, const ag_query_unit *u, const char *unit, ag_str *text)
{
    size_t len;
    const ag_words *w = &r->units->words;
    const char *number = ag_words_slice(w, u->number_from, 1, &len);
    ag_str_addn(text, number, len);
    if (unit) ag_str_addf(text, " %s", unit);
    return ag_str_ok(text, r->err);
}

static ag_status read_number(reader *r, const ag_query_unit *u, int index)
{
    int used = 0;
    const ag_query_unit *end = range_end(r, index, &used);
    const char *unit = u->unit ? u->unit : end ? end->unit : NULL;
    if (end) r->bounded = true;
    const char *attribute = number_attribute(r, unit, u->currency || (end && end->currency));
    ag_str a = {0}, b = {0};
    ag_status status = AG_OK;
    if (attribute) {
        ag_op op = r->bounded ? r->bound : r->negated ? AG_OP_NOT : AG_OP_IS;
        status = number_text(r, u, unit, &a);
        if (status == AG_OK && end) status = number_text(r, end, end->unit ? end->unit : unit, &b);
        if (end) op = AG_OP_BETWEEN;
        if (op == AG_OP_BETWEEN && !end) op = AG_OP_AT_LEAST; /* "from 20" */
        if (status == AG_OK) status = emit(r, attribute, op, ag_str_text(&a), end ? ag_str_text(&b) : NULL);
    } else {
        r->last = -1;
        r->asked->unread++;
    }
    r->skip = end ? used : 0;
    ag_str_free(&a);
    ag_str_free(&b);
    forget(r);
    return status;
}

/* --- phrases ----------------------------------------------------------------------------------------------- */

static void read_phrase(reader *r, const ag_query_unit *u)
{
    ag_ask *last = r->last >= 0 ? &r->asked->entries[r->last] : NULL;
    if (has(u, AG_PHRASE_NOT_AFTER) && last && last->op == AG_OP_IS) {
        last->op = AG_OP_NOT;
        last->negated = r->type[NEGATION] = true;
        return;
    }
    if (has(u, AG_PHRASE_LIKE_AFTER) && last && last->op == AG_OP_IS && strcmp(last->name, "brand") == 0) {
        last->op = AG_OP_LIKE;
        r->type[ALTERNATIVE] = true;
        return;
    }
    if (last && (last->op == AG_OP_IS) &&
        ag_book_attribute(r->lx->book, last->name)->compare == AG_COMPARE_NUMBER) {
        if (has(u, AG_PHRASE_AT_MOST_AFTER))
            last->op = AG_OP_AT_MOST;
        else if (has(u, AG_PHRASE_AT_LEAST_AFTER))
            last->op = AG_OP_AT_LEAST;
        if (last->op != AG_OP_IS) return;
    }
    if (has(u, AG_PHRASE_OR)) {
        r->or_next = last != NULL;
        return; /* `last` stays: the next value may join it */
    }
    if (has(u, AG_PHRASE_QUESTION)) r->type[QUESTION] = true;
    if (has(u, AG_PHRASE_NOT)) r->negated = true;
    if (has(u, AG_PHRASE_FITS)) r->fits = true;
    if (has(u, AG_PHRASE_LIKE)) {
        r->like = true;
        r->strong_like = u->count >= 2;
    }
    if (has(u, AG_PHRASE_AT_MOST) || has(u, AG_PHRASE_AT_LEAST) || has(u, AG_PHRASE_BETWEEN)) {
        r->bounded = true;
        r->between = has(u, AG_PHRASE_BETWEEN);
        r->bound = has(u, AG_PHRASE_AT_MOST)    ? AG_OP_AT_MOST
                   : has(u, AG_PHRASE_AT_LEAST) ? AG_OP_AT_LEAST
                                                : AG_OP_BETWEEN;
    }
    if (u->phrase & ~(1 << AG_PHRASE_FILLER)) r->last = -1;
}

/* The words from `first` that are written as one ("tn-2110"). */
static size_t written_as_one(const ag_words *w, size_t first)
{
    size_t n = 1;
    for (; first + n < w->count; n++) {
        const ag_word *a = &w->items[first + n - 1], *b = a + 1;
        size_t end = a->raw_at + a->raw_len;
        if (b->raw_at > end + 1 || (b->raw_at == end + 1 && !strchr("-./", w->raw.data[end]))) break;
    }
    return n;
}

/* A word that nobody knows and that looks like a part number ("tn-2110"), where the book has an attribute of codes: a letter
 * first, two digits and more, and not a short one. */
static ag_status read_code(reader *r, int index, bool *read)
{
    const ag_book *book = r->lx->book;
    const ag_words *w = &r->units->words;
    size_t from = r->units->items[index].from, words = written_as_one(w, from), len, digits = 0;
    const char *raw = ag_words_raw(w, from, words, &len), *name = NULL;
    *read = false;
    for (int i = 1; i < book->attribute_count && !name; i++)
        if (book->attributes[i].compare == AG_COMPARE_CODE) name = book->attributes[i].name;
    for (size_t i = 0; i < len; i++) digits += raw[i] >= '0' && raw[i] <= '9';
    if (!name || len < 5 || digits < 2 || (raw[0] >= '0' && raw[0] <= '9')) return AG_OK;
    ag_status status = emit_raw(r, name, r->negated ? AG_OP_NOT : AG_OP_IS, from, words);
    const ag_query_unit *next = &r->units->items[index] + 1, *end = r->units->items + r->units->count;
    for (; next < end && next->from < from + words; next++) r->skip++;
    forget(r);
    *read = true;
    return status;
}

/* A name that nobody knows: a part number, or what stands after "alternative to" or "for my". */
static ag_status read_unknown(reader *r, int index)
{
    const ag_query_units *units = r->units;
    const ag_query_unit *first = &units->items[index];
    bool like = r->strong_like, fits = r->fits;
    int n = 1;
    r->last = -1;
    if (!like && !fits) {
        bool code;
        ag_status status = read_code(r, index, &code);
        if (status != AG_OK || code) return status;
        r->asked->unread++;
        forget(r);
        return AG_OK;
    }
    while (index + n < units->count && unknown_word(&units->items[index + n])) n++;
    const ag_query_unit *last = &units->items[index + n - 1];
    ag_status status = emit_raw(r, like ? "brand" : r->lx->facts->compatibility, like ? AG_OP_LIKE : AG_OP_IS,
                                first->from, last->from + last->count - first->from);
    r->skip = n - 1;
    forget(r);
    return status;
}

static ag_status read_knowledge(reader *r, const ag_query_unit *u, bool *read)
{
    const ag_lexeme *l = u == r->device ? in_front(r, u, AG_MEANS_KNOWLEDGE)
                                        : ag_unit_lexeme(u, AG_MEANS_KNOWLEDGE, 0);
    ag_status status = AG_OK;
    *read = false;
    if (!l) return AG_OK;
    if (r->category && !ag_facts_knowledge_applies(r->lx->facts, l->row, r->category)) return AG_OK;
    const ag_knowledge *k = &r->lx->facts->knowledge[l->row];
    for (int i = 0; i < k->asked_count && status == AG_OK; i++) {
        bool was = r->type[NEGATION];
        const ag_ask *ask = &k->asked[i];
        status = emit(r, ask->name, ask->op, ask->values[0],
                      ask->op == AG_OP_BETWEEN ? ask->values[1] : NULL);
        for (int v = 1; v < ask->value_count && status == AG_OK && ask->op != AG_OP_BETWEEN && r->last >= 0;
             v++)
            status = join_value(r, ask->values[v]);
        r->type[NEGATION] = was; /* the shopper did not negate anything */
    }
    r->type[KNOWLEDGE] = *read = true;
    r->last = -1;
    forget(r);
    return status;
}

static ag_status read_unit(reader *r, int index)
{
    const ag_query_unit *u = &r->units->items[index];
    bool read = false;
    bool of_a_name = (r->strong_like || r->fits) && !r->bounded && !u->unit && !u->currency;
    if (u->number && !of_a_name) return read_number(r, u, index);
    if (unknown_word(u)) return read_unknown(r, index);
    ag_status status = read_knowledge(r, u, &read);
    if (status != AG_OK || read) return status;
    if (ag_unit_lexeme(u, AG_MEANS_VALUE, 0) || ag_unit_lexeme(u, AG_MEANS_PRODUCT, 0)) {
        status = read_value(r, u, index, &read);
        if (status != AG_OK || read) return status;
    }
    const ag_lexeme *name = ag_unit_lexeme(u, AG_MEANS_NAME, 0);
    if (name) r->name = name->attribute;
    if (u->phrase)
        read_phrase(r, u);
    else if (!name) { /* a category, or a product that is no request */
        r->asked->unread += ag_unit_lexeme(u, AG_MEANS_CATEGORY, 0) == NULL;
        bool between = r->like; /* "alternative to norvik trainers" may put the kind first */
        bool strong = r->strong_like;
        forget(r);
        r->like = between;
        r->strong_like = strong;
        r->last = -1;
    }
    return AG_OK;
}

/* --- the parser -------------------------------------------------------------------------------------------- */

static bool asks(const char *query)
{
    return strchr(query, '?') || strstr(query, "\xEF\xBC\x9F") /* full width */ || strstr(query, "\xD8\x9F");
}

static void set_types(reader *r, const char *query)
{
    if (asks(query)) r->type[QUESTION] = true;
    for (int i = 0; i < TYPE_COUNT; i++)
        if (r->type[i]) r->asked->types[r->asked->type_count++] = type_names[i];
    if (r->asked->type_count == 0) r->asked->types[r->asked->type_count++] = "plain";
}

ag_status ag_asked_parse(ag_asked *asked, const char **category, const ag_lexicon *lexicon, const char *query,
                         const ag_item *item, ag_arena *arena, ag_error *err)
{
    ag_lexicon *overlay = NULL;
    ag_query_units *units = ag_calloc(1, sizeof *units);
    reader r = {.lx = lexicon, .units = units, .arena = arena, .err = err, .asked = asked, .last = -1};
    ag_status status = units ? AG_OK : ag_fail_memory(err, "query");
    *asked = (ag_asked){.source = AG_ASKED_PARSED};
    if (status == AG_OK && !(asked->entries = ag_arena_alloc(arena, AG_MAX_ASKED, sizeof *asked->entries)))
        status = ag_fail_memory(err, "asked");
    if (status == AG_OK && item) {
        status = ag_lexicon_bare(&overlay, lexicon->facts, lexicon->book, err);
        if (status == AG_OK) status = ag_lexicon_add_item(overlay, item, err);
    }
    if (status == AG_OK) status = ag_query_cut(units, lexicon, overlay, query, err);
    if (status == AG_OK) find_category(&r);
    for (int i = 0; status == AG_OK && i < units->count; i += 1 + r.skip) {
        r.skip = 0;
        status = read_unit(&r, i);
    }
    if (status == AG_OK) {
        set_types(&r, query);
        const char *wanted = r.category ? r.category : r.product_category;
        if (category) *category = wanted ? ag_arena_strdup(arena, wanted) : NULL;
        if (category && wanted && !*category) status = ag_fail_memory(err, "category");
    }
    if (status == AG_OK) status = ag_asked_resolve(lexicon->book, asked, NULL, arena, err);
    if (status != AG_OK) *asked = (ag_asked){.source = AG_ASKED_UNKNOWN};
    ag_lexicon_free(overlay);
    if (units) ag_query_units_free(units);
    ag_free(units);
    return status;
}

json_t *ag_asked_to_json(const ag_asked *asked)
{
    json_t *list = json_array();
    for (int i = 0; list && i < asked->count; i++) {
        const ag_ask *e = &asked->entries[i];
        json_t *value = e->value_count == 1 ? json_string(e->values[0]) : json_array();
        for (int k = 0; value && e->value_count != 1 && k < e->value_count; k++)
            if (json_array_append_new(value, json_string(e->values[k])) != 0) {
                json_decref(value);
                value = NULL;
            }
        json_t *entry = value ? json_pack("{s:s, s:s, s:o}", "name", e->name, "op", ag_op_names[e->op],
                                          "value", value)
                              : NULL;
        bool given_id = entry && e->id && strcmp(e->id, e->name) != 0 && !strchr(e->id, '#');
        if (given_id && json_object_set_new(entry, "id", json_string(e->id)) != 0) {
            json_decref(entry);
            entry = NULL;
        }
        if (!entry || json_array_append_new(list, entry) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}
