/* synth_query.c: one query from one product's facts. The product it starts from meets all that the query asks, so every
 * query has at least one right answer; what it asks is recorded as it is worded, which is how labels can be derived.
 */
#include "data/synth_parts.h"

#include <math.h>
#include <string.h>

enum { WISHES = AG_SYNTH_WISHES, TRIES = 12, TIED = 64 };

/* Prices that people say. */
static const double round_prices[] = {5,   10,  15,  20,  25,  30,  40,  50,  60,  80,  100,
                                      120, 150, 200, 250, 300, 400, 500, 600, 800, 1000};
enum { ROUND_PRICES = sizeof round_prices / sizeof *round_prices };

typedef ag_query_maker maker;

static bool chance(maker *m, double p)
{
    return ag_rng_double(&m->rng) < p;
}

/* --- what a product states --------------------------------------------------------------------------------- */

const char *ag_synth_stated(const ag_item *item, const ag_attribute *row)
{
    int n = row->field_count ? row->field_count : 1;
    for (int k = 0; k < n; k++) {
        const char *field = row->field_count ? row->fields[k] : row->name;
        if (strcmp(field, "brand") == 0 && item->brand && *item->brand) return item->brand;
        for (int i = 0; i < item->field_count; i++)
            if (strcmp(item->fields[i].name, field) == 0 && item->fields[i].count > 0)
                return item->fields[i].values[0];
    }
    return NULL;
}

static bool is_price(const ag_attribute *row)
{
    return strcmp(row->name, "price") == 0;
}

bool ag_synth_askable(const ag_item *item, const ag_attribute *row)
{
    if (is_price(row)) return item->has_price;
    const char *value = ag_synth_stated(item, row);
    double x;
    int unit;
    if (!value || !*value || strlen(value) > 40) return false;
    return row->compare != AG_COMPARE_NUMBER || ag_quantity_parse(row, value, &x, &unit);
}

/* A random product of the same category that the same files may use. */
static const ag_item *neighbour(maker *m)
{
    ag_side side = m->kind->count[m->side] ? m->side : AG_SIDE_TRAIN;
    if (m->kind->count[side] == 0) return m->seed;
    return &m->shelf->items[m->kind->items[side][ag_rng_below(&m->rng, (uint32_t)m->kind->count[side])]];
}

static ag_status relation_of(maker *m, const ag_wish *w, ag_relation *relation)
{
    ag_ask ask = {
        .name = w->name, .op = w->op, .values = (const char **)w->values, .value_count = w->value_count};
    ag_match match;
    ag_status status = ag_facts_match(&match, m->shelf->facts, m->shelf->book, &ask, m->seed, m->reference,
                                      m->err);
    *relation = match.relation;
    return status;
}

/* --- wishes ------------------------------------------------------------------------------------------------ */

const char *ag_synth_quantity(maker *m, const ag_attribute *row, double base, int own_unit)
{
    ag_str text = {0};
    int unit = own_unit;
    if (row->unit_count) {
        int other = (int)ag_rng_below(&m->rng, (uint32_t)row->unit_count);
        double x = base / row->units[other].factor;
        if (x >= 0.5 && x <= 3000 && fabs(x * 10 - round(x * 10)) < 1e-6) unit = other;
    }
    double x = unit >= 0 ? base / row->units[unit].factor : base;
    ag_str_addf(&text, "%.6g", x);
    if (unit >= 0) ag_str_addf(&text, " %s", row->units[unit].name);
    const char *kept = text.failed ? NULL : ag_arena_strdup(m->arena, ag_str_text(&text));
    ag_str_free(&text);
    return kept;
}

