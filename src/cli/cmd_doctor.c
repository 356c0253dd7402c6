/* cmd_doctor.c: `agrl doctor`: what this machine has and what agrl will use of it. Everything comes from files of the
 * system and from the libraries themselves: no other program is run, so it answers at once on any machine.
 */
#include <dirent.h>
#include <dnnl.h>
#include <jansson.h>
#include <limits.h>
#include <microhttpd.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <utf8proc.h>
#include <yaml.h>
#include <zlib.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "device/device.h"
#include "model/pullable.h"

enum { FEATURES = 8, LIBRARIES = 8, GPUS = 16 };

/* Flags of /proc/cpuinfo under the names that x86 and ARM kernels give them. */
static const struct {
    const char *name, *x86, *arm;
} features[FEATURES] = {
    {"avx2", "avx2", NULL},         {"fma", "fma", NULL},
    {"avx512", "avx512bw", NULL},   {"avx512_bf16", "avx512_bf16", NULL},
    {"amx_tile", "amx_tile", NULL}, {"amx_bf16", "amx_bf16", NULL},
    {"neon", NULL, "asimd"},        {"bf16", NULL, "bf16"},
};

typedef struct machine {
    char system[256], arch[65], processor[128];
    bool x86, feature[FEATURES];
    int cores, usable;               /* of the machine; that this process may run on */
    double quota;                    /* processors that a container allows; 0: no limit */
    double memory, available, limit; /* bytes; limit of a container, 0: none */
    int gpu_count;
    char gpu[GPUS][96], driver[64];
    bool gpu_usable; /* device files are there */
    bool cuda;       /* device cuda opens */
    char cuda_why[256];
    double cuda_free, cuda_memory; /* bytes */
    char kernels[128];
    const char *onednn_isa;
    char onednn[32], pcre2[64];
    bool pcre2_jit;
    struct {
        const char *name, *version;
    } library[LIBRARIES];
    bool fast_bf16;
} machine;

/* --- reading the system ------------------------------------------------------------------------------------- */

/* The small text file, or "" when it cannot be read. Files of /proc have no size, hence no ag_file_read. */
static void read_text(const char *path, char *text, size_t size)
{
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, size - 1, f) : 0;
    if (f) fclose(f);
    text[n] = '\0';
}

/* The value behind "key : " at the start of a line. */
static bool line_value(const char *text, const char *key, char *value, size_t size)
{
    size_t n = strlen(key);
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        const char *p = line + n, *end = line + length;
        if (length > n && memcmp(line, key, n) == 0) {
            p += strspn(p, " \t");
            if (*p == ':') {
                p++;
                p += strspn(p, " \t");
                snprintf(value, size, "%.*s", (int)(end > p ? end - p : 0), p);
                return true;
            }
        }
        line = end + (*end == '\n');
    }
    return false;
}

