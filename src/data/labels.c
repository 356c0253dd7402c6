/* labels.c: a list of (spelling, tier), made once from the user's words or from the data set's table, then
 * searched. */
#include "data/labels.h"

#include <string.h>

#include "data/pair_parts.h"

typedef struct row {
    char *name; /* folded */
    int tier;   /* -1: leave the pair out */
} row;

struct ag_labels {
    const ag_book *book;
    const char *what;
    row *rows;
    size_t count, cap;
};

/* Labels are told apart after folding; numbers by value. */
static bool same_label(const char *a, const char *b)
{
    double x, y;
    if (strcmp(a, b) == 0) return true;
    return ag_number_parse(a, &x) && ag_number_parse(b, &y) && x == y;
}

static ag_status add_row(ag_labels *labels, const char *name, size_t n, int tier, ag_error *err)
{
    ag_str folded = {0};
    ag_status status = ag_text_fold(&folded, name, n, err);
    if (status != AG_OK) goto out;
    for (size_t i = 0; i < labels->count; i++) {
        if (!same_label(labels->rows[i].name, ag_str_text(&folded))) continue;
        if (labels->rows[i].tier == tier) goto out;
        status = ag_fail(err, AG_ERR_USAGE, "label '%.*s' is given two tiers", (int)(n > 60 ? 60 : n), name);
        goto out;
    }
    if (!ag_grow(&labels->rows, &labels->cap, labels->count + 1, sizeof *labels->rows) ||
        !(labels->rows[labels->count].name = ag_strdup(ag_str_text(&folded)))) {
        status = ag_fail_memory(err, "labels");
        goto out;
    }
    labels->rows[labels->count++].tier = tier;
out:
    ag_str_free(&folded);
    return status;
}

/* "Exact=4,Not relevant=1". The last = divides, so that a label may hold one. */
static ag_status add_spec(ag_labels *labels, const char *spec, ag_error *err)
{
    const ag_book *book = labels->book;
    const char *names[AG_MAX_TIERS];
    for (int t = 0; t < book->tier_count; t++) names[t] = book->tiers[t].id;
    for (const char *at = spec; *at;) {
        size_t n = strcspn(at, ","), eq = n;
        char tier[128];
        while (eq > 0 && at[eq - 1] != '=') eq--;
        if (eq < 2 || eq == n || n - eq >= sizeof tier)
            return ag_fail(err, AG_ERR_USAGE, "--labels: '%.*s' is not LABEL=TIER", (int)(n > 60 ? 60 : n),
                           at);
        memcpy(tier, at + eq, n - eq);
        tier[n - eq] = '\0';
        int index = strcmp(tier, "-") == 0 ? -1 : ag_book_tier(book, tier);
        if (index < 0 && strcmp(tier, "-") != 0)
            return ag_fail(err, AG_ERR_USAGE, "--labels: '%s' is not a tier of the book%s", tier,
                           ag_suggest(tier, names, (size_t)book->tier_count).text);
        ag_status status = add_row(labels, at, eq - 1, index, err);
        if (status != AG_OK) return status;
        at += n + (at[n] == ',');
    }
    if (labels->count == 0) return ag_fail(err, AG_ERR_USAGE, "--labels is empty; give LABEL=TIER,...");
    return AG_OK;
}

/* The tier whose id or name is this text, or -1. */
static ag_status tier_by_word(const ag_book *book, const char *word, int *tier, ag_error *err)
{
    ag_str a = {0}, b = {0};
    ag_status status = ag_text_fold(&a, word, strlen(word), err);
    *tier = ag_book_tier(book, word);
    for (int t = 0; status == AG_OK && *tier < 0 && t < book->tier_count; t++) {
        const char *names[] = {book->tiers[t].id, book->tiers[t].name};
        for (int k = 0; k < 2 && status == AG_OK && *tier < 0; k++) {
            ag_str_clear(&b);
            if (!names[k]) continue;
            status = ag_text_fold(&b, names[k], strlen(names[k]), err);
            if (status == AG_OK && ag_streq(ag_str_text(&a), ag_str_text(&b))) *tier = t;
        }
    }
    ag_str_free(&a);
    ag_str_free(&b);
    return status;
}

/* An example of --labels for the message: the data set's grades to the book's tiers as far as they go. */
static ag_status ask_for_map(const ag_labels *labels, const ag_label *table, int ranks, ag_error *err)
{
    ag_str example = {0};
    int tiers = labels->book->tier_count;
    for (int r = 0, i = 0; r < ranks; r++) {
        while (table[i].rank != r) i++;
        int t = ranks > 1 ? r * (tiers - 1) / (ranks - 1) : 0;
        ag_str_addf(&example, "%s%s=%s", r ? "," : "", table[i].name, labels->book->tiers[t].id);
    }
    ag_status status = ag_fail(
        err, AG_ERR_USAGE,
        "%s has %d labels and the book %d tiers: say which is which, for example --labels '%s'", labels->what,
        ranks, tiers, ag_str_text(&example));
    ag_str_free(&example);
    return status;
}

