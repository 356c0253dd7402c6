/* synth_disturb.c: what happens to words on the way into a search box: a slip of the finger, a missing or an extra space, a
 * plural, a unit written otherwise, words in another order. Codes (words with digits) are left alone, because a slip in a part
 * number names another part.
 */
#include "data/synth_parts.h"

#include <ctype.h>
#include <string.h>

enum { WORDS = 32, TYPO_LETTERS = 5 };

typedef struct words {
    const char *at[WORDS];
    size_t len[WORDS];
    int count;
} words;

static words cut(const char *text)
{
    words w = {0};
    for (const char *at = text; *at && w.count < WORDS;) {
        at += strspn(at, " ");
        size_t n = strcspn(at, " ");
        if (n == 0) break;
        w.at[w.count] = at;
        w.len[w.count++] = n;
        at += n;
    }
    return w;
}

/* Only letters of ASCII: other scripts have slips of their own. */
static bool is_plain(const words *w, int i)
{
    for (size_t k = 0; k < w->len[i]; k++)
        if (!isalpha((unsigned char)w->at[i][k]) || ((unsigned char)w->at[i][k] & 0x80)) return false;
    return true;
}

/* A random word that `fits` takes, or -1. */
static int draw(const words *w, ag_rng *rng, bool (*fits)(const words *w, int i))
{
    int able[WORDS], n = 0;
    for (int i = 0; i < w->count; i++)
        if (fits(w, i)) able[n++] = i;
    return n ? able[ag_rng_below(rng, (uint32_t)n)] : -1;
}

static void put(ag_str *out, const words *w, int i)
{
    if (out->len) ag_str_addc(out, ' ');
    ag_str_addn(out, w->at[i], w->len[i]);
}

static bool long_word(const words *w, int i)
{
    return w->len[i] >= TYPO_LETTERS && is_plain(w, i);
}

static bool typo(ag_str *out, const words *w, ag_rng *rng)
{
    int chosen = draw(w, rng, long_word);
    if (chosen < 0) return false;
    for (int i = 0; i < w->count; i++) {
        if (i != chosen) {
            put(out, w, i);
            continue;
        }
        const char *a = w->at[i];
        size_t n = w->len[i],
               k = 1 + ag_rng_below(rng, (uint32_t)n - 2); /* first and last letter are seldom wrong */
        if (out->len) ag_str_addc(out, ' ');
        ag_str_addn(out, a, k);
        switch (ag_rng_below(rng, 3)) {
        case 0: /* two letters changed places */
            ag_str_addc(out, k + 1 < n ? a[k + 1] : a[k]);
            if (k + 1 < n) ag_str_addc(out, a[k]);
            ag_str_addn(out, a + k + (k + 1 < n ? 2 : 1), n - k - (k + 1 < n ? 2 : 1));
            break;
        case 1: ag_str_addn(out, a + k + 1, n - k - 1); break; /* one is missing */
        default:                                               /* one came twice */
            ag_str_addc(out, a[k]);
            ag_str_addn(out, a + k, n - k);
            break;
        }
    }
    return true;
}

static bool before_plain(const words *w, int i)
{
    return i + 1 < w->count && is_plain(w, i) && is_plain(w, i + 1) && w->len[i] > 2 && w->len[i + 1] > 2;
}

/* The words with a random one of those that `fits` takes written together with the next. */
static bool glue(ag_str *out, const words *w, ag_rng *rng, bool (*fits)(const words *w, int i))
{
    int chosen = draw(w, rng, fits);
    if (chosen < 0) return false;
    for (int i = 0; i < w->count; i++) {
        if (i == chosen + 1)
            ag_str_addn(out, w->at[i], w->len[i]);
        else
            put(out, w, i);
    }
    return true;
}

static bool joined(ag_str *out, const words *w, ag_rng *rng)
{
    return glue(out, w, rng, before_plain);
}

