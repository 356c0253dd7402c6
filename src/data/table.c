/* table.c: open addressing with linear steps; at most three quarters full. */
#include "data/table.h"

#include <string.h>

#include "base/digest.h"
#include "base/mem.h"

uint64_t ag_table_key(const char *name, size_t len)
{
    ag_sha256 s;
    unsigned char digest[32];
    uint64_t key;
    ag_sha256_begin(&s);
    ag_sha256_add(&s, name, len);
    ag_sha256_end(&s, digest);
    memcpy(&key, digest, sizeof key);
    return key ? key : 1;
}

/* The slot that holds the key or is free for it. */
static size_t slot_of(const ag_table *table, uint64_t key)
{
    size_t mask = table->slots - 1, at = (size_t)key & mask;
    while (table->keys[at] != 0 && table->keys[at] != key) at = (at + 1) & mask;
    return at;
}

static bool grow(ag_table *table)
{
    ag_table larger = {.slots = table->slots ? table->slots * 2 : 64, .count = table->count};
    larger.keys = ag_calloc(larger.slots, sizeof *larger.keys);
    larger.values = ag_calloc(larger.slots, sizeof *larger.values);
    if (!larger.keys || !larger.values) {
        ag_table_free(&larger);
        return false;
    }
    for (size_t i = 0; i < table->slots; i++) {
        if (table->keys[i] == 0) continue;
        size_t at = slot_of(&larger, table->keys[i]);
        larger.keys[at] = table->keys[i];
        larger.values[at] = table->values[i];
    }
    ag_table_free(table);
    *table = larger;
    return true;
}

int ag_table_add(ag_table *table, uint64_t key, uint32_t *value)
{
    if (table->count >= table->slots / 4 * 3 && !grow(table)) return -1;
    size_t at = slot_of(table, key);
    if (table->keys[at] == key) {
        *value = table->values[at];
        return 0;
    }
    table->keys[at] = key;
    table->values[at] = *value;
    table->count++;
    return 1;
}

int64_t ag_table_find(const ag_table *table, uint64_t key)
{
    if (table->slots == 0) return -1;
    size_t at = slot_of(table, key);
    return table->keys[at] == key ? (int64_t)table->values[at] : -1;
}

void ag_table_free(ag_table *table)
{
    ag_free(table->keys);
    ag_free(table->values);
    memset(table, 0, sizeof *table);
}
