/* cmd_rules.h: what the files of `agrl rules` share. */
#ifndef AG_CLI_CMD_RULES_H
#define AG_CLI_CMD_RULES_H

#include "rules/book.h"

/* The book named by --rules or, for commands about the book itself, by the only argument. */
ag_status ag_rules_book(ag_book **book, const char *option, char **args, int nargs, ag_error *err);
/* `agrl rules audit` */
int ag_cmd_rules_audit(int argc, char **argv);
/* `agrl rules diff` */
int ag_cmd_rules_diff(int argc, char **argv);

#endif
