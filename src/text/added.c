/* added.c: finding added tokens in a text: leftmost first, and where several begin at one place the longest.
 * A trie over bytes; the length limit of added tokens bounds what one place can cost.
 */
#include <string.h>
#include "text/tok.h"

static uint32_t child_of(const ag_trie *trie, uint32_t node, unsigned char byte)
{
    uint32_t c = trie->nodes[node].child;

    while (c != 0 && trie->nodes[c].byte != byte) c = trie->nodes[c].sibling;
    return c;
}

static uint32_t new_node(ag_trie *trie, unsigned char byte, ag_error *err)
{
    if (!ag_grow(&trie->nodes, &trie->cap, trie->count + 2, sizeof *trie->nodes)) {
        ag_fail_memory(err, "added tokens");
        return 0;
    }
    if (trie->count == 0) trie->nodes[trie->count++] = (ag_trie_node){.id = -1};
    trie->nodes[trie->count] = (ag_trie_node){.id = -1, .byte = byte};
    return (uint32_t)trie->count++;
}

ag_status ag_trie_add(ag_trie *trie, const char *text, size_t len, int32_t id, ag_error *err)
{
    uint32_t node = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned char b = (unsigned char)text[i];
        uint32_t next = i == 0 ? trie->first[b] : child_of(trie, node, b);
        if (next == 0) {
            next = new_node(trie, b, err);
            if (next == 0) return AG_ERR_MEMORY;
            if (i == 0) {
                trie->first[b] = next;
            } else {
                trie->nodes[next].sibling = trie->nodes[node].child;
                trie->nodes[node].child = next;
            }
        }
        node = next;
    }
    trie->nodes[node].id = id;
    return AG_OK;
}

/* The longest token that begins at `at`; *end is where it ends. */
static int32_t longest(const ag_trie *trie, const char *text, size_t len, size_t at, size_t *end)
{
    int32_t found = -1;
    uint32_t node = trie->first[(unsigned char)text[at]];

    while (node != 0) {
        at++;
        if (trie->nodes[node].id >= 0) {
            found = trie->nodes[node].id;
            *end = at;
        }
        if (at == len) break;
        node = child_of(trie, node, (unsigned char)text[at]);
    }
    return found;
}

int32_t ag_trie_search(const ag_trie *trie, const char *text, size_t len, size_t from, size_t *start,
                       size_t *end)
{
    if (trie->count == 0) return -1;
    for (size_t at = from; at < len; at++) {
        if (trie->first[(unsigned char)text[at]] == 0) continue;
        int32_t id = longest(trie, text, len, at, end);
        if (id >= 0) {
            *start = at;
            return id;
        }
    }
    return -1;
}

int32_t ag_trie_exact(const ag_trie *trie, const char *text, size_t len)
{
    uint32_t node;

    if (len == 0 || trie->count == 0) return -1;
    node = trie->first[(unsigned char)text[0]];
    for (size_t i = 1; i < len && node != 0; i++) node = child_of(trie, node, (unsigned char)text[i]);
    return node != 0 ? trie->nodes[node].id : -1;
}

void ag_trie_free(ag_trie *trie)
{
    ag_free(trie->nodes);
    memset(trie, 0, sizeof *trie);
}
