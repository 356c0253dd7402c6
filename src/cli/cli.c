/* cli.c: the table of commands, and what is the same for all of them: help, an unknown name, a reader of our
 * output that has gone away.
 */
#include "cli/cli.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/comm.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/options.h"

/* In the order in which somebody new meets them. A command needs its row here and its file cmd_<name>.c. */
const ag_command ag_commands[] = {
    {"init", "write a starter: rulebook, run file, ten pairs", ag_cmd_init, "Start"},
    {"doctor", "what this machine has, and what agrl will use", ag_cmd_doctor, "Start"},
    {"pull", "install a pretrained model", ag_cmd_pull, "Start"},
    {"rules", "check, show, derive, audit, diff: what a rulebook says and concludes", ag_cmd_rules,
     "Rules and data"},
    {"verify", "hold answers against a rulebook, without a model", ag_cmd_verify, "Rules and data"},
    {"asked", "what the parser reads in queries", ag_cmd_asked, "Rules and data"},
    {"synth", "labelled pairs from a rulebook and a catalogue, or an invented shop", ag_cmd_synth,
     "Rules and data"},
    {"import", "pairs from the formats of others", ag_cmd_import, "Rules and data"},
    {"train", "train a judge as a run file says", ag_cmd_train, "Train and judge"},
    {"plan", "how much memory a run needs", ag_cmd_plan, "Train and judge"},
    {"compare", "methods against each other, with several seeds", ag_cmd_compare, "Train and judge"},
    {"eval", "measure a judge on labelled pairs, or a ranking against qrels", ag_cmd_eval, "Train and judge"},
    {"calibrate", "make the probabilities of a judge mean what they say", ag_cmd_calibrate,
     "Train and judge"},
    {"interleave", "which of two rankings shoppers prefer, from interleaved clicks", ag_cmd_interleave,
     "Train and judge"},
    {"sxs", "which of two rankings people prefer, side by side and blinded", ag_cmd_sxs, "Train and judge"},
    {"judge", "judge pairs: tier, probabilities, reasons", ag_cmd_judge, "Train and judge"},
    {"serve", "judge over HTTP, with a page", ag_cmd_serve, "Train and judge"},
    {"export", "judgements or gold as the lists that search tools read", ag_cmd_export, "Train and judge"},
    {"report", "write a run's page", ag_cmd_report, "Train and judge"},
    {"explain", "why a sampled answer earned what it did", ag_cmd_explain, "Train and judge"},
    {"tokenize", "text to token ids and back", ag_cmd_tokenize, "Instruments"},
    {"logprob", "log-probabilities of tokens", ag_cmd_logprob, "Instruments"},
    {"generate", "continue text, greedy or sampled", ag_cmd_generate, "Instruments"},
    {NULL, NULL, NULL, NULL},
};

enum { MAX_COMMANDS = 64 };

static const ag_command *find_command(const ag_command *commands, const char *name)
{
    for (const ag_command *c = commands; c->name; c++)
        if (strcmp(c->name, name) == 0) return c;
    return NULL;
}

static void print_help(FILE *to)
{
    int width = 7; /* of "version" */
    const char *group = NULL;
    for (const ag_command *c = ag_commands; c->name; c++)
        if ((int)strlen(c->name) > width) width = (int)strlen(c->name);
    fprintf(to,
            "agrl %s: trains, tests and serves an LLM judge of query-product relevance from a rulebook.\n\n"
            "usage: agrl COMMAND [options]\n",
            ag_version());
    for (const ag_command *c = ag_commands; c->name; c++) {
        if (!group || strcmp(group, c->group) != 0) fprintf(to, "\n%s\n", c->group);
        group = c->group;
        fprintf(to, "  %-*s  %s\n", width, c->name, c->summary);
    }
    fprintf(to,
            "\nHelp\n  %-*s  this list; 'agrl help COMMAND' or 'agrl COMMAND --help' for one command\n"
            "  %-*s  the version\n",
            width, "help", width, "version");
}

