/* answer.h: the answer's text: render, parse, and the token automaton that allows exactly what parse accepts.
 *
 * Format (DESIGN.md section 4), respond_then_think:   TIER NL (id=VERDICT NL | id=name:VERDICT;... NL | id=- NL)*
 * rule=ID [NL why=TEXT]. think_then_respond: criteria, rule, why, then the tier on the last line.
 * verdicts_then_tier: criteria, rule, tier (both forced by derive), why last where required.
 * No final newline; then the end token.
 */
#ifndef AG_RULES_ANSWER_H
#define AG_RULES_ANSWER_H

#include "rules/book.h"
#include "text/tokenizer.h"

typedef struct ag_answer {
    int tier, rule; /* rule -1: none holds, written `rule=-` (only in a book without an `otherwise` rule) */
    ag_verdicts verdicts;
    const char *why; /* points into the parsed text; not NUL terminated; NULL when there is no why line */
    size_t why_len;
} ag_answer;

/* What a piece of the answer belongs to, for credit by field, masks and metrics. */
typedef enum ag_part {
    AG_PART_TIER,
    AG_PART_CRITERION,
    AG_PART_RULE,
    AG_PART_WHY,
    AG_PART_FORM,
    AG_PART_END
} ag_part;

/* One segment: tier, newline, `id=`, verdict, attribute name, `:`, `;`, `rule=`, rule id, `why=`, text, end. Each is
 * tokenised alone. `forced`: the grammar leaves no choice here (FORM), the model is not trained to choose it in RL. */
typedef struct ag_segment {
    const char *text; /* NULL for the end token */
    size_t len;
    char
        tail; /* one more byte of the same segment (the '=' of `id=`, which the book does not store); 0: none */
    ag_part part;
    int criterion, asked; /* of CRITERION parts, else -1 */
} ag_segment;

/* Largest number of segments of an answer of this book and this many asked entries. */
int ag_answer_segment_max(const ag_book *book, int asked_count);
/* Writes the segments of an answer (complete verdicts, tier, rule; why may be NULL) and returns their number. Texts point
 * into the book, the asked entries, static storage and answer->why. The last segment is the end.
 * Where a value is absent (-1) the list stops before it, without an end: a pair of which only the tier is known gives the
 * tier's segment first under respond_then_think. A why is written where the book requires it (an empty one
 * when answer->why is NULL) and nowhere else; it is cut at its first line end or invalid byte and at why_chars, so that the answer is
 * always one that parse accepts. */
int ag_answer_segments(const ag_book *book, const ag_asked *asked, const ag_answer *answer,
                       ag_segment *segments);
/* The longest answer to such a query in bytes: no answer has more tokens (the limit of generation). */
int32_t ag_answer_limit(const ag_book *book, const ag_asked *asked);
/* The answer as text (without the end). AG_ERR_INPUT when a value is absent. */
ag_status ag_answer_render(ag_str *out, const ag_book *book, const ag_asked *asked, const ag_answer *answer,
                           ag_error *err);
/* Tokens of segments, one at a time; part_of[i] (may be NULL, growing like ids) is the segment of token i. `end_id` closes. */
ag_status ag_answer_encode(const ag_tokenizer *tokenizer, const ag_segment *segments, int n, int32_t end_id,
                           ag_tokens *ids, ag_tokens *segment_of, ag_error *err);

/* Accepts exactly the format; on refusal returns false and writes the reason ("line 3: attribute 'colour' given
 * twice") into refusal (may be NULL). A why line is accepted either way; more than why_chars code points is not. */
bool ag_answer_parse(const ag_book *book, const ag_asked *asked, const char *text, size_t len,
                     ag_answer *answer, ag_str *refusal);

/* --- the token automaton ----------------------------------------------------------------------------------
 * Compiled once for (book, tokenizer); a state is a value that also carries the pair's asked entries. It allows exactly
 * the continuations of some valid sequence of segments, each tokenised alone; inside `why`, any token that keeps
 * the text valid UTF-8 without newline and within the character budget, or the end. */
typedef struct ag_grammar ag_grammar;
ag_status ag_grammar_build(ag_grammar **grammar, const ag_book *book, const ag_tokenizer *tokenizer,
                           int32_t end_id, ag_error *err);
void ag_grammar_free(ag_grammar *grammar);

typedef struct ag_grammar_state {
    const ag_asked *asked; /* borrowed; must outlive the state */
    int step;              /* which segment of the answer */
    int at;                /* tokens of it already written */
    int node;              /* position in the step's token trie, or which alternative is forced */
    int chars_left;        /* of why */
    uint8_t utf8[4];
    int utf8_len;         /* an unfinished character of why */
    ag_verdicts verdicts; /* so far */
    bool done;            /* the end token was written */
} ag_grammar_state;

void ag_grammar_start(const ag_grammar *grammar, const ag_asked *asked, ag_grammar_state *state);
/* Token ids of the asked entries are needed per pair: call once before start for each pair (cached by text). */
ag_status ag_grammar_prepare(ag_grammar *grammar, const ag_asked *asked, ag_error *err);
/* Drops what prepare cached, so that a long-lived server stays bounded; no state may be in use. */
void ag_grammar_forget(ag_grammar *grammar);
/* Sets bit (id % 32) of words[id / 32] for each allowed id (all others cleared); (vocab + 31) / 32 words. Returns how many. */
int ag_grammar_allowed(const ag_grammar *grammar, const ag_grammar_state *state, uint32_t *words);
/* The only allowed id when there is exactly one, else -1. */
int32_t ag_grammar_forced(const ag_grammar *grammar, const ag_grammar_state *state);
/* Advances over a token; false when it is not allowed (state unchanged). */
bool ag_grammar_advance(const ag_grammar *grammar, ag_grammar_state *state, int32_t id);

/* The token sequences of the tiers as they begin an answer, with the token that follows where one sequence is the
 * beginning of another's (then of all): what P(tier) is the product over. */
ag_status ag_tier_tokens(const ag_book *book, const ag_tokenizer *tokenizer, int32_t end_id,
                         ag_tokens *tokens, int offsets[AG_MAX_TIERS + 1], ag_error *err);

#endif
