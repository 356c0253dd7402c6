/* chat.c: the two chat formats that our models were trained with. Control tokens are put in by id; what
 * stands between them is encoded without specials, so nothing that a shopper or a catalogue writes can end a
 * turn.
 *
 * A header line and the text that follows it are encoded together, because a tokenizer may join the newline
 * between them with white space at the beginning of the text; this is what a rendered template does too.
 */
#include "text/chat.h"

#include <string.h>
#include "base/str.h"

static const struct {
    const char *name;
    const char *open, *header, *close; /* control tokens; header: Llama 3 closes its header with one */
    const char *gap;                   /* between the role and the text */
    const char *after;                 /* after the end of a turn */
} chats[] = {
    [AG_CHAT_NONE] = {"none", NULL, NULL, NULL, NULL, NULL},
    [AG_CHAT_CHATML] = {"chatml", "<|im_start|>", NULL, "<|im_end|>", "\n", "\n"},
    [AG_CHAT_LLAMA3] = {"llama3", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "\n\n", ""},
};

const char *ag_chat_name(ag_chat chat)
{
    return chats[chat].name;
}

ag_status ag_chat_choose(ag_chat *chat, const char *name, const ag_tokenizer *tokenizer, ag_error *err)
{
    const char *text;

    if (name != NULL && !ag_streq(name, "auto")) {
        for (int i = AG_CHAT_NONE; i <= AG_CHAT_LLAMA3; i++) {
            if (!ag_streq(chats[i].name, name)) continue;
            *chat = (ag_chat)i;
            return AG_OK;
        }
        return ag_fail(err, AG_ERR_USAGE, "chat: '%.40s' is not one of auto, chatml, llama3, none", name);
    }
    text = ag_tokenizer_chat_template(tokenizer);
    *chat = AG_CHAT_NONE;
    if (text == NULL) return AG_OK;
    for (int i = AG_CHAT_CHATML; i <= AG_CHAT_LLAMA3; i++) {
        if (strstr(text, chats[i].open) == NULL || strstr(text, chats[i].close) == NULL) continue;
        *chat = (ag_chat)i;
        return AG_OK;
    }
    return ag_fail(err, AG_ERR_UNSUPPORTED,
                   "the model's chat template is neither ChatML nor Llama 3's; say which to use with chat: "
                   "chatml|llama3|none");
}

static ag_status control(const ag_tokenizer *t, ag_chat chat, const char *text, int32_t *id, ag_error *err)
{
    *id = ag_tokenizer_find(t, text, strlen(text));
    if (*id >= 0) return AG_OK;
    return ag_fail(err, AG_ERR_INPUT, "chat: %s needs the token %s, which the vocabulary does not have",
                   chats[chat].name, text);
}

static ag_status add_control(const ag_tokenizer *t, ag_chat chat, const char *text, ag_tokens *out,
                             ag_error *err)
{
    int32_t id = -1;
    ag_status st = control(t, chat, text, &id, err);

    return st == AG_OK ? ag_tokens_add(out, &id, 1, err) : st;
}

/* Llama 3's template cuts white space off both ends of a text; ChatML's does not. */
static void trim(const char **text, size_t *len)
{
    while (*len > 0 && strchr(" \t\r\n\v\f", **text) != NULL && **text != '\0') ++*text, --*len;
    while (*len > 0 && strchr(" \t\r\n\v\f", (*text)[*len - 1]) != NULL && (*text)[*len - 1] != '\0') --*len;
}

/* The opening of a turn and, when text is not NULL, its text and its end. */
static ag_status add_turn(const ag_tokenizer *t, ag_chat chat, const char *role, const char *text, size_t len,
                          ag_tokens *out, ag_error *err)
{
    ag_str body = {0};
    ag_status st = add_control(t, chat, chats[chat].open, out, err);

    if (st == AG_OK && chats[chat].header != NULL) {
        st = ag_tokenizer_encode(t, role, strlen(role), false, out, err);
        if (st == AG_OK) st = add_control(t, chat, chats[chat].header, out, err);
        if (text != NULL) trim(&text, &len);
    } else {
        ag_str_add(&body, role);
    }
    ag_str_add(&body, chats[chat].gap);
    if (text != NULL) ag_str_addn(&body, text, len);
    if (st == AG_OK) st = ag_str_ok(&body, err);
    if (st == AG_OK) st = ag_tokenizer_encode(t, ag_str_text(&body), body.len, false, out, err);
    if (st == AG_OK && text != NULL) {
        st = add_control(t, chat, chats[chat].close, out, err);
        if (st == AG_OK)
            st = ag_tokenizer_encode(t, chats[chat].after, strlen(chats[chat].after), false, out, err);
    }
    ag_str_free(&body);
    return st;
}

static ag_status add_plain(const ag_tokenizer *t, const char *system, size_t system_len, const char *user,
                           size_t user_len, ag_tokens *out, ag_error *err)
{
    ag_str body = {0};
    ag_status st;

    if (system != NULL) {
        ag_str_addn(&body, system, system_len);
        ag_str_addc(&body, '\n');
    }
    ag_str_addn(&body, user, user_len);
    ag_str_addc(&body, '\n');
    st = ag_str_ok(&body, err);
    if (st == AG_OK) st = ag_tokenizer_encode(t, ag_str_text(&body), body.len, false, out, err);
    ag_str_free(&body);
    return st;
}

ag_status ag_chat_prompt(const ag_tokenizer *t, ag_chat chat, const char *system, size_t system_len,
                         const char *user, size_t user_len, ag_tokens *out, ag_error *err)
{
    size_t before = out->len;
    int32_t bos = ag_tokenizer_bos(t);
    ag_status st = AG_OK;

    /* Llama 3's template begins with the start token itself; elsewhere it comes only if the tokenizer adds
     * one, which encoding nothing shows. */
    if (chat == AG_CHAT_LLAMA3 && bos >= 0)
        st = ag_tokens_add(out, &bos, 1, err);
    else
        st = ag_tokenizer_encode(t, "", 0, true, out, err);
    if (st == AG_OK && chat == AG_CHAT_NONE) {
        st = add_plain(t, system, system_len, user, user_len, out, err);
    } else if (st == AG_OK) {
        if (system != NULL) st = add_turn(t, chat, "system", system, system_len, out, err);
        if (st == AG_OK) st = add_turn(t, chat, "user", user, user_len, out, err);
        if (st == AG_OK) st = add_turn(t, chat, "assistant", NULL, 0, out, err);
    }
    if (st != AG_OK) out->len = before;
    return st;
}

ag_status ag_chat_end(const ag_tokenizer *t, ag_chat chat, int32_t *id, ag_error *err)
{
    if (chat != AG_CHAT_NONE) return control(t, chat, chats[chat].close, id, err);
    *id = ag_tokenizer_eos(t);
    if (*id >= 0) return AG_OK;
    return ag_fail(err, AG_ERR_INPUT, "the tokenizer has no end token (eos_token), which an answer needs");
}
