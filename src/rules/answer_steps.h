/* answer_steps.h: the shape of an answer, said once. render, parse and the token automaton all walk this plan, so
 * that what one writes the others accept. Internal to src/rules.
 */
#ifndef AG_RULES_ANSWER_STEPS_H
#define AG_RULES_ANSWER_STEPS_H

#include "rules/answer.h"

/* The lines of an answer, by order (AG_RESPOND_THEN_THINK, ...). CRITERIA stands for one line each. */
typedef enum ag_block { AG_BLOCK_TIER, AG_BLOCK_CRITERIA, AG_BLOCK_RULE, AG_BLOCK_WHY } ag_block;
enum { AG_BLOCKS = 4 };
extern const ag_block ag_answer_blocks[3][AG_BLOCKS];

/* What a segment is. */
typedef enum ag_step_kind {
    AG_STEP_NEWLINE,
    AG_STEP_DASH,
    AG_STEP_COLON,
    AG_STEP_SEMICOLON,
    AG_STEP_RULE_LABEL,
    AG_STEP_WHY_LABEL,
    AG_STEP_FIXED_COUNT, /* those above are the same text in every book */
    AG_STEP_LABEL = AG_STEP_FIXED_COUNT,
    AG_STEP_NAME,
    AG_STEP_TIER,
    AG_STEP_VERDICT,
    AG_STEP_RULE,
    AG_STEP_WHY,
    AG_STEP_END
} ag_step_kind;
extern const char *const ag_step_text[AG_STEP_FIXED_COUNT];

typedef struct ag_step {
    uint8_t kind;            /* ag_step_kind */
    int8_t criterion, asked; /* of LABEL, DASH, NAME, VERDICT; else -1 (asked is -1 for a single criterion) */
} ag_step;

/* A per-asked entry is a name, a colon, a verdict and a semicolon; a line adds its label and newline. */
enum { AG_STEPS_MAX = AG_MAX_CRITERIA * (4 * AG_MAX_ASKED + 2) + 10 };

/* Writes the steps of an answer with this many asked entries; returns how many (at most AG_STEPS_MAX). */
int ag_answer_plan(const ag_book *book, int asked_count, bool with_why, ag_step *steps);

/* May an answer name no rule (`rule=-`)? Only where no `otherwise` rule makes sure that one holds. The text is
 * ag_step_text[AG_STEP_DASH] unless a rule has that very id. */
bool ag_rule_may_be_none(const ag_book *book);

/* Bytes of a why text that may stand in an answer: up to its first line end or invalid byte, and why_chars. */
size_t ag_why_fit(const ag_book *book, const char *why, size_t len);

#endif
