/* cmd_init.c: `agrl init`: a commented starter in a new folder: a rulebook, its facts, a run file and ten pairs. The
 * folder appears whole or not at all.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/init_files.h"
#include "cli/options.h"

enum { FILES = sizeof init_files / sizeof *init_files };

/* True for a folder with nothing in it; *status tells of a folder that cannot be read. */
static bool is_empty(const char *path, ag_status *status, ag_error *err)
{
    bool empty = true;
    DIR *dir = opendir(path);
    if (!dir) {
        *status = ag_fail_errno(err, "cannot read folder", path);
        return false;
    }
    for (struct dirent *e; empty && (e = readdir(dir)) != NULL;)
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    closedir(dir);
    return empty;
}

/* A folder that is not there yet, or an empty one (*exists). */
static ag_status check_target(const char *path, bool *exists, ag_error *err)
{
    struct stat st;
    ag_status status = AG_OK;
    *exists = lstat(path, &st) == 0;
    if (!*exists) return errno == ENOENT ? AG_OK : ag_fail_errno(err, "cannot look at", path);
    if (!ag_path_is_dir(path)) return ag_fail(err, AG_ERR_IO, "'%s' is there already and is no folder", path);
    if (!is_empty(path, &status, err) && status == AG_OK)
        status = ag_fail(err, AG_ERR_IO, "'%s' is not empty; name a new folder or an empty one", path);
    return status;
}

static ag_status write_file(const char *dir, const char *name, const char *text, ag_error *err)
{
    ag_out *out;
    char *path = ag_path_join(dir, name);
    ag_status status = path ? ag_out_open(&out, path, err) : ag_fail_memory(err, "file name");
    if (status == AG_OK) {
        ag_out_write(out, text, strlen(text));
        status = ag_out_commit(out, err);
    }
    ag_free(path);
    return status;
}

/* The files move from the folder `from` to the existing folder `to`; on a failure those that moved are removed. */
static ag_status move_files(const char *from, const char *to, ag_error *err)
{
    ag_status status = AG_OK;
    int moved = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < (pass == 0 ? FILES : moved); i++) {
            char *old = ag_path_join(from, init_files[i].name), *new = ag_path_join(to, init_files[i].name);
            if (!old || !new)
                status = ag_fail_memory(err, "file name");
            else if (pass == 1)
                unlink(new);
            else if (rename(old, new) != 0)
                status = ag_fail_errno(err, "cannot write", new);
            ag_free(old);
            ag_free(new);
            if (pass == 0 && status != AG_OK) break;
            moved += pass == 0;
        }
        if (status == AG_OK) break;
    }
    return status;
}

/* A new folder takes its name when all is in it. */
static ag_status name_folder(const char *from, const char *to, ag_error *err)
{
    mode_t mask = umask(0);
    umask(mask);
    if (chmod(from, 0777 & ~mask) != 0 || rename(from, to) != 0)
        return ag_fail_errno(err, "cannot make folder", to);
    return AG_OK;
}

static ag_status init(const char *target, ag_error *err)
{
    bool exists;
    char *parent = NULL, *work = NULL, *made = NULL;
    ag_status status = check_target(target, &exists, err);
    if (status != AG_OK) return status;
    if (!(parent = exists ? ag_strdup(target) : ag_path_dir(target)) ||
        !(work = ag_path_join(parent, ".agrl-init-XXXXXX"))) {
        status = ag_fail_memory(err, "file name");
        goto out;
    }
    if ((status = ag_dir_make(parent, err)) != AG_OK) goto out;
    if (!(made = mkdtemp(work))) {
        status = ag_fail_errno(err, "cannot make a folder in", parent);
        goto out;
    }
    for (int i = 0; i < FILES; i++)
        if ((status = write_file(work, init_files[i].name, init_files[i].text, err)) != AG_OK) goto out;
    status = exists ? move_files(work, target, err) : name_folder(work, target, err);
    if (status == AG_OK) status = ag_dir_sync(parent, err);
out:
    if (made) ag_dir_remove(work, NULL); /* empty or gone after success */
    ag_free(parent);
    ag_free(work);
    return status;
}

int ag_cmd_init(int argc, char **argv)
{
    const ag_usage usage = {"agrl init DIR",
                            "Writes a commented starter into a new folder (or an empty one): a rulebook, its "
                            "facts, ten labelled pairs, "
                            "and a run file that trains as it stands.",
                            1, 1};
    ag_error err = {0};
    char **args, *target;
    int nargs, code = ag_options_parse(&usage, NULL, argc, argv, &args, &nargs);
    if (code >= 0) return code;
    size_t n = strlen(args[0]);
    while (n > 1 && args[0][n - 1] == '/') n--;
    if (n == 0) {
        ag_fail(&err, AG_ERR_USAGE, "init needs the name of a folder");
        return ag_cli_fail(&err);
    }
    ag_status status = (target = ag_strndup(args[0], n)) ? init(target, &err)
                                                         : ag_fail_memory(&err, "file name");
    if (status == AG_OK) {
        ag_say("Wrote a starter to %s; README.txt in it says what is what.", target);
        ag_say("Next: cd %s; agrl train run.yaml", target);
    }
    ag_free(target);
    return status == AG_OK ? 0 : ag_cli_fail(&err);
}
