/* path.c: folders and the parts of paths. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

bool ag_path_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool ag_path_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

ag_status ag_path_target(char **target, bool *in_place, const char *path, ag_error *err)
{
    struct stat name, file; /* the name itself, and what it leads to */
    bool exists = stat(path, &file) == 0, link = lstat(path, &name) == 0 && S_ISLNK(name.st_mode);
    *target = NULL;
    *in_place = exists && !S_ISREG(file.st_mode);
    if (exists && S_ISDIR(file.st_mode)) {
        errno = EISDIR;
        return ag_fail_errno(err, "cannot write", path);
    }
    char *real = exists && link ? realpath(path, NULL) : NULL;
    *target = ag_strdup(real ? real : path);
    free(real);
    return *target ? AG_OK : ag_fail_memory(err, "file name");
}

bool ag_path_same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

ag_status ag_path_distinct(const char *out, const char *in, ag_error *err)
{
    if (!out || !in || strcmp(out, "-") == 0 || strcmp(in, "-") == 0) return AG_OK;
    struct stat st;
    if (!ag_path_same(out, in) || stat(out, &st) != 0 || !S_ISREG(st.st_mode)) return AG_OK;
    return ag_fail(err, AG_ERR_USAGE,
                   "'%s' is an input as well: its lines would be lost; choose another name", out);
}

ag_status ag_path_in_ready(const char *in, ag_error *err)
{
    if (!*in || strcmp(in, "-") == 0 || access(in, R_OK) == 0) return AG_OK;
    return ag_fail_errno(err, "cannot open", in);
}

ag_status ag_path_out_ready(const char *out, ag_error *err)
{
    if (!out || strcmp(out, "-") == 0) return AG_OK;
    char *dir = ag_path_dir(out);
    ag_status status = dir ? AG_OK : ag_fail_memory(err, "file name");
    if (status == AG_OK && !ag_path_is_dir(dir))
        status = ag_fail(err, AG_ERR_IO, "cannot write '%s': there is no folder '%s'", out, dir);
    if (status == AG_OK && ag_path_is_dir(out))
        status = ag_fail(err, AG_ERR_IO, "cannot write '%s': it is a folder", out);
    ag_free(dir);
    return status;
}

/* Bytes of dir before its last component, when that is a folder whose ".." they are (not a link to elsewhere); else n. */
static size_t above(const char *dir, size_t n)
{
    char up[PATH_MAX], before[PATH_MAX];
    size_t begin = n;
    while (begin > 0 && dir[begin - 1] != '/') begin--;
    if (begin == n || dir[begin] == '.' || n + 4 > sizeof up) return n;
    snprintf(up, sizeof up, "%.*s/..", (int)n, dir);
    snprintf(before, sizeof before, "%.*s", begin ? (int)begin : 1, begin ? dir : ".");
    return ag_path_same(up, before) ? begin : n;
}

char *ag_path_join(const char *dir, const char *name)
{
    size_t nd = strlen(dir), nn;
    if (nd == 0) return ag_strdup(name);
    while (nd > 0 && dir[nd - 1] == '/') nd--; /* of "/" nothing is left, and the slash below restores it */
    while (*name == '/') name++;
    while (strncmp(name, "../", 3) == 0) {
        size_t left = above(dir, nd);
        if (left == nd) break;
        name += 3;
        if (left == 0) return ag_path_join("", name);
        for (nd = left; nd > 0 && dir[nd - 1] == '/';) nd--;
    }
    nn = strlen(name);
    char *path = ag_calloc(nd + nn + 2, 1);
    if (!path) return NULL;
    memcpy(path, dir, nd);
    path[nd] = '/';
    memcpy(path + nd + 1, name, nn);
    return path;
}

char *ag_path_dir(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash) return ag_strdup(".");
    while (slash > path && slash[-1] == '/') slash--;
    return slash == path ? ag_strdup("/") : ag_strndup(path, (size_t)(slash - path));
}

static ag_status make_one(const char *path, ag_error *err)
{
    if (mkdir(path, 0777) == 0) return AG_OK;
    int number = errno;
    if (ag_path_is_dir(path))
        return AG_OK; /* also where mkdir says EROFS or EACCES of a parent that is there */
    errno = number == EEXIST ? ENOTDIR : number;
    return ag_fail_errno(err, "cannot make folder", path);
}

ag_status ag_dir_make(const char *path, ag_error *err)
{
    ag_status status = AG_OK;
    char *copy = ag_strdup(path);
    if (!copy) return ag_fail_memory(err, "file name");
    for (char *p = copy; *p && status == AG_OK; p++) {
        if (*p != '/' || p == copy || p[-1] == '/') continue;
        *p = '\0';
        status = make_one(copy, err);
        *p = '/';
    }
    if (status == AG_OK) status = make_one(copy, err);
    ag_free(copy);
    return status;
}

ag_status ag_dir_sync(const char *path, ag_error *err)
{
    ag_status status = AG_OK;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return ag_fail_errno(err, "cannot open folder", path);
    /* EINVAL: a file system that has no such thing, so there is nothing to wait for. */
    if (fsync(fd) != 0 && errno != EINVAL) status = ag_fail_errno(err, "cannot sync folder", path);
    close(fd);
    return status;
}

/* Removes the entry `name` of the folder `parent` and, if it is a folder, all in it. Goes by descriptors: a
 * folder that is replaced by a link meanwhile is not followed. */
static int remove_at(int parent, const char *name)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return 0;
    if (errno != EISDIR && errno != EPERM) return -1;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return -1;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return -1;
    }
    int result = 0;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry) {
            if (errno) result = -1;
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if ((result = remove_at(dirfd(dir), entry->d_name)) != 0) break;
    }
    int number = errno;
    closedir(dir);
    errno = number;
    if (result != 0) return result;
    return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -1;
}

ag_status ag_dir_remove(const char *path, ag_error *err)
{
    struct stat st;
    ag_status status = AG_OK;
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--; /* "link/" would name what the link points to */
    char *plain = ag_strndup(path, n);
    if (!plain) return ag_fail_memory(err, "file name");
    if (lstat(plain, &st) != 0) {
        if (errno != ENOENT) status = ag_fail_errno(err, "cannot remove", plain);
    } else if (!S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode)) {
        errno = ENOTDIR;
        status = ag_fail_errno(err, "cannot remove", plain);
    } else if (remove_at(AT_FDCWD, plain) != 0) {
        status = ag_fail_errno(err, "cannot remove", plain);
    }
    ag_free(plain);
    return status;
}
