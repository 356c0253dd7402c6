/* compare_jobs.c: several cells of a comparison at once, each in a process of its own.
 *
 * A child is forked before this process has computed anything, so that it starts its own threads. It is in a process group of its own:
 * Ctrl-C reaches the parent alone, which passes one signal on, for a second one would end a run without a checkpoint. What a child has to
 * say of a failure comes through a pipe.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/compare_cells.h"
#include "cli/interrupt.h"

enum { MAX_JOBS = 64 };

typedef struct job {
    pid_t pid; /* 0: free */
    int pipe;  /* its ag_error, when it fails */
    ag_compare_cell *cell;
} job;

typedef struct pool {
    ag_comparison *compare;
    job jobs[MAX_JOBS];
    int size, running, cards;
    size_t done;
    bool stopping;
    ag_status status; /* of the first failure */
    ag_error *err;
    ag_progress bar;
} pool;

typedef ag_status task(const ag_comparison *compare, const ag_compare_cell *cell, ag_error *err);

static ag_status run_cell(const ag_comparison *compare, const ag_compare_cell *cell, ag_error *err)
{
    ag_train_view view = {.brief = true};
    ag_log_quiet(true);
    return ag_compare_cell_run(compare, cell, &view, err);
}

static ag_status try_rows(const ag_comparison *compare, const ag_compare_cell *cell, ag_error *err)
{
    (void)cell;
    return ag_compare_try(compare, err);
}

ag_status ag_compare_card(char name[64], const char *visible, int cards, int place, ag_error *err)
{
    int count = 0;
    snprintf(name, 64, "%d", place % cards);
    if (!visible || !*visible) return AG_OK;
    for (const char *at = visible; *at; count++) {
        size_t n = strcspn(at, ",");
        if (count == place % cards) snprintf(name, 64, "%.*s", (int)n, at);
        at += n + (at[n] == ',');
    }
    if (count >= cards) return AG_OK;
    return ag_fail(err, AG_ERR_USAGE, "--cards %d: CUDA_VISIBLE_DEVICES names %d", cards, count);
}

/* In the child: never returns. card: NULL for any. */
static void work(task *what, const ag_comparison *compare, const ag_compare_cell *cell, const char *card,
                 int out, pid_t parent)
{
    ag_error err = {0};
    if (card) setenv("CUDA_VISIBLE_DEVICES", card, 1); /* nothing has asked for cards yet */
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);  /* a parent that was killed leaves nobody behind */
    if (getppid() != parent) _exit(1); /* it was killed before that */
    ag_status status = ag_interrupt_begin(&err);
    if (status == AG_OK) status = what(compare, cell, &err);
    if (status != AG_OK && write(out, &err, sizeof err) != (ssize_t)sizeof err) _exit(2);
    _exit(status == AG_OK ? 0 : 1);
}

static ag_status start(job *j, task *what, const ag_comparison *compare, ag_compare_cell *cell,
                       const char *card, ag_error *err)
{
    int ends[2];
    if (pipe(ends) != 0) return ag_fail(err, AG_ERR_IO, "cannot open a pipe: %s", strerror(errno));
    fflush(stdout);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        close(ends[0]);
        work(what, compare, cell, card, ends[1], parent);
    }
    close(ends[1]);
    *j = (job){pid, ends[0], cell};
    if (pid > 0) return AG_OK;
    close(ends[0]);
    j->pid = 0;
    return ag_fail(err, AG_ERR_IO, "cannot start a process: %s", strerror(errno));
}

/* What a child that has ended came to, in its own words. */
static ag_status outcome(job *j, int how, ag_error *err)
{
    bool told = read(j->pipe, err, sizeof *err) == (ssize_t)sizeof *err;
    close(j->pipe);
    j->pid = 0;
    if (WIFEXITED(how) && WEXITSTATUS(how) == 0) return AG_OK;
    if (told) return err->code;
    return ag_fail(err, AG_ERR_IO, "its process was killed (signal %d)",
                   WIFSIGNALED(how) ? WTERMSIG(how) : 0);
}

