/* compare.c: how an item's facts stand to one asked entry (DESIGN.md section 4, "Facts to verdicts").
 *
 * One rule stands above the others: a fact that the catalogue lacks is missing, never other. So text is searched only
 * for what is asked, a weak field can only help, and a number without a readable unit says nothing.
 */
#include "rules/facts_table.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "rules/facts_kind.h"

const char *const ag_skill_names[AG_SKILL_COUNT] = {"units", "synonyms", "hierarchy", "text"};

/* What a comparison works with; scratch is kept between the values of one call. */
typedef struct work {
    const ag_facts *facts;
    const ag_attribute *row;
    const ag_graph *graph; /* of the attribute's values, or NULL */
    const ag_item *item;
    const char *attribute;
    ag_words words;
    ag_str asked, value;
    ag_error *err;
} work;

static void work_free(work *w)
{
    ag_words_free(&w->words);
    ag_str_free(&w->asked);
    ag_str_free(&w->value);
}

static ag_status normal_of(work *w, ag_str *out, const char *text)
{
    ag_status status = ag_words_split(&w->words, text, w->facts->english, w->err);
    ag_str_clear(out);
    if (status == AG_OK) ag_str_addn(out, ag_str_text(&w->words.text), w->words.text.len);
    return status == AG_OK ? ag_str_ok(out, w->err) : status;
}

/* --- fields of an item ------------------------------------------------------------------------------------- */

typedef struct values {
    const char *const *list;
    int count;
    const char *one;
} values;

/* The values of a field; title, brand, category and description count as fields unless an attribute has the name. */
static values field_values(const ag_item *item, const char *name)
{
    values v = {0};
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < item->field_count; i++) {
            const char *field = item->fields[i].name;
            if (pass == 0 ? strcmp(field, name) == 0 : strcasecmp(field, name) == 0)
                return (values){.list = item->fields[i].values, .count = item->fields[i].count};
        }
    const struct {
        const char *name, *value;
    } own[] = {{"title", item->title},
               {"brand", item->brand},
               {"category", item->category},
               {"description", item->description}};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (own[i].value && *own[i].value && strcmp(own[i].name, name) == 0) {
            v.one = own[i].value;
            v.count = 1;
        }
    return v;
}

static const char *value_at(const values *v, int i)
{
    return v->list ? v->list[i] : v->one;
}

static int strong_count(const work *w)
{
    return w->row->field_count ? w->row->field_count : 1;
}

static const char *strong_field(const work *w, int i)
{
    return w->row->field_count ? w->row->fields[i] : w->attribute;
}

static bool is_weak(const ag_attribute *row, const char *field)
{
    for (int i = 0; i < row->weak_count; i++)
        if (strcmp(row->weak_fields[i], field) == 0) return true;
    return false;
}

/* --- words ------------------------------------------------------------------------------------------------- */

/* How a value (in w->value) stands to the asked one (in w->asked): equal, near or other. */
static ag_relation relate_words(work *w, unsigned *skills)
{
    ag_reached up;
    *skills = 0;
    if (w->value.len == 0) return AG_REL_MISSING;
    if (w->value.len == w->asked.len && memcmp(w->value.data, w->asked.data, w->asked.len) == 0)
        return AG_REL_EQUAL;
    if (!w->graph) return AG_REL_OTHER;
    int v = ag_map_get(&w->graph->nodes, w->value.data, w->value.len);
    int a = ag_map_get(&w->graph->nodes, ag_str_text(&w->asked), w->asked.len);
    if (v < 0 || a < 0) return AG_REL_OTHER;
    ag_graph_reach(w->graph, v, AG_EDGE_SYNONYM | AG_EDGE_PARENT | AG_EDGE_COVER, &up);
    for (int i = 0; i < up.count; i++)
        if (up.node[i] == a) {
            *skills = up.skills[i];
            return AG_REL_EQUAL;
        }
    ag_graph_reach(w->graph, a, AG_EDGE_SYNONYM | AG_EDGE_PARENT, &up);
    for (int i = 0; i < up.count; i++)
        if (up.node[i] == v) {
            *skills = up.skills[i];
            return AG_REL_NEAR;
        }
    return AG_REL_OTHER;
}

