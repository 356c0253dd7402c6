/* cache.h: judgements that were made before, in a SQLite file that several processes share.
 *
 * A judgement is found by a digest of all that it depends on: the model's files and prompt format, device and type of numbers,
 * calibration, rulebook, query, item, what is asked, and what was wanted (probabilities only, or an answer: then the decision, too, for
 * an explained answer begins with the decided tier). Nothing else is found, so a change of any of these misses and never misleads. The
 * item's id does not count: no prompt shows it. Each row carries a check of its bytes.
 *
 * The file is in SQLite's WAL mode (sqlite.org/wal.html): readers never wait, writers wait for each other at most two seconds, and a process
 * that is killed at any instant leaves a whole file. Rows are removed least recently used first when the file would outgrow its bound.
 *
 * A file that is no cache, or is damaged, is AG_ERR_INPUT: never overwritten, never trusted. A cache that cannot be used now (locked
 * by others, disk full, read-only) is no failure: judgements are computed, the cache is tried again after a minute, and ag_cache_trouble tells
 * why, once.
 *
 * Threads: a handle may be used by any threads at once; it has a lock of its own, held for a lookup or a write, never while a model
 * computes. A handle must not be used on both sides of a fork.
 */
#ifndef AG_EVAL_CACHE_H
#define AG_EVAL_CACHE_H

#include "eval/judge.h"

typedef struct ag_cache ag_cache;
typedef struct ag_cache_key {
    unsigned char bytes[32];
} ag_cache_key;

enum { AG_CACHE_LEAST_BYTES = 1 << 18 };
/* Opens or makes the file; its folder must exist. max_bytes: bound of the file in bytes (the -wal file beside it, a few MB, comes on top);
 * less than AG_CACHE_LEAST_BYTES is AG_ERR_USAGE. */
ag_status ag_cache_open(ag_cache **cache, const char *path, int64_t max_bytes, ag_error *err);
void ag_cache_close(ag_cache *cache); /* NULL is fine */
/* True, with one line in *what, when the cache could not be used and nobody was told yet. */
bool ag_cache_trouble(ag_cache *cache, ag_error *what);

/* What of a judge goes into its keys, hex: model_digest is ag_judge_model_digest, arithmetic what numbers are computed with ("cpu bf16"). */
ag_status ag_cache_identity(char hex[65], const ag_judge *judge, const char *model_digest,
                            const char *arithmetic, ag_error *err);
/* decision (NULL: argmax) counts for explained answers only. */
void ag_cache_key_of(ag_cache_key *key, const char *identity, const ag_decision *decision, int tiers,
                     const ag_judge_input *input, ag_judge_answer answer);

/* Looks n keys up: hit[i], and out[i] (zeroed by the call) with probabilities, answer, finished and loss; tier and gain are left to
 * ag_judgement_decide. */
ag_status ag_cache_get(ag_cache *cache, const ag_cache_key *keys, size_t n, int tiers, ag_judgement *out,
                       bool *hit, ag_error *err);
/* In one transaction: keeps out[i] where hit[i] is false, marks the others as used now, and removes what is too much. */
ag_status ag_cache_put(ag_cache *cache, const ag_cache_key *keys, size_t n, int tiers,
                       const ag_judgement *out, const bool *hit, ag_error *err);

/* ag_judge_run through a cache (NULL: without): hits are not computed, the rest is, in one call of ag_judge_run, and kept. *hits (may be
 * NULL) grows by their number. The last digits of a probability may depend on what is judged beside it (judge.h), so where only some
 * of the inputs hit, the others may differ in them from a run without a cache. The judge is used by this call alone; the cache may
 * be used by others. */
ag_status ag_cache_judge(ag_cache *cache, const char *identity, ag_judge *judge, const ag_judge_input *inputs,
                         size_t n, ag_judge_answer answer, ag_judgement *out, size_t *hits, ag_error *err);

#endif
