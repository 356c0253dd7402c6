/* config.h: the shape of a dense decoder-only transformer of the Llama family, and what it is read from.
 *
 * Families: llama (SmolLM2, Llama 3), qwen2 (biases on q, k, v), qwen3 (RMSNorm on each head of q and k).
 * Tied or untied head; grouped-query attention; RoPE with or without llama3 scaling. Anything else a
 * config.json asks for (sliding windows, experts, other activations, other scaling) is AG_ERR_UNSUPPORTED,
 * never ignored.
 */
#ifndef AG_MODEL_CONFIG_H
#define AG_MODEL_CONFIG_H

#include <stdbool.h>
#include "base/error.h"
#include "base/json.h"

typedef enum ag_family { AG_FAMILY_LLAMA, AG_FAMILY_QWEN2, AG_FAMILY_QWEN3 } ag_family;

typedef struct ag_config {
    ag_family family;
    int vocab, width, layers, heads, kv_heads, head_dim,
        ff; /* heads * head_dim may differ from width (qwen3) */
    int max_positions;
    double rope_theta;
    bool rope_llama3; /* llama3 scaling: */
    double rope_factor, rope_low, rope_high;
    int rope_original;
    double norm_eps;
    bool tied, qkv_bias, qk_norm;
    int bos, eos, pad; /* -1: none */
} ag_config;

/* Reads a Hugging Face config.json object; `where` names it in messages. Checks every size against overflow
 * and sense (positive, heads divisible by kv_heads, even head_dim, at most 2^20 vocab, 2^16 width, 1024
 * layers). */
ag_status ag_config_from_json(ag_config *config, const json_t *json, const char *where, ag_error *err);
/* The same bounds for a shape that came from elsewhere. */
ag_status ag_config_check(const ag_config *config, const char *where, ag_error *err);
/* A new config.json object (NULL: out of memory) that transformers loads (architectures, model_type,
 * torch_dtype...). */
json_t *ag_config_to_json(const ag_config *config, const char *torch_dtype);

/* Presets for training from scratch, by name: one row each (nano, micro, mini, small; widths 64 to 512).
 * vocab and token ids are filled by the caller. AG_ERR_USAGE names the nearest. */
ag_status ag_config_preset(ag_config *config, const char *name, ag_error *err);
/* Number of weights. */
long ag_config_parameters(const ag_config *config);

#endif
