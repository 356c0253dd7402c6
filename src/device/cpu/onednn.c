/* onednn.c: products of one thread by oneDNN. oneDNN keeps made primitives itself, so making one of a known shape costs
 * microseconds and nothing is kept here.
 */
#include "device/cpu/onednn.h"

#include <dnnl.h>
#include <omp.h>
#include <string.h>
#include "base/mem.h"

/* Version 2 passes descriptions of memory by value, version 3 by handle. */
#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t description;
typedef const_dnnl_memory_desc_t description_view;
#define DESCRIBE(md, dims, n, type, strides) dnnl_memory_desc_create_with_strides(md, n, dims, type, strides)
#define FORGET(md)                           dnnl_memory_desc_destroy(md)
#define VIEW(md)                             (md)
#else
typedef dnnl_memory_desc_t description;
typedef const dnnl_memory_desc_t *description_view;
#define DESCRIBE(md, dims, n, type, strides) dnnl_memory_desc_init_by_strides(md, n, dims, type, strides)
#define FORGET(md)                           ((void)(md))
#define VIEW(md)                             (&(md))
#endif

enum { A, B, C, SCRATCH, PARTS };

struct ag_onednn_product {
    dnnl_engine_t engine;
    dnnl_primitive_t primitive;
    description part[PARTS];
    int described;
};

/* AMX multiplies bf16 at many times fp32's rate. AVX512-BF16 does so at twice fp32's on AMD's processors; Intel's, when the machine
 * hides AMX from its guests, take two cycles for a dot product, and two fp32 ones run in each cycle (docs/PERFORMANCE.md).
 */
bool ag_onednn_has_fast_bf16(void)
{
    /* Each set of instructions contains the bits of those before it. */
    int isa = (int)dnnl_get_effective_cpu_isa(), amx = dnnl_cpu_isa_avx512_core_amx,
        bf16 = dnnl_cpu_isa_avx512_core_bf16;
    return (isa & amx) == amx || ((isa & bf16) == bf16 && __builtin_cpu_is("amd"));
}

static ag_status failed(const ag_matmul_args *x, dnnl_status_t status, ag_error *err)
{
    return ag_fail(err, status == dnnl_out_of_memory ? AG_ERR_MEMORY : AG_ERR_INTERNAL,
                   "oneDNN product of %lld x %lld x %lld failed with status %d", (long long)x->m,
                   (long long)x->n, (long long)x->k, (int)status);
}

ag_status ag_onednn_f32(const ag_matmul_args *x, ag_error *err)
{
    dnnl_status_t status = dnnl_sgemm(x->transpose_a ? 'T' : 'N', x->transpose_b ? 'T' : 'N', x->m, x->n,
                                      x->k, (float)x->alpha, x->a, x->lda, x->b, x->ldb,
                                      x->plus ? 1.0f : 0.0f, x->c, x->ldc);
    return status == dnnl_success ? AG_OK : failed(x, status, err);
}

/* A primitive for this product, made for one thread, which brings its own scratch memory. */
static dnnl_status_t make(ag_onednn_product *p, const ag_matmul_args *x, size_t *scratch)
{
    dnnl_primitive_desc_t described = NULL;
    dnnl_primitive_attr_t attributes = NULL;
    dnnl_post_ops_t after = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(&attributes);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user);
    if (status == dnnl_success && x->plus) status = dnnl_post_ops_create(&after);
#if DNNL_VERSION_MAJOR >= 3
    if (status == dnnl_success && after) status = dnnl_post_ops_append_sum(after, 1, 0, dnnl_data_type_undef);
    if (status == dnnl_success && after) status = dnnl_primitive_attr_set_post_ops(attributes, after);
    if (status == dnnl_success)
        status = dnnl_matmul_primitive_desc_create(&described, p->engine, p->part[A], p->part[B], NULL,
                                                   p->part[C], attributes);
#else
    dnnl_matmul_desc_t matmul;
    if (status == dnnl_success && after) status = dnnl_post_ops_append_sum(after, 1);
    if (status == dnnl_success && after) status = dnnl_primitive_attr_set_post_ops(attributes, after);
    if (status == dnnl_success)
        status = dnnl_matmul_desc_init(&matmul, &p->part[A], &p->part[B], NULL, &p->part[C]);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&described, &matmul, attributes, p->engine, NULL);
