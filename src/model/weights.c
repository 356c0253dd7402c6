/* weights.c: opening a model wherever it lies, checking that its tensors are those that its config asks for,
 * and reading rows of them as floats.
 *
 * Checking at once means that a size in a config is known to be backed by as many bytes of weights before
 * anybody allocates memory for it.
 */
#include "model/weights.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "model/gguf.h"
#include "model/safetensors.h"

enum { SHARDS_MAX = 4096, CONFIG_MAX = 1 << 20, INDEX_MAX = 64 << 20 };

typedef struct mapping {
    char *path;
    void *bytes;
    size_t size;
} mapping;

struct ag_weights {
    char *path; /* the folder or the file */
    mapping *maps;
    size_t count, capacity;
    ag_tensors table; /* sorted by name */
    bool has_gguf, has_config;
    ag_gguf gguf;
    ag_family family;
};

/* --- files
 * ------------------------------------------------------------------------------------------------ */

/* Maps a file; its row in w->maps owns the path, which tables and messages point to. */
static ag_status map_file(ag_weights *w, const char *path, const mapping **result, ag_error *err)
{
    struct stat st;
    ag_status status = AG_OK;
    mapping m = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* not to wait for the writer of a pipe */
    if (fd < 0) return ag_fail_errno(err, "cannot open", path);
    if (fstat(fd, &st) != 0) {
        status = ag_fail_errno(err, "cannot read", path);
    } else if (!S_ISREG(st.st_mode)) {
        status = ag_fail(err, AG_ERR_INPUT, "%s: must be a regular file", path);
    } else if (st.st_size == 0) {
        status = ag_fail(err, AG_ERR_INPUT, "%s: is empty", path);
    } else if (!ag_grow(&w->maps, &w->capacity, w->count + 1, sizeof *w->maps) ||
               !(m.path = ag_strdup(path))) {
        status = ag_fail_memory(err, "list of weight files");
    }
    if (status == AG_OK) {
        m.size = (size_t)st.st_size;
        m.bytes = mmap(NULL, m.size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (m.bytes == MAP_FAILED) {
            status = ag_fail_errno(err, "cannot map", path);
            ag_free(m.path);
        } else {
            w->maps[w->count++] = m;
            *result = &w->maps[w->count - 1];
        }
    }
    close(fd);
    return status;
}

static ag_status open_safetensors(ag_weights *w, const char *path, ag_error *err)
{
    const mapping *m = NULL;
    ag_status status = map_file(w, path, &m, err);
    return status == AG_OK ? ag_safetensors_read(&w->table, m->bytes, m->size, m->path, err) : status;
}

static bool has_suffix(const char *text, const char *suffix)
{
    size_t n = strlen(text), k = strlen(suffix);
    return n >= k && strcmp(text + n - k, suffix) == 0;
}

/* A shard is a file of the same folder, never a way out of it. */
static bool is_plain_name(const char *name)
{
    return *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* A JSON file of at most `max` bytes: a folder from somewhere else may hold anything. */
static ag_status load_json(json_t **json, const char *path, size_t max, ag_error *err)
{
    char *text;
    size_t len;
    ag_status status = ag_file_read(path, max, &text, &len, err);
    if (status != AG_OK) return status;
    status = ag_json_parse(json, text, len, path, 1, err);
    ag_free(text);
    return status;
}

/* The shards named by an index, each opened once. */
static ag_status open_shards(ag_weights *w, const json_t *map, const char *index, ag_error *err)
{
    const char *tensor, *files[SHARDS_MAX];
    json_t *value;
    int count = 0;
    json_object_foreach((json_t *)map, tensor, value)
    {
        const char *file = json_string_value(value);
        int i = 0;
        if (!file || !is_plain_name(file)) {
            return ag_fail(err, AG_ERR_INPUT, "%s: tensor '%s' must name a file of the same folder", index,
                           tensor);
        }
        while (i < count && strcmp(files[i], file) != 0) i++;
        if (i < count) continue;
        if (count == SHARDS_MAX)
            return ag_fail(err, AG_ERR_INPUT, "%s: names more than %d files", index, count);
        files[count++] = file;
        char *path = ag_path_join(w->path, file);
        if (!path) return ag_fail_memory(err, "file name");
        ag_status status = open_safetensors(w, path, err);
        ag_free(path);
        if (status != AG_OK) return status;
    }
    return AG_OK;
}

/* Each tensor of the index is in the file that the index says. */
static ag_status check_index(const ag_weights *w, const json_t *map, const char *index, ag_error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)map, name, value)
    {
        const ag_tensor *t = ag_tensors_find(&w->table, name);
        const char *slash = t ? strrchr(t->path, '/') : NULL;
        if (!t || strcmp(slash ? slash + 1 : t->path, json_string_value(value)) != 0) {
            return ag_fail(err, AG_ERR_INPUT, "%s: tensor '%s' is not in '%s'", index, name,
                           json_string_value(value));
        }
    }
    return AG_OK;
}

