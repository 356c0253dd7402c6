/* decision.h: from tier probabilities to one tier.
 *
 * ARGMAX     the most probable tier.
 * GAIN       the tier whose gain is nearest to the expected gain.
 * THRESHOLD  the best tier whose cumulative probability, from the best tier down, reaches a threshold: with a high one a pair is
 *            called good only when the judge is sure of it (precision), with a low one whenever it may be (recall). 0.5 is the median.
 * COST       the tier of least expected cost under a table of costs (Bayes' decision: Berger, Statistical Decision Theory, 1985).
 * Among equals the better tier. Pure functions; any thread.
 */
#ifndef AG_EVAL_DECISION_H
#define AG_EVAL_DECISION_H

#include "base/json.h"
#include "rules/book.h"

typedef enum ag_decide_by {
    AG_DECIDE_ARGMAX, /* the decision of a zeroed struct */
    AG_DECIDE_GAIN,
    AG_DECIDE_THRESHOLD,
    AG_DECIDE_COST,
    AG_DECIDE_COUNT
} ag_decide_by;
extern const char *const ag_decide_names[AG_DECIDE_COUNT];
#define AG_DECIDE_CHOICES "argmax|gain|threshold|cost"
/* The row of this name; AG_DECIDE_COUNT when there is none. */
ag_decide_by ag_decide_find(const char *name);

typedef struct ag_decision {
    ag_decide_by by;
    double threshold;                        /* in (0, 1); of THRESHOLD */
    double cost[AG_MAX_TIERS][AG_MAX_TIERS]; /* [true tier][tier said]; of COST */
} ag_decision;

/* The sum of P(tier) x gain. */
double ag_expected_gain(const ag_book *book, const double *probability);
/* The decided tier; probability sums to 1, [tier_count]. */
int ag_decide(const ag_decision *decision, const ag_book *book, const double *probability);

/* Costs from a YAML or JSON file: a map from each true tier's id to a map from each tier said to a finite cost of 0 or more. A tier that
 * is missing, unknown or given twice is AG_ERR_INPUT with its place. Sets by and cost. */
ag_status ag_decision_read_costs(ag_decision *decision, const ag_book *book, const char *path, ag_error *err);

/* {"by": "threshold", "threshold": 0.7}, {"by": "cost", "cost": {"4": {"4": 0, ...}, ...}}. New reference; NULL when out of memory. */
json_t *ag_decision_to_json(const ag_decision *decision, const ag_book *book);
/* The reverse; anything else is AG_ERR_INPUT with `where`. */
ag_status ag_decision_from_json(ag_decision *decision, const ag_book *book, const json_t *json,
                                const char *where, ag_error *err);
/* Appends it for people: "threshold 0.7". */
void ag_decision_text(ag_str *out, const ag_decision *decision);

#endif
