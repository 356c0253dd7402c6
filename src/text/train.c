/* train.c: learning merges from text (Sennrich et al. 2016): join the pair of neighbouring symbols that is
 * seen most often, again and again.
 *
 * Texts are cut into pieces and equal pieces counted once with their number. Each pair knows its count and
 * the pieces where it may occur, so a merge touches those only; a heap with lazy entries gives the next pair.
 * Counts are whole numbers and ties go to the pair with the smaller bytes, so the result depends on the text
 * alone, not on the order of anything.
 */
#include <string.h>
#include "base/rng.h"
#include "text/tok.h"

#define PIECE_MAX                                                                                            \
    256 /* a longer piece is cut: no useful token is that long, and one endless line must not cost much */
#define LEAST 2 /* a pair that is seen once teaches nothing */

typedef struct piece {
    const char *bytes;
    uint32_t len;
    int64_t count;
} piece;

typedef struct pair {
    int32_t left, right;
    int64_t count;
    uint32_t *words; /* where it may occur */
    size_t word_count, word_cap;
    bool queued; /* goes to the heap already (while a merge is applied) */
} pair;

typedef struct heap_entry {
    int64_t count;
    uint32_t pair;
} heap_entry;

typedef struct symbol {
    const char *bytes;
    uint32_t len;
} symbol;

typedef struct trainer {
    ag_arena arena;
    piece *pieces;
    size_t piece_count, piece_cap;
    uint32_t *piece_table; /* index + 1 by hash */
    size_t piece_mask;
    int32_t *ids;     /* symbols of all pieces */
    size_t *start;    /* of a piece in ids */
    uint32_t *length; /* of a piece now */
    pair *pairs;
    size_t pair_count, pair_cap;
    uint32_t *pair_table;
    size_t pair_mask;
    heap_entry *heap;
    size_t heap_count, heap_cap;
    symbol *symbols; /* bytes of an id; the 256 bytes first */
    int symbol_count;
    uint32_t *symbol_table;
    size_t symbol_mask;
    int32_t (*merges)[2];
    size_t merge_count, merge_cap;
    ag_error *err;
} trainer;

static void trainer_free(trainer *r)
{
    for (size_t i = 0; i < r->pair_count; i++) ag_free(r->pairs[i].words);
    ag_free(r->pieces);
    ag_free(r->piece_table);
    ag_free(r->ids);
    ag_free(r->start);
    ag_free(r->length);
    ag_free(r->pairs);
    ag_free(r->pair_table);
    ag_free(r->heap);
    ag_free(r->symbols);
    ag_free(r->symbol_table);
    ag_free(r->merges);
    ag_arena_free(&r->arena);
}

static ag_status no_memory(const trainer *r)
{
    return ag_fail_memory(r->err, "tokenizer training");
}

/* --- pieces ----------------------------------------------------------------------------------------------
 */

static ag_status grow_pieces(trainer *r)
{
    size_t size = r->piece_table == NULL ? 4096 : (r->piece_mask + 1) * 2;
    uint32_t *fresh = ag_calloc(size, sizeof *fresh);

    if (fresh == NULL) return no_memory(r);
    for (size_t i = 0; i < r->piece_count; i++) {
        size_t j = ag_hash64(r->pieces[i].bytes, r->pieces[i].len) & (size - 1);
        while (fresh[j] != 0) j = (j + 1) & (size - 1);
        fresh[j] = (uint32_t)i + 1;
    }
    ag_free(r->piece_table);
    r->piece_table = fresh;
    r->piece_mask = size - 1;
    return AG_OK;
}

static ag_status count_piece(trainer *r, const char *bytes, uint32_t len)
{
    ag_status st = AG_OK;

    if (r->piece_table == NULL || r->piece_count * 2 > r->piece_mask) st = grow_pieces(r);
    if (st != AG_OK) return st;
    size_t i = ag_hash64(bytes, len) & r->piece_mask;
    for (; r->piece_table[i] != 0; i = (i + 1) & r->piece_mask) {
        piece *p = &r->pieces[r->piece_table[i] - 1];
        if (p->len != len || memcmp(p->bytes, bytes, len) != 0) continue;
        p->count++;
        return AG_OK;
    }
    if (r->piece_count >= UINT32_MAX / 2)
        return ag_fail(r->err, AG_ERR_INPUT, "too many different words to train on");
    if (!ag_grow(&r->pieces, &r->piece_cap, r->piece_count + 1, sizeof *r->pieces)) return no_memory(r);
    char *copy = ag_arena_strndup(&r->arena, bytes, len);
    if (copy == NULL) return no_memory(r);
    r->pieces[r->piece_count++] = (piece){copy, len, 1};
    r->piece_table[i] = (uint32_t)r->piece_count;
    return AG_OK;
}