/* Lists of devices name a series once ("Photosmart C5324, C5370, D5460"): the asked "Photosmart D5460" is meant by "D5460". Do the
 * words of the asked value that mix letters and digits (there must be one) all stand in the value? */
static bool same_device(const work *w)
{
    const char *asked = ag_str_text(&w->asked);
    int codes = 0;
    for (const char *at = asked; *at;) {
        size_t n = strcspn(at, " ");
        bool digit = false, letter = false;
        for (size_t i = 0; i < n; i++) {
            digit |= at[i] >= '0' && at[i] <= '9';
            letter |= at[i] >= 'a' && at[i] <= 'z';
        }
        if (n >= 3 && digit && letter) {
            bool there = false;
            const char *value = ag_str_text(&w->value);
            for (const char *v = value; *v && !there;) {
                size_t len = strcspn(v, " ");
                there = len == n && memcmp(v, at, n) == 0;
                v += len + (v[len] == ' ');
            }
            if (!there) return false;
            codes++;
        }
        at += n + (at[n] == ' ');
    }
    return codes > 0;
}

static ag_relation relate_value(work *w, unsigned *skills)
{
    ag_relation relation = relate_words(w, skills);
    bool devices = w->row->compare == AG_COMPARE_SET && strcmp(w->attribute, w->facts->compatibility) == 0;
    return relation == AG_REL_OTHER && devices && same_device(w) ? AG_REL_EQUAL : relation;
}

/* Keeps the better of two matches. */
static void keep(ag_match *best, ag_relation relation, unsigned skills, const char *value)
{
    static const int rank[AG_REL_COUNT] = {
        [AG_REL_EQUAL] = 4, [AG_REL_NEAR] = 3, [AG_REL_OTHER] = 2, [AG_REL_MISSING] = 1};
    if (rank[relation] <= rank[best->relation]) return;
    *best = (ag_match){
        .relation = relation, .skills = skills, .value = relation == AG_REL_MISSING ? NULL : value};
}

/* One value of a field against the asked one; a set's value may list several. */
static ag_status match_value(work *w, ag_match *best, const char *value)
{
    unsigned skills = 0;
    if (w->row->compare == AG_COMPARE_CODE && !ag_value_is_code(value)) return AG_OK;
    ag_status status = normal_of(w, &w->value, value);
    if (status != AG_OK) return status;
    ag_relation relation = relate_value(w, &skills);
    keep(best, relation, skills, value);
    if (w->row->compare != AG_COMPARE_SET || best->relation == AG_REL_EQUAL || !strpbrk(value, ",;/|"))
        return AG_OK;
    ag_str piece = {0};
    for (const char *at = value; *at && status == AG_OK && best->relation != AG_REL_EQUAL;) {
        size_t n = strcspn(at, ",;/|");
        ag_str_clear(&piece);
        ag_str_addn(&piece, at, n);
        if ((status = ag_str_ok(&piece, w->err)) != AG_OK) break;
        if ((status = normal_of(w, &w->value, ag_str_text(&piece))) != AG_OK) break;
        relation = relate_value(w, &skills);
        keep(best, relation, skills, value);
        at += n;
        if (*at) at++;
    }
    ag_str_free(&piece);
    return status;
}

