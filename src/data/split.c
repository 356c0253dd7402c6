/* split.c: groups of queries over a whole list (union-find on their keys) and their way into parts. */
#include "data/split.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "data/group.h"
#include "data/pair.h"
#include "data/table.h"

/* --- groups
 * ------------------------------------------------------------------------------------------------- */

typedef struct grouper {
    uint32_t *parent; /* union-find; a root is the smallest index of its group */
    ag_table keys;    /* key -> a query that has it */
    ag_table vocabulary;
} grouper;

static uint32_t root_of(uint32_t *parent, uint32_t i)
{
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
}

/* Query i has this key: joins it with whoever had it before. `kind` keeps the kinds of keys apart. */
static ag_status has_key(grouper *g, uint32_t i, char kind, const ag_str *text, ag_error *err)
{
    uint32_t other = i;
    uint64_t key = ag_table_key(ag_str_text(text), text->len) ^ ((uint64_t)kind << 56);
    int added = ag_table_add(&g->keys, key ? key : 1, &other);
    if (added < 0) return ag_fail_memory(err, "query groups");
    if (added == 1) return AG_OK;
    uint32_t a = root_of(g->parent, i), b = root_of(g->parent, other);
    g->parent[a > b ? a : b] = a > b ? b : a;
    return AG_OK;
}

/* The key of the stem of first + second. */
static uint64_t compound_key(ag_str *scratch, const char *first, const char *second)
{
    ag_str_clear(scratch);
    ag_str_add(scratch, first);
    ag_str_add(scratch, second);
    if (scratch->failed) return 1;
    return ag_table_key(scratch->data, ag_stem(scratch->data, scratch->len));
}

static ag_status add_words(grouper *g, const char *query, ag_str *words, ag_str *scratch, ag_error *err)
{
    uint32_t value = 0;
    ag_str_clear(words);
    ag_status status = ag_query_words(words, query, err);
    for (size_t at = 0; status == AG_OK && at < words->len; at += strlen(words->data + at) + 1) {
        uint64_t key = compound_key(scratch, words->data + at, "");
        if (scratch->failed || ag_table_add(&g->vocabulary, key, &value) < 0)
            status = ag_fail_memory(err, "query groups");
    }
    return status;
}

/* The words of a query with neighbours joined, from left to right, where the compound is in the
 * vocabulary. */
static ag_status join_compounds(const grouper *g, ag_str *joined, bool *any, const ag_str *words,
                                ag_str *scratch, ag_error *err)
{
    *any = false;
    ag_str_clear(joined);
    for (size_t at = 0; at < words->len;) {
        const char *first = words->data + at;
        size_t after = at + strlen(first) + 1;
        const char *second = after < words->len ? words->data + after : NULL;
        ag_str_add(joined, first);
        if (second && ag_table_find(&g->vocabulary, compound_key(scratch, first, second)) >= 0) {
            ag_str_add(joined, second);
            after += strlen(second) + 1;
            *any = true;
        }
        ag_str_addc(joined, '\0');
        at = after;
    }
    return scratch->failed ? ag_fail_memory(err, "query groups") : ag_str_ok(joined, err);
}

ag_status ag_query_groups(const char *const *queries, size_t n, uint32_t *group, ag_error *err)
{
    grouper g = {.parent = group};
    ag_str set = {0}, joined = {0}, words = {0}, scratch = {0};
    ag_status status = AG_OK;
    bool any;
    if (n > UINT32_MAX) return ag_fail(err, AG_ERR_INPUT, "more than %u different queries", UINT32_MAX);
    for (size_t i = 0; i < n; i++) group[i] = (uint32_t)i;
    for (size_t i = 0; i < n; i++)
        if ((status = add_words(&g, queries[i], &words, &scratch, err)) != AG_OK) goto out;
    for (uint32_t i = 0; i < n; i++) {
        ag_str_clear(&set);
        ag_str_clear(&joined);
        if ((status = ag_query_keys(&set, &joined, queries[i], err)) != AG_OK) goto out;
        if ((status = has_key(&g, i, 0, &set, err)) != AG_OK) goto out;
        if ((status = has_key(&g, i, 1, &joined, err)) != AG_OK) goto out;
        ag_str_clear(&words);
        if ((status = ag_query_words(&words, queries[i], err)) != AG_OK) goto out;
        if ((status = join_compounds(&g, &joined, &any, &words, &scratch, err)) != AG_OK) goto out;
        if (!any) continue;
        ag_str_clear(&set);
        if ((status = ag_word_set_key(&set, joined.data, joined.len, err)) != AG_OK) goto out;
        if ((status = has_key(&g, i, 0, &set, err)) != AG_OK) goto out;
    }
    for (uint32_t i = 0; i < n; i++) group[i] = root_of(group, i);
out:
    ag_table_free(&g.keys);
    ag_table_free(&g.vocabulary);
    ag_str_free(&set);
    ag_str_free(&joined);
    ag_str_free(&words);
    ag_str_free(&scratch);
    return status;
}

/* --- shares
 * ------------------------------------------------------------------------------------------------- */

static bool good_name(const char *name, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
              c == '-'))
            return false;
    }
    return n > 0 && n < sizeof((ag_split *)0)->names[0];
}

