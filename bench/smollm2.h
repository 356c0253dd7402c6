/* smollm2.h: the shape of SmolLM2-135M, which what is timed has. */
#ifndef AG_BENCH_SMOLLM2_H
#define AG_BENCH_SMOLLM2_H

#include "model/config.h"

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

#endif
