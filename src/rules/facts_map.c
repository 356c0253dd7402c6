/* facts_map.c: open addressing with linear probing over an array of entries; see facts_map.h. */
#include "rules/facts_map.h"

#include <string.h>

#include "base/rng.h"

enum { MAP_FIRST_SLOTS = 32 };

static ag_map_entry *probe(const ag_map *map, const char *key, size_t len, uint64_t hash, size_t *slot)
{
    size_t mask = map->slot_count - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        *slot = i;
        if (map->slots[i] == 0) return NULL;
        ag_map_entry *e = &map->entries[map->slots[i] - 1];
        if (e->hash == hash && e->len == len && memcmp(e->key, key, len) == 0) return e;
    }
}

ag_map_entry *ag_map_find(const ag_map *map, const char *key, size_t len)
{
    size_t slot;
    if (map->count == 0) return NULL;
    return probe(map, key, len, ag_hash64(key, len), &slot);
}

int ag_map_get(const ag_map *map, const char *key, size_t len)
{
    const ag_map_entry *e = ag_map_find(map, key, len);
    return e ? e->value : -1;
}

/* At most half of the slots are taken, so that a probe always ends soon. */
static bool grow_slots(ag_map *map)
{
    size_t want = map->slot_count ? map->slot_count * 2 : MAP_FIRST_SLOTS;
    uint32_t *slots = ag_calloc(want, sizeof *slots);
    if (!slots) return false;
    for (size_t k = 0; k < map->count; k++) {
        size_t i = map->entries[k].hash & (want - 1);
        while (slots[i]) i = (i + 1) & (want - 1);
        slots[i] = (uint32_t)(k + 1);
    }
    ag_free(map->slots);
    map->slots = slots;
    map->slot_count = want;
    return true;
}

ag_map_entry *ag_map_put(ag_map *map, const char *key, size_t len, int value, bool *made)
{
    size_t slot = 0;
    uint64_t hash = ag_hash64(key, len);
    if (made) *made = false;
    if (map->count * 2 >= map->slot_count && !grow_slots(map)) return NULL;
    ag_map_entry *found = probe(map, key, len, hash, &slot);
    if (found) return found;
    if (map->count >= UINT32_MAX - 1 ||
        !ag_grow(&map->entries, &map->cap, map->count + 1, sizeof *map->entries))
        return NULL;
    const char *copy = ag_arena_strndup(map->arena, key, len);
    if (!copy) return NULL;
    map->entries[map->count] = (ag_map_entry){.key = copy, .len = len, .hash = hash, .value = value};
    map->slots[slot] = (uint32_t)++map->count;
    if (made) *made = true;
    return &map->entries[map->count - 1];
}

void ag_map_free(ag_map *map)
{
    ag_free(map->entries);
    ag_free(map->slots);
    map->entries = NULL;
    map->slots = NULL;
    map->count = map->cap = map->slot_count = 0;
}
