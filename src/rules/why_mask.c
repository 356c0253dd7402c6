/* why_mask.c: see why_mask.h.
 *
 * Byte-level tokens may hold pieces of characters, so validity is a small automaton over bytes (Unicode 15, table 3-7),
 * and finishing is a shortest path over its states with tokens as edges: with all 256 byte tokens in the vocabulary
 * it costs nothing, and a vocabulary without them cannot lead into a dead end.
 */
#include "rules/why_mask.h"

#include <limits.h>
#include <string.h>

#include "base/mem.h"

enum { BAD = -1 };

/* From a state other than 0: the byte must lie in lo..hi and leads to next. */
static const struct {
    uint8_t lo, hi, next;
} continuation[AG_UTF8_STATES] = {
    [1] = {0x80, 0xBF, 0}, [2] = {0x80, 0xBF, 1}, [3] = {0x80, 0xBF, 2}, [4] = {0xA0, 0xBF, 1}, /* after E0 */
    [5] = {0x80, 0x9F, 1}, /* ED: no surrogates */
    [6] = {0x90, 0xBF, 2}, /* F0: no overlong forms */
    [7] = {0x80, 0x8F, 2}, /* F4: up to U+10FFFF */
};

static int next_state(int state, uint8_t byte)
{
    if (state) {
        bool fits = byte >= continuation[state].lo && byte <= continuation[state].hi;
        return fits ? continuation[state].next : BAD;
    }
    if (byte < 0x80) return 0;
    if (byte < 0xC2 || byte > 0xF4) return BAD;
    if (byte < 0xE0) return 1;
    if (byte < 0xF0) return byte == 0xE0 ? 4 : byte == 0xED ? 5 : 2;
    return byte == 0xF0 ? 6 : byte == 0xF4 ? 7 : 3;
}

int ag_utf8_state(const uint8_t *bytes, int n)
{
    int state = 0;
    for (int i = 0; i < n; i++) state = next_state(state, bytes[i]);
    return state;
}

/* The state after a token's bytes, or BAD; *chars characters began in it. */
static int walk(const ag_why_mask *m, int state, int32_t id, int *chars)
{
    size_t n = 0;
    const char *bytes = ag_tokenizer_bytes(m->tokenizer, id, &n);
    *chars = 0;
    if (!bytes || !n || id == m->end_id || ag_tokenizer_is_special(m->tokenizer, id)) return BAD;
    if (n > INT_MAX) return BAD;
    for (size_t i = 0; i < n && state != BAD; i++) {
        if (bytes[i] == '\n') return BAD;
        if (!state) ++*chars;
        state = next_state(state, (uint8_t)bytes[i]);
    }
    return state;
}

/* Characters that must be begun from here to a place where the text can stop, with this token first; -1: never. */
static int token_cost(const ag_why_mask *m, int state, int32_t id)
{
    int chars, after = walk(m, state, id, &chars);
    if (after == BAD || m->to_finish[after] < 0) return -1;
    return chars + m->to_finish[after];
}

/* Shortest paths to state 0: relaxes until nothing changes (at most once a state). Almost always the first sweep
 * finds zero everywhere, since single continuation bytes are tokens. */
static void find_to_finish(ag_why_mask *m)
{
    for (int s = 1; s < AG_UTF8_STATES; s++) m->to_finish[s] = -1;
    m->to_finish[0] = 0;
    for (bool changed = true; changed;) {
        changed = false;
        for (int s = 1; s < AG_UTF8_STATES; s++) {
            for (int32_t id = 0; id < m->vocab && m->to_finish[s] != 0; id++) {
                int cost = token_cost(m, s, id);
                if (cost < 0 || (m->to_finish[s] >= 0 && cost >= m->to_finish[s])) continue;
                m->to_finish[s] = cost;
                changed = true;
            }
        }
    }
}

