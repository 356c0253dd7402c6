/* verify.h: the verdict on an answer and its shaped reward (METHOD.md sections 4 and 5; Rule-aware Reward Shaping with
 * a hard gate, arXiv 2510.08048; the exact form here is this project's). No model is needed.
 */
#ifndef AG_RULES_VERIFY_H
#define AG_RULES_VERIFY_H

#include "base/json.h"
#include "rules/answer.h"

typedef enum ag_gate { AG_GATE_HARD, AG_GATE_SOFT, AG_GATE_KEEP_TIER, AG_GATE_OFF } ag_gate;
extern const char *const ag_gate_names[4];

typedef struct ag_reward_options {
    double tier, rule, format_penalty; /* weights; from the book by default */
    double criterion[AG_MAX_CRITERIA];
    ag_gate gate;
    double gate_soft; /* AG_GATE_SOFT: an answer that breaks the gate keeps this share */
    /* Weight of each gold verdict in a `per: asked` score, for class balance; NULL: all 1. [criterion][verdict] */
    const double (*verdict_weight)[AG_MAX_VERDICTS];
} ag_reward_options;

/* Weights of the book, hard gate, no balancing. */
void ag_reward_defaults(ag_reward_options *options, const ag_book *book);

/* Everything known of one answer. Scores are in 0..1 or NAN where gold is absent (masked: its weight moves to the tier;
 * a `per: asked` criterion with nothing asked is NAN too). */
typedef struct ag_verdict {
    bool format;
    ag_answer answer; /* valid when format */
    int derived_tier, derived_rule;
    bool gate;     /* label-free self-consistency: the answer's tier and rule are the derived ones */
    bool has_gold; /* a gold tier was given: scores and reward are meaningful */
    double score_tier, score_rule, score_criterion[AG_MAX_CRITERIA];
    bool verdicts_right; /* every gold verdict present was met (false when none is known) */
    bool verdicts_known; /* gold had a verdict for at least one criterion that applies */
    double term_tier, term_rule, term_criterion[AG_MAX_CRITERIA], term_format, total;
} ag_verdict;

/* gold may be NULL. Refusal text goes to refusal (may be NULL). With soft gold the tier score is the share that agrees. */
void ag_verify(const ag_book *book, const ag_asked *asked, const ag_gold *gold, const char *text, size_t len,
               const ag_reward_options *options, ag_verdict *verdict, ag_str *refusal);
/* The reward of a verdict whose format, answer, gate are set (used again when options change). */
void ag_reward(const ag_book *book, const ag_asked *asked, const ag_gold *gold,
               const ag_reward_options *options, ag_verdict *verdict);

/* {"tier": ..., "verdicts": {...}, "rule": ...} members of an answer into an object (DESIGN.md section 4). */
ag_status ag_answer_to_json(json_t *object, const ag_book *book, const ag_asked *asked,
                            const ag_answer *answer, ag_error *err);
/* What rewards are made of, for people and for whoever adds them up again: {"tier": 1, "rule": 0.1, "format_penalty": 0.5, "criteria":
 * {"cat": 0.2, ...}, "balance": {"attr": {"MATCH": 0.7, ...}}}; balance: of `per: asked` criteria, where verdicts are weighed. New
 * reference. */
json_t *ag_reward_to_json(const ag_book *book, const ag_reward_options *options);
/* The verdict line of `agrl verify` (id may be NULL). New reference. */
json_t *ag_verdict_to_json(const ag_book *book, const ag_asked *asked, const ag_verdict *verdict,
                           const char *id, const char *refusal);

#endif
