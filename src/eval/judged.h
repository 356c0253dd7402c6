/* judged.h: judgements that were made before, read back: what `agrl judge --out` wrote, for all who measure or pass on. */
#ifndef AG_EVAL_JUDGED_H
#define AG_EVAL_JUDGED_H

#include "eval/judge.h"

/* The member "probabilities" of a judged line into a zeroed judgement: probability of each tier, headline tier, gain; *total: their
 * sum. AG_ERR_INPUT for a tier without a number between 0 and 1. */
ag_status ag_judged_probabilities(ag_judgement *judgement, double *total, const ag_book *book,
                                  const json_t *line, const char *where, ag_error *err);

/* One judgement a pair, found by id, in the order of the pairs: probabilities, tier (the line's own, else the likeliest) and gain. Every pair needs exactly one; lines
 * for other pairs are passed over. *judged: ag_judgements_free with the number of pairs; NULL on failure. */
ag_status ag_judged_load(ag_judgement **judged, const ag_pair_list *pairs, const ag_book *book,
                         const char *path, ag_error *err);

#endif