static ag_status open_index(ag_weights *w, const char *index, ag_error *err)
{
    json_t *json = NULL;
    ag_status status = load_json(&json, index, INDEX_MAX, err);
    if (status != AG_OK) return status;
    const json_t *map = json_object_get(json, "weight_map");
    if (!json_is_object(map) || json_object_size(map) == 0) {
        status = ag_fail(err, AG_ERR_INPUT, "%s: 'weight_map' must be an object of tensors and files", index);
    }
    if (status == AG_OK) status = open_shards(w, map, index, err);
    if (status == AG_OK) status = ag_tensors_sort(&w->table, err);
    if (status == AG_OK) status = check_index(w, map, index, err);
    json_decref(json);
    return status;
}

static ag_status open_gguf(ag_weights *w, const char *path, ag_config *config, ag_error *err)
{
    const mapping *m = NULL;
    ag_status status = map_file(w, path, &m, err);
    if (status != AG_OK) return status;
    if ((status = ag_gguf_read(&w->gguf, &w->table, m->bytes, m->size, m->path, err)) != AG_OK) return status;
    w->has_gguf = true;
    if ((status = ag_gguf_model(&w->gguf, &w->table, config, err)) != AG_OK) return status;
    w->has_config = true;
    return ag_tensors_sort(&w->table, err);
}

static ag_status open_folder(ag_weights *w, const char *config_path, ag_config *config, ag_error *err)
{
    json_t *json = NULL;
    char *single = ag_path_join(w->path, "model.safetensors");
    char *index = ag_path_join(w->path, "model.safetensors.index.json");
    ag_status status = single && index ? AG_OK : ag_fail_memory(err, "file name");
    if (status == AG_OK) status = load_json(&json, config_path, CONFIG_MAX, err);
    if (status == AG_OK) status = ag_config_from_json(config, json, config_path, err);
    if (status != AG_OK) goto out;
    w->has_config = true;
    if (ag_path_exists(single)) {
        status = open_safetensors(w, single, err);
        if (status == AG_OK) status = ag_tensors_sort(&w->table, err);
    } else if (ag_path_exists(index)) {
        status = open_index(w, index, err);
    } else {
        status = ag_fail(err, AG_ERR_INPUT, "%s: has a config.json but no model.safetensors", w->path);
    }
out:
    json_decref(json);
    ag_free(single);
    ag_free(index);
    return status;
}

/* The one .gguf file of a folder, in *path (NULL when there is none). */
static ag_status find_gguf(const char *folder, char **path, ag_error *err)
{
    ag_status status = AG_OK;
    struct dirent *entry;
    DIR *dir = opendir(folder);
    *path = NULL;
    if (!dir) return ag_fail_errno(err, "cannot read folder", folder);
    while (status == AG_OK && (entry = readdir(dir))) {
        if (entry->d_name[0] == '.' || !has_suffix(entry->d_name, ".gguf")) continue;
        if (*path) {
            status = ag_fail(err, AG_ERR_INPUT, "%s: has several .gguf files; name one of them", folder);
        } else if (!(*path = ag_path_join(folder, entry->d_name))) {
            status = ag_fail_memory(err, "file name");
        }
    }
    closedir(dir);
    if (status != AG_OK) {
        ag_free(*path);
        *path = NULL;
    }
    return status;
}

/* --- tensors against config
 * ------------------------------------------------------------------------------- */

static ag_status not_there(const ag_weights *w, const char *name, ag_error *err)
{
    return ag_fail(err, AG_ERR_INPUT, "%s: tensor '%s' is missing", w->path, name);
}

/* The tensor of this name, of this shape and of a type that can be read. */
static ag_status get_tensor(const ag_weights *w, const char *name, int64_t rows, int64_t cols,
                            ag_tensor **result, ag_error *err)
{
    ag_tensor *t = ag_tensors_find(&w->table, name);
    if (!t) return not_there(w, name, err);
    if (t->rows != rows || t->cols != cols) {
        return ag_fail(err, AG_ERR_INPUT, "%s: tensor '%s' must be %lld x %lld but is %lld x %lld", t->path,
                       name, (long long)rows, (long long)cols, (long long)t->rows, (long long)t->cols);
    }
    if (t->type == AG_STORED_OTHER) {
        return ag_fail(err, AG_ERR_INPUT, "%s: tensor '%s' is stored as %s; agrl reads F32, F16 and BF16",
                       t->path, name, t->kind);
    }
    *result = t;
    return AG_OK;
}

