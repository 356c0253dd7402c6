/* Sessions against passes: log-probabilities from kept keys and values equal those of a pass over each
 * sequence by itself, whatever the tree, the chunks it is computed in, and what was kept, appended or
 * dropped before.
 */
#include "unit/model/fixture.h"

#include "model/session.h"

enum { VOCAB = 37 };

/* One device with a model and a session on trial; a pass on `ref` as judge. */
typedef struct bench {
    ag_device *d, *judge;
    ag_model *m, *judge_model;
    ag_pass *pass;
    ag_session *s;
} bench;

static bench open_bench(const char *device, tiny_kind kind, int32_t slots, int32_t max_rows)
{
    ag_error err = {0};
    bench b = {.d = open_device(device), .judge = open_device("ref")};
    b.m = tiny_model(b.d, kind, b.d->real, false);
    b.judge_model = tiny_model(b.judge, kind, AG_F32, false);
    b.pass = make_pass(b.judge_model, MAX_TOKENS, MAX_TOKENS, false, AG_RECOMPUTE_NONE);
    must(ag_session_create(&b.s, b.m, slots, max_rows, &err));
    return b;
}

static void close_bench(bench *b)
{
    ag_session_free(b->s);
    ag_pass_free(b->pass);
    ag_model_free(b->judge_model);
    ag_device_close(b->judge);
    ag_model_free(b->m);
    ag_device_close(b->d);
}

/* Log-probabilities of the wanted tokens of one sequence, by a pass over it alone. */
static void by_pass(bench *b, const int32_t *tokens, int32_t n, const uint8_t *wanted, double temperature,
                    double *logprob)
{
    ag_error err = {0};
    ag_forest_builder builder = {0};
    ag_forest f;
    must(ag_forest_add(&builder, tokens, n, wanted, 0, true, 0, &err));
    must(ag_forest_finish(&f, &builder, &err));
    must(ag_pass_forward(b->pass, &f, &err));
    must(ag_pass_logprob(b->pass, temperature, NULL, logprob, NULL, &err));
    ag_forest_free(&f);
    ag_forest_builder_free(&builder);
}

static void check_near(double got, double want, const char *what, int s, int t)
{
    if (!(fabs(got - want) <= 1e-5))
        fail_msg("%s: sequence %d, token %d: %.9g, expected %.9g", what, s, t, got, want);
}

/* ag_session_score over random batches, with stores and chunks of many sizes. */
static void test_score(void **state)
{
    ag_error err = {0};
    static sequences q;
    static const int32_t sizes[][2] = {/* slots, max_rows */ {60, 1},
                                       {60, 3},
                                       {45, 7},
                                       {70, 64},
                                       {2000, 16},
                                       {2000, 500}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        bench b = open_bench(*state, (tiny_kind)(i % TINY_KINDS), sizes[i][0], sizes[i][1]);
        for (uint64_t round = 0; round < 4; round++) {
            ag_rng r = ag_rng_at(21, AG_RNG_TEST, round, i, 0, 0);
            ag_query_sequence ask[MAX_SEQUENCES];
            double got[MAX_SEQUENCES][MAX_TOKENS], want[MAX_TOKENS];
            random_sequences(&q, &r, round == 0 ? 1 : 2 + (int)ag_rng_below(&r, SLOW_BUILD ? 10 : 30), 40,
                             VOCAB);
            if (round == 2) /* a common beginning of five tokens, the first of them wanted by nobody */
                for (int s = 0; s < q.n; s++) {
                    if (q.count[s] < 7) q.count[s] = 7;
                    memcpy(q.tokens[s], q.tokens[0], 5 * sizeof(int32_t));
                    memset(q.wanted[s], 0, 4);
                }
            for (int s = 0; s < q.n; s++)
                ask[s] = (ag_query_sequence){q.tokens[s], q.wanted[s], q.count[s], got[s]};
            must(ag_session_score(b.s, ask, (size_t)q.n, 0.9, &err));
            assert_int_equal(ag_session_free_slots(b.s), sizes[i][0]);
            for (int s = 0; s < q.n; s++) {
                int at = 0;
                by_pass(&b, q.tokens[s], q.count[s], q.wanted[s], 0.9, want);
                for (int t = 1; t < q.count[s]; t++)
                    if (q.wanted[s][t]) check_near(got[s][at], want[at], "score", s, t), at++;
            }
        }
        close_bench(&b);
    }
}