static ag_status take_piece(void *user, const char *text, size_t len, ag_error *err)
{
    trainer *r = user;

    (void)err;
    while (len > 0) {
        size_t n = len;
        if (n > PIECE_MAX) {
            n = PIECE_MAX;
            while (n > 1 && ((unsigned char)text[n] & 0xc0) == 0x80) n--; /* between characters */
        }
        if (n > 1) { /* one byte has no pair */
            ag_status st = count_piece(r, text, (uint32_t)n);
            if (st != AG_OK) return st;
        }
        text += n;
        len -= n;
    }
    return AG_OK;
}

static ag_status read_documents(trainer *r, const ag_pre *pre, ag_text_source next, void *user)
{
    ag_pre_work work = {0};
    const char *text = NULL;
    size_t len = 0;
    ag_status st;

    while ((st = next(user, &text, &len, r->err)) == AG_OK && text != NULL) {
        while (st == AG_OK && len > 0) { /* wrong bytes are single pieces: nothing to learn from them */
            size_t good = len;
            if (ag_utf8_valid(text, len, &good)) good = len;
            st = ag_pre_run(pre, &work, text, good, take_piece, r, r->err);
            if (good < len) good++;
            text += good;
            len -= good;
        }
        if (st != AG_OK) break;
    }
    ag_pre_work_free(&work);
    return st;
}

/* --- pairs and heap --------------------------------------------------------------------------------------
 */

static size_t pair_hash(int32_t left, int32_t right)
{
    uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9e3779b97f4a7c15u;
    return (size_t)(h ^ h >> 29);
}

static ag_status grow_pairs(trainer *r)
{
    size_t size = r->pair_table == NULL ? 4096 : (r->pair_mask + 1) * 2;
    uint32_t *fresh = ag_calloc(size, sizeof *fresh);

    if (fresh == NULL) return no_memory(r);
    for (size_t i = 0; i < r->pair_count; i++) {
        size_t j = pair_hash(r->pairs[i].left, r->pairs[i].right) & (size - 1);
        while (fresh[j] != 0) j = (j + 1) & (size - 1);
        fresh[j] = (uint32_t)i + 1;
    }
    ag_free(r->pair_table);
    r->pair_table = fresh;
    r->pair_mask = size - 1;
    return AG_OK;
}

/* The record of a pair, made if it is new. */
static ag_status pair_at(trainer *r, int32_t left, int32_t right, uint32_t *index)
{
    if (r->pair_table == NULL || r->pair_count * 2 > r->pair_mask) {
        ag_status st = grow_pairs(r);
        if (st != AG_OK) return st;
    }
    size_t i = pair_hash(left, right) & r->pair_mask;
    for (; r->pair_table[i] != 0; i = (i + 1) & r->pair_mask) {
        const pair *p = &r->pairs[r->pair_table[i] - 1];
        if (p->left != left || p->right != right) continue;
        *index = r->pair_table[i] - 1;
        return AG_OK;
    }
    if (!ag_grow(&r->pairs, &r->pair_cap, r->pair_count + 1, sizeof *r->pairs)) return no_memory(r);
    r->pairs[r->pair_count] = (pair){.left = left, .right = right};
    *index = (uint32_t)r->pair_count++;
    r->pair_table[i] = *index + 1;
    return AG_OK;
}

static int compare_symbols(const trainer *r, int32_t a, int32_t b)
{
    const symbol *x = &r->symbols[a], *y = &r->symbols[b];
    uint32_t n = x->len < y->len ? x->len : y->len;
    int c = a == b ? 0 : memcmp(x->bytes, y->bytes, n);

    if (c != 0) return c;
    return x->len < y->len ? -1 : x->len > y->len;
}

/* Does a come out before b? */
static bool before(const trainer *r, const heap_entry *a, const heap_entry *b)
{
    if (a->count != b->count) return a->count > b->count;
    const pair *p = &r->pairs[a->pair], *q = &r->pairs[b->pair];
    int c = compare_symbols(r, p->left, q->left);
    return (c != 0 ? c : compare_symbols(r, p->right, q->right)) < 0;
}