static ag_status wish_price(maker *m, ag_wish *w)
{
    double price = m->seed->price, kind = ag_rng_double(&m->rng);
    int above = 0, below = ROUND_PRICES - 1;
    while (above < ROUND_PRICES - 1 && round_prices[above] < price) above++;
    while (below > 0 && round_prices[below] > price) below--;
    if (round_prices[above] < price || round_prices[below] > price) return AG_OK; /* count stays 0: no wish */
    if (above < ROUND_PRICES - 1 && chance(m, 0.3)) above++;
    w->op = kind < 0.75 ? AG_OP_AT_MOST : kind < 0.9 ? AG_OP_AT_LEAST : AG_OP_BETWEEN;
    if (w->op == AG_OP_BETWEEN && round_prices[below] >= round_prices[above]) w->op = AG_OP_AT_MOST;
    double first = w->op == AG_OP_AT_MOST ? round_prices[above] : round_prices[below];
    w->values[0] = ag_synth_quantity(m, ag_book_attribute(m->shelf->book, "price"), first, -1);
    w->value_count = 1;
    if (w->op == AG_OP_BETWEEN) {
        w->values[1] = ag_synth_quantity(m, ag_book_attribute(m->shelf->book, "price"), round_prices[above],
                                         -1);
        w->value_count = 2;
    }
    return w->values[0] && (w->value_count == 1 || w->values[1]) ? AG_OK : ag_fail_memory(m->err, "query");
}

static ag_status wish_number(maker *m, const ag_attribute *row, ag_wish *w)
{
    double x, low, high, y;
    int unit, other;
    if (!ag_quantity_parse(row, ag_synth_stated(m->seed, row), &x, &unit)) return AG_OK;
    low = high = x;
    if (unit < 0)
        for (int i = 0; i < row->unit_count; i++)
            if (row->units[i].factor == 1.0) unit = i;
    for (int i = 0; i < TRIES; i++) { /* bounds are values that occur */
        const char *value = ag_synth_stated(neighbour(m), row);
        if (!value || !ag_quantity_parse(row, value, &y, &other)) continue;
        if (y < x && (low == x || chance(m, 0.5))) low = y;
        if (y > x && (high == x || chance(m, 0.5))) high = y;
    }
    double kind = ag_rng_double(&m->rng);
    w->op = kind < 0.35   ? AG_OP_IS
            : kind < 0.65 ? AG_OP_AT_LEAST
            : kind < 0.92 ? AG_OP_AT_MOST
                          : AG_OP_BETWEEN;
    if (w->op == AG_OP_BETWEEN && low == high) w->op = AG_OP_IS;
    double first = w->op == AG_OP_IS ? x : w->op == AG_OP_AT_MOST ? high : low;
    w->values[0] = ag_synth_quantity(m, row, first, unit);
    w->value_count = 1;
    if (w->op == AG_OP_BETWEEN) {
        w->values[1] = ag_synth_quantity(m, row, high, unit);
        w->value_count = 2;
    }
    return w->values[0] && (w->value_count == 1 || w->values[1]) ? AG_OK : ag_fail_memory(m->err, "query");
}

/* Now and then a synonym or a wider value in place of the stated one. */
static ag_status another_word(maker *m, const char *attribute, const char **value)
{
    const char *others[16];
    int n = 0;
    double kind = ag_rng_double(&m->rng);
    if (kind > 0.4) return AG_OK;
    ag_status status = ag_facts_other_values(m->shelf->facts, m->shelf->book, attribute, *value,
                                             kind < 0.2 ? AG_SKILL_SYNONYMS : AG_SKILL_HIERARCHY, others, 16,
                                             &n, m->err);
    if (status == AG_OK && n) *value = others[ag_rng_below(&m->rng, (uint32_t)n)];
    return status;
}

static ag_status wish_value(maker *m, const ag_attribute *row, ag_wish *w)
{
    w->values[0] = ag_synth_stated(m->seed, row);
    w->value_count = 1;
    w->op = AG_OP_IS;
    return another_word(m, row->name, &w->values[0]);
}

/* Something that the product is not and its neighbours are. */
static ag_status wish_not(maker *m, const ag_attribute *row, ag_wish *w)
{
    w->op = AG_OP_NOT;
    for (int i = 0; i < TRIES; i++) {
        const ag_item *other = neighbour(m);
        ag_relation relation;
        if (!ag_synth_askable(other, row)) continue;
        w->values[0] = ag_synth_stated(other, row);
        w->value_count = 1;
        ag_status status = another_word(m, row->name, &w->values[0]);
        if (status == AG_OK) status = relation_of(m, w, &relation);
        if (status != AG_OK || relation == AG_REL_EQUAL) return status;
    }
    w->value_count = 0;
    return AG_OK;
}

