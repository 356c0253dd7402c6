/* pull.h: a pretrained model's first use fetches it. */
#ifndef AG_CLI_PULL_H
#define AG_CLI_PULL_H

#include "base/error.h"

/* Fetches the model of this name when it is one that `agrl pull` knows and is not there yet, saying so on standard error; anything
 * else (a folder, a file, "", an unknown name) is left to whoever opens it. */
ag_status ag_pull_if_needed(const char *name, ag_error *err);

#endif
