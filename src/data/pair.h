/* pair.h: one query and one item with what is known of them: the unit that everything reads and writes.
 *
 * JSONL, one a line (DESIGN.md section 4). Unknown keys are kept in `json` and pass through.
 */
#ifndef AG_DATA_PAIR_H
#define AG_DATA_PAIR_H

#include "base/file.h"
#include "base/json.h"
#include "rules/book.h"

typedef enum ag_aggregate {
    AG_AGGREGATE_GIVEN,
    AG_AGGREGATE_MAJORITY,
    AG_AGGREGATE_MEDIAN,
    AG_AGGREGATE_SOFT
} ag_aggregate;
extern const char *const ag_aggregate_names[4];
/* The row of this name; GIVEN when there is none. */
ag_aggregate ag_aggregate_find(const char *name);

typedef struct ag_rating {
    const char *by; /* NULL in a flat list */
    int tier;       /* -1: cannot judge */
} ag_rating;

typedef struct ag_pair {
    ag_arena arena; /* owns all text below */
    json_t *json;   /* the line as read, for pass-through; owned */
    const char *id, *query, *locale;
    ag_item item;
    ag_asked asked; /* source UNKNOWN when the line has no `asked` */
    ag_gold gold;   /* tier -1 when there is none; after aggregation of ratings where asked for */
    ag_rating *ratings;
    int rating_count;
    const char *where; /* "file:line" for messages */
} ag_pair;

/* Parses one JSON line. `book` resolves tiers, verdicts, rules and asked entries (unknown ids are errors
 * with the nearest); NULL: gold and ratings are only checked for form and left absent. Sizes are bounded
 * (AG_MAX_*). Defaults id to a digest of query and item. */
ag_status ag_pair_parse(ag_pair **pair, const char *line, size_t len, const char *path, long number,
                        const ag_book *book, ag_aggregate aggregate, ag_error *err);
ag_status ag_pair_from_json(ag_pair **pair, json_t *json, const char *path, long number, const ag_book *book,
                            ag_aggregate aggregate, ag_error *err); /* takes its own reference */
void ag_pair_free(ag_pair *pair);
/* The pair as one JSON object: the line as read with asked, type and gold as they are now. New reference. */
json_t *ag_pair_to_json(const ag_pair *pair, const ag_book *book);

/* Its gold as it is now, {} where there is none: {"tier": ..., "verdicts": {...}, "rule": ..., "why": ...}. New reference. */
json_t *ag_gold_to_json(const ag_pair *pair, const ag_book *book);

/* A file of pairs, streamed: .jsonl, .jsonl.gz, or CSV/TSV by the names of its columns (data/record.h). A
 * duplicate id is an error when `unique` (ids are kept as 64-bit digests: 16 to 24 bytes a pair). */
typedef struct ag_pairs ag_pairs;
ag_status ag_pairs_open(ag_pairs **pairs, const char *path, const ag_book *book, ag_aggregate aggregate,
                        bool unique, ag_error *err);
ag_status ag_pairs_next(ag_pairs *pairs, ag_pair **pair, ag_error *err); /* *pair NULL at the end */
void ag_pairs_close(ag_pairs *pairs);
/* All pairs of a file in memory. *list: ag_pair_list_free. */
typedef struct ag_pair_list {
    ag_pair **items;
    size_t count, cap;
} ag_pair_list;
ag_status ag_pairs_load(ag_pair_list *list, const char *path, const ag_book *book, ag_aggregate aggregate,
                        ag_error *err);
void ag_pair_list_free(ag_pair_list *list);

/* The key of a query's group: normalised, stemmed, its token set sorted, spaces removed: queries that
 * share it belong to one side of every split. Over a list of queries more belong together ("note book",
 * "notebook"): data/split.h. Appends to out. */
ag_status ag_query_group(ag_str *out, const char *query, ag_error *err);
/* Which of `folds` parts a group falls in, by seed (balanced enough for many groups); stable whatever the
 * other groups are. */
int ag_query_fold(const char *group, uint64_t seed, int folds);

#endif