ag_status ag_split_parse(ag_split *split, const char *text, ag_error *err)
{
    double sum = 0;
    memset(split, 0, sizeof *split);
    for (const char *at = text; *at;) {
        char number[32];
        size_t n = strcspn(at, ","), name = strcspn(at, "=,");
        if (split->count == AG_SPLIT_MAX)
            return ag_fail(err, AG_ERR_USAGE, "a split has at most %d parts", AG_SPLIT_MAX);
        double *share = &split->shares[split->count];
        snprintf(number, sizeof number, "%.*s", name < n ? (int)(n - name - 1) : 0, at + name + (name < n));
        if (!good_name(at, name) || !ag_number_parse(number, share) || *share <= 0 || *share > 1)
            return ag_fail(err, AG_ERR_USAGE,
                           "'%.*s' is not NAME=SHARE with a share above 0 and at most 1, such as train=0.8",
                           (int)(n > 60 ? 60 : n), at);
        memcpy(split->names[split->count], at, name);
        for (int i = 0; i < split->count; i++)
            if (strcmp(split->names[i], split->names[split->count]) == 0)
                return ag_fail(err, AG_ERR_USAGE, "the split names '%s' twice", split->names[i]);
        sum += *share;
        split->count++;
        at += n + (at[n] == ',');
    }
    if (split->count == 0 || fabs(sum - 1) > 1e-6)
        return ag_fail(err, AG_ERR_USAGE, "the shares of '%.80s' sum to %.6g, not 1", text, sum);
    return AG_OK;
}

ag_status ag_split_folds(ag_split *split, int folds, ag_error *err)
{
    memset(split, 0, sizeof *split);
    if (folds < 2 || folds > AG_SPLIT_MAX)
        return ag_fail(err, AG_ERR_USAGE, "folds must be from 2 to %d, not %d", AG_SPLIT_MAX, folds);
    split->count = folds;
    for (int i = 0; i < folds; i++) {
        snprintf(split->names[i], sizeof split->names[i], "fold%d", i + 1);
        split->shares[i] = 1.0 / folds;
    }
    return AG_OK;
}

int ag_split_part(const ag_split *split, const char *name, uint64_t seed)
{
    ag_rng r = ag_rng_at(seed, AG_RNG_SPLIT, ag_hash64(name, strlen(name)), 0, 0, 0);
    double u = ag_rng_double(&r), sum = 0;
    for (int i = 0; i < split->count; i++)
        if (u < (sum += split->shares[i])) return i;
    return split->count - 1;
}

/* --- queries into parts
 * ------------------------------------------------------------------------------------- */

typedef struct unit {
    char *name; /* the smallest key of its queries: the same in any order of the file */
    uint64_t order;
    double weight;
    int part;
} unit;

static int by_order(const void *a, const void *b)
{
    const unit *x = *(unit *const *)a, *y = *(unit *const *)b;
    if (x->order != y->order) return x->order < y->order ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Each unit in random order to the part that lacks most. */
static void deal(const ag_split *split, unit **order, size_t n)
{
    double total = 0, given[AG_SPLIT_MAX] = {0};
    for (size_t i = 0; i < n; i++) total += order[i]->weight;
    for (size_t i = 0; i < n; i++) {
        int best = 0;
        for (int p = 1; p < split->count; p++)
            if (split->shares[p] * total - given[p] > split->shares[best] * total - given[best]) best = p;
        order[i]->part = best;
        given[best] += order[i]->weight;
    }
}

static ag_status fill_units(unit *units, const char *const *queries, const uint32_t *weight,
                            const uint32_t *group, size_t n, ag_error *err)
{
    ag_str key = {0};
    ag_status status = AG_OK;
    for (size_t i = 0; i < n && status == AG_OK; i++) {
        unit *u = &units[group[i]];
        ag_str_clear(&key);
        u->weight += weight ? weight[i] : 1;
        if ((status = ag_query_group(&key, queries[i], err)) != AG_OK) break;
        if (u->name && strcmp(u->name, ag_str_text(&key)) <= 0) continue;
        ag_free(u->name);
        if (!(u->name = ag_strdup(ag_str_text(&key)))) status = ag_fail_memory(err, "query groups");
    }
    ag_str_free(&key);
    return status;
}

ag_status ag_split_queries(const ag_split *split, const char *const *queries, const uint32_t *weight,
                           size_t n, uint64_t seed, bool stable, uint8_t *part, size_t *groups, ag_error *err)
{
    size_t count = 0;
    ag_status status;
    uint32_t *group = ag_calloc(n, sizeof *group);
    unit *units = ag_calloc(n, sizeof *units), **order = ag_calloc(n, sizeof *order);
    if (!group || !units || !order) {
        status = ag_fail_memory(err, "query groups");
        goto out;
    }
    if ((status = ag_query_groups(queries, n, group, err)) != AG_OK) goto out;
    if ((status = fill_units(units, queries, weight, group, n, err)) != AG_OK) goto out;
    for (size_t i = 0; i < n; i++) {
        if (group[i] != i) continue;
        ag_rng r = ag_rng_at(seed, AG_RNG_SPLIT, ag_hash64(units[i].name, strlen(units[i].name)), 1, 0, 0);
        units[i].order = ag_rng_u64(&r);
        units[i].part = ag_split_part(split, units[i].name, seed);
        order[count++] = &units[i];
    }
    if (!stable) {
        qsort(order, count, sizeof *order, by_order);
        deal(split, order, count);
    }
    for (size_t i = 0; i < n; i++) part[i] = (uint8_t)units[group[i]].part;
    if (groups) *groups = count;
out:
    for (size_t i = 0; units && i < n; i++) ag_free(units[i].name);
    ag_free(group);
    ag_free(units);
    ag_free(order);
    return status;
}
