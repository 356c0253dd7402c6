/* facts_kind.c: the kind of an item from its texts; see facts_kind.h. */
#include "rules/facts_kind.h"

#include <string.h>

#include "rules/compare.h"
#include "rules/facts_table.h"

enum { NAME_WORDS = 5, NOTHING = -1, VAGUE = -2 };

typedef struct scan {
    const ag_facts *f;
    ag_words words;
    ag_str scratch, brand; /* brand: its words */
    size_t start, end;     /* the words of the name that was found last */
    ag_error *err;
} scan;

const char ag_any_kind[] = "*";

const char *ag_item_kind(const ag_item *item)
{
    return item->category && *item->category ? item->category : item->kind;
}

static bool in_set(const scan *s, const ag_map *set, size_t word)
{
    const ag_word *w = &s->words.items[word];
    return ag_map_get(set, s->words.text.data + w->at, w->len) >= 0;
}

/* What stands between two words as written: does it part them (a comma, a bracket, a dash with spaces)? */
static bool parted(const scan *s, size_t word)
{
    const ag_word *w = &s->words.items[word - 1];
    size_t from = w->raw_at + w->raw_len, to = s->words.items[word].raw_at;
    const char *raw = s->words.raw.data;
    for (size_t i = from; i < to; i++) {
        if (strchr(",;:()|", raw[i])) return true;
        if (raw[i] == '-' && to - from > 1) return true;
        if ((unsigned char)raw[i] == 0xE2 && to - from > 3) return true; /* a long dash between spaces */
    }
    return false;
}

/* Two names side by side that stand for two things: "keyboard + mouse", "keyboard and mouse". */
static bool joined(const scan *s, size_t end, size_t start)
{
    const ag_word *a = &s->words.items[end - 1], *b = &s->words.items[start];
    if (start == end + 1) {
        const ag_word *w = &s->words.items[end];
        int bits = ag_map_get(&s->f->phrases, s->words.text.data + w->at, w->len);
        return bits > 0 && (bits & (1 << AG_PHRASE_JOIN));
    }
    for (size_t i = a->raw_at + a->raw_len; start == end && i < b->raw_at; i++)
        if (s->words.raw.data[i] == '+' || s->words.raw.data[i] == '&') return true;
    return false;
}

/* Does the word turn to something else ("for", "with")? One letter does only before a slash: "w/ stand", not "300 W". */
static bool turns_aside(const scan *s, size_t word)
{
    const ag_word *w = &s->words.items[word];
    if (!in_set(s, &s->f->aside, word)) return false;
    return w->raw_len > 1 || s->words.raw.data[w->raw_at + w->raw_len] == '/';
}

/* Is the word a quantity of the number before it: "2 pc(s)", "500 pcs", "3-pack"? */
static bool counted(const scan *s, size_t word, int name)
{
    if (word == 0 || !s->words.items[word - 1].number) return false;
    const ag_word *w = &s->words.items[word], *number = w - 1;
    const char *raw = s->words.raw.data;
    size_t gap = w->raw_at - number->raw_at - number->raw_len, end = w->raw_at + w->raw_len;
    if (strncmp(raw + end, "(s)", 3) == 0) return true;
    bool plural = w->len < w->raw_len, glued = gap == 0 || (gap == 1 && raw[w->raw_at - 1] == '-');
    return name == VAGUE && (plural || glued);
}

static int any_name(const ag_facts *f, const char *text, size_t len)
{
    int index = ag_map_get(&f->category_index, text, len);
    return index >= 0 ? index : ag_map_get(&f->only_titles, text, len);
}

/* The category that a title means by a name, or -1. */
static int title_name(const ag_facts *f, const char *text, size_t len)
{
    return ag_map_get(&f->only_queries, text, len) >= 0 ? -1 : any_name(f, text, len);
}

/* The category that the longest name at `word` means, or NOTHING; *n its words. A vague word says nothing alone, even
 * where it is a name for queries ("pc"). */
static int name_at(const scan *s, size_t word, size_t *n)
{
    size_t most = s->words.count - word;
    if (most > NAME_WORDS) most = NAME_WORDS;
    for (*n = most; *n > 0; --*n) {
        size_t len;
        const char *text = ag_words_slice(&s->words, word, *n, &len);
        bool whole = true;
        for (size_t k = 1; k < *n && whole; k++) whole = !parted(s, word + k);
        int index = whole ? title_name(s->f, text, len) : -1;
        if (*n == 1 && in_set(s, &s->f->vague, word)) index = VAGUE;
        if (index == VAGUE || index >= 0) return *n == 1 && counted(s, word, index) ? NOTHING : index;
    }
    *n = 1;
    return NOTHING;
}