static bool has_word(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = text; (p = strstr(p, word)) != NULL; p += n)
        if ((p == text || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0')) return true;
    return false;
}

static void read_processor(machine *m)
{
    static char text[16384], flags[8192];
    struct utsname name;
    char os[4096];
    cpu_set_t set;
    if (uname(&name) == 0) {
        snprintf(m->arch, sizeof m->arch, "%s", name.machine);
        snprintf(m->system, sizeof m->system, "%s %s", name.sysname, name.release);
        read_text("/etc/os-release", os, sizeof os);
        for (char *p = os; (p = strstr(p, "PRETTY_NAME=")) != NULL; p++) {
            if (p != os && p[-1] != '\n') continue;
            p += strlen("PRETTY_NAME=");
            p += *p == '"';
            snprintf(m->system, sizeof m->system, "%.*s, %.60s %.80s", (int)strcspn(p, "\"\n"), p,
                     name.sysname, name.release);
            break;
        }
    }
    read_text("/proc/cpuinfo", text, sizeof text);
    if (!line_value(text, "model name", m->processor, sizeof m->processor))
        snprintf(m->processor, sizeof m->processor, "%.100s processor", m->arch);
    m->x86 = line_value(text, "flags", flags, sizeof flags);
    if (!m->x86 && !line_value(text, "Features", flags, sizeof flags)) flags[0] = '\0';
    for (int i = 0; i < FEATURES; i++) {
        const char *flag = m->x86 ? features[i].x86 : features[i].arm;
        m->feature[i] = flag && has_word(flags, flag);
    }
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    m->cores = cores > 0 ? (int)cores : 1;
    m->usable = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : m->cores;
}

/* Limits of control groups, version 2 then version 1. What is not there limits nothing. */
static void read_limits(machine *m)
{
    char text[256];
    double period = 0;
    read_text("/sys/fs/cgroup/memory.max", text, sizeof text);
    if (!text[0]) read_text("/sys/fs/cgroup/memory/memory.limit_in_bytes", text, sizeof text);
    m->limit = text[0] >= '0' && text[0] <= '9' ? strtod(text, NULL) : 0;
    if (m->limit >= m->memory) m->limit = 0;
    read_text("/sys/fs/cgroup/cpu.max", text, sizeof text);
    if (text[0] >= '0' && text[0] <= '9') {
        char *rest;
        m->quota = strtod(text, &rest);
        period = strtod(rest, NULL);
    } else if (!text[0]) {
        read_text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", text, sizeof text);
        m->quota = strtod(text, NULL);
        read_text("/sys/fs/cgroup/cpu/cpu.cfs_period_us", text, sizeof text);
        period = strtod(text, NULL);
    }
    m->quota = m->quota > 0 && period > 0 ? m->quota / period : 0;
}

static void read_memory(machine *m)
{
    char text[4096], value[64];
    read_text("/proc/meminfo", text, sizeof text);
    if (line_value(text, "MemTotal", value, sizeof value)) m->memory = strtod(value, NULL) * 1024;
    if (line_value(text, "MemAvailable", value, sizeof value)) m->available = strtod(value, NULL) * 1024;
    read_limits(m);
}

/* Does `device: cuda` open here? */
static void try_cuda(machine *m)
{
    ag_device *d;
    ag_error err = {0};
    size_t free = 0, have = 0;
    m->cuda = ag_device_open(&d, "cuda", 0, &err) == AG_OK;
    if (m->cuda && ag_device_memory(d, &free, &have, &err) != AG_OK) m->cuda = false;
    if (m->cuda) ag_device_close(d);
    const char *why = err.message, *prefix = "device 'cuda': ";
    if (strncmp(why, prefix, strlen(prefix)) == 0) why += strlen(prefix);
    snprintf(m->cuda_why, sizeof m->cuda_why, "%.*s", (int)strcspn(why, ";"), why);
    m->cuda_free = (double)free;
    m->cuda_memory = (double)have;
}

/* NVIDIA's kernel driver lists its GPUs under /proc; a container may have the device files only. */
static void read_gpus(machine *m)
{
    char path[512], text[4096];
    DIR *dir = opendir("/proc/driver/nvidia/gpus");
    for (struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] == '.' || m->gpu_count == GPUS) continue;
        snprintf(path, sizeof path, "/proc/driver/nvidia/gpus/%s/information", e->d_name);
        read_text(path, text, sizeof text);
        if (!line_value(text, "Model", m->gpu[m->gpu_count], sizeof m->gpu[0]))
            snprintf(m->gpu[m->gpu_count], sizeof m->gpu[0], "NVIDIA GPU");
        m->gpu_count++;
    }
    if (dir) closedir(dir);
    int files = 0;
    for (int i = 0; i < GPUS; i++) {
        snprintf(path, sizeof path, "/dev/nvidia%d", i);
        if (!ag_path_exists(path)) continue;
        if (files++ == m->gpu_count && m->gpu_count < GPUS)
            snprintf(m->gpu[m->gpu_count++], sizeof m->gpu[0], "NVIDIA GPU");
    }
    m->gpu_usable = files > 0;
    read_text("/proc/driver/nvidia/version", text, sizeof text);
    const char *p = strstr(text, "Module  "); /* "... Kernel Module  535.104.05  Sat Aug ..." */
    if (p) {
        p += strlen("Module  ");
        snprintf(m->driver, sizeof m->driver, "%.*s", (int)strcspn(p, " \n"), p);
    }
}

