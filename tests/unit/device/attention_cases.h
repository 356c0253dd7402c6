/* Attention for the operations test: plans of causal text, of random forests, of decode steps over a store
 * with gaps, of rows that attend nothing; forward and backward. Tile lists are made here by looking at every
 * block, not by the code of model/.
 */
#ifndef AG_TESTS_ATTENTION_CASES_H
#define AG_TESTS_ATTENTION_CASES_H

#include "unit/device/ops_rig.h"

enum { MAX_BLOCKS = 4096 };

typedef struct host_plan {
    ag_attention_block blocks[MAX_BLOCKS];
    int32_t count, rows, keys;
} host_plan;

typedef struct device_plan {
    ag_attention_plan side[2];
} device_plan;

static void add_block(host_plan *p, int32_t q0, int32_t q1, int32_t k0, int32_t k1, int32_t diagonal)
{
    assert_true(p->count < MAX_BLOCKS);
    p->blocks[p->count++] = (ag_attention_block){q0, q1, k0, k1, diagonal};
}

static device_plan put_plan(rig *r, const host_plan *p)
{
    int32_t tiles = (p->rows + AG_ATTENTION_TILE - 1) / AG_ATTENTION_TILE, n = 0;
    int32_t *first = ag_calloc((size_t)tiles + 1, sizeof *first);
    int32_t *list = ag_calloc((size_t)tiles * (size_t)p->count, sizeof *list);
    for (int32_t t = 0; t < tiles; t++) {
        first[t] = n;
        for (int32_t b = 0; b < p->count; b++)
            if (p->blocks[b].q0 < (t + 1) * AG_ATTENTION_TILE && p->blocks[b].q1 > t * AG_ATTENTION_TILE)
                list[n++] = b;
    }
    first[tiles] = n;
    buffer blocks = ints(r, (const int32_t *)p->blocks, 5 * (int64_t)p->count),
           starts = ints(r, first, tiles + 1), lists = ints(r, list, n);
    device_plan out;
    for (int s = 0; s < 2; s++)
        out.side[s] = (ag_attention_plan){blocks.at[s], starts.at[s], lists.at[s], p->count,
                                          tiles,        p->rows,      p->keys,     p->rows};
    ag_free(first);
    ag_free(list);
    return out;
}

/* A random forest of n rows; runs without branches are one block, or (plain) every row is a block of its
 * own. */
static void forest_plan(rig *r, host_plan *p, int32_t n, int branch, bool plain)
{
    int32_t depth[1024], reach[1024];
    assert_true(n <= 1024);
    *p = (host_plan){.rows = n, .keys = n};
    for (int32_t i = 0; i < n;
         i++) /* mostly a chain; now and then back to some ancestor's child or a new root */
        depth[i] = i == 0 ? 0
                   : ag_rng_below(&r->rng, (uint32_t)branch)
                       ? depth[i - 1] + 1
                       : (int32_t)ag_rng_below(&r->rng, (uint32_t)depth[i - 1] + 2);
    for (int32_t i = 0; i < n; i++)
        for (reach[i] = i + 1; reach[i] < n && depth[reach[i]] > depth[i];) reach[i]++;
    for (int32_t i = 0; i < n;) {
        int32_t begin = i++;
        while (!plain && i < n && depth[i] == depth[i - 1] + 1 && reach[i] == reach[i - 1]) i++;
        add_block(p, begin, reach[begin], begin, i, 0);
    }
}

/* Rows of a decode step: a shared ancestor far away in the store, nested ones, and each row's own slots with
 * a history. */
static void decode_plan(rig *r, host_plan *p, int32_t samples, int32_t each, int32_t prompt)
{
    int32_t stride = 40 + each;
    *p = (host_plan){.rows = samples * each, .keys = 13 + 2 * prompt + samples * stride};
    add_block(p, 0, p->rows, 13, 13 + prompt, prompt);
    if (samples > 2) add_block(p, each, p->rows - each, 13 + prompt, 13 + 2 * prompt, prompt);
    for (int32_t i = 0; i < samples; i++) {
        int32_t before = (int32_t)ag_rng_below(&r->rng, 40), slot = 13 + 2 * prompt + i * stride;
        add_block(p, i * each, (i + 1) * each, slot, slot + before + each, before);
    }
}

/* The first and last rows attend nothing; two blocks overlap in their rows. */
static void sparse_plan(host_plan *p, int32_t rows)
{
    *p = (host_plan){.rows = rows, .keys = 400};
    add_block(p, 1, rows - 1, 7, 160, 0);
    add_block(p, rows / 3, rows - 2 > rows / 3 ? rows - 2 : rows / 3 + 1, 200, 331, 64);
}

/* More small blocks on one tile than are looked at together, and diagonals of all kinds; most rows attend nothing. */
static void crowded_plan(host_plan *p)
{
    static const int32_t diagonals[] = {0, 2, INT32_MAX, -3, INT32_MIN, -20, INT32_MAX - 5};
    enum { BLOCKS = 150, KEYS = 3, DIAGONALS = sizeof diagonals / sizeof *diagonals };
    *p = (host_plan){.rows = 4 * BLOCKS + 10, .keys = BLOCKS * KEYS};
    for (int32_t i = 0; i < BLOCKS; i++)
        add_block(p, i % 60, 64, i * KEYS, (i + 1) * KEYS, diagonals[i % DIAGONALS]);
}

