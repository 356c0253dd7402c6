/* bench_products.cu: a card's matrix products one by one, without the host in between: every algorithm that cuBLASLt's heuristic offers for
 * a model's products. Those of a layer are recorded as a graph over thirty layers' weights, so that they come from memory as they do
 * in a model. It tells what the heuristic's first choice leaves on the table; the rule of matmul.cu comes from here.
 *
 * usage: bench_products [-m SHAPE] [-g] [-n LINES] [ROWS...]
 * SHAPE: smollm2-135m, qwen2.5-0.5b or qwen3-0.6b; -g: gradients too, also of the head; -n: algorithms told of a product (4);
 * ROWS: 64 256 1024 32768. A line an algorithm, the fastest first: microseconds a product, TFLOP/s, its place in the heuristic's list,
 * tile, cluster, split of k, waves (tile and cluster as cublasLt.h numbers them). At last what all products take with the first
 * choices, and with the fastest.
 */
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <unistd.h>

#include "shapes.h"

enum { LAYERS = 30, OFFERED = 8, ROUNDS = 7, WORKSPACE = 32 << 20 };

static void must(bool good, const char *what)
{
    if (good) return;
    fprintf(stderr, "bench: %s: %s\n", what, cudaGetErrorString(cudaGetLastError()));
    exit(1);
}
#define MUST(call) must((int)(call) == 0, #call)

static cudaStream_t stream;
static cublasLtHandle_t handle;
static void *workspace;

struct timing {
    double microseconds;
    int place, tile, cluster, split;
    double waves;
};

static int number_of(const cublasLtMatmulAlgo_t *algorithm, cublasLtMatmulAlgoConfigAttributes_t which)
{
    int value = -1;
    size_t written;
    cublasLtMatmulAlgoConfigGetAttribute(algorithm, which, &value, sizeof value, &written);
    return value;
}

/* A weight [out, in], and what becomes of its outputs: bf16, fp32 (for the norms of heads), sums onto the residual stream, or logits, whose
 * product is a kernel of agrl's. */
enum outputs { BF16, FP32, ONTO, LOGITS };
struct weight {
    const char *name;
    int64_t out, in;
    outputs become;
};

/* What ag_cuda_matmul is given for it, row-major: y = x w' (+ y), dx = dy w, dw = dy' x + dw. */
enum direction { FORWARD, INPUTS, WEIGHTS };
static const char *const DIRECTIONS[] = {"forward", "inputs", "weights"};

/* Noise: zeros would need less power. */
static __global__ void fill(__nv_bfloat16 *x, size_t n)
{
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n;
         i += (size_t)gridDim.x * blockDim.x) {
        uint32_t h = (uint32_t)i * 2654435761u;
        h = (h ^ h >> 15) * 2246822519u;
        x[i] = __float2bfloat16((float)((h ^ h >> 13) & 0xffff) / 65536 - 0.5f);
    }
}

static __nv_bfloat16 *noise(size_t n)
{
    __nv_bfloat16 *x;
    MUST(cudaMalloc(&x, n * sizeof *x));
    fill<<<1024, 256, 0, stream>>>(x, n);
    return x;
}

static double total_first, total_best; /* microseconds */
static size_t lines = 4;