/* Sorts the allowed tokens of one state by cost (counting sort: ids stay in order within a cost). */
static ag_status build_state(ag_why_mask *m, int state, const int *cost, ag_error *err)
{
    int total = 0, *upto = ag_calloc((size_t)m->cost_max + 2, sizeof *upto);
    m->upto[state] = upto;
    if (!upto) return ag_fail_memory(err, "answer grammar");
    for (int32_t id = 0; id < m->vocab; id++) {
        if (cost[id] < 0) continue;
        upto[cost[id] + 1]++;
        total++;
    }
    m->ids[state] = ag_calloc((size_t)total, sizeof *m->ids[state]);
    if (!m->ids[state]) return ag_fail_memory(err, "answer grammar");
    for (int k = 1; k <= m->cost_max + 1; k++) upto[k] += upto[k - 1];
    /* upto[k] is now where cost k begins; filling moves it to where cost k ends, which is what is kept. */
    for (int32_t id = 0; id < m->vocab; id++) {
        if (cost[id] >= 0) m->ids[state][upto[cost[id]]++] = id;
    }
    return AG_OK;
}

static void set_bits(uint32_t *words, const int32_t *ids, int from, int to)
{
    for (int i = from; i < to; i++) words[ids[i] / 32] |= 1u << (ids[i] % 32);
}

static int count_upto(const ag_why_mask *m, int state, int chars_left)
{
    return m->upto[state][chars_left < m->cost_max ? chars_left : m->cost_max];
}

ag_status ag_why_mask_build(ag_why_mask *m, const ag_tokenizer *tokenizer, int32_t end_id, ag_error *err)
{
    ag_status status = AG_OK;
    *m = (ag_why_mask){.tokenizer = tokenizer, .end_id = end_id, .vocab = ag_tokenizer_vocab(tokenizer)};
    m->words = (m->vocab + 31) / 32;
    int *cost = ag_calloc((size_t)m->vocab * AG_UTF8_STATES, sizeof *cost);
    m->bits = ag_calloc((size_t)m->words * AG_WHY_BITSETS, sizeof *m->bits);
    if (!cost || !m->bits) {
        status = ag_fail_memory(err, "answer grammar");
        goto out;
    }
    find_to_finish(m);
    for (int s = 0; s < AG_UTF8_STATES; s++) {
        for (int32_t id = 0; id < m->vocab; id++) {
            int *c = &cost[(size_t)s * (size_t)m->vocab + (size_t)id];
            *c = token_cost(m, s, id);
            if (*c > m->cost_max) m->cost_max = *c;
        }
    }
    for (int s = 0; s < AG_UTF8_STATES; s++) {
        if ((status = build_state(m, s, cost + (size_t)s * (size_t)m->vocab, err))) goto out;
    }
    for (int k = 0; k < AG_WHY_BITSETS; k++) {
        set_bits(m->bits + (size_t)k * (size_t)m->words, m->ids[0], 0, count_upto(m, 0, k));
    }
out:
    ag_free(cost);
    if (status) ag_why_mask_free(m);
    return status;
}

void ag_why_mask_free(ag_why_mask *m)
{
    for (int s = 0; s < AG_UTF8_STATES; s++) {
        ag_free(m->ids[s]);
        ag_free(m->upto[s]);
    }
    ag_free(m->bits);
    *m = (ag_why_mask){0};
}

int ag_why_mask_allowed(const ag_why_mask *m, int state, int chars_left, uint32_t *words, int32_t *last)
{
    int n = count_upto(m, state, chars_left), from = 0;
    if (n) *last = m->ids[state][0];
    if (!words) return n;
    if (!state) {
        int row = chars_left < AG_WHY_BITSETS ? chars_left : AG_WHY_BITSETS - 1;
        const uint32_t *bits = m->bits + (size_t)row * (size_t)m->words;
        for (int w = 0; w < m->words; w++) words[w] |= bits[w];
        from = count_upto(m, 0, row);
    }
    set_bits(words, m->ids[state], from, n);
    return n;
}

bool ag_why_mask_step(const ag_why_mask *m, uint8_t utf8[4], int *len, int chars_left, int32_t id, int *chars)
{
    int state = ag_utf8_state(utf8, *len), after = walk(m, state, id, chars);
    size_t n = 0;
    if (after == BAD || m->to_finish[after] < 0 || *chars + m->to_finish[after] > chars_left) return false;
    const char *bytes = ag_tokenizer_bytes(m->tokenizer, id, &n);
    for (size_t i = 0; i < n; i++) {
        if (!state) *len = 0;
        utf8[(*len)++] = (uint8_t)bytes[i];
        state = next_state(state, (uint8_t)bytes[i]);
    }
    if (!state) *len = 0;
    return true;
}