/* Is the mention at words from..from+n-1 denied ("without leather", "leather-free")? */
static bool denied(const work *w, size_t from, size_t n)
{
    const ag_words *t = &w->words;
    size_t len;
    for (size_t k = 1; k <= 3 && k <= from; k++) {
        const char *before = ag_words_slice(t, from - k, k, &len);
        int bits = ag_map_get(&w->facts->phrases, before, len);
        if (bits > 0 && (bits & (1 << AG_PHRASE_NOT))) return true;
    }
    for (size_t k = 1; k <= 2 && from + n + k <= t->count; k++) {
        const char *after = ag_words_slice(t, from + n, k, &len);
        int bits = ag_map_get(&w->facts->phrases, after, len);
        if (bits > 0 && (bits & (1 << AG_PHRASE_NOT_AFTER))) return true;
    }
    return false;
}

/* Sizes and bare numbers stand in texts for many things. */
static bool worth_searching(const char *normal, size_t len)
{
    size_t digits = 0;
    for (size_t i = 0; i < len; i++) digits += (normal[i] >= '0' && normal[i] <= '9') || normal[i] == '.';
    return len >= 3 && digits < len;
}

/* Is the asked value (in w->asked), a synonym or a narrower one said in the words at hand? */
static bool said_in_words(work *w, unsigned *skills)
{
    ag_reached down = {.count = 0};
    int node = w->graph ? ag_map_get(&w->graph->nodes, ag_str_text(&w->asked), w->asked.len) : -1;
    if (node >= 0) ag_graph_reach(w->graph, node, AG_EDGE_SYNONYM | AG_EDGE_CHILD | AG_EDGE_COVERED, &down);
    for (int i = 0; i < (down.count ? down.count : 1); i++) {
        const char *part = down.count ? w->graph->nodes.entries[down.node[i]].key : ag_str_text(&w->asked);
        size_t len = down.count ? w->graph->nodes.entries[down.node[i]].len : w->asked.len;
        if (!worth_searching(part, len)) continue;
        size_t n = 1;
        for (size_t k = 0; k < len; k++) n += part[k] == ' ';
        for (long at = ag_words_find(&w->words, part, len, 0); at >= 0;
             at = ag_words_find(&w->words, part, len, (size_t)at + 1)) {
            if (denied(w, (size_t)at, n)) continue;
            *skills = AG_SKILL_TEXT | (down.count ? down.skills[i] : 0u);
            return true;
        }
    }
    return false;
}

static ag_status match_text(work *w, ag_match *best, const char *text, ag_relation relation)
{
    unsigned skills;
    if (!text || !*text) return AG_OK;
    ag_status status = ag_words_split(&w->words, text, w->facts->english, w->err);
    if (status == AG_OK && said_in_words(w, &skills)) keep(best, relation, skills, text);
    return status;
}

/* Strong fields, texts, weak fields, in this order, for one asked value. */
static ag_status match_words(work *w, const char *asked, ag_match *match)
{
    const ag_item *item = w->item;
    bool title_weak = is_weak(w->row, "title"), text = !title_weak;
    ag_status status = normal_of(w, &w->asked, asked);
    for (int f = 0; f < strong_count(w) && status == AG_OK; f++) {
        values v = field_values(item, strong_field(w, f));
        for (int i = 0; i < v.count && status == AG_OK && match->relation != AG_REL_EQUAL; i++)
            status = match_value(w, match, value_at(&v, i));
    }
    if (status == AG_OK && match->relation != AG_REL_EQUAL && text && w->facts->text_title)
        status = match_text(w, match, item->title, AG_REL_EQUAL);
    if (status == AG_OK && match->relation != AG_REL_EQUAL && text && w->facts->text_description &&
        !is_weak(w->row, "description"))
        status = match_text(w, match, item->description, AG_REL_EQUAL);
    for (int f = 0; f < w->row->weak_count && status == AG_OK && match->relation != AG_REL_EQUAL; f++) {
        const char *field = w->row->weak_fields[f];
        if (strcmp(field, "title") == 0 || strcmp(field, "description") == 0) {
            status = match_text(w, match, *field == 't' ? item->title : item->description, AG_REL_NEAR);
            continue;
        }
        values v = field_values(item, field);
        for (int i = 0; i < v.count && status == AG_OK; i++) {
            ag_match weak = {.relation = AG_REL_MISSING};
            status = match_value(w, &weak, value_at(&v, i));
            if (weak.relation == AG_REL_EQUAL) keep(match, AG_REL_NEAR, weak.skills, weak.value);
        }
    }
    return status;
}

