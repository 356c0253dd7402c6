/* cuda.cu: the cuda backend's state, memory and table. The plugin's one way in is ag_device_cuda_open.
 *
 * Small uploads pass through a ring of pinned memory, so that the host need not wait for the stream; blocks come from the
 * driver's stream-ordered pool, which keeps what is given back, so that a step that allocates does not wait either.
 */
#include "device/cuda/attention.cuh"
#include "device/cuda/cuda.cuh"

#include <string.h>

enum { RING_BYTES = 8 << 20, RING_PIECE = 1 << 20, BACK_BYTES = 1 << 20, ALIGN = 256 };

ag_status ag_cuda_check(cudaError_t status, const char *what, ag_error *err)
{
    if (status == cudaSuccess) return AG_OK;
    cudaGetLastError(); /* or the next launch would be told of it again */
    return ag_fail(err, status == cudaErrorMemoryAllocation ? AG_ERR_MEMORY : AG_ERR_INTERNAL,
                   "device 'cuda': %s: %s", what, cudaGetErrorString(status));
}

ag_status ag_cuda_allow_shared(const void *kernel, size_t bytes, ag_error *err)
{
    return ag_cuda_check(
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes),
        "more shared memory for a block than the card has", err);
}

ag_status ag_cuda_wait(ag_cuda *c, ag_error *err)
{
    AG_TRY(ag_cuda_check(cudaStreamSynchronize(c->stream), "a kernel failed", err));
    c->pinned_used = 0;
    int32_t fault = *(volatile int32_t *)c->fault;
    if (!fault) return AG_OK;
    *c->fault = 0;
    return ag_fail(err, AG_ERR_INTERNAL, "token id %d is outside the vocabulary",
                   fault > 0 ? fault - 1 : fault);
}

static void take_back(ag_cuda *c, void *memory)
{
    if (memory && c->pools)
        cudaFreeAsync(memory, c->stream);
    else
        cudaFree(memory);
}

static ag_status get_memory(ag_cuda *c, void **memory, size_t bytes, const char *what, ag_error *err)
{
    if (bytes == 0) bytes = ALIGN;
    cudaError_t status = c->pools ? cudaMallocAsync(memory, bytes, c->stream) : cudaMalloc(memory, bytes);
    if (status == cudaSuccess) return AG_OK;
    *memory = NULL;
    cudaGetLastError(); /* clears it: the device goes on */
    if (status != cudaErrorMemoryAllocation) return ag_cuda_check(status, what, err);
    return ag_fail(
        err, AG_ERR_MEMORY,
        "out of device memory: %zu bytes for %s; lower micro_tokens or kv_slots (--kv-slots), or set "
        "recompute: head or layer",
        bytes, what);
}

ag_status ag_cuda_scratch(ag_device *d, ag_cuda_slot slot, size_t bytes, void **memory, ag_error *err)
{
    static const char *const names[] = {"logits", "gradient of logits", "partial sums",
                                        "workspace of products"};
    ag_cuda *c = ag_cuda_of(d);
    if (bytes > c->scratch_bytes[slot]) {
        if (c->recording)
            return ag_fail(err, AG_ERR_INTERNAL,
                           "device 'cuda': a recorded sequence wants more scratch memory");
        c->scratch_grown++;
        take_back(c, c->scratch[slot]);
        c->scratch[slot] = NULL;
        c->scratch_bytes[slot] = 0;
        AG_TRY(get_memory(c, &c->scratch[slot], bytes, names[slot], err));
        c->scratch_bytes[slot] = bytes;
    }
    *memory = c->scratch[slot];
    return AG_OK;
}

static ag_status cuda_alloc(ag_device *d, void **memory, size_t bytes, const char *what, ag_error *err)
{
    ag_cuda *c = ag_cuda_of(d);
    AG_TRY(get_memory(c, memory, bytes, what, err));
    return ag_cuda_check(cudaMemsetAsync(*memory, 0, bytes, c->stream), what, err);
}

static void cuda_release(ag_device *d, void *memory)
{
    if (memory) take_back(ag_cuda_of(d), memory);
}

