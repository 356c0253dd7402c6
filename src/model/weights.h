/* weights.h: named tensors in files: safetensors (one file or sharded by an index) and GGUF in, safetensors
 * out.
 *
 * A reader maps the files and hands out tensors by their Hugging Face name whatever the format. Every offset
 * and size is checked against the file before use. GGUF names become Hugging Face names, q and k rows of
 * llama-architecture GGUF files are put back from the interleaved to the half-split RoPE order, and quantised
 * blocks (Q8_0, Q4_0, Q4_1) are dequantised on reading.
 */
#ifndef AG_MODEL_WEIGHTS_H
#define AG_MODEL_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/error.h"
#include "model/config.h"
#include "text/tokenizer.h"

typedef struct ag_weights ag_weights;

/* A model by path: a folder (config.json with model.safetensors, or model.safetensors.index.json and shards;
 * or one .gguf file) or a .gguf file. Fills *config. Every tensor that the config asks for is there in the
 * right shape, and none that would change the model is left over. Nothing is read but headers; the files are
 * mapped, and must not be cut while they are. A .safetensors file by itself (an adapter, an optimizer's
 * state) gives its tensors only: *config is left as it is, config may be NULL, there is no tokenizer. */
ag_status ag_weights_open(ag_weights **weights, const char *path, ag_config *config, ag_error *err);
/* The tokenizer of the same path: tokenizer.json in the folder, or the GGUF's own vocabulary. */
ag_status ag_weights_tokenizer(const ag_weights *weights, ag_tokenizer **tokenizer, ag_error *err);
/* The chat template text comes with the tokenizer. */

/* Does the tensor exist? With its shape: rows (1 for vectors) and cols. */
bool ag_weights_find(const ag_weights *weights, const char *name, int64_t *rows, int64_t *cols);
/* Reads rows [row0, row0 + rows) of a tensor as float. Wrong shape (rows of the tensor != want_rows or cols
 * != want_cols), unknown type or absence is AG_ERR_INPUT naming file and tensor. `out` holds rows * cols
 * floats. */
ag_status ag_weights_read(const ag_weights *weights, const char *name, int64_t want_rows, int64_t want_cols,
                          int64_t row0, int64_t rows, float *out, ag_error *err);
/* Number of tensors and the i-th name (Hugging Face spelling; a GGUF tensor unknown to the mapping keeps its
 * own). */
int ag_weights_count(const ag_weights *weights);
const char *ag_weights_name(const ag_weights *weights, int i);
void ag_weights_close(ag_weights *weights);

/* Writing one safetensors file, streamed: declare every tensor, then write their data in the order declared.
 * Written aside and renamed by ag_weights_finish. Header keys are sorted by declaration; metadata {"format":
 * "pt"}; the data section starts at a multiple of 8 bytes. */
typedef enum ag_weights_type { AG_WEIGHTS_F32, AG_WEIGHTS_BF16 } ag_weights_type;
typedef struct ag_weights_out ag_weights_out;
ag_status ag_weights_create(ag_weights_out **out, const char *path, ag_error *err);
ag_status ag_weights_declare(ag_weights_out *out, const char *name, int64_t rows,
                             int64_t cols, /* rows 0: vector */
                             ag_weights_type type, ag_error *err);
/* n floats of the next declared tensor (may come in pieces); rounded to nearest even for BF16. */
ag_status ag_weights_write(ag_weights_out *out, const float *values, int64_t n, ag_error *err);
ag_status ag_weights_finish(ag_weights_out *out, ag_error *err); /* commits; frees in every case */
void ag_weights_abort(ag_weights_out *out);

/* Where pulled models live: $AGRL_HOME/models or ~/.cache/agrl/models; and the path of a model given by name,
 * folder or file. A known name that is not there yet is AG_ERR_INPUT "run: agrl pull NAME". *path:
 * ag_free. */
ag_status ag_model_locate(const char *name_or_path, char **path, ag_error *err);

#endif
