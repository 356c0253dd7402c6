/* chat_score.h: the messages of veritail (a Python program that rates search results by an LLM), so that it can ask this judge
 * unchanged: a system message with its own scale of 0 to 3, a product as a list of labelled lines, an answer in three lines.
 * The judge goes by its rulebook, not by that text; the tiers are put on the scale.
 */
#ifndef AG_SERVE_CHAT_SCORE_H
#define AG_SERVE_CHAT_SCORE_H

#include <stdbool.h>
#include "base/json.h"
#include "rules/book.h"

/* Is this veritail's own system message, with nothing added before it? */
bool ag_score_asked(const char *system);
/* {"query", "item"} of its user message (new reference); NULL when it is none, or has guidance of its own that the judge would not
 * follow. A corrected query is passed over: the product is judged by what the shopper wrote. */
json_t *ag_score_pair(const char *text);
/* SCORE, ATTRIBUTES and REASONING of a judgement (the members that ag_service_explain gives). The best tier is 3 and the worst 0;
 * ATTRIBUTES comes of the criteria that look at each requested attribute. */
void ag_score_write(ag_str *out, const ag_book *book, const json_t *judgement);

#endif