static void measure(const weight &s, direction way, int64_t rows)
{
    int64_t m = way == FORWARD ? s.out : s.in,
            n = way == WEIGHTS ? s.out : rows; /* of the sum, column-major as cuBLAS counts */
    bool onto = way == WEIGHTS || (way == FORWARD && s.become == ONTO),
         wide = onto || s.become == LOGITS || (way == FORWARD && s.become == FP32);
    int repeats = s.become == LOGITS ? 1 : LAYERS;
    __nv_bfloat16 *x = noise(rows * s.in), *dy = noise(rows * s.out),
                  *w = noise((size_t)repeats * s.out * s.in);
    float *y, *plus, *dw;
    MUST(cudaMalloc(&y, rows * std::max(s.in, s.out) * 4));
    MUST(cudaMalloc(&plus, rows * std::max(s.in, s.out) * 4));
    MUST(cudaMalloc(&dw, (size_t)repeats * s.out * s.in * 4));
    MUST(cudaMemset(plus, 0, rows * std::max(s.in, s.out) * 4));
    MUST(cudaMemset(dw, 0, (size_t)repeats * s.out * s.in * 4));
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t left, right, sum;
    cublasLtMatmulPreference_t wishes;
    cublasOperation_t left_as = way == FORWARD ? CUBLAS_OP_T : CUBLAS_OP_N,
                      right_as = way == WEIGHTS ? CUBLAS_OP_T : CUBLAS_OP_N;
    uint64_t room = WORKSPACE;
    float one = 1, beta = onto;
    MUST(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    MUST(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSA, &left_as, sizeof left_as));
    MUST(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSB, &right_as, sizeof right_as));
    int64_t right_rows = way == FORWARD ? s.in : s.out;
    MUST(cublasLtMatrixLayoutCreate(&left, CUDA_R_16BF, s.in, way == WEIGHTS ? rows : s.out, s.in));
    MUST(cublasLtMatrixLayoutCreate(&right, CUDA_R_16BF, right_rows, rows, right_rows));
    MUST(cublasLtMatrixLayoutCreate(&sum, wide ? CUDA_R_32F : CUDA_R_16BF, m, n, m));
    MUST(cublasLtMatmulPreferenceCreate(&wishes));
    MUST(cublasLtMatmulPreferenceSetAttribute(wishes, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &room,
                                              sizeof room));
    uint32_t parts = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE; /* as in matmul.cu */
    if (!wide)
        MUST(cublasLtMatmulPreferenceSetAttribute(wishes, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &parts,
                                                  sizeof parts));
    cublasLtMatmulHeuristicResult_t offered[OFFERED];
    int found = 0;
    MUST(cublasLtMatmulAlgoGetHeuristic(handle, operation, left, right, sum, sum, wishes, OFFERED, offered,
                                        &found));

    std::vector<timing> times;
    for (int place = 0; place < found; place++) {
        const cublasLtMatmulAlgo_t *algorithm = &offered[place].algo;
        cudaGraph_t graph;
        cudaGraphExec_t launch;
        cudaEvent_t begin, end;
        MUST(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
        bool good = true;
        for (int layer = 0; layer < repeats; layer++) {
            float *own = dw + layer * s.out * s.in, *to = way == WEIGHTS ? own : y;
            const float *from = way == WEIGHTS ? own : onto ? plus : y;
            good = good &&
                   cublasLtMatmul(handle, operation, &one, way == WEIGHTS ? x : w + layer * s.out * s.in,
                                  left, way == FORWARD ? x : dy, right, &beta, from, sum, to, sum, algorithm,
                                  workspace, WORKSPACE, stream) == CUBLAS_STATUS_SUCCESS;
        }
        MUST(cudaStreamEndCapture(stream, &graph));
        if (!good) continue;
        MUST(cudaGraphInstantiate(&launch, graph, 0));
        MUST(cudaEventCreate(&begin));
        MUST(cudaEventCreate(&end));
        float best = 1e30f;
        for (int round = 0; round < ROUNDS; round++) {
            float milliseconds;
            MUST(cudaEventRecord(begin, stream));
            MUST(cudaGraphLaunch(launch, stream));
            MUST(cudaEventRecord(end, stream));
            MUST(cudaEventSynchronize(end));
            MUST(cudaEventElapsedTime(&milliseconds, begin, end));
            if (round > 0) best = std::min(best, milliseconds);
        }
        times.push_back({best * 1000 / repeats, place, number_of(algorithm, CUBLASLT_ALGO_CONFIG_TILE_ID),
                         number_of(algorithm, CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID),
                         number_of(algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM), offered[place].wavesCount});
        cudaEventDestroy(begin), cudaEventDestroy(end), cudaGraphExecDestroy(launch), cudaGraphDestroy(graph);
    }
    std::stable_sort(times.begin(), times.end(),
                     [](const timing &a, const timing &b) { return a.microseconds < b.microseconds; });
    for (size_t i = 0; i < times.size(); i++) {
        if (i == 0) total_best += times[i].microseconds;
        if (times[i].place == 0) total_first += times[i].microseconds;
        if (i < lines || times[i].place == 0)
            printf("%-8s %-7s %6ld x %4ld x %4ld  %8.2f us  %6.1f TFLOP/s  place %2d  tile %3d  cluster %2d  "
                   "split %2d  waves %.3f\n",
                   s.name, DIRECTIONS[way], (long)rows, (long)s.out, (long)s.in, times[i].microseconds,
                   2e-6 * (double)rows * (double)s.out * (double)s.in / times[i].microseconds, times[i].place,
                   times[i].tile, times[i].cluster, times[i].split, times[i].waves);
    }
    cublasLtMatmulPreferenceDestroy(wishes);
    cublasLtMatrixLayoutDestroy(left), cublasLtMatrixLayoutDestroy(right), cublasLtMatrixLayoutDestroy(sum);
    cublasLtMatmulDescDestroy(operation);
    cudaFree(x), cudaFree(dy), cudaFree(w), cudaFree(y), cudaFree(plus), cudaFree(dw);
}

int main(int argc, char **argv)
{
    const char *name = "smollm2-135m";
    bool gradients = false;
    for (int option; (option = getopt(argc, argv, "m:gn:")) != -1;) {
        if (option == 'm') name = optarg;
        if (option == 'g') gradients = true;
        if (option == 'n') lines = (size_t)atol(optarg);
        if (option == '?') return 2;
    }
    const ag_config *c = shape_named(name);
    if (!c) {
        fprintf(stderr, "bench: no shape '%s'\n", name);
        return 2;
    }
    const weight weights[] = {
        {"qkv", (c->heads + 2 * c->kv_heads) * c->head_dim, c->width, c->qk_norm ? FP32 : BF16},
        {"out", c->width, c->heads * c->head_dim, ONTO},
        {"gate, up", 2 * c->ff, c->width, BF16},
        {"down", c->width, c->ff, ONTO},
        {"head", c->vocab, c->width, LOGITS}};
    std::vector<int64_t> rows;
    for (int i = optind; i < argc; i++) rows.push_back(atol(argv[i]));
    if (rows.empty()) rows = {64, 256, 1024, 32768};
    MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    MUST(cublasLtCreate(&handle));
    MUST(cudaMalloc(&workspace, WORKSPACE));
    for (int64_t m : rows) {
        total_first = total_best = 0;
        for (const weight &w : weights)
            for (int way = w.become == LOGITS ? INPUTS : FORWARD; way <= (gradients ? WEIGHTS : FORWARD);
                 way++)
                measure(w, (direction)way, m);
        printf("all at %ld rows: %.1f us with the first choices, %.1f with the fastest\n", (long)m,
               total_first, total_best);
    }
    return 0;
}
