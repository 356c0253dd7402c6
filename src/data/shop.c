/* shop.c: invents products. Each is a function of the seed and its number, so a larger shop begins like a smaller one.
 *
 * Facts first, then the words: title and description only say what the product's facts are (and phrases that say
 * nothing), so that no text ever contradicts a label.
 */
#include "data/shop.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"

void ag_shop_defaults(ag_shop_options *options)
{
    *options = (ag_shop_options){.products = 4000, .seed = 1, .missing = 0.08, .text_only = 0.02};
}

/* One product in the making. */
typedef struct product {
    const ag_shop_category *category;
    const char *brand, *model;
    int band;
    const char *value[AG_SHOP_ATTRIBUTES]; /* as the product writes it; NULL: not stated */
    bool field[AG_SHOP_ATTRIBUTES];        /* false: in the title only */
    ag_arena *arena;
    ag_rng rng;
} product;

static bool chance(ag_rng *rng, double p)
{
    return ag_rng_double(rng) < p;
}

static int list_length(const char *const *list)
{
    int n = 0;
    while (list[n]) n++;
    return n;
}

static const char *pick(ag_rng *rng, const char *const *list)
{
    return list[ag_rng_below(rng, (uint32_t)list_length(list))];
}

static const char *keep(ag_arena *arena, const ag_str *text)
{
    return text->failed ? NULL : ag_arena_strdup(arena, ag_str_text(text));
}

/* "1.5 l" or "1500 ml"; the second unit only where it gives a short number. */
static const char *quantity(product *p, const ag_shop_attribute *a, const char *value)
{
    ag_str text = {0};
    double x = 0;
    ag_number_parse(value, &x);
    double second = x * a->per_second;
    bool small = x < 0.5 && second >= 1;
    bool other = small || (second >= 0.5 && second <= 3000 && fabs(second * 10 - round(second * 10)) < 1e-9 &&
                           x < 10 && chance(&p->rng, 0.4));
    if (a->per_second < 1) other = second >= 1 && chance(&p->rng, 0.4);
    ag_str_addf(&text, "%g %s", other ? second : x, a->units[other]);
    const char *kept = keep(p->arena, &text);
    ag_str_free(&text);
    return kept;
}

static const char *device_of(product *p)
{
    if (strcmp(p->category->name, "phone cases") != 0 && chance(&p->rng, 0.2)) return "any phone";
    return pick(&p->rng, ag_shop_devices);
}

static ag_status choose_facts(product *p, const ag_shop_options *options, ag_error *err)
{
    for (int i = 0; i < AG_SHOP_ATTRIBUTES && p->category->attributes[i].name; i++) {
        const ag_shop_attribute *a = &p->category->attributes[i];
        bool fits = strcmp(a->name, "fits") == 0;
        const char *value = fits ? device_of(p) : pick(&p->rng, a->values);
        if (a->units && !(value = quantity(p, a, value))) return ag_fail_memory(err, "products");
        bool missing = chance(&p->rng, options->missing), text = chance(&p->rng, options->text_only);
        /* A size or a bare number in a title could be anything. */
        bool tells = a->units || (strcmp(a->name, "size") != 0 && strcmp(a->name, "pack") != 0);
        p->value[i] = missing ? NULL : value;
        p->field[i] = !text || !tells;
    }
    return AG_OK;
}

static double choose_price(product *p)
{
    static const double factor[] = {0.5, 1.0, 2.0};
    double want = p->category->price * factor[p->band] * (0.88 + 0.24 * ag_rng_double(&p->rng));
    int best = ag_shop_prices[0];
    for (const int *price = ag_shop_prices; *price; price++)
        if (fabs(*price - want) < fabs(best - want)) best = *price;
    return best;
}

static void choose_maker(product *p)
{
    if (p->category->devices) {
        const char *device = pick(&p->rng, ag_shop_devices), *space = strchr(device, ' ');
        p->brand = ag_arena_strndup(p->arena, device, (size_t)(space - device));
        p->model = space + 1;
        p->band = *device == 'F' || *device == 'O' ? 2 : *device == 'M' ? 0 : 1;
        return;
    }
    const ag_shop_brand *brand;
    do brand = &ag_shop_brands[ag_rng_below(&p->rng, (uint32_t)ag_shop_brand_count)];
    while (brand->trade != p->category->trade);
    p->brand = brand->name;
    p->band = brand->band;
}

/* --- words ------------------------------------------------------------------------------------------------- */

/* A fact as a title says it, with a space in front. */
static void title_fact(ag_str *title, const ag_shop_attribute *a, const char *value)
{
    if (strcmp(a->name, "size") == 0)
        ag_str_addf(title, " size %s", value);
    else if (strcmp(a->name, "pack") == 0)
        ag_str_addf(title, " pack of %s", value);
    else if (strcmp(a->name, "fits") == 0 || strcmp(a->name, "for") == 0)
        ag_str_addf(title, " for %s", value);
    else
        ag_str_addf(title, " %s", value);
}

static bool before_noun(const ag_shop_attribute *a)
{
    return !a->units && (strcmp(a->name, "colour") == 0 || strcmp(a->name, "material") == 0 ||
                         strcmp(a->name, "flavour") == 0);
}

