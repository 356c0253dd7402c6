/* mine.c: see mine.h. */
#include "data/mine.h"

#include <stdlib.h>
#include <string.h>

#include "rules/compare.h"
#include "rules/facts_map.h"
#include "rules/facts_text.h"

enum { WORDS = 3, COMMON = 20 };
static const double SURE = 0.9; /* this share of a phrase's products is of one kind */

typedef struct phrase {
    const char *text;
    long count;       /* products */
    const char *kind; /* of the first of them, NULL for gaps */
    long same;        /* products of that kind */
    const char *example;
    int words;
} phrase;

typedef struct phrases {
    ag_map index;
    phrase *items;
    size_t count, cap;
} phrases;

typedef struct miner {
    ag_arena arena;
    const ag_facts *facts;
    phrases known, open;
    ag_map values; /* words that are values of attributes of many products */
    ag_str text;
    ag_error *err;
} miner;

static ag_status add(miner *m, phrases *to, int words, const char *kind, const char *title)
{
    bool made;
    ag_map_entry *e = ag_map_put(&to->index, ag_str_text(&m->text), m->text.len, (int)to->count, &made);
    if (!e || !ag_grow(&to->items, &to->cap, to->count + 1, sizeof *to->items))
        return ag_fail_memory(m->err, "phrases");
    if (made)
        to->items[to->count++] = (phrase){.text = e->key, .kind = kind, .example = title, .words = words};
    phrase *p = &to->items[e->value];
    p->count++;
    p->same += kind && strcmp(kind, p->kind) == 0;
    return AG_OK;
}

/* Single words that are values of attributes of many products: colours, "original". */
static ag_status collect_values(miner *m, const ag_item *items, size_t count, bool english)
{
    ag_map seen = {.arena = &m->arena};
    ag_status status = AG_OK;
    for (size_t i = 0; i < count && status == AG_OK; i++)
        for (int f = 0; f < items[i].field_count && status == AG_OK; f++) {
            const ag_field *field = &items[i].fields[f];
            if (field->count != 1 || strpbrk(field->values[0], " ,0123456789")) continue;
            ag_str_clear(&m->text);
            status = ag_words_normal(&m->text, field->values[0], english, m->err);
            ag_map_entry *e = status == AG_OK ? ag_map_put(&seen, ag_str_text(&m->text), m->text.len, 0, NULL)
                                              : NULL;
            if (status == AG_OK && !e) status = ag_fail_memory(m->err, "values");
            if (e && ++e->value == COMMON && !ag_map_put(&m->values, e->key, e->len, 1, NULL))
                status = ag_fail_memory(m->err, "values");
        }
    ag_map_free(&seen);
    return status;
}

static bool has_letters(const char *text)
{
    for (; *text; text++)
        if ((*text >= 'a' && *text <= 'z') || (unsigned char)*text >= 0x80) return true;
    return false;
}

static ag_status read_item(miner *m, const ag_item *item)
{
    ag_item title_only = {.title = item->title};
    const char *kind = item->category, *named = NULL;
    ag_status status = ag_facts_kind(&named, m->facts, &title_only, m->err);
    if (status == AG_OK && !named && !kind) status = ag_facts_kind(&kind, m->facts, item, m->err);
    for (int words = 1; words <= WORDS && status == AG_OK && !named; words++) {
        ag_str_clear(&m->text);
        status = ag_facts_head(&m->text, m->facts, &m->values, item->title, words, m->err);
        if (status == AG_OK && m->text.len && has_letters(ag_str_text(&m->text)))
            status = add(m, kind ? &m->known : &m->open, words, kind, item->title);
    }
    return status;
}

/* Most products first; then the longer phrase, then by text. */
static int by_count(const void *a, const void *b)
{
    const phrase *x = a, *y = b;
    if (x->count != y->count) return x->count < y->count ? 1 : -1;
    if (x->words != y->words) return x->words < y->words ? 1 : -1;
    return strcmp(x->text, y->text);
}