static bool wished(const maker *m, const char *name)
{
    for (int i = 0; i < m->count; i++)
        if (strcmp(m->wishes[i].name, name) == 0) return true;
    return false;
}

/* Adds a wish for a random attribute that the product states and nobody asked for yet. */
static ag_status add_wish(maker *m, bool negated)
{
    const ag_book *book = m->shelf->book;
    int rows[TIED], n = 0;
    ag_status status;
    for (int r = 1; r < book->attribute_count && n < TIED; r++) {
        const ag_attribute *row = &book->attributes[r];
        bool number = row->compare == AG_COMPARE_NUMBER;
        if (wished(m, row->name) || !ag_synth_askable(m->seed, row)) continue;
        if (negated && (number || strcmp(row->name, ag_facts_compatibility(m->shelf->facts)) == 0)) continue;
        rows[n++] = r;
    }
    if (n == 0 || m->count == WISHES) return AG_OK;
    const ag_attribute *row = &book->attributes[rows[ag_rng_below(&m->rng, (uint32_t)n)]];
    ag_wish *w = &m->wishes[m->count];
    *w = (ag_wish){.name = row->name};
    if (negated)
        status = wish_not(m, row, w);
    else if (is_price(row))
        status = wish_price(m, w);
    else if (row->compare == AG_COMPARE_NUMBER)
        status = wish_number(m, row, w);
    else
        status = wish_value(m, row, w);
    if (status == AG_OK && w->value_count) m->count++;
    return status;
}

/* The brand's usual product in this category: the one of median price. */
static const ag_item *typical(maker *m, const ag_item *of)
{
    const ag_item *found[TIED];
    int n = 0;
    for (int side = 0; side < AG_SIDES; side++)
        for (size_t i = 0; i < m->kind->count[side] && n < TIED; i++) {
            const ag_item *item = &m->shelf->items[m->kind->items[side][i]];
            if (!item->has_price || !ag_streq(item->brand, of->brand)) continue;
            int at = n++;
            for (; at > 0 && found[at - 1]->price > item->price; at--) found[at] = found[at - 1];
            found[at] = item;
        }
    return n ? found[n / 2] : NULL;
}

/* "alternative to X": X is dearer, of another brand, and by a margin that a shopper would notice. */
static ag_status wish_like(maker *m)
{
    static const char *const naming[] = {"model", "name"};
    ag_str name = {0};
    ag_status status = AG_OK;
    if (!m->seed->has_price || !m->seed->brand) return AG_OK;
    for (int i = 0; i < TRIES && m->count == 0 && status == AG_OK; i++) {
        const ag_item *x = neighbour(m);
        const char *model = NULL;
        if (!x->brand || ag_streq(x->brand, m->seed->brand) || !(x = typical(m, x))) continue;
        if (x->price * 0.88 <= m->seed->price) continue;
        for (int k = 0; k < x->field_count && !model; k++)
            for (size_t f = 0; f < sizeof naming / sizeof *naming; f++)
                if (strcmp(x->fields[k].name, naming[f]) == 0 && x->fields[k].count)
                    model = x->fields[k].values[0];
        ag_str_addf(&name, model ? "%s %s" : "%s", x->brand, model);
        ag_wish *w = &m->wishes[m->count++];
        *w = (ag_wish){.name = "brand", .op = AG_OP_LIKE, .value_count = 1};
        if (name.failed || !(w->values[0] = ag_arena_strdup(m->arena, ag_str_text(&name))))
            status = ag_fail_memory(m->err, "query");
        m->reference = x;
    }
    ag_str_free(&name);
    return status;
}

