/* graph.cu: sequences of operations that come again, as CUDA graphs. The first time a key is seen its operations run as they come, so
 * that scratch memory and cuBLAS have what they need; the second time they are captured; from then on one launch issues them.
 */
#include "device/cuda/cuda.cuh"

#include <string.h>

static void drop(ag_cuda_graph *g)
{
    if (g->launch) cudaGraphExecDestroy(g->launch);
    *g = ag_cuda_graph();
}

/* The place of a key, or the one that was not used for longest, emptied. */
static ag_cuda_graph *place_of(ag_cuda *c, const void *key, size_t bytes)
{
    ag_cuda_graph *oldest = c->graphs;
    for (int i = 0; i < AG_CUDA_GRAPHS; i++) {
        ag_cuda_graph *g = &c->graphs[i];
        if (g->bytes == bytes && memcmp(g->key, key, bytes) == 0) return g;
        if (g->used < oldest->used) oldest = g;
    }
    drop(oldest);
    return oldest;
}

ag_status ag_cuda_graph_begin(ag_device *d, const void *key, size_t bytes, bool *replayed, ag_error *err)
{
    ag_cuda *c = ag_cuda_of(d);
    *replayed = false;
    if (bytes == 0 || bytes > AG_CUDA_KEY)
        return ag_fail(err, AG_ERR_INTERNAL, "device 'cuda': a key of %zu bytes", bytes);
    ag_cuda_graph *g = place_of(c, key, bytes);
    g->used = ++c->graph_clock;
    if (g->bytes == 0) {
        memcpy(g->key, key, bytes);
        g->bytes = bytes;
        return AG_OK;
    }
    if (g->launch && g->scratch == c->scratch_grown) {
        *replayed = true;
        return ag_cuda_check(cudaGraphLaunch(g->launch, c->stream), "a recorded sequence", err);
    }
    if (g->launch) cudaGraphExecDestroy(g->launch); /* not possible while the stream records */
    g->launch = NULL;
    AG_TRY(
        ag_cuda_check(cudaStreamBeginCapture(c->stream, cudaStreamCaptureModeThreadLocal), "recording", err));
    c->recording = g;
    return AG_OK;
}

ag_status ag_cuda_graph_end(ag_device *d, bool keep, ag_error *err)
{
    ag_cuda *c = ag_cuda_of(d);
    ag_cuda_graph *g = c->recording;
    cudaGraph_t graph = NULL;
    if (!g) return AG_OK;
    c->recording = NULL;
    g->scratch = c->scratch_grown;
    ag_status status = ag_cuda_check(cudaStreamEndCapture(c->stream, &graph), "recording", err);
    if (status == AG_OK && keep)
        status = ag_cuda_check(cudaGraphInstantiate(&g->launch, graph, 0), "recording", err);
    if (status == AG_OK && keep)
        status = ag_cuda_check(cudaGraphLaunch(g->launch, c->stream), "a recorded sequence", err);
    if (graph) cudaGraphDestroy(graph);
    if (status != AG_OK || !keep) drop(g);
    return status;
}

void ag_cuda_graph_forget(ag_device *d)
{
    ag_cuda *c = ag_cuda_of(d);
    for (int i = 0; i < AG_CUDA_GRAPHS; i++) drop(&c->graphs[i]);
}
