/* prompt_item.c: an item as lines, and what of it fits into a budget. See prompt_item.h.
 *
 * A line's cost is that of its text and newline tokenised alone; pre-tokenizers split at line ends, so the sum is
 * the cost in the prompt to within a token or two, and prompt.c checks the whole again.
 */
#include "rules/prompt_item.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "rules/prompt_text.h"

/* --- lines -------------------------------------------------------------------------------------------------- */

static bool begin_line(ag_prompt_item *item, ag_line_kind kind)
{
    if (!ag_grow(&item->lines, &item->cap, item->count + 1, sizeof *item->lines)) {
        item->text.failed = true;
        return false;
    }
    item->lines[item->count++] = (ag_prompt_line){.kind = kind, .at = item->text.len};
    return true;
}

static void end_label(ag_prompt_item *item)
{
    ag_prompt_line *line = &item->lines[item->count - 1];
    line->label = item->text.len - line->at;
}

/* Ends the line; one without text after its label is taken back unless it is the title. */
static void end_line(ag_prompt_item *item)
{
    ag_prompt_line *line = &item->lines[item->count - 1];
    line->len = line->kept = item->text.len - line->at;
    if (line->len == line->label && line->kind != AG_LINE_TITLE) {
        item->text.len = line->at;
        item->count--;
    }
}

static void add_text_line(ag_prompt_item *item, ag_line_kind kind, const char *label, const char *text)
{
    if (!text || !begin_line(item, kind)) return;
    ag_str_add(&item->text, label);
    end_label(item);
    ag_prompt_fold(&item->text, text, 0);
    end_line(item);
}

static void add_attribute(ag_prompt_item *item, const ag_field *field)
{
    if (!begin_line(item, AG_LINE_ATTRIBUTE)) return;
    ag_str_add(&item->text, "- ");
    ag_prompt_fold(&item->text, field->name, 0);
    ag_str_add(&item->text, ": ");
    end_label(item);
    ag_prompt_field_values(&item->text, field, 0);
    end_line(item);
}

/* Asked attributes in the order asked, then all others in the catalogue's. */
static void add_attributes(ag_prompt_item *item, const ag_book *book, const ag_item *from,
                           const ag_asked *asked)
{
    bool *used = ag_calloc((size_t)from->field_count, sizeof *used);
    if (!used) {
        item->text.failed = true;
        return;
    }
    for (int a = 0; a < asked->count; a++) {
        for (int f = 0; f < from->field_count; f++) {
            if (used[f] || !ag_prompt_field_matches(book, &asked->entries[a], from->fields[f].name)) continue;
            add_attribute(item, &from->fields[f]);
            used[f] = true;
        }
    }
    for (int f = 0; f < from->field_count; f++) {
        if (!used[f]) add_attribute(item, &from->fields[f]);
    }
    ag_free(used);
}

/* Writes the lines again with marks behind the words that the query has, and keeps the item's own words. */
static ag_status mark_lines(ag_prompt_item *item, const char *query, bool english, ag_error *err)
{
    ag_str marked = {0}, value = {0}, values = {0};
    size_t kept = 0;
    ag_status status = ag_word_set_make(&item->query, query, english, err);
    for (size_t i = 0; i < item->count && status == AG_OK; i++) {
        ag_prompt_line line = item->lines[i];
        const char *text = item->text.data + line.at;
        ag_str_clear(&value);
        ag_str_addn(&value, text + line.label, line.len - line.label);
        ag_str_addf(&values, "%s\n", ag_str_text(&value));
        line.at = marked.len;
        ag_prompt_unmarked(&marked, text, line.label); /* an attribute's name is the seller's too */
        line.label = marked.len - line.at;
        ag_prompt_mark(&marked, ag_str_text(&value), &item->query, english);
        line.len = line.kept = marked.len - line.at;
        if (line.len > line.label || line.kind == AG_LINE_TITLE)
            item->lines[kept++] = line;
        else
            marked.len = line.at; /* nothing but marks of its own */
        status = marked.failed || value.failed ? ag_fail_memory(err, "prompt") : AG_OK;
    }
    item->count = kept;
    if (status == AG_OK) status = ag_str_ok(&values, err);
    if (status == AG_OK) status = ag_word_set_make(&item->said, ag_str_text(&values), english, err);
    ag_str_free(&item->text);
    item->text = marked;
    item->marking = true;
    ag_str_free(&value);
    ag_str_free(&values);
    return status;
}

