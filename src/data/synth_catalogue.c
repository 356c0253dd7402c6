/* synth_catalogue.c: the queries that a real shop's box gets: what a thing is, with one attribute, a brand, a part number,
 * what fits a device, and things that are not sold. All start from a product, so their facts are known; all are written in
 * lower case, as people type.
 */
#include "data/synth_parts.h"

#include <math.h>
#include <string.h>

enum { SEEDS = 400, ROWS = 64, WORDS = 4, FEW = 30 };
static const double BY_TITLE = 0.5; /* of the queries that name a kind; most of the others run out soon */
static const double SERIES = 0.1;   /* of the wordings that one brand alone has */

typedef ag_query_maker maker;

static bool chance(maker *m, double p)
{
    return ag_rng_double(&m->rng) < p;
}

/* A random product of the maker's side that has a kind; false when none was met. A kind comes as often as the square root of its
 * number of products: shops sell many ink cartridges, and shoppers ask for many things. */
static bool draw_seed(maker *m)
{
    const ag_shelf *s = m->shelf;
    for (int i = 0; i < SEEDS; i++) {
        uint32_t index = ag_rng_below(&m->rng, (uint32_t)s->count);
        if (s->side_of[index] != m->side || s->kind_of[index] < 0) continue;
        if (!chance(m, 1 / sqrt((double)s->kinds[s->kind_of[index]].count[m->side]))) continue;
        m->seed = &s->items[index];
        m->kind = &s->kinds[s->kind_of[index]];
        return true;
    }
    return false;
}

static const ag_attribute *row_named(const maker *m, const char *name)
{
    const ag_attribute *row = ag_book_attribute(m->shelf->book, name);
    return row && strcmp(row->name, name) == 0 ? row : NULL;
}

static void ask_for(maker *m, const ag_attribute *row, const char *value)
{
    m->wishes[m->count++] = (ag_wish){.name = row->name, .op = AG_OP_IS, .values = {value}, .value_count = 1};
}

/* --- one type each: the words of the request, NULL when this product does not lead to one -------------------- */

typedef ag_status (*type_maker)(maker *m, ag_synth_query *q, const char **before, const char **after);

/* The kind as the product's title words it, with a word or two before it: "flat panel desk mount". Such words are no request for
 * an attribute, so they get no verdict: products of the kind come into question only where their titles have them too. */
static ag_status name_by_title(maker *m, ag_synth_query *q, const char **before)
{
    ag_str name = {0}, words = {0};
    int index = -1;
    ag_status status = ag_facts_kind_words(&name, &words, m->shelf->facts, m->seed, chance(m, 0.7) ? 1 : 2,
                                           m->err);
    bool usual = status == AG_OK && words.len > 0 &&
                 (ag_shelf_common_wording(m->shelf, ag_str_text(&words), ag_str_text(&name)) ||
                  chance(m, SERIES));
    if (usual) status = ag_facts_category_index(m->shelf->facts, ag_str_text(&name), &index, m->err);
    if (status == AG_OK && index >= 0) {
        q->wanted = ag_arena_strdup(m->arena, ag_str_text(&name));
        q->more = *before = ag_arena_strdup(m->arena, ag_str_text(&words));
        if (!q->wanted || !q->more) status = ag_fail_memory(m->err, "query");
    }
    ag_str_free(&name);
    ag_str_free(&words);
    return status;
}

static ag_status make_kind(maker *m, ag_synth_query *q, const char **before, const char **after)
{
    (void)after;
    if (!chance(m, BY_TITLE)) return ag_synth_name_category(m, q);
    return name_by_title(m, q, before);
}

/* A random attribute that is no brand, part number, device or price, with the value that the product states. */
static ag_status make_attribute(maker *m, ag_synth_query *q, const char **before, const char **after)
{
    const ag_book *book = m->shelf->book;
    const char *const skip[] = {"brand", "model", "price", ag_facts_compatibility(m->shelf->facts)};
    int rows[ROWS], n = 0;
    for (int r = 1; r < book->attribute_count && n < ROWS; r++) {
        bool skipped = !ag_synth_askable(m->seed, &book->attributes[r]);
        for (size_t i = 0; i < sizeof skip / sizeof *skip; i++)
            skipped |= strcmp(book->attributes[r].name, skip[i]) == 0;
        if (!skipped) rows[n++] = r;
    }
    if (n == 0) return AG_OK;
    const ag_attribute *row = &book->attributes[rows[ag_rng_below(&m->rng, (uint32_t)n)]];
    const char *value = ag_synth_stated(m->seed, row);
    if (row->compare == AG_COMPARE_NUMBER) {
        double x;
        int unit = -1;
        if (!ag_quantity_parse(row, value, &x, &unit)) return AG_OK;
        for (int i = 0; i < row->unit_count && unit < 0; i++)
            if (row->units[i].factor == 1.0) unit = i;
        if (unit < 0) return AG_OK; /* a bare number says nothing in a query */
        if (!(value = ag_synth_quantity(m, row, x, unit))) return ag_fail_memory(m->err, "query");
    }
    ask_for(m, row, value);
    *(chance(m, 0.7) ? before : after) = value;
    return ag_synth_name_category(m, q);
}

