/* bpe.c: byte-pair merging of one piece: again and again the pair of neighbours with the lowest rank becomes
 * one symbol, the leftmost first among equals.
 *
 * Short pieces, nearly all there are, go through a plain scan. Long ones (a run of a million letters is one
 * piece) go through a heap of pairs over a linked list: each merge takes one pair out and puts at most two
 * in, so the whole is n log n. Both give the same symbols.
 */
#include <string.h>
#include "text/tok.h"

#define SHORT_PIECE 48
#define NO_RANK     UINT32_MAX
#define NONE        UINT32_MAX

static size_t slot_of(uint64_t key, size_t mask)
{
    key *= 0x9e3779b97f4a7c15u;
    return (size_t)(key ^ (key >> 29)) & mask;
}

static uint64_t key_of(int32_t left, int32_t right)
{
    return ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) + 1;
}

static const ag_tok_slot *lookup(const ag_tokenizer *t, int32_t left, int32_t right)
{
    uint64_t key = key_of(left, right);

    if (t->slots == NULL) return NULL;
    for (size_t i = slot_of(key, t->slot_mask);; i = (i + 1) & t->slot_mask) {
        const ag_tok_slot *s = &t->slots[i];
        if (s->key == key) return s;
        if (s->key == 0) return NULL;
    }
}

static uint32_t rank_of(const ag_tokenizer *t, int32_t left, int32_t right)
{
    const ag_tok_slot *s = lookup(t, left, right);

    return s != NULL ? s->rank : NO_RANK;
}

static ag_status grow_slots(ag_tokenizer *t, ag_error *err)
{
    size_t size = t->slots == NULL ? 1024 : (t->slot_mask + 1) * 2;
    ag_tok_slot *fresh = ag_calloc(size, sizeof *fresh);

    if (fresh == NULL) return ag_fail_memory(err, "merges");
    for (size_t i = 0; t->slots != NULL && i <= t->slot_mask; i++) {
        if (t->slots[i].key == 0) continue;
        size_t j = slot_of(t->slots[i].key, size - 1);
        while (fresh[j].key != 0) j = (j + 1) & (size - 1);
        fresh[j] = t->slots[i];
    }
    ag_free(t->slots);
    t->slots = fresh;
    t->slot_mask = size - 1;
    return AG_OK;
}

ag_status ag_bpe_put(ag_tokenizer *t, int32_t left, int32_t right, uint32_t rank, int32_t id, bool *fresh,
                     ag_error *err)
{
    uint64_t key = key_of(left, right);

    if (t->slots == NULL || t->slot_used * 3 >= t->slot_mask * 2) {
        ag_status st = grow_slots(t, err);
        if (st != AG_OK) return st;
    }
    size_t i = slot_of(key, t->slot_mask);
    while (t->slots[i].key != 0 && t->slots[i].key != key) i = (i + 1) & t->slot_mask;
    *fresh = t->slots[i].key == 0;
    if (*fresh) {
        t->slots[i] = (ag_tok_slot){key, rank, id};
        t->slot_used++;
    }
    return AG_OK;
}

void ag_bpe_work_free(ag_bpe_work *w)
{
    ag_free(w->ids);
    ag_free(w->rank);
    ag_free(w->next);
    ag_free(w->prev);
    ag_free(w->heap);
    memset(w, 0, sizeof *w);
}

/* The symbols of a piece before any merge. A byte that the vocabulary lacks is its unknown token, or nothing.
 */
static ag_status start(const ag_tokenizer *t, ag_bpe_work *w, const char *bytes, size_t len, size_t *count,
                       ag_error *err)
{
    size_t n = 0;
    bool unknown = false;

    if (!ag_grow(&w->ids, &w->ids_cap, len, sizeof *w->ids) ||
        !ag_grow(&w->rank, &w->rank_cap, len, sizeof *w->rank))
        return ag_fail_memory(err, "merging");
    for (size_t i = 0; i < len; i++) {
        int32_t id = t->byte_id[(unsigned char)bytes[i]];
        if (id < 0 && t->unk >= 0 && !(unknown && t->fuse_unk))
            w->ids[n++] = t->unk;
        else if (id >= 0)
            w->ids[n++] = id;
        unknown = id < 0;
    }
    *count = n;
    return AG_OK;
}

static size_t merge_short(const ag_tokenizer *t, int32_t *ids, uint32_t *rank, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++) rank[i] = rank_of(t, ids[i], ids[i + 1]);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (rank[i] < rank[best]) best = i;
        if (rank[best] == NO_RANK) break;
        ids[best] = lookup(t, ids[best], ids[best + 1])->id;
        memmove(ids + best + 1, ids + best + 2, (n - best - 2) * sizeof *ids);
        if (n - best > 2) memmove(rank + best + 1, rank + best + 2, (n - best - 3) * sizeof *rank);
        n--;
        if (best > 0) rank[best - 1] = rank_of(t, ids[best - 1], ids[best]);
        if (best + 1 < n) rank[best] = rank_of(t, ids[best], ids[best + 1]);
    }
    return n;
}