static void make_plan(rig *r, host_plan *p, int which)
{
    switch (which) {
    case 0: forest_plan(r, p, 1, 2, false); break;
    case 1: forest_plan(r, p, SMALL_GRID ? 67 : 211, 1000000, false); break; /* one sequence */
    case 2: forest_plan(r, p, SMALL_GRID ? 70 : 193, 6, false); break;
    case 3: forest_plan(r, p, 130, 3, true); break;
    case 4: decode_plan(r, p, 7, 1, 150); break;
    case 5: decode_plan(r, p, 5, 17, 33); break;
    case 6: sparse_plan(p, 70); break;
    case 7: crowded_plan(p); break;
    default:
        forest_plan(r, p, SMALL_GRID ? 140 : 601, 40, false);
        break; /* more tiles than slices of the backward */
    }
}
enum { PLAN_COUNT = 9 };

typedef struct attention_case {
    host_plan host;
    device_plan plan;
    int heads, kv_heads, dim;
    int64_t q_ld, kv_ld, out_ld;
    buffer q, kv, out, lse;
    size_t v_at; /* bytes from k to v */
    ag_dtype out_type, in_type;
} attention_case;

/* q apart, k and v in one store as sessions keep them; keys that no block names are NaN. */
static void poison_unread_keys(attention_case *c, float *kv)
{
    for (int32_t key = 0; key < c->host.keys; key++) {
        bool read = false;
        for (int32_t b = 0; b < c->host.count && !read; b++) {
            const ag_attention_block *k = &c->host.blocks[b];
            int64_t end = (int64_t)k->k0 + k->diagonal + k->q1 - k->q0;
            read = key >= k->k0 && key < k->k1 && key < end;
        }
        for (int64_t j = 0; !read && j < c->kv_ld; j++) kv[key * c->kv_ld + j] = NAN;
    }
}

/* From WIDE_SHAPE on: bf16, rows as tensor cores want them; from LARGE_SHAPE on heads of more than 64, at LARGEST_SHAPE of 128. */
enum { WIDE_SHAPE = 5, LARGE_SHAPE = 8, LARGEST_SHAPE, SHAPE_COUNT };

/* The cases in parts, each a test of its own: under compute-sanitizer all of them together take longer than card.sh waits. */
typedef struct attention_part {
    int first, end; /* shapes */
    bool kept;      /* what goes in is of the type that the device on trial keeps */
} attention_part;
enum { FP32_PART, WIDE_PART, LARGE_PART, KEPT_PART };
static const attention_part ATTENTION_PARTS[] = {[FP32_PART] = {0, WIDE_SHAPE, false},
                                                 [WIDE_PART] = {WIDE_SHAPE, LARGE_SHAPE, false},
                                                 [LARGE_PART] = {LARGE_SHAPE, SHAPE_COUNT, false},
                                                 [KEPT_PART] = {WIDE_SHAPE, SHAPE_COUNT, true}};

static double attention_bound(int shape)
{
    return shape >= WIDE_SHAPE ? BF16_BOUND : FP32_BOUND;
}

/* What scores, and of one key dq, may be next to: sums of rounded terms of order one that cancel. */
static double attention_floor(int shape)
{
    return shape >= WIDE_SHAPE ? 2 : 0;
}

/* Combinations that say nothing new are left out where they are large. */
static bool left_out(int which, int shape, bool kept)
{
    return which >= PLAN_COUNT - 2 && shape > 1 && shape != WIDE_SHAPE && !(kept && shape == LARGEST_SHAPE);
}

