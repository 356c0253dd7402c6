/* cli.h: the commands of the program as rows of a table (cli.c), one file a command.
 *
 * A command gets the arguments after its name and returns an exit code: 0 done, 1 failed, 2 wrong usage. It
 * parses them with the option table of cli/options.h. Results go to stdout, all else to stderr.
 */
#ifndef AG_CLI_CLI_H
#define AG_CLI_CLI_H

int ag_cli_main(int argc, char **argv);

typedef struct ag_command {
    const char *name, *summary;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
    const char *group;                 /* heading in `agrl help`; rows of a group stand together */
} ag_command;

/* One row a command; ends with a name of NULL. */
extern const ag_command ag_commands[];

/* Runs `agrl GROUP COMMAND ...`: commands has a row each and ends with a name of NULL (their groups are not read). `manual` is the last
 * sentence of the group's help. */
int ag_cli_group(const char *group, const ag_command *commands, const char *manual, int argc, char **argv);

#endif