/* --- numbers ----------------------------------------------------------------------------------------------- */

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

/* The number at *at (a digit), with a point or comma for decimals and commas for thousands; advances. */
static double read_number(const char **at)
{
    char text[64];
    size_t n = 0;
    const char *s = *at, *end = s;
    int commas = 0, points = 0;
    while (digit(*end) || ((*end == '.' || *end == ',') && digit(end[1]))) {
        commas += *end == ',';
        points += *end == '.';
        end++;
    }
    const char *comma = memchr(s, ',', (size_t)(end - s));
    bool thousands = commas > 1 || (commas == 1 && (points || end - comma == 4));
    for (const char *p = s; p < end && n + 1 < sizeof text; p++) {
        if (*p == ',' && thousands) continue;
        text[n++] = *p == ',' ? '.' : *p;
    }
    text[n] = '\0';
    double value = NAN;
    if (!ag_number_parse(text, &value)) value = NAN;
    *at = end;
    return value;
}

/* The row of the unit that a text begins with, -1 for none, -2 for an unknown one. */
static int read_unit(const ag_attribute *row, const char *s)
{
    size_t n = 0;
    while (*s == ' ') s++;
    while (letter(s[n])) n++;
    int best = -2;
    size_t longest = 0;
    for (int i = 0; i < row->unit_count; i++) {
        const char *name = row->units[i].name;
        size_t len = strlen(name);
        bool plural = n == len + 1 && (s[n - 1] == 's' || s[n - 1] == 'S');
        if (strncasecmp(s, name, len) != 0 || (letter(name[len - 1]) && n != len && !plural) || len < longest)
            continue;
        best = i;
        longest = len;
    }
    if (best >= 0) return best;
    return n == 0 ? -1 : -2;
}

bool ag_quantity_parse(const ag_attribute *row, const char *text, double *value, int *unit)
{
    for (const char *s = text; *s;) {
        if (!digit(*s)) {
            s++;
            continue;
        }
        bool part_of_name = s > text && letter(s[-1]);
        bool minus = s > text && s[-1] == '-' && (s - 1 == text || s[-2] == ' ');
        double x = read_number(&s);
        if (part_of_name || !isfinite(x)) continue;
        int u = read_unit(row, s);
        if (u == -2 && row->unit_count) continue; /* a number of something else */
        *unit = u < 0 ? -1 : u;
        *value = (minus ? -x : x) * (u < 0 ? 1.0 : row->units[u].factor);
        return true;
    }
    return false;
}

/* Numbers without a unit are in the base unit: the row whose factor is 1. */
static int base_unit(const ag_attribute *row, int unit)
{
    for (int i = 0; unit < 0 && i < row->unit_count; i++)
        if (row->units[i].factor == 1.0) return i;
    return unit;
}

typedef struct bounds {
    double lo, hi; /* what is asked, in base units */
    bool within;   /* `is`: within 2 % of lo */
    int unit;
} bounds;

static ag_relation relate_number(const ag_attribute *row, const bounds *b, double x)
{
    double slack = 1e-9;                        /* of unit factors that are not binary fractions */
    double nearest = x < b->lo ? b->lo : b->hi; /* an open end is infinite, but then nothing is off */
    double off = x < b->lo ? b->lo - x : x > b->hi ? x - b->hi : 0.0;
    double scale = fabs(nearest);
    if (off == 0.0 || off <= (b->within ? 0.02 : 0.0) * scale + slack * scale) return AG_REL_EQUAL;
    double tolerance = row->near_relative ? row->near * scale : row->near;
    return off <= tolerance + slack * scale && tolerance > 0 ? AG_REL_NEAR : AG_REL_OTHER;
}

