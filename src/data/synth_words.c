/* synth_words.c: how a request is worded: "not suede", "leather-free", "at least 1.5 l", "for my Zelo 5". The phrases
 * are those of the facts file, which the parser reads by, so a file in another language makes queries in it.
 */
#include "data/synth_parts.h"

#include <string.h>

static bool chance(ag_rng *rng, double p)
{
    return ag_rng_double(rng) < p;
}

const char *ag_synth_phrase(const ag_shelf *shelf, ag_rng *rng, const char *kind, const char *otherwise)
{
    int n;
    const char *const *list = ag_facts_phrases(shelf->facts, kind, &n);
    return n ? list[ag_rng_below(rng, (uint32_t)n)] : otherwise;
}

/* A value that means nothing without its attribute's name: a size, a bare number. */
static bool bare(const char *value)
{
    size_t n = strlen(value), digits = strspn(value, "0123456789.");
    return digits == n || n <= 2;
}

static void word_is(ag_str *out, ag_wish *w, const ag_shelf *shelf, ag_rng *rng)
{
    const char *value = w->values[0];
    bool compatibility = strcmp(w->name, ag_facts_compatibility(shelf->facts)) == 0;
    bool number = ag_book_attribute(shelf->book, w->name)->compare == AG_COMPARE_NUMBER;
    if (number && bare(value)) {
        ag_str_addf(out, "%s of %s", w->name, value);
    } else if (bare(value)) {
        ag_str_addf(out, "%s %s", w->name, value);
    } else if (compatibility) {
        if ((w->before = chance(rng, 0.25)))
            ag_str_add(out, value);
        else
            ag_str_addf(out, "%s %s", ag_synth_phrase(shelf, rng, "fits", ""), value);
    } else if (strcmp(w->name, "for") == 0 && chance(rng, 0.5)) {
        ag_str_addf(out, "for %s", value);
    } else if (strcmp(w->name, "brand") == 0 && chance(rng, 0.2)) {
        ag_str_addf(out, "by %s", value);
    } else if (number && chance(rng, 0.4)) {
        ag_str_addf(out, "with %s", value);
    } else if (chance(rng, 0.12)) {
        ag_str_addf(out, "in %s", value);
    } else {
        w->before = true;
        ag_str_add(out, value);
    }
}

static void word_not(ag_str *out, ag_wish *w, const ag_shelf *shelf, ag_rng *rng)
{
    const char *after = ag_synth_phrase(shelf, rng, "not_after", NULL);
    bool brand = strcmp(w->name, "brand") == 0;
    if (after && !brand && !bare(w->values[0]) && chance(rng, 0.15)) {
        w->before = true;
        ag_str_addf(out, "%s-%s", w->values[0], after);
        return;
    }
    const char *phrase = ag_synth_phrase(shelf, rng, "not", "not");
    if (bare(w->values[0]))
        ag_str_addf(out, "%s %s %s", phrase, w->name, w->values[0]);
    else
        ag_str_addf(out, "%s %s", phrase, w->values[0]);
}

/* Bounds of prices need no unit; other bare numbers need the attribute's name. */
static void word_bound(ag_str *out, const ag_wish *w, const ag_shelf *shelf, ag_rng *rng)
{
    static const char *const kinds[] = {[AG_OP_AT_MOST] = "at_most", [AG_OP_AT_LEAST] = "at_least"};
    bool price = strcmp(w->name, "price") == 0;
    if (!price && bare(w->values[0])) ag_str_addf(out, "%s of ", w->name);
    if (w->op == AG_OP_BETWEEN) {
        const char *opener = ag_synth_phrase(shelf, rng, "between", "between");
        const char *join = strcmp(opener, "between") == 0 ? "and" : "to";
        ag_str_addf(out, "%s %s %s %s", opener, w->values[0], join, w->values[1]);
    } else if (!price && chance(rng, 0.15)) {
        ag_str_addf(
            out, "%s %s", w->values[0],
            ag_synth_phrase(shelf, rng, w->op == AG_OP_AT_MOST ? "at_most_after" : "at_least_after", ""));
    } else {
        ag_str_addf(out, "%s %s", ag_synth_phrase(shelf, rng, kinds[w->op], ""), w->values[0]);
    }
}

static void word_like(ag_str *out, ag_wish *w, const ag_shelf *shelf, ag_rng *rng)
{
    const char *phrase = ag_synth_phrase(shelf, rng, "like", "like");
    w->before = chance(rng, 0.5);
    ag_str_addf(out, "%s %s", phrase, w->values[0]);
    w->cheaper = strstr(phrase, "cheap") == NULL;
}

ag_status ag_synth_word_wish(ag_wish *w, const ag_shelf *shelf, ag_rng *rng, ag_arena *arena, ag_error *err)
{
    ag_str out = {0};
    w->before = false;
    switch (w->op) {
    case AG_OP_IS: word_is(&out, w, shelf, rng); break;
    case AG_OP_NOT: word_not(&out, w, shelf, rng); break;
    case AG_OP_LIKE: word_like(&out, w, shelf, rng); break;
    default: word_bound(&out, w, shelf, rng); break;
    }
    ag_status status = ag_str_ok(&out, err);
    if (status == AG_OK && !(w->text = ag_arena_strdup(arena, ag_str_text(&out))))
        status = ag_fail_memory(err, "query");
    ag_str_free(&out);
    return status;
}
