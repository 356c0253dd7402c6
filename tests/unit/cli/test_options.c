/* The option table: what is parsed, what is refused with which words, and what --help prints. */
#include "unit/base/test_help.h"

#include <unistd.h>

#include "cli/options.h"

static bool json;
static const char *model, *dtype;
static long seed, steps;
static double lr;
static ag_option_list sets;

static const ag_option options[] = {
    {"model", AG_OPT_STRING, &model, "NAME", "a folder, a GGUF file, or the name of a pulled model", 0, 0},
    {"json", AG_OPT_FLAG, &json, NULL, "results as JSONL", 0, 0},
    {"dtype", AG_OPT_CHOICE, &dtype, "bf16|fp32", "type of weights", 0, 0},
    {"seed", AG_OPT_INT, &seed, "N", "random seed", 0, 1e18},
    {"steps", AG_OPT_INT, &steps, "N", "stop after so many steps", 1, 100000},
    {"lr", AG_OPT_NUMBER, &lr, "X", "learning rate", 0, 1},
    {"a-very-long-option-name-here", AG_OPT_STRING, &model, "SOMETHING", "text", 0, 0},
    {"set", AG_OPT_LIST, &sets, "KEY=VALUE", "a setting of the run file", 0, 0},
    {0},
};
static const ag_usage usage = {"agrl train RUN [options]", "Trains a model.\n\nA second paragraph.", 1, 2};

/* What one call came to. */
static int code, count;
static char **args, *words[80];
static char out[16384], err[16384];

/* Standard output or error goes to a file between these two; returns a copy of the real one. */
static int divert(int fd, FILE *to)
{
    fflush(fd == 1 ? stdout : stderr);
    int kept = dup(fd);
    assert_true(kept >= 0 && dup2(fileno(to), fd) == fd);
    return kept;
}

static void restore(int fd, int kept, FILE *from, char *text, size_t size)
{
    fflush(fd == 1 ? stdout : stderr);
    assert_int_equal(dup2(kept, fd), fd);
    close(kept);
    rewind(from);
    size_t n = fread(text, 1, size - 1, from);
    text[n] = '\0';
    fclose(from);
}

/* Parses the words behind "train", from the defaults. */
static void parse(const char *const *given, int n)
{
    FILE *to[2] = {tmpfile(), tmpfile()};
    assert_true(to[0] && to[1] && n < 78);
    json = false;
    model = NULL;
    dtype = "bf16";
    seed = 42;
    steps = -1;
    lr = 1e-5;
    sets.count = 0;
    words[0] = ag_strdup("train");
    for (int i = 0; i < n; i++) words[i + 1] = ag_strdup(given[i]);
    words[n + 1] = NULL;
    char *copy[80];
    memcpy(copy, words, sizeof copy);
    int kept[2] = {divert(1, to[0]), divert(2, to[1])};
    code = ag_options_parse(&usage, options, n + 1, copy, &args, &count);
    restore(1, kept[0], to[0], out, sizeof out);
    restore(2, kept[1], to[1], err, sizeof err);
    static char *stay[80]; /* what args points into */
    memcpy(stay, copy, sizeof stay);
    args = stay + (args - copy);
}

static void release(void)
{
    for (int i = 0; words[i]; i++) ag_free(words[i]);
}

#define PARSE(...)                                                                                           \
    do {                                                                                                     \
        const char *const given[] = {__VA_ARGS__};                                                           \
        parse(given, (int)(sizeof given / sizeof *given));                                                   \
    } while (0)

/* The words are refused with exit code 2, nothing on stdout and one line that says `text`. */
#define REFUSED(text, ...)                                                                                   \
    do {                                                                                                     \
        PARSE(__VA_ARGS__);                                                                                  \
        assert_int_equal(code, 2);                                                                           \
        assert_string_equal(out, "");                                                                        \
        assert_int_equal(strncmp(err, "agrl: ", 6), 0);                                                      \
        assert_ptr_equal(strchr(err, '\n'), err + strlen(err) - 1);                                          \
        if (!strstr(err, text)) fail_msg("'%s' does not say '%s'", err, text);                               \
        assert_non_null(strstr(err, "(see 'agrl train --help')"));                                           \
        release();                                                                                           \
    } while (0)

