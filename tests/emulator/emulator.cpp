/* emulator.cpp: fibers, barriers and shuffles; memory; matrix products. One host thread. */
#include "cublasLt.h"

#include <map>
#include <vector>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#else
#include <sanitizer/common_interface_defs.h>
#endif

dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace {

enum { STACK = SANITIZED ? 256 << 10 : 64 << 10, WARP = 32, MAX_THREADS = 1024 };

/* --- switching stacks --------------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
typedef void *context; /* a stack pointer, callee-saved registers pushed below it */
extern "C" void emulator_switch(context *from, context to);
__asm__(".text\n.globl emulator_switch\n.hidden emulator_switch\n.type emulator_switch, @function\nemulator_switch:\n"
        "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
        "movq %rsp, (%rdi)\nmovq %rsi, %rsp\n"
        "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n");
void make_context(context *c, char *stack, void (*start)())
{
    void **top = (void **)((uintptr_t)(stack + STACK) & ~(uintptr_t)15);
    *--top = NULL; /* where a call would have put its return address: keeps the alignment */
    *--top = (void *)start;
    for (int i = 0; i < 6; i++) *--top = NULL;
    *c = top;
}
#else
#include <ucontext.h>
typedef ucontext_t context;
void emulator_switch(context *from, context &to) { swapcontext(from, &to); }
void make_context(context *c, char *stack, void (*start)())
{
    getcontext(c);
    c->uc_stack.ss_sp = stack;
    c->uc_stack.ss_size = STACK;
    c->uc_link = NULL;
    makecontext(c, start, 0);
}
#endif

/* --- a block ------------------------------------------------------------------------------------------------------ */

enum state { READY, AT_BLOCK, AT_WARP, ENDED };

struct fiber {
    context at;
    state where;
    char *stack;
    void *fake; /* of the sanitizer */
};

struct warp {
    char lanes[2][WARP * EMULATOR_LANE_BYTES]; /* of this meeting and of the last one, which some may still read */
    int turn;
};

fiber fibers[MAX_THREADS];
warp warps[MAX_THREADS / WARP];
context scheduler;
#if SANITIZED
void *scheduler_fake;
const void *scheduler_stack;
size_t scheduler_size;
#endif
unsigned threads, current;
const std::function<void()> *body;
int block_votes, vote_result;
std::vector<char> shared_memory;

struct copy {
    void *to;
    const void *from;
    int bytes;
    bool is;
    unsigned group;
};

struct copies {
    std::vector<copy> open;
    unsigned group; /* that the next copy belongs to */
};
copies copies_of[MAX_THREADS];

[[noreturn]] void stop(const char *what)
{
    fprintf(stderr, "emulator: block (%u, %u, %u), thread %u: %s\n", blockIdx.x, blockIdx.y, blockIdx.z, current, what);
    abort();
}

void to_fiber(unsigned i)
{
    current = i;
    threadIdx = dim3(i, 0, 0);
#if SANITIZED
    __sanitizer_start_switch_fiber(&scheduler_fake, fibers[i].stack, STACK);
#endif
    emulator_switch(&scheduler, fibers[i].at);
#if SANITIZED
    __sanitizer_finish_switch_fiber(scheduler_fake, NULL, NULL);
#endif
}

void to_scheduler(bool for_good)
{
    fiber *f = &fibers[current];
    (void)for_good;
#if SANITIZED
    __sanitizer_start_switch_fiber(for_good ? NULL : &f->fake, scheduler_stack, scheduler_size);
#endif
    emulator_switch(&f->at, scheduler);
#if SANITIZED
    __sanitizer_finish_switch_fiber(f->fake, &scheduler_stack, &scheduler_size);
#endif
}

void run_fiber()
{
#if SANITIZED
    __sanitizer_finish_switch_fiber(NULL, &scheduler_stack, &scheduler_size);
#endif
    (*body)();
    fibers[current].where = ENDED;
    to_scheduler(true);
    abort();
}

/* True when a warp's lanes have met and go on. Lanes that ended cannot meet the others: on a card that would be undefined. */
bool warp_meets(unsigned w)
{
    unsigned first = w * WARP, waiting = 0, ended = 0;
    for (unsigned i = first; i < first + WARP; i++) {
        waiting += fibers[i].where == AT_WARP;
        ended += fibers[i].where == ENDED;
    }
    if (waiting == 0 || waiting + ended < WARP) return false;
    if (ended) stop("a shuffle or vote of a whole warp that some lanes have left");
    warps[w].turn ^= 1;
    for (unsigned i = first; i < first + WARP; i++) fibers[i].where = READY;
    return true;
}

bool block_meets()
{
    unsigned waiting = 0, ended = 0;
    for (unsigned i = 0; i < threads; i++) {
        waiting += fibers[i].where == AT_BLOCK;
        ended += fibers[i].where == ENDED;
    }
    if (waiting == 0 || waiting + ended < threads) return false;
    vote_result = block_votes;
    block_votes = 0;
    for (unsigned i = 0; i < threads; i++)
        if (fibers[i].where == AT_BLOCK) fibers[i].where = READY;
    return true;
}

void run_block(bool falling)
{
    memset(shared_memory.data(), 0xff, shared_memory.size());
    for (unsigned i = 0; i < threads; i++) {
        if (!fibers[i].stack) fibers[i].stack = (char *)malloc(STACK);
        fibers[i].where = READY;
        fibers[i].fake = NULL;
        make_context(&fibers[i].at, fibers[i].stack, run_fiber);
    }
    for (;;) {
        bool moved = false;
        for (unsigned k = 0; k < threads / WARP; k++) {
            unsigned w = falling ? threads / WARP - 1 - k : k;
            do { /* a warp goes on until it waits for others */
                for (unsigned j = 0; j < WARP; j++) {
                    unsigned i = w * WARP + (falling ? WARP - 1 - j : j);
                    if (fibers[i].where != READY) continue;
                    to_fiber(i);
                    moved = true;
                }
            } while (warp_meets(w));
        }
        if (block_meets()) continue;
        if (moved) continue;
        for (unsigned i = 0; i < threads; i++)
            if (fibers[i].where != ENDED || !copies_of[i].open.empty()) {
                current = i;
                stop(fibers[i].where != ENDED ? "waits for threads that never come" : "ended before its copies");
            }
        return;
    }
}

} // namespace