static const char *write_title(product *p, ag_str *s)
{
    bool shown[AG_SHOP_ATTRIBUTES];
    ag_str_clear(s);
    ag_str_add(s, p->brand);
    if (p->model)
        ag_str_addf(s, " %s", p->model);
    else if (chance(&p->rng, 0.5))
        ag_str_addf(s, " %s", pick(&p->rng, ag_shop_series));
    for (int i = 0; i < AG_SHOP_ATTRIBUTES && p->category->attributes[i].name; i++) {
        shown[i] = p->value[i] && (!p->field[i] || chance(&p->rng, 0.45));
        if (shown[i] && before_noun(&p->category->attributes[i]))
            title_fact(s, &p->category->attributes[i], p->value[i]);
    }
    ag_str_addf(s, " %s", p->category->noun);
    for (int i = 0; i < AG_SHOP_ATTRIBUTES && p->category->attributes[i].name; i++)
        if (shown[i] && !before_noun(&p->category->attributes[i]))
            title_fact(s, &p->category->attributes[i], p->value[i]);
    return keep(p->arena, s);
}

static const char *write_description(product *p, ag_str *s)
{
    static const struct {
        const char *name, *form;
    } forms[] = {{"material", "Made of %s."}, {"volume", "Holds %s."},   {"power", "Has %s of power."},
                 {"fits", "Works with %s."},  {"colour", "Colour: %s."}, {"for", "Made for %s."}};
    ag_str_clear(s);
    ag_str_add(s, pick(&p->rng, ag_shop_sentences));
    for (int i = 0; i < AG_SHOP_ATTRIBUTES && p->category->attributes[i].name; i++) {
        if (!p->value[i] || !p->field[i] || !chance(&p->rng, 0.25)) continue;
        for (size_t k = 0; k < sizeof forms / sizeof *forms; k++) {
            if (strcmp(forms[k].name, p->category->attributes[i].name) != 0) continue;
            ag_str_addc(s, ' ');
            const char *slot = strstr(forms[k].form, "%s");
            ag_str_addn(s, forms[k].form, (size_t)(slot - forms[k].form));
            ag_str_add(s, p->value[i]);
            ag_str_add(s, slot + 2);
        }
    }
    if (chance(&p->rng, 0.25)) ag_str_addf(s, " %s", pick(&p->rng, ag_shop_sentences));
    return keep(p->arena, s);
}

/* --- items ------------------------------------------------------------------------------------------------- */

static bool add_field(ag_item *item, const char *name, const char *value, ag_arena *arena)
{
    ag_field *f = &item->fields[item->field_count++];
    *f = (ag_field){.name = name, .count = 1, .values = ag_arena_alloc(arena, 1, sizeof *f->values)};
    if (!f->values) return false;
    f->values[0] = value;
    return true;
}

static ag_status make_item(ag_item *item, long number, const ag_shop_options *options, ag_arena *arena,
                           ag_str *scratch, ag_error *err)
{
    product p = {.arena = arena, .rng = ag_rng_at(options->seed, AG_RNG_SYNTH, 1, (uint64_t)number, 0, 0)};
    p.category = &ag_shop_categories[number % ag_shop_category_count];
    choose_maker(&p);
    if (!p.brand) return ag_fail_memory(err, "products");
    ag_status status = choose_facts(&p, options, err);
    if (status != AG_OK) return status;
    ag_str_clear(scratch);
    ag_str_addf(scratch, "p%05ld", number + 1);
    item->id = keep(arena, scratch);
    item->brand = p.brand;
    item->category = p.category->name;
    item->has_price = !chance(&p.rng, 0.02);
    item->price = choose_price(&p);
    if (!item->has_price) item->price = 0;
    item->title = write_title(&p, scratch);
    item->description = write_description(&p, scratch);
    item->fields = ag_arena_alloc(arena, AG_SHOP_ATTRIBUTES + 1, sizeof *item->fields);
    bool ok = item->id && item->title && item->description && item->fields;
    if (ok && p.model) ok = add_field(item, "model", p.model, arena);
    for (int i = 0; i < AG_SHOP_ATTRIBUTES && ok && p.category->attributes[i].name; i++)
        if (p.value[i] && p.field[i]) ok = add_field(item, p.category->attributes[i].name, p.value[i], arena);
    return ok ? AG_OK : ag_fail_memory(err, "products");
}

ag_status ag_shop_invent(ag_item **items, size_t *count, const ag_shop_options *options, ag_arena *arena,
                         ag_error *err)
{
    ag_str scratch = {0};
    ag_status status = AG_OK;
    if (options->products < 1 || options->products > 10000000)
        return ag_fail(err, AG_ERR_USAGE, "products: %ld is not between 1 and 10000000", options->products);
    ag_item *list = ag_arena_alloc(arena, (size_t)options->products, sizeof *list);
    if (!list) return ag_fail_memory(err, "products");
    for (long i = 0; i < options->products && status == AG_OK; i++)
        status = make_item(&list[i], i, options, arena, &scratch, err);
    ag_str_free(&scratch);
    *items = list;
    *count = (size_t)options->products;
    return status;
}
