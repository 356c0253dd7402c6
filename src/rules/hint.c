/* hint.c: guidance by level (METHOD.md section 7), and whether it gives the tier away.
 *
 * A hint is lines behind fixed words, the first of them "Hint:". What the item says is quoted, shortened and folded
 * into one line, so that a seller's text cannot pose as a verdict. Whether a hint reveals the tier is computed from
 * the rules and not from the level: the verdict of one criterion may decide everything, and five may decide nothing.
 */
#include "rules/prompt.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/rng.h"
#include "rules/answer.h"
#include "rules/prompt_text.h"

enum {
    EVIDENCE_CHARS = 120,
    EXACT_POINTS = 200000, /* completions that are enumerated; past that they are sampled */
    SAMPLED_POINTS = 20000
};

typedef struct hint {
    const ag_book *book;
    const ag_item *item;
    const ag_asked *asked;
    const ag_gold *gold;
    const ag_hint_fields *fields;
} hint;

/* --- fields ------------------------------------------------------------------------------------------------- */

static int entries_of(const hint *h, int c)
{
    return h->book->criteria[c].per_asked ? h->asked->count : 1;
}

/* A field is pointed at when it was wrong and gold knows what is right. */
static bool pointed(const hint *h, int c, int a)
{
    return h->fields->wrong[c][a] && h->gold->verdicts.v[c][a] >= 0;
}

static void add_quoted(ag_str *out, const ag_str *raw)
{
    ag_str_addc(out, '"');
    for (size_t i = 0; i < raw->len; i++) ag_str_addc(out, raw->data[i] == '"' ? '\'' : raw->data[i]);
    ag_str_addc(out, '"');
    out->failed = out->failed || raw->failed;
}

/* The first thing that the item says under one of these names, best fields first. */
static bool find_evidence(ag_str *raw, const ag_item *item, const char *const *names, int count)
{
    for (int i = 0; i < count; i++) {
        if (ag_prompt_fixed_field(raw, item, names[i], EVIDENCE_CHARS)) return true;
        for (int f = 0; f < item->field_count; f++) {
            if (strcasecmp(item->fields[f].name, names[i]) != 0) continue;
            ag_prompt_field_values(raw, &item->fields[f], EVIDENCE_CHARS);
            return true;
        }
    }
    return false;
}

static bool attribute_evidence(const hint *h, ag_str *raw, const ag_ask *ask)
{
    const ag_attribute *attribute = ag_book_attribute(h->book, ask->name);
    if (!attribute || !attribute->field_count) {
        if (find_evidence(raw, h->item, &ask->name, 1)) return true;
    } else if (find_evidence(raw, h->item, attribute->fields, attribute->field_count)) {
        return true;
    }
    return attribute && find_evidence(raw, h->item, attribute->weak_fields, attribute->weak_count);
}

/* What the item says of the field, quoted; false when the book does not say where to look. */
static bool add_evidence(const hint *h, ag_str *out, int c, int a)
{
    static const char *const category[] = {"category", "title"};
    const ag_criterion *criterion = &h->book->criteria[c];
    ag_str raw = {0};
    bool found = false, known = true;
    if (criterion->from == AG_FROM_CATEGORY) {
        found = find_evidence(&raw, h->item, category, 2);
    } else if (criterion->from == AG_FROM_ATTRIBUTE && criterion->per_asked) {
        found = attribute_evidence(h, &raw, &h->asked->entries[a]);
    } else {
        known = false;
    }
    if (found) {
        add_quoted(out, &raw);
    } else if (known) {
        ag_str_add(out, "not stated");
    }
    ag_str_free(&raw);
    return known;
}

/* --- text ---------------------------------------------------------------------------------------------------- */

static void add_field_name(const hint *h, ag_str *out, int c, int a)
{
    ag_str_add(out, h->book->criteria[c].id);
    if (h->book->criteria[c].per_asked) ag_str_addf(out, " %s", h->asked->entries[a].id);
}

static bool write_name(const hint *h, ag_str *out, int c, int a)
{
    add_field_name(h, out, c, a);
    return true;
}

static bool write_evidence(const hint *h, ag_str *out, int c, int a)
{
    add_field_name(h, out, c, a);
    ag_str_addc(out, ' ');
    return add_evidence(h, out, c, a);
}

static bool write_verdict(const hint *h, ag_str *out, int c, int a)
{
    const ag_criterion *criterion = &h->book->criteria[c];
    ag_str_addf(out, "%s=", criterion->id);
    if (criterion->per_asked) ag_str_addf(out, "%s:", h->asked->entries[a].id);
    ag_str_add(out, criterion->verdicts[h->gold->verdicts.v[c][a]]);
    return true;
}