static ag_status cuda_upload(ag_device *d, void *dst, const void *host, size_t bytes, ag_error *err)
{
    ag_cuda *c = ag_cuda_of(d);
    if (bytes == 0) return AG_OK;
    if (bytes > RING_PIECE) {
        AG_TRY(ag_cuda_check(cudaMemcpyAsync(dst, host, bytes, cudaMemcpyHostToDevice, c->stream), "upload",
                             err));
        return ag_cuda_wait(c, err); /* the host's memory may change after this */
    }
    if (c->pinned_used + bytes > RING_BYTES) AG_TRY(ag_cuda_wait(c, err));
    char *at = c->pinned + c->pinned_used;
    c->pinned_used += (bytes + ALIGN - 1) / ALIGN * ALIGN;
    memcpy(at, host, bytes);
    return ag_cuda_check(cudaMemcpyAsync(dst, at, bytes, cudaMemcpyHostToDevice, c->stream), "upload", err);
}

static ag_status cuda_download(ag_device *d, void *host, const void *src, size_t bytes, ag_error *err)
{
    ag_cuda *c = ag_cuda_of(d);
    if (bytes == 0) return AG_OK;
    void *to = bytes <= BACK_BYTES ? c->pinned_back : host;
    AG_TRY(
        ag_cuda_check(cudaMemcpyAsync(to, src, bytes, cudaMemcpyDeviceToHost, c->stream), "download", err));
    AG_TRY(ag_cuda_wait(c, err));
    if (to != host) memcpy(host, to, bytes);
    return AG_OK;
}

static ag_status cuda_copy(ag_device *d, void *dst, const void *src, size_t bytes, ag_error *err)
{
    if (bytes == 0) return AG_OK;
    return ag_cuda_check(cudaMemcpyAsync(dst, src, bytes, cudaMemcpyDeviceToDevice, ag_cuda_of(d)->stream),
                         "copy", err);
}

static ag_status cuda_zero(ag_device *d, void *dst, size_t bytes, ag_error *err)
{
    if (bytes == 0) return AG_OK;
    return ag_cuda_check(cudaMemsetAsync(dst, 0, bytes, ag_cuda_of(d)->stream), "zero", err);
}

/* What others hold is not to be had; what the pool keeps for this program is. */
static ag_status cuda_memory(ag_device *d, size_t *free, size_t *have, ag_error *err)
{
    ag_cuda *c = ag_cuda_of(d);
    size_t total;
    uint64_t kept = 0, used = 0;
    cudaMemPool_t pool;
    AG_TRY(ag_cuda_wait(c, err)); /* memory comes and goes in the order of the stream */
    AG_TRY(ag_cuda_check(cudaMemGetInfo(free, &total), "memory", err));
    if (c->pools) {
        AG_TRY(ag_cuda_check(cudaDeviceGetDefaultMemPool(&pool, c->card), "memory pool", err));
        AG_TRY(ag_cuda_check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReservedMemCurrent, &kept),
                             "memory pool", err));
        AG_TRY(ag_cuda_check(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used),
                             "memory pool", err));
    }
    *have = *free + kept;
    *free += kept - used;
    return AG_OK;
}

static size_t cuda_scratch(ag_device *d, const ag_scratch_shape *s)
{
    (void)d;
    return AG_CUDA_WORKSPACE + ag_cuda_head_bytes(s->rows, s->width, s->vocab) +
           ag_cuda_slices_bytes(s->rows, s->rows, s->heads, s->kv_heads, s->head_dim, 1);
}

static ag_status cuda_sync(ag_device *d, ag_error *err)
{
    return ag_cuda_wait(ag_cuda_of(d), err);
}

static void cuda_close(ag_device *d)
{
    ag_cuda *c = ag_cuda_of(d);
    if (c->stream) {
        cudaStreamSynchronize(c->stream);
        ag_cuda_graph_forget(d);
        ag_cuda_products_close(d);
        for (int i = 0; i < AG_CUDA_SLOTS; i++)
            if (c->scratch[i]) take_back(c, c->scratch[i]);
        if (c->finished) take_back(c, c->finished);
        cudaStreamSynchronize(c->stream);
        cudaStreamDestroy(c->stream);
    }
    cudaFreeHost(c->pinned);
    cudaFreeHost(c->pinned_back);
    cudaFreeHost(c->fault);
    ag_free(c);
    ag_free(d);
}

