/* log.c: lines on stderr and the progress bar. Each line leaves in one write, so that lines of several
 * threads or ranks do not mix, and control bytes of hostile data never reach the terminal.
 */
#include "base/log.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_quiet;
static bool bar_shown; /* a bar stands on the last line of the terminal */

double ag_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void ag_log_quiet(bool quiet)
{
    is_quiet = quiet;
}

static bool is_terminal(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
}

/* Appends the text with control characters replaced; newlines and tabs stay. */
static void add_clean(ag_str *out, const char *text)
{
    size_t n = strlen(text);
    for (size_t at = 0; at < n;) {
        char put[4];
        uint32_t c = ag_utf8_next(text, n, &at);
        bool control = (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0);
        ag_str_addn(out, put, (size_t)ag_utf8_put(control ? '?' : c, put));
    }
}

static void put_error_stream(const ag_str *text)
{
    fwrite(ag_str_text(text), 1, text->len, stderr);
    fflush(stderr);
}

static void say(const char *prefix, const char *format, va_list args)
{
    ag_str text = {0}, line = {0};
    if (is_quiet) return;
    ag_str_vaddf(&text, format, args);
    pthread_mutex_lock(&lock);
    if (bar_shown) ag_str_add(&line, "\r\033[K");
    bar_shown = false;
    ag_str_add(&line, prefix);
    add_clean(&line, ag_str_text(&text));
    ag_str_addc(&line, '\n');
    put_error_stream(&line);
    pthread_mutex_unlock(&lock);
    ag_str_free(&text);
    ag_str_free(&line);
}

void ag_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("", format, args);
    va_end(args);
}

void ag_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("agrl: warning: ", format, args);
    va_end(args);
}

/* --- progress ------------------------------------------------------------------------------------------- */

static int terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20) return size.ws_col;
    return 80;
}

static bool terminal_is_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (int i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value && *value) return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

