/* prompt_text.c: one-line text out of whatever was typed, and an item's fields by name. See prompt_text.h. */
#include "rules/prompt_text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/mem.h"

/* White space and anything that a reader or a tokenizer could take for the end of a line. */
static bool is_blank(uint32_t c)
{
    return c <= 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

void ag_prompt_fold(ag_str *out, const char *text, size_t chars)
{
    size_t n = strlen(text), at = 0, written = 0;
    bool gap = false;
    while (at < n) {
        char utf8[4];
        uint32_t c = ag_utf8_next(text, n, &at);
        if (is_blank(c)) {
            gap = written > 0;
            continue;
        }
        if (chars && written >= chars) {
            ag_str_add(out, "...");
            return;
        }
        if (gap) ag_str_addc(out, ' ');
        ag_str_addn(out, utf8, (size_t)ag_utf8_put(c, utf8));
        written += gap ? 2 : 1;
        gap = false;
    }
}

/* --- marks ------------------------------------------------------------------------------------------------- */

static int compare_words(const void *pa, const void *pb)
{
    const ag_word_ref *a = pa, *b = pb;
    int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

ag_status ag_word_set_make(ag_word_set *set, const char *text, bool english, ag_error *err)
{
    AG_TRY(ag_words_split(&set->words, text, english, err));
    size_t n = set->words.count;
    if (!(set->sorted = ag_calloc(n, sizeof *set->sorted))) return ag_fail_memory(err, "words");
    for (size_t i = 0; i < n; i++)
        set->sorted[i].text = ag_words_slice(&set->words, i, 1, &set->sorted[i].len);
    if (n) qsort(set->sorted, n, sizeof *set->sorted, compare_words);
    set->count = n;
    return AG_OK;
}

void ag_word_set_free(ag_word_set *set)
{
    ag_words_free(&set->words);
    ag_free(set->sorted);
    *set = (ag_word_set){0};
}

/* Does the run hold a word, and nothing but words that `words` has too? */
static bool shared_run(ag_words *run, const char *text, const ag_word_set *words, bool english, bool *failed)
{
    *failed = *failed || ag_words_split(run, text, english, NULL) != AG_OK;
    bool any = false;
    for (size_t i = 0; i < run->count && !*failed; i++) {
        size_t len;
        const char *slice = ag_words_slice(run, i, 1, &len);
        const ag_word_ref word = {slice, len};
        if (run->items[i].currency) continue;
        if (!words->count || !bsearch(&word, words->sorted, words->count, sizeof word, compare_words))
            return false;
        any = true;
    }
    return any;
}

void ag_prompt_unmarked(ag_str *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] != AG_PROMPT_MARK) ag_str_addc(out, text[i]);
}

void ag_prompt_mark(ag_str *out, const char *text, const ag_word_set *words, bool english)
{
    ag_words run_words = {0};
    ag_str run = {0};
    while (*text && !out->failed) {
        size_t len = strcspn(text, " ");
        ag_str_clear(&run);
        ag_prompt_unmarked(&run, text, len);
        text += len + (text[len] == ' ');
        size_t closing = run.len;
        if (run.len == 0 && len > 0) continue; /* nothing but marks: its blank goes with it */
        while (closing && strchr(",.;:!?)]\"'", run.data[closing - 1])) closing--;
        bool shared = run.len && shared_run(&run_words, run.data, words, english, &out->failed);
        ag_str_addn(out, ag_str_text(&run), closing);
        if (shared) ag_str_addc(out, AG_PROMPT_MARK);
        ag_str_add(out, ag_str_text(&run) + closing);
        if (*text) ag_str_addc(out, ' ');
        out->failed = out->failed || run.failed;
    }
    ag_str_free(&run);
    ag_words_free(&run_words);
}

bool ag_prompt_field_matches(const ag_book *book, const ag_ask *ask, const char *field)
{
    const ag_attribute *attribute = ag_book_attribute(book, ask->name);
    for (int i = 0; attribute && i < attribute->field_count; i++) {
        if (!strcasecmp(attribute->fields[i], field)) return true;
    }
    for (int i = 0; attribute && i < attribute->weak_count; i++) {
        if (!strcasecmp(attribute->weak_fields[i], field)) return true;
    }
    return (!attribute || !attribute->field_count) && !strcasecmp(ask->name, field);
}

void ag_prompt_field_values(ag_str *out, const ag_field *field, size_t chars)
{
    for (int v = 0; v < field->count; v++) {
        if (v) ag_str_add(out, ", ");
        ag_prompt_fold(out, field->values[v], chars);
    }
}

bool ag_prompt_fixed_field(ag_str *out, const ag_item *item, const char *name, size_t chars)
{
    const struct {
        const char *name, *text;
    } fixed[] = {{"title", item->title},
                 {"brand", item->brand},
                 {"category", item->category},
                 {"description", item->description}};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        if (strcasecmp(fixed[i].name, name) != 0 || !fixed[i].text) continue;
        ag_prompt_fold(out, fixed[i].text, chars);
        return true;
    }
    if (strcasecmp(name, "price") != 0 || !item->has_price) return false;
    ag_json_number(out, item->price);
    return true;
}
