/* mem.h: allocation. Every allocation of the library on the host goes through these, so that a test can make
 * the n-th of them fail. Sizes are checked for overflow. All returned memory is zeroed.
 */
#ifndef AG_BASE_MEM_H
#define AG_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* count * size bytes, zeroed; NULL when out of memory or when the product overflows. A count of 0 gives a
 * valid pointer. Freed with ag_free. */
void *ag_calloc(size_t count, size_t size);

/* Grows or shrinks to count * size bytes; new bytes are not zeroed. On NULL the old block is untouched. */
void *ag_realloc(void *block, size_t count, size_t size);

/* Makes *block (an array of elements of `size` bytes with room for *capacity) hold at least `need` elements;
 * grows by half again at least. Returns false when out of memory, leaving everything as it was. */
bool ag_grow(void *block_address, size_t *capacity, size_t need, size_t size);

char *ag_strdup(const char *text);
char *ag_strndup(const char *text, size_t length);
void ag_free(void *block);

/* Tests only: the allocation number `n` from now (1 is the next) fails, and all after it when `all_after`;
 * n = 0 switches this off. Returns how many allocations were made since the last call. Not thread safe. */
long ag_mem_fail_at(long n, bool all_after);

/* An arena: many small blocks with one lifetime, released together. `name` is what it holds, for plans and
 * messages. A zeroed struct with a name is a valid empty arena. */
typedef struct ag_arena_block ag_arena_block;
typedef struct ag_arena {
    const char *name;
    ag_arena_block *head;
    size_t bytes; /* given out so far */
} ag_arena;

/* `size` zeroed bytes aligned to 16, NULL when out of memory. Lives until ag_arena_free. */
void *ag_arena_alloc(ag_arena *arena, size_t count, size_t size);
char *ag_arena_strdup(ag_arena *arena, const char *text);
char *ag_arena_strndup(ag_arena *arena, const char *text, size_t length);
void ag_arena_free(ag_arena *arena);

#endif
