/* op_clock.h: how long each operation of a device takes: its table is replaced by one that looks at the clock before and after.
 *
 * One device a program. Operations of a card run behind the host's back: with op_clock_waits each is waited for, which tells what it takes
 * and slows the whole. One device a program. What lies outside of operations (the host's own work) is the caller's time less the sum.
 */
#ifndef AG_BENCH_OP_CLOCK_H
#define AG_BENCH_OP_CLOCK_H

#include <stdio.h>
#include <string.h>
#include "base/log.h"
#include "device/device.h"

enum { OP_PHASES = 3 };
enum {
#define OP_NUMBER(op) OP_##op,
    AG_DEVICE_OPS(OP_NUMBER)
#undef OP_NUMBER
        OPS
};

static const char *const op_names[OPS] = {
#define OP_NAME(op) #op,
    AG_DEVICE_OPS(OP_NAME)
#undef OP_NAME
};

static ag_device op_timed; /* the table as it was */
static bool op_clock_waits;
static int op_phase; /* what operations count for, below OP_PHASES */
static struct {
    double seconds[OPS], product_flops;
} op_spent[OP_PHASES];

static inline ag_status op_took(ag_device *d, int op, double start, ag_status status)
{
    ag_error ignored = {0};
    if (op_clock_waits) op_timed.sync(d, &ignored);
    op_spent[op_phase].seconds[op] += ag_clock() - start;
    return status;
}

#define OP_WRAP(op)                                                                                          \
    static inline ag_status op_clock_##op(ag_device *d, const ag_##op##_args *args, ag_error *err)           \
    {                                                                                                        \
        double start = ag_clock();                                                                           \
        return op_took(d, OP_##op, start, op_timed.op(d, args, err));                                        \
    }
AG_DEVICE_OPS(OP_WRAP)
#undef OP_WRAP

static inline ag_status op_clock_product(ag_device *d, const ag_matmul_args *args, ag_error *err)
{
    op_spent[op_phase].product_flops += 2.0 * (double)args->m * (double)args->n * (double)args->k;
    return op_clock_matmul(d, args, err);
}

static inline void op_clock_start(ag_device *d)
{
    op_timed = *d;
#define OP_REPLACE(op) d->op = op_clock_##op;
    AG_DEVICE_OPS(OP_REPLACE)
#undef OP_REPLACE
    d->matmul = op_clock_product;
    if (op_clock_waits) d->graph_begin = NULL; /* nothing is recorded: operations come one by one */
}

static inline void op_clock_reset(void)
{
    memset(op_spent, 0, sizeof op_spent);
}

/* Seconds of a phase's operations in all. */
static inline double op_clock_sum(int phase)
{
    double sum = 0;
    for (int op = 0; op < OPS; op++) sum += op_spent[phase].seconds[op];
    return sum;
}

/* One line: operations of a phase by time, those of a hundredth and more of `total` seconds; divided by `times`. */
static inline void op_clock_print(const char *what, int phase, double total, double times)
{
    double left = total - op_clock_sum(phase), *seconds = op_spent[phase].seconds;
    bool shown[OPS] = {false};
    printf("%-8s", what);
    for (;;) {
        int most = -1;
        for (int op = 0; op < OPS; op++)
            if (!shown[op] && (most < 0 || seconds[op] > seconds[most])) most = op;
        if (most < 0 || seconds[most] < 0.01 * total) break;
        shown[most] = true;
        printf(" %s %.2f", op_names[most], seconds[most] / times);
        if (most == OP_matmul) printf(" (%.0f GFLOP/s)", op_spent[phase].product_flops / seconds[most] / 1e9);
        putchar(',');
    }
    printf(" outside of operations %.2f\n", left / times);
}

#endif