/* A quantity in the title ("1.7 l kettle"): only with its unit written, and only for what is asked. */
static ag_status match_title_number(work *w, const bounds *b, ag_match *match)
{
    const char *s = w->item->title;
    while (s && *s) {
        if (!digit(*s)) {
            s++;
            continue;
        }
        bool part_of_name = s > w->item->title && letter(s[-1]);
        double x = read_number(&s);
        int u = read_unit(w->row, s);
        if (part_of_name || u < 0 || !isfinite(x)) continue;
        if (relate_number(w->row, b, x * w->row->units[u].factor) == AG_REL_EQUAL)
            keep(match, AG_REL_EQUAL, AG_SKILL_TEXT | (u != b->unit ? AG_SKILL_UNITS : 0u), w->item->title);
    }
    return AG_OK;
}

static ag_status match_number(work *w, const bounds *b, ag_match *match)
{
    bool said = false;
    for (int f = 0; f < strong_count(w); f++) {
        const char *field = strong_field(w, f);
        if (w->item->has_price && strcmp(field, "price") == 0) {
            keep(match, relate_number(w->row, b, w->item->price), 0, "price");
            said = true;
            continue;
        }
        values v = field_values(w->item, field);
        for (int i = 0; i < v.count; i++) {
            double x;
            int unit;
            if (!ag_quantity_parse(w->row, value_at(&v, i), &x, &unit)) continue;
            unsigned skills = b->unit != base_unit(w->row, unit) ? AG_SKILL_UNITS : 0u;
            keep(match, relate_number(w->row, b, x), skills, value_at(&v, i));
            said = true;
        }
    }
    if ((!said || (b->within && match->relation != AG_REL_EQUAL)) && w->facts->text_title &&
        !is_weak(w->row, "title"))
        return match_title_number(w, b, match);
    return AG_OK;
}

/* The numbers that an entry asks for; false when its values are no numbers. */
static bool read_bounds(const ag_attribute *row, const ag_ask *ask, int value, bounds *b)
{
    double x, y;
    int unit;
    if (!ag_quantity_parse(row, ask->values[value], &x, &unit)) return false;
    *b = (bounds){.lo = x, .hi = x, .unit = base_unit(row, unit)};
    switch (ask->op) {
    case AG_OP_AT_MOST: b->lo = -INFINITY; break;
    case AG_OP_AT_LEAST: b->hi = INFINITY; break;
    case AG_OP_BETWEEN:
        if (ask->value_count != 2 || !ag_quantity_parse(row, ask->values[1], &y, &unit)) return false;
        b->lo = x < y ? x : y;
        b->hi = x < y ? y : x;
        break;
    default: b->within = true; break;
    }
    return true;
}

/* --- like -------------------------------------------------------------------------------------------------- */

/* Is the item itself, or one of the brand, what the entry names? */
static ag_status is_the_named(work *w, const ag_ask *ask, const ag_item *reference, bool *same)
{
    static const char *const names[] = {"brand", "model", "name"};
    const ag_item *item = w->item;
    ag_status status = AG_OK;
    *same = false;
    if (reference && reference->id && item->id && strcmp(reference->id, item->id) == 0) *same = true;
    if (!*same && reference && reference->brand && item->brand) {
        status = normal_of(w, &w->asked, reference->brand);
        if (status == AG_OK) status = normal_of(w, &w->value, item->brand);
        *same = status == AG_OK && w->asked.len && strcmp(w->asked.data, ag_str_text(&w->value)) == 0;
    }
    for (int k = 0; k < ask->value_count && status == AG_OK && !*same; k++) {
        if ((status = normal_of(w, &w->asked, ask->values[k])) != AG_OK || w->asked.len == 0) break;
        for (size_t n = 0; n < sizeof names / sizeof *names && status == AG_OK && !*same; n++) {
            values v = field_values(item, names[n]);
            for (int i = 0; i < v.count && status == AG_OK && !*same; i++) {
                unsigned skills;
                status = normal_of(w, &w->value, value_at(&v, i));
                *same = status == AG_OK && relate_words(w, &skills) == AG_REL_EQUAL;
            }
        }
        /* A title that begins with the name; further on it is often what the item is an accessory of. */
        if (status == AG_OK && !*same)
            status = ag_words_split(&w->words, item->title, w->facts->english, w->err);
        if (status == AG_OK && !*same) *same = ag_words_find(&w->words, w->asked.data, w->asked.len, 0) == 0;
    }
    return status;
}

