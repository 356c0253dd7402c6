/* open.h: a model and its tokenizer from what a person names: a pulled name, a Hugging Face folder, a GGUF file, a LoRA adapter
 * folder (its base comes with it), or a run folder (its best checkpoint).
 */
#ifndef AG_MODEL_OPEN_H
#define AG_MODEL_OPEN_H

#include "model/model.h"

typedef struct ag_opened {
    ag_model *model;
    ag_tokenizer *tokenizer;
    char *
        dir; /* the folder that holds it (of the adapter, if it is one): agrl.json and lexicon.json lie here */
    char *base;      /* what the weights were read from: an adapter's base, else as given */
    char *path;      /* the folder or .gguf file that was opened */
    char *base_path; /* an adapter's base, as a folder or file; else NULL */
} ag_opened;

/* The folder or file that a name stands for. *path: ag_free. */
ag_status ag_model_resolve(const char *name, char **path, ag_error *err);
/* options->type and lora as wanted; an adapter brings its own rank and alpha (a different wanted rank is AG_ERR_USAGE). */
ag_status ag_model_open(ag_opened *opened, const char *name, ag_device *device,
                        const ag_model_options *options, ag_error *err);
/* The same without reading weights, in an instant: is there a model of this name, with a head that can be read and a rank that fits? */
ag_status ag_model_check(const char *name, const ag_model_options *options, ag_error *err);
/* Releases the model before its device is closed. */
void ag_opened_close(ag_opened *opened);

/* SHA-256 (hex) of the model's files: weights, configuration, tokenizer, and those of an adapter's base. Reads all of them: seconds for
 * gigabytes. Names of folders, other files in them and times do not count. */
ag_status ag_opened_digest(char hex[65], const ag_opened *opened, ag_error *err);

/* "auto", "fp32", "bf16" as a type for this device. */
ag_status ag_dtype_choose(ag_dtype *type, const char *name, const ag_device *device, ag_error *err);

#endif