/* Expects the tensors of layer `layer` (-1: those outside of layers), marking them. */
static ag_status expect_tensors(ag_weights *w, const ag_config *c, int layer, ag_error *err)
{
    int64_t width = c->width, q = (int64_t)c->heads * c->head_dim, kv = (int64_t)c->kv_heads * c->head_dim;
    const struct {
        const char *name;
        int64_t rows, cols;
        bool wanted;
    } inside[] = {{"input_layernorm.weight", 1, width, true},
                  {"self_attn.q_proj.weight", q, width, true},
                  {"self_attn.k_proj.weight", kv, width, true},
                  {"self_attn.v_proj.weight", kv, width, true},
                  {"self_attn.o_proj.weight", width, q, true},
                  {"self_attn.q_proj.bias", 1, q, c->qkv_bias},
                  {"self_attn.k_proj.bias", 1, kv, c->qkv_bias},
                  {"self_attn.v_proj.bias", 1, kv, c->qkv_bias},
                  {"self_attn.q_norm.weight", 1, c->head_dim, c->qk_norm},
                  {"self_attn.k_norm.weight", 1, c->head_dim, c->qk_norm},
                  {"post_attention_layernorm.weight", 1, width, true},
                  {"mlp.gate_proj.weight", c->ff, width, true},
                  {"mlp.up_proj.weight", c->ff, width, true},
                  {"mlp.down_proj.weight", width, c->ff, true}},
      outside[] = {{"model.embed_tokens.weight", c->vocab, width, true},
                   {"model.norm.weight", 1, width, true},
                   {"lm_head.weight", c->vocab, width, !c->tied}};
    size_t n = layer < 0 ? sizeof outside / sizeof *outside : sizeof inside / sizeof *inside;
    for (size_t i = 0; i < n; i++) {
        char name[96];
        ag_tensor *t;
        if (layer < 0 ? !outside[i].wanted : !inside[i].wanted) continue;
        if (layer < 0)
            snprintf(name, sizeof name, "%s", outside[i].name);
        else
            snprintf(name, sizeof name, "model.layers.%d.%s", layer, inside[i].name);
        ag_status status = get_tensor(w, name, layer < 0 ? outside[i].rows : inside[i].rows,
                                      layer < 0 ? outside[i].cols : inside[i].cols, &t, err);
        if (status != AG_OK) return status;
        t->expected = true;
    }
    return AG_OK;
}

/* All that the config asks for, and nothing else but what is known to say nothing new. */
static ag_status check_model(ag_weights *w, const ag_config *c, ag_error *err)
{
    for (int layer = -1; layer < c->layers; layer++) {
        ag_status status = expect_tensors(w, c, layer, err);
        if (status != AG_OK) return status;
    }
    for (size_t i = 0; i < w->table.count; i++) {
        const ag_tensor *t = &w->table.items[i];
        bool harmless = (c->tied && strcmp(t->name, "lm_head.weight") == 0) ||
                        has_suffix(t->name, ".rotary_emb.inv_freq") ||
                        strcmp(t->name, "rope_freqs.weight") == 0;
        if (!t->expected && !harmless) {
            return ag_fail(err, AG_ERR_UNSUPPORTED,
                           "%s: tensor '%s' has no place in the model that the config describes", t->path,
                           t->name);
        }
    }
    return AG_OK;
}

/* --- interface
 * -------------------------------------------------------------------------------------------- */

static bool has_magic(const char *path)
{
    char magic[4];
    FILE *f = fopen(path, "rbe");
    bool is = f && fread(magic, 1, 4, f) == 4 && memcmp(magic, "GGUF", 4) == 0;
    if (f) fclose(f);
    return is;
}

static ag_status open_any(ag_weights *w, ag_config *config, ag_error *err)
{
    struct stat st;
    ag_status status = AG_OK;
    char *config_path = NULL, *gguf = NULL;
    if (stat(w->path, &st) != 0) return ag_fail_errno(err, "cannot open model", w->path);
    if (!S_ISDIR(st.st_mode)) {
        if (has_suffix(w->path, ".safetensors")) {
            status = open_safetensors(w, w->path, err);
            return status == AG_OK ? ag_tensors_sort(&w->table, err) : status;
        }
        if (has_suffix(w->path, ".gguf") || (S_ISREG(st.st_mode) && has_magic(w->path))) {
            return open_gguf(w, w->path, config, err);
        }
        return ag_fail(err, AG_ERR_INPUT, "%s: a model is a folder with config.json, or a .gguf file",
                       w->path);
    }
    if (!(config_path = ag_path_join(w->path, "config.json"))) return ag_fail_memory(err, "file name");
    if (ag_path_exists(config_path)) {
        status = open_folder(w, config_path, config, err);
    } else {
        status = find_gguf(w->path, &gguf, err);
        if (status == AG_OK && !gguf) {
            status = ag_fail(err, AG_ERR_INPUT, "%s: has neither a config.json nor a .gguf file", w->path);
        }
        if (status == AG_OK) status = open_gguf(w, gguf, config, err);
    }
    ag_free(config_path);
    ag_free(gguf);
    return status;
}

