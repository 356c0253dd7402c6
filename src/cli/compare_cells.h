/* compare_cells.h: the cells of a comparison: each row of the plan with each seed, trained into a run folder and judged on the test pairs;
 * and the start, which all rows that are not trained share.
 *
 * A cell's folder is OUT/NAME/seed-S (the start's is OUT/start): a run folder, cell.json (digests of what the cell depends on) and, when
 * it is done, judged.jsonl: a line a test pair with the probabilities, the greedy answer, and for the first pairs the answer to a
 * false hint. A comparison that was stopped goes on where it stopped; a folder that was made from something else is refused.
 */
#ifndef AG_CLI_COMPARE_CELLS_H
#define AG_CLI_COMPARE_CELLS_H

#include "cli/compare_plan.h"
#include "cli/train_hooks.h"
#include "eval/contest.h"
#include "eval/copying.h"

typedef struct ag_compare_cell {
    const ag_compare_row *row; /* NULL: the start */
    long seed;
    ag_settings settings;
    char *dir;
    char training[65], judging[65]; /* digests of what training and judging depend on */
    bool done;                      /* judged.jsonl is there */
} ag_compare_cell;

typedef struct ag_comparison {
    ag_compare_plan *plan;
    ag_settings base; /* of the run file alone */
    ag_book *book;
    ag_facts *facts;
    ag_lexicon *lexicon;
    ag_pair_list pairs; /* test pairs with a gold tier, `asked` filled */
    size_t without_gold;
    ag_copy_probes probes;
    ag_compare_cell *cells;
    size_t cell_count;
} ag_comparison;

/* Opens what judging needs and checks everything that the plan says, each cell's settings and what its folder holds. Trains and writes
 * nothing. */
ag_status ag_compare_open(ag_comparison *compare, ag_compare_plan *plan, ag_error *err);
void ag_compare_close(ag_comparison *compare);
/* Opens the run of each row that has not begun, without training: what it would refuse hours later is refused now. */
ag_status ag_compare_try(const ag_comparison *compare, ag_error *err);
typedef struct ag_compare_how {
    int jobs;   /* cells at once, each in a process of its own when more than one */
    int cards;  /* that they are dealt to, in turn; 1: device cuda is the first card for all */
    bool brief; /* progress alone: what runs say is left to their folders */
} ag_compare_how;
/* Trains and judges every cell that is not done. AG_ERR_INTERRUPTED after a wish to stop. */
ag_status ag_compare_run(ag_comparison *compare, const ag_compare_how *how, ag_error *err);
/* One cell. compare_jobs.c calls it in processes. */
ag_status ag_compare_cell_run(const ag_comparison *compare, const ag_compare_cell *cell, ag_train_view *view,
                              ag_error *err);
/* "grpo, seed 2 (3 of 8)" */
void ag_compare_cell_name(char *name, size_t room, const ag_comparison *compare, const ag_compare_cell *cell);
/* compare_jobs.c: ag_compare_try in a process of its own, so that nothing has been computed in this one before others are forked; and the
 * cells that are not done, `jobs` at once. */
ag_status ag_compare_try_apart(const ag_comparison *compare, ag_error *err);
ag_status ag_compare_run_jobs(ag_comparison *compare, const ag_compare_how *how, ag_error *err);
/* The name of the card of a job's place for CUDA_VISIBLE_DEVICES: its number, or where `visible` (that variable as it was, or NULL) names
 * cards, one of those. AG_ERR_USAGE: it names fewer than `cards`. */
ag_status ag_compare_card(char name[64], const char *visible, int cards, int place, ag_error *err);

/* The rows with everything that contest.h wants of them; borrows from `compare`. */
typedef struct ag_compare_results {
    ag_arena arena;  /* owns all but the dynamics' points and what cells own */
    ag_arena *cells; /* [cell_count]: what was read of each */
    size_t cell_count;
    ag_contest_row *rows;
    size_t row_count;
    ag_dynamics *dynamics;
    size_t dynamics_count;
} ag_compare_results;
/* Reads what the cells left, several at once (as many as OpenMP gives threads); the first failure in the order of rows and seeds counts. */
ag_status ag_compare_read(ag_compare_results *results, const ag_comparison *compare, ag_error *err);
void ag_compare_results_free(ag_compare_results *results);

#endif
