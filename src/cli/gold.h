/* gold.h: the pairs that eval and calibrate measure on: those with a gold tier, with what their queries ask for. */
#ifndef AG_CLI_GOLD_H
#define AG_CLI_GOLD_H

#include "eval/judge.h"

/* Reads the pairs of `data`; those without a gold tier cannot be measured: they are left out and a warning counts them. limit: only the
 * first so many; 0: all. None left is AG_ERR_INPUT. *pairs: ag_pair_list_free in every case. */
ag_status ag_gold_load(ag_pair_list *pairs, const ag_book *book, const ag_lexicon *lexicon, const char *data,
                       const char *aggregate, long limit, ag_error *err);

/* Judges all pairs with a progress bar: the first `answers` with greedy answers (negative: all of them), the rest with probabilities only.
 * *judged: ag_judgements_free with the number of pairs. */
ag_status ag_gold_judge(ag_judgement **judged, ag_judge *judge, const ag_pair_list *pairs, long answers,
                        ag_error *err);

#endif