ag_status ag_weights_open(ag_weights **weights, const char *path, ag_config *config, ag_error *err)
{
    ag_config c = {0};
    ag_status status;
    *weights = NULL;
    ag_weights *w = ag_calloc(1, sizeof *w);
    if (!w) return ag_fail_memory(err, "model");
    w->table.arena.name = "names of tensors";
    status = (w->path = ag_strdup(path)) ? AG_OK : ag_fail_memory(err, "model");
    if (status == AG_OK) status = open_any(w, &c, err);
    if (status == AG_OK && w->has_config) status = check_model(w, &c, err);
    if (status != AG_OK) {
        ag_weights_close(w);
        return status;
    }
    w->family = c.family;
    if (w->has_config && config) *config = c;
    *weights = w;
    return AG_OK;
}

void ag_weights_close(ag_weights *w)
{
    if (!w) return;
    if (w->has_gguf) ag_gguf_free(&w->gguf);
    ag_tensors_free(&w->table);
    for (size_t i = 0; i < w->count; i++) {
        munmap(w->maps[i].bytes, w->maps[i].size);
        ag_free(w->maps[i].path);
    }
    ag_free(w->maps);
    ag_free(w->path);
    ag_free(w);
}

ag_status ag_weights_tokenizer(const ag_weights *w, ag_tokenizer **tokenizer, ag_error *err)
{
    *tokenizer = NULL;
    if (w->has_gguf) return ag_gguf_tokenizer(&w->gguf, tokenizer, err);
    if (!w->has_config) return ag_fail(err, AG_ERR_INPUT, "%s: has no tokenizer", w->path);
    char *json = ag_path_join(w->path, "tokenizer.json");
    char *vocab = ag_path_join(w->path, "vocab.json"), *merges = ag_path_join(w->path, "merges.txt");
    ag_status status;
    if (!json || !vocab || !merges) {
        status = ag_fail_memory(err, "file name");
    } else if (!ag_path_exists(json) && w->family != AG_FAMILY_LLAMA && ag_path_exists(vocab) &&
               ag_path_exists(merges)) {
        /* Qwen folders may come without tokenizer.json; both generations split text alike. */
        status = ag_tokenizer_load_vocab_merges(tokenizer, vocab, merges, "qwen2", err);
    } else {
        status = ag_tokenizer_load(tokenizer, json, err);
    }
    ag_free(json);
    ag_free(vocab);
    ag_free(merges);
    return status;
}

bool ag_weights_find(const ag_weights *w, const char *name, int64_t *rows, int64_t *cols)
{
    const ag_tensor *t = ag_tensors_find(&w->table, name);
    if (!t) return false;
    if (rows) *rows = t->rows;
    if (cols) *cols = t->cols;
    return true;
}

/* Row r in half-split order lies at this row of the file: of each pair (i, i + half) the file has 2i and 2i +
 * 1. */
static int64_t interleaved_row(int64_t r, int head_dim)
{
    int64_t head = r / head_dim, at = r % head_dim, half = head_dim / 2;
    return head * head_dim + (at < half ? 2 * at : 2 * (at - half) + 1);
}

ag_status ag_weights_read(const ag_weights *w, const char *name, int64_t want_rows, int64_t want_cols,
                          int64_t row0, int64_t rows, float *out, ag_error *err)
{
    ag_tensor *t;
    ag_status status = get_tensor(w, name, want_rows, want_cols, &t, err);
    if (status != AG_OK) return status;
    if (row0 < 0 || rows < 0 || row0 > t->rows || rows > t->rows - row0) {
        return ag_fail(err, AG_ERR_INTERNAL, "%s: rows outside of tensor '%s'", t->path, name);
    }
    int64_t row_bytes = t->cols / ag_stored_block(t->type) * ag_stored_bytes(t->type);
    if (!t->interleaved) {
        ag_stored_to_float(t->type, t->data + row0 * row_bytes, rows * t->cols, out);
        return AG_OK;
    }
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = interleaved_row(row0 + r, t->interleaved);
        ag_stored_to_float(t->type, t->data + at * row_bytes, t->cols, out + r * t->cols);
    }
    return AG_OK;
}

int ag_weights_count(const ag_weights *w)
{
    return (int)w->table.count;
}

const char *ag_weights_name(const ag_weights *w, int i)
{
    return w->table.items[i].name;
}
