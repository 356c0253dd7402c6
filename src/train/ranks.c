/* ranks.c: see ranks.h. */
#include "train/ranks.h"

#include <string.h>
#include "base/mem.h"

/* The ranks' pieces behind each other; this one's is `mine` of `bytes`. *sizes: of each piece; both are the caller's to free. */
static ag_status gather(ag_comm *c, const void *mine, size_t bytes, char **all, size_t **sizes, ag_error *err)
{
    size_t *one = ag_calloc((size_t)c->size, sizeof *one), total = 0, before = 0;
    *sizes = ag_calloc((size_t)c->size, sizeof **sizes);
    ag_status status = one && *sizes ? AG_OK : ag_fail_memory(err, "ranks");
    for (int r = 0; r < c->size && status == AG_OK; r++) one[r] = sizeof **sizes;
    if (status == AG_OK) (*sizes)[c->rank] = bytes;
    if (status == AG_OK) status = c->share(c, *sizes, one, err);
    for (int r = 0; r < c->size && status == AG_OK; r++) {
        if (r < c->rank) before += (*sizes)[r];
        total += (*sizes)[r];
    }
    if (status == AG_OK && !(*all = ag_calloc(total + 1, 1))) status = ag_fail_memory(err, "ranks");
    if (status == AG_OK && bytes) memcpy(*all + before, mine, bytes);
    if (status == AG_OK) status = c->share(c, *all, *sizes, err);
    ag_free(one);
    return status;
}

/* --- answers ----------------------------------------------------------------------------------------------------- */

enum { PER_TOKEN = sizeof(int32_t) + sizeof(double) + 1 };

static size_t packed_size(const ag_generated *g)
{
    return 2 * sizeof(int32_t) + (size_t)g->count * PER_TOKEN;
}

static char *pack(char *to, const ag_generated *g)
{
    int32_t head[2] = {g->count, g->finished};
    size_t n = (size_t)g->count;
    memcpy(to, head, sizeof head);
    to += sizeof head;
    memcpy(to, g->tokens, n * sizeof *g->tokens);
    to += n * sizeof *g->tokens;
    memcpy(to, g->logprob, n * sizeof *g->logprob);
    to += n * sizeof *g->logprob;
    memcpy(to, g->forced, n);
    return to + n;
}

static ag_status unpack(ag_generated *g, const char **from, ag_error *err)
{
    int32_t head[2];
    memcpy(head, *from, sizeof head);
    *from += sizeof head;
    size_t n = (size_t)head[0];
    g->tokens = ag_calloc(n + 1, sizeof *g->tokens);
    g->logprob = ag_calloc(n + 1, sizeof *g->logprob);
    g->forced = ag_calloc(n + 1, 1);
    if (!g->tokens || !g->logprob || !g->forced) return ag_fail_memory(err, "ranks");
    g->count = head[0];
    g->finished = head[1] != 0;
    memcpy(g->tokens, *from, n * sizeof *g->tokens);
    *from += n * sizeof *g->tokens;
    memcpy(g->logprob, *from, n * sizeof *g->logprob);
    *from += n * sizeof *g->logprob;
    memcpy(g->forced, *from, n);
    *from += n;
    return AG_OK;
}

/* *made: `mine` answers of this rank become all `total`. */
static ag_status share_answers(ag_comm *c, ag_generated **made, size_t mine, size_t total, ag_error *err)
{
    size_t bytes = 0, *sizes = NULL;
    char *all = NULL;
    for (size_t i = 0; i < mine; i++) bytes += packed_size(&(*made)[i]);
    char *own = ag_calloc(bytes + 1, 1), *to = own;
    ag_generated *joined = ag_calloc(total + 1, sizeof *joined);
    ag_status status = own && joined ? AG_OK : ag_fail_memory(err, "ranks");
    for (size_t i = 0; i < mine && status == AG_OK; i++) to = pack(to, &(*made)[i]);
    if (status == AG_OK) status = gather(c, own, bytes, &all, &sizes, err);
    const char *from = all;
    for (size_t i = 0; i < total && status == AG_OK; i++) status = unpack(&joined[i], &from, err);
    ag_generated_free(*made, *made ? mine : 0);
    *made = status == AG_OK ? joined : NULL;
    if (status != AG_OK) ag_generated_free(joined, joined ? total : 0);
    ag_free(own);
    ag_free(all);
    ag_free(sizes);
    return status;
}