/* Forests below kept prefixes, one prefix below another, the same prefix again and again. */
static void test_kept_prefixes(void **state)
{
    ag_error err = {0};
    static sequences q;
    bench b = open_bench(*state, TINY_QWEN3, 400, 13);
    ag_rng r = ag_rng_at(22, AG_RNG_TEST, 0, 0, 0, 0);
    int32_t text[MAX_TOKENS], node[3], length[] = {0, 11, 30};
    for (int t = 0; t < MAX_TOKENS; t++) text[t] = (int32_t)ag_rng_below(&r, VOCAB);
    node[0] = -1;
    for (int k = 1; k < 3; k++) {
        must(ag_session_node(b.s, node[k - 1], length[k] - length[k - 1], &node[k], &err));
        must(ag_session_run(b.s, &(ag_run){node[k], text + length[k - 1], length[k] - length[k - 1], 0}, 1,
                            NULL, &err));
        assert_int_equal(ag_session_length(b.s, node[k]), length[k]);
    }
    for (uint64_t round = 0; round < 9; round++) {
        int k = (int)(round % 3);
        random_sequences(&q, &r, 7, 30, VOCAB);
        ag_forest f = make_forest(&q, 0, q.n, true);
        double *got = ag_calloc((size_t)f.target_count, sizeof *got), want[MAX_TOKENS];
        must(ag_session_forest(b.s, node[k], &f, 1, got, &err));
        for (int32_t t = 0; t < f.target_count; t++) {
            int32_t whole[MAX_TOKENS], n = length[k] + f.targets[t].index + 1;
            uint8_t wanted[MAX_TOKENS] = {0};
            memcpy(whole, text, (size_t)length[k] * sizeof *whole);
            memcpy(whole + length[k], q.tokens[f.targets[t].sample], (size_t)(n - length[k]) * sizeof *whole);
            wanted[n - 1] = 1;
            by_pass(&b, whole, n, wanted, 1, want);
            check_near(got[t], want[0], "forest below a prefix", f.targets[t].sample, f.targets[t].index);
        }
        assert_int_equal(ag_session_free_slots(b.s), 400 - length[2]);
        ag_free(got);
        ag_forest_free(&f);
    }
    close_bench(&b);
}

/* --- a tree grown step by step
 * ------------------------------------------------------------------------------- */
enum { MOST_NODES = 24, ROOM = 12, MOST_RUNS = 3 * MOST_NODES };

typedef struct tree_node {
    int parent, count, depth; /* tokens of its own; number of ancestors */
    bool closed;              /* has children: grows no more */
    int32_t id, tokens[ROOM];
} tree_node;

typedef struct tree {
    tree_node node[MOST_NODES];
    int n;
    ag_run runs[MOST_RUNS];
    int run_count;
    struct {
        int node, count;
    } row[MOST_NODES * ROOM]; /* wanted rows: the node and how many tokens it had by then */
    int rows;
} tree;

/* The tokens from the root to the first `count` of a node; returns their number. */
static int path_of(const tree *t, int node, int count, int32_t *tokens)
{
    int parent = t->node[node].parent, n = parent < 0 ? 0 : path_of(t, parent, t->node[parent].count, tokens);
    memcpy(tokens + n, t->node[node].tokens, (size_t)count * sizeof *tokens);
    return n + count;
}

/* Up to two runs that append to a node, then its children's. */
static void append_below(tree *t, ag_rng *r, int node)
{
    tree_node *n = &t->node[node];
    for (int k = 0; k < 2 && !n->closed; k++) {
        int take = (int)ag_rng_below(r, 5), want = (int)ag_rng_below(r, 3);
        if (take > ROOM - n->count) take = ROOM - n->count;
        for (int i = 0; i < take; i++) {
            n->tokens[n->count + i] = (int32_t)ag_rng_below(r, VOCAB);
            if (want == 2 || (want == 1 && i + 1 == take)) {
                t->row[t->rows].node = node;
                t->row[t->rows++].count = n->count + i + 1;
            }
        }
        t->runs[t->run_count++] = (ag_run){n->id, n->tokens + n->count, take, want};
        n->count += take;
    }
    for (int c = 0; c < t->n; c++)
        if (t->node[c].parent == node) append_below(t, r, c);
}