/* --- libraries ---------------------------------------------------------------------------------------------- */

/* The instruction set that oneDNN settled on; names that both 2.x and 3.x have. */
static const char *onednn_isa(void)
{
    switch ((int)dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41: return "sse4.1";
    case dnnl_cpu_isa_avx: return "avx";
    case dnnl_cpu_isa_avx2: return "avx2";
    case dnnl_cpu_isa_avx512_core: return "avx512";
    case dnnl_cpu_isa_avx512_core_vnni: return "avx512 vnni";
    case dnnl_cpu_isa_avx512_core_bf16: return "avx512 bf16";
    case dnnl_cpu_isa_avx512_core_amx: return "avx512 amx";
    default: return "its default";
    }
}

static void read_libraries(machine *m)
{
    uint32_t jit = 0;
    const dnnl_version_t *v = dnnl_version();
    snprintf(m->onednn, sizeof m->onednn, "%d.%d.%d", v->major, v->minor, v->patch);
    m->onednn_isa = onednn_isa();
    if (pcre2_config(PCRE2_CONFIG_VERSION, NULL) > (int)sizeof m->pcre2 ||
        pcre2_config(PCRE2_CONFIG_VERSION, m->pcre2) < 0)
        snprintf(m->pcre2, sizeof m->pcre2, "unknown");
    m->pcre2[strcspn(m->pcre2, " ")] = '\0'; /* the date goes */
    pcre2_config(PCRE2_CONFIG_JIT, &jit);
    m->pcre2_jit = jit != 0;
    const struct {
        const char *name, *version;
    } rows[LIBRARIES] = {
        {"oneDNN", m->onednn},
        {"jansson", JANSSON_VERSION},
        {"libyaml", yaml_get_version_string()},
        {"PCRE2", m->pcre2},
        {"utf8proc", utf8proc_version()},
        {"zlib", zlibVersion()},
        {"libmicrohttpd", MHD_get_version()},
        {"SQLite", sqlite3_libversion()},
    };
    for (int i = 0; i < LIBRARIES; i++) {
        m->library[i].name = rows[i].name;
        m->library[i].version = rows[i].version;
    }
}

static ag_status examine(machine *m, ag_error *err)
{
    ag_device *device;
    read_processor(m);
    read_memory(m);
    read_gpus(m);
    try_cuda(m);
    read_libraries(m);
    ag_device_cpu_describe(m->kernels, sizeof m->kernels);
    m->kernels[strcspn(m->kernels, " ")] = '\0'; /* "avx2 kernels, 2 processors, ..." */
    ag_status status = ag_device_cpu_open(&device, 0, err);
    if (status != AG_OK) return status;
    m->fast_bf16 = device->fast_bf16;
    ag_device_close(device);
    return AG_OK;
}

/* --- what to say -------------------------------------------------------------------------------------------- */

static const char *dtype(const machine *m)
{
    return m->fast_bf16 ? "bf16" : "fp32";
}

static void add_gb(ag_str *out, double bytes)
{
    double gb = bytes / (1 << 30);
    ag_str_addf(out, gb < 10 ? "%.1f GiB" : "%.0f GiB", gb);
}

/* A title and what stands under it, in a column. */
static void row(ag_str *out, const char *name, const char *format, ...) AG_PRINTF(3, 4);
static void row(ag_str *out, const char *name, const char *format, ...)
{
    va_list args;
    ag_str_addf(out, "  %-13s ", name);
    va_start(args, format);
    ag_str_vaddf(out, format, args);
    va_end(args);
    ag_str_addc(out, '\n');
}

