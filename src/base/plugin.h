/* plugin.h: shared libraries that are loaded when they are asked for, so that the program itself needs none of what they need. */
#ifndef AG_BASE_PLUGIN_H
#define AG_BASE_PLUGIN_H

#include "base/error.h"

/* *function: `symbol` of the plugin `file`, which lies beside the program that runs or where the system looks for libraries; it stays
 * loaded. AG_ERR_UNSUPPORTED says, behind "WHO: ", what is missing. */
ag_status ag_plugin_open(void **function, const char *file, const char *symbol, const char *who,
                         ag_error *err);

#endif