/* A phrase of the facts file's knowledge that the product satisfies; one wish an entry, all worded by the phrase. */
static ag_status wish_knowledge(maker *m)
{
    const ag_facts *facts = m->shelf->facts;
    int rows = ag_facts_knowledge_count(facts);
    uint32_t start = rows ? ag_rng_below(&m->rng, (uint32_t)rows) : 0;
    for (int k = 0; k < rows && m->count == 0; k++) {
        int row = (int)((start + (uint32_t)k) % (uint32_t)rows), n, phrases = 0;
        const ag_ask *asked;
        bool meets = true;
        if (!ag_facts_knowledge_applies(facts, row, m->kind->name)) continue;
        while (ag_facts_knowledge(facts, row, phrases, &asked, &n)) phrases++;
        if (phrases == 0 || n > WISHES) continue;
        const char *phrase = ag_facts_knowledge(facts, row, (int)ag_rng_below(&m->rng, (uint32_t)phrases),
                                                &asked, &n);
        for (int i = 0; i < n && meets; i++) {
            ag_wish *w = &m->wishes[i];
            ag_relation relation;
            *w = (ag_wish){.name = asked[i].name,
                           .op = asked[i].op,
                           .value_count = asked[i].value_count,
                           .knowledge = true,
                           .text = i == 0 ? phrase : ""};
            if (asked[i].value_count > 2) return AG_OK;
            for (int v = 0; v < asked[i].value_count; v++) w->values[v] = asked[i].values[v];
            ag_status status = relation_of(m, w, &relation);
            if (status != AG_OK) return status;
            meets = relation == AG_REL_EQUAL;
        }
        if (meets) m->count = n;
    }
    m->knowledge = m->count > 0;
    return AG_OK;
}

/* --- the text ---------------------------------------------------------------------------------------------- */

static void add_part(ag_str *text, const char *part)
{
    if (!part || !*part) return;
    if (text->len) ag_str_addc(text, ' ');
    ag_str_add(text, part);
}

/* Writes the query; the wishes end up in the order in which their words stand. */
static ag_status write_query(maker *m, ag_synth_query *q)
{
    ag_wish ordered[WISHES];
    int n = 0;
    ag_str text = {0};
    ag_status status = AG_OK;
    bool moved = !m->shelf->options->catalogue && chance(m, m->shelf->options->disturbed);
    for (int i = 0; i < m->count && status == AG_OK; i++)
        if (!m->wishes[i].knowledge)
            status = ag_synth_word_wish(&m->wishes[i], m->shelf, &m->rng, m->arena, m->err);
    if (status != AG_OK) return status;
    if (m->question) add_part(&text, ag_synth_phrase(m->shelf, &m->rng, "question", ""));
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < m->count; i++) {
            bool before = m->wishes[i].before && !moved && !m->wishes[i].knowledge;
            if (before != (pass == 0)) continue;
            add_part(&text, m->wishes[i].text);
            ordered[n++] = m->wishes[i];
            if (m->wishes[i].cheaper && pass == 1 && chance(m, 0.5))
                add_part(&text, ag_synth_phrase(m->shelf, &m->rng, "cheaper", ""));
        }
        if (pass == 0) add_part(&text, q->wanted);
    }
    if (m->question && chance(m, 0.8)) ag_str_addc(&text, '?');
    memcpy(m->wishes, ordered, sizeof ordered[0] * (size_t)n);
    if (text.failed || !(q->text = ag_arena_strdup(m->arena, ag_str_text(&text))))
        status = ag_fail_memory(m->err, "query");
    ag_str_free(&text);
    return status;
}

ag_status ag_synth_name_category(maker *m, ag_synth_query *q)
{
    const char *others[16];
    int n = 0;
    double kind = ag_rng_double(&m->rng);
    q->wanted = m->kind->name;
    if (kind > 0.3) return AG_OK;
    ag_status status = ag_facts_other_categories(m->shelf->facts, m->kind->name,
                                                 kind < 0.2 ? AG_SKILL_SYNONYMS : AG_SKILL_HIERARCHY, others,
                                                 16, &n, m->err);
    if (status == AG_OK && n) q->wanted = others[ag_rng_below(&m->rng, (uint32_t)n)];
    return status;
}

