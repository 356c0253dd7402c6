/* bench_products.cu: a card's matrix products one by one, without the host in between: every algorithm that cuBLASLt's heuristic offers for
 * the shapes of a transformer layer (SmolLM2-135M) at some numbers of rows, recorded as a graph over thirty layers' weights, so that
 * weights come from memory as they do in a model. Tells what the heuristic's first choice, which agrl takes, leaves on the table.
 *
 * usage: bench_products [ROWS...]      (default: 64 256 1024 32768)
 * A line an algorithm, the fastest first: microseconds a product, TFLOP/s, its place in the heuristic's list, tile, split of k, stages.
 */
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_runtime.h>

enum { LAYERS = 30, OFFERED = 24, SHOWN = 4, ROUNDS = 7, WORKSPACE = 32 << 20 };

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
    int place, tile, split, stages;
};

static int number_of(const cublasLtMatmulAlgo_t *algorithm, cublasLtMatmulAlgoConfigAttributes_t which)
{
    int value = -1;
    size_t written;
    cublasLtMatmulAlgoConfigGetAttribute(algorithm, which, &value, sizeof value, &written);
    return value;
}

/* y [m, n] fp32 (+)= x [m, k] w [n, k]', bf16: what ag_cuda_matmul is given. Column-major for cuBLAS: y' = w x'. */
struct shape {
    const char *name;
    int64_t n, k;
    bool accumulate;
};

static void measure(const shape &s, int64_t m)
{
    __nv_bfloat16 *x, *w;
    float *y;
    MUST(cudaMalloc(&x, m * s.k * 2));
    MUST(cudaMalloc(&w, (size_t)LAYERS * s.n * s.k * 2));
    MUST(cudaMalloc(&y, m * s.n * 4));
    MUST(cudaMemset(x, 0, m * s.k * 2));
    MUST(cudaMemset(w, 0, (size_t)LAYERS * s.n * s.k * 2));
    MUST(cudaMemset(y, 0, m * s.n * 4));
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t left, right, sum;
    cublasLtMatmulPreference_t wishes;
    cublasOperation_t transposed = CUBLAS_OP_T;
    uint64_t room = WORKSPACE;
    float one = 1, beta = s.accumulate;
    MUST(cublasLtMatmulDescCreate(&operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    MUST(cublasLtMatmulDescSetAttribute(operation, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                        sizeof transposed));
    MUST(cublasLtMatrixLayoutCreate(&left, CUDA_R_16BF, s.k, s.n, s.k));
    MUST(cublasLtMatrixLayoutCreate(&right, CUDA_R_16BF, s.k, m, s.k));
    MUST(cublasLtMatrixLayoutCreate(&sum, CUDA_R_32F, s.n, m, s.n));
    MUST(cublasLtMatmulPreferenceCreate(&wishes));
    MUST(cublasLtMatmulPreferenceSetAttribute(wishes, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &room,
                                              sizeof room));
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
        for (int layer = 0; layer < LAYERS; layer++)
            good = good && cublasLtMatmul(handle, operation, &one, w + layer * s.n * s.k, left, x, right,
                                          &beta, y, sum, y, sum, algorithm, workspace, WORKSPACE,
                                          stream) == CUBLAS_STATUS_SUCCESS;
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
        times.push_back({best * 1000 / LAYERS, place, number_of(algorithm, CUBLASLT_ALGO_CONFIG_TILE_ID),
                         number_of(algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM),
                         number_of(algorithm, CUBLASLT_ALGO_CONFIG_STAGES_ID)});
        cudaEventDestroy(begin), cudaEventDestroy(end), cudaGraphExecDestroy(launch), cudaGraphDestroy(graph);
    }
    std::stable_sort(times.begin(), times.end(),
                     [](const timing &a, const timing &b) { return a.microseconds < b.microseconds; });
    for (size_t i = 0; i < times.size(); i++)
        if (i < SHOWN || times[i].place == 0)
            printf("%-8s %6ld x %4ld x %4ld  %8.2f us  %6.1f TFLOP/s  place %2d  tile %3d  split %2d  stages "
                   "%2d\n",
                   s.name, (long)m, (long)s.n, (long)s.k, times[i].microseconds,
                   2e-6 * (double)m * (double)s.n * (double)s.k / times[i].microseconds, times[i].place,
                   times[i].tile, times[i].split, times[i].stages);
    cublasLtMatmulPreferenceDestroy(wishes);
    cublasLtMatrixLayoutDestroy(left), cublasLtMatrixLayoutDestroy(right), cublasLtMatrixLayoutDestroy(sum);
    cublasLtMatmulDescDestroy(operation);
    cudaFree(x), cudaFree(w), cudaFree(y);
}

int main(int argc, char **argv)
{
    static const shape shapes[] = {{"qkv", 960, 576, false},
                                   {"out", 576, 576, true},
                                   {"gate, up", 3072, 576, false},
                                   {"down", 576, 1536, true}};
    std::vector<int64_t> rows;
    for (int i = 1; i < argc; i++) rows.push_back(atol(argv[i]));
    if (rows.empty()) rows = {64, 256, 1024, 32768};
    MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    MUST(cublasLtCreate(&handle));
    MUST(cudaMalloc(&workspace, WORKSPACE));
    for (int64_t m : rows)
        for (const shape &s : shapes) measure(s, m);
    return 0;
}