static void machine_text(ag_str *out, const machine *m)
{
    ag_str line = {0};
    ag_str_add(out, "Machine\n");
    row(out, "system", "%s (%s)", m->system, m->arch);
    row(out, "processor", "%s", m->processor);
    ag_str_addf(&line, "%d", m->usable);
    if (m->usable != m->cores) ag_str_addf(&line, " of %d", m->cores);
    if (m->quota > 0) ag_str_addf(&line, "; a container allows %.3g", m->quota);
    row(out, "processors", "%s", ag_str_text(&line));
    ag_str_clear(&line);
    for (int i = 0; i < FEATURES; i++) {
        if (!(m->x86 ? features[i].x86 : features[i].arm)) continue;
        ag_str_addf(&line, "%s%s %s", line.len ? ", " : "", features[i].name, m->feature[i] ? "yes" : "no");
    }
    row(out, "features", "%s", line.len ? ag_str_text(&line) : "unknown");
    ag_str_clear(&line);
    add_gb(&line, m->memory);
    if (m->limit > 0) {
        ag_str_add(&line, "; a container allows ");
        add_gb(&line, m->limit);
    }
    ag_str_add(&line, ", ");
    add_gb(&line, m->available);
    row(out, "memory", "%s free", ag_str_text(&line));
    if (m->gpu_count == 0) row(out, "GPU", "none found");
    for (int i = 0; i < m->gpu_count; i++)
        row(out, i == 0 ? "GPU" : "", "%s%s%s", m->gpu[i], m->driver[0] ? ", driver " : "", m->driver);
    if (m->gpu_count > 0 && !m->gpu_usable) row(out, "", "(this process has no /dev/nvidia*)");
    ag_str_free(&line);
}

static ag_status models_text(ag_str *out, ag_error *err)
{
    char *dir;
    ag_status status = ag_models_dir(&dir, err);
    ag_str_add(out, "\nModels\n");
    if (status == AG_ERR_MEMORY) return status;
    if (status != AG_OK) { /* no home folder: nothing can be pulled, all else works */
        row(out, "folder", "none: %s", err->message);
        return AG_OK;
    }
    row(out, "folder", "%s", dir);
    ag_free(dir);
    for (const ag_pullable *p = ag_pullables; p->name; p++) {
        char *path;
        if ((status = ag_pullable_path(p->name, &path, err)) != AG_OK) return status;
        if (ag_path_exists(path))
            row(out, p->name, "%s", p->what);
        else
            row(out, p->name, "not here yet: agrl pull %s", p->name);
        ag_free(path);
    }
    return AG_OK;
}

static ag_status report_text(ag_str *out, const machine *m, ag_error *err)
{
    machine_text(out, m);
    ag_str_add(out, "\nLibraries\n");
    for (int i = 0; i < LIBRARIES; i++) {
        const char *name = m->library[i].name;
        if (i == 0)
            row(out, name, "%s, instruction set %s", m->library[i].version, m->onednn_isa);
        else if (strcmp(name, "PCRE2") == 0)
            row(out, name, "%s%s", m->library[i].version,
                m->pcre2_jit ? ", with JIT" : ", without JIT (slower)");
        else
            row(out, name, "%s", m->library[i].version);
    }
    ag_status status = models_text(out, err);
    if (status != AG_OK) return status;
    ag_str_addf(out, "\nagrl %s will use, unless told otherwise\n", ag_version());
    row(out, "device", "cpu");
    if (m->cuda)
        row(out, "", "cuda when asked for (--device cuda, device: cuda): %.0f of %.0f GiB free",
            m->cuda_free / (1 << 30), m->cuda_memory / (1 << 30));
    else
        row(out, "", "not cuda: %s", m->cuda_why);
    row(out, "kernels", "%s", m->kernels);
    row(out, "dtype", "%s%s", dtype(m),
        m->fast_bf16 ? "" : " (the processor has no fast bf16 products; --dtype bf16 works, slower)");
    row(out, "threads", "%d", m->usable);
    if (m->quota > 0 && m->quota + 0.5 < m->usable)
        row(out, "", "(the container allows fewer: try --threads %d)", m->quota < 1 ? 1 : (int)m->quota);
    return AG_OK;
}

/* --- the same as JSON --------------------------------------------------------------------------------------- */