ag_status ag_compare_try_apart(const ag_comparison *c, ag_error *err)
{
    job j;
    int how;
    bool told = false;
    AG_TRY(start(&j, try_rows, c, NULL, NULL, err));
    while (waitpid(j.pid, &how, WNOHANG) == 0) {
        const struct timespec pause = {0, 20000000};
        nanosleep(&pause, NULL);
        if (ag_interrupted() && !told) told = kill(j.pid, SIGTERM) == 0;
    }
    return outcome(&j, how, err);
}

/* --- cells ---------------------------------------------------------------------------------------------------- */

static void finish(pool *p, job *j, int how)
{
    ag_error err = {0};
    char name[128];
    ag_compare_cell *cell = j->cell;
    ag_status status = outcome(j, how, &err);
    p->running--;
    cell->done = status == AG_OK;
    if (cell->done) ag_progress_update(&p->bar, (double)++p->done, NULL);
    if (status == AG_OK || (p->status != AG_OK && p->status != AG_ERR_INTERRUPTED))
        return; /* one reason is enough */
    p->status = status;
    if (status == AG_ERR_INTERRUPTED) return;
    ag_compare_cell_name(name, sizeof name, p->compare, cell);
    ag_fail(p->err, status, "%s: %s", name, err.message);
}

static void reap(pool *p)
{
    for (job *j = p->jobs; j < p->jobs + p->size; j++) {
        int how;
        if (j->pid && waitpid(j->pid, &how, WNOHANG) == j->pid) finish(p, j, how);
    }
}

/* Once: who runs writes a checkpoint and ends. */
static void pass_on(pool *p)
{
    if (p->stopping || !ag_interrupted()) return;
    p->stopping = true;
    for (const job *j = p->jobs; j < p->jobs + p->size; j++)
        if (j->pid) kill(j->pid, SIGTERM);
}

static ag_status start_cell(pool *p, ag_compare_cell *cell)
{
    char card[64];
    job *j = p->jobs;
    while (j->pid) j++;
    if (p->cards > 1)
        AG_TRY(ag_compare_card(card, getenv("CUDA_VISIBLE_DEVICES"), p->cards, (int)(j - p->jobs), p->err));
    return start(j, run_cell, p->compare, cell, p->cards > 1 ? card : NULL, p->err);
}

ag_status ag_compare_run_jobs(ag_comparison *c, const ag_compare_how *how, ag_error *err)
{
    pool p = {
        .compare = c, .size = how->jobs < MAX_JOBS ? how->jobs : MAX_JOBS, .cards = how->cards, .err = err};
    const struct timespec pause = {0, 50000000};
    size_t next = 0;
    for (size_t i = 0; i < c->cell_count; i++) p.done += c->cells[i].done;
    ag_progress_begin(&p.bar, "cells", (double)c->cell_count, (double)p.done);
    for (;;) {
        while (next < c->cell_count && c->cells[next].done) next++;
        bool more = next < c->cell_count && p.status == AG_OK && !ag_interrupted();
        if (more && p.running < p.size) {
            p.status = start_cell(&p, &c->cells[next++]);
            p.running += p.status == AG_OK;
            continue;
        }
        if (p.running == 0) break;
        nanosleep(&pause, NULL);
        pass_on(&p);
        reap(&p);
    }
    if (p.done == c->cell_count)
        ag_progress_end(&p.bar, NULL);
    else
        ag_progress_drop();
    if (p.status == AG_OK && ag_interrupted() && p.done < c->cell_count) p.status = AG_ERR_INTERRUPTED;
    if (p.status == AG_ERR_INTERRUPTED)
        return ag_fail(err, p.status,
                       "stopped with %zu of %zu cells done; the same command goes on from there", p.done,
                       c->cell_count);
    return p.status;
}
