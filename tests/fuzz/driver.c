/* driver.c: runs a fuzz target without libFuzzer: seeds from folders, changed at random in ways that parsers are known
 * to trip over, for a number of seconds. The same seeds and -seed give the same inputs in the same order. Takes
 * libFuzzer's spelling of the options that it knows and ignores the rest:
 *
 *   fuzz_yaml -max_total_time=8 -max_len=4096 -seed=1 -artifact_prefix=DIR/ SEEDS...    a folder of seeds or a seed
 *   fuzz_yaml -runs=0 FILE                                                              only the files themselves
 *
 * An input that crashes, or takes longer than 10 s, is left in <prefix>crash-<name>.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Where there is a sanitizer, it calls back before it ends the process. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

enum { MAX_SEEDS = 1024, TIMEOUT = 10 };

typedef struct input {
    uint8_t *data;
    size_t len;
} input;

static input seeds[MAX_SEEDS], current;
static int seed_count;
static char artifact[1024];
static uint64_t state = 1;

/* --- crashes ------------------------------------------------------------------------------------------------ */

/* Only what a signal handler may do. */
static void save_input(void)
{
    static const char text[] = "\nfuzz: the input is in ";
    int fd = open(artifact, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0) return;
    size_t done = 0;
    while (done < current.len) {
        ssize_t n = write(fd, current.data + done, current.len - done);
        if (n <= 0) break;
        done += (size_t)n;
    }
    close(fd);
    if (write(2, text, sizeof text - 1) < 0 || write(2, artifact, strlen(artifact)) < 0 ||
        write(2, "\n", 1) < 0)
        return;
}

static void on_signal(int number)
{
    static const char late[] = "\nfuzz: an input took too long\n";
    if (number == SIGALRM && write(2, late, sizeof late - 1) < 0) _exit(1);
    save_input();
    signal(number, SIG_DFL);
    raise(number);
}

static void watch(void)
{
    static const int numbers[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        bool sanitizer = __sanitizer_set_death_callback && numbers[i] != SIGALRM && numbers[i] != SIGABRT;
        if (!sanitizer) signal(numbers[i], on_signal);
    }
    if (__sanitizer_set_death_callback) __sanitizer_set_death_callback(save_input);
}

/* --- seeds -------------------------------------------------------------------------------------------------- */

static void add_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f || seed_count == MAX_SEEDS) {
        if (!f) perror(path);
        return;
    }
    input *seed = &seeds[seed_count++];
    size_t cap = 1 << 16, n;
    seed->data = malloc(cap);
    while (seed->data && (n = fread(seed->data + seed->len, 1, cap - seed->len, f)) > 0) {
        seed->len += n;
        if (seed->len == cap) seed->data = realloc(seed->data, cap *= 2);
    }
    fclose(f);
    if (!seed->data) exit(1);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Files of a folder in the order of their names, so that runs repeat. */
static void add_seeds(const char *path)
{
    struct stat st;
    char *names[MAX_SEEDS];
    int count = 0;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        add_file(path);
        return;
    }
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir)) != NULL;)
        if (e->d_name[0] != '.' && count < MAX_SEEDS) names[count++] = strdup(e->d_name);
    if (dir) closedir(dir);
    qsort(names, (size_t)count, sizeof *names, by_name);
    for (int i = 0; i < count; i++) {
        char full[4096];
        snprintf(full, sizeof full, "%s/%s", path, names[i]);
        add_file(full);
        free(names[i]);
    }
}

/* --- changes ------------------------------------------------------------------------------------------------ */

static uint64_t noise(uint64_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return below ? (state >> 11) % below : 0;
}

/* Replaces `gone` bytes at `at` by n bytes; keeps to the largest size. */
static void replace(input *x, size_t max, size_t at, size_t gone, const void *bytes, size_t n)
{
    if (at > x->len) at = x->len;
    if (gone > x->len - at) gone = x->len - at;
    if (x->len - gone + n > max) n = max > x->len - gone ? max - (x->len - gone) : 0;
    memmove(x->data + at + n, x->data + at + gone, x->len - at - gone);
    if (n) memcpy(x->data + at, bytes, n);
    x->len = x->len - gone + n;
}