static void new_node(tree *t, bench *b, ag_rng *r)
{
    ag_error err = {0};
    int parent = (int)ag_rng_below(r, (uint32_t)t->n + 1) - 1;
    if (parent >= 0 && t->node[parent].depth == 5) parent = -1;
    if (parent >= 0) t->node[parent].closed = true;
    tree_node *n = &t->node[t->n++], *above = parent < 0 ? NULL : &t->node[parent];
    *n = (tree_node){.parent = parent, .depth = above ? above->depth + 1 : 0};
    must(ag_session_node(b->s, above ? above->id : -1, ROOM, &n->id, &err));
}

/* The rows that the last call kept: several targets each, or none; masked in some rounds, with entropy in
 * others. */
static void check_kept(const tree *t, bench *b, ag_rng *r, int32_t rows, bool masked)
{
    ag_error err = {0};
    enum { EACH = 3 };
    static int32_t first[MOST_NODES * ROOM + 1], token[MOST_NODES * ROOM * EACH], of_row[MOST_NODES * ROOM];
    static double got[MOST_NODES * ROOM * EACH], entropy[MOST_NODES * ROOM];
    uint32_t bits[2] = {~0u, 0x1f};
    assert_int_equal(rows, t->rows);
    for (int i = 0; i < rows; i++) {
        int count = (int)ag_rng_below(r, EACH + 1);
        first[i + 1] = first[i] + count;
        of_row[i] = i % 2 - 1;
        for (int k = first[i]; k < first[i + 1]; k++) token[k] = (int32_t)ag_rng_below(r, VOCAB);
    }
    must(ag_session_logprob(b->s, 1, first, token, masked ? &(ag_masks){of_row, bits, 1} : NULL, got,
                            masked ? entropy : NULL, &err));
    for (int i = 0; i < rows; i++) {
        for (int k = first[i]; k < first[i + 1]; k++) {
            int32_t path[MAX_TOKENS];
            uint8_t wanted[MAX_TOKENS] = {0};
            double want;
            int n = path_of(t, t->row[i].node, t->row[i].count, path);
            path[n] = token[k];
            wanted[n] = 1;
            by_pass(b, path, n + 1, wanted, 1, &want);
            check_near(got[k], want, "a row of the tree", i, n);
        }
    }
}

static void test_tree(void **state)
{
    ag_error err = {0};
    static const int32_t chunks[] = {1, 2, 5, 31, 400};
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        bench b = open_bench(*state, (tiny_kind)(i % TINY_KINDS), MOST_NODES * ROOM, chunks[i]);
        ag_rng r = ag_rng_at(23, AG_RNG_TEST, i, 0, 0, 0);
        for (int life = 0; life < 3; life++) {
            static tree t;
            memset(&t, 0, sizeof t);
            ag_session_mark mark = ag_session_here(b.s);
            while (t.n < MOST_NODES) {
                int32_t rows = -1;
                for (int k = 1 + (int)ag_rng_below(&r, 6); k > 0 && t.n < MOST_NODES; k--)
                    new_node(&t, &b, &r);
                t.rows = t.run_count = 0;
                for (int c = 0; c < t.n; c++)
                    if (t.node[c].parent < 0) append_below(&t, &r, c);
                must(ag_session_run(b.s, t.runs, t.run_count, &rows, &err));
                check_kept(&t, &b, &r, rows, t.n % 2);
            }
            assert_int_equal(ag_session_free_slots(b.s), 0);
            ag_session_reset(b.s, mark);
        }
        close_bench(&b);
    }
}

