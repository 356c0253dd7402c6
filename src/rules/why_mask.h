/* why_mask.h: which tokens may continue free text, by the unfinished character before them and the characters
 * left. Internal to src/rules.
 *
 * A character is counted when it begins. A token is allowed when its bytes keep the text valid UTF-8 without a
 * newline and the text can still be finished within the budget; special tokens never are. Both answers come
 * from tables made once: per state the tokens sorted by cost, and for whole characters a bit set per small budget.
 */
#ifndef AG_RULES_WHY_MASK_H
#define AG_RULES_WHY_MASK_H

#include "text/tokenizer.h"

enum {
    AG_UTF8_STATES = 8, /* 0: between characters */
    AG_WHY_BITSETS = 16 /* budgets below this have a bit set of their own */
};

typedef struct ag_why_mask {
    const ag_tokenizer *tokenizer;
    int32_t end_id;
    int vocab, words;
    int to_finish
        [AG_UTF8_STATES];         /* fewest further characters begun until the text can stop; -1: it cannot */
    int cost_max;                 /* largest cost of a token: characters it begins and then to_finish */
    int32_t *ids[AG_UTF8_STATES]; /* allowed from this state, by cost */
    int *upto[AG_UTF8_STATES];    /* [cost]: how many of ids cost at most that; cost_max + 1 entries */
    uint32_t *bits;               /* [AG_WHY_BITSETS][words]: of state 0, cost at most the row */
} ag_why_mask;

ag_status ag_why_mask_build(ag_why_mask *mask, const ag_tokenizer *tokenizer, int32_t end_id, ag_error *err);
void ag_why_mask_free(ag_why_mask *mask);

/* State after the first bytes (0 to 3) of a character. */
int ag_utf8_state(const uint8_t *bytes, int n);

/* Sets the bits of the allowed tokens (words may be NULL) and returns how many; *last is one of them. */
int ag_why_mask_allowed(const ag_why_mask *mask, int state, int chars_left, uint32_t *words, int32_t *last);

/* Takes token id after the unfinished character utf8[0..*len): updates it and says how many characters began. False when
 * the token is not allowed. */
bool ag_why_mask_step(const ag_why_mask *mask, uint8_t utf8[4], int *len, int chars_left, int32_t id,
                      int *chars);

#endif
