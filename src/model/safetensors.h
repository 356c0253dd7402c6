/* safetensors.h: the reader of one safetensors file that lies in memory. (The writer is in weights.h.)
 *
 * Format: 8 bytes length of the header, a JSON header {"name": {"dtype", "shape", "data_offsets": [from,
 * to]}}, then the data; offsets count from the end of the header, and the tensors cover the data without gap
 * or overlap.
 */
#ifndef AG_MODEL_SAFETENSORS_H
#define AG_MODEL_SAFETENSORS_H

#include "model/tensors.h"

/* Adds the tensors of the file at bytes[0..size) to the table. `path` names it in messages and must outlive
 * the table, as must the bytes. */
ag_status ag_safetensors_read(ag_tensors *table, const unsigned char *bytes, uint64_t size, const char *path,
                              ag_error *err);

#endif
