/* prompt_item.h: an item as lines of a prompt, and which of them fit into a budget of tokens. Internal to src/rules. */
#ifndef AG_RULES_PROMPT_ITEM_H
#define AG_RULES_PROMPT_ITEM_H

#include "rules/prompt.h"
#include "rules/prompt_text.h"

typedef enum ag_line_kind {
    AG_LINE_TITLE,
    AG_LINE_BRAND,
    AG_LINE_CATEGORY,
    AG_LINE_ATTRIBUTE,
    AG_LINE_PRICE,
    AG_LINE_DESCRIPTION
} ag_line_kind;

typedef struct ag_prompt_line {
    ag_line_kind kind;
    size_t at, len;  /* in text, without the newline */
    size_t label;    /* bytes that are never cut ("Item: ") */
    size_t kept;     /* bytes that fit; 0: the line is dropped */
    int tokens;      /* of the whole line and its newline, tokenised alone */
    int kept_tokens; /* of what is kept */
} ag_prompt_line;

typedef struct ag_prompt_item {
    ag_str text;
    ag_prompt_line *lines;
    size_t count, cap;
    bool marking;            /* words that the other side has are marked (ag_prompt_options.mark_matches) */
    ag_word_set query, said; /* when marking: words of the query; words of the item */
} ag_prompt_item;

/* All lines, whole. `query` (may be NULL) marks words. */
ag_status ag_prompt_item_make(ag_prompt_item *item, const ag_book *book, const ag_item *from,
                              const ag_asked *asked, const char *query, ag_error *err);
void ag_prompt_item_free(ag_prompt_item *item);
/* Counts the tokens of each line; before fit. */
ag_status ag_prompt_item_measure(ag_prompt_item *item, const ag_tokenizer *tokenizer, ag_error *err);
/* Keeps what fits: description text goes first, then attributes from the end, then category, brand and title are cut.
 * Labels and the price stay whatever the budget. */
ag_status ag_prompt_item_fit(ag_prompt_item *item, const ag_tokenizer *tokenizer, int budget, ag_error *err);
/* Tokens of what could still go. */
int ag_prompt_item_tokens(const ag_prompt_item *item);
/* The kept lines, each with a newline. */
void ag_prompt_item_text(const ag_prompt_item *item, ag_str *out);
void ag_prompt_item_loss(const ag_prompt_item *item, ag_prompt_loss *loss);

#endif