static ag_status heap_push(trainer *r, uint32_t p)
{
    heap_entry x = {r->pairs[p].count, p};

    if (x.count < LEAST) return AG_OK;
    if (!ag_grow(&r->heap, &r->heap_cap, r->heap_count + 1, sizeof *r->heap)) return no_memory(r);
    size_t i = r->heap_count++;
    while (i > 0 && before(r, &x, &r->heap[(i - 1) / 2])) {
        r->heap[i] = r->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    r->heap[i] = x;
    return AG_OK;
}

static heap_entry heap_pop(trainer *r)
{
    heap_entry top = r->heap[0], x = r->heap[--r->heap_count];
    size_t i = 0, n = r->heap_count;

    while (2 * i + 1 < n) {
        size_t c = 2 * i + 1;
        if (c + 1 < n && before(r, &r->heap[c + 1], &r->heap[c])) c++;
        if (!before(r, &r->heap[c], &x)) break;
        r->heap[i] = r->heap[c];
        i = c;
    }
    if (n > 0) r->heap[i] = x;
    return top;
}

/* The pair with the highest true count. An entry says what the count was when it was pushed: a pair that has
 * lost since is pushed again with what it has; one that has gained was pushed again when it did. */
static ag_status next_pair(trainer *r, uint32_t *best, bool *found)
{
    *found = false;
    while (r->heap_count > 0) {
        heap_entry top = heap_pop(r);
        if (r->pairs[top.pair].count == top.count) {
            *best = top.pair;
            *found = true;
            return AG_OK;
        }
        if (r->pairs[top.pair].count < top.count) {
            ag_status st = heap_push(r, top.pair);
            if (st != AG_OK) return st;
        }
    }
    return AG_OK;
}

/* Adds `count` to every pair of a word. With `made` >= 0, pairs that hold that symbol note the word and go to
 * the heap when they have gained; with -1 all pairs note it (the first count; the heap is filled after). */
static ag_status count_pairs(trainer *r, uint32_t word, int64_t count, int32_t made, bool note)
{
    const int32_t *ids = r->ids + r->start[word];

    for (uint32_t i = 0; i + 1 < r->length[word]; i++) {
        uint32_t index;
        ag_status st = pair_at(r, ids[i], ids[i + 1], &index);
        if (st != AG_OK) return st;
        pair *p = &r->pairs[index];
        p->count += count;
        if (!note || (made >= 0 && ids[i] != made && ids[i + 1] != made)) continue;
        if (p->word_count > 0 && p->words[p->word_count - 1] == word) continue;
        if (!ag_grow(&p->words, &p->word_cap, p->word_count + 1, sizeof *p->words)) return no_memory(r);
        p->words[p->word_count++] = word;
    }
    return AG_OK;
}

static ag_status split_words(trainer *r)
{
    size_t total = 0;
    ag_status st = AG_OK;

    for (size_t i = 0; i < r->piece_count; i++) total += r->pieces[i].len;
    r->ids = ag_calloc(total, sizeof *r->ids);
    r->start = ag_calloc(r->piece_count, sizeof *r->start);
    r->length = ag_calloc(r->piece_count, sizeof *r->length);
    if (r->ids == NULL || r->start == NULL || r->length == NULL) return no_memory(r);
    total = 0;
    for (size_t i = 0; i < r->piece_count && st == AG_OK; i++) {
        r->start[i] = total;
        r->length[i] = r->pieces[i].len;
        for (uint32_t k = 0; k < r->pieces[i].len; k++)
            r->ids[total++] = (unsigned char)r->pieces[i].bytes[k];
        st = count_pairs(r, (uint32_t)i, r->pieces[i].count, -1, true);
    }
    for (size_t i = 0; i < r->pair_count && st == AG_OK; i++) st = heap_push(r, (uint32_t)i);
    return st;
}

/* --- symbols ---------------------------------------------------------------------------------------------
 */

/* The id of a symbol by bytes; made when it is new (two different pairs may make the same token). */
static ag_status symbol_id(trainer *r, const char *bytes, uint32_t len, int32_t *id, bool *fresh)
{
    size_t i = ag_hash64(bytes, len) & r->symbol_mask;

    for (; r->symbol_table[i] != 0; i = (i + 1) & r->symbol_mask) {
        const symbol *s = &r->symbols[r->symbol_table[i] - 1];
        if (s->len != len || memcmp(s->bytes, bytes, len) != 0) continue;
        *id = (int32_t)r->symbol_table[i] - 1;
        *fresh = false;
        return AG_OK;
    }
    char *copy = ag_arena_strndup(&r->arena, bytes, len);
    if (copy == NULL) return no_memory(r);
    r->symbols[r->symbol_count] = (symbol){copy, len};
    *id = r->symbol_count++;
    r->symbol_table[i] = (uint32_t)*id + 1;
    *fresh = true;
    return AG_OK;
}

static ag_status make_symbols(trainer *r, int most)
{
    size_t size = 1024;

    while (size < (size_t)most * 2) size *= 2;
    r->symbols = ag_calloc((size_t)most, sizeof *r->symbols);
    r->symbol_table = ag_calloc(size, sizeof *r->symbol_table);
    if (r->symbols == NULL || r->symbol_table == NULL) return no_memory(r);
    r->symbol_mask = size - 1;
    for (int b = 0; b < 256; b++) {
        char c = (char)b;
        int32_t id;
        bool fresh;
        ag_status st = symbol_id(r, &c, 1, &id, &fresh);
        if (st != AG_OK) return st;
    }
    return AG_OK;
}

/* --- merging ---------------------------------------------------------------------------------------------
 */

/* Joins left and right to `made` in one word, from the left. */
static void join(trainer *r, uint32_t word, int32_t left, int32_t right, int32_t made)
{
    int32_t *ids = r->ids + r->start[word];
    uint32_t n = r->length[word], to = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (i + 1 < n && ids[i] == left && ids[i + 1] == right) {
            ids[to++] = made;
            i++;
        } else {
            ids[to++] = ids[i];
        }
    }
    r->length[word] = to;
}