#endif
    if (status == dnnl_success) {
        description_view pad = dnnl_primitive_desc_query_md(described, dnnl_query_scratchpad_md, 0);
        int64_t bytes = pad ? (int64_t)dnnl_memory_desc_get_size(pad) : 0;
        *scratch = (size_t)bytes;
        status = DESCRIBE(&p->part[SCRATCH], (dnnl_dims_t){bytes}, 1, dnnl_u8, (dnnl_dims_t){1});
    }
    if (status == dnnl_success) {
        p->described = PARTS;
        status = dnnl_primitive_create(&p->primitive, described);
    }
    if (described) dnnl_primitive_desc_destroy(described);
    if (after) dnnl_post_ops_destroy(after);
    if (attributes) dnnl_primitive_attr_destroy(attributes);
    return status;
}

ag_status ag_onednn_bf16_create(ag_onednn_product **product, const ag_matmul_args *x, size_t *scratch,
                                ag_error *err)
{
    ag_onednn_product *p = ag_calloc(1, sizeof *p);
    *product = NULL;
    if (!p) return ag_fail_memory(err, "a product");
    const struct {
        dnnl_dims_t size, stride;
        dnnl_data_type_t type;
    } parts[] = {{{x->m, x->k}, {x->transpose_a ? 1 : x->lda, x->transpose_a ? x->lda : 1}, dnnl_bf16},
                 {{x->k, x->n}, {x->transpose_b ? 1 : x->ldb, x->transpose_b ? x->ldb : 1}, dnnl_bf16},
                 {{x->m, x->n}, {x->ldc, 1}, dnnl_f32}};
    int threads = omp_get_max_threads();
    omp_set_num_threads(1); /* a primitive is planned for as many threads as there are when it is made */
    dnnl_status_t status = dnnl_engine_create(&p->engine, dnnl_cpu, 0);
    for (int i = A; i <= C && status == dnnl_success; i++) {
        status = DESCRIBE(&p->part[i], parts[i].size, 2, parts[i].type, parts[i].stride);
        if (status == dnnl_success) p->described = i + 1;
    }
    if (status == dnnl_success) status = make(p, x, scratch);
    omp_set_num_threads(threads);
    if (status != dnnl_success) {
        ag_onednn_free(p);
        return failed(x, status, err);
    }
    *product = p;
    return AG_OK;
}

void ag_onednn_free(ag_onednn_product *p)
{
    if (!p) return;
    if (p->primitive) dnnl_primitive_destroy(p->primitive);
    for (int i = 0; i < p->described; i++) FORGET(p->part[i]);
    if (p->engine) dnnl_engine_destroy(p->engine);
    ag_free(p);
}

ag_status ag_onednn_run(const ag_onednn_product *p, void *c, const void *a, const void *b, void *scratch,
                        ag_error *err)
{
    static const int names[PARTS] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, DNNL_ARG_SCRATCHPAD};
    void *const memory[PARTS] = {(void *)a, (void *)b, c, scratch};
    dnnl_exec_arg_t args[PARTS];
    dnnl_stream_t stream = NULL;
    int made = 0;
    dnnl_status_t status = dnnl_stream_create(&stream, p->engine, dnnl_stream_default_flags);
    for (; made < PARTS && status == dnnl_success; made += status == dnnl_success) {
        args[made].arg = names[made];
        status = dnnl_memory_create(&args[made].memory, VIEW(p->part[made]), p->engine, memory[made]);
    }
    if (status == dnnl_success) status = dnnl_primitive_execute(p->primitive, stream, PARTS, args);
    if (status == dnnl_success) status = dnnl_stream_wait(stream);
    while (made > 0) dnnl_memory_destroy(args[--made].memory);
    if (stream) dnnl_stream_destroy(stream);
    return status == dnnl_success
               ? AG_OK
               : ag_fail(err, status == dnnl_out_of_memory ? AG_ERR_MEMORY : AG_ERR_INTERNAL,
                         "oneDNN could not run a product of bf16: status %d", (int)status);
}