/* The card of that number among those that the runtime lists (CUDA_VISIBLE_DEVICES chooses). */
static ag_status find_card(ag_cuda *c, int card, ag_error *err)
{
    int count = 0, major = 0, minor = 0, pools = 0;
    cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess || count == 0)
        return ag_fail(err, AG_ERR_UNSUPPORTED, "device 'cuda': no usable card (%s); use --device cpu",
                       status == cudaSuccess ? "none is visible" : cudaGetErrorString(status));
    if (card >= count)
        return ag_fail(err, AG_ERR_UNSUPPORTED,
                       "device 'cuda:%d': %d card%s visible; start no more ranks than cards", card, count,
                       count == 1 ? " is" : "s are");
    c->card = card;
    AG_TRY(ag_cuda_check(cudaSetDevice(card), "cannot open the card", err));
    /* a host thread that waits gives its core to others: many small runs share one card (docs/PERFORMANCE.md); set before, the flag would
     * go to the first card and open it */
    AG_TRY(ag_cuda_check(cudaSetDeviceFlags(cudaDeviceScheduleYield), "cannot open the card", err));
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, card);
    cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, card);
    cudaDeviceGetAttribute(&c->processors, cudaDevAttrMultiProcessorCount, card);
    cudaDeviceGetAttribute(&c->shared_most, cudaDevAttrMaxSharedMemoryPerBlockOptin, card);
    cudaDeviceGetAttribute(&pools, cudaDevAttrMemoryPoolsSupported, card);
    if (major < 8)
        return ag_fail(err, AG_ERR_UNSUPPORTED,
                       "device 'cuda': the card has compute capability %d.%d; 8.0 or later is needed", major,
                       minor);
    c->pools = pools != 0;
    c->early = major >= 9;
    c->groups = major == 9;
    return AG_OK;
}

static ag_status open_stream(ag_cuda *c, ag_error *err)
{
    AG_TRY(ag_cuda_check(cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking), "stream", err));
    if (c->pools) { /* keep what is given back */
        cudaMemPool_t pool;
        uint64_t all = UINT64_MAX;
        AG_TRY(ag_cuda_check(cudaDeviceGetDefaultMemPool(&pool, c->card), "memory pool", err));
        AG_TRY(ag_cuda_check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &all),
                             "memory pool", err));
    }
    AG_TRY(ag_cuda_check(cudaMallocHost((void **)&c->pinned, RING_BYTES), "pinned memory", err));
    AG_TRY(ag_cuda_check(cudaMallocHost((void **)&c->pinned_back, BACK_BYTES), "pinned memory", err));
    AG_TRY(ag_cuda_check(cudaHostAlloc((void **)&c->fault, sizeof *c->fault, cudaHostAllocMapped),
                         "pinned memory", err));
    *c->fault = 0;
    AG_TRY(ag_cuda_check(cudaHostGetDevicePointer((void **)&c->fault_device, c->fault, 0), "pinned memory",
                         err));
    AG_TRY(get_memory(c, (void **)&c->finished, sizeof *c->finished, "counters", err));
    return ag_cuda_check(cudaMemsetAsync(c->finished, 0, sizeof *c->finished, c->stream), "counters", err);
}

extern "C" ag_status ag_device_cuda_open(ag_device **device, size_t table_bytes, int card, ag_error *err)
{
    *device = NULL;
    if (table_bytes != ag_device_table_bytes())
        return ag_fail(err, AG_ERR_UNSUPPORTED, "device 'cuda': the plugin belongs to another build of agrl");
    ag_device *d = (ag_device *)ag_calloc(1, sizeof *d);
    ag_cuda *c = (ag_cuda *)ag_calloc(1, sizeof *c);
    if (!d || !c) {
        ag_free(d);
        ag_free(c);
        return ag_fail_memory(err, "device");
    }
    d->impl = c;
    d->name = "cuda";
    d->real = AG_F32;
    d->kept_type = ag_cuda_kept_type;
    d->fast_bf16 = true;
    d->alloc = cuda_alloc;
    d->release = cuda_release;
    d->upload = cuda_upload;
    d->download = cuda_download;
    d->copy = cuda_copy;
    d->zero = cuda_zero;
    d->sync = cuda_sync;
    d->close = cuda_close;
    d->memory = cuda_memory;
    d->scratch = cuda_scratch;
    d->graph_begin = ag_cuda_graph_begin;
    d->graph_end = ag_cuda_graph_end;
    d->graph_forget = ag_cuda_graph_forget;
#define AG_FILL(op) d->op = ag_cuda_##op;
    AG_DEVICE_OPS(AG_FILL)
#undef AG_FILL
    ag_status status = find_card(c, card, err);
    if (status == AG_OK) status = open_stream(c, err);
    if (status == AG_OK) status = ag_cuda_products_open(d, err);
    if (status != AG_OK)
        cuda_close(d);
    else
        *device = d;
    return status;
}