ag_status ag_synth_set_asked(maker *m, ag_synth_query *q)
{
    bool negation = false, alternative = false;
    ag_asked *a = &q->asked;
    *a = (ag_asked){.source = AG_ASKED_GIVEN, .count = m->count};
    if (!(a->entries = ag_arena_alloc(m->arena, (size_t)m->count, sizeof *a->entries)))
        return ag_fail_memory(m->err, "query");
    for (int i = 0; i < m->count; i++) {
        const ag_wish *w = &m->wishes[i];
        const char **values = ag_arena_alloc(m->arena, 2, sizeof *values);
        if (!values) return ag_fail_memory(m->err, "query");
        memcpy(values, w->values, sizeof w->values);
        a->entries[i] = (ag_ask){
            .name = w->name, .op = w->op, .values = values, .value_count = w->value_count};
        negation |= w->op == AG_OP_NOT && !w->knowledge;
        alternative |= w->op == AG_OP_LIKE;
    }
    const struct {
        bool on;
        const char *name;
    } types[] = {{negation, "negation"},
                 {alternative, "alternative"},
                 {m->question, "question"},
                 {m->knowledge, "knowledge"}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].on) a->types[a->type_count++] = types[i].name;
    if (a->type_count == 0) a->types[a->type_count++] = "plain";
    return ag_asked_resolve(m->shelf->book, a, NULL, m->arena, m->err);
}

static ag_status choose_wishes(maker *m, ag_synth_type type, bool *fits)
{
    ag_status status = AG_OK;
    double more = ag_rng_double(&m->rng);
    int extra = more < 0.3 ? 0 : more < 0.7 ? 1 : 2;
    switch (type) {
    case AG_SYNTH_NEGATION: status = add_wish(m, true); break;
    case AG_SYNTH_ALTERNATIVE: status = wish_like(m); break;
    case AG_SYNTH_KNOWLEDGE: status = wish_knowledge(m); break;
    case AG_SYNTH_QUESTION:
        m->question = true;
        status = add_wish(m, chance(m, 0.15));
        break;
    default:
        if (more < 0.06)
            extra = 0; /* the category alone */
        else
            status = add_wish(m, false);
        break;
    }
    *fits = m->count > 0 || (type == AG_SYNTH_PLAIN && more < 0.06);
    for (int i = 0; i < extra && status == AG_OK && *fits; i++) status = add_wish(m, false);
    return status;
}

ag_status ag_synth_meets(maker *m, const ag_synth_query *q, bool *meets)
{
    ag_gold gold;
    ag_status status = ag_facts_gold(&gold, m->shelf->facts, m->shelf->book, &q->asked, m->seed, q->wanted,
                                     q->reference, m->arena, m->err);
    *meets = status == AG_OK && gold.tier == 0;
    return status;
}

ag_side ag_synth_side(int part)
{
    return part == AG_SYNTH_TEST ? AG_SIDE_TEST : part == AG_SYNTH_UNSEEN ? AG_SIDE_UNSEEN : AG_SIDE_TRAIN;
}

ag_status ag_synth_make_query(ag_synth_query *q, bool *made, const ag_shelf *shelf, int part,
                              ag_synth_type type, uint64_t number, ag_arena *arena, ag_error *err)
{
    const ag_synth_options *o = shelf->options;
    ag_side side = ag_synth_side(part);
    maker m = {.shelf = shelf,
               .side = side,
               .arena = arena,
               .err = err,
               .rng = ag_rng_at(o->seed, AG_RNG_SYNTH, 3, (uint64_t)part, number, 0)};
    *made = false;
    *q = (ag_synth_query){.part = part, .type = type};
    m.kind = &shelf->kinds[ag_rng_below(&m.rng, (uint32_t)shelf->kind_count)];
    /* Half of the unseen part asks for an unseen category: they are few and would hardly be drawn. */
    for (int i = 0; side == AG_SIDE_UNSEEN && i < 200 && chance(&m, 0.5) && !m.kind->unseen; i++)
        m.kind = &shelf->kinds[ag_rng_below(&m.rng, (uint32_t)shelf->kind_count)];
    if (m.kind->count[side] == 0) return AG_OK;
    m.seed = &shelf->items[m.kind->items[side][ag_rng_below(&m.rng, (uint32_t)m.kind->count[side])]];
    bool fits = true;
    ag_status status = ag_synth_name_category(&m, q);
    if (status == AG_OK) status = choose_wishes(&m, q->type, &fits);
    if (status != AG_OK || !fits) return status;
    if ((status = write_query(&m, q)) != AG_OK || (status = ag_synth_set_asked(&m, q)) != AG_OK)
        return status;
    q->reference = m.reference;
    return ag_synth_meets(&m, q, made);
}
