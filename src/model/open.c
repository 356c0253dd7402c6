/* open.c: see open.h. */
#include "model/open.h"

#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

ag_status ag_dtype_choose(ag_dtype *type, const char *name, const ag_device *device, ag_error *err)
{
    if (ag_streq(name, "bf16"))
        *type = AG_BF16;
    else if (ag_streq(name, "fp32"))
        *type = device->real;
    else if (!name || ag_streq(name, "auto"))
        *type = device->fast_bf16 ? AG_BF16 : device->real;
    else
        return ag_fail(err, AG_ERR_USAGE, "dtype must be auto, fp32 or bf16, not '%s'", name);
    return AG_OK;
}

ag_status ag_model_resolve(const char *name, char **path, ag_error *err)
{
    char *best = ag_path_join(name, "checkpoints/best");
    if (!best) return ag_fail_memory(err, "path");
    if (ag_path_is_dir(best)) {
        *path = best;
        return AG_OK;
    }
    ag_free(best);
    return ag_model_locate(name, path, err);
}

static ag_status read_adapter_config(const char *path, ag_model_options *options, char **base, ag_error *err)
{
    json_t *json = NULL;
    const char *name = NULL, *kind = NULL;
    long rank = 0;
    double alpha = 16;
    ag_status status = ag_json_load(&json, path, err);
    if (status == AG_OK) status = ag_json_get_string(json, "base_model_name_or_path", &name, path, err);
    if (status == AG_OK) status = ag_json_get_string(json, "peft_type", &kind, path, err);
    if (status == AG_OK) status = ag_json_get_int(json, "r", 1, 1024, &rank, path, err);
    if (status == AG_OK) status = ag_json_get_double(json, "lora_alpha", &alpha, path, err);
    if (status == AG_OK && (!name || !*name || !ag_streq(kind, "LORA") || rank == 0))
        status = ag_fail(err, AG_ERR_INPUT, "%s: not a LoRA adapter with a base model and a rank", path);
    if (status == AG_OK && options->lora_rank > 0 && options->lora_rank != rank)
        status = ag_fail(err, AG_ERR_USAGE, "%s: the adapter has rank %ld, not %d; set lora.rank to it", path,
                         rank, options->lora_rank);
    if (status == AG_OK) {
        options->lora_rank = (int)rank;
        options->lora_alpha = alpha;
        *base = ag_strdup(name);
        if (!*base) status = ag_fail_memory(err, "path");
    }
    json_decref(json);
    return status;
}

static ag_status load(ag_opened *o, const char *path, ag_device *device, const ag_model_options *options,
                      ag_error *err)
{
    ag_config config;
    ag_weights *weights = NULL;
    ag_status status = ag_weights_open(&weights, path, &config, err);
    if (status == AG_OK) status = ag_weights_tokenizer(weights, &o->tokenizer, err);
    if (status == AG_OK && ag_tokenizer_vocab(o->tokenizer) > config.vocab)
        status = ag_fail(err, AG_ERR_INPUT, "%s: the tokenizer has %d tokens, the model only %d", path,
                         ag_tokenizer_vocab(o->tokenizer), config.vocab);
    if (status == AG_OK) status = ag_model_create(&o->model, &config, device, options, err);
    if (status == AG_OK) status = ag_model_read(o->model, weights, err);
    ag_weights_close(weights);
    return status;
}

/* Names of what is to be opened; an adapter's base, rank and alpha come from its own file. */
static ag_status find(ag_opened *o, const char *name, ag_model_options *options, ag_error *err)
{
    *o = (ag_opened){0};
    AG_TRY(ag_model_resolve(name, &o->path, err));
    o->dir = ag_path_is_dir(o->path) ? ag_strdup(o->path) : ag_path_dir(o->path);
    char *config = ag_path_join(o->path, "adapter_config.json");
    ag_status status = o->dir && config ? AG_OK : ag_fail_memory(err, "path");
    if (status == AG_OK && ag_path_exists(config)) {
        status = read_adapter_config(config, options, &o->base, err);
        if (status == AG_OK) status = ag_model_resolve(o->base, &o->base_path, err);
    } else if (status == AG_OK) {
        o->base = ag_strdup(name);
        if (!o->base) status = ag_fail_memory(err, "path");
    }
    ag_free(config);
    return status;
}

static const char *weights_of(const ag_opened *o)
{
    return o->base_path ? o->base_path : o->path;
}

ag_status ag_model_open(ag_opened *o, const char *name, ag_device *device, const ag_model_options *wanted,
                        ag_error *err)
{
    ag_model_options options = *wanted;
    ag_status status = find(o, name, &options, err);
    if (status == AG_OK) status = load(o, weights_of(o), device, &options, err);
    if (status == AG_OK && o->base_path)
        status = ag_model_read_adapter(o->model, o->path, err);
    else if (status == AG_OK && options.lora_rank > 0)
        status = ag_model_randomize_lora(o->model, 0, err);
    if (status != AG_OK) ag_opened_close(o);
    return status;
}

ag_status ag_model_check(const char *name, const ag_model_options *wanted, ag_error *err)
{
    ag_opened o;
    ag_model_options options = *wanted;
    ag_weights *weights = NULL;
    ag_status status = find(&o, name, &options, err);
    if (status == AG_OK) status = ag_weights_open(&weights, weights_of(&o), NULL, err);
    ag_weights_close(weights);
    ag_opened_close(&o);
    return status;
}

void ag_opened_close(ag_opened *o)
{
    ag_model_free(o->model);
    ag_tokenizer_free(o->tokenizer);
    ag_free(o->dir);
    ag_free(o->base);
    ag_free(o->path);
    ag_free(o->base_path);
    *o = (ag_opened){0};
}
