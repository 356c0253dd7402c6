/* ranks.h: work that the ranks of a run split, and what each found, brought together (base/comm.h). Every rank ends with all of it, as if
 * it had done all the work. Private to train/.
 */
#ifndef AG_TRAIN_RANKS_H
#define AG_TRAIN_RANKS_H

#include "base/comm.h"
#include "model/generate.h"
#include "train/passage.h"

/* ag_generate by all ranks: this one's share of the prompts, then everybody's answers, prompt by prompt. The constraint is asked about
 * prompts by their number in `prompts`. */
ag_status ag_ranks_generate(ag_comm *comm, ag_session *session, const ag_generate_prompt *prompts, size_t n,
                            const ag_generate_options *options, ag_generated **made, ag_error *err);

/* Passages [*from, *to) that a rank runs: shares lie behind each other and have about as many tokens. */
void ag_ranks_cut(int rank, int size, const ag_passage *passages, size_t n, size_t *from, size_t *to);
/* Log-probabilities and entropies of all passages, each rank's own having been set. */
ag_status ag_ranks_share_passages(ag_comm *comm, const ag_passage *passages, size_t n, ag_error *err);

#endif
