/* synth_shelf.c: the catalogue sorted for the generator: by category, and by which files may use a product.
 *
 * A product's side hangs on its id and the seed alone, so that a grown catalogue moves no product to the other side.
 */
#include "data/synth_parts.h"

#include <string.h>

static ag_status add_kind(ag_shelf *s, const char *name, int *index, ag_error *err)
{
    bool made;
    if (!ag_grow(&s->kinds, &s->kind_cap, s->kind_count + 1, sizeof *s->kinds))
        return ag_fail_memory(err, "categories");
    ag_map_entry *e = ag_map_put(&s->kind_index, name, strlen(name), (int)s->kind_count, &made);
    if (!e) return ag_fail_memory(err, "categories");
    if (made)
        s->kinds[s->kind_count++] = (ag_kind){
            .name = name}; /* the item's own text, which outlives the shelf */
    *index = e->value;
    return AG_OK;
}

/* A brand is a brand where it has products in several categories; then it may be held out without emptying one. */
typedef struct brands {
    ag_map index;
    int *last_kind, *kinds_seen;
    size_t cap_a, cap_b;
} brands;

static ag_status count_brands(ag_shelf *s, brands *b, ag_error *err)
{
    for (size_t i = 0; i < s->count; i++) {
        const char *brand = s->items[i].brand;
        bool made;
        if (!brand || !*brand) continue;
        size_t next = b->index.count;
        if (!ag_grow(&b->last_kind, &b->cap_a, next + 1, sizeof *b->last_kind) ||
            !ag_grow(&b->kinds_seen, &b->cap_b, next + 1, sizeof *b->kinds_seen))
            return ag_fail_memory(err, "brands");
        ag_map_entry *e = ag_map_put(&b->index, brand, strlen(brand), (int)next, &made);
        if (!e) return ag_fail_memory(err, "brands");
        if (made) b->last_kind[next] = -1, b->kinds_seen[next] = 0;
        if (b->last_kind[e->value] != s->kind_of[i]) b->kinds_seen[e->value]++;
        b->last_kind[e->value] = s->kind_of[i];
    }
    return AG_OK;
}

/* Draws `n` of `count` things for which `able` says yes, by the seed; marks them. */
static ag_status draw(unsigned char *mark, const int *able, size_t count, int n, uint64_t seed, uint64_t what,
                      ag_error *err)
{
    uint32_t *order = ag_calloc(count + 1, sizeof *order), able_count = 0;
    ag_rng rng = ag_rng_at(seed, AG_RNG_SYNTH, 2, what, 0, 0);
    if (!order) return ag_fail_memory(err, "catalogue");
    for (size_t i = 0; i < count; i++)
        if (!able || able[i] >= 3) order[able_count++] = (uint32_t)i;
    ag_rng_shuffle(&rng, order, able_count);
    /* Never more than a quarter: the rest is what there is to learn from. */
    for (uint32_t i = 0; i < able_count / 4 && (int)i < n; i++) mark[order[i]] = 1;
    ag_free(order);
    return AG_OK;
}

static ag_status choose_sides(ag_shelf *s, ag_error *err)
{
    brands b = {.index = {.arena = &s->arena}};
    unsigned char *held_brand = NULL, *held_kind = ag_calloc(s->kind_count + 1, 1);
    uint64_t seed = s->options->seed;
    ag_status status = held_kind ? count_brands(s, &b, err) : ag_fail_memory(err, "catalogue");
    if (status == AG_OK && !(held_brand = ag_calloc(b.index.count + 1, 1)))
        status = ag_fail_memory(err, "catalogue");
    if (status == AG_OK)
        status = draw(held_brand, b.kinds_seen, b.index.count, s->options->unseen_brands, seed, 1, err);
    if (status == AG_OK)
        status = draw(held_kind, NULL, s->kind_count, s->options->unseen_categories, seed, 2, err);
    for (size_t k = 0; k < s->kind_count && status == AG_OK; k++) s->kinds[k].unseen = held_kind[k];
    for (size_t i = 0; i < s->count && status == AG_OK; i++) {
        const ag_item *item = &s->items[i];
        int brand = item->brand ? ag_map_get(&b.index, item->brand, strlen(item->brand)) : -1;
        uint64_t name = item->id ? ag_hash64(item->id, strlen(item->id)) : i;
        ag_rng rng = ag_rng_at(seed, AG_RNG_SPLIT, 1, name, 0, 0);
        ag_side side = ag_rng_double(&rng) < s->options->unseen_products ? AG_SIDE_TEST : AG_SIDE_TRAIN;
        s->unseen_brand[i] = brand >= 0 && held_brand[brand];
        ag_kind *kind = s->kind_of[i] >= 0 ? &s->kinds[s->kind_of[i]] : NULL;
        if (s->unseen_brand[i] || (kind && kind->unseen)) side = AG_SIDE_UNSEEN;
        s->side_of[i] = (unsigned char)side;
        if (!kind) continue;
        if (!ag_grow(&kind->items[side], &kind->cap[side], kind->count[side] + 1, sizeof(uint32_t)))
            status = ag_fail_memory(err, "catalogue");
        else
            kind->items[side][kind->count[side]++] = (uint32_t)i;
    }
    ag_map_free(&b.index);
    ag_free(b.last_kind);
    ag_free(b.kinds_seen);
    ag_free(held_brand);
    ag_free(held_kind);
    return status;
}

