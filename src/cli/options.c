/* options.c: parsing and help of command-line options, both from the rows of one table. */
#include "cli/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"

enum { HELP_WIDTH = 100, HELP_COLUMN = 30, MAX_OPTIONS = 128 };

/* --- help ----------------------------------------------------------------------------------------------- */

/* Prints text broken at spaces. The cursor stands at column `indent`; following lines start there. */
static void print_wrapped(const char *text, int indent)
{
    ag_str lines = {0};
    ag_str_add_wrapped(&lines, text, indent, HELP_WIDTH);
    fputs(ag_str_text(&lines), stdout);
    ag_str_free(&lines);
}

/* "  --name VALUE" */
static void option_head(ag_str *out, const ag_option *o)
{
    ag_str_addf(out, "  --%s", o->name);
    if (o->kind != AG_OPT_FLAG) ag_str_addf(out, " %s", o->meta ? o->meta : "VALUE");
}

/* "; default: X" behind other notes. A value outside the bounds stands for "not given", and a help text that
 * names the default knows better. */
static void add_default(ag_str *notes, const ag_option *o, bool bounded)
{
    const char *text = NULL;
    double number = 0;
    bool shown = false;
    if (o->help && strstr(o->help, "default")) return;
    if (o->kind == AG_OPT_STRING || o->kind == AG_OPT_CHOICE) {
        text = *(const char **)o->value;
        shown = text && *text;
    } else if (o->kind == AG_OPT_INT || o->kind == AG_OPT_NUMBER) {
        number = o->kind == AG_OPT_INT ? (double)*(long *)o->value : *(double *)o->value;
        shown = bounded ? number >= o->lo && number <= o->hi : number != 0;
    }
    if (!shown) return;
    ag_str_add(notes, notes->len ? "; default: " : "default: ");
    if (text)
        ag_str_add(notes, text);
    else
        ag_json_number(notes, number);
}

/* " from 1 to 64", or " of at least 1" where the upper bound is none that anybody meets. */
static void add_bounds(ag_str *out, const ag_option *o, const char *least, const char *from)
{
    bool open = o->hi >= 1e9;
    ag_str_add(out, open ? least : from);
    ag_json_number(out, o->lo);
    if (open) return;
    ag_str_add(out, " to ");
    ag_json_number(out, o->hi);
}

/* What the option is for, then its bounds and its default where the row has them. */
static void option_body(ag_str *out, const ag_option *o)
{
    bool bounded = (o->kind == AG_OPT_INT || o->kind == AG_OPT_NUMBER) && o->lo < o->hi;
    ag_str notes = {0};
    ag_str_add(out, o->help ? o->help : "");
    if (o->kind == AG_OPT_LIST) ag_str_add(&notes, "may be repeated");
    if (bounded) add_bounds(&notes, o, "at least ", "");
    add_default(&notes, o, bounded);
    if (notes.len) ag_str_addf(out, " (%s)", notes.data);
    ag_str_free(&notes);
}

static void print_row(const char *head, const char *body, int column)
{
    int width = (int)ag_utf8_count(head, strlen(head));
    printf("%s", head);
    if (width + 2 > column)
        printf("\n%*s", column, "");
    else
        printf("%*s", column - width, "");
    print_wrapped(body, column);
}

static void print_help(const ag_usage *usage, const ag_option *options)
{
    int column = 12; /* room for "--help" at least */
    ag_str head = {0}, body = {0};
    printf("usage: %s\n", usage->synopsis);
    if (usage->description) {
        printf("\n");
        print_wrapped(usage->description, 0);
    }
    for (const ag_option *o = options; o && o->name; o++) {
        ag_str_clear(&head);
        option_head(&head, o);
        int width = (int)ag_utf8_count(ag_str_text(&head), head.len) + 2;
        if (width > column && width <= HELP_COLUMN) column = width;
    }
    printf("\noptions:\n");
    for (const ag_option *o = options; o && o->name; o++) {
        ag_str_clear(&head);
        ag_str_clear(&body);
        option_head(&head, o);
        option_body(&body, o);
        print_row(ag_str_text(&head), ag_str_text(&body), column);
    }
    print_row("  --help", "show this", column);
    ag_str_free(&head);
    ag_str_free(&body);
}

/* --- parsing -------------------------------------------------------------------------------------------- */

/* The words of the synopsis that name the command: "agrl rules check". */
static int command_length(const char *synopsis)
{
    size_t n = 0;
    for (const char *p = synopsis; *p >= 'a' && *p <= 'z';) {
        p += strcspn(p, " ");
        n = (size_t)(p - synopsis);
        p += strspn(p, " ");
    }
    return (int)n;
}

/* Puts "see 'agrl train --help'" behind the message and prints it. */
static int fail_usage(const ag_usage *usage, const char *message)
{
    ag_error err;
    ag_fail(&err, AG_ERR_USAGE, "%s (see '%.*s --help')", message, command_length(usage->synopsis),
            usage->synopsis);
    return ag_cli_fail(&err);
}

static const ag_option *find_option(const ag_option *options, const char *name, size_t n)
{
    for (const ag_option *o = options; o && o->name; o++)
        if (strlen(o->name) == n && memcmp(o->name, name, n) == 0) return o;
    return NULL;
}

