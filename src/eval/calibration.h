/* calibration.h: probabilities that mean what they say: a temperature and one bias a tier, fitted on development pairs, kept with
 * the model, applied to every judgement.
 *
 *   P'(t) ~ exp(log P(t) / T + b_t),  T > 0,  the biases sum to 0
 *
 * Temperature scaling is Guo, Pleiss, Sun and Weinberger (ICML 2017); with a bias a class it is their vector scaling with one slope for
 * all classes. docs/CALIBRATION.md is for people.
 *
 * An ag_calibration is plain values; reading it is safe in any thread.
 */
#ifndef AG_EVAL_CALIBRATION_H
#define AG_EVAL_CALIBRATION_H

#include "eval/decision.h"
#include "eval/metrics.h"

/* P below this counts as this, so that a tier that the model rules out stays a number that a bias can move. */
#define AG_CALIBRATION_LEAST 1e-30

typedef struct ag_calibration {
    int tiers;
    double temperature;
    double bias[AG_MAX_TIERS]; /* sum to 0 */
    ag_decision decision;      /* what `agrl judge` decides by when it is not told */
    char model[65];            /* what it was fitted for: ag_judge_model_digest (eval/judge.h) */
    char rulebook[65];         /* ag_book.digest */
} ag_calibration;

/* P to P' in place, [tiers]. */
void ag_calibration_apply(const ag_calibration *calibration, double *probability);

/* --- the file ---------------------------------------------------------------------------------------------------- */

/* Writes it atomically. `about` (may be NULL, borrowed) goes in as the member "fitted": for people, never read. */
ag_status ag_calibration_save(const ag_calibration *calibration, const ag_book *book, const json_t *about,
                              const char *path, ag_error *err);
/* Reads it. Damaged, of another model or of another rulebook: AG_ERR_INPUT that says what to do. No file is AG_OK with *found false. */
ag_status ag_calibration_load(ag_calibration *calibration, bool *found, const ag_book *book,
                              const char *model_digest, const char *path, ag_error *err);
/* Appends SHA-256 (hex) of what changes judgements, not of the whole file: temperature and biases. NULL: "none". */
void ag_calibration_digest(ag_str *out, const ag_calibration *calibration);

/* --- fitting ------------------------------------------------------------------------------------------------------ */

/* Weight of the ridge: (ridge / 2) ((1/T - 1)^2 + sum b_t^2) is added to the summed loss, as a prior that says "no change". It makes the
 * minimum unique, picks the biases that sum to 0, and bounds what a separable set or a tier without pairs asks for; against
 * hundreds of pairs it is nothing. */
#define AG_CALIBRATION_RIDGE 0.1
/* The temperature is at most 100: beyond, the model's probabilities say nothing of the gold tiers. */
#define AG_CALIBRATION_MAX_TEMPERATURE 100.0

/* What a fit is made from: n rows of `tiers` values. */
typedef struct ag_calibration_data {
    int tiers;
    size_t n;
    const double *probability; /* [n][tiers], as the judge gives them */
    const double *target;      /* [n][tiers], each row sums to 1: the gold tier, or the raters' shares */
    bool temperature_only;     /* the biases stay 0 */
} ag_calibration_data;

/* Minimum of the summed cross-entropy plus the ridge over (1/T, b): convex; damped Newton in double. pick: the rows to take (NULL: all
 * of them). Sets tiers, temperature and bias, and leaves the rest. *bounded: the loss wants a temperature above the maximum
 * (the biases are the best under it). AG_ERR_INTERNAL when it does not converge. */
ag_status ag_calibration_fit(ag_calibration *calibration, bool *bounded, const ag_calibration_data *data,
                             const size_t *pick, size_t n, ag_error *err);
/* The minimised function, per the definition; for tests and reports. Mean over the rows without the ridge when ridge is 0. */
double ag_calibration_loss(const ag_calibration *calibration, const ag_calibration_data *data, double ridge);

enum { AG_CALIBRATION_FOLDS = 5 };
/* Out-of-sample probabilities: rows of part k get the fit of the other parts, so that no query is judged by a fit that saw it. part[i]:
 * 0 .. folds - 1. out: [n][tiers]. temperatures (may be NULL): [folds]. A fold whose rows are all the rows is AG_ERR_INTERNAL. */
ag_status ag_calibration_cross_fit(double *out, double *temperatures, const ag_calibration_data *data,
                                   const uint8_t *part, int folds, ag_error *err);

#endif
