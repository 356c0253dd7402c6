/* digest.c: which model is this? One digest of all that says what it answers: weights, shape and tokenizer. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/open.h"

/* Files of gigabytes are hashed in parts, side by side. */
enum { PART = 4 << 20, PIECE = 1 << 16 };

static int is_model_file(const struct dirent *entry)
{
    static const char *const suffixes[] = {".safetensors", ".gguf"}, *const names[] = {
                                                                         "config.json",
                                                                         "tokenizer.json",
                                                                         "tokenizer_config.json",
                                                                         "adapter_config.json",
                                                                         "model.safetensors.index.json",
                                                                         "chat_template.jinja"};
    const char *dot = strrchr(entry->d_name, '.');
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (dot && strcmp(dot, suffixes[i]) == 0) return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(entry->d_name, names[i]) == 0) return true;
    return false;
}

/* SHA-256 of bytes [at, at + n); an errno. */
static int hash_part(int fd, off_t at, size_t n, unsigned char digest[32])
{
    unsigned char piece[PIECE];
    ag_sha256 sha;
    ag_sha256_begin(&sha);
    while (n > 0) {
        ssize_t got = pread(fd, piece, n < PIECE ? n : PIECE, at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno;
        if (got == 0) return EIO; /* it shrank */
        ag_sha256_add(&sha, piece, (size_t)got);
        at += got;
        n -= (size_t)got;
    }
    ag_sha256_end(&sha, digest);
    return 0;
}

/* "NAME SIZE DIGEST-OF-THE-PARTS'-DIGESTS" as a line of text. */
static ag_status add_file(ag_str *text, const char *name, const char *path, ag_error *err)
{
    struct stat st;
    unsigned char *parts = NULL;
    char hex[65];
    int failed = 0, fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return ag_fail_errno(err, "cannot open", path);
    ag_status status = fstat(fd, &st) == 0 ? AG_OK : ag_fail_errno(err, "cannot read", path);
    long long count = status == AG_OK ? ((long long)st.st_size + PART - 1) / PART : 0;
    if (status == AG_OK && !(parts = ag_calloc((size_t)count, 32))) status = ag_fail_memory(err, "digests");
    if (status == AG_OK) {
#pragma omp parallel for schedule(dynamic) reduction(max : failed)
        for (long long i = 0; i < count; i++) {
            off_t at = (off_t)i * PART;
            size_t n = st.st_size - at < PART ? (size_t)(st.st_size - at) : (size_t)PART;
            int code = hash_part(fd, at, n, parts + 32 * i);
            if (code > failed) failed = code;
        }
        errno = failed;
        if (failed) status = ag_fail_errno(err, "cannot read", path);
    }
    if (status == AG_OK) {
        ag_sha256_of(hex, parts, 32 * (size_t)count);
        ag_str_addf(text, "%s %lld %s\n", name, (long long)st.st_size, hex);
    }
    ag_free(parts);
    close(fd);
    return status;
}

static ag_status add_folder(ag_str *text, const char *path, ag_error *err)
{
    struct dirent **entries = NULL;
    ag_status status = AG_OK;
    int n = scandir(path, &entries, is_model_file, alphasort);
    if (n < 0) return ag_fail_errno(err, "cannot read", path);
    for (int i = 0; i < n; i++) {
        char *file = ag_path_join(path, entries[i]->d_name);
        if (status == AG_OK)
            status = file ? add_file(text, entries[i]->d_name, file, err) : ag_fail_memory(err, "file name");
        ag_free(file);
        free(entries[i]);
    }
    free(entries);
    return status;
}

ag_status ag_opened_digest(char hex[65], const ag_opened *o, ag_error *err)
{
    const char *const paths[] = {o->path, o->base_path};
    ag_str text = {0};
    ag_status status = AG_OK;
    for (int i = 0; i < 2 && status == AG_OK; i++) {
        if (!paths[i]) continue;
        /* A file by itself is named after nothing, so that it may be renamed. */
        status = ag_path_is_dir(paths[i]) ? add_folder(&text, paths[i], err)
                                          : add_file(&text, "file", paths[i], err);
        ag_str_add(&text, "--\n");
    }
    if (status == AG_OK) status = ag_str_ok(&text, err);
    if (status == AG_OK) ag_sha256_of(hex, ag_str_text(&text), text.len);
    ag_str_free(&text);
    return status;
}
