/* reference.c: see reference.h. */
#include "train/reference.h"

#include <stdio.h>
#include "base/file.h"
#include "base/mem.h"
#include "train/buffers.h"
#include "train/methods.h"

bool ag_reference_needed(const ag_stage *stage)
{
    int parts = ag_method_find(stage->method)->parts;
    return (parts & AG_METHOD_PREFERS) || ((parts & AG_METHOD_ADVANTAGES) && stage->beta > 0);
}

static char *file_of(const ag_trainer *t)
{
    char name[64];
    snprintf(name, sizeof name, "reference/stage-%d.safetensors", t->state.stage);
    return ag_path_join(t->settings->out, name);
}

static ag_status keep_weights(ag_trainer *t, const char *path, const ag_buffer *buffer, ag_error *err)
{
    ag_device *d = t->device;
    size_t n = (size_t)t->model->train_count;
    AG_TRY(d->zero(d, t->reference, n * ag_dtype_size(d->real), err));
    AG_TRY(d->axpy(d, &(ag_axpy_args){t->reference, t->optimizer.master, 1, (int64_t)n}, err));
    if (t->comm->rank > 0) return AG_OK; /* the file is for a run that is continued */
    char *dir = ag_path_dir(path);
    ag_status status = dir ? ag_dir_make(dir, err) : ag_fail_memory(err, "reference");
    if (status == AG_OK) status = ag_buffers_save(d, path, buffer, 1, (int64_t)n, err);
    ag_free(dir);
    return status;
}

ag_status ag_reference_begin(ag_trainer *t, const ag_stage *stage, ag_error *err)
{
    ag_device *d = t->device;
    size_t bytes = (size_t)t->model->train_count * ag_dtype_size(d->real);
    ag_reference_free(t);
    if (!ag_reference_needed(stage)) return AG_OK;
    char *path = file_of(t);
    ag_status status = path ? d->alloc(d, &t->reference, bytes, "reference policy", err)
                            : ag_fail_memory(err, "reference");
    const ag_buffer buffer = {"weights", t->reference};
    if (status == AG_OK)
        status = t->state.stage_step == 0 ? keep_weights(t, path, &buffer, err)
                                          : ag_buffers_load(d, path, &buffer, 1, t->model->train_count, err);
    ag_free(path);
    return status;
}

ag_status ag_reference_enter(ag_trainer *t, ag_error *err)
{
    return ag_optimizer_spread(&t->optimizer, t->reference, err);
}

ag_status ag_reference_leave(ag_trainer *t, ag_error *err)
{
    return ag_optimizer_spread(&t->optimizer, t->optimizer.master, err);
}

void ag_reference_free(ag_trainer *t)
{
    if (t->device) t->device->release(t->device, t->reference);
    t->reference = NULL;
}
