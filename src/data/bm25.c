/* bm25.c: see bm25.h. Postings lie in one array, sorted by word and item. */
#include "data/bm25.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rules/facts_map.h"
#include "rules/facts_text.h"

static const double k1 = 1.2, b = 0.75;
enum { TITLE_WEIGHT = 2 };

typedef struct posting {
    uint32_t word, item;
    float weight; /* while building the count, then its share of the score */
} posting;

struct ag_bm25 {
    ag_arena arena;
    ag_map words;
    posting *postings;
    size_t count, cap;
    size_t *first; /* of a word; one more at the end */
    float *scores;
    uint32_t *touched;
    size_t items;
    double *length;
    ag_words scratch;
    bool english;
};

static ag_status add_text(ag_bm25 *x, uint32_t item, const char *text, int weight, ag_error *err)
{
    if (!text) return AG_OK;
    ag_status status = ag_words_split(&x->scratch, text, x->english, err);
    for (size_t i = 0; i < x->scratch.count && status == AG_OK; i++) {
        const ag_word *w = &x->scratch.items[i];
        ag_map_entry *e = ag_map_put(&x->words, x->scratch.text.data + w->at, w->len, (int)x->words.count,
                                     NULL);
        if (!e || !ag_grow(&x->postings, &x->cap, x->count + 1, sizeof *x->postings))
            return ag_fail_memory(err, "search index");
        x->postings[x->count++] = (posting){(uint32_t)e->value, item, (float)weight};
        x->length[item] += weight;
    }
    return status;
}

static ag_status add_item(ag_bm25 *x, uint32_t at, const ag_item *item, ag_error *err)
{
    ag_status status = add_text(x, at, item->title, TITLE_WEIGHT, err);
    if (status == AG_OK) status = add_text(x, at, item->brand, 1, err);
    if (status == AG_OK) status = add_text(x, at, item->category, 1, err);
    if (status == AG_OK) status = add_text(x, at, item->description, 1, err);
    for (int f = 0; f < item->field_count && status == AG_OK; f++)
        for (int v = 0; v < item->fields[f].count && status == AG_OK; v++)
            status = add_text(x, at, item->fields[f].values[v], 1, err);
    return status;
}

static int by_word_and_item(const void *a, const void *b_)
{
    const posting *p = a, *q = b_;
    if (p->word != q->word) return p->word < q->word ? -1 : 1;
    return p->item < q->item ? -1 : p->item > q->item;
}

/* Repeated words of an item become one posting, counts become shares of the score. */
static ag_status weigh(ag_bm25 *x, ag_error *err)
{
    size_t kept = 0, word = 0;
    double mean = 0;
    if (x->count) qsort(x->postings, x->count, sizeof *x->postings, by_word_and_item);
    for (size_t i = 0; i < x->items; i++) mean += x->length[i] / (double)x->items;
    for (size_t i = 0; i < x->count; i++) {
        posting *last = kept ? &x->postings[kept - 1] : NULL;
        if (last && last->word == x->postings[i].word && last->item == x->postings[i].item)
            last->weight += x->postings[i].weight;
        else
            x->postings[kept++] = x->postings[i];
    }
    x->count = kept;
    if (!(x->first = ag_calloc(x->words.count + 2, sizeof *x->first)))
        return ag_fail_memory(err, "search index");
    for (size_t i = 0; i < kept; i++) {
        while (word < x->postings[i].word) x->first[++word] = i;
    }
    while (word < x->words.count) x->first[++word] = kept;
    for (size_t w = 0; w < x->words.count; w++) {
        double n = (double)(x->first[w + 1] - x->first[w]);
        double idf = log(1 + ((double)x->items - n + 0.5) / (n + 0.5));
        for (size_t i = x->first[w]; i < x->first[w + 1]; i++) {
            double tf = x->postings[i].weight, length = x->length[x->postings[i].item];
            x->postings[i].weight = (float)(idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / mean)));
        }
    }
    return AG_OK;
}

ag_status ag_bm25_build(ag_bm25 **index, const ag_item *items, size_t count, bool english, ag_error *err)
{
    ag_bm25 *x = ag_calloc(1, sizeof *x);
    ag_status status = x ? AG_OK : ag_fail_memory(err, "search index");
    if (status != AG_OK) return status;
    x->arena.name = "search index";
    x->words.arena = &x->arena;
    x->items = count;
    x->english = english;
    x->scores = ag_calloc(count + 1, sizeof *x->scores);
    x->touched = ag_calloc(count + 1, sizeof *x->touched);
    x->length = ag_calloc(count + 1, sizeof *x->length);
    if (!x->scores || !x->touched || !x->length) status = ag_fail_memory(err, "search index");
    for (size_t i = 0; i < count && status == AG_OK; i++) status = add_item(x, (uint32_t)i, &items[i], err);
    if (status == AG_OK) status = weigh(x, err);
    if (status == AG_OK)
        *index = x;
    else
        ag_bm25_free(x);
    return status;
}

/* Puts an item into the best so far, which stay sorted. */
static void keep_best(const ag_bm25 *x, uint32_t item, uint32_t *found, int max, int *count)
{
    int at = *count;
    float score = x->scores[item];
    if (at == max) {
        uint32_t worst = found[max - 1];
        if (score < x->scores[worst] || (score == x->scores[worst] && item > worst)) return;
        at--;
    } else {
        ++*count;
    }
    for (; at > 0; at--) {
        uint32_t before = found[at - 1];
        if (x->scores[before] > score || (x->scores[before] == score && before < item)) break;
        found[at] = before;
    }
    found[at] = item;
}

ag_status ag_bm25_search(ag_bm25 *x, const char *query, uint32_t *found, int max, int *count, ag_error *err)
{
    size_t touched = 0;
    *count = 0;
    ag_status status = ag_words_split(&x->scratch, query, x->english, err);
    for (size_t i = 0; i < x->scratch.count && status == AG_OK; i++) {
        const ag_word *w = &x->scratch.items[i];
        int word = ag_map_get(&x->words, x->scratch.text.data + w->at, w->len);
        if (word < 0) continue;
        for (size_t p = x->first[word]; p < x->first[word + 1]; p++) {
            uint32_t item = x->postings[p].item;
            if (x->scores[item] == 0) x->touched[touched++] = item;
            x->scores[item] += x->postings[p].weight;
        }
    }
    for (size_t i = 0; i < touched && max > 0; i++) keep_best(x, x->touched[i], found, max, count);
    for (size_t i = 0; i < touched; i++) x->scores[x->touched[i]] = 0;
    return status;
}

void ag_bm25_free(ag_bm25 *x)
{
    if (!x) return;
    ag_map_free(&x->words);
    ag_words_free(&x->scratch);
    ag_free(x->postings);
    ag_free(x->first);
    ag_free(x->scores);
    ag_free(x->touched);
    ag_free(x->length);
    ag_arena_free(&x->arena);
    ag_free(x);
}