static void test_values(void **state)
{
    (void)state;
    PARSE("x", "--model", "m", "--json", "--seed=7", "y", "--set", "a=1", "--set=b=2", "--lr", "1e-3",
          "--dtype", "fp32", "--steps", "100000");
    assert_int_equal(code, -1);
    assert_int_equal(count, 2);
    assert_string_equal(args[0], "x");
    assert_string_equal(args[1], "y");
    assert_string_equal(model, "m");
    assert_string_equal(dtype, "fp32");
    assert_true(json && seed == 7 && lr == 1e-3 && steps == 100000);
    assert_int_equal(sets.count, 2);
    assert_string_equal(sets.items[0], "a=1");
    assert_string_equal(sets.items[1], "b=2");
    assert_string_equal(out, "");
    assert_string_equal(err, "");
    release();
}

static void test_positional(void **state)
{
    (void)state;
    PARSE("--", "--model");
    assert_true(code == -1 && count == 1);
    assert_string_equal(args[0], "--model");
    release();
    PARSE("-", "-5"); /* standard input, and a number */
    assert_true(code == -1 && count == 2);
    assert_string_equal(args[0], "-");
    assert_string_equal(args[1], "-5");
    release();
    PARSE("x", "--model", "-", "--lr", ".5", "--seed=0");
    assert_true(code == -1 && count == 1 && lr == 0.5 && seed == 0);
    assert_string_equal(model, "-");
    release();
    REFUSED("too few arguments", "--json");
    REFUSED("'z' is one argument too many", "x", "y", "z");
}

static void test_unknown(void **state)
{
    (void)state;
    REFUSED("unknown option '--modle'; did you mean '--model'?", "--modle", "x");
    REFUSED("unknown option '--modle'; did you mean '--model'?", "--modle=x", "x");
    REFUSED("unknown option '-x'", "-x");
    REFUSED("unknown option '--zzzzzzz' (see", "--zzzzzzz");
    REFUSED("unknown option '--hlep'; did you mean '--help'?", "--hlep");
}

static void test_bad_values(void **state)
{
    (void)state;
    REFUSED("--model needs a value: --model NAME", "x", "--model");
    REFUSED("--model needs a value", "x", "--model", "--json"); /* a name was forgotten */
    REFUSED("--json takes no value", "--json=1");
    REFUSED("--seed must be a whole number of at least 0, not '1x'", "x", "--seed", "1x");
    REFUSED("not '99999999999999999999'", "x", "--seed", "99999999999999999999");
    REFUSED("not ''", "x", "--seed=");
    REFUSED("not ' 1'", "x", "--seed", " 1");
    REFUSED("--steps must be a whole number from 1 to 100000, not '0'", "x", "--steps", "0");
    REFUSED("not '--3'", "x", "--steps=--3");
    REFUSED("--lr must be a number from 0 to 1, not '2'", "x", "--lr", "2");
    REFUSED("not 'nan'", "x", "--lr", "nan");
    REFUSED("--dtype must be one of bf16|fp32, not 'fp16'", "x", "--dtype", "fp16");
    REFUSED("not 'bf'", "x", "--dtype", "bf");
    REFUSED("not ''", "x", "--dtype=");
}

static void test_list_limit(void **state)
{
    (void)state;
    const char *given[66];
    for (int i = 0; i < 65; i++) given[i] = "--set=a=1";
    given[65] = "x";
    parse(given, 66);
    assert_int_equal(code, 2);
    assert_non_null(strstr(err, "--set given more than 64 times"));
    release();
    parse(given + 1, 65);
    assert_true(code == -1 && sets.count == 64);
    release();
}

static void test_help(void **state)
{
    (void)state;
    static const char *const wanted[] = {"usage: agrl train RUN [options]\n",
                                         "Trains a model.\n",
                                         "\nA second paragraph.\n",
                                         "--model NAME",
                                         "--json ",
                                         "--dtype bf16|fp32",
                                         "(default: bf16)",
                                         "(at least 0; default: 42)",
                                         "(1 to 100000)",
                                         "(0 to 1; default: 1e-5)",
                                         "(may be repeated)",
                                         "  --a-very-long-option-name-here SOMETHING\n",
                                         "--help"};
    PARSE("x", "--nonsense", "--help");
    assert_int_equal(code, 0);
    assert_string_equal(err, "");
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (!strstr(out, wanted[i])) fail_msg("help does not say '%s':\n%s", wanted[i], out);
    for (const char *line = out; *line;) {
        size_t n = strcspn(line, "\n");
        assert_true(n <= 100);
        assert_true(n == 0 || line[n - 1] != ' ');
        line += n + (line[n] == '\n');
    }
    release();
    PARSE("x", "--", "--help"); /* an argument, not the option */
    assert_true(code == -1 && count == 2);
    release();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),     cmocka_unit_test(test_positional), cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_bad_values), cmocka_unit_test(test_list_limit), cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
