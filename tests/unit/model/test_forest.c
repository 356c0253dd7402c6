/* Forest batches against brute force: rows, positions, reach, segments and targets of random tries, and
 * attention plans that name every pair of a token and its ancestors once.
 */
#include "unit/model/fixture.h"

/* The tokens on the way to a row, itself last; returns their number. */
static int path_of(const ag_forest *f, int32_t row, int32_t *tokens)
{
    int n = 0;
    for (int32_t j = 0; j <= row; j++)
        if (row < f->reach[j]) tokens[n++] = f->ids[j];
    return n;
}

static int32_t parent_row(const ag_forest *f, int32_t row)
{
    for (int32_t j = row - 1; j >= 0; j--)
        if (row < f->reach[j]) return j;
    return -1;
}

static int children(const ag_forest *f, int32_t row)
{
    int n = 0;
    for (int32_t j = row + 1; j < f->reach[row]; j++) n += parent_row(f, j) == row;
    return n;
}

static bool same(const int32_t *a, int n, const int32_t *b, int m)
{
    return n == m && memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

/* How many different beginnings of 1 to count - 1 tokens the sequences have. */
static int32_t distinct_beginnings(const sequences *q, bool trim)
{
    int32_t n = 0;
    for (int s = 0; s < q->n; s++) {
        for (int k = 1; k <= q->count[s] - trim; k++) {
            bool seen = false;
            for (int e = 0; e < s && !seen; e++)
                seen = k <= q->count[e] - trim && memcmp(q->tokens[e], q->tokens[s], (size_t)k * 4) == 0;
            n += !seen;
        }
    }
    return n;
}

static void check_rows_of(const ag_forest *f)
{
    int32_t path[MAX_TOKENS];
    for (int32_t i = 0; i < f->count; i++) {
        assert_in_range(f->reach[i], i + 1, f->count);
        int32_t parent = parent_row(f, i);
        if (parent >= 0) assert_true(f->reach[i] <= f->reach[parent]);
        assert_int_equal(f->pos[i], parent < 0 ? 0 : f->pos[parent] + 1);
        assert_int_equal(path_of(f, i, path), f->pos[i] + 1);
    }
}

static void check_segments(const ag_forest *f)
{
    int32_t at = 0;
    for (int32_t s = 0; s < f->segment_count; s++) {
        const ag_segment_run *run = &f->segments[s];
        assert_int_equal(run->begin, at);
        assert_true(run->end > run->begin);
        at = run->end;
        for (int32_t i = run->begin; i + 1 < run->end; i++) {
            assert_int_equal(parent_row(f, i + 1), i);
            assert_int_equal(children(f, i), 1);
        }
        assert_int_not_equal(children(f, run->end - 1), 1);
        int32_t parent = parent_row(f, run->begin);
        if (parent < 0)
            assert_int_equal(run->parent, -1);
        else
            assert_int_equal(f->segments[run->parent].end - 1, parent);
    }
    assert_int_equal(at, f->count);
}

/* Every wanted token of every sequence once, at the row that its beginning leads to; in order of rows, then
 * of insertion. */
static void check_targets(const ag_forest *f, const sequences *q)
{
    int32_t path[MAX_TOKENS], wanted = 0;
    for (int s = 0; s < q->n; s++)
        for (int t = 1; t < q->count[s]; t++) wanted += q->wanted[s][t];
    assert_int_equal(f->target_count, wanted);
    for (int32_t i = 0; i < f->target_count; i++) {
        const ag_target *t = &f->targets[i];
        assert_true(q->wanted[t->sample][t->index]);
        assert_int_equal(t->token, q->tokens[t->sample][t->index]);
        assert_true(same(path, path_of(f, t->row, path), q->tokens[t->sample], t->index));
        if (i == 0) continue;
        const ag_target *before = t - 1;
        assert_true(before->row < t->row || (before->row == t->row && before->sample < t->sample));
    }
}

static void test_random_tries(void **state)
{
    (void)state;
    ag_error err = {0};
    static sequences q;
    ag_forest_builder b = {0};
    for (uint64_t round = 0; round < 200; round++) {
        ag_rng r = ag_rng_at(1, AG_RNG_TEST, round, 0, 0, 0);
        random_sequences(&q, &r, (int)ag_rng_below(&r, 12), 1 + (int)ag_rng_below(&r, 20),
                         2 + (int)ag_rng_below(&r, 5));
        bool trim = round % 2, shared = round % 7 != 0;
        int64_t tokens = 0;
        if (round > 0) ag_forest_begin(&b); /* a zeroed builder is empty by itself */
        for (int s = 0; s < q.n; s++) {
            int32_t before = ag_forest_rows(&b), cost = ag_forest_cost(&b, q.tokens[s], q.count[s], trim);
            must(ag_forest_add(&b, q.tokens[s], q.count[s], q.wanted[s], s, trim, shared ? q.count[s] : 0,
                               &err));
            assert_int_equal(ag_forest_rows(&b) - before, shared ? cost : q.count[s] - trim);
            tokens += q.count[s];
        }
        ag_forest f;
        must(ag_forest_finish(&f, &b, &err));
        assert_int_equal(f.count, ag_forest_rows(&b));
        assert_int_equal(f.unshared, tokens);
        assert_int_equal(f.count, shared ? distinct_beginnings(&q, trim) : (int32_t)tokens - q.n * trim);
        check_rows_of(&f);
        check_segments(&f);
        check_targets(&f, &q);
        ag_forest_free(&f);
    }
    ag_forest_builder_free(&b);
}

/* max_shared: the tokens behind it are rows of their own even where another sequence has the same. */
static void test_share_some(void **state)
{
    (void)state;
    ag_error err = {0};
    ag_forest_builder b = {0};
    ag_forest f;
    static const int32_t tokens[] = {5, 6, 7, 8};
    for (int s = 0; s < 3; s++) must(ag_forest_add(&b, tokens, 4, NULL, s, false, 2, &err));
    must(ag_forest_finish(&f, &b, &err));
    static const int32_t ids[] = {5, 6, 7, 8, 7, 8, 7, 8}, reach[] = {8, 8, 4, 4, 6, 6, 8, 8},
                         pos[] = {0, 1, 2, 3, 2, 3, 2, 3};
    assert_int_equal(f.count, 8);
    assert_memory_equal(f.ids, ids, sizeof ids);
    assert_memory_equal(f.reach, reach, sizeof reach);
    assert_memory_equal(f.pos, pos, sizeof pos);
    assert_int_equal(f.segment_count, 4);
    ag_forest_free(&f);
    ag_forest_builder_free(&b);
}

/* The host's copy of what the plan put on the device. */
static void fetch_plan(const ag_plan *plan, ag_attention_block *blocks, int32_t *first, int32_t *list)
{
    ag_error err = {0};
    ag_device *d = plan->device;
    const ag_attention_plan *v = &plan->view;
    must(d->download(d, blocks, v->blocks, (size_t)v->block_count * sizeof *blocks, &err));
    must(d->download(d, first, v->tile_first, ((size_t)v->tiles + 1) * sizeof *first, &err));
    must(d->download(d, list, v->tile_block, (size_t)first[v->tiles] * sizeof *list, &err));
}

static void check_plan(const ag_plan *plan, const ag_forest *f)
{
    enum { MOST = 1024 };
    static ag_attention_block blocks[MOST];
    static int32_t first[MOST], list[8 * MOST];
    static uint8_t pairs[MOST][MOST];
    const ag_attention_plan *v = &plan->view;
    assert_true(f->count < MOST && v->block_count < MOST);
    assert_int_equal(v->rows, f->count);
    assert_int_equal(v->keys, f->count);
    assert_int_equal(v->tiles, (f->count + AG_ATTENTION_TILE - 1) / AG_ATTENTION_TILE);
    fetch_plan(plan, blocks, first, list);
    int32_t spread = 0;
    for (int32_t b = 0; b < v->block_count; b++)
        if (blocks[b].q1 - blocks[b].q0 > spread) spread = blocks[b].q1 - blocks[b].q0;
    assert_int_equal(v->spread, spread);
    memset(pairs, 0, sizeof pairs);
    assert_int_equal(first[0], 0);
    for (int32_t t = 0; t < v->tiles; t++) { /* by way of the tile lists, as backends read them */
        for (int32_t e = first[t]; e < first[t + 1]; e++) {
            const ag_attention_block *b = &blocks[list[e]];
            if (e > first[t]) assert_true(list[e] > list[e - 1]);
            int touched = 0;
            for (int32_t i = t * AG_ATTENTION_TILE; i < (t + 1) * AG_ATTENTION_TILE && i < f->count; i++) {
                if (i < b->q0 || i >= b->q1) continue;
                touched++;
                for (int32_t j = b->k0; j < b->k1 && j < b->k0 + b->diagonal + (i - b->q0) + 1; j++)
                    pairs[i][j]++;
            }
            assert_true(touched > 0);
        }
    }
    for (int32_t i = 0; i < f->count; i++)
        for (int32_t j = 0; j < f->count; j++) assert_int_equal(pairs[i][j], j <= i && i < f->reach[j]);
}

static void test_plans(void **state)
{
    (void)state;
    ag_error err = {0};
    static sequences q;
    ag_plan plan = {0};
    ag_device *devices[] = {open_device("ref"), open_device("far")};
    for (uint64_t round = 0; round < (SLOW_BUILD ? 12 : 40); round++) {
        ag_rng r = ag_rng_at(2, AG_RNG_TEST, round, 0, 0, 0);
        random_sequences(&q, &r, round == 3 ? 0 : 1 + (int)ag_rng_below(&r, MAX_SEQUENCES),
                         1 + (int)ag_rng_below(&r, 40), 2 + (int)ag_rng_below(&r, 5));
        ag_forest f = make_forest(&q, 0, q.n, round % 3 != 0);
        must(ag_plan_forest(&plan, &f, &err));
        must(ag_plan_upload(&plan, devices[round / 5 % 2], &err));
        check_plan(&plan, &f);
        ag_forest_free(&f);
    }
    ag_plan_free(&plan);
    ag_device_close(devices[0]);
    ag_device_close(devices[1]);
}

static ag_status forest_work(void *context, ag_error *err)
{
    const sequences *q = context;
    ag_forest_builder b = {0};
    ag_forest f = {0};
    ag_plan plan = {0};
    ag_device *d = NULL;
    ag_status status = ag_device_ref_open(&d, err);
    for (int s = 0; s < q->n && status == AG_OK; s++)
        status = ag_forest_add(&b, q->tokens[s], q->count[s], q->wanted[s], s, true, q->count[s], err);
    if (status == AG_OK) status = ag_forest_finish(&f, &b, err);
    if (status == AG_OK) status = ag_plan_forest(&plan, &f, err);
    if (status == AG_OK) status = ag_plan_upload(&plan, d, err);
    ag_plan_free(&plan);
    ag_forest_free(&f);
    ag_forest_builder_free(&b);
    ag_device_close(d);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    static sequences q;
    ag_rng r = ag_rng_at(3, AG_RNG_TEST, 0, 0, 0, 0);
    random_sequences(&q, &r, 12, 40, 5);
    sweep_memory(forest_work, &q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_tries),
        cmocka_unit_test(test_share_some),
        cmocka_unit_test(test_plans),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
