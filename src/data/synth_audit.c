/* synth_audit.c: a sheet for a reader who checks the labels: pairs on one side, what the rules made of them on the other. */
#include "data/synth.h"

#include <string.h>

#include "base/file.h"
#include "base/rng.h"

enum { SHOWN_VALUES = 12, SHOWN_BYTES = 400 };

typedef struct drawn {
    const ag_synth_pair **pairs;
    long count;
} drawn;

/* Rules take turns, each giving its pairs in a fixed shuffle, until n are drawn or none is left. */
static ag_status draw(drawn *d, const ag_synth *s, const ag_book *book, long n, uint64_t seed, ag_error *err)
{
    size_t total = 0, at = 0;
    for (int p = 0; p < AG_SYNTH_PARTS; p++) total += s->pair_count[p];
    const ag_synth_pair **all = ag_calloc(total + 1, sizeof *all);
    uint32_t *order = ag_calloc(total + 1, sizeof *order);
    size_t next[AG_MAX_RULES + 1] = {0};
    d->pairs = ag_calloc((size_t)n + 1, sizeof *d->pairs);
    ag_status status = all && order && d->pairs ? AG_OK : ag_fail_memory(err, "audit");
    for (int p = 0; p < AG_SYNTH_PARTS && status == AG_OK; p++)
        for (size_t i = 0; i < s->pair_count[p]; i++) all[at++] = &s->pairs[p][i];
    for (size_t i = 0; i < total && status == AG_OK; i++) order[i] = (uint32_t)i;
    ag_rng rng = ag_rng_at(seed, AG_RNG_SYNTH, 7, 0, 0, 0);
    if (status == AG_OK) ag_rng_shuffle(&rng, order, (uint32_t)total);
    for (bool more = true; more && status == AG_OK && d->count < n;) {
        more = false;
        for (int r = -1; r < book->rule_count && d->count < n; r++) {
            size_t *i = &next[r + 1];
            while (*i < total && all[order[*i]]->gold.rule != r) ++*i;
            if (*i == total) continue;
            d->pairs[d->count++] = all[order[(*i)++]];
            more = true;
        }
    }
    ag_free(all);
    ag_free(order);
    return status;
}

/* A text as a cell: no tabs, no newlines, not longer than a reader wants. */
static void cell(ag_out *out, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    if (n > SHOWN_BYTES) {
        n = SHOWN_BYTES;
        while (n && ((unsigned char)text[n] & 0xC0) == 0x80) n--;
    }
    if (n) ag_out_cell(out, text, n);
}

static void write_facts(ag_out *out, const ag_item *item)
{
    for (int i = 0; i < item->field_count && i < SHOWN_VALUES; i++) {
        if (i) ag_out_printf(out, "; ");
        cell(out, item->fields[i].name);
        ag_out_printf(out, "=");
        cell(out, item->fields[i].count ? item->fields[i].values[0] : "");
    }
}

static void write_row(ag_out *out, long number, const ag_synth_pair *pair)
{
    const ag_item *item = pair->item;
    ag_out_printf(out, "%ld\t\t", number);
    cell(out, pair->query->text);
    ag_out_printf(out, "\t");
    cell(out, item->title);
    ag_out_printf(out, "\t");
    cell(out, item->brand);
    ag_out_printf(out, "\t");
    if (item->has_price) ag_out_printf(out, "%.2f", item->price);
    ag_out_printf(out, "\t");
    cell(out, item->description);
    ag_out_printf(out, "\t");
    write_facts(out, item);
    ag_out_printf(out, "\n");
}

static void write_key(ag_out *out, long number, const ag_synth_pair *pair, const ag_book *book)
{
    const ag_gold *g = &pair->gold;
    ag_out_printf(out, "%ld\t%s\t%s\t%s\t", number, book->tiers[g->tier].id,
                  g->rule >= 0 ? book->rules[g->rule].id : "-", ag_synth_type_names[pair->query->type]);
    cell(out, pair->query->wanted);
    ag_out_printf(out, "\t");
    cell(out, pair->item->category ? pair->item->category : pair->item->kind);
    ag_out_printf(out, "\t");
    cell(out, g->why);
    ag_out_printf(out, "\n");
}

ag_status ag_synth_write_audit(const ag_synth *synth, const ag_book *book, long n, uint64_t seed,
                               const char *dir, ag_error *err)
{
    drawn d = {0};
    ag_out *sheet = NULL, *key = NULL;
    char *sheet_path = ag_path_join(dir, "audit.tsv"), *key_path = ag_path_join(dir, "audit-key.tsv");
    ag_status status = sheet_path && key_path ? draw(&d, synth, book, n, seed, err)
                                              : ag_fail_memory(err, "audit");
    if (status == AG_OK) status = ag_out_open(&sheet, sheet_path, err);
    if (status == AG_OK) status = ag_out_open(&key, key_path, err);
    if (status == AG_OK) {
        ag_rng rng = ag_rng_at(seed, AG_RNG_SYNTH, 7, 1, 0, 0);
        ag_out_printf(sheet, "number\ttier\tquery\ttitle\tbrand\tprice\tdescription\tfacts\n");
        ag_out_printf(key, "number\ttier\trule\ttype\twanted\tkind\twhy\n");
        for (long i = d.count - 1; i > 0; i--) { /* the order of rules would tell the reader what to expect */
            uint32_t k = ag_rng_below(&rng, (uint32_t)i + 1);
            const ag_synth_pair *other = d.pairs[i];
            d.pairs[i] = d.pairs[k];
            d.pairs[k] = other;
        }
        for (long i = 0; i < d.count; i++) {
            write_row(sheet, i + 1, d.pairs[i]);
            write_key(key, i + 1, d.pairs[i], book);
        }
    }
    if (status == AG_OK) status = ag_out_flush(sheet, err);
    if (status == AG_OK) status = ag_out_flush(key, err);
    if (status == AG_OK)
        status = ag_out_commit(sheet, err);
    else
        ag_out_abort(sheet);
    if (status == AG_OK)
        status = ag_out_commit(key, err);
    else
        ag_out_abort(key);
    ag_free(d.pairs);
    ag_free(sheet_path);
    ag_free(key_path);
    return status;
}
