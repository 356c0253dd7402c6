/* methods.h: the training methods as rows of one table over one code path (DESIGN.md section 6). */
#ifndef AG_TRAIN_METHODS_H
#define AG_TRAIN_METHODS_H

#include "base/error.h"

typedef struct ag_method {
    const char *name, *summary;
} ag_method;

extern const ag_method ag_methods[]; /* ends with name NULL */
const ag_method *ag_method_find(const char *name);
/* AG_ERR_USAGE that lists the known methods. */
ag_status ag_method_unknown(const char *name, const char *where, ag_error *err);

#endif