/* 0:07, 12:30, 3:05:00, 2d 03h. */
static void add_time(ag_str *out, double seconds)
{
    if (!(seconds < 1e9)) {
        ag_str_add(out, "-:--");
        return;
    }
    long s = seconds > 0 ? lround(seconds) : 0;
    if (s >= 86400)
        ag_str_addf(out, "%ldd %02ldh", s / 86400, s / 3600 % 24);
    else if (s >= 3600)
        ag_str_addf(out, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        ag_str_addf(out, "%ld:%02ld", s / 60, s % 60);
}

static void add_amount(ag_str *out, double x)
{
    if (x >= 1e7)
        ag_str_addf(out, "%.2fM", x / 1e6);
    else if (x == floor(x) || x >= 1000)
        ag_str_addf(out, "%.0f", x);
    else
        ag_str_addf(out, x >= 9.995 ? "%.1f" : "%.2f", x);
}

/* How much of a line is written: where it has no room for all, what can be reckoned goes first, then the room between. */
typedef enum fullness { WHOLE, WITHOUT_RATE, TIGHT } fullness;

/* " 42%  123/1000  12.3/s  0:42 left  note"; tight: "123/1000 0:42 note". */
static void add_numbers(ag_str *out, const ag_progress *p, double done, double now, const char *note,
                        fullness how)
{
    double took = now - p->start, rate = took > 0 ? (done - p->start_done) / took : 0;
    ag_str all = {0};
    if (p->total > 0 && how == WHOLE)
        ag_str_addf(&all, "%d%%  ", (int)(fmin(fmax(done / p->total, 0), 1) * 100));
    add_amount(&all, done);
    if (p->total > 0) {
        ag_str_addc(&all, '/');
        add_amount(&all, p->total);
    }
    if (rate > 0 && how == WHOLE) {
        ag_str_add(&all, "  ");
        add_amount(&all, rate);
        ag_str_add(&all, "/s");
    }
    if (rate > 0 && p->total > 0) {
        ag_str_add(&all, "  ");
        add_time(&all, (p->total - done) / rate);
        if (how != TIGHT) ag_str_add(&all, " left");
    }
    if (note && *note) {
        ag_str_add(&all, "  ");
        add_clean(&all, note);
    }
    const char *text = ag_str_text(&all);
    for (size_t i = 0; i < all.len; i++)
        if (how != TIGHT || text[i] != ' ' || text[i + 1] != ' ') ag_str_addc(out, text[i]);
    out->failed = out->failed || all.failed;
    ag_str_free(&all);
}

static void add_bar(ag_str *out, double share, int width)
{
    bool pretty = terminal_is_utf8();
    int full = (int)(share * width);
    for (int i = 0; i < width; i++) {
        if (pretty)
            ag_str_add(out, i < full ? "━" : "┄");
        else
            ag_str_addc(out, i < full ? '#' : '.');
    }
}

/* The first columns of a text. */
static void add_columns(ag_str *out, const ag_str *text, int columns)
{
    size_t at = 0;
    while (columns-- > 0 && at < text->len) ag_utf8_next(text->data, text->len, &at);
    ag_str_addn(out, ag_str_text(text), at);
}

/* Label, bar where there is room for one, and numbers. What does not fit is left out, of the label first: a line that wraps could not be
 * cleared. */
static void add_line(ag_str *out, const ag_progress *p, double done, double now, const char *note, int width)
{
    ag_str label = {0}, numbers = {0}, line = {0};
    int room = 0;
    add_clean(&label, p->label);
    for (int how = WHOLE; how <= TIGHT; how++) {
        ag_str_clear(&numbers);
        add_numbers(&numbers, p, done, now, note, (fullness)how);
        room = width - 1 - (int)ag_utf8_count(ag_str_text(&numbers), numbers.len);
        if (room >= (int)ag_utf8_count(ag_str_text(&label), label.len)) break;
    }
    add_columns(&line, &label, room);
    if (line.len > 0) ag_str_addc(&line, ' ');
    room -= (int)ag_utf8_count(ag_str_text(&line), line.len);
    if (p->total > 0 && room >= 8) {
        add_bar(&line, fmin(fmax(done / p->total, 0), 1), room < 30 ? room : 30);
        ag_str_addc(&line, ' ');
    }
    ag_str_add(&line, ag_str_text(&numbers));
    add_columns(out, &line, width);
    out->failed = out->failed || label.failed || numbers.failed || line.failed;
    ag_str_free(&label);
    ag_str_free(&numbers);
    ag_str_free(&line);
}

static void draw(const ag_progress *p, double done, double now, const char *note)
{
    ag_str line = {0};
    bool bar = is_terminal();
    if (bar) {
        ag_str_add(&line, "\r\033[K");
        add_line(&line, p, done, now, note,
                 terminal_width() - 1); /* the last column would wrap on some terminals */
    } else {
        add_clean(&line, p->label);
        ag_str_add(&line, "  ");
        add_numbers(&line, p, done, now, note, WHOLE);
        ag_str_addc(&line, '\n');
    }
    pthread_mutex_lock(&lock);
    put_error_stream(&line);
    bar_shown = bar;
    pthread_mutex_unlock(&lock);
    ag_str_free(&line);
}

void ag_progress_begin(ag_progress *p, const char *label, double total, double already_done)
{
    *p = (ag_progress){.label = label, .total = total, .start = ag_clock(), .start_done = already_done};
    p->last_draw = p->start;
}

void ag_progress_update(ag_progress *p, double done, const char *note)
{
    double now = ag_clock();
    if (is_quiet || now - p->last_draw < 0.1) return; /* first what costs nothing */
    if (now - p->last_draw < 10.0 && !is_terminal()) return;
    p->last_draw = now;
    draw(p, done, now, note);
}

void ag_progress_end(ag_progress *p, const char *note)
{
    ag_str line = {0};
    if (is_quiet) return;
    pthread_mutex_lock(&lock);
    if (bar_shown) ag_str_add(&line, "\r\033[K");
    bar_shown = false;
    add_clean(&line, p->label);
    ag_str_add(&line, "  done in ");
    add_time(&line, ag_clock() - p->start);
    if (note && *note) {
        ag_str_add(&line, "  ");
        add_clean(&line, note);
    }
    ag_str_addc(&line, '\n');
    put_error_stream(&line);
    pthread_mutex_unlock(&lock);
    ag_str_free(&line);
}

void ag_progress_drop(void)
{
    ag_str line = {0};
    pthread_mutex_lock(&lock);
    if (bar_shown) ag_str_add(&line, "\r\033[K");
    bar_shown = false;
    put_error_stream(&line);
    pthread_mutex_unlock(&lock);
    ag_str_free(&line);
}