static void change(input *x, size_t max)
{
    static const char *const words[] = {"\"",
                                        "{",
                                        "}",
                                        "[",
                                        "]",
                                        ":",
                                        ",",
                                        "\n",
                                        "\r\n",
                                        "\\",
                                        "\\u0000",
                                        "\\ud800",
                                        "null",
                                        "-1",
                                        "0",
                                        "1e999",
                                        "9223372036854775808",
                                        "18446744073709551615",
                                        "\xff",
                                        "\xc0\x80",
                                        "\xed\xa0\x80",
                                        "\xef\xbb\xbf",
                                        "\xe2\x80\xa8",
                                        "  ",
                                        "- ",
                                        "&a",
                                        "*a",
                                        "!!x",
                                        "|",
                                        ">",
                                        "%",
                                        "#",
                                        "'",
                                        "or",
                                        "not",
                                        "in [",
                                        "==",
                                        "(",
                                        ")",
                                        "any("};
    static const uint64_t numbers[] = {0,          1,        7,          0x7f,       0x80,
                                       0xff,       0x7fff,   0xffff,     0x7fffffff, 0x80000000,
                                       0xffffffff, 1u << 20, 1ull << 32, 1ull << 40, 1ull << 60,
                                       ~0ull >> 1, ~0ull,    ~0ull - 7,  ~0ull << 63};
    static uint8_t copy[4096];
    size_t at = noise(x->len + 1), n = 1 + noise(noise(4) ? 8 : 256);
    const input *other = &seeds[noise((uint64_t)seed_count)];
    const char *word = words[noise(sizeof words / sizeof *words)];
    uint64_t number = numbers[noise(sizeof numbers / sizeof *numbers)] + noise(3) - 1;
    switch (noise(9)) {
    case 0:
        if (at < x->len) x->data[at] ^= (uint8_t)(1u << noise(8));
        break;
    case 1:
        if (at < x->len) x->data[at] = (uint8_t)noise(256);
        break;
    case 2: replace(x, max, at, n, NULL, 0); break;
    case 3: replace(x, max, at, noise(3) ? 0 : n, word, strlen(word)); break;
    case 4: replace(x, max, at, (size_t)1 << noise(4), &number, (size_t)1 << noise(4)); break;
    case 5: /* a piece of itself again, up to many times */
        if (n > x->len - at) n = x->len - at;
        if (n > sizeof copy) n = sizeof copy;
        memcpy(copy, x->data + at, n);
        for (uint64_t k = noise(8) ? 1 : noise(200) + 1; k > 0; k--) replace(x, max, at, 0, copy, n);
        break;
    case 6: /* a piece of another seed */
        if (other->len) {
            size_t from = noise(other->len), most = other->len - from;
            replace(x, max, at, noise(2) ? n : 0, other->data + from, 1 + noise(most < 512 ? most : 512));
        }
        break;
    case 7: x->len = noise(8) ? x->len : at; break;
    default: /* two digits more or less */
        while (at < x->len && (x->data[at] < '0' || x->data[at] > '9')) at++;
        if (at < x->len) replace(x, max, at, noise(2), noise(2) ? "99" : "-", noise(2) + 1);
        break;
    }
}

/* --- running ------------------------------------------------------------------------------------------------ */

static void run(const uint8_t *data, size_t len)
{
    /* A block of exactly this size, so that a sanitizer sees the first read behind it. */
    current.data = malloc(len ? len : 1);
    current.len = len;
    if (!current.data) exit(1);
    if (len) memcpy(current.data, data, len);
    alarm(TIMEOUT);
    LLVMFuzzerTestOneInput(current.data, current.len);
    alarm(0);
    free(current.data);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* "-max_len=8": true for the option of this name. */
static bool option(const char *arg, const char *name, long *value)
{
    size_t n = strlen(name);
    if (arg[0] != '-' || strncmp(arg + 1, name, n) != 0 || arg[n + 1] != '=') return false;
    *value = strtol(arg + n + 2, NULL, 10);
    return true;
}

int main(int argc, char **argv)
{
    long seconds = 0, max = 1 << 16, runs = -1, number = 1, made = 0;
    const char *prefix = "", *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "-artifact_prefix=", 17) == 0)
            prefix = argv[i] + 17;
        else if (!option(argv[i], "max_total_time", &seconds) && !option(argv[i], "max_len", &max) &&
                 !option(argv[i], "runs", &runs) && !option(argv[i], "seed", &number) && argv[i][0] != '-')
            add_seeds(argv[i]);
    }
    snprintf(artifact, sizeof artifact, "%scrash-%s", prefix, name);
    for (const char *p = name; *p; p++) state = state * 31 + (uint8_t)*p;
    state ^= (uint64_t)number << 32;
    watch();
    run((const uint8_t *)"", 0);
    for (int i = 0; i < seed_count; i++) run(seeds[i].data, seeds[i].len);
    if (seed_count == 0) seeds[seed_count++] = (input){(uint8_t *)strdup("a"), 1};
    if (runs < 0 && seconds == 0) seconds = 5;
    double end = now() + (double)seconds;
    input x = {malloc((size_t)max + 1), 0};
    while (x.data && (runs < 0 ? now() < end : made < runs)) {
        const input *seed = &seeds[noise((uint64_t)seed_count)];
        x.len = seed->len < (size_t)max ? seed->len : (size_t)max;
        memcpy(x.data, seed->data, x.len);
        for (uint64_t k = noise(6) + 1; k > 0; k--) change(&x, (size_t)max);
        run(x.data, x.len);
        made++;
    }
    printf("%s: %d seeds, %ld inputs, nothing found\n", name, seed_count, made);
    free(x.data);
    for (int i = 0; i < seed_count; i++) free(seeds[i].data);
    return 0;
}
