/* forest.h: a batch as a forest of tokens in preorder.
 *
 * Sequences that begin alike share their beginning, computed once in forward and backward. pos[i] is a token's depth,
 * reach[i] one past the last token of its subtree; token i attends token j exactly when j <= i && i < reach[j]. A target asks
 * for the log-probability of a token at a row on behalf of a sample; a row shared by k samples has each one's targets.
 */
#ifndef AG_MODEL_FOREST_H
#define AG_MODEL_FOREST_H

#include <stdint.h>
#include "base/error.h"
#include "base/mem.h"
#include "device/device.h"

typedef struct ag_target {
    int32_t row; /* of the token that predicts it; targets are sorted by row, then by order of insertion */
    int32_t token;
    int32_t sample; /* the caller's number of the sequence */
    int32_t index;  /* position of the token in its sequence */
} ag_target;

/* A run of tokens without branches: rows [begin, end); parent segment or -1. Segments are in preorder. */
typedef struct ag_segment_run {
    int32_t begin, end, parent;
} ag_segment_run;

typedef struct ag_forest {
    int32_t *ids, *pos, *reach;
    int32_t count;
    ag_target *targets;
    int32_t target_count;
    ag_segment_run *segments;
    int32_t segment_count;
    int64_t unshared; /* tokens of the sequences if nothing were shared */
} ag_forest;

/* Collects sequences, then lays them out. A zeroed builder is empty; ag_forest_begin empties it and keeps its memory. */
typedef struct ag_forest_builder {
    struct ag_trie_node *nodes;
    size_t node_count, node_cap;
    struct ag_trie_target *targets;
    size_t target_count, target_cap;
    int64_t unshared;
    int32_t first_root, last_root;
} ag_forest_builder;
void ag_forest_begin(ag_forest_builder *builder);

/* Adds one sequence of n >= 1 tokens. wanted[t] != 0 makes token t (t >= 1) a target of the row of token t - 1; wanted may be
 * NULL: none. The last token of a sequence is left out of the forest when `trim` and nothing follows from it (it predicts
 * nothing). max_shared: how many leading tokens may be shared with earlier sequences (n for all, 0 for none: tests). */
ag_status ag_forest_add(ag_forest_builder *builder, const int32_t *tokens, int32_t n, const uint8_t *wanted,
                        int32_t sample, bool trim, int32_t max_shared, ag_error *err);
/* How many new rows ag_forest_add would make. */
int32_t ag_forest_cost(const ag_forest_builder *builder, const int32_t *tokens, int32_t n, bool trim);
/* Rows so far. */
int32_t ag_forest_rows(const ag_forest_builder *builder);
/* Lays the forest out. *forest is released with ag_forest_free. */
ag_status ag_forest_finish(ag_forest *forest, const ag_forest_builder *builder, ag_error *err);
void ag_forest_free(ag_forest *forest);
void ag_forest_builder_free(ag_forest_builder *builder);

/* --- attention plans: the blocks of device.h on the host, then on a device ---------------------------------- */
typedef struct ag_plan {
    ag_attention_block *blocks;
    size_t count, cap;
    int32_t rows, keys;
    ag_device *device;
    void *memory; /* device */
    size_t memory_bytes;
    ag_attention_plan view; /* valid after ag_plan_upload */
} ag_plan;
void ag_plan_begin(ag_plan *plan, int32_t rows, int32_t keys); /* keeps memory */
ag_status ag_plan_add(ag_plan *plan, ag_attention_block block, ag_error *err);
/* The blocks of a forest: one a segment; keys are the forest's own rows. */
ag_status ag_plan_forest(ag_plan *plan, const ag_forest *forest, ag_error *err);
/* Blocks have room in steps, so that the view's arrays stay where they are while a few come and go. */
enum { AG_PLAN_ROOM = 64 };
static inline size_t ag_plan_room(size_t blocks)
{
    return (blocks + AG_PLAN_ROOM - 1) / AG_PLAN_ROOM * AG_PLAN_ROOM;
}
/* Makes the tile lists and puts all on the device (memory grows as needed and is reused). */
ag_status ag_plan_upload(ag_plan *plan, ag_device *device, ag_error *err);
void ag_plan_free(ag_plan *plan);

#endif