static void unknown_option(const ag_option *options, const char *arg, ag_str *message)
{
    const char *names[MAX_OPTIONS] = {"help"};
    size_t n = 1, dashes = strspn(arg, "-");
    char *name = ag_strndup(arg + dashes, strcspn(arg + dashes, "="));
    for (const ag_option *o = options; o && o->name && n < MAX_OPTIONS; o++) names[n++] = o->name;
    const char *near = name ? ag_nearest(name, names, n) : NULL;
    ag_str_addf(message, "unknown option '%.*s'", (int)strcspn(arg, "="), arg);
    if (near) ag_str_addf(message, "; did you mean '--%s'?", near);
    ag_free(name);
}

static bool set_int(const ag_option *o, const char *text, ag_str *message)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    bool whole = *text && strspn(text, "+-0123456789") == strlen(text) && *end == '\0' && errno == 0;
    if (whole && (!(o->lo < o->hi) || ((double)value >= o->lo && (double)value <= o->hi))) {
        *(long *)o->value = value;
        return true;
    }
    ag_str_addf(message, "--%s must be a whole number", o->name);
    return false;
}

static bool set_number(const ag_option *o, const char *text, ag_str *message)
{
    double value;
    if (ag_number_parse(text, &value) && (!(o->lo < o->hi) || (value >= o->lo && value <= o->hi))) {
        *(double *)o->value = value;
        return true;
    }
    ag_str_addf(message, "--%s must be a number", o->name);
    return false;
}

static bool set_choice(const ag_option *o, const char *text, ag_str *message)
{
    size_t n = strlen(text);
    for (const char *p = o->meta; p && *p;) {
        size_t length = strcspn(p, "|");
        if (n > 0 && length == n && memcmp(p, text, n) == 0) {
            *(const char **)o->value = text;
            return true;
        }
        p += length + (p[length] == '|');
    }
    ag_str_addf(message, "--%s must be one of %s, not '%s'", o->name, o->meta ? o->meta : "", text);
    return false;
}

/* Stores the value of an option that takes one; false with a message. */
static bool set_value(const ag_option *o, const char *text, ag_str *message)
{
    ag_option_list *list = o->value;
    bool done = false;
    switch (o->kind) {
    case AG_OPT_FLAG: break;
    case AG_OPT_STRING: *(const char **)o->value = text; return true;
    case AG_OPT_CHOICE: return set_choice(o, text, message);
    case AG_OPT_LIST:
        if (list->count < (int)(sizeof list->items / sizeof *list->items)) {
            list->items[list->count++] = text;
            return true;
        }
        ag_str_addf(message, "--%s given more than %zu times", o->name,
                    sizeof list->items / sizeof *list->items);
        return false;
    case AG_OPT_INT: done = set_int(o, text, message); break;
    case AG_OPT_NUMBER: done = set_number(o, text, message); break;
    }
    if (!done && o->lo < o->hi) add_bounds(message, o, " of at least ", " from ");
    if (!done) ag_str_addf(message, ", not '%s'", text);
    return done;
}

/* Handles argv[*i], an option, and moves *i to the last argument it took. False with a message. */
static bool take_option(const ag_option *options, int argc, char **argv, int *i, ag_str *message)
{
    const char *arg = argv[*i], *name = arg + 2;
    const char *equals = strchr(name, '=');
    size_t n = equals ? (size_t)(equals - name) : strlen(name);
    const ag_option *o = arg[1] == '-' ? find_option(options, name, n) : NULL;
    if (!o) {
        unknown_option(options, arg, message);
        return false;
    }
    if (o->kind == AG_OPT_FLAG) {
        if (equals) {
            ag_str_addf(message, "--%s takes no value", o->name);
            return false;
        }
        *(bool *)o->value = true;
        return true;
    }
    if (equals) return set_value(o, equals + 1, message);
    /* What looks like an option is one: "--model --json" forgot a name. */
    if (*i + 1 >= argc || strncmp(argv[*i + 1], "--", 2) == 0) {
        ag_str_addf(message, "--%s needs a value: --%s %s", o->name, o->name, o->meta ? o->meta : "VALUE");
        return false;
    }
    return set_value(o, argv[++*i], message);
}

/* "-" is standard input and "-5" a number; neither is an option. */
static bool is_option(const char *arg)
{
    return arg[0] == '-' && arg[1] != '\0' && !(arg[1] >= '0' && arg[1] <= '9') && arg[1] != '.';
}

/* True when --help or -h is among the options, in front of any "--". */
static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    return false;
}

int ag_options_parse(const ag_usage *usage, const ag_option *options, int argc, char **argv, char ***args,
                     int *nargs)
{
    ag_str message = {0};
    bool only_args = false, good = true;
    int count = 0, code = -1;
    if (wants_help(argc, argv)) {
        print_help(usage, options);
        return 0;
    }
    /* Positional arguments move to the front, over options that are done with. */
    for (int i = 1; i < argc && good; i++) {
        char *arg = argv[i];
        if (!only_args && strcmp(arg, "--") == 0)
            only_args = true;
        else if (only_args || !is_option(arg))
            argv[1 + count++] = arg;
        else
            good = take_option(options, argc, argv, &i, &message);
    }
    *args = argv + 1;
    *nargs = count;
    if (good && count < usage->min_args) {
        ag_str_addf(&message, "too few arguments: %s", usage->synopsis);
        good = false;
    } else if (good && usage->max_args >= 0 && count > usage->max_args) {
        ag_str_addf(&message, "'%s' is one argument too many: %s", argv[1 + usage->max_args],
                    usage->synopsis);
        good = false;
    }
    if (!good) code = fail_usage(usage, ag_str_text(&message));
    ag_str_free(&message);
    return code;
}
