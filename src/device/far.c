/* far.c: the `far` backend: ref over memory that host code cannot touch. Everything it allocates lies in one mapping that
 * is protected outside operations, so a host access to device memory is a crash in the tests rather than a bug on a GPU.
 */
#include "device/device.h"

#include <string.h>
#include <sys/mman.h>
#include "base/mem.h"

enum { FAR_ALIGN = 64 };
static const size_t FAR_BYTES = (size_t)2 << 30; /* reserved, not committed */

typedef struct far_state {
    ag_device *ref;
    char *base;
    size_t used;
    long live;
} far_state;

static far_state *far_of(ag_device *d)
{
    return d->impl;
}

static void far_guard(ag_device *d, int protection)
{
    far_state *f = far_of(d);
    size_t bytes = (f->used + 4095) / 4096 * 4096;
    if (bytes) mprotect(f->base, bytes, protection);
}

/* Memory is handed out in order; it is taken back all at once when the last block is released. */
static ag_status far_alloc(ag_device *d, void **memory, size_t bytes, const char *what, ag_error *err)
{
    far_state *f = far_of(d);
    bytes = (bytes + FAR_ALIGN - 1) / FAR_ALIGN * FAR_ALIGN;
    if (bytes > FAR_BYTES - f->used) return ag_fail(err, AG_ERR_MEMORY, "far device is full: %s", what);
    *memory = f->base + f->used;
    f->used += bytes;
    f->live++;
    far_guard(d, PROT_READ | PROT_WRITE);
    memset(*memory, 0, bytes);
    far_guard(d, PROT_NONE);
    return AG_OK;
}

static void far_release(ag_device *d, void *memory)
{
    far_state *f = far_of(d);
    if (memory && --f->live == 0) f->used = 0;
}

#define FAR_OP(op)                                                                                           \
    static ag_status far_##op(ag_device *d, const ag_##op##_args *args, ag_error *err)                       \
    {                                                                                                        \
        far_guard(d, PROT_READ | PROT_WRITE);                                                                \
        ag_status status = far_of(d)->ref->op(far_of(d)->ref, args, err);                                    \
        far_guard(d, PROT_NONE);                                                                             \
        return status;                                                                                       \
    }
AG_DEVICE_OPS(FAR_OP)
#undef FAR_OP

static ag_status far_move(ag_device *d, void *dst, const void *src, size_t bytes, ag_error *err)
{
    (void)err;
    if (bytes == 0) return AG_OK;
    far_guard(d, PROT_READ | PROT_WRITE);
    memmove(dst, src, bytes);
    far_guard(d, PROT_NONE);
    return AG_OK;
}

static ag_status far_zero(ag_device *d, void *dst, size_t bytes, ag_error *err)
{
    (void)err;
    far_guard(d, PROT_READ | PROT_WRITE);
    memset(dst, 0, bytes);
    far_guard(d, PROT_NONE);
    return AG_OK;
}

static ag_status far_sync(ag_device *d, ag_error *err)
{
    (void)d, (void)err;
    return AG_OK;
}

static void far_close(ag_device *d)
{
    far_state *f = far_of(d);
    if (f->base != MAP_FAILED) munmap(f->base, FAR_BYTES);
    ag_device_close(f->ref);
    ag_free(f);
    ag_free(d);
}

ag_status ag_device_far_open(ag_device **device, ag_error *err)
{
    ag_device *d = ag_calloc(1, sizeof *d);
    far_state *f = ag_calloc(1, sizeof *f);
    ag_status status = d && f ? ag_device_ref_open(&f->ref, err) : ag_fail_memory(err, "device");
    if (status == AG_OK) {
        f->base = mmap(NULL, FAR_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (f->base == MAP_FAILED) status = ag_fail_errno(err, "cannot reserve memory for", "far device");
    }
    if (status != AG_OK) {
        if (f) ag_device_close(f->ref);
        ag_free(f);
        ag_free(d);
        return status;
    }
    *d = (ag_device){.name = "far",
                     .real = AG_F32,
                     .impl = f,
                     .alloc = far_alloc,
                     .release = far_release,
                     .upload = far_move,
                     .download = far_move,
                     .copy = far_move,
                     .zero = far_zero,
                     .sync = far_sync,
                     .close = far_close,
#define AG_FILL(op) .op = far_##op,
                     AG_DEVICE_OPS(AG_FILL)
#undef AG_FILL
    };
    *device = d;
    return AG_OK;
}