/* Names overlap ("flat panel monitor" and "monitor arm" in "flat panel monitor arm"): the later one is the thing. */
static bool overlapped(const scan *s, size_t word, size_t n)
{
    for (size_t i = word + 1; i < word + n; i++) {
        size_t words;
        if (name_at(s, i, &words) != NOTHING && i + words > word + n) return true;
    }
    return false;
}

/* X and Y side by side. "notebook case" is what the facts call "laptop case" when a notebook is a laptop: the category of X's own
 * name and the words of Y. "numeric keypad keyboard" says it twice, the second time more loosely: it is X. Else it is Y, and X says
 * what it is for. */
static int compound(scan *s, int x, size_t y, size_t words, int name)
{
    size_t len;
    ag_match m = {.relation = AG_REL_COUNT};
    const char *text = ag_words_slice(&s->words, y, words, &len);
    ag_str_clear(&s->scratch);
    ag_str_add(&s->scratch, s->f->categories[x].normal);
    ag_str_addc(&s->scratch, ' ');
    ag_str_addn(&s->scratch, text, len);
    int index = ag_map_get(&s->f->category_index, ag_str_text(&s->scratch), s->scratch.len);
    if (index >= 0) return index;
    const char *wanted = s->f->categories[name].name, *item = s->f->categories[x].name;
    if (ag_facts_match_category(&m, s->f, wanted, item, NULL) != AG_OK) return name;
    return m.relation == AG_REL_NARROWER || m.relation == AG_REL_SIBLING ? x : name;
}

/* The text's words. Folding makes a line's end a space, and yet it parts: so it becomes a bar first. */
static ag_status split(scan *s, const char *text)
{
    if (!strchr(text, '\n')) return ag_words_split(&s->words, text, s->f->english, s->err);
    ag_str_clear(&s->scratch);
    ag_str_add(&s->scratch, text);
    ag_status status = ag_str_ok(&s->scratch, s->err);
    for (size_t i = 0; status == AG_OK && i < s->scratch.len; i++)
        if (s->scratch.data[i] == '\n') s->scratch.data[i] = '|';
    return status == AG_OK ? ag_words_split(&s->words, s->scratch.data, s->f->english, s->err) : status;
}

/* Where the text goes on after the maker's name, which says nothing of the thing ("Case Logic", "D-Link"). */
static size_t after_brand(const scan *s)
{
    size_t n = s->brand.len > 0;
    if (n == 0 || ag_words_find(&s->words, s->brand.data, s->brand.len, 0) != 0) return 0;
    for (size_t i = 0; i < s->brand.len; i++) n += s->brand.data[i] == ' ';
    return n;
}

/* The kind that a text names: a category, VAGUE when it says that there is one without saying which, or NOTHING. `first`: only what
 * stands before anything parts counts, as in a description, which goes on with what the thing has. */
static ag_status read_text(scan *s, const char *text, bool first, int *kind)
{
    int found = NOTHING, last = NOTHING; /* last: the category of the name that ends at `end` */
    size_t n;
    bool aside = false;
    *kind = NOTHING;
    s->start = s->end = 0;
    if (!text || !*text) return AG_OK;
    ag_status status = split(s, text);
    for (size_t i = status == AG_OK ? after_brand(s) : 0; i < s->words.count && status == AG_OK; i += n) {
        n = 1;
        if (i && parted(s, i)) {
            if (found != NOTHING || first) break;
            aside = false;
            last = NOTHING;
        }
        if (turns_aside(s, i)) {
            if (found != NOTHING) break;
            aside = true;
        }
        int name = name_at(s, i, &n);
        if (n > 1 && overlapped(s, i, n)) {
            name = NOTHING;
            n = 1;
        }
        if (name == NOTHING && s->words.items[i].number && found != NOTHING) break;
        if (name == NOTHING || aside) continue;
        bool next_to = last >= 0 && s->end == i;
        if (last >= 0 && name >= 0 && joined(s, s->end, i))
            found = VAGUE;
        else if (next_to && name >= 0)
            found = compound(s, last, i, n, name);
        else
            found = name;
        if (!next_to || found == name) s->start = i;
        last = found;
        s->end = i + n;
    }
    *kind = found;
    return status == AG_OK ? ag_str_ok(&s->scratch, s->err) : status;
}

