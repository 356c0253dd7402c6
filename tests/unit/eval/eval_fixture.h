/* eval_fixture.h: books and records made by hand, so that the tests of metrics need no file and no model. */
#ifndef EVAL_FIXTURE_H
#define EVAL_FIXTURE_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "eval/tally.h"

#define assert_near(a, b, tolerance)                                                                         \
    do {                                                                                                     \
        double near_a = (a), near_b = (b);                                                                   \
        if (!(fabs(near_a - near_b) <= (tolerance))) {                                                       \
            print_error("%s = %.12g, but %s = %.12g\n", #a, near_a, #b, near_b);                             \
            fail();                                                                                          \
        }                                                                                                    \
    } while (0)
#define assert_nan(a) assert_true(isnan(a))

static const char *const fixture_ids[] = {"t0", "t1", "t2", "t3", "t4", "t5", "t6"};

/* A book of up to 7 tiers; gains 2^k - 1, the upper half good; two criteria. */
typedef struct fixture_book {
    ag_book book;
    ag_tier tiers[7];
    ag_criterion criteria[2];
    ag_rule rules[2];
} fixture_book;

static inline void fixture_book_make(fixture_book *f, int tiers)
{
    memset(f, 0, sizeof *f);
    for (int k = 0; k < tiers; k++)
        f->tiers[k] = (ag_tier){fixture_ids[k], fixture_ids[k], exp2(tiers - 1 - k) - 1,
                                k < (tiers > 3 ? tiers / 2 : 1)};
    f->criteria[0] = (ag_criterion){.id = "cat", .name = "category"};
    f->criteria[1] = (ag_criterion){.id = "attr", .name = "requested attribute", .per_asked = true};
    f->rules[0] = (ag_rule){.id = "R1", .text = "A different need."};
    f->rules[1] = (ag_rule){.id = "R0", .text = "All is well."};
    f->book = (ag_book){.name = "fixture",
                        .version = "1.0",
                        .tiers = f->tiers,
                        .tier_count = tiers,
                        .criteria = f->criteria,
                        .criterion_count = 2,
                        .rules = f->rules,
                        .rule_count = 2};
}

/* A record with one sure tier (-1: none) and nothing else. */
static inline ag_record fixture_record(const char *query, int gold, int tier)
{
    ag_record r = {.id = "x",
                   .query = query,
                   .group = query,
                   .title = "title",
                   .gold = gold,
                   .tier = tier,
                   .answer_tier = -1,
                   .derived_tier = -1,
                   .gold_rule = -1,
                   .rule = -1};
    if (tier >= 0) r.probability[tier] = 1;
    return r;
}

static inline double metric_of(const ag_records *records, const char *name)
{
    ag_error err = {0};
    ag_estimate e;
    const ag_metric *metric = ag_metric_find(name);
    assert_non_null(metric);
    if (ag_metric_estimate(&e, metric, records, 0, 1, &err)) fail_msg("%s", err.message);
    return e.value;
}

#endif