static void sift_down(uint64_t *heap, size_t n, size_t i)
{
    uint64_t x = heap[i];

    for (;;) {
        size_t c = 2 * i + 1;
        if (c >= n) break;
        if (c + 1 < n && heap[c + 1] < heap[c]) c++;
        if (heap[c] >= x) break;
        heap[i] = heap[c];
        i = c;
    }
    heap[i] = x;
}

static ag_status heap_push(ag_bpe_work *w, size_t *n, uint64_t x, ag_error *err)
{
    if (!ag_grow(&w->heap, &w->heap_cap, *n + 1, sizeof *w->heap)) return ag_fail_memory(err, "merging");
    size_t i = (*n)++;
    while (i > 0 && w->heap[(i - 1) / 2] > x) {
        w->heap[i] = w->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->heap[i] = x;
    return AG_OK;
}

/* Ranks the pair that begins at symbol i, and puts it into the heap if it can merge. */
static ag_status offer(const ag_tokenizer *t, ag_bpe_work *w, uint32_t i, size_t *heap_n, ag_error *err)
{
    uint32_t j = w->next[i];

    w->rank[i] = j == NONE ? NO_RANK : rank_of(t, w->ids[i], w->ids[j]);
    if (w->rank[i] == NO_RANK) return AG_OK;
    return heap_push(w, heap_n, (uint64_t)w->rank[i] << 32 | i, err);
}

/* An entry of the heap is stale when its symbol is gone or its pair has changed since; then its rank is no
 * longer the one in w->rank, because a changed pair is a longer one and no two pairs share a rank. */
static ag_status merge_long(const ag_tokenizer *t, ag_bpe_work *w, size_t *count, ag_error *err)
{
    size_t n = *count, heap_n = 0, kept = 0;
    ag_status st = AG_OK;

    if (!ag_grow(&w->next, &w->next_cap, n, sizeof *w->next) ||
        !ag_grow(&w->prev, &w->prev_cap, n, sizeof *w->prev))
        return ag_fail_memory(err, "merging");
    for (size_t i = 0; i < n; i++) {
        w->next[i] = i + 1 < n ? (uint32_t)i + 1 : NONE;
        w->prev[i] = i > 0 ? (uint32_t)i - 1 : NONE;
    }
    for (size_t i = 0; i < n && st == AG_OK; i++) st = offer(t, w, (uint32_t)i, &heap_n, err);
    while (st == AG_OK && heap_n > 0) {
        uint64_t top = w->heap[0];
        uint32_t i = (uint32_t)top, j;
        w->heap[0] = w->heap[--heap_n];
        if (heap_n > 0) sift_down(w->heap, heap_n, 0);
        if (w->rank[i] != top >> 32) continue;
        j = w->next[i];
        w->ids[i] = lookup(t, w->ids[i], w->ids[j])->id;
        w->rank[j] = NO_RANK; /* gone */
        w->next[i] = w->next[j];
        if (w->next[j] != NONE) w->prev[w->next[j]] = i;
        st = offer(t, w, i, &heap_n, err);
        if (st == AG_OK && w->prev[i] != NONE) st = offer(t, w, w->prev[i], &heap_n, err);
    }
    for (uint32_t i = 0; n > 0 && i != NONE; i = w->next[i]) w->ids[kept++] = w->ids[i];
    *count = kept;
    return st;
}

ag_status ag_bpe_merge(const ag_tokenizer *t, ag_bpe_work *w, const char *bytes, size_t len, ag_tokens *out,
                       ag_error *err)
{
    size_t n = 0;
    ag_status st = start(t, w, bytes, len, &n, err);

    if (st != AG_OK) return st;
    if (n <= SHORT_PIECE)
        n = merge_short(t, w->ids, w->rank, n);
    else
        st = merge_long(t, w, &n, err);
    return st == AG_OK ? ag_tokens_add(out, w->ids, n, err) : st;
}

ag_status ag_bpe_piece(const ag_tokenizer *t, ag_bpe_work *w, const char *bytes, size_t len, ag_tokens *out,
                       ag_error *err)
{
    int32_t id = ag_tok_by_bytes(t, bytes, len);

    if (id >= 0 && t->tokens[id].direct) return ag_tokens_add(out, &id, 1, err);
    return ag_bpe_merge(t, w, bytes, len, out, err);
}