static bool has_hyphen(const words *w, int i)
{
    const char *hyphen = memchr(w->at[i], '-', w->len[i]);
    bool digits = false;
    for (size_t k = 0; k < w->len[i]; k++) digits |= isdigit((unsigned char)w->at[i][k]) != 0;
    return hyphen && hyphen > w->at[i] && hyphen + 1 < w->at[i] + w->len[i] && !digits;
}

/* "wi-fi": "wi fi" or "wifi". */
static bool split(ag_str *out, const words *w, ag_rng *rng)
{
    int chosen = draw(w, rng, has_hyphen);
    bool space = ag_rng_below(rng, 2) == 0;
    if (chosen < 0) return false;
    for (int i = 0; i < w->count; i++) {
        if (out->len) ag_str_addc(out, ' ');
        for (size_t k = 0; k < w->len[i]; k++) {
            if (i != chosen || w->at[i][k] != '-')
                ag_str_addc(out, w->at[i][k]);
            else if (space)
                ag_str_addc(out, ' ');
        }
    }
    return true;
}

/* The last word in the plural, or out of it. */
static bool plural(ag_str *out, const words *w, ag_rng *rng)
{
    int last = w->count - 1;
    (void)rng;
    if (last < 0 || w->len[last] < 4 || !is_plain(w, last)) return false;
    for (int i = 0; i < w->count; i++) put(out, w, i);
    const char *text = w->at[last];
    size_t n = w->len[last];
    if (text[n - 1] == 's' && text[n - 2] != 's')
        out->data[--out->len] = '\0';
    else if (text[n - 1] == 's' || text[n - 1] == 'x' || (text[n - 1] == 'h' && strchr("cs", text[n - 2])))
        ag_str_add(out, "es");
    else
        ag_str_addc(out, 's');
    return true;
}

static bool number_before_unit(const words *w, int i)
{
    if (i + 1 >= w->count || w->len[i + 1] > 4 || !is_plain(w, i + 1)) return false;
    return strspn(w->at[i], "0123456789.") >= w->len[i];
}

/* "2 m": "2m". */
static bool unit(ag_str *out, const words *w, ag_rng *rng)
{
    return glue(out, w, rng, number_before_unit);
}

/* The first word last: "cable usb 2 m". A word that leads to the next one ("for") must stay before it. */
static bool reordered(ag_str *out, const words *w, ag_rng *rng)
{
    (void)rng;
    if (w->count < 2) return false;
    for (int i = 0; i + 1 < w->count; i++)
        if (w->len[i] <= 3 && is_plain(w, i)) return false; /* "for", "not" */
    for (int i = 1; i < w->count; i++) put(out, w, i);
    put(out, w, 0);
    return true;
}

ag_status ag_synth_disturb(const char **text, const char **name, bool order, ag_rng *rng, ag_arena *arena,
                           ag_error *err)
{
    static const struct {
        const char *name;
        bool (*apply)(ag_str *out, const words *w, ag_rng *rng);
    } kinds[] = {{"typo", typo},     {"joined", joined}, {"split", split},
                 {"plural", plural}, {"unit", unit},     {"order", reordered}};
    enum { KINDS = sizeof kinds / sizeof *kinds };
    words w = cut(*text);
    ag_str out = {0};
    ag_status status = AG_OK;
    *name = NULL;
    uint32_t start = ag_rng_below(rng, KINDS);
    for (uint32_t i = 0; i < KINDS && !*name; i++) {
        ag_str_clear(&out);
        uint32_t k = (start + i) % KINDS;
        if ((order || kinds[k].apply != reordered) && kinds[k].apply(&out, &w, rng)) *name = kinds[k].name;
    }
    if (*name && (status = ag_str_ok(&out, err)) == AG_OK &&
        !(*text = ag_arena_strdup(arena, ag_str_text(&out))))
        status = ag_fail_memory(err, "query");
    ag_str_free(&out);
    return status;
}