void emulator_misaligned(void)
{
    stop("a vector at an address that is no multiple of its size");
}

void *emulator_shared(void)
{
    return shared_memory.data();
}

int emulator_block(bool vote)
{
    block_votes += vote;
    fibers[current].where = AT_BLOCK;
    to_scheduler(false);
    return vote_result;
}

const char *emulator_warp(const void *mine, size_t n)
{
    warp *w = &warps[current / WARP];
    int turn = w->turn; /* flips when all have come */
    if (n > EMULATOR_LANE_BYTES) stop("too much for a lane");
    memcpy(w->lanes[turn] + current % WARP * EMULATOR_LANE_BYTES, mine, n);
    fibers[current].where = AT_WARP;
    to_scheduler(false);
    return w->lanes[turn];
}

/* --- copies ---------------------------------------------------------------------------------------------------------- */

/* A card may write at any time from here to the wait: what was there is gone at once, what comes is there at the end. */
void emulator_copy(void *to, const void *from, int bytes, bool is)
{
    if ((uintptr_t)to % bytes || (uintptr_t)from % bytes) emulator_misaligned();
    memset(to, 0xff, bytes);
    copies_of[current].open.push_back({to, from, bytes, is, copies_of[current].group});
}

void emulator_copies_close(void)
{
    copies_of[current].group++;
}

void emulator_copies_wait(int open)
{
    copies *c = &copies_of[current];
    std::vector<copy> rest;
    for (const copy &one : c->open) {
        if (c->group - one.group <= (unsigned)open)
            rest.push_back(one);
        else if (one.is)
            memcpy(one.to, one.from, one.bytes);
        else
            memset(one.to, 0, one.bytes);
    }
    c->open.swap(rest);
}

/* --- recording ------------------------------------------------------------------------------------------------------ */

struct emulator_graph {
    std::vector<std::function<void()>> work;
};

static emulator_graph *recorded;

bool emulator_record(const std::function<void()> &work)
{
    if (recorded) recorded->work.push_back(work);
    return recorded != NULL;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode)
{
    recorded = new emulator_graph;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t *graph)
{
    *graph = recorded;
    recorded = NULL;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *launch, cudaGraph_t graph, unsigned long long)
{
    *launch = new emulator_graph(*graph);
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t launch, cudaStream_t)
{
    for (const auto &work : launch->work) work();
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t launch)
{
    if (recorded) stop("a recording dropped while a stream records: that ends what it records");
    delete launch;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t)
{
    if (recorded) stop("waiting for a stream that records");
    return cudaSuccess;
}

/* --- launches ------------------------------------------------------------------------------------------------------- */

static bool awaited; /* the kernel before, by this block */

void cudaGridDependencySynchronize(void)
{
    awaited = true;
}

/* Dynamic shared memory that kernels may have. A block has 48 KiB without asking, of which what a kernel declares takes some. */
static std::map<const void *, size_t> allowed;
enum { UNASKED = 48 << 10, DECLARED = 16 << 10 };

cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute, int bytes)
{
    int most;
    cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0);
    if (bytes > most) return cudaErrorMemoryAllocation;
    allowed[kernel] = (size_t)bytes;
    return cudaSuccess;
}

void emulator_launch(const void *name, dim3 grid, dim3 block, size_t shared, const std::function<void()> &kernel)
{
    if (emulator_record([=] { emulator_launch(name, grid, block, shared, kernel); })) return;
    if (shared > UNASKED - DECLARED && (!allowed.count(name) || shared > allowed[name]))
        stop("more dynamic shared memory than the kernel was allowed (cudaFuncSetAttribute)");
    const char *order = getenv("AGRL_EMULATOR_ORDER");
    threads = block.x * block.y * block.z;
    if (block.y != 1 || block.z != 1 || threads % WARP || threads > MAX_THREADS) stop("blocks of whole warps in one row only");
    gridDim = grid;
    blockDim = block;
    body = &kernel;
    shared_memory.resize(shared + 16);
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                blockIdx = dim3(x, y, z);
                awaited = false;
                run_block(order && strcmp(order, "falling") == 0);
                if (!awaited) stop("a kernel that does not wait for the one before it (ag_after_previous)");
            }
}

cudaError_t emulator_get(void **memory, size_t bytes)
{
    if (recorded) stop("memory for a stream that records");
    if (posix_memalign(memory, 256, bytes ? bytes : 1) != 0) return *memory = NULL, cudaErrorMemoryAllocation;
    memset(*memory, 0xff, bytes);
    return cudaSuccess;
}

static float element(const void *x, cudaDataType type, size_t at)
{
    return type == CUDA_R_16BF ? __bfloat162float(((const __nv_bfloat16 *)x)[at]) : ((const float *)x)[at];
}

static void product(cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, float alpha, const void *a,
                    cudaDataType a_type, int lda, const void *b, cudaDataType b_type, int ldb, float beta, const void *c,
                    void *d, cudaDataType d_type, int ldd)
{
    std::vector<float> left((size_t)m * k); /* by rows of op(a) */
    for (int i = 0; i < m; i++)
        for (int p = 0; p < k; p++)
            left[(size_t)i * k + p] = element(a, a_type, ta == CUBLAS_OP_T ? (size_t)i * lda + p : (size_t)p * lda + i);
    std::vector<float> column(k);
    for (int j = 0; j < n; j++) {
        for (int p = 0; p < k; p++)
            column[p] = element(b, b_type, tb == CUBLAS_OP_T ? (size_t)p * ldb + j : (size_t)j * ldb + p);
        for (int i = 0; i < m; i++) {
            float sum[8] = {};
            const float *row = &left[(size_t)i * k];
            int p = 0;
            for (; p + 8 <= k; p += 8)
                for (int l = 0; l < 8; l++) sum[l] += row[p + l] * column[p + l];
            for (; p < k; p++) sum[0] += row[p] * column[p];
            float all = ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
            size_t to = (size_t)j * ldd + i;
            float value = alpha * all + (beta != 0 ? beta * element(c, d_type, to) : 0);
            if (d_type == CUDA_R_16BF)
                ((__nv_bfloat16 *)d)[to] = __float2bfloat16_rn(value);
            else
                ((float *)d)[to] = value;
        }
    }
}

