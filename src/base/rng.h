/* rng.h: counter-based random numbers (Philox4x32-10; Salmon et al., "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011). A stream is a pure function of (seed, purpose, four counters), so the same draw is the
 * same number whatever was drawn before it, on whichever thread or rank.
 */
#ifndef AG_BASE_RNG_H
#define AG_BASE_RNG_H

#include <stdint.h>

/* What a stream is for. Append only: the number is part of the bytes of every run. */
typedef enum ag_purpose {
    AG_RNG_INIT = 1,  /* weights from scratch                        */
    AG_RNG_SHUFFLE,   /* order of training examples                  */
    AG_RNG_SAMPLE,    /* sampled tokens                              */
    AG_RNG_SYNTH,     /* the generator of pairs                      */
    AG_RNG_SPLIT,     /* splits                                      */
    AG_RNG_HINT,      /* which prompts carry hints, and their levels */
    AG_RNG_BOOTSTRAP, /* intervals and tests                         */
    AG_RNG_REPLAY,    /* guided replay                               */
    AG_RNG_CHECK,     /* sampled checks (rules check, self tests)    */
    AG_RNG_TEST,      /* unit tests                                  */
    AG_RNG_SXS        /* side-by-side studies                        */
} ag_purpose;

typedef struct ag_rng {
    uint32_t key[2], counter[4];
    uint32_t out[4];
    int left;
} ag_rng;

/* A stream. Up to four counters name it (step, prompt, sample, position, ...). Each stream has 2^32 blocks. */
ag_rng ag_rng_at(uint64_t seed, ag_purpose purpose, uint64_t a, uint64_t b, uint64_t c, uint64_t d);
uint32_t ag_rng_u32(ag_rng *r);
uint64_t ag_rng_u64(ag_rng *r);
/* Uniform in [0, 1), 53 bits. */
double ag_rng_double(ag_rng *r);
/* Uniform in 0..n-1 without bias; n >= 1. */
uint32_t ag_rng_below(ag_rng *r, uint32_t n);
/* Standard normal (Box-Muller, both values of a pair come from one call each). */
double ag_rng_normal(ag_rng *r);
/* Fisher-Yates over indices. */
void ag_rng_shuffle(ag_rng *r, uint32_t *items, uint32_t n);
/* 64-bit hash of bytes (FNV-1a with a final mix), for naming streams by text. Not for adversaries. */
uint64_t ag_hash64(const void *bytes, uint64_t n);

#endif
