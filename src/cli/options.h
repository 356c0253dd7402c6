/* options.h: command-line options as a table, so that parsing, checking and --help come from the same rows. */
#ifndef AG_CLI_OPTIONS_H
#define AG_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include "base/error.h"

typedef enum ag_option_kind {
    AG_OPT_FLAG,   /* bool *       --name            */
    AG_OPT_STRING, /* const char **  --name VALUE    */
    AG_OPT_INT,    /* long *                         */
    AG_OPT_NUMBER, /* double *                       */
    AG_OPT_LIST,   /* ag_option_list *  may be repeated */
    AG_OPT_CHOICE  /* const char **  one of `choices` (separated by '|') */
} ag_option_kind;

typedef struct ag_option_list {
    const char *items[64];
    int count;
} ag_option_list;

typedef struct ag_option {
    const char *name; /* without dashes; NULL ends the table */
    ag_option_kind kind;
    void *value;
    const char *meta; /* name of the value in help, or the choices */
    const char *help;
    double lo, hi; /* bounds of numbers, when lo < hi */
} ag_option;

/* What --help prints above the options. */
typedef struct ag_usage {
    const char *synopsis;    /* "agrl rules check BOOK [options]" */
    const char *description; /* one paragraph */
    int min_args, max_args;  /* positional arguments; max < 0: no limit */
} ag_usage;

/* Parses argv[1..argc); options and positional arguments may mix; "--" ends options; --name=value works.
 * On success *args and *nargs are the positional arguments (a permutation inside argv). Returns -1 to go on, or an
 * exit code: 0 after --help, 2 after an error that was printed with the nearest known name. `options` may be
 * NULL. --help states bounds and defaults (the value before parsing; one outside its bounds is "not given"). */
int ag_options_parse(const ag_usage *usage, const ag_option *options, int argc, char **argv, char ***args,
                     int *nargs);

/* Prints "agrl: <message>" on stderr and returns the exit code of the status (1; 2 for AG_ERR_USAGE). */
int ag_cli_fail(const ag_error *err);

#endif