/* A constraint that is asked by numbers in a share. */
typedef struct shifted {
    const ag_constraint *whole;
    size_t by;
} shifted;

static int shifted_allowed(void *user, size_t prompt, int32_t sample, uint32_t *bits)
{
    const shifted *s = user;
    return s->whole->allowed(s->whole->user, prompt + s->by, sample, bits);
}

static void shifted_advance(void *user, size_t prompt, int32_t sample, int32_t id)
{
    const shifted *s = user;
    s->whole->advance(s->whole->user, prompt + s->by, sample, id);
}

ag_status ag_ranks_generate(ag_comm *comm, ag_session *session, const ag_generate_prompt *prompts, size_t n,
                            const ag_generate_options *options, ag_generated **made, ag_error *err)
{
    if (comm->size == 1) return ag_generate(session, prompts, n, options, made, err);
    size_t from, to, mine = 0, total = 0;
    ag_comm_share(comm->rank, comm->size, n, &from, &to);
    for (size_t i = 0; i < n; i++) {
        total += (size_t)prompts[i].samples;
        if (i >= from && i < to) mine += (size_t)prompts[i].samples;
    }
    ag_generate_options own = *options;
    shifted shift = {options->constraint, from};
    const ag_constraint constraint = {&shift, shifted_allowed, shifted_advance};
    if (options->constraint) own.constraint = &constraint;
    *made = NULL;
    if (to > from) AG_TRY(ag_generate(session, prompts + from, to - from, &own, made, err));
    return share_answers(comm, made, mine, total, err);
}

/* --- passages ---------------------------------------------------------------------------------------------------- */

void ag_ranks_cut(int rank, int size, const ag_passage *passages, size_t n, size_t *from, size_t *to)
{
    double tokens = 0, before = 0;
    size_t *const ends[] = {from, to};
    for (size_t i = 0; i < n; i++) tokens += passages[i].count;
    size_t at = 0;
    for (int e = 0; e < 2; e++) {
        double want = tokens * (rank + e) / size;
        for (; at < n && before + 0.5 * passages[at].count < want; at++) before += passages[at].count;
        *ends[e] = rank + e == size ? n : at;
    }
}

ag_status ag_ranks_share_passages(ag_comm *c, const ag_passage *passages, size_t n, ag_error *err)
{
    size_t *bytes = ag_calloc((size_t)c->size, sizeof *bytes), total = 0, from, to;
    if (!bytes) return ag_fail_memory(err, "ranks");
    for (int r = 0; r < c->size; r++) {
        ag_ranks_cut(r, c->size, passages, n, &from, &to);
        for (size_t i = from; i < to; i++)
            bytes[r] += (size_t)passages[i].targets * sizeof(double) * (passages[i].entropy ? 2 : 1);
        total += bytes[r];
    }
    double *all = ag_calloc(total + sizeof *all, 1);
    ag_status status = all ? AG_OK : ag_fail_memory(err, "ranks");
    for (int way = 0; way < 2 && status == AG_OK; way++) { /* into the pieces, and out of them */
        double *at = all;
        for (size_t i = 0; i < n; i++) {
            double *const values[] = {passages[i].logprob, passages[i].entropy};
            for (int v = 0; v < 2 && values[v]; v++, at += passages[i].targets)
                memcpy(way ? values[v] : at, way ? at : values[v],
                       (size_t)passages[i].targets * sizeof(double));
        }
        if (way == 0) status = c->share(c, all, bytes, err);
    }
    ag_free(all);
    ag_free(bytes);
    return status;
}
