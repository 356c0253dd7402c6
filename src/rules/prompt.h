/* prompt.h: what the model reads: the book as a system text, the query and item as a user text, hints.
 *
 * System: instruction, tiers, criteria with their verdicts, rules, answer format: the same for every pair of a book, so
 * that a forest holds it once. User: query, item, what is asked, the query again (METHOD.md section 2), hint last.
 */
#ifndef AG_RULES_PROMPT_H
#define AG_RULES_PROMPT_H

#include "rules/book.h"
#include "text/chat.h"
#include "text/tokenizer.h"

typedef struct ag_prompt_options {
    ag_chat chat;
    int item_tokens;   /* budget of the item (default 300) */
    int max_tokens;    /* of the whole prompt without its hint; 0: no limit beyond the item's */
    bool repeat_query; /* after the item; default true */
    bool rules;        /* the book's rules in the system text; default true */
    bool
        mark_matches; /* a * behind each word of the item that the query has, and of a request that the item has
                          (exact-match cues: Boualili et al., SIGIR 2020); default false */
} ag_prompt_options;
void ag_prompt_defaults(ag_prompt_options *options);

/* What did not fit. Rules, query and asked entries are never cut: if they alone exceed max_tokens it is AG_ERR_INPUT. */
typedef struct ag_prompt_loss {
    int description_tokens, attributes;
    int title_tokens; /* of title, brand and category: only when these alone exceed the item's budget */
} ag_prompt_loss;

ag_status ag_prompt_system(ag_str *out, const ag_book *book, const ag_prompt_options *options, ag_error *err);
/* The whole prompt as tokens, up to the start of the answer. The item is written as title, brand, category, asked
 * attributes (as given or parsed), other attributes in catalogue order, price, description; over the budget the description
 * goes first, then attributes from the end. hint: text or NULL; behind it the item is cut as it is without. loss may be NULL. asked must be given or parsed:
 * AG_ERR_USAGE while its source is unknown. */
ag_status ag_prompt_encode(ag_tokens *out, const ag_book *book, const ag_tokenizer *tokenizer,
                           const ag_prompt_options *options, const char *query, const ag_item *item,
                           const ag_asked *asked, const char *hint, ag_prompt_loss *loss, ag_error *err);
/* The same as text, for people (`agrl rules show --pair`). */
ag_status ag_prompt_text(ag_str *out, const ag_book *book, const ag_prompt_options *options,
                         const char *query, const ag_item *item, const ag_asked *asked, const char *hint,
                         ag_error *err);

/* Hints by level (METHOD.md section 7): 1 names of the fields to look at, 2 + the item's evidence quoted, 3 + their gold
 * verdicts, 4 + the deciding rule as prompts write rules, 5 + the full gold answer, or the gold tier where no more is known.
 * wrong[c][a]: the fields to point at (single criteria use a = 0). *reveals: derive over all completions of the hinted facts gives
 * one tier. Returns AG_OK with an empty text when the level has nothing to say (absent gold, or the same text as the level below). */
typedef struct ag_hint_fields {
    bool wrong[AG_MAX_CRITERIA][AG_MAX_ASKED];
} ag_hint_fields;
ag_status ag_hint_build(ag_str *out, bool *reveals, const ag_book *book, const ag_item *item,
                        const ag_asked *asked, const ag_gold *gold, const ag_hint_fields *fields, int level,
                        ag_error *err);
/* The line of a rule as level 4 writes it, behind what the hint says so far; and a rule's words there. */
void ag_hint_rule(ag_str *out, const ag_book *book, const char *id, int cap, const char *text);
const char *ag_hint_rule_text(const ag_rule *rule);
/* Does an answer's why text or form carry hint markers or a phrase of the hint? (Guided rollouts only.) */
bool ag_hint_leaks(const char *hint, const char *answer, size_t len);

#endif