static bool holds(const trainer *r, uint32_t word, int32_t left, int32_t right)
{
    const int32_t *ids = r->ids + r->start[word];

    for (uint32_t i = 0; i + 1 < r->length[word]; i++)
        if (ids[i] == left && ids[i + 1] == right) return true;
    return false;
}

static ag_status apply(trainer *r, uint32_t best, int32_t made)
{
    const int32_t left = r->pairs[best].left, right = r->pairs[best].right;
    uint32_t *words = r->pairs[best].words;
    size_t count = r->pairs[best].word_count;
    ag_status st = AG_OK;

    r->pairs[best].words = NULL;
    r->pairs[best].word_count = r->pairs[best].word_cap = 0;
    for (size_t i = 0; i < count && st == AG_OK; i++) {
        uint32_t w = words[i];
        if (!holds(r, w, left, right)) continue;
        st = count_pairs(r, w, -r->pieces[w].count, made, false);
        if (st != AG_OK) break;
        join(r, w, left, right, made);
        st = count_pairs(r, w, r->pieces[w].count, made, true);
    }
    /* Pairs with the new symbol have gained; each goes to the heap once, with its final count. */
    for (size_t i = 0; i < count && st == AG_OK; i++) {
        const int32_t *ids = r->ids + r->start[words[i]];
        for (uint32_t k = 0; k + 1 < r->length[words[i]] && st == AG_OK; k++) {
            uint32_t index;
            if (ids[k] != made && ids[k + 1] != made) continue;
            st = pair_at(r, ids[k], ids[k + 1], &index);
            if (st == AG_OK && !r->pairs[index].queued) {
                r->pairs[index].queued = true;
                st = heap_push(r, index);
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        const int32_t *ids = r->ids + r->start[words[i]];
        for (uint32_t k = 0; k + 1 < r->length[words[i]] && st == AG_OK; k++) {
            uint32_t index;
            st = pair_at(r, ids[k], ids[k + 1], &index);
            if (st == AG_OK) r->pairs[index].queued = false;
        }
    }
    ag_free(words);
    return st;
}

static bool is_special_text(const char *const *special, int special_count, const char *bytes, size_t len)
{
    for (int i = 0; i < special_count; i++)
        if (strlen(special[i]) == len && memcmp(special[i], bytes, len) == 0) return true;
    return false;
}

static ag_status learn(trainer *r, int most, const char *const *special, int special_count)
{
    char bytes[2 * PIECE_MAX];
    ag_status st = AG_OK;

    while (r->symbol_count < most) {
        uint32_t best;
        bool found, fresh;
        int32_t made;
        st = next_pair(r, &best, &found);
        if (st != AG_OK || !found) return st;
        const symbol *a = &r->symbols[r->pairs[best].left], *b = &r->symbols[r->pairs[best].right];
        memcpy(bytes, a->bytes, a->len); /* together they lie in one piece, so they fit */
        memcpy(bytes + a->len, b->bytes, b->len);
        if (is_special_text(special, special_count, bytes, a->len + b->len)) continue;
        st = symbol_id(r, bytes, a->len + b->len, &made, &fresh);
        if (st != AG_OK) return st;
        if (!ag_grow(&r->merges, &r->merge_cap, r->merge_count + 1, sizeof *r->merges)) return no_memory(r);
        r->merges[r->merge_count][0] = r->pairs[best].left;
        r->merges[r->merge_count++][1] = r->pairs[best].right;
        st = apply(r, best, made);
        if (st != AG_OK) return st;
    }
    return AG_OK;
}

/* --- the tokenizer ---------------------------------------------------------------------------------------
 */

static const char chatml_template[] =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + "
    "'<|im_end|>' + "
    "'\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/* End, padding and chat format, from the special tokens that have a known meaning. */
static ag_status name_specials(ag_tokenizer *t, ag_error *err)
{
    const int32_t start = ag_tokenizer_find(t, "<|im_start|>", 12),
                  end = ag_tokenizer_find(t, "<|im_end|>", 10),
                  text = ag_tokenizer_find(t, "<|endoftext|>", 13), pad = ag_tokenizer_find(t, "<|pad|>", 7);

    t->eos = end >= 0 ? end : text;
    t->pad = pad >= 0 ? pad : text >= 0 ? text : t->eos;
    if (start < 0 || end < 0) return AG_OK;
    t->chat_template = ag_arena_strdup(&t->arena, chatml_template);
    return t->chat_template != NULL ? AG_OK : ag_fail_memory(err, "chat template");
}

static ag_status fill(ag_tokenizer *t, const trainer *r, const char *const *special, int special_count,
                      ag_error *err)
{
    ag_str left = {0}, right = {0};
    ag_status st = AG_OK;

    for (int i = 0; i < special_count && st == AG_OK; i++)
        st = ag_tok_mark_added(t, i, special[i], strlen(special[i]), true, false, err);
    for (int i = 0; i < r->symbol_count && st == AG_OK; i++) {
        ag_str_clear(&left);
        ag_alphabet_encode(&left, r->symbols[i].bytes, r->symbols[i].len);
        st = ag_str_ok(&left, err);
        if (st == AG_OK) st = ag_tok_set(t, special_count + i, ag_str_text(&left), left.len, false, err);
    }
    if (st == AG_OK) st = ag_tok_index(t, err);
    for (size_t i = 0; i < r->merge_count && st == AG_OK; i++) {
        const symbol *a = &r->symbols[r->merges[i][0]], *b = &r->symbols[r->merges[i][1]];
        ag_str_clear(&left);
        ag_str_clear(&right);
        ag_alphabet_encode(&left, a->bytes, a->len);
        ag_alphabet_encode(&right, b->bytes, b->len);
        st = ag_str_ok(&left, err);
        if (st == AG_OK) st = ag_str_ok(&right, err);
        if (st == AG_OK)
            st = ag_tok_merge(t, ag_str_text(&left), left.len, ag_str_text(&right), right.len, err);
    }
    ag_str_free(&left);
    ag_str_free(&right);
    if (st == AG_OK) st = name_specials(t, err);
    return st == AG_OK ? ag_tok_finish(t, err) : st;
}

ag_status ag_tokenizer_train(ag_tokenizer **tokenizer, ag_text_source next, void *user, int vocab,
                             const char *const *special, int special_count, ag_error *err)
{
    trainer r = {.arena = {.name = "tokenizer training"}, .err = err};
    ag_tokenizer *t = NULL;
    ag_status st;

    *tokenizer = NULL;
    if (special_count < 0 || vocab - special_count < 256 || vocab > AG_TOK_VOCAB_MAX)
        return ag_fail(err, AG_ERR_USAGE,
                       "a vocabulary of %d tokens cannot be trained: it needs 256 bytes, %d special "
                       "tokens, and at most %d in all",
                       vocab, special_count, AG_TOK_VOCAB_MAX);
    st = ag_tok_new(&t, err);
    if (st == AG_OK) st = ag_pre_digits(&t->pre, true, err);
    if (st == AG_OK) st = ag_pre_bytes(&t->pre, err);
    if (st == AG_OK) st = make_symbols(&r, vocab - special_count);
    if (st == AG_OK) st = read_documents(&r, &t->pre, next, user);
    if (st == AG_OK) st = split_words(&r);
    if (st == AG_OK) st = learn(&r, vocab - special_count, special, special_count);
    if (st == AG_OK) st = fill(t, &r, special, special_count, err);
    trainer_free(&r);
    if (st != AG_OK) {
        ag_tokenizer_free(t);
        return st;
    }
    *tokenizer = t;
    return AG_OK;
}
