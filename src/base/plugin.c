/* plugin.c: see plugin.h. */
#include "base/plugin.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void *load(const char *file, char *why, size_t n)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    char *slash = length > 0 ? memrchr(path, '/', (size_t)length) : NULL;
    void *plugin = NULL;
    if (slash && (size_t)(slash + 1 - path) + strlen(file) < sizeof path) {
        strcpy(slash + 1, file);
        if (access(path, F_OK) == 0) {
            plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
            if (!plugin) snprintf(why, n, "%s", dlerror());
            return plugin;
        }
    }
    plugin = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!plugin) snprintf(why, n, "this build has no %s", file);
    return plugin;
}

ag_status ag_plugin_open(void **function, const char *file, const char *symbol, const char *who,
                         ag_error *err)
{
    char why[512];
    void *plugin = load(file, why, sizeof why);
    *function = NULL;
    if (!plugin) return ag_fail(err, AG_ERR_UNSUPPORTED, "%s: %s", who, why);
    if (!(*function = dlsym(plugin, symbol)))
        return ag_fail(err, AG_ERR_UNSUPPORTED, "%s: %s has no %s: it belongs to another build", who, file,
                       symbol);
    return AG_OK;
}