static ag_status make_brand(maker *m, ag_synth_query *q, const char **before, const char **after)
{
    const ag_attribute *row = row_named(m, "brand");
    const char *brand = m->seed->brand;
    if (!row || !brand || !*brand) return AG_OK;
    ask_for(m, row, brand);
    if (chance(m, 0.4)) {
        q->wanted = ag_any_kind;
        *before = brand;
        return AG_OK;
    }
    *(chance(m, 0.8) ? before : after) = brand;
    return ag_synth_name_category(m, q);
}

/* A part number names its product, so the kind is the product's even where the query does not say it. */
static ag_status make_model(maker *m, ag_synth_query *q, const char **before, const char **after)
{
    const ag_attribute *row = row_named(m, "model"), *brand = row_named(m, "brand");
    const char *value = row ? ag_synth_stated(m->seed, row) : NULL;
    if (!value || !ag_value_is_code(value) || strlen(value) < 3 || strpbrk(value, ",;/|")) return AG_OK;
    q->wanted = m->kind->name;
    if (brand && m->seed->brand && chance(m, 0.25)) {
        ask_for(m, brand, m->seed->brand);
        *before = m->seed->brand;
    }
    ask_for(m, row, value);
    *after = value;
    return AG_OK;
}

/* A device's name that shoppers type: short, with a letter and a digit, no range or remark ("FC8400 - FC8499", "X1 (HP)"). */
static bool device_name(const char *text, size_t len)
{
    size_t words = 1, digits = 0, letters = 0;
    for (size_t i = 0; i < len; i++) {
        words += text[i] == ' ';
        digits += text[i] >= '0' && text[i] <= '9';
        letters += (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z');
        if (strchr("()[]", text[i]) || (i > 0 && text[i] == '-' && text[i - 1] == ' ')) return false;
    }
    return len >= 3 && len <= 32 && words <= WORDS && digits > 0 && letters > 0;
}

/* One of the devices that a product fits, where it has a short name. */
static const char *device_of(maker *m, const char *text)
{
    const char *pieces[ROWS];
    size_t lengths[ROWS];
    int n = 0;
    for (const char *at = text; *at && n < ROWS;) {
        at += strspn(at, ",;/| \n");
        size_t len = strcspn(at, ",;/|\n"), whole = len;
        while (len && at[len - 1] == ' ') len--;
        if (device_name(at, len)) {
            pieces[n] = at;
            lengths[n++] = len;
        }
        at += whole;
    }
    if (n == 0) return NULL;
    uint32_t k = ag_rng_below(&m->rng, (uint32_t)n);
    return ag_arena_strndup(m->arena, pieces[k], lengths[k]);
}

static ag_status make_device(maker *m, ag_synth_query *q, const char **before, const char **after)
{
    const ag_attribute *row = row_named(m, ag_facts_compatibility(m->shelf->facts));
    const char *text = row ? ag_synth_stated(m->seed, row) : NULL;
    const char *device = text ? device_of(m, text) : NULL;
    ag_str fits = {0};
    if (!device) return AG_OK;
    ask_for(m, row, device);
    if (strchr(device, ' ') && chance(m, 0.4)) { /* a single word could be the thing's own part number */
        *before = device;
    } else {
        ag_str_addf(&fits, "for %s", device);
        *after = fits.failed ? NULL : ag_arena_strdup(m->arena, ag_str_text(&fits));
        ag_str_free(&fits);
        if (!*after) return ag_fail_memory(m->err, "query");
    }
    return ag_synth_name_category(m, q);
}

/* A kind of the facts file, whether the catalogue has it or not: its products are hidden from this query. */
static ag_status make_absent(maker *m, ag_synth_query *q, const char **before, const char **after)
{
    int n = ag_facts_category_count(m->shelf->facts);
    (void)before, (void)after;
    if (n == 0) return AG_OK;
    q->hidden = true;
    q->wanted = ag_facts_category_name(m->shelf->facts, (int)ag_rng_below(&m->rng, (uint32_t)n));
    return AG_OK;
}

/* --- the text ------------------------------------------------------------------------------------------------ */

static ag_status write_text(maker *m, ag_synth_query *q, const char *before, const char *after)
{
    ag_str text = {0}, folded = {0};
    bool kind = strcmp(q->wanted, ag_any_kind) != 0 && q->type != AG_SYNTH_MODEL;
    const char *const parts[] = {before, kind ? q->wanted : NULL, after};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (!parts[i] || !*parts[i]) continue;
        if (text.len) ag_str_addc(&text, ' ');
        ag_str_add(&text, parts[i]);
    }
    ag_status status = ag_str_ok(&text, m->err);
    if (status == AG_OK) status = ag_text_fold(&folded, ag_str_text(&text), text.len, m->err);
    if (status == AG_OK && !(q->text = ag_arena_strdup(m->arena, ag_str_text(&folded))))
        status = ag_fail_memory(m->err, "query");
    ag_str_free(&text);
    ag_str_free(&folded);
    return status;
}

