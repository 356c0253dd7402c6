/* methods.h: the training methods as rows of one table over one code path (DESIGN.md section 6). */
#ifndef AG_TRAIN_METHODS_H
#define AG_TRAIN_METHODS_H

#include <stdbool.h>

#include "base/error.h"

/* What a method's steps are made of; bits, because a setting may be of several. */
typedef enum ag_method_kind {
    AG_METHOD_SFT = 1,   /* gold answers */
    AG_METHOD_POLICY = 2 /* sampled answers and their rewards */
} ag_method_kind;

typedef struct ag_method {
    const char *name, *summary;
    ag_method_kind kind;
    bool shaped; /* criteria and rule have their terms in the reward, beside the tier */
    bool gate;   /* an answer whose tier does not follow from its own verdicts earns nothing */
} ag_method;

extern const ag_method ag_methods[]; /* ends with name NULL */
const ag_method *ag_method_find(const char *name);
/* AG_ERR_USAGE that lists the known methods. */
ag_status ag_method_unknown(const char *name, const char *where, ag_error *err);

#endif