static ag_status add_table(ag_labels *labels, const ag_label *table, bool numbers, ag_error *err)
{
    int tier_of[AG_MAX_TIERS], ranks = 0, found = 0;
    ag_status status = AG_OK;
    for (int i = 0; i < AG_MAX_TIERS; i++) tier_of[i] = -1;
    for (const ag_label *l = table; l->name; l++) {
        if (l->rank + 1 > ranks) ranks = l->rank + 1;
        if (numbers || tier_of[l->rank] >= 0) continue;
        if ((status = tier_by_word(labels->book, l->name, &tier_of[l->rank], err)) != AG_OK) return status;
        found += tier_of[l->rank] >= 0;
    }
    if (found < ranks) {
        if (ranks != labels->book->tier_count) return ask_for_map(labels, table, ranks, err);
        for (int r = 0; r < ranks; r++) tier_of[r] = r;
    }
    for (const ag_label *l = table; l->name && status == AG_OK; l++)
        status = add_row(labels, l->name, strlen(l->name), tier_of[l->rank], err);
    return status;
}

static ag_status add_tiers(ag_labels *labels, ag_error *err)
{
    const ag_book *book = labels->book;
    ag_status status = AG_OK;
    for (int t = 0; t < book->tier_count && status == AG_OK; t++)
        status = add_row(labels, book->tiers[t].id, strlen(book->tiers[t].id), t, err);
    for (int t = 0; t < book->tier_count && status == AG_OK; t++) {
        int other;
        const char *name = book->tiers[t].name;
        if (!name) continue;
        status = tier_by_word(book, name, &other, err); /* ids go before names */
        if (status == AG_OK && other == t) status = add_row(labels, name, strlen(name), t, err);
    }
    return status;
}

ag_status ag_labels_create(ag_labels **result, const ag_book *book, const char *what, const ag_label *table,
                           bool numbers, const char *spec, ag_error *err)
{
    *result = NULL;
    ag_labels *labels = ag_calloc(1, sizeof *labels);
    if (!labels) return ag_fail_memory(err, "labels");
    labels->book = book;
    labels->what = what;
    ag_status status = spec    ? add_spec(labels, spec, err)
                       : table ? add_table(labels, table, numbers, err)
                               : add_tiers(labels, err);
    if (status == AG_OK)
        *result = labels;
    else
        ag_labels_free(labels);
    return status;
}

static ag_status unknown(const ag_labels *labels, const char *label, const char *path, long line,
                         ag_error *err)
{
    const char *names[64];
    size_t n = 0;
    ag_str known = {0};
    for (; n < labels->count && n < 64; n++) {
        names[n] = labels->rows[n].name;
        ag_str_addf(&known, "%s%s", n ? ", " : "", names[n]);
    }
    ag_status status = ag_fail(err, AG_ERR_INPUT,
                               "%s:%ld: '%.60s' is not a label of %s (%.300s)%s; see --labels", path, line,
                               label, labels->what, ag_str_text(&known), ag_suggest(label, names, n).text);
    ag_str_free(&known);
    return status;
}

ag_status ag_labels_tier(const ag_labels *labels, const json_t *label, const char *path, long line,
                         const char **tier, ag_error *err)
{
    ag_str text = {0}, folded = {0};
    ag_status status;
    *tier = NULL;
    if (json_is_boolean(label) || !ag_scalar_text(&text, label)) {
        status = ag_fail(err, AG_ERR_INPUT, "%s:%ld: a label must be a string or a number", path, line);
        goto out;
    }
    if ((status = ag_str_ok(&text, err)) != AG_OK) goto out;
    if ((status = ag_text_fold(&folded, ag_str_text(&text), text.len, err)) != AG_OK) goto out;
    for (size_t i = 0; i < labels->count; i++) {
        if (!same_label(labels->rows[i].name, ag_str_text(&folded))) continue;
        int t = labels->rows[i].tier;
        *tier = t < 0 ? NULL : labels->book->tiers[t].id;
        goto out;
    }
    status = unknown(labels, ag_str_text(&text), path, line, err);
out:
    ag_str_free(&text);
    ag_str_free(&folded);
    return status;
}

void ag_labels_free(ag_labels *labels)
{
    if (!labels) return;
    for (size_t i = 0; i < labels->count; i++) ag_free(labels->rows[i].name);
    ag_free(labels->rows);
    ag_free(labels);
}
