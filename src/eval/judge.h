/* judge.h: a model, a rulebook and a tokenizer as a judge: tier probabilities and whole answers for many pairs at once.
 *
 * The same code serves validation during training, `agrl eval`, `agrl judge` and the server. P(tier) is the product over the
 * tier's tokens (and what ends them where one tier's tokens begin another's), renormalised over the tiers, at temperature 1; then, where the
 * judge has one, the calibration.
 * Under think-first orders the answer is decoded up to the tier line first. Not thread safe.
 */
#ifndef AG_EVAL_JUDGE_H
#define AG_EVAL_JUDGE_H

#include "eval/calibration.h"
#include "eval/metrics.h"
#include "data/pair.h"
#include "model/generate.h"
#include "rules/answer.h"
#include "rules/facts.h"
#include "rules/prompt.h"
#include "rules/verify.h"

/* How prompts of a trained model are written; kept in its folder as agrl.json so that judging repeats it. */
typedef struct ag_judge_format {
    ag_prompt_options prompt;
} ag_judge_format;
ag_status ag_judge_format_save(const ag_judge_format *format, const ag_book *book, const char *dir,
                               ag_error *err);
/* From dir/agrl.json; a folder without one gets the defaults and the chat template of the tokenizer. */
ag_status ag_judge_format_load(ag_judge_format *format, const char *dir, const ag_tokenizer *tokenizer,
                               ag_error *err);
/* Digest of a model as a judge: its files (ag_opened_digest) and the format of its prompts. */
void ag_judge_model_digest(char hex[65], const char *files_digest, const ag_judge_format *format);

typedef struct ag_judge ag_judge;
typedef struct ag_judge_options {
    ag_judge_format format;
    int32_t kv_slots, max_rows;        /* 0: 8192 and 2048 */
    const ag_calibration *calibration; /* NULL: probabilities as the model gives them; borrowed */
    const ag_decision *decision;       /* NULL: argmax; borrowed */
} ag_judge_options;
/* Model, tokenizer and book are borrowed and must outlive the judge. */
ag_status ag_judge_create(ag_judge **judge, ag_model *model, const ag_tokenizer *tokenizer,
                          const ag_book *book, const ag_judge_options *options, ag_error *err);
void ag_judge_free(ag_judge *judge);
/* The session that the judge computes with; between its calls nothing of it is in use (for rollouts during training). */
ag_session *ag_judge_session(const ag_judge *judge);

/* What the judge was made with. */
const ag_judge_options *ag_judge_options_of(const ag_judge *judge);
const ag_book *ag_judge_book(const ag_judge *judge);

typedef struct ag_judge_input {
    const char *query;
    const ag_item *item;
    const ag_asked *asked; /* source must not be UNKNOWN */
    const char *hint;      /* NULL: none */
} ag_judge_input;

typedef struct ag_judgement {
    double probability[AG_MAX_TIERS];
    bool calibrated; /* the probabilities are */
    int tier;        /* by the judge's decision (eval/decision.h) */
    double gain;     /* expected */
    char *answer;    /* text, or NULL when none was asked for; owned */
    bool finished;
    ag_prompt_loss loss;
    int32_t prompt_tokens;
} ag_judgement;
void ag_judgements_free(ag_judgement *j, size_t n);

/* Sets tier and gain of a judgement from its probabilities. */
void ag_judgement_decide(ag_judgement *judgement, const ag_book *book, const ag_decision *decision);

typedef enum ag_judge_answer {
    AG_ANSWER_NONE, /* probabilities only */
    AG_ANSWER_GREEDY, /* as the model writes it: unmasked, greedy (format rate and gate are measured on these) */
    AG_ANSWER_EXPLAIN /* grammar masks on, the judged tier forced first */
} ag_judge_answer;
/* out: n judgements (zeroed by the call). progress(user, done) may be NULL; a failing status stops. */
typedef struct ag_judge_progress {
    ag_status (*tick)(void *user, size_t done, size_t total, ag_error *err);
    void *user;
} ag_judge_progress;
ag_status ag_judge_run(ag_judge *judge, const ag_judge_input *inputs, size_t n, ag_judge_answer answer,
                       const ag_judge_progress *progress, ag_judgement *out, ag_error *err);

/* From here on what all prompts of the book begin with (its rules, in the chat's form) is computed once and stays in the store, for
 * a judge that lives long. Answers stay what they are; the last digits of a probability may move, as between batches. */
ag_status ag_judge_keep_rules(ag_judge *judge, ag_error *err);

/* Work since the judge was made: tokens of prompts (once for their tier, once more for an answer behind them) and of answers, and
 * how many were computed: the others were shared. */
typedef struct ag_judge_work {
    uint64_t pairs, tokens, computed;
} ag_judge_work;
ag_judge_work ag_judge_work_done(const ag_judge *judge);

/* An answer under the grammar, as long as max_new allows. Greedy (temperature 0) is what AG_ANSWER_EXPLAIN gives: the judged tier
 * and what follows; above, the whole answer is drawn, a function of the seed and the prompt alone. */
typedef struct ag_judge_drawing {
    double temperature, top_p;
    uint64_t seed;
    int32_t max_new; /* tokens, the end included; 0: no limit but the book's */
} ag_judge_drawing;
typedef struct ag_judge_text {
    char *text; /* owned: ag_free */
    int32_t prompt_tokens, answer_tokens;
    bool finished;
} ag_judge_text;
ag_status ag_judge_write(ag_judge *judge, const ag_judge_input *input, const ag_judge_drawing *drawing,
                         ag_judge_text *out, ag_error *err);

/* Log-probabilities of wanted tokens of whole sequences, through the judge's session (model/session.h). */
ag_status ag_judge_score(ag_judge *judge, const ag_query_sequence *sequences, size_t n, ag_error *err);

/* Fills asked (and type) of a pair that lacks it with the parser; given ones stay. */
ag_status ag_pair_fill_asked(ag_pair *pair, const ag_lexicon *lexicon, ag_error *err);

/* One record a pair from its judgement (for metrics). Text is borrowed from both; slices are type, asked source, and the members of
 * the pair's "slice" object; memory for them comes from `arena`. */
ag_status ag_record_fill(ag_record *record, const ag_book *book, const ag_pair *pair,
                         const ag_judgement *judgement, ag_arena *arena, ag_error *err);
/* The same in two steps, for pairs that are judged more than once: what the pair alone says (of which copies may share the memory), and
 * what a judgement adds to a record that has only that. */
ag_status ag_record_begin(ag_record *record, const ag_pair *pair, ag_arena *arena, ag_error *err);
void ag_record_judge(ag_record *record, const ag_book *book, const ag_pair *pair,
                     const ag_judgement *judgement);

#endif