static ag_status match_like(work *w, const ag_ask *ask, const ag_item *reference, ag_match *match)
{
    bool same, other_kind = false;
    ag_status status = is_the_named(w, ask, reference, &same);
    if (status != AG_OK) return status;
    if (same) {
        keep(match, AG_REL_OTHER, 0, w->item->brand ? w->item->brand : w->item->title);
        return AG_OK;
    }
    if (!reference || !reference->has_price || !w->item->has_price) return AG_OK; /* missing */
    if (ag_item_kind(reference) && ag_item_kind(w->item)) {
        ag_match kind;
        if ((status = ag_facts_match_category(&kind, w->facts, ag_item_kind(reference), ag_item_kind(w->item),
                                              w->err)) != AG_OK)
            return status;
        other_kind = kind.relation != AG_REL_SAME && kind.relation != AG_REL_NARROWER;
    }
    keep(match, !other_kind && w->item->price < reference->price ? AG_REL_EQUAL : AG_REL_NEAR, 0, "price");
    return AG_OK;
}

/* --- one entry --------------------------------------------------------------------------------------------- */

static ag_status match_entry(work *w, const ag_ask *ask, const ag_item *reference, ag_match *match)
{
    bool bound = ask->op == AG_OP_AT_MOST || ask->op == AG_OP_AT_LEAST || ask->op == AG_OP_BETWEEN;
    bounds b;
    ag_status status = AG_OK;
    if (ask->op == AG_OP_LIKE) return match_like(w, ask, reference, match);
    if (bound) return read_bounds(w->row, ask, 0, &b) ? match_number(w, &b, match) : AG_OK;
    for (int k = 0; k < ask->value_count && status == AG_OK && match->relation != AG_REL_EQUAL; k++) {
        ag_match one = {.relation = AG_REL_MISSING};
        if (w->row->compare == AG_COMPARE_NUMBER && read_bounds(w->row, ask, k, &b))
            status = match_number(w, &b, &one);
        else
            status = match_words(w, ask->values[k], &one);
        keep(match, one.relation, one.skills, one.value);
    }
    if (ask->op == AG_OP_NOT) {
        if (match->relation == AG_REL_EQUAL)
            match->relation = AG_REL_OTHER;
        else if (match->relation == AG_REL_OTHER)
            match->relation = AG_REL_EQUAL;
    }
    return status;
}

ag_status ag_facts_match(ag_match *match, const ag_facts *facts, const ag_book *book, const ag_ask *ask,
                         const ag_item *item, const ag_item *reference, ag_error *err)
{
    work w = {.facts = facts,
              .row = ag_book_attribute(book, ask->name),
              .item = item,
              .attribute = ask->name,
              .err = err};
    *match = (ag_match){.relation = AG_REL_MISSING};
    ag_status status = ag_facts_graph(facts, book, ask->name, &w.graph, err);
    if (status == AG_OK) status = match_entry(&w, ask, reference, match);
    work_free(&w);
    return status;
}

ag_relation ag_facts_compare(const ag_facts *facts, const ag_book *book, const ag_ask *ask,
                             const ag_item *item, const ag_item *reference)
{
    ag_match match;
    return ag_facts_match(&match, facts, book, ask, item, reference, NULL) == AG_OK ? match.relation
                                                                                    : AG_REL_MISSING;
}
