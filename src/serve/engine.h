/* engine.h: one thread that owns the judge, with a bounded queue in front of it.
 *
 * Requests that wait together are judged as one forest: pairs of one query stand next to each other, whichever request they came
 * with. Requests are served in the order of their arrival; a large one gives way after a while. A pair that cannot be judged fails
 * its own request and no other.
 */
#ifndef AG_SERVE_ENGINE_H
#define AG_SERVE_ENGINE_H

#include "eval/judge.h"

/* What the thread calls; all from that thread. */
typedef struct ag_engine_backend {
    void *user;
    ag_status (*judge)(void *user, const ag_judge_input *inputs, size_t n, ag_judge_answer answer,
                       ag_judgement *out, ag_error *err);
    ag_status (*write)(void *user, const ag_judge_input *input, const ag_judge_drawing *drawing,
                       ag_judge_text *out, ag_error *err);
    ag_judge_work (*work)(void *user);
} ag_engine_backend;

typedef struct ag_engine_options {
    size_t queue_pairs; /* that may wait or be judged at once; 0: 4096 */
    size_t batch_pairs; /* of one call of the judge; 0: 64 */
} ag_engine_options;

typedef struct ag_engine ag_engine;
/* The backend is copied; what it points to must outlive the engine. */
ag_status ag_engine_start(ag_engine **engine, const ag_engine_backend *backend,
                          const ag_engine_options *options, ag_error *err);
/* Work that still waits comes back as AG_ENGINE_STOPPED; what is being judged is finished. Frees: no job that was given to the
 * engine may be in a caller's hands any more. Safe with NULL. */
void ag_engine_stop(ag_engine *engine);

/* A request's work: pairs (their `asked` filled) and, when done, what came of them. Shared by the request and the engine, because
 * a request may give up while its pairs are being judged. */
typedef struct ag_job {
    ag_pair **pairs; /* owned */
    size_t count;
    bool explain;
    bool write; /* the only pair's answer, as `drawing` says, into `text` */
    ag_judge_drawing drawing;
    ag_judgement *judged; /* one a pair */
    ag_judge_text text;
    ag_status status; /* of the first pair that failed */
    ag_error err;
    size_t bad; /* its index */
    struct ag_job_link *link;
} ag_job;
/* Room for `count` pairs, all NULL; NULL when out of memory. */
ag_job *ag_job_new(size_t count);
void ag_job_release(ag_job *job); /* safe with NULL */

typedef enum ag_engine_outcome {
    AG_ENGINE_DONE,    /* look at job->status */
    AG_ENGINE_FULL,    /* nothing was queued: too much waits to be done, or to be done before the deadline */
    AG_ENGINE_LATE,    /* not done at the deadline; job's results must not be read */
    AG_ENGINE_GONE,    /* gone() said so; the same */
    AG_ENGINE_STOPPED, /* the engine is being stopped */
    AG_ENGINE_OUTCOMES
} ag_engine_outcome;
/* Queues a job and waits for it. deadline: by ag_clock. gone (may be NULL) is asked now and then. Any thread. */
ag_engine_outcome ag_engine_run(ag_engine *engine, ag_job *job, double deadline,
                                bool (*gone)(const void *user), const void *user);

typedef struct ag_engine_stats {
    size_t waiting_jobs, waiting_pairs; /* what is being judged included */
    uint64_t batches, outcomes[AG_ENGINE_OUTCOMES];
    ag_judge_work work;
    double seconds_waiting; /* that the queue will most likely take */
} ag_engine_stats;
ag_engine_stats ag_engine_stats_now(ag_engine *engine);

#endif
