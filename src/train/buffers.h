/* buffers.h: device buffers of as many reals as a model trains, to and from a safetensors file: the optimizer's state, and the policy
 * that a stage began with. Private to train/.
 */
#ifndef AG_TRAIN_BUFFERS_H
#define AG_TRAIN_BUFFERS_H

#include "device/device.h"

typedef struct ag_buffer {
    const char *name;
    void *data; /* device real [count] */
} ag_buffer;

/* Written aside and renamed. AG_ERR_UNSUPPORTED on a device of doubles. */
ag_status ag_buffers_save(ag_device *device, const char *path, const ag_buffer *buffers, int n, int64_t count,
                          ag_error *err);
ag_status ag_buffers_load(ag_device *device, const char *path, const ag_buffer *buffers, int n, int64_t count,
                          ag_error *err);

#endif