/* How a product's title words its kind, with one word before it and with two. */
static ag_status add_wordings(ag_shelf *s, int index, ag_error *err)
{
    ag_str name = {0}, text = {0};
    ag_status status = AG_OK;
    const ag_item *item = &s->items[index];
    for (int words = 1; words <= 2 && status == AG_OK; words++) {
        bool made;
        ag_str_clear(&name);
        ag_str_clear(&text);
        status = ag_facts_kind_words(&name, &text, s->facts, item, words, err);
        if (status != AG_OK || text.len == 0) break;
        ag_str_addf(&text, " %s", ag_str_text(&name));
        ag_map_entry *e = text.failed ? NULL : ag_map_put(&s->wordings, text.data, text.len, index, &made);
        if (!e)
            status = ag_fail_memory(err, "catalogue");
        else if (!made && e->value >= 0 && !ag_streq(s->items[e->value].brand, item->brand))
            e->value = -1;
    }
    ag_str_free(&name);
    ag_str_free(&text);
    return status;
}

bool ag_shelf_common_wording(const ag_shelf *s, const char *before, const char *name)
{
    ag_str text = {0};
    ag_str_addf(&text, "%s %s", before, name);
    const ag_map_entry *e = text.failed ? NULL : ag_map_find(&s->wordings, text.data, text.len);
    ag_str_free(&text);
    return e && e->value < 0;
}

ag_status ag_shelf_build(ag_shelf *s, ag_error *err)
{
    ag_status status = AG_OK;
    s->arena.name = "catalogue";
    s->kind_index.arena = s->wordings.arena = &s->arena;
    s->kind_of = ag_calloc(s->count + 1, sizeof *s->kind_of);
    s->side_of = ag_calloc(s->count + 1, 1);
    s->unseen_brand = ag_calloc(s->count + 1, 1);
    if (!s->kind_of || !s->side_of || !s->unseen_brand) return ag_fail_memory(err, "catalogue");
    if (s->count > UINT32_MAX / 2)
        return ag_fail(err, AG_ERR_INPUT, "a catalogue of %zu products is too large", s->count);
    for (size_t i = 0; i < s->count && status == AG_OK; i++) {
        s->kind_of[i] = -1;
        const char *kind = ag_item_kind(&s->items[i]);
        if (kind) status = add_kind(s, kind, &s->kind_of[i], err);
    }
    if (status == AG_OK && s->kind_count < 2)
        return ag_fail(err, AG_ERR_INPUT, "the catalogue has %zu categories; pairs need at least two",
                       s->kind_count);
    if (status == AG_OK && s->options->catalogue)
        status = ag_bm25_build(&s->search, s->items, s->count, ag_book_english(s->book), err);
    for (size_t i = 0; i < s->count && status == AG_OK && s->options->catalogue; i++)
        if (s->kind_of[i] >= 0) status = add_wordings(s, (int)i, err);
    return status == AG_OK ? choose_sides(s, err) : status;
}

void ag_shelf_free(ag_shelf *s)
{
    for (size_t k = 0; k < s->kind_count; k++)
        for (int side = 0; side < AG_SIDES; side++) ag_free(s->kinds[k].items[side]);
    ag_free(s->kinds);
    ag_map_free(&s->kind_index);
    ag_map_free(&s->wordings);
    ag_bm25_free(s->search);
    ag_free(s->kind_of);
    ag_free(s->side_of);
    ag_free(s->unseen_brand);
    ag_arena_free(&s->arena);
}