/* One line about every field pointed at, "<label>x; y"; nothing when write has nothing to say of any. */
static void add_fields(const hint *h, ag_str *out, const char *label,
                       bool (*write)(const hint *, ag_str *, int, int))
{
    const char *before = label;
    for (int c = 0; c < h->book->criterion_count; c++) {
        for (int a = 0; a < entries_of(h, c); a++) {
            if (!pointed(h, c, a)) continue;
            ag_str one = {0};
            if (write(h, &one, c, a)) {
                ag_str_add(out, before);
                ag_str_addn(out, ag_str_text(&one), one.len);
                before = "; ";
            }
            out->failed = out->failed || one.failed;
            ag_str_free(&one);
        }
    }
}

static bool has_full_answer(const hint *h)
{
    const ag_gold *gold = h->gold;
    return gold->tier >= 0 && gold->rule >= 0 && ag_verdicts_complete(h->book, h->asked, &gold->verdicts);
}

void ag_hint_rule(ag_str *out, const ag_book *book, const char *id, int cap, const char *text)
{
    ag_str_addf(out, "%s\nRule: %s, at most %s: ", out->len ? "" : "Hint:", id, book->tiers[cap].id);
    ag_prompt_fold(out, text, 0);
}

const char *ag_hint_rule_text(const ag_rule *rule)
{
    return rule->text && *rule->text ? rule->text : rule->when ? rule->when : "";
}

static void add_rule(const hint *h, ag_str *out)
{
    const ag_rule *rule = &h->book->rules[h->gold->rule];
    ag_hint_rule(out, h->book, rule->id, rule->cap, ag_hint_rule_text(rule));
}

static ag_status add_answer(const hint *h, ag_str *out, ag_error *err)
{
    ag_answer answer = {.tier = h->gold->tier, .rule = h->gold->rule, .verdicts = h->gold->verdicts};
    if (h->book->why_required && h->gold->why) {
        answer.why = h->gold->why;
        answer.why_len = strlen(h->gold->why);
    }
    ag_str_add(out, "\nAnswer:\n");
    return ag_answer_render(out, h->book, h->asked, &answer, err);
}

/* The whole text of a level; empty where there is nothing to say. */
static ag_status compose(const hint *h, ag_str *out, int level, ag_error *err)
{
    ag_status status = AG_OK;
    if (level >= 1) add_fields(h, out, "Hint: check ", write_name);
    if (level >= 2) add_fields(h, out, "\nEvidence: ", write_evidence);
    if (level >= 3) add_fields(h, out, "\nVerdicts: ", write_verdict);
    if (level >= 4 && h->gold->rule >= 0) add_rule(h, out);
    if (level >= 5 && has_full_answer(h))
        status = add_answer(h, out, err);
    else if (level >= 5 && h->gold->tier >= 0) /* all that is known of most pairs that people rated */
        ag_str_addf(out, "%s\nTier: %s", out->len ? "" : "Hint:", h->book->tiers[h->gold->tier].id);
    return status ? status : ag_str_ok(out, err);
}

/* --- does it reveal the tier? --------------------------------------------------------------------------------- */

/* A verdict that the hint leaves open. */
typedef struct slot {
    int criterion, asked, count;
} slot;

static int open_slots(const hint *h, int level, slot *slots, ag_verdicts *point)
{
    int n = 0;
    ag_verdicts_clear(point);
    for (int c = 0; c < h->book->criterion_count; c++) {
        for (int a = 0; a < entries_of(h, c); a++) {
            bool known = level >= 3 && pointed(h, c, a);
            point->v[c][a] = known ? h->gold->verdicts.v[c][a] : 0;
            if (!known) slots[n++] = (slot){c, a, h->book->criteria[c].verdict_count};
        }
    }
    return n;
}

/* Is the derived tier of this point the one seen so far? */
static bool same_tier(const hint *h, const ag_verdicts *point, int *seen)
{
    int tier, rule;
    ag_derive(h->book, h->asked, point, &tier, &rule);
    if (*seen < 0) *seen = tier;
    return tier == *seen;
}