static json_t *models_json(void)
{
    json_t *models = json_array();
    for (const ag_pullable *p = ag_pullables; p->name; p++) {
        char *path = NULL;
        bool known = ag_pullable_path(p->name, &path, NULL) == AG_OK;
        json_array_append_new(models, json_pack("{s:s, s:s?, s:b}", "name", p->name, "path", path, "there",
                                                known && ag_path_exists(path)));
        ag_free(path);
    }
    return models;
}

static json_t *machine_json(const machine *m)
{
    json_t *flags = json_object();
    for (int i = 0; i < FEATURES; i++)
        if (m->x86 ? features[i].x86 : features[i].arm)
            json_object_set_new(flags, features[i].name, json_boolean(m->feature[i]));
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:f, s:o, s:I, s:I, s:I}", "system", m->system, "arch",
                     m->arch, "processor", m->processor, "processors", m->cores, "usable", m->usable, "quota",
                     m->quota, "features", flags, "memory", (json_int_t)m->memory, "memory_free",
                     (json_int_t)m->available, "memory_limit", (json_int_t)m->limit);
}

static json_t *gpus_json(const machine *m)
{
    json_t *gpus = json_array();
    for (int i = 0; i < m->gpu_count; i++) json_array_append_new(gpus, json_string(m->gpu[i]));
    return json_pack("{s:o, s:s, s:b, s:b, s:s, s:I, s:I}", "devices", gpus, "driver", m->driver, "usable",
                     m->gpu_usable, "cuda", m->cuda, "cuda_why_not", m->cuda_why, "memory_free",
                     (json_int_t)m->cuda_free, "memory", (json_int_t)m->cuda_memory);
}

static json_t *libraries_json(const machine *m)
{
    json_t *libraries = json_object();
    for (int i = 0; i < LIBRARIES; i++)
        json_object_set_new(libraries, m->library[i].name, json_string(m->library[i].version));
    json_object_set_new(libraries, "oneDNN_isa", json_string(m->onednn_isa));
    json_object_set_new(libraries, "PCRE2_jit", json_boolean(m->pcre2_jit));
    return libraries;
}

static ag_status report_json(ag_str *out, const machine *m, ag_error *err)
{
    json_t *json = json_pack("{s:s, s:o, s:o, s:o, s:o, s:{s:s, s:s, s:s, s:i}}", "agrl", ag_version(),
                             "machine", machine_json(m), "gpu", gpus_json(m), "libraries", libraries_json(m),
                             "models", models_json(), "uses", "device", "cpu", "kernels", m->kernels, "dtype",
                             dtype(m), "threads", m->usable);
    if (!json) return ag_fail_memory(err, "report");
    ag_status status = ag_json_dump(out, json, err);
    ag_str_addc(out, '\n');
    json_decref(json);
    return status;
}

int ag_cmd_doctor(int argc, char **argv)
{
    bool json = false;
    const ag_usage usage = {"agrl doctor [--json]",
                            "Says what this machine has (processor features, memory, libraries, GPU, pulled "
                            "models) and what agrl "
                            "will use by default.",
                            0, 0};
    const ag_option options[] = {
        {"json", AG_OPT_FLAG, &json, NULL, "one line of JSON", 0, 0},
        {0},
    };
    ag_error err = {0};
    ag_str text = {0};
    ag_out *out = NULL;
    char **args;
    int nargs, code = ag_options_parse(&usage, options, argc, argv, &args, &nargs);
    if (code >= 0) return code;
    machine *m = ag_calloc(1, sizeof *m);
    ag_status status = m ? examine(m, &err) : ag_fail_memory(&err, "report");
    if (status == AG_OK) status = json ? report_json(&text, m, &err) : report_text(&text, m, &err);
    if (status == AG_OK) status = ag_str_ok(&text, &err);
    if (status == AG_OK) status = ag_out_open(&out, "-", &err);
    if (status == AG_OK) {
        ag_out_write(out, ag_str_text(&text), text.len);
        status = ag_out_commit(out, &err);
    }
    ag_str_free(&text);
    ag_free(m);
    return status == AG_OK ? 0 : ag_cli_fail(&err);
}
