/* tensors.c: see tensors.h. */
#include "model/tensors.h"

#include <stdlib.h>
#include <string.h>

ag_status ag_tensors_add(ag_tensors *table, const ag_tensor *row, const char *name, size_t len, ag_error *err)
{
    if (!ag_grow(&table->items, &table->capacity, table->count + 1, sizeof *table->items)) {
        return ag_fail_memory(err, "table of tensors");
    }
    char *copy = ag_arena_strndup(&table->arena, name, len);
    if (!copy) return ag_fail_memory(err, "table of tensors");
    ag_tensor *t = &table->items[table->count++];
    *t = *row;
    t->name = copy;
    return AG_OK;
}

/* By place, the shorter first, so that an empty tensor comes before the one that begins where it lies. */
static int by_place(const void *a, const void *b)
{
    const ag_tensor *x = a, *y = b;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const ag_tensor *)a)->name, ((const ag_tensor *)b)->name);
}

ag_status ag_tensors_check_places(ag_tensors *table, size_t first, const unsigned char *start, uint64_t size,
                                  bool dense, const char *path, ag_error *err)
{
    size_t n = table->count - first;
    ag_tensor *t = n > 0 ? table->items + first : NULL; /* without tensors there is no array */
    if (n > 0) qsort(t, n, sizeof *t, by_place);
    const unsigned char *end = start;
    for (size_t i = 0; i < n; i++) {
        if (t[i].data < end) {
            return ag_fail(err, AG_ERR_INPUT, "%s: tensors '%s' and '%s' overlap", path,
                           t[i > 0 ? i - 1 : 0].name, t[i].name);
        }
        if (dense && t[i].data > end) {
            return ag_fail(err, AG_ERR_INPUT, "%s: bytes before tensor '%s' belong to no tensor", path,
                           t[i].name);
        }
        end = t[i].data + t[i].bytes;
    }
    if (dense && (uint64_t)(end - start) != size) {
        return ag_fail(err, AG_ERR_INPUT, "%s: the last %llu bytes belong to no tensor; is the file damaged?",
                       path, (unsigned long long)(size - (uint64_t)(end - start)));
    }
    return AG_OK;
}

ag_status ag_tensors_sort(ag_tensors *table, ag_error *err)
{
    if (table->count > 0) qsort(table->items, table->count, sizeof *table->items, by_name);
    for (size_t i = 1; i < table->count; i++) {
        const ag_tensor *a = &table->items[i - 1], *b = &table->items[i];
        if (strcmp(a->name, b->name) == 0) {
            return ag_fail(err, AG_ERR_INPUT, "%s: tensor '%s' is there twice%s%s", b->path, b->name,
                           a->path == b->path ? "" : ", also in ", a->path == b->path ? "" : a->path);
        }
    }
    return AG_OK;
}

ag_tensor *ag_tensors_find(const ag_tensors *table, const char *name)
{
    ag_tensor key = {.name = name};
    if (table->count == 0) return NULL;
    return bsearch(&key, table->items, table->count, sizeof key, by_name);
}

void ag_tensors_free(ag_tensors *table)
{
    ag_free(table->items);
    ag_arena_free(&table->arena);
    *table = (ag_tensors){0};
}
