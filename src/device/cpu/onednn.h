/* onednn.h: products of one thread by oneDNN, versions 2.6 to 3. Nothing else of the program sees oneDNN's types.
 *
 * Its generated code keeps values below the stack pointer, so a signal handler that runs on a computing thread's stack makes
 * it compute wrong numbers and free wrong addresses (seen with 2.6.3): handlers must have a stack of their own, or signals a
 * thread of their own (cli/interrupt.h).
 */
#ifndef AG_DEVICE_CPU_ONEDNN_H
#define AG_DEVICE_CPU_ONEDNN_H

#include "device/device.h"

/* Whether this processor and this oneDNN multiply bf16 directly, and faster than fp32. */
bool ag_onednn_has_fast_bf16(void);

/* C = alpha op(A) op(B) (+ C) on floats, on the calling thread; x->type is not read. */
ag_status ag_onednn_f32(const ag_matmul_args *x, ag_error *err);

/* Products of bf16 of one shape: sums in fp32. */
typedef struct ag_onednn_product ag_onednn_product;
/* For m, n, k, lds and transposes of x, and whether plus is set; alpha is 1. On success *scratch is how many bytes each thread that runs
 * it at a time needs. */
ag_status ag_onednn_bf16_create(ag_onednn_product **product, const ag_matmul_args *x, size_t *scratch,
                                ag_error *err);
void ag_onednn_free(ag_onednn_product *product); /* NULL is fine */
/* On the calling thread; any number of threads at once. scratch: 64-byte aligned, the thread's own. */
ag_status ag_onednn_run(const ag_onednn_product *product, void *c, const void *a, const void *b,
                        void *scratch, ag_error *err);

#endif