static void make_attention(rig *r, attention_case *c, const char *op, int which, int shape, bool kept)
{
    static const int shapes[SHAPE_COUNT][3] = {/* heads, kv_heads, dim */ {1, 1, 8},
                                               {6, 2, 16},
                                               {3, 3, 10},
                                               {3, 1, 64},
                                               {4, 2, 24},
                                               {3, 1, 64},
                                               {2, 1, 16},
                                               {4, 2, 32},
                                               {1, 1, 96},
                                               {2, 2, 128}};
    bool wide = shape >= WIDE_SHAPE;
    ag_dtype type = shape == 2 || wide ? AG_BF16 : AG_F32;
    c->heads = shapes[shape][0], c->kv_heads = shapes[shape][1], c->dim = shapes[shape][2];
    c->out_type = type;
    c->in_type = kept ? ag_kept_type(r->d[1], type, c->dim) : AG_F32;
    make_plan(r, &c->host, which);
    LABEL(r, "%s plan %d (%d rows, %d keys, %d blocks), %d heads of %d on %d, %s%s", op, which, c->host.rows,
          c->host.keys, c->host.count, c->heads, c->dim, c->kv_heads, type == AG_BF16 ? "bf16" : "fp32",
          c->in_type == AG_BF16 ? ", of bf16" : "");
    c->plan = put_plan(r, &c->host);
    int64_t width = (int64_t)c->heads * c->dim, kv_width = (int64_t)c->kv_heads * c->dim;
    c->q_ld = width + (wide ? 8 : shape & 1 ? 5 : 0);
    c->kv_ld = 2 * kv_width + (wide ? 8 : shape & 1 ? 0 : 3);
    c->out_ld = width + (wide ? 8 : shape & 2 ? 4 : 0);
    c->v_at = (size_t)kv_width * ag_dtype_size(c->in_type);
    float *kv = ag_calloc((size_t)(c->host.keys * c->kv_ld), sizeof *kv);
    for (int64_t i = 0; i < c->host.keys * c->kv_ld; i++) kv[i] = (float)ag_rng_normal(&r->rng);
    poison_unread_keys(c, kv);
    uint16_t *narrow = ag_calloc((size_t)(c->host.keys * c->kv_ld), sizeof *narrow);
    for (int64_t i = 0; i < c->host.keys * c->kv_ld; i++) narrow[i] = ag_bf16_from_float(kv[i]);
    c->kv = rig_buffer(r, c->in_type, c->host.keys * c->kv_ld, c->in_type == AG_BF16 ? (void *)narrow : kv);
    ag_free(narrow);
    ag_free(kv);
    c->q = normals(r, c->in_type, c->host.rows * c->q_ld, 2);
    c->out = poison(r, type, c->host.rows * c->out_ld);
    c->lse = poison(r, AG_F32, (int64_t)c->heads * c->host.rows);
}

static void run_attention(rig *r, attention_case *c, bool lse)
{
    BOTH(r, attention, .out = c->out.at[s], .lse = lse ? c->lse.at[s] : NULL, .out_type = c->out_type,
         .in_type = c->in_type, .q = c->q.at[s], .k = c->kv.at[s], .v = (char *)c->kv.at[s] + c->v_at,
         .q_ld = c->q_ld, .kv_ld = c->kv_ld, .out_ld = c->out_ld, .heads = c->heads, .kv_heads = c->kv_heads,
         .head_dim = c->dim, .scale = 1 / sqrt((double)c->dim), .plan = &c->plan.side[s]);
}

static void attention_cases(rig *r)
{
    const attention_part *part = &ATTENTION_PARTS[r->part];
    attention_case *c = ag_calloc(1, sizeof *c);
    for (int which = 0; which < PLAN_COUNT; which++) {
        for (int shape = part->first; shape < part->end; shape++) {
            if (left_out(which, shape, part->kept)) continue;
            make_attention(r, c, "attention", which, shape, part->kept);
            run_attention(r, c, shape != 4);
            check_rows(r, "out", c->out, c->host.rows, (int64_t)c->heads * c->dim, c->out_ld,
                       attention_bound(shape), 0);
            if (shape != 4)
                check_rows(r, "lse", c->lse, 1, c->lse.n, c->lse.n, attention_bound(shape),
                           attention_floor(shape));
            rig_clear(r);
        }
    }
    ag_free(c);
}

static void attention_grad_cases(rig *r)
{
    const attention_part *part = &ATTENTION_PARTS[r->part];
    attention_case *c = ag_calloc(1, sizeof *c);
    for (int which = 0; which < PLAN_COUNT; which++) {
        for (int shape = part->first; shape < part->end; shape++) {
            if (left_out(which, shape, part->kept)) continue;
            make_attention(r, c, "attention_grad", which, shape, part->kept);
            run_attention(r, c, true);
            share(r, c->out);
            share(r, c->lse);
            int64_t rows = c->host.rows, keys = c->host.keys, width = (int64_t)c->heads * c->dim,
                    kv_width = (int64_t)c->kv_heads * c->dim, dout_ld = width + (shape >= WIDE_SHAPE ? 8 : 1);
            buffer dq = poison(r, c->in_type, rows * c->q_ld), dkv = poison(r, c->in_type, keys * c->kv_ld),
                   dout = normals(r, c->in_type, rows * dout_ld, 1);
            BOTH(r, attention_grad, .dq = dq.at[s], .dk = dkv.at[s], .dv = (char *)dkv.at[s] + c->v_at,
                 .dout = dout.at[s], .out = c->out.at[s], .lse = c->lse.at[s], .out_type = c->out_type,
                 .in_type = c->in_type, .q = c->q.at[s], .k = c->kv.at[s], .v = (char *)c->kv.at[s] + c->v_at,
                 .q_ld = c->q_ld, .kv_ld = c->kv_ld, .out_ld = c->out_ld, .dout_ld = dout_ld,
                 .heads = c->heads, .kv_heads = c->kv_heads, .head_dim = c->dim,
                 .scale = 1 / sqrt((double)c->dim), .plan = &c->plan.side[s]);
            double cancels = fmax(attention_floor(shape), CANCELS);
            check_rows(r, "dq", dq, rows, width, c->q_ld, attention_bound(shape), cancels);
            check_rows(r, "dk and dv", dkv, keys, 2 * kv_width, c->kv_ld, attention_bound(shape), cancels);
            rig_clear(r);
        }
    }
    ag_free(c);
}

#endif
