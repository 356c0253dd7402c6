/* table.h: a hash table from names to numbers, by 64 bits of their SHA-256. The names themselves are not
 * kept, so a table of all ids of a large file costs about 16 to 24 bytes an id; two names meet by chance
 * once in 10^19 pairs, and nobody can write a file on purpose in which many do.
 */
#ifndef AG_DATA_TABLE_H
#define AG_DATA_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ag_table {
    uint64_t *keys; /* 0: free */
    uint32_t *values;
    size_t slots, count;
} ag_table;

uint64_t ag_table_key(const char *name, size_t len);
/* Adds (key, value) unless the key is there already. Returns 1 added, 0 it was there (*value is then the
 * value it has), -1 out of memory. */
int ag_table_add(ag_table *table, uint64_t key, uint32_t *value);
/* The value of a key, or -1. */
int64_t ag_table_find(const ag_table *table, uint64_t key);
void ag_table_free(ag_table *table);

#endif