/* The category of a type field's value; a vague word says as little there as in a title. */
static ag_status type_name(scan *s, const char *value, int *kind)
{
    ag_str_clear(&s->scratch);
    ag_status status = ag_words_normal(&s->scratch, value, s->f->english, s->err);
    const char *text = ag_str_text(&s->scratch);
    if (status == AG_OK && ag_map_get(&s->f->vague, text, s->scratch.len) < 0)
        *kind = any_name(s->f, text, s->scratch.len);
    return status;
}

static ag_status read_type_fields(scan *s, const ag_item *item, int *kind)
{
    ag_status status = AG_OK;
    *kind = NOTHING;
    for (int t = 0; t < s->f->type_field_count && *kind < 0; t++)
        for (int i = 0; i < item->field_count && *kind < 0; i++) {
            const ag_field *field = &item->fields[i];
            if (strcmp(field->name, s->f->type_fields[t]) != 0) continue;
            for (int k = 0; k < field->count && *kind < 0 && status == AG_OK; k++)
                status = type_name(s, field->values[k], kind);
        }
    return status;
}

static ag_status read_title(scan *s, const ag_item *item, int *kind)
{
    ag_status status = item->brand ? ag_words_normal(&s->brand, item->brand, s->f->english, s->err) : AG_OK;
    return status == AG_OK ? read_text(s, item->title, false, kind) : status;
}

static void scan_free(scan *s)
{
    ag_words_free(&s->words);
    ag_str_free(&s->scratch);
    ag_str_free(&s->brand);
}

ag_status ag_facts_kind(const char **kind, const ag_facts *facts, const ag_item *item, ag_error *err)
{
    scan s = {.f = facts, .err = err};
    int index = NOTHING;
    *kind = NULL;
    if (facts->category_count == 0) return AG_OK;
    ag_status status = read_title(&s, item, &index);
    if (status == AG_OK && index == NOTHING) status = read_type_fields(&s, item, &index);
    if (status == AG_OK && index == NOTHING) status = read_text(&s, item->description, true, &index);
    if (status == AG_OK && index >= 0) *kind = facts->categories[index].name;
    scan_free(&s);
    return status;
}

ag_status ag_facts_kind_words(ag_str *name, ag_str *before, const ag_facts *facts, const ag_item *item,
                              int words, ag_error *err)
{
    scan s = {.f = facts, .err = err};
    int index = NOTHING;
    size_t len;
    ag_status status = read_title(&s, item, &index);
    if (status == AG_OK && index >= 0) {
        size_t first = s.start, from = after_brand(&s);
        for (; first > from && s.start - first < (size_t)words && !parted(&s, first); first--) {
            const ag_word *w = &s.words.items[first - 1];
            const char *raw = s.words.raw.data + w->raw_at;
            bool glued = first > 1 && w->raw_at == w[-1].raw_at + w[-1].raw_len;
            bool plain = w->raw_len > 1 && !glued && !in_set(&s, &facts->aside, first - 1);
            for (size_t i = 0; i < w->raw_len; i++) plain &= raw[i] < '0' || raw[i] > '9';
            if (!plain) break;
        }
        const char *text = ag_words_raw(&s.words, s.start, s.end - s.start, &len);
        ag_str_addn(name, text, len);
        if (first < s.start) {
            text = ag_words_raw(&s.words, first, s.start - first, &len);
            ag_str_addn(before, text, len);
        }
        status = ag_str_ok(name, err);
        if (status == AG_OK) status = ag_str_ok(before, err);
    }
    scan_free(&s);
    return status;
}

ag_status ag_facts_head(ag_str *phrase, const ag_facts *facts, const ag_map *values, const char *title,
                        int words, ag_error *err)
{
    scan s = {.f = facts, .err = err};
    ag_status status = ag_words_split(&s.words, title, facts->english, err);
    size_t end = 0, len;
    while (status == AG_OK && end < s.words.count && !(end && parted(&s, end)) &&
           !s.words.items[end].number && !in_set(&s, &facts->aside, end))
        end++;
    while (status == AG_OK && end > 0 && in_set(&s, values, end - 1)) end--;
    if (status == AG_OK && words > 0 && end >= (size_t)words && !in_set(&s, &facts->vague, end - 1)) {
        const char *text = ag_words_raw(&s.words, end - (size_t)words, (size_t)words, &len);
        ag_str_addn(phrase, text, len);
        status = ag_str_ok(phrase, err);
    }
    ag_words_free(&s.words);
    return status;
}
