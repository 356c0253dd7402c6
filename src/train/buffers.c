/* buffers.c: see buffers.h. */
#include "train/buffers.h"

#include "base/mem.h"
#include "model/weights.h"

enum { PIECE = 1 << 22 };

ag_status ag_buffers_save(ag_device *d, const char *path, const ag_buffer *list, int n, int64_t count,
                          ag_error *err)
{
    ag_weights_out *out = NULL;
    float *values = ag_calloc(PIECE, sizeof *values);
    ag_status status = values ? AG_OK : ag_fail_memory(err, "checkpoint");
    if (status == AG_OK && d->real != AG_F32)
        status = ag_fail(err, AG_ERR_UNSUPPORTED, "checkpoints need a device of fp32");
    if (status == AG_OK) status = ag_weights_create(&out, path, err);
    for (int i = 0; i < n && status == AG_OK; i++)
        status = ag_weights_declare(out, list[i].name, 0, count, AG_WEIGHTS_F32, err);
    for (int i = 0; i < n && status == AG_OK; i++) {
        for (int64_t k = 0; k < count && status == AG_OK; k += PIECE) {
            int64_t piece = count - k < PIECE ? count - k : PIECE;
            status = d->download(d, values, (const float *)list[i].data + k, (size_t)piece * sizeof *values,
                                 err);
            if (status == AG_OK) status = ag_weights_write(out, values, piece, err);
        }
    }
    if (status == AG_OK)
        status = ag_weights_finish(out, err);
    else if (out)
        ag_weights_abort(out);
    ag_free(values);
    return status;
}

ag_status ag_buffers_load(ag_device *d, const char *path, const ag_buffer *list, int n, int64_t count,
                          ag_error *err)
{
    ag_weights *in = NULL;
    float *values = ag_calloc((size_t)count, sizeof *values);
    ag_status status = values ? ag_weights_open(&in, path, NULL, err) : ag_fail_memory(err, "checkpoint");
    for (int i = 0; i < n && status == AG_OK; i++) {
        status = ag_weights_read(in, list[i].name, 1, count, 0, 1, values, err);
        if (status == AG_OK) status = d->upload(d, list[i].data, values, (size_t)count * sizeof *values, err);
    }
    ag_weights_close(in);
    ag_free(values);
    return status;
}
