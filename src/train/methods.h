/* methods.h: the training methods as rows of one table over one code path (DESIGN.md section 6). */
#ifndef AG_TRAIN_METHODS_H
#define AG_TRAIN_METHODS_H

#include <stdbool.h>

#include "base/error.h"

/* What a method's steps are made of. A setting names the parts that read it, and a method has the settings of its parts. */
typedef enum ag_method_part {
    AG_METHOD_IMITATES = 1, /* cross-entropy of gold answers (sft.c) */
    AG_METHOD_SAMPLES = 2,  /* its own answers, a group to each prompt of the pool */
    AG_METHOD_ADVANTAGES =
        4,               /* rewards become advantages, and those a clipped surrogate (advantage.h, loss.h) */
    AG_METHOD_GATES = 8, /* the reward has the hard gate */
    AG_METHOD_REPLAYS = 16, /* prompts that keep failing are sampled with hints (replay.h) */
    AG_METHOD_WEIGHS = 32,  /* guided answers are weighed against plain ones (loss.h) */
    AG_METHOD_PREFERS = 64, /* pairs of a better and a worse answer (ag_preference_loss) */
    AG_METHOD_REFERS = 128  /* log-probabilities of the stage's first policy (reference.h) */
} ag_method_part;

/* Whose hints a method replays with. */
typedef enum ag_hint_source {
    AG_HINT_OWN,
    AG_HINT_SHUFFLED /* another prompt's: a control */
} ag_hint_source;

typedef struct ag_method {
    const char *name, *summary;
    int parts;   /* ag_method_part bits */
    bool shaped; /* criteria and rule have their terms in the reward, beside the tier */
    bool gate;   /* an answer whose tier or rule does not follow from its own verdicts is no success */
    bool pool;   /* learns from the gold of the pool: sft+ its examples, dpo-gold as the better of a pair */
    ag_hint_source hints;
} ag_method;

extern const ag_method ag_methods[]; /* ends with name NULL */
const ag_method *ag_method_find(const char *name);
/* AG_ERR_USAGE that lists the known methods. */
ag_status ag_method_unknown(const char *name, const char *where, ag_error *err);

#endif