/* Is what a shorter phrase says said by a longer one, of which nearly all of its products are? */
static bool covered(const phrases *all, const phrase *p)
{
    size_t n = strlen(p->text);
    for (size_t i = 0; i < all->count; i++) {
        const phrase *q = &all->items[i];
        size_t len = strlen(q->text);
        if (q->words == p->words + 1 && len > n && q->text[len - n - 1] == ' ' &&
            strcmp(q->text + len - n, p->text) == 0 && (double)q->count >= SURE * (double)p->count)
            return true;
    }
    return false;
}

/* A text between double quotes of YAML. */
static void quoted(ag_out *out, const char *text)
{
    ag_out_printf(out, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') ag_out_printf(out, "\\");
        ag_out_write(out, (unsigned char)*text < 0x20 ? " " : text, 1);
    }
    ag_out_printf(out, "\"");
}

static ag_status write_synonyms(miner *m, ag_out *out, ag_mined *mined, long min)
{
    int index;
    const char *last = NULL;
    for (int c = 0; c < ag_facts_category_count(m->facts); c++) {
        const char *kind = ag_facts_category_name(m->facts, c);
        for (size_t i = 0; i < m->known.count; i++) {
            const phrase *p = &m->known.items[i];
            if (p->count < min || strcmp(p->kind, kind) != 0 || (double)p->same < SURE * (double)p->count)
                continue;
            ag_status status = ag_facts_category_index(m->facts, p->text, &index, m->err);
            if (status != AG_OK) return status;
            if (index >= 0 || covered(&m->known, p)) continue;
            if (mined->synonyms == 0) ag_out_printf(out, "categories:\n");
            if (last != kind) {
                ag_out_printf(out, "%s  ", last ? "    ]}\n" : "");
                quoted(out, kind);
                ag_out_printf(out, ": {synonyms: [\n");
            }
            ag_out_printf(out, "      ");
            quoted(out, p->text);
            ag_out_printf(out, ", # %ld of %ld products, such as ", p->same, p->count);
            quoted(out, p->example);
            ag_out_printf(out, "\n");
            last = kind;
            mined->synonyms++;
        }
    }
    if (last) ag_out_printf(out, "    ]}\n");
    return AG_OK;
}

static void write_gaps(miner *m, ag_out *out, ag_mined *mined, long min)
{
    ag_out_printf(out, "\n# Products whose kind nothing tells, by the words that their titles end in:\n");
    for (size_t i = 0; i < m->open.count; i++) {
        const phrase *p = &m->open.items[i];
        if (p->count < min || covered(&m->open, p)) continue;
        ag_out_printf(out, "# %6ld  ", p->count);
        quoted(out, p->text);
        ag_out_printf(out, "  ");
        quoted(out, p->example);
        ag_out_printf(out, "\n");
        mined->gaps++;
    }
}

ag_status ag_facts_mine(ag_out *out, ag_mined *mined, const ag_item *items, size_t count,
                        const ag_facts *facts, bool english, const char *base, long min, ag_error *err)
{
    miner m = {.arena = {.name = "mining"}, .facts = facts, .err = err};
    m.known.index.arena = m.open.index.arena = m.values.arena = &m.arena;
    *mined = (ag_mined){0};
    ag_status status = collect_values(&m, items, count, english);
    for (size_t i = 0; i < count && status == AG_OK; i++) status = read_item(&m, &items[i]);
    if (status == AG_OK) {
        if (m.known.count) qsort(m.known.items, m.known.count, sizeof *m.known.items, by_count);
        if (m.open.count) qsort(m.open.items, m.open.count, sizeof *m.open.items, by_count);
        ag_out_printf(out,
                      "# What the facts file lacks for a catalogue of %zu products. Keep what is right, name "
                      "the file in the\n"
                      "# rulebook (facts: THIS FILE), and mine again.\nfacts: mined\n",
                      count);
        if (base) {
            ag_out_printf(out, "base: ");
            quoted(out, base);
            ag_out_printf(out, "\n");
        }
        status = write_synonyms(&m, out, mined, min);
        if (status == AG_OK) write_gaps(&m, out, mined, min);
    }
    ag_map_free(&m.known.index);
    ag_map_free(&m.open.index);
    ag_map_free(&m.values);
    ag_free(m.known.items);
    ag_free(m.open.items);
    ag_str_free(&m.text);
    ag_arena_free(&m.arena);
    return status;
}