ag_status ag_prompt_item_make(ag_prompt_item *item, const ag_book *book, const ag_item *from,
                              const ag_asked *asked, const char *query, ag_error *err)
{
    add_text_line(item, AG_LINE_TITLE, "Item: ", from->title);
    add_text_line(item, AG_LINE_BRAND, "Brand: ", from->brand);
    add_text_line(item, AG_LINE_CATEGORY, "Category: ", from->category);
    add_attributes(item, book, from, asked);
    if (from->has_price && begin_line(item, AG_LINE_PRICE)) {
        ag_str_add(&item->text, "Price: ");
        end_label(item);
        ag_json_number(&item->text, from->price);
        end_line(item);
    }
    add_text_line(item, AG_LINE_DESCRIPTION, "Description: ", from->description);
    AG_TRY(ag_str_ok(&item->text, err));
    return query ? mark_lines(item, query, ag_book_english(book), err) : AG_OK;
}

void ag_prompt_item_free(ag_prompt_item *item)
{
    ag_str_free(&item->text);
    ag_word_set_free(&item->query);
    ag_word_set_free(&item->said);
    ag_free(item->lines);
    *item = (ag_prompt_item){0};
}

void ag_prompt_item_text(const ag_prompt_item *item, ag_str *out)
{
    for (size_t i = 0; i < item->count; i++) {
        const ag_prompt_line *line = &item->lines[i];
        if (!line->kept) continue;
        ag_str_addn(out, item->text.data + line->at, line->kept);
        ag_str_addc(out, '\n');
    }
}

/* --- counting ----------------------------------------------------------------------------------------------- */

/* Tokens of the first n bytes of a line and a newline. */
static ag_status count_tokens(const ag_prompt_item *item, const ag_prompt_line *line, size_t n,
                              const ag_tokenizer *tokenizer, int *count, ag_error *err)
{
    ag_str text = {0};
    ag_tokens ids = {0};
    ag_str_addn(&text, item->text.data + line->at, n);
    ag_str_addc(&text, '\n');
    ag_status status = ag_str_ok(&text, err);
    if (!status) status = ag_tokenizer_encode(tokenizer, text.data, text.len, false, &ids, err);
    *count = (int)ids.len;
    ag_tokens_free(&ids);
    ag_str_free(&text);
    return status;
}

ag_status ag_prompt_item_measure(ag_prompt_item *item, const ag_tokenizer *tokenizer, ag_error *err)
{
    ag_status status = AG_OK;
    for (size_t i = 0; i < item->count && !status; i++) {
        ag_prompt_line *line = &item->lines[i];
        status = count_tokens(item, line, line->len, tokenizer, &line->tokens, err);
    }
    return status;
}

int ag_prompt_item_tokens(const ag_prompt_item *item)
{
    int sum = 0;
    for (size_t i = 0; i < item->count; i++) sum += item->lines[i].kept_tokens;
    return sum;
}

/* --- fitting ------------------------------------------------------------------------------------------------ */

static void drop(ag_prompt_line *line)
{
    line->kept = 0;
    line->kept_tokens = 0;
}

/* The largest place at or before n where the line may be cut: between words if a word ends near, else between
 * characters. Never inside the label. */
static size_t cut_place(const ag_prompt_item *item, const ag_prompt_line *line, size_t n)
{
    enum { WORD = 24 };
    const char *text = item->text.data + line->at;
    if (n >= line->len) return line->len;
    while (n > line->label && ((unsigned char)text[n] & 0xC0) == 0x80) n--;
    for (size_t back = 0; back < WORD && n > line->label + back; back++) {
        if (text[n - back] == ' ') return n - back;
    }
    return n > line->label ? n : line->label;
}

