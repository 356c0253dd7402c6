/* passage.c: see passage.h. */
#include "train/passage.h"

#include <string.h>
#include "base/mem.h"
#include "train/ranks.h"

/* The rows' masks under the answers' grammar: each answer is walked once, and marks the rows that its tokens follow from. Rows that
 * answers share have the same past and so the same mask. */
typedef struct row_masks {
    int32_t *of_row; /* [rows with targets] */
    uint32_t *bits;  /* [rows with targets, words] */
    int32_t rows;
} row_masks;

static void masks_free(row_masks *m)
{
    ag_free(m->of_row);
    ag_free(m->bits);
}

static ag_status masks_of_passage(row_masks *m, const ag_trainer *t, const ag_forest *f,
                                  const int32_t *row_of, int32_t sample, const ag_passage *p, size_t words,
                                  ag_error *err)
{
    ag_grammar_state state;
    int32_t at = p->answer;
    ag_grammar_start(t->grammar, p->asked, &state);
    for (int32_t i = 0; i < f->target_count; i++) {
        if (f->targets[i].sample != sample) continue;
        for (; at < f->targets[i].index; at++)
            if (!ag_grammar_advance(t->grammar, &state, p->tokens[at]))
                return ag_fail(err, AG_ERR_INTERNAL, "an answer left its grammar");
        ag_grammar_allowed(t->grammar, &state, m->bits + (size_t)row_of[i] * words);
    }
    return AG_OK;
}

static ag_status make_masks(row_masks *m, const ag_trainer *t, const ag_forest *f, const ag_passage *passages,
                            size_t from, size_t to, ag_error *err)
{
    size_t words = ((size_t)t->model->config.vocab + 31) / 32;
    int32_t *row_of = ag_calloc((size_t)f->target_count + 1, sizeof *row_of);
    for (int32_t i = 0; row_of && i < f->target_count; i++) {
        if (i > 0 && f->targets[i].row != f->targets[i - 1].row) m->rows++;
        row_of[i] = m->rows;
    }
    m->rows++;
    m->of_row = ag_calloc((size_t)m->rows, sizeof *m->of_row);
    m->bits = ag_calloc((size_t)m->rows * words, sizeof *m->bits);
    ag_status status = row_of && m->of_row && m->bits ? AG_OK : ag_fail_memory(err, "masks");
    for (int32_t i = 0; i < m->rows && status == AG_OK; i++) m->of_row[i] = i;
    for (size_t i = from; i < to && status == AG_OK; i++)
        status = masks_of_passage(m, t, f, row_of, (int32_t)i, &passages[i], words, err);
    ag_free(row_of);
    return status;
}

typedef struct batch {
    ag_trainer *t;
    const ag_passage *passages;
    double temperature;
    ag_passage_loss loss;
    void *user;
    ag_step_result *result;
    ag_error *err;
} batch;

/* Targets of one passage stand in the order of their places: a forest is in preorder. So a cursor a passage finds them. */
static void spread(const batch *b, const ag_forest *f, size_t from, int32_t *cursor, const double *value,
                   const double *entropy)
{
    for (int32_t i = 0; i < f->target_count; i++) {
        const ag_passage *p = &b->passages[f->targets[i].sample];
        int32_t k = cursor[(size_t)f->targets[i].sample - from]++;
        p->logprob[k] = value[i];
        if (p->entropy) p->entropy[k] = entropy[i];
    }
}

static void collect(const batch *b, const ag_forest *f, size_t from, int32_t *cursor, double *value)
{
    for (int32_t i = 0; i < f->target_count; i++)
        value[i] = b->passages[f->targets[i].sample].slope[cursor[(size_t)f->targets[i].sample - from]++];
}