/* Calls that cannot be met say so; after a reset the session works as before. */
static void test_refusals(void **state)
{
    (void)state;
    ag_error err = {0};
    bench b = open_bench("cpu", TINY_LLAMA, 120, 8);
    static sequences q = {.n = 1, .count = {80}};
    int32_t node, more, text[110] = {0};
    ag_session_mark mark = ag_session_here(b.s);
    must(ag_session_node(b.s, -1, 100, &node, &err));
    assert_int_equal(ag_session_node(b.s, node, 21, &more, &err), AG_ERR_MEMORY);
    must(ag_session_node(b.s, node, 20, &more, &err));
    assert_int_equal(ag_session_run(b.s, &(ag_run){node, text, 101, 1}, 1, NULL, &err), AG_ERR_INTERNAL);
    assert_int_equal(ag_session_run(b.s, &(ag_run){node, text, 97, 1}, 1, NULL, &err),
                     AG_ERR_INPUT); /* 96 positions */
    text[9] = VOCAB;
    assert_int_equal(ag_session_run(b.s, &(ag_run){node, text, 10, 1}, 1, NULL, &err), AG_ERR_INPUT);
    text[9] = 0;
    ag_session_reset(b.s, mark);
    must(ag_session_node(b.s, -1, 60, &node, &err));
    must(ag_session_run(b.s, &(ag_run){node, text, 60, 0}, 1, NULL, &err));
    memset(q.wanted, 1, sizeof q.wanted);
    ag_forest f = make_forest(&q, 0, 1, true);
    double logprob[MAX_TOKENS];
    assert_int_equal(ag_session_forest(b.s, node, &f, 1, logprob, &err), AG_ERR_MEMORY);
    assert_int_equal(ag_session_free_slots(b.s), 60);
    ag_session_reset(b.s, mark);
    must(ag_session_forest(b.s, -1, &f, 1, logprob, &err));
    double want[MAX_TOKENS];
    by_pass(&b, q.tokens[0], 80, q.wanted[0], 1, want);
    for (int t = 0; t < 79; t++) check_near(logprob[t], want[t], "after a refusal", 0, t);
    ag_forest_free(&f);
    close_bench(&b);
}

static ag_status session_work(void *context, ag_error *err)
{
    bench *b = context;
    ag_session *s = NULL;
    static const int32_t tokens[2][9] = {{1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 2, 3, 9, 8, 7, 6, 5, 4}};
    static const uint8_t wanted[9] = {0, 0, 0, 0, 1, 0, 1, 1, 1};
    double logprob[2][9], drawn[80], uniform[80] = {0};
    int32_t id[80], node, rows = 0, long_text[80] = {0};
    ag_query_sequence ask[2] = {{tokens[0], wanted, 9, logprob[0]}, {tokens[1], wanted, 9, logprob[1]}};
    ag_status status = ag_session_create(&s, b->m, 100, 4, err);
    if (status == AG_OK) status = ag_session_score(s, ask, 2, 1, err);
    if (status == AG_OK) status = ag_session_node(s, -1, 80, &node, err);
    if (status == AG_OK)
        status = ag_session_run(s, &(ag_run){node, long_text, 80, 2}, 1, &rows, err); /* the kept rows grow */
    if (status == AG_OK) status = ag_session_sample(s, &(ag_draw){1, 0, 1, 0, uniform, NULL}, id, drawn, err);
    ag_session_free(s);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    bench b = open_bench("ref", TINY_LORA, 1, 1);
    sweep_memory(session_work, &b);
    close_bench(&b);
}

/* Takes a pattern of test names to run. */
int main(int argc, char **argv)
{
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    static char ref[] = "ref", cpu[] = "cpu", far[] = "far", cuda[] = "cuda";
    const struct CMUnitTest tests[] = {
        {"score/cpu", test_score, NULL, NULL, cpu},
        {"score/ref", test_score, NULL, NULL, ref},
        {"score/far", test_score, NULL, NULL, far},
        {"score/cuda", test_score, NULL, NULL, cuda},
        {"kept_prefixes/cpu", test_kept_prefixes, NULL, NULL, cpu},
        {"kept_prefixes/far", test_kept_prefixes, NULL, NULL, far},
        {"kept_prefixes/cuda", test_kept_prefixes, NULL, NULL, cuda},
        {"tree/cpu", test_tree, NULL, NULL, cpu},
        {"tree/far", test_tree, NULL, NULL, far},
        {"tree/cuda", test_tree, NULL, NULL, cuda},
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