static int unknown_command(const char *name)
{
    const char *names[MAX_COMMANDS + 2] = {"help", "version"};
    size_t n = 2;
    for (const ag_command *c = ag_commands; c->name && n < MAX_COMMANDS + 2; c++) names[n++] = c->name;
    ag_suggestion near = ag_suggest(name, names, n);
    ag_error err;
    ag_fail(&err, AG_ERR_USAGE, "unknown command '%s'%s 'agrl help' lists all", name,
            *near.text ? near.text : ";");
    return ag_cli_fail(&err);
}

static int help(int argc, char **argv)
{
    static char option[] = "--help";
    const ag_command *command;
    if (argc < 2) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "version") == 0) {
        print_help(stdout);
        return 0;
    }
    if (!(command = find_command(ag_commands, argv[1]))) return unknown_command(argv[1]);
    /* "agrl help rules check" is "agrl rules check --help". */
    char *args[8] = {0};
    int n = 0;
    for (int i = 1; i < argc && n < 6; i++) args[n++] = argv[i];
    args[n++] = option;
    return command->run(n, args);
}

int ag_cli_group(const char *group, const ag_command *commands, const char *manual, int argc, char **argv)
{
    const char *names[MAX_COMMANDS] = {NULL}, *word = argc > 1 ? argv[1] : NULL;
    const ag_command *command = word ? find_command(commands, word) : NULL;
    size_t n = 0;
    if (command) return command->run(argc - 1, argv + 1);
    if (word && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
        printf("usage: agrl %s COMMAND [options]\n\n", group);
        for (const ag_command *c = commands; c->name; c++) printf("  %-8s %s\n", c->name, c->summary);
        printf("\n'agrl %s COMMAND --help' explains each. %s\n", group, manual);
        return 0;
    }
    ag_str all = {0};
    for (const ag_command *c = commands; c->name && n < MAX_COMMANDS; c++) {
        ag_str_addf(&all, "%s%s", n ? ", " : "", c->name);
        names[n++] = c->name;
    }
    ag_suggestion near = ag_suggest(word, names, n);
    ag_error err;
    if (!word)
        ag_fail(&err, AG_ERR_USAGE, "agrl %s what? One of %s", group, ag_str_text(&all));
    else if (*near.text)
        ag_fail(&err, AG_ERR_USAGE, "no command 'agrl %s %s'%s", group, word, near.text);
    else
        ag_fail(&err, AG_ERR_USAGE, "no command 'agrl %s %s'; there are %s", group, word, ag_str_text(&all));
    ag_str_free(&all);
    return ag_cli_fail(&err);
}

/* Several processes of one command would write the same files. */
static int started_too_often(const char *name)
{
    ag_error err = {0};
    ag_fail(&err, AG_ERR_USAGE,
            "agrl %s works alone; start it without mpirun (agrl train can be several ranks)", name);
    return ag_cli_fail(&err);
}

static int run(int argc, char **argv)
{
    const ag_command *command;
    if (argc < 2) {
        print_help(stderr);
        return 2;
    }
    const char *name = argv[1];
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return help(argc - 1, argv + 1);
    if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0) {
        printf("agrl %s\n", ag_version());
        return 0;
    }
    if (!(command = find_command(ag_commands, name))) return unknown_command(name);
    if (ag_comm_launched() && strcmp(name, "train") != 0) return started_too_often(name);
    return command->run(argc - 1, argv + 1);
}

/* True when standard output is a pipe or socket that nobody reads any more. */
static bool reader_is_gone(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR) != 0;
}

int ag_cli_fail(const ag_error *err)
{
    /* `agrl judge ... | head`: whoever closed the pipe knows, and needs no message. */
    if (err->code == AG_ERR_IO && strstr(err->message, "standard output") && reader_is_gone()) return 1;
    fprintf(stderr, "agrl: %s\n", err->message);
    return err->code == AG_ERR_USAGE ? 2 : 1;
}

int ag_cli_main(int argc, char **argv)
{
    /* A closed pipe or connection is an error of one write, not the end of a training run or a server. */
    signal(SIGPIPE, SIG_IGN);
    int code = run(argc, argv);
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == 0) {
        ag_error err;
        if (errno == 0) errno = EIO; /* an earlier write failed, and what it said is gone */
        ag_fail(&err, AG_ERR_IO, "cannot write standard output: %s", strerror(errno));
        code = ag_cli_fail(&err);
    }
    return code;
}
