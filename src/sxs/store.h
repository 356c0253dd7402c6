/* store.h: the file of a side-by-side study (SQLite): its design, who was shown what, and what they answered.
 *
 * An answer is acknowledged after its transaction is on the disk (synchronous=FULL), so killing the program at any instant loses none. A
 * store may be used by several threads, whose calls take turns, and a file by several processes.
 */
#ifndef AG_SXS_STORE_H
#define AG_SXS_STORE_H

#include "sxs/log.h"

/* Settings of a study. */
typedef struct ag_sxs_settings {
    const char *names[AG_SXS_SYSTEMS]; /* for the report alone: judges never see them */
    int k, good_at_least, judges;
    double repeats; /* share of a judge's queries shown again with sides swapped */
    double checks;  /* checks as a share of a judge's queries */
    double gold_cutoff;
    int gold_least;
    uint64_t seed;
    double precision, sd; /* what n was chosen for; 0: it was given */
} ag_sxs_settings;

/* Writes a new study: the drawn queries with their design, their lists and items, and the checks. It appears under its name when it is
 * whole; a file that is there is AG_ERR_USAGE. */
ag_status ag_sxs_store_create(const char *path, const ag_sxs_log *log, const ag_sxs_design *design,
                              const bool *chosen, const ag_sxs_settings *settings, ag_error *err);

typedef struct ag_sxs_store ag_sxs_store;
ag_status ag_sxs_store_open(ag_sxs_store **store, const char *path, ag_error *err);
void ag_sxs_store_close(ag_sxs_store *store);

/* --- judges --- */

enum { AG_SXS_TOKEN = 33, AG_SXS_NAME_MOST = 80 }; /* bytes of a token with its NUL; characters of a name */

/* The judge's secret (32 hexadecimal digits from the system's generator), made when the name is new. A name is 1 to AG_SXS_NAME_MOST
 * characters without control characters or space at its ends: AG_ERR_USAGE. A model has its name to itself, and no page. */
ag_status ag_sxs_store_invite(ag_sxs_store *store, const char *name, bool model, char token[AG_SXS_TOKEN],
                              int64_t *judge, ag_error *err);
/* *judge 0: nobody's token. */
ag_status ag_sxs_store_judge(ag_sxs_store *store, const char *token, int64_t *judge, ag_error *err);

/* --- tasks --- */

/* What the judge is to do next, as JSON that says nothing of systems, of order, or of why a query is shown:
 *   {"judge": name, "answered": n, "skipped": n, "remaining": queries that lack judges, "task": id, "query": text, "k": k, "left": [item...], "right": [item...]}
 * with items {"item": number, "title", "brand", "price", "currency", "stock", "image", "description"...}. Without "task" there is
 * nothing left to do. A task that was not answered comes again. New reference. */
ag_status ag_sxs_store_next(ag_sxs_store *store, int64_t judge, json_t **task, ag_error *err);
/* The task that the judge answered last in the same form, with "answer" as it came (and "skip"); without "task" there is none. New
 * reference. */
ag_status ag_sxs_store_last(ag_sxs_store *store, int64_t judge, json_t **task, ag_error *err);
/* Stores an answer:
 *   {"task": id, "ratings": {"item number": true (good) or false, ...}, "preference": -2 (left much better) .. 2, "both": "good" or "bad"
 *    (with preference 0 only, and then needed), "comment": text or absent}, or {"task": id, "skip": true, "comment": ...}.
 * All items of the task must be rated. AG_ERR_INPUT says what is wrong. The judge's last answer may be replaced; an earlier one stays, and
 * another answer to its task is AG_ERR_USAGE (the same one again is fine: a page may not have heard of us). */
ag_status ag_sxs_store_answer(ag_sxs_store *store, int64_t judge, const json_t *answer, ag_error *err);

/* The whole of an item by its number, as the catalogue has it; *item NULL: there is none. New reference. */
ag_status ag_sxs_store_item(json_t **item, ag_sxs_store *store, int64_t number, ag_error *err);

/* --- reading --- */

ag_status ag_sxs_store_load(ag_sxs_study *study, ag_sxs_store *store, ag_error *err);
/* {"queries", "answers_wanted", "answers", "judges": [{"judge", "kind", "answered", "token"}...]} for the one who runs the study. New
 * reference. */
ag_status ag_sxs_store_state(json_t **json, ag_sxs_store *store, ag_error *err);

#endif
