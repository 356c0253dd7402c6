/* prompt.c: what the model reads.
 *
 * The system text depends on the book alone, and the user text begins with the query, so that a forest holds the
 * rules once and the query once for all of its items. Everything that a shopper or a seller wrote is folded into
 * one line behind a fixed label (an item's own attributes behind "- "), so that no text can pose as another line
 * of the prompt.
 */
#include "rules/prompt.h"

#include <string.h>

#include "base/mem.h"
#include "rules/prompt_item.h"
#include "rules/prompt_text.h"

void ag_prompt_defaults(ag_prompt_options *options)
{
    *options = (ag_prompt_options){
        .item_tokens = 300, .repeat_query = true, .rules = true, .mark_matches = false};
}

/* --- the system text --------------------------------------------------------------------------------------- */

static void add_instruction(ag_str *out, const ag_book *book)
{
    const char *text = book->instruction ? book->instruction : "";
    size_t n = strlen(text);
    while (n && strchr(" \t\r\n", text[n - 1])) n--;
    ag_str_addn(out, text, n);
    if (n) ag_str_add(out, "\n\n");
}

static void add_tiers(ag_str *out, const ag_book *book)
{
    ag_str_add(out, "Tiers, best first:\n");
    for (int t = 0; t < book->tier_count; t++) {
        ag_str_add(out, book->tiers[t].id);
        if (book->tiers[t].name && !ag_streq(book->tiers[t].name, book->tiers[t].id)) {
            ag_str_add(out, " = ");
            ag_prompt_fold(out, book->tiers[t].name, 0);
        }
        ag_str_addc(out, '\n');
    }
}

static void add_criteria(ag_str *out, const ag_book *book)
{
    if (book->criterion_count) ag_str_add(out, "\nCriteria and their verdicts, best first:\n");
    for (int c = 0; c < book->criterion_count; c++) {
        const ag_criterion *criterion = &book->criteria[c];
        ag_str_add(out, criterion->id);
        if (criterion->name && !ag_streq(criterion->name, criterion->id)) {
            ag_str_add(out, " (");
            ag_prompt_fold(out, criterion->name, 0);
            ag_str_addc(out, ')');
        }
        ag_str_add(out, criterion->per_asked ? ", for each requested attribute: " : ": ");
        for (int v = 0; v < criterion->verdict_count; v++) {
            if (v) ag_str_add(out, ", ");
            ag_str_add(out, criterion->verdicts[v]);
        }
        ag_str_addc(out, '\n');
    }
}

static void add_rules(ag_str *out, const ag_book *book)
{
    if (!book->rule_count) return;
    ag_str_add(
        out,
        "\nRules. Each that holds limits the tier. The worst limit is the tier; the first rule with that "
        "limit decides.\n");
    for (int r = 0; r < book->rule_count; r++) {
        const ag_rule *rule = &book->rules[r];
        bool has_text = rule->text && *rule->text;
        ag_str_addf(out, "%s, at most %s: ", rule->id, book->tiers[rule->cap].id);
        ag_prompt_fold(out, has_text ? rule->text : rule->when ? rule->when : "", 0);
        ag_str_addc(out, '\n');
    }
}

static void add_criterion_form(ag_str *out, const ag_criterion *criterion)
{
    ag_str_add(out, criterion->id);
    ag_str_add(out,
               criterion->per_asked
                   ? "=<attribute>:<verdict>;... in the order requested, or - when nothing is requested\n"
                   : "=<verdict>\n");
}

/* The lines of an answer in the book's order. */
static void add_format(ag_str *out, const ag_book *book)
{
    static const char *const lines[3][5] = {
        /* T tier, C criteria, R rule, W why */
        [AG_RESPOND_THEN_THINK] = {"T", "C", "R", "W", NULL},
        [AG_THINK_THEN_RESPOND] = {"C", "R", "W", "T", NULL},
        [AG_VERDICTS_THEN_TIER] = {"C", "R", "T", "W", NULL},
    };
    ag_str_add(out, "\nAnswer with exactly these lines and nothing else:\n");
    for (const char *const *line = lines[book->order]; *line; line++) {
        if (**line == 'T') ag_str_add(out, "<tier>\n");
        for (int c = 0; **line == 'C' && c < book->criterion_count; c++)
            add_criterion_form(out, &book->criteria[c]);
        if (**line == 'R') ag_str_add(out, "rule=<deciding rule>\n");
        if (**line == 'W' && book->why_required) {
            ag_str_addf(out, "why=<reason, one line, at most %d characters>\n", book->why_chars);
        }
    }
}