static bool one_tier_exact(const hint *h, const slot *slots, int n, ag_verdicts *point)
{
    int seen = -1;
    for (;;) {
        int i = 0;
        if (!same_tier(h, point, &seen)) return false;
        /* The next point, as an odometer. */
        for (; i < n; i++) {
            int8_t *v = &point->v[slots[i].criterion][slots[i].asked];
            if (++*v < slots[i].count) break;
            *v = 0;
        }
        if (i == n) return true;
    }
}

/* All best, all worst, each alone worst, then random points. A second tier proves that nothing is revealed; without one
 * the hint counts as revealing, which is the careful side (the plain prompt is trained). */
static bool one_tier_sampled(const hint *h, const slot *slots, int n, ag_verdicts *point)
{
    int seen = -1;
    ag_rng rng = ag_rng_at(0, AG_RNG_HINT, (uint64_t)n, 0, 0, 0);
    if (!same_tier(h, point, &seen)) return false;
    for (int i = 0; i < n; i++) {
        int8_t *v = &point->v[slots[i].criterion][slots[i].asked];
        *v = (int8_t)(slots[i].count - 1);
        bool same = same_tier(h, point, &seen);
        *v = 0;
        if (!same) return false;
    }
    for (int k = 0; k <= SAMPLED_POINTS; k++) {
        for (int i = 0; i < n; i++) {
            uint32_t count = (uint32_t)slots[i].count;
            point->v[slots[i].criterion][slots[i].asked] = (int8_t)(k ? ag_rng_below(&rng, count)
                                                                      : count - 1);
        }
        if (!same_tier(h, point, &seen)) return false;
    }
    return true;
}

static ag_status find_reveals(const hint *h, int level, bool *reveals, ag_error *err)
{
    ag_verdicts point;
    if (level >= 4) { /* the rule is in the text, and its cap is the tier; or the tier itself */
        *reveals = true;
        return AG_OK;
    }
    slot *slots = ag_calloc(AG_MAX_CRITERIA * AG_MAX_ASKED, sizeof *slots);
    if (!slots) return ag_fail_memory(err, "hint");
    int n = open_slots(h, level, slots, &point);
    double points = 1;
    for (int i = 0; i < n; i++) points *= slots[i].count;
    *reveals = points <= EXACT_POINTS ? one_tier_exact(h, slots, n, &point)
                                      : one_tier_sampled(h, slots, n, &point);
    ag_free(slots);
    return AG_OK;
}

ag_status ag_hint_build(ag_str *out, bool *reveals, const ag_book *book, const ag_item *item,
                        const ag_asked *asked, const ag_gold *gold, const ag_hint_fields *fields, int level,
                        ag_error *err)
{
    hint h = {book, item, asked, gold, fields};
    ag_str text = {0}, below = {0};
    *reveals = false;
    ag_status status = compose(&h, &text, level, err);
    if (!status) status = compose(&h, &below, level - 1, err);
    if (status || !text.len || ag_streq(ag_str_text(&text), ag_str_text(&below))) goto out;
    status = find_reveals(&h, level, reveals, err);
    if (status) goto out;
    ag_str_addn(out, text.data, text.len);
    status = ag_str_ok(out, err);
out:
    ag_str_free(&text);
    ag_str_free(&below);
    return status;
}

/* --- leaks ---------------------------------------------------------------------------------------------------- */

/* Case-insensitive search (ASCII) in text that is not NUL terminated. */
static bool contains(const char *text, size_t len, const char *word, size_t n)
{
    for (size_t i = 0; n && i + n <= len; i++) {
        if (!strncasecmp(text + i, word, n)) return true;
    }
    return false;
}

bool ag_hint_leaks(const char *hint_text, const char *answer, size_t len)
{
    /* Words of the hint's form that no reason about an item needs. */
    static const char *const markers[] = {"hint:",     "the hint",  "a hint says", "hinted",
                                          "evidence:", "verdicts:", "answer:",     "tier:"};
    enum { PHRASE = 12 }; /* shorter lines are too common to count as copied */
    if (!hint_text || !*hint_text) return false;
    for (size_t i = 0; i < sizeof markers / sizeof *markers; i++) {
        if (contains(answer, len, markers[i], strlen(markers[i]))) return true;
    }
    /* Any line of the hint but those of the answer that it gives, without its label. */
    for (const char *line = hint_text; line && *line; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        size_t n = strcspn(line, "\n");
        if (n == strlen("Answer:") && !strncmp(line, "Answer:", n)) break;
        const char *text = memchr(line, ' ', n);
        if (!text) continue;
        n -= (size_t)(text + 1 - line);
        if (n >= PHRASE && contains(answer, len, text + 1, n)) return true;
    }
    return false;
}