/* What the builder holds: passages from .. to-1. */
static ag_status run_forest(const batch *b, size_t from, size_t to)
{
    ag_trainer *t = b->t;
    ag_forest f = {0};
    row_masks masks = {0};
    AG_TRY(ag_forest_finish(&f, &t->builder, b->err));
    size_t n = (size_t)f.target_count + 1;
    double *value = ag_calloc(n, sizeof *value), *entropy = ag_calloc(n, sizeof *entropy);
    int32_t *cursor = ag_calloc(to - from, sizeof *cursor);
    bool masked = b->passages[from].asked != NULL;
    ag_status status = value && entropy && cursor ? AG_OK : ag_fail_memory(b->err, "log-probabilities");
    if (status == AG_OK && masked) status = make_masks(&masks, t, &f, b->passages, from, to, b->err);
    if (status == AG_OK) status = ag_pass_forward(t->pass, &f, b->err);
    if (status == AG_OK)
        status = ag_pass_logprob(t->pass, b->temperature,
                                 masked ? &(ag_masks){masks.of_row, masks.bits, masks.rows} : NULL, value,
                                 entropy, b->err);
    if (status == AG_OK) spread(b, &f, from, cursor, value, entropy);
    if (status == AG_OK && b->loss) {
        status = b->loss(b->user, from, to, b->err);
        memset(cursor, 0, (to - from) * sizeof *cursor);
        collect(b, &f, from, cursor, value);
        if (status == AG_OK) status = ag_pass_backward(t->pass, value, b->err);
    }
    b->result->tokens += f.count;
    b->result->unshared += f.unshared;
    masks_free(&masks);
    ag_free(value);
    ag_free(entropy);
    ag_free(cursor);
    ag_forest_free(&f);
    return status;
}

/* Would one more passage make the builder's forest larger than micro_tokens, or its targets more than fit? Never of an empty one. */
static bool is_full(const ag_trainer *t, const ag_passage *p, int32_t targets)
{
    int32_t rows = ag_forest_rows(&t->builder);
    return rows > 0 &&
           (rows + ag_forest_cost(&t->builder, p->tokens, p->count, true) > t->settings->micro_tokens ||
            targets + p->targets > t->max_targets);
}

/* Passages from .. to-1, forest by forest. */
static ag_status run_share(const batch *b, size_t from, size_t to)
{
    ag_trainer *t = b->t;
    size_t begun = from;
    int32_t targets = 0;
    ag_forest_begin(&t->builder);
    for (size_t i = from; i < to; i++) {
        const ag_passage *p = &b->passages[i];
        if (is_full(t, p, targets)) {
            AG_TRY(run_forest(b, begun, i));
            ag_forest_begin(&t->builder);
            begun = i;
            targets = 0;
        }
        AG_TRY(
            ag_forest_add(&t->builder, p->tokens, p->count, p->wanted, (int32_t)i, true, p->count, b->err));
        targets += p->targets;
    }
    return ag_forest_rows(&t->builder) > 0 ? run_forest(b, begun, to) : AG_OK;
}

/* What the other ranks found; the loss hears of it too, so that its sums are those of all passages. */
static ag_status join_shares(const batch *b, size_t n, const ag_step_result *before)
{
    ag_comm *c = b->t->comm;
    double counts[] = {(double)(b->result->tokens - before->tokens),
                       (double)(b->result->unshared - before->unshared)};
    AG_TRY(ag_ranks_share_passages(c, b->passages, n, b->err));
    AG_TRY(c->sum_double(c, counts, 2, b->err));
    b->result->tokens = before->tokens + (int64_t)counts[0];
    b->result->unshared = before->unshared + (int64_t)counts[1];
    for (int r = 0; r < c->size && b->loss; r++) {
        size_t from, to;
        ag_ranks_cut(r, c->size, b->passages, n, &from, &to);
        if (r != c->rank && to > from) AG_TRY(b->loss(b->user, from, to, b->err));
    }
    return AG_OK;
}

ag_status ag_passages_run(ag_trainer *t, const ag_passage *passages, size_t n, double temperature,
                          ag_passage_loss loss, void *user, ag_step_result *result, ag_error *err)
{
    const batch b = {t, passages, temperature, loss, user, result, err};
    const ag_step_result before = *result;
    size_t from, to;
    ag_ranks_cut(t->comm->rank, t->comm->size, passages, n, &from, &to);
    AG_TRY(run_share(&b, from, to));
    return t->comm->size > 1 ? join_shares(&b, n, &before) : AG_OK;
}