ag_status ag_prompt_system(ag_str *out, const ag_book *book, const ag_prompt_options *options, ag_error *err)
{
    add_instruction(out, book);
    add_tiers(out, book);
    add_criteria(out, book);
    if (options->rules) add_rules(out, book);
    add_format(out, book);
    ag_status status = ag_str_ok(out, err);
    if (!status) out->data[--out->len] = '\0'; /* the chat template puts its own line end */
    return status;
}

/* --- the user text ------------------------------------------------------------------------------------------ */

/* A value; quoted where its own punctuation would look like the list's; marked where `said` (not NULL) has it. */
static void add_value(ag_str *out, const char *value, const ag_word_set *said, bool english)
{
    ag_str folded = {0}, marked = {0};
    ag_prompt_fold(&folded, value, 0);
    if (said) {
        ag_prompt_mark(&marked, ag_str_text(&folded), said, english);
        ag_str_free(&folded);
        folded = marked;
    }
    const char *text = ag_str_text(&folded);
    bool quote = strpbrk(text, ",;\"") != NULL;
    if (quote) ag_str_addc(out, '"');
    for (; *text; text++) ag_str_addc(out, *text == '"' ? '\'' : *text);
    if (quote) ag_str_addc(out, '"');
    out->failed = out->failed || folded.failed;
    ag_str_free(&folded);
}

/* "Requested: colour is red (minor); material not suede (core)": rules weigh the two differently. */
static void add_asked(ag_str *out, const ag_asked *asked, const ag_word_set *said, bool english)
{
    static const char *const words[] = {[AG_OP_IS] = "is",           [AG_OP_NOT] = "not",
                                        [AG_OP_AT_MOST] = "at most", [AG_OP_AT_LEAST] = "at least",
                                        [AG_OP_BETWEEN] = "between", [AG_OP_LIKE] = "like"};
    ag_str_add(out, "Requested: ");
    if (!asked->count) ag_str_add(out, "nothing");
    for (int a = 0; a < asked->count; a++) {
        const ag_ask *ask = &asked->entries[a];
        if (a) ag_str_add(out, "; ");
        ag_str_addf(out, "%s %s ", ask->id, words[ask->op]);
        for (int v = 0; v < ask->value_count; v++) {
            if (v) ag_str_add(out, ask->op == AG_OP_BETWEEN ? " and " : ", ");
            add_value(out, ask->values[v], said, english);
        }
        ag_str_add(out, ask->core ? " (core)" : " (minor)");
    }
}

static void add_query(ag_str *out, const char *query)
{
    ag_str_add(out, "Query: ");
    ag_prompt_fold(out, query, 0);
}

/* What a pair's user text is made of, whatever of the item fits. */
typedef struct pair_parts {
    const ag_book *book;
    const ag_prompt_options *options;
    const char *query, *hint;
    const ag_asked *asked;
} pair_parts;

/* The user text around the item's kept lines. Ends without a newline. */
static void add_user(ag_str *out, const pair_parts *p, const ag_prompt_item *item)
{
    add_query(out, p->query);
    ag_str_addc(out, '\n');
    ag_prompt_item_text(item, out);
    add_asked(out, p->asked, item->marking ? &item->said : NULL, ag_book_english(p->book));
    if (p->options->repeat_query) {
        ag_str_addc(out, '\n');
        add_query(out, p->query);
    }
    if (p->hint && *p->hint) {
        ag_str_addc(out, '\n');
        ag_str_add(out, p->hint);
    }
}

static ag_status check_asked(const ag_asked *asked, ag_error *err)
{
    if (asked->source != AG_ASKED_UNKNOWN) return AG_OK;
    return ag_fail(err, AG_ERR_USAGE,
                   "what the query asks for is unknown: run the parser (ag_asked_parse) before "
                   "making a prompt");
}

