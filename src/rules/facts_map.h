/* facts_map.h: a hash table from text to a number, for the many small dictionaries of facts and lexicon.
 *
 * Keys live in the caller's arena; entries keep their order of insertion, so that walking a map is deterministic.
 */
#ifndef AG_RULES_FACTS_MAP_H
#define AG_RULES_FACTS_MAP_H

#include "base/error.h"
#include "base/mem.h"

typedef struct ag_map_entry {
    const char *key;
    size_t len;
    uint64_t hash;
    int value;
} ag_map_entry;

/* A zeroed map with an arena is a valid empty one. */
typedef struct ag_map {
    ag_arena *arena;
    ag_map_entry *entries; /* in order of insertion */
    size_t count, cap;
    uint32_t *slots;   /* entry + 1, or 0 */
    size_t slot_count; /* a power of two */
} ag_map;

/* The entry of a key, or NULL. */
ag_map_entry *ag_map_find(const ag_map *map, const char *key, size_t len);
/* The entry of a key, made with `value` when it is new (*made, which may be NULL, says so); NULL out of memory. */
ag_map_entry *ag_map_put(ag_map *map, const char *key, size_t len, int value, bool *made);
/* The value of a key, or -1. */
int ag_map_get(const ag_map *map, const char *key, size_t len);
/* Releases the tables (not the arena). */
void ag_map_free(ag_map *map);

#endif
