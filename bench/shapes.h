/* shapes.h: the shapes of models that are timed, with random weights, and what of their training is computed again. */
#ifndef AG_BENCH_SHAPES_H
#define AG_BENCH_SHAPES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model/model.h"

static const ag_config smollm2 = {.family = AG_FAMILY_LLAMA,
                                  .vocab = 49152,
                                  .width = 576,
                                  .layers = 30,
                                  .heads = 9,
                                  .kv_heads = 3,
                                  .head_dim = 64,
                                  .ff = 1536,
                                  .max_positions = 8192,
                                  .rope_theta = 100000,
                                  .norm_eps = 1e-5,
                                  .tied = true,
                                  .bos = -1,
                                  .eos = -1,
                                  .pad = -1};

static const ag_config qwen25 = {.family = AG_FAMILY_QWEN2,
                                 .vocab = 151936,
                                 .width = 896,
                                 .layers = 24,
                                 .heads = 14,
                                 .kv_heads = 2,
                                 .head_dim = 64,
                                 .ff = 4864,
                                 .max_positions = 32768,
                                 .rope_theta = 1000000,
                                 .norm_eps = 1e-6,
                                 .tied = true,
                                 .qkv_bias = true,
                                 .bos = -1,
                                 .eos = -1,
                                 .pad = -1};

static const ag_config qwen3 = {.family = AG_FAMILY_QWEN3,
                                .vocab = 151936,
                                .width = 1024,
                                .layers = 28,
                                .heads = 16,
                                .kv_heads = 8,
                                .head_dim = 128,
                                .ff = 3072,
                                .max_positions = 40960,
                                .rope_theta = 1000000,
                                .norm_eps = 1e-6,
                                .tied = true,
                                .qk_norm = true,
                                .bos = -1,
                                .eos = -1,
                                .pad = -1};

/* NULL: no such shape. */
static inline const ag_config *shape_named(const char *name)
{
    static const struct {
        const char *name;
        const ag_config *shape;
    } shapes[] = {{"smollm2-135m", &smollm2}, {"qwen2.5-0.5b", &qwen25}, {"qwen3-0.6b", &qwen3}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (strcmp(name, shapes[i].name) == 0) return shapes[i].shape;
    return NULL;
}

/* The programs' option -r. */
static inline ag_recompute recompute_named(const char *name)
{
    ag_recompute recompute;
    if (ag_recompute_named(&recompute, name)) return recompute;
    fprintf(stderr, "bench: -r is none, head or layer, not '%s'\n", name);
    exit(2);
}

#endif