static ag_status make_item(ag_prompt_item *lines, const pair_parts *p, const ag_item *item, ag_error *err)
{
    return ag_prompt_item_make(lines, p->book, item, p->asked, p->options->mark_matches ? p->query : NULL,
                               err);
}

ag_status ag_prompt_text(ag_str *out, const ag_book *book, const ag_prompt_options *options,
                         const char *query, const ag_item *item, const ag_asked *asked, const char *hint,
                         ag_error *err)
{
    const pair_parts parts = {book, options, query, hint, asked};
    ag_prompt_item lines = {0};
    ag_status status = check_asked(asked, err);
    if (!status) status = make_item(&lines, &parts, item, err);
    if (!status) status = ag_prompt_system(out, book, options, err);
    if (!status) {
        ag_str_add(out, "\n\n");
        add_user(out, &parts, &lines);
        ag_str_addc(out, '\n');
        status = ag_str_ok(out, err);
    }
    ag_prompt_item_free(&lines);
    return status;
}

/* --- tokens ------------------------------------------------------------------------------------------------- */

/* What all tries of one prompt share. */
typedef struct maker {
    const ag_tokenizer *tokenizer;
    pair_parts parts;
    ag_str system;
} maker;

/* The whole prompt with the item's kept lines, as tokens in *ids (emptied first). */
static ag_status encode_once(const maker *m, const ag_prompt_item *item, ag_tokens *ids, ag_error *err)
{
    ag_str user = {0};
    add_user(&user, &m->parts, item);
    ids->len = 0;
    ag_status status = ag_str_ok(&user, err);
    if (!status) {
        status = ag_chat_prompt(m->tokenizer, m->parts.options->chat, m->system.data, m->system.len,
                                user.data, user.len, ids, err);
    }
    ag_str_free(&user);
    return status;
}

static ag_status fail_too_long(const maker *m, size_t tokens, ag_error *err)
{
    return ag_fail(
        err, AG_ERR_INPUT,
        "the prompt needs %zu tokens without cutting rules, query or requested attributes, and at most %d "
        "are allowed: raise the limit or shorten the query",
        tokens, m->parts.options->max_tokens);
}

/* Fits the item into its budget, then, while the whole is too long, into a smaller one. */
static ag_status encode_within(const maker *m, ag_prompt_item *lines, ag_tokens *ids, ag_error *err)
{
    int budget = m->parts.options->item_tokens, limit = m->parts.options->max_tokens;
    ag_status status = AG_OK;
    for (;;) {
        status = ag_prompt_item_fit(lines, m->tokenizer, budget, err);
        if (!status) status = encode_once(m, lines, ids, err);
        if (status || limit <= 0 || ids->len <= (size_t)limit) break;
        int kept = ag_prompt_item_tokens(lines), excess = (int)(ids->len - (size_t)limit);
        if (budget <= 0 || kept <= 0) {
            status = fail_too_long(m, ids->len, err);
            break;
        }
        budget = kept < budget ? kept - excess : budget - excess;
        if (budget < 0) budget = 0;
    }
    return status;
}

ag_status ag_prompt_encode(ag_tokens *out, const ag_book *book, const ag_tokenizer *tokenizer,
                           const ag_prompt_options *options, const char *query, const ag_item *item,
                           const ag_asked *asked, const char *hint, ag_prompt_loss *loss, ag_error *err)
{
    maker m = {.tokenizer = tokenizer, .parts = {book, options, query, NULL, asked}};
    ag_prompt_item lines = {0};
    ag_tokens ids = {0};
    ag_status status = check_asked(asked, err);
    if (!status) status = ag_prompt_system(&m.system, book, options, err);
    if (!status) status = make_item(&lines, &m.parts, item, err);
    if (!status) status = ag_prompt_item_measure(&lines, tokenizer, err);
    if (!status) status = encode_within(&m, &lines, &ids, err);
    if (!status && hint) { /* behind the plain prompt: it has room of its own, and takes none from the item */
        m.parts.hint = hint;
        status = encode_once(&m, &lines, &ids, err);
    }
    if (!status) status = ag_tokens_add(out, ids.ids, ids.len, err);
    if (!status && loss) ag_prompt_item_loss(&lines, loss);
    ag_tokens_free(&ids);
    ag_prompt_item_free(&lines);
    ag_str_free(&m.system);
    return status;
}
