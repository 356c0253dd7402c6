/* asked_units.c: cuts a query into units; see asked_units.h.
 *
 * At each word the longest phrase that catalogue, item, facts or book know is taken. A phrase may be several things
 * at once ("mint" is a colour and a flavour); the reader of the units decides.
 */
#include "rules/asked_units.h"

#include <string.h>
#include <strings.h>

const ag_lexeme *ag_unit_lexeme(const ag_query_unit *unit, ag_meaning meaning, int n)
{
    for (int side = 0; side < 2; side++) {
        const ag_lexicon *lx = unit->in[side];
        for (int i = lx ? unit->lexeme[side] : -1; i >= 0; i = lx->lexemes[i].next)
            if (lx->lexemes[i].meaning == meaning && n-- == 0) return &lx->lexemes[i];
    }
    return NULL;
}

static bool is_currency(const ag_lexicon *lx, const ag_words *w, size_t i)
{
    if (i >= w->count) return false;
    if (w->items[i].currency) return true;
    int bits = ag_map_get(&lx->facts->phrases, w->text.data + w->items[i].at, w->items[i].len);
    return bits > 0 && (bits & (1 << AG_PHRASE_CURRENCY));
}

/* The unit of some attribute that word i names, or NULL. */
static const char *unit_at(const ag_lexicon *lx, const ag_words *w, size_t i)
{
    if (i >= w->count) return NULL;
    const char *raw = w->raw.data + w->items[i].raw_at;
    size_t len = w->items[i].raw_len;
    for (int r = 1; r < lx->book->attribute_count; r++)
        for (int u = 0; u < lx->book->attributes[r].unit_count; u++) {
            const char *name = lx->book->attributes[r].units[u].name;
            size_t n = strlen(name);
            if (strncasecmp(name, raw, n) == 0 && (len == n || (len == n + 1 && raw[n] == 's'))) return name;
        }
    return NULL;
}

/* A number with its currency or unit. */
static void cut_number(ag_query_unit *u, const ag_lexicon *lx, const ag_words *w, size_t i)
{
    size_t at = i;
    u->from = i;
    if (!w->items[at].number) { /* the sign in front */
        u->currency = true;
        at++;
    }
    u->number = true;
    u->number_from = at;
    u->number_words = 1;
    u->count = at + 1 - i;
    if (!u->currency && is_currency(lx, w, at + 1)) {
        u->currency = true;
        u->count++;
    } else if (!u->currency && (u->unit = unit_at(lx, w, at + 1))) {
        u->number_words = 2;
        u->count++;
    }
}

/* The longest phrase at word i. `named`: the unit before is the name of an attribute, so that a bare value counts. */
static void cut_phrase(ag_query_unit *u, const ag_lexicon *lx, const ag_lexicon *overlay, const ag_words *w,
                       size_t i, bool named)
{
    size_t most = w->count - i < AG_LEXICON_WORDS ? w->count - i : AG_LEXICON_WORDS;
    u->from = i;
    u->count = 1;
    u->in[0] = lx;
    u->in[1] = overlay;
    for (size_t n = most; n >= 1; n--) {
        size_t len;
        const char *normal = ag_words_slice(w, i, n, &len);
        int bits = ag_map_get(&lx->facts->phrases, normal, len);
        u->phrase = bits > 0 ? bits : 0;
        u->lexeme[0] = ag_lexicon_find(lx, normal, len);
        u->lexeme[1] = overlay ? ag_lexicon_find(overlay, normal, len) : -1;
        bool known = u->lexeme[0] >= 0 || u->lexeme[1] >= 0;
        bool says = ag_unit_lexeme(u, AG_MEANS_NAME, 0) || ag_unit_lexeme(u, AG_MEANS_CATEGORY, 0); /* "tv" */
        if (known && !named && !says && ag_lexicon_needs_name(normal, len)) {
            u->lexeme[0] = u->lexeme[1] = -1;
            known = false;
        }
        if (u->phrase || known) {
            u->count = n;
            return;
        }
    }
}

static bool dash_before(const ag_words *w, size_t i)
{
    if (i == 0) return false;
    size_t end = w->items[i - 1].raw_at + w->items[i - 1].raw_len;
    for (size_t k = end; k < w->items[i].raw_at; k++)
        if (w->raw.data[k] == '-' || (unsigned char)w->raw.data[k] == 0xE2) return true;
    return false;
}

ag_status ag_query_cut(ag_query_units *units, const ag_lexicon *lx, const ag_lexicon *overlay,
                       const char *query, ag_error *err)
{
    ag_words *w = &units->words;
    bool named = false;
    units->count = 0;
    ag_status status = ag_words_split(w, query, lx->facts->english, err);
    if (status != AG_OK) return status;
    if (w->count > AG_QUERY_WORDS) w->count = AG_QUERY_WORDS;
    for (size_t i = 0; i < w->count; i += units->items[units->count++].count) {
        ag_query_unit *u = &units->items[units->count];
        *u = (ag_query_unit){.lexeme = {-1, -1}, .dash = dash_before(w, i)};
        bool sign = is_currency(lx, w, i) && i + 1 < w->count && w->items[i + 1].number;
        cut_phrase(u, lx, overlay, w, i, named);
        bool means = u->lexeme[0] >= 0 || u->lexeme[1] >= 0;
        if (sign || (w->items[i].number && !means)) {
            *u = (ag_query_unit){.lexeme = {-1, -1}, .dash = u->dash};
            cut_number(u, lx, w, i);
        }
        bool filler = u->phrase == 1 << AG_PHRASE_FILLER;
        named = ag_unit_lexeme(u, AG_MEANS_NAME, 0) != NULL || (named && filler);
    }
    return AG_OK;
}

void ag_query_units_free(ag_query_units *units)
{
    ag_words_free(&units->words);
}
