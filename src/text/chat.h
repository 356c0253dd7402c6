/* chat.h: chat templates. A model's Jinja template is recognised, never run: it is ChatML, Llama 3 or absent;
 * anything else is an error that names the setting (`chat: chatml|llama3|none`).
 *
 * The prompt is rendered as pieces so that control tokens come from the template and never from what a shopper
 * typed: `special` pieces are tokenised with specials, the others without.
 */
#ifndef AG_TEXT_CHAT_H
#define AG_TEXT_CHAT_H

#include "text/tokenizer.h"

typedef enum ag_chat { AG_CHAT_NONE, AG_CHAT_CHATML, AG_CHAT_LLAMA3 } ag_chat;

/* By name ("chatml", "llama3", "none"), or, when name is NULL or "auto", from the tokenizer's template (no template:
 * none). AG_ERR_UNSUPPORTED for a template that is not recognised, AG_ERR_USAGE for an unknown name. */
ag_status ag_chat_choose(ag_chat *chat, const char *name, const ag_tokenizer *tokenizer, ag_error *err);
const char *ag_chat_name(ag_chat chat);

/* Appends the tokens of a conversation of one system text (may be NULL) and one user text up to and including
 * the start of the assistant's turn. system and user are plain text (specials in them are ordinary bytes).
 * `none`: system text, a newline, user text, a newline (a start token first if the tokenizer adds one).
 * ChatML without a system text adds none of its own (unlike some templates' default system lines). */
ag_status ag_chat_prompt(const ag_tokenizer *tokenizer, ag_chat chat, const char *system, size_t system_len,
                         const char *user, size_t user_len, ag_tokens *out, ag_error *err);

/* The id that ends the assistant's turn: <|im_end|>, <|eot_id|>, or the tokenizer's end token for none.
 * AG_ERR_INPUT when the vocabulary lacks it. */
ag_status ag_chat_end(const ag_tokenizer *tokenizer, ag_chat chat, int32_t *id, ag_error *err);

#endif
