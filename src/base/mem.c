/* mem.c: allocation, the switch that makes it fail in tests, and arenas.
 *
 * Blocks come from calloc and realloc, so that sanitizers and other tools see each of them, and ag_free is
 * free: what a library allocated before it was pointed here can still be released here.
 */
#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Atomic only so that counting is no data race when worker threads allocate; nothing is ordered by them. */
static atomic_long made_count, fail_countdown;
static atomic_bool fail_all_after;

long ag_mem_fail_at(long n, bool all_after)
{
    atomic_store_explicit(&fail_all_after, all_after, memory_order_relaxed);
    atomic_store_explicit(&fail_countdown, n, memory_order_relaxed);
    return atomic_exchange_explicit(&made_count, 0, memory_order_relaxed);
}

/* Counts one allocation; true when a test wants it to fail. */
static bool must_fail(void)
{
    atomic_fetch_add_explicit(&made_count, 1, memory_order_relaxed);
    long left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    if (left <= 0) return false;
    if (left > 1) {
        atomic_store_explicit(&fail_countdown, left - 1, memory_order_relaxed);
        return false;
    }
    if (!atomic_load_explicit(&fail_all_after, memory_order_relaxed))
        atomic_store_explicit(&fail_countdown, 0, memory_order_relaxed);
    return true;
}

void *ag_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (must_fail()) return NULL;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX) return NULL;
    return calloc(1, bytes ? bytes : 1);
}

void *ag_realloc(void *block, size_t count, size_t size)
{
    size_t bytes;
    if (must_fail()) return NULL;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX) return NULL;
    return realloc(block, bytes ? bytes : 1);
}

bool ag_grow(void *block_address, size_t *capacity, size_t need, size_t size)
{
    void *old;
    if (need <= *capacity) return true;
    size_t want = *capacity + *capacity / 2;
    if (want < *capacity || want < need) want = need;
    if (want < 8) want = 8;
    /* Through memcpy: the address may be of a pointer of any type. */
    memcpy(&old, block_address, sizeof old);
    void *grown = ag_realloc(old, want, size);
    if (!grown) return false;
    memcpy(block_address, &grown, sizeof grown);
    *capacity = want;
    return true;
}

char *ag_strndup(const char *text, size_t length)
{
    if (length == SIZE_MAX) return NULL;
    char *copy = ag_calloc(length + 1, 1);
    if (copy && length) memcpy(copy, text, length);
    return copy;
}

char *ag_strdup(const char *text)
{
    return ag_strndup(text, strlen(text));
}

void ag_free(void *block)
{
    free(block);
}

/* --- arenas --------------------------------------------------------------------------------------------- */

enum { ARENA_ALIGN = 16, ARENA_FIRST = 4096, ARENA_LARGEST = 1 << 20 };

struct ag_arena_block {
    ag_arena_block *next;
    size_t used, size;
    _Alignas(ARENA_ALIGN) unsigned char data[];
};

static ag_arena_block *block_new(size_t size)
{
    if (size > PTRDIFF_MAX - sizeof(ag_arena_block)) return NULL;
    ag_arena_block *block = ag_calloc(1, sizeof *block + size);
    if (block) block->size = size;
    return block;
}

void *ag_arena_alloc(ag_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX - ARENA_ALIGN) return NULL;
    if (bytes == 0) bytes = 1;
    bytes = (bytes + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;

    ag_arena_block *block = arena->head;
    if (!block || block->size - block->used < bytes) {
        size_t usual = block ? block->size * 2 : ARENA_FIRST;
        if (usual > ARENA_LARGEST) usual = ARENA_LARGEST;
        bool large = bytes > usual / 4;
        block = block_new(large ? bytes : usual);
        if (!block) return NULL;
        if (large && arena->head) { /* behind the head, whose free room is still worth using */
            block->next = arena->head->next;
            arena->head->next = block;
        } else {
            block->next = arena->head;
            arena->head = block;
        }
    }
    void *given = block->data + block->used;
    block->used += bytes;
    arena->bytes += bytes;
    return given;
}

char *ag_arena_strndup(ag_arena *arena, const char *text, size_t length)
{
    if (length == SIZE_MAX) return NULL;
    char *copy = ag_arena_alloc(arena, length + 1, 1);
    if (copy && length) memcpy(copy, text, length);
    return copy;
}

char *ag_arena_strdup(ag_arena *arena, const char *text)
{
    return ag_arena_strndup(arena, text, strlen(text));
}

void ag_arena_free(ag_arena *arena)
{
    ag_arena_block *block = arena->head;
    while (block) {
        ag_arena_block *next = block->next;
        ag_free(block);
        block = next;
    }
    arena->head = NULL;
    arena->bytes = 0;
}