cublasStatus_t cublasLtMatmulDescInit(cublasLtMatmulDesc_t d, cublasComputeType_t, cudaDataType scale)
{
    if (scale != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
    *d = {CUBLAS_OP_N, CUBLAS_OP_N};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t d, cublasLtMatmulDescAttributes_t which,
                                              const void *value, size_t bytes)
{
    cublasOperation_t *to = which == CUBLASLT_MATMUL_DESC_TRANSA ? &d->left : &d->right;
    if (bytes != sizeof *to) return CUBLAS_STATUS_NOT_SUPPORTED;
    memcpy(to, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutInit(cublasLtMatrixLayout_t l, cudaDataType type, uint64_t rows, uint64_t cols,
                                        int64_t ld)
{
    if (ld < (int64_t)rows) stop("a matrix whose columns overlap");
    *l = {type, rows, cols, ld};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceInit(cublasLtMatmulPreference_t p)
{
    *p = {0, {256, 256, 256, 256}};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t p,
                                                    cublasLtMatmulPreferenceAttributes_t which, const void *value,
                                                    size_t bytes)
{
    if (which == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK)
        return bytes == sizeof(uint32_t) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
    bool workspace = which == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
    if (bytes != (workspace ? sizeof p->workspace : sizeof *p->aligned)) return CUBLAS_STATUS_NOT_SUPPORTED;
    memcpy(workspace ? (void *)&p->workspace : (void *)&p->aligned[which], value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t wishes, int want,
                                              cublasLtMatmulHeuristicResult_t *found, int *count)
{
    bool left = operation->left == CUBLAS_OP_T, right = operation->right == CUBLAS_OP_T;
    *count = 0;
    if (want < 1 || (left ? a->cols : a->rows) != c->rows || (right ? b->rows : b->cols) != c->cols ||
        (left ? a->rows : a->cols) != (right ? b->cols : b->rows))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    static const struct {
        uint32_t tile, split;
        bool refused;
    } offers[] = {{0, 1, false},
                  {CUBLASLT_MATMUL_TILE_128x128, 1, true},
                  {CUBLASLT_MATMUL_TILE_128x160, 2, false},
                  {CUBLASLT_MATMUL_TILE_128x160, 1, false},
                  {CUBLASLT_MATMUL_TILE_128x128, 1, false}};
    for (; *count < want && *count < (int)(sizeof offers / sizeof *offers); ++*count) {
        cublasLtMatmulHeuristicResult_t *one = &found[*count];
        memcpy(one->algo.aligned, wishes->aligned, sizeof wishes->aligned);
        one->algo.m = c->rows;
        one->algo.n = c->cols;
        one->algo.tile = offers[*count].tile;
        one->algo.split = offers[*count].split;
        one->algo.refused = offers[*count].refused;
        one->state = one->algo.refused ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
        one->wavesCount = 0.5f; /* half of the processors work */
    }
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *algorithm,
                                                    cublasLtMatmulAlgoConfigAttributes_t which, void *value,
                                                    size_t bytes, size_t *written)
{
    uint32_t is = which == CUBLASLT_ALGO_CONFIG_TILE_ID ? algorithm->tile : algorithm->split;
    if (bytes != sizeof is) stop("an attribute of another size");
    memcpy(value, &is, bytes);
    *written = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

/* Which tile matmul.cu is to choose from the offers above, whose first keeps half of the processors busy: its rule once more, in the words of
 * docs/PERFORMANCE.md. */
static uint32_t tile_for(const cublasLtMatmulDescOpaque_t &operation, const cublasLtMatrixLayoutOpaque_t &operand,
                         const cublasLtMatrixLayoutOpaque_t &sum, float beta)
{
    int hopper, processors;
    cudaDeviceGetAttribute(&hopper, cudaDevAttrComputeCapabilityMajor, 0);
    cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, 0);
    bool added = beta != 0 && operation.left == CUBLAS_OP_T, leaves = sum.type == CUDA_R_16BF;
    if (hopper != 9 || operand.type != CUDA_R_16BF || operation.right == CUBLAS_OP_T || !(leaves || added)) return 0;
    uint64_t wide = leaves ? 160 : 128, tiles = (sum.rows + 127) / 128 * ((sum.cols + wide - 1) / wide), waves = 1;
    while (waves * processors < tiles) waves++;
    bool busy = sum.rows * sum.cols > 0.91 * 0.5 * waves * processors * 128 * wide;
    return !busy ? 0 : leaves ? CUBLASLT_MATMUL_TILE_128x160 : CUBLASLT_MATMUL_TILE_128x128;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t operation, const void *alpha, const void *a,
                              cublasLtMatrixLayout_t al, const void *b, cublasLtMatrixLayout_t bl, const void *beta,
                              const void *c, cublasLtMatrixLayout_t, void *d, cublasLtMatrixLayout_t dl,
                              const cublasLtMatmulAlgo_t *algorithm, void *, size_t, cudaStream_t)
{
    const void *const at[] = {a, b, c, d};
    for (int i = 0; i < 4; i++)
        if ((uintptr_t)at[i] % algorithm->aligned[i]) stop("an algorithm for better aligned matrices");
    if (algorithm->refused) stop("an algorithm that does not support the product");
    if (algorithm->tile != tile_for(*operation, *al, *dl, *(const float *)beta) || algorithm->split > 1)
        stop("another algorithm than the rule's");
    if (algorithm->m != dl->rows || algorithm->n != dl->cols) stop("an algorithm of another shape");
    float by = *(const float *)alpha, keep = *(const float *)beta;
    cublasLtMatmulDescOpaque_t o = *operation;
    cublasLtMatrixLayoutOpaque_t x = *al, y = *bl, z = *dl;
    int k = (int)(o.left == CUBLAS_OP_T ? x.rows : x.cols);
    auto work = [=] {
        product(o.left, o.right, (int)z.rows, (int)z.cols, k, by, a, x.type, (int)x.ld, b, y.type, (int)y.ld, keep, c, d,
                z.type, (int)z.ld);
    };
    if (!emulator_record(work)) work();
    return CUBLAS_STATUS_SUCCESS;
}