ag_status ag_synth_catalogue_query(ag_synth_query *q, bool *made, const ag_shelf *shelf, int part,
                                   ag_synth_type type, uint64_t number, ag_arena *arena, ag_error *err)
{
    static const type_maker makers[AG_SYNTH_TYPES] = {
        [AG_SYNTH_KIND] = make_kind,     [AG_SYNTH_ATTRIBUTE] = make_attribute,
        [AG_SYNTH_BRAND] = make_brand,   [AG_SYNTH_MODEL] = make_model,
        [AG_SYNTH_DEVICE] = make_device, [AG_SYNTH_ABSENT] = make_absent};
    maker m = {.shelf = shelf,
               .side = ag_synth_side(part),
               .arena = arena,
               .err = err,
               .rng = ag_rng_at(shelf->options->seed, AG_RNG_SYNTH, 5, (uint64_t)part, number, 0)};
    const char *before = NULL, *after = NULL;
    *made = false;
    *q = (ag_synth_query){.part = part, .type = type};
    if (!draw_seed(&m)) return AG_OK;
    ag_status status = makers[type](&m, q, &before, &after);
    if (status != AG_OK || !q->wanted) return status;
    if ((status = write_text(&m, q, before, after)) != AG_OK) return status;
    if ((status = ag_synth_set_asked(&m, q)) != AG_OK) return status;
    if (type == AG_SYNTH_ABSENT)
        *made = true;
    else
        status = ag_synth_meets(&m, q, made);
    return status;
}

ag_status ag_synth_real_query(ag_synth_query *q, bool *made, const ag_shelf *shelf, const char *text,
                              int part, ag_arena *arena, ag_error *err)
{
    const char *category = NULL;
    *q = (ag_synth_query){.part = part, .type = AG_SYNTH_REAL};
    *made = false;
    ag_status status = ag_asked_parse(&q->asked, &category, shelf->lexicon, text, NULL, arena, err);
    if (status != AG_OK || q->asked.unread > 0 || (!category && q->asked.count == 0)) return status;
    q->asked.source = AG_ASKED_GIVEN;
    q->wanted = category ? category : ag_any_kind;
    if (!(q->text = ag_arena_strdup(arena, text))) return ag_fail_memory(err, "query");
    *made = true;
    return AG_OK;
}

ag_synth_type ag_synth_type_of(const ag_asked *asked, const char *wanted, const ag_facts *facts)
{
    static const ag_synth_type hard[] = {AG_SYNTH_NEGATION, AG_SYNTH_ALTERNATIVE, AG_SYNTH_QUESTION,
                                         AG_SYNTH_KNOWLEDGE};
    const char *const names[] = {ag_facts_compatibility(facts), "model", "brand"};
    bool category = wanted && strcmp(wanted, ag_any_kind) != 0;
    static const ag_synth_type types[] = {AG_SYNTH_DEVICE, AG_SYNTH_MODEL, AG_SYNTH_BRAND};
    for (size_t h = 0; h < sizeof hard / sizeof *hard; h++)
        for (int i = 0; i < asked->type_count; i++)
            if (strcmp(asked->types[i], ag_synth_type_names[hard[h]]) == 0) return hard[h];
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        for (int i = 0; i < asked->count; i++)
            if (strcmp(asked->entries[i].name, names[k]) == 0) return types[k];
    return asked->count == 0 && category ? AG_SYNTH_KIND : AG_SYNTH_ATTRIBUTE;
}

ag_status ag_synth_fit_shares(double *shares, const ag_facts *facts, const ag_lexicon *lexicon,
                              const char *const *queries, size_t count, ag_error *err)
{
    ag_arena arena = {.name = "real queries"};
    long read = 0, of[AG_SYNTH_TYPES] = {0};
    ag_status status = AG_OK;
    for (size_t i = 0; i < count && status == AG_OK; i++) {
        ag_asked asked;
        const char *category = NULL;
        status = ag_asked_parse(&asked, &category, lexicon, queries[i], NULL, &arena, err);
        if (status == AG_OK && asked.unread == 0 && (category || asked.count)) {
            of[ag_synth_type_of(&asked, category, facts)]++;
            read++;
        }
        ag_arena_free(&arena);
    }
    const double absent = ag_synth_catalogue_shares[AG_SYNTH_ABSENT];
    for (int t = 0; t < AG_SYNTH_TYPES; t++)
        shares[t] = read < FEW             ? ag_synth_catalogue_shares[t]
                    : t == AG_SYNTH_ABSENT ? absent
                                           : (1 - absent) * (double)of[t] / (double)read;
    return status;
}