/* Bytes of the longest beginning of a line of about `room` tokens (newline included). Only as much text is tokenised as
 * can matter: a description may be a megabyte. */
static ag_status bytes_of_tokens(const ag_prompt_item *item, const ag_prompt_line *line,
                                 const ag_tokenizer *tokenizer, int room, size_t *bytes, ag_error *err)
{
    ag_tokens ids = {0};
    size_t most = line->label + ((size_t)room + 4) * 32, n = line->kept < most ? line->kept : most;
    ag_status status = ag_tokenizer_encode(tokenizer, item->text.data + line->at, n, false, &ids, err);
    *bytes = 0;
    for (size_t i = 0; !status && i < ids.len && i + 1 < (size_t)room; i++) {
        size_t len = 0;
        ag_tokenizer_bytes(tokenizer, ids.ids[i], &len);
        *bytes += len;
    }
    if (*bytes > n) *bytes = n;
    ag_tokens_free(&ids);
    return status;
}

/* Keeps at most `room` tokens of a line; nothing but the label when there is no room for more. */
static ag_status cut(ag_prompt_item *item, ag_prompt_line *line, const ag_tokenizer *tokenizer, int room,
                     ag_error *err)
{
    size_t n = 0;
    ag_status status = AG_OK;
    if (room >= line->kept_tokens) return AG_OK;
    if (room > 0) status = bytes_of_tokens(item, line, tokenizer, room, &n, err);
    while (!status) {
        n = cut_place(item, line, n);
        line->kept = n > line->label ? n : line->label;
        status = count_tokens(item, line, line->kept, tokenizer, &line->kept_tokens, err);
        if (line->kept_tokens <= room || line->kept == line->label) break;
        n = line->kept - 1;
    }
    return status;
}

/* The title, brand or category that has the most tokens to lose. */
static ag_prompt_line *longest_name(ag_prompt_item *item)
{
    ag_prompt_line *longest = NULL;
    for (size_t i = 0; i < item->count; i++) {
        ag_prompt_line *line = &item->lines[i];
        if (line->kind > AG_LINE_CATEGORY || line->kept <= line->label) continue;
        if (!longest || line->kept_tokens > longest->kept_tokens) longest = line;
    }
    return longest;
}

ag_status ag_prompt_item_fit(ag_prompt_item *item, const ag_tokenizer *tokenizer, int budget, ag_error *err)
{
    ag_prompt_line *last = item->count ? &item->lines[item->count - 1] : NULL, *name;
    ag_status status = AG_OK;
    for (size_t i = 0; i < item->count; i++) {
        item->lines[i].kept = item->lines[i].len;
        item->lines[i].kept_tokens = item->lines[i].tokens;
    }
    int excess = ag_prompt_item_tokens(item) - budget;
    if (excess > 0 && last && last->kind == AG_LINE_DESCRIPTION) {
        status = cut(item, last, tokenizer, last->kept_tokens - excess, err);
        if (last->kept == last->label) drop(last);
    }
    excess = ag_prompt_item_tokens(item) - budget;
    for (size_t i = item->count; i-- > 0 && excess > 0;) {
        if (item->lines[i].kind != AG_LINE_ATTRIBUTE) continue;
        excess -= item->lines[i].kept_tokens;
        drop(&item->lines[i]);
    }
    while (!status && excess > 0 && (name = longest_name(item))) {
        status = cut(item, name, tokenizer, name->kept_tokens - excess, err);
        excess = ag_prompt_item_tokens(item) - budget;
    }
    return status;
}

void ag_prompt_item_loss(const ag_prompt_item *item, ag_prompt_loss *loss)
{
    *loss = (ag_prompt_loss){0};
    for (size_t i = 0; i < item->count; i++) {
        const ag_prompt_line *line = &item->lines[i];
        int lost = line->tokens - line->kept_tokens;
        if (line->kind == AG_LINE_DESCRIPTION) loss->description_tokens += lost;
        if (line->kind == AG_LINE_ATTRIBUTE) loss->attributes += !line->kept;
        if (line->kind <= AG_LINE_CATEGORY) loss->title_tokens += lost;
    }
}
